//! Sorted sets: members with printed or binary scores, a ziplist or a listpack.
//!
//! *Invariant:* no score is "not a number". *Counterpart in C Redis:* the sorted set branches of `rdbLoadObject`.

use std::io::Read;

use super::{Form, TWICE, element, packed_pairs};
use crate::base::float;
use crate::rdb::RdbErrorKind as Kind;
use crate::rdb::format::kind;
use crate::rdb::packed::Checked;
use crate::rdb::source::{Result, Source};
use crate::value::{Limits, Zset};

const VALUE: &str = "Zset";
const NO_NUMBER: &str = "a score that is no number";

pub(super) fn decode<R: Read>(source: &mut Source<R>, code: u8, limits: &Limits) -> Result<Zset> {
    let mut zset = Zset::new();
    match code {
        kind::ZSET | kind::ZSET_2 => {
            // As in the reference, which shows in scores of -0: in the small form they are 0.
            zset = Zset::ranked(0, limits);
            let mut member = Vec::new();
            for _ in 0..source.count()? {
                source.text()?.store(&mut member);
                let score =
                    if code == kind::ZSET_2 { f64::from_le_bytes(source.array()?) } else { printed_score(source)? };
                element(source, VALUE, insert(&mut zset, &member, score, limits))?;
            }
            zset.pack_if_small(limits);
        }
        _ => {
            let form = if code == kind::ZSET_ZIPLIST { Form::Ziplist(VALUE) } else { Form::Listpack(VALUE) };
            // What was packed stays so, however long its members: only their number is held against the limits.
            let limits = &Limits { zset_max_listpack_value: usize::MAX, ..*limits };
            packed_pairs(source, form, |member, score| {
                let score = float::parse_f64(score).ok_or(NO_NUMBER)?;
                insert(&mut zset, member, score, limits)
            })?;
        }
    }
    Ok(zset)
}

fn insert(zset: &mut Zset, member: &[u8], score: f64, limits: &Limits) -> Checked<()> {
    if score.is_nan() {
        return Err(NO_NUMBER);
    }
    match zset.insert(member, score, limits) {
        None => Ok(()),
        Some(_) => Err(TWICE),
    }
}

/// A byte of length and digits; 253 is "not a number", 254 and 255 are the infinities.
fn printed_score<R: Read>(source: &mut Source<R>) -> Result<f64> {
    let score = match source.byte()? {
        253 => None,
        254 => Some(f64::INFINITY),
        255 => Some(f64::NEG_INFINITY),
        len => float::parse_f64(source.slice(usize::from(len))?),
    };
    match score {
        Some(score) => Ok(score),
        None => source.fail(Kind::BadElements { value: VALUE, form: "value", reason: NO_NUMBER }),
    }
}
