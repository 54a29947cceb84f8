//! Random members: SPOP, SRANDMEMBER.
//!
//! *Invariant:* what was drawn goes to the file and the replicas by name: SPOP as SREM for each member, or as DEL when
//! a count takes all. *Counterpart in C Redis:* `spopCommand`, `srandmemberCommand`.

use super::{POPPED, READ_KEY, SET_SPEC, drop_set, reply_member, reply_set};
use crate::base::num;
use crate::base::rng::Rng;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::ds::element::Elem;
use crate::keyspace::{Keyspace, Typing, event};
use crate::value::Set;

pub const SPOP: DataCommand = Command::new(
    spop,
    Spec {
        name: "spop",
        arity: -2,
        flags: WRITE.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::DELETE))],
        complexity: "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
        summary: "Takes random members out of a set.",
        syntax: "key [count@3.2.0]",
        tips: &["nondeterministic_output"],
        history: &[("3.2.0", "Added the `count` argument.")],
        ..SET_SPEC
    },
);

/// When this many times the members that stay are fewer than those that go, the ones that stay are drawn.
const STAY_FACTOR: usize = 5;

fn spop(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let count = match call.args.len() {
        2 => return spop_one(ks, call),
        3 => match num::parse_i64(call.arg(2)) {
            Some(count) if count >= 0 => count as usize,
            _ => return Err(CmdError::Fixed("ERR value is out of range, must be positive")),
        },
        _ => return Err(CmdError::Syntax),
    };
    let key = call.arg(1);
    let mut rng = Rng::new(ks.rng.next_u64());
    let limits = ks.settings.limits;
    let Some(mut set) = ks.write_typed::<Set>(key, call)?.filter(|_| count > 0) else {
        call.reply.set(0);
        return Ok(());
    };
    let len = set.len();
    if count >= len {
        reply_set(call.reply, set.as_ref());
        drop(set);
        ks.delete(key, call);
        call.modified(key, POPPED, len as u64);
        call.notify(key, event::DEL);
        call.replicate_as(&[b"DEL", key]);
        return Ok(());
    }
    call.reply.set(count);
    let left = len - count;
    if left * STAY_FACTOR > count {
        for _ in 0..count {
            pop_one(&mut set, &mut rng, key, call);
        }
        drop(set);
    } else {
        let mut staying = Set::default();
        for _ in 0..left {
            set.pop(&mut rng, |member| staying.insert_elem(member, &limits));
        }
        let going = std::mem::replace(&mut *set, staying);
        drop(set);
        going.as_ref().iter().for_each(|member| tell_popped(member, key, call));
        drop_set(going, call);
    }
    call.modified(key, POPPED, count as u64);
    Ok(())
}

fn spop_one(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let key = call.arg(1);
    let mut rng = Rng::new(ks.rng.next_u64());
    let Some(mut set) = ks.write_typed::<Set>(key, call)? else {
        call.reply.null();
        return Ok(());
    };
    pop_one(&mut set, &mut rng, key, call);
    let empty = set.is_empty();
    drop(set);
    call.modified(key, POPPED, 1);
    if empty {
        call.notify(key, event::DEL);
    }
    Ok(())
}

fn pop_one(set: &mut Typing<'_, Set>, rng: &mut Rng, key: &[u8], call: &mut Call<'_>) {
    set.pop(rng, |member| tell_popped(member, key, call)).expect("an empty set is no key");
}

/// Replies with a member that goes, and has it removed elsewhere.
fn tell_popped(member: Elem<'_>, key: &[u8], call: &mut Call<'_>) {
    reply_member(call.reply, member);
    call.replicate_as(&[b"SREM", key, member.text(&mut Default::default())]);
}

pub const SRANDMEMBER: DataCommand = Command::new(
    srandmember,
    Spec {
        name: "srandmember",
        arity: -2,
        flags: READONLY,
        keys: READ_KEY,
        complexity: "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
        summary: "Returns random members of a set.",
        syntax: "key [count@2.6.0]",
        tips: &["nondeterministic_output"],
        history: &[("2.6.0", "Added the optional `count` argument.")],
        ..SET_SPEC
    },
);

fn srandmember(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let count = match call.args.len() {
        2 => None,
        3 => match call.args.int(2)? {
            i64::MIN => {
                return Err(CmdError::Fixed(
                    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
                ));
            }
            count => Some(count),
        },
        _ => return Err(CmdError::Syntax),
    };
    let mut rng = Rng::new(ks.rng.next_u64());
    let set = ks.read_typed::<Set>(call.arg(1), call)?;
    let reply = &mut *call.reply;
    match (set, count) {
        (None, None) => reply.null(),
        (None, Some(_)) => reply.array(0),
        (Some(set), None) => reply_member(reply, set.random(&mut rng).expect("an empty set is no key")),
        (Some(set), Some(count)) if count < 0 => {
            let count = count.unsigned_abs() as usize;
            reply.array(count);
            for _ in 0..count {
                if reply.is_full() {
                    break;
                }
                reply_member(reply, set.random(&mut rng).expect("an empty set is no key"));
            }
        }
        (Some(set), Some(count)) => {
            let members = set.sample(count as usize, &mut rng);
            reply.array(members.len());
            members.into_iter().for_each(|member| reply_member(reply, member));
        }
    }
    Ok(())
}
