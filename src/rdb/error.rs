//! Why bytes are no RDB, in plain words.
//!
//! *Duty:* one kind for each way a file or payload can be wrong, with the numbers that help to find the place.
//! *Does not know:* what becomes of the message: a log line, a check's report or the refusal of RESTORE.
//! *Counterpart in C Redis:* the texts of `rdbReportError`.

use std::fmt;
use std::io;

use super::format::type_name;
use crate::base::lzf::LzfError;

/// What is wrong, and how many bytes had been consumed when that was seen.
#[derive(Debug)]
pub struct RdbError {
    pub offset: u64,
    pub kind: RdbErrorKind,
}

#[derive(Debug)]
pub enum RdbErrorKind {
    /// The operating system refused a read.
    Io(io::Error),
    /// The input ended where more had to come.
    ShortRead,
    /// Memory for so many bytes could not be had.
    OutOfMemory(u64),
    BadSignature([u8; 9]),
    UnsupportedVersion(u32),
    UnknownOpcode(u8),
    /// A type that exists but has no decoder here.
    UnsupportedType {
        code: u8,
        key: Box<[u8]>,
    },
    /// The first byte of a length is of no known form.
    BadLengthForm(u8),
    /// A length that exceeds what can still come.
    LengthTooLarge {
        len: u64,
        left: u64,
    },
    /// A length where one that means something was due.
    LengthOutOfRange(u64),
    /// The first byte of a text is of no known form.
    BadTextForm(u8),
    BadCompression(LzfError),
    /// What is wrong with a value.
    BadValue(&'static str),
    /// What is wrong with the bytes of a listpack, a ziplist or the like.
    BadForm {
        value: &'static str,
        form: &'static str,
        reason: &'static str,
    },
    /// What is wrong with the elements in it, whose bytes are sound.
    BadElements {
        value: &'static str,
        form: &'static str,
        reason: &'static str,
    },
    /// A quicklist node that is neither plain nor packed.
    BadNodeForm(u64),
    /// A collection without elements, where none may be.
    EmptyValue,
    BadModuleData(&'static str),
    /// A function library as release candidates of 7.0 wrote it.
    PreReleaseFunction,
    WrongChecksum {
        stored: u64,
        computed: u64,
    },
    TrailingBytes(u64),
    /// For the caller, who alone knows the keys there are.
    DuplicateKey {
        db: u64,
        key: Box<[u8]>,
    },
}

impl fmt::Display for RdbErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use RdbErrorKind::*;
        match self {
            Io(error) => write!(f, "cannot read: {error}"),
            ShortRead => write!(f, "the data ends too early"),
            OutOfMemory(len) => write!(f, "no memory for a string of {len} bytes"),
            BadSignature(bytes) => write!(f, "this is no RDB file: it begins with '{}'", bytes.escape_ascii()),
            UnsupportedVersion(version) => write!(f, "RDB format version {version} cannot be read by this server"),
            UnknownOpcode(code) => write!(f, "byte {code} stands where an entry or an opcode must begin"),
            UnsupportedType { code, key } => write!(
                f,
                "key '{}' is of type {code} ({}), which this server cannot load",
                key.escape_ascii(),
                type_name(*code).unwrap_or("unknown")
            ),
            BadLengthForm(byte) => write!(f, "a length begins with the unknown form 0x{byte:02x}"),
            LengthTooLarge { len, left } => {
                write!(f, "a length says that {len} more follow, but only {left} bytes are left")
            }
            LengthOutOfRange(len) => write!(f, "the length {len} is out of range here"),
            BadTextForm(form) => write!(f, "a string begins with the unknown form {form}"),
            BadCompression(error) => write!(f, "{error}"),
            BadValue(reason) => write!(f, "{reason}"),
            BadForm { value, form, reason } => write!(f, "{value} {form} integrity check failed: {reason}"),
            BadElements { value, form, reason } => {
                write!(f, "{value} {form} integrity check failed: a {form} with {reason}")
            }
            BadNodeForm(form) => write!(f, "a list node is of the unknown form {form}"),
            EmptyValue => write!(f, "a collection has no elements"),
            PreReleaseFunction => write!(f, "Pre-release function format not supported."),
            BadModuleData(reason) => write!(f, "data of a module: {reason}"),
            WrongChecksum { stored, computed } => {
                write!(f, "wrong checksum: the data sums up to {computed:016x}, stored is {stored:016x}")
            }
            TrailingBytes(count) => write!(f, "{count} bytes follow the end of the data"),
            DuplicateKey { db, key } => write!(f, "key '{}' is there twice in DB {db}", key.escape_ascii()),
        }
    }
}

impl fmt::Display for RdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.kind, self.offset)
    }
}

impl std::error::Error for RdbError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            RdbErrorKind::Io(error) => Some(error),
            RdbErrorKind::BadCompression(error) => Some(error),
            _ => None,
        }
    }
}
