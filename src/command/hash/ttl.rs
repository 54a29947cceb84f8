//! Asking for the deadlines of fields: HTTL, HPTTL, HEXPIRETIME, HPEXPIRETIME; and taking them away: HPERSIST.
//!
//! *Invariant:* a field that is not there answers -2, one without a deadline -1, and a key that is not there has no
//! fields. *Counterpart in C Redis:* `httlGenericCommand`, `hpersistCommand` of 7.4.

use super::fields::{NOT_POSITIVE, named};
use super::{HASH_SPEC, PERSISTED, drop_overdue, read};
use crate::base::millis::Millis;
use crate::call::{Call, CmdResult};
use crate::command::spec::*;
use crate::keyspace::{Keyspace, event};
use crate::value::Hash;

const NO_FIELD: i64 = -2;
const NO_DEADLINE: i64 = -1;

const TTL_SPEC: Spec = Spec {
    arity: -5,
    flags: READONLY.or(FAST),
    keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
    since: "7.4.0",
    complexity: "O(N) for N fields asked for.",
    syntax: "key FIELDS numfields field [field ...]",
    ..HASH_SPEC
};

pub const HTTL: DataCommand = Command::new(
    |ks, call| ask(ks, call, |at, now| (at.since(now) + 999) / 1000),
    Spec {
        name: "httl",
        summary: "Tells in how many seconds fields of a hash expire.",
        tips: &["nondeterministic_output"],
        ..TTL_SPEC
    },
);

pub const HPTTL: DataCommand = Command::new(
    |ks, call| ask(ks, call, |at, now| at.since(now)),
    Spec {
        name: "hpttl",
        summary: "Tells in how many milliseconds fields of a hash expire.",
        tips: &["nondeterministic_output"],
        ..TTL_SPEC
    },
);

pub const HEXPIRETIME: DataCommand = Command::new(
    |ks, call| ask(ks, call, |at, _| (at.0 + 999) / 1000),
    Spec { name: "hexpiretime", summary: "Tells when fields of a hash expire, as Unix seconds.", ..TTL_SPEC },
);

pub const HPEXPIRETIME: DataCommand = Command::new(
    |ks, call| ask(ks, call, |at, _| at.0),
    Spec { name: "hpexpiretime", summary: "Tells when fields of a hash expire, as Unix milliseconds.", ..TTL_SPEC },
);

fn ask(ks: &mut Keyspace, call: &mut Call<'_>, answer: fn(Millis, Millis) -> i64) -> CmdResult {
    let hash = read(ks, call)?;
    let fields = named(call, 2, NOT_POSITIVE)?;
    call.reply.array(fields.len());
    for field in fields {
        call.reply.int(match hash.filter(|hash| hash.contains(field)) {
            None => NO_FIELD,
            Some(hash) => hash.deadline(field).map_or(NO_DEADLINE, |at| answer(at, call.now)),
        });
    }
    Ok(())
}

pub const HPERSIST: DataCommand = Command::new(
    hpersist,
    Spec {
        name: "hpersist",
        arity: -5,
        flags: WRITE.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::UPDATE))],
        summary: "Takes the deadlines of fields of a hash away.",
        ..TTL_SPEC
    },
);

fn hpersist(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (key, seed) = (call.arg(1), ks.settings.limits.seed);
    let hash = ks.write_typed::<Hash>(key, call)?;
    let fields = named(call, 2, NOT_POSITIVE)?;
    call.reply.array(fields.len());
    let Some(mut hash) = hash else {
        fields.for_each(|_| call.reply.int(NO_FIELD));
        return Ok(());
    };
    drop_overdue(&mut hash, key, fields.clone(), call);
    let mut persisted = 0;
    for field in fields {
        if !hash.as_ref().contains(field) {
            call.reply.int(NO_FIELD);
        } else if hash.as_ref().deadline(field).is_some() && hash.set_deadline(field, None, seed) {
            persisted += 1;
            call.reply.int(1);
        } else {
            call.reply.int(NO_DEADLINE);
        }
    }
    let is_gone = hash.is_empty();
    drop(hash);
    if persisted > 0 {
        call.modified(key, PERSISTED, persisted);
    }
    if is_gone {
        call.notify(key, event::DEL);
    }
    Ok(())
}
