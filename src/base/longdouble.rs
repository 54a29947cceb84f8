//! [`LongDouble`]: the 80-bit float of the x87, for INCRBYFLOAT and HINCRBYFLOAT.
//!
//! *Duty:* Redis on x86-64 adds in `long double`, so `0.1 + 0.2` is `0.3` and not `0.30000000000000004`, and replicas
//! and AOF files hold what it printed. Rust has no such type; this one gives the same digits with integers.
//! *Does not know:* which command adds, or how its refusal reads.
//! *Invariants:* a finite value is `mantissa * 2^exponent` with the top bit of the mantissa set, or with the lowest
//! exponent there is. Each operation rounds once, to the nearest, ties to even.
//! *Method:* exact integers, rounded by [`rounded`]. Everyday sizes fit 128 bits; the rest goes through
//! [`Big`](big::Big).
//! *Counterpart in C Redis:* `string2ld`, `ld2string` with `LD_STR_HUMAN`, and the compiler's `long double`.

mod big;

use super::float_text::{Magnitude as TextMagnitude, scan};
use super::num::{shift_right_half_even, write_u64, write_u64_padded};
use big::Big;

/// Longer texts are refused, as by Redis' buffer.
const MAX_TEXT_LEN: usize = 5 * 1024 - 1;

const MANTISSA_BITS: i64 = 64;

/// The first bit of the largest numbers counts 2^16383.
const MAX_FIRST_BIT: i64 = 16383;

/// The last bit of the smallest numbers counts 2^-16445.
const MIN_LAST_BIT: i64 = -16445;

/// Ten to this lies above all finite values, and ten to its opposite below half of the smallest.
const DECIMAL_RANGE: i64 = 4970;

/// The largest power of five below 2^64.
const MAX_FIVES: u32 = 27;

/// Digits that fit 64 bits.
const SHORT_DIGITS: usize = 19;

/// `%.17Lf`.
const DECIMALS: usize = 17;
const TEN_TO_DECIMALS: u128 = 10u128.pow(DECIMALS as u32);

/// An x87 extended-precision number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    magnitude: Magnitude,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Magnitude {
    Finite { mantissa: u64, exponent: i32 },
    Infinity,
    Nan,
}

const ZERO: Magnitude = Magnitude::Finite { mantissa: 0, exponent: MIN_LAST_BIT as i32 };

impl LongDouble {
    /// The number nearest to what `text` spells. Refused are "nan", blanks, and finite numbers so large or small
    /// that they would become infinity or zero.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() > MAX_TEXT_LEN {
            return None;
        }
        let number = scan(text)?;
        let magnitude = match number.magnitude {
            TextMagnitude::Infinity => Magnitude::Infinity,
            TextMagnitude::Binary { mantissa, exponent } => in_range(mantissa, exponent)?,
            TextMagnitude::Decimal { whole, fraction, exponent } => from_decimal(whole, fraction, exponent)?,
        };
        Some(LongDouble { negative: number.negative, magnitude })
    }

    /// Exactly `value`.
    pub fn from_f64(value: f64) -> LongDouble {
        const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
        let fraction = value.to_bits() & ((1 << FRACTION_BITS) - 1);
        let field = (value.to_bits() >> FRACTION_BITS) as i64 & 0x7ff;
        let magnitude = match field {
            _ if value.is_nan() => Magnitude::Nan,
            _ if value.is_infinite() => Magnitude::Infinity,
            0 => rounded(fraction.into(), -1074),
            _ => rounded((fraction | 1 << FRACTION_BITS).into(), field - 1075),
        };
        LongDouble { negative: value.is_sign_negative(), magnitude }
    }

    /// Exactly `value`.
    pub fn from_i64(value: i64) -> LongDouble {
        LongDouble { negative: value < 0, magnitude: rounded(value.unsigned_abs().into(), 0) }
    }

    pub fn is_finite(self) -> bool {
        matches!(self.magnitude, Magnitude::Finite { .. })
    }

    /// The sum, rounded once; infinity when it is too large, NaN for opposite infinities.
    #[expect(clippy::should_implement_trait, reason = "an operator would promise all of arithmetic")]
    pub fn add(self, other: LongDouble) -> LongDouble {
        use Magnitude::{Finite, Infinity, Nan};
        let same_sign = self.negative == other.negative;
        match (self.magnitude, other.magnitude) {
            (Nan, _) | (Infinity, Finite { .. }) => self,
            (_, Nan) | (Finite { .. }, Infinity) => other,
            (Infinity, Infinity) if same_sign => self,
            (Infinity, Infinity) => LongDouble { negative: false, magnitude: Nan },
            (Finite { mantissa: 0, .. }, Finite { mantissa: 0, .. }) => {
                LongDouble { negative: self.negative && other.negative, magnitude: ZERO }
            }
            (Finite { mantissa: 0, .. }, _) => other,
            (_, Finite { mantissa: 0, .. }) => self,
            (Finite { mantissa: a, exponent: e }, Finite { mantissa: b, exponent: f }) => {
                let (larger, smaller) = if e >= f { (self, other) } else { (other, self) };
                let (high, low, exponent) = if e >= f { aligned(a, b, e, f) } else { aligned(b, a, f, e) };
                let (negative, sum) = match (same_sign, high >= low) {
                    (true, _) => (self.negative, high + low),
                    (false, true) => (larger.negative && high != low, high - low),
                    (false, false) => (smaller.negative, low - high),
                };
                LongDouble { negative, magnitude: rounded(sum, exponent) }
            }
        }
    }

    /// Appends the number in positional notation with at most seventeen decimals and no trailing zeros, as
    /// INCRBYFLOAT replies: `3.1`, `5000`, `-0.00000000000000001`; what rounds to nothing is `0`.
    pub fn write_human(self, out: &mut Vec<u8>) {
        let (mantissa, exponent) = match self.magnitude {
            Magnitude::Finite { mantissa, exponent } => (mantissa, exponent),
            Magnitude::Infinity => return out.extend_from_slice(if self.negative { b"-inf" } else { b"inf" }),
            Magnitude::Nan => return out.extend_from_slice(b"nan"),
        };
        let shift = exponent.unsigned_abs();
        if exponent > 0 {
            out.extend_from_slice(if self.negative { b"-" } else { b"" });
            return Big::from(mantissa).shifted_left(shift).write_decimal(out);
        }
        let mut whole = mantissa.checked_shr(shift).unwrap_or(0);
        let below_point = mantissa - whole.checked_shl(shift).unwrap_or(0);
        let mut decimals = shift_right_half_even(u128::from(below_point) * TEN_TO_DECIMALS, shift);
        if decimals == TEN_TO_DECIMALS {
            (whole, decimals) = (whole + 1, 0);
        }
        if self.negative && (whole != 0 || decimals != 0) {
            out.push(b'-');
        }
        write_u64(out, whole);
        if decimals != 0 {
            out.push(b'.');
            write_u64_padded(out, decimals as u64, DECIMALS);
            let zeros = out.iter().rev().take_while(|&&b| b == b'0').count();
            out.truncate(out.len() - zeros);
        }
    }
}

/// Brings `mantissa * 2^exponent` to 64 bits.
fn rounded(mantissa: u128, exponent: i64) -> Magnitude {
    if mantissa == 0 {
        return ZERO;
    }
    let first_bit = exponent + i64::from(mantissa.ilog2());
    if first_bit > MAX_FIRST_BIT {
        return Magnitude::Infinity;
    }
    if first_bit < MIN_LAST_BIT - 1 {
        return ZERO;
    }
    let mut last_bit = (first_bit - MANTISSA_BITS + 1).max(MIN_LAST_BIT);
    let mut kept = match u32::try_from(last_bit - exponent) {
        Ok(shift) => shift_right_half_even(mantissa, shift),
        Err(_) => mantissa << (exponent - last_bit),
    };
    if kept >> MANTISSA_BITS != 0 {
        kept >>= 1;
        last_bit += 1;
    }
    if last_bit + MANTISSA_BITS - 1 > MAX_FIRST_BIT {
        return Magnitude::Infinity;
    }
    Magnitude::Finite { mantissa: kept as u64, exponent: last_bit as i32 }
}

/// As [`rounded`], but none if a finite number other than zero would become infinity or zero.
fn in_range(mantissa: u128, exponent: i64) -> Option<Magnitude> {
    let magnitude = rounded(mantissa, exponent);
    let lost = magnitude == Magnitude::Infinity || (magnitude == ZERO && mantissa != 0);
    (!lost).then_some(magnitude)
}

/// Two mantissas brought to one exponent, the lower of the two minus spare bits. Bits of `low` that drop out make it
/// odd, which is all that rounding needs to know of them: the result then has far more than 64 bits.
fn aligned(high: u64, low: u64, high_exponent: i32, low_exponent: i32) -> (u128, u128, i64) {
    const SPARE_BITS: u32 = 62;
    let distance = high_exponent.abs_diff(low_exponent);
    let (high, wide) = (u128::from(high) << SPARE_BITS, u128::from(low) << SPARE_BITS);
    let shifted = wide.checked_shr(distance).unwrap_or(0);
    let dropped = shifted.checked_shl(distance).unwrap_or(0) != wide;
    (high, shifted | u128::from(dropped), i64::from(high_exponent) - i64::from(SPARE_BITS))
}

fn from_decimal(whole: &[u8], fraction: &[u8], exponent: i64) -> Option<Magnitude> {
    let mut digits = [whole, fraction].concat();
    let mut exponent = exponent - fraction.len() as i64;
    while digits.last() == Some(&b'0') {
        digits.pop();
        exponent += 1;
    }
    let leading_zeros = digits.iter().take_while(|&&b| b == b'0').count();
    let digits = &digits[leading_zeros..];
    if digits.is_empty() {
        return Some(ZERO);
    }
    let first_digit = exponent + digits.len() as i64;
    if first_digit.abs() > DECIMAL_RANGE {
        return None;
    }
    let fives = exponent.unsigned_abs() as u32;
    let (mantissa, binary_exponent) = match (digits.len() <= SHORT_DIGITS && fives <= MAX_FIVES, exponent < 0) {
        (true, false) => (u128::from(short_value(digits)) * 5u128.pow(fives), 0),
        (true, true) => divided_short(short_value(digits), 5u128.pow(fives)),
        (false, false) => Big::from_digits(digits).times_power_of_five(fives).top_bits(),
        (false, true) => Big::from_digits(digits).divided_by(Big::from(1).times_power_of_five(fives)),
    };
    in_range(mantissa, binary_exponent + exponent)
}

fn short_value(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, &b| value * 10 + u64::from(b - b'0'))
}

/// `dividend / divisor` as at least 65 bits of quotient, one bit that tells of a remainder, and their exponent. The
/// divisor has between 2 and 63 bits.
fn divided_short(dividend: u64, divisor: u128) -> (u128, i64) {
    let shift = u128::from(dividend).leading_zeros();
    let wide = u128::from(dividend) << shift;
    let inexact = wide % divisor != 0;
    ((wide / divisor) << 1 | u128::from(inexact), -i64::from(shift) - 1)
}

#[cfg(test)]
mod tests;
