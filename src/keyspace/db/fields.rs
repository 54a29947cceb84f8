//! Deadlines of hash fields, on time: a second wheel of the database, with one record for each hash that has any.
//!
//! *Duty:* when the first deadline of a hash has come, take its overdue fields out, and the hash with its last field.
//! *Does not know:* which field is next; the hash's own [`Deadlines`] do. *Invariants:* a hash with field deadlines has
//! a record that fires at the first of them or before, and remembers which one it is; all others are leftovers, as in
//! the wheel of keys. Hashes without field deadlines do not appear here at all.
//! *Counterpart in C Redis:* `db->hexpires` of 7.4, `hashTypeDbActiveExpireFields`.

use super::{Db, Deadlines as KeyDeadlines, Entries, STALE_FLOOR};
use crate::base::millis::Millis;
use crate::ds::wheel::{Fired, Wheel};
use crate::keyspace::entry::{New, Taken};
use crate::value::{Deadlines, Hash, Typed, Value};

/// The wheel of hashes.
#[derive(Default)]
pub(super) struct HashWheel {
    wheel: Wheel,
}

/// What happens to a hash whose fields expire, in this order.
pub enum Lapsed<'a> {
    /// A field of this key went.
    Field(&'a [u8], &'a [u8]),
    /// So much for this key.
    Hash(&'a [u8]),
    /// With its last field the key went.
    Key(&'a [u8]),
    Value(Taken),
}

impl HashWheel {
    /// Sees to it that the hash's record fires in time. `hash` is that of its key.
    pub(super) fn file(&mut self, deadlines: &mut Deadlines, hash: u64, now: Millis) {
        let Some(first) = deadlines.first() else { return };
        match deadlines.filed {
            Some((filed, _)) if filed <= first => return,
            Some(_) => self.wheel.note_stale(),
            None => {}
        }
        deadlines.filed = Some((first, self.wheel.file(now, hash, first).0));
    }

    /// A value comes to this key, from another one perhaps.
    #[inline]
    pub(super) fn adopt(&mut self, value: &mut New<'_>, hash: u64, now: Millis) {
        if let New::Object(object) = value
            && let Some(deadlines) = object.field_deadlines_mut()
        {
            deadlines.filed = None;
            self.file(deadlines, hash, now);
        }
    }

    /// A value has left its key.
    #[inline]
    pub(super) fn left(&mut self, taken: &Taken) {
        if let Taken::Object(object) = taken
            && object.field_deadlines().is_some_and(|deadlines| deadlines.filed.is_some())
        {
            self.wheel.note_stale();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.wheel.is_empty()
    }

    pub(super) fn memory_usage(&self) -> usize {
        self.wheel.memory_usage()
    }

    pub(super) fn next_due(&self, now: Millis) -> Option<Millis> {
        self.wheel.next_due(now)
    }

    fn sweep(&mut self, budget: usize, entries: &mut Entries) {
        if self.wheel.stale() > STALE_FLOOR && self.wheel.stale() * 2 > self.wheel.len() {
            self.wheel.compact(budget, |hash40, id| entries.by_value(hash40, |value| is_filed(value, id.0)).is_some());
        }
    }
}

fn is_filed(value: &Value, record: u16) -> bool {
    value.field_deadlines().is_some_and(|deadlines| deadlines.filed.is_some_and(|(_, filed)| filed == record))
}

impl Db {
    /// Takes overdue fields out of hashes, in at most `budget` steps of work. `true`: there may be more.
    pub fn expire_fields(&mut self, now: Millis, budget: usize, mut lapsed: impl FnMut(Lapsed<'_>)) -> bool {
        if self.hashes.is_empty() {
            return false;
        }
        let mut fired = std::mem::take(&mut self.fired);
        let progress = self.hashes.wheel.advance(now, budget, &mut fired);
        let mut left = budget;
        for record in &fired {
            self.expire_fields_of(record, now, &mut left, &mut lapsed);
        }
        fired.clear();
        self.fired = fired;
        self.hashes.sweep(budget, &mut self.entries);
        progress.more || left == 0
    }

    fn expire_fields_of(
        &mut self,
        fired: &Fired,
        now: Millis,
        budget: &mut usize,
        lapsed: &mut impl FnMut(Lapsed<'_>),
    ) {
        let Db { entries, wheel, volatile, deadline_sum, hashes, .. } = self;
        let Some(mut entry) = entries.by_value(fired.hash40, |value| is_filed(value, fired.id.0)) else {
            hashes.wheel.forget_stale();
            return;
        };
        let key = entry.entry().key().to_vec();
        let (stamp, before) = (entry.entry().stamp(), *budget);
        let hash = entry.object_mut().and_then(Hash::of_mut).expect("only hashes are filed");
        hash.expire(now, budget, |field| lapsed(Lapsed::Field(&key, field)));
        if *budget < before {
            lapsed(Lapsed::Hash(&key));
        }
        if hash.is_empty() {
            lapsed(Lapsed::Key(&key));
            KeyDeadlines { wheel, volatile, deadline_sum }.moved(stamp, None, fired.hash40, now);
            lapsed(Lapsed::Value(entry.remove()));
            return;
        }
        hash.drop_empty_deadlines();
        if let Some(deadlines) = hash.deadlines_mut() {
            deadlines.filed = None;
            hashes.file(deadlines, fired.hash40, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash::HashSeed;
    use crate::keyspace::Expire;
    use crate::value::Limits;

    fn put(db: &mut Db, key: &str, fields: i64, deadline: impl Fn(i64) -> i64) {
        let limits = Limits::new(HashSeed::new(1));
        let mut hash = Hash::default();
        for n in 0..fields {
            hash.set(n.to_string().as_bytes(), b"v", &limits);
            hash.set_deadline(n.to_string().as_bytes(), Some(Millis(deadline(n))), limits.seed);
        }
        let value = New::Object(Box::new(hash.into_value()));
        db.put(key.as_bytes(), value, Expire::Clear, 0, Millis(0));
    }

    #[test]
    fn every_field_goes_at_its_time_in_steps_of_the_budget() {
        let mut db = Db::new(HashSeed::new(1));
        for key in 0..50 {
            put(&mut db, &format!("key{key}"), 100, |n| 1_000 + 100 * n + key);
        }
        let mut gone = 0;
        for now in (0..12_000).step_by(10) {
            let now = Millis(now);
            loop {
                let mut step = 0;
                let more = db.expire_fields(now, 7, |lapsed| match lapsed {
                    Lapsed::Field(key, field) => {
                        let number = |text: &[u8]| std::str::from_utf8(text).unwrap().parse::<i64>().unwrap();
                        let due = 1_000 + 100 * number(field) + number(&key[3..]);
                        assert!((now.0 - 9..=now.0).contains(&due), "{due} at {}", now.0);
                        step += 1;
                    }
                    Lapsed::Key(_) => gone += 1,
                    Lapsed::Hash(_) | Lapsed::Value(_) => {}
                });
                assert!(step <= 7);
                if !more {
                    break;
                }
            }
        }
        assert_eq!((gone, db.len(), db.hashes.is_empty()), (50, 0, true));
    }

    #[test]
    fn one_large_hash_does_not_hold_the_loop_up() {
        let mut db = Db::new(HashSeed::new(1));
        put(&mut db, "key", 10_000, |_| 500);
        assert!(!db.expire_fields(Millis(499), 1_000, |_| panic!("nothing is due")));
        let mut steps = 0;
        while db.expire_fields(Millis(500), 1_000, |_| {}) {
            steps += 1;
        }
        assert!((10..13).contains(&steps) && db.is_empty(), "{steps}");
    }

    #[test]
    fn records_left_behind_are_swept() {
        let mut db = Db::new(HashSeed::new(1));
        put(&mut db, "stays", 1, |_| 1 << 30);
        for round in 0..20_000 {
            put(&mut db, "key", 1, |_| (1 << 30) + round);
            if round % 2 == 0 {
                db.remove(b"key");
            }
            db.expire_fields(Millis(0), 100, |_| panic!("nothing is due"));
        }
        let records = db.hashes.wheel.len();
        assert!(records < 3 * STALE_FLOOR, "{records}");
        let mut gone = 0;
        while db.expire_fields(Millis((1 << 30) + 30_000), 10_000, |lapsed| {
            gone += matches!(lapsed, Lapsed::Key(_)) as usize;
        }) {}
        assert_eq!((gone, db.len()), (2, 0));
    }
}
