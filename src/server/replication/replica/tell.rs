//! What a replica tells of itself: INFO, ROLE.
//!
//! *Duty:* the lines of INFO replication that only a replica has, and ROLE's answer. *Does not know:* the lines of a
//! master, which follow them. *Counterpart in C Redis:* the replica's half of `genRedisInfoString` and `roleCommand`.

use crate::call::Call;
use crate::server::Server;
use crate::server::info::Text;

impl Server {
    /// The lines behind `role:slave`.
    pub(in crate::server) fn write_replica_info(&self, out: &mut Text) {
        let (Some(follow), Some(master)) = (&self.replication.follow, &self.config.replicaof) else { return };
        let (link, now) = (&follow.link, self.clock.now());
        out.line("master_host", &master.host);
        out.line("master_port", master.port);
        out.line("master_link_status", if follow.is_up() { "up" } else { "down" });
        out.line("master_last_io_seconds_ago", link.last_io_secs(now).unwrap_or(-1));
        out.flag("master_sync_in_progress", link.is_syncing());
        out.line("slave_read_repl_offset", link.read_offset().unwrap_or(1));
        out.line("slave_repl_offset", link.offset().unwrap_or(1));
        if let Some(progress) = link.progress(now) {
            let read = i64::try_from(progress.read).unwrap_or(i64::MAX);
            out.line("master_sync_total_bytes", progress.total);
            out.line("master_sync_read_bytes", read);
            out.line("master_sync_left_bytes", progress.total - read);
            let share = if progress.total > 0 { 100.0 * read as f64 / progress.total as f64 } else { 0.0 };
            out.hundredths("master_sync_perc", share);
            out.line("master_sync_last_io_seconds_ago", progress.last_io_secs);
        }
        if !follow.is_up() {
            let just_now = if link.is_online() { 0 } else { -1 };
            let since = link.down_since().map_or(just_now, |since| now.since(since).max(0) / 1000);
            out.line("master_link_down_since_seconds", since);
            if let Some(error) = link.error(now) {
                out.line("master_link_error", error);
            }
        }
        out.line("slave_priority", self.config.replica_priority);
        out.flag("slave_read_only", self.config.replica_read_only);
        out.flag("replica_announced", self.config.replica_announced);
    }

    /// ROLE's answer; `false`: this is a master.
    pub(in crate::server) fn reply_replica_role(&self, call: &mut Call<'_>) -> bool {
        let (Some(follow), Some(master)) = (&self.replication.follow, &self.config.replicaof) else { return false };
        let link = &follow.link;
        call.reply.array(5);
        call.reply.bulk(b"slave");
        call.reply.bulk(master.host.as_bytes());
        call.reply.int(i64::from(master.port));
        let ending = link.is_online() && !follow.is_up();
        call.reply.bulk(if ending { "connect" } else { link.role_state() }.as_bytes());
        let offset = if follow.is_up() { link.offset() } else { None };
        call.reply.int(offset.map_or(-1, |offset| offset as i64));
        true
    }
}
