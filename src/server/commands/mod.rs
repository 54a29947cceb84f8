//! Server commands: those that need more than the keyspace. Glue: take arguments, call one method of one subsystem,
//! write the answer.
//!
//! *Counterpart in C Redis:* the command procedures of `networking.c`, `config.c`, `multi.c`, `pubsub.c`, `server.c`.

pub mod acl;
pub mod client;
pub mod cluster;
pub mod command_info;
pub mod config;
pub mod connection;
pub mod debug;
pub mod eval;
pub mod function;
pub mod info;
pub mod latency;
pub mod lolwut;
pub mod memory;
pub mod migrate;
pub mod monitor;
pub mod persistence;
pub mod pubsub;
pub mod replicaof;
pub mod replication;
pub mod script;
pub mod server;
pub mod shutdown;
pub mod slowlog;
pub mod transaction;

use crate::call::{Call, CmdResult};
use crate::command::spec::Command;
use crate::server::Server;

pub type ServerHandler = fn(&mut Server, &mut Call<'_>) -> CmdResult;
pub type ServerCommand = Command<ServerHandler>;

/// All server commands, family by family.
pub const SERVER_FAMILIES: &[&[ServerCommand]] = &[
    acl::COMMANDS,
    client::COMMANDS,
    cluster::COMMANDS,
    command_info::COMMANDS,
    config::COMMANDS,
    connection::COMMANDS,
    debug::COMMANDS,
    eval::COMMANDS,
    function::COMMANDS,
    info::COMMANDS,
    latency::COMMANDS,
    lolwut::COMMANDS,
    memory::COMMANDS,
    migrate::COMMANDS,
    monitor::COMMANDS,
    persistence::COMMANDS,
    pubsub::COMMANDS,
    replicaof::COMMANDS,
    replication::COMMANDS,
    script::COMMANDS,
    server::COMMANDS,
    shutdown::COMMANDS,
    slowlog::COMMANDS,
    transaction::COMMANDS,
];
