//! Function libraries: loaded, called, dumped, and there again after each way a data set comes back.
//!
//! *Duty:* FUNCTION and FCALL as clients meet them. The first two tests also hold for a real 7.0.15
//! (`REDSTART_TEST_SERVER`). *Does not know:* the registry and the payload, which have tests of their own.

use crate::harness::{Client, Reply, Server, bulk, error, status, wait_until};

const CONFIG: &str = "save \"\"\nenable-debug-command local\n";
const LIBRARY: &str = "#!lua name=lib
local function add(a) return a + 1 end
redis.register_function('two', function() return add(1) end)
redis.register_function('put', function(keys, args) return redis.call('SET', keys[1], args[1]) end)
redis.register_function{function_name = 'see', callback = function(keys) return redis.call('GET', keys[1]) end,
  description = 'reads', flags = {'no-writes'}}";

fn load(client: &mut Client, code: &str) -> Reply {
    client.ask(&["FUNCTION", "LOAD", code])
}

/// What a library of this code is refused with.
fn refused(client: &mut Client, code: &str) -> String {
    match load(client, &format!("#!lua name=bad\n{code}")) {
        Reply::Error(text) => text,
        other => panic!("{code}: {other:?}"),
    }
}

/// A request whose last argument is bytes.
fn restore(client: &mut Client, payload: &[u8], policy: &str) -> Reply {
    let mut request = format!("*4\r\n$8\r\nFUNCTION\r\n$7\r\nRESTORE\r\n${}\r\n", payload.len()).into_bytes();
    request.extend_from_slice(payload);
    request.extend_from_slice(format!("\r\n${}\r\n{policy}\r\n", policy.len()).as_bytes());
    client.send_raw(&request);
    client.reply()
}

fn names(client: &mut Client) -> Vec<String> {
    let list = client.ask(&["FUNCTION", "LIST"]);
    let mut names: Vec<String> = list.list().iter().map(|library| library.list()[1].text()).collect();
    names.sort();
    names
}

#[test]
fn libraries_are_loaded_called_and_refused_as_in_the_reference() {
    let server = Server::with_config(CONFIG);
    let mut client = server.client();
    assert_eq!(load(&mut client, LIBRARY), bulk("lib"));
    assert_eq!(load(&mut client, LIBRARY), error("ERR Library 'lib' already exists"));
    assert_eq!(client.ask(&["FUNCTION", "LOAD", "REPLACE", LIBRARY]), bulk("lib"));
    assert_eq!(client.ask(&["FCALL", "TWO", "0"]), Reply::Int(2));
    assert_eq!(client.ask(&["FCALL", "put", "1", "k", "v"]), status("OK"));
    assert_eq!(client.ask(&["FCALL_RO", "see", "1", "k"]), bulk("v"));
    let calls = [
        (&["FCALL", "nope", "x"][..], "ERR Function not found"),
        (&["FCALL", "two", "x"], "ERR Bad number of keys provided"),
        (&["FCALL", "two", "-1"], "ERR Number of keys can't be negative"),
        (&["FCALL", "two", "3", "a"], "ERR Number of keys can't be greater than number of args"),
        (&["FCALL_RO", "two", "0"], "ERR Can not execute a script with write flag using *_ro command."),
    ];
    for (call, text) in calls {
        assert_eq!(client.ask(call), error(text));
    }
    let before = "ERR Error registering functions: ERR ";
    let at_load = [
        ("redis.register_function()", "wrong number of arguments to redis.register_function"),
        ("redis.register_function('f', 'g')", "second argument to redis.register_function must be a function"),
        ("redis.register_function{flags = {'zz'}}", "unknown flag given"),
        ("redis.register_function{zork = 1}", "unknown argument given to redis.register_function"),
        ("redis.call('PING')", "user_function:2: Script attempted to access nonexistent global variable 'call'"),
        ("return math", "user_function:2: Script attempted to access nonexistent global variable 'math'"),
        ("\na = 1", "user_function:3: Attempt to modify a readonly table"),
        ("redis.x = 1", "user_function:2: Attempt to modify a readonly table"),
        ("while true do end", "FUNCTION LOAD timeout"),
    ];
    for (code, text) in at_load {
        assert_eq!(refused(&mut client, code), format!("{before}{text}"), "{code}");
    }
    assert_eq!(refused(&mut client, "return 1"), "ERR No functions registered");
    assert_eq!(
        refused(&mut client, "bad script"),
        "ERR Error compiling function: user_function:2: '=' expected near 'script'"
    );
    let taken = refused(&mut client, "redis.register_function('Two', function() end)");
    assert_eq!(taken, "ERR Function Two already exists");
    assert_eq!(names(&mut client), ["lib"]);
    assert_eq!(client.ask(&["FCALL", "two", "0"]), Reply::Int(2), "what failed left it alone");
}

#[test]
fn errors_of_functions_tell_where_they_came_about() {
    let server = Server::with_config(CONFIG);
    let mut client = server.client();
    let code = "#!lua name=lib
local r = redis
redis.register_function('again', function() r.register_function('n', function() end) end)
redis.register_function('boom', function() error('x') end)
redis.register_function('unknown', function() return redis.call('nope') end)
redis.register_function('missing', function() return zork end)
redis.register_function('global', function() zork = 1 end)
redis.register_function('nil', function() return redis.register_function('x', function() end) end)
redis.register_function('json', function(keys, args) return cjson.decode(args[1]) end)
redis.register_function('caught', function() local ok, e = pcall(cjson.decode, '[') return e end)
redis.register_function('wide', function() local t = {unpack({1, 2, 3}, 0, 2147483647)} return t end)";
    assert_eq!(load(&mut client, code), bulk("lib"));
    let cases = [
        ("again", "redis.register_function can only be called on FUNCTION LOAD command script: again", 3),
        ("boom", "user_function:4: x script: boom", 4),
        ("unknown", "Unknown Redis command called from script script: unknown", 5),
        (
            "missing",
            "user_function:6: Script attempted to access nonexistent global variable 'zork' script: missing",
            6,
        ),
        ("global", "user_function:7: Attempt to modify a readonly table script: global", 7),
        ("wide", "user_function:11: too many results to unpack script: wide", 11),
        ("nil", "user_function:8: attempt to call field 'register_function' (a nil value) script: nil", 8),
    ];
    for (name, text, line) in cases {
        let expected = format!("ERR {text}, on @user_function:{line}.");
        assert_eq!(client.ask(&["FCALL", name, "0"]), error(&expected));
    }
    let expected = "ERR user_function:9: Expected value but found T_END at character 2 script: json, on \
                    @user_function:9.";
    assert_eq!(client.ask(&["FCALL", "json", "0", "["]), error(expected));
    assert_eq!(client.ask(&["FCALL", "caught", "0"]), bulk("Expected value but found T_END at character 2"));
}

#[test]
fn a_dump_comes_back_whole_or_not_at_all() {
    let server = Server::with_config(CONFIG);
    let mut client = server.client();
    load(&mut client, LIBRARY);
    load(&mut client, "#!lua name=other\nredis.register_function('three', function() return 3 end)");
    let Reply::Bulk(payload) = client.ask(&["FUNCTION", "DUMP"]) else { panic!("no payload") };
    assert_eq!(restore(&mut client, &payload, "APPEND"), error("ERR Library lib already exists"));
    assert_eq!(restore(&mut client, &payload[1..], "FLUSH"), error("ERR DUMP payload version or checksum are wrong"));
    assert_eq!(names(&mut client), ["lib", "other"]);
    client.ask(&["FUNCTION", "FLUSH"]);
    load(&mut client, "#!lua name=mine\nredis.register_function('Three', function() return 33 end)");
    assert_eq!(restore(&mut client, &payload, "REPLACE"), error("ERR Function three already exists"));
    assert_eq!(names(&mut client), ["mine"]);
    assert_eq!(client.ask(&["FCALL", "three", "0"]), Reply::Int(33));
    assert_eq!(restore(&mut client, &payload, "FLUSH"), status("OK"));
    assert_eq!(names(&mut client), ["lib", "other"]);
    assert_eq!(client.ask(&["FCALL", "three", "0"]), Reply::Int(3));
    assert_eq!(client.ask(&["FUNCTION", "DELETE", "lib"]), status("OK"));
    assert_eq!(client.ask(&["FCALL", "two", "0"]), error("ERR Function not found"));
    assert_eq!((client.info("number_of_libraries"), client.info("number_of_functions")), ("1".into(), "1".into()));
}

#[test]
fn libraries_outlive_flushall_a_reload_and_a_restart_from_a_snapshot() {
    let mut server = Server::with_config(CONFIG);
    let mut client = server.client();
    load(&mut client, LIBRARY);
    client.ask(&["FLUSHALL"]);
    client.ask(&["SET", "k", "v"]);
    assert_eq!(client.ask(&["DEBUG", "RELOAD"]), status("OK"));
    assert_eq!(client.ask(&["FCALL", "see", "1", "k"]), bulk("v"));
    assert!(client.ask(&["DEBUG", "RELOAD", "NOFLUSH"]).text().starts_with("ERR Error trying to load the RDB"));
    assert_eq!(client.ask(&["DEBUG", "RELOAD", "NOFLUSH", "MERGE"]), status("OK"));
    assert_eq!(client.ask(&["FCALL", "see", "1", "k"]), bulk("v"));
    assert_eq!(client.ask(&["SAVE"]), status("OK"));
    server.stop();
    let server = Server::in_folder(server.into_folder(), CONFIG);
    let mut client = server.client();
    wait_until("the library is there", || names(&mut client) == ["lib"]);
    assert_eq!(client.ask(&["FCALL", "see", "1", "k"]), bulk("v"));
}

#[test]
fn libraries_are_in_the_append_only_file_in_either_kind_of_base() {
    for preamble in ["yes", "no"] {
        let config =
            format!("{CONFIG}appendonly yes\naof-use-rdb-preamble {preamble}\nauto-aof-rewrite-percentage 0\n");
        let server = Server::with_config(&config);
        let mut client = server.client();
        load(&mut client, LIBRARY);
        client.ask(&["BGREWRITEAOF"]);
        wait_until("the rewrite is done", || {
            client.info("aof_rewrite_in_progress") == "0" && client.info("aof_rewrite_scheduled") == "0"
        });
        assert_eq!(client.info("aof_last_bgrewrite_status"), "ok");
        load(&mut client, "#!lua name=later\nredis.register_function('three', function() return 3 end)");
        load(&mut client, "#!lua name=gone\nredis.register_function('four', function() return 4 end)");
        client.ask(&["FUNCTION", "DELETE", "gone"]);
        client.ask(&["FCALL", "put", "1", "k", preamble]);
        let server = Server::in_folder(server.into_folder(), &config);
        let mut client = server.client();
        wait_until("all is loaded", || client.info("loading") == "0");
        assert_eq!(names(&mut client), ["later", "lib"]);
        assert_eq!(client.ask(&["FCALL", "see", "1", "k"]), bulk(preamble));
    }
}

#[test]
fn a_replica_has_the_libraries_of_its_master() {
    let (one, other) = (Server::with_config(CONFIG), Server::with_config(CONFIG));
    let (mut master, mut replica) = (one.client(), other.client());
    load(&mut master, LIBRARY);
    load(&mut replica, "#!lua name=own\nredis.register_function('own', function() end)");
    replica.ask(&["REPLICAOF", "127.0.0.1", &one.port.to_string()]);
    wait_until("the data set has come", || names(&mut replica) == ["lib"]);
    load(&mut master, "#!lua name=more\nredis.register_function('three', function() return 3 end)");
    wait_until("the library has come", || names(&mut replica) == ["lib", "more"]);
    master.ask(&["FCALL", "put", "1", "k", "v"]);
    wait_until("the effect has come", || replica.ask(&["FCALL_RO", "see", "1", "k"]) == bulk("v"));
    let refused = replica.ask(&["FUNCTION", "DELETE", "lib"]).text();
    assert_eq!(refused, "READONLY You can't write against a read only replica.");
    master.ask(&["FUNCTION", "FLUSH"]);
    wait_until("all are gone", || names(&mut replica).is_empty());
}

#[test]
fn a_slow_function_can_be_looked_at_and_ended() {
    let server = Server::with_config("save \"\"\nbusy-reply-threshold 10\n");
    let (mut client, mut caller) = (server.client(), server.client());
    load(&mut client, "#!lua name=lib\nredis.register_function('spin', function() while true do end end)");
    caller.send(&["FCALL", "spin", "0"]);
    let busy = "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";
    wait_until("the others are told", || client.ask(&["PING"]) == error(busy));
    let stats = client.ask(&["FUNCTION", "STATS"]);
    let running = stats.list()[1].list();
    assert_eq!(running[1], bulk("spin"));
    assert_eq!(running[3], Reply::Array(vec![bulk("FCALL"), bulk("spin"), bulk("0")]));
    assert!(matches!(client.ask(&["SCRIPT", "KILL"]), Reply::Error(text) if text.starts_with("BUSY")));
    assert_eq!(client.ask(&["FUNCTION", "KILL"]), status("OK"));
    assert!(caller.reply().text().contains("Script killed by user with SCRIPT KILL"));
    wait_until("all is well again", || client.ask(&["PING"]) == status("PONG"));
    assert_eq!(client.ask(&["FUNCTION", "KILL"]), error("NOTBUSY No scripts in execution right now."));
}
