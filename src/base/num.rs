//! Integers as decimal text, exactly as Redis accepts and prints them.
//!
//! *Duty:* the strict grammar that decides whether a value is an integer (`-?[1-9][0-9]*` or `0`, in range), the
//! lax one of stream ids, and printing without a formatter. It runs for every length on the wire and every INCR.
//! *Does not know:* what an integer is used for, and which error its refusal becomes.
//! *Invariants:* [`parse_i64`] accepts a text if and only if [`write_i64`] can print it, so a value that parses may
//! be stored as an integer and given back byte for byte.
//! *Counterpart in C Redis:* `string2ll`, `string2ull`, `ll2string`, `sdigits10`.

/// Room for the longest 64-bit integer: `i64::MIN` with its sign, or `u64::MAX`.
pub const MAX_DECIMAL_LEN: usize = 20;

/// Where [`format_i64`] and [`format_u64`] print.
pub type IntBuf = [u8; MAX_DECIMAL_LEN];

/// Digits that always fit a `u64`: no overflow check is needed up to here.
const SAFE_DIGITS: usize = 19;

/// `"00" "01" … "99"`.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut i = 0;
    while i < 100 {
        pairs[i] = [b'0' + (i / 10) as u8, b'0' + (i % 10) as u8];
        i += 1;
    }
    pairs
};

/// The integer that `text` spells canonically: no `+`, no leading zero, no space, no `-0`.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', digits @ ..] => {
            let magnitude = parse_u64(digits)?;
            if magnitude == 0 || magnitude > i64::MIN.unsigned_abs() {
                return None;
            }
            Some((magnitude as i64).wrapping_neg())
        }
        digits => i64::try_from(parse_u64(digits)?).ok(),
    }
}

/// The unsigned integer that `text` spells canonically.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    let (&first, rest) = text.split_first()?;
    let first = first.wrapping_sub(b'0');
    if first > 9 || (first == 0 && !rest.is_empty()) {
        return None;
    }
    accumulate(u64::from(first), rest)
}

/// An unsigned integer as stream ids spell it: blanks, a plus sign and zeros may stand in front.
pub fn parse_u64_lax(text: &[u8]) -> Option<u64> {
    let blanks = text.iter().take_while(|&&b| b == b' ' || (9..=13).contains(&b)).count();
    let digits = &text[blanks..];
    let digits = digits.strip_prefix(b"+").unwrap_or(digits);
    if digits.is_empty() {
        return None;
    }
    let zeros = digits.iter().take_while(|&&b| b == b'0').count();
    accumulate(0, &digits[zeros..])
}

/// `value` followed by the decimal `digits`; none if one is not a digit or the result leaves 64 bits.
#[inline]
fn accumulate(mut value: u64, digits: &[u8]) -> Option<u64> {
    let (safe, last) = digits.split_at(digits.len().min(SAFE_DIGITS - 1));
    for &byte in safe {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    for &byte in last {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

/// Appends `value` in decimal.
#[inline]
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    write_u64(out, value.unsigned_abs());
}

/// Appends `value` in decimal.
#[inline]
pub fn write_u64(out: &mut Vec<u8>, value: u64) {
    if value < 10 {
        out.push(b'0' + value as u8);
    } else {
        out.extend_from_slice(format_u64(value, &mut [0; MAX_DECIMAL_LEN]));
    }
}

/// Appends `value` in decimal with zeros in front, `len` digits in all or more.
pub fn write_u64_padded(out: &mut Vec<u8>, value: u64, len: usize) {
    let zeros = len.saturating_sub(digits10_u64(value));
    out.resize(out.len() + zeros, b'0');
    write_u64(out, value);
}

/// `value` in decimal, in the tail of `buf`.
#[inline]
pub fn format_i64(value: i64, buf: &mut IntBuf) -> &[u8] {
    let mut start = fill_from_end(value.unsigned_abs(), buf);
    if value < 0 {
        start -= 1;
        buf[start] = b'-';
    }
    &buf[start..]
}

/// `value` in decimal, in the tail of `buf`.
#[inline]
pub fn format_u64(value: u64, buf: &mut IntBuf) -> &[u8] {
    let start = fill_from_end(value, buf);
    &buf[start..]
}

/// Prints two digits at a time, last ones first; returns where the number begins.
#[inline]
fn fill_from_end(mut value: u64, buf: &mut IntBuf) -> usize {
    let mut start = MAX_DECIMAL_LEN;
    while value >= 100 {
        start -= 2;
        buf[start..start + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if value >= 10 {
        start -= 2;
        buf[start..start + 2].copy_from_slice(&PAIRS[value as usize]);
    } else {
        start -= 1;
        buf[start] = b'0' + value as u8;
    }
    start
}

/// How many bytes [`write_i64`] appends, the sign included.
#[inline]
pub fn digits10_i64(value: i64) -> usize {
    digits10_u64(value.unsigned_abs()) + usize::from(value < 0)
}

/// How many bytes [`write_u64`] appends.
#[inline]
pub fn digits10_u64(value: u64) -> usize {
    value.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// `value / 2^shift` rounded to the nearest, ties to even: the rounding of every float conversion here.
#[inline]
pub(super) fn shift_right_half_even(value: u128, shift: u32) -> u128 {
    if shift == 0 {
        return value;
    }
    let quotient = value.checked_shr(shift).unwrap_or(0);
    let half = 1u128.checked_shl(shift - 1).unwrap_or(0);
    let rest = value - quotient.checked_shl(shift).unwrap_or(0);
    let up = half != 0 && (rest > half || (rest == half && quotient & 1 == 1));
    quotient + u128::from(up)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each power of ten, its neighbours, and the ends of the range.
    fn edge_values() -> Vec<i64> {
        let mut values = vec![0, i64::MAX, i64::MAX - 1, i64::MIN, i64::MIN + 1];
        let mut power: i64 = 1;
        for _ in 0..19 {
            values.extend([power - 1, power, power + 1, -power - 1, -power, 1 - power]);
            power = power.wrapping_mul(10);
        }
        values
    }

    #[test]
    fn printed_integers_match_the_standard_library_and_parse_back() {
        for value in edge_values() {
            let expected = value.to_string();
            let mut out = b"x".to_vec();
            write_i64(&mut out, value);
            assert_eq!(out, [b"x", expected.as_bytes()].concat());
            assert_eq!(format_i64(value, &mut [0; 20]), expected.as_bytes());
            assert_eq!(digits10_i64(value), expected.len());
            assert_eq!(parse_i64(expected.as_bytes()), Some(value));
        }
        for value in edge_values().into_iter().map(|v| v as u64).chain([u64::MAX]) {
            let expected = value.to_string();
            let mut out = Vec::new();
            write_u64(&mut out, value);
            assert_eq!(out, expected.as_bytes());
            assert_eq!(format_u64(value, &mut [0; 20]), expected.as_bytes());
            assert_eq!(digits10_u64(value), expected.len());
            assert_eq!(parse_u64(expected.as_bytes()), Some(value));
        }
    }

    #[test]
    fn padding_never_cuts() {
        let mut out = Vec::new();
        write_u64_padded(&mut out, 7, 3);
        write_u64_padded(&mut out, 1234, 3);
        write_u64_padded(&mut out, 0, 2);
        assert_eq!(out, b"007123400");
    }

    #[test]
    fn only_canonical_integers_are_integers() {
        let refused: [&[u8]; 20] = [
            b"",
            b"-",
            b"+1",
            b" 1",
            b"1 ",
            b"01",
            b"00",
            b"-0",
            b"-01",
            b"--1",
            b"1-",
            b"1.0",
            b"0x1",
            b"1\0",
            b"9223372036854775808",
            b"-9223372036854775809",
            b"18446744073709551615",
            b"99999999999999999999",
            b"100000000000000000000",
            b"\xff1",
        ];
        for text in refused {
            assert_eq!(parse_i64(text), None, "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(parse_i64(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"-1"), None);
        assert_eq!(parse_u64(b"00"), None);
        assert_eq!(parse_u64(b"11111111111111111111"), Some(11_111_111_111_111_111_111));
        assert_eq!(parse_u64(b"1111111111111111111x"), None);
        assert_eq!(parse_u64(b"111111111111111111111"), None);
    }

    #[test]
    fn shifts_round_half_to_even() {
        for (value, shift, expected) in [
            (5, 0, 5),
            (5, 1, 2),
            (7, 1, 4),
            (6, 2, 2),
            (5, 2, 1),
            (u128::MAX, 127, 2),
            (3 << 126, 127, 2),
            (1 << 127, 128, 0),
            ((1 << 127) + 1, 128, 1),
            (u128::MAX, 129, 0),
            (u128::MAX, 5000, 0),
        ] {
            assert_eq!(shift_right_half_even(value, shift), expected, "{value:#x} {shift}");
        }
    }

    /// What 7.0.15 answers to `XADD k <text>-1 f v` on a fresh key.
    #[test]
    fn the_lax_grammar_is_that_of_stream_ids() {
        assert_eq!(parse_u64_lax(b"5"), Some(5));
        assert_eq!(parse_u64_lax(b"007"), Some(7));
        assert_eq!(parse_u64_lax(b"000"), Some(0));
        assert_eq!(parse_u64_lax(b"+5"), Some(5));
        assert_eq!(parse_u64_lax(b" \t5"), Some(5));
        assert_eq!(parse_u64_lax(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64_lax(b"0018446744073709551615"), Some(u64::MAX));
        for refused in [&b""[..], b"-1", b"+", b" ", b"5 ", b"+-5", b"18446744073709551616", b"5x"] {
            assert_eq!(parse_u64_lax(refused), None, "{}", String::from_utf8_lossy(refused));
        }
    }
}
