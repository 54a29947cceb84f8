//! Changing hashes: HSET, HMSET, HSETNX, HDEL.
//!
//! *Invariant:* a hash whose last field goes, goes with it. *Does not know:* the forms of a hash.
//! *Counterpart in C Redis:* `hsetCommand`, `hsetnxCommand`, `hdelCommand`.

use super::{HASH_SPEC, REMOVED, SET_EVENT, drop_overdue};
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::keyspace::{Keyspace, event};
use crate::value::Hash;

const SET_SPEC: Spec = Spec {
    arity: -4,
    flags: WRITE.or(DENYOOM).or(FAST),
    keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::UPDATE))],
    complexity: "O(1) for each pair of a field and a value.",
    syntax: "key field value [field value ...]",
    ..HASH_SPEC
};

pub const HSET: DataCommand = Command::new(
    hset,
    Spec {
        name: "hset",
        summary: "Gives fields of a hash their values; tells how many of them are new.",
        history: &[("4.0.0", "Accepts multiple `field` and `value` arguments.")],
        ..SET_SPEC
    },
);

fn hset(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let created = set_pairs(ks, call, "hset")?;
    call.reply.int(created);
    Ok(())
}

pub const HMSET: DataCommand = Command::new(
    hmset,
    Spec {
        name: "hmset",
        summary: "Gives fields of a hash their values.",
        deprecated: Some(("4.0.0", "`HSET` with multiple field-value pairs")),
        ..SET_SPEC
    },
);

fn hmset(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    set_pairs(ks, call, "hmset")?;
    call.reply.ok();
    Ok(())
}

/// Sets all the pairs that were given; returns how many fields are new.
fn set_pairs(ks: &mut Keyspace, call: &mut Call<'_>, name: &'static str) -> Result<i64, CmdError> {
    if call.args.len() % 2 == 1 {
        return Err(CmdError::Arity(name.into()));
    }
    let (key, limits) = (call.arg(1), ks.settings.limits);
    let mut hash = ks.write_or_create::<Hash>(key, call)?;
    drop_overdue(&mut hash, key, call.args.from(2).step_by(2), call);
    let mut created = 0;
    for i in (2..call.args.len()).step_by(2) {
        created += hash.set(call.arg(i), call.arg(i + 1), &limits) as i64;
    }
    drop(hash);
    call.modified(key, SET_EVENT, (call.args.len() as u64 - 2) / 2);
    Ok(created)
}

pub const HSETNX: DataCommand = Command::new(
    hsetnx,
    Spec {
        name: "hsetnx",
        arity: 4,
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::INSERT))],
        complexity: "O(1)",
        summary: "Gives a field of a hash its value, unless it has one.",
        syntax: "key field value",
        ..SET_SPEC
    },
);

fn hsetnx(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (key, limits) = (call.arg(1), ks.settings.limits);
    let mut hash = ks.write_or_create::<Hash>(key, call)?;
    drop_overdue(&mut hash, key, [call.arg(2)].into_iter(), call);
    if hash.as_ref().contains(call.arg(2)) {
        call.reply.int(0);
        return Ok(());
    }
    hash.set(call.arg(2), call.arg(3), &limits);
    drop(hash);
    call.modified(key, SET_EVENT, 1);
    call.reply.int(1);
    Ok(())
}

pub const HDEL: DataCommand = Command::new(
    hdel,
    Spec {
        name: "hdel",
        arity: -3,
        flags: WRITE.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::DELETE))],
        complexity: "O(N) for N fields to be removed.",
        summary: "Removes fields from a hash, and the hash with its last field.",
        syntax: "key field [field ...]",
        history: &[("2.4.0", "Accepts multiple `field` arguments.")],
        ..HASH_SPEC
    },
);

fn hdel(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let key = call.arg(1);
    let Some(mut hash) = ks.write_typed::<Hash>(key, call)? else {
        call.reply.int(0);
        return Ok(());
    };
    drop_overdue(&mut hash, key, call.args.from(2), call);
    let removed = call.args.from(2).filter(|field| hash.remove(field)).count();
    let is_gone = hash.is_empty();
    drop(hash);
    if removed > 0 {
        call.modified(key, REMOVED, removed as u64);
    }
    if is_gone {
        call.notify(key, event::DEL);
    }
    call.reply.len_of(removed);
    Ok(())
}
