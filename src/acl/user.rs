//! [`User`]: a name, passwords, and one or more selectors.
//!
//! *Duty:* apply the rules of a user; the canonical text. *Does not know:* who is connected as this user.
//! *Invariants:* there is always a first selector. A password is kept as the hexadecimal digits of its SHA-256, each
//! once. *Counterpart in C Redis:* `user`, `ACLSetUser`, `ACLDescribeUser`, `ACLMergeSelectorArguments`.

use super::commands::Commands;
use super::selector::{Denied, Request, RuleError, Selector, may_hear};
use crate::base::quote;
use crate::base::sha256::sha256;

/// What rules mean here.
#[derive(Clone, Copy)]
pub struct Grammar<'a> {
    pub commands: &'a Commands,
    /// `acl-pubsub-default allchannels`: who is new may listen everywhere.
    pub all_channels: bool,
}

/// What was said about payloads of RESTORE. It is shown, and changes nothing: every payload is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payloads {
    #[default]
    Unsaid,
    Skip,
    Sanitize,
}

const HASH_LEN: usize = 64;
type Hash = [u8; HASH_LEN];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: Box<[u8]>,
    pub enabled: bool,
    pub any_password: bool,
    pub payloads: Payloads,
    pub passwords: Vec<Hash>,
    /// The first holds the rules that stand outside of parentheses.
    pub selectors: Vec<Selector>,
}

impl User {
    /// A new user: off, with no password and no rights.
    pub fn new(name: &[u8], grammar: Grammar<'_>) -> User {
        User {
            name: name.into(),
            enabled: false,
            any_password: false,
            payloads: Payloads::default(),
            passwords: Vec::new(),
            selectors: vec![Selector::new(grammar.all_channels)],
        }
    }

    /// `default` as it is unless somebody changes it: everything is allowed to everybody.
    pub fn default_user(grammar: Grammar<'_>) -> User {
        let mut user = User::new(super::users::DEFAULT, grammar);
        for rule in ["+@all", "~*", "&*", "on", "nopass"] {
            user.apply(grammar, rule.as_bytes()).expect("these rules are known");
        }
        user
    }

    pub fn is_unrestricted(&self) -> bool {
        self.selectors.iter().any(Selector::is_unrestricted)
    }

    /// Applies one rule. Nothing of a refused one remains.
    pub fn apply(&mut self, grammar: Grammar<'_>, rule: &[u8]) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        if is("on") || is("off") {
            self.enabled = is("on");
        } else if is("nopass") || is("resetpass") {
            (self.any_password, self.passwords) = (is("nopass"), Vec::new());
        } else if is("sanitize-payload") {
            self.payloads = Payloads::Sanitize;
        } else if is("skip-sanitize-payload") {
            self.payloads = Payloads::Skip;
        } else if is("clearselectors") {
            self.selectors.truncate(1);
        } else if is("reset") {
            self.reset(grammar);
        } else {
            return match rule {
                [b'>', password @ ..] => self.add_password(hash(password)),
                [b'#', digits @ ..] => self.add_password(checked_hash(digits)?),
                [b'<', password @ ..] => self.remove_password(&hash(password)),
                [b'!', digits @ ..] => self.remove_password(&checked_hash(digits)?),
                [b'(', inner @ .., b')'] => self.add_selector(grammar, inner),
                _ => self.selectors[0].apply(grammar.commands, rule),
            };
        }
        Ok(())
    }

    fn reset(&mut self, grammar: Grammar<'_>) {
        let fresh = User::new(&self.name, grammar);
        *self = User { payloads: Payloads::Sanitize, ..fresh };
    }

    /// Sets the one password there is to be; an empty one lets everybody in.
    pub fn set_only_password(&mut self, password: &[u8]) {
        self.any_password = password.is_empty();
        self.passwords = if password.is_empty() { Vec::new() } else { vec![hash(password)] };
    }

    fn add_password(&mut self, digits: Hash) -> Result<(), RuleError> {
        if !self.passwords.contains(&digits) {
            self.passwords.push(digits);
        }
        self.any_password = false;
        Ok(())
    }

    fn remove_password(&mut self, digits: &Hash) -> Result<(), RuleError> {
        let at = self.passwords.iter().position(|known| known == digits).ok_or(RuleError::NoSuchPassword)?;
        self.passwords.remove(at);
        Ok(())
    }

    fn add_selector(&mut self, grammar: Grammar<'_>, inner: &[u8]) -> Result<(), RuleError> {
        let mut selector = Selector::new(grammar.all_channels);
        for rule in quote::split_args(inner).unwrap_or_default() {
            selector.apply(grammar.commands, &rule)?;
        }
        self.selectors.push(selector);
        Ok(())
    }

    /// Whether this password lets in. All hashes are compared to their ends, whatever they are.
    pub fn accepts(&self, password: &[u8]) -> bool {
        let given = hash(password);
        let known = self.passwords.iter().fold(false, |found, known| found | is_same(known, &given));
        self.enabled && (self.any_password || known)
    }

    /// Whether one selector covers the whole request; else the reason of the one that came furthest.
    pub fn check(&self, commands: &Commands, request: &Request<'_>) -> Result<(), Denied> {
        let mut reason = Denied::Command;
        for selector in &self.selectors {
            match selector.check(commands, request) {
                Ok(()) => return Ok(()),
                Err(denied) => reason = reason.max(denied),
            }
        }
        Err(reason)
    }

    /// Whether a selector that covers the request also reads every key there is: SORT looks up keys that are in no
    /// argument.
    pub fn reads_all_keys(&self, commands: &Commands, request: &Request<'_>) -> bool {
        self.selectors.iter().any(|s| s.reads_all_keys() && s.check(commands, request).is_ok())
    }

    /// The channels that may still be heard if some that could be are no longer allowed; `None`: all of them are.
    pub fn channels_left(before: &User, now: &User) -> Option<Vec<Box<[u8]>>> {
        if now.selectors.iter().any(|selector| selector.all_channels) {
            return None;
        }
        let channels = |user: &User| user.selectors.iter().flat_map(|s| s.channels.clone()).collect::<Vec<_>>();
        let left = channels(now);
        let had_all = before.selectors.iter().any(|selector| selector.all_channels);
        let lost = had_all || channels(before).iter().any(|channel| !left.contains(channel));
        lost.then_some(left)
    }

    /// The words that stand for what the user is, in the order of ACL LIST.
    pub fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.enabled { "on" } else { "off" }];
        if self.any_password {
            flags.push("nopass");
        }
        match self.payloads {
            Payloads::Unsaid => {}
            Payloads::Skip => flags.push("skip-sanitize-payload"),
            Payloads::Sanitize => flags.push("sanitize-payload"),
        }
        flags
    }

    /// All rules that make this user, name not included.
    pub fn describe(&self, commands: &Commands) -> Vec<u8> {
        let mut text = self.flags().join(" ").into_bytes();
        for password in &self.passwords {
            text.extend_from_slice(b" #");
            text.extend_from_slice(password);
        }
        for (index, selector) in self.selectors.iter().enumerate() {
            let (open, close): (&[u8], &[u8]) = if index == 0 { (b" ", b"") } else { (b" (", b")") };
            text.extend_from_slice(open);
            text.extend_from_slice(&selector.describe(commands));
            text.extend_from_slice(close);
        }
        text
    }
}

fn hash(password: &[u8]) -> Hash {
    let mut digits = [0; HASH_LEN];
    for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(sha256(password)) {
        *pair = [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[digit as usize]);
    }
    digits
}

fn checked_hash(digits: &[u8]) -> Result<Hash, RuleError> {
    let hash: Hash = digits.try_into().map_err(|_| RuleError::BadHash)?;
    let is_hex = hash.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex { Ok(hash) } else { Err(RuleError::BadHash) }
}

/// In a time that does not depend on where the two differ.
fn is_same(known: &Hash, given: &Hash) -> bool {
    let difference = known.iter().zip(given).fold(0, |all, (a, b)| all | a ^ b);
    std::hint::black_box(difference) == 0
}

/// Words of which some together are one selector, `(+get ~a)`, joined. `Err`: the place of a parenthesis that is never
/// closed.
pub fn merge_selectors<B: AsRef<[u8]>>(words: &[B]) -> Result<Vec<Vec<u8>>, usize> {
    let mut merged: Vec<Vec<u8>> = Vec::new();
    let mut open: Option<(usize, Vec<u8>)> = None;
    for (index, word) in words.iter().enumerate() {
        let word = word.as_ref();
        open = match open {
            None if word.starts_with(b"(") && !word.ends_with(b")") => Some((index, word.to_vec())),
            None => {
                merged.push(word.to_vec());
                None
            }
            Some((start, text)) => {
                let text = [&text, b" ".as_slice(), word].concat();
                if word.ends_with(b")") {
                    merged.push(text);
                    None
                } else {
                    Some((start, text))
                }
            }
        };
    }
    open.map_or(Ok(merged), |(start, _)| Err(start))
}

/// Whether somebody who listens to these may go on doing so, with these channels left.
pub fn may_stay<'a>(left: &[Box<[u8]>], mut heard: impl Iterator<Item = (&'a [u8], bool)>) -> bool {
    heard.all(|(name, is_pattern)| may_hear(left, name, is_pattern))
}
