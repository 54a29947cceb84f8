//! The master's side of replication: SYNC and PSYNC by hand over a socket, and real replicas where there are any.
//!
//! *Does not know:* the decisions themselves, which `repl`'s own tests cover.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::{Client, Folder, Reply, Server, bulk, error, free_port, status, wait_until};

const DISK: &str = "save \"\"\nrepl-diskless-sync no\nenable-debug-command local\n";
const DISKLESS: &str = "save \"\"\nrepl-diskless-sync yes\nrepl-diskless-sync-delay 0\nenable-debug-command local\n";
const REFERENCE: &str = "/usr/bin/redis-server";

/// A replica played by the test.
struct Peer(BufReader<TcpStream>);

impl Peer {
    fn connect(server: &Server) -> Peer {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        Peer(BufReader::new(stream))
    }

    fn say(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }

    /// The next line; empty ones only say that the master lives.
    fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the connection ended");
            if !line.trim().is_empty() {
                return line.trim().to_string();
            }
        }
    }

    fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.line()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// A data set behind its length.
    fn data_set(&mut self) -> Vec<u8> {
        let head = self.line();
        let size = head.strip_prefix('$').and_then(|n| n.parse().ok());
        self.bytes(size.unwrap_or_else(|| panic!("a length: {head}")))
    }

    /// A data set between marks.
    fn marked_data_set(&mut self) -> Vec<u8> {
        let head = self.line();
        let mark = head.strip_prefix("$EOF:").unwrap_or_else(|| panic!("a mark: {head}")).as_bytes().to_vec();
        let mut bytes = Vec::new();
        while !bytes.ends_with(&mark) {
            bytes.extend(self.bytes(1));
        }
        bytes.truncate(bytes.len() - mark.len());
        bytes
    }

    /// Commands of the stream, one text each, until `last`; pings and questions are left out.
    fn stream_until(&mut self, last: &str) -> Vec<String> {
        let mut seen = Vec::new();
        while seen.last().map(String::as_str) != Some(last) {
            let head = self.line();
            let words = head.strip_prefix('*').and_then(|n| n.parse::<usize>().ok()).expect("a command");
            let mut command = Vec::new();
            for _ in 0..words {
                self.line();
                command.push(self.line());
            }
            if !matches!(command[0].as_str(), "PING" | "REPLCONF") {
                seen.push(command.join(" "));
            }
        }
        seen
    }
}

fn offset(client: &mut Client) -> u64 {
    client.info("master_repl_offset").parse().unwrap()
}

fn synced(server: &Server) -> (Peer, String) {
    let mut peer = Peer::connect(server);
    assert_eq!(peer.ask("REPLCONF listening-port 7001 capa psync2"), "+OK");
    let answer = peer.ask("PSYNC ? -1");
    let id = answer.split(' ').nth(1).unwrap().to_string();
    assert!(answer.starts_with("+FULLRESYNC "), "{answer}");
    assert!(peer.data_set().starts_with(b"REDIS00"));
    (peer, id)
}

#[test]
fn a_full_sync_then_every_change() {
    let server = Server::with_config(DISK);
    let mut client = server.client();
    client.ask(&["SET", "before", "1"]);
    let (mut peer, id) = synced(&server);
    assert_eq!(client.info("master_replid"), id);
    for command in ["SET a 1", "MULTI", "SET b 2", "INCR a", "EXEC", "SELECT 3", "GETDEL a", "SETEX x 100 y", "DEL x"] {
        client.ask(&command.split(' ').collect::<Vec<_>>());
    }
    let seen = peer.stream_until("DEL x");
    assert_eq!(seen[..6], ["SELECT 0", "SET a 1", "MULTI", "SET b 2", "INCR a", "EXEC"]);
    assert_eq!(seen[6], "SELECT 3");
    assert!(seen[7].starts_with("SET x y PXAT "), "{seen:?}");
    assert_eq!((client.info("connected_slaves"), client.info("sync_full")), ("1".into(), "1".into()));
    let line = client.info("slave0");
    assert!(line.starts_with("ip=127.0.0.1,port=7001,state=online,"), "{line}");
}

#[test]
fn a_replica_goes_on_where_it_was() {
    let server = Server::with_config(DISK);
    let mut client = server.client();
    let (peer, id) = synced(&server);
    drop(peer);
    client.ask(&["SET", "a", "1"]);
    client.ask(&["SET", "b", "2"]);
    let end = offset(&mut client);
    // From the first byte that is held, and from the end.
    let mut peer = Peer::connect(&server);
    peer.ask("REPLCONF capa psync2");
    assert_eq!(peer.ask(&format!("PSYNC {id} 1")), format!("+CONTINUE {id}"));
    assert_eq!(peer.stream_until("SET b 2"), ["SELECT 0", "SET a 1", "SET b 2"]);
    let mut old = Peer::connect(&server);
    assert_eq!(old.ask(&format!("PSYNC {id} {}", end + 1)), "+CONTINUE");
    client.ask(&["SET", "c", "3"]);
    assert_eq!(old.stream_until("SET c 3"), ["SET c 3"]);
    assert_eq!((client.info("sync_partial_ok"), client.info("sync_partial_err")), ("2".into(), "0".into()));
    // Beyond the end, before the beginning, another history.
    let beyond = offset(&mut client) + 1000;
    for request in [format!("{id} {beyond}"), format!("{id} 0"), format!("{} 1", "0123456789".repeat(4))] {
        let answer = Peer::connect(&server).ask(&format!("PSYNC {request}"));
        assert!(answer.starts_with(&format!("+FULLRESYNC {id} ")), "{request}: {answer}");
    }
    assert_eq!(client.info("sync_partial_err"), "3");
    assert_eq!(Peer::connect(&server).ask("PSYNC ? x"), "-ERR value is not an integer or out of range");
}

#[test]
fn what_has_left_the_backlog_needs_a_full_sync() {
    let server = Server::with_config(&format!("{DISK}repl-backlog-size 16384\n"));
    let mut client = server.client();
    let (peer, id) = synced(&server);
    drop(peer);
    wait_until("the replica to be gone", || client.info("connected_slaves") == "0");
    let value = "x".repeat(1000);
    for _ in 0..100 {
        client.ask(&["SET", "a", &value]);
    }
    let first: u64 = client.info("repl_backlog_first_byte_offset").parse().unwrap();
    assert!(first > 1, "{first}");
    let mut peer = Peer::connect(&server);
    let answer = peer.ask(&format!("PSYNC {id} {}", first - 1));
    assert!(answer.starts_with("+FULLRESYNC"), "{answer}");
    assert_eq!(Peer::connect(&server).ask(&format!("PSYNC {id} {first}")), "+CONTINUE");
}

#[test]
fn several_that_ask_at_once_share_a_diskless_child() {
    let server = Server::with_config(&format!("{DISKLESS}repl-diskless-sync-delay 1\n"));
    let mut client = server.client();
    client.ask(&["DEBUG", "POPULATE", "2000", "key", "500"]);
    let mut peers: Vec<Peer> = (0..3).map(|_| Peer::connect(&server)).collect();
    for peer in &mut peers {
        peer.ask("REPLCONF capa eof capa psync2");
        peer.say("PSYNC ? -1");
    }
    let sets: Vec<Vec<u8>> = peers
        .iter_mut()
        .map(|peer| {
            assert!(peer.line().starts_with("+FULLRESYNC"));
            peer.marked_data_set()
        })
        .collect();
    assert!(sets[0].len() > 10_000 && sets[0] == sets[1] && sets[1] == sets[2]);
    client.ask(&["SET", "a", "1"]);
    for peer in &mut peers {
        // The stream begins with the first word of the replica.
        peer.say("REPLCONF ACK 0");
        assert_eq!(peer.stream_until("SET a 1"), ["SELECT 0", "SET a 1"]);
    }
    assert_eq!((client.info("total_forks"), client.info("sync_full")), ("1".into(), "3".into()));
}

#[test]
fn a_replica_asks_nothing() {
    let server = Server::with_config(DISK);
    let (mut peer, _) = synced(&server);
    peer.say("PING");
    let mut rest = Vec::new();
    peer.0.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
    assert!(server.log().contains("Replica generated a reply to command 'ping', disconnecting it: "));
    let (mut peer, _) = synced(&server);
    peer.say("GET key");
    let said = "== CRITICAL == This master is sending an error to its replica: 'ERR Replica can't interact with the \
                keyspace' after processing the command 'get'";
    wait_until("the error is logged", || server.log().contains(said));
}

#[test]
fn wait_counts_those_who_have_it() {
    let server = Server::with_config(DISK);
    let mut client = server.client();
    assert_eq!(client.ask(&["WAIT", "0", "0"]), Reply::Int(0));
    assert_eq!(client.ask(&["WAIT", "1", "20"]), Reply::Int(0));
    assert_eq!(client.ask(&["WAIT", "1", "-1"]), error("ERR timeout is negative"));
    assert_eq!(client.ask(&["WAIT", "x", "1"]), error("ERR value is not an integer or out of range"));
    let (mut peer, _) = synced(&server);
    client.ask(&["SET", "a", "1"]);
    assert_eq!(client.ask(&["WAIT", "1", "20"]), Reply::Int(0));
    let end = offset(&mut client);
    client.send(&["WAIT", "1", "10000"]);
    peer.say(&format!("REPLCONF ACK {end}"));
    assert_eq!(client.reply(), Reply::Int(1));
    // Several may be sent in a row.
    client.send(&["WAIT", "1", "0"]);
    client.send(&["PING"]);
    assert_eq!((client.reply(), client.reply()), (Reply::Int(1), status("PONG")));
    assert_eq!(client.ask(&["ROLE"]).list()[2].list()[0].list()[2], bulk(&end.to_string()));
}

#[test]
fn too_few_replicas_refuse_a_change() {
    let server = Server::with_config(&format!("{DISK}min-replicas-to-write 1\n"));
    let mut client = server.client();
    let refusal = error("NOREPLICAS Not enough good replicas to write.");
    assert_eq!(client.ask(&["SET", "a", "1"]), refusal);
    assert_eq!(client.ask(&["GET", "a"]), Reply::Nil);
    let _peer = synced(&server);
    wait_until("the replica to count", || client.info("min_slaves_good_slaves") == "1");
    assert_eq!(client.ask(&["SET", "a", "1"]), status("OK"));
    client.ask(&["CONFIG", "SET", "min-replicas-to-write", "2"]);
    assert_eq!(client.ask(&["SET", "a", "1"]), refusal);
}

#[test]
fn a_restart_keeps_the_place_in_the_stream() {
    let config = "save 3600 1000\nrepl-diskless-sync no\n";
    let mut server = Server::with_config(config);
    let mut client = server.client();
    let (mut peer, id) = synced(&server);
    client.ask(&["SET", "a", "1"]);
    let end = offset(&mut client);
    peer.stream_until("SET a 1");
    drop(peer);
    wait_until("the replica to be gone", || client.info("connected_slaves") == "0");
    assert_eq!(server.stop(), Some(0));
    let server = Server::in_folder(server.into_folder(), config);
    let mut client = server.client();
    assert_eq!(client.info("master_replid2"), id);
    assert_eq!(offset(&mut client), end);
    let mut peer = Peer::connect(&server);
    peer.ask("REPLCONF capa psync2");
    let new = client.info("master_replid");
    assert_eq!(peer.ask(&format!("PSYNC {id} {}", end + 1)), format!("+CONTINUE {new}"));
    client.ask(&["SET", "b", "2"]);
    assert_eq!(peer.stream_until("SET b 2"), ["SELECT 0", "SET b 2"]);
}

#[test]
fn shutdown_waits_for_who_lags() {
    let mut server = Server::with_config(&format!("{DISK}shutdown-timeout 60\n"));
    let (mut peer, _) = synced(&server);
    let mut client = server.client();
    client.ask(&["SET", "a", "1"]);
    client.send(&["SHUTDOWN"]);
    wait_until("the server to wait", || server.log().contains("Waiting for replicas before shutting down."));
    let mut other = server.client();
    assert_eq!(other.ask(&["SHUTDOWN", "ABORT"]), status("OK"));
    assert_eq!(client.reply(), error("ERR Errors trying to SHUTDOWN. Check logs."));
    assert_eq!(client.ask(&["SET", "a", "2"]), status("OK"));
    client.send(&["SHUTDOWN"]);
    wait_until("it to wait again", || server.log().matches("Waiting for replicas").count() == 2);
    let end = offset(&mut other);
    peer.say(&format!("REPLCONF ACK {end}"));
    assert_eq!(server.wait(), Some(0));
    assert!(server.log().contains("1 of 1 replicas are in sync when shutting down."));
}

/// A replica of the reference, ended with the test.
struct Real {
    process: Child,
    _folder: Folder,
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// None where the reference is not installed.
fn real_replica(server: &Server) -> Option<(Real, Client)> {
    if !Path::new(REFERENCE).exists() {
        return None;
    }
    let (folder, port) = (Folder::new(), free_port());
    let child = Command::new(REFERENCE)
        .args(["--port", &port.to_string(), "--save", "", "--enable-debug-command", "local"])
        .args(["--dir", folder.path().to_str().unwrap()])
        .args(["--replicaof", &format!("127.0.0.1 {}", server.port)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let real = Real { process: child, _folder: folder };
    wait_until("the reference to listen", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let mut client = Client::connect(port);
    wait_until("the reference to follow", || client.info("master_link_status") == "up");
    Some((real, client))
}

#[test]
fn the_reference_follows_and_comes_back() {
    for config in [DISK, DISKLESS] {
        let server = Server::with_config(config);
        let mut client = server.client();
        client.ask(&["DEBUG", "POPULATE", "3000", "key", "100"]);
        for command in
            ["RPUSH l a b c", "HSET h f v", "ZADD z 1.5 m", "SADD s x 1", "XADD st 1-1 f v", "SET n 12 EX 999"]
        {
            client.ask(&command.split(' ').collect::<Vec<_>>());
        }
        let Some((_real, mut replica)) = real_replica(&server) else { return };
        for command in ["MULTI", "INCR n", "LPOP l", "EXEC", "SPOP s", "XADD st * f w", "HINCRBYFLOAT h g 1.5"] {
            client.ask(&command.split(' ').collect::<Vec<_>>());
        }
        assert_eq!(client.ask(&["WAIT", "1", "10000"]), Reply::Int(1));
        assert_eq!(client.ask(&["DEBUG", "DIGEST"]), replica.ask(&["DEBUG", "DIGEST"]));
        replica.ask(&["CLIENT", "KILL", "TYPE", "master"]);
        wait_until("it to come back", || client.info("sync_partial_ok") == "1");
        client.ask(&["SET", "again", "1"]);
        assert_eq!(client.ask(&["WAIT", "1", "10000"]), Reply::Int(1));
        assert_eq!(client.ask(&["DEBUG", "DIGEST"]), replica.ask(&["DEBUG", "DIGEST"]));
        assert_eq!(client.info("sync_full"), "1");
    }
}
