//! `user` lines of a configuration, judged with everything else that is wrong with it.
//!
//! *Duty:* findings about rules that no user can have, and about users who are declared twice. *Does not know:* whether
//! the commands that a rule names exist: 7.0.15 asks that later in the start, and so does `access/files.rs`.
//! *Counterpart in C Redis:* `ACLAppendUserForLoading`.

use crate::acl::user::merge_selectors;
use crate::acl::{Commands, Grammar, RuleError, User};
use crate::config::parse::Loaded;
use crate::config::{AclPubsubDefault, Finding, Severity};
use crate::server::registry::Registry;

pub fn judge(loaded: &mut Loaded) {
    let config = &loaded.config;
    if config.user.is_empty() {
        return;
    }
    let registry = Registry::new();
    let commands = Commands::new(registry.rows().map(|(_, row)| row.spec));
    let all_channels = config.acl_pubsub_default == AclPubsubDefault::Allchannels;
    let grammar = Grammar { commands: &commands, all_channels };
    for (index, line) in config.user.iter().enumerate() {
        let (name, rules) = (&line.words[0], &line.words[1..]);
        let is_twice = config.user[..index].iter().any(|earlier| earlier.words[0] == *name);
        let wrong = if is_twice { Some(RuleError::Duplicate.text()) } else { refusal(name, rules, grammar) };
        if let Some(text) = wrong {
            let reason = format!("Error in user declaration '{}': {text}", name.escape_ascii());
            loaded.findings.push(Finding::new(Severity::Error, &line.origin, reason));
        }
    }
}

fn refusal(name: &[u8], rules: &[Vec<u8>], grammar: Grammar<'_>) -> Option<&'static str> {
    let Ok(rules) = merge_selectors(rules) else { return Some("Unmatched parenthesis in a selector") };
    let mut user = User::new(name, grammar);
    let mut refused = rules.iter().filter_map(|rule| user.apply(grammar, rule).err());
    refused.find(|error| *error != RuleError::UnknownCommand).map(RuleError::text)
}
