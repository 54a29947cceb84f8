//! [`AccessLog`]: the latest refusals, newest first.
//!
//! *Duty:* like refusals within a minute are one entry with a count; the oldest go when there are too many.
//! *Does not know:* the clock, clients; what is said of a client comes as text.
//! *Counterpart in C Redis:* `ACLLog`, `addACLLogEntry`.

use std::collections::VecDeque;

use crate::base::millis::Millis;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Auth,
    Command,
    Key,
    Channel,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::Auth => "auth",
            Reason::Command => "command",
            Reason::Key => "key",
            Reason::Channel => "channel",
        }
    }
}

/// Where the request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    TopLevel,
    Multi,
    Lua,
    Module,
}

impl Context {
    pub fn name(self) -> &'static str {
        match self {
            Context::TopLevel => "toplevel",
            Context::Multi => "multi",
            Context::Lua => "lua",
            Context::Module => "module",
        }
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    pub context: Context,
    /// The command, key or channel.
    pub object: Vec<u8>,
    pub username: Vec<u8>,
    /// The client as CLIENT LIST shows it.
    pub client: Vec<u8>,
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub id: u64,
    pub count: u64,
    pub what: Refusal,
    pub created: Millis,
    pub updated: Millis,
}

/// Later than this after the last one, the same refusal is another entry.
const SAME_WITHIN_MS: i64 = 60_000;
/// How many entries are looked at for the same refusal.
const LOOKED_AT: usize = 10;

#[derive(Default)]
pub struct AccessLog {
    entries: VecDeque<Entry>,
    next_id: u64,
}

impl AccessLog {
    pub fn add(&mut self, what: Refusal, now: Millis, max_len: u64) {
        let is_same = |entry: &Entry| {
            let known = &entry.what;
            known.reason == what.reason
                && known.context == what.context
                && now.since(entry.updated) <= SAME_WITHIN_MS
                && known.object == what.object
                && known.username == what.username
        };
        if let Some(at) = self.entries.iter().take(LOOKED_AT).position(is_same)
            && let Some(mut entry) = self.entries.remove(at)
        {
            (entry.what, entry.updated, entry.count) = (what, now, entry.count + 1);
            return self.entries.push_front(entry);
        }
        self.entries.push_front(Entry { id: self.next_id, count: 1, what, created: now, updated: now });
        self.next_id += 1;
        self.entries.truncate(usize::try_from(max_len).unwrap_or(usize::MAX));
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Newest first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }
}
