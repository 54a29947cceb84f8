//! The kernel side, part one: everything this server asks of Linux except sockets.
//!
//! *Duty:* clock, memory accounting, log, fork, signals, crash report, process and file facilities, and the one
//! background thread. It is here, and in three files of the pure side, that `unsafe` is allowed.
//! *Does not know:* Redis. No keyspace, no client, no directive; what to write, when to fork and what a signal
//! means is decided in `server`.
//! *Invariants:* only the main thread logs and forks; other threads have all signals blocked; what a forked
//! child uses takes no lock that another thread could hold.
//! *Counterpart in C Redis:* `zmalloc.c`, `bio.c`, `childinfo.c`, `monotonic.c`, `setproctitle.c`, `syscheck.c`, and
//! the parts of `server.c` and `debug.c` that speak to the kernel.

pub mod affinity;
pub mod alloc;
pub mod bio;
pub mod clock;
pub mod crash;
pub mod daemon;
pub mod file_lock;
pub mod files;
pub mod fork;
pub mod kernel;
pub mod log;
pub mod lookup;
pub mod notify;
pub mod path_slot;
pub mod pipe;
pub mod process;
pub mod signals;
pub mod stack_text;
pub mod syslog;
pub mod title;
