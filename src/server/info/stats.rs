//! INFO stats and keyspace.
//!
//! *Duty:* counters since the start or the last CONFIG RESETSTAT; the databases' sizes. Fields of what this release
//! does not have (replicas, defragmentation) are zero because it did not happen.
//! *Counterpart in C Redis:* the same sections of `genRedisInfoString`.

use super::Text;
use super::persistence::facts;
use crate::pubsub::Kind;
use crate::server::Server;
use crate::sys::clock;

pub fn write(srv: &Server, out: &mut Text) {
    traffic(srv, out);
    keys(srv, out);
    out.numbers(&[
        ("pubsub_channels", srv.pubsub.channel_count(Kind::Channel) as u64),
        ("pubsub_patterns", srv.pubsub.pattern_count() as u64),
        ("pubsubshard_channels", srv.pubsub.channel_count(Kind::Shard) as u64),
        ("latest_fork_usec", facts(srv).latest_fork_us),
        ("total_forks", srv.stats.total_forks),
        ("migrate_cached_sockets", srv.migrations.len() as u64),
        ("slave_expires_tracked_keys", srv.replication.own.len() as u64),
        ("active_defrag_hits", 0),
        ("active_defrag_misses", 0),
        ("active_defrag_key_hits", 0),
        ("active_defrag_key_misses", 0),
        ("total_active_defrag_time", 0),
        ("current_active_defrag_time", 0),
        ("tracking_total_keys", srv.tracking.keys.len() as u64),
        ("tracking_total_items", srv.tracking.keys.items() as u64),
        ("tracking_total_prefixes", srv.tracking.prefixes.len() as u64),
    ]);
    errors_and_turns(srv, out);
}

fn traffic(srv: &Server, out: &mut Text) {
    let (stats, rates) = (&srv.stats, &srv.stats.rates);
    out.numbers(&[
        ("total_connections_received", stats.connections_received),
        ("total_commands_processed", stats.commands_processed),
        ("instantaneous_ops_per_sec", rates.commands.per_second()),
        ("total_net_input_bytes", stats.net_input_bytes + stats.net_repl_input_bytes),
        ("total_net_output_bytes", stats.net_output_bytes + stats.net_repl_output_bytes),
        ("total_net_repl_input_bytes", stats.net_repl_input_bytes),
        ("total_net_repl_output_bytes", stats.net_repl_output_bytes),
    ]);
    out.hundredths("instantaneous_input_kbps", rates.input_bytes.per_second() as f64 / 1024.0);
    out.hundredths("instantaneous_output_kbps", rates.output_bytes.per_second() as f64 / 1024.0);
    out.hundredths("instantaneous_input_repl_kbps", rates.repl_input_bytes.per_second() as f64 / 1024.0);
    out.hundredths("instantaneous_output_repl_kbps", rates.repl_output_bytes.per_second() as f64 / 1024.0);
    out.numbers(&[
        ("rejected_connections", stats.rejected_connections),
        ("sync_full", stats.sync_full),
        ("sync_partial_ok", stats.sync_partial_ok),
        ("sync_partial_err", stats.sync_partial_err),
    ]);
}

fn keys(srv: &Server, out: &mut Text) {
    let (stats, now) = (&srv.stats, srv.clock.now());
    let lag = srv.ks.dbs.iter().map(|db| db.expire_lag(now)).max().unwrap_or(0);
    out.line("expired_keys", stats.expired_keys);
    out.line("expired_subkeys", stats.expired_fields);
    // The index of deadlines is exact: no key is overdue without its being known.
    out.hundredths("expired_stale_perc", 0.0);
    out.line("expired_time_cap_reached_count", stats.expire_slices_cut);
    out.line("expire_cycle_cpu_milliseconds", clock::ticks_to_ns(stats.expire_ticks) / 1_000_000);
    out.line("expire_lag_ms", lag);
    let (total_exceeded, current_exceeded) = srv.evict.exceeded_ms(srv.clock.mono_us());
    out.numbers(&[
        ("evicted_keys", stats.evicted_keys),
        ("evicted_clients", stats.evicted_clients),
        ("total_eviction_exceeded_time", total_exceeded),
        ("current_eviction_exceeded_time", current_exceeded),
        ("keyspace_hits", stats.keyspace_hits),
        ("keyspace_misses", stats.keyspace_misses),
    ]);
}

fn errors_and_turns(srv: &Server, out: &mut Text) {
    let stats = &srv.stats;
    let us = |ticks: u64| clock::ticks_to_ns(ticks) / 1000;
    // A container's row counts nothing; each call is in the row that ran.
    let in_commands: u64 = srv.registry.rows().map(|(_, row)| row.stats.ticks).sum();
    let in_commands = in_commands.saturating_sub(stats.nested_ticks);
    let turns_per_second = stats.rates.turns.per_second();
    let turn_us = us(stats.rates.busy_ticks.per_second()).checked_div(turns_per_second).unwrap_or(0);
    out.numbers(&[
        ("unexpected_error_replies", stats.unexpected_error_replies),
        ("total_error_replies", stats.error_replies),
        ("dump_payload_sanitizations", stats.payloads_checked),
        ("total_reads_processed", stats.reads_processed),
        ("total_writes_processed", stats.writes_processed),
        ("io_threaded_reads_processed", 0),
        ("io_threaded_writes_processed", 0),
        ("client_query_buffer_limit_disconnections", stats.query_buffer_limit_disconnections),
        ("client_output_buffer_limit_disconnections", stats.output_buffer_limit_disconnections),
        ("reply_buffer_shrinks", 0),
        ("reply_buffer_expands", 0),
        ("eventloop_cycles", srv.turn.turns),
        ("eventloop_duration_sum", us(srv.turn.busy_ticks)),
        ("eventloop_duration_cmd_sum", us(in_commands)),
        ("instantaneous_eventloop_cycles_per_sec", turns_per_second),
        ("instantaneous_eventloop_duration_usec", turn_us),
        ("acl_access_denied_auth", stats.auth_failures),
        ("acl_access_denied_cmd", stats.denied_commands),
        ("acl_access_denied_key", stats.denied_keys),
        ("acl_access_denied_channel", stats.denied_channels),
    ]);
}

pub fn keyspace(srv: &Server, out: &mut Text) {
    let now = srv.clock.now();
    for (id, db) in srv.ks.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
        let (keys, expires, ttl) = (db.len(), db.volatile(), db.average_ttl(now));
        out.line(format_args!("db{id}"), format_args!("keys={keys},expires={expires},avg_ttl={ttl}"));
    }
}
