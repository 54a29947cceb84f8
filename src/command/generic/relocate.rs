//! Keys to another place: RENAME, RENAMENX, COPY, MOVE, SWAPDB.
//!
//! *Duty:* carry value, deadline and (unless it is a copy) access bits from one name or database to another. *Does not
//! know:* who watches or waits for the keys of a swapped database; that is told as one effect.
//! *Invariant:* a value that lies outside its entry moves without being copied.
//! *Counterpart in C Redis:* `renameGenericCommand`, `copyCommand`, `moveCommand`, `swapdbCommand`.

use crate::base::num;
use crate::call::{Call, Class, CmdError, CmdResult, DbId, Event};
use crate::command::spec::*;
use crate::keyspace::{EntryRef, Expire, Keyspace, New, Taken, View, discard, event};

const RENAME_FROM: Event = Event::new(Class::GENERIC, "rename_from");
const RENAME_TO: Event = Event::new(Class::GENERIC, "rename_to");
const MOVE_FROM: Event = Event::new(Class::GENERIC, "move_from");
const MOVE_TO: Event = Event::new(Class::GENERIC, "move_to");
const COPY_TO: Event = Event::new(Class::GENERIC, "copy_to");

const TAKEN_AWAY: KeySpec = KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::DELETE));

const RENAMING: Spec = Spec {
    arity: 3,
    acl: Categories::KEYSPACE,
    group: Group::Generic,
    since: "1.0.0",
    complexity: "O(1)",
    syntax: "key newkey",
    ..Spec::BASE
};

pub const RENAME: DataCommand = Command::new(
    rename,
    Spec {
        name: "rename",
        flags: WRITE,
        keys: &[TAKEN_AWAY, KeySpec::one(2, KeyFlags::OW.or(KeyFlags::UPDATE))],
        summary: "Gives a key another name; a key of that name is overwritten.",
        ..RENAMING
    },
);

fn rename(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (key, newkey) = (call.arg(1), call.arg(2));
    ks.write(key, call).ok_or(CmdError::NoSuchKey)?;
    call.reply.ok();
    if key != newkey {
        // An overdue key in the way expires, with all that follows from it, before it is overwritten.
        ks.write(newkey, call);
        carry_to_name(ks, call);
    }
    Ok(())
}

pub const RENAMENX: DataCommand = Command::new(
    renamenx,
    Spec {
        name: "renamenx",
        flags: WRITE.or(FAST),
        keys: &[TAKEN_AWAY, KeySpec::one(2, KeyFlags::OW.or(KeyFlags::INSERT))],
        summary: "Gives a key another name, unless there is a key of that name.",
        history: &[("3.2.0", "Both names may be the same; that was an error.")],
        ..RENAMING
    },
);

fn renamenx(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (key, newkey) = (call.arg(1), call.arg(2));
    ks.write(key, call).ok_or(CmdError::NoSuchKey)?;
    let free = key != newkey && ks.write(newkey, call).is_none();
    if free {
        carry_to_name(ks, call);
    }
    call.reply.int(free as i64);
    Ok(())
}

fn carry_to_name(ks: &mut Keyspace, call: &mut Call<'_>) {
    let (db, key, newkey) = (call.db(), call.arg(1), call.arg(2));
    carry(ks, (db, key), (db, newkey), call);
    call.notify(newkey, event::NEW);
    call.modified(key, RENAME_FROM, 1);
    call.modified(newkey, RENAME_TO, 0);
}

pub const MOVE: DataCommand = Command::new(
    move_key,
    Spec {
        name: "move",
        arity: 3,
        flags: WRITE.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::UPDATE))],
        acl: Categories::KEYSPACE,
        group: Group::Generic,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Moves a key to another database, unless it has a key of that name.",
        syntax: "key db",
        ..Spec::BASE
    },
);

fn move_key(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    if ks.settings.cluster {
        return Err(CmdError::Fixed("ERR MOVE is not allowed in cluster mode"));
    }
    let (key, from, to) = (call.arg(1), call.db(), database(ks, call.arg(2))?);
    if from == to {
        return Err(CmdError::SameObject);
    }
    let moves = ks.write(key, call).is_some() && ks.inspect_in(to, key, call).is_none();
    if moves {
        carry(ks, (from, key), (to, key), call);
        call.fx.notify(to, event::NEW, key);
        call.modified(key, MOVE_FROM, 1);
        call.modified_in(to, key, MOVE_TO, 0);
    }
    call.reply.int(moves as i64);
    Ok(())
}

/// Takes a key that is there out of one place and puts it in another; what stands there goes.
fn carry(ks: &mut Keyspace, from: (DbId, &[u8]), to: (DbId, &[u8]), call: &mut Call<'_>) {
    let source = ks.db_mut(from.0);
    let entry = source.entries.get(source.entries.hash(from.1), from.1).expect("the caller has looked it up");
    let (access, expire) = (entry.access(), deadline_of(entry));
    // What lies in the entry is copied; what lies outside moves.
    let mut text = Vec::new();
    let plain = if entry.outside_len() == 0 { duplicate(entry, &mut text) } else { New::Bytes(b"") };
    let value = match source.remove(from.1).expect("just looked up") {
        Taken::Plain => plain,
        Taken::Buffer(buffer) => New::Owned(buffer),
        Taken::Object(object) => New::Object(object),
    };
    if let Some(old) = ks.db_mut(to.0).put(to.1, value, expire, access, call.now) {
        discard(old, ks.settings.lazy_server_del, call.fx);
    }
}

fn deadline_of(entry: EntryRef<'_>) -> Expire {
    entry.expires_at().map_or(Expire::Clear, Expire::At)
}

pub const COPY: DataCommand = Command::new(
    copy,
    Spec {
        name: "copy",
        arity: -3,
        flags: WRITE.or(DENYOOM),
        keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS)), KeySpec::one(2, KeyFlags::OW.or(KeyFlags::UPDATE))],
        acl: Categories::KEYSPACE,
        group: Group::Generic,
        since: "6.2.0",
        complexity: "O(1) for a string, O(N) for a collection of N elements.",
        summary: "Copies a key's value to another key.",
        syntax: "source destination [DB destination-db] [REPLACE]",
        ..Spec::BASE
    },
);

fn copy(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (to, replace) = copy_options(ks, call)?;
    if ks.settings.cluster && (call.db() != DbId(0) || to != DbId(0)) {
        return Err(CmdError::Fixed("ERR Copying to another database is not allowed in cluster mode"));
    }
    let (key, newkey) = (call.arg(1), call.arg(2));
    if to == call.db() && key == newkey {
        return Err(CmdError::SameObject);
    }
    let mut text = Vec::new();
    let copied = ks.read(key, call).map(|entry| (duplicate(entry, &mut text), deadline_of(entry)));
    let Some((value, expire)) = copied else {
        call.reply.int(0);
        return Ok(());
    };
    if ks.inspect_in(to, newkey, call).is_some() && !replace {
        call.reply.int(0);
        return Ok(());
    }
    ks.put_in(to, newkey, value, expire, call);
    call.fx.notify(to, event::NEW, newkey);
    call.modified_in(to, newkey, COPY_TO, 1);
    call.reply.int(1);
    Ok(())
}

fn copy_options(ks: &Keyspace, call: &Call<'_>) -> Result<(DbId, bool), CmdError> {
    let (mut to, mut replace) = (call.db(), false);
    let mut i = 3;
    while i < call.args.len() {
        if call.args.is(i, "REPLACE") {
            replace = true;
        } else if call.args.is(i, "DB") && i + 1 < call.args.len() {
            i += 1;
            to = database(ks, call.arg(i))?;
        } else {
            return Err(CmdError::Syntax);
        }
        i += 1;
    }
    Ok((to, replace))
}

/// A second value like the entry's; `text` holds its bytes when they will lie in the new entry.
fn duplicate<'t>(entry: EntryRef<'_>, text: &'t mut Vec<u8>) -> New<'t> {
    match entry.view() {
        View::Int(i) => New::Int(i),
        View::Str(s) if entry.outside_len() == 0 => {
            text.extend_from_slice(s);
            New::Bytes(text)
        }
        View::Str(s) => New::Owned(s.to_vec()),
        View::Object(_) => match entry.small() {
            Some((form, bytes)) => {
                text.extend_from_slice(bytes);
                New::Small(form, text)
            }
            None => New::Object(Box::new(entry.object().expect("not small, so outside").clone())),
        },
    }
}

pub const SWAPDB: DataCommand = Command::new(
    swapdb,
    Spec {
        name: "swapdb",
        arity: 3,
        flags: WRITE.or(FAST),
        acl: Categories::KEYSPACE.or(Categories::DANGEROUS),
        group: Group::Server,
        since: "4.0.0",
        complexity: "O(N) for N clients that watch keys of the two databases or wait for them.",
        summary: "Lets two databases change places.",
        syntax: "index1 index2",
        ..Spec::BASE
    },
);

fn swapdb(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    if ks.settings.cluster {
        return Err(CmdError::Fixed("ERR SWAPDB is not allowed in cluster mode"));
    }
    let index = |i: usize, bad| int32(call.arg(i)).map_err(|_| CmdError::Fixed(bad));
    let first = index(1, "ERR invalid first DB index")?;
    let second = index(2, "ERR invalid second DB index")?;
    let (first, second) = (database_at(ks, first)?, database_at(ks, second)?);
    if first != second {
        ks.dbs.swap(first.0 as usize, second.0 as usize);
        call.fx.swap(first, second);
    }
    call.fx.dirty += 1;
    call.reply.ok();
    Ok(())
}

/// The database that an argument names.
fn database(ks: &Keyspace, arg: &[u8]) -> Result<DbId, CmdError> {
    database_at(ks, int32(arg)?)
}

fn database_at(ks: &Keyspace, index: i32) -> Result<DbId, CmdError> {
    let exists = usize::try_from(index).is_ok_and(|index| index < ks.dbs.len());
    if exists { Ok(DbId(index as u32)) } else { Err(CmdError::DbIndexOutOfRange) }
}

fn int32(arg: &[u8]) -> Result<i32, CmdError> {
    let value = num::parse_i64(arg).ok_or(CmdError::NotInteger)?;
    let bad = "ERR value is out of range, value must between -2147483648 and 2147483647";
    i32::try_from(value).map_err(|_| CmdError::Fixed(bad))
}
