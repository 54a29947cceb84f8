//! [`Finding`]: one thing to say about a configuration, and how it is said.
//!
//! *Duty:* carry where something stands, how bad it is, why, and what would be better; print it as a line or, when
//! it ends the start, as the block that Redis prints on the standard error.
//! *Does not know:* where it is printed, and which findings there can be.
//! *Counterpart in C Redis:* the `loaderr` end of `loadServerConfigFromString`, which knows one error only.

use super::values::Origin;
use std::fmt;

/// How bad a finding is, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The server does not start.
    Error,
    Warning,
    Note,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// One thing to say about a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub source: String,
    /// Counted from 1; 0 when no single line is meant.
    pub line: u32,
    /// The line, without surrounding blanks.
    pub text: String,
    pub reason: String,
    pub suggestion: Option<String>,
}

impl Finding {
    pub fn new(severity: Severity, origin: &Origin, reason: impl Into<String>) -> Finding {
        Finding {
            severity,
            source: origin.source.clone(),
            line: origin.line,
            text: origin.text.clone(),
            reason: reason.into(),
            suggestion: None,
        }
    }

    pub fn suggesting(self, suggestion: Option<String>) -> Finding {
        Finding { suggestion, ..self }
    }

    /// The block that announces a fatal finding. `main` is the name of the configuration file proper, whose lines
    /// need no further name; `version` is the release that is announced.
    pub fn fatal_block(&self, main: &str, version: &str) -> String {
        let mut block = format!("\n*** FATAL CONFIG FILE ERROR (Redis {version}) ***\n");
        if self.line > 0 {
            let place = if self.source == main { String::new() } else { format!(" of {}", self.source) };
            block += &format!("Reading the configuration file, at line {}{place}\n>>> '{}'\n", self.line, self.text);
        }
        block += &format!("{}\n", self.reason);
        if let Some(suggestion) = &self.suggestion {
            block += &format!("{suggestion}\n");
        }
        block
    }
}

/// One line: `redis.conf:9: error: Invalid save parameters (…)`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.source.is_empty() {
            write!(f, "{}:", self.source)?;
            if self.line > 0 {
                write!(f, "{}:", self.line)?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{}: {}", self.severity.name(), self.reason)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, " ({suggestion})"),
            None => Ok(()),
        }
    }
}

/// The fatal blocks of all errors among `findings`; empty when there is none.
pub fn fatal_text(findings: &[Finding], main: &str, version: &str) -> String {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| finding.fatal_block(main, version)).collect()
}

/// Whether the server must not start.
pub fn is_fatal(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}
