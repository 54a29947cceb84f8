//! [`Prefixes`]: clients that want to hear of every changed key that begins with one of their prefixes (BCAST).
//!
//! *Duty:* gather the changed keys of each prefix until the loop sleeps, with who changed each last; hand them out as
//! one message a prefix. *Does not know:* who wants to be spared its own changes (NOLOOP).
//! *Invariants:* a prefix that nobody listens to is not in the table. A key is compared only with prefixes of the
//! lengths there are, however many prefixes have each length. *Counterpart in C Redis:* `PrefixTable`, `bcastState`.

use std::collections::{BTreeMap, BTreeSet};

use crate::call::{ClientId, ClientRef};

#[derive(Default)]
pub struct Prefixes {
    prefixes: BTreeMap<Box<[u8]>, Prefix>,
    /// The lengths of prefixes, and how many have each.
    lengths: BTreeMap<usize, usize>,
    /// Prefixes for which a changed key has been gathered.
    pending: BTreeSet<Box<[u8]>>,
}

#[derive(Default)]
struct Prefix {
    clients: BTreeSet<ClientRef>,
    /// Changed keys, and the client that changed each last, if it was one.
    keys: BTreeMap<Box<[u8]>, Option<ClientId>>,
}

/// The changed keys of one prefix, and who listens to it.
pub struct Broadcast {
    pub clients: Vec<ClientRef>,
    pub keys: BTreeMap<Box<[u8]>, Option<ClientId>>,
}

impl Prefixes {
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }

    pub fn add(&mut self, prefix: &[u8], who: ClientRef) {
        if !self.prefixes.contains_key(prefix) {
            *self.lengths.entry(prefix.len()).or_default() += 1;
        }
        self.prefixes.entry(prefix.into()).or_default().clients.insert(who);
    }

    pub fn remove(&mut self, prefix: &[u8], who: ClientRef) {
        let Some(state) = self.prefixes.get_mut(prefix) else { return };
        state.clients.remove(&who);
        if !state.clients.is_empty() {
            return;
        }
        self.prefixes.remove(prefix);
        self.pending.remove(prefix);
        if let Some(count) = self.lengths.get_mut(&prefix.len()) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    /// A key changed.
    pub fn note(&mut self, key: &[u8], by: Option<ClientId>) {
        for length in self.lengths.keys().take_while(|length| **length <= key.len()) {
            let prefix = &key[..*length];
            if let Some(state) = self.prefixes.get_mut(prefix) {
                if state.keys.is_empty() {
                    self.pending.insert(prefix.into());
                }
                state.keys.insert(key.into(), by);
            }
        }
    }

    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// What has been gathered, in the order of the prefixes.
    pub fn take_pending(&mut self) -> Vec<Broadcast> {
        let mut messages = Vec::new();
        for prefix in std::mem::take(&mut self.pending) {
            if let Some(state) = self.prefixes.get_mut(&prefix) {
                let clients = state.clients.iter().copied().collect();
                messages.push(Broadcast { clients, keys: std::mem::take(&mut state.keys) });
            }
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(n: u64) -> ClientRef {
        ClientRef { slot: n as u32, id: ClientId(n) }
    }

    #[test]
    fn keys_gather_under_every_prefix_they_begin_with() {
        let mut table = Prefixes::default();
        table.add(b"", client(1));
        table.add(b"a:", client(2));
        table.add(b"a:", client(3));
        table.add(b"b:", client(2));
        for (key, by) in [("a:2", Some(ClientId(9))), ("a:1", None), ("a", None), ("a:2", None)] {
            table.note(key.as_bytes(), by);
        }
        let told: Vec<_> = table
            .take_pending()
            .into_iter()
            .map(|b| {
                let keys: Vec<_> =
                    b.keys.into_iter().map(|(k, by)| (String::from_utf8(k.into()).unwrap(), by)).collect();
                (b.clients.iter().map(|c| c.id.0).collect::<Vec<_>>(), keys)
            })
            .collect();
        let key = |name: &str| (name.to_owned(), None);
        let expected = [(vec![1], vec![key("a"), key("a:1"), key("a:2")]), (vec![2, 3], vec![key("a:1"), key("a:2")])];
        assert_eq!(told, expected);
        assert!(!table.has_pending() && table.take_pending().is_empty());
    }

    #[test]
    fn a_prefix_leaves_with_its_last_client() {
        let mut table = Prefixes::default();
        table.add(b"a", client(1));
        table.add(b"a", client(2));
        table.note(b"abc", None);
        table.remove(b"a", client(1));
        assert_eq!((table.len(), table.has_pending()), (1, true));
        table.remove(b"a", client(2));
        assert!(table.is_empty() && !table.has_pending() && table.lengths.is_empty());
        table.note(b"abc", None);
        assert!(!table.has_pending());
    }
}
