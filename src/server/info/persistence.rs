//! INFO persistence.
//!
//! *Duty:* [`PersistenceFacts`] is all that the section, CONFIG SET and the gates' alarm need to know of snapshots.
//! *Does not know:* how snapshots are made. *Counterpart in C Redis:* the same section of `genRedisInfoString`.

use super::Text;
use crate::server::Server;
use crate::sys::bio::Kind;

/// What is known of loading, snapshots and the append only file.
#[derive(Clone, Debug, Default)]
pub struct PersistenceFacts {
    pub loading: Option<Loading>,
    /// Copy-on-write bytes of the child that runs, now and at most, and how old that report is, in seconds.
    pub cow_size: u64,
    pub cow_peak: u64,
    pub cow_age_s: u64,
    pub keys_processed: u64,
    pub keys_total: u64,
    pub bgsave_running: bool,
    /// Unix seconds.
    pub last_save_s: i64,
    pub last_bgsave_ok: bool,
    /// Seconds; `None`: there was none, or there is none.
    pub last_bgsave_time_s: Option<i64>,
    pub current_bgsave_time_s: Option<i64>,
    pub saves: u64,
    pub last_cow_size: u64,
    pub last_load_keys_expired: u64,
    pub last_load_keys_loaded: u64,
    pub latest_fork_us: u64,
}

/// A load that is going on.
#[derive(Clone, Debug, Default)]
pub struct Loading {
    /// Unix seconds.
    pub started_s: i64,
    pub total_bytes: u64,
    pub loaded_bytes: u64,
    /// Used memory of the server that wrote the file.
    pub writer_memory: u64,
}

pub fn facts(srv: &Server) -> PersistenceFacts {
    let (state, now) = (&srv.persistence, srv.clock.now());
    PersistenceFacts {
        loading: state.loading.map(|loading| Loading {
            started_s: loading.loading_start_time,
            total_bytes: loading.loading_total_bytes,
            loaded_bytes: loading.loading_loaded_bytes,
            writer_memory: loading.loading_rdb_used_mem,
        }),
        cow_size: state.current_cow_size,
        cow_peak: state.current_cow_peak,
        cow_age_s: state.current_cow_size_age(srv.clock.mono_us()),
        keys_processed: state.current_save_keys_processed,
        keys_total: state.current_save_keys_total,
        bgsave_running: state.rdb_bgsave_in_progress(),
        last_save_s: state.rdb_last_save_time,
        last_bgsave_ok: state.last_bgsave_ok,
        last_bgsave_time_s: Some(state.rdb_last_bgsave_time_sec).filter(|seconds| *seconds >= 0),
        current_bgsave_time_s: Some(state.rdb_current_bgsave_time_sec(now)).filter(|seconds| *seconds >= 0),
        saves: state.rdb_saves,
        last_cow_size: state.rdb_last_cow_size,
        last_load_keys_expired: state.rdb_last_load_keys_expired,
        last_load_keys_loaded: state.rdb_last_load_keys_loaded,
        latest_fork_us: state.latest_fork_usec,
    }
}

pub fn write(srv: &Server, out: &mut Text) {
    let facts = facts(srv);
    let percent =
        if facts.keys_total == 0 { 0.0 } else { 100.0 * facts.keys_processed as f64 / facts.keys_total as f64 };
    out.flag("loading", facts.loading.is_some() && !srv.persistence.async_loading);
    out.numbers(&[
        ("async_loading", srv.persistence.async_loading as u64),
        ("current_cow_peak", facts.cow_peak),
        ("current_cow_size", facts.cow_size),
        ("current_cow_size_age", facts.cow_age_s),
    ]);
    out.hundredths("current_fork_perc", percent);
    out.numbers(&[
        ("current_save_keys_processed", facts.keys_processed),
        ("current_save_keys_total", facts.keys_total),
        ("rdb_changes_since_last_save", srv.exec.dirty),
        ("rdb_bgsave_in_progress", facts.bgsave_running as u64),
    ]);
    out.line("rdb_last_save_time", facts.last_save_s);
    out.line("rdb_last_bgsave_status", if facts.last_bgsave_ok { "ok" } else { "err" });
    out.line("rdb_last_bgsave_time_sec", facts.last_bgsave_time_s.unwrap_or(-1));
    out.line("rdb_current_bgsave_time_sec", facts.current_bgsave_time_s.unwrap_or(-1));
    out.numbers(&[
        ("rdb_saves", facts.saves),
        ("rdb_last_cow_size", facts.last_cow_size),
        ("rdb_last_load_keys_expired", facts.last_load_keys_expired),
        ("rdb_last_load_keys_loaded", facts.last_load_keys_loaded),
    ]);
    append_only_file(srv, out);
    out.numbers(&[("module_fork_in_progress", 0), ("module_fork_last_cow_size", 0)]);
    append_only_growth(srv, out);
    if let Some(loading) = &facts.loading {
        progress(loading, srv.clock.now().secs(), out);
    }
}

fn append_only_file(srv: &Server, out: &mut Text) {
    let state = &srv.persistence;
    let aof = &state.aof;
    out.numbers(&[
        ("aof_enabled", aof.is_on() as u64),
        ("aof_rewrite_in_progress", state.aof_rewrite_in_progress() as u64),
        ("aof_rewrite_scheduled", aof.aof_rewrite_scheduled as u64),
    ]);
    out.line("aof_last_rewrite_time_sec", aof.aof_last_rewrite_time_sec.unwrap_or(-1));
    out.line("aof_current_rewrite_time_sec", state.aof_current_rewrite_time_sec(srv.clock.now()));
    out.line("aof_last_bgrewrite_status", if aof.aof_last_bgrewrite_failed { "err" } else { "ok" });
    out.numbers(&[
        ("aof_rewrites", aof.aof_rewrites),
        ("aof_rewrites_consecutive_failures", aof.aof_rewrites_consecutive_failures),
    ]);
    out.line("aof_last_write_status", if aof.error().is_some() { "err" } else { "ok" });
    out.line("aof_last_cow_size", aof.aof_last_cow_size);
}

/// What there is to say of the append only file while there is one.
fn append_only_growth(srv: &Server, out: &mut Text) {
    let aof = &srv.persistence.aof;
    if !aof.is_on() {
        return;
    }
    out.numbers(&[
        ("aof_current_size", aof.aof_current_size),
        ("aof_base_size", aof.aof_base_size),
        ("aof_pending_rewrite", aof.aof_rewrite_scheduled as u64),
        ("aof_buffer_length", aof.buffer_len() as u64),
        ("aof_pending_bio_fsync", srv.bio.pending(Kind::Fsync) as u64),
        ("aof_delayed_fsync", aof.aof_delayed_fsync),
        ("aof_bootstrapped_from_rdb", aof.aof_bootstrapped_from_rdb as u64),
    ]);
}

fn progress(loading: &Loading, now_s: i64, out: &mut Text) {
    let (done, total) = (loading.loaded_bytes, loading.total_bytes);
    let elapsed = (now_s - loading.started_s).max(0) as u64;
    // Before the first byte nothing can be foretold; the reference says 1 second then.
    let eta = (elapsed * total.saturating_sub(done)).checked_div(done).unwrap_or(1);
    out.line("loading_start_time", loading.started_s);
    out.line("loading_total_bytes", total);
    out.line("loading_rdb_used_mem", loading.writer_memory);
    out.line("loading_loaded_bytes", done);
    out.hundredths("loading_loaded_perc", if total == 0 { 0.0 } else { 100.0 * done as f64 / total as f64 });
    out.line("loading_eta_seconds", eta);
}
