//! The types of values beside strings, each with its own encodings.
//!
//! *Invariant:* a `Value` is `Send` and owns all that it holds, so that freeing it may move to another thread.
//! *Does not know:* keys, databases, commands. *Counterpart in C Redis:* `robj` and the type halves of `t_*.c`.

pub mod hll;
pub mod list;

pub use list::List;

#[derive(Clone, Debug)]
pub enum Value {
    List(List),
}

impl Value {
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::List(_) => "list",
        }
    }

    pub fn encoding(&self) -> &'static str {
        match self {
            Value::List(list) => list.encoding(),
        }
    }

    /// Heap bytes, the `Value` itself included.
    pub fn memory(&self) -> usize {
        std::mem::size_of::<Value>()
            + match self {
                Value::List(list) => list.memory(),
            }
    }

    /// How many frees it takes to drop it: what decides whether the background thread does.
    pub fn free_effort(&self) -> usize {
        match self {
            Value::List(list) => list.len(),
        }
    }
}

/// A type that a key can hold and a command can ask for.
pub trait Typed: Sized {
    fn of(value: &Value) -> Option<&Self>;
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    fn into_value(self) -> Value;
}

impl Typed for List {
    fn of(value: &Value) -> Option<&List> {
        match value {
            Value::List(list) => Some(list),
        }
    }

    fn of_mut(value: &mut Value) -> Option<&mut List> {
        match value {
            Value::List(list) => Some(list),
        }
    }

    fn into_value(self) -> Value {
        Value::List(self)
    }
}
