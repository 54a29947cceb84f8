//! The shell: the one place where cores and kernel meet.
//!
//! *Duty:* own all state in one tree ([`Server`]), run the event loop, execute commands, and carry out what they say.
//! *Invariants:* only `exec` runs handlers; only `event_loop::before_sleep` writes replies and frees clients;
//! `Server` has subsystems as fields and nothing else.
//! *Reading order:* `event_loop` (one turn), `client` (bytes to commands), `dispatch` and `gates`, `exec`, then what
//! you came for. *Counterpart in C Redis:* `server.c`, `networking.c`.

pub mod access;
pub mod apply_config;
pub mod blocking;
pub mod client;
pub mod clients;
pub mod commands;
pub mod cron;
pub mod dispatch;
pub mod event_loop;
pub mod evict;
pub mod exec;
pub mod functions;
pub mod gates;
pub mod identity;
pub mod info;
pub mod look_ahead;
pub mod memory;
pub mod notify;
pub mod observation;
pub mod pause;
pub mod persistence;
pub mod propagate;
pub mod registry;
pub mod replication;
pub mod scripting;
pub mod session;
pub mod shutdown;
pub mod startup;
pub mod stats;
pub mod track;
pub mod version;
pub mod watch;

use crate::config::Config;
use crate::keyspace::Keyspace;
use crate::net::Reactor;
use crate::pubsub::PubSub;
use crate::sys::bio::Bio;
use crate::sys::clock::Clock;
use crate::tracking::Tracking;
use access::Access;
use blocking::Blocking;
use clients::Clients;
use commands::migrate::Migrations;
use event_loop::Loop;
use evict::Evict;
use exec::Exec;
use functions::Functions;
use identity::Identity;
use observation::Observation;
use pause::Pause;
use persistence::Persistence;
use registry::Registry;
use replication::Replication;
use scripting::Scripts;
use session::Hosting;
use stats::Stats;
use watch::Watch;

pub struct Server {
    pub ks: Keyspace,
    pub clients: Clients,
    pub net: Reactor,
    pub registry: Registry,
    pub acl: Access,
    pub exec: Exec,
    pub turn: Loop,
    pub evict: Evict,
    pub migrations: Migrations,
    pub watch: Watch,
    pub blocking: Blocking,
    pub pubsub: PubSub,
    pub tracking: Tracking,
    pub hosting: Hosting,
    pub scripts: Scripts,
    pub functions: Functions,
    pub pause: Pause,
    pub config: Config,
    pub clock: Clock,
    pub stats: Stats,
    pub bio: Bio,
    pub identity: Identity,
    pub persistence: Persistence,
    pub observation: Observation,
    pub replication: Replication,
}
