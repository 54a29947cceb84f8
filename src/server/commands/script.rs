//! SCRIPT: the scripts that the server knows, and the one that runs.
//!
//! *Duty:* glue between the command and `server/scripting.rs`. *Does not know:* Lua.
//! *Counterpart in C Redis:* `scriptCommand` of `eval.c`.

use super::{ServerCommand, ServerHandler};
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::script::cache::{digest, parse_digest, write_digest};
use crate::server::Server;
use crate::server::session::Kind;

pub const COMMANDS: &[ServerCommand] = &[SCRIPT, DEBUG, EXISTS, FLUSH, HELP, KILL, LOAD];

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    Command::new(run, Spec { group: Group::Scripting, acl: Categories::SCRIPTING, ..spec })
}

pub const SCRIPT: ServerCommand = Command::new(
    |_, call| Err(crate::command::help::unknown_subcommand(call)),
    Spec {
        name: "script",
        arity: -2,
        group: Group::Scripting,
        since: "2.6.0",
        complexity: "Depends on subcommand.",
        summary: "The scripts that the server knows.",
        ..Spec::BASE
    },
);

pub const LOAD: ServerCommand = row(
    load,
    Spec {
        name: "script|load",
        arity: 3,
        flags: NOSCRIPT.or(STALE),
        since: "2.6.0",
        complexity: "O(N) with N being the length in bytes of the script body.",
        summary: "Compiles a script and keeps it, without running it.",
        syntax: "script",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..Spec::BASE
    },
);

fn load(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let digest = digest(call.arg(2));
    srv.load_script(digest, call.arg(2))?;
    call.reply.bulk(write_digest(&digest).as_bytes());
    Ok(())
}

pub const EXISTS: ServerCommand = row(
    exists,
    Spec {
        name: "script|exists",
        arity: -3,
        flags: NOSCRIPT,
        since: "2.6.0",
        complexity: "O(N) with N being the number of scripts to check (so checking a single script is an O(1) operation).",
        summary: "Tells which of these scripts the server knows.",
        syntax: "sha1 [sha1 ...]",
        tips: &["request_policy:all_shards", "response_policy:agg_logical_and"],
        ..Spec::BASE
    },
);

fn exists(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    call.reply.array(call.args.len() - 2);
    for name in call.args.from(2) {
        let known = parse_digest(name).is_some_and(|digest| srv.scripts.cache().get(&digest).is_some());
        call.reply.int(known.into());
    }
    Ok(())
}

pub const FLUSH: ServerCommand = row(
    flush,
    Spec {
        name: "script|flush",
        arity: -2,
        flags: NOSCRIPT,
        since: "2.6.0",
        complexity: "O(N) with N being the number of scripts in cache",
        summary: "Forgets all scripts, and all that they left behind.",
        syntax: "[ASYNC|SYNC]",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        history: &[("6.2.0", "Added the `ASYNC` and `SYNC` flushing mode modifiers.")],
        ..Spec::BASE
    },
);

/// A Lua state cannot go to another thread, so ASYNC does what SYNC does.
fn flush(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let mode_is_known = call.args.len() == 2 || call.args.is(2, "async") || call.args.is(2, "sync");
    if call.args.len() > 3 || !mode_is_known {
        return Err(CmdError::Fixed("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
    }
    srv.flush_scripts();
    call.reply.ok();
    Ok(())
}

pub const KILL: ServerCommand = row(
    kill,
    Spec {
        name: "script|kill",
        arity: 2,
        flags: NOSCRIPT.or(ALLOW_BUSY),
        since: "2.6.0",
        complexity: "O(1)",
        summary: "Ends the script that runs.",
        tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
        ..Spec::BASE
    },
);

fn kill(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    srv.kill_script(Kind::Script)?;
    call.reply.ok();
    Ok(())
}

pub const DEBUG: ServerCommand = row(
    debug,
    Spec {
        name: "script|debug",
        arity: 3,
        flags: NOSCRIPT,
        since: "3.2.0",
        complexity: "O(1)",
        summary: "Would turn the debugger of scripts on or off.",
        syntax: "<YES|SYNC|NO>",
        ..Spec::BASE
    },
);

fn debug(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if call.args.is(2, "no") {
        call.reply.ok();
        return Ok(());
    }
    if call.args.is(2, "yes") || call.args.is(2, "sync") {
        return Err(CmdError::Fixed("ERR There is no debugger of scripts in this server"));
    }
    Err(CmdError::Fixed("ERR Use SCRIPT DEBUG YES/SYNC/NO"))
}

pub const HELP: ServerCommand = row(help, Spec { name: "script|help", since: "5.0.0", ..Spec::HELP });

fn help(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    crate::command::help::reply(
        call,
        &[
            "DEBUG (YES|SYNC|NO)",
            "    There is no debugger: only NO is accepted.",
            "EXISTS <sha1> [<sha1> ...]",
            "    Tells which of these scripts the server knows.",
            "FLUSH [ASYNC|SYNC]",
            "    Forgets all scripts, and all that they left behind.",
            "KILL",
            "    Ends the script that runs, if it has not written yet.",
            "LOAD <script>",
            "    Compiles a script and keeps it, without running it.",
        ],
    );
    Ok(())
}
