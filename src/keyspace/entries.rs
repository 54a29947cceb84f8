//! [`Entries`]: the keys of one database, owned: a table of thin pointers and the arena of blocks behind them.
//!
//! *Duty:* lend entries out under the borrow checker's eye ([`EntryRef`], [`EntryMut`]), so that nobody above this
//! file meets a pointer. *Does not know:* expiry rules, events, databases.
//! *Invariants:* every pointer in the table is an entry that [`entry::write`] filled in a block of `blocks`;
//! `outside` counts the entries that own memory beside their block. Dropping walks the entries only if there are
//! such; otherwise the arena goes as a whole.
//! *Counterpart in C Redis:* `db->dict`.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use super::entry::{self, EntryCell, EntryRef, New, Stamp, Taken, View};
use crate::base::hash::HashSeed;
use crate::ds::blocks::Blocks;
use crate::ds::table::{Handle, Slot, Table};
use crate::value::Value;

pub struct Entries {
    table: Table,
    blocks: Blocks,
    seed: HashSeed,
    outside: usize,
}

/// The handle that the table keeps of an entry.
#[inline]
fn handle_of(at: NonNull<u8>) -> Handle {
    Handle::new(at.as_ptr() as usize as u64)
}

#[inline]
fn pointer_of(handle: Handle) -> NonNull<u8> {
    NonNull::new(handle.bits() as usize as *mut u8).expect("a handle is never zero")
}

/// The entry behind a handle.
///
/// # Safety
/// The handle comes from the table of the `Entries` that is borrowed for `'a`.
#[inline]
unsafe fn entry_of<'a>(handle: Handle) -> EntryRef<'a> {
    // SAFETY: the module's invariant.
    unsafe { EntryRef::from_ptr(pointer_of(handle)) }
}

impl Entries {
    pub fn new(seed: HashSeed) -> Entries {
        Entries { table: Table::new(), blocks: Blocks::new(), seed, outside: 0 }
    }

    /// An empty set of entries under the same seed.
    pub fn fresh(&self) -> Entries {
        Entries::new(self.seed)
    }

    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.seed.hash(key)
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    #[inline]
    fn slot(&self, hash: u64, key: &[u8]) -> Option<Slot> {
        // SAFETY: handles of our own table.
        self.table.find(hash, |h| unsafe { entry_of(h) }.key() == key)
    }

    #[inline]
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<EntryRef<'_>> {
        let slot = self.slot(hash, key)?;
        // SAFETY: a handle of our table, borrowed with `self`.
        Some(unsafe { entry_of(slot.handle()) })
    }

    #[inline]
    pub fn get_mut(&mut self, hash: u64, key: &[u8]) -> Option<EntryMut<'_>> {
        let slot = self.slot(hash, key)?;
        let at = pointer_of(slot.handle());
        Some(EntryMut { entries: self, slot, at })
    }

    /// The entry of `key` for writing, or, if there is none, the entries themselves back.
    #[inline]
    pub(super) fn get_or_self(&mut self, hash: u64, key: &[u8]) -> Result<EntryMut<'_>, &mut Entries> {
        match self.slot(hash, key) {
            Some(slot) => Ok(EntryMut { at: pointer_of(slot.handle()), entries: self, slot }),
            None => Err(self),
        }
    }

    /// The entry with these low 40 bits of its hash whose stamp names `record`.
    pub fn by_record(&mut self, partial: u64, record: u16) -> Option<EntryMut<'_>> {
        // SAFETY: handles of our own table.
        let is_it = |h| unsafe { entry_of(h) }.stamp().is_some_and(|s| s.record == record);
        let slot = self.table.find(partial, is_it)?;
        let at = pointer_of(slot.handle());
        Some(EntryMut { entries: self, slot, at })
    }

    /// Some entry with a stamp whose hash begins like `partial`, as far as the table can tell: where a record of the
    /// wheel leads, whichever deadline it stands for.
    pub fn stamped(&self, partial: u64) -> Option<EntryRef<'_>> {
        // SAFETY: handles of our own table.
        let slot = self.table.find(partial, |h| unsafe { entry_of(h) }.stamp().is_some())?;
        // SAFETY: a handle of our table, borrowed with `self`.
        Some(unsafe { entry_of(slot.handle()) })
    }

    /// The entry with these low 40 bits of its hash whose object `is_it` recognises.
    pub fn by_value(&mut self, partial: u64, is_it: impl Fn(&Value) -> bool) -> Option<EntryMut<'_>> {
        // SAFETY: handles of our own table.
        let slot = self.table.find(partial, |h| unsafe { entry_of(h) }.object().is_some_and(&is_it))?;
        let at = pointer_of(slot.handle());
        Some(EntryMut { entries: self, slot, at })
    }

    /// Adds a key that is not there.
    pub fn insert(&mut self, hash: u64, key: &[u8], stamp: Option<Stamp>, access: u32, value: New<'_>) {
        self.outside += value.owns_outside() as usize;
        let at = self.blocks.alloc(entry::needed(key, stamp.is_some(), &value));
        // SAFETY: a fresh block of the size needed overlaps nothing.
        unsafe { entry::write(at, key, stamp, access, value) };
        let seed = &self.seed;
        // SAFETY: handles of our own table.
        self.table.insert(hash, handle_of(at), |h| seed.hash(unsafe { entry_of(h) }.key()));
    }

    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.table.prefetch_bucket(hash);
    }

    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        self.table.prefetch_candidates(hash);
    }

    pub fn iter(&self) -> impl Iterator<Item = EntryRef<'_>> {
        // SAFETY: handles of our own table, borrowed with `self`.
        self.table.iter().map(|h| unsafe { entry_of(h) })
    }

    /// One step of SCAN: calls `visit` for each entry of a bucket and returns the next cursor, 0 at the end.
    pub fn scan<'a>(&'a self, cursor: u64, mut visit: impl FnMut(EntryRef<'a>)) -> u64 {
        // SAFETY: handles of our own table, borrowed with `self`.
        self.table.scan(cursor, |h| visit(unsafe { entry_of(h) }))
    }

    /// A random entry, each about as likely as any other. `random` gives random bits.
    pub fn random(&self, random: impl FnMut() -> u64) -> Option<EntryRef<'_>> {
        // SAFETY: a handle of our own table, borrowed with `self`.
        self.table.random(random).map(|h| unsafe { entry_of(h) })
    }

    /// Up to `n` entries that stand near each other at a random place: quick rather than fair, for the choice of
    /// victims. `room` is used to gather them.
    pub fn sample(&self, n: usize, random: u64, room: &mut Vec<Handle>, mut visit: impl FnMut(EntryRef<'_>)) {
        room.clear();
        self.table.sample(n, random, room);
        // SAFETY: handles of our own table, borrowed with `self`.
        room.iter().for_each(|&h| visit(unsafe { entry_of(h) }));
    }

    /// Room for so many keys at once, when a file of known size is about to be loaded.
    pub fn reserve(&mut self, expected: usize) {
        self.table.reserve(expected);
    }

    /// Some due splits or merges, after a time of holding back. `true`: there are more.
    pub fn rebalance(&mut self, steps: usize) -> bool {
        let seed = &self.seed;
        // SAFETY: handles of our own table.
        self.table.rebalance(steps, |h| seed.hash(unsafe { entry_of(h) }.key()))
    }

    /// Tells the table to put off growing and shrinking while a child process shares the memory.
    pub fn hold_back_resize(&mut self, hold: bool) {
        self.table.hold_back_resize(hold);
    }

    /// Bytes of table and arena held from the allocator.
    pub fn held_bytes(&self) -> usize {
        self.table.memory_usage() + self.blocks.held_bytes()
    }

    /// Of these, bytes of the arena that hold no entry at the moment.
    pub fn spare_bytes(&self) -> usize {
        self.blocks.held_bytes() - self.blocks.used_bytes()
    }

    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Some entries own memory that does not go with the arena.
    pub fn needs_walk(&self) -> bool {
        self.outside > 0 || self.blocks.large_blocks() > 0
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        if !self.needs_walk() {
            return;
        }
        for handle in self.table.iter() {
            let at = pointer_of(handle);
            // SAFETY: each entry is visited once and never read again. Small blocks go with the arena; a large one
            // is freed here, with the length that it was asked for.
            unsafe {
                let len = entry_of(handle).block_len();
                drop(EntryCell::from_ptr(at).take_outside());
                if len > crate::ds::blocks::SMALL_MAX {
                    self.blocks.free(at, len);
                }
            }
        }
    }
}

/// An entry borrowed for writing. It may move to another block while it is changed; the table follows.
pub struct EntryMut<'a> {
    entries: &'a mut Entries,
    slot: Slot,
    at: NonNull<u8>,
}

impl<'a> EntryMut<'a> {
    #[inline]
    fn cell(&mut self) -> EntryCell {
        // SAFETY: `entries` is borrowed for writing, so nobody else reads the entry.
        unsafe { EntryCell::from_ptr(self.at) }
    }

    #[inline]
    pub fn entry(&self) -> EntryRef<'_> {
        // SAFETY: the entry lives while `entries` is borrowed and `self` is not changed.
        unsafe { EntryRef::from_ptr(self.at) }
    }

    #[inline]
    pub fn into_entry(self) -> EntryRef<'a> {
        // SAFETY: the exclusive borrow ends in a shared one of the same life.
        unsafe { EntryRef::from_ptr(self.at) }
    }

    #[inline]
    pub fn set_access(&mut self, access: u32) {
        self.cell().set_access(access);
    }

    /// Replaces an integer in place; `false` when the entry holds something else.
    #[inline]
    pub fn set_int(&mut self, value: i64) -> bool {
        self.cell().set_int(value)
    }

    pub fn object_mut(&mut self) -> Option<&mut Value> {
        // SAFETY: the value is owned by the entry, which is borrowed for writing as long as `self` is.
        self.cell().object_mut().map(|v| unsafe { &mut *std::ptr::from_mut(v) })
    }

    /// Edits the value as a string of its own buffer, moving it there first if it lies in the entry.
    pub fn edit_string<R>(&mut self, edit: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let own = match self.entry().view() {
            View::Int(i) => {
                let mut digits = Vec::new();
                crate::base::num::write_i64(&mut digits, i);
                Some(digits)
            }
            View::Str(s) if self.entry().outside_len() == 0 => Some(s.to_vec()),
            _ => None,
        };
        if let Some(buffer) = own {
            let (stamp, access) = (self.entry().stamp(), self.entry().access());
            self.replace(stamp, access, New::Owned(buffer));
        }
        self.cell().edit_buffer(edit).expect("the value was just given a buffer")
    }

    /// Gives the entry another value and stamp; returns what the old value owned.
    pub fn replace(&mut self, stamp: Option<Stamp>, access: u32, value: New<'_>) -> Taken {
        let room = Blocks::class_size(self.entry().block_len());
        if self.entry().stamp().is_some() == stamp.is_some() {
            // SAFETY: the entry is ours alone; a value on its way in never lies inside an entry (`New::Bytes` from
            // another entry would need a shared borrow of `entries`).
            if unsafe { entry::overwrite_plain(self.at, room, access, &value) } {
                if let Some(stamp) = stamp {
                    self.cell().set_stamp(stamp);
                }
                return Taken::Plain;
            }
        }
        let taken = self.take_outside();
        self.entries.outside += value.owns_outside() as usize;
        self.rebuild(stamp, access, value);
        taken
    }

    /// Sets or removes the stamp; the block moves when it needs room for one, or gives it back.
    pub fn set_stamp(&mut self, stamp: Option<Stamp>) {
        match (self.entry().stamp(), stamp) {
            (Some(_), Some(stamp)) => self.cell().set_stamp(stamp),
            (None, None) => {}
            _ => {
                let at = self.entries.blocks.alloc(entry::restamped_len(self.entry(), stamp));
                // SAFETY: a fresh block of the size needed. The old one is freed unread, so that what lies outside is
                // owned once.
                unsafe { entry::write_restamped(at, self.entry(), stamp) };
                self.move_to(at);
            }
        }
    }

    /// Takes the key out of the table; returns what its value owned.
    pub fn remove(self) -> Taken {
        self.remove_and_lend().0
    }

    /// As [`EntryMut::remove`], and gives the entries back.
    pub(super) fn remove_and_lend(mut self) -> (Taken, &'a mut Entries) {
        let taken = self.take_outside();
        let len = self.entry().block_len();
        let entries = self.entries;
        entries.table.remove(self.slot);
        // SAFETY: the block came from this arena for an entry of this length; the table has forgotten it.
        unsafe { entries.blocks.free(self.at, len) };
        (taken, entries)
    }

    fn take_outside(&mut self) -> Taken {
        let taken = self.cell().take_outside();
        self.entries.outside -= !matches!(taken, Taken::Plain) as usize;
        taken
    }

    /// Writes the entry anew in a block of the right size. The old value's outside memory is not looked at.
    fn rebuild(&mut self, stamp: Option<Stamp>, access: u32, value: New<'_>) {
        let needed = entry::needed(self.entry().key(), stamp.is_some(), &value);
        let at = self.entries.blocks.alloc(needed);
        // SAFETY: a fresh block; the key is read from the old one, which is freed afterwards.
        unsafe { entry::write(at, self.entry().key(), stamp, access, value) };
        self.move_to(at);
    }

    /// The entry is in this block from now on, and the old one is free. Nothing outside belongs to the old one any more.
    fn move_to(&mut self, at: NonNull<u8>) {
        let old_len = self.entry().block_len();
        self.entries.table.replace(self.slot, handle_of(at));
        // SAFETY: the block came from this arena for an entry of this length; the table now has the new one.
        unsafe { self.entries.blocks.free(self.at, old_len) };
        self.at = at;
    }
}
