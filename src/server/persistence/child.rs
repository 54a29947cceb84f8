//! The child that saves: its birth, its reports, its end.
//!
//! *Duty:* a process that writes the memory as it was at the fork, tells how far it is and what its copies cost, and
//! ends. *Does not know:* what it writes ([`Purpose`]): `bgsave` a snapshot, `aof::rewrite` the base of an append only
//! file; each draws its own conclusions from the end.
//! *Invariants:* at most one child lives. It closes whatever could keep a port or a connection alive, and dies with
//! the server. *Counterpart in C Redis:* `redisFork`, `sendChildInfoGeneric`, `checkChildrenDone`.

use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{self, Pid};

use super::aof::RewriteChild;
use super::rdb::reason;
use crate::config::Config;
use crate::config::values::OomScoreAdj;
use crate::net::{Listener, Route};
use crate::server::Server;
use crate::server::apply_config::OOM_CHILD;
use crate::server::observation::latency;
use crate::sys::affinity;
use crate::sys::bio::Job;
use crate::sys::clock;
use crate::sys::fork::{self, ChildReport, ExitStatus, ReportReader, ReportWriter};
use crate::sys::log::{Level, log_raw};

/// How often the child reports, at most.
const REPORT_NS: u64 = 1_000_000_000;
/// Measuring the copies takes at most one part in so many of the child's time.
const COW_DUTY_CYCLE: u64 = 100;

/// What a child is for, and what its end needs to know.
#[derive(Debug)]
pub enum Purpose {
    /// BGSAVE: the temporary file, and the unsaved changes at the fork, which its success makes up for.
    Snapshot { temp: PathBuf, dirty_at_start: u64 },
    /// A data set for replicas, by way of a pipe.
    Replicas,
    /// BGREWRITEAOF.
    Rewrite(RewriteChild),
}

/// How the two purposes differ for people.
#[derive(Clone, Copy)]
pub(super) struct Trade {
    /// The child's process title.
    pub title: &'static str,
    /// In the lines about copies.
    pub noun: &'static str,
}

impl Trade {
    /// Where the child may run: who writes a snapshot, for a file or for replicas, and who writes a log anew.
    fn processors(self, config: &Config) -> &str {
        if self.noun == SNAPSHOT { &config.bgsave_cpulist } else { &config.aof_rewrite_cpulist }
    }
}

const SNAPSHOT: &str = "RDB";

/// A child that saves, as the server sees it.
pub struct SavingChild {
    pub pid: Pid,
    /// Unix seconds.
    pub started: i64,
    pub purpose: Purpose,
    reports: Option<(ReportReader, mio::Token)>,
}

impl std::fmt::Debug for SavingChild {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SavingChild({}, {:?})", self.pid, self.purpose)
    }
}

impl Server {
    /// Forks a child that does `work` and ends with the exit code which that returns.
    pub(super) fn fork_child(
        &mut self,
        trade: Trade,
        work: impl FnOnce(&Server, Reporter) -> i32,
    ) -> std::io::Result<(Pid, ReportReader)> {
        let (reader, writer) = fork::report_pipe()?;
        let (server, reader_fd) = (unistd::getpid(), reader.fd().as_raw_fd());
        let began = clock::monotonic_ns();
        let pid = fork::fork_child(|| {
            // The server may have died before the child could ask to die with it.
            if prctl::set_pdeathsig(Signal::SIGKILL).is_err() || unistd::getppid() != server {
                return 1;
            }
            self.prepare_child(reader_fd, trade);
            let reporter = Reporter::new(writer, self.ks.total_keys() as u64, trade.noun);
            work(self, reporter)
        })?;
        let took_us = (clock::monotonic_ns() - began) / 1000;
        self.persistence.latest_fork_usec = took_us;
        self.note_latency(latency::FORK, took_us);
        self.stats.total_forks += 1;
        Ok((pid, reader))
    }

    /// A child was born: from now on its reports and its end are heard.
    pub(super) fn adopt_child(&mut self, pid: Pid, reader: ReportReader, purpose: Purpose) {
        // Without events its reports are read when it ends.
        let token = self.net.add_fd(reader.fd().as_raw_fd(), Route::ChildPipe);
        let keys = self.ks.total_keys() as u64;
        let started = self.clock.now().secs();
        let state = &mut self.persistence;
        (state.current_cow_size, state.current_cow_peak, state.cow_reported_us) = (0, 0, 0);
        (state.current_save_keys_processed, state.current_save_keys_total) = (0, keys);
        state.child = Some(SavingChild { pid, started, purpose, reports: token.ok().map(|token| (reader, token)) });
        self.ks.spare_shared_memory(true);
    }

    /// In the child: lets go of what is the server's alone.
    fn prepare_child(&mut self, reader: RawFd, trade: Trade) {
        // A port that the child keeps open is not free when the server has gone; and a connection that the server
        // closes would stay open for its peer. Only the descriptors are closed: freeing memory would copy it.
        let listeners = self.turn.listeners.iter().map(|(listener, _)| match listener {
            Listener::Tcp(socket) => socket.as_raw_fd(),
            Listener::Unix(socket) => socket.as_raw_fd(),
        });
        let clients = self.clients.iter().map(|(_, client)| client.stream.fd());
        for fd in listeners.chain(clients).chain([reader]) {
            // It is open, and the child never uses it again.
            let _ = unistd::close(fd);
        }
        if self.config.set_proc_title {
            self.identity.program = trade.title.to_owned();
            crate::sys::title::set(&self.process_title());
        }
        if affinity::bind_thread(trade.processors(&self.config)).is_err() {
            log_raw(Level::Warning, "Unable to bind the saving child to the processors of its list");
        }
        let is_on = self.config.oom_score_adj != OomScoreAdj::No;
        if is_on && fork::set_oom_score_adj(self.oom_score(OOM_CHILD)).is_err() {
            log_raw(Level::Warning, "Unable to set the oom_score_adj of the saving child");
        }
    }

    /// The child has told something.
    pub(in crate::server) fn on_child_report(&mut self) {
        let now_us = self.clock.mono_us();
        let state = &mut self.persistence;
        let reports = state.child.as_mut().and_then(|child| child.reports.as_mut());
        let Some(report) = reports.and_then(|(reader, _)| reader.latest()) else {
            return;
        };
        state.current_cow_peak = state.current_cow_peak.max(report.cow_bytes);
        state.current_save_keys_processed = report.keys_processed;
        if report.finished {
            match state.child.as_ref().map(|child| &child.purpose) {
                Some(Purpose::Rewrite(_)) => state.aof.aof_last_cow_size = state.current_cow_peak,
                _ => state.rdb_last_cow_size = state.current_cow_peak,
            }
        } else {
            state.current_cow_size = report.cow_bytes;
            state.cow_reported_us = now_us;
        }
    }

    /// If the child has ended, draws the conclusions.
    pub fn reap_child(&mut self) {
        let Some(child) = &self.persistence.child else { return };
        let Some(status) = fork::wait_nohang(child.pid) else {
            return;
        };
        self.on_child_report();
        self.child_ended(status);
    }

    fn child_ended(&mut self, status: ExitStatus) {
        let Some(child) = self.persistence.child.take() else {
            return;
        };
        if let Some((reader, token)) = &child.reports {
            self.net.remove_fd(reader.fd().as_raw_fd(), *token);
        }
        let state = &mut self.persistence;
        (state.current_cow_size, state.current_cow_peak, state.cow_reported_us) = (0, 0, 0);
        (state.current_save_keys_processed, state.current_save_keys_total) = (0, 0);
        let started = child.started;
        match child.purpose {
            Purpose::Snapshot { temp, dirty_at_start } => self.snapshot_ended(status, &temp, dirty_at_start, started),
            Purpose::Replicas => self.transfer_ended(status, started),
            Purpose::Rewrite(rewrite) => self.rewrite_ended(status, rewrite, started),
        }
        if self.persistence.child.is_none() {
            self.ks.spare_shared_memory(false);
        }
        self.refresh_disk_alarm();
        self.start_due_sync();
    }

    /// Ends the child, if there is one, and waits for its end.
    pub fn kill_child(&mut self) {
        let Some(child) = &self.persistence.child else { return };
        match child.purpose {
            Purpose::Snapshot { .. } | Purpose::Replicas => log::warn!("There is a child saving an .rdb. Killing it!"),
            Purpose::Rewrite(_) => log::info!("Killing running AOF rewrite child: {}", child.pid),
        }
        let pid = child.pid;
        self.stop_child();
        let status = fork::wait(pid);
        self.child_ended(status);
    }

    /// Tells the child to stop. That it did is noted when the loop hears of its end.
    pub(super) fn stop_child(&mut self) {
        let Some(child) = &self.persistence.child else { return };
        fork::kill_child(child.pid);
        if let Purpose::Snapshot { temp, .. } = &child.purpose {
            // It may be about to rename its file. Without a temporary file that fails, and a rename that was quicker
            // is overwritten by whatever is saved from now on.
            self.remove_in_background(temp);
        }
    }

    /// Unlinks a file that may be large: its blocks are freed by the last close, which is left to the other thread.
    pub(in crate::server) fn remove_in_background(&self, path: &Path) {
        // Never waiting: what has this name could be a pipe.
        let open = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
        // It may be gone already.
        let _ = std::fs::remove_file(path);
        if let Ok(file) = open {
            self.bio.submit(Job::Close { fd: file.into(), fsync: false });
        }
    }
}

/// The child's side of the reports.
pub(super) struct Reporter {
    pipe: ReportWriter,
    keys: u64,
    total: u64,
    sent_ns: u64,
    cow: Copies,
    noun: &'static str,
}

/// What copy-on-write has cost so far, measured now and then.
#[derive(Default)]
struct Copies {
    bytes: u64,
    peak: u64,
    sum: u64,
    count: u64,
    measured_ns: u64,
    /// How long measuring took.
    cost_ns: u64,
}

impl Copies {
    fn measure(&mut self, level: Level, noun: &str) {
        let began = clock::monotonic_ns();
        self.bytes = fork::private_dirty_bytes();
        self.measured_ns = clock::monotonic_ns();
        self.cost_ns = self.measured_ns - began;
        self.peak = self.peak.max(self.bytes);
        self.sum += self.bytes;
        self.count += 1;
        let text = format!(
            "Fork CoW for {noun}: current {} MB, peak {} MB, average {} MB",
            self.bytes >> 20,
            self.peak >> 20,
            (self.sum / self.count) >> 20
        );
        log_raw(level, &text);
    }
}

impl Reporter {
    fn new(pipe: ReportWriter, total: u64, noun: &'static str) -> Reporter {
        Reporter { pipe, keys: 0, total, sent_ns: 0, cow: Copies::default(), noun }
    }

    pub fn progress(&mut self, keys: u64) {
        self.keys = keys;
        let now = clock::monotonic_ns();
        if now - self.sent_ns < REPORT_NS {
            return;
        }
        self.sent_ns = now;
        if now - self.cow.measured_ns > self.cow.cost_ns * COW_DUTY_CYCLE {
            self.cow.measure(Level::Verbose, self.noun);
        }
        self.send(false);
    }

    pub fn finish(&mut self) {
        self.cow.measure(Level::Notice, self.noun);
        self.send(true);
    }

    fn send(&mut self, finished: bool) {
        let report =
            ChildReport { cow_bytes: self.cow.bytes, keys_processed: self.keys, keys_total: self.total, finished };
        if let Err(error) = self.pipe.send(&report) {
            // Nobody is there to hear: the server has gone.
            let text = format!("Child failed reporting info to parent, exiting. {}", reason(&error));
            log_raw(Level::Warning, &text);
            fork::exit_now(1);
        }
    }
}
