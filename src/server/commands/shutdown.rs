//! SHUTDOWN.
//!
//! *Duty:* the words of the command; what happens is `server::shutdown`'s. There is no reply: the connection closes.
//! *Counterpart in C Redis:* `shutdownCommand`.

use super::{ServerCommand, ServerHandler};
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::server::Server;
use crate::server::shutdown::{Saving, Shutdown};

pub const COMMANDS: &[ServerCommand] = &[SHUTDOWN];

pub const SHUTDOWN: ServerCommand = Command::new(
    shutdown as ServerHandler,
    Spec {
        name: "shutdown",
        arity: -1,
        flags: ADMIN.or(NOSCRIPT).or(LOADING).or(STALE).or(NO_MULTI).or(ALLOW_BUSY),
        group: Group::Server,
        since: "1.0.0",
        complexity: "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
        summary: "Saves the data set, if that is asked for or configured, and ends the server.",
        syntax: "[<NOSAVE|SAVE>] [NOW]@7.0.0 [FORCE]@7.0.0 [ABORT]@7.0.0",
        history: &[("7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers.")],
        ..Spec::BASE
    },
);

fn shutdown(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let mut how = Shutdown { saving: Saving::ByConfig, force: false, now: false };
    let mut abort = false;
    for word in call.args.from(1) {
        match word.to_ascii_lowercase().as_slice() {
            b"nosave" if how.saving != Saving::Yes => how.saving = Saving::No,
            b"save" if how.saving != Saving::No => how.saving = Saving::Yes,
            b"now" => how.now = true,
            b"force" => how.force = true,
            b"abort" => abort = true,
            _ => return Err(CmdError::Syntax),
        }
    }
    if abort {
        if how.now || how.force || how.saving != Saving::ByConfig {
            return Err(CmdError::Syntax);
        }
        if !srv.abort_shutdown() {
            return Err(CmdError::Fixed("ERR No shutdown in progress."));
        }
        call.reply.ok();
        return Ok(());
    }
    // A script that runs may have done half of what it is to do.
    if let Some(error) = srv.busy_with_script().filter(|_| how.saving != Saving::No) {
        return Err(error);
    }
    srv.shutdown(how, Some(call.caller.client))
        .map_err(|_| CmdError::Fixed("ERR Errors trying to SHUTDOWN. Check logs."))
}
