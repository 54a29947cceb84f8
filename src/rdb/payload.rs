//! DUMP payloads: one value on its own.
//!
//! *Duty:* make and read what DUMP answers and RESTORE takes. *Does not know:* keys, expiry; those are arguments of
//! the command. *Invariants:* the sum is checked before anything else is believed.
//! *Counterpart in C Redis:* `createDumpPayload`, `verifyDumpPayload`.

use std::fmt;
use std::io::Write;

use super::format::{Dialect, MAX_VERSION, VALKEY_VERSION, VERSION, kind};
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
    let body = payload.len().checked_sub(FOOTER_BYTES).ok_or(PayloadError::VersionOrChecksum)?;
    let (body, footer) = payload.split_at(body);
    let (version, stored) = footer.split_at(FOOTER_BYTES - SUM_BYTES);
    let version = u32::from(version[0]) | u32::from(version[1]) << 8;
    let computed = crc64::update(0, &payload[..payload.len() - SUM_BYTES]);
    let dialect = match version {
        VALKEY_VERSION => Dialect::Valkey,
        ..=MAX_VERSION => Dialect::Redis,
        _ => return Err(PayloadError::VersionOrChecksum),
    };
    if checksum && computed.to_le_bytes() != stored {
        return Err(PayloadError::VersionOrChecksum);
    }
    parse_body(body, dialect, limits).map_err(PayloadError::BadData)
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
