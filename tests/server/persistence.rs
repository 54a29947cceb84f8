//! Snapshots, as an admin meets them: restarts, kills, full folders, damaged files.
//!
//! *Duty:* what only whole processes can show: children, signals, files as they are left behind.
//! *Does not know:* the format (tests of `rdb`).

use crate::harness::{Client, Folder, READY, Reply, Server, bulk, error, free_port, run, status, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

/// No snapshot by itself.
const MANUAL: &str = "save \"\"\n";
/// Save points that no test reaches.
const GUARDED: &str = "save 3600 1000000\n";
const LOADING: &str = "LOADING Redis is loading the dataset in memory";

/// Starts a server and waits until it has loaded.
#[track_caller]
fn start(folder: Folder, config: &str) -> Server {
    let before = folder.read("stdout").matches(READY).count();
    let server = Server::in_folder(folder, config);
    wait_until("the data to be loaded", || server.log().matches(READY).count() > before);
    server
}

#[track_caller]
fn fill(client: &mut Client, keys: std::ops::Range<usize>, value: &str) {
    for i in keys.clone() {
        client.send(&["SET", &format!("key:{i}"), value]);
    }
    keys.for_each(|_| assert_eq!(client.reply(), status("OK")));
}

#[track_caller]
fn wait_for_log(server: &Server, text: &str) {
    wait_until(text, || server.log().contains(text));
}

/// Starts a BGSAVE and waits for its temporary file; the child's pid.
#[track_caller]
fn begin_bgsave(server: &Server, client: &mut Client) -> Pid {
    assert_eq!(client.ask(&["BGSAVE"]), status("Background saving started"));
    wait_for_log(server, "Background saving started by pid ");
    let log = server.log();
    let (_, rest) = log.rsplit_once("Background saving started by pid ").unwrap();
    let pid: i32 = rest.lines().next().unwrap().parse().unwrap();
    wait_until("the temporary file", || !temp_files(&server.folder).is_empty());
    assert_eq!(temp_files(&server.folder), [format!("temp-{pid}.rdb")]);
    Pid::from_raw(pid)
}

fn temp_files(folder: &Folder) -> Vec<String> {
    let names = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    names.filter(|name| name.starts_with("temp-")).collect()
}

fn dump(folder: &Folder) -> Vec<u8> {
    fs::read(folder.join("dump.rdb")).unwrap()
}

#[test]
fn what_was_saved_is_there_after_a_crash() {
    let server = start(Folder::new(), MANUAL);
    let mut client = server.client();
    let long = "0123456789".repeat(1000);
    client.ask(&["SET", "text", "a value"]);
    client.ask(&["SET", "number", "-42"]);
    client.ask(&["SET", "long", &long]);
    client.ask(&["SET", "soon", "x", "PX", "1"]);
    client.ask(&["SET", "late", "y", "PX", "100000000"]);
    client.ask(&["RPUSH", "list", "1", "two", &long]);
    client.ask(&["SELECT", "9"]);
    client.ask(&["SET", "text", "elsewhere"]);
    client.ask(&["SELECT", "0"]);
    let deadline = client.ask(&["PEXPIRETIME", "late"]);
    assert_eq!(client.ask(&["SAVE"]), status("OK"));
    assert!(matches!(client.ask(&["LASTSAVE"]), Reply::Int(seconds) if seconds > 1_700_000_000));
    let mode = fs::metadata(server.folder.join("dump.rdb")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    client.ask(&["SET", "unsaved", "z"]);

    let server = start(server.into_folder(), MANUAL);
    let mut client = server.client();
    assert_eq!(client.ask(&["GET", "text"]), bulk("a value"));
    assert_eq!(client.ask(&["INCR", "number"]), Reply::Int(-41));
    assert_eq!(client.ask(&["GET", "long"]), bulk(&long));
    assert_eq!(client.ask(&["EXISTS", "soon", "unsaved"]), Reply::Int(0));
    assert_eq!(client.ask(&["PEXPIRETIME", "late"]), deadline);
    let list = [bulk("1"), bulk("two"), bulk(&long)];
    assert_eq!(client.ask(&["LRANGE", "list", "0", "-1"]), Reply::Array(list.to_vec()));
    client.ask(&["SELECT", "9"]);
    assert_eq!(client.ask(&["GET", "text"]), bulk("elsewhere"));
    wait_for_log(&server, "DB loaded from disk: ");
}

#[test]
fn a_background_save_holds_what_there_was_when_it_began() {
    let server = start(Folder::new(), &format!("{MANUAL}rdb-key-save-delay 500\n"));
    let mut client = server.client();
    fill(&mut client, 0..1000, "before");
    begin_bgsave(&server, &mut client);
    assert_eq!(client.ask(&["BGSAVE"]), error("ERR Background save already in progress"));
    assert_eq!(client.ask(&["SAVE"]), error("ERR Background save already in progress"));
    fill(&mut client, 0..2000, "after");
    wait_for_log(&server, "Background saving terminated with success");
    assert_eq!(temp_files(&server.folder), [""; 0]);

    let server = start(server.into_folder(), MANUAL);
    let mut client = server.client();
    for i in 0..1000 {
        assert_eq!(client.ask(&["GET", &format!("key:{i}")]), bulk("before"));
    }
    assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(1000));
}

#[test]
fn a_killed_child_leaves_the_old_file_and_stops_writes() {
    let server = start(Folder::new(), &format!("{GUARDED}rdb-key-save-delay 1000\n"));
    let mut client = server.client();
    client.ask(&["SET", "old", "1"]);
    assert_eq!(client.ask(&["SAVE"]), status("OK"));
    let old = dump(&server.folder);
    fill(&mut client, 0..1000, "new");

    let child = begin_bgsave(&server, &mut client);
    kill(child, Signal::SIGUSR1).unwrap();
    wait_for_log(&server, "Background saving terminated by signal 10");
    assert_eq!(client.ask(&["SET", "a", "asked to stop is no error"]), status("OK"));

    let child = begin_bgsave(&server, &mut client);
    kill(child, Signal::SIGKILL).unwrap();
    wait_for_log(&server, "Background saving terminated by signal 9");
    assert_eq!(temp_files(&server.folder), [""; 0]);
    assert_eq!(dump(&server.folder), old);
    let refused = client.ask(&["SET", "a", "b"]).text();
    assert!(refused.starts_with("MISCONF Redis is configured to save RDB snapshots"), "{refused}");
    assert_eq!(client.ask(&["GET", "old"]), bulk("1"));
    assert_eq!(client.ask(&["SAVE"]), status("OK"));
    assert_eq!(client.ask(&["SET", "a", "b"]), status("OK"));
}

#[test]
fn a_killed_server_takes_its_child_along_and_the_next_one_clears_up() {
    let server = start(Folder::new(), &format!("{MANUAL}rdb-key-save-delay 1000\n"));
    let mut client = server.client();
    fill(&mut client, 0..100, "old");
    assert_eq!(client.ask(&["SAVE"]), status("OK"));
    let old = dump(&server.folder);
    fill(&mut client, 0..5000, "new");
    let child = begin_bgsave(&server, &mut client);
    let folder = server.into_folder();
    // A zombie nobody collects is gone all the same.
    wait_until("the child to end", || {
        let text = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        text.is_empty() || text.contains("State:\tZ")
    });
    assert_eq!(temp_files(&folder), [format!("temp-{child}.rdb")]);
    assert_eq!(dump(&folder), old);

    let server = start(folder, MANUAL);
    let child_is_collected = !fs::exists(format!("/proc/{child}")).unwrap();
    if child_is_collected {
        assert_eq!(temp_files(&server.folder), [""; 0]);
    }
    let mut client = server.client();
    assert_eq!(client.ask(&["GET", "key:7"]), bulk("old"));
    assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(100));
}

/// Starts a server on a dump that it must refuse; what it said.
#[track_caller]
fn refused(folder: &Folder, bytes: &[u8]) -> String {
    fs::write(folder.join("dump.rdb"), bytes).unwrap();
    // Its former port may be somebody else's by now.
    let mut ended = run(folder, &["redis.conf", "--port", &free_port().to_string()]);
    while ended.output.contains("in use") {
        ended = run(folder, &["redis.conf", "--port", &free_port().to_string()]);
    }
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert_eq!(dump(folder), bytes, "the damaged file was changed");
    let says = ended.output;
    for line in ["RDB ERROR DETECTED", "Terminating server after rdb file reading failure."] {
        assert!(says.contains(line), "{line} is missing in:\n{says}");
    }
    assert!(!says.contains(READY), "{says}");
    says
}

#[test]
fn a_damaged_file_is_refused_and_left_alone() {
    let server = start(Folder::new(), MANUAL);
    let mut client = server.client();
    fill(&mut client, 0..100, "some value");
    assert_eq!(client.ask(&["SAVE"]), status("OK"));
    let folder = server.into_folder();
    let good = dump(&folder);

    let cut = good.len() / 2;
    let says = refused(&folder, &good[..cut]);
    assert!(says.contains("Short read or OOM loading DB"), "{says}");
    // The field that is cut off begins at the offset; which key that is differs from run to run.
    let (_, rest) = says.split_once("[offset ").unwrap();
    let offset: usize = rest.split(']').next().unwrap().parse().unwrap();
    assert!((cut - 11..=cut).contains(&offset), "cut at {cut}: {says}");

    let mut flipped = good.clone();
    let at = good.windows(10).position(|w| w == b"some value").unwrap();
    flipped[at] ^= 1;
    let says = refused(&folder, &flipped);
    assert!(says.contains("CRC error") && says.contains("wrong checksum"), "{says}");

    let mut magic = good.clone();
    magic[0] = b'X';
    let says = refused(&folder, &magic);
    assert!(says.contains("Wrong signature trying to load DB from file"), "{says}");

    fs::write(folder.join("dump.rdb"), &good).unwrap();
    assert_eq!(start(folder, MANUAL).client().ask(&["DBSIZE"]), Reply::Int(100));
}

#[test]
fn writes_stop_while_snapshots_fail_and_go_on_when_they_work_again() {
    let folder = Folder::new();
    let data = folder.join("data");
    fs::create_dir(&data).unwrap();
    let server = start(folder, &format!("dir {}\n{GUARDED}", data.display()));
    let mut client = server.client();
    client.ask(&["SET", "a", "1"]);
    fs::remove_dir_all(&data).unwrap();
    assert_eq!(client.ask(&["BGSAVE"]), status("Background saving started"));
    wait_for_log(&server, "Background saving error");
    assert!(server.log().contains("Failed opening the temp RDB file temp-"));
    assert!(client.ask(&["SET", "a", "2"]).text().starts_with("MISCONF "));
    assert!(client.ask(&["SAVE"]).text().starts_with("ERR "));
    fs::create_dir(&data).unwrap();
    assert_eq!(client.ask(&["BGSAVE"]), status("Background saving started"));
    wait_for_log(&server, "Background saving terminated with success");
    assert_eq!(client.ask(&["SET", "a", "2"]), status("OK"));
}

#[test]
fn a_link_in_place_of_the_temporary_file_is_not_followed() {
    let server = start(Folder::new(), MANUAL);
    let victim = server.folder.join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, server.folder.join(&format!("temp-{}.rdb", server.pid()))).unwrap();
    assert_eq!(server.client().ask(&["SAVE"]), status("OK"));
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    let saved = fs::symlink_metadata(server.folder.join("dump.rdb")).unwrap();
    assert!(saved.is_file() && saved.size() > 0);
    assert_eq!(temp_files(&server.folder), [""; 0]);
}

#[test]
fn clients_are_answered_while_it_loads() {
    let server = start(Folder::new(), MANUAL);
    let mut client = server.client();
    fill(&mut client, 0..3000, &"x".repeat(100));
    assert_eq!(client.ask(&["SAVE"]), status("OK"));
    let slow = "rdbcompression no\nkey-load-delay 300\nloading-process-events-interval-bytes 1024\n";
    let server = Server::in_folder(server.into_folder(), &format!("{MANUAL}{slow}"));
    let mut client = server.client();
    assert_eq!(client.ask(&["GET", "key:1"]), error(LOADING));
    assert_eq!(client.ask(&["PING"]), error(LOADING));
    assert!(matches!(client.ask(&["LASTSAVE"]), Reply::Int(_)));
    // Connections that come and go meanwhile do no harm.
    (0..5).for_each(|_| drop(server.client()));
    wait_until("the end of loading", || client.ask(&["GET", "key:1"]) == bulk(&"x".repeat(100)));
    assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(3000));
}

#[test]
fn a_server_that_is_told_to_end_while_it_loads_ends_and_saves_nothing() {
    let server = start(Folder::new(), MANUAL);
    let mut client = server.client();
    fill(&mut client, 0..3000, &"x".repeat(100));
    assert_eq!(client.ask(&["SAVE"]), status("OK"));
    let folder = server.into_folder();
    let whole = dump(&folder);
    let slow = "rdbcompression no\nkey-load-delay 1000\nloading-process-events-interval-bytes 1024\n";
    let mut server = Server::in_folder(folder, &format!("{GUARDED}{slow}"));
    assert_eq!(server.client().ask(&["PING"]), error(LOADING));
    assert_eq!(server.stop(), Some(0));
    assert_eq!(dump(&server.folder), whole);
}

#[test]
fn sigterm_saves_when_there_are_save_points() {
    let mut server = start(Folder::new(), GUARDED);
    server.client().ask(&["SET", "a", "1"]);
    assert_eq!(server.stop(), Some(0));
    assert!(server.log().contains("Saving the final RDB snapshot before exiting."));
    let mut server = start(server.into_folder(), MANUAL);
    let mut client = server.client();
    assert_eq!(client.ask(&["GET", "a"]), bulk("1"));
    client.ask(&["SET", "a", "2"]);
    assert_eq!(server.stop(), Some(0));
    let server = start(server.into_folder(), MANUAL);
    assert_eq!(server.client().ask(&["GET", "a"]), bulk("1"));
}

#[test]
fn sigterm_ends_a_child_that_saves() {
    let mut server = start(Folder::new(), &format!("{MANUAL}rdb-key-save-delay 1000\n"));
    let mut client = server.client();
    fill(&mut client, 0..5000, "value");
    begin_bgsave(&server, &mut client);
    assert_eq!(server.stop(), Some(0));
    assert!(server.log().contains("There is a child saving an .rdb. Killing it!"));
    assert_eq!(temp_files(&server.folder), [""; 0]);
    assert!(!server.folder.join("dump.rdb").exists());
}

#[test]
fn a_save_point_saves_by_itself() {
    let server = start(Folder::new(), "save 1 3\n");
    let mut client = server.client();
    fill(&mut client, 0..2, "too few");
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert!(!server.folder.join("dump.rdb").exists());
    fill(&mut client, 2..3, "enough");
    wait_for_log(&server, "3 changes in 1 seconds. Saving...");
    wait_for_log(&server, "Background saving terminated with success");
    assert!(server.folder.join("dump.rdb").exists());
}

#[test]
fn inside_a_transaction_a_background_save_waits_for_its_end() {
    let server = start(Folder::new(), MANUAL);
    let mut client = server.client();
    assert_eq!(client.ask(&["MULTI"]), status("OK"));
    assert_eq!(client.ask(&["BGSAVE"]), status("QUEUED"));
    assert_eq!(client.ask(&["SET", "a", "1"]), status("QUEUED"));
    let replies = [status("Background saving scheduled"), status("OK")];
    assert_eq!(client.ask(&["EXEC"]), Reply::Array(replies.to_vec()));
    wait_for_log(&server, "Background saving terminated with success");
    let server = start(server.into_folder(), MANUAL);
    assert_eq!(server.client().ask(&["GET", "a"]), bulk("1"));
    assert_eq!(server.client().ask(&["BGSAVE", "NOW"]), error("ERR syntax error"));
}

#[test]
fn access_frequencies_survive_a_restart() {
    let lfu = format!("{MANUAL}maxmemory-policy allkeys-lfu\nlfu-log-factor 0\nlfu-decay-time 0\n");
    let server = start(Folder::new(), &lfu);
    let mut client = server.client();
    client.ask(&["SET", "busy", "1"]);
    client.ask(&["SET", "idle", "1"]);
    (0..50).for_each(|_| assert_eq!(client.ask(&["GET", "busy"]), bulk("1")));
    let busy = client.ask(&["OBJECT", "FREQ", "busy"]);
    assert!(matches!(busy, Reply::Int(50..=60)), "{busy:?}");
    assert_eq!(client.ask(&["SAVE"]), status("OK"));
    let server = start(server.into_folder(), &lfu);
    let mut client = server.client();
    assert_eq!(client.ask(&["OBJECT", "FREQ", "busy"]), busy);
    assert_eq!(client.ask(&["OBJECT", "FREQ", "idle"]), Reply::Int(5));
}

#[test]
fn flushall_ends_a_child_and_empties_the_file() {
    let server = start(Folder::new(), &format!("{GUARDED}rdb-key-save-delay 300\n"));
    let mut client = server.client();
    fill(&mut client, 0..2000, "value");
    begin_bgsave(&server, &mut client);
    assert_eq!(client.ask(&["FLUSHALL"]), status("OK"));
    assert_eq!(client.info("rdb_changes_since_last_save"), "0");
    wait_for_log(&server, "Background saving terminated by signal 10");
    assert_eq!(client.info("rdb_last_bgsave_status"), "ok");
    assert_eq!(temp_files(&server.folder), [""; 0]);
    let server = start(server.into_folder(), MANUAL);
    assert_eq!(server.client().ask(&["DBSIZE"]), Reply::Int(0));
}

#[test]
fn flushall_without_save_points_leaves_changes_unsaved() {
    let server = start(Folder::new(), &format!("{MANUAL}rdb-key-save-delay 300\n"));
    let mut client = server.client();
    fill(&mut client, 0..2000, "value");
    begin_bgsave(&server, &mut client);
    assert_eq!(client.info("rdb_bgsave_in_progress"), "1");
    assert_eq!(client.ask(&["FLUSHALL"]), status("OK"));
    wait_until("the child to end", || client.info("rdb_bgsave_in_progress") == "0");
    assert_eq!(client.info("rdb_changes_since_last_save"), "4000");
    assert_eq!(client.ask(&["SET", "a", "1"]), status("OK"));
    assert!(!server.folder.join("dump.rdb").exists());
    client.ask(&["BGSAVE"]);
    wait_until("a whole save", || client.info("rdb_changes_since_last_save") == "0");
    assert!(server.folder.join("dump.rdb").exists());
}

#[test]
fn info_follows_a_background_save_and_a_load() {
    let server = start(Folder::new(), &format!("{MANUAL}rdb-key-save-delay 500\n"));
    let mut client = server.client();
    fill(&mut client, 0..5000, "value");
    client.ask(&["SET", "gone", "soon", "PX", "1"]);
    begin_bgsave(&server, &mut client);
    assert_eq!(client.info("total_forks"), "1");
    wait_until("a report of keys", || client.info("current_save_keys_processed").parse::<u64>().unwrap() > 1000);
    assert!(client.info("current_save_keys_total").parse::<u64>().unwrap() >= 5000);
    assert!(client.info("current_cow_size").parse::<u64>().unwrap() > 0);
    wait_until("the end", || client.info("rdb_bgsave_in_progress") == "0");
    assert!(client.info("rdb_last_cow_size").parse::<u64>().unwrap() > 0);
    assert_eq!(client.info("current_save_keys_processed"), "0");
    assert!(client.info("rdb_last_bgsave_time_sec").parse::<i64>().unwrap() >= 1);

    let server = start(server.into_folder(), MANUAL);
    let mut client = server.client();
    assert_eq!(client.info("rdb_last_load_keys_loaded"), "5000");
    assert_eq!(client.info("loading"), "0");
}

#[test]
fn debug_reload_brings_everything_back() {
    let server = start(Folder::new(), &format!("{MANUAL}enable-debug-command yes\n"));
    let mut client = server.client();
    fill(&mut client, 0..100, "value");
    client.ask(&["SET", "late", "y", "PX", "100000000"]);
    let deadline = client.ask(&["PEXPIRETIME", "late"]);
    assert_eq!(client.ask(&["DEBUG", "RELOAD"]), status("OK"));
    assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(101));
    assert_eq!(client.ask(&["PEXPIRETIME", "late"]), deadline);
    client.ask(&["SET", "key:1", "newer"]);
    client.ask(&["SET", "more", "newer"]);
    assert_eq!(client.ask(&["DEBUG", "RELOAD", "NOSAVE", "NOFLUSH", "MERGE"]), status("OK"));
    assert_eq!(client.ask(&["GET", "key:1"]), bulk("value"));
    assert_eq!(client.ask(&["GET", "more"]), bulk("newer"));
    assert_eq!(client.ask(&["DEBUG", "RELOAD", "NOSAVE"]), status("OK"));
    assert_eq!(client.ask(&["EXISTS", "more"]), Reply::Int(0));
}

#[test]
fn a_background_save_is_cancelled() {
    let server = Server::with_config("rdb-key-save-delay 100000\n");
    let mut client = server.client();
    let nothing = error("ERR Background saving is currently not in progress or scheduled");
    assert_eq!(client.ask(&["BGSAVE", "CANCEL"]), nothing);
    (0..100).for_each(|i| _ = client.ask(&["SET", &i.to_string(), "v"]));
    begin_bgsave(&server, &mut client);
    assert_eq!(client.ask(&["BGSAVE", "CANCEL"]), status("Background saving cancelled"));
    wait_until("the child to be gone", || client.info("rdb_bgsave_in_progress") == "0");
    wait_until("its file to be gone", || temp_files(&server.folder).is_empty());
    assert_eq!(client.ask(&["BGSAVE", "CANCEL"]), nothing);
    assert!(!server.folder.join("dump.rdb").exists());
    // What MULTI put off can be called off too.
    client.ask(&["MULTI"]);
    client.ask(&["BGSAVE"]);
    client.ask(&["BGSAVE", "CANCEL"]);
    assert_eq!(client.ask(&["EXEC"]).list()[1], status("Scheduled background saving cancelled"));
}
