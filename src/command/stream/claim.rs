//! XCLAIM and XAUTOCLAIM: pending entries change hands.
//!
//! *Duty:* find the entries that have been idle long enough, give them to a consumer, and forget those whose entries
//! are deleted. *Does not know:* how pending entries are kept. *Invariants:* arguments are read to the end before
//! anything changes; each change goes to AOF and replicas as an XCLAIM that may be repeated.
//! *Counterpart in C Redis:* `xclaimCommand`, `xautoclaimCommand`.

use super::read::replicate_position;
use super::{CONSUMER_CREATED, consult, id_arg, no_group_of_key, replicate_pending, reply_entry, reply_id, start_arg};
use crate::base::num;
use crate::call::effects::Replicate;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::keyspace::Keyspace;
use crate::value::Stream;
use crate::value::stream::{ConsumerId, Group as ConsumerGroup, Log, Pending, StreamId};

const CLAIM: Spec = Spec {
    arity: -6,
    flags: WRITE.or(FAST),
    acl: Categories::STREAM,
    group: Group::Stream,
    tips: &["nondeterministic_output"],
    ..Spec::BASE
};

pub const XCLAIM: DataCommand = Command::new(
    xclaim,
    Spec {
        name: "xclaim",
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::UPDATE))],
        since: "5.0.0",
        complexity: "O(log N) for each id, with N entries pending in the group.",
        summary: "Gives pending entries to a consumer.",
        syntax: "key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] \
                 [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
        ..CLAIM
    },
);

pub const XAUTOCLAIM: DataCommand = Command::new(
    xautoclaim,
    Spec {
        name: "xautoclaim",
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::DELETE))],
        since: "6.2.0",
        complexity: "O(1) for a small COUNT.",
        summary: "Gives pending entries that have been idle for long to a consumer.",
        syntax: "key group consumer min-idle-time start [COUNT count] [JUSTID]",
        history: &[("7.0.0", "The reply has a third part: ids that were pending but are deleted.")],
        ..CLAIM
    },
);

/// An integer argument with an error of its own.
fn int_arg(text: &[u8], error: &'static str) -> Result<i64, CmdError> {
    num::parse_i64(text).ok_or(CmdError::Fixed(error))
}

/// What XCLAIM is to do with the ids, which stand from argument 5 on.
#[derive(Default)]
struct Claim {
    ids: Vec<StreamId>,
    /// When the entries count as delivered; `None`: now.
    time: Option<i64>,
    retry_count: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
}

impl Claim {
    fn parse(call: &Call<'_>) -> Result<Claim, CmdError> {
        let (args, now) = (call.args, call.now.0);
        let ids: Vec<StreamId> = args.from(5).map_while(|text| StreamId::parse(text, 0)).collect();
        let mut i = 5 + ids.len();
        let mut claim = Claim { ids, ..Claim::default() };
        let mut time = -1;
        while i < args.len() {
            let more = i + 1 < args.len();
            if args.is(i, "FORCE") {
                claim.force = true;
            } else if args.is(i, "JUSTID") {
                claim.just_id = true;
            } else if more && args.is(i, "IDLE") {
                i += 1;
                time = now.wrapping_sub(int_arg(args.get(i), "ERR Invalid IDLE option argument for XCLAIM")?);
            } else if more && args.is(i, "TIME") {
                i += 1;
                time = int_arg(args.get(i), "ERR Invalid TIME option argument for XCLAIM")?;
            } else if more && args.is(i, "RETRYCOUNT") {
                i += 1;
                let count = int_arg(args.get(i), "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                claim.retry_count = u64::try_from(count).ok();
            } else if more && args.is(i, "LASTID") {
                i += 1;
                claim.last_id = id_arg(args.get(i), 0)?;
            } else {
                let option = args.get(i);
                return Err(CmdError::text([b"ERR Unrecognized XCLAIM option '", option, b"'"].concat()));
            }
            i += 1;
        }
        // A time that cannot be is a clock that is off, not an error: the entries count as delivered now.
        claim.time = Some(time).filter(|time| (0..=now).contains(time));
        Ok(claim)
    }
}

/// The consumer that claims, made when it gets its first entry.
struct Claimer {
    id: Option<ConsumerId>,
}

impl Claimer {
    fn get(&mut self, group: &mut ConsumerGroup, call: &mut Call<'_>) -> ConsumerId {
        if let Some(id) = self.id {
            return id;
        }
        let (name, now) = (call.arg(3), call.now.0);
        let id = match group.find(name) {
            Some(id) => id,
            None => {
                call.fx.dirty += 1;
                call.notify(call.arg(1), CONSUMER_CREATED);
                group.add_consumer(name, now).expect("there is none of that name")
            }
        };
        let consumer = group.consumer_mut(id);
        (consumer.seen_time, consumer.active_time) = (now, now);
        self.id = Some(id);
        id
    }
}

/// Whether an entry was delivered long enough ago.
fn is_idle(pending: Pending, min_idle: i64, call: &Call<'_>) -> bool {
    min_idle == 0 || call.now.0.wrapping_sub(pending.delivery_time) >= min_idle
}

/// Forgets a pending entry that is deleted.
fn forget(group: &mut ConsumerGroup, id: StreamId, text: &[u8], pending: Pending, call: &mut Call<'_>) {
    replicate_pending(call, call.arg(1), call.arg(2), group, text, pending);
    call.fx.dirty += 1;
    group.acknowledge(id);
}

fn xclaim(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (key, name) = (call.arg(1), call.arg(2));
    let mut stream = consult(ks, key, call)?;
    let Some((log, group)) = stream.as_mut().and_then(|stream| group_of(stream, name)) else {
        return Err(no_group_of_key(key, name));
    };
    let min_idle = int_arg(call.arg(4), "ERR Invalid min-idle-time argument for XCLAIM")?.max(0);
    let claim = Claim::parse(call)?;
    call.fx.replicate = Replicate::Rewritten;
    let mut position_unknown = claim.last_id > group.last_id;
    if position_unknown {
        group.last_id = claim.last_id;
    }
    let mut claimer = Claimer { id: None };
    let mark = call.reply.defer();
    let mut sent = 0;
    for (i, id) in claim.ids.iter().enumerate() {
        let (id, text) = (*id, call.arg(5 + i));
        let before = group.pending().get(&id).copied();
        let Some(entry) = log.range(id, id).next() else {
            if let Some(pending) = before {
                forget(group, id, text, pending, call);
                position_unknown = false;
            }
            continue;
        };
        match before {
            None if !claim.force => continue,
            Some(before) if !is_idle(before, min_idle, call) => continue,
            _ => {}
        }
        let consumer = claimer.get(group, call);
        let delivery_time = claim.time.unwrap_or(call.now.0);
        let delivery_count = match claim.retry_count {
            Some(count) => count,
            // An entry that FORCE makes pending counts as delivered once before.
            None => before.map_or(1, |before| before.delivery_count).wrapping_add(u64::from(!claim.just_id)),
        };
        let pending = Pending { delivery_time, delivery_count, consumer };
        group.set_pending(id, pending);
        if claim.just_id {
            reply_id(call.reply, id)
        } else {
            reply_entry(call.reply, &entry)
        }
        sent += 1;
        replicate_pending(call, key, name, group, text, pending);
        position_unknown = false;
        call.fx.dirty += 1;
    }
    if position_unknown {
        replicate_position(call, key, name, group);
        call.fx.dirty += 1;
    }
    call.reply.close_array(mark, sent);
    Ok(())
}

fn group_of<'s>(stream: &'s mut Stream, name: &[u8]) -> Option<(&'s Log, &'s mut ConsumerGroup)> {
    let (log, groups) = stream.split();
    Some((log, groups.get_mut(name)?))
}

const COUNT: usize = 100;
const COUNT_MAX: i64 = i64::MAX / 16;
/// So many pending entries are looked at for each one wanted.
const ATTEMPTS: usize = 10;

/// What XAUTOCLAIM did.
#[derive(Default)]
struct Claimed {
    ids: Vec<StreamId>,
    deleted: Vec<StreamId>,
    /// Where the next call goes on.
    next: StreamId,
}

fn xautoclaim(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let min_idle = int_arg(call.arg(4), "ERR Invalid min-idle-time argument for XAUTOCLAIM")?.max(0);
    let start = start_arg(call.arg(5))?;
    let (mut count, mut just_id) = (COUNT, false);
    let mut i = 6;
    while i < call.args.len() {
        if call.args.is(i, "COUNT") && i + 1 < call.args.len() {
            i += 1;
            let given = num::parse_i64(call.arg(i)).filter(|count| (1..=COUNT_MAX).contains(count));
            count = given.ok_or(CmdError::Fixed("ERR COUNT must be > 0"))? as usize;
        } else if call.args.is(i, "JUSTID") {
            just_id = true;
        } else {
            return Err(CmdError::Syntax);
        }
        i += 1;
    }
    let (key, name) = (call.arg(1), call.arg(2));
    let mut stream = consult(ks, key, call)?;
    let Some((log, group)) = stream.as_mut().and_then(|stream| group_of(stream, name)) else {
        return Err(no_group_of_key(key, name));
    };
    call.fx.replicate = Replicate::Rewritten;
    let claimed = claim_idle(log, group, start, count, (min_idle, just_id), call);
    call.reply.array(3);
    reply_id(call.reply, claimed.next);
    call.reply.array(claimed.ids.len());
    for id in claimed.ids {
        match log.range(id, id).next() {
            Some(entry) if !just_id => reply_entry(call.reply, &entry),
            _ => reply_id(call.reply, id),
        }
    }
    call.reply.array(claimed.deleted.len());
    claimed.deleted.into_iter().for_each(|id| reply_id(call.reply, id));
    Ok(())
}

fn claim_idle(
    log: &Log,
    group: &mut ConsumerGroup,
    start: StreamId,
    mut count: usize,
    (min_idle, just_id): (i64, bool),
    call: &mut Call<'_>,
) -> Claimed {
    let (key, name) = (call.arg(1), call.arg(2));
    let mut claimed = Claimed::default();
    let mut claimer = Claimer { id: None };
    let mut attempts = count * ATTEMPTS;
    let mut from = Some(start);
    let next_of = |group: &ConsumerGroup, from: Option<StreamId>| {
        group.pending().range(from?..).next().map(|(id, pending)| (*id, *pending))
    };
    while attempts > 0 && count > 0 {
        let Some((id, before)) = next_of(group, from) else { break };
        attempts -= 1;
        from = id.next();
        if !log.contains(id) {
            forget(group, id, &id.to_text(), before, call);
            claimed.deleted.push(id);
            count -= 1;
            continue;
        }
        if !is_idle(before, min_idle, call) {
            continue;
        }
        let consumer = claimer.get(group, call);
        let delivery_count = before.delivery_count.wrapping_add(u64::from(!just_id));
        let pending = Pending { delivery_time: call.now.0, delivery_count, consumer };
        group.set_pending(id, pending);
        claimed.ids.push(id);
        count -= 1;
        if call.wants_ops() {
            replicate_pending(call, key, name, group, &id.to_text(), pending);
        }
        call.fx.dirty += 1;
    }
    claimed.next = next_of(group, from).map_or(StreamId::MIN, |(id, _)| id);
    claimed
}
