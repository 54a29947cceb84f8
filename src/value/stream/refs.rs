//! Deleting entries with an eye on the groups that still refer to them.
//!
//! *Duty:* what KEEPREF, DELREF and ACKED mean. *Does not know:* commands, who is told. *Invariant:* under
//! [`Refs::Acked`] nothing goes that some group has pending, or has not been delivered yet. *Counterpart in C Redis:*
//! `streamEntryIsReferenced` and `streamCleanupEntryCGroupRefs` of 8.2, which keep an index; here groups are asked.

use std::ops::Range;

use super::id::StreamId;
use super::log::{Bound, Trimmed};
use super::{Group, Stream};

/// What becomes of an entry that groups refer to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refs {
    /// It goes, and what is pending stays as it is.
    #[default]
    Keep,
    /// It goes, and is pending nowhere any more.
    Drop,
    /// It goes only when every group has got and acknowledged it.
    Acked,
}

/// How a deletion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    Missing,
    Done,
    Referenced,
}

impl Stream {
    /// Whether a group has `id` pending, or will be delivered it.
    pub fn is_referenced(&self, id: StreamId) -> bool {
        let refers = |group: &Group| group.last_id < id || group.pending().contains_key(&id);
        self.groups().values().any(refers)
    }

    pub fn delete(&mut self, id: StreamId, refs: Refs) -> Deletion {
        if !self.log().contains(id) {
            return Deletion::Missing;
        }
        match refs {
            Refs::Acked if self.is_referenced(id) => return Deletion::Referenced,
            Refs::Drop => self.groups_mut().values_mut().for_each(|group| _ = group.acknowledge(id)),
            _ => {}
        }
        self.log_mut().delete(id);
        Deletion::Done
    }

    /// [`Log::trim`](super::Log::trim) with an eye on references. Under [`Refs::Acked`] entries are looked at one by
    /// one, whole nodes or not, and those behind one that stays may go.
    pub fn trim(&mut self, refs: Refs, bound: Bound, whole: bool, limit: u64) -> Trimmed {
        match refs {
            Refs::Keep => self.log_mut().trim(bound, whole, limit),
            Refs::Drop => {
                let first = self.log().first_id();
                let trimmed = self.log_mut().trim(bound, whole, limit);
                let kept_from = if self.log().is_empty() { StreamId::MAX } else { self.log().first_id() };
                if trimmed.removed > 0 {
                    self.drop_references(first..kept_from);
                }
                trimmed
            }
            Refs::Acked => self.trim_acknowledged(bound, limit),
        }
    }

    fn drop_references(&mut self, ids: Range<StreamId>) {
        for group in self.groups_mut().values_mut() {
            let pending: Vec<StreamId> = group.pending().range(ids.clone()).map(|(id, _)| *id).collect();
            for id in pending {
                group.acknowledge(id);
            }
        }
    }

    fn trim_acknowledged(&mut self, bound: Bound, limit: u64) -> Trimmed {
        let log = self.log();
        let surplus = match bound {
            Bound::MaxLen(max) => log.len().saturating_sub(max),
            Bound::MinId(_) => u64::MAX,
        };
        let most = if limit == 0 { surplus } else { surplus.min(limit) };
        let ids = log.range(StreamId::MIN, StreamId::MAX).map(|entry| entry.id);
        let old = ids.take_while(|id| !matches!(bound, Bound::MinId(min) if *id >= min));
        let goes: Vec<StreamId> = old.filter(|id| !self.is_referenced(*id)).take(most as usize).collect();
        for id in &goes {
            self.log_mut().delete(*id);
        }
        Trimmed { removed: goes.len() as u64, ..Trimmed::default() }
    }
}
