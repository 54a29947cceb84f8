//! [`Selector`]: one set of rights: commands, keys, channels. A user has a first one, and may have more.
//!
//! *Duty:* apply the rules of a selector, and answer whether it covers a request. *Does not know:* passwords, other
//! selectors. *Invariants:* a rule that is refused has changed nothing. `all_commands` implies that every bit is set.
//! *Counterpart in C Redis:* `aclSelector`, `ACLSetSelector`, `ACLSelectorCheckCmd`.

use std::collections::BTreeMap;

use super::commands::{CmdId, Commands, MAX_COMMANDS};
use super::has_spaces;
use crate::base::glob::{self, Case};
use crate::command::spec::{Categories, KeyFlags, NO_AUTH};

const WORDS: usize = MAX_COMMANDS / 64;
/// Set by `+@all` and cleared by `-@all` alone: whether a command that is not known yet is allowed.
const FUTURE: CmdId = CmdId(MAX_COMMANDS as u16 - 1);

/// A bit for each command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits([u64; WORDS]);

impl Bits {
    pub const NONE: Bits = Bits([0; WORDS]);
    pub const ALL: Bits = Bits([u64::MAX; WORDS]);

    pub fn has(&self, id: CmdId) -> bool {
        self.0[id.0 as usize / 64] & 1 << (id.0 % 64) != 0
    }

    pub fn set(&mut self, id: CmdId, on: bool) {
        let (word, bit) = (&mut self.0[id.0 as usize / 64], 1 << (id.0 % 64));
        if on { *word |= bit } else { *word &= !bit }
    }

    pub fn allow_future(&self) -> bool {
        self.has(FUTURE)
    }
}

/// What may be done to keys that match a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub read: bool,
    pub write: bool,
}

impl Access {
    pub const BOTH: Access = Access { read: true, write: true };

    /// What a command needs for what it does to a key. Asking whether the key is there needs neither.
    fn needed(flags: KeyFlags) -> Access {
        let changes = KeyFlags::INSERT.or(KeyFlags::DELETE).or(KeyFlags::UPDATE);
        Access { read: flags.has(KeyFlags::ACCESS), write: flags.has(changes) }
    }

    fn covers(self, needed: Access) -> bool {
        (self.read || !needed.read) && (self.write || !needed.write)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPattern {
    pub pattern: Box<[u8]>,
    pub access: Access,
}

/// Why a rule is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleError {
    UnknownCommand,
    Syntax,
    AllKeys,
    AllChannels,
    NoSuchPassword,
    BadHash,
    Duplicate,
    FirstArgOfSubcommand,
}

impl RuleError {
    pub fn text(self) -> &'static str {
        match self {
            RuleError::UnknownCommand => "Unknown command or category name in ACL",
            RuleError::Syntax => "Syntax error",
            RuleError::AllKeys => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any \
                 effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            RuleError::AllChannels => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any \
                 effect. Try 'resetchannels' to start with an empty list of channels"
            }
            RuleError::NoSuchPassword => "The password you are trying to remove from the user does not exist",
            RuleError::BadHash => {
                "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
            }
            RuleError::Duplicate => "Duplicate user found. A user can only be defined once in config files",
            RuleError::FirstArgOfSubcommand => "Allowing first-arg of a subcommand is not supported",
        }
    }
}

/// A key of a request, and what is done to it.
#[derive(Clone, Copy, Debug)]
pub struct Touched<'a> {
    /// Which argument it is.
    pub at: usize,
    pub name: &'a [u8],
    pub flags: KeyFlags,
}

/// A channel of a request.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    pub at: usize,
    pub name: &'a [u8],
    pub is_pattern: bool,
}

/// What somebody wants to run.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub command: CmdId,
    /// The argument behind the command's name, the subcommand's included.
    pub first_arg: Option<&'a [u8]>,
    pub keys: Vec<Touched<'a>>,
    pub channels: Vec<Heard<'a>>,
}

/// Why a request is refused, with the place of the argument. A later reason says that more was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denied {
    Command,
    Key(usize),
    Channel(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    pub all_keys: bool,
    pub all_channels: bool,
    pub all_commands: bool,
    pub allowed: Bits,
    /// First arguments with which a command is allowed that is not allowed as such.
    pub first_args: BTreeMap<CmdId, Vec<Box<[u8]>>>,
    pub keys: Vec<KeyPattern>,
    pub channels: Vec<Box<[u8]>>,
}

impl Selector {
    /// One that allows nothing, but listening everywhere if that is the default.
    pub fn new(all_channels: bool) -> Selector {
        Selector {
            all_keys: false,
            all_channels,
            all_commands: false,
            allowed: Bits::NONE,
            first_args: BTreeMap::new(),
            keys: Vec::new(),
            channels: Vec::new(),
        }
    }

    pub fn is_unrestricted(&self) -> bool {
        self.all_keys && self.all_channels && self.all_commands
    }

    /// Applies one rule.
    pub fn apply(&mut self, commands: &Commands, rule: &[u8]) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        if rule.is_empty() {
        } else if is("allkeys") || is("~*") {
            (self.all_keys, self.keys) = (true, Vec::new());
        } else if is("resetkeys") {
            (self.all_keys, self.keys) = (false, Vec::new());
        } else if is("allchannels") || is("&*") {
            (self.all_channels, self.channels) = (true, Vec::new());
        } else if is("resetchannels") {
            (self.all_channels, self.channels) = (false, Vec::new());
        } else if is("allcommands") || is("+@all") {
            (self.all_commands, self.allowed, self.first_args) = (true, Bits::ALL, BTreeMap::new());
        } else if is("nocommands") || is("-@all") {
            (self.all_commands, self.allowed, self.first_args) = (false, Bits::NONE, BTreeMap::new());
        } else {
            return match rule.split_at(1) {
                (b"~" | b"%", _) => self.add_keys(rule),
                (b"&", channel) => self.add_channel(channel),
                (sign @ (b"+" | b"-"), [b'@', category @ ..]) => {
                    let category = Commands::category(category).ok_or(RuleError::UnknownCommand)?;
                    self.set_category(commands, category, sign == b"+");
                    Ok(())
                }
                (b"+", name) => self.allow(commands, name),
                (b"-", name) => {
                    let id = commands.find(name).ok_or(RuleError::UnknownCommand)?;
                    self.set_command(commands, id, false);
                    Ok(())
                }
                _ => Err(RuleError::Syntax),
            };
        }
        Ok(())
    }

    /// `~pattern`, `%R~pattern` and its kin. Without a `~` behind `%R` the pattern is empty, as in 7.0.15.
    fn add_keys(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        if self.all_keys {
            return Err(RuleError::AllKeys);
        }
        let (letters, pattern): (&[u8], &[u8]) = match rule.iter().position(|byte| *byte == b'~') {
            Some(tilde) => (&rule[..tilde], &rule[tilde + 1..]),
            None => (rule, b""),
        };
        let access = match letters.strip_prefix(b"%") {
            None => Access::BOTH,
            Some(letters) => access_of(letters).ok_or(RuleError::Syntax)?,
        };
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        match self.keys.iter_mut().find(|known| &*known.pattern == pattern) {
            Some(known) => {
                known.access.read |= access.read;
                known.access.write |= access.write;
            }
            None => self.keys.push(KeyPattern { pattern: pattern.into(), access }),
        }
        Ok(())
    }

    fn add_channel(&mut self, channel: &[u8]) -> Result<(), RuleError> {
        if self.all_channels {
            return Err(RuleError::AllChannels);
        }
        if has_spaces(channel) {
            return Err(RuleError::Syntax);
        }
        if !self.channels.iter().any(|known| &**known == channel) {
            self.channels.push(channel.into());
        }
        Ok(())
    }

    /// `+name`, `+container|subcommand`, `+command|first-argument`.
    fn allow(&mut self, commands: &Commands, name: &[u8]) -> Result<(), RuleError> {
        let Some(bar) = name.iter().rposition(|byte| *byte == b'|') else {
            let id = commands.find(name).ok_or(RuleError::UnknownCommand)?;
            self.set_command(commands, id, true);
            return Ok(());
        };
        let (command, sub) = (&name[..bar], &name[bar + 1..]);
        let id = commands.find(command).ok_or(RuleError::UnknownCommand)?;
        if commands.parent(id).is_some() {
            return Err(RuleError::FirstArgOfSubcommand);
        }
        if sub.is_empty() {
            return Err(RuleError::Syntax);
        }
        if !commands.children(id).is_empty() {
            let id = commands.find(name).ok_or(RuleError::UnknownCommand)?;
            self.set_command(commands, id, true);
            return Ok(());
        }
        let known = self.first_args.entry(id).or_default();
        if !known.iter().any(|arg| arg.eq_ignore_ascii_case(sub)) {
            known.push(sub.into());
        }
        Ok(())
    }

    /// A command with all that it contains. What was said of its first arguments is forgotten.
    pub(super) fn set_command(&mut self, commands: &Commands, id: CmdId, on: bool) {
        self.allowed.set(id, on);
        self.all_commands &= on;
        self.first_args.remove(&id);
        for child in commands.children(id) {
            self.set_command(commands, *child, on);
        }
    }

    pub(super) fn set_category(&mut self, commands: &Commands, category: Categories, on: bool) {
        for id in commands.in_order().filter(|id| commands.is_in(*id, category)) {
            self.set_command(commands, id, on);
        }
    }

    /// Whether this selector covers the whole request.
    pub fn check(&self, commands: &Commands, request: &Request<'_>) -> Result<(), Denied> {
        self.check_command(commands, request)?;
        if !self.all_keys {
            let refused = request.keys.iter().find(|key| !self.may_touch(key));
            refused.map_or(Ok(()), |key| Err(Denied::Key(key.at)))?;
        }
        if !self.all_channels {
            let refused = request.channels.iter().find(|heard| !may_hear(&self.channels, heard.name, heard.is_pattern));
            refused.map_or(Ok(()), |heard| Err(Denied::Channel(heard.at)))?;
        }
        Ok(())
    }

    /// Commands by which a stranger may begin are everybody's.
    fn check_command(&self, commands: &Commands, request: &Request<'_>) -> Result<(), Denied> {
        let id = request.command;
        if self.all_commands || self.allowed.has(id) || commands.spec(id).flags.has(NO_AUTH) {
            return Ok(());
        }
        let arg = request.first_arg.ok_or(Denied::Command)?;
        let known = self.first_args.get(&id).ok_or(Denied::Command)?;
        if known.iter().any(|allowed| allowed.eq_ignore_ascii_case(arg)) { Ok(()) } else { Err(Denied::Command) }
    }

    fn may_touch(&self, key: &Touched<'_>) -> bool {
        let needed = Access::needed(key.flags);
        let fits = |known: &KeyPattern| glob::matches(&known.pattern, key.name, Case::Sensitive);
        self.keys.iter().any(|known| known.access.covers(needed) && fits(known))
    }

    /// Whether each key there is may be read.
    pub fn reads_all_keys(&self) -> bool {
        self.all_keys || self.keys.iter().any(|known| known.access.read && &*known.pattern == b"*")
    }
}

/// The letters between `%` and `~`: each once, at least one.
fn access_of(letters: &[u8]) -> Option<Access> {
    let mut access = Access { read: false, write: false };
    for letter in letters {
        let right = match letter.to_ascii_uppercase() {
            b'R' => &mut access.read,
            b'W' => &mut access.write,
            _ => return None,
        };
        if std::mem::replace(right, true) {
            return None;
        }
    }
    (!letters.is_empty()).then_some(access)
}

/// Whether a list of channels covers one. A pattern must stand in the list as it is: what it would match is not asked.
pub fn may_hear(channels: &[Box<[u8]>], name: &[u8], is_pattern: bool) -> bool {
    channels.iter().any(|known| if is_pattern { &**known == name } else { glob::matches(known, name, Case::Sensitive) })
}
