//! CONFIG GET and CONFIG SET, as far as they need no server.
//!
//! *Duty:* which parameters patterns select; setting several parameters at once or none, with the refusals in
//! 7.0.15's words and order of precedence.
//! *Does not know:* what a change entails. The shell applies the changed directives, and when that fails puts the
//! old [`Config`] back and answers [`apply_failed`].
//! *Invariants:* a refused [`set_many`] leaves the configuration as it was.
//! *Counterpart in C Redis:* `configGetCommand`, `configSetCommand`.

use super::directive::{Change, Directive, Flags};
use super::fields::Config;
use super::table::{lookup, table};
use super::values::Locality;
use crate::base::glob::{self, Case};

/// The text of an error reply, code included, without the leading `-` and the line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CmdText(pub Vec<u8>);

impl CmdText {
    /// Line ends would break the protocol, so they become blanks.
    fn new(parts: &[&[u8]]) -> CmdText {
        let blank = |byte: u8| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte };
        CmdText(parts.concat().into_iter().map(blank).collect())
    }
}

/// What CONFIG SET must know about the server and the client.
#[derive(Clone, Copy, Debug)]
pub struct SetContext {
    /// A data set is being loaded.
    pub loading: bool,
    pub client: Locality,
}

/// The parameters that `patterns` select, with their values: each name once, and under the name that was asked
/// for. Aliases match and show on their own. What is hidden shows only when named in full.
pub fn get_many<P: AsRef<[u8]>>(config: &Config, patterns: &[P]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut add = |name: &[u8], directive: &Directive| {
        if !found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            found.push((name.to_vec(), directive.get(config)));
        }
    };
    for pattern in patterns {
        let pattern = pattern.as_ref();
        if !pattern.iter().any(|byte| b"[*?".contains(byte)) {
            if let Some(directive) = lookup(pattern) {
                add(pattern, directive);
            }
            continue;
        }
        for directive in table().filter(|directive| !directive.has(Flags::HIDDEN)) {
            for name in directive.names() {
                if glob::matches(pattern, name.as_bytes(), Case::Insensitive) {
                    add(name.as_bytes(), directive);
                }
            }
        }
    }
    found
}

/// The words that CONFIG SET's one value stands for.
pub fn words_of(directive: &Directive, value: &[u8]) -> Vec<Vec<u8>> {
    if !directive.has(Flags::MULTI_ARG) {
        vec![value.to_vec()]
    } else if value.is_empty() {
        Vec::new()
    } else {
        value.split(|&byte| byte == b' ').map(<[u8]>::to_vec).collect()
    }
}

/// Sets all of `pairs` or, refusing, none; gives the directives whose value changed.
pub fn set_many<B: AsRef<[u8]>>(
    config: &mut Config,
    pairs: &[(B, B)],
    context: SetContext,
) -> Result<Vec<&'static Directive>, CmdText> {
    let directives = settable(config, pairs, context)?;
    let mut next = config.clone();
    let mut changed = Vec::new();
    for (directive, (name, value)) in directives.into_iter().zip(pairs) {
        let outcome = directive.set(&mut next, &words_of(directive, value.as_ref()));
        let refusal = |text: &str| set_failed(&name.as_ref().to_ascii_lowercase(), text.as_bytes());
        match outcome.map_err(|error| refusal(&error.0))? {
            Change::Changed => changed.push(directive),
            Change::Same => {}
        }
    }
    *config = next;
    Ok(changed)
}

/// The directives that `pairs` name, when each of them may be set now. The first refusal counts.
fn settable<B: AsRef<[u8]>>(
    config: &Config,
    pairs: &[(B, B)],
    context: SetContext,
) -> Result<Vec<&'static Directive>, CmdText> {
    let mut directives: Vec<&'static Directive> = Vec::with_capacity(pairs.len());
    for (name, _) in pairs {
        let name = name.as_ref();
        let Some(directive) = lookup(name) else {
            return Err(CmdText::new(&[b"ERR Unknown option or number of arguments for CONFIG SET - '", name, b"'"]));
        };
        if directive.has(Flags::IMMUTABLE) {
            return Err(set_failed(name, b"can't set immutable config"));
        }
        if directive.has(Flags::PROTECTED) && !config.enable_protected_configs.allows(context.client) {
            return Err(set_failed(name, b"can't set protected config"));
        }
        if directive.has(Flags::DENY_LOADING) && context.loading {
            return Err(CmdText::new(&[b"LOADING Redis is loading the dataset in memory"]));
        }
        // Quirk: an alias beside its directive is no duplicate; the later value wins (`aliases_are_no_duplicates`).
        let same_name = |(earlier, _): &(B, B)| earlier.as_ref().eq_ignore_ascii_case(name);
        if pairs[..directives.len()].iter().any(same_name) {
            return Err(set_failed(name, b"duplicate parameter"));
        }
        directives.push(directive);
    }
    Ok(directives)
}

/// The refusal of a value that was good in itself, but could not be put into effect.
pub fn apply_failed(directive: &Directive, reason: &str) -> CmdText {
    set_failed(directive.name.as_bytes(), reason.as_bytes())
}

fn set_failed(name: &[u8], reason: &[u8]) -> CmdText {
    CmdText::new(&[b"ERR CONFIG SET failed (possibly related to argument '", name, b"') - ", reason])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::ProtectedAction;

    const AT_REST: SetContext = SetContext { loading: false, client: Locality::Remote };

    fn names(patterns: &[&str]) -> Vec<String> {
        let found = get_many(&Config::default(), patterns);
        found.into_iter().map(|(name, _)| String::from_utf8(name).unwrap()).collect()
    }

    fn set(config: &mut Config, pairs: &[(&str, &str)]) -> Result<Vec<&'static str>, String> {
        set_in(config, pairs, AT_REST)
    }

    fn set_in(config: &mut Config, pairs: &[(&str, &str)], context: SetContext) -> Result<Vec<&'static str>, String> {
        match set_many(config, pairs, context) {
            Ok(changed) => Ok(changed.into_iter().map(|directive| directive.name).collect()),
            Err(text) => Err(String::from_utf8(text.0).unwrap()),
        }
    }

    #[test]
    fn get_finds_names_patterns_and_aliases_once() {
        assert_eq!(names(&["SAVE", "save"]), ["SAVE"]);
        assert_eq!(
            names(&["repl-ping-*", "REPL-ping-slave-period"]),
            ["repl-ping-replica-period", "repl-ping-slave-period"]
        );
        assert_eq!(
            names(&["maxmemory", "maxmemory-s*", "b?nd", "*of"]),
            ["maxmemory", "maxmemory-samples", "bind", "replicaof", "slaveof"]
        );
        assert_eq!(names(&["lua-*"]), ["lua-time-limit"]);
        assert!(names(&["nothing", "no*thing", ""]).is_empty());
    }

    #[test]
    fn hidden_parameters_show_when_named_in_full() {
        assert_eq!(names(&["key-load-delay"]), ["key-load-delay"]);
        assert!(names(&["key-load-dela?"]).is_empty());
    }

    #[test]
    fn star_shows_the_192_names_of_7_0_15_and_ours() {
        assert_eq!(names(&["*"]).len(), 192 + 4);
    }

    #[test]
    fn several_parameters_are_set_and_the_changed_ones_told() {
        let mut config = Config::default();
        let pairs = [("maxmemory", "12.5gb"), ("timeout", "0"), ("SAVE", "3000 5"), ("slave-priority", "7")];
        assert_eq!(set(&mut config, &pairs), Ok(vec!["maxmemory", "save", "replica-priority"]));
        assert_eq!(config.maxmemory, 13_421_772_800);
        assert_eq!(config.replica_priority, 7);
    }

    #[test]
    fn one_bad_value_leaves_everything_as_it_was() {
        let mut config = Config::default();
        let pairs = [("maxmemory", "1"), ("maxmemory-clients", "200%"), ("client-query-buffer-limit", "bad")];
        let refusal = "ERR CONFIG SET failed (possibly related to argument 'maxmemory-clients') - \
                       percentage argument must be less or equal to 100";
        assert_eq!(set(&mut config, &pairs), Err(refusal.to_owned()));
        assert_eq!(config, Config::default());
    }

    #[test]
    fn what_may_not_be_set_is_refused_under_the_name_given() {
        let mut config = Config::default();
        let cases = [
            (
                ("Daemonize", "yes"),
                "ERR CONFIG SET failed (possibly related to argument 'Daemonize') - can't set immutable config",
            ),
            (("dir", "/"), "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config"),
            (("a\r\nb", "/"), "ERR Unknown option or number of arguments for CONFIG SET - 'a  b'"),
            (
                ("Slave-Priority", "x"),
                "ERR CONFIG SET failed (possibly related to argument 'slave-priority') - \
                 argument couldn't be parsed into an integer",
            ),
            (("save", "9001"), "ERR CONFIG SET failed (possibly related to argument 'save') - Invalid save parameters"),
        ];
        for (pair, refusal) in cases {
            assert_eq!(set(&mut config, &[pair]), Err(refusal.to_owned()));
        }
    }

    #[test]
    fn the_same_name_twice_is_refused() {
        let refusal = "ERR CONFIG SET failed (possibly related to argument 'SaVe') - duplicate parameter";
        assert_eq!(set(&mut Config::default(), &[("save", ""), ("SaVe", "")]), Err(refusal.to_owned()));
    }

    #[test]
    fn aliases_are_no_duplicates() {
        let mut config = Config::default();
        let pairs = [("replica-priority", "1"), ("slave-priority", "2")];
        assert!(set(&mut config, &pairs).is_ok());
        assert_eq!(config.replica_priority, 2);
    }

    #[test]
    fn protected_parameters_open_to_local_clients() {
        let mut config = Config { enable_protected_configs: ProtectedAction::Local, ..Config::default() };
        assert!(set(&mut config, &[("dbfilename", "x")]).is_err());
        let local = SetContext { loading: false, client: Locality::Local };
        assert_eq!(set_in(&mut config, &[("dbfilename", "x")], local), Ok(vec!["dbfilename"]));
    }

    #[test]
    fn loading_forbids_some_parameters() {
        let loading = SetContext { loading: true, client: Locality::Local };
        let refusal = "LOADING Redis is loading the dataset in memory";
        assert_eq!(set_in(&mut Config::default(), &[("appendonly", "yes")], loading), Err(refusal.to_owned()));
        assert_eq!(set_in(&mut Config::default(), &[("loglevel", "debug")], loading), Ok(vec!["loglevel"]));
    }

    #[test]
    fn lists_are_split_at_single_blanks() {
        let mut config = Config::default();
        assert!(set(&mut config, &[("save", "900  1")]).is_err());
        assert_eq!(set(&mut config, &[("save", "")]), Ok(vec!["save"]));
        assert!(config.save.is_empty());
        assert_eq!(set(&mut config, &[("bind", "")]), Ok(vec!["bind"]));
        assert!(config.bind.is_empty());
    }
}
