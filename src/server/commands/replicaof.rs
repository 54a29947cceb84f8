//! REPLICAOF and SLAVEOF.
//!
//! *Duty:* make this server the replica of another one, or a master again. *Does not know:* what follows from that.
//! *Counterpart in C Redis:* `replicaofCommand`.

use super::{ServerCommand, ServerHandler};
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::config::MasterAddr;
use crate::config::number::parse_lenient;
use crate::server::Server;
use crate::server::client::Flags as ClientFlags;

pub const COMMANDS: &[ServerCommand] = &[REPLICAOF, SLAVEOF];

const BOTH: Spec = Spec {
    arity: 3,
    flags: ADMIN.or(NOSCRIPT).or(STALE).or(NO_ASYNC_LOADING),
    group: Group::Server,
    complexity: "O(1)",
    syntax: "<host port|NO ONE>",
    ..Spec::BASE
};

pub const REPLICAOF: ServerCommand = Command::new(
    replicaof as ServerHandler,
    Spec {
        name: "replicaof",
        since: "5.0.0",
        summary: "Makes this server the replica of another one, or a master.",
        ..BOTH
    },
);

pub const SLAVEOF: ServerCommand = Command::new(
    replicaof as ServerHandler,
    Spec {
        name: "slaveof",
        since: "1.0.0",
        summary: "Makes this server the replica of another one, or a master.",
        deprecated: Some(("5.0.0", "`REPLICAOF`")),
        ..BOTH
    },
);

fn replicaof(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if srv.config.cluster_enabled {
        return Err(CmdError::Fixed("ERR REPLICAOF not allowed in cluster mode."));
    }
    if srv.replication.failover.is_active() {
        return Err(CmdError::Fixed("ERR REPLICAOF not allowed while failing over."));
    }
    let slot = call.caller.client.slot as usize;
    let who = srv.clients.describe(slot);
    if call.args.is(1, "NO") && call.args.is(2, "ONE") {
        if srv.stop_following() {
            log::info!("MASTER MODE enabled (user request from '{who}')");
        }
        call.reply.ok();
        return Ok(());
    }
    if srv.clients[slot].flags.has(ClientFlags::REPLICA) {
        return Err(CmdError::Fixed("ERR Command is not valid when client is a replica."));
    }
    let port = call.args.int(2).ok().or_else(|| parse_lenient(call.arg(2))).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or(CmdError::Fixed("ERR Invalid master port"))?;
    let host = String::from_utf8(call.arg(1).to_vec());
    let host = host.map_err(|_| CmdError::Fixed("ERR Invalid master host"))?;
    let master = MasterAddr { host, port };
    let text = format!("{}:{}", master.host, master.port);
    if !srv.follow_master(master) {
        log::info!(
            "REPLICAOF would result into synchronization with the master we are already connected with. No operation \
             performed."
        );
        call.reply.status("OK Already connected to specified master");
        return Ok(());
    }
    log::info!("REPLICAOF {text} enabled (user request from '{who}')");
    call.reply.ok();
    Ok(())
}
