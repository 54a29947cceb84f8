//! Nodes as the listpacks of RDB files and DUMP payloads, both ways.
//!
//! *Duty:* write a node as the listpack that the reference would keep, and read one of unknown origin. *Does not
//! know:* files, other nodes. *Invariants:* whatever the bytes say, reading them ends with a node whose invariants
//! hold or with a reason, and takes no more room than the bytes have. *Counterpart in C Redis:*
//! `streamValidateListpackIntegrity`, `streamIteratorGetID`.
//!
//! ```text
//! master   | live | deleted | n | name … name | 0 |
//! entry    | flags | ms | seq |             value … value       | elements before this one |
//! entry    | flags | ms | seq | n | name value … name value     | elements before this one |
//! ```
//!
//! Flags: 1 deleted, 2 same fields as the master. Ids are differences to the node's. Deleted entries are dropped when
//! a node is read, and only counted.

use super::id::StreamId;
use super::node::{DELETED, Elements, FIXED_ELEMENTS, Node, SAME_FIELDS};
use crate::ds::element::Elem;
use crate::ds::listpack::{Listpack, ListpackRef, element_len};

/// Why a node or a stream was refused.
pub type Reason = &'static str;

impl Node {
    /// The node's listpack. Entries that were deleted are not in it.
    pub fn to_listpack(&self) -> Vec<u8> {
        let mut out = Listpack::with_capacity(self.listpack_len());
        let int = |out: &mut Listpack, value: i64| out.push_elem(Elem::Int(value));
        let (count, names) = self.names();
        int(&mut out, self.len() as i64);
        int(&mut out, 0);
        int(&mut out, count as i64);
        Elements(names).for_each(|name| out.push_elem(name));
        int(&mut out, 0);
        let (mut at, end) = self.span();
        while at < end {
            let (entry, next) = self.entry(at);
            at = next;
            let same = entry.has_node_fields();
            int(&mut out, if same { SAME_FIELDS } else { 0 });
            int(&mut out, entry.id.ms.wrapping_sub(self.first.ms) as i64);
            int(&mut out, entry.id.seq.wrapping_sub(self.first.seq) as i64);
            let mut elements = FIXED_ELEMENTS;
            if !same {
                int(&mut out, entry.fields as i64);
                elements += 1;
            }
            for elem in entry.elements() {
                out.push_elem(elem);
                elements += 1;
            }
            int(&mut out, elements as i64);
        }
        out.into_bytes()
    }

    /// The node that a listpack holds whose ids are differences to `first`. Nothing in the bytes is believed.
    pub fn from_listpack(first: StreamId, bytes: &[u8]) -> Result<Node, Reason> {
        Listpack::check(bytes)?;
        let listpack = ListpackRef::new(bytes);
        let mut reader = Reader { elements: listpack.iter().map(|(_, elem)| elem).collect(), at: 0 };
        let live = reader.count()?;
        let deleted = reader.count()?;
        let fields = reader.count()?;
        let mut node = Node::new(first, reader.take(fields)?.iter().copied(), bytes.len());
        if reader.int()? != 0 {
            return Err("no end of the master entry");
        }
        let mut last = None;
        for _ in 0..live.checked_add(deleted).ok_or("too many entries")? {
            reader.entry(&mut node, fields, &mut last)?;
        }
        if reader.at != reader.elements.len() {
            return Err("more elements than entries");
        }
        if node.len() != live {
            return Err("the number of entries is wrong");
        }
        node.shrink();
        Ok(node)
    }
}

struct Reader<'a> {
    elements: Vec<Elem<'a>>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&[Elem<'a>], Reason> {
        let end = self.at.checked_add(count).ok_or("too many elements")?;
        let taken = self.elements.get(self.at..end).ok_or("an entry is cut short")?;
        self.at = end;
        Ok(taken)
    }

    fn int(&mut self) -> Result<i64, Reason> {
        self.take(1)?[0].as_int().ok_or("not an integer")
    }

    /// A number of things of which each takes an element at least.
    fn count(&mut self) -> Result<usize, Reason> {
        let count = usize::try_from(self.int()?).map_err(|_| "a negative number")?;
        if count > self.elements.len() { Err("a number beyond the elements there are") } else { Ok(count) }
    }

    /// The next entry, into `node` unless it is deleted. `last` is the greatest id that is there.
    fn entry(&mut self, node: &mut Node, fields: usize, last: &mut Option<StreamId>) -> Result<(), Reason> {
        let start = self.at;
        let (flags, ms, seq) = (self.int()?, self.int()?, self.int()?);
        let id = StreamId { ms: node.first.ms.wrapping_add(ms as u64), seq: node.first.seq.wrapping_add(seq as u64) };
        let own = if flags & SAME_FIELDS != 0 { None } else { Some(self.count()?) };
        let elements = own.map_or(fields, |own| own * 2);
        let from = self.at;
        self.take(elements)?;
        let before = self.at - start;
        if self.int()? != before as i64 {
            return Err("the number of an entry's elements is wrong");
        }
        if flags & DELETED != 0 {
            let listpack = self.elements[start..self.at].iter().map(|elem| element_len(*elem)).sum();
            node.note_deleted(id, listpack);
            return Ok(());
        }
        if id < node.first || last.is_some_and(|last| id <= last) {
            return Err("ids do not ascend");
        }
        *last = Some(id);
        node.push(id, own, self.elements[from..from + elements].iter().copied());
        Ok(())
    }
}
