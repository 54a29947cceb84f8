//! The numbers of the format and their names.
//!
//! *Duty:* opcodes, types, encodings, versions; what a reader was doing when it stopped.
//! *Does not know:* how any of it is laid out; `super` draws that.
//! *Counterpart in C Redis:* `rdb.h`, the name tables of `redis-check-rdb.c`.

/// The version that 7.0.15 writes, and the newest that it reads.
pub const VERSION: u32 = 10;
/// The newest version of Redis' own numbering whose frame is known: 8.0 writes it.
pub const MAX_VERSION: u32 = 12;
/// What `VALKEY080` announces.
pub const VALKEY_VERSION: u32 = 80;

/// From this version on a file ends with a checksum.
pub(super) const FIRST_WITH_CHECKSUM: u32 = 5;

/// Whose numbers of types a file uses: from 22 on Redis and Valkey mean different things by the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Redis,
    /// Files that begin with `VALKEY`.
    Valkey,
}

pub(super) mod op {
    pub const SLOT_INFO: u8 = 244;
    pub const FUNCTION: u8 = 245;
    /// As release candidates of 7.0 wrote it.
    pub const FUNCTION_IN_PARTS: u8 = 246;
    pub const MODULE_AUX: u8 = 247;
    pub const IDLE: u8 = 248;
    pub const FREQ: u8 = 249;
    pub const AUX: u8 = 250;
    pub const RESIZE_DB: u8 = 251;
    pub const EXPIRE_MS: u8 = 252;
    pub const EXPIRE_SECS: u8 = 253;
    pub const SELECT_DB: u8 = 254;
    pub const EOF: u8 = 255;
}

pub(super) mod kind {
    pub const STRING: u8 = 0;
    pub const LIST: u8 = 1;
    pub const SET: u8 = 2;
    pub const ZSET: u8 = 3;
    pub const HASH: u8 = 4;
    pub const ZSET_2: u8 = 5;
    pub const MODULE_2: u8 = 7;
    pub const HASH_ZIPMAP: u8 = 9;
    pub const LIST_ZIPLIST: u8 = 10;
    pub const SET_INTSET: u8 = 11;
    pub const ZSET_ZIPLIST: u8 = 12;
    pub const HASH_ZIPLIST: u8 = 13;
    pub const LIST_QUICKLIST: u8 = 14;
    pub const STREAM: u8 = 15;
    pub const HASH_LISTPACK: u8 = 16;
    pub const ZSET_LISTPACK: u8 = 17;
    pub const LIST_QUICKLIST_2: u8 = 18;
    pub const STREAM_2: u8 = 19;
    pub const SET_LISTPACK: u8 = 20;
    pub const STREAM_3: u8 = 21;
    /// Two layouts, see [`Dialect`](super::Dialect).
    pub const HASH_EXPIRING_ABSOLUTE: u8 = 22;
    pub const HASH_EXPIRING_ABSOLUTE_LISTPACK: u8 = 23;
    pub const HASH_EXPIRING: u8 = 24;
    pub const HASH_EXPIRING_LISTPACK: u8 = 25;
}

/// The first byte of a length or text: two bits say which form follows.
pub(super) mod len {
    pub const BITS_14: u8 = 0b01 << 6;
    pub const BYTES_4: u8 = 0b10 << 6;
    pub const BYTES_8: u8 = 0b10 << 6 | 1;
    pub const SPECIAL: u8 = 0b11 << 6;
    pub const MAX_6_BITS: u64 = (1 << 6) - 1;
    pub const MAX_14_BITS: u64 = (1 << 14) - 1;
}

/// The forms of a text that are no plain bytes: the low six bits of its first byte.
pub(super) mod text {
    pub const INT_8: u8 = 0;
    pub const INT_16: u8 = 1;
    pub const INT_32: u8 = 2;
    pub const LZF: u8 = 3;
}

/// The forms of a quicklist's nodes.
pub(super) mod node {
    pub const PLAIN: u64 = 1;
    pub const PACKED: u64 = 2;
}

/// The parts of a module's data.
pub(super) mod module {
    pub const EOF: u64 = 0;
    pub const SINT: u64 = 1;
    pub const UINT: u64 = 2;
    pub const FLOAT: u64 = 3;
    pub const DOUBLE: u64 = 4;
    pub const STRING: u64 = 5;
}

/// The name of an object type, as redis-check-rdb says it; none when no version of Redis has such a type.
pub fn type_name(code: u8) -> Option<&'static str> {
    const NAMES: [&str; 26] = [
        "string",
        "list-linked",
        "set-hashtable",
        "zset-v1",
        "hash-hashtable",
        "zset-v2",
        "module-value-v1",
        "module-value",
        "",
        "hash-zipmap",
        "list-ziplist",
        "set-intset",
        "zset-ziplist",
        "hash-ziplist",
        "quicklist",
        "stream",
        "hash-listpack",
        "zset-listpack",
        "quicklist-v2",
        "stream-v2",
        "set-listpack",
        "stream-v3",
        "hash-with-field-expiry-absolute",
        "hash-listpack-with-field-expiry-absolute",
        "hash-with-field-expiry",
        "hash-listpack-with-field-expiry",
    ];
    NAMES.get(usize::from(code)).copied().filter(|name| !name.is_empty())
}

/// What a reader is at: for the message that tells where it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Start,
    ReadType,
    ReadExpire,
    ReadKey,
    ReadValue,
    CheckSum,
    ReadLength,
    ReadAux,
    ReadModuleAux,
    ReadFunction,
}

impl Doing {
    /// The words of redis-check-rdb.
    pub fn name(self) -> &'static str {
        match self {
            Doing::Start => "start",
            Doing::ReadType => "read-type",
            Doing::ReadExpire => "read-expire",
            Doing::ReadKey => "read-key",
            Doing::ReadValue => "read-object-value",
            Doing::CheckSum => "check-sum",
            Doing::ReadLength => "read-len",
            Doing::ReadAux => "read-aux",
            Doing::ReadModuleAux => "read-module-aux",
            Doing::ReadFunction => "read-functions",
        }
    }
}
