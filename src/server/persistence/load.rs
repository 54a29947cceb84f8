//! Loading: the snapshot or the append only file (`aof::load`) at a start, the snapshot for DEBUG RELOAD, and the data
//! set that a master sends (`sync`).
//!
//! *Duty:* put the entries of a file into the databases; meanwhile answer clients now and then, and keep the figures
//! of INFO; on damage say where and what, and leave the file alone.
//! *Does not know:* the format. *Invariants:* a start ends with everything loaded or with an error; while
//! [`Persistence::loading`](super::Persistence::loading) is set nothing expires and nothing is saved, and it stays
//! set when the load was cut short.
//! *Counterpart in C Redis:* `loadDataFromDisk`, `rdbLoadRioWithLoadingCtx`, `rdbLoadProgressCallback`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::aof::Found;
use super::rdb::{KeyDelay, reason};
use crate::base::millis::Millis;
use crate::base::num;
use crate::call::DbId;
use crate::call::effects::{Ops, Targets};
use crate::keyspace::{Db, Expire, Met, New};
use crate::rdb::{Checksum, Entry, Item, Loaded, RdbError, RdbErrorKind, ReadOptions, Reader, type_name};
use crate::repl::Saved;
use crate::server::Server;
use crate::server::functions::Functions;
use crate::server::gates::Alarm;
use crate::server::propagate::Wrap;
use crate::sys::{clock, files};

/// How far a load has come. Fields with a name of INFO's hold what INFO shows.
#[derive(Clone, Copy, Debug)]
pub struct Loading {
    /// Unix seconds.
    pub loading_start_time: i64,
    pub loading_total_bytes: u64,
    pub loading_loaded_bytes: u64,
    /// What the server that wrote the file used; 0 while that is not known.
    pub loading_rdb_used_mem: u64,
}

/// What ended a load before its end.
pub(super) enum Stop {
    Damage(RdbError),
    /// The file cannot be believed, and the log says why.
    Reported,
    /// The file is whole, but this server cannot hold what is in it.
    Unfit(String),
    /// The server is to end; [`Loop::exit`](crate::server::event_loop::Loop::exit) is set.
    Exit,
}

impl From<RdbError> for Stop {
    fn from(error: RdbError) -> Stop {
        Stop::Damage(error)
    }
}

impl Stop {
    /// What is to be said of it, unless that has been said.
    pub fn text(self) -> Option<String> {
        match self {
            Stop::Damage(error) => Some(error.to_string()),
            Stop::Unfit(text) => Some(text),
            Stop::Reported | Stop::Exit => None,
        }
    }

    /// `file`: where the bytes came from, if it was a file.
    pub(super) fn report<R: Read>(&self, file: Option<&Path>, reader: &Reader<R>) {
        match self {
            Stop::Damage(error) => report_damage(file, reader, error),
            Stop::Unfit(text) => log::warn!("{text}"),
            Stop::Reported | Stop::Exit => {}
        }
    }
}

/// How this file is to be taken in.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    /// Keys replace those that are there already; else such a key is damage.
    pub merge: bool,
    /// Clients are served meanwhile. Not where a client's command is what loads.
    pub serve: bool,
    /// Keys whose time is over are taken in all the same.
    pub keep_expired: bool,
    /// The end of each key that is not taken in goes to replicas, who may have it.
    pub tell_expired: bool,
}

/// What a file tells of the stream, as it stands there.
#[derive(Default)]
struct StreamFields {
    id: Option<Vec<u8>>,
    offset: Option<Vec<u8>>,
    db: Option<Vec<u8>>,
}

/// A load under way.
pub(super) struct Loader {
    manner: Manner,
    /// Databases to be filled in the place of the server's.
    pub spare: Option<Vec<Db>>,
    /// As are the libraries then.
    pub spare_functions: Option<Functions>,
    stream: StreamFields,
    /// Keys whose deadline is before this have expired.
    now: Millis,
    db: usize,
    loaded: u64,
    expired: u64,
    empty: u64,
    delay: KeyDelay,
    /// The offset at which clients are served next, and the step to the one after.
    serve_at: u64,
    serve_every: u64,
}

impl Server {
    /// Clears away what killed saves left, and loads the snapshot if there is one. Details of an error have been
    /// logged; its text is the last line before the process ends with status 1. With `Ok`, `turn.exit` may be set: then clients or signals have ended
    /// the server meanwhile, and the load was cut short.
    pub fn load_at_start(&mut self) -> Result<(), String> {
        self.remove_leftovers();
        self.read_manifest()?;
        if self.config.appendonly { self.load_history() } else { self.load_snapshot().map(|_| ()) }
    }

    /// The append only file, or a snapshot where there is none: then that is what it begins with.
    fn load_history(&mut self) -> Result<(), String> {
        self.adopt_single_file()?;
        let began = clock::monotonic_ns();
        let sums = match self.load_append_only_files(true)? {
            Found::CutShort => return Ok(()),
            Found::Empty => None,
            Found::Loaded(sums) => {
                let seconds = (clock::monotonic_ns() - began) as f64 / 1e9;
                log::info!("DB loaded from append only file: {seconds:.3} seconds");
                sums
            }
            Found::Nothing => {
                let found = self.load_snapshot()?;
                if self.turn.exit.is_some() {
                    return Ok(());
                }
                if found {
                    log::warn!(
                        "appendonly is yes and there is no append only file yet: it begins with the snapshot {}.",
                        self.config.dbfilename
                    );
                    self.persistence.aof.aof_bootstrapped_from_rdb = true;
                }
                None
            }
        };
        self.open_aof(sums)
    }

    /// `false`: there is no snapshot.
    fn load_snapshot(&mut self) -> Result<bool, String> {
        let began = clock::monotonic_ns();
        let path = self.data_folder().join(&self.config.dbfilename);
        let replica = self.replication.is_replica();
        let manner = Manner { merge: false, serve: true, keep_expired: replica, tell_expired: !replica };
        if !replica {
            // For the ends of keys that have expired meanwhile.
            self.replication.backlog.activate();
        }
        let found = self.load_file(&path, manner)?;
        if self.persistence.loading.is_some() {
            return Ok(true);
        }
        self.resume_history(found.flatten());
        if found.is_some() {
            let seconds = (clock::monotonic_ns() - began) as f64 / 1e9;
            log::info!("DB loaded from disk: {seconds:.3} seconds");
        }
        Ok(found.is_some())
    }

    /// Loads the snapshot again. A file that is not there is an error here.
    pub(super) fn reload(&mut self, merge: bool) -> Result<(), String> {
        let path = self.data_folder().join(&self.config.dbfilename);
        let manner = Manner { merge, serve: false, keep_expired: self.replication.is_replica(), tell_expired: false };
        match self.load_file(&path, manner)? {
            Some(_) => Ok(()),
            None => Err(format!("there is no file {}", path.display())),
        }
    }

    fn remove_leftovers(&mut self) {
        match files::remove_stale_temp(&self.data_folder(), files::temp_file_owner) {
            Ok(removed) => {
                for path in removed {
                    log::info!("Removed {}, left behind by a save that was cut off", path.display());
                }
            }
            Err(error) => log::warn!("Looking for left temporary files failed: {}", reason(&error)),
        }
    }

    /// `None`: there is no such file. Else what it tells of the stream.
    fn load_file(&mut self, path: &Path, manner: Manner) -> Result<Option<Option<Saved>>, String> {
        let fatal = |error: io::Error| format!("Fatal error loading the DB: {}. Exiting.", reason(&error));
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(fatal)?,
        };
        let size = file.metadata().map_err(fatal)?.len();
        self.begin_loading(size);
        let mut loader = self.new_loader(manner);
        let mut reader = Reader::new(file, self.read_options(Some(size)));
        match loader.run(self, &mut reader) {
            Ok(()) => {
                self.end_loading(&loader);
                Ok(Some(loader.saved()))
            }
            Err(Stop::Exit) => Ok(Some(None)),
            Err(stop) => {
                self.abandon_loading();
                stop.report(Some(path), &reader);
                Err("Terminating server after rdb file reading failure.".to_owned())
            }
        }
    }

    /// Loads the snapshot that an append only file begins with, as a part of a load that is under way. Answers where
    /// it ends.
    pub(super) fn load_preamble(&mut self, path: &Path, file: File, serve: bool) -> Result<u64, Stop> {
        let size = file.metadata().map_err(|error| Stop::Unfit(reason(&error)))?.len();
        // The commands behind it may still need a key whose time is over by now.
        let mut loader = self.new_loader(Manner { merge: false, serve, keep_expired: true, tell_expired: false });
        let mut reader = Reader::new(file, self.read_options(Some(size)));
        match loader.run(self, &mut reader) {
            Ok(()) => {
                self.tell_loaded(&loader);
                Ok(reader.offset())
            }
            Err(Stop::Exit) => Err(Stop::Exit),
            Err(stop) => {
                stop.report(Some(path), &reader);
                Err(Stop::Reported)
            }
        }
    }

    pub(super) fn new_loader(&self, manner: Manner) -> Loader {
        let serve_every = self.config.loading_process_events_interval_bytes.max(1);
        Loader {
            manner,
            spare: None,
            spare_functions: None,
            stream: StreamFields::default(),
            now: self.clock.now(),
            db: 0,
            loaded: 0,
            expired: 0,
            empty: 0,
            delay: KeyDelay::new(self.config.key_load_delay),
            serve_at: serve_every,
            serve_every,
        }
    }

    pub(super) fn read_options(&self, size: Option<u64>) -> ReadOptions {
        ReadOptions {
            checksum: self.config.rdbchecksum && self.ks.settings.checksums,
            limit: size,
            limits: self.ks.settings.limits,
            ..ReadOptions::default()
        }
    }

    /// Ends the state of loading, however far it came.
    pub(super) fn abandon_loading(&mut self) {
        self.persistence.loading = None;
        self.persistence.async_loading = false;
        self.exec.set_alarm(Alarm::LOADING, false);
        self.exec.set_alarm(Alarm::ASYNC_LOADING, false);
        self.clock.refresh();
    }

    /// So many bytes are loaded: notes it, and answers clients.
    pub(super) fn loading_progress(&mut self, loaded: u64, serve: bool) -> Result<(), Stop> {
        if let Some(loading) = &mut self.persistence.loading {
            loading.loading_loaded_bytes = loaded;
        }
        if serve {
            self.serve_while_loading();
            if self.turn.exit.is_some() {
                return Err(Stop::Exit);
            }
        }
        Ok(())
    }

    pub(super) fn begin_loading(&mut self, size: u64) {
        self.clock.refresh();
        self.ks.access.tick(self.clock.now());
        self.persistence.loading = Some(Loading {
            loading_start_time: self.clock.now().secs(),
            loading_total_bytes: size,
            loading_loaded_bytes: 0,
            loading_rdb_used_mem: 0,
        });
        self.exec.set_alarm(Alarm::LOADING, true);
    }

    pub(super) fn end_loading(&mut self, loader: &Loader) {
        self.tell_loaded(loader);
        self.abandon_loading();
    }

    fn tell_loaded(&mut self, loader: &Loader) {
        let (loaded, expired, empty) = (loader.loaded, loader.expired, loader.empty);
        self.persistence.rdb_last_load_keys_loaded = loaded;
        self.persistence.rdb_last_load_keys_expired = expired;
        if empty > 0 {
            log::warn!(
                "Done loading RDB, keys loaded: {loaded}, keys expired: {expired}, empty keys skipped: {empty}."
            );
        } else {
            log::info!("Done loading RDB, keys loaded: {loaded}, keys expired: {expired}.");
        }
    }

    /// One turn of the loop in the middle of a load: what has come is answered, without waiting for more. Nothing
    /// expires, and clients whose time has come are freed.
    fn serve_while_loading(&mut self) {
        self.turn_once(0);
        self.flush_aof(true);
        self.write_replies();
        self.free_closing();
    }
}

impl Loader {
    pub(super) fn run<R: Read>(&mut self, srv: &mut Server, reader: &mut Reader<R>) -> Result<(), Stop> {
        reader.header()?;
        let databases = srv.ks.dbs.len();
        loop {
            match reader.next_item()? {
                Item::Entry(entry) => {
                    if let Some(key) = self.take_in(srv, entry) {
                        return Err(reader.duplicate_key(self.db as u64, &key).into());
                    }
                    self.delay.pause();
                }
                Item::Aux { name, value } => self.aux(srv, name, value),
                Item::SelectDb(id) if id < databases as u64 => self.db = id as usize,
                Item::SelectDb(_) => {
                    return Err(Stop::Unfit(format!(
                        "FATAL: Data file was created with a Redis server configured to handle more than {databases} \
                         databases. Exiting"
                    )));
                }
                Item::ResizeDb { keys, .. } => self.target(srv).entries.reserve(keys as usize),
                Item::EmptyKey { key } => {
                    self.empty += 1;
                    log::warn!("Loading the RDB, skipping empty key: {}", key.escape_ascii());
                }
                Item::Unsupported { key, code, .. } => {
                    return Err(Stop::Unfit(format!(
                        "Key '{}' is of type {code}, which this server cannot load",
                        key.escape_ascii()
                    )));
                }
                Item::Function(code) => {
                    let merge = self.manner.merge;
                    srv.load_saved_library(code, merge, self.spare_functions.as_mut()).map_err(|error| {
                        let why = error.message();
                        let why = why.strip_prefix(b"ERR ").unwrap_or(&why);
                        Stop::Unfit(format!("Failed loading a function library: {}", why.escape_ascii()))
                    })?;
                }
                Item::ModuleAux { module } => {
                    return Err(Stop::Unfit(format!(
                        "The RDB file contains AUX module data I can't load: no matching module '{}'",
                        module.escape_ascii()
                    )));
                }
                Item::Eof(checksum) => {
                    if checksum == Checksum::NotWritten {
                        log::warn!("RDB file was saved with checksum disabled: no check performed.");
                    }
                    return Ok(());
                }
            }
            self.serve_if_due(srv, reader.offset())?;
        }
    }

    /// What the file told of the stream, if a stream can be continued from it.
    pub fn saved(&self) -> Option<Saved> {
        let StreamFields { id, offset, db } = &self.stream;
        Saved::parse(id.as_deref(), offset.as_deref(), db.as_deref())
    }

    /// The database that the stream has selected where the file ends.
    pub fn stream_db(&self) -> Option<u32> {
        self.stream.db.as_deref().and_then(num::parse_u64).and_then(|db| u32::try_from(db).ok())
    }

    /// The database that is being filled.
    #[inline]
    fn target<'s>(&'s mut self, srv: &'s mut Server) -> &'s mut Db {
        match &mut self.spare {
            Some(spare) => &mut spare[self.db],
            None => &mut srv.ks.dbs[self.db],
        }
    }

    fn note_expired(&mut self, srv: &mut Server, key: &[u8]) {
        self.expired += 1;
        if self.manner.tell_expired {
            let name: &[u8] = if srv.config.lazyfree_lazy_expire { b"UNLINK" } else { b"DEL" };
            let mut ops = Ops::default();
            ops.push(DbId(self.db as u32), Targets::REPLICAS, [name, key].into_iter());
            srv.feed_replicas(&ops, Wrap::Never);
        }
    }

    /// Puts an entry into its database. Some: the key was there already, and may not be.
    #[inline]
    fn take_in(&mut self, srv: &mut Server, entry: Entry<'_>) -> Option<Vec<u8>> {
        if !self.manner.keep_expired && entry.expire.is_some_and(|at| at < self.now) {
            self.note_expired(srv, entry.key);
            return None;
        }
        let access = match (entry.frequency, entry.idle) {
            (Some(frequency), _) if srv.ks.access.lfu => srv.ks.access.bits_for_frequency(frequency),
            (_, Some(idle)) if !srv.ks.access.lfu => srv.ks.access.bits_for_idle(idle),
            _ => srv.ks.access.fresh(),
        };
        let value = match entry.value {
            Loaded::Int(int) => New::Int(int),
            Loaded::Bytes(bytes) => New::Bytes(bytes),
            Loaded::Owned(bytes) => New::Owned(bytes),
            Loaded::Object(object) => New::Object(object),
        };
        let expire = entry.expire.map_or(Expire::Clear, Expire::At);
        self.loaded += 1;
        let now = self.now;
        let db = self.target(srv);
        match db.set(db.entries.hash(entry.key), entry.key, value, expire, |_| access, now) {
            Met::Nothing => None,
            Met::Live(_) | Met::Overdue(_) if self.manner.merge => None,
            Met::Live(_) | Met::Overdue(_) => Some(entry.key.to_vec()),
        }
    }

    #[inline]
    fn serve_if_due(&mut self, srv: &mut Server, offset: u64) -> Result<(), Stop> {
        if offset < self.serve_at {
            return Ok(());
        }
        self.serve_at = offset + self.serve_every;
        srv.loading_progress(offset, self.manner.serve)
    }
}

impl Loader {
    /// What a file says about its making.
    fn aux(&mut self, srv: &mut Server, name: &[u8], value: &[u8]) {
        let number = || num::parse_i64(value).unwrap_or(0);
        match name {
            // Fields for people begin so.
            [b'%', ..] => log::info!("RDB '{}': {}", name.escape_ascii(), value.escape_ascii()),
            b"redis-ver" | b"valkey-ver" => log::info!("Loading RDB produced by version {}", value.escape_ascii()),
            b"ctime" => log::info!("RDB age {} seconds", (srv.clock.now().secs() - number()).max(0)),
            b"used-mem" => {
                let bytes = number().max(0);
                log::info!("RDB memory usage when created {:.2} Mb", bytes as f64 / (1 << 20) as f64);
                if let Some(loading) = &mut srv.persistence.loading {
                    loading.loading_rdb_used_mem = bytes as u64;
                }
            }
            b"aof-base" if number() != 0 => log::info!("RDB is base AOF"),
            b"repl-stream-db" => self.stream.db = Some(value.to_vec()),
            b"repl-id" => self.stream.id = Some(value.to_vec()),
            b"repl-offset" => self.stream.offset = Some(value.to_vec()),
            b"redis-bits" | b"aof-base" => {}
            _ => log::trace!("Unrecognized RDB AUX field: '{}'", name.escape_ascii()),
        }
    }
}

/// Where and why a file cannot be read, in our words and between the lines that scripts look for.
fn report_damage<R: Read>(file: Option<&Path>, reader: &Reader<R>, error: &RdbError) {
    match &error.kind {
        RdbErrorKind::WrongChecksum { stored, computed } => {
            log::warn!("Wrong RDB checksum expected: ({computed:x}) but got ({stored:x}). Aborting now.");
            log::warn!("RDB CRC error");
        }
        RdbErrorKind::ShortRead | RdbErrorKind::OutOfMemory(_) => {
            log::warn!("Short read or OOM loading DB. Unrecoverable error, aborting now.");
        }
        RdbErrorKind::BadSignature(_) => log::warn!("Wrong signature trying to load DB from file"),
        RdbErrorKind::UnsupportedVersion(version) => log::warn!("Can't handle RDB format version {version}"),
        _ => {}
    }
    log::warn!("Internal error in RDB reading offset {}: {}", error.offset, error.kind);
    log::warn!("--- RDB ERROR DETECTED ---");
    log::warn!("[offset {}] {}", error.offset, error.kind);
    log::warn!("[additional info] While doing: {}", reader.doing().name());
    if let Some((code, key)) = reader.reading() {
        if let Some(key) = key {
            log::warn!("[additional info] Reading key '{}'", key.escape_ascii());
        }
        log::warn!("[additional info] Reading type {code} ({})", type_name(code).unwrap_or("unknown"));
    }
    if let Some(path) = file {
        log::warn!("The file {} was not changed.", path.display());
    }
}
