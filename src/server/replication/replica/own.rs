//! Keys with a deadline that the clients of a writable replica have made.
//!
//! *Duty:* remember them and take them out when their time is over: the master, which does not know them, never will.
//! *Does not know:* the keys of the master, whose end comes in the stream. *Invariants:* nothing is remembered on a
//! replica that nobody writes to. A name that is remembered may be that of another key by now, or of none.
//! *Counterpart in C Redis:* `slaveKeysWithExpire`, `rememberSlaveKeyWithExpire`, `expireSlaveKeys`.

use std::collections::BTreeSet;

use crate::call::effects::Touched;
use crate::call::{DbId, Effects};
use crate::keyspace::Lasting;
use crate::server::Server;

/// The names, in the order in which they are looked at.
#[derive(Debug, Default)]
pub struct OwnKeys {
    names: BTreeSet<(DbId, Box<[u8]>)>,
    /// The last one looked at.
    cursor: Option<(DbId, Box<[u8]>)>,
}

/// Names that one call of cron looks at.
const LOOKS: usize = 200;

impl OwnKeys {
    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub fn clear(&mut self) {
        *self = OwnKeys::default();
    }

    /// The next names in turn.
    fn next(&mut self) -> Vec<(DbId, Box<[u8]>)> {
        let behind = |cursor: &(DbId, Box<[u8]>)| {
            let from = (std::ops::Bound::Excluded(cursor), std::ops::Bound::Unbounded);
            self.names.range(from).take(LOOKS).cloned().collect::<Vec<_>>()
        };
        let mut due = self.cursor.as_ref().map(behind).unwrap_or_default();
        if due.is_empty() {
            due = self.names.iter().take(LOOKS).cloned().collect();
        }
        self.cursor = due.last().cloned();
        due
    }
}

impl Server {
    /// Whether clients change data that is the master's.
    pub fn is_writable_replica(&self) -> bool {
        self.replication.is_replica() && !self.config.replica_read_only
    }

    /// A client of a writable replica has changed these keys.
    pub(in crate::server) fn remember_own_keys(&mut self, touched: &[Touched]) {
        for Touched { db, key, .. } in touched {
            let entries = &self.ks.db(*db).entries;
            let expires = entries.get(entries.hash(key), key).is_some_and(|entry| entry.expires_at().is_some());
            if expires {
                self.replication.own.names.insert((*db, key.clone()));
            }
        }
    }

    /// Part of cron: takes out what is overdue.
    pub(super) fn expire_own_keys(&mut self) {
        if self.replication.own.is_empty() || self.pause.is_on() {
            return;
        }
        let mut fx = Effects { wants: self.exec.wants, ..Effects::default() };
        for (db, key) in self.replication.own.next() {
            if self.ks.expire_one(db, &key, self.clock.now(), &mut fx) != Lasting::ForNow {
                self.replication.own.names.remove(&(db, key));
            }
        }
        self.settle_counts(&mut fx);
        self.drain_server_side(&mut fx);
    }
}
