//! Queues of 8-byte records in chunks from a common pool.
//!
//! *Duty:* thousands of queues, most of them short, at 128 bytes per 15 records.
//! *Does not know:* what a record means.
//! *Invariants:* a [`Queue`] belongs to one [`Pool`] and is passed to no other. Only a queue's first and last chunks
//! have room. Chunks are handed out from the segments with the lowest numbers, so that the others fall empty; a
//! segment without chunks in use holds no memory.

use std::collections::BTreeSet;

use crate::base::rng::Rng;

pub(super) const CHUNK_RECORDS: usize = 15;
/// 32 KiB.
const SEGMENT_CHUNKS: usize = 256;
const NONE: u32 = u32::MAX;
/// Draws after which [`Pool::random`] gives up.
const DRAWS: usize = 64;

/// First in, first out by chunks; the order within a chunk is not kept.
#[derive(Clone, Copy)]
pub(super) struct Queue {
    first: u32,
    last: u32,
    len: u32,
}

impl Queue {
    pub(super) const EMPTY: Queue = Queue { first: NONE, last: NONE, len: 0 };

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Default for Queue {
    fn default() -> Queue {
        Queue::EMPTY
    }
}

#[derive(Clone, Copy)]
struct Chunk {
    records: [u64; CHUNK_RECORDS],
    /// The next chunk of the queue, or of the segment's free list.
    next: u32,
    len: u32,
}

struct Segment {
    chunks: Vec<Chunk>,
    free: u32,
    in_use: u32,
}

#[derive(Default)]
pub(super) struct Pool {
    segments: Vec<Segment>,
    with_room: BTreeSet<u32>,
    chunks_in_use: usize,
}

impl Pool {
    #[inline]
    pub(super) fn push(&mut self, queue: &mut Queue, record: u64) {
        if queue.last == NONE || self.chunk(queue.last).len as usize == CHUNK_RECORDS {
            let added = self.take();
            match queue.last {
                NONE => queue.first = added,
                last => self.chunk(last).next = added,
            }
            queue.last = added;
        }
        let chunk = self.chunk(queue.last);
        chunk.records[chunk.len as usize] = record;
        chunk.len += 1;
        queue.len += 1;
    }

    /// Any record of the first chunk.
    pub(super) fn pop(&mut self, queue: &mut Queue) -> Option<u64> {
        if queue.first == NONE {
            return None;
        }
        let chunk = self.chunk(queue.first);
        chunk.len -= 1;
        let (record, is_empty) = (chunk.records[chunk.len as usize], chunk.len == 0);
        queue.len -= 1;
        if is_empty {
            self.drop_first(queue);
        }
        Some(record)
    }

    /// All records of the first chunk: the array and how many of it count.
    pub(super) fn pop_chunk(&mut self, queue: &mut Queue) -> ([u64; CHUNK_RECORDS], usize) {
        if queue.first == NONE {
            return ([0; CHUNK_RECORDS], 0);
        }
        let chunk = *self.chunk(queue.first);
        queue.len -= chunk.len;
        self.drop_first(queue);
        (chunk.records, chunk.len as usize)
    }

    /// A record of any queue, each about as likely as the others. `None`: there is none, or they lie so thin that no
    /// draw met one.
    pub(super) fn random(&self, rng: &mut Rng) -> Option<u64> {
        let places = match self.segments.as_slice() {
            [] => return None,
            [only] => only.chunks.len(),
            _ => SEGMENT_CHUNKS,
        };
        for _ in 0..DRAWS {
            let chunks = &self.segments[rng.index(self.segments.len())].chunks;
            let place = rng.index(CHUNK_RECORDS);
            if let Some(chunk) = chunks.get(rng.index(places)).filter(|chunk| place < chunk.len as usize) {
                return Some(chunk.records[place]);
            }
        }
        None
    }

    pub(super) fn memory_usage(&self) -> usize {
        let chunks: usize = self.segments.iter().map(|segment| segment.chunks.capacity()).sum();
        chunks * size_of::<Chunk>() + self.segments.capacity() * size_of::<Segment>()
    }

    fn drop_first(&mut self, queue: &mut Queue) {
        let first = queue.first;
        queue.first = self.chunk(first).next;
        if queue.first == NONE {
            queue.last = NONE;
        }
        self.give_back(first);
    }

    #[inline]
    fn chunk(&mut self, number: u32) -> &mut Chunk {
        let number = number as usize;
        &mut self.segments[number / SEGMENT_CHUNKS].chunks[number % SEGMENT_CHUNKS]
    }

    /// An empty chunk.
    fn take(&mut self) -> u32 {
        let number = match self.with_room.first() {
            Some(&number) => number,
            None => {
                self.segments.push(Segment { chunks: Vec::new(), free: NONE, in_use: 0 });
                self.with_room.insert(self.segments.len() as u32 - 1);
                self.segments.len() as u32 - 1
            }
        };
        let segment = &mut self.segments[number as usize];
        let fresh = Chunk { records: [0; CHUNK_RECORDS], next: NONE, len: 0 };
        let index = match segment.free {
            NONE => {
                segment.chunks.push(fresh);
                segment.chunks.len() as u32 - 1
            }
            free => {
                let chunk = &mut segment.chunks[free as usize];
                segment.free = std::mem::replace(&mut chunk.next, NONE);
                chunk.len = 0;
                free
            }
        };
        segment.in_use += 1;
        if segment.in_use as usize == SEGMENT_CHUNKS {
            self.with_room.remove(&number);
        }
        self.chunks_in_use += 1;
        number * SEGMENT_CHUNKS as u32 + index
    }

    fn give_back(&mut self, chunk: u32) {
        let (number, index) = (chunk as usize / SEGMENT_CHUNKS, chunk as usize % SEGMENT_CHUNKS);
        let segment = &mut self.segments[number];
        if segment.in_use as usize == SEGMENT_CHUNKS {
            self.with_room.insert(number as u32);
        }
        segment.in_use -= 1;
        segment.chunks[index].next = segment.free;
        segment.chunks[index].len = 0;
        segment.free = index as u32;
        if segment.in_use == 0 {
            *segment = Segment { chunks: Vec::new(), free: NONE, in_use: 0 };
        }
        self.chunks_in_use -= 1;
        if self.chunks_in_use == 0 {
            *self = Pool::default();
        }
    }
}
