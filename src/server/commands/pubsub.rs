//! SUBSCRIBE, UNSUBSCRIBE, PSUBSCRIBE, PUNSUBSCRIBE, PUBLISH, and the same of shard channels; [`ask`] has PUBSUB.
//!
//! *Duty:* keep a client's own list, the table and the flag in step, and write the confirmations, one for each name.
//! *Counterpart in C Redis:* `pubsub.c`.

mod ask;

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
    ask::PUBSUB,
    ask::CHANNELS,
    ask::HELP,
    ask::NUMPAT,
    ask::NUMSUB,
    ask::SHARDCHANNELS,
    ask::SHARDNUMSUB,
    PUNSUBSCRIBE,
    SPUBLISH,
    SSUBSCRIBE,
    SUBSCRIBE,
    SUNSUBSCRIBE,
    UNSUBSCRIBE,
];

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    Command::new(run, Spec { group: Group::PubSub, ..spec })
}

const PUBSUB_FLAG: Flags = crate::command::spec::PUBSUB;

const LISTENING: Spec = Spec { flags: PUBSUB_FLAG.or(NOSCRIPT).or(LOADING).or(STALE), since: "2.0.0", ..Spec::BASE };

pub const SUBSCRIBE: ServerCommand = row(
    |srv, call| subscribe(srv, call, Kind::Channel),
    Spec {
        name: "subscribe",
        arity: -2,
        complexity: "O(N) where N is the number of channels to subscribe to.",
        summary: "Listens to channels.",
        syntax: "channel [channel ...]",
        ..LISTENING
    },
);

pub const PSUBSCRIBE: ServerCommand = row(
    |srv, call| subscribe(srv, call, Kind::Pattern),
    Spec {
        name: "psubscribe",
        arity: -2,
        complexity: "O(N) where N is the number of patterns to subscribe to.",
        summary: "Listens to all channels whose names match patterns.",
        syntax: "(pattern) [(pattern) ...]",
        ..LISTENING
    },
);

pub const UNSUBSCRIBE: ServerCommand = row(
    |srv, call| unsubscribe(srv, call, Kind::Channel),
    Spec {
        name: "unsubscribe",
        arity: -1,
        complexity: "O(N) where N is the number of channels to unsubscribe.",
        summary: "Stops listening to channels: the named ones, or all.",
        syntax: "[channel [channel ...]]",
        ..LISTENING
    },
);

pub const PUNSUBSCRIBE: ServerCommand = row(
    |srv, call| unsubscribe(srv, call, Kind::Pattern),
    Spec {
        name: "punsubscribe",
        arity: -1,
        complexity: "O(N) where N is the number of patterns to unsubscribe.",
        summary: "Stops listening by patterns: the named ones, or all.",
        syntax: "[pattern [pattern ...]]",
        ..LISTENING
    },
);

/// Shard channels stand where keys stand, so that a client library finds their slot.
const SHARD_LISTENING: Spec =
    Spec { keys: &[KeySpec::range(1, -1, 1, KeyFlags::NOT_KEY)], since: "7.0.0", ..LISTENING };

pub const SSUBSCRIBE: ServerCommand = row(
    |srv, call| subscribe(srv, call, Kind::Shard),
    Spec {
        name: "ssubscribe",
        arity: -2,
        complexity: "O(N) where N is the number of shard channels to subscribe to.",
        summary: "Listens to shard channels.",
        syntax: "shardchannel [shardchannel ...]",
        ..SHARD_LISTENING
    },
);

pub const SUNSUBSCRIBE: ServerCommand = row(
    |srv, call| unsubscribe(srv, call, Kind::Shard),
    Spec {
        name: "sunsubscribe",
        arity: -1,
        complexity: "O(N) where N is the number of clients already subscribed to a shard channel.",
        summary: "Stops listening to shard channels: the named ones, or all.",
        syntax: "[shardchannel [shardchannel ...]]",
        ..SHARD_LISTENING
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
        Kind::Shard => (b"ssubscribe", b"sunsubscribe"),
    }
}

fn subscribe(srv: &mut Server, call: &mut Call<'_>, kind: Kind) -> CmdResult {
    let slot = call.caller.client.slot as usize;
    // A script expects one reply for each command. EXEC does too, but clients have long relied on it there, save for
    // shard channels, which are younger.
    let alone = call.caller.origin == Origin::Client;
    if !alone && (kind == Kind::Shard || call.caller.origin == Origin::Script) {
        return Err(CmdError::text(format!(
            "ERR {} isn't allowed for a DENY BLOCKING client",
            words(kind).0.escape_ascii().to_string().to_ascii_uppercase()
        )));
    }
    let mut own = srv.clients[slot].subscriptions.take().unwrap_or_default();
    for name in call.args.from(1) {
        srv.pubsub.subscribe(kind, call.caller.client, &mut own, name);
        confirm(confirmations(srv, call, slot), words(kind).0, Some(name), own.count(kind));
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
    let named = call.args.from(1);
    let names = if named.len() > 0 { named.map(Box::from).collect() } else { own.names(kind) };
    for name in &names {
        srv.pubsub.unsubscribe(kind, call.caller.client, &mut own, name);
        confirm(confirmations(srv, call, slot), word, Some(name), own.count(kind));
    }
    if names.is_empty() {
        confirm(confirmations(srv, call, slot), word, None, own.count(kind));
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
    call.tell_replicas();
    call.reply.len_of(receivers);
    Ok(())
}

pub const SPUBLISH: ServerCommand = row(
    |srv, call| {
        let receivers = srv.publish_to_shard(call.arg(1), call.arg(2));
        call.tell_replicas();
        call.reply.len_of(receivers);
        Ok(())
    },
    Spec {
        name: "spublish",
        arity: 3,
        flags: PUBSUB_FLAG.or(LOADING).or(STALE).or(FAST).or(MAY_REPLICATE),
        keys: &[KeySpec::one(1, KeyFlags::NOT_KEY)],
        since: "7.0.0",
        complexity: "O(N) where N is the number of clients subscribed to the receiving shard channel.",
        summary: "Sends a message to all who listen to a shard channel.",
        syntax: "shardchannel message",
        ..Spec::BASE
    },
);
