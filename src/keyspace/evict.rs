//! Eviction: which key goes next when memory is short.
//!
//! *Duty:* [`Eviction::victim`] names a key by the policy, as the reference does: of a few random keys the best
//! candidates are kept in a pool of 16 from one choice to the next, so that a choice is made among all keys sampled
//! lately and comes close to the true order. *Does not know:* memory, limits, what follows from a key's end (the
//! shell drives, `server::evict`). *Invariants:* the pool is in ascending order of [`Candidate::score`]; it holds
//! names and not entries, so a candidate may be gone, or have lost its deadline, and is looked up before it is named.
//! *Counterpart in C Redis:* `evictionPoolPopulate` and the choice in `performEvictions`.
//!
//! Keys with a deadline are sampled through the timing wheel where they are few ([`super::db::Db::sample`]), so the
//! volatile policies take no longer among keys that live for ever.

use super::access::AccessClock;
use super::db::{Among, Db};
use super::entry::EntryRef;
use crate::base::rng::Rng;
use crate::call::DbId;
use crate::ds::table::Handle;

/// What makes a key the next to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// Not used for longest.
    Lru,
    /// Used least often.
    Lfu,
    /// Nearest to its deadline.
    Ttl,
    Random,
}

/// A policy that evicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub among: Among,
    pub rank: Rank,
}

/// A key that may go.
struct Candidate {
    /// Higher goes first.
    score: u64,
    db: DbId,
    key: Vec<u8>,
}

const POOL: usize = 16;
/// Rounds of sampling without any candidate after which all keys are walked for one.
const PATIENCE: usize = 8;

/// The pool, and where a random choice was made last.
#[derive(Default)]
pub struct Eviction {
    pool: Vec<Candidate>,
    policy: Option<Policy>,
    last_db: usize,
    /// Buffers of candidates that went, to be used again.
    names: Vec<Vec<u8>>,
    handles: Vec<Handle>,
}

impl Eviction {
    /// The key to be evicted next. `None`: no key may go under this policy.
    pub fn victim(
        &mut self,
        dbs: &[Db],
        policy: Policy,
        samples: usize,
        clock: &AccessClock,
        rng: &mut Rng,
    ) -> Option<(DbId, Vec<u8>)> {
        if self.policy != Some(policy) {
            // Scores of another policy mean nothing here.
            self.pool.clear();
            self.policy = Some(policy);
        }
        if policy.rank == Rank::Random {
            return self.random_victim(dbs, policy.among, rng);
        }
        for round in 0.. {
            let mut any = false;
            for (i, db) in dbs.iter().enumerate().filter(|(_, db)| eligible(db, policy.among) > 0) {
                any = true;
                self.fill(DbId(i as u32), db, policy, samples, clock, rng);
            }
            if !any {
                return None;
            }
            while let Some(candidate) = self.pool.pop() {
                if may_go(&dbs[candidate.db.0 as usize], &candidate.key, policy.among) {
                    return Some((candidate.db, candidate.key));
                }
                self.names.push(candidate.key);
            }
            if round == PATIENCE {
                return walked_victim(dbs, policy.among, rng);
            }
        }
        None
    }

    /// Hands the buffer of a victim's name back, to be used again.
    pub fn recycle(&mut self, name: Vec<u8>) {
        if self.names.len() < POOL {
            self.names.push(name);
        }
    }

    fn fill(&mut self, id: DbId, db: &Db, policy: Policy, samples: usize, clock: &AccessClock, rng: &mut Rng) {
        let Eviction { pool, names, handles, .. } = self;
        db.sample(policy.among, samples, rng, handles, |entry| {
            let score = score(entry, policy.rank, clock);
            if pool.len() == POOL {
                if pool[0].score >= score {
                    return;
                }
                names.push(pool.remove(0).key);
            }
            let place = pool.partition_point(|c| c.score < score);
            let mut key = names.pop().unwrap_or_default();
            key.clear();
            key.extend_from_slice(entry.key());
            pool.insert(place, Candidate { score, db: id, key });
        });
    }

    /// A random key, from one database after the other.
    fn random_victim(&mut self, dbs: &[Db], among: Among, rng: &mut Rng) -> Option<(DbId, Vec<u8>)> {
        for _ in 0..dbs.len() {
            self.last_db = (self.last_db + 1) % dbs.len();
            let db = &dbs[self.last_db];
            if eligible(db, among) == 0 {
                continue;
            }
            if let Some(entry) = db.random(among, rng).or_else(|| db.any_volatile(rng)) {
                let mut key = self.names.pop().unwrap_or_default();
                key.clear();
                key.extend_from_slice(entry.key());
                return Some((DbId(self.last_db as u32), key));
            }
        }
        None
    }
}

fn eligible(db: &Db, among: Among) -> usize {
    match among {
        Among::All => db.len(),
        Among::Volatile => db.volatile(),
    }
}

fn may_go(db: &Db, key: &[u8], among: Among) -> bool {
    let entry = db.entries.get(db.entries.hash(key), key);
    entry.is_some_and(|entry| among == Among::All || entry.stamp().is_some())
}

fn score(entry: EntryRef<'_>, rank: Rank, clock: &AccessClock) -> u64 {
    match rank {
        Rank::Lru => clock.idle_seconds(entry.access()).into(),
        Rank::Lfu => 255 - u64::from(clock.frequency(entry.access())),
        Rank::Ttl => u64::MAX - entry.expires_at().map_or(u64::MAX, |at| at.0.max(0) as u64),
        Rank::Random => 0,
    }
}

fn walked_victim(dbs: &[Db], among: Among, rng: &mut Rng) -> Option<(DbId, Vec<u8>)> {
    dbs.iter().enumerate().find_map(|(i, db)| {
        let entry = match among {
            Among::All => db.entries.iter().next(),
            Among::Volatile => db.any_volatile(rng),
        };
        Some((DbId(i as u32), entry?.key().to_vec()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash::HashSeed;
    use crate::base::millis::Millis;
    use crate::keyspace::{Expire, New};

    const NOW: Millis = Millis(1_000_000_000);

    struct World {
        dbs: Vec<Db>,
        clock: AccessClock,
        rng: Rng,
        eviction: Eviction,
    }

    impl World {
        fn new() -> World {
            let mut clock = AccessClock::new();
            clock.tick(NOW);
            let dbs = (0..2).map(|_| Db::new(HashSeed::new(7))).collect();
            World { dbs, clock, rng: Rng::new(3), eviction: Eviction::default() }
        }

        fn put(&mut self, db: usize, key: &str, expire: Expire, access: u32) {
            self.dbs[db].put(key.as_bytes(), New::Int(1), expire, access, NOW);
        }

        fn evict(&mut self, among: Among, rank: Rank) -> Option<(u32, String)> {
            let World { dbs, clock, rng, eviction } = self;
            let (db, key) = eviction.victim(dbs, Policy { among, rank }, 5, clock, rng)?;
            dbs[db.0 as usize].remove(&key).expect("a victim is there");
            Some((db.0, String::from_utf8(key).unwrap()))
        }
    }

    /// The mean place, between 0 and 1, that the first tenth of the victims had in the true order.
    fn mean_rank(among: Among, rank: Rank, make: impl Fn(&World, u64) -> (Expire, u32)) -> f64 {
        let mut world = World::new();
        let count = 10_000;
        for i in 0..count {
            let (expire, access) = make(&world, i);
            world.put((i % 2) as usize, &i.to_string(), expire, access);
        }
        let sum: f64 = (0..count / 10).map(|_| world.evict(among, rank).unwrap().1.parse::<f64>().unwrap()).sum();
        sum / (count as f64 / 10.0) / count as f64
    }

    #[test]
    fn victims_come_close_to_the_true_order() {
        let old_first = |w: &World, i: u64| (Expire::Clear, w.clock.bits_for_idle(20_000 - i));
        let mean = mean_rank(Among::All, Rank::Lru, old_first);
        assert!(mean < 0.12, "{mean}; the first tenth would have 0.05");
        let soon_first = |_: &World, i: u64| (Expire::At(NOW.plus(1000 * (i as i64 + 1))), 0);
        let mean = mean_rank(Among::Volatile, Rank::Ttl, soon_first);
        assert!(mean < 0.12, "{mean}");
        let mean = mean_rank(Among::All, Rank::Random, old_first);
        assert!((0.4..0.6).contains(&mean), "{mean}");
    }

    #[test]
    fn the_least_used_go_first() {
        let mut world = World::new();
        world.clock.lfu = true;
        for i in 0..2000u32 {
            let access = world.clock.bits_for_frequency(if i < 200 { 1 } else { 200 });
            world.put(0, &i.to_string(), Expire::Clear, access);
        }
        let victims: Vec<u32> =
            (0..100).map(|_| world.evict(Among::All, Rank::Lfu).unwrap().1.parse().unwrap()).collect();
        let rare = victims.iter().filter(|i| **i < 200).count();
        assert!(rare > 40, "{rare} of 100, where chance alone would take 10");
    }

    #[test]
    fn only_keys_with_a_deadline_go_however_few_they_are() {
        for rank in [Rank::Lru, Rank::Ttl, Rank::Random] {
            for every in [1, 3, 500] {
                let mut world = World::new();
                let mut volatile = 0;
                for i in 0..5000 {
                    let at = Expire::At(NOW.plus(i64::from(i) * 70_000 + 1));
                    let expire = if i % every == 0 { at } else { Expire::Clear };
                    volatile += (i % every == 0) as usize;
                    world.put(1, &format!("{i}"), expire, 5);
                }
                let mut evicted = 0;
                while let Some((db, key)) = world.evict(Among::Volatile, rank) {
                    assert_eq!((db, key.parse::<i32>().unwrap() % every), (1, 0));
                    evicted += 1;
                }
                assert_eq!(evicted, volatile);
                assert_eq!(world.dbs[1].len(), 5000 - volatile);
            }
        }
    }

    #[test]
    fn leftovers_in_the_wheel_do_not_stand_in_the_way() {
        let mut world = World::new();
        for i in 0..3000 {
            world.put(0, &format!("{i}"), Expire::At(NOW.plus(100_000)), 5);
            world.put(0, &format!("{i}"), Expire::Clear, 5);
        }
        world.put(0, "last", Expire::At(NOW.plus(100_000)), 5);
        assert_eq!(world.evict(Among::Volatile, Rank::Ttl), Some((0, "last".to_owned())));
        assert_eq!(world.evict(Among::Volatile, Rank::Ttl), None);
    }

    #[test]
    fn a_candidate_that_lost_its_deadline_or_is_gone_is_passed_over() {
        let mut world = World::new();
        for i in 0..40 {
            world.put(0, &format!("{i}"), Expire::At(NOW.plus(100_000 + i)), 5);
        }
        world.evict(Among::Volatile, Rank::Ttl).unwrap();
        let keys: Vec<Vec<u8>> = world.dbs[0].entries.iter().map(|e| e.key().to_vec()).collect();
        for (i, key) in keys.iter().enumerate() {
            match i {
                0 => assert!(world.dbs[0].entries.get(world.dbs[0].entries.hash(key), key).is_some()),
                _ if i % 2 == 0 => assert!(world.dbs[0].set_deadline(key, None, NOW)),
                _ => assert!(world.dbs[0].remove(key).is_some()),
            }
        }
        assert_eq!(world.evict(Among::Volatile, Rank::Ttl).unwrap().1.into_bytes(), keys[0]);
        assert_eq!(world.evict(Among::Volatile, Rank::Ttl), None);
    }
}
