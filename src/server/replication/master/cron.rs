//! The master's clock: once a second, ten times while a failover waits.
//!
//! *Duty:* PING in the stream, newlines to those who wait for a data set, the end of those who are silent, the end of a backlog
//! that nobody needs, children that are due, the file that was made for replicas only. *Does not know:* when any of it is
//! due, which `repl::Replicas` decides. *Counterpart in C Redis:* the master's half of `replicationCron`.

use super::sync::say;
use crate::base::ids::RunId;
use crate::repl::master::PeerId;
use crate::server::Server;

const PERIOD_US: u64 = 1_000_000;
const FAILOVER_PERIOD_US: u64 = 100_000;

impl Server {
    /// Part of cron.
    pub fn master_cron(&mut self) {
        let now_us = self.clock.mono_us();
        self.go_on_shutting_down();
        if now_us < self.replication.master.next_cron_us {
            return;
        }
        let failing_over = self.replication.failover.is_active();
        self.replication.master.next_cron_us = now_us + if failing_over { FAILOVER_PERIOD_US } else { PERIOD_US };
        self.tick_failover();
        if self.persistence.loading.is_some() {
            return;
        }
        self.ping_replicas();
        let child = self.running_child();
        let waiting: Vec<PeerId> = self.replication.replicas.kept_waiting(child).collect();
        waiting.into_iter().for_each(|id| self.tell(id, b"\n"));
        let now = self.clock.now();
        for (id, line) in self.replication.replicas.timed_out(now, self.config.repl_timeout, child) {
            say(line);
            self.close_peer(id);
        }
        self.expire_backlog();
        self.replication.backlog.trim(usize::MAX);
        self.start_due_sync();
        self.remove_sync_file();
    }

    fn ping_replicas(&mut self) {
        let replication = &mut self.replication;
        if replication.is_replica() || !replication.is_fed() {
            return;
        }
        let due = replication.replicas.ping_due(self.clock.now(), self.config.repl_ping_replica_period);
        let stands_still = replication.failover.holds_stream() && self.pause.is_on();
        if due && !stands_still {
            self.feed_own(&[b"PING"]);
        }
    }

    fn expire_backlog(&mut self) {
        let replication = &mut self.replication;
        if replication.is_replica() || !replication.backlog.is_active() || !replication.replicas.is_empty() {
            return;
        }
        let id = RunId::random(&mut self.ks.rng);
        let (now, ttl) = (self.clock.now(), self.config.repl_backlog_ttl);
        let line = replication.replicas.expire_backlog(now, ttl, &mut replication.ids, &mut replication.backlog, id);
        if let Some(line) = line {
            say(line);
            self.refresh_wants();
        }
    }

    /// `rdb-del-sync-files`: where nothing is to be kept on disk, the file that replicas got does not stay.
    fn remove_sync_file(&mut self) {
        let keeps_nothing = self.config.save.is_empty() && !self.config.appendonly;
        let master = &mut self.replication.master;
        if !self.config.rdb_del_sync_files || !keeps_nothing || !master.file_for_replicas {
            return;
        }
        if self.replication.replicas.any_syncing() || self.persistence.child.is_some() {
            return;
        }
        self.replication.master.file_for_replicas = false;
        let path = self.snapshot_path();
        if path.exists() {
            log::info!("Removing the RDB file used to feed replicas in a persistence-less instance");
            self.remove_in_background(&path);
        }
    }
}
