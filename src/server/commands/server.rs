//! FLUSHDB, FLUSHALL, TIME.
//!
//! *Duty:* emptying databases, with all that hangs on it: watchers, the snapshot that is being written, replication.
//! *Invariant:* however large a database is, emptying it takes the loop no longer than exchanging it for an empty
//! one. SYNC differs from ASYNC in that what is little is free when the reply goes out. *Counterpart in C Redis:* `flushallCommand`, `emptyData`.

use std::ops::Range;

use super::{ServerCommand, ServerHandler};
use crate::call::{Call, CmdError, CmdResult, DbId, Effects};
use crate::command::spec::*;
use crate::server::Server;
use crate::sys::clock::wall_us;

pub const COMMANDS: &[ServerCommand] = &[FLUSHALL, FLUSHDB, TIME];

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    Command::new(run, Spec { group: Group::Server, ..spec })
}

const FLUSH: Spec = Spec {
    arity: -1,
    flags: WRITE,
    acl: Categories::DANGEROUS.or(Categories::KEYSPACE),
    syntax: "[<ASYNC@4.0.0|SYNC@6.2.0>:async]",
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    history: &[
        ("4.0.0", "Added the `ASYNC` flushing mode modifier."),
        ("6.2.0", "Added the `SYNC` flushing mode modifier."),
    ],
    ..Spec::BASE
};

pub const FLUSHDB: ServerCommand = row(
    flushdb,
    Spec {
        name: "flushdb",
        complexity: "O(N) where N is the number of keys in the selected database",
        summary: "Removes all keys of the selected database.",
        ..FLUSH
    },
);

fn flushdb(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let lazy = is_lazy(srv, call)?;
    let db = call.db().0 as usize;
    call.fx.dirty += srv.empty_databases(db..db + 1, lazy, call.fx);
    // Told to replicas even when there was nothing to remove here.
    call.replicate_argv(call.args.to_argv());
    call.reply.ok();
    Ok(())
}

pub const FLUSHALL: ServerCommand = row(
    flushall,
    Spec {
        name: "flushall",
        complexity: "O(N) where N is the total number of keys in all databases",
        summary: "Removes all keys of all databases.",
        ..FLUSH
    },
);

fn flushall(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let lazy = is_lazy(srv, call)?;
    let all = 0..srv.ks.dbs.len();
    // Counted at once and not at the end of the unit: what follows may save, which begins the count anew.
    srv.exec.dirty += srv.empty_databases(all, lazy, call.fx);
    srv.on_flushall();
    call.replicate_argv(call.args.to_argv());
    call.reply.ok();
    Ok(())
}

/// Whether the background thread frees what was there, by the option or, without one, by `lazyfree-lazy-user-flush`.
fn is_lazy(srv: &Server, call: &Call<'_>) -> Result<bool, CmdError> {
    match call.args.len() {
        1 => Ok(srv.config.lazyfree_lazy_user_flush),
        2 if call.args.is(1, "ASYNC") => Ok(true),
        2 if call.args.is(1, "SYNC") => Ok(false),
        _ => Err(CmdError::Syntax),
    }
}

impl Server {
    /// Empties databases and tells watchers, waiters and trackers. Returns the number of keys removed.
    pub fn empty_databases(&mut self, which: Range<usize>, lazy: bool, fx: &mut Effects) -> u64 {
        let mut gone: Vec<(DbId, Box<[u8]>)> = Vec::new();
        for db in which.clone().map(|i| DbId(i as u32)) {
            let entries = &self.ks.db(db).entries;
            let watched = self.watch.keys_in(db);
            let there = watched.filter(|key| entries.get(entries.hash(key), key).is_some());
            gone.extend(there.map(|key| (db, key.into())));
        }
        let dbs: Vec<DbId> = which.clone().map(|i| DbId(i as u32)).collect();
        let awaited = self.blocking.awaited_in(&dbs);
        for (db, key) in awaited.into_iter().filter(|(db, key)| self.key_exists(*db, key)) {
            fx.touch(db, &key);
        }
        let removed = self.ks.flush(which, lazy, fx);
        // Afterwards, because a key that was overdue already and is gone now has not changed.
        for (db, key) in gone {
            self.touch_watchers(db, &key);
        }
        self.invalidate_everything();
        removed
    }
}

pub const TIME: ServerCommand = row(
    time,
    Spec {
        name: "time",
        arity: 1,
        flags: LOADING.or(STALE).or(FAST),
        since: "2.6.0",
        complexity: "O(1)",
        summary: "Tells the server's time: seconds since 1970, and microseconds.",
        tips: &["nondeterministic_output"],
        ..Spec::BASE
    },
);

fn time(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    // Read now: who asks twice in a pipeline may measure with it.
    let now = wall_us();
    call.reply.array(2);
    call.reply.bulk(now.div_euclid(1_000_000).to_string().as_bytes());
    call.reply.bulk(now.rem_euclid(1_000_000).to_string().as_bytes());
    Ok(())
}
