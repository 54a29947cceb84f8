//! Counting and searching in a range of bytes or bits: BITCOUNT, BITPOS.
//!
//! *Invariants:* a missing key is answered before the rest of the request is looked at; a range is inclusive, and cut
//! to what there is. *Counterpart in C Redis:* `bitcountCommand`, `bitposCommand`.

use std::ops::RangeInclusive;

use super::{BITMAP_SPEC, words};
use crate::base::num;
use crate::call::{Args, Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::command::string::bytes_of;
use crate::keyspace::Keyspace;

const UNIT_HISTORY: &[(&str, &str)] = &[("7.0.0", "Added the `BYTE|BIT` option.")];

pub const BITCOUNT: DataCommand = Command::new(
    bitcount,
    Spec {
        name: "bitcount",
        arity: -2,
        since: "2.6.0",
        complexity: "O(N)",
        summary: "Counts the bits of a string that are set, or those of a range of it.",
        syntax: "key [(start end [<BYTE|BIT>:index_unit@7.0.0]):index]",
        history: UNIT_HISTORY,
        ..BITMAP_SPEC
    },
);

fn bitcount(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let mut digits = [0; num::MAX_DECIMAL_LEN];
    let bytes = match ks.read(call.arg(1), call) {
        Some(entry) => bytes_of(entry.view(), &mut digits)?,
        None => {
            call.reply.int(0);
            return Ok(());
        }
    };
    let count = match call.args.len() {
        2 => words::count_ones(bytes),
        4 | 5 => {
            let (start, end) = (call.args.int(2)?, call.args.int(3)?);
            // Two ends counted from the back in the wrong order hide even a wrong unit.
            let reversed = start < 0 && end < 0 && start > end;
            let in_bits = !reversed && unit_is_bit(call.args, 4)?;
            let range = if reversed { None } else { bit_range(start, end, bytes.len(), in_bits) };
            range.map_or(0, |range| words::count_ones_in(bytes, range))
        }
        _ => return Err(CmdError::Syntax),
    };
    call.reply.int(count as i64);
    Ok(())
}

pub const BITPOS: DataCommand = Command::new(
    bitpos,
    Spec {
        name: "bitpos",
        arity: -3,
        since: "2.8.7",
        complexity: "O(N)",
        summary: "Finds the first bit of a string, or of a range of it, that is set or clear.",
        syntax: "key bit [(start [(end [<BYTE|BIT>:index_unit@7.0.0]):end_index]):index]",
        history: UNIT_HISTORY,
        ..BITMAP_SPEC
    },
);

fn bitpos(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let args = call.args;
    let bit = match args.int(2)? {
        0 => false,
        1 => true,
        _ => return Err(CmdError::Fixed("ERR The bit argument must be 1 or 0.")),
    };
    let mut digits = [0; num::MAX_DECIMAL_LEN];
    let bytes = match ks.read(call.arg(1), call) {
        Some(entry) => bytes_of(entry.view(), &mut digits)?,
        None => {
            call.reply.int(if bit { -1 } else { 0 });
            return Ok(());
        }
    };
    let range = match args.len() {
        3 => bit_range(0, -1, bytes.len(), false),
        4..=6 => {
            let start = args.int(3)?;
            let in_bits = unit_is_bit(args, 5)?;
            let end = if args.len() > 4 { args.int(4)? } else { -1 };
            bit_range(start, end, bytes.len(), in_bits)
        }
        _ => return Err(CmdError::Syntax),
    };
    let open_end = args.len() < 5;
    let position = match range {
        None => None,
        // Without an end, a string goes on with clear bits for ever.
        Some(range) => words::find(bytes, range, bit).or((open_end && !bit).then_some(bytes.len() as u64 * 8)),
    };
    call.reply.int(position.map_or(-1, |at| at as i64));
    Ok(())
}

/// Whether argument `i`, if it is there, says BIT; anything but BYTE otherwise is refused.
fn unit_is_bit(args: Args<'_>, i: usize) -> Result<bool, CmdError> {
    match args.opt(i) {
        None => Ok(false),
        Some(_) if args.is(i, "bit") => Ok(true),
        Some(_) if args.is(i, "byte") => Ok(false),
        Some(_) => Err(CmdError::Syntax),
    }
}

/// The bits of a range whose ends count bytes or bits, from the back when negative; `None` when it is empty.
fn bit_range(start: i64, end: i64, len: usize, in_bits: bool) -> Option<RangeInclusive<u64>> {
    let total = if in_bits { len as i64 * 8 } else { len as i64 };
    let from_start = |i: i64| if i < 0 { (i + total).max(0) } else { i };
    let (start, end) = (from_start(start), from_start(end).min(total - 1));
    if start > end {
        return None;
    }
    let (start, end) = (start as u64, end as u64);
    Some(if in_bits { start..=end } else { start * 8..=end * 8 + 7 })
}
