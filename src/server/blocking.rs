//! Clients that wait for keys.
//!
//! *Duty:* park a command that found nothing, run it again when one of its keys was touched and holds what it waits
//! for, first come first served, and end the wait at its deadline. *Does not know:* what the commands do: serving one
//! *is* running it again, with the key that is ready.
//! *Invariants:* a blocked client stands in the queue of each of its keys once; queues are never empty; keys become
//! ready at the end of a unit, so that what MULTI does in between is not seen.
//! *Counterpart in C Redis:* `blocked.c`.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::Server;
use super::access::no_permission;
use super::client::Flags;
use super::persistence::aof::Promise;
use super::propagate::Wrap;
use super::registry::RowId;
use crate::acl::log::Context;
use crate::base::millis::Millis;
use crate::call::{Args, BlockOn, Caller, ClientRef, DbId, Effects, WaitFor};
use crate::resp::Argv;

/// What a client waits for.
#[derive(Debug)]
pub struct Blocked {
    row: RowId,
    /// What runs when a key is ready.
    argv: Argv,
    db: DbId,
    what: WaitFor,
    keys: Vec<Box<[u8]>>,
    deadline: Option<Millis>,
}

impl Blocked {
    /// Bytes of the arguments of the command that waits.
    pub fn argument_memory(&self) -> usize {
        self.argv.memory()
    }
}

/// A key somebody waits for, and where.
pub type Key = (DbId, Box<[u8]>);

#[derive(Default)]
pub struct Blocking {
    waiting: HashMap<Key, VecDeque<ClientRef>>,
    deadlines: BTreeSet<(Millis, ClientRef)>,
    /// Touched keys that somebody waits for, in the order in which they were touched.
    ready: VecDeque<Key>,
    serving: bool,
    /// Clients that wait no more: their left-over input is run before the loop sleeps.
    resumed: VecDeque<ClientRef>,
}

impl Blocking {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Keys that somebody waits for.
    pub fn key_count(&self) -> usize {
        self.waiting.len()
    }

    /// Waits with a deadline.
    pub fn timed(&self) -> usize {
        self.deadlines.len()
    }

    pub fn note_ready(&mut self, db: DbId, key: &[u8]) {
        if self.waiting.is_empty() {
            return;
        }
        let key = (db, Box::from(key));
        if self.waiting.contains_key(&key) && !self.ready.contains(&key) {
            self.ready.push_back(key);
        }
    }

    /// The keys of these databases that somebody waits for.
    pub fn awaited_in(&self, dbs: &[DbId]) -> Vec<Key> {
        self.waiting.keys().filter(|(db, _)| dbs.contains(db)).cloned().collect()
    }

    pub fn next_deadline(&self) -> Option<Millis> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub fn has_resumed(&self) -> bool {
        !self.resumed.is_empty()
    }

    /// A client waits no more, for whatever it was.
    pub fn resume(&mut self, who: ClientRef) {
        self.resumed.push_back(who);
    }

    pub fn next_resumed(&mut self) -> Option<ClientRef> {
        self.resumed.pop_front()
    }

    fn forget(&mut self, who: ClientRef, blocked: &Blocked) {
        for key in &blocked.keys {
            let key = (blocked.db, key.clone());
            if let Some(queue) = self.waiting.get_mut(&key) {
                queue.retain(|c| *c != who);
                if queue.is_empty() {
                    self.waiting.remove(&key);
                }
            }
        }
        if let Some(at) = blocked.deadline {
            self.deadlines.remove(&(at, who));
        }
    }
}

/// Why a wait ended without an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unblock {
    /// The time was up, or CLIENT UNBLOCK said so.
    Timeout,
    /// CLIENT UNBLOCK … ERROR.
    Error,
    /// The stream whose consumer group it waits for is no longer there.
    StreamGone,
    /// This server has become a replica.
    RoleChanged,
}

pub const UNBLOCKED: &[u8] = b"UNBLOCKED client unblocked via CLIENT UNBLOCK";

const ROLE_CHANGED: &[u8] =
    b"UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";

impl Server {
    pub(super) fn block_client(&mut self, row: RowId, args: Args<'_>, caller: Caller, on: BlockOn) {
        let who = caller.client;
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        for key in on.keys {
            if !keys.contains(&key) {
                self.blocking.waiting.entry((caller.db, key.clone())).or_default().push_back(who);
                keys.push(key);
            }
        }
        if let Some(at) = on.deadline {
            self.blocking.deadlines.insert((at, who));
        }
        let client = &mut self.clients[who.slot as usize];
        client.flags.set(Flags::BLOCKED);
        let argv = on.rerun.unwrap_or_else(|| args.to_argv());
        client.blocked =
            Some(Box::new(Blocked { row, argv, db: caller.db, what: on.what, keys, deadline: on.deadline }));
        self.clients.blocked += 1;
        self.refresh_wants();
    }

    /// Takes a client out of its wait. Its left-over input runs later in this turn.
    fn release(&mut self, who: ClientRef) -> Option<Box<Blocked>> {
        let client = self.clients.find(who)?;
        let blocked = client.blocked.take()?;
        client.flags.clear(Flags::BLOCKED);
        self.clients.blocked -= 1;
        self.blocking.forget(who, &blocked);
        self.blocking.resumed.push_back(who);
        self.refresh_wants();
        Some(blocked)
    }

    /// Forgets the wait of a client that goes away.
    pub fn drop_blocked(&mut self, slot: usize) {
        let who = self.clients[slot].reference(slot);
        self.release(who);
    }

    /// Runs the commands of those who wait for keys that were touched. What these runs touch is served in the same
    /// sweep.
    pub(super) fn serve_blocked(&mut self) {
        if self.blocking.serving || self.blocking.ready.is_empty() {
            return;
        }
        self.blocking.serving = true;
        while let Some(key) = self.blocking.ready.pop_front() {
            let waiting = self.blocking.waiting.get(&key).map(|q| q.iter().copied().collect::<Vec<_>>());
            let waiting = waiting.unwrap_or_default();
            if !waiting.is_empty() {
                self.take_out_if_overdue(&key);
            }
            for who in waiting {
                self.serve_one(who, &key);
            }
        }
        self.blocking.serving = false;
    }

    /// A key whose time is over meanwhile is met here as by a command: it goes, and all hear of it.
    fn take_out_if_overdue(&mut self, (db, key): &Key) {
        let now = self.clock.now();
        let entries = &self.ks.db(*db).entries;
        let overdue = entries.get(entries.hash(key), key).is_some_and(|entry| entry.is_expired(now));
        if overdue && !self.replication.is_replica() && !self.pause.is_on() {
            let mut fx = Effects { wants: self.exec.wants, ..Effects::default() };
            self.ks.expire_one(*db, key, now, &mut fx);
            self.settle_counts(&mut fx);
            self.drain_as(Wrap::Never, &mut fx);
        }
    }

    /// What is at a key, as TYPE names it.
    fn type_at(&self, (db, key): &Key) -> Option<&'static str> {
        let entries = &self.ks.db(*db).entries;
        let entry = entries.get(entries.hash(key), key)?;
        (!entry.is_expired(self.clock.now())).then(|| entry.type_name())
    }

    /// Serves a client that waits for `key`, if the key holds what it waits for.
    fn serve_one(&mut self, who: ClientRef, key: &Key) {
        let there = self.type_at(key);
        let Some(what) = self.clients.find(who).and_then(|client| client.blocked.as_ref()).map(|b| b.what) else {
            return;
        };
        if there == Some(what.type_name()) {
            self.run_again(who, &key.1);
        } else if what == WaitFor::Group {
            self.unblock(who, Unblock::StreamGone);
        }
    }

    /// Runs a parked command again. If it still finds nothing, it stays parked where it is.
    fn run_again(&mut self, who: ClientRef, key: &[u8]) {
        let slot = who.slot as usize;
        if self.lost_its_right(who) {
            return;
        }
        let Some(client) = self.clients.find(who) else { return };
        let caller = client.caller(slot);
        let Some(blocked) = client.blocked.take() else { return };
        let mut reply = self.take_reply(slot);
        let mut fx = Effects::default();
        self.exec.start_timing();
        let start = reply.len();
        self.call_again(blocked.row, Args::of(&blocked.argv), caller, Some(key), &mut reply, &mut fx);
        let still_waits = fx.block.take().is_some();
        if self.exec.promises && !fx.ops.is_empty() {
            self.persistence.aof.promise(Promise { client: who, start, end: reply.len() });
        }
        self.give_reply(slot, reply);
        self.clients[slot].blocked = Some(blocked);
        if !still_waits {
            self.release(who);
        }
        self.settle_counts(&mut fx);
        self.drain_as(Wrap::Several, &mut fx);
        self.note_written(who);
    }

    /// The client's user may no longer do what the client waits for: the wait ends with the refusal.
    fn lost_its_right(&mut self, who: ClientRef) -> bool {
        let slot = who.slot as usize;
        let Some(client) = self.clients.get(slot).filter(|client| client.flags.has(Flags::RESTRICTED)) else {
            return false;
        };
        let Some(blocked) = &client.blocked else { return false };
        let Err(denied) = self.acl_check(client.user, blocked.row, Args::of(&blocked.argv)) else { return false };
        let Some(blocked) = self.release(who) else { return false };
        let message = no_permission(denied, self.registry.row(blocked.row).spec.name);
        let message = message.message();
        self.clients[slot].reply.error(&message);
        self.stats.count_error(&message);
        self.registry.row_mut(blocked.row).stats.rejected += 1;
        self.log_denied(slot, blocked.row, Args::of(&blocked.argv), Context::TopLevel);
        self.after_output(slot);
        true
    }

    /// Ends waits whose time is up.
    pub fn end_overdue_waits(&mut self, now: Millis) {
        while let Some((at, who)) = self.blocking.deadlines.first().copied() {
            if at > now {
                break;
            }
            self.blocking.deadlines.remove(&(at, who));
            self.unblock(who, Unblock::Timeout);
        }
    }

    /// Ends a client's wait with the answer that belongs to it. `false`: it did not wait.
    pub fn unblock(&mut self, who: ClientRef, why: Unblock) -> bool {
        let Some(blocked) = self.release(who) else { return self.end_ack_wait(who, why) };
        let slot = who.slot as usize;
        let reply = &mut self.clients[slot].reply;
        match why {
            Unblock::Timeout => reply.null_array(),
            Unblock::Error => reply.error(UNBLOCKED),
            Unblock::StreamGone => reply.error(b"UNBLOCKED the stream key no longer exists"),
            Unblock::RoleChanged => reply.error(ROLE_CHANGED),
        }
        if why != Unblock::Timeout {
            self.stats.count_error(UNBLOCKED);
            self.registry.row_mut(blocked.row).stats.failed += 1;
        }
        self.after_output(slot);
        true
    }
}
