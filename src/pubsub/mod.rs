//! Who listens to which channel.
//!
//! *Duty:* the tables of channels and patterns, and the answer to "who gets this message, and under which pattern".
//! *Does not know:* connections beyond their [`ClientRef`], how a message is written. *Invariant:* a channel or
//! pattern without subscribers is not in the tables. *Counterpart in C Redis:* `pubsub.c`.

use std::collections::{BTreeSet, HashMap};

use crate::base::glob::{self, Case};
use crate::call::ClientRef;

type Channels = HashMap<Box<[u8]>, Vec<ClientRef>>;

#[derive(Default)]
pub struct PubSub {
    channels: Channels,
    /// Channels that belong to the slot of a cluster which their name hashes to: another space of names.
    shard_channels: Channels,
    /// In the order of their first subscription, in which they are served.
    patterns: Vec<(Box<[u8]>, Vec<ClientRef>)>,
}

/// One connection's own list; most connections have none.
#[derive(Default, Debug)]
pub struct Subscriptions {
    pub channels: BTreeSet<Box<[u8]>>,
    pub shard_channels: BTreeSet<Box<[u8]>>,
    pub patterns: Vec<Box<[u8]>>,
}

/// What one subscription takes, here and in the table, roughly and without its name.
const SUBSCRIPTION_BYTES: usize = 64;

impl Subscriptions {
    /// The number that a confirmation for `kind` tells: shard channels are counted by themselves.
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Channel | Kind::Pattern => self.channels.len() + self.patterns.len(),
            Kind::Shard => self.shard_channels.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shard_channels.is_empty()
    }

    /// The names of one kind, in the order in which they are given up when all are.
    pub fn names(&self, kind: Kind) -> Vec<Box<[u8]>> {
        match kind {
            Kind::Channel => self.channels.iter().cloned().collect(),
            Kind::Shard => self.shard_channels.iter().cloned().collect(),
            Kind::Pattern => self.patterns.clone(),
        }
    }

    /// Bytes held for a client's subscriptions.
    pub fn memory(&self) -> usize {
        let count = self.channels.len() + self.patterns.len() + self.shard_channels.len();
        size_of::<Subscriptions>() + count * SUBSCRIPTION_BYTES
    }
}

/// Channels by their full name, all that match a pattern, or a cluster's shard channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Channel,
    Pattern,
    Shard,
}

impl PubSub {
    /// Nobody listens to what PUBLISH sends.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty()
    }

    /// Adds a subscription. `false`: it was there.
    pub fn subscribe(&mut self, kind: Kind, who: ClientRef, own: &mut Subscriptions, name: &[u8]) -> bool {
        let (table, set) = match kind {
            Kind::Channel => (&mut self.channels, &mut own.channels),
            Kind::Shard => (&mut self.shard_channels, &mut own.shard_channels),
            Kind::Pattern => return self.subscribe_pattern(who, own, name),
        };
        if !set.insert(name.into()) {
            return false;
        }
        table.entry(name.into()).or_default().push(who);
        true
    }

    fn subscribe_pattern(&mut self, who: ClientRef, own: &mut Subscriptions, name: &[u8]) -> bool {
        if own.patterns.iter().any(|pattern| &**pattern == name) {
            return false;
        }
        own.patterns.push(name.into());
        match self.patterns.iter_mut().find(|(p, _)| &**p == name) {
            Some((_, clients)) => clients.push(who),
            None => self.patterns.push((name.into(), vec![who])),
        }
        true
    }

    /// Ends a subscription. `false`: there was none.
    pub fn unsubscribe(&mut self, kind: Kind, who: ClientRef, own: &mut Subscriptions, name: &[u8]) -> bool {
        let was_there = match kind {
            Kind::Channel => own.channels.remove(name),
            Kind::Shard => own.shard_channels.remove(name),
            Kind::Pattern => match own.patterns.iter().position(|pattern| &**pattern == name) {
                Some(at) => {
                    own.patterns.remove(at);
                    true
                }
                None => false,
            },
        };
        if was_there {
            self.forget(kind, who, name);
        }
        was_there
    }

    /// Takes a connection that goes away out of the tables.
    pub fn drop_client(&mut self, who: ClientRef, own: &Subscriptions) {
        own.channels.iter().for_each(|name| self.forget(Kind::Channel, who, name));
        own.shard_channels.iter().for_each(|name| self.forget(Kind::Shard, who, name));
        own.patterns.iter().for_each(|name| self.forget(Kind::Pattern, who, name));
    }

    fn forget(&mut self, kind: Kind, who: ClientRef, name: &[u8]) {
        let table = match kind {
            Kind::Channel => &mut self.channels,
            Kind::Shard => &mut self.shard_channels,
            Kind::Pattern => {
                let Some(at) = self.patterns.iter().position(|(p, _)| &**p == name) else { return };
                self.patterns[at].1.retain(|c| *c != who);
                if self.patterns[at].1.is_empty() {
                    self.patterns.remove(at);
                }
                return;
            }
        };
        if let Some(clients) = table.get_mut(name) {
            clients.retain(|c| *c != who);
            if clients.is_empty() {
                table.remove(name);
            }
        }
    }

    /// Calls `deliver` for each receiver of a message: first those of the channel, then those of each pattern that
    /// matches, with the pattern. Returns how many there were.
    pub fn receivers(&self, channel: &[u8], mut deliver: impl FnMut(ClientRef, Option<&[u8]>)) -> usize {
        let mut count = 0;
        for client in self.channels.get(channel).into_iter().flatten() {
            deliver(*client, None);
            count += 1;
        }
        for (pattern, clients) in &self.patterns {
            if glob::matches(pattern, channel, Case::Sensitive) {
                clients.iter().for_each(|client| deliver(*client, Some(pattern)));
                count += clients.len();
            }
        }
        count
    }

    /// The receivers of a message to a shard channel.
    pub fn shard_receivers(&self, channel: &[u8]) -> &[ClientRef] {
        self.shard_channels.get(channel).map_or(&[], Vec::as_slice)
    }

    fn table(&self, kind: Kind) -> &Channels {
        if kind == Kind::Shard { &self.shard_channels } else { &self.channels }
    }

    /// PUBSUB CHANNELS and SHARDCHANNELS.
    pub fn channels(&self, kind: Kind, pattern: Option<&[u8]>) -> impl Iterator<Item = &[u8]> {
        let wanted = move |name: &&[u8]| pattern.is_none_or(|p| glob::matches(p, name, Case::Sensitive));
        self.table(kind).keys().map(|name| &**name).filter(wanted)
    }

    /// PUBSUB NUMSUB and SHARDNUMSUB.
    pub fn subscribers(&self, kind: Kind, channel: &[u8]) -> usize {
        self.table(kind).get(channel).map_or(0, Vec::len)
    }

    pub fn channel_count(&self, kind: Kind) -> usize {
        self.table(kind).len()
    }

    /// PUBSUB NUMPAT: patterns, each counted once.
    pub fn pattern_count(&self) -> usize {
        self.patterns.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::ClientId;

    fn client(id: u64) -> ClientRef {
        ClientRef { slot: id as u32, id: ClientId(id) }
    }

    #[test]
    fn a_message_goes_to_channel_and_matching_patterns_and_to_nobody_who_left() {
        let (mut table, mut a, mut b) = (PubSub::default(), Subscriptions::default(), Subscriptions::default());
        assert!(table.subscribe(Kind::Channel, client(1), &mut a, b"news"));
        assert!(!table.subscribe(Kind::Channel, client(1), &mut a, b"news"));
        assert!(table.subscribe(Kind::Pattern, client(2), &mut b, b"n*"));
        assert!(table.subscribe(Kind::Pattern, client(1), &mut a, b"x*"));
        let mut seen = vec![];
        let count = table.receivers(b"news", |c, p| seen.push((c.id.0, p.map(<[u8]>::to_vec))));
        assert_eq!((count, seen), (2, vec![(1, None), (2, Some(b"n*".to_vec()))]));
        assert!(table.unsubscribe(Kind::Pattern, client(2), &mut b, b"n*"));
        table.drop_client(client(1), &a);
        assert!(table.is_empty());
    }

    #[test]
    fn shard_channels_have_names_of_their_own() {
        let (mut table, mut own) = (PubSub::default(), Subscriptions::default());
        table.subscribe(Kind::Pattern, client(1), &mut own, b"*");
        table.subscribe(Kind::Channel, client(1), &mut own, b"news");
        assert_eq!(table.shard_receivers(b"news"), []);
        assert!(table.subscribe(Kind::Shard, client(1), &mut own, b"news"));
        assert!(!table.subscribe(Kind::Shard, client(1), &mut own, b"news"));
        assert_eq!((own.count(Kind::Shard), own.count(Kind::Channel)), (1, 2));
        assert_eq!(table.shard_receivers(b"news"), [client(1)]);
        assert!(table.unsubscribe(Kind::Channel, client(1), &mut own, b"news"));
        assert_eq!((table.subscribers(Kind::Shard, b"news"), table.subscribers(Kind::Channel, b"news")), (1, 0));
        table.drop_client(client(1), &own);
        assert_eq!(table.channels(Kind::Shard, None).count(), 0);
    }
}
