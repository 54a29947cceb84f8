//! Replication under faults: a master, two replicas, and a replica of the first one, with writers on.
//!
//! *Duty:* nodes are stopped, killed, ended and started again, links between them cut, silenced and slowed down, at random
//! from a seed; meanwhile writers write and others hold WAIT to its word. At the end all data sets are equal and hold
//! what was acknowledged, and no replica had a full resync for which there was no reason.
//! *Does not know:* the world of `repl`'s own tests, which tries every byte; here are real sockets, files and signals.
//! *Invariants:* a master that is killed has an append only file with `appendfsync always`, one that is ended has a
//! snapshot, so that what it acknowledged is there again. Every link goes through a [`Proxy`].
//! REDSTART_CHAOS_SECONDS sets the length, REDSTART_CHAOS_SEED the faults.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::crash::{Dice, Model, number, start};
use crate::harness::{Client, Folder, PATIENCE, Reply, Server, wait_until};
use crate::proxy::{Mode, Proxy};

/// The master, its two replicas, and the replica of `FIRST`.
const MASTER: usize = 0;
const FIRST: usize = 1;
const SECOND: usize = 2;
const CHAINED: usize = 3;
const NAMES: [&str; 4] = ["master", "first", "second", "chained"];
/// Whom each of the replicas follows.
const UPSTREAM: [usize; 4] = [MASTER, MASTER, MASTER, FIRST];

const WRITERS: usize = 3;
const WAITERS: usize = 2;
const REPL_TIMEOUT_MS: u64 = 6_000;
/// How long a stopped server is waited for by those who only look.
const GLANCE: Duration = Duration::from_millis(300);
const SETTLE: Duration = Duration::from_secs(60);

/// What the threads must know of the nodes.
#[derive(Default)]
struct Board {
    ports: [AtomicU16; 4],
    /// Counts each time that a node is ended, before it is, and each time that it is back.
    lives: [AtomicU64; 4],
    stop: AtomicBool,
}

/// What those who wait have seen.
#[derive(Clone, Copy, Default)]
struct Waits {
    answered: u64,
    /// Replicas that WAIT said have it, and replicas that were asked afterwards and had it.
    promised: u64,
    confirmed: u64,
    lies: u64,
}

/// A writer of one key who asks WAIT, and then the replicas themselves.
fn keep_waiting(board: &Board, key: &str, token: &mut u64, mut dice: Dice) -> Waits {
    let mut waits = Waits::default();
    let Some(mut master) = Client::try_connect(board.ports[MASTER].load(Ordering::SeqCst), SETTLE) else {
        return waits;
    };
    while !board.stop.load(Ordering::SeqCst) {
        let before: Vec<u64> = board.lives.iter().map(|life| life.load(Ordering::SeqCst)).collect();
        *token += 1;
        let (value, wanted) = (token.to_string(), (1 + dice.below(2)).to_string());
        let limit = [1, 20, 200, 500][dice.below(4) as usize].to_string();
        let Some(Reply::Int(promised)) = master.try_ask(&[&["SET", key, &value], &["WAIT", &wanted, &limit]]) else {
            break;
        };
        let (mut has, mut lacks) = (0, 0);
        for node in [FIRST, SECOND] {
            let found = glance(board, node, &[&["GET", key]]);
            if board.lives[node].load(Ordering::SeqCst) != before[node] {
                continue;
            }
            match found {
                // One that loads, or does not answer now, says nothing.
                None | Some(Reply::Error(_)) => {}
                Some(Reply::Bulk(bytes)) if String::from_utf8_lossy(&bytes).parse::<u64>().unwrap() >= *token => {
                    has += 1
                }
                Some(_) => lacks += 1,
            }
        }
        waits.answered += 1;
        waits.promised += promised as u64;
        waits.confirmed += has.min(promised as u64);
        if lacks > 2 - promised {
            waits.lies += 1;
            eprintln!("WAIT {wanted} {limit} said {promised} for {key} = {value}, but {lacks} of 2 lack it");
        }
    }
    waits
}

/// Asks a node that may be stopped, or gone.
fn glance(board: &Board, node: usize, request: &[&[&str]]) -> Option<Reply> {
    ask(board, node, GLANCE, request)
}

fn ask(board: &Board, node: usize, limit: Duration, request: &[&[&str]]) -> Option<Reply> {
    Client::try_connect(board.ports[node].load(Ordering::SeqCst), limit)?.try_ask(request)
}

/// How the master's life ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Killed,
    Asked,
}

enum Undo {
    Continue(usize),
    Open(usize),
}

struct World {
    nodes: Vec<Option<Server>>,
    configs: Vec<String>,
    /// The link of each replica; the master's own is not used.
    links: Vec<Proxy>,
    board: &'static Board,
    dice: Dice,
    long: bool,
    undo: Vec<(Instant, Undo)>,
    stopped: [bool; 4],
    faults: BTreeMap<String, u64>,
    /// Full resyncs for which there was a reason.
    excused: [u64; 4],
}

impl World {
    fn new(end: End, seed: u64, long: bool) -> World {
        let common = format!(
            "repl-backlog-size 256mb\nrepl-diskless-sync-delay 0\nrepl-ping-replica-period 1\nrepl-timeout {}\n\
             enable-debug-command local\nshutdown-timeout 1\n",
            REPL_TIMEOUT_MS / 1000
        );
        let keep = match end {
            End::Killed => "save \"\"\nappendonly yes\nappendfsync always\nauto-aof-rewrite-percentage 0\n",
            End::Asked => "save 3600 100000000\nrepl-diskless-sync no\n",
        };
        let master = start(Folder::new(), &format!("{common}{keep}"));
        let port = master.port;
        let mut world = World {
            links: (0..4).map(|_| Proxy::to(0)).collect(),
            nodes: vec![Some(master)],
            configs: vec![format!("{common}{keep}")],
            board: Box::leak(Box::default()),
            dice: Dice(seed),
            long,
            undo: Vec::new(),
            stopped: [false; 4],
            faults: BTreeMap::new(),
            excused: [0, 1, 1, 1],
        };
        world.tell_port(MASTER, port);
        for (node, load) in [(FIRST, "disabled"), (SECOND, "swapdb"), (CHAINED, "on-empty-db")] {
            let link = world.links[node].port;
            world
                .configs
                .push(format!("{common}save 3600 100000000\nrepl-diskless-load {load}\nreplicaof 127.0.0.1 {link}\n"));
            let server = start(Folder::new(), &world.configs[node]);
            let port = server.port;
            world.nodes.push(Some(server));
            world.tell_port(node, port);
        }
        world
    }

    fn node(&self, node: usize) -> &Server {
        self.nodes[node].as_ref().expect("a node is only away while it is started again")
    }

    /// 0: nobody is to look for it, or find somebody else, on the port that it had.
    fn tell_port(&self, node: usize, port: u16) {
        self.board.ports[node].store(port, Ordering::SeqCst);
        (1..4).filter(|follower| UPSTREAM[*follower] == node).for_each(|follower| self.links[follower].aim(port));
    }

    fn count(&mut self, what: &str) {
        *self.faults.entry(what.to_owned()).or_default() += 1;
    }

    /// A replica whose link is not up may be in the middle of a data set, which is begun anew then.
    fn excuse_if_not_up(&mut self, node: usize) {
        let info = glance(self.board, node, &[&["INFO", "replication"]]);
        if !info.is_some_and(|info| info.text().contains("master_link_status:up")) {
            self.excused[node] += 1;
        }
    }

    fn stop_node(&mut self, node: usize) {
        if !self.stopped[node] {
            (1..4).filter(|n| *n == node || UPSTREAM[*n] == node).for_each(|n| self.excuse_if_not_up(n));
            self.stopped[node] = true;
            self.node(node).signal(Signal::SIGSTOP);
            let until = Instant::now() + Duration::from_millis(50 + self.dice.below(1_500));
            self.undo.push((until, Undo::Continue(node)));
        }
    }

    fn continue_node(&mut self, node: usize) {
        if std::mem::take(&mut self.stopped[node]) {
            self.node(node).signal(Signal::SIGCONT);
        }
    }

    /// Ends a node; its files stay.
    fn end(&mut self, node: usize, end: End) {
        self.board.lives[node].fetch_add(1, Ordering::SeqCst);
        if end == End::Asked {
            self.continue_node(node);
        }
        self.stopped[node] = false;
        self.tell_port(node, 0);
        let server = self.nodes[node].as_mut().unwrap();
        match end {
            End::Killed => {
                server.signal(Signal::SIGKILL);
                server.wait();
            }
            End::Asked => assert_eq!(server.stop(), Some(0), "{} ends in order", NAMES[node]),
        }
    }

    /// Starts it again on its files.
    fn begin(&mut self, node: usize) {
        let folder = self.nodes[node].take().unwrap().into_folder();
        let server = start(folder, &self.configs[node]);
        let port = server.port;
        self.nodes[node] = Some(server);
        self.tell_port(node, port);
        self.board.lives[node].fetch_add(1, Ordering::SeqCst);
        // What it kept may be of a time before the stream that its master still has; and its own stream begins anew.
        (1..4).filter(|n| *n == node || UPSTREAM[*n] == node).for_each(|n| self.excused[n] += 1);
    }

    fn restart(&mut self, node: usize, end: End) {
        self.end(node, end);
        self.begin(node);
    }

    fn one_fault(&mut self) {
        let replica = 1 + self.dice.below(3) as usize;
        let ms = 50 + self.dice.below(1_500);
        let mode = match self.dice.below(12) {
            0..=2 => {
                self.count("link cut");
                self.excuse_if_not_up(replica);
                return self.links[replica].cut();
            }
            3 => (Mode::Closed, "link closed for a while", ms),
            4 => (Mode::Slow, "link slow", ms * 2),
            5 if self.long && self.dice.below(3) == 0 => {
                (Mode::Silent, "link silent beyond repl-timeout", REPL_TIMEOUT_MS + 2_000)
            }
            5 => (Mode::Silent, "link silent", ms),
            6..=8 => {
                let node = self.dice.below(4) as usize;
                self.count(&format!("SIGSTOP of {}", NAMES[node]));
                return self.stop_node(node);
            }
            9 | 10 => {
                self.count(&format!("SIGKILL of {}", NAMES[replica]));
                return self.restart(replica, End::Killed);
            }
            _ => {
                self.count(&format!("SIGTERM of {}", NAMES[replica]));
                return self.restart(replica, End::Asked);
            }
        };
        let (mode, name, ms) = mode;
        self.count(name);
        self.excuse_if_not_up(replica);
        self.links[replica].set(mode);
        self.undo.push((Instant::now() + Duration::from_millis(ms), Undo::Open(replica)));
    }

    /// Takes back the faults whose time is over, or all of them.
    fn repair(&mut self, all: bool) {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.undo).into_iter().partition(|(at, _)| all || *at <= now);
        self.undo = later;
        let due: Vec<(Instant, Undo)> = due;
        for (_, undo) in due {
            match undo {
                Undo::Continue(node) => self.continue_node(node),
                Undo::Open(link) => self.links[link].set(Mode::Open),
            }
        }
    }

    fn rage(&mut self, until: Instant) {
        let mut next = Instant::now();
        while Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
            self.repair(false);
            if Instant::now() >= next {
                self.one_fault();
                next =
                    Instant::now() + Duration::from_millis(50 + self.dice.below(if self.long { 1_500 } else { 500 }));
            }
        }
    }

    /// Until every replica is linked and every data set is the same.
    fn settle(&mut self) {
        self.repair(true);
        let end = Instant::now() + SETTLE;
        loop {
            let digests: Vec<Option<Reply>> =
                (0..4).map(|node| ask(self.board, node, PATIENCE, &[&["DEBUG", "DIGEST"]])).collect();
            let up = (1..4).all(|node| {
                ask(self.board, node, PATIENCE, &[&["INFO", "replication"]])
                    .is_some_and(|info| info.text().contains("master_link_status:up"))
            });
            let same = matches!(digests[0], Some(Reply::Status(_))) && digests.iter().all(|d| *d == digests[0]);
            if up && same {
                return;
            }
            assert!(Instant::now() < end, "the data sets do not become the same: {digests:?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn in_logs(&self, nodes: &[usize], what: &str) -> u64 {
        nodes.iter().map(|node| self.node(*node).log().matches(what).count() as u64).sum()
    }

    fn fulls(&self, node: usize) -> u64 {
        self.in_logs(&[node], "Full resync from master")
    }

    fn partials(&self, node: usize) -> u64 {
        self.in_logs(&[node], "Successful partial resynchronization with master")
    }
}

struct Crowd {
    models: Vec<Model>,
    tokens: Vec<u64>,
    written: u64,
    waits: Waits,
}

impl Crowd {
    fn new() -> Crowd {
        let models = (0..WRITERS).map(|i| Model::new(format!("w{i}"))).collect();
        Crowd { models, tokens: vec![0; WAITERS], written: 0, waits: Waits::default() }
    }

    /// All of them at work while `meanwhile` runs.
    fn work(&mut self, world: &mut World, meanwhile: impl FnOnce(&mut World)) {
        let board = world.board;
        board.stop.store(false, Ordering::SeqCst);
        let seeds: Vec<u64> = (0..WAITERS).map(|_| world.dice.below(u64::MAX - 1) + 1).collect();
        let port = board.ports[MASTER].load(Ordering::SeqCst);
        thread::scope(|scope| {
            let writers: Vec<_> =
                self.models.iter_mut().map(|model| scope.spawn(move || model.write(port, &board.stop))).collect();
            let waiters: Vec<_> = (self.tokens.iter_mut().zip(seeds).enumerate())
                .map(|(i, (token, seed))| {
                    scope.spawn(move || keep_waiting(board, &format!("wait:{i}"), token, Dice(seed)))
                })
                .collect();
            meanwhile(world);
            board.stop.store(true, Ordering::SeqCst);
            self.written += writers.into_iter().map(|writer| writer.join().unwrap()).sum::<u64>();
            for waits in waiters.into_iter().map(|waiter| waiter.join().unwrap()) {
                self.waits.answered += waits.answered;
                self.waits.promised += waits.promised;
                self.waits.confirmed += waits.confirmed;
                self.waits.lies += waits.lies;
            }
        });
    }

    /// The node has what was acknowledged, or the request more that was under way.
    fn check(&mut self, world: &World, node: usize) {
        let mut client = world.node(node).client();
        for model in &mut self.models {
            let found = model.read(&mut client);
            match model.reaches(&found, 1) {
                Some((_, state)) => *model = state,
                None => panic!("{} lacks {} parts of what was acknowledged", NAMES[node], model.differences(&found)),
            }
        }
    }
}

/// With nothing else in the way a link that is cut goes on where it was, and so does the stream of a master that was asked
/// to end.
fn nothing_is_sent_twice_in_peace(world: &mut World, crowd: &mut Crowd, end: End) {
    let before: Vec<(u64, u64)> = (1..4).map(|node| (world.fulls(node), world.partials(node))).collect();
    crowd.work(world, |world| {
        for node in [FIRST, SECOND, CHAINED] {
            let partials = world.partials(node);
            world.links[node].cut();
            wait_until("the link to go on", || world.partials(node) > partials);
        }
    });
    world.settle();
    if end == End::Asked {
        world.restart(MASTER, End::Asked);
        world.settle();
    }
    let more = if end == End::Asked { [2, 2, 2] } else { [1, 1, 1] };
    for (node, (fulls, partials)) in (1..4).zip(before) {
        assert_eq!(world.fulls(node), fulls, "{} had a full resync", NAMES[node]);
        assert_eq!(world.partials(node), partials + more[node - 1], "{} went on", NAMES[node]);
    }
}

fn chaos(end: End, seconds: u64) {
    let seed = number("REDSTART_CHAOS_SEED", 0x5DEE_CE66_D1CE_4E5B);
    let long = seconds > 60;
    let mut world = World::new(end, seed, long);
    let mut crowd = Crowd::new();
    world.settle();
    let over = Instant::now() + Duration::from_secs(seconds);
    let mut lives = 0;
    while Instant::now() < over {
        let life = Duration::from_millis(if long { 5_000 } else { 2_000 } + world.dice.below(seconds * 200));
        crowd.work(&mut world, |world| {
            world.rage((Instant::now() + life).min(over));
            world.end(MASTER, end);
        });
        world.begin(MASTER);
        crowd.check(&world, MASTER);
        lives += 1;
    }
    world.settle();
    nothing_is_sent_twice_in_peace(&mut world, &mut crowd, end);
    [MASTER, FIRST, SECOND, CHAINED].into_iter().for_each(|node| crowd.check(&world, node));
    report(&world, &crowd, end, seed, lives);
    let waits = crowd.waits;
    assert_eq!(waits.lies, 0, "WAIT lied");
    assert!(waits.promised > 0 && waits.confirmed > 0, "WAIT was never put to the test");
    if end == End::Killed {
        assert_eq!(world.in_logs(&[MASTER], "for lack of backlog"), 0, "the backlog holds all of this life");
    }
    // A data set from elsewhere ends the stream of the replica that it came to, and so that of its own replica.
    world.excused[CHAINED] += world.fulls(FIRST);
    for node in [FIRST, SECOND, CHAINED] {
        let (fulls, excused) = (world.fulls(node), world.excused[node]);
        assert!(fulls <= excused, "{} had {fulls} full resyncs, {excused} at most had a reason", NAMES[node]);
    }
}

fn report(world: &World, crowd: &Crowd, end: End, seed: u64, lives: u64) {
    let how = if end == End::Killed { "SIGKILL of master (append only file)" } else { "SIGTERM of master (snapshot)" };
    println!("seed {seed}, {lives} times {how}, {} writes acknowledged, all data sets equal", crowd.written);
    for (what, times) in &world.faults {
        println!("  {times:4} {what}");
    }
    for node in [FIRST, SECOND, CHAINED] {
        println!("  {:8} {:4} partial and {:4} full resyncs", NAMES[node], world.partials(node), world.fulls(node));
    }
    let waits = crowd.waits;
    println!(
        "  {} WAITs said that {} replicas have it; {} of those were seen to have it, {} lies",
        waits.answered, waits.promised, waits.confirmed, waits.lies
    );
}

fn seconds() -> u64 {
    number("REDSTART_CHAOS_SECONDS", 12)
}

#[test]
fn data_sets_are_equal_after_chaos_with_a_master_that_is_killed() {
    chaos(End::Killed, seconds());
}

#[test]
fn data_sets_are_equal_after_chaos_with_a_master_that_is_asked_to_end() {
    chaos(End::Asked, seconds());
}
