//! The ways through a [`Table`] other than looking a key up: SCAN, iteration, random entries, statistics.
//!
//! *Duty:* reads only (but for [`Table::remap`]), and only through [`Node`]'s methods; the guarantee of SCAN is argued at [`Table::scan`].
//! *Invariants:* a chain is always visited whole, so that entries may move inside it between two calls.
//! *Counterpart in C Redis:* `dictScan`, `dictNext`, `dictGetFairRandomKey`, `dictGetSomeKeys`, `dictGetStats`.

use super::{Handle, Node, Table, lanes};

/// Entries a chain may have and still be drawn from without bias by [`Table::random`].
const FAIR_CHAIN: u64 = 32;
/// Draws after which [`Table::random`] takes the next entry it finds.
const FAIR_DRAWS: usize = 256;

/// Figures for `DEBUG HTSTATS` and INFO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableStats {
    pub len: usize,
    pub buckets: usize,
    pub overflow_nodes: usize,
    /// Entries beyond their bucket's own line.
    pub overflow_entries: usize,
    pub memory_bytes: usize,
    /// Entries in the longest chain.
    pub longest_chain: usize,
    /// `chains[n]`: buckets whose chain has n entries; the last counts all longer ones.
    pub chains: [usize; 32],
}

impl Table {
    /// All handles, in no useful order. What they point at is prefetched a node ahead.
    pub fn iter(&self) -> Iter<'_> {
        Iter { table: self, next_bucket: 0, node: None, lanes: 0 }
    }

    /// One step of SCAN: calls `f` with every entry of one bucket and returns the cursor of the next, 0 at the end.
    ///
    /// # Why nothing is missed
    /// Reverse the bits of a hash and read them as a fraction between 0 and 1. Bucket b at a level of k bits holds
    /// exactly the hashes whose fraction starts with the k reversed bits of b: an interval of length 2^-k. So the
    /// buckets of the table, whatever N is, cut [0, 1) into neighbouring intervals: buckets that have been split,
    /// and the ones split off them, are intervals of length 2^-(L+1), the others of length 2^-L. A split halves
    /// one interval, a merge joins two halves; nothing else ever moves an entry from one interval to another.
    ///
    /// The cursor is such a fraction (bit-reversed, so that it stays a small number): everything left of it has been
    /// handed out. A step visits the interval the cursor is in, chain included, and moves the cursor to the
    /// interval's right end: set the bits the level does not use, add one in reversed order. After merges the
    /// cursor may find itself inside an interval; then that interval is visited whole and a part of it is seen
    /// twice. An entry that stays in the table has one fixed fraction, and the cursor passes over all fractions from
    /// 0 to 1 without a gap, so the entry is handed out at least once, however often the table was resized in between.
    pub fn scan(&self, cursor: u64, mut f: impl FnMut(Handle)) -> u64 {
        if self.buckets == 0 {
            return 0;
        }
        let index = self.index(cursor);
        let bucket = self.bucket(index);
        for node in bucket.chain() {
            node.prefetch_entries();
        }
        for node in bucket.chain() {
            node.for_each(&mut f);
        }
        let low = (self.mask >> 1) as usize;
        let is_split = (index & low) < self.buckets as usize - (low + 1).min(self.buckets as usize);
        let level_mask = if is_split { u64::from(self.mask) } else { low as u64 };
        ((cursor | !level_mask).reverse_bits().wrapping_add(1)).reverse_bits()
    }

    /// A random entry, every one as likely as the others.
    ///
    /// A bucket drawn at random and then an entry of it would favour the entries of short chains. So a place is
    /// drawn out of `FAIR_CHAIN` in a random bucket, and drawn again if nobody is there: some five tries. Two
    /// exceptions: chains longer than that (about one in 10^5) share their places, and a table that is nearly empty
    /// because it is held back takes the next entry after a number of tries.
    pub fn random(&self, mut rng: impl FnMut() -> u64) -> Option<Handle> {
        if self.len == 0 {
            return None;
        }
        for _ in 0..FAIR_DRAWS {
            let bits = rng();
            let bucket = self.bucket(self.random_index(bits));
            let len = bucket.chain_len() as u64;
            let place = bits % FAIR_CHAIN.max(len);
            if place < len {
                return bucket.nth(place as usize);
            }
        }
        let start = self.random_index(rng());
        let mut indexes = (start..self.buckets as usize).chain(0..start);
        let bucket = indexes.find_map(|index| Some(self.bucket(index)).filter(|b| b.chain_len() > 0))?;
        bucket.nth((rng() % bucket.chain_len() as u64) as usize)
    }

    /// Appends up to `n` entries from neighbouring buckets at a random place to `out`: quick rather than fair, for
    /// the choice of victims in eviction. What they point at is prefetched. May give fewer from a sparse table.
    pub fn sample(&self, n: usize, rng_bits: u64, out: &mut Vec<Handle>) {
        if self.len == 0 {
            return;
        }
        let (buckets, wanted) = (self.buckets as usize, out.len() + n.min(self.len));
        let mut index = self.random_index(rng_bits);
        for _ in 0..buckets.min(n.saturating_mul(10)) {
            for node in self.bucket(index).chain() {
                node.for_each(&mut |handle| {
                    if out.len() < wanted {
                        handle.prefetch();
                        out.push(handle);
                    }
                });
            }
            if out.len() >= wanted {
                return;
            }
            index = if index + 1 == buckets { 0 } else { index + 1 };
        }
    }

    /// Replaces every handle by what `f` makes of it: for an owner that moves its entries. Hashes stay.
    pub fn remap(&mut self, mut f: impl FnMut(Handle) -> Handle) {
        for index in 0..self.buckets as usize {
            for node in self.bucket(index).chain() {
                node.prefetch_entries();
                for lane in lanes(node.used_lanes()) {
                    node.set_handle(lane, f(node.handle(lane)));
                }
            }
        }
    }

    /// Walks the whole table; for debugging commands only.
    pub fn stats(&self) -> TableStats {
        let mut stats = TableStats {
            len: self.len,
            buckets: self.buckets as usize,
            memory_bytes: self.memory_usage(),
            ..TableStats::default()
        };
        for index in 0..self.buckets as usize {
            let chain_len = self.bucket(index).chain_len();
            stats.longest_chain = stats.longest_chain.max(chain_len);
            stats.chains[chain_len.min(stats.chains.len() - 1)] += 1;
            for node in self.bucket(index).chain().skip(1) {
                stats.overflow_nodes += 1;
                stats.overflow_entries += node.used_lanes().count_ones() as usize;
            }
        }
        stats
    }

    fn random_index(&self, bits: u64) -> usize {
        (((bits >> 32) * u64::from(self.buckets)) >> 32) as usize
    }
}

impl Node {
    fn chain_len(self) -> usize {
        self.chain().map(|node| node.used_lanes().count_ones() as usize).sum()
    }

    /// The n-th entry of the chain.
    fn nth(self, n: usize) -> Option<Handle> {
        self.chain().flat_map(|node| lanes(node.used_lanes()).map(move |lane| node.handle(lane))).nth(n)
    }
}

/// See [`Table::iter`].
pub struct Iter<'a> {
    table: &'a Table,
    next_bucket: usize,
    node: Option<Node>,
    /// Lanes of `node` still to be handed out.
    lanes: u32,
}

impl Iterator for Iter<'_> {
    type Item = Handle;

    #[inline]
    fn next(&mut self) -> Option<Handle> {
        while self.lanes == 0 {
            self.node = match self.node.and_then(Node::child) {
                Some(child) => Some(child),
                None if self.next_bucket == self.table.buckets as usize => return None,
                None => {
                    self.next_bucket += 1;
                    Some(self.table.bucket(self.next_bucket - 1))
                }
            };
            let node = self.node?;
            node.prefetch_entries();
            self.lanes = node.used_lanes();
        }
        let lane = self.lanes.trailing_zeros() as usize;
        self.lanes &= self.lanes - 1;
        self.node.map(|node| node.handle(lane))
    }
}

impl<'a> IntoIterator for &'a Table {
    type Item = Handle;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
