//! Numbers as C's `printf` and `strtod` know them.
//!
//! *Duty:* `%.14g` and its kin; the number at the beginning of a text.
//! *Counterpart in C Redis:* `fpconv.c`, and the C library below it.

use crate::base::float::parse_f64;

/// Appends `value` as `%.{precision}g`.
pub fn write_g(out: &mut Vec<u8>, value: f64, precision: usize) {
    if !value.is_finite() {
        let sign = if value.is_sign_negative() { "-" } else { "" };
        out.extend_from_slice(format!("{sign}{}", if value.is_nan() { "nan" } else { "inf" }).as_bytes());
        return;
    }
    let precision = precision.max(1);
    let scientific = format!("{value:.*e}", precision - 1);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= precision as i32 {
        out.extend_from_slice(without_zeros(digits).as_bytes());
        let sign = if exponent < 0 { '-' } else { '+' };
        out.extend_from_slice(format!("e{sign}{:02}", exponent.unsigned_abs()).as_bytes());
    } else {
        let decimals = (precision as i32 - 1 - exponent).max(0) as usize;
        out.extend_from_slice(without_zeros(&format!("{value:.decimals$}")).as_bytes());
    }
}

fn without_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// The number that `text` begins with, and its length: decimal, hexadecimal, `inf`, `infinity`, `nan`, `nan(chars)`,
/// with a sign or without. No blanks in front.
pub fn leading_number(text: &[u8]) -> Option<(f64, usize)> {
    let signed = matches!(text.first(), Some(b'+' | b'-'));
    let start = usize::from(signed);
    let negative = text.first() == Some(&b'-');
    let rest = &text[start..];
    let (value, len) = named(rest).or_else(|| hexadecimal(rest)).or_else(|| decimal(rest))?;
    Some((if negative { -value } else { value }, start + len))
}

fn named(text: &[u8]) -> Option<(f64, usize)> {
    let begins = |word: &[u8]| text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word));
    if begins(b"infinity") {
        return Some((f64::INFINITY, 8));
    }
    if begins(b"inf") {
        return Some((f64::INFINITY, 3));
    }
    if !begins(b"nan") {
        return None;
    }
    let inner = text[3..].iter().skip(1).take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    let closed = text.get(3) == Some(&b'(') && text.get(4 + inner) == Some(&b')');
    Some((f64::NAN, if closed { inner + 5 } else { 3 }))
}

/// Digits, perhaps with a point among them: how long they are, and whether there is a digit.
fn mantissa(text: &[u8], is_digit: fn(&u8) -> bool) -> Option<usize> {
    let whole = text.iter().take_while(|b| is_digit(b)).count();
    if text.get(whole) != Some(&b'.') {
        return (whole > 0).then_some(whole);
    }
    let fraction = text[whole + 1..].iter().take_while(|b| is_digit(b)).count();
    (whole + fraction > 0).then_some(whole + 1 + fraction)
}

/// The length of an exponent such as `e+12`, 0 if there is none.
fn exponent(text: &[u8], mark: u8) -> usize {
    if !text.first().is_some_and(|b| b.eq_ignore_ascii_case(&mark)) {
        return 0;
    }
    let sign = usize::from(matches!(text.get(1), Some(b'+' | b'-')));
    let digits = text[1 + sign..].iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 { 0 } else { 1 + sign + digits }
}

fn decimal(text: &[u8]) -> Option<(f64, usize)> {
    let digits = mantissa(text, u8::is_ascii_digit)?;
    let len = digits + exponent(&text[digits..], b'e');
    let value = std::str::from_utf8(&text[..len]).ok()?.parse().ok()?;
    Some((value, len))
}

fn hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    if text.first() != Some(&b'0') || !text.get(1).is_some_and(|b| b.eq_ignore_ascii_case(&b'x')) {
        return None;
    }
    let digits = mantissa(&text[2..], u8::is_ascii_hexdigit)? + 2;
    let power = exponent(&text[digits..], b'p');
    let small = text[digits..digits + power].contains(&b'-');
    let value = parse_f64(&text[..digits + power]).unwrap_or(if small { 0.0 } else { f64::INFINITY });
    Some((value, digits + power))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn g(value: f64, precision: usize) -> String {
        let mut out = Vec::new();
        write_g(&mut out, value, precision);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn as_printf_prints() {
        let cases = [
            (0.0, 14, "0"),
            (-0.0, 14, "-0"),
            (0.1, 14, "0.1"),
            (1e300, 14, "1e+300"),
            (123_456_789_012_345.0, 14, "1.2345678901234e+14"),
            (12_345_678_901_234.0, 14, "12345678901234"),
            (0.000_1, 14, "0.0001"),
            (0.000_012, 14, "1.2e-05"),
            (2.345_678_9, 5, "2.3457"),
            (9.99, 1, "1e+01"),
            (f64::NEG_INFINITY, 14, "-inf"),
        ];
        for (value, precision, expected) in cases {
            assert_eq!(g(value, precision), expected);
        }
    }

    #[test]
    fn as_strtod_reads() {
        assert_eq!(leading_number(b"1.5e3]"), Some((1500.0, 5)));
        assert_eq!(leading_number(b"1e,"), Some((1.0, 1)));
        assert_eq!(leading_number(b"-0x10,"), Some((-16.0, 5)));
        assert_eq!(leading_number(b"0x1p4"), Some((16.0, 5)));
        assert_eq!(leading_number(b"0xg"), Some((0.0, 1)));
        assert_eq!(leading_number(b"-infinityx"), Some((f64::NEG_INFINITY, 9)));
        assert_eq!(leading_number(b"nan(12)").map(|n| n.1), Some(7));
        assert_eq!(leading_number(b"nan(12").map(|n| n.1), Some(3));
        assert_eq!(leading_number(b"1e400"), Some((f64::INFINITY, 5)));
        assert_eq!(leading_number(b".5"), Some((0.5, 2)));
        assert_eq!(leading_number(b"5."), Some((5.0, 2)));
        for refused in [&b""[..], b"-", b"x", b".", b"-x"] {
            assert_eq!(leading_number(refused), None);
        }
    }
}
