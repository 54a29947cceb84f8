//! [`Listpack`]: a sequence of elements in one string of bytes, walked from either end.
//!
//! *Duty:* the nodes of lists and streams, in the very bytes in which RDB files and DUMP payloads hold them.
//! *Does not know:* what its elements mean, or where its bytes lie: [`ListpackRef`] reads them wherever they are.
//! *Invariants:* the stated size is the length; elements that [`element::decode`] accepts, each with its length behind
//! it; the end byte. Who has bytes of unknown origin asks [`Listpack::validate`] first; on other bytes the methods may
//! panic, but they read no others.
//! *Counterpart in C Redis:* `listpack.c`.
//!
//! ```text
//! size u32   count u16   element … FF       little endian; a count of 65535 says "count them"
//! element    coding (see element.rs), its length: 7 bits a byte, high ones first, all but the leftmost marked
//! ```

use super::element::{self, Elem, Needle, Pos, make_room};
use super::pack::{MANY, fill};

const HEADER: usize = 6;
const END: u8 = 0xff;
const EMPTY: [u8; HEADER + 1] = [7, 0, 0, 0, 0, 0, END];

/// Elements in bytes of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listpack {
    bytes: Vec<u8>,
}

impl Default for Listpack {
    fn default() -> Listpack {
        Listpack::new()
    }
}

/// How many bytes the length behind a coding of `len` bytes takes.
///
/// Quirk: the greatest number of most widths already takes the next one, as every writer has done it from the start.
#[inline]
fn back_width(len: usize) -> usize {
    match len {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

#[inline]
fn write_back(room: &mut [u8], len: usize) {
    let width = back_width(len);
    let mut rest = len;
    for (i, byte) in room[..width].iter_mut().enumerate().rev() {
        *byte = rest as u8 & 0x7f | if i > 0 { 0x80 } else { 0 };
        rest >>= 7;
    }
}

/// How many bytes an element takes in a listpack.
#[inline]
pub fn element_len(elem: Elem<'_>) -> usize {
    let len = element::encoded_len(elem);
    len + back_width(len)
}

/// How many bytes the element takes that `bytes` begin with.
#[inline]
fn skip(bytes: &[u8]) -> usize {
    let len = element::skip(bytes);
    len + back_width(len)
}

/// An element and its length behind it, over the bytes that `room` begins with.
#[inline]
fn fill_with_back(room: &mut [u8], elem: Elem<'_>) {
    let len = element::encoded_len(elem);
    fill(room, elem);
    write_back(&mut room[len..], len);
}

impl Listpack {
    pub fn new() -> Listpack {
        Listpack { bytes: EMPTY.to_vec() }
    }

    /// Room for so many bytes in all.
    pub fn with_capacity(bytes: usize) -> Listpack {
        let mut own = Vec::with_capacity(bytes.max(EMPTY.len()));
        own.extend_from_slice(&EMPTY);
        Listpack { bytes: own }
    }

    /// Bytes that [`Listpack::into_bytes`] gave or [`Listpack::validate`] accepts.
    pub fn from_bytes(bytes: Vec<u8>) -> Listpack {
        debug_assert!(Listpack::validate(&bytes));
        Listpack { bytes }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    #[inline]
    pub fn as_ref(&self) -> ListpackRef<'_> {
        ListpackRef { bytes: &self.bytes }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    #[inline]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The heap bytes it takes.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives back room that is not needed.
    pub fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to_fit();
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&EMPTY);
    }

    /// Appends the element that stands for this text.
    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        self.push_elem(Elem::parse(text));
    }

    #[inline]
    pub fn push_elem(&mut self, elem: Elem<'_>) {
        let before = self.bytes.len() - 1;
        self.bytes.truncate(before);
        element::encode(&mut self.bytes, elem);
        let len = self.bytes.len() - before;
        if len < 128 {
            self.bytes.extend_from_slice(&[len as u8, END]);
        } else {
            let end = self.bytes.len();
            let width = back_width(len);
            self.bytes.resize(end + width + 1, END);
            write_back(&mut self.bytes[end..], len);
        }
        self.settle(1);
    }

    /// Puts an element in front of all others.
    #[inline]
    pub fn push_front(&mut self, text: &[u8]) {
        self.insert_elem(Pos::at(HEADER), Elem::parse(text));
    }

    /// Puts an element in front of the one at `at`, or at the end.
    #[inline]
    pub fn insert(&mut self, at: Pos, text: &[u8]) {
        self.insert_elem(at, Elem::parse(text));
    }

    #[inline]
    pub fn insert_elem(&mut self, at: Pos, elem: Elem<'_>) {
        let at = at.offset();
        make_room(&mut self.bytes, at, 0, element_len(elem));
        fill_with_back(&mut self.bytes[at..], elem);
        self.settle(1);
    }

    /// Puts another element in the place of the one at `at`.
    pub fn replace(&mut self, at: Pos, text: &[u8]) {
        self.replace_elem(at, Elem::parse(text));
    }

    pub fn replace_elem(&mut self, at: Pos, elem: Elem<'_>) {
        let at = at.offset();
        let old = skip(&self.bytes[at..]);
        make_room(&mut self.bytes, at, old, element_len(elem));
        fill_with_back(&mut self.bytes[at..], elem);
        self.settle(0);
    }

    /// Removes the element at `at` and those behind it, `elements` in all or as many as there are.
    pub fn remove(&mut self, at: Pos, elements: usize) {
        let (start, mut end, mut removed) = (at.offset(), at.offset(), 0);
        while removed < elements && self.bytes[end] != END {
            end += skip(&self.bytes[end..]);
            removed += 1;
        }
        make_room(&mut self.bytes, start, end - start, 0);
        self.settle_removed(removed);
    }

    /// Removes the element at `at` and all behind it. `kept` says how many are left.
    pub fn truncate(&mut self, at: Pos, kept: usize) {
        self.bytes.truncate(at.offset());
        self.bytes.push(END);
        self.set_count(kept);
        self.settle(0);
    }

    /// Takes the first element off and shows it to `take` before it goes.
    #[inline]
    pub fn pop_front<R>(&mut self, take: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        let first = self.as_ref().first()?;
        let taken = take(self.as_ref().get(first));
        let len = skip(&self.bytes[HEADER..]);
        make_room(&mut self.bytes, HEADER, len, 0);
        self.settle_removed(1);
        Some(taken)
    }

    /// Takes the last element off and shows it to `take` before it goes.
    #[inline]
    pub fn pop_back<R>(&mut self, take: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        let last = self.as_ref().last()?;
        let taken = take(self.as_ref().get(last));
        self.bytes.truncate(last.offset());
        self.bytes.push(END);
        self.settle_removed(1);
        Some(taken)
    }

    /// Appends all elements of another listpack.
    pub fn append(&mut self, other: ListpackRef<'_>) {
        let more = other.len();
        self.bytes.pop();
        self.bytes.extend_from_slice(&other.bytes[HEADER..]);
        self.settle(more);
    }

    /// Writes the size, and a count greater by `more`.
    #[inline]
    fn settle(&mut self, more: usize) {
        let size = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&size.to_le_bytes());
        if more > 0 {
            self.set_count(self.as_ref().stated() + more);
        }
    }

    #[inline]
    fn settle_removed(&mut self, removed: usize) {
        let stated = self.as_ref().stated();
        let left = if stated < MANY { stated - removed } else { self.as_ref().counted() };
        self.set_count(left);
        self.settle(0);
    }

    #[inline]
    fn set_count(&mut self, count: usize) {
        self.bytes[4..HEADER].copy_from_slice(&(count.min(MANY) as u16).to_le_bytes());
    }

    /// Whether these bytes are a listpack from end to end: nothing in them is believed.
    pub fn validate(bytes: &[u8]) -> bool {
        Listpack::check(bytes).is_ok()
    }

    /// [`Listpack::validate`], with the reason.
    pub fn check(bytes: &[u8]) -> Result<(), &'static str> {
        let [a, b, c, d, e, f, elements @ .., END] = bytes else {
            return Err("a listpack has no header or no end");
        };
        if u32::from_le_bytes([*a, *b, *c, *d]) as usize != bytes.len() {
            return Err("a listpack is longer or shorter than it says");
        }
        let (mut rest, mut count) = (elements, 0);
        while !rest.is_empty() {
            let (_, len) = element::decode(rest).ok_or("a listpack element is damaged")?;
            let width = back_width(len);
            let mut back = [0; 5];
            write_back(&mut back, len);
            if rest.get(len..len + width) != Some(&back[..width]) {
                return Err("the length behind a listpack element is wrong");
            }
            rest = &rest[len + width..];
            count += 1;
        }
        let stated = usize::from(u16::from_le_bytes([*e, *f]));
        if stated == count || stated == MANY {
            Ok(())
        } else {
            Err("the number of packed elements is not what is stated")
        }
    }
}

/// The bytes of a [`Listpack`], wherever they lie.
#[derive(Clone, Copy, Debug)]
pub struct ListpackRef<'a> {
    bytes: &'a [u8],
}

impl<'a> ListpackRef<'a> {
    /// Bytes that [`Listpack::into_bytes`] gave or [`Listpack::validate`] accepts.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> ListpackRef<'a> {
        ListpackRef { bytes }
    }

    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// How many bytes it takes in all.
    #[inline]
    pub fn byte_len(self) -> usize {
        self.bytes.len()
    }

    /// How many elements there are.
    #[inline]
    pub fn len(self) -> usize {
        let stated = self.stated();
        if stated < MANY { stated } else { self.counted() }
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self.bytes.len() <= EMPTY.len()
    }

    #[inline]
    fn stated(self) -> usize {
        usize::from(u16::from_le_bytes([self.bytes[4], self.bytes[5]]))
    }

    fn counted(self) -> usize {
        let (mut at, mut count) = (HEADER, 0);
        while self.bytes[at] != END {
            at += skip(&self.bytes[at..]);
            count += 1;
        }
        count
    }

    pub fn to_listpack(self) -> Listpack {
        Listpack { bytes: self.bytes.to_vec() }
    }

    /// The elements in order, each with its place; from the back with `rev`.
    #[inline]
    pub fn iter(self) -> Iter<'a> {
        self.iter_from(Pos::at(HEADER))
    }

    /// The elements from `at` on.
    #[inline]
    pub fn iter_from(self, at: Pos) -> Iter<'a> {
        Iter { bytes: self.bytes, at: at.offset(), end: self.bytes.len() - 1 }
    }

    /// The elements in front of `at`.
    #[inline]
    pub fn iter_before(self, at: Pos) -> Iter<'a> {
        Iter { bytes: self.bytes, at: HEADER, end: at.offset() }
    }

    /// Where the first element is.
    #[inline]
    pub fn first(self) -> Option<Pos> {
        self.checked(HEADER)
    }

    /// Where the last element is.
    #[inline]
    pub fn last(self) -> Option<Pos> {
        self.prev(self.end())
    }

    /// Behind the last element: where one is inserted to be the last.
    #[inline]
    pub fn end(self) -> Pos {
        Pos::at(self.bytes.len() - 1)
    }

    #[inline]
    fn checked(self, at: usize) -> Option<Pos> {
        (at < self.bytes.len() - 1).then_some(Pos::at(at))
    }

    #[inline]
    pub fn get(self, at: Pos) -> Elem<'a> {
        element::decode(&self.bytes[at.offset()..]).expect("there is an element where one was found").0
    }

    /// Where the element behind this one is.
    #[inline]
    pub fn next(self, at: Pos) -> Option<Pos> {
        let at = at.offset();
        self.checked(at + skip(&self.bytes[at..]))
    }

    /// Where the element in front of this one is.
    #[inline]
    pub fn prev(self, at: Pos) -> Option<Pos> {
        (at.offset() > HEADER).then(|| Pos::at(before(self.bytes, at.offset())))
    }

    /// Where the element with so many in front of it is: reached from the end that is nearer.
    pub fn nth(self, index: usize) -> Option<Pos> {
        let stated = self.stated();
        if stated < MANY && index > stated / 2 {
            return if index < stated { self.nth_back(stated - 1 - index) } else { None };
        }
        let mut at = HEADER;
        for _ in 0..index {
            if self.bytes[at] == END {
                return None;
            }
            at += skip(&self.bytes[at..]);
        }
        self.checked(at)
    }

    /// Where the element with so many behind it is.
    pub fn nth_back(self, index: usize) -> Option<Pos> {
        let mut at = self.last()?;
        for _ in 0..index {
            at = self.prev(at)?;
        }
        Some(at)
    }

    /// The first of the elements number 0, `step`, 2 `step`, … that has this text.
    #[inline]
    pub fn find(self, text: &[u8], step: usize) -> Option<Pos> {
        self.find_from(Pos::at(HEADER), text, step)
    }

    /// [`ListpackRef::find`], the element at `from` being number 0.
    pub fn find_from(self, from: Pos, text: &[u8], step: usize) -> Option<Pos> {
        let needle = Needle::new(text);
        let mut at = from.offset();
        while self.bytes[at] != END {
            let (elem, len) = element::decode(&self.bytes[at..]).expect("elements follow each other to the end");
            if needle.is(elem) {
                return Some(Pos::at(at));
            }
            at += len + back_width(len);
            for _ in 1..step {
                if self.bytes[at] != END {
                    at += skip(&self.bytes[at..]);
                }
            }
        }
        None
    }
}

/// Where the element begins that ends at `end`.
#[inline]
fn before(bytes: &[u8], end: usize) -> usize {
    let last = bytes[end - 1];
    if last < 0x80 {
        return end - 1 - usize::from(last);
    }
    let (mut len, mut shift, mut at) = (usize::from(last & 0x7f), 7, end - 1);
    loop {
        at -= 1;
        len |= usize::from(bytes[at] & 0x7f) << shift;
        if bytes[at] < 0x80 {
            return at - len;
        }
        shift += 7;
    }
}

/// [`ListpackRef::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Pos, Elem<'a>);

    #[inline]
    fn next(&mut self) -> Option<(Pos, Elem<'a>)> {
        if self.at >= self.end {
            return None;
        }
        let (elem, len) = element::decode(&self.bytes[self.at..]).expect("elements follow each other to the end");
        let pos = Pos::at(self.at);
        self.at += len + back_width(len);
        Some((pos, elem))
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<(Pos, Elem<'a>)> {
        if self.at >= self.end {
            return None;
        }
        self.end = before(self.bytes, self.end);
        let (elem, _) = element::decode(&self.bytes[self.end..]).expect("elements follow each other to the end");
        Some((Pos::at(self.end), elem))
    }
}

#[cfg(test)]
mod tests;
