//! Replication: the stream's memory, its names, and what both ends of a link decide.
//!
//! *Duty:* sans-IO cores. [`Backlog`] keeps the stream, [`Ids`] names it and decides who may continue, [`MasterLink`]
//! is a replica's way to its master, [`Replicas`] is what a master knows of those that follow it, [`Failover`] hands
//! the role over.
//! *Does not know:* sockets, files, clocks, forks, keys. Time arrives as `now: Millis`; consequences leave as queued
//! actions or return values, which the driver (`server/replication/`) carries out in order.
//! *Invariants:* an *offset* is always a count of stream bytes: offset 0 is before the first byte, and
//! `master_repl_offset` is the count of all. Only the wire (PSYNC) and INFO's `first_byte_offset` number the bytes
//! themselves from 1; the conversion stands where those are read and written.
//! *Counterpart in C Redis:* `replication.c`.

pub mod backlog;
pub mod failover;
pub mod ids;
pub mod master;
pub mod replica;

use crate::resp::encode;

pub use backlog::{Backlog, Cursor, Memory};
pub use failover::{Failover, FailoverAction, FailoverFacts};
pub use ids::{Decision, Ids, Refusal, Request, Saved};
pub use master::{PeerId, PeerState, Replicas};
pub use replica::{Action, MasterLink, Resume, Start, Took};

/// How loud a line of the log is; the driver has the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Notice,
    Warning,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub level: Level,
    pub text: String,
}

impl LogLine {
    pub fn debug(text: impl Into<String>) -> LogLine {
        LogLine { level: Level::Debug, text: text.into() }
    }

    pub fn notice(text: impl Into<String>) -> LogLine {
        LogLine { level: Level::Notice, text: text.into() }
    }

    pub fn warning(text: impl Into<String>) -> LogLine {
        LogLine { level: Level::Warning, text: text.into() }
    }
}

/// A command as the wire has it.
pub fn command(args: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    encode::request(&mut out, args.iter().copied());
    out
}

#[cfg(test)]
mod tests;
