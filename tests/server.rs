//! Tests of the built program as a process: real sockets, files, signals, exit codes.
//!
//! *Duty:* one test binary (one link step) for all of them; a module per subject under tests/server/.
//! *Does not know:* the inside of the server: what can be tested without a process is tested there.

#[path = "server/harness.rs"]
mod harness;

#[path = "server/acl.rs"]
mod acl;

#[path = "server/clients.rs"]
mod clients;

#[path = "server/aof.rs"]
mod aof;

#[path = "server/blocking.rs"]
mod blocking;

#[path = "server/chaos.rs"]
mod chaos;

#[path = "server/config.rs"]
mod config;

#[path = "server/connection.rs"]
mod connection;

#[path = "server/crash.rs"]
mod crash;

#[path = "server/damage.rs"]
mod damage;

#[path = "server/disk.rs"]
mod disk;

#[path = "server/debug.rs"]
mod debug;

#[path = "server/evict.rs"]
mod evict;

#[path = "server/flight.rs"]
mod flight;

#[path = "server/functions.rs"]
mod functions;

#[path = "server/info.rs"]
mod info;

#[path = "server/crowds.rs"]
mod crowds;

#[path = "server/install.rs"]
mod install;

#[path = "server/observation.rs"]
mod observation;

#[path = "server/migrate.rs"]
mod migrate;

#[path = "server/proxy.rs"]
mod proxy;

#[path = "server/persistence.rs"]
mod persistence;

#[path = "server/replica.rs"]
mod replica;

#[path = "server/replica_link.rs"]
mod replica_link;

#[path = "server/replication.rs"]
mod replication;

#[path = "server/scripting.rs"]
mod scripting;

#[path = "server/runbook_a.rs"]
mod runbook_a;

#[path = "server/runbook_b.rs"]
mod runbook_b;

#[path = "server/runbook_c.rs"]
mod runbook_c;

#[path = "server/shutdown.rs"]
mod shutdown;

#[path = "server/smoke.rs"]
mod smoke;
