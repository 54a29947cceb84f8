//! Walks through a log: node by node, and entry by entry in either direction.
//!
//! *Duty:* iterators that start and end at ids. *Does not know:* how nodes are found; the log hands them out.
//! *Invariants:* an entry outside the bounds is never given out. *Counterpart in C Redis:* `streamIterator`.

use std::collections::btree_map;

use super::id::StreamId;
use super::node::{Entry, Node};

/// Nodes in the order of their ids, from either end.
#[derive(Clone)]
pub struct Nodes<'a> {
    sealed: btree_map::Range<'a, StreamId, Node>,
    tail: Option<&'a Node>,
}

impl<'a> Nodes<'a> {
    pub(super) fn new(sealed: btree_map::Range<'a, StreamId, Node>, tail: Option<&'a Node>) -> Nodes<'a> {
        Nodes { sealed, tail }
    }
}

impl<'a> Iterator for Nodes<'a> {
    type Item = &'a Node;

    fn next(&mut self) -> Option<&'a Node> {
        self.sealed.next().map(|(_, node)| node).or_else(|| self.tail.take())
    }
}

impl<'a> DoubleEndedIterator for Nodes<'a> {
    fn next_back(&mut self) -> Option<&'a Node> {
        self.tail.take().or_else(|| self.sealed.next_back().map(|(_, node)| node))
    }
}

/// Entries in ascending order.
pub struct Forward<'a> {
    nodes: Nodes<'a>,
    /// The node we are in, where its next entry begins, and where its entries end.
    at: Option<(&'a Node, usize, usize)>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Forward<'a> {
    pub(super) fn new(nodes: Nodes<'a>, start: StreamId, end: StreamId) -> Forward<'a> {
        Forward { nodes, at: None, start, end }
    }
}

impl<'a> Iterator for Forward<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            match &mut self.at {
                Some((node, at, end)) if *at < *end => {
                    let (entry, next) = node.entry(*at);
                    if entry.id > self.end {
                        *at = *end;
                        self.nodes = Nodes::new(Default::default(), None);
                        return None;
                    }
                    *at = next;
                    return Some(entry);
                }
                _ => {
                    let node = self.nodes.next()?;
                    self.at = Some((node, node.seek(self.start), node.span().1));
                }
            }
        }
    }
}

/// Entries in descending order.
pub struct Backward<'a> {
    nodes: Nodes<'a>,
    /// The node we are in, where its entries begin, and where the next one to be given out ends.
    at: Option<(&'a Node, usize, usize)>,
    start: StreamId,
    end: StreamId,
}

impl<'a> Backward<'a> {
    pub(super) fn new(nodes: Nodes<'a>, start: StreamId, end: StreamId) -> Backward<'a> {
        Backward { nodes, at: None, start, end }
    }
}

impl<'a> Iterator for Backward<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            match &mut self.at {
                Some((node, begin, end)) if *begin < *end => {
                    let at = node.before(*end);
                    let (entry, _) = node.entry(at);
                    *end = at;
                    if entry.id < self.start {
                        *end = *begin;
                        self.nodes = Nodes::new(Default::default(), None);
                        return None;
                    }
                    if entry.id <= self.end {
                        return Some(entry);
                    }
                }
                _ => {
                    let node = self.nodes.next_back()?;
                    let (begin, end) = node.span();
                    self.at = Some((node, begin, end));
                }
            }
        }
    }
}
