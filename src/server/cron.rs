//! The periodic work, `hz` times a second.
//!
//! *Duty:* what has no event of its own: idle clients, rates, tables that fell behind, children, save points.
//! *Invariant:* each call does a bounded amount of it. *Counterpart in C Redis:* `serverCron`, `clientsCron`,
//! `databasesCron`.

use super::Server;
use super::client::Flags;
use crate::sys::crash;

/// With `dynamic-hz`, clients that one call looks at, at most, before the frequency is raised.
const CLIENTS_PER_CALL: usize = 200;
const HZ_MAX: u32 = 500;
/// Buckets that one call splits or merges per database, when a table fell behind while a child lived.
const REBALANCE_STEPS: usize = 256;

impl Server {
    pub(super) fn cron(&mut self) {
        let now_us = self.clock.mono_us();
        self.turn.next_cron_us = now_us + 1_000_000 / self.effective_hz() as u64;
        if self.turn.cron_paused {
            return;
        }
        if self.config.watchdog_period > 0 {
            self.feed_watchdog();
        }
        self.sample_rates(now_us);
        self.close_idle_clients(now_us / 1000);
        self.look_after_clients();
        if self.exec.has_alarm(super::gates::Alarm::TRACKING) {
            self.trim_tracking();
        }
        self.migrations.close_idle(now_us);
        self.accept_leftovers();
        if self.config.activerehashing {
            self.rebalance_tables();
        }
        self.replica_cron();
        self.persistence_cron();
        self.master_cron();
        let used = self.used_memory();
        self.stats.peak_memory = self.stats.peak_memory.max(used);
    }

    /// The watchdog waits for the next call, and for the one after it at least.
    pub(super) fn feed_watchdog(&self) {
        let period = match self.config.watchdog_period {
            0 => 0,
            ms => ms.max(2 * 1000 / self.config.hz.max(1)),
        };
        crash::watchdog::alive(period);
    }

    /// `hz`, raised with the number of clients when `dynamic-hz` says so.
    pub fn effective_hz(&self) -> u32 {
        let mut hz = self.config.hz.clamp(1, HZ_MAX);
        if self.config.dynamic_hz {
            while self.clients.len() / hz as usize > CLIENTS_PER_CALL && hz < HZ_MAX {
                hz = (hz * 2).min(HZ_MAX);
            }
        }
        hz
    }

    fn sample_rates(&mut self, now_us: u64) {
        let stats = &mut self.stats;
        if now_us < stats.rates.next_sample_us {
            return;
        }
        stats.rates.next_sample_us = now_us + 100_000;
        stats.rates.commands.sample(stats.commands_processed, now_us);
        let (from_master, to_replicas) = (stats.net_repl_input_bytes, stats.net_repl_output_bytes);
        stats.rates.input_bytes.sample(stats.net_input_bytes + from_master, now_us);
        stats.rates.output_bytes.sample(stats.net_output_bytes + to_replicas, now_us);
        stats.rates.repl_input_bytes.sample(from_master, now_us);
        stats.rates.repl_output_bytes.sample(to_replicas, now_us);
        stats.rates.turns.sample(self.turn.turns, now_us);
        stats.rates.busy_ticks.sample(self.turn.busy_ticks, now_us);
    }

    /// `timeout`: closes clients that were silent for too long. Those that wait or listen are left alone.
    fn close_idle_clients(&mut self, now_ms: u64) {
        let timeout_ms = self.config.timeout as u64 * 1000;
        if timeout_ms == 0 || now_ms < self.turn.next_idle_check_ms {
            return;
        }
        self.turn.next_idle_check_ms = now_ms + 1000;
        let exempt =
            Flags(Flags::BLOCKED.0 | Flags::SUBSCRIBED.0 | Flags::REPLICA.0 | Flags::MASTER.0 | Flags::CLOSE_ASAP.0);
        let idle = |ms: u64| now_ms.saturating_sub(ms) > timeout_ms;
        let silent: Vec<usize> = self
            .clients
            .iter()
            .filter(|(_, c)| !c.flags.has(exempt) && idle(c.last_seen_ms))
            .map(|(slot, _)| slot)
            .collect();
        for slot in silent {
            log::debug!("Closing idle client {}", self.clients.describe(slot));
            self.clients.close_asap(slot);
        }
    }

    fn rebalance_tables(&mut self) {
        for db in &mut self.ks.dbs {
            db.entries.rebalance(REBALANCE_STEPS);
        }
    }
}
