//! INFO commandstats and errorstats.
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
