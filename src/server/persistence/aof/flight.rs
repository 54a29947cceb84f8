//! Groups of changes on their way to the disk while the loop goes on.
//!
//! *Duty:* hand a turn's changes to the other thread (`sys::appender`), hold back the replies that must not leave before
//! they have landed, let them go, and bring what came back in line with the rest of the state.
//! *Does not know:* how long to gather (`pace`), what is in the file (`increment`).
//! *Invariants:* one group is under way at a time, and while it is nobody else writes to the file. A reply leaves only
//! when all changes before it have landed, whoever made them: replies produced before the group took off go with it
//! ([`Mark`]), all others with the next. `always`: landed is synced, without exception. `everysec`: a group flies only
//! while an older fsync is under way, so that a killed process has lost nothing although the loop does not wait for the
//! disk; if the kernel does not take it within [`HOLD_NS`], replies leave as they do in 7.0.15, ahead of the file.
//! *Counterpart in C Redis:* none; there the loop waits (`always`), or keeps the changes in memory (`everysec`).

use std::io;

use super::pace::Pace;
use super::write::BUFFER_KEPT;
use super::{Promise, State};
use crate::call::ClientRef;
use crate::config::AppendFsync;
use crate::net::Route;
use crate::server::Server;
use crate::server::client::{Client, Flags};
use crate::sys::appender::{Appender, Group, Landed};
use crate::sys::bio::Kind;
use crate::sys::clock;

/// `everysec`: replies wait so long for the kernel to take a write. It mostly does within microseconds.
const HOLD_NS: u64 = 10_000_000;
/// `everysec`: the loop itself waits for a write that takes so long, or memory would fill with changes.
const STUCK_NS: u64 = 2_000_000_000;

/// Replies of a client, up to here, that may leave when a group has landed.
type Mark = (ClientRef, usize);

/// What there is of groups on their way.
#[derive(Debug, Default)]
pub(super) struct Flights {
    appender: Option<Appender>,
    /// The thread could not be started, or is gone: the loop does all by itself.
    grounded: bool,
    current: Option<Flight>,
    /// Clients with replies that go with the next group. Their `WRITE_PENDING` is set; no list of `Clients` names them.
    held: Vec<ClientRef>,
    /// Clients whose group has landed.
    landed: Vec<Mark>,
    pace: Pace,
    /// An empty buffer, to be used again.
    spare: Vec<u8>,
    /// The group that gathers takes off then, at the latest: monotonic nanoseconds.
    gathers_until: Option<u64>,
}

#[derive(Debug)]
struct Flight {
    /// Where in the history of changes it ends.
    upto: u64,
    bytes: usize,
    marks: Vec<Mark>,
    promises: Vec<Promise>,
    began: u64,
    /// Whether it was to be synced.
    sync: bool,
    /// Replies wait for it no more (`everysec` only).
    overdue: bool,
}

impl Flights {
    #[inline]
    pub fn are_none(&self) -> bool {
        self.current.is_none() && self.held.is_empty() && self.landed.is_empty()
    }

    pub fn under_way(&self) -> bool {
        self.current.is_some()
    }

    pub fn bytes(&self) -> usize {
        self.current.as_ref().map_or(0, |flight| flight.bytes)
    }

    fn clients_under_way(&self) -> usize {
        self.current.as_ref().map_or(0, |flight| flight.marks.len())
    }

    /// Monotonic nanoseconds at which the loop must look again although nothing has happened.
    pub fn due(&self) -> Option<u64> {
        match &self.current {
            Some(flight) => (!flight.sync && !flight.overdue).then_some(flight.began + HOLD_NS),
            None => self.gathers_until,
        }
    }
}

impl Server {
    /// At the end of a turn: brings its changes on their way. `true`: replies must wait.
    #[inline]
    pub(in crate::server) fn flush_turn(&mut self) -> bool {
        let aof = &self.persistence.aof;
        if aof.nothing_to_flush() && aof.flights.are_none() {
            return false;
        }
        self.fly_or_flush()
    }

    #[cold]
    fn fly_or_flush(&mut self) -> bool {
        self.persistence.aof.flights.gathers_until = None;
        if let Some(landed) = self.persistence.aof.flights.appender.as_ref().and_then(Appender::landed) {
            self.land(landed);
        }
        if self.persistence.aof.flights.under_way() {
            if !self.wait_is_over() {
                self.hold(None);
                return true;
            }
            if self.persistence.aof.flights.under_way() {
                return false;
            }
        }
        if let Some(sync) = self.may_fly() {
            let waiting = self.waiting_clients();
            if sync && self.persistence.aof.flights.pace.gathers(clock::monotonic_ns(), waiting) {
                self.persistence.aof.flights.gathers_until = Some(self.persistence.aof.flights.pace.deadline());
                self.hold(None);
                return true;
            }
            if let Some(flight) = self.take_off(sync) {
                self.hold(Some(flight));
                return true;
            }
        }
        self.flush_aof(false);
        false
    }

    /// How many clients have replies that wait, apart from those of the group under way.
    pub(super) fn waiting_clients(&self) -> usize {
        self.persistence.aof.flights.held.len() + self.clients.writers()
    }

    /// Whether what is in the buffer should fly, and if so be synced as well.
    fn may_fly(&self) -> Option<bool> {
        let aof = &self.persistence.aof;
        let hindered = aof.buffer.is_empty() || aof.errno != 0 || aof.flights.grounded || aof.flush_sleep_us > 0;
        if hindered || aof.state == State::Off {
            return None;
        }
        match self.config.appendfsync {
            // Replicas get nothing that is not on this disk. And if all that write wait, there is nothing to do meanwhile.
            AppendFsync::Always => {
                let syncs = !(self.config.no_appendfsync_on_rewrite && self.persistence.child.is_some());
                let alone = self.waiting_clients() >= aof.flights.pace.crowd();
                (syncs && !alone && !self.replication.is_fed()).then_some(true)
            }
            AppendFsync::Everysec => (self.bio.pending(Kind::Fsync) > 0).then_some(false),
            AppendFsync::No => None,
        }
    }

    /// Hands the buffer to the other thread. `None`: it cannot be done.
    fn take_off(&mut self, sync: bool) -> Option<Flight> {
        if self.persistence.aof.flights.appender.is_none() {
            let started = Appender::start().and_then(|appender| {
                use std::os::fd::AsRawFd;
                self.net.add_fd(appender.wake_fd().as_raw_fd(), Route::Appended)?;
                Ok(appender)
            });
            match started {
                Ok(appender) => self.persistence.aof.flights.appender = Some(appender),
                Err(error) => return self.ground(&error),
            }
        }
        let aof = &mut self.persistence.aof;
        let (Some(appender), Some(increment)) = (&aof.flights.appender, &mut aof.increment) else { return None };
        let file = match increment.lend() {
            Ok(file) => file,
            Err(error) => return self.ground(&error),
        };
        let bytes = std::mem::replace(&mut aof.buffer, std::mem::take(&mut aof.flights.spare));
        let len = bytes.len();
        if let Err(group) = appender.submit(Group { file, bytes, sync }) {
            aof.buffer = group.bytes;
            return self.ground(&io::Error::other("the thread is gone"));
        }
        let promises = std::mem::take(&mut aof.promises);
        let (upto, began) = (aof.fed, clock::monotonic_ns());
        Some(Flight { upto, bytes: len, marks: Vec::new(), promises, began, sync, overdue: false })
    }

    fn ground(&mut self, error: &io::Error) -> Option<Flight> {
        log::warn!("The thread that writes the AOF file cannot be used: {error}. The main thread does it.");
        self.persistence.aof.flights.grounded = true;
        None
    }

    /// Keeps the replies of this turn; those whose group has landed leave. `flight` has just taken off and takes with it
    /// what is kept.
    fn hold(&mut self, flight: Option<Flight>) {
        let writers = self.clients.take_writers();
        let flights = &mut self.persistence.aof.flights;
        for &slot in &writers {
            // One that was freed and one that is about to be get nothing any more.
            if let Some(client) = self.clients.get(slot as usize).filter(|c| c.flags.has(Flags::WRITE_PENDING)) {
                flights.held.push(client.reference(slot as usize));
            }
        }
        self.clients.return_writers(writers);
        let mut landed = std::mem::take(&mut flights.landed);
        for (who, upto) in landed.drain(..) {
            let pending = |c: &mut Client| c.flags.has(Flags::WRITE_PENDING);
            if !self.clients.find(who).is_some_and(pending) {
                continue;
            }
            self.write_client_upto(who.slot as usize, upto);
            // Behind what has landed there may be replies of later groups.
            if self.clients.find(who).is_some_and(pending) {
                self.persistence.aof.flights.held.push(who);
            }
        }
        let (flights, clients) = (&mut self.persistence.aof.flights, &mut self.clients);
        flights.landed = landed;
        if let Some(mut flight) = flight {
            let ends = flights.held.drain(..).filter_map(|who| clients.find(who).map(|c| (who, c.reply.len())));
            flight.marks.extend(ends);
            flights.current = Some(flight);
        }
        let waiting = flights.held.len() + flights.clients_under_way();
        flights.pace.look(clock::monotonic_ns(), waiting);
    }

    /// Nothing that a reply promises is missing on the disk: all that was held back may leave.
    pub(in crate::server) fn release_replies(&mut self) {
        let flights = &mut self.persistence.aof.flights;
        if flights.held.is_empty() && flights.landed.is_empty() {
            return;
        }
        let landed = flights.landed.drain(..).map(|(who, _)| who);
        for who in landed.chain(flights.held.drain(..)) {
            if self.clients.find(who).is_some_and(|c| c.flags.has(Flags::WRITE_PENDING)) {
                self.clients.write_listed(who.slot as usize);
            }
        }
    }

    /// Whether replies wait for the group under way no more, because it has landed by now or because it takes too long.
    fn wait_is_over(&mut self) -> bool {
        let always = self.config.appendfsync == AppendFsync::Always;
        let Some(flight) = &mut self.persistence.aof.flights.current else { return true };
        let age = clock::monotonic_ns().saturating_sub(flight.began);
        if flight.sync || age < HOLD_NS && !flight.overdue {
            return false;
        }
        if always || age >= STUCK_NS {
            // What is promised now is more than what was when it took off; or changes gather in memory for too long.
            if age >= STUCK_NS {
                self.tell_slow_fsync();
            }
            self.land_flight();
            return true;
        }
        flight.overdue = true;
        let marks = std::mem::take(&mut flight.marks);
        self.persistence.aof.flights.landed.extend(marks);
        true
    }

    /// Waits for the group under way, if there is one. The replies that went with it leave when replies leave next.
    pub(super) fn land_flight(&mut self) {
        if !self.persistence.aof.flights.under_way() {
            return;
        }
        match self.persistence.aof.flights.appender.as_ref().and_then(Appender::wait) {
            Some(landed) => self.land(landed),
            None => {
                // How much of it is in the file nobody knows. What is in memory is whole, and is written anew.
                self.persistence.aof.flights.appender = None;
                let error = io::Error::other("the thread that writes it is gone");
                self.ground(&error);
                self.sync_failed(&error);
                self.after_landing(0);
            }
        }
    }

    /// A group has come back.
    fn land(&mut self, landed: Landed) {
        let Landed { file, mut bytes, written, failure, synced, sync_ns } = landed;
        let aof = &mut self.persistence.aof;
        if let Some(increment) = &mut aof.increment {
            increment.take_back(file);
            let appended = increment.appended(&bytes, written, failure);
            if self.note_appended(&bytes, appended) {
                bytes.clear();
                if bytes.capacity() <= BUFFER_KEPT {
                    self.persistence.aof.flights.spare = bytes;
                }
                if self.persistence.aof.flights.current.as_ref().is_some_and(|flight| flight.sync) {
                    let size = self.persistence.aof.increment.as_ref().map_or(0, |increment| increment.size);
                    self.note_synced(synced, size, sync_ns);
                }
            }
        }
        self.after_landing(sync_ns);
    }

    fn after_landing(&mut self, sync_ns: u64) {
        let now = clock::monotonic_ns();
        let waiting = self.waiting_clients();
        let aof = &mut self.persistence.aof;
        let Some(flight) = aof.flights.current.take() else { return };
        if flight.sync {
            aof.flights.pace.released(now, sync_ns, flight.marks.len(), waiting);
            if aof.errno == 0 {
                aof.synced = aof.synced.max(flight.upto);
            }
        }
        aof.flights.landed.extend(flight.marks);
        if aof.errno != 0 {
            // What came after it is not on disk either.
            let later = std::mem::replace(&mut aof.promises, flight.promises);
            aof.promises.extend(later);
            self.settle_promises();
        }
    }

    /// The loop has synced by itself, while all clients waited.
    pub(super) fn note_pace(&mut self, sync_ns: u64) {
        let clients = self.waiting_clients();
        self.persistence.aof.flights.pace.released(clock::monotonic_ns(), sync_ns, clients, 0);
    }
}
