//! The arguments of commands on the deadlines of fields: `FIELDS numfields field ...`, times.
//!
//! *Invariant:* the number of fields is believed only if it is what is there. *Counterpart in C Redis:* the argument
//! halves of `hexpireGenericCommand`, `httlGenericCommand` and their neighbours in 7.4 and 8.

use crate::base::millis::Millis;
use crate::base::num;
use crate::call::options::ExpireUnit;
use crate::call::{Call, CmdError};

/// No deadline of a field is later than this (2^46 ms, some 2,200 years): the reference keeps them in so many bits.
const LATEST: i64 = 0xffff_ffff_fffe >> 2;

/// What HTTL and the like say to a wrong `numfields`.
pub(super) const NOT_POSITIVE: CmdError = CmdError::Fixed("ERR Number of fields must be a positive integer");
/// What HEXPIRE and the like say to it.
pub(super) const NOT_ABOVE_ZERO: CmdError = CmdError::Fixed("ERR Parameter `numFields` should be greater than 0");

/// The fields after the word FIELDS, which must be argument `at`.
pub(super) fn named<'a>(
    call: &Call<'a>,
    at: usize,
    bad_count: CmdError,
) -> Result<impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a>, CmdError> {
    if !call.args.is(at, "FIELDS") {
        return Err(CmdError::Fixed("ERR Mandatory argument FIELDS is missing or not at the right position"));
    }
    let count = call.args.opt(at + 1).and_then(num::parse_i64).filter(|&n| n >= 1).ok_or(bad_count)?;
    let fields = call.args.from(at + 2);
    if count as u64 != fields.len() as u64 {
        return Err(CmdError::Fixed("ERR The `numfields` parameter must match the number of arguments"));
    }
    Ok(fields)
}

/// A point in time, as argument `at` gives it in this unit.
pub(super) fn deadline(
    call: &Call<'_>,
    at: usize,
    unit: ExpireUnit,
    command: &'static str,
) -> Result<Millis, CmdError> {
    let value = call.args.int(at)?;
    if value < 0 {
        return Err(CmdError::Fixed("ERR invalid expire time, must be >= 0"));
    }
    match unit.deadline(value, call.now, true, command)? {
        Millis(at) if at > LATEST => Err(CmdError::InvalidExpire(command)),
        at => Ok(at),
    }
}
