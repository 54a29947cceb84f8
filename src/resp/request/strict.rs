//! Requests as a log holds them: multibulk only, and every byte where it must be.
//!
//! *Duty:* what [`super::parse`] does, for bytes that a server wrote and that a disk may have damaged. The line ends,
//! which the wire's parser takes on trust, are looked at, numbers have one spelling, and no command is empty.
//! *Does not know:* what is wrong where it stops; whoever cares walks that one command again.
//! *Invariants:* as in the parser of the wire, no byte is looked at twice, and promises reserve nothing.
//! *Counterpart in C Redis:* `processRESP` of `redis-check-aof.c`.

use super::{BATCH_MAX, Batch, Cut, Parsed, Partial, Span};

/// The greatest length and count: a buffer is addressed by 32 bits.
pub const STRICT_MAX: u32 = i32::MAX as u32;

/// Why no more commands were cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrictEnd {
    /// The rest is the beginning of a command, or nothing.
    NeedMore,
    /// There may be more commands.
    BatchFull,
    /// What follows is not the beginning of a command.
    NotACommand,
}

/// Cuts commands out of `buf[from..]` into `batch`, which is cleared first. Tells the offset of the first byte that
/// belongs to none of them. `buf` is shorter than 4 GiB.
pub fn parse_strict(
    buf: &[u8],
    from: usize,
    partial: &mut Option<Box<Partial>>,
    batch: &mut Batch,
) -> (usize, StrictEnd) {
    batch.clear();
    let mut at = from;
    while at < buf.len() {
        if batch.commands.len() >= BATCH_MAX {
            return (at, StrictEnd::BatchFull);
        }
        let first = batch.spans.len();
        let mut cut = match partial.take() {
            Some(before) => before.resume(at, &mut batch.spans),
            None => match line(buf, at, b'*') {
                Line::Number(0, _) | Line::Bad => return (at, StrictEnd::NotACommand),
                Line::Number(count, end) => Cut { at: end, args_left: count, bulk_len: None },
                Line::NotYet => return (at, StrictEnd::NeedMore),
            },
        };
        if !cut_args(buf, &mut cut, &mut batch.spans) {
            batch.spans.truncate(first);
            return (at, StrictEnd::NotACommand);
        }
        if cut.args_left > 0 {
            *partial = Some(Partial::save(at, first, cut, &mut batch.spans));
            return (at, StrictEnd::NeedMore);
        }
        at = cut.at;
        let count = (batch.spans.len() - first) as u32;
        batch.commands.push(Parsed { first: first as u32, count, end: at as u32 });
    }
    (at, StrictEnd::NeedMore)
}

/// Cuts arguments until there are no more, or no more bytes. False: these are no arguments.
#[inline]
fn cut_args(buf: &[u8], cut: &mut Cut, spans: &mut Vec<Span>) -> bool {
    while cut.args_left > 0 {
        let len = match cut.bulk_len {
            Some(len) => len,
            None => match line(buf, cut.at, b'$') {
                Line::Number(len, end) => {
                    cut.at = end;
                    len
                }
                Line::NotYet => return true,
                Line::Bad => return false,
            },
        };
        let end = cut.at + len as usize;
        let Some(line_end) = buf.get(end..end + 2) else {
            cut.bulk_len = Some(len);
            return true;
        };
        if line_end != b"\r\n" {
            return false;
        }
        spans.push(Span { at: cut.at as u32, len });
        cut.at = end + 2;
        cut.bulk_len = None;
        cut.args_left -= 1;
    }
    true
}

/// A line of a mark and a number, with the offset behind it.
enum Line {
    Number(u32, usize),
    NotYet,
    Bad,
}

#[inline]
fn line(buf: &[u8], at: usize, mark: u8) -> Line {
    match &buf[at..] {
        // One or two digits are nearly all lines there are.
        [m, d @ b'0'..=b'9', b'\r', b'\n', ..] if *m == mark => Line::Number(u32::from(d - b'0'), at + 4),
        [m, d @ b'1'..=b'9', e @ b'0'..=b'9', b'\r', b'\n', ..] if *m == mark => {
            Line::Number(u32::from(d - b'0') * 10 + u32::from(e - b'0'), at + 5)
        }
        _ => long_line(buf, at, mark),
    }
}

fn long_line(buf: &[u8], at: usize, mark: u8) -> Line {
    match &buf[at..] {
        [] => return Line::NotYet,
        [first, ..] if *first != mark => return Line::Bad,
        [_, b'0', next, ..] if *next != b'\r' => return Line::Bad,
        _ => {}
    }
    let rest = &buf[at + 1..];
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut value = 0u64;
    for digit in &rest[..digits] {
        value = value * 10 + u64::from(digit - b'0');
        if value > u64::from(STRICT_MAX) {
            return Line::Bad;
        }
    }
    match &rest[digits..] {
        [] | [b'\r'] if digits > 0 || rest.is_empty() => Line::NotYet,
        [b'\r', b'\n', ..] if digits > 0 => Line::Number(value as u32, at + 1 + digits + 2),
        _ => Line::Bad,
    }
}
