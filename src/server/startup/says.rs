//! What a start says: the lines that people read and scripts wait for.
//!
//! *Duty:* the markers of 7.0.15 in their order, advice about the kernel once and in one line each, and a plain
//! refusal of what this release cannot do yet. *Counterpart in C Redis:* `redisAsciiArt`,
//! `linuxMemoryWarnings`, `checkTcpBacklogSettings`.

use std::path::Path;

use super::{Refusal, files};
use crate::config::{AppendFsync, Config};
use crate::server::Server;
use crate::server::version::{REDIS_VERSION, REDSTART_VERSION};
use crate::sys::clock::Clock;
use crate::sys::{kernel, log as server_log};

/// Refuses a configuration that promises what is not built: a server that silently did without would lose data.
pub fn not_built(config: &Config) -> Result<(), Refusal> {
    let asked = [
        (config.cluster_enabled, "cluster-enabled yes: cluster mode"),
        (config.tls_port != 0, "tls-port: TLS"),
        (!config.loadmodule.is_empty(), "loadmodule: modules"),
    ];
    match asked.iter().find(|(wanted, _)| *wanted) {
        Some((_, what)) => {
            Err(format!("{what} is not part of this release yet. Remove the directive to start without."))
        }
        None => Ok(()),
    }
}

/// A `maxmemory` below this leaves hardly any room beside the server itself.
const SMALL_MAXMEMORY: u64 = 1 << 20;

pub fn starting(config: &Config, file: Option<&Path>, clock: &Clock) {
    let pid = std::process::id();
    log::info!("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo");
    log::info!(
        "Redis version={REDIS_VERSION}, bits={}, commit=00000000, modified=0, pid={pid}, just started (Redstart \
         {REDSTART_VERSION})",
        usize::BITS
    );
    match file {
        Some(_) => log::info!("Configuration loaded"),
        None => log::warn!(
            "Warning: no config file specified, using the default config. In order to specify a config file use \
             redis-server /path/to/redis.conf"
        ),
    }
    if config.appendfsync != AppendFsync::Everysec && !config.appendonly {
        log::warn!("appendfsync is set but appendonly is no: it has no effect.");
    }
    if (1..SMALL_MAXMEMORY).contains(&config.maxmemory) {
        log::warn!(
            "WARNING: You specified a maxmemory value that is less than 1MB (current value is {} bytes). Are you sure \
             this is what you really want?",
            config.maxmemory
        );
    }
    server_log::set_role(if config.replicaof.is_some() { server_log::Role::Replica } else { server_log::Role::Master });
    log::info!("monotonic clock: {}", clock.description());
}

pub fn mode(srv: &Server) {
    let port = srv.config.port;
    if srv.config.always_show_logo || (files::on_terminal() && srv.config.logfile.is_empty()) {
        server_log::log_text(&logo(port));
    } else {
        log::info!("Running mode=standalone, port={port}.");
    }
    log::info!("Server initialized");
    if srv.config.save.is_empty() {
        log::info!("No save points: nothing is written to disk unless SAVE or BGSAVE is called.");
    } else {
        log::info!("Snapshots go to {}/{}", srv.config.dir, srv.config.dbfilename);
    }
}

fn logo(port: u16) -> String {
    format!(
        "
      _~
   __/ o\\     Redstart {REDSTART_VERSION}, as Redis {REDIS_VERSION} ({} bit)
   \\     \\__
    \\  ~~   \\\\    Running in standalone mode
     `---,__)    Port: {port}
       | |       PID: {}

",
        usize::BITS,
        std::process::id()
    )
}

/// Kernel settings that will hurt, one line each.
pub fn kernel_advice(config: &Config) {
    let checks = kernel::kernel_checks();
    if checks.somaxconn.is_some_and(|max| max < config.tcp_backlog) && config.port != 0 {
        log::warn!(
            "WARNING: The TCP backlog setting of {} cannot be enforced because /proc/sys/net/core/somaxconn is set to \
             the lower value of {}.",
            config.tcp_backlog,
            checks.somaxconn.unwrap_or_default()
        );
    }
    if checks.overcommit_memory.is_some_and(|mode| mode != 1) {
        log::warn!(
            "WARNING Memory overcommit must be enabled! Without it, a background save may fail under low memory \
             condition. To fix this issue add 'vm.overcommit_memory = 1' to /etc/sysctl.conf and then reboot or run \
             the command 'sysctl vm.overcommit_memory=1' for this to take effect."
        );
    }
    if checks.transparent_hugepages.as_deref() == Some("always") && !config.disable_thp {
        log::warn!(
            "WARNING You have Transparent Huge Pages (THP) support enabled in your kernel. This will create latency \
             and memory usage issues: set disable-thp yes, or 'madvise' in \
             /sys/kernel/mm/transparent_hugepage/enabled."
        );
    }
}

pub fn ready(srv: &Server) {
    if srv.config.port != 0 {
        log::info!("Ready to accept connections tcp");
    }
    if !srv.config.unixsocket.is_empty() {
        log::info!("Ready to accept connections unix");
    }
    if srv.config.port == 0 && srv.config.unixsocket.is_empty() {
        log::warn!(
            "Ready to accept connections, but there is nothing to accept them on: port is 0 and there is no unixsocket."
        );
    }
}
