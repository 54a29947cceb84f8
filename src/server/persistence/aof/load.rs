//! The append only file back into memory, at a start and for DEBUG LOADAOF.
//!
//! *Duty:* load what the manifest names, in order: a base (a snapshot, or commands) and increments. Hold the bytes
//! against the sums beside them; decide what becomes of a torn tail; say where and what if a file cannot be believed.
//! *Does not know:* the formats (`aof::reader`, `rdb`), what a command does.
//! *Invariants:* a start ends with everything loaded or with an error, and a file that is not believed is not touched.
//! Only the last file may lose a tail, only where `aof-load-truncated` allows it, and what is cut off stays in a file
//! beside it. An unfinished transaction is dropped as a whole.
//! *Counterpart in C Redis:* `loadAppendOnlyFiles`, `loadSingleAppendOnlyFile`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::super::load::Stop;
use super::super::rdb::{create, reason};
use super::increment::{LoadedSums, seals_path};
use super::replay::Replay;
use crate::aof::{Chain, Chunk, Damage, Fault, ReadError, Reader, Sealed, Sums, Verifier};
use crate::server::Server;
use crate::sys::{clock, files};

/// What an append only file turned out to be.
#[derive(Debug)]
pub(in crate::server::persistence) enum Found {
    /// The manifest names nothing.
    Nothing,
    /// What it names holds no byte.
    Empty,
    /// With what is known of the last file's sums.
    Loaded(Option<LoadedSums>),
    /// The server was told to end meanwhile.
    CutShort,
}

/// Bytes of a damaged place that are shown.
const SHOWN: usize = 64;

impl Server {
    /// Loads what the manifest names. Details of an error have been logged.
    pub(in crate::server::persistence) fn load_append_only_files(&mut self, serve: bool) -> Result<Found, String> {
        let manifest = &self.persistence.aof.manifest;
        if manifest.base.is_none() && manifest.incr.is_empty() {
            return Ok(Found::Nothing);
        }
        let names: Vec<Vec<u8>> = manifest.to_load().map(|file| file.name.clone()).collect();
        let mut sizes = Vec::new();
        for name in &names {
            let size = std::fs::metadata(self.append_file(name)).map(|meta| meta.len());
            sizes.push(size.map_err(|error| {
                log::warn!("Unable to obtain the AOF file {} length. stat: {}", name.escape_ascii(), reason(&error));
                UNREADABLE.to_owned()
            })?);
        }
        let total: u64 = sizes.iter().sum();
        if total == 0 {
            return Ok(Found::Empty);
        }
        let has_base = manifest.base.is_some();
        self.begin_loading(total);
        let mut sums = None;
        let mut before = 0;
        for (i, name) in names.iter().enumerate() {
            let part = Part { name, is_base: has_base && i == 0, is_last: i + 1 == names.len(), before, serve };
            match self.load_part(part) {
                Ok(known) => sums = known,
                Err(Stop::Exit) => return Ok(Found::CutShort),
                Err(stop) => {
                    self.abandon_loading();
                    return Err(stop.text().unwrap_or_else(|| UNREADABLE.to_owned()));
                }
            }
            before += sizes[i];
        }
        let aof = &mut self.persistence.aof;
        aof.aof_current_size = total;
        aof.aof_base_size = if has_base { sizes[0] } else { 0 };
        self.abandon_loading();
        Ok(Found::Loaded(sums))
    }

    fn load_part(&mut self, part: Part<'_>) -> Result<Option<LoadedSums>, Stop> {
        let began = clock::monotonic_ns();
        let path = self.append_file(part.name);
        let shown = part.name.escape_ascii().to_string();
        let fatal = |error: io::Error| {
            Stop::Unfit(format!("Fatal error: can't open the append log file {shown} for reading: {}", reason(&error)))
        };
        let mut file = File::open(&path).map_err(fatal)?;
        let mut magic = [0; 5];
        let is_snapshot = matches!(file.read_exact(&mut magic), Ok(())) && &magic == b"REDIS";
        file.seek(SeekFrom::Start(0)).map_err(fatal)?;
        let mut begin = 0;
        if is_snapshot {
            let old_style = part.is_base && part.name == self.config.appendfilename.as_bytes();
            match old_style {
                true => log::info!("Reading RDB preamble from AOF file..."),
                false => log::info!("Reading RDB base file on AOF loading..."),
            }
            begin = self.load_preamble(&path, file, part.serve).map_err(|stop| match stop {
                Stop::Exit => Stop::Exit,
                _ => Stop::Unfit(format!("Error reading the RDB base file {shown}, AOF loading aborted")),
            })?;
            if old_style {
                log::info!("Reading the remaining AOF tail...");
            }
            file = File::open(&path).map_err(fatal)?;
            file.seek(SeekFrom::Start(begin)).map_err(fatal)?;
        }
        let sums = self.replay_part(&part, &path, file, begin)?;
        let seconds = (clock::monotonic_ns() - began) as f64 / 1e9;
        let kind = if part.is_base { "base" } else { "incr" };
        log::info!("DB loaded from {kind} file {shown}: {seconds:.3} seconds");
        Ok(sums)
    }

    /// Runs the commands of a file from the offset `begin` on.
    fn replay_part(
        &mut self,
        part: &Part<'_>,
        path: &Path,
        file: File,
        begin: u64,
    ) -> Result<Option<LoadedSums>, Stop> {
        let side = if begin == 0 { self.read_sums(path)? } else { None };
        let mut reader = Reader::new(file, begin);
        if let Some(sums) = &side {
            reader = reader.verified(Verifier::new(sums.clone()));
        }
        let mut replay = Replay::new(self, part.before, begin, part.serve);
        let end = loop {
            match reader.next() {
                Ok(Chunk::Commands(commands)) => replay.run(self, part.name, commands)?,
                Ok(Chunk::Annotation(_)) => {}
                Ok(Chunk::End) => break None,
                Err(ReadError::Truncated(fault)) => break Some(fault),
                Err(error) => return Err(Stop::Unfit(report(part, path, &error))),
            }
        };
        let sealed = reader.verifier().map(Verifier::sealed);
        if let Some(Sealed::Lost { written, .. }) = sealed {
            log::warn!(
                "{} was longer once: its checksums reach to byte {written}, the file to byte {}.",
                path.display(),
                reader.offset()
            );
        }
        if replay.open_transaction().is_some() {
            log::warn!("Revert incomplete MULTI/EXEC transaction in AOF file {}", part.name.escape_ascii());
        }
        let torn = end.map(|fault: Fault| fault.offset).or_else(|| replay.open_transaction().map(|_| reader.offset()));
        let lost = matches!(sealed, Some(Sealed::Lost { .. }));
        if torn.is_none() && !lost {
            let end = reader.offset();
            let known = side.zip(reader.into_verifier());
            return Ok(
                known.map(|(sums, verifier)| LoadedSums { chain: verifier.chain(), side_bytes: sums.bytes_up_to(end) })
            );
        }
        let valid = replay.open_transaction().or(torn).unwrap_or(reader.offset());
        self.cut_tail(part, path, valid)?;
        let Some(sums) = side else { return Ok(None) };
        let chain = chain_over(path).map_err(|error| Stop::Unfit(format!("{}: {}", path.display(), reason(&error))))?;
        let chain = chain.recorded_to(sums.end_up_to(valid));
        Ok(Some(LoadedSums { chain, side_bytes: sums.bytes_up_to(valid) }))
    }

    /// The sums beside a file, where they are to be looked at and are there.
    fn read_sums(&self, path: &Path) -> Result<Option<Sums>, Stop> {
        if !self.config.aof_checksum {
            return Ok(None);
        }
        let beside = seals_path(path);
        let bytes = match std::fs::read(&beside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| Stop::Unfit(format!("{}: {}", beside.display(), reason(&error))))?,
        };
        match Sums::parse(&bytes) {
            Ok(sums) => {
                if sums.damaged() > 0 {
                    log::warn!("{} of the checksums in {} are damaged themselves.", sums.damaged(), beside.display());
                }
                Ok(Some(sums))
            }
            Err(error) => Err(Stop::Unfit(format!(
                "The checksums in {} cannot be read: {error}. Remove the file to load without them, or start with \
                 'aof-checksum no'.",
                beside.display()
            ))),
        }
    }

    /// The file ends in the middle of something: cuts that off, where that is allowed, and keeps it beside the file.
    fn cut_tail(&mut self, part: &Part<'_>, path: &Path, valid: u64) -> Result<(), Stop> {
        let name = part.name.escape_ascii();
        if !part.is_last {
            return Err(Stop::Unfit("Fatal error: the truncated file is not the last file".to_owned()));
        }
        if !self.config.aof_load_truncated {
            return Err(Stop::Unfit(format!(
                "Unexpected end of file reading the append only file {name}. You can: 1) Make a backup of your AOF \
                 file, then use ./redis-check-aof --fix <filename.manifest>. 2) Alternatively you can set the \
                 'aof-load-truncated' configuration option to yes and restart the server."
            )));
        }
        log::warn!("!!! Warning: short read while loading the AOF file {name}!!!");
        log::warn!("!!! Truncating the AOF {name} at offset {valid} !!!");
        let kept = keep_tail(path, valid).and_then(|kept| {
            let file = File::options().write(true).open(path)?;
            file.set_len(valid)?;
            file.sync_all()?;
            Ok(kept)
        });
        match kept {
            Ok(Some(kept)) => log::warn!("What was cut off is kept in {}.", kept.display()),
            Ok(None) => {}
            Err(error) => {
                return Err(Stop::Unfit(format!("Error truncating the AOF file {name}: {}", reason(&error))));
            }
        }
        log::warn!("AOF {name} loaded anyway because aof-load-truncated is enabled");
        Ok(())
    }
}

/// What the process says last when an append only file could not be loaded.
const UNREADABLE: &str = "The append only file could not be loaded; nothing of it was changed. Exiting.";

/// One of the files.
struct Part<'a> {
    name: &'a [u8],
    is_base: bool,
    is_last: bool,
    /// Bytes of the files before it.
    before: u64,
    /// Clients are answered meanwhile.
    serve: bool,
}

/// Copies what stands behind `valid` into a file of its own.
fn keep_tail(path: &Path, valid: u64) -> io::Result<Option<PathBuf>> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() <= valid {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(valid))?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".cut-{valid}-{}", clock::wall_us() / 1_000_000));
    let kept = PathBuf::from(name);
    let mut out = create(&kept)?;
    io::copy(&mut file, &mut out)?;
    out.sync_all()?;
    files::fsync_dir(files::folder_of(&kept))?;
    Ok(Some(kept))
}

fn chain_over(path: &Path) -> io::Result<Chain> {
    let mut file = File::open(path)?;
    let mut chain = Chain::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(chain),
            n => chain.update(&buffer[..n]),
        }
    }
}

/// Where and why a file cannot be believed, and what to do: the last line that the process says.
fn report(part: &Part<'_>, path: &Path, error: &ReadError) -> String {
    let name = part.name.escape_ascii();
    match error {
        ReadError::Io(error) => format!("Unrecoverable error reading the append only file {name}: {}", reason(error)),
        ReadError::Damaged(damage) => report_damage(path, *damage),
        ReadError::Truncated(_) | ReadError::Format(_) => {
            log::warn!("{error}");
            format!(
                "Bad file format reading the append only file {name}: make a backup of your AOF file, then use \
                 ./redis-check-aof --fix <filename.manifest>"
            )
        }
    }
}

fn report_damage(path: &Path, damage: Damage) -> String {
    log::warn!("The append only file {} is damaged: {damage}.", path.display());
    let there = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(damage.from))?;
        let mut bytes = Vec::new();
        file.take(SHOWN as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    if let Ok(bytes) = there {
        log::warn!("At byte {} stands: {}", damage.from, bytes.escape_ascii());
    }
    "You can: 1) restore the file from a backup or a replica. 2) Make a backup, then use redis-check-aof --fix \
     <filename.manifest>, which shows what is lost. 3) If the file was edited on purpose, start with 'aof-checksum no'."
        .to_owned()
}
