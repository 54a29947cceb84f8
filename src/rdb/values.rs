//! Values on their way out: which type of the format each encoding becomes, and its bytes.
//!
//! *Duty:* what 7.0.15 would write for the same value, so that it reads all of it; hashes whose fields have deadlines,
//! which it does not know, as 7.4 writes them. *Does not know:* keys, items.
//! *Counterpart in C Redis:* `rdbSaveObjectType`, `rdbSaveObject`.

use std::io::{self, Write};

use super::View;
use super::format::{kind, node};
use super::output::Output;
use crate::ds::element::Elem;
use crate::ds::listpack::Listpack;
use crate::value::stream::{Group, StreamId};
use crate::value::{HashRef, ListRef, SetRef, Stream, ValueRef, ZsetRef};

impl<W: Write> Output<W> {
    /// The type byte that stands before an entry's key.
    pub fn kind(&mut self, value: View<'_>) -> io::Result<()> {
        self.byte(match value {
            View::Int(_) | View::Str(_) => kind::STRING,
            View::Object(ValueRef::List(_)) => kind::LIST_QUICKLIST_2,
            View::Object(ValueRef::Set(SetRef::Ints(_))) => kind::SET_INTSET,
            View::Object(ValueRef::Set(_)) => kind::SET,
            View::Object(ValueRef::Hash(HashRef::Packed(_))) => kind::HASH_LISTPACK,
            View::Object(ValueRef::Hash(hash)) if hash.first_deadline().is_some() => kind::HASH_EXPIRING,
            View::Object(ValueRef::Hash(_)) => kind::HASH,
            View::Object(ValueRef::Zset(ZsetRef::Packed(_))) => kind::ZSET_LISTPACK,
            View::Object(ValueRef::Zset(ZsetRef::Ranked(_))) => kind::ZSET_2,
            View::Object(ValueRef::Stream(_)) => kind::STREAM_2,
        })
    }

    #[inline]
    pub fn value(&mut self, value: View<'_>) -> io::Result<()> {
        match value {
            View::Int(value) => self.int(value),
            View::Str(bytes) => self.text(bytes),
            View::Object(ValueRef::List(list)) => self.list(list),
            View::Object(ValueRef::Set(set)) => self.set(set),
            View::Object(ValueRef::Hash(hash)) => self.hash(hash),
            View::Object(ValueRef::Zset(zset)) => self.zset(zset),
            View::Object(ValueRef::Stream(stream)) => self.stream(stream),
        }
    }

    fn element(&mut self, element: Elem<'_>) -> io::Result<()> {
        match element {
            Elem::Int(value) => self.int(value),
            Elem::Str(bytes) => self.text(bytes),
        }
    }

    /// Elements as one text: a listpack.
    fn listpack<'a>(&mut self, elements: impl Iterator<Item = Elem<'a>>) -> io::Result<()> {
        let mut listpack = std::mem::take(&mut self.listpack);
        listpack.clear();
        elements.for_each(|element| listpack.push_elem(element));
        let result = self.text(listpack.as_ref().bytes());
        self.listpack = if listpack.capacity() > KEPT_LISTPACK_BYTES { Listpack::new() } else { listpack };
        result
    }

    /// One node after the other, each as a listpack or, if its element stands alone, as that.
    fn list(&mut self, list: ListRef<'_>) -> io::Result<()> {
        self.length(list.node_count() as u64)?;
        let mut text = Vec::new();
        list.each_node(|run| {
            if run.alone {
                text.clear();
                run.iter().for_each(|element| element.write_text(&mut text));
                self.length(node::PLAIN)?;
                return self.text(&text);
            }
            self.length(node::PACKED)?;
            self.listpack(run.iter())
        })
    }

    fn set(&mut self, set: SetRef<'_>) -> io::Result<()> {
        if let SetRef::Ints(ints) = set {
            let mut wire = Vec::new();
            ints.write_wire(&mut wire);
            return self.text(&wire);
        }
        self.length(set.len() as u64)?;
        set.iter().try_for_each(|member| self.element(member))
    }

    fn hash(&mut self, hash: HashRef<'_>) -> io::Result<()> {
        if let HashRef::Packed(pack) = hash {
            return self.listpack(pack.iter().map(|(_, element)| element));
        }
        let first = hash.first_deadline();
        if let Some(first) = first {
            self.put(&first.0.to_le_bytes())?;
        }
        self.length(hash.len() as u64)?;
        hash.iter().try_for_each(|(field, value)| {
            if let Some(first) = first {
                let deadline = hash.deadline(field.text(&mut Default::default()));
                self.length(deadline.map_or(0, |at| at.since(first) as u64 + 1))?;
            }
            self.element(field)?;
            self.element(value)
        })
    }

    fn zset(&mut self, zset: ZsetRef<'_>) -> io::Result<()> {
        if let ZsetRef::Packed(pack) = zset {
            return self.listpack(pack.iter().map(|(_, element)| element));
        }
        self.length(zset.len() as u64)?;
        // From the greatest down: whoever inserts them then always inserts at the front.
        zset.range(0..zset.len(), true).try_for_each(|(member, score)| {
            self.element(member)?;
            self.put(&score.to_le_bytes())
        })
    }

    /// Laid out as `object::stream` draws it.
    fn stream(&mut self, stream: &Stream) -> io::Result<()> {
        let log = stream.log();
        self.length(log.node_count() as u64)?;
        for node in log.nodes() {
            self.text(&node.first().to_bytes())?;
            self.text(&node.to_listpack())?;
        }
        self.length(log.len())?;
        self.id(log.last_id())?;
        self.id(log.first_id())?;
        self.id(log.max_deleted_id())?;
        self.length(log.entries_added())?;
        self.length(stream.groups().len() as u64)?;
        stream.groups().iter().try_for_each(|(name, group)| self.group(name, group))
    }

    fn id(&mut self, id: StreamId) -> io::Result<()> {
        self.length(id.ms)?;
        self.length(id.seq)
    }

    fn group(&mut self, name: &[u8], group: &Group) -> io::Result<()> {
        self.text(name)?;
        self.id(group.last_id)?;
        self.length(group.entries_read as u64)?;
        self.length(group.pending().len() as u64)?;
        for (id, pending) in group.pending() {
            self.put(&id.to_bytes())?;
            self.put(&pending.delivery_time.to_le_bytes())?;
            self.length(pending.delivery_count)?;
        }
        self.length(group.consumer_count() as u64)?;
        for consumer in group.consumers() {
            self.text(consumer.name())?;
            self.put(&consumer.seen_time.to_le_bytes())?;
            self.length(consumer.pending().len() as u64)?;
            consumer.pending().iter().try_for_each(|id| self.put(&id.to_bytes()))?;
        }
        Ok(())
    }
}

/// A buffer larger than this is not kept for the next collection.
const KEPT_LISTPACK_BYTES: usize = 64 * 1024;
