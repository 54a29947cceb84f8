//! ROLE.
//!
//! *Duty:* what this server is among others. *Does not know:* replicas: there are none in this release, so every
//! server is a master without any. *Counterpart in C Redis:* `roleCommand`.

use super::{ServerCommand, ServerHandler};
use crate::call::{Call, CmdResult};
use crate::command::spec::*;
use crate::server::Server;

pub const COMMANDS: &[ServerCommand] = &[ROLE];

pub const ROLE: ServerCommand = Command::new(
    role as ServerHandler,
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
    // The offset of the stream to replicas, of which not a byte was ever written, and who reads it.
    call.reply.int(0);
    call.reply.array(0);
    Ok(())
}
