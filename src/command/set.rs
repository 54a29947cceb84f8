//! Set commands.
//!
//! *Duty:* the family's table, and what its files share: how members are answered, how several sets are read at once,
//! how a result is stored. *Does not know:* the forms of a set (`value::set`).
//! *Invariants:* an emptied set is no key: the loan that emptied it takes the key out, the command raises the event.
//! *Reading order:* `members` (one key), `random`, `algebra` (several keys), `scan`.
//! *Counterpart in C Redis:* the command half of `t_set.c`.

use super::spec::*;
use crate::call::{Call, Class, CmdError, Event};
use crate::ds::element::Elem;
use crate::keyspace::{EntryRef, Expire, Keyspace, New, Taken, View, discard, event};
use crate::resp::ReplyBuf;
use crate::value::{Set, SetRef, Typed, ValueRef};

mod algebra;
mod members;
mod random;
mod scan;

pub const COMMANDS: &[DataCommand] = &[
    members::SADD,
    members::SCARD,
    algebra::SDIFF,
    algebra::SDIFFSTORE,
    algebra::SINTER,
    algebra::SINTERCARD,
    algebra::SINTERSTORE,
    members::SISMEMBER,
    members::SMEMBERS,
    members::SMISMEMBER,
    members::SMOVE,
    random::SPOP,
    random::SRANDMEMBER,
    members::SREM,
    scan::SSCAN,
    algebra::SUNION,
    algebra::SUNIONSTORE,
];

/// What the rows of this family have in common.
const SET_SPEC: Spec = Spec { acl: Categories::SET, group: Group::Set, ..Spec::BASE };

/// The keys of a command that reads one set.
const READ_KEY: &[KeySpec] = &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))];

const ADDED: Event = Event::new(Class::SET, "sadd");
const REMOVED: Event = Event::new(Class::SET, "srem");
const POPPED: Event = Event::new(Class::SET, "spop");

#[inline]
fn reply_member(reply: &mut ReplyBuf, member: Elem<'_>) {
    match member {
        Elem::Int(value) => reply.bulk_int(value),
        Elem::Str(text) => reply.bulk(text),
    }
}

/// All members, as a set.
fn reply_set(reply: &mut ReplyBuf, set: SetRef<'_>) {
    reply.set(set.len());
    set.iter().for_each(|member| reply_member(reply, member));
}

/// The sets behind several keys at once, `None` where there is no key. Each key is looked up as one that is read
/// before any of the sets is lent.
fn read_sets<'a>(
    ks: &'a mut Keyspace,
    keys: impl Iterator<Item = &'a [u8]> + Clone,
    call: &mut Call<'_>,
) -> Result<Vec<Option<SetRef<'a>>>, CmdError> {
    let mut visible = Vec::new();
    for key in keys.clone() {
        visible.push(ks.read_typed::<Set>(key, call)?.is_some());
    }
    let entries = &ks.db(call.db()).entries;
    let lend = |key: &[u8]| match entries.get(entries.hash(key), key).map(EntryRef::view) {
        Some(View::Object(ValueRef::Set(set))) => Some(set),
        _ => None,
    };
    Ok(keys.zip(visible).map(|(key, visible)| if visible { lend(key) } else { None }).collect())
}

/// Puts a result into `target` and replies with its size; an empty one is no key.
fn store(ks: &mut Keyspace, call: &mut Call<'_>, target: &[u8], result: Set, stored: Event) {
    call.reply.len_of(result.len());
    if !result.is_empty() {
        ks.set(target, New::Object(Box::new(result.into_value())), Expire::Clear, call);
        call.modified(target, stored, 1);
    } else if ks.delete(target, call) {
        call.modified(target, event::DEL, 1);
    }
}

/// Frees a set that no key holds any more.
fn drop_set(set: Set, call: &mut Call<'_>) {
    discard(Taken::Object(Box::new(set.into_value())), true, call.fx);
}
