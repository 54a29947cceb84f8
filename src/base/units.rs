//! Sizes with units, and file modes, as configuration files spell them.
//!
//! *Duty:* `100mb` to bytes and back, bytes for human eyes, octal modes.
//! *Does not know:* which directive asks, its range, or `%` (see config).
//! *Invariants:* what is accepted is read exactly. Redis takes a missing number (`gb`) as 0 and lets large products
//! wrap around; both are refused here, while fractions that come to whole bytes (`12.5gb`) are read.
//! *Counterpart in C Redis:* `memtoull`, `bytesToHuman`, `rewriteConfigFormatMemory`.

use super::num::{shift_right_half_even, write_u64};

const KB: u64 = 1 << 10;
const MB: u64 = 1 << 20;
const GB: u64 = 1 << 30;

/// Bytes that `text` names: a number, perhaps with a fraction, and a unit in any case: none or `b`, `k m g`
/// (powers of 1000), `kb mb gb` (powers of 1024).
pub fn parse_memory(text: &[u8]) -> Option<u64> {
    let number_len = text.iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    let (number, unit) = text.split_at(number_len);
    let scale = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => KB,
        b"m" => 1000 * 1000,
        b"mb" => MB,
        b"g" => 1000 * 1000 * 1000,
        b"gb" => GB,
        _ => return None,
    };
    let (whole, fraction) = match number.iter().position(|&b| b == b'.') {
        Some(dot) => (&number[..dot], Some(&number[dot + 1..])),
        None => (number, None),
    };
    if whole.is_empty() || fraction.is_some_and(<[u8]>::is_empty) {
        return None;
    }
    let whole_bytes = digits_value(whole)?.checked_mul(scale.into())?;
    u64::try_from(whole_bytes.checked_add(fraction_bytes(fraction.unwrap_or(b""), scale)?)?).ok()
}

/// `0.digits * scale`, if that is a whole number.
fn fraction_bytes(digits: &[u8], scale: u64) -> Option<u128> {
    let trailing_zeros = digits.iter().rev().take_while(|&&b| b == b'0').count();
    let digits = &digits[..digits.len() - trailing_zeros];
    let numerator = digits_value(digits)?.checked_mul(scale.into())?;
    let denominator = 10u128.checked_pow(u32::try_from(digits.len()).ok()?)?;
    (numerator % denominator == 0).then_some(numerator / denominator)
}

fn digits_value(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0u128, |value, &byte| {
        let digit = byte.is_ascii_digit().then(|| u128::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Appends `bytes` in the largest unit that leaves no remainder, for a configuration file.
pub fn write_memory(out: &mut Vec<u8>, bytes: u64) {
    let units: [(u64, &[u8]); 3] = [(GB, b"gb"), (MB, b"mb"), (KB, b"kb")];
    match units.into_iter().find(|(scale, _)| bytes != 0 && bytes.is_multiple_of(*scale)) {
        Some((scale, unit)) => {
            write_u64(out, bytes / scale);
            out.extend_from_slice(unit);
        }
        None => write_u64(out, bytes),
    }
}

/// Appends `bytes` with two decimals and a unit: `1.05M`; below 1024 and from 1024P on the bare count: `512B`.
pub fn write_human(out: &mut Vec<u8>, bytes: u64) {
    let step = bytes.checked_ilog2().map_or(0, |bit| bit / 10);
    if step == 0 || step > 5 {
        write_u64(out, bytes);
        out.push(b'B');
        return;
    }
    let hundredths = shift_right_half_even(u128::from(bytes) * 100, step * 10) as u64;
    write_u64(out, hundredths / 100);
    let cents = (hundredths % 100) as u8;
    out.extend([b'.', b'0' + cents / 10, b'0' + cents % 10, b" KMGTP"[step as usize]]);
}

/// A file mode: octal digits only.
pub fn parse_octal(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u32, |value, &byte| {
        let digit = matches!(byte, b'0'..=b'7').then(|| u32::from(byte - b'0'))?;
        value.checked_mul(8)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [
            (&b"0"[..], 0),
            (b"0100", 100),
            (b"1b", 1),
            (b"1k", 1000),
            (b"1KB", 1024),
            (b"1m", 1_000_000),
            (b"1Mb", 1 << 20),
            (b"2G", 2_000_000_000),
            (b"1gB", 1 << 30),
            (b"18446744073709551615", u64::MAX),
            (b"17179869183gb", 17_179_869_183 << 30),
            (b"12.5gb", 25 << 29),
            (b"0.5k", 500),
            (b"1.50kb", 1536),
            (b"7.0b", 7),
            (b"0.0009765625kb", 1),
        ] {
            assert_eq!(parse_memory(text), Some(bytes), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn what_is_no_exact_size_is_refused() {
        let refused: [&[u8]; 20] = [
            b"",
            b"b",
            b"gb",
            b"-1",
            b"+1",
            b" 1",
            b"1 kb",
            b"100xb",
            b"1t",
            b"1kbb",
            b".5gb",
            b"5.gb",
            b"1.2.3k",
            b"0.5b",
            b"1.0001k",
            b"0.3kb",
            b"18446744073709551616",
            b"17179869184gb",
            b"1e3",
            b"1\0",
        ];
        for text in refused {
            assert_eq!(parse_memory(text), None, "{}", text.escape_ascii());
        }
        assert_eq!(parse_memory(&b"9".repeat(1000)), None);
        assert_eq!(parse_memory(&[b"0.".to_vec(), b"1".repeat(1000)].concat()), None);
    }

    #[test]
    fn sizes_are_written_for_files() {
        for (bytes, expected) in [
            (0, "0"),
            (1, "1"),
            (1023, "1023"),
            (1024, "1kb"),
            (1 << 20, "1mb"),
            (64 << 20, "64mb"),
            (3 << 30, "3gb"),
            ((1 << 30) + 1024, "1048577kb"),
        ] {
            let mut out = Vec::new();
            write_memory(&mut out, bytes);
            assert_eq!(String::from_utf8_lossy(&out), expected);
            assert_eq!(parse_memory(&out), Some(bytes));
        }
    }

    #[test]
    fn sizes_are_written_for_humans() {
        for (bytes, expected) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (1152, "1.12K"),
            (1408, "1.38K"),
            (1_048_575, "1024.00K"),
            (1_100_000, "1.05M"),
            (1 << 30, "1.00G"),
            (15 << 38, "3.75T"),
            (1 << 50, "1.00P"),
            ((1 << 60) - 1, "1024.00P"),
            (1 << 60, "1152921504606846976B"),
        ] {
            let mut out = Vec::new();
            write_human(&mut out, bytes);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(parse_octal(b"700"), Some(0o700));
        assert_eq!(parse_octal(b"0777"), Some(0o777));
        assert_eq!(parse_octal(b"37777777777"), Some(u32::MAX));
        for text in [&b""[..], b"8", b"-1", b"+7", b"0x7", b"0o7", b"7 ", b"40000000000"] {
            assert_eq!(parse_octal(text), None, "{}", text.escape_ascii());
        }
    }
}
