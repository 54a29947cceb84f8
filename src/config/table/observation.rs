//! Directives of watching the server: slow log, latency, notifications, slow scripts.
//!
//! *Duty:* the rows of the parameters that tell what is recorded and published about the server's work.
//! *Does not know:* how words are read and printed (`directive`, `special`), and what a change entails.
//! *Invariants:* the bounds lie within the field's type; flags are those of 7.0.15 (`table/tests.rs`).
//! *Counterpart in C Redis:* the same rows of `static_configs[]`.

use super::special;
use crate::config::directive::{Directive, Flags, Kind};
use crate::config::number::Form;
use crate::config::values::Choice;

pub(super) const ROWS: &[Directive] = &[
    number!("slowlog-log-slower-than", slowlog_log_slower_than, -1, i64::MAX),
    number!("slowlog-max-len", slowlog_max_len, 0, i64::MAX),
    number!("latency-monitor-threshold", latency_monitor_threshold, 0, i64::MAX),
    yes_no!("latency-tracking", latency_tracking),
    special::LATENCY_TRACKING_INFO_PERCENTILES,
    special::NOTIFY_KEYSPACE_EVENTS,
    number!("busy-reply-threshold", busy_reply_threshold, 0, i64::MAX).alias("lua-time-limit"),
    yes_no!("lua-enable-deprecated-api", lua_enable_deprecated_api).immutable().flags(Flags::HIDDEN),
    choice!("propagation-error-behavior", propagation_error_behavior),
    yes_no!("replica-ignore-disk-write-errors", replica_ignore_disk_write_errors),
];
