//! [`Replicas`]: what a master knows of those that follow it, and what it decides for them.
//!
//! *Duty:* the state of each replica from SYNC to the stream; who shares a child, and when one is started; who has
//! what (`WAIT`, `min-replicas-to-write`, FAILOVER, SHUTDOWN); who has been silent for too long.
//! *Does not know:* sockets, forks, files. The driver tells what happened and does what it is told; replicas are
//! opaque numbers to this side.
//! *Invariants:* a replica that takes the stream has a [`Cursor`] from the moment its data set was frozen, so nothing is
//! lost between the two; [`Replicas::remove`] gives it back. Replicas of one child all begin at the same offset.
//! *Counterpart in C Redis:* `syncCommand` and what follows it, `startBgsaveForReplication`, `updateSlavesWaitingBgsave`,
//! `replicationCountAcksByOffset`, `refreshGoodSlavesCount`, the master's half of `replicationCron`.

mod options;

use super::ids::{Ids, full_resync_line};
use super::{Backlog, Cursor, LogLine};
use crate::base::ids::RunId;
use crate::base::millis::Millis;
pub use options::{Acked, Filter, Options, Replconf};

/// The driver's name for a connection.
pub type PeerId = u64;

/// How far a replica has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    WaitBgsaveStart,
    WaitBgsaveEnd,
    SendBulk,
    Online,
    /// It wanted the data set only, and has it.
    RdbTransmitted,
}

impl PeerState {
    /// As INFO spells it; INFO leaves out a replica whose state is empty.
    pub fn name(self) -> &'static str {
        match self {
            PeerState::WaitBgsaveStart | PeerState::WaitBgsaveEnd => "wait_bgsave",
            PeerState::SendBulk => "send_bulk",
            PeerState::Online => "online",
            PeerState::RdbTransmitted => "",
        }
    }
}

/// The process that writes a snapshot now, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    None,
    /// An RDB file, whoever wanted it.
    Disk,
    /// An RDB stream to replicas.
    Sockets,
    /// Something else, such as a rewrite of the AOF.
    Other,
}

/// Where a snapshot for replicas is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Disk,
    Sockets,
}

/// The directives that concern full syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// `repl-diskless-sync`, `-delay` in seconds, `-max-replicas`.
    pub diskless: bool,
    pub delay_secs: i64,
    pub max_replicas: usize,
}

/// A child to be started, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub target: Target,
    pub filter: Filter,
    pub peers: Vec<PeerId>,
}

impl Job {
    pub fn log(&self) -> LogLine {
        let target = if self.target == Target::Sockets { "replicas sockets" } else { "disk" };
        LogLine::notice(format!("Starting BGSAVE for SYNC with target: {target}"))
    }
}

/// What becomes of a replica that asked for everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It shares the running child; answer with the line, if there is one (SYNC has no answer).
    Joined { offset: u64, line: Option<String> },
    /// It waits: for the running child to end, or for others to arrive. [`Replicas::due`] tells when.
    Waits,
    /// Start this child now, then call [`Replicas::started`] or [`Replicas::failed_to_start`].
    Start(Job),
}

/// What to do with a replica when its child has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterChild {
    /// Close it; there is no data set.
    Fail,
    /// Send the file: `$<length>`, then its bytes, then call [`Replicas::bulk_sent`].
    SendFile,
    /// It has everything. The stream starts with its first ACK.
    Streamed,
    /// It wanted nothing but the data set: close it.
    Close,
}

/// What an ACK changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    Noted,
    /// It is ready for the stream: begin to write.
    StartStream,
    /// It says it has loaded what its child sent, but the end of that child was not seen yet: look, then call again.
    LookAfterChild,
    /// No replica has this number.
    Unknown,
}

#[derive(Clone, Debug)]
pub struct Peer {
    pub id: PeerId,
    /// `host:port` for the log.
    pub name: String,
    pub options: Options,
    /// It came with SYNC: it takes no answer and sends no ACK.
    pub old_protocol: bool,
    pub state: PeerState,
    /// What it has said it applied.
    pub ack_offset: u64,
    /// What it has said is on its disk; None if it never did.
    pub disk_offset: Option<u64>,
    pub ack_time: Millis,
    arrived: Millis,
    /// Where its data set ends and the stream begins.
    initial_offset: u64,
    cursor: Option<Cursor>,
    /// Online, but nothing is written before its first ACK.
    waits_for_ack: bool,
    /// Since when a write to it has been incomplete during a diskless transfer.
    stuck_since: Option<Millis>,
}

impl Peer {
    /// INFO's `lag`, in seconds.
    pub fn lag_secs(&self, now: Millis) -> i64 {
        if self.state == PeerState::Online { now.since(self.ack_time).max(0) / 1_000 } else { 0 }
    }

    /// Where to write from, if the stream may be written to it now.
    pub fn streams_from(&self) -> Option<Cursor> {
        self.cursor.filter(|_| self.state == PeerState::Online && !self.waits_for_ack)
    }

    /// For the accounting of what it keeps in memory.
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }
}

/// Why SYNC or PSYNC is refused before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncFacts {
    pub failing_over: bool,
    /// This server is a replica whose own link is down.
    pub cut_off: bool,
    pub pending_output: bool,
}

impl SyncFacts {
    /// The error line, without its `-`.
    pub fn refusal(&self, options: &Options) -> Option<&'static str> {
        if self.failing_over {
            Some("NOMASTERLINK Can't SYNC while failing over")
        } else if self.cut_off {
            Some("NOMASTERLINK Can't SYNC while not connected with my master")
        } else if self.pending_output {
            Some("ERR SYNC and PSYNC are invalid with pending output")
        } else if options.filter.is_any() && !options.eof {
            Some("ERR Filtered replica requires EOF capability")
        } else {
            None
        }
    }
}

/// Before the first full sync: a stream that nobody kept gets a new name, and is kept from now on.
pub fn begin_history(ids: &mut Ids, backlog: &mut Backlog, new: RunId) -> Option<LogLine> {
    if backlog.is_active() {
        return None;
    }
    ids.change(new);
    backlog.activate();
    Some(LogLine::notice(format!(
        "Replication backlog created, my new replication IDs are '{}' and '{}'",
        ids.id,
        ids.second_id()
    )))
}

#[derive(Debug, Default)]
pub struct Replicas {
    peers: Vec<Peer>,
    last_ping: Millis,
    /// Since when there has been no replica.
    none_since: Millis,
}

impl Replicas {
    pub fn new(now: Millis) -> Replicas {
        Replicas { peers: Vec::new(), last_ping: now, none_since: now }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter()
    }

    pub fn len(&self) -> usize {
        self.peers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    pub fn get(&self, id: PeerId) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.id == id)
    }

    /// To change its options or its name while it is connected.
    pub fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.id == id)
    }

    fn push(&mut self, id: PeerId, name: String, options: Options, now: Millis) -> &mut Peer {
        debug_assert!(self.get(id).is_none());
        self.peers.push(Peer {
            id,
            name,
            options,
            old_protocol: false,
            state: PeerState::WaitBgsaveStart,
            ack_offset: 0,
            disk_offset: None,
            ack_time: now,
            arrived: now,
            initial_offset: 0,
            cursor: None,
            waits_for_ack: false,
            stuck_since: None,
        });
        self.peers.last_mut().expect("one was just added")
    }

    /// A replica that continues after `from`, as `ids::decide` allowed: online at once.
    pub fn add_continued(
        &mut self,
        id: PeerId,
        name: String,
        options: Options,
        from: u64,
        backlog: &mut Backlog,
        now: Millis,
    ) {
        let cursor = backlog.attach(from);
        let peer = self.push(id, name, options, now);
        peer.state = PeerState::Online;
        peer.cursor = Some(cursor);
    }

    /// A replica that needs everything; [`Replicas::place`] says how it gets it.
    pub fn add_waiting(&mut self, id: PeerId, name: String, options: Options, old_protocol: bool, now: Millis) {
        self.push(id, name, options, now).old_protocol = old_protocol;
    }

    /// Where a replica that was just added gets its data set from.
    pub fn place(
        &mut self,
        id: PeerId,
        child: Child,
        config: &Config,
        ids: &Ids,
        backlog: &mut Backlog,
    ) -> (Placement, Vec<LogLine>) {
        let waits = |text: &str| (Placement::Waits, vec![LogLine::notice(text)]);
        match child {
            Child::Disk => match self.join(id, ids, backlog) {
                Some(joined) => (joined, vec![LogLine::notice("Waiting for end of BGSAVE for SYNC")]),
                None => waits("Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC"),
            },
            Child::Sockets => waits("Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC"),
            Child::None | Child::Other => {
                let Some(peer) = self.get(id) else { return (Placement::Waits, Vec::new()) };
                if config.diskless && peer.options.eof && config.delay_secs > 0 {
                    return waits("Delay next BGSAVE for diskless SYNC");
                }
                if child == Child::Other {
                    return waits(
                        "No BGSAVE in progress, but another BG operation is active. BGSAVE for replication delayed",
                    );
                }
                let job = self.job(peer.options.filter, config);
                let line = job.log();
                (Placement::Start(job), vec![line])
            }
        }
    }

    /// Shares the running child of another replica, if that one takes the same and its stream is kept from the same
    /// offset on, in a form that this one understands.
    fn join(&mut self, id: PeerId, ids: &Ids, backlog: &mut Backlog) -> Option<Placement> {
        let wanted = self.get(id)?.options.clone();
        let fits = |peer: &&Peer| {
            peer.state == PeerState::WaitBgsaveEnd
                && (!peer.options.rdb_only || wanted.rdb_only)
                && (wanted.eof || !peer.options.eof)
                && (wanted.psync2 || !peer.options.psync2)
                && peer.options.filter == wanted.filter
        };
        let offset = self.peers.iter().find(fits)?.initial_offset;
        let line = self.get_mut(id)?.freeze(offset, ids, backlog);
        Some(Placement::Joined { offset, line })
    }

    /// The child that all who wait with this filter share.
    fn job(&self, filter: Filter, config: &Config) -> Job {
        let waiting = self.peers.iter().filter(|p| p.state == PeerState::WaitBgsaveStart && p.options.filter == filter);
        let all_eof = waiting.clone().all(|peer| peer.options.eof);
        let sockets = (config.diskless || filter.is_any()) && all_eof;
        let target = if sockets { Target::Sockets } else { Target::Disk };
        Job { target, filter, peers: waiting.map(|peer| peer.id).collect() }
    }

    /// Asked each second, and when a child has ended: the child that should be started now.
    pub fn due(&self, now: Millis, child: Child, config: &Config) -> Option<Job> {
        if child != Child::None {
            return None;
        }
        let first = self.peers.iter().find(|peer| peer.state == PeerState::WaitBgsaveStart)?;
        let job = self.job(first.options.filter, config);
        let waited = job.peers.iter().filter_map(|id| self.get(*id)).map(|peer| now.since(peer.arrived)).max();
        let enough = config.max_replicas > 0 && job.peers.len() >= config.max_replicas;
        (!config.diskless || enough || waited >= Some(config.delay_secs * 1_000)).then_some(job)
    }

    /// The child of `job` was forked at the backlog's present offset: from here on the stream is kept for its
    /// replicas. Each line is to be sent to its replica at once. The next write must select its database anew.
    pub fn started(&mut self, job: &Job, ids: &Ids, backlog: &mut Backlog) -> Vec<(PeerId, String)> {
        let offset = backlog.offset();
        let mut lines = Vec::new();
        for peer in self.peers.iter_mut().filter(|peer| job.peers.contains(&peer.id)) {
            if let Some(line) = peer.freeze(offset, ids, backlog) {
                lines.push((peer.id, line));
            }
        }
        lines
    }

    /// The child could not be started: these are told so and closed.
    pub fn failed_to_start(&self) -> (Vec<PeerId>, &'static str) {
        let waiting = self.peers.iter().filter(|peer| peer.state == PeerState::WaitBgsaveStart);
        (waiting.map(|peer| peer.id).collect(), "BGSAVE failed, replication can't continue")
    }

    /// The child has ended. What is to be done with each of its replicas, and the lines for the log.
    pub fn child_done(&mut self, saved: bool, target: Target, now: Millis) -> Vec<(PeerId, AfterChild, LogLine)> {
        let waiting = self.peers.iter_mut().filter(|peer| peer.state == PeerState::WaitBgsaveEnd);
        waiting.map(|peer| peer.child_done(saved, target, now)).collect()
    }

    /// The last byte of the file was written to the replica. False: close it, it wanted nothing else.
    pub fn bulk_sent(&mut self, id: PeerId, now: Millis) -> Option<(bool, LogLine)> {
        let peer = self.get_mut(id).filter(|peer| peer.state == PeerState::SendBulk)?;
        Some(peer.put_online(now))
    }

    /// REPLCONF ACK.
    pub fn ack(&mut self, id: PeerId, acked: Acked, now: Millis) -> Ack {
        let Some(peer) = self.get_mut(id) else { return Ack::Unknown };
        peer.ack_offset = peer.ack_offset.max(u64::try_from(acked.offset).unwrap_or(0));
        peer.disk_offset = peer.disk_offset.max(acked.on_disk.and_then(|offset| u64::try_from(offset).ok()));
        peer.ack_time = now;
        match peer.state {
            PeerState::WaitBgsaveEnd => Ack::LookAfterChild,
            PeerState::Online if peer.waits_for_ack => {
                peer.waits_for_ack = false;
                Ack::StartStream
            }
            _ => Ack::Noted,
        }
    }

    /// An empty line from the replica: it is busy, not dead.
    pub fn heard(&mut self, id: PeerId, now: Millis) {
        if let Some(peer) = self.get_mut(id) {
            peer.ack_time = now;
        }
    }

    /// So many bytes of the stream were written to the replica.
    pub fn wrote(&mut self, id: PeerId, bytes: u64, backlog: &mut Backlog) {
        if let Some(cursor) = self.get(id).and_then(|peer| peer.cursor) {
            backlog.advance(cursor, bytes);
        }
    }

    /// During a diskless transfer: the last write to the replica was incomplete, or now it is done.
    pub fn transfer_write(&mut self, id: PeerId, complete: bool, now: Millis) {
        if let Some(peer) = self.get_mut(id) {
            peer.stuck_since = (!complete).then_some(now);
        }
    }

    /// The connection is gone.
    pub fn remove(&mut self, id: PeerId, backlog: &mut Backlog, now: Millis) -> Option<Peer> {
        let at = self.peers.iter().position(|peer| peer.id == id)?;
        let peer = self.peers.remove(at);
        if let Some(cursor) = peer.cursor {
            backlog.detach(cursor);
        }
        if self.peers.is_empty() {
            self.none_since = now;
        }
        Some(peer)
    }

    /// Whether a replica other than this one waits for the running child; if none does, and nobody else wants the
    /// file, the child may be killed.
    pub fn another_waits(&self, except: PeerId) -> bool {
        self.peers.iter().any(|peer| peer.id != except && peer.state == PeerState::WaitBgsaveEnd)
    }

    /// Whether the file of the last snapshot is still needed for a replica (`rdb-del-sync-files`).
    pub fn any_syncing(&self) -> bool {
        self.peers.iter().any(|peer| !matches!(peer.state, PeerState::Online | PeerState::RdbTransmitted))
    }
}

/// Time.
impl Replicas {
    /// Replicas that have been silent for longer than `repl-timeout`: to be closed.
    pub fn timed_out(&self, now: Millis, timeout_secs: u32, child: Child) -> Vec<(PeerId, LogLine)> {
        let limit = i64::from(timeout_secs) * 1_000;
        let late = |peer: &&Peer| match peer.state {
            PeerState::Online => !peer.old_protocol && now.since(peer.ack_time) > limit,
            // One that is stuck keeps the child, and so all others, waiting.
            PeerState::WaitBgsaveEnd if child == Child::Sockets => {
                peer.stuck_since.is_some_and(|since| now.since(since) > limit)
            }
            _ => false,
        };
        let line = |peer: &Peer| {
            let what = if peer.state == PeerState::Online { "streaming sync" } else { "full sync" };
            LogLine::warning(format!("Disconnecting timedout replica ({what}): {}", peer.name))
        };
        self.peers.iter().filter(late).map(|peer| (peer.id, line(peer))).collect()
    }

    /// Whether `repl-ping-replica-period` has passed: then PING goes into the stream.
    pub fn ping_due(&mut self, now: Millis, period_secs: u32) -> bool {
        let period = i64::from(period_secs) * 1_000;
        let due = now.since(self.last_ping) >= period || self.last_ping > now;
        if due {
            self.last_ping = now;
        }
        due && !self.peers.is_empty()
    }

    /// Those that get a newline each second, so that they do not take the wait for a snapshot as silence.
    pub fn kept_waiting(&self, child: Child) -> impl Iterator<Item = PeerId> {
        let waits = move |peer: &&Peer| match peer.state {
            PeerState::WaitBgsaveStart => true,
            PeerState::WaitBgsaveEnd => child != Child::Sockets,
            _ => false,
        };
        self.peers.iter().filter(waits).map(|peer| peer.id)
    }

    /// A master that nobody has followed for `repl-backlog-ttl` seconds stops keeping the stream, and so must take
    /// another id: what it writes from now on has no offset. True if it did.
    pub fn expire_backlog(
        &self,
        now: Millis,
        ttl_secs: u64,
        ids: &mut Ids,
        backlog: &mut Backlog,
        new: RunId,
    ) -> Option<LogLine> {
        let ttl = i64::try_from(ttl_secs).unwrap_or(i64::MAX).saturating_mul(1_000);
        if ttl == 0 || !self.peers.is_empty() || !backlog.is_active() || now.since(self.none_since) <= ttl {
            return None;
        }
        ids.change(new);
        backlog.deactivate();
        Some(LogLine::notice(format!("Replication backlog freed after {ttl_secs} seconds without connected replicas.")))
    }

    /// The time without replicas starts over: this server has just become a master, or loaded its data set.
    pub fn restart_ttl(&mut self, now: Millis) {
        self.none_since = now;
    }
}

/// Who has what.
impl Replicas {
    /// WAIT: how many have applied the stream up to `offset`.
    pub fn count_acks(&self, offset: u64) -> usize {
        self.peers.iter().filter(|peer| peer.state == PeerState::Online && peer.ack_offset >= offset).count()
    }

    /// WAITAOF: how many have it on their disks.
    pub fn count_disk_acks(&self, offset: u64) -> usize {
        let has = |peer: &&Peer| peer.state == PeerState::Online && peer.disk_offset.is_some_and(|at| at >= offset);
        self.peers.iter().filter(has).count()
    }

    /// `min_slaves_good_slaves`: how many were heard within `max_lag_secs`.
    pub fn good(&self, now: Millis, max_lag_secs: i64) -> usize {
        self.peers.iter().filter(|peer| peer.state == PeerState::Online && peer.lag_secs(now) <= max_lag_secs).count()
    }

    /// Whether every replica has applied everything (SHUTDOWN waits for this).
    pub fn all_have(&self, offset: u64) -> bool {
        self.peers.iter().all(|peer| peer.ack_offset == offset)
    }

    /// What SHUTDOWN says about those that have not.
    pub fn lag_report(&self, offset: u64, now: Millis) -> Vec<LogLine> {
        if self.peers.is_empty() {
            return Vec::new();
        }
        let lagging: Vec<&Peer> = self.peers.iter().filter(|peer| peer.ack_offset != offset).collect();
        let line = |peer: &&Peer| {
            LogLine::warning(format!(
                "Lagging replica {} reported offset {} behind master, lag={}, state={}.",
                peer.name,
                offset.saturating_sub(peer.ack_offset),
                peer.lag_secs(now),
                peer.state.name()
            ))
        };
        let mut lines: Vec<LogLine> = lagging.iter().map(line).collect();
        lines.push(LogLine::notice(format!(
            "{} of {} replicas are in sync when shutting down.",
            self.len() - lagging.len(),
            self.len()
        )));
        lines
    }
}

impl Peer {
    /// Its data set is that of `offset`; the stream is kept for it from there. The answer to its PSYNC.
    fn freeze(&mut self, offset: u64, ids: &Ids, backlog: &mut Backlog) -> Option<String> {
        self.state = PeerState::WaitBgsaveEnd;
        self.initial_offset = offset;
        if !self.options.rdb_only {
            self.cursor = Some(backlog.attach(offset));
        }
        (!self.old_protocol).then(|| full_resync_line(ids.id, offset))
    }

    fn child_done(&mut self, saved: bool, target: Target, now: Millis) -> (PeerId, AfterChild, LogLine) {
        if !saved {
            return (self.id, AfterChild::Fail, LogLine::warning("SYNC failed. BGSAVE child returned an error"));
        }
        self.stuck_since = None;
        if target == Target::Disk {
            self.state = PeerState::SendBulk;
            let line = LogLine::debug(format!("The snapshot is sent to replica {}", self.name));
            return (self.id, AfterChild::SendFile, line);
        }
        let (stays, line) = self.put_online(now);
        if !stays {
            return (self.id, AfterChild::Close, line);
        }
        // One that came with SYNC never sends an ACK; it would wait for ever.
        self.waits_for_ack = !self.old_protocol;
        let text = format!(
            "Streamed RDB transfer with replica {} succeeded (socket). Waiting for REPLCONF ACK from slave to enable \
             streaming",
            self.name
        );
        (self.id, AfterChild::Streamed, LogLine::notice(text))
    }

    fn put_online(&mut self, now: Millis) -> (bool, LogLine) {
        if self.options.rdb_only {
            self.state = PeerState::RdbTransmitted;
            let name = &self.name;
            let text = format!("RDB transfer completed, rdb only replica ({name}) should be disconnected asap");
            return (false, LogLine::notice(text));
        }
        self.state = PeerState::Online;
        self.ack_time = now;
        (true, LogLine::notice(format!("Synchronization with replica {} succeeded", self.name)))
    }
}

#[cfg(test)]
mod tests;
