//! A server of the simulated world: what a driver does with the cores, without sockets, files and forks.
//!
//! *Duty:* a data set that is a hash of all it has applied, a stream of small frames, snapshots that are a few bytes.
//! *Does not know:* the other servers, time beyond what it is told.

use crate::base::ids::RunId;
use crate::base::millis::Millis;
use crate::base::rng::Rng;
use crate::repl::master::{Job, Options, PeerId, Target};
use crate::repl::replica::{Address, Resume};
use crate::repl::{Backlog, Failover, Ids, MasterLink, Replicas, Saved};

pub const PING: &[u8] = b"P";

/// What a server holds. Equal hashes after equally many writes mean equal data sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Data {
    pub writes: u64,
    pub hash: u64,
}

impl Data {
    pub fn apply(&mut self, body: &[u8]) {
        if body == PING {
            return;
        }
        self.writes += 1;
        for byte in body {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// A snapshot: the data set, its check, and something to make it longer.
    pub fn save(&self, filler: usize) -> Vec<u8> {
        let mut out = self.writes.to_le_bytes().to_vec();
        out.extend_from_slice(&self.hash.to_le_bytes());
        out.extend_from_slice(&(self.writes ^ self.hash ^ 0x5ca1_ab1e).to_le_bytes());
        out.resize(out.len() + filler, b'.');
        out
    }

    pub fn load(bytes: &[u8]) -> Option<Data> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let data = Data { writes: number(0)?, hash: number(8)? };
        let rest = bytes.get(24..)?;
        (number(16)? == data.writes ^ data.hash ^ 0x5ca1_ab1e && rest.iter().all(|b| *b == b'.')).then_some(data)
    }
}

/// The first whole frame: its length on the wire, and its body.
pub fn frame(input: &[u8]) -> Option<(usize, &[u8])> {
    let len = usize::from(*input.first()?);
    Some((len + 1, input.get(1..=len)?))
}

/// A snapshot in the making, for replicas.
pub struct Save {
    pub job: Job,
    pub data: Data,
    pub done_at: Millis,
    pub sent: bool,
}

pub struct Node {
    pub at: usize,
    pub alive: bool,
    pub rng: Rng,
    pub ids: Ids,
    pub backlog: Backlog,
    pub replicas: Replicas,
    pub link: Option<MasterLink>,
    pub failover: Failover,
    pub paused: bool,
    pub data: Data,
    /// What survives a crash.
    pub disk: Option<(Data, Option<Saved>)>,
    pub save: Option<Save>,
    pub diskless: bool,
    /// Keeps the old data set until the new one is loaded (`repl-diskless-load swapdb`).
    pub swap: bool,
    /// The connection to the master, what came from it and was not used yet, the file of a transfer.
    pub conn: Option<u64>,
    pub input: Vec<u8>,
    pub file: Vec<u8>,
    pub load_at: Option<Millis>,
    pub full: u32,
    pub partial: u32,
    pub log: Vec<String>,
}

impl Node {
    pub fn new(at: usize, backlog_size: u64, seed: u64, now: Millis) -> Node {
        let mut rng = Rng::new(seed);
        Node {
            at,
            alive: true,
            ids: Ids::new(RunId::random(&mut rng)),
            backlog: Backlog::new(backlog_size),
            replicas: Replicas::new(now),
            link: None,
            failover: Failover::default(),
            paused: false,
            data: Data::default(),
            disk: None,
            save: None,
            diskless: rng.below(2) == 0,
            swap: rng.below(2) == 0,
            conn: None,
            input: Vec::new(),
            file: Vec::new(),
            load_at: None,
            full: 0,
            partial: 0,
            log: Vec::new(),
            rng,
        }
    }

    pub fn fresh_id(&mut self) -> RunId {
        RunId::random(&mut self.rng)
    }

    pub fn is_master(&self) -> bool {
        self.link.is_none()
    }

    /// One write of a client, propagated as a master does.
    pub fn write(&mut self) {
        let mut body = vec![b'W'; 1 + self.rng.index(40)];
        let letters = body.len();
        self.rng.fill(&mut body[1..letters]);
        self.data.apply(&body);
        self.propagate(&body);
    }

    pub fn propagate(&mut self, body: &[u8]) {
        self.backlog.append(&[&[body.len() as u8], body].concat());
    }

    /// Applies the whole frames of the stream, and passes them on as they came. The offsets after each.
    pub fn apply_stream(&mut self) -> Vec<(u64, Data)> {
        let mut applied = Vec::new();
        while let Some((len, body)) = frame(&self.input) {
            self.data.apply(body);
            self.backlog.append(&self.input[..len]);
            if let Some(link) = &mut self.link {
                link.on_applied(len as u64, 0);
            }
            self.input.drain(..len);
            applied.push((self.backlog.offset(), self.data));
        }
        applied
    }

    /// What a start makes of the snapshot; the link to the master is the caller's.
    pub fn restart(&mut self, as_replica: bool, now: Millis) -> Option<Resume> {
        let (seed, size) = (self.rng.next_u64(), self.backlog.size());
        let (disk, log) = (self.disk, std::mem::take(&mut self.log));
        let (full, partial) = (self.full, self.partial);
        *self = Node { disk, log, full, partial, ..Node::new(self.at, size, seed, now) };
        let (data, saved) = disk?;
        self.data = data;
        let saved = saved?;
        if as_replica {
            self.ids = Ids::new(saved.id);
            self.backlog.restart_at(saved.offset);
            return Some(Resume { id: saved.id, offset: saved.offset, db: Some(saved.stream_db) });
        }
        self.backlog.activate();
        self.backlog.rebase(saved.offset);
        self.ids.resume_as_master(&saved);
        None
    }
}

/// The server's end of a connection that asks to be a replica.
#[derive(Default)]
pub struct Session {
    pub input: Vec<u8>,
    pub options: Options,
    /// Header, snapshot and mark that are still to be written, and whether this is all of it.
    pub bulk: Vec<u8>,
    pub bulk_target: Option<Target>,
}

/// The first whole command of `input`, and its length.
pub fn parse_command(input: &[u8]) -> Option<(usize, Vec<Vec<u8>>)> {
    let line = |at: usize| {
        let end = input[at..].windows(2).position(|w| w == b"\r\n")?;
        Some((at + end + 2, &input[at..at + end]))
    };
    let number = |text: &[u8]| std::str::from_utf8(&text[1..]).unwrap().parse::<usize>().unwrap();
    let (mut at, first) = line(0)?;
    if first.first() != Some(&b'*') {
        return Some((at, vec![first.to_vec()]));
    }
    let mut args = Vec::new();
    for _ in 0..number(first) {
        let (body, head) = line(at)?;
        let end = body + number(head);
        args.push(input.get(body..end)?.to_vec());
        input.get(end..end + 2)?;
        at = end + 2;
    }
    Some((at, args))
}

pub fn address(node: usize) -> Address {
    Address::new("sim", node as u16)
}

pub type Conn = PeerId;
