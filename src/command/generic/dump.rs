//! DUMP and RESTORE: a value as bytes, and back.
//!
//! *Duty:* the options, the deadline and access bits beside the value. *Does not know:* the payload's format
//! ([`crate::rdb::dump_payload`]). *Invariants:* nothing is replaced before the payload has been read to its end; a
//! RESTORE travels with an absolute deadline. *Counterpart in C Redis:* `dumpCommand`, `restoreCommand`.

use crate::base::millis::Millis;
use crate::call::{Args, Call, Class, CmdError, CmdResult, Event, Origin};
use crate::command::spec::*;
use crate::keyspace::{EntryRef, Expire, Keyspace, New, discard, event};
use crate::rdb::{self, PayloadError, ValueOwned};
use crate::resp::Argv;

const RESTORED: Event = Event::new(Class::GENERIC, "restore");

pub const DUMP: DataCommand = Command::new(
    dump,
    Spec {
        name: "dump",
        arity: 2,
        flags: READONLY,
        keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
        acl: Categories::KEYSPACE,
        group: Group::Generic,
        since: "2.6.0",
        complexity: "O(1) to find the key, O(N) for a value of N elements or bytes.",
        summary: "Gives a key's value as bytes that RESTORE takes.",
        syntax: "key",
        tips: &["nondeterministic_output"],
        ..Spec::BASE
    },
);

fn dump(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let compress = ks.settings.compress_dumps;
    match ks.read(call.arg(1), call).map(EntryRef::view) {
        Some(view) => call.reply.bulk(&rdb::dump_payload(view, compress)),
        None => call.reply.null(),
    }
    Ok(())
}

const RESTORE_SPEC: Spec = Spec {
    arity: -4,
    flags: WRITE.or(DENYOOM),
    keys: &[KeySpec::one(1, KeyFlags::OW.or(KeyFlags::UPDATE))],
    acl: Categories::KEYSPACE.or(Categories::DANGEROUS),
    complexity: "O(1) to make the key, O(N) for a value of N elements, times log(N) for a sorted set.",
    summary: "Makes a key of what DUMP gave.",
    syntax: "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]",
    ..Spec::BASE
};

pub const RESTORE: DataCommand = Command::new(
    restore,
    Spec {
        name: "restore",
        group: Group::Generic,
        since: "2.6.0",
        history: &[
            ("3.0.0", "Added the `REPLACE` modifier."),
            ("5.0.0", "Added the `ABSTTL` modifier."),
            ("5.0.0", "Added the `IDLETIME` and `FREQ` options."),
        ],
        ..RESTORE_SPEC
    },
);

pub const RESTORE_ASKING: DataCommand = Command::new(
    restore,
    Spec {
        name: "restore-asking",
        flags: WRITE.or(DENYOOM).or(ASKING),
        group: Group::Server,
        since: "3.0.0",
        summary: "As RESTORE, into a slot of a cluster that is being imported.",
        history: &[
            ("3.0.0", "Added the `REPLACE` modifier."),
            ("5.0.0", "Added the `ABSTTL` modifier."),
            ("5.0.0", "Added the `IDLETIME` and `FREQ` options."),
        ],
        ..RESTORE_SPEC
    },
);

#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle: Option<u64>,
    frequency: Option<u8>,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Options, CmdError> {
        let mut options = Options::default();
        let mut at = 4;
        while at < args.len() {
            let has_value = at + 1 < args.len();
            if args.is(at, "REPLACE") {
                options.replace = true;
            } else if args.is(at, "ABSTTL") {
                options.absolute = true;
            } else if args.is(at, "IDLETIME") && has_value && options.frequency.is_none() {
                at += 1;
                let refusal = CmdError::Fixed("ERR Invalid IDLETIME value, must be >= 0");
                options.idle = Some(u64::try_from(args.int(at)?).map_err(|_| refusal)?);
            } else if args.is(at, "FREQ") && has_value && options.idle.is_none() {
                at += 1;
                let refusal = CmdError::Fixed("ERR Invalid FREQ value, must be >= 0 and <= 255");
                options.frequency = Some(u8::try_from(args.int(at)?).map_err(|_| refusal)?);
            } else {
                return Err(CmdError::Syntax);
            }
            at += 1;
        }
        Ok(options)
    }

    /// The access bits of the new key: what was said, where the policy in force can use it.
    fn access(&self, ks: &Keyspace) -> u32 {
        match (ks.access.lfu, self.frequency, self.idle) {
            (true, Some(frequency), _) => ks.access.bits_for_frequency(frequency),
            (false, _, Some(seconds)) => ks.access.bits_for_idle(seconds),
            _ => ks.access.fresh(),
        }
    }
}

fn restore(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let options = Options::parse(call.args)?;
    let (key, db) = (call.arg(1), call.db());
    if !options.replace && ks.write(key, call).is_some() {
        return Err(CmdError::BusyKey);
    }
    let ttl = call.args.int(2)?;
    if ttl < 0 {
        return Err(CmdError::Fixed("ERR Invalid TTL value, must be >= 0"));
    }
    let value = rdb::parse_payload(call.arg(3), &ks.settings.limits, ks.settings.checksums);
    if !matches!(value, Err(PayloadError::VersionOrChecksum)) {
        call.fx.counts.payloads_checked += 1;
    }
    let value = value.map_err(|error| match error {
        PayloadError::VersionOrChecksum => CmdError::Fixed("ERR DUMP payload version or checksum are wrong"),
        PayloadError::BadData(damage) => {
            log::debug!("RESTORE refused a payload: {damage}");
            CmdError::Fixed("ERR Bad data format")
        }
    })?;
    let old = ks.db_mut(db).remove(key);
    let was_there = old.is_some();
    if let Some(taken) = old {
        discard(taken, ks.settings.lazy_server_del, call.fx);
    }
    let deadline = match ttl {
        0 => None,
        at if options.absolute => Some(Millis(at)),
        ms => Some(call.now.plus(ms)),
    };
    if deadline.is_some_and(|at| has_passed(at, ks, call)) {
        if was_there {
            call.modified(key, event::DEL, 1);
            call.replicate_as(&[b"DEL", key]);
        }
        call.reply.ok();
        return Ok(());
    }
    let access = options.access(ks);
    let value = match value {
        ValueOwned::Int(int) => New::Int(int),
        ValueOwned::Bytes(ref bytes) if bytes.len() <= rdb::OWNED_FROM => New::Bytes(bytes),
        ValueOwned::Bytes(bytes) => New::Owned(bytes),
        ValueOwned::Object(object) => New::Object(object),
    };
    ks.db_mut(db).put(key, value, deadline.map_or(Expire::Clear, Expire::At), access, call.now);
    call.notify(key, event::NEW);
    if let Some(at) = deadline.filter(|_| !options.absolute) {
        propagate(call, at);
    }
    call.modified(key, RESTORED, 1);
    call.reply.ok();
    Ok(())
}

/// As for EXPIRE: on a replica and while the AOF is read, the end comes as a command of its own.
fn has_passed(deadline: Millis, ks: &Keyspace, call: &Call<'_>) -> bool {
    deadline <= call.now && !ks.settings.hide_expired && call.caller.origin != Origin::Aof
}

/// The same command with its deadline as a point in time.
fn propagate(call: &mut Call<'_>, deadline: Millis) {
    if !call.wants_ops() {
        return;
    }
    let deadline = deadline.0.to_string();
    let mut argv = Argv::new();
    for (i, arg) in call.args.iter().enumerate() {
        argv.push(if i == 2 { deadline.as_bytes() } else { arg });
    }
    argv.push(b"ABSTTL");
    call.replicate_argv(argv);
}
