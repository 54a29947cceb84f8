//! Parts of strings: APPEND, GETRANGE, SUBSTR, SETRANGE, STRLEN.
//!
//! *Invariants:* a string that was edited here reports the encoding `raw`, however short it is. No string grows
//! beyond `proto-max-bulk-len`.
//! *Counterpart in C Redis:* `appendCommand`, `getrangeCommand`, `setrangeCommand`, `strlenCommand`.

use super::{STRING_SPEC, bytes_of, check_len, len_of};
use crate::base::num;
use crate::call::{Call, Class, CmdError, CmdResult, Event};
use crate::command::spec::*;
use crate::keyspace::{Expire, Keyspace, New, string};

const APPENDED: Event = Event::new(Class::STRING, "append");
const RANGE_SET: Event = Event::new(Class::STRING, "setrange");

/// A growing string takes as much again in advance as it has, up to this many bytes.
const ADVANCE_MAX: usize = 1 << 20;

pub const APPEND: DataCommand = Command::new(
    append,
    Spec {
        name: "append",
        arity: 3,
        flags: WRITE.or(DENYOOM).or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::INSERT))],
        since: "2.0.0",
        complexity: "O(1) amortized for a short addition, because a growing string reserves room in advance.",
        summary: "Adds bytes to the end of a string, making it if there is none.",
        syntax: "key value",
        ..STRING_SPEC
    },
);

fn append(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (key, tail) = (call.arg(1), call.arg(2));
    let limit = ks.settings.max_string;
    let len = match ks.write(key, call) {
        Some(mut entry) => {
            let len = len_of(entry.entry().view())?;
            check_len(len, tail.len(), limit, call)?;
            entry.edit_string(|bytes| {
                make_room(bytes, len + tail.len());
                bytes.extend_from_slice(tail);
            });
            len + tail.len()
        }
        None => {
            ks.set(key, string(tail), Expire::Clear, call);
            tail.len()
        }
    };
    call.modified(key, APPENDED, 1);
    call.reply.len_of(len);
    Ok(())
}

/// Room for `len` bytes, and some in advance when that means to move.
pub(in crate::command) fn make_room(bytes: &mut Vec<u8>, len: usize) {
    if len > bytes.capacity() {
        bytes.reserve_exact(len - bytes.len() + len.min(ADVANCE_MAX));
    }
}

pub const SETRANGE: DataCommand = Command::new(
    setrange,
    Spec {
        name: "setrange",
        arity: 4,
        flags: WRITE.or(DENYOOM),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::UPDATE))],
        since: "2.2.0",
        complexity: "O(1) for a short value that lies inside the string; otherwise O(M) with M the length of the value argument, beside the bytes that fill a gap.",
        summary: "Overwrites a part of a string from an offset on, filling a gap before it with zero bytes.",
        syntax: "key offset value",
        ..STRING_SPEC
    },
);

fn setrange(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (key, part) = (call.arg(1), call.arg(3));
    let Ok(offset) = usize::try_from(call.args.int(2)?) else {
        return Err(CmdError::Fixed("ERR offset is out of range"));
    };
    let limit = ks.settings.max_string;
    let entry = ks.write(key, call);
    let len = match &entry {
        Some(entry) => len_of(entry.entry().view())?,
        None => 0,
    };
    if part.is_empty() {
        call.reply.len_of(len);
        return Ok(());
    }
    check_len(offset, part.len(), limit, call)?;
    let end = offset + part.len();
    match entry {
        Some(mut entry) => entry.edit_string(|bytes| {
            make_room(bytes, end);
            bytes.resize(len.max(end), 0);
            bytes[offset..end].copy_from_slice(part);
        }),
        None => {
            let mut bytes = vec![0; end];
            bytes[offset..].copy_from_slice(part);
            ks.set(key, New::Owned(bytes), Expire::Clear, call);
        }
    }
    call.modified(key, RANGE_SET, 1);
    call.reply.len_of(len.max(end));
    Ok(())
}

const GETRANGE_SPEC: Spec = Spec {
    arity: 4,
    flags: READONLY,
    keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
    complexity: "O(N) with N the length of the returned part; O(1) for a short one, wherever it lies.",
    syntax: "key start end",
    ..STRING_SPEC
};

pub const GETRANGE: DataCommand = Command::new(
    getrange,
    Spec { name: "getrange", since: "2.4.0", summary: "Returns a part of a string.", ..GETRANGE_SPEC },
);

pub const SUBSTR: DataCommand = Command::new(
    getrange,
    Spec {
        name: "substr",
        summary: "Returns a part of a string, under its first name.",
        deprecated: Some(("2.0.0", "`GETRANGE`")),
        ..GETRANGE_SPEC
    },
);

fn getrange(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (start, end) = (call.args.int(2)?, call.args.int(3)?);
    let mut digits = [0; num::MAX_DECIMAL_LEN];
    let bytes = match ks.read(call.arg(1), call) {
        Some(entry) => bytes_of(entry.view(), &mut digits)?,
        None => b"",
    };
    call.reply.bulk(part(bytes, start, end));
    Ok(())
}

/// The bytes `start..=end`; negative indices count from the end, and both are cut to what there is.
///
/// Quirk: two indices before the string's first byte give that byte, unless they stand in the wrong order.
fn part(bytes: &[u8], start: i64, end: i64) -> &[u8] {
    let len = bytes.len() as i64;
    if start < 0 && end < 0 && start > end {
        return b"";
    }
    let from_start = |i: i64| if i < 0 { (i + len).max(0) } else { i };
    let (start, end) = (from_start(start), from_start(end).min(len - 1));
    if start > end { b"" } else { &bytes[start as usize..=end as usize] }
}

pub const STRLEN: DataCommand = Command::new(
    strlen,
    Spec {
        name: "strlen",
        arity: 2,
        flags: READONLY.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RO)],
        since: "2.2.0",
        summary: "Tells the length of a string.",
        syntax: "key",
        ..STRING_SPEC
    },
);

fn strlen(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let len = match ks.read(call.arg(1), call) {
        Some(entry) => len_of(entry.view())?,
        None => 0,
    };
    call.reply.len_of(len);
    Ok(())
}
