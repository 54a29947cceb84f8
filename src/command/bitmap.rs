//! Bitmap commands: strings read as bits, bit 0 being the highest of the first byte.
//!
//! *Duty:* the family's table, and how an offset of a bit is written. *Does not know:* how a string lies in its entry;
//! it is edited through the keyspace as SETRANGE edits it.
//! *Invariants:* a string written here reports the encoding `raw`, whether a bit of it changed or not. No bit at or
//! beyond `proto-max-bulk-len` bytes is addressed, save by the master or the append only file.
//! *Reading order:* `bit`, `range` (counting and searching), `op`, `field`; `words` holds the loops.
//! *Counterpart in C Redis:* `bitops.c`.

use super::spec::*;
use crate::base::num;
use crate::call::{Call, Class, CmdError, Event, Origin};

mod bit;
mod field;
mod op;
mod range;
mod words;

pub const COMMANDS: &[DataCommand] =
    &[range::BITCOUNT, field::BITFIELD, field::BITFIELD_RO, op::BITOP, range::BITPOS, bit::GETBIT, bit::SETBIT];

/// What the rows of this family have in common.
const BITMAP_SPEC: Spec = Spec {
    flags: READONLY,
    keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
    acl: Categories::BITMAP,
    group: Group::Bitmap,
    complexity: "O(1)",
    ..Spec::BASE
};

/// The event of every command that changes bits in place.
const BITS_SET: Event = Event::new(Class::STRING, "setbit");

/// The offset of a bit. `#n` counts in fields of `width` bits, where fields have a width.
fn bit_offset(arg: &[u8], width: Option<u32>, limit: u64, call: &Call<'_>) -> Result<u64, CmdError> {
    let bad = CmdError::Fixed("ERR bit offset is not an integer or out of range");
    let (digits, unit) = match (arg.strip_prefix(b"#"), width) {
        (Some(digits), Some(width)) => (digits, width as i64),
        _ => (arg, 1),
    };
    let obeys = matches!(call.caller.origin, Origin::Aof | Origin::Master);
    // A product that overflows wraps, as it does in the reference: it may become an offset that is allowed.
    let offset = num::parse_i64(digits).map(|n| n.wrapping_mul(unit));
    match offset.and_then(|n| u64::try_from(n).ok()) {
        Some(offset) if obeys || offset >> 3 < limit => Ok(offset),
        _ => Err(bad),
    }
}
