//! PUBSUB: which channels there are, and how many listen.
//!
//! *Duty:* the rows and the answers. *Does not know:* how one subscribes.
//! *Counterpart in C Redis:* `pubsubCommand`, `channelList`.

use super::row;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::help::unknown_or_misused;
use crate::command::spec::*;
use crate::pubsub::Kind;
use crate::server::Server;
use crate::server::commands::ServerCommand;

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

const ASK: Flags = crate::command::spec::PUBSUB.or(LOADING).or(STALE);

pub const CHANNELS: ServerCommand = row(
    |srv, call| channels(srv, call, Kind::Channel),
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

pub const SHARDCHANNELS: ServerCommand = row(
    |srv, call| channels(srv, call, Kind::Shard),
    Spec {
        name: "pubsub|shardchannels",
        arity: -2,
        flags: ASK,
        since: "7.0.0",
        complexity: "O(N) where N is the number of active shard channels, and assuming constant time pattern matching (relatively short shard channels).",
        summary: "Lists the shard channels that somebody listens to.",
        syntax: "[pattern]",
        ..Spec::BASE
    },
);

fn channels(srv: &mut Server, call: &mut Call<'_>, kind: Kind) -> CmdResult {
    if call.args.len() > 3 {
        return Err(unknown_or_misused(call));
    }
    let mark = call.reply.defer();
    let mut count = 0;
    for name in srv.pubsub.channels(kind, call.args.opt(2)) {
        call.reply.bulk(name);
        count += 1;
    }
    call.reply.close_array(mark, count);
    Ok(())
}

pub const NUMSUB: ServerCommand = row(
    |srv, call| numsub(srv, call, Kind::Channel),
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

pub const SHARDNUMSUB: ServerCommand = row(
    |srv, call| numsub(srv, call, Kind::Shard),
    Spec {
        name: "pubsub|shardnumsub",
        arity: -2,
        flags: ASK,
        since: "7.0.0",
        complexity: "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
        summary: "Tells how many listen to each of some shard channels.",
        syntax: "[shardchannel [shardchannel ...]]",
        ..Spec::BASE
    },
);

fn numsub(srv: &mut Server, call: &mut Call<'_>, kind: Kind) -> CmdResult {
    call.reply.array(2 * (call.args.len() - 2));
    for channel in call.args.from(2) {
        call.reply.bulk(channel);
        call.reply.len_of(srv.pubsub.subscribers(kind, channel));
    }
    Ok(())
}

pub const NUMPAT: ServerCommand = row(
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

pub const HELP: ServerCommand =
    row(help, Spec { name: "pubsub|help", acl: Categories::NONE, since: "6.2.0", ..Spec::HELP });

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
            "SHARDCHANNELS [<pattern>]",
            "    Lists the shard channels that somebody listens to, all or those that match.",
            "SHARDNUMSUB [<shardchannel> ...]",
            "    Tells how many listen to each shard channel.",
        ],
    );
    Ok(())
}
