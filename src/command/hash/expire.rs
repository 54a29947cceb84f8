//! Giving fields deadlines: HEXPIRE, HPEXPIRE, HEXPIREAT, HPEXPIREAT.
//!
//! *Invariants:* what goes to AOF and replicas is the point in time and the fields that got it, or, if that is past,
//! the removal of the fields. Who repeats such a stream sets a past deadline like any other.
//! *Counterpart in C Redis:* `hexpireGenericCommand` of 7.4.

use super::fields::{NOT_ABOVE_ZERO, deadline, named};
use super::{EXPIRES, HASH_SPEC, REMOVED, drop_overdue};
use crate::base::hash::HashSeed;
use crate::base::millis::Millis;
use crate::base::num::{self, IntBuf};
use crate::call::effects::Replicate;
use crate::call::options::ExpireUnit;
use crate::call::{Call, CmdResult};
use crate::command::spec::*;
use crate::keyspace::{Keyspace, event};
use crate::resp::Argv;
use crate::value::Hash;

/// What is replied for each field.
const NO_FIELD: i64 = -2;
const CONDITION_FAILED: i64 = 0;
const SET: i64 = 1;
const WAS_PAST: i64 = 2;

const EXPIRE_SPEC: Spec = Spec {
    arity: -6,
    flags: WRITE.or(FAST),
    keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::UPDATE))],
    since: "7.4.0",
    complexity: "O(N) for N fields named.",
    ..HASH_SPEC
};

pub const HEXPIRE: DataCommand = Command::new(
    |ks, call| expire(ks, call, ExpireUnit::Seconds, "hexpire"),
    Spec {
        name: "hexpire",
        summary: "Lets fields of a hash expire in so many seconds.",
        syntax: "key seconds [<NX|XX|GT|LT>] FIELDS numfields field [field ...]",
        ..EXPIRE_SPEC
    },
);

pub const HPEXPIRE: DataCommand = Command::new(
    |ks, call| expire(ks, call, ExpireUnit::Millis, "hpexpire"),
    Spec {
        name: "hpexpire",
        summary: "Lets fields of a hash expire in so many milliseconds.",
        syntax: "key milliseconds [<NX|XX|GT|LT>] FIELDS numfields field [field ...]",
        ..EXPIRE_SPEC
    },
);

pub const HEXPIREAT: DataCommand = Command::new(
    |ks, call| expire(ks, call, ExpireUnit::UnixSeconds, "hexpireat"),
    Spec {
        name: "hexpireat",
        summary: "Lets fields of a hash expire at a Unix time in seconds.",
        syntax: "key unix-time-seconds [<NX|XX|GT|LT>] FIELDS numfields field [field ...]",
        ..EXPIRE_SPEC
    },
);

pub const HPEXPIREAT: DataCommand = Command::new(
    |ks, call| expire(ks, call, ExpireUnit::UnixMillis, "hpexpireat"),
    Spec {
        name: "hpexpireat",
        summary: "Lets fields of a hash expire at a Unix time in milliseconds.",
        syntax: "key unix-time-milliseconds [<NX|XX|GT|LT>] FIELDS numfields field [field ...]",
        ..EXPIRE_SPEC
    },
);

/// Whether a field's deadline may be replaced by a new one. No deadline counts as never.
type Condition = fn(Option<Millis>, Millis) -> bool;

fn condition(word: &[u8]) -> Option<Condition> {
    let conditions: [(&str, Condition); 4] = [
        ("NX", |old, _| old.is_none()),
        ("XX", |old, _| old.is_some()),
        ("GT", |old, new| old.is_some_and(|old| new > old)),
        ("LT", |old, new| old.is_none_or(|old| new < old)),
    ];
    conditions.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes())).map(|(_, holds)| holds)
}

fn expire(ks: &mut Keyspace, call: &mut Call<'_>, unit: ExpireUnit, name: &'static str) -> CmdResult {
    let (key, seed) = (call.arg(1), ks.settings.limits.seed);
    let hash = ks.write_typed::<Hash>(key, call)?;
    let at = deadline(call, 2, unit, name)?;
    let holds = condition(call.arg(3));
    let fields = named(call, if holds.is_some() { 4 } else { 3 }, NOT_ABOVE_ZERO)?;
    call.reply.array(fields.len());
    let Some(mut hash) = hash else {
        fields.for_each(|_| call.reply.int(NO_FIELD));
        return Ok(());
    };
    drop_overdue(&mut hash, key, fields.clone(), call);
    let mut moved = Moved::new(at, seed, call);
    for field in fields {
        let old = hash.as_ref().deadline(field);
        let result = if !hash.as_ref().contains(field) {
            NO_FIELD
        } else if holds.is_some_and(|holds| !holds(old, at)) {
            CONDITION_FAILED
        } else if moved.apply(&mut hash, field) {
            SET
        } else {
            WAS_PAST
        };
        call.reply.int(result);
    }
    let is_gone = hash.is_empty();
    drop(hash);
    moved.tell(key, call);
    if is_gone {
        call.notify(key, event::DEL);
    }
    Ok(())
}

/// Fields that were given one and the same deadline.
pub(super) struct Moved<'a> {
    at: Millis,
    /// The deadline has passed: fields go at once.
    is_past: bool,
    seed: HashSeed,
    fields: Vec<&'a [u8]>,
}

impl<'a> Moved<'a> {
    pub(super) fn new(at: Millis, seed: HashSeed, call: &Call<'_>) -> Moved<'a> {
        Moved { at, is_past: at <= Keyspace::field_clock(call), seed, fields: Vec::new() }
    }

    pub(super) fn at(&self) -> Millis {
        self.at
    }

    pub(super) fn is_past(&self) -> bool {
        self.is_past
    }

    /// Gives a field that is there the deadline. `false`: that was in the past, and the field is gone.
    pub(super) fn apply(&mut self, hash: &mut Hash, field: &'a [u8]) -> bool {
        self.fields.push(field);
        if self.is_past {
            hash.remove(field);
        } else {
            hash.set_deadline(field, Some(self.at), self.seed);
        }
        !self.is_past
    }

    /// Raises the event, and replicates what was done as the point in time or the removal.
    pub(super) fn tell(&self, key: &[u8], call: &mut Call<'_>) {
        call.fx.replicate = Replicate::Rewritten;
        if self.fields.is_empty() {
            return;
        }
        call.modified(key, if self.is_past { REMOVED } else { EXPIRES }, self.fields.len() as u64);
        if !call.wants_ops() {
            return;
        }
        let mut argv = Argv::new();
        if self.is_past {
            [b"HDEL", key].iter().for_each(|arg| argv.push(arg));
        } else {
            let (mut at, mut count) = (IntBuf::default(), IntBuf::default());
            argv.push(b"HPEXPIREAT");
            argv.push(key);
            argv.push(num::format_i64(self.at.0, &mut at));
            argv.push(b"FIELDS");
            argv.push(num::format_i64(self.fields.len() as i64, &mut count));
        }
        self.fields.iter().for_each(|field| argv.push(field));
        call.replicate_argv(argv);
    }
}
