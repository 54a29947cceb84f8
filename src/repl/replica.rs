//! [`MasterLink`]: a replica's way to its master, from the first connection to the stream and back after a loss.
//!
//! *Duty:* what to send, what each byte from the master belongs to, when to give up, when to try again, and why the
//! link is down. The driver opens the connection, writes what it is told, shows what it reads.
//! *Does not know:* sockets, files, RDB, commands. The payload of a transfer and the stream are never copied: for
//! each piece of input [`MasterLink::on_bytes`] says to whom it belongs ([`Took`]).
//! *Invariants:* at most one connection: `Connect` is only queued when the one before is closed. [`Resume`] is the
//! truth about the data set: it is given up as soon as the data set is no longer that of this id and offset, so a
//! wrong continuation cannot be asked for. Actions are carried out in their order, all of them, before the next input.
//!
//! ```text
//! Waiting ─> Connecting ─> Handshake ──FULLRESYNC──> Transfer ─> Loading ─> Online
//!    ^            │            │  └────CONTINUE──────────│──────────│────────> │
//!    └────────────┴────────────┴─────────────────────────┴──────────┴──────────┘   any failure
//! ```
//! *Counterpart in C Redis:* `syncWithMaster`, `slaveTryPartialResynchronization`, `readSyncBulkPayload`, the
//! replica's half of `replicationCron`, `replicationCacheMaster`.

mod handshake;
pub mod transfer;
pub mod trouble;

use std::collections::VecDeque;
use std::fmt;

use super::{LogLine, command};
use crate::base::ids::RunId;
use crate::base::millis::Millis;
use handshake::Step;
use transfer::{Kind, Piece, Transfer};
use trouble::{Cause, Phase, Trouble, USUAL_PORT};

/// How long a failed attempt is followed by nothing, where trying again at once would not help.
const RETRY_MS: i64 = 500;
/// The longest pause after damage, which doubles from a second.
const BACK_OFF_MAX_MS: i64 = 16_000;
/// Reconnections without a pause while nothing useful comes.
const QUICK_MAX: u32 = 3;
/// A stream that has run so long is a sound one.
const SOUND_MS: i64 = 10_000;
const ACK_MS: i64 = 1_000;

/// A host name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl Address {
    pub fn new(host: impl Into<String>, port: u16) -> Address {
        Address { host: host.into(), port }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The directives that concern the link; the driver changes them in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `masteruser`, `masterauth`.
    pub user: Option<Vec<u8>>,
    pub password: Option<Vec<u8>>,
    /// `replica-announce-port`, or the port this server listens on.
    pub listening_port: u16,
    /// `replica-announce-ip`.
    pub announce_ip: Option<Vec<u8>>,
    /// `repl-timeout`.
    pub timeout_secs: u32,
}

/// From where a lost stream can be continued: the data set is that of `id` at `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    pub id: RunId,
    pub offset: u64,
    /// The database that the stream had selected; None if the continuation will begin with a SELECT.
    pub db: Option<u32>,
}

/// What the driver must do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a connection; answer with `on_connected` or `on_connect_failed`.
    Connect(Address),
    /// Find out whether somebody listens there; answer with `on_probe`.
    Probe(Address),
    Send(Vec<u8>),
    /// Close the connection, without an answer.
    Close,
    /// Payload follows: open a file, or a parser.
    BeginTransfer(Kind),
    /// The payload so far is worth nothing.
    AbortTransfer,
    /// The payload is whole: load it, and answer with `on_load_result`.
    Load,
    /// What follows is the stream.
    Online(Start),
    /// The stream has ended: forget a command or transaction that was not whole.
    Offline,
    /// The replica that was asked to take over has done so, or has not (`failover.rs`); then this link is dropped.
    FailoverAccepted,
    FailoverRejected,
    Log(LogLine),
}

/// How the stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The data set stays. With a `new_id` the history goes on under it (`Ids::follow`), and replicas of this server
    /// are disconnected, so that they learn it.
    Continued { new_id: Option<RunId>, offset: u64, db: Option<u32> },
    /// The data set was replaced: the history is that of the master (`Ids::adopt`), the backlog starts over at
    /// `offset`. A master of old times (SYNC) has no id: take a random one.
    Loaded { id: Option<RunId>, offset: u64, db: Option<u32> },
}

/// To whom the head of the input belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Took {
    /// Not enough to say: show it again with what comes next.
    Nothing,
    /// So many bytes were for the link.
    Own(usize),
    /// So many bytes are payload: to the file or parser.
    Payload(usize),
    /// Wait for `on_load_result` before this is looked at.
    Hold,
    /// All of it, and what follows, are commands.
    Stream,
    /// The connection was closed.
    Dropped,
}

/// Why a connection could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// Before anything was sent: the name is unknown, there is no route or no socket.
    AtOnce,
    Refused,
    Other,
}

/// Why a connection is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    Eof,
    Io(String),
    /// This server closed it because it could not make sense of a command: the data set may differ from the master's,
    /// so it is loaded anew.
    Nonsense(String),
    /// CLIENT KILL and the like.
    Killed,
}

/// Why a transferred data set could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    pub why: LoadFailure,
    /// The text of the log, and of `master_link_error`.
    pub text: String,
    /// Whether the data set is still the one from before.
    pub old_data_kept: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadFailure {
    /// The connection broke in the middle (diskless load).
    Cut,
    /// What came is not a data set.
    Damaged,
    /// The file could not be written or read here.
    Store,
}

#[derive(Clone, Debug)]
enum State {
    Waiting {
        retry_at: Millis,
    },
    Connecting,
    Handshake(Step),
    /// The header has not come yet.
    Header {
        id: Option<RunId>,
        offset: u64,
    },
    Transfer {
        id: Option<RunId>,
        offset: u64,
        transfer: Box<Transfer>,
    },
    /// `lost`: the connection went while the data set was loaded, which is no reason to load it again.
    Loading {
        id: Option<RunId>,
        offset: u64,
        kind: Kind,
        size: u64,
        lost: bool,
    },
    Online(Online),
    /// Given up for good: `stop`, or a rejected failover.
    Over,
}

#[derive(Clone, Copy, Debug)]
struct Online {
    /// None: a master of old times. There is nothing to continue later, and it takes no ACK.
    id: Option<RunId>,
    /// Bytes applied, and bytes read.
    offset: u64,
    read: u64,
    db: Option<u32>,
    since: Millis,
    acked: Millis,
}

/// INFO's `master_sync_…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// -1 before it is known, 0 if it never will be.
    pub total: i64,
    pub read: u64,
    pub last_io_secs: i64,
}

#[derive(Debug)]
pub struct MasterLink {
    address: Address,
    pub settings: Settings,
    /// Set while FAILOVER hands the role over: PSYNC then asks the other side to become the master.
    pub failover: bool,
    /// How much of the stream is on this server's disk, if it has an append only file: told with each ACK.
    pub on_disk: Option<u64>,
    state: State,
    resume: Option<Resume>,
    last_io: Millis,
    last_newline: Millis,
    down_since: Option<Millis>,
    trouble: Option<Trouble>,
    /// Of the commands that not every handshake has, whether this one has sent them.
    sent_auth: bool,
    sent_ip: bool,
    /// Reconnections without a pause since something useful came, and failures by damage in a row.
    quick: u32,
    damage: u32,
    actions: VecDeque<Action>,
}

/// When the next attempt is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Retry {
    AtOnce,
    Soon,
}

impl MasterLink {
    /// Starts to connect. `resume`: what this server has, if it may continue: as a former master its own id and
    /// offset, after a restart what the snapshot said.
    pub fn new(address: Address, settings: Settings, resume: Option<Resume>, now: Millis) -> MasterLink {
        let mut link = MasterLink {
            address,
            settings,
            failover: false,
            on_disk: None,
            state: State::Over,
            resume,
            last_io: now,
            last_newline: now,
            down_since: None,
            trouble: None,
            sent_auth: false,
            sent_ip: false,
            quick: 0,
            damage: 0,
            actions: VecDeque::new(),
        };
        link.connect(now, "Connecting to MASTER", "");
        link
    }

    pub fn take_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// REPLICAOF another master: what is here may be continued there.
    pub fn retarget(&mut self, address: Address, now: Millis) {
        self.leave(now, true);
        self.address = address;
        self.trouble = None;
        self.quick = 0;
        self.damage = 0;
        self.connect(now, "Connecting to MASTER", "");
    }

    /// REPLICAOF NO ONE: closes what is open. The link does nothing after that.
    pub fn stop(&mut self, now: Millis) {
        self.leave(now, true);
        self.discard_resume();
    }

    /// The data set is no longer that of `resume`: it was emptied, or replaced, or changed by somebody else.
    pub fn discard_resume(&mut self) {
        if self.resume.take().is_some() {
            self.notice("Discarding previously cached master state.");
        }
    }

    pub fn on_connected(&mut self, now: Millis) {
        if !matches!(self.state, State::Connecting) {
            return;
        }
        self.last_io = now;
        self.notice("Non blocking connect for SYNC fired the event.");
        self.state = State::Handshake(Step::Pong);
        self.send(&[b"PING"]);
    }

    pub fn on_connect_failed(&mut self, now: Millis, error: ConnectError, text: &str) {
        if !matches!(self.state, State::Connecting) {
            return;
        }
        let cause = match error {
            ConnectError::AtOnce => {
                self.warning(format!("Unable to connect to MASTER: {text}"));
                Cause::Unreachable(text.to_string())
            }
            ConnectError::Refused => Cause::Refused,
            ConnectError::Other => Cause::Cut { phase: Phase::Connecting, how: text.to_string() },
        };
        if error != ConnectError::AtOnce {
            self.warning(format!("Error condition on socket for SYNC: {text}"));
        }
        self.state = State::Over;
        self.fail(now, cause, Retry::Soon);
    }

    /// Whether somebody listens at an address that was asked about.
    pub fn on_probe(&mut self, at: &Address, answers: bool) {
        let Some(trouble) = self.trouble.as_mut().filter(|_| at.host == self.address.host) else { return };
        if let Some(line) = trouble.on_probe(answers.then_some(at.port)) {
            self.actions.push_back(Action::Log(line));
        }
    }

    /// The connection is gone, whoever closed it; the driver has closed its end.
    pub fn on_closed(&mut self, now: Millis, lost: Lost) {
        let how = match &lost {
            Lost::Eof => "connection lost".to_string(),
            Lost::Killed => "closed by this server".to_string(),
            Lost::Io(text) | Lost::Nonsense(text) => text.clone(),
        };
        let retry = match &mut self.state {
            State::Waiting { .. } | State::Over => return,
            State::Loading { lost, .. } => {
                *lost = true;
                return;
            }
            State::Connecting => {
                self.warning(format!("Error condition on socket for SYNC: {how}"));
                Retry::Soon
            }
            State::Handshake(step) => {
                let psync = *step == Step::Psync;
                self.warning(format!("Failed to read response from the server: {how}"));
                self.warning(match psync {
                    true => "Master did not reply to PSYNC, will try later",
                    false => "Master did not respond to command during SYNC handshake",
                });
                Retry::Soon
            }
            State::Header { .. } => {
                self.warning(format!("I/O error reading bulk count from MASTER: {how}"));
                Retry::AtOnce
            }
            State::Transfer { .. } => {
                self.warning(format!("I/O error trying to sync with MASTER: {how}"));
                Retry::AtOnce
            }
            State::Online(_) => Retry::AtOnce,
        };
        let cause = match lost {
            Lost::Nonsense(text) => Cause::Nonsense(text),
            _ => Cause::Cut { phase: self.phase(), how },
        };
        self.leave(now, false);
        self.fail(now, cause, retry);
    }

    /// Says to whom the head of `input` belongs. Call it until the input is used up or the answer is `Nothing`,
    /// `Hold`, `Stream` or `Dropped`. First deal with what the answer names (payload goes to its file), then carry out
    /// the actions, then call again: the last payload and `Load` come out of the same call.
    pub fn on_bytes(&mut self, now: Millis, input: &[u8]) -> Took {
        match &mut self.state {
            State::Waiting { .. } | State::Over | State::Connecting => Took::Dropped,
            State::Loading { .. } => Took::Hold,
            State::Online(_) => Took::Stream,
            State::Handshake(_) | State::Header { .. } => self.on_line_bytes(now, input),
            State::Transfer { transfer, .. } => {
                let piece = transfer.feed(input);
                if !input.is_empty() {
                    self.last_io = now;
                    self.quick = 0;
                }
                match piece {
                    Piece::Unclear => Took::Nothing,
                    Piece::Payload(len) => {
                        self.end_of_size();
                        Took::Payload(len)
                    }
                    Piece::End(len) => {
                        self.begin_load();
                        if len == 0 { Took::Hold } else { Took::Own(len) }
                    }
                }
            }
        }
    }

    /// With a length nothing more comes behind the last byte, so nobody would ask again: the end is said with it.
    fn end_of_size(&mut self) {
        if let State::Transfer { transfer, .. } = &self.state
            && transfer.kind() == Kind::Size(transfer.read())
        {
            self.begin_load();
        }
    }

    fn begin_load(&mut self) {
        if let State::Transfer { id, offset, transfer } = &self.state {
            let (kind, size) = (transfer.kind(), transfer.read());
            self.state = State::Loading { id: *id, offset: *offset, kind, size, lost: false };
            self.actions.push_back(Action::Load);
        }
    }

    /// The payload is not shown to the link any more: a parser reads it from the connection itself, with what is
    /// answered, and then answers with `on_load_result`.
    pub fn parser_takes_over(&mut self) -> Option<Transfer> {
        let State::Transfer { id, offset, transfer } = &self.state else { return None };
        let (own, kind) = ((**transfer).clone(), transfer.kind());
        self.state = State::Loading { id: *id, offset: *offset, kind, size: 0, lost: false };
        Some(own)
    }

    /// The transfer cannot go on here: the file cannot be made or written, or the parser stopped early.
    pub fn on_transfer_failed(&mut self, now: Millis, error: LoadError) {
        if matches!(self.state, State::Transfer { .. } | State::Header { .. }) {
            self.load_failed(now, error);
        }
    }

    /// The data set was loaded, and its stream selected a database; or it was not.
    pub fn on_load_result(&mut self, now: Millis, result: Result<Option<u32>, LoadError>) {
        let State::Loading { id, offset, kind, lost, .. } = self.state else { return };
        let db = match result {
            Ok(db) => db,
            Err(error) => return self.load_failed(now, error),
        };
        self.discard_resume();
        self.damage = 0;
        self.go_online(now, id, offset, db);
        self.actions.push_back(Action::Online(Start::Loaded { id, offset, db }));
        self.notice("MASTER <-> REPLICA sync: Finished with success");
        if lost {
            return self.on_closed(now, Lost::Eof);
        }
        // A master that streams the data set waits for this before it sends anything else.
        if matches!(kind, Kind::Mark(_)) {
            self.send_ack(now);
        }
    }

    fn load_failed(&mut self, now: Millis, error: LoadError) {
        if !error.old_data_kept {
            self.discard_resume();
        }
        self.warning(error.text.clone());
        let cause = match error.why {
            LoadFailure::Cut => Cause::Cut { phase: Phase::Transfer, how: error.text },
            LoadFailure::Damaged => Cause::BadSnapshot(error.text),
            LoadFailure::Store => Cause::Store(error.text),
        };
        let open = !matches!(self.state, State::Loading { lost: true, .. });
        self.leave(now, open);
        self.fail(now, cause, Retry::AtOnce);
    }

    /// `bytes` of the stream were read.
    pub fn on_stream_read(&mut self, now: Millis, bytes: u64) {
        if let State::Online(online) = &mut self.state {
            online.read += bytes;
            self.last_io = now;
        }
    }

    /// `bytes` of the stream, whole commands outside a transaction, were applied; `db` is selected now.
    pub fn on_applied(&mut self, bytes: u64, db: u32) {
        if let State::Online(online) = &mut self.state {
            online.offset += bytes;
            online.db = Some(db);
        }
    }

    /// REPLCONF GETACK, and once a second.
    pub fn send_ack(&mut self, now: Millis) {
        let State::Online(online) = &mut self.state else { return };
        if online.id.is_none() {
            return;
        }
        online.acked = now;
        let offset = online.offset.to_string();
        // A master before 7.2 stops reading at the number.
        match self.on_disk.map(|at| at.to_string()) {
            Some(at) => self.send(&[b"REPLCONF", b"ACK", offset.as_bytes(), b"FACK", at.as_bytes()]),
            None => self.send(&[b"REPLCONF", b"ACK", offset.as_bytes()]),
        }
    }

    /// Whether the newline that keeps a master patient during a long load is due; at most one a second.
    pub fn newline_due(&mut self, now: Millis) -> bool {
        let due = matches!(self.state, State::Transfer { .. } | State::Loading { lost: false, .. })
            && now.since(self.last_newline) >= 1_000;
        if due {
            self.last_newline = now;
        }
        due
    }

    /// Timeouts, retries, ACKs. Once a second is enough, more often does no harm.
    pub fn tick(&mut self, now: Millis) {
        let secs = i64::from(self.settings.timeout_secs);
        let silent = now.since(self.last_io) > secs * 1_000;
        match &self.state {
            // The second condition holds when the clock was set back.
            State::Waiting { retry_at } if now >= *retry_at || retry_at.since(now) > BACK_OFF_MAX_MS => {
                self.connect(now, "Connecting to MASTER", "");
            }
            State::Connecting | State::Handshake(_) if silent => {
                self.time_out(now, secs, "Timeout connecting to the MASTER...");
            }
            State::Header { .. } | State::Transfer { .. } if silent => self.time_out(
                now,
                secs,
                "Timeout receiving bulk data from MASTER... If the problem persists try to set the 'repl-timeout' \
                 parameter in redis.conf to a larger value.",
            ),
            State::Online(_) if silent => self.time_out(now, secs, "MASTER timeout: no data nor PING received..."),
            State::Online(online) => {
                let (since, acked) = (online.since, online.acked);
                if now.since(since) >= SOUND_MS {
                    self.damage = 0;
                    self.quick = 0;
                }
                if now.since(acked) >= ACK_MS || acked > now {
                    self.send_ack(now);
                }
            }
            _ => {}
        }
    }

    fn time_out(&mut self, now: Millis, secs: i64, text: &str) {
        self.warning(text);
        let phase = self.phase();
        self.leave(now, true);
        self.fail(now, Cause::Silent { phase, secs }, Retry::AtOnce);
    }

    /// When `tick` has something to do that is earlier than a second from now.
    pub fn next_deadline(&self) -> Option<Millis> {
        match &self.state {
            State::Waiting { retry_at } => Some(*retry_at),
            _ => None,
        }
    }

    fn connect(&mut self, now: Millis, how: &str, after: &str) {
        self.notice(format!("{how} {}{after}", self.address));
        self.actions.push_back(Action::Connect(self.address.clone()));
        self.notice("MASTER <-> REPLICA sync started");
        self.last_io = now;
        self.state = State::Connecting;
    }

    /// Ends whatever goes on, remembering what can be continued. `close`: the connection is still open.
    fn leave(&mut self, now: Millis, close: bool) {
        let connected = !matches!(self.state, State::Waiting { .. } | State::Over | State::Loading { lost: true, .. });
        if close && connected {
            self.actions.push_back(Action::Close);
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Transfer { .. } | State::Loading { .. } => self.actions.push_back(Action::AbortTransfer),
            State::Online(online) => {
                self.down_since = Some(now);
                self.warning("Connection with master lost.");
                self.resume = online.id.map(|id| Resume { id, offset: online.offset, db: online.db });
                if self.resume.is_some() {
                    self.notice("Caching the disconnected master state.");
                }
                self.actions.push_back(Action::Offline);
            }
            _ => {}
        }
    }

    /// After `leave`: notes why, and decides when to try again.
    fn fail(&mut self, now: Millis, cause: Cause, retry: Retry) {
        let damage = cause.is_damage();
        if matches!(cause, Cause::Nonsense(_)) {
            self.discard_resume();
        }
        if let Some(line) = Trouble::note(&mut self.trouble, now, cause, &self.address) {
            self.actions.push_back(Action::Log(line));
        }
        if self.trouble.as_ref().is_some_and(Trouble::wants_probe) {
            self.actions.push_back(Action::Probe(Address::new(self.address.host.clone(), USUAL_PORT)));
        }
        if damage {
            let pause = (1_000 << self.damage.min(10)).min(BACK_OFF_MAX_MS);
            self.damage += 1;
            self.state = State::Waiting { retry_at: now.plus(pause) };
            self.notice(format!("The next attempt to reach the master is made in {} s", pause / 1_000));
        } else if retry == Retry::AtOnce && self.quick < QUICK_MAX {
            self.quick += 1;
            self.connect(now, "Reconnecting to MASTER", " after failure");
        } else {
            self.state = State::Waiting { retry_at: now.plus(RETRY_MS) };
        }
    }

    fn go_online(&mut self, now: Millis, id: Option<RunId>, offset: u64, db: Option<u32>) {
        self.state = State::Online(Online { id, offset, read: offset, db, since: now, acked: now });
        self.resume = None;
        self.last_io = now;
        self.down_since = None;
        self.trouble = None;
    }

    fn phase(&self) -> Phase {
        match &self.state {
            State::Waiting { .. } | State::Connecting | State::Over => Phase::Connecting,
            State::Handshake(_) => Phase::Handshake,
            State::Header { .. } | State::Transfer { .. } | State::Loading { .. } => Phase::Transfer,
            State::Online(_) => Phase::Online,
        }
    }

    fn send(&mut self, args: &[&[u8]]) {
        self.actions.push_back(Action::Send(command(args)));
    }

    fn notice(&mut self, text: impl Into<String>) {
        self.actions.push_back(Action::Log(LogLine::notice(text)));
    }

    fn warning(&mut self, text: impl Into<String>) {
        self.actions.push_back(Action::Log(LogLine::warning(text)));
    }
}

/// What INFO, ROLE and the gates ask.
impl MasterLink {
    pub fn address(&self) -> &Address {
        &self.address
    }

    pub fn is_online(&self) -> bool {
        matches!(self.state, State::Online(_))
    }

    /// `master_sync_in_progress`.
    pub fn is_syncing(&self) -> bool {
        matches!(self.state, State::Header { .. } | State::Transfer { .. } | State::Loading { .. })
    }

    /// The state as ROLE spells it.
    pub fn role_state(&self) -> &'static str {
        match &self.state {
            State::Over => "none",
            State::Waiting { .. } => "connect",
            State::Connecting => "connecting",
            State::Handshake(_) => "handshake",
            State::Header { .. } | State::Transfer { .. } | State::Loading { .. } => "sync",
            State::Online(_) => "connected",
        }
    }

    /// The offset that was applied: of the running stream, or of the one that may be continued.
    pub fn offset(&self) -> Option<u64> {
        match &self.state {
            State::Online(online) => Some(online.offset),
            _ => self.resume.map(|resume| resume.offset),
        }
    }

    pub fn read_offset(&self) -> Option<u64> {
        match &self.state {
            State::Online(online) => Some(online.read),
            _ => self.resume.map(|resume| resume.offset),
        }
    }

    /// What a snapshot may say of the stream's database (`Standing::Replica`).
    pub fn stream_db(&self) -> Option<u32> {
        match &self.state {
            // Nothing was selected yet: the stream will do so before its first write.
            State::Online(online) => Some(online.db.unwrap_or(0)),
            _ => self.resume.map(|resume| resume.db.unwrap_or(0)),
        }
    }

    pub fn resume(&self) -> Option<Resume> {
        self.resume
    }

    /// The history that a running or pending transfer belongs to; the same as ours means that the old data set may be
    /// served meanwhile.
    pub fn transfer_id(&self) -> Option<RunId> {
        match &self.state {
            State::Header { id, .. } | State::Transfer { id, .. } | State::Loading { id, .. } => *id,
            _ => None,
        }
    }

    /// `master_last_io_seconds_ago`, if the stream runs.
    pub fn last_io_secs(&self, now: Millis) -> Option<i64> {
        self.is_online().then(|| now.since(self.last_io).max(0) / 1_000)
    }

    pub fn progress(&self, now: Millis) -> Option<Progress> {
        let announced = |kind: &Kind| match kind {
            Kind::Size(size) => i64::try_from(*size).unwrap_or(i64::MAX),
            Kind::Mark(_) => 0,
        };
        let (total, read) = match &self.state {
            State::Header { .. } => (-1, 0),
            State::Transfer { transfer, .. } => (announced(&transfer.kind()), transfer.read()),
            State::Loading { kind, size, .. } => (announced(kind), *size),
            _ => return None,
        };
        Some(Progress { total, read, last_io_secs: now.since(self.last_io).max(0) / 1_000 })
    }

    /// Since when a stream that once ran does not; None if it runs or never did.
    pub fn down_since(&self) -> Option<Millis> {
        self.down_since
    }

    /// `master_link_error`.
    pub fn error(&self, now: Millis) -> Option<String> {
        self.trouble.as_ref().map(|trouble| trouble.text(now))
    }

    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }
}

#[cfg(test)]
mod tests;
