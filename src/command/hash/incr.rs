//! Counting in fields: HINCRBY, HINCRBYFLOAT.
//!
//! *Invariant:* a sum of floats goes to AOF and replicas as the text it has here, so that nobody adds again on another
//! machine. A field keeps its deadline while it is counted in. *Counterpart in C Redis:* `hincrbyCommand`, `hincrbyfloatCommand`.

use super::{HASH_SPEC, drop_overdue};
use crate::base::longdouble::LongDouble;
use crate::base::num::{self, IntBuf};
use crate::call::{Call, Class, CmdError, CmdResult, Event};
use crate::command::spec::*;
use crate::ds::element::Elem;
use crate::keyspace::Keyspace;
use crate::value::Hash;

const INCREMENTED: Event = Event::new(Class::HASH, "hincrby");
const FLOAT_INCREMENTED: Event = Event::new(Class::HASH, "hincrbyfloat");

const COUNTER_SPEC: Spec = Spec {
    arity: 4,
    flags: WRITE.or(DENYOOM).or(FAST),
    keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::UPDATE))],
    ..HASH_SPEC
};

pub const HINCRBY: DataCommand = Command::new(
    hincrby,
    Spec {
        name: "hincrby",
        summary: "Adds a number to the integer in a field; a missing field counts as 0.",
        syntax: "key field increment",
        ..COUNTER_SPEC
    },
);

fn hincrby(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (key, field, limits) = (call.arg(1), call.arg(2), ks.settings.limits);
    let delta = call.args.int(3)?;
    let mut hash = ks.write_or_create::<Hash>(key, call)?;
    drop_overdue(&mut hash, key, [field].into_iter(), call);
    let old = match hash.as_ref().get(field) {
        None => 0,
        Some(Elem::Int(i)) => i,
        Some(Elem::Str(text)) => num::parse_i64(text).ok_or(CmdError::Fixed("ERR hash value is not an integer"))?,
    };
    let sum = old.checked_add(delta).ok_or(CmdError::Overflow)?;
    hash.set_value(field, num::format_i64(sum, &mut IntBuf::default()), &limits);
    drop(hash);
    call.modified(key, INCREMENTED, 1);
    call.reply.int(sum);
    Ok(())
}

pub const HINCRBYFLOAT: DataCommand = Command::new(
    hincrbyfloat,
    Spec {
        name: "hincrbyfloat",
        since: "2.6.0",
        summary: "Adds a number to the floating-point number in a field; a missing field counts as 0.",
        syntax: "key field increment:double",
        ..COUNTER_SPEC
    },
);

fn hincrbyfloat(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (key, field, limits) = (call.arg(1), call.arg(2), ks.settings.limits);
    let delta = LongDouble::parse(call.arg(3)).ok_or(CmdError::NotFloat)?;
    if !delta.is_finite() {
        return Err(CmdError::Fixed("ERR value is NaN or Infinity"));
    }
    let mut hash = ks.write_or_create::<Hash>(key, call)?;
    drop_overdue(&mut hash, key, [field].into_iter(), call);
    let old = match hash.as_ref().get(field) {
        None => LongDouble::from_i64(0),
        Some(Elem::Int(i)) => LongDouble::from_i64(i),
        Some(Elem::Str(text)) => LongDouble::parse(text).ok_or(CmdError::Fixed("ERR hash value is not a float"))?,
    };
    let sum = old.add(delta);
    if !sum.is_finite() {
        return Err(CmdError::Fixed("ERR increment would produce NaN or Infinity"));
    }
    let mut text = Vec::with_capacity(32);
    sum.write_human(&mut text);
    hash.set_value(field, &text, &limits);
    let expires = hash.as_ref().deadline(field).is_some();
    drop(hash);
    call.modified(key, FLOAT_INCREMENTED, 1);
    call.reply.bulk(&text);
    if expires {
        call.replicate_as(&[b"HSETEX", key, b"KEEPTTL", b"FIELDS", b"1", field, &text]);
    } else {
        call.replicate_as(&[b"HSET", key, field, &text]);
    }
    Ok(())
}
