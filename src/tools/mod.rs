//! The programs beside the server: redis-check-dump (also named redis-check-rdb) and redis-check-aof.
//!
//! *Duty:* which of them a program's name means, and what is common to them: text to standard output, an exit code.
//! *Does not know:* the server; of it only the table of commands is looked at.
//! *Invariants:* exit code 0 says that everything was read and is good; anything else is 1. A reader of the output
//! that goes away ends the program quietly.
//! *Counterpart in C Redis:* `redis-check-rdb.c`, `redis-check-aof.c`, and the first lines of `main`, which tell by the
//! name under which redis-server was started.

pub mod check_aof;
pub mod check_dump;

use std::ffi::{OsStr, OsString};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    CheckAof,
    CheckDump,
}

impl Tool {
    /// The tool that a program of this path is.
    pub fn named(program: &OsStr) -> Option<Tool> {
        let name = Path::new(program).file_name()?.as_bytes();
        let is = |tool: &[u8]| name.windows(tool.len()).any(|part| part == tool);
        if is(b"redis-check-rdb") || is(b"redis-check-dump") {
            return Some(Tool::CheckDump);
        }
        is(b"redis-check-aof").then_some(Tool::CheckAof)
    }

    /// Runs the tool; returns the exit code. `version` is what it says to be.
    pub fn run(self, argv: &[OsString], version: &str) -> i32 {
        let mut out = BufWriter::new(io::stdout().lock());
        let done = match self {
            Tool::CheckAof => check_aof::run(argv, version, &mut io::stdin().lock(), &mut out),
            Tool::CheckDump => check_dump::run(argv, version, &mut out),
        };
        match done.and_then(|code| out.flush().map(|()| code)) {
            Ok(code) => code,
            Err(error) if error.kind() == ErrorKind::BrokenPipe => 1,
            Err(error) => {
                eprintln!("Writing to standard output failed: {error}");
                1
            }
        }
    }
}

/// The arguments of this process, when its name is that of a tool.
pub fn called() -> Option<(Tool, Vec<OsString>)> {
    let argv: Vec<OsString> = std::env::args_os().collect();
    Tool::named(argv.first()?).map(|tool| (tool, argv))
}

/// What the operating system says of a failure, as C's library words it.
fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => Errno::from_raw(code).desc().to_owned(),
        None => error.to_string(),
    }
}

/// Bytes from a file, for a line of text: what a terminal would obey is spelled out.
fn plain(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            0..0x20 | 0x7f => text.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
            _ => text.push(byte),
        }
    }
    text
}

/// As [`plain`], for a format string.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&plain(bytes)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_which_tool_it_is() {
        for (program, tool) in [
            ("/usr/bin/redis-check-rdb", Some(Tool::CheckDump)),
            ("redis-check-dump", Some(Tool::CheckDump)),
            ("./redis-check-rdb-7.0", Some(Tool::CheckDump)),
            ("/opt/redis-check-rdb/redis-server", None),
            ("src/redis-check-aof", Some(Tool::CheckAof)),
            ("redis-server", None),
            ("", None),
        ] {
            assert_eq!(Tool::named(OsStr::new(program)), tool, "{program}");
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_spelled_out() {
        assert_eq!(shown("caf\u{e9} \x1b[2J'\\\n".as_bytes()), "caf\u{e9} \\x1b[2J'\\\\x0a");
    }
}
