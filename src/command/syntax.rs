//! The argument tree of a command, parsed from the line of its row that a manual would print.
//!
//! *Duty:* what COMMAND DOCS answers and redis-cli hints are made of, from one readable line. *Does not know:* handlers,
//! replies. *Counterpart in C Redis:* the `arguments` of `commands/*.json`.
//!
//! ```text
//! key            an argument; its type follows from its name (`type_of_name`), a key's from the key specifications
//! NX             a word to be typed as it stands: anything without small letters (`*`, `$`, `""` too)
//! [ ... ]        may be left out; several arguments in it form one block
//! < a | b >      one of them
//! ( ... )        a block where no other bracket makes one
//! x y [x y ...]  once or several times (a block when more than one); also `x ...`
//! ```
//!
//! A word to be typed belongs to what follows it: at the head of `[ ]`, of a choice or of a repetition to all of the
//! rest, elsewhere to the next argument. Notes stand behind an argument or closing bracket without a blank: `:integer`
//! (type of an argument), `:name` (name of a bracket or word), `#1` (index of its key specification), `@7.0.0` (the
//! release it came with), `!2.8.12` (the release that deprecated it), in this order. Brackets without a name are named after their contents (`group_name`).

mod notation;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::command::spec::{Begin, Find, KeyFlags, Spec};
use notation::{Item, Note};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentType {
    String,
    Integer,
    Double,
    Key,
    Pattern,
    UnixTime,
    PureToken,
    OneOf,
    Block,
}

impl ArgumentType {
    const NAMES: [(&'static str, ArgumentType); 9] = [
        ("string", ArgumentType::String),
        ("integer", ArgumentType::Integer),
        ("double", ArgumentType::Double),
        ("key", ArgumentType::Key),
        ("pattern", ArgumentType::Pattern),
        ("unix-time", ArgumentType::UnixTime),
        ("pure-token", ArgumentType::PureToken),
        ("oneof", ArgumentType::OneOf),
        ("block", ArgumentType::Block),
    ];

    /// As COMMAND DOCS writes it.
    pub fn name(self) -> &'static str {
        ArgumentType::NAMES.iter().find(|(_, kind)| *kind == self).expect("every type has a name").0
    }

    fn of_name(name: &str) -> Option<ArgumentType> {
        ArgumentType::NAMES.iter().find(|(text, _)| *text == name).map(|(_, kind)| *kind)
    }
}

/// One argument, with those it consists of when it is a choice or a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    pub name: Cow<'static, str>,
    pub kind: ArgumentType,
    /// The word typed before it, or, for a pure token, as it.
    pub token: Option<&'static str>,
    /// Which of the row's key specifications tells where it is.
    pub key_spec: Option<usize>,
    pub since: Option<&'static str>,
    pub deprecated_since: Option<&'static str>,
    pub optional: bool,
    pub multiple: bool,
    /// The token is repeated with each of several values.
    pub multiple_token: bool,
    pub arguments: Vec<Argument>,
}

impl Argument {
    /// How the argument is shown to people; tokens and groups show their words and parts.
    pub fn display_text(&self) -> Option<&str> {
        let shown = !matches!(self.kind, ArgumentType::PureToken | ArgumentType::OneOf | ArgumentType::Block);
        shown.then_some(&*self.name)
    }

    /// The flags that are set, as COMMAND DOCS names them.
    pub fn flags(&self) -> impl Iterator<Item = &'static str> {
        let flags = [(self.optional, "optional"), (self.multiple, "multiple"), (self.multiple_token, "multiple_token")];
        flags.into_iter().filter_map(|(set, name)| set.then_some(name))
    }

    fn new(name: impl Into<Cow<'static, str>>, kind: ArgumentType) -> Argument {
        Argument {
            name: name.into(),
            kind,
            token: None,
            key_spec: None,
            since: None,
            deprecated_since: None,
            optional: false,
            multiple: false,
            multiple_token: false,
            arguments: Vec::new(),
        }
    }

    fn group(kind: ArgumentType, arguments: Vec<Argument>) -> Argument {
        Argument { arguments, ..Argument::new("", kind) }
    }

    /// Applies what the line notes about a bracket or word.
    fn noted(mut self, note: Note) -> Argument {
        if let Some(text) = note.text {
            self.name = text.into();
        }
        self.since = note.since.or(self.since);
        self.deprecated_since = note.deprecated_since.or(self.deprecated_since);
        self.key_spec = note.key_spec.or(self.key_spec);
        self
    }
}

/// The arguments of a row. Every row's line is parsed by a test; one that is wrong has no arguments.
pub fn parse(spec: &Spec) -> Vec<Argument> {
    try_parse(spec).unwrap_or_default()
}

fn try_parse(spec: &Spec) -> Result<Vec<Argument>, String> {
    let mut arguments = sequence(&notation::read(spec.syntax)?)?;
    arguments.iter_mut().for_each(name_groups);
    let containers = spec.name.matches('|').count();
    find_keys(&mut arguments, spec, Some(1 + containers));
    find_keyword_keys(&mut arguments, spec);
    Ok(arguments)
}

/// The arguments that items side by side make.
fn sequence(items: &[Item]) -> Result<Vec<Argument>, String> {
    let mut arguments = Vec::new();
    let mut rest = items;
    while let Some((item, behind)) = rest.split_first() {
        rest = behind;
        let owner = match item {
            Item::Token(word, note) if behind.first().is_some_and(Item::can_carry_a_token) => Some((*word, *note)),
            _ => None,
        };
        let Some((word, note)) = owner else {
            arguments.push(single(item)?);
            continue;
        };
        let mut argument = single(&behind[0])?;
        rest = &behind[1..];
        argument.token = Some(word);
        argument.since = argument.since.or(note.since);
        arguments.push(argument);
    }
    Ok(arguments)
}

/// The argument that one item makes by itself.
fn single(item: &Item) -> Result<Argument, String> {
    Ok(match item {
        Item::Token(word, note) => {
            let argument = Argument::new(word.to_ascii_lowercase(), ArgumentType::PureToken);
            Argument { token: Some(word.trim_matches('"')), ..argument }.noted(*note)
        }
        Item::Name(name, note) => {
            let kind = note.text.and_then(ArgumentType::of_name).unwrap_or_else(|| type_of_name(name));
            Argument::new(*name, kind).noted(Note { text: None, ..*note })
        }
        Item::Optional(items, note) => Argument { optional: true, ..enclosed(items)? }.noted(*note),
        Item::OneOf(branches, note) => {
            let choices = branches.iter().map(|branch| enclosed(branch)).collect::<Result<_, _>>()?;
            Argument::group(ArgumentType::OneOf, choices).noted(*note)
        }
        Item::Block(items, note) => Argument::group(ArgumentType::Block, sequence(items)?).noted(*note),
        Item::Repeated(items) => {
            let multiple_token = items.len() > 1 && matches!(items[0], Item::Token(..));
            Argument { multiple: true, multiple_token, ..enclosed(items)? }
        }
    })
}

/// The one argument that the contents of a bracket make: what it is, or a block of all; a token at its head belongs to
/// everything behind it.
fn enclosed(items: &[Item]) -> Result<Argument, String> {
    if let [Item::Token(word, note), rest @ ..] = items
        && !rest.is_empty()
        && !matches!(rest[0], Item::Token(..))
    {
        let mut inner = sequence(rest)?;
        let mut argument = match inner.len() {
            1 if inner[0].token.is_none() && !inner[0].optional => inner.remove(0),
            1 => Argument::group(ArgumentType::Block, inner).noted(Note { text: None, ..*note }),
            _ => Argument::group(ArgumentType::Block, inner),
        };
        argument.token = Some(word);
        argument.since = argument.since.or(note.since);
        return Ok(argument);
    }
    let mut inner = sequence(items)?;
    match inner.len() {
        0 => Err("an empty bracket".into()),
        1 => Ok(inner.remove(0)),
        _ => Ok(Argument::group(ArgumentType::Block, inner)),
    }
}

/// Names that brackets were not given in the line.
fn name_groups(argument: &mut Argument) {
    argument.arguments.iter_mut().for_each(name_groups);
    if argument.name.is_empty() {
        argument.name = match (&*argument.arguments, argument.token) {
            ([_], Some(token)) => token.to_ascii_lowercase().into(),
            (parts, _) => group_name(parts),
        };
    }
}

/// The usual names of often used choices; else the names of the parts.
fn group_name(parts: &[Argument]) -> Cow<'static, str> {
    let joined = parts.iter().map(|part| &*part.name).collect::<Vec<_>>().join("_");
    Cow::Borrowed(match joined.as_str() {
        "nx_xx" | "nx_xx_gt_lt" => "condition",
        "gt_lt" => "comparison",
        "asc_desc" => "order",
        "left_right" | "min_max" | "before_after" => "where",
        "async_sync" => "async",
        "byte_bit" => "index_unit",
        "m_km_ft_mi" => "unit",
        "byscore_bylex" => "sortby",
        "sum_min_max" => "aggregate",
        "maxlen_minid" => "strategy",
        name if name.starts_with("seconds_milliseconds_") => "expiration",
        _ => return Cow::Owned(joined),
    })
}

/// The type that an argument of this name has, unless the line says otherwise; digits at the end do not count.
fn type_of_name(name: &str) -> ArgumentType {
    match name.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "pattern" => ArgumentType::Pattern,
        "longitude" | "latitude" | "radius" | "width" | "height" | "score" | "min" | "max" | "timeout" => {
            ArgumentType::Double
        }
        "seconds" | "milliseconds" | "count" | "numkeys" | "offset" | "increment" | "decrement" | "index" | "start"
        | "stop" | "end" | "db" | "destination-db" | "cursor" | "bit" | "bits" | "slot" | "start-slot" | "end-slot"
        | "port" | "rank" | "num-matches" | "len" | "limit" | "client-id" | "protover" | "frequency" | "version"
        | "ms" | "min-match-len" | "cluster-bus-port" | "entries-read" | "entries-added" | "numreplicas"
        | "numlocal" | "numfields" | "ttl" | "weight" | "config-epoch" => ArgumentType::Integer,
        name if name.starts_with("unix-time-") => ArgumentType::UnixTime,
        _ => ArgumentType::String,
    }
}

/// Makes keys of the arguments that the key specifications place. `at` is the index that the first of `arguments` has
/// in a request, `None` when that depends on the request; returns it for what follows.
fn find_keys(arguments: &mut [Argument], spec: &Spec, mut at: Option<usize>) -> Option<usize> {
    for argument in arguments {
        if argument.token.is_some() && argument.kind != ArgumentType::PureToken {
            at = at.map(|at| at + 1);
        }
        let behind = match argument.kind {
            ArgumentType::OneOf => {
                let ends: Vec<_> = argument
                    .arguments
                    .iter_mut()
                    .map(|choice| find_keys(std::slice::from_mut(choice), spec, at))
                    .collect();
                ends[0].filter(|end| ends.iter().all(|other| *other == Some(*end)))
            }
            ArgumentType::Block => find_keys(&mut argument.arguments, spec, at),
            ArgumentType::PureToken => at.map(|at| at + 1),
            _ => {
                let key_spec = at.and_then(|at| key_spec_at(spec, at));
                if let Some(index) = key_spec.filter(|_| argument.key_spec.is_none()) {
                    become_key(argument, index);
                }
                at.map(|at| at + 1)
            }
        };
        at = behind.filter(|_| !argument.optional && !argument.multiple);
    }
    at
}

fn become_key(argument: &mut Argument, key_spec: usize) {
    argument.kind = ArgumentType::Key;
    argument.key_spec = Some(key_spec);
}

/// The key specification that finds a key at argument index `at` of each request, the first of many included.
fn key_spec_at(spec: &Spec, at: usize) -> Option<usize> {
    spec.keys.iter().position(|key| {
        let Begin::Index(begin) = key.begin else { return false };
        if key.flags.has(KeyFlags::NOT_KEY) {
            return false;
        }
        let from_begin = at as i16 - begin;
        match key.find {
            Find::Range { last, step, .. } => {
                from_begin == 0 || from_begin > 0 && from_begin <= last && from_begin % step.max(1) == 0
            }
            Find::KeyNum { first, .. } => from_begin == first,
            Find::Unknown => false,
        }
    })
}

/// Makes keys of the arguments behind the words that key specifications look for.
fn find_keyword_keys(arguments: &mut [Argument], spec: &Spec) {
    for (index, key) in spec.keys.iter().enumerate() {
        let Begin::Keyword { word, .. } = key.begin else {
            continue;
        };
        for argument in arguments.iter_mut().filter(|a| a.token == Some(word)) {
            match argument.arguments.first_mut() {
                Some(first) => become_key(first, index),
                None => become_key(argument, index),
            }
        }
    }
}
