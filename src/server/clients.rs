//! [`Clients`]: all connections, and the queues of what must be done for them.
//!
//! *Duty:* hand out slots and ids, find clients, remember who has replies to write, bytes to read, or must go.
//! *Does not know:* what is written or read. *Invariants:* an id is never used twice; a slot named in a queue may
//! have been freed since, so whoever drains a queue checks; clients are freed in `before_sleep` only.
//! *Counterpart in C Redis:* `server.clients`, `clients_pending_write`, `clients_to_close`.

use std::collections::VecDeque;
use std::ops::{Index, IndexMut};

use slab::Slab;

use super::client::{Client, Flags, Upkeep};
use crate::call::{ClientId, ClientRef};

#[derive(Default)]
pub struct Clients {
    slots: Slab<Box<Client>>,
    last_id: u64,
    to_write: Vec<u32>,
    to_read: VecDeque<u32>,
    to_close: Vec<u32>,
    /// Clients that wait: for keys, or for the end of a pause.
    pub blocked: usize,
    /// Bytes of all clients, as far as they have been counted; see [`Client::counted`].
    memory: usize,
    /// What all together may take; 0 is no limit.
    pub memory_limit: usize,
    pub upkeep: Upkeep,
}

impl Clients {
    pub fn next_id(&mut self) -> ClientId {
        self.last_id += 1;
        ClientId(self.last_id)
    }

    pub fn insert(&mut self, client: Client) -> usize {
        self.memory += client.counted;
        self.slots.insert(Box::new(client))
    }

    /// The slot that the next insert will take.
    pub fn vacant_slot(&self) -> usize {
        self.slots.vacant_key()
    }

    pub fn remove(&mut self, slot: usize) -> Box<Client> {
        self.set_counted(slot, 0);
        self.slots.remove(slot)
    }

    /// Slots there are, free ones included.
    pub fn slot_count(&self) -> usize {
        self.slots.capacity()
    }

    pub fn memory(&self) -> usize {
        self.memory
    }

    /// A client takes so many bytes now. One that is about to be closed counts no more.
    pub fn set_counted(&mut self, slot: usize, bytes: usize) {
        let client = &mut self.slots[slot];
        let bytes = if client.flags.has(Flags::CLOSE_ASAP) { 0 } else { bytes };
        self.memory = self.memory - client.counted + bytes;
        client.counted = bytes;
    }

    #[inline]
    pub fn over_memory_limit(&self) -> bool {
        self.memory_limit != 0 && self.memory >= self.memory_limit
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub fn get(&self, slot: usize) -> Option<&Client> {
        self.slots.get(slot).map(|c| &**c)
    }

    pub fn get_mut(&mut self, slot: usize) -> Option<&mut Client> {
        self.slots.get_mut(slot).map(|c| &mut **c)
    }

    /// The client that `reference` means, if it is still there.
    pub fn find(&mut self, reference: ClientRef) -> Option<&mut Client> {
        self.get_mut(reference.slot as usize).filter(|c| c.id == reference.id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (usize, &Client)> {
        self.slots.iter().map(|(slot, client)| (slot, &**client))
    }

    /// Those that are not about to be freed: for everybody who asks, the others are gone already.
    pub fn open(&self) -> impl Iterator<Item = (usize, &Client)> {
        self.iter().filter(|(_, client)| !client.flags.has(Flags::CLOSE_ASAP))
    }

    pub fn open_count(&self) -> usize {
        self.slots.len() - self.to_close.len()
    }

    pub fn by_id(&self, id: ClientId) -> Option<usize> {
        self.open().find(|(_, c)| c.id == id).map(|(slot, _)| slot)
    }

    /// Has replies: they are written before the loop sleeps.
    #[inline]
    pub fn wants_write(&mut self, slot: usize) {
        let client = &mut self.slots[slot];
        if !client.flags.has(Flags(Flags::WRITE_PENDING.0 | Flags::WRITE_BLOCKED.0 | Flags::CLOSE_ASAP.0)) {
            client.flags.set(Flags::WRITE_PENDING);
            self.to_write.push(slot as u32);
        }
    }

    /// The socket may hold more than was read.
    pub fn read_again(&mut self, slot: usize) {
        let client = &mut self.slots[slot];
        if !client.flags.has(Flags(Flags::READ_PENDING.0 | Flags::CLOSE_ASAP.0)) {
            client.flags.set(Flags::READ_PENDING);
            self.to_read.push_back(slot as u32);
        }
    }

    /// To be freed before the loop sleeps.
    pub fn close_asap(&mut self, slot: usize) {
        let client = &mut self.slots[slot];
        if !client.flags.has(Flags::CLOSE_ASAP) {
            client.flags.set(Flags::CLOSE_ASAP);
            self.to_close.push(slot as u32);
            self.set_counted(slot, 0);
        }
    }

    /// As [`Clients::wants_write`], for one whose flag is set although no list names it.
    pub fn write_listed(&mut self, slot: usize) {
        self.to_write.push(slot as u32);
    }

    /// Clients with replies to write.
    pub fn writers(&self) -> usize {
        self.to_write.len()
    }

    pub fn take_writers(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.to_write)
    }

    /// Gives the emptied list back, so that its memory is used again.
    pub fn return_writers(&mut self, mut list: Vec<u32>) {
        list.clear();
        if self.to_write.is_empty() {
            self.to_write = list;
        }
    }

    pub fn take_closing(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.to_close)
    }

    /// The next client whose socket may hold more, among the first `n`.
    pub fn next_reader(&mut self) -> Option<usize> {
        let slot = self.to_read.pop_front()? as usize;
        if let Some(client) = self.get_mut(slot) {
            client.flags.clear(Flags::READ_PENDING);
        }
        Some(slot)
    }

    pub fn readers(&self) -> usize {
        self.to_read.len()
    }

    /// Anything left to do that must not wait for an event.
    pub fn busy(&self) -> bool {
        !self.to_read.is_empty() || !self.to_write.is_empty() || !self.to_close.is_empty()
    }

    /// A client in a log line.
    pub fn describe(&self, slot: usize) -> String {
        let client = &self[slot];
        let peer = client.stream.peer().map_or_else(|| "unixsocket".to_owned(), |a| a.to_string());
        let name = String::from_utf8_lossy(client.name()).into_owned();
        format!("id={} addr={peer} fd={} name={name} db={}", client.id.0, client.stream.fd(), client.db.0)
    }
}

impl Index<usize> for Clients {
    type Output = Client;
    #[inline]
    fn index(&self, slot: usize) -> &Client {
        &self.slots[slot]
    }
}

impl IndexMut<usize> for Clients {
    #[inline]
    fn index_mut(&mut self, slot: usize) -> &mut Client {
        &mut self.slots[slot]
    }
}
