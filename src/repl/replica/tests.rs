//! The link against masters that are written down line by line.

use super::*;
use crate::base::rng::Rng;

fn settings() -> Settings {
    Settings { user: None, password: None, listening_port: 6380, announce_ip: None, timeout_secs: 60 }
}

fn id(seed: u64) -> RunId {
    RunId::random(&mut Rng::new(seed))
}

fn resume(offset: u64) -> Resume {
    Resume { id: id(1), offset, db: Some(2) }
}

/// A link and what it has done so far.
struct Probe {
    link: MasterLink,
    now: Millis,
    /// Without the log.
    done: Vec<Action>,
    log: Vec<String>,
}

impl Probe {
    fn with(settings: Settings, resume: Option<Resume>) -> Probe {
        let now = Millis(1_000_000);
        let link = MasterLink::new(Address::new("10.0.0.1", 6379), settings, resume, now);
        let mut probe = Probe { link, now, done: Vec::new(), log: Vec::new() };
        assert_eq!(probe.actions(), [Action::Connect(Address::new("10.0.0.1", 6379))]);
        assert!(probe.said("Connecting to MASTER 10.0.0.1:6379"));
        probe
    }

    fn new(resume: Option<Resume>) -> Probe {
        Probe::with(settings(), resume)
    }

    /// The actions since the last call, without the log.
    fn actions(&mut self) -> Vec<Action> {
        while let Some(action) = self.link.take_action() {
            match action {
                Action::Log(line) => self.log.push(line.text),
                action => self.done.push(action),
            }
        }
        std::mem::take(&mut self.done)
    }

    /// What was sent since the last call, as text with `|` for line ends.
    fn sent(&mut self) -> String {
        let mut out = Vec::new();
        for action in self.actions() {
            match action {
                Action::Send(bytes) => out.extend(bytes),
                other => panic!("{other:?}"),
            }
        }
        String::from_utf8(out).unwrap().replace("\r\n", "|")
    }

    fn said(&mut self, text: &str) -> bool {
        let rest = self.actions();
        self.done.extend(rest);
        self.log.iter().any(|line| line.contains(text))
    }

    fn connect(&mut self) -> &mut Probe {
        self.link.on_connected(self.now);
        self
    }

    /// The master says a line.
    fn line(&mut self, text: &str) -> &mut Probe {
        let bytes = format!("{text}\r\n");
        let took = self.link.on_bytes(self.now, bytes.as_bytes());
        assert!(matches!(took, Took::Own(len) if len == bytes.len()) || took == Took::Dropped, "{text}: {took:?}");
        self
    }

    /// All answers up to PSYNC.
    fn handshake(&mut self) -> &mut Probe {
        self.connect().line("+PONG").line("+OK").line("+OK")
    }

    fn online(&mut self) -> &mut Probe {
        self.handshake().line(&format!("+FULLRESYNC {} 100", id(1))).line("$3");
        assert_eq!(self.link.on_bytes(self.now, b"RDB"), Took::Payload(3));
        self.link.on_load_result(self.now, Ok(Some(0)));
        assert!(self.link.is_online());
        self.actions();
        self
    }

    fn after(&mut self, secs: i64) -> &mut Probe {
        self.now = self.now.plus(secs * 1_000);
        self.link.tick(self.now);
        self
    }

    fn error(&self) -> String {
        self.link.error(self.now).unwrap_or_default()
    }
}

#[test]
fn a_first_sync_speaks_the_whole_dialogue() {
    let mut probe = Probe::with(
        Settings {
            user: Some(b"repl".to_vec()),
            password: Some(b"secret".to_vec()),
            announce_ip: Some(b"9.9.9.9".to_vec()),
            ..settings()
        },
        None,
    );
    assert_eq!(probe.link.role_state(), "connecting");
    assert_eq!(probe.connect().sent(), "*1|$4|PING|");
    assert_eq!(
        probe.line("+PONG").sent(),
        "*3|$4|AUTH|$4|repl|$6|secret|*3|$8|REPLCONF|$14|listening-port|$4|6380|*3|$8|REPLCONF|$10|ip-address|$7|\
         9.9.9.9|*5|$8|REPLCONF|$4|capa|$3|eof|$4|capa|$6|psync2|"
    );
    assert_eq!(probe.link.role_state(), "handshake");
    probe.line("+OK").line("+OK").line("+OK");
    assert_eq!(probe.line("+OK").sent(), "*3|$5|PSYNC|$1|?|$2|-1|");
    assert!(probe.said("Partial resynchronization not possible (no cached master)"));

    // The newlines of a master that is still forking.
    assert_eq!(probe.link.on_bytes(probe.now, b"\n"), Took::Own(1));
    probe.line(&format!("+FULLRESYNC {} 777", id(1)));
    assert_eq!((probe.link.role_state(), probe.link.transfer_id()), ("sync", Some(id(1))));
    assert_eq!(probe.link.progress(probe.now).unwrap().total, -1);
    assert_eq!(probe.link.on_bytes(probe.now, b"\n$1"), Took::Own(1));
    assert_eq!(probe.link.on_bytes(probe.now, b"$1"), Took::Nothing);
    probe.line("$10");
    assert_eq!(probe.actions(), [Action::BeginTransfer(Kind::Size(10))]);

    assert_eq!(probe.link.on_bytes(probe.now, b"012345"), Took::Payload(6));
    let progress = probe.link.progress(probe.now).unwrap();
    assert_eq!((progress.total, progress.read), (10, 6));
    assert_eq!(probe.actions(), []);
    assert_eq!(probe.link.on_bytes(probe.now, b"6789*1\r\n"), Took::Payload(4));
    assert_eq!(probe.actions(), [Action::Load]);
    assert_eq!(probe.link.on_bytes(probe.now, b"*1\r\n"), Took::Hold);
    assert!(probe.link.is_syncing());

    probe.link.on_load_result(probe.now, Ok(Some(3)));
    let start = Start::Loaded { id: Some(id(1)), offset: 777, db: Some(3) };
    assert_eq!(probe.actions(), [Action::Online(start)]);
    assert_eq!(probe.link.on_bytes(probe.now, b"*1\r\n"), Took::Stream);
    assert_eq!(
        (probe.link.role_state(), probe.link.offset(), probe.link.stream_db()),
        ("connected", Some(777), Some(3))
    );
    assert!(probe.said("MASTER <-> REPLICA sync: Finished with success"));
}

#[test]
fn a_streamed_data_set_ends_at_its_mark_and_is_acknowledged_at_once() {
    let mut probe = Probe::new(None);
    let mark = "0123456789abcdef0123456789abcdef01234567";
    probe.handshake().line(&format!("+FULLRESYNC {} 5", id(1))).line(&format!("$EOF:{mark}"));
    probe.actions();
    let input = format!("data 0123{mark}");
    assert_eq!(probe.link.on_bytes(probe.now, &input.as_bytes()[..20]), Took::Payload(9));
    assert_eq!(probe.link.on_bytes(probe.now, &input.as_bytes()[9..]), Took::Own(40));
    assert_eq!(probe.actions(), [Action::Load]);
    assert!(probe.link.newline_due(probe.now.plus(1_000)) && !probe.link.newline_due(probe.now.plus(1_900)));
    probe.link.on_load_result(probe.now, Ok(None));
    let sent = Action::Send(command(&[b"REPLCONF", b"ACK", b"5"]));
    let online = Action::Online(Start::Loaded { id: Some(id(1)), offset: 5, db: None });
    assert_eq!(probe.actions(), [online, sent]);
}

#[test]
fn a_lost_stream_is_asked_for_from_the_next_byte_and_continues() {
    let mut probe = Probe::new(None);
    probe.online();
    probe.link.on_stream_read(probe.now, 30);
    probe.link.on_applied(20, 4);
    assert_eq!((probe.link.offset(), probe.link.read_offset()), (Some(120), Some(130)));
    probe.link.on_closed(probe.now, Lost::Eof);
    assert_eq!(probe.actions(), [Action::Offline, Action::Connect(Address::new("10.0.0.1", 6379))]);
    assert_eq!(probe.link.down_since(), Some(probe.now));
    assert!(probe.error().contains("the connection to 10.0.0.1:6379 was lost (connection lost)"), "{}", probe.error());

    probe.handshake();
    assert!(
        probe.sent().ends_with(&format!("PSYNC|$40|{}|$3|121|", id(1))),
        "the ten bytes of half a command are asked again"
    );
    probe.line("+CONTINUE");
    let start = Start::Continued { new_id: None, offset: 120, db: Some(4) };
    assert_eq!(probe.actions(), [Action::Online(start)]);
    assert_eq!((probe.error().as_str(), probe.link.down_since(), probe.link.resume()), ("", None, None));
}

#[test]
fn a_promoted_master_continues_under_its_new_id() {
    let mut probe = Probe::new(Some(resume(50)));
    probe.handshake().line(&format!("+CONTINUE {}", id(9)));
    probe.link.on_applied(5, 2);
    probe.link.on_closed(probe.now, Lost::Eof);
    assert_eq!(probe.link.resume(), Some(Resume { id: id(9), offset: 55, db: Some(2) }));
    let online = Action::Online(Start::Continued { new_id: Some(id(9)), offset: 50, db: Some(2) });
    assert!(probe.actions().contains(&online));
    assert!(probe.said(&format!("Master replication ID changed to {}", id(9))));
}

#[test]
fn a_continuation_that_nobody_asked_for_is_not_believed() {
    let mut probe = Probe::new(None);
    probe.handshake().line("+CONTINUE");
    assert!(!probe.link.is_online());
    assert!(probe.actions().contains(&Action::Close));
    assert!(probe.error().contains("makes no sense"), "{}", probe.error());

    let mut probe = Probe::new(Some(resume(50)));
    probe.handshake().line("+CONTINUE zzz");
    assert!(!probe.link.is_online());
    assert_eq!(probe.link.resume(), None, "what is here may not be what that master means");
}

#[test]
fn passwords_that_are_missing_or_wrong_are_named() {
    let mut probe = Probe::new(None);
    probe.connect().line("-NOAUTH Authentication required.");
    probe.line("-NOAUTH Authentication required.").line("-NOAUTH Authentication required.");
    probe.line("-NOAUTH Authentication required.");
    assert!(probe.said("(Non critical) Master does not understand REPLCONF listening-port: -NOAUTH"));
    assert!(probe.said("Retrying with SYNC..."));
    probe.line("-NOAUTH Authentication required.");
    assert!(probe.said("MASTER aborted replication with an error: NOAUTH Authentication required."));
    assert!(probe.error().contains("10.0.0.1:6379 asks for a password: set masterauth"), "{}", probe.error());
    assert_eq!(probe.link.role_state(), "connect");

    let mut probe = Probe::with(Settings { password: Some(b"secret".to_vec()), ..settings() }, None);
    probe.connect().line("-NOAUTH Authentication required.");
    assert!(probe.sent().contains("*2|$4|AUTH|$6|secret|"));
    probe.line("-WRONGPASS invalid username-password pair or user is disabled.");
    assert!(probe.said("Unable to AUTH to MASTER: -WRONGPASS"));
    assert!(probe.error().contains("does not accept masterauth"), "{}", probe.error());
    assert!(!probe.error().contains("secret"));
}

#[test]
fn each_refusal_of_ping_has_its_cause() {
    for (reply, cause) in [
        ("-LOADING Redis is loading the dataset in memory", "is loading its data set"),
        ("HTTP/1.1 400 Bad Request", "is no master for this server: HTTP/1.1 400 Bad Request"),
        ("-DENIED Redis is running in protected mode", "refuses to be the master of this server: DENIED"),
        ("-MASTERDOWN Link with MASTER is down", "refuses to be the master of this server: MASTERDOWN"),
    ] {
        let mut probe = Probe::new(None);
        probe.connect().line(reply);
        assert!(probe.said(&format!("Error reply to PING from master: '{reply}'")));
        assert!(probe.error().contains(cause), "{}", probe.error());
        assert!(probe.actions().contains(&Action::Close));
        probe.after(1);
        assert_eq!(probe.link.role_state(), "connecting");
    }
}

#[test]
fn a_master_that_cannot_sync_now_is_asked_again() {
    for (reply, cause) in [
        ("-NOMASTERLINK Can't SYNC while not connected with my master", "not in sync with its own master"),
        ("-LOADING Redis is loading the dataset in memory", "is loading its data set"),
    ] {
        let mut probe = Probe::new(Some(resume(5)));
        probe.handshake().line(reply);
        assert!(probe.said("Master is currently unable to PSYNC but should be in the future"));
        assert!(probe.error().contains(cause), "{}", probe.error());
        assert_eq!(probe.link.resume(), Some(resume(5)), "what is here stays good");
    }
}

#[test]
fn a_master_of_old_times_is_synced_with_sync() {
    let mut probe = Probe::new(Some(resume(5)));
    probe.handshake();
    probe.actions();
    assert_eq!(probe.line("-ERR unknown command 'PSYNC'").sent(), "SYNC|");
    assert!(probe.said("Master does not support PSYNC or is in error state"));
    probe.line("$1");
    assert_eq!(probe.link.on_bytes(probe.now, b"x"), Took::Payload(1));
    probe.link.on_load_result(probe.now, Ok(None));
    assert!(probe.actions().contains(&Action::Online(Start::Loaded { id: None, offset: 0, db: None })));
    probe.after(5);
    assert_eq!(probe.actions(), [], "it takes no ACK");
    probe.link.on_closed(probe.now, Lost::Eof);
    assert_eq!(probe.link.resume(), None);
}

#[test]
fn a_wrong_full_resync_line_leaves_nothing_to_continue_from() {
    for line in ["+FULLRESYNC", "+FULLRESYNC short 5", &format!("+FULLRESYNC {} x", id(1))] {
        let mut probe = Probe::new(None);
        probe.handshake().line(line);
        assert!(probe.said("Master replied with wrong +FULLRESYNC syntax."), "{line}");
        assert_eq!((probe.link.role_state(), probe.link.transfer_id()), ("sync", None));
    }
}

#[test]
fn refused_connections_are_retried_and_counted() {
    let mut probe = Probe::new(None);
    for _ in 0..5 {
        probe.link.on_connect_failed(probe.now, ConnectError::Refused, "Connection refused");
        assert_eq!(probe.actions(), []);
        probe.after(1);
        assert_eq!(probe.actions(), [Action::Connect(Address::new("10.0.0.1", 6379))]);
    }
    assert!(probe.said("Error condition on socket for SYNC: Connection refused"));
    assert!(probe.error().contains("nothing listens on port 6379"), "{}", probe.error());
    assert!(probe.error().ends_with("for 5 s, 5 attempts"), "{}", probe.error());
    assert_eq!(probe.log.iter().filter(|line| line.starts_with("No link to the master")).count(), 1);
    assert_eq!(probe.link.down_since(), None, "it never was up");
}

#[test]
fn silence_is_ended_in_every_state() {
    type Prepare = fn(&mut Probe);
    let timeouts: [(Prepare, &str, &str); 4] = [
        (|_| {}, "Timeout connecting to the MASTER...", "did not accept a connection within 60 s"),
        (|p| _ = p.connect().line("+PONG"), "Timeout connecting to the MASTER...", "has not answered for 60 s"),
        (
            |p| _ = p.handshake().line(&format!("+FULLRESYNC {} 1", id(1))).line("$9"),
            "Timeout receiving bulk data from MASTER",
            "nothing of the data set came",
        ),
        (|p| _ = p.online(), "MASTER timeout: no data nor PING received", "neither data nor PING came"),
    ];
    for (prepare, log, cause) in timeouts {
        let mut probe = Probe::new(None);
        prepare(&mut probe);
        probe.actions();
        probe.after(60);
        assert!(!probe.said(log), "{log}: not before the time has passed");
        probe.actions();
        probe.after(1);
        assert!(probe.said(log) && probe.said("Reconnecting to MASTER 10.0.0.1:6379 after failure"), "{log}");
        assert_eq!(probe.actions().first(), Some(&Action::Close), "{log}");
        assert!(probe.error().contains(cause), "{}", probe.error());
    }
}

#[test]
fn a_stream_is_acknowledged_each_second_and_when_asked() {
    let mut probe = Probe::new(None);
    probe.online();
    for second in 1..=3 {
        probe.link.on_stream_read(probe.now, 10);
        probe.link.on_applied(10, 0);
        let ack = format!("*3|$8|REPLCONF|$3|ACK|$3|{}|", 100 + 10 * second);
        assert_eq!(probe.after(1).sent(), ack);
        probe.link.tick(probe.now.plus(500));
        assert_eq!(probe.sent(), "", "not twice in a second");
    }
    probe.link.send_ack(probe.now);
    assert!(probe.sent().ends_with("|130|"));
}

#[test]
fn a_damaged_data_set_is_fetched_again_with_growing_pauses() {
    let mut probe = Probe::new(Some(resume(5)));
    let mut pauses = Vec::new();
    for round in 0..7 {
        probe.handshake().line(&format!("+FULLRESYNC {} 100", id(1))).line("$1");
        probe.link.on_bytes(probe.now, b"x");
        let why = LoadFailure::Damaged;
        let error = LoadError { why, text: "Wrong signature".to_string(), old_data_kept: round == 0 };
        probe.actions();
        probe.link.on_load_result(probe.now, Err(error));
        assert_eq!(probe.actions(), [Action::Close, Action::AbortTransfer]);
        assert_eq!(probe.link.resume().is_some(), round == 0, "emptied data cannot be continued");
        assert!(probe.error().contains("cannot be loaded: Wrong signature"), "{}", probe.error());
        let mut secs = 0;
        while !probe.link.role_state().starts_with("connecting") {
            probe.after(1);
            secs += 1;
        }
        pauses.push(secs);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 16, 16]);
}

#[test]
fn nonsense_in_the_stream_is_answered_with_a_full_sync_after_a_pause() {
    let mut probe = Probe::new(None);
    probe.online();
    probe.link.on_closed(probe.now, Lost::Nonsense("invalid multibulk length".to_string()));
    assert_eq!(probe.actions(), [Action::Offline]);
    assert_eq!((probe.link.resume(), probe.link.role_state()), (None, "connect"));
    assert_eq!(probe.link.next_deadline(), Some(probe.now.plus(1_000)));
    probe.after(1).handshake();
    assert!(probe.said("Partial resynchronization not possible"));
}

#[test]
fn a_connection_that_breaks_during_the_load_does_not_waste_the_data_set() {
    let mut probe = Probe::new(None);
    probe.handshake().line(&format!("+FULLRESYNC {} 100", id(1))).line("$1");
    probe.link.on_bytes(probe.now, b"x");
    probe.actions();
    probe.link.on_closed(probe.now, Lost::Eof);
    assert_eq!(probe.actions(), []);
    probe.link.on_load_result(probe.now, Ok(Some(0)));
    let online = Action::Online(Start::Loaded { id: Some(id(1)), offset: 100, db: Some(0) });
    let connect = Action::Connect(Address::new("10.0.0.1", 6379));
    assert_eq!(probe.actions(), [online, Action::Offline, connect]);
    assert_eq!(probe.link.resume().map(|r| r.offset), Some(100));
}

#[test]
fn a_master_that_closes_at_once_is_not_called_in_a_loop() {
    let mut probe = Probe::new(None);
    let mut calls = 0;
    for _ in 0..20 {
        if probe.link.role_state() != "connecting" {
            break;
        }
        calls += 1;
        probe.handshake().line(&format!("+FULLRESYNC {} 1", id(1)));
        probe.link.on_closed(probe.now, Lost::Eof);
    }
    assert_eq!(calls, 1 + QUICK_MAX);
    probe.after(1);
    assert_eq!(probe.link.role_state(), "connecting");
}

#[test]
fn another_master_is_asked_to_continue_and_no_master_ends_it() {
    let mut probe = Probe::new(None);
    probe.online();
    let other = Address::new("10.0.0.2", 7000);
    probe.link.retarget(other.clone(), probe.now);
    assert_eq!(probe.actions(), [Action::Close, Action::Offline, Action::Connect(other.clone())]);
    assert_eq!((probe.link.address(), probe.link.offset()), (&other, Some(100)));
    probe.handshake();
    assert!(probe.sent().ends_with(&format!("PSYNC|$40|{}|$3|101|", id(1))));
    probe.link.stop(probe.now);
    assert_eq!(probe.actions(), [Action::Close]);
    assert_eq!(probe.link.role_state(), "none");
    probe.after(100);
    assert_eq!(probe.actions(), []);
    assert_eq!(probe.link.on_bytes(probe.now, b"+CONTINUE\r\n"), Took::Dropped);
}

#[test]
fn the_target_of_a_failover_says_yes_or_no() {
    let mut probe = Probe::new(Some(resume(70)));
    probe.link.failover = true;
    probe.handshake();
    assert!(probe.sent().ends_with(&format!("*4|$5|PSYNC|$40|{}|$2|71|$8|FAILOVER|", id(1))));
    probe.line(&format!("+CONTINUE {}", id(8)));
    assert_eq!(probe.actions()[0], Action::FailoverAccepted);

    for reply in ["-ERR PSYNC FAILOVER replid must match my replid.", "-NOMASTERLINK Can't SYNC while failing over"] {
        let mut probe = Probe::new(Some(resume(70)));
        probe.link.failover = true;
        probe.handshake();
        probe.actions();
        probe.line(reply);
        assert_eq!(probe.actions(), [Action::Close, Action::FailoverRejected]);
        assert_eq!(probe.link.role_state(), "none");
    }
}

#[test]
fn a_line_without_end_is_not_waited_for() {
    let mut probe = Probe::new(None);
    probe.connect();
    assert_eq!(probe.link.on_bytes(probe.now, &[b'x'; 1023]), Took::Nothing);
    assert_eq!(probe.link.on_bytes(probe.now, &[b'x'; 1024]), Took::Dropped);
    assert!(probe.error().contains("is no master for this server: xxx"));
}

#[test]
fn no_input_whatever_makes_it_panic() {
    let words = [
        "+PONG\r\n",
        "+OK\r\n",
        "-ERR x\r\n",
        "+CONTINUE\r\n",
        "$5\r\n",
        "$EOF:",
        "+FULLRESYNC ",
        "\n",
        "*1\r\n",
        "$0\r\n",
    ];
    for seed in 0..2_000_u64 {
        let mut rng = Rng::new(seed);
        let mut probe = Probe::new(seed.is_multiple_of(2).then(|| resume(9)));
        let mut input = Vec::new();
        for _ in 0..40 {
            match rng.below(12) {
                0 => probe.link.on_closed(probe.now, Lost::Eof),
                1 => _ = probe.after(rng.below(70) as i64),
                2 => probe.link.on_load_result(probe.now, Ok(None)),
                3 | 4 => probe.link.on_connected(probe.now),
                _ => {
                    input.extend_from_slice(words[rng.index(words.len())].as_bytes());
                    if rng.below(4) == 0 {
                        input.extend_from_slice(format!("{} 5\r\n", id(1)).as_bytes());
                    }
                    loop {
                        match probe.link.on_bytes(probe.now, &input) {
                            Took::Own(len) | Took::Payload(len) => drop(input.drain(..len)),
                            Took::Dropped | Took::Stream => input.clear(),
                            Took::Nothing | Took::Hold => break,
                        }
                        if input.is_empty() {
                            break;
                        }
                    }
                }
            }
            let connects = probe.actions().iter().filter(|a| matches!(a, Action::Connect(_))).count();
            assert!(connects <= 1, "seed {seed}");
        }
    }
}
