//! [`Table`]: the SCAN-safe hash set under the keyspace and under big sets and hashes.
//!
//! *Duty:* finds a [`Handle`] (a 48-bit number, in practice a thin pointer to an entry) by the hash of its key with
//! one cache miss for the bucket and one for the entry, at some ten bytes per key, and grows and shrinks one bucket
//! at a time, so that no insert is ever slow and no second table ever exists.
//! *Does not know:* what a handle points at, or how keys are hashed or compared: hashes and an `eq` come in with
//! each call. It never follows a handle (it does prefetch it) and never frees what it stands for.
//! *Uses only the low 40 bits of a hash* (32 for the bucket, the next 8 for the tag), so that [`super::wheel`], which
//! remembers 40 bits, can look a key up.
//! *Invariants:* in a chain every node but the last is full; an overflow node holds at least two entries; a free
//! lane has tag 0. `tests::check` verifies them.
//! *Counterpart in C Redis:* `dict.c`.
//!
//! # Layout
//! A bucket is one cache line of up to nine entries. A full bucket gives up its last lane for a child, an overflow
//! node of the same layout cut short: 32, 48 or 64 bytes for three, six or nine entries (small ones, because most
//! chains are one or two entries too long; a third of the table's slack was there).
//! ```text
//!  byte 0          8    9      10       16            58       64
//!      +---+-- --+---+------+--------+--------+-- --+--------+
//!      | t0|     | t8| meta | handle0| handle1|     | handle8|
//!      +---+-- --+---+------+--------+--------+-- --+--------+
//!  t: bits 32..40 of the hash, 1 instead of 0; 0 = the lane is free (also of a lane beyond a short node's end)
//!  meta: bit 7: handle8 is the address of a child node (t8 is 0 then); bits 0..4: lanes missing in a short node
//! ```
//! The first 16 bytes are compared with the wanted tag at once. A handle is read as the upper 48 bits of the eight
//! bytes that start two before it, which never leaves the node.
//!
//! # Growing: linear hashing
//! With N buckets and 2^L <= N < 2^(L+1), a key lives in bucket `hash mod 2^(L+1)` if there is one, else in
//! `hash mod 2^L`. Bucket N is made by splitting bucket `N - 2^L`, so buckets split in order, whichever is fullest,
//! and the load (entries per bucket) stays where `LOAD_EIGHTHS` wants it at every size. A merge is the reverse and
//! needs no hash, since tags do not depend on N. Buckets stand in segments of 64 KiB behind a small directory;
//! nothing is copied when they become more, except while the first segment is still growing to its full size.
#![allow(unsafe_code)]

mod walk;

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::num::NonZeroU64;
use std::ptr::NonNull;

pub use walk::{Iter, TableStats};

/// Entries per bucket, in eighths, above which a bucket is split.
///
/// Memory against entries that cost a second cache miss, measured at 600 thousand / 1 million / 1.2 million entries:
/// 56 gives 10.6 / 10.3 / 10.6 bytes per entry with 13 / 10 / 13 % of them in overflow nodes, 62 gives 10.0 / 9.6 /
/// 10.0 with 15 / 12 / 15 %, 68 gives 9.4 / 9.4 / 9.4 with 17 / 18 / 17 %. The times of lookups differ less than
/// they scatter.
const LOAD_EIGHTHS: usize = 62;
/// A table with fewer entries than this share of its splitting point merges buckets.
const SHRINK_EIGHTHS: usize = 5;
/// How far beyond its splitting point a table held back may go before it splits all the same.
const HELD_BACK_FACTOR: usize = 3;
/// Buckets per segment.
const SEGMENT: usize = 1024;
const BUCKET_BYTES: usize = 64;
/// N stays below what 32 bits of hash can tell apart.
const BUCKETS_MAX: usize = 1 << 31;
/// Lanes of a full-sized node; the last one doubles as the child pointer.
const LANES: usize = 9;
const LAST: usize = LANES - 1;
const ALL_LANES: u32 = (1 << LANES) - 1;
/// Offsets within a node.
const META: usize = 9;
const HANDLES: usize = 10;
const CHAINED: u8 = 0x80;
const MISSING_LANES: u8 = 0x0f;

/// What the table stores: 48 bits, never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(NonZeroU64);

impl Handle {
    /// Panics if `bits` is zero or has more than 48 bits.
    #[inline]
    pub fn new(bits: u64) -> Handle {
        assert!(bits >> 48 == 0, "a handle has 48 bits");
        Handle(NonZeroU64::new(bits).expect("a handle is never zero"))
    }

    #[inline]
    pub fn bits(self) -> u64 {
        self.0.get()
    }

    /// Asks for the cache line this handle points at. Harmless for handles that are no pointers.
    #[inline]
    pub fn prefetch(self) {
        prefetch(self.bits());
    }
}

/// Where a handle is. Good until the next change of the table; used later it names some other entry or panics.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    handle: Handle,
    bucket: u32,
    /// How many nodes down the chain, shifted by four, and the lane there.
    place: u32,
}

impl Slot {
    /// The handle that was found here.
    #[inline]
    pub fn handle(self) -> Handle {
        self.handle
    }

    #[inline]
    fn lane(self) -> usize {
        (self.place & 15) as usize
    }
}

/// See the module's header.
pub struct Table {
    /// The first segment; dangling while `first_capacity` is 0.
    first: NonNull<u8>,
    /// All further segments, each of full size.
    rest: Vec<NonNull<u8>>,
    len: usize,
    overflow_bytes: usize,
    /// N.
    buckets: u32,
    /// The smallest 2^k - 1 that is no less than N - 1.
    mask: u32,
    first_capacity: u16,
    held_back: bool,
}

// SAFETY: the table owns its nodes and nothing else; handles are numbers to it. No access goes through `&Table`
// that writes.
unsafe impl Send for Table {}

impl Default for Table {
    fn default() -> Table {
        Table::new()
    }
}

impl Table {
    /// An empty table; allocates nothing.
    pub const fn new() -> Table {
        Table {
            first: NonNull::dangling(),
            rest: Vec::new(),
            len: 0,
            overflow_bytes: 0,
            buckets: 0,
            mask: 0,
            first_capacity: 0,
            held_back: false,
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn bucket_count(&self) -> usize {
        self.buckets as usize
    }

    /// Bytes held from the allocator.
    pub fn memory_usage(&self) -> usize {
        let segments = (self.first_capacity as usize + self.rest.len() * SEGMENT) * BUCKET_BYTES;
        segments + self.overflow_bytes + self.rest.capacity() * size_of::<NonNull<u8>>()
    }

    /// About how many frees it takes to drop it: one for each overflow node and segment, and the buckets, which are all
    /// looked at for such nodes, some of them for one free.
    pub fn free_effort(&self) -> usize {
        const NODE_BYTES: usize = 40;
        const BUCKETS_PER_FREE: usize = 2;
        1 + self.rest.len() + self.overflow_bytes / NODE_BYTES + self.buckets as usize / BUCKETS_PER_FREE
    }

    /// The entry with this hash that `eq` recognises. `eq` is asked about one entry in 30 in vain.
    #[inline]
    pub fn find(&self, hash: u64, mut eq: impl FnMut(Handle) -> bool) -> Option<Slot> {
        if self.len == 0 {
            return None;
        }
        let bucket = self.index(hash);
        let tag = tag_of(hash);
        let mut node = self.bucket(bucket);
        let mut depth = 0;
        loop {
            let mut matching = node.lanes_with(tag);
            while matching != 0 {
                let lane = matching.trailing_zeros() as usize;
                let handle = node.handle(lane);
                if eq(handle) {
                    return Some(Slot { handle, bucket: bucket as u32, place: depth << 4 | lane as u32 });
                }
                matching &= matching - 1;
            }
            node = node.child()?;
            depth += 1;
        }
    }

    /// The handle now in `slot`.
    #[inline]
    pub fn get(&self, slot: Slot) -> Handle {
        self.node_of(slot).handle(slot.lane())
    }

    /// Puts `handle`, whose key has the same hash, in the place of the one in `slot`, which is returned.
    #[inline]
    pub fn replace(&mut self, slot: Slot, handle: Handle) -> Handle {
        let node = self.node_of(slot);
        let old = node.handle(slot.lane());
        node.set_handle(slot.lane(), handle);
        old
    }

    /// Adds an entry that is not in the table yet (the table does not look). `rehash` gives the hash of any entry
    /// in the table; it is called for some two buckets' worth of them when a split is due.
    #[inline]
    pub fn insert(&mut self, hash: u64, handle: Handle, rehash: impl Fn(Handle) -> u64) {
        if self.len >= split_point(self.buckets as usize) {
            self.grow(rehash);
        }
        let node = self.bucket(self.index(hash));
        let free = node.free_lanes_of_bucket();
        if free != 0 {
            node.set(free.trailing_zeros() as usize, tag_of(hash), handle);
        } else {
            self.insert_overflow(node, tag_of(hash), handle);
        }
        self.len += 1;
    }

    /// Takes the entry in `slot` out.
    #[inline]
    pub fn remove(&mut self, slot: Slot) -> Handle {
        let node = self.node_of(slot);
        let handle = node.handle(slot.lane());
        let bucket = self.bucket(slot.bucket as usize);
        if bucket.is_chained() {
            self.remove_chained(bucket, node, slot.lane());
        } else {
            node.clear(slot.lane());
        }
        self.len -= 1;
        if self.len < merge_point(self.buckets as usize) && !self.held_back {
            self.rebalance_down(2);
        }
        handle
    }

    /// Forbids or allows resizing. Forbidden while a forked child shares the memory: then a table only splits when
    /// it is loaded threefold, and never merges.
    pub fn hold_back_resize(&mut self, hold: bool) {
        self.held_back = hold;
    }

    /// Does up to `steps` splits or merges that are due (after a time of being held back, say). True if more are.
    pub fn rebalance(&mut self, steps: usize, rehash: impl Fn(Handle) -> u64) -> bool {
        if self.held_back {
            return false;
        }
        for _ in 0..steps {
            if self.len > 0 && self.len >= split_point(self.buckets as usize) {
                self.split(&rehash);
            }
        }
        self.rebalance_down(steps);
        self.len > split_point(self.buckets as usize) || self.len < merge_point(self.buckets as usize)
    }

    /// Makes room for `expected` entries at once, if the table is empty: for loading a file of known size.
    pub fn reserve(&mut self, expected: usize) {
        if self.len > 0 || expected == 0 {
            return;
        }
        while split_point(self.buckets as usize) < expected && (self.buckets as usize) < BUCKETS_MAX {
            self.push_bucket();
        }
    }

    /// Forgets all entries and frees the table's memory. What the handles stand for is the caller's.
    pub fn clear(&mut self) {
        drop(self.take());
    }

    /// The table with all its entries, leaving an empty one: to free or hand to another thread.
    pub fn take(&mut self) -> Table {
        let mut empty = Table::new();
        empty.held_back = self.held_back;
        std::mem::replace(self, empty)
    }

    /// Asks for the cache line of the bucket this hash belongs to: step one of a batched lookup.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        if self.buckets != 0 {
            self.bucket(self.index(hash)).prefetch();
        }
    }

    /// Asks for the entry that is likely the wanted one, or, if it is not in the bucket, for the overflow node: step
    /// two, once the bucket has arrived.
    #[inline]
    pub fn prefetch_candidates(&self, hash: u64) {
        if self.buckets == 0 {
            return;
        }
        let node = self.bucket(self.index(hash));
        // No branch may depend on a bucket that is on its way: a wrong guess would wait for it, and all buckets behind
        // it with it. Without a match the last lane is taken, which in a chained bucket is the overflow node's address.
        let lane = (node.lanes_with(tag_of(hash)).trailing_zeros() as usize).min(LAST);
        prefetch(node.handle_bits(lane));
    }

    /// The bucket a hash belongs to.
    #[inline]
    fn index(&self, hash: u64) -> usize {
        let index = hash as u32 & self.mask;
        let folded = index & (self.mask >> 1);
        (if index >= self.buckets { folded } else { index }) as usize
    }

    #[inline]
    fn bucket(&self, index: usize) -> Node {
        debug_assert!(index < self.buckets as usize);
        let segment = if index < SEGMENT {
            self.first
        } else {
            // SAFETY: there is a segment for every bucket below `buckets`, and `index` is below it: `index()` and
            // `random_index()` give no other, `node_of` asserts it, loops run up to it.
            unsafe { *self.rest.get_unchecked(index / SEGMENT - 1) }
        };
        // SAFETY: the segment has room for this bucket, see above.
        Node(unsafe { segment.add(index % SEGMENT * BUCKET_BYTES) })
    }

    /// The node a slot is in, after making sure that there is such an entry.
    #[inline]
    fn node_of(&self, slot: Slot) -> Node {
        assert!(slot.bucket < self.buckets, "stale slot");
        let mut node = self.bucket(slot.bucket as usize);
        for _ in 0..slot.place >> 4 {
            node = node.child().expect("a slot is used before the next change");
        }
        assert!(node.used_lanes() & (1 << slot.lane()) != 0, "stale slot");
        node
    }

    /// Called when an insert finds the table at its splitting point. Two splits at most, so that a table that was
    /// held back catches up without ever making an insert slow.
    #[inline(never)]
    fn grow(&mut self, rehash: impl Fn(Handle) -> u64) {
        if self.held_back && self.buckets > 0 && self.len < split_point(self.buckets as usize) * HELD_BACK_FACTOR {
            return;
        }
        self.split(&rehash);
        if self.len >= split_point(self.buckets as usize) {
            self.split(&rehash);
        }
    }

    /// Adds bucket N and moves to it what belongs there.
    ///
    /// The hash of every entry of the old bucket is needed, so each of them would be a cache miss. But the order of
    /// splits is known: this split asks for the entries of the bucket whose turn is next and for the line of the
    /// bucket after that, some inserts before they are needed.
    fn split(&mut self, rehash: &impl Fn(Handle) -> u64) {
        let new = self.buckets as usize;
        if new == 0 {
            return self.push_bucket();
        }
        if new == BUCKETS_MAX {
            return;
        }
        let bit = 1usize << new.ilog2();
        self.push_bucket();
        let (old, target) = (self.bucket(new - bit), self.bucket(new));
        let overflow = old.unlink_child();
        for lane in lanes(old.used_lanes()) {
            let handle = old.handle(lane);
            if rehash(handle) as usize & bit != 0 {
                target.set(target.free_lanes().trailing_zeros() as usize, old.tag(lane), handle);
                old.clear(lane);
            }
        }
        let mut next = overflow;
        while let Some(node) = next {
            for lane in lanes(node.used_lanes()) {
                let handle = node.handle(lane);
                let home = if rehash(handle) as usize & bit != 0 { target } else { old };
                self.place(home, node.tag(lane), handle);
            }
            next = node.child();
            self.free_node(node);
        }
        self.prefetch_splits(new + 1);
    }

    fn prefetch_splits(&self, new: usize) {
        let next = new - (1 << new.ilog2());
        for node in self.bucket(next).chain() {
            node.prefetch_entries();
        }
        let after_next = self.bucket(next + 1);
        after_next.prefetch();
    }

    /// Up to `steps` merges, if there are few enough entries.
    fn rebalance_down(&mut self, steps: usize) {
        for _ in 0..steps {
            if self.buckets <= 1 || self.len >= merge_point(self.buckets as usize) {
                return;
            }
            self.merge();
        }
    }

    /// Moves the entries of the last bucket back to the one it was split from.
    fn merge(&mut self) {
        let last = self.buckets as usize - 1;
        let home = self.bucket(last - (1 << last.ilog2()));
        let mut next = Some(self.bucket(last));
        while let Some(node) = next {
            for lane in lanes(node.used_lanes()) {
                self.place(home, node.tag(lane), node.handle(lane));
            }
            next = node.child();
            if node.0 != self.bucket(last).0 {
                self.free_node(node);
            }
        }
        self.pop_bucket();
    }

    /// Puts an entry into a bucket's chain.
    fn place(&mut self, bucket: Node, tag: u8, handle: Handle) {
        let free = bucket.free_lanes_of_bucket();
        if free != 0 {
            bucket.set(free.trailing_zeros() as usize, tag, handle);
        } else {
            self.insert_overflow(bucket, tag, handle);
        }
    }

    /// Puts an entry into the last node of the chain of a full bucket, making that node larger, or a new one, if
    /// there is no room in it.
    #[inline(never)]
    fn insert_overflow(&mut self, bucket: Node, tag: u8, handle: Handle) {
        let mut parent = bucket;
        let mut tail = bucket;
        while let Some(child) = tail.child() {
            (parent, tail) = (tail, child);
        }
        if tail.free_lanes() == 0 {
            if tail.lane_count() < LANES {
                tail = self.resize_node(parent, tail, tail.lane_count() + 3);
            } else {
                let child = self.allocate_node(3);
                child.set(0, tail.tag(LAST), tail.handle(LAST));
                tail.clear(LAST);
                tail.link_child(child);
                tail = child;
            }
        }
        tail.set(tail.free_lanes().trailing_zeros() as usize, tag, handle);
    }

    /// Takes an entry out of a chain of several nodes: the gap is filled from the last node, which becomes smaller or
    /// goes away when it can.
    #[inline(never)]
    fn remove_chained(&mut self, bucket: Node, node: Node, lane: usize) {
        let mut parent = bucket;
        let mut tail = bucket;
        while let Some(child) = tail.child() {
            (parent, tail) = (tail, child);
        }
        node.clear(lane);
        if node.0 != tail.0 {
            let from = tail.used_lanes().trailing_zeros() as usize;
            node.set(lane, tail.tag(from), tail.handle(from));
            tail.clear(from);
        }
        match (tail.used_lanes().count_ones(), tail.lane_count()) {
            (1, _) => {
                let from = tail.used_lanes().trailing_zeros() as usize;
                parent.unlink_child();
                parent.set(LAST, tail.tag(from), tail.handle(from));
                self.free_node(tail);
            }
            (..=2, 4..) => drop(self.resize_node(parent, tail, 3)),
            (..=4, 7..) => drop(self.resize_node(parent, tail, 6)),
            _ => (),
        }
    }

    /// Replaces the last node of a chain by one with `lane_count` lanes.
    fn resize_node(&mut self, parent: Node, tail: Node, lane_count: usize) -> Node {
        let other = self.allocate_node(lane_count);
        for (to, lane) in lanes(tail.used_lanes()).enumerate() {
            other.set(to, tail.tag(lane), tail.handle(lane));
        }
        parent.link_child(other);
        self.free_node(tail);
        other
    }

    /// Overflow nodes come from the global allocator one by one: it has these size classes without waste, and gives
    /// emptied memory back, which a pool of our own would have to be taught.
    fn allocate_node(&mut self, lane_count: usize) -> Node {
        let layout = node_layout(lane_count);
        self.overflow_bytes += layout.size();
        // SAFETY: the layout has a size.
        let node = Node(allocated(unsafe { alloc(layout) }, layout));
        node.erase(layout.size());
        node.set_meta((LANES - lane_count) as u8);
        node
    }

    fn free_node(&mut self, node: Node) {
        let layout = node_layout(node.lane_count());
        self.overflow_bytes -= layout.size();
        // SAFETY: an overflow node, allocated with the layout of its lane count; the caller has unlinked it.
        unsafe { dealloc(node.0.as_ptr(), layout) }
    }

    /// Makes room for bucket N, empties it and counts it in.
    fn push_bucket(&mut self) {
        let new = self.buckets as usize;
        if new < SEGMENT {
            if new == self.first_capacity as usize {
                // Steps of an eighth to a quarter, like the allocator's size classes.
                let step = if new < 8 { 1 } else { (1 << new.ilog2()) / 4 };
                self.resize_first(new + step);
            }
        } else if new.is_multiple_of(SEGMENT) {
            let layout = segment_layout(SEGMENT);
            // SAFETY: the layout has a size.
            self.rest.push(allocated(unsafe { alloc(layout) }, layout));
        }
        self.buckets += 1;
        self.mask = self.buckets.next_power_of_two() - 1;
        self.bucket(new).erase(BUCKET_BYTES);
    }

    /// Counts the last bucket, which is empty, out, and frees its segment if it was alone there.
    fn pop_bucket(&mut self) {
        self.buckets -= 1;
        self.mask = self.buckets.next_power_of_two() - 1;
        let buckets = self.buckets as usize;
        if buckets >= SEGMENT {
            if buckets.is_multiple_of(SEGMENT) {
                let segment = self.rest.pop().expect("the last bucket's segment");
                // SAFETY: allocated in `push_bucket` with this layout; no bucket is left in it.
                unsafe { dealloc(segment.as_ptr(), segment_layout(SEGMENT)) }
            }
        } else if buckets * 2 <= self.first_capacity as usize {
            self.resize_first(buckets + buckets / 4);
        }
    }

    fn resize_first(&mut self, capacity: usize) {
        let (old, new) = (segment_layout(self.first_capacity as usize), segment_layout(capacity));
        let memory = if self.first_capacity == 0 {
            // SAFETY: the layout has a size: capacities asked for are at least 1.
            unsafe { alloc(new) }
        } else {
            // SAFETY: `first` was allocated with `old`, and `new` has the same alignment and a size.
            unsafe { realloc(self.first.as_ptr(), old, new.size()) }
        };
        self.first = allocated(memory, new);
        self.first_capacity = capacity as u16;
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if self.overflow_bytes > 0 {
            for index in 0..self.buckets as usize {
                let mut next = self.bucket(index).child();
                while let Some(node) = next {
                    next = node.child();
                    self.free_node(node);
                }
            }
        }
        for segment in self.rest.drain(..) {
            // SAFETY: allocated in `push_bucket` with this layout.
            unsafe { dealloc(segment.as_ptr(), segment_layout(SEGMENT)) }
        }
        if self.first_capacity > 0 {
            // SAFETY: allocated in `resize_first` with this layout.
            unsafe { dealloc(self.first.as_ptr(), segment_layout(self.first_capacity as usize)) }
        }
    }
}

/// A bucket or overflow node that is alive.
///
/// Its methods are safe to call inside this module because a `Node` is only ever made from a bucket below N or from a
/// node just allocated or linked, is not kept across a change that frees it, and has at least 32 bytes of which all
/// that belong to existing lanes are initialised. Lanes passed in are below the node's lane count.
#[derive(Clone, Copy)]
struct Node(NonNull<u8>);

impl Node {
    /// The used lanes whose tag is `tag`, or the free and missing ones if `tag` is 0.
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
    #[inline(always)]
    fn lanes_with(self, tag: u8) -> u32 {
        use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
        // SAFETY: a node has at least 32 initialised bytes; sse2 is there, see the cfg.
        let equal = unsafe {
            let tags = _mm_loadu_si128(self.0.as_ptr().cast());
            _mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8(tag as i8)))
        };
        equal as u32 & ALL_LANES
    }

    #[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
    #[inline(always)]
    fn lanes_with(self, tag: u8) -> u32 {
        self.lanes_with_portable(tag)
    }

    /// The same without vector instructions.
    #[cfg(any(test, not(all(target_arch = "x86_64", target_feature = "sse2"))))]
    fn lanes_with_portable(self, tag: u8) -> u32 {
        (0..LANES).filter(|&lane| self.tag(lane) == tag).fold(0, |mask, lane| mask | 1 << lane)
    }

    #[inline]
    fn used_lanes(self) -> u32 {
        !self.lanes_with(0) & ALL_LANES
    }

    /// Free lanes of a bucket, which has all nine unless it is chained.
    #[inline]
    fn free_lanes_of_bucket(self) -> u32 {
        self.lanes_with(0) & !(u32::from(self.is_chained()) << LAST)
    }

    /// Free lanes of any node.
    fn free_lanes(self) -> u32 {
        let existing = (1 << self.lane_count()) - 1;
        self.free_lanes_of_bucket() & existing
    }

    fn lane_count(self) -> usize {
        LANES - (self.meta() & MISSING_LANES) as usize
    }

    #[inline]
    fn tag(self, lane: usize) -> u8 {
        // SAFETY: lanes are below 9, a node has more bytes than that.
        unsafe { self.0.add(lane).read() }
    }

    /// The handle of a lane, or, of a lane that is free, whatever it held last.
    #[inline]
    fn handle_bits(self, lane: usize) -> u64 {
        // SAFETY: the eight bytes end where the lane's handle does, inside the node, and start within its head.
        u64::from_le(unsafe { self.0.add(HANDLES - 2 + 6 * lane).cast::<u64>().read_unaligned() }) >> 16
    }

    #[inline]
    fn handle(self, lane: usize) -> Handle {
        let bits = self.handle_bits(lane);
        debug_assert!(bits != 0);
        // SAFETY: the lane is in use or holds the child's address: written by `set_handle`, never zero.
        Handle(unsafe { NonZeroU64::new_unchecked(bits) })
    }

    #[inline]
    fn set_handle(self, lane: usize, handle: Handle) {
        // SAFETY: as in `handle`; the two bytes before the handle are written back as they were.
        unsafe {
            let at = self.0.add(HANDLES - 2 + 6 * lane).cast::<u64>();
            let before = u64::from_le(at.read_unaligned()) & 0xffff;
            at.write_unaligned((before | handle.bits() << 16).to_le());
        }
    }

    #[inline]
    fn set_tag(self, lane: usize, tag: u8) {
        // SAFETY: as in `tag`.
        unsafe { self.0.add(lane).write(tag) }
    }

    #[inline]
    fn set(self, lane: usize, tag: u8, handle: Handle) {
        self.set_handle(lane, handle);
        self.set_tag(lane, tag);
    }

    #[inline]
    fn clear(self, lane: usize) {
        self.set_tag(lane, 0);
    }

    #[inline]
    fn meta(self) -> u8 {
        // SAFETY: inside the node's head.
        unsafe { self.0.add(META).read() }
    }

    fn set_meta(self, meta: u8) {
        // SAFETY: inside the node's head.
        unsafe { self.0.add(META).write(meta) }
    }

    fn erase(self, bytes: usize) {
        // SAFETY: called on a fresh node with its size.
        unsafe { self.0.write_bytes(0, bytes) }
    }

    #[inline]
    fn is_chained(self) -> bool {
        self.meta() & CHAINED != 0
    }

    #[inline]
    fn child(self) -> Option<Node> {
        if !self.is_chained() {
            return None;
        }
        NonNull::new(std::ptr::with_exposed_provenance_mut(self.handle(LAST).bits() as usize)).map(Node)
    }

    /// Makes `child` the node after this one, whose last lane has been freed or held another child.
    fn link_child(self, child: Node) {
        self.set_handle(LAST, Handle::new(child.0.as_ptr().expose_provenance() as u64));
        self.set_tag(LAST, 0);
        self.set_meta(self.meta() | CHAINED);
    }

    /// Cuts the chain after this node; the rest is the caller's.
    fn unlink_child(self) -> Option<Node> {
        let child = self.child();
        self.set_meta(self.meta() & !CHAINED);
        child
    }

    /// This node and those after it.
    fn chain(self) -> impl Iterator<Item = Node> {
        std::iter::successors(Some(self), |node| node.child())
    }

    #[inline]
    fn for_each(self, f: &mut impl FnMut(Handle)) {
        for lane in lanes(self.used_lanes()) {
            f(self.handle(lane));
        }
    }

    #[inline]
    fn prefetch(self) {
        prefetch(self.0.as_ptr() as u64);
    }

    #[inline]
    fn prefetch_entries(self) {
        for lane in lanes(self.used_lanes()) {
            self.handle(lane).prefetch();
        }
    }
}

/// The numbers of the bits set in `mask`.
#[inline]
fn lanes(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = mask.trailing_zeros() as usize;
        (mask != 0).then(|| {
            mask &= mask - 1;
            lane
        })
    })
}

/// Bits 32..40 of the hash; the bucket is chosen by bits below these.
#[inline]
fn tag_of(hash: u64) -> u8 {
    ((hash >> 32) as u8).max(1)
}

/// Entries at which a table of this many buckets splits one. The two more let the first bucket fill up.
#[inline]
fn split_point(buckets: usize) -> usize {
    if buckets == 0 { 0 } else { buckets * LOAD_EIGHTHS / 8 + 2 }
}

/// Entries below which a table of this many buckets merges two.
#[inline]
fn merge_point(buckets: usize) -> usize {
    buckets.saturating_sub(1) * LOAD_EIGHTHS / 8 * SHRINK_EIGHTHS / 8
}

fn node_layout(lane_count: usize) -> Layout {
    Layout::from_size_align((lane_count / 3 + 1) * 16, 16).expect("a small size and a power of two")
}

fn segment_layout(buckets: usize) -> Layout {
    Layout::from_size_align(buckets * BUCKET_BYTES, BUCKET_BYTES).expect("at most 64 KiB and a power of two")
}

fn allocated(memory: *mut u8, layout: Layout) -> NonNull<u8> {
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

#[inline(always)]
fn prefetch(address: u64) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of any address is harmless.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::without_provenance(address as usize)) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests;
