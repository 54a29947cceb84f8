//! INFO: sections, fields, counters that count.

use crate::harness::{Client, Reply, Server, bulk, status};

fn heads(client: &mut Client, sections: &[&str]) -> Vec<String> {
    let request: Vec<&str> = std::iter::once("INFO").chain(sections.iter().copied()).collect();
    let text = client.ask(&request).text();
    assert!(text.is_empty() || text.ends_with("\r\n"), "{text:?}");
    text.lines().filter_map(|line| line.strip_prefix("# ")).map(str::to_owned).collect()
}

#[test]
fn sections_are_chosen_by_name() {
    let server = Server::start();
    let mut client = server.client();
    let default = [
        "Server",
        "Clients",
        "Memory",
        "Persistence",
        "Stats",
        "Replication",
        "CPU",
        "Modules",
        "Errorstats",
        "Cluster",
        "Keyspace",
    ];
    assert_eq!(heads(&mut client, &[]), default);
    assert_eq!(heads(&mut client, &["default"]), default);
    assert_eq!(heads(&mut client, &["all"]).len(), 13);
    assert_eq!(heads(&mut client, &["EVERYTHING"]).len(), 13);
    assert_eq!(heads(&mut client, &["keyspace", "Server"]), ["Server", "Keyspace"]);
    assert_eq!(heads(&mut client, &["commandstats", "nosuch"]), ["Commandstats"]);
    assert_eq!(client.ask(&["INFO", "nosuch"]), bulk(""));
}

#[test]
fn resp3_gets_a_verbatim_text() {
    let server = Server::start();
    let mut client = server.client();
    client.ask(&["HELLO", "3"]);
    let text = bulk("txt:# Cluster\r\ncluster_enabled:0\r\n");
    assert_eq!(client.ask(&["INFO", "cluster"]), text);
}

#[test]
fn the_process_is_described_truly() {
    let server = Server::with_config("save 900 1\n");
    let mut client = server.client();
    assert_eq!(client.info("redis_version"), "7.4.0");
    assert_eq!(client.info("process_id"), server.pid().to_string());
    assert_eq!(client.info("tcp_port"), server.port.to_string());
    assert_eq!(client.info("config_file"), server.folder.join("redis.conf").display().to_string());
    assert_eq!(client.info("run_id").len(), 40);
    assert_ne!(client.info("run_id"), client.info("master_replid"));
    assert_eq!(client.info("role"), "master");
    assert_eq!(client.info("connected_clients"), "1");
    assert!(client.info("mem_allocator").starts_with("jemalloc-5.3."));
    let listener = format!("name=tcp,bind=*,bind=-::*,port={}", server.port);
    assert_eq!(client.info("listener0"), listener);
}

#[test]
fn counters_count_until_they_are_reset() {
    let server = Server::start();
    let mut client = server.client();
    client.ask(&["SET", "k", "v"]);
    client.ask(&["SET", "k"]);
    client.ask(&["GET", "k"]);
    client.ask(&["GET", "missing"]);
    client.ask(&["INCR", "k"]);
    assert!(client.info("cmdstat_set").starts_with("calls=1,usec="));
    assert!(client.info("cmdstat_set").ends_with(",rejected_calls=1,failed_calls=0"));
    assert!(client.info("cmdstat_incr").ends_with(",rejected_calls=0,failed_calls=1"));
    assert_eq!(client.info("errorstat_ERR"), "count=2");
    assert_eq!(client.info("total_error_replies"), "2");
    assert_eq!((client.info("keyspace_hits"), client.info("keyspace_misses")), ("1".into(), "1".into()));
    assert_eq!(client.info("db0"), "keys=1,expires=0,avg_ttl=0");
    assert_eq!(client.info("rdb_changes_since_last_save"), "1");
    assert_eq!(client.ask(&["CONFIG", "RESETSTAT"]), status("OK"));
    assert_eq!((client.info("keyspace_hits"), client.info("errorstat_ERR")), ("0".into(), String::new()));
    assert_eq!(client.info("cmdstat_set"), "");
}

#[test]
fn memory_grows_by_what_is_stored() {
    let server = Server::start();
    let mut client = server.client();
    let used = |client: &mut Client| client.info("used_memory").parse::<u64>().unwrap();
    let (before, value) = (used(&mut client), "x".repeat(4_000_000));
    client.ask(&["SET", "big", &value]);
    let grown = used(&mut client) - before;
    assert!((4_000_000..4_200_000).contains(&grown), "{grown}");
    assert!(client.info("used_memory_dataset").parse::<u64>().unwrap() >= 4_000_000);
    client.ask(&["DEL", "big"]);
    assert!(client.info("used_memory_peak").parse::<u64>().unwrap() >= before + 4_000_000);
}

#[test]
fn average_ttl_and_expired_keys() {
    let server = Server::start();
    let mut client = server.client();
    client.ask(&["SET", "a", "1", "EX", "100"]);
    client.ask(&["SET", "b", "1", "PX", "1"]);
    crate::harness::wait_until("the key to expire", || client.info("expired_keys") == "1");
    let db = client.info("db0");
    let ttl: u64 = db.strip_prefix("keys=1,expires=1,avg_ttl=").expect(&db).parse().unwrap();
    assert!((60_000..=100_000).contains(&ttl), "{ttl}");
    let lag: u64 = client.info("expire_lag_ms").parse().unwrap();
    assert!(lag < 60_000, "{lag}");
}

#[test]
fn command_describes_itself() {
    let server = Server::start();
    let mut client = server.client();
    let count = client.ask(&["COMMAND", "COUNT"]);
    assert_eq!(count, Reply::Int(client.ask(&["COMMAND"]).list().len() as i64));
    let info = client.ask(&["COMMAND", "INFO", "GET", "nosuch", "config|get"]);
    let [get, missing, subcommand] = info.list() else { panic!("{info:?}") };
    let words = |names: &[&str]| Reply::Array(names.iter().map(|name| status(name)).collect());
    assert_eq!(get.list()[..3], [bulk("get"), Reply::Int(2), words(&["readonly", "fast"])]);
    assert_eq!(get.list()[3..6], [Reply::Int(1), Reply::Int(1), Reply::Int(1)]);
    assert_eq!(get.list()[6], words(&["@read", "@string", "@fast"]));
    assert_eq!(*missing, Reply::Nil);
    assert_eq!(subcommand.list()[0], bulk("config|get"));
    let names = client.ask(&["COMMAND", "LIST", "FILTERBY", "PATTERN", "config|*set"]);
    assert_eq!(names.list(), [bulk("config|set")]);
    assert_eq!(client.ask(&["COMMAND", "LIST", "FILTERBY", "ACLCAT", "nosuch"]).list(), []);
    assert_eq!(client.ask(&["COMMAND", "LIST", "FILTERBY"]).text(), "ERR syntax error");
    let docs = client.ask(&["COMMAND", "DOCS", "nosuch", "echo"]);
    assert_eq!(docs.list().len(), 2);
    assert_eq!(docs.list()[0], bulk("echo"));
}

#[test]
fn keys_are_found_in_a_command() {
    let server = Server::start();
    let mut client = server.client();
    let mut keys = |words: &[&str]| {
        let request: Vec<&str> = ["COMMAND", "GETKEYS"].iter().chain(words).copied().collect();
        match client.ask(&request) {
            Reply::Error(text) => text,
            reply => reply.list().iter().map(Reply::text).collect::<Vec<_>>().join(" "),
        }
    };
    assert_eq!(keys(&["MSET", "a", "1", "b", "2"]), "a b");
    assert_eq!(keys(&["object", "encoding", "k"]), "k");
    assert_eq!(keys(&["nosuch", "a"]), "ERR Invalid command specified");
    assert_eq!(keys(&["ping", "a"]), "ERR The command has no key arguments");
    assert_eq!(keys(&["get", "a", "b"]), "ERR Invalid number of arguments specified for command");
    let flags = |client: &mut Client, words: &[&str]| {
        let request: Vec<&str> = ["COMMAND", "GETKEYSANDFLAGS"].iter().chain(words).copied().collect();
        let reply = client.ask(&request);
        reply.list()[0].list()[1].list().iter().map(Reply::text).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(flags(&mut client, &["SET", "a", "1", "EX", "9"]), "OW update");
    assert_eq!(flags(&mut client, &["SET", "a", "1", "get"]), "RW access update");
}

#[test]
fn expired_fields_and_checked_payloads_are_counted() {
    let server = Server::start();
    let mut client = server.client();
    client.ask(&["HSET", "h", "a", "1", "b", "2", "c", "3"]);
    client.ask(&["HPEXPIRE", "h", "1", "FIELDS", "2", "a", "b"]);
    crate::harness::wait_until("the fields to expire", || client.info("expired_subkeys") == "2");
    assert_eq!(client.ask(&["HLEN", "h"]), Reply::Int(1));
    assert_eq!(client.info("dump_payload_sanitizations"), "0");
    // A wrong checksum is found before anything is looked at.
    assert!(matches!(client.ask(&["RESTORE", "k", "0", "0123456789abcdef"]), Reply::Error(_)));
    assert_eq!(client.info("dump_payload_sanitizations"), "0");
    let Reply::Bulk(payload) = client.ask(&["DUMP", "h"]) else { panic!("a payload") };
    let head = format!("*4\r\n$7\r\nRESTORE\r\n$1\r\nk\r\n$1\r\n0\r\n${}\r\n", payload.len());
    client.send_raw(&[head.as_bytes(), &payload, b"\r\n"].concat());
    assert_eq!(client.reply(), status("OK"));
    assert_eq!(client.info("dump_payload_sanitizations"), "1");
}
