//! DEBUG OBJECT, SDSLEN, HTSTATS, HTSTATS-KEY: looking at data without being noticed.
//!
//! *Duty:* none of these counts as a use of a key, and none minds that a key is overdue. *Does not know:* what the data
//! mean; `digest` goes into them. *Counterpart in C Redis:* the same branches of `debugCommand`.

use std::fmt::Write;

use crate::call::{Call, CmdError, CmdResult};
use crate::ds::table::TableStats;
use crate::keyspace::{EntryRef, View};
use crate::rdb::dump_payload;
use crate::server::Server;
use crate::server::memory::entry_bytes;
use crate::value::{SetRef, ValueRef, ZsetRef};

pub(super) fn find<'s>(srv: &'s Server, call: &Call<'_>, key: &[u8]) -> Option<EntryRef<'s>> {
    let entries = &srv.ks.db(call.db()).entries;
    entries.get(entries.hash(key), key)
}

/// What a payload has around the value: type, version, checksum.
const PAYLOAD_FRAME: usize = 1 + 2 + 8;

pub(super) fn object(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let entry = find(srv, call, call.arg(2)).ok_or(CmdError::NoSuchKey)?;
    let value = entry.view();
    // As OBJECT REFCOUNT says: nothing is shared, and the reference never counts those who share a small integer.
    let shared = matches!(value, View::Int(i) if (0..srv.ks.settings.shared_integers).contains(&i));
    let line = format!(
        "Value at:{:#x} refcount:{} encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}",
        entry.address(),
        if shared { i32::MAX } else { 1 },
        entry.encoding(),
        dump_payload(value, srv.config.rdbcompression).len() - PAYLOAD_FRAME,
        entry.access(),
        srv.ks.access.idle_seconds(entry.access()),
    );
    call.reply.status(&line);
    Ok(())
}

pub(super) fn string_lengths(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let db = srv.ks.db(call.db());
    let entry = find(srv, call, call.arg(2)).ok_or(CmdError::NoSuchKey)?;
    let View::Str(value) = entry.view() else {
        return Err(CmdError::Fixed("ERR Not an sds encoded string."));
    };
    // What has a buffer of its own may have room in it; what lies in the entry shares its block with the key.
    let room = entry.outside_len().saturating_sub(value.len());
    call.reply.status(&format!(
        "key_sds_len:{}, key_sds_avail:0, key_zmalloc: {}, val_sds_len:{}, val_sds_avail:{room}, val_zmalloc: {}",
        entry.key().len(),
        entry.block_size(),
        value.len(),
        entry_bytes(db, entry) - entry.block_size(),
    ));
    Ok(())
}

pub(super) fn table_figures(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let db = usize::try_from(call.args.int(2)?).ok();
    let Some(db) = db.and_then(|db| srv.ks.dbs.get(db)) else {
        return Err(CmdError::Fixed("ERR Out of range database"));
    };
    let mut text = String::from("[Dictionary HT]\n");
    figures(&db.entries.table().stats(), &mut text);
    text.push_str("[Expires HT]\n");
    writeln!(text, " number of elements: {}\n wheel bytes: {}", db.volatile(), db.wheel_bytes())
        .expect("a String takes all");
    call.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn figures(stats: &TableStats, text: &mut String) {
    let mut line = |name: &str, value: usize| writeln!(text, " {name}: {value}").expect("a String takes all");
    line("table size", stats.buckets);
    line("number of elements", stats.len);
    line("table bytes", stats.memory_bytes);
    line("overflow nodes", stats.overflow_nodes);
    line("elements in overflow nodes", stats.overflow_entries);
    line("max chain length", stats.longest_chain);
    text.push_str(" Chain length distribution:\n");
    for (length, count) in stats.chains.iter().enumerate().filter(|(_, count)| **count > 0) {
        let share = 100.0 * *count as f64 / stats.buckets as f64;
        writeln!(text, "   {length}: {count} ({share:.2}%)").expect("a String takes all");
    }
}

pub(super) fn value_table_figures(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let entry = find(srv, call, call.arg(2)).ok_or(CmdError::NoSuchKey)?;
    let stats = match entry.view() {
        View::Object(ValueRef::Hash(hash)) => hash.dict().map(|dict| dict.stats()),
        View::Object(ValueRef::Set(SetRef::Table(dict))) => Some(dict.stats()),
        View::Object(ValueRef::Zset(ZsetRef::Ranked(ranked))) => Some(ranked.table().stats()),
        _ => None,
    };
    let Some(stats) = stats else {
        return Err(CmdError::Fixed(
            "ERR The value stored at the specified key is not represented using an hash table",
        ));
    };
    let mut text = String::new();
    figures(&stats, &mut text);
    call.reply.verbatim("txt", text.as_bytes());
    Ok(())
}
