//! Directives of replication, on both sides.
//!
//! *Duty:* the rows of the parameters that the master's and the replica's drivers read.
//! *Does not know:* how words are read and printed (`directive`, `special`), and what a change entails.
//! *Invariants:* the bounds lie within the field's type; flags are those of 7.0.15 (`table/tests.rs`).
//! *Counterpart in C Redis:* the same rows of `static_configs[]`.

use super::special;
use crate::config::directive::{Directive, Flags, Kind};
use crate::config::number::Form;
use crate::config::values::Choice;

pub(super) const ROWS: &[Directive] = &[
    special::REPLICAOF,
    secret!("masterauth", masterauth),
    text!("masteruser", masteruser).flags(Flags::SENSITIVE),
    yes_no!("replica-serve-stale-data", replica_serve_stale_data).alias("slave-serve-stale-data"),
    yes_no!("replica-read-only", replica_read_only).alias("slave-read-only").flags(Flags::DEBUG),
    yes_no!("replica-lazy-flush", replica_lazy_flush).alias("slave-lazy-flush"),
    yes_no!("replica-ignore-maxmemory", replica_ignore_maxmemory).alias("slave-ignore-maxmemory"),
    number!("replica-priority", replica_priority, 0, i32::MAX).alias("slave-priority"),
    yes_no!("replica-announced", replica_announced),
    text!("replica-announce-ip", replica_announce_ip).alias("slave-announce-ip"),
    number!("replica-announce-port", replica_announce_port, 0, 65535).alias("slave-announce-port"),
    number!("repl-timeout", repl_timeout, 1, i32::MAX),
    number!("repl-ping-replica-period", repl_ping_replica_period, 1, i32::MAX).alias("repl-ping-slave-period"),
    number!("repl-backlog-size", repl_backlog_size, 1, i64::MAX, Form::Memory),
    number!("repl-backlog-ttl", repl_backlog_ttl, 0, i64::MAX),
    yes_no!("repl-disable-tcp-nodelay", repl_disable_tcp_nodelay),
    yes_no!("repl-diskless-sync", repl_diskless_sync).flags(Flags::DEBUG),
    number!("repl-diskless-sync-delay", repl_diskless_sync_delay, 0, i32::MAX),
    number!("repl-diskless-sync-max-replicas", repl_diskless_sync_max_replicas, 0, i32::MAX),
    choice!("repl-diskless-load", repl_diskless_load).flags(Flags::DEBUG).flags(Flags::DENY_LOADING),
    number!("min-replicas-to-write", min_replicas_to_write, 0, i32::MAX).alias("min-slaves-to-write"),
    number!("min-replicas-max-lag", min_replicas_max_lag, 0, i32::MAX).alias("min-slaves-max-lag"),
];
