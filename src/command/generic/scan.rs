//! Looking at the whole of a database: KEYS, SCAN, RANDOMKEY.
//!
//! *Duty:* filter what the table hands out; overdue keys are never among it. *Does not know:* how the table keeps its
//! promise that SCAN misses nothing; see [`Table::scan`](crate::ds::table::Table::scan).
//! *Counterpart in C Redis:* `keysCommand`, `scanGenericCommand`, `dbRandomKey`.

use crate::base::glob::{self, Case};
use crate::base::num;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::keyspace::{EntryRef, Keyspace, event};

pub const KEYS: DataCommand = Command::new(
    keys,
    Spec {
        name: "keys",
        arity: 2,
        flags: READONLY,
        acl: Categories::KEYSPACE.or(Categories::DANGEROUS),
        group: Group::Generic,
        since: "1.0.0",
        complexity: "O(N) for N keys in the database; O(1) when the pattern is a plain name.",
        summary: "Lists the keys whose names match a pattern.",
        syntax: "pattern",
        tips: &["request_policy:all_shards", "nondeterministic_output_order"],
        ..Spec::BASE
    },
);

/// Overdue keys are left out but stay: KEYS changes nothing, not even the counts of hits and misses.
fn keys(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (pattern, now) = (call.arg(1), call.now);
    let entries = &ks.db(call.db()).entries;
    if glob::is_literal(pattern) {
        let found = entries.get(entries.hash(pattern), pattern).filter(|e| !e.is_expired(now));
        call.reply.array(found.is_some() as usize);
        if found.is_some() {
            call.reply.bulk(pattern);
        }
        return Ok(());
    }
    let mark = call.reply.defer();
    let mut count = 0;
    for entry in entries.iter() {
        if name_matches(pattern, entry.key()) && !entry.is_expired(now) {
            call.reply.bulk(entry.key());
            count += 1;
            if call.reply.is_full() {
                break;
            }
        }
    }
    call.reply.close_array(mark, count);
    Ok(())
}

/// Quirk: `*` takes the key with the empty name too, which no other pattern with a star does
/// (`tests/commands/keys_scan.txt`).
#[inline]
fn name_matches(pattern: &[u8], key: &[u8]) -> bool {
    pattern == b"*" || glob::matches(pattern, key, Case::Sensitive)
}

pub const SCAN: DataCommand = Command::new(
    scan,
    Spec {
        name: "scan",
        arity: -2,
        flags: READONLY,
        acl: Categories::KEYSPACE,
        group: Group::Generic,
        since: "2.8.0",
        complexity: "O(1) for a call; O(N) for all the calls that visit N keys.",
        summary: "Walks through the keys of a database, some at each call.",
        syntax: "cursor [MATCH pattern] [COUNT count] [TYPE type@6.0.0]",
        tips: &["nondeterministic_output", "request_policy:special"],
        history: &[("6.0.0", "The option `TYPE` filters by type.")],
        ..Spec::BASE
    },
);

/// The options of SCAN.
struct Filter<'a> {
    pattern: Option<&'a [u8]>,
    type_name: Option<&'a [u8]>,
    count: u64,
}

impl<'a> Filter<'a> {
    fn parse(call: &Call<'a>) -> Result<Filter<'a>, CmdError> {
        let mut filter = Filter { pattern: None, type_name: None, count: 10 };
        for i in (2..call.args.len()).step_by(2) {
            let value = call.args.opt(i + 1).ok_or(CmdError::Syntax)?;
            if call.args.is(i, "COUNT") {
                filter.count = match call.args.int(i + 1)? {
                    count if count >= 1 => count as u64,
                    _ => return Err(CmdError::Syntax),
                };
            } else if call.args.is(i, "MATCH") {
                filter.pattern = Some(value);
            } else if call.args.is(i, "TYPE") {
                filter.type_name = Some(value);
            } else {
                return Err(CmdError::Syntax);
            }
        }
        Ok(filter)
    }

    fn wants(&self, entry: EntryRef<'_>) -> bool {
        self.pattern.is_none_or(|pattern| name_matches(pattern, entry.key()))
    }

    /// A name that no type has is no error; nothing is of that type.
    fn type_fits(&self, entry: EntryRef<'_>) -> bool {
        self.type_name.is_none_or(|name| name.eq_ignore_ascii_case(entry.type_name().as_bytes()))
    }
}

fn scan(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let mut cursor = parse_cursor(call.arg(1))?;
    let filter = Filter::parse(call)?;
    let (mut kept, mut overdue) = (Vec::new(), Vec::new());
    let (mut visited, mut steps) = (0, filter.count.saturating_mul(10));
    let entries = &ks.db(call.db()).entries;
    loop {
        cursor = entries.scan(cursor, |entry| {
            visited += 1;
            if !filter.wants(entry) {
                return;
            }
            if entry.is_expired(call.now) {
                overdue.push(entry.key().to_vec());
                return;
            }
            // Asking for the type is a lookup, and counted as one.
            call.fx.counts.hits += filter.type_name.is_some() as u64;
            if filter.type_fits(entry) {
                kept.push(entry);
            }
        });
        if cursor == 0 || steps == 0 || visited >= filter.count {
            break;
        }
        steps -= 1;
    }
    call.reply.array(2);
    let mut digits = [0; 20];
    call.reply.bulk(num::format_u64(cursor, &mut digits));
    call.reply.array(kept.len());
    kept.iter().for_each(|entry| call.reply.bulk(entry.key()));
    for key in overdue {
        ks.inspect(&key, call);
        if filter.type_name.is_some() {
            call.fx.counts.misses += 1;
            call.notify(&key, event::KEY_MISS);
        }
    }
    Ok(())
}

/// A cursor as C's `strtoul` reads it: a sign is taken (minus counts down from 2^64), an empty text is 0.
fn parse_cursor(text: &[u8]) -> Result<u64, CmdError> {
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

pub const RANDOMKEY: DataCommand = Command::new(
    random_key,
    Spec {
        name: "randomkey",
        arity: 1,
        flags: READONLY,
        acl: Categories::KEYSPACE,
        group: Group::Generic,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Returns the name of some key.",
        tips: &["request_policy:all_shards", "nondeterministic_output"],
        ..Spec::BASE
    },
);

/// Draws before a replica, which may not take overdue keys out, answers with one of them if it has no others.
const REPLICA_DRAWS: usize = 100;

fn random_key(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let mut draws = 0;
    loop {
        let Keyspace { dbs, rng, settings, .. } = &mut *ks;
        let db = &dbs[call.db().0 as usize];
        let Some(entry) = db.entries.random(|| rng.next_u64()) else {
            call.reply.null();
            return Ok(());
        };
        if !entry.is_expired(call.now) {
            call.reply.bulk(entry.key());
            return Ok(());
        }
        draws += 1;
        let none_lives = settings.hide_expired && db.volatile() == db.len();
        let key = entry.key().to_vec();
        // For who only repeats a stream of commands (`Keyspace::inspect` still finds it) the key has not expired.
        if ks.inspect(&key, call).is_some() || (none_lives && draws == REPLICA_DRAWS) {
            call.reply.bulk(&key);
            return Ok(());
        }
    }
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
