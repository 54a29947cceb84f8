//! Who listens to which channel.
//!
//! *Duty:* the tables of channels and patterns, and the answer to "who gets this message, and under which pattern".
//! *Does not know:* connections beyond their [`ClientRef`], how a message is written. *Invariant:* a channel or
//! pattern without subscribers is not in the tables. *Counterpart in C Redis:* `pubsub.c`.

use std::collections::HashMap;

use crate::base::glob::{self, Case};
use crate::call::ClientRef;

#[derive(Default)]
pub struct PubSub {
    channels: HashMap<Box<[u8]>, Vec<ClientRef>>,
    /// In the order of their first subscription, in which they are served.
    patterns: Vec<(Box<[u8]>, Vec<ClientRef>)>,
}

/// One connection's own list; most connections have none.
#[derive(Default, Debug)]
pub struct Subscriptions {
    pub channels: Vec<Box<[u8]>>,
    pub patterns: Vec<Box<[u8]>>,
}

impl Subscriptions {
    pub fn count(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }
}

/// Channels by their full name, or all that match a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Channel,
    Pattern,
}

impl PubSub {
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty()
    }

    /// Adds a subscription. `false`: it was there.
    pub fn subscribe(&mut self, kind: Kind, who: ClientRef, own: &mut Subscriptions, name: &[u8]) -> bool {
        let list = match kind {
            Kind::Channel => &mut own.channels,
            Kind::Pattern => &mut own.patterns,
        };
        if list.iter().any(|n| &**n == name) {
            return false;
        }
        list.push(name.into());
        match kind {
            Kind::Channel => self.channels.entry(name.into()).or_default().push(who),
            Kind::Pattern => match self.patterns.iter_mut().find(|(p, _)| &**p == name) {
                Some((_, clients)) => clients.push(who),
                None => self.patterns.push((name.into(), vec![who])),
            },
        }
        true
    }

    /// Ends a subscription. `false`: there was none.
    pub fn unsubscribe(&mut self, kind: Kind, who: ClientRef, own: &mut Subscriptions, name: &[u8]) -> bool {
        let list = match kind {
            Kind::Channel => &mut own.channels,
            Kind::Pattern => &mut own.patterns,
        };
        let Some(at) = list.iter().position(|n| &**n == name) else {
            return false;
        };
        list.remove(at);
        self.forget(kind, who, name);
        true
    }

    /// Takes a connection that goes away out of the tables.
    pub fn drop_client(&mut self, who: ClientRef, own: &Subscriptions) {
        own.channels.iter().for_each(|name| self.forget(Kind::Channel, who, name));
        own.patterns.iter().for_each(|name| self.forget(Kind::Pattern, who, name));
    }

    fn forget(&mut self, kind: Kind, who: ClientRef, name: &[u8]) {
        match kind {
            Kind::Channel => {
                let Some(clients) = self.channels.get_mut(name) else {
                    return;
                };
                clients.retain(|c| *c != who);
                if clients.is_empty() {
                    self.channels.remove(name);
                }
            }
            Kind::Pattern => {
                let Some(at) = self.patterns.iter().position(|(p, _)| &**p == name) else {
                    return;
                };
                self.patterns[at].1.retain(|c| *c != who);
                if self.patterns[at].1.is_empty() {
                    self.patterns.remove(at);
                }
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

    /// PUBSUB CHANNELS.
    pub fn channels(&self, pattern: Option<&[u8]>) -> impl Iterator<Item = &[u8]> {
        let wanted = move |name: &&[u8]| pattern.is_none_or(|p| glob::matches(p, name, Case::Sensitive));
        self.channels.keys().map(|name| &**name).filter(wanted)
    }

    /// PUBSUB NUMSUB.
    pub fn subscribers(&self, channel: &[u8]) -> usize {
        self.channels.get(channel).map_or(0, Vec::len)
    }

    pub fn channel_count(&self) -> usize {
        self.channels.len()
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
}
