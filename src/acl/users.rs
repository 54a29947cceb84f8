//! [`Users`]: all users, by name and by id.
//!
//! *Duty:* find, change, remove; read the lines of an ACL file, all of them or none. *Does not know:* files; who is
//! connected. *Invariants:* `default` has the id [`UserId::DEFAULT`] and is never removed; an id is never used for
//! another user. *Counterpart in C Redis:* `Users` (a radix tree), `ACLLoadFromFile`, `ACLSaveToFile`.

use std::collections::BTreeMap;

use super::has_spaces;
use super::selector::RuleError;
use super::user::{Grammar, User, merge_selectors};

/// The user as which connections begin.
pub const DEFAULT: &[u8] = b"default";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(u64);

impl UserId {
    pub const DEFAULT: UserId = UserId(0);
}

pub struct Users {
    users: BTreeMap<UserId, User>,
    by_name: BTreeMap<Box<[u8]>, UserId>,
    last_id: u64,
}

impl Users {
    /// `default` alone, to which everything is allowed.
    pub fn new(grammar: Grammar<'_>) -> Users {
        let by_name = BTreeMap::from([(DEFAULT.into(), UserId::DEFAULT)]);
        Users { users: BTreeMap::from([(UserId::DEFAULT, User::default_user(grammar))]), by_name, last_id: 0 }
    }

    pub fn find(&self, name: &[u8]) -> Option<UserId> {
        self.by_name.get(name).copied()
    }

    pub fn get(&self, id: UserId) -> Option<&User> {
        self.users.get(&id)
    }

    pub fn by_name(&self, name: &[u8]) -> Option<&User> {
        self.get(self.find(name)?)
    }

    pub fn default_user(&self) -> &User {
        &self.users[&UserId::DEFAULT]
    }

    pub fn default_user_mut(&mut self) -> &mut User {
        self.users.get_mut(&UserId::DEFAULT).expect("default is never removed")
    }

    /// In order of names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &User> {
        self.by_name.values().map(|id| &self.users[id])
    }

    /// Puts a user in the place of the one of the same name, or beside the others.
    pub fn put(&mut self, user: User) -> UserId {
        let id = self.find(&user.name).unwrap_or_else(|| {
            self.last_id += 1;
            UserId(self.last_id)
        });
        self.by_name.insert(user.name.clone(), id);
        self.users.insert(id, user);
        id
    }

    /// Removes a user other than `default`.
    pub fn remove(&mut self, name: &[u8]) -> Option<UserId> {
        if name == DEFAULT {
            return None;
        }
        let id = self.by_name.remove(name)?;
        self.users.remove(&id);
        Some(id)
    }

    /// Exchanges all users; `fresh` is `default` if it is not among the new ones. Nobody else keeps its id.
    pub fn replace(&mut self, users: Vec<User>, fresh: User) {
        self.by_name.retain(|name, _| &**name == DEFAULT);
        self.users.retain(|id, _| *id == UserId::DEFAULT);
        self.put(fresh);
        users.into_iter().for_each(|user| {
            self.put(user);
        });
    }

    /// Who comes with this name and password.
    pub fn authenticate(&self, name: &[u8], password: &[u8]) -> Option<UserId> {
        let id = self.find(name)?;
        self.users[&id].accepts(password).then_some(id)
    }

    /// A user after further rules, which are applied to a copy. `Err`: the rule that is refused.
    pub fn changed(&self, name: &[u8], rules: &[Vec<u8>], grammar: Grammar<'_>) -> Result<User, (usize, RuleError)> {
        let mut user = self.by_name(name).cloned().unwrap_or_else(|| User::new(name, grammar));
        for (index, rule) in rules.iter().enumerate() {
            user.apply(grammar, rule).map_err(|error| (index, error))?;
        }
        Ok(user)
    }

    /// The lines of an ACL file.
    pub fn to_text(&self, grammar: Grammar<'_>) -> Vec<u8> {
        let line = |user: &User| [b"user ", &*user.name, b" ", &user.describe(grammar.commands), b"\n"].concat();
        self.iter().flat_map(line).collect()
    }
}

/// What every error of a file ends with.
const NOTHING_CHANGED: &str =
    "WARNING: ACL errors detected, no change to the previously active ACL rules was performed";

/// Reads an ACL file as a whole. `Err`: what is wrong with each line.
pub fn read_file(text: &[u8], name: &str, grammar: Grammar<'_>) -> Result<Vec<User>, Vec<u8>> {
    let mut users: Vec<User> = Vec::new();
    let mut errors = Vec::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
        let start = line.iter().position(|byte| !blank(byte));
        let end = line.iter().rposition(|byte| !blank(byte));
        let (Some(start), Some(end)) = (start, end) else { continue };
        let words: Vec<&[u8]> = line[start..=end].split(|byte| *byte == b' ').collect();
        read_line(&words, &format!("{name}:{}", index + 1), index + 1, grammar, &mut users, &mut errors);
    }
    if errors.is_empty() {
        return Ok(users);
    }
    errors.extend_from_slice(NOTHING_CHANGED.as_bytes());
    Err(errors)
}

fn read_line(
    words: &[&[u8]],
    place: &str,
    number: usize,
    grammar: Grammar<'_>,
    users: &mut Vec<User>,
    errors: &mut Vec<u8>,
) {
    let [b"user", name, rules @ ..] = words else {
        let text = format!("{place} should start with user keyword followed by the username. ");
        return errors.extend_from_slice(text.as_bytes());
    };
    if has_spaces(name) {
        let parts = [b"'", place.as_bytes(), b": username '", name, b"' contains invalid characters. "];
        return errors.extend_from_slice(&parts.concat());
    }
    if users.iter().any(|user| *user.name == **name) {
        let end = format!("' found on line {number}. ");
        return errors.extend_from_slice(&[b"WARNING: Duplicate user '", *name, end.as_bytes()].concat());
    }
    let mut user = User::new(name, grammar);
    match merge_selectors(rules) {
        Err(_) => {
            errors.extend_from_slice(format!("{place}: Unmatched parenthesis in selector definition.").as_bytes());
        }
        Ok(rules) => apply_all(&mut user, &rules, place, grammar, errors),
    }
    users.push(user);
}

/// Unknown commands are told one by one, as they hold no secret; of other errors the first, which may cause others.
fn apply_all(user: &mut User, rules: &[Vec<u8>], place: &str, grammar: Grammar<'_>, errors: &mut Vec<u8>) {
    let mut told = false;
    for rule in rules {
        let Err(error) = user.apply(grammar, rule.trim_ascii()) else { continue };
        if error == RuleError::UnknownCommand {
            let (head, end) = (format!("{place}: Error in applying operation '"), format!("': {}. ", error.text()));
            errors.extend_from_slice(&[head.as_bytes(), rule.trim_ascii(), end.as_bytes()].concat());
        } else if !std::mem::replace(&mut told, true) {
            errors.extend_from_slice(format!("{place}: {}. ", error.text()).as_bytes());
        }
    }
}
