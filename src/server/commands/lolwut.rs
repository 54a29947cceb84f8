//! LOLWUT: a picture, another one each time, and the version.
//!
//! *Duty:* a reply that people and clients can tell the version from: its last line, as in 7.0.15. The picture is our
//! own: slashes thrown at random, which the eye joins to a maze (the one line that home computers drew in 1982).
//! *Counterpart in C Redis:* `lolwut.c`.

use super::{ServerCommand, ServerHandler};
use crate::base::num;
use crate::base::rng::Rng;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::server::Server;
use crate::server::version::REDIS_VERSION;

pub const COMMANDS: &[ServerCommand] = &[LOLWUT];

pub const LOLWUT: ServerCommand = Command::new(
    lolwut as ServerHandler,
    Spec {
        name: "lolwut",
        arity: -1,
        flags: READONLY.or(FAST),
        group: Group::Server,
        since: "5.0.0",
        summary: "Draws a picture and tells the version.",
        syntax: "[VERSION version]",
        ..Spec::BASE
    },
);

const COLUMNS: (i64, i64) = (64, 1000);
const ROWS: (i64, i64) = (12, 200);

/// Behind the version there may be the number of columns and of rows.
fn lolwut(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let with_version = call.args.len() >= 3 && call.args.is(1, "version");
    if with_version {
        call.args.int(2)?;
    }
    let first = if with_version { 3 } else { 1 };
    let size = |at: usize, (usual, most): (i64, i64)| match call.args.opt(at).map(num::parse_i64) {
        None => Ok(usual as usize),
        Some(Some(asked)) => Ok(asked.clamp(1, most) as usize),
        Some(None) if with_version => Err(CmdError::NotInteger),
        Some(None) => Ok(usual as usize),
    };
    let (columns, rows) = (size(first, COLUMNS)?, size(first + 1, ROWS)?);
    let mut text = maze(columns, rows, &mut srv.ks.rng);
    text.push_str(&format!("\nRedis ver. {REDIS_VERSION}\n"));
    call.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn maze(columns: usize, rows: usize, rng: &mut Rng) -> String {
    let mut text = String::new();
    for _ in 0..rows {
        text.extend((0..columns).map(|_| if rng.below(2) == 0 { '╱' } else { '╲' }));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maze_has_the_size_asked_for_and_both_walls() {
        let text = maze(40, 3, &mut Rng::new(1));
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert_eq!(widths, [40; 3]);
        assert!(text.contains('╱') && text.contains('╲'));
        assert_ne!(text, maze(40, 3, &mut Rng::new(2)));
    }
}
