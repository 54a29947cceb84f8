//! CONFIG GET and SET: values, refusals, and that a change takes effect.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Client, Folder, Reply, Server, bulk, error, free_port, status, wait_until};

fn set(client: &mut Client, words: &[&str]) -> String {
    let request: Vec<&str> = ["CONFIG", "SET"].iter().chain(words).copied().collect();
    client.ask(&request).text()
}

fn refusal(name: &str, reason: &str) -> String {
    format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")
}

#[test]
fn values_are_set_together_or_not_at_all() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(set(&mut client, &["timeout", "100", "maxmemory", "1gb"]), "OK");
    assert_eq!((client.config("timeout"), client.config("maxmemory")), ("100".into(), "1073741824".into()));
    let bad = set(&mut client, &["timeout", "1", "maxmemory-policy", "none"]);
    assert!(bad.starts_with("ERR CONFIG SET failed (possibly related to argument 'maxmemory-policy') - "), "{bad}");
    assert_eq!(client.config("timeout"), "100");
    assert_eq!(
        set(&mut client, &["port", "1", "daemonize", "yes"]),
        refusal("daemonize", "can't set immutable config")
    );
    assert_eq!(set(&mut client, &["a", "1", "b"]), "ERR syntax error");
    assert_eq!(client.ask(&["CONFIG", "GET", "nosuch"]).list(), []);
    assert_eq!(client.ask(&["CONFIG", "GET", "timeou*", "MAXMEMORY"]).list().len(), 4);
}

#[test]
fn a_value_that_cannot_take_effect_leaves_the_old_ones() {
    let server = Server::start();
    let mut client = server.client();
    let taken = Server::start();
    let port = taken.port.to_string();
    let text = refusal("port", "Unable to listen on this port. Check server logs.");
    assert_eq!(set(&mut client, &["maxmemory", "1gb", "port", &port]), text);
    assert_eq!((client.config("port"), client.config("maxmemory")), (server.port.to_string(), "0".into()));
    // An address for documentation, which no machine has.
    let text = refusal("bind", "Failed to bind to specified addresses.");
    assert_eq!(set(&mut client, &["bind", "192.0.2.1"]), text);
    assert_eq!(server.client().ask(&["ECHO", "still here"]), bulk("still here"));
    let text = refusal("tls-port", "TLS is not part of this release yet");
    assert_eq!(set(&mut client, &["tls-port", "1"]), text);
    assert_eq!(client.config("tls-port"), "0");
}

#[test]
fn more_clients_than_files_are_refused_with_a_number_that_fits() {
    let server = Server::start();
    let mut client = server.client();
    let text = set(&mut client, &["maxclients", "4000000000"]);
    let start =
        refusal("maxclients", "The operating system is not able to handle the specified number of clients, try with ");
    let fits = text.strip_prefix(&start).expect(&text);
    assert_eq!(client.config("maxclients"), "10000");
    assert_eq!(set(&mut client, &["maxclients", fits]), "OK");
}

#[test]
fn listeners_move_while_clients_stay() {
    let folder = Folder::new();
    let socket = folder.join("socket");
    let server = Server::in_folder(folder, &format!("unixsocket {}\n", socket.display()));
    let mut client = server.client();
    let port = free_port();
    assert_eq!(set(&mut client, &["port", &port.to_string()]), "OK");
    assert!(TcpStream::connect(("127.0.0.1", server.port)).is_err());
    assert_eq!(Client::connect(port).ask(&["ECHO", "a"]), bulk("a"));
    assert_eq!(set(&mut client, &["bind", "127.0.0.1 -192.0.2.1"]), "OK");
    assert_eq!(client.config("bind"), "127.0.0.1 -192.0.2.1");
    assert_eq!(Client::connect(port).ask(&["ECHO", "b"]), bulk("b"));
    assert_eq!(client.info("listener0"), format!("name=tcp,bind=127.0.0.1,bind=-192.0.2.1,port={port}"));
    assert_eq!(set(&mut client, &["port", "0"]), "OK");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    use std::io::{Read, Write};
    let mut unix = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    unix.write_all(b"ECHO unix\r\n").unwrap();
    let mut answer = [0; 10];
    unix.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"$4\r\nunix\r\n");
}

#[test]
fn dir_is_protected_and_absolute() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(set(&mut client, &["dir", "/"]), refusal("dir", "can't set protected config"));
    let server = Server::with_config("enable-protected-configs local\n");
    let mut client = server.client();
    let below = server.folder.join("below");
    std::fs::create_dir(&below).unwrap();
    assert_eq!(set(&mut client, &["dir", "below"]), "OK");
    assert_eq!(client.config("dir"), below.display().to_string());
    assert_eq!(set(&mut client, &["dir", "nosuch"]), refusal("dir", "No such file or directory"));
    assert_eq!(client.config("dir"), below.display().to_string());
}

#[test]
fn files_of_a_running_instance_are_not_taken_over() {
    let holder = Server::with_config("save 900 1\n");
    let server = Server::with_config("save 900 1\nenable-protected-configs yes\n");
    let mut client = server.client();
    let theirs = holder.folder.path().display().to_string();
    let text = set(&mut client, &["dir", &theirs]);
    assert!(text.contains("Another running instance writes"), "{text}");
    assert_eq!(client.config("dir"), server.folder.path().display().to_string());
    assert_eq!(set(&mut client, &["dir", &theirs, "dbfilename", "other.rdb"]), "OK");
}

#[test]
fn changes_take_effect_at_once() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(set(&mut client, &["hz", "100", "dynamic-hz", "no"]), "OK");
    assert_eq!(client.info("hz"), "100");
    client.ask(&["SET", "n", "5"]);
    assert_eq!(set(&mut client, &["maxmemory-policy", "allkeys-lfu", "maxmemory", "1gb"]), "OK");
    assert_eq!(client.ask(&["OBJECT", "REFCOUNT", "n"]), crate::harness::Reply::Int(1));
    assert_eq!(set(&mut client, &["maxmemory", "1"]), "OK");
    assert_eq!(client.ask(&["SET", "m", "5"]), error("OOM command not allowed when used memory > 'maxmemory'."));
    assert_eq!(set(&mut client, &["maxmemory", "0"]), "OK");
    assert_eq!(client.ask(&["SET", "m", "5"]), status("OK"));
    assert_eq!(set(&mut client, &["proto-max-bulk-len", "1mb"]), "OK");
    assert_eq!(
        client.ask(&["SETRANGE", "m", "1048576", "x"]).text(),
        "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
    );
}

#[test]
fn events_flow_when_they_are_asked_for() {
    let server = Server::start();
    let (mut client, mut listener) = (server.client(), server.client());
    listener.ask(&["SUBSCRIBE", "__keyevent@0__:set"]);
    client.ask(&["SET", "before", "1"]);
    assert_eq!(set(&mut client, &["notify-keyspace-events", "KEA"]), "OK");
    assert_eq!(client.config("notify-keyspace-events"), "AKE");
    client.ask(&["SET", "after", "1"]);
    assert_eq!(listener.reply().list()[2], bulk("after"));
}

#[test]
fn a_password_locks_out_new_clients_only() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(set(&mut client, &["requirepass", "secret"]), "OK");
    assert_eq!(client.ask(&["ECHO", "still in"]), bulk("still in"));
    let mut stranger = server.client();
    assert_eq!(stranger.ask(&["ECHO", "x"]), error("NOAUTH Authentication required."));
    assert!(stranger.ask(&["AUTH", "wrong"]).text().starts_with("WRONGPASS"));
    assert_eq!(stranger.ask(&["AUTH", "secret"]), status("OK"));
    assert_eq!(client.info("acl_access_denied_auth"), "1");
}

#[test]
fn the_log_talks_as_much_as_it_is_told_to() {
    let server = Server::start();
    let mut client = server.client();
    drop(server.client());
    assert_eq!(set(&mut client, &["loglevel", "verbose"]), "OK");
    drop(server.client());
    wait_until("the line about a closed connection", || server.log().contains("Client closed connection"));
}

#[test]
fn a_rewrite_keeps_the_file_and_brings_the_values_back() {
    let text = "# mine\nmaxmemory 100mb\nsave 900 1\n\nrename-command FLUSHALL wipe\n";
    let mut server = Server::with_config(text);
    let mut client = server.client();
    let changes = ["CONFIG", "SET", "maxmemory", "1gb", "save", "60 1 30 5", "hash-max-ziplist-entries", "7"];
    assert_eq!(client.ask(&changes), status("OK"));
    let path = server.folder.join("redis.conf");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(client.ask(&["CONFIG", "REWRITE"]), status("OK"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    let written = server.folder.read("redis.conf");
    assert!(written.contains("\n# mine\nmaxmemory 1gb\nsave 60 1\n"), "{written}");
    assert!(written.contains("\n# Generated by CONFIG REWRITE\n"), "{written}");
    assert!(written.contains("\nrename-command FLUSHALL wipe\n"), "{written}");
    client.ask(&["CONFIG", "SET", "save", ""]);
    assert_eq!(server.stop(), Some(0));
    let ours: Vec<&str> = written.lines().filter(|line| !line.starts_with("port ")).collect();
    let server = Server::in_folder(server.into_folder(), &ours.join("\n"));
    let mut client = server.client();
    assert_eq!(client.config("maxmemory"), "1073741824");
    assert_eq!(client.config("save"), "60 1 30 5");
    assert_eq!(client.config("hash-max-listpack-entries"), "7");
    assert_eq!(client.ask(&["wipe"]), status("OK"));
}

#[test]
fn a_rewrite_that_cannot_be_written_changes_nothing() {
    let server = Server::with_config("timeout 5\n");
    let mut client = server.client();
    let before = server.folder.read("redis.conf");
    client.ask(&["CONFIG", "SET", "timeout", "6"]);
    // A folder of the temporary file's name stands in the way.
    let beside = server.folder.join(&format!("redis.conf.{}.tmp", server.pid()));
    std::fs::create_dir(&beside).unwrap();
    assert_eq!(client.ask(&["CONFIG", "REWRITE"]), error("ERR Rewriting config file: File exists"));
    assert_eq!(server.folder.read("redis.conf"), before);
    std::fs::remove_dir(&beside).unwrap();
    assert_eq!(client.ask(&["CONFIG", "REWRITE"]), status("OK"));
    assert!(server.folder.read("redis.conf").contains("timeout 6\n"));
}

#[test]
fn the_lock_of_a_new_name_is_had_before_the_old_one_goes() {
    let first = Server::with_config("save 900 1\nenable-protected-configs yes\n");
    let second = Server::with_config("save 900 1\nenable-protected-configs yes\n");
    let (mut client, folder) = (second.client(), second.folder.path().display().to_string());
    let theirs = first.folder.path().display().to_string();
    let Reply::Error(text) = client.ask(&["CONFIG", "SET", "dir", &theirs]) else { panic!("two writers of one file") };
    assert!(text.contains("Another running instance writes"), "{text}");
    assert_eq!(client.config("dir"), folder);
    assert!(second.folder.join(".dump.rdb.lock").exists(), "the refused change has taken nothing away");
    assert_eq!(client.ask(&["CONFIG", "SET", "dbfilename", "other.rdb"]), status("OK"));
    assert!(second.folder.join(".other.rdb.lock").exists() && !second.folder.join(".dump.rdb.lock").exists());
    assert_eq!(client.ask(&["CONFIG", "SET", "save", ""]), status("OK"));
    assert!(!second.folder.join(".other.rdb.lock").exists());
}

#[test]
fn defragmentation_is_refused_as_by_a_build_without_it() {
    let server = Server::start();
    let text = "ERR CONFIG SET failed (possibly related to argument 'activedefrag') - Active defragmentation cannot be \
                enabled: it requires a Redis server compiled with a modified Jemalloc like the one shipped by default \
                with the Redis source distribution";
    assert_eq!(server.client().ask(&["CONFIG", "SET", "activedefrag", "yes"]), error(text));
    assert_eq!(server.client().ask(&["CONFIG", "SET", "activedefrag", "no"]), status("OK"));
}
