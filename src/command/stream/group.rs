//! XGROUP and XACK: groups, their members, and what is done.
//!
//! *Does not know:* entries. *Invariants:* what changes only a group does not touch the key for WATCH, save the end of
//! a group, for which its waiting members must be woken. *Counterpart in C Redis:* `xgroupCommand`, `xackCommand`.

use super::{CONSUMER_CREATED, INVALID_ID, consult, id_arg, stream_event};
use crate::call::{Args, Call, CmdError, CmdResult, Event, Garbage};
use crate::command::help;
use crate::command::spec::*;
use crate::keyspace::{Keyspace, Typing};
use crate::value::Stream;
use crate::value::stream::{Group as ConsumerGroup, StreamId, UNKNOWN};

const CREATED: Event = stream_event("xgroup-create");
const ID_SET: Event = stream_event("xgroup-setid");
const DESTROYED: Event = stream_event("xgroup-destroy");
const CONSUMER_DELETED: Event = stream_event("xgroup-delconsumer");

/// A group with more pending entries than this is freed on the background thread.
const FREE_AT_ONCE: usize = 64;

pub const XGROUP: DataCommand = Command::new(
    |_, call| Err(help::unknown_subcommand(call)),
    Spec {
        name: "xgroup",
        arity: -2,
        group: Group::Stream,
        since: "5.0.0",
        complexity: "That of the subcommand.",
        summary: "Holds the commands that manage consumer groups.",
        ..Spec::BASE
    },
);

const SUBCOMMAND: Spec = Spec {
    flags: WRITE,
    acl: Categories::STREAM,
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(1)",
    ..Spec::BASE
};

const INSERTS: &[KeySpec] = &[KeySpec::one(2, KeyFlags::RW.or(KeyFlags::INSERT))];
const UPDATES: &[KeySpec] = &[KeySpec::one(2, KeyFlags::RW.or(KeyFlags::UPDATE))];
const DELETES: &[KeySpec] = &[KeySpec::one(2, KeyFlags::RW.or(KeyFlags::DELETE))];

pub const CREATE: DataCommand = Command::new(
    create,
    Spec {
        name: "xgroup|create",
        arity: -5,
        flags: WRITE.or(DENYOOM),
        keys: INSERTS,
        summary: "Makes a consumer group.",
        syntax: "key group <id|$> [MKSTREAM] [ENTRIESREAD entries-read]",
        history: &[("7.0.0", "Added the option `ENTRIESREAD`.")],
        ..SUBCOMMAND
    },
);

pub const SETID: DataCommand = Command::new(
    set_id,
    Spec {
        name: "xgroup|setid",
        arity: -5,
        keys: UPDATES,
        summary: "Sets which entry a group has delivered last.",
        syntax: "key group <id|$> [ENTRIESREAD entries-read]",
        history: &[("7.0.0", "Added the option `ENTRIESREAD`.")],
        ..SUBCOMMAND
    },
);

pub const DESTROY: DataCommand = Command::new(
    destroy,
    Spec {
        name: "xgroup|destroy",
        arity: 4,
        keys: DELETES,
        complexity: "O(N) for N pending entries; many are freed in the background.",
        summary: "Removes a consumer group.",
        syntax: "key group",
        ..SUBCOMMAND
    },
);

pub const CREATECONSUMER: DataCommand = Command::new(
    create_consumer,
    Spec {
        name: "xgroup|createconsumer",
        arity: 5,
        flags: WRITE.or(DENYOOM),
        keys: INSERTS,
        since: "6.2.0",
        summary: "Makes a consumer in a group.",
        syntax: "key group consumer",
        ..SUBCOMMAND
    },
);

pub const DELCONSUMER: DataCommand = Command::new(
    delete_consumer,
    Spec {
        name: "xgroup|delconsumer",
        arity: 5,
        keys: DELETES,
        summary: "Removes a consumer from a group, and what is pending with it.",
        syntax: "key group consumer",
        ..SUBCOMMAND
    },
);

pub const HELP: DataCommand = Command::new(
    |_, call| {
        help::reply(
            call,
            &[
                "CREATE <key> <groupname> <id|$> [option]",
                "    Make a group. Options are:",
                "    * MKSTREAM",
                "      Make an empty stream if there is none.",
                "    * ENTRIESREAD entries_read",
                "      How many entries count as read (for AOF and replicas).",
                "CREATECONSUMER <key> <groupname> <consumer>",
                "    Make a consumer in a group.",
                "DELCONSUMER <key> <groupname> <consumer>",
                "    Remove a consumer from a group.",
                "DESTROY <key> <groupname>",
                "    Remove a group.",
                "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
                "    Set the last entry delivered, and how many count as read.",
            ],
        );
        Ok(())
    },
    Spec { name: "xgroup|help", arity: 2, flags: LOADING.or(STALE), summary: "Lists the subcommands.", ..SUBCOMMAND },
);

/// What may follow the id of CREATE and SETID.
struct Options {
    mkstream: bool,
    entries_read: i64,
}

impl Options {
    fn parse(call: &Call<'_>, may_make: bool) -> Result<Options, CmdError> {
        let args: Args<'_> = call.args;
        let mut options = Options { mkstream: false, entries_read: UNKNOWN };
        let mut i = 5;
        while i < args.len() {
            if may_make && args.is(i, "MKSTREAM") {
                options.mkstream = true;
                i += 1;
            } else if args.is(i, "ENTRIESREAD") && i + 1 < args.len() {
                options.entries_read = args.int(i + 1)?;
                if options.entries_read < UNKNOWN {
                    return Err(CmdError::Fixed("ERR value for ENTRIESREAD must be positive or -1"));
                }
                i += 2;
            } else {
                return Err(help::unknown_or_misused(call));
            }
        }
        Ok(options)
    }
}

const NO_KEY: CmdError = CmdError::Fixed(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option \
     to create an empty stream automatically.",
);

fn existing<'k>(ks: &'k mut Keyspace, key: &'k [u8], call: &mut Call<'_>) -> Result<Typing<'k, Stream>, CmdError> {
    ks.write_typed::<Stream>(key, call)?.ok_or(NO_KEY)
}

/// The refusal of the group `argv[3]`.
fn no_group(call: &Call<'_>) -> CmdError {
    let (key, group) = (call.arg(2), call.arg(3));
    CmdError::text([b"NOGROUP No such consumer group '", group, b"' for key name '", key, b"'"].concat())
}

fn group_of<'s>(stream: &'s mut Stream, call: &Call<'_>) -> Result<&'s mut ConsumerGroup, CmdError> {
    stream.groups_mut().get_mut(call.arg(3)).ok_or_else(|| no_group(call))
}

fn create(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let options = Options::parse(call, true)?;
    let (key, name) = (call.arg(2), call.arg(3));
    let last = match ks.write_typed::<Stream>(key, call)? {
        Some(stream) => Some(stream.log().last_id()),
        None if options.mkstream => None,
        None => return Err(NO_KEY),
    };
    if call.args.len() > 8 {
        return Err(help::unknown_or_misused(call));
    }
    let id = match call.arg(4) {
        b"$" => last.unwrap_or(StreamId::MIN),
        text => id_arg(text, 0)?,
    };
    let mut stream = ks.write_or_create::<Stream>(key, call)?;
    if stream.groups().contains_key(name) {
        return Err(CmdError::Fixed("BUSYGROUP Consumer Group name already exists"));
    }
    stream.groups_mut().insert(name.into(), ConsumerGroup::new(id, options.entries_read));
    if last.is_none() {
        call.fx.touch(call.db(), key);
    }
    call.reply.ok();
    call.fx.dirty += 1;
    call.notify(key, CREATED);
    Ok(())
}

fn set_id(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let options = Options::parse(call, false)?;
    let mut stream = existing(ks, call.arg(2), call)?;
    let last = stream.log().last_id();
    let group = group_of(&mut stream, call)?;
    if !matches!(call.args.len(), 5 | 7) {
        return Err(help::unknown_or_misused(call));
    }
    group.last_id = match call.arg(4) {
        b"$" => last,
        text => StreamId::parse_or_end(text, 0).ok_or(INVALID_ID)?,
    };
    group.entries_read = options.entries_read;
    call.reply.ok();
    call.fx.dirty += 1;
    call.notify(call.arg(2), ID_SET);
    Ok(())
}

fn destroy(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let mut stream = existing(ks, call.arg(2), call)?;
    let Some(group) = stream.groups_mut().remove(call.arg(3)) else {
        call.reply.int(0);
        return Ok(());
    };
    if group.pending().len() > FREE_AT_ONCE {
        call.fx.garbage.push(Garbage { objects: 0, bytes: group.memory(), what: Box::new(group) });
    }
    call.reply.int(1);
    call.modified(call.arg(2), DESTROYED, 1);
    Ok(())
}

fn create_consumer(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let mut stream = existing(ks, call.arg(2), call)?;
    let made = group_of(&mut stream, call)?.add_consumer(call.arg(4), call.now.0).is_some();
    if made {
        call.fx.dirty += 1;
        call.notify(call.arg(2), CONSUMER_CREATED);
    }
    call.reply.int(made as i64);
    Ok(())
}

fn delete_consumer(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let mut stream = existing(ks, call.arg(2), call)?;
    let pending = group_of(&mut stream, call)?.remove_consumer(call.arg(4));
    if pending.is_some() {
        call.fx.dirty += 1;
        call.notify(call.arg(2), CONSUMER_DELETED);
    }
    call.reply.len_of(pending.unwrap_or(0));
    Ok(())
}

pub const XACK: DataCommand = Command::new(
    xack,
    Spec {
        name: "xack",
        arity: -4,
        flags: WRITE.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::UPDATE))],
        acl: Categories::STREAM,
        group: Group::Stream,
        since: "5.0.0",
        complexity: "O(log N) for each id.",
        summary: "Takes entries off those that are pending in a group.",
        syntax: "key group id [id ...]",
        ..Spec::BASE
    },
);

fn xack(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let mut stream = consult(ks, call.arg(1), call)?;
    let Some(group) = stream.as_mut().and_then(|stream| stream.groups_mut().get_mut(call.arg(2))) else {
        call.reply.int(0);
        return Ok(());
    };
    let ids = call.args.from(3).map(|text| id_arg(text, 0)).collect::<Result<Vec<_>, _>>()?;
    let done = ids.into_iter().filter(|id| group.acknowledge(*id).is_some()).count();
    call.fx.dirty += done as u64;
    call.reply.len_of(done);
    Ok(())
}
