//! One file of an AOF: what is in it, what is wrong, and the cut.
//!
//! *Duty:* the order of the checks (checksums, RDB, commands), the verdict, and with the user's consent the cut and the
//! new checksums. *Does not know:* the other files; whether this is the last one is an argument.
//! *Invariants:* a cut goes between commands and never into a MULTI; what is cut off lies in a file of its own before
//! the cut is made; the checksums fit the file again before the program says that it was successful.
//! *Counterpart in C Redis:* `checkSingleAof`, `processAnnotations`.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::scan::{Command, Event, Scan, leading_number};
use super::seal::{self, Seal};
use super::{Check, Mode, Stop, Verdict};
use crate::aof::sums::{Damage, Sealed};
use crate::sys::{clock, files};
use crate::tools::check_dump::{self, Extra};
use crate::tools::{reason, shown};

/// Of commands that are refused, and of those among damaged bytes, so many are shown.
const SHOWN: usize = 10;

/// The file that is being checked.
struct Subject<'n> {
    name: String,
    path: &'n Path,
    file: File,
    size: u64,
    last: bool,
    seal: Seal,
}

/// What the walk over the commands has found.
struct Walk {
    /// Up to where all is well.
    sound: u64,
    /// Where a later timestamp stands.
    later: Option<u64>,
    refused: u64,
    /// Commands behind `sound`, as far as they can be told.
    lost: u64,
}

impl Check<'_> {
    /// Checks the file `path`, which messages call `name`.
    pub(super) fn single(&mut self, name: &[u8], path: &Path, last: bool, preamble: bool) -> Result<Verdict, Stop> {
        let mut subject = self.open(name, path, last, preamble)?;
        if subject.size == 0 && !matches!(subject.seal, Seal::Intact(Sealed::Lost { .. })) {
            return Ok(Verdict::Empty);
        }
        let begin = if preamble { self.preamble(&mut subject, name)? } else { 0 };
        let walk = self.walk(&mut subject, begin)?;
        if let (Some(at), Mode::Timestamp(timestamp)) = (walk.later, self.mode) {
            return self.truncate_to(&mut subject, at, timestamp);
        }
        let diff = subject.size - walk.sound;
        if let (0, Mode::Timestamp(timestamp)) = (diff, self.mode) {
            writeln!(self.out, "Truncate nothing in AOF {} to timestamp {timestamp}", subject.name)?;
        } else {
            let Subject { name, size, .. } = &subject;
            let Walk { sound, .. } = walk;
            let line = self.line;
            writeln!(
                self.out,
                "AOF analyzed: filename={name}, size={size}, ok_up_to={sound}, ok_up_to_line={line}, diff={diff}"
            )?;
        }
        if diff > 0 {
            return self.cut(&mut subject, &walk);
        }
        self.refused += walk.refused;
        self.whole(&mut subject, &walk)
    }

    fn open<'n>(&mut self, name: &[u8], path: &'n Path, last: bool, preamble: bool) -> Result<Subject<'n>, Stop> {
        let write = self.mode != Mode::Check;
        let opened = OpenOptions::new().read(true).write(write).open(path).and_then(|file| {
            let size = file.metadata()?.len();
            Ok((file, size))
        });
        let (mut file, size) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                return self.fail(format_args!("Cannot open file {}: {}, aborting...", path.display(), reason(&error)));
            }
        };
        // As in the server: a snapshot has a checksum of its own.
        let inspected = if preamble { Ok(Seal::Absent) } else { seal::inspect(path, &mut file) };
        let seal = match inspected {
            Ok(seal) => seal,
            Err(error) => return self.unreadable(&shown(name), &error),
        };
        Ok(Subject { name: shown(name), path, file, size, last, seal })
    }

    fn unreadable<T>(&mut self, name: &str, error: &io::Error) -> Result<T, Stop> {
        self.fail(format_args!("Failed to read from AOF {name}: {}, aborting...", reason(error)))
    }

    /// Checks the RDB at the file's beginning; returns where it ends.
    fn preamble(&mut self, subject: &mut Subject<'_>, name: &[u8]) -> Result<u64, Stop> {
        if let Err(error) = subject.file.seek(SeekFrom::Start(0)) {
            return self.unreadable(&subject.name, &error);
        }
        let checked = check_dump::examine(&subject.file, Some(subject.size), name, Extra::default(), self.out)?;
        let Some(end) = checked else {
            return self.fail(format_args!("RDB preamble of AOF file is not sane, aborting."));
        };
        writeln!(self.out, "RDB preamble is OK, proceeding with AOF tail...")?;
        Ok(end)
    }

    /// Walks over the commands, and says what is wrong with them.
    fn walk(&mut self, subject: &mut Subject<'_>, begin: u64) -> Result<Walk, Stop> {
        if let Err(error) = subject.file.seek(SeekFrom::Start(begin)) {
            return self.unreadable(&subject.name, &error);
        }
        let path = subject.path.display().to_string();
        let mut scan = Scan::new(&subject.file, begin, self.line, path);
        let trusted = subject.seal.trusted();
        let mut walk = Walk { sound: begin, later: None, refused: 0, lost: 0 };
        let (mut there, mut line) = (Vec::new(), self.line);
        let end = loop {
            let event = match scan.next() {
                Ok(event) => event,
                Err(error) => return self.unreadable(&subject.name, &error),
            };
            if scan.sound <= trusted && scan.sound != walk.sound {
                (walk.sound, walk.lost) = (scan.sound, 0);
                line = scan.sound_line;
            }
            match event {
                Event::Command(command) => {
                    walk.lost += 1;
                    if let Seal::Damaged(Damage { from, to }) = subject.seal
                        && (from..to).contains(&command.at)
                    {
                        there.push(command);
                        there.truncate(SHOWN + 1);
                    } else if let Some(why) = self.judge.refusal(&command) {
                        walk.refused += 1;
                        self.warn_of_refusal(subject, &command, &why, walk.refused)?;
                    }
                }
                Event::Annotation { at, line } if self.is_later(&line)? => {
                    walk.later = Some(at);
                    return Ok(walk);
                }
                Event::Annotation { .. } => {}
                end => break end,
            }
        };
        self.line = if scan.sound <= trusted { scan.line } else { line };
        let error = scan.error.take();
        if end == Event::BadFormat {
            writeln!(self.out, "AOF {} format error", subject.name)?;
        }
        if let Some(error) = error {
            writeln!(self.out, "{error}")?;
        }
        if matches!(subject.seal, Seal::Damaged(_)) {
            self.tell_damage(subject)?;
            self.tell_commands(&there)?;
        }
        Ok(walk)
    }

    fn warn_of_refusal(&mut self, subject: &Subject<'_>, it: &Command, why: &str, count: u64) -> Result<(), Stop> {
        let name = &subject.name;
        match count.cmp(&(SHOWN as u64 + 1)) {
            std::cmp::Ordering::Less => {
                writeln!(self.out, "Warning: the server would refuse to load AOF {name} at byte {}: {why}", it.at)?;
            }
            std::cmp::Ordering::Equal => writeln!(self.out, "Warning: there are more such commands in AOF {name}")?,
            std::cmp::Ordering::Greater => {}
        }
        Ok(())
    }

    /// Is this annotation a time behind the one that the user gave?
    fn is_later(&mut self, line: &[u8]) -> Result<bool, Stop> {
        let (Mode::Timestamp(limit), Some(rest)) = (self.mode, line.strip_prefix(b"#TS:")) else {
            return Ok(false);
        };
        let (at, used) = leading_number(rest);
        if rest.get(used) != Some(&b'\r') {
            return self.fail(format_args!("Invalid timestamp annotation"));
        }
        Ok(at > limit)
    }

    fn tell_damage(&mut self, subject: &Subject<'_>) -> Result<(), Stop> {
        if let Seal::Damaged(damage) = &subject.seal {
            writeln!(self.out, "0x{:16x}: In AOF {} {damage}", damage.from, subject.name)?;
        }
        Ok(())
    }

    fn tell_commands(&mut self, there: &[Command]) -> Result<(), Stop> {
        if there.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "The commands that begin there now:")?;
        for command in there.iter().take(SHOWN) {
            let first = command.first.as_deref().map(|first| format!(" {}", shown(first))).unwrap_or_default();
            let (name, more) = (shown(&command.name), if command.argc > 2 { " ..." } else { "" });
            let why = self.judge.refusal(command).map(|why| format!("   ({why})")).unwrap_or_default();
            writeln!(self.out, "  byte {}: {name}{first}{more}{why}", command.at)?;
        }
        if there.len() > SHOWN {
            writeln!(self.out, "  and others")?;
        }
        Ok(())
    }

    /// A file whose commands are all there: what remains are its checksums.
    fn whole(&mut self, subject: &mut Subject<'_>, walk: &Walk) -> Result<Verdict, Stop> {
        let name = subject.name.clone();
        match &subject.seal {
            Seal::Intact(Sealed::UpTo(sound)) => {
                let rest = subject.size - sound;
                writeln!(self.out, "Checksums of AOF {name} are right; its last {rest} bytes have none yet")?;
            }
            Seal::Intact(Sealed::Whole) => writeln!(self.out, "Checksums of AOF {name} are right")?,
            Seal::Intact(Sealed::Lost { written, .. }) => {
                let (missing, written) = (written - subject.size, *written);
                writeln!(self.out, "AOF {name} was written up to byte {written}: {missing} bytes are lost at its end")?;
                return self.seal_anew(subject);
            }
            Seal::Unusable(error) => {
                let beside = seal::beside(subject.path);
                writeln!(self.out, "{} is no file of checksums: {error}", beside.display())?;
                return self.seal_anew(subject);
            }
            Seal::Absent | Seal::Damaged(_) => {}
        }
        Ok(if walk.refused > 0 { Verdict::Refused(walk.refused) } else { Verdict::Valid })
    }

    /// The file stays as it is, and is held to be right from now on, if the user says so.
    fn seal_anew(&mut self, subject: &mut Subject<'_>) -> Result<Verdict, Stop> {
        if self.mode != Mode::Fix {
            return self.invalid(&subject.name);
        }
        writeln!(self.out, "This will keep AOF {} as it is and make its checksums anew", subject.name)?;
        self.consent()?;
        self.renew(subject, subject.size)?;
        Ok(Verdict::Sealed)
    }

    fn invalid<T>(&mut self, name: &str) -> Result<T, Stop> {
        self.fail(format_args!("AOF {name} is not valid. Use the --fix option to try fixing it."))
    }

    /// The file is good up to `walk.sound`: says so, or cuts it there.
    fn cut(&mut self, subject: &mut Subject<'_>, walk: &Walk) -> Result<Verdict, Stop> {
        let (name, size, sound) = (subject.name.clone(), subject.size, walk.sound);
        if self.mode != Mode::Fix {
            return self.invalid(&name);
        }
        if !subject.last {
            return self.fail(format_args!("Failed to truncate AOF {name} because it is not the last file"));
        }
        let diff = size - sound;
        writeln!(self.out, "This will shrink the AOF {name} from {size} bytes, with {diff} bytes, to {sound} bytes")?;
        if walk.lost > 0 {
            writeln!(self.out, "The bytes that go begin with {} commands that can be read", walk.lost)?;
        }
        self.consent()?;
        self.shrink(subject, sound, format_args!("Failed to truncate AOF {name}"))?;
        Ok(Verdict::Truncated)
    }

    fn truncate_to(&mut self, subject: &mut Subject<'_>, at: u64, timestamp: i64) -> Result<Verdict, Stop> {
        let (name, path) = (subject.name.clone(), subject.path.display());
        if at == 0 {
            return self.fail(format_args!("AOF {path} has nothing before timestamp {timestamp}, aborting..."));
        }
        let failed = format!("Failed to truncate AOF {path} to timestamp {timestamp}");
        if !subject.last {
            writeln!(self.out, "{failed} to offset {at} because it is not the last file.")?;
            return self.fail(format_args!(
                "If you insist, please delete all files after this file according to the manifest file and delete the \
                 corresponding records in manifest file manually. Then re-run redis-check-aof."
            ));
        }
        if subject.seal.trusted() < at {
            self.tell_damage(subject)?;
            return self.invalid(&name);
        }
        self.shrink(subject, at, format_args!("{failed}"))?;
        Ok(Verdict::TimestampTruncated)
    }

    /// Cuts the file, what is cut off being kept, and makes its checksums fit.
    fn shrink(&mut self, subject: &mut Subject<'_>, len: u64, failed: std::fmt::Arguments<'_>) -> Result<(), Stop> {
        match keep_tail(subject.path, &mut subject.file, len) {
            Ok(kept) => writeln!(self.out, "What is cut off is kept in {}", kept.display())?,
            Err(error) => {
                return self.fail(format_args!("{failed}: what is cut off cannot be kept: {}", reason(&error)));
            }
        }
        if let Err(error) = subject.file.set_len(len).and_then(|()| subject.file.sync_all()) {
            return self.fail(format_args!("{failed}: {}", reason(&error)));
        }
        self.renew(subject, len)
    }

    fn renew(&mut self, subject: &mut Subject<'_>, len: u64) -> Result<(), Stop> {
        if subject.seal == Seal::Absent {
            return Ok(());
        }
        match seal::renew(subject.path, &mut subject.file, len) {
            Ok(()) => Ok(()),
            Err(error) => {
                let beside = seal::beside(subject.path);
                self.fail(format_args!("Cannot write the checksums {}: {}", beside.display(), reason(&error)))
            }
        }
    }
}

/// Copies what stands behind `from` to a new file beside, named as the server names what it cuts off; returns its name.
fn keep_tail(path: &Path, file: &mut File, from: u64) -> io::Result<PathBuf> {
    let (mut number, seconds) = (0, clock::wall_us() / 1_000_000);
    let (kept, mut copy) = loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".cut-{from}-{seconds}"));
        if number > 0 {
            name.push(format!(".{number}"));
        }
        let kept = PathBuf::from(name);
        match files::create_new_private(&kept) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            other => break (kept, other?),
        }
    };
    file.seek(SeekFrom::Start(from))?;
    let copied = io::copy(file, &mut copy)
        .and_then(|_| copy.sync_all())
        .and_then(|()| files::fsync_dir(files::folder_of(&kept)));
    if let Err(error) = copied {
        // A part of it is of no use; the first error is what matters.
        let _ = std::fs::remove_file(&kept);
        return Err(error);
    }
    Ok(kept)
}
