//! Counting: INCR, DECR, INCRBY, DECRBY, INCRBYFLOAT.
//!
//! *Invariants:* an integer is changed where it lies: one lookup, no allocation. A sum of floats goes to AOF and
//! replicas as the text it has here, so that nobody adds again on another machine.
//! *Counterpart in C Redis:* `incrDecrCommand`, `incrbyfloatCommand`.

use super::STRING_SPEC;
use crate::base::longdouble::LongDouble;
use crate::base::num;
use crate::call::{Call, Class, CmdError, CmdResult, Event};
use crate::command::spec::*;
use crate::keyspace::{EntryMut, Expire, Keyspace, New, View, discard};

/// Also of those that count down.
const INCREMENTED: Event = Event::new(Class::STRING, "incrby");
const FLOAT_INCREMENTED: Event = Event::new(Class::STRING, "incrbyfloat");

const COUNTER_SPEC: Spec = Spec {
    flags: WRITE.or(DENYOOM).or(FAST),
    keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::UPDATE))],
    ..STRING_SPEC
};

pub const INCR: DataCommand = Command::new(
    |ks, call| add(ks, call, 1),
    Spec {
        name: "incr",
        arity: 2,
        summary: "Adds one to an integer; a missing key counts as 0.",
        syntax: "key",
        ..COUNTER_SPEC
    },
);

pub const DECR: DataCommand = Command::new(
    |ks, call| add(ks, call, -1),
    Spec {
        name: "decr",
        arity: 2,
        summary: "Subtracts one from an integer; a missing key counts as 0.",
        syntax: "key",
        ..COUNTER_SPEC
    },
);

pub const INCRBY: DataCommand = Command::new(
    |ks, call| add(ks, call, call.args.int(2)?),
    Spec {
        name: "incrby",
        arity: 3,
        summary: "Adds a number to an integer; a missing key counts as 0.",
        syntax: "key increment",
        ..COUNTER_SPEC
    },
);

pub const DECRBY: DataCommand = Command::new(
    decrby,
    Spec {
        name: "decrby",
        arity: 3,
        summary: "Subtracts a number from an integer; a missing key counts as 0.",
        syntax: "key decrement",
        ..COUNTER_SPEC
    },
);

fn decrby(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    match call.args.int(2)?.checked_neg() {
        Some(delta) => add(ks, call, delta),
        None => Err(CmdError::Fixed("ERR decrement would overflow")),
    }
}

fn add(ks: &mut Keyspace, call: &mut Call<'_>, delta: i64) -> CmdResult {
    let key = call.arg(1);
    let sum = match ks.write(key, call) {
        Some(mut entry) => {
            let old = match entry.entry().view() {
                View::Int(i) => i,
                View::Str(text) => num::parse_i64(text).ok_or(CmdError::NotInteger)?,
                View::Object(_) => return Err(CmdError::WrongType),
            };
            let sum = old.checked_add(delta).ok_or(CmdError::Overflow)?;
            if !entry.set_int(sum) {
                replace(entry, New::Int(sum), call);
            }
            sum
        }
        None => {
            ks.set(key, New::Int(delta), Expire::Clear, call);
            delta
        }
    };
    call.modified(key, INCREMENTED, 1);
    call.reply.int(sum);
    Ok(())
}

/// Another value for the same key; its deadline stays.
fn replace(mut entry: EntryMut<'_>, value: New<'_>, call: &mut Call<'_>) {
    let (stamp, access) = (entry.entry().stamp(), entry.entry().access());
    // A number's text, however it is stored, is never slow to free.
    discard(entry.replace(stamp, access, value), false, call.fx);
}

pub const INCRBYFLOAT: DataCommand = Command::new(
    incrbyfloat,
    Spec {
        name: "incrbyfloat",
        arity: 3,
        since: "2.6.0",
        summary: "Adds a number to a floating-point number; a missing key counts as 0.",
        syntax: "key increment:double",
        ..COUNTER_SPEC
    },
);

fn incrbyfloat(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let key = call.arg(1);
    let entry = ks.write(key, call);
    let old = match entry.as_ref().map(|entry| entry.entry().view()) {
        None => LongDouble::from_i64(0),
        Some(View::Int(i)) => LongDouble::from_i64(i),
        Some(View::Str(text)) => LongDouble::parse(text).ok_or(CmdError::NotFloat)?,
        Some(View::Object(_)) => return Err(CmdError::WrongType),
    };
    let delta = LongDouble::parse(call.arg(2)).ok_or(CmdError::NotFloat)?;
    let sum = old.add(delta);
    if !sum.is_finite() {
        return Err(CmdError::Fixed("ERR increment would produce NaN or Infinity"));
    }
    let mut text = Vec::with_capacity(32);
    sum.write_human(&mut text);
    // The sum stays a text, even where it is an integer: OBJECT ENCODING says so.
    match entry {
        Some(entry) => replace(entry, New::Bytes(&text), call),
        None => ks.set(key, New::Bytes(&text), Expire::Clear, call),
    }
    call.modified(key, FLOAT_INCREMENTED, 1);
    call.reply.bulk(&text);
    call.replicate_as(&[b"SET", key, &text, b"KEEPTTL"]);
    Ok(())
}
