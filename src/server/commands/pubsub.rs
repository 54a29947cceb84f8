//! SUBSCRIBE, UNSUBSCRIBE, PSUBSCRIBE, PUNSUBSCRIBE, PUBLISH, PUBSUB.
//!
//! *Duty:* keep a client's own list, the table and the flag in step, and write the confirmations, one for each name.
//! *Counterpart in C Redis:* `pubsub.c`.

use super::{ServerCommand, ServerHandler};
use crate::call::{Call, CmdError, CmdResult, Origin};
use crate::command::spec::*;
use crate::pubsub::Kind;
use crate::resp::ReplyBuf;
use crate::server::Server;
use crate::server::client::Flags as ClientFlags;

pub const COMMANDS: &[ServerCommand] = &[
    PSUBSCRIBE,
    PUBLISH,
    PUBSUB,
    PUBSUB_CHANNELS,
    PUBSUB_HELP,
    PUBSUB_NUMPAT,
    PUBSUB_NUMSUB,
    PUNSUBSCRIBE,
    SUBSCRIBE,
    UNSUBSCRIBE,
];

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    Command::new(run, Spec { group: Group::PubSub, ..spec })
}

const LISTEN: Flags = PUBSUB_FLAG.or(NOSCRIPT).or(LOADING).or(STALE);
const PUBSUB_FLAG: Flags = crate::command::spec::PUBSUB;

pub const SUBSCRIBE: ServerCommand = row(
    |srv, call| subscribe(srv, call, Kind::Channel),
    Spec {
        name: "subscribe",
        arity: -2,
        flags: LISTEN,
        since: "2.0.0",
        complexity: "O(N) where N is the number of channels to subscribe to.",
        summary: "Listens to channels.",
        syntax: "channel [channel ...]",
        ..Spec::BASE
    },
);

pub const PSUBSCRIBE: ServerCommand = row(
    |srv, call| subscribe(srv, call, Kind::Pattern),
    Spec {
        name: "psubscribe",
        arity: -2,
        flags: LISTEN,
        since: "2.0.0",
        complexity: "O(N) where N is the number of patterns to subscribe to.",
        summary: "Listens to all channels whose names match patterns.",
        syntax: "(pattern) [(pattern) ...]",
        ..Spec::BASE
    },
);

pub const UNSUBSCRIBE: ServerCommand = row(
    |srv, call| unsubscribe(srv, call, Kind::Channel),
    Spec {
        name: "unsubscribe",
        arity: -1,
        flags: LISTEN,
        since: "2.0.0",
        complexity: "O(N) where N is the number of channels to unsubscribe.",
        summary: "Stops listening to channels: the named ones, or all.",
        syntax: "[channel [channel ...]]",
        ..Spec::BASE
    },
);

pub const PUNSUBSCRIBE: ServerCommand = row(
    |srv, call| unsubscribe(srv, call, Kind::Pattern),
    Spec {
        name: "punsubscribe",
        arity: -1,
        flags: LISTEN,
        since: "2.0.0",
        complexity: "O(N) where N is the number of patterns to unsubscribe.",
        summary: "Stops listening by patterns: the named ones, or all.",
        syntax: "[pattern [pattern ...]]",
        ..Spec::BASE
    },
);

fn confirm(reply: &mut ReplyBuf, word: &[u8], name: Option<&[u8]>, left: usize) {
    reply.push(3);
    reply.bulk(word);
    match name {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    reply.int(left as i64);
}

/// Where confirmations are written. They are pushes, which CLIENT REPLY OFF does not silence: then they go past the
/// reply, straight to what the client is sent.
fn confirmations<'a>(srv: &'a mut Server, call: &'a mut Call<'_>, slot: usize) -> &'a mut ReplyBuf {
    let silenced = ClientFlags(ClientFlags::REPLY_OFF.0 | ClientFlags::REPLY_SKIP.0);
    if srv.clients[slot].flags.has(silenced) { &mut srv.clients[slot].reply } else { call.reply }
}

fn words(kind: Kind) -> (&'static [u8], &'static [u8]) {
    match kind {
        Kind::Channel => (b"subscribe", b"unsubscribe"),
        Kind::Pattern => (b"psubscribe", b"punsubscribe"),
    }
}

fn subscribe(srv: &mut Server, call: &mut Call<'_>, kind: Kind) -> CmdResult {
    let slot = call.caller.client.slot as usize;
    // A script expects one reply for each command. EXEC does too, but clients have long relied on it there.
    if call.caller.origin == Origin::Script {
        return Err(CmdError::text(format!(
            "ERR {} isn't allowed for a DENY BLOCKING client",
            words(kind).0.escape_ascii().to_string().to_ascii_uppercase()
        )));
    }
    let mut own = srv.clients[slot].subscriptions.take().unwrap_or_default();
    for name in call.args.from(1) {
        srv.pubsub.subscribe(kind, call.caller.client, &mut own, name);
        confirm(confirmations(srv, call, slot), words(kind).0, Some(name), own.count());
    }
    srv.clients[slot].subscriptions = Some(own);
    srv.clients[slot].flags.set(ClientFlags::SUBSCRIBED);
    srv.refresh_wants();
    Ok(())
}

fn unsubscribe(srv: &mut Server, call: &mut Call<'_>, kind: Kind) -> CmdResult {
    let slot = call.caller.client.slot as usize;
    let word = words(kind).1;
    let mut own = srv.clients[slot].subscriptions.take().unwrap_or_default();
    let names: Vec<Box<[u8]>> = if call.args.len() > 1 {
        call.args.from(1).map(Box::from).collect()
    } else if kind == Kind::Channel {
        own.channels.clone()
    } else {
        own.patterns.clone()
    };
    for name in &names {
        srv.pubsub.unsubscribe(kind, call.caller.client, &mut own, name);
        confirm(confirmations(srv, call, slot), word, Some(name), own.count());
    }
    if names.is_empty() {
        confirm(confirmations(srv, call, slot), word, None, own.count());
    }
    if own.is_empty() {
        srv.clients[slot].flags.clear(ClientFlags::SUBSCRIBED);
    } else {
        srv.clients[slot].subscriptions = Some(own);
    }
    srv.refresh_wants();
    Ok(())
}

impl Server {
    /// Ends all subscriptions of a client that goes away or starts anew.
    pub fn drop_subscriptions(&mut self, slot: usize) {
        let client = &mut self.clients[slot];
        let Some(own) = client.subscriptions.take() else { return };
        client.flags.clear(ClientFlags::SUBSCRIBED);
        let who = client.reference(slot);
        self.pubsub.drop_client(who, &own);
        self.refresh_wants();
    }
}

pub const PUBLISH: ServerCommand = row(
    publish,
    Spec {
        name: "publish",
        arity: 3,
        flags: PUBSUB_FLAG.or(LOADING).or(STALE).or(FAST).or(MAY_REPLICATE),
        since: "2.0.0",
        complexity: "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total number of subscribed patterns (by any client).",
        summary: "Sends a message to all who listen to a channel.",
        syntax: "channel message",
        ..Spec::BASE
    },
);

fn publish(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let receivers = srv.publish(call.arg(1), call.arg(2));
    call.reply.len_of(receivers);
    Ok(())
}

pub const PUBSUB: ServerCommand = row(
    container,
    Spec {
        name: "pubsub",
        arity: -2,
        since: "2.8.0",
        complexity: "Depends on subcommand.",
        summary: "A container for commands about channels and their listeners.",
        ..Spec::BASE
    },
);

/// Reached only without a subcommand, which the arity forbids.
fn container(_: &mut Server, _: &mut Call<'_>) -> CmdResult {
    Err(CmdError::Syntax)
}

const ASK: Flags = PUBSUB_FLAG.or(LOADING).or(STALE);

pub const PUBSUB_CHANNELS: ServerCommand = row(
    channels,
    Spec {
        name: "pubsub|channels",
        arity: -2,
        flags: ASK,
        since: "2.8.0",
        complexity: "O(N) where N is the number of active channels, and assuming constant time pattern matching (relatively short channels and patterns)",
        summary: "Lists the channels that somebody listens to.",
        syntax: "[pattern]",
        ..Spec::BASE
    },
);

fn channels(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let mark = call.reply.defer();
    let mut count = 0;
    for name in srv.pubsub.channels(call.args.opt(2)) {
        call.reply.bulk(name);
        count += 1;
    }
    call.reply.close_array(mark, count);
    Ok(())
}

pub const PUBSUB_NUMSUB: ServerCommand = row(
    numsub,
    Spec {
        name: "pubsub|numsub",
        arity: -2,
        flags: ASK,
        since: "2.8.0",
        complexity: "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
        summary: "Tells how many listen to each of some channels.",
        syntax: "[channel [channel ...]]",
        ..Spec::BASE
    },
);

fn numsub(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    call.reply.array(2 * (call.args.len() - 2));
    for channel in call.args.from(2) {
        call.reply.bulk(channel);
        call.reply.len_of(srv.pubsub.subscribers(channel));
    }
    Ok(())
}

pub const PUBSUB_NUMPAT: ServerCommand = row(
    numpat,
    Spec {
        name: "pubsub|numpat",
        arity: 2,
        flags: ASK,
        since: "2.8.0",
        complexity: "O(1)",
        summary: "Tells how many patterns are listened to.",
        ..Spec::BASE
    },
);

fn numpat(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    call.reply.len_of(srv.pubsub.pattern_count());
    Ok(())
}

pub const PUBSUB_HELP: ServerCommand = row(
    help,
    Spec {
        name: "pubsub|help",
        arity: 2,
        flags: LOADING.or(STALE),
        acl: Categories::NONE,
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Lists the subcommands.",
        ..Spec::BASE
    },
);

fn help(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    crate::command::help::reply(
        call,
        &[
            "CHANNELS [<pattern>]",
            "    Lists the channels that somebody listens to, all or those that match.",
            "NUMPAT",
            "    Tells how many patterns are listened to.",
            "NUMSUB [<channel> ...]",
            "    Tells how many listen to each channel, patterns left aside.",
        ],
    );
    Ok(())
}
