//! redis-check-aof: is this append only file whole, and where not?
//!
//! *Duty:* the command line, the lines and the exit codes of redis-check-aof: a manifest with all its files, or a single
//! file of the old kind, with an RDB in front of the commands or without. Beyond them: the checksums beside a file, and
//! the commands that the server would refuse.
//! *Does not know:* the format of commands ([`scan`]), of checksums ([`seal`]), of the manifest ([`aof::manifest`]).
//! *Invariants:* without `--fix` and `--truncate-to-timestamp` nothing is written. Only the last file is cut, and what
//! is cut off is kept in a file beside it. Exit code 0 says that the server can load all of it.
//! *Counterpart in C Redis:* `redis-check-aof.c`.

mod judge;
mod scan;
mod seal;
mod single;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{reason, shown};
use crate::aof::{self, Manifest};
use judge::Judge;

/// What to do with what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Check,
    Fix,
    /// Cut the last file before the first annotation that is later than this.
    Timestamp(i64),
}

/// Why the program is over.
enum Stop {
    /// What is wrong has been said.
    Bad,
    /// Nobody listens any more.
    Output(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Output(error)
    }
}

/// What became of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Valid,
    Empty,
    Truncated,
    TimestampTruncated,
    /// Its checksums have been made anew, it is as it was.
    Sealed,
    /// It is whole, but so many commands in it would end the server's start.
    Refused(u64),
}

/// One run.
struct Check<'o> {
    out: &'o mut dyn Write,
    answers: &'o mut dyn BufRead,
    mode: Mode,
    judge: Judge,
    /// As in redis-check-aof the lines of all files are counted on.
    line: u64,
    /// Commands that the server would refuse, in all files.
    refused: u64,
}

/// The whole program. `answers` is standard input.
pub fn run(argv: &[OsString], version: &str, answers: &mut dyn BufRead, out: &mut dyn Write) -> io::Result<i32> {
    let args: Vec<&[u8]> = argv.iter().skip(1).map(|arg| arg.as_bytes()).collect();
    let (file, mode) = match args[..] {
        [b"-v" | b"--version"] => {
            writeln!(out, "redis-check-aof {version}")?;
            return Ok(0);
        }
        [file] => (file, Mode::Check),
        [b"--fix", file] => (file, Mode::Fix),
        [b"--truncate-to-timestamp", timestamp, file] => match scan::leading_number(timestamp) {
            // As in redis-check-aof zero is no limit.
            (0, used) if used == timestamp.len() && used > 0 => (file, Mode::Check),
            (at, used) if used == timestamp.len() && used > 0 => (file, Mode::Timestamp(at)),
            _ => {
                writeln!(out, "Invalid timestamp, aborting...")?;
                return Ok(1);
            }
        },
        _ => {
            let program = argv.first().map_or("redis-check-aof".into(), |program| program.to_string_lossy());
            let options = "[--fix|--truncate-to-timestamp $timestamp]";
            writeln!(out, "Usage: {program} {options} <file.manifest|file.aof>")?;
            return Ok(1);
        }
    };
    let mut check = Check { out, answers, mode, judge: Judge::new(), line: 1, refused: 0 };
    match check.file(file) {
        Ok(()) => Ok(i32::from(check.refused > 0)),
        Err(Stop::Bad) => Ok(1),
        Err(Stop::Output(error)) => Err(error),
    }
}

impl Check<'_> {
    fn file(&mut self, name: &[u8]) -> Result<(), Stop> {
        let path = Path::new(OsStr::from_bytes(name));
        match self.sort(path)? {
            Sort::Manifest => self.multi_part(path),
            Sort::Rdb => self.old_style(path, name, true),
            Sort::Commands => self.old_style(path, name, false),
        }
    }

    fn old_style(&mut self, path: &Path, name: &[u8], preamble: bool) -> Result<(), Stop> {
        writeln!(self.out, "Start checking Old-Style AOF")?;
        let verdict = self.single(name, path, true, preamble)?;
        self.tell("AOF", name, verdict)
    }

    fn multi_part(&mut self, path: &Path) -> Result<(), Stop> {
        writeln!(self.out, "Start checking Multi Part AOF")?;
        let manifest = self.manifest(path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let beside = |file: &aof::File| -> PathBuf { folder.join(OsStr::from_bytes(&file.name)) };
        if let Some(base) = &manifest.base {
            let path = beside(base);
            let preamble = self.sort(&path)? == Sort::Rdb;
            writeln!(self.out, "Start to check BASE AOF ({} format).", if preamble { "RDB" } else { "RESP" })?;
            let verdict = self.single(&base.name, &path, manifest.incr.is_empty(), preamble)?;
            self.tell("BASE AOF", &base.name, verdict)?;
        }
        if !manifest.incr.is_empty() {
            writeln!(self.out, "Start to check INCR files.")?;
        }
        for (i, incr) in manifest.incr.iter().enumerate() {
            let last = i + 1 == manifest.incr.len();
            let verdict = self.single(&incr.name, &beside(incr), last, false)?;
            self.tell("INCR AOF", &incr.name, verdict)?;
        }
        if self.refused == 0 {
            writeln!(self.out, "All AOF files and manifest are valid")?;
        }
        Ok(())
    }

    fn manifest(&mut self, path: &Path) -> Result<Manifest, Stop> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) => return self.fail(format_args!("Cannot open file {}: {}", path.display(), reason(&error))),
        };
        match Manifest::parse(&text) {
            Ok(manifest) => Ok(manifest),
            Err(error) => {
                writeln!(self.out, "\n*** FATAL AOF MANIFEST FILE ERROR ***")?;
                writeln!(self.out, "Reading the manifest file, at line {}", error.line_number)?;
                if let Some(line) = &error.line {
                    writeln!(self.out, ">>> '{}'", shown(line))?;
                }
                self.fail(format_args!("{}", error.what))
            }
        }
    }

    /// What sort of file this is, by its first bytes.
    fn sort(&mut self, path: &Path) -> Result<Sort, Stop> {
        match Sort::of(path) {
            Ok(sort) => Ok(sort),
            Err(error) => self.fail(format_args!("Cannot open file {}: {}", path.display(), reason(&error))),
        }
    }

    fn tell(&mut self, what: &str, name: &[u8], verdict: Verdict) -> Result<(), Stop> {
        let name = shown(name);
        match (verdict, self.mode) {
            (Verdict::Valid, _) => writeln!(self.out, "{what} {name} is valid")?,
            (Verdict::Empty, _) => writeln!(self.out, "{what} {name} is empty")?,
            (Verdict::TimestampTruncated, Mode::Timestamp(at)) => {
                writeln!(self.out, "Successfully truncated AOF {name} to timestamp {at}")?;
            }
            (Verdict::Truncated | Verdict::TimestampTruncated, _) => {
                writeln!(self.out, "Successfully truncated AOF {name}")?;
            }
            (Verdict::Sealed, _) => writeln!(self.out, "Successfully sealed AOF {name} anew")?,
            (Verdict::Refused(count), _) => {
                writeln!(self.out, "{what} {name} is whole, but the server would refuse {count} of its commands")?;
            }
        }
        Ok(())
    }

    /// Says the last line of this run.
    fn fail<T>(&mut self, text: std::fmt::Arguments<'_>) -> Result<T, Stop> {
        writeln!(self.out, "{text}")?;
        Err(Stop::Bad)
    }

    /// Asks on standard input.
    fn consent(&mut self) -> Result<(), Stop> {
        write!(self.out, "Continue? [y/N]: ")?;
        self.out.flush()?;
        let mut answer = [0];
        if self.answers.read_exact(&mut answer).is_ok() && answer[0].eq_ignore_ascii_case(&b'y') {
            return Ok(());
        }
        self.fail(format_args!("Aborting..."))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Manifest,
    /// It begins with an RDB.
    Rdb,
    Commands,
}

impl Sort {
    fn of(path: &Path) -> io::Result<Sort> {
        /// Room for the comments that may stand before a manifest's first line.
        const LOOKED_AT: u64 = 64 * 1024;
        let mut head = Vec::new();
        File::open(path)?.take(LOOKED_AT).read_to_end(&mut head)?;
        let first_line = head.split(|b| *b == b'\n').find(|line| !line.starts_with(b"#")).unwrap_or_default();
        Ok(match &head[..] {
            _ if first_line.starts_with(b"file") => Sort::Manifest,
            [b'R', b'E', b'D', b'I', b'S', _, _, _, ..] => Sort::Rdb,
            _ => Sort::Commands,
        })
    }
}
