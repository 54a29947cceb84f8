//! Damaged payloads and snapshots by the hundred thousand: the one reader of RDB must survive them all.
//!
//! *Duty:* take sound payloads and files, damage them at random, and read them. Whatever comes in: no panic, no more
//! memory than the input can ask for, no stall; and what is accepted is sound: it can be walked, changed, written and
//! read again. *Does not know:* coverage. Damage is done where it hurts: lengths, types, counts, ends.
//! *Invariants:* the same seed tries the same inputs in the same order, for as long as the time allows. A failure
//! prints seed, number and input.
//!
//! `FUZZ_SECONDS` (2 for each target) is how long, `FUZZ_SEED` (1) what, `FUZZ_FROM` (0) the number to begin with.
//! `cargo test --release --test fuzz -- --nocapture` tells how many inputs were tried.

#[path = "fuzz/corpus.rs"]
mod corpus;

#[path = "fuzz/sound.rs"]
mod sound;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use redstart::base::rng::Rng;
use redstart::rdb::{Item, ReadOptions, Reader, Trailing, Unsupported, parse_payload};
use redstart::sys::alloc::{control_number, control_order};

/// Memory for each byte of input: a byte of LZF can become 88, two bytes of a listpack a member of a sorted set or a
/// deadline of a hash's field.
const BYTES_PER_BYTE: usize = 4096;
const BYTES_AT_LEAST: usize = 1 << 20;
/// Generous, as tests share the machine: what is hunted takes seconds.
const SLOWEST: Duration = Duration::from_millis(500);

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Feeds damaged copies of `seeds` to `target`, which tells whether it accepted the input, until time is up.
fn hunt(name: &str, seeds: &[Vec<u8>], mut target: impl FnMut(&[u8], &mut Rng) -> bool) {
    let (seed, first) = (setting("FUZZ_SEED", 1), setting("FUZZ_FROM", 0));
    let end = Instant::now() + Duration::from_secs(setting("FUZZ_SECONDS", 2));
    let (mut number, mut accepted, mut most) = (first, 0, (0, 0));
    while Instant::now() < end {
        let mut rng = Rng::new(seed ^ number << 20);
        let mut input = seeds[rng.index(seeds.len())].clone();
        for _ in 0..1 + rng.below(3) {
            damage(&mut input, seeds, &mut rng);
        }
        control_order(c"thread.peak.reset").expect("jemalloc counts for each thread");
        let began = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| target(&input, &mut rng)));
        let (took, peak) = (began.elapsed(), control_number(c"thread.peak.read", None).expect("as above") as usize);
        let shown = || format!("{name}: FUZZ_SEED={seed} FUZZ_FROM={number}: \"{}\"", input.escape_ascii());
        match result {
            Ok(taken) => accepted += u64::from(taken),
            Err(panic) => {
                eprintln!("{}", shown());
                resume_unwind(panic);
            }
        }
        let allowed = BYTES_AT_LEAST + input.len() * BYTES_PER_BYTE;
        assert!(peak <= allowed, "{peak} bytes of memory for {} of input: {}", input.len(), shown());
        assert!(took < SLOWEST + Duration::from_micros(input.len() as u64), "it took {took:?}: {}", shown());
        most = most.max((peak, input.len()));
        number += 1;
    }
    let tried = number - first;
    let (peak, len) = (most.0 >> 10, most.1);
    eprintln!("{name}: {tried} inputs tried, {accepted} accepted, at most {peak} KiB of memory (for {len} bytes)");
    assert!(tried >= 100, "hardly anything was tried: {tried}");
    assert!(
        accepted > 0 && accepted < tried,
        "{accepted} of {tried} were accepted: the damage is not what it should be"
    );
}

/// Does one thing to the input.
fn damage(input: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut Rng) {
    const TELLING: [u8; 17] =
        [0, 1, 2, 0x3f, 0x40, 0x7f, 0x80, 0x81, 0xbf, 0xc0, 0xc3, 0xdf, 0xe0, 0xf0, 0xf4, 0xfe, 0xff];
    let len = input.len();
    let at = rng.index(len + 1);
    // Most of what is believed or not stands in front.
    let at = if rng.below(2) == 0 { at.min(rng.index(24)) } else { at };
    let upto = (at + 1 + rng.index(20)).min(len);
    match rng.below(12) {
        0..=2 if at < len => input[at] ^= 1 << rng.below(8),
        3..=4 if at < len => input[at] = TELLING[rng.index(TELLING.len())],
        5 if at < len => input[at] = input[at].wrapping_add([1, 2, 255, 254][rng.index(4)]),
        6 => input.truncate(at),
        7 if at < upto => drop(input.drain(at..upto)),
        8 => input.splice(at..at, TELLING[..rng.index(4)].to_vec()).for_each(drop),
        9 if at < upto => {
            let again = input[at..upto].to_vec();
            input.splice(at..at, again).for_each(drop);
        }
        10 => {
            let other = &seeds[rng.index(seeds.len())];
            let from = rng.index(other.len() + 1);
            input.splice(at.., other[from..].iter().copied()).for_each(drop);
        }
        _ => {
            // A length beyond everything.
            let huge = [1 << 31, 1 << 40, u64::MAX, len as u64 + 1, 1 << 20][rng.index(5)];
            let form = [&[0x81], &huge.to_be_bytes()[..]].concat();
            input.splice(at..(at + 1).min(len), form).for_each(drop);
        }
    }
}

/// A whole payload, as of a version that every body fits.
fn payload(body: &[u8]) -> Vec<u8> {
    [body, &[11, 0], &[0; 8]].concat()
}

#[test]
fn a_payload_is_read_or_refused() {
    let bodies = corpus::bodies();
    let limits = corpus::limits();
    for body in &bodies {
        let read = parse_payload(&payload(body), &limits[0], false);
        let value = read.unwrap_or_else(|error| panic!("{error}: \"{}\"", body.escape_ascii()));
        sound::check(value, &limits[0], &mut Rng::new(1));
    }
    hunt("payloads", &bodies, |body, rng| {
        let limits = &limits[rng.index(2)];
        parse_payload(&payload(body), limits, false).map(|value| sound::check(value, limits, rng)).is_ok()
    });
}

#[test]
fn a_snapshot_is_read_or_refused() {
    let files = corpus::files(&corpus::bodies());
    let read = |file: &[u8], rng: &mut Rng| {
        let limits = corpus::limits()[rng.index(2)];
        let options = ReadOptions {
            checksum: false,
            limit: (rng.below(8) > 0).then_some(file.len() as u64),
            trailing: Trailing::Allow,
            unsupported: if rng.below(2) == 0 { Unsupported::Skip } else { Unsupported::Refuse },
            limits,
        };
        let mut reader = Reader::new(file, options);
        let mut entries = 0;
        loop {
            match reader.next_item() {
                Ok(Item::Entry(entry)) => {
                    let value = entry.value.into_owned();
                    // The values themselves are the other target's affair.
                    if rng.below(16) == 0 {
                        sound::check(value, &limits, rng);
                    }
                    entries += 1;
                }
                Ok(Item::Eof(_)) => return entries > 0,
                Ok(_) => {}
                Err(error) => {
                    assert!(error.offset <= file.len() as u64 && !error.to_string().is_empty());
                    return false;
                }
            }
        }
    };
    for file in &files {
        assert!(read(file, &mut Rng::new(2)), "a sound file was refused: \"{}\"", file[..50].escape_ascii());
    }
    hunt("snapshots", &files, read);
}

/// What stalls and bloats servers that believe a length: 21 bytes or fewer that promise billions.
#[test]
fn small_payloads_are_answered_at_once() {
    let limits = &corpus::limits()[0];
    let huge: [&[u8]; 6] = [
        b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\x81\x00\x00\x00\x0f\xff\xff\xff\xff",
        b"\x80\xff\xff\xff\xff",
        b"\x80\x7f\xff\xff\xff",
        b"\xc3\x05\x81\x00\x00\x00\x0f\xff\xff\xff\xff",
        b"\xc3\x80\xff\xff\xff\xff\x80\xff\xff\xff\xff",
    ];
    for code in 0..=30u8 {
        for length in huge {
            let body = [&[code], length].concat();
            control_order(c"thread.peak.reset").expect("jemalloc counts for each thread");
            // The best of some tries: the machine may be busy.
            let times = (0..5).map(|_| {
                let began = Instant::now();
                assert!(parse_payload(&payload(&body), limits, false).is_err(), "type {code}");
                began.elapsed()
            });
            let took = times.min().expect("it was tried");
            let peak = control_number(c"thread.peak.read", None).expect("as above");
            assert!(took < Duration::from_millis(10), "type {code} took {took:?}");
            assert!(peak < 1 << 20, "type {code} took {peak} bytes");
        }
    }
}
