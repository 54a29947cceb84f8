//! Changing what is inside a list: LSET, LINSERT, LREM, LTRIM.
//!
//! *Counterpart in C Redis:* `lsetCommand`, `linsertCommand`, `lremCommand`, `ltrimCommand`.

use std::ops::ControlFlow;

use super::{clip, discard, tell_removed};
use crate::call::{Call, Class, CmdError, CmdResult, Event};
use crate::command::spec::*;
use crate::ds::element::Needle;
use crate::keyspace::Keyspace;
use crate::value::list::End;
use crate::value::{List, ListRef};

const LSET_EVENT: Event = Event::new(Class::LIST, "lset");
const LINSERT_EVENT: Event = Event::new(Class::LIST, "linsert");
const LREM_EVENT: Event = Event::new(Class::LIST, "lrem");
const LTRIM_EVENT: Event = Event::new(Class::LIST, "ltrim");

const EDIT: Spec = Spec { arity: 4, flags: WRITE, acl: Categories::LIST, group: Group::List, ..Spec::BASE };

pub const LSET: DataCommand = Command::new(
    lset,
    Spec {
        name: "lset",
        flags: WRITE.or(DENYOOM),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::UPDATE))],
        complexity: "O(N) for N elements on the way from the nearer end, node by node; O(1) for the first and the last.",
        summary: "Puts another element in the place of the one at an index of a list.",
        syntax: "key index element",
        ..EDIT
    },
);

fn lset(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let key = call.arg(1);
    let limits = ks.settings.limits;
    let Some(mut list) = ks.write_typed::<List>(key, call)? else {
        return Err(CmdError::NoSuchKey);
    };
    let index = call.args.int(2)?;
    let (index, count) = clip(index, index, list.len());
    if count == 0 {
        return Err(CmdError::IndexOutOfRange);
    }
    list.replace(index, call.arg(3), &limits);
    drop(list);
    call.reply.ok();
    call.modified(key, LSET_EVENT, 1);
    Ok(())
}

pub const LINSERT: DataCommand = Command::new(
    linsert,
    Spec {
        name: "linsert",
        arity: 5,
        flags: WRITE.or(DENYOOM),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::INSERT))],
        since: "2.2.0",
        complexity: "O(N) for N elements in front of the pivot.",
        summary: "Inserts an element beside another one of a list.",
        syntax: "key <BEFORE|AFTER> pivot element",
        ..EDIT
    },
);

fn linsert(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let behind = match () {
        () if call.args.is(2, "AFTER") => 1,
        () if call.args.is(2, "BEFORE") => 0,
        () => return Err(CmdError::Syntax),
    };
    let key = call.arg(1);
    let limits = ks.settings.limits;
    let Some(mut list) = ks.write_typed::<List>(key, call)? else {
        call.reply.int(0);
        return Ok(());
    };
    let Some(pivot) = index_of(list.as_ref(), call.arg(3)) else {
        call.reply.int(-1);
        return Ok(());
    };
    list.insert(pivot + behind, call.arg(4), &limits);
    call.reply.len_of(list.len());
    drop(list);
    call.modified(key, LINSERT_EVENT, 1);
    Ok(())
}

/// The index of the first element with this text.
fn index_of(list: ListRef<'_>, text: &[u8]) -> Option<usize> {
    let needle = Needle::new(text);
    let (mut index, mut found) = (0, None);
    list.walk(0, End::Right, |elem| {
        if needle.is(elem) {
            found = Some(index);
            return ControlFlow::Break(());
        }
        index += 1;
        ControlFlow::Continue(())
    });
    found
}

pub const LREM: DataCommand = Command::new(
    lrem,
    Spec {
        name: "lrem",
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::DELETE))],
        complexity: "O(N+M) for a list of N elements of which M are removed.",
        summary: "Removes elements that are equal to a given one from a list.",
        syntax: "key count element",
        ..EDIT
    },
);

fn lrem(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let count = call.args.int(2)?;
    let key = call.arg(1);
    let Some(mut list) = ks.write_typed::<List>(key, call)? else {
        call.reply.int(0);
        return Ok(());
    };
    let max = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
    let removed = list.remove_matching(call.arg(3), max, if count < 0 { End::Right } else { End::Left });
    let gone = list.is_empty();
    drop(list);
    if removed > 0 {
        tell_removed(call, key, LREM_EVENT, removed, gone);
    }
    call.reply.len_of(removed);
    Ok(())
}

pub const LTRIM: DataCommand = Command::new(
    ltrim,
    Spec {
        name: "ltrim",
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::DELETE))],
        complexity: "O(N) for N elements that are removed.",
        summary: "Removes the elements outside a range from a list.",
        syntax: "key start stop",
        ..EDIT
    },
);

fn ltrim(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (start, stop) = (call.args.int(2)?, call.args.int(3)?);
    let key = call.arg(1);
    let Some(mut list) = ks.write_typed::<List>(key, call)? else {
        call.reply.ok();
        return Ok(());
    };
    let len = list.len();
    let (start, kept) = clip(start, stop, len);
    let behind = list.remove(start + kept, len);
    let front = list.remove(0, start);
    let gone = list.is_empty();
    drop(list);
    discard(behind, call);
    discard(front, call);
    tell_removed(call, key, LTRIM_EVENT, len - kept, gone);
    call.reply.ok();
    Ok(())
}
