//! Lists: elements in order, pushed and popped at both ends.
//!
//! *Duty:* what LPUSH, RPUSH, LPOP, RPOP, LLEN, LRANGE and BLPOP need. *Does not know:* keys, waiting clients.
//! *Counterpart in C Redis:* `t_list.c` over `quicklist.c`.
//!
//! Elements lie in a ring of separately owned strings. `OBJECT ENCODING` answers by 7.2's rule for the default
//! `list-max-listpack-size`: `listpack` while all elements together stay within 8 KiB, `quicklist` beyond.

use std::collections::VecDeque;

use super::Rest;

/// The size up to which a list is one node, in bytes (`list-max-listpack-size -2`).
const NODE_BYTES: usize = 8192;
/// What a listpack spends on an element beside its bytes, at most (header and back length of a long string).
const ELEMENT_OVERHEAD: usize = 7;

#[derive(Debug, Default)]
pub struct List {
    elements: VecDeque<Box<[u8]>>,
    /// Bytes of all elements with their overhead.
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Left,
    Right,
}

impl List {
    pub fn new() -> List {
        List::default()
    }

    pub fn len(&self) -> usize {
        self.elements.len()
    }

    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    pub fn push(&mut self, end: End, element: &[u8]) {
        self.bytes += element.len() + ELEMENT_OVERHEAD;
        match end {
            End::Left => self.elements.push_front(element.into()),
            End::Right => self.elements.push_back(element.into()),
        }
    }

    pub fn pop(&mut self, end: End) -> Option<Box<[u8]>> {
        let element = match end {
            End::Left => self.elements.pop_front(),
            End::Right => self.elements.pop_back(),
        }?;
        self.bytes -= element.len() + ELEMENT_OVERHEAD;
        Some(element)
    }

    /// Elements `start..=stop`; indices below zero count from the end, and both are cut to what there is.
    pub fn range(&self, start: i64, stop: i64) -> impl ExactSizeIterator<Item = &[u8]> {
        let len = self.len() as i64;
        let from_end = |i: i64| if i < 0 { i.saturating_add(len) } else { i };
        let start = from_end(start).max(0).min(len);
        let end = (from_end(stop).min(len - 1) + 1).max(start);
        self.elements.range(start as usize..end as usize).map(|e| &**e)
    }

    pub fn as_ref(&self) -> ListRef<'_> {
        ListRef(self)
    }

    pub(super) fn rest(&self) -> Option<(Rest, &[u8])> {
        None
    }

    pub(super) fn from_rest(_bytes: Vec<u8>) -> List {
        unreachable!("no list rests as bytes")
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        Vec::new()
    }
}

/// A list, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct ListRef<'a>(&'a List);

impl<'a> ListRef<'a> {
    pub(super) fn from_rest(_bytes: &'a [u8]) -> ListRef<'a> {
        unreachable!("no list rests as bytes")
    }

    pub fn len(self) -> usize {
        self.0.len()
    }

    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// As [`List::range`].
    pub fn range(self, start: i64, stop: i64) -> impl ExactSizeIterator<Item = &'a [u8]> {
        self.0.range(start, stop)
    }

    pub fn encoding(self) -> &'static str {
        if self.0.bytes <= NODE_BYTES { "listpack" } else { "quicklist" }
    }

    pub fn memory(self) -> usize {
        self.0.bytes + self.0.elements.capacity() * std::mem::size_of::<Box<[u8]>>()
    }

    pub fn free_effort(self) -> usize {
        self.len()
    }
}

impl Clone for List {
    fn clone(&self) -> List {
        List { elements: self.elements.clone(), bytes: self.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_what_there_is() {
        let mut list = List::new();
        [b"a", b"b", b"c"].iter().for_each(|e| list.push(End::Right, *e));
        let range = |a, b| list.range(a, b).map(|e| e[0] as char).collect::<String>();
        assert_eq!(
            (range(0, -1), range(-2, 10), range(1, 0), range(5, 9), range(-100, -3)),
            ("abc".into(), "bc".into(), String::new(), String::new(), "a".into())
        );
    }

    #[test]
    fn an_emptied_list_holds_no_bytes() {
        let mut list = List::new();
        list.push(End::Left, b"x");
        assert_eq!(list.pop(End::Right).as_deref(), Some(b"x".as_slice()));
        assert_eq!((list.bytes, list.is_empty()), (0, true));
    }
}
