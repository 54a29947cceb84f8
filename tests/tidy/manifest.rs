//! Rule: every dependency has a row in BUILD.md, and every row a dependency.
//!
//! *Duty:* compare the `[dependencies]` tables of Cargo.toml with the table under "Dependencies" in BUILD.md.
//! *Does not know:* whether the reason given there is a good one.

use crate::source::Finding;

pub fn unexplained(cargo_toml: &str, build_md: &str) -> Vec<Finding> {
    let (wanted, told) = (dependencies(cargo_toml), rows(build_md));
    let finding = |path: &str, line: usize, what: String| Finding { path: path.to_string(), line, what };
    let missing = wanted.iter().filter(|(name, _)| !told.iter().any(|(row, _)| row == name));
    let stale = told.iter().filter(|(row, _)| !wanted.iter().any(|(name, _)| row == name));
    let missing = missing.map(|(name, line)| finding("Cargo.toml", *line, format!("{name} has no row in BUILD.md")));
    let stale = stale.map(|(name, line)| finding("BUILD.md", *line, format!("{name} is no dependency any more")));
    missing.chain(stale).collect()
}

/// Names and lines in every table whose name ends in `dependencies]`.
fn dependencies(cargo_toml: &str) -> Vec<(&str, usize)> {
    let (mut found, mut inside) = (Vec::new(), false);
    for (number, line) in cargo_toml.lines().enumerate() {
        if line.starts_with('[') {
            inside = line.trim_end().ends_with("dependencies]");
        } else if let (true, Some((name, _))) = (inside && !line.starts_with('#'), line.split_once('=')) {
            found.push((name.trim(), number + 1));
        }
    }
    found
}

/// First cells and lines of the table in the chapter on dependencies, less its two head lines.
fn rows(build_md: &str) -> Vec<(&str, usize)> {
    let chapter = build_md.lines().enumerate().skip_while(|(_, line)| *line != "## Dependencies");
    let table = chapter.filter(|(_, line)| line.starts_with('|')).skip(2);
    table.map(|(number, line)| (line.split('|').nth(1).unwrap_or("").trim(), number + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILD: &str = "| no | table |\n## Dependencies\n| crate | for |\n|---|---|\n| log | lines |\n| gone | - |\n";

    #[test]
    fn a_missing_and_a_stale_row_are_found() {
        let cargo =
            "[package]\nname = \"x\"\n[dependencies]\nlog = \"1\"\nmio = \"1\"\n[dev-dependencies]\nrand = \"1\"\n";
        let lines: Vec<(String, usize)> = unexplained(cargo, BUILD).into_iter().map(|f| (f.path, f.line)).collect();
        let at = |path: &str, line| (path.to_string(), line);
        assert_eq!(lines, [at("Cargo.toml", 5), at("Cargo.toml", 7), at("BUILD.md", 6)]);
    }
}
