//! [`Node`]: some tens of consecutive entries of a stream, in one string of bytes.
//!
//! *Duty:* append, find, walk and remove entries; and tell how long the node would be as the listpack that the
//! reference keeps, because that decides where one node ends and the next begins, which clients can see (`~`, LIMIT,
//! XINFO). *Does not know:* other nodes, groups, the listpack's own form (`exchange`).
//! *Invariants:* ids ascend; entries that are deleted take no room, only their number is kept; `bytes` were written
//! here, so reading them back cannot fail. *Counterpart in C Redis:* the listpacks in `t_stream.c`.
//!
//! The listpack of the reference spends a byte behind each element and keeps two numbers per entry that can be had
//! from others. Here the same elements stand without back lengths, a quarter smaller, and an entry can be jumped over
//! either way without a look at its elements:
//!
//! ```text
//! node     | n | name … name | entry | entry | entry | …
//!            └─ the fields of the first entry ─┘ (n: varint; names: elements as in ds/element.rs)
//!
//! entry    | len | kind | ms | seq | element … element | nel |
//!            │     │      │    └ sequence less the node's, zigzag varint
//!            │     │      └ milliseconds less the node's, varint
//!            │     └ 0: values of the node's fields; n+1: n pairs of own field and value; varint
//!            └ bytes up to `nel`, varint; `nel` is the same number, its bytes in reverse order
//! ```

use super::id::StreamId;
use crate::ds::element::{self, Elem};
use crate::ds::listpack::element_len;
use crate::value::Limits;

/// No node grows beyond this many bytes, whatever the configuration says.
const MAX_NODE_BYTES: usize = 1 << 30;
/// Header and end of a listpack.
pub(super) const LISTPACK_FRAME: usize = 7;
/// The elements of an entry that are always there: flags and two parts of the id.
pub(super) const FIXED_ELEMENTS: usize = 3;
/// Flags of an entry in a listpack.
pub(super) const DELETED: i64 = 1;
pub(super) const SAME_FIELDS: i64 = 2;

#[derive(Clone, Debug)]
pub struct Node {
    /// What the ids of the entries are told from: the id of the first entry there ever was.
    pub(super) first: StreamId,
    /// The id of the last entry there ever was.
    pub(super) last: StreamId,
    live: u32,
    deleted: u32,
    /// Where the entries begin.
    entries_at: u32,
    /// Bytes of the elements in the reference's listpack, those of deleted entries included, without the two counts.
    listpack: u32,
    bytes: Vec<u8>,
}

/// Fields and values of an entry on its way in: field, value, field, value.
pub trait Item<'a>: ExactSizeIterator<Item = &'a [u8]> + Clone {}
impl<'a, I: ExactSizeIterator<Item = &'a [u8]> + Clone> Item<'a> for I {}

impl Node {
    /// A node for an entry with these fields; the entry itself is appended afterwards.
    pub(super) fn new<'a>(first: StreamId, names: impl ExactSizeIterator<Item = Elem<'a>>, room: usize) -> Node {
        let mut bytes = Vec::with_capacity(room);
        let count = names.len();
        write_varint(&mut bytes, count as u64);
        let mut listpack = int_len(count as i64) + int_len(0);
        for name in names {
            element::encode(&mut bytes, name);
            listpack += element_len(name);
        }
        let (entries_at, listpack) = (bytes.len() as u32, listpack as u32);
        Node { first, last: first, live: 0, deleted: 0, entries_at, listpack, bytes }
    }

    pub fn first(&self) -> StreamId {
        self.first
    }

    /// Entries that are there.
    pub fn len(&self) -> usize {
        self.live as usize
    }

    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Heap bytes.
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// How long the reference's listpack of these entries is.
    pub(super) fn listpack_len(&self) -> usize {
        LISTPACK_FRAME + int_len(i64::from(self.live)) + int_len(i64::from(self.deleted)) + self.listpack as usize
    }

    /// Whether an entry of so many bytes belongs into a node of its own.
    pub(super) fn is_full(&self, item_bytes: usize, limits: &Limits) -> bool {
        let max_bytes = match limits.stream_node_max_bytes {
            0 => MAX_NODE_BYTES,
            bytes => bytes.min(MAX_NODE_BYTES),
        };
        let entries = self.live as usize + self.deleted as usize;
        self.listpack_len() + item_bytes >= max_bytes
            || (limits.stream_node_max_entries > 0 && entries >= limits.stream_node_max_entries)
    }

    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// How many fields the node has, and their names.
    pub(super) fn names(&self) -> (usize, &[u8]) {
        let (count, width) = read_varint(&self.bytes);
        (count as usize, &self.bytes[width..self.entries_at as usize])
    }

    fn has_fields<'a>(&self, item: &impl Item<'a>) -> bool {
        let (count, mut names) = self.names();
        count * 2 == item.len()
            && item.clone().step_by(2).all(|field| {
                let (name, width) = read_element(names);
                names = &names[width..];
                name.eq_bytes(field)
            })
    }

    /// Appends an entry; its id is greater than all there are.
    pub(super) fn append<'a>(&mut self, id: StreamId, item: impl Item<'a>) {
        if self.has_fields(&item) {
            self.push(id, None, item.skip(1).step_by(2).map(Elem::parse));
        } else {
            self.push(id, Some(item.len() / 2), item.map(Elem::parse));
        }
    }

    /// Appends an entry of the node's fields, or of `own` fields that stand before their values.
    pub(super) fn push<'a>(&mut self, id: StreamId, own: Option<usize>, elements: impl Iterator<Item = Elem<'a>>) {
        let start = self.bytes.len();
        let ms = id.ms.wrapping_sub(self.first.ms);
        let seq = id.seq.wrapping_sub(self.first.seq) as i64;
        self.bytes.push(0);
        write_varint(&mut self.bytes, own.map_or(0, |n| n as u64 + 1));
        write_varint(&mut self.bytes, ms);
        write_varint(&mut self.bytes, zigzag(seq));
        let mut count = FIXED_ELEMENTS;
        let mut listpack = int_len(SAME_FIELDS) + int_len(ms as i64) + int_len(seq);
        if let Some(own) = own {
            listpack += int_len(own as i64);
            count += 1;
        }
        for elem in elements {
            element::encode(&mut self.bytes, elem);
            listpack += element_len(elem);
            count += 1;
        }
        self.listpack += (listpack + int_len(count as i64)) as u32;
        self.close_entry(start);
        self.live += 1;
        self.last = id;
    }

    /// Notes the lengths of an entry that begins with one byte of room for it.
    fn close_entry(&mut self, start: usize) {
        let len = self.bytes.len() - start - 1;
        if len < 0x80 {
            self.bytes[start] = len as u8;
            self.bytes.push(len as u8);
            return;
        }
        let (text, width) = varint(len as u64);
        self.bytes.splice(start..=start, text[..width].iter().copied());
        self.bytes.extend(text[..width].iter().rev());
    }

    /// Counts an entry that was deleted before it came here.
    pub(super) fn note_deleted(&mut self, id: StreamId, listpack: usize) {
        self.listpack += listpack as u32;
        self.deleted += 1;
        self.last = id;
    }

    /// Where the first entry begins, and where the last one ends.
    pub(super) fn span(&self) -> (usize, usize) {
        (self.entries_at as usize, self.bytes.len())
    }

    fn head(&self, at: usize) -> Head {
        let (len, width) = read_varint(&self.bytes[at..]);
        let mut from = at + width;
        let mut take = || {
            let (value, width) = read_varint(&self.bytes[from..]);
            from += width;
            value
        };
        let (kind, ms, seq) = (take(), take(), take());
        let id =
            StreamId { ms: self.first.ms.wrapping_add(ms), seq: self.first.seq.wrapping_add(unzigzag(seq) as u64) };
        let elements_end = at + width + len as usize;
        Head { id, own: (kind as usize).checked_sub(1), elements: from, elements_end, end: elements_end + width }
    }

    /// The entry at `at`, and where the next one begins.
    pub(super) fn entry(&self, at: usize) -> (Entry<'_>, usize) {
        let head = self.head(at);
        let elements = &self.bytes[head.elements..head.elements_end];
        let (fields, names) = match head.own {
            Some(own) => (own, None),
            None => {
                let (count, names) = self.names();
                (count, Some(names))
            }
        };
        (Entry { id: head.id, fields, names, elements }, head.end)
    }

    /// Where the entry begins that ends at `end`.
    pub(super) fn before(&self, end: usize) -> usize {
        let (len, width) = read_varint_back(&self.bytes[..end]);
        end - 2 * width - len as usize
    }

    /// Where the first entry begins whose id is not below `id`; the end if there is none.
    pub(super) fn seek(&self, id: StreamId) -> usize {
        let (mut at, end) = self.span();
        if id <= self.first {
            return at;
        }
        while at < end {
            let head = self.head(at);
            if head.id >= id {
                break;
            }
            at = head.end;
        }
        at
    }

    /// Where the entry `id` is.
    pub(super) fn find(&self, id: StreamId) -> Option<usize> {
        let at = self.seek(id);
        (at < self.bytes.len() && self.head(at).id == id).then_some(at)
    }

    /// Removes the entries that lie between these two offsets, `count` of them.
    fn cut(&mut self, from: usize, to: usize, count: u32) {
        self.bytes.drain(from..to);
        self.live -= count;
        self.deleted += count;
        if self.bytes.capacity() > 2 * self.bytes.len() + 512 {
            self.bytes.shrink_to(self.bytes.len() + 256);
        }
    }

    pub(super) fn remove(&mut self, at: usize) {
        let end = self.head(at).end;
        self.cut(at, end, 1);
    }

    /// Removes entries from the front as long as `goes` says so of an id, and tells how many it were.
    pub(super) fn trim(&mut self, mut goes: impl FnMut(StreamId) -> bool) -> u32 {
        let (start, end) = self.span();
        let (mut at, mut count) = (start, 0);
        while at < end {
            let head = self.head(at);
            if !goes(head.id) {
                break;
            }
            at = head.end;
            count += 1;
        }
        if count > 0 {
            self.cut(start, at, count);
        }
        count
    }
}

struct Head {
    id: StreamId,
    /// The number of its own fields, if it does not have the node's.
    own: Option<usize>,
    elements: usize,
    elements_end: usize,
    end: usize,
}

/// An entry, read where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub id: StreamId,
    /// How many fields it has.
    pub fields: usize,
    /// The names, if they do not stand with the values.
    names: Option<&'a [u8]>,
    elements: &'a [u8],
}

impl<'a> Entry<'a> {
    /// It has the fields of its node.
    pub(super) fn has_node_fields(&self) -> bool {
        self.names.is_some()
    }

    /// The elements as they are kept: values, or fields and values.
    pub(super) fn elements(&self) -> Elements<'a> {
        Elements(self.elements)
    }

    /// Fields with their values.
    pub fn pairs(&self) -> impl Iterator<Item = (Elem<'a>, Elem<'a>)> {
        let (mut names, mut elements) = (self.names.map(Elements), Elements(self.elements));
        std::iter::from_fn(move || {
            let name = match &mut names {
                Some(names) => names.next(),
                None => elements.next(),
            };
            Some((name?, elements.next()?))
        })
    }
}

/// Elements one behind the other.
#[derive(Clone)]
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = Elem<'a>;

    #[inline]
    fn next(&mut self) -> Option<Elem<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let (elem, width) = read_element(self.0);
        self.0 = &self.0[width..];
        Some(elem)
    }
}

#[inline]
fn read_element(bytes: &[u8]) -> (Elem<'_>, usize) {
    element::decode(bytes).expect("written by this module")
}

/// Bytes of an integer in a listpack.
pub(super) fn int_len(value: i64) -> usize {
    element_len(Elem::Int(value))
}

#[inline]
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[inline]
fn write_varint(out: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        return out.push(value as u8);
    }
    let (text, width) = varint(value);
    out.extend_from_slice(&text[..width]);
}

/// A number, seven bits a byte, low ones first, all but the last byte marked; and how many bytes that takes.
fn varint(mut value: u64) -> ([u8; 10], usize) {
    let (mut text, mut width) = ([0; 10], 0);
    loop {
        text[width] = value as u8 & 0x7f;
        value >>= 7;
        if value == 0 {
            return (text, width + 1);
        }
        text[width] |= 0x80;
        width += 1;
    }
}

/// The number that `bytes` begin with, and how many of them it takes.
#[inline]
fn read_varint(bytes: &[u8]) -> (u64, usize) {
    let first = bytes[0];
    if first < 0x80 {
        return (u64::from(first), 1);
    }
    let (mut value, mut width) = (0, 0);
    loop {
        let byte = bytes[width];
        value |= u64::from(byte & 0x7f) << (7 * width);
        width += 1;
        if byte < 0x80 {
            return (value, width);
        }
    }
}

/// The number that `bytes` end with, its bytes in reverse order.
#[inline]
fn read_varint_back(bytes: &[u8]) -> (u64, usize) {
    let (mut value, mut width) = (0, 0);
    for byte in bytes.iter().rev() {
        value |= u64::from(byte & 0x7f) << (7 * width);
        width += 1;
        if *byte < 0x80 {
            break;
        }
    }
    (value, width)
}
