//! DEBUG OBJECT, DIGEST, DIGEST-VALUE, HTSTATS, SDSLEN: looking at data without being noticed.
//!
//! *Duty:* none of these counts as a use of a key, and none minds that a key is overdue.
//! *Invariant:* equal data gives equal digests, whatever the order in which keys lie or were written, the encodings,
//! and the process: the seeds are fixed. *Counterpart in C Redis:* the OBJECT, DIGEST and HTSTATS branches of
//! `debugCommand`, `computeDatasetDigest`.

use std::fmt::Write;

use crate::base::hash::HashSeed;
use crate::base::num;
use crate::call::{Call, CmdError, CmdResult, DbId};
use crate::keyspace::{EntryRef, View};
use crate::rdb::dump_payload;
use crate::server::Server;
use crate::server::memory::entry_bytes;
use crate::value::stream::StreamId;
use crate::value::{Stream, ValueRef};

fn find<'s>(srv: &'s Server, call: &Call<'_>, key: &[u8]) -> Option<EntryRef<'s>> {
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

/// 160 bits about data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Digest([u64; 3]);

impl Digest {
    /// Adds something whose place does not matter.
    fn add(&mut self, other: Digest) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own ^= other;
        }
    }

    fn text(self) -> String {
        format!("{:016x}{:016x}{:08x}", self.0[0], self.0[1], self.0[2] as u32)
    }
}

/// Makes digests; keeps a buffer in which what is to be digested is laid out.
struct Digester {
    seeds: [HashSeed; 3],
    buf: Vec<u8>,
}

impl Digester {
    fn new() -> Digester {
        Digester { seeds: [1, 2, 3].map(HashSeed::new), buf: Vec::new() }
    }

    fn buffer(&self) -> Digest {
        Digest([0, 1, 2].map(|i| self.seeds[i].hash(&self.buf)))
    }

    /// A piece of known length: no two rows of pieces look the same laid out.
    fn piece(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.buf.extend_from_slice(bytes);
    }

    /// Type and content, and whether the key expires, but not when.
    fn value(&mut self, entry: EntryRef<'_>) -> Digest {
        let (mut rows, mut text) = (Digest::default(), [0; 24]);
        self.buf.clear();
        match entry.view() {
            View::Int(i) => self.piece(num::format_i64(i, &mut [0; 20])),
            View::Str(bytes) => self.piece(bytes),
            View::Object(ValueRef::List(list)) => list.range(0, -1).for_each(|element| self.piece(element)),
            View::Object(ValueRef::Set(set)) => {
                for member in set.iter() {
                    rows.add(self.row(&[member.text(&mut text)]));
                }
            }
            View::Object(ValueRef::Hash(hash)) => {
                for (field, value) in hash.iter() {
                    rows.add(self.row(&[field.text(&mut text), value.text(&mut [0; 24])]));
                }
            }
            View::Object(ValueRef::Zset(zset)) => {
                for (member, score) in zset.iter() {
                    rows.add(self.row(&[member.text(&mut text), &score.to_bits().to_le_bytes()]));
                }
            }
            View::Object(ValueRef::Stream(stream)) => self.stream(stream),
        }
        self.piece(entry.type_name().as_bytes());
        self.buf.push(entry.expires_at().is_some() as u8);
        rows.0.iter().for_each(|word| self.buf.extend_from_slice(&word.to_le_bytes()));
        self.buffer()
    }

    /// One element of a value whose elements have no order.
    fn row(&mut self, pieces: &[&[u8]]) -> Digest {
        self.buf.clear();
        pieces.iter().for_each(|piece| self.piece(piece));
        let digest = self.buffer();
        self.buf.clear();
        digest
    }

    fn stream(&mut self, stream: &Stream) {
        for entry in stream.log().range(StreamId::MIN, StreamId::MAX) {
            self.piece(&entry.id.to_bytes());
            for (field, value) in entry.pairs() {
                self.piece(field.text(&mut [0; 24]));
                self.piece(value.text(&mut [0; 24]));
            }
        }
    }

    fn key(&mut self, db: DbId, entry: EntryRef<'_>) -> Digest {
        let value = self.value(entry);
        self.buf.clear();
        self.buf.extend_from_slice(&db.0.to_le_bytes());
        self.piece(entry.key());
        value.0.iter().for_each(|word| self.buf.extend_from_slice(&word.to_le_bytes()));
        self.buffer()
    }
}

pub(super) fn digest(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let (mut digester, mut all) = (Digester::new(), Digest::default());
    for (i, db) in srv.ks.dbs.iter().enumerate() {
        for entry in db.entries.iter() {
            all.add(digester.key(DbId(i as u32), entry));
        }
    }
    call.reply.status(&all.text());
    Ok(())
}

pub(super) fn digest_value(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let mut digester = Digester::new();
    call.reply.array(call.args.len() - 2);
    for key in call.args.from(2) {
        let entry = find(srv, call, key);
        let digest = entry.map_or(Digest::default(), |entry| digester.value(entry));
        call.reply.status(&digest.text());
    }
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
    let stats = db.entries.table().stats();
    let mut text = String::from("[Dictionary HT]\n");
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
    text.push_str("[Expires HT]\n");
    writeln!(text, " number of elements: {}\n wheel bytes: {}", db.volatile(), db.wheel_bytes())
        .expect("a String takes all");
    call.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::millis::Millis;
    use crate::keyspace::{Db, Expire, New};

    fn digest_of(keys: &[(&str, New<'_>, Expire)]) -> Digest {
        let mut db = Db::new(HashSeed::new(99));
        for (key, value, expire) in keys {
            let value = match value {
                New::Int(i) => New::Int(*i),
                New::Bytes(b) => New::Bytes(b),
                _ => unreachable!("plain strings here"),
            };
            db.put(key.as_bytes(), value, *expire, 0, Millis(0));
        }
        let (mut digester, mut all) = (Digester::new(), Digest::default());
        db.entries.iter().for_each(|e| all.add(digester.key(DbId(0), e)));
        all
    }

    #[test]
    fn order_and_encoding_do_not_matter_but_all_else_does() {
        let a = |value| ("a", value, Expire::Clear);
        let b = ("b", New::Bytes(b"x"), Expire::Clear);
        let one = digest_of(&[a(New::Int(12)), ("b", New::Bytes(b"x"), Expire::Clear)]);
        assert_eq!(one, digest_of(&[b, a(New::Bytes(b"12"))]));
        assert_ne!(one, digest_of(&[a(New::Int(12))]));
        assert_ne!(digest_of(&[a(New::Int(12))]), digest_of(&[a(New::Int(13))]));
        let ends = ("a", New::Int(12), Expire::At(Millis(i64::MAX)));
        assert_ne!(digest_of(&[a(New::Int(12))]), digest_of(&[ends]));
        assert_eq!(digest_of(&[]).text(), "0".repeat(40));
        assert_eq!(one.text().len(), 40);
    }
}
