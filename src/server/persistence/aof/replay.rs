//! Running the commands of an append only file.
//!
//! *Duty:* look each command up, keep to the database that was selected, gather a transaction until its EXEC, run the
//! rest; answer clients now and then. *Does not know:* files. *Invariants:* only what changes data runs, and nobody is
//! told of it: no watcher, no subscriber, no replica. *Counterpart in C Redis:* the fake client of
//! `loadSingleAppendOnlyFile`.

use super::super::load::Stop;
use super::super::rdb::KeyDelay;
use crate::aof::Commands;
use crate::base::num;
use crate::call::{Args, Caller, DbId, Effects, Origin};
use crate::resp::{Argv, Proto, ReplyBuf};
use crate::server::Server;
use crate::server::look_ahead::LookAhead;
use crate::server::registry::RowId;

pub(super) struct Replay {
    db: DbId,
    transaction: Option<Transaction>,
    ahead: LookAhead,
    fx: Effects,
    reply: ReplyBuf,
    delay: KeyDelay,
    /// Bytes of the files before this one.
    before: u64,
    serve: bool,
    serve_every: u64,
    serve_at: u64,
    /// Commands that answered with an error.
    refused: u64,
}

struct Transaction {
    /// Where its MULTI begins.
    start: u64,
    queue: Vec<(RowId, Argv)>,
}

/// Errors of replayed commands that are logged one by one.
const REFUSED_SHOWN: u64 = 10;

impl Replay {
    pub fn new(srv: &Server, before: u64, begin: u64, serve: bool) -> Replay {
        let serve_every = srv.config.loading_process_events_interval_bytes.max(1);
        Replay {
            db: DbId(0),
            transaction: None,
            ahead: LookAhead::default(),
            fx: Effects::default(),
            reply: ReplyBuf::new(Proto::Resp2),
            delay: KeyDelay::new(srv.config.key_load_delay),
            before,
            serve,
            serve_every,
            serve_at: begin + serve_every,
            refused: 0,
        }
    }

    /// Where the transaction begins that is not closed yet.
    pub fn open_transaction(&self) -> Option<u64> {
        self.transaction.as_ref().map(|transaction| transaction.start)
    }

    pub fn run(&mut self, srv: &mut Server, file: &[u8], commands: Commands<'_>) -> Result<(), Stop> {
        self.ahead.look(&srv.registry, &srv.ks.db(self.db).entries, commands.buf(), commands.batch());
        for i in 0..commands.len() {
            let args = Args::new(commands.buf(), commands.spans(i));
            let start = commands.start(i);
            let known = self.ahead.of(i).row(&srv.registry, args);
            let (row, args) = known.map_err(|_| {
                Stop::Unfit(format!(
                    "Unknown command '{}' reading the append only file {} at offset {start}",
                    args.get(0).escape_ascii(),
                    file.escape_ascii()
                ))
            })?;
            self.one(srv, row, args, start).map_err(|why| {
                Stop::Unfit(format!(
                    "Command '{}' at offset {start} of the append only file {}: {why}",
                    args.get(0).escape_ascii(),
                    file.escape_ascii()
                ))
            })?;
            self.delay.pause();
        }
        self.serve_if_due(srv, commands.end(commands.len() - 1))
    }

    fn one(&mut self, srv: &mut Server, row: RowId, args: Args<'_>, start: u64) -> Result<(), String> {
        let spec = srv.registry.row(row).spec;
        if !spec.arity_fits(args.len()) {
            return Err("wrong number of arguments".to_owned());
        }
        match (spec.name, &mut self.transaction) {
            ("multi", None) => self.transaction = Some(Transaction { start, queue: Vec::new() }),
            ("multi", Some(_)) => return Err("a transaction within a transaction".to_owned()),
            ("exec", Some(_)) => self.exec(srv)?,
            ("discard", Some(_)) => self.transaction = None,
            ("exec" | "discard", None) => return Err("no transaction is open".to_owned()),
            (_, Some(transaction)) => transaction.queue.push((row, args.to_argv())),
            _ => self.call(srv, row, args)?,
        }
        Ok(())
    }

    fn exec(&mut self, srv: &mut Server) -> Result<(), String> {
        let queue = self.transaction.take().map(|transaction| transaction.queue).unwrap_or_default();
        queue.iter().try_for_each(|(row, argv)| self.call(srv, *row, Args::of(argv)))
    }

    #[inline]
    fn call(&mut self, srv: &mut Server, row: RowId, args: Args<'_>) -> Result<(), String> {
        let entry = srv.registry.row(row);
        let spec = entry.spec;
        if !entry.belongs_in_aof() || spec.name == "select" {
            if spec.name == "select" {
                return self.select(srv, args.get(1));
            }
            return Err("this is no command that changes data".to_owned());
        }
        let caller = Caller { db: self.db, origin: Origin::Aof, ..Caller::default() };
        srv.replay(row, args, caller, &mut self.reply, &mut self.fx);
        if self.reply.bytes().first() == Some(&b'-') {
            self.refused += 1;
            if self.refused <= REFUSED_SHOWN {
                let line = self.reply.bytes().trim_ascii_end().escape_ascii();
                log::warn!("A command of the append only file was answered with an error: {} {line}", spec.name);
            }
        }
        self.reply.truncate(0);
        Ok(())
    }

    fn select(&mut self, srv: &Server, db: &[u8]) -> Result<(), String> {
        match num::parse_u64(db) {
            Some(db) if db < srv.ks.dbs.len() as u64 => {
                self.db = DbId(db as u32);
                Ok(())
            }
            _ => Err(format!("there is no database {}; see the directive 'databases'", db.escape_ascii())),
        }
    }

    fn serve_if_due(&mut self, srv: &mut Server, offset: u64) -> Result<(), Stop> {
        if offset < self.serve_at {
            return Ok(());
        }
        self.serve_at = offset + self.serve_every;
        srv.loading_progress(self.before + offset, self.serve)
    }
}
