//! CLIENT LIST and CLIENT INFO: a connection as a line of text.
//!
//! *Duty:* the fields of 7.2 in its order, with values that are true here: replies gather in one buffer, of which the
//! first 16 KiB are shown as `obl` and more than that as `omem`, because that is where the reference draws the line
//! between its fixed buffer and its list, and what those who watch for slow readers go by.
//! *Counterpart in C Redis:* `catClientInfoString`, `getClientMemoryUsage`.

use std::fmt::Write;
use std::mem::{size_of, size_of_val};
use std::net::SocketAddr;

use super::{ANY, KEEPER, Kind, client_id, row};
use crate::call::{Call, ClientId, CmdError, CmdResult};
use crate::command::spec::*;
use crate::resp::Proto;
use crate::server::Server;
use crate::server::client::{Client, Flags as ClientFlags};
use crate::server::commands::ServerCommand;

pub const LIST: ServerCommand = row(
    list,
    Spec {
        name: "client|list",
        arity: -2,
        flags: KEEPER,
        since: "2.4.0",
        complexity: "O(N) where N is the number of client connections",
        summary: "Shows connections.",
        syntax: "[TYPE <NORMAL|MASTER|REPLICA|PUBSUB>] [ID client-id [client-id ...]]",
        tips: &["nondeterministic_output"],
        history: &[
            ("2.8.12", "Added unique client `id` field."),
            ("5.0.0", "Added optional `TYPE` filter."),
            ("6.0.0", "Added `user` field."),
            ("6.2.0", "Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` filter."),
        ],
        ..Spec::BASE
    },
);

fn list(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let mut shown: Vec<(ClientId, usize)> = Vec::new();
    if call.args.len() > 3 && call.args.is(2, "ID") {
        for arg in call.args.from(3) {
            let id = client_id(arg, "ERR Invalid client ID")?;
            let id = ClientId(u64::try_from(id).unwrap_or_default());
            shown.extend(srv.clients.by_id(id).map(|slot| (id, slot)));
        }
    } else {
        let kind = match call.args.len() {
            2 => None,
            4 if call.args.is(2, "TYPE") => Some(Kind::parse(call.args, 3)?),
            _ => return Err(CmdError::Syntax),
        };
        let all = srv.clients.iter();
        let wanted = all.filter(|(_, client)| kind.is_none_or(|k| Kind::of(client) == k));
        shown.extend(wanted.map(|(slot, client)| (client.id, slot)));
        // Slots are used again; ids tell who came first.
        shown.sort();
    }
    let mut text = String::new();
    shown.iter().for_each(|(_, slot)| line(srv, *slot, call, &mut text));
    call.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

pub const INFO: ServerCommand = row(
    info,
    Spec {
        name: "client|info",
        arity: 2,
        flags: ANY,
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Shows the connection.",
        tips: &["nondeterministic_output"],
        ..Spec::BASE
    },
);

fn info(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let mut text = String::new();
    line(srv, call.caller.client.slot as usize, call, &mut text);
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

fn flag_letters(client: &Client) -> String {
    let letters = [
        (ClientFlags::MONITOR, 'O'),
        (ClientFlags::SUBSCRIBED, 'P'),
        (ClientFlags::MULTI, 'x'),
        (ClientFlags::BLOCKED, 'b'),
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

/// Bytes that a connection takes in one way or another.
struct Memory {
    /// Input that has arrived, and the room behind it.
    input: usize,
    input_room: usize,
    argv: usize,
    queued: usize,
    /// The reply buffer, and what of it was used since it was empty last.
    reply: usize,
    reply_used: usize,
    unsent: usize,
    other: usize,
}

impl Memory {
    fn of(client: &Client) -> Memory {
        let names = client.names.as_deref();
        let names =
            names.map_or(0, |n| size_of_val(n) + n.name.capacity() + n.lib_name.capacity() + n.lib_ver.capacity());
        let subscriptions = client.subscriptions.iter().flat_map(|s| s.channels.iter().chain(&s.patterns));
        let subscriptions: usize = subscriptions.map(|name| size_of_val(name) + name.len()).sum();
        Memory {
            input: client.input.len(),
            input_room: client.input.capacity() - client.input.len(),
            argv: client.blocked.as_ref().map_or(0, |b| b.argument_memory()),
            queued: client.transaction.as_ref().map_or(0, |t| t.memory),
            reply: client.reply.capacity(),
            reply_used: client.reply.len(),
            unsent: client.output_len(),
            other: size_of::<Client>() + names + subscriptions,
        }
    }

    /// While a client's command runs, its input and its replies are elsewhere.
    fn of_caller(client: &Client, reading: usize, call: &Call<'_>) -> Memory {
        Memory {
            input: reading,
            argv: call.args.total_len(),
            reply: call.reply.capacity(),
            reply_used: call.reply.len(),
            ..Memory::of(client)
        }
    }

    fn total(&self) -> usize {
        self.input + self.input_room + self.argv + self.queued + self.reply + self.other
    }
}

/// More than this waiting to be sent counts as a list of its own.
const FIXED_OUTPUT: usize = 16 * 1024;

fn line(srv: &Server, slot: usize, call: &Call<'_>, text: &mut String) {
    let client = &srv.clients[slot];
    let memory = if slot == call.caller.client.slot as usize {
        Memory::of_caller(client, srv.exec.reading, call)
    } else {
        Memory::of(client)
    };
    let (obl, oll, omem) = match memory.unsent {
        few @ 0..=FIXED_OUTPUT => (few, 0, 0),
        many => (FIXED_OUTPUT, 1, many - FIXED_OUTPUT),
    };
    let names = client.names.as_deref();
    let lib = |name: Option<&Vec<u8>>| String::from_utf8_lossy(name.map_or(b"", |n| n)).into_owned();
    let (sub, psub) = client.subscriptions.as_ref().map_or((0, 0), |s| (s.channels.len(), s.patterns.len()));
    let multi = match &client.transaction {
        _ if !client.flags.has(ClientFlags::MULTI) => -1,
        None => 0,
        Some(transaction) => transaction.queue.len() as i64,
    };
    let written = writeln!(
        text,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={sub} psub={psub} ssub=0 \
         multi={multi} qbuf={} qbuf-free={} argv-mem={} multi-mem={} rbs={} rbp={} obl={obl} oll={oll} omem={omem} \
         tot-mem={} events={} cmd={} user=default redir=-1 resp={} lib-name={} lib-ver={}",
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
        if client.proto() == Proto::Resp3 { 3 } else { 2 },
        lib(names.map(|n| &n.lib_name)),
        lib(names.map(|n| &n.lib_ver)),
    );
    written.expect("a String takes whatever is written");
}
