//! List commands: LPUSH, RPUSH, LPOP, RPOP, LLEN, LRANGE, BLPOP, BRPOP.
//!
//! *Does not know:* who waits for a list; a push only says that the key was touched, and a blocking pop that finds
//! nothing only says what it wants to wait for. *Counterpart in C Redis:* `t_list.c`.

use super::spec::*;
use crate::base::num;
use crate::call::options::timeout_seconds;
use crate::call::{BlockOn, Call, Class, CmdError, CmdResult, Event, WaitFor};
use crate::keyspace::{Keyspace, event};
use crate::value::list::End;
use crate::value::{List, ListRef};

pub const COMMANDS: &[DataCommand] = &[BLPOP, BRPOP, LLEN, LPOP, LPUSH, LRANGE, RPOP, RPUSH];

const fn pushed(end: End) -> Event {
    Event::new(Class::LIST, if matches!(end, End::Left) { "lpush" } else { "rpush" })
}

const fn popped(end: End) -> Event {
    Event::new(Class::LIST, if matches!(end, End::Left) { "lpop" } else { "rpop" })
}

const PUSH_SPEC: Spec = Spec {
    arity: -3,
    flags: WRITE.or(DENYOOM).or(FAST),
    keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::INSERT))],
    acl: Categories::LIST,
    group: Group::List,
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
    syntax: "key element [element ...]",
    history: &[("2.4.0", "Accepts multiple `element` arguments.")],
    ..Spec::BASE
};

pub const LPUSH: DataCommand = Command::new(
    |ks, call| push(ks, call, End::Left),
    Spec {
        name: "lpush",
        summary: "Puts elements at the head of a list, making the list if there is none.",
        ..PUSH_SPEC
    },
);

pub const RPUSH: DataCommand = Command::new(
    |ks, call| push(ks, call, End::Right),
    Spec {
        name: "rpush",
        summary: "Puts elements at the tail of a list, making the list if there is none.",
        ..PUSH_SPEC
    },
);

fn push(ks: &mut Keyspace, call: &mut Call<'_>, end: End) -> CmdResult {
    let key = call.arg(1);
    let mut list = ks.write_or_create::<List>(key, call)?;
    for element in call.args.from(2) {
        list.push(end, element);
    }
    call.reply.len_of(list.len());
    drop(list);
    call.modified(key, pushed(end), call.args.len() as u64 - 2);
    Ok(())
}

const POP_SPEC: Spec = Spec {
    arity: -2,
    flags: WRITE.or(FAST),
    keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::DELETE))],
    acl: Categories::LIST,
    group: Group::List,
    complexity: "O(N) where N is the number of elements returned",
    syntax: "key [count@6.2.0]",
    history: &[("6.2.0", "Added the `count` argument.")],
    ..Spec::BASE
};

pub const LPOP: DataCommand = Command::new(
    |ks, call| pop(ks, call, End::Left),
    Spec { name: "lpop", summary: "Takes the first elements off a list.", ..POP_SPEC },
);

pub const RPOP: DataCommand = Command::new(
    |ks, call| pop(ks, call, End::Right),
    Spec { name: "rpop", summary: "Takes the last elements off a list.", ..POP_SPEC },
);

fn pop(ks: &mut Keyspace, call: &mut Call<'_>, end: End) -> CmdResult {
    let count = match call.args.len() {
        2 => None,
        3 => match num::parse_i64(call.arg(2)) {
            Some(n) if n >= 0 => Some(n as usize),
            _ => return Err(CmdError::Fixed("ERR value is out of range, must be positive")),
        },
        _ => return Err(CmdError::Arity(if end == End::Left { "lpop" } else { "rpop" }.into())),
    };
    let key = call.arg(1);
    let Some(mut list) = ks.write_typed::<List>(key, call)? else {
        match count {
            None => call.reply.null(),
            Some(_) => call.reply.null_array(),
        }
        return Ok(());
    };
    let wanted = count.unwrap_or(1).min(list.len());
    if count.is_some() {
        call.reply.array(wanted);
    }
    for _ in 0..wanted {
        let element = list.pop(end).expect("no more than the length is taken");
        call.reply.bulk(&element);
    }
    let empty = list.is_empty();
    drop(list);
    if wanted > 0 {
        call.modified(key, popped(end), wanted as u64);
    }
    if empty {
        call.notify(key, event::DEL);
    }
    Ok(())
}

pub const LLEN: DataCommand = Command::new(
    llen,
    Spec {
        name: "llen",
        arity: 2,
        flags: READONLY.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RO)],
        acl: Categories::LIST,
        group: Group::List,
        complexity: "O(1)",
        summary: "Tells the length of a list.",
        syntax: "key",
        ..Spec::BASE
    },
);

fn llen(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let len = ks.read_typed::<List>(call.arg(1), call)?.map_or(0, ListRef::len);
    call.reply.len_of(len);
    Ok(())
}

pub const LRANGE: DataCommand = Command::new(
    lrange,
    Spec {
        name: "lrange",
        arity: 4,
        flags: READONLY,
        keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
        acl: Categories::LIST,
        group: Group::List,
        complexity: "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the specified range.",
        summary: "Returns a range of a list's elements.",
        syntax: "key start stop",
        ..Spec::BASE
    },
);

fn lrange(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (start, stop) = (call.args.int(2)?, call.args.int(3)?);
    match ks.read_typed::<List>(call.arg(1), call)? {
        None => call.reply.array(0),
        Some(list) => {
            let range = list.range(start, stop);
            call.reply.array(range.len());
            range.for_each(|element| call.reply.bulk(element));
        }
    }
    Ok(())
}

const BPOP_SPEC: Spec = Spec {
    arity: -3,
    flags: WRITE.or(NOSCRIPT).or(BLOCKING),
    keys: &[KeySpec::range(1, -2, 1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::DELETE))],
    acl: Categories::LIST,
    group: Group::List,
    since: "2.0.0",
    complexity: "O(N) where N is the number of provided keys.",
    syntax: "key [key ...] timeout",
    history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
    ..Spec::BASE
};

pub const BLPOP: DataCommand = Command::new(
    |ks, call| blocking_pop(ks, call, End::Left),
    Spec { name: "blpop", summary: "Takes the first element off a list, waiting for one if need be.", ..BPOP_SPEC },
);

pub const BRPOP: DataCommand = Command::new(
    |ks, call| blocking_pop(ks, call, End::Right),
    Spec { name: "brpop", summary: "Takes the last element off a list, waiting for one if need be.", ..BPOP_SPEC },
);

fn blocking_pop(ks: &mut Keyspace, call: &mut Call<'_>, end: End) -> CmdResult {
    let last = call.args.len() - 1;
    let deadline = timeout_seconds(call.arg(last), call.now)?;
    let keys = call.args.from(1).take(last - 1);
    for key in keys.clone() {
        if !call.may_take(key) {
            continue;
        }
        let Some(mut list) = ks.write_typed::<List>(key, call)? else {
            continue;
        };
        let element = list.pop(end).expect("an empty list is no key");
        call.reply.array(2);
        call.reply.bulk(key);
        call.reply.bulk(&element);
        let empty = list.is_empty();
        drop(list);
        call.modified(key, popped(end), 1);
        if empty {
            call.notify(key, event::DEL);
        }
        call.replicate_as(&[if end == End::Left { b"LPOP" } else { b"RPOP" }, key]);
        return Ok(());
    }
    call.block_on(BlockOn::new(WaitFor::List, keys, deadline));
    Ok(())
}
