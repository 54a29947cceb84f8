//! Reading configuration texts: the file, what it includes, standard input, arguments.
//!
//! *Duty:* lines into a [`Config`], later ones overriding earlier ones; every error of every line, with a
//! suggestion where there is one; and which line gave each parameter.
//! *Does not know:* files. An `include` is a request to the shell, which answers with texts. Lines that only other
//! parts understand (`user`, `rename-command`, `loadmodule`, `sentinel`) are kept for them.
//! *Invariants:* a bad line changes nothing and does not stop the reading. The first `save` line that is read, in
//! whatever source, replaces the built-in save points; further ones add to it; `save ""` removes all.
//! *Counterpart in C Redis:* `loadServerConfigFromString`, which stops at the first error.

use super::directive::{ConfigError, Directive, Flags};
use super::fields::Config;
use super::finding::{Finding, Severity};
use super::obsolete::{self, Obsolete};
use super::repair::{nearest_name, repair};
use super::table::{lookup, special};
use super::values::{ConfigObsolete, KeptLine, Origin};
use crate::base::quote;

/// Deeper includes are taken for a circle.
const MAX_INCLUDE_DEPTH: usize = 16;

/// Findings and origins from the command line are said to come from here.
pub const ARGUMENTS: &str = "the arguments";
/// And those from standard input from here.
pub const STDIN: &str = "standard input";

const BAD_DIRECTIVE: &str = "Bad directive or wrong number of arguments";
const UNBALANCED: &str = "Unbalanced quotes in configuration line";

/// An `include` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Include<'a> {
    /// A path, or a pattern of paths when it has `*`, `?` or `[`. A pattern may match nothing, a path must exist.
    pub pattern: &'a str,
    /// The working directory as far as `dir` lines have set it; empty if none has.
    pub dir: &'a str,
}

/// How the shell answers an include: the texts with their names, in order, or what went wrong.
pub type ReadInclude<'a> = dyn FnMut(Include<'_>) -> Result<Vec<(String, Vec<u8>)>, String> + 'a;

/// What the texts configure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Server,
    Sentinel,
}

/// The reading of any number of texts.
pub struct Loader {
    config: Config,
    findings: Vec<Finding>,
    given: Vec<(&'static Directive, Origin)>,
    /// Which findings are about obsolete names; how bad they are is only known at the end.
    obsolete: Vec<(&'static str, usize)>,
    mode: Mode,
    depth: usize,
}

/// What came of the reading.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// In the order of the lines; findings about the whole come last.
    pub findings: Vec<Finding>,
    /// The line that gave each parameter that is not at its built-in value, in order; later lines of one parameter
    /// come later.
    pub given: Vec<(&'static Directive, Origin)>,
}

impl Loaded {
    /// The line that decided `name`, if any did.
    pub fn origin_of(&self, name: &str) -> Option<&Origin> {
        let given = self.given.iter().rev().find(|(directive, _)| directive.name == name);
        given.map(|(_, origin)| origin)
    }
}

/// Reads one text, the next in order of precedence.
pub fn parse_lines(text: &[u8], source: &str, loader: &mut Loader, read: &mut ReadInclude<'_>) {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = trim(line);
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let text = String::from_utf8_lossy(line).into_owned();
        loader.line(line, Origin { source: source.to_owned(), line: number, text }, read);
    }
}

fn trim(line: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    let start = line.iter().position(|byte| !blank(byte)).unwrap_or(line.len());
    let end = line.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &line[start..end]
}

impl Loader {
    pub fn new(mode: Mode) -> Loader {
        let (findings, given, obsolete) = (Vec::new(), Vec::new(), Vec::new());
        Loader { config: Config::default(), findings, given, obsolete, mode, depth: 0 }
    }

    /// One line that is neither blank nor a comment.
    fn line(&mut self, line: &[u8], origin: Origin, read: &mut ReadInclude<'_>) {
        let Some(words) = quote::split_args(line) else {
            return self.refuse(&origin, UNBALANCED, None);
        };
        let Some((name, values)) = words.split_first() else {
            return;
        };
        let obsolete = obsolete::find(name);
        if let Some(obsolete) = obsolete {
            self.note_obsolete(obsolete, &origin);
        }
        if let Some(directive) = lookup(name) {
            return match self.set(directive, values) {
                Ok(()) => self.given.push((directive, origin)),
                Err(error) => self.refuse(&origin, &error.0, suggestion(line, &error.0)),
            };
        }
        if obsolete.is_some() {
            return;
        }
        if let Err(reason) = self.other_line(&name.to_ascii_lowercase(), values, &origin, read) {
            self.refuse(&origin, &reason, unknown_name(name));
        }
    }

    fn refuse(&mut self, origin: &Origin, reason: &str, suggestion: Option<String>) {
        self.findings.push(Finding::new(Severity::Error, origin, reason).suggesting(suggestion));
    }

    fn set(&mut self, directive: &'static Directive, values: &[Vec<u8>]) -> Result<(), ConfigError> {
        let unquoted;
        let values = match values {
            [only] if directive.has(Flags::MULTI_ARG) && !only.is_empty() => {
                unquoted = quote::split_args(only).ok_or(ConfigError::from(UNBALANCED))?;
                &unquoted
            }
            values => values,
        };
        if directive.name == "save" {
            return self.add_save_points(values);
        }
        directive.set(&mut self.config, values).map(|_| ())
    }

    fn add_save_points(&mut self, values: &[Vec<u8>]) -> Result<(), ConfigError> {
        let points = special::parse_save(values)?;
        let is_first = !self.given.iter().any(|(directive, _)| directive.name == "save");
        let removes_all = matches!(values, [only] if only.is_empty());
        if is_first || removes_all {
            self.config.save.clear();
        }
        self.config.save.extend(points);
        Ok(())
    }

    /// Lines that are no parameters.
    fn other_line(
        &mut self,
        name: &[u8],
        values: &[Vec<u8>],
        origin: &Origin,
        read: &mut ReadInclude<'_>,
    ) -> Result<(), String> {
        let kept = || KeptLine { words: values.to_vec(), origin: origin.clone() };
        match (name, values) {
            (b"include", [pattern]) => self.include(pattern, read)?,
            (b"rename-command", [_, _]) => self.config.rename_command.push(kept()),
            (b"user", [_, ..]) => self.config.user.push(kept()),
            (b"loadmodule", [_, ..]) => self.config.loadmodule.push(kept()),
            (b"sentinel", []) => {}
            (b"sentinel", _) if self.mode == Mode::Sentinel => self.config.sentinel.push(kept()),
            (b"sentinel", _) => return Err("sentinel directive while not in sentinel mode".to_owned()),
            (dotted, []) if dotted.contains(&b'.') => return Err("Module config specified without value".to_owned()),
            (dotted, _) if dotted.contains(&b'.') => {
                let words = std::iter::once(name.to_vec()).chain(values.iter().cloned()).collect();
                self.config.module_parameters.push(KeptLine { words, origin: origin.clone() });
            }
            _ => return Err(BAD_DIRECTIVE.to_owned()),
        }
        Ok(())
    }

    fn include(&mut self, pattern: &[u8], read: &mut ReadInclude<'_>) -> Result<(), String> {
        if self.depth == MAX_INCLUDE_DEPTH {
            return Err(format!("include is nested more than {MAX_INCLUDE_DEPTH} deep"));
        }
        let pattern = std::str::from_utf8(pattern).map_err(|_| "the name of an included file must be UTF-8 text")?;
        let failed = |why: String| format!("Fatal error, can't open config file '{pattern}': {why}");
        let texts = read(Include { pattern, dir: &self.config.dir }).map_err(failed)?;
        self.depth += 1;
        for (name, text) in texts {
            parse_lines(&text, &name, self, read);
        }
        self.depth -= 1;
        Ok(())
    }

    /// Ends the reading: what can only be judged when every line is known.
    pub fn finish(mut self) -> Loaded {
        self.judge_obsolete();
        if self.config.cluster_enabled && self.config.replicaof.is_some() {
            self.refuse(&Origin::default(), "replicaof directive not allowed in cluster mode", None);
        }
        Loaded { config: self.config, findings: self.findings, given: self.given }
    }

    /// One finding for each obsolete name, at its first line.
    fn note_obsolete(&mut self, obsolete: &'static Obsolete, origin: &Origin) {
        if self.obsolete.iter().any(|(name, _)| *name == obsolete.name) {
            return;
        }
        self.obsolete.push((obsolete.name, self.findings.len()));
        let finding = Finding::new(Severity::Warning, origin, obsolete.reason());
        self.findings.push(finding.suggesting(Some(obsolete.instead.to_owned())));
    }

    /// Does with the obsolete names as `config-obsolete` says.
    fn judge_obsolete(&mut self) {
        match self.config.config_obsolete {
            ConfigObsolete::Warn => {}
            ConfigObsolete::Refuse => {
                for (_, index) in &self.obsolete {
                    self.findings[*index].severity = Severity::Error;
                }
            }
            ConfigObsolete::Silent => {
                let silenced: Vec<usize> = self.obsolete.iter().map(|(_, index)| *index).collect();
                let mut index = 0..;
                self.findings.retain(|_| !silenced.contains(&index.next().expect("the range has no end")));
            }
        }
    }
}

/// What a refused value may have been meant to be.
fn suggestion(line: &[u8], reason: &str) -> Option<String> {
    let units = || "units are b, k, kb, m, mb, g and gb; k is 1000 bytes, kb is 1024".to_owned();
    let repaired = repair(line).map(|repair| repair.suggestion());
    repaired.or_else(|| reason.starts_with("argument must be a memory").then(units))
}

/// The nearest known name, when the name itself is not known.
fn unknown_name(name: &[u8]) -> Option<String> {
    let known = nearest_name(name)?;
    let differs = !known.as_bytes().eq_ignore_ascii_case(name);
    differs.then(|| format!("there is no directive '{}', did you mean: {known}", String::from_utf8_lossy(name)))
}

#[cfg(test)]
mod tests;
