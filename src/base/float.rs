//! Doubles as text: scores, INCRBYFLOAT's cousins in scripts, RESP3 doubles.
//!
//! *Duty:* accept what Redis accepts as a double; print it as Redis 7.0 does, to the byte.
//! *Does not know:* long doubles (see `longdouble`), or who forbids infinities.
//! *Invariants:* what [`write_f64`] prints parses back to the same double.
//! *Counterpart in C Redis:* `string2d`, `addReplyDouble` (`%.17g`), `d2string`, `fixedpoint_d2string`.

use super::float_text::{Magnitude, scan};
use super::num::{digits10_u64, shift_right_half_even, write_i64, write_u64, write_u64_padded};
use std::fmt::{self, Write};

/// `%.17g` shows this many digits: enough to tell any two doubles apart.
const DIGITS: i32 = 17;
const TEN_TO_16: u128 = 10u128.pow(16);
const TEN_TO_17: u128 = 10u128.pow(17);

/// Bits of the fraction field of a double.
const FRACTION_BITS: u32 = 52;

/// Two to this is the place of the last bit of the smallest doubles.
const MIN_LAST_BIT: i64 = -1074;

/// The double nearest to what `text` spells: decimal, `0x1.8p3`, `inf`. Refused are "nan", blanks, and finite
/// numbers so large or small that they would become infinity or zero.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let number = scan(text)?;
    let size = match number.magnitude {
        Magnitude::Infinity => f64::INFINITY,
        Magnitude::Decimal { whole, fraction, .. } => {
            let unsigned = text.strip_prefix(b"-").unwrap_or(text);
            let size: f64 = std::str::from_utf8(unsigned).ok()?.parse().ok()?;
            let is_zero = || whole.iter().chain(fraction).all(|&b| b == b'0');
            if size.is_infinite() || (size == 0.0 && !is_zero()) {
                return None;
            }
            size
        }
        Magnitude::Binary { mantissa, exponent } => {
            let size = from_binary(mantissa, exponent);
            if size.is_infinite() || (size == 0.0 && mantissa != 0) {
                return None;
            }
            size
        }
    };
    Some(if number.negative { -size } else { size })
}

/// The double nearest to `mantissa * 2^exponent`.
fn from_binary(mantissa: u128, exponent: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let first_bit = exponent + i64::from(mantissa.ilog2());
    if first_bit >= i64::from(f64::MAX_EXP) {
        return f64::INFINITY;
    }
    if first_bit < MIN_LAST_BIT - 1 {
        return 0.0;
    }
    let last_bit = (first_bit - i64::from(FRACTION_BITS)).max(MIN_LAST_BIT);
    let significand = match u32::try_from(last_bit - exponent) {
        Ok(shift) => shift_right_half_even(mantissa, shift),
        Err(_) => mantissa << (exponent - last_bit),
    };
    // The leading bit of a normal number, and the carry of one rounded up, count the exponent field up by one.
    let exponent_field = (last_bit - MIN_LAST_BIT) as u64;
    f64::from_bits((exponent_field << FRACTION_BITS) + significand as u64)
}

/// Appends `value` as Redis 7.0 puts doubles in replies: as `%.17g`, so `3.1` becomes `3.1000000000000001` and 10^17
/// `1e+17`.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && value.abs() < TEN_TO_17 as f64 {
        return write_whole(out, value);
    }
    if !value.is_finite() {
        return write_non_finite(out, value);
    }
    if value < 0.0 {
        out.push(b'-');
    }
    let (mut digits, exponent) = seventeen_digits(value.abs());
    while digits % 10 == 0 {
        digits /= 10;
    }
    if (-4..DIGITS).contains(&exponent) {
        write_positional(out, digits, exponent);
    } else {
        write_scientific(out, digits, exponent, 2);
    }
}

/// Appends `value` as Redis 7.0 stores it in a listpack and writes it to an AOF, and as ZSCAN of a small set shows
/// it: whole numbers up to 2^62 without an exponent, all else as [`write_f64`].
pub fn write_f64_stored(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && value.abs() <= (1i64 << 62) as f64 {
        write_whole(out, value);
    } else {
        write_f64(out, value);
    }
}

/// Appends the shortest text that parses back to `value`: `3.1`, `1e+21`. Not what 7.0 replies; for texts of ours.
pub fn write_f64_shortest(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && value.abs() <= (1i64 << 62) as f64 {
        return write_whole(out, value);
    }
    if !value.is_finite() {
        return write_non_finite(out, value);
    }
    if value < 0.0 {
        out.push(b'-');
    }
    let mut text = Text::default();
    write!(text, "{:e}", value.abs()).expect("a shortest double has at most 17 digits");
    let (digits, exponent) = text.digits_and_exponent();
    if (-7..DIGITS).contains(&exponent) {
        write_positional(out, digits, exponent);
    } else {
        write_scientific(out, digits, exponent, 1);
    }
}

/// Appends `value` with exactly `decimals` digits after the point, rounded as GEODIST rounds: the product with
/// ten to `decimals` to the nearest whole number.
pub fn write_f64_fixed(out: &mut Vec<u8>, value: f64, decimals: u32) {
    let scale = 10u64.pow(decimals);
    let scaled = (value * scale as f64).round_ties_even() as i64;
    if scaled < 0 {
        out.push(b'-');
    }
    write_u64(out, scaled.unsigned_abs() / scale);
    if decimals > 0 {
        out.push(b'.');
        write_u64_padded(out, scaled.unsigned_abs() % scale, decimals as usize);
    }
}

fn write_whole(out: &mut Vec<u8>, value: f64) {
    if value == 0.0 && value.is_sign_negative() {
        out.push(b'-');
    }
    write_i64(out, value as i64);
}

fn write_non_finite(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(match value {
        f64::INFINITY => b"inf",
        f64::NEG_INFINITY => b"-inf",
        _ => b"nan",
    });
}

/// The first digit of `digits` counts ten to `exponent`.
fn write_positional(out: &mut Vec<u8>, digits: u64, exponent: i32) {
    let after_first = digits10_u64(digits) as i32 - 1;
    let decimals = after_first - exponent;
    if decimals <= 0 {
        write_u64(out, digits);
        out.resize(out.len() + decimals.unsigned_abs() as usize, b'0');
    } else if exponent >= 0 {
        let scale = 10u64.pow(decimals.unsigned_abs());
        write_u64(out, digits / scale);
        out.push(b'.');
        write_u64_padded(out, digits % scale, decimals.unsigned_abs() as usize);
    } else {
        out.extend_from_slice(b"0.");
        write_u64_padded(out, digits, decimals.unsigned_abs() as usize);
    }
}

fn write_scientific(out: &mut Vec<u8>, digits: u64, exponent: i32, min_exponent_len: usize) {
    write_positional(out, digits, 0);
    out.push(b'e');
    out.push(if exponent < 0 { b'-' } else { b'+' });
    write_u64_padded(out, u64::from(exponent.unsigned_abs()), min_exponent_len);
}

/// The first seventeen digits of a positive finite `value`, correctly rounded, and the power of ten of the first.
///
/// With `value = mantissa / 2^shift`, `mantissa * 10^k / 2^shift` is a number of seventeen digits for the right `k`.
/// For scores of everyday size that product fits 128 bits and one multiplication does; the standard library, some
/// ten times slower, does the rest.
fn seventeen_digits(value: f64) -> (u64, i32) {
    if !(1e-5..(1u64 << 53) as f64).contains(&value) {
        let mut text = Text::default();
        write!(text, "{value:.16e}").expect("17 digits, a point and an exponent");
        return text.digits_and_exponent();
    }
    let bits = value.to_bits();
    let binary_exponent = (bits >> FRACTION_BITS) as i32 - f64::MAX_EXP + 1;
    let mantissa = u128::from(bits & ((1 << FRACTION_BITS) - 1) | 1 << FRACTION_BITS);
    let shift = (FRACTION_BITS as i32 - binary_exponent) as u32;
    // log10(2) is 1233/4096 from below: the guess is right or one too low.
    let mut exponent = (binary_exponent * 1233) >> 12;
    loop {
        let scale = 10u128.pow((DIGITS - 1 - exponent) as u32);
        let digits = shift_right_half_even(mantissa * scale, shift);
        if digits < TEN_TO_17 {
            debug_assert!(digits >= TEN_TO_16);
            return (digits as u64, exponent);
        }
        exponent += 1;
    }
}

/// What the standard library prints, without the heap.
#[derive(Default)]
struct Text {
    bytes: [u8; 32],
    len: usize,
}

impl Text {
    /// Of `d.ddddde-x`: the digits as one number, and `-x`.
    fn digits_and_exponent(&self) -> (u64, i32) {
        let text = &self.bytes[..self.len];
        let mark = text.iter().position(|&b| b == b'e').unwrap_or(self.len);
        let number = |part: &[u8]| {
            let digits = part.iter().filter(|b| b.is_ascii_digit());
            digits.fold(0, |n, &b| n * 10 + u64::from(b - b'0'))
        };
        let exponent = number(&text[mark..]) as i32;
        let negative = text[mark..].contains(&b'-');
        (number(&text[..mark]), if negative { -exponent } else { exponent })
    }
}

impl Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let end = self.len + part.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(part.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: fn(&mut Vec<u8>, f64), value: f64) -> String {
        let mut out = Vec::new();
        write(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    /// `ZADD z <text> a`, `ZSCORE z a` on 7.0.15.
    #[test]
    fn scores_come_back_as_from_redis() {
        for (text, reply) in [
            ("0", "0"),
            ("3.1", "3.1000000000000001"),
            ("-3.1", "-3.1000000000000001"),
            ("0.5", "0.5"),
            ("1.", "1"),
            (".5", "0.5"),
            ("+5", "5"),
            ("1e16", "10000000000000000"),
            ("1e17", "1e+17"),
            ("123456789012345678", "1.2345678901234568e+17"),
            ("4e18", "4e+18"),
            ("1e21", "1e+21"),
            ("0.0001", "0.0001"),
            ("1e-5", "1.0000000000000001e-05"),
            ("100000000000000.125", "100000000000000.12"),
            ("1e300", "1.0000000000000001e+300"),
            ("2.2250738585072011e-308", "2.2250738585072009e-308"),
            ("5e-324", "4.9406564584124654e-324"),
            ("0e-400", "0"),
            ("0x0p-9999", "0"),
            ("0x1p3", "8"),
            ("0x1.8", "1.5"),
            ("0x1.1p-1075", "4.9406564584124654e-324"),
            ("inf", "inf"),
            ("-inf", "-inf"),
            ("INFINITY", "inf"),
        ] {
            let value = parse_f64(text.as_bytes()).unwrap();
            assert_eq!(written(write_f64, value), reply);
            assert_eq!(parse_f64(reply.as_bytes()), Some(value));
        }
        assert_eq!(written(write_f64, -0.0), "-0");
        assert_eq!(written(write_f64, f64::NAN), "nan");
    }

    #[test]
    fn what_redis_refuses_is_no_double() {
        for text in [
            "",
            " 5",
            "5 ",
            "5\0",
            ".",
            "0x",
            "1e",
            "1e+",
            "infin",
            "nan",
            "nan(1)",
            "-nan",
            "1e400",
            "-1e400",
            "1e-400",
            "0x1p2000",
            "0x1p1024",
            "0x1p-1075",
            "0x1p-99999999999999",
            "0x1p99999999999999",
            "1,5",
            "--1",
        ] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn hexadecimals_round_to_the_nearest_double() {
        for (text, value) in [
            ("0x1.fffffffffffff8p0", 2.0),
            ("0x1.fffffffffffff7p0", 2.0 - f64::EPSILON),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.000000000000080000000000000000000000000001p0", 1.0 + f64::EPSILON),
            ("0x1.00000000000018p0", 1.0 + 2.0 * f64::EPSILON),
            ("0x0.0000000000001p-1022", f64::from_bits(1)),
            ("0x0.fffffffffffff8p-1022", f64::MIN_POSITIVE),
            ("-0x1.fffffffffffffp1023", f64::MIN),
            ("0x1fffffffffffff7p967", f64::MAX),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text}");
        }
        assert_eq!(parse_f64(b"0x1.fffffffffffff8p1023"), None);
    }

    #[test]
    fn the_quick_way_to_seventeen_digits_agrees_with_the_standard_library() {
        let mut rng = crate::base::rng::Rng::new(2);
        let mut quick_cases = vec![1e-5, 1e-4, 0.1, 0.3, 9.5, 1.0 - f64::EPSILON / 2.0, 99_999_999_999_999.98, 1.5];
        for _ in 0..20_000 {
            let random = rng.next_u64();
            quick_cases.push(random as f64 / (1u64 << (random % 64)) as f64);
            quick_cases.push((random % 10_000) as f64 / 1000.0);
        }
        for value in quick_cases {
            let mut text = Text::default();
            write!(text, "{value:.16e}").unwrap();
            if value != 0.0 {
                assert_eq!(seventeen_digits(value), text.digits_and_exponent(), "{value:e}");
            }
        }
    }

    #[test]
    fn the_other_forms() {
        for (value, stored, shortest) in [
            (1e17, "100000000000000000", "100000000000000000"),
            (4611686018427387904.0, "4611686018427387904", "4611686018427387904"),
            (9223372036854775808.0, "9.2233720368547758e+18", "9.223372036854776e+18"),
            (-1e22, "-1e+22", "-1e+22"),
            (3.1, "3.1000000000000001", "3.1"),
            (0.00015, "0.00014999999999999999", "0.00015"),
            (1.5e-9, "1.5e-09", "1.5e-9"),
            (-0.0, "-0", "-0"),
            (f64::INFINITY, "inf", "inf"),
        ] {
            assert_eq!(written(write_f64_stored, value), stored);
            assert_eq!(written(write_f64_shortest, value), shortest);
        }
    }

    /// `GEODIST Sicily Palermo Catania km` and made-up neighbours.
    #[test]
    fn fixed_decimals() {
        for (value, decimals, expected) in [
            (166.27415156960033, 4, "166.2742"),
            (0.0, 4, "0.0000"),
            (0.00004, 4, "0.0000"),
            (0.00006, 4, "0.0001"),
            (-1.25, 1, "-1.2"),
            (7.0, 0, "7"),
        ] {
            let mut out = Vec::new();
            write_f64_fixed(&mut out, value, decimals);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
