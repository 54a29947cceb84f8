//! [`Levels`]: the wheel proper.
//!
//! *Duty:* keeps records by deadline in four levels of slots and a far list, and moves them down as time comes near.
//! *Does not know:* ids of keys, clocks that go back (the owner starts a new one then), negative times.
//!
//! # Levels
//! ```text
//!  level        slot            the 24 bits of a record           reach
//!  0            16 ms           low bits of the deadline          4 to 8 seconds
//!  1            4,096 ms        low bits of the deadline          17 to 35 minutes
//!  2            2^20 ms         low bits of the deadline          3 to 6 days
//!  3            2^28 ms         low bits of the deadline / 16     2 to 4 years
//!  4: far list  -               the deadline / 2^28               for ever
//! ```
//! The upper bits of a deadline follow from the slot. Number n of a level covers the deadlines d with
//! `d >> shift == n`; it stands at index `n mod 512`. 256 slots of a level make one of the level above, so a level has
//! room for two of those: the current one, and the next, which is moved down ahead of time.
//!
//! # Invariants
//! * `tick` is the position in ticks of 16 ms; nothing earlier than it is in level 0. It runs up to the tick of
//!   the last `now` and waits there, or earlier when the budget does not suffice.
//! * `bound[k]` is one more than the last slot number of level k that is being or has been moved down: 1 or 2 above the
//!   current number `tick >> 8k`. A record is placed in the lowest level k with `d >> shift(k + 1) < bound[k + 1]`.
//! * So each level k > 0 holds numbers from `bound[k] - 1` (what is left of the slot being moved down) to below
//!   `256 * bound[k + 1]`, which is less than 512 numbers: no index stands for two of them.
//! * The position does not enter a slot of any level before that has been moved down entirely.

use super::pool::{Pool, Queue};
use super::{Fired, HASH_MASK, SlotId};
use crate::base::rng::Rng;

const TICK_BITS: u32 = 4;
const LEVEL_BITS: u32 = 8;
const LEVELS: usize = 4;
const FAR: usize = LEVELS;
/// Two slots' worth of the level above.
const SLOTS: usize = 2 << LEVEL_BITS;
const REMAINDER: u64 = (1 << 24) - 1;
const HASH_BITS: u32 = 40;

/// A record with its deadline spelt out.
#[derive(Clone, Copy)]
pub(super) struct Record {
    pub(super) deadline: u64,
    pub(super) hash40: u64,
}

impl Record {
    pub(super) fn fired(self) -> Fired {
        let tick = self.deadline >> TICK_BITS;
        Fired { hash40: self.hash40, id: SlotId((tick ^ tick >> 16 ^ tick >> 32) as u16) }
    }

    /// As stored in a level.
    fn pack(self, level: usize) -> u64 {
        let remainder = match level {
            0..=2 => self.deadline,
            3 => self.deadline >> TICK_BITS,
            _ => self.deadline >> shift(3),
        };
        (remainder & REMAINDER) << HASH_BITS | self.hash40
    }

    /// The record packed as `bits` in slot `number` of a level.
    fn unpack(bits: u64, level: usize, number: u64) -> Record {
        let remainder = bits >> HASH_BITS;
        let low = |remainder: u64| remainder & ((1 << shift(level)) - 1);
        let deadline = match level {
            0..=2 => number << shift(level) | low(remainder),
            3 => number << shift(level) | low(remainder << TICK_BITS),
            _ => remainder << shift(3),
        };
        Record { deadline, hash40: bits & HASH_MASK }
    }

    /// What packing and unpacking leave of it.
    fn rounded(self, level: usize) -> Record {
        let deadline = match level {
            0..=2 => self.deadline,
            3 => self.deadline >> TICK_BITS << TICK_BITS,
            _ => (self.deadline >> shift(3)).min(REMAINDER) << shift(3),
        };
        Record { deadline, ..self }
    }
}

/// Where a sweep over all records stands.
#[derive(Default)]
pub(super) struct Sweep {
    level: usize,
    index: usize,
    /// Records of this slot not looked at yet; `None` before the slot is entered.
    left: Option<usize>,
}

#[derive(Default)]
struct Level {
    /// Empty until used.
    slots: Box<[Queue]>,
    occupied: [u64; SLOTS / 64],
}

impl Level {
    fn queue(&mut self, number: u64) -> &mut Queue {
        if self.slots.is_empty() {
            self.slots = vec![Queue::EMPTY; SLOTS].into();
        }
        &mut self.slots[number as usize % SLOTS]
    }

    fn len(&self, number: u64) -> usize {
        self.slots.get(number as usize % SLOTS).map_or(0, Queue::len)
    }

    fn note_occupied(&mut self, number: u64) {
        let index = number as usize % SLOTS;
        let bit = 1 << (index % 64);
        if self.len(number) > 0 {
            self.occupied[index / 64] |= bit;
        } else {
            self.occupied[index / 64] &= !bit;
        }
    }

    /// The first occupied slot with a number of `base` or more.
    fn first_from(&self, base: u64) -> Option<u64> {
        let start = base as usize % SLOTS;
        let words = self.occupied.len();
        for step in 0..=words {
            let word = (start / 64 + step) % words;
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= !0 << (start % 64);
            } else if step == words {
                bits &= !(!0 << (start % 64));
            }
            if bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                return Some(base + ((index + SLOTS - start) % SLOTS) as u64);
            }
        }
        None
    }
}

/// A look at all records of the current tick's slot, which may take several calls: at its end nothing due is left.
struct Pass {
    /// Records from the front of the slot not looked at yet.
    left: usize,
    /// No record behind them has an earlier deadline.
    floor: u64,
}

pub(super) struct Levels {
    pool: Pool,
    levels: [Level; LEVELS],
    far: Queue,
    /// Records of the far list still to be looked at for the number `bound[FAR] - 1`.
    far_left: usize,
    len: usize,
    tick: u64,
    /// No record in the slot of the current tick has an earlier deadline.
    floor: u64,
    /// Goes on from call to call, or else a budget smaller than the slot would be spent on the same records again.
    pass: Option<Pass>,
    /// Index 0 is not used.
    bound: [u64; LEVELS + 1],
}

impl Default for Levels {
    fn default() -> Levels {
        Levels {
            pool: Pool::default(),
            levels: Default::default(),
            far: Queue::EMPTY,
            far_left: 0,
            len: 0,
            tick: 0,
            floor: 0,
            pass: None,
            bound: [1; LEVELS + 1],
        }
    }
}

impl Levels {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The first millisecond that records can be placed at.
    pub(super) fn position(&self) -> u64 {
        self.tick << TICK_BITS
    }

    /// Starts at `now`; there must be no records.
    pub(super) fn restart(&mut self, now: u64) {
        debug_assert_eq!(self.len, 0);
        self.set_tick(now >> TICK_BITS);
        for level in 1..=FAR {
            self.bound[level] = self.current(level) + 2;
        }
        self.far_left = 0;
    }

    /// Moves the position back to `now` if that takes no more than that, or if it is not ahead of `now` at all.
    pub(super) fn step_back(&mut self, now: u64) -> bool {
        let tick = now >> TICK_BITS;
        if tick < self.tick && tick >> LEVEL_BITS == self.current(1) {
            self.set_tick(tick);
        }
        tick >= self.tick
    }

    /// Whether a record, placed here, would keep its id.
    pub(super) fn can_keep(&self, record: Record) -> bool {
        let is_far = record.deadline >> shift(FAR) >= self.bound[FAR];
        record.deadline >= self.position() && (!is_far || record.rounded(FAR).deadline == record.deadline)
    }

    /// Files a record whose deadline is not before the position.
    pub(super) fn place(&mut self, record: Record) -> SlotId {
        debug_assert!(record.deadline >= self.position());
        let is_home = |&level: &usize| record.deadline >> shift(level + 1) < self.bound[level + 1];
        let level = (0..LEVELS).find(is_home).unwrap_or(FAR);
        let record = record.rounded(level);
        if level == FAR {
            self.pool.push(&mut self.far, record.pack(FAR));
        } else {
            let number = record.deadline >> shift(level);
            if level == 0 && number == self.tick {
                self.floor = self.floor.min(record.deadline);
                if let Some(pass) = &mut self.pass {
                    pass.floor = pass.floor.min(record.deadline);
                }
            }
            let home = &mut self.levels[level];
            self.pool.push(home.queue(number), record.pack(level));
            home.note_occupied(number);
        }
        self.len += 1;
        record.fired().id
    }

    /// A lower bound of all deadlines.
    pub(super) fn earliest(&self) -> Option<u64> {
        let far_number = self.bound[FAR] - u64::from(self.far_left > 0);
        let far = (!self.far.is_empty()).then(|| far_number << shift(FAR));
        let start_of = |level: usize| Some(self.levels[level].first_from(self.base(level))? << shift(level));
        let nearest = match start_of(0) {
            Some(start) if start == self.position() => Some(self.floor),
            other => other,
        };
        (1..LEVELS).filter_map(start_of).chain(far).chain(nearest).min()
    }

    /// Fires what is due and moves down what comes near. True if there is more to do.
    pub(super) fn advance(&mut self, now: u64, budget: &mut usize, fired: &mut Vec<Fired>) -> bool {
        let now_tick = now >> TICK_BITS;
        if self.len == 0 || now_tick < self.tick {
            return false;
        }
        loop {
            let earliest = self.earliest().map_or(u64::MAX, |earliest| earliest >> TICK_BITS);
            let target = earliest.max(self.tick).min(now_tick);
            let number_at = |level: usize| target >> (LEVEL_BITS * level as u32);
            let in_the_way = |&level: &usize| self.is_moving(level) && self.bound[level] <= number_at(level) + 1;
            if let Some(level) = (1..=FAR).rev().find(in_the_way) {
                if *budget == 0 {
                    return true;
                }
                self.move_down(level, now, budget, fired);
                continue;
            }
            if target != self.tick {
                self.step_to(target);
                continue;
            }
            if self.levels[0].len(target) == 0 || target == now_tick && self.floor > now {
                break;
            }
            if *budget == 0 {
                return true;
            }
            self.fire(now, budget, fired);
        }
        self.look_ahead();
        for level in (1..=FAR).rev() {
            if self.is_moving(level) {
                self.move_down(level, now, budget, fired);
            }
        }
        (1..=FAR).any(|level| self.is_moving(level)) || self.earliest().is_some_and(|earliest| earliest <= now)
    }

    /// Takes out any record.
    pub(super) fn pop_any(&mut self) -> Option<Record> {
        for level in 0..LEVELS {
            if let Some(number) = self.levels[level].first_from(self.base(level)) {
                return self.pop(level, number);
            }
        }
        let bits = self.pool.pop(&mut self.far)?;
        self.len -= 1;
        Some(Record::unpack(bits, FAR, 0))
    }

    /// Looks at about `budget` records from where `sweep` stands and drops those not to be kept. False at the end.
    pub(super) fn sweep(&mut self, sweep: &mut Sweep, budget: usize, mut keep: impl FnMut(Record) -> bool) -> bool {
        let mut budget = budget;
        while sweep.level <= FAR {
            if budget == 0 {
                return true;
            }
            let level = sweep.level;
            let number = if level == FAR { 0 } else { self.number_at_index(level, sweep.index) };
            let len = if level == FAR { self.far.len() } else { self.levels[level].len(number) };
            let left = sweep.left.unwrap_or(len).min(len);
            if left == 0 {
                sweep.left = None;
                sweep.index += 1;
                if level == FAR || sweep.index == SLOTS || self.levels[level].slots.is_empty() {
                    (sweep.level, sweep.index) = (level + 1, 0);
                }
                continue;
            }
            let looked_at = self.sweep_chunk(level, number, &mut keep);
            if level == 0 && number == self.tick {
                // What was at the front is at the end, unseen by the pass.
                self.pass = None;
            }
            budget = budget.saturating_sub(looked_at);
            sweep.left = Some(left.saturating_sub(looked_at));
        }
        false
    }

    /// The hash of a random record; see [`Pool::random`].
    pub(super) fn random(&self, rng: &mut Rng) -> Option<u64> {
        self.pool.random(rng).map(|bits| bits & HASH_MASK)
    }

    pub(super) fn memory_usage(&self) -> usize {
        let slots: usize = self.levels.iter().map(|level| level.slots.len()).sum();
        self.pool.memory_usage() + slots * size_of::<Queue>()
    }

    /// The slot number of the current tick.
    fn current(&self, level: usize) -> u64 {
        self.tick >> (LEVEL_BITS * level as u32)
    }

    /// The lowest number that can be in a level.
    fn base(&self, level: usize) -> u64 {
        if level == 0 { self.tick } else { self.bound[level] - 1 }
    }

    fn number_at_index(&self, level: usize, index: usize) -> u64 {
        let base = self.base(level);
        base + ((index + SLOTS - base as usize % SLOTS) % SLOTS) as u64
    }

    /// Whether a slot of this level has been begun to be moved down, and not finished.
    fn is_moving(&self, level: usize) -> bool {
        if level == FAR { self.far_left > 0 } else { self.levels[level].len(self.bound[level] - 1) > 0 }
    }

    fn set_tick(&mut self, tick: u64) {
        self.tick = tick;
        self.floor = self.position();
        self.pass = None;
    }

    /// Sets the position, beyond which there are no records, to a later tick; the slots this enters are to be moved
    /// down next.
    fn step_to(&mut self, tick: u64) {
        self.set_tick(tick);
        for level in 1..=FAR {
            let current = self.current(level);
            if self.bound[level] <= current {
                self.begin_move(level, current);
            }
        }
    }

    /// Begins to move down the slot after the current one of every level where this has not happened yet.
    fn look_ahead(&mut self) {
        for level in 1..=FAR {
            let next = self.current(level) + 1;
            if self.bound[level] == next && !self.is_moving(level) {
                self.begin_move(level, next);
            }
        }
    }

    fn begin_move(&mut self, level: usize, number: u64) {
        self.bound[level] = number + 1;
        if level == FAR {
            self.far_left = self.far.len();
        }
    }

    /// Moves records of the slot being moved down to where they belong now.
    fn move_down(&mut self, level: usize, now: u64, budget: &mut usize, fired: &mut Vec<Fired>) {
        if level == FAR {
            return self.look_through_far(now, budget, fired);
        }
        let number = self.bound[level] - 1;
        while *budget > 0 {
            let Some(record) = self.pop(level, number) else { return };
            *budget -= 1;
            self.fire_or_place(record, now, fired);
        }
    }

    fn look_through_far(&mut self, now: u64, budget: &mut usize, fired: &mut Vec<Fired>) {
        while *budget > 0 && self.far_left > 0 {
            let (records, len) = self.pool.pop_chunk(&mut self.far);
            *budget = budget.saturating_sub(len);
            self.far_left = self.far_left.saturating_sub(len);
            self.len -= len;
            for &bits in &records[..len] {
                self.fire_or_place(Record::unpack(bits, FAR, 0), now, fired);
            }
        }
    }

    fn fire_or_place(&mut self, record: Record, now: u64, fired: &mut Vec<Fired>) {
        if record.deadline <= now {
            fired.push(record.fired());
        } else {
            self.place(record);
        }
    }

    /// Fires what is due in the slot of the current tick.
    fn fire(&mut self, now: u64, budget: &mut usize, fired: &mut Vec<Fired>) {
        let number = self.tick;
        if number < now >> TICK_BITS {
            while *budget > 0 {
                let Some(record) = self.pop(0, number) else { return };
                *budget -= 1;
                fired.push(record.fired());
            }
            return;
        }
        let len = self.levels[0].len(number);
        let mut pass = self.pass.take().unwrap_or(Pass { left: len, floor: u64::MAX });
        pass.left = pass.left.min(len);
        while pass.left > 0 && *budget > 0 {
            let looked_at = self.sweep_chunk(0, number, &mut |record| {
                if record.deadline <= now {
                    fired.push(record.fired());
                } else {
                    pass.floor = pass.floor.min(record.deadline);
                }
                record.deadline > now
            });
            pass.left = pass.left.saturating_sub(looked_at);
            *budget = budget.saturating_sub(looked_at);
        }
        if pass.left == 0 {
            self.floor = pass.floor;
        } else {
            self.pass = Some(pass);
        }
    }

    fn pop(&mut self, level: usize, number: u64) -> Option<Record> {
        let home = &mut self.levels[level];
        let bits = self.pool.pop(home.queue(number))?;
        home.note_occupied(number);
        self.len -= 1;
        Some(Record::unpack(bits, level, number))
    }

    /// Takes the first chunk of a slot and puts back, at its end, what is to be kept. How many there were.
    fn sweep_chunk(&mut self, level: usize, number: u64, keep: &mut impl FnMut(Record) -> bool) -> usize {
        let queue = if level == FAR { &mut self.far } else { self.levels[level].queue(number) };
        let (records, len) = self.pool.pop_chunk(queue);
        for &bits in &records[..len] {
            if keep(Record::unpack(bits, level, number)) {
                self.pool.push(queue, bits);
            } else {
                self.len -= 1;
            }
        }
        if level != FAR {
            self.levels[level].note_occupied(number);
        } else if self.far_left > 0 {
            // The order has changed, so what was looked at is no longer known.
            self.far_left = self.far.len();
        }
        len
    }
}

/// Bits of a deadline below the slot number of a level.
fn shift(level: usize) -> u32 {
    TICK_BITS + LEVEL_BITS * level as u32
}
