//! Numbers in configuration: plain, memory sizes, percentages, octal; and the lenient ones inside lists.
//!
//! *Duty:* read and print each form, and refuse what is out of bounds, in Redis' words.
//! *Does not know:* directives.
//! *Invariants:* a memory size is read exactly or refused, never rounded and never wrapped: `12.5gb` is
//! 13421772800, `0.3gb` is no whole number of bytes, `100xb` has no known unit.
//! *Counterpart in C Redis:* `numericParseString`, `numericBoundaryCheck`, `memtoull`.

use super::directive::{ConfigError, Outcome};
use crate::base::num;

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Integer,
    /// Bytes, with an optional unit.
    Memory,
    /// Bytes, or a percentage that is kept as a negative number.
    MemoryOrPercent,
    /// Permission bits.
    Octal,
}

impl Form {
    /// The number that `word` spells.
    pub fn parse(self, word: &[u8]) -> Result<i128, ConfigError> {
        let (value, refusal) = match self {
            Form::Integer => (num::parse_i64(word).map(i128::from), "argument couldn't be parsed into an integer"),
            Form::Memory => (parse_memory(word), "argument must be a memory value"),
            Form::MemoryOrPercent => {
                (parse_memory(word).or_else(|| parse_percent(word)), "argument must be a memory or percent value")
            }
            Form::Octal => (parse_octal(word), "argument couldn't be parsed as an octal number"),
        };
        value.ok_or_else(|| refusal.into())
    }

    /// Refuses a `value` outside of `min` to `max`.
    pub fn within(self, value: i128, min: i128, max: i128) -> Outcome {
        if (min..=max).contains(&value) {
            return Ok(());
        }
        Err(match self {
            Form::MemoryOrPercent if value < 0 => format!("percentage argument must be less or equal to {}", -min),
            Form::Octal => format!("argument must be between {min:o} and {max:o} inclusive"),
            _ => format!("argument must be between {min} and {max} inclusive"),
        }
        .into())
    }

    /// The text of `value`, which [`Form::parse`] reads back.
    pub fn text(self, value: i128) -> String {
        match self {
            Form::MemoryOrPercent if value < 0 => format!("{}%", -value),
            Form::Octal => format!("{value:o}"),
            _ => value.to_string(),
        }
    }
}

/// Bytes from `text`: digits, an optional fraction, an optional unit. `k` is 1000, `kb` is 1024, and so on. As in
/// 7.0.15 a missing number is 0; the fraction is ours, and only good when it comes to whole bytes.
pub fn parse_memory(text: &[u8]) -> Option<i128> {
    let whole_len = digits(text);
    let (whole, rest) = text.split_at(whole_len);
    let (fraction, unit) = match rest.split_first() {
        Some((b'.', rest)) if whole_len > 0 && digits(rest) > 0 => rest.split_at(digits(rest)),
        _ => (&b""[..], rest),
    };
    let scale = unit_scale(unit)?;
    // 18 digits of each are far beyond what any bound admits, and keep the product below i128::MAX.
    if whole.len() > 24 || fraction.len() > 18 {
        return None;
    }
    let denominator = 10i128.pow(fraction.len() as u32);
    let numerator = decimal(fraction) * scale;
    (numerator % denominator == 0).then(|| decimal(whole) * scale + numerator / denominator)
}

fn unit_scale(unit: &[u8]) -> Option<i128> {
    let units: [(&[u8], i128); 8] = [
        (b"", 1),
        (b"b", 1),
        (b"k", 1000),
        (b"kb", 1 << 10),
        (b"m", 1_000_000),
        (b"mb", 1 << 20),
        (b"g", 1_000_000_000),
        (b"gb", 1 << 30),
    ];
    units.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, scale)| scale)
}

fn parse_percent(text: &[u8]) -> Option<i128> {
    let percent = num::parse_i64(text.strip_suffix(b"%")?)?;
    (percent >= 0).then(|| -i128::from(percent))
}

fn parse_octal(text: &[u8]) -> Option<i128> {
    if text.is_empty() {
        return Some(0);
    }
    i64::from_str_radix(std::str::from_utf8(text).ok()?, 8).ok().map(i128::from)
}

/// An integer as C's `strtoll` takes it when it must use up the text: blanks and a sign in front, zeros, and
/// nothing at all for 0. The list grammars (`save`, `oom-score-adj-values` …) are that lenient.
pub fn parse_lenient(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii_start();
    if text.is_empty() {
        return Some(0);
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The number that a short run of digits spells; 0 for none.
fn decimal(digits: &[u8]) -> i128 {
    digits.iter().fold(0, |sum, digit| sum * 10 + i128::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_sizes_have_decimal_and_binary_units() {
        let sizes: [(&str, i128); 10] = [
            ("100", 100),
            ("1b", 1),
            ("1k", 1000),
            ("1Kb", 1024),
            ("2M", 2_000_000),
            ("2mB", 2 << 20),
            ("3g", 3_000_000_000),
            ("3GB", 3 << 30),
            ("", 0),
            ("007mb", 7 << 20),
        ];
        for (text, bytes) in sizes {
            assert_eq!(parse_memory(text.as_bytes()), Some(bytes), "{text}");
        }
    }

    #[test]
    fn fractions_are_exact_or_refused() {
        assert_eq!(parse_memory(b"12.5gb"), Some(13_421_772_800));
        assert_eq!(parse_memory(b"0.25k"), Some(250));
        assert_eq!(parse_memory(b"1.0"), Some(1));
        assert_eq!(parse_memory(b"1.5"), None, "no half bytes");
        assert_eq!(parse_memory(b"0.3gb"), None);
        for text in ["100xb", "1tb", "-1", "1 gb", ".5gb", "1.gb", "1e3", "1,5gb", "12.5.1gb"] {
            assert_eq!(parse_memory(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn huge_sizes_do_not_wrap() {
        let value = Form::Memory.parse(b"18446744073709551616").unwrap();
        assert!(Form::Memory.within(value, 0, i128::from(u64::MAX)).is_err());
        let value = Form::Memory.parse(b"999999999999999999999999gb").unwrap();
        assert!(Form::Memory.within(value, 0, i128::from(u64::MAX)).is_err());
        assert!(Form::Memory.parse(b"9999999999999999999999999999999999").is_err());
    }

    #[test]
    fn integers_are_canonical_and_lenient_ones_are_not() {
        for text in ["", "+1", " 1", "01", "1 ", "0x10", "1.0"] {
            assert!(Form::Integer.parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(parse_lenient(b"+01"), Some(1));
        assert_eq!(parse_lenient(b" -7"), Some(-7));
        assert_eq!(parse_lenient(b""), Some(0));
        assert_eq!(parse_lenient(b"7x"), None);
    }

    #[test]
    fn octal_bounds_are_told_in_octal() {
        assert_eq!(Form::Octal.parse(b"770").unwrap(), 0o770);
        assert!(Form::Octal.parse(b"8").is_err());
        let refusal = Form::Octal.within(0o1000, 0, 0o777).unwrap_err();
        assert_eq!(refusal.to_string(), "argument must be between 0 and 777 inclusive");
    }
}
