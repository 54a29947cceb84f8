//! What clients take of memory, and which of them must go when that is too much.
//!
//! *Duty:* the parts of one client's memory, the sum over all, and eviction by `maxmemory-clients`: the largest first,
//! until the sum is below the limit; those under CLIENT NO-EVICT are spared but count.
//! *Does not know:* the data set's memory (`maxmemory`). *Invariants:* the sum is that of `Client::counted` over all
//! clients that are not about to be closed. Without a limit a client is counted when it is looked after, about once a
//! second; with one, whenever it took or gave bytes. Who is too much goes before the next command of anybody runs. *Counterpart in C Redis:* `getClientMemoryUsage`,
//! `updateClientMemUsageAndBucket`, `evictClients`.

use std::collections::BinaryHeap;
use std::mem::{size_of, size_of_val};

use super::{Client, Flags};
use crate::server::Server;
use crate::server::gates::Alarm;

/// Bytes that a connection takes in one way or another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Input that has arrived and is not cut into arguments yet, and the room behind it.
    pub input: usize,
    pub input_room: usize,
    /// Arguments of the command that is being read, runs, or waits.
    pub argv: usize,
    /// Arguments of the commands that MULTI queued.
    pub queued: usize,
    /// The reply buffer, and what of it was used since it was empty last.
    pub reply: usize,
    pub reply_used: usize,
    pub unsent: usize,
    /// The connection itself, names, subscriptions, watched keys, prefixes.
    pub other: usize,
}

impl Memory {
    pub fn total(&self) -> usize {
        self.input + self.input_room + self.argv + self.queued + self.reply + self.other
    }

    fn of(client: &Client) -> Memory {
        let names = client.names.as_deref();
        let names =
            names.map_or(0, |n| size_of_val(n) + n.name.capacity() + n.lib_name.capacity() + n.lib_ver.capacity());
        let waits = client.blocked.as_ref().map_or(0, |blocked| blocked.argument_memory());
        let postponed = client.postponed.as_ref().map_or(0, |argv| argv.memory());
        let partial = client.partial.as_ref().map_or(0, |p| size_of_val(&**p) + p.memory());
        let (cut, arguments) = client.partial.as_ref().map_or((0, 0), |p| p.cut());
        let input = client.input.len().saturating_sub(cut);
        let fresh = client.fresh.as_ref().map_or(0, |fresh| fresh.memory());
        Memory {
            input,
            input_room: client.input.capacity() - client.input.len() + fresh,
            argv: waits + postponed + arguments,
            queued: client.transaction.as_ref().map_or(0, |t| t.memory),
            reply: client.reply.capacity(),
            reply_used: client.reply.len(),
            unsent: client.output_len(),
            other: size_of::<Client>()
                + (client.input.len() - input).saturating_sub(arguments)
                + names
                + partial
                + client.subscriptions.as_ref().map_or(0, |s| s.memory())
                + client.caching.as_ref().map_or(0, |c| c.memory()),
        }
    }
}

/// The least limit there is: with less nobody could tell the server to have more.
const LIMIT_MIN: usize = 128 * 1024;

impl Server {
    pub fn client_memory(&self, slot: usize) -> Memory {
        let client = &self.clients[slot];
        let mut memory = Memory::of(client);
        if client.flags.has(Flags::WATCHING) {
            memory.other += self.watch.memory_of(client.reference(slot));
        }
        memory
    }

    /// A client took or gave bytes.
    #[inline]
    pub fn memory_changed(&mut self, slot: usize) {
        if self.clients.memory_limit != 0 {
            self.count_client(slot);
        }
    }

    pub fn count_client(&mut self, slot: usize) {
        // What a replica keeps is the stream, which is counted elsewhere.
        let is_replica = self.clients[slot].flags.has(Flags::REPLICA);
        let bytes = if is_replica { 0 } else { self.client_memory(slot).total() };
        self.clients.set_counted(slot, bytes);
        if self.clients.over_memory_limit() {
            self.exec.set_alarm(Alarm::CLIENT_MEMORY, true);
        }
    }

    /// Brings the limit in line with the configuration; all clients are counted anew for it.
    pub fn set_client_memory_limit(&mut self) {
        let limit = match self.config.maxmemory_clients {
            0 => 0,
            // A share of no limit is no limit, but one that may come.
            ..0 if self.config.maxmemory == 0 => usize::MAX,
            _ => (self.config.maxmemory_clients_bytes() as usize).max(LIMIT_MIN),
        };
        self.clients.memory_limit = limit;
        if limit != 0 {
            let slots: Vec<usize> = self.clients.iter().map(|(slot, _)| slot).collect();
            slots.into_iter().for_each(|slot| self.count_client(slot));
        }
    }

    /// Ends clients until all together take less than the limit.
    pub fn evict_clients(&mut self) {
        self.exec.set_alarm(Alarm::CLIENT_MEMORY, false);
        let candidates = self.clients.iter().filter(|(_, c)| {
            !c.flags.has(Flags(Flags::NO_EVICT.0 | Flags::REPLICA.0 | Flags::MASTER.0)) && c.counted > 0
        });
        let mut candidates: BinaryHeap<(usize, usize)> = candidates.map(|(slot, c)| (c.counted, slot)).collect();
        while self.clients.over_memory_limit() {
            let Some((_, slot)) = candidates.pop() else {
                return self.tell_nobody_left();
            };
            log::info!("Evicting client: {}", self.clients.describe(slot));
            self.stats.evicted_clients += 1;
            self.end_client(slot);
            // It goes with the end of the turn. Its memory goes now, or the next command would have keys evicted for it.
            let client = &mut self.clients[slot];
            client.input = Vec::new();
            *client.reply.bytes_mut() = Vec::new();
            client.sent = 0;
        }
    }

    /// Once a second at most: the state may last, and every turn finds it.
    fn tell_nobody_left(&mut self) {
        let now_ms = self.clock.mono_us() / 1000;
        if now_ms >= self.clients.upkeep.next_complaint_ms {
            self.clients.upkeep.next_complaint_ms = now_ms + 1000;
            log::warn!("Over client maxmemory after evicting all evictable clients");
        }
    }
}
