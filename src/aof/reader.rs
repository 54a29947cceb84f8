//! [`Reader`]: the commands of an append only file, many at a time.
//!
//! *Duty:* read in large chunks, cut whole commands out of them where they lie, and say where each begins and ends in
//! the file. With a [`Verifier`] it holds all it reads against the sums, and gives out nothing known to be damaged.
//! *Does not know:* files, what commands do, transactions: where an open MULTI began is for whoever runs them.
//! *Invariants:* only multibulk commands, byte for byte as a server writes them. A length reserves nothing: the buffer
//! doubles only when it is full of one command. After an error the answer stays an error.
//! *Counterpart in C Redis:* the parsing half of `loadSingleAppendOnlyFile`.
//!
//! ```text
//!  *3 $3 SET ...   *2 $4 INCR ...   #TS:1700000000   *3 $3 SET ...   *3 $3 SE
//!  └── Chunk::Commands, up to 32 ┘  └ Annotation ┘   └ Commands ┘    └ Truncated: its offset
//! ```

use std::fmt;
use std::io::{self, Read};

use super::fault::{Fault, MAX_ANNOTATION, What, examine};
use super::sums::{Damage, Verifier};
use crate::base::num;
use crate::resp::request::{StrictEnd, parse_strict};
use crate::resp::{Batch, Partial, Span};

/// Bytes asked for at once.
const CHUNK_BYTES: usize = 1024 * 1024;

pub struct Reader<R> {
    source: R,
    /// As long as it is allocated; `filled` of it holds bytes.
    buf: Vec<u8>,
    filled: usize,
    /// The first byte that has not been given out.
    at: usize,
    /// Where `buf` begins in the file.
    base: u64,
    eof: bool,
    partial: Option<Box<Partial>>,
    batch: Batch,
    /// Line ends in what was given out.
    lines: u64,
    verifier: Option<Verifier>,
    damage: Option<Damage>,
    fault: Option<Fault>,
}

/// What comes next in the file.
pub enum Chunk<'a> {
    Commands(Commands<'a>),
    Annotation(Annotation<'a>),
    /// The file ends behind a whole command.
    End,
}

/// Some commands in a row, at least one.
#[derive(Clone, Copy)]
pub struct Commands<'a> {
    buf: &'a [u8],
    batch: &'a Batch,
    /// Where `buf` begins in the file.
    base: u64,
    /// Where the first command begins in `buf`.
    first: usize,
}

/// A line that begins with `#`, for readers and not for the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Annotation<'a> {
    pub offset: u64,
    /// Without its end.
    pub line: &'a [u8],
}

#[derive(Debug)]
pub enum ReadError {
    Io(io::Error),
    /// The file ends within a command.
    Truncated(Fault),
    /// There are bytes that belong to no command.
    Format(Fault),
    /// Bytes are not those that were written.
    Damaged(Damage),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Io(error) => write!(f, "{error}"),
            ReadError::Truncated(fault) => write!(f, "{} (at byte {})", fault.what, fault.at),
            ReadError::Format(fault) => write!(f, "{} (at byte {})", fault.what, fault.at),
            ReadError::Damaged(damage) => write!(f, "{damage}"),
        }
    }
}

impl std::error::Error for ReadError {}

impl<'a> Commands<'a> {
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// The bytes that the spans lie in.
    pub fn buf(&self) -> &'a [u8] {
        self.buf
    }

    pub fn batch(&self) -> &'a Batch {
        self.batch
    }

    #[inline]
    pub fn spans(&self, i: usize) -> &'a [Span] {
        self.batch.spans(self.batch.command(i))
    }

    /// An argument; the name of the command is the first. None: there are fewer.
    #[inline]
    pub fn arg(&self, i: usize, arg: usize) -> Option<&'a [u8]> {
        self.spans(i).get(arg).map(|span| span.of(self.buf))
    }

    /// Where a command begins in the file.
    #[inline]
    pub fn start(&self, i: usize) -> u64 {
        self.base + if i == 0 { self.first as u64 } else { u64::from(self.batch.command(i - 1).end) }
    }

    /// Where a command ends in the file.
    #[inline]
    pub fn end(&self, i: usize) -> u64 {
        self.base + u64::from(self.batch.command(i).end)
    }
}

impl Annotation<'_> {
    /// The Unix time from which on the commands behind it were run; none if it says something else.
    pub fn timestamp(&self) -> Option<i64> {
        num::parse_i64(self.line.strip_prefix(b"#TS:")?)
    }
}

impl<R: Read> Reader<R> {
    /// Reads the commands that `source` holds from here on: it stands at byte `offset` of the file, behind an RDB
    /// preamble if there is one.
    pub fn new(source: R, offset: u64) -> Reader<R> {
        Reader {
            source,
            buf: vec![0; CHUNK_BYTES],
            filled: 0,
            at: 0,
            base: offset,
            eof: false,
            partial: None,
            batch: Batch::default(),
            lines: 0,
            verifier: None,
            damage: None,
            fault: None,
        }
    }

    /// Holds the bytes against their sums.
    ///
    /// # Panics
    /// When `verifier` has not taken just the bytes before those to be read.
    pub fn verified(mut self, verifier: Verifier) -> Reader<R> {
        assert_eq!(verifier.offset(), self.base + self.filled as u64, "the sums are of the bytes from the first on");
        self.verifier = Some(verifier);
        self
    }

    /// What comes next. The commands are to be run before it is asked again.
    // The name is what it does; an iterator it cannot be, as its items borrow from it.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Chunk<'_>, ReadError> {
        loop {
            if let Some(fault) = self.fault {
                return Err(ReadError::Format(fault));
            }
            let sound = self.sound();
            if self.at < sound {
                if self.partial.is_none() && self.buf[self.at] == b'#' {
                    if let Some(end) = self.annotation_end(sound)? {
                        return Ok(Chunk::Annotation(self.give_annotation(end)));
                    }
                } else {
                    let first = self.at;
                    let (at, end) = parse_strict(&self.buf[..sound], first, &mut self.partial, &mut self.batch);
                    if !self.batch.is_empty() {
                        self.at = at;
                        self.lines += (self.batch.len() + 2 * self.batch.arg_count()) as u64;
                        return Ok(Chunk::Commands(Commands {
                            buf: &self.buf,
                            batch: &self.batch,
                            base: self.base,
                            first,
                        }));
                    }
                    // An annotation ends a run of commands.
                    if end == StrictEnd::NotACommand && self.buf[self.at] != b'#' {
                        return Err(self.wrong()?);
                    }
                }
            }
            if let Some(damage) = self.damage {
                return Err(ReadError::Damaged(damage));
            }
            if self.eof {
                return self.end();
            }
            self.fill()?;
        }
    }

    /// The offset of the first byte that has not been given out.
    pub fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Line ends in the commands given out, as `redis-check-aof` counts them.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// What the sums say of the bytes read so far.
    pub fn verifier(&self) -> Option<&Verifier> {
        self.verifier.as_ref()
    }

    pub fn into_verifier(self) -> Option<Verifier> {
        self.verifier
    }

    /// Up to where in the buffer nothing is known to be damaged.
    fn sound(&self) -> usize {
        match self.damage {
            Some(damage) => (damage.from.saturating_sub(self.base) as usize).min(self.filled),
            None => self.filled,
        }
    }

    /// Behind the line end of the annotation at hand, if that is there.
    fn annotation_end(&mut self, sound: usize) -> Result<Option<usize>, ReadError> {
        let line = &self.buf[self.at..sound.min(self.at + MAX_ANNOTATION)];
        match line.iter().position(|&b| b == b'\n') {
            Some(i) => Ok(Some(self.at + i + 1)),
            None if line.len() == MAX_ANNOTATION => Err(self.wrong()?),
            None => Ok(None),
        }
    }

    fn give_annotation(&mut self, end: usize) -> Annotation<'_> {
        let offset = self.offset();
        let line = &self.buf[self.at..end - 1];
        self.at = end;
        Annotation { offset, line: line.strip_suffix(b"\r").unwrap_or(line) }
    }

    /// What is wrong at `at`. If the sums have an opinion on these bytes, it is heard first.
    #[cold]
    fn wrong(&mut self) -> Result<ReadError, ReadError> {
        let fault = self.examine();
        self.fault = Some(fault);
        while self.damage.is_none()
            && !self.eof
            && self.verifier.as_mut().is_some_and(|v| v.is_waiting() && v.sound() <= fault.at)
        {
            self.at = self.filled;
            self.fill()?;
        }
        match self.damage {
            Some(damage) if damage.from <= fault.at => {
                self.fault = None;
                self.at = self.filled;
                Ok(ReadError::Damaged(damage))
            }
            _ => Ok(ReadError::Format(fault)),
        }
    }

    fn examine(&self) -> Fault {
        examine(&self.buf[self.at..self.filled], self.offset(), self.lines)
    }

    fn end(&mut self) -> Result<Chunk<'_>, ReadError> {
        if self.at == self.filled {
            return Ok(Chunk::End);
        }
        let fault = self.examine();
        Err(if fault.is_truncation() { ReadError::Truncated(fault) } else { ReadError::Format(fault) })
    }

    /// Reads the next bytes behind those that have not been given out, which move to the front.
    fn fill(&mut self) -> Result<(), ReadError> {
        let left = self.filled - self.at;
        if self.at > 0 {
            self.buf.copy_within(self.at..self.filled, 0);
            self.base += self.at as u64;
            (self.at, self.filled) = (0, left);
            if self.buf.len() > CHUNK_BYTES && left <= CHUNK_BYTES / 2 {
                self.buf.truncate(CHUNK_BYTES);
                self.buf.shrink_to_fit();
            }
        }
        if self.filled == self.buf.len() {
            self.grow()?;
        }
        let read = loop {
            match self.source.read(&mut self.buf[self.filled..]) {
                Ok(read) => break read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ReadError::Io(error)),
            }
        };
        self.eof = read == 0;
        let bytes = &self.buf[self.filled..self.filled + read];
        if let Some(verifier) = self.verifier.as_mut()
            && self.damage.is_none()
        {
            self.damage = verifier.feed(bytes).err();
            if self.damage.is_some() {
                // The half command at hand may reach into what is damaged.
                self.partial = None;
            }
        }
        self.filled += read;
        Ok(())
    }

    /// The buffer is full of one command: doubles it.
    fn grow(&mut self) -> Result<(), ReadError> {
        let len = (self.buf.len() * 2).min(u32::MAX as usize);
        if len == self.buf.len() {
            let fault = Fault { what: What::TooLong, at: self.offset(), ..self.examine() };
            self.fault = Some(fault);
            return Err(ReadError::Format(fault));
        }
        if self.buf.try_reserve_exact(len - self.buf.len()).is_err() {
            return Err(ReadError::Io(io::ErrorKind::OutOfMemory.into()));
        }
        self.buf.resize(len, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
