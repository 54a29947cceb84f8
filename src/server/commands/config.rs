//! CONFIG GET, SET, REWRITE, RESETSTAT, HELP.
//!
//! *Duty:* hand requests to `config`, put what changed into effect, and take it back when that fails.
//! *Does not know:* the directives, nor their effects (`apply_config`). *Counterpart in C Redis:* the commands of
//! `config.c`.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use super::{ServerCommand, ServerHandler};
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::config::{Locality, SetContext, command, get_many, rewrite, set_many};
use crate::net::stream::is_loopback;
use crate::server::Server;
use crate::server::apply_config::error_text;
use crate::server::client::Flags as ClientFlags;
use crate::server::gates::Alarm;
use crate::sys::files::replace_file;

pub const COMMANDS: &[ServerCommand] = &[CONFIG, CONFIG_GET, CONFIG_HELP, CONFIG_RESETSTAT, CONFIG_REWRITE, CONFIG_SET];

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    Command::new(run, Spec { group: Group::Server, ..spec })
}

const MANAGE: Flags = ADMIN.or(NOSCRIPT).or(LOADING).or(STALE);

pub const CONFIG: ServerCommand = row(
    |_, _| Err(CmdError::Syntax),
    Spec {
        name: "config",
        arity: -2,
        since: "2.0.0",
        complexity: "Depends on subcommand.",
        summary: "A container for commands about the configuration.",
        ..Spec::BASE
    },
);

pub const CONFIG_GET: ServerCommand = row(
    get,
    Spec {
        name: "config|get",
        arity: -3,
        flags: MANAGE,
        since: "2.0.0",
        complexity: "O(N) when N is the number of configuration parameters provided",
        summary: "Shows the values of parameters.",
        syntax: "(parameter) [(parameter) ...]",
        history: &[("7.0.0", "Several patterns may be given at once.")],
        ..Spec::BASE
    },
);

fn get(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let patterns: Vec<&[u8]> = call.args.from(2).collect();
    let found = get_many(&srv.config, &patterns);
    call.reply.map(found.len());
    for (name, value) in &found {
        call.reply.bulk(name);
        call.reply.bulk(value);
    }
    Ok(())
}

pub const CONFIG_SET: ServerCommand = row(
    set,
    Spec {
        name: "config|set",
        arity: -4,
        flags: MANAGE,
        since: "2.0.0",
        complexity: "O(N) when N is the number of configuration parameters provided",
        summary: "Gives parameters new values: all of them or, if one is refused, none.",
        syntax: "parameter value [parameter value ...]",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        history: &[("7.0.0", "Several parameters may be set at once.")],
        ..Spec::BASE
    },
);

fn set(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if !call.args.len().is_multiple_of(2) {
        return Err(CmdError::Syntax);
    }
    let words: Vec<&[u8]> = call.args.from(2).collect();
    let pairs: Vec<(&[u8], &[u8])> = words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let context = SetContext {
        loading: srv.exec.has_alarm(Alarm::LOADING) || srv.exec.has_alarm(Alarm::ASYNC_LOADING),
        client: srv.locality(call.caller.client.slot as usize),
    };
    let before = srv.config.clone();
    let changed = set_many(&mut srv.config, &pairs, context).map_err(|text| CmdError::text(text.0))?;
    if let Err(refused) = srv.apply_config(&changed) {
        let name = refused.directive.name;
        log::warn!("The new value of {name} can't be put into effect ({}). The old ones are.", refused.reason);
        srv.config = before;
        if let Err(worse) = srv.apply_config(&changed) {
            log::error!("Going back to the old value of {} failed: {}", worse.directive.name, worse.reason);
        }
        return Err(CmdError::text(command::apply_failed(refused.directive, &refused.reason).0));
    }
    call.reply.ok();
    Ok(())
}

pub const CONFIG_REWRITE: ServerCommand = row(
    rewrite,
    Spec {
        name: "config|rewrite",
        arity: 2,
        flags: MANAGE,
        since: "2.8.0",
        complexity: "O(1)",
        summary: "Writes the parameters in force to the configuration file.",
        ..Spec::BASE
    },
);

fn rewrite(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    srv.rewrite_config(false)?;
    call.reply.ok();
    Ok(())
}

pub const CONFIG_RESETSTAT: ServerCommand = row(
    resetstat,
    Spec {
        name: "config|resetstat",
        arity: 2,
        flags: MANAGE,
        since: "2.0.0",
        complexity: "O(1)",
        summary: "Sets the counters that INFO shows to zero.",
        ..Spec::BASE
    },
);

fn resetstat(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    srv.stats.reset();
    srv.stats.lazyfreed_before = srv.bio.dropped_objects();
    srv.evict.reset_stats();
    (srv.turn.turns, srv.turn.busy_ticks) = (0, 0);
    srv.persistence.reset_stats();
    srv.registry.reset_stats();
    call.reply.ok();
    Ok(())
}

pub const CONFIG_HELP: ServerCommand = row(help, Spec { name: "config|help", since: "5.0.0", ..Spec::HELP });

fn help(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    crate::command::help::reply(
        call,
        &[
            "GET <pattern> [<pattern> ...]",
            "    Shows the parameters that match a pattern (as of file names), with their values.",
            "SET <directive> <value> [<directive> <value> ...]",
            "    Gives parameters new values, until the next start.",
            "REWRITE",
            "    Writes the parameters in force to the configuration file.",
            "RESETSTAT",
            "    Sets the counters that INFO shows to zero.",
        ],
    );
    Ok(())
}

/// The permissions of a configuration file that a rewrite makes; one that is there keeps its own.
const NEW_FILE_MODE: u32 = 0o644;

impl Server {
    /// Brings the configuration file in line with what is in force. `all`: parameters at their defaults are written
    /// as well.
    pub fn rewrite_config(&self, all: bool) -> CmdResult {
        let path = std::path::Path::new(&self.identity.config_file);
        if path.as_os_str().is_empty() {
            return Err(CmdError::Fixed("ERR The server is running without a config file"));
        }
        let rewritten = match std::fs::read(path) {
            Ok(old) => {
                let mode = std::fs::metadata(path).map_or(NEW_FILE_MODE, |file| file.permissions().mode() & 0o7777);
                replace_file(path, &rewrite::rewrite(&old, &self.config, &self.user_lines(), all), mode)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                replace_file(path, &rewrite::rewrite(b"", &self.config, &self.user_lines(), all), NEW_FILE_MODE)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = rewritten {
            let reason = error_text(&error);
            log::warn!("CONFIG REWRITE failed: {reason}");
            return Err(CmdError::text(format!("ERR Rewriting config file: {reason}")));
        }
        log::info!("CONFIG REWRITE executed with success.");
        Ok(())
    }

    /// Whether a client is on this machine.
    pub fn locality(&self, slot: usize) -> Locality {
        let client = &self.clients[slot];
        if client.flags.has(ClientFlags::UNIX_SOCKET) || is_loopback(client.stream.peer()) {
            Locality::Local
        } else {
            Locality::Remote
        }
    }
}
