//! [`Observation`]: what the server remembers of calls that took long, and who watches it at work.
//!
//! *Duty:* decide after a call whether anybody wants to hear of it (slow log, latency events, MONITOR), and tell them.
//! *Does not know:* what commands do; how the answers look (`commands/slowlog.rs`, `commands/latency.rs`).
//! *Invariant:* `exec::call` compares the time that a call took with one number, `Exec::slow_ticks`, and comes here
//! only if it took longer. That number is the least of all that is asked for: zero while somebody monitors, the
//! greatest there is while nobody asks for anything. Whatever changes what is asked for calls
//! [`Server::refresh_observation`].
//! *Counterpart in C Redis:* the end of `call`, `slowlog.c`, `latency.c`, `replicationFeedMonitors`.

pub mod latency;
mod monitor;
mod redact;
mod report;
pub mod slowlog;

pub use report::{doctor, graph};

use super::Server;
use super::registry::RowId;
use crate::call::{Args, Caller, ClientRef};
use crate::command::spec::{FAST, SKIP_SLOWLOG};
use crate::sys::clock::{ns_to_ticks, ticks_to_ns, wall_us};
use latency::Latency;
use slowlog::SlowLog;

#[derive(Default)]
pub struct Observation {
    pub slowlog: SlowLog,
    pub latency: Latency,
    /// Clients in MONITOR, in the order in which they came.
    pub monitors: Vec<ClientRef>,
}

/// A call that is over, as those hear of it who watch.
pub struct Done<'a> {
    pub row: RowId,
    pub args: Args<'a>,
    pub caller: Caller,
    /// How long it took, in ticks.
    pub ticks: u64,
    /// Not the second run of a command that waited.
    pub first_run: bool,
    /// It found nothing and its client waits: how long it takes is known when the wait is over.
    pub parked: bool,
}

impl Server {
    /// Finds out anew from which time on a call is worth telling of.
    pub fn refresh_observation(&mut self) {
        let (slower_than_us, threshold_ms) =
            (self.config.slowlog_log_slower_than, self.config.latency_monitor_threshold);
        let mut least_us = u64::try_from(slower_than_us).unwrap_or(u64::MAX);
        if threshold_ms > 0 {
            least_us = least_us.min(threshold_ms.saturating_mul(1000));
        }
        if !self.observation.monitors.is_empty() {
            least_us = 0;
        }
        self.exec.slow_ticks = match least_us {
            u64::MAX => u64::MAX,
            // A little less: the rate of the tick counter is refined as time goes on.
            us => ns_to_ticks(us.saturating_mul(999)),
        };
        self.exec.tracks_latency = self.config.latency_tracking;
        // While the log is off, what is in it stays, as in 7.0.15.
        if slower_than_us >= 0 {
            self.observation.slowlog.trim(self.config.slowlog_max_len);
        }
    }

    /// A call took long enough for somebody to hear of it.
    #[cold]
    pub(super) fn observe(&mut self, done: &Done<'_>) {
        let us = ticks_to_ns(done.ticks) / 1000;
        let flags = self.registry.row(done.row).spec.flags;
        let event = match done.first_run {
            false => latency::COMMAND_UNBLOCKING,
            true if flags.has(FAST) => latency::FAST_COMMAND,
            true => latency::COMMAND,
        };
        self.note_latency(event, us);
        let slow = u64::try_from(self.config.slowlog_log_slower_than).is_ok_and(|least| us >= least);
        if slow && !done.parked && !flags.has(SKIP_SLOWLOG) {
            self.log_slow(done, us);
        }
        if !self.observation.monitors.is_empty() && done.first_run {
            self.feed_monitors(done);
        }
    }

    fn log_slow(&mut self, done: &Done<'_>, us: u64) {
        let Some(client) = self.clients.find(done.caller.client) else { return };
        let name = client.name().to_vec();
        let entry = slowlog::Call {
            unix_s: wall_us() / 1_000_000,
            us,
            args: redact::shown(self.registry.row(done.row).spec.name, done.args),
            peer: self.peer_name(done.caller.client.slot as usize),
            name,
        };
        self.observation.slowlog.push(entry, self.config.slowlog_max_len);
    }

    /// Something took so long: a sample, if that is as long as `latency-monitor-threshold` or longer.
    pub fn note_latency(&mut self, event: &'static str, us: u64) {
        let threshold = self.config.latency_monitor_threshold;
        if threshold > 0 && us / 1000 >= threshold {
            self.observation.latency.add(event, us / 1000, wall_us() / 1_000_000);
        }
    }

    /// A connection's peer as it is written where clients are told apart: `127.0.0.1:6000`, `/path/of/socket:0`.
    pub fn peer_name(&self, slot: usize) -> String {
        let stream = &self.clients[slot].stream;
        match stream.peer() {
            _ if stream.is_unix() => format!("{}:0", self.config.unixsocket),
            Some(address) => address.to_string(),
            None => "?:0".to_owned(),
        }
    }
}
