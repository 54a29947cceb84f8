//! Several keys at once: MGET, MSET, MSETNX, MSETEX.
//!
//! *Invariants:* MSETNX and MSETEX set all of their keys or none. A key that is named twice gets the last value, and both are
//! told of.
//! *Counterpart in C Redis:* `mgetCommand`, `msetGenericCommand`.

use super::set::Expiry;
use super::{SET_EVENT, STRING_SPEC, reply_string};
use crate::base::num;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::keyspace::{Expire, Keyspace, event, string};

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

pub const MSETEX: DataCommand = Command::new(
    msetex,
    Spec {
        name: "msetex",
        arity: -4,
        keys: &[KeySpec {
            begin: Begin::Index(1),
            find: Find::KeyNum { count_at: 0, first: 1, step: 2 },
            flags: KeyFlags::OW.or(KeyFlags::UPDATE),
        }],
        since: "9.1.0",
        summary: "Sets several keys to a string each, if conditions hold for all, with a common deadline.",
        syntax: "numkeys key value [key value ...] [<NX|XX>] [<EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL>]",
        tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
        ..MSET_SPEC
    },
);

/// To AOF and replicas goes a SET for each key, which every release knows.
fn msetex(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let count = num::parse_i64(call.arg(1)).filter(|count| (1..=i32::MAX as i64).contains(count));
    let count = count.ok_or(CmdError::Fixed("ERR invalid numkeys value"))? as usize;
    if call.args.len() < 2 + 2 * count {
        return Err(CmdError::Fixed("ERR wrong number of key-value pairs"));
    }
    let (mut expiry, mut present) = (Expiry::Unsaid, None);
    let mut words = call.args.from(2 + 2 * count);
    while let Some(word) = words.next() {
        match present {
            None if word.eq_ignore_ascii_case(b"NX") => present = Some(false),
            None if word.eq_ignore_ascii_case(b"XX") => present = Some(true),
            _ if expiry.take(word, &mut words, "KEEPTTL") => {}
            _ => return Err(CmdError::Syntax),
        }
    }
    let deadline = expiry.deadline(call.now, "msetex")?;
    let pairs = (0..count).map(|i| 2 + 2 * i).collect::<Vec<_>>();
    if present.is_some_and(|wanted| pairs.iter().any(|i| ks.write(call.arg(*i), call).is_some() != wanted)) {
        call.reply.int(0);
        return Ok(());
    }
    let expire = match deadline {
        Some(at) => Expire::At(at),
        None if expiry == Expiry::Word => Expire::Keep,
        None => Expire::Clear,
    };
    for i in pairs {
        let (key, value) = (call.arg(i), call.arg(i + 1));
        ks.set(key, string(value), expire, call);
        call.modified(key, SET_EVENT, 1);
        let mut digits = [0; num::MAX_DECIMAL_LEN];
        match deadline {
            Some(at) => {
                call.notify(key, event::EXPIRE);
                call.replicate_as(&[b"SET", key, value, b"PXAT", num::format_i64(at.0, &mut digits)]);
            }
            None if expiry == Expiry::Word => call.replicate_as(&[b"SET", key, value, b"KEEPTTL"]),
            None => call.replicate_as(&[b"SET", key, value]),
        }
    }
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
