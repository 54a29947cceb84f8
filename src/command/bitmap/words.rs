//! The loops over many bits, a machine word or more at a time.
//!
//! *Does not know:* commands, ranges as users write them. *Method:* plain loops over chunks of eight bytes or over
//! zipped bytes, in the form that the compiler turns into vector instructions of the baseline processor.
//! *Counterpart in C Redis:* `redisPopcount`, `redisBitpos`.

use std::ops::RangeInclusive;

const WORD: usize = 8;

/// How many bits are set.
pub fn count_ones(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(WORD);
    let rest: u64 = words.remainder().iter().map(|b| b.count_ones() as u64).sum();
    words.map(|word| word_of(word).count_ones() as u64).sum::<u64>() + rest
}

/// How many bits of a range that lies within `bytes` are set.
pub fn count_ones_in(bytes: &[u8], bits: RangeInclusive<u64>) -> u64 {
    let (whole, first_mask, last_mask) = cut(bytes, &bits);
    let outside = |byte: Option<&u8>, mask: u8| byte.map_or(0, |b| (b & !mask).count_ones() as u64);
    count_ones(whole) - outside(whole.first(), first_mask) - outside(whole.last(), last_mask)
}

/// The first bit equal to `bit` in a range that lies within `bytes`.
pub fn find(bytes: &[u8], bits: RangeInclusive<u64>, bit: bool) -> Option<u64> {
    let (whole, first_mask, _) = cut(bytes, &bits);
    let base = bits.start() & !7;
    // Looking for a clear bit is looking for a set one among inverted bytes.
    let invert = if bit { 0 } else { 0xff };
    let first = (whole.first()? ^ invert) & first_mask;
    let at = if first != 0 {
        first.leading_zeros() as u64
    } else {
        let rest = &whole[1..];
        let skipped = skip(rest, invert);
        8 + 8 * skipped as u64 + (rest.get(skipped)? ^ invert).leading_zeros() as u64
    };
    Some(base + at).filter(|at| bits.contains(at))
}

/// The bytes that a range of bits touches, and which bits of the first and of the last belong to it.
fn cut<'a>(bytes: &'a [u8], bits: &RangeInclusive<u64>) -> (&'a [u8], u8, u8) {
    let (first, last) = (*bits.start(), *bits.end());
    (&bytes[(first >> 3) as usize..=(last >> 3) as usize], 0xff >> (first & 7), 0xff << (7 - (last & 7)))
}

/// How many bytes at the front equal `byte`.
fn skip(bytes: &[u8], byte: u8) -> usize {
    // Four words per step: one comparison for all of them leaves room for vectors.
    const STEP: usize = 4 * WORD;
    let same = |chunk: &[u8]| chunk.iter().fold(0, |difference, b| difference | (b ^ byte)) == 0;
    let steps = bytes.chunks_exact(STEP).take_while(|chunk| same(chunk)).count();
    let rest = &bytes[steps * STEP..];
    steps * STEP + rest.iter().take_while(|b| **b == byte).count()
}

fn word_of(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(bytes.try_into().expect("chunks are as long as a word"))
}

pub fn and(target: &mut [u8], source: &[u8]) {
    target.iter_mut().zip(source).for_each(|(t, s)| *t &= s);
}

pub fn or(target: &mut [u8], source: &[u8]) {
    target.iter_mut().zip(source).for_each(|(t, s)| *t |= s);
}

pub fn xor(target: &mut [u8], source: &[u8]) {
    target.iter_mut().zip(source).for_each(|(t, s)| *t ^= s);
}

/// Clears what is set in `source`.
pub fn and_not(target: &mut [u8], source: &[u8]) {
    target.iter_mut().zip(source).for_each(|(t, s)| *t &= !*s);
}

pub fn not(target: &mut [u8]) {
    target.iter_mut().for_each(|t| *t = !*t);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn bit(bytes: &[u8], at: u64) -> bool {
        bytes[(at / 8) as usize] & (0x80 >> (at % 8)) != 0
    }

    /// Mostly runs of equal bytes, so that skipping is tried too.
    fn sample(rng: &mut Rng) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..1 + rng.index(4) {
            let byte = [0, 0xff, rng.next_u64() as u8][rng.index(3)];
            bytes.resize(bytes.len() + 1 + rng.index(90), byte);
        }
        bytes
    }

    #[test]
    fn counts_and_positions_equal_those_of_a_walk_bit_by_bit() {
        let mut rng = Rng::new(11);
        for _ in 0..500 {
            let bytes = sample(&mut rng);
            let total = bytes.len() as u64 * 8;
            let (a, b) = (rng.below(total), rng.below(total));
            let range = a.min(b)..=a.max(b);
            let ones = range.clone().filter(|&at| bit(&bytes, at)).count() as u64;
            assert_eq!(count_ones_in(&bytes, range.clone()), ones, "{bytes:?} {range:?}");
            for wanted in [false, true] {
                let first = range.clone().find(|&at| bit(&bytes, at) == wanted);
                assert_eq!(find(&bytes, range.clone(), wanted), first, "{bytes:?} {range:?} {wanted}");
            }
        }
    }
}
