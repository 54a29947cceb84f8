//! DEBUG PAUSE-CRON and REPLYBUFFER: what tests hold still while they count memory.
//!
//! *Counterpart in C Redis:* the branches of `debugCommand` with these names.

use crate::base::num;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::help::unknown_or_misused;
use crate::server::Server;

fn is_on(arg: &[u8]) -> bool {
    num::parse_i64(arg).is_some_and(|n| n != 0)
}

pub(super) fn pause_cron(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    srv.turn.cron_paused = is_on(call.arg(2));
    call.reply.ok();
    Ok(())
}

/// Reply buffers go back to a pool as soon as they are written, so there is no peak that could be forgotten: the time is
/// checked and means nothing. Without resizing a connection keeps its buffer.
pub(super) fn reply_buffer(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if call.args.is(2, "RESIZING") {
        srv.exec.buffers.replies_stay = !is_on(call.arg(3));
    } else if call.args.is(2, "PEAK-RESET-TIME") {
        let word = call.args.is(3, "NEVER") || call.args.is(3, "RESET");
        if !word && num::parse_i64(call.arg(3)).is_none() {
            return Err(CmdError::NotInteger);
        }
    } else {
        return Err(unknown_or_misused(call));
    }
    call.reply.ok();
    Ok(())
}
