//! The backlog against a plain `Vec` that forgets nothing.

use super::*;
use crate::base::rng::Rng;

fn active(size: u64) -> Backlog {
    let mut backlog = Backlog::new(size);
    backlog.activate();
    backlog
}

fn bytes_from(backlog: &Backlog, offset: u64) -> Vec<u8> {
    backlog.slices_from(offset).unwrap().collect::<Vec<_>>().concat()
}

#[test]
fn nothing_is_kept_before_somebody_asks() {
    let mut backlog = Backlog::new(1 << 20);
    assert!(!backlog.append(b"SET a b"));
    assert_eq!((backlog.offset(), backlog.len(), backlog.can_continue_from(0)), (0, 0, false));
    backlog.activate();
    assert!(!backlog.append(b"0123456789"), "the first block is there from the start");
    assert!(!backlog.append(b"abc"));
    assert_eq!((backlog.first(), backlog.offset()), (0, 13));
    assert_eq!(bytes_from(&backlog, 8), b"89abc");
    assert_eq!(bytes_from(&backlog, 13), b"");
    assert!(backlog.slices_from(14).is_none());
    assert_eq!(backlog.tail(4), b"9abc");
    assert_eq!(backlog.tail(400), b"0123456789abc");
}

#[test]
fn without_readers_the_size_is_kept_to_a_block() {
    let mut backlog = active(1 << 20);
    for _ in 0..10_000 {
        backlog.append(&[b'x'; 777]);
    }
    assert!((1 << 20..(1 << 20) + BLOCK_MAX).contains(&backlog.len()), "{}", backlog.len());
    assert_eq!(backlog.first() + backlog.len(), 7_770_000);
    let memory = backlog.memory();
    assert_eq!((memory.replicas, memory.backlog), (0, memory.total));
    assert!(memory.total < (1 << 20) + 2 * BLOCK_MAX + 100 * BLOCK_OVERHEAD);
}

#[test]
fn one_huge_append_leaves_no_more_than_its_end() {
    let mut backlog = active(1 << 20);
    let huge: Vec<u8> = (0..20_000_000u32).map(|i| (i % 251) as u8).collect();
    backlog.append(&huge);
    assert!(backlog.len() < (1 << 20) + BLOCK_MAX + 1);
    assert_eq!(bytes_from(&backlog, backlog.first()), huge[backlog.first() as usize..]);
}

#[test]
fn a_slow_reader_keeps_its_bytes_and_pays_for_them() {
    let mut backlog = active(16 << 10);
    backlog.append(b"seen by all");
    let slow = backlog.attach(backlog.offset());
    let fast = backlog.attach(backlog.offset());
    for _ in 0..100 {
        backlog.append(&[b'y'; 10_000]);
        let rest = backlog.pending(fast);
        backlog.advance(fast, rest);
    }
    assert_eq!(backlog.pending(slow), 1_000_000);
    assert_eq!(bytes_from(&backlog, backlog.position(slow)).len(), 1_000_000);
    let memory = backlog.memory();
    assert_eq!(memory.replicas, memory.total - (16 << 10));
    assert!(backlog.output_memory(slow) >= 1_000_000 && backlog.output_memory(fast) <= BLOCK_MAX);
    assert!(memory.not_counted > 900_000);

    backlog.advance(slow, 900_000);
    assert!(backlog.len() < 100_000 + 2 * BLOCK_MAX, "what was sent is freed at once");
    backlog.detach(slow);
    assert!(backlog.len() < (16 << 10) + BLOCK_MAX);
    assert_eq!(backlog.memory().replicas, backlog.memory().total - (16 << 10));
    backlog.detach(fast);
    assert_eq!(backlog.memory().replicas, 0);
}

#[test]
fn what_a_reader_far_behind_leaves_is_freed_step_by_step() {
    let mut backlog = active(16 << 10);
    let slow = backlog.attach(0);
    for _ in 0..1_000 {
        backlog.append(&[b'z'; 16 << 10]);
    }
    backlog.detach(slow);
    let after_first = backlog.len();
    assert!(after_first > 900 * (16 << 10), "one call frees at most {TRIM_BLOCKS} blocks");
    let mut calls = 0;
    while backlog.trim(10 * TRIM_BLOCKS) {
        calls += 1;
    }
    assert_eq!(calls, 1);
    assert!(backlog.len() <= (16 << 10) + BLOCK_MAX);
}

#[test]
fn a_smaller_size_forgets_and_a_larger_one_remembers_more() {
    let mut backlog = active(1 << 20);
    for _ in 0..200 {
        backlog.append(&[b'k'; 10_000]);
    }
    backlog.resize(100_000);
    assert!((100_000..100_000 + BLOCK_MAX).contains(&backlog.len()));
    let before = backlog.len();
    backlog.resize(1 << 20);
    backlog.append(&[b'k'; 50_000]);
    assert_eq!(backlog.len(), before + 50_000);
    backlog.resize(1);
    assert_eq!(backlog.size(), SIZE_MIN);
    assert_eq!(
        (backlog.output_limit(0), backlog.output_limit(1), backlog.output_limit(1 << 30)),
        (0, SIZE_MIN, 1 << 30)
    );
}

#[test]
fn what_was_written_while_a_file_loaded_follows_its_offset() {
    let mut backlog = active(1 << 20);
    backlog.append(b"DEL expired");
    backlog.rebase(5_000);
    assert_eq!((backlog.first(), backlog.offset()), (5_000, 5_011));
    assert_eq!(bytes_from(&backlog, 5_004), b"expired");
    backlog.restart_at(77);
    assert_eq!((backlog.first(), backlog.offset(), backlog.is_active()), (77, 77, true));
    assert!(backlog.can_continue_from(77) && !backlog.can_continue_from(76));
    backlog.deactivate();
    assert_eq!((backlog.offset(), backlog.can_continue_from(77)), (77, false));
}

#[test]
#[should_panic(expected = "still reads")]
fn a_stream_that_is_read_is_not_given_up() {
    let mut backlog = active(1 << 20);
    backlog.attach(0);
    backlog.restart_at(10);
}

/// Every reader receives exactly the stream, whatever the order of appends, reads, cuts and sizes.
#[test]
fn readers_agree_with_a_vector_that_forgets_nothing() {
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let mut backlog = active(SIZE_MIN << rng.below(4));
        let mut all: Vec<u8> = Vec::new();
        let mut readers: Vec<Cursor> = Vec::new();
        for step in 0..600 {
            match rng.below(10) {
                0..=4 => {
                    let len = if rng.below(30) == 0 { rng.below(300_000) } else { rng.below(9_000) };
                    let mut bytes = vec![0; len as usize];
                    rng.fill(&mut bytes);
                    backlog.append(&bytes);
                    all.extend_from_slice(&bytes);
                }
                5 | 6 if !readers.is_empty() => {
                    let reader = readers[rng.index(readers.len())];
                    let at = backlog.position(reader);
                    let piece = backlog.slices_from(at).unwrap().next().unwrap_or(b"").to_vec();
                    assert_eq!(piece, all[at as usize..at as usize + piece.len()], "seed {seed} step {step}");
                    let sent = rng.below(piece.len() as u64 + 1);
                    backlog.advance(reader, sent);
                }
                7 if readers.len() < 5 => {
                    let span = backlog.len() + 1;
                    readers.push(backlog.attach(backlog.first() + rng.below(span)));
                }
                8 if !readers.is_empty() => backlog.detach(readers.swap_remove(rng.index(readers.len()))),
                _ => backlog.resize(SIZE_MIN << rng.below(4)),
            }
            let first = backlog.first();
            assert_eq!(backlog.offset(), all.len() as u64);
            assert_eq!(first + backlog.len(), backlog.offset());
            assert!(readers.iter().all(|r| backlog.position(*r) >= first), "seed {seed} step {step}");
            if step % 20 == 0 {
                assert_eq!(bytes_from(&backlog, first), all[first as usize..], "seed {seed} step {step}");
                let held: u64 = backlog.blocks.iter().map(Block::held).sum();
                let places = backlog.blocks.capacity() as u64 * BLOCK_OVERHEAD;
                assert_eq!(backlog.memory().total, held + places);
            }
        }
    }
}
