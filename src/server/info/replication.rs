//! INFO replication and cluster.
//!
//! *Duty:* the lines of a master and its replicas; those about a server's own master are `replica`'s.
//! *Counterpart in C Redis:* the same sections of `genRedisInfoString`.

use super::Text;
use crate::server::Server;

pub fn write(srv: &Server, out: &mut Text) {
    let replication = &srv.replication;
    if replication.is_replica() {
        out.line("role", "slave");
        srv.write_replica_info(out);
    } else {
        out.line("role", "master");
    }
    out.line("connected_slaves", replication.replicas.len());
    if srv.config.min_replicas_to_write != 0 && srv.config.min_replicas_max_lag != 0 {
        out.line("min_slaves_good_slaves", srv.good_replicas());
    }
    let shown = srv.replicas().filter(|(peer, ..)| !peer.state.name().is_empty());
    for (number, (peer, host, port)) in shown.enumerate() {
        let (state, offset, lag) = (peer.state.name(), peer.ack_offset, peer.lag_secs(srv.clock.now()));
        out.line(
            format_args!("slave{number}"),
            format_args!("ip={host},port={port},state={state},offset={offset},lag={lag}"),
        );
    }
    out.line("master_failover_state", replication.failover.state_name());
    out.line("master_replid", replication.ids.id.as_str());
    out.line("master_replid2", replication.ids.second_id().as_str());
    let backlog = &replication.backlog;
    out.line("master_repl_offset", backlog.offset());
    out.line("second_repl_offset", replication.ids.second_offset());
    out.numbers(&[
        ("repl_backlog_active", u64::from(backlog.is_active())),
        ("repl_backlog_size", srv.config.repl_backlog_size),
        ("repl_backlog_first_byte_offset", if backlog.is_active() { backlog.first() + 1 } else { 0 }),
        ("repl_backlog_histlen", backlog.len()),
    ]);
}

pub fn cluster(srv: &Server, out: &mut Text) {
    out.flag("cluster_enabled", srv.config.cluster_enabled);
}
