//! From one list to another: LMOVE, RPOPLPUSH, BLMOVE, BRPOPLPUSH.
//!
//! *Duty:* an element leaves one end of a list and arrives at an end of another, or of the same, in one step; the
//! blocking ones wait for the first list. *Counterpart in C Redis:* `lmoveGenericCommand`, `blmoveGenericCommand`.

use super::{end_arg, popped, pushed};
use crate::base::millis::Millis;
use crate::call::options::timeout_seconds;
use crate::call::{BlockOn, Call, CmdError, CmdResult, WaitFor};
use crate::command::spec::*;
use crate::keyspace::{Keyspace, event};
use crate::value::List;
use crate::value::list::End;

const TRANSFER: Spec = Spec {
    flags: WRITE.or(DENYOOM),
    keys: &[
        KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::DELETE)),
        KeySpec::one(2, KeyFlags::RW.or(KeyFlags::INSERT)),
    ],
    acl: Categories::LIST,
    group: Group::List,
    complexity: "O(1)",
    ..Spec::BASE
};

const BLOCKING_TRANSFER: Spec = Spec { flags: WRITE.or(DENYOOM).or(NOSCRIPT).or(BLOCKING), ..TRANSFER };

pub const LMOVE: DataCommand = Command::new(
    lmove,
    Spec {
        name: "lmove",
        arity: 5,
        since: "6.2.0",
        summary: "Moves an element from an end of one list to an end of another.",
        syntax: "source destination <LEFT|RIGHT> <LEFT|RIGHT>",
        ..TRANSFER
    },
);

fn lmove(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (from, to) = (end_arg(call, 3)?, end_arg(call, 4)?);
    if !transfer(ks, call, from, to)? {
        call.reply.null();
    }
    Ok(())
}

pub const RPOPLPUSH: DataCommand = Command::new(
    rpoplpush,
    Spec {
        name: "rpoplpush",
        arity: 3,
        since: "1.2.0",
        summary: "Moves the last element of a list to the head of another.",
        syntax: "source destination",
        deprecated: Some(("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")),
        ..TRANSFER
    },
);

fn rpoplpush(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    if !transfer(ks, call, End::Right, End::Left)? {
        call.reply.null();
    }
    Ok(())
}

pub const BLMOVE: DataCommand = Command::new(
    blmove,
    Spec {
        name: "blmove",
        arity: 6,
        since: "6.2.0",
        summary: "Moves an element from an end of one list to an end of another, waiting for one if need be.",
        syntax: "source destination <LEFT|RIGHT> <LEFT|RIGHT> timeout",
        ..BLOCKING_TRANSFER
    },
);

fn blmove(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (from, to) = (end_arg(call, 3)?, end_arg(call, 4)?);
    let deadline = timeout_seconds(call.arg(5), call.now)?;
    if transfer(ks, call, from, to)? {
        call.replicate_as(&[b"LMOVE", call.arg(1), call.arg(2), call.arg(3), call.arg(4)]);
    } else {
        wait(call, deadline);
    }
    Ok(())
}

pub const BRPOPLPUSH: DataCommand = Command::new(
    brpoplpush,
    Spec {
        name: "brpoplpush",
        arity: 4,
        since: "2.2.0",
        summary: "Moves the last element of a list to the head of another, waiting for one if need be.",
        syntax: "source destination timeout",
        history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
        deprecated: Some(("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments")),
        ..BLOCKING_TRANSFER
    },
);

fn brpoplpush(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let deadline = timeout_seconds(call.arg(3), call.now)?;
    if transfer(ks, call, End::Right, End::Left)? {
        call.replicate_as(&[b"RPOPLPUSH", call.arg(1), call.arg(2)]);
    } else {
        wait(call, deadline);
    }
    Ok(())
}

fn wait(call: &mut Call<'_>, deadline: Option<Millis>) {
    let source = std::iter::once(call.arg(1));
    call.block_on(BlockOn::new(WaitFor::List, source, deadline).or_null());
}

/// Moves an element and answers with it. `false`: there is none, and no answer.
fn transfer(ks: &mut Keyspace, call: &mut Call<'_>, from: End, to: End) -> Result<bool, CmdError> {
    let (source, destination) = (call.arg(1), call.arg(2));
    if ks.write_typed::<List>(source, call)?.is_none() {
        return Ok(false);
    }
    let same = source == destination;
    if !same {
        // Looked at before anything moves: nothing may be lost to a key of another type.
        ks.write_typed::<List>(destination, call)?;
    }
    let limits = ks.settings.limits;
    let mut list = ks.write_typed::<List>(source, call)?.expect("it was there just now");
    let element = list.pop(from, |elem| elem.to_vec()).expect("an empty list is no key");
    if same {
        list.push(to, &element, &limits);
    }
    let gone = list.is_empty();
    drop(list);
    if !same {
        ks.write_or_create::<List>(destination, call)?.push(to, &element, &limits);
    }
    call.reply.bulk(&element);
    call.modified(destination, pushed(to), 1);
    call.modified(source, popped(from), 0);
    if gone {
        call.notify(source, event::DEL);
    }
    Ok(true)
}
