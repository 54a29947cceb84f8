//! FUNCTION, FCALL and FCALL_RO.
//!
//! *Duty:* glue between the commands and `server/functions.rs`; the shape of FUNCTION LIST and STATS.
//! *Does not know:* how functions run. *Invariants:* what changes the libraries goes to the append only file and to
//! replicas as it was asked for. *Counterpart in C Redis:* `functionLoadCommand` and its kin of `functions.c`.

use super::{ServerCommand, ServerHandler};
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::rdb::{FunctionsError, dump_functions, parse_functions};
use crate::resp::ReplyBuf;
use crate::script::library::{Library, Policy, Registered};
use crate::server::Server;
use crate::server::scripting::Way;
use crate::server::session::Kind;

pub const COMMANDS: &[ServerCommand] =
    &[FCALL, FCALL_RO, FUNCTION, DELETE, DUMP, FLUSH, HELP, KILL, LIST, LOAD, RESTORE, STATS];

const ANY: Flags = NOSCRIPT.or(SKIP_MONITOR).or(NO_MANDATORY_KEYS).or(STALE).or(MOVABLEKEYS);
const ALL_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    let since = "7.0.0";
    Command::new(run, Spec { group: Group::Scripting, acl: Categories::SCRIPTING, since, ..spec })
}

const CALL: Spec = Spec {
    arity: -3,
    complexity: "Depends on the function that is executed.",
    syntax: "function numkeys [key [key ...]] [arg [arg ...]]",
    ..Spec::BASE
};

pub const FCALL: ServerCommand = row(
    |srv, call| fcall(srv, call, Way::AnyCommand),
    Spec {
        name: "fcall",
        flags: ANY,
        keys: &[KeySpec::numkeys(2, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::UPDATE))],
        summary: "Calls a function of a library.",
        ..CALL
    },
);

pub const FCALL_RO: ServerCommand = row(
    |srv, call| fcall(srv, call, Way::ReadOnly),
    Spec {
        name: "fcall_ro",
        flags: ANY.or(READONLY),
        keys: &[KeySpec::numkeys(2, KeyFlags::RO.or(KeyFlags::ACCESS))],
        summary: "Calls a function of a library that does not write.",
        ..CALL
    },
);

fn fcall(srv: &mut Server, call: &mut Call<'_>, way: Way) -> CmdResult {
    srv.show_script_to_monitors(call);
    srv.call_function(call, way)
}

pub const FUNCTION: ServerCommand = Command::new(
    |_, call| Err(crate::command::help::unknown_subcommand(call)),
    Spec {
        name: "function",
        arity: -2,
        group: Group::Scripting,
        since: "7.0.0",
        complexity: "Depends on subcommand.",
        summary: "Libraries of functions.",
        ..Spec::BASE
    },
);

/// The libraries have changed: counted, and told as it was asked for.
fn changed(call: &mut Call<'_>) {
    call.fx.dirty += 1;
    call.replicate_argv(call.args.to_argv());
}

pub const LOAD: ServerCommand = row(
    load,
    Spec {
        name: "function|load",
        arity: -3,
        flags: WRITE.or(DENYOOM).or(NOSCRIPT),
        complexity: "O(1) (considering compilation time is redundant)",
        summary: "Loads a library.",
        syntax: "[REPLACE] function-code",
        tips: ALL_SHARDS,
        ..Spec::BASE
    },
);

fn load(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let last = call.args.len() - 1;
    let mut replace = false;
    for at in 2..last {
        if !call.args.is(at, "replace") {
            let text = [b"ERR Unknown option given: ".as_slice(), call.arg(at)].concat();
            return Err(CmdError::Text(text));
        }
        replace = true;
    }
    let name = srv.load_library(call.arg(last), replace)?;
    changed(call);
    call.reply.bulk(name.as_bytes());
    Ok(())
}

pub const DELETE: ServerCommand = row(
    delete,
    Spec {
        name: "function|delete",
        arity: 3,
        flags: WRITE.or(NOSCRIPT),
        complexity: "O(1)",
        summary: "Deletes a library with its functions.",
        syntax: "library-name",
        tips: ALL_SHARDS,
        ..Spec::BASE
    },
);

fn delete(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if !srv.delete_library(call.arg(2)) {
        return Err(CmdError::Fixed("ERR Library not found"));
    }
    changed(call);
    call.reply.ok();
    Ok(())
}

pub const FLUSH: ServerCommand = row(
    flush,
    Spec {
        name: "function|flush",
        arity: -2,
        flags: WRITE.or(NOSCRIPT),
        complexity: "O(N) where N is the number of functions deleted",
        summary: "Deletes all libraries.",
        syntax: "[<ASYNC|SYNC>:async]",
        tips: ALL_SHARDS,
        ..Spec::BASE
    },
);

/// A Lua state cannot go to another thread, so ASYNC does what SYNC does.
fn flush(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if call.args.len() > 3 {
        return Err(crate::command::help::unknown_or_misused(call));
    }
    if call.args.len() == 3 && !call.args.is(2, "sync") && !call.args.is(2, "async") {
        return Err(CmdError::Fixed("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
    }
    srv.flush_functions();
    changed(call);
    call.reply.ok();
    Ok(())
}

pub const LIST: ServerCommand = row(
    list,
    Spec {
        name: "function|list",
        arity: -2,
        flags: NOSCRIPT,
        complexity: "O(N) where N is the number of functions",
        summary: "The libraries and their functions.",
        syntax: "[LIBRARYNAME library-name-pattern] [WITHCODE]",
        tips: &["nondeterministic_output_order"],
        ..Spec::BASE
    },
);

fn list(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let (mut pattern, mut with_code) = (None, false);
    let mut at = 2;
    while at < call.args.len() {
        if !with_code && call.args.is(at, "withcode") {
            with_code = true;
        } else if pattern.is_none() && call.args.is(at, "libraryname") {
            at += 1;
            let given = call.args.opt(at);
            pattern = Some(given.ok_or(CmdError::Fixed("ERR library name argument was not given"))?);
        } else {
            return Err(CmdError::Text([b"ERR Unknown argument ".as_slice(), call.arg(at)].concat()));
        }
        at += 1;
    }
    let libraries: Vec<&Library> = srv.functions.matching(pattern).collect();
    call.reply.array(libraries.len());
    for library in libraries {
        call.reply.map(if with_code { 4 } else { 3 });
        call.reply.bulk(b"library_name");
        call.reply.bulk(library.name.as_bytes());
        call.reply.bulk(b"engine");
        call.reply.bulk(b"LUA");
        call.reply.bulk(b"functions");
        call.reply.array(library.functions.len());
        library.functions.iter().for_each(|function| write_function(call.reply, function));
        if with_code {
            call.reply.bulk(b"library_code");
            call.reply.bulk(&library.code);
        }
    }
    Ok(())
}

fn write_function(reply: &mut ReplyBuf, function: &Registered) {
    reply.map(3);
    reply.bulk(b"name");
    reply.bulk(function.name.as_bytes());
    reply.bulk(b"description");
    match &function.description {
        Some(text) => reply.bulk(text),
        None => reply.null(),
    }
    reply.bulk(b"flags");
    let flags: Vec<&str> = function.flags.names().collect();
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.status(flag));
}

pub const STATS: ServerCommand = row(
    stats,
    Spec {
        name: "function|stats",
        arity: 2,
        flags: NOSCRIPT.or(ALLOW_BUSY),
        complexity: "O(1)",
        summary: "The function that runs, and how many there are.",
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        ..Spec::BASE
    },
);

fn stats(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let running = srv.hosting.running.as_ref();
    if let Some(script) = running.filter(|running| running.kind == Kind::Script) {
        return Err(script.kind.busy());
    }
    let reply = &mut *call.reply;
    reply.map(2);
    reply.bulk(b"running_script");
    match running {
        Some(function) => {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(function.name.as_bytes());
            reply.bulk(b"command");
            let command = srv.functions.command();
            reply.array(command.len());
            command.iter().for_each(|arg| reply.bulk(arg));
            reply.bulk(b"duration_ms");
            reply.int(function.ms() as i64);
        }
        None => reply.null(),
    }
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(b"LUA");
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.int(srv.functions.libraries().len() as i64);
    reply.bulk(b"functions_count");
    reply.int(srv.functions.libraries().function_count() as i64);
    Ok(())
}

pub const KILL: ServerCommand = row(
    kill,
    Spec {
        name: "function|kill",
        arity: 2,
        flags: NOSCRIPT.or(ALLOW_BUSY),
        complexity: "O(1)",
        summary: "Ends the function that runs.",
        tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
        ..Spec::BASE
    },
);

fn kill(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    srv.kill_script(Kind::Function)?;
    call.reply.ok();
    Ok(())
}

pub const DUMP: ServerCommand = row(
    dump,
    Spec {
        name: "function|dump",
        arity: 2,
        flags: NOSCRIPT,
        complexity: "O(N) where N is the number of functions",
        summary: "All libraries as one payload.",
        ..Spec::BASE
    },
);

fn dump(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let sources = srv.functions.libraries().iter().map(|library| &library.code[..]);
    call.reply.bulk(&dump_functions(sources, srv.config.rdbcompression));
    Ok(())
}

pub const RESTORE: ServerCommand = row(
    restore,
    Spec {
        name: "function|restore",
        arity: -3,
        flags: WRITE.or(DENYOOM).or(NOSCRIPT),
        complexity: "O(N) where N is the number of functions on the payload",
        summary: "Loads all libraries of a payload.",
        syntax: "serialized-value [<FLUSH|APPEND|REPLACE>:policy]",
        tips: ALL_SHARDS,
        ..Spec::BASE
    },
);

fn restore(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if call.args.len() > 4 {
        return Err(crate::command::help::unknown_or_misused(call));
    }
    let policy = match call.args.opt(3) {
        None => Policy::Append,
        Some(_) if call.args.is(3, "append") => Policy::Append,
        Some(_) if call.args.is(3, "replace") => Policy::Replace,
        Some(_) if call.args.is(3, "flush") => Policy::Flush,
        Some(_) => {
            return Err(CmdError::Fixed(
                "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
            ));
        }
    };
    let sources = parse_functions(call.arg(2)).map_err(|error| match error {
        FunctionsError::VersionOrChecksum => CmdError::Fixed("ERR DUMP payload version or checksum are wrong"),
        FunctionsError::NoFunction => CmdError::Fixed("ERR given type is not a function"),
        FunctionsError::PreRelease => CmdError::Fixed("ERR Pre-release function format not supported"),
        FunctionsError::BadData(_) => CmdError::Fixed("ERR Failed loading library data"),
    })?;
    srv.restore_libraries(&sources, policy)?;
    changed(call);
    call.reply.ok();
    Ok(())
}

pub const HELP: ServerCommand = row(help, Spec { name: "function|help", ..Spec::HELP });

fn help(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    crate::command::help::reply(
        call,
        &[
            "LOAD [REPLACE] <FUNCTION CODE>",
            "    Loads a library, in the place of one of the same name if REPLACE says so.",
            "DELETE <LIBRARY NAME>",
            "    Deletes a library with its functions.",
            "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
            "    The libraries, or those whose name fits the pattern: name, engine, functions, and the code if WITHCODE",
            "    says so.",
            "STATS",
            "    The function that runs, its command, and for how long it has been running; and how many libraries and",
            "    functions there are.",
            "KILL",
            "    Ends the function that runs, if it has not written yet.",
            "FLUSH [ASYNC|SYNC]",
            "    Deletes all libraries.",
            "DUMP",
            "    All libraries as one payload, for FUNCTION RESTORE.",
            "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
            "    Loads all libraries of a payload, or none. FLUSH: instead of those that are there. APPEND, the default:",
            "    beside them, none may be there already. REPLACE: in the place of those of the same names.",
        ],
    );
    Ok(())
}
