//! A script is a list of requests here; the server is a whole one, without listening sockets.

use std::io::{Read, Write};

use mio::net::UnixStream;

use super::*;
use crate::call::effects::Targets;
use crate::call::{Class, DbId};
use crate::config::Config;
use crate::net::Stream;
use crate::resp::Argv;
use crate::server::client::Flags as ClientFlags;
use crate::server::propagate::{Feed, Wrap};
use crate::server::startup;
use crate::sys::clock::Clock;

/// A server, and the far ends of two connections: slot 0 calls the scripts.
fn server() -> (Box<Server>, [UnixStream; 2]) {
    let mut srv = startup::build(&[], Config::default(), None, Clock::new()).unwrap();
    let far = [0, 1].map(|_| {
        let (near, far) = UnixStream::pair().unwrap();
        srv.admit(Stream::Unix(near));
        far
    });
    (srv, far)
}

/// Runs the requests as one script; their replies, and the effects of the whole.
fn run(srv: &mut Server, rights: Rights, script: &[&str]) -> (Vec<String>, Effects) {
    let mut fx = Effects::default();
    let caller = srv.clients[0].caller(0);
    let replies = srv.host_script(caller, &mut fx, rights, Running::new(Kind::Script, "x"), |host| {
        let reply = |line: &&str| {
            let words: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
            let mut reply = ReplyBuf::default();
            host.call(Args::of(&Argv::from_args(&words)), &mut reply);
            String::from_utf8(reply.bytes().to_vec()).unwrap()
        };
        script.iter().map(reply).collect()
    });
    (replies, fx)
}

#[test]
fn a_script_is_one_unit() {
    let (mut srv, _far) = server();
    srv.exec.wants.ops = true;
    srv.exec.wants.touched = true;
    srv.exec.wants.events = Class::STRING;
    let (replies, mut fx) = run(&mut srv, Rights::default(), &["SET a 1", "INCR a", "SETEX b 10 x", "GET a"]);
    assert_eq!(replies, ["+OK\r\n", ":2\r\n", "+OK\r\n", "$1\r\n2\r\n"]);
    assert_eq!((fx.dirty, fx.touched.len(), fx.events.len(), fx.replicate), (3, 3, 3, Replicate::Rewritten));
    let mut stream = Vec::new();
    Feed::default().write(&fx.ops, Wrap::Several, Targets::AOF, &mut stream);
    let stream = String::from_utf8(stream).unwrap();
    let names = ["SELECT", "MULTI", "SET", "INCR", "SET", "EXEC"];
    let firsts = stream.split('*').skip(1).map(|request| request.split("\r\n").nth(2).unwrap());
    assert_eq!(firsts.collect::<Vec<_>>(), names);
    srv.drain_as(Wrap::Several, &mut fx);
    assert!(fx.is_quiet());
    assert_eq!(srv.exec.dirty, 3);
}

#[test]
fn a_script_has_gates_of_its_own() {
    let (mut srv, _far) = server();
    let script = ["NOSUCH a", "GET", "SUBSCRIBE c", "EXEC", "GET a", "CLIENT ID"];
    let refused = "-ERR This Redis command is not allowed from script\r\n";
    let (replies, fx) = run(&mut srv, Rights::default(), &script);
    assert_eq!(replies[0], "-ERR Unknown Redis command called from script\r\n");
    assert_eq!(replies[1], "-ERR Wrong number of args calling Redis command from script\r\n");
    assert_eq!(replies[2..], [refused, refused, "$-1\r\n", refused]);
    assert!(fx.is_quiet() && fx.dirty == 0);
    let rejected = |srv: &Server, name: &[u8]| srv.registry.row(srv.registry.command(name).unwrap()).stats.rejected;
    assert_eq!((rejected(&srv, b"get"), rejected(&srv, b"subscribe")), (1, 1));
    srv.hosting.deny_nothing = true;
    assert_eq!(run(&mut srv, Rights::default(), &["CLIENT ID"]).0, [":1\r\n"]);
    let reader = Rights { read_only: true, ..Rights::default() };
    let (replies, _) = run(&mut srv, reader, &["SET a 1", "PUBLISH c m", "EXISTS a"]);
    let refused = "-ERR Write commands are not allowed from read-only scripts.\r\n";
    assert_eq!(replies, [refused, refused, ":0\r\n"]);
}

#[test]
fn memory_is_asked_for_until_something_was_written() {
    let (mut srv, _far) = server();
    srv.exec.set_alarm(Alarm::MEMORY, true);
    srv.evict.out_of_memory = true;
    let oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    assert_eq!(run(&mut srv, Rights::default(), &["SET a 1", "DEL a", "SET a 1"]).0, [oom, ":0\r\n", "+OK\r\n"]);
    let any = Rights { any_memory: true, ..Rights::default() };
    assert_eq!(run(&mut srv, any, &["SET a 2"]).0, ["+OK\r\n"]);
}

#[test]
fn nobody_waits_and_a_selected_database_is_the_scripts_own() {
    let (mut srv, _far) = server();
    srv.hosting.deny_nothing = true;
    let script = [
        "BLPOP list 0",
        "XREAD BLOCK 0 STREAMS s $",
        "BLMOVE a b LEFT LEFT 0",
        "SELECT 3",
        "SET k v",
        "SELECT 99",
        "GET k",
    ];
    let (replies, fx) = run(&mut srv, Rights::default(), &script);
    assert_eq!([&replies[0], &replies[2]], ["*-1\r\n", "$-1\r\n"]);
    assert_eq!(replies[1], "-ERR XREAD command is not allowed with BLOCK option from scripts\r\n");
    assert_eq!(replies[6], "$1\r\nv\r\n");
    assert!(fx.block.is_none());
    assert!(!srv.clients[0].flags.has(ClientFlags::BLOCKED));
    assert_eq!((srv.clients[0].db, srv.ks.db(DbId(3)).entries.len()), (DbId(0), 1));
}

#[test]
fn an_error_leaves_what_was_done_before_it() {
    let (mut srv, _far) = server();
    let (replies, fx) = run(&mut srv, Rights::default(), &["SET a x", "INCR a", "APPEND a y"]);
    assert_eq!(replies[1], "-ERR value is not an integer or out of range\r\n");
    assert_eq!((replies[2].as_str(), fx.dirty), (":2\r\n", 2));
}

#[test]
fn others_are_answered_beside_a_slow_script() {
    let (mut srv, mut far) = server();
    far[0].write_all(b"PING\r\n").unwrap();
    far[1].write_all(b"GET a\r\nDISCARD\r\n").unwrap();
    let (caller, now) = (srv.clients[0].caller(0), srv.clock.now());
    let mut fx = Effects::default();
    srv.config.busy_reply_threshold = 1;
    let verdict = srv.host_script(caller, &mut fx, Rights::default(), Running::new(Kind::Script, "x"), |host| {
        host.call(Args::of(&Argv::from_args(&[b"SET", b"a", b"1"])), &mut ReplyBuf::default());
        std::thread::sleep(std::time::Duration::from_millis(3));
        host.on_tick()
    });
    assert_eq!((verdict, srv.clock.now(), srv.exec.has_alarm(Alarm::BUSY)), (Verdict::GoOn, now, false));
    let mut heard = [0; 256];
    let n = far[1].read(&mut heard).unwrap();
    let heard = String::from_utf8_lossy(&heard[..n]);
    assert!(heard.starts_with("-BUSY Redis is busy running a script."), "{heard}");
    assert!(heard.ends_with("\r\n-ERR DISCARD without MULTI\r\n"), "{heard}");
    // The caller's next command has waited.
    assert!(far[0].read(&mut [0; 16]).is_err());
    srv.serve_events(0);
    srv.write_replies();
    let mut heard = [0; 16];
    let n = far[0].read(&mut heard).unwrap();
    assert_eq!(&heard[..n], b"+PONG\r\n");
    assert_eq!(fx.dirty, 1);
    srv.turn.exit = Some(0);
    let verdict = srv.host_script(caller, &mut fx, Rights::default(), Running::new(Kind::Script, "x"), |host| {
        std::thread::sleep(std::time::Duration::from_millis(3));
        host.on_tick()
    });
    assert_eq!(verdict, Verdict::Stop);
}
