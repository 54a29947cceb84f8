//! SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF.
//!
//! *Duty:* who may ask for a snapshot or a rewrite when, and what is answered. *Counterpart in C Redis:* `saveCommand`,
//! `bgsaveCommand`, `lastsaveCommand`, `bgrewriteaofCommand`.

use super::{ServerCommand, ServerHandler};
use crate::call::{Call, CmdError, CmdResult, Origin};
use crate::command::spec::*;
use crate::server::Server;

pub const COMMANDS: &[ServerCommand] = &[BGREWRITEAOF, BGSAVE, LASTSAVE, SAVE];

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
        syntax: "[<SCHEDULE@3.2.2|CANCEL@8.1.0>]",
        history: &[("3.2.2", "Added the `SCHEDULE` option."), ("8.1.0", "Added the `CANCEL` option, as in Valkey.")],
        ..Spec::BASE
    },
);

fn bgsave(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if call.args.len() == 2 && call.args.is(1, "CANCEL") {
        return cancel(srv, call);
    }
    if call.args.len() > 2 || call.args.opt(1).is_some_and(|arg| !arg.eq_ignore_ascii_case(b"schedule")) {
        return Err(CmdError::Syntax);
    }
    if srv.persistence.rdb_bgsave_in_progress() {
        return Err(IN_PROGRESS);
    }
    // A fork in the middle of a transaction would save half of it.
    if call.caller.origin == Origin::Exec || srv.persistence.child.is_some() && call.args.len() == 2 {
        srv.persistence.bgsave_scheduled = true;
        call.reply.status("Background saving scheduled");
        return Ok(());
    }
    if srv.persistence.child.is_some() {
        return Err(CmdError::Fixed(
            "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to \
             schedule a BGSAVE whenever possible.",
        ));
    }
    srv.bgsave().map_err(|why| CmdError::text(format!("ERR {why}")))?;
    call.reply.status("Background saving started");
    Ok(())
}

/// BGSAVE CANCEL: ends the child that saves, or calls a scheduled save off.
fn cancel(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if srv.persistence.rdb_bgsave_in_progress() {
        srv.stop_save_child();
        call.reply.status("Background saving cancelled");
    } else if std::mem::take(&mut srv.persistence.bgsave_scheduled) {
        call.reply.status("Scheduled background saving cancelled");
    } else {
        return Err(CmdError::Fixed("ERR Background saving is currently not in progress or scheduled"));
    }
    Ok(())
}

pub const BGREWRITEAOF: ServerCommand = row(
    bgrewriteaof,
    Spec {
        name: "bgrewriteaof",
        arity: 1,
        flags: NO_ASYNC_LOADING.or(ADMIN).or(NOSCRIPT),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Has a child process write the append only file anew, as short as the data set allows.",
        ..Spec::BASE
    },
);

fn bgrewriteaof(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if srv.persistence.aof_rewrite_in_progress() {
        return Err(CmdError::Fixed("ERR Background append only file rewriting already in progress"));
    }
    if srv.persistence.child.is_some() || call.caller.origin == Origin::Exec {
        srv.persistence.aof.schedule_rewrite();
        call.reply.status("Background append only file rewriting scheduled");
        return Ok(());
    }
    srv.rewrite_aof().map_err(|_| {
        CmdError::Fixed(
            "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.",
        )
    })?;
    call.reply.status("Background append only file rewriting started");
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
