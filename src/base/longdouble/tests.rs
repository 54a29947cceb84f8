//! Long doubles against what Redis 7.0.15 on x86-64 replied, and against themselves.
//!
//! The table of sums was taken from a running server; the last bits at the ends of the range follow from the format
//! of the x87. Larger random comparisons with the C library were made when this was written, not on every run.

use super::*;
use crate::base::rng::Rng;

fn sum(value: &str, increment: &str) -> Option<String> {
    let sum = LongDouble::parse(value.as_bytes())?.add(LongDouble::parse(increment.as_bytes())?);
    let mut out = Vec::new();
    sum.write_human(&mut out);
    Some(String::from_utf8(out).unwrap())
}

/// `SET k <value>`, `INCRBYFLOAT k <increment>` on 7.0.15 for x86-64; the last eight pairs were drawn at random.
#[test]
fn sums_are_those_of_redis() {
    for (value, increment, reply) in [
        ("0", "0", "0"),
        ("3.0", "1.1", "4.1"),
        ("0.1", "0.2", "0.3"),
        ("10.50", "0.1", "10.6"),
        ("-0", "-0", "0"),
        ("5.0e3", "2.0e2", "5200"),
        ("1", "-1.00000000000000001", "-0.00000000000000001"),
        ("0.00000000000000001", "0", "0.00000000000000001"),
        ("0.000000000000000005", "0", "0"),
        ("0.0000000000000000051", "0", "0.00000000000000001"),
        ("-0.000000000000000001", "0", "0"),
        ("0.3", "-0.1", "0.2"),
        ("1e18", "0.1", "1000000000000000000.125"),
        ("9223372036854775807", "1", "9223372036854775808"),
        ("-9223372036854775808", "-0.5", "-9223372036854775808"),
        ("18446744073709551615", "1", "18446744073709551616"),
        ("18446744073709551615", "0.5", "18446744073709551616"),
        ("1e20", "0.3", "100000000000000000000"),
        ("1e30", "1", "1000000000000000000024696061952"),
        ("123456789.123456789", "987654321.987654321", "1111111111.11111110995989293"),
        ("99999999.99999999999", "0.00000000001", "100000000"),
        ("0.99999999999999999", "0", "0.99999999999999999"),
        ("0.999999999999999999", "0", "1"),
        ("9.9999999999999999999", "0", "10"),
        ("0x1p-3", "0x.8", "0.625"),
        ("1e-4940", "1e-4950", "0"),
        ("3.3", "-3.3", "0"),
        (
            "1e100",
            "-1e83",
            "9999999999999999900069630053837443963959880554755505260202681531754631105302808864172420249029705728",
        ),
        ("2.5e-17", "0", "0.00000000000000002"),
        ("3.5e-17", "0", "0.00000000000000004"),
        ("12345678901234567.89", "0.01", "12345678901234567.8994140625"),
        ("+1.", "+.5", "1.5"),
        ("-11816.348968149567043", "-866969.808641", "-878786.15760914956706529"),
        ("0.599910334094919916e38", "4.199068645142128531e-17", "59991033409491991599701756698630815744"),
        ("3.1069306604301961422e-27", "4.190022513785634599e9", "4190022513.78563459892757237"),
        ("5.973975665436207818e47", "6.286931657523867593e-8", "597397566543620781783603684614161263844116135936"),
        ("-64808248454.5538556345519214582", "9.1017242524386117608e9", "-55706524202.11524387449026108"),
        ("-10383627176268797.11624373874926650", "-16374959301.5", "-10383643551228098.6162109375"),
        ("-74660.5154", "-30569146116694292054", "-30569146116694366714"),
        ("1825498168375480.26474484541942248", "6.678804075213988542e11", "1826166048783001.66357421875"),
    ] {
        assert_eq!(sum(value, increment).as_deref(), Some(reply), "{value} + {increment}");
        assert_eq!(sum(increment, value).as_deref(), Some(reply), "{increment} + {value}");
    }
}

#[test]
fn large_sums_are_printed_in_full() {
    let max = f64::MAX.to_string();
    let doubled = sum(&max, &max).unwrap();
    assert_eq!(doubled.len(), 309);
    assert!(doubled.starts_with("35953862697246313999") && doubled.ends_with("604933726679072768"));
    let largest = sum("0x1.fffffffffffffffep16383", "0").unwrap();
    assert_eq!(largest.len(), 4933);
    assert!(largest.starts_with("118973149535723176502126385303097020516906332229462420044032373389"));
    assert_eq!(sum(&largest, "0"), Some(largest.clone()));
    assert_eq!(sum(&format!("-{largest}"), &largest).as_deref(), Some("0"));
}

#[test]
fn what_redis_refuses_is_no_number() {
    for text in
        ["", " 1", "1 ", "1\0", "nan", "-nan(1)", "1e4933", "-1e4933", "1e-4952", "0x1p16384", "0x1p-16446", "1e", "0x"]
    {
        assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text}");
    }
    for text in ["1e999999999999999999", "1e-999999999999999999"] {
        assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text}");
    }
    assert!(LongDouble::parse(&[b'1'; 4932]).is_some());
    assert!(LongDouble::parse(&[b'0'; MAX_TEXT_LEN]).is_some());
    assert!(LongDouble::parse(&[b'0'; MAX_TEXT_LEN + 1]).is_none());
}

#[test]
fn infinities_are_numbers_until_they_meet() {
    let number = |text: &str| LongDouble::parse(text.as_bytes()).unwrap();
    assert!(number("1e4932").is_finite());
    assert!(!number("inf").is_finite());
    assert!(!number("1e4932").add(number("1e4932")).is_finite());
    assert!(!number("inf").add(number("-inf")).is_finite());
    assert_eq!(sum("inf", "1").as_deref(), Some("inf"));
    assert_eq!(sum("1", "-Infinity").as_deref(), Some("-inf"));
    assert_eq!(sum("-inf", "-inf").as_deref(), Some("-inf"));
    assert_eq!(sum("inf", "-inf").as_deref(), Some("nan"));
}

#[test]
fn the_ends_of_the_range_round_as_the_hardware_does() {
    let finite = |text: &str| LongDouble::parse(text.as_bytes()).map(|v| v.magnitude);
    let smallest = Some(Magnitude::Finite { mantissa: 1, exponent: -16445 });
    assert_eq!(finite("0x1p-16445"), smallest);
    assert_eq!(finite("3.6451995318824746025e-4951"), smallest);
    assert_eq!(finite("0x1.8p-16446"), smallest);
    assert_eq!(finite("1.9e-4951"), smallest);
    assert_eq!(finite("1.8e-4951"), None);
    assert_eq!(finite("0x1.ffffffffffffffffp16383"), None);
    assert_eq!(finite("0x1.fffffffffffffffe8p0"), finite("0x1.fffffffffffffffep0"));
    assert_eq!(finite("0x1.ffffffffffffffffp0"), finite("2"));
    assert_eq!(finite("0e99999"), Some(ZERO));
}

#[test]
fn the_short_way_and_the_long_way_agree() {
    let mut rng = Rng::new(8);
    for _ in 0..5000 {
        let digits = (rng.next_u64() >> rng.below(60)).to_string();
        let point = rng.index(digits.len() + 1);
        let (whole, fraction) = digits.split_at(point);
        let exponent = rng.below(20) as i64 - 10;
        let short = from_decimal(whole.as_bytes(), fraction.as_bytes(), exponent);
        let decimals = fraction.len() as i64 - exponent;
        let long = match u32::try_from(decimals) {
            Ok(fives) => Big::from_digits(digits.as_bytes()).divided_by(Big::from(1).times_power_of_five(fives)),
            Err(_) => {
                Big::from_digits(digits.as_bytes()).times_power_of_five(decimals.unsigned_abs() as u32).top_bits()
            }
        };
        if digits.bytes().any(|b| b != b'0') {
            assert_eq!(short, in_range(long.0, long.1 - decimals), "{whole}.{fraction}e{exponent}");
        }
    }
}

#[test]
fn doubles_and_integers_convert_exactly() {
    for value in [0.0, -0.0, 1.5, -3.1, f64::MAX, f64::MIN_POSITIVE, f64::from_bits(1), 1e-310] {
        let expected = LongDouble::parse(format!("{value:.1100}").as_bytes()).unwrap();
        assert_eq!(LongDouble::from_f64(value), expected, "{value:e}");
    }
    assert!(!LongDouble::from_f64(f64::NAN).is_finite());
    assert_eq!(LongDouble::from_f64(f64::NEG_INFINITY), LongDouble::parse(b"-inf").unwrap());
    for value in [0, 1, -1, i64::MAX, i64::MIN, 1 << 40] {
        assert_eq!(LongDouble::from_i64(value), LongDouble::parse(value.to_string().as_bytes()).unwrap());
    }
}
