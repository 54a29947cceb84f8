//! The arena against a list of live blocks, each filled with a pattern of its own: no two overlap, none is lost.

use super::*;
use std::collections::HashMap;

/// xorshift64*
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as usize % n
    }
}

struct Live {
    block: NonNull<u8>,
    size: usize,
    pattern: u8,
}

/// An arena and what is alive in it.
#[derive(Default)]
struct World {
    blocks: Blocks,
    live: Vec<Live>,
    made: usize,
}

impl World {
    fn alloc(&mut self, size: usize) {
        self.made += 1;
        let (block, pattern) = (self.blocks.alloc(size), (self.made * 37) as u8);
        assert_eq!(block.as_ptr().addr() % ALIGN, 0);
        // SAFETY: the block has that many bytes.
        unsafe { block.write_bytes(pattern, Blocks::class_size(size)) }
        self.live.push(Live { block, size, pattern });
    }

    /// Frees the n-th live block after seeing that its bytes are untouched.
    fn free(&mut self, n: usize) {
        let Live { block, size, pattern } = self.live.swap_remove(n);
        // SAFETY: the block is alive and was filled.
        let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), Blocks::class_size(size)) };
        assert!(bytes.iter().all(|&byte| byte == pattern), "block of {size} bytes was overwritten");
        // SAFETY: alive, of this size, and forgotten here.
        unsafe { self.blocks.free(block, size) }
    }

    fn free_all(&mut self) {
        while !self.live.is_empty() {
            self.free(self.live.len() - 1);
        }
    }

    /// Asserts the arena's invariants.
    fn check(&self) {
        let used: usize = self.live.iter().map(|live| Blocks::class_size(live.size)).sum();
        assert_eq!(self.blocks.used_bytes(), used);
        assert_eq!(self.blocks.large_blocks(), self.live.iter().filter(|live| live.size > SMALL_MAX).count());
        let mut live_per_page: HashMap<usize, u16> = HashMap::new();
        for live in self.live.iter().filter(|live| live.size <= SMALL_MAX) {
            *live_per_page.entry(live.block.as_ptr().addr() / PAGE).or_default() += 1;
        }
        let pages_in_use = self.blocks.all_pages - self.blocks.free_pages;
        assert_eq!(live_per_page.len(), pages_in_use, "pages in use are those with blocks");
        let mut with_room = 0;
        for class in SMALLEST_CLASS..CLASSES {
            let Some(first) = self.blocks.pages[class] else {
                continue;
            };
            let mut page = first;
            loop {
                let head = page.head();
                assert!(head.class as usize == class && head.live > 0 && head.live < head.capacity);
                assert_eq!(live_per_page[&(page.0.as_ptr().addr() / PAGE)], head.live);
                assert!(head.next.head().prev == page);
                with_room += 1;
                page = head.next;
                if page == first {
                    break;
                }
            }
        }
        assert!(with_room <= pages_in_use);
        for (number, chunk) in self.blocks.chunks.iter().enumerate() {
            let has_room = self.blocks.chunks_with_room[number / 64] >> (number % 64) & 1 == 1;
            assert_eq!(has_room, chunk.as_ref().is_some_and(|chunk| chunk.free != 0));
        }
    }
}

#[test]
fn class_sizes_are_eight_apart() {
    let sizes: Vec<usize> = [0, 1, 16, 17, 24, 33, 511, 512, 513].map(Blocks::class_size).to_vec();
    assert_eq!(sizes, [16, 16, 16, 24, 24, 40, 512, 512, 513]);
}

#[test]
fn an_empty_arena_holds_nothing_and_a_small_one_little() {
    let mut world = World::default();
    assert_eq!((world.blocks.held_bytes(), world.blocks.used_bytes()), (0, 0));
    world.alloc(20);
    assert_eq!((world.blocks.held_bytes(), world.blocks.used_bytes()), (PAGE, 24));
    world.free_all();
    assert!(world.blocks.held_bytes() <= PAGE);
}

#[test]
fn random_blocks_keep_their_bytes() {
    for seed in 1..=12 {
        let mut rng = Rng(seed);
        let mut world = World::default();
        let largest = [64, 520, 700, 200][seed as usize % 4];
        for step in 0..12_000 {
            let growing = step / 2_000 % 2 == 0;
            if rng.below(100) < if growing { 70 } else { 25 } || world.live.is_empty() {
                world.alloc(1 + rng.below(largest));
            } else {
                world.free(rng.below(world.live.len()));
            }
            if step % 500 == 0 {
                world.check();
            }
        }
        world.check();
        world.free_all();
        world.check();
        assert!(world.blocks.held_bytes() <= SPARE_PAGES * PAGE);
    }
}

#[test]
fn overhead_is_small_when_many_blocks_are_alive() {
    let mut world = World::default();
    for n in 0..60_000 {
        world.alloc(40 + n % 32);
    }
    let (used, held) = (world.blocks.used_bytes(), world.blocks.held_bytes());
    assert!(held - used < used / 4, "{held} held for {used}");
    world.check();
    world.free_all();
}

/// Every eighth block survives a wave of deletions; then as much is allocated again as was freed. The holes are
/// filled before anything more is asked for.
#[test]
fn holes_are_filled_and_emptied_chunks_returned() {
    let mut world = World::default();
    (0..80_000).for_each(|_| world.alloc(64));
    let full = world.blocks.held_bytes();
    for n in (0..world.live.len()).rev() {
        if n % 8 != 0 {
            world.free(n);
        }
    }
    world.check();
    (0..70_000).for_each(|_| world.alloc(64));
    assert_eq!(world.blocks.held_bytes(), full);
    let keep = 500;
    world.live.sort_by_key(|live| live.block);
    while world.live.len() > keep {
        world.free(world.live.len() - 1);
    }
    world.check();
    assert!(world.blocks.held_bytes() < full / 4, "{} of {full} held", world.blocks.held_bytes());
    world.free_all();
}

#[test]
fn dropping_the_arena_in_another_thread_needs_no_walk() {
    let mut world = World::default();
    (0..10_000).for_each(|n| world.alloc(16 + n % 400));
    let blocks = std::mem::take(&mut world.blocks);
    world.live.clear();
    std::thread::spawn(move || drop(blocks)).join().unwrap();
    assert_eq!(world.blocks.held_bytes(), 0);
}

#[test]
fn large_blocks_go_in_any_order_and_the_rest_with_their_owner() {
    let mut rng = Rng(5);
    let (mut large, mut live) = (LargeBlocks::default(), Vec::new());
    for round in 0..4000u32 {
        if live.is_empty() || rng.below(5) < 3 {
            let size = 8 + rng.below(2000);
            let block = large.alloc(size);
            assert_eq!(block.as_ptr().addr() % 8, 0);
            // SAFETY: the block has `size` bytes.
            unsafe { block.write_bytes(round as u8, size) };
            live.push((block, size, round as u8));
        } else {
            let (block, size, mark) = live.swap_remove(rng.below(live.len()));
            // SAFETY: written in full above; freed once.
            unsafe {
                assert!(std::slice::from_raw_parts(block.as_ptr(), size).iter().all(|&byte| byte == mark));
                large.free(block);
            }
        }
        assert_eq!(large.count(), live.len());
    }
    assert_eq!(large.bytes(), live.iter().map(|(_, size, _)| size + size_of::<Link>()).sum::<usize>());
    for (block, ..) in live.drain(..live.len() / 2) {
        // SAFETY: freed once.
        unsafe { large.free(block) };
    }
}
