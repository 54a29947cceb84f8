//! [`Ids`]: the names of the stream's history, and the decision who may continue it.
//!
//! *Duty:* the two replication ids and how far the second is good for; when they change; PSYNC's decision on a
//! master; what a snapshot tells about the stream ([`Saved`]) and what a start makes of it.
//! *Does not know:* the bytes (`backlog.rs`), who asks, where random ids come from.
//! *Invariants:* two servers that have the same id and the same offset have the same data set. Whoever writes on its
//! own takes a new id first. The second id names the history before that, up to `second_offset` bytes.
//!
//! **Why two.** A replica that is promoted has the old master's history up to its offset, then goes its own way under
//! a new id. Its fellow replicas, and the old master if it comes back, know only the old id: the promoted one may let
//! them continue exactly if they ask for bytes that it has from the old history, not for later ones, which the old
//! master may have written and nobody else has.
//!
//! ```text
//!        old master  aaaa ────────────┬─────── (lost)
//!        promoted    aaaa ────────────┴ bbbb ────────>      id bbbb, id2 aaaa up to here
//! ```
//! *Counterpart in C Redis:* `masterTryPartialResynchronization`, `shiftReplicationId`, `changeReplicationId`,
//! `rdbPopulateSaveInfo`, the end of `loadDataFromDisk`.

use super::{Backlog, LogLine};
use crate::base::ids::RunId;
use crate::base::num;

/// `master_replid`, `master_replid2`, `second_repl_offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    pub id: RunId,
    second: Option<Second>,
}

/// The history before the id changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Second {
    id: RunId,
    /// How many bytes of it this server has.
    offset: u64,
}

impl Ids {
    pub fn new(id: RunId) -> Ids {
        Ids { id, second: None }
    }

    /// `master_replid2`: forty zeros if there is none.
    pub fn second_id(&self) -> RunId {
        self.second.map_or(RunId::ZERO, |second| second.id)
    }

    /// `second_repl_offset`: the number of the first byte that the second id is not good for, or -1. A request for
    /// exactly this byte has all before it.
    pub fn second_offset(&self) -> i64 {
        self.second.map_or(-1, |second| byte_number(second.offset))
    }

    /// A history that has nothing to do with the one before: after the backlog was dropped or first made.
    pub fn change(&mut self, new: RunId) {
        *self = Ids::new(new);
    }

    /// Promotion: the history up to `offset` stays known under the second id.
    pub fn shift(&mut self, new: RunId, offset: u64) -> LogLine {
        self.follow(new, offset);
        LogLine::warning(format!(
            "Setting secondary replication ID to {}, valid up to offset: {}. New replication ID is {}",
            self.second_id(),
            self.second_offset(),
            self.id
        ))
    }

    /// `+CONTINUE` under another id: the master was promoted, and so was the history here.
    pub fn follow(&mut self, new: RunId, offset: u64) {
        self.second = Some(Second { id: self.id, offset });
        self.id = new;
    }

    /// A data set was loaded from a master: its history, and no other.
    pub fn adopt(&mut self, master: RunId) {
        *self = Ids::new(master);
    }

    /// A master starts from its own snapshot. Writes of its previous life after the snapshot are lost, so the id must
    /// be new, but replicas that were not ahead of the snapshot may continue.
    pub fn resume_as_master(&mut self, saved: &Saved) {
        self.second = Some(Second { id: saved.id, offset: saved.offset });
    }
}

/// The number of the byte that follows the first `offset` ones, as PSYNC counts.
pub fn byte_number(offset: u64) -> i64 {
    i64::try_from(offset).map_or(i64::MAX, |offset| offset.saturating_add(1))
}

/// `PSYNC id byte`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    pub id: &'a [u8],
    /// The number of the first byte that is wanted, from 1; -1 with the id `?`.
    pub byte: i64,
}

/// What a master answers to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Send everything after the offset `from`: `bytes` of them are there now.
    Continue {
        from: u64,
        bytes: u64,
        by: Match,
    },
    FullResync(Refusal),
}

/// Which of the two ids the replica knows us by. If it is the second, `+CONTINUE id` tells it the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    Current,
    Second,
}

/// Why a replica must load everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It asked for it: `PSYNC ? -1`.
    Asked,
    /// Another history.
    UnknownId { asked: Vec<u8>, ids: Ids },
    /// It has bytes of the old history that we do not have.
    BeyondSecond { byte: i64, limit: i64 },
    /// Ours, but the bytes are gone, or not there yet.
    NotHeld { byte: i64, ahead: bool },
}

/// Decides as 7.0 does: first the history, then whether the bytes are still there.
pub fn decide(request: &Request<'_>, ids: &Ids, backlog: &Backlog) -> Decision {
    let by = match known_by(request, ids) {
        Ok(by) => by,
        Err(refusal) => return Decision::FullResync(refusal),
    };
    // A request for byte N has the first N-1.
    let held = |from: &u64| backlog.can_continue_from(*from);
    match u64::try_from(request.byte.saturating_sub(1)).ok().filter(held) {
        Some(from) => Decision::Continue { from, bytes: backlog.offset() - from, by },
        None => Decision::FullResync(Refusal::NotHeld {
            byte: request.byte,
            ahead: request.byte > i64::try_from(backlog.offset()).unwrap_or(i64::MAX),
        }),
    }
}

fn known_by(request: &Request<'_>, ids: &Ids) -> Result<Match, Refusal> {
    if request.id.eq_ignore_ascii_case(ids.id.as_bytes()) {
        return Ok(Match::Current);
    }
    let second = request.id.eq_ignore_ascii_case(ids.second_id().as_bytes());
    if second && request.byte <= ids.second_offset() {
        return Ok(Match::Second);
    }
    Err(if request.id.first() == Some(&b'?') {
        Refusal::Asked
    } else if second {
        Refusal::BeyondSecond { byte: request.byte, limit: ids.second_offset() }
    } else {
        Refusal::UnknownId { asked: request.id.to_vec(), ids: *ids }
    })
}

impl Decision {
    /// The lines for the log; `replica` as `host:port`.
    pub fn log(&self, request: &Request<'_>, replica: &str) -> Vec<LogLine> {
        match self {
            Decision::Continue { bytes, .. } => vec![LogLine::notice(format!(
                "Partial resynchronization request from {replica} accepted. Sending {bytes} bytes of backlog starting \
                 from offset {}.",
                request.byte
            ))],
            Decision::FullResync(refusal) => refusal.log(replica),
        }
    }

    /// Whether `sync_partial_err` counts it: only what was not asked for.
    pub fn is_failed_partial(&self) -> bool {
        matches!(self, Decision::FullResync(refusal) if *refusal != Refusal::Asked)
    }
}

impl Refusal {
    pub fn log(&self, replica: &str) -> Vec<LogLine> {
        const NOT_ACCEPTED: &str = "Partial resynchronization not accepted:";
        match self {
            Refusal::Asked => vec![LogLine::notice(format!("Full resync requested by replica {replica}"))],
            Refusal::UnknownId { asked, ids } => vec![LogLine::notice(format!(
                "{NOT_ACCEPTED} Replication ID mismatch (Replica asked for '{}', my replication IDs are '{}' and '{}')",
                asked.escape_ascii(),
                ids.id,
                ids.second_id()
            ))],
            Refusal::BeyondSecond { byte, limit } => vec![LogLine::notice(format!(
                "{NOT_ACCEPTED} Requested offset for second ID was {byte}, but I can reply up to {limit}"
            ))],
            Refusal::NotHeld { byte, ahead } => {
                let mut lines = vec![LogLine::notice(format!(
                    "Unable to partial resync with replica {replica} for lack of backlog (Replica request was: {byte})."
                ))];
                if *ahead {
                    lines.push(LogLine::warning(format!(
                        "Warning: replica {replica} tried to PSYNC with an offset that is greater than the master \
                         replication offset."
                    )));
                }
                lines
            }
        }
    }
}

/// The line that answers PSYNC with a continuation; only replicas with the capability `psync2` expect an id.
pub fn continue_line(id: RunId, psync2: bool) -> String {
    if psync2 { format!("+CONTINUE {id}\r\n") } else { "+CONTINUE\r\n".to_string() }
}

/// The line that announces a full transfer of the data set as it is at `offset`.
pub fn full_resync_line(id: RunId, offset: u64) -> String {
    format!("+FULLRESYNC {id} {offset}\r\n")
}

/// What a snapshot tells of the stream: its fields `repl-id`, `repl-offset`, `repl-stream-db`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Saved {
    pub id: RunId,
    pub offset: u64,
    /// The database that the stream has selected at this point.
    pub stream_db: u32,
}

/// The part of a server that decides whether a snapshot names the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// `selected`: the database of the last SELECT in the stream; None if the next write must select one.
    Master { selected: Option<u32> },
    /// `stream_db`: that of the link, or of the lost link that may still be continued; None without either.
    Replica { stream_db: Option<u32> },
}

impl Saved {
    /// What a snapshot taken now says; None if it must say nothing, because nobody could continue from it.
    pub fn of(ids: &Ids, backlog: &Backlog, standing: Standing) -> Option<Saved> {
        let stream_db = match standing {
            Standing::Master { .. } if !backlog.is_active() => return None,
            // The next write selects a database anyway, so any is right.
            Standing::Master { selected } => selected.unwrap_or(0),
            Standing::Replica { stream_db } => stream_db?,
        };
        Some(Saved { id: ids.id, offset: backlog.offset(), stream_db })
    }

    /// From the fields of a snapshot; None unless all three are there and make sense. Old servers wrote -1 as the
    /// database, and a snapshot like that cannot be continued.
    pub fn parse(id: Option<&[u8]>, offset: Option<&[u8]>, stream_db: Option<&[u8]>) -> Option<Saved> {
        Some(Saved {
            id: RunId::parse(&id?.to_ascii_lowercase())?,
            offset: num::parse_u64(offset?).filter(|offset| i64::try_from(*offset).is_ok())?,
            stream_db: num::parse_u64(stream_db?).and_then(|db| u32::try_from(db).ok())?,
        })
    }
}

#[cfg(test)]
mod tests;
