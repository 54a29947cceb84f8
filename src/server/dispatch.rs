//! From a request to its execution, its queueing or its refusal.
//!
//! *Duty:* look the command up, pass the gates, queue inside MULTI, else run one unit. *Does not know:* what
//! commands do. *Counterpart in C Redis:* `processCommand`.

use crate::call::{Args, CmdError, Effects};
use crate::command::spec::{Flags as CommandFlags, MAY_REPLICATE, NO_MANDATORY_KEYS, WRITE};
use crate::resp::ReplyBuf;
use crate::server::Server;
use crate::server::access::context_of;
use crate::server::client::{Flags, Transaction};
use crate::server::gates::{self, Alarm};
use crate::server::look_ahead::Ahead;
use crate::server::persistence::aof::Promise;
use crate::server::registry::{RowId, Unknown};

/// Runs, queues or refuses one request of the client in `slot`.
// From the batch to the handler it is all one function, so that nothing is handed on through memory.
#[inline(always)]
pub fn dispatch(srv: &mut Server, slot: usize, ahead: Ahead, args: Args<'_>, reply: &mut ReplyBuf, fx: &mut Effects) {
    let (row, args) = match ahead.row(&srv.registry, args) {
        Ok(found) => found,
        Err(unknown) => return refuse_unknown(srv, slot, unknown, args, reply),
    };
    let quiet = srv.exec.alarms == 0 || srv.only_memory_alarm_and_fits() || srv.only_reads_here(row);
    let client = &mut srv.clients[slot];
    client.last_row = Some(row);
    let calm = quiet
        && client.flags.has(Flags::AUTHENTICATED)
        && !client.flags.has(Flags::GATED)
        && srv.registry.row(row).spec.arity_fits(args.len());
    if calm {
        let caller = client.caller(slot);
        return srv.run_unit(row, args, caller, reply, fx);
    }
    dispatch_gated(srv, slot, row, args, reply, fx);
}

#[cold]
fn refuse_unknown(srv: &mut Server, slot: usize, unknown: Unknown, args: Args<'_>, reply: &mut ReplyBuf) {
    let error = unknown_command(srv, unknown, args);
    let before = reply.len();
    begin_reply_mode(srv, slot);
    let is_replica = srv.clients[slot].flags.has(Flags::REPLICA);
    refuse(srv, slot, None, &error, reply);
    if is_replica {
        srv.refuse_reply_to_replica(slot, None, before, reply);
    }
    apply_reply_mode(srv, slot, before, reply);
}

#[cold]
fn dispatch_gated(srv: &mut Server, slot: usize, row: RowId, args: Args<'_>, reply: &mut ReplyBuf, fx: &mut Effects) {
    begin_reply_mode(srv, slot);
    if srv.exec.has_alarm(Alarm::CLIENT_MEMORY) {
        srv.evict_clients();
        if srv.clients[slot].flags.has(Flags::CLOSE_ASAP) {
            return;
        }
    }
    // After clients have gone, so that no key goes for memory that was theirs.
    srv.make_room();
    if srv.exec.has_alarm(Alarm::TRACKING) {
        srv.trim_tracking();
    }
    let is_replica = srv.clients[slot].flags.has(Flags::REPLICA);
    let passed = gates::pass(srv, slot, row, args);
    // What the server told the client before the command runs comes before its reply.
    srv.own_messages(slot, reply);
    let before = reply.len();
    if let Err(error) = passed {
        if matches!(error, CmdError::NoPermission(_)) {
            srv.log_denied(slot, row, args, context_of(srv.clients[slot].flags));
        }
        let open = srv.clients[slot].flags.has(Flags::MULTI);
        let ends_it = open && srv.registry.row(row).spec.name == "exec";
        let error = if ends_it { srv.abort_transaction(slot, &error) } else { error };
        refuse(srv, slot, Some(row), &error, reply);
    } else if srv.must_wait(slot, row, args) {
        return postpone(srv, slot, args);
    } else if srv.clients[slot].flags.has(Flags::MULTI) && !runs_inside_multi(srv.registry.row(row).spec.name) {
        queue(srv, slot, row, args);
        reply.raw(b"+QUEUED\r\n");
    } else if let Some(error) = srv.sort_refusal(slot, row, args) {
        refuse(srv, slot, Some(row), &error, reply);
    } else {
        let caller = srv.clients[slot].caller(slot);
        srv.run_unit(row, args, caller, reply, fx);
        srv.remember_keys(slot, row, args);
    }
    if is_replica {
        srv.refuse_reply_to_replica(slot, Some(row), before, reply);
    }
    forget_caching(srv, slot, row);
    apply_reply_mode(srv, slot, before, reply);
}

/// The command comes again when the pause is over, and what was said about the next command is about it then.
fn postpone(srv: &mut Server, slot: usize, args: Args<'_>) {
    let flags = &mut srv.clients[slot].flags;
    if flags.has(Flags::REPLY_SKIP) {
        flags.clear(Flags::REPLY_SKIP);
        flags.set(Flags::REPLY_SKIP_NEXT);
    }
    srv.postpone(slot, args);
}

/// CLIENT CACHING is about the next command, or the whole of the next transaction.
fn forget_caching(srv: &mut Server, slot: usize, row: RowId) {
    let flags = &mut srv.clients[slot].flags;
    if flags.has(Flags::TRACKING_CACHING) && !flags.has(Flags::MULTI) {
        let row = srv.registry.row(row);
        let is_client = row.container.is_some_and(|container| srv.registry.row(container).spec.name == "client");
        if !is_client {
            flags.clear(Flags::TRACKING_CACHING);
        }
    }
}

/// CLIENT REPLY SKIP came before: it means the command that begins now.
fn begin_reply_mode(srv: &mut Server, slot: usize) {
    let flags = &mut srv.clients[slot].flags;
    if flags.has(Flags::REPLY_SKIP_NEXT) {
        flags.clear(Flags::REPLY_SKIP_NEXT);
        flags.set(Flags::REPLY_SKIP);
    }
}

/// CLIENT REPLY: drops the reply that was just written if the client does not want it.
fn apply_reply_mode(srv: &mut Server, slot: usize, before: usize, reply: &mut ReplyBuf) {
    let flags = &mut srv.clients[slot].flags;
    if flags.has(Flags(Flags::REPLY_OFF.0 | Flags::REPLY_SKIP.0)) {
        reply.truncate(before);
    }
    flags.clear(Flags::REPLY_SKIP);
}

fn refuse(srv: &mut Server, slot: usize, row: Option<RowId>, error: &CmdError, reply: &mut ReplyBuf) {
    let message = error.message();
    reply.error(&message);
    srv.stats.count_error(&message);
    if let Some(row) = row {
        srv.registry.row_mut(row).stats.rejected += 1;
    }
    let flags = &mut srv.clients[slot].flags;
    if flags.has(Flags::MULTI) {
        flags.set(Flags::DIRTY_EXEC);
    }
}

/// Commands that act at once although a transaction is open.
pub(super) fn runs_inside_multi(name: &str) -> bool {
    matches!(name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset")
}

pub(super) fn queue(srv: &mut Server, slot: usize, row: RowId, args: Args<'_>) {
    let client = &mut srv.clients[slot];
    // What can only fail anyway is not kept.
    if client.flags.has(Flags(Flags::DIRTY_EXEC.0 | Flags::DIRTY_CAS.0)) {
        return;
    }
    let argv = args.to_argv();
    let transaction = client.transaction.get_or_insert_with(|| Box::new(Transaction::default()));
    transaction.memory += argv.memory();
    transaction.queue.push((row, argv));
}

/// The text of 7.0.15: the name, and the first arguments within 128 bytes.
fn unknown_command(srv: &Server, unknown: Unknown, args: Args<'_>) -> CmdError {
    if let Unknown::Subcommand(container) = unknown {
        let mut text = b"ERR unknown subcommand '".to_vec();
        text.extend_from_slice(clip(args.get(1), 128));
        let container = String::from_utf8_lossy(&srv.registry.row(container).name).to_ascii_uppercase();
        text.extend_from_slice(format!("'. Try {container} HELP.").as_bytes());
        return CmdError::text(text);
    }
    let mut shown = Vec::new();
    for arg in args.from(1) {
        if shown.len() >= 128 {
            break;
        }
        shown.push(b'\'');
        shown.extend_from_slice(clip(arg, 128 - shown.len()));
        shown.extend_from_slice(b"' ");
    }
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(clip(args.get(0), 128));
    text.extend_from_slice(b"', with args beginning with: ");
    text.extend_from_slice(&shown);
    CmdError::text(text)
}

fn clip(bytes: &[u8], max: usize) -> &[u8] {
    &bytes[..bytes.len().min(max)]
}

impl Server {
    /// Nothing but the role of a replica has raised an alarm, and the command changes nothing. What runs a script or a
    /// function (`NO_MANDATORY_KEYS`) is for the gates to look at.
    #[inline]
    fn only_reads_here(&self, row: RowId) -> bool {
        const MAY_CHANGE: CommandFlags = WRITE.or(MAY_REPLICATE).or(NO_MANDATORY_KEYS);
        self.exec.alarms == Alarm::READ_ONLY.0 && !self.registry.row(row).spec.flags.has(MAY_CHANGE)
    }
}

impl Server {
    /// One request on behalf of a client: the call, and what follows from it.
    #[inline(always)]
    pub fn run_unit(
        &mut self,
        row: RowId,
        args: Args<'_>,
        caller: crate::call::Caller,
        reply: &mut ReplyBuf,
        fx: &mut Effects,
    ) {
        let start = reply.len();
        self.call(row, args, caller, reply, fx);
        if self.exec.promises && !fx.ops.is_empty() {
            self.persistence.aof.promise(Promise { client: caller.client, start, end: reply.len() });
        }
        self.finish_unit(row, args, caller, fx);
    }
}
