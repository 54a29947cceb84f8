//! Values and algorithms with no Redis state: time, numbers, patterns, quoting, checksums, randomness.
//!
//! *Does not know:* anything else in this crate; no clock, no I/O, no global.

pub mod crc64;
pub mod float;
mod float_text;
pub mod glob;
pub mod hash;
pub mod histogram;
pub mod ids;
pub mod longdouble;
pub mod lzf;
pub mod millis;
pub mod num;
pub mod quote;
pub mod rng;
pub mod sha1;
pub mod sha256;
pub mod units;
