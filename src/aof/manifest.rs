//! [`Manifest`]: which files make up the append only file, and in which order.
//!
//! *Duty:* read and write the manifest's text, and the steps it goes through: a new base, a new increment, files that
//! become history. *Does not know:* files; a step here changes nothing on disk, so a caller works on a copy, does its
//! part, writes the copy's text and keeps it.
//! *Invariants:* there is one base at most; the increments' numbers ascend; no new name is one that the manifest has.
//! *Counterpart in C Redis:* `aofManifest`, `aofInfo`, `aofLoadManifestFromFile`.
//!
//! ```text
//! file appendonly.aof.2.base.rdb seq 2 type b       the base: at most one, first
//! file appendonly.aof.1.incr.aof seq 1 type h       history: to be deleted
//! file appendonly.aof.2.incr.aof seq 2 type i       increments, replayed in this order
//! ```

use std::fmt;

use crate::base::{num, quote};

/// The longest line, its end included.
const MAX_LINE: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Base,
    History,
    Incr,
}

impl FileKind {
    fn letter(self) -> u8 {
        match self {
            FileKind::Base => b'b',
            FileKind::History => b'h',
            FileKind::Incr => b'i',
        }
    }
}

/// One line of the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// A plain name, without a folder.
    pub name: Vec<u8>,
    pub seq: i64,
    pub kind: FileKind,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    pub base: Option<File>,
    /// To be deleted; nothing is read from them any more.
    pub history: Vec<File>,
    pub incr: Vec<File>,
    /// The numbers given out last.
    base_seq: i64,
    incr_seq: i64,
}

/// Why a text is no manifest, in the words of 7.0.15.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// Counted from one, comments included.
    pub line_number: usize,
    /// The line itself; none where 7.0.15 shows none.
    pub line: Option<Vec<u8>>,
    pub what: &'static str,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.line {
            Some(line) => write!(f, "{} (line {}: '{}')", self.what, self.line_number, line.escape_ascii()),
            None => f.write_str(self.what),
        }
    }
}

impl std::error::Error for ManifestError {}

const INVALID: &str = "Invalid AOF manifest file format";

impl Manifest {
    pub fn parse(text: &[u8]) -> Result<Manifest, ManifestError> {
        let mut manifest = Manifest::default();
        let mut line_number = 0;
        for line in (Lines { rest: text }) {
            line_number += 1;
            if line.starts_with(b"#") {
                continue;
            }
            if !line.contains(&b'\n') {
                let what = "The AOF manifest file contains too long line";
                return Err(ManifestError { line_number, line: None, what });
            }
            let line = trim(line);
            let added = parse_line(line).and_then(|file| manifest.add(file));
            added.map_err(|what| ManifestError { line_number, line: Some(line.to_vec()), what })?;
        }
        if line_number == 0 {
            return Err(ManifestError { line_number, line: None, what: "Found an empty AOF manifest" });
        }
        Ok(manifest)
    }

    fn add(&mut self, file: File) -> Result<(), &'static str> {
        match file.kind {
            FileKind::Base if self.base.is_some() => return Err("Found duplicate base file information"),
            FileKind::Base => {
                self.base_seq = file.seq;
                self.base = Some(file);
            }
            FileKind::History => self.history.push(file),
            // Before the first increment this is zero, so that numbers below one are refused too.
            FileKind::Incr if file.seq <= self.incr_seq => return Err("Found a non-monotonic sequence number"),
            FileKind::Incr => {
                self.incr_seq = file.seq;
                self.incr.push(file);
            }
        }
        Ok(())
    }

    /// The text of the manifest's file.
    pub fn to_text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for file in self.base.iter().chain(&self.history).chain(&self.incr) {
            out.extend_from_slice(b"file ");
            if needs_quotes(&file.name) {
                quote::repr(&mut out, &file.name);
            } else {
                out.extend_from_slice(&file.name);
            }
            out.extend_from_slice(b" seq ");
            num::write_i64(&mut out, file.seq);
            out.extend_from_slice(b" type ");
            out.extend([file.kind.letter(), b'\n']);
        }
        out
    }

    /// What is read at a start, in this order.
    pub fn to_load(&self) -> impl Iterator<Item = &File> {
        self.base.iter().chain(&self.incr)
    }

    /// Neither a base nor an increment: there is nothing to load.
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.incr.is_empty()
    }

    pub fn last_incr(&self) -> Option<&File> {
        self.incr.last()
    }

    /// Adds a new base, which is an RDB or commands; the one before becomes history. `filename` is `appendfilename`.
    pub fn new_base(&mut self, filename: &str, rdb: bool) -> &File {
        if let Some(before) = self.base.take() {
            self.history.insert(0, File { kind: FileKind::History, ..before });
        }
        let format = if rdb { "rdb" } else { "aof" };
        let (name, seq) = self.free_name(self.base_seq, |seq| format!("{filename}.{seq}.base.{format}"));
        self.base_seq = seq;
        self.base.insert(File { name, seq, kind: FileKind::Base })
    }

    /// Adds a new increment behind the others.
    pub fn new_incr(&mut self, filename: &str) -> &File {
        let (name, seq) = self.free_name(self.incr_seq, |seq| format!("{filename}.{seq}.incr.aof"));
        self.incr_seq = seq;
        self.incr.push(File { name, seq, kind: FileKind::Incr });
        self.incr.last().expect("it was just pushed")
    }

    /// The name with the first number behind `last` that no file of the manifest has: a file of the same name that is
    /// history would take the new one with it when it is deleted.
    fn free_name(&self, last: i64, name: impl Fn(i64) -> String) -> (Vec<u8>, i64) {
        let mut seq = last;
        loop {
            seq = seq.saturating_add(1).max(1);
            let name = name(seq).into_bytes();
            let taken = self.to_load().chain(&self.history).any(|file| file.name == name);
            if !taken || seq == i64::MAX {
                return (name, seq);
            }
        }
    }

    /// Makes the increments history, as a new base holds what they did; all but the last one when that is still being
    /// written.
    pub fn retire_incrs(&mut self, keep_last: bool) {
        let retired = self.incr.len() - usize::from(keep_last && !self.incr.is_empty());
        let retired = self.incr.drain(..retired).map(|file| File { kind: FileKind::History, ..file });
        self.history.splice(0..0, retired);
    }

    /// Takes out what is to be deleted.
    pub fn take_history(&mut self) -> Vec<File> {
        std::mem::take(&mut self.history)
    }

    /// Makes the single file of versions before 7.0 the base; its name has no number.
    pub fn adopt_single_file(&mut self, filename: &str) -> &File {
        self.base_seq = 1;
        self.base.insert(File { name: filename.as_bytes().to_vec(), seq: 1, kind: FileKind::Base })
    }
}

pub fn manifest_name(filename: &str) -> String {
    format!("{filename}.manifest")
}

/// What the manifest is called until it is whole.
pub fn temp_manifest_name(filename: &str) -> String {
    format!("temp-{filename}.manifest")
}

/// What an increment is called until it stands in the manifest.
pub fn temp_incr_name(filename: &str) -> String {
    format!("temp-{filename}.incr")
}

/// The lines with their ends. One that is too long is given out in pieces, as 7.0.15 reads them: behind a comment the
/// second piece is taken for a line of its own.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let window = &self.rest[..self.rest.len().min(MAX_LINE)];
        let len = window.iter().position(|&b| b == b'\n').map_or(window.len(), |i| i + 1);
        let (line, rest) = self.rest.split_at(len);
        self.rest = rest;
        Some(up_to_zero(line))
    }
}

/// Quirk: 7.0.15 sees the texts as C strings, which a zero byte ends.
fn up_to_zero(text: &[u8]) -> &[u8] {
    &text[..text.iter().position(|&b| b == 0).unwrap_or(text.len())]
}

fn trim(mut line: &[u8]) -> &[u8] {
    let is_blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
    while let [first, rest @ ..] = line
        && is_blank(first)
    {
        line = rest;
    }
    while let [rest @ .., last] = line
        && is_blank(last)
    {
        line = rest;
    }
    line
}

/// One line: pairs of a word and its value, of which unknown ones are skipped and the last one of a kind holds.
fn parse_line(line: &[u8]) -> Result<File, &'static str> {
    let args = quote::split_args(line).ok_or(INVALID)?;
    if args.len() < 6 || args.len() % 2 == 1 {
        return Err(INVALID);
    }
    let (mut name, mut seq, mut letter) = (None, 0, 0);
    for pair in args.chunks_exact(2) {
        let (word, value) = (up_to_zero(&pair[0]), up_to_zero(&pair[1]));
        if word.eq_ignore_ascii_case(b"file") {
            if value.iter().any(|b| matches!(b, b'/' | b'\\')) {
                return Err("File can't be a path, just a filename");
            }
            name = Some(value.to_vec());
        } else if word.eq_ignore_ascii_case(b"seq") {
            seq = leading_number(value);
        } else if word.eq_ignore_ascii_case(b"type") {
            letter = value.first().copied().unwrap_or(0);
        }
    }
    let (Some(name), true, true) = (name, seq != 0, letter != 0) else {
        return Err(INVALID);
    };
    let kind = match letter {
        b'b' => FileKind::Base,
        b'h' => FileKind::History,
        b'i' => FileKind::Incr,
        _ => return Err("Unknown AOF file type"),
    };
    Ok(File { name, seq, kind })
}

/// The number that `text` begins with, as C's `atoll` has it: zero if there is none.
fn leading_number(text: &[u8]) -> i64 {
    let blanks = text.iter().take_while(|b| **b == b' ' || (9..=13).contains(*b)).count();
    let (negative, digits) = match &text[blanks..] {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut value = 0i64;
    for digit in digits.iter().take_while(|b| b.is_ascii_digit()) {
        let digit = i64::from(digit - b'0');
        let digit = if negative { -digit } else { digit };
        value = value.saturating_mul(10).saturating_add(digit);
    }
    value
}

/// More than 7.0.15 quotes: it writes a single quote as it is, and cannot read that line again.
fn needs_quotes(name: &[u8]) -> bool {
    name.is_empty() || name.iter().any(|b| !b.is_ascii_graphic() || matches!(b, b'\\' | b'"' | b'\''))
}

#[cfg(test)]
mod tests;
