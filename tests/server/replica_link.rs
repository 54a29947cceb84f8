//! What a replica tells, and what its link does to the rest of the server: disks that WAITAOF counts, rates, the letter in
//! the log, a resolver that takes its time, replicas of a replica that do not read.
//!
//! *Does not know:* the data set and the stream, which `replica.rs` covers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::{Client, Folder, Reply, Server, bulk, status, wait_until};

const QUIET: &str = "save \"\"\nrepl-diskless-sync-delay 0\nenable-debug-command local\n";

/// A master and a replica of it, with the given lines.
fn pair(master: &str, replica: &str) -> (Server, Server) {
    let first = Server::with_config(&format!("{QUIET}{master}"));
    let second = Server::with_config(&format!("{QUIET}{replica}replicaof 127.0.0.1 {}\n", first.port));
    let mut client = second.client();
    wait_until("the link is up", || client.info("master_link_status") == "up");
    (first, second)
}

fn numbers(reply: Reply) -> Vec<i64> {
    let number = |reply: &Reply| match reply {
        Reply::Int(n) => *n,
        other => panic!("a number: {other:?}"),
    };
    reply.list().iter().map(number).collect()
}

#[test]
fn waitaof_counts_disks_of_replicas() {
    for fsync in ["always", "everysec"] {
        let text = format!("appendonly yes\nappendfsync {fsync}\n");
        let (first, second) = pair(&text, &text);
        let (mut client, mut replica) = (first.client(), second.client());
        wait_until("the replica's file counts", || replica.info("aof_rewrite_in_progress") == "0");
        for n in ["1", "2", "3"] {
            assert_eq!(client.ask(&["SET", "k", n]), status("OK"));
            assert_eq!(numbers(client.ask(&["WAITAOF", "1", "1", "10000"])), [1, 1], "{fsync}");
        }
        assert_eq!(replica.ask(&["CONFIG", "SET", "appendonly", "no"]), status("OK"));
        client.ask(&["SET", "k", "4"]);
        assert_eq!(numbers(client.ask(&["WAITAOF", "0", "1", "300"]))[1], 0, "it has no file any more");
        assert_eq!(client.ask(&["WAIT", "1", "10000"]), Reply::Int(1), "but it has the change");
        // What was applied meanwhile is in the file that begins now.
        assert_eq!(replica.ask(&["CONFIG", "SET", "appendonly", "yes"]), status("OK"));
        client.ask(&["SET", "k", "5"]);
        assert_eq!(numbers(client.ask(&["WAITAOF", "1", "1", "10000"])), [1, 1], "{fsync}, switched on again");
    }
}

#[test]
fn without_a_file_a_replica_does_not_count_for_waitaof() {
    let (first, _second) = pair("", "");
    let mut client = first.client();
    client.ask(&["SET", "k", "1"]);
    assert_eq!(numbers(client.ask(&["WAITAOF", "0", "1", "300"])), [0, 0]);
    assert_eq!(client.ask(&["WAIT", "1", "10000"]), Reply::Int(1));
}

#[test]
fn rates_of_replication_are_shown() {
    let (first, second) = pair("", "");
    let (mut client, mut replica) = (first.client(), second.client());
    let value = "x".repeat(20_000);
    let rate = |client: &mut Client, field: &str| client.info(field).parse::<f64>().unwrap();
    wait_until("both rates", || {
        client.ask(&["SET", "k", &value]);
        rate(&mut client, "instantaneous_output_repl_kbps") > 1.0
            && rate(&mut replica, "instantaneous_input_repl_kbps") > 1.0
    });
    assert_eq!(rate(&mut client, "instantaneous_input_repl_kbps"), 0.0);
    let count = |client: &mut Client, field: &str| client.info(field).parse::<u64>().unwrap();
    let (all, repl) = (count(&mut replica, "total_net_input_bytes"), count(&mut replica, "total_net_repl_input_bytes"));
    assert!(repl >= 20_000 && all > repl, "{all} in all, {repl} of the master");
}

#[test]
fn the_log_says_by_a_letter_who_speaks() {
    let (first, second) = pair("", "");
    let mut client = second.client();
    client.ask(&["REPLICAOF", "NO", "ONE"]);
    client.ask(&["BGSAVE"]);
    wait_until("the end of the child", || second.log().contains("Background saving terminated with success"));
    let letter_of = |log: &str, what: &str| {
        let line = log.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("no {what} in {log}"));
        line.split(':').nth(1).and_then(|rest| rest.chars().next()).unwrap()
    };
    let log = second.log();
    assert_eq!(letter_of(&log, "Redis is starting"), 'C', "before it knows what it is");
    assert_eq!(letter_of(&log, "Running mode=standalone"), 'S');
    assert_eq!(letter_of(&log, "MASTER <-> REPLICA sync started"), 'S');
    assert_eq!(letter_of(&log, "DB saved on disk"), 'C', "the child");
    assert_eq!(letter_of(&log, "Background saving terminated"), 'M', "a master again");
    assert_eq!(letter_of(&first.log(), "Running mode=standalone"), 'M');
}

const SLOW_RESOLVER: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <unistd.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
    sleep(3);
    return real(node, service, hints, result);
}
"#;

#[test]
fn a_slow_resolver_holds_nobody_up() {
    let first = Server::with_config(QUIET);
    let folder = Folder::new();
    let source = folder.write("shim.c", SLOW_RESOLVER);
    let library = folder.join("shim.so");
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl").status();
    if !made.is_ok_and(|status| status.success()) {
        println!("left out: there is no C compiler");
        return;
    }
    let env = [("LD_PRELOAD", library.to_str().unwrap())];
    let Ok(second) = Server::start_or_end(folder, QUIET, &env) else { panic!("it did not start") };
    let mut client = second.client();
    assert_eq!(client.ask(&["REPLICAOF", "localhost", &first.port.to_string()]), status("OK"));
    let began = Instant::now();
    while client.info("master_link_status") != "up" {
        let asked = Instant::now();
        assert_eq!(client.ask(&["PING"]), status("PONG"));
        assert!(asked.elapsed() < Duration::from_millis(2_500), "PING waited {:?}", asked.elapsed());
        assert!(began.elapsed() < Duration::from_secs(30), "the link does not come up");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(began.elapsed() > Duration::from_millis(2_900), "the resolver was not slow");
}

#[test]
fn a_replica_of_a_replica_that_does_not_read_goes_when_the_stream_grows() {
    let limit = "client-output-buffer-limit replica 1mb 0 0\nrepl-backlog-size 16kb\n";
    let (first, second) = pair("", limit);
    let (mut client, mut middle) = (first.client(), second.client());
    let mut deaf = TcpStream::connect(("127.0.0.1", second.port)).unwrap();
    deaf.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    deaf.write_all(b"SYNC\r\n").unwrap();
    // The head of the data set, and no more.
    assert_eq!(deaf.read(&mut [0; 1]).unwrap(), 1);
    wait_until("it is online", || middle.info("slave0").contains("state=online"));
    // A diskless master begins to stream at the first REPLCONF ACK, which cron sends.
    wait_until("the stream flows", || {
        client.ask(&["SET", "k", "v"]);
        middle.ask(&["GET", "k"]) == bulk("v")
    });
    // From now on nobody looks by the clock.
    assert_eq!(middle.ask(&["DEBUG", "PAUSE-CRON", "1"]), status("OK"));
    let value = "x".repeat(100_000);
    wait_until("it is sent away", || {
        client.ask(&["SET", "k", &value]);
        second.log().contains("scheduled to be closed ASAP for overcoming of output buffer limits")
    });
}
