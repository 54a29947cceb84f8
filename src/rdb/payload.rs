//! DUMP payloads: one value on its own, or all function libraries.
//!
//! *Duty:* make and read what DUMP and FUNCTION DUMP answer, and RESTORE and FUNCTION RESTORE take. *Does not know:* keys, expiry; those are arguments of
//! the command. *Invariants:* the sum is checked before anything else is believed.
//! *Counterpart in C Redis:* `createDumpPayload`, `verifyDumpPayload`, `functionDumpCommand`.

use std::fmt;
use std::io::Write;

use super::format::{Dialect, MAX_VERSION, VALKEY_VERSION, VERSION, kind, op};
use super::object::{self, Decoded};
use super::output::Output;
use super::source::Source;
use super::{RdbError, RdbErrorKind, ValueOwned, View};
use crate::base::{crc64, num};
use crate::value::Limits;

const FOOTER_BYTES: usize = 10;
const SUM_BYTES: usize = 8;

/// Buffers of a payload are small: it is in memory before and after.
const BUFFER_BYTES: usize = 256;

/// Why a payload was refused, as RESTORE tells it apart.
#[derive(Debug)]
pub enum PayloadError {
    /// Too short, too new, or damaged on its way.
    VersionOrChecksum,
    /// Undamaged, but no value.
    BadData(RdbError),
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PayloadError::VersionOrChecksum => f.write_str("DUMP payload version or checksum are wrong"),
            PayloadError::BadData(error) => write!(f, "Bad data format: {error}"),
        }
    }
}

impl std::error::Error for PayloadError {}

/// What DUMP answers for `value`.
pub fn dump_payload(value: View<'_>, compress: bool) -> Vec<u8> {
    const NEVER_FAILS: &str = "a Vec takes every byte";
    let mut out = Output::new(Vec::new(), BUFFER_BYTES, true, compress);
    out.kind(value).expect(NEVER_FAILS);
    out.value(value).expect(NEVER_FAILS);
    let version = u16::try_from(VERSION).expect("a small number");
    out.put(&version.to_le_bytes()).expect(NEVER_FAILS);
    let (mut payload, _) = out.finish().expect(NEVER_FAILS);
    payload.flush().expect(NEVER_FAILS);
    payload
}

/// The value that RESTORE makes of `payload`; `checksum`: whether its checksum counts.
pub fn parse_payload(payload: &[u8], limits: &Limits, checksum: bool) -> Result<ValueOwned, PayloadError> {
    let (body, dialect) = checked_body(payload, checksum).ok_or(PayloadError::VersionOrChecksum)?;
    parse_body(body, dialect, limits).map_err(PayloadError::BadData)
}

/// What stands before version and sum, and whose version that is, if both are right.
fn checked_body(payload: &[u8], checksum: bool) -> Option<(&[u8], Dialect)> {
    let body = payload.len().checked_sub(FOOTER_BYTES)?;
    let (body, footer) = payload.split_at(body);
    let (version, stored) = footer.split_at(FOOTER_BYTES - SUM_BYTES);
    let version = u32::from(version[0]) | u32::from(version[1]) << 8;
    let computed = crc64::update(0, &payload[..payload.len() - SUM_BYTES]);
    let dialect = match version {
        VALKEY_VERSION => Dialect::Valkey,
        ..=MAX_VERSION => Dialect::Redis,
        _ => return None,
    };
    (!checksum || computed.to_le_bytes() == stored).then_some((body, dialect))
}

fn parse_body(body: &[u8], dialect: Dialect, limits: &Limits) -> Result<ValueOwned, RdbError> {
    let mut source = Source::new(body, body.len().min(super::source::BUFFER_BYTES), false, Some(body.len() as u64));
    let code = source.byte()?;
    let value = if code == kind::STRING {
        let mut bytes = Vec::new();
        source.text()?.store(&mut bytes);
        num::parse_i64(&bytes).map_or(ValueOwned::Bytes(bytes), ValueOwned::Int)
    } else {
        match object::decode(&mut source, code, dialect, limits)? {
            Decoded::Value(value) => ValueOwned::Object(Box::new(value)),
            Decoded::Empty => return source.fail(RdbErrorKind::EmptyValue),
            Decoded::Unsupported => return source.fail(RdbErrorKind::UnsupportedType { code, key: [].into() }),
        }
    };
    match source.left() {
        Some(left @ 1..) => source.fail(RdbErrorKind::TrailingBytes(left)),
        _ => Ok(value),
    }
}

/// Why a payload of FUNCTION RESTORE was refused.
#[derive(Debug)]
pub enum FunctionsError {
    /// Too short, too new, or damaged on its way.
    VersionOrChecksum,
    /// Undamaged, but something else than a library is in it.
    NoFunction,
    /// A library as release candidates of 7.0 wrote it.
    PreRelease,
    /// Undamaged, but it does not hold what it says.
    BadData(RdbError),
}

/// What FUNCTION DUMP answers for these libraries.
pub fn dump_functions<'a>(sources: impl Iterator<Item = &'a [u8]>, compress: bool) -> Vec<u8> {
    const NEVER_FAILS: &str = "a Vec takes every byte";
    let mut out = Output::new(Vec::new(), BUFFER_BYTES, true, compress);
    for source in sources {
        out.byte(op::FUNCTION).expect(NEVER_FAILS);
        out.text(source).expect(NEVER_FAILS);
    }
    let version = u16::try_from(VERSION).expect("a small number");
    out.put(&version.to_le_bytes()).expect(NEVER_FAILS);
    out.finish().expect(NEVER_FAILS).0
}

/// The sources of the libraries in a payload.
pub fn parse_functions(payload: &[u8]) -> Result<Vec<Vec<u8>>, FunctionsError> {
    let (body, _) = checked_body(payload, true).ok_or(FunctionsError::VersionOrChecksum)?;
    let mut source = Source::new(body, body.len().min(super::source::BUFFER_BYTES), false, Some(body.len() as u64));
    let mut sources = Vec::new();
    while source.left() != Some(0) {
        match source.byte().map_err(FunctionsError::BadData)? {
            op::FUNCTION => {
                let mut code = Vec::new();
                source.text().map_err(FunctionsError::BadData)?.store(&mut code);
                sources.push(code);
            }
            op::FUNCTION_IN_PARTS => return Err(FunctionsError::PreRelease),
            _ => return Err(FunctionsError::NoFunction),
        }
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_go_through_a_payload() {
        let sources = [&b"#!lua name=a\n"[..], &b"x".repeat(5000)];
        for compress in [false, true] {
            let payload = dump_functions(sources.into_iter(), compress);
            assert_eq!(parse_functions(&payload).unwrap(), sources);
            for cut in 0..payload.len() {
                assert!(parse_functions(&payload[..cut]).is_err(), "{cut}");
            }
        }
        assert_eq!(dump_functions(std::iter::empty(), true), b"\n\0\x5d\x9b\\@\x0f\x7f\xa2\xda");
        let value = dump_payload(View::Str(b"v"), true);
        assert!(matches!(parse_functions(&value), Err(FunctionsError::NoFunction)));
    }
}
