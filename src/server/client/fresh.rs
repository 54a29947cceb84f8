//! The buffers of a new connection.
//!
//! *Duty:* what a connection says first (HELLO, AUTH, its name, a whole pipeline) is read to a buffer of its own, and its
//! replies keep theirs; after about a second it shares both with all others. *Does not know:* what is read.
//! *Why:* CLIENT LIST then tells of a new connection what 7.0.15 tells of one in use, truly: 16 KiB of room for input, and
//! a reply buffer that follows what was written, from 1 to 16 KiB. *Invariants:* only a connection that comes while there
//! are few has them, so a crowd pays nothing; none has them for much longer than [`FRESH_MS`]. A buffer that is taken out
//! is given back in the same function. *Counterpart in C Redis:* `querybuf` and `buf` of a client, for all of its life.

use super::Flags;
use crate::server::Server;

const INPUT: usize = 16 * 1024;
const REPLY: usize = 1024;
/// From its beginning; the upkeep sees a client about once a second.
const FRESH_MS: u64 = 1000;
/// A connection that comes while there are so many is like the others at once.
const CROWD: usize = 32;

/// The room for a new connection's input.
pub struct Fresh {
    /// Empty while something is being read to it.
    input: Box<[u8]>,
}

impl Fresh {
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.input).into_vec()
    }

    pub(super) fn give_back(&mut self, input: Vec<u8>) {
        self.input = input.into_boxed_slice();
    }

    pub(super) fn memory(&self) -> usize {
        INPUT
    }
}

impl Server {
    /// Gives a connection that was just accepted its own buffers, if there are few.
    pub(in crate::server) fn equip(&mut self, slot: usize) {
        if self.clients.len() <= CROWD {
            let client = &mut self.clients[slot];
            client.fresh = Some(Fresh { input: vec![0; INPUT].into_boxed_slice() });
            client.reply.bytes_mut().reserve_exact(REPLY);
        }
    }

    /// Takes the buffers of a connection that is new no longer.
    pub(super) fn age(&mut self, slot: usize, now_ms: u64) {
        let client = &mut self.clients[slot];
        let in_use = client.fresh.as_ref().is_none_or(|fresh| fresh.input.is_empty());
        if in_use || now_ms.saturating_sub(client.created_ms) < FRESH_MS {
            return;
        }
        client.fresh = None;
        if client.reply.is_empty() && !client.flags.has(Flags::WRITE_PENDING) {
            let bytes = std::mem::take(client.reply.bytes_mut());
            self.exec.buffers.keep_reply(bytes);
        }
    }
}
