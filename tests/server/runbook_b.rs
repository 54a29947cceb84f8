//! The runbook's rows B1 to B4: several instances on one machine.
//!
//! Each test has the number of its row. The folder is always the same for both instances, as in the notes.

use crate::harness::{Folder, READY, Server, bulk, free_port, run, status};

/// Starts a second instance in the folder of the first; it is expected to end by itself.
fn second(first: &Server, port: u16, text: &str) -> (Option<i32>, String) {
    let dir = first.folder.path().display();
    let conf = first.folder.write("redis-test.conf", &format!("port {port}\ndir {dir}\n{text}"));
    let ended = run(&first.folder, &[&conf]);
    (ended.code, ended.output)
}

/// Starts a second instance in the folder of the first, which is expected to run, and stops it again.
fn second_runs(first: &Server, text: &str) {
    let dir = first.folder.path().display().to_string();
    let conf = first.folder.write("redis-test.conf", &format!("dir {dir}\n{text}"));
    let mut other = Server::with_args(Folder::new(), |port| vec![conf.clone(), "--port".to_string(), port.to_string()]);
    assert_eq!(other.client().config("dir"), dir);
    assert_eq!(first.client().ask(&["PING"]), status("PONG"));
    assert_eq!(other.stop(), Some(0));
}

#[test]
fn b1_a_second_instance_never_takes_the_files_of_the_first() {
    let mut first = Server::with_config("save 900 1\n");
    assert_eq!(first.client().ask(&["SET", "mine", "1"]), status("OK"));
    assert_eq!(first.client().ask(&["SAVE"]), status("OK"));
    let port = free_port();
    let (code, output) = second(&first, port, "save 900 1\n");
    assert_eq!(code, Some(1), "{output}");
    assert!(!output.contains(READY), "{output}");
    for told in [first.pid().to_string(), first.port.to_string(), "dbfilename".to_string()] {
        assert!(output.contains(&told), "{told} in: {output}");
    }
    assert_eq!(first.client().ask(&["GET", "mine"]), bulk("1"));
    assert_eq!(first.stop(), Some(0));
    // The lock ends with the process that held it.
    let folder = std::mem::replace(&mut first.folder, Folder::new());
    let again = Server::in_folder(folder, "save 900 1\n");
    assert_eq!(again.client().ask(&["GET", "mine"]), bulk("1"));
}

#[test]
fn b1_a_killed_instance_leaves_no_lock() {
    let mut first = Server::with_config("save 900 1\n");
    first.signal(nix::sys::signal::Signal::SIGKILL);
    assert_eq!(first.wait(), None);
    let folder = std::mem::replace(&mut first.folder, Folder::new());
    let again = Server::in_folder(folder, "save 900 1\n");
    assert_eq!(again.client().ask(&["PING"]), status("PONG"));
}

#[test]
fn b1_other_file_names_in_one_folder_run_as_ever() {
    let first = Server::with_config("save 900 1\n");
    second_runs(&first, "save 900 1\ndbfilename test.rdb\n");
}

#[test]
fn b1_two_that_save_nothing_run_as_ever() {
    let first = Server::with_config("save \"\"\n");
    second_runs(&first, "save \"\"\n");
}

#[test]
fn b1_file_lock_no_switches_the_guard_off() {
    let first = Server::with_config("save 900 1\n");
    second_runs(&first, "save 900 1\nfile-lock no\n");
}

#[test]
fn b2_a_file_that_is_not_there_ends_the_start() {
    let folder = Folder::new();
    folder.write("redis-test.conf", "");
    let ended = run(&folder, &["./redis\u{2014}test.conf"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.output.contains("redis\u{2014}test.conf"), "{}", ended.output);
    assert!(ended.output.contains("No such file or directory"), "{}", ended.output);
}

#[test]
fn b3_all_addresses_in_protected_mode_by_default() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(client.config("bind"), "* -::*");
    assert_eq!(client.config("protected-mode"), "yes");
    // 0.0.0.0 in hexadecimal, the port, state 0A = listening.
    let listening = format!(" 00000000:{:04X} 00000000:0000 0A ", server.port);
    assert!(std::fs::read_to_string("/proc/net/tcp").unwrap().contains(&listening));
}

#[test]
fn b4_telnet_gets_an_answer() {
    let server = Server::start();
    let mut telnet = server.client();
    telnet.send_raw(b"ping\r\n");
    assert_eq!(telnet.reply(), status("PONG"));
    telnet.send_raw(b"set greeting 'hello there'\r\nget greeting\r\nquit\r\n");
    assert_eq!(telnet.reply(), status("OK"));
    assert_eq!(telnet.reply(), bulk("hello there"));
    assert_eq!(telnet.reply(), status("OK"));
    assert_eq!(telnet.until_closed(), b"");
}
