//! Several keys at once: MGET, MSET, MSETNX.
//!
//! *Invariants:* MSETNX sets all of its keys or none. A key that is named twice gets the last value, and both are
//! told of.
//! *Counterpart in C Redis:* `mgetCommand`, `msetGenericCommand`.

use super::{SET_EVENT, STRING_SPEC, reply_string};
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::keyspace::{Expire, Keyspace, string};

pub const MGET: DataCommand = Command::new(
    mget,
    Spec {
        name: "mget",
        arity: -2,
        flags: READONLY.or(FAST),
        keys: &[KeySpec::range(1, -1, 1, KeyFlags::RO.or(KeyFlags::ACCESS))],
        complexity: "O(N) with N the number of keys.",
        summary: "Returns the strings of several keys.",
        syntax: "key [key ...]",
        tips: &["request_policy:multi_shard"],
        ..STRING_SPEC
    },
);

fn mget(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    call.reply.array(call.args.len() - 1);
    for key in call.args.from(1) {
        let value = ks.read(key, call).filter(|entry| entry.is_string());
        match value {
            Some(entry) => reply_string(call.reply, entry.view())?,
            None => call.reply.null(),
        }
    }
    Ok(())
}

const MSET_SPEC: Spec = Spec {
    arity: -3,
    flags: WRITE.or(DENYOOM),
    since: "1.0.1",
    complexity: "O(N) with N the number of keys.",
    syntax: "key value [key value ...]",
    ..STRING_SPEC
};

pub const MSET: DataCommand = Command::new(
    mset,
    Spec {
        name: "mset",
        keys: &[KeySpec::range(1, -1, 2, KeyFlags::OW.or(KeyFlags::UPDATE))],
        summary: "Sets several keys to a string each.",
        tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
        ..MSET_SPEC
    },
);

fn mset(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    check_pairs(call, "mset")?;
    set_pairs(ks, call);
    call.reply.ok();
    Ok(())
}

pub const MSETNX: DataCommand = Command::new(
    msetnx,
    Spec {
        name: "msetnx",
        keys: &[KeySpec::range(1, -1, 2, KeyFlags::OW.or(KeyFlags::INSERT))],
        summary: "Sets several keys to a string each, unless one of them exists.",
        tips: &["request_policy:multi_shard", "response_policy:agg_min"],
        ..MSET_SPEC
    },
);

fn msetnx(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    check_pairs(call, "msetnx")?;
    if call.args.from(1).step_by(2).any(|key| ks.write(key, call).is_some()) {
        call.reply.int(0);
        return Ok(());
    }
    set_pairs(ks, call);
    call.reply.int(1);
    Ok(())
}

fn check_pairs(call: &Call<'_>, command: &'static str) -> CmdResult {
    if call.args.len().is_multiple_of(2) { Err(CmdError::Arity(command.into())) } else { Ok(()) }
}

fn set_pairs(ks: &mut Keyspace, call: &mut Call<'_>) {
    let args = call.args;
    for (key, value) in args.from(1).step_by(2).zip(args.from(2).step_by(2)) {
        ks.set(key, string(value), Expire::Clear, call);
        call.modified(key, SET_EVENT, 1);
    }
}
