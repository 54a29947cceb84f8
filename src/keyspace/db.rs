//! [`Db`]: one database: its entries and the timing wheel of their deadlines.
//!
//! *Duty:* keep entries, stamps and wheel in step. *Does not know:* other databases, events, replication.
//! *Counterpart in C Redis:* `redisDb`.
//!
//! Deadlines. Every key that expires has one record in the wheel that fires at its deadline *or before*. The record
//! holds no pointer, only 40 bits of the key's hash, and an id; the entry's stamp holds the id of the one record that
//! counts. So a key that goes away leaves its record behind (it fires and finds nothing), and a deadline that moves
//! back keeps its record (it fires early and is filed anew). Only a deadline that moves forward needs a second one.
//! Left-behind records are counted, and swept when they are the majority. Deadlines of hash fields: see [`fields`].

mod fields;

pub use fields::Lapsed;

use self::fields::HashWheel;
use super::entries::{Entries, EntryMut};
use super::entry::{EntryRef, New, Stamp, Taken};
use crate::base::hash::HashSeed;
use crate::base::millis::Millis;
use crate::base::rng::Rng;
use crate::ds::table::Handle;
use crate::ds::wheel::{Fired, Wheel};

/// What happens to a key's deadline when its value is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expire {
    Keep,
    Clear,
    At(Millis),
}

pub struct Db {
    pub entries: Entries,
    wheel: Wheel,
    /// Keys with a deadline.
    volatile: usize,
    /// Sum of all deadlines, from which INFO's average TTL follows without a sample.
    deadline_sum: i128,
    fired: Vec<Fired>,
    hashes: HashWheel,
}

/// Which keys a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    All,
    /// Those with a deadline.
    Volatile,
}

/// Records drawn in search of one that leads to a key: most of those that do not are swept sooner or later.
const RANDOM_DRAWS: usize = 32;
/// Left-behind records up to this many are not worth a sweep.
const STALE_FLOOR: usize = 4096;

impl Db {
    pub fn new(seed: HashSeed) -> Db {
        Db::of(Entries::new(seed))
    }

    fn of(entries: Entries) -> Db {
        Db {
            entries,
            wheel: Wheel::new(),
            volatile: 0,
            deadline_sum: 0,
            fired: Vec::new(),
            hashes: HashWheel::default(),
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn volatile(&self) -> usize {
        self.volatile
    }

    /// Mean time to live of the keys that have one, in ms; 0 when there are none.
    pub fn average_ttl(&self, now: Millis) -> i64 {
        match self.volatile {
            0 => 0,
            n => ((self.deadline_sum / n as i128) as i64).saturating_sub(now.0).max(0),
        }
    }

    /// How late the oldest overdue key is, in ms.
    pub fn expire_lag(&self, now: Millis) -> i64 {
        self.wheel.lag(now)
    }

    /// No record is left, not even of keys that went away.
    pub fn wheel_is_empty(&self) -> bool {
        self.wheel.is_empty() && self.hashes.is_empty()
    }

    pub fn wheel_bytes(&self) -> usize {
        self.wheel.memory_usage() + self.hashes.memory_usage()
    }

    /// An empty database that can take the place of this one.
    pub fn fresh(&self) -> Db {
        Db::of(self.entries.fresh())
    }

    /// An empty database in place of this one; what was there is returned, to be freed wherever is best.
    pub fn take(&mut self) -> Db {
        let fresh = self.fresh();
        std::mem::replace(self, fresh)
    }

    /// Sets a key's value; returns what the old value owned, if there was one.
    pub fn put(&mut self, key: &[u8], value: New<'_>, expire: Expire, access: u32, now: Millis) -> Option<Taken> {
        match self.set(self.entries.hash(key), key, value, expire, |_| access, now) {
            Met::Nothing => None,
            Met::Live(taken) | Met::Overdue(taken) => Some(taken),
        }
    }

    /// As [`Db::put`] of a key with this hash, and says what was there before. `access` makes the new access bits of the
    /// old ones.
    #[inline]
    pub fn set(
        &mut self,
        hash: u64,
        key: &[u8],
        mut value: New<'_>,
        expire: Expire,
        access: impl FnOnce(Option<u32>) -> u32,
        now: Millis,
    ) -> Met {
        let Db { entries, wheel, volatile, deadline_sum, hashes, .. } = self;
        hashes.adopt(&mut value, hash, now);
        let mut deadlines = Deadlines { wheel, volatile, deadline_sum };
        match entries.get_mut(hash, key) {
            Some(mut entry) => {
                let old = entry.entry().stamp();
                let stamp = match expire {
                    Expire::Keep => old,
                    Expire::Clear => deadlines.moved(old, None, hash, now),
                    Expire::At(at) => deadlines.moved(old, Some(at), hash, now),
                };
                let overdue = entry.entry().is_expired(now);
                let access = access(Some(entry.entry().access()));
                let taken = entry.replace(stamp, access, value);
                hashes.left(&taken);
                if overdue { Met::Overdue(taken) } else { Met::Live(taken) }
            }
            None => {
                let stamp = match expire {
                    Expire::At(at) => deadlines.moved(None, Some(at), hash, now),
                    _ => None,
                };
                entries.insert(hash, key, stamp, access(None), value);
                Met::Nothing
            }
        }
    }

    /// Sets or clears a key's deadline; `false` when there is no such key.
    pub fn set_deadline(&mut self, key: &[u8], deadline: Option<Millis>, now: Millis) -> bool {
        let (mut place, _) = self.place(self.entries.hash(key), key, Millis(i64::MIN), now);
        place.set_deadline(deadline)
    }

    /// Takes a key out, whatever its deadline.
    pub fn remove(&mut self, key: &[u8]) -> Option<Taken> {
        let (mut place, overdue) = self.place(self.entries.hash(key), key, Millis(i64::MIN), Millis(0));
        overdue.or_else(|| place.take())
    }

    /// The entry of `key`, which has this hash, or, if its deadline has passed at `now`, what is left after taking it out.
    #[inline(always)]
    pub fn live(&mut self, hash: u64, key: &[u8], now: Millis) -> Live<'_> {
        let Db { entries, wheel, volatile, deadline_sum, hashes, .. } = self;
        match entries.get_mut(hash, key) {
            None => Live::Absent,
            Some(entry) if !entry.entry().is_expired(now) => Live::Present(entry),
            Some(entry) => {
                Deadlines { wheel, volatile, deadline_sum }.moved(entry.entry().stamp(), None, hash, now);
                let taken = entry.remove();
                hashes.left(&taken);
                Live::Expired(taken)
            }
        }
    }

    /// Where `key`, which has this hash, is or would be, and what a key in this place left that was overdue at
    /// `deadline`, which is `now` or, for who takes no notice of deadlines, long ago.
    // A place is large, and so it is made where it is used.
    #[inline(always)]
    pub fn place(&mut self, hash: u64, key: &[u8], deadline: Millis, now: Millis) -> (Place<'_>, Option<Taken>) {
        let Db { entries, wheel, volatile, deadline_sum, hashes, .. } = self;
        let mut deadlines = Deadlines { wheel, volatile, deadline_sum };
        let mut taken = None;
        let spot = match entries.get_or_self(hash, key) {
            Ok(entry) if !entry.entry().is_expired(deadline) => Spot::There(entry),
            Ok(entry) => {
                deadlines.moved(entry.entry().stamp(), None, hash, now);
                let (left, entries) = entry.remove_and_lend();
                hashes.left(&left);
                taken = Some(left);
                Spot::Free(entries)
            }
            Err(entries) => Spot::Free(entries),
        };
        (Place { spot, deadlines, hashes, hash, now }, taken)
    }

    /// Takes out overdue keys, at most `budget` steps of work: `expired` sees each key before it goes, and then what
    /// its value owned. `true`: there may be more.
    pub fn expire_some(&mut self, now: Millis, budget: usize, mut expired: impl FnMut(Overdue<'_>)) -> bool {
        let mut fired = std::mem::take(&mut self.fired);
        let progress = self.wheel.advance(now, budget, &mut fired);
        for window in 0..fired.len().div_ceil(PREFETCH) {
            let chunk = &fired[window * PREFETCH..fired.len().min((window + 1) * PREFETCH)];
            chunk.iter().for_each(|f| self.entries.prefetch_bucket(f.hash40));
            chunk.iter().for_each(|f| self.entries.prefetch_entry(f.hash40));
            for f in chunk {
                self.expire_one(f, now, &mut expired);
            }
        }
        fired.clear();
        self.fired = fired;
        self.sweep(budget);
        progress.more
    }

    fn expire_one(&mut self, fired: &Fired, now: Millis, expired: &mut impl FnMut(Overdue<'_>)) {
        let Db { entries, wheel, volatile, deadline_sum, .. } = self;
        let Some(mut entry) = entries.by_record(fired.hash40, fired.id.0) else {
            wheel.forget_stale();
            return;
        };
        let stamp = entry.entry().stamp().expect("found by its stamp");
        if stamp.deadline > now {
            let record = wheel.file(now, fired.hash40, stamp.deadline).0;
            entry.set_stamp(Some(Stamp { record, ..stamp }));
            return;
        }
        expired(Overdue::Key(entry.entry()));
        *volatile -= 1;
        *deadline_sum -= stamp.deadline.0 as i128;
        expired(Overdue::Value(entry.remove()));
    }

    /// Throws records out that no entry counts on any more, when they are the majority.
    fn sweep(&mut self, budget: usize) {
        if self.wheel.stale() > STALE_FLOOR && self.wheel.stale() * 2 > self.wheel.len() {
            let entries = &mut self.entries;
            self.wheel.compact(budget, |hash40, id| entries.by_record(hash40, id.0).is_some());
        }
    }

    /// Up to `n` random entries, of all or of those with a deadline. Where few have one, they are found through the
    /// wheel, so that no time is spent on the others.
    pub fn sample(
        &self,
        who: Among,
        n: usize,
        rng: &mut Rng,
        room: &mut Vec<Handle>,
        mut visit: impl FnMut(EntryRef<'_>),
    ) {
        if who == Among::All || self.volatile == self.len() {
            return self.entries.sample(n, rng.next_u64(), room, visit);
        }
        if self.volatile * 2 < self.len() {
            let hashes = (0..n.min(self.volatile)).filter_map(|_| self.wheel.random(rng));
            return hashes.filter_map(|hash| self.entries.stamped(hash)).for_each(visit);
        }
        let mut left = n;
        self.entries.sample(n * 2, rng.next_u64(), room, |entry| {
            if left > 0 && entry.stamp().is_some() {
                left -= 1;
                visit(entry);
            }
        });
    }

    /// A random entry, each about as likely as any other.
    pub fn random(&self, who: Among, rng: &mut Rng) -> Option<EntryRef<'_>> {
        if who == Among::All || self.volatile == self.len() {
            return self.entries.random(|| rng.next_u64());
        }
        (0..RANDOM_DRAWS).find_map(|_| self.entries.stamped(self.wheel.random(rng)?))
    }

    /// The first entry with a deadline from a random place on: for who must have one and has drawn in vain.
    pub fn any_volatile(&self, rng: &mut Rng) -> Option<EntryRef<'_>> {
        if self.volatile == 0 {
            return None;
        }
        let start = rng.index(self.len());
        let mut stamped = self.entries.iter().enumerate().filter(|(_, entry)| entry.stamp().is_some());
        let first = stamped.next()?;
        let later = if first.0 >= start { None } else { stamped.find(|(place, _)| *place >= start) };
        Some(later.unwrap_or(first).1)
    }

    /// When the next record that may matter fires at the earliest.
    pub fn next_deadline(&self, now: Millis) -> Option<Millis> {
        let keys = if self.volatile > 0 { self.wheel.next_due(now) } else { None };
        let fields = if self.hashes.is_empty() { None } else { self.hashes.next_due(now) };
        keys.into_iter().chain(fields).min()
    }
}

const PREFETCH: usize = 16;

/// An overdue key on its way out.
pub enum Overdue<'a> {
    Key(EntryRef<'a>),
    Value(Taken),
}

/// What a new value met in its place, and what that owned.
pub enum Met {
    Nothing,
    Live(Taken),
    /// A key whose deadline had passed: for everybody but the table it was gone already.
    Overdue(Taken),
}

/// What a lookup met.
pub enum Live<'a> {
    Absent,
    Present(EntryMut<'a>),
    /// The key was overdue and is gone; this is what its value owned.
    Expired(Taken),
}

/// The place of one key, borrowed together with the books of its database.
pub struct Place<'a> {
    pub(super) spot: Spot<'a>,
    deadlines: Deadlines<'a>,
    hashes: &'a mut HashWheel,
    hash: u64,
    now: Millis,
}

/// What is in a [`Place`].
pub(super) enum Spot<'a> {
    There(EntryMut<'a>),
    Free(&'a mut Entries),
    /// The key was taken out; the place is of no more use.
    Left,
}

impl Place<'_> {
    #[inline]
    pub fn entry(&self) -> Option<EntryRef<'_>> {
        match &self.spot {
            Spot::There(entry) => Some(entry.entry()),
            Spot::Free(_) | Spot::Left => None,
        }
    }

    /// Gives the key this value; a key that is there keeps its deadline and access bits.
    pub(super) fn set(&mut self, key: &[u8], access: u32, mut value: New<'_>) {
        self.hashes.adopt(&mut value, self.hash, self.now);
        match &mut self.spot {
            Spot::There(entry) => {
                let (stamp, access) = (entry.entry().stamp(), entry.entry().access());
                let taken = entry.replace(stamp, access, value);
                self.hashes.left(&taken);
            }
            Spot::Free(entries) => entries.insert(self.hash, key, None, access, value),
            Spot::Left => unreachable!("nothing is set in a place that was left"),
        }
    }

    /// Gives the key a deadline or takes it from it; `false` when there is no key.
    pub fn set_deadline(&mut self, deadline: Option<Millis>) -> bool {
        let Spot::There(entry) = &mut self.spot else { return false };
        let stamp = self.deadlines.moved(entry.entry().stamp(), deadline, self.hash, self.now);
        entry.set_stamp(stamp);
        true
    }

    /// Takes the key out, if it is there; returns what its value owned.
    pub fn take(&mut self) -> Option<Taken> {
        let Spot::There(entry) = std::mem::replace(&mut self.spot, Spot::Left) else { return None };
        self.deadlines.moved(entry.entry().stamp(), None, self.hash, self.now);
        let taken = entry.remove();
        self.hashes.left(&taken);
        Some(taken)
    }

    /// The value that lies here was changed: the key goes if it is empty now, and its fields' deadlines are looked at.
    pub(super) fn changed(&mut self) {
        let Spot::There(entry) = &mut self.spot else { return };
        let Some(value) = entry.object_mut() else { return };
        if value.is_gone() {
            self.take();
        } else if let Some(deadlines) = value.field_deadlines_mut() {
            self.hashes.file(deadlines, self.hash, self.now);
        }
    }
}

/// The books of a database's deadlines, apart from its entries.
struct Deadlines<'a> {
    wheel: &'a mut Wheel,
    volatile: &'a mut usize,
    deadline_sum: &'a mut i128,
}

impl Deadlines<'_> {
    /// Books a change of deadline and returns the stamp that the entry must carry.
    fn moved(&mut self, old: Option<Stamp>, new: Option<Millis>, hash: u64, now: Millis) -> Option<Stamp> {
        if let Some(stamp) = old {
            *self.volatile -= 1;
            *self.deadline_sum -= stamp.deadline.0 as i128;
        }
        let Some(deadline) = new else {
            if old.is_some() {
                self.wheel.note_stale();
            }
            return None;
        };
        *self.volatile += 1;
        *self.deadline_sum += deadline.0 as i128;
        let record = match old {
            Some(stamp) if deadline >= stamp.deadline => stamp.record,
            _ => {
                if old.is_some() {
                    self.wheel.note_stale();
                }
                self.wheel.file(now, hash, deadline).0
            }
        };
        Some(Stamp { deadline, record })
    }
}
