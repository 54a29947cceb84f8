//! The simulated world: servers, connections that delay, cut and swallow, and the law that they must keep.
//!
//! *Duty:* virtual time in steps; the driver's loop for each server; a *register* of what the data set of each
//! (replication id, offset) is, filled by those who write, against which every replica is held after every frame.
//! *Does not know:* what is going to happen: the tests say so.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::node::{Conn, Data, Node, PING, Save, Session, address, parse_command};
use crate::base::ids::RunId;
use crate::base::millis::Millis;
use crate::base::rng::Rng;
use crate::repl::failover::{Candidate, FailoverAction, FailoverFacts, Wish};
use crate::repl::ids::{self, Decision, Request, Standing};
use crate::repl::master::{Ack, AfterChild, Child, Config, Job, Placement, Replconf, SyncFacts, Target, begin_history};
use crate::repl::replica::transfer::Kind;
use crate::repl::replica::{ConnectError, LoadError, LoadFailure, Lost, Settings};
use crate::repl::{Action, MasterLink, PeerState, Saved, Start, Took, command};

const STEP_MS: i64 = 10;
const MARK: [u8; 40] = *b"e0f0e0f0e0f0e0f0e0f0e0f0e0f0e0f0e0f0e0f0";
/// What a pipe takes before its writer must wait.
const WINDOW: usize = 2_000;
pub const TIMEOUT_SECS: u32 = 5;

/// Bytes under way in one direction.
#[derive(Default)]
struct Pipe {
    chunks: VecDeque<(Millis, Vec<u8>)>,
}

impl Pipe {
    fn under_way(&self) -> usize {
        self.chunks.iter().map(|(_, bytes)| bytes.len()).sum()
    }
}

struct Link {
    client: usize,
    server: usize,
    up: Pipe,
    down: Pipe,
    session: Session,
    opens_at: Option<Millis>,
    /// Nothing passes any more, and nobody is told.
    swallows: bool,
    /// When both ends learn that it is closed.
    closes_at: Option<Millis>,
    /// An end that has closed a connection that swallows: the other does not learn it.
    gone: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Client,
    Server,
}

pub struct World {
    pub now: Millis,
    pub rng: Rng,
    pub nodes: Vec<Node>,
    links: BTreeMap<Conn, Link>,
    next: Conn,
    register: HashMap<(RunId, u64), Data>,
    /// Bytes delivered so far, and at which count the connection that delivers them is cut.
    pub delivered: u64,
    pub cut_after: Option<u64>,
    /// One in so many chunks of a transfer is damaged.
    pub damage_one_in: u64,
}

impl World {
    pub fn new(nodes: usize, backlog_size: u64, seed: u64) -> World {
        let now = Millis(1_000_000);
        World {
            now,
            rng: Rng::new(seed),
            nodes: (0..nodes).map(|at| Node::new(at, backlog_size, seed * 31 + at as u64, now)).collect(),
            links: BTreeMap::new(),
            next: 1,
            register: HashMap::new(),
            delivered: 0,
            cut_after: None,
            damage_one_in: 0,
        }
    }

    pub fn run(&mut self, ms: i64) {
        for _ in 0..ms / STEP_MS {
            self.step();
        }
    }

    fn step(&mut self) {
        self.now = self.now.plus(STEP_MS);
        self.deliver();
        for at in 0..self.nodes.len() {
            if self.nodes[at].alive {
                self.serve(at);
            }
        }
    }

    /// REPLICAOF.
    pub fn replicaof(&mut self, at: usize, master: usize) {
        let now = self.now;
        let node = &mut self.nodes[at];
        match &mut node.link {
            Some(link) => link.retarget(address(master), now),
            None => {
                let resume = crate::repl::Resume { id: node.ids.id, offset: node.backlog.offset(), db: None };
                node.link = Some(MasterLink::new(address(master), settings(at), Some(resume), now));
            }
        }
        self.link_actions(at);
    }

    /// REPLICAOF NO ONE.
    pub fn promote(&mut self, at: usize) {
        let Some(mut link) = self.nodes[at].link.take() else { return };
        link.stop(self.now);
        self.nodes[at].link = Some(link);
        self.link_actions(at);
        let node = &mut self.nodes[at];
        node.link = None;
        node.load_at = None;
        let (new, offset) = (node.fresh_id(), node.backlog.offset());
        node.ids.shift(new, offset);
        node.replicas.restart_ttl(self.now);
        self.drop_replicas(at);
        self.note(at);
    }

    pub fn write(&mut self, at: usize) {
        if self.nodes[at].alive && self.nodes[at].is_master() && !self.nodes[at].paused {
            self.nodes[at].write();
            self.note(at);
        }
    }

    /// Takes a snapshot, as BGSAVE does.
    pub fn save(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let standing = match &node.link {
            None => Standing::Master { selected: None },
            Some(link) => Standing::Replica { stream_db: link.stream_db() },
        };
        node.disk = Some((node.data, Saved::of(&node.ids, &node.backlog, standing)));
    }

    pub fn crash(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.alive = false;
        node.link = None;
        node.conn = None;
        let its: Vec<Conn> =
            self.links.iter().filter(|(_, l)| l.client == at || l.server == at).map(|(c, _)| *c).collect();
        its.into_iter().for_each(|conn| self.cut(conn));
    }

    pub fn restart(&mut self, at: usize, master: Option<usize>) {
        let node = &mut self.nodes[at];
        let resume = node.restart(master.is_some(), self.now);
        if let Some(master) = master {
            node.link = Some(MasterLink::new(address(master), settings(at), resume, self.now));
            self.link_actions(at);
        }
        self.note(at);
    }

    pub fn failover(&mut self, at: usize, wish: Wish) -> Result<(), &'static str> {
        let candidates = self.candidates(at);
        let node = &mut self.nodes[at];
        let facts = FailoverFacts {
            now: self.now,
            is_replica: node.link.is_some(),
            offset: node.backlog.offset(),
            replicas: &candidates,
        };
        node.failover.start(wish, &facts)?;
        self.failover_actions(at);
        Ok(())
    }

    /// A cut that both sides notice a little later; what is under way is lost.
    pub fn cut(&mut self, conn: Conn) {
        let at = self.now.plus(self.rng.below(30) as i64);
        if let Some(link) = self.links.get_mut(&conn) {
            link.up.chunks.clear();
            link.down.chunks.clear();
            link.swallows = true;
            link.closes_at.get_or_insert(at);
        }
    }

    /// A cut that nobody notices but by silence.
    pub fn swallow(&mut self, conn: Conn) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.swallows = true;
        }
    }

    pub fn conns(&self) -> Vec<Conn> {
        self.links.keys().copied().collect()
    }

    /// The connection by which a replica follows its master.
    pub fn conn_of(&self, at: usize) -> Conn {
        self.nodes[at].conn.expect("it is connected")
    }

    pub fn is_online(&self, at: usize) -> bool {
        self.nodes[at].link.as_ref().is_some_and(MasterLink::is_online)
    }

    /// Whether all replicas are online and have what the master has.
    pub fn agrees(&self, master: usize) -> bool {
        let of = |node: &Node| (node.ids.id, node.backlog.offset(), node.data);
        let all = of(&self.nodes[master]);
        self.nodes.iter().all(|node| node.at == master || (self.is_online(node.at) && of(node) == all))
    }

    /// Runs until they agree; the panic tells what was last said.
    pub fn settle(&mut self, master: usize, what: &str) {
        for _ in 0..12_000 {
            if self.agrees(master) {
                return;
            }
            self.step();
        }
        let tails: Vec<String> = self.nodes.iter().map(|n| format!("n{}: {:#?}", n.at, tail(&n.log))).collect();
        panic!("{what}: no agreement\n{}", tails.join("\n"));
    }

    /// The law: what a master has under an id at an offset is what everybody has there.
    fn note(&mut self, at: usize) {
        let node = &self.nodes[at];
        if node.backlog.is_active() {
            self.hold(at, node.ids.id, node.backlog.offset(), node.data);
        }
    }

    fn hold(&mut self, at: usize, id: RunId, offset: u64, data: Data) {
        let known = *self.register.entry((id, offset)).or_insert(data);
        assert_eq!(known, data, "n{at} at {id:.6}:{offset}\n{:#?}", tail(&self.nodes[at].log));
    }

    fn deliver(&mut self) {
        for conn in self.conns() {
            let Some(link) = self.links.get_mut(&conn) else { continue };
            let (client, server) = (link.client, link.server);
            if link.closes_at.is_some_and(|at| at <= self.now) {
                self.drop_link(conn);
                continue;
            }
            if link.opens_at.is_some_and(|at| at <= self.now) && !link.swallows {
                link.opens_at = None;
                if let Some(master) = &mut self.nodes[client].link {
                    master.on_connected(self.now);
                }
                self.link_actions(client);
            }
            self.carry(conn, client, server);
        }
    }

    fn carry(&mut self, conn: Conn, client: usize, server: usize) {
        while let Some(bytes) = self.arrive(conn, true) {
            if let Some(link) = self.links.get_mut(&conn) {
                link.session.input.extend(bytes);
            }
            self.serve_session(server, conn);
        }
        while let Some(bytes) = self.arrive(conn, false) {
            self.nodes[client].input.extend(bytes);
            self.read_link(client);
        }
    }

    /// The next chunk that has arrived in one direction.
    fn arrive(&mut self, conn: Conn, up: bool) -> Option<Vec<u8>> {
        let link = self.links.get_mut(&conn).filter(|link| !link.swallows)?;
        let pipe = if up { &mut link.up } else { &mut link.down };
        if pipe.chunks.front()?.0 > self.now {
            return None;
        }
        let (_, mut bytes) = pipe.chunks.pop_front()?;
        let limit = self.cut_after.map_or(u64::MAX, |limit| limit - self.delivered);
        if bytes.len() as u64 >= limit {
            bytes.truncate(limit as usize);
            self.cut_after = None;
            self.cut(conn);
        }
        self.delivered += bytes.len() as u64;
        Some(bytes)
    }

    fn push(&mut self, conn: Conn, up: bool, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&conn).filter(|link| !link.swallows) else { return };
        let pipe = if up { &mut link.up } else { &mut link.down };
        let last = pipe.chunks.back().map_or(self.now, |chunk| chunk.0);
        let mut at = last.max(self.now.plus(self.rng.below(15) as i64));
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at((1 + self.rng.index(500)).min(rest.len()));
            pipe.chunks.push_back((at, now.to_vec()));
            at = at.plus(self.rng.below(5) as i64);
            rest = later;
        }
    }

    fn serve(&mut self, at: usize) {
        let now = self.now;
        if let Some(link) = &mut self.nodes[at].link {
            link.tick(now);
            self.link_actions(at);
        }
        self.load(at);
        self.end_save(at);
        let node = &mut self.nodes[at];
        if node.is_master() && node.replicas.ping_due(now, 1) && !node.failover.holds_stream() {
            node.propagate(PING);
            self.note(at);
        }
        self.start_save(at, None);
        let child = self.child(at);
        let node = &mut self.nodes[at];
        let late = node.replicas.timed_out(now, TIMEOUT_SECS, child);
        let waiting: Vec<Conn> = node.replicas.kept_waiting(child).collect();
        late.into_iter().for_each(|(conn, _)| self.close(conn, End::Server));
        if now.0 % 1_000 == 0 {
            waiting.into_iter().for_each(|conn| self.push(conn, false, b"\n"));
        }
        self.write_streams(at);
        let candidates = self.candidates(at);
        let node = &mut self.nodes[at];
        let facts = FailoverFacts { now, is_replica: false, offset: node.backlog.offset(), replicas: &candidates };
        node.failover.tick(&facts);
        self.failover_actions(at);
    }

    fn candidates(&self, at: usize) -> Vec<Candidate> {
        let of = |peer: &crate::repl::master::Peer| Candidate {
            host: "sim".to_string(),
            port: peer.options.listening_port,
            online: peer.state == PeerState::Online,
            ack_offset: peer.ack_offset,
        };
        self.nodes[at].replicas.iter().map(of).collect()
    }

    fn failover_actions(&mut self, at: usize) {
        while let Some(action) = self.nodes[at].failover.take_action() {
            match action {
                FailoverAction::PauseWrites => self.nodes[at].paused = true,
                FailoverAction::ResumeWrites => self.nodes[at].paused = false,
                FailoverAction::Follow(to) => {
                    self.replicaof(at, usize::from(to.port));
                    self.nodes[at].link.as_mut().unwrap().failover = true;
                }
                FailoverAction::StayMaster => self.promote(at),
                FailoverAction::Log(line) => self.nodes[at].log.push(line.text),
            }
        }
    }

    fn write_streams(&mut self, at: usize) {
        for conn in self.nodes[at].replicas.iter().map(|peer| peer.id).collect::<Vec<_>>() {
            let Some(link) = self.links.get_mut(&conn) else { continue };
            let room = WINDOW.saturating_sub(link.down.under_way());
            if !link.session.bulk.is_empty() {
                let len = room.min(link.session.bulk.len());
                let mut bytes: Vec<u8> = link.session.bulk.drain(..len).collect();
                let done = link.session.bulk.is_empty();
                let target = link.session.bulk_target;
                if self.damage_one_in > 0 && len > 0 && self.rng.below(self.damage_one_in) == 0 {
                    bytes[len / 2] ^= 1;
                }
                self.push(conn, false, &bytes);
                if done && target == Some(Target::Disk) {
                    let now = self.now;
                    let (_, line) = self.nodes[at].replicas.bulk_sent(conn, now).unwrap();
                    self.nodes[at].log.push(line.text);
                }
                continue;
            }
            let node = &mut self.nodes[at];
            let Some(cursor) = node.replicas.get(conn).and_then(|peer| peer.streams_from()) else { continue };
            let mut bytes =
                node.backlog.slices_from(node.backlog.position(cursor)).unwrap().collect::<Vec<_>>().concat();
            bytes.truncate(room);
            node.replicas.wrote(conn, bytes.len() as u64, &mut node.backlog);
            self.push(conn, false, &bytes);
        }
    }
}

fn tail(log: &[String]) -> &[String] {
    &log[log.len().saturating_sub(25)..]
}

fn settings(at: usize) -> Settings {
    Settings {
        user: None,
        password: at.is_multiple_of(2).then(|| b"pass".to_vec()),
        listening_port: at as u16,
        announce_ip: at.is_multiple_of(3).then(|| b"sim".to_vec()),
        timeout_secs: TIMEOUT_SECS,
    }
}

/// The replica's half of the driver.
impl World {
    fn link_actions(&mut self, at: usize) {
        while let Some(action) = self.nodes[at].link.as_mut().and_then(MasterLink::take_action) {
            match action {
                Action::Connect(to) => self.connect(at, usize::from(to.port)),
                Action::Probe(to) => self.nodes[at].link.as_mut().unwrap().on_probe(&to, false),
                Action::Send(bytes) => {
                    if let Some(conn) = self.nodes[at].conn {
                        self.push(conn, true, &bytes);
                    }
                }
                Action::Close => {
                    if let Some(conn) = self.nodes[at].conn.take() {
                        self.nodes[at].input.clear();
                        self.close(conn, End::Client);
                    }
                }
                Action::BeginTransfer(kind) => {
                    assert!(!matches!(kind, Kind::Mark(mark) if mark != MARK));
                    self.nodes[at].file.clear();
                }
                Action::AbortTransfer => self.nodes[at].file.clear(),
                Action::Load => {
                    let delay = self.rng.below(100) as i64;
                    self.begin_load(at, delay);
                }
                Action::Online(start) => self.online(at, start),
                Action::Offline => self.nodes[at].input.clear(),
                Action::FailoverAccepted | Action::FailoverRejected => {
                    let accepted = action == Action::FailoverAccepted;
                    self.nodes[at].failover.on_answer(accepted);
                    self.failover_actions(at);
                }
                Action::Log(line) => self.nodes[at].log.push(line.text),
            }
        }
    }

    fn connect(&mut self, client: usize, server: usize) {
        assert_eq!(self.nodes[client].conn, None, "one connection at a time");
        self.nodes[client].input.clear();
        if !self.nodes[server].alive {
            let link = self.nodes[client].link.as_mut().unwrap();
            return link.on_connect_failed(self.now, ConnectError::Refused, "Connection refused");
        }
        let conn = self.next;
        self.next += 1;
        self.nodes[client].conn = Some(conn);
        let opens_at = Some(self.now.plus(1 + self.rng.below(20) as i64));
        let (up, down, session) = (Pipe::default(), Pipe::default(), Session::default());
        let link = Link { client, server, up, down, session, opens_at, swallows: false, closes_at: None, gone: None };
        self.links.insert(conn, link);
    }

    /// One end closes; the other learns of it at once, or never.
    fn close(&mut self, conn: Conn, by: End) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        if !link.swallows || link.gone.is_some_and(|end| end != by) {
            return self.drop_link(conn);
        }
        link.gone = Some(by);
        let (client, server) = (link.client, link.server);
        match by {
            End::Server => self.server_lost(server, conn),
            End::Client if self.nodes[client].conn == Some(conn) => self.client_lost(client, Lost::Eof),
            End::Client => {}
        }
    }

    fn drop_link(&mut self, conn: Conn) {
        let Some(link) = self.links.remove(&conn) else { return };
        self.server_lost(link.server, conn);
        if self.nodes[link.client].conn == Some(conn) {
            self.client_lost(link.client, Lost::Eof);
        }
    }

    fn client_lost(&mut self, at: usize, lost: Lost) {
        self.nodes[at].conn = None;
        if let Some(link) = &mut self.nodes[at].link {
            link.on_closed(self.now, lost);
        }
        self.link_actions(at);
    }

    fn read_link(&mut self, at: usize) {
        let now = self.now;
        loop {
            let node = &mut self.nodes[at];
            let Some(link) = &mut node.link else { return node.input.clear() };
            match link.on_bytes(now, &node.input) {
                Took::Own(len) => drop(node.input.drain(..len)),
                Took::Payload(len) => node.file.extend(node.input.drain(..len)),
                Took::Stream => {
                    link.on_stream_read(now, 1);
                    let id = node.ids.id;
                    for (offset, data) in node.apply_stream() {
                        self.hold(at, id, offset, data);
                    }
                    return;
                }
                Took::Nothing | Took::Hold => return self.link_actions(at),
                Took::Dropped => {
                    node.input.clear();
                    return self.link_actions(at);
                }
            }
            self.link_actions(at);
        }
    }

    fn begin_load(&mut self, at: usize, delay: i64) {
        self.nodes[at].load_at = Some(self.now.plus(delay));
        if !self.nodes[at].swap {
            self.give_up_data(at);
        }
    }

    /// The data set goes: nobody may continue from it, neither this server nor those who follow it.
    fn give_up_data(&mut self, at: usize) {
        self.drop_replicas(at);
        let node = &mut self.nodes[at];
        node.data = Data::default();
        node.backlog.deactivate();
        if let Some(link) = &mut node.link {
            link.discard_resume();
        }
    }

    fn load(&mut self, at: usize) {
        if self.nodes[at].load_at.is_none_or(|due| due > self.now) {
            return;
        }
        let now = self.now;
        let node = &mut self.nodes[at];
        node.load_at = None;
        let file = std::mem::take(&mut node.file);
        let Some(link) = node.link.as_mut().filter(|link| link.is_syncing()) else { return };
        match Data::load(&file) {
            Some(data) => {
                node.data = data;
                link.on_load_result(now, Ok(Some(0)));
            }
            None => {
                let why = LoadFailure::Damaged;
                let error = LoadError { why, text: "bad checksum".to_string(), old_data_kept: node.swap };
                link.on_load_result(now, Err(error));
            }
        }
        self.link_actions(at);
        self.read_link(at);
    }

    fn online(&mut self, at: usize, start: Start) {
        match start {
            Start::Continued { new_id, offset, .. } => {
                let node = &mut self.nodes[at];
                assert_eq!(node.backlog.offset(), offset);
                if let Some(new) = new_id {
                    node.ids.follow(new, offset);
                }
                node.backlog.activate();
                if new_id.is_some() {
                    self.drop_replicas(at);
                }
            }
            Start::Loaded { id, offset, .. } => {
                self.drop_replicas(at);
                let node = &mut self.nodes[at];
                node.backlog.restart_at(offset);
                node.backlog.activate();
                node.ids.adopt(id.unwrap());
            }
        }
        let node = &self.nodes[at];
        self.hold(at, node.ids.id, node.backlog.offset(), node.data);
    }
}

/// The master's half of the driver.
impl World {
    fn drop_replicas(&mut self, at: usize) {
        let its: Vec<Conn> = self.nodes[at].replicas.iter().map(|peer| peer.id).collect();
        its.into_iter().for_each(|conn| self.close(conn, End::Server));
        assert!(self.nodes[at].replicas.is_empty());
    }

    fn server_lost(&mut self, at: usize, conn: Conn) {
        let node = &mut self.nodes[at];
        node.replicas.remove(conn, &mut node.backlog, self.now);
    }

    fn child(&self, at: usize) -> Child {
        match &self.nodes[at].save {
            None => Child::None,
            Some(save) if save.job.target == Target::Disk => Child::Disk,
            Some(_) => Child::Sockets,
        }
    }

    fn config(&self, at: usize) -> Config {
        Config { diskless: self.nodes[at].diskless, delay_secs: 1, max_replicas: 2 }
    }

    fn serve_session(&mut self, at: usize, conn: Conn) {
        while let Some(link) = self.links.get_mut(&conn) {
            if link.session.input.first() == Some(&b'\n') {
                link.session.input.remove(0);
                self.nodes[at].replicas.heard(conn, self.now);
                continue;
            }
            let Some((len, args)) = parse_command(&link.session.input) else { return };
            link.session.input.drain(..len);
            self.on_command(at, conn, &args.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
    }

    fn on_command(&mut self, at: usize, conn: Conn, args: &[&[u8]]) {
        match args[0] {
            b"PING" => self.push(conn, false, b"+PONG\r\n"),
            b"AUTH" => self.push(conn, false, b"+OK\r\n"),
            b"REPLCONF" => {
                let link = self.links.get_mut(&conn).unwrap();
                match link.session.options.apply(&args[1..]).unwrap() {
                    Replconf::Ok => self.push(conn, false, b"+OK\r\n"),
                    Replconf::Ack(offset) => {
                        let ack = self.nodes[at].replicas.ack(conn, offset.unwrap(), self.now);
                        assert_ne!(ack, Ack::Unknown, "only replicas acknowledge");
                    }
                    Replconf::GetAck => unreachable!("replicas do not ask"),
                }
            }
            b"PSYNC" => self.on_psync(at, conn, args),
            other => panic!("{}\n{:#?}", other.escape_ascii(), tail(&self.nodes[self.links[&conn].client].log)),
        }
    }

    fn on_psync(&mut self, at: usize, conn: Conn, args: &[&[u8]]) {
        if args.len() == 4 {
            let matches = args[1].eq_ignore_ascii_case(self.nodes[at].ids.id.as_bytes());
            if self.nodes[at].is_master() || !matches {
                return self.push(conn, false, b"-ERR PSYNC FAILOVER replid must match my replid.\r\n");
            }
            self.promote(at);
            if !self.links.contains_key(&conn) {
                return;
            }
        }
        let now = self.now;
        let node = &mut self.nodes[at];
        let options = self.links[&conn].session.options.clone();
        let facts = SyncFacts {
            failing_over: node.failover.is_active(),
            cut_off: node.link.as_ref().is_some_and(|link| !link.is_online()),
            pending_output: false,
        };
        if let Some(error) = facts.refusal(&options) {
            return self.push(conn, false, format!("-{error}\r\n").as_bytes());
        }
        let request = Request { id: args[1], byte: std::str::from_utf8(args[2]).unwrap().parse().unwrap() };
        let decision = ids::decide(&request, &node.ids, &node.backlog);
        let name = format!("conn{conn}");
        node.log.extend(decision.log(&request, &name).into_iter().map(|line| line.text));
        if let Decision::Continue { from, .. } = decision {
            node.partial += 1;
            let line = ids::continue_line(node.ids.id, options.psync2);
            node.replicas.add_continued(conn, name, options, from, &mut node.backlog, now);
            return self.push(conn, false, line.as_bytes());
        }
        node.full += 1;
        let new = node.fresh_id();
        begin_history(&mut node.ids, &mut node.backlog, new);
        node.replicas.add_waiting(conn, name, options, false, now);
        self.note(at);
        let (child, config) = (self.child(at), self.config(at));
        let node = &mut self.nodes[at];
        match node.replicas.place(conn, child, &config, &node.ids, &mut node.backlog).0 {
            Placement::Joined { line, .. } => self.push(conn, false, line.unwrap().as_bytes()),
            Placement::Waits => {}
            Placement::Start(job) => self.start_save(at, Some(job)),
        }
    }

    fn start_save(&mut self, at: usize, job: Option<Job>) {
        let (child, config, now) = (self.child(at), self.config(at), self.now);
        let done_at = now.plus(self.rng.below(300) as i64);
        let node = &mut self.nodes[at];
        let Some(job) = job.or_else(|| node.replicas.due(now, child, &config)) else { return };
        let lines = node.replicas.started(&job, &node.ids, &mut node.backlog);
        node.save = Some(Save { job, data: node.data, done_at, sent: false });
        lines.into_iter().for_each(|(conn, line)| self.push(conn, false, line.as_bytes()));
    }

    fn end_save(&mut self, at: usize) {
        let Some(save) = self.nodes[at].save.as_mut().filter(|save| save.done_at <= self.now) else { return };
        let payload = save.data.save(1_500);
        let (target, first) = (save.job.target, !std::mem::replace(&mut save.sent, true));
        let now = self.now;
        let waiting = |peer: &&crate::repl::master::Peer| peer.state == PeerState::WaitBgsaveEnd;
        if target == Target::Sockets {
            let conns: Vec<Conn> = self.nodes[at].replicas.iter().filter(waiting).map(|peer| peer.id).collect();
            if first {
                let stream = [b"$EOF:" as &[u8], &MARK, b"\r\n", &payload, &MARK].concat();
                conns.iter().for_each(|conn| self.set_bulk(*conn, &stream, target));
            }
            if conns.iter().any(|conn| self.links.get(conn).is_some_and(|link| !link.session.bulk.is_empty())) {
                return;
            }
        }
        self.nodes[at].save = None;
        for (conn, after, line) in self.nodes[at].replicas.child_done(true, target, now) {
            self.nodes[at].log.push(line.text);
            if after == AfterChild::SendFile {
                let header = format!("${}\r\n", payload.len());
                self.set_bulk(conn, &[header.as_bytes(), &payload].concat(), target);
            }
        }
    }

    fn set_bulk(&mut self, conn: Conn, bytes: &[u8], target: Target) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.session.bulk = bytes.to_vec();
            link.session.bulk_target = Some(target);
        }
    }
}

/// Asks the law about a wrong answer: the checks of the tests themselves must be able to fail.
#[test]
#[should_panic(expected = "n0 at")]
fn the_register_notices_a_different_data_set() {
    let mut world = World::new(1, 1 << 16, 1);
    let id = world.nodes[0].ids.id;
    world.hold(0, id, 5, Data::default());
    let mut other = Data::default();
    other.apply(b"W");
    world.hold(0, id, 5, other);
    drop(command(&[]));
}
