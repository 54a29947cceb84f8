//! Directives of who may do what: passwords, ACL, protected actions.
//!
//! *Duty:* the rows of the parameters that authentication and the command gates read. `user`, `rename-command` and
//! `loadmodule` are lines, not parameters; the parser keeps them.
//! *Does not know:* how words are read and printed (`directive`, `special`), and what a change entails.
//! *Invariants:* the bounds lie within the field's type; flags are those of 7.0.15 (`table/tests.rs`).
//! *Counterpart in C Redis:* the same rows of `static_configs[]`.

use crate::config::directive::{Directive, Flags, Kind};
use crate::config::number::Form;
use crate::config::values::Choice;

pub(super) const ROWS: &[Directive] = &[
    secret!("requirepass", requirepass),
    text!("aclfile", aclfile).immutable(),
    number!("acllog-max-len", acllog_max_len, 0, i64::MAX),
    choice!("acl-pubsub-default", acl_pubsub_default),
    choice!("enable-protected-configs", enable_protected_configs).immutable(),
    choice!("enable-debug-command", enable_debug_command).immutable(),
    choice!("enable-module-command", enable_module_command).immutable(),
];
