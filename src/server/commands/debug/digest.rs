//! DEBUG DIGEST, DIGEST-VALUE: whether two data sets are the same.
//!
//! *Duty:* a number made of all that data are. Like the rest of DEBUG it is no use of a key.
//! *Invariant:* equal data gives equal digests, whatever the order in which keys and members lie or were written, the
//! encodings, and the server: 7.0.15 gives the same. Deadlines of fields, which it does not know, are left out.
//! *Counterpart in C Redis:* `computeDatasetDigest`.

use crate::base::float;
use crate::base::num;
use crate::base::sha1::sha1;
use crate::call::{Call, CmdResult, DbId};
use crate::ds::element::{Elem, TextBuf};
use crate::keyspace::EntryRef;
use crate::server::Server;
use crate::value::stream::StreamId;
use crate::value::{Stream, ValueRef, View};

use super::look::find;

/// 160 bits about data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Digest([u8; 20]);

impl Digest {
    /// Adds something whose place does not matter.
    fn add(&mut self, bytes: &[u8]) {
        self.0.iter_mut().zip(sha1(bytes)).for_each(|(own, other)| *own ^= other);
    }

    /// Adds something behind what was added before.
    fn append(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = sha1(&self.0);
    }

    /// The next piece of something in order.
    fn element(&mut self, element: Elem<'_>) {
        self.append(element.text(&mut TextBuf::default()));
    }

    fn text(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Adds type and content of a value, and whether its key expires, but not when.
fn add_value(digest: &mut Digest, entry: EntryRef<'_>) {
    let kind: u32 = match entry.view() {
        View::Int(_) | View::Str(_) => 0,
        View::Object(ValueRef::List(_)) => 1,
        View::Object(ValueRef::Set(_)) => 2,
        View::Object(ValueRef::Zset(_)) => 3,
        View::Object(ValueRef::Hash(_)) => 4,
        View::Object(ValueRef::Stream(_)) => 6,
    };
    digest.append(&kind.to_be_bytes());
    match entry.view() {
        View::Int(i) => digest.append(num::format_i64(i, &mut [0; 20])),
        View::Str(bytes) => digest.append(bytes),
        View::Object(ValueRef::List(list)) => list.for_each(|element| digest.append(element.text(&mut [0; 24]))),
        View::Object(ValueRef::Stream(stream)) => add_stream(digest, stream),
        View::Object(ValueRef::Set(set)) => set.iter().for_each(|m| digest.add(m.text(&mut TextBuf::default()))),
        View::Object(ValueRef::Hash(hash)) => hash.iter().for_each(|(field, value)| {
            let mut pair = Digest::default();
            pair.element(field);
            pair.element(value);
            digest.add(&pair.0);
        }),
        View::Object(ValueRef::Zset(zset)) => zset.iter().for_each(|(member, score)| {
            let (mut pair, mut printed) = (Digest::default(), Vec::new());
            pair.element(member);
            float::write_f64(&mut printed, score);
            pair.append(&printed);
            digest.add(&pair.0);
        }),
    }
    if entry.expires_at().is_some() {
        digest.add(b"!!expire!!");
    }
}

fn add_stream(digest: &mut Digest, stream: &Stream) {
    for entry in stream.log().range(StreamId::MIN, StreamId::MAX) {
        digest.append(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
        for (field, value) in entry.pairs() {
            digest.element(field);
            digest.element(value);
        }
    }
}

/// Adds a whole database, if there is anything in it.
fn add_db<'a>(all: &mut Digest, db: DbId, entries: impl Iterator<Item = EntryRef<'a>>) {
    let mut entries = entries.peekable();
    if entries.peek().is_some() {
        all.append(&db.0.to_be_bytes());
    }
    for entry in entries {
        let mut digest = Digest::default();
        digest.append(entry.key());
        add_value(&mut digest, entry);
        all.add(&digest.0);
    }
}

pub(super) fn digest(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let mut all = Digest::default();
    for (i, db) in srv.ks.dbs.iter().enumerate() {
        add_db(&mut all, DbId(i as u32), db.entries.iter());
    }
    call.reply.status(&all.text());
    Ok(())
}

pub(super) fn digest_value(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    call.reply.array(call.args.len() - 2);
    for key in call.args.from(2) {
        let mut digest = Digest::default();
        if let Some(entry) = find(srv, call, key) {
            add_value(&mut digest, entry);
        }
        call.reply.status(&digest.text());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash::HashSeed;
    use crate::base::millis::Millis;
    use crate::keyspace::{Db, Expire, New};
    use crate::value::{Hash, Limits, Set, Value, Zset};

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
        let mut all = Digest::default();
        add_db(&mut all, DbId(0), db.entries.iter());
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

    fn digest_of_value(value: Value) -> Digest {
        let mut db = Db::new(HashSeed::new(7));
        db.put(b"k", New::Object(Box::new(value)), Expire::Clear, 0, Millis(0));
        let entry = db.entries.get(db.entries.hash(b"k"), b"k").unwrap();
        let mut digest = Digest::default();
        add_value(&mut digest, entry);
        digest
    }

    fn set_of(members: &[&str], limits: &Limits) -> Digest {
        let mut set = Set::default();
        members.iter().for_each(|member| _ = set.insert(member.as_bytes(), limits));
        digest_of_value(Value::Set(set))
    }

    #[test]
    fn members_count_in_any_order_and_form() {
        let roomy = Limits::new(HashSeed::new(3));
        let tight = Limits { set_max_intset_entries: 0, set_max_listpack_entries: 0, ..Limits::new(HashSeed::new(4)) };
        let one = set_of(&["a", "7", "bc"], &roomy);
        assert_eq!(one, set_of(&["bc", "a", "7"], &tight));
        assert_eq!(set_of(&["1", "2"], &roomy), set_of(&["2", "1"], &tight));
        assert_ne!(one, set_of(&["a", "7", "b", "c"], &roomy));
        assert_ne!(one, set_of(&["a", "7"], &roomy));
    }

    #[test]
    fn what_belongs_to_a_member_counts() {
        let limits = Limits::new(HashSeed::new(3));
        let hash = |pairs: &[(&str, &str)]| {
            let mut hash = Hash::default();
            pairs.iter().for_each(|(field, value)| _ = hash.set(field.as_bytes(), value.as_bytes(), &limits));
            digest_of_value(Value::Hash(hash))
        };
        assert_eq!(hash(&[("a", "1"), ("b", "2")]), hash(&[("b", "2"), ("a", "1")]));
        assert_ne!(hash(&[("a", "1"), ("b", "2")]), hash(&[("a", "2"), ("b", "1")]));
        let zset = |score: f64| {
            let mut zset = Zset::new();
            zset.insert(b"m", score, &limits);
            digest_of_value(Value::Zset(zset))
        };
        assert_eq!(zset(1.5), zset(1.5));
        assert_ne!(zset(1.5), zset(1.25));
    }
}
