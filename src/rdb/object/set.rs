//! Sets: members, an intset, or a listpack.
//!
//! *Counterpart in C Redis:* the set branches of `rdbLoadObject`.

use std::io::Read;

use super::{Form, TWICE, packed_text, texts};
use crate::base::num::MAX_DECIMAL_LEN;
use crate::ds::intset::Intset;
use crate::rdb::RdbErrorKind as Kind;
use crate::rdb::format::kind;
use crate::rdb::source::{Result, Source};
use crate::value::{Limits, Set};

pub(super) fn decode<R: Read>(source: &mut Source<R>, code: u8, limits: &Limits) -> Result<Set> {
    let mut set = Set::default();
    let insert = |member: &[u8]| match set.insert(member, limits) {
        true => Ok(()),
        false => Err(TWICE),
    };
    match code {
        kind::SET => texts(source, "Set", insert)?,
        kind::SET_LISTPACK => packed_text(source, Form::Listpack("Set"), insert)?,
        _ => {
            let mut digits = [0; MAX_DECIMAL_LEN];
            let ints = Intset::from_wire(source.text()?.bytes(&mut digits));
            match ints {
                Some(ints) => return Ok(Set::from_ints(ints, limits)),
                None => {
                    let reason = "it is damaged";
                    return source.fail(Kind::BadForm { value: "Set", form: "intset", reason });
                }
            }
        }
    }
    Ok(set)
}
