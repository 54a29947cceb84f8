//! The runbook's rows C1 to C8: a master and a replica.
//!
//! Each test has the number of its row, and does what the notes do, in the spelling of the notes.

use std::net::TcpListener;

use crate::harness::{Client, Folder, Reply, Server, bulk, error, free_port, status, wait_until};

const SAVES_NOTHING: &str = "save \"\"\n";

/// Seven keys, as in the notes.
fn seven_keys(client: &mut Client) {
    for key in ["age", "qq", "name", "user2", "java framework", "a", "username"] {
        assert_eq!(client.ask(&["SET", key, "value"]), status("OK"));
    }
}

fn wait_for_link(replica: &mut Client) {
    wait_until("the link is up", || replica.info("master_link_status") == "up");
}

#[test]
fn c1_slaveof_in_the_file_is_followed_and_a_wrong_port_is_named() {
    let master = Server::with_config(&format!("{SAVES_NOTHING}requirepass johnny\n"));
    let text = format!("{SAVES_NOTHING}slaveof 127.0.0.1 {}\nmasterauth johnny\n", master.port);
    let replica = Server::with_config(&text);
    wait_for_link(&mut replica.client());
    assert!(replica.log().contains("MASTER <-> REPLICA sync: Finished with success"));

    // Nothing listens there, but on the usual port of that host somebody does, or did so before this test came.
    let host = "127.91.195.67";
    let usual = TcpListener::bind((host, 6379));
    assert!(usual.is_ok() || std::net::TcpStream::connect((host, 6379)).is_ok(), "{usual:?}");
    let wrong = free_port();
    let replica = Server::with_config(&format!("{SAVES_NOTHING}replicaof {host} {wrong}\nmasterauth johnny\n"));
    let mut client = replica.client();
    assert_eq!(client.info("role"), "slave");
    let said = format!("{host}:{wrong} refuses connections: nothing listens on {wrong} at that host (6379 answers)");
    wait_until("INFO says why", || client.info("master_link_error").starts_with(&said));
    let told = client.info("master_link_error");
    assert!(told.contains("; for ") && told.contains(" s, ") && told.ends_with(" attempts"), "since when: {told}");
    assert_eq!(client.info("master_link_status"), "down");
    assert_eq!(replica.log().matches(&said).count(), 1, "one line, not one each second");
}

#[test]
fn c2_a_missing_masterauth_is_named() {
    let master = Server::with_config(&format!("{SAVES_NOTHING}requirepass johnny\n"));
    let replica = Server::with_config(SAVES_NOTHING);
    let mut client = replica.client();
    assert_eq!(client.ask(&["SLAVEOF", "127.0.0.1", &master.port.to_string()]), status("OK"));
    let said = format!("127.0.0.1:{} asks for a password: set masterauth (and masteruser) here", master.port);
    wait_until("INFO says why", || client.info("master_link_error").starts_with(&said));
    wait_until("the log does too", || replica.log().contains(&said));
    assert_eq!(client.info("master_link_status"), "down");
    assert_eq!(client.ask(&["CONFIG", "SET", "masterauth", "johnny"]), status("OK"));
    wait_for_link(&mut client);
    assert_eq!(client.info("master_link_error"), "", "there is none any more");
}

#[test]
fn c3_auth_with_the_password() {
    let server = Server::with_config(&format!("{SAVES_NOTHING}requirepass johnny\n"));
    let mut client = server.client();
    assert_eq!(client.ask(&["GET", "a"]), error("NOAUTH Authentication required."));
    assert_eq!(client.ask(&["AUTH", "johnny"]), status("OK"));
    assert_eq!(client.ask(&["GET", "a"]), Reply::Nil);
}

#[test]
fn c4_slaveof_at_run_time_brings_the_masters_data() {
    let (master, replica) = (Server::with_config(SAVES_NOTHING), Server::with_config(SAVES_NOTHING));
    seven_keys(&mut master.client());
    let mut client = replica.client();
    assert_eq!(client.ask(&["SET", "old", "data"]), status("OK"));
    assert_eq!(client.ask(&["slaveof", "127.0.0.1", &master.port.to_string()]), status("OK"));
    wait_for_link(&mut client);
    assert_eq!(client.ask(&["EXISTS", "old"]), Reply::Int(0));
    assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(7));
    assert_eq!(client.ask(&["CONFIG", "GET", "slaveof"]).list()[1], bulk(&format!("127.0.0.1 {}", master.port)));
}

#[test]
fn c5_keys_on_the_replica_are_those_of_the_master() {
    let master = Server::with_config(SAVES_NOTHING);
    let mut client = master.client();
    seven_keys(&mut client);
    let replica = Server::with_config(&format!("{SAVES_NOTHING}slaveof 127.0.0.1 {}\n", master.port));
    let mut reader = replica.client();
    wait_for_link(&mut reader);
    let sorted = |reply: Reply| {
        let mut names: Vec<String> = reply.list().iter().map(Reply::text).collect();
        names.sort();
        names
    };
    let keys = sorted(reader.ask(&["keys", "*"]));
    assert_eq!(keys.len(), 7);
    assert_eq!(keys, sorted(client.ask(&["keys", "*"])));
}

#[test]
fn c6_a_replica_refuses_writes_until_it_is_told_otherwise() {
    let master = Server::with_config(SAVES_NOTHING);
    let replica = Server::with_config(&format!("{SAVES_NOTHING}slaveof 127.0.0.1 {}\n", master.port));
    let mut client = replica.client();
    wait_for_link(&mut client);
    assert_eq!(client.ask(&["set", "a", "a"]), error("READONLY You can't write against a read only replica."));
    assert_eq!(client.ask(&["CONFIG", "SET", "slave-read-only", "no"]), status("OK"));
    assert_eq!(client.ask(&["set", "a", "a"]), status("OK"));
    assert_eq!(client.ask(&["get", "a"]), bulk("a"));
    assert_eq!(master.client().ask(&["get", "a"]), Reply::Nil, "it does not go to the master");
}

#[test]
fn c7_slave_read_only_no_in_the_file() {
    let master = Server::with_config(SAVES_NOTHING);
    let text = format!("{SAVES_NOTHING}slaveof 127.0.0.1 {}\nslave-read-only no\n", master.port);
    let replica = Server::in_folder(Folder::new(), &text);
    let mut client = replica.client();
    wait_for_link(&mut client);
    assert_eq!(client.ask(&["set", "own", "1"]), status("OK"));
    assert_eq!(client.info("slave_read_only"), "0");
    assert_eq!(master.client().ask(&["get", "own"]), Reply::Nil);
}

#[test]
fn c8_what_is_set_on_the_master_appears_on_the_replica() {
    let master = Server::with_config(SAVES_NOTHING);
    let replica = Server::with_config(&format!("{SAVES_NOTHING}slaveof 127.0.0.1 {}\n", master.port));
    let (mut client, mut reader) = (master.client(), replica.client());
    wait_for_link(&mut reader);
    assert_eq!(client.ask(&["set", "a", "new"]), status("OK"));
    assert_eq!(client.ask(&["WAIT", "1", "10000"]), Reply::Int(1));
    assert_eq!(reader.ask(&["get", "a"]), bulk("new"));
}
