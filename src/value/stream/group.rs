//! [`Group`]: a consumer group, what it has delivered, and to whom.
//!
//! *Duty:* keep consumers and pending entries in step: who has what, since when, how often. *Does not know:* the
//! entries themselves, the clock. *Invariants:* every pending entry belongs to one consumer and stands in that
//! consumer's set; a [`ConsumerId`] is good until its consumer is removed. *Counterpart in C Redis:* `streamCG`,
//! `streamConsumer`, `streamNACK`.

use std::collections::{BTreeMap, BTreeSet};

use super::id::StreamId;

/// The value of [`Group::entries_read`] when it is not known how many entries a group has read.
pub const UNKNOWN: i64 = -1;

#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The greatest id delivered.
    pub last_id: StreamId,
    /// How many entries were read, or [`UNKNOWN`].
    pub entries_read: i64,
    pub(super) pending: BTreeMap<StreamId, Pending>,
    consumers: Vec<Option<Consumer>>,
    /// The consumers in the order of their names.
    order: Vec<ConsumerId>,
    free: Vec<ConsumerId>,
}

/// A consumer's place in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerId(u32);

impl ConsumerId {
    /// The owner of an entry that has none yet, while a group is being loaded.
    pub(super) const NONE: ConsumerId = ConsumerId(u32::MAX);
}

/// An entry delivered and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Unix milliseconds.
    pub delivery_time: i64,
    pub delivery_count: u64,
    pub consumer: ConsumerId,
}

#[derive(Clone, Debug)]
pub struct Consumer {
    name: Box<[u8]>,
    /// When it last asked for something, Unix milliseconds.
    pub seen_time: i64,
    /// When it last got something, Unix milliseconds; below zero: never.
    pub active_time: i64,
    pub(super) pending: BTreeSet<StreamId>,
}

impl Consumer {
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// What is pending with it, in order.
    pub fn pending(&self) -> &BTreeSet<StreamId> {
        &self.pending
    }
}

impl Group {
    pub fn new(last_id: StreamId, entries_read: i64) -> Group {
        Group { last_id, entries_read, ..Group::default() }
    }

    /// What is pending, in order.
    pub fn pending(&self) -> &BTreeMap<StreamId, Pending> {
        &self.pending
    }

    pub fn consumer_count(&self) -> usize {
        self.order.len()
    }

    /// The consumers in the order of their names.
    pub fn consumers(&self) -> impl ExactSizeIterator<Item = &Consumer> {
        self.order.iter().map(|id| self.consumer(*id))
    }

    pub fn consumer(&self, id: ConsumerId) -> &Consumer {
        self.consumers[id.0 as usize].as_ref().expect("an id outlives its consumer nowhere")
    }

    pub fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        self.consumers[id.0 as usize].as_mut().expect("an id outlives its consumer nowhere")
    }

    fn place(&self, name: &[u8]) -> Result<usize, usize> {
        self.order.binary_search_by(|id| self.consumer(*id).name().cmp(name))
    }

    pub fn find(&self, name: &[u8]) -> Option<ConsumerId> {
        self.place(name).ok().map(|at| self.order[at])
    }

    /// A new consumer, seen at `now`; none if there is one of that name.
    pub fn add_consumer(&mut self, name: &[u8], now: i64) -> Option<ConsumerId> {
        let at = self.place(name).err()?;
        let consumer = Consumer { name: name.into(), seen_time: now, active_time: -1, pending: BTreeSet::new() };
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.consumers.push(None);
                ConsumerId(self.consumers.len() as u32 - 1)
            }
        };
        self.consumers[id.0 as usize] = Some(consumer);
        self.order.insert(at, id);
        Some(id)
    }

    /// Removes a consumer and what is pending with it, and tells how much that was.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let at = self.place(name).ok()?;
        let id = self.order.remove(at);
        let consumer = self.consumers[id.0 as usize].take().expect("it was just found");
        self.free.push(id);
        for pending in &consumer.pending {
            self.pending.remove(pending);
        }
        Some(consumer.pending.len())
    }

    /// An entry was delivered for the first time, or anew after the group was set back: its count begins at one.
    pub fn deliver(&mut self, id: StreamId, consumer: ConsumerId, now: i64) -> Pending {
        let pending = Pending { delivery_time: now, delivery_count: 1, consumer };
        self.set_pending(id, pending);
        pending
    }

    /// Makes `pending` what is known of `id`, whoever had it before.
    pub fn set_pending(&mut self, id: StreamId, pending: Pending) {
        match self.pending.insert(id, pending) {
            Some(before) if before.consumer == pending.consumer => return,
            Some(before) => {
                self.consumer_mut(before.consumer).pending.remove(&id);
            }
            None => {}
        }
        self.consumer_mut(pending.consumer).pending.insert(id);
    }

    /// Takes an entry off the pending ones.
    pub fn acknowledge(&mut self, id: StreamId) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        self.consumer_mut(pending.consumer).pending.remove(&id);
        Some(pending)
    }

    /// Notes that an entry was delivered once more to the consumer that has it.
    pub fn deliver_again(&mut self, id: StreamId, now: i64) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.delivery_time = now;
            pending.delivery_count = pending.delivery_count.wrapping_add(1);
        }
    }

    /// Heap bytes.
    pub fn memory(&self) -> usize {
        /// What a map takes for an entry, at the filling that ascending keys give it.
        const PENDING: usize = (size_of::<StreamId>() * 2 + size_of::<Pending>()) * 2;
        const SAMPLES: usize = 16;
        let (sampled, count) = (self.consumers().take(SAMPLES), self.consumer_count());
        let names = sampled.map(|c| c.name.len()).sum::<usize>() * count / count.clamp(1, SAMPLES);
        self.pending.len() * PENDING + self.consumers.capacity() * size_of::<Option<Consumer>>() + names
    }
}
