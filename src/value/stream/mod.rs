//! [`Stream`]: entries with ascending ids, and the groups that read them.
//!
//! *Duty:* bring together the entries ([`Log`]) and the consumer groups ([`Group`]), which change apart from each
//! other: a read through a group walks the one and changes the other. *Does not know:* keys, commands, the clock.
//! *Invariants:* a stream may be empty and stays; groups are in the order of their names.
//! *Reading order:* `id`, `node` (bytes of some entries), `log` (all entries), `walk`, `group`, `exchange` and `load`
//! (RDB). *Counterpart in C Redis:* `stream.h`, the type's half of `t_stream.c`.
//!
//! What lies where, and what an entry costs: each node has the entries' bytes and 72 bytes of figures, of which a
//! hundred entries share one; an entry has 4 to 6 bytes besides its elements. The reference has 7 bytes or more, and
//! one per element.

mod exchange;
mod group;
mod id;
mod load;
mod log;
mod node;
mod radix;
mod refs;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeMap;

pub use exchange::Reason;
pub use group::{Consumer, ConsumerId, Group, Pending, UNKNOWN};
pub use id::{Given, IdText, StreamId};
pub use load::{Figures, Loading, LoadingGroup};
pub use log::{Bound, Log, Trimmed};
pub use node::{Entry, Item, Node};
pub use refs::{Deletion, Refs};
pub use walk::{Backward, Forward, Nodes};

pub type Groups = BTreeMap<Box<[u8]>, Group>;

/// A stream. One pointer wide, as other types of values are small.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    body: Box<Body>,
}

#[derive(Clone, Debug, Default)]
struct Body {
    log: Log,
    groups: Groups,
}

impl Stream {
    pub fn new() -> Stream {
        Stream::default()
    }

    /// The entries.
    #[inline]
    pub fn log(&self) -> &Log {
        &self.body.log
    }

    #[inline]
    pub fn log_mut(&mut self) -> &mut Log {
        &mut self.body.log
    }

    pub fn groups(&self) -> &Groups {
        &self.body.groups
    }

    pub fn groups_mut(&mut self) -> &mut Groups {
        &mut self.body.groups
    }

    /// The entries to be read while groups change.
    pub fn split(&mut self) -> (&Log, &mut Groups) {
        (&self.body.log, &mut self.body.groups)
    }

    /// How far `group` is behind, where that can be known.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        let log = self.log();
        let added = log.entries_added() as i64;
        if added == 0 {
            return Some(0);
        }
        let read = if group.entries_read != UNKNOWN && !log.has_tombstones_from(group.last_id) {
            group.entries_read
        } else {
            log.added_up_to(group.last_id)?
        };
        Some(added.wrapping_sub(read))
    }

    pub fn encoding(&self) -> &'static str {
        "stream"
    }

    /// Heap bytes.
    pub fn memory(&self) -> usize {
        const SAMPLES: usize = 16;
        let sampled = self.groups().iter().take(SAMPLES).map(|(name, group)| name.len() + group.memory());
        let groups = sampled.sum::<usize>() * self.groups().len() / self.groups().len().clamp(1, SAMPLES);
        size_of::<Body>() + self.log().memory() + groups
    }

    /// About how many frees it takes to drop it.
    pub fn free_effort(&self) -> usize {
        /// With so many groups it is much anyhow.
        const ENOUGH: usize = 1024;
        let effort = |group: &Group| 1 + group.pending().len() + group.consumer_count();
        let counted: usize = self.groups().values().take(ENOUGH).map(effort).sum();
        self.log().node_count() + counted + self.groups().len().saturating_sub(ENOUGH)
    }
}
