//! The mechanical rules of ARCHITECTURE.md, as tests over the tree.
//!
//! *Duty:* run every rule over src/ and tests/ and print all findings at once, as `file:line: what`.
//! *Does not know:* the rules themselves: each is a function in tests/tidy/, beside a test that feeds it bad code,
//! so that a rule which can no longer fail is noticed.

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/lengths.rs"]
mod lengths;
#[path = "tidy/manifest.rs"]
mod manifest;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use source::{Finding, Source, read_all};
use std::path::Path;

/// Every Rust file of the library and the programs; with `tests`, those of the tests too.
fn tree(folders: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: Vec<Source> = folders.iter().flat_map(|folder| read_all(root, folder)).collect();
    assert!(sources.iter().any(|s| s.path == "src/lib.rs"), "the walk does not find the sources");
    sources
}

fn report(findings: Vec<Finding>) {
    let lines: Vec<String> = findings.iter().map(|f| format!("{}:{}: {}", f.path, f.line, f.what)).collect();
    assert!(lines.is_empty(), "{} finding(s)\n{}\n", lines.len(), lines.join("\n"));
}

fn for_each(folders: &[&str], rule: impl Fn(&Source) -> Vec<Finding>) {
    report(tree(folders).iter().flat_map(rule).collect());
}

#[test]
fn folders_use_only_what_the_layer_table_allows() {
    for_each(&["src"], layers::check);
}

#[test]
fn every_file_is_compiled() {
    report(layers::orphans(&tree(&["src"])));
}

#[test]
fn files_and_functions_are_short() {
    for_each(&["src", "tests"], |source| lengths::check(source, lengths::EXCEPTIONS));
    report(lengths::stale(&tree(&["src", "tests"]), lengths::EXCEPTIONS));
}

#[test]
fn the_pure_side_has_no_clock_socket_file_or_thread() {
    for_each(&["src"], words::pure_side);
}

#[test]
fn state_has_one_owner() {
    for_each(&["src"], words::cells);
}

#[test]
fn every_dependency_is_explained() {
    let read = |name: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    report(manifest::unexplained(&read("Cargo.toml"), &read("BUILD.md")));
}

#[test]
fn files_are_made_with_care() {
    for_each(&["src"], words::careless_files);
}

#[test]
fn unsafe_stands_only_in_its_files() {
    for_each(&["src"], words::unsafe_code);
}

#[test]
fn unwrap_stands_only_in_tests() {
    for_each(&["src"], words::unwraps);
}

#[test]
fn nothing_is_left_unfinished() {
    for_each(&["src", "tests"], words::unfinished);
}

#[test]
fn every_file_says_what_it_is_for() {
    for_each(&["src", "tests"], words::header);
}
