//! From a request to its execution, its queueing or its refusal.
//!
//! *Duty:* look the command up, pass the gates, queue inside MULTI, else run one unit. Of a pipeline, look ahead. *Does
//! not know:* what commands do. *Counterpart in C Redis:* `processCommand`.

use std::num::NonZeroU64;

use crate::call::{Args, CmdError, Effects};
use crate::keyspace::Entries;
use crate::resp::{Batch, ReplyBuf};
use crate::server::Server;
use crate::server::client::{Flags, Transaction};
use crate::server::gates::{self, Alarm};
use crate::server::registry::{Registry, RowId, Run, Unknown};

/// Runs, queues or refuses one request of the client in `slot`.
pub fn dispatch(srv: &mut Server, slot: usize, args: Args<'_>, reply: &mut ReplyBuf, fx: &mut Effects) {
    match srv.registry.lookup(args) {
        Ok(row) => dispatch_row(srv, slot, row, args, reply, fx),
        Err(unknown) => {
            let error = unknown_command(srv, unknown, args);
            let before = reply.len();
            begin_reply_mode(srv, slot);
            refuse(srv, slot, None, &error, reply);
            apply_reply_mode(srv, slot, before, reply);
        }
    }
}

/// [`dispatch`] for a request of a batch that was looked at ahead.
#[inline]
pub fn dispatch_ahead(
    srv: &mut Server,
    slot: usize,
    ahead: Ahead,
    args: Args<'_>,
    reply: &mut ReplyBuf,
    fx: &mut Effects,
) {
    match ahead.row {
        Some(row) => dispatch_row(srv, slot, row, args.with_key_hash(ahead.key_hash), reply, fx),
        None => dispatch(srv, slot, args, reply, fx),
    }
}

#[inline]
fn dispatch_row(srv: &mut Server, slot: usize, row: RowId, args: Args<'_>, reply: &mut ReplyBuf, fx: &mut Effects) {
    let quiet = srv.exec.alarms == 0 || srv.only_memory_alarm_and_fits();
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
    let passed = gates::pass(srv, slot, row, args);
    // What the server told the client before the command runs comes before its reply.
    srv.own_messages(slot, reply);
    let before = reply.len();
    if let Err(error) = passed {
        let open = srv.clients[slot].flags.has(Flags::MULTI);
        let ends_it = open && srv.registry.row(row).spec.name == "exec";
        let error = if ends_it { srv.abort_transaction(slot, &error) } else { error };
        refuse(srv, slot, Some(row), &error, reply);
    } else if srv.must_wait(slot, row) {
        return postpone(srv, slot, args);
    } else if srv.clients[slot].flags.has(Flags::MULTI) && !runs_inside_multi(srv.registry.row(row).spec.name) {
        queue(srv, slot, row, args);
        reply.raw(b"+QUEUED\r\n");
    } else {
        let caller = srv.clients[slot].caller(slot);
        srv.run_unit(row, args, caller, reply, fx);
        srv.remember_keys(slot, row, args);
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
fn runs_inside_multi(name: &str) -> bool {
    matches!(name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset")
}

fn queue(srv: &mut Server, slot: usize, row: RowId, args: Args<'_>) {
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

/// What a look ahead found out about a request, so that it is not found out again when the request runs. A row keeps
/// its number while the process lives, and all databases hash alike, so neither grows old.
#[derive(Clone, Copy, Default)]
pub struct Ahead {
    row: Option<RowId>,
    /// Of the argument behind the name, a key.
    key_hash: Option<NonZeroU64>,
}

/// Asks for the memory of a pipeline's keys before the first command runs, so that the misses overlap: first every
/// key's bucket, then, when those are on their way, every entry. `ahead` gets what is known then of each request, or
/// nothing where looking ahead is not worth while.
pub fn prefetch(srv: &Server, slot: usize, buf: &[u8], batch: &Batch, ahead: &mut Vec<Ahead>) {
    ahead.clear();
    let entries = &srv.ks.db(srv.clients[slot].db).entries;
    // One command has nobody to share its wait with, and a table that fits the cache gains nothing.
    if batch.len() < 2 || entries.len() < PREFETCH_MIN_KEYS {
        return;
    }
    let mut hashes = Hashes { found: [0; PREFETCH_MAX], count: 0 };
    for i in 0..batch.len() {
        let args = Args::new(buf, batch.spans(batch.command(i)));
        ahead.push(look_ahead(&srv.registry, entries, args, &mut hashes));
    }
    hashes.found[..hashes.count].iter().for_each(|hash| entries.prefetch_entry(*hash));
}

/// The hashes of the keys whose buckets were asked for.
struct Hashes {
    found: [u64; PREFETCH_MAX],
    count: usize,
}

impl Hashes {
    #[inline]
    fn add(&mut self, entries: &Entries, key: &[u8]) -> u64 {
        let hash = entries.hash(key);
        if let Some(place) = self.found.get_mut(self.count) {
            *place = hash;
            self.count += 1;
            entries.prefetch_bucket(hash);
        }
        hash
    }
}

const PREFETCH_MAX: usize = 64;
const PREFETCH_MIN_KEYS: usize = 10_000;

/// The row of a request and its first key's hash; the buckets of all its keys are asked for.
#[inline]
fn look_ahead(registry: &Registry, entries: &Entries, args: Args<'_>, hashes: &mut Hashes) -> Ahead {
    let Some(id) = registry.lookup(args).ok() else {
        return Ahead::default();
    };
    let mut ahead = Ahead { row: Some(id), key_hash: None };
    let row = registry.row(id);
    let (first, last, step) = row.key_range;
    if first == 0 || !matches!(row.run, Run::Data(_)) {
        return ahead;
    }
    let last = if last < 0 { args.len() as i64 + last } else { last };
    let mut at = first;
    // The first key's hash is kept even if there is no room to ask for its memory.
    while at <= last && (at == 1 || hashes.count < PREFETCH_MAX) {
        let Some(key) = args.opt(at as usize) else { break };
        let hash = hashes.add(entries, key);
        if at == 1 {
            ahead.key_hash = NonZeroU64::new(hash);
        }
        at += step.max(1);
    }
    ahead
}

impl Server {
    /// One request on behalf of a client: the call, and what follows from it.
    #[inline]
    pub fn run_unit(
        &mut self,
        row: RowId,
        args: Args<'_>,
        caller: crate::call::Caller,
        reply: &mut ReplyBuf,
        fx: &mut Effects,
    ) {
        self.call(row, args, caller, reply, fx);
        self.finish_unit(row, args, caller, fx);
    }
}
