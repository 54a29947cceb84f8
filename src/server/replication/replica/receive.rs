//! The data set that the master sends.
//!
//! *Duty:* receive it into a file and load that, or load it as it comes (`repl-diskless-load`); give way to it with the
//! old data set, no earlier than necessary. *Does not know:* the format, where the payload ends.
//! *Invariants:* a file is loaded only when its checksum is right, and until then the data set from before stays, in
//! memory and on disk; a file that could not be loaded never takes the place of the snapshot. With `swapdb` the old data
//! set stays until the new one is whole. Whatever comes, the server goes on.
//! *Counterpart in C Redis:* `readSyncBulkPayload`, `replicationAttachToNewMaster`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::way::Conn;
use super::{Way, seconds};
use crate::base::crc64;
use crate::call::Effects;
use crate::config::values::ReplDisklessLoad;
use crate::keyspace::Db;
use crate::net::Stream;
use crate::net::stream::Moved;
use crate::repl::replica::transfer::{Kind, Piece, Transfer};
use crate::repl::replica::{LoadError, LoadFailure};
use crate::server::Server;
use crate::server::persistence::sync::{Arrived, NotLoaded, Target};
use crate::server::persistence::{create, reason};
use crate::sys::clock;
use crate::sys::files;

/// Bytes after which the file is forced to disk, so that the last time is short.
const SYNC_EVERY: u64 = 8 << 20;
/// An RDB file ends with a sum of so many bytes.
const SUM_LEN: usize = 8;

/// A data set on its way into a file.
pub(super) struct Receiving {
    path: PathBuf,
    file: File,
    unsynced: u64,
    /// The sum of all bytes but the last eight, which are in `tail`.
    crc: u64,
    tail: Vec<u8>,
    /// Why it cannot be stored.
    failed: Option<String>,
}

impl Receiving {
    fn open(path: PathBuf) -> io::Result<Receiving> {
        let file = create(&path)?;
        Ok(Receiving { path, file, unsynced: 0, crc: 0, tail: Vec::new(), failed: None })
    }

    pub fn take_in(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.failed.is_some() {
            return Ok(());
        }
        self.sum_up(bytes);
        self.unsynced += bytes.len() as u64;
        let mut written = self.file.write_all(bytes);
        if written.is_ok() && self.unsynced >= SYNC_EVERY {
            self.unsynced = 0;
            written = self.file.sync_data();
        }
        written.map_err(|error| {
            let why = reason(&error);
            let text = format!("Write error or short write writing to the DB dump file needed for MASTER <-> REPLICA synchronization: {why}");
            self.failed = Some(text.clone());
            text
        })
    }

    fn sum_up(&mut self, bytes: &[u8]) {
        if bytes.len() >= SUM_LEN {
            self.crc = crc64::update(self.crc, &self.tail);
            let (sum, tail) = bytes.split_at(bytes.len() - SUM_LEN);
            self.crc = crc64::update(self.crc, sum);
            self.tail.clear();
            self.tail.extend_from_slice(tail);
        } else {
            self.tail.extend_from_slice(bytes);
            let leave = self.tail.len().saturating_sub(SUM_LEN);
            self.crc = crc64::update(self.crc, &self.tail[..leave]);
            self.tail.drain(..leave);
        }
    }

    /// Whether the file can be what the master meant to send. Without a sum in it nobody can tell.
    fn is_sound(&self) -> bool {
        let stored: Option<[u8; SUM_LEN]> = self.tail.as_slice().try_into().ok();
        stored.map(u64::from_le_bytes).is_some_and(|stored| stored == 0 || stored == self.crc)
    }
}

impl Server {
    pub(super) fn begin_transfer(&mut self, kind: Kind) {
        let target = self.diskless_target();
        super::write_log(&kind.log(target.is_some()));
        match target {
            Some(target) => self.load_from_link(kind, target),
            None => self.open_transfer_file(),
        }
    }

    /// Where a data set goes that is loaded as it comes; `None`: to a file first.
    fn diskless_target(&self) -> Option<Target> {
        match self.config.repl_diskless_load {
            ReplDisklessLoad::Disabled => None,
            ReplDisklessLoad::OnEmptyDb => (self.ks.total_keys() == 0).then_some(Target::Place),
            ReplDisklessLoad::Swapdb => {
                // What is here is an older state of the same history: as good as what a stale replica shows.
                let link = self.replication.follow.as_ref().map(|follow| &follow.link);
                let same = link.and_then(|link| link.transfer_id()) == Some(self.replication.ids.id);
                Some(Target::Spare { serve: same })
            }
        }
    }

    fn open_transfer_file(&mut self) {
        let name = format!("temp-{}.{}.rdb", seconds(self.clock.now()), std::process::id());
        let opened = Receiving::open(self.data_folder().join(name));
        let Some(follow) = &mut self.replication.follow else { return };
        match opened {
            Ok(receiving) => follow.receiving = Some(receiving),
            Err(error) => {
                let why = reason(&error);
                self.transfer_failed(format!(
                    "Opening the temp file needed for MASTER <-> REPLICA synchronization: {why}"
                ));
            }
        }
    }

    pub(super) fn abort_transfer(&mut self) {
        let receiving = self.replication.follow.as_mut().and_then(|follow| follow.receiving.take());
        if let Some(receiving) = receiving {
            // Whatever else became of it, it is worth nothing.
            let _ = std::fs::remove_file(&receiving.path);
        }
    }

    pub(super) fn load_received_file(&mut self) {
        let Some(receiving) = self.replication.follow.as_mut().and_then(|follow| follow.receiving.take()) else {
            return;
        };
        let path = receiving.path.clone();
        let result = self.load_file_of_master(receiving);
        if result.is_err() {
            // The reason has been found; the file has nothing to add.
            let _ = std::fs::remove_file(&path);
        }
        let now = self.clock.now();
        if let Some(follow) = &mut self.replication.follow {
            follow.link.on_load_result(now, result);
            follow.input.more = true;
        }
    }

    fn load_file_of_master(&mut self, receiving: Receiving) -> Result<Option<u32>, LoadError> {
        let kept = |why, text| LoadError { why, text, old_data_kept: true };
        if let Some(text) = receiving.failed {
            return Err(kept(LoadFailure::Store, text));
        }
        if !receiving.is_sound() {
            let text = "Failed trying to load the MASTER synchronization DB from disk: its checksum is wrong";
            return Err(kept(LoadFailure::Damaged, text.to_owned()));
        }
        receiving.file.sync_all().map_err(|error| {
            let text = format!(
                "Failed trying to sync the temp DB to disk in MASTER <-> REPLICA synchronization: {}",
                reason(&error)
            );
            kept(LoadFailure::Store, text)
        })?;
        let path = receiving.path.clone();
        drop(receiving.file);
        self.give_way();
        let arrived = self.load_received(&path).map_err(|failed| self.emptied_after(failed))?;
        self.keep_file(&path);
        Ok(arrived.stream_db)
    }

    /// The received file becomes the snapshot, or goes.
    fn keep_file(&mut self, path: &Path) {
        let no_persistence = self.config.save.is_empty() && !self.config.appendonly;
        if self.config.rdb_del_sync_files && no_persistence {
            log::info!("Removing the RDB file obtained from the master. This replica has persistence disabled");
            let snapshot = self.data_folder().join(&self.config.dbfilename);
            for file in [path, &snapshot] {
                // It may not be there.
                let _ = std::fs::remove_file(file);
            }
            return;
        }
        self.stop_save_child();
        let snapshot = self.data_folder().join(&self.config.dbfilename);
        if let Err(error) = files::rename_durable(path, &snapshot) {
            log::warn!(
                "Failed trying to rename the temp DB into {} in MASTER <-> REPLICA synchronization: {}",
                self.config.dbfilename,
                reason(&error)
            );
            // The data set is in memory all the same.
            let _ = std::fs::remove_file(path);
        }
    }

    /// The data set from before goes, and with it all that hangs on its history.
    fn give_way(&mut self) {
        self.leave_history();
        log::info!("MASTER <-> REPLICA sync: Flushing old data");
        self.empty_all();
        log::info!("MASTER <-> REPLICA sync: Loading DB in memory");
    }

    fn leave_history(&mut self) {
        if self.persistence.aof.is_on() {
            self.stop_aof();
        }
        self.drop_replicas();
        self.replication.own.clear();
        self.forget_on_disk();
        self.replication.backlog.deactivate();
    }

    fn empty_all(&mut self) {
        let lazy = self.config.replica_lazy_flush;
        let mut fx = Effects { wants: self.exec.wants, ..Effects::default() };
        self.empty_databases(0..self.ks.dbs.len(), lazy, &mut fx);
        self.flush_functions();
        fx.ops.clear();
        self.drain_server_side(&mut fx);
    }

    /// What was loaded of a data set that is not whole goes too.
    fn emptied_after(&mut self, (why, text): NotLoaded) -> LoadError {
        self.empty_all();
        LoadError { why, text, old_data_kept: false }
    }

    /// Loads the payload as it comes.
    fn load_from_link(&mut self, kind: Kind, target: Target) {
        let timeout_ms = u64::from(self.config.repl_timeout) * 1000;
        let Some(follow) = &mut self.replication.follow else { return };
        let Some(transfer) = follow.link.parser_takes_over() else { return };
        let way = std::mem::replace(&mut follow.way, Way::None);
        let Way::Conn(conn) = way else {
            follow.way = way;
            return;
        };
        let (stream, token, out) = conn.into_parts();
        let source = FromLink::new(stream, follow.input.take(), transfer, timeout_ms);
        let size = match kind {
            Kind::Size(size) => Some(size),
            Kind::Mark(_) => None,
        };
        if target == Target::Place {
            self.give_way();
        } else {
            log::info!("MASTER <-> REPLICA sync: Loading DB in memory");
        }
        let (mut source, mut loaded) = self.load_arriving(source, size, None, target);
        if loaded.is_ok()
            && let Err(error) = source.finish()
        {
            let text = format!("Replication stream's EOF marker is broken: {}", reason(&error));
            loaded = Err((LoadFailure::Damaged, text));
        }
        self.stats.net_repl_input_bytes += source.read;
        let result = match (loaded, target) {
            (Ok(arrived), Target::Place) => Ok(arrived.stream_db),
            (Ok(arrived), Target::Spare { .. }) => Ok(self.swap_in(arrived)),
            (Err(failed), Target::Place) => Err(self.emptied_after(failed)),
            (Err((why, text)), Target::Spare { .. }) => {
                log::info!("MASTER <-> REPLICA sync: Discarding temporary DB in background");
                Err(LoadError { why, text, old_data_kept: true })
            }
        };
        if let Some(follow) = &mut self.replication.follow {
            follow.input.put_back(&source.held[source.at..]);
            follow.input.more = true;
            follow.way = Way::Conn(Conn::again(source.stream, token, out));
            follow.link.on_load_result(self.clock.now(), result);
        }
    }

    /// The new data set takes the place of the old one.
    fn swap_in(&mut self, arrived: Arrived) -> Option<u32> {
        self.leave_history();
        log::info!("MASTER <-> REPLICA sync: Swapping active DB with loaded DB");
        let spare: Vec<Db> = arrived.spare.unwrap_or_default();
        let mut fx = Effects { wants: self.exec.wants, ..Effects::default() };
        self.empty_databases(0..self.ks.dbs.len(), true, &mut fx);
        for (db, new) in self.ks.dbs.iter_mut().zip(spare) {
            *db = new;
        }
        self.functions = arrived.spare_functions.unwrap_or_default();
        fx.ops.clear();
        self.drain_server_side(&mut fx);
        self.wake_all_waiters();
        log::info!("MASTER <-> REPLICA sync: Discarding old DB in background");
        arrived.stream_db
    }
}

/// The payload as the parser reads it: straight from the connection, waiting where nothing has come yet.
struct FromLink {
    stream: Stream,
    /// What has come and is not used up: `held[at..]`.
    held: Vec<u8>,
    at: usize,
    /// Of that, payload that is known as such.
    ready: usize,
    transfer: Transfer,
    timeout_ms: u64,
    newline_ns: u64,
    /// Bytes read from the connection.
    read: u64,
}

/// How often a master that waits hears from us.
const NEWLINE_NS: u64 = 1_000_000_000;
const READ_SIZE: usize = 64 * 1024;

impl FromLink {
    fn new(stream: Stream, held: Vec<u8>, transfer: Transfer, timeout_ms: u64) -> FromLink {
        FromLink { stream, held, at: 0, ready: 0, transfer, timeout_ms, newline_ns: clock::monotonic_ns(), read: 0 }
    }

    /// How much payload lies at the head of what is held; 0: it has ended.
    fn payload(&mut self) -> io::Result<usize> {
        loop {
            match self.transfer.feed(&self.held[self.at..]) {
                Piece::Payload(len) => return Ok(len),
                Piece::End(mark) => {
                    self.at += mark;
                    self.transfer = Transfer::new(Kind::Size(0));
                    return Ok(0);
                }
                Piece::Unclear => self.read_more()?,
            }
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        self.held.drain(..self.at);
        self.at = 0;
        let began = clock::monotonic_ns();
        loop {
            let before = self.held.len();
            self.held.resize(before + READ_SIZE, 0);
            let got = self.stream.read(&mut self.held[before..]);
            self.held.truncate(before + if let Ok(Moved::Bytes(n)) = got { n } else { 0 });
            self.say_newline();
            match got? {
                Moved::Bytes(n) => {
                    self.read += n as u64;
                    return Ok(());
                }
                Moved::Closed => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed")),
                Moved::WouldBlock => {}
            }
            let waited_ms = (clock::monotonic_ns() - began) / 1_000_000;
            if waited_ms >= self.timeout_ms {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "nothing came within repl-timeout"));
            }
            self.wait(self.timeout_ms - waited_ms);
        }
    }

    fn wait(&self, at_most_ms: u64) {
        let Stream::Tcp(stream) = &self.stream else { return };
        let mut fds = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::from(at_most_ms.min(500) as u16);
        // Whatever it says, reading says more.
        let _ = poll(&mut fds, timeout);
    }

    fn say_newline(&mut self) {
        let now = clock::monotonic_ns();
        if now - self.newline_ns >= NEWLINE_NS {
            self.newline_ns = now;
            // A master that cannot hear us will say so by closing.
            let _ = self.stream.write(b"\n");
        }
    }

    /// The parser has seen the end of the data set: nothing may follow but the mark.
    fn finish(&mut self) -> io::Result<()> {
        let more = if self.ready > 0 { self.ready } else { self.payload()? };
        match more {
            0 => Ok(()),
            _ => Err(io::Error::other(format!("{more} bytes behind the end of the data set"))),
        }
    }
}

impl Read for FromLink {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ready == 0 {
            self.ready = self.payload()?;
        }
        let n = self.ready.min(out.len());
        out[..n].copy_from_slice(&self.held[self.at..self.at + n]);
        self.at += n;
        self.ready -= n;
        Ok(n)
    }
}
