//! [`Rng`]: small, fast, seeded randomness.
//!
//! *Duty:* RANDOMKEY, SPOP, eviction samples, skiplist levels, run ids, election delays. The same seed gives the
//! same sequence for ever, which is what makes a simulated run repeatable.
//! *Does not know:* where seeds come from; the shell takes them from the kernel. Not for secrets: 64 bits of seed and
//! a few outputs tell all others.
//! *Method:* xoshiro256** by Blackman and Vigna, its state filled by SplitMix64.
//! *Counterpart in C Redis:* `random()`, `genrandom`, `redisLrand48`.

/// A generator. A clone repeats the sequence from where it was taken.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    pub fn new(seed: u64) -> Rng {
        let mut mix = seed;
        let state = std::array::from_fn(|_| {
            mix = mix.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = mix;
            z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ z >> 31
        });
        Rng { state }
    }

    /// Sixty-four even bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ b << 17, d.rotate_left(45)];
        result
    }

    /// A number below `n`, each equally likely; 0 when `n` is 0.
    ///
    /// The high word of a 128-bit product maps 2^64 values onto `n`; the few low words that would give some results
    /// one chance more are drawn again (Lemire's method).
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            let low = product as u64;
            if low >= n || low >= n.wrapping_neg().checked_rem(n).unwrap_or(0) {
                return (product >> 64) as u64;
            }
        }
    }

    /// [`below`](Rng::below) for an index: a place in a sequence of `len` elements.
    #[inline]
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Random bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of the authors' C code, state filled by their SplitMix64 from seed 42.
    #[test]
    fn the_sequence_is_that_of_the_reference_code() {
        let mut rng = Rng::new(42);
        let outputs: [u64; 4] = std::array::from_fn(|_| rng.next_u64());
        let expected = [0x1578_0b2e_0c2e_c716, 0x6104_d986_6d11_3a7e, 0xae17_5332_39e4_99a1, 0xecb8_ad47_03b3_60a1];
        assert_eq!(outputs, expected);
    }

    #[test]
    fn below_stays_below_and_reaches_everything_evenly() {
        let mut rng = Rng::new(1);
        let mut seen = [0u32; 7];
        for _ in 0..70_000 {
            seen[rng.index(seen.len())] += 1;
        }
        assert!(seen.iter().all(|&n| (9_500..10_500).contains(&n)), "{seen:?}");
        assert_eq!(rng.below(1), 0);
        assert_eq!(rng.below(0), 0);
        let n = u64::MAX / 2 + 2;
        let above_half = (0..10_000).filter(|_| rng.below(n) >= n / 2).count();
        assert!((4_700..5_300).contains(&above_half), "{above_half}");
    }

    #[test]
    fn fill_covers_every_length() {
        let mut rng = Rng::new(9);
        for len in 0..40 {
            let mut bytes = vec![0; len];
            let mut ever = vec![0; len];
            for _ in 0..100 {
                rng.fill(&mut bytes);
                ever.iter_mut().zip(&bytes).for_each(|(e, b)| *e |= b);
            }
            assert!(ever.iter().all(|&b| b == 0xff));
        }
    }
}
