//! Correcting a configuration file as far as the corrections are certain.
//!
//! *Duty:* what `--check-config FILE --fix` writes: lines that were certainly meant otherwise are replaced, obsolete
//! ones are switched off; the old line stays above, as a comment.
//! *Does not know:* files; included ones are fixed by their own name.
//! *Invariants:* every other byte of the text stays. A text without anything to correct comes back unchanged, and
//! fixing twice is fixing once. What is not certain is left, and still told by the parser.
//! *Counterpart in C Redis:* none.

use super::finding::{Finding, Severity};
use super::obsolete;
use super::parse::{Loader, Mode, parse_lines};
use super::repair::repair;
use super::table::lookup;
use super::values::Origin;
use crate::base::quote;

/// The corrected text, and what was done to which line.
pub fn fix(text: &[u8], source: &str) -> (Vec<u8>, Vec<Finding>) {
    let mut fixed = Vec::with_capacity(text.len());
    let mut findings = Vec::new();
    for (index, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let Some(correction) = correct(line) else {
            fixed.extend(line);
            continue;
        };
        let end = line_end(line);
        let old =
            line[..line.len() - end.len()].strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line[..line.len() - end.len()]);
        fixed.extend([b"# ", old.trim_ascii(), b"   # ", correction.why.as_bytes(), end].concat());
        if let Some(new) = &correction.line {
            fixed.extend(separator(end, &fixed));
            fixed.extend([new.as_bytes(), end].concat());
        }
        let text = String::from_utf8_lossy(old.trim_ascii()).into_owned();
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let origin = Origin { source: source.to_owned(), line: number, text };
        let done = correction.line.map_or("switched off".to_owned(), |new| format!("now: {new}"));
        findings.push(Finding::new(Severity::Note, &origin, correction.why).suggesting(Some(done)));
    }
    (fixed, findings)
}

/// How one line is corrected.
struct Correction {
    why: String,
    /// What stands below the old line, which becomes a comment.
    line: Option<String>,
}

fn correct(line: &[u8]) -> Option<Correction> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return None;
    }
    let words = quote::split_args(line)?;
    let name = words.first()?;
    if let Some(obsolete) = obsolete::find(name) {
        return Some(Correction { why: format!("obsolete: {}", obsolete.instead), line: None });
    }
    if lookup(name).is_none() || is_good(line) {
        return None;
    }
    let repair = repair(line)?;
    Some(Correction { why: repair.why.to_owned(), line: Some(repair.line) })
}

fn is_good(line: &[u8]) -> bool {
    let mut loader = Loader::new(Mode::Server);
    parse_lines(line, "", &mut loader, &mut |_| Ok(Vec::new()));
    loader.finish().findings.is_empty()
}

/// The line end of `line` as it is: `\n`, `\r\n`, or none at the end of a text.
fn line_end(line: &[u8]) -> &[u8] {
    let body = line.strip_suffix(b"\n").map_or(line, |body| body.strip_suffix(b"\r").unwrap_or(body));
    &line[body.len()..]
}

/// What must stand between the old line and the new one, when the old one had no end.
fn separator(end: &[u8], fixed: &[u8]) -> &'static [u8] {
    match end {
        [] if fixed.contains(&b'\r') => b"\r\n",
        [] => b"\n",
        _ => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(text: &str) -> String {
        String::from_utf8(fix(text.as_bytes(), "redis.conf").0).unwrap()
    }

    #[test]
    fn a17_run_together_save_points_are_split() {
        let text = "port 6379\nsave\t9001\nsave 30010\n# save 9001\n";
        let expected = "port 6379\n# save\t9001   # seconds and changes ran together\nsave 900 1\n\
                        # save 30010   # seconds and changes ran together\nsave 300 10\n# save 9001\n";
        assert_eq!(fixed(text), expected);
        assert_eq!(fixed(expected), expected);
    }

    #[test]
    fn a20_obsolete_lines_are_switched_off() {
        let expected = "# glueoutputbuf yes   # obsolete: replies are always gathered before they are sent\n";
        assert_eq!(fixed("glueoutputbuf yes\n"), expected);
    }

    #[test]
    fn each_correction_is_told() {
        let (_, findings) = fix(b"\nsave 9001\nvm-enabled no\n", "redis.conf");
        let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
        assert_eq!(lines[0], "redis.conf:2: note: seconds and changes ran together (now: save 900 1)");
        assert!(lines[1].starts_with("redis.conf:3: note: obsolete: "), "{}", lines[1]);
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn what_is_good_or_uncertain_stays() {
        for text in
            ["", "port 6379", "save 1234\n", "maxmemroy 1gb\n", "maxmemory 100xb\r\n", "save \"\"\n", "user \"x\n"]
        {
            assert_eq!(fixed(text), text);
        }
    }

    #[test]
    fn line_ends_are_kept_and_a_missing_one_does_not_join_lines() {
        let comment = "# save 9001   # seconds and changes ran together";
        assert_eq!(fixed("save 9001\r\nport 1\r\n"), format!("{comment}\r\nsave 900 1\r\nport 1\r\n"));
        assert_eq!(fixed("save 9001"), format!("{comment}\nsave 900 1"));
        assert_eq!(fixed("port 1\r\nsave 9001"), format!("port 1\r\n{comment}\r\nsave 900 1"));
    }
}
