//! Directives of memory: the limit, eviction, expiry, lazy freeing, defragmentation, encodings.
//!
//! *Duty:* the rows of the parameters that the keyspace and the value types read.
//! *Does not know:* how words are read and printed (`directive`, `special`), and what a change entails.
//! *Invariants:* the bounds lie within the field's type; flags are those of 7.0.15 (`table/tests.rs`).
//! *Counterpart in C Redis:* the same rows of `static_configs[]`.

use super::checks;
use crate::config::directive::{Directive, Flags, Kind};
use crate::config::number::Form;
use crate::config::values::Choice;

pub(super) const ROWS: &[Directive] = &[
    number!("maxmemory", maxmemory, 0, u64::MAX, Form::Memory),
    choice!("maxmemory-policy", maxmemory_policy),
    number!("maxmemory-samples", maxmemory_samples, 1, i32::MAX),
    number!("maxmemory-eviction-tenacity", maxmemory_eviction_tenacity, 0, 100),
    number!("maxmemory-clients", maxmemory_clients, -100, i64::MAX, Form::MemoryOrPercent),
    number!("lfu-log-factor", lfu_log_factor, 0, i32::MAX),
    number!("lfu-decay-time", lfu_decay_time, 0, i32::MAX),
    yes_no!("lazyfree-lazy-eviction", lazyfree_lazy_eviction).flags(Flags::DEBUG),
    yes_no!("lazyfree-lazy-expire", lazyfree_lazy_expire).flags(Flags::DEBUG),
    yes_no!("lazyfree-lazy-server-del", lazyfree_lazy_server_del).flags(Flags::DEBUG),
    yes_no!("lazyfree-lazy-user-del", lazyfree_lazy_user_del).flags(Flags::DEBUG),
    yes_no!("lazyfree-lazy-user-flush", lazyfree_lazy_user_flush).flags(Flags::DEBUG),
    number!("active-expire-effort", active_expire_effort, 1, 10),
    yes_no!("activedefrag", activedefrag).flags(Flags::DEBUG).check(checks::activedefrag),
    number!("active-defrag-cycle-min", active_defrag_cycle_min, 1, 99),
    number!("active-defrag-cycle-max", active_defrag_cycle_max, 1, 99),
    number!("active-defrag-threshold-lower", active_defrag_threshold_lower, 0, 1000),
    number!("active-defrag-threshold-upper", active_defrag_threshold_upper, 0, 1000),
    number!("active-defrag-ignore-bytes", active_defrag_ignore_bytes, 1, i64::MAX, Form::Memory),
    number!("active-defrag-max-scan-fields", active_defrag_max_scan_fields, 1, i64::MAX),
    number!("tracking-table-max-keys", tracking_table_max_keys, 0, i64::MAX),
    number!("hash-max-listpack-entries", hash_max_listpack_entries, 0, i64::MAX).alias("hash-max-ziplist-entries"),
    number!("hash-max-listpack-value", hash_max_listpack_value, 0, i64::MAX, Form::Memory)
        .alias("hash-max-ziplist-value"),
    number!("list-max-listpack-size", list_max_listpack_size, i32::MIN, i32::MAX).alias("list-max-ziplist-size"),
    number!("list-compress-depth", list_compress_depth, 0, i32::MAX).flags(Flags::DEBUG),
    number!("set-max-intset-entries", set_max_intset_entries, 0, i64::MAX),
    number!("zset-max-listpack-entries", zset_max_listpack_entries, 0, i64::MAX).alias("zset-max-ziplist-entries"),
    number!("zset-max-listpack-value", zset_max_listpack_value, 0, i64::MAX, Form::Memory)
        .alias("zset-max-ziplist-value"),
    number!("hll-sparse-max-bytes", hll_sparse_max_bytes, 0, i64::MAX, Form::Memory),
    number!("stream-node-max-bytes", stream_node_max_bytes, 0, i64::MAX, Form::Memory),
    number!("stream-node-max-entries", stream_node_max_entries, 0, i64::MAX),
];
