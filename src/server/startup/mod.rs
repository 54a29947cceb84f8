//! From `main` to the first turn of the loop.
//!
//! *Duty:* the order of a start: arguments, configuration, limits, log, background, locks, sockets, data, "ready".
//! Whatever fails says so in one line, on the log and (in the foreground or through the waiting parent of a daemon) on
//! standard error, and ends in exit code 1. *Counterpart in C Redis:* `main`, `initServer`.

mod arguments;
mod files;
mod open;
mod says;
mod users;

use std::path::PathBuf;

use crate::config::parse::Loaded;
use crate::config::{Config, Supervised};
use crate::server::Server;
use crate::sys::clock::Clock;
use crate::sys::daemon::{self, Daemon};
use crate::sys::log as server_log;
use crate::sys::{affinity, crash, kernel, process, signals, title};

pub use arguments::Asked;
pub use files::lock_data;
pub use open::{build, open_tcp, pidfile};

/// Runs a server as the command line says; returns the exit code.
pub fn main() -> i32 {
    let argv = title::init();
    match arguments::understand(&argv) {
        Asked::Say { text, code } => {
            print!("{text}");
            code
        }
        Asked::Refuse(text) => {
            eprintln!("{text}");
            1
        }
        Asked::Check { file, fix } => files::check_config(&file, fix),
        Asked::Serve(line) => serve(&argv, line),
    }
}

/// What a failed start leaves to say.
type Refusal = String;

fn serve(argv: &[std::ffi::OsString], line: crate::config::arguments::CommandLine) -> i32 {
    let source = match files::load(&line) {
        Ok(source) => source,
        Err(text) => {
            eprintln!("{text}");
            return 1;
        }
    };
    let mut daemon = None;
    match start(argv, source, &mut daemon) {
        Ok(mut srv) => {
            if let Some(daemon) = daemon.take()
                && let Err(error) = daemon.ready()
            {
                log::warn!("Letting go of the terminal failed: {error}");
            }
            srv.run()
        }
        Err(reason) => {
            log::warn!("{reason}");
            match daemon.take() {
                Some(daemon) => daemon.failed(&reason),
                None => eprintln!("{reason}"),
            }
            1
        }
    }
}

/// A configuration, and where it came from.
pub struct Source {
    pub loaded: Loaded,
    /// The absolute path of the main file.
    pub file: Option<PathBuf>,
}

fn start(argv: &[std::ffi::OsString], source: Source, daemon: &mut Option<Daemon>) -> Result<Box<Server>, Refusal> {
    let Source { loaded, file } = source;
    let mut config = loaded.config.clone();
    says::not_built(&config)?;
    files::enter_dir(&mut config)?;
    let notify = supervision(&config);
    let background = config.daemonize && !notify;
    open_log(&config)?;
    if background {
        let log_file = (!config.logfile.is_empty()).then(|| PathBuf::from(&config.logfile));
        *daemon = Some(daemon::daemonize(log_file.as_deref()).map_err(|e| format!("Can't go to the background: {e}"))?);
    }
    signals::install().map_err(|e| format!("Can't install signal handlers: {e}"))?;
    crash::install(crate::server::version::REDIS_VERSION, config.crash_log_enabled);
    crash::set_exit_on_panic(config.use_exit_on_panic);
    let clock = Clock::new();
    // As the reference: before it knows what it is.
    server_log::set_role(server_log::Role::Child);
    says::starting(&config, file.as_deref(), &clock);
    for finding in &loaded.findings {
        log::warn!("{finding}");
    }
    limit_clients(&mut config)?;
    if config.disable_thp {
        // Kernels without the switch have nothing to switch off.
        let _ = kernel::disable_transparent_hugepages();
    }
    let mut locks = Vec::new();
    files::lock_data(&config, file.as_deref(), &mut locks)?;
    let mut srv = open::build(argv, config, file, clock)?;
    srv.turn.locks = locks;
    srv.load_users()?;
    srv.listen_all()?;
    open::announce_process(&srv, background)?;
    says::kernel_advice(&srv.config);
    says::mode(&srv);
    if notify {
        tell_manager("STATUS=Loading the data set\n");
    }
    srv.replication.expect_role(srv.config.replicaof.is_some());
    srv.load_at_start()?;
    bind_processors(&srv.config);
    srv.follow_configured_master();
    says::ready(&srv);
    if notify {
        tell_manager("STATUS=Ready to accept connections\nREADY=1\n");
    }
    Ok(srv)
}

/// Last: what was started before, the background thread, has a list of its own.
fn bind_processors(config: &Config) {
    if let Err(error) = affinity::bind_thread(&config.server_cpulist) {
        log::warn!("server_cpulist {}: {error}", config.server_cpulist);
    }
}

/// Whether a service manager waits for word from us.
fn supervision(config: &Config) -> bool {
    match config.supervised {
        Supervised::No => false,
        Supervised::Systemd => true,
        Supervised::Auto => crate::sys::notify::is_supervised_systemd(),
        Supervised::Upstart => {
            // Upstart wants to see the process stop itself; whether it did is upstart's affair.
            let _ = crate::sys::notify::upstart_ready();
            true
        }
    }
}

pub fn tell_manager(state: &str) {
    if let Err(error) = crate::sys::notify::systemd_notify(state) {
        log::warn!("Telling the service manager failed: {error}");
    }
}

pub fn open_log(config: &Config) -> Result<(), Refusal> {
    let syslog = config.syslog_enabled.then(|| server_log::SyslogOptions {
        ident: config.syslog_ident.clone(),
        facility: crate::config::Choice::name(config.syslog_facility).to_owned(),
    });
    let options = server_log::LogOptions {
        level: log_level(config.loglevel),
        file: (!config.logfile.is_empty()).then(|| PathBuf::from(&config.logfile)),
        syslog,
        max_size: config.logfile_max_size,
    };
    server_log::init(options).map_err(|error| {
        format!("Can't open the log file: {error} (logfile '{}', as user {})", config.logfile, process::user_name())
    })
}

/// The log's level for a configured one.
pub fn log_level(level: crate::config::LogLevel) -> server_log::Level {
    use crate::config::LogLevel;
    match level {
        LogLevel::Debug => server_log::Level::Debug,
        LogLevel::Verbose => server_log::Level::Verbose,
        LogLevel::Notice => server_log::Level::Notice,
        LogLevel::Warning => server_log::Level::Warning,
    }
}

/// Descriptors that the server needs beside its clients: files, pipes, listeners.
pub const RESERVED_FDS: u64 = 32;

/// Raises the limit of open files to what `maxclients` needs, or lowers `maxclients` to what there is.
fn limit_clients(config: &mut Config) -> Result<(), Refusal> {
    let wanted = config.maxclients as u64 + RESERVED_FDS;
    let Ok(limit) = process::adjust_nofile_limit(wanted) else {
        return Ok(());
    };
    if limit.got >= wanted {
        return Ok(());
    }
    if limit.got <= RESERVED_FDS {
        return Err(format!(
            "The process may open {} files at most (ulimit -n), and needs {} for a single client. Raise the limit.",
            limit.got,
            RESERVED_FDS + 1
        ));
    }
    let fits = (limit.got - RESERVED_FDS) as u32;
    log::warn!(
        "maxclients is lowered from {} to {fits}: the process may open {} files at most (ulimit -n).",
        config.maxclients,
        limit.got
    );
    config.maxclients = fits;
    Ok(())
}
