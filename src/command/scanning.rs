//! What SCAN, SSCAN, HSCAN and ZSCAN share: the cursor, the options, when a call has done enough, the reply.
//!
//! *Does not know:* what is walked through. *Invariant:* a step visits a whole bucket, so that a cursor never points
//! into the middle of one. *Counterpart in C Redis:* `scanGenericCommand`, `parseScanCursorOrReply`.

use crate::base::glob::{self, Case};
use crate::base::num;
use crate::call::{Call, CmdError};
use crate::ds::element::Elem;
use crate::resp::ReplyBuf;

/// The options of the SCAN family.
pub struct Filter<'a> {
    pattern: Option<&'a [u8]>,
    /// Of SCAN alone.
    pub type_name: Option<&'a [u8]>,
    count: u64,
    /// NOVALUES of HSCAN, NOSCORES of ZSCAN: only names are asked for.
    pub names_only: bool,
}

impl<'a> Filter<'a> {
    /// SCAN's options, which follow the cursor.
    pub fn parse_of_keyspace(call: &Call<'a>) -> Result<Filter<'a>, CmdError> {
        Filter::parse(call, 2, true, None)
    }

    /// The options of SSCAN, HSCAN and ZSCAN, which follow the key and the cursor. `names_only`: the word that leaves
    /// out what belongs to each name.
    pub fn parse_of_collection(call: &Call<'a>, names_only: Option<&str>) -> Result<Filter<'a>, CmdError> {
        Filter::parse(call, 3, false, names_only)
    }

    fn parse(call: &Call<'a>, from: usize, of_keyspace: bool, bare: Option<&str>) -> Result<Filter<'a>, CmdError> {
        let mut filter = Filter { pattern: None, type_name: None, count: 10, names_only: false };
        let mut i = from;
        while i < call.args.len() {
            if bare.is_some_and(|word| call.args.is(i, word)) {
                filter.names_only = true;
                i += 1;
                continue;
            }
            let value = call.args.opt(i + 1).ok_or(CmdError::Syntax)?;
            if call.args.is(i, "COUNT") {
                filter.count = match call.args.int(i + 1)? {
                    count if count >= 1 => count as u64,
                    _ => return Err(CmdError::Syntax),
                };
            } else if call.args.is(i, "MATCH") {
                filter.pattern = Some(value);
            } else if of_keyspace && call.args.is(i, "TYPE") {
                filter.type_name = Some(value);
            } else {
                return Err(CmdError::Syntax);
            }
            i += 2;
        }
        Ok(filter)
    }

    #[inline]
    pub fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| name_matches(pattern, name))
    }

    pub fn matches_elem(&self, name: Elem<'_>) -> bool {
        self.pattern.is_none() || self.matches(name.text(&mut Default::default()))
    }

    /// Repeats `step`, which visits one bucket, adds to the number of elements visited and returns the next cursor,
    /// until COUNT elements were visited, the end is reached, or too many buckets were empty. `parts`: how many
    /// replies an element makes.
    pub fn walk(&self, mut cursor: u64, parts: u64, mut step: impl FnMut(u64, &mut u64) -> u64) -> u64 {
        let (mut visited, mut steps) = (0, self.count.saturating_mul(10 * parts));
        loop {
            cursor = step(cursor, &mut visited);
            if cursor == 0 || steps == 0 || visited >= self.count {
                return cursor;
            }
            steps -= 1;
        }
    }
}

/// Quirk: `*` takes an empty name too, which no other pattern with a star does (`tests/commands/keys_scan.txt`).
#[inline]
pub fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    pattern == b"*" || glob::matches(pattern, name, Case::Sensitive)
}

/// The next cursor, and the head of an array of `len` replies, which the caller writes.
pub fn reply_head(reply: &mut ReplyBuf, cursor: u64, len: usize) {
    reply.array(2);
    let mut digits = [0; 20];
    reply.bulk(num::format_u64(cursor, &mut digits));
    reply.array(len);
}

/// The reply for a key that is not there.
pub fn reply_nothing(reply: &mut ReplyBuf) {
    reply_head(reply, 0, 0);
}

/// A cursor as C's `strtoul` reads it: a sign is taken (minus counts down from 2^64), an empty text is 0.
pub fn parse_cursor(text: &[u8]) -> Result<u64, CmdError> {
    let invalid = CmdError::Fixed("ERR invalid cursor");
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        _ => (false, text),
    };
    if text.is_empty() {
        return Ok(0);
    }
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(invalid);
    }
    let add = |n: Option<u64>, digit: &u8| n?.checked_mul(10)?.checked_add((digit - b'0') as u64);
    let value = digits.iter().fold(Some(0), add).ok_or(invalid)?;
    Ok(if negative { value.wrapping_neg() } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_strtoul_reads_them() {
        let read = |text: &str| parse_cursor(text.as_bytes()).ok();
        assert_eq!(read(""), Some(0));
        assert_eq!(read("007"), Some(7));
        assert_eq!(read("+5"), Some(5));
        assert_eq!(read("-1"), Some(u64::MAX));
        assert_eq!(read("18446744073709551615"), Some(u64::MAX));
        for bad in ["18446744073709551616", " 1", "1 ", "x", "-", "+", "1x", "--1"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
