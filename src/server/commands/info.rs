//! INFO.
//!
//! *Duty:* the row, and the way of the text into a reply. *Does not know:* what is told (`info/`).
//! *Counterpart in C Redis:* `infoCommand`.

use super::{ServerCommand, ServerHandler};
use crate::call::{Call, CmdResult};
use crate::command::spec::*;
use crate::server::{Server, info};

pub const COMMANDS: &[ServerCommand] = &[INFO];

pub const INFO: ServerCommand = Command::new(
    info as ServerHandler,
    Spec {
        name: "info",
        arity: -1,
        flags: LOADING.or(STALE),
        acl: Categories::DANGEROUS,
        group: Group::Server,
        complexity: "O(1)",
        summary: "Tells about the server: its state, its counters, its memory.",
        syntax: "[section [section ...]]",
        tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        history: &[("7.0.0", "Several sections may be asked for at once.")],
        ..Spec::BASE
    },
);

fn info(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    // The peak is looked for now and then only; what is shown as used must not exceed it.
    srv.stats.peak_memory = srv.stats.peak_memory.max(srv.used_memory());
    let text = info::text(srv, call.args.from(1));
    call.reply.verbatim("txt", &text);
    Ok(())
}
