//! Directives of cluster mode.
//!
//! *Duty:* the rows of the parameters that the cluster core and its driver read.
//! *Does not know:* how words are read and printed (`directive`, `special`), and what a change entails.
//! *Invariants:* the bounds lie within the field's type; flags are those of 7.0.15 (`table/tests.rs`).
//! *Counterpart in C Redis:* the same rows of `static_configs[]`.

use super::checks;
use crate::config::directive::{Directive, Kind};
use crate::config::number::Form;
use crate::config::values::Choice;

pub(super) const ROWS: &[Directive] = &[
    yes_no!("cluster-enabled", cluster_enabled).immutable(),
    text!("cluster-config-file", cluster_config_file).immutable(),
    number!("cluster-node-timeout", cluster_node_timeout, 0, i64::MAX),
    number!("cluster-port", cluster_port, 0, 65535).immutable(),
    text!("cluster-announce-ip", cluster_announce_ip),
    text!("cluster-announce-hostname", cluster_announce_hostname).check(checks::announced_hostname),
    number!("cluster-announce-port", cluster_announce_port, 0, 65535),
    number!("cluster-announce-tls-port", cluster_announce_tls_port, 0, 65535),
    number!("cluster-announce-bus-port", cluster_announce_bus_port, 0, 65535),
    choice!("cluster-preferred-endpoint-type", cluster_preferred_endpoint_type),
    number!("cluster-replica-validity-factor", cluster_replica_validity_factor, 0, i32::MAX)
        .alias("cluster-slave-validity-factor"),
    yes_no!("cluster-replica-no-failover", cluster_replica_no_failover).alias("cluster-slave-no-failover"),
    number!("cluster-migration-barrier", cluster_migration_barrier, 0, i32::MAX),
    yes_no!("cluster-allow-replica-migration", cluster_allow_replica_migration),
    yes_no!("cluster-require-full-coverage", cluster_require_full_coverage),
    yes_no!("cluster-allow-reads-when-down", cluster_allow_reads_when_down),
    yes_no!("cluster-allow-pubsubshard-when-down", cluster_allow_pubsubshard_when_down),
    number!("cluster-link-sendbuf-limit", cluster_link_sendbuf_limit, 0, u64::MAX, Form::Memory),
];
