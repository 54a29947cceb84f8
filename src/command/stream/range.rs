//! XLEN, XRANGE, XREVRANGE, XDEL, XSETID: entries by their ids.
//!
//! *Does not know:* groups. *Counterpart in C Redis:* `xrangeGenericCommand`, `xdelCommand`, `xsetidCommand`,
//! `xlenCommand`.

use super::{end_arg, id_arg, reply_entries, start_arg, stream_event};
use crate::call::{Call, CmdError, CmdResult, Event};
use crate::command::spec::*;
use crate::keyspace::Keyspace;
use crate::value::Stream;
use crate::value::stream::StreamId;

const DELETED: Event = stream_event("xdel");
const ID_SET: Event = stream_event("xsetid");

pub const XLEN: DataCommand = Command::new(
    xlen,
    Spec {
        name: "xlen",
        arity: 2,
        flags: READONLY.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RO)],
        acl: Categories::STREAM,
        group: Group::Stream,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Tells how many entries a stream has.",
        syntax: "key",
        ..Spec::BASE
    },
);

fn xlen(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let len = ks.read_typed::<Stream>(call.arg(1), call)?.map_or(0, |stream| stream.log().len());
    call.reply.int(len as i64);
    Ok(())
}

const RANGE: Spec = Spec {
    arity: -4,
    flags: READONLY,
    keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
    acl: Categories::STREAM,
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(N) for N entries returned.",
    history: &[("6.2.0", "An id behind `(` is left out.")],
    ..Spec::BASE
};

pub const XRANGE: DataCommand = Command::new(
    |ks, call| range(ks, call, Direction::Forward),
    Spec {
        name: "xrange",
        summary: "Returns the entries between two ids, the oldest first.",
        syntax: "key start end [COUNT count]",
        ..RANGE
    },
);

pub const XREVRANGE: DataCommand = Command::new(
    |ks, call| range(ks, call, Direction::Backward),
    Spec {
        name: "xrevrange",
        summary: "Returns the entries between two ids, the newest first.",
        syntax: "key end start [COUNT count]",
        ..RANGE
    },
);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

fn range(ks: &mut Keyspace, call: &mut Call<'_>, direction: Direction) -> CmdResult {
    let (start_at, end_at) = if direction == Direction::Forward { (2, 3) } else { (3, 2) };
    let (start, end) = (start_arg(call.arg(start_at))?, end_arg(call.arg(end_at))?);
    let mut count = None;
    let mut i = 4;
    while i < call.args.len() {
        if !call.args.is(i, "COUNT") || i + 1 == call.args.len() {
            return Err(CmdError::Syntax);
        }
        count = Some(call.args.int(i + 1)?.max(0) as usize);
        i += 2;
    }
    let Some(stream) = ks.read_typed::<Stream>(call.arg(1), call)? else {
        call.reply.array(0);
        return Ok(());
    };
    let log = stream.log();
    match (count, direction) {
        (Some(0), _) => call.reply.null_array(),
        (_, Direction::Forward) => {
            reply_entries(call.reply, log.range(start, end), count.unwrap_or(0));
        }
        (_, Direction::Backward) => {
            reply_entries(call.reply, log.range_back(start, end), count.unwrap_or(0));
        }
    }
    Ok(())
}

pub const XDEL: DataCommand = Command::new(
    xdel,
    Spec {
        name: "xdel",
        arity: -3,
        flags: WRITE.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::DELETE))],
        acl: Categories::STREAM,
        group: Group::Stream,
        since: "5.0.0",
        complexity: "O(log N) for each entry.",
        summary: "Deletes entries of a stream.",
        syntax: "key id [id ...]",
        ..Spec::BASE
    },
);

fn xdel(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let key = call.arg(1);
    let Some(mut stream) = ks.write_typed::<Stream>(key, call)? else {
        call.reply.int(0);
        return Ok(());
    };
    let ids = call.args.from(2).map(|text| id_arg(text, 0)).collect::<Result<Vec<_>, _>>()?;
    let log = stream.log_mut();
    let deleted = ids.into_iter().filter(|id| log.delete(*id)).count();
    if deleted > 0 {
        call.modified(key, DELETED, deleted as u64);
    }
    call.reply.len_of(deleted);
    Ok(())
}

pub const XSETID: DataCommand = Command::new(
    xsetid,
    Spec {
        name: "xsetid",
        arity: -3,
        flags: WRITE.or(DENYOOM).or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::UPDATE))],
        acl: Categories::STREAM,
        group: Group::Stream,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Sets the id that the next one must exceed (for AOF and replicas).",
        syntax: "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]",
        history: &[("7.0.0", "Added the options `ENTRIESADDED` and `MAXDELETEDID`.")],
        ..Spec::BASE
    },
);

fn xsetid(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let id = id_arg(call.arg(2), 0)?;
    let (mut added, mut max_deleted) = (None, StreamId::MIN);
    let mut i = 3;
    while i < call.args.len() {
        let more = i + 1 < call.args.len();
        if more && call.args.is(i, "ENTRIESADDED") {
            let given = u64::try_from(call.args.int(i + 1)?);
            added = Some(given.map_err(|_| CmdError::Fixed("ERR entries_added must be positive"))?);
        } else if more && call.args.is(i, "MAXDELETEDID") {
            max_deleted = id_arg(call.arg(i + 1), 0)?;
            if id < max_deleted {
                return Err(CmdError::Fixed(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
        } else {
            return Err(CmdError::Syntax);
        }
        i += 2;
    }
    let key = call.arg(1);
    let mut stream = ks.write_typed::<Stream>(key, call)?.ok_or(CmdError::NoSuchKey)?;
    let log = stream.log_mut();
    if log.last_entry_id().is_some_and(|last| id < last) {
        return Err(CmdError::Fixed("ERR The ID specified in XSETID is smaller than the target stream top item"));
    }
    if !log.is_empty() && added.is_some_and(|added| added < log.len()) {
        return Err(CmdError::Fixed(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    log.set_ids(id, added, Some(max_deleted).filter(|id| !id.is_zero()));
    call.reply.ok();
    call.fx.dirty += 1;
    call.notify(key, ID_SET);
    Ok(())
}
