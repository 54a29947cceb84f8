//! Hashes against `HashMap` in both forms, and the thresholds between them.

use super::*;
use std::collections::{HashMap, HashSet};

fn limits() -> Limits {
    Limits::new(HashSeed::new(5))
}

fn pairs(hash: HashRef<'_>) -> HashMap<Vec<u8>, Vec<u8>> {
    hash.iter().map(|(field, value)| (field.to_vec(), value.to_vec())).collect()
}

#[test]
fn it_does_what_a_hash_map_does_in_both_forms() {
    let mut rng = Rng::new(1);
    for entries in [0, 20, 512, 10_000] {
        let limits = Limits { hash_max_listpack_entries: entries, ..limits() };
        let (mut hash, mut model) = (Hash::default(), HashMap::new());
        for _ in 0..4_000 {
            let field = rng.below(90).to_string().into_bytes();
            if rng.below(3) > 0 {
                let value = format!("{}{}", rng.below(1_000), ["", "x"][rng.index(2)]).into_bytes();
                assert_eq!(hash.set(&field, &value, &limits), model.insert(field, value).is_none());
            } else {
                assert_eq!(hash.remove(&field), model.remove(&field).is_some());
            }
            let field = rng.below(90).to_string().into_bytes();
            assert_eq!(hash.as_ref().get(&field).map(Elem::to_vec), model.get(&field).cloned());
            assert_eq!(hash.as_ref().contains(&field), model.contains_key(&field));
        }
        assert_eq!(pairs(hash.as_ref()), model);
        assert_eq!((hash.as_ref().len(), hash.is_empty()), (model.len(), model.is_empty()));
    }
}

#[test]
fn a_field_too_many_or_too_long_makes_it_a_table() {
    let limits = limits();
    let mut hash = Hash::default();
    for n in 0..512 {
        hash.set(format!("f{n}").as_bytes(), b"1", &limits);
    }
    assert_eq!(hash.as_ref().encoding(), "listpack");
    hash.set(b"f0", &[b'v'; 64], &limits);
    assert_eq!(hash.as_ref().encoding(), "listpack");
    let before = pairs(hash.as_ref());
    let mut longer = hash.clone();
    assert!(!longer.set(b"f0", &[b'v'; 65], &limits));
    assert_eq!((longer.as_ref().encoding(), longer.as_ref().len()), ("hashtable", 512));
    assert!(hash.set(b"f512", b"1", &limits));
    assert_eq!((hash.as_ref().encoding(), hash.as_ref().len()), ("hashtable", 513));
    assert!(hash.remove(b"f512"));
    assert_eq!((hash.as_ref().encoding(), pairs(hash.as_ref())), ("hashtable", before));
    let mut long_field = Hash::default();
    long_field.set(&[b'f'; 65], b"v", &limits);
    assert_eq!(long_field.as_ref().encoding(), "hashtable");
}

#[test]
fn a_scan_visits_every_field() {
    for fields in [1, 300, 5_000] {
        let mut hash = Hash::default();
        (0..fields).for_each(|n| _ = hash.set(format!("f{n}").as_bytes(), n.to_string().as_bytes(), &limits()));
        let (mut seen, mut cursor) = (HashSet::new(), 0);
        loop {
            cursor = hash.as_ref().scan(cursor, |field, value| {
                assert_eq!(field.to_vec()[1..], value.to_vec());
                seen.insert(field.to_vec());
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen.len(), fields);
    }
}

#[test]
fn every_field_is_drawn() {
    for entries in [0, 512] {
        let limits = Limits { hash_max_listpack_entries: entries, ..limits() };
        let (mut hash, mut rng, mut counts) = (Hash::default(), Rng::new(2), HashMap::new());
        assert!(hash.as_ref().random(&mut rng).is_none());
        (0..20).for_each(|n| _ = hash.set(format!("f{n}").as_bytes(), b"v", &limits));
        for _ in 0..20_000 {
            let (field, value) = hash.as_ref().random(&mut rng).unwrap();
            assert!(value.eq_bytes(b"v"));
            *counts.entry(field.to_vec()).or_insert(0) += 1;
        }
        assert!(counts.len() == 20 && counts.values().all(|&n| (800..1_200).contains(&n)), "{counts:?}");
    }
}

#[test]
fn deadlines_do_what_a_map_of_them_does() {
    let (mut rng, mut hash, mut model) = (Rng::new(6), Hash::default(), HashMap::new());
    let mut now = 0;
    for round in 0..20_000 {
        let field = rng.below(60).to_string().into_bytes();
        match rng.below(6) {
            0 => {
                hash.set(&field, b"v", &limits());
                model.insert(field, None);
            }
            1 => assert_eq!(hash.remove(&field), model.remove(&field).is_some()),
            2 if model.contains_key(&field) => {
                let had = model.insert(field.clone(), None).flatten();
                assert_eq!(hash.set_deadline(&field, None, limits().seed), had.is_some());
            }
            3 | 4 if model.contains_key(&field) => {
                let at = Millis(now + 1 + rng.below(500) as i64);
                assert!(hash.set_deadline(&field, Some(at), limits().seed));
                model.insert(field, Some(at));
            }
            _ => now += rng.below(4) as i64,
        }
        let seen = hash.as_ref().at(Millis(now));
        let live = |model: &HashMap<Vec<u8>, Option<Millis>>| {
            model
                .iter()
                .filter(|(_, at)| at.is_none_or(|at| at.0 > now))
                .map(|(f, _)| f.clone())
                .collect::<HashSet<_>>()
        };
        assert_eq!(seen.len(), live(&model).len());
        if round % 50 == 0 {
            assert_eq!(seen.iter().map(|(field, _)| field.to_vec()).collect::<HashSet<_>>(), live(&model));
            assert!(model.iter().all(|(field, at)| hash.as_ref().deadline(field) == *at));
            let (mut budget, mut gone) = (2, 0);
            hash.expire(Millis(now), &mut budget, |field| {
                assert!(model.remove(field).flatten().is_some_and(|at| at.0 <= now));
                gone += 1;
            });
            assert_eq!(gone + budget, 2);
        }
    }
    assert!(!model.is_empty() && hash.as_ref().deadlines().is_some());
}

#[test]
fn overdue_fields_are_neither_drawn_nor_scanned() {
    let mut hash = Hash::default();
    (0..100).for_each(|n| _ = hash.set(n.to_string().as_bytes(), b"v", &limits()));
    (0..99).for_each(|n| _ = hash.set_deadline(n.to_string().as_bytes(), Some(Millis(10)), limits().seed));
    assert_eq!(hash.as_ref().at(Millis(9)).len(), 100);
    let seen = hash.as_ref().at(Millis(10));
    let mut rng = Rng::new(1);
    assert!((0..50).all(|_| seen.random(&mut rng).unwrap().0.eq_bytes(b"99")));
    let (mut cursor, mut scanned) = (0, Vec::new());
    loop {
        cursor = seen.scan(cursor, |field, _| scanned.push(field.to_vec()));
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(scanned, [b"99"]);
    hash.remove(b"99");
    assert!(hash.as_ref().at(Millis(10)).is_empty() && hash.as_ref().at(Millis(10)).random(&mut rng).is_none());
}
