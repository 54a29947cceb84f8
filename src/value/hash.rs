//! Hashes: fields with values.
//!
//! *Duty:* a hash in either of its forms, and when one becomes the other: a [`Pack`] of field, value, field, value
//! while it has few and short ones, a [`Dict`] beyond. It never goes back. *Does not know:* keys, events, replies.
//! *Invariants:* a field is there once; a packed hash is within the [`Limits`] that held when it was last changed, and
//! its fields have no deadlines: the first [`Deadlines`] make it a table.
//! *Counterpart in C Redis:* the first half of `t_hash.c`; `hash-max-listpack-entries`, `hash-max-listpack-value`.

use super::{Limits, Rest};
use crate::base::hash::HashSeed;
use crate::base::millis::Millis;
use crate::base::rng::Rng;
use crate::ds::dict::{self, Dict};
use crate::ds::element::Elem;
use crate::ds::pack::{self, Pack, PackRef};

mod deadlines;

pub use deadlines::Deadlines;

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
    /// There once a field was given a deadline; may be empty for a while after the last has gone.
    deadlines: Option<Box<Deadlines>>,
}

/// A hash, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum HashRef<'a> {
    Packed(PackRef<'a>),
    Table(&'a Big),
    /// A table in which some fields are overdue at this time: they are not seen.
    Timed(&'a Big, Millis),
}

impl Default for Hash {
    fn default() -> Hash {
        // Room for a few fields: what is made is about to be filled.
        Hash::Packed(Pack::with_capacity(126))
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

    /// Gives a field its value and takes its deadline away. `true`: the field is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &Limits) -> bool {
        if let Some(deadlines) = self.deadlines_mut() {
            deadlines.clear(field);
        }
        self.set_value(field, value, limits)
    }

    /// [`set`](Hash::set), but the field keeps its deadline.
    pub fn set_value(&mut self, field: &[u8], value: &[u8], limits: &Limits) -> bool {
        let longest = limits.hash_max_listpack_value;
        match self {
            Hash::Table(big) => big.fields.insert(field, value),
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
            Hash::Packed(_) => self.table(limits.seed).fields.insert(field, value),
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
            Hash::Table(big) => {
                if let Some(deadlines) = &mut big.deadlines {
                    deadlines.clear(field);
                }
                big.fields.remove(field)
            }
        }
    }

    /// Gives a field that is there a deadline, another one, or none. `false`: it had none and has none.
    pub fn set_deadline(&mut self, field: &[u8], deadline: Option<Millis>, seed: HashSeed) -> bool {
        match deadline {
            Some(at) => {
                let big = self.table(seed);
                debug_assert!(big.fields.contains(field));
                big.deadlines.get_or_insert_with(|| Box::new(Deadlines::new(seed))).set(field, at);
                true
            }
            None => self.deadlines_mut().is_some_and(|deadlines| deadlines.clear(field)),
        }
    }

    /// Takes a field out if it is overdue.
    pub fn remove_overdue(&mut self, field: &[u8], now: Millis) -> bool {
        self.deadlines_mut().is_some_and(|deadlines| deadlines.is_overdue(field, now)) && self.remove(field)
    }

    /// Takes overdue fields out, at most `budget`, which it counts down; shows `each` of them.
    pub fn expire(&mut self, now: Millis, budget: &mut usize, mut each: impl FnMut(&[u8])) {
        let Hash::Table(big) = self else { return };
        let Some(deadlines) = &mut big.deadlines else { return };
        while *budget > 0 {
            let Some(field) = deadlines.pop_overdue(now) else { return };
            big.fields.remove(&field);
            each(&field);
            *budget -= 1;
        }
    }

    /// The fields' deadlines, if there are or were any.
    pub fn deadlines_mut(&mut self) -> Option<&mut Deadlines> {
        match self {
            Hash::Packed(_) => None,
            Hash::Table(big) => big.deadlines.as_deref_mut(),
        }
    }

    /// Forgets the books of deadlines when there are none left.
    pub fn drop_empty_deadlines(&mut self) {
        if let Hash::Table(big) = self {
            big.deadlines = big.deadlines.take().filter(|deadlines| !deadlines.is_empty());
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
            *self = Hash::Table(Box::new(Big { fields, deadlines: None }));
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

    /// The hash as it is at this time: without the fields that are overdue.
    #[inline]
    pub fn at(self, now: Millis) -> HashRef<'a> {
        match self {
            HashRef::Table(big) if big.deadlines.as_ref().is_some_and(|deadlines| deadlines.is_due(now)) => {
                HashRef::Timed(big, now)
            }
            _ => self,
        }
    }

    /// How many fields there are.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            HashRef::Packed(pack) => pack.len() / 2,
            HashRef::Table(big) => big.fields.len(),
            HashRef::Timed(big, now) => big.fields.len() - big.deadlines.as_ref().map_or(0, |d| d.overdue(now)),
        }
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        match self {
            HashRef::Packed(pack) => pack.is_empty(),
            HashRef::Table(big) => big.fields.is_empty(),
            HashRef::Timed(..) => self.len() == 0,
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
            HashRef::Timed(big, now) if big.is_overdue(field, now) => None,
            HashRef::Timed(big, _) => HashRef::Table(big).get(field),
        }
    }

    #[inline]
    pub fn contains(self, field: &[u8]) -> bool {
        match self {
            HashRef::Packed(pack) => pack.find(field, 2).is_some(),
            HashRef::Table(big) => big.fields.contains(field),
            HashRef::Timed(..) => self.get(field).is_some(),
        }
    }

    /// When a field expires, if it does.
    pub fn deadline(self, field: &[u8]) -> Option<Millis> {
        self.deadlines()?.of(field)
    }

    /// The fields' deadlines, if there are or were any.
    pub fn deadlines(self) -> Option<&'a Deadlines> {
        match self {
            HashRef::Packed(_) => None,
            HashRef::Table(big) | HashRef::Timed(big, _) => big.deadlines.as_deref(),
        }
    }

    /// The first deadline of a field, if any has one.
    pub fn first_deadline(self) -> Option<Millis> {
        self.deadlines()?.first()
    }

    /// All fields with their values.
    pub fn iter(self) -> Pairs<'a> {
        match self {
            HashRef::Packed(pack) => Pairs::Packed(pack.iter()),
            HashRef::Table(big) => Pairs::Table(big.fields.iter()),
            HashRef::Timed(big, now) => Pairs::Timed(big.fields.iter(), big, now),
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
            HashRef::Timed(big, now) => big.fields.scan(cursor, |field, value| {
                if !big.is_overdue(field, now) {
                    visit(Elem::Str(field), Elem::Str(value));
                }
            }),
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
            HashRef::Timed(..) => self.iter().nth(rng.index(self.len())),
        }
    }

    /// Fields are drawn one by one at no cost that grows with the hash; else they are better drawn from a list.
    pub fn draws_quickly(self) -> bool {
        matches!(self, HashRef::Table(_))
    }

    /// What OBJECT ENCODING says.
    pub fn encoding(self) -> &'static str {
        match self {
            HashRef::Packed(_) => "listpack",
            HashRef::Table(_) | HashRef::Timed(..) => "hashtable",
        }
    }

    /// Heap bytes.
    pub fn memory(self) -> usize {
        match self {
            HashRef::Packed(pack) => pack.byte_len(),
            HashRef::Table(big) | HashRef::Timed(big, _) => {
                size_of::<Big>() + big.fields.memory() + big.deadlines.as_ref().map_or(0, |d| d.memory())
            }
        }
    }

    /// About how many frees it takes to drop it.
    pub fn free_effort(self) -> usize {
        match self {
            HashRef::Packed(_) => 1,
            HashRef::Table(big) | HashRef::Timed(big, _) => {
                big.fields.free_effort() + big.deadlines.as_ref().map_or(0, |d| d.free_effort())
            }
        }
    }

    /// The hash table, if it is one: for DEBUG HTSTATS-KEY.
    pub fn dict(self) -> Option<&'a Dict> {
        match self {
            HashRef::Packed(_) => None,
            HashRef::Table(big) | HashRef::Timed(big, _) => Some(&big.fields),
        }
    }
}

impl Big {
    fn is_overdue(&self, field: &[u8], now: Millis) -> bool {
        self.deadlines.as_ref().is_some_and(|deadlines| deadlines.is_overdue(field, now))
    }
}

/// See [`HashRef::iter`].
pub enum Pairs<'a> {
    Packed(pack::Iter<'a>),
    Table(dict::Iter<'a>),
    Timed(dict::Iter<'a>, &'a Big, Millis),
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
            Pairs::Timed(records, big, now) => {
                let (field, value) = records.find(|(field, _)| !big.is_overdue(field, *now))?;
                Some((Elem::Str(field), Elem::Str(value)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
