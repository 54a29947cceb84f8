//! [`Node`]: a run of elements of a list, with room in front of it as well as behind.
//!
//! *Duty:* elements one after the other, as [`element`](crate::ds::element) codes them, without counts, lengths or
//! ends between them; grow and shrink at both ends without moving what is there; be compressed. *Does not know:* how
//! large a node should be, or its neighbours.
//! *Invariants:* all offsets are relative to the first element. A node whose `raw_len` is not 0 is compressed and is
//! only read (through a buffer) until it is unpacked.
//! *Counterpart in C Redis:* `quicklistNode` and its listpack. Ours has no lengths behind its elements: one byte less
//! for each, which is what a list of short elements mostly wastes.

use crate::base::lzf;
use crate::ds::element::{self, Elem, Needle, make_room};
use crate::ds::pack::fill;

/// Shorter runs are not worth compressing, as in the reference.
const MIN_COMPRESSED: usize = 48;
/// What compressing must save.
const MIN_GAIN: usize = 8;

#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    buf: Vec<u8>,
    /// Where the first element begins.
    start: u32,
    count: u32,
    /// How long the elements are when they are not compressed; 0: they are not.
    raw_len: u32,
}

impl Node {
    pub(super) fn with_capacity(bytes: usize) -> Node {
        Node { buf: Vec::with_capacity(bytes), ..Node::default() }
    }

    pub(super) fn from_run(elements: &[u8], count: usize) -> Node {
        Node { buf: elements.to_vec(), start: 0, count: count as u32, raw_len: 0 }
    }

    #[inline]
    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    /// How many bytes the elements take, uncompressed.
    #[inline]
    pub(super) fn size(&self) -> usize {
        if self.raw_len == 0 { self.buf.len() - self.start as usize } else { self.raw_len as usize }
    }

    pub(super) fn capacity(&self) -> usize {
        self.buf.capacity()
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.raw_len != 0
    }

    /// The elements; a compressed node's in `scratch`.
    #[inline]
    pub(super) fn elements<'s>(&'s self, scratch: &'s mut Vec<u8>) -> &'s [u8] {
        if self.raw_len != 0 {
            *scratch = self.expand();
            return scratch;
        }
        &self.buf[self.start as usize..]
    }

    /// The elements of a node that is not compressed.
    #[inline]
    pub(super) fn run(&self) -> &[u8] {
        debug_assert!(self.raw_len == 0, "a node is unpacked before it is changed");
        &self.buf[self.start as usize..]
    }

    fn expand(&self) -> Vec<u8> {
        lzf::decompress(&self.buf, self.raw_len as usize).expect("compressed here and not changed since")
    }

    pub(super) fn unpack(&mut self) {
        if self.raw_len != 0 {
            self.buf = self.expand();
            self.raw_len = 0;
        }
    }

    /// Compresses the node if that is worth while.
    pub(super) fn compress(&mut self) {
        let size = self.size();
        if self.raw_len != 0 || size < MIN_COMPRESSED {
            return;
        }
        let mut packed = Vec::with_capacity(size);
        if lzf::compress_within(self.run(), size - MIN_GAIN, &mut packed) {
            packed.shrink_to_fit();
            *self = Node { buf: packed, start: 0, count: self.count, raw_len: size as u32 };
        }
    }

    /// Gives back room if there is more than a little.
    pub(super) fn settle(&mut self) {
        let size = self.size();
        if self.raw_len == 0 && self.buf.capacity() - size > size / 8 + 64 {
            self.buf = self.run().to_vec();
            self.start = 0;
        }
    }

    /// Makes room for so many bytes in front or behind, growing to no more than `target` bytes unless it must.
    /// `true`: the elements were moved.
    #[inline]
    fn reserve(&mut self, front: usize, back: usize, target: usize) -> bool {
        let fits = front <= self.start as usize && back <= self.buf.capacity() - self.buf.len();
        if !fits {
            self.rearrange(front, back, target);
        }
        !fits
    }

    /// Room goes to the side that needs it; half of it to the other if that had some, since then both are in use.
    #[cold]
    fn rearrange(&mut self, front: usize, back: usize, target: usize) {
        let (start, len, capacity) = (self.start as usize, self.buf.len(), self.buf.capacity());
        let used = len - start;
        let need = used + front + back;
        let grown = if need <= capacity { capacity } else { need.max((2 * capacity).max(64).min(target)) };
        let spare = grown - used;
        let both = used > 0 && if front > 0 { capacity > len } else { start > 0 };
        let new_start = match (front > 0, both) {
            (true, true) => front.max(spare - spare / 2),
            (true, false) => spare,
            (false, true) => (spare / 2).min(spare - back),
            (false, false) => 0,
        };
        if grown > capacity {
            let mut buf = Vec::with_capacity(grown);
            buf.resize(new_start, 0);
            buf.extend_from_slice(&self.buf[start..]);
            self.buf = buf;
        } else if new_start >= start {
            self.buf.resize(new_start + used, 0);
            self.buf.copy_within(start..len, new_start);
        } else {
            self.buf.copy_within(start..len, new_start);
            self.buf.truncate(new_start + used);
        }
        self.start = new_start as u32;
    }

    /// `true`: the elements were moved.
    #[inline]
    pub(super) fn push_back(&mut self, elem: Elem<'_>, target: usize) -> bool {
        let moved = self.reserve(0, element::encoded_len(elem), target);
        element::encode(&mut self.buf, elem);
        self.count += 1;
        moved
    }

    /// `true`: the elements were moved.
    #[inline]
    pub(super) fn push_front(&mut self, elem: Elem<'_>, target: usize) -> bool {
        let len = element::encoded_len(elem);
        let moved = self.reserve(len, 0, target);
        self.start -= len as u32;
        fill(&mut self.buf[self.start as usize..], elem);
        self.count += 1;
        moved
    }

    /// Drops the first element, which takes `len` bytes.
    #[inline]
    pub(super) fn drop_front(&mut self, len: usize) {
        self.start += len as u32;
        self.count -= 1;
    }

    /// Drops the last element, which begins at this place of the buffer.
    #[inline]
    pub(super) fn drop_back(&mut self, place: usize) {
        self.buf.truncate(place);
        self.count -= 1;
    }

    /// Places of the buffer: what [`Node::drop_back`] understands, and what stays the same until elements move.
    pub(super) fn places(&self, places: &mut Vec<u32>) {
        offsets(self.run(), places);
        places.iter_mut().for_each(|place| *place += self.start);
    }

    /// Where the next element pushed behind will begin in the buffer, if nothing moves.
    #[inline]
    pub(super) fn next_place(&self) -> u32 {
        self.buf.len() as u32
    }

    #[inline]
    pub(super) fn at_place(&self, place: usize) -> Elem<'_> {
        element::decode(&self.buf[place..]).expect("an element begins there").0
    }

    /// Where the element with so many in front of it begins; the end of the run for the one behind the last.
    pub(super) fn offset(&self, index: usize) -> usize {
        offset_in(self.run(), index)
    }

    pub(super) fn insert(&mut self, index: usize, elem: Elem<'_>) {
        let offset = self.offset(index);
        let len = element::encoded_len(elem);
        make_room(&mut self.buf, self.start as usize + offset, 0, len);
        fill(&mut self.buf[self.start as usize + offset..], elem);
        self.count += 1;
    }

    pub(super) fn replace(&mut self, index: usize, elem: Elem<'_>) {
        let at = self.start as usize + self.offset(index);
        let old = element::skip(&self.buf[at..]);
        make_room(&mut self.buf, at, old, element::encoded_len(elem));
        fill(&mut self.buf[at..], elem);
    }

    pub(super) fn remove(&mut self, index: usize, elements: usize) {
        let from = self.offset(index);
        let len = offset_in(&self.run()[from..], elements);
        if from == 0 {
            self.start += len as u32;
        } else {
            make_room(&mut self.buf, self.start as usize + from, len, 0);
        }
        self.count -= elements as u32;
    }

    /// Takes the elements from number `index` on into a node of their own.
    pub(super) fn split_off(&mut self, index: usize) -> Node {
        let offset = self.offset(index);
        let tail = Node::from_run(&self.run()[offset..], self.count() - index);
        self.buf.truncate(self.start as usize + offset);
        self.count = index as u32;
        tail
    }

    pub(super) fn append(&mut self, other: &Node) {
        self.buf.extend_from_slice(other.run());
        self.count += other.count;
    }

    /// Removes elements with the needle's text: not the first `skip` ones, and at most `max`. Returns how many.
    pub(super) fn remove_matching(&mut self, needle: &Needle<'_>, mut skip: usize, max: usize) -> usize {
        let start = self.start as usize;
        let (mut read, mut write, mut removed) = (start, start, 0);
        while read < self.buf.len() && removed < max {
            let (elem, len) = element::decode(&self.buf[read..]).expect("elements follow each other to the end");
            let found = needle.is(elem);
            if found && skip == 0 {
                removed += 1;
            } else {
                skip -= usize::from(found);
                if read != write {
                    self.buf.copy_within(read..read + len, write);
                }
                write += len;
            }
            read += len;
        }
        make_room(&mut self.buf, write, read - write, 0);
        self.count -= removed as u32;
        removed
    }
}

/// Where the elements of a run begin.
pub(super) fn offsets(run: &[u8], out: &mut Vec<u32>) {
    out.clear();
    let mut at = 0;
    while at < run.len() {
        out.push(at as u32);
        at += element::skip(&run[at..]);
    }
}

/// Where the element of a run begins that has so many in front of it.
pub(super) fn offset_in(run: &[u8], index: usize) -> usize {
    let mut at = 0;
    for _ in 0..index {
        at += element::skip(&run[at..]);
    }
    at
}

/// How many elements of a run have the needle's text.
pub(super) fn matches(run: &[u8], needle: &Needle<'_>) -> usize {
    let (mut at, mut count) = (0, 0);
    while at < run.len() {
        let (elem, len) = element::decode(&run[at..]).expect("elements follow each other to the end");
        count += usize::from(needle.is(elem));
        at += len;
    }
    count
}
