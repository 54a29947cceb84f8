//! ZRANGE and all that it replaces, ZRANGESTORE, ZCOUNT, ZLEXCOUNT.
//!
//! *Duty:* one parser for the options of all forms; a range becomes ranks, which are handed out or counted.
//! *Counterpart in C Redis:* `zrangeGenericCommand`.

use super::bounds::{Bounds, By};
use super::store::store;
use super::{BASE, event, pair, pairs_head, text};
use crate::call::{Args, Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::ds::element::TextBuf;
use crate::keyspace::Keyspace;
use crate::value::{Zset, ZsetRef};

const READING: Spec = Spec {
    arity: -4,
    flags: READONLY,
    keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
    complexity: "O(log(N)+M) with N members in the set and M of them returned.",
    ..BASE
};

pub const ZRANGE: DataCommand = Command::new(
    |ks, call| range(ks, call, Form::FREE),
    Spec {
        name: "zrange",
        since: "1.2.0",
        summary: "Returns the members of a range of ranks, scores or names.",
        syntax: "key start:string stop:string [<BYSCORE|BYLEX>@6.2.0] [REV@6.2.0] [LIMIT@6.2.0 offset count] [WITHSCORES]",
        history: &[("6.2.0", "Options `REV`, `BYSCORE`, `BYLEX` and `LIMIT`.")],
        ..READING
    },
);

pub const ZREVRANGE: DataCommand = Command::new(
    |ks, call| range(ks, call, Form { by: Some(By::Rank), reverse: Some(true) }),
    Spec {
        name: "zrevrange",
        since: "1.2.0",
        summary: "Returns the members of a range of ranks, the highest score first.",
        syntax: "key start stop [WITHSCORES]",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` argument")),
        ..READING
    },
);

pub const ZRANGEBYSCORE: DataCommand = Command::new(
    |ks, call| range(ks, call, Form { by: Some(By::Score), reverse: Some(false) }),
    Spec {
        name: "zrangebyscore",
        since: "1.0.5",
        summary: "Returns the members of a range of scores.",
        syntax: "key min max [WITHSCORES@2.0.0] [LIMIT offset count]",
        history: &[("2.0.0", "Option `WITHSCORES`.")],
        deprecated: Some(("6.2.0", "`ZRANGE` with the `BYSCORE` argument")),
        ..READING
    },
);

pub const ZREVRANGEBYSCORE: DataCommand = Command::new(
    |ks, call| range(ks, call, Form { by: Some(By::Score), reverse: Some(true) }),
    Spec {
        name: "zrevrangebyscore",
        since: "2.2.0",
        summary: "Returns the members of a range of scores, the highest first.",
        syntax: "key max min [WITHSCORES] [LIMIT offset count]",
        history: &[("2.1.6", "Bounds that are not included.")],
        deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments")),
        ..READING
    },
);

pub const ZRANGEBYLEX: DataCommand = Command::new(
    |ks, call| range(ks, call, Form { by: Some(By::Lex), reverse: Some(false) }),
    Spec {
        name: "zrangebylex",
        since: "2.8.9",
        summary: "Returns the members of a range of names.",
        syntax: "key min:string max:string [LIMIT offset count]",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `BYLEX` argument")),
        ..READING
    },
);

pub const ZREVRANGEBYLEX: DataCommand = Command::new(
    |ks, call| range(ks, call, Form { by: Some(By::Lex), reverse: Some(true) }),
    Spec {
        name: "zrevrangebylex",
        since: "2.8.9",
        summary: "Returns the members of a range of names, the last first.",
        syntax: "key max:string min:string [LIMIT offset count]",
        deprecated: Some(("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments")),
        ..READING
    },
);

pub const ZRANGESTORE: DataCommand = Command::new(
    range_store,
    Spec {
        name: "zrangestore",
        arity: -5,
        flags: WRITE.or(DENYOOM),
        keys: &[KeySpec::one(1, KeyFlags::OW.or(KeyFlags::UPDATE)), KeySpec::one(2, KeyFlags::RO.or(KeyFlags::ACCESS))],
        since: "6.2.0",
        complexity: "O(log(N)+M) with N members in the set and M of them stored.",
        summary: "Stores the members of a range of ranks, scores or names as a new sorted set.",
        syntax: "dst src min:string max:string [<BYSCORE|BYLEX>] [REV] [LIMIT offset count]",
        ..BASE
    },
);

const COUNTING: Spec = Spec { arity: 4, flags: READONLY.or(FAST), complexity: "O(log(N))", ..READING };

pub const ZCOUNT: DataCommand = Command::new(
    |ks, call| count(ks, call, By::Score),
    Spec {
        name: "zcount",
        since: "2.0.0",
        summary: "Counts the members of a range of scores.",
        syntax: "key min max",
        ..COUNTING
    },
);

pub const ZLEXCOUNT: DataCommand = Command::new(
    |ks, call| count(ks, call, By::Lex),
    Spec {
        name: "zlexcount",
        since: "2.8.9",
        summary: "Counts the members of a range of names.",
        syntax: "key min:string max:string",
        ..COUNTING
    },
);

/// What the command's name says already, and no option may say.
#[derive(Clone, Copy)]
struct Form {
    by: Option<By>,
    reverse: Option<bool>,
}

impl Form {
    const FREE: Form = Form { by: None, reverse: None };
}

/// A range as the request asks for it.
struct Query<'a> {
    bounds: Bounds<'a>,
    reverse: bool,
    with_scores: bool,
    offset: i64,
    /// Below zero: all.
    limit: i64,
}

impl<'a> Query<'a> {
    /// Reads the bounds, which stand at `at`, and the options behind them.
    fn parse(args: Args<'a>, at: usize, form: Form, storing: bool) -> Result<Query<'a>, CmdError> {
        let Form { mut by, mut reverse } = form;
        let (mut with_scores, mut offset, mut limit) = (false, 0, -1);
        let mut i = at + 2;
        while i < args.len() {
            if !storing && args.is(i, "WITHSCORES") {
                with_scores = true;
            } else if args.is(i, "LIMIT") && i + 2 < args.len() {
                (offset, limit) = (args.int(i + 1)?, args.int(i + 2)?);
                i += 2;
            } else if reverse.is_none() && args.is(i, "REV") {
                reverse = Some(true);
            } else if by.is_none() && args.is(i, "BYLEX") {
                by = Some(By::Lex);
            } else if by.is_none() && args.is(i, "BYSCORE") {
                by = Some(By::Score);
            } else {
                return Err(CmdError::Syntax);
            }
            i += 1;
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(CmdError::Fixed(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Lex {
            return Err(CmdError::Fixed("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        let bounds = Bounds::parse(args, at, by, reverse)?;
        Ok(Query { bounds, reverse, with_scores, offset, limit })
    }

    /// The ranks of the answer, counted from the lowest score.
    fn ranks(&self, zset: ZsetRef<'_>) -> std::ops::Range<usize> {
        let all = self.bounds.ranks(zset, self.reverse);
        if let Bounds::Rank(..) = self.bounds {
            return all;
        }
        let Some(offset) = usize::try_from(self.offset).ok().filter(|&offset| offset < all.len()) else {
            return 0..0;
        };
        let left = all.len() - offset;
        let taken = usize::try_from(self.limit).map_or(left, |limit| limit.min(left));
        if self.reverse {
            all.end - offset - taken..all.end - offset
        } else {
            all.start + offset..all.start + offset + taken
        }
    }
}

fn range(ks: &mut Keyspace, call: &mut Call<'_>, form: Form) -> CmdResult {
    let query = Query::parse(call.args, 2, form, false)?;
    let Some(zset) = ks.read_typed::<Zset>(call.arg(1), call)? else {
        call.reply.array(0);
        return Ok(());
    };
    let items = zset.range(query.ranks(zset), query.reverse);
    pairs_head(call.reply, items.len(), query.with_scores);
    for (member, score) in items {
        pair(call.reply, member, score, query.with_scores);
    }
    Ok(())
}

fn range_store(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let query = Query::parse(call.args, 3, Form::FREE, true)?;
    let limits = ks.settings.limits;
    let mut result = Zset::new();
    if let Some(zset) = ks.read_typed::<Zset>(call.arg(2), call)? {
        let items = zset.range(query.ranks(zset), query.reverse);
        // As in the reference, only a range of ranks is counted beforehand. The order and the form on the way show in
        // scores of -0: what passes through the small form becomes 0.
        if let Bounds::Rank(..) = query.bounds {
            result = Zset::sized(items.len(), 0, &limits);
        }
        for (member, score) in items {
            result.insert(text(member, &mut TextBuf::default()), score, &limits);
        }
    }
    store(ks, call, call.arg(1), result, event("zrangestore"), 1);
    Ok(())
}

fn count(ks: &mut Keyspace, call: &mut Call<'_>, by: By) -> CmdResult {
    let bounds = Bounds::parse(call.args, 2, by, false)?;
    let zset = ks.read_typed::<Zset>(call.arg(1), call)?;
    call.reply.len_of(zset.map_or(0, |zset| bounds.ranks(zset, false).len()));
    Ok(())
}
