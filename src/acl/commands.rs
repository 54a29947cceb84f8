//! [`Commands`]: the commands as rights know them: an id each, their categories, and which contains which.
//!
//! *Duty:* find a command by the name in a rule. *Does not know:* other names that clients call commands by
//! (`rename-command`): rights are about original names. *Invariant:* an id is the place of the command's row in the
//! registry, so the shell has it at hand. *Counterpart in C Redis:* `server.orig_commands`, `cmd->id`.

use std::collections::BTreeMap;

use crate::command::spec::{Categories, Spec};

/// A command or subcommand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CmdId(pub u16);

/// How many commands there may be, the one that stands for future commands included.
pub const MAX_COMMANDS: usize = 1024;

struct Entry {
    spec: &'static Spec,
    parent: Option<CmdId>,
    children: Vec<CmdId>,
    categories: Categories,
}

pub struct Commands {
    entries: Vec<Entry>,
    /// By full name, so a container comes before what it contains.
    by_name: BTreeMap<&'static str, CmdId>,
}

impl Commands {
    /// Of all rows, in the registry's order.
    pub fn new(specs: impl Iterator<Item = &'static Spec>) -> Commands {
        let entry =
            |spec: &'static Spec| Entry { spec, parent: None, children: Vec::new(), categories: spec.categories() };
        let mut entries: Vec<Entry> = specs.map(entry).collect();
        assert!(entries.len() < MAX_COMMANDS, "there is a bit for each command");
        let by_name: BTreeMap<_, _> = (0..).map(CmdId).zip(&entries).map(|(id, entry)| (entry.spec.name, id)).collect();
        for (name, id) in &by_name {
            let parent = name.split_once('|').and_then(|(container, _)| by_name.get(container)).copied();
            entries[id.0 as usize].parent = parent;
            if let Some(parent) = parent {
                entries[parent.0 as usize].children.push(*id);
            }
        }
        Commands { entries, by_name }
    }

    pub fn find(&self, name: &[u8]) -> Option<CmdId> {
        let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        self.by_name.get(name.as_str()).copied()
    }

    /// Each command, in order of names.
    pub fn in_order(&self) -> impl Iterator<Item = CmdId> {
        self.by_name.values().copied()
    }

    pub fn spec(&self, id: CmdId) -> &'static Spec {
        self.entries[id.0 as usize].spec
    }

    pub fn parent(&self, id: CmdId) -> Option<CmdId> {
        self.entries[id.0 as usize].parent
    }

    pub fn children(&self, id: CmdId) -> &[CmdId] {
        &self.entries[id.0 as usize].children
    }

    pub fn is_in(&self, id: CmdId, category: Categories) -> bool {
        self.entries[id.0 as usize].categories.has(category)
    }

    /// The category of this name, in any case.
    pub fn category(name: &[u8]) -> Option<Categories> {
        let bit = Categories::NAMES.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name))?;
        Some(Categories(1 << bit))
    }

    /// Those of a rule that allows a command with one first argument only: `+select|0`. 7.0.15 warns of them.
    pub fn first_arg_rules<'r>(&self, rule: &'r [u8]) -> Vec<&'r [u8]> {
        let inner = rule.strip_prefix(b"(").and_then(|rest| rest.strip_suffix(b")")).unwrap_or(rule);
        let is_one = |word: &&[u8]| {
            let Some(name) = word.strip_prefix(b"+") else { return false };
            let Some(bar) = name.iter().rposition(|byte| *byte == b'|') else { return false };
            self.find(&name[..bar]).is_some_and(|id| self.children(id).is_empty())
        };
        inner.split(|byte| *byte == b' ').filter(is_one).map(|word| &word[1..]).collect()
    }
}
