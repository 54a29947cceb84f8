//! INFO commandstats, errorstats and latencystats.
//!
//! *Duty:* one line for each command that was called or refused, and for each kind of error that was replied.
//! *Counterpart in C Redis:* `genRedisInfoStringCommandStats`.

use super::Text;
use crate::server::Server;
use crate::server::registry::RowStats;
use crate::sys::clock;

pub fn commands(srv: &Server, out: &mut Text) {
    for (_, row) in srv.registry.rows() {
        let RowStats { calls, ticks, rejected, failed } = row.stats;
        if calls == 0 && rejected == 0 && failed == 0 {
            continue;
        }
        let us = clock::ticks_to_ns(ticks) as f64 / 1000.0;
        let mean = if calls == 0 { 0.0 } else { us / calls as f64 };
        out.line(
            format_args!("cmdstat_{}", row.spec.name),
            format_args!(
                "calls={calls},usec={us:.0},usec_per_call={mean:.2},rejected_calls={rejected},failed_calls={failed}"
            ),
        );
    }
}

pub fn errors(srv: &Server, out: &mut Text) {
    for (prefix, count) in &srv.stats.errors {
        out.line(format_args!("errorstat_{}", prefix.escape_ascii()), format_args!("count={count}"));
    }
}

/// How long most calls of each command took.
pub fn latencies(srv: &Server, out: &mut Text) {
    if !srv.config.latency_tracking {
        return;
    }
    for (_, row) in srv.registry.rows() {
        let Some(latencies) = row.latencies() else { continue };
        let us = |percent: f64| latencies.percentile(percent) as f64 / 1000.0;
        let percentiles = srv.config.latency_tracking_info_percentiles.iter();
        let shown: Vec<String> = percentiles.map(|p| format!("p{}={:.3}", short(*p), us(*p))).collect();
        out.line(format_args!("latency_percentiles_usec_{}", row.spec.name), shown.join(","));
    }
}

/// Six digits behind the point, but none that says nothing.
fn short(percent: f64) -> String {
    let text = format!("{percent:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
