//! [`CmdError`]: every way a command is refused. Its wire text is in this file and nowhere else, save where a text
//! is made of the request (`Text`).
//!
//! *Counterpart in C Redis:* `shared.*err`, `addReplyError*`.

use std::borrow::Cow;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CmdError {
    Syntax,
    WrongType,
    NotInteger,
    NotFloat,
    OutOfRange,
    Overflow,
    NoSuchKey,
    SameObject,
    IndexOutOfRange,
    DbIndexOutOfRange,
    InvalidDbIndex,
    BusyKey,
    NoAuth,
    Loading,
    Oom,
    ReadOnly,
    NoReplicas,
    MisconfRdb,
    /// The append only file cannot be written: the system's words for why.
    MisconfAof(&'static str),
    ExecAbort,
    NestedMulti,
    WrongPass,
    /// The user lacks a right.
    NoPermission(Lacking),
    Busy,
    /// "wrong number of arguments for 'name' command"; the name as `COMMAND` shows it.
    Arity(Cow<'static, str>),
    /// "invalid expire time in 'name' command".
    InvalidExpire(&'static str),
    /// A fixed text, prefix (`ERR `…) included.
    Fixed(&'static str),
    /// A text made of the request, prefix included.
    Text(Vec<u8>),
    /// An error that a script passes on: it was counted where it came about.
    Counted(Vec<u8>),
}

/// What a user may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// Run the command of this full name.
    Command(&'static str),
    Key,
    Channel,
}

impl CmdError {
    pub fn text(text: impl Into<Vec<u8>>) -> CmdError {
        CmdError::Text(text.into())
    }

    /// The reply line, without the leading `-` and the line end.
    pub fn message(&self) -> Cow<'_, [u8]> {
        let fixed: &'static str = match self {
            CmdError::Syntax => "ERR syntax error",
            CmdError::WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            CmdError::NotInteger => "ERR value is not an integer or out of range",
            CmdError::NotFloat => "ERR value is not a valid float",
            CmdError::OutOfRange => "ERR value is out of range",
            CmdError::Overflow => "ERR increment or decrement would overflow",
            CmdError::NoSuchKey => "ERR no such key",
            CmdError::SameObject => "ERR source and destination objects are the same",
            CmdError::IndexOutOfRange => "ERR index out of range",
            CmdError::DbIndexOutOfRange => "ERR DB index is out of range",
            CmdError::InvalidDbIndex => "ERR invalid DB index",
            CmdError::BusyKey => "BUSYKEY Target key name already exists.",
            CmdError::NoAuth => "NOAUTH Authentication required.",
            CmdError::Loading => "LOADING Redis is loading the dataset in memory",
            CmdError::Oom => "OOM command not allowed when used memory > 'maxmemory'.",
            CmdError::ReadOnly => "READONLY You can't write against a read only replica.",
            CmdError::NoReplicas => "NOREPLICAS Not enough good replicas to write.",
            CmdError::MisconfRdb => {
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
                 Commands that may modify the data set are disabled, because this instance is configured to report \
                 errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check \
                 the Redis logs for details about the RDB error."
            }
            CmdError::ExecAbort => "EXECABORT Transaction discarded because of previous errors.",
            CmdError::NestedMulti => "ERR MULTI calls can not be nested",
            CmdError::WrongPass => "WRONGPASS invalid username-password pair or user is disabled.",
            CmdError::Busy => "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
            CmdError::NoPermission(Lacking::Key) => {
                "NOPERM this user has no permissions to access one of the keys used as arguments"
            }
            CmdError::NoPermission(Lacking::Channel) => {
                "NOPERM this user has no permissions to access one of the channels used as arguments"
            }
            CmdError::Fixed(text) => text,
            CmdError::NoPermission(Lacking::Command(name)) => {
                let text = format!("NOPERM this user has no permissions to run the '{name}' command");
                return Cow::Owned(text.into_bytes());
            }
            CmdError::Arity(name) => {
                return Cow::Owned(format!("ERR wrong number of arguments for '{name}' command").into_bytes());
            }
            CmdError::InvalidExpire(name) => {
                return Cow::Owned(format!("ERR invalid expire time in '{name}' command").into_bytes());
            }
            CmdError::MisconfAof(why) => {
                return Cow::Owned(format!("MISCONF Errors writing to the AOF file: {why}").into_bytes());
            }
            CmdError::Text(text) | CmdError::Counted(text) => return Cow::Borrowed(text),
        };
        Cow::Borrowed(fixed.as_bytes())
    }

    /// The first word, by which INFO errorstats counts.
    pub fn prefix(message: &[u8]) -> &[u8] {
        let end = message.iter().position(|&b| b == b' ').unwrap_or(message.len());
        &message[..end]
    }
}
