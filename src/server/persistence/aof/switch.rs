//! Switching the append only file on and off: at a start, by CONFIG SET, at the end.
//!
//! *Duty:* the changes of [`State`]. *Does not know:* what the files hold.
//! *Invariant:* it is on when every change from some point on is in it, and that point is a base on disk.
//! *Counterpart in C Redis:* `startAppendOnly`, `stopAppendOnly`, `aofOpenIfNeededOnServerStart`.

use super::super::rdb::{Snapshot, reason};
use super::State;
use super::increment::{Increment, LoadedSums};
use crate::server::Server;

impl Server {
    /// At a start, when everything is loaded: opens the file that grows. `loaded` is what is known of it.
    pub(in crate::server::persistence) fn open_aof(&mut self, loaded: Option<LoadedSums>) -> Result<(), String> {
        self.make_append_folder()?;
        self.remove_append_leftovers();
        let prefix = self.config.appendfilename.clone();
        let mut manifest = self.persistence.aof.manifest.clone();
        if manifest.base.is_none() && manifest.incr.is_empty() {
            let name = manifest.new_base(&prefix, self.config.aof_use_rdb_preamble).name.clone();
            let path = self.append_file(&name);
            log::info!("Creating AOF base file {} on server start", name.escape_ascii());
            Snapshot::of(self).write_base(&path, |_| ()).map_err(|error| error.to_string())?;
            self.persistence.aof.aof_base_size = std::fs::metadata(&path).map_or(0, |meta| meta.len());
            self.persistence.aof.aof_current_size = self.persistence.aof.aof_base_size;
        }
        let known = manifest.last_incr().map(|file| file.name.clone());
        let seal = self.config.aof_checksum;
        let (name, opened) = match &known {
            Some(name) => (name.clone(), Increment::reopen(self.append_file(name), loaded, seal)),
            None => {
                let name = manifest.new_incr(&prefix).name.clone();
                let path = self.append_file(&name);
                (name, Increment::create(path, seal))
            }
        };
        let failed = |error| format!("Can't open the append-only file {}: {}", name.escape_ascii(), reason(&error));
        self.persistence.aof.increment = Some(opened.map_err(failed)?);
        // A full disk is no reason not to start: what is there can be read, and takes up no more.
        if manifest != self.persistence.aof.manifest {
            self.persist_manifest(manifest)?;
        }
        let verb = if known.is_some() { "Opening" } else { "Creating" };
        log::info!("{verb} AOF incr file {} on server start", name.escape_ascii());
        self.persistence.aof.state = State::On;
        self.persistence.aof.last_fsync = self.clock.now().secs();
        self.remove_history();
        self.refresh_wants();
        Ok(())
    }

    /// CONFIG SET appendonly: brings the state in line with the directive.
    pub(in crate::server) fn switch_aof(&mut self) -> Result<(), String> {
        match (self.config.appendonly, self.persistence.aof.state) {
            (true, State::Off) => self.start_aof(),
            (false, State::On | State::WaitRewrite) => {
                self.stop_aof();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn start_aof(&mut self) -> Result<(), String> {
        self.persistence.aof.state = State::WaitRewrite;
        if self.persistence.aof_rewrite_in_progress() {
            log::warn!(
                "AOF was enabled but there is already an AOF rewriting in background. Stopping background AOF and \
                 starting a rewrite now."
            );
            // Nobody has gathered the changes since it began.
            self.kill_child();
        }
        if self.persistence.child.is_some() || self.exec.in_transaction {
            log::warn!(
                "AOF was enabled but there is already another background operation. An AOF background was scheduled \
                 to start when possible."
            );
            self.persistence.aof.aof_rewrite_scheduled = true;
        } else if self.rewrite_aof().is_err() {
            self.persistence.aof.state = State::Off;
            log::warn!(
                "Redis needs to enable the AOF but can't trigger a background AOF rewrite operation. Check the above \
                 logs for more info about the error."
            );
            return Err("Unable to turn on AOF. Check server logs.".to_owned());
        }
        let aof = &mut self.persistence.aof;
        aof.last_fsync = self.clock.now().secs();
        if aof.errno != 0 {
            log::warn!("AOF reopen, just ignore the last error.");
            (aof.errno, aof.distrusted) = (0, false);
        }
        self.bio.forget_fsync_error();
        self.refresh_disk_alarm();
        Ok(())
    }

    /// Also where a master's data set takes the place of what the file tells.
    pub(in crate::server) fn stop_aof(&mut self) {
        // What the disk does not take has been logged, and is given up with the file.
        let _ = self.finish_aof();
        if self.persistence.aof.state == State::WaitRewrite {
            self.discard_temp_increment();
        }
        let aof = &mut self.persistence.aof;
        aof.increment = None;
        aof.state = State::Off;
        aof.buffer.clear();
        aof.aof_rewrite_scheduled = false;
        (aof.errno, aof.distrusted) = (0, false);
        if self.persistence.aof_rewrite_in_progress() {
            self.kill_child();
        }
        self.refresh_wants();
        self.refresh_disk_alarm();
    }

    /// Writes and syncs what is left, as the last thing that happens to the file. `Err`: the disk did not take it.
    pub(in crate::server) fn finish_aof(&mut self) -> Result<(), String> {
        self.flush_aof(true);
        let aof = &mut self.persistence.aof;
        let Some(increment) = &mut aof.increment else { return Ok(()) };
        let synced = increment.sync();
        increment.write_seals();
        if let Err(error) = synced {
            let text = format!("Fail to fsync the AOF file: {}", reason(&error));
            log::warn!("{text}");
            return Err(text);
        }
        match aof.error() {
            Some(errno) if !aof.buffer.is_empty() => Err(format!("Error writing to the AOF file: {}", errno.desc())),
            _ => Ok(()),
        }
    }
}
