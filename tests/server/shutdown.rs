//! SHUTDOWN in all its forms, signals, and what the kernel is told of the process.

use nix::sys::signal::Signal;

use crate::harness::{Server, error, status, wait_until};

#[test]
fn words_that_do_not_fit_are_refused() {
    let server = Server::start();
    let mut client = server.client();
    for words in [
        &["SAVE", "NOSAVE"][..],
        &["NOSAVE", "SAVE"],
        &["ABORT", "NOW"],
        &["FORCE", "ABORT"],
        &["SAVE", "ABORT"],
        &["LATER"],
    ] {
        let request: Vec<&str> = std::iter::once("SHUTDOWN").chain(words.iter().copied()).collect();
        assert_eq!(client.ask(&request), error("ERR syntax error"), "{words:?}");
    }
    assert_eq!(client.ask(&["SHUTDOWN", "abort", "ABORT"]), error("ERR No shutdown in progress."));
    client.ask(&["MULTI"]);
    assert_eq!(client.ask(&["SHUTDOWN"]), error("ERR Command not allowed inside a transaction"));
}

#[test]
fn a_signal_can_be_called_off_and_obeyed_later() {
    let mut server = Server::with_config("enable-debug-command yes\nsave \"\"\n");
    let mut client = server.client();
    client.ask(&["DEBUG", "PAUSE-CRON", "1"]);
    server.signal(Signal::SIGTERM);
    wait_until("the signal is seen", || {
        client.ask(&["PING"]);
        server.log().contains("Received SIGTERM scheduling shutdown...")
    });
    assert_eq!(client.ask(&["SHUTDOWN", "ABORT"]), status("OK"));
    assert!(server.log().contains("Shutdown manually aborted."));
    client.ask(&["DEBUG", "PAUSE-CRON", "0"]);
    assert_eq!(client.ask(&["PING"]), status("PONG"));
    server.signal(Signal::SIGINT);
    assert_eq!(server.wait(), Some(0), "the first SIGINT after the abort is no insisting one");
}

#[test]
fn a_save_that_fails_keeps_the_server_unless_it_is_told_to_go() {
    for force in [false, true] {
        let mut server = Server::with_config("save 900 1\n");
        std::fs::create_dir(server.folder.join("dump.rdb")).unwrap();
        let mut client = server.client();
        client.ask(&["SET", "k", "v"]);
        let failed = error("ERR Errors trying to SHUTDOWN. Check logs.");
        assert_eq!(client.ask(&["SHUTDOWN"]), failed);
        assert_eq!(client.ask(&["SHUTDOWN", "NOW"]), failed);
        server.signal(Signal::SIGTERM);
        let said = "Errors trying to shut down the server";
        wait_until("the signal has failed too", || server.log().matches(said).count() == 3);
        assert_eq!(client.ask(&["PING"]), status("PONG"));
        client.send(if force { &["SHUTDOWN", "FORCE"] } else { &["SHUTDOWN", "NOSAVE"] });
        assert_eq!(client.until_closed(), b"");
        assert_eq!(server.wait(), Some(0));
    }
}

#[test]
fn what_a_signal_stands_for_is_configured() {
    let mut server = Server::with_config("save 900 1\nshutdown-on-sigterm nosave now\n");
    let mut client = server.client();
    client.ask(&["SET", "k", "v"]);
    assert_eq!(server.stop(), Some(0));
    assert!(!server.folder.join("dump.rdb").exists());
    let mut server = Server::start();
    let mut client = server.client();
    client.ask(&["SET", "k", "v"]);
    client.ask(&["CONFIG", "SET", "shutdown-on-sigint", "save"]);
    server.signal(Signal::SIGINT);
    assert_eq!(server.wait(), Some(0));
    assert!(server.folder.join("dump.rdb").exists());
}

#[test]
fn the_oom_score_follows_the_configuration_and_comes_back() {
    let server = Server::start();
    let mut client = server.client();
    let file = format!("/proc/{}/oom_score_adj", server.pid());
    let score = || std::fs::read_to_string(&file).unwrap().trim().parse::<i32>().unwrap();
    let before = score();
    client.ask(&["CONFIG", "SET", "oom-score-adj-values", "10 20 30"]);
    assert_eq!(score(), before, "it is off");
    assert_eq!(client.ask(&["CONFIG", "SET", "oom-score-adj", "relative"]), status("OK"));
    assert_eq!(score(), before + 10);
    client.ask(&["CONFIG", "SET", "oom-score-adj-values", "15 20 30"]);
    assert_eq!(score(), before + 15);
    client.ask(&["CONFIG", "SET", "oom-score-adj-values", "800 800 900", "oom-score-adj", "absolute"]);
    assert_eq!(score(), 800);
    client.ask(&["CONFIG", "SET", "oom-score-adj", "no"]);
    assert_eq!(score(), before);
    std::fs::write(&file, (before + 22).to_string()).unwrap();
    client.ask(&["CONFIG", "SET", "oom-score-adj-values", "9 9 9", "oom-score-adj", "yes"]);
    assert_eq!(score(), before + 31, "what it was when it was switched on counts");
}

#[test]
fn more_clients_than_the_kernel_admits_are_refused() {
    let server = Server::start();
    let mut client = server.client();
    let reply = client.ask(&["CONFIG", "SET", "maxclients", "4000000000"]).text();
    assert!(reply.contains("The operating system is not able to handle the specified number of clients"), "{reply}");
    assert_eq!(client.config("maxclients"), "10000");
    assert_eq!(client.ask(&["CONFIG", "SET", "maxclients", "9000"]), status("OK"));
}
