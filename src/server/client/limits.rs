//! How much a client may make the server hold for it.
//!
//! *Duty:* what a request may ask for, `client-query-buffer-limit`, `client-output-buffer-limit`.
//! *Does not know:* the sum over all clients (`memory.rs`). *Invariants:* the limits are read from the configuration
//! whenever they are asked, so a change counts at once; a client over its limit is closed at the bottom of the turn and
//! is told nothing more. The first 16 KiB of waiting output count for no limit, as the reference keeps so much in a fixed
//! buffer. *Counterpart in C Redis:* `checkClientOutputBufferLimits`, `closeClientOnOutputBufferLimitReached`.

use super::{Client, Flags};
use crate::config::ClientClass;
use crate::resp::Limits;
use crate::server::Server;

/// Output that counts for no limit.
pub const FIXED_OUTPUT: usize = 16 * 1024;
/// The rest counts in blocks, as the reference allocates it: the bytes of a reply in one, and what the block takes.
const BLOCK: usize = 20_464;
const BLOCK_MEMORY: usize = 20_504;
/// Bytes of replies kept for a client that has not authenticated and does not read.
const UNREAD_BY_STRANGER_MAX: usize = 17 * 1024;

impl Client {
    /// By which limits its output is judged.
    pub fn class(&self) -> ClientClass {
        if self.flags.has(Flags::REPLICA) {
            ClientClass::Replica
        } else if self.flags.has(Flags::SUBSCRIBED) {
            ClientClass::Pubsub
        } else {
            ClientClass::Normal
        }
    }

    /// Blocks of waiting output that count for limits.
    pub fn output_blocks(&self) -> usize {
        self.output_len().saturating_sub(FIXED_OUTPUT).div_ceil(BLOCK)
    }

    /// Waiting output as limits count it.
    pub fn listed_output(&self) -> usize {
        self.output_blocks() * BLOCK_MEMORY
    }
}

impl Server {
    pub(super) fn request_limits(&self, slot: usize) -> Limits {
        let stranger = !self.clients[slot].flags.has(Flags::AUTHENTICATED) && !self.acl.is_open();
        Limits { max_bulk: self.config.proto_max_bulk_len, authenticated: !stranger }
    }

    pub(super) fn check_input_limit(&mut self, slot: usize) {
        let client = &self.clients[slot];
        let exempt = Flags(Flags::CLOSE_ASAP.0 | Flags::MASTER.0);
        if client.input.len() as u64 > self.config.client_query_buffer_limit && !client.flags.has(exempt) {
            self.stats.query_buffer_limit_disconnections += 1;
            log::warn!("Closing client that reached max query buffer length: {}", self.clients.describe(slot));
            self.clients.close_asap(slot);
        }
        self.memory_changed(slot);
    }

    /// Bytes of replies at which no further command of a pipeline runs, and a command that makes many stops.
    pub(super) fn reply_limit(&self, slot: usize) -> usize {
        let client = &self.clients[slot];
        let hard = self.config.client_output_buffer_limit[client.class().index()].hard;
        let total = self.clients.memory_limit;
        if hard == 0 && total == 0 {
            return usize::MAX;
        }
        let own = match hard {
            0 => usize::MAX,
            _ => FIXED_OUTPUT.saturating_add(hard.div_ceil(BLOCK_MEMORY as u64).saturating_sub(1) as usize * BLOCK + 1),
        };
        let shared = if total == 0 || client.flags.has(Flags::NO_EVICT) { usize::MAX } else { total };
        own.min(shared).saturating_add(client.sent)
    }

    pub(in crate::server) fn check_output_limit(&mut self, slot: usize) {
        let kept = self.stream_kept_for(slot);
        let client = &mut self.clients[slot];
        let mut limit = self.config.client_output_buffer_limit[client.class().index()];
        if kept.is_some() {
            limit.hard = self.replication.backlog.output_limit(limit.hard);
        }
        // A stranger who does not read what it is told must not make us keep it.
        let deaf_stranger = client.flags.has(Flags::WRITE_BLOCKED)
            && !client.flags.has(Flags::AUTHENTICATED)
            && client.output_len() > UNREAD_BY_STRANGER_MAX;
        if limit.hard == 0 && limit.soft == 0 && !deaf_stranger {
            return;
        }
        let listed = client.listed_output() as u64 + kept.unwrap_or(0);
        let now_ms = self.clock.mono_us() / 1000;
        let mut over = deaf_stranger || limit.hard > 0 && listed >= limit.hard;
        if limit.soft == 0 || listed < limit.soft {
            client.soft_limit_since_ms = 0;
        } else if client.soft_limit_since_ms == 0 {
            client.soft_limit_since_ms = now_ms;
        } else if now_ms - client.soft_limit_since_ms > limit.soft_seconds * 1000 {
            over = true;
        }
        if over && !client.flags.has(Flags::CLOSE_ASAP) {
            self.stats.output_buffer_limit_disconnections += 1;
            let who = self.clients.describe(slot);
            log::warn!("Client {who} scheduled to be closed ASAP for overcoming of output buffer limits.");
            self.clients.close_asap(slot);
        }
    }
}
