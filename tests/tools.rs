//! The programs redis-check-dump (redis-check-rdb) and redis-check-aof, as built.
//!
//! *Duty:* their lines, exit codes and what they do to files. Where the machine has the programs of 7.0.15 they are run
//! on copies of the same files, and everything they print must be printed here too.

#[path = "tools/bench.rs"]
mod bench;
#[path = "tools/check_aof.rs"]
mod check_aof;
#[path = "tools/check_dump.rs"]
mod check_dump;
#[path = "tools/server.rs"]
mod server;
#[path = "tools/sums.rs"]
mod sums;
