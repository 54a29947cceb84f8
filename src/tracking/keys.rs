//! [`Keys`]: the keys that clients have read, and by whom, until they change or the client goes away.
//!
//! *Duty:* remember a pair of key and client once; give a key's clients and forget it; forget a client, in a time that
//! depends on what it has read and not on the size of the table.
//! *Does not know:* databases (a name is one key in all of them, as in 7.0), values, limits.
//! *Invariants:* a client stands in a key's list at most once. A tracker's own list names every key it is in, and
//! perhaps some that were forgotten meanwhile (their birth number tells); whenever it grows by one entry, two are looked
//! at and thrown out if they are stale, so it stays below about twice what it must be, without a long step. So forgetting
//! a key, which every write may do, touches no tracker's list. *Counterpart in C Redis:* `TrackingTable`, a radix tree of
//! radix trees, in which dead clients stay until their keys change.

use slab::Slab;

use crate::base::hash::HashSeed;
use crate::call::ClientRef;
use crate::ds::table::{Handle, Table};

/// A client that has read something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackerId(u32);

pub struct Keys {
    /// Names to numbers in `keys`. A handle is the number plus 1.
    table: Table,
    seed: HashSeed,
    keys: Slab<Key>,
    trackers: Slab<Tracker>,
    /// Trackers that were dismissed and are still in some keys.
    leaving: Vec<u32>,
    /// Pairs of key and client.
    items: usize,
    /// Where the search for a key to give up goes on.
    hand: usize,
    births: u32,
}

struct Key {
    name: Box<[u8]>,
    readers: Readers,
    /// Tells this key from one that had its number before.
    birth: u32,
}

impl Key {
    fn is_read_by(&self, tracker: u32) -> bool {
        self.readers.as_slice().binary_search(&tracker).is_ok()
    }
}

/// The numbers of a key's trackers, in order. Nearly all keys have one.
enum Readers {
    One(u32),
    Many(Vec<u32>),
}

impl Readers {
    fn as_slice(&self) -> &[u32] {
        match self {
            Readers::One(tracker) => std::slice::from_ref(tracker),
            Readers::Many(list) => list,
        }
    }

    /// `false`: it was there.
    fn add(&mut self, tracker: u32) -> bool {
        let Err(at) = self.as_slice().binary_search(&tracker) else { return false };
        match self {
            Readers::One(other) => {
                let mut list = vec![*other];
                list.insert(at, tracker);
                *self = Readers::Many(list);
            }
            Readers::Many(list) => list.insert(at, tracker),
        }
        true
    }
}

struct Tracker {
    who: ClientRef,
    /// Numbers and births of keys.
    keys: Vec<(u32, u32)>,
    /// Where the look for stale entries goes on.
    cursor: usize,
}

/// All keys that were forgotten together. Dropping it takes a while, and any thread will do.
pub struct Forgotten {
    _table: Table,
    _keys: Slab<Key>,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys::new(0)
    }
}

impl Keys {
    /// `seed`: a secret, so that nobody can choose keys that fall into one bucket.
    pub fn new(seed: u64) -> Keys {
        Keys {
            table: Table::new(),
            seed: HashSeed::new(seed),
            keys: Slab::new(),
            trackers: Slab::new(),
            leaving: Vec::new(),
            items: 0,
            hand: 0,
            births: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Pairs of key and client.
    pub fn items(&self) -> usize {
        self.items
    }

    pub fn enlist(&mut self, who: ClientRef) -> TrackerId {
        TrackerId(self.trackers.insert(Tracker { who, keys: Vec::new(), cursor: 0 }) as u32)
    }

    /// A client goes away: [`Keys::forget_leavers`] takes it out, and the keys that only it had read.
    pub fn dismiss(&mut self, tracker: TrackerId) {
        self.leaving.push(tracker.0);
    }

    /// Takes dismissed clients out of at most `budget` keys. `true`: there is more to do.
    pub fn forget_leavers(&mut self, mut budget: usize) -> bool {
        while let Some(tracker) = self.leaving.last().copied() {
            if budget == 0 {
                return true;
            }
            budget -= 1;
            match self.trackers[tracker as usize].keys.pop() {
                Some((key, birth)) => self.leave(tracker, key, birth),
                None => {
                    self.trackers.remove(tracker as usize);
                    self.leaving.pop();
                }
            }
        }
        false
    }

    pub fn has_leavers(&self) -> bool {
        !self.leaving.is_empty()
    }

    fn leave(&mut self, tracker: u32, number: u32, birth: u32) {
        let Some(key) = self.keys.get_mut(number as usize).filter(|key| key.birth == birth) else { return };
        let Ok(at) = key.readers.as_slice().binary_search(&tracker) else { return };
        self.items -= 1;
        match &mut key.readers {
            Readers::Many(list) if list.len() > 1 => {
                list.remove(at);
            }
            _ => {
                let hash = self.seed.hash(&key.name);
                let found = self.table.find(hash, |other| number_of(other) == number as usize);
                self.table.remove(found.expect("a key that is kept is in the table"));
                self.keys.remove(number as usize);
            }
        }
    }

    /// A client has read a key.
    pub fn remember(&mut self, tracker: TrackerId, name: &[u8]) {
        let hash = self.seed.hash(name);
        let keys = &mut self.keys;
        let found = self.table.find(hash, |handle| *keys[number_of(handle)].name == *name);
        let (number, birth) = match found {
            Some(slot) => {
                let number = number_of(slot.handle());
                if !keys[number].readers.add(tracker.0) {
                    return;
                }
                (number, keys[number].birth)
            }
            None => {
                self.births = self.births.wrapping_add(1);
                let birth = self.births;
                let number = keys.insert(Key { name: name.into(), readers: Readers::One(tracker.0), birth });
                let seed = &self.seed;
                self.table.insert(hash, handle_of(number), |other| seed.hash(&keys[number_of(other)].name));
                (number, birth)
            }
        };
        self.items += 1;
        self.tidy(tracker.0);
        self.trackers[tracker.0 as usize].keys.push((number as u32, birth));
    }

    /// Looks at two entries of a tracker's list, and throws out what is stale.
    fn tidy(&mut self, tracker: u32) {
        let Tracker { keys: own, cursor, .. } = &mut self.trackers[tracker as usize];
        for _ in 0..own.len().min(2) {
            if *cursor >= own.len() {
                *cursor = 0;
            }
            let Some((number, birth)) = own.get(*cursor).copied() else { return };
            let key = self.keys.get(number as usize);
            if key.is_some_and(|key| key.birth == birth && key.is_read_by(tracker)) {
                *cursor += 1;
            } else {
                own.swap_remove(*cursor);
            }
        }
    }

    /// Forgets a key that changed and returns who had read it.
    pub fn forget(&mut self, name: &[u8]) -> Vec<ClientRef> {
        let keys = &self.keys;
        let found = self.table.find(self.seed.hash(name), |handle| *keys[number_of(handle)].name == *name);
        let Some(slot) = found else { return Vec::new() };
        self.table.remove(slot);
        let key = self.keys.remove(number_of(slot.handle()));
        let readers = key.readers.as_slice();
        self.items -= readers.len();
        readers.iter().map(|tracker| self.trackers[*tracker as usize].who).collect()
    }

    /// The name of a key to give up, as the table is too large; another one each time it is asked.
    pub fn candidate(&mut self) -> Option<Box<[u8]>> {
        if self.keys.is_empty() {
            return None;
        }
        loop {
            self.hand = if self.hand < self.keys.capacity() { self.hand + 1 } else { 0 };
            if let Some(key) = self.keys.get(self.hand) {
                return Some(key.name.clone());
            }
        }
    }

    /// Forgets all keys (but no client).
    pub fn clear(&mut self) -> Forgotten {
        (self.items, self.hand) = (0, 0);
        for (_, tracker) in &mut self.trackers {
            tracker.keys = Vec::new();
        }
        Forgotten { _table: std::mem::take(&mut self.table), _keys: std::mem::take(&mut self.keys) }
    }
}

fn handle_of(number: usize) -> Handle {
    Handle::new(number as u64 + 1)
}

fn number_of(handle: Handle) -> usize {
    (handle.bits() - 1) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::base::rng::Rng;
    use crate::call::ClientId;

    fn client(n: u64) -> ClientRef {
        ClientRef { slot: n as u32, id: ClientId(n) }
    }

    #[test]
    fn a_key_is_told_once_to_each_reader_and_to_nobody_who_left() {
        let mut keys = Keys::new(1);
        let (a, b) = (keys.enlist(client(1)), keys.enlist(client(2)));
        for tracker in [a, b, a] {
            keys.remember(tracker, b"k");
        }
        keys.remember(b, b"other");
        assert_eq!((keys.len(), keys.items()), (2, 3));
        assert_eq!(keys.forget(b"k"), [client(1), client(2)]);
        assert_eq!(keys.forget(b"k"), []);
        keys.remember(a, b"k");
        keys.dismiss(b);
        assert!(keys.has_leavers() && !keys.forget_leavers(10) && !keys.has_leavers());
        assert_eq!((keys.len(), keys.items()), (1, 1));
        assert_eq!((keys.forget(b"other"), keys.forget(b"k")), (vec![], vec![client(1)]));
    }

    #[test]
    fn every_key_is_a_candidate_in_turn() {
        let mut keys = Keys::new(1);
        let tracker = keys.enlist(client(1));
        assert_eq!(keys.candidate(), None);
        (0..100).for_each(|i| keys.remember(tracker, format!("key:{i}").as_bytes()));
        let mut given_up = BTreeSet::new();
        while let Some(name) = keys.candidate() {
            keys.forget(&name);
            given_up.insert(name);
        }
        assert_eq!((given_up.len(), keys.items()), (100, 0));
    }

    /// Random reads, changes, departures and flushes, beside maps that do the same without shortcuts.
    #[test]
    fn it_is_a_map_from_keys_to_sets_of_clients() {
        let (mut rng, mut keys) = (Rng::new(7), Keys::new(7));
        let mut model: BTreeMap<Vec<u8>, BTreeSet<u64>> = BTreeMap::new();
        let mut trackers: Vec<(u64, TrackerId)> = (0..8).map(|n| (n, keys.enlist(client(n)))).collect();
        for step in 8..20_000u64 {
            let name = format!("key:{}", rng.below(300)).into_bytes();
            let pick = rng.below(trackers.len() as u64) as usize;
            match rng.below(1000) {
                0 => {
                    drop(keys.clear());
                    model.clear();
                }
                1..=10 => {
                    keys.dismiss(trackers[pick].1);
                    while keys.forget_leavers(3) {}
                    let gone = trackers[pick].0;
                    model.values_mut().for_each(|readers| _ = readers.remove(&gone));
                    model.retain(|_, readers| !readers.is_empty());
                    trackers[pick] = (step, keys.enlist(client(step)));
                }
                11..=500 => {
                    let told: BTreeSet<u64> = keys.forget(&name).iter().map(|who| who.id.0).collect();
                    assert_eq!(told, model.remove(&name).unwrap_or_default());
                }
                _ => {
                    keys.remember(trackers[pick].1, &name);
                    model.entry(name).or_default().insert(trackers[pick].0);
                }
            }
            assert_eq!(keys.len(), model.len());
            assert_eq!(keys.items(), model.values().map(BTreeSet::len).sum::<usize>());
        }
        let longest = keys.trackers.iter().map(|(_, t)| t.keys.len()).max();
        assert!(longest < Some(700), "a list of what was read is not tidied: {longest:?}");
    }
}
