//! INFO: what the server tells of itself, section by section.
//!
//! *Duty:* [`SECTIONS`] is the order and the choice of the sections; a file for each of the long ones. Whatever
//! counter is shown is kept by its owner; here it only gets its name.
//! *Does not know:* how a request is answered (`commands/info.rs`).
//! *Invariants:* a section with no line still shows its head; lines end in `\r\n`; a blank line parts sections. A
//! zero stands only where zero is the truth: of what this release does not have, there is none.
//! *Counterpart in C Redis:* `genRedisInfoString`.

mod commandstats;
mod memory;
mod persistence;
mod process;
mod replication;
mod stats;
mod text;

pub use persistence::{PersistenceFacts, facts};
pub use text::Text;

use super::Server;

struct Section {
    /// As clients ask for it.
    name: &'static str,
    /// Another name for it.
    alias: &'static str,
    title: &'static str,
    /// Part of what INFO without arguments shows.
    default: bool,
    write: fn(&Server, &mut Text),
}

const fn section(name: &'static str, title: &'static str, write: fn(&Server, &mut Text)) -> Section {
    Section { name, alias: name, title, default: true, write }
}

const SECTIONS: [Section; 13] = [
    section("server", "Server", process::server),
    section("clients", "Clients", process::clients),
    section("memory", "Memory", memory::write),
    section("persistence", "Persistence", persistence::write),
    section("stats", "Stats", stats::write),
    section("replication", "Replication", replication::write),
    section("cpu", "CPU", process::cpu),
    Section { alias: "module_list", ..section("modules", "Modules", |_, _| ()) },
    Section { default: false, ..section("commandstats", "Commandstats", commandstats::commands) },
    section("errorstats", "Errorstats", commandstats::errors),
    Section { default: false, ..section("latencystats", "Latencystats", commandstats::latencies) },
    section("cluster", "Cluster", replication::cluster),
    section("keyspace", "Keyspace", stats::keyspace),
];

/// The sections that `asked` names, in the order of the table; those of `default` when nothing is asked for. What
/// there is not shows nothing.
pub fn text<'a>(srv: &Server, asked: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
    let names = |word: &str| asked.clone().any(|a| a.eq_ignore_ascii_case(word.as_bytes()));
    let all = names("all") || names("everything");
    let default = names("default") || asked.clone().next().is_none();
    let mut out = Text::default();
    for section in &SECTIONS {
        if all || (default && section.default) || names(section.name) || names(section.alias) {
            out.head(section.title);
            (section.write)(srv, &mut out);
        }
    }
    out.finish()
}
