//! FAILOVER: its grammar, its errors, and each way it can go.

use super::*;

fn replica(port: i64, ack_offset: u64) -> Candidate {
    Candidate { host: "10.0.0.2".to_string(), port, online: true, ack_offset }
}

fn facts(now: i64, replicas: &[Candidate]) -> FailoverFacts<'_> {
    FailoverFacts { now: Millis(now), is_replica: false, offset: 100, replicas }
}

fn parse(line: &str) -> Result<Command, &'static str> {
    Command::parse(&line.split_whitespace().map(str::as_bytes).collect::<Vec<_>>())
}

fn wish(line: &str) -> Wish {
    match parse(line) {
        Ok(Command::Start(wish)) => wish,
        other => panic!("{other:?}"),
    }
}

/// The actions so far, without the log; and the log.
fn actions(failover: &mut Failover) -> (Vec<FailoverAction>, String) {
    let (mut actions, mut log) = (Vec::new(), String::new());
    while let Some(action) = failover.take_action() {
        match action {
            FailoverAction::Log(line) => log.push_str(&line.text),
            action => actions.push(action),
        }
    }
    (actions, log)
}

fn started(line: &str, replicas: &[Candidate]) -> Failover {
    let mut failover = Failover::default();
    failover.start(wish(line), &facts(0, replicas)).unwrap();
    let (done, log) = actions(&mut failover);
    assert_eq!((done, failover.state_name()), (vec![FailoverAction::PauseWrites], "waiting-for-sync"));
    assert!(log.starts_with("FAILOVER requested to"));
    failover
}

fn follow(port: u16) -> FailoverAction {
    FailoverAction::Follow(Address::new("10.0.0.2", port))
}

#[test]
fn the_grammar() {
    assert_eq!(parse("abort"), Ok(Command::Abort));
    assert_eq!(parse(""), Ok(Command::Start(Wish::default())));
    let all = Wish { target: Some(("h".to_string(), 1)), timeout_ms: 5, force: true };
    assert_eq!(parse("TO h 1 TIMEOUT 5 FORCE"), Ok(Command::Start(all.clone())));
    assert_eq!(parse("force timeout 5 to h 1"), Ok(Command::Start(all)));
    for (line, error) in [
        ("timeout 0", "FAILOVER timeout must be greater than 0"),
        ("timeout x", "value is not an integer or out of range"),
        ("timeout", "syntax error"),
        ("timeout 1 timeout 1", "syntax error"),
        ("to h", "syntax error"),
        ("to h x", "value is not an integer or out of range"),
        ("to h 1 to h 1", "syntax error"),
        ("abort now", "syntax error"),
        ("force force", "syntax error"),
    ] {
        assert_eq!(parse(line), Err(error), "{line}");
    }
}

#[test]
fn requests_that_cannot_be_met_are_refused() {
    let two = [replica(1, 100), Candidate { online: false, ..replica(2, 0) }];
    for (line, replicas, error) in [
        ("", &[] as &[Candidate], "FAILOVER requires connected replicas."),
        ("force", &two, "FAILOVER with force option requires both a timeout and target HOST and IP."),
        ("force timeout 5", &two, "FAILOVER with force option requires both a timeout and target HOST and IP."),
        ("to 10.0.0.2 3", &two, "FAILOVER target HOST and PORT is not a replica."),
        ("to 10.0.0.2 2", &two, "FAILOVER target replica is not online."),
    ] {
        let mut failover = Failover::default();
        assert_eq!(failover.start(wish(line), &facts(0, replicas)), Err(error), "{line}");
        assert_eq!(actions(&mut failover).0, []);
    }
    let as_replica = FailoverFacts { is_replica: true, ..facts(0, &two) };
    let refused = Failover::default().start(Wish::default(), &as_replica);
    assert_eq!(refused, Err("FAILOVER is not valid when server is a replica."));
    let again = started("", &two).start(Wish::default(), &facts(0, &two));
    assert_eq!(again, Err("FAILOVER already in progress."));
    assert_eq!(Failover::default().abort(), Err("No failover in progress."));
}

#[test]
fn the_first_replica_that_has_everything_takes_over() {
    let mut failover = started("", &[replica(1, 90), replica(2, 95)]);
    failover.tick(&facts(10, &[replica(1, 90), replica(2, 99)]));
    assert_eq!(actions(&mut failover).0, []);
    failover.tick(&facts(20, &[replica(1, 90), replica(2, 100)]));
    let (done, log) = actions(&mut failover);
    assert_eq!((done, failover.state_name()), (vec![follow(2)], "failover-in-progress"));
    assert_eq!(log, "Failover target 10.0.0.2:2 is synced, failing over.");
    failover.on_answer(true);
    assert_eq!(actions(&mut failover).0, [FailoverAction::ResumeWrites]);
    assert!(!failover.is_active());
}

#[test]
fn only_the_named_replica_will_do() {
    let mut failover = started("to 10.0.0.2 1", &[replica(1, 0)]);
    failover.tick(&facts(10, &[replica(1, 99), replica(2, 100)]));
    failover.tick(&facts(10, &[replica(2, 100)]));
    assert_eq!(actions(&mut failover).0, []);
    failover.tick(&facts(10, &[replica(2, 100), replica(1, 100)]));
    assert_eq!(actions(&mut failover).0, [follow(1)]);
}

#[test]
fn a_timeout_ends_it_or_forces_it() {
    let mut failover = started("timeout 500", &[replica(1, 0)]);
    assert!(failover.holds_stream());
    failover.tick(&facts(499, &[replica(1, 0)]));
    assert!(failover.is_active());
    failover.tick(&facts(500, &[replica(1, 0)]));
    let (done, log) = actions(&mut failover);
    assert_eq!(done, [FailoverAction::ResumeWrites]);
    assert!(log.ends_with("FAILOVER to any replica aborted: Replica never caught up before timeout"));

    let mut failover = started("to 10.0.0.2 1 timeout 500 force", &[replica(1, 0)]);
    failover.tick(&facts(500, &[]));
    let (done, log) = actions(&mut failover);
    assert_eq!(done, [follow(1)]);
    assert_eq!(log, "FAILOVER to 10.0.0.2:1 time out exceeded, failing over.");
}

#[test]
fn a_refusal_or_an_abort_leaves_the_master_a_master() {
    let go = || {
        let mut failover = started("to 10.0.0.2 1", &[replica(1, 0)]);
        failover.tick(&facts(10, &[replica(1, 100)]));
        actions(&mut failover);
        failover
    };
    let stay = [FailoverAction::StayMaster, FailoverAction::ResumeWrites];
    type End = fn(&mut Failover);
    let ends: [(End, &str); 3] = [
        (|f| f.on_answer(false), "Failover target rejected psync request"),
        (Failover::on_write_error, "Write error to failover target"),
        (|f| f.abort().unwrap(), "Failover manually aborted"),
    ];
    for (end, why) in ends {
        let mut failover = go();
        end(&mut failover);
        let (done, log) = actions(&mut failover);
        assert_eq!(done, stay, "{why}");
        assert_eq!(log, format!("FAILOVER to 10.0.0.2:1 aborted: {why}"));
    }
    let mut failover = started("", &[replica(1, 0)]);
    failover.on_answer(true);
    failover.abort().unwrap();
    assert_eq!(actions(&mut failover).0, [FailoverAction::ResumeWrites], "it never stopped being one");
}
