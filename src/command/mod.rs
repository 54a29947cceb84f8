//! Data commands: those that need the keyspace and nothing else.
//!
//! *Invariant:* nothing here can name the server, a connection or another client. *Reading order:* `spec` (the row),
//! then a family: the row stands above its handler, `COMMANDS` lists the family.
//! *Counterpart in C Redis:* `t_string.c`, `db.c` and their like.

pub mod bitmap;
pub mod generic;
pub mod geo;
pub mod hash;
pub mod help;
pub mod hyperloglog;
pub mod list;
pub mod scanning;
pub mod set;
pub mod spec;
pub mod stream;
pub mod string;
pub mod syntax;
pub mod zset;

use spec::DataCommand;

/// All data commands, family by family.
#[rustfmt::skip]
pub const FAMILIES: &[&[DataCommand]] = &[
    bitmap::COMMANDS,
    generic::COMMANDS,
    geo::COMMANDS,
    hash::COMMANDS,
    hyperloglog::COMMANDS,
    list::COMMANDS,
    set::COMMANDS,
    stream::COMMANDS,
    string::COMMANDS,
    zset::COMMANDS,
];
