//! Hash commands.
//!
//! *Duty:* the family's table, and what its files share: the events, how a field or value is replied, and that fields
//! whose time has passed are not there: who reads does not see them, who changes fields takes those he names out first.
//! *Does not know:* in which form a hash is or where it lies; see [`Hash`](crate::value::Hash).
//! *Invariants:* a command either refuses before it has changed or written anything, or it succeeds.
//! *Reading order:* `get`, `set`, `incr`, `random`, `scan`; then deadlines of fields: `fields` (the arguments), `expire`,
//! `ttl`, `extended`. *Counterpart in C Redis:* the second half of `t_hash.c`.

use super::spec::*;
use crate::call::{Call, Class, CmdError, Event};
use crate::ds::element::Elem;
use crate::keyspace::{Keyspace, Typing, event};
use crate::resp::ReplyBuf;
use crate::value::{Hash, HashRef};

mod expire;
mod extended;
mod fields;
mod get;
mod incr;
mod random;
mod scan;
mod set;
mod ttl;

#[rustfmt::skip]
pub const COMMANDS: &[DataCommand] = &[
    set::HDEL, get::HEXISTS, expire::HEXPIRE, expire::HEXPIREAT, ttl::HEXPIRETIME, get::HGET, get::HGETALL,
    extended::HGETDEL, extended::HGETEX, incr::HINCRBY, incr::HINCRBYFLOAT, get::HKEYS, get::HLEN, get::HMGET,
    set::HMSET, ttl::HPERSIST, expire::HPEXPIRE, expire::HPEXPIREAT, ttl::HPEXPIRETIME, ttl::HPTTL,
    random::HRANDFIELD, scan::HSCAN, set::HSET, extended::HSETEX, set::HSETNX, get::HSTRLEN, ttl::HTTL, get::HVALS,
];

/// What the rows of this family have in common.
const HASH_SPEC: Spec =
    Spec { acl: Categories::HASH, group: Group::Hash, since: "2.0.0", complexity: "O(1)", ..Spec::BASE };

const SET_EVENT: Event = Event::new(Class::HASH, "hset");
const REMOVED: Event = Event::new(Class::HASH, "hdel");
const EXPIRES: Event = Event::new(Class::HASH, "hexpire");
const PERSISTED: Event = Event::new(Class::HASH, "hpersist");

/// The hash of the key that was named first, as it is now.
fn read<'k>(ks: &'k mut Keyspace, call: &mut Call<'_>) -> Result<Option<HashRef<'k>>, CmdError> {
    let now = Keyspace::field_clock(call);
    Ok(ks.read_typed::<Hash>(call.arg(1), call)?.map(|hash| hash.at(now)))
}

/// Takes out those of `fields` whose time has passed, with the operation and the event that belong to it.
fn drop_overdue<'f>(
    hash: &mut Typing<'_, Hash>,
    key: &[u8],
    fields: impl Iterator<Item = &'f [u8]>,
    call: &mut Call<'_>,
) {
    let now = Keyspace::field_clock(call);
    if !hash.as_ref().deadlines().is_some_and(|deadlines| deadlines.is_due(now)) {
        return;
    }
    let mut any = false;
    for field in fields {
        if hash.remove_overdue(field, now) {
            call.fx.also(call.caller.db, &[b"HDEL", key, field]);
            call.fx.counts.expired_fields += 1;
            any = true;
        }
    }
    if any {
        call.modified(key, event::FIELD_EXPIRED, 0);
    }
}

fn reply_elem(reply: &mut ReplyBuf, elem: Elem<'_>) {
    match elem {
        Elem::Int(i) => reply.bulk_int(i),
        Elem::Str(text) => reply.bulk(text),
    }
}
