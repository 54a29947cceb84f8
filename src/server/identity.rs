//! Who this process is: facts that are fixed at its start.
//!
//! *Duty:* what INFO server and the process title tell of the process itself. *Counterpart in C Redis:*
//! `server.runid`, `server.executable`, `server.stat_starttime`.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::base::ids::RunId;
use crate::base::millis::Millis;
use crate::base::rng::Rng;
use crate::sys::clock::Clock;

pub struct Identity {
    pub run_id: RunId,
    pub started: Millis,
    pub started_mono_us: u64,
    /// The command line.
    pub argv: Vec<OsString>,
    /// How the program was called; in a child: what it is there for.
    pub program: String,
    /// The absolute path of the program.
    pub executable: String,
    /// The absolute path of the main configuration file; empty without one.
    pub config_file: String,
    /// While `oom-score-adj` is on: what the kernel had been told before.
    pub oom_score_before: Option<i32>,
}

impl Identity {
    pub fn new(argv: &[OsString], config_file: Option<PathBuf>, clock: &Clock, rng: &mut Rng) -> Identity {
        let text = |p: PathBuf| p.to_string_lossy().into_owned();
        let program = argv.first().map(|a| a.to_string_lossy().into_owned()).unwrap_or_default();
        Identity {
            argv: argv.to_vec(),
            run_id: RunId::random(rng),
            started: clock.now(),
            started_mono_us: clock.mono_us(),
            executable: std::env::current_exe().map(text).unwrap_or_else(|_| program.clone()),
            program,
            oom_score_before: None,
            config_file: config_file.map(text).unwrap_or_default(),
        }
    }
}
