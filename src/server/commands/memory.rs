//! MEMORY USAGE, STATS, DOCTOR, PURGE, MALLOC-STATS, HELP.
//!
//! *Duty:* the rows, and figures as replies. *Does not know:* where the figures come from (`server::memory`).
//! *Counterpart in C Redis:* `memoryCommand`.

use super::{ServerCommand, ServerHandler};
use crate::call::{Call, CmdError, CmdResult};
use crate::command::help;
use crate::command::spec::*;
use crate::resp::ReplyBuf;
use crate::server::Server;
use crate::server::memory::{MemoryReport, doctor, entry_bytes};
use crate::sys::alloc;

pub const COMMANDS: &[ServerCommand] =
    &[MEMORY, MEMORY_DOCTOR, MEMORY_HELP, MEMORY_MALLOC_STATS, MEMORY_PURGE, MEMORY_STATS, MEMORY_USAGE];

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    Command::new(run, Spec { group: Group::Server, since: "4.0.0", ..spec })
}

const OF_EACH_SHARD: &[&str] = &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

pub const MEMORY: ServerCommand = row(
    |_, _| Err(CmdError::Syntax),
    Spec {
        name: "memory",
        arity: -2,
        complexity: "Depends on subcommand.",
        summary: "A container for commands about memory.",
        ..Spec::BASE
    },
);

pub const MEMORY_USAGE: ServerCommand = row(
    usage,
    Spec {
        name: "memory|usage",
        arity: -3,
        flags: READONLY,
        keys: &[KeySpec::one(2, KeyFlags::RO)],
        complexity: "O(N) where N is the number of samples.",
        summary: "Shows how many bytes a key takes, with its value.",
        syntax: "key [SAMPLES count]",
        ..Spec::BASE
    },
);

/// The size of a value is known without sampling it, so the number of samples is checked and not used.
fn usage(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let mut at = 3;
    while at < call.args.len() {
        if !call.args.is(at, "samples") || at + 1 == call.args.len() || call.args.int(at + 1)? < 0 {
            return Err(CmdError::Syntax);
        }
        at += 2;
    }
    // Looking is not a use of the key, and it does not matter whether it is overdue.
    let (db, key) = (srv.ks.db(call.db()), call.arg(2));
    match db.entries.get(db.entries.hash(key), key) {
        Some(entry) => call.reply.len_of(entry_bytes(db, entry)),
        None => call.reply.null(),
    }
    Ok(())
}

pub const MEMORY_STATS: ServerCommand = row(
    stats,
    Spec {
        name: "memory|stats",
        arity: 2,
        complexity: "O(1)",
        summary: "Shows where the memory is.",
        tips: OF_EACH_SHARD,
        ..Spec::BASE
    },
);

/// Lines before and behind those of the databases.
const LINES: usize = 27;

fn stats(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    srv.stats.peak_memory = srv.stats.peak_memory.max(srv.used_memory());
    let report = srv.memory_report();
    let reply = &mut *call.reply;
    reply.map(LINES + report.tables.len());
    numbers(
        reply,
        &[
            ("peak.allocated", report.peak),
            ("total.allocated", report.used),
            ("startup.allocated", report.startup),
            ("replication.backlog", 0),
            ("clients.slaves", 0),
            ("clients.normal", report.clients),
            ("cluster.links", 0),
            ("aof.buffer", srv.persistence.aof.buffer_memory() as u64),
            ("lua.caches", srv.scripts.cache().memory() as u64),
            ("functions.caches", srv.functions.libraries().memory() as u64),
        ],
    );
    for (db, main, expires) in &report.tables {
        reply.bulk(format!("db.{}", db.0).as_bytes());
        reply.map(3);
        numbers(
            reply,
            &[
                ("overhead.hashtable.main", *main),
                ("overhead.hashtable.expires", *expires),
                ("overhead.hashtable.slot-to-keys", 0),
            ],
        );
    }
    numbers(
        reply,
        &[
            ("overhead.total", report.overhead),
            ("keys.count", report.keys),
            ("keys.bytes-per-key", report.bytes_per_key()),
            ("dataset.bytes", report.dataset),
        ],
    );
    proportions(reply, &report);
    Ok(())
}

fn numbers(reply: &mut ReplyBuf, lines: &[(&str, u64)]) {
    for (name, value) in lines {
        reply.bulk(name.as_bytes());
        reply.int(*value as i64);
    }
}

fn proportions(reply: &mut ReplyBuf, report: &MemoryReport) {
    for (name, percent) in [("dataset", report.dataset_percent()), ("peak", report.peak_percent())] {
        reply.bulk(format!("{name}.percentage").as_bytes());
        reply.double(percent);
    }
    numbers(
        reply,
        &[
            ("allocator.allocated", report.allocator.allocated as u64),
            ("allocator.active", report.allocator.active as u64),
            ("allocator.resident", report.allocator.resident as u64),
        ],
    );
    let excesses = [
        ("allocator-fragmentation.ratio", "allocator-fragmentation.bytes", report.allocator_fragmentation()),
        ("allocator-rss.ratio", "allocator-rss.bytes", report.allocator_rss()),
        ("rss-overhead.ratio", "rss-overhead.bytes", report.rss_overhead()),
        ("fragmentation", "fragmentation.bytes", report.fragmentation()),
    ];
    for (ratio, bytes, excess) in excesses {
        reply.bulk(ratio.as_bytes());
        reply.double(excess.ratio);
        reply.bulk(bytes.as_bytes());
        reply.int(excess.bytes);
    }
}

pub const MEMORY_DOCTOR: ServerCommand = row(
    |srv, call| {
        let report = doctor(&srv.memory_report(), srv.clients.len() as u64);
        call.reply.verbatim("txt", report.as_bytes());
        Ok(())
    },
    Spec {
        name: "memory|doctor",
        arity: 2,
        complexity: "O(1)",
        summary: "Reports in words what is remarkable about the memory.",
        tips: OF_EACH_SHARD,
        ..Spec::BASE
    },
);

pub const MEMORY_MALLOC_STATS: ServerCommand = row(
    |_, call| {
        call.reply.verbatim("txt", &alloc::statistics_text());
        Ok(())
    },
    Spec {
        name: "memory|malloc-stats",
        arity: 2,
        complexity: "Depends on how much memory is allocated, could be slow",
        summary: "Shows the allocator's own report.",
        tips: OF_EACH_SHARD,
        ..Spec::BASE
    },
);

pub const MEMORY_PURGE: ServerCommand = row(
    |_, call| {
        if !alloc::purge() {
            return Err(CmdError::Fixed("ERR Error purging dirty pages"));
        }
        call.reply.ok();
        Ok(())
    },
    Spec {
        name: "memory|purge",
        arity: 2,
        complexity: "Depends on how much memory is allocated, could be slow",
        summary: "Gives memory that nothing uses back to the system.",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..Spec::BASE
    },
);

pub const MEMORY_HELP: ServerCommand = row(help, Spec { name: "memory|help", ..Spec::HELP });

fn help(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    help::reply(
        call,
        &[
            "DOCTOR",
            "    Reports in words what is remarkable about the memory.",
            "MALLOC-STATS",
            "    Shows the allocator's own report.",
            "PURGE",
            "    Gives memory that nothing uses back to the system.",
            "STATS",
            "    Shows where the memory is.",
            "USAGE <key> [SAMPLES <count>]",
            "    Shows how many bytes <key> takes, with its value. The whole value is counted,",
            "    whatever <count> is.",
        ],
    );
    Ok(())
}
