//! Both forms of a sorted set answer alike.

use super::*;
use crate::base::hash::HashSeed;

fn limits() -> Limits {
    Limits::new(HashSeed::new(3))
}

fn text(elem: Elem<'_>) -> Vec<u8> {
    elem.to_vec()
}

fn all(zset: ZsetRef<'_>, ranks: Range<usize>, reverse: bool) -> Vec<(Vec<u8>, f64)> {
    zset.range(ranks, reverse).map(|(m, s)| (text(m), s)).collect()
}

#[test]
fn both_forms_answer_alike() {
    let (small, mut rng) = (limits(), Rng::new(1));
    let big = Limits { zset_max_listpack_entries: 0, ..small };
    let (mut packed, mut ranked) = (Zset::new(), Zset::new());
    for step in 0..6000 {
        let member = match rng.below(40) {
            0 => b"a longer name".to_vec(),
            n => n.to_string().into_bytes(),
        };
        let score = match rng.below(8) {
            0 => f64::INFINITY,
            1 => 0.1,
            2 => 1e300,
            3 => -((1u64 << 60) as f64) - 4096.0,
            4 => 1.0 / 3.0,
            n => n as f64 - 6.0,
        };
        match rng.below(10) {
            0..=5 => assert_eq!(packed.insert(&member, score, &small), ranked.insert(&member, score, &big)),
            6..=8 => assert_eq!(packed.remove(&member), ranked.remove(&member)),
            _ => {
                let start = rng.index(packed.len() + 1);
                let ranks = start..(start + rng.index(3)).min(packed.len());
                let (mut gone, mut gone_too) = (Vec::new(), Vec::new());
                packed.remove_range(ranks.clone(), |m, s| gone.push((text(m), s)));
                ranked.remove_range(ranks, |m, s| gone_too.push((text(m), s)));
                assert_eq!(gone, gone_too);
            }
        }
        if step % 10 == 0 {
            let (packed, ranked) = (packed.as_ref(), ranked.as_ref());
            let ranks = rng.index(10)..10 + rng.index(40);
            assert_eq!(all(packed, ranks.clone(), false), all(ranked, ranks.clone(), false));
            assert_eq!(all(packed, ranks.clone(), true), all(ranked, ranks, true));
            assert_eq!(packed.rank(&member), ranked.rank(&member));
            assert_eq!(packed.score(&member), ranked.score(&member));
            for inclusive in [false, true] {
                assert_eq!(packed.count_below(score, inclusive), ranked.count_below(score, inclusive));
            }
        }
    }
    assert_eq!((packed.as_ref().encoding(), ranked.as_ref().encoding()), ("listpack", "skiplist"));
}

#[test]
fn the_thresholds_are_those_of_the_directives() {
    let limits = Limits { zset_max_listpack_entries: 3, zset_max_listpack_value: 5, ..limits() };
    let mut zset = Zset::new();
    for member in ["1", "2", "12345"] {
        zset.insert(member.as_bytes(), 1.0, &limits);
    }
    assert_eq!(zset.as_ref().encoding(), "listpack");
    zset.insert(b"2", 7.0, &limits);
    assert_eq!(zset.as_ref().encoding(), "listpack");
    zset.insert(b"4", 1.0, &limits);
    assert_eq!(zset.as_ref().encoding(), "skiplist");
    assert_eq!(all(zset.as_ref(), 0..9, false).iter().map(|(m, _)| m.len()).collect::<Vec<_>>(), [1, 5, 1, 1]);
    let mut long = Zset::new();
    long.insert(b"123456", 1.0, &limits);
    assert_eq!(long.as_ref().encoding(), "skiplist");
    zset.remove_range(0..4, |_, _| ());
    assert!(zset.is_empty());
}

#[test]
fn scores_come_back_exactly() {
    let (limits, mut zset, mut rng) = (limits(), Zset::new(), Rng::new(5));
    for score in [0.1, 5e-324, f64::MAX, f64::NEG_INFINITY, 4503599627370496.0, 1e17, 1e22, -9.5e15] {
        zset.insert(b"m", score, &limits);
        assert_eq!(zset.as_ref().score(b"m"), Some(score));
    }
    for _ in 0..2000 {
        let score = f64::from_bits(rng.next_u64());
        if !score.is_nan() {
            zset.insert(b"m", score, &limits);
            assert_eq!(zset.as_ref().score(b"m"), Some(score));
        }
    }
}
