//! [`Nodes`]: the row of nodes of a long list, in chunks.
//!
//! *Duty:* what a ring of nodes can do, without a step that takes as long as there are nodes: the row grows chunk by
//! chunk, and a node or an element is found by stepping over whole chunks. *Does not know:* what is in a node, but how
//! many elements. *Invariants:* no chunk is empty or has more than [`CHUNK`] nodes; `elements` of a chunk is the sum over
//! its nodes, and so nodes are changed through `edit` only. *Counterpart in C Redis:* the links of `quicklistNode`, and
//! the bookmarks that jump over some.

use std::collections::VecDeque;
use std::ops::Index;

use super::End;
use super::node::Node;

const CHUNK: usize = 256;

#[derive(Clone, Debug)]
struct Chunk {
    nodes: VecDeque<Node>,
    elements: usize,
}

impl Chunk {
    fn of(node: Node) -> Chunk {
        let elements = node.count();
        Chunk { nodes: VecDeque::from([node]), elements }
    }

    #[inline]
    fn edit<R>(&mut self, at: usize, change: impl FnOnce(&mut Node) -> R) -> R {
        let node = &mut self.nodes[at];
        let before = node.count();
        let result = change(node);
        self.elements = self.elements - before + node.count();
        result
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    chunks: VecDeque<Chunk>,
    len: usize,
}

impl Index<usize> for Nodes {
    type Output = Node;

    fn index(&self, at: usize) -> &Node {
        let (chunk, at) = self.place(at);
        &self.chunks[chunk].nodes[at]
    }
}

impl Nodes {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(super) fn end(&self, end: End) -> Option<&Node> {
        match end {
            End::Left => self.chunks.front()?.nodes.front(),
            End::Right => self.chunks.back()?.nodes.back(),
        }
    }

    /// Lets `change` at the outermost node.
    #[inline]
    pub(super) fn edit_end<R>(&mut self, end: End, change: impl FnOnce(&mut Node) -> R) -> Option<R> {
        match end {
            End::Left => self.chunks.front_mut().map(|chunk| chunk.edit(0, change)),
            End::Right => self.chunks.back_mut().map(|chunk| chunk.edit(chunk.nodes.len() - 1, change)),
        }
    }

    /// Lets `change` at the node number `at`, of which there is one.
    pub(super) fn edit<R>(&mut self, at: usize, change: impl FnOnce(&mut Node) -> R) -> R {
        let (chunk, at) = self.place(at);
        self.chunks[chunk].edit(at, change)
    }

    /// The chunk of the node number `at`, and its number there.
    fn place(&self, at: usize) -> (usize, usize) {
        if at <= self.len / 2 {
            let mut left = at;
            for (i, chunk) in self.chunks.iter().enumerate() {
                if left < chunk.nodes.len() {
                    return (i, left);
                }
                left -= chunk.nodes.len();
            }
        } else {
            let mut behind = self.len - at;
            for (i, chunk) in self.chunks.iter().enumerate().rev() {
                if behind <= chunk.nodes.len() {
                    return (i, chunk.nodes.len() - behind);
                }
                behind -= chunk.nodes.len();
            }
        }
        unreachable!("whoever asks has compared with the number of nodes")
    }

    /// The node of the element number `index` of `total`, and its number there. `index` is less than `total`.
    pub(super) fn locate(&self, index: usize, total: usize) -> (usize, usize) {
        if index <= total / 2 {
            let (mut left, mut before) = (index, 0);
            let chunk = self.chunks.iter().find(|chunk| {
                let here = left < chunk.elements;
                if !here {
                    left -= chunk.elements;
                    before += chunk.nodes.len();
                }
                here
            });
            for (i, node) in chunk.into_iter().flat_map(|chunk| chunk.nodes.iter().enumerate()) {
                if left < node.count() {
                    return (before + i, left);
                }
                left -= node.count();
            }
        } else {
            let (mut behind, mut before) = (total - index, self.len);
            let chunk = self.chunks.iter().rev().find(|chunk| {
                before -= chunk.nodes.len();
                let here = behind <= chunk.elements;
                if !here {
                    behind -= chunk.elements;
                }
                here
            });
            for (i, node) in chunk.into_iter().flat_map(|chunk| chunk.nodes.iter().enumerate().rev()) {
                if behind <= node.count() {
                    return (before + i, node.count() - behind);
                }
                behind -= node.count();
            }
        }
        unreachable!("the nodes hold as many elements as the list is long")
    }

    pub(super) fn push(&mut self, end: End, node: Node) {
        self.len += 1;
        let outer = match end {
            End::Left => self.chunks.front_mut(),
            End::Right => self.chunks.back_mut(),
        };
        match (outer.filter(|chunk| chunk.nodes.len() < CHUNK), end) {
            (None, End::Left) => self.chunks.push_front(Chunk::of(node)),
            (None, End::Right) => self.chunks.push_back(Chunk::of(node)),
            (Some(chunk), _) => {
                chunk.elements += node.count();
                match end {
                    End::Left => chunk.nodes.push_front(node),
                    End::Right => chunk.nodes.push_back(node),
                }
            }
        }
    }

    pub(super) fn pop(&mut self, end: End) {
        match end {
            _ if self.len == 0 => {}
            End::Left => self.remove(0),
            End::Right => self.remove(self.len - 1),
        }
    }

    /// Puts a node in front of number `at`, or at the end.
    pub(super) fn insert(&mut self, at: usize, node: Node) {
        if at == self.len {
            return self.push(End::Right, node);
        }
        let (mut i, mut at) = self.place(at);
        if self.chunks[i].nodes.len() == CHUNK {
            let nodes = self.chunks[i].nodes.split_off(CHUNK / 2);
            let elements = nodes.iter().map(Node::count).sum();
            self.chunks[i].elements -= elements;
            self.chunks.insert(i + 1, Chunk { nodes, elements });
            if at >= CHUNK / 2 {
                (i, at) = (i + 1, at - CHUNK / 2);
            }
        }
        let chunk = &mut self.chunks[i];
        chunk.elements += node.count();
        chunk.nodes.insert(at, node);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, at: usize) {
        self.take(at);
    }

    /// Takes the node number `at` out.
    pub(super) fn take(&mut self, at: usize) -> Node {
        let (i, at) = self.place(at);
        let chunk = &mut self.chunks[i];
        let node = chunk.nodes.remove(at).expect("there is one at this place");
        chunk.elements -= node.count();
        self.len -= 1;
        if chunk.nodes.is_empty() {
            self.chunks.remove(i);
        }
        node
    }

    /// Takes `count` nodes out from number `at` on: most of them as the chunks that they are in.
    pub(super) fn take_many(&mut self, at: usize, count: usize) -> Vec<VecDeque<Node>> {
        let (mut taken, mut left) = (Vec::new(), count);
        if count == 0 {
            return taken;
        }
        let (mut first, within) = self.place(at);
        self.len -= count;
        if within > 0 {
            let upto = self.chunks[first].nodes.len().min(within + left);
            left -= upto - within;
            taken.push(self.chunks[first].drain(within..upto));
            first += 1;
        }
        let mut behind = first;
        while left > 0 && self.chunks[behind].nodes.len() <= left {
            left -= self.chunks[behind].nodes.len();
            behind += 1;
        }
        taken.extend(self.chunks.drain(first..behind).map(|chunk| chunk.nodes));
        if left > 0 {
            taken.push(self.chunks[first].drain(0..left));
        }
        taken
    }

    /// Lets `change` at one node after the other, from one end, until it says that it is enough. Nodes that it leaves
    /// without elements go.
    pub(super) fn edit_each(&mut self, from: End, mut change: impl FnMut(&mut Node) -> bool) {
        let mut seen = 0;
        while seen < self.chunks.len() {
            let i = if from == End::Left { seen } else { self.chunks.len() - 1 - seen };
            let chunk = &mut self.chunks[i];
            let before = chunk.nodes.len();
            let enough = match from {
                End::Left => chunk.nodes.iter_mut().any(&mut change),
                End::Right => chunk.nodes.iter_mut().rev().any(&mut change),
            };
            chunk.nodes.retain(|node| node.count() > 0);
            chunk.elements = chunk.nodes.iter().map(Node::count).sum();
            self.len -= before - chunk.nodes.len();
            if chunk.nodes.is_empty() {
                self.chunks.remove(i);
            } else {
                seen += 1;
            }
            if enough {
                return;
            }
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Node> {
        self.chunks.iter().flat_map(|chunk| chunk.nodes.iter())
    }

    /// The nodes from number `at` on, to the right. There is one of this number.
    pub(super) fn rightwards(&self, at: usize) -> impl Iterator<Item = &Node> {
        let (first, within) = self.place(at);
        let skip = move |i| if i == 0 { within } else { 0 };
        self.chunks.range(first..).enumerate().flat_map(move |(i, chunk)| chunk.nodes.range(skip(i)..))
    }

    /// The nodes from number `at` on, to the left.
    pub(super) fn leftwards(&self, at: usize) -> impl Iterator<Item = &Node> {
        let (first, within) = self.place(at);
        let upto = move |i, chunk: &Chunk| if i == 0 { within + 1 } else { chunk.nodes.len() };
        let chunks = self.chunks.range(..=first).rev().enumerate();
        chunks.flat_map(move |(i, chunk)| chunk.nodes.range(..upto(i, chunk)).rev())
    }

    /// Heap bytes, judged by some nodes.
    pub(super) fn memory(&self) -> usize {
        const SAMPLES: usize = 64;
        let step = self.chunks.len().div_ceil(SAMPLES).max(1);
        let (mut sampled, mut bytes) = (0, 0);
        for chunk in self.chunks.iter().step_by(step) {
            let nodes = chunk.nodes.len();
            for node in chunk.nodes.iter().step_by(nodes.div_ceil(SAMPLES / 8)) {
                (sampled, bytes) = (sampled + 1, bytes + node.capacity());
            }
        }
        bytes * self.len / sampled.max(1) + self.len * size_of::<Node>() + self.chunks.capacity() * size_of::<Chunk>()
    }
}

impl Chunk {
    fn drain(&mut self, range: std::ops::Range<usize>) -> VecDeque<Node> {
        let drained: VecDeque<Node> = self.nodes.drain(range).collect();
        self.elements -= drained.iter().map(Node::count).sum::<usize>();
        drained
    }
}
