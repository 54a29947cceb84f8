//! Arguments that must not be shown: passwords, wherever the slow log or MONITOR would repeat them.
//!
//! *Duty:* which arguments of a call are secret, by command. *Invariant:* what the command itself would not take as a
//! secret (because the request is malformed before that place) is shown, as 7.0.15 does.
//! *Counterpart in C Redis:* the callers of `redactClientCommandArgument`.

use crate::call::Args;
use crate::config::{Flags, lookup};

const INSTEAD: &[u8] = b"(redacted)";
/// Where the options of MIGRATE begin.
const MIGRATE_OPTIONS: usize = 6;

/// The arguments, with what is secret replaced.
pub fn shown(command: &str, args: Args<'_>) -> Vec<Vec<u8>> {
    let mut shown: Vec<Vec<u8>> = args.iter().map(<[u8]>::to_vec).collect();
    for at in secrets(command, args) {
        shown[at] = INSTEAD.to_vec();
    }
    shown
}

fn secrets(command: &str, args: Args<'_>) -> Vec<usize> {
    let len = args.len();
    match command {
        "auth" if len <= 3 => (1..len).collect(),
        "hello" => hello(args),
        "acl|setuser" => (2..len).collect(),
        "config|set" if len.is_multiple_of(2) => {
            (2..len).step_by(2).filter(|at| is_sensitive(args.get(*at))).map(|at| at + 1).collect()
        }
        "migrate" => migrate(args),
        _ => Vec::new(),
    }
}

fn is_sensitive(directive: &[u8]) -> bool {
    lookup(directive).is_some_and(|directive| directive.has(Flags::SENSITIVE))
}

fn hello(args: Args<'_>) -> Vec<usize> {
    let mut at = 2;
    while at < args.len() {
        let behind = args.len() - at - 1;
        if args.is(at, "auth") && behind >= 2 {
            return vec![at + 1, at + 2];
        }
        if !args.is(at, "setname") || behind == 0 {
            break;
        }
        at += 2;
    }
    Vec::new()
}

fn migrate(args: Args<'_>) -> Vec<usize> {
    let (mut at, mut found) = (MIGRATE_OPTIONS, Vec::new());
    while at < args.len() {
        let behind = args.len() - at - 1;
        if args.is(at, "auth") && behind >= 1 {
            found.push(at + 1);
            at += 2;
        } else if args.is(at, "auth2") && behind >= 2 {
            found.extend([at + 1, at + 2]);
            at += 3;
        } else if args.is(at, "copy") || args.is(at, "replace") {
            at += 1;
        } else {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Argv;

    fn after(command: &str, line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let argv = Argv::from_args(&words);
        let shown = shown(command, Args::of(&argv));
        shown.iter().map(|word| String::from_utf8_lossy(word).replace("(redacted)", "*")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_secret_is_replaced_and_nothing_else() {
        let cases = [
            ("auth", "auth pw", "auth *"),
            ("auth", "auth user pw", "auth * *"),
            ("auth", "auth a b c", "auth a b c"),
            ("hello", "hello 3 setname x AUTH u p", "hello 3 setname x AUTH * *"),
            ("hello", "hello 3 auth u", "hello 3 auth u"),
            ("acl|setuser", "acl setuser bob on", "acl setuser * *"),
            ("config|set", "config set port 1 requirepass x", "config set port 1 requirepass *"),
            ("config|set", "config set masterauth", "config set masterauth"),
            ("migrate", "migrate h 1 k 9 10 copy auth pw", "migrate h 1 k 9 10 copy auth *"),
            ("migrate", "migrate h 1 k 9 10 AUTH2 u pw", "migrate h 1 k 9 10 AUTH2 * *"),
            ("migrate", "migrate h 1 k 9 10 keys auth x", "migrate h 1 k 9 10 keys auth x"),
            ("set", "set auth pw", "set auth pw"),
        ];
        for (command, line, expected) in cases {
            assert_eq!(after(command, line), expected);
        }
    }
}
