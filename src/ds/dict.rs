//! [`Dict`]: a hash table of byte records, the form of big hashes (a payload per key) and big sets (none).
//!
//! *Duty:* owns its records, one block each, behind a [`Table`] of thin pointers, and lends slices of them out. Every
//! operation but the move to an arena (below) takes bounded time, whatever the dict holds.
//! *Does not know:* Redis, what a payload means, encodings.
//! *Invariants:* every handle of the table points at a record that `write_record` filled; a record's block has
//! `Blocks::class_size` of the record's length. Records of more than [`SMALL_MAX`] bytes are `large` from the first one
//! on, and freed with it; others come from the global allocator, or from the arena once there is one. So dropping walks
//! the records only while there is no arena.
//! *Counterpart in C Redis:* the `dict` of `sds` under `OBJ_ENCODING_HT`, three allocations a field.
//!
//! # A record
//! ```text
//! key length   1 byte; or 255 and 4 bytes
//! key
//! payload length, as the key's     } only in a dict with payloads
//! payload                          }
//! ```
//!
//! # The arena
//! Blocks of 8-byte classes cost less than the global allocator's, but a page of 16 KiB serves a single class, which
//! is a waste for a dict of a hundred records. So a dict begins with the global allocator and moves once, when it has
//! `ARENA_LEN` records or more that fill a page for each class they use; at `ARENA_ALWAYS` records in any case, so
//! that the move takes well below a millisecond. It stays there when it shrinks.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::blocks::{Blocks, LargeBlocks, SMALL_MAX};
use super::table::{self, Handle, Slot, Table, TableStats};
use crate::base::hash::HashSeed;
use crate::base::rng::Rng;

/// Records from which on an arena may pay.
const ARENA_LEN: usize = 1000;
/// Records at which the arena comes whatever it costs.
const ARENA_ALWAYS: usize = 8192;
/// Bytes of an arena's page.
const PAGE: usize = 16 * 1024;
/// A length field's first byte that says four more follow.
const LONG: u8 = u8::MAX;

/// See the module's header.
pub struct Dict {
    table: Table,
    seed: HashSeed,
    arena: Option<Box<Blocks>>,
    /// Bytes in blocks of up to `SMALL_MAX` from the global allocator.
    small_bytes: usize,
    large: LargeBlocks,
    /// The classes of small blocks ever used, a bit each.
    classes: u64,
    has_payloads: bool,
}

impl Dict {
    /// An empty dict with payloads; allocates nothing.
    pub fn new(seed: HashSeed) -> Dict {
        Dict::of_kind(seed, true)
    }

    /// An empty dict of keys alone: its records have no place for a payload, which is always empty.
    pub fn keys_only(seed: HashSeed) -> Dict {
        Dict::of_kind(seed, false)
    }

    /// An empty dict of the same kind and seed.
    pub fn fresh(&self) -> Dict {
        Dict::of_kind(self.seed, self.has_payloads)
    }

    fn of_kind(seed: HashSeed, has_payloads: bool) -> Dict {
        Dict {
            table: Table::new(),
            seed,
            arena: None,
            small_bytes: 0,
            large: LargeBlocks::default(),
            classes: 0,
            has_payloads,
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The hash of a key in this dict and in every other under the same seed.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.seed.hash(key)
    }

    /// A key's payload, empty in a dict of keys alone.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.get_hashed(self.hash(key), key)
    }

    /// [`get`](Dict::get) by a hash that is known already.
    #[inline]
    pub fn get_hashed(&self, hash: u64, key: &[u8]) -> Option<&[u8]> {
        let slot = self.slot(hash, key)?;
        Some(self.record(slot.handle()).payload(self.has_payloads))
    }

    #[inline]
    pub fn contains(&self, key: &[u8]) -> bool {
        self.slot(self.hash(key), key).is_some()
    }

    #[inline]
    pub fn contains_hashed(&self, hash: u64, key: &[u8]) -> bool {
        self.slot(hash, key).is_some()
    }

    /// The first key with this hash that `wanted` accepts: for indexes that remember hashes.
    pub fn find_by_hash(&self, hash: u64, mut wanted: impl FnMut(&[u8], &[u8]) -> bool) -> Option<(&[u8], &[u8])> {
        let mut is_it = |h| {
            let (key, payload) = self.record(h).parts(self.has_payloads);
            self.hash(key) == hash && wanted(key, payload)
        };
        let slot = self.table.find(hash, &mut is_it)?;
        Some(self.record(slot.handle()).parts(self.has_payloads))
    }

    /// A key's payload to be overwritten by one of the same length.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut [u8]> {
        let slot = self.slot(self.hash(key), key)?;
        let payload = self.record(slot.handle()).payload(self.has_payloads);
        // SAFETY: the bytes lie in a record of this dict, which is borrowed for writing; no other reference to them
        // is alive. The record was made by us from an exposed pointer, so it may be written through.
        Some(unsafe { std::slice::from_raw_parts_mut(payload.as_ptr().cast_mut(), payload.len()) })
    }

    /// Adds a key or gives it another payload. `true`: the key is new.
    pub fn insert(&mut self, key: &[u8], payload: &[u8]) -> bool {
        self.insert_hashed(self.hash(key), key, payload)
    }

    /// [`insert`](Dict::insert) by a hash that is known already.
    pub fn insert_hashed(&mut self, hash: u64, key: &[u8], payload: &[u8]) -> bool {
        debug_assert!(self.has_payloads || payload.is_empty(), "a dict of keys alone has no payloads");
        if let Some(slot) = self.slot(hash, key) {
            if self.has_payloads {
                self.overwrite(slot, key, payload);
            }
            return false;
        }
        if self.arena.is_none() && self.table.len() >= ARENA_LEN {
            self.consider_arena();
        }
        let at = self.add_record(key, payload);
        let seed = &self.seed;
        // SAFETY: handles of our own table point at live records.
        self.table.insert(hash, handle_of(at), |h| seed.hash(unsafe { Record::of(h) }.key()));
        true
    }

    /// Takes a key out; `false` if it was not there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        self.remove_hashed(self.hash(key), key)
    }

    pub fn remove_hashed(&mut self, hash: u64, key: &[u8]) -> bool {
        let Some(slot) = self.slot(hash, key) else {
            return false;
        };
        let at = pointer_of(self.table.remove(slot));
        self.free_record(at);
        true
    }

    /// All keys with their payloads, in no useful order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { handles: self.table.iter(), has_payloads: self.has_payloads, life: PhantomData }
    }

    /// One step of SCAN: calls `visit` for each record of a bucket and returns the next cursor, 0 at the end. See
    /// [`Table::scan`] for what is promised.
    pub fn scan<'a>(&'a self, cursor: u64, mut visit: impl FnMut(&'a [u8], &'a [u8])) -> u64 {
        self.table.scan(cursor, |h| {
            let (key, payload) = self.record(h).parts(self.has_payloads);
            visit(key, payload);
        })
    }

    /// A random record, each as likely as any other.
    pub fn random(&self, rng: &mut Rng) -> Option<(&[u8], &[u8])> {
        let handle = self.table.random(|| rng.next_u64())?;
        Some(self.record(handle).parts(self.has_payloads))
    }

    /// Visits up to `n` different records from neighbouring buckets: quick rather than fair, and maybe fewer.
    pub fn sample<'a>(&'a self, n: usize, rng: &mut Rng, mut visit: impl FnMut(&'a [u8], &'a [u8])) {
        let mut handles = Vec::new();
        self.table.sample(n, rng.next_u64(), &mut handles);
        for handle in handles {
            let (key, payload) = self.record(handle).parts(self.has_payloads);
            visit(key, payload);
        }
    }

    /// Step one of a batched lookup: asks for the bucket's cache line.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.table.prefetch_bucket(hash);
    }

    /// Step two, once the bucket has arrived: asks for the records that may be the wanted one.
    #[inline]
    pub fn prefetch_records(&self, hash: u64) {
        self.table.prefetch_candidates(hash);
    }

    /// Makes the table large enough at once, if the dict is empty.
    pub fn reserve(&mut self, expected: usize) {
        self.table.reserve(expected);
        if self.is_empty() && expected >= ARENA_ALWAYS {
            self.arena.get_or_insert_default();
        }
    }

    /// Puts growing and shrinking off while a child process shares the memory.
    pub fn hold_back_resize(&mut self, hold: bool) {
        self.table.hold_back_resize(hold);
    }

    /// Some due splits or merges after a time of holding back. `true`: there are more.
    pub fn rebalance(&mut self, steps: usize) -> bool {
        let seed = &self.seed;
        // SAFETY: handles of our own table point at live records.
        self.table.rebalance(steps, |h| seed.hash(unsafe { Record::of(h) }.key()))
    }

    /// Heap bytes held.
    pub fn memory(&self) -> usize {
        let arena = self.arena.as_ref().map_or(0, |blocks| size_of::<Blocks>() + blocks.held_bytes());
        self.table.memory_usage() + arena + self.small_bytes + self.large.bytes()
    }

    /// About how many calls of `free` it takes to drop the dict.
    pub fn free_effort(&self) -> usize {
        let small = match &self.arena {
            None => self.len() - self.large.count(),
            Some(blocks) => blocks.held_bytes() / (32 * PAGE),
        };
        self.table.free_effort() + small + self.large.count()
    }

    /// Figures for DEBUG HTSTATS-KEY.
    pub fn stats(&self) -> TableStats {
        self.table.stats()
    }

    #[inline]
    fn slot(&self, hash: u64, key: &[u8]) -> Option<Slot> {
        self.table.find(hash, |h| self.record(h).key() == key)
    }

    /// The record behind a handle of this dict's table.
    #[inline]
    fn record(&self, handle: Handle) -> Record<'_> {
        // SAFETY: handles of our own table point at live records, which nobody changes while the dict is borrowed.
        unsafe { Record::of(handle) }
    }

    /// Gives the record in `slot` another payload, in place if its block stays the same.
    fn overwrite(&mut self, slot: Slot, key: &[u8], payload: &[u8]) {
        let at = pointer_of(slot.handle());
        let old_len = self.record(slot.handle()).len(true);
        let key_len = counted_len(key);
        if Blocks::class_size(old_len) == Blocks::class_size(key_len + counted_len(payload)) {
            // SAFETY: the record is ours and borrowed for writing; the new payload ends within the same block and,
            // being somebody else's borrowed bytes, does not overlap it.
            unsafe { write_counted(at.add(key_len), payload) };
            return;
        }
        let moved = self.add_record(key, payload);
        self.table.replace(slot, handle_of(moved));
        self.free_record(at);
    }

    /// A block with a new record in it.
    fn add_record(&mut self, key: &[u8], payload: &[u8]) -> NonNull<u8> {
        let payload = self.has_payloads.then_some(payload);
        let len = counted_len(key) + payload.map_or(0, counted_len);
        let at = self.allocate(len);
        // SAFETY: a fresh block of this length overlaps nothing.
        unsafe { write_record(at, key, payload) };
        at
    }

    #[inline]
    fn allocate(&mut self, len: usize) -> NonNull<u8> {
        let size = Blocks::class_size(len);
        if len > SMALL_MAX {
            return self.large.alloc(size);
        }
        if let Some(arena) = &mut self.arena {
            return arena.alloc(len);
        }
        self.small_bytes += size;
        self.classes |= 1 << (size / 8 - 1);
        allocate_globally(size)
    }

    /// Frees the block of a record that the table has forgotten.
    fn free_record(&mut self, at: NonNull<u8>) {
        // SAFETY: the record was taken out of the table just now and is still whole.
        let len = unsafe { Record::of(handle_of(at)) }.len(self.has_payloads);
        let size = Blocks::class_size(len);
        if len > SMALL_MAX {
            // SAFETY: so long a record came from `large`; nobody uses it any more.
            return unsafe { self.large.free(at) };
        }
        if let Some(arena) = &mut self.arena {
            // SAFETY: with an arena every small block is of the arena; nobody uses it any more.
            return unsafe { arena.free(at, len) };
        }
        self.small_bytes -= size;
        // SAFETY: allocated by `allocate_globally` for this size: a record keeps its class while it is overwritten.
        unsafe { dealloc(at.as_ptr(), layout(size)) }
    }

    /// Moves to an arena if that pays now.
    #[cold]
    fn consider_arena(&mut self) {
        let pages = self.classes.count_ones() as usize;
        if self.small_bytes < pages * PAGE && self.table.len() < ARENA_ALWAYS {
            return;
        }
        let mut arena = Box::new(Blocks::new());
        let has_payloads = self.has_payloads;
        self.table.remap(|handle| {
            // SAFETY: a handle of our own table; its record is read before its block is freed.
            let len = unsafe { Record::of(handle) }.len(has_payloads);
            if len > SMALL_MAX {
                return handle;
            }
            let (old, new) = (pointer_of(handle), arena.alloc(len));
            // SAFETY: both blocks have `len` bytes, the new one is fresh. The old one was allocated globally, as
            // there was no arena, and the table gets the new one's address in place of it.
            unsafe {
                std::ptr::copy_nonoverlapping(old.as_ptr(), new.as_ptr(), len);
                dealloc(old.as_ptr(), layout(Blocks::class_size(len)));
            }
            handle_of(new)
        });
        self.small_bytes = 0;
        self.arena = Some(arena);
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        if self.arena.is_some() {
            return;
        }
        for handle in self.table.iter() {
            // SAFETY: each record is visited once, before its block is freed, and never read again.
            let len = unsafe { Record::of(handle) }.len(self.has_payloads);
            if len <= SMALL_MAX {
                // SAFETY: such a block was allocated globally with the size of its class.
                unsafe { dealloc(pointer_of(handle).as_ptr(), layout(Blocks::class_size(len))) }
            }
        }
    }
}

impl Clone for Dict {
    fn clone(&self) -> Dict {
        let mut copy = self.fresh();
        copy.reserve(self.len());
        self.iter().for_each(|(key, payload)| _ = copy.insert(key, payload));
        copy
    }
}

impl std::fmt::Debug for Dict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dict").field("len", &self.len()).field("has_payloads", &self.has_payloads).finish()
    }
}

/// See [`Dict::iter`].
pub struct Iter<'a> {
    handles: table::Iter<'a>,
    has_payloads: bool,
    life: PhantomData<&'a Dict>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let handle = self.handles.next()?;
        // SAFETY: a handle of the dict that is borrowed for 'a.
        let record: Record<'a> = unsafe { Record::of(handle) };
        Some(record.parts(self.has_payloads))
    }
}

/// A record, borrowed from its dict. Whether it has a payload, only the dict knows.
#[derive(Clone, Copy)]
struct Record<'a> {
    at: NonNull<u8>,
    life: PhantomData<&'a u8>,
}

impl<'a> Record<'a> {
    /// # Safety
    /// The handle points at a record that [`write_record`] filled and that nobody changes or frees for `'a`.
    #[inline]
    unsafe fn of(handle: Handle) -> Record<'a> {
        Record { at: pointer_of(handle), life: PhantomData }
    }

    /// Where the bytes counted by the length field at `offset` begin and end.
    #[inline]
    fn span(self, offset: usize) -> (usize, usize) {
        // SAFETY: `offset` is that of a length field of this record: 0, or the key's end where a payload is.
        unsafe {
            let field = self.at.add(offset);
            match field.read() {
                LONG => {
                    let len = u32::from_le_bytes(field.add(1).cast::<[u8; 4]>().read());
                    (offset + 5, offset + 5 + len as usize)
                }
                len => (offset + 1, offset + 1 + len as usize),
            }
        }
    }

    #[inline]
    fn bytes(self, (start, end): (usize, usize)) -> &'a [u8] {
        // SAFETY: `span` gives places inside the record, which were written and live for 'a.
        unsafe { std::slice::from_raw_parts(self.at.add(start).as_ptr(), end - start) }
    }

    #[inline]
    fn key(self) -> &'a [u8] {
        self.bytes(self.span(0))
    }

    #[inline]
    fn payload(self, exists: bool) -> &'a [u8] {
        if exists { self.bytes(self.span(self.span(0).1)) } else { &[] }
    }

    #[inline]
    fn parts(self, has_payload: bool) -> (&'a [u8], &'a [u8]) {
        (self.key(), self.payload(has_payload))
    }

    /// Bytes of the whole record.
    #[inline]
    fn len(self, has_payload: bool) -> usize {
        let key_end = self.span(0).1;
        if has_payload { self.span(key_end).1 } else { key_end }
    }
}

#[inline]
fn handle_of(at: NonNull<u8>) -> Handle {
    Handle::new(at.as_ptr().expose_provenance() as u64)
}

#[inline]
fn pointer_of(handle: Handle) -> NonNull<u8> {
    NonNull::new(std::ptr::with_exposed_provenance_mut(handle.bits() as usize)).expect("a handle is never zero")
}

/// Bytes of a length field and what it counts.
#[inline]
fn counted_len(bytes: &[u8]) -> usize {
    bytes.len() + if bytes.len() < LONG as usize { 1 } else { 5 }
}

/// # Safety
/// `at` is writable for `counted_len` of each part and overlaps neither.
#[inline]
unsafe fn write_record(at: NonNull<u8>, key: &[u8], payload: Option<&[u8]>) {
    // SAFETY: the caller's promise.
    unsafe {
        let end = write_counted(at, key);
        if let Some(payload) = payload {
            write_counted(end, payload);
        }
    }
}

/// Writes a length and the bytes; returns where they end.
///
/// # Safety
/// `at` is writable for `counted_len(bytes)` bytes, which do not overlap `bytes`.
#[inline]
unsafe fn write_counted(at: NonNull<u8>, bytes: &[u8]) -> NonNull<u8> {
    // SAFETY: the caller's promise.
    unsafe {
        let start = if bytes.len() < LONG as usize {
            at.write(bytes.len() as u8);
            at.add(1)
        } else {
            let len = u32::try_from(bytes.len()).expect("strings stay below 4 GiB");
            at.write(LONG);
            at.add(1).cast::<[u8; 4]>().write(len.to_le_bytes());
            at.add(5)
        };
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.as_ptr(), bytes.len());
        start.add(bytes.len())
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("sizes of blocks are sizes of things in memory")
}

fn allocate_globally(size: usize) -> NonNull<u8> {
    let layout = layout(size);
    // SAFETY: a block is never empty.
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

#[cfg(test)]
mod tests;
