//! ZPOPMIN, ZPOPMAX, ZMPOP and those of them that wait: BZPOPMIN, BZPOPMAX, BZMPOP.
//!
//! *Does not know:* who waits; a pop that finds nothing says what it waits for and runs again when that is there.
//! *Counterpart in C Redis:* `genericZpopCommand`, `blockingGenericZpopCommand`, `zmpopGenericCommand`.

use super::{BASE, bulk, event, int_from};
use crate::base::num;
use crate::call::options::timeout_seconds;
use crate::call::{BlockOn, Call, CmdError, CmdResult, Event, WaitFor};
use crate::command::spec::*;
use crate::ds::element::Elem;
use crate::keyspace::{Keyspace, event as key_event};
use crate::resp::Proto;
use crate::value::Zset;

const TAKING: KeyFlags = KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::DELETE);

const POP_SPEC: Spec = Spec {
    arity: -2,
    flags: WRITE.or(FAST),
    keys: &[KeySpec::one(1, TAKING)],
    since: "5.0.0",
    complexity: "O(log(N)*M) with N members in the set and M of them taken.",
    syntax: "key [count]",
    ..BASE
};

pub const ZPOPMIN: DataCommand = Command::new(
    |ks, call| pop(ks, call, End::Min),
    Spec { name: "zpopmin", summary: "Takes the members with the lowest scores out of a sorted set.", ..POP_SPEC },
);

pub const ZPOPMAX: DataCommand = Command::new(
    |ks, call| pop(ks, call, End::Max),
    Spec { name: "zpopmax", summary: "Takes the members with the highest scores out of a sorted set.", ..POP_SPEC },
);

pub const ZMPOP: DataCommand = Command::new(
    pop_many,
    Spec {
        name: "zmpop",
        arity: -4,
        flags: WRITE.or(MOVABLEKEYS),
        keys: &[KeySpec::numkeys(1, TAKING)],
        since: "7.0.0",
        complexity: "O(K)+O(M*log(N)) for K keys, N members in the set found and M of them taken.",
        summary: "Takes members with the lowest or highest scores out of the first sorted set that is there.",
        syntax: "numkeys key [key ...] <MIN|MAX> [COUNT count]",
        ..BASE
    },
);

const BPOP_SPEC: Spec = Spec {
    arity: -3,
    flags: WRITE.or(NOSCRIPT).or(BLOCKING).or(FAST),
    keys: &[KeySpec::range(1, -2, 1, TAKING)],
    since: "5.0.0",
    complexity: "O(log(N)) with N members in the set.",
    syntax: "key [key ...] timeout",
    history: &[("6.0.0", "The timeout may have a fraction.")],
    ..BASE
};

pub const BZPOPMIN: DataCommand = Command::new(
    |ks, call| blocking_pop(ks, call, End::Min),
    Spec {
        name: "bzpopmin",
        summary: "Takes the member with the lowest score out of a sorted set, waiting for one if need be.",
        ..BPOP_SPEC
    },
);

pub const BZPOPMAX: DataCommand = Command::new(
    |ks, call| blocking_pop(ks, call, End::Max),
    Spec {
        name: "bzpopmax",
        summary: "Takes the member with the highest score out of a sorted set, waiting for one if need be.",
        ..BPOP_SPEC
    },
);

pub const BZMPOP: DataCommand = Command::new(
    blocking_pop_many,
    Spec {
        name: "bzmpop",
        arity: -5,
        flags: WRITE.or(BLOCKING).or(MOVABLEKEYS),
        keys: &[KeySpec::numkeys(2, TAKING)],
        since: "7.0.0",
        complexity: "O(K)+O(M*log(N)) for K keys, N members in the set found and M of them taken.",
        summary: "Takes members with the lowest or highest scores out of a sorted set, waiting for one if need be.",
        syntax: "timeout numkeys key [key ...] <MIN|MAX> [COUNT count]",
        ..BASE
    },
);

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

impl End {
    const fn event(self) -> Event {
        event(if matches!(self, End::Min) { "zpopmin" } else { "zpopmax" })
    }

    fn command(self) -> &'static [u8] {
        if self == End::Min { b"ZPOPMIN" } else { b"ZPOPMAX" }
    }
}

/// How a reply shows what was taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// member, score, member, score
    Flat,
    /// [member, score], [member, score]
    Pairs,
    /// key, member, score
    KeyAndFlat,
    /// key, [[member, score], ...]
    KeyAndPairs,
}

/// Takes up to `count` members out of the sorted set at `key` and answers with them. Returns how many; `None`, and
/// no answer: there is no such key.
fn take(
    ks: &mut Keyspace,
    call: &mut Call<'_>,
    key: &[u8],
    end: End,
    count: usize,
    shape: Shape,
) -> Result<Option<usize>, CmdError> {
    let Some(mut zset) = ks.write_typed::<Zset>(key, call)? else { return Ok(None) };
    let reply = &mut *call.reply;
    let len = zset.len();
    let taken = count.min(len);
    match shape {
        Shape::Flat => reply.array(2 * taken),
        Shape::Pairs => reply.array(taken),
        Shape::KeyAndFlat => {
            reply.array(2 * taken + 1);
            reply.bulk(key);
        }
        Shape::KeyAndPairs => {
            reply.array(2);
            reply.bulk(key);
            reply.array(taken);
        }
    }
    let mut show = |member: Elem<'_>, score: f64| {
        if matches!(shape, Shape::Pairs | Shape::KeyAndPairs) {
            reply.array(2);
        }
        bulk(reply, member);
        reply.double(score);
    };
    match end {
        End::Min => zset.remove_range(0..taken, show),
        End::Max => {
            zset.as_ref().range(len - taken..len, true).for_each(|(member, score)| show(member, score));
            zset.remove_range(len - taken..len, |_, _| ());
        }
    }
    drop(zset);
    call.modified(key, end.event(), taken as u64);
    if taken == len {
        call.notify(key, key_event::DEL);
    }
    Ok(Some(taken))
}

fn pop(ks: &mut Keyspace, call: &mut Call<'_>, end: End) -> CmdResult {
    let count = match call.args.len() {
        2 => None,
        3 => Some(int_from(call, 2, 0, "ERR value is out of range, must be positive")?),
        _ => return Err(CmdError::Syntax),
    };
    let key = call.arg(1);
    if count == Some(0) {
        ks.write_typed::<Zset>(key, call)?;
        call.reply.array(0);
        return Ok(());
    }
    let shape = if count.is_some() && call.reply.proto == Proto::Resp3 { Shape::Pairs } else { Shape::Flat };
    if take(ks, call, key, end, count.unwrap_or(1) as usize, shape)?.is_none() {
        call.reply.array(0);
    }
    Ok(())
}

/// The arguments of ZMPOP: how many keys stand behind the one at `at`, which end, how many members.
fn parse_many(call: &Call<'_>, at: usize) -> Result<(usize, End, usize), CmdError> {
    let keys = int_from(call, at, 1, "ERR numkeys should be greater than 0")? as usize;
    let end_at = keys.saturating_add(at + 1);
    let end = match end_at < call.args.len() {
        true if call.args.is(end_at, "MIN") => End::Min,
        true if call.args.is(end_at, "MAX") => End::Max,
        _ => return Err(CmdError::Syntax),
    };
    let count = match call.args.len() - end_at - 1 {
        0 => 1,
        rest if rest >= 2 && call.args.is(end_at + 1, "COUNT") => {
            let count = int_from(call, end_at + 2, 1, "ERR count should be greater than 0")?;
            if rest > 2 {
                return Err(CmdError::Syntax);
            }
            count as usize
        }
        _ => return Err(CmdError::Syntax),
    };
    Ok((keys, end, count))
}

fn replicate_pop(call: &mut Call<'_>, end: End, key: &[u8], count: Option<usize>) {
    match count {
        None => call.replicate_as(&[end.command(), key]),
        Some(count) => {
            let mut digits = Default::default();
            call.replicate_as(&[end.command(), key, num::format_u64(count as u64, &mut digits)]);
        }
    }
}

fn pop_many(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (keys, end, count) = parse_many(call, 1)?;
    for key in call.args.from(2).take(keys) {
        if let Some(taken) = take(ks, call, key, end, count, Shape::KeyAndPairs)? {
            replicate_pop(call, end, key, Some(taken));
            return Ok(());
        }
    }
    call.reply.null_array();
    Ok(())
}

fn blocking_pop(ks: &mut Keyspace, call: &mut Call<'_>, end: End) -> CmdResult {
    let last = call.args.len() - 1;
    let deadline = timeout_seconds(call.arg(last), call.now)?;
    let keys = call.args.from(1).take(last - 1);
    for key in keys.clone() {
        if call.may_take(key) && take(ks, call, key, end, 1, Shape::KeyAndFlat)?.is_some() {
            replicate_pop(call, end, key, None);
            return Ok(());
        }
    }
    call.block_on(BlockOn::new(WaitFor::Zset, keys, deadline));
    Ok(())
}

fn blocking_pop_many(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (count_of_keys, end, count) = parse_many(call, 2)?;
    let deadline = timeout_seconds(call.arg(1), call.now)?;
    let keys = call.args.from(3).take(count_of_keys);
    for key in keys.clone() {
        if !call.may_take(key) {
            continue;
        }
        if let Some(taken) = take(ks, call, key, end, count, Shape::KeyAndPairs)? {
            replicate_pop(call, end, key, Some(taken));
            return Ok(());
        }
    }
    call.block_on(BlockOn::new(WaitFor::Zset, keys, deadline));
    Ok(())
}
