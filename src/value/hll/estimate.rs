//! From a histogram of registers to the number of elements.
//!
//! *Duty:* Ertl's improved estimator (Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog sketches",
//! arXiv:1702.01284, algorithm 6), which needs no table and no switch between ranges.
//! *Invariant:* the same operations on doubles in the same order as Redis, so that the result is the same number.
//! *Counterpart in C Redis:* `hllCount`, `hllSigma`, `hllTau`.

use super::{Histogram, REGISTERS, RUN_BITS};

/// 1 / (2 ln 2)
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// The number of elements that registers of this histogram stand for.
pub fn estimate(histogram: &Histogram) -> u64 {
    let m = REGISTERS as f64;
    let full = histogram[RUN_BITS as usize + 1] as f64;
    let mut z = m * tau((m - full) / m);
    for &count in histogram[1..=RUN_BITS as usize].iter().rev() {
        z = (z + count as f64) * 0.5;
    }
    z += m * sigma(histogram[0] as f64 / m);
    let estimate = (ALPHA * m * m / z).round();
    // Registers with values that no hash gives may say "infinitely many", which C converts to this.
    if estimate < i64::MAX as f64 { estimate as u64 } else { i64::MIN as u64 }
}

/// The part of the registers that are still zero.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

/// The part of the registers that are full.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}
