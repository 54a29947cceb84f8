//! The check of a whole RDB file: what redis-check-rdb does.
//!
//! *Duty:* read a file to its end or to the first damage, tell what passes by, count keys. *Does not know:* how a note
//! is printed, where the bytes come from. *Invariants:* types without a decoder are walked over and counted, so that
//! any intact file passes.
//! *Counterpart in C Redis:* `redis_check_rdb`.

use std::io::Read;

use super::error::RdbError;
use super::format::Doing;
use super::reader::{Checksum, Item, Reader};
use super::{ReadOptions, Unsupported};
use crate::base::millis::Millis;

/// Something worth a line. It comes with the offset at which it was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    Aux { name: Vec<u8>, value: Vec<u8> },
    SelectDb(u64),
    ModuleAux { module: [u8; 9] },
    EmptyKey { key: Vec<u8> },
    Checksum(Checksum),
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    pub keys: u64,
    pub expires: u64,
    pub already_expired: u64,
    pub empty: u64,
    /// Keys of types that were walked over without a look inside.
    pub walked_over: u64,
    pub functions: u64,
}

/// Where and why a check ended early.
#[derive(Debug)]
pub struct Failure {
    pub error: RdbError,
    pub doing: Doing,
    /// The type of the entry that is damaged.
    pub code: Option<u8>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// What was counted before.
    pub checked: Checked,
}

/// Reads `input` to its end, and hands `note` what passes by with the offset behind it.
pub fn check<R: Read>(
    input: R,
    options: ReadOptions,
    now: Millis,
    mut note: impl FnMut(u64, Note),
) -> Result<Checked, Box<Failure>> {
    let mut reader = Reader::new(input, ReadOptions { unsupported: Unsupported::Skip, ..options });
    let mut checked = Checked::default();
    loop {
        match step(&mut reader, &mut checked, now, &mut note) {
            Ok(true) => {}
            Ok(false) => return Ok(checked),
            Err(error) => {
                let (code, key) = reader.reading().map_or((None, None), |(code, key)| (Some(code), key));
                let (doing, key) = (reader.doing(), key.map(<[u8]>::to_vec));
                return Err(Box::new(Failure { error, doing, code, key, checked }));
            }
        }
    }
}

/// One item; `false` at the end.
fn step<R: Read>(
    reader: &mut Reader<R>,
    checked: &mut Checked,
    now: Millis,
    note: &mut impl FnMut(u64, Note),
) -> Result<bool, RdbError> {
    let mut count = |expire: Option<Millis>, walked_over: bool| {
        checked.keys += 1;
        checked.expires += u64::from(expire.is_some());
        checked.already_expired += u64::from(expire.is_some_and(|at| at < now));
        checked.walked_over += u64::from(walked_over);
    };
    let passed = match reader.next_item()? {
        Item::Entry(entry) => {
            count(entry.expire, false);
            return Ok(true);
        }
        Item::Unsupported { expire, .. } => {
            count(expire, true);
            return Ok(true);
        }
        Item::ResizeDb { .. } => return Ok(true),
        Item::Function(_) => {
            checked.functions += 1;
            return Ok(true);
        }
        Item::EmptyKey { key } => {
            checked.empty += 1;
            Note::EmptyKey { key: key.to_vec() }
        }
        Item::Aux { name, value } => Note::Aux { name: name.to_vec(), value: value.to_vec() },
        Item::SelectDb(id) => Note::SelectDb(id),
        Item::ModuleAux { module } => Note::ModuleAux { module },
        Item::Eof(checksum) => Note::Checksum(checksum),
    };
    let more = !matches!(passed, Note::Checksum(_));
    note(reader.offset(), passed);
    Ok(more)
}
