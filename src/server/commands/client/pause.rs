//! CLIENT PAUSE, CLIENT UNPAUSE.
//!
//! *Duty:* the rows and the arguments. *Does not know:* what a pause is (`server/pause.rs`).
//! *Counterpart in C Redis:* the PAUSE branch of `clientCommand`, `getTimeoutFromObjectOrReply`.

use super::{OTHERS, row};
use crate::base::millis::Millis;
use crate::base::num;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::help::unknown_or_misused;
use crate::command::spec::*;
use crate::server::Server;
use crate::server::commands::ServerCommand;
use crate::server::pause::{Sake, Scope};

pub const PAUSE: ServerCommand = row(
    pause,
    Spec {
        name: "client|pause",
        arity: -3,
        since: "2.9.50",
        summary: "Lets commands wait for some time, all or those that write.",
        syntax: "timeout [<WRITE|ALL>]",
        history: &[("6.2.0", "`CLIENT PAUSE WRITE` mode added along with the `mode` option.")],
        ..OTHERS
    },
);

fn pause(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let scope = match call.args.len() {
        3 => Scope::Everything,
        4 if call.args.is(3, "WRITE") => Scope::Writes,
        4 if call.args.is(3, "ALL") => Scope::Everything,
        4 => return Err(CmdError::Fixed("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        _ => return Err(unknown_or_misused(call)),
    };
    let until = end_of(call.arg(2), call.now)?;
    srv.pause_clients(Sake::Command, scope, until);
    call.reply.ok();
    Ok(())
}

/// The point in time that is so many milliseconds away. 0 is a pause that is over at once.
fn end_of(timeout: &[u8], now: Millis) -> Result<Millis, CmdError> {
    let wanted = num::parse_i64(timeout).ok_or(CmdError::Fixed("ERR timeout is not an integer or out of range"))?;
    match wanted {
        0 => Ok(Millis(0)),
        1.. => now.0.checked_add(wanted).map(Millis).ok_or(CmdError::Fixed("ERR timeout is out of range")),
        _ => Err(CmdError::Fixed("ERR timeout is negative")),
    }
}

pub const UNPAUSE: ServerCommand = row(
    |srv, call| {
        srv.unpause_clients(Sake::Command);
        call.reply.ok();
        Ok(())
    },
    Spec {
        name: "client|unpause",
        arity: 2,
        since: "6.2.0",
        complexity: "O(N) Where N is the number of paused clients",
        summary: "Ends a pause: what waited runs.",
        ..OTHERS
    },
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_point_in_time_or_a_refusal() {
        let text =
            |timeout: &[u8]| String::from_utf8(end_of(timeout, Millis(5)).unwrap_err().message().to_vec()).unwrap();
        assert_eq!((end_of(b"100", Millis(5)), end_of(b"0", Millis(5))), (Ok(Millis(105)), Ok(Millis(0))));
        assert_eq!(text(b"abc"), "ERR timeout is not an integer or out of range");
        assert_eq!(text(b"-1"), "ERR timeout is negative");
        assert_eq!(text(b"9223372036854775807"), "ERR timeout is out of range");
    }
}
