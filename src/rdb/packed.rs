//! Listpacks, ziplists and zipmaps: the elements of small collections in one string of bytes.
//!
//! *Duty:* hand out the elements of either form, and refuse bytes that are none. *Does not know:* what the elements
//! are. *Invariants:* the whole is walked and checked; nothing in it is believed, not even what would not be needed,
//! because a wrong back length is damage as much as a wrong element.
//! *Counterpart in C Redis:* `listpack.c`, `ziplist.c` with their integrity checks.
//!
//! ```text
//! listpack   u32 bytes  u16 count  element... FF          all numbers little endian
//!   element  head [bytes] back: the length of head and bytes, 7 bits a byte, high ones first
//!   head     0nnnnnnn                          integer 0 to 127
//!            10nnnnnn                          n bytes
//!            110nnnnn n                        integer of 13 bits, signed
//!            1110nnnn n                        n bytes
//!            F0 u32                            n bytes
//!            F1 i16, F2 i24, F3 i32, F4 i64    integer
//!
//! ziplist    u32 bytes  u32 offset of the last element  u16 count  element... FF
//!   element  length of the element before: 1 byte, or FE u32; then
//!            00nnnnnn, 01nnnnnn n, 80 u32      n bytes; these lengths are big endian
//!            C0 i16, D0 i32, E0 i64, F0 i24, FE i8        integer
//!            F1 to FD                          integer 0 to 12
//!
//! zipmap     u8 fields  (length field length u8 free  value  free bytes)... FF
//!   length   1 byte below 254, or FE u32
//! ```
//!
//! A count of 65535 says "that many or more".

use crate::base::num::{self, IntBuf, MAX_DECIMAL_LEN};

const END: u8 = 0xff;
const MANY: usize = 0xffff;

pub(super) type Checked<T> = Result<T, &'static str>;

/// Hands the elements of a listpack to `each`, integers as decimal text.
pub(super) fn listpack(bytes: &[u8], mut each: impl FnMut(&[u8])) -> Checked<()> {
    let [a, b, c, d, e, f, elements @ .., END] = bytes else {
        return Err("a listpack has no header or no end");
    };
    if u32::from_le_bytes([*a, *b, *c, *d]) as usize != bytes.len() {
        return Err("a listpack is longer or shorter than it says");
    }
    let mut rest = elements;
    let mut count = 0;
    while !rest.is_empty() {
        let before = rest;
        let element = listpack_element(&mut rest).ok_or("a listpack element is damaged")?;
        let len = before.len() - rest.len();
        check_back_length(len, &mut rest)?;
        element.hand_to(&mut each);
        count += 1;
    }
    check_count(u16::from_le_bytes([*e, *f]), count)
}

/// Hands the elements of a ziplist to `each`, integers as decimal text.
pub(super) fn ziplist(bytes: &[u8], mut each: impl FnMut(&[u8])) -> Checked<()> {
    let [a, b, c, d, e, f, g, h, i, j, elements @ .., END] = bytes else {
        return Err("a ziplist has no header or no end");
    };
    if u32::from_le_bytes([*a, *b, *c, *d]) as usize != bytes.len() {
        return Err("a ziplist is longer or shorter than it says");
    }
    const HEADER: usize = 10;
    let mut rest = elements;
    let (mut count, mut len_before, mut last) = (0, 0, HEADER);
    while !rest.is_empty() {
        last = HEADER + elements.len() - rest.len();
        let before = rest;
        if ziplist_back_length(&mut rest) != Some(len_before) {
            return Err("the length before a ziplist element is wrong");
        }
        let element = ziplist_element(&mut rest).ok_or("a ziplist element is damaged")?;
        len_before = before.len() - rest.len();
        element.hand_to(&mut each);
        count += 1;
    }
    if u32::from_le_bytes([*e, *f, *g, *h]) as usize != last {
        return Err("a ziplist's last element is not where it says");
    }
    check_count(u16::from_le_bytes([*i, *j]), count)
}

/// Hands the elements of a zipmap (hashes of 2.4 and before) to `each`: field, value, field, value.
pub(super) fn zipmap(bytes: &[u8], mut each: impl FnMut(&[u8])) -> Checked<()> {
    let [stated, elements @ .., END] = bytes else {
        return Err("a zipmap has no header or no end");
    };
    let (mut rest, mut count) = (elements, 0);
    if rest.is_empty() {
        return Err("it has no elements");
    }
    while !rest.is_empty() {
        let damaged = "a zipmap element is damaged";
        let field_len = zipmap_length(&mut rest).ok_or(damaged)?;
        each(take(&mut rest, field_len).ok_or(damaged)?);
        let value_len = zipmap_length(&mut rest).ok_or(damaged)?;
        let free = take_byte(&mut rest).ok_or(damaged)?;
        each(take(&mut rest, value_len).ok_or(damaged)?);
        take(&mut rest, usize::from(free)).ok_or(damaged)?;
        count += 1;
    }
    const MANY_FIELDS: u8 = 254;
    if *stated >= MANY_FIELDS || usize::from(*stated) == count {
        Ok(())
    } else {
        Err("the number of packed elements is not what is stated")
    }
}

fn zipmap_length(rest: &mut &[u8]) -> Option<usize> {
    match take_byte(rest)? {
        // A length that one byte can hold is never written in five.
        254 => Some(u32::from_le_bytes(take_u32(rest)?) as usize).filter(|&len| len >= 254),
        END => None,
        short => Some(usize::from(short)),
    }
}

fn check_count(stated: u16, count: usize) -> Checked<()> {
    let stated = usize::from(stated);
    if stated == count || stated == MANY && count >= MANY {
        Ok(())
    } else {
        Err("the number of packed elements is not what is stated")
    }
}

enum Element<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

impl Element<'_> {
    fn hand_to(&self, each: &mut impl FnMut(&[u8])) {
        match self {
            Element::Int(value) => each(num::format_i64(*value, &mut IntBuf::from([0; MAX_DECIMAL_LEN]))),
            Element::Bytes(bytes) => each(bytes),
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(taken)
}

fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    take(rest, 1).map(|bytes| bytes[0])
}

/// A signed integer of `len` bytes, little endian.
fn take_int<'a>(rest: &mut &[u8], len: usize) -> Option<Element<'a>> {
    let bytes = take(rest, len)?;
    let negative = bytes.last()? & 0x80 != 0;
    let mut whole = if negative { [0xff; 8] } else { [0; 8] };
    whole[..len].copy_from_slice(bytes);
    Some(Element::Int(i64::from_le_bytes(whole)))
}

fn take_u32(rest: &mut &[u8]) -> Option<[u8; 4]> {
    take(rest, 4)?.try_into().ok()
}

fn listpack_element<'a>(rest: &mut &'a [u8]) -> Option<Element<'a>> {
    let head = take_byte(rest)?;
    let len = match head {
        0x00..=0x7f => return Some(Element::Int(i64::from(head))),
        0x80..=0xbf => usize::from(head & 0x3f),
        0xc0..=0xdf => {
            let value = i16::from_be_bytes([head & 0x1f, take_byte(rest)?]);
            return Some(Element::Int(i64::from(value << 3 >> 3)));
        }
        0xe0..=0xef => usize::from(u16::from_be_bytes([head & 0x0f, take_byte(rest)?])),
        0xf0 => u32::from_le_bytes(take_u32(rest)?) as usize,
        0xf1 => return take_int(rest, 2),
        0xf2 => return take_int(rest, 3),
        0xf3 => return take_int(rest, 4),
        0xf4 => return take_int(rest, 8),
        _ => return None,
    };
    take(rest, len).map(Element::Bytes)
}

/// Quirk: the greatest number of each width already takes the next one, as every writer has done it from the start.
fn back_length_width(len: usize) -> usize {
    match len {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

fn check_back_length(len: usize, rest: &mut &[u8]) -> Checked<()> {
    let wrong = "the length behind a listpack element is wrong";
    let width = back_length_width(len);
    let back = take(rest, width).ok_or(wrong)?;
    // Read from the right: all bytes but the leftmost have their high bit set.
    let marks = back.iter().enumerate().all(|(i, byte)| (byte & 0x80 != 0) == (i > 0));
    let value = back.iter().fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f));
    if marks && value == len { Ok(()) } else { Err(wrong) }
}

fn ziplist_back_length(rest: &mut &[u8]) -> Option<usize> {
    match take_byte(rest)? {
        0xfe => Some(u32::from_le_bytes(take_u32(rest)?) as usize),
        END => None,
        short => Some(usize::from(short)),
    }
}

fn ziplist_element<'a>(rest: &mut &'a [u8]) -> Option<Element<'a>> {
    let head = take_byte(rest)?;
    let len = match head {
        0x00..=0x3f => usize::from(head),
        0x40..=0x7f => usize::from(u16::from_be_bytes([head & 0x3f, take_byte(rest)?])),
        0x80..=0xbf => u32::from_be_bytes(take_u32(rest)?) as usize,
        0xc0 => return take_int(rest, 2),
        0xd0 => return take_int(rest, 4),
        0xe0 => return take_int(rest, 8),
        0xf0 => return take_int(rest, 3),
        0xfe => return take_int(rest, 1),
        0xf1..=0xfd => return Some(Element::Int(i64::from(head - 0xf1))),
        _ => return None,
    };
    take(rest, len).map(Element::Bytes)
}

#[cfg(test)]
mod tests;
