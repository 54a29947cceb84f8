//! List commands.
//!
//! *Does not know:* who waits for a list; a push only says that the key was touched, and a blocking pop that finds
//! nothing only says what it wants to wait for.
//! *Reading order:* `ends` (push and pop), `look` (LLEN, LRANGE, LINDEX, LPOS), `edit` (inner elements), `transfer`
//! (from one list to another, blocking or not), `first_of` (the first of several lists, blocking or not).
//! *Counterpart in C Redis:* `t_list.c`.

mod edit;
mod ends;
mod first_of;
mod look;
mod transfer;

use super::spec::*;
use crate::call::{Call, Class, CmdError, Event, Garbage};
use crate::ds::element::Elem;
use crate::keyspace::event;
use crate::resp::ReplyBuf;
use crate::value::List;
use crate::value::list::{End, Removed};

#[rustfmt::skip]
pub const COMMANDS: &[DataCommand] = &[
    transfer::BLMOVE, first_of::BLMPOP, first_of::BLPOP, first_of::BRPOP, transfer::BRPOPLPUSH, look::LINDEX,
    edit::LINSERT, look::LLEN, transfer::LMOVE, first_of::LMPOP, ends::LPOP, look::LPOS, ends::LPUSH, ends::LPUSHX,
    look::LRANGE, edit::LREM, edit::LSET, edit::LTRIM, ends::RPOP, transfer::RPOPLPUSH, ends::RPUSH, ends::RPUSHX,
];

const fn pushed(end: End) -> Event {
    Event::new(Class::LIST, if matches!(end, End::Left) { "lpush" } else { "rpush" })
}

const fn popped(end: End) -> Event {
    Event::new(Class::LIST, if matches!(end, End::Left) { "lpop" } else { "rpop" })
}

/// The name of the command that pops at this end.
fn pop_name(end: End) -> &'static [u8] {
    if end == End::Left { b"LPOP" } else { b"RPOP" }
}

/// The argument at `i`: LEFT or RIGHT.
fn end_arg(call: &Call<'_>, i: usize) -> Result<End, CmdError> {
    if call.args.is(i, "LEFT") {
        Ok(End::Left)
    } else if call.args.is(i, "RIGHT") {
        Ok(End::Right)
    } else {
        Err(CmdError::Syntax)
    }
}

#[inline]
fn write_element(reply: &mut ReplyBuf, elem: Elem<'_>) {
    match elem {
        Elem::Str(text) => reply.bulk(text),
        Elem::Int(value) => reply.bulk_int(value),
    }
}

/// Where elements `start..=stop` begin and how many there are: indices below zero count from the end, and both are
/// cut to what there is.
fn clip(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let from_end = |i: i64| if i < 0 { i.saturating_add(len) } else { i };
    let start = from_end(start).max(0);
    let end = from_end(stop).min(len - 1);
    if start > end { (0, 0) } else { (start as usize, (end - start + 1) as usize) }
}

/// Takes elements off one end of a list and answers with them, the outermost first. Returns whether the list is empty
/// now.
fn pop_into_reply(list: &mut List, end: End, count: usize, reply: &mut ReplyBuf) -> bool {
    for _ in 0..count {
        list.pop(end, |elem| write_element(reply, elem));
    }
    list.is_empty()
}

/// What is told of a list that lost elements: the event, and the end of the key if it went with them.
fn tell_removed(call: &mut Call<'_>, key: &[u8], what: Event, changes: usize, gone: bool) {
    call.modified(key, what, changes as u64);
    if gone {
        call.notify(key, event::DEL);
    }
}

/// Freeing this many nodes takes too long for the loop.
const FREE_NODES: usize = 64;

/// Frees nodes here if they are few, else on the background thread.
fn discard(removed: Removed, call: &mut Call<'_>) {
    if removed.free_effort() > FREE_NODES {
        call.fx.garbage.push(Garbage { objects: 0, bytes: removed.memory(), what: Box::new(removed) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_what_there_is() {
        assert_eq!(clip(0, -1, 3), (0, 3));
        assert_eq!(clip(-2, 10, 3), (1, 2));
        assert_eq!(clip(1, 0, 3), (0, 0));
        assert_eq!(clip(5, 9, 3), (0, 0));
        assert_eq!(clip(-100, -3, 3), (0, 1));
        assert_eq!(clip(-100, -4, 3), (0, 0));
        assert_eq!(clip(i64::MIN, i64::MAX, 3), (0, 3));
        assert_eq!(clip(i64::MAX, i64::MIN, 3), (0, 0));
        assert_eq!(clip(0, 0, 0), (0, 0));
    }
}
