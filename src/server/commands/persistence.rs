//! SAVE, BGSAVE, LASTSAVE.
//!
//! *Duty:* who may ask for a snapshot when, and what is answered. *Counterpart in C Redis:* `saveCommand`,
//! `bgsaveCommand`, `lastsaveCommand`.

use super::{ServerCommand, ServerHandler};
use crate::call::{Call, CmdError, CmdResult, Origin};
use crate::command::spec::*;
use crate::server::Server;

pub const COMMANDS: &[ServerCommand] = &[BGSAVE, LASTSAVE, SAVE];

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    Command::new(run, Spec { group: Group::Server, ..spec })
}

const IN_PROGRESS: CmdError = CmdError::Fixed("ERR Background save already in progress");

pub const SAVE: ServerCommand = row(
    save,
    Spec {
        name: "save",
        arity: 1,
        flags: NO_ASYNC_LOADING.or(ADMIN).or(NOSCRIPT).or(NO_MULTI),
        since: "1.0.0",
        complexity: "O(N) where N is the total number of keys in all databases",
        summary: "Writes a snapshot of all databases to disk, and answers when it is there.",
        ..Spec::BASE
    },
);

fn save(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if srv.persistence.rdb_bgsave_in_progress() {
        return Err(IN_PROGRESS);
    }
    srv.persistence.rdb_saves += 1;
    srv.save_now().map_err(|why| CmdError::text(format!("ERR {why}")))?;
    call.reply.ok();
    Ok(())
}

pub const BGSAVE: ServerCommand = row(
    bgsave,
    Spec {
        name: "bgsave",
        arity: -1,
        flags: NO_ASYNC_LOADING.or(ADMIN).or(NOSCRIPT),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Has a child process write a snapshot of all databases to disk.",
        syntax: "[SCHEDULE]@3.2.2",
        history: &[("3.2.2", "Added the `SCHEDULE` option.")],
        ..Spec::BASE
    },
);

fn bgsave(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if call.args.len() > 2 || call.args.opt(1).is_some_and(|arg| !arg.eq_ignore_ascii_case(b"schedule")) {
        return Err(CmdError::Syntax);
    }
    if srv.persistence.rdb_bgsave_in_progress() {
        return Err(IN_PROGRESS);
    }
    if call.caller.origin == Origin::Exec {
        // A fork in the middle of a transaction would save half of it.
        srv.persistence.bgsave_scheduled = true;
        call.reply.status("Background saving scheduled");
        return Ok(());
    }
    srv.bgsave().map_err(|why| CmdError::text(format!("ERR {why}")))?;
    call.reply.status("Background saving started");
    Ok(())
}

pub const LASTSAVE: ServerCommand = row(
    lastsave,
    Spec {
        name: "lastsave",
        arity: 1,
        flags: LOADING.or(STALE).or(FAST),
        acl: Categories::ADMIN.or(Categories::DANGEROUS),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "The Unix time of the last successful save.",
        tips: &["nondeterministic_output"],
        ..Spec::BASE
    },
);

fn lastsave(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    call.reply.int(srv.persistence.rdb_last_save_time);
    Ok(())
}
