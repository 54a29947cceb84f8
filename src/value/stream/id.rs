//! [`StreamId`]: a point in a stream, milliseconds and a number within them.
//!
//! *Duty:* order, neighbours and texts of ids. *Does not know:* entries, commands.
//! *Invariants:* the order is that of the 128-bit number `ms:seq`. *Counterpart in C Redis:* `streamID`,
//! `streamCompareID`, `streamGenericParseIDOrReply`.

use crate::base::num;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    pub ms: u64,
    pub seq: u64,
}

/// Longer texts are no ids.
const MAX_TEXT: usize = 127;

/// Room for the longest text of an id.
pub type IdText = [u8; 41];

impl StreamId {
    pub const MIN: StreamId = StreamId { ms: 0, seq: 0 };
    pub const MAX: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };

    pub const fn new(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    pub fn is_zero(self) -> bool {
        self == StreamId::MIN
    }

    /// The id that follows; none after the last one.
    pub fn next(self) -> Option<StreamId> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(StreamId { ms: self.ms, seq }),
            None => Some(StreamId { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The id before; none before the first one.
    pub fn previous(self) -> Option<StreamId> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(StreamId { ms: self.ms, seq }),
            None => Some(StreamId { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// As it stands in RDB files: both halves, most significant byte first.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.ms.to_be_bytes());
        bytes[8..].copy_from_slice(&self.seq.to_be_bytes());
        bytes
    }

    pub fn from_bytes(bytes: &[u8; 16]) -> StreamId {
        let half = |i: usize| u64::from_be_bytes(bytes[i..i + 8].try_into().expect("half of sixteen bytes"));
        StreamId { ms: half(0), seq: half(8) }
    }

    /// The text, in `buf`.
    pub fn text(self, buf: &mut IdText) -> &[u8] {
        let mut digits = [0; num::MAX_DECIMAL_LEN];
        let ms = num::format_u64(self.ms, &mut digits);
        let dash = ms.len();
        buf[..dash].copy_from_slice(ms);
        buf[dash] = b'-';
        let seq = num::format_u64(self.seq, &mut digits);
        let end = dash + 1 + seq.len();
        buf[dash + 1..end].copy_from_slice(seq);
        &buf[..end]
    }

    pub fn to_text(self) -> Vec<u8> {
        self.text(&mut [0; 41]).to_vec()
    }

    /// An id as commands give it: `ms-seq`, or `ms` alone with `missing` as its sequence.
    pub fn parse(text: &[u8], missing: u64) -> Option<StreamId> {
        match Given::parse(text, missing)? {
            Given::Full(id) => Some(id),
            Given::Milliseconds(_) => None,
        }
    }

    /// [`StreamId::parse`] that takes `-` and `+` too: the least and the greatest id.
    pub fn parse_or_end(text: &[u8], missing: u64) -> Option<StreamId> {
        match text {
            b"-" => Some(StreamId::MIN),
            b"+" => Some(StreamId::MAX),
            _ => StreamId::parse(text, missing),
        }
    }
}

/// What an id argument of XADD says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    Full(StreamId),
    /// `ms-*`: the sequence is the stream's to choose.
    Milliseconds(u64),
}

impl Given {
    /// Quirk: a zero byte ends the text, since the reference reads it as a C string.
    pub fn parse(text: &[u8], missing: u64) -> Option<Given> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let text = text.split(|&b| b == 0).next()?;
        let Some(dash) = text.iter().position(|&b| b == b'-') else {
            return Some(Given::Full(StreamId { ms: num::parse_u64_lax(text)?, seq: missing }));
        };
        let ms = num::parse_u64_lax(&text[..dash])?;
        match &text[dash + 1..] {
            b"*" => Some(Given::Milliseconds(ms)),
            seq => Some(Given::Full(StreamId { ms, seq: num::parse_u64_lax(seq)? })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        for id in [StreamId::MIN, StreamId::MAX, StreamId::new(1526919030474, 55), StreamId::new(5, u64::MAX)] {
            assert_eq!(StreamId::parse(&id.to_text(), 7), Some(id));
            assert_eq!(StreamId::from_bytes(&id.to_bytes()), id);
        }
        assert_eq!(StreamId::new(12, 0).to_text(), b"12-0");
    }

    #[test]
    fn ids_are_read_as_the_reference_reads_them() {
        let id = |ms, seq| Some(StreamId { ms, seq });
        assert_eq!(StreamId::parse(b"5", 9), id(5, 9));
        assert_eq!(StreamId::parse(b"+5-007", 0), id(5, 7));
        assert_eq!(StreamId::parse(b"5\x00junk", 1), id(5, 1));
        for bad in
            [&b""[..], b"-", b"+", b"-1", b"1-", b"1-2-3", b"1-*", b"a-1", b"1-18446744073709551616", &[b'1'; 128]]
        {
            assert_eq!(StreamId::parse(bad, 0), None, "{}", bad.escape_ascii());
        }
        assert_eq!(Given::parse(b"3-*", 0), Some(Given::Milliseconds(3)));
        assert_eq!(StreamId::parse_or_end(b"-", 3), id(0, 0));
        assert_eq!(StreamId::parse_or_end(b"+", 3), Some(StreamId::MAX));
    }

    #[test]
    fn neighbours_cross_milliseconds_and_end_at_the_ends() {
        assert_eq!(StreamId::new(1, u64::MAX).next(), Some(StreamId::new(2, 0)));
        assert_eq!(StreamId::new(2, 0).previous(), Some(StreamId::new(1, u64::MAX)));
        assert_eq!((StreamId::MAX.next(), StreamId::MIN.previous()), (None, None));
    }
}
