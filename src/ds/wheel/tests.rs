//! The wheel against a map of everything filed: each record fires once, with its id, in time.

use super::*;
use std::collections::{BTreeMap, HashMap};

const SECOND: i64 = 1_000;
const DAY: i64 = 86_400 * SECOND;
const YEAR: i64 = 365 * DAY;
const START: i64 = 1_700_000_000_000;
/// The rounding of level 3, and of the far list.
const ROUNDING: i64 = 16;
const FAR_ROUNDING: i64 = 1 << 28;

/// xorshift64*
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: i64) -> i64 {
        ((self.next() >> 11) % n as u64) as i64
    }
}

/// A wheel, the records that should be in it, and a clock.
struct World {
    wheel: Wheel,
    now: i64,
    /// By hash and id: deadline and the time of filing.
    filed: HashMap<(u64, SlotId), Vec<(i64, i64)>>,
    by_deadline: BTreeMap<i64, usize>,
    fired: usize,
    /// Records may then have been placed anew from an earlier point in time, and rounded for it.
    was_set_back: bool,
}

impl World {
    fn at(now: i64) -> World {
        World {
            wheel: Wheel::new(),
            now,
            filed: HashMap::new(),
            by_deadline: BTreeMap::new(),
            fired: 0,
            was_set_back: false,
        }
    }

    fn file(&mut self, hash: u64, deadline: i64) -> SlotId {
        let id = self.wheel.file(Millis(self.now), hash, Millis(deadline));
        self.filed.entry((hash & HASH_MASK, id)).or_default().push((deadline, self.now));
        *self.by_deadline.entry(deadline).or_default() += 1;
        id
    }

    /// Takes a record out: its deadline and the time of filing.
    fn take(&mut self, hash40: u64, id: SlotId) -> (i64, i64) {
        let records = self.filed.get_mut(&(hash40, id)).expect("a record fires as it was filed");
        let record = records.pop().unwrap();
        if records.is_empty() {
            self.filed.remove(&(hash40, id));
        }
        let count = self.by_deadline.get_mut(&record.0).unwrap();
        *count -= 1;
        if *count == 0 {
            self.by_deadline.remove(&record.0);
        }
        record
    }

    fn forget(&mut self, hash40: u64, id: SlotId) {
        self.take(hash40, id);
    }

    fn len(&self) -> usize {
        self.by_deadline.values().sum()
    }

    /// Advances until nothing is left to do, and files again what came early, as an owner does.
    fn advance(&mut self, budget: usize) {
        let mut fired = Vec::new();
        while self.wheel.advance(Millis(self.now), budget, &mut fired).more {
            assert!(fired.len() < 10_000_000);
        }
        self.fired += fired.len();
        for Fired { hash40, id } in fired {
            let (deadline, filed_at) = self.take(hash40, id);
            if deadline > self.now {
                let early = deadline - self.now;
                let allowed = if deadline - filed_at > YEAR { FAR_ROUNDING } else { ROUNDING };
                assert!(early <= allowed && (self.was_set_back || deadline - filed_at > DAY), "{early} ms early");
                self.file(hash40, deadline);
            }
        }
        self.check();
    }

    fn check(&self) {
        assert_eq!(self.wheel.len(), self.len());
        let earliest = self.by_deadline.keys().next().copied();
        assert!(earliest.is_none_or(|earliest| earliest > self.now), "all that is due has fired");
        let next_due = self.wheel.next_due(Millis(self.now));
        assert_eq!(next_due.is_some(), earliest.is_some());
        assert!(next_due.is_none_or(|due| due.0 >= self.now && due.0 <= earliest.unwrap()));
        assert_eq!(self.wheel.lag(Millis(self.now)), 0);
    }

    /// Goes where the wheel says something is due, until it is empty. The number of stops.
    fn run_out(&mut self) -> usize {
        let mut stops = 0;
        while let Some(due) = self.wheel.next_due(Millis(self.now)) {
            assert!(due.0 >= self.now);
            self.now = due.0;
            self.advance(1_000);
            stops += 1;
            assert!(stops < 1_000_000);
        }
        stops
    }
}

/// Spans from milliseconds to decades, evenly in magnitude.
fn span(rng: &mut Rng) -> i64 {
    let bits = rng.below(41);
    rng.below(2 << bits)
}

#[test]
fn an_empty_wheel_holds_nothing() {
    let mut wheel = Wheel::new();
    assert_eq!((wheel.memory_usage(), wheel.len(), wheel.next_due(Millis(5))), (0, 0, None));
    assert_eq!(wheel.advance(Millis(START), 10, &mut Vec::new()), Progress { more: false });
    assert_eq!(wheel.lag(Millis(START)), 0);
    wheel.file(Millis(START), 1, Millis(START + 60_000));
    assert!(wheel.memory_usage() < 8_192, "{}", wheel.memory_usage());
}

#[test]
fn fires_at_the_millisecond_and_not_before() {
    for ahead in [0, 1, 2, 15, 16, 17, 255, 4_095, 4_096, 8_191, 8_192, 60_000, 1 << 20, 3_600_000, DAY] {
        let mut wheel = Wheel::new();
        let id = wheel.file(Millis(START), 0xabcd_ef01_2345_6789, Millis(START + ahead));
        let mut fired = Vec::new();
        if ahead > 0 {
            wheel.advance(Millis(START + ahead - 1), 100, &mut fired);
            assert_eq!(fired, []);
        }
        wheel.advance(Millis(START + ahead), 100, &mut fired);
        assert_eq!(fired, [Fired { hash40: 0x01_2345_6789, id }], "{ahead} ms ahead");
        assert!(wheel.is_empty());
    }
}

#[test]
fn past_deadlines_fire_at_once() {
    let mut world = World::at(START);
    world.file(9, START + 50_000);
    for (n, deadline) in [START, START - 1, START - DAY, 0, -5, i64::MIN].into_iter().enumerate() {
        world.file(n as u64, deadline);
    }
    world.advance(100);
    assert_eq!(world.fired, 6);
}

#[test]
fn random_deadlines_fire_once_and_in_time() {
    for seed in 1..=40 {
        let mut rng = Rng(seed);
        let mut world = World::at(START + rng.below(YEAR));
        let longest = [10, 14, 22, 30, 41][seed as usize % 5];
        for _ in 0..600 {
            for _ in 0..rng.below(12) {
                let bits = rng.below(longest);
                let ahead = rng.below(2 << bits) - rng.below(20);
                world.file(rng.next(), world.now + ahead);
            }
            let bits = rng.below(longest);
            world.now += rng.below(2 << bits);
            let budget = 1 + rng.below(60) as usize;
            world.advance(budget);
        }
        world.run_out();
    }
}

#[test]
fn next_due_leads_to_every_deadline_with_few_stops() {
    let mut rng = Rng(7);
    let mut world = World::at(START);
    for _ in 0..2_000 {
        let ahead = span(&mut rng).min(10 * YEAR);
        world.file(rng.next(), world.now + ahead);
    }
    let stops = world.run_out();
    assert!(stops < 5 * 2_000, "{stops} stops");
}

#[test]
fn the_largest_deadlines_are_kept() {
    let mut world = World::at(START);
    let ids: Vec<SlotId> = [i64::MAX, i64::MAX - 1, 1 << 52, 1 << 60].iter().map(|&d| world.file(1, d)).collect();
    assert_eq!(ids.len(), world.wheel.len());
    world.now += 500 * YEAR;
    world.advance(100);
    assert_eq!((world.fired, world.wheel.len()), (0, 4));
}

#[test]
fn a_million_deadlines_in_one_second() {
    let mut world = World::at(START);
    let mut rng = Rng(3);
    for n in 0..1_000_000 {
        world.file(n, START + 10 * SECOND + rng.below(SECOND));
    }
    let bytes = world.wheel.memory_usage() as f64 / 1e6;
    assert!(bytes < 10.0, "{bytes} bytes per record");
    let (mut largest, mut fired) = (0, Vec::new());
    while !world.wheel.is_empty() {
        world.now += 1;
        let before = fired.len();
        world.wheel.advance(Millis(world.now), 2_000, &mut fired);
        largest = largest.max(fired.len() - before);
        assert!(world.now < START + 12 * SECOND);
    }
    assert!(largest <= 2_000 + 15);
    assert_eq!(fired.len(), 1_000_000);
    fired.into_iter().for_each(|Fired { hash40, id }| world.forget(hash40, id));
    assert_eq!(world.len(), 0);
    assert!(world.wheel.memory_usage() < 30_000);
}

#[test]
fn a_large_wheel_takes_less_than_ten_bytes_per_record() {
    let mut wheel = Wheel::new();
    let mut rng = Rng(3);
    for n in 0..200_000 {
        wheel.file(Millis(START), n, Millis(START + rng.below(3_600_000)));
    }
    let bytes = wheel.memory_usage() as f64 / 2e5;
    assert!(bytes < 10.0, "{bytes} bytes per record");
}

#[test]
fn lag_tells_how_late_the_oldest_record_is() {
    let mut wheel = Wheel::new();
    for n in 0..100 {
        wheel.file(Millis(START), n, Millis(START + 100));
    }
    assert_eq!(wheel.lag(Millis(START + 50)), 0);
    let mut fired = Vec::new();
    assert!(wheel.advance(Millis(START + 1_000), 10, &mut fired).more);
    let lag = wheel.lag(Millis(START + 1_000));
    assert!((900..900 + ROUNDING).contains(&lag), "{lag}");
    assert_eq!(wheel.next_due(Millis(START + 1_000)), Some(Millis(START + 1_000)));
}

#[test]
fn a_tick_with_more_records_than_the_budget_comes_to_rest() {
    let mut wheel = Wheel::new();
    for n in 0..500 {
        wheel.file(Millis(START), n, Millis(START + 15));
    }
    wheel.file(Millis(START), 500, Millis(START + 3));
    wheel.file(Millis(START), 501, Millis(START + 9));
    let mut fired = Vec::new();
    for (now, due) in [(START + 3, 500), (START + 9, 501)] {
        let calls = (1..).take_while(|_| wheel.advance(Millis(now), 20, &mut fired).more).take(200).count();
        assert!((2..60).contains(&calls), "{calls} calls");
        assert_eq!(fired.drain(..).map(|record| record.hash40).collect::<Vec<_>>(), [due]);
    }
    assert_eq!(wheel.next_due(Millis(START + 9)), Some(Millis(START + 15)));
}

#[test]
fn what_is_filed_or_swept_while_a_tick_is_looked_at_fires_in_time() {
    for compact in [false, true] {
        let mut wheel = Wheel::new();
        for n in 0..500 {
            wheel.file(Millis(START), n, Millis(START + 15 - i64::from(n == 499) * 12));
        }
        let mut fired = Vec::new();
        assert!(wheel.advance(Millis(START + 3), 20, &mut fired).more);
        if compact {
            wheel.compact(490, |_, _| true);
        }
        wheel.file(Millis(START + 3), 500, Millis(START + 4));
        for now in [START + 3, START + 4] {
            (0..60).find(|_| !wheel.advance(Millis(now), 20, &mut fired).more).expect("it comes to rest");
        }
        assert_eq!(fired.iter().map(|record| record.hash40).collect::<Vec<_>>(), [499, 500], "{compact}");
    }
}

#[test]
fn a_clock_set_forward_fires_all_that_became_due() {
    let mut world = World::at(START);
    let mut rng = Rng(11);
    for _ in 0..5_000 {
        let ahead = span(&mut rng).min(40 * YEAR);
        world.file(rng.next(), START + ahead);
    }
    world.now += 20 * YEAR;
    world.advance(100);
    world.now += 30 * YEAR;
    world.advance(1_000_000);
    assert!(world.wheel.is_empty());
}

#[test]
fn a_clock_set_back_does_not_delay_new_deadlines() {
    for back in [1, 20, 3_000, 5_000, 3_600_000, DAY, YEAR, 15 * YEAR] {
        let mut world = World::at(START);
        world.was_set_back = true;
        let mut rng = Rng(back as u64);
        for round in 0..4 {
            for _ in 0..300 {
                let ahead = span(&mut rng).min(2 * YEAR);
                world.file(rng.next(), world.now + ahead);
            }
            world.advance(50);
            // What is already due in the wheel's eyes stays so; the clock alone moves.
            world.now -= if round < 3 { back } else { 0 };
            for _ in 0..300 {
                let ahead = span(&mut rng).min(2 * YEAR);
                world.file(rng.next(), world.now + ahead);
            }
            for _ in 0..50 {
                world.now += rng.below(300);
                world.advance(50);
            }
        }
        assert!(back >= YEAR || world.wheel.set_aside.is_empty());
        world.run_out();
    }
}

#[test]
fn compacting_drops_what_is_not_kept_and_nothing_else() {
    let mut world = World::at(START);
    let mut rng = Rng(5);
    for n in 0..30_000 {
        let ahead = span(&mut rng).min(20 * YEAR);
        world.file(n, START + 10 * SECOND + ahead);
        if n % 3 != 0 {
            world.wheel.note_stale();
        }
    }
    assert_eq!(world.wheel.stale(), 20_000);
    let mut dropped = Vec::new();
    let mut calls = 0;
    while world
        .wheel
        .compact(700, |hash40, id| {
            if hash40 % 3 != 0 {
                dropped.push((hash40, id));
            }
            hash40 % 3 == 0
        })
        .more
    {
        calls += 1;
    }
    assert!(calls > 30);
    assert_eq!((dropped.len(), world.wheel.len(), world.wheel.stale()), (20_000, 10_000, 0));
    dropped.into_iter().for_each(|(hash40, id)| world.forget(hash40, id));
    world.run_out();
}

#[test]
fn compacting_between_steps_loses_nothing() {
    for seed in 1..=10 {
        let mut rng = Rng(seed);
        let mut world = World::at(START);
        let mut dropped = Vec::new();
        for _ in 0..800 {
            for _ in 0..rng.below(40) {
                let ahead = span(&mut rng).min(8 * YEAR);
                world.file(rng.next(), world.now + ahead);
            }
            let budget = rng.below(100) as usize;
            world.wheel.compact(budget, |hash40, id| {
                if hash40 % 5 == 0 {
                    dropped.push((hash40, id));
                }
                hash40 % 5 != 0
            });
            dropped.drain(..).for_each(|(hash40, id)| world.forget(hash40, id));
            let bits = rng.below(34);
            world.now += rng.below(2 << bits);
            let budget = 1 + rng.below(300) as usize;
            world.advance(budget);
        }
        world.run_out();
    }
}

#[test]
fn stale_counts_are_the_owners_word() {
    let mut wheel = Wheel::new();
    wheel.note_stale();
    assert_eq!(wheel.stale(), 0, "never more than there are records");
    wheel.file(Millis(START), 1, Millis(START + 5));
    wheel.file(Millis(START), 1, Millis(START + 900));
    assert_eq!(wheel.stale(), 1);
    wheel.forget_stale();
    assert_eq!(wheel.stale(), 0);
}

#[test]
fn a_wheel_can_cross_threads() {
    let mut wheel = Wheel::new();
    wheel.file(Millis(START), 1, Millis(START + 5));
    assert_eq!(std::thread::spawn(move || wheel.len()).join().unwrap(), 1);
}
