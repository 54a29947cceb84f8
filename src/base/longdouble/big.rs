//! [`Big`]: unsigned integers of any size, with just what exact decimal conversion of long doubles needs.
//!
//! *Duty:* numbers of hundreds of digits or exponents of thousands; rare, so plain loops. Texts are at most 5 kB and
//! exponents below 2^14, which keeps everything under 40,000 bits.
//! *Does not know:* signs, rounding, floats.
//! *Invariants:* the last limb is not zero.

use crate::base::num::{write_u64, write_u64_padded};

/// Least significant limb first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Big(Vec<u64>);

/// The largest powers below 2^64.
const FIVES_A_STEP: u32 = 27;
const DIGITS_A_STEP: usize = 19;

/// Quotients are computed to this many bits: 64, one to round by, and some to spare.
const QUOTIENT_BITS: u32 = 70;

impl From<u64> for Big {
    fn from(value: u64) -> Big {
        Big(vec![value]).trimmed()
    }
}

impl Big {
    /// The number that ASCII `digits` spell.
    pub(super) fn from_digits(digits: &[u8]) -> Big {
        let mut value = Big(Vec::with_capacity(digits.len() / DIGITS_A_STEP + 1));
        for step in digits.chunks(DIGITS_A_STEP) {
            let part = step.iter().fold(0, |part, &b| part * 10 + u64::from(b - b'0'));
            value.multiply_add(10u64.pow(step.len() as u32), part);
        }
        value
    }

    pub(super) fn times_power_of_five(mut self, mut exponent: u32) -> Big {
        while exponent > 0 {
            let step = exponent.min(FIVES_A_STEP);
            self.multiply_add(5u64.pow(step), 0);
            exponent -= step;
        }
        self
    }

    pub(super) fn shifted_left(self, shift: u32) -> Big {
        let (limbs, bits) = ((shift / u64::BITS) as usize, shift % u64::BITS);
        let mut shifted = Big([vec![0; limbs], self.0].concat());
        shifted.multiply_add(1 << bits, 0);
        shifted
    }

    /// The first 64 to 128 bits and their exponent; the last bit is set if bits that do not fit were.
    pub(super) fn top_bits(&self) -> (u128, i64) {
        let dropped = self.0.len().saturating_sub(2);
        let (below, top) = self.0.split_at(dropped);
        let value = top.iter().rev().fold(0, |value, &limb| value << u64::BITS | u128::from(limb));
        let Some(&next) = below.last() else {
            return (value, 0);
        };
        // A short first limb leaves room for the first bits of the next.
        let room = value.leading_zeros();
        let (into, rest) = (next.checked_shr(u64::BITS - room).unwrap_or(0), next.checked_shl(room).unwrap_or(0));
        let inexact = rest != 0 || below[..dropped - 1].iter().any(|&limb| limb != 0);
        let exponent = dropped as i64 * i64::from(u64::BITS) - i64::from(room);
        (value << room | u128::from(into) | u128::from(inexact), exponent)
    }

    /// `self / divisor` as about 70 bits of quotient, one bit that tells of a remainder, and their exponent: long
    /// division, bit by bit.
    pub(super) fn divided_by(self, divisor: Big) -> (u128, i64) {
        let (own_bits, divisor_bits) = (self.bit_len(), divisor.bit_len());
        let bits = own_bits.max(divisor_bits);
        let mut rest = self.shifted_left(bits - own_bits);
        let divisor = divisor.shifted_left(bits - divisor_bits);
        let mut quotient = 0;
        for _ in 0..QUOTIENT_BITS {
            quotient <<= 1;
            if rest.is_at_least(&divisor) {
                rest.subtract(&divisor);
                quotient |= 1;
            }
            rest.multiply_add(2, 0);
        }
        let exponent = i64::from(own_bits) - i64::from(divisor_bits) - i64::from(QUOTIENT_BITS);
        (quotient << 1 | u128::from(!rest.0.is_empty()), exponent)
    }

    /// Appends the number in decimal.
    pub(super) fn write_decimal(mut self, out: &mut Vec<u8>) {
        let mut parts = Vec::new();
        while !self.0.is_empty() {
            parts.push(self.take_remainder(10u64.pow(DIGITS_A_STEP as u32)));
        }
        write_u64(out, parts.pop().unwrap_or(0));
        for &part in parts.iter().rev() {
            write_u64_padded(out, part, DIGITS_A_STEP);
        }
    }

    fn bit_len(&self) -> u32 {
        self.0.last().map_or(0, |last| self.0.len() as u32 * u64::BITS - last.leading_zeros())
    }

    fn multiply_add(&mut self, factor: u64, summand: u64) {
        let mut carry = u128::from(summand);
        for limb in &mut self.0 {
            carry += u128::from(*limb) * u128::from(factor);
            *limb = carry as u64;
            carry >>= u64::BITS;
        }
        if carry != 0 {
            self.0.push(carry as u64);
        }
    }

    /// Divides by `divisor` and returns the remainder.
    fn take_remainder(&mut self, divisor: u64) -> u64 {
        let mut rest = 0;
        for limb in self.0.iter_mut().rev() {
            let value = rest << u64::BITS | u128::from(*limb);
            *limb = (value / u128::from(divisor)) as u64;
            rest = value % u128::from(divisor);
        }
        self.trim();
        rest as u64
    }

    fn is_at_least(&self, other: &Big) -> bool {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev())).is_ge()
    }

    /// Takes `other` away; it is not the larger one.
    fn subtract(&mut self, other: &Big) {
        let mut borrow = false;
        for (i, limb) in self.0.iter_mut().enumerate() {
            let (difference, under) = limb.overflowing_sub(other.0.get(i).copied().unwrap_or(0));
            let (difference, under_again) = difference.overflowing_sub(borrow.into());
            (*limb, borrow) = (difference, under || under_again);
        }
        debug_assert!(!borrow);
        self.trim();
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn trimmed(mut self) -> Big {
        self.trim();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(value: Big) -> String {
        let mut out = Vec::new();
        value.write_decimal(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn decimal_digits_come_back() {
        for digits in ["1", "18446744073709551616", "10000000000000000000000000000000000000000", &"987".repeat(100)] {
            assert_eq!(decimal(Big::from_digits(digits.as_bytes())), digits);
        }
        assert_eq!(decimal(Big::from_digits(b"0000")), "0");
        assert_eq!(decimal(Big::from(0)), "0");
        assert_eq!(decimal(Big::from(1).times_power_of_five(40)), 5u128.pow(40).to_string());
        assert_eq!(decimal(Big::from(3).shifted_left(100)), (3u128 << 100).to_string());
        assert_eq!(decimal(Big::from(3).shifted_left(64)), (3u128 << 64).to_string());
    }

    #[test]
    fn top_bits_remember_what_they_drop() {
        assert_eq!(Big::from(5).top_bits(), (5, 0));
        assert_eq!(Big::from(5).shifted_left(64).top_bits(), (5 << 64, 0));
        assert_eq!(Big::from(5).shifted_left(200).top_bits(), (5 << 125, 75));
        let mut odd = Big::from(5).shifted_left(200);
        odd.0[0] = 1;
        assert_eq!(odd.top_bits(), (5 << 125 | 1, 75));
        let full = Big(vec![u64::MAX, 1 << 63, 1 << 63]);
        assert_eq!(full.top_bits(), (1 << 127 | 1 << 63 | 1, 64));
    }

    #[test]
    fn quotients() {
        let (quotient, exponent) = Big::from(1).divided_by(Big::from(4));
        assert_eq!((quotient.trailing_zeros() as i64 + exponent, quotient.count_ones()), (-2, 1));
        let (quotient, exponent) = Big::from(7).shifted_left(300).divided_by(Big::from(7).shifted_left(100));
        assert_eq!((quotient.trailing_zeros() as i64 + exponent, quotient.count_ones()), (200, 1));
        let (quotient, exponent) = Big::from(1).divided_by(Big::from(3));
        assert_eq!(quotient & 1, 1);
        assert_eq!(quotient >> 1, (1u128 << (-exponent - 1)) / 3);
    }
}
