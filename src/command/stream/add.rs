//! XADD and XTRIM.
//!
//! *Duty:* their common options; ids as XADD takes them; and what goes to AOF and replicas in place of `*` and `~`.
//! *Does not know:* where nodes end, which decides what `~` removes. *Counterpart in C Redis:* `xaddCommand`,
//! `xtrimCommand`, `streamParseAddOrTrimArgsOrReply`.

use super::delete::refs_word;
use super::{id_arg, reply_id, stream_event};
use crate::base::num;
use crate::call::{Args, Call, CmdError, CmdResult, Event, Garbage, Origin};
use crate::command::spec::*;
use crate::keyspace::Keyspace;
use crate::resp::Argv;
use crate::value::stream::{Bound, Given, Log, Node, Refs, StreamId};
use crate::value::{Limits, Stream};

const ADDED: Event = stream_event("xadd");
const TRIMMED: Event = stream_event("xtrim");

pub const XADD: DataCommand = Command::new(
    xadd,
    Spec {
        name: "xadd",
        arity: -5,
        flags: WRITE.or(DENYOOM).or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::UPDATE))],
        acl: Categories::STREAM,
        group: Group::Stream,
        since: "5.0.0",
        complexity: "O(1) for the entry, O(N) for N entries that are trimmed.",
        summary: "Appends an entry to a stream, making the stream if there is none.",
        syntax: "key [NOMKSTREAM] [<KEEPREF|DELREF|ACKED>@8.2.0] [<MAXLEN|MINID> [<=|~>] threshold [LIMIT count]] <*|id> field value [field value ...]",
        tips: &["nondeterministic_output"],
        history: &[
            ("6.2.0", "Added the options `NOMKSTREAM`, `MINID` and `LIMIT`."),
            ("7.0.0", "An id may leave its sequence to the stream: `<ms>-*`."),
            ("8.2.0", "Added the options `KEEPREF`, `DELREF` and `ACKED`."),
        ],
        ..Spec::BASE
    },
);

pub const XTRIM: DataCommand = Command::new(
    xtrim,
    Spec {
        name: "xtrim",
        arity: -4,
        flags: WRITE,
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::DELETE))],
        acl: Categories::STREAM,
        group: Group::Stream,
        since: "5.0.0",
        complexity: "O(N) for N entries that are removed, some hundred at a step.",
        summary: "Removes the oldest entries of a stream.",
        syntax: "key <MAXLEN|MINID> [<=|~>] threshold [LIMIT count] [<KEEPREF|DELREF|ACKED>@8.2.0]",
        tips: &["nondeterministic_output"],
        history: &[
            ("6.2.0", "Added the options `MINID` and `LIMIT`."),
            ("8.2.0", "Added the options `KEEPREF`, `DELREF` and `ACKED`."),
        ],
        ..Spec::BASE
    },
);

/// How to trim.
struct Trim {
    bound: Bound,
    /// Where the threshold stands among the arguments.
    at: usize,
    /// `~`: only whole nodes go.
    approximate: bool,
    limit: u64,
    refs: Refs,
}

/// The options that XADD and XTRIM share.
#[derive(Default)]
struct Options {
    trim: Option<Trim>,
    limit: Option<u64>,
    refs: Option<Refs>,
    no_mkstream: bool,
    /// Where XADD's id stands, and what it says; `None`: `*`.
    id: Option<(usize, Option<Given>)>,
}

impl Options {
    fn parse(args: Args<'_>, xadd: bool) -> Result<Options, CmdError> {
        let mut options = Options::default();
        let mut i = 2;
        while i < args.len() {
            let more = args.len() - 1 - i;
            if xadd && args.get(i) == b"*" {
                options.id = Some((i, None));
                break;
            } else if args.is(i, "MAXLEN") && more > 0 {
                i = options.threshold(args, i, max_len)?;
            } else if args.is(i, "MINID") && more > 0 {
                i = options.threshold(args, i, |text| Ok(Bound::MinId(id_arg(text, 0)?)))?;
            } else if args.is(i, "LIMIT") && more > 0 {
                i += 1;
                let limit = u64::try_from(args.int(i)?);
                options.limit = Some(limit.map_err(|_| CmdError::Fixed("ERR The LIMIT argument must be >= 0."))?);
            } else if xadd && args.is(i, "NOMKSTREAM") {
                options.no_mkstream = true;
            } else if let Some(refs) = refs_word(args, i) {
                if options.refs.replace(refs).is_some() {
                    return Err(CmdError::Syntax);
                }
            } else if xadd {
                options.id = Some((i, Some(Given::parse(args.get(i), 0).ok_or(super::INVALID_ID)?)));
                break;
            } else {
                return Err(CmdError::Syntax);
            }
            i += 1;
        }
        Ok(options)
    }

    /// The threshold behind the word at `i`; returns where it stands.
    fn threshold(
        &mut self,
        args: Args<'_>,
        i: usize,
        read: impl FnOnce(&[u8]) -> Result<Bound, CmdError>,
    ) -> Result<usize, CmdError> {
        if self.trim.is_some() {
            return Err(CmdError::Fixed(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        let sign = args.opt(i + 2).map(|_| args.get(i + 1));
        let at = if matches!(sign, Some(b"~" | b"=")) { i + 2 } else { i + 1 };
        let bound = read(args.get(at))?;
        self.trim = Some(Trim { bound, at, approximate: sign == Some(b"~"), limit: 0, refs: Refs::Keep });
        Ok(at)
    }

    /// Checks what can be said only when all options are known, and fills in the limit.
    fn settle(&mut self, xadd: bool, origin: Origin, limits: &Limits) -> Result<(), CmdError> {
        let Some(trim) = &mut self.trim else {
            return match self.limit {
                Some(1..) => Err(CmdError::Fixed(
                    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
                )),
                _ if !xadd => Err(CmdError::Fixed("ERR syntax error, XTRIM must be called with a trimming strategy")),
                // Quirk: without a trimming strategy `LIMIT 0` of a client is refused all the same.
                Some(0) if !obeys(origin) => Err(LIMIT_NEEDS_TILDE),
                _ => Ok(()),
            };
        };
        trim.refs = self.refs.unwrap_or_default();
        if obeys(origin) {
            // The threshold was made exact where the command came from.
            return Ok(());
        }
        trim.limit = match self.limit {
            Some(_) if !trim.approximate => return Err(LIMIT_NEEDS_TILDE),
            Some(limit) => limit,
            None if trim.approximate => default_limit(limits),
            None => 0,
        };
        Ok(())
    }
}

const LIMIT_NEEDS_TILDE: CmdError =
    CmdError::Fixed("ERR syntax error, LIMIT cannot be used without the special ~ option");

fn obeys(origin: Origin) -> bool {
    matches!(origin, Origin::Master | Origin::Aof)
}

fn max_len(text: &[u8]) -> Result<Bound, CmdError> {
    let max = num::parse_i64(text).ok_or(CmdError::NotInteger)?;
    let max = u64::try_from(max).map_err(|_| CmdError::Fixed("ERR The MAXLEN argument must be >= 0."))?;
    Ok(Bound::MaxLen(max))
}

/// As many entries as a hundred full nodes have: what `~` removes at most in one go.
fn default_limit(limits: &Limits) -> u64 {
    match limits.stream_node_max_entries.saturating_mul(100) {
        0 => 10_000,
        limit => limit.min(1_000_000) as u64,
    }
}

impl Trim {
    /// Trims, and tells how many entries went. Many nodes are freed on the background thread.
    fn run(&self, stream: &mut Stream, call: &mut Call<'_>) -> u64 {
        let trimmed = stream.trim(self.refs, self.bound, self.approximate, self.limit);
        if !trimmed.garbage.is_empty() {
            let bytes = trimmed.garbage.iter().map(Node::memory).sum();
            call.fx.garbage.push(Garbage { objects: 0, bytes, what: Box::new(trimmed.garbage) });
        }
        trimmed.removed
    }

    /// The threshold that does exactly what was done.
    fn exact(&self, log: &Log) -> Vec<u8> {
        match self.bound {
            Bound::MaxLen(_) => log.len().to_string().into_bytes(),
            Bound::MinId(_) => log.edge_id().to_text(),
        }
    }
}

/// Replicates the command with `id` and an exact threshold in place of what the client left open.
fn replicate_exact(call: &mut Call<'_>, id: Option<(usize, &[u8])>, trim: Option<(&Trim, &Log)>) {
    let mut argv = Argv::new();
    if call.wants_ops() {
        let threshold = trim.map(|(trim, log)| (trim.at, trim.exact(log)));
        for (i, arg) in call.args.iter().enumerate() {
            match (&id, &threshold) {
                (Some((at, id)), _) if *at == i => argv.push(id),
                (_, Some((at, exact))) if *at == i => argv.push(exact),
                (_, Some((at, _))) if *at == i + 1 => argv.push(b"="),
                _ => argv.push(arg),
            }
        }
    }
    call.replicate_argv(argv);
}

fn xadd(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let limits = ks.settings.limits;
    let mut options = Options::parse(call.args, true)?;
    options.settle(true, call.caller.origin, &limits)?;
    let (id_at, given) = options.id.ok_or(CmdError::Arity("xadd".into()))?;
    let item = call.args.from(id_at + 1);
    if item.len() < 2 || item.len() % 2 == 1 {
        return Err(CmdError::Arity("xadd".into()));
    }
    if given == Some(Given::Full(StreamId::MIN)) {
        return Err(CmdError::Fixed("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let key = call.arg(1);
    let mut stream = if options.no_mkstream {
        match ks.write_typed::<Stream>(key, call)? {
            Some(stream) => stream,
            None => {
                call.reply.null();
                return Ok(());
            }
        }
    } else {
        ks.write_or_create::<Stream>(key, call)?
    };
    let log = stream.log_mut();
    let id = new_id(log, given, call.now.0 as u64)?;
    if !log.append(id, item, &limits) {
        return Err(TOO_LARGE);
    }
    reply_id(call.reply, id);
    call.modified(key, ADDED, 1);
    let mut exact = None;
    if let Some(trim) = &options.trim {
        if trim.run(&mut stream, call) > 0 {
            call.notify(key, TRIMMED);
        }
        exact = trim.approximate.then_some((trim, stream.log()));
    }
    let made = !matches!(given, Some(Given::Full(_)));
    if made || exact.is_some() {
        let text = id.to_text();
        replicate_exact(call, made.then_some((id_at, &text)), exact);
    }
    Ok(())
}

const TOO_LARGE: CmdError = CmdError::Fixed("ERR Elements are too large to be stored");

/// The id of the entry to be added.
fn new_id(log: &Log, given: Option<Given>, now: u64) -> Result<StreamId, CmdError> {
    let last = log.last_id();
    if last == StreamId::MAX {
        return Err(CmdError::Fixed("ERR The stream has exhausted the last possible ID, unable to add more items"));
    }
    let id = match given {
        None => log.next_id(now).expect("the last id is not the greatest"),
        Some(Given::Full(id)) => id,
        Some(Given::Milliseconds(ms)) if ms == last.ms => {
            // Quirk: the reference has no text of its own for a millisecond that is full.
            StreamId { ms, seq: last.seq.checked_add(1).ok_or(TOO_LARGE)? }
        }
        Some(Given::Milliseconds(ms)) => StreamId { ms, seq: 0 },
    };
    if id <= last {
        return Err(CmdError::Fixed(
            "ERR The ID specified in XADD is equal or smaller than the target stream top item",
        ));
    }
    Ok(id)
}

fn xtrim(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let limits = ks.settings.limits;
    let mut options = Options::parse(call.args, false)?;
    options.settle(false, call.caller.origin, &limits)?;
    let trim = options.trim.expect("settled only with a strategy");
    let key = call.arg(1);
    let Some(mut stream) = ks.write_typed::<Stream>(key, call)? else {
        call.reply.int(0);
        return Ok(());
    };
    let removed = trim.run(&mut stream, call);
    if removed > 0 {
        call.modified(key, TRIMMED, removed);
        if trim.approximate {
            replicate_exact(call, None, Some((&trim, stream.log())));
        }
    }
    call.reply.int(removed as i64);
    Ok(())
}
