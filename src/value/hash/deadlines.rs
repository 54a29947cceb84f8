//! [`Deadlines`]: when the fields of one hash expire.
//!
//! *Duty:* a field's deadline, and which deadline comes first. A hash without field deadlines has none of this.
//! *Does not know:* the fields' values, events; who calls when the first deadline has come: the database's wheel of
//! hashes does (`keyspace/db/fields.rs`), which keeps what it needs for that in [`Deadlines::filed`].
//! *Invariants:* `order` holds the deadline and the hash of every field in `at`. (Of two fields that share both, which
//! is one chance in 2^64, the second has no place of its own there: it is hidden on time and removed late.)
//! *Counterpart in C Redis:* the private `ebuckets` of a hash in 7.4, `hashTypeSetEx`.

use std::collections::BTreeSet;

use crate::base::hash::HashSeed;
use crate::base::millis::Millis;
use crate::ds::dict::Dict;

#[derive(Clone, Debug)]
pub struct Deadlines {
    /// Field → deadline, eight bytes.
    at: Dict,
    order: BTreeSet<(i64, u64)>,
    /// The one record in the database's wheel that counts, and when it fires: at the first deadline or before.
    pub filed: Option<(Millis, u16)>,
}

impl Deadlines {
    pub(super) fn new(seed: HashSeed) -> Deadlines {
        Deadlines { at: Dict::new(seed), order: BTreeSet::new(), filed: None }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The first deadline of all.
    pub fn first(&self) -> Option<Millis> {
        self.order.first().map(|&(at, _)| Millis(at))
    }

    /// Some field's time has come.
    #[inline]
    pub fn is_due(&self, now: Millis) -> bool {
        self.first().is_some_and(|at| at <= now)
    }

    pub fn of(&self, field: &[u8]) -> Option<Millis> {
        self.at.get(field).map(read)
    }

    pub fn is_overdue(&self, field: &[u8], now: Millis) -> bool {
        self.is_due(now) && self.of(field).is_some_and(|at| at <= now)
    }

    /// How many fields are overdue: takes as long as they are many.
    pub fn overdue(&self, now: Millis) -> usize {
        self.order.range(..=(now.0, u64::MAX)).count()
    }

    pub(super) fn set(&mut self, field: &[u8], deadline: Millis) {
        self.clear(field);
        self.at.insert(field, &deadline.0.to_le_bytes());
        self.order.insert((deadline.0, self.at.hash(field)));
    }

    /// Takes a field's deadline away; `false` if it had none.
    pub(super) fn clear(&mut self, field: &[u8]) -> bool {
        let hash = self.at.hash(field);
        let Some(deadline) = self.at.get_hashed(hash, field).map(read) else {
            return false;
        };
        self.order.remove(&(deadline.0, hash));
        self.at.remove_hashed(hash, field)
    }

    /// Takes the field out whose deadline was first, if it has come.
    pub(super) fn pop_overdue(&mut self, now: Millis) -> Option<Vec<u8>> {
        while self.is_due(now) {
            let (deadline, hash) = self.order.pop_first()?;
            let found = self.at.find_by_hash(hash, |_, at| read(at) == Millis(deadline));
            if let Some(field) = found.map(|(field, _)| field.to_vec()) {
                self.at.remove_hashed(hash, &field);
                return Some(field);
            }
        }
        None
    }

    /// Heap bytes, roughly: a set's nodes are two thirds full.
    pub(super) fn memory(&self) -> usize {
        size_of::<Deadlines>() + self.at.memory() + self.order.len() * 3 / 2 * size_of::<(i64, u64)>()
    }

    pub(super) fn free_effort(&self) -> usize {
        self.at.free_effort() + self.order.len() / 8
    }
}

fn read(bytes: &[u8]) -> Millis {
    Millis(i64::from_le_bytes(bytes.try_into().expect("a deadline has eight bytes")))
}
