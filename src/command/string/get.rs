//! GET, and the readers that change the key they read: GETDEL, GETEX; DELIFEQ, which answers only whether it did.
//!
//! *Invariants:* GETDEL and GETEX go to AOF and replicas as what they did (DEL, PEXPIREAT, PERSIST), and not at all
//! when they did nothing.
//! *Counterpart in C Redis:* `getCommand`, `getdelCommand`, `getexCommand`.

use super::set::Expiry;
use super::{STRING_SPEC, bytes_of, reply_string};
use crate::base::millis::Millis;
use crate::base::num;
use crate::call::{Call, CmdError, CmdResult, Origin};
use crate::command::spec::*;
use crate::keyspace::{EntryMut, Keyspace, event};

pub const GET: DataCommand = Command::new(
    get,
    Spec {
        name: "get",
        arity: 2,
        flags: READONLY.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
        summary: "Returns a string.",
        syntax: "key",
        ..STRING_SPEC
    },
);

fn get(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    match ks.read(call.arg(1), call) {
        Some(entry) => reply_string(call.reply, entry.view())?,
        None => call.reply.null(),
    }
    Ok(())
}

pub const GETDEL: DataCommand = Command::new(
    getdel,
    Spec {
        name: "getdel",
        arity: 2,
        flags: WRITE.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::DELETE))],
        since: "6.2.0",
        summary: "Returns a string and deletes its key.",
        syntax: "key",
        ..STRING_SPEC
    },
);

fn getdel(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let key = call.arg(1);
    let Some(entry) = ks.read(key, call) else {
        call.reply.null();
        return Ok(());
    };
    reply_string(call.reply, entry.view())?;
    let lazy = ks.settings.lazy_user_del;
    ks.delete_freeing(call.db(), key, lazy, call);
    call.modified(key, event::DEL, 1);
    call.replicate_as(&[deletion(lazy), key]);
    Ok(())
}

pub const DELIFEQ: DataCommand = Command::new(
    delifeq,
    Spec {
        name: "delifeq",
        arity: 3,
        flags: WRITE.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RM.or(KeyFlags::DELETE))],
        since: "9.0.0",
        summary: "Deletes a key if it holds this string.",
        syntax: "key value",
        ..STRING_SPEC
    },
);

fn delifeq(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (key, mut digits) = (call.arg(1), [0; num::MAX_DECIMAL_LEN]);
    let entry = ks.write(key, call).map(EntryMut::into_entry);
    let equal = match entry {
        Some(entry) => bytes_of(entry.view(), &mut digits)? == call.arg(2),
        None => false,
    };
    if equal {
        let lazy = ks.settings.lazy_user_del;
        ks.delete_freeing(call.db(), key, lazy, call);
        call.modified(key, event::DEL, 1);
        call.replicate_as(&[deletion(lazy), key]);
    }
    call.reply.int(equal as i64);
    Ok(())
}

/// The command as which a deletion travels.
fn deletion(lazy: bool) -> &'static [u8] {
    if lazy { b"UNLINK" } else { b"DEL" }
}

pub const GETEX: DataCommand = Command::new(
    getex,
    Spec {
        name: "getex",
        arity: -2,
        flags: WRITE.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::UPDATE))],
        since: "6.2.0",
        summary: "Returns a string and changes when its key expires.",
        syntax: "key [<EX seconds|PX milliseconds|EXAT unix-time-seconds|PXAT unix-time-milliseconds|PERSIST>]",
        ..STRING_SPEC
    },
);

fn getex(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let mut expiry = Expiry::Unsaid;
    let mut words = call.args.from(2);
    while let Some(word) = words.next() {
        if !expiry.take(word, &mut words, "PERSIST") {
            return Err(CmdError::Syntax);
        }
    }
    let key = call.arg(1);
    let Some(entry) = ks.read(key, call) else {
        call.reply.null();
        return Ok(());
    };
    if !entry.is_string() {
        return Err(CmdError::WrongType);
    }
    let deadline = expiry.deadline(call.now, "getex")?;
    let volatile = entry.expires_at().is_some();
    reply_string(call.reply, entry.view())?;
    match deadline {
        Some(deadline) if expiry.is_absolute() && is_past(deadline, ks, call) => {
            ks.delete(key, call);
            call.modified(key, event::DEL, 1);
            call.replicate_as(&[deletion(ks.settings.lazy_expire), key]);
        }
        Some(deadline) => {
            ks.set_deadline(key, Some(deadline), call);
            call.modified(key, event::EXPIRE, 1);
            let mut digits = [0; num::MAX_DECIMAL_LEN];
            call.replicate_as(&[b"PEXPIREAT", key, num::format_i64(deadline.0, &mut digits)]);
        }
        None if expiry == Expiry::Word && volatile => {
            ks.set_deadline(key, None, call);
            call.modified(key, event::PERSIST, 1);
            call.replicate_as(&[b"PERSIST", key]);
        }
        None => {}
    }
    Ok(())
}

/// Whether a key with this deadline is better deleted at once. A replica and a file being loaded leave that to those
/// who know: the deletion is in the stream.
fn is_past(deadline: Millis, ks: &Keyspace, call: &Call<'_>) -> bool {
    deadline <= call.now && !ks.settings.hide_expired && call.caller.origin != Origin::Aof
}
