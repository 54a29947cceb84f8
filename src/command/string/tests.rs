//! What transcripts cannot say: other origins than a client, nobody listening, access bits.

use super::*;
use crate::base::millis::Millis;
use crate::call::effects::{Op, Replicate};
use crate::call::{Args, Caller, DbId, Effects, Wants};
use crate::keyspace::Keyspace;
use crate::resp::{Argv, Proto};

struct World {
    ks: Keyspace,
    now: Millis,
    origin: Origin,
    wants: Wants,
    fx: Effects,
}

impl World {
    fn new(origin: Origin) -> World {
        let wants = Wants { ops: true, touched: true, events: Class(u16::MAX) };
        World { ks: Keyspace::new(1, 7), now: Millis(1000), origin, wants, fx: Effects::default() }
    }

    /// The reply; the effects are left in `fx`.
    fn run(&mut self, line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let argv = Argv::from_args(&words);
        let name = line.split(' ').next().unwrap().to_ascii_lowercase();
        let command = COMMANDS.iter().find(|command| command.spec.name == name).unwrap();
        self.fx = Effects { wants: self.wants, ..Effects::default() };
        let mut reply = ReplyBuf::new(Proto::Resp2);
        let caller = Caller { origin: self.origin, ..Caller::default() };
        let args = Args::of(&argv);
        let mut call = Call { args, caller, now: self.now, woken_by: None, reply: &mut reply, fx: &mut self.fx };
        if let Err(error) = (command.run)(&mut self.ks, &mut call) {
            reply.error(&error.message());
        }
        String::from_utf8_lossy(reply.bytes()).replace("\r\n", " ").trim_end().to_string()
    }

    fn ops(&self) -> Vec<String> {
        let text = |op: Op<'_>| {
            let words: Vec<_> = op.args().into_iter().map(String::from_utf8_lossy).collect();
            words.join(" ")
        };
        self.fx.ops.iter().map(text).collect()
    }
}

#[test]
fn replayed_commands_see_overdue_keys() {
    for origin in [Origin::Aof, Origin::Master] {
        let mut world = World::new(origin);
        world.run("SET k 1 PXAT 1500");
        world.now = Millis(2000);
        assert_eq!(world.run("INCR k"), ":2", "{origin:?}");
        assert_eq!(world.run("SET k 3 NX"), "$-1");
        assert_eq!(world.run("SET k 3 KEEPTTL"), "+OK");
        assert!(world.fx.ops.is_empty() && world.fx.events.len() == 1);
        world.origin = Origin::Client;
        assert_eq!(world.run("GET k"), "$-1");
        assert_eq!(world.ops(), ["DEL k"]);
    }
}

#[test]
fn a_replica_hides_overdue_keys_and_tells_nobody() {
    let mut world = World::new(Origin::Client);
    world.run("SET k 1 PXAT 1500");
    world.run("SET m 1 PXAT 1500");
    world.ks.settings.hide_expired = true;
    world.now = Millis(2000);
    assert_eq!(world.run("GET k"), "$-1");
    assert!(world.fx.ops.is_empty());
    assert_eq!((world.run("SET k 2"), world.fx.ops.len(), world.fx.counts.expired), ("+OK".into(), 0, 0));
    assert_eq!((world.run("SET m 2 KEEPTTL"), world.run("GET m")), ("+OK".into(), "$1 2".into()));
    assert_eq!(world.run("GETEX k PXAT 1"), "$1 2");
    assert_eq!(world.ops(), ["PEXPIREAT k 1"]);
}

#[test]
fn the_length_limit_binds_clients_only() {
    for (origin, reply) in [(Origin::Client, "-ERR string exceeds"), (Origin::Aof, ":11"), (Origin::Master, ":11")] {
        let mut world = World::new(origin);
        world.ks.settings.max_string = 10;
        world.run("SET k 0123456789");
        assert!(world.run("APPEND k x").starts_with(reply), "{origin:?}");
        assert!(world.run("SETRANGE n 10 x").starts_with(reply), "{origin:?}");
    }
}

#[test]
fn nothing_is_recorded_that_nobody_reads() {
    let mut world = World::new(Origin::Client);
    world.wants = Wants::default();
    for line in ["SET k 1", "SET k 1 GET EX 5", "INCRBYFLOAT k 1", "GETEX k PERSIST", "MSET k a l b", "GETDEL k"] {
        world.run(line);
        assert!(world.fx.is_quiet() && world.fx.dirty > 0, "{line}");
    }
    assert_eq!(world.fx.replicate, Replicate::Rewritten);
}

#[test]
fn hits_and_misses_are_those_of_reads() {
    let mut world = World::new(Origin::Client);
    for (line, hits, misses) in [
        ("SET k v", 0, 0),
        ("SET k v GET", 1, 0),
        ("SET k v XX", 0, 0),
        ("SET m v XX GET", 0, 1),
        ("MGET k k m", 2, 1),
        ("GETEX k", 1, 0),
        ("APPEND k w", 0, 0),
        ("STRLEN m", 0, 1),
        ("GETRANGE k x 1", 0, 0),
        ("INCR n", 0, 0),
        ("LCS k k", 2, 0),
        ("MSETNX k 1", 0, 0),
    ] {
        world.run(line);
        assert_eq!((world.fx.counts.hits, world.fx.counts.misses), (hits, misses), "{line}");
    }
}

#[test]
fn an_overwritten_key_keeps_its_frequency() {
    let mut world = World::new(Origin::Client);
    world.ks.access.lfu = true;
    let bits = |world: &World| {
        let entries = &world.ks.db(DbId(0)).entries;
        entries.get(entries.hash(b"k"), b"k").unwrap().access()
    };
    world.run("SET k v");
    let fresh = bits(&world);
    for _ in 0..200 {
        world.run("GET k");
    }
    let used = bits(&world);
    assert!(used > fresh);
    world.run("SET k w");
    assert!(bits(&world) >= used);
    world.ks.settings.freeze_access = true;
    let frozen = bits(&world);
    for _ in 0..200 {
        world.run("SET k x");
    }
    assert_eq!(bits(&world), frozen);
}

#[test]
fn values_of_every_size_are_edited_in_place() {
    for len in [0, 1, 44, 45, 255, 256, 4096, 4097, 300_000] {
        let mut world = World::new(Origin::Client);
        let text = "x".repeat(len);
        world.run(&format!("SET k {text} EX 100"));
        assert_eq!(world.run("APPEND k yz"), format!(":{}", len + 2));
        assert_eq!(world.run("SETRANGE k 1 ab"), format!(":{}", (len + 2).max(3)));
        let mut expected = format!("{text}yz");
        expected.replace_range(1..(len + 2).min(3), "ab");
        assert_eq!(world.run("GET k"), format!("${} {expected}", expected.len()));
        assert_eq!(world.ks.db(DbId(0)).volatile(), 1);
    }
}
