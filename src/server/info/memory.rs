//! INFO memory.
//!
//! *Duty:* the process' memory from three sides: what was asked of the allocator, what the allocator took from the
//! kernel, what is resident. *Counterpart in C Redis:* `getMemoryOverheadData`, the memory section of
//! `genRedisInfoString`.

use super::Text;
use super::text::ratio;
use crate::config::Choice;
use crate::server::Server;
use crate::sys::{alloc, bio, kernel, process};

pub fn write(srv: &Server, out: &mut Text) {
    let used = srv.used_memory() as u64;
    let rss = process::rss_bytes();
    let peak = used.max(srv.stats.peak_memory as u64);
    out.bytes("used_memory", used);
    out.bytes("used_memory_rss", rss);
    out.bytes("used_memory_peak", peak);
    out.line("used_memory_peak_perc", format_args!("{:.2}%", ratio(used, peak) * 100.0));
    let clients = srv.clients.memory() as u64;
    data_and_overhead(srv, used, clients, out);
    let allocator = allocator(out);
    out.bytes("total_system_memory", kernel::total_ram());
    scripts(out);
    out.bytes("maxmemory", srv.config.maxmemory);
    out.line("maxmemory_policy", srv.config.maxmemory_policy.name());
    fragmentation(allocator, rss, used, out);
    out.numbers(&[
        ("mem_not_counted_for_evict", 0),
        ("mem_replication_backlog", 0),
        ("mem_total_replication_buffers", 0),
        ("mem_clients_slaves", 0),
        ("mem_clients_normal", clients),
        ("mem_cluster_links", 0),
        ("mem_aof_buffer", 0),
    ]);
    out.line("mem_allocator", alloc::allocator_name());
    out.numbers(&[
        ("active_defrag_running", 0),
        ("lazyfree_pending_objects", srv.bio.pending(bio::Kind::Drop) as u64),
        ("lazyfreed_objects", srv.stats.lazyfreed_objects),
    ]);
}

fn data_and_overhead(srv: &Server, used: u64, clients: u64, out: &mut Text) {
    let startup = srv.stats.startup_memory as u64;
    // What an empty server's tables take is part of its startup memory.
    let overhead = (startup + clients + srv.table_memory().saturating_sub(srv.stats.startup_tables) as u64).min(used);
    let dataset = used - overhead;
    out.line("used_memory_overhead", overhead);
    out.line("used_memory_startup", startup);
    out.line("used_memory_dataset", dataset);
    let grown = used.saturating_sub(startup);
    out.line("used_memory_dataset_perc", format_args!("{:.2}%", (ratio(dataset, grown) * 100.0).min(100.0)));
}

fn allocator(out: &mut Text) -> alloc::AllocatorStats {
    let stats = alloc::allocator_stats();
    out.numbers(&[
        ("allocator_allocated", stats.allocated as u64),
        ("allocator_active", stats.active as u64),
        ("allocator_resident", stats.resident as u64),
    ]);
    stats
}

/// There is no script engine, so nothing of it is in memory.
fn scripts(out: &mut Text) {
    out.numbers(&[("used_memory_lua", 0), ("used_memory_vm_eval", 0)]);
    out.human("used_memory_lua", 0);
    out.numbers(&[
        ("used_memory_scripts_eval", 0),
        ("number_of_cached_scripts", 0),
        ("number_of_functions", 0),
        ("number_of_libraries", 0),
        ("used_memory_vm_functions", 0),
    ]);
    out.bytes("used_memory_vm_total", 0);
    out.line("used_memory_functions", 0);
    out.bytes("used_memory_scripts", 0);
}

fn fragmentation(stats: alloc::AllocatorStats, rss: u64, used: u64, out: &mut Text) {
    let (allocated, active, resident) = (stats.allocated as u64, stats.active as u64, stats.resident as u64);
    let pairs = [
        ("allocator_frag", active, allocated),
        ("allocator_rss", resident, active),
        ("rss_overhead", rss, resident),
        ("mem_fragmentation", rss, used),
    ];
    for (name, more, less) in pairs {
        out.line(format_args!("{name}_ratio"), format_args!("{:.2}", ratio(more, less)));
        out.line(format_args!("{name}_bytes"), more as i64 - less as i64);
    }
}
