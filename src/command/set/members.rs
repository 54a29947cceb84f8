//! Members of one set: SADD, SREM, SMOVE, SISMEMBER, SMISMEMBER, SCARD, SMEMBERS.
//!
//! *Counterpart in C Redis:* `saddCommand` and its neighbours.

use super::{ADDED, READ_KEY, REMOVED, SET_SPEC, reply_set};
use crate::call::{Call, CmdResult};
use crate::command::spec::*;
use crate::keyspace::{Keyspace, event};
use crate::value::{Set, SetRef};

const MEMBER_HISTORY: &[(&str, &str)] = &[("2.4.0", "Accepts multiple `member` arguments.")];

pub const SADD: DataCommand = Command::new(
    sadd,
    Spec {
        name: "sadd",
        arity: -3,
        flags: WRITE.or(DENYOOM).or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::INSERT))],
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        summary: "Adds members to a set, making the set if there is none.",
        syntax: "key member [member ...]",
        history: MEMBER_HISTORY,
        ..SET_SPEC
    },
);

fn sadd(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let key = call.arg(1);
    let limits = ks.settings.limits;
    let mut set = ks.write_or_create::<Set>(key, call)?;
    let added = call.args.from(2).filter(|member| set.insert(member, &limits)).count();
    drop(set);
    if added > 0 {
        call.modified(key, ADDED, added as u64);
    }
    call.reply.len_of(added);
    Ok(())
}

pub const SREM: DataCommand = Command::new(
    srem,
    Spec {
        name: "srem",
        arity: -3,
        flags: WRITE.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::DELETE))],
        complexity: "O(N) where N is the number of members to be removed.",
        summary: "Takes members out of a set.",
        syntax: "key member [member ...]",
        history: MEMBER_HISTORY,
        ..SET_SPEC
    },
);

fn srem(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let key = call.arg(1);
    let mut removed = 0;
    let mut empty = false;
    if let Some(mut set) = ks.write_typed::<Set>(key, call)? {
        removed = call.args.from(2).filter(|member| set.remove(member)).count();
        empty = set.is_empty();
    }
    if removed > 0 {
        call.modified(key, REMOVED, removed as u64);
    }
    if empty {
        call.notify(key, event::DEL);
    }
    call.reply.len_of(removed);
    Ok(())
}

pub const SMOVE: DataCommand = Command::new(
    smove,
    Spec {
        name: "smove",
        arity: 4,
        flags: WRITE.or(FAST),
        keys: &[
            KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::DELETE)),
            KeySpec::one(2, KeyFlags::RW.or(KeyFlags::INSERT)),
        ],
        complexity: "O(1)",
        summary: "Moves a member from one set to another.",
        syntax: "source destination member",
        ..SET_SPEC
    },
);

fn smove(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (source, target, member) = (call.arg(1), call.arg(2), call.arg(3));
    let Some(set) = ks.write_typed::<Set>(source, call)? else {
        call.reply.int(0);
        return Ok(());
    };
    let is_member = set.as_ref().contains(member);
    drop(set);
    ks.write_typed::<Set>(target, call)?;
    call.reply.int(is_member as i64);
    if !is_member || source == target {
        return Ok(());
    }
    let mut set = ks.write_typed::<Set>(source, call)?.expect("the member is in it");
    set.remove(member);
    let empty = set.is_empty();
    drop(set);
    call.modified(source, REMOVED, 1);
    if empty {
        call.notify(source, event::DEL);
    }
    let limits = ks.settings.limits;
    let added = ks.write_or_create::<Set>(target, call)?.insert(member, &limits);
    if added {
        call.modified(target, ADDED, 1);
    }
    Ok(())
}

pub const SISMEMBER: DataCommand = Command::new(
    sismember,
    Spec {
        name: "sismember",
        arity: 3,
        flags: READONLY.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RO)],
        complexity: "O(1)",
        summary: "Tells whether something is a member of a set.",
        syntax: "key member",
        ..SET_SPEC
    },
);

fn sismember(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let set = ks.read_typed::<Set>(call.arg(1), call)?;
    call.reply.int(set.is_some_and(|set| set.contains(call.arg(2))) as i64);
    Ok(())
}

pub const SMISMEMBER: DataCommand = Command::new(
    smismember,
    Spec {
        name: "smismember",
        arity: -3,
        flags: READONLY.or(FAST),
        keys: READ_KEY,
        since: "6.2.0",
        complexity: "O(N) where N is the number of elements being checked for membership",
        summary: "Tells of several things whether they are members of a set.",
        syntax: "key member [member ...]",
        ..SET_SPEC
    },
);

fn smismember(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let set = ks.read_typed::<Set>(call.arg(1), call)?;
    let members = call.args.from(2);
    call.reply.array(members.len());
    members.for_each(|member| call.reply.int(set.is_some_and(|set| set.contains(member)) as i64));
    Ok(())
}

pub const SCARD: DataCommand = Command::new(
    scard,
    Spec {
        name: "scard",
        arity: 2,
        flags: READONLY.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RO)],
        complexity: "O(1)",
        summary: "Tells how many members a set has.",
        syntax: "key",
        ..SET_SPEC
    },
);

fn scard(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let len = ks.read_typed::<Set>(call.arg(1), call)?.map_or(0, SetRef::len);
    call.reply.len_of(len);
    Ok(())
}

pub const SMEMBERS: DataCommand = Command::new(
    smembers,
    Spec {
        name: "smembers",
        arity: 2,
        flags: READONLY,
        keys: READ_KEY,
        complexity: "O(N) where N is the set cardinality.",
        summary: "Returns all members of a set.",
        syntax: "key",
        tips: &["nondeterministic_output_order"],
        ..SET_SPEC
    },
);

fn smembers(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    match ks.read_typed::<Set>(call.arg(1), call)? {
        Some(set) => reply_set(call.reply, set),
        None => call.reply.set(0),
    }
    Ok(())
}
