//! Redstart: a redis-server for Linux.
//!
//! *Cores decide, the shell acts.* The pure side (`base` to `command`) has no clock, no socket, no file and no
//! thread; the kernel side (`sys`, `net`) knows nothing of Redis; `server` joins the two. ARCHITECTURE.md holds
//! the map, the invariants and the order in which to read.

pub mod acl;
pub mod aof;
pub mod base;
pub mod call;
pub mod command;
pub mod config;
pub mod ds;
pub mod keyspace;
pub mod net;
pub mod pubsub;
pub mod rdb;
pub mod repl;
pub mod resp;
pub mod script;
pub mod server;
pub mod sys;
pub mod tools;
pub mod tracking;
pub mod value;
