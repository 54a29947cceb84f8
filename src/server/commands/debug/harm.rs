//! DEBUG CLIENT-EVICTION, CRASH-AND-RECOVER, LEAK, OOM, RESTART, SET-DISABLE-DENY-SCRIPTS, STRINGMATCH-TEST: what ends,
//! tries or weakens the process.
//!
//! *Does not know:* data; how a restart is done (`shutdown.rs`). *Counterpart in C Redis:* the same branches of
//! `debugCommand`.

use std::time::Duration;

use crate::base::glob::{self, Case};
use crate::base::num;
use crate::call::{Call, CmdError, CmdResult};
use crate::server::Server;

pub(super) fn restart(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    start_again(srv, call, true)
}

pub(super) fn crash_and_recover(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    start_again(srv, call, false)
}

fn start_again(srv: &mut Server, call: &Call<'_>, gracefully: bool) -> CmdResult {
    let delay = if call.args.len() > 2 { call.args.int(2)?.max(0) } else { 0 };
    let reason = srv.start_again(gracefully, Duration::from_millis(delay as u64));
    log::warn!("Can't restart: {reason}");
    Err(CmdError::Fixed("ERR failed to restart the server. Check server logs."))
}

pub(super) fn leak(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    Box::leak(Box::<[u8]>::from(call.arg(2)));
    call.reply.ok();
    Ok(())
}

/// Asks for half of all the memory that could be addressed: the server ends as it does when there is none left.
pub(super) fn out_of_memory(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(isize::MAX as usize)));
    call.reply.ok();
    Ok(())
}

pub(super) fn allow_noscript(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    srv.hosting.deny_nothing = num::parse_i64(call.arg(2)).is_some_and(|n| n != 0);
    call.reply.ok();
    Ok(())
}

const MATCHES: usize = 1_000_000;

/// Random patterns against random texts: it is enough that all of them end.
pub(super) fn try_patterns(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let (mut pattern, mut text) = ([0u8; 32], [0u8; 32]);
    for _ in 0..MATCHES {
        let rng = &mut srv.ks.rng;
        let (pattern_len, text_len) = (rng.below(33) as usize, rng.below(33) as usize);
        pattern.iter_mut().chain(&mut text).for_each(|byte| *byte = rng.below(128) as u8);
        std::hint::black_box(glob::matches(&pattern[..pattern_len], &text[..text_len], Case::Sensitive));
    }
    call.reply.status("Apparently Redis did not crash: test passed");
    Ok(())
}

/// The classes of clients by their memory, as 7.0.15 shows them: below 32 KiB, then powers of two.
const SMALLEST_LOG: u32 = 15;
const CLASSES: usize = 19;

/// Here clients are not kept in classes: eviction takes the largest first. The table shows how they would lie.
pub(super) fn client_classes(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if srv.clients.memory_limit == 0 {
        return Err(CmdError::Fixed("ERR maxmemory-clients is disabled."));
    }
    let mut classes = [(0usize, 0usize); CLASSES];
    for (_, client) in srv.clients.open() {
        let class = (client.counted >> (SMALLEST_LOG - 1)).checked_ilog2().unwrap_or(0) as usize;
        let class = &mut classes[class.min(CLASSES - 1)];
        *class = (class.0 + client.counted, class.1 + 1);
    }
    let mut text = String::new();
    for (i, (memory, clients)) in classes.into_iter().enumerate() {
        let from = if i == 0 { 0 } else { 1usize << (SMALLEST_LOG as usize + i - 1) };
        let to = match i + 1 {
            CLASSES => "+            ".to_owned(),
            _ => format!(" - {:>10}", (1usize << (SMALLEST_LOG as usize + i)) - 1),
        };
        text += &format!("bucket {from:>10}{to}: tot-mem: {memory:>10}, clients: {clients}\n");
    }
    call.reply.verbatim("txt", text.as_bytes());
    Ok(())
}
