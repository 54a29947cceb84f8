//! XINFO: a stream, its groups and their consumers.
//!
//! *Does not know:* how entries are kept; where the reference tells of its radix tree, the figures are those it would
//! have. *Counterpart in C Redis:* `xinfoCommand`.

use super::{reply_entries, reply_entry, reply_id};
use crate::call::{Call, CmdError, CmdResult};
use crate::command::help;
use crate::command::spec::*;
use crate::keyspace::Keyspace;
use crate::resp::ReplyBuf;
use crate::value::Stream as StreamValue;
use crate::value::stream::{Consumer, Entry, Group as ConsumerGroup, Pending, StreamId, UNKNOWN};

pub const XINFO: DataCommand = Command::new(
    |_, call| Err(help::unknown_subcommand(call)),
    Spec {
        name: "xinfo",
        arity: -2,
        group: Group::Stream,
        since: "5.0.0",
        complexity: "That of the subcommand.",
        summary: "Holds the commands that tell about streams.",
        ..Spec::BASE
    },
);

const SUBCOMMAND: Spec = Spec {
    flags: READONLY,
    keys: &[KeySpec::one(2, KeyFlags::RO.or(KeyFlags::ACCESS))],
    acl: Categories::STREAM,
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(1)",
    ..Spec::BASE
};

pub const STREAM: DataCommand = Command::new(
    stream,
    Spec {
        name: "xinfo|stream",
        arity: -3,
        summary: "Tells about a stream, and with FULL about all that belongs to it.",
        syntax: "key [FULL [COUNT count]]",
        history: &[
            ("6.0.0", "Added the option `FULL`."),
            (
                "7.0.0",
                "Added `max-deleted-entry-id`, `entries-added` and `recorded-first-entry-id`, and to groups \
                 `entries-read` and `lag`.",
            ),
        ],
        ..SUBCOMMAND
    },
);

pub const GROUPS: DataCommand = Command::new(
    groups,
    Spec {
        name: "xinfo|groups",
        arity: 3,
        summary: "Lists the groups of a stream.",
        syntax: "key",
        history: &[("7.0.0", "Added `entries-read` and `lag`.")],
        ..SUBCOMMAND
    },
);

pub const CONSUMERS: DataCommand = Command::new(
    consumers,
    Spec {
        name: "xinfo|consumers",
        arity: 4,
        summary: "Lists the consumers of a group.",
        syntax: "key group",
        tips: &["nondeterministic_output"],
        ..SUBCOMMAND
    },
);

pub const HELP: DataCommand = Command::new(
    |_, call| {
        help::reply(
            call,
            &[
                "CONSUMERS <key> <groupname>",
                "    List the consumers of a group.",
                "GROUPS <key>",
                "    List the groups of a stream.",
                "STREAM <key> [FULL [COUNT <count>]",
                "    Tell about a stream.",
            ],
        );
        Ok(())
    },
    Spec {
        name: "xinfo|help",
        arity: 2,
        flags: LOADING.or(STALE),
        keys: &[],
        summary: "Lists the subcommands.",
        ..SUBCOMMAND
    },
);

/// How much of everything FULL shows.
const FULL_COUNT: usize = 10;

fn existing<'k>(ks: &'k mut Keyspace, call: &mut Call<'_>) -> Result<&'k StreamValue, CmdError> {
    ks.read_typed::<StreamValue>(call.arg(2), call)?.ok_or(CmdError::NoSuchKey)
}

fn label(reply: &mut ReplyBuf, name: &str) {
    reply.bulk(name.as_bytes());
}

fn labelled_int(reply: &mut ReplyBuf, name: &str, value: i64) {
    label(reply, name);
    reply.int(value);
}

fn labelled_id(reply: &mut ReplyBuf, name: &str, id: StreamId) {
    label(reply, name);
    reply_id(reply, id);
}

fn labelled_option(reply: &mut ReplyBuf, name: &str, value: Option<i64>) {
    label(reply, name);
    match value {
        Some(value) => reply.int(value),
        None => reply.null(),
    }
}

/// FULL's count; `None`: no FULL. Zero is "all".
fn full_count(call: &Call<'_>) -> Result<Option<usize>, CmdError> {
    let args = call.args;
    match args.len() {
        3 => Ok(None),
        4 if args.is(3, "FULL") => Ok(Some(FULL_COUNT)),
        6 if args.is(3, "FULL") && args.is(4, "COUNT") => Ok(Some(usize::try_from(args.int(5)?).unwrap_or(FULL_COUNT))),
        _ => Err(help::unknown_or_misused(call)),
    }
}

fn stream(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let stream = existing(ks, call)?;
    let full = full_count(call)?;
    let (log, reply) = (stream.log(), &mut *call.reply);
    reply.map(if full.is_some() { 9 } else { 10 });
    labelled_int(reply, "length", log.len() as i64);
    labelled_int(reply, "radix-tree-keys", log.node_count() as i64);
    labelled_int(reply, "radix-tree-nodes", log.radix_nodes() as i64);
    labelled_id(reply, "last-generated-id", log.last_id());
    labelled_id(reply, "max-deleted-entry-id", log.max_deleted_id());
    labelled_int(reply, "entries-added", log.entries_added() as i64);
    labelled_id(reply, "recorded-first-entry-id", log.first_id());
    match full {
        None => {
            labelled_int(reply, "groups", stream.groups().len() as i64);
            labelled_entry(reply, "first-entry", log.range(StreamId::MIN, StreamId::MAX).next());
            labelled_entry(reply, "last-entry", log.range_back(StreamId::MIN, StreamId::MAX).next());
        }
        Some(count) => {
            label(reply, "entries");
            reply_entries(reply, log.range(StreamId::MIN, StreamId::MAX), count);
            label(reply, "groups");
            reply.array(stream.groups().len());
            for (name, group) in stream.groups() {
                full_group(reply, stream, name, group, if count == 0 { usize::MAX } else { count });
            }
        }
    }
    Ok(())
}

fn labelled_entry(reply: &mut ReplyBuf, name: &str, entry: Option<Entry<'_>>) {
    label(reply, name);
    match entry {
        Some(entry) => reply_entry(reply, &entry),
        None => reply.null(),
    }
}

fn entries_read(group: &ConsumerGroup) -> Option<i64> {
    Some(group.entries_read).filter(|read| *read != UNKNOWN)
}

fn full_group(reply: &mut ReplyBuf, stream: &StreamValue, name: &[u8], group: &ConsumerGroup, count: usize) {
    reply.map(7);
    label(reply, "name");
    reply.bulk(name);
    labelled_id(reply, "last-delivered-id", group.last_id);
    labelled_option(reply, "entries-read", entries_read(group));
    labelled_option(reply, "lag", stream.lag(group));
    labelled_int(reply, "pel-count", group.pending().len() as i64);
    label(reply, "pending");
    reply.array(group.pending().len().min(count));
    for (id, pending) in group.pending().iter().take(count) {
        reply.array(4);
        reply_id(reply, *id);
        reply.bulk(group.consumer(pending.consumer).name());
        delivery(reply, pending);
    }
    label(reply, "consumers");
    reply.array(group.consumer_count());
    for consumer in group.consumers() {
        full_consumer(reply, group, consumer, count);
    }
}

fn full_consumer(reply: &mut ReplyBuf, group: &ConsumerGroup, consumer: &Consumer, count: usize) {
    reply.map(4);
    label(reply, "name");
    reply.bulk(consumer.name());
    labelled_int(reply, "seen-time", consumer.seen_time);
    labelled_int(reply, "pel-count", consumer.pending().len() as i64);
    label(reply, "pending");
    reply.array(consumer.pending().len().min(count));
    for id in consumer.pending().iter().take(count) {
        reply.array(3);
        reply_id(reply, *id);
        delivery(reply, &group.pending()[id]);
    }
}

fn delivery(reply: &mut ReplyBuf, pending: &Pending) {
    reply.int(pending.delivery_time);
    reply.int(pending.delivery_count as i64);
}

fn groups(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let stream = existing(ks, call)?;
    let reply = &mut *call.reply;
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply.map(6);
        label(reply, "name");
        reply.bulk(name);
        labelled_int(reply, "consumers", group.consumer_count() as i64);
        labelled_int(reply, "pending", group.pending().len() as i64);
        labelled_id(reply, "last-delivered-id", group.last_id);
        labelled_option(reply, "entries-read", entries_read(group));
        labelled_option(reply, "lag", stream.lag(group));
    }
    Ok(())
}

fn consumers(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let stream = existing(ks, call)?;
    let (key, name, now) = (call.arg(2), call.arg(3), call.now.0);
    let Some(group) = stream.groups().get(name) else {
        let text = [b"NOGROUP No such consumer group '", name, b"' for key name '", key, b"'"];
        return Err(CmdError::text(text.concat()));
    };
    let reply = &mut *call.reply;
    reply.array(group.consumer_count());
    for consumer in group.consumers() {
        reply.map(3);
        label(reply, "name");
        reply.bulk(consumer.name());
        labelled_int(reply, "pending", consumer.pending().len() as i64);
        labelled_int(reply, "idle", now.wrapping_sub(consumer.seen_time).max(0));
    }
    Ok(())
}
