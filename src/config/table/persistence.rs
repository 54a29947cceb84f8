//! Directives of files: snapshots and the append only file.
//!
//! *Duty:* the rows of the parameters that saving, loading and the append only file read.
//! *Does not know:* how words are read and printed (`directive`, `special`), and what a change entails.
//! *Invariants:* the bounds lie within the field's type; flags are those of 7.0.15 (`table/tests.rs`).
//! *Counterpart in C Redis:* the same rows of `static_configs[]`; `file-lock` and `aof-checksum` are ours.

use super::{checks, special};
use crate::config::directive::{Directive, Flags, Kind};
use crate::config::number::Form;
use crate::config::values::Choice;

pub(super) const ROWS: &[Directive] = &[
    text!("dir", dir).flags(Flags::PROTECTED).flags(Flags::DENY_LOADING),
    text!("dbfilename", dbfilename).flags(Flags::PROTECTED).check(checks::dbfilename),
    special::SAVE,
    yes_no!("stop-writes-on-bgsave-error", stop_writes_on_bgsave_error),
    yes_no!("rdbcompression", rdbcompression),
    yes_no!("rdbchecksum", rdbchecksum).immutable(),
    yes_no!("rdb-save-incremental-fsync", rdb_save_incremental_fsync),
    yes_no!("rdb-del-sync-files", rdb_del_sync_files),
    choice!("sanitize-dump-payload", sanitize_dump_payload).flags(Flags::DEBUG),
    number!("rdb-key-save-delay", rdb_key_save_delay, i32::MIN, i32::MAX).flags(Flags::HIDDEN),
    number!("key-load-delay", key_load_delay, i32::MIN, i32::MAX).flags(Flags::HIDDEN),
    number!("loading-process-events-interval-bytes", loading_process_events_interval_bytes, 1024, i32::MAX)
        .flags(Flags::HIDDEN),
    yes_no!("file-lock", file_lock),
    yes_no!("appendonly", appendonly).flags(Flags::DENY_LOADING),
    text!("appendfilename", appendfilename).immutable().check(checks::appendfilename),
    text!("appenddirname", appenddirname).immutable().check(checks::appenddirname),
    choice!("appendfsync", appendfsync),
    yes_no!("no-appendfsync-on-rewrite", no_appendfsync_on_rewrite),
    number!("auto-aof-rewrite-percentage", auto_aof_rewrite_percentage, 0, i32::MAX),
    number!("auto-aof-rewrite-min-size", auto_aof_rewrite_min_size, 0, i64::MAX, Form::Memory),
    yes_no!("aof-load-truncated", aof_load_truncated),
    yes_no!("aof-use-rdb-preamble", aof_use_rdb_preamble),
    yes_no!("aof-timestamp-enabled", aof_timestamp_enabled),
    yes_no!("aof-rewrite-incremental-fsync", aof_rewrite_incremental_fsync),
    yes_no!("aof-disable-auto-gc", aof_disable_auto_gc),
    yes_no!("aof-checksum", aof_checksum),
];
