//! How fast the structures of `ds` are, and how long their slowest step takes.
//!
//! *Duty:* one line for each operation of a structure: nanoseconds for one, and the longest single one, for a small and
//! a large number of elements. *Does not know:* what is fast enough; BENCHMARKS.md says what was measured. *Method:* the
//! operations are timed one by one with the monotonic clock, whose own time (some 20 ns) is taken off.
//!
//! `cargo bench --bench structures [-- NAME]`; with a NAME only structures whose name begins so. Without `--bench`
//! (as under `cargo test --benches`) each runs with a few elements, to see that it works.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Instant;

use redstart::base::hash::HashSeed;
use redstart::base::millis::Millis;
use redstart::base::rng::Rng;
use redstart::ds::dict::Dict;
use redstart::ds::element::Elem;
use redstart::ds::intset::Intset;
use redstart::ds::listpack::Listpack;
use redstart::ds::pack::Pack;
use redstart::ds::quicklist::{End, Quicklist, Shape};
use redstart::ds::ranked::Ranked;
use redstart::ds::wheel::Wheel;

/// Runs `step` `count` times and prints what one takes and what the longest took.
fn measure<R>(name: &str, count: usize, mut step: impl FnMut(usize) -> R) {
    let clock = Instant::now();
    (0..1000).for_each(|_| _ = black_box(Instant::now()));
    let reading = clock.elapsed() / 1000;
    let (mut total, mut longest) = (0, 0);
    for i in 0..count {
        let began = Instant::now();
        black_box(step(i));
        let took = (began.elapsed().saturating_sub(reading)).as_nanos() as u64;
        total += took;
        longest = longest.max(took);
    }
    let each = total as f64 / count.max(1) as f64;
    println!("{name:<36} {count:>9} times {each:>9.1} ns   longest {:>9.1} us", longest as f64 / 1000.0);
}

fn key(i: usize) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    let mut rest = i;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

fn dict(large: usize) {
    let (mut dict, mut rng) = (Dict::new(HashSeed::new(1)), Rng::new(1));
    measure("dict insert", large, |i| dict.insert(&key(i), b"value"));
    measure("dict get", large, |_| dict.get(&key(rng.index(large))).is_some());
    let mut cursor = 0;
    measure("dict scan of a bucket", large / 8, |_| cursor = dict.scan(cursor, |key, _| _ = black_box(key)));
    measure("dict remove", large, |i| dict.remove(&key(i)));
}

fn intset(_: usize) {
    let (mut set, mut rng) = (Intset::new(), Rng::new(1));
    measure("intset insert, up to 512", 512, |i| set.insert(i as i64 * 7919 % 512));
    measure("intset contains", 100_000, |_| set.as_ref().contains(rng.below(600) as i64));
}

fn packs(_: usize) {
    let (mut pack, mut list, mut rng) = (Pack::new(), Listpack::new(), Rng::new(1));
    measure("pack push, up to 128", 128, |i| pack.push(&key(i)));
    measure("pack find", 100_000, |_| pack.as_ref().find(&key(rng.index(128)), 1));
    measure("listpack push, up to 128", 128, |i| list.push(&key(i)));
    measure("listpack find", 100_000, |_| list.as_ref().find(&key(rng.index(128)), 1));
}

/// Long elements, so that there are many nodes.
fn quicklist(large: usize) {
    let (mut list, mut rng) = (Quicklist::new(Shape::default()), Rng::new(1));
    let long = [b'x'; 200];
    measure("quicklist push right, 200 bytes", large, |_| list.push(End::Right, Elem::parse(&long)));
    measure("quicklist element in the middle", 1000, |_| {
        let at = list.len() / 2 + rng.index(1 + large / 100);
        list.walk(at, End::Right, |elem| {
            black_box(elem);
            ControlFlow::Break(())
        });
    });
    measure("quicklist insert in the middle", 1000, |_| list.insert(list.len() / 2, Elem::Int(7)));
    measure("quicklist remove one in the middle", 1000, |_| list.remove(list.len() / 2, 1).free_effort());
    let mut garbage = Vec::new();
    measure("quicklist cut to its middle tenth", 1, |_| {
        let len = list.len();
        garbage.push(list.remove(len * 55 / 100, len));
        garbage.push(list.remove(0, len * 45 / 100));
    });
    measure("quicklist memory", 1000, |_| list.memory());
    let left = list.len();
    measure("quicklist pop left", left, |_| list.pop(End::Left, |elem| elem.text_len()));
}

fn ranked(large: usize) {
    let (mut ranked, mut rng) = (Ranked::new(HashSeed::new(1)), Rng::new(1));
    measure("ranked insert", large, |i| ranked.insert(&key(i), (i * 7919 % large) as f64));
    measure("ranked rank", large, |_| ranked.rank(&key(rng.index(large))));
    measure("ranked new score", large, |i| ranked.insert(&key(i), (i * 104_729 % large) as f64));
    measure("ranked range of 100", 10_000, |_| {
        let from = rng.index(large);
        ranked.range(from..(from + 100).min(large)).map(|(_, score)| score).sum::<f64>()
    });
    measure("ranked remove", large, |i| ranked.remove(&key(i)));
}

fn wheel(large: usize) {
    let (mut wheel, mut rng, mut fired) = (Wheel::new(), Rng::new(1), Vec::new());
    let start = 1_700_000_000_000;
    measure("wheel file, within a day", large, |i| {
        wheel.file(Millis(start), i as u64, Millis(start + rng.below(86_400_000) as i64))
    });
    let mut now = start;
    measure("wheel advance by 100 ms, budget 200", 10_000, |_| {
        now += 100;
        fired.clear();
        wheel.advance(Millis(now), 200, &mut fired)
    });
}

/// Runs with this many elements.
type Bench = fn(usize);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let whole = args.iter().any(|arg| arg == "--bench");
    let wanted = args.iter().find(|arg| !arg.starts_with("--")).map_or("", String::as_str);
    let large = if whole { 2_000_000 } else { 2_000 };
    let all: [(&str, Bench); 6] = [
        ("dict", dict),
        ("intset", intset),
        ("packs", packs),
        ("quicklist", quicklist),
        ("ranked", ranked),
        ("wheel", wheel),
    ];
    all.iter().filter(|(name, _)| name.starts_with(wanted)).for_each(|(_, run)| run(large));
}
