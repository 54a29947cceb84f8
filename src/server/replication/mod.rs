//! Replication: the driver of the cores in `repl`.
//!
//! *Duty:* the state ([`Replication`]), and the stream of operations as far as this server makes it. `master` serves
//! replicas, `replica` follows a master. *Does not know:* who may continue where, who shares a child, when to give up:
//! that is decided in `repl`.
//! *Invariants:* the stream is made here only while this server is a master; a replica passes on what its master says,
//! byte for byte. *Counterpart in C Redis:* `replication.c`.

use crate::base::ids::RunId;
use crate::base::millis::Millis;
use crate::call::effects::{Ops, Targets};
use crate::repl::{Backlog, Failover, Ids, Replicas, Resume, command};
use crate::server::Server;
use crate::server::propagate::{Feed, Wrap};

pub mod master;
pub mod replica;

pub use replica::{Follow, OwnKeys};

#[derive(Debug)]
pub struct Replication {
    pub ids: Ids,
    pub backlog: Backlog,
    pub replicas: Replicas,
    pub failover: Failover,
    /// What this server keeps of its replicas' connections.
    pub master: master::Master,
    /// The way to the master, on a replica.
    pub follow: Option<Box<Follow>>,
    /// What the snapshot told, until the master is followed.
    resume_at_start: Option<Resume>,
    /// What clients of a writable replica have made and nobody else will end.
    pub own: OwnKeys,
    /// This server is a replica, or will be one as soon as everything is loaded.
    replica: bool,
    feed: Feed,
    /// Where a unit's operations become a piece of the stream.
    scratch: Vec<u8>,
}

impl Replication {
    pub fn new(id: RunId, backlog_size: u64, now: Millis) -> Replication {
        Replication {
            ids: Ids::new(id),
            backlog: Backlog::new(backlog_size),
            replicas: Replicas::new(now),
            failover: Failover::default(),
            master: master::Master::default(),
            follow: None,
            resume_at_start: None,
            own: OwnKeys::default(),
            replica: false,
            feed: Feed::default(),
            scratch: Vec::new(),
        }
    }

    /// Whether operations become a stream.
    #[inline]
    pub fn is_fed(&self) -> bool {
        self.backlog.is_active() && !self.replica
    }

    #[inline]
    pub fn is_replica(&self) -> bool {
        self.replica
    }

    /// At a start, before anything is loaded: the role that the configuration asks for.
    pub fn expect_role(&mut self, replica: bool) {
        self.replica = replica;
    }
}

impl Server {
    /// Adds a unit's operations to the stream.
    pub(in crate::server) fn feed_replicas(&mut self, ops: &Ops, wrap: Wrap) {
        let replication = &mut self.replication;
        replication.scratch.clear();
        replication.feed.write(ops, wrap, Targets::REPLICAS, &mut replication.scratch);
        if !replication.scratch.is_empty() {
            let opened = replication.backlog.append(&replication.scratch);
            if opened {
                self.check_replicas_output();
            }
        }
    }

    /// Adds a request of this server's own to the stream.
    pub(in crate::server) fn feed_own(&mut self, args: &[&[u8]]) {
        if self.replication.backlog.append(&command(args)) {
            self.check_replicas_output();
        }
    }
}
