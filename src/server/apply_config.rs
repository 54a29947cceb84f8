//! What must happen when a directive changes.
//!
//! *Duty:* [`RULES`] says which effect follows from which directives; most parameters have none, since they are read
//! where they are used. An effect reads the new [`crate::config::Config`] and brings the rest of the server in line
//! with it, so that applying it twice does no harm, and applying it after the old configuration was put back undoes
//! it.
//! *Does not know:* who changed what (`commands/config.rs`), nor how texts become values (`config`).
//! *Counterpart in C Redis:* the `apply` functions of `config.c`.

use super::Server;
use super::event_loop::Loop;
use super::gates::Alarm;
use super::startup;
use crate::config::{Directive, MaxmemoryPolicy, OomScoreAdj};
use crate::keyspace::SHARED_INTEGERS;
use crate::net::Listener;
use crate::sys::{crash, fork, log as server_log, process, title};

/// Carries a part of the configuration to where it takes effect; the text of a refusal is 7.0.15's.
type Effect = fn(&mut Server) -> Result<(), String>;

struct Rule {
    directives: &'static [&'static str],
    effect: Effect,
    /// Not for a start, which has its own order for these.
    change_only: bool,
}

const fn rule(directives: &'static [&'static str], effect: Effect) -> Rule {
    Rule { directives, effect, change_only: false }
}

const fn on_change(directives: &'static [&'static str], effect: Effect) -> Rule {
    Rule { directives, effect, change_only: true }
}

/// In the order in which effects are applied: first those that may be refused.
const RULES: &[Rule] = &[
    on_change(&["tls-port", "tls-replication", "tls-cluster", "activedefrag"], refuse_what_is_not_built),
    on_change(&["maxclients"], raise_file_limit),
    on_change(&["dir"], enter_dir),
    on_change(&["dir", "dbfilename", "save", "file-lock", "port", "appendonly"], lock_files),
    on_change(&["port"], listen_on_port),
    on_change(&["bind"], listen_on_addresses),
    on_change(&["logfile-max-size"], |srv| startup::open_log(&srv.config)),
    rule(&["oom-score-adj", "oom-score-adj-values"], set_oom_score),
    rule(&["loglevel"], set_log_level),
    on_change(&["crash-log-enabled"], |srv| {
        crash::set_enabled(srv.config.crash_log_enabled);
        Ok(())
    }),
    on_change(&["use-exit-on-panic"], |srv| {
        crash::set_exit_on_panic(srv.config.use_exit_on_panic);
        Ok(())
    }),
    rule(&["watchdog-period"], |srv| {
        srv.feed_watchdog();
        Ok(())
    }),
    rule(&["maxmemory"], set_memory_alarm),
    on_change(&["maxmemory"], shrink_to_limit),
    rule(
        &[
            "proto-max-bulk-len",
            "rdbcompression",
            "lazyfree-lazy-user-del",
            "lazyfree-lazy-server-del",
            "lazyfree-lazy-expire",
            "maxmemory",
            "maxmemory-policy",
        ],
        set_keyspace_settings,
    ),
    rule(
        &[
            "hash-max-listpack-entries",
            "hash-max-listpack-value",
            "set-max-intset-entries",
            "zset-max-listpack-entries",
            "zset-max-listpack-value",
            "list-max-listpack-size",
            "list-compress-depth",
            "stream-node-max-bytes",
            "stream-node-max-entries",
            "hll-sparse-max-bytes",
        ],
        set_value_limits,
    ),
    rule(&["maxmemory-policy", "lfu-log-factor", "lfu-decay-time"], set_access_clock),
    rule(&["notify-keyspace-events"], |srv| {
        srv.refresh_wants();
        Ok(())
    }),
    rule(&["slowlog-log-slower-than", "slowlog-max-len", "latency-monitor-threshold", "latency-tracking"], |srv| {
        srv.refresh_observation();
        Ok(())
    }),
    on_change(&["replica-read-only", "replica-serve-stale-data"], |srv| {
        srv.refresh_replica_alarms();
        srv.refresh_wants();
        Ok(())
    }),
    rule(&["maxmemory-clients", "maxmemory"], |srv| {
        srv.set_client_memory_limit();
        Ok(())
    }),
    on_change(&["tracking-table-max-keys"], |srv| {
        srv.refresh_tracking_alarm();
        Ok(())
    }),
    on_change(&["hz", "dynamic-hz"], call_cron_soon),
    on_change(&["stop-writes-on-bgsave-error", "save"], set_disk_alarm),
    rule(&["min-replicas-to-write", "min-replicas-max-lag"], |srv| {
        srv.refresh_min_replicas();
        Ok(())
    }),
    on_change(&["repl-backlog-size"], |srv| {
        srv.replication.backlog.resize(srv.config.repl_backlog_size);
        Ok(())
    }),
    on_change(&["appendonly"], Server::switch_aof),
    on_change(&["aof-disable-auto-gc"], |srv| {
        srv.remove_history();
        Ok(())
    }),
    on_change(&["appendfsync"], |srv| {
        srv.refresh_wants();
        Ok(())
    }),
    // Last: nothing can be refused any more that would take it back.
    rule(&["requirepass"], set_default_password),
    on_change(&["proc-title-template", "port", "bind"], set_title),
];

/// Why a configuration could not be put into effect.
pub struct NotApplied {
    /// The directive whose change was asked for.
    pub directive: &'static Directive,
    pub reason: String,
}

impl Server {
    /// Puts changes into effect. On an error the caller puts the old configuration back and applies that.
    pub fn apply_config(&mut self, changed: &[&'static Directive]) -> Result<(), NotApplied> {
        for rule in RULES {
            if let Some(directive) = changed.iter().find(|d| rule.directives.contains(&d.name)) {
                (rule.effect)(self).map_err(|reason| NotApplied { directive, reason })?;
            }
        }
        Ok(())
    }

    /// At a start: carries the configuration to everything that keeps a copy of a part of it.
    pub fn apply_all_config(&mut self) {
        for rule in RULES.iter().filter(|rule| !rule.change_only) {
            if let Err(reason) = (rule.effect)(self) {
                log::warn!("{}: {reason}", rule.directives.join(", "));
            }
        }
        self.stats.startup_memory = self.used_memory();
        self.stats.startup_tables = self.table_memory();
    }

    /// Bytes of the databases' tables and deadline indices.
    pub fn table_memory(&self) -> usize {
        let of = |db: &crate::keyspace::Db| db.entries.table().memory_usage() + db.wheel_bytes();
        self.ks.dbs.iter().map(of).sum()
    }
}

/// A promise that cannot be kept is refused rather than stored.
fn refuse_what_is_not_built(srv: &mut Server) -> Result<(), String> {
    let config = &srv.config;
    let asked = [
        (config.tls_port != 0 || config.tls_replication || config.tls_cluster, "TLS"),
        (config.activedefrag, "Active defragmentation"),
    ];
    match asked.iter().find(|(wanted, _)| *wanted) {
        Some((_, what)) => Err(format!("{what} is not part of this release yet")),
        None => Ok(()),
    }
}

fn raise_file_limit(srv: &mut Server) -> Result<(), String> {
    let wanted = srv.config.maxclients as u64 + startup::RESERVED_FDS;
    let limit = process::adjust_nofile_limit(wanted).map_err(|e| e.to_string())?;
    if limit.got >= wanted {
        return Ok(());
    }
    Err(format!(
        "The operating system is not able to handle the specified number of clients, try with {}",
        limit.got.saturating_sub(startup::RESERVED_FDS)
    ))
}

fn enter_dir(srv: &mut Server) -> Result<(), String> {
    let entered = std::env::set_current_dir(&srv.config.dir).and_then(|()| std::env::current_dir());
    srv.config.dir = entered.map_err(|error| error_text(&error))?.to_string_lossy().into_owned();
    srv.aof_follows_dir();
    Ok(())
}

/// The kernel's words without the number that Rust adds.
pub(super) fn error_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// The files that this instance would write may be others now.
fn lock_files(srv: &mut Server) -> Result<(), String> {
    let file = Some(std::path::Path::new(&srv.identity.config_file)).filter(|p| !p.as_os_str().is_empty());
    startup::lock_data(&srv.config, file, &mut srv.turn.locks)
}

fn listen_on_port(srv: &mut Server) -> Result<(), String> {
    srv.change_listeners().map_err(|error| {
        log::warn!("Listening on port {} failed: {error}", srv.config.port);
        "Unable to listen on this port. Check server logs.".to_owned()
    })
}

fn listen_on_addresses(srv: &mut Server) -> Result<(), String> {
    srv.change_listeners().map_err(|error| {
        log::warn!("Listening on {} failed: {error}", srv.config.bind.join(" "));
        "Failed to bind to specified addresses.".to_owned()
    })
}

impl Server {
    /// Listens where the configuration says now. On another port the new sockets are opened before the old ones are
    /// closed; on the same port the old ones would stand in the way.
    fn change_listeners(&mut self) -> Result<(), String> {
        let mut ports = self.turn.listeners.iter().filter_map(|(listener, _)| listener.local_port());
        if ports.any(|port| port == self.config.port) {
            self.install_tcp(Vec::new())?;
        }
        let fresh = startup::open_tcp(&self.config)?;
        self.install_tcp(fresh)
    }

    /// Puts `fresh` in the place of all TCP listeners. Each listener is registered anew, as its index may be
    /// another; that also brings back an event that had been reported under the old one.
    fn install_tcp(&mut self, fresh: Vec<Listener>) -> Result<(), String> {
        let mut kept = fresh;
        for (mut listener, token) in std::mem::take(&mut self.turn.listeners) {
            self.net.remove(&mut listener, token);
            if listener.is_unix() {
                kept.push(listener);
            }
        }
        kept.into_iter().try_for_each(|listener| self.add_listener(listener))
    }
}

/// Which of `oom-score-adj-values` is for what.
const OOM_MASTER: usize = 0;
const OOM_REPLICA: usize = 1;
pub const OOM_CHILD: usize = 2;

/// By the directives and by the role.
pub(super) fn set_oom_score(srv: &mut Server) -> Result<(), String> {
    let is_on = srv.config.oom_score_adj != OomScoreAdj::No;
    let score = match srv.identity.oom_score_before {
        None if !is_on => return Ok(()),
        Some(before) if !is_on => {
            srv.identity.oom_score_before = None;
            before
        }
        before => {
            srv.identity.oom_score_before = Some(before.unwrap_or_else(fork::oom_score_adj));
            srv.oom_score(if srv.replication.is_replica() { OOM_REPLICA } else { OOM_MASTER })
        }
    };
    fork::set_oom_score_adj(score).map_err(|error| {
        log::warn!("Unable to write oom_score_adj: {error}");
        "Failed to set current oom_score_adj. Check server logs.".to_owned()
    })
}

impl Server {
    /// What the kernel is to be told of a process of ours, while `oom-score-adj` is on.
    pub fn oom_score(&self, class: usize) -> i32 {
        let wished = self.config.oom_score_adj_values[class];
        let base = match self.config.oom_score_adj {
            OomScoreAdj::Relative => self.identity.oom_score_before.unwrap_or(0),
            OomScoreAdj::Absolute | OomScoreAdj::No => 0,
        };
        (base + wished).clamp(-1000, 1000)
    }
}

fn set_log_level(srv: &mut Server) -> Result<(), String> {
    server_log::set_level(startup::log_level(srv.config.loglevel));
    Ok(())
}

fn set_memory_alarm(srv: &mut Server) -> Result<(), String> {
    srv.exec.set_alarm(Alarm::MEMORY, srv.config.maxmemory > 0);
    Ok(())
}

fn shrink_to_limit(srv: &mut Server) -> Result<(), String> {
    let (limit, used) = (srv.config.maxmemory, srv.used_memory());
    if limit > 0 && limit < used as u64 {
        log::warn!(
            "WARNING: the new maxmemory value set via CONFIG SET ({limit}) is smaller than the current memory usage \
             ({used}). This will result in key eviction and/or the inability to accept new write commands depending on \
             the maxmemory-policy."
        );
        srv.evict.running = true;
    }
    Ok(())
}

fn set_keyspace_settings(srv: &mut Server) -> Result<(), String> {
    let (config, settings) = (&srv.config, &mut srv.ks.settings);
    settings.max_string = config.proto_max_bulk_len;
    settings.lazy_user_del = config.lazyfree_lazy_user_del;
    settings.compress_dumps = config.rdbcompression;
    settings.lazy_server_del = config.lazyfree_lazy_server_del;
    settings.lazy_expire = config.lazyfree_lazy_expire;
    // A shared number could not have access bits of its own, so the reference then shares none.
    let own_bits = config.maxmemory > 0 && keeps_access_bits(config.maxmemory_policy);
    settings.shared_integers = if own_bits { 0 } else { SHARED_INTEGERS };
    Ok(())
}

fn set_value_limits(srv: &mut Server) -> Result<(), String> {
    let (config, limits) = (&srv.config, &mut srv.ks.settings.limits);
    limits.hash_max_listpack_entries = config.hash_max_listpack_entries as usize;
    limits.hash_max_listpack_value = config.hash_max_listpack_value as usize;
    limits.set_max_intset_entries = config.set_max_intset_entries as usize;
    limits.zset_max_listpack_entries = config.zset_max_listpack_entries as usize;
    limits.zset_max_listpack_value = config.zset_max_listpack_value as usize;
    limits.list_max_listpack_size = config.list_max_listpack_size;
    limits.list_compress_depth = config.list_compress_depth;
    limits.stream_node_max_bytes = config.stream_node_max_bytes as usize;
    limits.stream_node_max_entries = config.stream_node_max_entries as usize;
    limits.hll_sparse_max_bytes = config.hll_sparse_max_bytes as usize;
    Ok(())
}

fn keeps_access_bits(policy: MaxmemoryPolicy) -> bool {
    policy.is_lru() || policy.is_lfu()
}

fn set_access_clock(srv: &mut Server) -> Result<(), String> {
    srv.ks.access.lfu = srv.config.maxmemory_policy.is_lfu();
    srv.ks.access.log_factor = srv.config.lfu_log_factor;
    srv.ks.access.decay_minutes = srv.config.lfu_decay_time;
    Ok(())
}

/// The next call is planned already, by the old frequency.
fn call_cron_soon(srv: &mut Server) -> Result<(), String> {
    let period_us = 1_000_000 / srv.effective_hz() as u64;
    let Loop { next_cron_us, .. } = &mut srv.turn;
    *next_cron_us = (*next_cron_us).min(srv.clock.mono_us() + period_us);
    Ok(())
}

fn set_disk_alarm(srv: &mut Server) -> Result<(), String> {
    srv.refresh_disk_alarm();
    Ok(())
}

/// `requirepass` is the one password of `default`.
fn set_default_password(srv: &mut Server) -> Result<(), String> {
    srv.acl.users.default_user_mut().set_only_password(&srv.config.requirepass);
    Ok(())
}

fn set_title(srv: &mut Server) -> Result<(), String> {
    if srv.config.set_proc_title {
        title::set(&srv.process_title());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_names_directives_that_can_be_set() {
        for name in RULES.iter().flat_map(|rule| rule.directives) {
            let directive = crate::config::lookup(name.as_bytes()).unwrap_or_else(|| panic!("no directive {name}"));
            assert_eq!(directive.name, *name, "an alias is never among the changed directives");
            assert!(!directive.has(crate::config::Flags::IMMUTABLE), "{name} cannot be set");
        }
    }
}
