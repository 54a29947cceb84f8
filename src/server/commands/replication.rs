//! ROLE; SYNC, PSYNC and REPLCONF, by which replicas speak to their master; WAIT, WAITAOF, FAILOVER.
//!
//! *Duty:* the rows, and glue. *Does not know:* how any of it is done (`server::replication`).
//! *Counterpart in C Redis:* `roleCommand`, `syncCommand`, `replconfCommand`, `waitCommand`, `failoverCommand`.

use super::{ServerCommand, ServerHandler};
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::repl::master::{PeerState, Replconf};
use crate::server::Server;
use crate::server::client::Flags as ClientFlags;

pub const COMMANDS: &[ServerCommand] = &[FAILOVER, PSYNC, REPLCONF, ROLE, SYNC, WAIT, WAITAOF];

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    Command::new(run, spec)
}

pub const ROLE: ServerCommand = row(
    role,
    Spec {
        name: "role",
        arity: 1,
        flags: NOSCRIPT.or(LOADING).or(STALE).or(FAST),
        acl: Categories::ADMIN.or(Categories::DANGEROUS),
        group: Group::Server,
        since: "2.8.12",
        complexity: "O(1)",
        summary: "Tells whether this is a master, a replica or a sentinel, and how far it is.",
        ..Spec::BASE
    },
);

fn role(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if srv.reply_replica_role(call) {
        return Ok(());
    }
    call.reply.array(3);
    call.reply.bulk(b"master");
    call.reply.int(srv.replication.backlog.offset() as i64);
    let online: Vec<_> = srv.replicas().filter(|(peer, ..)| peer.state == PeerState::Online).collect();
    call.reply.array(online.len());
    for (peer, host, port) in online {
        call.reply.array(3);
        call.reply.bulk(host.as_bytes());
        call.reply.bulk(port.to_string().as_bytes());
        call.reply.bulk(peer.ack_offset.to_string().as_bytes());
    }
    Ok(())
}

pub const SYNC: ServerCommand = row(
    |srv, call| srv.sync(call, false),
    Spec {
        name: "sync",
        arity: 1,
        flags: ADMIN.or(NOSCRIPT).or(NO_ASYNC_LOADING).or(NO_MULTI),
        group: Group::Server,
        since: "1.0.0",
        summary: "Asks for the data set and then for every change, without a way to go on after a break.",
        ..Spec::BASE
    },
);

pub const PSYNC: ServerCommand = row(
    |srv, call| srv.sync(call, true),
    Spec {
        name: "psync",
        arity: -3,
        flags: ADMIN.or(NOSCRIPT).or(NO_ASYNC_LOADING).or(NO_MULTI),
        group: Group::Server,
        since: "2.8.0",
        summary: "Asks for every change behind a point in a history, or for the data set first.",
        syntax: "replicationid offset",
        ..Spec::BASE
    },
);

pub const REPLCONF: ServerCommand = row(
    replconf,
    Spec {
        name: "replconf",
        arity: -1,
        flags: ADMIN.or(NOSCRIPT).or(LOADING).or(STALE).or(ALLOW_BUSY),
        group: Group::Server,
        since: "3.0.0",
        complexity: "O(1)",
        summary: "By this replicas tell a master about themselves, and both ask for offsets.",
        ..Spec::BASE
    },
);

fn replconf(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let slot = call.caller.client.slot as usize;
    let args: Vec<&[u8]> = call.args.from(1).collect();
    let client = &mut srv.clients[slot];
    let link = client.link.get_or_insert_default();
    match link.options.apply(&args).map_err(|text| CmdError::text(format!("ERR {text}")))? {
        Replconf::Ok => call.reply.ok(),
        Replconf::Ack(Some(acked)) if client.flags.has(ClientFlags::REPLICA) => srv.replica_acked(slot, acked),
        // A master asks by the stream; whoever else asks is not told.
        Replconf::Ack(_) | Replconf::GetAck => {}
    }
    Ok(())
}

pub const WAIT: ServerCommand = row(
    |srv, call| srv.wait_for_replicas(call),
    Spec {
        name: "wait",
        arity: 3,
        flags: NOSCRIPT,
        acl: Categories::CONNECTION,
        group: Group::Generic,
        since: "3.0.0",
        complexity: "O(1)",
        summary: "Waits until so many replicas have the connection's last change, and tells how many do.",
        syntax: "numreplicas timeout",
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        ..Spec::BASE
    },
);

pub const WAITAOF: ServerCommand = row(
    |srv, call| srv.wait_for_disk(call),
    Spec {
        name: "waitaof",
        arity: 4,
        flags: BLOCKING,
        acl: Categories::CONNECTION,
        group: Group::Generic,
        since: "7.2.0",
        complexity: "O(1)",
        summary: "Waits until the connection's last change is on the disk, here or at so many replicas.",
        syntax: "numlocal numreplicas timeout",
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        ..Spec::BASE
    },
);

pub const FAILOVER: ServerCommand = row(
    |srv, call| srv.failover(call),
    Spec {
        name: "failover",
        arity: -1,
        flags: ADMIN.or(NOSCRIPT).or(STALE),
        group: Group::Server,
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Hands the role of the master over to a replica, without losing a change.",
        syntax: "[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]",
        ..Spec::BASE
    },
);
