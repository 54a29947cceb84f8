//! Configuration: the parameters, the directive table, the file parser, and the checks before a start.
//!
//! *Duty:* turn texts (files, standard input, arguments, CONFIG SET) into a typed [`Config`] and back, with
//! Redis 7.0.15's names, bounds and error texts, and say everything that is wrong, not only the first thing.
//! *Does not know:* files, sockets, the clock, the server. The shell reads the texts, hands them in, and applies
//! what changed; an `include` is a request to it.
//! *Invariants:* a refused CONFIG SET leaves the configuration untouched. A value in [`Config`] is always within
//! its directive's bounds. Nothing is guessed in silence: what is ambiguous is refused with a suggestion.
//! *Reading order:* `fields` (what there is), `values` (its types), `directive` and `table/` (names, bounds,
//! texts), `command` (CONFIG GET and SET), `parse` (files and arguments), `check` and `fix`.
//! *Counterpart in C Redis:* `config.c`.

pub mod directive;
pub mod fields;
pub mod number;
pub mod table;
pub mod values;

pub use directive::{Change, ConfigError, Directive, Flags};
pub use fields::Config;
pub use table::{lookup, table};
pub use values::*;
