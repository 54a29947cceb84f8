//! Looking at the whole of a database: KEYS, SCAN, RANDOMKEY.
//!
//! *Duty:* filter what the table hands out; overdue keys are never among it. *Does not know:* how the table keeps its
//! promise that SCAN misses nothing; see [`Table::scan`](crate::ds::table::Table::scan).
//! *Counterpart in C Redis:* `keysCommand`, `scanGenericCommand`, `dbRandomKey`.

use crate::base::glob;
use crate::call::{Call, CmdResult};
use crate::command::scanning::{self, Filter, name_matches};
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

pub const SCAN: DataCommand = Command::new(
    scan,
    Spec {
        name: "scan",
        arity: -2,
        flags: READONLY.or(TOUCHES_ARBITRARY_KEYS),
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

/// A name that no type has is no error; nothing is of that type.
fn type_fits(filter: &Filter<'_>, entry: EntryRef<'_>) -> bool {
    filter.type_name.is_none_or(|name| name.eq_ignore_ascii_case(entry.type_name().as_bytes()))
}

fn scan(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let cursor = scanning::parse_cursor(call.arg(1))?;
    let filter = Filter::parse_of_keyspace(call)?;
    let (mut kept, mut overdue) = (Vec::new(), Vec::new());
    let entries = &ks.db(call.db()).entries;
    let next = filter.walk(cursor, 1, |cursor, visited| {
        entries.scan(cursor, |entry| {
            *visited += 1;
            if !filter.matches(entry.key()) {
                return;
            }
            if entry.is_expired(call.now) {
                overdue.push(entry.key().to_vec());
                return;
            }
            // Asking for the type is a lookup, and counted as one.
            call.fx.counts.hits += filter.type_name.is_some() as u64;
            if type_fits(&filter, entry) {
                kept.push(entry);
            }
        })
    });
    scanning::reply_head(call.reply, next, kept.len());
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

pub const RANDOMKEY: DataCommand = Command::new(
    random_key,
    Spec {
        name: "randomkey",
        arity: 1,
        flags: READONLY.or(TOUCHES_ARBITRARY_KEYS),
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
