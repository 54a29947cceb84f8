//! [`Ranked`] against a plain model: a sorted vector.

use std::collections::BTreeMap;

use super::*;
use crate::base::rng::Rng;

/// Members and scores, sorted as a `Ranked` sorts them.
#[derive(Default)]
struct Model {
    scores: BTreeMap<Vec<u8>, f64>,
}

impl Model {
    fn sorted(&self) -> Vec<(&[u8], f64)> {
        let mut all: Vec<_> = self.scores.iter().map(|(m, s)| (m.as_slice(), *s)).collect();
        all.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(b.0)));
        all
    }
}

fn new() -> Ranked {
    Ranked::new(HashSeed::new(7))
}

fn compare(ranked: &Ranked, model: &Model, rng: &mut Rng) {
    ranked.tree.check(&ranked.records);
    let sorted = model.sorted();
    assert_eq!(ranked.len(), sorted.len());
    assert_eq!(ranked.table.len(), sorted.len());
    assert!(ranked.iter().eq(sorted.iter().copied()));
    assert!(ranked.iter().rev().eq(sorted.iter().rev().copied()));
    for _ in 0..20 {
        let (a, b) = (rng.index(sorted.len() + 3), rng.index(sorted.len() + 3));
        let (start, end) = (a.min(b), a.max(b));
        let cut = start.min(sorted.len())..end.min(sorted.len());
        assert!(ranked.range(start..end).eq(sorted[cut.clone()].iter().copied()));
        assert!(ranked.range(start..end).rev().eq(sorted[cut].iter().rev().copied()));
        assert_eq!(ranked.at(a), sorted.get(a).copied());
        if let Some(&(member, score)) = sorted.get(a) {
            assert_eq!(ranked.rank(member), Some((a, score)));
            assert_eq!(ranked.score(member), Some(score));
            assert_eq!(ranked.count_below(score, false), sorted.partition_point(|x| x.1 < score));
            assert_eq!(ranked.count_below(score, true), sorted.partition_point(|x| x.1 <= score));
            assert_eq!(ranked.partition(|s, m| (s, m) <= (score, member)), a + 1);
        }
    }
    let mut seen = BTreeMap::new();
    let mut cursor = 0;
    loop {
        cursor = ranked.scan(cursor, |member, score| assert!(seen.insert(member.to_vec(), score).is_none()));
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen, model.scores);
}

fn member(rng: &mut Rng, names: u64) -> Vec<u8> {
    let n = rng.below(names);
    match n % 50 {
        0 => vec![b'x'; 200 + n as usize % 400],
        1 => Vec::from(n.to_be_bytes()),
        _ => format!("member:{n}").into_bytes(),
    }
}

/// Runs random operations: `grow` of 100 insert or change a score, the others remove.
fn run(rng: &mut Rng, ranked: &mut Ranked, model: &mut Model, steps: usize, grow: u64, names: u64, scores: u64) {
    for _ in 0..steps {
        let score = rng.below(scores) as f64 - scores as f64 / 2.0;
        let name = member(rng, names);
        match rng.below(100) {
            n if n < grow => {
                let (old, new) = ranked.update(&name, |old| Some(old.map_or(score, |old| old + (score - old) / 2.0)));
                assert_eq!(old, model.scores.get(&name).copied());
                model.scores.insert(name, new.expect("given"));
            }
            n if n % 4 == 0 && !ranked.is_empty() => {
                let start = rng.index(ranked.len());
                let ranks = start..start + rng.index(4);
                let expected: Vec<_> = ranked.range(ranks.clone()).map(|(m, s)| (m.to_vec(), s)).collect();
                let mut gone = Vec::new();
                ranked.remove_range(ranks, |m, s| gone.push((m.to_vec(), s)));
                assert_eq!(gone, expected);
                gone.iter().for_each(|(m, s)| assert_eq!(model.scores.remove(m), Some(*s)));
            }
            n if n % 4 == 1 => {
                assert_eq!(ranked.update(&name, |_| None), (model.scores.get(&name).copied(), None));
            }
            _ => assert_eq!(ranked.remove(&name), model.scores.remove(&name)),
        }
    }
}

#[test]
fn random_operations_agree_with_a_sorted_vector() {
    for seed in 0..4 {
        let mut rng = Rng::new(seed);
        let (mut ranked, mut model) = (new(), Model::default());
        for (grow, scores) in [(80, 1 << 40), (45, 10), (90, 1), (20, 1000), (0, 9)] {
            for _ in 0..4 {
                run(&mut rng, &mut ranked, &mut model, 1500, grow, 3000, scores);
                compare(&ranked, &model, &mut rng);
            }
        }
    }
}

#[test]
fn growing_in_any_order_keeps_leaves_well_filled() {
    let len = 100_000u64;
    let fill = |score: &dyn Fn(u64) -> f64| {
        let mut ranked = new();
        for i in 0..len {
            ranked.insert(format!("member:{i:010}").as_bytes(), score(i));
        }
        let fill = ranked.tree.check(&ranked.records);
        (fill, ranked)
    };
    let (ascending, _) = fill(&|i| i as f64);
    let (descending, _) = fill(&|i| -(i as f64));
    let (random, ranked) = fill(&|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as f64);
    let (equal, _) = fill(&|_| 1.0);
    assert!(ascending > 0.97 && descending > 0.97 && equal > 0.97, "{ascending} {descending} {equal}");
    assert!(random > 0.75, "{random}");
    let per_member = ranked.memory() as f64 / len as f64;
    assert!(per_member < 60.0, "{per_member} bytes per member");
}

#[test]
fn popping_from_both_ends_empties_it() {
    let mut ranked = new();
    for i in 0..5000u64 {
        ranked.insert(&i.wrapping_mul(0x9e37_79b9).to_be_bytes(), (i % 97) as f64);
    }
    let mut last = f64::NEG_INFINITY;
    while ranked.len() > 2500 {
        ranked.remove_range(0..1, |_, score| assert!(std::mem::replace(&mut last, score) <= score));
    }
    ranked.tree.check(&ranked.records);
    let mut last = f64::INFINITY;
    while !ranked.is_empty() {
        let end = ranked.len();
        ranked.remove_range(end - 1..end, |_, score| assert!(std::mem::replace(&mut last, score) >= score));
    }
    ranked.tree.check(&ranked.records);
    assert_eq!(ranked.at(0), None);
    assert_eq!(ranked.insert(b"again", 1.0), None);
    assert_eq!(ranked.rank(b"again"), Some((0, 1.0)));
}

#[test]
fn infinities_and_zeros_are_scores_like_others() {
    let mut ranked = new();
    for (member, score) in [("b", f64::INFINITY), ("a", f64::NEG_INFINITY), ("n", -0.0), ("m", 0.0)] {
        ranked.insert(member.as_bytes(), score);
    }
    let order: Vec<_> = ranked.iter().map(|(m, _)| m[0] as char).collect();
    assert_eq!(order, ['a', 'm', 'n', 'b']);
    assert_eq!(ranked.count_below(f64::INFINITY, false), 3);
    assert_eq!(ranked.rank(b"n"), Some((2, 0.0)));
}

#[test]
fn a_copy_is_independent() {
    let mut ranked = new();
    for i in 0..3000u64 {
        ranked.insert(i.to_string().as_bytes(), (i % 7) as f64);
    }
    let copy = ranked.clone();
    ranked.remove_range(0..2999, |_, _| ());
    assert_eq!((ranked.len(), copy.len()), (1, 3000));
    copy.tree.check(&copy.records);
    assert_eq!(copy.score(b"14"), Some(0.0));
}
