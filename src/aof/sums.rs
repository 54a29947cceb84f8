//! Sums beside an append only file: what was written, group by group, so that a changed bit is told.
//!
//! *Duty:* make the records ([`Chain`], [`Sealing`]), read them ([`Sums`]), and hold the bytes of the AOF against them
//! ([`Verifier`]). *Does not know:* files, when a group is flushed, what becomes of a start that finds damage.
//! *Invariants:* a bit that differs before the end of the last sound record is told, always; bytes behind it are not
//! judged. A record that is itself damaged is known as such and accuses nobody: the next one covers its bytes too.
//! *Counterpart in C Redis:* none; 7.0.15 does not look at these files, and the AOF is byte for byte its own.
//!
//! Beside `X.incr.aof`, and a base that holds commands, lies `X.incr.aof.sum`:
//!
//! ```text
//! header   "RSAOFSUM"   version u32   zero u32                       16 bytes
//! record   end u48   check u16   chain u64                           16 bytes each, all little endian
//!
//! AOF      0 ........ 71 ............... 205 ... 233 ...... 260      (the last group has no record yet)
//! records       end = 71      end = 205      end = 233
//!
//! chain    CRC-64 of the AOF from its byte 0 to `end`: damage before `end` shows in this and all later records
//! check    CRC-64 of `end` and `chain`, folded to 16 bits: tells damage of the record from damage of the AOF
//! ```
//!
//! What a difference means: the first sound record whose chain differs has `end` behind the damage, and the sound one
//! before it has its `end` before. A record that ends behind the end of the AOF says that bytes of the AOF were lost:
//! a torn tail that somebody may want cut off. A record that was not written whole is one that is not there.

use std::fmt;
use std::io::{self, Read, Write};

use crate::base::crc64;

pub const RECORD_BYTES: usize = 16;
/// What the file begins with.
pub const HEADER: [u8; RECORD_BYTES] = *b"RSAOFSUM\x01\0\0\0\0\0\0\0";

const MAGIC: &[u8] = b"RSAOFSUM";
/// The end offset takes the low 48 bits of a record's first half.
const MAX_END: u64 = (1 << 48) - 1;
/// Where the sum of a record begins, so that zeros are not a sound record.
const CHECK_SEED: u64 = 0x5253_4153_554d_3031;

/// The sum of an AOF's bytes from its first on, as they are written or read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    end: u64,
    sum: u64,
    /// The end of the last record made.
    recorded: u64,
}

impl Chain {
    pub fn new() -> Chain {
        Chain::default()
    }

    /// The sum of the first bytes of a file that is there already; an error if there are fewer. As nothing says which
    /// of them have records, all count as having none.
    pub fn over(source: impl Read, bytes: u64) -> io::Result<Chain> {
        let (mut chain, mut source, mut piece) = (Chain::new(), source.take(bytes), vec![0; 64 * 1024]);
        while chain.end < bytes {
            match source.read(&mut piece) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => chain.update(&piece[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(chain)
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.sum = crc64::update(self.sum, bytes);
        self.end += bytes.len() as u64;
    }

    /// The same sum, where a record of the bytes up to `end` is there already.
    pub fn recorded_to(self, end: u64) -> Chain {
        debug_assert!(end <= self.end, "a record of bytes that were not summed up");
        Chain { recorded: end, ..self }
    }

    /// Bytes summed up so far.
    pub fn offset(&self) -> u64 {
        self.end
    }

    /// Bytes that no record covers yet.
    pub fn unrecorded(&self) -> u64 {
        self.end - self.recorded
    }

    /// The record for all bytes so far.
    pub fn record(&mut self) -> [u8; RECORD_BYTES] {
        self.recorded = self.end;
        Record { end: self.end, chain: self.sum }.to_bytes()
    }
}

/// A sink that is summed up on the way: for a file that is written in one go, such as a base.
pub struct Sealing<W> {
    sink: W,
    chain: Chain,
    /// A record is made whenever so many bytes have none.
    every: u64,
    file: Vec<u8>,
}

impl<W: Write> Sealing<W> {
    pub fn new(sink: W, every: u64) -> Sealing<W> {
        Sealing { sink, chain: Chain::new(), every, file: HEADER.to_vec() }
    }

    /// Gives the sink back, with what is to lie beside it.
    pub fn finish(mut self) -> (W, Vec<u8>) {
        if self.chain.unrecorded() > 0 {
            self.file.extend(self.chain.record());
        }
        (self.sink, self.file)
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.chain.update(&bytes[..written]);
        if self.chain.unrecorded() >= self.every {
            self.file.extend(self.chain.record());
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    end: u64,
    chain: u64,
}

impl Record {
    fn check(self) -> u16 {
        let sum = crc64::update(crc64::update(CHECK_SEED, &self.end.to_le_bytes()), &self.chain.to_le_bytes());
        (sum ^ sum >> 16 ^ sum >> 32 ^ sum >> 48) as u16
    }

    fn to_bytes(self) -> [u8; RECORD_BYTES] {
        debug_assert!(self.end <= MAX_END, "an AOF of more than 256 TiB");
        let mut bytes = [0; RECORD_BYTES];
        bytes[..8].copy_from_slice(&(self.end & MAX_END | u64::from(self.check()) << 48).to_le_bytes());
        bytes[8..].copy_from_slice(&self.chain.to_le_bytes());
        bytes
    }

    /// None: the record is damaged.
    fn from_bytes(bytes: &[u8]) -> Option<Record> {
        let half = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("half of a record"));
        let (head, chain) = (half(0), half(8));
        let record = Record { end: head & MAX_END, chain };
        (record.check() == (head >> 48) as u16).then_some(record)
    }
}

/// Why a file is not one of sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SumsError {
    NoHeader,
    UnknownVersion(u32),
    /// A sound record that does not end behind the one before it; counted from zero.
    OutOfOrder {
        record: usize,
    },
}

impl fmt::Display for SumsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SumsError::NoHeader => write!(f, "it does not begin as a file of checksums does"),
            SumsError::UnknownVersion(version) => write!(f, "its version {version} is not known here"),
            SumsError::OutOfOrder { record } => {
                let at = (record + 1) * RECORD_BYTES;
                write!(f, "its record at byte {at} ends before the one ahead of it does")
            }
        }
    }
}

impl std::error::Error for SumsError {}

/// The records of one AOF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// In the order of the file; none where a record is damaged.
    records: Vec<Option<Record>>,
    /// The header has reached the disk.
    has_header: bool,
}

impl Sums {
    /// Reads the file. A record that was not written whole is left out. As nobody waits for these bytes to reach the
    /// disk, a power failure may leave the file empty, or full of zeros: then there are no records.
    pub fn parse(file: &[u8]) -> Result<Sums, SumsError> {
        let (header, records) = file.split_at(file.len().min(RECORD_BYTES));
        if header.iter().all(|b| *b == 0) || header.len() < RECORD_BYTES && HEADER.starts_with(header) {
            return Ok(Sums::default());
        }
        if *header != HEADER {
            return Err(match header.strip_prefix(MAGIC).and_then(|rest| rest.first_chunk()) {
                Some(version) if *version != [1, 0, 0, 0] => SumsError::UnknownVersion(u32::from_le_bytes(*version)),
                _ => SumsError::NoHeader,
            });
        }
        let records: Vec<_> = records.chunks_exact(RECORD_BYTES).map(Record::from_bytes).collect();
        let mut last = 0;
        for (i, record) in records.iter().enumerate() {
            let Some(record) = record else { continue };
            if record.end <= last {
                return Err(SumsError::OutOfOrder { record: i });
            }
            last = record.end;
        }
        Ok(Sums { records, has_header: true })
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many records are damaged. It does not matter unless there is no sound one behind them.
    pub fn damaged(&self) -> usize {
        self.records.iter().filter(|record| record.is_none()).count()
    }

    /// Up to where there are sums.
    pub fn end(&self) -> u64 {
        self.records.iter().rev().flatten().next().map_or(0, |record| record.end)
    }

    /// Where the last sound record ends that ends at `offset` or before.
    pub fn end_up_to(&self, offset: u64) -> u64 {
        self.records.iter().rev().flatten().map(|record| record.end).find(|end| *end <= offset).unwrap_or(0)
    }

    /// How many bytes of the file to keep when the AOF is cut at `offset`, or to append behind: those up to the last
    /// sound record that ends there or before. Zero: it is to be begun anew, with its header.
    pub fn bytes_up_to(&self, offset: u64) -> u64 {
        if !self.has_header {
            return 0;
        }
        let fits = |record: &Option<Record>| record.is_some_and(|record| record.end <= offset);
        let kept = self.records.iter().rposition(fits).map_or(0, |i| i + 1);
        ((kept + 1) * RECORD_BYTES) as u64
    }
}

/// Where the AOF is not what was written: not before `from`, and before `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    pub from: u64,
    pub to: u64,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes {} to {} are not those that were written: their checksum differs", self.from, self.to)
    }
}

/// How an AOF that ended stands to its sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// All bytes are those that were written.
    Whole,
    /// Those before this offset are. There is no record of the others.
    UpTo(u64),
    /// The file was longer once: it was written up to `written`, and is known to be sound up to `sound`.
    Lost { sound: u64, written: u64 },
}

/// Holds the bytes of an AOF, in order, against its sums.
#[derive(Clone, Debug)]
pub struct Verifier {
    sums: Sums,
    next: usize,
    chain: Chain,
}

impl Verifier {
    /// Without records it judges nothing, but its chain can be carried on from the end.
    pub fn new(sums: Sums) -> Verifier {
        Verifier { sums, next: 0, chain: Chain::new() }
    }

    /// Takes the next bytes. After damage was told there is nothing more to learn.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Damage> {
        while let Some(record) = self.expected() {
            let left = record.end - self.chain.end;
            let Some((group, rest)) = usize::try_from(left).ok().and_then(|left| bytes.split_at_checked(left)) else {
                break;
            };
            self.chain.update(group);
            if self.chain.sum != record.chain {
                return Err(Damage { from: self.sound(), to: record.end });
            }
            self.chain.recorded = record.end;
            self.next += 1;
            bytes = rest;
        }
        self.chain.update(bytes);
        Ok(())
    }

    fn expected(&mut self) -> Option<Record> {
        loop {
            match self.sums.records.get(self.next)? {
                Some(record) => return Some(*record),
                None => self.next += 1,
            }
        }
    }

    /// Bytes taken so far.
    pub fn offset(&self) -> u64 {
        self.chain.end
    }

    /// Up to where the bytes are known to be sound.
    pub fn sound(&self) -> u64 {
        self.chain.recorded
    }

    /// Is there a record that has not been reached?
    pub fn is_waiting(&mut self) -> bool {
        self.expected().is_some()
    }

    /// What is known if the file ends here.
    pub fn sealed(&self) -> Sealed {
        let (sound, written) = (self.sound(), self.sums.end());
        if written > self.chain.end {
            Sealed::Lost { sound, written }
        } else if sound < self.chain.end {
            Sealed::UpTo(sound)
        } else {
            Sealed::Whole
        }
    }

    /// The sum of all bytes taken, to be carried on by whoever appends to the file.
    pub fn chain(&self) -> Chain {
        self.chain
    }
}

#[cfg(test)]
mod tests;
