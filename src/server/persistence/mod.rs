//! Snapshots: when they are made, by whom, and what became of them.
//!
//! *Duty:* drive SAVE, BGSAVE, save points and loading; the format is `rdb`'s, the child `sys::fork`'s.
//! *Counterpart in C Redis:* `rdb.c`'s background half, `childinfo.c`, the save points of `serverCron`.

use super::Server;

impl Server {
    pub(super) fn persistence_cron(&mut self) {}

    pub(super) fn on_child_report(&mut self) {}

    /// A signal came, or a child ended.
    pub(super) fn on_wake(&mut self) {}
}
