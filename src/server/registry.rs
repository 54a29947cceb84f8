//! [`Registry`]: all commands as they are registered: data and server rows in one table, found by name.
//!
//! *Duty:* lookup, renames, subcommands, and the statistics of each row. *Does not know:* how a row is run.
//! *Counterpart in C Redis:* `server.commands`, `lookupCommand`, `redisCommand.calls`.
//!
//! Lookup hashes the length and the first eight bytes, folded to lower case, into a table of a few KiB in which
//! most names stand alone; the full name is compared once.

use crate::base::histogram::Histogram;
use crate::command::FAMILIES;
use crate::command::spec::{DataHandler, Spec, WRITE};
use crate::server::commands::{SERVER_FAMILIES, ServerHandler};

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
    /// The name under which clients call it: lower case, without the container.
    pub name: Vec<u8>,
    pub container: Option<RowId>,
    pub subcommands: Vec<RowId>,
    pub stats: RowStats,
    /// How long calls took, in nanoseconds; none while no call was tracked.
    pub latencies: Option<Box<Histogram>>,
    /// First and last argument that is a key, and the step between keys; zeros when there is none at a fixed place.
    pub key_range: (i64, i64, i64),
}

impl Row {
    /// Whether an append only file may hold it: what changes data, and what says where and together with what. The
    /// replay refuses all others.
    pub fn belongs_in_aof(&self) -> bool {
        let frames = ["select", "multi", "exec", "discard"].contains(&self.spec.name);
        frames || matches!(self.run, Run::Data(_)) || self.spec.flags.has(WRITE)
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
    index: Vec<u16>,
}

const INDEX_SIZE: usize = 2048;

/// Why a name leads to no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    Command,
    Subcommand(RowId),
}

fn place(name: &[u8]) -> usize {
    let mut word = [0u8; 8];
    let n = name.len().min(8);
    word[..n].copy_from_slice(&name[..n]);
    let folded = u64::from_le_bytes(word) | 0x2020_2020_2020_2020;
    let mixed = (folded ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 53) as usize
}

impl Registry {
    pub fn new() -> Registry {
        let mut registry = Registry { rows: Vec::new(), index: vec![0; INDEX_SIZE] };
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
            container: None,
            subcommands: Vec::new(),
            stats: RowStats::default(),
            latencies: None,
            key_range: spec.key_range(),
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
            let mut at = place(&row.name);
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
        self.rows[id.0 as usize].name = new.to_ascii_lowercase();
        self.rebuild_index();
        true
    }

    /// The top-level command of this name.
    #[inline]
    pub fn command(&self, name: &[u8]) -> Option<RowId> {
        let mut at = place(name);
        loop {
            let entry = self.index[at];
            if entry == 0 {
                return None;
            }
            if self.rows[entry as usize - 1].name.eq_ignore_ascii_case(name) {
                return Some(RowId(entry - 1));
            }
            at = (at + 1) % INDEX_SIZE;
        }
    }

    /// The row that a request means: the command, or the container's subcommand.
    #[inline]
    pub fn lookup(&self, name: &[u8], subcommand: Option<&[u8]>) -> Result<RowId, Unknown> {
        let id = self.command(name).ok_or(Unknown::Command)?;
        let row = self.row(id);
        match subcommand {
            Some(sub) if !row.subcommands.is_empty() => self.subcommand(id, sub).ok_or(Unknown::Subcommand(id)),
            _ => Ok(id),
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
            (row.stats, row.latencies) = (RowStats::default(), None);
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
    fn every_row_is_found_by_its_own_name() {
        let registry = Registry::new();
        for (id, row) in registry.rows() {
            assert_eq!(registry.by_full_name(row.spec.name.as_bytes()), Some(id), "{}", row.spec.name);
        }
    }
}
