//! Lists: elements in order, pushed and popped at both ends.
//!
//! *Duty:* the operations behind the list commands. A short list is a pack, which lies in its key's entry; a longer one
//! a [`Quicklist`]. *Does not know:* keys, waiting clients.
//! *Invariants:* a pack holds at most [`PACKED_BYTES`] and is never cut into more than one node by
//! `list-max-listpack-size`; a quicklist that was emptied to [`REPACKED_BYTES`] becomes a pack again. OBJECT ENCODING
//! says `quicklist` either way, as 7.0.15 does.
//! *Counterpart in C Redis:* the `listType...` functions of `t_list.c`.

use std::ops::ControlFlow;

use super::{Limits, Rest};
use crate::ds::element::{self, Elem, Needle};
use crate::ds::pack::{Pack, PackRef};
pub use crate::ds::quicklist::{End, Removed};
use crate::ds::quicklist::{PackRun, Quicklist, Shape};

/// The longest list that is one pack.
const PACKED_BYTES: usize = 512;
/// Down to this many bytes a list is not made a pack again: no list goes to and fro with each push and pop.
const REPACKED_BYTES: usize = 128;

#[derive(Clone, Debug)]
pub enum List {
    Packed(Pack),
    Quick(Box<Quicklist>),
}

/// A list, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum ListRef<'a> {
    Packed(PackRef<'a>),
    Quick(&'a Quicklist),
}

impl Default for List {
    fn default() -> List {
        List::new()
    }
}

fn shape(limits: &Limits) -> Shape {
    Shape {
        fill: limits.list_max_listpack_size,
        depth: limits.list_compress_depth as usize,
        alone: limits.list_packed_threshold,
    }
}

impl List {
    pub fn new() -> List {
        List::Packed(Pack::new())
    }

    #[inline]
    pub fn as_ref(&self) -> ListRef<'_> {
        match self {
            List::Packed(pack) => ListRef::Packed(pack.as_ref()),
            List::Quick(list) => ListRef::Quick(list),
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        match self {
            List::Packed(pack) => pack.is_empty(),
            List::Quick(list) => list.is_empty(),
        }
    }

    pub(super) fn rest(&self) -> Option<(Rest, &[u8])> {
        match self {
            List::Packed(pack) => Some((Rest::List, pack.as_ref().bytes())),
            List::Quick(_) => None,
        }
    }

    pub(super) fn from_rest(bytes: Vec<u8>) -> List {
        List::Packed(Pack::from_bytes(bytes))
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        match self {
            List::Packed(pack) => pack.into_bytes(),
            List::Quick(_) => Vec::new(),
        }
    }

    /// Makes sure that an element can be added: a pack that would become too long becomes a quicklist.
    #[inline]
    fn make_room(&mut self, elem: Elem<'_>, limits: &Limits) {
        let List::Packed(pack) = self else { return };
        let (len, elem_len) = (pack.as_ref().byte_len(), element::encoded_len(elem));
        let fits = len + elem_len <= PACKED_BYTES && elem_len < limits.list_packed_threshold;
        if !fits || (limits.list_max_listpack_size >= 0 && !shape(limits).allows(len + elem_len, pack.len() + 1)) {
            *self = List::Quick(Box::new(Quicklist::from_pack(pack.as_ref(), shape(limits))));
        }
    }

    /// Back to a pack, if there is little left.
    #[inline]
    fn settle(&mut self) {
        if let List::Quick(list) = self
            && list.node_count() == 1
            && let Some(pack) = list.to_pack(REPACKED_BYTES)
        {
            *self = List::Packed(pack);
        }
    }

    #[inline]
    pub fn push(&mut self, end: End, text: &[u8], limits: &Limits) {
        self.push_elem(end, Elem::parse(text), limits);
    }

    #[inline]
    pub fn push_elem(&mut self, end: End, elem: Elem<'_>, limits: &Limits) {
        self.make_room(elem, limits);
        match (self, end) {
            (List::Quick(list), _) => list.push(end, elem),
            (List::Packed(pack), End::Right) => pack.push_elem(elem),
            (List::Packed(pack), End::Left) => {
                let at = pack.as_ref().first().unwrap_or(pack.as_ref().end());
                pack.insert_elem(at, elem);
            }
        }
    }

    /// Takes the outermost element off and shows it to `take` before it goes.
    #[inline]
    pub fn pop<R>(&mut self, end: End, take: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        match self {
            List::Quick(list) => {
                let taken = list.pop(end, take);
                self.settle();
                taken
            }
            List::Packed(pack) => {
                let view = pack.as_ref();
                let at = if end == End::Left { view.first() } else { view.nth(view.len().checked_sub(1)?) }?;
                let taken = take(view.get(at));
                pack.remove(at, 1);
                Some(taken)
            }
        }
    }

    /// Inserts an element that then has the number `index`, at most the length.
    pub fn insert(&mut self, index: usize, text: &[u8], limits: &Limits) {
        let elem = Elem::parse(text);
        self.make_room(elem, limits);
        match self {
            List::Quick(list) => list.insert(index, elem),
            List::Packed(pack) => {
                let at = pack.as_ref().nth(index).unwrap_or(pack.as_ref().end());
                pack.insert_elem(at, elem);
            }
        }
    }

    /// Puts another element in the place of number `index`. `false`: there is none.
    pub fn replace(&mut self, index: usize, text: &[u8], limits: &Limits) -> bool {
        if index >= self.len() {
            return false;
        }
        let elem = Elem::parse(text);
        self.make_room(elem, limits);
        match self {
            List::Quick(list) => list.replace(index, elem),
            List::Packed(pack) => {
                let at = pack.as_ref().nth(index).expect("there are so many");
                pack.replace_elem(at, elem);
            }
        }
        true
    }

    /// Removes elements from number `index` on: `elements` in all, or as many as there are.
    pub fn remove(&mut self, index: usize, elements: usize) -> Removed {
        match self {
            List::Quick(list) => {
                let removed = list.remove(index, elements);
                self.settle();
                removed
            }
            List::Packed(pack) => {
                if let Some(at) = pack.as_ref().nth(index) {
                    pack.remove(at, elements);
                }
                Removed::default()
            }
        }
    }

    /// Removes the elements with this text, at most `max` of them, searching from one end. Returns how many.
    pub fn remove_matching(&mut self, text: &[u8], max: usize, from: End) -> usize {
        match self {
            List::Quick(list) => {
                let removed = list.remove_matching(text, max, from);
                self.settle();
                removed
            }
            List::Packed(pack) => {
                let needle = Needle::new(text);
                let mut places: Vec<_> =
                    pack.as_ref().iter().filter(|(_, elem)| needle.is(*elem)).map(|(at, _)| at).collect();
                let skip = if from == End::Right { places.len().saturating_sub(max) } else { 0 };
                places.drain(..skip);
                places.truncate(max);
                // From the back, so that the places in front stay what they are.
                places.iter().rev().for_each(|at| pack.remove(*at, 1));
                places.len()
            }
        }
    }
}

impl<'a> ListRef<'a> {
    pub(super) fn from_rest(bytes: &'a [u8]) -> ListRef<'a> {
        ListRef::Packed(PackRef::new(bytes))
    }

    #[inline]
    pub fn len(self) -> usize {
        match self {
            ListRef::Packed(pack) => pack.len(),
            ListRef::Quick(list) => list.len(),
        }
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Shows `visit` the elements from number `index` on, to the right or to the left, until it breaks.
    #[inline]
    pub fn walk(self, index: usize, towards: End, mut visit: impl FnMut(Elem<'_>) -> ControlFlow<()>) {
        match (self, towards) {
            (ListRef::Quick(list), _) => list.walk(index, towards, visit),
            (ListRef::Packed(pack), End::Right) => {
                let _ = pack.iter().skip(index).try_for_each(|(_, elem)| visit(elem));
            }
            (ListRef::Packed(pack), End::Left) => {
                let elements: Vec<Elem<'_>> = pack.iter().map(|(_, elem)| elem).collect();
                let _ = elements.get(..=index).unwrap_or_default().iter().rev().try_for_each(|elem| visit(*elem));
            }
        }
    }

    /// Shows `visit` so many elements from number `index` on, or as many as there are.
    #[inline]
    pub fn range(self, index: usize, elements: usize, towards: End, mut visit: impl FnMut(Elem<'_>)) {
        let mut left = elements;
        if left == 0 {
            return;
        }
        self.walk(index, towards, |elem| {
            visit(elem);
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }

    /// All elements from left to right.
    pub fn for_each(self, visit: impl FnMut(Elem<'_>)) {
        self.range(0, usize::MAX, End::Right, visit);
    }

    pub fn at<R>(self, index: usize, show: impl FnOnce(Elem<'_>) -> R) -> Option<R> {
        let (mut show, mut shown) = (Some(show), None);
        self.range(index, 1, End::Right, |elem| shown = show.take().map(|show| show(elem)));
        shown
    }

    /// Hands out the nodes, each a run of elements.
    pub fn each_node<E>(self, mut visit: impl FnMut(PackRun<'_>) -> Result<(), E>) -> Result<(), E> {
        match self {
            ListRef::Quick(list) => list.each_node(visit),
            ListRef::Packed(pack) if pack.is_empty() => Ok(()),
            ListRef::Packed(pack) => visit(PackRun::of(pack)),
        }
    }

    pub fn node_count(self) -> usize {
        match self {
            ListRef::Quick(list) => list.node_count(),
            ListRef::Packed(_) => 1,
        }
    }

    /// The shape of its nodes, or what it would be if the list became long.
    pub fn shape(self, limits: &Limits) -> Shape {
        match self {
            ListRef::Quick(list) => list.shape(),
            ListRef::Packed(_) => shape(limits),
        }
    }

    /// Bytes of all elements as they are coded, uncompressed.
    pub fn coded_len(self) -> usize {
        match self {
            ListRef::Quick(list) => list.uncompressed(),
            ListRef::Packed(pack) => pack.byte_len(),
        }
    }

    pub fn encoding(self) -> &'static str {
        "quicklist"
    }

    pub fn memory(self) -> usize {
        match self {
            ListRef::Packed(pack) => pack.byte_len(),
            ListRef::Quick(list) => list.memory(),
        }
    }

    pub fn free_effort(self) -> usize {
        match self {
            ListRef::Packed(_) => 1,
            ListRef::Quick(list) => list.free_effort(),
        }
    }
}

#[cfg(test)]
mod tests;
