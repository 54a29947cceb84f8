//! From the operations of a unit to the append only file and to replicas.
//!
//! *Duty:* the only place that feeds either. Each has its own stream, in which a database is selected before the first
//! operation that needs it, and what a unit did as one stands between MULTI and EXEC.
//! *Does not know:* what the operations are; where the bytes go from there.
//! *Invariant:* a unit's operations are fed before anything else that follows from it, so both streams have them in
//! the order in which they happened. *Counterpart in C Redis:* `propagatePendingCommands`, `propagateNow`,
//! the head of `feedAppendOnlyFile` and of `replicationFeedSlaves`.

use crate::call::DbId;
use crate::call::effects::{Ops, Targets};
use crate::resp::encode;
use crate::server::Server;

/// Whether several operations are to happen as one where they are replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    /// They came about one by one.
    Never,
    Several,
}

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// One stream of operations.
#[derive(Debug, Default)]
pub struct Feed {
    /// The database that whoever reads the stream has selected; `None`: the reader does not know.
    selected: Option<DbId>,
}

impl Feed {
    /// A new reader: the next operation says which database it is about.
    pub fn restart(&mut self) {
        self.selected = None;
    }

    pub fn selected(&self) -> Option<DbId> {
        self.selected
    }

    /// Somebody else wrote the stream so far, and left its reader in this database.
    pub fn resume(&mut self, db: DbId) {
        self.selected = Some(db);
    }

    /// Adds what of a unit's operations is meant for this reader.
    pub fn write(&mut self, ops: &Ops, wrap: Wrap, to: Targets, out: &mut Vec<u8>) {
        let mut mine = ops.iter().filter(|op| op.to.has(to)).peekable();
        let Some(first) = mine.peek() else { return };
        let as_one = wrap == Wrap::Several && ops.len() > 1;
        // Before the MULTI, so that it is no part of it.
        self.select(first.db, out);
        if as_one {
            out.extend_from_slice(MULTI);
        }
        for op in mine {
            self.select(op.db, out);
            out.extend_from_slice(op.bytes);
        }
        if as_one {
            out.extend_from_slice(EXEC);
        }
    }

    #[inline]
    fn select(&mut self, db: DbId, out: &mut Vec<u8>) {
        if self.selected != Some(db) {
            self.selected = Some(db);
            encode::request(out, [b"SELECT".as_slice(), db.0.to_string().as_bytes()].into_iter());
        }
    }
}

impl Server {
    /// Whether anybody replays operations.
    pub(super) fn propagates(&self) -> bool {
        self.persistence.aof.is_fed() || self.replication.is_fed()
    }

    /// Hands a unit's operations on, and forgets them.
    pub(super) fn propagate(&mut self, ops: &mut Ops, wrap: Wrap) {
        if ops.is_empty() {
            return;
        }
        if self.persistence.aof.is_fed() {
            self.persistence.aof.feed(ops, wrap, self.clock.now(), self.config.aof_timestamp_enabled);
        }
        if self.replication.is_fed() {
            self.feed_replicas(ops, wrap);
        }
        ops.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ops(list: &[(u32, Targets, &str)]) -> Ops {
        let mut ops = Ops::default();
        for (db, to, line) in list {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            ops.push(DbId(*db), *to, words.into_iter());
        }
        ops
    }

    /// The stream's commands, one line each.
    fn fed(feed: &mut Feed, ops: &Ops, wrap: Wrap) -> Vec<String> {
        let mut out = Vec::new();
        feed.write(ops, wrap, Targets::AOF, &mut out);
        let text = String::from_utf8(out).unwrap();
        let words = |command: &str| command.split("\r\n").skip(2).step_by(2).collect::<Vec<_>>().join(" ");
        text.split('*').skip(1).map(|command| words(command).trim_end().to_owned()).collect()
    }

    #[test]
    fn a_database_is_selected_once_and_before_the_transaction() {
        let mut feed = Feed::default();
        let one = ops(&[(0, Targets::ALL, "SET a 1")]);
        assert_eq!(fed(&mut feed, &one, Wrap::Several), ["SELECT 0", "SET a 1"]);
        assert_eq!(fed(&mut feed, &one, Wrap::Several), ["SET a 1"]);
        let two = ops(&[(1, Targets::ALL, "SET a 1"), (2, Targets::ALL, "DEL b")]);
        assert_eq!(fed(&mut feed, &two, Wrap::Several), ["SELECT 1", "MULTI", "SET a 1", "SELECT 2", "DEL b", "EXEC"]);
        assert_eq!(fed(&mut feed, &two, Wrap::Never), ["SELECT 1", "SET a 1", "SELECT 2", "DEL b"]);
        feed.restart();
        assert_eq!(fed(&mut feed, &one, Wrap::Never), ["SELECT 0", "SET a 1"]);
    }

    #[test]
    fn what_is_for_replicas_only_stays_out() {
        let mut feed = Feed::default();
        let told = ops(&[(0, Targets::REPLICAS, "PUBLISH c m")]);
        assert_eq!(fed(&mut feed, &told, Wrap::Several), [""; 0]);
        assert_eq!(feed.selected(), None);
    }
}
