//! Users and their rights: ACL, AUTH, files of users, who is closed when rights change.
//!
//! All of it holds for the real 7.0.15 too (`REDSTART_TEST_SERVER`), but for the fields of 7.2 in ACL LOG and INFO, for
//! waits that are checked again, and for a file with an open parenthesis, which makes the real one crash.

use crate::harness::{Client, Folder, Reply, Server, bulk, error, run, status, wait_until};

const NO_KEY: &str = "NOPERM this user has no permissions to access one of the keys used as arguments";
const NO_CHANNEL: &str = "NOPERM this user has no permissions to access one of the channels used as arguments";
const WRONGPASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";

#[track_caller]
fn ok(client: &mut Client, line: &str) {
    assert_eq!(ask(client, line), status("OK"), "{line}");
}

fn ask(client: &mut Client, line: &str) -> Reply {
    client.ask(&line.split(' ').collect::<Vec<_>>())
}

fn no_command(name: &str) -> Reply {
    error(&format!("NOPERM this user has no permissions to run the '{name}' command"))
}

/// A connection of this user.
fn login(server: &Server, user: &str, password: &str) -> Client {
    let mut client = server.client();
    ok(&mut client, &format!("AUTH {user} {password}"));
    client
}

/// ACL LIST without its order.
fn users(client: &mut Client) -> Vec<String> {
    ask(client, "ACL LIST").list().iter().map(Reply::text).collect()
}

fn is_closed(mut client: Client) -> bool {
    client.try_ask(&[&["PING"]]).is_none()
}

#[test]
fn a_user_may_do_what_its_rules_say() {
    let server = Server::start();
    let mut admin = server.client();
    ok(&mut admin, "ACL SETUSER bob on >pw ~a* %R~r* +@read +set +select|1 -mget +config|get &news.*");
    let mut bob = login(&server, "bob", "pw");
    assert_eq!(ask(&mut bob, "ACL WHOAMI"), no_command("acl|whoami"));
    ok(&mut bob, "SET a 1");
    assert_eq!(ask(&mut bob, "GET r"), Reply::Nil);
    assert_eq!(ask(&mut bob, "SET r 1"), error(NO_KEY));
    assert_eq!(ask(&mut bob, "GET b"), error(NO_KEY));
    assert_eq!(ask(&mut bob, "MGET a"), no_command("mget"));
    assert_eq!(ask(&mut bob, "DEL a"), no_command("del"));
    assert_eq!(ask(&mut bob, "CONFIG SET port 1"), no_command("config|set"));
    assert_eq!(ask(&mut bob, "CONFIG GET port").list().len(), 2);
    ok(&mut bob, "SELECT 1");
    assert_eq!(ask(&mut bob, "SELECT 2"), no_command("select"));
    assert_eq!(ask(&mut bob, "NOSUCH"), error("ERR unknown command 'NOSUCH', with args beginning with: "));
    // What a stranger may do, everybody may.
    assert_eq!(ask(&mut bob, "RESET"), status("RESET"));
    assert_eq!(ask(&mut bob, "ACL WHOAMI"), bulk("default"));
    ok(&mut admin, "ACL SETUSER bob +publish +subscribe +psubscribe");
    let mut bob = login(&server, "bob", "pw");
    assert_eq!(ask(&mut bob, "PUBLISH news.a x"), Reply::Int(0));
    assert_eq!(ask(&mut bob, "PUBLISH old x"), error(NO_CHANNEL));
    assert_eq!(ask(&mut bob, "PSUBSCRIBE news.a*"), error(NO_CHANNEL));
    assert_eq!(ask(&mut bob, "PSUBSCRIBE news.*").list()[0], bulk("psubscribe"));
}

#[test]
fn keys_are_found_wherever_a_command_has_them() {
    let server = Server::start();
    let mut admin = server.client();
    ok(&mut admin, "ACL SETUSER k +@all %R~r* %W~w* %RW~b*");
    let denied = |key: &str| bulk(&format!("This user has no permissions to access the '{key}' key"));
    for line in [
        "COPY r w",
        "SORT r STORE w",
        "GEORADIUS r 1 2 3 m STORE w",
        "XREAD STREAMS r r 0 0",
        "XREADGROUP GROUP g c STREAMS b 0",
        "MIGRATE h 1 b 0 10",
        "ZUNIONSTORE w 2 r r",
        "SET w x",
        "SINTERCARD 2 r r",
        "BITFIELD r GET u4 0",
        "LMOVE b w LEFT LEFT",
        "EXISTS w",
    ] {
        assert_eq!(ask(&mut admin, &format!("ACL DRYRUN k {line}")), status("OK"), "{line}");
    }
    for (line, key) in [
        ("COPY w r", "w"),
        ("COPY r r2", "r2"),
        ("SORT r STORE r3", "r3"),
        ("GEORADIUS r 1 2 3 m STOREDIST r4", "r4"),
        ("XREAD STREAMS r w 0 0", "w"),
        ("MIGRATE h 1 r 0 10", "r"),
        ("ZUNIONSTORE w 2 r w2", "w2"),
        ("SET w x GET", "w"),
        ("SINTERCARD 2 r w", "w"),
        ("BITFIELD r SET u4 0 1", "r"),
        ("MGET r x", "x"),
        ("EXISTS x", "x"),
    ] {
        assert_eq!(ask(&mut admin, &format!("ACL DRYRUN k {line}")), denied(key), "{line}");
    }
    let no_run = bulk("This user has no permissions to run the 'get' command");
    ok(&mut admin, "ACL SETUSER k -get");
    assert_eq!(ask(&mut admin, "ACL DRYRUN k GET r"), no_run);
    assert_eq!(ask(&mut admin, "ACL DRYRUN x GET r"), error("ERR User 'x' not found"));
    assert_eq!(ask(&mut admin, "ACL DRYRUN k NOSUCH r"), error("ERR Command 'NOSUCH' not found"));
    assert_eq!(ask(&mut admin, "ACL DRYRUN k GET"), error("ERR wrong number of arguments for 'get' command"));
}

#[test]
fn sort_reads_other_keys_only_for_who_may_read_all() {
    let server = Server::start();
    let mut admin = server.client();
    ok(&mut admin, "ACL SETUSER s on nopass ~l +@all");
    let mut sorter = login(&server, "s", "x");
    let (by, get) = ("ERR BY option of SORT denied due to insufficient ACL permissions.", "ERR GET option of SORT");
    assert_eq!(ask(&mut sorter, "SORT l BY nosort"), Reply::Array(vec![]));
    assert_eq!(ask(&mut sorter, "SORT l BY w_*"), error(by));
    assert!(ask(&mut sorter, "SORT l GET #").text().starts_with(get));
    assert_eq!(ask(&mut sorter, "SORT l LIMIT a b BY w_*"), error("ERR value is not an integer or out of range"));
    assert_eq!(ask(&mut sorter, "SORT l NOSUCH BY w_*"), error("ERR syntax error"));
    assert_eq!(ask(&mut sorter, "SORT x BY w_*"), error(NO_KEY));
    ok(&mut sorter, "MULTI");
    assert_eq!(ask(&mut sorter, "SORT l BY w_*"), status("QUEUED"));
    assert_eq!(ask(&mut sorter, "EXEC"), Reply::Array(vec![error(by)]));
    ok(&mut admin, "ACL SETUSER s %R~*");
    assert_eq!(ask(&mut sorter, "SORT l BY w_* GET #"), Reply::Array(vec![]));
}

#[test]
fn exec_asks_again() {
    let server = Server::start();
    let mut admin = server.client();
    for (rule, reason) in [
        ("-incr", "no permission to execute the command or subcommand"),
        ("resetkeys", "no permission to touch the specified keys"),
        ("resetchannels", "no permission to access one of the channels used as arguments"),
    ] {
        ok(&mut admin, "ACL SETUSER w reset on nopass ~k +@all &c");
        let mut w = login(&server, "w", "x");
        ok(&mut w, "MULTI");
        assert_eq!(ask(&mut w, "INCR k"), status("QUEUED"));
        assert_eq!(ask(&mut w, "PUBLISH c x"), status("QUEUED"));
        ok(&mut admin, &format!("ACL SETUSER w {rule}"));
        let Reply::Array(replies) = ask(&mut w, "EXEC") else { panic!("an array") };
        let refused = error(&format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This \
             command is no longer allowed for the following reason: {reason}"
        ));
        assert_eq!(replies.iter().filter(|reply| **reply == refused).count(), 1, "{rule}: {replies:?}");
        let entry = ask(&mut admin, "ACL LOG 1").list()[0].clone();
        assert_eq!(entry.list()[5], bulk("multi"));
    }
    ok(&mut admin, "ACL SETUSER w reset on nopass ~k +@all");
    let mut w = login(&server, "w", "x");
    ok(&mut w, "MULTI");
    assert_eq!(ask(&mut w, "GET other"), error(NO_KEY));
    assert_eq!(ask(&mut w, "EXEC"), error("EXECABORT Transaction discarded because of previous errors."));
}

#[test]
fn rules_that_are_refused_change_nothing() {
    let server = Server::start();
    let mut admin = server.client();
    ok(&mut admin, "ACL SETUSER u on ~a +get");
    let before = users(&mut admin);
    for (rules, why) in [
        ("+set nonsense", "ERR Error in ACL SETUSER modifier 'nonsense': Syntax error"),
        ("+set +nosuch", "ERR Error in ACL SETUSER modifier '+nosuch': Unknown command or category name in ACL"),
        ("off (~b +x)", "ERR Error in ACL SETUSER modifier '(~b +x)': Unknown command or category name in ACL"),
    ] {
        assert_eq!(ask(&mut admin, &format!("ACL SETUSER u {rules}")), error(why));
        assert_eq!(ask(&mut admin, &format!("ACL SETUSER new {rules}")), error(why));
    }
    let open = admin.ask(&["ACL", "SETUSER", "u", "off", "(~b", "+get"]);
    assert!(open.text().starts_with("ERR Unmatched parenthesis in acl selector starting at '"));
    assert_eq!(users(&mut admin), before);
    let spaces = error("ERR Usernames can't contain spaces or null characters");
    assert_eq!(admin.ask(&["ACL", "SETUSER", "a b"]), spaces);
    assert_eq!(ask(&mut admin, "ACL DELUSER u default"), error("ERR The 'default' user cannot be removed"));
    assert_eq!(users(&mut admin), before);
    assert_eq!(ask(&mut admin, "ACL DELUSER none u u"), Reply::Int(1));
    assert_eq!(users(&mut admin), ["user default on nopass ~* &* +@all"]);
}

#[test]
fn a_user_is_shown_in_both_protocols() {
    let server = Server::start();
    let mut admin = server.client();
    ok(&mut admin, "ACL SETUSER u on >x %R~r ~a resetchannels &c -@all +get (+set ~b)");
    let hash = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    let line = format!("user u on #{hash} %R~r ~a resetchannels &c -@all +get (~b resetchannels -@all +set)");
    assert_eq!(users(&mut admin)[1], line);
    let of = |words: &[&str]| words.iter().map(|word| bulk(word)).collect::<Vec<_>>();
    let rules = ["commands", "-@all +get", "keys", "%R~r ~a", "channels", "&c"];
    let selector = of(&["commands", "-@all +set", "keys", "~b", "channels", ""]);
    let shown = |flags: Reply, selector: Reply| {
        let head = vec![bulk("flags"), flags, bulk("passwords"), Reply::Array(of(&[hash]))];
        [head, of(&rules), vec![bulk("selectors"), Reply::Array(vec![selector])]].concat()
    };
    let expected = shown(Reply::Array(of(&["on"])), Reply::Array(selector.clone()));
    assert_eq!(ask(&mut admin, "ACL GETUSER u"), Reply::Array(expected));
    assert_eq!(ask(&mut admin, "ACL GETUSER none"), Reply::Nil);
    ask(&mut admin, "HELLO 3");
    let expected = shown(Reply::Set(of(&["on"])), Reply::Map(selector));
    assert_eq!(ask(&mut admin, "ACL GETUSER u"), Reply::Map(expected));
}

#[test]
fn refusals_are_logged_and_counted() {
    let server = Server::start();
    let mut admin = server.client();
    ok(&mut admin, "ACL SETUSER u on >x ~a +get +client|setname");
    let mut u = login(&server, "u", "x");
    ok(&mut u, "CLIENT SETNAME me");
    for line in ["GET b", "GET b", "SET a 1", "GET b"] {
        assert!(ask(&mut u, line).text().starts_with("NOPERM"));
    }
    assert_eq!(ask(&mut u, "AUTH u wrong"), error(WRONGPASS));
    let Reply::Array(entries) = ask(&mut admin, "ACL LOG") else { panic!("an array") };
    let fields = |entry: &Reply, at: &[usize]| at.iter().map(|at| entry.list()[*at].text()).collect::<Vec<_>>();
    assert_eq!(entries.len(), 3);
    assert_eq!(fields(&entries[0], &[3, 5, 7, 9]), ["auth", "toplevel", "AUTH", "u"]);
    assert_eq!(fields(&entries[1], &[3, 5, 7, 9]), ["key", "toplevel", "b", "u"]);
    assert_eq!(entries[1].list()[1], Reply::Int(3));
    assert_eq!(fields(&entries[2], &[3, 5, 7, 9]), ["command", "toplevel", "set", "u"]);
    assert!(entries[1].list()[11].text().parse::<f64>().unwrap() < 60.0);
    let client = entries[1].list()[13].text();
    assert!(client.contains(" name=me ") && client.contains(" user=u ") && client.contains(" cmd=get "), "{client}");
    assert_eq!(ask(&mut admin, "ACL LOG 1").list().len(), 1);
    assert_eq!(ask(&mut admin, "ACL LOG -1").list().len(), 0);
    ok(&mut admin, "ACL LOG RESET");
    assert_eq!(ask(&mut admin, "ACL LOG").list().len(), 0);
    ok(&mut admin, "CONFIG SET acllog-max-len 2");
    ["GET x", "GET y", "GET z"].iter().for_each(|line| {
        ask(&mut u, line);
    });
    assert_eq!(ask(&mut admin, "ACL LOG").list().len(), 2);
}

#[test]
fn info_counts_refusals() {
    let server = Server::start();
    let mut admin = server.client();
    ok(&mut admin, "ACL SETUSER u on >x ~a &c +get +publish");
    let mut u = login(&server, "u", "x");
    for line in ["GET b", "GET b", "SET a 1", "PUBLISH d x", "AUTH u wrong"] {
        ask(&mut u, line);
    }
    let counts = ["auth", "cmd", "key", "channel"].map(|what| admin.info(&format!("acl_access_denied_{what}")));
    assert_eq!(counts, ["1", "1", "2", "1"]);
    assert_eq!(admin.info("errorstat_NOPERM"), "count=4");
}

#[test]
fn the_log_has_the_fields_of_7_2() {
    let server = Server::start();
    let mut admin = server.client();
    ok(&mut admin, "ACL SETUSER u on nopass");
    let mut u = login(&server, "u", "x");
    ask(&mut u, "GET a");
    ask(&mut u, "GET a");
    ask(&mut u, "SET a 1");
    ask(&mut admin, "HELLO 3");
    let entries = ask(&mut admin, "ACL LOG");
    let entry = entries.list()[1].list();
    let names: Vec<String> = entry.iter().step_by(2).map(Reply::text).collect();
    let new = ["client-info", "entry-id", "timestamp-created", "timestamp-last-updated"];
    assert_eq!(names[..6], ["count", "reason", "context", "object", "username", "age-seconds"]);
    assert_eq!(names[6..], new);
    assert_eq!((&entry[1], &entry[15]), (&Reply::Int(2), &Reply::Int(0)));
    assert_eq!(entries.list()[0].list()[15], Reply::Int(1));
}

#[test]
fn who_loses_a_channel_or_its_user_is_closed() {
    let server = Server::start();
    let mut admin = server.client();
    ok(&mut admin, "ACL SETUSER p on nopass +@all ~* &a &b");
    let (mut stays, mut goes, plain) = (login(&server, "p", "x"), login(&server, "p", "x"), login(&server, "p", "x"));
    ask(&mut stays, "SUBSCRIBE a");
    ask(&mut goes, "SUBSCRIBE a b");
    goes.reply();
    ok(&mut admin, "ACL SETUSER p resetchannels &a");
    assert!(!ask(&mut admin, "CLIENT LIST").text().contains("sub=2"));
    assert!(is_closed(goes));
    assert_eq!(ask(&mut stays, "PING"), Reply::Array(vec![bulk("pong"), bulk("")]));
    let mut own = login(&server, "p", "x");
    assert_eq!(ask(&mut own, "ACL DELUSER p"), Reply::Int(1));
    assert!(is_closed(own) && is_closed(stays) && is_closed(plain));
    assert_eq!(ask(&mut admin, "AUTH p x"), error(WRONGPASS));
    assert_eq!(ask(&mut admin, "PING"), status("PONG"));
}

#[test]
fn clients_are_known_by_their_users() {
    let server = Server::start();
    let mut admin = server.client();
    ok(&mut admin, "ACL SETUSER u on nopass +@all ~* &*");
    let u = login(&server, "u", "x");
    assert!(ask(&mut admin, "CLIENT LIST").text().contains(" user=u "));
    assert!(ask(&mut admin, "CLIENT INFO").text().contains(" user=default "));
    assert_eq!(ask(&mut admin, "CLIENT KILL USER none"), error("ERR No such user 'none'"));
    assert_eq!(ask(&mut admin, "CLIENT KILL USER u"), Reply::Int(1));
    assert!(is_closed(u));
}

#[test]
fn the_password_of_default_is_requirepass_until_acl_changes_it() {
    let server = Server::with_config("requirepass one\n");
    let mut admin = server.client();
    assert_eq!(ask(&mut admin, "PING"), error("NOAUTH Authentication required."));
    ok(&mut admin, "AUTH one");
    ok(&mut admin, "CONFIG SET requirepass two");
    assert_eq!(ask(&mut server.client(), "AUTH one"), error(WRONGPASS));
    ok(&mut server.client(), "AUTH two");
    ok(&mut admin, "ACL SETUSER default >three");
    ok(&mut server.client(), "AUTH three");
    assert_eq!(admin.config("requirepass"), "two");
    ok(&mut admin, "CONFIG SET requirepass four");
    assert_eq!(ask(&mut server.client(), "AUTH three"), error(WRONGPASS));
    admin.ask(&["CONFIG", "SET", "requirepass", ""]);
    assert_eq!(ask(&mut server.client(), "PING"), status("PONG"));
    ok(&mut admin, "ACL SETUSER default off");
    assert_eq!(ask(&mut server.client(), "PING"), error("NOAUTH Authentication required."));
}

#[test]
fn rights_are_about_the_names_that_commands_had_first() {
    let server = Server::with_config("rename-command get fetch\nrename-command set \"\"\n");
    let mut admin = server.client();
    ok(&mut admin, "ACL SETUSER u on nopass ~* +get +set");
    let mut u = login(&server, "u", "x");
    assert_eq!(ask(&mut u, "FETCH a"), Reply::Nil);
    ok(&mut admin, "ACL SETUSER u -get");
    assert_eq!(ask(&mut u, "FETCH a"), no_command("get"));
    assert_eq!(users(&mut admin)[1], "user u on nopass ~* resetchannels -@all +set");
    let unknown = error("ERR Error in ACL SETUSER modifier '+fetch': Unknown command or category name in ACL");
    assert_eq!(ask(&mut admin, "ACL SETUSER u +fetch"), unknown);
}

#[test]
fn passwords_do_not_show_in_the_slow_log() {
    let server = Server::with_config("slowlog-log-slower-than 0\n");
    let mut admin = server.client();
    ok(&mut admin, "ACL SETUSER u on >hidden");
    ask(&mut admin, "AUTH u hidden");
    let mut again = server.client();
    let calls = ask(&mut again, "SLOWLOG GET");
    let seen: Vec<String> = calls.list().iter().flat_map(|call| call.list()[3].list()).map(Reply::text).collect();
    assert!(!seen.iter().any(|word| word.contains("hidden")) && seen.contains(&"SETUSER".to_owned()), "{seen:?}");
}

#[test]
fn users_of_the_configuration_survive_a_rewrite() {
    let server = Server::with_config("user default on nopass ~* &* +@all\nuser u on >x ~a +get\nuser v on +@all\n");
    let mut admin = server.client();
    assert_eq!(users(&mut admin).len(), 3);
    ok(&mut admin, "ACL SETUSER u -get +set");
    assert_eq!(ask(&mut admin, "ACL DELUSER v"), Reply::Int(1));
    ok(&mut admin, "CONFIG REWRITE");
    let before = users(&mut admin);
    let folder = server.into_folder();
    let text = folder.read("redis.conf");
    assert_eq!(text.lines().filter(|line| line.starts_with("user ")).collect::<Vec<_>>(), before);
    let server =
        Server::with_args(folder, |port| ["redis.conf".to_owned(), "--port".to_owned(), port.to_string()].to_vec());
    assert_eq!(users(&mut server.client()), before);
}

#[test]
fn a_file_of_users_is_loaded_whole_and_saved() {
    let folder = Folder::new();
    let path = folder.write("users.acl", "user a on >x ~a +get +ping\nuser b on nopass +@all\n");
    let server = Server::in_folder(folder, &format!("aclfile {path}\n"));
    let mut admin = server.client();
    assert_eq!(users(&mut admin).len(), 3);
    let a = login(&server, "a", "x");
    ok(&mut admin, "ACL SETUSER a +set");
    ok(&mut admin, "ACL SAVE");
    assert_eq!(server.folder.read("users.acl").lines().collect::<Vec<_>>(), users(&mut admin));
    ok(&mut admin, "CONFIG REWRITE");
    assert!(!server.folder.read("redis.conf").contains("\nuser "));
    server.folder.write("users.acl", "user a on\nnonsense\nuser b +nosuch (\nuser a off\n");
    let text = ask(&mut admin, "ACL LOAD").text();
    for part in [
        &format!("ERR {path}:2 should start with user keyword followed by the username. "),
        &format!("{path}:3: Unmatched parenthesis in selector definition."),
        "WARNING: Duplicate user 'a' found on line 4. ",
        "WARNING: ACL errors detected, no change to the previously active ACL rules was performed",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(users(&mut admin).len(), 3);
    server.folder.write("users.acl", "user c on nopass +@all\n");
    ok(&mut admin, "ACL LOAD");
    assert!(is_closed(a));
    let names: Vec<String> = ask(&mut admin, "ACL USERS").list().iter().map(Reply::text).collect();
    assert_eq!(names, ["c", "default"]);
    std::fs::remove_file(&path).unwrap();
    let missing = format!("ERR Error loading ACLs, opening file '{path}': No such file or directory");
    assert_eq!(ask(&mut admin, "ACL LOAD"), error(&missing));
    assert_eq!(ask(&mut admin, "ACL USERS").list().len(), 2);
}

#[test]
fn without_a_file_there_is_nothing_to_load_or_save() {
    let server = Server::start();
    for line in ["ACL LOAD", "ACL SAVE"] {
        let text = ask(&mut server.client(), line).text();
        assert!(text.starts_with("ERR This Redis instance is not configured to use an ACL file."), "{text}");
    }
}

#[test]
fn a_start_with_wrong_users_is_refused() {
    let cases = [
        ("user u on nonsense\n", "Error in user declaration 'u': Syntax error"),
        ("user u on\nuser u off\n", "Error in user declaration 'u': Duplicate user found. A user can only be defined"),
        ("user u on +nosuch\n", "Error loading ACL rule '+nosuch' for the user named 'u': Unknown command or category"),
        ("user \"a b\" on\n", "Spaces not allowed in ACL usernames"),
        ("user u on\naclfile x.acl\n", "please define either an ACL file or declare users directly in your redis.conf"),
        ("aclfile missing.acl\n", "Aborting Redis startup because of ACL errors: Error loading ACLs, opening file"),
    ];
    for (text, reason) in cases {
        let folder = Folder::new();
        let name = folder.write("redis.conf", text);
        let ended = run(&folder, &[&name, "--port", "0"]);
        assert_eq!(ended.code, Some(1), "{text}");
        assert!(ended.output.contains(reason), "{reason} in {}", ended.output);
    }
}

#[test]
fn who_waits_is_asked_again_when_there_is_something() {
    let server = Server::start();
    let mut admin = server.client();
    ok(&mut admin, "ACL SETUSER u on nopass ~l +blpop +ping");
    let mut u = login(&server, "u", "x");
    u.send(&["BLPOP", "l", "0"]);
    wait_until("the client to wait", || admin.info("blocked_clients") == "1");
    ok(&mut admin, "ACL SETUSER u -blpop");
    assert_eq!(ask(&mut admin, "RPUSH l x"), Reply::Int(1));
    assert_eq!(u.reply(), no_command("blpop"));
    assert_eq!(ask(&mut u, "PING"), status("PONG"));
    assert_eq!(ask(&mut admin, "LLEN l"), Reply::Int(1));
    assert_eq!(ask(&mut admin, "ACL LOG").list()[0].list()[7], bulk("blpop"));
}

#[test]
fn a_replica_follows_as_the_user_that_it_names() {
    let master =
        Server::with_config("user default off\nuser sync on >pw +psync +replconf +ping\nuser a on nopass ~* +@all\n");
    let text = format!("replicaof 127.0.0.1 {}\nmasteruser sync\nmasterauth pw\n", master.port);
    let replica = Server::with_config(&text);
    let mut a = login(&master, "a", "x");
    ok(&mut a, "SET k v");
    let mut reader = replica.client();
    wait_until("the key to arrive", || ask(&mut reader, "GET k") == bulk("v"));
    // Whatever its own users may do, what the master says is done.
    ok(&mut reader, "ACL SETUSER default resetkeys -set");
    ok(&mut a, "SET k w");
    ok(&mut reader, "ACL SETUSER default +get ~k");
    wait_until("the change to arrive", || ask(&mut reader, "GET k") == bulk("w"));
}
