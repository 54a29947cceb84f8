//! [`Increment`]: the file that grows, and the sums beside it.
//!
//! *Duty:* append, undo an append that the disk took only half, hand the descriptor to whoever syncs; keep the side
//! file with the sums (`aof-checksum`), whose format is `aof::sums`. *Does not know:* when to write or sync.
//! *Invariants:* the file ends with a whole group of commands, or the rest of one is written next. Sums are written
//! behind what they are about and are never synced: a missing one only leaves a tail unverified.
//! *Counterpart in C Redis:* `server.aof_fd`, `aofWrite`, the truncation in `flushAppendOnlyFile`.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::super::rdb::create;
use crate::aof::SUMS_SUFFIX;
use crate::aof::sums::{Chain, HEADER, RECORD_BYTES};
use crate::sys::appender::write_whole;

/// While much is written there is a sum for so many bytes; beyond that there is one whenever sums are written out.
const SEAL_EVERY: u64 = 64 << 10;
/// Sums wait in memory up to this many bytes.
const SEALS_BUFFERED: usize = 4 << 10;

#[derive(Debug)]
pub(super) struct Increment {
    file: File,
    pub path: PathBuf,
    /// Bytes in the file.
    pub size: u64,
    /// Of these, for how many an fsync was asked for.
    pub sync_asked: u64,
    seals: Option<Seals>,
    /// A second descriptor, for groups that another thread writes; with one of them while that is under way.
    lent: Option<File>,
}

#[derive(Debug)]
struct Seals {
    file: File,
    chain: Chain,
    /// Records that are not written yet.
    pending: Vec<u8>,
    /// Bytes in the side file.
    size: u64,
}

/// What loading found out about the file that is to grow on.
#[derive(Clone, Copy, Debug)]
pub(in crate::server::persistence) struct LoadedSums {
    /// The sum over all of its bytes.
    pub chain: Chain,
    /// Bytes of the side file that hold.
    pub side_bytes: u64,
}

/// The side file of an append only file.
pub(super) fn seals_path(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(SUMS_SUFFIX);
    PathBuf::from(beside)
}

impl Increment {
    /// A new file. Whatever has its name stands in no manifest: it was left behind.
    pub fn create(path: PathBuf, seal: bool) -> io::Result<Increment> {
        let file = create(&path)?;
        let mut increment = Increment { file, path, size: 0, sync_asked: 0, seals: None, lent: None };
        // What was left of an older file of this name would contradict the new one.
        remove_if_there(&seals_path(&increment.path))?;
        if seal {
            let mut file = create(&seals_path(&increment.path))?;
            file.write_all(&HEADER)?;
            let size = HEADER.len() as u64;
            increment.seals = Some(Seals { file, chain: Chain::new(), pending: Vec::new(), size });
        }
        Ok(increment)
    }

    /// Goes on with a file that was loaded.
    pub fn reopen(path: PathBuf, loaded: Option<LoadedSums>, seal: bool) -> io::Result<Increment> {
        let open = |path: &Path| OpenOptions::new().append(true).custom_flags(libc::O_NOFOLLOW).open(path);
        let file = open(&path)?;
        let size = file.metadata()?.len();
        let mut increment = Increment { file, path, size, sync_asked: size, seals: None, lent: None };
        // A file without sums was written by somebody else, who may come back to it. The next rewrite begins one with.
        let Some(LoadedSums { chain, side_bytes }) = loaded.filter(|sums| seal && sums.chain.offset() == size) else {
            // Sums that nobody carries on would accuse what is written now.
            remove_if_there(&seals_path(&increment.path))?;
            return Ok(increment);
        };
        let file = open(&seals_path(&increment.path))?;
        // A record that was cut off would put those behind it in the wrong place.
        file.set_len(side_bytes)?;
        // A process that was killed early, or a power failure, may have left none of the header.
        let pending = if side_bytes == 0 { HEADER.to_vec() } else { Vec::new() };
        increment.seals = Some(Seals { file, chain, pending, size: side_bytes });
        increment.write_seals();
        Ok(increment)
    }

    /// Appends a group of whole commands. On an error nothing of it is in the file, or `Half` says how much is.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), AppendError> {
        let (written, failure) = write_whole(&mut self.file, bytes);
        self.appended(bytes, written, failure)
    }

    /// Takes note of a group of which `written` bytes were appended, by whomever; takes back a part of one.
    pub fn appended(&mut self, bytes: &[u8], written: usize, failure: Option<io::Error>) -> Result<(), AppendError> {
        if let Some(error) = failure {
            return Err(self.undo(&bytes[..written], error));
        }
        self.size += bytes.len() as u64;
        if let Some(seals) = &mut self.seals {
            seals.chain.update(bytes);
            self.seal();
        }
        Ok(())
    }

    /// Takes back what a failed append left in the file.
    fn undo(&mut self, partly: &[u8], error: io::Error) -> AppendError {
        if partly.is_empty() || cut(&mut self.file, self.size).is_ok() {
            return AppendError { error, kept: 0 };
        }
        self.size += partly.len() as u64;
        if let Some(seals) = &mut self.seals {
            seals.chain.update(partly);
        }
        AppendError { error, kept: partly.len() }
    }

    fn seal(&mut self) {
        let Some(seals) = &mut self.seals else { return };
        if seals.chain.unrecorded() >= SEAL_EVERY {
            seals.pending.extend_from_slice(&seals.chain.record());
        }
        if seals.pending.len() >= SEALS_BUFFERED {
            self.write_seals();
        }
    }

    /// Writes the sums that wait, up to the last byte. What the disk does not take waits on. If a part of it cannot be
    /// taken back there are none from here on: half a record would spoil those behind it.
    pub fn write_seals(&mut self) {
        let Some(seals) = &mut self.seals else { return };
        if seals.chain.unrecorded() > 0 {
            seals.pending.extend_from_slice(&seals.chain.record());
        }
        if seals.pending.is_empty() {
            return;
        }
        match seals.file.write_all(&seals.pending) {
            Ok(()) => {
                seals.size += seals.pending.len() as u64;
                seals.pending.clear();
            }
            Err(error) if cut(&mut seals.file, seals.size).is_err() => {
                log::warn!(
                    "Writing the checksums of {} failed: {error}. What follows in this file is not covered by them.",
                    self.path.display()
                );
                self.seals = None;
            }
            Err(_) => {
                // The last one covers what the others do.
                let header = if seals.size == 0 { HEADER.len() } else { 0 };
                let last = seals.pending.len() - RECORD_BYTES;
                if last > header {
                    seals.pending.drain(header..last);
                }
            }
        }
    }

    /// A second descriptor of the file, for whoever syncs it elsewhere.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }

    /// A descriptor for a group that another thread writes; [`Increment::take_back`] when it has.
    pub fn lend(&mut self) -> io::Result<File> {
        self.lent.take().map_or_else(|| self.file.try_clone(), Ok)
    }

    pub fn take_back(&mut self, file: File) {
        self.lent = Some(file);
    }

    /// Brings everything to disk.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.sync_asked = self.size;
        Ok(())
    }

    /// Gives the file up; the caller syncs and closes it.
    pub fn into_descriptor(mut self) -> OwnedFd {
        self.write_seals();
        self.file.into()
    }

    /// The file has another name now.
    pub fn renamed(&mut self, path: PathBuf) -> io::Result<()> {
        let seals = seals_path(&self.path);
        if self.seals.is_some() {
            std::fs::rename(seals, seals_path(&path))?;
        }
        self.path = path;
        Ok(())
    }
}

/// An append that failed.
#[derive(Debug)]
pub(super) struct AppendError {
    pub error: io::Error,
    /// Bytes that could not be taken back: what is appended next must follow on them.
    pub kept: usize,
}

/// Shortens a file, and goes on writing there.
fn cut(file: &mut File, size: u64) -> io::Result<()> {
    file.set_len(size)?;
    file.seek(SeekFrom::Start(size)).map(drop)
}

pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
