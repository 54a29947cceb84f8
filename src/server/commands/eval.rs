//! EVAL, EVALSHA, EVAL_RO, EVALSHA_RO.
//!
//! *Duty:* take the number of keys, find or compile the script, run it. *Does not know:* how a script runs
//! (`server/scripting.rs`). *Counterpart in C Redis:* `evalGenericCommand` of `eval.c`.

use super::{ServerCommand, ServerHandler};
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::script::cache::{digest, parse_digest};
use crate::server::Server;
use crate::server::scripting::Way;

pub const COMMANDS: &[ServerCommand] = &[EVAL, EVALSHA, EVAL_RO, EVALSHA_RO];

const ANY: Flags = NOSCRIPT.or(SKIP_MONITOR).or(NO_MANDATORY_KEYS).or(STALE).or(MOVABLEKEYS);
const CHANGED: KeyFlags = KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::UPDATE);
const READ: KeyFlags = KeyFlags::RO.or(KeyFlags::ACCESS);

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    let complexity = "Depends on the script that is executed.";
    Command::new(run, Spec { arity: -3, group: Group::Scripting, acl: Categories::SCRIPTING, complexity, ..spec })
}

pub const EVAL: ServerCommand = row(
    |srv, call| eval(srv, call, Way::AnyCommand),
    Spec {
        name: "eval",
        flags: ANY.or(MAY_REPLICATE),
        keys: &[KeySpec::numkeys(2, CHANGED)],
        since: "2.6.0",
        summary: "Runs a Lua script.",
        syntax: "script numkeys [key [key ...]] [arg [arg ...]]",
        ..Spec::BASE
    },
);

pub const EVALSHA: ServerCommand = row(
    |srv, call| evalsha(srv, call, Way::AnyCommand),
    Spec {
        name: "evalsha",
        flags: ANY.or(MAY_REPLICATE),
        keys: &[KeySpec::numkeys(2, CHANGED)],
        since: "2.6.0",
        summary: "Runs a Lua script that the server knows, by its SHA-1.",
        syntax: "sha1 numkeys [key [key ...]] [arg [arg ...]]",
        ..Spec::BASE
    },
);

pub const EVAL_RO: ServerCommand = row(
    |srv, call| eval(srv, call, Way::ReadOnly),
    Spec {
        name: "eval_ro",
        flags: ANY.or(READONLY),
        keys: &[KeySpec::numkeys(2, READ)],
        since: "7.0.0",
        summary: "Runs a Lua script that may not write.",
        syntax: "script numkeys [key [key ...]] [arg [arg ...]]",
        ..Spec::BASE
    },
);

pub const EVALSHA_RO: ServerCommand = row(
    |srv, call| evalsha(srv, call, Way::ReadOnly),
    Spec {
        name: "evalsha_ro",
        flags: ANY.or(READONLY),
        keys: &[KeySpec::numkeys(2, READ)],
        since: "7.0.0",
        summary: "Runs a Lua script that the server knows and that may not write, by its SHA-1.",
        syntax: "sha1 numkeys [key [key ...]] [arg [arg ...]]",
        ..Spec::BASE
    },
);

/// How many of the arguments behind the number of keys are keys.
pub(super) fn key_count(call: &Call<'_>) -> Result<usize, CmdError> {
    let keys = call.args.int(2)?;
    if keys > call.args.len() as i64 - 3 {
        return Err(CmdError::Fixed("ERR Number of keys can't be greater than number of args"));
    }
    usize::try_from(keys).map_err(|_| CmdError::Fixed("ERR Number of keys can't be negative"))
}

fn eval(srv: &mut Server, call: &mut Call<'_>, way: Way) -> CmdResult {
    srv.show_script_to_monitors(call);
    let keys = key_count(call)?;
    let digest = digest(call.arg(1));
    srv.load_script(digest, call.arg(1))?;
    srv.eval(call, &digest, keys, way)
}

fn evalsha(srv: &mut Server, call: &mut Call<'_>, way: Way) -> CmdResult {
    srv.show_script_to_monitors(call);
    let Some(digest) = parse_digest(call.arg(1)).filter(|digest| srv.scripts.cache().get(digest).is_some()) else {
        return Err(CmdError::Fixed("NOSCRIPT No matching script. Please use EVAL."));
    };
    let keys = key_count(call)?;
    srv.eval(call, &digest, keys, way)
}
