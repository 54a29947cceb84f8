//! The append only file, as an admin meets it: restarts, kills, torn tails, flipped bits, switching it on.
//!
//! *Duty:* what only whole processes can show. *Does not know:* the formats (tests of `aof`).

use crate::harness::{Client, Folder, READY, Reply, Server, bulk, run, status, wait_until};
use nix::sys::signal::Signal;
use std::fs;
use std::path::PathBuf;

/// No snapshot, no rewrite by itself.
const ON: &str = "save \"\"\nappendonly yes\nauto-aof-rewrite-percentage 0\nenable-debug-command local\n";

#[track_caller]
fn start(folder: Folder, config: &str) -> Server {
    let before = folder.read("stdout").matches(READY).count();
    let server = Server::in_folder(folder, config);
    wait_until("the data to be loaded", || server.log().matches(READY).count() > before);
    server
}

/// Ends the server as a crash does, and gives its folder back.
fn kill(mut server: Server) -> Folder {
    server.signal(Signal::SIGKILL);
    server.wait();
    server.into_folder()
}

fn increment(folder: &Folder) -> PathBuf {
    let names = fs::read_dir(folder.join("appendonlydir")).unwrap().map(|entry| entry.unwrap().path());
    let mut increments: Vec<PathBuf> = names.filter(|path| path.to_str().unwrap().ends_with(".incr.aof")).collect();
    assert_eq!(increments.len(), 1, "{increments:?}");
    increments.remove(0)
}

/// `dir` changes: the files follow, and at no moment is there nothing whole to start with.
#[test]
fn a_new_dir_takes_the_files_along() {
    let config = format!("{ON}enable-protected-configs yes\n");
    let server = start(Folder::new(), &config);
    let mut client = server.client();
    let new = server.folder().join("new");
    fs::create_dir(&new).unwrap();
    client.ask(&["SET", "before", "1"]);
    // Long enough to look into the folders.
    client.ask(&["CONFIG", "SET", "rdb-key-save-delay", "1000000"]);
    assert_eq!(client.ask(&["CONFIG", "SET", "dir", new.to_str().unwrap()]), status("OK"));
    wait_until("the rewrite", || client.info("aof_rewrite_in_progress") == "1");
    client.ask(&["SET", "meanwhile", "1"]);
    let manifest = new.join("appendonlydir/appendonly.aof.manifest");
    assert!(!manifest.exists(), "nothing names files that are not there yet");
    wait_until("the files to follow", || manifest.exists() && client.info("aof_rewrite_in_progress") == "0");
    client.ask(&["SET", "after", "1"]);
    let mut server = server;
    server.signal(Signal::SIGKILL);
    server.wait();
    let folder = server.into_folder();
    let keys = ["before", "meanwhile", "after"];
    let ask = |mut client: Client| keys.map(|key| client.ask(&["GET", key]));
    let there = Folder::new();
    let moved = Server::in_folder(there, &format!("{ON}dir {}\n", new.display()));
    wait_until("the new folder to be loaded", || moved.log().contains(READY));
    assert_eq!(ask(moved.client()), [bulk("1"), bulk("1"), bulk("1")]);
    drop(moved);
    // What stayed behind is whole as well: the increment is the same file.
    let old = start(folder, ON);
    assert_eq!(ask(old.client()), [bulk("1"), bulk("1"), bulk("1")]);
}

/// One change of each type, and a transaction over two databases.
fn change_everything(client: &mut Client) {
    let changes: [&[&str]; 13] = [
        &["SET", "string", "a b\r\nc"],
        &["SET", "soon", "gone", "PX", "1"],
        &["INCRBYFLOAT", "float", "1.5"],
        &["RPUSH", "list", "1", "two", ""],
        &["HSET", "hash", "field", "value"],
        &["HEXPIRE", "hash", "1000", "FIELDS", "1", "field"],
        &["SADD", "set", "a", "b", "c"],
        &["SPOP", "set"],
        &["ZADD", "zset", "1.5", "one", "inf", "all"],
        &["XADD", "stream", "*", "name", "value"],
        &["XGROUP", "CREATE", "stream", "group", "0"],
        &["XREADGROUP", "GROUP", "group", "me", "STREAMS", "stream", ">"],
        &["PFADD", "hll", "a", "b"],
    ];
    for change in changes {
        assert!(!matches!(client.ask(change), Reply::Error(_)), "{change:?}");
    }
    for line in
        [&["SELECT", "3"][..], &["MULTI"], &["SET", "x", "1"], &["LPUSH", "y", "1"], &["EXEC"], &["SELECT", "0"]]
    {
        client.ask(line);
    }
}

fn digest(client: &mut Client) -> String {
    client.ask(&["DEBUG", "DIGEST"]).text()
}

#[test]
fn acknowledged_changes_of_every_type_survive_a_kill() {
    for fsync in ["always", "everysec", "no"] {
        for preamble in ["yes", "no"] {
            let config = format!("{ON}appendfsync {fsync}\naof-use-rdb-preamble {preamble}\n");
            let server = start(Folder::new(), &config);
            let mut client = server.client();
            change_everything(&mut client);
            assert_eq!(client.ask(&["BGREWRITEAOF"]), status("Background append only file rewriting started"));
            wait_until("the rewrite", || server.log().contains("AOF rewrite finished successfully"));
            client.ask(&["APPEND", "string", "behind the rewrite"]);
            wait_until("the key to expire", || client.ask(&["EXISTS", "soon"]) == Reply::Int(0));
            let before = digest(&mut client);
            let server = start(kill(server), &config);
            assert_eq!(digest(&mut server.client()), before, "{fsync}, preamble {preamble}");
        }
    }
}

#[test]
fn a_torn_tail_is_cut_where_that_is_allowed_and_kept_beside() {
    let server = start(Folder::new(), ON);
    let mut client = server.client();
    client.ask(&["SET", "kept", "1"]);
    client.ask(&["SET", "torn", "2"]);
    let folder = kill(server);
    let path = increment(&folder);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 3]).unwrap();

    let refused = run(&folder, &["--appendonly", "yes", "--port", "0", "--aof-load-truncated", "no"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.output.contains("Unexpected end of file reading the append only file"), "{}", refused.output);
    assert_eq!(fs::read(&path).unwrap(), &whole[..whole.len() - 3], "it was not touched");

    let server = start(folder, ON);
    let mut client = server.client();
    assert_eq!(client.ask(&["GET", "kept"]), bulk("1"));
    assert_eq!(client.ask(&["GET", "torn"]), Reply::Nil);
    assert_eq!(client.ask(&["SET", "after", "3"]), status("OK"));
    let folder = kill(server);
    let cut = whole.len() - b"*3\r\n$3\r\nSET\r\n$4\r\ntorn\r\n$1\r\n2\r\n".len();
    let beside = fs::read_dir(folder.join("appendonlydir")).unwrap().map(|entry| entry.unwrap().path());
    let beside: Vec<PathBuf> = beside.filter(|path| path.to_str().unwrap().contains(".cut-")).collect();
    assert_eq!(beside.len(), 1);
    assert_eq!(fs::read(&beside[0]).unwrap(), &whole[cut..whole.len() - 3]);
    let server = start(folder, &format!("{ON}aof-load-truncated no\n"));
    assert_eq!(server.client().ask(&["GET", "after"]), bulk("3"));
}

#[test]
fn an_unfinished_transaction_is_dropped_as_a_whole() {
    let server = start(Folder::new(), ON);
    let mut client = server.client();
    for line in [&["SET", "before", "1"][..], &["MULTI"], &["SET", "a", "1"], &["SET", "b", "1"], &["EXEC"]] {
        client.ask(line);
    }
    let folder = kill(server);
    let path = increment(&folder);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, whole.strip_suffix(b"*1\r\n$4\r\nEXEC\r\n").unwrap()).unwrap();
    let server = start(folder, ON);
    assert!(server.log().contains("Revert incomplete MULTI/EXEC transaction"));
    let mut client = server.client();
    assert_eq!(client.ask(&["EXISTS", "before", "a", "b"]), Reply::Int(1));
}

#[test]
fn no_flipped_bit_is_read_as_truth() {
    let server = start(Folder::new(), ON);
    let mut client = server.client();
    for i in 0..20 {
        client.ask(&["SET", &format!("key:{i}"), &format!("value {i}")]);
    }
    // The sums are written out by cron, or at the end.
    let mut server = server;
    server.stop();
    let folder = server.into_folder();
    let path = increment(&folder);
    let whole = fs::read(&path).unwrap();
    for n in 0..40 {
        let at = n * whole.len() / 40;
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (n % 8);
        fs::write(&path, &flipped).unwrap();
        let ended = run(&folder, &["--appendonly", "yes", "--port", "0", "--save", ""]);
        assert_eq!(ended.code, Some(1), "byte {at}");
        assert!(ended.output.contains("is damaged: bytes"), "byte {at}: {}", ended.output);
        assert_eq!(fs::read(&path).unwrap(), flipped, "it was not touched");
    }
    fs::write(&path, &whole).unwrap();
    let server = start(folder, ON);
    assert_eq!(server.client().ask(&["DBSIZE"]), Reply::Int(20));
}

#[test]
fn a_snapshot_is_where_a_new_append_only_file_begins() {
    let mut server = start(Folder::new(), "save \"\"\n");
    let mut client = server.client();
    client.ask(&["SET", "from", "the snapshot"]);
    assert_eq!(client.ask(&["SAVE"]), status("OK"));
    server.stop();
    let server = start(server.into_folder(), ON);
    let mut client = server.client();
    assert_eq!(client.ask(&["GET", "from"]), bulk("the snapshot"));
    assert_eq!(client.info("aof_bootstrapped_from_rdb"), "1");
    let folder = kill(server);
    fs::remove_file(folder.join("dump.rdb")).unwrap();
    let server = start(folder, ON);
    let mut client = server.client();
    assert_eq!(client.ask(&["GET", "from"]), bulk("the snapshot"));
    assert_eq!(client.info("aof_bootstrapped_from_rdb"), "0");
}

#[test]
fn it_is_switched_on_and_off_while_the_server_runs() {
    let server = start(Folder::new(), "save \"\"\n");
    let mut client = server.client();
    client.ask(&["SET", "before", "1"]);
    assert_eq!(client.ask(&["CONFIG", "SET", "appendonly", "yes"]), status("OK"));
    client.ask(&["SET", "while", "2"]);
    wait_until("the first rewrite", || client.info("aof_last_rewrite_time_sec") != "-1");
    assert_eq!(client.info("aof_enabled"), "1");
    client.ask(&["SET", "after", "3"]);
    let server = start(kill(server), ON);
    let mut client = server.client();
    assert_eq!(client.ask(&["EXISTS", "before", "while", "after"]), Reply::Int(3));
    assert_eq!(client.ask(&["CONFIG", "SET", "appendonly", "no"]), status("OK"));
    assert_eq!(client.info("aof_enabled"), "0");
    client.ask(&["SET", "unheard", "4"]);
    let server = start(kill(server), ON);
    assert_eq!(server.client().ask(&["EXISTS", "before", "after", "unheard"]), Reply::Int(2));
}

#[test]
fn two_servers_do_not_write_one_append_only_file() {
    let server = start(Folder::new(), ON);
    let dir = server.folder.path().to_str().unwrap().to_owned();
    let other = Folder::new();
    let refused = run(&other, &["--dir", &dir, "--appendonly", "yes", "--save", "", "--port", "0"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.output.contains("Another running instance writes"), "{}", refused.output);
    assert!(refused.output.contains("appendfilename"), "{}", refused.output);
    // Another name, and the same snapshot, which neither of them would load.
    let config = format!("dir {dir}\nsave 3600 1\nappendonly yes\nappendfilename other.aof\n");
    assert_eq!(start(other, &config).client().ask(&["PING"]), status("PONG"));
    assert_eq!(server.client().ask(&["CONFIG", "SET", "save", "3600 1"]), status("OK"));
}
