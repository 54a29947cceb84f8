//! The stream: the commands of the master, run here.
//!
//! *Duty:* the client that stands for the master while the stream runs; run what it says, pass the bytes on to the own
//! backlog and count them; acknowledge. *Does not know:* who follows this server.
//! *Invariants:* bytes are passed on and counted when what they say has been done, a transaction as a whole; nothing of
//! an unfinished command or transaction survives the connection. Nothing is ever replied.
//! *Counterpart in C Redis:* `replicationCreateMasterClient`, `commandProcessed`,
//! `replicationFeedStreamFromMasterStream`.

use super::Way;
use crate::call::{Args, ClientRef, DbId, Effects};
use crate::config::values::PropagationErrorBehavior;
use crate::repl::replica::Lost;
use crate::repl::replica::trouble::quote;
use crate::resp::request::{self, End};
use crate::resp::{Batch, Limits, Proto, ReplyBuf};
use crate::server::Server;
use crate::server::client::Flags;
use crate::server::dispatch;
use crate::server::gates::{self, Alarm};
use crate::server::look_ahead::LookAhead;
use crate::server::registry::RowId;

/// A master may send what it was allowed to take itself.
const LIMITS: Limits = Limits { max_bulk: u32::MAX as u64 / 2, authenticated: true };
/// The least time between two lines about a disk that does not take what the master sends.
const DISK_COMPLAINT_MS: i64 = 10_000;
/// Replies of errors to the master that are logged, in a row of so many.
const LOGGED_ERRORS: u64 = 1000;

impl Server {
    /// The connection becomes a client.
    pub(super) fn begin_stream(&mut self, db: Option<u32>) {
        let Some(follow) = &mut self.replication.follow else { return };
        follow.unapplied.clear();
        follow.lost = None;
        let way = std::mem::replace(&mut follow.way, Way::None);
        let Way::Conn(conn) = way else { return };
        let (mut stream, token, out) = conn.into_parts();
        self.net.remove(&mut stream, token);
        let Some(slot) = self.register_client(stream) else {
            follow_lost(self);
            return;
        };
        let client = &mut self.clients[slot];
        client.flags.set(Flags::AUTHENTICATED);
        client.flags.set(Flags::MASTER);
        client.flags.clear(Flags::RESTRICTED);
        client.user = None;
        client.db = DbId(db.unwrap_or(0));
        // Options that make no difference to what is said.
        let _ = client.stream.set_client_options(self.config.tcp_keepalive);
        client.reply.raw(&out);
        let who = client.reference(slot);
        self.clients.wants_write(slot);
        if let Some(follow) = &mut self.replication.follow {
            follow.way = Way::Stream(who);
        }
    }

    /// What came behind the data set, or behind the answer to PSYNC, is the head of the stream.
    pub(super) fn hand_over_to_stream(&mut self) {
        let Some(follow) = &mut self.replication.follow else { return };
        let rest = follow.input.take();
        let Way::Stream(who) = follow.way else { return };
        follow.link.on_stream_read(self.clock.now(), rest.len() as u64);
        let slot = who.slot as usize;
        if let Some(client) = self.clients.find(who)
            && !rest.is_empty()
        {
            client.input.extend_from_slice(&rest);
            self.process_input(slot);
        }
    }

    /// So many bytes of the stream have come. They were counted as a client's input.
    pub(in crate::server) fn stream_arrived(&mut self, bytes: usize) {
        self.stats.net_input_bytes -= bytes as u64;
        self.stats.net_repl_input_bytes += bytes as u64;
        let now = self.clock.now();
        if let Some(follow) = &mut self.replication.follow {
            follow.link.on_stream_read(now, bytes as u64);
        }
    }

    /// The end of the master's connection was seen, and why.
    pub(in crate::server) fn stream_broke(&mut self, slot: usize, lost: Lost) {
        if self.clients[slot].flags.has(Flags::MASTER)
            && let Some(follow) = &mut self.replication.follow
        {
            follow.lost = Some(lost);
        }
    }

    /// A client that stood for the master was freed.
    pub(in crate::server) fn master_client_freed(&mut self, who: ClientRef) {
        let now = self.clock.now();
        let Some(follow) = &mut self.replication.follow else { return };
        if !matches!(follow.way, Way::Stream(ours) if ours == who) {
            return;
        }
        follow.way = Way::None;
        let lost = follow.lost.take().unwrap_or(Lost::Killed);
        follow.link.on_closed(now, lost);
        self.carry_out_link();
    }

    pub(super) fn forget_unapplied(&mut self) {
        if let Some(follow) = &mut self.replication.follow {
            follow.unapplied = Vec::new();
        }
    }

    /// Runs what is whole of the stream. Returns how many bytes have been dealt with.
    pub(in crate::server) fn process_stream(&mut self, slot: usize, buf: &mut [u8]) -> usize {
        let mut batch = std::mem::take(&mut self.exec.buffers.batch);
        let mut ahead = std::mem::take(&mut self.exec.buffers.ahead);
        let mut fx = self.exec.buffers.fx.take().unwrap_or_default();
        let mut reply = ReplyBuf::new(Proto::Resp2);
        let mut partial = self.clients[slot].partial.take();
        self.exec.start_timing();
        self.exec.reading = buf.len();
        let mut at = 0;
        loop {
            let begin = at;
            let progress = request::parse(buf, at, &mut partial, LIMITS, &mut batch);
            ahead.look(&self.registry, &self.ks.db(self.clients[slot].db).entries, buf, &batch);
            match self.run_stream_batch(slot, &buf[..progress.consumed], begin, (&batch, &ahead), &mut reply, &mut fx) {
                Ok(()) => at = progress.consumed,
                Err(end) => {
                    partial = None;
                    at = end;
                    break;
                }
            }
            match progress.end {
                End::BatchFull => {}
                End::NeedMore => break,
                End::Error(error) => {
                    let text = String::from_utf8_lossy(&error.message()).into_owned();
                    let head = quote(&buf[at..buf.len().min(at + 64)]);
                    self.stream_makes_no_sense(slot, format!("{text}: '{head}'"));
                    at = buf.len();
                    break;
                }
            }
        }
        self.settle_counts(&mut fx);
        self.exec.buffers.batch = batch;
        self.exec.buffers.ahead = ahead;
        self.exec.buffers.fx = Some(fx);
        self.clients[slot].partial = partial;
        self.note_applied();
        at
    }

    /// `Err(end)`: it stops here; bytes from `end` on have not been dealt with.
    fn run_stream_batch(
        &mut self,
        slot: usize,
        buf: &[u8],
        begin: usize,
        (batch, ahead): (&Batch, &LookAhead),
        reply: &mut ReplyBuf,
        fx: &mut Effects,
    ) -> Result<(), usize> {
        let mut start = begin;
        for i in 0..batch.len() {
            let command = batch.command(i);
            let end = command.end as usize;
            let first = buf[start..end].iter().find(|byte| !matches!(byte, b'\r' | b'\n'));
            if first != Some(&b'*') {
                let head = quote(&buf[start..end]);
                self.stream_makes_no_sense(slot, format!("an inline command: '{head}'"));
                return Err(buf.len());
            }
            let args = Args::new(buf, batch.spans(command));
            let known = ahead.of(i).row(&self.registry, args).ok();
            if known.is_some_and(|(row, _)| self.stream_must_wait(slot, row, args)) {
                return Err(start);
            }
            self.run_stream_command(slot, known, args, reply, fx);
            reply.truncate(0);
            self.applied(slot, &buf[start..end]);
            start = end;
            if self.clients[slot].flags.has(Flags::STOPPED) {
                return Err(end);
            }
        }
        Ok(())
    }

    /// A pause holds the stream as well: the data set stands still. The client is dealt with again when it is over.
    fn stream_must_wait(&mut self, slot: usize, row: RowId, args: Args<'_>) -> bool {
        let waits = self.pause.is_on() && self.must_wait(slot, row, args);
        if waits {
            self.park_stream(slot);
        }
        waits
    }

    fn run_stream_command(
        &mut self,
        slot: usize,
        known: Option<(RowId, Args<'_>)>,
        args: Args<'_>,
        reply: &mut ReplyBuf,
        fx: &mut Effects,
    ) {
        if args.len() >= 2 && args.is(0, "REPLCONF") && args.is(1, "GETACK") {
            return self.acknowledge();
        }
        let known = known.filter(|(row, args)| self.registry.row(*row).spec.arity_fits(args.len()));
        let Some((row, args)) = known else {
            let flags = &mut self.clients[slot].flags;
            if flags.has(Flags::MULTI) {
                flags.set(Flags::DIRTY_EXEC);
            }
            return self.complain_of_stream(args, "it is unknown here, or has a wrong number of arguments");
        };
        let name = self.registry.row(row).spec.name;
        let client = &mut self.clients[slot];
        client.last_row = Some(row);
        if client.flags.has(Flags::MULTI) && !dispatch::runs_inside_multi(name) {
            return dispatch::queue(self, slot, row, args);
        }
        if self.exec.has_alarm(Alarm::DISK_ERROR) {
            self.complain_of_disk();
        }
        self.make_room();
        let caller = self.clients[slot].caller(slot);
        self.call(row, args, caller, reply, fx);
        self.finish_unit(row, args, caller, fx);
        if reply.bytes().first() == Some(&b'-') {
            let text = quote(reply.bytes().trim_ascii_end());
            self.complain_of_stream(args, &text);
        }
    }

    /// What the master's command came to was an error: this data set is not the master's any more, or one of the two
    /// has a fault.
    fn complain_of_stream(&mut self, args: Args<'_>, text: &str) {
        let count = self.stats.unexpected_error_replies;
        self.stats.unexpected_error_replies += 1;
        if count % LOGGED_ERRORS < 10 {
            log::warn!(
                "== CRITICAL == This replica is sending an error to its master: '{}' after processing the command '{}'",
                text.trim_start_matches('-'),
                quote(args.get(0))
            );
        }
        let wanted = matches!(
            self.config.propagation_error_behavior,
            PropagationErrorBehavior::Panic | PropagationErrorBehavior::PanicOnReplicas
        );
        if wanted && self.config.replica_read_only {
            let command = quote(args.get(0));
            panic!("This replica panicked sending an error to its master after processing the command '{command}'");
        }
    }

    /// The data set must stay the master's, whatever the disk says: 7.0.15 ends here unless it is told to ignore that.
    fn complain_of_disk(&mut self) {
        let now = self.clock.now();
        let Some(follow) = &self.replication.follow else { return };
        let lately = follow.disk_complaint.is_some_and(|at| now.since(at) < DISK_COMPLAINT_MS);
        if !lately && gates::writes_reach_disk(self).is_err() {
            log::warn!("Replica is applying a command even though it is unable to write to disk.");
            if let Some(follow) = &mut self.replication.follow {
                follow.disk_complaint = Some(now);
            }
        }
    }

    /// A piece of the stream has been dealt with.
    fn applied(&mut self, slot: usize, bytes: &[u8]) {
        let client = &self.clients[slot];
        let (open, db) = (client.flags.has(Flags::MULTI), client.db.0);
        let replication = &mut self.replication;
        let Some(follow) = &mut replication.follow else { return };
        if open {
            follow.unapplied.extend_from_slice(bytes);
            return;
        }
        if !follow.unapplied.is_empty() {
            let before = std::mem::take(&mut follow.unapplied);
            replication.backlog.append(&before);
            follow.link.on_applied(before.len() as u64, db);
        }
        let opened = replication.backlog.append(bytes);
        follow.link.on_applied(bytes.len() as u64, db);
        if opened {
            self.check_replicas_output();
        }
    }

    fn stream_makes_no_sense(&mut self, slot: usize, what: String) {
        log::warn!("The stream of the master makes no sense, its data set will be loaded anew: {what}");
        self.stream_broke(slot, Lost::Nonsense(what));
        self.clients.close_asap(slot);
    }
}

fn follow_lost(srv: &mut Server) {
    let now = srv.clock.now();
    if let Some(follow) = &mut srv.replication.follow {
        follow.link.on_closed(now, Lost::Io("its connection could not be registered".to_owned()));
    }
}
