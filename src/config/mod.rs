//! Configuration: the parameters, the directive table, the file parser, and the checks before a start.
//!
//! *Duty:* turn texts (files, standard input, arguments, CONFIG SET) into a typed [`Config`] and back, with
//! Redis 7.0.15's names, bounds and error texts, and say everything that is wrong, not only the first thing.
//! *Does not know:* files, sockets, the clock, the server. The shell reads the texts, hands them in, and applies
//! what changed; an `include` is a request to it.
//! *Invariants:* a refused CONFIG SET leaves the configuration untouched. A value in [`Config`] is always within
//! its directive's bounds. Nothing is guessed in silence: what is ambiguous is refused with a suggestion.
//! *Reading order:* `fields` (what there is), `values` (its types), `directive` and `table/` (names, bounds,
//! texts), `command` (CONFIG GET and SET), `parse` (files; `arguments` for the command line), `check` and `fix`.
//! *Counterpart in C Redis:* `config.c`.

pub mod arguments;
pub mod check;
pub mod command;
pub mod directive;
pub mod fields;
pub mod finding;
pub mod fix;
pub mod number;
pub mod obsolete;
pub mod parse;
pub mod repair;
pub mod rewrite;
#[cfg(test)]
mod shipped;
pub mod table;
pub mod values;

pub use command::{CmdText, SetContext, get_many, set_many};
pub use directive::{Change, ConfigError, Directive, Flags};
pub use fields::Config;
pub use finding::{Finding, Severity};
pub use parse::{Loaded, Loader, Mode, parse_lines};
pub use table::{lookup, table};
pub use values::*;
