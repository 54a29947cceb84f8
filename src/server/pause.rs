//! Pauses (CLIENT PAUSE, FAILOVER, SHUTDOWN): for a while, commands wait instead of running.
//!
//! *Duty:* say whether a command must wait, park it with its client, and run what was parked when the pause is over.
//! While it lasts the data set stands still: nothing expires (overdue keys are hidden) and nothing is evicted.
//! *Does not know:* why somebody wants it. *Invariants:* a parked client is `BLOCKED` and `POSTPONED` until its
//! command is dispatched again, so what it sent behind that command waits too; `Alarm::PAUSED` is raised exactly as
//! long as there is a pause, so nobody pays for the question otherwise.
//! *Counterpart in C Redis:* `pauseClients`, `BLOCKED_POSTPONE`, `checkClientPauseTimeoutAndReturnIfPaused`.

use std::collections::VecDeque;

use super::Server;
use super::client::Flags;
use super::gates::Alarm;
use super::registry::RowId;
use crate::base::millis::Millis;
use crate::call::{Args, ClientRef};
use crate::command::spec::{MAY_REPLICATE, WRITE};

/// What waits; the later one includes the earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// What changes data, or is sent to replicas.
    Writes,
    Everything,
}

/// Who wants the pause; each ends its own only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sake {
    /// CLIENT PAUSE.
    Command,
    Shutdown,
    Failover,
}

#[derive(Default)]
pub struct Pause {
    /// By [`Sake`].
    current: [Option<(Scope, Millis)>; 3],
    /// Clients whose command was parked, in the order in which they came.
    parked: VecDeque<ClientRef>,
    /// Those of an ended pause: their commands are dispatched again before the loop sleeps.
    released: VecDeque<ClientRef>,
}

impl Pause {
    pub fn is_on(&self) -> bool {
        self.scope().is_some()
    }

    /// What waits now.
    fn scope(&self) -> Option<Scope> {
        self.current.iter().flatten().map(|(scope, _)| *scope).max()
    }

    /// When the next one ends by itself.
    pub fn end(&self) -> Option<Millis> {
        self.current.iter().flatten().map(|(_, until)| *until).min()
    }

    pub fn has_released(&self) -> bool {
        !self.released.is_empty()
    }
}

impl Server {
    /// Begins a pause. One that is on already is never made shorter or weaker by that.
    pub fn pause_clients(&mut self, sake: Sake, scope: Scope, until: Millis) {
        let current = &mut self.pause.current[sake as usize];
        *current = match *current {
            Some((old, end)) => Some((old.max(scope), end.max(until))),
            None => Some((scope, until)),
        };
        self.pause_changed();
    }

    pub fn unpause_clients(&mut self, sake: Sake) {
        let before = self.pause.scope();
        self.pause.current[sake as usize] = None;
        // What is still to wait is parked again.
        if self.pause.scope() != before {
            let parked = std::mem::take(&mut self.pause.parked);
            self.pause.released.extend(parked);
            self.pause_changed();
        }
    }

    fn pause_changed(&mut self) {
        let on = self.pause.is_on();
        self.exec.set_alarm(Alarm::PAUSED, on);
        self.refresh_hidden();
    }

    /// Overdue keys are hidden and stay while the data set stands still, and on a replica until its master says DEL.
    pub fn refresh_hidden(&mut self) {
        self.ks.settings.hide_expired = self.pause.is_on() || self.replication.is_replica();
    }

    pub(super) fn end_pause_when_over(&mut self) {
        let now = self.clock.now();
        for sake in [Sake::Command, Sake::Shutdown, Sake::Failover] {
            if self.pause.current[sake as usize].is_some_and(|(_, until)| until <= now) {
                self.unpause_clients(sake);
            }
        }
    }

    /// Whether the command must wait for the end of the pause.
    pub(super) fn must_wait(&self, slot: usize, row: RowId, args: Args<'_>) -> bool {
        let Some(scope) = self.pause.scope() else { return false };
        if self.clients[slot].flags.has(Flags::REPLICA) {
            return false;
        }
        let spec = self.registry.row(row).spec;
        let changes = WRITE.or(MAY_REPLICATE);
        match scope {
            Scope::Everything => true,
            Scope::Writes if spec.name == "exec" => self.queued_flags(slot).has(changes),
            Scope::Writes => self.flags_of(row, args).has(changes),
        }
    }

    /// Parks a request until the pause is over.
    pub(super) fn postpone(&mut self, slot: usize, args: Args<'_>) {
        let client = &mut self.clients[slot];
        client.postponed = Some(Box::new(args.to_argv()));
        client.flags.set(Flags::BLOCKED);
        client.flags.set(Flags::POSTPONED);
        let who = client.reference(slot);
        self.clients.blocked += 1;
        self.pause.parked.push_back(who);
    }

    /// Dispatches the commands that an ended pause has released. A new pause may park them again.
    pub(super) fn run_released(&mut self) {
        while let Some(who) = self.pause.released.pop_front() {
            let slot = who.slot as usize;
            let Some(client) = self.clients.find(who).filter(|c| c.flags.has(Flags::POSTPONED)) else { continue };
            if client.flags.has(Flags::MASTER) {
                self.unpark(slot);
                self.process_input(slot);
                continue;
            }
            if let Some(argv) = self.take_postponed(slot) {
                self.run_parked(slot, &argv);
            }
        }
    }

    /// The stream of the master stops until the pause is over; what has come of it stays where it is.
    pub(super) fn park_stream(&mut self, slot: usize) {
        let client = &mut self.clients[slot];
        client.flags.set(Flags(Flags::BLOCKED.0 | Flags::POSTPONED.0));
        let who = client.reference(slot);
        self.clients.blocked += 1;
        self.pause.parked.push_back(who);
    }

    fn unpark(&mut self, slot: usize) {
        self.clients[slot].flags.clear(Flags(Flags::BLOCKED.0 | Flags::POSTPONED.0));
        self.clients.blocked -= 1;
    }

    fn take_postponed(&mut self, slot: usize) -> Option<Box<crate::resp::Argv>> {
        let argv = self.clients[slot].postponed.take()?;
        self.unpark(slot);
        Some(argv)
    }

    /// Forgets the parked command of a client that goes away.
    pub fn drop_postponed(&mut self, slot: usize) {
        let stream = self.clients[slot].flags.has(Flags::POSTPONED) && self.clients[slot].postponed.is_none();
        if stream {
            self.unpark(slot);
        }
        if self.take_postponed(slot).is_some() || stream {
            let who = self.clients[slot].reference(slot);
            self.pause.parked.retain(|parked| *parked != who);
        }
    }
}
