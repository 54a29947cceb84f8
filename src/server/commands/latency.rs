//! LATENCY LATEST, HISTORY, RESET, GRAPH, DOCTOR, HISTOGRAM, HELP.
//!
//! *Duty:* the rows, and samples and histograms as replies. *Does not know:* how they came about (`observation`,
//! `exec`). *Counterpart in C Redis:* `latencyCommand`.

use super::{ServerCommand, ServerHandler};
use crate::call::{Call, CmdError, CmdResult};
use crate::command::help;
use crate::command::spec::*;
use crate::server::Server;
use crate::server::observation::{doctor, graph};
use crate::server::registry::{Registry, Row};
use crate::sys::clock::wall_us;
use crate::sys::process;

pub const COMMANDS: &[ServerCommand] = &[
    LATENCY,
    LATENCY_DOCTOR,
    LATENCY_GRAPH,
    LATENCY_HELP,
    LATENCY_HISTOGRAM,
    LATENCY_HISTORY,
    LATENCY_LATEST,
    LATENCY_RESET,
];

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    Command::new(run, Spec { group: Group::Server, ..spec })
}

/// What the rows have in common.
const WATCH: Spec = Spec {
    flags: ADMIN.or(NOSCRIPT).or(LOADING).or(STALE),
    since: "2.8.13",
    complexity: "O(1)",
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
    ..Spec::BASE
};

pub const LATENCY: ServerCommand = row(
    |_, _| Err(CmdError::Syntax),
    Spec {
        name: "latency",
        arity: -2,
        flags: Flags::NONE,
        complexity: "Depends on subcommand.",
        summary: "A container for commands about what holds the server up.",
        tips: &[],
        ..WATCH
    },
);

fn now_s() -> i64 {
    wall_us() / 1_000_000
}

pub const LATENCY_LATEST: ServerCommand = row(
    latest,
    Spec { name: "latency|latest", arity: 2, summary: "Shows the latest sample of each kind of event.", ..WATCH },
);

fn latest(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let events = srv.observation.latency.iter();
    call.reply.array(events.len());
    for (event, series) in events {
        let last = series.last().expect("a series begins with a sample");
        call.reply.array(4);
        call.reply.bulk(event.as_bytes());
        call.reply.int(last.unix_s);
        call.reply.int(last.ms as i64);
        call.reply.int(series.max_ms as i64);
    }
    Ok(())
}

pub const LATENCY_HISTORY: ServerCommand = row(
    history,
    Spec {
        name: "latency|history",
        arity: 3,
        summary: "Shows the samples of a kind of event, oldest first.",
        syntax: "event",
        ..WATCH
    },
);

fn history(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let Some((_, series)) = srv.observation.latency.get(call.arg(2)) else {
        call.reply.array(0);
        return Ok(());
    };
    call.reply.array(series.samples().len());
    for sample in series.samples() {
        call.reply.array(2);
        call.reply.int(sample.unix_s);
        call.reply.int(sample.ms as i64);
    }
    Ok(())
}

pub const LATENCY_GRAPH: ServerCommand = row(
    draw,
    Spec {
        name: "latency|graph",
        arity: 3,
        summary: "Draws the samples of a kind of event.",
        syntax: "event",
        ..WATCH
    },
);

fn draw(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let Some((event, series)) = srv.observation.latency.get(call.arg(2)) else {
        return Err(CmdError::text([b"ERR No samples available for event '", call.arg(2), b"'"].concat()));
    };
    call.reply.verbatim("txt", graph(event, series, now_s()).as_bytes());
    Ok(())
}

pub const LATENCY_DOCTOR: ServerCommand = row(
    |srv, call| {
        let report = doctor(&srv.observation.latency, &srv.config, process::huge_page_bytes(), now_s());
        call.reply.verbatim("txt", report.as_bytes());
        Ok(())
    },
    Spec {
        name: "latency|doctor",
        arity: 2,
        summary: "Reports in words what held the server up and what may help.",
        ..WATCH
    },
);

pub const LATENCY_RESET: ServerCommand = row(
    |srv, call| {
        let forgotten = srv.observation.latency.reset(call.args.from(2));
        call.reply.len_of(forgotten);
        Ok(())
    },
    Spec {
        name: "latency|reset",
        arity: -2,
        summary: "Forgets the samples of some kinds of events, or of all.",
        syntax: "[event [event ...]]",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..WATCH
    },
);

pub const LATENCY_HISTOGRAM: ServerCommand = row(
    histogram,
    Spec {
        name: "latency|histogram",
        arity: -2,
        since: "7.0.0",
        complexity: "O(N) where N is the number of commands with latency information being retrieved.",
        summary: "Shows how long calls of commands took: the named ones, or all.",
        syntax: "[command [command ...]]",
        ..WATCH
    },
);

fn histogram(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let registry = &srv.registry;
    let wanted: Vec<&Row> = if call.args.len() == 2 {
        registry.commands().flat_map(|(_, row)| family(registry, row)).collect()
    } else {
        let named = call.args.from(2).filter_map(|name| registry.by_full_name(name));
        named.flat_map(|id| family(registry, registry.row(id))).collect()
    };
    let known = wanted.into_iter().filter_map(|row| Some((row, row.latencies()?)));
    let mark = call.reply.defer();
    let mut shown = 0;
    for (row, latencies) in known {
        let doublings = latencies.doublings();
        call.reply.bulk(row.spec.name.as_bytes());
        call.reply.map(2);
        call.reply.bulk(b"calls");
        call.reply.int(latencies.count() as i64);
        call.reply.bulk(b"histogram_usec");
        call.reply.map(doublings.len());
        for (ns, calls) in doublings {
            call.reply.int((ns / 1000) as i64);
            call.reply.int(calls as i64);
        }
        shown += 1;
    }
    call.reply.close_map(mark, shown);
    Ok(())
}

/// A command and its subcommands.
fn family<'a>(registry: &'a Registry, row: &'a Row) -> impl Iterator<Item = &'a Row> {
    std::iter::once(row).chain(row.subcommands.iter().map(|id| registry.row(*id)))
}

pub const LATENCY_HELP: ServerCommand = row(
    help,
    Spec {
        name: "latency|help",
        arity: 2,
        flags: LOADING.or(STALE),
        summary: "Lists the subcommands.",
        tips: &[],
        ..WATCH
    },
);

fn help(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    help::reply(
        call,
        &[
            "DOCTOR",
            "    Reports in words what held the server up and what may help.",
            "GRAPH <event>",
            "    Draws the samples of a kind of event.",
            "HISTORY <event>",
            "    Shows the samples of a kind of event with their times.",
            "LATEST",
            "    Shows the latest sample of each kind of event.",
            "RESET [<event> ...]",
            "    Forgets the samples of these kinds of events, or of all.",
            "HISTOGRAM [<command> ...]",
            "    Shows how long calls of these commands took, or of all that were called.",
        ],
    );
    Ok(())
}
