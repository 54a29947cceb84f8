//! Scripts: a Lua 5.1 state, and the boundary between it and the server that runs it.
//!
//! *Duty:* [`Host`], all that an engine can ask of the server; [`Rights`], what a script may do; the engine itself
//! ([`ScriptEngine`]), what scripts find around them (`sandbox`, `api`), values on their way in and out (`convert`),
//! and the scripts that are known (`cache`). *Does not know:* the server, its clients, the keyspace.
//! *Invariants:* an engine keeps no reference to its host beyond one run. Whatever a script does through its host
//! belongs to one unit, that of the command that runs the script: it is replayed as one, and seen by others at once.
//! *Counterpart in C Redis:* `script.c`, `script_lua.c`, `eval.c`.

mod api;
pub mod cache;
mod convert;
mod engine;
pub mod functions;
mod lend;
pub mod library;
pub mod libs;
pub mod raise;
mod sandbox;

pub use engine::{Outcome, ScriptEngine};
pub use mlua::Function;

use crate::call::Args;
use crate::resp::ReplyBuf;

/// What a script may do, as it or the command that runs it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Commands that write are refused (EVAL_RO, the flag `no-writes`).
    pub read_only: bool,
    /// Commands that take memory run even above `maxmemory` (the flag `allow-oom`).
    pub any_memory: bool,
}

/// Whether a script that takes long goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    GoOn,
    /// The engine ends the script with an error, as soon as it can.
    Stop,
}

/// The server, as a script sees it.
pub trait Host {
    /// Runs a command. The reply is in the protocol of the buffer; a refusal is an error reply too.
    fn call(&mut self, args: Args<'_>, reply: &mut ReplyBuf);

    /// Many instructions have run: if that took longer than it should, others are answered for a moment.
    fn on_tick(&mut self) -> Verdict;

    /// `redis.log`: 0 is debug, 3 a warning.
    fn log(&mut self, level: u8, text: &[u8]);

    /// Who hears of what the script writes from here on (`redis.set_repl`).
    fn replicate_to(&mut self, aof: bool, replicas: bool);

    /// Whether the caller may run this command (`redis.acl_check_cmd`); `None`: there is no such command.
    fn allows(&mut self, args: Args<'_>) -> Option<bool>;

    /// The script answers with this error, which no command has raised.
    fn note_error(&mut self, message: &[u8]);
}
