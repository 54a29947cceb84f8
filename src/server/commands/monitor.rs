//! MONITOR.
//!
//! *Duty:* the row, and the change of state. *Does not know:* what is shown, and when (`observation/monitor.rs`).
//! *Counterpart in C Redis:* `monitorCommand`.

use super::{ServerCommand, ServerHandler};
use crate::call::{Call, CmdError, CmdResult, Origin};
use crate::command::spec::*;
use crate::server::Server;
use crate::server::client::Flags as ClientFlags;

pub const COMMANDS: &[ServerCommand] = &[MONITOR];

pub const MONITOR: ServerCommand = Command::new(
    monitor as ServerHandler,
    Spec {
        name: "monitor",
        arity: 1,
        flags: ADMIN.or(NOSCRIPT).or(LOADING).or(STALE),
        group: Group::Server,
        complexity: "",
        summary: "Shows every command that the server runs, while it runs them.",
        ..Spec::BASE
    },
);

fn monitor(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if call.caller.origin != Origin::Client {
        return Err(CmdError::Fixed("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    let who = call.caller.client;
    // Asked for again it answers nothing, as in 7.0.15: the connection speaks of others by now. So does a replica's.
    let listens = ClientFlags(ClientFlags::MONITOR.0 | ClientFlags::REPLICA.0);
    if !srv.clients[who.slot as usize].flags.has(listens) {
        srv.start_monitor(who);
        call.reply.ok();
    }
    Ok(())
}
