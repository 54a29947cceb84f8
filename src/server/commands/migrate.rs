//! MIGRATE: moving keys to another server, atomically for whoever asks either of them.
//!
//! *Duty:* send the keys as RESTORE over a connection that is kept for a while, and delete what the other side has
//! confirmed. *Does not know:* the format of a value (`rdb`). *Invariants:* the loop stands still meanwhile, for the
//! given time at most with each step; a key is deleted only after its own confirmation; what travels to replicas is a
//! DEL of just those keys. A request is sent again, once, over a new connection, only if nothing of it was answered.
//! *Counterpart in C Redis:* `migrateCommand`, `migrateGetSocket`.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::{ServerCommand, ServerHandler};
use crate::call::{Args, Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::keyspace::{EntryRef, event};
use crate::rdb;
use crate::resp::Argv;
use crate::server::Server;

pub const COMMANDS: &[ServerCommand] = &[MIGRATE];

const MOVED: KeyFlags = KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::DELETE);

pub const MIGRATE: ServerCommand = Command::new(
    migrate as ServerHandler,
    Spec {
        name: "migrate",
        arity: -6,
        flags: WRITE.or(MOVABLEKEYS),
        keys: &[
            KeySpec::one(3, MOVED),
            KeySpec {
                begin: Begin::Keyword { word: "KEYS", from: -2 },
                find: Find::Range { last: -1, step: 1, limit: 0 },
                flags: MOVED.or(KeyFlags::INCOMPLETE),
            },
        ],
        acl: Categories::KEYSPACE.or(Categories::DANGEROUS),
        group: Group::Generic,
        since: "2.6.0",
        complexity: "A DUMP and a DEL here and a RESTORE there for each key, and O(N) to send N bytes.",
        summary: "Moves keys to another server.",
        syntax: "host port <key|empty-string> destination-db timeout [COPY] [REPLACE] \
                 [<AUTH password|AUTH2 username password>] [KEYS key ...]",
        tips: &["nondeterministic_output"],
        history: &[
            ("3.0.0", "Added the `COPY` and `REPLACE` options."),
            ("3.0.6", "Added the `KEYS` option."),
            ("4.0.7", "Added the `AUTH` option."),
            ("6.0.0", "Added the `AUTH2` option."),
        ],
        ..Spec::BASE
    },
);

/// Connections kept, and for how long without use.
const KEPT_MAX: usize = 64;
const KEPT_US: u64 = 10_000_000;
/// Where the timeout makes no sense.
const DEFAULT_TIMEOUT_MS: u64 = 1000;
/// A reply to RESTORE is one line; nobody needs more of it.
const LINE_MAX: u64 = 16 * 1024;

/// A connection to another server.
struct Peer {
    stream: BufReader<TcpStream>,
    /// The database selected there, if that is known.
    db: Option<i64>,
    used_us: u64,
}

/// Connections to other servers, by host and port.
#[derive(Default)]
pub struct Migrations {
    peers: HashMap<(Vec<u8>, Vec<u8>), Peer>,
}

impl Migrations {
    /// How many connections are kept.
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Part of cron: closes what was not used lately.
    pub fn close_idle(&mut self, now_us: u64) {
        self.peers.retain(|_, peer| now_us.saturating_sub(peer.used_us) <= KEPT_US);
    }

    /// The kept connection, or a new one.
    fn take(&mut self, place: &(Vec<u8>, Vec<u8>), timeout: Duration) -> io::Result<Peer> {
        match self.peers.remove(place) {
            Some(peer) => Ok(peer),
            None => connect(place, timeout),
        }
    }

    fn keep(&mut self, place: (Vec<u8>, Vec<u8>), peer: Peer, now_us: u64) {
        if self.peers.len() >= KEPT_MAX {
            let oldest = self.peers.iter().min_by_key(|(_, peer)| peer.used_us).map(|(place, _)| place.clone());
            oldest.and_then(|place| self.peers.remove(&place));
        }
        self.peers.insert(place, Peer { used_us: now_us, ..peer });
    }
}

fn connect((host, port): &(Vec<u8>, Vec<u8>), timeout: Duration) -> io::Result<Peer> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let port: u16 = text(port).trim().parse().map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
    let mut failure = io::Error::from(ErrorKind::NotFound);
    for address in (text(host).as_str(), port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(Peer { stream: BufReader::new(stream), db: None, used_us: 0 });
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

impl Peer {
    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.get_ref().set_read_timeout(Some(timeout))?;
        self.stream.get_ref().set_write_timeout(Some(timeout))
    }

    /// One line, without its end.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }
}

/// What was asked for.
struct Wish<'a> {
    place: (Vec<u8>, Vec<u8>),
    db: i64,
    timeout: Duration,
    copy: bool,
    replace: bool,
    /// AUTH with its arguments, if there are any.
    auth: Vec<&'a [u8]>,
    keys: Vec<&'a [u8]>,
}

impl<'a> Wish<'a> {
    fn parse(args: Args<'a>) -> Result<Wish<'a>, CmdError> {
        let (mut copy, mut replace, mut auth, mut keys) = (false, false, Vec::new(), vec![args.get(3)]);
        let mut at = 6;
        while at < args.len() {
            let behind = args.len() - at - 1;
            if args.is(at, "COPY") {
                copy = true;
            } else if args.is(at, "REPLACE") {
                replace = true;
            } else if args.is(at, "AUTH") && behind >= 1 {
                auth = vec![b"AUTH", args.get(at + 1)];
                at += 1;
            } else if args.is(at, "AUTH2") && behind >= 2 {
                auth = vec![b"AUTH", args.get(at + 1), args.get(at + 2)];
                at += 2;
            } else if args.is(at, "KEYS") {
                if !args.get(3).is_empty() {
                    return Err(CmdError::Fixed(
                        "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
                    ));
                }
                keys = args.from(at + 1).collect();
                break;
            } else {
                return Err(CmdError::Syntax);
            }
            at += 1;
        }
        let timeout = u64::try_from(args.int(5)?).ok().filter(|ms| *ms > 0).unwrap_or(DEFAULT_TIMEOUT_MS);
        let place = (args.get(1).to_vec(), args.get(2).to_vec());
        Ok(Wish { place, db: args.int(4)?, timeout: Duration::from_millis(timeout), copy, replace, auth, keys })
    }
}

/// How far an attempt got.
struct Attempt {
    /// For each key answered for, whether the other side has it now.
    stored: Vec<bool>,
    /// The first error that the other side answered with.
    refused: Option<Vec<u8>>,
    failed: Option<Failure>,
}

struct Failure {
    error: io::Error,
    doing: &'static str,
}

impl Failure {
    fn is_timeout(&self) -> bool {
        matches!(self.error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
    }

    fn message(&self) -> CmdError {
        CmdError::text(format!("IOERR error or timeout {} to target instance", self.doing))
    }
}

fn migrate(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let wish = Wish::parse(call.args)?;
    let (keys, restores) = requests(srv, &wish, call);
    if keys.is_empty() {
        call.reply.status("NOKEY");
        return Ok(());
    }
    let mut may_retry = true;
    let attempt = loop {
        let peer = srv.migrations.take(&wish.place, wish.timeout);
        let mut peer = peer.map_err(|_| CmdError::Fixed("IOERR error or timeout connecting to the client"))?;
        let attempt = exchange(&mut peer, &wish, &restores, keys.len());
        let Some(failure) = &attempt.failed else {
            peer.db = attempt.refused.is_none().then_some(wish.db);
            srv.migrations.keep(wish.place.clone(), peer, srv.clock.mono_us());
            break attempt;
        };
        // A connection that was kept may have been closed by the other side: then nothing has happened.
        if attempt.stored.is_empty() && attempt.refused.is_none() && may_retry && !failure.is_timeout() {
            may_retry = false;
            continue;
        }
        break attempt;
    };
    if !wish.copy {
        let moved = keys.iter().zip(&attempt.stored).filter(|(_, stored)| **stored).map(|(key, _)| *key);
        forget(srv, &moved.collect::<Vec<_>>(), call);
    }
    if let Some(text) = attempt.refused {
        return Err(CmdError::text([b"ERR Target instance replied with error: ", &text[1..]].concat()));
    }
    match attempt.failed {
        Some(failure) => Err(failure.message()),
        None => {
            call.reply.ok();
            Ok(())
        }
    }
}

/// The keys that are there, and a RESTORE for each.
fn requests<'a>(srv: &mut Server, wish: &Wish<'a>, call: &mut Call<'_>) -> (Vec<&'a [u8]>, Vec<u8>) {
    let compress = srv.config.rdbcompression;
    let name: &[u8] = if srv.ks.settings.cluster { b"RESTORE-ASKING" } else { b"RESTORE" };
    let (mut keys, mut out) = (Vec::new(), Vec::new());
    for key in &wish.keys {
        let now = call.now;
        let Some((view, at)) = srv.ks.read(key, call).map(|entry: EntryRef<'_>| (entry.view(), entry.expires_at()))
        else {
            continue;
        };
        let ttl = at.map_or(0, |at| at.since(now).max(1)).to_string();
        let payload = rdb::dump_payload(view, compress);
        let mut words = vec![name, key, ttl.as_bytes(), &payload];
        if wish.replace {
            words.push(b"REPLACE");
        }
        write_request(&mut out, &words);
        keys.push(*key);
    }
    (keys, out)
}

fn write_request(out: &mut Vec<u8>, words: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// Sends everything and reads the answers.
fn exchange(peer: &mut Peer, wish: &Wish<'_>, restores: &[u8], count: usize) -> Attempt {
    let mut attempt = Attempt { stored: Vec::new(), refused: None, failed: None };
    let mut head = Vec::new();
    if !wish.auth.is_empty() {
        write_request(&mut head, &wish.auth);
    }
    let selects = peer.db != Some(wish.db);
    if selects {
        write_request(&mut head, &[b"SELECT", wish.db.to_string().as_bytes()]);
    }
    let sent = peer.set_timeout(wish.timeout).and_then(|()| {
        peer.stream.get_mut().write_all(&head)?;
        peer.stream.get_mut().write_all(restores)
    });
    if let Err(error) = sent {
        attempt.failed = Some(Failure { error, doing: "writing" });
        return attempt;
    }
    let before = usize::from(!wish.auth.is_empty()) + usize::from(selects);
    // After a refused AUTH or SELECT, what was stored was not stored where it should be.
    let mut head_failed = false;
    for n in 0..before + count {
        let line = match peer.line() {
            Ok(line) => line,
            Err(error) => {
                attempt.failed = Some(Failure { error, doing: "reading" });
                // An answer to AUTH or SELECT alone says nothing of the keys.
                attempt.refused = attempt.refused.filter(|_| n > before);
                return attempt;
            }
        };
        let is_error = line.first() == Some(&b'-');
        head_failed |= is_error && n < before;
        if n >= before {
            attempt.stored.push(!is_error && !head_failed);
        }
        if is_error {
            attempt.refused.get_or_insert(line);
        }
    }
    attempt
}

/// Deletes keys that are elsewhere now.
fn forget(srv: &mut Server, keys: &[&[u8]], call: &mut Call<'_>) {
    if keys.is_empty() {
        return;
    }
    let mut argv = Argv::new();
    argv.push(b"DEL");
    for key in keys {
        srv.ks.delete(key, call);
        call.modified(key, event::DEL, 1);
        argv.push(key);
    }
    call.replicate_argv(argv);
}
