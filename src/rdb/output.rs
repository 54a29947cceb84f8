//! [`Output`]: bytes on their way out, buffered, summed up and encoded.
//!
//! *Duty:* the forms of lengths, integers and texts; one buffer, whose content is summed up and written at once
//! rather than field by field. *Does not know:* items and entries; [`super::writer`] and [`super::payload`] put those
//! together.
//! *Invariants:* nothing is allocated once the buffers exist, except to compress a text longer than any before.
//! The choice of forms is that of 7.0.15, up to which repeats LZF finds and when it is not even tried.
//! *Counterpart in C Redis:* `rio.c`, `rdbSaveLen`, `rdbSaveRawString`.

use std::io::{self, Write};

use super::format::{len, text};
use crate::base::{crc64, lzf, num};
use crate::ds::listpack::Listpack;

/// Small enough to be still in the cache when it is summed up and written.
pub(super) const BUFFER_BYTES: usize = 128 * 1024;

/// The longest text that may spell a 32-bit integer.
const MAX_INT_TEXT: usize = 11;

/// Texts up to this length are not worth compressing.
const MIN_COMPRESSED: usize = 20;

pub(super) struct Output<W> {
    sink: W,
    /// Never grows: its capacity is its size.
    buf: Vec<u8>,
    /// Bytes that have left the buffer.
    flushed: u64,
    crc: u64,
    sum: bool,
    compress: bool,
    luck: Luck,
    /// Where a text is compressed, as its length must be known before it.
    compressed: Vec<u8>,
    /// Where a packed collection takes the form of the file.
    pub(super) listpack: Listpack,
}

impl<W: Write> Output<W> {
    pub fn new(sink: W, capacity: usize, sum: bool, compress: bool) -> Output<W> {
        Output {
            sink,
            buf: Vec::with_capacity(capacity),
            flushed: 0,
            crc: 0,
            sum,
            compress,
            luck: Luck::default(),
            compressed: Vec::with_capacity(if compress { OWN_COMPRESSED_BYTES.min(capacity) } else { 0 }),
            listpack: Listpack::new(),
        }
    }

    /// Bytes put so far.
    pub fn position(&self) -> u64 {
        self.flushed + self.buf.len() as u64
    }

    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.buf.capacity() - self.buf.len() {
            return self.put_beyond(bytes);
        }
        self.buf.extend_from_slice(bytes);
        Ok(())
    }

    /// What does not fit: empties the buffer first, and lets large texts pass it by.
    #[cold]
    fn put_beyond(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.flush()?;
        if bytes.len() < self.buf.capacity() {
            self.buf.extend_from_slice(bytes);
            return Ok(());
        }
        self.account(bytes.len());
        if self.sum {
            self.crc = crc64::update(self.crc, bytes);
        }
        self.sink.write_all(bytes)
    }

    fn account(&mut self, len: usize) {
        self.flushed += len as u64;
    }

    pub fn flush(&mut self) -> io::Result<()> {
        if self.sum {
            self.crc = crc64::update(self.crc, &self.buf);
        }
        self.account(self.buf.len());
        let result = self.sink.write_all(&self.buf);
        self.buf.clear();
        result
    }

    /// Ends the output with the sum of all before it, or zeros when there is none.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.flush()?;
        let sum = self.crc;
        self.put(&sum.to_le_bytes())?;
        self.flush()?;
        self.sink.flush()?;
        Ok((self.sink, self.flushed))
    }

    #[inline]
    pub fn byte(&mut self, byte: u8) -> io::Result<()> {
        self.put(&[byte])
    }

    #[inline]
    pub fn length(&mut self, n: u64) -> io::Result<()> {
        if n <= len::MAX_6_BITS {
            self.byte(n as u8)
        } else if n <= len::MAX_14_BITS {
            self.put(&[len::BITS_14 | (n >> 8) as u8, n as u8])
        } else if let Ok(n) = u32::try_from(n) {
            let [a, b, c, d] = n.to_be_bytes();
            self.put(&[len::BYTES_4, a, b, c, d])
        } else {
            self.byte(len::BYTES_8)?;
            self.put(&n.to_be_bytes())
        }
    }

    /// The decimal text of `value`, in the shortest form there is.
    #[inline]
    pub fn int(&mut self, value: i64) -> io::Result<()> {
        let Ok(narrow) = i32::try_from(value) else {
            let mut buf = [0; num::MAX_DECIMAL_LEN];
            let digits = num::format_i64(value, &mut buf);
            self.length(digits.len() as u64)?;
            return self.put(digits);
        };
        let [a, b, c, d] = narrow.to_le_bytes();
        if let Ok(value) = i8::try_from(value) {
            self.put(&[len::SPECIAL | text::INT_8, value as u8])
        } else if i16::try_from(value).is_ok() {
            self.put(&[len::SPECIAL | text::INT_16, a, b])
        } else {
            self.put(&[len::SPECIAL | text::INT_32, a, b, c, d])
        }
    }

    #[inline]
    pub fn text(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() <= MAX_INT_TEXT {
            let narrow = num::parse_i64(bytes).filter(|&value| i32::try_from(value).is_ok());
            if let Some(value) = narrow {
                return self.int(value);
            }
        } else if self.compress && bytes.len() > MIN_COMPRESSED && self.compress(bytes) {
            return self.put_compressed(bytes.len());
        }
        self.length(bytes.len() as u64)?;
        self.put(bytes)
    }

    /// Leaves the compressed form in `compressed`, if that is shorter.
    fn compress(&mut self, bytes: &[u8]) -> bool {
        if !self.luck.try_again(bytes.len()) {
            return false;
        }
        self.compressed.clear();
        let shorter = lzf::compress(bytes, &mut self.compressed);
        self.luck.note(shorter);
        shorter
    }

    fn put_compressed(&mut self, original_len: usize) -> io::Result<()> {
        let compressed = std::mem::take(&mut self.compressed);
        self.byte(len::SPECIAL | text::LZF)?;
        self.length(compressed.len() as u64)?;
        self.length(original_len as u64)?;
        self.put(&compressed)?;
        self.compressed = compressed;
        Ok(())
    }
}

/// What the compressed form of a text may take before its buffer grows.
const OWN_COMPRESSED_BYTES: usize = 16 * 1024;

/// Whether compressing is tried at all. Where one text after the other turned out to be random, such as ids and
/// digests, most attempts are wasted: then only every eighth short text is tried, until one shrinks.
#[derive(Default)]
struct Luck {
    misses: u32,
}

impl Luck {
    const PATIENCE: u32 = 64;
    const TRY_EVERY: u32 = 8;
    /// Longer texts are always tried: there is more to gain, and the search gives up early by itself.
    const ALWAYS_FROM: usize = 1024;

    #[inline]
    fn try_again(&mut self, len: usize) -> bool {
        if self.misses < Luck::PATIENCE || len >= Luck::ALWAYS_FROM {
            return true;
        }
        self.misses += 1;
        if self.misses < Luck::PATIENCE + Luck::TRY_EVERY {
            return false;
        }
        self.misses = Luck::PATIENCE;
        true
    }

    #[inline]
    fn note(&mut self, shorter: bool) {
        self.misses = if shorter { 0 } else { (self.misses + 1).min(Luck::PATIENCE) };
    }
}
