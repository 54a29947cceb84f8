//! Connections and what they may say of themselves and of each other: HELLO, AUTH, RESET, CLIENT, DEBUG, FLUSHALL.

use crate::harness::{Client, Reply, Server, bulk, error, status, wait_until};

const DEBUG: &str = "enable-debug-command local\nsave \"\"\n";

/// A field of the line that CLIENT INFO shows.
fn own(client: &mut Client, field: &str) -> String {
    field_of(&client.ask(&["CLIENT", "INFO"]).text(), field)
}

fn field_of(line: &str, field: &str) -> String {
    let value = line.split_whitespace().find_map(|f| f.strip_prefix(&format!("{field}=")));
    value.unwrap_or_else(|| panic!("{field} in {line}")).to_string()
}

#[test]
fn hello_switches_the_protocol_and_introduces_the_server() {
    let server = Server::start();
    let mut client = server.client();
    let Reply::Map(map) = client.ask(&["HELLO", "3", "SETNAME", "me"]) else { panic!("a map") };
    assert_eq!(map[..4], [bulk("server"), bulk("redis"), bulk("version"), bulk("7.4.0")]);
    assert_eq!(map[4..6], [bulk("proto"), Reply::Int(3)]);
    assert_eq!(map[8..12], [bulk("mode"), bulk("standalone"), bulk("role"), bulk("master")]);
    assert_eq!(map[12..], [bulk("modules"), Reply::Array(vec![])]);
    assert_eq!(client.ask(&["CLIENT", "GETNAME"]), bulk("me"));
    assert_eq!((own(&mut client, "resp"), own(&mut client, "name")), ("3".into(), "me".into()));
    assert!(matches!(client.ask(&["HELLO", "2"]), Reply::Array(_)));
    assert_eq!(client.ask(&["HELLO", "4"]), error("NOPROTO unsupported protocol version"));
    assert_eq!(client.ask(&["HELLO", "3", "NOSUCH"]), error("ERR Syntax error in HELLO option 'NOSUCH'"));
    assert_eq!(own(&mut client, "resp"), "2");
}

#[test]
fn who_is_no_node_of_a_cluster_says_so() {
    let server = Server::start();
    let mut client = server.client();
    for command in ["READONLY", "READWRITE", "ASKING"] {
        assert_eq!(client.ask(&[command]), error("ERR This instance has cluster support disabled"));
    }
    assert_eq!(client.ask(&["READONLY", "1"]), error("ERR wrong number of arguments for 'readonly' command"));
    assert_eq!(client.ask(&["ACL", "SETUSER", "bob", "on", "nopass", "+readonly"]), status("OK"));
    assert_eq!(client.ask(&["ACL", "DRYRUN", "bob", "READONLY"]), status("OK"));
}

#[test]
fn a_password_keeps_strangers_out() {
    let server = Server::with_config("requirepass secret\n");
    let mut client = server.client();
    let noauth = error("NOAUTH Authentication required.");
    let wrong = error("WRONGPASS invalid username-password pair or user is disabled.");
    assert_eq!(client.ask(&["GET", "a"]), noauth);
    assert!(client.ask(&["HELLO", "3"]).text().starts_with("NOAUTH HELLO must be called"));
    assert_eq!(client.ask(&["AUTH", "secre"]), wrong);
    assert_eq!(client.ask(&["AUTH", "other", "secret"]), wrong);
    assert_eq!(client.ask(&["AUTH", "default", "secret"]), status("OK"));
    assert_eq!(client.ask(&["GET", "a"]), Reply::Nil);
    assert_eq!(client.ask(&["RESET"]), status("RESET"));
    assert_eq!(client.ask(&["GET", "a"]), noauth);
    assert!(matches!(client.ask(&["HELLO", "3", "AUTH", "default", "secret"]), Reply::Map(_)));
    assert_eq!(client.ask(&["GET", "a"]), Reply::Nil);
}

#[test]
fn without_a_password_auth_says_so() {
    let server = Server::start();
    let mut client = server.client();
    assert!(client.ask(&["AUTH", "x"]).text().starts_with("ERR AUTH <password> called without any password"));
    assert_eq!(client.ask(&["AUTH", "default", "x"]), status("OK"));
}

#[test]
fn ping_has_another_form_for_who_listens_in_resp2() {
    let server = Server::start();
    let mut client = server.client();
    client.ask(&["SUBSCRIBE", "news"]);
    assert_eq!(client.ask(&["PING"]), Reply::Array(vec![bulk("pong"), bulk("")]));
    assert_eq!(client.ask(&["PING", "x"]), Reply::Array(vec![bulk("pong"), bulk("x")]));
    assert_eq!(client.ask(&["RESET"]), status("RESET"));
    assert_eq!(client.ask(&["PING"]), status("PONG"));
}

#[test]
fn reset_begins_anew() {
    let server = Server::start();
    let mut client = server.client();
    for command in ["SELECT 3", "CLIENT SETNAME me", "CLIENT NO-TOUCH on", "WATCH a", "MULTI", "GET a"] {
        client.ask(&command.split(' ').collect::<Vec<_>>());
    }
    assert_eq!(client.ask(&["RESET"]), status("RESET"));
    let line = client.ask(&["CLIENT", "INFO"]).text();
    let fields = ["db", "name", "flags", "multi"].map(|f| field_of(&line, f));
    assert_eq!(fields, ["0", "", "N", "-1"]);
    assert_eq!(client.ask(&["EXEC"]), error("ERR EXEC without MULTI"));
}

#[test]
fn quit_is_answered_and_closes_even_where_no_reply_is_wanted() {
    let server = Server::start();
    let mut client = server.client();
    client.send_raw(b"QUIT\r\nPING\r\n");
    assert_eq!(client.until_closed(), b"+OK\r\n");
    let mut silent = server.client();
    silent.send_raw(b"CLIENT REPLY OFF\r\nQUIT\r\n");
    assert_eq!(silent.until_closed(), b"");
}

#[test]
fn client_reply_decides_which_replies_come() {
    let server = Server::start();
    let mut client = server.client();
    client.send_raw(b"CLIENT REPLY SKIP\r\nPING a\r\nPING b\r\n");
    assert_eq!(client.reply(), bulk("b"));
    client.send_raw(b"CLIENT REPLY SKIP\r\nNOSUCH\r\nPING c\r\n");
    assert_eq!(client.reply(), bulk("c"));
    client.send_raw(b"CLIENT REPLY OFF\r\nPING d\r\nNOSUCH\r\nCLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nPING e\r\n");
    assert_eq!((client.reply(), client.reply()), (status("OK"), bulk("e")));
}

#[test]
fn client_list_shows_each_connection_in_one_line() {
    let server = Server::start();
    let (mut client, mut other) = (server.client(), server.client());
    client.ask(&["CLIENT", "SETINFO", "lib-name", "redis-x"]);
    client.ask(&["CLIENT", "SETINFO", "LIB-VER", "1.2"]);
    assert_eq!(
        client.ask(&["CLIENT", "SETINFO", "lib-ver", "a b"]),
        error("ERR lib-ver cannot contain spaces, newlines or special characters.")
    );
    other.ask(&["PSUBSCRIBE", "x*"]);
    let text = client.ask(&["CLIENT", "LIST"]).text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    let names: Vec<&str> = lines[0].split_whitespace().map(|f| f.split_once('=').unwrap().0).collect();
    let wanted = "id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem rbs rbp \
                  obl oll omem tot-mem events cmd user redir resp lib-name lib-ver";
    assert_eq!(names, wanted.split_whitespace().collect::<Vec<_>>());
    let mine = ["qbuf", "argv-mem", "cmd", "lib-name", "lib-ver"].map(|f| field_of(lines[0], f));
    assert_eq!(mine, ["26", "10", "client|list", "redis-x", "1.2"]);
    let theirs = ["flags", "psub", "cmd"].map(|f| field_of(lines[1], f));
    assert_eq!(theirs, ["P", "1", "psubscribe"]);
    let listeners = client.ask(&["CLIENT", "LIST", "TYPE", "pubsub"]).text();
    assert_eq!(field_of(&listeners, "id"), field_of(lines[1], "id"));
    let nobody = client.ask(&["CLIENT", "LIST", "ID", "999", "998"]);
    assert_eq!(nobody, bulk(""));
}

#[test]
fn an_ended_connection_takes_no_element_with_it() {
    let server = Server::start();
    let (mut client, mut waiter) = (server.client(), server.client());
    let Reply::Int(id) = waiter.ask(&["CLIENT", "ID"]) else { panic!("an id") };
    waiter.send(&["BLPOP", "queue", "0"]);
    wait_until("the waiter to wait", || {
        field_of(&client.ask(&["CLIENT", "LIST", "ID", &id.to_string(), "0"]).text(), "flags") == "b"
    });
    client.send_raw(format!("CLIENT KILL ID {id}\r\nRPUSH queue kept\r\nLRANGE queue 0 -1\r\n").as_bytes());
    assert_eq!((client.reply(), client.reply()), (Reply::Int(1), Reply::Int(1)));
    assert_eq!(client.reply(), Reply::Array(vec![bulk("kept")]));
    assert_eq!(waiter.until_closed(), b"");
}

#[test]
fn client_kill_finds_whom_it_means_and_answers_itself_first() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(client.ask(&["CLIENT", "KILL", "1.2.3.4:5"]), error("ERR No such client"));
    assert_eq!(client.ask(&["CLIENT", "KILL", "MAXAGE", "1000", "SKIPME", "no"]), Reply::Int(0));
    let addr = own(&mut client, "addr");
    assert_eq!(client.ask(&["CLIENT", "KILL", "ADDR", &addr]), Reply::Int(0));
    assert_eq!(client.ask(&["CLIENT", "KILL", &addr]), status("OK"));
    assert_eq!(client.until_closed(), b"");
}

#[test]
fn client_unblock_ends_a_wait_in_either_way() {
    let server = Server::start();
    let (mut client, mut waiter) = (server.client(), server.client());
    let Reply::Int(id) = waiter.ask(&["CLIENT", "ID"]) else { panic!("an id") };
    let id = id.to_string();
    assert_eq!(client.ask(&["CLIENT", "UNBLOCK", &id]), Reply::Int(0));
    for (why, answer) in [("TIMEOUT", Reply::Nil), ("ERROR", error("UNBLOCKED client unblocked via CLIENT UNBLOCK"))] {
        waiter.send(&["BLPOP", "nothing", "0"]);
        wait_until("the wait to end", || client.ask(&["CLIENT", "UNBLOCK", &id, why]) == Reply::Int(1));
        assert_eq!(waiter.reply(), answer);
    }
}

#[test]
fn flushing_is_a_change_to_who_watches_what_was_there() {
    let server = Server::with_config(DEBUG);
    let (mut client, mut watcher) = (server.client(), server.client());
    let mut commits = |prepare: &[&str], flush: &str| {
        client.ask(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        client.ask(prepare);
        client.ask(&["DEBUG", "SLEEP", "0.01"]);
        watcher.ask(&["WATCH", "a"]);
        assert_eq!(client.ask(&[flush]), status("OK"));
        watcher.ask(&["MULTI"]);
        watcher.ask(&["PING"]);
        watcher.ask(&["EXEC"]) != Reply::Nil
    };
    assert!(!commits(&["SET", "a", "1"], "FLUSHALL"));
    assert!(!commits(&["SET", "a", "1"], "FLUSHDB"));
    assert!(commits(&["SET", "b", "1"], "FLUSHALL"));
    // Gone for its deadline already when the watch began.
    assert!(commits(&["SET", "a", "1", "PX", "1"], "FLUSHALL"));
}

#[test]
fn debug_is_for_whom_the_configuration_allows() {
    let server = Server::start();
    let refused = server.client().ask(&["DEBUG", "SLEEP", "0"]).text();
    assert!(refused.starts_with("ERR DEBUG command not allowed. If the enable-debug-command"));
    let server = Server::with_config(DEBUG);
    let mut client = server.client();
    assert_eq!(client.ask(&["DEBUG", "SLEEP", "0"]), status("OK"));
    assert_eq!(
        client.ask(&["DEBUG", "NOSUCH"]),
        error("ERR unknown subcommand or wrong number of arguments for 'NOSUCH'. Try DEBUG HELP.")
    );
}

#[test]
fn debug_digest_depends_on_the_data_alone() {
    let server = Server::with_config(DEBUG);
    let mut client = server.client();
    let empty = client.ask(&["DEBUG", "DIGEST"]);
    assert_eq!(empty, status(&"0".repeat(40)));
    client.ask(&["MSET", "a", "1", "b", "2"]);
    let digest = client.ask(&["DEBUG", "DIGEST"]);
    client.ask(&["FLUSHALL"]);
    client.ask(&["SET", "b", "2"]);
    assert_ne!(client.ask(&["DEBUG", "DIGEST"]), digest);
    client.ask(&["SET", "a", "1"]);
    assert_eq!(client.ask(&["DEBUG", "DIGEST"]), digest);
    client.ask(&["SET", "c", "1"]);
    let values = client.ask(&["DEBUG", "DIGEST-VALUE", "a", "b", "c"]);
    assert!(values.list()[0] == values.list()[2] && values.list()[0] != values.list()[1]);
}

#[test]
fn debug_digest_is_the_one_of_a_real_server() {
    let server = Server::with_config(DEBUG);
    let mut client = server.client();
    for command in [
        "SET a 12 PXAT 4102444800000",
        "RPUSH l one 2 3",
        "SADD s a 7 bc",
        "HSET h f v g 2",
        "ZADD z 1.1 m -inf n",
        "XADD x 1-2 f v",
    ] {
        client.ask(&command.split(' ').collect::<Vec<_>>());
    }
    assert_eq!(client.ask(&["DEBUG", "DIGEST"]), status("a31149a86344814a63c1c31a938c50dad69be599"));
    let missing = client.ask(&["DEBUG", "DIGEST-VALUE", "none", "x"]);
    assert_eq!(missing.list(), [status(&"0".repeat(40)), status("e447c781d6afa47d4b7e754569e4d422c853f851")]);
}

#[test]
fn a_number_that_grows_stays_where_it_is() {
    let server = Server::with_config(DEBUG);
    let mut client = server.client();
    client.ask(&["SET", "n", "20000"]);
    let mut place = || {
        let line = client.ask(&["DEBUG", "OBJECT", "n"]).text();
        client.ask(&["INCR", "n"]);
        line.split(' ').nth(1).unwrap().to_string()
    };
    assert_eq!(place(), place());
    assert_eq!(client.ask(&["DEBUG", "OBJECT", "none"]), error("ERR no such key"));
}

#[test]
fn debug_populate_makes_keys_and_leaves_those_there_are() {
    let server = Server::with_config(DEBUG);
    let mut client = server.client();
    client.ask(&["SET", "k:1", "mine"]);
    assert_eq!(client.ask(&["DEBUG", "POPULATE", "1000", "k", "10"]), status("OK"));
    assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(1000));
    assert_eq!(client.ask(&["GET", "k:1"]), bulk("mine"));
    assert_eq!(client.ask(&["GET", "k:999"]), bulk("value:999\0"));
}

#[test]
fn debug_segfault_and_panic_end_the_process_with_a_report() {
    for (subcommand, word) in [("SEGFAULT", "crashed by signal: 11"), ("PANIC", "DEBUG PANIC called at Unix time")] {
        let mut server = Server::with_config(DEBUG);
        let mut client = server.client();
        client.send(&["DEBUG", subcommand]);
        assert_eq!(client.until_closed(), b"");
        assert_eq!(server.wait(), None, "ended by a signal");
        assert!(server.log().contains(word), "{subcommand}");
    }
}
