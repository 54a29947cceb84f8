//! Snapshots: when they are made, by whom, and what became of them.
//!
//! *Duty:* the state of saving and loading ([`Persistence`]), save points, the alarm that stops writes after a failed
//! snapshot. `rdb` writes a file, `child` has it written in the background, `load` reads it at start, `sync` what a
//! master sends.
//! *Does not know:* the format, which is the crate's `rdb`; how to fork, which is `sys::fork`'s.
//! *Invariants:* at most one child saves at a time, and while it lives the tables are left alone as far as possible;
//! a file under its final name is always whole; nothing is saved while loading, as what is in memory is only a part.
//! *Counterpart in C Redis:* `rdb.c`'s background half, `childinfo.c`, the save points of `serverCron`.

pub mod aof;
mod bgsave;
mod child;
mod load;
mod rdb;
pub(in crate::server) mod sync;

pub use child::{Purpose, SavingChild};
pub use load::Loading;
pub(in crate::server) use rdb::{create, reason};

use super::Server;
use super::gates::Alarm;
use crate::base::millis::Millis;
use crate::call::{CmdError, Effects};

/// After a failed snapshot, seconds until the next attempt by itself.
const RETRY_DELAY: i64 = 5;

/// What is known about snapshots. Fields with a name of INFO's hold what INFO shows.
#[derive(Debug)]
pub struct Persistence {
    /// The child that saves, if there is one.
    pub child: Option<SavingChild>,
    /// A BGSAVE was asked for where none could start (BGSAVE SCHEDULE, or inside EXEC).
    pub bgsave_scheduled: bool,
    /// Unix seconds of the last successful save; of the start while there was none.
    pub rdb_last_save_time: i64,
    /// Whether the last background save was a success, or a SAVE since.
    pub last_bgsave_ok: bool,
    /// Unix seconds of the last attempt at a background save.
    pub last_bgsave_try: i64,
    /// How long the last background save took; -1 when there was none.
    pub rdb_last_bgsave_time_sec: i64,
    /// Saves begun since the start, SAVE and background together.
    pub rdb_saves: u64,
    /// Peak of the bytes that the last background save made the kernel copy.
    pub rdb_last_cow_size: u64,
    /// The same for the child that saves now, as it told last: present, and peak.
    pub current_cow_size: u64,
    pub current_cow_peak: u64,
    /// Monotonic microseconds of that report; 0 when there was none.
    pub cow_reported_us: u64,
    pub current_save_keys_processed: u64,
    pub current_save_keys_total: u64,
    /// Keys of the last file loaded that had expired already, and that were taken in.
    pub rdb_last_load_keys_expired: u64,
    pub rdb_last_load_keys_loaded: u64,
    /// Duration of the last fork. `Stats::total_forks` counts them.
    pub latest_fork_usec: u64,
    /// Progress of a load that is under way.
    pub loading: Option<Loading>,
    /// It fills spare databases, and those that are there are served meanwhile.
    pub async_loading: bool,
    /// The append only file.
    pub aof: aof::Aof,
}

impl Persistence {
    pub fn new(now: Millis) -> Persistence {
        Persistence {
            child: None,
            bgsave_scheduled: false,
            rdb_last_save_time: now.secs(),
            last_bgsave_ok: true,
            last_bgsave_try: 0,
            rdb_last_bgsave_time_sec: -1,
            rdb_saves: 0,
            rdb_last_cow_size: 0,
            current_cow_size: 0,
            current_cow_peak: 0,
            cow_reported_us: 0,
            current_save_keys_processed: 0,
            current_save_keys_total: 0,
            rdb_last_load_keys_expired: 0,
            rdb_last_load_keys_loaded: 0,
            latest_fork_usec: 0,
            loading: None,
            async_loading: false,
            aof: aof::Aof::default(),
        }
    }

    pub fn rdb_bgsave_in_progress(&self) -> bool {
        matches!(&self.child, Some(child) if !matches!(child.purpose, Purpose::Rewrite(_)))
    }

    pub fn aof_rewrite_in_progress(&self) -> bool {
        matches!(&self.child, Some(child) if matches!(child.purpose, Purpose::Rewrite(_)))
    }

    /// Seconds since the background save began; -1 when there is none.
    pub fn rdb_current_bgsave_time_sec(&self, now: Millis) -> i64 {
        self.child.as_ref().filter(|_| self.rdb_bgsave_in_progress()).map_or(-1, |child| now.secs() - child.started)
    }

    /// The same for the rewrite of the append only file.
    pub fn aof_current_rewrite_time_sec(&self, now: Millis) -> i64 {
        self.child.as_ref().filter(|_| self.aof_rewrite_in_progress()).map_or(-1, |child| now.secs() - child.started)
    }

    /// Seconds since the child told its copies last.
    pub fn current_cow_size_age(&self, mono_us: u64) -> u64 {
        match self.cow_reported_us {
            0 => 0,
            reported => mono_us.saturating_sub(reported) / 1_000_000,
        }
    }

    /// CONFIG RESETSTAT.
    pub fn reset_stats(&mut self) {
        (self.rdb_saves, self.latest_fork_usec) = (0, 0);
        self.aof.reset_stats();
    }
}

impl Server {
    /// Part of cron: looks after the child, or starts one when a save point says so.
    pub(super) fn persistence_cron(&mut self) {
        if self.persistence.loading.is_some() {
            return;
        }
        self.reap_child();
        self.refresh_disk_alarm();
        self.aof_cron();
        if self.persistence.child.is_none() {
            self.save_if_due();
        }
    }

    fn save_if_due(&mut self) {
        let now = self.clock.now().secs();
        let state = &self.persistence;
        if !state.last_bgsave_ok && now - state.last_bgsave_try <= RETRY_DELAY {
            return;
        }
        let unsaved = now - state.rdb_last_save_time;
        let due =
            self.config.save.iter().find(|point| self.exec.dirty >= point.changes && unsaved > point.seconds as i64);
        if let Some(point) = due {
            log::info!("{} changes in {} seconds. Saving...", point.changes, point.seconds);
        } else if !state.bgsave_scheduled {
            return;
        }
        // What stands in the way has been logged, and the next attempt waits.
        let _ = self.bgsave();
    }

    /// Raises or ends the alarm that refuses writes because snapshots fail, or the append only file. To be called also when `save` or
    /// `stop-writes-on-bgsave-error` were changed, to take effect at once rather than with the next cron.
    pub fn refresh_disk_alarm(&mut self) {
        let on = self.snapshots_fail() || self.persistence.aof.error().is_some();
        self.exec.set_alarm(Alarm::DISK_ERROR, on);
    }

    /// Whether writes are refused because snapshots fail.
    pub(super) fn snapshots_fail(&self) -> bool {
        let failing = !self.persistence.last_bgsave_ok;
        failing && self.config.stop_writes_on_bgsave_error && !self.config.save.is_empty()
    }

    /// A signal came, or a child ended.
    pub(super) fn on_wake(&mut self) {
        self.reap_child();
        self.on_signals();
    }

    /// FLUSHALL has emptied all databases: no snapshot may bring back what is gone, neither the one that is being
    /// written nor, if there are save points, the last one. Its changes are in `exec.dirty` already, as the save begins
    /// that count anew.
    pub fn on_flushall(&mut self) {
        self.stop_save_child();
        if !self.config.save.is_empty() {
            // Why it failed has been logged; the changes stay unsaved then.
            let _ = self.save_now();
        }
    }

    /// DEBUG LOADAOF: empties, and loads the append only file.
    pub fn debug_load_aof(&mut self) -> Result<(), CmdError> {
        self.aof_for_reading();
        let mut fx = Effects::default();
        self.empty_databases(0..self.ks.dbs.len(), false, &mut fx);
        self.flush_functions();
        self.drain_server_side(&mut fx);
        self.read_manifest().and_then(|()| self.load_append_only_files(false)).map_err(|reason| {
            log::warn!("DEBUG LOADAOF failed: {reason}");
            CmdError::Fixed("ERR Error trying to load the AOF files, check server logs")
        })?;
        self.exec.dirty = 0;
        log::warn!("Append Only File loaded by DEBUG LOADAOF");
        Ok(())
    }

    /// DEBUG RELOAD: saves, empties, loads. Each of the first two may be left out. `merge`: what is in the file replaces
    /// what is there; else it must not be there.
    pub fn debug_reload(&mut self, save: bool, flush: bool, merge: bool) -> Result<(), CmdError> {
        self.stop_save_child();
        if save {
            self.save_now().map_err(|why| CmdError::text(format!("ERR {why}")))?;
        }
        if flush {
            let mut fx = Effects::default();
            self.empty_databases(0..self.ks.dbs.len(), false, &mut fx);
            self.flush_functions();
            self.drain_server_side(&mut fx);
        }
        self.reload(merge).map_err(|reason| {
            log::warn!("DEBUG RELOAD failed: {reason}");
            CmdError::Fixed("ERR Error trying to load the RDB dump, check server logs.")
        })?;
        log::warn!("DB reloaded by DEBUG RELOAD");
        Ok(())
    }
}
