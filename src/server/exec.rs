//! Execution: one call of a handler, and what follows from a unit of calls.
//!
//! *Duty:* `call` runs a handler, times it, counts it and turns its error into a reply; `finish_unit` drains the
//! effects: propagation, watchers, notifications, blocked clients, garbage. *Invariant:* nobody else runs a handler.
//! *Counterpart in C Redis:* `call`, `afterCommand`, `postExecutionUnitOperations`.

use crate::call::effects::{Counts, Replicate, Targets, Touched};
use crate::call::{Args, Call, Caller, ClientRef, CmdError, CmdResult, Effects, Garbage, Origin, Wants};
use crate::command::spec::TOUCHES_ARBITRARY_KEYS;
use crate::config::AppendFsync;
use crate::resp::ReplyBuf;
use crate::server::Server;
use crate::server::client::Buffers;
use crate::server::gates::Alarm;
use crate::server::observation::Done;
use crate::server::propagate::Wrap;
use crate::server::registry::{RowId, Run};
use crate::sys::bio::Job;
use crate::sys::clock::ticks;

/// State of execution that outlives a call.
#[derive(Default)]
pub struct Exec {
    pub buffers: Buffers,
    /// Who listens to effects; see [`Server::refresh_wants`].
    pub wants: Wants,
    /// States in which some commands are refused; 0 opens the short way through `dispatch`.
    pub alarms: u32,
    /// Changes since the last successful save.
    pub dirty: u64,
    /// Bytes of the input that is being dealt with, the request that runs included.
    pub reading: usize,
    /// A call that takes so many ticks or more is told to whoever watches; see [`Server::refresh_observation`].
    pub slow_ticks: u64,
    /// A reply to a change promises that it is on disk (`appendfsync always`).
    pub promises: bool,
    /// EXEC runs.
    pub in_transaction: bool,
    /// `latency-tracking`.
    pub tracks_latency: bool,
    /// Whose unit is being drained; `None`: the server's own.
    current: Option<ClientRef>,
    /// When the previous call ended, in ticks: where the next one begins.
    last_ticks: u64,
}

impl Exec {
    pub fn start_timing(&mut self) {
        self.last_ticks = ticks();
    }

    /// Where the call that runs, or the next one, begins.
    pub fn last_ticks(&self) -> u64 {
        self.last_ticks
    }

    pub fn has_alarm(&self, alarm: Alarm) -> bool {
        self.alarms & alarm.0 != 0
    }

    pub fn set_alarm(&mut self, alarm: Alarm, on: bool) {
        if on { self.alarms |= alarm.0 } else { self.alarms &= !alarm.0 }
    }
}

impl Server {
    /// Runs one handler. An error becomes the reply; nothing of what the handler wrote before it remains.
    #[inline(always)]
    pub fn call(&mut self, row: RowId, args: Args<'_>, caller: Caller, reply: &mut ReplyBuf, fx: &mut Effects) {
        self.call_again(row, args, caller, None, reply, fx);
    }

    /// [`Server::call`], or the second run of a command that waited for the key `woken_by`: it was counted when it
    /// came.
    #[inline(always)]
    pub fn call_again(
        &mut self,
        row: RowId,
        args: Args<'_>,
        caller: Caller,
        woken_by: Option<&[u8]>,
        reply: &mut ReplyBuf,
        fx: &mut Effects,
    ) {
        let (start, dirty, began) = (reply.len(), fx.dirty, self.exec.last_ticks);
        let first_run = woken_by.is_none();
        fx.wants = self.exec.wants;
        fx.replicate = Replicate::Verbatim;
        let mut call = Call { args, caller, now: self.clock.now(), woken_by, reply, fx };
        let result: CmdResult = match self.registry.row(row).run {
            Run::Data(run) => run(&mut self.ks, &mut call),
            Run::Server(run) => run(self, &mut call),
        };
        let failed = result.is_err();
        if let Err(error) = result {
            self.reply_error(&error, start, reply);
        }
        let now = ticks();
        let spent = now.wrapping_sub(began);
        self.exec.last_ticks = now;
        // Inside EXEC or a script nobody waits.
        let parked = fx.block.is_some() && caller.origin == Origin::Client;
        let entry = self.registry.row_mut(row);
        entry.stats.ticks += spent;
        entry.stats.failed += failed as u64;
        if first_run {
            entry.stats.calls += 1;
            self.stats.commands_processed += 1;
        }
        if self.exec.tracks_latency && !parked {
            entry.durations.get_or_insert_default().record(spent);
        }
        if fx.wants.ops && fx.dirty > dirty && fx.replicate == Replicate::Verbatim {
            fx.ops.push(caller.db, Targets::ALL, args.iter());
        }
        if !parked && let Some(wait) = fx.block.take() {
            // The answer is that there is nothing.
            if wait.refused_with_null { reply.null() } else { reply.null_array() }
        }
        if spent >= self.exec.slow_ticks {
            self.observe(&Done { row, args, caller, ticks: spent, first_run, parked });
        }
    }

    /// The handler's error in place of what it wrote.
    #[cold]
    fn reply_error(&mut self, error: &CmdError, start: usize, reply: &mut ReplyBuf) {
        let message = error.message();
        reply.truncate(start);
        reply.error(&message);
        if !matches!(error, CmdError::Counted(_)) {
            self.stats.count_error(&message);
        }
    }

    /// Runs a command of the append only file: nobody listens, nothing is counted.
    #[inline]
    pub(super) fn replay(
        &mut self,
        row: RowId,
        args: Args<'_>,
        caller: Caller,
        reply: &mut ReplyBuf,
        fx: &mut Effects,
    ) {
        let start = reply.len();
        let mut call = Call { args, caller, now: self.clock.now(), woken_by: None, reply, fx };
        let result: CmdResult = match self.registry.row(row).run {
            Run::Data(run) => run(&mut self.ks, &mut call),
            Run::Server(run) => run(self, &mut call),
        };
        if let Err(error) = result {
            reply.truncate(start);
            reply.error(&error.message());
        }
        fx.block = None;
        if !fx.is_quiet() {
            self.drain_server_side(fx);
        }
        fx.counts = Counts::default();
    }

    /// Tells the rest of the server what a unit did. Everything in `fx` has been dealt with afterwards.
    #[inline]
    pub fn finish_unit(&mut self, row: RowId, args: Args<'_>, caller: Caller, fx: &mut Effects) {
        if fx.dirty != 0 {
            self.exec.dirty += fx.dirty;
            fx.dirty = 0;
        }
        if !fx.is_quiet() {
            self.drain(row, args, caller, fx);
        }
    }

    #[cold]
    fn drain(&mut self, row: RowId, args: Args<'_>, caller: Caller, fx: &mut Effects) {
        if let Some(block) = fx.block.take() {
            self.block_client(row, args, caller, block);
        }
        if caller.origin != Origin::Master && self.is_writable_replica() {
            self.remember_own_keys(&fx.touched);
        }
        self.exec.current = Some(caller.client);
        let scattered = self.registry.row(row).spec.flags.has(TOUCHES_ARBITRARY_KEYS);
        self.drain_as(if scattered { Wrap::Never } else { Wrap::Several }, fx);
        self.exec.current = None;
        self.note_written(caller.client);
    }

    /// What follows from changes that nobody made as one: expiry, eviction.
    pub fn drain_server_side(&mut self, fx: &mut Effects) {
        self.drain_as(Wrap::Never, fx);
    }

    /// What follows from changes, whoever made them.
    pub(super) fn drain_as(&mut self, wrap: Wrap, fx: &mut Effects) {
        let Effects { wants: _, dirty, ops, replicate: _, touched, events, block, garbage, counts: _, swapped } = fx;
        self.exec.dirty += std::mem::take(dirty);
        debug_assert!(block.is_none(), "only a client waits");
        self.propagate(ops, wrap);
        let (touched, events, swapped) = (std::mem::take(touched), std::mem::take(events), std::mem::take(swapped));
        for Garbage { what, objects, bytes } in garbage.drain(..) {
            self.bio.submit(Job::Drop { what, objects, bytes });
        }
        for Touched { db, key, .. } in &touched {
            self.touch_watchers(*db, key);
            self.blocking.note_ready(*db, key);
        }
        let settled = std::mem::take(&mut self.tracking.settled);
        self.invalidate(&touched[settled..], self.exec.current);
        for (first, second) in swapped {
            self.databases_swapped(first, second);
        }
        for notice in &events {
            self.publish_notice(notice);
        }
        self.serve_blocked();
    }

    /// Moves the counters that calls left in `fx` to where INFO shows them.
    pub fn settle_counts(&mut self, fx: &mut Effects) {
        let counts = std::mem::take(&mut fx.counts);
        self.stats.keyspace_hits += counts.hits;
        self.stats.keyspace_misses += counts.misses;
        self.stats.expired_keys += counts.expired;
        self.stats.expired_fields += counts.expired_fields;
        self.stats.payloads_checked += counts.payloads_checked;
    }

    /// Finds out anew who listens to effects. Called whenever a watcher, a waiter, a subscriber or the event classes
    /// of the configuration change.
    pub fn refresh_wants(&mut self) {
        self.exec.promises = self.persistence.aof.is_on() && self.config.appendfsync == AppendFsync::Always;
        self.exec.wants = Wants {
            ops: self.propagates(),
            touched: !self.watch.is_empty()
                || !self.blocking.is_empty()
                || self.tracking.listens()
                || self.is_writable_replica(),
            events: self.wanted_events(),
        };
    }
}
