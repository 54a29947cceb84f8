//! [`Elem`]: one element of a packed collection, an integer or a string, and its coding.
//!
//! *Duty:* the head and the bytes of an element, as small as its text allows. Both packed forms ([`super::pack`],
//! [`super::listpack`]) consist of such elements. *Does not know:* what stands around an element: counts, back
//! lengths, ends.
//! *Invariants:* a text that is a canonical decimal integer of 64 bits is kept as [`Elem::Int`] by [`Elem::parse`], and
//! every element has one shortest coding, which [`encode`] writes. [`decode`] reads longer ones too, and refuses
//! everything else; it never reads beyond the bytes it was given.
//! *Counterpart in C Redis:* `lpEncodeGetType`, `lpGet`.
//!
//! ```text
//! 0nnnnnnn                       integer 0 to 127
//! 10nnnnnn                       n bytes follow
//! 110nnnnn n                     integer of 13 bits, signed
//! 1110nnnn n                     n bytes follow
//! F0 u32                         n bytes follow
//! F1 i16, F2 i24, F3 i32, F4 i64 integer                 numbers after F. are little endian, before it big endian
//! ```

use crate::base::num;

/// Where an element begins: a byte offset in the packed form it came from. Good until that form is changed in front
/// of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos(pub(super) u32);

impl Pos {
    #[inline]
    pub(super) fn at(offset: usize) -> Pos {
        Pos(offset as u32)
    }

    #[inline]
    pub(super) fn offset(self) -> usize {
        self.0 as usize
    }
}

/// Room for the text of any integer.
pub type TextBuf = [u8; 24];

/// An element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elem<'a> {
    Int(i64),
    Str(&'a [u8]),
}

impl<'a> Elem<'a> {
    /// The element that stands for this text.
    #[inline]
    pub fn parse(text: &'a [u8]) -> Elem<'a> {
        // The longest integer has 20 characters, and none begins with anything but a digit or a minus.
        match text.first() {
            Some(b'0'..=b'9' | b'-') if text.len() <= num::MAX_DECIMAL_LEN => {
                num::parse_i64(text).map_or(Elem::Str(text), Elem::Int)
            }
            _ => Elem::Str(text),
        }
    }

    #[inline]
    pub fn eq_bytes(self, text: &[u8]) -> bool {
        match self {
            Elem::Str(own) => own == text,
            Elem::Int(own) => num::parse_i64(text) == Some(own),
        }
    }

    /// The element's text: its own bytes, or its digits in `buf`.
    #[inline]
    pub fn text<'b>(self, buf: &'b mut TextBuf) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Elem::Str(own) => own,
            Elem::Int(value) => {
                let digits: &mut num::IntBuf = (&mut buf[..num::MAX_DECIMAL_LEN]).try_into().expect("a prefix");
                num::format_i64(value, digits)
            }
        }
    }

    /// Appends the element's text.
    #[inline]
    pub fn write_text(self, out: &mut Vec<u8>) {
        match self {
            Elem::Str(own) => out.extend_from_slice(own),
            Elem::Int(value) => num::write_i64(out, value),
        }
    }

    pub fn to_vec(self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_text(&mut out);
        out
    }

    /// How long the text is.
    #[inline]
    pub fn text_len(self) -> usize {
        match self {
            Elem::Str(own) => own.len(),
            Elem::Int(value) => num::digits10_i64(value),
        }
    }

    /// The integer, if the element is one.
    #[inline]
    pub fn as_int(self) -> Option<i64> {
        match self {
            Elem::Int(value) => Some(value),
            Elem::Str(_) => None,
        }
    }
}

/// A text that elements are compared with: read as an integer once, not once per element.
#[derive(Clone, Copy)]
pub struct Needle<'a> {
    text: &'a [u8],
    int: Option<i64>,
}

impl<'a> Needle<'a> {
    #[inline]
    pub fn new(text: &'a [u8]) -> Needle<'a> {
        Needle { text, int: Elem::parse(text).as_int() }
    }

    #[inline]
    pub fn is(&self, elem: Elem<'_>) -> bool {
        match elem {
            Elem::Str(own) => own == self.text,
            Elem::Int(own) => self.int == Some(own),
        }
    }
}

/// Strings shorter than this have their length in the head.
const SHORT: usize = 1 << 6;
/// Strings shorter than this have their length in the head and one byte more.
const MIDDLE: usize = 1 << 12;
const LONG_HEAD: usize = 5;

/// An element's head, and its integer if it is one: at most nine bytes, written into a buffer of this size.
pub(super) type Head = [u8; 9];

/// Writes the head into `head` and returns its length; the bytes of a string follow it.
#[inline]
pub(super) fn head(elem: Elem<'_>, head: &mut Head) -> usize {
    match elem {
        Elem::Str(text) if text.len() < SHORT => {
            head[0] = 0x80 | text.len() as u8;
            1
        }
        Elem::Str(text) if text.len() < MIDDLE => {
            head[0] = 0xe0 | (text.len() >> 8) as u8;
            head[1] = text.len() as u8;
            2
        }
        Elem::Str(text) => {
            head[0] = 0xf0;
            head[1..LONG_HEAD].copy_from_slice(&(text.len() as u32).to_le_bytes());
            LONG_HEAD
        }
        Elem::Int(value) => int_head(value, head),
    }
}

#[inline]
fn int_head(value: i64, head: &mut Head) -> usize {
    let width = match value {
        0..=127 => {
            head[0] = value as u8;
            return 1;
        }
        -4096..=4095 => {
            let bits = value as u16 & 0x1fff;
            head[0] = 0xc0 | (bits >> 8) as u8;
            head[1] = bits as u8;
            return 2;
        }
        -0x8000..=0x7fff => 2,
        -0x80_0000..=0x7f_ffff => 3,
        -0x8000_0000..=0x7fff_ffff => 4,
        _ => 8,
    };
    head[0] = if width == 8 { 0xf4 } else { 0xef + width as u8 };
    head[1..].copy_from_slice(&value.to_le_bytes());
    1 + width
}

/// The head of an element that has one byte of it, as nearly all have, and the bytes behind that.
#[inline]
pub(super) fn short(elem: Elem<'_>) -> Option<(u8, &[u8])> {
    match elem {
        Elem::Str(text) if text.len() < SHORT => Some((0x80 | text.len() as u8, text)),
        Elem::Int(value @ 0..=127) => Some((value as u8, &[])),
        _ => None,
    }
}

/// How many bytes [`encode`] appends.
#[inline]
pub fn encoded_len(elem: Elem<'_>) -> usize {
    match elem {
        Elem::Str(text) if text.len() < SHORT => 1 + text.len(),
        Elem::Str(text) if text.len() < MIDDLE => 2 + text.len(),
        Elem::Str(text) => LONG_HEAD + text.len(),
        Elem::Int(value) => int_head(value, &mut [0; 9]),
    }
}

/// Appends an element.
#[inline]
pub fn encode(out: &mut Vec<u8>, elem: Elem<'_>) {
    if let Some((head, text)) = short(elem) {
        out.push(head);
        return out.extend_from_slice(text);
    }
    let mut buf = [0; 9];
    let len = head(elem, &mut buf);
    out.extend_from_slice(&buf[..len]);
    if let Elem::Str(text) = elem {
        out.extend_from_slice(text);
    }
}

/// The element that `bytes` begin with, and how many of them it takes.
#[inline]
pub fn decode(bytes: &[u8]) -> Option<(Elem<'_>, usize)> {
    match *bytes.first()? {
        head @ 0x00..=0x7f => Some((Elem::Int(i64::from(head)), 1)),
        head @ 0x80..=0xbf => {
            let end = 1 + usize::from(head & 0x3f);
            Some((Elem::Str(bytes.get(1..end)?), end))
        }
        head => decode_rare(head, bytes),
    }
}

fn decode_rare(head: u8, bytes: &[u8]) -> Option<(Elem<'_>, usize)> {
    let string = |from: usize, len: usize| {
        let end = from.checked_add(len)?;
        Some((Elem::Str(bytes.get(from..end)?), end))
    };
    match head {
        0xc0..=0xdf => {
            let value = i16::from_be_bytes([head & 0x1f, *bytes.get(1)?]);
            Some((Elem::Int(i64::from(value << 3 >> 3)), 2))
        }
        0xe0..=0xef => string(2, usize::from(u16::from_be_bytes([head & 0x0f, *bytes.get(1)?]))),
        0xf0 => string(LONG_HEAD, u32::from_le_bytes(bytes.get(1..LONG_HEAD)?.try_into().ok()?) as usize),
        0xf1 => int(bytes, 2),
        0xf2 => int(bytes, 3),
        0xf3 => int(bytes, 4),
        0xf4 => int(bytes, 8),
        _ => None,
    }
}

/// A signed integer of `width` bytes behind the head.
fn int(bytes: &[u8], width: usize) -> Option<(Elem<'_>, usize)> {
    let own = bytes.get(1..=width)?;
    let negative = own[width - 1] & 0x80 != 0;
    let mut whole = if negative { [0xff; 8] } else { [0; 8] };
    whole[..width].copy_from_slice(own);
    Some((Elem::Int(i64::from_le_bytes(whole)), 1 + width))
}

/// How many bytes the element takes that `bytes` begin with. The element is one that [`decode`] accepts.
#[inline]
pub(super) fn skip(bytes: &[u8]) -> usize {
    match bytes[0] {
        0x00..=0x7f => 1,
        head @ 0x80..=0xbf => 1 + usize::from(head & 0x3f),
        0xc0..=0xdf => 2,
        head @ 0xe0..=0xef => 2 + (usize::from(head & 0x0f) << 8 | usize::from(bytes[1])),
        0xf0 => LONG_HEAD + u32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize,
        0xf4.. => 9,
        short => usize::from(short) - 0xee,
    }
}

/// Makes room for `new` bytes at `at`, where `old` bytes were. What stands in the room is not said.
#[inline]
pub(super) fn make_room(bytes: &mut Vec<u8>, at: usize, old: usize, new: usize) {
    let len = bytes.len();
    if new > old {
        bytes.resize(len + new - old, 0);
        bytes.copy_within(at + old..len, at + new);
    } else if new < old {
        bytes.copy_within(at + old.., at + new);
        bytes.truncate(len - (old - new));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    /// Codings as 7.0.15 writes them (from DUMP of lists of one element, back length cut off).
    #[test]
    fn codings_are_those_of_the_reference() {
        let long = [b'x'; 64];
        let cases: &[(&[u8], &[u8])] = &[
            (b"", b"\x80"),
            (b"abc", b"\x83abc"),
            (b"0", b"\x00"),
            (b"127", b"\x7f"),
            (b"128", b"\xc0\x80"),
            (b"-1", b"\xdf\xff"),
            (b"-4096", b"\xd0\x00"),
            (b"4095", b"\xcf\xff"),
            (b"4096", b"\xf1\x00\x10"),
            (b"-32768", b"\xf1\x00\x80"),
            (b"32768", b"\xf2\x00\x80\x00"),
            (b"-8388608", b"\xf2\x00\x00\x80"),
            (b"8388608", b"\xf3\x00\x00\x80\x00"),
            (b"2147483648", b"\xf4\x00\x00\x00\x80\x00\x00\x00\x00"),
            (b"01", b"\x8201"),
            (b"-0", b"\x82-0"),
            (b"9223372036854775808", b"\x939223372036854775808"),
        ];
        for (text, coded) in cases {
            let mut out = Vec::new();
            encode(&mut out, Elem::parse(text));
            assert_eq!(out, *coded, "{}", text.escape_ascii());
        }
        let mut out = Vec::new();
        encode(&mut out, Elem::parse(&long));
        assert_eq!(out[..2], [0xe0, 64]);
        out.clear();
        encode(&mut out, Elem::Str(&vec![1; 4096]));
        assert_eq!(out[..5], [0xf0, 0, 16, 0, 0]);
    }

    #[test]
    fn every_text_comes_back() {
        let mut rng = Rng::new(5);
        let mut texts: Vec<Vec<u8>> = [0, 1, 62, 63, 64, 65, 4095, 4096, 70_000].map(|n| vec![b'7'; n]).into();
        for shift in 0..64 {
            for delta in [-1i64, 0, 1] {
                let value = (1i64 << shift).wrapping_add(delta);
                texts.extend([value.to_string().into_bytes(), value.wrapping_neg().to_string().into_bytes()]);
            }
        }
        for _ in 0..500 {
            let mut text = vec![0; rng.index(90)];
            rng.fill(&mut text);
            texts.push(text);
        }
        for text in texts {
            let elem = Elem::parse(&text);
            let mut out = Vec::new();
            encode(&mut out, elem);
            assert_eq!((out.len(), out.len()), (encoded_len(elem), skip(&out)));
            out.push(0xff);
            let (back, len) = decode(&out).unwrap();
            assert_eq!((back, len), (elem, out.len() - 1));
            assert_eq!(back.text(&mut [0; 24]), text);
            assert_eq!((back.to_vec(), back.text_len()), (text.clone(), text.len()));
            assert!(back.eq_bytes(&text) && Needle::new(&text).is(back));
            assert!(!back.eq_bytes(b"other") && !Needle::new(b"other").is(back));
            // Cut short anywhere, it is refused.
            for cut in [0, len / 2, len - 1] {
                assert_eq!(decode(&out[..cut]), None, "{cut} of {len}");
            }
        }
    }

    #[test]
    fn any_bytes_decode_to_what_they_hold_or_to_nothing() {
        let mut rng = Rng::new(6);
        for _ in 0..50_000 {
            let mut bytes = vec![0; rng.index(14)];
            rng.fill(&mut bytes);
            if let Some((elem, len)) = decode(&bytes) {
                assert!(len <= bytes.len());
                assert_eq!(skip(&bytes), len);
                let mut again = Vec::new();
                encode(&mut again, elem);
                assert!(again.len() <= len, "the coding that is written is the shortest");
            }
        }
        for head in 0xf5..=0xff {
            assert_eq!(decode(&[head, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        }
    }

    #[test]
    fn room_is_made_and_taken() {
        let mut bytes = b"abcdef".to_vec();
        make_room(&mut bytes, 2, 1, 3);
        assert_eq!((&bytes[..2], &bytes[5..]), (&b"ab"[..], &b"def"[..]));
        make_room(&mut bytes, 2, 3, 0);
        assert_eq!(bytes, b"abdef");
        make_room(&mut bytes, 5, 0, 1);
        assert_eq!((bytes.len(), &bytes[..5]), (6, &b"abdef"[..]));
    }
}
