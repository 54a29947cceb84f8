//! The dict against `HashMap`, the promise of SCAN under growth and shrinking, and what records cost.

use super::*;
use std::collections::{HashMap, HashSet};

fn seed() -> HashSeed {
    HashSeed::new(7)
}

fn key(n: u64) -> Vec<u8> {
    format!("key:{n:012}").into_bytes()
}

/// Asserts that the dict holds just what the model does, by lookup and by iteration.
fn assert_same(dict: &Dict, model: &HashMap<Vec<u8>, Vec<u8>>) {
    assert_eq!(dict.len(), model.len());
    for (key, payload) in model {
        assert_eq!(dict.get(key), Some(payload.as_slice()));
    }
    let all: HashMap<Vec<u8>, Vec<u8>> = dict.iter().map(|(k, p)| (k.to_vec(), p.to_vec())).collect();
    assert_eq!(&all, model);
}

/// What the dict's books say about its blocks, counted anew from the records.
fn assert_books(dict: &Dict) {
    let lens: Vec<usize> = dict.table.iter().map(|h| dict.record(h).len(dict.has_payloads)).collect();
    let large: Vec<usize> = lens.iter().copied().filter(|&len| len > SMALL_MAX).collect();
    let small: usize = lens.iter().filter(|&&len| len <= SMALL_MAX).map(|&len| Blocks::class_size(len)).sum();
    let held = large.iter().map(|len| len + 24).sum();
    assert_eq!((dict.large.count(), dict.large.bytes()), (large.len(), held));
    match &dict.arena {
        Some(arena) => assert_eq!((dict.small_bytes, arena.used_bytes(), arena.large_blocks()), (0, small, 0)),
        None => assert_eq!(dict.small_bytes, small),
    }
}

#[test]
fn an_empty_dict_holds_nothing() {
    let mut dict = Dict::new(seed());
    assert!(!dict.remove(b"a"));
    assert_eq!((dict.len(), dict.memory(), dict.get(b"a")), (0, 0, None));
    assert_eq!(dict.scan(5, |_, _| panic!("nothing is there")), 0);
    assert!(dict.random(&mut Rng::new(1)).is_none() && dict.get_mut(b"a").is_none());
}

#[test]
fn it_does_what_a_hash_map_does() {
    let mut rng = Rng::new(42);
    let (mut dict, mut model) = (Dict::new(seed()), HashMap::new());
    let mut had_arena = false;
    for round in 0..60_000 {
        let growing = round < 30_000;
        let key = match rng.below(20) {
            0 => vec![b'k'; [3, 250, 300, 700][rng.index(4)]],
            _ => key(rng.below(25_000)),
        };
        if rng.below(10) < if growing { 8 } else { 3 } {
            let len = match rng.below(30) {
                0 => [230, 600, 601][rng.index(3)],
                _ => rng.index(12),
            };
            let payload = vec![rng.next_u64() as u8; len];
            assert_eq!(dict.insert(&key, &payload), model.insert(key, payload).is_none());
        } else {
            assert_eq!(dict.remove(&key), model.remove(&key).is_some());
        }
        had_arena |= dict.arena.is_some();
        if round % 10_000 == 0 {
            assert_same(&dict, &model);
            assert_books(&dict);
        }
    }
    assert!(had_arena, "the model must see the move to an arena");
    assert_same(&dict, &model);
    assert_same(&dict.clone(), &model);
    for key in model.keys() {
        assert!(dict.remove(key));
    }
    assert!(dict.is_empty());
    assert_books(&dict);
}

#[test]
fn keys_alone_cost_no_length_of_a_payload() {
    let mut dict = Dict::keys_only(seed());
    assert!(dict.insert(&[b'x'; 15], b""));
    assert!(!dict.insert(&[b'x'; 15], b""));
    assert_eq!(dict.small_bytes, 16);
    assert_eq!(dict.get(&[b'x'; 15]), Some(b"".as_slice()));
    assert_eq!(dict.iter().next(), Some(([b'x'; 15].as_slice(), b"".as_slice())));
    assert!(dict.remove(&[b'x'; 15]));
    assert_books(&dict);
}

#[test]
fn lengths_at_the_edges_survive() {
    let mut dict = Dict::new(seed());
    let lens = [0, 1, 253, 254, 255, 256, 507, 508, 509, 511, 512, 513, 70_000];
    for (i, key_len) in lens.into_iter().enumerate() {
        for payload_len in lens {
            let (key, payload) = (vec![i as u8; key_len], vec![i as u8 + 1; payload_len]);
            dict.insert(&key, &payload);
            assert_eq!(dict.get(&key), Some(payload.as_slice()), "{key_len} {payload_len}");
            assert_books(&dict);
        }
    }
    assert_eq!(dict.len(), lens.len());
}

#[test]
fn a_payload_of_the_same_class_is_replaced_in_place() {
    let mut dict = Dict::new(seed());
    dict.insert(b"field", b"12345");
    let before = dict.get(b"field").unwrap().as_ptr();
    dict.insert(b"field", b"123456789");
    assert_eq!(dict.get(b"field").unwrap().as_ptr(), before, "5 + 9 + 2 bytes fit 16 as well");
    dict.get_mut(b"field").unwrap().copy_from_slice(b"abcdefghi");
    assert_eq!(dict.get(b"field"), Some(b"abcdefghi".as_slice()));
    dict.insert(b"field", b"1234567890");
    assert_eq!(dict.get(b"field"), Some(b"1234567890".as_slice()));
    assert_books(&dict);
}

#[test]
fn scan_hands_out_what_stays_while_the_table_grows_and_shrinks() {
    let mut rng = Rng::new(3);
    for round in 0..30 {
        let mut dict = Dict::new(seed());
        let staying = 1 + rng.below(400);
        (0..staying).for_each(|n| _ = dict.insert(&key(n), b"stays"));
        let mut others = 0;
        if round % 2 == 1 {
            others = 6_000;
            (0..others).for_each(|n| _ = dict.insert(&key(1_000_000 + n), b"goes"));
        }
        let (mut seen, mut cursor) = (HashSet::new(), 0);
        loop {
            cursor = dict.scan(cursor, |key, _| _ = seen.insert(key.to_vec()));
            if cursor == 0 {
                break;
            }
            for _ in 0..rng.below(40) {
                if round % 2 == 0 {
                    dict.insert(&key(1_000_000 + others), b"goes");
                    others += 1;
                } else if others > 0 {
                    others -= 1;
                    dict.remove(&key(1_000_000 + others));
                }
            }
        }
        assert!((0..staying).all(|n| seen.contains(&key(n))), "round {round}");
    }
}

#[test]
fn random_reaches_everything_evenly_and_samples_are_different() {
    let mut dict = Dict::new(seed());
    (0..50).for_each(|n| _ = dict.insert(&key(n), b"v"));
    let (mut rng, mut counts) = (Rng::new(11), HashMap::new());
    for _ in 0..50_000 {
        *counts.entry(dict.random(&mut rng).unwrap().0.to_vec()).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), 50);
    assert!(counts.values().all(|&n| (800..1200).contains(&n)), "{counts:?}");
    let mut sampled = HashSet::new();
    dict.sample(20, &mut rng, |key, _| assert!(sampled.insert(key.to_vec())));
    assert!(!sampled.is_empty() && sampled.len() <= 20);
}

#[test]
fn records_are_found_by_hash() {
    let mut dict = Dict::new(seed());
    (0..3_000).for_each(|n| _ = dict.insert(&key(n), &n.to_le_bytes()));
    let hash = dict.hash(&key(77));
    dict.prefetch_bucket(hash);
    dict.prefetch_records(hash);
    assert_eq!(dict.find_by_hash(hash, |_, _| true), Some((key(77).as_slice(), 77u64.to_le_bytes().as_slice())));
    assert_eq!(dict.find_by_hash(hash, |_, payload| payload == 78u64.to_le_bytes()), None);
    assert!(dict.contains_hashed(hash, &key(77)) && !dict.contains_hashed(hash, &key(78)));
}

#[test]
fn big_dicts_move_to_an_arena_and_cost_what_was_promised() {
    let mut dict = Dict::new(seed());
    (0..100_000).for_each(|n| _ = dict.insert(&key(n), b"value:12345"));
    assert!(dict.arena.is_some());
    assert_books(&dict);
    let per_record = dict.memory() as f64 / 100_000.0;
    assert!(per_record <= 32.0 + 11.0, "{per_record}");
    assert!(dict.free_effort() < 20_000, "an arena goes as a whole: {}", dict.free_effort());
    (1..100_000).for_each(|n| assert!(dict.remove(&key(n))));
    assert!(dict.memory() < 300_000, "{}", dict.memory());
}

#[test]
fn mixed_sizes_wait_for_the_arena_until_it_pays() {
    let mut dict = Dict::new(seed());
    let fill = |n: u64| vec![b'x'; (n * 37 % 480) as usize];
    (0..2_000).for_each(|n| _ = dict.insert(&key(n), &fill(n)));
    assert!(dict.arena.is_none(), "sixty classes of a page each would double it");
    (2_000..10_000).for_each(|n| _ = dict.insert(&key(n), &fill(n)));
    assert!(dict.arena.is_some());
    assert!((0..10_000).all(|n| dict.get(&key(n)) == Some(fill(n).as_slice())));
    assert_books(&dict);
}

#[test]
fn a_dict_held_back_works_and_catches_up() {
    let mut dict = Dict::new(seed());
    dict.hold_back_resize(true);
    (0..5_000).for_each(|n| _ = dict.insert(&key(n), b"v"));
    assert!((0..5_000).all(|n| dict.contains(&key(n))));
    dict.hold_back_resize(false);
    while dict.rebalance(100) {}
    assert!((0..5_000).all(|n| dict.contains(&key(n))));
}

/// Whoever deletes a dict decides by this figure whether it goes in the loop or on the background thread.
#[test]
fn the_effort_of_freeing_is_known_without_a_walk() {
    let mut dict = Dict::new(seed());
    (0..60_000).for_each(|n| _ = dict.insert(&key(n), b"value"));
    let without_large = dict.free_effort();
    assert!((2_000..10_000).contains(&without_large), "{without_large}");
    dict.insert(b"large", &[0; 1000]);
    assert_eq!(dict.free_effort(), without_large + 1);
    (0..60_000).for_each(|n| _ = dict.remove(&key(n)));
    assert!(dict.free_effort() < 1_000 && dict.len() == 1, "{}", dict.free_effort());
}
