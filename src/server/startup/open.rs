//! Building the server: its state, its sockets, its name in the process list.
//!
//! *Duty:* put the tree of subsystems together, listen where the configuration says, write the pidfile and the
//! process title. *Counterpart in C Redis:* `initServer`, `listenToPort`, `redisSetProcTitle`, `createPidFile`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Refusal;
use crate::base::ids::RunId;
use crate::base::rng::Rng;
use crate::config::Config;
use crate::keyspace::Keyspace;
use crate::net::{Listener, Reactor, Route};
use crate::server::Server;
use crate::server::registry::Registry;
use crate::server::replication::Replication;
use crate::sys::bio::Bio;
use crate::sys::clock::Clock;
use crate::sys::{alloc, crash, process, signals, title};
use crate::tracking::{Keys, Tracking};

/// Where the pid is written when a daemon names no file.
const DEFAULT_PIDFILE: &str = "/var/run/redis.pid";

pub fn build(
    argv: &[std::ffi::OsString],
    config: Config,
    file: Option<PathBuf>,
    clock: Clock,
) -> Result<Box<Server>, Refusal> {
    alloc::claim_main_thread();
    let mut seed = [0u8; 8];
    random_bytes(&mut seed)?;
    let mut rng = Rng::new(u64::from_ne_bytes(seed));
    let mut net = Reactor::new().map_err(|e| format!("Can't create the event loop: {e}"))?;
    if let Some(fd) = signals::wake_fd() {
        use std::os::fd::AsRawFd;
        net.add_fd(fd.as_raw_fd(), Route::Wake).map_err(|e| format!("Can't watch for signals: {e}"))?;
    }
    let mut registry = Registry::new();
    rename_commands(&config, &mut registry)?;
    let identity = crate::server::identity::Identity::new(argv, file, &clock, &mut rng);
    let replication = Replication::new(RunId::random(&mut rng), config.repl_backlog_size, clock.now());
    let persistence = crate::server::persistence::Persistence::new(clock.now());
    let mut ks = Keyspace::new(config.databases as usize, rng.next_u64());
    ks.access.tick(clock.now());
    let bio = Bio::start(&config.bio_cpulist).map_err(|e| format!("Can't start the background thread: {e}"))?;
    let mut srv = Box::new(Server {
        ks,
        clients: Default::default(),
        net,
        acl: crate::server::access::Access::new(&registry),
        registry,
        exec: Default::default(),
        turn: Default::default(),
        evict: Default::default(),
        migrations: Default::default(),
        watch: Default::default(),
        blocking: Default::default(),
        pubsub: Default::default(),
        tracking: Tracking { keys: Keys::new(rng.next_u64()), ..Tracking::default() },
        hosting: Default::default(),
        scripts: Default::default(),
        functions: Default::default(),
        pause: Default::default(),
        config,
        clock,
        stats: Default::default(),
        bio,
        identity,
        persistence,
        observation: Default::default(),
        replication,
    });
    srv.apply_all_config();
    Ok(srv)
}

/// Seeds come from the kernel: a client must not be able to guess them.
fn random_bytes(bytes: &mut [u8]) -> Result<(), Refusal> {
    use std::io::Read;
    std::fs::File::open("/dev/urandom")
        .and_then(|mut f| f.read_exact(bytes))
        .map_err(|e| format!("Can't read /dev/urandom: {e}"))
}

fn rename_commands(config: &Config, registry: &mut Registry) -> Result<(), Refusal> {
    for line in &config.rename_command {
        let [old, new] = line.words.as_slice() else { continue };
        if registry.command(old).is_none() {
            return Err(format!("rename-command: no such command '{}'", old.escape_ascii()));
        }
        if !registry.rename(old, new) {
            return Err(format!("rename-command: target command name '{}' already exists", new.escape_ascii()));
        }
    }
    Ok(())
}

impl Server {
    /// Opens all listening sockets of the configuration.
    pub fn listen_all(&mut self) -> Result<(), Refusal> {
        for listener in open_tcp(&self.config)? {
            self.add_listener(listener)?;
        }
        if !self.config.unixsocket.is_empty() {
            let path = self.config.unixsocket.clone();
            let listener = Listener::unix(&path, self.config.unixsocketperm, self.config.tcp_backlog)
                .map_err(|error| format!("Failed opening Unix socket: bind: {error} ({path})"))?;
            self.add_listener(listener)?;
        }
        Ok(())
    }

    /// Watches one more listening socket.
    pub fn add_listener(&mut self, mut listener: Listener) -> Result<(), Refusal> {
        let index = self.turn.listeners.len() as u32;
        let token = self.net.add(&mut listener, Route::Listener(index));
        let token = token.map_err(|e| format!("Can't watch a listening socket: {e}"))?;
        self.turn.listeners.push((listener, token));
        Ok(())
    }
}

/// The listening sockets of `bind` and `port`.
pub fn open_tcp(config: &Config) -> Result<Vec<Listener>, Refusal> {
    let port = config.port;
    let mut open = Vec::new();
    if port == 0 {
        return Ok(open);
    }
    for address in &config.bind {
        // A leading dash: go on without it where this machine has no such address.
        let (optional, name) = match address.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, address.as_str()),
        };
        match Listener::tcp(name, port, config.tcp_backlog) {
            Ok(listener) => open.push(listener),
            Err(e) if optional && absent(&e) => {}
            Err(error) => {
                log::warn!("Could not create server TCP listening socket {name}:{port}: {error}");
                return Err(format!("Failed listening on port {port} (tcp), aborting."));
            }
        }
    }
    if open.is_empty() && !config.bind.is_empty() {
        return Err(format!("Failed listening on port {port} (tcp), aborting."));
    }
    Ok(open)
}

/// This machine has no such address, or not the family.
fn absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported)
        || matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT | libc::ESOCKTNOSUPPORT))
}

/// The pidfile and the title: what the process shows of itself.
pub fn announce_process(srv: &Server, background: bool) -> Result<(), Refusal> {
    if let Some(path) = pidfile(&srv.config, background) {
        // As in the reference, a pid that cannot be written is no reason not to serve.
        if let Err(error) = process::write_pidfile(Path::new(&path)) {
            log::warn!("Failed to write PID file {path}: {error}");
        } else {
            crash::set_pidfile(Some(Path::new(&path)));
        }
    }
    if srv.config.set_proc_title {
        title::set(&srv.process_title());
    }
    Ok(())
}

/// The pidfile of this configuration, if it has one.
pub fn pidfile(config: &Config, background: bool) -> Option<String> {
    match config.pidfile.as_str() {
        "" if background => Some(DEFAULT_PIDFILE.to_owned()),
        "" => None,
        path => Some(path.to_owned()),
    }
}

impl Server {
    /// The title that `proc-title-template` asks for.
    pub fn process_title(&self) -> String {
        let address = match self.config.bind.first().map(|a| a.trim_start_matches('-')) {
            _ if self.config.port == 0 => String::new(),
            None | Some("*") => "*".to_owned(),
            Some("::*") => "::*".to_owned(),
            Some(name) => name.to_owned(),
        };
        let listen = if self.config.port != 0 {
            format!("{address}:{}", self.config.port)
        } else {
            self.config.unixsocket.clone()
        };
        let fields = [
            ("{title}", self.identity.program.clone()),
            ("{listen-addr}", listen),
            ("{server-mode}", String::new()),
            ("{port}", self.config.port.to_string()),
            ("{tls-port}", self.config.tls_port.to_string()),
            ("{unixsocket}", self.config.unixsocket.clone()),
            ("{config-file}", self.identity.config_file.clone()),
        ];
        let template = self.config.proc_title_template.clone();
        let title = fields.iter().fold(template, |text, (name, value)| text.replace(name, value));
        title.trim_end().to_owned()
    }
}
