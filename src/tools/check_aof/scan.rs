//! [`Scan`]: the commands and annotations of an AOF, with the offsets and lines that redis-check-aof tells.
//!
//! *Duty:* walk from a command to the next one; where that fails, say what stands there in the words of
//! redis-check-aof. *Does not know:* whether the server has such a command, checksums, what is printed.
//! *Invariants:* of an argument no more than [`KEPT`] bytes are held, however long it says to be. After anything but a
//! command or an annotation the walk is over.
//! *Counterpart in C Redis:* `processRESP`, `readArgc`, `readString`, `consumeNewline` of `redis-check-aof.c`.
//!
//! The reader that the server loads with is [`aof::Reader`](crate::aof::Reader). This one is beside it because of what it counts: lines, the
//! offset of the part that is wrong, and where the last command outside a MULTI ended.

use std::io::{self, BufRead, BufReader, Read};

use crate::resp::request::STRICT_MAX;
use crate::tools::shown;

/// Of a name or a first argument, so much is kept.
pub const KEPT: usize = 128;

/// The longest line of a number that is read at once, and that of an annotation.
const NUMBER_LINE: usize = 127;
const MAX_ANNOTATION: usize = 1023;

#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    pub at: u64,
    pub argc: i64,
    pub name: Vec<u8>,
    /// The first argument: a subcommand or, mostly, a key.
    pub first: Option<Vec<u8>>,
    /// A number in it is not written as servers do: signs, blanks, leading zeros, or too large.
    pub odd: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Command(Command),
    /// A line that begins with `#`, its end included.
    Annotation {
        at: u64,
        line: Vec<u8>,
    },
    /// The file is over.
    End,
    /// What should be a command is none; [`Scan::error`] may say why.
    Broken,
    /// Neither a command nor an annotation begins here.
    BadFormat,
}

pub struct Scan<R> {
    input: BufReader<R>,
    /// The name in messages.
    path: String,
    at: u64,
    /// Line ends so far, and one.
    pub line: u64,
    /// Up to where whole commands go, a MULTI with its EXEC counted as one.
    pub sound: u64,
    /// The line at which `sound` is.
    pub sound_line: u64,
    pub error: Option<String>,
    /// Where the part begins that is being read.
    part: u64,
    multi: i64,
    odd: bool,
}

/// Why a part of a command could not be read: [`Scan::error`] says it, or the file has ended.
struct Wrong;

type Part<T> = io::Result<Result<T, Wrong>>;

/// Unwraps a [`Part`].
macro_rules! part {
    ($part:expr) => {
        match $part? {
            Ok(value) => value,
            Err(wrong) => return Ok(Err(wrong)),
        }
    };
}

impl<R: Read> Scan<R> {
    /// `input` stands at byte `at` of the file.
    pub fn new(input: R, at: u64, line: u64, path: String) -> Scan<R> {
        let input = BufReader::with_capacity(256 * 1024, input);
        Scan { input, path, at, line, sound: at, sound_line: line, error: None, part: 0, multi: 0, odd: false }
    }

    pub fn next(&mut self) -> io::Result<Event> {
        if self.multi == 0 {
            (self.sound, self.sound_line) = (self.at, self.line);
        }
        match self.input.fill_buf()?.first() {
            None => {
                self.note_open_multi();
                Ok(Event::End)
            }
            Some(b'#') => {
                self.part = self.at;
                let line = self.line_of(MAX_ANNOTATION)?;
                if line.last() == Some(&b'\n') {
                    return Ok(Event::Annotation { at: self.part, line });
                }
                // redis-check-aof takes the end of the file for the end of the line; no server wrote it so.
                self.fault(format!("Expected the annotation to end, got {} bytes", line.len()));
                Ok(Event::Broken)
            }
            Some(b'*') => match self.command()? {
                Ok(command) => Ok(Event::Command(command)),
                Err(Wrong) => {
                    self.note_open_multi();
                    Ok(Event::Broken)
                }
            },
            Some(_) => Ok(Event::BadFormat),
        }
    }

    fn note_open_multi(&mut self) {
        if self.multi != 0 && self.error.is_none() {
            self.fault("Reached EOF before reading EXEC for MULTI".to_owned());
        }
    }

    fn fault(&mut self, text: String) {
        self.error = Some(format!("0x{:16x}: {text}", self.part));
    }

    fn command(&mut self) -> Part<Command> {
        let at = self.at;
        self.odd = false;
        let argc = part!(self.number(b'*'));
        let mut command = Command { at, argc, name: Vec::new(), first: None, odd: false };
        for i in 0..argc {
            let arg = part!(self.string());
            match i {
                0 => {
                    command.name = arg;
                    if !self.follow_multi(&command.name) {
                        return Ok(Err(Wrong));
                    }
                }
                1 => command.first = Some(arg),
                _ => {}
            }
        }
        command.odd = self.odd;
        Ok(Ok(command))
    }

    /// `false`: a MULTI in a MULTI, or an EXEC without.
    fn follow_multi(&mut self, name: &[u8]) -> bool {
        let (step, word) = match name {
            _ if name.eq_ignore_ascii_case(b"multi") => (1, "MULTI"),
            _ if name.eq_ignore_ascii_case(b"exec") => (-1, "EXEC"),
            _ => return true,
        };
        self.multi += step;
        let fits = self.multi == i64::from(step > 0);
        if !fits {
            self.fault(format!("Unexpected {word} in AOF {}", self.path));
        }
        fits
    }

    fn number(&mut self, prefix: u8) -> Part<i64> {
        self.part = self.at;
        let line = self.line_of(NUMBER_LINE)?;
        let Some((&first, rest)) = line.split_first() else {
            return Ok(Err(Wrong));
        };
        if first != prefix {
            self.fault(format!("Expected prefix '{}', got: '{}'", prefix as char, shown(&[first])));
            return Ok(Err(Wrong));
        }
        let (value, used) = leading_number(rest);
        let plain = rest.first().is_some_and(u8::is_ascii_digit) && (rest[0] != b'0' || used == 1);
        self.odd |= !plain || value > i64::from(STRICT_MAX);
        let end = [rest.get(used), rest.get(used + 1)].map(|byte| byte.copied().unwrap_or(0));
        Ok(if self.line_end(end) { Ok(value) } else { Err(Wrong) })
    }

    fn string(&mut self) -> Part<Vec<u8>> {
        let len = part!(self.number(b'$'));
        let Some(all) = u64::try_from(len).ok().filter(|len| *len <= i64::MAX as u64 - 2).map(|len| len + 2) else {
            self.fault(format!("Expected to read string of {len} bytes, which is not in the suitable range"));
            return Ok(Err(Wrong));
        };
        self.part = self.at;
        let (mut kept, mut end, mut got) = (Vec::new(), [0, 0], 0);
        while got < all {
            let piece = self.input.fill_buf()?;
            if piece.is_empty() {
                self.fault(format!("Expected to read {all} bytes, got {got} bytes"));
                return Ok(Err(Wrong));
            }
            let piece = &piece[..piece.len().min(usize::try_from(all - got).unwrap_or(usize::MAX))];
            kept.extend_from_slice(&piece[..piece.len().min(KEPT.saturating_sub(kept.len()))]);
            end = match *piece {
                [.., a, b] => [a, b],
                [b] => [end[1], b],
                [] => end,
            };
            let len = piece.len();
            self.input.consume(len);
            self.at += len as u64;
            got += len as u64;
        }
        kept.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(if self.line_end(end) { Ok(kept) } else { Err(Wrong) })
    }

    fn line_end(&mut self, bytes: [u8; 2]) -> bool {
        if bytes == *b"\r\n" {
            self.line += 1;
            return true;
        }
        // Bytes above 127 are printed as the negative numbers that they are in C.
        let [a, b] = bytes.map(|byte| byte as i8 as i32 as u32);
        self.fault(format!("Expected \\r\\n, got: {a:02x}{b:02x}"));
        false
    }

    /// Bytes up to and including the next line feed, but at most `max`.
    fn line_of(&mut self, max: usize) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut self.input).take(max as u64).read_until(b'\n', &mut line)?;
        self.at += line.len() as u64;
        Ok(line)
    }
}

/// The number that `text` begins with, and how many bytes spell it; 0 and 0 if there is none.
pub fn leading_number(text: &[u8]) -> (i64, usize) {
    let blanks = text.iter().take_while(|b| **b == b' ' || (9..=13).contains(*b)).count();
    let sign = usize::from(matches!(text.get(blanks), Some(b'-' | b'+')));
    let negative = text.get(blanks) == Some(&b'-');
    let mut value = 0i64;
    let mut used = 0;
    for digit in text[blanks + sign..].iter().take_while(|b| b.is_ascii_digit()) {
        let digit = i64::from(digit - b'0');
        value = value.saturating_mul(10).saturating_add(if negative { -digit } else { digit });
        used += 1;
    }
    if used == 0 { (0, 0) } else { (value, blanks + sign + used) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All events, then the sound offset, the line and the error.
    fn walk(bytes: &[u8]) -> (Vec<Event>, u64, u64, Option<String>) {
        let mut scan = Scan::new(bytes, 0, 1, "x.aof".to_owned());
        let mut events = Vec::new();
        loop {
            events.push(scan.next().unwrap());
            if !matches!(events.last(), Some(Event::Command(_) | Event::Annotation { .. })) {
                return (events, scan.sound, scan.line, scan.error);
            }
        }
    }

    fn command(at: u64, argc: i64, name: &str, first: Option<&str>) -> Event {
        let first = first.map(|first| first.as_bytes().to_vec());
        Event::Command(Command { at, argc, name: name.as_bytes().to_vec(), first, odd: false })
    }

    #[test]
    fn commands_and_annotations_pass_by_with_their_offsets() {
        let (events, sound, line, error) = walk(b"#TS:17\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n");
        let annotation = Event::Annotation { at: 0, line: b"#TS:17\r\n".to_vec() };
        let expected = vec![annotation, command(8, 2, "GET", Some("k")), command(28, 1, "PING", None), Event::End];
        assert_eq!(events, expected);
        assert_eq!((sound, line, error), (42, 9, None));
    }

    #[test]
    fn long_arguments_are_walked_over_and_kept_in_part() {
        let bytes = [&b"*2\r\n$3\r\nGET\r\n$600000\r\n"[..], &vec![b'k'; 600_000], b"\r\n"].concat();
        let (events, sound, ..) = walk(&bytes);
        assert_eq!(events[0], command(0, 2, "GET", Some(&"k".repeat(KEPT))));
        assert_eq!(sound, bytes.len() as u64);
    }

    #[test]
    fn what_is_wrong_is_told_in_the_old_words() {
        for (bytes, sound, words) in [
            (
                &b"*1\r\n$4\r\nPING\r\n*1\r\n$9\r\nPING\r\n"[..],
                14,
                "0x              16: Expected to read 11 bytes, got 6 bytes",
            ),
            (b"*1\r\n!4\r\nPING\r\n", 0, "0x               4: Expected prefix '$', got: '!'"),
            (b"*1\r\n$4\r\nPINGxy", 0, "0x               8: Expected \\r\\n, got: 7879"),
            (b"*1\r\n$4\r\nPING\xff\n", 0, "0x               8: Expected \\r\\n, got: ffffffff0a"),
            (b"*1", 0, "0x               0: Expected \\r\\n, got: 0000"),
            (b"#TS:1", 0, "0x               0: Expected the annotation to end, got 5 bytes"),
            (b"*1x\r\n", 0, "0x               0: Expected \\r\\n, got: 780d"),
            (
                b"*1\r\n$-1\r\n",
                0,
                "0x               4: Expected to read string of -1 bytes, which is not in the suitable range",
            ),
            (b"*1\r\n$5\r\nMULTI\r\n", 0, "0x               8: Reached EOF before reading EXEC for MULTI"),
            (b"*1\r\n$5\r\nMULTI\r\n*1\r\n", 0, "0x              13: Reached EOF before reading EXEC for MULTI"),
            (b"*1\r\n$5\r\nMULTI\r\n*1\r\n$5\r\nmulti\r\n", 0, "0x              17: Unexpected MULTI in AOF x.aof"),
            (b"*1\r\n$4\r\nEXEC\r\n", 0, "0x               8: Unexpected EXEC in AOF x.aof"),
        ] {
            let (events, at, _, error) = walk(bytes);
            assert_eq!((at, error.as_deref()), (sound, Some(words)), "{events:?}");
        }
        assert_eq!(
            walk(b"*1\r\n$4\r\nPING\r\n!!!"),
            (vec![command(0, 1, "PING", None), Event::BadFormat], 14, 4, None)
        );
        assert_eq!(walk(b"*2\r\n"), (vec![Event::Broken], 0, 2, None));
    }

    #[test]
    fn numbers_that_no_server_writes_are_noted() {
        for (bytes, odd) in [
            (&b"*1\r\n$4\r\nPING\r\n"[..], false),
            (b"*01\r\n$4\r\nPING\r\n", true),
            (b"*1\r\n$+4\r\nPING\r\n", true),
            (b"*1\r\n$ 4\r\nPING\r\n", true),
            (b"*1\r\n$0\r\n\r\n", false),
        ] {
            let (events, ..) = walk(bytes);
            assert!(matches!(&events[0], Event::Command(command) if command.odd == odd), "{events:?}");
        }
    }

    #[test]
    fn numbers_are_read_as_c_does() {
        for (text, value, used) in [
            ("12\r", 12, 2),
            (" +7x", 7, 3),
            ("-3", -3, 2),
            ("x", 0, 0),
            ("-", 0, 0),
            ("99999999999999999999", i64::MAX, 20),
        ] {
            assert_eq!(leading_number(text.as_bytes()), (value, used), "{text}");
        }
    }
}
