//! From the buffer to the disk.
//!
//! *Duty:* [`Server::flush_aof`]: one write for all changes of a turn, and the fsync that `appendfsync` asks for; errors
//! of the disk, and the way back from them. *Does not know:* who made the changes, or what they are.
//! Whether the loop goes on meanwhile is `flight`'s matter; here it waits.
//! *Invariants:* `always`: what a reply promises is on disk before it leaves; if it cannot be brought there the reply
//! becomes an error. `everysec`: an fsync runs on the other thread; where a write cannot fly it waits for the fsync, two
//! seconds at most.
//! *Counterpart in C Redis:* `flushAppendOnlyFile`.

use std::io;

use super::increment::AppendError;
use super::{Aof, State};
use crate::call::CmdError;
use crate::config::AppendFsync;
use crate::server::Server;
use crate::server::client::Flags;
use crate::server::observation::latency;
use crate::sys::bio::{Job, Kind};
use crate::sys::clock::{ticks, ticks_to_ns};

/// Seconds between two lines about errors.
const ERROR_LOG_EVERY: i64 = 30;
/// A write waits so many seconds for an fsync.
const POSTPONE_SECONDS: i64 = 2;
/// The buffer is kept for the next turn up to this size.
pub(super) const BUFFER_KEPT: usize = 1 << 20;

impl Server {
    /// Brings changes to the file and, as `appendfsync` says, to the disk. `force`: at once, even if an fsync or a group
    /// on its way must be waited for.
    pub(in crate::server) fn flush_aof(&mut self, force: bool) {
        if self.persistence.aof.flights.under_way() {
            if !force {
                return;
            }
            self.land_flight();
        }
        if self.persistence.aof.nothing_to_flush() {
            return;
        }
        self.flush_what_waits(force);
        if !self.persistence.aof.promises.is_empty() {
            self.settle_promises();
        }
    }

    #[cold]
    fn flush_what_waits(&mut self, force: bool) {
        let syncing = self.bio.pending(Kind::Fsync) > 0;
        let now = self.clock.now().secs();
        if !self.persistence.aof.buffer.is_empty() {
            let everysec = self.config.appendfsync == AppendFsync::Everysec;
            if everysec && syncing && !force {
                if self.persistence.aof.postpone(now) {
                    return;
                }
                self.tell_slow_fsync();
            }
            if !self.write_buffer(syncing) {
                return;
            }
        }
        // Others write to the disk, and syncing would wait for them.
        if self.config.no_appendfsync_on_rewrite && self.persistence.child.is_some() {
            return;
        }
        match self.config.appendfsync {
            AppendFsync::Always => self.sync_now(),
            AppendFsync::Everysec if now > self.persistence.aof.last_fsync => {
                if !syncing {
                    self.sync_in_background();
                }
                self.persistence.aof.last_fsync = now;
            }
            AppendFsync::Everysec | AppendFsync::No => {}
        }
    }

    /// `false`: the disk did not take it.
    fn write_buffer(&mut self, syncing: bool) -> bool {
        let aof = &mut self.persistence.aof;
        if aof.flush_sleep_us > 0 {
            std::thread::sleep(std::time::Duration::from_micros(aof.flush_sleep_us));
        }
        let began = ticks();
        let Some(increment) = &mut aof.increment else { return false };
        let appended = increment.append(&aof.buffer);
        let spent_us = ticks_to_ns(ticks().wrapping_sub(began)) / 1000;
        let mut bytes = std::mem::take(&mut aof.buffer);
        let how = match (syncing, self.persistence.child.is_some()) {
            (true, _) => latency::AOF_WRITE_PENDING_FSYNC,
            (_, true) => latency::AOF_WRITE_ACTIVE_CHILD,
            _ => latency::AOF_WRITE_ALONE,
        };
        self.note_latency(how, spent_us);
        self.note_latency(latency::AOF_WRITE, spent_us);
        let whole = self.note_appended(&bytes, appended);
        if whole && bytes.capacity() <= BUFFER_KEPT {
            bytes.clear();
            self.persistence.aof.buffer = bytes;
        }
        whole
    }

    /// Bytes that were taken out of the buffer have been appended, or not: then what is missing of them is put back in
    /// front of what came since. `false`: the disk did not take them.
    pub(super) fn note_appended(&mut self, bytes: &[u8], appended: Result<(), AppendError>) -> bool {
        let aof = &mut self.persistence.aof;
        aof.postponed_since = 0;
        let written = match &appended {
            Ok(()) => bytes.len(),
            Err(failed) => failed.kept,
        };
        aof.half_written = appended.is_err() && (written > 0 || aof.half_written);
        aof.aof_current_size += written as u64;
        if written < bytes.len() {
            aof.buffer.splice(..0, bytes[written..].iter().copied());
        }
        match appended {
            Ok(()) => {
                if !self.persistence.aof.distrusted {
                    self.disk_works();
                }
                true
            }
            Err(failed) => {
                self.disk_failed("Error writing to the AOF file", &failed.error);
                false
            }
        }
    }

    fn sync_now(&mut self) {
        let began = ticks();
        let aof = &mut self.persistence.aof;
        let Some(increment) = &mut aof.increment else { return };
        let synced = increment.sync();
        let (size, spent_ns) = (increment.size, ticks_to_ns(ticks().wrapping_sub(began)));
        if synced.is_ok() {
            aof.synced = aof.fed;
        }
        self.note_synced(synced, size, spent_ns);
        self.note_pace(spent_ns);
    }

    /// The file was synced up to `size`, or not.
    pub(super) fn note_synced(&mut self, synced: io::Result<()>, size: u64, spent_ns: u64) {
        let now = self.clock.now().secs();
        let aof = &mut self.persistence.aof;
        let Some(increment) = &mut aof.increment else { return };
        increment.write_seals();
        match synced {
            Ok(()) => {
                increment.sync_asked = size;
                aof.last_fsync = now;
                self.note_latency(latency::AOF_FSYNC_ALWAYS, spent_ns / 1000);
            }
            Err(error) => self.sync_failed(&error),
        }
    }

    fn sync_in_background(&mut self) {
        let aof = &mut self.persistence.aof;
        let upto = aof.fed - aof.buffer.len() as u64;
        let Some(increment) = &mut aof.increment else { return };
        increment.write_seals();
        match increment.descriptor() {
            Ok(fd) => {
                increment.sync_asked = increment.size;
                self.bio.submit(Job::Fsync { fd, upto });
            }
            Err(error) => log::warn!("The AOF file cannot be synced in the background: {error}"),
        }
    }

    /// What the kernel could not write may be gone from its memory too: only writing everything anew helps.
    pub(super) fn sync_failed(&mut self, error: &io::Error) {
        self.persistence.aof.distrusted = true;
        self.persistence.aof.backoff.failed_meanwhile = true;
        self.disk_failed("Error syncing the AOF file", error);
    }

    fn disk_failed(&mut self, what: &str, error: &io::Error) {
        let now = self.clock.now().secs();
        let aof = &mut self.persistence.aof;
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        if aof.errno != errno || now - aof.error_logged > ERROR_LOG_EVERY {
            aof.error_logged = now;
            log::warn!("{what}: {}", super::super::rdb::reason(error));
            log::warn!("Changes are refused (MISCONF) until the disk takes them.");
        }
        aof.errno = errno;
        self.refresh_disk_alarm();
    }

    pub(super) fn disk_works(&mut self) {
        let aof = &mut self.persistence.aof;
        if aof.errno != 0 {
            log::warn!("AOF write error looks solved, Redis can write again.");
            aof.errno = 0;
            aof.error_logged = 0;
            self.refresh_disk_alarm();
        }
    }

    /// A write waited for an fsync for as long as it may.
    pub(super) fn tell_slow_fsync(&mut self) {
        self.persistence.aof.aof_delayed_fsync += 1;
        log::info!(
            "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for \
             fsync to complete, this may slow down Redis."
        );
    }

    /// What was fed can be read from the files.
    pub(in crate::server::persistence) fn aof_for_reading(&mut self) {
        self.flush_aof(true);
        if let Some(increment) = &mut self.persistence.aof.increment {
            increment.write_seals();
        }
    }

    /// Part of cron: what waits for time to pass.
    pub(in crate::server) fn aof_cron(&mut self) {
        if self.persistence.aof.state == State::Off {
            // BGREWRITEAOF may have been put off all the same.
            return self.rewrite_if_due();
        }
        let fsync = self.bio.fsync_state();
        let aof = &mut self.persistence.aof;
        aof.synced = aof.synced.max(fsync.synced_upto);
        if fsync.errno != 0 && self.bio.pending(Kind::Fsync) == 0 {
            self.bio.forget_fsync_error();
            self.sync_failed(&io::Error::from_raw_os_error(fsync.errno));
        }
        if let Some(increment) = &mut self.persistence.aof.increment {
            increment.write_seals();
        }
        // Waits for an fsync, or for a disk that takes it.
        let force = self.persistence.aof.errno != 0;
        self.flush_aof(force);
        self.regain_trust();
        self.rewrite_if_due();
    }

    /// Writes everything anew after a failed fsync, as soon as nothing stands in the way.
    fn regain_trust(&mut self) {
        let now = self.clock.now().secs();
        let aof = &self.persistence.aof;
        if !aof.distrusted || self.persistence.child.is_some() || !self.persistence.aof.backoff.retry_due(now) {
            return;
        }
        log::info!("Writing the append only file anew, as the disk has refused a part of it.");
        // What stands in the way has been logged, and the next attempt waits.
        let _ = self.rewrite_aof();
    }

    /// A reply that promises what the disk refused becomes an error.
    #[cold]
    pub(super) fn settle_promises(&mut self) {
        let Some(errno) = self.persistence.aof.error() else {
            return self.persistence.aof.promises.clear();
        };
        let promises = std::mem::take(&mut self.persistence.aof.promises);
        let refusal = CmdError::MisconfAof(errno.desc());
        let line = [b"-".as_slice(), &refusal.message(), b"\r\n"].concat();
        // From the last one on, so that those before it stay where they are.
        for promise in promises.into_iter().rev() {
            let Some(client) = self.clients.find(promise.client) else { continue };
            let bytes = client.reply.bytes_mut();
            let (start, end) = (promise.start, promise.end.min(bytes.len()));
            if start >= end || client.flags.has(Flags::CLOSE_ASAP) {
                continue;
            }
            bytes.splice(start..end, line.iter().copied());
        }
    }
}

impl Aof {
    /// Whether a write waits for the fsync that is under way.
    fn postpone(&mut self, now: i64) -> bool {
        if self.postponed_since == 0 {
            self.postponed_since = now;
            return true;
        }
        if now - self.postponed_since < POSTPONE_SECONDS {
            return true;
        }
        false
    }
}
