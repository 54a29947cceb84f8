//! The end: SHUTDOWN, SIGTERM, SIGINT.
//!
//! *Duty:* let replicas catch up, for `shutdown-timeout` at most and with writes paused; end a child, save if save points
//! ask for it (or the caller does), remove pidfile and socket, and leave the loop. A save that fails keeps the server
//! up, unless it was told to go at any price. A signal asks; the timers of the same turn act; SHUTDOWN ABORT calls it
//! off until then, and while replicas are waited for. *Does not know:* who lags.
//! *Invariant:* who asked by SHUTDOWN is `BLOCKED` while replicas are waited for, and hears only of a failure.
//! *Counterpart in C Redis:* `prepareForShutdown`, `finishShutdown`, `abortShutdown`.

use std::path::Path;
use std::time::Duration;

use super::Server;
use super::client::Flags;
use super::pause::{Sake, Scope};
use super::persistence::aof::State;
use super::replication::master::say;
use crate::base::millis::Millis;
use crate::call::ClientRef;
use crate::config::ShutdownFlags;
use crate::sys::{crash, process, signals};
use nix::sys::signal::Signal;

/// Whether the data set is saved on the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saving {
    /// If there are save points.
    ByConfig,
    Yes,
    No,
}

#[derive(Clone, Copy, Debug)]
pub struct Shutdown {
    pub saving: Saving,
    /// Go although saving failed.
    pub force: bool,
    /// Do not wait for replicas.
    pub now: bool,
}

/// A shutdown that waits for replicas.
pub struct Lingering {
    how: Shutdown,
    deadline: Millis,
    /// Clients that asked for it.
    askers: Vec<ClientRef>,
}

const FAILED: &[u8] = b"ERR Errors trying to SHUTDOWN. Check logs.";

impl Server {
    /// Ends the server, or begins to wait for replicas. `Err`: the server stays, for the reason given.
    pub fn shutdown(&mut self, how: Shutdown, asker: Option<ClientRef>) -> Result<(), String> {
        if self.turn.lingering.is_none() {
            signals::set_stopping(true);
            log::warn!("User requested shutdown...");
            let wait_secs = i64::from(self.config.shutdown_timeout);
            if how.now || wait_secs == 0 || self.replicas_have_all() {
                return self.finish_shutdown(how);
            }
            if !self.pause.is_on() {
                self.ask_for_acks();
            }
            self.pause_clients(Sake::Shutdown, Scope::Writes, Millis(i64::MAX));
            log::info!("Waiting for replicas before shutting down.");
            let deadline = self.clock.now().plus(wait_secs * 1000);
            self.turn.lingering = Some(Lingering { how, deadline, askers: Vec::new() });
        }
        let Some(lingering) = &mut self.turn.lingering else { return Ok(()) };
        if let Some(who) = asker {
            lingering.askers.push(who);
            self.clients[who.slot as usize].flags.set(Flags::BLOCKED);
            self.clients.blocked += 1;
        }
        Ok(())
    }

    /// How long the end waits for replicas still, in milliseconds; None while there is none to come.
    pub fn shutdown_in_ms(&self) -> Option<i64> {
        self.turn.lingering.as_ref().map(|lingering| lingering.deadline.since(self.clock.now()))
    }

    fn replicas_have_all(&self) -> bool {
        self.replication.replicas.all_have(self.replication.backlog.offset())
    }

    /// Part of cron, and asked when a replica has told how far it is: ends the wait for replicas.
    pub(super) fn go_on_shutting_down(&mut self) {
        let Some(lingering) = &self.turn.lingering else { return };
        if self.turn.exit.is_some() || (lingering.deadline > self.clock.now() && !self.replicas_have_all()) {
            return;
        }
        if self.finish_shutdown(lingering.how).is_err() {
            self.stop_lingering();
        }
    }

    /// The server stays after all.
    fn stop_lingering(&mut self) {
        let Some(lingering) = self.turn.lingering.take() else { return };
        for who in lingering.askers {
            let Some(client) = self.clients.find(who) else { continue };
            client.flags.clear(Flags::BLOCKED);
            client.reply.error(FAILED);
            self.clients.blocked -= 1;
            self.stats.count_error(FAILED);
            self.after_output(who.slot as usize);
            self.blocking.resume(who);
        }
        self.unpause_clients(Sake::Shutdown);
    }

    /// Forgets that a client that goes away asked.
    pub fn drop_asker(&mut self, slot: usize) {
        let who = self.clients[slot].reference(slot);
        let Some(lingering) = &mut self.turn.lingering else { return };
        if let Some(at) = lingering.askers.iter().position(|asker| *asker == who) {
            lingering.askers.remove(at);
            self.clients.blocked -= 1;
        }
    }

    /// The append only file that is being made for the first time is not there yet: what it was to keep would be lost.
    fn mind_first_aof(&self, how: Shutdown) -> Result<(), String> {
        if self.persistence.aof.state != State::WaitRewrite || !self.persistence.aof_rewrite_in_progress() {
            return Ok(());
        }
        if how.force {
            log::warn!("Writing initial AOF. Exit anyway.");
            return Ok(());
        }
        log::warn!("Writing initial AOF, can't exit.");
        log::warn!("Errors trying to shut down the server. Check the logs for more information.");
        signals::set_stopping(false);
        Err("the append only file is being written for the first time".to_owned())
    }

    /// Saves what must be saved and sets the loop's exit code. `Err`: the server stays, for the reason given.
    fn finish_shutdown(&mut self, how: Shutdown) -> Result<(), String> {
        let replication = &self.replication;
        replication.replicas.lag_report(replication.backlog.offset(), self.clock.now()).into_iter().for_each(say);
        self.mind_first_aof(how)?;
        if self.persistence.aof_rewrite_in_progress() {
            log::warn!("There is a child rewriting the AOF. Killing it!");
        }
        self.kill_child();
        let save = match how.saving {
            Saving::ByConfig => !self.config.save.is_empty(),
            Saving::Yes => true,
            Saving::No => false,
        };
        // In the middle of loading, what is in memory is less than what the file holds.
        let save = save && self.persistence.loading.is_none();
        if save {
            log::info!("Saving the final RDB snapshot before exiting.");
            super::startup::tell_manager("STATUS=Saving the final RDB snapshot\n");
            if let Err(error) = self.save_now() {
                log::warn!("Error trying to save the DB, can't exit: {error}");
                if !how.force {
                    log::warn!("Errors trying to shut down the server. Check the logs for more information.");
                    signals::set_stopping(false);
                    super::startup::tell_manager("STATUS=Error trying to save the DB, can't exit\n");
                    return Err(error);
                }
                log::warn!("Exiting all the same, as asked.");
            }
        }
        if let Err(error) = self.finish_aof()
            && !how.force
        {
            log::warn!("Errors trying to shut down the server. Check the logs for more information.");
            signals::set_stopping(false);
            return Err(error);
        }
        if let Some(path) = super::startup::pidfile(&self.config, self.config.daemonize) {
            log::info!("Removing the pid file.");
            process::remove_pidfile(Path::new(&path));
        }
        self.serve_replicas();
        self.write_replies();
        if !self.config.unixsocket.is_empty() {
            log::info!("Removing the unix socket file.");
            // It may be gone already; then there is nothing to remove.
            let _ = std::fs::remove_file(&self.config.unixsocket);
        }
        super::startup::tell_manager("STOPPING=1\n");
        log::warn!("Redis is now ready to exit, bye bye...");
        self.turn.exit = Some(0);
        // Who finds its connection closed shall not find somebody who listens.
        self.turn.listeners.clear();
        Ok(())
    }

    /// DEBUG RESTART and CRASH-AND-RECOVER: the program starts again in this process, with the command line that it
    /// had. Returns only to say why it cannot.
    pub fn start_again(&mut self, gracefully: bool, delay: Duration) -> String {
        let program = Path::new(&self.identity.executable).to_owned();
        if !process::may_execute(&program) {
            return format!("this process has no permissions to execute {}", program.display());
        }
        if gracefully {
            if !self.identity.config_file.is_empty()
                && let Err(error) = self.rewrite_config(false)
            {
                let reason = String::from_utf8_lossy(&error.message()).into_owned();
                return format!("configuration rewrite process failed: {reason}");
            }
            if let Err(reason) = self.shutdown(Shutdown { saving: Saving::ByConfig, force: false, now: true }, None) {
                return format!("error preparing for shutdown: {reason}");
            }
        } else {
            // Nobody would wait for it.
            self.kill_child();
        }
        // The timer would outlive its handler.
        crash::watchdog::alive(0);
        std::thread::sleep(delay);
        let error = process::become_program(&program, &self.identity.argv);
        // After a shutdown there is no way back.
        log::warn!("Starting {} again failed: {error}", program.display());
        crate::sys::fork::exit_now(1)
    }

    /// What signals have asked for since the last turn.
    pub fn on_signals(&mut self) {
        let pending = signals::take_pending();
        if pending.child {
            self.reap_child();
        }
        let Some(signal) = pending.terminate else { return };
        self.turn.stop_signal = Some(signal);
        match signal {
            Signal::SIGINT => log::warn!("Received SIGINT scheduling shutdown..."),
            _ => log::warn!("Received SIGTERM scheduling shutdown..."),
        }
    }

    /// Part of each turn: does what a signal has asked for.
    pub(super) fn obey_stop_signal(&mut self) {
        let waits = self.turn.cron_paused || self.turn.exit.is_some();
        let Some(signal) = self.turn.stop_signal.take_if(|_| !waits) else { return };
        let (name, flags) = match signal {
            Signal::SIGINT => ("SIGINT", self.config.shutdown_on_sigint),
            _ => ("SIGTERM", self.config.shutdown_on_sigterm),
        };
        if self.shutdown(by_signal(flags), None).is_err() {
            log::warn!(
                "{name} received but errors trying to shut down the server, check the logs for more information"
            );
        }
    }
}

impl Server {
    /// SHUTDOWN ABORT. `false`: nobody has asked for a shutdown.
    pub fn abort_shutdown(&mut self) -> bool {
        let was_asked = self.turn.stop_signal.take().is_some() | self.turn.lingering.is_some();
        if was_asked {
            self.stop_lingering();
            signals::set_stopping(false);
            log::info!("Shutdown manually aborted.");
        }
        was_asked
    }
}

fn by_signal(flags: ShutdownFlags) -> Shutdown {
    let saving = match (flags.save, flags.nosave) {
        (true, _) => Saving::Yes,
        (_, true) => Saving::No,
        _ => Saving::ByConfig,
    };
    Shutdown { saving, force: flags.force, now: flags.now }
}
