//! What the command line asks for.
//!
//! *Duty:* the words that are no configuration (`--version`, `--help`, `--check-config`), and the name redis-sentinel.
//! *Does not know:* directives; the names of the tools, which the program itself looks for before it comes here.
//! *Counterpart in C Redis:* the first part of `main`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::config::arguments::{CommandLine, command_line};
use crate::server::version;

pub enum Asked {
    Serve(CommandLine),
    Say { text: String, code: i32 },
    Refuse(String),
    Check { file: String, fix: bool },
}

const USAGE: &str = "\
Usage: redis-server [/path/to/redis.conf] [options] [-]
       redis-server - (read the configuration from standard input)
       redis-server --check-config /path/to/redis.conf [--fix]
       redis-server -v or --version
       redis-server -h or --help

Every directive of redis.conf is an option: --port 7777 --save '' --loglevel verbose

Examples:
       redis-server                                  (the defaults)
       redis-server /etc/redis/6379.conf
       redis-server --port 7777
       echo 'maxmemory 128mb' | redis-server -
       redis-server /etc/redis/6379.conf --loglevel verbose -
";

pub fn understand(argv: &[OsString]) -> Asked {
    let program = argv.first().and_then(|a| Path::new(a).file_name()).unwrap_or_default().to_string_lossy();
    if program.contains("sentinel") {
        return Asked::Refuse(SENTINEL.to_owned());
    }
    let args: Vec<&[u8]> = argv.iter().skip(1).map(|a| a.as_bytes()).collect();
    match args.as_slice() {
        [b"-v" | b"--version", ..] => Asked::Say { text: version::line(), code: 0 },
        [b"-h" | b"--help", ..] => Asked::Say { text: USAGE.to_owned(), code: 1 },
        [b"--check-config", rest @ ..] => check_config(rest),
        [b"--test-memory", ..] | [b"--check-system", ..] => {
            Asked::Refuse(format!("{} is not part of this release yet.", args[0].escape_ascii()))
        }
        [b"--sentinel", ..] => Asked::Refuse(SENTINEL.to_owned()),
        _ if args.iter().skip(1).any(|a| *a == b"--sentinel") => Asked::Refuse(SENTINEL.to_owned()),
        _ => Asked::Serve(command_line(&args)),
    }
}

const SENTINEL: &str = "Sentinel is not part of this release yet: run the reference's redis-sentinel.";

fn check_config(rest: &[&[u8]]) -> Asked {
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    match rest {
        [file] => Asked::Check { file: text(file), fix: false },
        [file, b"--fix"] | [b"--fix", file] => Asked::Check { file: text(file), fix: true },
        _ => Asked::Refuse("Usage: redis-server --check-config /path/to/redis.conf [--fix]".to_owned()),
    }
}
