//! [`Effects`]: what the rest of the server must be told after a command, as one value.
//!
//! *Duty:* collect, in the order in which they happened, the changes that AOF and replicas replay, the keys touched,
//! the notifications, the wish to block and the values to free. `server::exec` drains it, destructured
//! exhaustively, so that a new field is a compile error until somebody handles it.
//! *Invariant:* nothing is recorded that [`Wants`] says nobody will read.
//! *Counterpart in C Redis:* `alsoPropagate`, `signalModifiedKey`, `notifyKeyspaceEvent`, `server.dirty`.

use crate::base::millis::Millis;
use crate::base::num;
use crate::call::DbId;
use crate::resp::{Argv, encode};

/// Who listens, asked once per unit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wants {
    /// AOF or replicas exist: record operations.
    pub ops: bool,
    /// Somebody watches, tracks, or waits for keys: record touched keys.
    pub touched: bool,
    /// The event classes to record: those that `notify-keyspace-events` asks for.
    pub events: Class,
}

/// A set of keyspace event classes, one bit each (the letters of `notify-keyspace-events`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Class(pub u16);

impl Class {
    pub const GENERIC: Class = Class(1 << 0);
    pub const STRING: Class = Class(1 << 1);
    pub const LIST: Class = Class(1 << 2);
    pub const SET: Class = Class(1 << 3);
    pub const HASH: Class = Class(1 << 4);
    pub const ZSET: Class = Class(1 << 5);
    pub const EXPIRED: Class = Class(1 << 6);
    pub const EVICTED: Class = Class(1 << 7);
    pub const STREAM: Class = Class(1 << 8);
    pub const KEY_MISS: Class = Class(1 << 9);
    pub const NEW: Class = Class(1 << 10);

    #[inline]
    pub fn has(self, other: Class) -> bool {
        self.0 & other.0 != 0
    }
}

/// A named keyspace event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub class: Class,
    pub name: &'static str,
}

impl Event {
    pub const fn new(class: Class, name: &'static str) -> Event {
        Event { class, name }
    }
}

/// An event that happened to a key.
#[derive(Debug)]
pub struct Notice {
    pub event: Event,
    pub db: DbId,
    pub key: Box<[u8]>,
}

/// What a key must hold to end a wait. A key of another type leaves those who wait where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitFor {
    List,
    Zset,
    Stream,
    /// A stream's consumer group: waiting is over, with an error, when the key goes or changes its type.
    Group,
}

impl WaitFor {
    /// The type as TYPE names it.
    pub fn type_name(self) -> &'static str {
        match self {
            WaitFor::List => "list",
            WaitFor::Zset => "zset",
            WaitFor::Stream | WaitFor::Group => "stream",
        }
    }
}

/// A key that changed, or went away.
#[derive(Debug)]
pub struct Touched {
    pub db: DbId,
    pub key: Box<[u8]>,
    /// Its time was over: no client did it.
    pub expired: bool,
}

/// The caller wants to wait for one of these keys.
///
/// When a key holds what is waited for, the command runs again with [`Call::woken_by`](crate::call::Call::woken_by)
/// set: it looks at that key and at no other, and if it blocks again it stays where it is in the queue. When the time
/// is up the answer is a null array, whatever the command.
#[derive(Debug)]
pub struct BlockOn {
    pub what: WaitFor,
    pub keys: Vec<Box<[u8]>>,
    /// When to give up; `None`: never.
    pub deadline: Option<Millis>,
    /// The answer where nobody may wait, inside EXEC and scripts, is a null and not a null array.
    pub refused_with_null: bool,
    /// What runs again in place of the command as it came: XREAD with `$` made an id.
    pub rerun: Option<Argv>,
}

impl BlockOn {
    pub fn new<'k>(what: WaitFor, keys: impl Iterator<Item = &'k [u8]>, deadline: Option<Millis>) -> BlockOn {
        BlockOn { what, keys: keys.map(Box::from).collect(), deadline, refused_with_null: false, rerun: None }
    }

    pub fn or_null(self) -> BlockOn {
        BlockOn { refused_with_null: true, ..self }
    }

    pub fn rerun_as(self, argv: Argv) -> BlockOn {
        BlockOn { rerun: Some(argv), ..self }
    }
}

/// How the command itself goes to AOF and replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replicate {
    /// As it was received, if it changed something.
    #[default]
    Verbatim,
    /// By the operations it recorded.
    Rewritten,
}

/// Who replays an operation, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Targets(u8);

impl Targets {
    pub const AOF: Targets = Targets(1);
    pub const REPLICAS: Targets = Targets(2);
    pub const ALL: Targets = Targets(3);

    #[inline]
    pub fn has(self, other: Targets) -> bool {
        self.0 & other.0 != 0
    }
}

/// Operations to replay, in order: requests, encoded one behind the other as they will be written.
#[derive(Debug, Default)]
pub struct Ops {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
}

#[derive(Debug)]
struct Mark {
    db: DbId,
    to: Targets,
    /// Where in the bytes it ends; it begins where the one before it ends.
    end: usize,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Op<'a> {
    pub db: DbId,
    pub to: Targets,
    /// The encoded request.
    pub bytes: &'a [u8],
}

/// Memory for operations beyond this is not kept from one unit to the next.
const OPS_KEPT: usize = 64 * 1024;

impl Ops {
    #[inline]
    pub fn push<'a>(&mut self, db: DbId, to: Targets, args: impl ExactSizeIterator<Item = &'a [u8]>) {
        encode::request(&mut self.bytes, args);
        self.marks.push(Mark { db, to, end: self.bytes.len() });
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Lets only these hear of the operations from number `from` on.
    pub fn restrict(&mut self, from: usize, to: Option<Targets>) {
        match to {
            Some(to) => self.marks[from..].iter_mut().for_each(|mark| mark.to = Targets(mark.to.0 & to.0)),
            None => {
                let end = from.checked_sub(1).map_or(0, |last| self.marks[last].end);
                self.marks.truncate(from);
                self.bytes.truncate(end);
            }
        }
    }

    pub fn clear(&mut self) {
        self.marks.clear();
        self.bytes.clear();
        if self.bytes.capacity() > OPS_KEPT {
            self.bytes = Vec::new();
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Op<'_>> {
        let mut start = 0;
        self.marks.iter().map(move |mark| {
            let bytes = &self.bytes[start..mark.end];
            start = mark.end;
            Op { db: mark.db, to: mark.to, bytes }
        })
    }
}

impl<'a> Op<'a> {
    /// The arguments. For whoever looks at what was recorded; what is replayed is the bytes.
    pub fn args(self) -> Vec<&'a [u8]> {
        let mut rest = self.bytes;
        let line = |rest: &mut &'a [u8]| {
            let end = rest.iter().position(|byte| *byte == b'\r').expect("an encoded request");
            let n = num::parse_u64(&rest[1..end]).expect("an encoded length") as usize;
            *rest = &rest[end + 2..];
            n
        };
        let count = line(&mut rest);
        let argument = |_| {
            let len = line(&mut rest);
            let (arg, behind) = rest.split_at(len);
            rest = &behind[2..];
            arg
        };
        (0..count).map(argument).collect()
    }
}

/// Something to be freed on another thread.
#[derive(Debug)]
pub struct Garbage {
    pub what: Box<dyn std::any::Any + Send>,
    /// Keys or values in it, as INFO counts them.
    pub objects: usize,
    /// Bytes that come free with it, as far as that is known without a walk.
    pub bytes: usize,
}

#[derive(Debug, Default)]
pub struct Effects {
    pub wants: Wants,
    /// Changes to the data set, as `rdb_changes_since_last_save` counts them.
    pub dirty: u64,
    pub ops: Ops,
    pub replicate: Replicate,
    pub touched: Vec<Touched>,
    pub events: Vec<Notice>,
    /// Databases that changed places: whoever watches or waits for a key of theirs must look again.
    pub swapped: Vec<(DbId, DbId)>,
    pub block: Option<BlockOn>,
    /// Whole data sets and large values.
    pub garbage: Vec<Garbage>,
    pub counts: Counts,
}

/// Counters of INFO stats that the keyspace moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub hits: u64,
    pub misses: u64,
    pub expired: u64,
    /// Fields of hashes whose time had come.
    pub expired_fields: u64,
    /// Payloads of RESTORE that were walked to their end.
    pub payloads_checked: u64,
}

impl Effects {
    /// Nothing happened beyond counting: the common case, checked before anything is drained.
    #[inline]
    pub fn is_quiet(&self) -> bool {
        self.ops.is_empty()
            && self.touched.is_empty()
            && self.events.is_empty()
            && self.swapped.is_empty()
            && self.garbage.is_empty()
            && self.block.is_none()
    }

    /// Records an operation that the command brings with it (a lazy expiry's DEL).
    pub fn also(&mut self, db: DbId, args: &[&[u8]]) {
        if self.wants.ops {
            self.ops.push(db, Targets::ALL, args.iter().copied());
        }
    }

    #[inline]
    pub fn notify(&mut self, db: DbId, event: Event, key: &[u8]) {
        if self.wants.events.has(event.class) {
            self.note_event(db, event, key);
        }
    }

    // Apart, so that a change which nobody listens to costs no call.
    #[inline(never)]
    fn note_event(&mut self, db: DbId, event: Event, key: &[u8]) {
        self.events.push(Notice { event, db, key: key.into() });
    }

    #[inline]
    pub fn touch(&mut self, db: DbId, key: &[u8]) {
        if self.wants.touched {
            self.note_touched(db, key, false);
        }
    }

    /// As [`Effects::touch`], of a key whose time was over.
    pub fn touch_expired(&mut self, db: DbId, key: &[u8]) {
        if self.wants.touched {
            self.note_touched(db, key, true);
        }
    }

    #[inline(never)]
    fn note_touched(&mut self, db: DbId, key: &[u8], expired: bool) {
        self.touched.push(Touched { db, key: key.into(), expired });
    }

    pub fn swap(&mut self, first: DbId, second: DbId) {
        if self.wants.touched {
            self.swapped.push((first, second));
        }
    }
}
