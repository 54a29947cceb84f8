//! A server process of one's own, for tests that need real sockets, files, signals and exit codes.
//!
//! *Duty:* start the built binary in a fresh folder on a free port, wait for the line that says it is ready, talk
//! RESP to it, stop it by its own pid, and clean up; on a failed test the folder and the end of the log are shown.
//! *Does not know:* any command; a reply is compared as it came over the wire.
//! *Invariants:* nothing waits for ever (`wait_until`, socket time limits); only processes started here are ended.
//! `REDSTART_TEST_SERVER=/usr/bin/redis-server cargo test --test server` runs the same tests on another binary, to
//! see which of them tell the two apart.

#![allow(dead_code, reason = "each module of tests uses a part of it")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub const READY: &str = "Ready to accept connections";

/// How long anything may take before the test fails. Generous, because the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Polls `condition` until it holds; the test fails with `what` when it does not in time.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn binary() -> PathBuf {
    let other = std::env::var_os("REDSTART_TEST_SERVER");
    other.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_redis-server")), PathBuf::from)
}

/// A port that was free a moment ago. `Server::start` tries another one when somebody was quicker.
/// None twice in one process: the system may give a port again before the server that it is meant for has bound it.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap();
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if given.insert(port) {
            return port;
        }
    }
}

/// A folder of this test alone; removed at the end, unless the test fails.
pub struct Folder(PathBuf);

impl Folder {
    #[allow(clippy::new_without_default, reason = "each one is another folder")]
    pub fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("redstart-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file and returns its full name.
    pub fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.join(name), text).unwrap();
        self.join(name).to_str().unwrap().to_string()
    }

    /// The text of a file; empty when there is none.
    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.join(name)).unwrap_or_default()).into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the folder is kept: {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// Starts the binary in `folder`, standard output and standard error appended to its file `stdout`.
fn spawn(folder: &Folder, args: &[&str], environment: &[(&str, &str)]) -> Child {
    let out = OpenOptions::new().create(true).append(true).open(folder.join("stdout")).unwrap();
    Command::new(binary())
        .args(args)
        .envs(environment.iter().copied())
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stderr(out.try_clone().unwrap())
        .stdout(out)
        .spawn()
        .unwrap()
}

/// How a process that was meant to end by itself ended.
pub struct Ended {
    pub code: Option<i32>,
    pub output: String,
}

/// Runs the binary to its end: for starts that are refused, `--version`, `--check-config`, and for daemonizing parents.
#[track_caller]
pub fn run(folder: &Folder, args: &[&str]) -> Ended {
    let before = folder.read("stdout").len();
    let mut child = spawn(folder, args, &[]);
    let code = wait_for_exit(&mut child).code();
    Ended { code, output: folder.read("stdout").split_off(before) }
}

#[track_caller]
fn wait_for_exit(child: &mut Child) -> ExitStatus {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the process did not end within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A running server in the foreground. Dropping it kills it.
pub struct Server {
    child: Child,
    pub port: u16,
    pub folder: Folder,
}

impl Server {
    /// Port and folder are ours, the rest is the server's defaults, less its save points.
    #[track_caller]
    pub fn start() -> Server {
        Server::with_config("save \"\"\n")
    }

    /// With a configuration file: our port and folder first, then `text`.
    #[track_caller]
    pub fn with_config(text: &str) -> Server {
        Server::in_folder(Folder::new(), text)
    }

    #[track_caller]
    pub fn in_folder(folder: Folder, text: &str) -> Server {
        let make = |folder: &Folder, port: u16| {
            let name = folder.write("redis.conf", &format!("port {port}\ndir {}\n{text}", folder.path().display()));
            vec![name]
        };
        Server::launch(folder, make, &[])
    }

    /// With arguments made for a port; no configuration file unless they name one.
    #[track_caller]
    pub fn with_args(folder: Folder, args: impl Fn(u16) -> Vec<String>) -> Server {
        Server::launch(folder, |_, port| args(port), &[])
    }

    #[track_caller]
    pub fn launch(mut folder: Folder, args: impl Fn(&Folder, u16) -> Vec<String>, env: &[(&str, &str)]) -> Server {
        for _ in 0..5 {
            let port = free_port();
            let args = args(&folder, port);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let before = folder.read("stdout").len();
            let child = spawn(&folder, &args, env);
            let mut server = Server { child, port, folder };
            if server.is_up(before) {
                return server;
            }
            let said = server.folder.read("stdout").split_off(before);
            assert!(said.contains("in use"), "the server ended at its start and said:\n{said}");
            folder = server.into_folder();
        }
        panic!("no free port in five tries");
    }

    /// For starts that may be refused: the server, or how it ended.
    #[track_caller]
    pub fn start_or_end(mut folder: Folder, text: &str, env: &[(&str, &str)]) -> Result<Server, (Folder, Ended)> {
        loop {
            let port = free_port();
            let name = folder.write("redis.conf", &format!("port {port}\ndir {}\n{text}", folder.path().display()));
            let before = folder.read("stdout").len();
            let child = spawn(&folder, &[&name], env);
            let mut server = Server { child, port, folder };
            let mut ended = None;
            wait_until("the server to load its data or to end", || {
                ended = server.child.try_wait().unwrap();
                ended.is_some() || server.log()[before..].contains(READY)
            });
            let Some(status) = ended else { return Ok(server) };
            let output = server.folder.read("stdout").split_off(before);
            folder = server.into_folder();
            if !output.contains("in use") {
                return Err((folder, Ended { code: status.code(), output }));
            }
        }
    }

    /// Waits for the server to be ready (true) or to end (false).
    #[track_caller]
    fn is_up(&mut self, before: usize) -> bool {
        let mut ended = false;
        wait_until("the server to be ready", || {
            ended = self.child.try_wait().unwrap().is_some();
            ended || self.log()[before.min(self.log().len())..].contains(READY) || self.answers()
        });
        !ended
    }

    /// With a `logfile` the ready line is elsewhere; then an answer will do.
    fn answers(&self) -> bool {
        !self.folder.read("stdout").contains("PID: ") && TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    /// Kills the server, as a crash would; its folder stays, for the next one.
    pub fn into_folder(mut self) -> Folder {
        self.end();
        std::mem::replace(&mut self.folder, Folder::new())
    }

    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// What the server wrote to standard output and standard error.
    pub fn log(&self) -> String {
        self.folder.read("stdout")
    }

    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.port)
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// SIGTERM, and the exit code.
    #[track_caller]
    pub fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// The exit code of a server that is about to end.
    #[track_caller]
    pub fn wait(&mut self) -> Option<i32> {
        wait_for_exit(&mut self.child).code()
    }

    fn end(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("the end of the log:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

/// A server that went to the background: known by the pid in its pid file. Dropping it kills it.
pub struct Daemon(pub Pid);

impl Daemon {
    #[track_caller]
    pub fn from_pid_file(folder: &Folder, name: &str) -> Daemon {
        Daemon(Pid::from_raw(folder.read(name).trim().parse().expect("a pid in the pid file")))
    }

    pub fn is_alive(&self) -> bool {
        // A zombie that init has not collected yet is dead for us.
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        !status.is_empty() && !status.contains("State:\tZ")
    }

    #[track_caller]
    pub fn stop(&self) {
        kill(self.0, Signal::SIGTERM).unwrap();
        wait_until("the daemon to end", || !self.is_alive());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.is_alive() {
            let _ = kill(self.0, Signal::SIGKILL);
        }
    }
}

/// A reply as it came.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Status(String),
    Error(String),
    Int(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Reply>),
    /// RESP3: a map's keys and values in a row.
    Map(Vec<Reply>),
    Set(Vec<Reply>),
    Push(Vec<Reply>),
    /// RESP3: double, boolean, big number: the type byte and the text.
    Other(char, String),
}

pub fn status(text: &str) -> Reply {
    Reply::Status(text.to_string())
}

pub fn error(text: &str) -> Reply {
    Reply::Error(text.to_string())
}

pub fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.as_bytes().to_vec())
}

impl Reply {
    /// The text of a status, an error or a bulk.
    #[track_caller]
    pub fn text(&self) -> String {
        match self {
            Reply::Status(text) | Reply::Error(text) => text.clone(),
            Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => panic!("no text in {other:?}"),
        }
    }

    #[track_caller]
    pub fn list(&self) -> &[Reply] {
        match self {
            Reply::Array(items) | Reply::Map(items) | Reply::Set(items) | Reply::Push(items) => items,
            other => panic!("no list: {other:?}"),
        }
    }
}

/// A request as it goes over the wire.
fn wire(args: &[&str]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        request.extend_from_slice(format!("${}\r\n{arg}\r\n", arg.len()).as_bytes());
    }
    request
}

/// A blocking connection; each read has a time limit.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    #[track_caller]
    pub fn connect(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream: BufReader::new(stream) }
    }

    /// None if nobody listens. Each read has the given time limit.
    pub fn try_connect(port: u16, limit: Duration) -> Option<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(limit)).ok()?;
        stream.set_write_timeout(Some(limit)).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Client { stream: BufReader::new(stream) })
    }

    /// One command and its reply.
    #[track_caller]
    pub fn ask(&mut self, args: &[&str]) -> Reply {
        self.send(args);
        self.reply()
    }

    /// Requests as they go over the wire, and the last of their replies. None: the server is gone.
    pub fn try_ask(&mut self, requests: &[&[&str]]) -> Option<Reply> {
        let bytes: Vec<u8> = requests.iter().flat_map(|args| wire(args)).collect();
        self.stream.get_mut().write_all(&bytes).ok()?;
        let mut last = None;
        for _ in requests {
            if self.stream.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
                last = Some(self.reply());
            } else {
                return None;
            }
        }
        last
    }

    #[track_caller]
    pub fn send(&mut self, args: &[&str]) {
        self.send_raw(&wire(args));
    }

    /// Bytes as they are: inline commands, pipelines, nonsense.
    #[track_caller]
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    #[track_caller]
    pub fn reply(&mut self) -> Reply {
        let line = self.line();
        let (kind, rest) = line.split_at(1);
        let number = || rest.parse::<i64>().unwrap_or_else(|_| panic!("a number: {line:?}"));
        match kind {
            "+" => status(rest),
            "-" => error(rest),
            ":" => Reply::Int(number()),
            "_" => Reply::Nil,
            "$" | "*" if rest == "-1" => Reply::Nil,
            "$" | "=" | "!" => {
                let mut bytes = vec![0; number() as usize + 2];
                self.stream.read_exact(&mut bytes).unwrap();
                bytes.truncate(bytes.len() - 2);
                Reply::Bulk(bytes)
            }
            "*" => Reply::Array(self.items(number())),
            "%" => Reply::Map(self.items(2 * number())),
            "~" => Reply::Set(self.items(number())),
            ">" => Reply::Push(self.items(number())),
            "," | "#" | "(" => Reply::Other(kind.chars().next().unwrap(), rest.to_string()),
            _ => panic!("not RESP: {line:?}"),
        }
    }

    #[track_caller]
    fn items(&mut self, count: i64) -> Vec<Reply> {
        (0..count).map(|_| self.reply()).collect()
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).unwrap();
        assert!(line.ends_with(b"\r\n"), "the connection ended after {:?}", String::from_utf8_lossy(&line));
        line.truncate(line.len() - 2);
        String::from_utf8_lossy(&line).into_owned()
    }

    /// Waits for the server to close the connection; whatever else comes first is returned.
    #[track_caller]
    pub fn until_closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => rest,
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => rest,
            Err(e) => panic!("the connection was not closed: {e}"),
        }
    }

    /// The value of one `CONFIG GET` parameter.
    #[track_caller]
    pub fn config(&mut self, name: &str) -> String {
        self.ask(&["CONFIG", "GET", name]).list()[1].text()
    }

    /// One field of INFO, empty when it is missing.
    #[track_caller]
    pub fn info(&mut self, field: &str) -> String {
        let text = self.ask(&["INFO", "everything"]).text();
        let start = format!("{field}:");
        text.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or("").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A listener that sends `bytes` to the first client and closes.
    fn served(bytes: &'static [u8]) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || listener.accept().unwrap().0.write_all(bytes).unwrap());
        Client::connect(port)
    }

    #[test]
    fn the_client_reads_each_kind_of_reply() {
        let mut client =
            served(b"+OK\r\n-ERR no\r\n:-3\r\n$2\r\n\r\n\r\n$-1\r\n*2\r\n*-1\r\n*1\r\n:1\r\n%1\r\n+a\r\n,1.5\r\n_\r\n");
        assert_eq!(client.reply(), status("OK"));
        assert_eq!(client.reply(), error("ERR no"));
        assert_eq!(client.reply(), Reply::Int(-3));
        assert_eq!(client.reply(), bulk("\r\n"));
        assert_eq!(client.reply(), Reply::Nil);
        assert_eq!(client.reply(), Reply::Array(vec![Reply::Nil, Reply::Array(vec![Reply::Int(1)])]));
        assert_eq!(client.reply(), Reply::Map(vec![status("a"), Reply::Other(',', "1.5".to_string())]));
        assert_eq!(client.reply(), Reply::Nil);
        assert_eq!(client.until_closed(), b"");
    }

    #[test]
    #[should_panic(expected = "the connection ended")]
    fn a_cut_reply_fails_the_test() {
        served(b"+OK").reply();
    }
}
