//! Stream commands: adding and trimming entries, reading them, and consumer groups.
//!
//! *Duty of this file:* what the family shares: events, id arguments, and how ids and entries are answered.
//! *Does not know:* how entries are kept (`value/stream`), who waits for them (the server).
//! *Invariants:* operations for AOF and replicas name concrete ids, lengths and times, so that they do the same
//! wherever they are repeated. *Counterpart in C Redis:* `t_stream.c`.

mod add;
mod claim;
mod delete;
mod group;
mod info;
mod pending;
mod range;
mod read;

use super::spec::DataCommand;
use crate::base::num;
use crate::call::{Call, Class, CmdError, Event};
use crate::ds::element::Elem;
use crate::keyspace::{Keyspace, Typing, event};
use crate::resp::ReplyBuf;
use crate::value::Stream;
use crate::value::stream::{Entry, Group, Pending, StreamId};

pub const COMMANDS: &[DataCommand] = &[
    group::XACK,
    delete::XACKDEL,
    add::XADD,
    claim::XAUTOCLAIM,
    claim::XCLAIM,
    range::XDEL,
    delete::XDELEX,
    group::XGROUP,
    group::CREATE,
    group::CREATECONSUMER,
    group::DELCONSUMER,
    group::DESTROY,
    group::HELP,
    group::SETID,
    info::XINFO,
    info::CONSUMERS,
    info::GROUPS,
    info::HELP,
    info::STREAM,
    range::XLEN,
    pending::XPENDING,
    range::XRANGE,
    read::XREAD,
    read::XREADGROUP,
    range::XREVRANGE,
    range::XSETID,
    add::XTRIM,
];

const CONSUMER_CREATED: Event = stream_event("xgroup-createconsumer");

const fn stream_event(name: &'static str) -> Event {
    Event::new(Class::STREAM, name)
}

const INVALID_ID: CmdError = CmdError::Fixed("ERR Invalid stream ID specified as stream command argument");

/// An id argument; `missing` is the sequence of one that has none.
fn id_arg(text: &[u8], missing: u64) -> Result<StreamId, CmdError> {
    StreamId::parse(text, missing).ok_or(INVALID_ID)
}

/// The first id of an interval: `-`, an id, or `(` and an id that is left out.
fn start_arg(text: &[u8]) -> Result<StreamId, CmdError> {
    match exclusive(text) {
        None => StreamId::parse_or_end(text, 0).ok_or(INVALID_ID),
        Some(text) => id_arg(text, 0)?.next().ok_or(CmdError::Fixed("ERR invalid start ID for the interval")),
    }
}

/// The last id of an interval.
fn end_arg(text: &[u8]) -> Result<StreamId, CmdError> {
    match exclusive(text) {
        None => StreamId::parse_or_end(text, u64::MAX).ok_or(INVALID_ID),
        Some(text) => id_arg(text, u64::MAX)?.previous().ok_or(CmdError::Fixed("ERR invalid end ID for the interval")),
    }
}

fn exclusive(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"(").filter(|id| !id.is_empty())
}

fn reply_id(reply: &mut ReplyBuf, id: StreamId) {
    reply.bulk(id.text(&mut [0; 41]));
}

fn reply_entry(reply: &mut ReplyBuf, entry: &Entry<'_>) {
    reply.array(2);
    reply_id(reply, entry.id);
    reply.array(2 * entry.fields);
    for (field, value) in entry.pairs() {
        reply_elem(reply, field);
        reply_elem(reply, value);
    }
}

#[inline]
fn reply_elem(reply: &mut ReplyBuf, elem: Elem<'_>) {
    match elem {
        Elem::Str(text) => reply.bulk(text),
        Elem::Int(value) => reply.bulk_int(value),
    }
}

/// An array of entries, at most `count` of them if that is not zero. Returns how many there were.
fn reply_entries<'a>(reply: &mut ReplyBuf, entries: impl Iterator<Item = Entry<'a>>, count: usize) -> usize {
    let mark = reply.defer();
    let mut sent = 0;
    for entry in entries.take(if count == 0 { usize::MAX } else { count }) {
        reply_entry(reply, &entry);
        sent += 1;
    }
    reply.close_array(mark, sent);
    sent
}

/// Looks a stream up as a read does, hit or miss and all, although groups in it will change.
fn consult<'k>(
    ks: &'k mut Keyspace,
    key: &'k [u8],
    call: &mut Call<'_>,
) -> Result<Option<Typing<'k, Stream>>, CmdError> {
    let found = ks.write_typed::<Stream>(key, call);
    if matches!(found, Ok(None)) {
        call.fx.counts.misses += 1;
        call.notify(key, event::KEY_MISS);
    } else {
        call.fx.counts.hits += 1;
    }
    found
}

fn no_group_of_key(key: &[u8], group: &[u8]) -> CmdError {
    CmdError::text([b"NOGROUP No such key '", key, b"' or consumer group '", group, b"'"].concat())
}

/// Tells AOF and replicas who has `id` now, in a way that may be repeated. `id` stands as the client wrote it.
fn replicate_pending(call: &mut Call<'_>, key: &[u8], name: &[u8], group: &Group, id: &[u8], pending: Pending) {
    call.fx.replicate = crate::call::effects::Replicate::Rewritten;
    if !call.wants_ops() {
        return;
    }
    let (mut time, mut count) = (Vec::new(), Vec::new());
    num::write_i64(&mut time, pending.delivery_time);
    num::write_u64(&mut count, pending.delivery_count);
    let consumer = group.consumer(pending.consumer).name();
    let last_id = group.last_id.to_text();
    call.replicate_as(&[
        b"XCLAIM",
        key,
        name,
        consumer,
        b"0",
        id,
        b"TIME",
        &time,
        b"RETRYCOUNT",
        &count,
        b"FORCE",
        b"JUSTID",
        b"LASTID",
        &last_id,
    ]);
}
