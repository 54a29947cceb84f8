//! The append only file: every change on disk, in the order in which it happened.
//!
//! *Duty:* the state of it ([`Aof`]) and what INFO shows of it. `write` takes operations in and brings them to disk,
//! `flight` lets the loop go on meanwhile and `pace` says when, `increment` is the file that grows and the sums beside it, `folder` the folder with its manifest, `rewrite` the
//! child that makes a new base, `switch` CONFIG SET appendonly, `load` the way back into memory.
//! *Does not know:* the formats, which are the crate's `aof` and `rdb`.
//! *Invariants:* what stands in the manifest is on disk; a reply to a change leaves only after [`Server::flush_aof`] did
//! what `appendfsync` promises of it; while writing or syncing fails no change is accepted (`gates`), and once it works
//! again service resumes. A page that the disk refused once is not trusted again: after a failed fsync everything is
//! written anew, as a rewrite.
//! *Counterpart in C Redis:* `aof.c`.

mod base;
mod flight;
mod folder;
mod increment;
mod load;
mod pace;
mod replay;
mod rewrite;
mod switch;
mod write;

pub(super) use load::Found;
pub use rewrite::RewriteChild;

use std::path::PathBuf;

use crate::aof::manifest::Manifest;
use crate::base::millis::Millis;
use crate::call::ClientRef;
use crate::call::effects::{Ops, Targets};
use crate::server::propagate::{Feed, Wrap};
use increment::Increment;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Off,
    On,
    /// Switched on while the server runs: the file counts once the first rewrite is done.
    WaitRewrite,
}

/// What is known about the append only file. Fields with a name of INFO's hold what INFO shows.
#[derive(Debug, Default)]
pub struct Aof {
    pub state: State,
    /// Where the files are; set when they are opened. If `dir` changes they follow with the next rewrite.
    folder: PathBuf,
    manifest: Manifest,
    /// The file that grows.
    increment: Option<Increment>,
    feed: Feed,
    /// Operations that are not in the file yet.
    buffer: Vec<u8>,
    /// Bytes fed since the start: where in the history of changes the buffer ends.
    pub fed: u64,
    /// Of these, how many were on disk when this was last looked at.
    pub synced: u64,
    /// Unix seconds of the last annotation (`aof-timestamp-enabled`).
    annotated: i64,
    /// Replies of this turn that promise what is not on disk yet (`appendfsync always`).
    promises: Vec<Promise>,
    /// The error of the last attempt to write or sync, 0 when it succeeded.
    errno: i32,
    /// The file ends in the middle of a group of commands, and the buffer begins with the rest of it.
    half_written: bool,
    /// An fsync failed: what the file holds may not be what was written.
    distrusted: bool,
    /// Unix seconds of the last line about an error.
    error_logged: i64,
    /// Unix seconds of the last fsync.
    last_fsync: i64,
    /// Unix seconds since when a write waits for an fsync; 0: none does.
    postponed_since: i64,
    /// Microseconds to sleep before each write: DEBUG AOF-FLUSH-SLEEP.
    pub flush_sleep_us: u64,

    pub aof_current_size: u64,
    /// The size after the last rewrite or load.
    pub aof_base_size: u64,
    pub aof_rewrite_scheduled: bool,
    pub aof_rewrites: u64,
    pub aof_rewrites_consecutive_failures: u64,
    pub aof_last_bgrewrite_failed: bool,
    /// `None`: there was no rewrite.
    pub aof_last_rewrite_time_sec: Option<i64>,
    pub aof_last_cow_size: u64,
    pub aof_delayed_fsync: u64,
    /// The data set came from an RDB because there was no append only file.
    pub aof_bootstrapped_from_rdb: bool,
    backoff: rewrite::Backoff,
    flights: flight::Flights,
}

/// A reply in a client's buffer that must not leave before the disk has what it promises.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    pub client: ClientRef,
    /// Where in the client's replies it stands.
    pub start: usize,
    pub end: usize,
}

impl Aof {
    /// Whether operations are taken in.
    #[inline]
    pub fn is_fed(&self) -> bool {
        self.state != State::Off && self.increment.is_some()
    }

    pub fn is_on(&self) -> bool {
        self.state != State::Off
    }

    /// Takes a unit's operations in.
    pub fn feed(&mut self, ops: &Ops, wrap: Wrap, now: Millis, annotate: bool) {
        let before = self.buffer.len();
        if annotate && self.annotated != now.secs() {
            self.annotated = now.secs();
            self.buffer.extend_from_slice(format!("#TS:{}\r\n", self.annotated).as_bytes());
            let annotation = self.buffer.len();
            self.feed.write(ops, wrap, Targets::AOF, &mut self.buffer);
            if self.buffer.len() == annotation {
                self.buffer.truncate(before);
                self.annotated = 0;
            }
        } else {
            self.feed.write(ops, wrap, Targets::AOF, &mut self.buffer);
        }
        self.fed += (self.buffer.len() - before) as u64;
    }

    /// Notes a reply that must wait for the disk.
    pub fn promise(&mut self, promise: Promise) {
        self.promises.push(promise);
    }

    /// BGREWRITEAOF where no child can start now. Who asks need not wait for earlier failures to be forgotten.
    pub fn schedule_rewrite(&mut self) {
        self.aof_rewrite_scheduled = true;
        self.aof_rewrites_consecutive_failures = 0;
    }

    pub fn buffer_len(&self) -> usize {
        self.buffer.len() + self.flights.bytes()
    }

    /// Monotonic nanoseconds at which a turn is due although nothing may have happened.
    pub fn turn_due(&self) -> Option<u64> {
        self.flights.due()
    }

    /// Neither bytes that are not in the file nor any that are not known to be synced.
    #[inline]
    fn nothing_to_flush(&self) -> bool {
        self.increment.as_ref().is_none_or(|file| self.buffer.is_empty() && file.sync_asked == file.size)
    }

    pub fn buffer_memory(&self) -> usize {
        self.buffer.capacity()
    }

    /// The error that keeps changes from the disk at present.
    pub fn error(&self) -> Option<nix::errno::Errno> {
        (self.state != State::Off && self.errno != 0).then(|| nix::errno::Errno::from_raw(self.errno))
    }

    /// CONFIG RESETSTAT.
    pub fn reset_stats(&mut self) {
        (self.aof_rewrites, self.aof_delayed_fsync) = (0, 0);
    }
}
