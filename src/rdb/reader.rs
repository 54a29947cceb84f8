//! [`Reader`]: a snapshot, item by item.
//!
//! *Duty:* the frame of a file, and its entries with what stands before them. *Does not know:* databases, the time,
//! which keys are there already.
//! *Invariants:* an item borrows the reader, so nothing is allocated for a key or a short string. After an error or
//! [`Item::Eof`] nothing more is read.
//! *Counterpart in C Redis:* `rdbLoadRioWithLoadingCtx`.
//!
//! What a loader has to do that C's does inside: insert the entry, and on a key that is there already fail with
//! [`Reader::duplicate_key`]; drop what has expired; count and log [`Item::EmptyKey`]; log the aux fields.

use std::io::Read;

use super::error::{RdbError, RdbErrorKind as Kind};
use super::format::{Dialect, Doing, FIRST_WITH_CHECKSUM, MAX_VERSION, VALKEY_VERSION, kind, module, op, type_name};
use super::object::{self, Decoded};
use super::skip;
use super::source::{BUFFER_BYTES, Result, Source, Text};
use super::{Loaded, OWNED_FROM, ReadOptions, Trailing, Unsupported};
use crate::base::millis::Millis;
use crate::base::num;

/// The longest text that may spell a 64-bit integer.
const MAX_INT_TEXT: usize = num::MAX_DECIMAL_LEN;

/// What a database may announce when nothing tells how much can come.
const MAX_ANNOUNCED: u64 = 1 << 20;

pub struct Reader<R> {
    source: Source<R>,
    options: ReadOptions,
    /// None before the header was read.
    version: Option<u32>,
    doing: Doing,
    /// The type of the entry that is being read.
    code: Option<u8>,
    key: Vec<u8>,
    /// Bytes that an item lends out and that do not lie in the source's buffer.
    text: Vec<u8>,
    before: Attributes,
    ended: Option<Checksum>,
}

/// What stands before an entry.
#[derive(Clone, Copy, Default)]
struct Attributes {
    expire: Option<Millis>,
    idle: Option<u64>,
    frequency: Option<u8>,
}

#[derive(Debug)]
pub enum Item<'a> {
    Aux {
        name: &'a [u8],
        value: &'a [u8],
    },
    SelectDb(u64),
    /// A hint, cut to what can still come: each key takes some bytes.
    ResizeDb {
        keys: u64,
        expires: u64,
    },
    Entry(Entry<'a>),
    /// A collection without elements. Old versions could leave such keys behind; they are not loaded.
    EmptyKey {
        key: &'a [u8],
    },
    /// An entry that was walked over, as [`Unsupported::Skip`] asks.
    Unsupported {
        key: &'a [u8],
        code: u8,
        expire: Option<Millis>,
    },
    /// The source of a function library.
    Function(&'a [u8]),
    /// Data of a module, walked over. A server without that module cannot load the file as C understands it.
    ModuleAux {
        module: [u8; 9],
    },
    Eof(Checksum),
}

#[derive(Debug)]
pub struct Entry<'a> {
    pub key: &'a [u8],
    pub value: Loaded<'a>,
    pub expire: Option<Millis>,
    /// Seconds since the last use, from a file written under an LRU policy.
    pub idle: Option<u64>,
    /// The logarithmic counter, from a file written under an LFU policy.
    pub frequency: Option<u8>,
}

/// What is known about the bytes of a file that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    Verified,
    /// The file was written with `rdbchecksum no`.
    NotWritten,
    /// The options said not to compare.
    NotCompared,
    /// The format had none before version 5.
    NotInThisVersion,
}

impl<R: Read> Reader<R> {
    pub fn new(input: R, options: ReadOptions) -> Reader<R> {
        let capacity = options.limit.map_or(BUFFER_BYTES, |limit| limit.min(BUFFER_BYTES as u64) as usize);
        Reader {
            source: Source::new(input, capacity, options.checksum, options.limit),
            options,
            version: None,
            doing: Doing::Start,
            code: None,
            key: Vec::new(),
            text: Vec::new(),
            before: Attributes::default(),
            ended: None,
        }
    }

    /// Bytes consumed so far.
    pub fn offset(&self) -> u64 {
        self.source.offset()
    }

    /// What was being done when the last call ended: for the report of an error.
    pub fn doing(&self) -> Doing {
        self.doing
    }

    /// The entry that was being read when the last call ended: its type, and its key once that is known.
    pub fn reading(&self) -> Option<(u8, Option<&[u8]>)> {
        let key = (self.doing == Doing::ReadValue).then_some(&self.key[..]);
        self.code.map(|code| (code, key))
    }

    /// An error for a key that the loader knows already.
    pub fn duplicate_key(&self, db: u64, key: &[u8]) -> RdbError {
        self.source.error(Kind::DuplicateKey { db, key: key.into() })
    }

    /// The input, and what was read from it beyond the file's end.
    pub fn into_parts(self) -> (R, Vec<u8>) {
        self.source.into_parts()
    }

    /// The format version, [`VALKEY_VERSION`] for valkey's own. Read once, by [`next_item`](Reader::next_item) at the
    /// latest.
    pub fn header(&mut self) -> Result<u32> {
        if let Some(version) = self.version {
            return Ok(version);
        }
        let magic: [u8; 9] = self.source.array()?;
        let version = match &magic {
            [b'V', b'A', b'L', b'K', b'E', b'Y', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
                number(digits)
            }
            [b'R', b'E', b'D', b'I', b'S', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => number(digits),
            _ => return self.source.fail(Kind::BadSignature(magic)),
        };
        let valkey = magic[0] == b'V';
        if valkey && version != VALKEY_VERSION || !valkey && !(1..=MAX_VERSION).contains(&version) {
            return self.source.fail(Kind::UnsupportedVersion(version));
        }
        self.version = Some(version);
        Ok(version)
    }

    /// The next item. After the end, the end again.
    pub fn next_item(&mut self) -> Result<Item<'_>> {
        if let Some(checksum) = self.ended {
            return Ok(Item::Eof(checksum));
        }
        let version = self.header()?;
        self.code = None;
        loop {
            self.doing = Doing::ReadType;
            match self.source.byte()? {
                op::EXPIRE_MS => {
                    self.doing = Doing::ReadExpire;
                    self.before.expire = Some(Millis(i64::from_le_bytes(self.source.array()?)));
                }
                op::EXPIRE_SECS => {
                    self.doing = Doing::ReadExpire;
                    let seconds = i32::from_le_bytes(self.source.array()?);
                    self.before.expire = Some(Millis(i64::from(seconds) * 1000));
                }
                op::IDLE => self.before.idle = Some(self.source.length()?),
                op::FREQ => self.before.frequency = Some(self.source.byte()?),
                op::SLOT_INFO => {
                    for _ in 0..3 {
                        self.source.length()?;
                    }
                }
                op::SELECT_DB => {
                    self.doing = Doing::ReadLength;
                    return self.source.length().map(Item::SelectDb);
                }
                op::RESIZE_DB => return self.resize_db(),
                op::AUX => return self.aux(),
                op::MODULE_AUX => return self.module_aux(),
                op::FUNCTION => {
                    self.doing = Doing::ReadFunction;
                    self.source.text()?.store(&mut self.text);
                    return Ok(Item::Function(&self.text));
                }
                op::FUNCTION_IN_PARTS => {
                    self.doing = Doing::ReadFunction;
                    return self.source.fail(Kind::PreReleaseFunction);
                }
                op::EOF => return self.end(version).map(Item::Eof),
                code => return self.entry(code),
            }
        }
    }

    #[inline]
    fn entry(&mut self, code: u8) -> Result<Item<'_>> {
        if code != kind::STRING {
            return self.object(code);
        }
        self.read_key(code)?;
        let value = match self.source.text()? {
            Text::Int(value) => Loaded::Int(value),
            Text::Slice(bytes) => string(bytes),
            Text::Buffer(bytes) if bytes.len() > OWNED_FROM => Loaded::Owned(bytes),
            Text::Buffer(bytes) => {
                self.text = bytes;
                string(&self.text)
            }
        };
        let Attributes { expire, idle, frequency } = std::mem::take(&mut self.before);
        Ok(Item::Entry(Entry { key: &self.key, value, expire, idle, frequency }))
    }

    #[inline]
    fn read_key(&mut self, code: u8) -> Result<()> {
        self.code = Some(code);
        self.doing = Doing::ReadKey;
        self.source.text()?.store(&mut self.key);
        if u32::try_from(self.key.len()).is_err() {
            return self.source.fail(Kind::LengthOutOfRange(self.key.len() as u64));
        }
        self.doing = Doing::ReadValue;
        Ok(())
    }

    fn object(&mut self, code: u8) -> Result<Item<'_>> {
        if type_name(code).is_none() {
            return self.source.fail(Kind::UnknownOpcode(code));
        }
        self.read_key(code)?;
        let dialect = if self.version == Some(VALKEY_VERSION) { Dialect::Valkey } else { Dialect::Redis };
        let decoded = object::decode(&mut self.source, code, dialect, &self.options.limits)?;
        let Attributes { expire, idle, frequency } = std::mem::take(&mut self.before);
        let key = &self.key[..];
        match decoded {
            Decoded::Value(value) => {
                let value = Loaded::Object(Box::new(value));
                Ok(Item::Entry(Entry { key, value, expire, idle, frequency }))
            }
            Decoded::Empty => Ok(Item::EmptyKey { key }),
            Decoded::Unsupported => {
                let skip = self.options.unsupported == Unsupported::Skip;
                if skip && skip::skip_value(&mut self.source, code)? {
                    Ok(Item::Unsupported { key, code, expire })
                } else {
                    self.source.fail(Kind::UnsupportedType { code, key: key.into() })
                }
            }
        }
    }

    fn resize_db(&mut self) -> Result<Item<'_>> {
        self.doing = Doing::ReadLength;
        let (keys, expires) = (self.source.length()?, self.source.length()?);
        // Type, key and value take three bytes at least, an expiry nine more.
        let left = self.source.left().unwrap_or(3 * MAX_ANNOUNCED);
        let keys = keys.min(left / 3);
        Ok(Item::ResizeDb { keys, expires: expires.min(keys).min(left / 12) })
    }

    fn aux(&mut self) -> Result<Item<'_>> {
        self.doing = Doing::ReadAux;
        self.source.text()?.store(&mut self.key);
        self.source.text()?.store(&mut self.text);
        Ok(Item::Aux { name: &self.key, value: &self.text })
    }

    fn module_aux(&mut self) -> Result<Item<'_>> {
        self.doing = Doing::ReadModuleAux;
        let id = self.source.length()?;
        if self.source.length()? != module::UINT {
            return self.source.fail(Kind::BadModuleData("it does not say when it belongs"));
        }
        let _when = self.source.length()?;
        skip::skip_module_data(&mut self.source)?;
        Ok(Item::ModuleAux { module: skip::module_name(id) })
    }

    fn end(&mut self, version: u32) -> Result<Checksum> {
        self.doing = Doing::CheckSum;
        let checksum = if version < FIRST_WITH_CHECKSUM {
            Checksum::NotInThisVersion
        } else {
            let computed = self.source.checksum();
            match u64::from_le_bytes(self.source.array()?) {
                _ if !self.options.checksum => Checksum::NotCompared,
                0 => Checksum::NotWritten,
                stored if stored == computed => Checksum::Verified,
                stored => return self.source.fail(Kind::WrongChecksum { stored, computed }),
            }
        };
        if let (Trailing::Refuse, Some(left @ 1..)) = (self.options.trailing, self.source.left()) {
            return self.source.fail(Kind::TrailingBytes(left));
        }
        self.ended = Some(checksum);
        Ok(checksum)
    }
}

/// What decimal digits spell.
fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
}

/// A string as the keyspace holds it.
#[inline]
fn string(bytes: &[u8]) -> Loaded<'_> {
    if bytes.len() <= MAX_INT_TEXT
        && let Some(value) = num::parse_i64(bytes)
    {
        return Loaded::Int(value);
    }
    Loaded::Bytes(bytes)
}
