//! What must happen when a directive changes.

use super::Server;
use super::gates::Alarm;

impl Server {
    /// Carries the configuration to everything that keeps a copy of a part of it.
    pub fn apply_all_config(&mut self) {
        self.exec.set_alarm(Alarm::MEMORY, self.config.maxmemory > 0);
        self.ks.settings.max_string = self.config.proto_max_bulk_len;
        self.refresh_wants();
    }
}
