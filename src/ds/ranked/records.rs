//! [`Records`]: the members of a [`Ranked`](super::Ranked) with their scores, one block each.
//!
//! *Duty:* layout, ownership. A record is `[score 8][length 1][member]`, for members of 255 bytes and more
//! `[score 8][255][length 4][member]`; the score stands first, so that comparing touches one cache line.
//! *Does not know:* order, hashes.
//! *Invariants:* a handle is the address of a record that [`Records::make`] wrote and [`Records::free`] has not taken
//! back. The methods that follow one are safe to call inside `ds::ranked` because only live handles are in its table
//! and tree. Few records come from the global allocator; after [`Records::found_arena`] all come from an arena, and those
//! too long for its pages are `large`. Both go with this object, without a walk.
//! *Counterpart in C Redis:* `zskiplistNode` and the sds in it.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use crate::ds::blocks::{Blocks, LargeBlocks, SMALL_MAX};
use crate::ds::table::Handle;

/// The first value of the length byte that means that four bytes of length follow.
const LONG: usize = 255;
const SCORE: usize = size_of::<f64>();
const ALIGN: usize = 8;

#[derive(Default)]
pub(super) struct Records {
    arena: Option<Box<Blocks>>,
    large: LargeBlocks,
    /// Bytes in blocks of the global allocator while there is no arena.
    loose_bytes: usize,
}

/// Where the member starts.
fn head_len(member_len: usize) -> usize {
    SCORE + if member_len < LONG { 1 } else { 5 }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, ALIGN).expect("a member is below 4 GiB")
}

#[inline]
fn pointer(record: Handle) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(record.bits() as usize)
}

impl Records {
    pub fn make(&mut self, member: &[u8], score: f64) -> Handle {
        let head = head_len(member.len());
        let block = self.alloc(head + member.len());
        // SAFETY: the block has this size and is aligned to 8.
        unsafe {
            block.cast::<f64>().write(score);
            if member.len() < LONG {
                block.add(SCORE).write(member.len() as u8);
            } else {
                let len = u32::try_from(member.len()).expect("a member is below 4 GiB");
                block.add(SCORE).write(LONG as u8);
                block.add(SCORE + 1).cast::<[u8; 4]>().write(len.to_ne_bytes());
            }
            block.add(head).copy_from_nonoverlapping(NonNull::from(member).cast(), member.len());
        }
        Handle::new(block.as_ptr().expose_provenance() as u64)
    }

    pub fn free(&mut self, record: Handle) {
        let len = self.member(record).len();
        let size = head_len(len) + len;
        let block = NonNull::new(pointer(record)).expect("a handle is never zero");
        match &mut self.arena {
            // SAFETY: if there is an arena, so long a record came from `large`.
            Some(_) if size > SMALL_MAX => unsafe { self.large.free(block) },
            // SAFETY: all others come from the arena if there is one; made with the same size.
            Some(arena) => unsafe { arena.free(block, size) },
            None => {
                self.loose_bytes -= size;
                // SAFETY: as above, from the global allocator.
                unsafe { dealloc(block.as_ptr(), layout(size)) }
            }
        }
    }

    #[inline]
    pub fn score(&self, record: Handle) -> f64 {
        // SAFETY: a live record, see the module's header.
        unsafe { pointer(record).cast::<f64>().read() }
    }

    #[inline]
    pub fn set_score(&mut self, record: Handle, score: f64) {
        // SAFETY: a live record, and no reference to its score is ever made.
        unsafe { pointer(record).cast::<f64>().write(score) }
    }

    #[inline]
    pub fn member(&self, record: Handle) -> &[u8] {
        let at = pointer(record);
        // SAFETY: a live record; it lives until `free`, which takes `&mut self`.
        unsafe {
            let short = at.add(SCORE).read() as usize;
            if short < LONG {
                return std::slice::from_raw_parts(at.add(SCORE + 1), short);
            }
            let len = u32::from_ne_bytes(at.add(SCORE + 1).cast::<[u8; 4]>().read()) as usize;
            std::slice::from_raw_parts(at.add(SCORE + 5), len)
        }
    }

    pub fn has_arena(&self) -> bool {
        self.arena.is_some()
    }

    /// From now on records come from an arena. Those that exist are to be moved: the returned store still holds them.
    pub fn found_arena(&mut self) -> Records {
        let loose = std::mem::take(self);
        self.arena = Some(Box::new(Blocks::new()));
        loose
    }

    /// Every record must be freed one by one before this goes; else dropping it frees them all.
    pub fn needs_walk(&self) -> bool {
        self.arena.is_none()
    }

    /// Heap bytes.
    pub fn memory(&self) -> usize {
        let arena = self.arena.as_ref().map_or(0, |arena| size_of::<Blocks>() + arena.held_bytes());
        self.loose_bytes + arena + self.large.bytes()
    }

    /// About how many frees it takes to drop so many records.
    pub fn free_effort(&self, records: usize) -> usize {
        match &self.arena {
            None => records,
            Some(arena) => (arena.held_bytes() >> 19) + self.large.count(),
        }
    }

    fn alloc(&mut self, size: usize) -> NonNull<u8> {
        match &mut self.arena {
            Some(_) if size > SMALL_MAX => self.large.alloc(size),
            Some(arena) => arena.alloc(size),
            None => {
                self.loose_bytes += size;
                // SAFETY: the layout has a size.
                NonNull::new(unsafe { alloc(layout(size)) }).unwrap_or_else(|| handle_alloc_error(layout(size)))
            }
        }
    }
}
