//! [`Directive`]: one row of the table, and what follows from it: reading words into a field, printing the field.
//!
//! *Duty:* the grammar of each kind of value (yes/no, number, name out of a list, text) with 7.0.15's refusals.
//! *Does not know:* which directives there are (`table/`), where words come from (`parse`, `command`), and what
//! the server must do when a value changes.
//! *Invariants:* [`Directive::set`] either changes its field or, refusing, leaves it alone; what [`Directive::get`]
//! prints is accepted by `set` and means the same value.
//! *Counterpart in C Redis:* `standardConfig`, `typeInterface` and the functions per type in `config.c`.

use super::fields::Config;
use super::number::Form;
use std::borrow::Cow;

/// What a directive is like, apart from its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    pub const NONE: Flags = Flags(0);
    /// Only the file and the arguments set it.
    pub const IMMUTABLE: Flags = Flags(1 << 0);
    /// Takes several words; a single one is split at blanks.
    pub const MULTI_ARG: Flags = Flags(1 << 1);
    /// Kept out of the slow log, MONITOR and the crash report.
    pub const SENSITIVE: Flags = Flags(1 << 2);
    /// Only shown to who names it in full.
    pub const HIDDEN: Flags = Flags(1 << 3);
    /// Only set by who `enable-protected-configs` allows.
    pub const PROTECTED: Flags = Flags(1 << 4);
    /// Not while a data set is being loaded.
    pub const DENY_LOADING: Flags = Flags(1 << 5);
    /// Varied by the test suite's own runs.
    pub const DEBUG: Flags = Flags(1 << 6);
    /// Setting the same text again counts as a change: it names a file whose content may be new.
    pub const VOLATILE: Flags = Flags(1 << 7);

    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Whether setting a directive changed its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Changed,
    Same,
}

/// Why words are no value for a directive: the text, as Redis gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub Cow<'static, str>);

impl From<&'static str> for ConfigError {
    fn from(text: &'static str) -> ConfigError {
        ConfigError(Cow::Borrowed(text))
    }
}

impl From<String> for ConfigError {
    fn from(text: String) -> ConfigError {
        ConfigError(Cow::Owned(text))
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

pub type Outcome = Result<(), ConfigError>;

/// How words become a value, and where that value is.
#[derive(Clone, Copy)]
pub enum Kind {
    YesNo {
        get: fn(&Config) -> bool,
        put: fn(&mut Config, bool),
    },
    Number {
        get: fn(&Config) -> i128,
        put: fn(&mut Config, i128),
        min: i128,
        max: i128,
        form: Form,
    },
    Choice {
        get: fn(&Config) -> &'static str,
        put: fn(&mut Config, &[u8]) -> bool,
        names: fn(&Config) -> Vec<&'static str>,
    },
    /// Text that must be UTF-8: names, paths, addresses.
    Text {
        get: fn(&Config) -> &str,
        put: fn(&mut Config, String),
    },
    /// Any bytes: passwords.
    Bytes {
        get: fn(&Config) -> &[u8],
        put: fn(&mut Config, Vec<u8>),
    },
    /// A grammar of its own, over all words.
    Special {
        get: fn(&Config) -> String,
        put: fn(&mut Config, &[Vec<u8>]) -> Outcome,
    },
}

/// One parameter of the server.
pub struct Directive {
    pub name: &'static str,
    /// The other name, of the time when replicas and listpacks were called otherwise.
    pub alias: Option<&'static str>,
    pub flags: Flags,
    pub kind: Kind,
    /// A refusal that the kind's grammar does not know, asked before the value is stored.
    check: Option<fn(&[u8]) -> Outcome>,
}

impl Directive {
    pub(super) const fn new(name: &'static str, kind: Kind) -> Directive {
        Directive { name, alias: None, flags: Flags::NONE, kind, check: None }
    }

    pub(super) const fn alias(self, alias: &'static str) -> Directive {
        Directive { alias: Some(alias), ..self }
    }

    pub(super) const fn flags(self, flags: Flags) -> Directive {
        Directive { flags: self.flags.with(flags), ..self }
    }

    pub(super) const fn immutable(self) -> Directive {
        self.flags(Flags::IMMUTABLE)
    }

    pub(super) const fn check(self, check: fn(&[u8]) -> Outcome) -> Directive {
        Directive { check: Some(check), ..self }
    }

    pub fn has(&self, flags: Flags) -> bool {
        self.flags.has(flags)
    }

    /// Whether `name` is this directive's name or alias, in any case.
    pub fn is_called(&self, name: &[u8]) -> bool {
        self.names().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The name, then the alias if there is one.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.alias)
    }

    /// The value as CONFIG GET prints it.
    pub fn get(&self, config: &Config) -> Vec<u8> {
        match self.kind {
            Kind::YesNo { get, .. } => if get(config) { "yes" } else { "no" }.into(),
            Kind::Number { get, form, .. } => form.text(get(config)).into_bytes(),
            Kind::Choice { get, .. } => get(config).into(),
            Kind::Text { get, .. } => get(config).into(),
            Kind::Bytes { get, .. } => get(config).to_vec(),
            Kind::Special { get, .. } => get(config).into_bytes(),
        }
    }

    /// Reads `words` as this directive's new value. Several words suit only [`Flags::MULTI_ARG`].
    pub fn set(&self, config: &mut Config, words: &[Vec<u8>]) -> Result<Change, ConfigError> {
        if let Kind::Special { put, .. } = self.kind {
            let before = self.get(config);
            put(config, words)?;
            // The list grammars count as changed even when they say the same again; their effects are repeatable.
            let same = !self.has(Flags::MULTI_ARG) && before == self.get(config);
            return Ok(if same { Change::Same } else { Change::Changed });
        }
        let [word] = words else {
            return Err("wrong number of arguments".into());
        };
        let before = self.get(config);
        self.put_word(config, word)?;
        let same = !self.has(Flags::VOLATILE) && before == self.get(config);
        Ok(if same { Change::Same } else { Change::Changed })
    }

    fn put_word(&self, config: &mut Config, word: &[u8]) -> Outcome {
        match self.kind {
            Kind::YesNo { put, .. } => {
                let value = yes_or_no(word)?;
                self.checked(word)?;
                put(config, value);
            }
            Kind::Number { put, min, max, form, .. } => {
                let value = form.parse(word)?;
                form.within(value, min, max)?;
                put(config, value);
            }
            Kind::Choice { put, names, .. } => {
                if !put(config, word) {
                    return Err(one_of(&names(config)));
                }
            }
            Kind::Text { put, .. } => {
                self.checked(word)?;
                let text = std::str::from_utf8(word).map_err(|_| ConfigError::from("argument must be UTF-8 text"))?;
                put(config, text.to_owned());
            }
            Kind::Bytes { put, .. } => put(config, word.to_vec()),
            Kind::Special { .. } => unreachable!("a special grammar takes all words at once"),
        }
        Ok(())
    }

    fn checked(&self, word: &[u8]) -> Outcome {
        self.check.map_or(Ok(()), |check| check(word))
    }
}

impl std::fmt::Debug for Directive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Rows are one of a kind, so the name decides.
impl PartialEq for Directive {
    fn eq(&self, other: &Directive) -> bool {
        self.name == other.name
    }
}

fn yes_or_no(word: &[u8]) -> Result<bool, ConfigError> {
    if word.eq_ignore_ascii_case(b"yes") {
        Ok(true)
    } else if word.eq_ignore_ascii_case(b"no") {
        Ok(false)
    } else {
        Err("argument must be 'yes' or 'no'".into())
    }
}

/// The refusal of a word that is none of `names`.
pub(super) fn one_of(names: &[&str]) -> ConfigError {
    format!("argument(s) must be one of the following: {}", names.join(", ")).into()
}
