//! [`Loading`]: a stream put together from the parts that an RDB file or a DUMP payload holds.
//!
//! *Duty:* take the parts in the order in which they stand there, and refuse what no stream could be. *Does not
//! know:* how the parts are coded. *Invariants:* what [`Loading::finish`] gives is a stream whose invariants hold; the
//! room taken is in proportion to the bytes that came in. *Counterpart in C Redis:* the stream part of
//! `rdbLoadObject`.

use std::collections::btree_map::Entry as Slot;

use super::exchange::Reason;
use super::group::{ConsumerId, Group, Pending, UNKNOWN};
use super::id::StreamId;
use super::node::Node;
use super::{Log, Stream};

#[derive(Debug, Default)]
pub struct Loading {
    log: Log,
    stream: Stream,
}

/// The figures behind the nodes.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub length: u64,
    pub last_id: StreamId,
    /// Missing in files of 6.2 and before: greatest deleted id and number of entries added.
    pub added: Option<(StreamId, u64)>,
}

impl Loading {
    pub fn new() -> Loading {
        Loading::default()
    }

    /// The next node.
    pub fn node(&mut self, first: StreamId, listpack: &[u8]) -> Result<(), Reason> {
        let node = Node::from_listpack(first, listpack)?;
        let before = self.log.last_id;
        let entries = node.len() as u64;
        let mut walk = std::iter::once(&node).flat_map(|node| {
            let (begin, end) = node.span();
            (begin < end).then(|| (node.entry(begin).0.id, node.entry(node.before(end)).0.id))
        });
        if let Some((first_entry, last_entry)) = walk.next() {
            if self.log.length > 0 && first_entry <= before {
                return Err("nodes do not ascend");
            }
            self.log.last_id = last_entry;
        }
        self.log.length += entries;
        if self.log.push_node(node) { Ok(()) } else { Err("nodes do not ascend") }
    }

    /// What follows the nodes.
    pub fn figures(&mut self, figures: Figures) -> Result<(), Reason> {
        let log = &mut self.log;
        if figures.length != log.length {
            return Err("the length is not the number of entries");
        }
        if log.length > 0 && figures.last_id < log.last_id {
            return Err("the last id is below that of the last entry");
        }
        log.last_id = figures.last_id;
        (log.max_deleted_id, log.entries_added) = figures.added.unwrap_or((StreamId::MIN, figures.length));
        log.find_first_id();
        Ok(())
    }

    /// The next group; `entries_read` is missing in files of 6.2 and before. Its parts are given to it.
    pub fn group(
        &mut self,
        name: &[u8],
        last_id: StreamId,
        entries_read: Option<i64>,
    ) -> Result<LoadingGroup<'_>, Reason> {
        let entries_read = entries_read.unwrap_or_else(|| self.log.added_up_to(last_id).unwrap_or(UNKNOWN));
        match self.stream.body.groups.entry(name.into()) {
            Slot::Occupied(_) => Err("two groups of one name"),
            Slot::Vacant(slot) => Ok(LoadingGroup { group: slot.insert(Group::new(last_id, entries_read)), owned: 0 }),
        }
    }

    pub fn finish(mut self) -> Stream {
        self.stream.body.log = self.log;
        self.stream
    }
}

/// A group on its way in: first all that is pending, then the consumers, each with what is pending with it.
#[derive(Debug)]
pub struct LoadingGroup<'a> {
    group: &'a mut Group,
    owned: usize,
}

impl LoadingGroup<'_> {
    pub fn pending(&mut self, id: StreamId, delivery_time: i64, delivery_count: u64) -> Result<(), Reason> {
        let pending = Pending { delivery_time, delivery_count, consumer: ConsumerId::NONE };
        match self.group.pending.insert(id, pending) {
            None => Ok(()),
            Some(_) => Err("an id is pending twice"),
        }
    }

    /// The next consumer; `active_time` is missing in files of 7.0 and before.
    pub fn consumer(&mut self, name: &[u8], seen_time: i64, active_time: Option<i64>) -> Result<ConsumerId, Reason> {
        let id = self.group.add_consumer(name, seen_time).ok_or("Duplicate stream consumer detected")?;
        self.group.consumer_mut(id).active_time = active_time.unwrap_or(seen_time);
        Ok(id)
    }

    /// An id that is pending with `consumer`.
    pub fn owned(&mut self, consumer: ConsumerId, id: StreamId) -> Result<(), Reason> {
        let pending = self.group.pending.get_mut(&id).ok_or("a consumer has what is not pending")?;
        if pending.consumer != ConsumerId::NONE {
            return Err("Stream consumer PEL entry already has a consumer assigned");
        }
        pending.consumer = consumer;
        self.owned += 1;
        self.group.consumer_mut(consumer).pending.insert(id);
        Ok(())
    }

    pub fn finish(self) -> Result<(), Reason> {
        if self.owned == self.group.pending.len() { Ok(()) } else { Err("an entry is pending with nobody") }
    }
}
