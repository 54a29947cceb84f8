//! The command table against itself: names, arity and syntax, flags, keys; and that no row is without a transcript.

use std::collections::BTreeSet;

use redstart::base::quote;
use redstart::command::FAMILIES;
use redstart::command::spec::{Begin, DataCommand, Find, READONLY, Spec, WRITE};

fn rows() -> impl Iterator<Item = &'static Spec> {
    FAMILIES.iter().copied().flatten().map(|command: &DataCommand| &command.spec)
}

/// Has subcommands: its own row only says which.
fn is_container(spec: &Spec) -> bool {
    rows().any(|row| row.name.strip_prefix(spec.name).is_some_and(|rest| rest.starts_with('|')))
}

pub fn each_is_requested(requests: &[String]) {
    let mut requested = BTreeSet::new();
    for line in requests {
        let words = quote::split_args(line.as_bytes()).expect("the request was split before");
        let words: Vec<String> = words.iter().map(|w| String::from_utf8_lossy(w).to_ascii_lowercase()).collect();
        requested.insert(words[0].clone());
        requested.extend(words.get(1).map(|sub| format!("{}|{sub}", words[0])));
    }
    let missing: Vec<&str> = rows().map(|row| row.name).filter(|&name| !requested.contains(name)).collect();
    assert!(missing.is_empty(), "no transcript has a request of: {}", missing.join(" "));
}

#[test]
fn names_are_sorted_within_a_family_and_unique() {
    for family in FAMILIES {
        assert!(family.is_sorted_by_key(|command| command.spec.name), "{:?} …", family[0].spec.name);
    }
    let names: BTreeSet<&str> = rows().map(|row| row.name).collect();
    assert_eq!(names.len(), rows().count(), "a name stands in two rows");
}

#[test]
fn a_command_with_keys_either_reads_or_writes() {
    for row in rows() {
        let (reads, writes) = (row.flags.has(READONLY), row.flags.has(WRITE));
        assert!(!(reads && writes), "{} has both flags", row.name);
        assert!(reads || writes || row.keys.is_empty(), "{} has neither flag", row.name);
    }
}

#[test]
fn a_row_says_everything() {
    for row in rows() {
        let texts = [row.name, row.since, row.summary];
        assert!(texts.iter().all(|text| !text.is_empty()), "{} lacks a text", row.name);
        assert!(!row.complexity.is_empty() || is_container(row), "{} lacks its complexity", row.name);
        assert!(row.arity != 0, "{} has no arity", row.name);
        assert!(row.name.bytes().all(|b| !b.is_ascii_uppercase()), "{} is not lower case", row.name);
    }
}

#[test]
fn arity_follows_from_the_syntax() {
    // PFMERGE goes without sources, though the reference's documentation has at least one.
    for row in rows().filter(|row| !is_container(row) && row.name != "pfmerge") {
        let words = row.name.matches('|').count() + 1;
        let (least, open) = least_words(row.syntax);
        let arity = (words + least) as i16;
        let arity = if open { -arity } else { arity };
        assert_eq!(row.arity, arity, "{} {}", row.name, row.syntax);
    }
}

#[test]
fn keys_lie_within_the_shortest_request() {
    for row in rows() {
        for key in row.keys {
            if let Begin::Index(at) = key.begin {
                // A range up to the last argument may be empty, as PFMERGE's sources.
                let may_be_empty = matches!(key.find, Find::Range { last: ..0, .. });
                let end = row.arity.abs() + may_be_empty as i16;
                assert!(at >= 1 && at.abs() < end, "{}: no argument {at}", row.name);
            }
        }
    }
}

/// How many words a syntax line takes at least, and whether it may take more.
fn least_words(syntax: &str) -> (usize, bool) {
    let (least, open, rest) = sequence(syntax);
    assert!(rest.is_empty(), "unbalanced: {syntax}");
    (least, open)
}

/// Words and groups up to a closing bracket, which is left in the rest.
fn sequence(mut rest: &str) -> (usize, bool, &str) {
    let (mut least, mut open) = (0, false);
    let mut shortest = None;
    loop {
        rest = rest.trim_start();
        match rest.chars().next() {
            Some('[') => {
                rest = sequence(&rest[1..]).2.strip_prefix(']').expect("an option ends in a bracket");
                open = true;
            }
            Some('<') => {
                let (inner, inner_open, after) = sequence(&rest[1..]);
                rest = after.strip_prefix('>').expect("a choice ends in a bracket");
                (least, open) = (least + inner, open | inner_open);
            }
            Some('|') => {
                open |= shortest.is_some_and(|s| s != least);
                shortest = Some(shortest.map_or(least, |s: usize| s.min(least)));
                (least, rest) = (0, &rest[1..]);
            }
            None | Some(']' | '>') => {
                open |= shortest.is_some_and(|s| s != least);
                return (shortest.map_or(least, |s| s.min(least)), open, rest);
            }
            Some(_) => {
                let end = rest.find([' ', '[', ']', '<', '>', '|']).unwrap_or(rest.len());
                // What stands directly behind a bracket is a note about it.
                least += usize::from(!rest.starts_with([':', ')', '@', '#', '!']));
                rest = &rest[end..];
            }
        }
    }
}

#[test]
fn syntax_lines_are_counted() {
    for (syntax, least, open) in [
        ("", 0, false),
        ("key value", 2, false),
        ("key [key ...] timeout", 2, true),
        ("key [<NX|XX>] [EX seconds]", 1, true),
        ("key <LEFT|RIGHT> [COUNT n [ANY]]", 2, true),
        ("<ID id|LAST>", 1, true),
        ("<(A x <M|KM>):first|(B y z <M|KM>):second>:by", 3, true),
    ] {
        assert_eq!(least_words(syntax), (least, open), "{syntax}");
    }
}
