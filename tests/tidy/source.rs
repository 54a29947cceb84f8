//! A source file cut into tokens, for rules that must not be fooled by comments and strings.
//!
//! *Duty:* text → tokens (identifiers, literals, punctuation) and comments, each with its line; which lines belong
//! to tests; where a bracket closes; the paths (`a::b::{c, d}`) that start at a token, written out one by one.
//! *Does not know:* any rule, nor types and macros: it is a lexer with a little bracket matching, no parser.
//! *Invariants:* a string, a character or a comment is never seen as code, whatever stands in it.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// One token. A literal keeps no text, so that nothing in it can match a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    pub text: &'a str,
    pub line: usize,
}

/// What stands for every string, byte string and character.
pub const LITERAL: &str = "\"\"";

/// A Rust file: where it is (relative to the repository, with `/`) and what is in it.
pub struct Source {
    pub path: String,
    pub text: String,
}

/// A broken rule, told so that an editor can jump to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    pub path: String,
    pub line: usize,
    pub what: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        Source { path: path.to_string(), text: text.to_string() }
    }

    pub fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, what: what.into() }
    }

    /// The folder below `src/` that the file belongs to (`lib` for lib.rs itself); None outside `src/`.
    pub fn layer(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let first = inside.split('/').next().expect("split gives at least one part");
        Some(first.strip_suffix(".rs").unwrap_or(first))
    }

    /// The module path of the file, `["ds", "table"]` for src/ds/table.rs; empty for lib.rs and outside `src/`.
    pub fn module(&self) -> Vec<&str> {
        let inside = self.path.strip_prefix("src/").unwrap_or("lib.rs").trim_end_matches(".rs");
        inside.split('/').filter(|part| !matches!(*part, "mod" | "lib")).collect()
    }

    /// Whether the whole file is test code: `tests.rs`, anything below a `tests` folder, or `#![cfg(test)]`.
    pub fn is_test_file(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
            || self.text.contains("#![cfg(test)]")
    }

    pub fn tokens(&self) -> Vec<Token<'_>> {
        Lexer::new(&self.text).run().0
    }

    pub fn comments(&self) -> Vec<Token<'_>> {
        Lexer::new(&self.text).run().1
    }
}

/// All Rust files below `folder`, sorted, with paths relative to `root`.
pub fn read_all(root: &Path, folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut todo: Vec<PathBuf> = vec![root.join(folder)];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_string();
                found.push(Source { path: name, text: std::fs::read_to_string(&path).unwrap() });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    tokens: Vec<Token<'a>>,
    comments: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text, at: 0, line: 1, tokens: Vec::new(), comments: Vec::new() }
    }

    fn run(mut self) -> (Vec<Token<'a>>, Vec<Token<'a>>) {
        while self.at < self.text.len() {
            let byte = self.peek(0);
            let start = self.at;
            match byte {
                b'/' if self.peek(1) == b'/' => self.line_comment(),
                b'/' if self.peek(1) == b'*' => self.block_comment(),
                b'"' => self.string(),
                b'\'' => self.quote(start),
                b':' if self.peek(1) == b':' => self.take(start, 2),
                _ if byte.is_ascii_whitespace() => self.skip(1),
                _ if is_word(byte) => self.word(start),
                _ => self.take(start, 1),
            }
        }
        (self.tokens, self.comments)
    }

    /// The byte `ahead` places on, 0 past the end.
    fn peek(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn skip(&mut self, count: usize) {
        let end = (self.at + count).min(self.text.len());
        self.line += self.text.as_bytes()[self.at..end].iter().filter(|b| **b == b'\n').count();
        self.at = end;
    }

    fn take(&mut self, start: usize, count: usize) {
        let line = self.line;
        self.skip(count);
        self.tokens.push(Token { text: &self.text[start..self.at], line });
    }

    fn line_comment(&mut self) {
        let end = self.text[self.at..].find('\n').unwrap_or(self.text.len() - self.at);
        self.comments.push(Token { text: &self.text[self.at..self.at + end], line: self.line });
        self.skip(end);
    }

    /// Block comments nest.
    fn block_comment(&mut self) {
        let (start, line) = (self.at, self.line);
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => (depth, _) = (depth + 1, self.skip(2)),
                (b'*', b'/') => (depth, _) = (depth - 1, self.skip(2)),
                _ => self.skip(1),
            }
            if depth == 0 || self.at >= self.text.len() {
                break;
            }
        }
        self.comments.push(Token { text: &self.text[start..self.at], line });
    }

    /// `"…"`, standing at the opening quote; a prefix such as `b` has been read.
    fn string(&mut self) {
        let line = self.line;
        self.skip(1);
        while self.at < self.text.len() && self.peek(0) != b'"' {
            self.skip(if self.peek(0) == b'\\' { 2 } else { 1 });
        }
        self.skip(1);
        self.tokens.push(Token { text: LITERAL, line });
    }

    /// `#"…"#` with any number of `#`, standing at the first `#` or the quote.
    fn raw_string(&mut self) {
        let line = self.line;
        let hashes = self.text[self.at..].bytes().take_while(|b| *b == b'#').count();
        self.skip(hashes + 1);
        let end = format!("\"{}", "#".repeat(hashes));
        let length = self.text[self.at..].find(&end).unwrap_or(self.text.len() - self.at);
        self.skip(length + end.len());
        self.tokens.push(Token { text: LITERAL, line });
    }

    /// A character or a lifetime.
    fn quote(&mut self, start: usize) {
        let mut rest = self.text[self.at + 1..].chars();
        let (first, second) = (rest.next(), rest.next());
        if first == Some('\\') {
            let line = self.line;
            self.skip(3);
            while self.at < self.text.len() && self.peek(0) != b'\'' {
                self.skip(1);
            }
            self.skip(1);
            self.tokens.push(Token { text: LITERAL, line });
        } else if let (Some(c), Some('\'')) = (first, second) {
            let line = self.line;
            self.skip(2 + c.len_utf8());
            self.tokens.push(Token { text: LITERAL, line });
        } else {
            let length = self.text[self.at + 1..].bytes().take_while(|b| is_word(*b)).count();
            self.take(start, 1 + length);
        }
    }

    /// An identifier or a number; or the prefix of a literal; `r#name` counts as `name`.
    fn word(&mut self, start: usize) {
        let length = self.text[start..].bytes().take_while(|b| is_word(*b)).count();
        let word = &self.text[start..start + length];
        let (next, after) = (self.peek(length), self.peek(length + 1));
        let raw = matches!(word, "r" | "br" | "cr") && (next == b'"' || (next == b'#' && matches!(after, b'"' | b'#')));
        if raw {
            self.skip(length);
            self.raw_string();
        } else if matches!(word, "b" | "c") && next == b'"' {
            self.skip(length);
            self.string();
        } else if word == "b" && next == b'\'' {
            self.skip(length);
            self.quote(self.at);
        } else if word == "r" && next == b'#' {
            self.skip(2);
        } else {
            self.take(start, length);
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// Whether `tokens` continue with exactly these texts at `at`.
pub fn follows(tokens: &[Token<'_>], at: usize, texts: &[&str]) -> bool {
    tokens.len() >= at + texts.len() && texts.iter().zip(&tokens[at..]).all(|(text, token)| *text == token.text)
}

/// The index of the bracket that closes the one at `open`, or the last token when none does.
pub fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i;
        }
    }
    tokens.len() - 1
}

/// The first `{` or `;` from `at` on that stands outside round and square brackets.
pub fn body_or_end(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let mut i = at;
    while i < tokens.len() {
        match tokens[i].text {
            "{" | ";" => return Some(i),
            "(" | "[" => i = closing(tokens, i),
            _ => {}
        }
        i += 1;
    }
    None
}

/// The lines of items under `#[cfg(test)]` (or `#[cfg(all(test, …))]`), attributes included.
pub fn test_lines(tokens: &[Token<'_>]) -> Vec<RangeInclusive<usize>> {
    let mut ranges = Vec::new();
    for i in 0..tokens.len() {
        let plain = follows(tokens, i, &["#", "[", "cfg", "(", "test", ")"]);
        if !plain && !follows(tokens, i, &["#", "[", "cfg", "(", "all", "(", "test"]) {
            continue;
        }
        let item = closing(tokens, i + 1) + 1;
        if let Some(end) = body_or_end(tokens, item) {
            let end = if tokens[end].text == "{" { closing(tokens, end) } else { end };
            ranges.push(tokens[i].line..=tokens[end].line);
        }
    }
    ranges
}

/// A path as it would be written in full.
pub struct FullPath<'a> {
    pub segments: Vec<&'a str>,
    pub line: usize,
}

/// The paths that start at token `at` (`a::b` is one, `a::{b, c::d}` two) and the index just past them.
pub fn paths_at<'a>(tokens: &[Token<'a>], at: usize) -> (Vec<FullPath<'a>>, usize) {
    let mut found = Vec::new();
    let end = collect_paths(tokens, at, Vec::new(), &mut found);
    (found, end)
}

fn collect_paths<'a>(tokens: &[Token<'a>], at: usize, before: Vec<&'a str>, found: &mut Vec<FullPath<'a>>) -> usize {
    let mut segments = before;
    let mut i = at;
    while i < tokens.len() {
        let Token { text, line } = tokens[i];
        if text == "{" {
            let end = closing(tokens, i);
            i += 1;
            while i < end {
                let next = collect_paths(tokens, i, segments.clone(), found);
                // `as name` and the comma are not part of the path.
                i = (next..end).find(|j| tokens[*j].text == ",").map_or(end, |comma| comma + 1);
            }
            return end + 1;
        }
        if text != "*" && !text.bytes().all(is_word) {
            break;
        }
        segments.push(text);
        i += 1;
        if !follows(tokens, i, &["::"]) || follows(tokens, i + 1, &["<"]) {
            found.push(FullPath { segments, line });
            return i;
        }
        i += 1;
    }
    i
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(code: &str) -> Vec<String> {
        Source::new("src/a.rs", code).tokens().iter().map(|t| t.text.to_string()).collect()
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        let code = "a // b\n/* c /* d */ e */ \"f \\\" g\" 'h' '\\'' '\\u{41}' b\"i\" br##\"j\"# k\"## r#\"l\"# b'm' n";
        let seen: Vec<String> = texts(code).into_iter().filter(|t| t != LITERAL).collect();
        assert_eq!(seen, ["a", "n"]);
        assert_eq!(Source::new("x", code).comments().len(), 2);
    }

    #[test]
    fn lifetimes_and_raw_names_are_code() {
        assert_eq!(texts("&'a r#fn x: 'é'"), ["&", "'a", "fn", "x", ":", LITERAL]);
    }

    #[test]
    fn lines_are_counted_through_strings_and_comments() {
        let source = Source::new("x", "\"a\nb\"\n/*\n*/ here");
        assert_eq!(source.tokens().last().unwrap().line, 4);
    }

    #[test]
    fn test_items_are_found() {
        let source = Source::new("x", "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nfn c() {}\n");
        assert_eq!(test_lines(&source.tokens()), vec![2..=5]);
        let source = Source::new("x", "#[cfg(test)]\nmod tests;\nfn c() { }");
        assert_eq!(test_lines(&source.tokens()), vec![1..=2]);
    }

    #[test]
    fn groups_are_written_out() {
        let source = Source::new("x", "use crate::{a::B, c::{self, d as e, f::*}, g};");
        let (paths, _) = paths_at(&source.tokens(), 1);
        let all: Vec<String> = paths.iter().map(|p| p.segments.join("::")).collect();
        assert_eq!(all, ["crate::a::B", "crate::c::self", "crate::c::d", "crate::c::f::*", "crate::g"]);
    }
}
