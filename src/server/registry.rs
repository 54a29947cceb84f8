//! [`Registry`]: all commands as they are registered: data and server rows in one table, found by name.
//!
//! *Duty:* lookup, renames, subcommands, and the statistics of each row. *Does not know:* how a row is run.
//! *Counterpart in C Redis:* `server.commands`, `lookupCommand`, `redisCommand.calls`.
//!
//! Lookup takes the first eight bytes of a name as one word in lower case: with the length it gives the place in a
//! table of a few KiB in which most names stand alone, and it is what is compared there. What a name has beyond these
//! bytes is compared as text.

use crate::base::histogram::Histogram;
use crate::call::Args;
use crate::call::args::word_of;
use crate::command::FAMILIES;
use crate::command::spec::{DataHandler, Spec, WRITE};
use crate::server::commands::{SERVER_FAMILIES, ServerHandler};
use crate::sys::clock::ticks_to_ns;

/// Index of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowId(pub u16);

#[derive(Clone, Copy)]
pub enum Run {
    Data(DataHandler),
    Server(ServerHandler),
}

/// A registered command or subcommand.
pub struct Row {
    pub spec: &'static Spec,
    pub run: Run,
    /// The name under which clients call it: lower case, without the container. Changed by `set_name` only.
    pub name: Vec<u8>,
    /// Its first bytes, see [`word_of`].
    word: u64,
    pub container: Option<RowId>,
    pub subcommands: Vec<RowId>,
    pub stats: RowStats,
    /// How long calls took, in ticks; none while no call was tracked.
    pub durations: Option<Box<Histogram>>,
    /// First and last argument that is a key, and the step between keys; zeros when there is none at a fixed place.
    pub key_range: (i64, i64, i64),
}

impl Row {
    /// Whether an append only file may hold it: what changes data, and what says where and together with what. The
    /// replay refuses all others.
    pub fn belongs_in_aof(&self) -> bool {
        let frames = ["select", "multi", "exec", "discard"].contains(&self.spec.name);
        let scripts = ["eval", "evalsha", "script|load"].contains(&self.spec.name);
        frames || scripts || matches!(self.run, Run::Data(_)) || self.spec.flags.has(WRITE)
    }

    fn set_name(&mut self, name: &[u8]) {
        self.name = name.to_ascii_lowercase();
        self.word = word_of(&self.name);
    }

    /// Whether a name of the same length is the same behind the word.
    #[inline]
    fn ends_like(&self, name: &[u8]) -> bool {
        name.len() <= WORD || self.name[WORD..].eq_ignore_ascii_case(&name[WORD..])
    }

    /// How long calls took, as it is reported.
    pub fn latencies(&self) -> Option<Histogram> {
        Some(self.durations.as_ref()?.in_ns(ticks_to_ns))
    }
}

/// INFO commandstats of one row. Time in ticks of the time-stamp counter.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowStats {
    pub calls: u64,
    pub ticks: u64,
    pub rejected: u64,
    pub failed: u64,
}

pub struct Registry {
    rows: Vec<Row>,
    /// Open addressing over top-level names; 0 is free, else row + 1.
    index: Box<[u16; INDEX_SIZE]>,
}

const INDEX_SIZE: usize = 2048;

/// Why a name leads to no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    Command,
    Subcommand(RowId),
}

/// How many bytes of a name are in its word.
const WORD: usize = 8;

/// Eight ASCII letters at once. Other bytes stay what they are.
#[inline]
fn lower_case(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    let low = word & !HIGH;
    // The high bit of a byte of these says: from 'A' on, behind 'Z'.
    let from_a = low + EACH * (0x80 - b'A' as u64);
    let behind_z = low + EACH * (0x7f - b'Z' as u64);
    word | (from_a & !behind_z & !word & HIGH) >> 2
}

#[inline]
fn place(word: u64, len: usize) -> usize {
    ((word ^ len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53) as usize
}

impl Registry {
    pub fn new() -> Registry {
        let mut registry = Registry { rows: Vec::new(), index: Box::new([0; INDEX_SIZE]) };
        for command in FAMILIES.iter().copied().flatten() {
            registry.register(&command.spec, Run::Data(command.run));
        }
        for command in SERVER_FAMILIES.iter().copied().flatten() {
            registry.register(&command.spec, Run::Server(command.run));
        }
        registry.adopt_subcommands();
        registry.rebuild_index();
        registry
    }

    fn register(&mut self, spec: &'static Spec, run: Run) {
        self.rows.push(Row {
            spec,
            run,
            name: spec.short_name().as_bytes().to_vec(),
            word: word_of(spec.short_name().as_bytes()),
            container: None,
            subcommands: Vec::new(),
            stats: RowStats::default(),
            durations: None,
            key_range: spec.key_range(false),
        });
    }

    fn adopt_subcommands(&mut self) {
        for i in 0..self.rows.len() {
            let Some((container, _)) = self.rows[i].spec.name.split_once('|') else {
                continue;
            };
            let parent = self.rows.iter().position(|r| r.spec.name == container);
            let parent = parent.expect("a subcommand's container is a row");
            self.rows[parent].subcommands.push(RowId(i as u16));
            self.rows[i].container = Some(RowId(parent as u16));
        }
    }

    fn rebuild_index(&mut self) {
        self.index.fill(0);
        for i in 0..self.rows.len() {
            let row = &self.rows[i];
            if row.container.is_some() || row.name.is_empty() {
                continue;
            }
            let mut at = place(row.word, row.name.len());
            while self.index[at] != 0 {
                at = (at + 1) % INDEX_SIZE;
            }
            self.index[at] = i as u16 + 1;
        }
    }

    /// Renames a top-level command; an empty new name hides it. `false`: there is no such command, or the new name
    /// is taken.
    pub fn rename(&mut self, old: &[u8], new: &[u8]) -> bool {
        let Some(id) = self.command(old) else { return false };
        if !new.is_empty() && self.command(new).is_some() {
            return false;
        }
        self.row_mut(id).set_name(new);
        self.rebuild_index();
        true
    }

    /// The top-level command of this name.
    pub fn command(&self, name: &[u8]) -> Option<RowId> {
        self.at_word(lower_case(word_of(name)), name)
    }

    /// The top-level command of this name, which begins with `word` in lower case.
    #[inline(always)]
    fn at_word(&self, word: u64, name: &[u8]) -> Option<RowId> {
        let mut at = place(word, name.len());
        loop {
            let entry = self.index[at];
            if entry == 0 {
                return None;
            }
            let row = &self.rows[entry as usize - 1];
            if row.word == word && row.name.len() == name.len() && row.ends_like(name) {
                return Some(RowId(entry - 1));
            }
            at = (at + 1) % INDEX_SIZE;
        }
    }

    /// The row that a request means: the command, or the container's subcommand.
    #[inline(always)]
    pub fn lookup(&self, args: Args<'_>) -> Result<RowId, Unknown> {
        match self.at_word(lower_case(args.name_word()), args.get(0)) {
            Some(id) if self.row(id).subcommands.is_empty() => Ok(id),
            Some(id) => self.lookup_within(id, args.opt(1)),
            None => Err(Unknown::Command),
        }
    }

    /// Whether the name alone says which row is meant.
    pub fn is_plain(&self, id: RowId) -> bool {
        self.row(id).container.is_none() && self.row(id).subcommands.is_empty()
    }

    /// [`Registry::lookup`] for whoever has the first two words of a request.
    pub fn lookup_words(&self, name: &[u8], first: Option<&[u8]>) -> Result<RowId, Unknown> {
        match self.command(name) {
            Some(id) if self.row(id).subcommands.is_empty() => Ok(id),
            Some(id) => self.lookup_within(id, first),
            None => Err(Unknown::Command),
        }
    }

    #[inline(never)]
    fn lookup_within(&self, container: RowId, first: Option<&[u8]>) -> Result<RowId, Unknown> {
        match first {
            Some(name) => self.subcommand(container, name).ok_or(Unknown::Subcommand(container)),
            None => Ok(container),
        }
    }

    pub fn subcommand(&self, container: RowId, name: &[u8]) -> Option<RowId> {
        let rows = &self.row(container).subcommands;
        rows.iter().copied().find(|id| self.row(*id).name.eq_ignore_ascii_case(name))
    }

    /// The row of a name as ACL and COMMAND INFO spell it: `get`, `config|set`.
    pub fn by_full_name(&self, name: &[u8]) -> Option<RowId> {
        match name.iter().position(|&b| b == b'|') {
            None => self.command(name),
            Some(bar) => self.subcommand(self.command(&name[..bar])?, &name[bar + 1..]),
        }
    }

    #[inline]
    pub fn row(&self, id: RowId) -> &Row {
        &self.rows[id.0 as usize]
    }

    #[inline]
    pub fn row_mut(&mut self, id: RowId) -> &mut Row {
        &mut self.rows[id.0 as usize]
    }

    pub fn rows(&self) -> impl Iterator<Item = (RowId, &Row)> {
        self.rows.iter().enumerate().map(|(i, row)| (RowId(i as u16), row))
    }

    /// Top-level commands that can be called.
    pub fn commands(&self) -> impl Iterator<Item = (RowId, &Row)> {
        self.rows().filter(|(_, row)| row.container.is_none() && !row.name.is_empty())
    }

    pub fn reset_stats(&mut self) {
        for row in &mut self.rows {
            (row.stats, row.durations) = (RowStats::default(), None);
        }
    }
}

impl Default for Registry {
    fn default() -> Registry {
        Registry::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_renamed_ones_under_the_new_name_only() {
        let mut registry = Registry::new();
        let get = registry.command(b"GeT").expect("GET is registered");
        assert_eq!(registry.row(get).spec.name, "get");
        assert!(registry.rename(b"get", b"fetch"));
        assert_eq!((registry.command(b"get"), registry.command(b"FETCH")), (None, Some(get)));
        assert!(!registry.rename(b"set", b"fetch"));
        assert!(registry.rename(b"fetch", b""));
        assert_eq!(registry.command(b""), None);
    }

    #[test]
    fn a_name_is_its_letters_and_nothing_like_them() {
        let registry = Registry::new();
        for (id, row) in registry.commands() {
            let upper = row.name.to_ascii_uppercase();
            assert_eq!(registry.command(&upper), Some(id));
            for i in 0..row.name.len() {
                for bit in 0..8 {
                    let mut other = upper.clone();
                    other[i] ^= 1 << bit;
                    let found = registry.commands().find(|(_, row)| row.name.eq_ignore_ascii_case(&other));
                    assert_eq!(registry.command(&other), found.map(|(id, _)| id), "{}", other.escape_ascii());
                }
            }
            assert_eq!(registry.command(&[&upper, b"\0".as_slice()].concat()), None);
        }
    }

    #[test]
    fn every_row_is_found_by_its_own_name() {
        let registry = Registry::new();
        for (id, row) in registry.rows() {
            assert_eq!(registry.by_full_name(row.spec.name.as_bytes()), Some(id), "{}", row.spec.name);
        }
    }
}
