//! DEBUG ASSERT, CHANGE-REPL-ID, MALLCTL, MALLCTL-STR, PAUSE-CRON, REPLYBUFFER, SET-SKIP-CHECKSUM-VALIDATION,
//! STRUCTSIZE: the server's own machinery.
//!
//! *Does not know:* data; `look` does. *Counterpart in C Redis:* the same branches of `debugCommand`, `mallctl_int`,
//! `mallctl_string`.

use std::ffi::CString;

use crate::base::ids::RunId;
use crate::base::num;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::help::unknown_or_misused;
use crate::keyspace::Db;
use crate::server::Server;
use crate::server::client::Client;
use crate::sys::alloc;
use crate::value::Value;

pub(super) fn assert(srv: &mut Server, _: &mut Call<'_>) -> CmdResult {
    panic!("ASSERTION FAILED: DEBUG ASSERT was called at Unix time {}", srv.clock.now().secs());
}

pub(super) fn change_replid(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let id = RunId::random(&mut srv.ks.rng);
    srv.replication.ids.change(id);
    log::info!("The replication id was changed by DEBUG CHANGE-REPL-ID: {id}");
    call.reply.ok();
    Ok(())
}

fn is_on(arg: &[u8]) -> bool {
    num::parse_i64(arg).is_some_and(|n| n != 0)
}

pub(super) fn skip_checksums(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    srv.ks.settings.checksums = num::parse_i64(call.arg(2)).is_none_or(|n| n == 0);
    call.reply.ok();
    Ok(())
}

pub(super) fn pause_cron(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    srv.turn.cron_paused = is_on(call.arg(2));
    call.reply.ok();
    Ok(())
}

pub(super) fn aof_flush_sleep(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    srv.persistence.aof.flush_sleep_us = num::parse_u64(call.arg(2)).ok_or(CmdError::NotInteger)?;
    call.reply.ok();
    Ok(())
}

pub(super) fn sizes(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    call.reply.status(&format!(
        "bits:{} value:{} database:{} client:{}",
        usize::BITS,
        size_of::<Value>(),
        size_of::<Db>(),
        size_of::<Client>()
    ));
    Ok(())
}

fn control_name(name: &[u8]) -> Result<CString, CmdError> {
    CString::new(name).map_err(|_| CmdError::Fixed("ERR No such file or directory"))
}

/// The kernel's words for why the allocator refused.
fn refusal(errno: i32) -> CmdError {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    CmdError::text(format!("ERR {}", text.split(" (os error").next().unwrap_or(&text)))
}

pub(super) fn mallctl(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let name = control_name(call.arg(2))?;
    let new = match call.args.len() {
        4 => Some(call.args.int(3)?),
        _ => None,
    };
    let old = alloc::control_number(&name, new).map_err(refusal)?;
    call.reply.int(old);
    Ok(())
}

pub(super) fn mallctl_text(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let name = control_name(call.arg(2))?;
    match call.args.opt(3) {
        // A control that is an order and not a value.
        Some(word) if word.eq_ignore_ascii_case(b"VOID") => {
            alloc::control_order(&name).map_err(refusal)?;
            call.reply.ok();
        }
        Some(_) => return Err(CmdError::Fixed("ERR Only VOID can be given to a control of texts")),
        None => match alloc::control_text(&name).map_err(refusal)? {
            Some(text) => call.reply.bulk(text.as_bytes()),
            None => call.reply.null(),
        },
    }
    Ok(())
}

/// Reply buffers go back to a pool as soon as they are written, so there is no peak that could be forgotten: the time is
/// checked and means nothing. Without resizing a connection keeps its buffer.
pub(super) fn reply_buffer(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if call.args.is(2, "RESIZING") {
        srv.exec.buffers.replies_stay = num::parse_i64(call.arg(3)) == Some(0);
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
