//! Rule: files of at most 1,000 lines, functions of at most 70.
//!
//! *Duty:* the limits and the list of exceptions, each of which somebody signed with a reason.
//! *Does not know:* what the code does; a table of rows is long for another reason than a knot of branches, and that
//! difference is what the reason is for.
//! *Invariants:* an exception that is no longer needed is itself a finding. Functions inside test code are free up
//! to the limit of the file.

use crate::source::{Finding, Source, body_or_end, closing, test_lines};

pub const FILE_LINES: usize = 1000;
pub const FUNCTION_LINES: usize = 70;

/// One longer file (`function: None`) or function that is better long, and why.
pub struct Exception {
    pub path: &'static str,
    pub function: Option<&'static str>,
    pub lines: usize,
    pub reason: &'static str,
}

/// Keep it short: each entry is a place where the next reader needs more than one screen.
pub const EXCEPTIONS: &[Exception] = &[];

/// The findings of one file under the given exceptions.
pub fn check(source: &Source, exceptions: &[Exception]) -> Vec<Finding> {
    let limit_of = |function: Option<&str>, usual: usize| {
        let signed = exceptions.iter().find(|e| e.path == source.path && e.function == function);
        signed.map_or(usual, |e| e.lines)
    };
    let mut findings = Vec::new();
    let (lines, limit) = (source.text.lines().count(), limit_of(None, FILE_LINES));
    if lines > limit {
        findings.push(source.finding(limit + 1, format!("{lines} lines; a file has at most {limit}")));
    }
    for function in functions(source).iter().filter(|f| !f.in_tests) {
        let limit = limit_of(Some(&function.name), FUNCTION_LINES);
        if function.lines > limit {
            let what = format!("fn {} has {} lines; at most {limit}", function.name, function.lines);
            findings.push(source.finding(function.line, what));
        }
    }
    findings
}

/// Exceptions that name nothing long: the code was cut, so the permission goes too. Also those without a reason.
pub fn stale(sources: &[Source], exceptions: &[Exception]) -> Vec<Finding> {
    let needed = |e: &Exception| {
        let source = sources.iter().find(|s| s.path == e.path);
        source.is_some_and(|s| match e.function {
            None => s.text.lines().count() > FILE_LINES,
            Some(name) => functions(s).iter().any(|f| f.name == name && f.lines > FUNCTION_LINES),
        })
    };
    let idle = exceptions.iter().filter(|e| !needed(e) || e.reason.is_empty());
    idle.map(|e| Finding {
        path: e.path.to_string(),
        line: 1,
        what: format!("the length exception for {} has no use or no reason", e.function.unwrap_or("the file")),
    })
    .collect()
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
    in_tests: bool,
}

fn functions(source: &Source) -> Vec<Function> {
    let tokens = source.tokens();
    let tests = test_lines(&tokens);
    let mut found = Vec::new();
    for i in 0..tokens.len().saturating_sub(1) {
        let name = tokens[i + 1].text;
        // `fn(u8) -> u8` is a type, and has no name.
        if tokens[i].text != "fn" || name == "(" {
            continue;
        }
        let Some(open) = body_or_end(&tokens, i) else { continue };
        let end = if tokens[open].text == "{" { closing(&tokens, open) } else { open };
        let line = tokens[i].line;
        found.push(Function {
            name: name.to_string(),
            line,
            lines: tokens[end].line - line + 1,
            in_tests: source.is_test_file() || tests.iter().any(|t| t.contains(&line)),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function_of(lines: usize) -> String {
        format!("fn long(a: [u8; 4]) -> fn() {{\n{}}}\n", "    x(\"{\"); // {\n".repeat(lines - 2))
    }

    #[test]
    fn a_long_function_is_found_and_one_line_less_passes() {
        let bad = Source::new("src/ds/a.rs", &function_of(FUNCTION_LINES + 1));
        assert_eq!(check(&bad, &[]).len(), 1);
        assert!(check(&Source::new("src/ds/a.rs", &function_of(FUNCTION_LINES)), &[]).is_empty());
    }

    #[test]
    fn tests_may_be_long() {
        let text = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function_of(200));
        assert!(check(&Source::new("src/ds/a.rs", &text), &[]).is_empty());
        assert!(check(&Source::new("src/ds/a/tests.rs", &function_of(200)), &[]).is_empty());
    }

    #[test]
    fn a_long_file_is_found_even_if_it_is_a_test() {
        let text = "// line\n".repeat(FILE_LINES + 1);
        assert_eq!(check(&Source::new("src/ds/tests.rs", &text), &[])[0].line, FILE_LINES + 1);
    }

    #[test]
    fn an_exception_excuses_and_goes_stale() {
        let exceptions =
            [Exception { path: "src/ds/a.rs", function: Some("long"), lines: 80, reason: "one match, one arm a row" }];
        let long = Source::new("src/ds/a.rs", &function_of(80));
        assert!(check(&long, &exceptions).is_empty());
        assert!(stale(&[long], &exceptions).is_empty());
        assert_eq!(check(&Source::new("src/ds/a.rs", &function_of(81)), &exceptions).len(), 1);
        assert_eq!(stale(&[Source::new("src/ds/a.rs", &function_of(30))], &exceptions).len(), 1);
    }
}
