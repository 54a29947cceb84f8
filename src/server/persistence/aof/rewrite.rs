//! BGREWRITEAOF: the data set as it is becomes a new base, written by a child.
//!
//! *Duty:* begin a new increment and fork; when the child is done, put its file and the manifest in place and remove
//! what they replace. When a rewrite is due by itself, and how long to wait after failures.
//! *Does not know:* how a child lives (`child`), what a base looks like (`rdb`, and the crate's `aof::rewrite`).
//! *Invariants:* changes after the fork are in increments that the manifest names behind the new base. If the rewrite
//! fails, the old base and all increments still make up the whole history.
//! *Counterpart in C Redis:* `rewriteAppendOnlyFileBackground`, `backgroundRewriteDoneHandler`, `aofRewriteLimited`.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use super::super::child::{Purpose, Reporter, Trade};
use super::super::rdb::{Snapshot, reason};
use super::State;
use super::folder::file_name;
use super::increment::{Increment, remove_if_there, seals_path};
use crate::aof::manifest;
use crate::server::Server;
use crate::server::observation::latency;
use crate::sys::bio::Job;
use crate::sys::clock;
use crate::sys::files;
use crate::sys::fork::ExitStatus;
use crate::sys::log::{Level, log_raw};

const TRADE: Trade = Trade { title: "redis-aof-rewrite", noun: "AOF rewrite" };

/// After so many failures in a row, rewrites that begin by themselves wait.
const PATIENCE: u64 = 3;
const DELAY_MAX_MINUTES: i64 = 60;
/// Seconds between attempts to write everything anew after a failed fsync.
const RETRY_DELAY: i64 = 1;

/// A rewrite under way.
#[derive(Debug)]
pub struct RewriteChild {
    temp: PathBuf,
    /// The base is a snapshot and not commands.
    rdb: bool,
}

/// How long rewrites wait that nobody asked for.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    delay_minutes: i64,
    /// Unix seconds; 0: no wait has begun.
    until: i64,
    last_try: i64,
    /// An fsync failed after the rewrite began.
    pub failed_meanwhile: bool,
}

impl Backoff {
    pub fn retry_due(&self, now: i64) -> bool {
        now - self.last_try > RETRY_DELAY
    }

    /// Whether a rewrite that is due must wait all the same.
    fn holds(&mut self, failures: u64, now: i64) -> bool {
        if failures < PATIENCE {
            (self.delay_minutes, self.until) = (0, 0);
            return false;
        }
        if self.until != 0 {
            let waits = now < self.until;
            if !waits {
                self.until = 0;
            }
            return waits;
        }
        self.delay_minutes = (self.delay_minutes * 2).clamp(1, DELAY_MAX_MINUTES);
        self.until = now + self.delay_minutes * 60;
        log::warn!(
            "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {} minutes",
            self.delay_minutes
        );
        true
    }
}

impl Server {
    /// Starts a rewrite. An error has been logged and noted as a failed rewrite.
    pub fn rewrite_aof(&mut self) -> Result<(), String> {
        if self.persistence.child.is_some() {
            return Err("Another child is saving".to_owned());
        }
        self.persistence.aof.backoff.last_try = self.clock.now().secs();
        let started = self.start_rewrite();
        if let Err(text) = &started {
            log::warn!("{text}");
            self.persistence.aof.aof_last_bgrewrite_failed = true;
        }
        started
    }

    fn start_rewrite(&mut self) -> Result<(), String> {
        if !self.folder_moves() {
            self.make_append_folder()?;
        }
        // Whoever reads the new increment knows nothing of the old one.
        self.persistence.aof.feed.restart();
        self.flush_aof(true);
        if self.persistence.aof.half_written {
            return Err("The AOF file ends in the middle of a command and the disk does not take the rest".to_owned());
        }
        self.begin_increment()?;
        self.persistence.aof.aof_rewrites += 1;
        self.persistence.aof.backoff.failed_meanwhile = false;
        let forked = self.fork_child(TRADE, write_base);
        let (pid, reports) = forked
            .map_err(|error| format!("Can't rewrite append only file in background: fork: {}", reason(&error)))?;
        log::info!("Background append only file rewriting started by pid {pid}");
        self.persistence.aof.aof_rewrite_scheduled = false;
        let temp = self.temp_base(pid.as_raw() as u32);
        let rdb = self.config.aof_use_rdb_preamble;
        self.adopt_child(pid, reports, Purpose::Rewrite(RewriteChild { temp, rdb }));
        Ok(())
    }

    fn temp_base(&self, pid: u32) -> PathBuf {
        self.data_folder().join(format!("temp-rewriteaof-bg-{pid}.aof"))
    }

    /// The changes from here on go to a new file.
    fn begin_increment(&mut self) -> Result<(), String> {
        let prefix = self.config.appendfilename.clone();
        let mut manifest = self.persistence.aof.manifest.clone();
        let name = match self.persistence.aof.state {
            State::Off => return Ok(()),
            State::WaitRewrite => manifest::temp_incr_name(&prefix).into_bytes(),
            State::On => manifest.new_incr(&prefix).name.clone(),
        };
        let opened = Increment::create(self.append_file(&name), self.config.aof_checksum);
        let increment = opened
            .map_err(|error| format!("Can't open the append-only file {}: {}", name.escape_ascii(), reason(&error)))?;
        if self.persistence.aof.state == State::On {
            self.persist_manifest(manifest)?;
        }
        log::info!("Creating AOF incr file {} on background rewrite", name.escape_ascii());
        if let Some(old) = self.persistence.aof.increment.replace(increment) {
            // The other thread works in order: this is on disk before anything of the new file is.
            self.bio.submit(Job::Close { fd: old.into_descriptor(), fsync: true });
            self.persistence.aof.last_fsync = self.clock.now().secs();
        }
        self.refresh_wants();
        Ok(())
    }

    pub(in crate::server::persistence) fn rewrite_ended(
        &mut self,
        status: ExitStatus,
        rewrite: RewriteChild,
        started: i64,
    ) {
        match status {
            ExitStatus::Code(0) => {
                log::info!("Background AOF rewrite terminated with success");
                match self.install_base(&rewrite) {
                    Ok(()) => self.rewrite_succeeded(),
                    Err(text) => {
                        log::warn!("{text}");
                        self.rewrite_failed();
                    }
                }
            }
            ExitStatus::Code(_) | ExitStatus::Lost => {
                log::warn!("Background AOF rewrite terminated with error");
                self.rewrite_failed();
            }
            ExitStatus::Signal(signal) => {
                log::warn!("Background AOF rewrite terminated by signal {signal}");
                // This one asks a child to stop; that it did is no failure.
                if signal != Signal::SIGUSR1 as i32 {
                    self.rewrite_failed();
                }
            }
        }
        for path in [seals_path(&rewrite.temp), rewrite.temp] {
            self.remove_in_background(&path);
        }
        let aof = &mut self.persistence.aof;
        aof.aof_last_rewrite_time_sec = Some(clock::wall_us() / 1_000_000 - started);
        if aof.state == State::WaitRewrite {
            self.discard_temp_increment();
            self.persistence.aof.aof_rewrite_scheduled = true;
        }
    }

    fn rewrite_failed(&mut self) {
        self.persistence.aof.aof_last_bgrewrite_failed = true;
        self.persistence.aof.aof_rewrites_consecutive_failures += 1;
    }

    fn rewrite_succeeded(&mut self) {
        let aof = &mut self.persistence.aof;
        aof.aof_last_bgrewrite_failed = false;
        aof.aof_rewrites_consecutive_failures = 0;
        aof.distrusted &= aof.backoff.failed_meanwhile;
        if aof.state == State::WaitRewrite {
            aof.state = State::On;
        }
        let trusted = !aof.distrusted && aof.buffer.is_empty();
        self.remove_history();
        log::info!("Background AOF rewrite finished successfully");
        if trusted {
            self.disk_works();
        }
    }

    /// `dir` has changed since the files were opened. They move when a new base is whole: until then what is in the old
    /// folder is the whole history. To another file system the increment cannot be taken along, and as in 7.0.15 the new
    /// folder is used from the beginning of the rewrite on.
    fn folder_moves(&self) -> bool {
        let aof = &self.persistence.aof;
        let device = |path: &Path| std::fs::metadata(path).map(|meta| meta.dev()).ok();
        let moves = aof.state == State::On && aof.folder != self.append_folder();
        moves && device(&aof.folder) == device(&self.data_folder())
    }

    /// `dir` has changed: a rewrite brings the files along.
    pub(in crate::server) fn aof_follows_dir(&mut self) {
        let folder = self.append_folder();
        let aof = &mut self.persistence.aof;
        if aof.state == State::On && aof.folder != folder {
            let (old, new) = (aof.folder.display(), folder.display());
            log::info!("The append only file stays in {old} until a rewrite has made a whole one in {new}.");
            aof.schedule_rewrite();
        }
    }

    /// The child's file becomes the base, and what it replaces becomes history.
    fn install_base(&mut self, rewrite: &RewriteChild) -> Result<(), String> {
        if !self.folder_moves() {
            return self.install_base_beside(rewrite, None);
        }
        let old = self.persistence.aof.folder.clone();
        self.make_append_folder()?;
        let installed = self.install_base_beside(rewrite, Some(&old));
        if installed.is_err() {
            self.persistence.aof.folder = old;
        }
        installed
    }

    /// The same file in the new folder too, so that both hold the whole history.
    fn bring_increment(&mut self, old: &Path, name: &[u8]) -> io::Result<()> {
        let (from, to) = (old.join(file_name(name)), self.append_file(name));
        if let Some(increment) = &mut self.persistence.aof.increment {
            increment.write_seals();
        }
        remove_if_there(&seals_path(&to))?;
        match std::fs::hard_link(seals_path(&from), seals_path(&to)) {
            // There need not be any.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        remove_if_there(&to)?;
        std::fs::hard_link(&from, &to)
    }

    /// `moved`: the folder in which the increment was begun, if it is another one.
    fn install_base_beside(&mut self, rewrite: &RewriteChild, moved: Option<&Path>) -> Result<(), String> {
        let prefix = self.config.appendfilename.clone();
        let mut manifest = self.persistence.aof.manifest.clone();
        let base = manifest.new_base(&prefix, rewrite.rdb).name.clone();
        let target = self.append_file(&base);
        let began = clock::monotonic_ns();
        rename_with_seals(&rewrite.temp, &target).map_err(|error| {
            format!(
                "Error trying to rename the temporary AOF base file {} into {}: {}",
                rewrite.temp.display(),
                target.display(),
                reason(&error)
            )
        })?;
        log::info!(
            "Successfully renamed the temporary AOF base file {} into {}",
            rewrite.temp.display(),
            base.escape_ascii()
        );
        if self.persistence.aof.state == State::WaitRewrite {
            let name = manifest.new_incr(&prefix).name.clone();
            let target = self.append_file(&name);
            self.name_increment(&target).map_err(|error| {
                format!(
                    "Error trying to rename the temporary AOF incr file into {}: {}",
                    target.display(),
                    reason(&error)
                )
            })?;
            log::info!(
                "Successfully renamed the temporary AOF incr file {} into {}",
                manifest::temp_incr_name(&prefix),
                name.escape_ascii()
            );
        }
        self.note_latency(latency::AOF_RENAME, (clock::monotonic_ns() - began) / 1000);
        // The last increment is the one that began with the rewrite. Without an append only file there is none.
        manifest.retire_incrs(self.persistence.aof.state != State::Off);
        if let (Some(old), Some(last)) = (moved, manifest.last_incr().map(|file| file.name.clone())) {
            // What is left behind there is whole, and somebody may start with it.
            manifest.take_history();
            self.bring_increment(old, &last).map_err(|error| {
                format!(
                    "Error trying to take the AOF file {} to the new folder: {}",
                    last.escape_ascii(),
                    reason(&error)
                )
            })?;
        }
        self.persist_manifest(manifest)?;
        if let (Some(increment), Some(_)) = (&mut self.persistence.aof.increment, moved) {
            increment.path = self.persistence.aof.folder.join(increment.path.file_name().unwrap_or_default());
        }
        if self.persistence.aof.is_on() {
            let aof = &mut self.persistence.aof;
            let base_size = std::fs::metadata(&target).map_or(0, |meta| meta.len());
            aof.aof_current_size = base_size + aof.increment.as_ref().map_or(0, |increment| increment.size);
            aof.aof_base_size = aof.aof_current_size;
        }
        Ok(())
    }

    fn name_increment(&mut self, target: &Path) -> io::Result<()> {
        let Some(increment) = &mut self.persistence.aof.increment else {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        };
        std::fs::rename(&increment.path, target)?;
        increment.renamed(target.to_owned())
    }

    /// A rewrite that was to switch the append only file on has failed: the next one begins anew.
    pub(super) fn discard_temp_increment(&mut self) {
        self.land_flight();
        let aof = &mut self.persistence.aof;
        aof.buffer.clear();
        let Some(increment) = aof.increment.take() else { return };
        log::info!("Removing the temp incr aof file {} in the background", increment.path.display());
        for path in [seals_path(&increment.path), increment.path] {
            self.remove_in_background(&path);
        }
        self.refresh_wants();
    }

    /// Part of cron: a rewrite that was put off, or one that the file's growth asks for.
    pub(super) fn rewrite_if_due(&mut self) {
        let aof = &self.persistence.aof;
        if self.persistence.child.is_some() || aof.state == State::Off && !aof.aof_rewrite_scheduled {
            return;
        }
        let (percentage, min_size) = (self.config.auto_aof_rewrite_percentage, self.config.auto_aof_rewrite_min_size);
        let growth = aof.aof_current_size * 100 / aof.aof_base_size.max(1);
        let grown = aof.state == State::On
            && percentage > 0
            && aof.aof_current_size > min_size
            && growth >= 100 + percentage as u64;
        if !aof.aof_rewrite_scheduled && !grown {
            return;
        }
        let (failures, now) = (aof.aof_rewrites_consecutive_failures, self.clock.now().secs());
        if self.persistence.aof.backoff.holds(failures, now) {
            return;
        }
        if !self.persistence.aof.aof_rewrite_scheduled {
            log::info!("Starting automatic rewriting of AOF on {}% growth", growth.saturating_sub(100));
        }
        if self.rewrite_aof().is_err() {
            self.rewrite_failed();
        }
    }
}

fn rename_with_seals(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(seals_path(from), seals_path(to)) {
        // What an interrupted rewrite left under the new name would contradict the new base.
        Err(error) if error.kind() == io::ErrorKind::NotFound => remove_if_there(&seals_path(to))?,
        renamed => renamed?,
    }
    files::rename_durable(from, to)
}

/// In the child: the work. Returns the exit code.
fn write_base(srv: &Server, mut reporter: Reporter) -> i32 {
    let temp = srv.temp_base(std::process::id());
    match Snapshot::of(srv).write_base(&temp, |keys| reporter.progress(keys)) {
        Ok(()) => {
            log_raw(Level::Notice, &format!("Successfully created the temporary AOF base file {}", temp.display()));
            reporter.finish();
            0
        }
        Err(error) => {
            log_raw(Level::Warning, &format!("Write error writing append only file on disk: {error}"));
            1
        }
    }
}
