//! Random operations on every structure of `ds`, against a container of the standard library.
//!
//! *Duty:* the fuzz targets of the structures: sequences of operations drawn from a seed, each answer compared, and for
//! the packed forms damaged bytes, which are refused or can be walked to their end. *Does not know:* coverage; the model
//! tests beside each structure look inside it. *Invariants:* the same seed tries the same sequences in the same order,
//! for as long as the time allows. A failure prints seed and number. `Table` and `Blocks` are tried as [`Dict`], which
//! puts records of all sizes into them.
//!
//! `FUZZ_SECONDS` (1 for each target) is how long, `FUZZ_SEED` (1) what, `FUZZ_FROM` (0) the number to begin with.
//! `cargo test --release --test structures -- --nocapture` tells how much was tried.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use redstart::base::hash::HashSeed;
use redstart::base::millis::Millis;
use redstart::base::rng::Rng;
use redstart::ds::dict::Dict;
use redstart::ds::element::Elem;
use redstart::ds::intset::Intset;
use redstart::ds::listpack::{Listpack, ListpackRef};
use redstart::ds::pack::{Pack, PackRef};
use redstart::ds::quicklist::{End, Quicklist, Shape};
use redstart::ds::ranked::Ranked;
use redstart::ds::wheel::Wheel;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Runs `target` with one generator after the other until time is up. It tells how many operations it did.
fn hunt(name: &str, mut target: impl FnMut(&mut Rng) -> u64) {
    let (seed, first) = (setting("FUZZ_SEED", 1), setting("FUZZ_FROM", 0));
    let end = Instant::now() + Duration::from_secs(setting("FUZZ_SECONDS", 1));
    let (mut number, mut operations) = (first, 0);
    while Instant::now() < end {
        let mut rng = Rng::new(seed ^ number << 20);
        match catch_unwind(AssertUnwindSafe(|| target(&mut rng))) {
            Ok(done) => operations += done,
            Err(panic) => {
                eprintln!("{name}: FUZZ_SEED={seed} FUZZ_FROM={number}");
                resume_unwind(panic);
            }
        }
        number += 1;
    }
    eprintln!("{name}: {} sequences, {operations} operations tried", number - first);
    assert!(operations >= 100, "hardly anything was tried: {operations}");
}

/// Short and long texts, integers of every width, and texts that look like integers.
fn text(rng: &mut Rng) -> Vec<u8> {
    match rng.below(9) {
        0 => (rng.next_u64() as i64 >> rng.below(64)).to_string().into_bytes(),
        1 => vec![b'z'; [0, 60, 63, 64, 300, 4095, 4096, 9000][rng.index(8)]],
        2 => [&b"-0"[..], b"007", b"+1", b"9223372036854775808", b"-9223372036854775808"][rng.index(5)].to_vec(),
        _ => format!("member:{}", rng.below(40)).into_bytes(),
    }
}

fn index(rng: &mut Rng, len: usize) -> usize {
    rng.index(len.max(1))
}

#[test]
fn dicts_are_maps() {
    hunt("dict", |rng| {
        let mut dict = Dict::new(HashSeed::new(rng.next_u64()));
        let mut model: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        let (count, keys) = (1 + rng.below(3000), 1 + rng.below(2000));
        for i in 0..count {
            let mut key = format!("k{}", rng.below(keys)).into_bytes();
            if rng.below(50) == 0 {
                key.resize(600, b'k');
            }
            match rng.below(10) {
                0..6 => {
                    let value = text(rng);
                    assert_eq!(dict.insert(&key, &value), model.insert(key, value).is_none());
                }
                6..9 => assert_eq!(dict.remove(&key), model.remove(&key).is_some()),
                _ => assert_eq!(dict.get(&key), model.get(&key).map(Vec::as_slice)),
            }
            if i % 97 == 0 {
                dict.hold_back_resize(rng.below(2) == 0);
                dict.rebalance(index(rng, 8));
            }
        }
        let (mut cursor, mut seen) = (0, BTreeMap::new());
        loop {
            cursor = dict.scan(cursor, |key, value| assert!(seen.insert(key, value).is_none(), "twice in one walk"));
            if cursor == 0 {
                break;
            }
        }
        assert_eq!((dict.len(), seen.len()), (model.len(), model.len()));
        assert!(model.iter().all(|(key, value)| seen.get(key.as_slice()) == Some(&value.as_slice())));
        assert_eq!(dict.iter().count(), model.len());
        count
    });
}

#[test]
fn intsets_are_sets_of_integers() {
    hunt("intset", |rng| {
        let (mut set, mut model) = (Intset::new(), BTreeSet::new());
        let (count, widest) = (rng.below(400), rng.below(64));
        for _ in 0..count {
            let value = (rng.next_u64() as i64) >> rng.below(64).max(widest);
            match rng.below(3) {
                0 => assert_eq!(set.remove(value), model.remove(&value)),
                _ => assert_eq!(set.insert(value), model.insert(value)),
            }
            assert_eq!(set.as_ref().contains(value), model.contains(&value));
        }
        assert!(set.as_ref().iter().eq(model.iter().copied()));
        let mut wire = Vec::new();
        set.as_ref().write_wire(&mut wire);
        let again = Intset::from_wire(&wire);
        assert!(model.is_empty() || again.is_some_and(|again| again.as_ref().iter().eq(model.iter().copied())));
        // Damaged bytes are refused, or hold ascending integers.
        for _ in 0..4 {
            let at = index(rng, wire.len());
            wire[at] = rng.next_u64() as u8;
            if let Some(set) = Intset::from_wire(&wire) {
                assert!(set.as_ref().iter().is_sorted_by(|a, b| a < b));
            }
        }
        count + 4
    });
}

#[test]
fn packs_are_rows_of_texts() {
    hunt("pack", |rng| {
        let (mut pack, mut model) = (Pack::new(), Vec::<Vec<u8>>::new());
        let count = rng.below(120);
        for _ in 0..count {
            let (text, i) = (text(rng), rng.index(model.len() + 1));
            let at = pack.as_ref().nth(i);
            match (rng.below(6), at) {
                (0, Some(at)) => {
                    pack.replace(at, &text);
                    model[i] = text;
                }
                (1, Some(at)) => {
                    let n = 1 + index(rng, 3);
                    pack.remove(at, n);
                    model.drain(i..(i + n).min(model.len()));
                }
                (2, Some(at)) => assert_eq!(pack.as_ref().get(at).to_vec(), model[i]),
                (3, _) => {
                    let found = pack.as_ref().find(&text, 1);
                    assert_eq!(found, model.iter().position(|t| *t == text).and_then(|i| pack.as_ref().nth(i)));
                }
                (_, at) => {
                    pack.insert(at.unwrap_or(pack.as_ref().end()), &text);
                    model.insert(i, text);
                }
            }
        }
        let texts = |pack: PackRef<'_>| pack.iter().map(|(_, elem)| elem.to_vec()).collect::<Vec<_>>();
        assert_eq!((pack.len(), texts(pack.as_ref())), (model.len(), model));
        let mut bytes = pack.into_bytes();
        for _ in 0..4 {
            let at = index(rng, bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte = rng.next_u64() as u8;
            }
            if Pack::validate(&bytes) {
                let pack = PackRef::new(&bytes);
                assert_eq!(texts(pack).len(), pack.len());
            }
        }
        count + 4
    });
}

#[test]
fn listpacks_are_rows_of_texts_that_can_be_walked_both_ways() {
    hunt("listpack", |rng| {
        let (mut pack, mut model) = (Listpack::new(), VecDeque::<Vec<u8>>::new());
        let count = rng.below(120);
        for _ in 0..count {
            let (text, i) = (text(rng), rng.index(model.len() + 1));
            let at = pack.as_ref().nth(i);
            match (rng.below(8), at) {
                (0, Some(at)) => {
                    pack.replace(at, &text);
                    model[i] = text;
                }
                (1, Some(at)) => {
                    let n = 1 + index(rng, 3);
                    pack.remove(at, n);
                    model.drain(i..(i + n).min(model.len()));
                }
                (2, _) => assert_eq!(pack.pop_front(|elem| elem.to_vec()), model.pop_front()),
                (3, _) => assert_eq!(pack.pop_back(|elem| elem.to_vec()), model.pop_back()),
                (4, _) => {
                    pack.push_front(&text);
                    model.push_front(text);
                }
                (_, at) => {
                    pack.insert(at.unwrap_or(pack.as_ref().end()), &text);
                    model.insert(i, text);
                }
            }
        }
        let texts = |pack: ListpackRef<'_>| pack.iter().map(|(_, elem)| elem.to_vec()).collect::<Vec<_>>();
        let back = (0..pack.len()).map(|i| pack.as_ref().nth_back(i).expect("so many there are"));
        let back: Vec<_> = back.map(|at| pack.as_ref().get(at).to_vec()).collect();
        assert!(back.iter().rev().eq(model.iter()));
        assert_eq!((pack.len(), texts(pack.as_ref())), (model.len(), Vec::from(model)));
        let mut bytes = pack.into_bytes();
        for _ in 0..4 {
            let at = index(rng, bytes.len());
            bytes[at] = rng.next_u64() as u8;
            if Listpack::check(&bytes).is_ok() {
                let pack = ListpackRef::new(&bytes);
                assert_eq!(texts(pack).len(), pack.len());
            }
        }
        count + 4
    });
}

#[test]
fn quicklists_are_lists() {
    hunt("quicklist", |rng| {
        let fill = [-2, -1, 1, 3, 16][rng.index(5)];
        let alone = [Shape::ALONE, 100][rng.index(2)];
        let mut list = Quicklist::new(Shape { fill, depth: rng.index(3), alone });
        let mut model = VecDeque::<Vec<u8>>::new();
        let most = if rng.below(8) == 0 { 20_000 } else { 400 };
        let count = rng.below(most);
        for _ in 0..count {
            let (text, i) = (text(rng), rng.index(model.len() + 1));
            match rng.below(14) {
                0..4 => {
                    list.push(End::Right, Elem::parse(&text));
                    model.push_back(text);
                }
                4..8 => {
                    list.push(End::Left, Elem::parse(&text));
                    model.push_front(text);
                }
                8 => assert_eq!(list.pop(End::Left, |elem| elem.to_vec()), model.pop_front()),
                9 => assert_eq!(list.pop(End::Right, |elem| elem.to_vec()), model.pop_back()),
                10 => {
                    list.insert(i, Elem::parse(&text));
                    model.insert(i, text);
                }
                11 if i < model.len() => {
                    list.replace(i, Elem::parse(&text));
                    model[i] = text;
                }
                12 => {
                    let n = index(rng, 60);
                    list.remove(i, n);
                    model.drain(i..(i + n).min(model.len()));
                }
                _ => {
                    let mut here = None;
                    list.walk(i, End::Right, |elem| {
                        here = Some(elem.to_vec());
                        ControlFlow::Break(())
                    });
                    assert_eq!(here.as_ref(), model.get(i));
                }
            }
        }
        let mut texts = Vec::new();
        list.walk(0, End::Right, |elem| {
            texts.push(elem.to_vec());
            ControlFlow::Continue(())
        });
        assert_eq!((list.len(), texts), (model.len(), Vec::from(model)));
        count
    });
}

/// A score as something that has an order.
fn ordered(score: f64) -> i64 {
    let bits = score.to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

#[test]
fn ranked_members_are_in_the_order_of_scores_and_names() {
    hunt("ranked", |rng| {
        let mut ranked = Ranked::new(HashSeed::new(rng.next_u64()));
        let (mut scores, mut order) = (HashMap::<Vec<u8>, f64>::new(), BTreeSet::new());
        let (count, members, spread) = (rng.below(3000), 1 + rng.below(1500), 1 + rng.below(200));
        for _ in 0..count {
            let member = format!("m{}", rng.below(members)).into_bytes();
            match rng.below(12) {
                0..7 => {
                    let score =
                        [rng.below(spread) as f64 - 9.5, f64::INFINITY, -1e300][rng.index(20).saturating_sub(17)];
                    let before = scores.insert(member.clone(), score);
                    assert_eq!(ranked.insert(&member, score), before);
                    before.map(|before| order.remove(&(ordered(before), member.clone())));
                    order.insert((ordered(score), member));
                }
                7..9 => {
                    let before = scores.remove(&member);
                    assert_eq!(ranked.remove(&member), before);
                    before.map(|before| order.remove(&(ordered(before), member)));
                }
                9 if rng.below(20) == 0 => {
                    let (from, n) = (index(rng, order.len()), index(rng, 40));
                    let to = (from + n).min(order.len());
                    ranked.remove_range(from..to, |member, _| assert!(scores.remove(member).is_some()));
                    order.retain(|(_, member)| scores.contains_key(member));
                }
                _ => {
                    let rank = order.iter().position(|(_, other)| *other == member);
                    assert_eq!(ranked.rank(&member), rank.map(|rank| (rank, scores[&member])));
                }
            }
        }
        assert_eq!(ranked.len(), order.len());
        assert!(ranked.iter().map(|(member, _)| member).eq(order.iter().map(|(_, member)| member.as_slice())));
        let bound = rng.below(spread) as f64 - 9.5;
        assert_eq!(ranked.count_below(bound, false), scores.values().filter(|score| **score < bound).count());
        count
    });
}

/// How early the record of a deadline may fire: by what the wheel leaves of deadlines that far ahead when it is filed.
fn rounding(ahead: i64) -> i64 {
    const DAY: i64 = 86_400_000;
    match ahead {
        0..=DAY => 0,
        _ if ahead <= 365 * DAY => 16,
        _ => 1 << 28,
    }
}

#[test]
fn wheels_fire_what_is_due_in_time_and_early_only_what_was_rounded() {
    hunt("wheel", |rng| {
        let (mut wheel, mut now) = (Wheel::new(), 1_700_000_000_000_i64);
        // By number: deadline and time of filing.
        let mut model = BTreeMap::<u64, (i64, i64)>::new();
        let (count, furthest) = (rng.below(600), 1 + rng.below(40));
        for number in 0..count {
            if rng.below(3) > 0 {
                let deadline = now + (rng.next_u64() >> (63 - rng.below(furthest))) as i64;
                wheel.file(Millis(now), number, Millis(deadline));
                model.insert(number, (deadline, now));
                continue;
            }
            let most = 1 << rng.below(furthest);
            now += rng.below(most) as i64;
            let (mut fired, budget, mut calls) = (Vec::new(), 1 + index(rng, 50), 0);
            while wheel.advance(Millis(now), budget, &mut fired).more {
                calls += 1;
                assert!(calls < 10_000, "it does not come to rest");
            }
            for record in fired {
                let (deadline, filed) = model.remove(&record.hash40).expect("a record fires once");
                if deadline > now {
                    assert!(deadline - now <= rounding(deadline - filed), "{} ms early", deadline - now);
                    wheel.file(Millis(now), record.hash40, Millis(deadline));
                    model.insert(record.hash40, (deadline, now));
                }
            }
            let first = model.values().map(|&(deadline, _)| deadline).min();
            assert!(first.is_none_or(|first| first > now), "all that is due has fired");
            let next = wheel.next_due(Millis(now)).map(|next| next.0);
            assert!(next.is_some() == first.is_some() && next <= first);
        }
        assert_eq!(wheel.len(), model.len());
        count
    });
}
