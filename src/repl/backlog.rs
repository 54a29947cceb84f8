//! [`Backlog`]: the memory of the replication stream, one for all who read it.
//!
//! *Duty:* keep the last `repl-backlog-size` bytes for replicas that come back, and whatever a connected replica has
//! not been sent yet. Both are the same bytes, held and counted once: a replica owns no output buffer, only a
//! [`Cursor`], and what it is behind is written to its socket straight from the blocks.
//! *Does not know:* what the bytes mean, whose cursor it is, how far a replica may fall behind.
//! *Invariants:* blocks are contiguous: each begins where the one before it ends, and the last ends at `offset()`.
//! Only whole blocks leave, from the front, and never one with a byte that a cursor still has to read. So the memory
//! is `repl-backlog-size`, at most a block more, plus what the slowest replica keeps.
//! *Counterpart in C Redis:* `replBacklog`, `replBufBlock` with their reference counts, `feedReplicationBuffer`,
//! `incrementalTrimReplicationBacklog`, `copyReplicaOutputBuffer`.

use std::collections::VecDeque;

/// The smallest block, so that small commands share one, and the largest, so that trimming comes close to the size
/// that was asked for.
const BLOCK_MIN: u64 = 16 << 10;
const BLOCK_MAX: u64 = 64 << 10;
/// The smallest `repl-backlog-size` that is honoured.
const SIZE_MIN: u64 = 16 << 10;
/// Blocks that one change may free: when a replica far behind goes, the rest is freed in the calls that follow.
const TRIM_BLOCKS: usize = 64;
const BLOCK_OVERHEAD: u64 = size_of::<Block>() as u64;

#[derive(Debug)]
struct Block {
    /// The offset before its first byte.
    start: u64,
    /// Never grown beyond the capacity it was made with.
    bytes: Vec<u8>,
}

impl Block {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn held(&self) -> u64 {
        self.bytes.capacity() as u64
    }
}

/// Where one replica reads: a name for an offset that the backlog keeps for it. Valid until it is detached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(usize);

/// What the stream holds in memory, as INFO splits it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// `mem_total_replication_buffers`.
    pub total: u64,
    /// `mem_replication_backlog`: the part that would be held without any replica.
    pub backlog: u64,
    /// `mem_clients_slaves`: the part that slow replicas keep.
    pub replicas: u64,
    /// The part that eviction must not try to make up for, since no key that goes makes it smaller.
    pub not_counted: u64,
}

#[derive(Debug)]
pub struct Backlog {
    active: bool,
    /// `repl-backlog-size`.
    size: u64,
    /// The offset before the first byte that is held.
    first: u64,
    /// `master_repl_offset`.
    end: u64,
    blocks: VecDeque<Block>,
    /// Capacity of all blocks.
    held: u64,
    /// The offset of each cursor; a freed place is used again.
    cursors: Vec<Option<u64>>,
}

impl Backlog {
    /// Not active: a server that never had a replica keeps nothing, and its offset stands still.
    pub fn new(size: u64) -> Backlog {
        Backlog {
            active: false,
            size: size.max(SIZE_MIN),
            first: 0,
            end: 0,
            blocks: VecDeque::new(),
            held: 0,
            cursors: Vec::new(),
        }
    }

    /// Starts to keep what is appended from now on.
    pub fn activate(&mut self) {
        self.active = true;
        // Now, so that the first write does not make memory grow, which eviction would have to make up for.
        if self.blocks.is_empty() {
            self.open_block(0);
        }
    }

    pub fn is_active(&self) -> bool {
        self.active
    }

    /// Forgets everything and stops keeping; the offset stays. All cursors must have been detached.
    pub fn deactivate(&mut self) {
        self.restart_at(self.end);
        self.active = false;
    }

    /// Forgets everything and goes on at another offset: that of a master whose data set was just loaded. All cursors
    /// must have been detached.
    pub fn restart_at(&mut self, offset: u64) {
        assert!(self.cursors.iter().all(Option::is_none), "a replica still reads the stream that is given up");
        self.blocks.clear();
        self.held = 0;
        self.first = offset;
        self.end = offset;
    }

    /// Moves everything held by `by` bytes: what was appended while a file was loaded follows the offset that the
    /// file told at its end.
    pub fn rebase(&mut self, by: u64) {
        self.first += by;
        self.end += by;
        self.blocks.iter_mut().for_each(|block| block.start += by);
        self.cursors.iter_mut().flatten().for_each(|at| *at += by);
    }

    /// `master_repl_offset`: how many bytes the stream has had.
    pub fn offset(&self) -> u64 {
        self.end
    }

    /// The offset before the first byte that is held; INFO's `repl_backlog_first_byte_offset` is one more.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// `repl_backlog_histlen`.
    pub fn len(&self) -> u64 {
        self.end - self.first
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all bytes after `offset` are held (none, if it is the end).
    pub fn can_continue_from(&self, offset: u64) -> bool {
        self.active && (self.first..=self.end).contains(&offset)
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// CONFIG SET repl-backlog-size: what is held stays as far as it fits.
    pub fn resize(&mut self, size: u64) {
        self.size = size.max(SIZE_MIN);
        self.trim(TRIM_BLOCKS);
    }

    /// Adds to the stream, if it is kept at all. True if a block was added: the moment to look whether a replica
    /// holds more than it may.
    pub fn append(&mut self, mut bytes: &[u8]) -> bool {
        if !self.active {
            return false;
        }
        let mut opened = false;
        while !bytes.is_empty() {
            let room = self.blocks.back().map_or(0, |block| block.bytes.capacity() - block.bytes.len());
            if room == 0 {
                self.open_block(bytes.len() as u64);
                self.trim(TRIM_BLOCKS);
                opened = true;
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            let block = self.blocks.back_mut().expect("a block with room is a block");
            block.bytes.extend_from_slice(now);
            self.end += now.len() as u64;
            bytes = later;
        }
        opened
    }

    fn open_block(&mut self, wanted: u64) {
        let limit = (self.size / 16).clamp(BLOCK_MIN, BLOCK_MAX);
        let capacity = wanted.clamp(BLOCK_MIN, limit);
        let block = Block { start: self.end, bytes: Vec::with_capacity(capacity as usize) };
        self.held += block.held();
        self.blocks.push_back(block);
    }

    /// Frees at most `max_blocks` blocks that neither the size nor a cursor keeps. True if more could go: large
    /// remains are freed a little at a time, by whoever calls next.
    pub fn trim(&mut self, max_blocks: usize) -> bool {
        if self.len() <= self.size {
            return false;
        }
        let wanted = self.cursors.iter().flatten().min().copied().unwrap_or(u64::MAX);
        for _ in 0..max_blocks {
            if !self.front_may_go(wanted) {
                return false;
            }
            let block = self.blocks.pop_front().expect("the front was just looked at");
            self.held -= block.held();
            self.first = block.end();
        }
        self.front_may_go(wanted)
    }

    fn front_may_go(&self, wanted: u64) -> bool {
        let Some(front) = self.blocks.front() else { return false };
        self.blocks.len() > 1 && front.end() <= wanted && self.end - front.end() >= self.size
    }

    /// A reader that has everything up to `offset`, which [`Backlog::can_continue_from`] must have allowed.
    pub fn attach(&mut self, offset: u64) -> Cursor {
        assert!(self.can_continue_from(offset), "a cursor at {offset}, but {}..={} is held", self.first, self.end);
        let free = self.cursors.iter().position(Option::is_none).unwrap_or_else(|| {
            self.cursors.push(None);
            self.cursors.len() - 1
        });
        self.cursors[free] = Some(offset);
        Cursor(free)
    }

    /// The reader goes; what only it needed is freed.
    pub fn detach(&mut self, cursor: Cursor) {
        self.position(cursor);
        self.cursors[cursor.0] = None;
        self.trim(TRIM_BLOCKS);
    }

    /// The offset up to which the reader has been served.
    pub fn position(&self, cursor: Cursor) -> u64 {
        self.cursors[cursor.0].expect("a cursor is used until it is detached")
    }

    /// So many more bytes were written to the reader.
    pub fn advance(&mut self, cursor: Cursor, bytes: u64) {
        let to = self.position(cursor) + bytes;
        assert!(to <= self.end, "a replica was sent bytes that are not there");
        self.cursors[cursor.0] = Some(to);
        self.trim(TRIM_BLOCKS);
    }

    /// Bytes that the reader has not been sent yet.
    pub fn pending(&self, cursor: Cursor) -> u64 {
        self.end - self.position(cursor)
    }

    /// Memory from the reader's block to the end: what its output buffer counts as, although it shares it.
    pub fn output_memory(&self, cursor: Cursor) -> u64 {
        let at = self.position(cursor);
        self.blocks.range(self.block_of(at)..).map(|block| block.held() + BLOCK_OVERHEAD).sum()
    }

    /// Everything after `offset`, piece by piece, for a gathered write. None if it is not all held.
    pub fn slices_from(&self, offset: u64) -> Option<impl Iterator<Item = &[u8]>> {
        if !(self.first..=self.end).contains(&offset) {
            return None;
        }
        let blocks = self.blocks.range(self.block_of(offset)..);
        Some(blocks.map(move |block| &block.bytes[offset.saturating_sub(block.start) as usize..]))
    }

    /// The first block that ends after `offset`.
    fn block_of(&self, offset: u64) -> usize {
        self.blocks.partition_point(|block| block.end() <= offset)
    }

    /// The last bytes of the stream, at most `max`, for a log line about a broken stream.
    pub fn tail(&self, max: u64) -> Vec<u8> {
        let from = self.end - self.len().min(max);
        let slices = self.slices_from(from).expect("the end of what is held is held");
        slices.flatten().copied().collect()
    }

    pub fn memory(&self) -> Memory {
        let readers = self.cursors.iter().any(Option::is_some);
        let total = self.held + self.blocks.capacity() as u64 * BLOCK_OVERHEAD;
        let replicas = if readers { total.saturating_sub(self.size) } else { 0 };
        let bookkeeping = (self.size / BLOCK_MIN + 1) * BLOCK_OVERHEAD;
        Memory {
            total,
            backlog: total - replicas,
            replicas,
            not_counted: total.saturating_sub(self.size + bookkeeping),
        }
    }

    /// The limit of a replica's output buffer that holds in fact: one below the backlog's size would cut those who
    /// just continued from it, and saves nothing, since the bytes are there anyway. 0 is no limit.
    pub fn output_limit(&self, hard: u64) -> u64 {
        if hard == 0 { 0 } else { hard.max(self.size) }
    }
}

#[cfg(test)]
mod tests;
