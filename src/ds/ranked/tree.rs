//! [`Tree`]: handles in an order that a predicate knows, with ranks: a B+ tree of counted arrays.
//!
//! *Duty:* insert by order, remove by order or by rank, rank ↔ handle. *Does not know:* what a handle stands for; the
//! score of one and the comparison of two come from [`Records`].
//! *Invariants:* an inner node's entry i ≥ 1 holds the score and the handle of the first record below it, exactly;
//! entry 0's are not kept and never read (what is below it is bounded by the entry of the node above). `counts` are
//! the records below. All leaves are equally deep; only the root may be an empty leaf.
//! *Counterpart in C Redis:* `zskiplist` with its spans.
//!
//! # Fill
//! A full leaf first shares with a neighbour that has room, and is split only if there is none: some 80 % fill under
//! random inserts. Inserting at either end of all starts a new leaf and leaves the old one full. A leaf or node that
//! falls below a quarter joins a neighbour if both together stay below three quarters.

use super::leaf::{LEAF, Leaf};
use super::records::Records;
use crate::ds::table::Handle;

/// Children of an inner node.
const FAN: usize = 64;
/// Room that a neighbour must have for a full leaf to share with it.
const ROOM_WORTH_SHARING: usize = LEAF / 8;

pub(super) struct Tree {
    root: Node,
    len: usize,
}

enum Node {
    Leaf(Box<Leaf>),
    Inner(Box<Inner>),
}

struct Inner {
    scores: Vec<f64>,
    firsts: Vec<Handle>,
    counts: Vec<usize>,
    children: Vec<Node>,
}

/// A node on its way into an inner node, with what its entry says.
struct Entry {
    score: f64,
    first: Handle,
    count: usize,
    child: Node,
}

/// What is to be removed.
#[derive(Clone, Copy)]
pub(super) enum Target<'a> {
    Rank(usize),
    /// This record, which has this score and member.
    Record(Handle, f64, &'a [u8]),
}

struct Removed {
    handle: Handle,
    /// The first record below the node is another one now.
    first_changed: bool,
}

/// `(score, record)` stands before `(other_score, other)`.
#[inline]
fn precedes(records: &Records, score: f64, record: Handle, other_score: f64, other: &[u8]) -> bool {
    score < other_score || score == other_score && records.member(record) < other
}

impl Tree {
    pub fn new() -> Tree {
        Tree { root: Node::Leaf(Leaf::new()), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds a record that is not in the tree.
    pub fn insert(&mut self, handle: Handle, records: &Records) {
        if let Node::Leaf(leaf) = &mut self.root {
            if !leaf.is_full() {
                let (score, member) = (records.score(handle), records.member(handle));
                let at = leaf.partition(|h| precedes(records, records.score(h), h, score, member));
                leaf.insert(at, handle);
                self.len += 1;
                return;
            }
            self.raise_root(records);
        }
        let Node::Inner(root) = &mut self.root else { unreachable!("a full leaf was raised") };
        let split = root.insert(handle, records.score(handle), records.member(handle), records);
        self.len += 1;
        if let Some(entry) = split {
            self.raise_root(records);
            let Node::Inner(root) = &mut self.root else { unreachable!("just raised") };
            root.counts[0] -= entry.count;
            root.add(1, entry);
        }
    }

    /// Takes a record out that is in the tree.
    pub fn remove(&mut self, target: Target<'_>, records: &Records) -> Handle {
        self.len -= 1;
        let handle = match &mut self.root {
            Node::Leaf(leaf) => leaf.remove(target.index_in(leaf)),
            Node::Inner(root) => root.remove(target, records).handle,
        };
        if self.len == 0 {
            self.root = Node::Leaf(Leaf::new());
        }
        while let Node::Inner(root) = &mut self.root
            && root.children.len() == 1
        {
            self.root = root.children.pop().expect("it has one");
        }
        handle
    }

    /// How many records `below` holds for; it holds for all up to some rank and for none from there on.
    pub fn partition(&self, records: &Records, mut below: impl FnMut(f64, Handle) -> bool) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(leaf) => return rank + leaf.partition(|h| below(records.score(h), h)),
                Node::Inner(inner) => {
                    let i = inner.descend(&mut below);
                    rank += inner.counts[..i].iter().sum::<usize>();
                    node = &inner.children[i];
                }
            }
        }
    }

    /// The leaf with this record, which has this score and member, its index there, and its rank.
    pub fn find(&self, record: Handle, score: f64, member: &[u8], records: &Records) -> (&Leaf, usize, usize) {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let i = Target::Record(record, score, member).index_in(leaf);
                    return (leaf, i, rank + i);
                }
                Node::Inner(inner) => {
                    let i = inner.child_of(score, member, records);
                    rank += inner.counts[..i].iter().sum::<usize>();
                    node = &inner.children[i];
                }
            }
        }
    }

    /// The leaf with the record of this rank, and its index there. Panics if there is none.
    pub fn leaf_at(&self, mut rank: usize) -> (&Leaf, usize) {
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(leaf) => return (leaf, rank),
                Node::Inner(inner) => {
                    let i = inner.child_at(&mut rank);
                    node = &inner.children[i];
                }
            }
        }
    }

    /// Calls `f` with every handle, in order.
    pub fn for_each(&self, f: &mut impl FnMut(Handle)) {
        self.root.for_each(f);
    }

    /// Puts other handles in the place of all.
    pub fn replace_all(&mut self, f: &mut impl FnMut(Handle) -> Handle) {
        self.root.replace_all(f);
    }

    /// Heap bytes, roughly; see [`Tree::leaves`].
    pub fn memory(&self) -> usize {
        let entry = size_of::<f64>() + size_of::<Handle>() + size_of::<usize>() + size_of::<Node>();
        let inner = size_of::<Inner>() + FAN * entry;
        let leaves = self.leaves();
        leaves * size_of::<Leaf>().next_multiple_of(64) + inner_nodes(leaves) * inner
    }

    /// About how many frees it takes to drop it.
    pub fn blocks(&self) -> usize {
        let leaves = self.leaves();
        leaves + inner_nodes(leaves) * 5
    }

    /// About how many leaves there are, from some nodes above leaves and not from all: whoever asks is about to delete
    /// the set and must not walk it first.
    fn leaves(&self) -> usize {
        let Node::Inner(root) = &self.root else { return 1 };
        let (mut leaves, mut records) = (0, 0);
        for part in [1, 3, 5, 7] {
            let (mut inner, mut rank) = (root, self.len * part / 8);
            while let Node::Inner(below) = &inner.children[inner.child_at(&mut rank)] {
                inner = below;
            }
            leaves += inner.children.len();
            records += inner.counts.iter().sum::<usize>();
        }
        (self.len * leaves).div_ceil(records)
    }

    /// Puts a new root above the present one.
    fn raise_root(&mut self, records: &Records) {
        let child = std::mem::replace(&mut self.root, Node::Leaf(Leaf::new()));
        let first = child.first();
        let mut root = Inner::new();
        root.push(Entry { score: records.score(first), first, count: self.len, child });
        self.root = Node::Inner(root);
    }
}

impl Target<'_> {
    fn index_in(self, leaf: &Leaf) -> usize {
        match self {
            Target::Rank(rank) => rank,
            Target::Record(handle, ..) => leaf.index_of(handle).expect("the record is in the tree"),
        }
    }
}

/// How many nodes stand above so many leaves, three quarters full.
fn inner_nodes(leaves: usize) -> usize {
    leaves / (FAN * 3 / 4 - 1) + usize::from(leaves > 1)
}

impl Node {
    fn first(&self) -> Handle {
        match self {
            Node::Leaf(leaf) => leaf.get(0),
            Node::Inner(inner) => inner.children[0].first(),
        }
    }

    /// Handles or children.
    fn width(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.len(),
            Node::Inner(inner) => inner.children.len(),
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Node::Leaf(_) => LEAF,
            Node::Inner(_) => FAN,
        }
    }

    fn for_each(&self, f: &mut impl FnMut(Handle)) {
        match self {
            Node::Leaf(leaf) => (0..leaf.len()).for_each(|i| f(leaf.get(i))),
            Node::Inner(inner) => inner.children.iter().for_each(|child| child.for_each(f)),
        }
    }

    fn replace_all(&mut self, f: &mut impl FnMut(Handle) -> Handle) {
        match self {
            Node::Leaf(leaf) => (0..leaf.len()).for_each(|i| leaf.set(i, f(leaf.get(i)))),
            Node::Inner(inner) => {
                inner.children.iter_mut().for_each(|child| child.replace_all(f));
                inner.firsts = inner.children.iter().map(Node::first).collect();
            }
        }
    }
}

impl Inner {
    fn new() -> Box<Inner> {
        Box::new(Inner {
            scores: Vec::with_capacity(FAN),
            firsts: Vec::with_capacity(FAN),
            counts: Vec::with_capacity(FAN),
            children: Vec::with_capacity(FAN),
        })
    }

    fn push(&mut self, entry: Entry) {
        self.add(self.children.len(), entry);
    }

    /// Adds an entry; there is room.
    fn add(&mut self, i: usize, entry: Entry) {
        self.scores.insert(i, entry.score);
        self.firsts.insert(i, entry.first);
        self.counts.insert(i, entry.count);
        self.children.insert(i, entry.child);
    }

    fn take(&mut self, i: usize) -> Entry {
        Entry {
            score: self.scores.remove(i),
            first: self.firsts.remove(i),
            count: self.counts.remove(i),
            child: self.children.remove(i),
        }
    }

    /// The last child whose first record `below` holds for, or child 0.
    fn descend(&self, below: &mut impl FnMut(f64, Handle) -> bool) -> usize {
        let (mut low, mut high) = (1, self.children.len());
        while low < high {
            let middle = (low + high) / 2;
            if below(self.scores[middle], self.firsts[middle]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low - 1
    }

    /// The child that a record with this score and member is in.
    fn child_of(&self, score: f64, member: &[u8], records: &Records) -> usize {
        self.descend(&mut |s, h| s < score || s == score && records.member(h) <= member)
    }

    /// The child that the record of this rank is in; the rank becomes that within the child.
    fn child_at(&self, rank: &mut usize) -> usize {
        let mut i = 0;
        while *rank >= self.counts[i] {
            *rank -= self.counts[i];
            i += 1;
        }
        i
    }

    /// Adds a record below this node. Returns a node to stand to the right of this one, if it was split.
    fn insert(&mut self, handle: Handle, score: f64, member: &[u8], records: &Records) -> Option<Entry> {
        let i = self.descend(&mut |s, h| precedes(records, s, h, score, member));
        self.counts[i] += 1;
        let split = match &mut self.children[i] {
            Node::Inner(inner) => inner.insert(handle, score, member, records)?,
            Node::Leaf(leaf) => {
                let at = leaf.partition(|h| precedes(records, records.score(h), h, score, member));
                if !leaf.is_full() {
                    leaf.insert(at, handle);
                    return None;
                }
                self.counts[i] -= 1;
                self.insert_in_full(i, at, handle, records)?
            }
        };
        self.counts[i] -= split.count;
        self.add_or_split(i + 1, split)
    }

    /// Adds a handle at index `at` of the full leaf `i`. Returns a leaf to stand to its right, whose records are
    /// counted with leaf `i`, if sharing with a neighbour was not possible.
    fn insert_in_full(&mut self, i: usize, at: usize, handle: Handle, records: &Records) -> Option<Entry> {
        if i > 0 && at > 0 && self.share_left(i, at, handle, records) {
            return None;
        }
        if self.share_right(i, at, handle, records) {
            return None;
        }
        self.counts[i] += 1;
        let Node::Leaf(leaf) = &mut self.children[i] else { unreachable!("the caller met a leaf") };
        let right = if at == LEAF && i + 1 == self.counts.len() {
            let mut right = Leaf::new();
            right.insert(0, handle);
            right
        } else if at == 0 {
            let mut left = Leaf::new();
            left.insert(0, handle);
            std::mem::replace(leaf, left)
        } else {
            let mut right = leaf.split_off(LEAF / 2);
            if at <= LEAF / 2 {
                leaf.insert(at, handle);
            } else {
                right.insert(at - LEAF / 2, handle);
            }
            right
        };
        let first = right.get(0);
        Some(Entry { score: records.score(first), first, count: right.len(), child: Node::Leaf(right) })
    }

    /// Moves records of the full leaf `i` to its left neighbour, if that has room, and inserts.
    fn share_left(&mut self, i: usize, at: usize, handle: Handle, records: &Records) -> bool {
        let (left, right) = self.leaves(i - 1);
        let room = LEAF - left.len();
        // At the right end of all, full leaves are to stay full.
        if room < ROOM_WORTH_SHARING {
            return false;
        }
        let moved = room.div_ceil(2);
        left.take_from_right(right, moved);
        if at <= moved {
            left.insert(left.len() - moved + at, handle);
        } else {
            right.insert(at - moved, handle);
        }
        self.recount(i - 1, records);
        true
    }

    /// Moves records of the full leaf `i` to its right neighbour, if that has room, and inserts.
    fn share_right(&mut self, i: usize, at: usize, handle: Handle, records: &Records) -> bool {
        if i + 1 == self.children.len() {
            return false;
        }
        let (left, right) = self.leaves(i);
        let room = LEAF - right.len();
        if room < ROOM_WORTH_SHARING {
            return false;
        }
        let moved = room.div_ceil(2);
        left.give_to_right(right, moved);
        if at <= left.len() {
            left.insert(at, handle);
        } else {
            right.insert(at - left.len(), handle);
        }
        self.recount(i, records);
        true
    }

    /// Leaf `i` and the next.
    fn leaves(&mut self, i: usize) -> (&mut Leaf, &mut Leaf) {
        let [Node::Leaf(left), Node::Leaf(right)] = &mut self.children[i..i + 2] else {
            unreachable!("all leaves are equally deep");
        };
        (left, right)
    }

    /// After records moved between leaf `i` and the next: their counts, and the first of the second.
    fn recount(&mut self, i: usize, records: &Records) {
        let (left, right) = self.leaves(i);
        let (left_len, right_len, first) = (left.len(), right.len(), right.get(0));
        (self.counts[i], self.counts[i + 1]) = (left_len, right_len);
        (self.firsts[i + 1], self.scores[i + 1]) = (first, records.score(first));
    }

    /// Adds an entry, `at` > 0. A full node is split and the right part returned.
    fn add_or_split(&mut self, at: usize, entry: Entry) -> Option<Entry> {
        if self.children.len() < FAN {
            self.add(at, entry);
            return None;
        }
        let cut = match at {
            FAN => FAN - FAN / 8,
            1 => FAN / 8,
            _ => FAN / 2,
        };
        let mut right = Inner::new();
        right.scores.extend(self.scores.drain(cut..));
        right.firsts.extend(self.firsts.drain(cut..));
        right.counts.extend(self.counts.drain(cut..));
        right.children.extend(self.children.drain(cut..));
        if at <= cut {
            self.add(at, entry);
        } else {
            right.add(at - cut, entry);
        }
        let (score, first, count) = (right.scores[0], right.firsts[0], right.counts.iter().sum());
        Some(Entry { score, first, count, child: Node::Inner(right) })
    }

    fn remove(&mut self, mut target: Target<'_>, records: &Records) -> Removed {
        let i = match &mut target {
            Target::Rank(rank) => self.child_at(rank),
            Target::Record(_, score, member) => self.child_of(*score, member, records),
        };
        self.counts[i] -= 1;
        let removed = match &mut self.children[i] {
            Node::Inner(inner) => inner.remove(target, records),
            Node::Leaf(leaf) => {
                let at = target.index_in(leaf);
                Removed { handle: leaf.remove(at), first_changed: at == 0 }
            }
        };
        if self.counts[i] == 0 {
            self.take(i);
            return Removed { first_changed: i == 0, ..removed };
        }
        if removed.first_changed && i > 0 {
            let first = self.children[i].first();
            (self.firsts[i], self.scores[i]) = (first, records.score(first));
        }
        if self.children[i].width() < self.children[i].capacity() / 4 {
            self.join(i);
        }
        Removed { first_changed: removed.first_changed && i == 0, ..removed }
    }

    /// Joins child `i` and a neighbour, if together they leave room.
    fn join(&mut self, i: usize) {
        let limit = self.children[i].capacity() * 3 / 4;
        let fits = |left: usize| {
            let pair = self.children.get(left..left + 2);
            pair.is_some_and(|pair| pair[0].width() + pair[1].width() <= limit)
        };
        let left = match i {
            _ if fits(i) => i,
            1.. if fits(i - 1) => i - 1,
            _ => return,
        };
        let entry = self.take(left + 1);
        self.counts[left] += entry.count;
        match (&mut self.children[left], entry.child) {
            (Node::Leaf(left), Node::Leaf(mut right)) => {
                let len = right.len();
                left.take_from_right(&mut right, len);
            }
            (Node::Inner(left), Node::Inner(mut right)) => {
                (right.scores[0], right.firsts[0]) = (entry.score, entry.first);
                left.scores.append(&mut right.scores);
                left.firsts.append(&mut right.firsts);
                left.counts.append(&mut right.counts);
                left.children.append(&mut right.children);
            }
            _ => unreachable!("all leaves are equally deep"),
        }
    }
}

#[cfg(test)]
impl Tree {
    /// Panics if an invariant does not hold. Returns the share of the leaves' places that is in use.
    pub fn check(&self, records: &Records) -> f64 {
        let mut leaves = 0;
        let (len, _) = check_node(&self.root, records, &mut leaves);
        assert_eq!(len, self.len);
        self.len as f64 / (leaves * LEAF) as f64
    }
}

/// Records below the node, and its height.
#[cfg(test)]
fn check_node(node: &Node, records: &Records, leaves: &mut usize) -> (usize, usize) {
    match node {
        Node::Leaf(leaf) => {
            *leaves += 1;
            (leaf.len(), 0)
        }
        Node::Inner(inner) => {
            assert!((1..=FAN).contains(&inner.children.len()));
            let mut height = None;
            for (i, child) in inner.children.iter().enumerate() {
                let (len, below) = check_node(child, records, leaves);
                assert!(len > 0);
                assert_eq!(len, inner.counts[i]);
                assert_eq!(*height.get_or_insert(below), below);
                if i > 0 {
                    assert_eq!(child.first(), inner.firsts[i]);
                    assert_eq!(records.score(child.first()), inner.scores[i]);
                }
            }
            (inner.counts.iter().sum(), height.expect("it has children") + 1)
        }
    }
}
