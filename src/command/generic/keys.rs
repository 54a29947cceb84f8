//! Keys one by one: DEL, UNLINK, EXISTS, TOUCH, TYPE, DBSIZE.
//!
//! *Duty:* the commands that take a list of keys and do the same to each of them, and the two that only tell.
//! *Counterpart in C Redis:* `delGenericCommand`, `existsCommand`, `touchCommand`, `typeCommand`.
//!
//! A long list of keys is worked off in windows: the memory that the lookups of one window will read is asked for
//! before the first of them, so that they wait for it together and not one after the other.

use super::{Use, read};
use crate::call::{Call, CmdResult};
use crate::command::spec::*;
use crate::keyspace::{EntryRef, Keyspace, event};

/// Keys whose lookups are prepared together.
const WINDOW: usize = 16;
/// Below so many keys in the database the caches hold what a lookup reads.
const WORTH_PREFETCHING: usize = 4096;

const EACH_KEY: Spec = Spec {
    arity: -2,
    acl: Categories::KEYSPACE,
    group: Group::Generic,
    syntax: "key [key ...]",
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    ..Spec::BASE
};

const REMOVED: &[KeySpec] = &[KeySpec::range(1, -1, 1, KeyFlags::RM.or(KeyFlags::DELETE))];
const ASKED_ABOUT: &[KeySpec] = &[KeySpec::range(1, -1, 1, KeyFlags::RO)];

pub const DEL: DataCommand = Command::new(
    del,
    Spec {
        name: "del",
        flags: WRITE,
        keys: REMOVED,
        since: "1.0.0",
        complexity: "O(N) for N keys that hold strings; a key that holds a collection adds the number of its elements.",
        summary: "Deletes keys.",
        ..EACH_KEY
    },
);

pub const UNLINK: DataCommand = Command::new(
    unlink,
    Spec {
        name: "unlink",
        flags: WRITE.or(FAST),
        keys: REMOVED,
        since: "4.0.0",
        complexity: "O(1) for each key, whatever its size; the memory is given back by another thread, in O(N) for N allocations.",
        summary: "Deletes keys, leaving the work of freeing their memory to another thread.",
        ..EACH_KEY
    },
);

fn del(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let lazy = ks.settings.lazy_user_del;
    delete_each(ks, lazy, call)
}

fn unlink(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    delete_each(ks, true, call)
}

fn delete_each(ks: &mut Keyspace, lazy: bool, call: &mut Call<'_>) -> CmdResult {
    let mut deleted = 0;
    for_each_key(ks, call, |ks, key, call| {
        if ks.delete_freeing(call.db(), key, lazy, call) {
            call.modified(key, event::DEL, 1);
            deleted += 1;
        }
    });
    call.reply.int(deleted);
    Ok(())
}

pub const EXISTS: DataCommand = Command::new(
    |ks, call| count_found(ks, call, Use::Unmarked),
    Spec {
        name: "exists",
        flags: READONLY.or(FAST),
        keys: ASKED_ABOUT,
        since: "1.0.0",
        complexity: "O(N) for N keys.",
        summary: "Counts which of the given keys exist; a key given twice counts twice.",
        history: &[("3.0.3", "Takes more than one `key`.")],
        ..EACH_KEY
    },
);

pub const TOUCH: DataCommand = Command::new(
    |ks, call| count_found(ks, call, Use::Marked),
    Spec {
        name: "touch",
        flags: READONLY.or(FAST),
        keys: ASKED_ABOUT,
        since: "3.2.1",
        complexity: "O(N) for N keys.",
        summary: "Marks keys as used just now and counts those that exist.",
        ..EACH_KEY
    },
);

fn count_found(ks: &mut Keyspace, call: &mut Call<'_>, mark: Use) -> CmdResult {
    let mut found = 0;
    for_each_key(ks, call, |ks, key, call| found += read(ks, key, call, mark).is_some() as i64);
    call.reply.int(found);
    Ok(())
}

/// Visits every key from the first argument on.
fn for_each_key(ks: &mut Keyspace, call: &mut Call<'_>, mut visit: impl FnMut(&mut Keyspace, &[u8], &mut Call<'_>)) {
    let keys = call.args.from(1);
    let ahead = keys.len() > 1 && ks.db(call.db()).len() >= WORTH_PREFETCHING;
    for first in (0..keys.len()).step_by(WINDOW) {
        let window = keys.clone().skip(first).take(WINDOW);
        if ahead {
            prefetch(ks, window.clone(), call);
        }
        window.for_each(|key| visit(ks, key, call));
    }
}

/// Asks for the buckets of up to [`WINDOW`] keys, then for the entries they point at.
fn prefetch<'k>(ks: &Keyspace, keys: impl Iterator<Item = &'k [u8]>, call: &Call<'_>) {
    let entries = &ks.db(call.db()).entries;
    let mut hashes = [0; WINDOW];
    let mut count = 0;
    for (hash, key) in hashes.iter_mut().zip(keys) {
        *hash = entries.hash(key);
        entries.prefetch_bucket(*hash);
        count += 1;
    }
    hashes[..count].iter().for_each(|hash| entries.prefetch_entry(*hash));
}

pub const TYPE: DataCommand = Command::new(
    type_of,
    Spec {
        name: "type",
        arity: 2,
        flags: READONLY.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RO)],
        acl: Categories::KEYSPACE,
        group: Group::Generic,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Tells which type of value a key holds.",
        syntax: "key",
        ..Spec::BASE
    },
);

fn type_of(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let name = read(ks, call.arg(1), call, Use::Unmarked).map_or("none", EntryRef::type_name);
    call.reply.status(name);
    Ok(())
}

pub const DBSIZE: DataCommand = Command::new(
    db_size,
    Spec {
        name: "dbsize",
        arity: 1,
        flags: READONLY.or(FAST),
        acl: Categories::KEYSPACE,
        group: Group::Server,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Counts the keys of the selected database.",
        tips: &["request_policy:all_shards", "response_policy:agg_sum"],
        ..Spec::BASE
    },
);

/// Keys that are overdue but not yet taken out are counted, as the reference counts them.
fn db_size(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    call.reply.len_of(ks.db(call.db()).len());
    Ok(())
}
