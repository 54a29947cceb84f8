//! Reading hashes: HGET, HMGET, HGETALL, HKEYS, HVALS, HLEN, HEXISTS, HSTRLEN.
//!
//! *Invariant:* a key that is not there reads as an empty hash. *Does not know:* the forms of a hash.
//! *Counterpart in C Redis:* `hgetCommand`, `genericHgetallCommand` and their neighbours.

use super::{HASH_SPEC, read, reply_elem};
use crate::call::{Call, CmdResult};
use crate::command::spec::*;
use crate::ds::element::Elem;
use crate::keyspace::Keyspace;

/// Rows of commands that hand out what a hash holds.
const GET_SPEC: Spec =
    Spec { flags: READONLY.or(FAST), keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))], ..HASH_SPEC };

/// Rows of commands that only tell about it.
const TELL_SPEC: Spec = Spec { keys: &[KeySpec::one(1, KeyFlags::RO)], ..GET_SPEC };

/// Rows of commands that hand out everything.
const ALL_SPEC: Spec = Spec {
    arity: 2,
    flags: READONLY,
    complexity: "O(N) for N fields in the hash.",
    syntax: "key",
    tips: &["nondeterministic_output_order"],
    ..GET_SPEC
};

pub const HGET: DataCommand = Command::new(
    hget,
    Spec { name: "hget", arity: 3, summary: "Returns the value of a hash's field.", syntax: "key field", ..GET_SPEC },
);

fn hget(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    match read(ks, call)?.and_then(|hash| hash.get(call.arg(2))) {
        Some(value) => reply_elem(call.reply, value),
        None => call.reply.null(),
    }
    Ok(())
}

pub const HMGET: DataCommand = Command::new(
    hmget,
    Spec {
        name: "hmget",
        arity: -3,
        complexity: "O(N) for N fields asked for.",
        summary: "Returns the values of several fields of a hash.",
        syntax: "key field [field ...]",
        ..GET_SPEC
    },
);

fn hmget(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let hash = read(ks, call)?;
    let fields = call.args.from(2);
    call.reply.array(fields.len());
    for field in fields {
        match hash.and_then(|hash| hash.get(field)) {
            Some(value) => reply_elem(call.reply, value),
            None => call.reply.null(),
        }
    }
    Ok(())
}

pub const HGETALL: DataCommand = Command::new(
    hgetall,
    Spec { name: "hgetall", summary: "Returns all fields of a hash with their values.", ..ALL_SPEC },
);

fn hgetall(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let Some(hash) = read(ks, call)? else {
        call.reply.map(0);
        return Ok(());
    };
    call.reply.map(hash.len());
    for (field, value) in hash.iter() {
        reply_elem(call.reply, field);
        reply_elem(call.reply, value);
    }
    Ok(())
}

pub const HKEYS: DataCommand = Command::new(
    |ks, call| list(ks, call, |(field, _)| field),
    Spec { name: "hkeys", summary: "Returns all fields of a hash.", ..ALL_SPEC },
);

pub const HVALS: DataCommand = Command::new(
    |ks, call| list(ks, call, |(_, value)| value),
    Spec { name: "hvals", summary: "Returns all values of a hash.", ..ALL_SPEC },
);

/// Replies with one half of each pair.
fn list(ks: &mut Keyspace, call: &mut Call<'_>, half: for<'e> fn((Elem<'e>, Elem<'e>)) -> Elem<'e>) -> CmdResult {
    let Some(hash) = read(ks, call)? else {
        call.reply.array(0);
        return Ok(());
    };
    call.reply.array(hash.len());
    hash.iter().for_each(|pair| reply_elem(call.reply, half(pair)));
    Ok(())
}

pub const HLEN: DataCommand = Command::new(
    hlen,
    Spec { name: "hlen", arity: 2, summary: "Tells how many fields a hash has.", syntax: "key", ..TELL_SPEC },
);

fn hlen(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let len = read(ks, call)?.map_or(0, |hash| hash.len());
    call.reply.len_of(len);
    Ok(())
}

pub const HEXISTS: DataCommand = Command::new(
    hexists,
    Spec { name: "hexists", arity: 3, summary: "Tells whether a hash has a field.", syntax: "key field", ..TELL_SPEC },
);

fn hexists(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let found = read(ks, call)?.is_some_and(|hash| hash.contains(call.arg(2)));
    call.reply.int(found as i64);
    Ok(())
}

pub const HSTRLEN: DataCommand = Command::new(
    hstrlen,
    Spec {
        name: "hstrlen",
        arity: 3,
        since: "3.2.0",
        summary: "Tells the length of a field's value.",
        syntax: "key field",
        ..TELL_SPEC
    },
);

fn hstrlen(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let value = read(ks, call)?.and_then(|hash| hash.get(call.arg(2)));
    call.reply.len_of(value.map_or(0, Elem::text_len));
    Ok(())
}
