//! Messages to subscribers: PUBLISH and keyspace notifications.
//!
//! *Duty:* write a message into the replies of each receiver, in its protocol. *Does not know:* who asked.
//! *Counterpart in C Redis:* `pubsubPublishMessage`, `notifyKeyspaceEvent`.

use crate::call::{Class, ClientRef, Notice};
use crate::config::NotifyFlags;
use crate::server::Server;
use crate::server::client::Client;

/// The configuration's classes and the effects' ones.
const CLASSES: [(NotifyFlags, Class); 11] = [
    (NotifyFlags::GENERIC, Class::GENERIC),
    (NotifyFlags::STRING, Class::STRING),
    (NotifyFlags::LIST, Class::LIST),
    (NotifyFlags::SET, Class::SET),
    (NotifyFlags::HASH, Class::HASH),
    (NotifyFlags::ZSET, Class::ZSET),
    (NotifyFlags::EXPIRED, Class::EXPIRED),
    (NotifyFlags::EVICTED, Class::EVICTED),
    (NotifyFlags::STREAM, Class::STREAM),
    (NotifyFlags::KEY_MISS, Class::KEY_MISS),
    (NotifyFlags::NEW, Class::NEW),
];

impl Server {
    /// Sends a message to all who listen; returns how many there were.
    pub fn publish(&mut self, channel: &[u8], message: &[u8]) -> usize {
        if self.pubsub.is_empty() {
            return 0;
        }
        let mut receivers: Vec<(ClientRef, Option<Vec<u8>>)> = Vec::new();
        let count = self.pubsub.receivers(channel, |who, pattern| receivers.push((who, pattern.map(<[u8]>::to_vec))));
        for (who, pattern) in receivers {
            let Some(out) = self.clients.find(who).and_then(Client::push_buffer) else { continue };
            match pattern {
                None => {
                    out.push(3);
                    out.bulk(b"message");
                }
                Some(pattern) => {
                    out.push(4);
                    out.bulk(b"pmessage");
                    out.bulk(&pattern);
                }
            }
            out.bulk(channel);
            out.bulk(message);
            self.after_output(who.slot as usize);
        }
        count
    }

    /// Sends a message to those who listen to a shard channel; returns how many there are.
    pub fn publish_to_shard(&mut self, channel: &[u8], message: &[u8]) -> usize {
        let receivers = self.pubsub.shard_receivers(channel).to_vec();
        for who in &receivers {
            let Some(out) = self.clients.find(*who).and_then(Client::push_buffer) else { continue };
            out.push(3);
            out.bulk(b"smessage");
            out.bulk(channel);
            out.bulk(message);
            self.after_output(who.slot as usize);
        }
        receivers.len()
    }

    /// The event classes somebody could hear of.
    pub(super) fn wanted_events(&self) -> Class {
        let flags = self.config.notify_keyspace_events;
        let anywhere = NotifyFlags::KEYSPACE.with(NotifyFlags::KEYEVENT);
        if self.pubsub.is_empty() || !flags.intersects(anywhere) {
            return Class::default();
        }
        let wanted = CLASSES.iter().filter(|(flag, _)| flags.contains(*flag));
        Class(wanted.fold(0, |bits, (_, class)| bits | class.0))
    }

    pub(super) fn publish_notice(&mut self, notice: &Notice) {
        let (flags, db) = (self.config.notify_keyspace_events, notice.db.0);
        if flags.contains(NotifyFlags::KEYSPACE) {
            let channel = [format!("__keyspace@{db}__:").as_bytes(), &notice.key].concat();
            self.publish(&channel, notice.event.name.as_bytes());
        }
        if flags.contains(NotifyFlags::KEYEVENT) {
            let channel = format!("__keyevent@{db}__:{}", notice.event.name);
            self.publish(channel.as_bytes(), &notice.key);
        }
    }
}
