//! MIGRATE between two servers.

use crate::harness::{Reply, Server, error, free_port, status, wait_until};

#[test]
fn keys_move_with_their_deadlines_and_the_connection_is_kept() {
    let (from, to) = (Server::start(), Server::start());
    let (mut here, mut there) = (from.client(), to.client());
    let port = to.port.to_string();
    here.ask(&["SET", "a", "1"]);
    here.ask(&["SET", "b", "text", "EX", "100"]);
    here.ask(&["RPUSH", "l", "x", "y"]);
    let migrate = ["MIGRATE", "127.0.0.1", &port, "", "9", "5000", "KEYS", "a", "nosuch", "b", "l"];
    assert_eq!(here.ask(&migrate), status("OK"));
    assert_eq!(here.ask(&["DBSIZE"]), Reply::Int(0));
    assert_eq!(here.info("migrate_cached_sockets"), "1");
    there.ask(&["SELECT", "9"]);
    assert_eq!(there.ask(&["GET", "a"]).text(), "1");
    assert_eq!(there.ask(&["LLEN", "l"]), Reply::Int(2));
    let Reply::Int(ttl) = there.ask(&["TTL", "b"]) else { panic!("no TTL") };
    assert!((95..=100).contains(&ttl), "{ttl}");
    assert_eq!(here.ask(&migrate), status("NOKEY"));
    here.ask(&["SET", "c", "3"]);
    assert_eq!(here.ask(&["MIGRATE", "127.0.0.1", &port, "c", "9", "5000", "COPY"]), status("OK"));
    assert_eq!(here.ask(&["GET", "c"]).text(), "3");
    assert_eq!(there.ask(&["GET", "c"]).text(), "3");
}

#[test]
fn only_what_was_confirmed_is_deleted() {
    let (from, to) = (Server::with_config("save \"\"\nnotify-keyspace-events Eg\n"), Server::start());
    let (mut here, mut there, mut listener) = (from.client(), to.client(), from.client());
    let port = to.port.to_string();
    listener.ask(&["SUBSCRIBE", "__keyevent@0__:del"]);
    here.ask(&["MSET", "a", "1", "b", "2", "c", "3"]);
    there.ask(&["SET", "b", "mine"]);
    let migrate = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS", "a", "b", "c"];
    let busy = error("ERR Target instance replied with error: BUSYKEY Target key name already exists.");
    assert_eq!(here.ask(&migrate), busy);
    assert_eq!(here.ask(&["EXISTS", "a", "b", "c"]), Reply::Int(1));
    assert_eq!(there.ask(&["MGET", "a", "b", "c"]).list()[1].text(), "mine");
    assert_eq!(listener.reply().list()[2].text(), "a");
    assert_eq!(listener.reply().list()[2].text(), "c");
    let replace = ["MIGRATE", "127.0.0.1", &port, "b", "0", "5000", "REPLACE"];
    assert_eq!(here.ask(&replace), status("OK"));
    assert_eq!(there.ask(&["GET", "b"]).text(), "2");
}

#[test]
fn a_password_is_sent_and_a_wrong_one_moves_nothing() {
    let (from, to) = (Server::start(), Server::with_config("save \"\"\nrequirepass right\n"));
    let mut here = from.client();
    let port = to.port.to_string();
    let ask = |here: &mut crate::harness::Client, more: &[&str]| {
        here.ask(&["SET", "k", "v"]);
        let request = [&["MIGRATE", "127.0.0.1", &port, "k", "0", "5000"], more].concat();
        (here.ask(&request).text(), here.ask(&["EXISTS", "k"]) == Reply::Int(0))
    };
    let start = "ERR Target instance replied with error: ";
    let refused = |(text, gone): (String, bool), why: &str| text.starts_with(&format!("{start}{why}")) && !gone;
    assert!(refused(ask(&mut here, &[]), "NOAUTH"));
    assert!(refused(ask(&mut here, &["AUTH", "wrong"]), "WRONGPASS"));
    assert_eq!(ask(&mut here, &["AUTH", "right"]), ("OK".to_owned(), true));
    assert_eq!(ask(&mut here, &["REPLACE", "AUTH2", "default", "right"]), ("OK".to_owned(), true));
    assert_eq!(ask(&mut here, &["AUTH"]).0, "ERR syntax error");
    assert_eq!(ask(&mut here, &["AUTH2", "default"]).0, "ERR syntax error");
}

#[test]
fn a_peer_that_is_gone_or_mute_is_told_and_a_closed_connection_made_anew() {
    let (from, to) = (Server::start(), Server::with_config("save \"\"\nenable-debug-command yes\n"));
    let mut here = from.client();
    let port = to.port.to_string();
    here.ask(&["SET", "k", "v"]);
    let nobody = free_port().to_string();
    assert_eq!(
        here.ask(&["MIGRATE", "127.0.0.1", &nobody, "k", "0", "500"]),
        error("IOERR error or timeout connecting to the client")
    );
    assert_eq!(here.ask(&["MIGRATE", "127.0.0.1", &port, "k", "0", "5000"]), status("OK"));
    to.client().ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    here.ask(&["SET", "k2", "v"]);
    assert_eq!(here.ask(&["MIGRATE", "127.0.0.1", &port, "k2", "0", "5000"]), status("OK"));
    let mut sleeper = to.client();
    sleeper.send(&["DEBUG", "SLEEP", "1"]);
    std::thread::sleep(std::time::Duration::from_millis(100));
    here.ask(&["SET", "k3", "v"]);
    assert_eq!(
        here.ask(&["MIGRATE", "127.0.0.1", &port, "k3", "0", "200"]),
        error("IOERR error or timeout reading to target instance")
    );
    assert_eq!(here.ask(&["EXISTS", "k3"]), Reply::Int(1));
    assert_eq!(here.info("migrate_cached_sockets"), "0");
    wait_until("the sleeper wakes", || sleeper.reply() == status("OK"));
}
