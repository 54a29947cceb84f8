//! Transcript files: lines to blocks and steps, and back with other outcomes.
//!
//! *Duty:* the line forms of FORMAT.md. *Does not know:* what a request does.

use std::collections::BTreeMap;

/// What a line sets going.
#[derive(Debug)]
pub enum Action {
    Request(String),
    /// The clock moves on, by so many ms.
    Advance(i64),
    /// Active expiry runs until nothing overdue is left.
    Expire,
}

#[derive(Debug)]
pub struct Step {
    /// Number of its line in the file, and that line.
    pub line: usize,
    pub text: String,
    pub action: Action,
    /// The lines that begin with `<`, and those that begin with `~`.
    pub reply: Vec<String>,
    pub effects: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Block {
    /// The effects are compared, each of them.
    pub effects: bool,
    pub resp3: bool,
    pub steps: Vec<Step>,
}

/// The blocks of a file, or `line: what is wrong with it`.
pub fn parse(text: &str) -> Result<Vec<Block>, String> {
    let mut blocks = vec![Block::default()];
    for (i, line) in text.lines().enumerate() {
        let block = blocks.last_mut().expect("it begins with one");
        let is_head = block.steps.is_empty();
        match line {
            "" => blocks.push(Block::default()),
            "effects" if is_head => block.effects = true,
            "resp3" if is_head => block.resp3 = true,
            _ if is_head && (line == "only redstart" || line.starts_with("only redstart:")) => {}
            _ if line.starts_with('#') => {}
            _ if line.starts_with("> ") || line.starts_with("@ ") => {
                let action = action(line).ok_or_else(|| format!("{}: no such action: {line}", i + 1))?;
                block.steps.push(Step {
                    line: i + 1,
                    text: line.to_string(),
                    action,
                    reply: Vec::new(),
                    effects: Vec::new(),
                });
            }
            _ => take_outcome(block, line).ok_or_else(|| format!("{}: not a line of the format: {line}", i + 1))?,
        }
    }
    blocks.retain(|block| !block.steps.is_empty());
    Ok(blocks)
}

fn action(line: &str) -> Option<Action> {
    if let Some(request) = line.strip_prefix("> ") {
        return Some(Action::Request(request.to_string()));
    }
    let word = line.strip_prefix("@ ")?;
    if word == "expire" {
        return Some(Action::Expire);
    }
    let time = word.strip_prefix('+')?;
    match time.strip_suffix("ms") {
        Some(ms) => ms.parse().ok().map(Action::Advance),
        None => Some(Action::Advance(time.strip_suffix('s')?.parse::<i64>().ok()? * 1000)),
    }
}

fn take_outcome(block: &mut Block, line: &str) -> Option<()> {
    let step = block.steps.last_mut()?;
    if line.starts_with("< ") {
        step.reply.push(line.to_string());
    } else if line.starts_with("~ ") {
        step.effects.push(line.to_string());
        block.effects = true;
    } else {
        return None;
    }
    Some(())
}

/// The file with the outcome lines of each step replaced by those in `outcomes`.
pub fn with_outcomes(text: &str, outcomes: &BTreeMap<usize, Vec<String>>) -> String {
    let mut out = String::new();
    for (i, line) in text.lines().enumerate() {
        if !line.starts_with("< ") && !line.starts_with("~ ") {
            out += line;
            out.push('\n');
        }
        for outcome in outcomes.get(&(i + 1)).into_iter().flatten() {
            out += outcome;
            out.push('\n');
        }
    }
    out
}
