//! ZCARD, ZSCORE, ZMSCORE, ZRANK, ZREVRANK, ZSCAN.
//!
//! *Counterpart in C Redis:* the commands of these names in `t_zset.c`.

use super::{BASE, bulk};
use crate::base::float;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::scanning::{self, Filter};
use crate::command::spec::*;
use crate::keyspace::Keyspace;
use crate::value::{Zset, ZsetRef};

const READING: Spec = Spec {
    flags: READONLY.or(FAST),
    keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
    complexity: "O(1)",
    ..BASE
};

pub const ZCARD: DataCommand = Command::new(
    card,
    Spec {
        name: "zcard",
        arity: 2,
        keys: &[KeySpec::one(1, KeyFlags::RO)],
        since: "1.2.0",
        summary: "Tells how many members a sorted set has.",
        syntax: "key",
        ..READING
    },
);

pub const ZSCORE: DataCommand = Command::new(
    score,
    Spec {
        name: "zscore",
        arity: 3,
        since: "1.2.0",
        summary: "Tells the score of a member.",
        syntax: "key member",
        ..READING
    },
);

pub const ZMSCORE: DataCommand = Command::new(
    scores,
    Spec {
        name: "zmscore",
        arity: -3,
        since: "6.2.0",
        complexity: "O(N) for N members asked for.",
        summary: "Tells the scores of several members.",
        syntax: "key member [member ...]",
        ..READING
    },
);

const RANKING: Spec = Spec {
    arity: -3,
    since: "2.0.0",
    complexity: "O(log(N))",
    syntax: "key member [WITHSCORE@7.2.0]",
    history: &[("7.2.0", "Option `WITHSCORE`.")],
    ..READING
};

pub const ZRANK: DataCommand = Command::new(
    |ks, call| rank(ks, call, "zrank", false),
    Spec { name: "zrank", summary: "Tells how many members have a lower score than this one.", ..RANKING },
);

pub const ZREVRANK: DataCommand = Command::new(
    |ks, call| rank(ks, call, "zrevrank", true),
    Spec { name: "zrevrank", summary: "Tells how many members have a higher score than this one.", ..RANKING },
);

pub const ZSCAN: DataCommand = Command::new(
    scan,
    Spec {
        name: "zscan",
        arity: -3,
        flags: READONLY,
        since: "2.8.0",
        complexity: "O(1) for a call; O(N) for all the calls that visit N members.",
        summary: "Walks through the members of a sorted set, some at each call.",
        syntax: "key cursor [MATCH pattern] [COUNT count] [NOSCORES]",
        tips: &["nondeterministic_output"],
        ..READING
    },
);

fn card(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let len = ks.read_typed::<Zset>(call.arg(1), call)?.map_or(0, ZsetRef::len);
    call.reply.len_of(len);
    Ok(())
}

fn score(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    match ks.read_typed::<Zset>(call.arg(1), call)?.and_then(|zset| zset.score(call.arg(2))) {
        Some(score) => call.reply.double(score),
        None => call.reply.null(),
    }
    Ok(())
}

fn scores(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let zset = ks.read_typed::<Zset>(call.arg(1), call)?;
    let members = call.args.from(2);
    call.reply.array(members.len());
    for member in members {
        match zset.and_then(|zset| zset.score(member)) {
            Some(score) => call.reply.double(score),
            None => call.reply.null(),
        }
    }
    Ok(())
}

fn rank(ks: &mut Keyspace, call: &mut Call<'_>, name: &'static str, reverse: bool) -> CmdResult {
    let with_score = match call.args.len() {
        3 => false,
        4 if call.args.is(3, "WITHSCORE") => true,
        4 => return Err(CmdError::Syntax),
        _ => return Err(CmdError::Arity(name.into())),
    };
    let zset = ks.read_typed::<Zset>(call.arg(1), call)?;
    let found = zset.and_then(|zset| zset.rank(call.arg(2)).map(|(rank, score)| (zset.len(), rank, score)));
    let Some((len, rank, score)) = found else {
        if with_score {
            call.reply.null_array();
        } else {
            call.reply.null();
        }
        return Ok(());
    };
    if with_score {
        call.reply.array(2);
    }
    call.reply.len_of(if reverse { len - 1 - rank } else { rank });
    if with_score {
        call.reply.double(score);
    }
    Ok(())
}

fn scan(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let cursor = scanning::parse_cursor(call.arg(2))?;
    let Some(zset) = ks.read_typed::<Zset>(call.arg(1), call)? else {
        scanning::reply_nothing(call.reply);
        return Ok(());
    };
    let filter = Filter::parse_of_collection(call, Some("NOSCORES"))?;
    let mut kept = Vec::new();
    let next = filter.walk(cursor, 2, |cursor, visited| {
        zset.scan(cursor, |member, score| {
            *visited += 1;
            if filter.matches_elem(member) {
                kept.push((member, score));
            }
        })
    });
    scanning::reply_head(call.reply, next, if filter.names_only { 1 } else { 2 } * kept.len());
    let mut text = Vec::new();
    for (member, score) in kept {
        bulk(call.reply, member);
        if filter.names_only {
            continue;
        }
        text.clear();
        // Quirk: scores are strings here, in RESP3 too, and large whole ones read differently in a small set.
        match zset {
            ZsetRef::Packed(_) => float::write_f64_stored(&mut text, score),
            ZsetRef::Ranked(_) => float::write_f64(&mut text, score),
        }
        call.reply.bulk(&text);
    }
    Ok(())
}
