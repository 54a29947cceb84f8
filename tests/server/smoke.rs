//! The first things anybody does: ping, set, get, telnet, stop.

use crate::harness::{Folder, Server, bulk, error, run, status};

#[test]
fn ping_set_get() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(client.ask(&["PING"]), status("PONG"));
    assert_eq!(client.ask(&["PING", "hello"]), bulk("hello"));
    assert_eq!(client.ask(&["SET", "key", "value"]), status("OK"));
    assert_eq!(client.ask(&["GET", "key"]), bulk("value"));
    assert_eq!(client.ask(&["NOSUCH", "a"]).text(), "ERR unknown command 'NOSUCH', with args beginning with: 'a' ");
}

#[test]
fn inline_commands_and_quotes() {
    let server = Server::start();
    let mut client = server.client();
    client.send_raw(b"PING\r\n\r\nSET k \"a b\\n\"\nGET k\r\n");
    assert_eq!(client.reply(), status("PONG"));
    assert_eq!(client.reply(), status("OK"));
    assert_eq!(client.reply(), bulk("a b\n"));
    client.send_raw(b"SET k \"open\r\n");
    assert_eq!(client.reply(), error("ERR Protocol error: unbalanced quotes in request"));
    assert_eq!(client.until_closed(), b"");
}

#[test]
fn a_pipeline_is_answered_in_order() {
    let server = Server::start();
    let mut client = server.client();
    for i in 0..1000 {
        client.send(&["SET", &format!("key:{i}"), &i.to_string()]);
        client.send(&["GET", &format!("key:{i}")]);
    }
    for i in 0..1000 {
        assert_eq!(client.reply(), status("OK"));
        assert_eq!(client.reply(), bulk(&i.to_string()));
    }
}

#[test]
fn a_request_that_arrives_byte_by_byte() {
    let server = Server::start();
    let mut client = server.client();
    for byte in b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\nb\x00\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" {
        client.send_raw(&[*byte]);
    }
    assert_eq!(client.reply(), status("OK"));
    assert_eq!(client.reply(), bulk("a\r\nb\0"));
}

#[test]
fn shutdown_ends_with_0_and_says_goodbye() {
    let mut server = Server::start();
    let mut client = server.client();
    client.send(&["SHUTDOWN", "NOSAVE"]);
    assert_eq!(client.until_closed(), b"");
    assert_eq!(server.wait(), Some(0));
    assert!(server.log().contains("ready to exit, bye bye"));
    assert!(!server.folder.join("dump.rdb").exists());
}

#[test]
fn sigterm_ends_with_0_and_saves_when_there_are_save_points() {
    let mut server = Server::with_config("save 900 1\n");
    server.client().ask(&["SET", "kept", "yes"]);
    assert_eq!(server.stop(), Some(0));
    assert!(server.folder.join("dump.rdb").exists());
}

#[test]
fn a_restart_brings_the_keys_back() {
    let mut server = Server::with_config("");
    server.client().ask(&["SET", "kept", "yes"]);
    server.client().ask(&["SET", "short", "no", "PX", "1"]);
    assert_eq!(server.stop(), Some(0));
    let folder = std::mem::replace(&mut server.folder, Folder::new());
    let again = Server::in_folder(folder, "");
    assert_eq!(again.client().ask(&["GET", "kept"]), bulk("yes"));
    assert_eq!(again.client().ask(&["GET", "short"]), crate::harness::Reply::Nil);
}

#[test]
fn version_and_help_have_their_exit_codes() {
    let folder = Folder::new();
    let version = run(&folder, &["--version"]);
    assert_eq!(version.code, Some(0));
    assert!(version.output.starts_with("Redis server v="), "{}", version.output);
    assert_eq!(run(&folder, &["--help"]).code, Some(1));
}
