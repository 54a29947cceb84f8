//! What the master's side must know of this server's own master, if it has one.
//!
//! *Duty:* the answers to "are we a replica", "is our link up", and the change of roles that FAILOVER asks for.
//! *Counterpart in C Redis:* the places that look at `server.masterhost`.

use super::Replication;
use crate::call::DbId;
use crate::call::effects::{Ops, Targets};
use crate::repl::Saved;
use crate::repl::ids::Standing;
use crate::repl::replica::Address;
use crate::server::Server;
use crate::server::info::Text;
use crate::server::propagate::Wrap;

impl Replication {
    /// Whether this server follows another.
    pub fn is_replica(&self) -> bool {
        false
    }

    /// Whether the link to our master is up; a master has none.
    pub fn is_cut_off(&self) -> bool {
        false
    }

    /// What a snapshot taken now says about the stream.
    pub fn saved(&self) -> Option<Saved> {
        let selected = self.feed.selected().map(|db| db.0);
        Saved::of(&self.ids, &self.backlog, Standing::Master { selected })
    }
}

impl Server {
    /// A snapshot is about to be loaded, at a start: what it brings about may be the beginning of a stream.
    pub fn expect_history(&mut self) {
        self.replication.backlog.activate();
    }

    /// A key of the snapshot had expired: replicas that go on where it stands still have it.
    pub fn tell_expired_at_load(&mut self, db: DbId, key: &[u8]) {
        let verb: &[u8] = if self.config.lazyfree_lazy_expire { b"UNLINK" } else { b"DEL" };
        let mut ops = Ops::default();
        ops.push(db, Targets::REPLICAS, [verb, key].into_iter());
        self.feed_replicas(&ops, Wrap::Never);
    }

    /// The snapshot is loaded, and stands where it says in the stream, if it says so.
    pub fn resume_history(&mut self, saved: Option<Saved>) {
        let replication = &mut self.replication;
        match saved {
            Some(saved) => {
                replication.backlog.rebase(saved.offset);
                replication.ids.resume_as_master(&saved);
                replication.replicas.restart_ttl(self.clock.now());
            }
            None => {
                replication.backlog.deactivate();
                replication.backlog.restart_at(0);
            }
        }
        self.refresh_wants();
    }

    /// INFO's lines about our master, the role first. False: there is none.
    pub fn info_of_replica(&self, _: &mut Text) -> bool {
        false
    }

    /// `REPLCONF GETACK`, from our master.
    pub fn tell_master_our_offset(&mut self) {}

    /// FAILOVER: becomes a replica of `target`, which is asked to take over.
    pub(super) fn hand_over_to(&mut self, target: Address) {
        log::warn!("Following {target} is not part of this release yet");
        self.replication.failover.on_answer(false);
    }

    /// REPLICAOF NO ONE.
    pub(super) fn stay_master(&mut self) {}
}
