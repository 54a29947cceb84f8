//! The runbook's rows A9 to A22: one server, as its admin installs and runs it.
//!
//! Each test has the number of its row. "His file" is the one that the notes quote, blanks lost in it included.

use crate::harness::{Daemon, Folder, READY, Reply, Server, error, free_port, run, status, wait_until};
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Lines of `text` that name `word` as a whole word.
fn lines_with(text: &str, word: &str) -> Vec<String> {
    let is_word = |line: &&str| line.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|w| w == word);
    text.lines().filter(is_word).map(str::to_string).collect()
}

#[test]
fn a9_without_a_file_the_defaults_hold_and_it_stays_in_the_foreground() {
    let server = Server::with_args(Folder::new(), |port| vec!["--port".to_string(), port.to_string()]);
    let mut client = server.client();
    assert_eq!(client.config("databases"), "16");
    assert_eq!(client.config("save"), "3600 1 300 100 60 10000");
    assert_eq!(client.config("appendonly"), "no");
    assert_eq!(client.config("dir"), server.folder.path().to_str().unwrap());
    assert_eq!(client.info("process_id"), server.pid().to_string());
}

#[test]
fn a10_tabs_carriage_returns_a_mark_and_blanks_at_the_end_are_read() {
    let server = Server::in_folder(Folder::new(), "databases\t8\t \r\n\tmaxclients\t \t77\r\n   # a comment\r\n\r\n");
    assert_eq!(server.client().config("databases"), "8");
    assert_eq!(server.client().config("maxclients"), "77");

    let folder = Folder::new();
    let name = folder.write("bom.conf", "\u{feff}databases 9\r\n");
    let server = Server::with_args(folder, |port| vec![name.clone(), "--port".to_string(), port.to_string()]);
    assert_eq!(server.client().config("databases"), "9");
}

#[test]
fn a11_daemonize_returns_0_only_when_the_server_is_ready() {
    let (folder, port) = (Folder::new(), free_port());
    let text = format!(
        "port {port}\ndir {}\ndaemonize yes\npidfile server.pid\nlogfile server.log\n",
        folder.path().display()
    );
    let conf = folder.write("redis.conf", &text);
    let parent = run(&folder, &[&conf]);
    assert_eq!(parent.code, Some(0), "{}", parent.output);
    // Ready means: at once, without waiting here.
    let daemon = Daemon::from_pid_file(&folder, "server.pid");
    let mut client = crate::harness::Client::connect(port);
    assert_eq!(client.ask(&["PING"]), status("PONG"));
    assert_eq!(client.info("process_id"), daemon.0.to_string());
    assert!(folder.read("server.log").contains(READY));
    daemon.stop();
    wait_until("the pid file to go", || !folder.join("server.pid").exists());
}

#[test]
fn a11_a_failed_start_in_the_background_is_told_by_the_parent() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let text = format!(
        "bind 127.0.0.1\nport {port}\ndir {}\ndaemonize yes\npidfile server.pid\nlogfile server.log\n",
        folder.path().display()
    );
    let parent = run(&folder, &[&folder.write("redis.conf", &text)]);
    assert_eq!(parent.code, Some(1));
    assert!(parent.output.contains(&port.to_string()), "the reason on the terminal: {:?}", parent.output);
}

#[test]
fn a11_systemd_is_notified() {
    let folder = Folder::new();
    let path = folder.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let name = path.to_str().unwrap().to_string();
    let args = |_: &Folder, port: u16| {
        ["--supervised", "systemd", "--save", "", "--port"]
            .iter()
            .map(|s| s.to_string())
            .chain([port.to_string()])
            .collect()
    };
    let mut server = Server::launch(folder, args, &[("NOTIFY_SOCKET", &name)]);
    let mut told = String::new();
    let mut next = || {
        let mut bytes = [0; 512];
        let length = socket.recv(&mut bytes).expect("a message to the service manager");
        told.push_str(&String::from_utf8_lossy(&bytes[..length]));
        told.push('\n');
        told.clone()
    };
    while !next().contains("READY=1") {}
    assert_eq!(server.stop(), Some(0));
    while !next().contains("STOPPING=1") {}
}

#[test]
fn a12_requirepass_is_asked_for() {
    let server = Server::with_config("requirepass johnny\n");
    let mut client = server.client();
    assert_eq!(client.ask(&["GET", "k"]), error("NOAUTH Authentication required."));
    let wrong = "WRONGPASS invalid username-password pair or user is disabled.";
    assert_eq!(client.ask(&["AUTH", "jonny"]), error(wrong));
    assert_eq!(client.ask(&["AUTH", "johnny"]), status("OK"));
    assert_eq!(client.ask(&["GET", "k"]), Reply::Nil);
}

#[test]
fn a13_an_idle_client_is_closed_and_a_subscriber_is_not() {
    let server = Server::with_config("timeout 1\n");
    let mut idle = server.client();
    let mut subscriber = server.client();
    assert_eq!(idle.ask(&["PING"]), status("PONG"));
    subscriber.ask(&["SUBSCRIBE", "news"]);
    assert_eq!(idle.until_closed(), b"");
    assert_eq!(subscriber.ask(&["PING"]).list()[0].text(), "pong");
}

#[test]
fn a14_debug_tells_more_than_notice() {
    for (level, tells) in [("debug", true), ("notice", false)] {
        let server = Server::with_config(&format!("loglevel {level}\n"));
        assert_eq!(server.client().ask(&["PING"]), status("PONG"));
        assert_eq!(server.client().ask(&["PING"]), status("PONG"));
        assert_eq!(server.log().contains("Accepted 127.0.0.1:"), tells, "{level}");
    }
}

#[test]
fn a15_log_and_data_go_to_the_folder_that_dir_names() {
    let folder = Folder::new();
    fs::create_dir(folder.join("var")).unwrap();
    let text = format!("dir {}/var\nlogfile server.log\n", folder.path().display());
    let mut server = Server::in_folder(folder, &text);
    assert_eq!(server.client().ask(&["SAVE"]), status("OK"));
    assert!(server.folder.join("var/dump.rdb").exists());
    assert!(server.folder.read("var/server.log").contains(READY));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a15_a_missing_folder_is_refused_with_path_and_user() {
    let folder = Folder::new();
    let ended = run(&folder, &["--port", &free_port().to_string(), "--dir", "/nonexistent/var"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.output.contains("/nonexistent/var"), "{}", ended.output);
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    assert!(!lines_with(&ended.output, &user).is_empty(), "who tried it: {}", ended.output);
}

#[test]
fn a16_sixteen_databases() {
    let server = Server::with_config("databases 16\n");
    let mut client = server.client();
    assert_eq!(client.ask(&["SELECT", "15"]), status("OK"));
    assert_eq!(client.ask(&["SELECT", "16"]), error("ERR DB index is out of range"));
}

const RUN_TOGETHER: &str = "save 9001\nsave 30010\nsave 6010000\n";

#[test]
fn a17_save_points_that_ran_together_are_refused_with_what_was_meant() {
    let folder = Folder::new();
    let conf = folder.write("redis.conf", &format!("port {}\n{RUN_TOGETHER}", free_port()));
    let ended = run(&folder, &[&conf]);
    assert_eq!(ended.code, Some(1));
    for meant in ["save 900 1", "save 300 10", "save 60 10000"] {
        assert!(ended.output.contains(&format!("did you mean: {meant}")), "{meant} in: {}", ended.output);
    }
    assert!(ended.output.contains("at line 2"), "{}", ended.output);
}

#[test]
fn a17_fix_writes_what_was_meant_and_keeps_the_old_line() {
    let folder = Folder::new();
    let conf = folder.write("redis.conf", RUN_TOGETHER);
    assert_eq!(run(&folder, &["--check-config", &conf]).code, Some(1));
    assert_eq!(folder.read("redis.conf"), RUN_TOGETHER, "a check changes nothing");
    let fixed = run(&folder, &["--check-config", &conf, "--fix"]);
    assert_eq!(fixed.code, Some(0), "{}", fixed.output);
    let text = folder.read("redis.conf");
    let active: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert_eq!(active, ["save 900 1", "save 300 10", "save 60 10000"]);
    assert!(text.lines().any(|line| line.starts_with('#') && line.contains("save 6010000")), "{text}");
    assert_eq!(run(&folder, &["--check-config", &conf]).code, Some(0));
}

#[test]
fn a18_the_snapshot_has_the_name_it_was_given() {
    let server = Server::with_config("rdbcompression yes\ndbfilename other.rdb\n");
    assert_eq!(server.client().ask(&["SAVE"]), status("OK"));
    assert!(fs::read(server.folder.join("other.rdb")).unwrap().starts_with(b"REDIS00"));
    assert!(!server.folder.join("dump.rdb").exists());
}

#[test]
fn a19_appendfsync_without_an_aof_starts_and_the_check_says_so() {
    let text = "appendonly no\nappendfsync always\n";
    let server = Server::with_config(text);
    assert_eq!(server.client().config("appendfsync"), "always");
    assert!(!server.folder.join("appendonlydir").exists());
    let checked = run(&server.folder, &["--check-config", &server.folder.write("check.conf", text)]);
    assert_eq!(checked.code, Some(0), "{}", checked.output);
    assert!(!lines_with(&checked.output, "appendfsync").is_empty(), "{}", checked.output);
}

#[test]
fn a20_ended_directives_are_accepted_with_one_warning_each() {
    let server = Server::with_config("glueoutputbuf yes\nshareobjects no\nshareobjectspoolsize 1024\n");
    assert_eq!(server.client().ask(&["PING"]), status("PONG"));
    for (name, last) in [("glueoutputbuf", "2.4"), ("shareobjects", "1.3"), ("shareobjectspoolsize", "1.3")] {
        let lines = lines_with(&server.log(), name);
        assert_eq!(lines.len(), 1, "{name}: {lines:?}");
        assert!(lines[0].contains(last), "the release it ended in: {}", lines[0]);
    }
}

/// His file, with port, folder and password file names of this test.
fn his_file(folder: &Folder, port: u16) -> String {
    let dir = folder.path().display();
    format!(
        "daemonize\tyes\npidfile\t{dir}/redis.pid\nrequirepass\tjohnny\nport\t{port}\ntimeout\t300\nloglevel\tdebug\n\
         logfile\t{dir}/redis.log\ndatabases\t16\n{RUN_TOGETHER}rdbcompression\tyes\ndbfilename\tdump.rdb\n\
         dir\t{dir}\nappendonly\tno\nappendfsync\talways\nglueoutputbuf\tyes\nshareobjects\tno\nshareobjectspoolsize\t1024\n"
    )
}

#[test]
fn a21_his_file_is_refused_then_mended_then_runs() {
    let (folder, port) = (Folder::new(), free_port());
    let conf = folder.write("redis.conf", &his_file(&folder, port));
    assert_eq!(run(&folder, &[&conf]).code, Some(1));
    let fixed = run(&folder, &["--check-config", &conf, "--fix"]);
    assert_eq!(fixed.code, Some(0), "{}", fixed.output);
    let started = run(&folder, &[&conf]);
    assert_eq!(started.code, Some(0), "{}", started.output);
    let daemon = Daemon::from_pid_file(&folder, "redis.pid");
    let mut telnet = crate::harness::Client::connect(port);
    telnet.send_raw(b"auth johnny\r\nping\r\n");
    assert_eq!(telnet.reply(), status("OK"));
    assert_eq!(telnet.reply(), status("PONG"));
    assert_eq!(telnet.config("save"), "900 1 300 10 60 10000");
    daemon.stop();
}

#[test]
fn a22_ps_shows_program_and_port() {
    let server = Server::start();
    let title = fs::read(format!("/proc/{}/cmdline", server.pid())).unwrap();
    let title = String::from_utf8_lossy(&title).trim_end_matches('\0').trim_end().to_string();
    assert!(title.ends_with(&format!("redis-server *:{}", server.port)), "{title:?}");
}
