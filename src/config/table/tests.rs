//! The table against the facts of 7.0.15 in `tests/data/config-defaults-7.0.15.txt`, and against itself.

use crate::config::directive::{Change, Directive, Flags, Kind};
use crate::config::fields::Config;
use crate::config::table::{lookup, table};
use std::collections::BTreeSet;

/// Parameters that no Redis has.
const OURS: [&str; 4] = ["aof-checksum", "config-obsolete", "file-lock", "logfile-max-size"];

struct Fact {
    name: &'static str,
    flags: &'static str,
    default: &'static str,
}

fn facts() -> Vec<Fact> {
    let lines = include_str!("../../../tests/data/config-defaults-7.0.15.txt").lines();
    let facts = lines.filter(|line| !line.starts_with('#')).map(|line| {
        let [name, flags, default] = line.splitn(3, '\t').collect::<Vec<_>>()[..] else {
            panic!("a fact has three columns: {line}");
        };
        Fact { name, flags, default }
    });
    facts.collect()
}

fn text(directive: &Directive, config: &Config) -> String {
    String::from_utf8(directive.get(config)).unwrap()
}

/// `directive`'s value given back to it as CONFIG SET does.
fn set_text(directive: &Directive, config: &mut Config, text: &str) -> Result<Change, String> {
    let words: Vec<Vec<u8>> = match text {
        "" if directive.has(Flags::MULTI_ARG) => Vec::new(),
        text if directive.has(Flags::MULTI_ARG) => text.split(' ').map(|word| word.into()).collect(),
        text => vec![text.into()],
    };
    directive.set(config, &words).map_err(|error| error.to_string())
}

#[test]
fn the_names_are_those_of_7_0_15_and_ours() {
    let known: BTreeSet<&str> = table().flat_map(Directive::names).collect();
    let expected: BTreeSet<&str> = facts().iter().map(|fact| fact.name).chain(OURS).collect();
    assert_eq!(known, expected);
    assert_eq!(table().flat_map(Directive::names).count(), known.len(), "no name twice");
    let shown = table().filter(|directive| !directive.has(Flags::HIDDEN)).flat_map(Directive::names).count();
    assert_eq!(shown, 192 + OURS.len());
}

#[test]
fn every_default_is_that_of_7_0_15() {
    let config = Config::default();
    for fact in facts() {
        let directive = lookup(fact.name.as_bytes()).unwrap();
        let expected = match fact.name {
            "bind" => "* -::*",
            "port" => "6379",
            "dir" => "",
            _ => fact.default,
        };
        assert_eq!(text(directive, &config), expected, "{}", fact.name);
    }
}

#[test]
fn every_flag_is_that_of_7_0_15() {
    let names = [
        (Flags::IMMUTABLE, "immutable"),
        (Flags::MULTI_ARG, "multi_arg"),
        (Flags::SENSITIVE, "sensitive"),
        (Flags::HIDDEN, "hidden"),
        (Flags::PROTECTED, "protected"),
        (Flags::DENY_LOADING, "deny_loading"),
        (Flags::DEBUG, "debug"),
        (Flags::VOLATILE, "volatile"),
    ];
    for fact in facts() {
        let directive = lookup(fact.name.as_bytes()).unwrap();
        let ours: BTreeSet<&str> =
            names.iter().filter(|(flag, _)| directive.has(*flag)).map(|(_, name)| *name).collect();
        let theirs: BTreeSet<&str> = fact.flags.split(',').filter(|name| *name != "-").collect();
        assert_eq!(ours, theirs, "{}", fact.name);
    }
}

#[test]
fn names_are_found_in_any_case_and_by_alias() {
    assert_eq!(lookup(b"SlaveOf").unwrap().name, "replicaof");
    assert_eq!(lookup(b"lua-time-limit").unwrap().name, "busy-reply-threshold");
    assert_eq!(lookup(b"hash-max-ziplist-value").unwrap().name, "hash-max-listpack-value");
    assert!(lookup(b"maxmemoryx").is_none());
    assert!(lookup(b"").is_none());
}

/// A value other than the default that suits `directive`.
fn another_value(directive: &Directive, config: &Config) -> String {
    match directive.kind {
        Kind::YesNo { get, .. } => if get(config) { "no" } else { "yes" }.to_owned(),
        Kind::Number { get, min, max, form, .. } => form.text(if get(config) == max { min } else { max }),
        Kind::Choice { names, .. } => {
            let now = text(directive, config);
            names(config).into_iter().find(|name| *name != now).unwrap().to_owned()
        }
        Kind::Text { .. } | Kind::Bytes { .. } => "some-text".to_owned(),
        Kind::Special { .. } => match directive.name {
            "bind" => "127.0.0.1 ::1",
            "client-output-buffer-limit" => "normal 1 2 3 slave 4 5 6 pubsub 7 8 9",
            "hz" => "77",
            "latency-tracking-info-percentiles" => "1.5 100",
            "notify-keyspace-events" => "xKE",
            "oom-score-adj-values" => "-1 0 1",
            "replicaof" => "example.org 1234",
            "save" => "1 2 3 4",
            "shutdown-on-sigint" | "shutdown-on-sigterm" => "nosave now force",
            name => panic!("{name} needs a value here"),
        }
        .to_owned(),
    }
}

/// All but those that refuse their only other value, or their default when it is spelled out.
fn settable() -> impl Iterator<Item = &'static Directive> {
    table().filter(|directive| !["activedefrag", "replicaof"].contains(&directive.name))
}

#[test]
fn what_is_printed_is_read_back_as_the_same_value() {
    for directive in settable() {
        let mut config = Config::default();
        let default = text(directive, &config);
        set_text(directive, &mut config, &default).unwrap();
        assert_eq!(config, Config::default(), "{directive:?}");

        let other = another_value(directive, &config);
        assert_eq!(set_text(directive, &mut config, &other), Ok(Change::Changed), "{directive:?}");
        assert_eq!(text(directive, &config), other, "{directive:?}");
        let mut again = Config::default();
        set_text(directive, &mut again, &other).unwrap();
        assert_eq!(config, again, "{directive:?}");

        set_text(directive, &mut config, &default).unwrap();
        assert_eq!(config, Config::default(), "{directive:?}");
    }
}

#[test]
fn each_directive_has_a_field_of_its_own() {
    for directive in settable() {
        let mut config = Config::default();
        set_text(directive, &mut config, &another_value(directive, &Config::default())).unwrap();
        assert_ne!(config, Config::default(), "{directive:?}");
        for other in table().filter(|other| *other != directive) {
            assert_eq!(text(other, &config), text(other, &Config::default()), "{directive:?} changed {other:?}");
        }
    }
}

#[test]
fn numbers_keep_to_their_bounds() {
    for directive in table() {
        let Kind::Number { min, max, form, .. } = directive.kind else {
            continue;
        };
        let mut config = Config::default();
        for bound in [min, max] {
            let spelled = form.text(bound);
            set_text(directive, &mut config, &spelled).unwrap();
            assert_eq!(text(directive, &config), spelled, "{}", directive.name);
        }
        let before = config.clone();
        for beyond in [min - 1, max + 1] {
            assert!(set_text(directive, &mut config, &form.text(beyond)).is_err(), "{} {beyond}", directive.name);
        }
        assert_eq!(config, before, "{}", directive.name);
    }
}

#[test]
fn refusals_have_the_texts_of_7_0_15() {
    let cases = [
        ("port", "70000", "argument must be between 0 and 65535 inclusive"),
        ("port", "x", "argument couldn't be parsed into an integer"),
        ("maxclients", "0", "argument must be between 1 and 4294967295 inclusive"),
        ("maxmemory", "100xb", "argument must be a memory value"),
        ("maxmemory", "-1", "argument must be a memory value"),
        ("maxmemory-clients", "101%", "percentage argument must be less or equal to 100"),
        ("maxmemory-clients", "xx", "argument must be a memory or percent value"),
        ("unixsocketperm", "9", "argument couldn't be parsed as an octal number"),
        ("unixsocketperm", "1000", "argument must be between 0 and 777 inclusive"),
        ("appendonly", "on", "argument must be 'yes' or 'no'"),
        ("appendfsync", "x", "argument(s) must be one of the following: everysec, always, no"),
        ("oom-score-adj", "x", "argument(s) must be one of the following: no, yes, relative, absolute"),
        ("dbfilename", "a/b", "dbfilename can't be a path, just a filename"),
        ("proc-title-template", "{foo}", "template format is invalid or contains unknown variables"),
        ("hz", "-1", "argument must be between 0 and 2147483647 inclusive"),
    ];
    for (name, value, refusal) in cases {
        let directive = lookup(name.as_bytes()).unwrap();
        let outcome = set_text(directive, &mut Config::default(), value);
        assert_eq!(outcome, Err(refusal.to_owned()), "{name} {value}");
    }
}

#[test]
fn one_word_is_one_argument() {
    let two = [b"1".to_vec(), b"2".to_vec()];
    let refusal = lookup(b"timeout").unwrap().set(&mut Config::default(), &two).unwrap_err();
    assert_eq!(refusal.to_string(), "wrong number of arguments");
}

#[test]
fn text_that_is_not_utf8_is_refused_but_passwords_are_bytes() {
    let bytes = [vec![0xff, 0x00]];
    assert!(lookup(b"logfile").unwrap().set(&mut Config::default(), &bytes).is_err());
    let mut config = Config::default();
    lookup(b"requirepass").unwrap().set(&mut config, &bytes).unwrap();
    assert_eq!(config.requirepass, bytes[0]);
}

#[test]
fn naming_a_certificate_again_is_a_change() {
    let directive = lookup(b"tls-cert-file").unwrap();
    let mut config = Config::default();
    assert_eq!(set_text(directive, &mut config, "a.pem"), Ok(Change::Changed));
    assert_eq!(set_text(directive, &mut config, "a.pem"), Ok(Change::Changed));
    let port = lookup(b"port").unwrap();
    assert_eq!(set_text(port, &mut config, "6379"), Ok(Change::Same));
}

#[test]
fn a_percentage_of_maxmemory_limits_clients() {
    let mut config = Config { maxmemory: 1000, ..Config::default() };
    set_text(lookup(b"maxmemory-clients").unwrap(), &mut config, "5%").unwrap();
    assert_eq!(config.maxmemory_clients_bytes(), 50);
    set_text(lookup(b"maxmemory-clients").unwrap(), &mut config, "1kb").unwrap();
    assert_eq!(config.maxmemory_clients_bytes(), 1024);
}
