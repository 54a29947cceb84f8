//! [`Quicklist`]: a long list as a row of nodes, each holding a run of elements.
//!
//! *Duty:* push and pop at both ends in constant time, insert, replace and remove anywhere by moving no more than a
//! node's bytes, keep inner nodes compressed if asked to. *Does not know:* keys, commands, short lists.
//! *Invariants:* no node is empty. A node exceeds [`Shape`] only if it holds a single element. With a compress depth,
//! the outer `depth` nodes at either end are not compressed. `tail` holds the places of the last elements of the last
//! node, up to its very last one, or nothing.
//! *Counterpart in C Redis:* `quicklist.c`.
//!
//! Elements have no lengths behind them, so where the last one of a node begins is not written anywhere. Who pops
//! from the right has the places of the whole node noted once (`tail`), and takes them off one by one.

mod node;
mod nodes;

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::element::{self, Elem, Needle};
use super::pack::{Pack, PackRef};
use node::Node;
use nodes::Nodes;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Left,
    Right,
}

/// How a list is cut into nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Above 0: so many elements per node, and [`Shape::SAFE_BYTES`]. Below: -1 to -5 are nodes of 4 to 64 KiB.
    pub fill: i32,
    /// How many nodes at either end are never compressed; 0: none is.
    pub depth: usize,
    /// Elements of so many bytes or more have a node of their own.
    pub alone: usize,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape { fill: -2, depth: 0, alone: Shape::ALONE }
    }
}

impl Shape {
    pub const SAFE_BYTES: usize = 8192;
    /// The reference's limit for elements that share a node.
    pub const ALONE: usize = 1 << 30;

    fn bytes(&self) -> usize {
        if self.fill < 0 { 2048 << self.fill.unsigned_abs().min(5) } else { Shape::SAFE_BYTES }
    }

    fn count(&self) -> usize {
        if self.fill < 0 { usize::MAX } else { self.fill.clamp(1, 0x7fff) as usize }
    }

    /// Whether so many elements of so many bytes may be one node.
    #[inline]
    pub fn allows(&self, bytes: usize, count: usize) -> bool {
        bytes <= self.bytes() && count <= self.count()
    }
}

/// Nodes that were taken out at once; freeing many of them takes a while.
#[derive(Debug, Default)]
pub struct Removed(Vec<VecDeque<Node>>);

impl Removed {
    /// How many frees it takes to drop it.
    pub fn free_effort(&self) -> usize {
        self.0.iter().map(VecDeque::len).sum()
    }

    /// Heap bytes, judged by a node of each chunk.
    pub fn memory(&self) -> usize {
        let of_chunk = |nodes: &VecDeque<Node>| nodes.front().map_or(0, Node::capacity) * nodes.len();
        self.0.iter().map(of_chunk).sum()
    }
}

#[derive(Clone, Debug)]
pub struct Quicklist {
    nodes: Nodes,
    len: usize,
    shape: Shape,
    tail: Vec<u32>,
}

/// Below this many elements in the last node the place of its last one is looked for and not noted.
const NOTED_FROM: usize = 8;

impl Quicklist {
    pub fn new(shape: Shape) -> Quicklist {
        Quicklist { nodes: Nodes::default(), len: 0, shape, tail: Vec::new() }
    }

    pub fn from_pack(pack: PackRef<'_>, shape: Shape) -> Quicklist {
        let mut list = Quicklist::new(shape);
        let len = pack.len();
        let fits = shape.allows(pack.byte_len(), len) && pack.byte_len() < shape.alone;
        if fits && len > 0 {
            list.nodes.push(End::Right, Node::from_run(pack.run(), len));
            list.len = len;
        } else {
            pack.iter().for_each(|(_, elem)| list.push(End::Right, elem));
        }
        list
    }

    /// The elements as a pack, if they are one node of at most so many bytes.
    pub fn to_pack(&self, max: usize) -> Option<Pack> {
        match self.nodes.end(End::Left) {
            Some(node) if self.nodes.len() == 1 && node.size() <= max => {
                Some(Pack::from_run(node.elements(&mut Vec::new()), node.count()))
            }
            _ => None,
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// How large the buffer of a new node may become: all at once when there are full ones already.
    fn target(&self) -> usize {
        self.shape.bytes()
    }

    fn fresh_node(&self) -> Node {
        let whole = self.shape.fill < 0 && !self.nodes.is_empty();
        Node::with_capacity(if whole { self.target() } else { 0 })
    }

    /// The node holds one element that shares with none.
    #[inline]
    fn is_alone(&self, node: &Node) -> bool {
        node.size() >= self.shape.alone && node.count() == 1
    }

    #[inline]
    fn has_room(&self, node: &Node, elem: Elem<'_>) -> bool {
        self.shape.allows(node.size() + element::encoded_len(elem), node.count() + 1)
            && !self.is_alone(node)
            && elem.text_len() < self.shape.alone
    }

    #[inline]
    pub fn push(&mut self, end: End, elem: Elem<'_>) {
        let room = self.nodes.end(end).is_some_and(|node| self.has_room(node, elem));
        if !room {
            self.add_node(end, elem);
        }
        let target = self.target();
        self.len += 1;
        match end {
            End::Left => {
                let moved = self.nodes.edit_end(end, |node| node.push_front(elem, target)).expect("just made");
                if moved && self.nodes.len() == 1 {
                    self.tail.clear();
                }
            }
            End::Right => {
                let pushed = self.nodes.edit_end(end, |node| (node.next_place(), node.push_back(elem, target)));
                let (place, moved) = pushed.expect("just made");
                if moved {
                    self.tail.clear();
                } else if !self.tail.is_empty() {
                    self.tail.push(place);
                }
            }
        }
    }

    /// Adds an empty node for `elem` at one end; what was the end before keeps no room to grow.
    #[cold]
    fn add_node(&mut self, end: End, elem: Elem<'_>) {
        let node = if element::encoded_len(elem) < self.target() { self.fresh_node() } else { Node::default() };
        // On the left the old front may be the back too, whose places have changed with it.
        if self.nodes.edit_end(end, Node::settle).is_some() || end == End::Right {
            self.tail.clear();
        }
        self.nodes.push(end, node);
        self.compress_ends();
    }

    /// Takes the outermost element off and shows it to `take` before it goes.
    #[inline]
    pub fn pop<R>(&mut self, end: End, take: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        let (taken, empty) = match end {
            End::Left => self.nodes.edit_end(end, |node| {
                let (elem, len) = element::decode(node.run()).expect("no node is empty");
                let taken = take(elem);
                node.drop_front(len);
                (taken, node.count() == 0)
            })?,
            End::Right => {
                let place = self.last_place()?;
                self.nodes.edit_end(end, |node| {
                    let taken = take(node.at_place(place));
                    node.drop_back(place);
                    (taken, node.count() == 0)
                })?
            }
        };
        self.len -= 1;
        if empty {
            self.drop_end(end);
        }
        Some(taken)
    }

    #[cold]
    fn drop_end(&mut self, end: End) {
        self.nodes.pop(end);
        if end == End::Right || self.nodes.is_empty() {
            self.tail.clear();
        }
        self.compress_ends();
    }

    /// Takes the place of the last element out of `tail`, which is filled first if need be.
    #[inline]
    fn last_place(&mut self) -> Option<usize> {
        if let Some(place) = self.tail.pop() {
            return Some(place as usize);
        }
        let node = self.nodes.end(End::Right)?;
        node.places(&mut self.tail);
        let last = self.tail.pop();
        if self.tail.len() < NOTED_FROM {
            self.tail = Vec::new();
        }
        last.map(|place| place as usize)
    }

    /// The node of the element number `index`, and its number there. `index` is less than the length.
    fn locate(&self, index: usize) -> (usize, usize) {
        self.nodes.locate(index, self.len)
    }

    /// Shows `visit` the elements from number `index` on, to the right or to the left, until it breaks.
    #[inline]
    pub fn walk(&self, index: usize, towards: End, mut visit: impl FnMut(Elem<'_>) -> ControlFlow<()>) {
        if index >= self.len {
            return;
        }
        let (node, within) = self.locate(index);
        let mut scratch = Vec::new();
        match towards {
            End::Right => {
                let mut skip = within;
                for node in self.nodes.rightwards(node) {
                    let run = node.elements(&mut scratch);
                    let mut at = node::offset_in(run, std::mem::take(&mut skip));
                    while at < run.len() {
                        let (elem, len) = element::decode(&run[at..]).expect("elements follow each other");
                        if visit(elem).is_break() {
                            return;
                        }
                        at += len;
                    }
                }
            }
            End::Left => {
                let mut offsets = Vec::new();
                let mut first = Some(within + 1);
                for node in self.nodes.leftwards(node) {
                    let run = node.elements(&mut scratch);
                    node::offsets(run, &mut offsets);
                    offsets.truncate(first.take().unwrap_or(usize::MAX));
                    for at in offsets.iter().rev() {
                        let (elem, _) = element::decode(&run[*at as usize..]).expect("elements follow each other");
                        if visit(elem).is_break() {
                            return;
                        }
                    }
                }
            }
        }
    }

    /// Hands out the nodes: the run of elements, how many there are, and whether it is one that stands alone.
    pub fn each_node<E>(&self, mut visit: impl FnMut(PackRun<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut scratch = Vec::new();
        for node in self.nodes.iter() {
            let alone = self.is_alone(node);
            visit(PackRun { elements: node.elements(&mut scratch), count: node.count(), alone })?;
        }
        Ok(())
    }

    /// Inserts an element that then has the number `index`, at most the length.
    pub fn insert(&mut self, index: usize, elem: Elem<'_>) {
        if index == 0 || index == self.len {
            return self.push(if index == 0 { End::Left } else { End::Right }, elem);
        }
        let (at, within) = self.locate(index);
        self.tail.clear();
        self.len += 1;
        if self.has_room(&self.nodes[at], elem) {
            self.nodes.edit(at, |node| {
                node.unpack();
                node.insert(within, elem);
            });
            return self.compress_around(at, at);
        }
        if within == 0 && at > 0 && self.has_room(&self.nodes[at - 1], elem) {
            let target = self.target();
            self.nodes.edit(at - 1, |node| {
                node.unpack();
                node.push_back(elem, target);
            });
            return self.compress_around(at - 1, at - 1);
        }
        self.insert_split(at, within, elem);
    }

    /// Cuts a full node in two and puts the element between the halves.
    fn insert_split(&mut self, at: usize, within: usize, elem: Elem<'_>) {
        let target = self.target();
        let mut between = at;
        if within > 0 {
            let right = self.nodes.edit(at, |node| {
                node.unpack();
                node.split_off(within)
            });
            self.nodes.insert(at + 1, right);
            between = at + 1;
        }
        if between > at && self.has_room(&self.nodes[at], elem) {
            self.nodes.edit(at, |node| node.push_back(elem, target));
        } else if between > at && self.has_room(&self.nodes[between], elem) {
            self.nodes.edit(between, |node| node.push_front(elem, target));
        } else {
            let mut node = Node::default();
            node.push_back(elem, target);
            self.nodes.insert(between, node);
        }
        self.merge_around(at);
    }

    /// Joins the nodes around number `at` where two of them may be one.
    fn merge_around(&mut self, at: usize) {
        let mut i = at.saturating_sub(1);
        let mut end = (at + 3).min(self.nodes.len() - 1);
        while i < end {
            let (a, b) = (&self.nodes[i], &self.nodes[i + 1]);
            let one = self.shape.allows(a.size() + b.size(), a.count() + b.count());
            if one && !self.is_alone(a) && !self.is_alone(b) {
                let mut other = self.nodes.take(i + 1);
                other.unpack();
                self.nodes.edit(i, |node| {
                    node.unpack();
                    node.append(&other);
                });
                end -= 1;
            } else {
                i += 1;
            }
        }
        self.compress_around(at.saturating_sub(1), at + 3);
        self.compress_sides();
    }

    /// Puts another element in the place of number `index`, which is less than the length.
    pub fn replace(&mut self, index: usize, elem: Elem<'_>) {
        let (at, within) = self.locate(index);
        self.tail.clear();
        let shape = self.shape;
        let replaced = self.nodes.edit(at, |node| {
            node.unpack();
            if node.count() == 1 {
                *node = Node::default();
                node.push_back(elem, shape.bytes());
                return true;
            }
            let old = node::offset_in(node.run(), within);
            let old = element::skip(&node.run()[old..]);
            let size = node.size() - old + element::encoded_len(elem);
            let fits = shape.allows(size, node.count()) && elem.text_len() < shape.alone;
            if fits {
                node.replace(within, elem);
            } else {
                node.remove(within, 1);
            }
            fits
        });
        if !replaced {
            self.len -= 1;
            self.insert(index, elem);
        }
        self.compress_around(at, at);
    }

    /// Removes elements from number `index` on: `elements` in all, or as many as there are.
    pub fn remove(&mut self, index: usize, elements: usize) -> Removed {
        let left = elements.min(self.len.saturating_sub(index));
        if left == 0 {
            return Removed::default();
        }
        let (first, within) = self.locate(index);
        // Where what stays behind begins.
        let (end, rest) = if index + left == self.len { (self.nodes.len(), 0) } else { self.locate(index + left) };
        self.tail.clear();
        self.len -= left;
        let cut = |node: &mut Node, from: usize, count: usize| {
            node.unpack();
            node.remove(from, count);
            node.settle();
        };
        if first == end {
            self.nodes.edit(first, |node| cut(node, within, left));
            self.compress_around(first, first);
            return Removed::default();
        }
        if rest > 0 {
            self.nodes.edit(end, |node| cut(node, 0, rest));
        }
        let mut at = first;
        if within > 0 {
            self.nodes.edit(first, |node| cut(node, within, node.count() - within));
            at += 1;
        }
        let removed = Removed(self.nodes.take_many(at, end - at));
        self.compress_around(first, at);
        self.compress_sides();
        removed
    }

    /// Removes the elements with this text, at most `max` of them, searching from one end. Returns how many.
    pub fn remove_matching(&mut self, text: &[u8], max: usize, from: End) -> usize {
        let needle = Needle::new(text);
        let mut scratch = Vec::new();
        let mut removed = 0;
        self.nodes.edit_each(from, |node| {
            let there = node::matches(node.elements(&mut scratch), &needle);
            if there > 0 {
                let (wanted, packed) = (there.min(max - removed), node.is_compressed());
                node.unpack();
                let skip = if from == End::Left { 0 } else { there - wanted };
                removed += node.remove_matching(&needle, skip, wanted);
                if packed { node.compress() } else { node.settle() }
            }
            removed >= max
        });
        if removed > 0 {
            self.len -= removed;
            self.tail.clear();
            self.compress_sides();
        }
        removed
    }

    fn is_inner(&self, at: usize) -> bool {
        self.shape.depth > 0 && at >= self.shape.depth && at + self.shape.depth < self.nodes.len()
    }

    /// Brings nodes that were changed back to the state that their place asks for.
    fn compress_around(&mut self, first: usize, last: usize) {
        if self.shape.depth == 0 || self.nodes.is_empty() {
            return;
        }
        for at in first..=last.min(self.nodes.len() - 1) {
            let inner = self.is_inner(at);
            self.nodes.edit(at, |node| if inner { node.compress() } else { node.unpack() });
        }
    }

    /// The same for the nodes that changed sides when one node came or went at an end.
    fn compress_ends(&mut self) {
        let (depth, len) = (self.shape.depth, self.nodes.len());
        if depth == 0 {
            return;
        }
        for at in [depth - 1, depth, len.wrapping_sub(depth), len.wrapping_sub(depth + 1)] {
            if at < len {
                self.compress_around(at, at);
            }
        }
    }

    /// The same after nodes came or went anywhere.
    fn compress_sides(&mut self) {
        let (depth, len) = (self.shape.depth, self.nodes.len());
        if depth > 0 && len > 0 {
            self.compress_around(0, depth);
            self.compress_around(len.saturating_sub(depth + 1), len - 1);
        }
    }

    /// Heap bytes. Of many nodes some are asked: whoever asks may be about to delete the list, in no time.
    pub fn memory(&self) -> usize {
        self.nodes.memory() + self.tail.capacity() * std::mem::size_of::<u32>() + std::mem::size_of::<Quicklist>()
    }

    pub fn free_effort(&self) -> usize {
        self.nodes.len()
    }

    /// Bytes of all elements as they are coded, uncompressed.
    pub fn uncompressed(&self) -> usize {
        self.nodes.iter().map(Node::size).sum()
    }

    /// Nodes that are compressed now.
    pub fn compressed_nodes(&self) -> usize {
        self.nodes.iter().filter(|node| node.is_compressed()).count()
    }
}

/// The elements of a node as [`Quicklist::each_node`] hands them out.
#[derive(Clone, Copy, Debug)]
pub struct PackRun<'a> {
    elements: &'a [u8],
    pub count: usize,
    /// One element that shares with no other, as it is too long.
    pub alone: bool,
}

impl<'a> PackRun<'a> {
    /// All elements of a pack.
    pub fn of(pack: PackRef<'a>) -> PackRun<'a> {
        PackRun { elements: pack.run(), count: pack.len(), alone: false }
    }

    pub fn iter(self) -> impl Iterator<Item = Elem<'a>> {
        let mut rest = self.elements;
        std::iter::from_fn(move || {
            let (elem, len) = element::decode(rest)?;
            rest = &rest[len..];
            Some(elem)
        })
    }
}

#[cfg(test)]
mod tests;
