//! redis-check-dump, which is redis-check-rdb by its older name: is this snapshot whole?
//!
//! *Duty:* the lines of redis-check-rdb, so that what reads them goes on working, and beyond them a summary by type
//! and by database, and with `--keys` a line for each key. Started as redis-check-dump it ends with the line of that
//! program, which counted opcodes.
//! *Does not know:* the format ([`rdb`] reads it). *Invariants:* the file is only read. Whatever is wrong, a file that
//! cannot be opened and a wrong argument included, ends in exit code 1.
//! *Counterpart in C Redis:* `redis-check-rdb.c`; up to 3.0 `redis-check-dump.c`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::shown;
use crate::base::millis::Millis;
use crate::rdb::{self, Checked, Checksum, Failure, Key, Note, Passed, RdbErrorKind, ReadOptions};
use crate::sys::clock;

/// What is told beside the lines that 7.0.15 has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extra {
    pub summary: bool,
    pub keys: bool,
    /// The last lines of redis-check-dump.
    pub opcodes: bool,
}

/// The whole program.
pub fn run(argv: &[OsString], version: &str, out: &mut dyn Write) -> io::Result<i32> {
    let program = argv.first().map_or(OsStr::new("redis-check-rdb"), OsString::as_os_str);
    let args: Vec<&[u8]> = argv.iter().skip(1).map(|arg| arg.as_bytes()).collect();
    let (file, keys) = match args[..] {
        [b"-v" | b"--version"] => {
            writeln!(out, "redis-check-rdb {version}")?;
            return Ok(0);
        }
        [b"--keys", file] | [file, b"--keys"] => (file, true),
        [file] if file != b"--keys" => (file, false),
        _ => {
            eprintln!("Usage: {} <rdb-file-name>", program.display());
            eprintln!("       {} --keys <rdb-file-name>   (a line for each key)", program.display());
            return Ok(1);
        }
    };
    let opcodes = Path::new(program).file_name().is_some_and(|name| contains(name.as_bytes(), b"check-dump"));
    let extra = Extra { summary: true, keys, opcodes };
    let good = match open(Path::new(OsStr::from_bytes(file))) {
        Ok((input, size)) => examine(input, size, file, extra, out)?.is_some(),
        Err(error) => {
            writeln!(out, "[offset 0] Checking RDB file {}", shown(file))?;
            eprintln!("Cannot open file {}: {}", shown(file), super::reason(&error));
            false
        }
    };
    Ok(i32::from(!good))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// A file, and its size if it has one.
fn open(path: &Path) -> io::Result<(File, Option<u64>)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata.is_file().then_some(metadata.len())))
}

/// Checks `input`, of which `size` bytes can come, and says what it finds. Answers where the data ended, if it is good.
pub(super) fn examine(
    input: impl Read,
    size: Option<u64>,
    name: &[u8],
    extra: Extra,
    out: &mut dyn Write,
) -> io::Result<Option<u64>> {
    writeln!(out, "[offset 0] Checking RDB file {}", shown(name))?;
    let options = ReadOptions { limit: size, ..ReadOptions::default() };
    let now = Millis(clock::wall_us() / 1000);
    let mut report = Report { out, written: Ok(()), extra, totals: Totals::default(), checksum: None };
    let checked = rdb::check(input, options, now, |offset, passed| report.take(offset, passed));
    let Report { out, written, totals, checksum, .. } = report;
    written?;
    match checked {
        Ok(checked) => {
            writeln!(out, "[offset {}] \\o/ RDB looks OK! \\o/", checked.end)?;
            generic_info(&checked, checked.keys, out)?;
            if extra.summary {
                summary(&checked, &totals, size, out)?;
            }
            if extra.opcodes {
                let sum = if checksum == Some(Checksum::Verified) { CHECKSUM_BYTES } else { 0 };
                let bytes = checked.end.saturating_sub(HEADER_BYTES + sum);
                centered(&format!("Processed {} valid opcodes (in {bytes} bytes)", checked.items), out)?;
                if sum > 0 {
                    writeln!(out, "CRC64 checksum is OK")?;
                }
            }
            Ok(Some(checked.end))
        }
        Err(failure) => {
            complain(&failure, out)?;
            if extra.opcodes {
                let bytes = failure.error.offset.saturating_sub(HEADER_BYTES);
                centered(&format!("Processed {} valid opcodes (in {bytes} bytes)", failure.checked.items), out)?;
                writeln!(out, "\nTotal unprocessable opcodes: 1")?;
            }
            Ok(None)
        }
    }
}

const HEADER_BYTES: u64 = 9;
const CHECKSUM_BYTES: u64 = 8;

/// What is told while the file is read, and what is kept of it for the end.
struct Report<'o> {
    out: &'o mut dyn Write,
    /// The first failure of `out`.
    written: io::Result<()>,
    extra: Extra,
    totals: Totals,
    checksum: Option<Checksum>,
}

impl Report<'_> {
    fn take(&mut self, offset: u64, passed: Passed<'_>) {
        let line = match passed {
            Passed::Key(key) => {
                if self.extra.summary {
                    self.totals.add(&key);
                }
                self.extra.keys.then(|| key_line(&key))
            }
            Passed::Note(note) => {
                if let Note::Checksum(checksum) = note {
                    self.checksum = Some(checksum);
                }
                note_line(&note).map(|text| format!("[offset {offset}] {text}"))
            }
        };
        if let (Some(line), true) = (line, self.written.is_ok()) {
            self.written = writeln!(self.out, "{line}");
        }
    }
}

fn note_line(note: &Note) -> Option<String> {
    Some(match note {
        Note::Aux { name, value } => format!("AUX FIELD {} = '{}'", shown(name), shown(value)),
        Note::SelectDb(id) => format!("Selecting DB ID {id}"),
        Note::ModuleAux { module } => format!("MODULE AUX for: {}", shown(module)),
        Note::EmptyKey { key } => format!("Key '{}' has no elements: it is not loaded", shown(key)),
        Note::Checksum(Checksum::Verified) => "Checksum OK".to_owned(),
        Note::Checksum(Checksum::NotWritten) => {
            "RDB file was saved with checksum disabled: no check performed.".to_owned()
        }
        Note::Checksum(Checksum::NotCompared | Checksum::NotInThisVersion) => return None,
    })
}

/// The key comes last, since it may hold anything.
fn key_line(key: &Key<'_>) -> String {
    let expire = key.expire.map_or("none".to_owned(), |at| at.0.to_string());
    format!(
        "[key] db={} offset={} bytes={} type={} stored={} elements={} expire={expire} key={}",
        key.db,
        key.offset,
        key.bytes,
        key.of,
        stored(key.code),
        key.elements,
        shown(key.name)
    )
}

fn stored(code: u8) -> &'static str {
    rdb::type_name(code).unwrap_or("unknown")
}

fn generic_info(checked: &Checked, keys: u64, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "[info] {keys} keys read")?;
    writeln!(out, "[info] {} expires", checked.expires)?;
    writeln!(out, "[info] {} already expired", checked.already_expired)
}

/// What is wrong, in the frame and, where it had words for it, in the words of redis-check-rdb.
fn complain(failure: &Failure, out: &mut dyn Write) -> io::Result<()> {
    let kind = &failure.error.kind;
    let known = match kind {
        RdbErrorKind::BadSignature(_) => Some("Wrong signature trying to load DB from file".to_owned()),
        RdbErrorKind::UnsupportedVersion(version) => Some(format!("Can't handle RDB format version {version}")),
        RdbErrorKind::ShortRead => Some("Unexpected EOF reading RDB file".to_owned()),
        RdbErrorKind::WrongChecksum { .. } => Some("RDB CRC error".to_owned()),
        RdbErrorKind::UnknownOpcode(code) => Some(format!("Invalid object type: {code}")),
        _ => None,
    };
    writeln!(out, "--- RDB ERROR DETECTED ---")?;
    writeln!(out, "[offset {}] {}", failure.error.offset, known.clone().unwrap_or_else(|| kind.to_string()))?;
    writeln!(out, "[additional info] While doing: {}", failure.doing.name())?;
    if let Some(key) = &failure.key {
        writeln!(out, "[additional info] Reading key '{}'", shown(key))?;
    }
    if let Some(code) = failure.code {
        writeln!(out, "[additional info] Reading type {code} ({})", stored(code))?;
    }
    if known.is_some() {
        writeln!(out, "[additional info] Which means: {kind}")?;
    }
    // The damaged key has been read too.
    generic_info(&failure.checked, failure.checked.keys + u64::from(failure.key.is_some()), out)
}

/// One type, or one database.
#[derive(Clone, Debug, Default)]
struct Total {
    keys: u64,
    expires: u64,
    elements: u64,
    bytes: u64,
    largest: (u64, Vec<u8>),
}

#[derive(Default)]
struct Totals {
    types: BTreeMap<&'static str, Total>,
    databases: BTreeMap<u64, Total>,
}

impl Totals {
    fn add(&mut self, key: &Key<'_>) {
        self.types.entry(key.of).or_default().add(key);
        self.databases.entry(key.db).or_default().add(key);
    }
}

impl Total {
    fn add(&mut self, key: &Key<'_>) {
        self.keys += 1;
        self.expires += u64::from(key.expire.is_some());
        self.elements += key.elements;
        self.bytes += key.bytes;
        if key.bytes > self.largest.0 {
            self.largest.0 = key.bytes;
            self.largest.1.clear();
            self.largest.1.extend_from_slice(key.name);
        }
    }
}

fn summary(checked: &Checked, totals: &Totals, size: Option<u64>, out: &mut dyn Write) -> io::Result<()> {
    for (id, total) in &totals.databases {
        let Total { keys, expires, bytes, .. } = total;
        writeln!(out, "[summary] DB {id}: {keys} keys, {expires} expires, {bytes} bytes")?;
    }
    for (name, total) in &totals.types {
        let Total { keys, elements, bytes, largest, .. } = total;
        let counted = match *name {
            "string" => format!("{elements} bytes of text"),
            "module" => "not looked into".to_owned(),
            _ => format!("{elements} elements"),
        };
        let (most, key) = (largest.0, shown(&largest.1));
        writeln!(out, "[summary] {name}: {keys} keys, {counted}, {bytes} bytes, largest {most} bytes: '{key}'")?;
    }
    if checked.functions > 0 {
        writeln!(out, "[summary] {} function libraries", checked.functions)?;
    }
    if checked.empty > 0 {
        writeln!(out, "[summary] {} keys without elements, which are not loaded", checked.empty)?;
    }
    match size {
        Some(size) if size > checked.end => {
            writeln!(out, "[summary] {} bytes follow the end of the RDB data", size - checked.end)
        }
        _ => Ok(()),
    }
}

/// A line of redis-check-dump: a title in a rule of 80 columns.
fn centered(title: &str, out: &mut dyn Write) -> io::Result<()> {
    const LEFT: usize = 4;
    const BETWEEN: usize = 74;
    writeln!(out, "{} {title} {}", "=".repeat(LEFT), "=".repeat(BETWEEN.saturating_sub(title.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::crc64;

    fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
        let sum = crc64::update(0, &bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    fn say(bytes: &[u8], extra: Extra) -> (Option<u64>, String) {
        let mut out = Vec::new();
        let end = examine(bytes, Some(bytes.len() as u64), b"dump.rdb", extra, &mut out).unwrap();
        (end, String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_good_file_is_told_in_the_old_lines() {
        let bytes = seal(b"REDIS0009\xfa\x04name\x05value\xfe\x03\0\x03key\x05value\xff".to_vec());
        let old = "[offset 0] Checking RDB file dump.rdb\n\
                   [offset 21] AUX FIELD name = 'value'\n\
                   [offset 23] Selecting DB ID 3\n\
                   [offset 43] Checksum OK\n\
                   [offset 43] \\o/ RDB looks OK! \\o/\n\
                   [info] 1 keys read\n\
                   [info] 0 expires\n\
                   [info] 0 already expired\n";
        assert_eq!(say(&bytes, Extra::default()), (Some(43), old.to_owned()));
        let (_, all) = say(&bytes, Extra { summary: true, keys: true, opcodes: true });
        assert!(
            all.contains("[key] db=3 offset=23 bytes=11 type=string stored=string elements=5 expire=none key=key\n")
        );
        assert!(all.contains("[summary] DB 3: 1 keys, 0 expires, 11 bytes\n"), "{all}");
        assert!(
            all.contains("[summary] string: 1 keys, 5 bytes of text, 11 bytes, largest 11 bytes: 'key'\n"),
            "{all}"
        );
        let line = all.lines().rev().nth(1).unwrap();
        assert!(line.starts_with("==== Processed 4 valid opcodes (in 26 bytes) ====") && line.len() == 80, "{line}");
        assert!(all.ends_with("CRC64 checksum is OK\n"));
    }

    #[test]
    fn damage_is_told_with_its_place_key_and_type() {
        let (end, text) = say(b"REDIS0009\xfe\0\x01\x03key\x02\x01a\x05", Extra::default());
        let block = "--- RDB ERROR DETECTED ---\n\
                     [offset 20] Unexpected EOF reading RDB file\n\
                     [additional info] While doing: read-object-value\n\
                     [additional info] Reading key 'key'\n\
                     [additional info] Reading type 1 (list-linked)\n\
                     [additional info] Which means: the data ends too early\n\
                     [info] 1 keys read\n";
        assert_eq!(end, None);
        assert!(text.contains(block), "{text}");
        for (bytes, words) in [
            (&b"RODIS0009"[..], "Wrong signature trying to load DB from file"),
            (b"REDIS0099", "Can't handle RDB format version 99"),
            (b"REDIS0009\x1a\x01k", "Invalid object type: 26"),
            (b"REDIS0009\xff\x01\x02\x03\x04\x05\x06\x07\x08", "RDB CRC error"),
        ] {
            let (end, text) = say(bytes, Extra::default());
            assert!(end.is_none() && text.contains(&format!("] {words}\n")), "{text}");
        }
    }

    #[test]
    fn bytes_behind_the_end_are_told_and_no_damage() {
        let bytes = [seal(b"REDIS0009\xff".to_vec()), b"*1\r\n".to_vec()].concat();
        let (end, text) = say(&bytes, Extra { summary: true, ..Extra::default() });
        assert_eq!(end, Some(18));
        assert!(text.contains("[summary] 4 bytes follow the end of the RDB data"), "{text}");
    }
}
