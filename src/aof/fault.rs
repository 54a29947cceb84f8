//! [`Fault`]: where an append only file stops being commands, and why.
//!
//! *Duty:* walk the one command at which the parser stopped, or the input ended, and say what is wrong with it.
//! *Does not know:* commands before and after it, what becomes of the file. Speed does not matter here: it runs once.
//! *Invariants:* bytes that are the beginning of a command, as far as they go, are a truncation; all others are not.
//! *Counterpart in C Redis:* the errors of `redis-check-aof.c`, whose words these are.

use std::fmt;

use crate::resp::request::STRICT_MAX;

/// The longest line that begins with `#`, its end included.
pub const MAX_ANNOTATION: usize = 1023;

/// What is wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The first byte of the command or line that is not whole: up to here the file is good.
    pub offset: u64,
    /// The first byte of the part of it that is wrong.
    pub at: u64,
    pub what: What,
    /// Line ends passed, from the file's beginning, as `redis-check-aof` counts them: none within arguments.
    pub lines: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The file ends where a line had to begin or go on.
    EndOfFile,
    /// The file ends within an argument and its line end.
    ShortArgument { expected: u64, got: u64 },
    /// Neither a command nor an annotation begins with this byte.
    NotACommand(u8),
    /// A line of a count or length begins with another byte.
    Prefix { expected: u8, got: u8 },
    /// Two other bytes stand where a line had to end.
    LineEnd([u8; 2]),
    /// A command without arguments.
    NoArguments,
    /// More arguments than can be, or a longer one.
    TooLarge(u64),
    /// A line that begins with `#` and does not end.
    LongAnnotation,
    /// The commands take more than 4 GiB to be whole.
    TooLong,
}

impl Fault {
    /// The bytes end too early; as far as they go they are good.
    pub fn is_truncation(&self) -> bool {
        matches!(self.what, What::EndOfFile | What::ShortArgument { .. })
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |byte: u8| char::from(byte).escape_default();
        match *self {
            What::EndOfFile => write!(f, "Unexpected end of file"),
            What::ShortArgument { expected, got } => write!(f, "Expected to read {expected} bytes, got {got} bytes"),
            What::NotACommand(got) => write!(f, "Expected prefix '*' or '#', got: '{}'", shown(got)),
            What::Prefix { expected, got } => {
                write!(f, "Expected prefix '{}', got: '{}'", shown(expected), shown(got))
            }
            What::LineEnd([a, b]) => write!(f, "Expected \\r\\n, got: {a:02x}{b:02x}"),
            What::NoArguments => write!(f, "Expected a command, got one without arguments"),
            What::TooLarge(value) => write!(f, "The length {value} is not in the suitable range"),
            What::LongAnnotation => write!(f, "Expected the annotation to end within {MAX_ANNOTATION} bytes"),
            What::TooLong => write!(f, "The command is longer than 4 GiB"),
        }
    }
}

/// Says what is wrong with the command at `offset`, which begins `bytes` and is not whole in them, or wrong. `lines`
/// were passed before it.
pub(super) fn examine(bytes: &[u8], offset: u64, lines: u64) -> Fault {
    let mut walk = Walk { bytes, at: 0, lines };
    let what = match bytes.first() {
        None => What::EndOfFile,
        Some(b'#') if bytes.len() < MAX_ANNOTATION => What::EndOfFile,
        Some(b'#') => What::LongAnnotation,
        Some(b'*') => walk.command(),
        Some(other) => What::NotACommand(*other),
    };
    Fault { offset, at: offset + walk.at as u64, what, lines: walk.lines }
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    lines: u64,
}

impl Walk<'_> {
    fn command(&mut self) -> What {
        let count = match self.line(b'*') {
            Ok((0, _)) => return What::NoArguments,
            Ok((count, end)) => {
                self.pass(end);
                count
            }
            Err(what) => return what,
        };
        for _ in 0..count {
            if let Err(what) = self.argument() {
                return what;
            }
        }
        // A whole command: what was wrong with it can only be that it is one too many for the buffer.
        What::TooLong
    }

    fn argument(&mut self) -> Result<(), What> {
        let (len, end) = self.line(b'$')?;
        self.pass(end);
        let expected = len + 2;
        let got = (self.bytes.len() - self.at) as u64;
        if got < expected {
            return Err(What::ShortArgument { expected, got });
        }
        let end = self.at + expected as usize;
        let line_end = [self.bytes[end - 2], self.bytes[end - 1]];
        if line_end != *b"\r\n" {
            return Err(What::LineEnd(line_end));
        }
        self.pass(end);
        Ok(())
    }

    fn pass(&mut self, end: usize) {
        self.at = end;
        self.lines += 1;
    }

    /// The number of the line at hand, and where the line ends.
    fn line(&self, mark: u8) -> Result<(u64, usize), What> {
        let rest = &self.bytes[self.at..];
        let digits = match rest {
            [] => return Err(What::EndOfFile),
            [got, ..] if *got != mark => return Err(What::Prefix { expected: mark, got: *got }),
            // A zero is a number of its own.
            [_, b'0', ..] => 1,
            [_, digits @ ..] => digits.iter().take_while(|b| b.is_ascii_digit()).count(),
        };
        let value =
            rest[1..1 + digits].iter().fold(0u64, |v, d| v.saturating_mul(10).saturating_add(u64::from(d - b'0')));
        if value > u64::from(STRICT_MAX) {
            return Err(What::TooLarge(value));
        }
        match &rest[1 + digits..] {
            [] => Err(What::EndOfFile),
            [b'\r'] if digits > 0 => Err(What::EndOfFile),
            [b'\r', b'\n', ..] if digits > 0 => Ok((value, self.at + digits + 3)),
            [a, rest @ ..] => Err(What::LineEnd([*a, rest.first().copied().unwrap_or(0)])),
        }
    }
}
