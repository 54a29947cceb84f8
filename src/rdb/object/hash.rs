//! Hashes: pairs of texts, a zipmap, a ziplist or a listpack; and those whose fields have deadlines, of Redis 7.4 and
//! Valkey 9.
//!
//! *Counterpart in C Redis:* the hash branches of `rdbLoadObject`.
//!
//! ```text
//! 24   8 bytes: the first deadline; length (length: ttl; text: field; text: value)...
//!      ttl is 0 for a field without a deadline, else what it is later than the first, and 1
//! 25   8 bytes: the first deadline; text: a listpack of field, value, deadline (0: none)...
//! 22   length (length: deadline, 0: none; text: field; text: value)...      before 7.4 was released
//! 23   text: a listpack of field, value, deadline (0: none)...              before 7.4 was released
//! 22   length (text: field; text: value; 8 bytes: deadline, -1: none)...    Valkey
//! ```

use std::io::Read;

use super::{Form, TWICE, element, packed_pairs, packed_text};
use crate::base::millis::Millis;
use crate::base::num::{self, MAX_DECIMAL_LEN};
use crate::rdb::RdbErrorKind as Kind;
use crate::rdb::format::kind;
use crate::rdb::source::{Result, Source};
use crate::value::{Hash, Limits};

const VALUE: &str = "Hash";

pub(super) fn decode<R: Read>(source: &mut Source<R>, code: u8, limits: &Limits) -> Result<Hash> {
    let mut hash = Hash::default();
    // What was packed stays so, however long its values: only their number is held against the limits.
    let packed = Limits { hash_max_listpack_value: usize::MAX, ..*limits };
    let limits = if code == kind::HASH_LISTPACK { &packed } else { limits };
    let mut set = |field: &[u8], value: &[u8]| match hash.set(field, value, limits) {
        true => Ok(()),
        false => Err(TWICE),
    };
    match code {
        kind::HASH => {
            let mut digits = [0; MAX_DECIMAL_LEN];
            let mut field = Vec::new();
            for _ in 0..source.count()? {
                source.text()?.store(&mut field);
                let fault = set(&field, source.text()?.bytes(&mut digits));
                element(source, VALUE, fault)?;
            }
        }
        kind::HASH_ZIPMAP => packed_pairs(source, Form::Zipmap, set)?,
        kind::HASH_ZIPLIST => packed_pairs(source, Form::Ziplist(VALUE), set)?,
        _ => packed_pairs(source, Form::Listpack(VALUE), set)?,
    }
    Ok(hash)
}

pub(super) fn decode_expiring<R: Read>(source: &mut Source<R>, code: u8, limits: &Limits) -> Result<Hash> {
    let mut hash = Hash::default();
    // A ttl of 1 means this point of time.
    let first = match code {
        kind::HASH_EXPIRING | kind::HASH_EXPIRING_LISTPACK => i64::from_le_bytes(source.array()?),
        _ => 1,
    };
    if matches!(code, kind::HASH_EXPIRING_LISTPACK | kind::HASH_EXPIRING_ABSOLUTE_LISTPACK) {
        triples(source, &mut hash, limits)?;
        return Ok(hash);
    }
    let mut digits = [0; MAX_DECIMAL_LEN];
    let mut field = Vec::new();
    for _ in 0..source.count()? {
        let ttl = source.length()?;
        source.text()?.store(&mut field);
        let deadline = match ttl {
            0 => Ok(None),
            _ => i64::try_from(ttl - 1).ok().and_then(|later| first.checked_add(later)).map(Some).ok_or(NO_TIME),
        };
        let value = source.text()?;
        let fault = deadline.and_then(|at| set_until(&mut hash, &field, value.bytes(&mut digits), at, limits));
        drop(value);
        element(source, VALUE, fault)?;
    }
    Ok(hash)
}

pub(super) fn decode_valkey<R: Read>(source: &mut Source<R>, limits: &Limits) -> Result<Hash> {
    let mut hash = Hash::default();
    let (mut field, mut value) = (Vec::new(), Vec::new());
    for _ in 0..source.count()? {
        source.text()?.store(&mut field);
        source.text()?.store(&mut value);
        let deadline = match i64::from_le_bytes(source.array()?) {
            -1 => Ok(None),
            at @ 0.. => Ok(Some(at)),
            _ => Err(NO_TIME),
        };
        let fault = deadline.and_then(|at| set_until(&mut hash, &field, &value, at, limits));
        fault.or_else(|reason| source.fail(Kind::BadValue(reason)))?;
    }
    Ok(hash)
}

const NO_TIME: &str = "a deadline that is no time";

fn triples<R: Read>(source: &mut Source<R>, hash: &mut Hash, limits: &Limits) -> Result<()> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    packed_text(source, Form::Listpack(VALUE), |element| {
        if parts.len() < 2 {
            parts.push(element.to_vec());
            return Ok(());
        }
        let at = num::parse_i64(element).filter(|&at| at >= 0).ok_or(NO_TIME)?;
        let result = set_until(hash, &parts[0], &parts[1], (at > 0).then_some(at), limits);
        parts.clear();
        result
    })?;
    if parts.is_empty() {
        return Ok(());
    }
    source.fail(Kind::BadValue("the last field of a hash has no deadline"))
}

fn set_until(
    hash: &mut Hash,
    field: &[u8],
    value: &[u8],
    deadline: Option<i64>,
    limits: &Limits,
) -> std::result::Result<(), &'static str> {
    if !hash.set(field, value, limits) {
        return Err(TWICE);
    }
    if let Some(at) = deadline {
        hash.set_deadline(field, Some(Millis(at)), limits.seed);
    }
    Ok(())
}
