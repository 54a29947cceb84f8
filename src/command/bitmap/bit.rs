//! Single bits: SETBIT, GETBIT.
//!
//! *Invariant:* SETBIT that neither changes the bit nor makes the string longer is not a change: no event, no
//! operation. *Counterpart in C Redis:* `setbitCommand`, `getbitCommand`.

use super::{BITMAP_SPEC, BITS_SET, bit_offset};
use crate::base::num;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::command::string::{bytes_of, make_room};
use crate::keyspace::{Expire, Keyspace, New};

pub const SETBIT: DataCommand = Command::new(
    setbit,
    Spec {
        name: "setbit",
        arity: 4,
        flags: WRITE.or(DENYOOM),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::UPDATE))],
        since: "2.2.0",
        summary: "Sets or clears one bit of a string, making the string long enough, and returns what the bit was.",
        syntax: "key offset value:integer",
        ..BITMAP_SPEC
    },
);

fn setbit(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let key = call.arg(1);
    let offset = bit_offset(call.arg(2), None, ks.settings.max_string, call)?;
    let on = match num::parse_i64(call.arg(3)) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(CmdError::Fixed("ERR bit is not an integer or out of range")),
    };
    let (at, mask) = ((offset >> 3) as usize, 0x80u8 >> (offset & 7));
    let (was, grown) = match ks.write(key, call) {
        Some(mut entry) if entry.entry().is_string() => entry.edit_string(|bytes| {
            let grown = at >= bytes.len();
            if grown {
                make_room(bytes, at + 1);
                bytes.resize(at + 1, 0);
            }
            let was = bytes[at] & mask != 0;
            bytes[at] = if on { bytes[at] | mask } else { bytes[at] & !mask };
            (was, grown)
        }),
        Some(_) => return Err(CmdError::WrongType),
        None => {
            let mut bytes = vec![0; at + 1];
            bytes[at] = if on { mask } else { 0 };
            ks.set(key, New::Owned(bytes), Expire::Clear, call);
            (false, true)
        }
    };
    if grown || was != on {
        call.modified(key, BITS_SET, 1);
    }
    call.reply.int(was as i64);
    Ok(())
}

pub const GETBIT: DataCommand = Command::new(
    getbit,
    Spec {
        name: "getbit",
        arity: 3,
        flags: READONLY.or(FAST),
        since: "2.2.0",
        summary: "Returns one bit of a string; bits beyond its end are 0.",
        syntax: "key offset",
        ..BITMAP_SPEC
    },
);

fn getbit(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let offset = bit_offset(call.arg(2), None, ks.settings.max_string, call)?;
    let mut digits = [0; num::MAX_DECIMAL_LEN];
    let bytes = match ks.read(call.arg(1), call) {
        Some(entry) => bytes_of(entry.view(), &mut digits)?,
        None => b"",
    };
    let byte = bytes.get((offset >> 3) as usize).copied().unwrap_or(0);
    call.reply.int((byte >> (7 - (offset & 7)) & 1) as i64);
    Ok(())
}
