//! The RDB format: snapshot files, the bodies of full syncs and AOF bases, and DUMP payloads.
//!
//! *Duty:* turn keys and values into bytes and back, over any `impl Write` and `impl Read`.
//! *Does not know:* files, clocks, databases. Which keys are written, what an expired key means and whether a key is
//! there twice is decided by whoever drives the codec.
//! *Invariants:* whatever bytes come in, the answer is a value or an [`RdbError`] that says where and what; nothing is
//! reserved for a length before it is known that so many bytes can still come. What [`Writer`] writes, 7.0.15 reads.
//! *Counterpart in C Redis:* `rdb.c`, `redis-check-rdb.c`, the payload half of `cluster.c`.
//!
//! ```text
//! file      "REDIS" "0010"  item...  FF  checksum (8 bytes, little endian; version 5 and newer)
//!
//! item      FA text text                          an aux field: name, value
//!           FE length                             the entries that follow belong to this database
//!           FB length length                      how many keys it has, how many of them expire
//!           F5 text                               source of a function library
//!           F7 length...                          data of a module
//!           [FC i64 | FD i32]                     the next entry expires: milliseconds or seconds since 1970
//!           [F8 length | F9 byte]                 the next entry's idle seconds or use frequency
//!           type text value                       an entry: its type is a byte below 0x20, its key a text
//!
//! value     0  text                               string
//!           1  length text...                     list, element by element
//!           10 text                               list, in one ziplist
//!           14 length text...                     list, nodes that are ziplists
//!           18 length (length text)...            list, nodes: 1 = one plain element, 2 = a listpack
//!           2  length text...                     set
//!           11, 20 text                           set, an intset or a listpack
//!           4  length (text text)...              hash
//!           9, 13, 16 text                        hash, a zipmap, ziplist or listpack
//!           22 to 25                              hash whose fields have deadlines (`object::hash`)
//!           3  length (text score)...             sorted set; score: a byte of length and digits
//!           5  length (text f64)...               sorted set
//!           12, 17 text                           sorted set, a ziplist or listpack
//!           15, 19, 21                            stream (`object::stream`)
//!
//! length    00nnnnnn                              6 bits
//!           01nnnnnn nnnnnnnn                     14 bits
//!           10000000 + 4 bytes, big endian
//!           10000001 + 8 bytes, big endian
//!
//! text      length bytes...                       as it is
//!           11000000 i8, 11000001 i16, 11000010 i32    the decimal text of an integer, little endian
//!           11000011 length length bytes...       LZF: compressed length, length, compressed bytes
//!
//! DUMP      type value version (2 bytes, little endian) checksum (8 bytes, little endian)
//! ```
//!
//! Checksums are CRC-64 of all bytes before them; a file's checksum of zero says that none was made.
//!
//! Reading order: `format`, `output` and `writer`, then `source`, `object` and `reader`; `packed` holds the packed
//! encodings, `values` says what each value is written as, `skip` steps over data of modules, `payload` is DUMP, `check` a whole-file check.

mod check;
mod error;
mod format;
mod object;
mod output;
mod packed;
mod payload;
mod reader;
mod skip;
mod source;
mod values;
mod writer;

pub use check::{Checked, Failure, Key, Note, Passed, check};
pub use error::{RdbError, RdbErrorKind};
pub use format::{Doing, MAX_VERSION, VALKEY_VERSION, VERSION, type_name};
pub use payload::{FunctionsError, PayloadError, dump_functions, dump_payload, parse_functions, parse_payload};
pub use reader::{Checksum, Entry, Item, Reader};
pub use writer::{Access, AuxFields, Progress, ReplicationAux, Writer};

pub use crate::value::View;

use crate::base::hash::HashSeed;
use crate::value::{Limits, Value};

/// Strings longer than this are read into a buffer of their own, which the keyspace can take over.
pub const OWNED_FROM: usize = 4096;

/// A value just read. A string that spells an integer has become one, as everywhere in the keyspace.
#[derive(Debug)]
pub enum Loaded<'a> {
    Int(i64),
    /// At most [`OWNED_FROM`] bytes, to be copied.
    Bytes(&'a [u8]),
    /// More than that.
    Owned(Vec<u8>),
    Object(Box<Value>),
}

/// A value that borrows nothing.
#[derive(Debug)]
pub enum ValueOwned {
    Int(i64),
    Bytes(Vec<u8>),
    Object(Box<Value>),
}

impl Loaded<'_> {
    pub fn into_owned(self) -> ValueOwned {
        match self {
            Loaded::Int(value) => ValueOwned::Int(value),
            Loaded::Bytes(bytes) => ValueOwned::Bytes(bytes.to_vec()),
            Loaded::Owned(bytes) => ValueOwned::Bytes(bytes),
            Loaded::Object(value) => ValueOwned::Object(value),
        }
    }
}

impl ValueOwned {
    pub fn as_ref(&self) -> View<'_> {
        match self {
            ValueOwned::Int(value) => View::Int(*value),
            ValueOwned::Bytes(bytes) => View::Str(bytes),
            ValueOwned::Object(value) => View::Object((**value).as_ref()),
        }
    }
}

/// How a file is written.
#[derive(Clone, Copy, Debug)]
pub struct WriteOptions {
    /// `rdbcompression`
    pub compress: bool,
    /// `rdbchecksum`
    pub checksum: bool,
    /// The format version to announce; what is written is the same for 9 to [`MAX_VERSION`].
    pub version: u32,
}

impl Default for WriteOptions {
    fn default() -> WriteOptions {
        WriteOptions { compress: true, checksum: true, version: VERSION }
    }
}

/// What to do with bytes behind the end of an RDB file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trailing {
    /// They are somebody else's, such as the commands of an AOF behind its base.
    Allow,
    /// They are damage. Needs [`ReadOptions::limit`].
    Refuse,
}

/// What to do with an entry whose type has no decoder here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    Refuse,
    /// Walk over it and report it as [`Item::Unsupported`]. A structural check only.
    Skip,
}

/// How a file is read.
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    /// `rdbchecksum`: is the sum at the end compared?
    pub checksum: bool,
    /// How many bytes there are in all, when that is known: no byte beyond is read, and no length beyond is believed.
    pub limit: Option<u64>,
    pub trailing: Trailing,
    pub unsupported: Unsupported,
    /// Up to where collections take their small forms.
    pub limits: Limits,
}

impl Default for ReadOptions {
    fn default() -> ReadOptions {
        ReadOptions {
            checksum: true,
            limit: None,
            trailing: Trailing::Allow,
            unsupported: Unsupported::Refuse,
            limits: Limits::new(HashSeed::new(0)),
        }
    }
}

#[cfg(test)]
mod tests;
