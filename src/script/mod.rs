//! The boundary between a script and the server that runs it.
//!
//! *Duty:* [`Host`], all that an engine can ask of the server: run a command, and let others have a turn when the
//! script takes long. [`Rights`], what a script declared about itself.
//! *Does not know:* the server, its clients, the keyspace; which language the script is in.
//! *Invariants:* an engine keeps no reference to its host beyond one run. Whatever a script does through its host
//! belongs to one unit, that of the command that runs the script: it is replayed as one, and seen by others at once.
//! *Counterpart in C Redis:* `scriptRunCtx` and `scriptCall` of `script.c`, `scriptInterrupt`.

pub mod lib;
pub mod raise;

use crate::resp::{Argv, Proto, ReplyBuf};

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
    /// Runs a command. The reply is in the protocol that the script asked for; a refusal is an error reply too.
    fn call(&mut self, argv: &Argv, proto: Proto) -> ReplyBuf;

    /// The script has run for longer than it should: others are answered for a moment, without waiting for them.
    fn on_slow(&mut self) -> Verdict;
}
