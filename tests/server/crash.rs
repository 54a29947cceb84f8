//! Kills under load: what was acknowledged is there after a restart.
//!
//! *Duty:* rounds of writers on several connections, SIGKILL at some moment (while nothing else goes on, during a
//! rewrite, during BGSAVE), a restart on the same files, and every key held against what its writer knows.
//! *Does not know:* power failures: the page cache outlives the process, so an fsync left out does not show here.
//! *Invariants:* a writer has one request under way at a time. So what is read is the state behind all that was
//! acknowledged, or behind that one more; a transaction counts as one. Under `everysec` a write waits up to two seconds
//! for an fsync that takes long, as in 7.0.15: what was acknowledged since may be missing, from one point on and whole.
//! REDSTART_CRASH_ROUNDS sets the number of rounds, REDSTART_CRASH_SEED the moments of the kills.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Client, Folder, PATIENCE, READY, Reply, Server, wait_until};

const WRITERS: usize = 6;
const KINDS: u64 = 12;
/// The deadlines of keys that live on: the year 2096.
const LATER: u64 = 4_000_000_000_000;

/// A second between two fsyncs, two of waiting for one, and the time it takes to end the writers.
const EVERYSEC_PROMISE: Duration = Duration::from_millis(3500);

/// What one writer's keys hold: the outcome of its first so many operations.
#[derive(Clone, Default, PartialEq)]
pub struct Model {
    name: String,
    pub next: u64,
    strings: BTreeMap<String, String>,
    list: Vec<String>,
    hash: BTreeMap<String, String>,
    set: BTreeSet<String>,
    zset: BTreeMap<String, String>,
    stream: Vec<(String, String)>,
    deadlines: BTreeMap<String, i64>,
    transaction: Vec<String>,
    /// When each operation of this round was acknowledged.
    times: Vec<Instant>,
}

impl Model {
    pub fn new(name: String) -> Model {
        Model { name, ..Model::default() }
    }

    fn key(&self, kind: &str) -> String {
        format!("{}:{kind}", self.name)
    }

    /// The requests of the next operation; the reply to the last one acknowledges it.
    fn requests(&self) -> Vec<Vec<String>> {
        let (i, n) = (self.next, self.next / KINDS);
        let one = |words: &[&str]| vec![words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>()];
        let (id, text) = (format!("{}-1", n + 1), i.to_string());
        match i % KINDS {
            0 => one(&["SET", &self.key(&format!("string:{}", n % 50)), &text]),
            1 => one(&["RPUSH", &self.key("list"), &text]),
            2 => one(&["HSET", &self.key("hash"), &format!("field:{}", n % 200), &text]),
            3 => one(&["SADD", &self.key("set"), &text]),
            4 => one(&["ZADD", &self.key("zset"), &n.to_string(), &format!("member:{}", n % 200)]),
            5 => one(&["XADD", &self.key("stream"), &id, "operation", &text]),
            6 => one(&["INCR", &self.key("counter")]),
            7 => one(&["SET", &self.key(&format!("until:{}", n % 20)), &text, "PXAT", &(LATER + i).to_string()]),
            8 => {
                let parts: [&[&str]; 5] = [
                    &["MULTI"],
                    &["SET", &self.key("part:1"), &text],
                    &["INCR", &self.key("part:2")],
                    &["RPUSH", &self.key("parts"), &text],
                    &["EXEC"],
                ];
                parts.into_iter().flat_map(one).collect()
            }
            9 => one(&["DEL", &self.key(&format!("string:{}", (n * 7) % 50))]),
            10 => one(&["HDEL", &self.key("hash"), &format!("field:{}", (n * 3) % 200)]),
            _ => one(&["SET", &self.key("gone"), &text, "PX", "1"]),
        }
    }

    /// What the next operation does.
    fn apply(&mut self) {
        let (i, n) = (self.next, self.next / KINDS);
        let text = i.to_string();
        let count = (n + 1).to_string();
        match i % KINDS {
            0 => drop(self.strings.insert(self.key(&format!("string:{}", n % 50)), text)),
            1 => self.list.push(text),
            2 => drop(self.hash.insert(format!("field:{}", n % 200), text)),
            3 => drop(self.set.insert(text)),
            4 => drop(self.zset.insert(format!("member:{}", n % 200), n.to_string())),
            5 => self.stream.push((format!("{}-1", n + 1), text)),
            6 => drop(self.strings.insert(self.key("counter"), count)),
            7 => {
                let key = self.key(&format!("until:{}", n % 20));
                self.deadlines.insert(key.clone(), (LATER + i) as i64);
                self.strings.insert(key, text);
            }
            8 => {
                self.strings.insert(self.key("part:1"), text.clone());
                self.strings.insert(self.key("part:2"), count);
                self.transaction.push(text);
            }
            9 => drop(self.strings.remove(&self.key(&format!("string:{}", (n * 7) % 50)))),
            10 => drop(self.hash.remove(&format!("field:{}", (n * 3) % 200))),
            _ => {}
        }
        self.next += 1;
    }

    /// Writes until the server is gone; what was acknowledged is in the model then.
    pub fn write(&mut self, port: u16, stop: &AtomicBool) -> u64 {
        let Some(mut client) = Client::try_connect(port, PATIENCE) else { return 0 };
        let began = self.next;
        self.times.clear();
        while !stop.load(Ordering::Relaxed) {
            let requests = self.requests();
            let requests: Vec<Vec<&str>> = requests.iter().map(|r| r.iter().map(String::as_str).collect()).collect();
            let requests: Vec<&[&str]> = requests.iter().map(Vec::as_slice).collect();
            match client.try_ask(&requests) {
                None => break,
                Some(Reply::Error(text)) => panic!("{requests:?}: {text}"),
                Some(_) => {
                    self.apply();
                    self.times.push(Instant::now());
                }
            }
        }
        self.next - began
    }

    /// What the server has of this writer.
    pub fn read(&self, client: &mut Client) -> Model {
        let mut found = Model { next: self.next, ..Model::new(self.name.clone()) };
        let texts = |reply: Reply| reply.list().iter().map(Reply::text).collect::<Vec<_>>();
        let pairs = |texts: Vec<String>| texts.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        assert_eq!(client.ask(&["EXISTS", &self.key("gone")]), Reply::Int(0), "its time is over");
        for key in texts(client.ask(&["KEYS", &format!("{}:*", self.name)])) {
            if client.ask(&["TYPE", &key]).text() == "string" {
                found.strings.insert(key.clone(), client.ask(&["GET", &key]).text());
                if let Reply::Int(at @ 1..) = client.ask(&["PEXPIRETIME", &key]) {
                    found.deadlines.insert(key, at);
                }
            }
        }
        found.list = texts(client.ask(&["LRANGE", &self.key("list"), "0", "-1"]));
        found.transaction = texts(client.ask(&["LRANGE", &self.key("parts"), "0", "-1"]));
        found.hash = pairs(texts(client.ask(&["HGETALL", &self.key("hash")])));
        found.set = texts(client.ask(&["SMEMBERS", &self.key("set")])).into_iter().collect();
        found.zset = pairs(texts(client.ask(&["ZRANGE", &self.key("zset"), "0", "-1", "WITHSCORES"])));
        let stream = client.ask(&["XRANGE", &self.key("stream"), "-", "+"]);
        found.stream = stream.list().iter().map(|e| (e.list()[0].text(), e.list()[1].list()[1].text())).collect();
        found
    }

    /// Whether what was found is what this model is after some more operations, and after how many.
    pub fn reaches(&self, found: &Model, operations: usize) -> Option<(usize, Model)> {
        let mut model = Model { times: Vec::new(), ..self.clone() };
        let mut found = found.clone();
        // From the end: an operation that changes nothing counts as done.
        let mut reached = None;
        for done in 0..=operations {
            found.next = model.next;
            if found == model {
                reached = Some((done, model.clone()));
            }
            model.apply();
        }
        reached
    }

    /// How many parts of it are not as they should be; what they are is printed.
    pub fn differences(&self, found: &Model) -> usize {
        let parts = [
            ("strings", self.strings == found.strings),
            ("list", self.list == found.list),
            ("hash", self.hash == found.hash),
            ("set", self.set == found.set),
            ("zset", self.zset == found.zset),
            ("stream", self.stream == found.stream),
            ("deadlines", self.deadlines == found.deadlines),
            ("transaction", self.transaction == found.transaction),
        ];
        let bad = parts.iter().filter(|(_, same)| !same);
        bad.inspect(|(what, _)| eprintln!("lost of {} at {}: {what}", self.name, self.next)).count()
    }
}

pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

pub fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Keeps the child of `command` at work until the server is gone.
fn keep_saving(port: u16, command: &str, stop: &AtomicBool) {
    let mut client = Client::connect(port);
    while !stop.load(Ordering::Relaxed) && client.try_ask(&[&[command]]).is_some() {
        thread::sleep(Duration::from_millis(5));
    }
}

/// Writers at work, and a kill. Returns how many operations were acknowledged.
fn kill_under_load(server: &mut Server, models: &mut [Model], meanwhile: &str, after: Duration) -> u64 {
    let (port, stop) = (server.port, AtomicBool::new(false));
    thread::scope(|scope| {
        let stop = &stop;
        if !meanwhile.is_empty() {
            scope.spawn(move || keep_saving(port, meanwhile, stop));
        }
        let writers: Vec<_> = models.iter_mut().map(|model| scope.spawn(move || model.write(port, stop))).collect();
        thread::sleep(after);
        server.signal(Signal::SIGKILL);
        server.wait();
        // A connection that was made and not accepted yet may wait for ever.
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    })
}

/// How many children have begun and not ended, as the log has it.
fn children_cut_off(log: &str) -> usize {
    log.matches(" started by pid ").count() - log.matches(" terminated with ").count()
}

pub fn start(folder: Folder, config: &str) -> Server {
    let before = folder.read("stdout").matches(READY).count();
    let server = Server::in_folder(folder, config);
    wait_until("the data to be loaded", || server.log().matches(READY).count() > before);
    server
}

#[test]
fn what_was_acknowledged_survives_kills_under_load() {
    let rounds = number("REDSTART_CRASH_ROUNDS", 6);
    let mut dice = Dice(number("REDSTART_CRASH_SEED", 0x9E37_79B9_7F4A_7C15));
    let mut models: Vec<Model> = (0..WRITERS).map(|i| Model::new(format!("w{i}"))).collect();
    let mut folder = Folder::new();
    let (mut acknowledged, mut one_more, mut lost, mut during_child, mut waiting) = (0, 0, 0, 0, 0);
    let mut told = BTreeMap::new();
    for round in 0..rounds {
        let fsync = ["always", "everysec"][(round % 2) as usize];
        let meanwhile = ["", "BGREWRITEAOF", "BGSAVE"][(round / 2 % 3) as usize];
        let preamble = ["yes", "no"][(round / 6 % 2) as usize];
        // A delay for each key keeps the child at work long enough to be met by the kill, in most rounds.
        let delay = [0, 100, 1000][dice.below(3) as usize];
        let config = format!(
            "save \"\"\nappendonly yes\nappendfsync {fsync}\naof-use-rdb-preamble {preamble}\n\
             rdb-key-save-delay {delay}\nauto-aof-rewrite-percentage 0\n"
        );
        let mut server = start(folder, &config);
        let after = Duration::from_millis(50 + dice.below(500));
        let before = models.clone();
        let written = kill_under_load(&mut server, &mut models, meanwhile, after);
        let killed = Instant::now();
        acknowledged += written;
        *told.entry((fsync, meanwhile)).or_insert(0) += written;
        during_child = children_cut_off(&server.log());
        let server = start(server.into_folder(), &config);
        let mut client = server.client();
        for (model, before) in models.iter_mut().zip(&before) {
            let found = model.read(&mut client);
            let done = model.times.len();
            if let Some((more, state)) = model.reaches(&found, 1) {
                one_more += more;
                *model = state;
            } else if let Some((kept, state)) = before.reaches(&found, done).filter(|_| fsync == "everysec") {
                let age = killed.duration_since(model.times[kept]);
                assert!(age < EVERYSEC_PROMISE, "round {round}: acknowledged {age:?} before the kill");
                waiting += done - kept;
                *model = state;
            } else {
                lost += model.differences(&found);
            }
        }
        assert_eq!(lost, 0, "round {round}: {fsync}, {meanwhile:?}, killed after {after:?}");
        drop(client);
        folder = server.into_folder();
    }
    println!(
        "{rounds} kills ({during_child} while a child was at work), {acknowledged} writes acknowledged, {lost} lost; \
         {one_more} that were under way had been done; {waiting} of everysec waited for an fsync of less than two seconds"
    );
    for ((fsync, meanwhile), written) in told {
        println!("  {fsync:8} {:12} {written} acknowledged", if meanwhile.is_empty() { "-" } else { meanwhile });
    }
}
