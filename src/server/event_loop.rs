//! The event loop: one turn, from the bottom of one sleep to the next.
//!
//! *Duty:* `run` is the loop, `before_sleep` the ordered list of what must be done before the process waits.
//! *Invariant:* replies are written, and clients freed, in `before_sleep` and nowhere else. *Counterpart in C
//! Redis:* `aeMain`, `beforeSleep`, `acceptCommonHandler`.

use std::collections::VecDeque;
use std::time::Duration;

use super::Server;
use super::client::{Client, Flags};
use super::observation::latency;
use crate::acl::UserId;
use crate::call::{DbId, Effects};
use crate::net::stream::is_loopback;
use crate::net::{Listener, Ready, Route, Stream};
use crate::resp::{Proto, ReplyBuf};
use crate::sys::clock::{monotonic_ns, ticks, ticks_to_ns};

/// What the loop itself keeps.
#[derive(Default)]
pub struct Loop {
    pub listeners: Vec<(Listener, mio::Token)>,
    /// Set to leave the loop: the process' exit code.
    pub exit: Option<i32>,
    /// Monotonic microseconds of the next cron call.
    pub next_cron_us: u64,
    /// SIGTERM or SIGINT has asked for the end.
    pub stop_signal: Option<nix::sys::signal::Signal>,
    /// The end is waiting for replicas.
    pub lingering: Option<super::shutdown::Lingering>,
    /// DEBUG PAUSE-CRON.
    pub cron_paused: bool,
    /// Monotonic milliseconds of the next look for idle clients.
    pub next_idle_check_ms: u64,
    /// Turns since the start.
    pub turns: u64,
    /// Time spent awake, and since when the loop is awake, in ticks.
    pub busy_ticks: u64,
    awake_since: u64,
    /// Events that are still to be dealt with. Who serves others in the middle of one event serves these too: the
    /// kernel tells of each only once.
    ready: VecDeque<Ready>,
    /// Expiry has more to do than one slice allowed.
    expiring: bool,
    /// Held as long as the process lives.
    pub locks: Vec<crate::sys::file_lock::FileLock>,
    /// Listeners whose queue could not be emptied for want of descriptors: tried again by cron.
    pub accept_again: bool,
}

/// Steps of active expiry between two looks at the time.
const EXPIRE_STEPS: usize = 64;
/// How long one turn expires keys, at most; and by how much longer for each step of `active-expire-effort` above one.
const EXPIRE_SLICE_NS: u64 = 200_000;
const EXPIRE_EFFORT_NS: u64 = 50_000;
/// The longest sleep, whatever the timers say.
const SLEEP_MAX_US: u64 = 1_000_000;
/// Connections accepted from one listener before others get their turn.
const ACCEPTS_PER_TURN: usize = 1000;

impl Server {
    /// Runs until something sets [`Loop::exit`]; returns the exit code.
    pub fn run(&mut self) -> i32 {
        loop {
            self.before_sleep();
            if let Some(code) = self.turn.exit {
                return code;
            }
            self.turn_once(self.sleep_us());
        }
    }

    /// Waits for events, at most so long, and deals with them and with what is due.
    pub(super) fn turn_once(&mut self, timeout_us: u64) {
        self.serve_events(timeout_us);
        self.on_timers();
    }

    /// Waits for events, at most so long, and deals with them.
    pub(super) fn serve_events(&mut self, timeout_us: u64) {
        if self.turn.awake_since != 0 {
            self.turn.busy_ticks += ticks().wrapping_sub(self.turn.awake_since);
        }
        if let Err(error) = self.net.wait(Duration::from_micros(timeout_us), &mut self.turn.ready) {
            log::error!("Waiting for events failed: {error}");
        }
        self.turn.awake_since = ticks();
        self.turn.turns += 1;
        self.clock.refresh();
        self.ks.access.tick(self.clock.now());
        while let Some(event) = self.turn.ready.pop_front() {
            self.on_ready(event);
        }
        for _ in 0..self.clients.readers() {
            let Some(slot) = self.clients.next_reader() else { break };
            self.read_client(slot);
        }
    }

    fn on_ready(&mut self, event: Ready) {
        match event.route {
            Route::Client(slot) => self.client_ready(slot as usize, event),
            Route::Listener(index) => self.accept_clients(index as usize),
            Route::Wake => self.on_wake(),
            Route::ChildPipe => self.on_child_report(),
            Route::SyncPipe => self.pump_sync_pipe(),
            Route::Master => self.master_ready(event),
            // The turn's end sees what has landed.
            Route::Appended => {}
        }
    }

    fn on_timers(&mut self) {
        if !self.blocking.is_empty() {
            self.end_overdue_waits(self.clock.now());
        }
        if self.pause.is_on() {
            self.end_pause_when_over();
        }
        self.end_overdue_acks();
        self.go_on_with_master();
        if self.clock.mono_us() >= self.turn.next_cron_us {
            self.cron();
        }
        self.go_on_evicting();
        self.obey_stop_signal();
    }

    /// How long the process may sleep: until the next timer, not at all while something is left to do.
    fn sleep_us(&self) -> u64 {
        let waits = self.blocking.has_resumed() || self.pause.has_released() || self.tracking.keys.has_leavers();
        let reads = self.replication.follow.as_ref().is_some_and(|follow| follow.has_more_to_read());
        if self.clients.busy() || self.turn.expiring || self.evict.running || waits || reads {
            return 0;
        }
        let now = self.clock.now();
        let until = |at: crate::base::millis::Millis| (at.since(now).max(0) as u64).saturating_mul(1000);
        let cron = self.turn.next_cron_us.saturating_sub(self.clock.mono_us());
        let mut sleep = cron.min(SLEEP_MAX_US);
        if let Some(at) = self.blocking.next_deadline() {
            sleep = sleep.min(until(at));
        }
        if let Some(at) = self.pause.end() {
            sleep = sleep.min(until(at));
        }
        if let Some(at) = self.replication.master.next_deadline() {
            sleep = sleep.min(until(at));
        }
        if let Some(at) = self.next_expiry() {
            sleep = sleep.min(until(at));
        }
        if let Some(at) = self.persistence.aof.turn_due() {
            sleep = sleep.min(at.saturating_sub(monotonic_ns()) / 1000);
        }
        sleep
    }

    /// What must be done before the process waits, in this order.
    fn before_sleep(&mut self) {
        // Before replies, so that what they show and what the events say belong together.
        self.expire_slice();
        // Clients whose wait has ended: the commands behind the one that waited.
        while let Some(who) = self.blocking.next_resumed() {
            let slot = who.slot as usize;
            if self.clients.find(who).is_some_and(|c| !c.flags.has(Flags::STOPPED) && !c.input.is_empty()) {
                self.process_input(slot);
            }
        }
        self.run_released();
        if self.tracking.prefixes.has_pending() {
            self.broadcast_invalidations();
        }
        // What replies promise is on disk before they leave.
        let replies_wait = self.flush_turn();
        self.serve_replicas();
        if !replies_wait {
            self.write_replies();
        }
        // Last: until here everybody could rely on a slot that is named somewhere.
        if self.clients.over_memory_limit() {
            self.evict_clients();
        }
        self.free_closing();
        if self.tracking.keys.has_leavers() {
            self.forget_leavers();
        }
    }

    /// Takes overdue keys out, for a bounded time: what is left is done in the next turn, which comes at once.
    fn expire_slice(&mut self) {
        if !self.ks.may_expire() {
            self.turn.expiring = false;
            return;
        }
        let (start, expired_before) = (ticks(), self.stats.expired_keys);
        let effort = u64::from(self.config.active_expire_effort.saturating_sub(1));
        let slice_ns = EXPIRE_SLICE_NS + EXPIRE_EFFORT_NS * effort;
        loop {
            let mut fx = Effects { wants: self.exec.wants, ..Effects::default() };
            self.turn.expiring = self.ks.expire_slice(self.clock.now(), EXPIRE_STEPS, &mut fx);
            self.settle_counts(&mut fx);
            if fx.dirty != 0 || !fx.is_quiet() {
                self.drain_server_side(&mut fx);
            }
            if !self.turn.expiring || ticks_to_ns(ticks().wrapping_sub(start)) > slice_ns {
                break;
            }
        }
        if self.turn.expiring || self.stats.expired_keys != expired_before {
            let spent = ticks().wrapping_sub(start);
            self.stats.expire_ticks += spent;
            self.stats.expire_slices_cut += self.turn.expiring as u64;
            self.note_latency(latency::EXPIRE_CYCLE, ticks_to_ns(spent) / 1000);
        }
    }

    fn next_expiry(&self) -> Option<crate::base::millis::Millis> {
        let now = self.clock.now();
        if !self.ks.settings.active_expire || self.ks.settings.hide_expired {
            return None;
        }
        self.ks.dbs.iter().filter_map(|db| db.next_deadline(now)).min()
    }

    /// What clients are owed goes out. Whoever calls this has seen to it that it holds what it promises.
    pub fn write_replies(&mut self) {
        self.release_replies();
        let writers = self.clients.take_writers();
        for slot in &writers {
            let slot = *slot as usize;
            let wants = |c: &Client| c.flags.has(Flags::WRITE_PENDING) && !c.flags.has(Flags::CLOSE_ASAP);
            if self.clients.get(slot).is_some_and(wants) {
                self.write_client(slot);
            }
        }
        self.clients.return_writers(writers);
    }

    pub fn free_closing(&mut self) {
        for slot in self.clients.take_closing() {
            self.free_client(slot as usize);
        }
    }

    /// Takes a connection out of everything that knows it, and closes it.
    fn free_client(&mut self, slot: usize) {
        self.drop_state(slot);
        let mut client = self.clients.remove(slot);
        self.net.remove(&mut client.stream, client.token);
        if client.flags.has(Flags::MASTER) {
            self.master_client_freed(client.reference(slot));
        }
    }

    fn accept_clients(&mut self, index: usize) {
        for _ in 0..ACCEPTS_PER_TURN {
            // A listener may have been closed since its event came (CONFIG SET bind).
            let Some((listener, _)) = self.turn.listeners.get(index) else {
                return;
            };
            match listener.accept() {
                Ok(Some(stream)) => self.admit(stream),
                Ok(None) => return,
                Err(error) => {
                    log::warn!("Accepting client connection: {error}");
                    self.turn.accept_again = true;
                    return;
                }
            }
        }
        self.turn.accept_again = true;
    }

    /// Tries all listeners again, after the kernel had no descriptor left or a burst was cut short.
    pub fn accept_leftovers(&mut self) {
        if std::mem::take(&mut self.turn.accept_again) {
            (0..self.turn.listeners.len()).for_each(|i| self.accept_clients(i));
        }
    }

    /// Lets a connection in, or tells it why not.
    pub(super) fn admit(&mut self, mut stream: Stream) {
        if self.clients.len() >= self.config.maxclients as usize {
            stream.write_farewell(b"-ERR max number of clients reached\r\n");
            self.stats.rejected_connections += 1;
            return;
        }
        let peer = stream.peer();
        let open = !self.config.protected_mode || !self.acl.users.default_user().any_password;
        if !open && !stream.is_unix() && !is_loopback(peer) {
            stream.write_farewell(PROTECTED);
            self.stats.rejected_connections += 1;
            return;
        }
        if let Err(error) = stream.set_client_options(self.config.tcp_keepalive) {
            log::debug!("Setting the options of a new connection failed: {error}");
            return;
        }
        let Some(slot) = self.register_client(stream) else { return };
        self.equip(slot);
        self.stats.connections_received += 1;
        match peer {
            Some(address) => log::debug!("Accepted {address}"),
            None => log::debug!("Accepted connection to {}", self.config.unixsocket),
        }
    }

    /// Makes a connection a client.
    pub(super) fn register_client(&mut self, mut stream: Stream) -> Option<usize> {
        let slot = self.clients.vacant_slot();
        match self.net.add(&mut stream, Route::Client(slot as u32)) {
            Ok(token) => Some(self.insert_client(stream, token)),
            Err(error) => {
                log::warn!("Error registering a new connection: {error}");
                None
            }
        }
    }

    fn insert_client(&mut self, stream: Stream, token: mio::Token) -> usize {
        let now_ms = self.clock.mono_us() / 1000;
        let mut flags = Flags::default();
        if self.acl.is_open() {
            flags.set(Flags::AUTHENTICATED);
        }
        if !self.acl.users.default_user().is_unrestricted() {
            flags.set(Flags::RESTRICTED);
        }
        if stream.is_unix() {
            flags.set(Flags::UNIX_SOCKET);
        }
        let id = self.clients.next_id();
        let slot = self.clients.insert(Client {
            id,
            stream,
            token,
            flags,
            db: DbId(0),
            user: Some(UserId::DEFAULT),
            input: Vec::new(),
            partial: None,
            fresh: None,
            reply: ReplyBuf::new(Proto::Resp2),
            sent: 0,
            transaction: None,
            subscriptions: None,
            blocked: None,
            names: None,
            caching: None,
            link: None,
            written: 0,
            postponed: None,
            counted: size_of::<Client>(),
            input_peak: 0,
            last_row: None,
            created_ms: now_ms,
            last_seen_ms: now_ms,
            soft_limit_since_ms: 0,
        });
        // Whoever connects mostly speaks at once, and its first bytes may be there already.
        self.clients.read_again(slot);
        slot
    }
}

const PROTECTED: &[u8] = b"-DENIED Redis is running in protected mode because protected mode is enabled and no \
password is set for the default user. In this mode connections are only accepted from the loopback interface. If you \
want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable \
protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis \
from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do \
so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by \
editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. \
3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Setup an \
authentication password for the default user. NOTE: You only need to do one of the above things in order for the \
server to start accepting connections from the outside.\r\n";
