//! The shipped `conf/redis.conf` against the table: it states the defaults, and leaves nothing out.
//!
//! *Duty:* tests only; the file is for people, and these keep it true: the active lines give `Config::default()`,
//! the examples behind `#` are good, and every parameter that still means something is shown.
//! *Does not know:* whether the words around the lines are right.
//! *Counterpart in C Redis:* none; there the shipped file and the table are kept in step by hand.

use super::parse::{Loaded, Loader, Mode, parse_lines};
use super::table::{lookup, table};
use super::{Config, Flags};
use std::collections::BTreeSet;

const SHIPPED: &str = include_str!("../../conf/redis.conf");

fn load(text: &str) -> Loaded {
    let mut loader = Loader::new(Mode::Server);
    parse_lines(text.as_bytes(), "redis.conf", &mut loader, &mut |_| Ok(Vec::new()));
    loader.finish()
}

/// The example lines: `# name value`, uncommented.
fn examples() -> impl Iterator<Item = &'static str> {
    let known = |line: &&str| {
        let name = line.split(' ').next().unwrap_or_default();
        let is_line = ["include", "user", "rename-command"].contains(&name);
        is_line || lookup(name.as_bytes()).is_some_and(|directive| directive.name == name)
    };
    SHIPPED.lines().filter_map(|line| line.strip_prefix("# ")).filter(known)
}

#[test]
fn the_shipped_file_states_the_defaults() {
    let loaded = load(SHIPPED);
    assert_eq!(loaded.findings, []);
    assert_eq!(loaded.config, Config::default());
}

#[test]
fn its_examples_are_good() {
    for line in examples() {
        assert_eq!(load(line).findings, [], "{line}");
    }
    assert!(examples().count() > 30);
}

#[test]
fn it_shows_every_parameter_that_still_means_something() {
    let loaded = load(SHIPPED);
    let active = loaded.given.iter().map(|(directive, _)| directive.name);
    let shown: BTreeSet<&str> = active.chain(examples().filter_map(|line| line.split(' ').next())).collect();
    for directive in table().filter(|directive| !directive.has(Flags::HIDDEN)) {
        let is_obsolete = super::obsolete::find(directive.name.as_bytes()).is_some();
        assert!(is_obsolete || shown.contains(directive.name), "{} is not shown", directive.name);
    }
}
