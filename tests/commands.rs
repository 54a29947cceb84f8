//! Runs the transcripts of tests/commands/*.txt in this process, and checks the command table.
//!
//! *Duty:* each block gets an empty keyspace and a clock of its own; replies, and effects where the block lists them,
//! must be what the file says. `BLESS=1 cargo test --test commands` writes what happened into the files instead.
//! *Does not know:* a server, a connection, a real clock. tests/commands/FORMAT.md tells what the lines mean.
//! *Reading order:* `transcript` (the file), `world` (running a request), `reply` (bytes to lines), `rows`.

#[path = "commands/reply.rs"]
mod reply;
#[path = "commands/rows.rs"]
mod rows;
#[path = "commands/transcript.rs"]
mod transcript;
#[path = "commands/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use transcript::{Action, Block, Step};
use world::{Outcome, World};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "txt")).collect();
    files.sort();
    files
}

/// What differs between the file and what happened, one text each, and the lines that would be right, by the number
/// of the step's line.
#[derive(Default)]
struct Findings {
    differences: Vec<String>,
    right: BTreeMap<usize, Vec<String>>,
}

fn replay(name: &str, blocks: &[Block]) -> Findings {
    let mut findings = Findings::default();
    for block in blocks {
        let mut world = World::new(block.resp3);
        for step in &block.steps {
            let outcome = match &step.action {
                Action::Request(line) => world.request(line),
                Action::Advance(ms) => world.advance(*ms),
                Action::Expire => world.expire(),
            };
            findings.compare(name, block, step, outcome);
        }
    }
    findings
}

impl Findings {
    fn compare(&mut self, name: &str, block: &Block, step: &Step, outcome: Outcome) {
        let reply_is_right = reply::matches(&step.reply, &outcome.reply);
        let effects = if block.effects { outcome.effects } else { step.effects.clone() };
        let effects_are_right = effects == step.effects;
        if !reply_is_right || !effects_are_right {
            let mut text = format!("{name}:{}: {}", step.line, step.text);
            for (right, expected, got) in
                [(reply_is_right, &step.reply, &outcome.reply), (effects_are_right, &step.effects, &effects)]
            {
                if !right {
                    text += &format!("\n    expected  {}", expected.join("\n              "));
                    text += &format!("\n    got       {}", got.join("\n              "));
                }
            }
            self.differences.push(text);
        }
        let reply = if reply_is_right { step.reply.clone() } else { outcome.reply };
        self.right.insert(step.line, [reply, effects].concat());
    }
}

#[test]
fn the_transcripts_hold() {
    let files = files();
    assert!(!files.is_empty(), "no transcripts found");
    let bless = std::env::var_os("BLESS").is_some();
    let mut differences = Vec::new();
    for path in files {
        let name = format!("tests/commands/{}", path.file_name().unwrap().to_string_lossy());
        let text = fs::read_to_string(&path).unwrap();
        let blocks = transcript::parse(&text).unwrap_or_else(|why| panic!("{name}:{why}"));
        let findings = replay(&name, &blocks);
        if bless && !findings.differences.is_empty() {
            fs::write(&path, transcript::with_outcomes(&text, &findings.right)).unwrap();
        } else {
            differences.extend(findings.differences);
        }
    }
    assert!(differences.is_empty(), "{} difference(s)\n{}\n", differences.len(), differences.join("\n"));
}

#[test]
fn every_command_appears_in_a_transcript() {
    let mut requests = Vec::new();
    for path in files() {
        let blocks = transcript::parse(&fs::read_to_string(&path).unwrap()).unwrap();
        requests.extend(blocks.into_iter().flat_map(|block| block.steps).filter_map(|step| match step.action {
            Action::Request(line) => Some(line),
            _ => None,
        }));
    }
    rows::each_is_requested(&requests);
}

#[test]
fn a_difference_is_found_and_can_be_blessed() {
    let text = "effects\n# a comment\n> SET k v\n< +ok\n~ event set k\n> GET k\n< $ \"v\"\n";
    let right =
        "effects\n# a comment\n> SET k v\n< +OK\n~ op SET k v\n~ event new k\n~ event set k\n> GET k\n< $ \"v\"\n";
    let findings = replay("test", &transcript::parse(text).unwrap());
    assert_eq!(findings.differences.len(), 1, "{:?}", findings.differences);
    assert!(findings.differences[0].starts_with("test:3: > SET k v\n    expected  < +ok"));
    assert_eq!(transcript::with_outcomes(text, &findings.right), right);
    assert!(replay("test", &transcript::parse(right).unwrap()).differences.is_empty());
}
