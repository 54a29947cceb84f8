//! Sets: members without order.
//!
//! *Duty:* the three forms, when one becomes another, and what commands ask of a set whatever its form. *Does not
//! know:* keys. *Invariants:* no member twice. A form is never left for a smaller one: a set that lost its only text
//! stays what it is. Members that are integers lie as such in the first two forms and as text in the third.
//! *Counterpart in C Redis:* the type half of `t_set.c`.
//!
//! | form | OBJECT ENCODING | while |
//! |---|---|---|
//! | `Ints` | intset | all members are integers, at most `set-max-intset-entries` |
//! | `Packed` | hashtable | at most 128 of at most 64 bytes (`Limits`; no directive of 7.0.15) |
//! | `Table` | hashtable | else |

use std::collections::BTreeSet;

use super::{Limits, Rest};
use crate::base::num::{self, IntBuf};
use crate::base::rng::Rng;
use crate::ds::dict::{self, Dict};
use crate::ds::element::Elem;
use crate::ds::intset::{Intset, IntsetRef};
use crate::ds::pack::{self, Pack, PackRef};

/// Above this many the reference has no sets of integers, whatever the limit says.
const INTS_MAX: usize = 1 << 30;

/// A set.
#[derive(Clone, Debug)]
pub enum Set {
    Ints(Intset),
    Packed(Pack),
    Table(Box<Dict>),
}

/// A set, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum SetRef<'a> {
    Ints(IntsetRef<'a>),
    Packed(PackRef<'a>),
    Table(&'a Dict),
}

impl Default for Set {
    fn default() -> Set {
        Set::Ints(Intset::new())
    }
}

impl Set {
    #[inline]
    pub fn as_ref(&self) -> SetRef<'_> {
        match self {
            Set::Ints(ints) => SetRef::Ints(ints.as_ref()),
            Set::Packed(pack) => SetRef::Packed(pack.as_ref()),
            Set::Table(dict) => SetRef::Table(dict),
        }
    }

    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Set::Ints(ints) => ints.is_empty(),
            Set::Packed(pack) => pack.is_empty(),
            Set::Table(dict) => dict.is_empty(),
        }
    }

    /// Adds a member. `false`: it was there.
    #[inline]
    pub fn insert(&mut self, member: &[u8], limits: &Limits) -> bool {
        match self {
            Set::Table(dict) => dict.insert(member, b""),
            _ => self.insert_elem(Elem::parse(member), limits),
        }
    }

    /// [`insert`](Set::insert) for a member of another set.
    pub fn insert_elem(&mut self, member: Elem<'_>, limits: &Limits) -> bool {
        match (&mut *self, member) {
            (Set::Ints(ints), Elem::Int(value)) => {
                let added = ints.insert(value);
                if added && ints.len() > limits.set_max_intset_entries.min(INTS_MAX) {
                    self.leave_ints(0, limits);
                }
                added
            }
            (Set::Ints(_), Elem::Str(text)) => match Elem::parse(text) {
                Elem::Str(_) => {
                    self.leave_ints(text.len(), limits);
                    self.insert_elem(member, limits)
                }
                int => self.insert_elem(int, limits),
            },
            (Set::Packed(pack), member) => {
                let mut digits = Default::default();
                let text = member.text(&mut digits);
                if pack.as_ref().find(text, 1).is_some() {
                    return false;
                }
                if pack.len() < limits.set_max_listpack_entries && text.len() <= limits.set_max_listpack_value {
                    pack.push(text);
                    return true;
                }
                self.become_table(limits);
                self.insert_elem(member, limits)
            }
            (Set::Table(dict), member) => dict.insert(member.text(&mut Default::default()), b""),
        }
    }

    /// Gives up the form of integers, for the packed one if that will also hold a text of so many bytes.
    fn leave_ints(&mut self, text_len: usize, limits: &Limits) {
        let fits = self.len() < limits.set_max_listpack_entries && text_len <= limits.set_max_listpack_value;
        if !fits {
            return self.become_table(limits);
        }
        let mut pack = Pack::new();
        self.as_ref().iter().for_each(|member| pack.push_elem(member));
        *self = Set::Packed(pack);
    }

    fn become_table(&mut self, limits: &Limits) {
        let mut dict = Dict::keys_only(limits.seed);
        dict.reserve(self.len() + 1);
        for member in self.as_ref().iter() {
            dict.insert(member.text(&mut Default::default()), b"");
        }
        *self = Set::Table(Box::new(dict));
    }

    /// Takes a member out. `false`: it was not there.
    #[inline]
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self {
            Set::Ints(ints) => Elem::parse(member).as_int().is_some_and(|value| ints.remove(value)),
            Set::Packed(pack) => {
                let found = pack.as_ref().find(member, 1);
                if let Some(at) = found {
                    pack.remove(at, 1);
                }
                found.is_some()
            }
            Set::Table(dict) => dict.remove(member),
        }
    }

    /// Takes a random member out, which `taken` sees.
    pub fn pop<R>(&mut self, rng: &mut Rng, taken: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        match self {
            Set::Ints(ints) => {
                let index = rng.index(ints.len());
                let value = ints.as_ref().get(index)?;
                ints.remove_at(index);
                Some(taken(Elem::Int(value)))
            }
            Set::Packed(pack) => {
                let at = pack.as_ref().nth(rng.index(pack.len()))?;
                let result = taken(pack.as_ref().get(at));
                pack.remove(at, 1);
                Some(result)
            }
            Set::Table(dict) => {
                let member = dict.random(rng)?.0;
                let result = taken(Elem::Str(member));
                // The record goes while its own bytes say which: so they are copied.
                let mut small = [0; 64];
                match small.get_mut(..member.len()) {
                    Some(copy) => {
                        copy.copy_from_slice(member);
                        let copy: &[u8] = copy;
                        dict.remove(copy);
                    }
                    None => {
                        let copy = member.to_vec();
                        dict.remove(&copy);
                    }
                }
                Some(result)
            }
        }
    }

    /// The set that an RDB file or a DUMP payload holds as a set of integers.
    pub fn from_ints(ints: Intset, limits: &Limits) -> Set {
        let mut set = Set::Ints(ints);
        if set.len() > limits.set_max_intset_entries.min(INTS_MAX) {
            set.leave_ints(0, limits);
        }
        set
    }

    pub(super) fn rest(&self) -> Option<(Rest, &[u8])> {
        match self {
            Set::Ints(ints) => Some((Rest::Ints, ints.as_ref().bytes())),
            Set::Packed(pack) => Some((Rest::Set, pack.as_ref().bytes())),
            Set::Table(_) => None,
        }
    }

    pub(super) fn from_rest(form: Rest, bytes: Vec<u8>) -> Set {
        match form {
            Rest::Ints => Set::Ints(Intset::from_bytes(bytes)),
            _ => Set::Packed(Pack::from_bytes(bytes)),
        }
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        match self {
            Set::Ints(ints) => ints.into_bytes(),
            Set::Packed(pack) => pack.into_bytes(),
            Set::Table(_) => Vec::new(),
        }
    }
}

impl<'a> SetRef<'a> {
    pub(super) fn from_rest(form: Rest, bytes: &'a [u8]) -> SetRef<'a> {
        match form {
            Rest::Ints => SetRef::Ints(IntsetRef::new(bytes)),
            _ => SetRef::Packed(PackRef::new(bytes)),
        }
    }

    #[inline]
    pub fn len(self) -> usize {
        match self {
            SetRef::Ints(ints) => ints.len(),
            SetRef::Packed(pack) => pack.len(),
            SetRef::Table(dict) => dict.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub fn contains(self, member: &[u8]) -> bool {
        match self {
            SetRef::Ints(ints) => Elem::parse(member).as_int().is_some_and(|value| ints.contains(value)),
            SetRef::Packed(pack) => pack.find(member, 1).is_some(),
            SetRef::Table(dict) => dict.contains(member),
        }
    }

    pub fn iter(self) -> Members<'a> {
        match self {
            SetRef::Ints(ints) => Members::Ints(ints, 0),
            SetRef::Packed(pack) => Members::Packed(pack.iter()),
            SetRef::Table(dict) => Members::Table(dict.iter()),
        }
    }

    /// A random member, each as likely as any other.
    pub fn random(self, rng: &mut Rng) -> Option<Elem<'a>> {
        match self {
            SetRef::Ints(ints) => ints.random(rng).map(Elem::Int),
            SetRef::Packed(pack) => pack.nth(rng.index(pack.len())).map(|at| pack.get(at)),
            SetRef::Table(dict) => dict.random(rng).map(|(member, _)| Elem::Str(member)),
        }
    }

    /// So many different random members, or all.
    pub fn sample(self, count: usize, rng: &mut Rng) -> Vec<Elem<'a>> {
        let len = self.len();
        match self {
            // So few of so many are found by drawing; else it is quicker to shuffle all.
            SetRef::Table(dict) if count <= len / 3 => {
                let mut members = Vec::new();
                let mut drawn = BTreeSet::new();
                while members.len() < count {
                    let (member, _) = dict.random(rng).expect("it has three times as many as are wanted");
                    // A member is known by where it lies.
                    if drawn.insert(member.as_ptr() as usize) {
                        members.push(Elem::Str(member));
                    }
                }
                members
            }
            _ => {
                let mut members: Vec<Elem<'a>> = self.iter().collect();
                let count = count.min(len);
                if count < len {
                    (0..count).for_each(|i| members.swap(i, i + rng.index(len - i)));
                }
                members.truncate(count);
                members
            }
        }
    }

    /// One step of SSCAN; a small set is visited whole, in one.
    pub fn scan(self, cursor: u64, mut visit: impl FnMut(Elem<'a>)) -> u64 {
        match self {
            SetRef::Table(dict) => dict.scan(cursor, |member, _| visit(Elem::Str(member))),
            _ => {
                self.iter().for_each(visit);
                0
            }
        }
    }

    pub fn encoding(self) -> &'static str {
        if matches!(self, SetRef::Ints(_)) { "intset" } else { "hashtable" }
    }

    /// Heap bytes.
    pub fn memory(self) -> usize {
        match self {
            SetRef::Ints(ints) => ints.byte_len(),
            SetRef::Packed(pack) => pack.byte_len(),
            SetRef::Table(dict) => size_of::<Dict>() + dict.memory(),
        }
    }

    pub fn free_effort(self) -> usize {
        match self {
            SetRef::Table(dict) => dict.free_effort(),
            _ => 1,
        }
    }
}

/// The members of a set, in no order that means anything.
pub enum Members<'a> {
    Ints(IntsetRef<'a>, usize),
    Packed(pack::Iter<'a>),
    Table(dict::Iter<'a>),
}

impl<'a> Iterator for Members<'a> {
    type Item = Elem<'a>;

    #[inline]
    fn next(&mut self) -> Option<Elem<'a>> {
        match self {
            Members::Ints(ints, index) => {
                let value = ints.get(*index)?;
                *index += 1;
                Some(Elem::Int(value))
            }
            Members::Packed(pack) => pack.next().map(|(_, member)| member),
            Members::Table(dict) => dict.next().map(|(member, _)| Elem::Str(member)),
        }
    }
}

/// A member to be looked for in several sets: read as an integer, printed and hashed at most once.
pub struct Wanted<'a> {
    member: Elem<'a>,
    digits: IntBuf,
    digits_len: usize,
    hash: Option<u64>,
}

impl<'a> Wanted<'a> {
    pub fn new(member: Elem<'a>) -> Wanted<'a> {
        let member = if let Elem::Str(text) = member { Elem::parse(text) } else { member };
        let mut wanted = Wanted { member, digits: Default::default(), digits_len: 0, hash: None };
        if let Elem::Int(value) = member {
            wanted.digits_len = num::format_i64(value, &mut wanted.digits).len();
        }
        wanted
    }

    #[inline]
    fn text(&self) -> &[u8] {
        match self.member {
            Elem::Str(text) => text,
            // Digits are written towards the end of their buffer.
            Elem::Int(_) => &self.digits[self.digits.len() - self.digits_len..],
        }
    }

    pub fn is_in(&mut self, set: SetRef<'_>) -> bool {
        match (set, self.member) {
            (SetRef::Ints(ints), Elem::Int(value)) => ints.contains(value),
            (SetRef::Ints(_), Elem::Str(_)) => false,
            (SetRef::Packed(pack), _) => pack.find(self.text(), 1).is_some(),
            (SetRef::Table(dict), _) => {
                let hash = self.hash.unwrap_or_else(|| dict.hash(self.text()));
                self.hash = Some(hash);
                dict.contains_hashed(hash, self.text())
            }
        }
    }
}

#[cfg(test)]
mod tests;
