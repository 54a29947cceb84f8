//! What DEBUG does to the process itself, and how the process is watched and bound: restarts, the watchdog, lists of
//! processors, the ways in which it ends.

use crate::harness::*;

const DEBUG: &str = "enable-debug-command local\nsave \"\"\n";

#[test]
fn a_restart_keeps_the_process_and_what_was_saved() {
    let server = Server::with_config("enable-debug-command local\nsave 900 1\nwatchdog-period 500\n");
    let pid = server.client().info("process_id");
    server.client().ask(&["SET", "saved", "1"]);
    assert_eq!(server.client().ask(&["CONFIG", "SET", "maxmemory-clients", "20mb"]), status("OK"));
    let old_run = server.client().info("run_id");
    let mut client = server.client();
    client.send(&["DEBUG", "RESTART", "10"]);
    client.until_closed();
    wait_until("the new run", || server.log().matches("Ready to accept connections").count() == 2);
    let mut client = server.client();
    assert_eq!((client.info("process_id"), client.info("run_id") == old_run), (pid.clone(), false));
    assert_eq!(client.ask(&["GET", "saved"]), bulk("1"));
    assert_eq!(client.config("maxmemory-clients"), "20971520");
    client.ask(&["SET", "lost", "1"]);
    client.send(&["DEBUG", "CRASH-AND-RECOVER"]);
    client.until_closed();
    wait_until("the third run", || server.log().matches("Ready to accept connections").count() == 3);
    let mut client = server.client();
    assert_eq!((client.info("process_id"), client.ask(&["EXISTS", "saved", "lost"])), (pid, Reply::Int(1)));
}

#[test]
fn the_watchdog_tells_of_a_loop_that_stands_still() {
    let server = Server::with_config(&format!("{DEBUG}hz 100\n"));
    let mut client = server.client();
    assert_eq!(client.ask(&["CONFIG", "SET", "watchdog-period", "50"]), status("OK"));
    client.ask(&["DEBUG", "SLEEP", "0.3"]);
    let log = server.log();
    let report = log.split("--- WATCHDOG TIMER EXPIRED ---").nth(1).expect("a report");
    assert!(report.contains("------ STACK TRACE ------"), "{report}");
    wait_until("the names of the functions", || server.log().contains("::debugCommand"));
    let log = server.log();
    assert_eq!(client.ask(&["CONFIG", "SET", "watchdog-period", "0"]), status("OK"));
    client.ask(&["DEBUG", "SLEEP", "0.3"]);
    assert_eq!(server.log().matches("WATCHDOG").count(), log.matches("WATCHDOG").count());
}

#[test]
fn threads_run_where_their_lists_say() {
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let allowed = |status: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        line.unwrap().trim().to_owned()
    };
    let all = allowed(&own);
    let (first, last) = (all.split([',', '-']).next().unwrap(), all.rsplit([',', '-']).next().unwrap());
    let server = Server::with_config(&format!("server_cpulist {first}\nbio_cpulist {last}\n"));
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let mut found: Vec<(String, String)> = tasks
        .map(|task| {
            let read = |name: &str| std::fs::read_to_string(task.as_ref().unwrap().path().join(name)).unwrap();
            (read("comm").trim().to_owned(), allowed(&read("status")))
        })
        .collect();
    found.sort();
    assert_eq!(found[0], ("bio".to_owned(), last.to_owned()));
    assert_eq!((found.len(), &found[1].1), (2, &first.to_owned()));
}

#[test]
fn a_failed_assertion_may_end_in_an_exit() {
    let mut server = Server::with_config(&format!("{DEBUG}use-exit-on-panic yes\n"));
    let mut client = server.client();
    client.send(&["DEBUG", "PANIC"]);
    client.until_closed();
    assert_eq!(server.wait(), Some(1));
    assert!(server.log().contains("REDIS BUG REPORT END"));
}

#[test]
fn small_ones() {
    let server = Server::with_config(DEBUG);
    let mut client = server.client();
    assert_eq!(client.ask(&["DEBUG", "LEAK", "x"]), status("OK"));
    assert_eq!(client.ask(&["DEBUG", "SET-DISABLE-DENY-SCRIPTS", "1"]), status("OK"));
    assert_eq!(client.ask(&["DEBUG", "CLIENT-EVICTION"]), error("ERR maxmemory-clients is disabled."));
    client.ask(&["CONFIG", "SET", "maxmemory-clients", "10mb"]);
    let table = client.ask(&["DEBUG", "CLIENT-EVICTION"]).text();
    assert_eq!(table.lines().count(), 19);
    assert!(table.starts_with("bucket          0 -      32767: tot-mem: "), "{table}");
    assert!(table.lines().next().unwrap().ends_with(", clients: 1"), "{table}");
}
