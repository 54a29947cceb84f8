//! READONLY, READWRITE and ASKING: what a client says to a node of a cluster.
//!
//! *Duty:* the rows, and the answer of a server that is no node, which is what every server here is: a start with
//! `cluster-enabled yes` is refused. *Does not know:* slots and nodes. *Invariant:* the rows are the reference's, so
//! rules of users may name these commands. *Counterpart in C Redis:* `readonlyCommand`, `readwriteCommand`,
//! `askingCommand`.

use super::ServerCommand;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::server::Server;

pub const COMMANDS: &[ServerCommand] = &[ASKING, READONLY_MODE, READWRITE_MODE];

const fn row(spec: Spec) -> ServerCommand {
    let acl = Categories::CONNECTION;
    Command::new(no_node, Spec { arity: 1, acl, group: Group::Cluster, since: "3.0.0", complexity: "O(1)", ..spec })
}

fn no_node(_: &mut Server, _: &mut Call<'_>) -> CmdResult {
    Err(CmdError::Fixed("ERR This instance has cluster support disabled"))
}

pub const ASKING: ServerCommand =
    row(Spec { name: "asking", flags: FAST, summary: "Follows an -ASK of another node.", ..Spec::BASE });

pub const READONLY_MODE: ServerCommand = row(Spec {
    name: "readonly",
    flags: LOADING.or(STALE).or(FAST),
    summary: "Lets this connection read from a replica in a cluster.",
    ..Spec::BASE
});

pub const READWRITE_MODE: ServerCommand = row(Spec {
    name: "readwrite",
    flags: LOADING.or(STALE).or(FAST),
    summary: "Ends what READONLY began.",
    ..Spec::BASE
});
