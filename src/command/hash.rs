//! Hash commands.
//!
//! *Duty:* the family's table, and what its files share: the events, how a field or value is replied.
//! *Does not know:* in which form a hash is or where it lies; see [`Hash`](crate::value::Hash).
//! *Invariants:* a command either refuses before it has changed or written anything, or it succeeds.
//! *Reading order:* `get`, `set`, `incr`, `random`, `scan`. *Counterpart in C Redis:* the second half of `t_hash.c`.

use super::spec::*;
use crate::call::{Class, Event};
use crate::ds::element::Elem;
use crate::resp::ReplyBuf;

mod get;
mod incr;
mod random;
mod scan;
mod set;

#[rustfmt::skip]
pub const COMMANDS: &[DataCommand] = &[
    set::HDEL, get::HEXISTS, get::HGET, get::HGETALL, incr::HINCRBY, incr::HINCRBYFLOAT, get::HKEYS, get::HLEN,
    get::HMGET, set::HMSET, random::HRANDFIELD, scan::HSCAN, set::HSET, set::HSETNX, get::HSTRLEN, get::HVALS,
];

/// What the rows of this family have in common.
const HASH_SPEC: Spec =
    Spec { acl: Categories::HASH, group: Group::Hash, since: "2.0.0", complexity: "O(1)", ..Spec::BASE };

const SET_EVENT: Event = Event::new(Class::HASH, "hset");

fn reply_elem(reply: &mut ReplyBuf, elem: Elem<'_>) {
    match elem {
        Elem::Int(i) => reply.bulk_int(i),
        Elem::Str(text) => reply.bulk(text),
    }
}
