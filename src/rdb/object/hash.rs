//! Hashes: pairs of texts, a zipmap, a ziplist or a listpack.
//!
//! *Counterpart in C Redis:* the hash branches of `rdbLoadObject`.

use std::io::Read;

use super::{Form, packed_pairs};
use crate::base::num::MAX_DECIMAL_LEN;
use crate::rdb::RdbErrorKind as Kind;
use crate::rdb::format::kind;
use crate::rdb::source::{Result, Source};
use crate::value::{Hash, Limits};

const TWICE: &str = "a hash has a field twice";

pub(super) fn decode<R: Read>(source: &mut Source<R>, code: u8, limits: &Limits) -> Result<Hash> {
    let mut hash = Hash::default();
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
                fault.or_else(|reason| source.fail(Kind::BadPacked(reason)))?;
            }
        }
        kind::HASH_ZIPMAP => packed_pairs(source, Form::Zipmap, set)?,
        kind::HASH_ZIPLIST => packed_pairs(source, Form::Ziplist, set)?,
        _ => packed_pairs(source, Form::Listpack, set)?,
    }
    Ok(hash)
}
