//! [`Writer`]: a snapshot, item by item.
//!
//! *Duty:* the frame of a file (magic, aux fields, databases, end and checksum) and its entries with their expiry and
//! access time. *Does not know:* where entries come from, which of them belong into the file, how often to report.
//! *Invariants:* nothing is allocated per key. After an error the file is worthless and so is the writer.
//! *Counterpart in C Redis:* `rdbSaveRio`, `rdbSaveDb`, `rdbSaveKeyValuePair`.
//!
//! The buffers are made by [`Writer::new`]: a child that is to write is forked after that.

use std::io::{self, Write};

use super::format::{MAX_VERSION, op};
use super::output::{BUFFER_BYTES, Output};
use super::{View, WriteOptions};
use crate::base::millis::Millis;

pub struct Writer<W> {
    out: Output<W>,
    keys: u64,
    /// What the last [`Progress`] said.
    reported: Progress,
}

/// An entry's access time, as the eviction policy keeps it. Policies that are neither LRU nor LFU keep none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Seconds since the last use: LRU.
    Idle(u64),
    /// The logarithmic counter, decremented for the time that passed: LFU.
    Frequency(u8),
}

/// The aux fields that each file begins with.
#[derive(Clone, Debug)]
pub struct AuxFields<'a> {
    pub redis_version: &'a str,
    pub created: Millis,
    pub used_memory: u64,
    pub replication: Option<ReplicationAux<'a>>,
    /// Is this the base file of an AOF?
    pub aof_base: bool,
}

/// Where in the replication stream a snapshot stands.
#[derive(Clone, Copy, Debug)]
pub struct ReplicationAux<'a> {
    pub stream_db: i64,
    pub id: &'a str,
    pub offset: i64,
}

/// How far a snapshot has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub keys: u64,
    pub bytes: u64,
}

impl<W: Write> Writer<W> {
    /// # Panics
    /// When asked for a format version that these entries would not fit.
    pub fn new(sink: W, options: WriteOptions) -> Writer<W> {
        assert!((9..=MAX_VERSION).contains(&options.version), "RDB version {}", options.version);
        let mut out = Output::new(sink, BUFFER_BYTES, options.checksum, options.compress);
        out.put(format!("REDIS{:04}", options.version).as_bytes()).expect("an empty buffer has room for the magic");
        Writer { out, keys: 0, reported: Progress::default() }
    }

    /// The fields of 7.0.15, in its order.
    pub fn aux_fields(&mut self, fields: &AuxFields<'_>) -> io::Result<()> {
        self.aux(b"redis-ver", fields.redis_version.as_bytes())?;
        self.aux_int(b"redis-bits", i64::from(usize::BITS))?;
        self.aux_int(b"ctime", fields.created.secs())?;
        self.aux_int(b"used-mem", i64::try_from(fields.used_memory).unwrap_or(i64::MAX))?;
        if let Some(replication) = fields.replication {
            self.aux_int(b"repl-stream-db", replication.stream_db)?;
            self.aux(b"repl-id", replication.id.as_bytes())?;
            self.aux_int(b"repl-offset", replication.offset)?;
        }
        self.aux_int(b"aof-base", i64::from(fields.aof_base))
    }

    /// One more field. Readers skip those they do not know.
    pub fn aux(&mut self, name: &[u8], value: &[u8]) -> io::Result<()> {
        self.out.byte(op::AUX)?;
        self.out.text(name)?;
        self.out.text(value)
    }

    pub fn aux_int(&mut self, name: &[u8], value: i64) -> io::Result<()> {
        self.out.byte(op::AUX)?;
        self.out.text(name)?;
        self.out.int(value)
    }

    /// The source of a function library. Libraries stand before the first database.
    pub fn function(&mut self, source: &[u8]) -> io::Result<()> {
        self.out.byte(op::FUNCTION)?;
        self.out.text(source)
    }

    /// The entries that follow belong to database `id`, which has `keys` keys of which `expires` expire. A database
    /// without keys leaves no trace in a file.
    pub fn begin_db(&mut self, id: u64, keys: u64, expires: u64) -> io::Result<()> {
        if keys == 0 {
            return Ok(());
        }
        self.out.byte(op::SELECT_DB)?;
        self.out.length(id)?;
        self.out.byte(op::RESIZE_DB)?;
        self.out.length(keys)?;
        self.out.length(expires)
    }

    #[inline]
    pub fn entry(
        &mut self,
        key: &[u8],
        value: View<'_>,
        expire: Option<Millis>,
        access: Option<Access>,
    ) -> io::Result<()> {
        if let Some(at) = expire {
            let [a, b, c, d, e, f, g, h] = at.0.to_le_bytes();
            self.out.put(&[op::EXPIRE_MS, a, b, c, d, e, f, g, h])?;
        }
        match access {
            Some(Access::Idle(seconds)) => {
                self.out.byte(op::IDLE)?;
                self.out.length(seconds)?;
            }
            Some(Access::Frequency(counter)) => self.out.put(&[op::FREQ, counter])?,
            None => {}
        }
        self.out.kind(value)?;
        self.out.text(key)?;
        self.out.value(value)?;
        self.keys += 1;
        Ok(())
    }

    pub fn progress(&self) -> Progress {
        Progress { keys: self.keys, bytes: self.out.position() }
    }

    /// How far it has come, if that is `keys` keys or `bytes` bytes more than this said last. Cheap enough to be asked
    /// after each entry.
    #[inline]
    pub fn progress_every(&mut self, keys: u64, bytes: u64) -> Option<Progress> {
        let now = self.progress();
        if now.keys - self.reported.keys < keys && now.bytes - self.reported.bytes < bytes {
            return None;
        }
        self.reported = now;
        Some(now)
    }

    /// Ends the file. Gives the sink back, with the number of bytes it got; syncing it is the caller's.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.out.byte(op::EOF)?;
        self.out.finish()
    }
}
