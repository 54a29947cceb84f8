//! The grammar of floating-point numbers, as C's `strtod` and `strtold` have it.
//!
//! *Duty:* say what a text spells, without yet rounding it to some width: decimal, hexadecimal or infinity.
//! *Does not know:* the range or precision of the type it will become.
//! *Invariants:* the whole text is one number, with no blank before or after; "nan" is none.
//! *Counterpart in C Redis:* the common part of `string2d` and `string2ld`.

/// A sign and what follows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FloatText<'a> {
    pub(super) negative: bool,
    pub(super) magnitude: Magnitude<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Magnitude<'a> {
    Infinity,
    /// The digits `whole` and `fraction` with the point between them, times ten to `exponent`.
    Decimal {
        whole: &'a [u8],
        fraction: &'a [u8],
        exponent: i64,
    },
    /// `mantissa` times two to `exponent`. Digits that no longer fitted are remembered by making `mantissa` odd;
    /// it then has over 120 significant bits.
    Binary {
        mantissa: u128,
        exponent: i64,
    },
}

/// Exponents are cut here: far outside every type, yet safe to add lengths to.
const EXPONENT_CUT: i64 = 1 << 40;

/// What `text` spells.
pub(super) fn scan(text: &[u8]) -> Option<FloatText<'_>> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let magnitude = match unsigned {
        [b'0', b'x' | b'X', rest @ ..] => scan_hexadecimal(rest)?,
        [b'i' | b'I', ..] => scan_infinity(unsigned)?,
        _ => scan_decimal(unsigned)?,
    };
    Some(FloatText { negative, magnitude })
}

fn scan_infinity(text: &[u8]) -> Option<Magnitude<'_>> {
    let known = text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity");
    known.then_some(Magnitude::Infinity)
}

fn scan_decimal(text: &[u8]) -> Option<Magnitude<'_>> {
    let (whole, fraction, rest) = split_number(text, u8::is_ascii_digit)?;
    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', exponent @ ..] => scan_exponent(exponent)?,
        _ => return None,
    };
    Some(Magnitude::Decimal { whole, fraction, exponent })
}

fn scan_hexadecimal(text: &[u8]) -> Option<Magnitude<'_>> {
    let (whole, fraction, rest) = split_number(text, u8::is_ascii_hexdigit)?;
    let mut exponent = match rest {
        [] => 0,
        [b'p' | b'P', exponent @ ..] => scan_exponent(exponent)?,
        _ => return None,
    };
    let mut mantissa = 0u128;
    for (place, &byte) in whole.iter().chain(fraction).enumerate() {
        let digit = u128::from(char::from(byte).to_digit(16).unwrap_or(0));
        if mantissa >> 124 == 0 {
            mantissa = mantissa << 4 | digit;
        } else {
            mantissa |= u128::from(digit != 0);
            exponent += 4;
        }
        if place >= whole.len() {
            exponent -= 4;
        }
    }
    Some(Magnitude::Binary { mantissa, exponent })
}

/// The digits before and after the point, and what follows. There is at least one digit.
fn split_number(text: &[u8], is_digit: fn(&u8) -> bool) -> Option<(&[u8], &[u8], &[u8])> {
    let (whole, mut rest) = split_digits(text, is_digit);
    let mut fraction: &[u8] = b"";
    if let [b'.', after @ ..] = rest {
        (fraction, rest) = split_digits(after, is_digit);
    }
    (whole.len() + fraction.len() > 0).then_some((whole, fraction, rest))
}

fn split_digits(text: &[u8], is_digit: fn(&u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|b| is_digit(b)).count())
}

fn scan_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0, |size, &b| (size * 10 + i64::from(b - b'0')).min(EXPONENT_CUT));
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal<'a>(whole: &'a [u8], fraction: &'a [u8], exponent: i64) -> Option<Magnitude<'a>> {
        Some(Magnitude::Decimal { whole, fraction, exponent })
    }

    fn binary(mantissa: u128, exponent: i64) -> Option<Magnitude<'static>> {
        Some(Magnitude::Binary { mantissa, exponent })
    }

    fn magnitude(text: &[u8]) -> Option<Magnitude<'_>> {
        scan(text).map(|scanned| scanned.magnitude)
    }

    #[test]
    fn decimals() {
        assert_eq!(magnitude(b"12.50e-3"), decimal(b"12", b"50", -3));
        assert_eq!(magnitude(b"1."), decimal(b"1", b"", 0));
        assert_eq!(magnitude(b".5E+7"), decimal(b"", b"5", 7));
        assert_eq!(magnitude(b"1e99999999999999999999"), decimal(b"1", b"", EXPONENT_CUT));
        assert_eq!(magnitude(b"1e-99999999999999999999"), decimal(b"1", b"", -EXPONENT_CUT));
    }

    #[test]
    fn hexadecimals() {
        assert_eq!(magnitude(b"0x10"), binary(16, 0));
        assert_eq!(magnitude(b"0X1.8P1"), binary(0x18, -3));
        assert_eq!(magnitude(b"0x.fp-4"), binary(15, -8));
        assert_eq!(magnitude(b"0x00000000000000000000000000000000000001"), binary(1, 0));
        let long = [&b"0x1"[..], &[b'0'; 40], b".1"].concat();
        assert_eq!(magnitude(&long), binary(1 << 124 | 1, 36));
        let exact = [&b"0x1"[..], &[b'0'; 40], b".0"].concat();
        assert_eq!(magnitude(&exact), binary(1 << 124, 36));
    }

    #[test]
    fn signs_and_infinities() {
        assert_eq!(scan(b"-inf"), Some(FloatText { negative: true, magnitude: Magnitude::Infinity }));
        assert_eq!(scan(b"+Infinity"), Some(FloatText { negative: false, magnitude: Magnitude::Infinity }));
        assert!(scan(b"-0").unwrap().negative);
    }

    #[test]
    fn everything_else_is_refused() {
        let refused: [&[u8]; 24] = [
            b"",
            b"+",
            b"-",
            b".",
            b"e1",
            b"1e",
            b"1e+",
            b"1e1.5",
            b" 1",
            b"1 ",
            b"1\0",
            b"--1",
            b"+-1",
            b"1.2.3",
            b"0x",
            b"0x.",
            b"0xg",
            b"0x1p",
            b"0x1e+1p",
            b"nan",
            b"nan(1)",
            b"infin",
            b"infinityx",
            b"1f",
        ];
        for text in refused {
            assert_eq!(scan(text), None, "{}", text.escape_ascii());
        }
    }
}
