//! Counters that INFO shows.
//!
//! *Duty:* plain numbers, one place. *Does not know:* how they are shown (`info/`).
//! *Counterpart in C Redis:* the `stat_*` fields of `struct redisServer`.

use std::collections::BTreeMap;

use crate::call::CmdError;

#[derive(Default, Debug)]
pub struct Stats {
    pub commands_processed: u64,
    pub connections_received: u64,
    pub rejected_connections: u64,
    pub net_input_bytes: u64,
    pub net_output_bytes: u64,
    /// Of the data sets and of the stream, from the master.
    pub net_repl_input_bytes: u64,
    pub expired_keys: u64,
    pub expired_fields: u64,
    pub payloads_checked: u64,
    pub keyspace_hits: u64,
    pub keyspace_misses: u64,
    pub evicted_keys: u64,
    /// Objects that the background thread had freed at the last CONFIG RESETSTAT.
    pub lazyfreed_before: u64,
    pub total_forks: u64,
    pub error_replies: u64,
    pub unexpected_error_replies: u64,
    pub query_buffer_limit_disconnections: u64,
    pub output_buffer_limit_disconnections: u64,
    pub evicted_clients: u64,
    pub reads_processed: u64,
    pub writes_processed: u64,
    pub peak_memory: usize,
    /// Used memory before the first key, and what of it the databases' tables took.
    pub startup_memory: usize,
    pub startup_tables: usize,
    /// Slices of active expiry that ended with work left over.
    pub expire_slices_cut: u64,
    pub expire_ticks: u64,
    /// Time that two rows count: that of EXEC and that of the commands which it ran.
    pub nested_ticks: u64,
    pub sync_full: u64,
    pub sync_partial_ok: u64,
    pub sync_partial_err: u64,
    /// Of the data sets and of the stream, to replicas.
    pub net_repl_output_bytes: u64,
    /// AUTH and HELLO with a wrong password.
    pub auth_failures: u64,
    /// Requests refused because the user lacks the right to a command, a key, a channel.
    pub denied_commands: u64,
    pub denied_keys: u64,
    pub denied_channels: u64,
    /// Errors by their first word.
    pub errors: BTreeMap<Vec<u8>, u64>,
    pub rates: Rates,
}

/// Different first words counted at most, so that errors made of client input cannot fill memory.
const ERROR_KINDS_MAX: usize = 128;

impl Stats {
    pub fn count_error(&mut self, message: &[u8]) {
        self.error_replies += 1;
        let prefix = CmdError::prefix(message);
        if let Some(count) = self.errors.get_mut(prefix) {
            *count += 1;
        } else if self.errors.len() < ERROR_KINDS_MAX {
            self.errors.insert(prefix.to_vec(), 1);
        }
    }

    /// CONFIG RESETSTAT.
    pub fn reset(&mut self) {
        *self = Stats {
            peak_memory: self.peak_memory,
            startup_memory: self.startup_memory,
            startup_tables: self.startup_tables,
            rates: std::mem::take(&mut self.rates),
            ..Stats::default()
        };
        self.rates = Rates::default();
    }
}

/// Per-second rates over the last 16 samples of 100 ms.
#[derive(Default, Debug)]
pub struct Rates {
    pub commands: Rate,
    pub input_bytes: Rate,
    pub output_bytes: Rate,
    pub repl_input_bytes: Rate,
    pub repl_output_bytes: Rate,
    /// Turns of the loop, and the time they took in ticks, sleep not included.
    pub turns: Rate,
    pub busy_ticks: Rate,
    /// Monotonic microseconds.
    pub next_sample_us: u64,
}

const SAMPLES: usize = 16;

#[derive(Default, Debug)]
pub struct Rate {
    samples: [u64; SAMPLES],
    next: usize,
    last_value: u64,
    last_us: u64,
}

impl Rate {
    /// Notes a counter's value at a point in monotonic time.
    pub fn sample(&mut self, value: u64, now_us: u64) {
        let elapsed = now_us.saturating_sub(self.last_us);
        if self.last_us > 0 && elapsed > 0 {
            self.samples[self.next] = value.saturating_sub(self.last_value) * 1_000_000 / elapsed;
            self.next = (self.next + 1) % SAMPLES;
        }
        (self.last_value, self.last_us) = (value, now_us);
    }

    pub fn per_second(&self) -> u64 {
        self.samples.iter().sum::<u64>() / SAMPLES as u64
    }
}
