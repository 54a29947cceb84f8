//! The vocabulary of one command invocation: what comes in ([`Args`], [`Caller`]), what goes out
//! ([`crate::resp::ReplyBuf`], [`Effects`]), what can go wrong ([`CmdError`]).
//!
//! *Invariant:* nothing here knows the keyspace, the server or a connection.

pub mod args;
#[expect(clippy::module_inception, reason = "the folder is named after its main type")]
pub mod call;
pub mod effects;
pub mod error;
pub mod options;

pub use args::Args;
pub use call::{Call, Caller, ClientId, ClientRef, CmdResult, DbId, Origin};
pub use effects::{BlockOn, Class, Effects, Event, Garbage, Notice, Touched, WaitFor, Wants};
pub use error::{CmdError, Lacking};
