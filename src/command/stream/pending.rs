//! XPENDING: what a group has delivered and nobody has acknowledged.
//!
//! *Does not know:* the entries themselves. *Counterpart in C Redis:* `xpendingCommand`.

use super::{end_arg, no_group_of_key, reply_id, start_arg};
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::keyspace::Keyspace;
use crate::value::Stream;
use crate::value::stream::{Group as ConsumerGroup, StreamId};

pub const XPENDING: DataCommand = Command::new(
    xpending,
    Spec {
        name: "xpending",
        arity: -3,
        flags: READONLY,
        keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
        acl: Categories::STREAM,
        group: Group::Stream,
        since: "5.0.0",
        complexity: "O(N) for N entries looked at; without a range O(M) for M consumers.",
        summary: "Tells what is pending in a group, in short or entry by entry.",
        syntax: "key group [[IDLE min-idle-time] start end count [consumer]]",
        tips: &["nondeterministic_output"],
        history: &[("6.2.0", "Added the option `IDLE`; an id behind `(` is left out.")],
        ..Spec::BASE
    },
);

/// Which pending entries to list.
struct Range<'a> {
    start: StreamId,
    end: StreamId,
    count: usize,
    min_idle: i64,
    consumer: Option<&'a [u8]>,
}

impl<'a> Range<'a> {
    /// The range, or none when only key and group are given.
    fn parse(call: &Call<'a>) -> Result<Option<Range<'a>>, CmdError> {
        let args = call.args;
        match args.len() {
            3 => return Ok(None),
            6..=9 => {}
            _ => return Err(CmdError::Syntax),
        }
        let (mut at, mut min_idle) = (3, 0);
        if args.is(3, "IDLE") {
            min_idle = args.int(4)?;
            if args.len() < 8 {
                return Err(CmdError::Syntax);
            }
            at = 5;
        }
        let count = args.int(at + 2)?.max(0) as usize;
        let (start, end) = (start_arg(args.get(at))?, end_arg(args.get(at + 1))?);
        Ok(Some(Range { start, end, count, min_idle, consumer: args.opt(at + 3) }))
    }
}

fn xpending(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let range = Range::parse(call)?;
    let (key, name) = (call.arg(1), call.arg(2));
    let stream = ks.read_typed::<Stream>(key, call)?;
    let group = stream.and_then(|stream| stream.groups().get(name)).ok_or_else(|| no_group_of_key(key, name))?;
    match range {
        None => summary(group, call),
        Some(range) => list(group, &range, call),
    }
    Ok(())
}

/// How many there are, the first and the last, and who has how many.
fn summary(group: &ConsumerGroup, call: &mut Call<'_>) {
    let pending = group.pending();
    let reply = &mut *call.reply;
    reply.array(4);
    reply.len_of(pending.len());
    let (Some((first, _)), Some((last, _))) = (pending.first_key_value(), pending.last_key_value()) else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    reply_id(reply, *first);
    reply_id(reply, *last);
    let busy = || group.consumers().filter(|consumer| !consumer.pending().is_empty());
    reply.array(busy().count());
    for consumer in busy() {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_int(consumer.pending().len() as i64);
    }
}

fn list(group: &ConsumerGroup, range: &Range<'_>, call: &mut Call<'_>) {
    let consumer = match range.consumer.map(|name| group.find(name)) {
        Some(None) => return call.reply.array(0),
        Some(Some(id)) => Some(group.consumer(id)),
        None => None,
    };
    match consumer {
        _ if range.start > range.end => call.reply.array(0),
        Some(consumer) => send(group, consumer.pending().range(range.start..=range.end), range, call),
        None => send(group, group.pending().range(range.start..=range.end).map(|(id, _)| id), range, call),
    }
}

/// Replies with those of `ids` that have been idle long enough.
fn send<'g>(group: &ConsumerGroup, ids: impl Iterator<Item = &'g StreamId>, range: &Range<'_>, call: &mut Call<'_>) {
    let mark = call.reply.defer();
    let mut sent = 0;
    for id in ids {
        if sent == range.count {
            break;
        }
        let pending = group.pending()[id];
        let idle = call.now.0.wrapping_sub(pending.delivery_time);
        if range.min_idle != 0 && idle < range.min_idle {
            continue;
        }
        let reply = &mut *call.reply;
        reply.array(4);
        reply_id(reply, *id);
        reply.bulk(group.consumer(pending.consumer).name());
        reply.int(idle.max(0));
        reply.int(pending.delivery_count as i64);
        sent += 1;
    }
    call.reply.close_array(mark, sent);
}
