//! The table against `HashMap`, and the promise of SCAN. Handles are plain numbers here and their hash is a mix of
//! them, so that no memory stands behind them.

use super::*;
use std::collections::{HashMap, HashSet};

/// xorshift64*
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn hash_of(handle: Handle) -> u64 {
    mix(handle.bits())
}

/// Hashes that differ in two bits of the bucket number only: chains get long.
fn poor_hash_of(handle: Handle) -> u64 {
    mix(handle.bits()) & 0xff_0000_0009
}

fn handle(n: u64) -> Handle {
    Handle::new(n)
}

fn add(table: &mut Table, n: u64) {
    table.insert(hash_of(handle(n)), handle(n), hash_of);
}

fn find(table: &Table, n: u64) -> Option<Slot> {
    table.find(hash_of(handle(n)), |h| h.bits() == n)
}

/// Asserts all of the table's invariants.
fn check(table: &Table, hash: fn(Handle) -> u64) {
    let (mut entries, mut overflow_bytes) = (0, 0);
    for index in 0..table.bucket_count() {
        for (depth, node) in table.bucket(index).chain().enumerate() {
            let used = node.used_lanes().count_ones() as usize;
            entries += used;
            assert_eq!(node.lanes_with(7), node.lanes_with_portable(7));
            if node.is_chained() {
                assert_eq!((used, node.lane_count()), (LAST, LANES), "only the last node has room");
            }
            if depth > 0 {
                assert!(used >= 2 && used <= node.lane_count());
                overflow_bytes += node_layout(node.lane_count()).size();
            }
            for lane in lanes(node.used_lanes()) {
                let h = node.handle(lane);
                assert_eq!(table.index(hash(h)), index);
                assert_eq!(node.tag(lane), tag_of(hash(h)));
            }
        }
    }
    assert_eq!(entries, table.len());
    assert_eq!(overflow_bytes, table.overflow_bytes);
    let segments = table.bucket_count().div_ceil(SEGMENT).max(1) - 1;
    assert_eq!(table.rest.len(), segments);
    assert!(table.first_capacity as usize >= table.bucket_count().min(SEGMENT));
}

#[test]
fn an_empty_table_holds_nothing() {
    let mut table = Table::new();
    assert_eq!(table.memory_usage(), 0);
    assert!(find(&table, 1).is_none());
    assert_eq!(table.scan(77, |_| panic!("nothing is there")), 0);
    assert_eq!(table.iter().count(), 0);
    assert_eq!(table.random(|| 3), None);
    table.prefetch_bucket(1);
    table.prefetch_candidates(1);
    add(&mut table, 1);
    assert_eq!(table.memory_usage(), 64);
    for n in 2..=9 {
        add(&mut table, n);
    }
    assert_eq!((table.memory_usage(), table.bucket_count()), (64, 1), "nine entries fit one cache line");
}

#[test]
fn the_struct_and_slot_are_small() {
    assert!(size_of::<Table>() <= 64);
    assert_eq!(size_of::<Option<Slot>>(), 16);
}

#[test]
#[should_panic(expected = "48 bits")]
fn a_handle_is_not_wider_than_48_bits() {
    Handle::new(1 << 48);
}

#[test]
fn extreme_handles_survive_every_lane() {
    let mut table = Table::new();
    let numbers: Vec<u64> = (0..40).map(|n| if n % 2 == 0 { (1 << 48) - 1 - n } else { n }).collect();
    for &n in &numbers {
        add(&mut table, n);
    }
    for &n in &numbers {
        assert_eq!(find(&table, n).map(|slot| table.get(slot).bits()), Some(n));
    }
    let slot = find(&table, 1).unwrap();
    assert_eq!(table.replace(slot, handle((1 << 48) - 1)).bits(), 1);
    assert_eq!(table.get(slot).bits(), (1 << 48) - 1);
    assert_eq!(table.replace(slot, handle(1)).bits(), (1 << 48) - 1);
    for &n in &numbers {
        assert!(find(&table, n).is_some());
    }
}

#[test]
#[should_panic(expected = "stale slot")]
fn a_stale_slot_is_noticed() {
    let mut table = Table::new();
    add(&mut table, 1);
    let slot = find(&table, 1).unwrap();
    table.remove(slot);
    table.get(slot);
}

/// Random inserts and removes in waves, so that the table grows and shrinks over several doublings.
fn model_run(seed: u64, operations: u64, key_space: u64, hash: fn(Handle) -> u64) {
    let mut rng = Rng(seed);
    let mut table = Table::new();
    let mut model: HashMap<u64, u64> = HashMap::new();
    for operation in 0..operations {
        let n = 1 + rng.below(key_space);
        let growing = (operation / (operations / 6).max(1)).is_multiple_of(2);
        let wants_insert = rng.below(100) < if growing { 75 } else { 15 };
        let found = table.find(hash(handle(n)), |h| h.bits() == n);
        assert_eq!(found.map(|slot| slot.handle().bits()), model.get(&n).copied());
        match found {
            None if wants_insert => {
                table.insert(hash(handle(n)), handle(n), hash);
                model.insert(n, n);
            }
            Some(slot) if !wants_insert => {
                assert_eq!(table.remove(slot).bits(), n);
                model.remove(&n);
            }
            _ => (),
        }
        if rng.below(operations / 50) == 0 {
            table.hold_back_resize(rng.below(4) == 0);
            table.rebalance(rng.below(20) as usize, hash);
        }
        if rng.below(operations / 40) == 0 {
            check(&table, hash);
            let listed: HashSet<u64> = table.iter().map(Handle::bits).collect();
            assert_eq!((listed.len(), table.iter().count()), (model.len(), model.len()));
            assert!(listed.iter().all(|n| model.contains_key(n)));
        }
    }
    table.hold_back_resize(false);
    while table.rebalance(100, hash) {}
    check(&table, hash);
    for &n in model.keys() {
        let slot = table.find(hash(handle(n)), |h| h.bits() == n).unwrap();
        table.remove(slot);
    }
    check(&table, hash);
    while table.rebalance(100, hash) {}
    assert_eq!((table.len(), table.bucket_count(), table.memory_usage()), (0, 1, 64 + table.rest.capacity() * 8));
}

#[test]
fn behaves_like_a_hash_map() {
    for seed in 1..=20 {
        model_run(seed, 4_000, 300, hash_of);
    }
    model_run(21, 200_000, 40_000, hash_of);
    for seed in 30..=35 {
        model_run(seed, 4_000, 400, poor_hash_of);
    }
}

#[test]
fn scan_misses_nothing_that_stays() {
    for seed in 1..=60 {
        let mut rng = Rng(seed);
        let mut table = Table::new();
        let (stable, passing) = (1 + rng.below(400), 1 + rng.below(4_000));
        for n in 1..=stable {
            add(&mut table, n);
        }
        let mut others: Vec<u64> = (0..rng.below(passing)).map(|n| 10_000 + n).collect();
        others.iter().for_each(|&n| add(&mut table, n));
        let mut seen = HashSet::new();
        let (mut cursor, mut steps) = (0, 0);
        loop {
            cursor = table.scan(cursor, |h| {
                seen.insert(h.bits());
            });
            steps += 1;
            if cursor == 0 {
                break;
            }
            for _ in 0..rng.below(60) {
                if rng.below(2) == 0 {
                    let n = 20_000 + rng.next() % (1 << 40);
                    add(&mut table, n);
                    others.push(n);
                } else if !others.is_empty() {
                    let n = others.swap_remove(rng.below(others.len() as u64) as usize);
                    let slot = find(&table, n).unwrap();
                    table.remove(slot);
                }
            }
            table.rebalance(rng.below(40) as usize, hash_of);
        }
        assert!((1..=stable).all(|n| seen.contains(&n)), "seed {seed}");
        assert!(steps < 100_000);
    }
}

#[test]
fn scan_of_a_table_at_rest_sees_each_entry_once() {
    for len in [1, 9, 10, 100, 777, 20_000] {
        let mut table = Table::new();
        (1..=len).for_each(|n| add(&mut table, n));
        let mut seen = Vec::new();
        let (mut cursor, mut steps) = (0, 0);
        loop {
            cursor = table.scan(cursor, |h| seen.push(h.bits()));
            steps += 1;
            if cursor == 0 {
                break;
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=len).collect::<Vec<_>>());
        assert_eq!(steps, table.bucket_count());
    }
}

#[test]
fn scan_takes_any_cursor() {
    let mut table = Table::new();
    (1..=500).for_each(|n| add(&mut table, n));
    let mut rng = Rng(5);
    for _ in 0..1_000 {
        let next = table.scan(rng.next(), |_| ());
        assert!(next <= u64::from(table.mask));
    }
}

#[test]
fn a_table_held_back_splits_only_when_overloaded() {
    let mut table = Table::new();
    (1..=1_000).for_each(|n| add(&mut table, n));
    let buckets = table.bucket_count();
    table.hold_back_resize(true);
    (1_001..=2_900).for_each(|n| add(&mut table, n));
    assert_eq!(table.bucket_count(), buckets);
    (2_901..=4_000).for_each(|n| add(&mut table, n));
    assert!(table.bucket_count() > buckets);
    check(&table, hash_of);
    table.hold_back_resize(false);
    while table.rebalance(10, hash_of) {}
    assert!(table.len() <= split_point(table.bucket_count()));
    check(&table, hash_of);
}

#[test]
fn random_entries_are_fair() {
    let mut table = Table::new();
    let len = 700; // between two powers of two: half the buckets are twice as full
    (1..=len).for_each(|n| add(&mut table, n));
    let mut rng = Rng(9);
    let mut drawn: HashMap<u64, u32> = HashMap::new();
    let draws = len as u32 * 400;
    for _ in 0..draws {
        *drawn.entry(table.random(|| rng.next()).unwrap().bits()).or_default() += 1;
    }
    assert_eq!(drawn.len() as u64, len);
    // 400 expected, standard deviation 20.
    assert!(drawn.values().all(|&n| (290..=510).contains(&n)), "{:?}", drawn.values().max());
}

#[test]
fn random_entry_of_a_nearly_empty_table() {
    let mut table = Table::new();
    table.reserve(1_000_000);
    assert!(table.bucket_count() > 100_000);
    let mut rng = Rng(9);
    table.hold_back_resize(true);
    add(&mut table, 42);
    assert_eq!(table.random(|| rng.next()).map(Handle::bits), Some(42));
    let mut sampled = Vec::new();
    table.sample(5, rng.next(), &mut sampled);
    assert!(sampled.len() <= 1);
}

#[test]
fn samples_are_distinct_and_as_many_as_asked() {
    let mut table = Table::new();
    (1..=5_000).for_each(|n| add(&mut table, n));
    let mut rng = Rng(3);
    let mut seen = HashSet::new();
    for _ in 0..2_000 {
        let mut sampled = Vec::new();
        table.sample(16, rng.next(), &mut sampled);
        let distinct: HashSet<u64> = sampled.iter().map(|h| h.bits()).collect();
        assert_eq!((sampled.len(), distinct.len()), (16, 16));
        seen.extend(distinct);
    }
    assert!(seen.len() > 4_900);
}

#[test]
fn taking_leaves_an_empty_table_and_can_cross_threads() {
    let mut table = Table::new();
    (1..=50_000).for_each(|n| add(&mut table, n));
    let taken = table.take();
    assert_eq!((table.len(), table.memory_usage()), (0, 0));
    let counted = std::thread::spawn(move || taken.iter().count()).join().unwrap();
    assert_eq!(counted, 50_000);
    add(&mut table, 1);
    assert!(find(&table, 1).is_some());
    table.clear();
    assert!(table.is_empty());
}

#[test]
fn bytes_per_key_stay_near_ten_at_every_size() {
    let mut table = Table::new();
    for n in 1..=300_000 {
        add(&mut table, n);
        if n >= 100_000 && n % 5_000 == 0 {
            let bytes = (table.memory_usage() - table.rest.capacity() * 8) as f64 / n as f64;
            assert!((9.0..10.7).contains(&bytes), "{bytes} bytes per key at {n}");
        }
    }
    let stats = table.stats();
    assert_eq!(stats.chains.iter().sum::<usize>(), table.bucket_count());
    assert!(stats.overflow_entries * 5 < stats.len && stats.longest_chain < 40);
}
