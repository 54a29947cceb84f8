//! [`Ranked`]: members with scores, in order and by name: the form of big sorted sets.
//!
//! *Duty:* members ordered by score, then by their bytes, with ranks; and each found by its name. A member of 17 bytes
//! costs some 51 bytes: 32 for its record, 10 in the table, 9 in the tree.
//! *Does not know:* what bounds a command gives (a predicate comes in), events, the small form.
//! *Invariants:* table, tree and records hold the same members. Scores are no NaN. From [`ARENA_FROM`] members on,
//! records lie in an arena of their own; nothing is moved back.
//! *Steps:* every change is one lookup, one or two descents and a move within a leaf of 384 bytes; the one longer step
//! is the move of [`ARENA_FROM`] records into the arena, once.
//! *Counterpart in C Redis:* `zset`: `dict` and `zskiplist`.
//!
//! ```text
//!  table (by name)                        tree (by order)
//!  hash ──> bucket: tag, handle ───┐      inner: first score, first handle, count, child
//!                                  v                                                  v
//!                  record [score][len][member] <───── leaf: handle handle handle ...
//! ```

mod leaf;
mod records;
#[cfg(test)]
mod tests;
mod tree;

use std::ops::Range;

use self::leaf::Leaf;
use self::records::Records;
use self::tree::{Target, Tree};
use crate::base::hash::HashSeed;
use crate::ds::table::{Handle, Slot, Table};

/// Members from which records come from an arena.
const ARENA_FROM: usize = 1024;
/// How many records an iterator asks for before it needs them.
const AHEAD: usize = 8;

/// See the module's header.
pub struct Ranked {
    table: Table,
    tree: Tree,
    records: Records,
    seed: HashSeed,
}

impl Ranked {
    pub fn new(seed: HashSeed) -> Ranked {
        Ranked { table: Table::new(), tree: Tree::new(), records: Records::default(), seed }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.slot(self.seed.hash(member), member).map(|slot| self.records.score(slot.handle()))
    }

    /// The rank of a member, counted from the lowest score, and its score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let record = self.slot(self.seed.hash(member), member)?.handle();
        let score = self.records.score(record);
        let (_, _, rank) = self.tree.find(record, score, member, &self.records);
        Some((rank, score))
    }

    /// The member of a rank.
    pub fn at(&self, rank: usize) -> Option<(&[u8], f64)> {
        let (leaf, i) = (rank < self.len()).then(|| self.tree.leaf_at(rank))?;
        Some(self.item(leaf.get(i)))
    }

    /// Sets the score of a member to what `decide` makes of the present one (`None`: not a member), in one lookup;
    /// leaves all as it is when `decide` gives `None`. Returns what `decide` was given and gave.
    pub fn update(
        &mut self,
        member: &[u8],
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> (Option<f64>, Option<f64>) {
        let hash = self.seed.hash(member);
        let found = self.slot(hash, member).map(Slot::handle);
        let old = found.map(|record| self.records.score(record));
        let new = decide(old);
        match (found, old, new) {
            (Some(record), Some(old), Some(new)) if new.to_bits() != old.to_bits() => self.move_to(record, old, new),
            (None, _, Some(new)) => self.add(hash, member, new),
            _ => {}
        }
        (old, new)
    }

    /// Gives a member this score. Returns the one it had.
    pub fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        self.update(member, |_| Some(score)).0
    }

    /// Takes a member out. Returns its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let slot = self.slot(self.seed.hash(member), member)?;
        let record = self.table.remove(slot);
        let score = self.records.score(record);
        self.tree.remove(Target::Record(record, score, member), &self.records);
        self.records.free(record);
        Some(score)
    }

    /// Takes the members of these ranks out; each is shown to `removed` first.
    pub fn remove_range(&mut self, ranks: Range<usize>, mut removed: impl FnMut(&[u8], f64)) {
        for _ in ranks.start..ranks.end.min(self.len()) {
            let record = self.tree.remove(Target::Rank(ranks.start), &self.records);
            let (member, score) = self.item(record);
            removed(member, score);
            let hash = self.seed.hash(member);
            let slot = self.table.find(hash, |other| other == record).expect("what is in the tree is in the table");
            self.table.remove(slot);
            self.records.free(record);
        }
    }

    /// How many members `below` holds for; it must hold for all up to some rank and for none from there on. So a
    /// bound becomes a rank, and a range of scores or names one of ranks, without walking.
    pub fn partition(&self, mut below: impl FnMut(f64, &[u8]) -> bool) -> usize {
        self.tree.partition(&self.records, |score, record| below(score, self.records.member(record)))
    }

    /// The members below a score; those with the score too if `inclusive`. Compares no names.
    pub fn count_below(&self, bound: f64, inclusive: bool) -> usize {
        self.tree.partition(&self.records, |score, _| if inclusive { score <= bound } else { score < bound })
    }

    /// The members of these ranks, in order; runs backwards too.
    pub fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        let end = ranks.end.min(self.len());
        Iter { ranked: self, next: ranks.start.min(end), end, front: None, back: None }
    }

    pub fn iter(&self) -> Iter<'_> {
        self.range(0..self.len())
    }

    /// One step of ZSCAN; see [`Table::scan`] for what it promises.
    pub fn scan<'a>(&'a self, cursor: u64, mut visit: impl FnMut(&'a [u8], f64)) -> u64 {
        self.table.scan(cursor, |record| {
            let (member, score) = self.item(record);
            visit(member, score);
        })
    }

    /// The table of names, for DEBUG HTSTATS-KEY.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Heap bytes, the struct itself left out.
    pub fn memory(&self) -> usize {
        self.table.memory_usage() + self.records.memory() + self.tree.memory()
    }

    /// About how many frees it takes to drop it.
    pub fn free_effort(&self) -> usize {
        self.tree.blocks() + self.records.free_effort(self.len()) + self.table.free_effort()
    }

    /// See [`Table::hold_back_resize`].
    pub fn hold_back_resize(&mut self, hold: bool) {
        self.table.hold_back_resize(hold);
    }

    /// Makes room in the table for `expected` members, if there are none yet.
    pub fn reserve(&mut self, expected: usize) {
        self.table.reserve(expected);
        if expected >= ARENA_FROM && self.is_empty() && !self.records.has_arena() {
            self.records.found_arena();
        }
    }

    #[inline]
    fn slot(&self, hash: u64, member: &[u8]) -> Option<Slot> {
        self.table.find(hash, |record| self.records.member(record) == member)
    }

    #[inline]
    fn item(&self, record: Handle) -> (&[u8], f64) {
        (self.records.member(record), self.records.score(record))
    }

    fn add(&mut self, hash: u64, member: &[u8], score: f64) {
        if self.len() + 1 == ARENA_FROM && !self.records.has_arena() {
            self.move_into_arena();
        }
        let Ranked { table, tree, records, seed } = self;
        let record = records.make(member, score);
        table.insert(hash, record, |other| seed.hash(records.member(other)));
        tree.insert(record, records);
    }

    /// Changes a record's score, in place if its neighbours allow: then nothing in the tree changes.
    fn move_to(&mut self, record: Handle, old: f64, new: f64) {
        let Ranked { tree, records, .. } = self;
        let member = records.member(record);
        let (leaf, i, _) = tree.find(record, old, member, records);
        // The first of a leaf is named in the tree.
        let stays = i > 0
            && if new > old {
                let next = (i + 1 < leaf.len()).then(|| leaf.get(i + 1));
                next.is_some_and(|next| (new, member) < (records.score(next), records.member(next)))
            } else {
                let previous = leaf.get(i - 1);
                (records.score(previous), records.member(previous)) < (new, member)
            };
        if stays {
            return records.set_score(record, new);
        }
        tree.remove(Target::Record(record, old, member), records);
        records.set_score(record, new);
        tree.insert(record, records);
    }

    fn move_into_arena(&mut self) {
        let Ranked { table, tree, records, seed } = self;
        let mut loose = records.found_arena();
        tree.replace_all(&mut |old| {
            let member = loose.member(old);
            let new = records.make(member, loose.score(old));
            let slot =
                table.find(seed.hash(member), |other| other == old).expect("what is in the tree is in the table");
            table.replace(slot, new);
            loose.free(old);
            new
        });
    }
}

impl Drop for Ranked {
    fn drop(&mut self) {
        if self.records.needs_walk() {
            let Ranked { tree, records, .. } = self;
            tree.for_each(&mut |record| records.free(record));
        }
    }
}

impl Clone for Ranked {
    fn clone(&self) -> Ranked {
        let mut copy = Ranked::new(self.seed);
        copy.reserve(self.len());
        self.iter().for_each(|(member, score)| {
            copy.insert(member, score);
        });
        copy
    }
}

impl std::fmt::Debug for Ranked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// See [`Ranked::range`].
#[derive(Clone)]
pub struct Iter<'a> {
    ranked: &'a Ranked,
    /// Ranks still to be handed out: `next..end`.
    next: usize,
    end: usize,
    /// A leaf and the index in it of rank `next`.
    front: Option<(&'a Leaf, usize)>,
    /// A leaf and the index in it of rank `end`, which may be just behind its last.
    back: Option<(&'a Leaf, usize)>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.end {
            return None;
        }
        let (leaf, i) = match self.front {
            Some((leaf, i)) if i < leaf.len() => (leaf, i),
            _ => {
                let (leaf, i) = self.ranked.tree.leaf_at(self.next);
                (i..leaf.len().min(i + AHEAD)).for_each(|i| leaf.get(i).prefetch());
                (leaf, i)
            }
        };
        if i + AHEAD < leaf.len() {
            leaf.get(i + AHEAD).prefetch();
        }
        self.front = Some((leaf, i + 1));
        self.next += 1;
        Some(self.ranked.item(leaf.get(i)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.end - self.next, Some(self.end - self.next))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.next == self.end {
            return None;
        }
        self.end -= 1;
        let (leaf, i) = match self.back {
            Some((leaf, i)) if i > 0 => (leaf, i - 1),
            _ => {
                let (leaf, i) = self.ranked.tree.leaf_at(self.end);
                ((i + 1).saturating_sub(AHEAD)..=i).for_each(|i| leaf.get(i).prefetch());
                (leaf, i)
            }
        };
        if i >= AHEAD {
            leaf.get(i - AHEAD).prefetch();
        }
        self.back = Some((leaf, i));
        Some(self.ranked.item(leaf.get(i)))
    }
}

impl ExactSizeIterator for Iter<'_> {}
