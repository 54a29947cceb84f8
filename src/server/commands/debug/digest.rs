//! DEBUG DIGEST, DIGEST-VALUE: whether two data sets are the same.
//!
//! *Duty:* a number made of all that data are. Like the rest of DEBUG it is no use of a key.
//! *Invariant:* equal data gives equal digests, whatever the order in which keys and members lie or were written, the
//! encodings, and the process: the seeds are fixed. *Counterpart in C Redis:* `computeDatasetDigest`.

use crate::base::hash::HashSeed;
use crate::base::num;
use crate::call::{Call, CmdResult, DbId};
use crate::ds::element::Elem;
use crate::keyspace::EntryRef;
use crate::server::Server;
use crate::value::stream::StreamId;
use crate::value::{Stream, ValueRef, View};

use super::look::find;

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
        self.buf.clear();
        self.piece(entry.type_name().as_bytes());
        self.buf.push(entry.expires_at().is_some() as u8);
        match entry.view() {
            View::Int(i) => self.piece(num::format_i64(i, &mut [0; 20])),
            View::Str(bytes) => self.piece(bytes),
            View::Object(ValueRef::List(list)) => list.for_each(|element| self.piece(element.text(&mut [0; 24]))),
            View::Object(ValueRef::Stream(stream)) => self.stream(stream),
            View::Object(members) => self.members(members),
        }
        self.buffer()
    }

    fn element(&mut self, element: Elem<'_>) {
        self.piece(element.text(&mut Default::default()));
    }

    fn stream(&mut self, stream: &Stream) {
        for entry in stream.log().range(StreamId::MIN, StreamId::MAX) {
            self.buf.extend_from_slice(&entry.id.to_bytes());
            self.buf.extend_from_slice(&(entry.fields as u64).to_le_bytes());
            for (field, value) in entry.pairs() {
                self.element(field);
                self.element(value);
            }
        }
    }

    /// Collections without an order: a digest of each member, with what belongs to it, all added up.
    fn members(&mut self, value: ValueRef<'_>) {
        let head = std::mem::take(&mut self.buf);
        let mut all = Digest::default();
        let mut member = |parts: &[Elem<'_>], score: f64| {
            self.buf.clear();
            parts.iter().for_each(|part| self.element(*part));
            self.buf.extend_from_slice(&score.to_bits().to_le_bytes());
            all.add(self.buffer());
        };
        match value {
            ValueRef::Set(set) => set.iter().for_each(|m| member(&[m], 0.0)),
            ValueRef::Hash(hash) => hash.iter().for_each(|(field, value)| member(&[field, value], 0.0)),
            ValueRef::Zset(zset) => zset.iter().for_each(|(m, score)| member(&[m], score)),
            ValueRef::List(_) | ValueRef::Stream(_) => unreachable!("these have an order"),
        }
        self.buf = head;
        all.0.iter().for_each(|word| self.buf.extend_from_slice(&word.to_le_bytes()));
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

#[cfg(test)]
mod tests {
    use super::*;
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

    fn digest_of_value(value: Value) -> Digest {
        let mut db = Db::new(HashSeed::new(7));
        db.put(b"k", New::Object(Box::new(value)), Expire::Clear, 0, Millis(0));
        let entry = db.entries.get(db.entries.hash(b"k"), b"k").unwrap();
        Digester::new().value(entry)
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
