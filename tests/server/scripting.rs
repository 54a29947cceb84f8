//! Scripts in a whole server: what they answer, what others hear of them, what goes to the append only file.
//!
//! *Duty:* EVAL and SCRIPT as clients meet them. *Does not know:* the inside of the engine (tests of `script`).

use crate::harness::{Client, Folder, Reply, Server, bulk, error, status, wait_until};

#[track_caller]
fn eval(client: &mut Client, script: &str) -> Reply {
    client.ask(&["EVAL", script, "1", "k", "a"])
}

#[test]
fn values_go_both_ways() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(eval(&mut client, "return {KEYS[1], ARGV[1], 3.9, true, false}"), {
        Reply::Array(vec![bulk("k"), bulk("a"), Reply::Int(3), Reply::Int(1), Reply::Nil])
    });
    assert_eq!(eval(&mut client, "return redis.call('SET', KEYS[1], 1.5)"), status("OK"));
    assert_eq!(eval(&mut client, "return redis.call('GET', KEYS[1])"), bulk("1.5"));
    assert_eq!(eval(&mut client, "return redis.pcall('INCR', KEYS[1]).err"), {
        bulk("ERR value is not an integer or out of range")
    });
    assert_eq!(eval(&mut client, "return {err = 'MY text'}"), error("MY text"));
    // Deeper than a stack of ours would be.
    client.send(&["EVAL", "local t = {1} for i = 1, 2000 do t = {t} end return t", "0"]);
    client.send(&["EVAL", "local t = {} t[1] = t return t", "0"]);
    client.send(&["QUIT"]);
    let text = String::from_utf8(client.until_closed()).unwrap();
    let (first, second) = text.split_once(":1\r\n").unwrap();
    assert_eq!(first, "*1\r\n".repeat(2001));
    assert!(second.ends_with("-ERR reached lua stack limit\r\n+OK\r\n"));
}

#[test]
fn errors_say_where_they_came_about() {
    let server = Server::start();
    let mut client = server.client();
    let place = |sha: &str, line: u32| format!(" script: {sha}, on @user_script:{line}.");
    for (script, text, line) in [
        ("return redis.call('NOSUCH')", "ERR Unknown Redis command called from script", 1),
        ("return foo", "ERR user_script:1: Script attempted to access nonexistent global variable 'foo'", 1),
        ("x = 1", "ERR user_script:1: Attempt to modify a readonly table", 1),
        ("redis.call = 1", "ERR user_script:1: Attempt to modify a readonly table", 1),
        ("string.upper = 1", "ERR user_script:1: Attempt to modify a readonly table", 1),
        ("getmetatable('').__index.x = 1", "ERR user_script:1: Attempt to modify a readonly table", 1),
        ("\n\nerror('boom')", "ERR user_script:3: boom", 3),
        ("error({err = 'MY own'})", "MY own", 1),
        ("return math.random(0)", "ERR user_script:1: bad argument #1 to 'random' (interval is empty)", 1),
        ("for a in pairs(nil) do end", "ERR user_script:1: bad argument #1 to 'pairs' (table expected, got nil)", 1),
    ] {
        let sha = client.ask(&["SCRIPT", "LOAD", script]).text();
        assert_eq!(eval(&mut client, script), error(&format!("{text}{}", place(&sha, line))), "{script}");
    }
    let compile = "ERR Error compiling script (new function): user_script:1: '=' expected near '+'";
    assert_eq!(eval(&mut client, "x+"), error(compile));
    assert_eq!(eval(&mut client, "\u{1b}Lua"), client.ask(&["SCRIPT", "LOAD", "\u{1b}Lua"]));
    assert_eq!(eval(&mut client, "return loadstring(string.dump(function() end))"), Reply::Nil);
}

#[test]
fn nothing_of_a_script_is_there_for_the_next() {
    let server = Server::start();
    let mut client = server.client();
    for script in [
        "rawset(_G, 'left', 1)",
        "loadstring('left = 1')()",
        "setmetatable(_G, {__index = {left = 1}})",
        "local _, t = pairs(redis) t.left = 1",
        "getmetatable(_G).__index = {left = 1}",
        "coroutine.wrap(function() left = 1 end)()",
    ] {
        assert!(matches!(eval(&mut client, script), Reply::Error(_)), "{script}");
    }
    assert_eq!(eval(&mut client, "return {rawget(_G, 'left'), redis.left}"), Reply::Array(vec![]));
    let gone = "local n = 0 for _, name in pairs({'dofile', 'loadfile', 'print', 'os', 'io', 'debug', 'require', \
                'getfenv', 'setfenv', 'newproxy'}) do if rawget(_G, name) ~= nil then n = n + 1 end end return n";
    assert_eq!(eval(&mut client, gone), Reply::Int(0));
}

#[test]
fn scripts_are_known_by_their_digest_until_they_are_flushed() {
    let server = Server::start();
    let mut client = server.client();
    let sha = client.ask(&["SCRIPT", "LOAD", "return 7"]).text();
    assert_eq!(sha.len(), 40);
    assert_eq!(client.ask(&["EVALSHA", &sha.to_ascii_uppercase(), "0"]), Reply::Int(7));
    assert_eq!(client.ask(&["SCRIPT", "EXISTS", &sha, "x"]), Reply::Array(vec![Reply::Int(1), Reply::Int(0)]));
    assert_eq!(client.ask(&["SCRIPT", "FLUSH", "ASYNC"]), status("OK"));
    let unknown = error("NOSCRIPT No matching script. Please use EVAL.");
    assert_eq!(client.ask(&["EVALSHA", &sha, "0"]), unknown);
    assert_eq!(client.ask(&["SCRIPT", "KILL"]), error("NOTBUSY No scripts in execution right now."));
}

#[test]
fn a_script_says_what_it_does() {
    let server = Server::start();
    let mut client = server.client();
    let reads = "#!lua flags=no-writes\nreturn redis.call('SET', KEYS[1], 1)";
    let Reply::Error(text) = eval(&mut client, reads) else { panic!("it wrote") };
    assert!(text.starts_with("ERR Write commands are not allowed from read-only scripts. script: "), "{text}");
    assert!(text.ends_with("on @user_script:2."), "{text}");
    let refused = error("ERR Can not execute a script with write flag using *_ro command.");
    assert_eq!(client.ask(&["EVAL_RO", "#!lua\nreturn 1", "0"]), refused);
    assert_eq!(client.ask(&["EVAL_RO", "return redis.call('GET', KEYS[1])", "1", "k"]), Reply::Nil);
}

#[test]
fn a_busy_script_can_be_killed_until_it_writes() {
    let server = Server::with_config("save \"\"\nbusy-reply-threshold 20\n");
    let (mut slow, mut other) = (server.client(), server.client());
    let busy = error("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.");
    // It catches errors, and still ends.
    slow.send(&["EVAL", "while true do pcall(function() while true do end end) end", "0"]);
    wait_until("the script to be slow", || other.ask(&["PING"]) == busy);
    assert_eq!(other.ask(&["SCRIPT", "KILL"]), status("OK"));
    let Reply::Error(text) = slow.reply() else { panic!("it ended by itself") };
    assert!(text.contains("Script killed by user with SCRIPT KILL."), "{text}");
    wait_until("the server to serve again", || other.ask(&["PING"]) == status("PONG"));
    slow.send(&["EVAL", "redis.call('SET', 'k', 1) while true do end", "0"]);
    wait_until("the script to be slow", || other.ask(&["PING"]) == busy);
    let Reply::Error(text) = other.ask(&["SCRIPT", "KILL"]) else { panic!("it was killed") };
    assert!(text.starts_with("UNKILLABLE "), "{text}");
    assert_eq!(other.ask(&["SHUTDOWN"]), busy);
    other.send(&["SHUTDOWN", "NOSAVE"]);
    let mut server = server;
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn what_a_script_wrote_is_replayed_as_one() {
    let config = "save \"\"\nappendonly yes\nappendfsync always\nauto-aof-rewrite-percentage 0\n";
    let mut server = Server::with_config(config);
    let mut client = server.client();
    let script = "redis.call('SET', 'a', 1) redis.call('INCR', 'a') redis.set_repl(redis.REPL_NONE) \
                  redis.call('SET', 'b', 1) redis.set_repl(redis.REPL_ALL) return redis.call('SET', 'c', 1)";
    assert_eq!(client.ask(&["EVAL", script, "0"]), status("OK"));
    assert_eq!(client.ask(&["EVAL", "return redis.call('SET', 'd', 1)", "0"]), status("OK"));
    assert_eq!(client.ask(&["EVAL", "return redis.call('GET', 'd')", "0"]), bulk("1"));
    server.stop();
    let folder: Folder = server.into_folder();
    let mut names = std::fs::read_dir(folder.join("appendonlydir")).unwrap().map(|entry| entry.unwrap().path());
    let increment = names.find(|path| path.to_str().unwrap().ends_with(".incr.aof")).unwrap();
    let text = std::fs::read_to_string(increment).unwrap();
    let words: Vec<&str> =
        text.split("\r\n").filter(|word| !word.starts_with(['*', '$']) && !word.is_empty()).collect();
    let expected = "SELECT 0 MULTI SET a 1 INCR a SET c 1 EXEC SET d 1";
    assert_eq!(words.join(" "), expected);
}

/// A value that Rust holds takes one of some 8,000 places of mlua, which panics when there is none left.
#[test]
fn no_number_of_values_ends_the_server() {
    let server = Server::start();
    let mut client = server.client();
    let list = |n: usize| format!("local t = {{}} for i = 1, {n} do t[i] = 'v' .. i end ");
    let push = list(7997) + "return redis.call('rpush', 'l', unpack(t, 1, 7996))";
    assert_eq!(eval(&mut client, &push), Reply::Int(7996));
    let all = list(7999) + "t[1] = 'rpush' t[2] = 'm' return redis.call(unpack(t))";
    assert_eq!(eval(&mut client, &all), Reply::Int(7997));
    let Reply::Error(text) = eval(&mut client, &(list(8000) + "return redis.call(unpack(t))")) else { panic!() };
    assert!(text.starts_with("ERR user_script:1: too many results to unpack script: "), "{text}");
    let ignored = list(7900) + "return {redis.sha1hex(unpack(t)), 1}";
    assert!(matches!(eval(&mut client, &ignored), Reply::Error(_)));
    for (kind, per) in [("map", 2), ("set", 1)] {
        let made = format!("local t = {{}} for i = 1, 20000 do t['v' .. i] = 'x' end return {{{kind} = t}}");
        let Reply::Array(values) = eval(&mut client, &made) else { panic!("{kind}") };
        assert_eq!(values.len(), 20_000 * per, "{kind}");
    }
    let Reply::Array(values) = eval(&mut client, &(list(100_000) + "return t")) else { panic!("no array") };
    assert_eq!((values.len(), &values[99_999]), (100_000, &bulk("v100000")));
    let keys = list(20_000)
        + "local n = 0 for i = 1, 20000, 4000 do \
               n = n + #redis.call('mget', unpack(t, i, i + 3999)) end return n";
    assert_eq!(eval(&mut client, &keys), Reply::Int(20_000));
    assert_eq!(eval(&mut client, "return #redis.call('lrange', 'l', 0, -1)"), Reply::Int(7996));
    for (code, answer) in [
        ("return #cjson.decode('[' .. ('\"a\",'):rep(99999) .. '1]')", Reply::Int(100_000)),
        ("return #cjson.encode(cjson.decode(('['):rep(1000) .. (']'):rep(1000)))", Reply::Int(2000)),
        ("return select('#', cmsgpack.unpack(('\\161a'):rep(6000)))", Reply::Int(6000)),
        ("local n = 0 local function f() n = n + 1 pcall(f) end f() return n > 100", Reply::Int(1)),
    ] {
        assert_eq!(eval(&mut client, code), answer, "{code}");
    }
    for code in [
        "cjson.encode_max_depth(100000) local t = {} for i = 1, 50000 do t = {t} end return cjson.encode(t)",
        "cjson.encode_max_depth(100000) local t = {} for i = 1, 50000 do t = {a = t} end return cjson.encode(t)",
        "cjson.decode_max_depth(100000) return cjson.decode(('['):rep(50000))",
        "return cmsgpack.unpack(('\\161a'):rep(100000))",
        "return cmsgpack.unpack(('\\145'):rep(100000))",
        "return struct.unpack(('s'):rep(9000), ('a\\0'):rep(9000))",
    ] {
        assert!(matches!(eval(&mut client, code), Reply::Error(_)), "{code}");
        assert_eq!(client.ask(&["PING"]), status("PONG"), "{code}");
    }
}

/// As deep as 7.0.15 writes an answer, to the level.
#[test]
fn an_answer_is_as_deep_as_a_stack_of_lua() {
    let server = Server::start();
    let mut client = server.client();
    for (inner, n, deep) in
        [("t", 7993, false), ("t", 7994, true), ("map = {a = t}", 2664, false), ("map = {a = t}", 2665, true)]
    {
        client.send(&["EVAL", &format!("local t = {{1}} for i = 1, {n} do t = {{{inner}}} end return t"), "0"]);
        client.send(&["QUIT"]);
        let text = String::from_utf8(client.until_closed()).unwrap();
        assert_eq!(text.ends_with("-ERR reached lua stack limit\r\n+OK\r\n"), deep, "{inner} {n}");
        assert_eq!(text.ends_with(":1\r\n+OK\r\n"), !deep, "{inner} {n}");
        client = server.client();
    }
}
