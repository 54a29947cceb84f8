//! Listpacks, ziplists and zipmaps: the elements of small collections in one string of bytes.
//!
//! *Duty:* hand out the elements of any of these forms (`ds::listpack` knows the first of them), and refuse bytes that are none. *Does not know:* what the elements
//! are. *Invariants:* the whole is walked and checked; nothing in it is believed, not even what would not be needed,
//! because a wrong back length is damage as much as a wrong element.
//! *Counterpart in C Redis:* `listpack.c`, `ziplist.c` with their integrity checks.
//!
//! ```text
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
use crate::ds::element::TextBuf;
use crate::ds::listpack::{Listpack, ListpackRef};

const END: u8 = 0xff;
const MANY: usize = 0xffff;

pub(super) type Checked<T> = Result<T, &'static str>;

/// Hands the elements of a listpack to `each`, integers as decimal text.
pub(super) fn listpack(bytes: &[u8], mut each: impl FnMut(&[u8])) -> Checked<()> {
    Listpack::check(bytes)?;
    let mut digits = TextBuf::default();
    ListpackRef::new(bytes).iter().for_each(|(_, element)| each(element.text(&mut digits)));
    Ok(())
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
