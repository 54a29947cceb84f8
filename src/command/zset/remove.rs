//! ZREM, ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX.
//!
//! *Counterpart in C Redis:* `zremCommand`, `zremrangeGenericCommand`.

use super::bounds::{Bounds, By};
use super::{BASE, event};
use crate::call::{Call, CmdResult};
use crate::command::spec::*;
use crate::keyspace::{Keyspace, event as key_event};
use crate::value::Zset;

const REMOVING: Spec = Spec {
    arity: 4,
    flags: WRITE,
    keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::DELETE))],
    complexity: "O(log(N)+M) with N members in the set and M of them removed.",
    syntax: "key min max",
    ..BASE
};

pub const ZREM: DataCommand = Command::new(
    remove,
    Spec {
        name: "zrem",
        arity: -3,
        flags: WRITE.or(FAST),
        since: "1.2.0",
        complexity: "O(M*log(N)) with N members in the set and M to be removed.",
        summary: "Takes members out of a sorted set.",
        syntax: "key member [member ...]",
        history: &[("2.4.0", "Takes several members.")],
        ..REMOVING
    },
);

pub const ZREMRANGEBYLEX: DataCommand = Command::new(
    |ks, call| remove_range(ks, call, By::Lex, "zremrangebylex"),
    Spec {
        name: "zremrangebylex",
        since: "2.8.9",
        summary: "Takes the members of a range of names out of a sorted set.",
        syntax: "key min:string max:string",
        ..REMOVING
    },
);

pub const ZREMRANGEBYRANK: DataCommand = Command::new(
    |ks, call| remove_range(ks, call, By::Rank, "zremrangebyrank"),
    Spec {
        name: "zremrangebyrank",
        since: "2.0.0",
        summary: "Takes the members of a range of ranks out of a sorted set.",
        syntax: "key start stop",
        ..REMOVING
    },
);

pub const ZREMRANGEBYSCORE: DataCommand = Command::new(
    |ks, call| remove_range(ks, call, By::Score, "zremrangebyscore"),
    Spec {
        name: "zremrangebyscore",
        since: "1.2.0",
        summary: "Takes the members of a range of scores out of a sorted set.",
        ..REMOVING
    },
);

fn remove(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let key = call.arg(1);
    let (mut removed, mut emptied) = (0, false);
    if let Some(mut zset) = ks.write_typed::<Zset>(key, call)? {
        for member in call.args.from(2) {
            removed += zset.remove(member).is_some() as u64;
            emptied = zset.is_empty();
            if emptied {
                break;
            }
        }
    }
    call.reply.len_of(removed as usize);
    tell(call, key, "zrem", removed, emptied);
    Ok(())
}

fn remove_range(ks: &mut Keyspace, call: &mut Call<'_>, by: By, name: &'static str) -> CmdResult {
    let (key, bounds) = (call.arg(1), Bounds::parse(call.args, 2, by, false)?);
    let (mut removed, mut emptied) = (0, false);
    if let Some(mut zset) = ks.write_typed::<Zset>(key, call)? {
        let ranks = bounds.ranks(zset.as_ref(), false);
        removed = ranks.len() as u64;
        emptied = ranks.len() == zset.len();
        if !emptied && removed > 0 {
            zset.remove_range(ranks, |_, _| ());
        }
    }
    // The whole of a set is freed as a key is: in the background, if it is big.
    if emptied {
        ks.delete(key, call);
    }
    call.reply.len_of(removed as usize);
    tell(call, key, name, removed, emptied);
    Ok(())
}

fn tell(call: &mut Call<'_>, key: &[u8], name: &'static str, removed: u64, emptied: bool) {
    if removed > 0 {
        call.modified(key, event(name), removed);
        if emptied {
            call.notify(key, key_event::DEL);
        }
    }
}
