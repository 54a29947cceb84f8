//! SET with its options, and the older commands that are parts of it: SETNX, SETEX, PSETEX, GETSET.
//!
//! *Invariants:* a deadline goes to AOF and replicas as a point in time, never as a span; a condition that was met
//! here (IFEQ) is not asked again there. SET without options makes one lookup.
//! *Counterpart in C Redis:* `setGenericCommand`, `parseExtendedStringArgumentsOrReply`; IFEQ is valkey 8.1's.

use super::{SET_EVENT, STRING_SPEC, bytes_of, reply_string};
use crate::base::millis::Millis;
use crate::base::num;
use crate::call::options::{ExpireUnit, expire_arg};
use crate::call::{Args, Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::keyspace::{EntryMut, EntryRef, Expire, Keyspace, event, string};
use crate::resp::Argv;

pub const SET: DataCommand = Command::new(
    set,
    Spec {
        name: "set",
        arity: -3,
        flags: WRITE.or(DENYOOM),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::UPDATE).or(KeyFlags::VARIABLE))],
        summary: "Sets a key to a string, whatever it held before.",
        syntax: "key value [<NX|XX|IFEQ comparison-value>:condition@2.6.12] [GET@6.2.0] [<EX seconds@2.6.12|PX milliseconds@2.6.12|EXAT unix-time-seconds@6.2.0|PXAT unix-time-milliseconds@6.2.0|KEEPTTL@6.0.0>]",
        history: &[
            ("2.6.12", "Options `EX`, `PX`, `NX` and `XX`."),
            ("6.0.0", "Option `KEEPTTL`."),
            ("6.2.0", "Options `GET`, `EXAT` and `PXAT`."),
            ("7.0.0", "`NX` and `GET` may stand together."),
            ("8.1.0", "Option `IFEQ`, as in Valkey."),
        ],
        ..STRING_SPEC
    },
);

fn set(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (key, value) = (call.arg(1), call.arg(2));
    if call.args.len() == 3 {
        ks.set(key, string(value), Expire::Clear, call);
        call.modified(key, SET_EVENT, 1);
        call.reply.ok();
        return Ok(());
    }
    let options = Options::parse(call.args)?;
    let deadline = options.expiry.deadline(call.now, "set")?;
    if (options.condition.is_some() || options.get) && !admits(&options, ks, call)? {
        return Ok(());
    }
    match deadline {
        Some(deadline) => set_until(ks, call, value, deadline),
        None => {
            let expire = if options.expiry == Expiry::Word { Expire::Keep } else { Expire::Clear };
            ks.set(key, string(value), expire, call);
            call.modified(key, SET_EVENT, 1);
            if options.get || matches!(options.condition, Some(Condition::Equal(_))) {
                call.replicate_argv(lasting_words(call.args));
            }
        }
    }
    if !options.get {
        call.reply.ok();
    }
    Ok(())
}

/// When a key is to expire, as SET and GETEX say it. Two kinds do not go together; of one kind the last one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry<'a> {
    Unsaid,
    /// The word that takes no time: KEEPTTL or PERSIST.
    Word,
    At(ExpireUnit, &'a [u8]),
}

impl<'a> Expiry<'a> {
    /// Takes the option `word`, with its value from `rest`. `false`: it is none, or does not go with what was said
    /// before.
    pub(super) fn take(&mut self, word: &[u8], rest: &mut impl Iterator<Item = &'a [u8]>, timeless: &str) -> bool {
        let taken = match (ExpireUnit::of(word), *self) {
            (None, Expiry::Unsaid | Expiry::Word) if is(word, timeless) => Some(Expiry::Word),
            (Some(unit), Expiry::Unsaid) => rest.next().map(|value| Expiry::At(unit, value)),
            (Some(unit), Expiry::At(old, _)) if unit == old => rest.next().map(|value| Expiry::At(unit, value)),
            _ => None,
        };
        taken.map(|expiry| *self = expiry).is_some()
    }

    pub(super) fn deadline(self, now: Millis, command: &'static str) -> Result<Option<Millis>, CmdError> {
        match self {
            Expiry::At(unit, value) => expire_arg(value, unit, now, command).map(Some),
            Expiry::Unsaid | Expiry::Word => Ok(None),
        }
    }

    /// Given as a point in time, which may be past.
    pub(super) fn is_absolute(self) -> bool {
        matches!(self, Expiry::At(ExpireUnit::UnixSeconds | ExpireUnit::UnixMillis, _))
    }
}

/// What must be so for SET to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition<'a> {
    /// NX
    Absent,
    /// XX
    Present,
    /// IFEQ
    Equal(&'a [u8]),
}

struct Options<'a> {
    condition: Option<Condition<'a>>,
    get: bool,
    expiry: Expiry<'a>,
}

fn is(word: &[u8], text: &str) -> bool {
    word.eq_ignore_ascii_case(text.as_bytes())
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>) -> Result<Options<'a>, CmdError> {
        let mut options = Options { condition: None, get: false, expiry: Expiry::Unsaid };
        let mut words = args.from(3);
        while let Some(word) = words.next() {
            match options.condition {
                None | Some(Condition::Absent) if is(word, "NX") => options.condition = Some(Condition::Absent),
                None | Some(Condition::Present) if is(word, "XX") => options.condition = Some(Condition::Present),
                None if is(word, "IFEQ") => {
                    options.condition = Some(Condition::Equal(words.next().ok_or(CmdError::Syntax)?));
                }
                _ if is(word, "GET") => options.get = true,
                _ if options.expiry.take(word, &mut words, "KEEPTTL") => {}
                _ => return Err(CmdError::Syntax),
            }
        }
        Ok(options)
    }
}

/// Whether the condition is met. Replies the old value if that is asked for, else nil for an unmet condition.
fn admits(options: &Options<'_>, ks: &mut Keyspace, call: &mut Call<'_>) -> Result<bool, CmdError> {
    let key = call.arg(1);
    // Only GET counts as a read, in the statistics and for the `keymiss` event.
    let entry = if options.get { ks.read(key, call) } else { ks.write(key, call).map(EntryMut::into_entry) };
    let old = entry.map(EntryRef::view);
    let mut digits = [0; num::MAX_DECIMAL_LEN];
    let met = match (options.condition, old) {
        (None, _) => true,
        (Some(Condition::Absent), old) => old.is_none(),
        (Some(Condition::Present), old) => old.is_some(),
        (Some(Condition::Equal(_)), None) => false,
        (Some(Condition::Equal(wanted)), Some(old)) => bytes_of(old, &mut digits)? == wanted,
    };
    match old {
        Some(old) if options.get => reply_string(call.reply, old)?,
        _ if options.get || !met => call.reply.null(),
        _ => {}
    }
    Ok(met)
}

/// The request without GET and IFEQ, which have done their work when the command is replayed.
fn lasting_words(args: Args<'_>) -> Argv {
    let mut argv = Argv::new();
    args.iter().take(3).for_each(|arg| argv.push(arg));
    let mut words = args.from(3);
    while let Some(word) = words.next() {
        if is(word, "IFEQ") {
            words.next();
        } else if !is(word, "GET") {
            argv.push(word);
        }
    }
    argv
}

/// Sets the key of the request to `value` until `deadline`, and tells so.
fn set_until(ks: &mut Keyspace, call: &mut Call<'_>, value: &[u8], deadline: Millis) {
    let key = call.arg(1);
    ks.set(key, string(value), Expire::At(deadline), call);
    call.modified(key, SET_EVENT, 1);
    call.notify(key, event::EXPIRE);
    if call.wants_ops() {
        let mut digits = [0; num::MAX_DECIMAL_LEN];
        call.replicate_as(&[b"SET", key, value, b"PXAT", num::format_i64(deadline.0, &mut digits)]);
    }
}

const SETEX_SPEC: Spec = Spec {
    arity: 4,
    flags: WRITE.or(DENYOOM),
    keys: &[KeySpec::one(1, KeyFlags::OW.or(KeyFlags::UPDATE))],
    ..STRING_SPEC
};

pub const SETEX: DataCommand = Command::new(
    |ks, call| set_for(ks, call, ExpireUnit::Seconds, "setex"),
    Spec {
        name: "setex",
        since: "2.0.0",
        summary: "Sets a key to a string for some seconds.",
        syntax: "key seconds value",
        ..SETEX_SPEC
    },
);

pub const PSETEX: DataCommand = Command::new(
    |ks, call| set_for(ks, call, ExpireUnit::Millis, "psetex"),
    Spec {
        name: "psetex",
        since: "2.6.0",
        summary: "Sets a key to a string for some milliseconds.",
        syntax: "key milliseconds value",
        ..SETEX_SPEC
    },
);

fn set_for(ks: &mut Keyspace, call: &mut Call<'_>, unit: ExpireUnit, command: &'static str) -> CmdResult {
    let deadline = expire_arg(call.arg(2), unit, call.now, command)?;
    set_until(ks, call, call.arg(3), deadline);
    call.reply.ok();
    Ok(())
}

pub const SETNX: DataCommand = Command::new(
    setnx,
    Spec {
        name: "setnx",
        arity: 3,
        flags: WRITE.or(DENYOOM).or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::OW.or(KeyFlags::INSERT))],
        summary: "Sets a key to a string unless the key exists.",
        syntax: "key value",
        ..STRING_SPEC
    },
);

fn setnx(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let key = call.arg(1);
    if ks.write(key, call).is_some() {
        call.reply.int(0);
        return Ok(());
    }
    ks.set(key, string(call.arg(2)), Expire::Clear, call);
    call.modified(key, SET_EVENT, 1);
    call.reply.int(1);
    Ok(())
}

pub const GETSET: DataCommand = Command::new(
    getset,
    Spec {
        name: "getset",
        arity: 3,
        flags: WRITE.or(DENYOOM).or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::UPDATE))],
        summary: "Sets a key to a string and returns what it held before.",
        syntax: "key value",
        deprecated: Some(("6.2.0", "`SET` with the `!GET` argument")),
        ..STRING_SPEC
    },
);

fn getset(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (key, value) = (call.arg(1), call.arg(2));
    match ks.read(key, call) {
        Some(entry) => reply_string(call.reply, entry.view())?,
        None => call.reply.null(),
    }
    ks.set(key, string(value), Expire::Clear, call);
    call.modified(key, SET_EVENT, 1);
    call.replicate_as(&[b"SET", key, value]);
    Ok(())
}
