//! ZUNION, ZINTER, ZDIFF, their STORE forms, ZINTERCARD.
//!
//! *Duty:* several sets into one, with weights and an aggregate. *Does not know:* who calls for the result.
//! *Invariants:* inputs are read in the order of their sizes (but for ZDIFF), as sums of doubles depend on it.
//! *Counterpart in C Redis:* `zunionInterDiffGenericCommand`.

use super::store::store;
use super::{BASE, event, int_from, pair, pairs_head, text};
use crate::base::float;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::ds::element::TextBuf;
use crate::keyspace::{EntryRef, Keyspace, View};
use crate::value::{Limits, SetRef, ValueRef, Zset, ZsetRef};

const READING: Spec = Spec {
    arity: -3,
    flags: READONLY.or(MOVABLEKEYS),
    keys: &[KeySpec::numkeys(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
    since: "6.2.0",
    ..BASE
};

const STORING: Spec = Spec {
    arity: -4,
    flags: WRITE.or(DENYOOM).or(MOVABLEKEYS),
    keys: &[KeySpec::one(1, KeyFlags::OW.or(KeyFlags::UPDATE)), KeySpec::numkeys(2, KeyFlags::RO.or(KeyFlags::ACCESS))],
    since: "2.0.0",
    ..BASE
};

const UNION_COMPLEXITY: &str = "O(N)+O(M*log(M)) with N members in all inputs and M in the result.";
const INTER_COMPLEXITY: &str = "O(N*K)+O(M*log(M)) with N members in the smallest of K inputs and M in the result.";
const DIFF_COMPLEXITY: &str = "O(N*K)+O(M*log(M)) with N members in the first of K inputs and M in the result.";

pub const ZUNION: DataCommand = Command::new(
    |ks, call| reply_with(ks, call, Op::Union),
    Spec {
        name: "zunion",
        complexity: UNION_COMPLEXITY,
        summary: "Returns the members of any of several sorted sets.",
        syntax: "numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE <SUM|MIN|MAX>] [WITHSCORES]",
        ..READING
    },
);

pub const ZINTER: DataCommand = Command::new(
    |ks, call| reply_with(ks, call, Op::Inter),
    Spec {
        name: "zinter",
        complexity: INTER_COMPLEXITY,
        summary: "Returns the members that several sorted sets share.",
        syntax: "numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE <SUM|MIN|MAX>] [WITHSCORES]",
        ..READING
    },
);

pub const ZDIFF: DataCommand = Command::new(
    |ks, call| reply_with(ks, call, Op::Diff),
    Spec {
        name: "zdiff",
        complexity: DIFF_COMPLEXITY,
        summary: "Returns the members of a sorted set that are in none of several others.",
        syntax: "numkeys key [key ...] [WITHSCORES]",
        ..READING
    },
);

pub const ZUNIONSTORE: DataCommand = Command::new(
    |ks, call| store_result(ks, call, Op::Union),
    Spec {
        name: "zunionstore",
        complexity: UNION_COMPLEXITY,
        summary: "Stores the members of any of several sorted sets.",
        syntax: "destination numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE <SUM|MIN|MAX>]",
        ..STORING
    },
);

pub const ZINTERSTORE: DataCommand = Command::new(
    |ks, call| store_result(ks, call, Op::Inter),
    Spec {
        name: "zinterstore",
        complexity: INTER_COMPLEXITY,
        summary: "Stores the members that several sorted sets share.",
        syntax: "destination numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE <SUM|MIN|MAX>]",
        ..STORING
    },
);

pub const ZDIFFSTORE: DataCommand = Command::new(
    |ks, call| store_result(ks, call, Op::Diff),
    Spec {
        name: "zdiffstore",
        since: "6.2.0",
        complexity: DIFF_COMPLEXITY,
        summary: "Stores the members of a sorted set that are in none of several others.",
        syntax: "destination numkeys key [key ...]",
        ..STORING
    },
);

pub const ZINTERCARD: DataCommand = Command::new(
    inter_card,
    Spec {
        name: "zintercard",
        since: "7.0.0",
        complexity: "O(N*K) with N members in the smallest of K inputs.",
        summary: "Counts the members that several sorted sets share.",
        syntax: "numkeys key [key ...] [LIMIT limit]",
        ..READING
    },
);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Union,
    Inter,
    Diff,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn apply(self, present: f64, more: f64) -> f64 {
        match self {
            // Infinities of both signs add up to nothing.
            Aggregate::Sum => not_nan(present + more),
            Aggregate::Min if more < present => more,
            Aggregate::Max if more > present => more,
            Aggregate::Min | Aggregate::Max => present,
        }
    }
}

fn not_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// A request's inputs, found and of a type that fits.
struct Inputs<'a> {
    keys: Vec<&'a [u8]>,
    found: Vec<bool>,
    /// The first argument behind the keys.
    rest: usize,
}

impl<'a> Inputs<'a> {
    /// Reads how many keys there are from the argument at `at`, and looks each of them up.
    fn find(ks: &mut Keyspace, call: &mut Call<'a>, at: usize) -> Result<Inputs<'a>, CmdError> {
        let count = call.args.int(at)?;
        if count < 1 {
            let name = String::from_utf8_lossy(call.arg(0)).to_ascii_lowercase();
            let text = format!("ERR at least 1 input key is needed for '{name}' command");
            return Err(CmdError::text(text));
        }
        if count as usize > call.args.len() - (at + 1) {
            return Err(CmdError::Syntax);
        }
        let keys: Vec<&[u8]> = call.args.from(at + 1).take(count as usize).collect();
        let mut found = Vec::with_capacity(keys.len());
        for key in &keys {
            let entry = ks.read(key, call);
            if entry.is_some_and(|entry| Source::of(entry).is_none()) {
                return Err(CmdError::WrongType);
            }
            found.push(entry.is_some());
        }
        Ok(Inputs { rest: at + 1 + keys.len(), keys, found })
    }

    fn sources<'k>(&self, ks: &'k Keyspace, call: &Call<'_>, weights: &[f64]) -> Vec<Weighted<'k>> {
        let entries = &ks.db(call.db()).entries;
        let source = |(key, found): (&&[u8], &bool)| {
            let entry = entries.get(entries.hash(key), key).filter(|_| *found);
            entry.and_then(Source::of).unwrap_or(Source::Nothing)
        };
        let sources = self.keys.iter().zip(&self.found).map(source);
        let weights = weights.iter().copied().chain(std::iter::repeat(1.0));
        sources.zip(weights).map(|(source, weight)| Weighted { source, weight }).collect()
    }
}

/// One input.
#[derive(Clone, Copy)]
enum Source<'a> {
    Nothing,
    Zset(ZsetRef<'a>),
    /// All of its members have the score 1.
    Set(SetRef<'a>),
}

#[derive(Clone, Copy)]
struct Weighted<'a> {
    source: Source<'a>,
    weight: f64,
}

impl<'a> Source<'a> {
    fn of(entry: EntryRef<'a>) -> Option<Source<'a>> {
        match entry.view() {
            View::Object(ValueRef::Zset(zset)) => Some(Source::Zset(zset)),
            View::Object(ValueRef::Set(set)) => Some(Source::Set(set)),
            _ => None,
        }
    }

    fn len(self) -> usize {
        match self {
            Source::Nothing => 0,
            Source::Zset(zset) => zset.len(),
            Source::Set(set) => set.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Source::Nothing => None,
            Source::Zset(zset) => zset.score(member),
            Source::Set(set) => set.contains(member).then_some(1.0),
        }
    }

    /// Calls `visit` with every member until it returns `false`.
    fn visit(self, mut visit: impl FnMut(&[u8], f64) -> bool) {
        match self {
            Source::Nothing => {}
            Source::Zset(zset) => {
                zset.iter().all(|(member, score)| visit(text(member, &mut TextBuf::default()), score));
            }
            Source::Set(set) => {
                set.iter().all(|member| visit(text(member, &mut TextBuf::default()), 1.0));
            }
        }
    }
}

/// What stands behind the keys.
struct Options {
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
}

impl Options {
    fn parse(call: &Call<'_>, inputs: &Inputs<'_>, op: Op, storing: bool) -> Result<Options, CmdError> {
        let mut options = Options { weights: Vec::new(), aggregate: Aggregate::Sum, with_scores: false };
        let (args, count) = (call.args, inputs.keys.len());
        let mut i = inputs.rest;
        while i < args.len() {
            let behind = args.len() - i - 1;
            if op != Op::Diff && behind >= count && args.is(i, "WEIGHTS") {
                let weight = |arg| float::parse_f64(arg).ok_or(CmdError::Fixed("ERR weight value is not a float"));
                options.weights = args.from(i + 1).take(count).map(weight).collect::<Result<_, _>>()?;
                i += 1 + count;
            } else if op != Op::Diff && behind >= 1 && args.is(i, "AGGREGATE") {
                let names = [("SUM", Aggregate::Sum), ("MIN", Aggregate::Min), ("MAX", Aggregate::Max)];
                let named = names.iter().find(|(name, _)| args.is(i + 1, name));
                options.aggregate = named.ok_or(CmdError::Syntax)?.1;
                i += 2;
            } else if !storing && args.is(i, "WITHSCORES") {
                options.with_scores = true;
                i += 1;
            } else {
                return Err(CmdError::Syntax);
            }
        }
        Ok(options)
    }
}

fn reply_with(ks: &mut Keyspace, call: &mut Call<'_>, op: Op) -> CmdResult {
    let inputs = Inputs::find(ks, call, 1)?;
    let options = Options::parse(call, &inputs, op, false)?;
    let sources = inputs.sources(ks, call, &options.weights);
    let result = combine(sources, op, options.aggregate, &ks.settings.limits);
    pairs_head(call.reply, result.len(), options.with_scores);
    for (member, score) in result.as_ref().iter() {
        pair(call.reply, member, score, options.with_scores);
    }
    Ok(())
}

fn store_result(ks: &mut Keyspace, call: &mut Call<'_>, op: Op) -> CmdResult {
    let inputs = Inputs::find(ks, call, 2)?;
    let options = Options::parse(call, &inputs, op, true)?;
    let sources = inputs.sources(ks, call, &options.weights);
    let mut result = combine(sources, op, options.aggregate, &ks.settings.limits);
    result.pack_if_small(&ks.settings.limits);
    let name = match op {
        Op::Union => "zunionstore",
        Op::Inter => "zinterstore",
        Op::Diff => "zdiffstore",
    };
    store(ks, call, call.arg(1), result, event(name), 1);
    Ok(())
}

fn inter_card(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let inputs = Inputs::find(ks, call, 1)?;
    let mut limit = 0;
    for i in (inputs.rest..call.args.len()).step_by(2) {
        if i + 1 == call.args.len() || !call.args.is(i, "LIMIT") {
            return Err(CmdError::Syntax);
        }
        limit = int_from(call, i + 1, 0, "ERR LIMIT can't be negative")? as usize;
    }
    let sources = by_size(inputs.sources(ks, call, &[]));
    let mut shared = 0;
    sources[0].source.visit(|member, _| {
        shared += sources[1..].iter().all(|other| other.source.score(member).is_some()) as usize;
        limit == 0 || shared < limit
    });
    call.reply.len_of(shared);
    Ok(())
}

fn by_size(mut sources: Vec<Weighted<'_>>) -> Vec<Weighted<'_>> {
    sources.sort_by_key(|input| input.source.len());
    sources
}

/// The result is in the big form whatever its size: a pack would turn a score of -0 into 0, which the reference does
/// only when the result is stored.
fn combine(sources: Vec<Weighted<'_>>, op: Op, aggregate: Aggregate, limits: &Limits) -> Zset {
    match op {
        Op::Union => union(&by_size(sources), aggregate, limits),
        Op::Inter => intersect(&by_size(sources), aggregate, limits),
        Op::Diff => subtract(&sources, limits),
    }
}

fn union(sources: &[Weighted<'_>], aggregate: Aggregate, limits: &Limits) -> Zset {
    let largest = sources.last().map_or(0, |input| input.source.len());
    let mut result = Zset::ranked(largest, limits);
    for input in sources {
        input.source.visit(|member, score| {
            let weighted = not_nan(input.weight * score);
            result.update(member, limits, |present| {
                Some(present.map_or(weighted, |present| aggregate.apply(present, weighted)))
            });
            true
        });
    }
    result
}

fn intersect(sources: &[Weighted<'_>], aggregate: Aggregate, limits: &Limits) -> Zset {
    let mut result = Zset::ranked(0, limits);
    let (first, others) = sources.split_first().expect("there is at least one input");
    first.source.visit(|member, score| {
        let mut shared = Some(not_nan(first.weight * score));
        for other in others {
            let Some((present, more)) = shared.zip(other.source.score(member)) else {
                shared = None;
                break;
            };
            shared = Some(aggregate.apply(present, more * other.weight));
        }
        if let Some(score) = shared {
            result.insert(member, score, limits);
        }
        true
    });
    result
}

fn subtract(sources: &[Weighted<'_>], limits: &Limits) -> Zset {
    let mut result = Zset::ranked(0, limits);
    let (first, others) = sources.split_first().expect("there is at least one input");
    first.source.visit(|member, score| {
        if others.iter().all(|other| other.source.score(member).is_none()) {
            result.insert(member, score, limits);
        }
        true
    });
    result
}
