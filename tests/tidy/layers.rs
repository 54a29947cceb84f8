//! Rule: who may name whom (the table of ARCHITECTURE.md), and that no file is left out of the build.
//!
//! *Duty:* every path that leaves its own folder (`crate::…`, `super::…` that climbs to the root, `redstart::…` in a
//! program), grouped or not, must end in a folder that the table allows.
//! *Does not know:* the crates outside; `words.rs` has those.
//! *Invariants:* a new folder under src/ fails until it has a row here. The rule holds for test modules too, so that
//! any folder could become a crate of its own.

use crate::source::{Finding, Source, Token, closing, follows, paths_at};

/// The folder, and what it may name. `a::b` allows that module of `a` only.
pub const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("ds", &["base"]),
    ("config", &["base"]),
    ("resp", &["base"]),
    ("call", &["base", "resp"]),
    ("value", &["base", "ds"]),
    ("rdb", &["base", "ds", "value"]),
    ("aof", &["base", "resp", "value"]),
    ("keyspace", &["base", "ds", "value", "call"]),
    ("command", &["base", "ds", "resp", "call", "value", "keyspace", "rdb"]),
    ("acl", &["base", "command::spec"]),
    ("pubsub", &["base", "ds", "call"]),
    ("tracking", &["base", "ds", "call"]),
    ("script", &["base", "resp", "call"]),
    ("repl", &["base", "resp"]),
    ("cluster", &["base"]),
    ("sentinel", &["base", "resp"]),
    ("sys", &["base"]),
    ("net", &["base", "sys"]),
    (
        "server",
        &[
            "base", "ds", "config", "resp", "call", "value", "rdb", "aof", "keyspace", "command", "acl", "pubsub",
            "tracking", "script", "repl", "cluster", "sentinel", "sys", "net",
        ],
    ),
    ("tools", &["base", "resp", "rdb", "aof", "net", "sys", "server::registry"]),
    ("bin", &["server", "tools"]),
];

/// The folders that may touch clocks, sockets, files and threads. All others are the pure side.
pub const KERNEL_AND_SHELL: &[&str] = &["sys", "net", "server", "tools", "bin", "lib"];

/// The findings of one file.
pub fn check(source: &Source) -> Vec<Finding> {
    let Some(layer) = source.layer() else { return Vec::new() };
    if layer == "lib" {
        return Vec::new();
    }
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![source.finding(1, format!("folder {layer} has no row in the layer table (tests/tidy/layers.rs)"))];
    };
    let tokens = source.tokens();
    let inline = inline_modules(&tokens);
    let mut findings = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let starts = i == 0 || tokens[i - 1].text != "::";
        if starts && follows(&tokens, i, &["use", "crate", "as"]) {
            findings.push(source.finding(tokens[i].line, "the crate under another name hides what is used"));
        }
        if !starts || !matches!(tokens[i].text, "crate" | "super" | "redstart") || !follows(&tokens, i + 1, &["::"]) {
            i += 1;
            continue;
        }
        let depth = source.module().len() + inline.iter().filter(|span| span.0 < i && i < span.1).count();
        let (paths, end) = paths_at(&tokens, i);
        for path in paths {
            let Some(named) = from_root(&path.segments, depth, layer) else {
                continue;
            };
            if let Some(what) = refuse(layer, allowed, named) {
                findings.push(source.finding(path.line, what));
            }
        }
        i = end.max(i + 1);
    }
    findings
}

/// The spans of `mod name { … }` as token indices: each is one more `super` to climb.
fn inline_modules(tokens: &[Token<'_>]) -> Vec<(usize, usize)> {
    let opens = (0..tokens.len()).filter(|i| tokens[*i].text == "mod" && follows(tokens, i + 2, &["{"]));
    opens.map(|i| (i + 2, closing(tokens, i + 2))).collect()
}

/// What follows the crate's root in this path; None when the path stays inside its folder or its program.
fn from_root<'p, 'a>(segments: &'p [&'a str], depth: usize, layer: &str) -> Option<&'p [&'a str]> {
    match segments[0] {
        "redstart" => Some(&segments[1..]),
        // In a program `crate` is the program itself.
        "crate" => (layer != "bin").then_some(&segments[1..]),
        _ => {
            let climbs = segments.iter().take_while(|s| **s == "super").count();
            (climbs >= depth).then_some(&segments[climbs..])
        }
    }
}

fn refuse(layer: &str, allowed: &[&str], named: &[&str]) -> Option<String> {
    let folder = *named.first()?;
    let fits = |entry: &&str| named.starts_with(&entry.split("::").collect::<Vec<_>>());
    if folder == layer || allowed.iter().any(fits) {
        return None;
    }
    let list = if allowed.is_empty() { "nothing of this crate".to_string() } else { allowed.join(", ") };
    Some(format!("`{}` in {layer}/, which may use {list}", named.join("::")))
}

/// Files under src/ that no `mod` names: they would never be compiled, nor their tests run.
pub fn orphans(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|s| s.path.starts_with("src/") && !s.path.starts_with("src/bin/")) {
        let module = source.module();
        let Some((name, parent)) = module.split_last() else {
            continue;
        };
        let declared = sources.iter().filter(|s| s.path.starts_with("src/") && s.module() == parent).any(|s| {
            let tokens = s.tokens();
            (0..tokens.len()).any(|i| follows(&tokens, i, &["mod", name, ";"]))
        });
        if !declared {
            findings.push(source.finding(1, format!("no `mod {name};` names this file, so it is never compiled")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, code: &str) -> Vec<usize> {
        check(&Source::new(path, code)).iter().map(|f| f.line).collect()
    }

    #[test]
    fn an_upward_path_is_found_wherever_it_hides() {
        assert_eq!(lines("src/ds/table.rs", "use crate::base::rng;\nuse crate::server::Server;\n"), [2]);
        assert_eq!(lines("src/ds/table.rs", "use crate::{\n base::rng,\n keyspace::{Db,\n Keyspace},\n};"), [3, 4]);
        assert_eq!(lines("src/ds/table.rs", "fn f(k: &crate::value::Value) {}"), [1]);
        assert_eq!(lines("src/ds/table.rs", "use super::super::net::Reactor;"), [1]);
        assert_eq!(lines("src/ds/table.rs", "mod tests { use super::super::super::{net, ds}; }"), [1]);
        assert_eq!(lines("src/command/string.rs", "use crate as c;"), [1]);
        assert_eq!(lines("src/ds/table.rs", "use crate::*;"), [1]);
        assert_eq!(lines("src/bin/redis-server.rs", "fn main() { redstart::sys::go() }"), [1]);
    }

    #[test]
    fn allowed_paths_comments_and_strings_pass() {
        assert_eq!(lines("src/ds/table.rs", "// crate::server\nfn f() { g(\"crate::server\") }"), [0; 0]);
        assert_eq!(lines("src/ds/table.rs", "use super::intset; use crate::ds::rax; pub(crate) fn f() {}"), [0; 0]);
        assert_eq!(lines("src/ds/table.rs", "mod tests { use super::super::rax; use super::*; }"), [0; 0]);
        assert_eq!(lines("src/server/exec.rs", "use crate::{base::x, net::{y, z}, cluster::core};"), [0; 0]);
        assert_eq!(lines("src/bin/redis-server.rs", "fn main() { redstart::server::main() }"), [0; 0]);
    }

    #[test]
    fn a_row_may_allow_one_module_of_a_folder() {
        assert_eq!(lines("src/acl/mod.rs", "use crate::command::spec::Spec;"), [0; 0]);
        assert_eq!(lines("src/acl/mod.rs", "use crate::command::string;"), [1]);
    }

    #[test]
    fn a_folder_without_a_row_fails() {
        assert_eq!(lines("src/helpers/mod.rs", ""), [1]);
    }

    #[test]
    fn a_file_that_nobody_declares_is_found() {
        let sources = [
            Source::new("src/lib.rs", "pub mod ds;"),
            Source::new("src/ds/mod.rs", "mod table; // mod lost;"),
            Source::new("src/ds/table.rs", ""),
            Source::new("src/ds/lost.rs", ""),
        ];
        let paths: Vec<String> = orphans(&sources).into_iter().map(|f| f.path).collect();
        assert_eq!(paths, ["src/ds/lost.rs"]);
    }
}
