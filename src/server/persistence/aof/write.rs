//! From the buffer to the disk.
//!
//! *Duty:* [`Server::flush_aof`]: one write for all changes of a turn, and the fsync that `appendfsync` asks for; errors
//! of the disk, and the way back from them. *Does not know:* who made the changes, or what they are.
//! *Invariants:* `always`: what a reply promises is on disk before it leaves; if it cannot be brought there the reply
//! becomes an error. `everysec`: an fsync runs on the other thread, and a write waits for it two seconds at most.
//! *Counterpart in C Redis:* `flushAppendOnlyFile`.

use std::io;

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
const BUFFER_KEPT: usize = 1 << 20;

impl Server {
    /// Brings changes to the file and, as `appendfsync` says, to the disk. `force`: does not wait for an fsync.
    pub(in crate::server) fn flush_aof(&mut self, force: bool) {
        let aof = &self.persistence.aof;
        let Some(increment) = &aof.increment else { return };
        if aof.buffer.is_empty() && increment.sync_asked == increment.size {
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
            if everysec && syncing && !force && self.persistence.aof.postpone(now) {
                return;
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
        aof.postponed_since = 0;
        let written = match &appended {
            Ok(()) => aof.buffer.len(),
            Err(failed) => failed.kept,
        };
        aof.half_written = appended.is_err() && (written > 0 || aof.half_written);
        aof.aof_current_size += written as u64;
        aof.buffer.drain(..written);
        if aof.buffer.is_empty() && aof.buffer.capacity() > BUFFER_KEPT {
            aof.buffer = Vec::new();
        }
        let how = match (syncing, self.persistence.child.is_some()) {
            (true, _) => latency::AOF_WRITE_PENDING_FSYNC,
            (_, true) => latency::AOF_WRITE_ACTIVE_CHILD,
            _ => latency::AOF_WRITE_ALONE,
        };
        self.note_latency(how, spent_us);
        self.note_latency(latency::AOF_WRITE, spent_us);
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
        increment.write_seals();
        match synced {
            Ok(()) => {
                aof.last_fsync = self.clock.now().secs();
                aof.synced = aof.fed;
                self.note_latency(latency::AOF_FSYNC_ALWAYS, ticks_to_ns(ticks().wrapping_sub(began)) / 1000);
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
    fn sync_failed(&mut self, error: &io::Error) {
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
    fn settle_promises(&mut self) {
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
        self.aof_delayed_fsync += 1;
        log::info!(
            "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for \
             fsync to complete, this may slow down Redis."
        );
        false
    }
}
