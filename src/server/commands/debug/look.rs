//! DEBUG OBJECT, SDSLEN, HTSTATS, HTSTATS-KEY, LISTPACK, QUICKLIST: looking at data without being noticed.
//!
//! *Duty:* none of these counts as a use of a key, and none minds that a key is overdue. *Does not know:* what the data
//! mean; `digest` goes into them. *Counterpart in C Redis:* the same branches of `debugCommand`.

use std::convert::Infallible;
use std::fmt::Write;
use std::io::Write as _;

use crate::base::num;
use crate::call::{Call, CmdError, CmdResult};
use crate::ds::element::Elem;
use crate::ds::pack::PackRef;
use crate::ds::table::TableStats;
use crate::keyspace::{EntryRef, View};
use crate::rdb::dump_payload;
use crate::server::Server;
use crate::server::memory::entry_bytes;
use crate::value::{Limits, ListRef, Rest, SetRef, ValueRef, ZsetRef};

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
        "Value at:{:#x} refcount:{} encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}{}",
        entry.address(),
        if shared { i32::MAX } else { 1 },
        entry.encoding(),
        dump_payload(value, srv.config.rdbcompression).len() - PAYLOAD_FRAME,
        entry.access(),
        srv.ks.access.idle_seconds(entry.access()),
        match value {
            View::Object(ValueRef::List(list)) => list_figures(list, &srv.ks.settings.limits),
            _ => String::new(),
        },
    );
    call.reply.status(&line);
    Ok(())
}

fn list_figures(list: ListRef<'_>, limits: &Limits) -> String {
    let shape = list.shape(limits);
    format!(
        " ql_nodes:{} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:{} ql_uncompressed_size:{}",
        list.node_count(),
        list.len() as f64 / list.node_count() as f64,
        shape.fill,
        u8::from(shape.depth > 0),
        list.coded_len(),
    )
}

/// DEBUG QUICKLIST: the nodes of a list, on standard output.
pub(super) fn quicklist(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let entry = find(srv, call, call.arg(2)).ok_or(CmdError::NoSuchKey)?;
    let View::Object(ValueRef::List(list)) = entry.view() else {
        return Err(CmdError::Fixed("ERR Not a quicklist encoded object."));
    };
    let full = call.args.opt(3).is_some_and(|arg| num::parse_i64(arg).is_some_and(|n| n != 0));
    let mut text = format!("{{count : {}}}\n{{nodes: {}}}\n", list.len(), list.node_count());
    let shape = list.shape(&srv.ks.settings.limits);
    writeln!(text, "{{fill: {}}}\n{{compress: {}}}", shape.fill, shape.depth).expect("a String takes all");
    let mut number = 0;
    let Ok(()) = list.each_node(|run| {
        let kind = if run.alone { "PLAIN" } else { "PACKED" };
        writeln!(text, "{{quicklist node({number})\n {{container: {kind}, count: {}}}}}", run.count)
            .expect("a String takes all");
        number += 1;
        if full {
            dump_elements(&mut text, run.iter());
        }
        Ok::<(), Infallible>(())
    });
    print_out(&text);
    call.reply.status("Quicklist structure printed on stdout");
    Ok(())
}

/// DEBUG LISTPACK: the elements of a collection in its packed form, on standard output.
pub(super) fn listpack(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let entry = find(srv, call, call.arg(2)).ok_or(CmdError::NoSuchKey)?;
    let pack = match entry.small() {
        Some((Rest::Hash | Rest::Zset, bytes)) if entry.encoding() == "listpack" => PackRef::new(bytes),
        _ => return Err(CmdError::Fixed("ERR Not a listpack encoded object.")),
    };
    let mut text = format!("{{total bytes {}}} {{num entries {}}}\n", pack.byte_len(), pack.len());
    dump_elements(&mut text, pack.iter().map(|(_, elem)| elem));
    print_out(&text);
    call.reply.status("Listpack structure printed on stdout");
    Ok(())
}

fn dump_elements<'a>(text: &mut String, elements: impl Iterator<Item = Elem<'a>>) {
    for (i, elem) in elements.enumerate() {
        let what = if elem.as_int().is_some() { "int" } else { "str" };
        writeln!(text, "{{{i}}} [{what}] {}", elem.to_vec().escape_ascii()).expect("a String takes all");
    }
}

/// Writes to standard output. That it is closed or full is nobody's concern here.
fn print_out(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
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
