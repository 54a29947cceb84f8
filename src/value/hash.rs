//! Hashes: fields with values.
//!
//! *Duty:* a hash in either of its forms, and when one becomes the other: a [`Pack`] of field, value, field, value
//! while it has few and short ones, a [`Dict`] beyond. It never goes back. *Does not know:* keys, events, replies.
//! *Invariants:* a field is there once; a packed hash is within the [`Limits`] that held when it was last changed.
//! *Counterpart in C Redis:* the first half of `t_hash.c`; `hash-max-listpack-entries`, `hash-max-listpack-value`.

use super::{Limits, Rest};
use crate::base::hash::HashSeed;
use crate::base::rng::Rng;
use crate::ds::dict::{self, Dict};
use crate::ds::element::Elem;
use crate::ds::pack::{self, Pack, PackRef};

/// A pack does not grow beyond this, whatever the limits say.
const PACK_MAX: usize = 1 << 30;

/// A hash.
#[derive(Clone, Debug)]
pub enum Hash {
    Packed(Pack),
    Table(Box<Big>),
}

/// The form of large hashes.
#[derive(Clone, Debug)]
pub struct Big {
    fields: Dict,
}

/// A hash, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum HashRef<'a> {
    Packed(PackRef<'a>),
    Table(&'a Big),
}

impl Default for Hash {
    fn default() -> Hash {
        Hash::Packed(Pack::new())
    }
}

impl Hash {
    #[inline]
    pub fn as_ref(&self) -> HashRef<'_> {
        match self {
            Hash::Packed(pack) => HashRef::Packed(pack.as_ref()),
            Hash::Table(big) => HashRef::Table(big),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    /// Gives a field its value. `true`: the field is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &Limits) -> bool {
        let longest = limits.hash_max_listpack_value;
        match self {
            Hash::Packed(pack)
                if field.len() <= longest
                    && value.len() <= longest
                    && pack.as_ref().byte_len() + field.len() + value.len() <= PACK_MAX =>
            {
                let is_new = set_packed(pack, field, value);
                if pack.len() / 2 > limits.hash_max_listpack_entries {
                    self.table(limits.seed);
                }
                is_new
            }
            _ => self.table(limits.seed).fields.insert(field, value),
        }
    }

    /// Takes a field out; `false` if it was not there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match self {
            Hash::Packed(pack) => match pack.as_ref().find(field, 2) {
                Some(at) => {
                    pack.remove(at, 2);
                    true
                }
                None => false,
            },
            Hash::Table(big) => big.fields.remove(field),
        }
    }

    /// The form of large hashes, into which a small one changes here.
    fn table(&mut self, seed: HashSeed) -> &mut Big {
        if let Hash::Packed(pack) = self {
            let mut fields = Dict::new(seed);
            fields.reserve(pack.len() / 2);
            let (mut field_text, mut value_text) = Default::default();
            for (field, value) in HashRef::Packed(pack.as_ref()).iter() {
                fields.insert(field.text(&mut field_text), value.text(&mut value_text));
            }
            *self = Hash::Table(Box::new(Big { fields }));
        }
        match self {
            Hash::Table(big) => big,
            Hash::Packed(_) => unreachable!("it was changed just now"),
        }
    }

    pub(super) fn rest(&self) -> Option<(Rest, &[u8])> {
        match self {
            Hash::Packed(pack) => Some((Rest::Hash, pack.as_ref().bytes())),
            Hash::Table(_) => None,
        }
    }

    pub(super) fn from_rest(bytes: Vec<u8>) -> Hash {
        Hash::Packed(Pack::from_bytes(bytes))
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        match self {
            Hash::Packed(pack) => pack.into_bytes(),
            Hash::Table(_) => Vec::new(),
        }
    }
}

fn set_packed(pack: &mut Pack, field: &[u8], value: &[u8]) -> bool {
    let own = pack.as_ref();
    match own.find(field, 2) {
        Some(at) => {
            let at = own.next(at).expect("a field is followed by its value");
            pack.replace(at, value);
            false
        }
        None => {
            pack.push(field);
            pack.push(value);
            true
        }
    }
}

impl<'a> HashRef<'a> {
    pub(super) fn from_rest(bytes: &'a [u8]) -> HashRef<'a> {
        HashRef::Packed(PackRef::new(bytes))
    }

    /// How many fields there are.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            HashRef::Packed(pack) => pack.len() / 2,
            HashRef::Table(big) => big.fields.len(),
        }
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        match self {
            HashRef::Packed(pack) => pack.is_empty(),
            HashRef::Table(big) => big.fields.is_empty(),
        }
    }

    /// A field's value.
    #[inline]
    pub fn get(self, field: &[u8]) -> Option<Elem<'a>> {
        match self {
            HashRef::Packed(pack) => {
                let at = pack.next(pack.find(field, 2)?).expect("a field is followed by its value");
                Some(pack.get(at))
            }
            HashRef::Table(big) => big.fields.get(field).map(Elem::Str),
        }
    }

    #[inline]
    pub fn contains(self, field: &[u8]) -> bool {
        match self {
            HashRef::Packed(pack) => pack.find(field, 2).is_some(),
            HashRef::Table(big) => big.fields.contains(field),
        }
    }

    /// All fields with their values.
    pub fn iter(self) -> Pairs<'a> {
        match self {
            HashRef::Packed(pack) => Pairs::Packed(pack.iter()),
            HashRef::Table(big) => Pairs::Table(big.fields.iter()),
        }
    }

    /// One step of HSCAN: calls `visit` for some fields and returns the next cursor, 0 at the end. A small hash is
    /// visited whole, whatever the cursor.
    pub fn scan(self, cursor: u64, mut visit: impl FnMut(Elem<'a>, Elem<'a>)) -> u64 {
        match self {
            HashRef::Packed(_) => {
                self.iter().for_each(|(field, value)| visit(field, value));
                0
            }
            HashRef::Table(big) => big.fields.scan(cursor, |field, value| visit(Elem::Str(field), Elem::Str(value))),
        }
    }

    /// A random field, each as likely as any other.
    pub fn random(self, rng: &mut Rng) -> Option<(Elem<'a>, Elem<'a>)> {
        match self {
            HashRef::Packed(pack) => {
                let at = pack.nth(2 * rng.index(self.len()))?;
                Pairs::Packed(pack.iter_from(at)).next()
            }
            HashRef::Table(big) => big.fields.random(rng).map(|(field, value)| (Elem::Str(field), Elem::Str(value))),
        }
    }

    /// A small hash, whose fields are better drawn from a list of them all than one by one.
    pub fn is_packed(self) -> bool {
        matches!(self, HashRef::Packed(_))
    }

    /// What OBJECT ENCODING says.
    pub fn encoding(self) -> &'static str {
        match self {
            HashRef::Packed(_) => "listpack",
            HashRef::Table(_) => "hashtable",
        }
    }

    /// Heap bytes.
    pub fn memory(self) -> usize {
        match self {
            HashRef::Packed(pack) => pack.byte_len(),
            HashRef::Table(big) => size_of::<Big>() + big.fields.memory(),
        }
    }

    /// About how many frees it takes to drop it.
    pub fn free_effort(self) -> usize {
        match self {
            HashRef::Packed(_) => 1,
            HashRef::Table(big) => big.fields.free_effort(),
        }
    }

    /// The hash table, if it is one: for DEBUG HTSTATS-KEY.
    pub fn dict(self) -> Option<&'a Dict> {
        match self {
            HashRef::Packed(_) => None,
            HashRef::Table(big) => Some(&big.fields),
        }
    }
}

/// See [`HashRef::iter`].
pub enum Pairs<'a> {
    Packed(pack::Iter<'a>),
    Table(dict::Iter<'a>),
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Elem<'a>, Elem<'a>);

    #[inline]
    fn next(&mut self) -> Option<(Elem<'a>, Elem<'a>)> {
        match self {
            Pairs::Packed(elements) => {
                let (_, field) = elements.next()?;
                let (_, value) = elements.next().expect("a field is followed by its value");
                Some((field, value))
            }
            Pairs::Table(records) => records.next().map(|(field, value)| (Elem::Str(field), Elem::Str(value))),
        }
    }
}

#[cfg(test)]
mod tests;
