//! The types of values beside strings, each with its own encodings.
//!
//! *Duty:* one owned form ([`Value`]) and one borrowed form ([`ValueRef`]) for all types, and the bytes of those that
//! are small enough to lie in their key's entry ([`Rest`]). *Does not know:* keys, databases, commands.
//! *Invariant:* a `Value` is `Send` and owns all that it holds, so that freeing it may move to another thread.
//! *Counterpart in C Redis:* `robj` and the type halves of `t_*.c`.
//!
//! A type reads through its `...Ref` (a copyable borrow, which does not say where the bytes are) and changes through
//! its owned form. A small collection has no allocation of its own: it rests as plain bytes inside the entry of its
//! key, is read there, and becomes an owned value only while it is changed.

pub mod hash;
pub mod hll;
pub mod limits;
pub mod list;
pub mod set;
pub mod stream;
pub mod zset;

pub use hash::{Deadlines, Hash, HashRef};
pub use limits::Limits;
pub use list::{List, ListRef};
pub use set::{Set, SetRef};
pub use stream::Stream;
pub use zset::{Zset, ZsetRef};

/// A value of a type other than string.
#[derive(Clone, Debug)]
pub enum Value {
    List(List),
    Set(Set),
    Hash(Hash),
    Zset(Zset),
    Stream(Stream),
}

/// A value borrowed from where it lies.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    List(ListRef<'a>),
    Set(SetRef<'a>),
    Hash(HashRef<'a>),
    Zset(ZsetRef<'a>),
    Stream(&'a Stream),
}

/// Anything that a key can hold, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum View<'a> {
    Int(i64),
    Str(&'a [u8]),
    Object(ValueRef<'a>),
}

/// The forms whose content is one run of bytes, which can lie inside an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// [`crate::ds::pack`]: elements.
    List,
    /// [`crate::ds::intset`]
    Ints,
    /// [`crate::ds::pack`]: members.
    Set,
    /// [`crate::ds::pack`]: field, value, field, value.
    Hash,
    /// [`crate::ds::pack`]: member, score, member, score.
    Zset,
}

impl Value {
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::List(list) => ValueRef::List(list.as_ref()),
            Value::Set(set) => ValueRef::Set(set.as_ref()),
            Value::Hash(hash) => ValueRef::Hash(hash.as_ref()),
            Value::Zset(zset) => ValueRef::Zset(zset.as_ref()),
            Value::Stream(stream) => ValueRef::Stream(stream),
        }
    }

    /// The bytes that stand for this value, if it is in a form that has such.
    pub fn rest(&self) -> Option<(Rest, &[u8])> {
        match self {
            Value::List(list) => list.rest(),
            Value::Set(set) => set.rest(),
            Value::Hash(hash) => hash.rest(),
            Value::Zset(zset) => zset.rest(),
            Value::Stream(_) => None,
        }
    }

    /// The value that `bytes` stand for.
    pub fn from_rest(form: Rest, bytes: Vec<u8>) -> Value {
        match form {
            Rest::List => Value::List(List::from_rest(bytes)),
            Rest::Ints | Rest::Set => Value::Set(Set::from_rest(form, bytes)),
            Rest::Hash => Value::Hash(Hash::from_rest(bytes)),
            Rest::Zset => Value::Zset(Zset::from_rest(bytes)),
        }
    }

    /// The buffer behind [`Value::rest`], to be used again; empty for other forms.
    pub fn into_buffer(self) -> Vec<u8> {
        match self {
            Value::List(list) => list.into_buffer(),
            Value::Set(set) => set.into_buffer(),
            Value::Hash(hash) => hash.into_buffer(),
            Value::Zset(zset) => zset.into_buffer(),
            Value::Stream(_) => Vec::new(),
        }
    }

    /// A collection that has become empty and whose key goes with it. Streams may be empty.
    pub fn is_gone(&self) -> bool {
        match self {
            Value::List(list) => list.is_empty(),
            Value::Set(set) => set.is_empty(),
            Value::Hash(hash) => hash.is_empty(),
            Value::Zset(zset) => zset.is_empty(),
            Value::Stream(_) => false,
        }
    }

    /// The deadlines of a hash's fields, if there are or were any.
    #[inline]
    pub fn field_deadlines(&self) -> Option<&Deadlines> {
        match self {
            Value::Hash(hash) => hash.as_ref().deadlines(),
            _ => None,
        }
    }

    #[inline]
    pub fn field_deadlines_mut(&mut self) -> Option<&mut Deadlines> {
        match self {
            Value::Hash(hash) => hash.deadlines_mut(),
            _ => None,
        }
    }

    /// Heap bytes, the `Value` itself included.
    pub fn memory(&self) -> usize {
        std::mem::size_of::<Value>() + self.as_ref().memory()
    }

    /// How many frees it takes to drop it: what decides whether the background thread does.
    pub fn free_effort(&self) -> usize {
        self.as_ref().free_effort()
    }
}

impl<'a> ValueRef<'a> {
    /// A value that rests as bytes in its entry.
    pub fn from_rest(form: Rest, bytes: &'a [u8]) -> ValueRef<'a> {
        match form {
            Rest::List => ValueRef::List(ListRef::from_rest(bytes)),
            Rest::Ints | Rest::Set => ValueRef::Set(SetRef::from_rest(form, bytes)),
            Rest::Hash => ValueRef::Hash(HashRef::from_rest(bytes)),
            Rest::Zset => ValueRef::Zset(ZsetRef::from_rest(bytes)),
        }
    }

    pub fn type_name(self) -> &'static str {
        match self {
            ValueRef::List(_) => "list",
            ValueRef::Set(_) => "set",
            ValueRef::Hash(_) => "hash",
            ValueRef::Zset(_) => "zset",
            ValueRef::Stream(_) => "stream",
        }
    }

    /// What OBJECT ENCODING says.
    pub fn encoding(self) -> &'static str {
        match self {
            ValueRef::List(list) => list.encoding(),
            ValueRef::Set(set) => set.encoding(),
            ValueRef::Hash(hash) => hash.encoding(),
            ValueRef::Zset(zset) => zset.encoding(),
            ValueRef::Stream(_) => "stream",
        }
    }

    /// Heap bytes behind the value.
    pub fn memory(self) -> usize {
        match self {
            ValueRef::List(list) => list.memory(),
            ValueRef::Set(set) => set.memory(),
            ValueRef::Hash(hash) => hash.memory(),
            ValueRef::Zset(zset) => zset.memory(),
            ValueRef::Stream(stream) => stream.memory(),
        }
    }

    pub fn free_effort(self) -> usize {
        match self {
            ValueRef::List(list) => list.free_effort(),
            ValueRef::Set(set) => set.free_effort(),
            ValueRef::Hash(hash) => hash.free_effort(),
            ValueRef::Zset(zset) => zset.free_effort(),
            ValueRef::Stream(stream) => stream.free_effort(),
        }
    }
}

/// A type that a key can hold and a command can ask for.
pub trait Typed: Sized {
    /// Its borrowed form.
    type Ref<'a>: Copy;

    fn of(value: ValueRef<'_>) -> Option<Self::Ref<'_>>;
    fn of_owned(value: &Value) -> Option<&Self>;
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    fn into_value(self) -> Value;
}

/// Implements [`Typed`] for the type of a variant of [`Value`].
macro_rules! typed {
    ($variant:ident, $reference:ty) => {
        impl Typed for $variant {
            type Ref<'a> = $reference;

            fn of(value: ValueRef<'_>) -> Option<Self::Ref<'_>> {
                match value {
                    ValueRef::$variant(inner) => Some(inner),
                    _ => None,
                }
            }

            fn of_owned(value: &Value) -> Option<&Self> {
                match value {
                    Value::$variant(inner) => Some(inner),
                    _ => None,
                }
            }

            fn of_mut(value: &mut Value) -> Option<&mut Self> {
                match value {
                    Value::$variant(inner) => Some(inner),
                    _ => None,
                }
            }

            fn into_value(self) -> Value {
                Value::$variant(self)
            }
        }
    };
}

typed!(List, ListRef<'a>);
typed!(Set, SetRef<'a>);
typed!(Hash, HashRef<'a>);
typed!(Zset, ZsetRef<'a>);
typed!(Stream, &'a Stream);
