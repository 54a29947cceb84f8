//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.
//!
//! *Duty:* the state of a transaction lives in its client; EXEC runs the queue as one unit, with one reply and one
//! set of effects. *Counterpart in C Redis:* `multi.c`.

use super::{ServerCommand, ServerHandler};
use crate::call::effects::Replicate;
use crate::call::{Args, Call, Caller, CmdError, CmdResult, Origin};
use crate::command::spec::*;
use crate::server::Server;
use crate::server::client::Flags as ClientFlags;

pub const COMMANDS: &[ServerCommand] = &[DISCARD, EXEC, MULTI, UNWATCH, WATCH];

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    Command::new(run, Spec { group: Group::Transactions, acl: Categories::TRANSACTION, ..spec })
}

const ALWAYS: Flags = NOSCRIPT.or(LOADING).or(STALE).or(FAST).or(ALLOW_BUSY);

pub const MULTI: ServerCommand = row(
    multi,
    Spec {
        name: "multi",
        arity: 1,
        flags: ALWAYS,
        since: "1.2.0",
        complexity: "O(1)",
        summary: "Starts a transaction: the commands that follow are queued.",
        ..Spec::BASE
    },
);

fn multi(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let flags = &mut srv.clients[call.caller.client.slot as usize].flags;
    if flags.has(ClientFlags::MULTI) {
        return Err(CmdError::NestedMulti);
    }
    flags.set(ClientFlags::MULTI);
    call.reply.ok();
    Ok(())
}

pub const DISCARD: ServerCommand = row(
    discard,
    Spec {
        name: "discard",
        arity: 1,
        flags: ALWAYS,
        since: "2.0.0",
        complexity: "O(N), when N is the number of queued commands",
        summary: "Ends a transaction without running it.",
        ..Spec::BASE
    },
);

fn discard(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let slot = call.caller.client.slot as usize;
    if !srv.clients[slot].flags.has(ClientFlags::MULTI) {
        return Err(CmdError::Fixed("ERR DISCARD without MULTI"));
    }
    srv.discard_transaction(slot);
    call.reply.ok();
    Ok(())
}

pub const WATCH: ServerCommand = row(
    watch,
    Spec {
        name: "watch",
        arity: -2,
        flags: ALWAYS,
        keys: &[KeySpec::range(1, -1, 1, KeyFlags::RO)],
        since: "2.2.0",
        complexity: "O(1) for every key.",
        summary: "Makes the next transaction depend on keys staying as they are.",
        syntax: "key [key ...]",
        ..Spec::BASE
    },
);

fn watch(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let slot = call.caller.client.slot as usize;
    if srv.clients[slot].flags.has(ClientFlags::MULTI) {
        return Err(CmdError::Fixed("ERR WATCH inside MULTI is not allowed"));
    }
    // Once a watched key has changed there is nothing more to find out.
    if !srv.clients[slot].flags.has(ClientFlags::DIRTY_CAS) {
        call.args.from(1).for_each(|key| srv.watch_key(slot, key));
    }
    call.reply.ok();
    Ok(())
}

pub const UNWATCH: ServerCommand = row(
    unwatch,
    Spec {
        name: "unwatch",
        arity: 1,
        flags: ALWAYS,
        since: "2.2.0",
        complexity: "O(1)",
        summary: "Forgets the keys that this connection watches.",
        ..Spec::BASE
    },
);

fn unwatch(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let slot = call.caller.client.slot as usize;
    srv.unwatch(slot);
    srv.clients[slot].flags.clear(ClientFlags::DIRTY_CAS);
    call.reply.ok();
    Ok(())
}

pub const EXEC: ServerCommand = row(
    exec,
    Spec {
        name: "exec",
        arity: 1,
        flags: NOSCRIPT.or(LOADING).or(STALE).or(SKIP_SLOWLOG),
        since: "1.2.0",
        complexity: "Depends on commands in the transaction",
        summary: "Runs the commands of a transaction.",
        ..Spec::BASE
    },
);

fn exec(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let slot = call.caller.client.slot as usize;
    let flags = srv.clients[slot].flags;
    if !flags.has(ClientFlags::MULTI) {
        return Err(CmdError::Fixed("ERR EXEC without MULTI"));
    }
    let changed = flags.has(ClientFlags::DIRTY_CAS) || srv.watched_key_expired(slot);
    let queue = srv.clients[slot].transaction.take().map(|t| t.queue).unwrap_or_default();
    srv.discard_transaction(slot);
    if flags.has(ClientFlags::DIRTY_EXEC) {
        return Err(CmdError::ExecAbort);
    }
    if changed {
        call.reply.null_array();
        return Ok(());
    }
    call.reply.array(queue.len());
    let began = srv.exec.last_ticks();
    srv.exec.in_transaction = true;
    for (row, argv) in queue {
        // A command may have changed the database, or the protocol.
        let caller = srv.clients[slot].caller(slot);
        let origin = if caller.origin == Origin::Master { Origin::Master } else { Origin::Exec };
        let caller = Caller { origin, ..caller };
        if let Err(refusal) = srv.still_permitted(slot, row, Args::of(&argv)) {
            let message = refusal.message();
            call.reply.error(&message);
            srv.stats.count_error(&message);
            continue;
        }
        srv.call(row, Args::of(&argv), caller, call.reply, call.fx);
        srv.settle_tracking(&call.fx.touched, caller.client);
        srv.remember_keys(slot, row, Args::of(&argv));
    }
    srv.exec.in_transaction = false;
    // The transaction is replayed by what its commands did.
    call.fx.replicate = Replicate::Rewritten;
    srv.stats.nested_ticks += srv.exec.last_ticks().wrapping_sub(began);
    Ok(())
}

impl Server {
    /// Ends a client's transaction, forgetting what was queued and watched.
    pub fn discard_transaction(&mut self, slot: usize) {
        let client = &mut self.clients[slot];
        client.transaction = None;
        client.flags.clear(ClientFlags(ClientFlags::MULTI.0 | ClientFlags::DIRTY_CAS.0 | ClientFlags::DIRTY_EXEC.0));
        self.unwatch(slot);
    }

    /// A transaction is refused before EXEC can run it (EXEC itself did not pass a gate).
    pub fn abort_transaction(&mut self, slot: usize, why: &CmdError) -> CmdError {
        self.discard_transaction(slot);
        let mut text = b"EXECABORT Transaction discarded because of: ".to_vec();
        let message = why.message();
        text.extend_from_slice(message.strip_prefix(b"ERR ").unwrap_or(&message));
        CmdError::text(text)
    }
}
