//! Who has what: WAIT, WAITAOF, and `min-replicas-to-write`.
//!
//! *Duty:* park clients until enough replicas have told that they have the client's last change, and ask replicas to
//! tell. *Does not know:* who counts, which `repl::Replicas` knows. *Invariants:* a client that waits here is `BLOCKED` and has
//! one [`Waiter`]; waits are looked at when a replica has told something, not when one client asks.
//! *Counterpart in C Redis:* `waitCommand`, `processClientsWaitingReplicas`, `refreshGoodSlavesCount`.

use crate::base::millis::Millis;
use crate::base::num;
use crate::call::{Call, ClientRef, CmdError, CmdResult, Origin};
use crate::repl::master::{Ack, Acked};
use crate::server::Server;
use crate::server::blocking::{UNBLOCKED, Unblock};
use crate::server::client::Flags;
use crate::server::gates::Alarm;

const NOT_AN_INTEGER: CmdError = CmdError::Fixed("ERR value is not an integer or out of range");

/// A client that waits for replicas.
#[derive(Clone, Copy, Debug)]
pub struct Waiter {
    who: ClientRef,
    need: Need,
    deadline: Option<Millis>,
}

/// What it waits for.
#[derive(Clone, Copy, Debug)]
struct Need {
    /// In the stream.
    offset: u64,
    replicas: i64,
    disk: Option<Disk>,
}

/// WAITAOF: a wait for this server's own disk as well.
#[derive(Clone, Copy, Debug)]
struct Disk {
    /// In the history of the append only file.
    position: u64,
    needed: bool,
}

impl super::Master {
    /// When the next wait ends by itself.
    pub fn next_deadline(&self) -> Option<Millis> {
        self.waiters.iter().filter_map(|waiter| waiter.deadline).min()
    }
}

impl Server {
    /// WAIT.
    pub fn wait_for_replicas(&mut self, call: &mut Call<'_>) -> CmdResult {
        if self.replication.is_replica() {
            return Err(CmdError::Fixed(
                "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica \
                 is configured to be writable (which is not the default) writes to replicas are just local and are \
                 not propagated.",
            ));
        }
        let replicas = num::parse_i64(call.arg(1)).ok_or(NOT_AN_INTEGER)?;
        let deadline = timeout_ms(call.arg(2), call.now)?;
        let offset = self.clients[call.caller.client.slot as usize].written;
        self.wait_for(call, Need { offset, replicas, disk: None }, deadline)
    }

    /// WAITAOF: the local part is this server's own append only file.
    pub fn wait_for_disk(&mut self, call: &mut Call<'_>) -> CmdResult {
        if self.replication.is_replica() {
            return Err(CmdError::Fixed(
                "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just \
                 local and are not propagated.",
            ));
        }
        let local = num::parse_i64(call.arg(1)).ok_or(NOT_AN_INTEGER)?;
        if !(0..=1).contains(&local) {
            return Err(CmdError::Fixed("ERR value is out of range, value must between 0 and 1"));
        }
        let replicas = num::parse_i64(call.arg(2)).ok_or(NOT_AN_INTEGER)?;
        if replicas < 0 {
            return Err(CmdError::Fixed("ERR value is out of range, must be positive"));
        }
        let deadline = timeout_ms(call.arg(3), call.now)?;
        if local > 0 && !self.persistence.aof.is_on() {
            return Err(CmdError::Fixed("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."));
        }
        let offset = self.clients[call.caller.client.slot as usize].written;
        let disk = Some(Disk { position: self.persistence.aof.fed, needed: local > 0 });
        self.wait_for(call, Need { offset, replicas, disk }, deadline)
    }

    fn wait_for(&mut self, call: &mut Call<'_>, need: Need, deadline: Option<Millis>) -> CmdResult {
        let who = call.caller.client;
        if self.is_met(&need) || call.caller.origin != Origin::Client {
            self.answer(&need, call.reply);
            return Ok(());
        }
        let slot = who.slot as usize;
        self.clients[slot].flags.set(Flags::BLOCKED);
        self.clients.blocked += 1;
        let master = &mut self.replication.master;
        master.waiters.push(Waiter { who, need, deadline });
        master.wants_acks = true;
        Ok(())
    }

    /// How many replicas have it, and whether the disk does.
    fn have(&self, need: &Need) -> (i64, bool) {
        let all = &self.replication.replicas;
        let replicas = if need.disk.is_some() { all.count_disk_acks(need.offset) } else { all.count_acks(need.offset) };
        let replicas = replicas as i64;
        let aof = &self.persistence.aof;
        (replicas, need.disk.is_some_and(|disk| aof.is_on() && aof.synced >= disk.position))
    }

    fn is_met(&self, need: &Need) -> bool {
        let (replicas, on_disk) = self.have(need);
        replicas >= need.replicas && need.disk.is_none_or(|disk| on_disk || !disk.needed)
    }

    fn answer(&self, need: &Need, reply: &mut crate::resp::ReplyBuf) {
        let (replicas, on_disk) = self.have(need);
        if need.disk.is_some() {
            reply.array(2);
            reply.int(i64::from(on_disk));
        }
        reply.int(replicas);
    }

    /// Notes what a replica has told.
    pub fn replica_acked(&mut self, slot: usize, acked: Acked) {
        let now = self.clock.now();
        let id = self.clients[slot].id.0;
        let mut ack = self.replication.replicas.ack(id, acked, now);
        if ack == Ack::LookAfterChild {
            self.reap_child();
            ack = self.replication.replicas.ack(id, acked, now);
        }
        if ack == Ack::StartStream {
            self.clients.wants_write(slot);
        }
        self.replication.master.acked = true;
    }

    /// Part of `before_sleep`: ends waits that are met, and has replicas told that somebody waits.
    pub(super) fn look_at_acks(&mut self) {
        if self.replication.master.wants_acks && !self.pause.is_on() {
            self.replication.master.wants_acks = false;
            self.ask_for_acks();
        }
        let disk_waits = self.replication.master.waiters.iter().any(|waiter| waiter.need.disk.is_some());
        if std::mem::take(&mut self.replication.master.acked) || disk_waits {
            self.end_met_waits();
            self.tick_failover();
            self.go_on_shutting_down();
        }
    }

    /// `REPLCONF GETACK *`, as a part of the stream.
    pub fn ask_for_acks(&mut self) {
        if !self.replication.replicas.is_empty() && self.replication.is_fed() {
            self.feed_own(&[b"REPLCONF", b"GETACK", b"*"]);
        }
    }

    fn end_met_waits(&mut self) {
        let met: Vec<ClientRef> = {
            let waiters = self.replication.master.waiters.iter();
            waiters.filter(|waiter| self.is_met(&waiter.need)).map(|waiter| waiter.who).collect()
        };
        met.into_iter().for_each(|who| {
            self.end_ack_wait(who, Unblock::Timeout);
        });
    }

    /// Part of the timers.
    pub fn end_overdue_acks(&mut self) {
        if self.replication.master.waiters.is_empty() {
            return;
        }
        let now = self.clock.now();
        let waiters = self.replication.master.waiters.iter();
        let over = waiters.filter(|waiter| waiter.deadline.is_some_and(|at| at <= now));
        let over: Vec<ClientRef> = over.map(|waiter| waiter.who).collect();
        over.into_iter().for_each(|who| {
            self.end_ack_wait(who, Unblock::Timeout);
        });
    }

    fn take_waiter(&mut self, who: ClientRef) -> Option<Waiter> {
        let waiters = &mut self.replication.master.waiters;
        let at = waiters.iter().position(|waiter| waiter.who == who)?;
        let waiter = waiters.remove(at);
        if let Some(client) = self.clients.find(who) {
            client.flags.clear(Flags::BLOCKED);
            self.clients.blocked -= 1;
        }
        Some(waiter)
    }

    /// Ends a client's wait with what there is by now, or with an error. `false`: it did not wait here.
    pub fn end_ack_wait(&mut self, who: ClientRef, why: Unblock) -> bool {
        let Some(waiter) = self.take_waiter(who) else { return false };
        let slot = who.slot as usize;
        let mut reply = self.take_reply(slot);
        if why == Unblock::Error {
            reply.error(UNBLOCKED);
            self.stats.count_error(UNBLOCKED);
        } else {
            self.answer(&waiter.need, &mut reply);
        }
        self.give_reply(slot, reply);
        self.blocking.resume(who);
        true
    }

    /// Forgets the wait of a client that goes away.
    pub fn drop_ack_wait(&mut self, slot: usize) {
        let who = self.clients[slot].reference(slot);
        self.take_waiter(who);
    }

    /// A client's unit has been drained: its changes are in the stream.
    pub fn note_written(&mut self, who: ClientRef) {
        let offset = self.replication.backlog.offset();
        if let Some(client) = self.clients.find(who) {
            client.written = offset;
        }
    }

    /// Whether `min-replicas-to-write` are in reach.
    pub fn has_enough_replicas(&self) -> bool {
        self.replication.is_replica() || self.good_replicas() >= self.config.min_replicas_to_write as usize
    }

    /// Replicas that were heard within `min-replicas-max-lag`.
    pub fn good_replicas(&self) -> usize {
        self.replication.replicas.good(self.clock.now(), i64::from(self.config.min_replicas_max_lag))
    }

    pub fn refresh_min_replicas(&mut self) {
        let on = self.config.min_replicas_to_write > 0 && self.config.min_replicas_max_lag > 0;
        self.exec.set_alarm(Alarm::MIN_REPLICAS, on);
    }
}

fn timeout_ms(arg: &[u8], now: Millis) -> Result<Option<Millis>, CmdError> {
    match num::parse_i64(arg) {
        None => Err(CmdError::Fixed("ERR timeout is not an integer or out of range")),
        Some(..0) => Err(CmdError::Fixed("ERR timeout is negative")),
        Some(0) => Ok(None),
        Some(ms) => match now.0.checked_add(ms) {
            Some(at) => Ok(Some(Millis(at))),
            None => Err(CmdError::Fixed("ERR timeout is out of range")),
        },
    }
}
