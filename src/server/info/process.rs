//! INFO server, clients and cpu: the process and who talks to it.
//!
//! *Does not know:* how sockets work. *Counterpart in C Redis:* the same sections of `genRedisInfoString`.

use std::fmt::Display;

use super::Text;
use crate::base::crc64;
use crate::config::Supervised;
use crate::server::Server;
use crate::server::version::{REDIS_VERSION, REDSTART_VERSION};
use crate::sys::process::{CpuOf, CpuTime, cpu_time};
use crate::sys::{kernel, notify};

/// Of the release the whole of which is `REDSTART_VERSION`, whatever the working copy's state: set by who builds.
const GIT_SHA1: &str = match option_env!("REDSTART_GIT_SHA1") {
    Some(sha1) => sha1,
    None => "00000000",
};

/// The clock of idle times has 24 bits.
const LRU_CLOCK_MASK: i64 = (1 << 24) - 1;

pub fn server(srv: &Server, out: &mut Text) {
    let id = &srv.identity;
    let build = crc64::update(0, [REDSTART_VERSION, GIT_SHA1, std::env::consts::ARCH].concat().as_bytes());
    let uptime = srv.clock.mono_us().saturating_sub(id.started_mono_us) / 1_000_000;
    let mode = if srv.config.cluster_enabled { "cluster" } else { "standalone" };
    let lines: &[(&str, &dyn Display)] = &[
        ("redis_version", &REDIS_VERSION),
        ("redstart_version", &REDSTART_VERSION),
        ("redis_git_sha1", &GIT_SHA1),
        ("redis_git_dirty", &0),
        ("redis_build_id", &format_args!("{build:x}")),
        ("redis_mode", &mode),
        ("os", &kernel::uname()),
        ("arch_bits", &usize::BITS),
        ("monotonic_clock", &srv.clock.description()),
        ("multiplexing_api", &"epoll"),
        ("atomicvar_api", &"c11-builtin"),
        // What a build by another compiler shows.
        ("gcc_version", &"0.0.0"),
        ("process_id", &std::process::id()),
        ("process_supervised", &supervised(srv.config.supervised)),
        ("run_id", &id.run_id.as_str()),
        ("tcp_port", &srv.config.port),
        ("server_time_usec", &srv.clock.now_us()),
        ("uptime_in_seconds", &uptime),
        ("uptime_in_days", &(uptime / 86_400)),
        ("hz", &srv.effective_hz()),
        ("configured_hz", &srv.config.hz),
        ("lru_clock", &(srv.clock.now().secs() & LRU_CLOCK_MASK)),
        ("executable", &id.executable),
        ("config_file", &id.config_file),
        ("io_threads_active", &0),
    ];
    out.lines(lines);
    if let Some(left) = srv.shutdown_in_ms() {
        out.line("shutdown_in_milliseconds", left);
    }
    listeners(srv, out);
}

/// One line for each kind of listener, as 7.2 has them.
fn listeners(srv: &Server, out: &mut Text) {
    let config = &srv.config;
    let mut count = 0;
    if config.port != 0 {
        let binds: String = config.bind.iter().map(|address| format!(",bind={address}")).collect();
        out.line("listener0", format_args!("name=tcp{binds},port={}", config.port));
        count += 1;
    }
    if !config.unixsocket.is_empty() {
        out.line(format_args!("listener{count}"), format_args!("name=unix,bind={}", config.unixsocket));
    }
}

fn supervised(wish: Supervised) -> &'static str {
    match wish {
        Supervised::Systemd => "systemd",
        Supervised::Upstart => "upstart",
        Supervised::Auto if notify::is_supervised_systemd() => "systemd",
        Supervised::Auto | Supervised::No => "no",
    }
}

pub fn clients(srv: &Server, out: &mut Text) {
    let (input, output) = srv.clients.upkeep.recent_peaks();
    out.numbers(&[
        ("connected_clients", srv.clients.open_count().saturating_sub(srv.replication.replicas.len()) as u64),
        ("cluster_connections", 0),
        ("maxclients", srv.config.maxclients as u64),
        ("client_recent_max_input_buffer", input as u64),
        ("client_recent_max_output_buffer", output as u64),
        ("blocked_clients", srv.clients.blocked as u64),
        ("tracking_clients", srv.tracking.clients as u64),
        ("clients_in_timeout_table", srv.blocking.timed() as u64),
        ("total_blocking_keys", srv.blocking.key_count() as u64),
        ("total_blocking_keys_on_nokey", 0),
    ]);
}

pub fn cpu(_: &Server, out: &mut Text) {
    let mut both = |who: &str, time: CpuTime| {
        let seconds = |us: u64| format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
        out.line(format_args!("used_cpu_sys{who}"), seconds(time.sys_us));
        out.line(format_args!("used_cpu_user{who}"), seconds(time.user_us));
    };
    both("", cpu_time(CpuOf::Process));
    both("_children", cpu_time(CpuOf::Children));
    both("_main_thread", cpu_time(CpuOf::Thread));
}
