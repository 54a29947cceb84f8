//! [`Transfer`]: where the data set that a master sends begins and ends.
//!
//! *Duty:* read the header (`$<length>`, or `$EOF:<mark>` when the master does not know the length beforehand), and
//! say of every piece of input how much of it is payload. The payload is never touched: the caller writes it to a file
//! or feeds a parser, straight from its own buffer.
//! *Does not know:* what an RDB file looks like. *Invariants:* no byte of the mark is ever given out as payload. If
//! the end of the input could be the beginning of the mark, these few bytes (39 at most) are left to the caller, who
//! shows them again with what follows; so the mark is found however it is cut.
//! *Counterpart in C Redis:* the first half of `readSyncBulkPayload`, which writes the mark too and cuts it off again.

use super::LogLine;
use crate::base::num;

pub const MARK_LEN: usize = 40;

/// How the end of the payload is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Size(u64),
    Mark([u8; MARK_LEN]),
}

impl Kind {
    /// From the line after `+FULLRESYNC`, without its end.
    pub fn parse(line: &[u8]) -> Option<Kind> {
        let rest = line.strip_prefix(b"$")?;
        match rest.strip_prefix(b"EOF:") {
            Some(mark) => Some(Kind::Mark(mark.get(..MARK_LEN)?.try_into().expect("a slice of this length"))),
            None => num::parse_u64(rest).map(Kind::Size),
        }
    }

    /// The log line of its beginning; the payload goes to the disk, or `to_parser`.
    pub fn log(&self, to_parser: bool) -> LogLine {
        let target = if to_parser { "to parser" } else { "to disk" };
        LogLine::notice(match self {
            Kind::Size(size) => format!("MASTER <-> REPLICA sync: receiving {size} bytes from master {target}"),
            Kind::Mark(_) => format!("MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF {target}"),
        })
    }
}

/// What the head of the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Nothing can be said before more has come.
    Unclear,
    Payload(usize),
    /// The payload has ended; so many bytes belong to the mark.
    End(usize),
}

#[derive(Clone, Debug)]
pub struct Transfer {
    kind: Kind,
    read: u64,
    /// For each byte, how far the mark may be moved on when this byte lies under its last one and it does not match:
    /// a mark of random digits jumps over nearly all of a binary payload.
    jump: [u8; 256],
}

impl Transfer {
    pub fn new(kind: Kind) -> Transfer {
        let mut jump = [MARK_LEN as u8; 256];
        if let Kind::Mark(mark) = &kind {
            for (i, byte) in mark[..MARK_LEN - 1].iter().enumerate() {
                jump[usize::from(*byte)] = (MARK_LEN - 1 - i) as u8;
            }
        }
        Transfer { kind, read: 0, jump }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Bytes of payload so far.
    pub fn read(&self) -> u64 {
        self.read
    }

    pub fn feed(&mut self, input: &[u8]) -> Piece {
        let payload = match &self.kind {
            Kind::Size(size) if *size == self.read => return Piece::End(0),
            Kind::Size(size) => usize::try_from(size - self.read).unwrap_or(usize::MAX).min(input.len()),
            Kind::Mark(mark) => match self.find(mark, input) {
                Some(0) => return Piece::End(MARK_LEN),
                Some(at) => at,
                None => input.len() - possible_beginning(mark, input),
            },
        };
        if payload == 0 {
            return Piece::Unclear;
        }
        self.read += payload as u64;
        Piece::Payload(payload)
    }

    fn find(&self, mark: &[u8; MARK_LEN], input: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(window) = input.get(at..at + MARK_LEN) {
            if window == mark {
                return Some(at);
            }
            at += usize::from(self.jump[usize::from(window[MARK_LEN - 1])]);
        }
        None
    }
}

/// The length of the longest end of `input` with which the mark begins.
fn possible_beginning(mark: &[u8; MARK_LEN], input: &[u8]) -> usize {
    let longest = input.len().min(MARK_LEN - 1);
    (1..=longest).rev().find(|len| input.ends_with(&mark[..*len])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    /// The payload that `transfer` finds in `input`, shown in pieces of random lengths; and what is left behind it.
    fn run(transfer: &mut Transfer, input: &[u8], rng: &mut Rng) -> (Vec<u8>, Vec<u8>) {
        let (mut payload, mut held, mut shown) = (Vec::new(), Vec::new(), 0);
        loop {
            match transfer.feed(&held) {
                Piece::Payload(len) => payload.extend(held.drain(..len)),
                Piece::End(len) => {
                    held.drain(..len);
                    held.extend_from_slice(&input[shown..]);
                    return (payload, held);
                }
                Piece::Unclear => {
                    assert!(shown < input.len(), "the end was not found");
                    assert!(held.len() < MARK_LEN, "held back {} bytes", held.len());
                    let next = (shown + 1 + rng.index(90)).min(input.len());
                    held.extend_from_slice(&input[shown..next]);
                    shown = next;
                }
            }
        }
    }

    #[test]
    fn headers() {
        let mark = *b"0123456789012345678901234567890123456789";
        assert_eq!(Kind::parse(b"$1234"), Some(Kind::Size(1234)));
        assert_eq!(Kind::parse(&[b"$EOF:" as &[u8], &mark].concat()), Some(Kind::Mark(mark)));
        for bad in [b"" as &[u8], b"$", b"$-1", b"$12a", b"$EOF:short", b"+OK", b"1234"] {
            assert_eq!(Kind::parse(bad), None);
        }
        assert!(Kind::Size(5).log(true).text.ends_with("receiving 5 bytes from master to parser"));
    }

    #[test]
    fn a_length_is_counted_down() {
        let mut transfer = Transfer::new(Kind::Size(10));
        assert_eq!(transfer.feed(b""), Piece::Unclear);
        assert_eq!(transfer.feed(b"0123"), Piece::Payload(4));
        assert_eq!(transfer.feed(b"456789*1\r\n"), Piece::Payload(6));
        assert_eq!(transfer.feed(b"*1\r\n"), Piece::End(0));
        assert_eq!(transfer.read(), 10);
    }

    #[test]
    fn the_mark_is_found_however_it_is_cut_and_whatever_stands_before_it() {
        let mut rng = Rng::new(1);
        for round in 0..3_000_usize {
            // Few letters, so that the payload is full of beginnings of the mark.
            let letters = if round.is_multiple_of(2) { 2 } else { 16 };
            let mut letter = || b"0123456789abcdef"[rng.index(letters)];
            let mark: [u8; MARK_LEN] = std::array::from_fn(|_| letter());
            let payload: Vec<u8> = (0..round % 400).map(|_| letter()).collect();
            let cut = &mark[..round % MARK_LEN];
            let input = [&payload[..], cut, &mark, b"after"].concat();
            // With few letters the end of what stands before the mark can shift its first occurrence.
            let first = input.windows(MARK_LEN).position(|w| w == mark).unwrap();
            let found = run(&mut Transfer::new(Kind::Mark(mark)), &input, &mut rng);
            assert_eq!(found, (input[..first].to_vec(), input[first + MARK_LEN..].to_vec()), "round {round}");
        }
    }
}
