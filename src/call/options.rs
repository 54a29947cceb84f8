//! The option grammar that commands share: expiry times, numkeys, timeouts, cursors.
//!
//! *Duty:* one place for `EX/PX/EXAT/PXAT`, for the range checks of times, and for their error texts.
//! *Counterpart in C Redis:* `parseExtendedStringArgumentsOrReply`, `getExpireMillisecondsOrReply`,
//! `getTimeoutFromObjectOrReply`.

use crate::base::millis::Millis;
use crate::base::{float, num};
use crate::call::CmdError;

/// A time as commands give it: in which unit, and from when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpireUnit {
    /// EX: seconds from now.
    Seconds,
    /// PX: milliseconds from now.
    Millis,
    /// EXAT: Unix seconds.
    UnixSeconds,
    /// PXAT: Unix milliseconds.
    UnixMillis,
}

impl ExpireUnit {
    /// The unit an option word names.
    pub fn of(word: &[u8]) -> Option<ExpireUnit> {
        [
            ("EX", ExpireUnit::Seconds),
            ("PX", ExpireUnit::Millis),
            ("EXAT", ExpireUnit::UnixSeconds),
            ("PXAT", ExpireUnit::UnixMillis),
        ]
        .into_iter()
        .find_map(|(name, unit)| word.eq_ignore_ascii_case(name.as_bytes()).then_some(unit))
    }

    fn in_seconds(self) -> bool {
        matches!(self, ExpireUnit::Seconds | ExpireUnit::UnixSeconds)
    }

    fn relative(self) -> bool {
        matches!(self, ExpireUnit::Seconds | ExpireUnit::Millis)
    }

    /// The deadline that `value` means. Overflow is an error that names the command; so is a value that is not
    /// positive, unless `any_sign` (the EXPIRE family takes points in the past).
    pub fn deadline(self, value: i64, now: Millis, any_sign: bool, command: &'static str) -> Result<Millis, CmdError> {
        let bad = CmdError::InvalidExpire(command);
        if value <= 0 && !any_sign {
            return Err(bad);
        }
        let ms = if self.in_seconds() { value.checked_mul(1000) } else { Some(value) };
        let base = if self.relative() { now.0 } else { 0 };
        match ms.and_then(|ms| ms.checked_add(base)) {
            Some(at) => Ok(Millis(at)),
            None => Err(bad),
        }
    }
}

/// Reads an expire argument: an integer, then [`ExpireUnit::deadline`].
pub fn expire_arg(arg: &[u8], unit: ExpireUnit, now: Millis, command: &'static str) -> Result<Millis, CmdError> {
    let value = num::parse_i64(arg).ok_or(CmdError::NotInteger)?;
    unit.deadline(value, now, false, command)
}

/// A blocking command's timeout in (fractions of) seconds: the deadline, or `None` for "for ever".
pub fn timeout_seconds(arg: &[u8], now: Millis) -> Result<Option<Millis>, CmdError> {
    let bad = || CmdError::Fixed("ERR timeout is not a float or out of range");
    let seconds = float::parse_f64(arg).ok_or_else(bad)?;
    let ms = (seconds * 1000.0).ceil();
    if !ms.is_finite() || ms > i64::MAX as f64 {
        return Err(CmdError::Fixed("ERR timeout is out of range"));
    }
    if ms < 0.0 {
        return Err(CmdError::Fixed("ERR timeout is negative"));
    }
    match (ms as i64).checked_add(now.0) {
        _ if ms == 0.0 => Ok(None),
        Some(at) => Ok(Some(Millis(at))),
        None => Err(CmdError::Fixed("ERR timeout is out of range")),
    }
}
