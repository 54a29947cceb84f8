//! Writing a snapshot to its file.
//!
//! *Duty:* a temporary file made, filled and forced to disk, then renamed; or removed, and an error that says which
//! step failed. *Does not know:* whether it runs in the server (SAVE, SHUTDOWN) or in a child.
//! *Invariants:* the file under the final name is replaced by a whole one or not at all; a temporary file is new,
//! private, and never somebody's link. The child and the server write to different names, each after its process id.
//! *Counterpart in C Redis:* `rdbSave`, `rdbSaveRio`.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;

use crate::base::millis::Millis;
use crate::base::rng::Rng;
use crate::keyspace::{EntryRef, Keyspace};
use crate::rdb::{Access, AuxFields, ReplicationAux, WriteOptions, Writer};
use crate::repl::Saved;
use crate::repl::master::Filter;
use crate::script::library::Libraries;
use crate::server::Server;
use crate::server::version::REDIS_VERSION;
use crate::sys::{clock, files, signals};

/// With `rdb-save-incremental-fsync`, bytes after which the file is forced to disk, so that the last time is short.
const SYNC_EVERY: u64 = 4 << 20;

/// The callback is called at least after so many keys, or bytes.
pub(super) const REPORT_KEYS: u64 = 128;
pub(super) const REPORT_BYTES: u64 = 256 << 10;

/// Which access times go into the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Nothing,
    Idle,
    Frequency,
}

/// A snapshot to be written, with everything that was decided beforehand.
pub(super) struct Snapshot<'a> {
    pub ks: &'a Keyspace,
    pub libraries: &'a Libraries,
    pub folder: PathBuf,
    name: String,
    options: WriteOptions,
    kept: Kept,
    /// `rdb-key-save-delay`: microseconds; below zero: one microsecond for one key in so many.
    pub key_delay: i32,
    pub sync_every: u64,
    pub created: Millis,
    used_memory: u64,
    /// `aof-rewrite-incremental-fsync`.
    sync_base: bool,
    /// `aof-timestamp-enabled`.
    pub annotate: bool,
    base: Base,
    /// Where in the replication stream it stands.
    saved: Option<Saved>,
}

/// What the base of an append only file is.
#[derive(Clone, Copy, Debug)]
enum Base {
    Snapshot,
    /// `seal`: with a file of sums beside it. A snapshot ends with a sum of its own.
    Commands {
        seal: bool,
    },
}

impl<'a> Snapshot<'a> {
    pub fn of(srv: &'a Server) -> Snapshot<'a> {
        let config = &srv.config;
        let kept = match config.maxmemory_policy {
            policy if policy.is_lfu() => Kept::Frequency,
            policy if policy.is_lru() => Kept::Idle,
            _ => Kept::Nothing,
        };
        Snapshot {
            ks: &srv.ks,
            libraries: srv.functions.libraries(),
            folder: srv.data_folder(),
            name: config.dbfilename.clone(),
            options: WriteOptions {
                compress: config.rdbcompression,
                checksum: config.rdbchecksum,
                ..WriteOptions::default()
            },
            kept,
            key_delay: config.rdb_key_save_delay,
            sync_every: if config.rdb_save_incremental_fsync { SYNC_EVERY } else { 0 },
            created: Millis(clock::wall_us() / 1000),
            used_memory: srv.used_memory() as u64,
            saved: srv.stands_at(),
            sync_base: config.aof_rewrite_incremental_fsync,
            annotate: config.aof_timestamp_enabled,
            base: match config.aof_use_rdb_preamble {
                true => Base::Snapshot,
                false => Base::Commands { seal: config.aof_checksum },
            },
        }
    }

    /// Writes the base of an append only file to `path`, which takes its place in the manifest later: a snapshot, or
    /// commands where `aof-use-rdb-preamble` says no. On an error nothing is left.
    pub fn write_base(mut self, path: &Path, mut progress: impl FnMut(u64)) -> Result<(), SaveError> {
        self.sync_every = if self.sync_base { SYNC_EVERY } else { 0 };
        let open = |error| SaveError::Open { temp: path.to_owned(), error };
        let file = create(path).map_err(open)?;
        let step = |step| move |error| SaveError::Write { step, error };
        let written = match self.base {
            Base::Snapshot => self.write_items(file, true, &mut progress).map_err(step("rdbSaveRio")),
            Base::Commands { seal } => self.write_commands(file, path, seal, &mut progress).map_err(step("write")),
        };
        let synced = written.and_then(|file| file.sync_all().map_err(step("fsync")));
        if synced.is_err() {
            // It may be there or not, depending on how far it came.
            let _ = std::fs::remove_file(path);
        }
        synced
    }

    /// Writes the file by way of `temp`. `progress` hears of the keys written so far.
    pub fn write(&self, temp: &Path, mut progress: impl FnMut(u64)) -> Result<(), SaveError> {
        let file = create(temp).map_err(|error| SaveError::Open { temp: temp.to_owned(), error })?;
        let written = self.write_and_rename(file, temp, &mut progress);
        if written.is_err() {
            // It may be there or not, depending on how far it came.
            let _ = std::fs::remove_file(temp);
        }
        written
    }

    fn write_and_rename(&self, file: File, temp: &Path, progress: &mut dyn FnMut(u64)) -> Result<(), SaveError> {
        let step = |step| move |error| SaveError::Write { step, error };
        let file = self.write_items(file, false, progress).map_err(step("rdbSaveRio"))?;
        file.sync_all().map_err(step("fsync"))?;
        drop(file);
        let target = self.folder.join(&self.name);
        files::rename_durable(temp, &target).map_err(|error| {
            if temp.exists() {
                let temp = temp.to_owned();
                SaveError::Move { temp, target, error }
            } else {
                SaveError::Write { step: "fsyncFileDir", error }
            }
        })
    }

    /// Writes it for replicas, between a line that announces `mark` and the mark itself.
    pub fn write_marked(
        &self,
        out: &mut File,
        mark: &[u8],
        exclude: Filter,
        mut progress: impl FnMut(u64),
    ) -> io::Result<()> {
        out.write_all(&[b"$EOF:", mark, b"\r\n"].concat())?;
        self.write_to(&mut *out, false, exclude, &mut progress)?;
        out.write_all(mark)
    }

    fn write_items(&self, file: File, aof_base: bool, progress: &mut dyn FnMut(u64)) -> io::Result<File> {
        let sink = Sink::new(file, self.sync_every);
        Ok(self.write_to(sink, aof_base, Filter::default(), progress)?.file)
    }

    fn write_to<W: Write>(
        &self,
        sink: W,
        aof_base: bool,
        exclude: Filter,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<W> {
        let mut writer = Writer::new(sink, self.options);
        let saved = self.saved.as_ref().filter(|_| !aof_base);
        let replication = saved.map(|saved| ReplicationAux {
            stream_db: i64::from(saved.stream_db),
            id: saved.id.as_str(),
            offset: saved.offset as i64,
        });
        writer.aux_fields(&AuxFields {
            redis_version: REDIS_VERSION,
            created: self.created,
            used_memory: self.used_memory,
            replication,
            aof_base,
        })?;
        if !exclude.exclude_functions {
            self.libraries.iter().try_for_each(|library| writer.function(&library.code))?;
        }
        let mut delay = KeyDelay::new(self.key_delay);
        let dbs = if exclude.exclude_data { &[] } else { &self.ks.dbs[..] };
        for (id, db) in dbs.iter().enumerate() {
            writer.begin_db(id as u64, db.len() as u64, db.volatile() as u64)?;
            for entry in db.entries.iter() {
                writer.entry(entry.key(), entry.view(), entry.expires_at(), self.access_of(entry))?;
                delay.pause();
                if let Some(done) = writer.progress_every(REPORT_KEYS, REPORT_BYTES) {
                    progress(done.keys);
                }
            }
        }
        progress(writer.progress().keys);
        Ok(writer.finish()?.0)
    }

    fn access_of(&self, entry: EntryRef<'_>) -> Option<Access> {
        let bits = entry.access();
        match self.kept {
            Kept::Nothing => None,
            Kept::Idle => Some(Access::Idle(self.ks.access.idle_seconds(bits) as u64)),
            Kept::Frequency => Some(Access::Frequency(self.ks.access.frequency(bits).min(255) as u8)),
        }
    }
}

/// Makes the temporary file. What stands in its place was left behind by a process of the same id; a link that
/// somebody put there goes away, and what it points at stays as it is.
pub(in crate::server) fn create(temp: &Path) -> io::Result<File> {
    match files::create_new_private(temp) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(temp)?;
            files::create_new_private(temp)
        }
        other => other,
    }
}

/// The file, forced to disk now and then.
pub(super) struct Sink {
    file: File,
    unsynced: u64,
    sync_every: u64,
}

impl Sink {
    pub fn new(file: File, sync_every: u64) -> Sink {
        Sink { file, unsynced: 0, sync_every }
    }

    pub fn into_file(self) -> File {
        self.file
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written as u64;
        if self.sync_every > 0 && self.unsynced >= self.sync_every {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `rdb-key-save-delay` and `key-load-delay`: tests make saving and loading slow with them.
pub(super) struct KeyDelay {
    delay: i32,
    rng: Rng,
}

impl KeyDelay {
    pub fn new(delay: i32) -> KeyDelay {
        KeyDelay { delay, rng: Rng::new(std::process::id() as u64) }
    }

    #[inline]
    pub fn pause(&mut self) {
        let micros = match self.delay {
            0 => return,
            delay @ 1.. => delay as u64,
            one_in => (self.rng.below(one_in.unsigned_abs() as u64) == 0) as u64,
        };
        if micros > 0 {
            std::thread::sleep(Duration::from_micros(micros));
        }
    }
}

/// Why there is no new file.
#[derive(Debug)]
pub(super) enum SaveError {
    Open {
        temp: PathBuf,
        error: io::Error,
    },
    Write {
        step: &'static str,
        error: io::Error,
    },
    Move {
        temp: PathBuf,
        target: PathBuf,
        error: io::Error,
    },
    /// What is in memory is a part of what the file on disk holds.
    Loading,
}

impl fmt::Display for SaveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SaveError::Open { temp, error } => write!(
                f,
                "Failed opening the temp RDB file {} (in server root dir {}) for saving: {}",
                name(temp),
                files::folder_of(temp).display(),
                reason(error)
            ),
            SaveError::Write { step, error } => write!(f, "Write error saving DB on disk({step}): {}", reason(error)),
            SaveError::Move { temp, target, error } => write!(
                f,
                "Error moving temp DB file {} on the final destination {} (in server root dir {}): {}",
                name(temp),
                name(target),
                files::folder_of(target).display(),
                reason(error)
            ),
            SaveError::Loading => write!(f, "Nothing is saved before everything is loaded"),
        }
    }
}

fn name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// The system's words for an error, as C prints them.
pub(in crate::server) fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => Errno::from_raw(code).desc().to_owned(),
        None => error.to_string(),
    }
}

impl Server {
    /// `dir`.
    pub(in crate::server) fn data_folder(&self) -> PathBuf {
        match self.config.dir.as_str() {
            "" => PathBuf::from("."),
            dir => PathBuf::from(dir),
        }
    }

    /// Where snapshots are.
    pub(in crate::server) fn snapshot_path(&self) -> PathBuf {
        self.data_folder().join(&self.config.dbfilename)
    }

    /// The temporary file of the process `pid`.
    pub(super) fn temp_file(&self, pid: u32) -> PathBuf {
        self.data_folder().join(format!("temp-{pid}.rdb"))
    }

    /// Saves in the foreground: SAVE, the end of the server, FLUSHALL, DEBUG RELOAD. Logged either way; the error is
    /// for whoever asked.
    pub fn save_now(&mut self) -> Result<(), String> {
        let temp = self.temp_file(std::process::id());
        signals::set_temp_file(Some(&temp));
        let saved = match self.persistence.loading {
            Some(_) => Err(SaveError::Loading),
            None => Snapshot::of(self).write(&temp, |_| ()),
        };
        signals::set_temp_file(None);
        if let Err(error) = saved {
            log::warn!("{error}");
            return Err(error.to_string());
        }
        log::info!("DB saved on disk");
        self.exec.dirty = 0;
        self.persistence.rdb_last_save_time = clock::wall_us() / 1_000_000;
        self.persistence.last_bgsave_ok = true;
        self.refresh_disk_alarm();
        Ok(())
    }
}
