//! [`Log`]: the entries of a stream, in the order of their ids.
//!
//! *Duty:* append, find, remove and trim entries, and keep the figures that belong to them. *Does not know:* consumer
//! groups, keys, the clock. *Invariants:* nodes are ordered by their first id; the last node, which grows, stands apart
//! from the map of the others, so that appending looks nothing up and a short stream needs no map; `length` is the
//! number of entries in all nodes. *Counterpart in C Redis:* the radix tree of `stream` in `t_stream.c`.
//!
//! A node may be empty of entries: trimming by id can leave one whose last entry was deleted before and is not below
//! the bound, and then it stays, since clients can count nodes.

use std::collections::BTreeMap;

use super::id::StreamId;
use super::node::{Item, Node};
use super::radix;
use super::walk::{Backward, Forward, Nodes};
use crate::value::Limits;

/// Entries of more bytes than this are refused.
const MAX_ITEM_BYTES: usize = 1 << 30;
/// Nodes that are freed at once; more go to whoever asked for the trimming.
const FREE_AT_ONCE: usize = 16;

#[derive(Clone, Debug, Default)]
pub struct Log {
    sealed: BTreeMap<StreamId, Node>,
    tail: Option<Node>,
    pub(super) length: u64,
    pub(super) first_id: StreamId,
    pub(super) last_id: StreamId,
    pub(super) max_deleted_id: StreamId,
    pub(super) entries_added: u64,
}

/// What a stream is cut to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// To so many entries.
    MaxLen(u64),
    /// To entries from this id on.
    MinId(StreamId),
}

/// What [`Log::trim`] did.
#[derive(Debug, Default)]
pub struct Trimmed {
    pub removed: u64,
    /// Nodes that went whole, if they are many: to be freed elsewhere.
    pub garbage: Vec<Node>,
}

impl Log {
    /// Entries.
    pub fn len(&self) -> u64 {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The id of the first entry; zero when there is none.
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The greatest id ever given.
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The greatest id that XDEL has deleted.
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// How many entries were ever added.
    pub fn entries_added(&self) -> u64 {
        self.entries_added
    }

    pub fn node_count(&self) -> usize {
        self.sealed.len() + usize::from(self.tail.is_some())
    }

    /// How many nodes the reference's radix tree would have; an estimate when they are many.
    pub fn radix_nodes(&self) -> usize {
        const COUNTED: usize = 4096;
        let counted = radix::nodes(self.nodes().take(COUNTED).map(|node| node.first));
        match self.node_count() {
            ..=COUNTED => counted,
            more => counted + (more - COUNTED) * counted / COUNTED,
        }
    }

    /// The nodes in order.
    pub fn nodes(&self) -> Nodes<'_> {
        Nodes::new(self.sealed.range(..), self.tail.as_ref())
    }

    /// Entries from `start` to `end`, both included.
    pub fn range(&self, start: StreamId, end: StreamId) -> Forward<'_> {
        Forward::new(self.nodes_from(start), start, end)
    }

    /// Entries from `end` back to `start`, both included.
    pub fn range_back(&self, start: StreamId, end: StreamId) -> Backward<'_> {
        let tail = self.tail.as_ref().filter(|tail| tail.first <= end);
        Backward::new(Nodes::new(self.sealed.range(..=end), tail), start, end)
    }

    /// The node that holds `start`, or would, and those behind it.
    fn nodes_from(&self, start: StreamId) -> Nodes<'_> {
        match &self.tail {
            Some(tail) if tail.first <= start => Nodes::new(Default::default(), Some(tail)),
            tail => {
                let from = self.sealed.range(..=start).next_back().map_or(StreamId::MIN, |(first, _)| *first);
                Nodes::new(self.sealed.range(from..), tail.as_ref())
            }
        }
    }

    pub fn contains(&self, id: StreamId) -> bool {
        self.node_of(id).is_some_and(|node| node.find(id).is_some())
    }

    fn node_of(&self, id: StreamId) -> Option<&Node> {
        match &self.tail {
            Some(tail) if tail.first <= id => Some(tail),
            _ => self.sealed.range(..=id).next_back().map(|(_, node)| node),
        }
    }

    /// The id of the last entry that is there.
    pub fn last_entry_id(&self) -> Option<StreamId> {
        self.range_back(StreamId::MIN, StreamId::MAX).next().map(|entry| entry.id)
    }

    /// Where the oldest node begins, whose first entry may be deleted by now; the greatest id when there is no node.
    pub fn edge_id(&self) -> StreamId {
        self.nodes().next().map_or(StreamId::MAX, |node| node.first)
    }

    /// The id that an entry added at `now` (milliseconds) gets; none after the last one.
    pub fn next_id(&self, now: u64) -> Option<StreamId> {
        if now > self.last_id.ms { Some(StreamId { ms: now, seq: 0 }) } else { self.last_id.next() }
    }

    /// Appends an entry. `id` is greater than [`Log::last_id`]. `false`: it is too large.
    pub fn append<'a>(&mut self, id: StreamId, item: impl Item<'a>, limits: &Limits) -> bool {
        debug_assert!(id > self.last_id);
        let item_bytes = item.clone().map(<[u8]>::len).sum::<usize>();
        if item_bytes > MAX_ITEM_BYTES {
            return false;
        }
        // What the next node will need, judged by the last one.
        let mut room = 0;
        if let Some(mut full) = self.tail.take_if(|tail| tail.is_full(item_bytes, limits) || id <= tail.first) {
            if id > full.first {
                room = full.byte_len();
                full.shrink();
                self.sealed.insert(full.first, full);
            }
        }
        let names = item.clone().step_by(2).map(crate::ds::element::Elem::parse);
        let tail = self.tail.get_or_insert_with(|| Node::new(id, names, room));
        tail.append(id, item);
        self.length += 1;
        self.entries_added = self.entries_added.wrapping_add(1);
        self.last_id = id;
        if self.length == 1 {
            self.first_id = id;
        }
        true
    }

    /// Takes over a node from outside; `false`: it does not belong behind those there are.
    pub(super) fn push_node(&mut self, node: Node) -> bool {
        if self.tail.as_ref().is_some_and(|tail| tail.first >= node.first) {
            return false;
        }
        if let Some(tail) = self.tail.replace(node) {
            self.sealed.insert(tail.first, tail);
        }
        true
    }

    /// Deletes an entry. `false`: there is none with this id.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let in_tail = self.tail.as_ref().is_some_and(|tail| tail.first <= id);
        let node = match in_tail {
            true => self.tail.as_mut(),
            false => self.sealed.range_mut(..=id).next_back().map(|(_, node)| node),
        };
        let Some((node, at)) = node.and_then(|node| node.find(id).map(|at| (node, at))) else {
            return false;
        };
        if node.len() > 1 {
            node.remove(at);
        } else if in_tail {
            self.tail = self.sealed.pop_last().map(|(_, node)| node);
        } else {
            let first = node.first;
            self.sealed.remove(&first);
        }
        self.length -= 1;
        self.max_deleted_id = self.max_deleted_id.max(id);
        if self.length == 0 || id == self.first_id {
            self.find_first_id();
        }
        true
    }

    pub(super) fn find_first_id(&mut self) {
        self.first_id = self.range(StreamId::MIN, StreamId::MAX).next().map_or(StreamId::MIN, |entry| entry.id);
    }

    /// Cuts the log at its old end. `whole` keeps to nodes that go as a whole; a `limit` above zero bounds the entries
    /// removed, and is heeded node by node.
    pub fn trim(&mut self, bound: Bound, whole: bool, limit: u64) -> Trimmed {
        let mut done = Trimmed::default();
        while let Some(node) = self.first_node() {
            let entries = node.len() as u64;
            if matches!(bound, Bound::MaxLen(max) if self.length <= max) {
                break;
            }
            if limit > 0 && done.removed + entries > limit {
                break;
            }
            let goes = match bound {
                Bound::MaxLen(max) => self.length - entries >= max,
                Bound::MinId(min) => node.last < min,
            };
            if !goes {
                if !whole {
                    done.removed += self.trim_first_node(bound);
                }
                break;
            }
            self.length -= entries;
            done.removed += entries;
            done.garbage.extend(self.pop_first_node());
        }
        if done.garbage.len() <= FREE_AT_ONCE {
            done.garbage = Vec::new();
        }
        if self.length == 0 || done.removed > 0 {
            self.find_first_id();
        }
        done
    }

    fn first_node(&self) -> Option<&Node> {
        self.sealed.first_key_value().map(|(_, node)| node).or(self.tail.as_ref())
    }

    fn pop_first_node(&mut self) -> Option<Node> {
        self.sealed.pop_first().map(|(_, node)| node).or_else(|| self.tail.take())
    }

    fn trim_first_node(&mut self, bound: Bound) -> u64 {
        let length = self.length;
        let node = match self.sealed.first_entry() {
            Some(entry) => entry.into_mut(),
            None => self.tail.as_mut().expect("the caller found a node"),
        };
        let mut gone = 0;
        node.trim(|id| {
            let goes = match bound {
                Bound::MaxLen(max) => length - gone > max,
                Bound::MinId(min) => id < min,
            };
            gone += u64::from(goes);
            goes
        });
        self.length -= gone;
        gone
    }

    /// XSETID: what was ever given, added, deleted. The caller has checked them.
    pub fn set_ids(&mut self, last_id: StreamId, entries_added: Option<u64>, max_deleted_id: Option<StreamId>) {
        self.last_id = last_id;
        self.entries_added = entries_added.unwrap_or(self.entries_added);
        self.max_deleted_id = max_deleted_id.unwrap_or(self.max_deleted_id);
    }

    /// Something at or behind `start` was deleted that a reader at `start` has not counted.
    pub fn has_tombstones_from(&self, start: StreamId) -> bool {
        self.length > 0
            && !self.max_deleted_id.is_zero()
            && self.first_id <= self.max_deleted_id
            && start <= self.max_deleted_id
    }

    /// How many entries were ever added up to and including `id`, where that can be known.
    pub fn added_up_to(&self, id: StreamId) -> Option<i64> {
        let added = self.entries_added as i64;
        if added == 0 {
            return Some(0);
        }
        if id >= self.last_id {
            return (id == self.last_id || (self.length == 0 && id <= self.last_id)).then_some(added);
        }
        if self.length == 0 {
            return Some(added);
        }
        if !self.max_deleted_id.is_zero() && self.max_deleted_id >= self.first_id {
            return None;
        }
        let before_first = added.wrapping_sub(self.length as i64);
        match id.cmp(&self.first_id) {
            std::cmp::Ordering::Less => Some(before_first),
            std::cmp::Ordering::Equal => Some(before_first + 1),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// Heap bytes, judged by a few nodes.
    pub fn memory(&self) -> usize {
        /// Key and node in the map, at the filling that ascending keys give it.
        const SLOT: usize = (16 + size_of::<Node>()) * 2;
        const SAMPLES: usize = 8;
        let sampled: usize = self.sealed.values().take(SAMPLES).map(Node::memory).sum();
        let per_node = sampled / self.sealed.len().clamp(1, SAMPLES) + SLOT;
        self.sealed.len() * per_node + self.tail.as_ref().map_or(0, Node::memory)
    }
}
