//! WATCH: who wants to know that a key changed before EXEC.
//!
//! *Duty:* the table from keys to clients, and each client's own list. *Does not know:* transactions.
//! *Invariant:* a client is in the table exactly for the keys in its own list. *Counterpart in C Redis:* the
//! WATCH half of `multi.c`.

use std::collections::HashMap;

use super::Server;
use super::client::Flags;
use crate::base::millis::Millis;
use crate::call::{ClientRef, DbId};

type Key = (DbId, Box<[u8]>);

#[derive(Default)]
pub struct Watch {
    keys: HashMap<Key, Vec<ClientRef>>,
    /// Each client's keys, and whether the key was overdue already when the watch began.
    clients: HashMap<ClientRef, Vec<(Key, bool)>>,
}

impl Watch {
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// The keys of one database that somebody watches.
    pub fn keys_in(&self, db: DbId) -> impl Iterator<Item = &[u8]> {
        let keys = self.keys.keys().filter(move |(d, _)| *d == db);
        keys.map(|(_, key)| &**key)
    }

    /// Bytes that a client's watched keys take, without their names.
    pub fn memory_of(&self, client: ClientRef) -> usize {
        let (own, shared) = (size_of::<(Key, bool)>(), size_of::<(Key, Vec<ClientRef>)>());
        self.clients.get(&client).map_or(0, |keys| keys.capacity() * own + keys.len() * shared)
    }

    fn add(&mut self, client: ClientRef, db: DbId, key: &[u8], overdue: bool) {
        let own = self.clients.entry(client).or_default();
        if own.iter().any(|((d, k), _)| *d == db && &**k == key) {
            return;
        }
        own.push(((db, key.into()), overdue));
        self.keys.entry((db, key.into())).or_default().push(client);
    }

    /// Whether this client's key was overdue when it was last looked at.
    fn overdue_mark(&mut self, client: ClientRef, db: DbId, key: &[u8]) -> Option<&mut bool> {
        let own = self.clients.get_mut(&client)?;
        own.iter_mut().find(|((d, k), _)| *d == db && &**k == key).map(|(_, overdue)| overdue)
    }

    fn remove(&mut self, client: ClientRef) {
        for (key, _) in self.clients.remove(&client).unwrap_or_default() {
            if let Some(watchers) = self.keys.get_mut(&key) {
                watchers.retain(|c| *c != client);
                if watchers.is_empty() {
                    self.keys.remove(&key);
                }
            }
        }
    }
}

impl Server {
    pub fn watch_key(&mut self, slot: usize, key: &[u8]) {
        let (who, db) = (self.clients[slot].reference(slot), self.clients[slot].db);
        let overdue = self.is_overdue(db, key, self.clock.now());
        self.watch.add(who, db, key, overdue);
        self.clients[slot].flags.set(Flags::WATCHING);
        self.refresh_wants();
    }

    pub fn unwatch(&mut self, slot: usize) {
        let client = &mut self.clients[slot];
        if !client.flags.has(Flags::WATCHING) {
            return;
        }
        client.flags.clear(Flags::WATCHING);
        let who = self.clients[slot].reference(slot);
        self.watch.remove(who);
        self.refresh_wants();
    }

    fn is_overdue(&self, db: DbId, key: &[u8], now: Millis) -> bool {
        let entries = &self.ks.db(db).entries;
        entries.get(entries.hash(key), key).is_some_and(|e| e.is_expired(now))
    }

    /// A watched key ran out after the watch began, and nobody has taken it out yet.
    pub fn watched_key_expired(&self, slot: usize) -> bool {
        let who = self.clients[slot].reference(slot);
        let own = self.watch.clients.get(&who).map(Vec::as_slice).unwrap_or_default();
        own.iter().any(|((db, key), overdue)| !overdue && self.is_overdue(*db, key, self.clock.now()))
    }

    /// A key changed: whoever watches it cannot EXEC any more.
    pub fn touch_watchers(&mut self, db: DbId, key: &[u8]) {
        if self.watch.is_empty() {
            return;
        }
        let Some(watchers) = self.watch.keys.get(&(db, Box::from(key))) else {
            return;
        };
        for who in watchers.clone() {
            // A key that was gone for its deadline when the watch began and is deleted now has not changed.
            let was_overdue = self
                .watch
                .clients
                .get(&who)
                .is_some_and(|own| own.iter().any(|((d, k), overdue)| *overdue && *d == db && &**k == key));
            if was_overdue && !self.key_exists(db, key) {
                continue;
            }
            if let Some(client) = self.clients.find(who) {
                client.flags.set(Flags::DIRTY_CAS);
            }
        }
    }

    /// Database `db` got other contents; what it had before is now in `before`. A watched key has changed unless it
    /// was absent (or overdue from the start of the watch) and still is, absent or overdue.
    fn watched_keys_replaced(&mut self, db: DbId, before: DbId) {
        let keys: Vec<Key> = self.watch.keys.keys().filter(|(d, _)| *d == db).cloned().collect();
        for (db, key) in keys {
            let (was_there, is_there) = (self.key_exists(before, &key), self.key_exists(db, &key));
            let is_overdue = self.is_overdue(db, &key, self.clock.now());
            if !was_there && !is_there {
                continue;
            }
            for who in self.watch.keys.get(&(db, key.clone())).cloned().unwrap_or_default() {
                let changed = match self.watch.overdue_mark(who, db, &key) {
                    Some(overdue) if (*overdue || !was_there) && (is_overdue || !is_there) => {
                        *overdue = is_overdue;
                        false
                    }
                    _ => true,
                };
                if let Some(client) = self.clients.find(who).filter(|_| changed) {
                    client.flags.set(Flags::DIRTY_CAS);
                }
            }
        }
    }

    pub fn key_exists(&self, db: DbId, key: &[u8]) -> bool {
        let entries = &self.ks.db(db).entries;
        entries.get(entries.hash(key), key).is_some()
    }

    /// The whole data set was replaced: each key that somebody waits for may be there now.
    pub fn wake_all_waiters(&mut self) {
        let dbs: Vec<DbId> = (0..self.ks.dbs.len()).map(|i| DbId(i as u32)).collect();
        for (db, key) in self.blocking.awaited_in(&dbs) {
            self.blocking.note_ready(db, &key);
        }
        self.serve_blocked();
    }

    /// SWAPDB exchanged two databases: for watchers, keys in both may have changed; for waiters, keys may have come
    /// or gone.
    pub fn databases_swapped(&mut self, first: DbId, second: DbId) {
        self.watched_keys_replaced(first, second);
        self.watched_keys_replaced(second, first);
        for (db, key) in self.blocking.awaited_in(&[first, second]) {
            self.blocking.note_ready(db, &key);
        }
    }
}
