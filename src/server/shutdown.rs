//! The end: SHUTDOWN, SIGTERM, SIGINT.
//!
//! *Duty:* end a child, save if save points ask for it (or the caller does), remove pidfile and socket, and leave the
//! loop. A save that fails keeps the server up, unless it was told to go at any price. *Counterpart in C Redis:*
//! `prepareForShutdown`, `finishShutdown`.

use super::Server;
use crate::config::ShutdownFlags;
use crate::sys::{process, signals};

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
        self.kill_save_child();
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
                    signals::set_stopping(false);
                    super::startup::tell_manager("STATUS=Error trying to save the DB, can't exit\n");
                    return Err(error);
                }
                log::warn!("Exiting all the same, as asked.");
            }
        }
        if let Some(path) = super::startup::pidfile(&self.config, self.config.daemonize) {
            log::info!("Removing the pid file.");
            process::remove_pidfile(std::path::Path::new(&path));
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

    /// What signals have asked for since the last turn.
    pub fn on_signals(&mut self) {
        let pending = signals::take_pending();
        if pending.child {
            self.reap_child();
        }
        let Some(signal) = pending.terminate else { return };
        let (name, flags) = match signal {
            nix::sys::signal::Signal::SIGINT => ("SIGINT", self.config.shutdown_on_sigint),
            _ => ("SIGTERM", self.config.shutdown_on_sigterm),
        };
        log::warn!("Received {name} scheduling shutdown...");
        log::warn!("User requested shutdown...");
        if self.shutdown(by_signal(flags)).is_err() {
            log::warn!(
                "{name} received but errors trying to shut down the server, check the logs for more information"
            );
        }
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
