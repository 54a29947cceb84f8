//! [`Leaf`]: up to [`LEAF`] handles in order, six bytes each, in a block of 384 bytes.
//!
//! *Duty:* arrays of handles: insert, remove, split, join, search. *Does not know:* what the order is; a predicate
//! comes in. *Invariant:* `handles[..len]` are in use.

use crate::ds::table::Handle;

/// Handles in a leaf: as many as 384 bytes, a size class of the allocator, have room for.
pub(super) const LEAF: usize = 63;

pub(super) struct Leaf {
    len: u16,
    handles: [[u8; 6]; LEAF],
}

const _: () = assert!(size_of::<Leaf>() <= 384);

fn pack(handle: Handle) -> [u8; 6] {
    let [a, b, c, d, e, f, ..] = handle.bits().to_le_bytes();
    [a, b, c, d, e, f]
}

impl Leaf {
    pub fn new() -> Box<Leaf> {
        Box::new(Leaf { len: 0, handles: [[0; 6]; LEAF] })
    }

    pub fn len(&self) -> usize {
        self.len as usize
    }

    pub fn is_full(&self) -> bool {
        self.len() == LEAF
    }

    #[inline]
    pub fn get(&self, i: usize) -> Handle {
        let [a, b, c, d, e, f] = self.handles[..self.len as usize][i];
        Handle::new(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }

    pub fn set(&mut self, i: usize, handle: Handle) {
        self.handles[i] = pack(handle);
    }

    pub fn insert(&mut self, i: usize, handle: Handle) {
        let len = self.len();
        self.handles.copy_within(i..len, i + 1);
        self.handles[i] = pack(handle);
        self.len += 1;
    }

    pub fn remove(&mut self, i: usize) -> Handle {
        let (handle, len) = (self.get(i), self.len());
        self.handles.copy_within(i + 1..len, i);
        self.len -= 1;
        handle
    }

    /// Where a handle is. Looks at no record.
    pub fn index_of(&self, handle: Handle) -> Option<usize> {
        let wanted = pack(handle);
        self.handles[..self.len()].iter().position(|h| *h == wanted)
    }

    /// The handles from `at` on, in a leaf of their own.
    pub fn split_off(&mut self, at: usize) -> Box<Leaf> {
        let mut right = Leaf::new();
        right.append(&self.handles[at..self.len()]);
        self.len = at as u16;
        right
    }

    /// Moves the first `n` handles of the leaf to the right of this one here.
    pub fn take_from_right(&mut self, right: &mut Leaf, n: usize) {
        self.append(&right.handles[..n]);
        let len = right.len();
        right.handles.copy_within(n..len, 0);
        right.len -= n as u16;
    }

    /// Moves the last `n` handles to the front of the leaf to the right.
    pub fn give_to_right(&mut self, right: &mut Leaf, n: usize) {
        let (len, right_len) = (self.len(), right.len());
        right.handles.copy_within(..right_len, n);
        right.handles[..n].copy_from_slice(&self.handles[len - n..len]);
        right.len += n as u16;
        self.len -= n as u16;
    }

    fn append(&mut self, handles: &[[u8; 6]]) {
        let len = self.len();
        self.handles[len..len + handles.len()].copy_from_slice(handles);
        self.len += handles.len() as u16;
    }

    /// How many records `below` holds for; it holds for all up to some place and for none behind it.
    ///
    /// Each record that is looked at is a cache miss, so the seven that the next three steps of a binary search may
    /// look at are asked for at once.
    pub fn partition(&self, mut below: impl FnMut(Handle) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while high - low >= 8 {
            let width = high - low;
            let probe = |k: usize| low + width * k / 8;
            (1..8).for_each(|k| self.get(probe(k)).prefetch());
            // `below` holds before probe `first`, not at probe `last`.
            let (mut first, mut last) = (0, 8);
            while last - first > 1 {
                let middle = (first + last) / 2;
                if below(self.get(probe(middle))) {
                    first = middle;
                } else {
                    last = middle;
                }
            }
            (low, high) = (if first == 0 { low } else { probe(first) + 1 }, if last == 8 { high } else { probe(last) });
        }
        (low..high).for_each(|i| self.get(i).prefetch());
        while low < high {
            let middle = (low + high) / 2;
            if below(self.get(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}
