//! The replica's side of replication: a real 7.0.15 as the master where there is one, our own, and masters that the test
//! plays, who send what no master should.
//!
//! *Does not know:* the link's decisions, which `repl`'s own tests cover.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::{Client, Folder, Reply, Server, bulk, error, free_port, status, wait_until};

const REPLICA: &str = "save \"\"\nenable-debug-command local\n";
const MASTER: &str = "save \"\"\nrepl-diskless-sync yes\nrepl-diskless-sync-delay 0\nenable-debug-command local\n";
const REFERENCE: &str = "/usr/bin/redis-server";

fn follow(replica: &mut Client, port: u16) {
    assert_eq!(replica.ask(&["REPLICAOF", "127.0.0.1", &port.to_string()]), status("OK"));
}

fn wait_for_link(replica: &mut Client) {
    wait_until("the link is up", || replica.info("master_link_status") == "up");
}

/// Until the replica has all that its master has.
fn wait_for_all(master: &mut Client, replica: &mut Client) {
    let offset = master.info("master_repl_offset");
    wait_until("the replica has all", || replica.info("slave_repl_offset") == offset);
}

struct Reference {
    child: Child,
    port: u16,
    _folder: Folder,
}

impl Reference {
    /// A real 7.0.15, where the machine has one.
    fn start() -> Option<Reference> {
        if !Path::new(REFERENCE).exists() {
            return None;
        }
        let (folder, port) = (Folder::new(), free_port());
        let child = Command::new(REFERENCE)
            .args(["--port", &port.to_string(), "--save", "", "--repl-diskless-sync-delay", "0"])
            .args(["--dir", folder.path().to_str().unwrap(), "--repl-diskless-sync", "no"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the reference listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Reference { child, port, _folder: folder })
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_reference_master_is_followed_cut_off_and_followed_again() {
    let Some(reference) = Reference::start() else { return };
    let mut master = Client::connect(reference.port);
    for i in 0..2_000 {
        master.ask(&["SET", &format!("key:{i}"), "value"]);
    }
    let server = Server::with_config("save 3600 1\nenable-debug-command local\n");
    let mut replica = server.client();
    follow(&mut replica, reference.port);
    wait_for_link(&mut replica);
    for command in [&["MULTI"][..], &["INCR", "n"], &["SELECT", "3"], &["LPUSH", "l", "a", "b"], &["EXEC"]] {
        master.ask(command);
    }
    wait_for_all(&mut master, &mut replica);
    assert_eq!(replica.ask(&["DBSIZE"]), Reply::Int(2_001));
    replica.ask(&["SELECT", "3"]);
    assert_eq!(replica.ask(&["LRANGE", "l", "0", "-1"]), Reply::Array(vec![bulk("b"), bulk("a")]));
    assert!(replica.ask(&["CLIENT", "LIST", "TYPE", "master"]).text().contains("flags=M"));

    master.ask(&["CLIENT", "KILL", "TYPE", "replica"]);
    master.ask(&["SET", "after", "1"]);
    wait_until("the link is back", || master.info("sync_partial_ok") == "1");
    replica.ask(&["CLIENT", "KILL", "TYPE", "master"]);
    wait_until("the link is back again", || master.info("sync_partial_ok") == "2");
    wait_for_link(&mut replica);
    wait_for_all(&mut master, &mut replica);

    // The snapshot tells where the stream goes on.
    replica.send(&["SHUTDOWN"]);
    replica.until_closed();
    master.ask(&["SELECT", "3"]);
    master.ask(&["SET", "meanwhile", "1"]);
    let text = format!("save 3600 1\nreplicaof 127.0.0.1 {}\n", reference.port);
    let server = Server::in_folder(server.into_folder(), &text);
    let mut replica = server.client();
    wait_for_link(&mut replica);
    wait_for_all(&mut master, &mut replica);
    replica.ask(&["SELECT", "3"]);
    assert_eq!(replica.ask(&["GET", "meanwhile"]), bulk("1"));
    assert_eq!(master.info("sync_full"), "1");
}

#[test]
fn what_a_replica_refuses_and_what_it_becomes() {
    let (first, second) = (Server::with_config(MASTER), Server::with_config(REPLICA));
    let (mut master, mut replica) = (first.client(), second.client());
    master.ask(&["SET", "k", "1"]);
    follow(&mut replica, first.port);
    wait_for_link(&mut replica);
    assert_eq!(
        replica.ask(&["REPLICAOF", "127.0.0.1", &first.port.to_string()]),
        status("OK Already connected to specified master")
    );
    assert_eq!(replica.ask(&["SET", "k", "2"]), error("READONLY You can't write against a read only replica."));
    assert_eq!(replica.ask(&["GET", "k"]), bulk("1"));
    replica.ask(&["CONFIG", "SET", "replica-read-only", "no"]);
    replica.ask(&["SET", "own", "1", "PX", "100"]);
    let said = replica.ask(&["HELLO", "2"]);
    assert_eq!(said.list()[10..12], [bulk("role"), bulk("replica")]);
    wait_until("a key of its own expires", || replica.ask(&["DBSIZE"]) == Reply::Int(1));

    let id = replica.info("master_replid");
    assert_eq!(id, master.info("master_replid"));
    assert_eq!(replica.ask(&["SLAVEOF", "no", "one"]), status("OK"));
    assert_eq!(replica.info("role"), "master");
    assert_eq!(replica.info("master_replid2"), id);
    follow(&mut replica, 1);
    wait_until("the reason", || replica.info("master_link_error").starts_with("127.0.0.1:1 refuses connections"));
    replica.ask(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    assert!(replica.ask(&["GET", "k"]).text().contains("MASTERDOWN"));
}

/// A master that the test plays: answers each handshake up to PSYNC, and then says `sends`.
fn play_master(sends: &'static [&'static [u8]]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for (turn, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while let Some(Ok(line)) = lines.next() {
                let answer: &[u8] = match line.to_ascii_uppercase().as_str() {
                    "PING" => b"+PONG\r\n",
                    "REPLCONF" => b"+OK\r\n",
                    "PSYNC" => sends[turn.min(sends.len() - 1)],
                    _ => continue,
                };
                if stream.write_all(answer).is_err() {
                    break;
                }
                if line == "PSYNC" && turn + 1 < sends.len() {
                    break;
                }
            }
        }
    });
    port
}

#[test]
fn a_bad_data_set_leaves_the_old_one_and_the_server_alone() {
    for load in ["disabled", "swapdb"] {
        let server = Server::with_config(&format!("{REPLICA}repl-diskless-load {load}\n"));
        let mut client = server.client();
        client.ask(&["SET", "old", "data"]);
        let port = play_master(&[
            b"+FULLRESYNC 0123456789012345678901234567890123456789 7\r\n$EOF:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\
              REDIS0010 this is no data set at all, whatever it says of itself\
              aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ]);
        follow(&mut client, port);
        wait_until("the reason", || client.info("master_link_error").contains("cannot be loaded"));
        assert_eq!(client.ask(&["GET", "old"]), bulk("data"), "{load}");
        assert_eq!(client.info("master_link_status"), "down");
        assert!(server.log().contains("The next attempt to reach the master is made in"));
    }
}

#[test]
fn a_stream_without_sense_is_given_up_and_begun_anew() {
    // An empty data set of version 10 without a checksum, then commands.
    const EMPTY: &[u8] =
        b"+FULLRESYNC 0123456789012345678901234567890123456789 7\r\n$18\r\nREDIS0010\xff\0\0\0\0\0\0\0\0\
        *3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*3\r\n$x\r\n";
    let server = Server::with_config(REPLICA);
    let mut client = server.client();
    follow(&mut client, play_master(&[EMPTY]));
    wait_until("the reason", || client.info("master_link_error").contains("makes no sense"));
    assert_eq!(client.ask(&["GET", "a"]), bulk("1"));
    wait_until("another attempt", || server.log().matches("Full resync from master").count() > 1);
}

#[test]
fn a_replica_ends_over_an_error_if_it_was_told_to() {
    const DATA: &[u8] =
        b"+FULLRESYNC 0123456789012345678901234567890123456789 7\r\n$18\r\nREDIS0010\xff\0\0\0\0\0\0\0\0\
        *3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nx\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n";
    let mut server = Server::with_config(REPLICA);
    let mut client = server.client();
    follow(&mut client, play_master(&[DATA]));
    let said = "This replica is sending an error to its master: 'ERR value is not an integer or out of range'";
    wait_until("it goes on", || server.log().contains(said));
    assert_eq!(client.ask(&["GET", "a"]), bulk("x"));
    client.ask(&["REPLICAOF", "NO", "ONE"]);
    client.ask(&["CONFIG", "SET", "propagation-error-behavior", "panic-on-replicas"]);
    follow(&mut client, play_master(&[DATA]));
    assert_ne!(server.wait(), Some(0));
    assert!(server.log().contains("This replica panicked sending an error to its master after processing the command"));
}

#[test]
fn a_data_set_is_loaded_as_it_comes() {
    for load in ["on-empty-db", "swapdb"] {
        let first = Server::with_config(MASTER);
        let second = Server::with_config(&format!("{REPLICA}repl-diskless-load {load}\n"));
        let (mut master, mut replica) = (first.client(), second.client());
        master.ask(&["DEBUG", "POPULATE", "10000", "key", "100"]);
        follow(&mut replica, first.port);
        wait_for_link(&mut replica);
        master.ask(&["SET", "more", "1"]);
        wait_for_all(&mut master, &mut replica);
        assert_eq!(master.ask(&["DEBUG", "DIGEST"]), replica.ask(&["DEBUG", "DIGEST"]), "{load}");
        assert!(second.log().contains("to parser"));
    }
}

#[test]
fn a_master_that_is_gone_is_gone_for_whoever_asks_next() {
    let (first, second) = (Server::with_config(MASTER), Server::with_config(REPLICA));
    let (mut sleeper, mut replica) = (second.client(), second.client());
    follow(&mut replica, first.port);
    wait_for_link(&mut replica);
    // The end of the connection and the question are there when the replica wakes: both belong to one turn.
    sleeper.send(&["DEBUG", "SLEEP", "0.3"]);
    drop(first);
    assert_eq!(replica.info("master_link_status"), "down");
    assert_eq!(sleeper.reply(), status("OK"));
}
