//! [`Source`]: bytes on their way in, buffered, counted, summed up and decoded.
//!
//! *Duty:* the forms of lengths, integers and texts, read from an input that may lie about everything.
//! *Does not know:* items and entries.
//! *Invariants:* no more bytes are taken from the input than the limit says. What is reserved for a text is covered by
//! the limit, or, where there is none, by bytes that have already come: memory grows with the input, not with what it
//! promises. Any error leaves the source where it was or further; it never goes back.
//! *Counterpart in C Redis:* `rio.c`, `rdbLoadLen`, `rdbGenericLoadStringObject`.
//!
//! ```text
//! buf   |  used up  |  summed..pos  |  pos..end: to come  |  free  |
//!       0         summed           pos                   end
//! ```
//!
//! The sum is brought up to date when the buffer moves on, not with each field.

use std::io::{self, Read};

use super::error::{RdbError, RdbErrorKind};
use super::format::{len, text};
use super::{OWNED_FROM, RdbErrorKind as Kind};
use crate::base::{crc64, lzf, num};

/// A buffer large enough that reading a file is a few system calls, small enough to be still cached when summed up.
pub(super) const BUFFER_BYTES: usize = 256 * 1024;

/// Without a limit, this much is reserved before anything of a text has come.
const FIRST_PIECE: u64 = 64 * 1024;

pub(super) type Result<T> = std::result::Result<T, RdbError>;

pub(super) struct Source<R> {
    input: R,
    buf: Vec<u8>,
    pos: usize,
    end: usize,
    /// Up to where `buf` is part of `crc`.
    summed: usize,
    crc: u64,
    sum: bool,
    /// How many bytes of the input came before `buf[0]`.
    before: u64,
    limit: Option<u64>,
}

/// A text as it was read.
pub(super) enum Text<'a> {
    Int(i64),
    /// At most [`OWNED_FROM`] bytes.
    Slice(&'a [u8]),
    Buffer(Vec<u8>),
}

impl Text<'_> {
    /// The bytes; an integer prints itself into `digits`.
    pub fn bytes<'s>(&'s self, digits: &'s mut num::IntBuf) -> &'s [u8] {
        match self {
            Text::Int(value) => num::format_i64(*value, digits),
            Text::Slice(bytes) => bytes,
            Text::Buffer(bytes) => bytes,
        }
    }

    /// Puts the bytes into `out`, in place of what is there.
    #[inline]
    pub fn store(self, out: &mut Vec<u8>) {
        match self {
            Text::Int(value) => {
                out.clear();
                num::write_i64(out, value);
            }
            Text::Slice(bytes) => {
                out.clear();
                out.extend_from_slice(bytes);
            }
            Text::Buffer(bytes) => *out = bytes,
        }
    }
}

impl<R: Read> Source<R> {
    /// `capacity` is at least [`OWNED_FROM`], so that a short text always fits.
    pub fn new(input: R, capacity: usize, sum: bool, limit: Option<u64>) -> Source<R> {
        let buf = vec![0; capacity.max(OWNED_FROM)];
        Source { input, buf, pos: 0, end: 0, summed: 0, crc: 0, sum, before: 0, limit }
    }

    /// Bytes consumed so far.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.before + self.pos as u64
    }

    /// How many bytes can still come; none if that is not known.
    pub fn left(&self) -> Option<u64> {
        self.limit.map(|limit| limit.saturating_sub(self.offset()))
    }

    pub fn error(&self, kind: RdbErrorKind) -> RdbError {
        RdbError { offset: self.offset(), kind }
    }

    #[cold]
    pub fn fail<T>(&self, kind: RdbErrorKind) -> Result<T> {
        Err(self.error(kind))
    }

    /// The input, and what was read from it but not consumed.
    pub fn into_parts(mut self) -> (R, Vec<u8>) {
        self.buf.truncate(self.end);
        self.buf.drain(..self.pos);
        (self.input, self.buf)
    }

    /// The sum of all bytes consumed.
    pub fn checksum(&mut self) -> u64 {
        self.sum_up();
        self.crc
    }

    fn sum_up(&mut self) {
        if self.sum {
            self.crc = crc64::update(self.crc, &self.buf[self.summed..self.pos]);
        }
        self.summed = self.pos;
    }

    /// Makes `need` bytes available from `pos` on. The buffer must be able to hold them.
    #[cold]
    fn fill(&mut self, need: usize) -> Result<()> {
        self.sum_up();
        self.buf.copy_within(self.pos..self.end, 0);
        self.before += self.pos as u64;
        self.end -= self.pos;
        (self.pos, self.summed) = (0, 0);
        while self.end < need {
            let room = self.buf.len() - self.end;
            let may_read = self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.before + self.end as u64));
            let room = room.min(usize::try_from(may_read).unwrap_or(usize::MAX));
            match self.input.read(&mut self.buf[self.end..self.end + room]) {
                Ok(0) => return self.fail(Kind::ShortRead),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.fail(Kind::Io(error)),
            }
        }
        Ok(())
    }

    #[inline]
    pub fn byte(&mut self) -> Result<u8> {
        if self.pos == self.end {
            self.fill(1)?;
        }
        let byte = self.buf[self.pos];
        self.pos += 1;
        Ok(byte)
    }

    /// The next `len` bytes, of which there are at most [`OWNED_FROM`].
    #[inline]
    pub fn slice(&mut self, len: usize) -> Result<&[u8]> {
        if len > self.end - self.pos {
            self.fill(len)?;
        }
        let from = self.pos;
        self.pos += len;
        Ok(&self.buf[from..self.pos])
    }

    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.slice(N)?);
        Ok(bytes)
    }

    /// The next `len` bytes, however many.
    fn buffer(&mut self, len: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut piece = if self.limit.is_some() { len } else { len.min(FIRST_PIECE) };
        while (out.len() as u64) < len {
            self.append(&mut out, piece)?;
            piece = (out.len() as u64).min(len - out.len() as u64);
        }
        Ok(out)
    }

    fn append(&mut self, out: &mut Vec<u8>, len: u64) -> Result<()> {
        let room = usize::try_from(len).ok().filter(|&room| out.try_reserve_exact(room).is_ok());
        let Some(len) = room else {
            return self.fail(Kind::OutOfMemory(len));
        };
        let buffered = len.min(self.end - self.pos);
        out.extend_from_slice(&self.buf[self.pos..self.pos + buffered]);
        self.pos += buffered;
        let rest = len - buffered;
        if rest == 0 {
            return Ok(());
        }
        // The rest is long: it goes past the buffer, which is used up.
        self.sum_up();
        let from = out.len();
        let result = (&mut self.input).take(rest as u64).read_to_end(out);
        let got = out.len() - from;
        self.before += got as u64;
        if self.sum {
            self.crc = crc64::update(self.crc, &out[from..]);
        }
        match result {
            Err(error) => self.fail(Kind::Io(error)),
            Ok(_) if got < rest => self.fail(Kind::ShortRead),
            Ok(_) => Ok(()),
        }
    }

    /// Consumes `len` bytes that nobody wants.
    pub fn skip(&mut self, mut len: u64) -> Result<()> {
        self.check(len)?;
        while len > 0 {
            if self.pos == self.end {
                self.fill(1)?;
            }
            let step = len.min((self.end - self.pos) as u64);
            self.pos += step as usize;
            len -= step;
        }
        Ok(())
    }

    /// Can `len` more bytes come?
    #[inline]
    fn check(&self, len: u64) -> Result<()> {
        match self.left() {
            Some(left) if len > left => self.fail(Kind::LengthTooLarge { len, left }),
            _ => Ok(()),
        }
    }

    /// A length, or the special form of a text.
    #[inline]
    fn length_or_special(&mut self) -> Result<LengthOrSpecial> {
        let first = self.byte()?;
        let low = first & !len::SPECIAL;
        Ok(LengthOrSpecial::Length(match first & len::SPECIAL {
            0 => u64::from(low),
            len::BITS_14 => u64::from(low) << 8 | u64::from(self.byte()?),
            len::SPECIAL => return Ok(LengthOrSpecial::Special(low)),
            _ if first == len::BYTES_4 => u64::from(u32::from_be_bytes(self.array()?)),
            _ if first == len::BYTES_8 => u64::from_be_bytes(self.array()?),
            _ => return self.fail(Kind::BadLengthForm(first)),
        }))
    }

    /// A number in the form of a length, which may count anything.
    #[inline]
    pub fn length(&mut self) -> Result<u64> {
        match self.length_or_special()? {
            LengthOrSpecial::Length(len) => Ok(len),
            LengthOrSpecial::Special(low) => self.fail(Kind::BadLengthForm(len::SPECIAL | low)),
        }
    }

    /// How many elements follow, each of which takes a byte at least.
    #[inline]
    pub fn count(&mut self) -> Result<u64> {
        let count = self.length()?;
        self.check(count)?;
        Ok(count)
    }

    #[inline]
    pub fn text(&mut self) -> Result<Text<'_>> {
        let len = match self.length_or_special()? {
            LengthOrSpecial::Length(len) => len,
            LengthOrSpecial::Special(form) => return self.special_text(form),
        };
        if len <= OWNED_FROM as u64 {
            return self.slice(len as usize).map(Text::Slice);
        }
        self.check(len)?;
        self.buffer(len).map(Text::Buffer)
    }

    fn special_text(&mut self, form: u8) -> Result<Text<'_>> {
        Ok(match form {
            text::INT_8 => Text::Int(i64::from(i8::from_le_bytes(self.array()?))),
            text::INT_16 => Text::Int(i64::from(i16::from_le_bytes(self.array()?))),
            text::INT_32 => Text::Int(i64::from(i32::from_le_bytes(self.array()?))),
            text::LZF => Text::Buffer(self.compressed_text()?),
            _ => return self.fail(Kind::BadTextForm(form)),
        })
    }

    fn compressed_text(&mut self) -> Result<Vec<u8>> {
        let compressed_len = self.length()?;
        let len = self.length()?;
        self.check(compressed_len)?;
        let len = match usize::try_from(len) {
            Ok(0) | Err(_) => return self.fail(Kind::LengthOutOfRange(len)),
            Ok(len) => len,
        };
        let bytes = if compressed_len <= OWNED_FROM as u64 {
            lzf::decompress(self.slice(compressed_len as usize)?, len)
        } else {
            lzf::decompress(&self.buffer(compressed_len)?, len)
        };
        bytes.map_err(|error| self.error(Kind::BadCompression(error)))
    }

    /// Consumes a text, which is only looked at as far as needed to find its end.
    pub fn skip_text(&mut self) -> Result<()> {
        match self.length_or_special()? {
            LengthOrSpecial::Length(len) => self.skip(len),
            LengthOrSpecial::Special(form) => self.special_text(form).map(|_| ()),
        }
    }
}

enum LengthOrSpecial {
    Length(u64),
    Special(u8),
}
