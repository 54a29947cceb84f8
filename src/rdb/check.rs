//! The check of a whole RDB file: what redis-check-rdb does.
//!
//! *Duty:* read a file to its end or to the first damage, tell what passes by and what each key is, count. *Does not know:* how a note
//! is printed, where the bytes come from. *Invariants:* types without a decoder are walked over and counted, so that
//! any intact file passes.
//! *Counterpart in C Redis:* `redis_check_rdb`.

use std::io::Read;

use super::error::RdbError;
use super::format::Doing;
use super::reader::{Checksum, Item, Reader};
use super::{Loaded, ReadOptions, Unsupported};
use crate::base::millis::Millis;
use crate::base::num;
use crate::value::ValueRef;

/// Something worth a line. It comes with the offset at which it was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    Aux { name: Vec<u8>, value: Vec<u8> },
    SelectDb(u64),
    ModuleAux { module: [u8; 9] },
    EmptyKey { key: Vec<u8> },
    Checksum(Checksum),
}

/// What is told while a file is read.
#[derive(Clone, Debug)]
pub enum Passed<'a> {
    Note(Note),
    Key(Key<'a>),
}

/// A key that has passed by.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    pub db: u64,
    pub name: &'a [u8],
    /// The type it is stored as.
    pub code: u8,
    /// The type that clients see.
    pub of: &'static str,
    pub expire: Option<Millis>,
    /// Where it begins in the file: its deadline or use, if it has such, else its type.
    pub offset: u64,
    /// How long it is there.
    pub bytes: u64,
    /// Of a string: its length. 0 for what was not looked into.
    pub elements: u64,
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
    /// Keys, fields of the head, databases, the end: all that was read.
    pub items: u64,
    /// Where the data ended, the checksum included.
    pub end: u64,
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

/// Reads `input` to its end, and tells what passes by with the offset behind it.
pub fn check<R: Read>(
    input: R,
    options: ReadOptions,
    now: Millis,
    mut tell: impl FnMut(u64, Passed<'_>),
) -> Result<Checked, Box<Failure>> {
    let mut reader = Reader::new(input, ReadOptions { unsupported: Unsupported::Skip, ..options });
    let mut checked = Checked::default();
    let mut db = 0;
    loop {
        match step(&mut reader, &mut checked, (&mut db, now), &mut tell) {
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
    (db, now): (&mut u64, Millis),
    tell: &mut impl FnMut(u64, Passed<'_>),
) -> Result<bool, RdbError> {
    let from = reader.offset();
    let item = reader.next_item()?;
    checked.items += 1;
    let passed = match item {
        Item::Entry(entry) => {
            let ((of, elements), expire) = (nature(&entry.value), entry.expire);
            told(reader, checked, Seen { db: *db, of, elements, expire, from }, now, tell);
            return Ok(true);
        }
        Item::Unsupported { expire, .. } => {
            checked.walked_over += 1;
            told(reader, checked, Seen { db: *db, of: "module", elements: 0, expire, from }, now, tell);
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
        Item::SelectDb(id) => {
            *db = id;
            Note::SelectDb(id)
        }
        Item::ModuleAux { module } => Note::ModuleAux { module },
        Item::Eof(checksum) => Note::Checksum(checksum),
    };
    let more = !matches!(passed, Note::Checksum(_));
    checked.end = reader.offset();
    tell(reader.offset(), Passed::Note(passed));
    Ok(more)
}

/// What is known of a key when its value has been let go.
struct Seen {
    db: u64,
    of: &'static str,
    elements: u64,
    expire: Option<Millis>,
    from: u64,
}

/// Counts the key that `reader` has just read, and tells of it.
fn told<R: Read>(
    reader: &Reader<R>,
    checked: &mut Checked,
    seen: Seen,
    now: Millis,
    tell: &mut impl FnMut(u64, Passed<'_>),
) {
    checked.keys += 1;
    checked.expires += u64::from(seen.expire.is_some());
    checked.already_expired += u64::from(seen.expire.is_some_and(|at| at < now));
    let (code, name) = reader.reading().expect("an entry was read");
    let key = Key {
        db: seen.db,
        name: name.expect("its value was read last"),
        code,
        of: seen.of,
        expire: seen.expire,
        offset: seen.from,
        bytes: reader.offset() - seen.from,
        elements: seen.elements,
    };
    tell(reader.offset(), Passed::Key(key));
}

/// The type that clients see, and the number of elements, of a string the length.
fn nature(value: &Loaded<'_>) -> (&'static str, u64) {
    let object = match value {
        Loaded::Int(value) => return ("string", num::format_i64(*value, &mut num::IntBuf::default()).len() as u64),
        Loaded::Bytes(bytes) => return ("string", bytes.len() as u64),
        Loaded::Owned(bytes) => return ("string", bytes.len() as u64),
        Loaded::Object(value) => (**value).as_ref(),
    };
    let elements = match object {
        ValueRef::List(list) => list.len() as u64,
        ValueRef::Set(set) => set.len() as u64,
        ValueRef::Hash(hash) => hash.len() as u64,
        ValueRef::Zset(zset) => zset.len() as u64,
        ValueRef::Stream(stream) => stream.log().len(),
    };
    (object.type_name(), elements)
}
