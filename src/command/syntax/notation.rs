//! The notation of syntax lines: text to nested items, repetitions folded.
//!
//! *Duty:* brackets, words, the notes behind them, and what dots repeat. *Does not know:* what the items mean as
//! arguments.
//! *Invariant:* a bracket that ends in dots names again what stands before it, or else repeats its last item.

use super::ArgumentType;

/// What stands behind a word or bracket: `:text`, `#key_spec`, `@since`, `!deprecated_since`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Note {
    pub(super) text: Option<&'static str>,
    pub(super) key_spec: Option<usize>,
    pub(super) since: Option<&'static str>,
    pub(super) deprecated_since: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A word typed as it stands; the dots are one until they are folded.
    Token(&'static str, Note),
    /// An argument; its note's text is the name of a type.
    Name(&'static str, Note),
    Optional(Vec<Item>, Note),
    OneOf(Vec<Vec<Item>>, Note),
    Block(Vec<Item>, Note),
    /// Items that may come several times.
    Repeated(Vec<Item>),
}

const DOTS: &str = "...";
const BRACKETS: &[char] = &['[', ']', '<', '>', '(', ')', '|'];

impl Item {
    /// Whether a token right before it is its token.
    pub(super) fn can_carry_a_token(&self) -> bool {
        match self {
            Item::Name(..) | Item::OneOf(..) | Item::Block(..) => true,
            Item::Token(..) | Item::Optional(..) => false,
            Item::Repeated(items) => items[0].can_carry_a_token(),
        }
    }

    fn is_dots(&self) -> bool {
        matches!(self, Item::Token(DOTS, _))
    }

    /// The same words in the same brackets, whatever is noted about them.
    fn reads_like(&self, other: &Item) -> bool {
        match (self, other) {
            (Item::Token(a, _), Item::Token(b, _)) | (Item::Name(a, _), Item::Name(b, _)) => a == b,
            (Item::Optional(a, _), Item::Optional(b, _))
            | (Item::Block(a, _), Item::Block(b, _))
            | (Item::Repeated(a), Item::Repeated(b)) => all_read_alike(a, b),
            (Item::OneOf(a, _), Item::OneOf(b, _)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| all_read_alike(a, b))
            }
            _ => false,
        }
    }
}

fn all_read_alike(a: &[Item], b: &[Item]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.reads_like(b))
}

pub(super) fn read(line: &'static str) -> Result<Vec<Item>, String> {
    let mut reader = Reader { rest: line };
    let items = reader.items()?;
    if reader.rest.is_empty() { fold(items) } else { Err(format!("{:?} closes nothing", reader.rest)) }
}

struct Reader {
    rest: &'static str,
}

impl Reader {
    /// Items up to a closing bracket, a bar or the end of the line.
    fn items(&mut self) -> Result<Vec<Item>, String> {
        let mut items = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.chars().next() {
                None | Some(']' | '>' | ')' | '|') => return Ok(items),
                Some('[') => {
                    let (inside, note) = self.bracket(']')?;
                    items.push(Item::Optional(inside, note));
                }
                Some('(') => {
                    let (inside, note) = self.bracket(')')?;
                    items.push(Item::Block(inside, note));
                }
                Some('<') => items.push(self.choice()?),
                Some(_) => items.push(word_item(self.word())?),
            }
        }
    }

    /// What stands between the bracket that is next and `closing`, and the note behind it.
    fn bracket(&mut self, closing: char) -> Result<(Vec<Item>, Note), String> {
        self.rest = &self.rest[1..];
        let inside = self.items()?;
        self.close(closing)?;
        Ok((inside, self.note()?))
    }

    fn choice(&mut self) -> Result<Item, String> {
        let mut branches = Vec::new();
        while self.rest.starts_with(['<', '|']) {
            self.rest = &self.rest[1..];
            branches.push(self.items()?);
        }
        self.close('>')?;
        Ok(Item::OneOf(branches, self.note()?))
    }

    fn close(&mut self, bracket: char) -> Result<(), String> {
        let rest = self.rest.strip_prefix(bracket);
        self.rest = rest.ok_or_else(|| format!("{bracket:?} is missing before {:?}", self.rest))?;
        Ok(())
    }

    /// The note right behind a closing bracket, if there is one.
    fn note(&mut self) -> Result<Note, String> {
        if !self.rest.starts_with([':', '#', '@', '!']) {
            return Ok(Note::default());
        }
        let (text, note) = cut_note(self.word())?;
        Ok(Note { text: text.strip_prefix(':'), ..note })
    }

    fn word(&mut self) -> &'static str {
        let end = self.rest.find(|c: char| c.is_whitespace() || BRACKETS.contains(&c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }
}

/// Cuts `#key_spec@since!deprecated_since` off the end of a word.
fn cut_note(word: &'static str) -> Result<(&'static str, Note), String> {
    let cut = |word: &'static str, mark| word.rsplit_once(mark).map_or((word, None), |(word, note)| (word, Some(note)));
    let (word, deprecated_since) = cut(word, '!');
    let (word, since) = cut(word, '@');
    let (word, key_spec) = cut(word, '#');
    let key_spec =
        key_spec.map(str::parse).transpose().map_err(|_| format!("{word:?} has a key index that is none"))?;
    Ok((word, Note { text: None, key_spec, since, deprecated_since }))
}

fn word_item(word: &'static str) -> Result<Item, String> {
    let (word, note) = cut_note(word)?;
    let (head, text) = word.split_once(':').map_or((word, None), |(head, text)| (head, Some(text)));
    if !head.contains(|c: char| c.is_ascii_lowercase()) {
        return Ok(Item::Token(head, Note { text, ..note }));
    }
    // A colon may be part of a name (`ip:port`).
    Ok(match word.rsplit_once(':') {
        Some((name, kind)) if ArgumentType::of_name(kind).is_some() => {
            Item::Name(name, Note { text: Some(kind), ..note })
        }
        _ => Item::Name(word, note),
    })
}

/// Puts what dots repeat into [`Item::Repeated`], at all depths.
fn fold(items: Vec<Item>) -> Result<Vec<Item>, String> {
    let mut folded: Vec<Item> = Vec::with_capacity(items.len());
    for item in items {
        match item {
            dots if dots.is_dots() => {
                let last = folded.pop().ok_or("dots behind nothing")?;
                folded.push(Item::Repeated(vec![last]));
            }
            Item::Optional(mut inside, note) => {
                let ends_in_dots = inside.last().is_some_and(Item::is_dots);
                let again = fold(inside[..inside.len() - ends_in_dots as usize].to_vec())?;
                let before = folded.len().checked_sub(again.len()).filter(|_| ends_in_dots);
                match before.filter(|&from| all_read_alike(&folded[from..], &again)) {
                    Some(from) => {
                        let repeated = folded.split_off(from);
                        folded.push(Item::Repeated(repeated));
                    }
                    None => {
                        inside = fold(inside)?;
                        folded.push(Item::Optional(inside, note));
                    }
                }
            }
            Item::OneOf(branches, note) => {
                folded.push(Item::OneOf(branches.into_iter().map(fold).collect::<Result<_, _>>()?, note));
            }
            Item::Block(inside, note) => folded.push(Item::Block(fold(inside)?, note)),
            other => folded.push(other),
        }
    }
    Ok(folded)
}
