//! The end: SHUTDOWN, SIGTERM, SIGINT.
//!
//! *Duty:* end a child, save if save points ask for it (or the caller does), remove pidfile and socket, and leave the
//! loop. A save that fails keeps the server up, unless it was told to go at any price. A signal asks; the timers of
//! the same turn act, and until then SHUTDOWN ABORT calls it off. *Does not know:* replicas: there are none to wait
//! for, so NOW and `shutdown-timeout` change nothing. *Counterpart in C Redis:* `prepareForShutdown`,
//! `finishShutdown`, `abortShutdown`.

use std::path::Path;
use std::time::Duration;

use super::Server;
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
}

impl Server {
    /// Saves what must be saved and sets the loop's exit code. `Err`: the server stays, for the reason given.
    pub fn shutdown(&mut self, how: Shutdown) -> Result<(), String> {
        signals::set_stopping(true);
        log::warn!("User requested shutdown...");
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
        self.write_replies();
        if !self.config.unixsocket.is_empty() {
            log::info!("Removing the unix socket file.");
            // It may be gone already; then there is nothing to remove.
            let _ = std::fs::remove_file(&self.config.unixsocket);
        }
        super::startup::tell_manager("STOPPING=1\n");
        log::warn!("Redis is now ready to exit, bye bye...");
        self.turn.exit = Some(0);
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
            if let Err(reason) = self.shutdown(Shutdown { saving: Saving::ByConfig, force: false }) {
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
        if self.shutdown(by_signal(flags)).is_err() {
            log::warn!(
                "{name} received but errors trying to shut down the server, check the logs for more information"
            );
        }
    }
}

impl Server {
    /// SHUTDOWN ABORT. `false`: nobody has asked for a shutdown.
    pub fn abort_shutdown(&mut self) -> bool {
        let was_asked = self.turn.stop_signal.take().is_some();
        if was_asked {
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
    Shutdown { saving, force: flags.force }
}
