//! SYNC and PSYNC: how a connection becomes a replica, and the children that write data sets.
//!
//! *Duty:* answer, start the child that `repl::Replicas` asks for, tell its replicas what came of it.
//! *Counterpart in C Redis:* `syncCommand`, `startBgsaveForReplication`, `updateSlavesWaitingBgsave`.

use crate::base::ids::RunId;
use crate::base::num;
use crate::call::{Call, CmdError, CmdResult};
use crate::repl::ids::{self, Decision, Match, Request};
use crate::repl::master::{AfterChild, Child, Config, Job, PeerId, Placement, SyncFacts, Target, begin_history};
use crate::repl::{Level, LogLine};
use crate::resp::ReplyBuf;
use crate::server::Server;
use crate::server::client::Flags;
use crate::server::persistence::Purpose;

const BAD_OFFSET: CmdError = CmdError::Fixed("ERR value is not an integer or out of range");

/// Writes what a core has to say.
pub(in crate::server) fn say(line: LogLine) {
    match line.level {
        Level::Debug => log::debug!("{}", line.text),
        Level::Notice => log::info!("{}", line.text),
        Level::Warning => log::warn!("{}", line.text),
    }
}

impl Server {
    /// SYNC, and PSYNC with its arguments.
    pub fn sync(&mut self, call: &mut Call<'_>, psync: bool) -> CmdResult {
        let slot = call.caller.client.slot as usize;
        if self.clients[slot].flags.has(Flags(Flags::REPLICA.0 | Flags::MONITOR.0)) {
            return Ok(());
        }
        if psync && call.args.opt(3).is_some_and(|word| word.eq_ignore_ascii_case(b"failover")) {
            self.asked_to_take_over(call)?;
        }
        let options = self.clients[slot].link.get_or_insert_default().options.clone();
        let facts = SyncFacts {
            failing_over: self.replication.failover.is_active(),
            cut_off: self.replication.follow.as_ref().is_some_and(|follow| !follow.link.is_online()),
            pending_output: self.clients[slot].output_len() > 0 || call.reply.len() > self.clients[slot].sent,
        };
        if let Some(refusal) = facts.refusal(&options) {
            return Err(CmdError::Fixed(refusal));
        }
        let name = self.clients[slot].replica_name();
        log::info!("Replica {name} asks for synchronization");
        if psync && self.try_partial(call, &name)? {
            return Ok(());
        }
        self.stats.sync_full += 1;
        if self.config.repl_disable_tcp_nodelay {
            self.clients[slot].stream.allow_delay();
        }
        self.become_replica(slot);
        let (id, now) = (self.clients[slot].id.0, self.clock.now());
        self.replication.replicas.add_waiting(id, name, options, !psync, now);
        self.begin_history();
        self.place(id, call.reply);
        Ok(())
    }

    fn become_replica(&mut self, slot: usize) {
        let who = self.clients[slot].reference(slot);
        self.clients[slot].flags.set(Flags::REPLICA);
        self.replication.master.peers.push(who);
        self.count_client(slot);
    }

    /// Whether the replica may go on where it was; if so, it does.
    fn try_partial(&mut self, call: &mut Call<'_>, name: &str) -> Result<bool, CmdError> {
        let Some(byte) = num::parse_i64(call.arg(2)) else {
            log::warn!("Replica {name} asks for synchronization but with a wrong offset");
            return Err(BAD_OFFSET);
        };
        let request = Request { id: call.arg(1), byte };
        let replication = &mut self.replication;
        let decision = ids::decide(&request, &replication.ids, &replication.backlog);
        decision.log(&request, name).into_iter().for_each(say);
        self.stats.sync_partial_err += u64::from(decision.is_failed_partial());
        let Decision::Continue { from, by, .. } = decision else { return Ok(false) };
        debug_assert!(matches!(by, Match::Current | Match::Second));
        self.stats.sync_partial_ok += 1;
        let slot = call.caller.client.slot as usize;
        let options = self.clients[slot].link.get_or_insert_default().options.clone();
        call.reply.raw(ids::continue_line(replication.ids.id, options.psync2).as_bytes());
        let (id, now) = (call.caller.client.id.0, self.clock.now());
        replication.replicas.add_continued(id, name.to_owned(), options, from, &mut replication.backlog, now);
        self.become_replica(slot);
        self.clients.wants_write(slot);
        Ok(true)
    }

    /// A stream that nobody kept begins.
    fn begin_history(&mut self) {
        let id = RunId::random(&mut self.ks.rng);
        let replication = &mut self.replication;
        if let Some(line) = begin_history(&mut replication.ids, &mut replication.backlog, id) {
            say(line);
            replication.feed.restart();
            self.refresh_wants();
        }
    }

    /// The child that runs now.
    pub(super) fn running_child(&self) -> Child {
        match self.persistence.child.as_ref().map(|child| &child.purpose) {
            None => Child::None,
            Some(Purpose::Snapshot { .. }) => Child::Disk,
            Some(Purpose::Replicas) => Child::Sockets,
            Some(Purpose::Rewrite(_)) => Child::Other,
        }
    }

    fn sync_config(&self) -> Config {
        Config {
            diskless: self.config.repl_diskless_sync,
            delay_secs: i64::from(self.config.repl_diskless_sync_delay),
            max_replicas: self.config.repl_diskless_sync_max_replicas as usize,
        }
    }

    /// Finds the data set for a replica that has just asked; `reply` is where it can be answered.
    fn place(&mut self, id: PeerId, reply: &mut ReplyBuf) {
        let (child, config) = (self.running_child(), self.sync_config());
        let replication = &mut self.replication;
        let (placement, lines) =
            replication.replicas.place(id, child, &config, &replication.ids, &mut replication.backlog);
        lines.into_iter().for_each(say);
        match placement {
            Placement::Joined { line, .. } => reply.raw(line.unwrap_or_default().as_bytes()),
            Placement::Waits => {}
            Placement::Start(job) => self.start_sync(&job),
        }
    }

    /// Starts the child that replicas wait for, if it is time.
    pub fn start_due_sync(&mut self) {
        if self.replication.replicas.is_empty() {
            return;
        }
        let (child, config) = (self.running_child(), self.sync_config());
        if let Some(job) = self.replication.replicas.due(self.clock.now(), child, &config) {
            say(job.log());
            self.start_sync(&job);
        }
    }

    fn start_sync(&mut self, job: &Job) {
        // What is in the stream already is in the data set: the first write after it says where it belongs.
        let started = match job.target {
            Target::Disk => self.bgsave(),
            Target::Sockets => self.start_transfer(job),
        };
        let replication = &mut self.replication;
        if started.is_err() {
            let (ids, text) = replication.replicas.failed_to_start();
            log::warn!("BGSAVE for replication failed");
            ids.into_iter().for_each(|id| self.end_refused(id, text));
            return;
        }
        // A snapshot that save points ask for is to stay; so is one that was made before.
        replication.master.file_for_replicas = job.target == Target::Disk;
        let lines = replication.replicas.started(job, &replication.ids, &mut replication.backlog);
        replication.feed.restart();
        for (id, line) in lines {
            self.tell(id, line.as_bytes());
        }
    }

    /// Adds to what a replica is sent before anything else.
    pub(super) fn tell(&mut self, id: PeerId, bytes: &[u8]) {
        let Some(peer) = self.replication.master.peer(id) else { return };
        if let Some(client) = self.clients.find(peer) {
            client.reply.raw(bytes);
            self.clients.wants_write(peer.slot as usize);
        }
    }

    fn end_refused(&mut self, id: PeerId, text: &str) {
        self.tell(id, format!("-ERR {text}\r\n").as_bytes());
        if let Some(peer) = self.replication.master.peer(id)
            && let Some(client) = self.clients.find(peer)
        {
            client.flags.set(Flags::CLOSE_AFTER_REPLY);
        }
    }

    /// The connection of a replica ends.
    pub(super) fn close_peer(&mut self, id: PeerId) {
        if let Some(peer) = self.replication.master.peer(id) {
            self.clients.close_asap(peer.slot as usize);
        }
    }

    /// A child that may have written for replicas has ended.
    pub fn sync_child_done(&mut self, saved: bool, target: Target) {
        self.end_pipe();
        let now = self.clock.now();
        for (id, what, line) in self.replication.replicas.child_done(saved, target, now) {
            say(line);
            match what {
                AfterChild::Fail | AfterChild::Close => self.close_peer(id),
                AfterChild::SendFile => self.begin_file(id),
                AfterChild::Streamed => {}
            }
        }
    }

    /// A replica that waited for the running child has gone: if nobody else wants what it writes, it may stop.
    pub(super) fn child_lost_a_replica(&mut self, id: PeerId) {
        let others = self.replication.replicas.another_waits(id);
        match self.running_child() {
            Child::Disk if !others && self.config.save.is_empty() => self.stop_save_child(),
            Child::Sockets => self.leave_pipe(id),
            _ => {}
        }
    }
}
