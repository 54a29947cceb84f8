//! INFO memory.
//!
//! *Duty:* the names under which the figures are known. *Does not know:* where they come from (`server::memory`).
//! *Counterpart in C Redis:* the memory section of `genRedisInfoString`.

use super::Text;
use crate::config::Choice;
use crate::server::Server;
use crate::server::memory::MemoryReport;
use crate::sys::{alloc, kernel};

pub fn write(srv: &Server, out: &mut Text) {
    let (report, stream) = (srv.memory_report(), srv.replication.backlog.memory());
    out.bytes("used_memory", report.used);
    out.bytes("used_memory_rss", report.rss);
    out.bytes("used_memory_peak", report.peak);
    out.line("used_memory_peak_perc", format_args!("{:.2}%", report.peak_percent()));
    out.line("used_memory_overhead", report.overhead);
    out.line("used_memory_startup", report.startup);
    out.line("used_memory_dataset", report.dataset);
    out.line("used_memory_dataset_perc", format_args!("{:.2}%", report.dataset_percent()));
    out.numbers(&[
        ("allocator_allocated", report.allocator.allocated as u64),
        ("allocator_active", report.allocator.active as u64),
        ("allocator_resident", report.allocator.resident as u64),
    ]);
    out.bytes("total_system_memory", kernel::total_ram());
    scripts(srv, out);
    out.bytes("maxmemory", srv.config.maxmemory);
    out.line("maxmemory_policy", srv.config.maxmemory_policy.name());
    fragmentation(&report, out);
    out.numbers(&[
        ("mem_not_counted_for_evict", srv.mem_not_counted_for_evict() as u64),
        ("mem_replication_backlog", stream.backlog),
        ("mem_total_replication_buffers", stream.total),
        ("mem_clients_slaves", stream.replicas),
        ("mem_clients_normal", report.clients),
        ("mem_cluster_links", 0),
        ("mem_aof_buffer", srv.persistence.aof.buffer_memory() as u64),
    ]);
    out.line("mem_allocator", alloc::allocator_name());
    out.numbers(&[
        ("active_defrag_running", 0),
        ("lazyfree_pending_objects", srv.bio.pending_objects() as u64),
        ("lazyfreed_objects", srv.bio.dropped_objects() - srv.stats.lazyfreed_before),
    ]);
}

/// Lua and what it runs.
fn scripts(srv: &Server, out: &mut Text) {
    let (vm, texts) = (srv.scripts.vm_memory() as u64, srv.scripts.cache().memory() as u64);
    let (functions_vm, functions) = (srv.functions.vm_memory() as u64, srv.functions.libraries());
    let functions_texts = functions.memory() as u64;
    out.numbers(&[("used_memory_lua", vm), ("used_memory_vm_eval", vm)]);
    out.human("used_memory_lua", vm);
    out.numbers(&[
        ("used_memory_scripts_eval", texts),
        ("number_of_cached_scripts", srv.scripts.cache().len() as u64),
        ("number_of_functions", functions.function_count() as u64),
        ("number_of_libraries", functions.len() as u64),
        ("used_memory_vm_functions", functions_vm),
    ]);
    out.bytes("used_memory_vm_total", vm + functions_vm);
    out.line("used_memory_functions", functions_texts);
    out.bytes("used_memory_scripts", texts + functions_texts);
}

fn fragmentation(report: &MemoryReport, out: &mut Text) {
    let excesses = [
        ("allocator_frag", report.allocator_fragmentation()),
        ("allocator_rss", report.allocator_rss()),
        ("rss_overhead", report.rss_overhead()),
        ("mem_fragmentation", report.fragmentation()),
    ];
    for (name, excess) in excesses {
        out.line(format_args!("{name}_ratio"), format_args!("{:.2}", excess.ratio));
        out.line(format_args!("{name}_bytes"), excess.bytes);
    }
}
