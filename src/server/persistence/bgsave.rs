//! BGSAVE: a snapshot written by a child.
//!
//! *Duty:* start it, and draw the conclusions from its end. *Does not know:* why a save was wanted; how a child lives
//! (`child`); what a snapshot is (`rdb`). *Invariant:* a child that is told to stop can no longer replace the file: its
//! temporary file is removed before anybody else writes.
//! *Counterpart in C Redis:* `rdbSaveBackground`, `backgroundSaveDoneHandlerDisk`, `killRDBChild`.

use std::fs::File;
use std::io::Read;
use std::os::fd::RawFd;
use std::path::Path;

use nix::sys::signal::Signal;
use nix::unistd;

use super::child::{Purpose, Reporter, Trade};
use super::rdb::{Snapshot, reason};
use crate::base::ids::RunId;
use crate::repl::master::{Filter, Target};
use crate::server::Server;
use crate::server::observation::latency;
use crate::sys::clock;
use crate::sys::fork::ExitStatus;
use crate::sys::log::{Level, log_raw};

const TRADE: Trade = Trade { title: "redis-rdb-bgsave", noun: "RDB" };

impl Server {
    /// Starts a background save. An error has been logged and noted as a failed save.
    pub fn bgsave(&mut self) -> Result<(), String> {
        if self.persistence.child.is_some() {
            return Err("Background save already in progress".to_owned());
        }
        self.persistence.rdb_saves += 1;
        self.persistence.last_bgsave_try = self.clock.now().secs();
        match self.fork_child(TRADE, save) {
            Ok((pid, reports)) => {
                log::info!("Background saving started by pid {pid}");
                self.persistence.bgsave_scheduled = false;
                let temp = self.temp_file(pid.as_raw() as u32);
                self.adopt_child(pid, reports, Purpose::Snapshot { temp, dirty_at_start: self.exec.dirty });
                Ok(())
            }
            Err(error) => {
                let text = format!("Can't save in background: fork: {}", reason(&error));
                log::warn!("{text}");
                self.persistence.last_bgsave_ok = false;
                self.refresh_disk_alarm();
                Err(text)
            }
        }
    }

    pub(super) fn snapshot_ended(&mut self, status: ExitStatus, temp: &Path, dirty_at_start: u64, started: i64) {
        let now = clock::wall_us() / 1_000_000;
        let state = &mut self.persistence;
        match status {
            ExitStatus::Code(0) => {
                log::info!("Background saving terminated with success");
                self.exec.dirty = self.exec.dirty.saturating_sub(dirty_at_start);
                state.rdb_last_save_time = now;
                state.last_bgsave_ok = true;
            }
            ExitStatus::Code(_) | ExitStatus::Lost => {
                log::warn!("Background saving error");
                state.last_bgsave_ok = false;
            }
            ExitStatus::Signal(signal) => {
                log::warn!("Background saving terminated by signal {signal}");
                // This one asks a child to stop; that it did is no failure.
                state.last_bgsave_ok &= signal == Signal::SIGUSR1 as i32;
            }
        }
        state.rdb_last_bgsave_time_sec = now - started;
        if status != ExitStatus::Code(0) {
            let began = clock::monotonic_ns();
            self.remove_in_background(temp);
            self.note_latency(latency::RDB_UNLINK_TEMP_FILE, (clock::monotonic_ns() - began) / 1000);
        }
        self.sync_child_done(status == ExitStatus::Code(0), Target::Disk);
    }

    /// Starts a child that writes a data set for replicas to `out`, between a line that announces `mark` and the mark
    /// itself. When all is written it waits for the end of `until`.
    pub(in crate::server) fn bgsave_to_pipe(
        &mut self,
        (mut out, mut until): (File, File),
        not_childs: [RawFd; 2],
        mark: RunId,
        exclude: Filter,
    ) -> Result<(), String> {
        self.persistence.rdb_saves += 1;
        let work = move |srv: &Server, mut reporter: Reporter| {
            for fd in not_childs {
                // It is open, and the child never uses it again.
                let _ = unistd::close(fd);
            }
            let snapshot = Snapshot::of(srv);
            match snapshot.write_marked(&mut out, mark.as_bytes(), exclude, |keys| reporter.progress(keys)) {
                Ok(()) => {
                    reporter.finish();
                    drop(out);
                    // The server closes its end when everybody has everything; nothing is ever sent.
                    let _ = until.read(&mut [0]);
                    0
                }
                Err(error) => {
                    log_raw(Level::Warning, &format!("Writing the data set for replicas failed: {}", reason(&error)));
                    1
                }
            }
        };
        let (pid, reports) =
            self.fork_child(Trade { title: "redis-rdb-to-slaves", noun: "RDB" }, work).map_err(|error| {
                let text = format!("Can't save in background: fork: {}", reason(&error));
                log::warn!("{text}");
                text
            })?;
        log::info!("Background RDB transfer started by pid {pid}");
        self.adopt_child(pid, reports, Purpose::Replicas);
        Ok(())
    }

    pub(super) fn transfer_ended(&mut self, status: ExitStatus, started: i64) {
        match status {
            ExitStatus::Code(0) => log::info!("Background RDB transfer terminated with success"),
            ExitStatus::Code(_) | ExitStatus::Lost => log::warn!("Background transfer error"),
            ExitStatus::Signal(signal) => log::warn!("Background transfer terminated by signal {signal}"),
        }
        self.persistence.rdb_last_bgsave_time_sec = clock::wall_us() / 1_000_000 - started;
        self.sync_child_done(status == ExitStatus::Code(0), Target::Sockets);
    }

    /// Tells the child to stop, if it writes a snapshot.
    pub fn stop_save_child(&mut self) {
        if self.persistence.rdb_bgsave_in_progress() {
            self.stop_child();
        }
    }
}

/// In the child: the work. Returns the exit code.
fn save(srv: &Server, mut reporter: Reporter) -> i32 {
    let temp = srv.temp_file(std::process::id());
    match Snapshot::of(srv).write(&temp, |keys| reporter.progress(keys)) {
        Ok(()) => {
            log_raw(Level::Notice, "DB saved on disk");
            reporter.finish();
            0
        }
        Err(error) => {
            log_raw(Level::Warning, &error.to_string());
            1
        }
    }
}
