//! INFO replication and cluster.
//!
//! *Duty:* the lines of a master without replicas, which is what every server of this release is.
//! *Counterpart in C Redis:* the same sections of `genRedisInfoString`.

use super::Text;
use crate::server::Server;

pub fn write(srv: &Server, out: &mut Text) {
    out.line("role", "master");
    out.line("connected_slaves", 0);
    if srv.config.min_replicas_to_write != 0 && srv.config.min_replicas_max_lag != 0 {
        out.line("min_slaves_good_slaves", 0);
    }
    out.line("master_failover_state", "no-failover");
    out.line("master_replid", srv.replication.ids.id.as_str());
    out.line("master_replid2", srv.replication.ids.second_id().as_str());
    out.line("master_repl_offset", 0);
    out.line("second_repl_offset", -1);
    out.numbers(&[
        ("repl_backlog_active", 0),
        ("repl_backlog_size", srv.config.repl_backlog_size),
        ("repl_backlog_first_byte_offset", 0),
        ("repl_backlog_histlen", 0),
    ]);
}

pub fn cluster(srv: &Server, out: &mut Text) {
    out.flag("cluster_enabled", srv.config.cluster_enabled);
}
