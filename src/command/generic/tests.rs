//! What transcripts cannot show: hits and misses, what is freed elsewhere, large databases, replicas, a replayed AOF.

use std::collections::BTreeSet;

use super::COMMANDS;
use crate::base::millis::Millis;
use crate::call::{Args, Call, Caller, DbId, Effects, Origin, Wants};
use crate::keyspace::{Expire, Keyspace, New};
use crate::resp::{Argv, Proto, ReplyBuf};
use crate::value::list::End;
use crate::value::{Limits, List, Typed};

struct World {
    ks: Keyspace,
    now: Millis,
    caller: Caller,
}

impl World {
    fn new() -> World {
        let mut ks = Keyspace::new(16, 7);
        ks.access.tick(Millis(1000));
        World { ks, now: Millis(1000), caller: Caller::default() }
    }

    fn advance(&mut self, ms: i64) {
        self.now = self.now.plus(ms);
        self.ks.access.tick(self.now);
    }

    /// The reply's bytes, and what followed.
    fn run_args(&mut self, args: &[&[u8]]) -> (String, Effects) {
        let argv = Argv::from_args(args);
        let mut reply = ReplyBuf::new(Proto::Resp2);
        let wants = Wants { touched: true, ..Wants::default() };
        let mut fx = Effects { wants, ..Effects::default() };
        let mut call = Call {
            args: Args::of(&argv),
            caller: self.caller,
            now: self.now,
            woken_by: None,
            reply: &mut reply,
            fx: &mut fx,
        };
        let word = |i: usize| args.get(i).map(|arg| String::from_utf8_lossy(arg).to_ascii_lowercase());
        let name = word(0).unwrap();
        let with_sub = word(1).map(|sub| format!("{name}|{sub}"));
        let row = |name: &str| COMMANDS.iter().find(|command| command.spec.name == name);
        let command = with_sub.and_then(|name| row(&name)).or_else(|| row(&name)).unwrap();
        (command.run)(&mut self.ks, &mut call).unwrap();
        (String::from_utf8(reply.bytes().to_vec()).unwrap(), fx)
    }

    fn run(&mut self, line: &str) -> (String, Effects) {
        self.run_args(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>())
    }

    fn reply(&mut self, line: &str) -> String {
        self.run(line).0
    }

    fn put(&mut self, key: &str, value: New<'_>, expire: Expire) {
        self.ks.dbs[0].put(key.as_bytes(), value, expire, self.ks.access.fresh(), self.now);
    }

    /// A list with a node for each element.
    fn put_list(&mut self, key: &str, len: usize) {
        let mut list = List::new();
        let limits = Limits { list_max_listpack_size: 1, ..self.ks.settings.limits };
        (0..len).for_each(|i| list.push(End::Right, &[i as u8], &limits));
        self.put(key, New::Object(Box::new(list.into_value())), Expire::Clear);
    }
}

fn elements(reply: &str) -> Vec<String> {
    reply.split("\r\n").filter(|line| !line.is_empty() && !line.starts_with(['*', '$'])).map(String::from).collect()
}

#[test]
fn swapdb_tells_who_watches_unless_nothing_moved() {
    let mut world = World::new();
    world.put("k", New::Int(1), Expire::Clear);
    assert_eq!(world.run("SWAPDB 3 0").1.swapped, [(DbId(3), DbId(0))]);
    assert_eq!((world.ks.dbs[0].len(), world.ks.dbs[3].len()), (0, 1));
    let (_, fx) = world.run("SWAPDB 3 3");
    assert!(fx.swapped.is_empty() && fx.dirty == 1);
}

#[test]
fn long_lists_of_keys_are_worked_off_in_windows() {
    let mut world = World::new();
    for i in 0..10_000 {
        world.put(&format!("key:{i}"), New::Int(i), Expire::Clear);
    }
    let keys: Vec<String> = (9_950..10_050).map(|i| format!("key:{i}")).collect();
    let request = |name: &'static str| {
        std::iter::once(name.as_bytes()).chain(keys.iter().map(|k| k.as_bytes())).collect::<Vec<&[u8]>>()
    };
    let (reply, fx) = world.run_args(&request("EXISTS"));
    assert_eq!((reply.as_str(), fx.counts.hits, fx.counts.misses), (":50\r\n", 50, 50));
    let (reply, fx) = world.run_args(&request("UNLINK"));
    assert_eq!((reply.as_str(), fx.dirty, fx.touched.len()), (":50\r\n", 50, 50));
    assert_eq!(world.run_args(&request("DEL")).0, ":0\r\n");
    assert_eq!(world.reply("DBSIZE"), ":9950\r\n");
}

#[test]
fn scan_hands_out_every_key_that_stays() {
    let mut world = World::new();
    for i in 0..3_000 {
        world.put(&format!("key:{i}"), New::Int(i), Expire::Clear);
    }
    world.put_list("list", 3);
    let (mut seen, mut cursor, mut calls) = (BTreeSet::new(), "0".to_string(), 0);
    loop {
        let (reply, fx) = world.run(&format!("SCAN {cursor} COUNT 25 TYPE string MATCH *[02468]"));
        let mut found = elements(&reply);
        cursor = found.remove(0);
        assert!(fx.counts.hits >= found.len() as u64 && fx.counts.misses == 0);
        seen.extend(found);
        // Keys that come and go meanwhile do not hide the others.
        for i in 0..20 {
            let odd = (calls * 20 + i) * 2 + 1;
            world.reply(&format!("DEL key:{odd}"));
            world.put(&format!("more:{calls}:{i}1"), New::Bytes(b"x"), Expire::Clear);
        }
        calls += 1;
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen, (0..3_000).step_by(2).map(|i| format!("key:{i}")).collect());
    assert!(calls > 20, "{calls}");
}

#[test]
fn large_values_are_freed_elsewhere_and_small_ones_at_once() {
    let mut world = World::new();
    world.put_list("a", 1_000);
    assert!(world.run("DEL a").1.garbage.is_empty(), "nobody asked for it, and it is quick");
    world.put_list("a", 20_000);
    assert_eq!(world.run("DEL a").1.garbage[0].objects, 1, "that would take too long");
    (world.ks.settings.lazy_user_del, world.ks.settings.lazy_server_del) = (true, true);
    let freed = |world: &mut World, line: &str| world.run(line).1.garbage.len();
    for (len, elsewhere) in [(10, 0), (1_000, 1)] {
        world.put_list("a", len);
        world.put_list("b", 1);
        assert_eq!(freed(&mut world, "RENAME b a"), elsewhere);
        world.put_list("b", len);
        assert_eq!(freed(&mut world, "COPY a b REPLACE"), elsewhere);
        world.put_list("b", len);
        assert_eq!(freed(&mut world, "RENAME b c"), 0, "a value that moves is not freed");
        assert_eq!(freed(&mut world, "DEL a c"), elsewhere);
    }
    world.put("text", New::Owned(vec![b'x'; 1 << 20]), Expire::Clear);
    assert_eq!(freed(&mut world, "MOVE text 1"), 0);
    world.caller.db = DbId(1);
    assert_eq!(freed(&mut world, "UNLINK text"), 1);
}

#[test]
fn a_question_counts_as_hit_or_miss_but_not_as_a_use() {
    let mut world = World::new();
    world.put("k", New::Int(1), Expire::Clear);
    world.advance(50_000);
    for question in ["EXISTS k", "TYPE k", "TTL k", "OBJECT ENCODING k", "OBJECT REFCOUNT k"] {
        assert_eq!(world.run(question).1.counts.hits, 1, "{question}");
        assert_eq!(world.run(&question.replace('k', "missing")).1.counts.misses, 1, "{question}");
    }
    assert_eq!(world.reply("OBJECT IDLETIME k"), ":50\r\n");
    // TOUCH is there to mark a use: a connection that asked for no marks gets this one.
    world.caller.no_touch = true;
    world.reply("TOUCH k");
    assert!(world.caller.no_touch);
    assert_eq!(world.reply("OBJECT IDLETIME k"), ":0\r\n");
}

#[test]
fn who_obeys_another_server_leaves_expiry_to_it() {
    for origin in [Origin::Client, Origin::Master, Origin::Aof] {
        let mut world = World::new();
        world.caller.origin = origin;
        world.ks.settings.hide_expired = origin != Origin::Aof;
        world.put("k", New::Int(1), Expire::Clear);
        assert_eq!(world.reply("PEXPIREAT k 500"), ":1\r\n");
        assert_eq!(world.reply("DBSIZE"), ":1\r\n", "{origin:?}");
        // Nothing but overdue keys: RANDOMKEY names one rather than searching on for ever.
        assert_eq!(world.reply("RANDOMKEY"), "$1\r\nk\r\n");
        let visible = origin != Origin::Client;
        assert_eq!(world.reply("EXISTS k"), if visible { ":1\r\n" } else { ":0\r\n" }, "{origin:?}");
        assert_eq!(world.reply("KEYS k*"), "*0\r\n");
    }
}

#[test]
fn randomkey_reaches_every_key() {
    let mut world = World::new();
    (0..20).for_each(|i| world.put(&format!("k{i}"), New::Int(i), Expire::Clear));
    (0..20).for_each(|i| world.put(&format!("overdue{i}"), New::Int(i), Expire::At(Millis(1001))));
    world.advance(10);
    let drawn: BTreeSet<String> = (0..1_000).flat_map(|_| elements(&world.reply("RANDOMKEY"))).collect();
    assert_eq!(drawn.len(), 20, "{drawn:?}");
    assert_eq!(world.ks.dbs[0].len(), 20, "the overdue keys were met and taken out");
}
