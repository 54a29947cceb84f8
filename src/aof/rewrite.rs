//! [`Writer`]: a data set as the commands that make it, which is what a base in AOF format holds.
//!
//! *Duty:* for each key the shortest commands that build it, collections in batches. *Does not know:* where keys come
//! from, which of them belong into the file, how often to report.
//! *Invariants:* byte for byte what 7.0.15 writes for the same data, where that has an order; deadlines of hash
//! fields, which it does not know, follow their hash. Nothing is allocated per key. After an error the file is
//! worthless and so is the writer. *Counterpart in C Redis:* `rewriteAppendOnlyFileRio` and what it calls.
//!
//! The buffer is made by [`Writer::new`]: a child that is to write is forked after that.
//!
//! ```text
//! SELECT 0
//! SET key value                                    PEXPIREAT key ms      behind any key that expires
//! RPUSH key element...         64 at most          SADD key member...
//! ZADD key score member...     64 members          HMSET key field value...
//! XADD key id field value...   one by one          XSETID key id ENTRIESADDED n MAXDELETEDID id
//! XGROUP CREATE key group id ENTRIESREAD n         XGROUP CREATECONSUMER key group consumer
//! XCLAIM key group consumer 0 id TIME ms RETRYCOUNT n JUSTID FORCE
//! HPEXPIREAT key ms FIELDS 1 field
//! ```

use std::io::{self, Write};

use crate::base::float;
use crate::base::millis::Millis;
use crate::base::num;
use crate::value::stream::{Consumer, Group, StreamId};
use crate::value::{HashRef, ListRef, SetRef, Stream, ValueRef, View, ZsetRef};

const BUFFER_BYTES: usize = 128 * 1024;
/// Elements of one command.
const BATCH: usize = 64;
/// A collection with more bytes than this might not fit a command in batches: whoever reads it holds a command in a
/// buffer of 4 GiB.
const BATCHED_BYTES: usize = 3 << 30;
/// A mark, the longest number, two line ends.
const LINE_BYTES: usize = 1 + num::MAX_DECIMAL_LEN + 2;

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub keys: u64,
    pub bytes: u64,
}

pub struct Writer<W> {
    out: Output<W>,
    keys: u64,
    /// What the last [`Progress`] said.
    reported: Progress,
}

impl<W: Write> Writer<W> {
    pub fn new(sink: W) -> Writer<W> {
        let buf = Vec::with_capacity(BUFFER_BYTES);
        let out = Output { sink, buf, flushed: 0, number: Vec::with_capacity(64) };
        Writer { out, keys: 0, reported: Progress::default() }
    }

    /// The annotation that says from when on the commands behind it are: `aof-timestamp-enabled`.
    pub fn timestamp(&mut self, unix_secs: i64) -> io::Result<()> {
        self.out.put(b"#TS:")?;
        self.out.put(num::format_i64(unix_secs, &mut [0; num::MAX_DECIMAL_LEN]))?;
        self.out.put(b"\r\n")
    }

    /// The source of a function library. Libraries stand before the first database.
    pub fn function(&mut self, source: &[u8]) -> io::Result<()> {
        self.out.words(&[b"FUNCTION", b"LOAD", source])
    }

    /// The entries that follow belong to database `id`, which has `keys` keys. A database without keys leaves no trace.
    pub fn begin_db(&mut self, id: u64, keys: u64) -> io::Result<()> {
        if keys == 0 {
            return Ok(());
        }
        self.out.words(&[b"SELECT", num::format_u64(id, &mut [0; num::MAX_DECIMAL_LEN])])
    }

    #[inline]
    pub fn entry(&mut self, key: &[u8], value: View<'_>, expire: Option<Millis>) -> io::Result<()> {
        match value {
            View::Int(value) => {
                self.out.head(3, b"SET", key)?;
                self.out.int(value)?;
            }
            View::Str(bytes) => {
                self.out.head(3, b"SET", key)?;
                self.out.bulk(bytes)?;
            }
            View::Object(ValueRef::List(list)) => self.out.list(key, list)?,
            View::Object(ValueRef::Set(set)) => self.out.set(key, set)?,
            View::Object(ValueRef::Hash(hash)) => self.out.hash(key, hash)?,
            View::Object(ValueRef::Zset(zset)) => self.out.zset(key, zset)?,
            View::Object(ValueRef::Stream(stream)) => self.out.stream(key, stream)?,
        }
        if let Some(at) = expire {
            self.out.head(3, b"PEXPIREAT", key)?;
            self.out.int(at.0)?;
        }
        self.keys += 1;
        Ok(())
    }

    pub fn progress(&self) -> Progress {
        Progress { keys: self.keys, bytes: self.out.position() }
    }

    /// How far it has come, if that is `keys` keys or `bytes` bytes more than this said last. Cheap enough to be asked
    /// after each entry.
    #[inline]
    pub fn progress_every(&mut self, keys: u64, bytes: u64) -> Option<Progress> {
        let now = self.progress();
        if now.keys - self.reported.keys < keys && now.bytes - self.reported.bytes < bytes {
            return None;
        }
        self.reported = now;
        Some(now)
    }

    /// Gives the sink back, with the number of bytes it got; syncing it is the caller's.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.out.flush()?;
        self.out.sink.flush()?;
        Ok((self.out.sink, self.out.flushed))
    }
}

/// Arguments on their way out.
struct Output<W> {
    sink: W,
    /// Never grows: its capacity is its size.
    buf: Vec<u8>,
    /// Bytes that have left the buffer.
    flushed: u64,
    /// Where a score is printed.
    number: Vec<u8>,
}

impl<W: Write> Output<W> {
    fn position(&self) -> u64 {
        self.flushed + self.buf.len() as u64
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.buf.capacity() - self.buf.len() {
            return self.put_beyond(bytes);
        }
        self.buf.extend_from_slice(bytes);
        Ok(())
    }

    /// What does not fit: empties the buffer first, and lets large texts pass it by.
    #[cold]
    fn put_beyond(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.flush()?;
        if bytes.len() < self.buf.capacity() {
            self.buf.extend_from_slice(bytes);
            return Ok(());
        }
        self.flushed += bytes.len() as u64;
        self.sink.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed += self.buf.len() as u64;
        let result = self.sink.write_all(&self.buf);
        self.buf.clear();
        result
    }

    /// A mark and a number.
    #[inline]
    fn line(&mut self, mark: u8, number: usize) -> io::Result<()> {
        if self.buf.capacity() - self.buf.len() < LINE_BYTES {
            self.flush()?;
        }
        self.buf.push(mark);
        num::write_u64(&mut self.buf, number as u64);
        self.buf.extend_from_slice(b"\r\n");
        Ok(())
    }

    #[inline]
    fn bulk(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.line(b'$', bytes.len())?;
        self.put(bytes)?;
        self.put(b"\r\n")
    }

    #[inline]
    fn int(&mut self, value: i64) -> io::Result<()> {
        self.bulk(num::format_i64(value, &mut [0; num::MAX_DECIMAL_LEN]))
    }

    fn id(&mut self, id: StreamId) -> io::Result<()> {
        self.bulk(id.text(&mut [0; 41]))
    }

    fn score(&mut self, score: f64) -> io::Result<()> {
        let mut text = std::mem::take(&mut self.number);
        text.clear();
        float::write_f64(&mut text, score);
        let result = self.bulk(&text);
        self.number = text;
        result
    }

    /// The first two of `args` arguments.
    #[inline]
    fn head(&mut self, args: usize, name: &[u8], key: &[u8]) -> io::Result<()> {
        self.line(b'*', args)?;
        self.bulk(name)?;
        self.bulk(key)
    }

    /// A whole command.
    fn words(&mut self, words: &[&[u8]]) -> io::Result<()> {
        self.line(b'*', words.len())?;
        words.iter().try_for_each(|word| self.bulk(word))
    }

    fn list(&mut self, key: &[u8], list: ListRef<'_>) -> io::Result<()> {
        let mut batches = Batches::new(b"RPUSH", key, list.len(), 1, list.coded_len());
        list.each_node(|run| {
            run.iter().try_for_each(|element| {
                batches.next(self)?;
                self.bulk(element.text(&mut Default::default()))
            })
        })
    }

    fn set(&mut self, key: &[u8], set: SetRef<'_>) -> io::Result<()> {
        let mut batches = Batches::new(b"SADD", key, set.len(), 1, set.memory());
        set.iter().try_for_each(|member| {
            batches.next(self)?;
            self.bulk(member.text(&mut Default::default()))
        })
    }

    fn zset(&mut self, key: &[u8], zset: ZsetRef<'_>) -> io::Result<()> {
        let mut batches = Batches::new(b"ZADD", key, zset.len(), 2, zset.memory());
        zset.iter().try_for_each(|(member, score)| {
            batches.next(self)?;
            self.score(score)?;
            self.bulk(member.text(&mut Default::default()))
        })
    }

    fn hash(&mut self, key: &[u8], hash: HashRef<'_>) -> io::Result<()> {
        let mut batches = Batches::new(b"HMSET", key, hash.len(), 2, hash.memory());
        hash.iter().try_for_each(|(field, value)| {
            batches.next(self)?;
            self.bulk(field.text(&mut Default::default()))?;
            self.bulk(value.text(&mut Default::default()))
        })?;
        if hash.first_deadline().is_none() {
            return Ok(());
        }
        hash.iter().try_for_each(|(field, _)| {
            let mut text = Default::default();
            let field = field.text(&mut text);
            let Some(at) = hash.deadline(field) else { return Ok(()) };
            self.head(6, b"HPEXPIREAT", key)?;
            self.int(at.0)?;
            self.bulk(b"FIELDS")?;
            self.bulk(b"1")?;
            self.bulk(field)
        })
    }

    fn stream(&mut self, key: &[u8], stream: &Stream) -> io::Result<()> {
        let log = stream.log();
        for entry in log.range(StreamId::MIN, StreamId::MAX) {
            self.head(3 + 2 * entry.fields, b"XADD", key)?;
            self.id(entry.id)?;
            for (field, value) in entry.pairs() {
                self.bulk(field.text(&mut Default::default()))?;
                self.bulk(value.text(&mut Default::default()))?;
            }
        }
        if log.is_empty() {
            // An entry that is dropped at once leaves an empty stream.
            self.words(&[b"XADD", key, b"MAXLEN", b"0", b"0-1", b"x", b"y"])?;
        }
        self.head(7, b"XSETID", key)?;
        self.id(log.last_id())?;
        self.bulk(b"ENTRIESADDED")?;
        self.int(log.entries_added() as i64)?;
        self.bulk(b"MAXDELETEDID")?;
        self.id(log.max_deleted_id())?;
        stream.groups().iter().try_for_each(|(name, group)| self.group(key, name, group))
    }

    fn group(&mut self, key: &[u8], name: &[u8], group: &Group) -> io::Result<()> {
        self.head(7, b"XGROUP", b"CREATE")?;
        self.bulk(key)?;
        self.bulk(name)?;
        self.id(group.last_id)?;
        self.bulk(b"ENTRIESREAD")?;
        self.int(group.entries_read)?;
        group.consumers().try_for_each(|consumer| {
            // The others are made by what is pending with them.
            if consumer.pending().is_empty() {
                return self.words(&[b"XGROUP", b"CREATECONSUMER", key, name, consumer.name()]);
            }
            self.pending(key, name, group, consumer)
        })
    }

    fn pending(&mut self, key: &[u8], name: &[u8], group: &Group, consumer: &Consumer) -> io::Result<()> {
        for id in consumer.pending() {
            let pending = group.pending().get(id).expect("what a consumer has is pending");
            self.head(12, b"XCLAIM", key)?;
            self.bulk(name)?;
            self.bulk(consumer.name())?;
            self.bulk(b"0")?;
            self.id(*id)?;
            self.bulk(b"TIME")?;
            self.int(pending.delivery_time)?;
            self.bulk(b"RETRYCOUNT")?;
            self.int(pending.delivery_count as i64)?;
            self.bulk(b"JUSTID")?;
            self.bulk(b"FORCE")?;
        }
        Ok(())
    }
}

/// The commands of one collection: begins the next one when the last is full.
struct Batches<'a> {
    name: &'static [u8],
    key: &'a [u8],
    /// Elements that are still to come.
    left: usize,
    /// Those that belong to the command begun.
    open: usize,
    /// Elements of a command at most, and arguments of an element.
    most: usize,
    args: usize,
}

impl<'a> Batches<'a> {
    fn new(name: &'static [u8], key: &'a [u8], elements: usize, args: usize, bytes: usize) -> Batches<'a> {
        let most = if bytes > BATCHED_BYTES { 1 } else { BATCH };
        Batches { name, key, left: elements, open: 0, most, args }
    }

    /// To be called before each element.
    #[inline]
    fn next<W: Write>(&mut self, out: &mut Output<W>) -> io::Result<()> {
        if self.open == 0 {
            self.open = self.left.min(self.most);
            out.head(2 + self.open * self.args, self.name, self.key)?;
        }
        self.open -= 1;
        self.left -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
