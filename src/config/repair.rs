//! What a bad line was probably meant to be.
//!
//! *Duty:* the suggestions: the nearest known name, save points whose blank was lost, comments behind a value, and
//! units. Those that leave no doubt come as a corrected line, which `fix` writes.
//! *Does not know:* files and findings.
//! *Invariants:* a corrected line is only given when there is exactly one way to read the bad one.

use super::fields::Config;
use super::table::{lookup, table};
use crate::base::quote;

/// Lines that are no parameters, but known names.
pub const LINES: [&str; 5] = ["include", "rename-command", "user", "loadmodule", "sentinel"];

/// The save points that ever were in the shipped file or built in.
const KNOWN_SAVE_POINTS: [(&str, &str); 5] =
    [("900", "1"), ("300", "10"), ("60", "10000"), ("3600", "1"), ("300", "100")];

/// A line that says what the bad one meant, and why that is certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    pub line: String,
    pub why: &'static str,
}

impl Repair {
    pub fn suggestion(&self) -> String {
        format!("{}, did you mean: {}", self.why, self.line)
    }
}

/// The certain correction of a line that was refused.
pub fn repair(line: &[u8]) -> Option<Repair> {
    let words = quote::split_args(line)?;
    let (name, values) = words.split_first()?;
    split_save_point(name, values).or_else(|| without_comment(line, name, values))
}

/// `save 9001` as `save 900 1`, if the digits fall apart into a known save point in one way only.
fn split_save_point(name: &[u8], values: &[Vec<u8>]) -> Option<Repair> {
    let [digits] = values else { return None };
    if !name.eq_ignore_ascii_case(b"save") {
        return None;
    }
    let runs_together =
        |(seconds, changes): &&(&str, &str)| [seconds.as_bytes(), changes.as_bytes()].concat() == *digits;
    let mut candidates = KNOWN_SAVE_POINTS.iter().filter(runs_together);
    let (seconds, changes) = candidates.next()?;
    let unique = candidates.next().is_none();
    unique.then(|| Repair { line: format!("save {seconds} {changes}"), why: "seconds and changes ran together" })
}

/// `port 6379 # text` as `port 6379`, if that is good.
fn without_comment(line: &[u8], name: &[u8], values: &[Vec<u8>]) -> Option<Repair> {
    let directive = lookup(name)?;
    let comment = values.iter().position(|word| word.starts_with(b"#"))?;
    directive.set(&mut Config::default(), &values[..comment]).ok()?;
    let blank_then_hash = |pair: &[u8]| pair[0].is_ascii_whitespace() && pair[1] == b'#';
    let hash = line.windows(2).position(blank_then_hash)?;
    let kept = String::from_utf8(line[..hash].trim_ascii_end().to_vec()).ok()?;
    // A quoted `#` further to the left would make the cut wrong; then nothing is certain.
    let as_meant = quote::split_args(kept.as_bytes())?.get(1..)? == &values[..comment];
    as_meant.then_some(Repair { line: kept, why: "a comment needs a line of its own" })
}

/// The known name that `name` is most like, if it is like one.
pub fn nearest_name(name: &[u8]) -> Option<&'static str> {
    nearest(name, table().flat_map(|directive| directive.names()).chain(LINES))
}

/// The one of `known` that `name` is most like, in any case: of directives, and of file names when one is missing.
pub fn nearest<'a>(name: &[u8], known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let tolerated = (name.len() / 4).clamp(1, 4);
    let ranked = known.map(|known| (distance(&name, known.to_ascii_lowercase().as_bytes()), known));
    ranked.filter(|(distance, _)| *distance <= tolerated).min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// How many insertions, deletions, replacements and swaps of neighbours lead from `a` to `b`.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repaired(line: &str) -> Option<String> {
        repair(line.as_bytes()).map(|repair| repair.line)
    }

    #[test]
    fn lost_blanks_of_known_save_points_come_back() {
        for (bad, good) in [
            ("save 9001", "save 900 1"),
            ("save\t30010", "save 300 10"),
            ("SAVE 6010000", "save 60 10000"),
            ("save 36001", "save 3600 1"),
            ("save \"300100\"", "save 300 100"),
        ] {
            assert_eq!(repaired(bad).as_deref(), Some(good));
        }
        for unclear in ["save 1234", "save 9001 1", "save 900", "port 9001", "save"] {
            assert_eq!(repaired(unclear), None, "{unclear}");
        }
    }

    #[test]
    fn known_save_points_do_not_run_into_one_another() {
        let mut joined = KNOWN_SAVE_POINTS.map(|(seconds, changes)| format!("{seconds}{changes}"));
        joined.sort();
        assert!(joined.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn comments_behind_a_value_are_cut_off_when_the_rest_is_good() {
        assert_eq!(repaired("save 900 1 # text").as_deref(), Some("save 900 1"));
        assert_eq!(repaired("port 6379\t#text").as_deref(), Some("port 6379"));
        assert_eq!(repaired("requirepass \"a #b\" #c"), None);
        assert_eq!(repaired("port x # text"), None);
        assert_eq!(repaired("nonsense 1 # text"), None);
    }

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        assert_eq!(nearest_name(b"maxmemroy"), Some("maxmemory"));
        assert_eq!(nearest_name(b"max-memory"), Some("maxmemory"));
        assert_eq!(nearest_name(b"Prot"), Some("port"));
        assert_eq!(nearest_name(b"slave-of"), Some("slaveof"));
        assert_eq!(nearest_name(b"includes"), Some("include"));
        assert_eq!(nearest_name(b"rabbitmq-url"), None);
        assert_eq!(nearest_name(b""), None);
    }

    #[test]
    fn b2_a_long_dash_in_a_file_name_is_near() {
        let files = ["redis.conf", "redis-test.conf"];
        assert_eq!(nearest("redis\u{2014}test.conf".as_bytes(), files.into_iter()), Some("redis-test.conf"));
    }
}
