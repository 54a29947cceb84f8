//! Users: who may run which command on which keys and channels.
//!
//! *Duty:* the language of rules (`user NAME on >secret ~key +@read …`) in 7.0.15's grammar and error texts; the
//! answer to "may this user run this?"; the canonical text of a user; the set of all users; the log of refusals.
//! *Does not know:* connections, files, the clock; where the arguments of a request hold keys or channels (the shell
//! finds them by the command's row and hands them in).
//! *Invariants:* a refused rule leaves the caller to throw the changed copy away: rules are applied to a copy first.
//! The user `default` is always there. Passwords are kept as SHA-256 only.
//! *Reading order:* `commands` (ids and categories), `selector` (one set of rights), `describe` (back to text), `user`
//! (passwords, several selectors), `users` (all of them), `log`.
//! *Counterpart in C Redis:* `acl.c`.

pub mod commands;
mod describe;
pub mod log;
pub mod selector;
pub mod user;
pub mod users;

pub use commands::{CmdId, Commands};
pub use log::AccessLog;
pub use selector::{Denied, Heard, Request, RuleError, Touched};
pub use user::{Grammar, User};
pub use users::{UserId, Users};

/// Whether a name or pattern has what separates words in a line of rules.
pub fn has_spaces(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r' | 0))
}

#[cfg(test)]
mod tests;
