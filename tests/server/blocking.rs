//! Clients that wait for lists: who is served, in which order, and what ends a wait.

use crate::harness::{Client, Reply, Server, bulk, error, status, wait_until};

/// Sends a command that blocks, and returns when the server has parked it.
fn park(watcher: &mut Client, client: &mut Client, command: &[&str]) {
    let before: u64 = watcher.info("blocked_clients").parse().expect("a number");
    client.send(command);
    wait_until("the client to block", || watcher.info("blocked_clients").parse() == Ok(before + 1));
}

fn pair(key: &str, element: &str) -> Reply {
    Reply::Array(vec![bulk(key), bulk(element)])
}

#[test]
fn first_come_first_served_and_each_element_once() {
    let server = Server::start();
    let mut pusher = server.client();
    let mut waiters: Vec<Client> = (0..3).map(|_| server.client()).collect();
    for waiter in &mut waiters {
        park(&mut pusher, waiter, &["BLPOP", "list", "0"]);
    }
    assert_eq!(pusher.ask(&["RPUSH", "list", "a", "b"]), Reply::Int(2));
    assert_eq!(waiters[0].reply(), pair("list", "a"));
    assert_eq!(waiters[1].reply(), pair("list", "b"));
    assert_eq!(pusher.info("blocked_clients"), "1");
    assert_eq!(pusher.ask(&["EXISTS", "list"]), Reply::Int(0));
    assert_eq!(pusher.ask(&["LPUSH", "list", "c"]), Reply::Int(1));
    assert_eq!(waiters[2].reply(), pair("list", "c"));
    assert_eq!(pusher.info("total_blocking_keys"), "0");
}

#[test]
fn of_several_keys_the_one_that_was_ready_first_counts() {
    let server = Server::start();
    let (mut pusher, mut waiter) = (server.client(), server.client());
    park(&mut pusher, &mut waiter, &["BLPOP", "one", "two", "0"]);
    pusher.ask(&["MULTI"]);
    pusher.ask(&["RPUSH", "two", "2"]);
    pusher.ask(&["RPUSH", "one", "1"]);
    pusher.ask(&["EXEC"]);
    assert_eq!(waiter.reply(), pair("two", "2"));
    assert_eq!(pusher.ask(&["LLEN", "one"]), Reply::Int(1));
    park(&mut pusher, &mut waiter, &["BLMPOP", "0", "3", "a", "b", "c", "RIGHT", "COUNT", "2"]);
    pusher.ask(&["RPUSH", "b", "1", "2", "3"]);
    let elements = Reply::Array(vec![bulk("3"), bulk("2")]);
    assert_eq!(waiter.reply(), Reply::Array(vec![bulk("b"), elements]));
}

#[test]
fn what_a_served_client_pushes_serves_the_next() {
    let server = Server::start();
    let mut pusher = server.client();
    let (mut first, mut second, mut last) = (server.client(), server.client(), server.client());
    park(&mut pusher, &mut last, &["BLPOP", "c", "0"]);
    park(&mut pusher, &mut second, &["BRPOPLPUSH", "b", "c", "0"]);
    park(&mut pusher, &mut first, &["BLMOVE", "a", "b", "LEFT", "RIGHT", "0"]);
    assert_eq!(pusher.ask(&["RPUSH", "a", "x"]), Reply::Int(1));
    assert_eq!(first.reply(), bulk("x"));
    assert_eq!(second.reply(), bulk("x"));
    assert_eq!(last.reply(), pair("c", "x"));
    assert_eq!(pusher.ask(&["DBSIZE"]), Reply::Int(0));
}

#[test]
fn a_key_of_another_type_leaves_them_waiting_and_a_bad_target_ends_the_wait() {
    let server = Server::start();
    let (mut pusher, mut waiter) = (server.client(), server.client());
    park(&mut pusher, &mut waiter, &["BLPOP", "k", "0"]);
    pusher.ask(&["SET", "k", "v"]);
    assert_eq!(pusher.info("blocked_clients"), "1");
    pusher.ask(&["DEL", "k"]);
    pusher.ask(&["RPUSH", "k", "x"]);
    assert_eq!(waiter.reply(), pair("k", "x"));
    pusher.ask(&["SET", "target", "v"]);
    park(&mut pusher, &mut waiter, &["BLMOVE", "k", "target", "LEFT", "LEFT", "0"]);
    pusher.ask(&["RPUSH", "k", "y"]);
    assert_eq!(waiter.reply(), error("WRONGTYPE Operation against a key holding the wrong kind of value"));
    assert_eq!(pusher.ask(&["LRANGE", "k", "0", "-1"]), Reply::Array(vec![bulk("y")]));
}

#[test]
fn nobody_sees_what_a_transaction_takes_back() {
    let server = Server::start();
    let (mut pusher, mut waiter) = (server.client(), server.client());
    park(&mut pusher, &mut waiter, &["BLPOP", "k", "0"]);
    pusher.ask(&["MULTI"]);
    pusher.ask(&["RPUSH", "k", "gone"]);
    pusher.ask(&["DEL", "k"]);
    pusher.ask(&["EXEC"]);
    assert_eq!(pusher.info("blocked_clients"), "1");
    pusher.ask(&["RPUSH", "k", "there"]);
    assert_eq!(waiter.reply(), pair("k", "there"));
}

#[test]
fn where_nobody_may_wait_the_answer_is_nothing() {
    let server = Server::start();
    let mut client = server.client();
    client.ask(&["MULTI"]);
    client.ask(&["BLPOP", "k", "0"]);
    client.ask(&["BLMOVE", "k", "l", "LEFT", "LEFT", "0"]);
    client.ask(&["BLMPOP", "0", "1", "k", "LEFT"]);
    client.send_raw(b"EXEC\r\n");
    assert_eq!(client.reply(), Reply::Array(vec![Reply::Nil, Reply::Nil, Reply::Nil]));
    for command in [&["BLMPOP", "0.01", "1", "k", "LEFT"][..], &["BLMOVE", "k", "l", "LEFT", "LEFT", "0.01"]] {
        assert_eq!(client.ask(command), Reply::Nil, "{command:?}");
    }
    assert_eq!(client.ask(&["PING"]), status("PONG"));
}

#[test]
fn a_move_to_the_same_list_serves_the_mover_again_and_again() {
    let server = Server::start();
    let (mut pusher, mut mover, mut popper) = (server.client(), server.client(), server.client());
    park(&mut pusher, &mut mover, &["BRPOPLPUSH", "k", "k", "0"]);
    park(&mut pusher, &mut popper, &["BLPOP", "k", "0"]);
    pusher.ask(&["RPUSH", "k", "x"]);
    assert_eq!(mover.reply(), bulk("x"));
    assert_eq!(popper.reply(), pair("k", "x"));
    assert_eq!(pusher.ask(&["EXISTS", "k"]), Reply::Int(0));
}
