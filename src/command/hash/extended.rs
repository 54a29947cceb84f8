//! Values and deadlines in one command: HGETEX, HSETEX, HGETDEL.
//!
//! *Invariants:* the conditions of HSETEX look at all fields before one is set. To AOF and replicas go HPEXPIREAT,
//! HPERSIST, HDEL, and HSETEX with a point in time. *Counterpart in C Redis:* `hgetexCommand`, `hsetexCommand` and
//! `hgetdelCommand` of 8.0; HSETEX takes the conditions on the key, NX and XX, as Valkey 9 does.

use super::expire::Moved;
use super::fields::{NOT_POSITIVE, deadline, named};
use super::{EXPIRES, HASH_SPEC, PERSISTED, REMOVED, SET_EVENT, drop_overdue, reply_elem};
use crate::base::millis::Millis;
use crate::base::num::{self, IntBuf};
use crate::call::effects::Replicate;
use crate::call::options::ExpireUnit;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::keyspace::{Keyspace, event};
use crate::resp::Argv;
use crate::value::Hash;

const EXTENDED_SPEC: Spec =
    Spec { arity: -5, flags: WRITE.or(FAST), since: "8.0.0", complexity: "O(N) for N fields named.", ..HASH_SPEC };

pub const HGETDEL: DataCommand = Command::new(
    hgetdel,
    Spec {
        name: "hgetdel",
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::DELETE))],
        summary: "Returns the values of fields of a hash and removes them.",
        syntax: "key FIELDS numfields field [field ...]",
        ..EXTENDED_SPEC
    },
);

fn hgetdel(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let key = call.arg(1);
    let hash = ks.write_typed::<Hash>(key, call)?;
    let fields = named(call, 2, NOT_POSITIVE)?;
    call.reply.array(fields.len());
    let Some(mut hash) = hash else {
        fields.for_each(|_| call.reply.null());
        return Ok(());
    };
    drop_overdue(&mut hash, key, fields.clone(), call);
    let mut removed = Vec::new();
    for field in fields {
        match hash.as_ref().get(field) {
            None => call.reply.null(),
            Some(value) => {
                reply_elem(call.reply, value);
                hash.remove(field);
                removed.push(field);
            }
        }
    }
    let is_gone = hash.is_empty();
    drop(hash);
    call.fx.replicate = Replicate::Rewritten;
    if !removed.is_empty() {
        call.modified(key, REMOVED, removed.len() as u64);
        replicate(call, &[b"HDEL", key], removed);
    }
    if is_gone {
        call.notify(key, event::DEL);
    }
    Ok(())
}

pub const HGETEX: DataCommand = Command::new(
    hgetex,
    Spec {
        name: "hgetex",
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::UPDATE))],
        summary: "Returns the values of fields of a hash and changes their deadlines.",
        syntax: "key [<EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST>] FIELDS numfields field [field ...]",
        ..EXTENDED_SPEC
    },
);

fn hgetex(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (key, seed) = (call.arg(1), ks.settings.limits.seed);
    let hash = ks.write_typed::<Hash>(key, call)?;
    let persist = call.args.is(2, "PERSIST");
    let (at, word_at) = match ExpireUnit::of(call.arg(2)) {
        Some(unit) => (Some(deadline(call, 3, unit, "hgetex")?), 4),
        None => (None, if persist { 3 } else { 2 }),
    };
    let fields = named(call, word_at, NOT_POSITIVE)?;
    call.reply.array(fields.len());
    let Some(mut hash) = hash else {
        fields.for_each(|_| call.reply.null());
        return Ok(());
    };
    drop_overdue(&mut hash, key, fields.clone(), call);
    let mut moved = at.map(|at| Moved::new(at, seed, call));
    let mut persisted = Vec::new();
    for field in fields {
        let Some(value) = hash.as_ref().get(field) else {
            call.reply.null();
            continue;
        };
        reply_elem(call.reply, value);
        if let Some(moved) = &mut moved {
            moved.apply(&mut hash, field);
        } else if persist && hash.as_ref().deadline(field).is_some() {
            hash.set_deadline(field, None, seed);
            persisted.push(field);
        }
    }
    let is_gone = hash.is_empty();
    drop(hash);
    call.fx.replicate = Replicate::Rewritten;
    if let Some(moved) = moved {
        moved.tell(key, call);
    }
    if !persisted.is_empty() {
        call.modified(key, PERSISTED, persisted.len() as u64);
        let mut count = IntBuf::default();
        let count = num::format_i64(persisted.len() as i64, &mut count);
        replicate(call, &[b"HPERSIST", key, b"FIELDS", count], persisted);
    }
    if is_gone {
        call.notify(key, event::DEL);
    }
    Ok(())
}

/// Replicates a command as `head` and these fields.
fn replicate(call: &mut Call<'_>, head: &[&[u8]], fields: Vec<&[u8]>) {
    let mut argv = Argv::new();
    head.iter().chain(&fields).for_each(|arg| argv.push(arg));
    call.replicate_argv(argv);
}

pub const HSETEX: DataCommand = Command::new(
    hsetex,
    Spec {
        name: "hsetex",
        arity: -6,
        flags: WRITE.or(DENYOOM).or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::UPDATE))],
        summary: "Gives fields of a hash their values and a deadline.",
        syntax: "key [<FNX|FXX>] [<EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL>] FIELDS numfields field value [field value ...]",
        ..EXTENDED_SPEC
    },
);

/// The options of HSETEX, and where its fields begin.
#[derive(Default)]
struct Options {
    /// Fields must (`true`) or must not be there, all of them.
    fields_exist: Option<bool>,
    key_exists: Option<bool>,
    at: Option<Millis>,
    keep: bool,
    first: usize,
}

impl Options {
    fn parse(call: &Call<'_>) -> Result<Options, CmdError> {
        let mut options = Options::default();
        let mut i = 2;
        while !call.args.is(i, "FIELDS") {
            let word = call.args.opt(i).ok_or(CmdError::Arity("hsetex".into()))?;
            let unit = ExpireUnit::of(word);
            let keep = call.args.is(i, "KEEPTTL");
            if (unit.is_some() || keep) && (options.at.is_some() || options.keep) {
                return Err(CmdError::Fixed(
                    "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
                ));
            }
            if let Some(unit) = unit {
                i += 1;
                call.args.opt(i).ok_or(CmdError::Fixed("ERR missing expire time"))?;
                options.at = Some(deadline(call, i, unit, "hsetex")?);
            } else if keep {
                options.keep = true;
            } else {
                options.condition(call, i, word)?;
            }
            i += 1;
        }
        options.first = i + 2;
        options.check_count(call)?;
        Ok(options)
    }

    fn condition(&mut self, call: &Call<'_>, at: usize, word: &[u8]) -> CmdResult {
        let words = [("FXX", true, true), ("FNX", true, false), ("XX", false, true), ("NX", false, false)];
        let Some((_, of_fields, exist)) = words.into_iter().find(|(name, ..)| call.args.is(at, name)) else {
            return Err(CmdError::text([b"ERR unknown argument: ", word].concat()));
        };
        let condition = if of_fields { &mut self.fields_exist } else { &mut self.key_exists };
        match condition.replace(exist) {
            None => Ok(()),
            Some(_) if of_fields => Err(CmdError::Fixed("ERR Only one of FXX or FNX arguments can be specified")),
            Some(_) => Err(CmdError::Fixed("ERR Only one of XX or NX arguments can be specified")),
        }
    }

    fn check_count(&self, call: &Call<'_>) -> CmdResult {
        let arity = || CmdError::Arity("hsetex".into());
        if self.first + 2 > call.args.len() {
            return Err(arity());
        }
        let count = num::parse_i64(call.arg(self.first - 1)).filter(|n| (1..=i32::MAX as i64).contains(n));
        let count = count.ok_or(CmdError::Fixed("ERR invalid number of fields"))?;
        let given = call.args.len() - self.first;
        if given as i64 == 2 * count { Ok(()) } else { Err(arity()) }
    }
}

fn hsetex(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (key, limits) = (call.arg(1), ks.settings.limits);
    let options = Options::parse(call)?;
    if !allowed(ks, &options, call)? {
        call.reply.int(0);
        return Ok(());
    }
    let mut hash = ks.write_or_create::<Hash>(key, call)?;
    drop_overdue(&mut hash, key, call.args.from(options.first).step_by(2), call);
    let mut moved = options.at.map(|at| Moved::new(at, limits.seed, call));
    for i in (options.first..call.args.len()).step_by(2) {
        let (field, value) = (call.arg(i), call.arg(i + 1));
        match &mut moved {
            Some(moved) => {
                hash.set_value(field, value, &limits);
                moved.apply(&mut hash, field);
            }
            None if options.keep => _ = hash.set_value(field, value, &limits),
            None => _ = hash.set(field, value, &limits),
        }
    }
    let is_gone = hash.is_empty();
    drop(hash);
    call.modified(key, SET_EVENT, (call.args.len() - options.first) as u64 / 2);
    match &moved {
        Some(moved) if moved.is_past() => moved.tell(key, call),
        Some(moved) => {
            call.notify(key, EXPIRES);
            let mut at = IntBuf::default();
            let at = num::format_i64(moved.at().0, &mut at);
            let rest = call.args.from(options.first - 2).collect();
            replicate(call, &[b"HSETEX", key, b"PXAT", at], rest);
        }
        None => {}
    }
    if is_gone {
        call.notify(key, event::DEL);
    }
    call.reply.int(1);
    Ok(())
}

/// Whether the conditions hold, of which the key's are looked at with its overdue fields taken out.
fn allowed(ks: &mut Keyspace, options: &Options, call: &mut Call<'_>) -> Result<bool, CmdError> {
    if options.key_exists.is_none() && options.fields_exist.is_none() {
        return Ok(true);
    }
    let key = call.arg(1);
    let fields = call.args.from(options.first).step_by(2);
    let (mut key_exists, mut found) = (false, 0);
    if let Some(mut hash) = ks.write_typed::<Hash>(key, call)? {
        drop_overdue(&mut hash, key, fields.clone(), call);
        key_exists = !hash.is_empty();
        found = fields.clone().filter(|field| hash.as_ref().contains(field)).count();
        drop(hash);
        if !key_exists {
            call.notify(key, event::DEL);
        }
    }
    let wanted = if options.fields_exist == Some(true) { fields.len() } else { 0 };
    let fields_fit = options.fields_exist.is_none() || found == wanted;
    Ok(fields_fit && options.key_exists.is_none_or(|wanted| wanted == key_exists))
}
