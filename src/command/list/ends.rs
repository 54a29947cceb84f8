//! Push and pop: LPUSH, RPUSH, LPUSHX, RPUSHX, LPOP, RPOP.
//!
//! *Counterpart in C Redis:* `pushGenericCommand`, `popGenericCommand`.

use super::{pop_into_reply, popped, pushed, tell_removed};
use crate::base::num;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::keyspace::Keyspace;
use crate::value::List;
use crate::value::list::End;

const PUSH_SPEC: Spec = Spec {
    arity: -3,
    flags: WRITE.or(DENYOOM).or(FAST),
    keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::INSERT))],
    acl: Categories::LIST,
    group: Group::List,
    complexity: "O(1) for each element, wherever the list stands: N elements take O(N).",
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
    let limits = ks.settings.limits;
    let mut list = ks.write_or_create::<List>(key, call)?;
    let own = &mut *list;
    for element in call.args.from(2) {
        own.push(end, element, &limits);
    }
    call.reply.len_of(own.len());
    call.modified(key, pushed(end), call.args.len() as u64 - 2);
    Ok(())
}

const PUSHX_SPEC: Spec =
    Spec { since: "2.2.0", history: &[("4.0.0", "Accepts multiple `element` arguments.")], ..PUSH_SPEC };

pub const LPUSHX: DataCommand = Command::new(
    |ks, call| push_if_there(ks, call, End::Left),
    Spec { name: "lpushx", summary: "Puts elements at the head of a list if there is one.", ..PUSHX_SPEC },
);

pub const RPUSHX: DataCommand = Command::new(
    |ks, call| push_if_there(ks, call, End::Right),
    Spec { name: "rpushx", summary: "Puts elements at the tail of a list if there is one.", ..PUSHX_SPEC },
);

fn push_if_there(ks: &mut Keyspace, call: &mut Call<'_>, end: End) -> CmdResult {
    let key = call.arg(1);
    let limits = ks.settings.limits;
    let Some(mut list) = ks.write_typed::<List>(key, call)? else {
        call.reply.int(0);
        return Ok(());
    };
    for element in call.args.from(2) {
        list.push(end, element, &limits);
    }
    call.reply.len_of(list.len());
    call.modified(key, pushed(end), call.args.len() as u64 - 2);
    Ok(())
}

const POP_SPEC: Spec = Spec {
    arity: -2,
    flags: WRITE.or(FAST),
    keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::DELETE))],
    acl: Categories::LIST,
    group: Group::List,
    complexity: "O(N) for N elements taken.",
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
    let wanted = match count {
        None => 1,
        Some(count) => {
            let wanted = count.min(list.len());
            call.reply.array(wanted);
            wanted
        }
    };
    if wanted > 0 {
        let gone = pop_into_reply(&mut list, end, wanted, call.reply);
        drop(list);
        tell_removed(call, key, popped(end), wanted, gone);
    }
    Ok(())
}
