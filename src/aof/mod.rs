//! The append only file: its manifest, its commands, the sums beside it, and values as commands.
//!
//! *Duty:* turn the bytes of a multi-part AOF into commands and back, and tell sound bytes from damaged ones.
//! *Does not know:* files, folders, clocks, what a command does. Whoever opens the files decides what becomes of a
//! torn tail, when to flush and when to rewrite.
//! *Invariants:* whatever bytes come in, the answer is commands or an error that says where and what; nothing is
//! reserved for what a length promises. 7.0.15 reads what is written here, and the other way round.
//! *Reading order:* `manifest`, `reader` with its `fault`, `sums`, `rewrite`. *Counterpart in C Redis:* `aof.c`, the
//! parsing half of `redis-check-aof.c`.

mod fault;
pub mod manifest;
mod reader;
pub mod rewrite;
pub mod sums;

pub use fault::{Fault, What};
pub use manifest::{File, FileKind, Manifest, ManifestError};
pub use reader::{Annotation, Chunk, Commands, ReadError, Reader};
pub use sums::{Chain, Damage, Sealed, Sealing, Sums, SumsError, Verifier};

/// What the name of a file of sums adds to that of the file that it stands beside.
pub const SUMS_SUFFIX: &str = ".sum";
