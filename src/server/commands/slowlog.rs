//! SLOWLOG GET, LEN, RESET, HELP.
//!
//! *Duty:* the rows, and the log as a reply. *Does not know:* what gets into the log (`observation`).
//! *Counterpart in C Redis:* `slowlogCommand`.

use super::{ServerCommand, ServerHandler};
use crate::base::num;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::help;
use crate::command::spec::*;
use crate::server::Server;
use crate::server::observation::slowlog::Entry;

pub const COMMANDS: &[ServerCommand] = &[SLOWLOG, SLOWLOG_GET, SLOWLOG_HELP, SLOWLOG_LEN, SLOWLOG_RESET];

/// Entries shown when no number is asked for.
const SHOWN: usize = 10;

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    Command::new(run, Spec { group: Group::Server, ..spec })
}

/// What the rows have in common.
const WATCH: Spec = Spec { flags: ADMIN.or(LOADING).or(STALE), since: "2.2.12", ..Spec::BASE };

pub const SLOWLOG: ServerCommand = row(
    |_, _| Err(CmdError::Syntax),
    Spec {
        name: "slowlog",
        arity: -2,
        flags: Flags::NONE,
        complexity: "Depends on subcommand.",
        summary: "A container for commands about calls that took long.",
        ..WATCH
    },
);

pub const SLOWLOG_GET: ServerCommand = row(
    get,
    Spec {
        name: "slowlog|get",
        arity: -2,
        complexity: "O(N) where N is the number of entries returned",
        summary: "Shows calls that took long, the newest first.",
        syntax: "[count]",
        tips: &["nondeterministic_output", "request_policy:all_nodes"],
        history: &[("4.0.0", "Shows the client's address and name as well.")],
        ..WATCH
    },
);

fn get(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let log = &srv.observation.slowlog;
    let count = match (call.args.len(), call.args.opt(2)) {
        (2, _) => SHOWN,
        (3, Some(count)) => match num::parse_i64(count) {
            Some(-1) => log.len(),
            Some(count @ 0..) => usize::try_from(count).unwrap_or(usize::MAX),
            _ => return Err(CmdError::Fixed("ERR count should be greater than or equal to -1")),
        },
        _ => return Err(help::unknown_or_misused(call)),
    };
    call.reply.array(count.min(log.len()));
    for Entry { id, call: slow } in log.iter().take(count) {
        let reply = &mut *call.reply;
        reply.array(6);
        reply.int(*id as i64);
        reply.int(slow.unix_s);
        reply.int(slow.us as i64);
        reply.array(slow.args.len());
        slow.args.iter().for_each(|arg| reply.bulk(arg));
        reply.bulk(slow.peer.as_bytes());
        reply.bulk(&slow.name);
    }
    Ok(())
}

pub const SLOWLOG_LEN: ServerCommand = row(
    |srv, call| {
        call.reply.len_of(srv.observation.slowlog.len());
        Ok(())
    },
    Spec {
        name: "slowlog|len",
        arity: 2,
        complexity: "O(1)",
        summary: "Counts the calls that are kept.",
        tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:agg_sum"],
        ..WATCH
    },
);

pub const SLOWLOG_RESET: ServerCommand = row(
    |srv, call| {
        srv.observation.slowlog.reset();
        call.reply.ok();
        Ok(())
    },
    Spec {
        name: "slowlog|reset",
        arity: 2,
        complexity: "O(N) where N is the number of entries in the slowlog",
        summary: "Forgets the calls that are kept.",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..WATCH
    },
);

pub const SLOWLOG_HELP: ServerCommand = row(
    help,
    Spec {
        name: "slowlog|help",
        arity: 2,
        flags: LOADING.or(STALE),
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Lists the subcommands.",
        ..WATCH
    },
);

fn help(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    help::reply(
        call,
        &[
            "GET [<count>]",
            "    Shows the newest <count> entries (10 if it is left out, all if it is -1), each",
            "    with its number, Unix time, duration in microseconds, arguments, and the",
            "    client's address and name.",
            "LEN",
            "    Counts the entries.",
            "RESET",
            "    Forgets all entries.",
        ],
    );
    Ok(())
}
