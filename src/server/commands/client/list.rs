//! CLIENT LIST and CLIENT INFO: a connection as a line of text.
//!
//! *Duty:* the fields of 7.2 in its order, with values that are true here: replies gather in one buffer, of which the
//! first 16 KiB are shown as `obl` and more than that as `oll` blocks of `omem` bytes, because that is how the reference
//! keeps it, and what limits and those who watch for slow readers go by.
//! *Counterpart in C Redis:* `catClientInfoString`, `getClientMemoryUsage`.

use std::fmt::Write;
use std::net::SocketAddr;

use super::filter::{self, Filter};
use super::tracking::redirect_of;
use super::{OTHERS, OWN, client_id, row};
use crate::call::{Call, ClientId, CmdResult};
use crate::command::spec::*;
use crate::resp::Proto;
use crate::server::Server;
use crate::server::client::{Client, FIXED_OUTPUT, Flags as ClientFlags, Memory};
use crate::server::commands::ServerCommand;

pub const LIST: ServerCommand = row(
    list,
    Spec {
        name: "client|list",
        arity: -2,
        since: "2.4.0",
        complexity: "O(N) where N is the number of client connections",
        summary: "Shows connections.",
        syntax: "[ID client-id ...] [TYPE <NORMAL|MASTER|REPLICA|PUBSUB>] [USER username] [ADDR ip:port] [LADDR ip:port] [SKIPME <YES|NO>] [MAXAGE maxage] [NAME name] [IDLE idle] [FLAGS flags] [LIB-NAME lib-name] [LIB-VER lib-ver] [DB db] [IP ip] [NOT-TYPE <NORMAL|MASTER|REPLICA|PUBSUB>] [NOT-ID not-client-id ...] [NOT-USER not-username] [NOT-ADDR ip:port] [NOT-LADDR ip:port] [NOT-NAME not-name] [NOT-FLAGS not-flags] [NOT-LIB-NAME not-lib-name] [NOT-LIB-VER not-lib-ver] [NOT-DB not-db] [NOT-IP not-ip]",
        tips: &["nondeterministic_output"],
        history: &[
            ("2.8.12", "Added unique client `id` field."),
            ("5.0.0", "Added optional `TYPE` filter."),
            ("6.0.0", "Added `user` field."),
            ("6.2.0", "Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` filter."),
            ("8.1.0", "Options of Valkey: the filters of `CLIENT KILL`, and more of them."),
        ],
        ..OTHERS
    },
);

fn list(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let mut shown: Vec<(ClientId, usize)> = Vec::new();
    let only_ids = call.args.is(2, "ID") && (3..call.args.len()).all(|i| filter::word(call.args, i).is_none());
    if call.args.len() > 3 && only_ids {
        for arg in call.args.from(3) {
            let id = client_id(arg, "ERR Invalid client ID")?;
            let id = ClientId(u64::try_from(id).unwrap_or_default());
            shown.extend(srv.clients.by_id(id).map(|slot| (id, slot)));
        }
    } else {
        let filter = Filter::parse(srv, call.args, 2, false)?;
        let own = call.caller.client.slot as usize;
        let all = srv.clients.open().filter(|(slot, _)| !(filter.skip_caller && *slot == own));
        let wanted = all.filter(|(_, client)| filter.meets(srv, client));
        shown.extend(wanted.map(|(slot, client)| (client.id, slot)));
        // Slots are used again; ids tell who came first.
        shown.sort();
    }
    let mut text = String::new();
    shown.iter().for_each(|(_, slot)| line(srv, *slot, memory(srv, *slot, call), &mut text));
    call.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

pub const INFO: ServerCommand = row(
    info,
    Spec {
        name: "client|info",
        arity: 2,
        since: "6.2.0",
        summary: "Shows the connection.",
        tips: &["nondeterministic_output"],
        ..OWN
    },
);

fn info(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let mut text = String::new();
    let slot = call.caller.client.slot as usize;
    line(srv, slot, memory(srv, slot, call), &mut text);
    call.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

pub(super) fn seconds_since(srv: &Server, then_ms: u64) -> u64 {
    (srv.clock.mono_us() / 1000).saturating_sub(then_ms) / 1000
}

/// Where a connection comes from.
pub(super) fn peer(srv: &Server, client: &Client) -> String {
    address(srv, client, client.stream.peer())
}

/// The address of ours that it came to.
pub(super) fn local(srv: &Server, client: &Client) -> String {
    address(srv, client, client.stream.local())
}

fn address(srv: &Server, client: &Client, address: Option<SocketAddr>) -> String {
    match address {
        _ if client.stream.is_unix() => format!("{}:0", srv.config.unixsocket),
        Some(address) => address.to_string(),
        None => "?:0".to_owned(),
    }
}

pub(super) fn flag_letters(client: &Client) -> String {
    let letters = [
        (ClientFlags::REPLICA, 'S'),
        (ClientFlags::MASTER, 'M'),
        (ClientFlags::MONITOR, 'O'),
        (ClientFlags::SUBSCRIBED, 'P'),
        (ClientFlags::MULTI, 'x'),
        (ClientFlags::BLOCKED, 'b'),
        (ClientFlags::TRACKING, 't'),
        (ClientFlags::TRACKING_BROKEN, 'R'),
        (ClientFlags::TRACKING_BCAST, 'B'),
        (ClientFlags::DIRTY_CAS, 'd'),
        (ClientFlags::CLOSE_AFTER_REPLY, 'c'),
        (ClientFlags::CLOSE_ASAP, 'A'),
        (ClientFlags::UNIX_SOCKET, 'U'),
        (ClientFlags::NO_EVICT, 'e'),
        (ClientFlags::NO_TOUCH, 'T'),
    ];
    let set = letters.iter().filter(|(flag, _)| client.flags.has(*flag));
    let text: String = set.map(|(_, letter)| *letter).collect();
    if text.is_empty() { "N".to_owned() } else { text }
}

/// While a client's command runs, its input and its replies are elsewhere.
fn memory(srv: &Server, slot: usize, call: &Call<'_>) -> Memory {
    let memory = srv.client_memory(slot);
    if slot != call.caller.client.slot as usize {
        return memory;
    }
    let read_to_own = if srv.clients[slot].fresh.is_some() { srv.exec.reading } else { 0 };
    Memory {
        input: srv.exec.reading,
        input_room: memory.input_room.saturating_sub(read_to_own),
        argv: call.args.total_len(),
        reply: call.reply.capacity(),
        reply_used: call.reply.len(),
        ..memory
    }
}

/// The client of a request that is refused.
pub fn asking(srv: &Server, slot: usize, argv: usize) -> String {
    let mut text = String::new();
    let memory = Memory { input: srv.exec.reading, argv, ..srv.client_memory(slot) };
    line(srv, slot, memory, &mut text);
    text.truncate(text.trim_end().len());
    text
}

fn line(srv: &Server, slot: usize, memory: Memory, text: &mut String) {
    let client = &srv.clients[slot];
    let (obl, oll, omem) = (memory.unsent.min(FIXED_OUTPUT), client.output_blocks(), client.listed_output());
    let omem = omem + srv.stream_kept_for(slot).unwrap_or(0) as usize;
    let names = client.names.as_deref();
    let lib = |name: Option<&Vec<u8>>| String::from_utf8_lossy(name.map_or(b"", |n| n)).into_owned();
    let subscriptions = client.subscriptions.as_ref();
    let (sub, psub, ssub) =
        subscriptions.map_or((0, 0, 0), |s| (s.channels.len(), s.patterns.len(), s.shard_channels.len()));
    let redirect = redirect_of(client);
    let multi = match &client.transaction {
        _ if !client.flags.has(ClientFlags::MULTI) => -1,
        None => 0,
        Some(transaction) => transaction.queue.len() as i64,
    };
    let written = writeln!(
        text,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={sub} psub={psub} ssub={ssub} \
         multi={multi} qbuf={} qbuf-free={} argv-mem={} multi-mem={} rbs={} rbp={} obl={obl} oll={oll} omem={omem} \
         tot-mem={} events={} cmd={} user={} redir={redirect} resp={} lib-name={} lib-ver={}",
        client.id.0,
        peer(srv, client),
        local(srv, client),
        client.stream.fd(),
        String::from_utf8_lossy(client.name()),
        seconds_since(srv, client.created_ms),
        seconds_since(srv, client.last_seen_ms),
        flag_letters(client),
        client.db.0,
        memory.input,
        memory.input_room,
        memory.argv,
        memory.queued,
        memory.reply,
        memory.reply_used,
        memory.total(),
        if client.flags.has(ClientFlags::WRITE_BLOCKED) { "rw" } else { "r" },
        client.last_row.map_or("NULL", |row| srv.registry.row(row).spec.name),
        String::from_utf8_lossy(srv.acl.name_of(client.user).unwrap_or(b"(superuser)")),
        if client.proto() == Proto::Resp3 { 3 } else { 2 },
        lib(names.map(|n| &n.lib_name)),
        lib(names.map(|n| &n.lib_ver)),
    );
    written.expect("a String takes whatever is written");
}
