//! One key with everything about it, in one heap block.
//!
//! *Duty:* the byte layout of an entry and nothing else; [`super::entries`] owns the blocks.
//! *Counterpart in C Redis:* `dictEntry` + `sds` key + `robj` + the `expires` dict, which are four allocations.
//!
//! ```text
//! byte 0      flags: kind (0..7), stamp? (bit 3), long key? (bit 4), long value? (bit 5), grown or ints? (bit 6)
//! bytes 1..4  access: LRU clock (seconds, 24 bits) or LFU (16 bits of minutes, 8 of logarithmic counter)
//! [10 bytes]  stamp, if the key expires: deadline in ms (8), id of its record in the timing wheel (2)
//! 1 | 4       key length
//! n           key
//! value       Int:    8 bytes, an i64
//!             Inline: 1 | 4 bytes of length, the bytes
//!             Raw:    24 bytes, the parts of a Vec<u8>: a string that is large or was edited in place
//!             Object: 8 bytes, a Box<Value>
//!             Small:  1 | 4 bytes of length, the bytes of a small list, set, hash or sorted set (value::Rest); a set's
//!                     are an intset or not (bit 6)
//! ```
//!
//! A 16-byte key with an integer takes 29 bytes, with a 64-byte string 86 (96 when it expires); blocks come in steps of 8. Numbers are
//! unaligned and read as such. "Grown" strings (APPEND, SETRANGE) report the encoding `raw` whatever their length,
//! as the reference does.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::base::millis::Millis;
use crate::ds::blocks::{Blocks, SMALL_MAX};
use crate::value::{Rest, Value, ValueRef};

pub use crate::value::View;

const KIND: u8 = 0b0000_0111;
const STAMPED: u8 = 1 << 3;
const LONG_KEY: u8 = 1 << 4;
const LONG_VALUE: u8 = 1 << 5;
const GROWN: u8 = 1 << 6;

const INT: u8 = 0;
const INLINE: u8 = 1;
const RAW: u8 = 2;
const OBJECT: u8 = 3;
const LIST: u8 = 4;
const SET: u8 = 5;
const HASH: u8 = 6;
const ZSET: u8 = 7;
/// In a `SET`: the bytes are an intset. Shares its bit with `GROWN`, which only Raw strings have.
const INTS: u8 = GROWN;

const HEAD: usize = 4;
const STAMP_LEN: usize = 10;
const RAW_PARTS: usize = 24;
/// Strings up to this many bytes lie in the entry; longer ones in a buffer of their own.
pub(super) const INLINE_MAX: usize = 4096;
/// Collections of up to this many bytes lie in the entry. Changing one copies it out and back, so this is not more.
const SMALL_VALUE_MAX: usize = 512;

/// A value on its way into an entry.
pub enum New<'a> {
    Int(i64),
    /// A string that is copied in; becomes Raw when it is longer than an entry holds.
    Bytes(&'a [u8]),
    /// A string with a buffer of its own, which moves in.
    Owned(Vec<u8>),
    /// Bytes that lay in an entry before, or could have.
    Small(Rest, &'a [u8]),
    /// Is copied into the entry if it is small enough.
    Object(Box<Value>),
}

/// What is to lie in the entry of a value, if it is small enough to.
fn small(value: &Value) -> Option<(Rest, &[u8])> {
    value.rest().filter(|(_, bytes)| New::fits(bytes))
}

impl New<'_> {
    /// Whether a small collection of these bytes lies in its entry.
    pub(super) fn fits(bytes: &[u8]) -> bool {
        bytes.len() <= SMALL_VALUE_MAX
    }

    /// Whether an entry with this value owns memory beside its block.
    pub(super) fn owns_outside(&self) -> bool {
        match self {
            New::Int(_) | New::Small(..) => false,
            New::Bytes(bytes) => bytes.len() > INLINE_MAX,
            New::Owned(_) => true,
            New::Object(value) => small(value).is_none(),
        }
    }
}

fn small_kind(form: Rest) -> u8 {
    match form {
        Rest::List => LIST,
        Rest::Ints => SET | INTS,
        Rest::Set => SET,
        Rest::Hash => HASH,
        Rest::Zset => ZSET,
    }
}

/// What a value was, when it is taken out of an entry.
pub enum Taken {
    /// Nothing outside the entry's block.
    Plain,
    Buffer(Vec<u8>),
    Object(Box<Value>),
}

/// When a key expires, and the timing wheel's record of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub deadline: Millis,
    pub record: u16,
}

impl Stamp {
    fn to_bytes(self) -> [u8; STAMP_LEN] {
        let mut bytes = [0; STAMP_LEN];
        bytes[..8].copy_from_slice(&self.deadline.0.to_ne_bytes());
        bytes[8..].copy_from_slice(&self.record.to_ne_bytes());
        bytes
    }
}

/// A readable entry, borrowed from the [`super::entries::Entries`] that own it.
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    at: NonNull<u8>,
    life: PhantomData<&'a u8>,
}

impl<'a> EntryRef<'a> {
    /// # Safety
    /// `at` is a block that [`write`] filled and that nobody frees or changes for `'a`.
    pub(super) unsafe fn from_ptr(at: NonNull<u8>) -> EntryRef<'a> {
        EntryRef { at, life: PhantomData }
    }

    #[inline]
    fn flags(self) -> u8 {
        // SAFETY: `from_ptr` promises a whole entry; byte 0 is its flags.
        unsafe { self.at.read() }
    }

    #[inline]
    fn kind(self) -> u8 {
        self.flags() & KIND
    }

    #[inline]
    fn load<const N: usize>(self, offset: usize) -> [u8; N] {
        // SAFETY: callers pass offsets inside the entry, computed from its own header; any bytes are a valid [u8; N].
        unsafe { self.at.add(offset).cast::<[u8; N]>().read() }
    }

    #[inline]
    fn slice(self, offset: usize, len: usize) -> &'a [u8] {
        // SAFETY: as for `load`; the bytes were initialised by `write` and live for 'a.
        unsafe { std::slice::from_raw_parts(self.at.add(offset).as_ptr(), len) }
    }

    #[inline]
    fn stamp_len(self) -> usize {
        if self.flags() & STAMPED != 0 { STAMP_LEN } else { 0 }
    }

    /// Where the key's bytes begin, and how many they are.
    #[inline]
    fn key_span(self) -> (usize, usize) {
        let at = HEAD + self.stamp_len();
        if self.flags() & LONG_KEY == 0 {
            (at + 1, self.load::<1>(at)[0] as usize)
        } else {
            (at + 4, u32::from_ne_bytes(self.load(at)) as usize)
        }
    }

    #[inline]
    fn value_at(self) -> usize {
        let (at, len) = self.key_span();
        at + len
    }

    #[inline]
    fn inline_span(self) -> (usize, usize) {
        let at = self.value_at();
        if self.flags() & LONG_VALUE == 0 {
            (at + 1, self.load::<1>(at)[0] as usize)
        } else {
            (at + 4, u32::from_ne_bytes(self.load(at)) as usize)
        }
    }

    #[inline]
    pub fn key(self) -> &'a [u8] {
        let (at, len) = self.key_span();
        self.slice(at, len)
    }

    #[inline]
    pub fn view(self) -> View<'a> {
        match self.kind() {
            INT => View::Int(i64::from_ne_bytes(self.load(self.value_at()))),
            INLINE => {
                let (at, len) = self.inline_span();
                View::Str(self.slice(at, len))
            }
            RAW => {
                let (ptr, len, _) = self.raw_parts();
                // SAFETY: the parts are those of a live Vec<u8> that this entry owns.
                View::Str(unsafe { std::slice::from_raw_parts(ptr, len) })
            }
            _ => View::Object(match self.object() {
                Some(value) => value.as_ref(),
                None => {
                    let (form, bytes) = self.small().expect("the kinds left are small collections");
                    ValueRef::from_rest(form, bytes)
                }
            }),
        }
    }

    /// The value of a collection that does not lie in the entry.
    #[inline]
    pub fn object(self) -> Option<&'a Value> {
        // SAFETY: an Object entry holds the pointer of a live Box<Value> that it owns.
        (self.kind() == OBJECT).then(|| unsafe { &*self.object_ptr() })
    }

    /// The bytes of a small collection that lies in the entry.
    #[inline]
    pub fn small(self) -> Option<(Rest, &'a [u8])> {
        let flags = self.flags();
        let form = match flags & KIND {
            LIST => Rest::List,
            SET if flags & INTS != 0 => Rest::Ints,
            SET => Rest::Set,
            HASH => Rest::Hash,
            ZSET => Rest::Zset,
            _ => return None,
        };
        let (at, len) = self.inline_span();
        Some((form, self.slice(at, len)))
    }

    fn raw_parts(self) -> (*mut u8, usize, usize) {
        let at = self.value_at();
        let word = |i: usize| u64::from_ne_bytes(self.load(at + 8 * i)) as usize;
        (word(0) as *mut u8, word(1), word(2))
    }

    fn object_ptr(self) -> *mut Value {
        u64::from_ne_bytes(self.load(self.value_at())) as usize as *mut Value
    }

    #[inline]
    pub fn stamp(self) -> Option<Stamp> {
        (self.flags() & STAMPED != 0).then(|| Stamp {
            deadline: Millis(i64::from_ne_bytes(self.load(HEAD))),
            record: u16::from_ne_bytes(self.load(HEAD + 8)),
        })
    }

    #[inline]
    pub fn expires_at(self) -> Option<Millis> {
        self.stamp().map(|s| s.deadline)
    }

    #[inline]
    pub fn is_expired(self, now: Millis) -> bool {
        self.flags() & STAMPED != 0 && self.expires_at().is_some_and(|at| at <= now)
    }

    /// The 24 access bits.
    #[inline]
    pub fn access(self) -> u32 {
        u32::from_ne_bytes(self.load(0)) >> 8
    }

    /// Where the entry lies: the same as long as nothing but a number in it changes (DEBUG OBJECT).
    pub fn address(self) -> usize {
        self.at.as_ptr() as usize
    }

    pub fn is_string(self) -> bool {
        self.kind() < OBJECT
    }

    /// What OBJECT ENCODING says.
    pub fn encoding(self) -> &'static str {
        match self.view() {
            View::Int(_) => "int",
            View::Str(s) if s.len() <= 44 && self.flags() & GROWN == 0 => "embstr",
            View::Str(_) => "raw",
            View::Object(value) => value.encoding(),
        }
    }

    /// What TYPE says.
    pub fn type_name(self) -> &'static str {
        match self.view() {
            View::Object(value) => value.type_name(),
            _ => "string",
        }
    }

    /// Bytes of the block that the entry lies in.
    pub fn block_size(self) -> usize {
        Blocks::class_size(self.block_len())
    }

    /// Bytes of the entry's block, before rounding to a class.
    #[inline]
    pub(super) fn block_len(self) -> usize {
        match self.kind() {
            INT | OBJECT => self.value_at() + 8,
            RAW => self.value_at() + RAW_PARTS,
            _ => {
                let (at, len) = self.inline_span();
                at + len
            }
        }
    }

    /// Heap bytes outside the entry's block.
    pub fn outside_len(self) -> usize {
        match self.kind() {
            RAW => self.raw_parts().2,
            _ => self.object().map_or(0, Value::memory),
        }
    }
}

#[inline]
fn len_field(len: usize) -> usize {
    if len <= u8::MAX as usize { 1 } else { 4 }
}

/// Bytes that an entry of this content needs.
pub(super) fn needed(key: &[u8], stamped: bool, value: &New<'_>) -> usize {
    let head = HEAD + if stamped { STAMP_LEN } else { 0 } + len_field(key.len()) + key.len();
    head + match value {
        New::Int(_) => 8,
        New::Bytes(b) if b.len() <= INLINE_MAX => len_field(b.len()) + b.len(),
        New::Bytes(_) | New::Owned(_) => RAW_PARTS,
        New::Small(_, bytes) => len_field(bytes.len()) + bytes.len(),
        New::Object(value) => small(value).map_or(8, |(_, bytes)| len_field(bytes.len()) + bytes.len()),
    }
}

/// Writes front to back into a block.
struct Pen(*mut u8);

impl Pen {
    /// # Safety
    /// The block behind the pen has room for `bytes`, which do not overlap it.
    #[inline]
    unsafe fn put(&mut self, bytes: &[u8]) {
        // SAFETY: the caller's promise.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0, bytes.len());
            self.0 = self.0.add(bytes.len());
        }
    }

    /// # Safety
    /// As for `put`, with room for the length field too.
    #[inline]
    unsafe fn put_counted(&mut self, bytes: &[u8]) {
        // SAFETY: the caller's promise.
        unsafe {
            match u8::try_from(bytes.len()) {
                Ok(len) => self.put(&[len]),
                Err(_) => self.put(&(bytes.len() as u32).to_ne_bytes()),
            }
            self.put(bytes);
        }
    }
}

/// Fills a block with an entry.
///
/// # Safety
/// `at` is writable for [`needed`] bytes and overlaps neither `key` nor the value's bytes.
#[inline]
pub(super) unsafe fn write(at: NonNull<u8>, key: &[u8], stamp: Option<Stamp>, access: u32, value: New<'_>) {
    let long = |bytes: &[u8]| if bytes.len() > u8::MAX as usize { LONG_VALUE } else { 0 };
    let kind = match &value {
        New::Int(_) => INT,
        New::Bytes(b) if b.len() <= INLINE_MAX => INLINE | long(b),
        New::Bytes(_) => RAW,
        New::Owned(_) => RAW | GROWN,
        New::Small(form, bytes) => small_kind(*form) | long(bytes),
        New::Object(value) => small(value).map_or(OBJECT, |(form, bytes)| small_kind(form) | long(bytes)),
    };
    let flags =
        kind | if stamp.is_some() { STAMPED } else { 0 } | if key.len() > u8::MAX as usize { LONG_KEY } else { 0 };
    let mut pen = Pen(at.as_ptr());
    // SAFETY: the fields together are `needed` bytes long, which the caller promises.
    unsafe {
        pen.put(&(flags as u32 | access << 8).to_ne_bytes());
        if let Some(stamp) = stamp {
            pen.put(&stamp.to_bytes());
        }
        pen.put_counted(key);
        match value {
            New::Int(i) => pen.put(&i.to_ne_bytes()),
            New::Bytes(b) if b.len() <= INLINE_MAX => pen.put_counted(b),
            New::Bytes(b) => put_vec(&mut pen, b.to_vec()),
            New::Owned(v) => put_vec(&mut pen, v),
            New::Small(_, bytes) => pen.put_counted(bytes),
            New::Object(o) => match small(&o) {
                Some((_, bytes)) => pen.put_counted(bytes),
                None => pen.put(&(Box::into_raw(o) as u64).to_ne_bytes()),
            },
        }
    }
}

/// Bytes of an entry whose stamp is added or taken away.
pub(super) fn restamped_len(entry: EntryRef<'_>, stamp: Option<Stamp>) -> usize {
    entry.block_len() - entry.stamp_len() + if stamp.is_some() { STAMP_LEN } else { 0 }
}

/// Fills a block with a copy of an entry that has another stamp, or none: what is behind the stamp is the same. What
/// the entry owned outside its block belongs to the copy.
///
/// # Safety
/// `at` is writable for [`restamped_len`] bytes and does not overlap `from`, whose block is freed afterwards.
pub(super) unsafe fn write_restamped(at: NonNull<u8>, from: EntryRef<'_>, stamp: Option<Stamp>) {
    let flags = from.flags() & !STAMPED | if stamp.is_some() { STAMPED } else { 0 };
    let behind = HEAD + from.stamp_len();
    let mut pen = Pen(at.as_ptr());
    // SAFETY: the fields together are as long as the caller promises.
    unsafe {
        pen.put(&(flags as u32 | from.access() << 8).to_ne_bytes());
        if let Some(stamp) = stamp {
            pen.put(&stamp.to_bytes());
        }
        pen.put(from.slice(behind, from.block_len() - behind));
    }
}

/// # Safety
/// As for [`Pen::put`], for 24 bytes.
unsafe fn put_vec(pen: &mut Pen, vec: Vec<u8>) {
    let mut vec = std::mem::ManuallyDrop::new(vec);
    for word in [vec.as_mut_ptr() as usize, vec.len(), vec.capacity()] {
        // SAFETY: the caller's promise.
        unsafe { pen.put(&(word as u64).to_ne_bytes()) };
    }
}

/// Write access to one entry's fixed-size fields, by the owner of its block.
pub(super) struct EntryCell(NonNull<u8>);

impl EntryCell {
    /// # Safety
    /// As for [`EntryRef::from_ptr`], and nobody else reads the entry while the cell lives.
    pub(super) unsafe fn from_ptr(at: NonNull<u8>) -> EntryCell {
        EntryCell(at)
    }

    #[inline]
    fn entry(&self) -> EntryRef<'_> {
        // SAFETY: the promise of `from_ptr`.
        unsafe { EntryRef::from_ptr(self.0) }
    }

    #[inline]
    fn store(&mut self, offset: usize, bytes: &[u8]) {
        // SAFETY: callers pass offsets of fields that the entry has; `self.0` is ours alone.
        unsafe { Pen(self.0.add(offset).as_ptr()).put(bytes) };
    }

    #[inline]
    pub(super) fn set_access(&mut self, access: u32) {
        let flags = self.entry().flags();
        self.store(0, &(flags as u32 | access << 8).to_ne_bytes());
    }

    /// Only on an entry that has a stamp.
    #[inline]
    pub(super) fn set_stamp(&mut self, stamp: Stamp) {
        assert!(self.entry().flags() & STAMPED != 0, "the entry has room for a stamp");
        self.store(HEAD, &stamp.to_bytes());
    }

    /// Replaces an integer by another; `false` when the entry holds something else.
    #[inline]
    pub(super) fn set_int(&mut self, value: i64) -> bool {
        let entry = self.entry();
        if entry.kind() != INT {
            return false;
        }
        let at = entry.value_at();
        self.store(at, &value.to_ne_bytes());
        true
    }

    /// Edits the buffer of a Raw string in place, which counts as grown from then on; `None` for other kinds.
    pub(super) fn edit_buffer<R>(&mut self, edit: impl FnOnce(&mut Vec<u8>) -> R) -> Option<R> {
        let entry = self.entry();
        if entry.kind() != RAW {
            return None;
        }
        let (at, (ptr, len, cap)) = (entry.value_at(), entry.raw_parts());
        let flags = entry.flags() | GROWN;
        // SAFETY: the parts of a Vec that this entry owns. The entry keeps the old parts while `edit` runs; a panic
        // in there ends the process (the release profile aborts), so they are never used twice.
        let mut vec = unsafe { Vec::from_raw_parts(ptr, len, cap) };
        let result = edit(&mut vec);
        let mut pen = Pen(self.0.as_ptr().wrapping_add(at));
        // SAFETY: the three words stand where the old ones stood.
        unsafe { put_vec(&mut pen, vec) };
        self.store(0, &[flags]);
        Some(result)
    }

    pub(super) fn object_mut(&mut self) -> Option<&mut Value> {
        let entry = self.entry();
        // SAFETY: the Box is owned by this entry, which the cell holds alone.
        (entry.kind() == OBJECT).then(|| unsafe { &mut *entry.object_ptr() })
    }

    /// Takes what lies outside the block. The entry is dead afterwards: only its block may be freed or rewritten.
    pub(super) fn take_outside(&mut self) -> Taken {
        let entry = self.entry();
        match entry.kind() {
            RAW => {
                let (ptr, len, cap) = entry.raw_parts();
                // SAFETY: the entry owned this Vec and is not read again.
                Taken::Buffer(unsafe { Vec::from_raw_parts(ptr, len, cap) })
            }
            // SAFETY: likewise for the Box.
            OBJECT => Taken::Object(unsafe { Box::from_raw(entry.object_ptr()) }),
            _ => Taken::Plain,
        }
    }
}

/// Rewrites an entry's string in its own block when the new one takes the same form and block class.
///
/// # Safety
/// `at` is an entry that nobody else reads, in a block of `room` bytes; `value` does not overlap it.
#[inline]
pub(super) unsafe fn overwrite_plain(at: NonNull<u8>, room: usize, access: u32, value: &New<'_>) -> bool {
    // SAFETY: the caller's promise.
    let entry = unsafe { EntryRef::from_ptr(at) };
    if matches!(entry.kind(), RAW | OBJECT) {
        return false;
    }
    let value_at = entry.value_at();
    let keep = entry.flags() & (STAMPED | LONG_KEY);
    let (kind, len) = match value {
        New::Int(_) => (INT, 8),
        New::Bytes(b) if b.len() <= INLINE_MAX => {
            (INLINE | if b.len() > 255 { LONG_VALUE } else { 0 }, len_field(b.len()) + b.len())
        }
        New::Small(form, b) => {
            (small_kind(*form) | if b.len() > 255 { LONG_VALUE } else { 0 }, len_field(b.len()) + b.len())
        }
        _ => return false,
    };
    let total = value_at + len;
    // The block is freed by the length that its entry has then, so the class must stay the same. A large block's
    // class is its exact size.
    let same_class = if room <= SMALL_MAX { total <= room && total + 8 > room } else { total == room };
    if !same_class {
        return false;
    }
    // SAFETY: `total` bytes fit the block.
    unsafe {
        Pen(at.as_ptr()).put(&((keep | kind) as u32 | access << 8).to_ne_bytes());
        let mut pen = Pen(at.add(value_at).as_ptr());
        match value {
            New::Int(i) => pen.put(&i.to_ne_bytes()),
            New::Bytes(b) | New::Small(_, b) => pen.put_counted(b),
            _ => unreachable!("refused above"),
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(key: &[u8], stamp: Option<Stamp>, value: impl Fn() -> New<'static>, check: impl Fn(View<'_>)) {
        let size = needed(key, stamp.is_some(), &value());
        let mut block = vec![0u64; size.div_ceil(8)];
        let at = NonNull::new(block.as_mut_ptr().cast::<u8>()).unwrap();
        // SAFETY: the block is large enough and ours.
        let (entry, mut cell) = unsafe {
            write(at, key, stamp, 0xABCDEF, value());
            (EntryRef::from_ptr(at), EntryCell::from_ptr(at))
        };
        assert_eq!((entry.key(), entry.stamp(), entry.access()), (key, stamp, 0xABCDEF));
        assert_eq!(entry.block_len(), size);
        check(entry.view());
        cell.set_access(7);
        assert_eq!((entry.access(), entry.stamp()), (7, stamp));
        // With a stamp where there was none, or the other way round, all else is the same.
        let other = if stamp.is_some() { None } else { Some(Stamp { deadline: Millis(5), record: 9 }) };
        let size = restamped_len(entry, other);
        let mut block = vec![0u64; size.div_ceil(8)];
        let at = NonNull::new(block.as_mut_ptr().cast::<u8>()).unwrap();
        // SAFETY: as above; the first block is not looked at any more.
        let (copy, mut cell) = unsafe {
            write_restamped(at, entry, other);
            (EntryRef::from_ptr(at), EntryCell::from_ptr(at))
        };
        assert_eq!((copy.key(), copy.stamp(), copy.access(), copy.block_len()), (key, other, 7, size));
        check(copy.view());
        drop(cell.take_outside());
    }

    #[test]
    fn every_form_comes_back_as_it_went_in() {
        let long_key = vec![b'k'; 300];
        let stamp = Some(Stamp { deadline: Millis(1_795_000_000_123), record: 0xBEEF });
        for key in [b"".as_slice(), b"key", &long_key] {
            for stamp in [None, stamp, Some(Stamp { deadline: Millis(i64::MIN), record: 1 })] {
                round_trip(key, stamp, || New::Int(i64::MIN), |v| assert!(matches!(v, View::Int(i64::MIN))));
                for len in [0usize, 1, 255, 256, INLINE_MAX, INLINE_MAX + 1] {
                    let text: &'static [u8] = vec![b'v'; len].leak();
                    round_trip(key, stamp, || New::Bytes(text), |v| assert!(matches!(v, View::Str(s) if s == text)));
                    round_trip(
                        key,
                        stamp,
                        || New::Owned(text.to_vec()),
                        |v| assert!(matches!(v, View::Str(s) if s == text)),
                    );
                }
            }
        }
    }

    #[test]
    fn the_sizes_of_the_header_comment_hold() {
        let key = [b'k'; 16];
        assert_eq!(needed(&key, false, &New::Int(1)), 29);
        assert_eq!(needed(&key, false, &New::Bytes(&[0; 64])), 86);
        assert_eq!(needed(&key, true, &New::Bytes(&[0; 64])), 96);
    }
}
