//! Rules about words: what the pure side may not touch, where unsafe may stand, what is never left behind.
//!
//! *Duty:* sequences of tokens (and paths into other crates) that are forbidden in some part of the tree, each with
//! the reason that the finding prints; the `//!` header of every file; marks of unfinished work.
//! *Does not know:* who may use which folder of this crate; `layers.rs` has that.
//! *Invariants:* strings and comments never trip a rule about code. Test code is free of all but the marks.

use crate::layers::KERNEL_AND_SHELL;
use crate::source::{Finding, Source, follows, paths_at, test_lines};

/// Files (or folders, with a final `/`) that may contain unsafe code; a file's own `tests.rs` may too.
pub const UNSAFE: &[&str] = &[
    "src/ds/table.rs",
    "src/ds/blocks.rs",
    "src/ds/dict.rs",
    "src/ds/ranked/records.rs",
    "src/keyspace/entries.rs",
    "src/keyspace/entry.rs",
    // The host of a script's run, where functions that outlive the run find it.
    "src/script/lend.rs",
    // A function in C, which can raise what mlua cannot.
    "src/script/raise.rs",
    "src/sys/",
];

/// Files that may share between threads: the background thread is the only other one.
pub const SHARING: &[&str] = &["src/sys/bio.rs"];

/// Forbidden on the pure side as code, and why.
const IMPURE: &[(&[&str], &str)] = &[
    (&["SystemTime"], "time arrives as `now: Millis`"),
    (&["Instant", "::", "now"], "time arrives as `now: Millis`"),
    (&["println", "!"], "the shell talks to people"),
    (&["eprintln", "!"], "the shell talks to people"),
    (&["print", "!"], "the shell talks to people"),
    (&["eprint", "!"], "the shell talks to people"),
    (&["dbg", "!"], "a trace that was left in"),
    (&["thread", "::", "spawn"], "one thread; the background thread is in sys/bio.rs"),
    (&["thread_local", "!"], "no global state"),
    (&["static", "mut"], "no global state"),
];

/// Forbidden on the pure side as the beginning of a path, grouped imports included.
const IMPURE_PATHS: &[(&[&str], &str)] = &[
    (&["std", "net"], "no socket on the pure side"),
    (&["std", "fs"], "no file on the pure side"),
    (&["std", "thread"], "no thread on the pure side"),
    (&["std", "process"], "no process on the pure side"),
    (&["std", "time", "Instant"], "time arrives as `now: Millis`"),
    (&["std", "time", "SystemTime"], "time arrives as `now: Millis`"),
    (&["std", "io", "stdin"], "the shell talks to people"),
    (&["std", "io", "stdout"], "the shell talks to people"),
    (&["std", "io", "stderr"], "the shell talks to people"),
    (&["mio"], "no socket on the pure side"),
    (&["nix"], "no system call on the pure side"),
    (&["libc"], "no system call on the pure side"),
    (&["env_logger"], "the shell talks to people"),
];

/// Reading streams is for the codecs of files; `io::Write` into a `Vec` is formatting and free.
const READERS: &[(&[&str], &str)] = &[
    (&["std", "io", "Read"], "only the codecs (rdb/, aof/) read a stream"),
    (&["std", "io", "BufRead"], "only the codecs (rdb/, aof/) read a stream"),
];
const CODECS: &[&str] = &["rdb", "aof"];

/// Sharing and run-time borrows, anywhere outside `SHARING`: state is owned once and lent.
const CELLS: &[&str] = &["Rc", "RefCell", "Arc", "Mutex", "RwLock"];

/// The words of unfinished work; put together here so that a search for them finds only real ones.
const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
const STUBS: &[&str] = &[concat!("to", "do"), concat!("un", "implemented")];

/// The way to make a file that follows links, cuts what is there and lets everybody read the result.
const CARELESS: &[(&[&str], &str)] =
    &[(&["File", "::", "create", "("], "OpenOptions: mode 0600, create_new or append, O_NOFOLLOW")];

/// Clocks, sockets, files, threads and printing on the pure side.
pub fn pure_side(source: &Source) -> Vec<Finding> {
    let Some(layer) = source.layer() else { return Vec::new() };
    if KERNEL_AND_SHELL.contains(&layer) {
        return Vec::new();
    }
    let reading = if CODECS.contains(&layer) { &[] } else { READERS };
    let mut findings = sequences(source, IMPURE);
    findings.extend(foreign_paths(source, &[IMPURE_PATHS, reading].concat()));
    findings
}

/// Shared ownership and locks outside the background thread's file.
pub fn cells(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("src/") || listed(source, SHARING) {
        return Vec::new();
    }
    let code = code_outside_tests(source);
    let hits = code.iter().filter(|token| CELLS.contains(&token.0));
    hits.map(|(text, line)| source.finding(*line, format!("{text}: state has one owner; see `SHARING`"))).collect()
}

/// Files made without care, anywhere in the library and the programs.
pub fn careless_files(source: &Source) -> Vec<Finding> {
    sequences(source, CARELESS)
}

/// The keyword and the permission, outside the listed files. Test code is not excepted.
pub fn unsafe_code(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("src/") || listed(source, UNSAFE) {
        return Vec::new();
    }
    let tokens = source.tokens();
    let hits = tokens.iter().filter(|token| matches!(token.text, "unsafe" | "unsafe_code"));
    hits.map(|t| source.finding(t.line, format!("`{}`: not a file of the list `UNSAFE`", t.text))).collect()
}

/// `.unwrap()` outside tests: `expect("why it cannot happen")` or an error.
pub fn unwraps(source: &Source) -> Vec<Finding> {
    sequences(source, &[(&[".", "unwrap", "(", ")"], "say why it cannot happen, or return an error")])
}

/// Stubs in code and marks in comments, tests included.
pub fn unfinished(source: &Source) -> Vec<Finding> {
    let tokens = source.tokens();
    let stub = |i: &usize| STUBS.contains(&tokens[*i].text) && follows(&tokens, i + 1, &["!"]);
    let mut lines: Vec<usize> = (0..tokens.len()).filter(stub).map(|i| tokens[i].line).collect();
    for comment in source.comments() {
        for (offset, text) in comment.text.lines().enumerate() {
            if text.split(|c: char| !c.is_alphanumeric()).any(|word| MARKS.contains(&word)) {
                lines.push(comment.line + offset);
            }
        }
    }
    lines.into_iter().map(|line| source.finding(line, "unfinished: build it, or say so in an honest error")).collect()
}

/// Each file opens with `//!`: its duty, what it does not know, its invariants.
pub fn header(source: &Source) -> Vec<Finding> {
    let first = source.text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    let missing = !first.starts_with("//! ");
    missing.then(|| source.finding(1, "no `//!` header says what this file is for")).into_iter().collect()
}

/// Whether the file, the file that it is the tests of, or a folder above it stands in the list.
fn listed(source: &Source, list: &[&str]) -> bool {
    let tested = source.path.strip_suffix("/tests.rs").map(|stem| format!("{stem}.rs"));
    let path = tested.unwrap_or_else(|| source.path.clone());
    list.iter().any(|entry| path == *entry || (entry.ends_with('/') && path.starts_with(entry)))
}

fn is_test_line(source: &Source) -> impl Fn(usize) -> bool {
    let (whole, ranges) = (source.is_test_file(), test_lines(&source.tokens()));
    move |line| whole || ranges.iter().any(|range| range.contains(&line))
}

fn code_outside_tests(source: &Source) -> Vec<(&str, usize)> {
    let in_tests = is_test_line(source);
    source.tokens().into_iter().filter(|t| !in_tests(t.line)).map(|t| (t.text, t.line)).collect()
}

fn sequences(source: &Source, forbidden: &[(&[&str], &str)]) -> Vec<Finding> {
    let (tokens, in_tests) = (source.tokens(), is_test_line(source));
    let mut findings = Vec::new();
    for i in (0..tokens.len()).filter(|i| !in_tests(tokens[*i].line)) {
        for (words, why) in forbidden.iter().filter(|(words, _)| follows(&tokens, i, words)) {
            findings.push(source.finding(tokens[i].line, format!("`{}`: {why}", words.concat())));
        }
    }
    findings
}

fn foreign_paths(source: &Source, forbidden: &[(&[&str], &str)]) -> Vec<Finding> {
    let (tokens, in_tests) = (source.tokens(), is_test_line(source));
    let mut findings = Vec::new();
    for i in (0..tokens.len()).filter(|i| !in_tests(tokens[*i].line)) {
        let root = forbidden.iter().any(|(path, _)| path[0] == tokens[i].text);
        let starts = i == 0 || tokens[i - 1].text != "::" || follows(&tokens, i.saturating_sub(2), &["use"]);
        if !root || !starts || !follows(&tokens, i + 1, &["::"]) {
            continue;
        }
        for path in paths_at(&tokens, i).0 {
            for (start, why) in forbidden.iter().filter(|(start, _)| path.segments.starts_with(start)) {
                findings.push(source.finding(path.line, format!("`{}`: {why}", start.join("::"))));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rule: fn(&Source) -> Vec<Finding>, path: &str, code: &str) -> Vec<usize> {
        rule(&Source::new(path, code)).iter().map(|f| f.line).collect()
    }

    const NONE: [usize; 0] = [];

    #[test]
    fn clocks_sockets_files_and_printing_are_found_on_the_pure_side() {
        let path = "src/keyspace/mod.rs";
        for code in [
            "let t = SystemTime::now();",
            "use std::time::Instant as I;",
            "let t = Instant :: now();",
            "use std::{fmt, net::TcpStream};",
            "fn f() { std::fs::read(p) }",
            "use std::{io::{self, Read}, fmt};",
            "println!(\"x\");",
            "eprint!(\"x\");",
            "std::thread::spawn(f);",
            "use nix::unistd::fork;",
            "fn f() -> libc::c_int { 0 }",
            "static mut X: u8 = 0;",
        ] {
            assert!(!lines(pure_side, path, code).is_empty(), "{code}");
            assert_eq!(lines(pure_side, "src/sys/a.rs", code), NONE, "{code}");
        }
    }

    #[test]
    fn words_in_comments_strings_and_tests_are_free() {
        let code = "// println!\nfn f() { g(\"std::fs\") }\n#[cfg(test)]\nmod tests { use std::fs; }";
        assert_eq!(lines(pure_side, "src/keyspace/mod.rs", code), NONE);
        assert_eq!(lines(pure_side, "src/rdb/read.rs", "use std::io::Read;"), NONE);
        assert_eq!(lines(pure_side, "src/resp/reply.rs", "use std::io::Write; use std::time::Duration;"), NONE);
    }

    #[test]
    fn shared_ownership_is_found_outside_the_background_thread() {
        assert_eq!(
            lines(cells, "src/server/mod.rs", "use std::{rc::Rc,\n cell::RefCell};\nfn f(a: Arc<u8>) {}"),
            [1, 2, 3]
        );
        assert_eq!(lines(cells, "src/sys/bio.rs", "use std::sync::Mutex;"), NONE);
        assert_eq!(lines(cells, "src/server/mod.rs", "struct RcFile; // Rc"), NONE);
    }

    #[test]
    fn files_made_without_care_are_found() {
        let code = "fn f() {\n std::fs::File::create(p);\n options.create(true).open(p);\n}";
        assert_eq!(lines(careless_files, "src/sys/files.rs", code), [2]);
    }

    #[test]
    fn unsafe_is_found_outside_its_files() {
        let code = "#![allow(dead_code, unsafe_code)]\nfn f() { unsafe { g() } } // unsafe";
        assert_eq!(lines(unsafe_code, "src/value/list.rs", code), [1, 2]);
        for path in [
            "src/ds/table.rs",
            "src/ds/blocks.rs",
            "src/ds/blocks/tests.rs",
            "src/keyspace/entries.rs",
            "src/keyspace/entry.rs",
            "src/sys/deep/fork.rs",
        ] {
            assert_eq!(lines(unsafe_code, path, code), NONE);
        }
    }

    #[test]
    fn unwrap_is_found_outside_tests() {
        let code = "fn f() { x.unwrap(); y.unwrap_or(0); }\n#[cfg(test)]\nmod tests { fn g() { x.unwrap(); } }";
        assert_eq!(lines(unwraps, "src/base/num.rs", code), [1]);
        assert_eq!(lines(unwraps, "src/ds/table/tests.rs", code), NONE);
    }

    #[test]
    fn stubs_and_marks_are_found_even_in_tests() {
        let code = format!("fn f() {{ {}!() }}\n// a {}: later\n/* x\n {} */\n", STUBS[0], MARKS[0], MARKS[2]);
        assert_eq!(lines(unfinished, "tests/server.rs", &code), [1, 2, 4]);
        let code = format!("let {} = 1; call(\"{}\"); // {}S", STUBS[0], MARKS[1], MARKS[2]);
        assert_eq!(lines(unfinished, "src/base/num.rs", &code), NONE);
    }

    #[test]
    fn a_missing_header_is_found() {
        assert_eq!(lines(header, "src/base/num.rs", "use a;\n//! late"), [1]);
        assert_eq!(lines(header, "src/base/num.rs", "// plain"), [1]);
        assert_eq!(lines(header, "src/base/num.rs", "\n//! Numbers as Redis prints them."), NONE);
    }
}
