//! ZADD and ZINCRBY.
//!
//! *Counterpart in C Redis:* `zaddGenericCommand`, `zsetAdd`.

use super::{BASE, event, score_arg};
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::keyspace::Keyspace;
use crate::value::Zset;

pub const ZADD: DataCommand = Command::new(
    |ks, call| add(ks, call, false),
    Spec {
        name: "zadd",
        arity: -4,
        flags: WRITE.or(DENYOOM).or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::UPDATE))],
        since: "1.2.0",
        complexity: "O(log(N)) for each member, N being the size of the set.",
        summary: "Adds members to a sorted set or changes their scores, making the set if there is none.",
        syntax: "key [<NX|XX>@3.0.2] [<GT|LT>@6.2.0] [CH:change@3.0.2] [INCR:increment@3.0.2] score member [score member ...]",
        history: &[
            ("2.4.0", "Takes several members."),
            ("3.0.2", "Options `XX`, `NX`, `CH` and `INCR`."),
            ("6.2.0", "Options `GT` and `LT`."),
        ],
        ..BASE
    },
);

pub const ZINCRBY: DataCommand = Command::new(
    |ks, call| add(ks, call, true),
    Spec {
        name: "zincrby",
        arity: 4,
        flags: WRITE.or(DENYOOM).or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS.or(KeyFlags::UPDATE)))],
        since: "1.2.0",
        complexity: "O(log(N)), N being the size of the set.",
        summary: "Adds to the score of a member.",
        syntax: "key increment member",
        ..BASE
    },
);

#[derive(Default)]
pub(in crate::command) struct Options {
    pub nx: bool,
    pub xx: bool,
    gt: bool,
    lt: bool,
    pub ch: bool,
    incr: bool,
    /// Where the first score stands.
    first: usize,
}

impl Options {
    /// Quirk: ZINCRBY reads options too; as it has only three arguments, an option leaves it without a pair.
    fn parse(call: &Call<'_>, incr: bool) -> Result<Options, CmdError> {
        let mut options = Options { incr, first: 2, ..Options::default() };
        while let Some(flag) = options.flag(call) {
            *flag = true;
            options.first += 1;
        }
        let rest = call.args.len() - options.first;
        if rest == 0 || rest % 2 == 1 {
            return Err(CmdError::Syntax);
        }
        let Options { nx, xx, gt, lt, incr, .. } = options;
        if nx && xx {
            return Err(CmdError::Fixed("ERR XX and NX options at the same time are not compatible"));
        }
        if nx && (gt || lt) || gt && lt {
            return Err(CmdError::Fixed("ERR GT, LT, and/or NX options at the same time are not compatible"));
        }
        if incr && rest > 2 {
            return Err(CmdError::Fixed("ERR INCR option supports a single increment-element pair"));
        }
        Ok(options)
    }

    fn flag(&mut self, call: &Call<'_>) -> Option<&mut bool> {
        let word = call.args.opt(self.first)?;
        // Scores are far more frequent than words.
        if !word.first().is_some_and(u8::is_ascii_alphabetic) {
            return None;
        }
        let flags = [
            ("nx", &mut self.nx),
            ("xx", &mut self.xx),
            ("ch", &mut self.ch),
            ("incr", &mut self.incr),
            ("gt", &mut self.gt),
            ("lt", &mut self.lt),
        ];
        flags.into_iter().find_map(|(name, flag)| word.eq_ignore_ascii_case(name.as_bytes()).then_some(flag))
    }

    /// The score that a member gets, if it gets one.
    #[inline]
    fn decide(&self, old: Option<f64>, given: f64) -> Option<f64> {
        let Some(old) = old else { return (!self.xx).then_some(given) };
        if self.nx {
            return None;
        }
        let new = if self.incr { old + given } else { given };
        let held = self.lt && new >= old || self.gt && new <= old;
        (!held).then_some(new)
    }
}

/// What became of the members.
#[derive(Default)]
struct Done {
    added: u64,
    updated: u64,
    /// The score of the last one that the options let through.
    score: Option<f64>,
}

fn add(ks: &mut Keyspace, call: &mut Call<'_>, incr: bool) -> CmdResult {
    let options = Options::parse(call, incr)?;
    // All scores are read before anything is changed.
    for at in (options.first..call.args.len()).step_by(2) {
        score_arg(call.arg(at))?;
    }
    let args = call.args;
    let pairs = (options.first..args.len()).step_by(2).map(|at| {
        let score = score_arg(args.get(at)).expect("it was read before");
        (score, args.get(at + 1))
    });
    add_pairs(ks, call, &options, pairs).map(|_| ())
}

/// Adds members with their scores, answers, and tells. Returns whether anything changed.
pub(in crate::command) fn add_pairs<'a>(
    ks: &mut Keyspace,
    call: &mut Call<'_>,
    options: &Options,
    pairs: impl Iterator<Item = (f64, &'a [u8])>,
) -> Result<bool, CmdError> {
    let done = apply(ks, call, options, pairs)?;
    let changes = done.added + done.updated;
    match done.score {
        _ if !options.incr => call.reply.len_of(if options.ch { changes } else { done.added } as usize),
        Some(score) => call.reply.double(score),
        None => call.reply.null(),
    }
    if changes > 0 {
        call.modified(call.arg(1), event(if options.incr { "zincr" } else { "zadd" }), changes);
    }
    Ok(changes > 0)
}

fn apply<'a>(
    ks: &mut Keyspace,
    call: &mut Call<'_>,
    options: &Options,
    pairs: impl Iterator<Item = (f64, &'a [u8])>,
) -> Result<Done, CmdError> {
    let (key, limits) = (call.arg(1), ks.settings.limits);
    let mut done = Done::default();
    let mut zset = if options.xx {
        match ks.write_typed::<Zset>(key, call)? {
            Some(zset) => zset,
            None => return Ok(done),
        }
    } else {
        ks.write_or_create::<Zset>(key, call)?
    };
    for (given, member) in pairs {
        let (mut nan, mut asked) = (false, None);
        let (old, new) = zset.update(member, &limits, |old| {
            let new = options.decide(old, given)?;
            nan = new.is_nan();
            asked = Some(new);
            // An equal score is the one that stays: 0 does not take the place of -0, though the answer is 0.
            (!nan).then_some(old.filter(|old| *old == new).unwrap_or(new))
        });
        if nan {
            return Err(CmdError::Fixed("ERR resulting score is not a number (NaN)"));
        }
        let Some(score) = new else { continue };
        done.added += old.is_none() as u64;
        done.updated += old.is_some_and(|old| old != score) as u64;
        done.score = asked;
    }
    Ok(done)
}
