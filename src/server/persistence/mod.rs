//! Snapshots: when they are made, by whom, and what became of them.
//!
//! *Duty:* drive SAVE, BGSAVE, save points and loading; the format is `rdb`'s, the child `sys::fork`'s.
//! *Counterpart in C Redis:* `rdb.c`'s background half, `childinfo.c`, the save points of `serverCron`.

use super::Server;

pub struct Persistence {}

impl Persistence {
    pub fn new(_: crate::base::millis::Millis) -> Persistence {
        Persistence {}
    }
}

impl Server {
    pub(super) fn persistence_cron(&mut self) {}

    pub(super) fn on_child_report(&mut self) {}

    /// A signal came, or a child ended.
    pub(super) fn on_wake(&mut self) {
        self.on_signals();
    }
    pub fn kill_save_child(&mut self) {}
    pub fn reap_child(&mut self) {}
    pub fn save_now(&mut self) -> Result<(), String> {
        Ok(())
    }
    pub fn load_at_start(&mut self) -> Result<(), String> {
        Ok(())
    }
}
