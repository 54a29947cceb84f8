//! What an operator sees: slow log, latency, MONITOR, memory, and that none of it goes on after it was switched off.

use crate::harness::{Client, Reply, Server, bulk, error, status, wait_until};

fn slow_calls(client: &mut Client) -> Vec<String> {
    let log = client.ask(&["SLOWLOG", "GET", "-1"]);
    let words = |entry: &Reply| entry.list()[3].list().iter().map(Reply::text).collect::<Vec<_>>().join(" ");
    log.list().iter().rev().map(words).collect()
}

#[test]
fn the_slow_log_keeps_what_took_long_and_nothing_secret() {
    let server = Server::with_config("save \"\"\nslowlog-log-slower-than 50000\n");
    let mut client = server.client();
    client.ask(&["CLIENT", "SETNAME", "operator"]);
    client.ask(&["PING"]);
    client.ask(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    client.ask(&["SLOWLOG", "RESET"]);
    client.ask(&["CONFIG", "SET", "masterauth", "secret"]);
    client.ask(&["AUTH", "secret"]);
    client.ask(&["MULTI"]);
    client.ask(&["SET", "k", &"x".repeat(200)]);
    client.ask(&["INCR", "k"]);
    client.ask(&["EXEC"]);
    client.ask(&["BLPOP", "empty", "0.01"]);
    client.ask(&["GET"]);
    client.ask(&["CONFIG", "SET", "slowlog-log-slower-than", "-1"]);
    client.ask(&["PING"]);
    let long = format!("SET k {}... (72 more bytes)", "x".repeat(128));
    let expected = ["SLOWLOG RESET", "CONFIG SET masterauth (redacted)", "AUTH (redacted)", "MULTI", &long, "INCR k"];
    assert_eq!(slow_calls(&mut client), expected);
    let log = client.ask(&["SLOWLOG", "GET"]);
    let newest = log.list()[0].list();
    assert_eq!(newest.len(), 6);
    assert!(newest[4].text().starts_with("127.0.0.1:"));
    assert_eq!(newest[5], bulk("operator"));
    client.ask(&["CONFIG", "SET", "slowlog-max-len", "2"]);
    assert_eq!(client.ask(&["SLOWLOG", "LEN"]), Reply::Int(6));
    client.ask(&["CONFIG", "SET", "slowlog-log-slower-than", "1000000"]);
    assert_eq!(client.ask(&["SLOWLOG", "LEN"]), Reply::Int(2));
}

#[test]
fn a_command_that_waited_is_slow_when_it_was_served() {
    let server = Server::with_config("save \"\"\nslowlog-log-slower-than 0\n");
    let (mut client, mut waiting) = (server.client(), server.client());
    waiting.send(&["BLPOP", "list", "0"]);
    wait_until("the client to wait", || client.info("blocked_clients") == "1");
    client.ask(&["SLOWLOG", "RESET"]);
    client.ask(&["RPUSH", "list", "a"]);
    assert_eq!(waiting.reply().list().len(), 2);
    let calls = slow_calls(&mut client);
    assert_eq!(calls.iter().filter(|call| *call == "BLPOP list 0").count(), 1, "{calls:?}");
    assert!(client.info("cmdstat_blpop").starts_with("calls=1,"));
    assert!(client.info("latency_percentiles_usec_blpop").starts_with("p50="));
}

#[test]
fn spikes_are_sampled_and_told() {
    let server = Server::with_config("save \"\"\nenable-debug-command yes\n");
    let mut client = server.client();
    assert!(client.ask(&["LATENCY", "DOCTOR"]).text().contains("monitoring is off"));
    client.ask(&["DEBUG", "SLEEP", "0.02"]);
    assert_eq!(client.ask(&["LATENCY", "LATEST"]).list(), []);
    client.ask(&["CONFIG", "SET", "latency-monitor-threshold", "20"]);
    client.ask(&["DEBUG", "SLEEP", "0.03"]);
    let latest = client.ask(&["LATENCY", "LATEST"]);
    let [event, _, Reply::Int(ms), max] = latest.list()[0].list() else { panic!("{latest:?}") };
    assert!(*event == bulk("command") && (30..3000).contains(ms) && *max == Reply::Int(*ms));
    assert_eq!(client.ask(&["LATENCY", "HISTORY", "command"]).list().len(), 1);
    assert!(client.ask(&["LATENCY", "GRAPH", "command"]).text().starts_with("command - high "));
    assert_eq!(client.ask(&["LATENCY", "GRAPH", "x"]), error("ERR No samples available for event 'x'"));
    assert!(client.ask(&["LATENCY", "DOCTOR"]).text().contains("1. command: 1 latency spikes"));
    assert_eq!(client.ask(&["LATENCY", "RESET", "fork"]), Reply::Int(0));
    assert_eq!(client.ask(&["LATENCY", "RESET"]), Reply::Int(1));
}

#[test]
fn durations_are_counted_by_command_until_the_reset() {
    let server = Server::with_config("save \"\"\nenable-debug-command yes\n");
    let mut client = server.client();
    client.ask(&["CONFIG", "RESETSTAT"]);
    client.ask(&["DEBUG", "SLEEP", "0.01"]);
    (0..3).for_each(|_| drop(client.ask(&["PING"])));
    let histogram = client.ask(&["LATENCY", "HISTOGRAM", "debug", "nosuch", "ping"]);
    let [debug, debug_counts, ping, ping_counts] = histogram.list() else { panic!("{histogram:?}") };
    assert_eq!((debug, ping), (&bulk("debug"), &bulk("ping")));
    let one = |us| Reply::Array(vec![Reply::Int(us), Reply::Int(1)]);
    let expected = [bulk("calls"), Reply::Int(1), bulk("histogram_usec"), one(16_908)];
    assert_eq!(debug_counts.list(), expected);
    assert_eq!(ping_counts.list()[1], Reply::Int(3));
    let percentiles = client.info("latency_percentiles_usec_debug");
    let p50: f64 = percentiles.split(['=', ',']).nth(1).unwrap().parse().unwrap();
    assert!((10_000.0..16_908.0).contains(&p50), "{percentiles}");
    client.ask(&["CONFIG", "RESETSTAT"]);
    assert_eq!(client.info("latency_percentiles_usec_debug"), "");
    client.ask(&["CONFIG", "SET", "latency-tracking", "no"]);
    client.ask(&["CONFIG", "RESETSTAT"]);
    client.ask(&["PING"]);
    assert_eq!(client.ask(&["LATENCY", "HISTOGRAM"]).list(), []);
}

/// The commands of MONITOR's lines, without time and address.
fn watched(monitor: &mut Client, lines: usize) -> Vec<String> {
    let command = |line: String| line.split_once("] ").map(|(_, command)| command.to_owned()).expect("a line");
    (0..lines).map(|_| command(monitor.reply().text())).collect()
}

#[test]
fn a_monitor_sees_what_runs() {
    let server = Server::start();
    let (mut client, mut monitor) = (server.client(), server.client());
    assert_eq!(monitor.ask(&["MONITOR"]), status("OK"));
    client.ask(&["SET", "a\n\"", "1"]);
    client.ask(&["GET"]);
    client.ask(&["CONFIG", "GET", "port"]);
    client.ask(&["AUTH", "secret"]);
    for request in ["MULTI", "PING", "EXEC"] {
        client.ask(&[request]);
    }
    client.ask(&["SELECT", "3"]);
    let expected = [r#""SET" "a\n\"" "1""#, r#""AUTH" "(redacted)""#, r#""MULTI""#, r#""PING""#, r#""EXEC""#];
    assert_eq!(watched(&mut monitor, 5), expected);
    let line = monitor.reply().text();
    assert!(line.contains(" [3 127.0.0.1:") && line.ends_with(r#""SELECT" "3""#), "{line}");
    // It may speak, but not of keys; a second MONITOR has no answer.
    monitor.send(&["MONITOR"]);
    assert_eq!(monitor.ask(&["GET", "a"]), error("ERR Replica can't interact with the keyspace"));
    assert_eq!(monitor.ask(&["RESET"]), status("RESET"));
    client.ask(&["PING"]);
    assert_eq!(monitor.ask(&["GET", "b"]), Reply::Nil);
}

#[test]
fn memory_is_told_by_key_and_in_sum() {
    let server = Server::start();
    let mut client = server.client();
    client.ask(&["SET", "k", &"x".repeat(10_000)]);
    let Reply::Int(bytes) = client.ask(&["MEMORY", "USAGE", "k", "SAMPLES", "0"]) else { panic!("no number") };
    assert!((10_240..10_400).contains(&bytes), "{bytes}");
    assert_eq!(client.ask(&["MEMORY", "USAGE", "none"]), Reply::Nil);
    assert_eq!(client.ask(&["MEMORY", "USAGE", "k", "SAMPLES"]), error("ERR syntax error"));
    let stats = client.ask(&["MEMORY", "STATS"]);
    assert_eq!(stats.list().len(), 2 * 28);
    assert_eq!(stats.list()[20], bulk("db.0"));
    assert!(client.ask(&["MEMORY", "DOCTOR"]).text().contains("holds little or nothing"));
    assert_eq!(client.ask(&["MEMORY", "PURGE"]), status("OK"));
    assert!(client.ask(&["MEMORY", "MALLOC-STATS"]).text().starts_with("___ Begin jemalloc statistics ___"));
}

#[test]
fn a_picture_ends_with_the_version() {
    let server = Server::start();
    let mut client = server.client();
    assert!(client.ask(&["LOLWUT"]).text().ends_with("\nRedis ver. 7.4.0\n"));
    assert_eq!(client.ask(&["LOLWUT", "VERSION", "5", "2", "1"]).text().chars().count(), 3 + 18);
    assert_eq!(client.ask(&["LOLWUT", "VERSION", "x"]), error("ERR value is not an integer or out of range"));
    assert_eq!(client.ask(&["ROLE"]), Reply::Array(vec![bulk("master"), Reply::Int(0), Reply::Array(vec![])]));
}

#[test]
fn checksums_can_be_passed_over() {
    let server = Server::with_config("save \"\"\nenable-debug-command yes\n");
    let mut client = server.client();
    client.ask(&["SET", "k", "v"]);
    // A string of one byte, format 9, and no checksum worth the name.
    let payload = "\0\u{1}v\t\0--------";
    let refused = error("ERR DUMP payload version or checksum are wrong");
    assert_eq!(client.ask(&["RESTORE", "a", "0", payload]), refused);
    client.ask(&["DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", "1"]);
    assert_eq!(client.ask(&["RESTORE", "a", "0", payload]), status("OK"));
    assert_eq!(client.ask(&["GET", "a"]), bulk("v"));
    client.ask(&["DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", "0"]);
    assert_eq!(client.ask(&["RESTORE", "b", "0", payload]), refused);
}
