//! ACL LOG.
//!
//! *Duty:* the log of refusals as a reply, with the fields of 7.2. *Does not know:* what gets into it (`access`).
//! *Counterpart in C Redis:* the LOG branch of `aclCommand`.

use super::{MANAGE, row};
use crate::acl::log::Entry;
use crate::base::millis::Millis;
use crate::call::{Call, CmdResult};
use crate::command::help::unknown_or_misused;
use crate::command::spec::*;
use crate::resp::ReplyBuf;
use crate::server::Server;
use crate::server::commands::ServerCommand;

/// Entries shown when no number is asked for.
const SHOWN: i64 = 10;

pub const LOG: ServerCommand = row(
    log,
    Spec {
        name: "acl|log",
        arity: -2,
        complexity: "O(N) with N being the number of entries shown.",
        summary: "Shows what was refused lately, the newest first, or forgets it.",
        syntax: "[<(count)|RESET>:operation]",
        history: &[("7.2.0", "Shows the id of an entry, when it was made, and when it was last changed.")],
        ..MANAGE
    },
);

fn log(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let count = match call.args.len() {
        2 => SHOWN,
        3 if call.args.is(2, "RESET") => {
            srv.acl.log.clear();
            call.reply.ok();
            return Ok(());
        }
        3 => call.args.int(2)?,
        _ => return Err(unknown_or_misused(call)),
    };
    let entries = srv.acl.log.entries();
    let shown = entries.len().min(usize::try_from(count).unwrap_or(0));
    call.reply.array(shown);
    entries.take(shown).for_each(|entry| show(entry, call.now, call.reply));
    Ok(())
}

fn show(entry: &Entry, now: Millis, reply: &mut ReplyBuf) {
    let what = &entry.what;
    reply.map(10);
    reply.bulk(b"count");
    reply.int(entry.count as i64);
    let texts: [(&str, &[u8]); 4] = [
        ("reason", what.reason.name().as_bytes()),
        ("context", what.context.name().as_bytes()),
        ("object", &what.object),
        ("username", &what.username),
    ];
    for (name, text) in texts {
        reply.bulk(name.as_bytes());
        reply.bulk(text);
    }
    reply.bulk(b"age-seconds");
    reply.double(now.since(entry.updated) as f64 / 1000.0);
    reply.bulk(b"client-info");
    reply.bulk(&what.client);
    let numbers = [
        ("entry-id", entry.id as i64),
        ("timestamp-created", entry.created.0),
        ("timestamp-last-updated", entry.updated.0),
    ];
    for (name, number) in numbers {
        reply.bulk(name.as_bytes());
        reply.int(number);
    }
}
