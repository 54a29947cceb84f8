//! [`Wheel`]: a hierarchical timing wheel of deadlines, for active expiry.
//!
//! *Duty:* hands out what is due, in about the order of deadlines, at some nine bytes per deadline, with filing and
//! firing in constant time and every step bounded by a budget.
//! *Does not know:* keys, or where they are. A record is 40 bits of the key's hash (what [`super::table`] needs to look
//! a key up) and 24 bits of deadline; which record of a key counts is told by the [`SlotId`] the owner keeps with it.
//! *Invariants:* records fire never late beyond the budget; they fire early only if the deadline was rounded (by up to
//! 16 ms if it is more than some days ahead, by up to three days if it is years ahead), and then the owner, who knows
//! the deadline itself and asks it, files them again: what a record stands for does not expire early. A record fires
//! with the `SlotId` that [`Wheel::file`] returned for it. See `levels` for those of the wheel itself.
//! *Counterpart in C Redis:* the `expires` dict and the sampling of `activeExpireCycle`.
//!
//! # Changing a deadline
//! Records cannot be found again, so a deadline is never taken back: the owner files the new one and keeps its id
//! instead; the old record, when it fires, has another id than the key and is dropped. (Two deadlines may share an id
//! by chance, one in 65,536. Then the old record is taken for the real one; if it comes too early, that is the
//! ordinary case of a record that is filed again.) [`Wheel::note_stale`] counts such leftovers, so that the owner can
//! [`Wheel::compact`] when they are many.

mod levels;
mod pool;

use crate::base::millis::Millis;
use crate::base::rng::Rng;
use levels::{Levels, Record};

/// The bits of a hash that a record holds.
pub const HASH_MASK: u64 = (1 << 40) - 1;

/// Tells the records of one key apart. Derived from the deadline as the wheel remembers it, so moving a record from
/// level to level does not change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotId(pub u16);

/// A record whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired {
    /// The low 40 bits of the key's hash.
    pub hash40: u64,
    pub id: SlotId,
}

/// Whether there is work left that could have been done with a larger budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub more: bool,
}

/// See the module's header.
#[derive(Default)]
pub struct Wheel {
    levels: Levels,
    /// What was in the wheel when the clock was set back: filed again little by little, as its position is ahead of
    /// deadlines to come.
    set_aside: Vec<Levels>,
    stale: usize,
    sweep: Option<levels::Sweep>,
}

impl Wheel {
    /// An empty wheel; allocates nothing.
    pub fn new() -> Wheel {
        Wheel::default()
    }

    /// Records held, stale ones included.
    pub fn len(&self) -> usize {
        self.levels.len() + self.set_aside.iter().map(Levels::len).sum::<usize>()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Remembers that the key with this hash is due at `deadline`. The id is to be kept with the key.
    pub fn file(&mut self, now: Millis, hash: u64, deadline: Millis) -> SlotId {
        let (now, deadline) = (unsigned(now), unsigned(deadline));
        if self.levels.len() == 0 {
            self.levels.restart(now);
        } else if deadline < self.levels.position() && !self.levels.step_back(now) {
            let behind = std::mem::take(&mut self.levels);
            self.levels.restart(now);
            self.set_aside.push(behind);
            self.sweep = None;
        }
        let deadline = deadline.max(self.levels.position());
        self.levels.place(Record { deadline, hash40: hash & HASH_MASK })
    }

    /// Appends what is due at `now` to `fired`. `budget` bounds the work, counted in records fired, moved or looked
    /// at (up to 15 more may be looked at).
    pub fn advance(&mut self, now: Millis, budget: usize, fired: &mut Vec<Fired>) -> Progress {
        let now = unsigned(now);
        let mut budget = budget;
        let mut more = self.levels.advance(now, &mut budget, fired);
        for index in (0..self.set_aside.len()).rev() {
            more |= refile(&mut self.levels, &mut self.set_aside[index], now, &mut budget, fired);
            if self.set_aside[index].len() == 0 {
                self.set_aside.swap_remove(index);
            }
        }
        Progress { more }
    }

    /// When [`Wheel::advance`] should be called at the latest: a lower bound of the earliest deadline, or `now`.
    pub fn next_due(&self, now: Millis) -> Option<Millis> {
        let earliest = self.earliest()?;
        Some(Millis(i64::try_from(earliest).unwrap_or(i64::MAX)).max(now))
    }

    /// By how many milliseconds at most the oldest due record is late.
    pub fn lag(&self, now: Millis) -> i64 {
        let is_due = self.earliest().filter(|&earliest| earliest <= unsigned(now));
        let since = |earliest: u64| unsigned(now).saturating_sub(earliest.max(self.levels.position()));
        is_due.map_or(0, |earliest| since(earliest) as i64)
    }

    /// The owner has overwritten or deleted a key whose record is still in here.
    pub fn note_stale(&mut self) {
        self.stale += 1;
    }

    /// A record that fired was such a leftover.
    pub fn forget_stale(&mut self) {
        self.stale = self.stale.saturating_sub(1);
    }

    /// Stale records that are still in here, as far as the owner has told.
    pub fn stale(&self) -> usize {
        self.stale.min(self.len())
    }

    /// Goes on with a sweep over all records, dropping those that `keep` denies; looks at about `budget` of them. Call
    /// it until there is no more; the next call then starts a new sweep. Records that change their place in between
    /// may be missed or seen twice.
    pub fn compact(&mut self, budget: usize, mut keep: impl FnMut(u64, SlotId) -> bool) -> Progress {
        let mut sweep = self.sweep.take().unwrap_or_default();
        let mut dropped = 0;
        let more = self.levels.sweep(&mut sweep, budget, |record| {
            let kept = keep(record.hash40, record.fired().id);
            dropped += usize::from(!kept);
            kept
        });
        self.stale = self.stale.saturating_sub(dropped);
        self.sweep = more.then_some(sweep);
        Progress { more }
    }

    /// The low 40 bits of the hash of a random record, stale ones included; each record is about as likely as the
    /// others. `None`: there is none, or they lie so thin that none was met.
    pub fn random(&self, rng: &mut Rng) -> Option<u64> {
        let mut place = rng.index(self.len());
        for levels in std::iter::once(&self.levels).chain(&self.set_aside) {
            if place < levels.len() {
                return levels.random(rng);
            }
            place -= levels.len();
        }
        None
    }

    /// Bytes held from the allocator.
    pub fn memory_usage(&self) -> usize {
        let aside = self.set_aside.capacity() * size_of::<Levels>();
        self.levels.memory_usage() + aside + self.set_aside.iter().map(Levels::memory_usage).sum::<usize>()
    }

    fn earliest(&self) -> Option<u64> {
        let aside = self.set_aside.iter().filter_map(Levels::earliest);
        self.levels.earliest().into_iter().chain(aside).min()
    }
}

/// Moves records from `behind` to `levels`. Those that would lose their id there for being years ahead stay, and fire
/// from where they are. True if there is more to do.
fn refile(levels: &mut Levels, behind: &mut Levels, now: u64, budget: &mut usize, fired: &mut Vec<Fired>) -> bool {
    while *budget > 0 {
        let Some(record) = behind.pop_any() else { return false };
        *budget -= 1;
        if record.deadline <= now {
            fired.push(record.fired());
        } else if levels.can_keep(record) {
            levels.place(record);
        } else {
            behind.place(record);
            return behind.advance(now, budget, fired);
        }
    }
    true
}

/// Times before 1970 are all equally past.
fn unsigned(time: Millis) -> u64 {
    time.0.max(0) as u64
}

#[cfg(test)]
mod tests;
