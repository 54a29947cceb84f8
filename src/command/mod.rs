//! Data commands: those that need the keyspace and nothing else.
//!
//! *Invariant:* nothing here can name the server, a connection or another client. *Reading order:* `spec` (the row),
//! then a family: the row stands above its handler, `COMMANDS` lists the family.
//! *Counterpart in C Redis:* `t_string.c`, `db.c` and their like.

pub mod generic;
pub mod geo;
pub mod hash;
pub mod help;
pub mod list;
pub mod scanning;
pub mod spec;
pub mod string;
pub mod syntax;
pub mod zset;

use spec::DataCommand;

/// All data commands, family by family.
pub const FAMILIES: &[&[DataCommand]] =
    &[string::COMMANDS, generic::COMMANDS, hash::COMMANDS, list::COMMANDS, zset::COMMANDS, geo::COMMANDS];
