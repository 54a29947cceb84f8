//! ZRANDMEMBER.
//!
//! *Duty:* members drawn with equal chances, by drawing ranks: one, some different ones, or (with a negative count)
//! some that may repeat. *Counterpart in C Redis:* `zrandmemberCommand`.

use std::collections::BTreeSet;

use super::{BASE, bulk, pair, pairs_head};
use crate::base::rng::Rng;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::keyspace::Keyspace;
use crate::resp::ReplyBuf;
use crate::value::{Zset, ZsetRef};

pub const ZRANDMEMBER: DataCommand = Command::new(
    random_member,
    Spec {
        name: "zrandmember",
        arity: -2,
        flags: READONLY,
        keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
        since: "6.2.0",
        complexity: "O(N*log(M)) for N members drawn from M.",
        summary: "Returns members of a sorted set, drawn at random.",
        syntax: "key [count [WITHSCORES]]:options",
        tips: &["nondeterministic_output"],
        ..BASE
    },
);

/// If at most so many times the members wanted are there, all are walked through instead of drawing ranks.
const WALK_BELOW: usize = 3;

fn random_member(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let count = if call.args.len() > 2 { Some(parse_count(call)?) } else { None };
    let mut rng = ks.rng.clone();
    match (ks.read_typed::<Zset>(call.arg(1), call)?, count) {
        (None, None) => call.reply.null(),
        (None, Some(_)) | (_, Some((0, _))) => call.reply.array(0),
        (Some(zset), None) => {
            let (member, _) = zset.random(&mut rng).expect("a sorted set is never empty");
            bulk(call.reply, member);
        }
        (Some(zset), Some((count, with_scores))) => {
            let wanted = count.unsigned_abs() as usize;
            if count < 0 {
                pairs_head(call.reply, wanted, with_scores);
                repeating(zset, wanted, &mut rng, call.reply, with_scores);
            } else {
                pairs_head(call.reply, wanted.min(zset.len()), with_scores);
                different(zset, wanted, &mut rng, call.reply, with_scores);
            }
        }
    }
    ks.rng = rng;
    Ok(())
}

/// The count, and whether scores are asked for too.
fn parse_count(call: &Call<'_>) -> Result<(i64, bool), CmdError> {
    let count = call.args.int(2)?;
    if count == i64::MIN {
        let limits = format!("ERR value is out of range, value must between {} and {}", -i64::MAX, i64::MAX);
        return Err(CmdError::text(limits));
    }
    match call.args.len() {
        3 => Ok((count, false)),
        4 if !call.args.is(3, "WITHSCORES") => Err(CmdError::Syntax),
        4 if count.unsigned_abs() > i64::MAX as u64 / 2 => Err(CmdError::OutOfRange),
        4 => Ok((count, true)),
        _ => Err(CmdError::Syntax),
    }
}

fn repeating(zset: ZsetRef<'_>, wanted: usize, rng: &mut Rng, reply: &mut ReplyBuf, with_scores: bool) {
    if let ZsetRef::Packed(_) = zset {
        let all: Vec<_> = zset.iter().collect();
        let mut draws = 0;
        while draws < wanted && !reply.is_full() {
            let (member, score) = all[rng.index(all.len())];
            pair(reply, member, score, with_scores);
            draws += 1;
        }
        return;
    }
    for _ in 0..wanted {
        if reply.is_full() {
            return;
        }
        let (member, score) = zset.random(rng).expect("a sorted set is never empty");
        pair(reply, member, score, with_scores);
    }
}

fn different(zset: ZsetRef<'_>, wanted: usize, rng: &mut Rng, reply: &mut ReplyBuf, with_scores: bool) {
    let len = zset.len();
    if wanted >= len {
        zset.range(0..len, true).for_each(|(member, score)| pair(reply, member, score, with_scores));
        return;
    }
    if wanted.saturating_mul(WALK_BELOW) > len || matches!(zset, ZsetRef::Packed(_)) {
        // Each is taken with the chance (still wanted) : (still to come), which makes all choices equally likely.
        let mut missing = wanted;
        for ((member, score), to_come) in zset.iter().zip((1..=len).rev()) {
            if rng.index(to_come) < missing {
                pair(reply, member, score, with_scores);
                missing -= 1;
            }
        }
        return;
    }
    let mut ranks = BTreeSet::new();
    while ranks.len() < wanted {
        let rank = rng.index(len);
        if ranks.insert(rank) {
            let (member, score) = zset.range(rank..rank + 1, false).next().expect("the rank is below the length");
            pair(reply, member, score, with_scores);
        }
    }
}
