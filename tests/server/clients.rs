//! What connections may do to each other, and what the server does to them: pauses, tracked keys, memory, limits.

use crate::harness::{Client, Reply, Server, bulk, error, status, wait_until};

fn id(client: &mut Client) -> String {
    let Reply::Int(id) = client.ask(&["CLIENT", "ID"]) else { panic!("an id") };
    id.to_string()
}

fn push(items: &[Reply]) -> Reply {
    Reply::Push(items.to_vec())
}

fn invalidate(key: &str) -> Reply {
    push(&[bulk("invalidate"), Reply::Array(vec![bulk(key)])])
}

fn blocked(client: &mut Client, count: &str) {
    wait_until("clients to wait", || client.info("blocked_clients") == count);
}

#[test]
fn a_pause_holds_writes_and_what_is_behind_them_in_order() {
    let server = Server::start();
    let (mut keeper, mut writer) = (server.client(), server.client());
    let writer_id = id(&mut writer);
    assert_eq!(keeper.ask(&["CLIENT", "PAUSE", "100000", "WRITE"]), status("OK"));
    writer.send_raw(b"GET k\r\nSET k \"a b\"\r\nGET k\r\nCLIENT REPLY SKIP\r\nSET k 2\r\nGET k\r\n");
    assert_eq!(writer.reply(), Reply::Nil);
    blocked(&mut keeper, "1");
    assert_eq!(keeper.ask(&["CLIENT", "UNBLOCK", &writer_id]), Reply::Int(0));
    assert_eq!(keeper.ask(&["GET", "k"]), Reply::Nil);
    assert_eq!(keeper.ask(&["CLIENT", "UNPAUSE"]), status("OK"));
    assert_eq!((writer.reply(), writer.reply(), writer.reply()), (status("OK"), bulk("a b"), bulk("2")));
}

#[test]
fn a_pause_ends_by_itself_and_is_never_made_shorter() {
    let server = Server::start();
    let mut client = server.client();
    let began = std::time::Instant::now();
    client.send_raw(b"CLIENT PAUSE 300\r\n");
    assert_eq!(client.reply(), status("OK"));
    assert_eq!(client.ask(&["CLIENT", "PAUSE", "1", "WRITE"]), status("OK"));
    assert!(began.elapsed().as_millis() >= 290, "the pause lasted {:?}", began.elapsed());
}

#[test]
fn a_client_that_goes_away_in_a_pause_takes_its_command_with_it() {
    let server = Server::start();
    let (mut keeper, mut writer) = (server.client(), server.client());
    let writer_id = id(&mut writer);
    keeper.ask(&["CLIENT", "PAUSE", "100000", "WRITE"]);
    writer.send(&["SET", "k", "v"]);
    blocked(&mut keeper, "1");
    assert_eq!(keeper.ask(&["CLIENT", "KILL", "ID", &writer_id]), Reply::Int(1));
    assert_eq!(writer.until_closed(), b"");
    blocked(&mut keeper, "0");
    keeper.ask(&["CLIENT", "UNPAUSE"]);
    assert_eq!(keeper.ask(&["GET", "k"]), Reply::Nil);
}

#[test]
fn what_a_command_makes_void_for_its_own_client_follows_the_reply() {
    let server = Server::start();
    let (mut client, mut other) = (server.client(), server.client());
    client.ask(&["HELLO", "3"]);
    client.ask(&["CLIENT", "TRACKING", "ON"]);
    client.send_raw(b"GET a\r\nSET a 1\r\nMULTI\r\nSET b 1\r\nGET b\r\nEXEC\r\n");
    assert_eq!((client.reply(), client.reply(), client.reply()), (Reply::Nil, status("OK"), invalidate("a")));
    assert_eq!((client.reply(), client.reply(), client.reply()), (status("OK"), status("QUEUED"), status("QUEUED")));
    // The transaction read `b` after it had changed it, so what it has read is good.
    assert_eq!(client.reply(), Reply::Array(vec![status("OK"), bulk("1")]));
    assert_eq!(client.ask(&["PING"]), status("PONG"));
    other.ask(&["DEL", "b"]);
    assert_eq!(client.reply(), invalidate("b"));
    other.ask(&["FLUSHALL"]);
    assert_eq!(client.reply(), push(&[bulk("invalidate"), Reply::Nil]));
}

#[test]
fn a_resp2_client_has_its_messages_sent_elsewhere() {
    let server = Server::start();
    let (mut reader, mut listener, mut writer) = (server.client(), server.client(), server.client());
    let listener_id = id(&mut listener);
    listener.ask(&["SUBSCRIBE", "__redis__:invalidate"]);
    assert_eq!(
        reader.ask(&["CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "u:", "REDIRECT", &listener_id]),
        status("OK")
    );
    writer.send_raw(b"SET u:2 x\r\nSET v:1 x\r\nSET u:1 x\r\n");
    let keys = Reply::Array(vec![bulk("u:1"), bulk("u:2")]);
    let told = listener.reply();
    let expected = Reply::Array(vec![bulk("message"), bulk("__redis__:invalidate"), keys]);
    // Both keys in one message, unless the three commands came in two reads.
    assert!(told == expected || told.list()[2].list().len() == 1, "{told:?}");
    assert_eq!(reader.ask(&["CLIENT", "GETREDIR"]), Reply::Int(listener_id.parse().unwrap()));
}

#[test]
fn a_client_that_goes_away_leaves_nothing_in_the_table_of_keys() {
    let server = Server::start();
    let (mut keeper, mut reader) = (server.client(), server.client());
    reader.ask(&["CLIENT", "TRACKING", "ON"]);
    for i in 0..3000 {
        reader.send(&["GET", &format!("key:{i}")]);
        assert_eq!(reader.reply(), Reply::Nil);
    }
    assert_eq!(keeper.info("tracking_total_keys"), "3000");
    drop(reader);
    wait_until("the table to be empty", || keeper.info("tracking_total_items") == "0");
    assert_eq!((keeper.info("tracking_total_keys"), keeper.info("tracking_clients")), ("0".into(), "0".into()));
}

#[test]
fn the_largest_client_goes_first_and_one_that_may_stay_stays() {
    let server = Server::start();
    let mut keeper = server.client();
    let mut crowd: Vec<Client> = (0..3).map(|_| server.client()).collect();
    for (client, size) in crowd.iter_mut().zip([300_000, 700_000, 900_000]) {
        client.send_raw(format!("*1\r\n${}\r\n{}", size + 1, "x".repeat(size)).as_bytes());
    }
    wait_until("all input has come", || keeper.info("total_net_input_bytes").parse::<u64>().unwrap() > 1_900_000);
    let mut stays = server.client();
    stays.ask(&["CLIENT", "NO-EVICT", "ON"]);
    assert_eq!(keeper.ask(&["CONFIG", "SET", "maxmemory-clients", "1200000"]), status("OK"));
    assert_eq!(crowd.pop().unwrap().until_closed(), b"");
    assert_eq!((keeper.info("evicted_clients"), keeper.info("connected_clients")), ("1".into(), "4".into()));
    assert_eq!(stays.ask(&["PING"]), status("PONG"));
}

#[test]
fn a_pipeline_stops_where_its_replies_are_too_much() {
    let server = Server::start();
    let (mut keeper, mut greedy) = (server.client(), server.client());
    keeper.ask(&["SET", "big", &"x".repeat(50_000)]);
    keeper.ask(&["CONFIG", "SET", "client-output-buffer-limit", "normal 100000 0 0"]);
    greedy.send_raw(&[b"GET big\r\n".repeat(5), b"SET reached 1\r\n".to_vec()].concat());
    assert_eq!(greedy.until_closed(), b"");
    assert_eq!(keeper.ask(&["EXISTS", "reached"]), Reply::Int(0));
    assert_eq!(keeper.info("client_output_buffer_limit_disconnections"), "1");
}

#[test]
fn a_large_value_arrives_whole_however_it_is_cut() {
    let server = Server::start();
    let mut client = server.client();
    let value = "0123456789".repeat(500_000);
    client.send_raw(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", value.len()).as_bytes());
    for part in value.as_bytes().chunks(1_234_567) {
        client.send_raw(part);
    }
    client.send_raw(b"\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    assert_eq!((client.reply(), client.reply()), (status("OK"), status("PONG")));
    assert!(client.reply() == bulk(&value), "another value came back");
    assert_eq!(client.ask(&["NOSUCH"]).text().split(' ').next(), Some("ERR"));
}

#[test]
fn shard_channels_are_not_the_others() {
    let server = Server::start();
    let (mut listener, mut sender) = (server.client(), server.client());
    let confirmed = |word: &str, count| Reply::Array(vec![bulk(word), bulk("c"), Reply::Int(count)]);
    assert_eq!(listener.ask(&["SSUBSCRIBE", "c"]), confirmed("ssubscribe", 1));
    assert_eq!(listener.ask(&["SUBSCRIBE", "c"]), confirmed("subscribe", 1));
    assert_eq!(
        (sender.ask(&["SPUBLISH", "c", "x"]), sender.ask(&["PUBLISH", "c", "y"])),
        (Reply::Int(1), Reply::Int(1))
    );
    assert_eq!(listener.reply(), Reply::Array(vec![bulk("smessage"), bulk("c"), bulk("x")]));
    assert_eq!(listener.reply(), Reply::Array(vec![bulk("message"), bulk("c"), bulk("y")]));
    assert_eq!(sender.ask(&["PUBSUB", "SHARDNUMSUB", "c"]), Reply::Array(vec![bulk("c"), Reply::Int(1)]));
    assert_eq!(listener.ask(&["SUNSUBSCRIBE"]), confirmed("sunsubscribe", 0));
    let refusal = "ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                   this context";
    assert_eq!(listener.ask(&["GET", "k"]), error(refusal));
    assert_eq!(sender.ask(&["MULTI"]), status("OK"));
    sender.ask(&["SSUBSCRIBE", "c"]);
    let refused = error("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
    assert_eq!(sender.ask(&["EXEC"]), Reply::Array(vec![refused]));
}

/// The number behind ` name=` in a client's line.
fn figure(client: &mut Client, id: &str, name: &str) -> usize {
    let line = client.ask(&["CLIENT", "LIST", "ID", id]).text();
    let mut fields = line.trim().split(' ').filter_map(|field| field.split_once('='));
    fields.find(|(field, _)| *field == name).expect(name).1.parse().expect(name)
}

/// Buffers of its own: 16 KiB to read to, and the replies'; after some seconds it shares both with the others.
#[test]
fn a_new_connection_has_buffers_for_its_first_seconds() {
    let server = Server::start();
    let (mut watcher, mut new) = (server.client(), server.client());
    let id = id(&mut new);
    assert_eq!((figure(&mut watcher, &id, "qbuf"), figure(&mut watcher, &id, "qbuf-free")), (0, 16384));
    assert_eq!(figure(&mut watcher, &id, "rbs"), 1024);
    new.ask(&["SET", "k", &"x".repeat(40_000)]);
    new.ask(&["GET", "k"]);
    assert_eq!(figure(&mut watcher, &id, "rbs"), 16384);
    crate::harness::wait_until("the buffers to go", || {
        figure(&mut watcher, &id, "qbuf-free") == 0 && figure(&mut watcher, &id, "rbs") == 0
    });
    assert_eq!(new.ask(&["GET", "k"]).text().len(), 40_000);
}

#[test]
fn connections_are_listed_and_ended_by_filters() {
    let server = Server::start();
    let (mut asker, mut other) = (server.client(), server.client());
    let (own, id) = (id(&mut asker), id(&mut other));
    other.ask(&["CLIENT", "SETNAME", "other"]);
    other.ask(&["CLIENT", "SETINFO", "LIB-NAME", "lib"]);
    other.ask(&["SELECT", "3"]);
    let mut listed = |filters: &[&str]| {
        let text = asker.ask(&[&["CLIENT", "LIST"], filters].concat()).text();
        let ids = text.lines().map(|line| line.split(' ').next().unwrap().trim_start_matches("id=").to_owned());
        ids.collect::<Vec<_>>()
    };
    for filters in [
        &["NAME", "other"][..],
        &["NOT-NAME", ""],
        &["DB", "3", "FLAGS", "N"],
        &["LIB-NAME", "lib", "IP", "127.0.0.1"],
        &["NOT-ID", &own, "TYPE", "normal"],
        &["SKIPME", "yes"],
        &["ID", &id, "77", "USER", "default"],
    ] {
        assert_eq!(listed(filters), [id.as_str()], "{filters:?}");
    }
    assert_eq!(listed(&["ID", &own, &id, "MAXAGE", "1000"]), [""; 0]);
    assert_eq!(listed(&["NOT-TYPE", "pubsub", "NOT-FLAGS", "x"]).len(), 2);
    for (request, refusal) in [
        (&["CLIENT", "LIST", "DB", "x"][..], "ERR DB is not an integer or out of range"),
        (&["CLIENT", "LIST", "NAME"], "ERR syntax error"),
        (&["CLIENT", "LIST", "NOT-MAXAGE", "1"], "ERR syntax error"),
        (&["CLIENT", "KILL", "ID", "10", "wrong"], "ERR syntax error"),
        (&["CLIENT", "KILL", "ID", "x"], "ERR client-id should be greater than 0"),
        (&["CLIENT", "KILL", "IDLE", "0"], "ERR idle should be greater than 0"),
    ] {
        assert_eq!(asker.ask(request), error(refusal), "{request:?}");
    }
    assert_eq!(asker.ask(&["CLIENT", "KILL", "NAME", "other", "NOT-DB", "3"]), Reply::Int(0));
    assert_eq!(asker.ask(&["CLIENT", "KILL", "NAME", "other", "NOT-DB", "2"]), Reply::Int(1));
}
