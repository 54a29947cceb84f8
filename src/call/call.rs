//! [`Call`]: everything about one invocation and nothing about the server.
//!
//! A handler does three things, in this order: it *looks* (keyspace), *answers* (`call.reply`), *tells*
//! (`call.modified`, `call.fx`). *Counterpart in C Redis:* `client *c` as command procedures use it.

use crate::base::millis::Millis;
use crate::call::effects::{Replicate, Targets};
use crate::call::{Args, BlockOn, CmdError, Effects, Event};
use crate::resp::{Argv, ReplyBuf};

pub type CmdResult = Result<(), CmdError>;

/// Index of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DbId(pub u32);

/// A connection's id: never used twice while the process lives. 0 is the server itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// A connection, as other parts of the server remember it: the slot is where to look, the id whether it is still the
/// same one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientRef {
    pub slot: u32,
    pub id: ClientId,
}

/// On whose behalf the command runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    #[default]
    Client,
    /// Inside EXEC: may not block.
    Exec,
    /// Called by a script: may not block.
    Script,
    /// Replayed from the append only file.
    Aof,
    /// From our master.
    Master,
    /// The server itself: expiry, eviction.
    Internal,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Caller {
    pub client: ClientRef,
    pub db: DbId,
    pub origin: Origin,
    /// CLIENT NO-TOUCH: reading does not change access times.
    pub no_touch: bool,
}

pub struct Call<'a> {
    /// `argv[0]` included.
    pub args: Args<'a>,
    pub caller: Caller,
    /// Frozen for the whole unit.
    pub now: Millis,
    /// The command waited and runs again, because this key holds what it waits for.
    pub woken_by: Option<&'a [u8]>,
    pub reply: &'a mut ReplyBuf,
    pub fx: &'a mut Effects,
}

impl<'a> Call<'a> {
    #[inline]
    pub fn arg(&self, i: usize) -> &'a [u8] {
        self.args.get(i)
    }

    #[inline]
    pub fn db(&self) -> DbId {
        self.caller.db
    }

    /// `key` of the selected database changed by `event`, `changes` times.
    #[inline]
    pub fn modified(&mut self, key: &[u8], event: Event, changes: u64) {
        self.modified_in(self.caller.db, key, event, changes);
    }

    #[inline]
    pub fn modified_in(&mut self, db: DbId, key: &[u8], event: Event, changes: u64) {
        self.fx.dirty += changes;
        self.fx.touch(db, key);
        self.fx.notify(db, event, key);
    }

    /// A further event of the same change.
    pub fn notify(&mut self, key: &[u8], event: Event) {
        self.fx.notify(self.caller.db, event, key);
    }

    /// Replaces the command in the stream to AOF and replicas.
    pub fn replicate_as(&mut self, args: &[&[u8]]) {
        self.fx.replicate = Replicate::Rewritten;
        self.fx.also(self.caller.db, args);
    }

    /// [`Call::replicate_as`] for a command whose arguments are made one by one.
    pub fn replicate_argv(&mut self, argv: Argv) {
        self.fx.replicate = Replicate::Rewritten;
        if self.fx.wants.ops {
            self.fx.ops.push(self.caller.db, Targets::ALL, Args::of(&argv).iter());
        }
    }

    /// The command goes to replicas as it came, although it changed nothing: PUBLISH.
    pub fn tell_replicas(&mut self) {
        self.fx.replicate = Replicate::Rewritten;
        if self.fx.wants.ops {
            self.fx.ops.push(self.caller.db, Targets::REPLICAS, self.args.iter());
        }
    }

    /// Whether somebody will read an operation: asked before one is composed at some cost.
    #[inline]
    pub fn wants_ops(&self) -> bool {
        self.fx.wants.ops
    }

    /// Leaves no reply: the caller waits until the command can be served.
    pub fn block_on(&mut self, wait: BlockOn) {
        self.fx.block = Some(wait);
    }

    /// Whether to look at this key: all of them when the command comes, the one that is ready when it runs again.
    #[inline]
    pub fn may_take(&self, key: &[u8]) -> bool {
        self.woken_by.is_none_or(|ready| ready == key)
    }
}
