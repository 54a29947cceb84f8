//! The rules of PSYNC, one by one, at their edges.

use super::*;
use crate::base::rng::Rng;

fn id(seed: u64) -> RunId {
    RunId::random(&mut Rng::new(seed))
}

/// A master whose backlog holds the bytes after 100 up to 300.
fn master() -> (Ids, Backlog) {
    let mut backlog = Backlog::new(1 << 20);
    backlog.activate();
    backlog.restart_at(100);
    backlog.append(&[b'x'; 200]);
    (Ids::new(id(1)), backlog)
}

fn ask(id: RunId, byte: i64, ids: &Ids, backlog: &Backlog) -> Decision {
    decide(&Request { id: id.as_bytes(), byte }, ids, backlog)
}

fn texts(lines: Vec<LogLine>) -> String {
    lines.into_iter().map(|line| line.text + "\n").collect()
}

#[test]
fn the_backlogs_edges_are_inclusive() {
    let (ids, backlog) = master();
    let held = |byte: i64| match ask(ids.id, byte, &ids, &backlog) {
        Decision::Continue { from, bytes, by: Match::Current } => Some((from, bytes)),
        _ => None,
    };
    assert_eq!(held(101), Some((100, 200)));
    assert_eq!(held(301), Some((300, 0)), "a replica that has everything asks for the byte that comes next");
    assert_eq!(
        (held(100), held(302), held(0), held(-1), held(i64::MIN), held(i64::MAX)),
        (None, None, None, None, None, None)
    );
}

#[test]
fn one_byte_ahead_is_told_from_too_old() {
    let (ids, backlog) = master();
    let refusal = |byte| ask(ids.id, byte, &ids, &backlog);
    assert_eq!(refusal(302), Decision::FullResync(Refusal::NotHeld { byte: 302, ahead: true }));
    assert_eq!(refusal(100), Decision::FullResync(Refusal::NotHeld { byte: 100, ahead: false }));
    let request = Request { id: ids.id.as_bytes(), byte: 302 };
    let log = texts(decide(&request, &ids, &backlog).log(&request, "10.0.0.1:6380"));
    assert!(log.starts_with(
        "Unable to partial resync with replica 10.0.0.1:6380 for lack of backlog (Replica request was: 302).\n"
    ));
    assert!(log.ends_with("with an offset that is greater than the master replication offset.\n"), "{log}");
}

#[test]
fn ids_are_compared_whatever_their_case() {
    let (ids, backlog) = master();
    let upper = ids.id.as_bytes().to_ascii_uppercase();
    let decision = decide(&Request { id: &upper, byte: 150 }, &ids, &backlog);
    assert_eq!(decision, Decision::Continue { from: 149, bytes: 151, by: Match::Current });
}

#[test]
fn a_promoted_replica_lets_its_fellows_continue_up_to_the_promotion() {
    let (mut ids, mut backlog) = master();
    let old = ids.id;
    let line = ids.shift(id(2), backlog.offset());
    assert_eq!(
        line.text,
        format!("Setting secondary replication ID to {old}, valid up to offset: 301. New replication ID is {}", id(2))
    );
    backlog.append(&[b'y'; 50]);
    assert_eq!((ids.second_id(), ids.second_offset()), (old, 301));
    assert_eq!(ask(old, 301, &ids, &backlog), Decision::Continue { from: 300, bytes: 50, by: Match::Second });
    assert_eq!(ask(old, 200, &ids, &backlog), Decision::Continue { from: 199, bytes: 151, by: Match::Second });
    let beyond = ask(old, 302, &ids, &backlog);
    assert_eq!(beyond, Decision::FullResync(Refusal::BeyondSecond { byte: 302, limit: 301 }));
    assert!(beyond.is_failed_partial());
    assert_eq!(ask(id(2), 302, &ids, &backlog), Decision::Continue { from: 301, bytes: 49, by: Match::Current });
}

#[test]
fn a_question_mark_asks_for_everything_and_is_no_failure() {
    let (ids, backlog) = master();
    let request = Request { id: b"?", byte: -1 };
    let decision = decide(&request, &ids, &backlog);
    assert_eq!(decision, Decision::FullResync(Refusal::Asked));
    assert!(!decision.is_failed_partial());
    assert_eq!(texts(decision.log(&request, "h:1")), "Full resync requested by replica h:1\n");
}

#[test]
fn another_history_is_refused_with_both_ids() {
    let (ids, backlog) = master();
    let request = Request { id: b"nonsense\r\n", byte: 200 };
    let decision = decide(&request, &ids, &backlog);
    let zeros = "0".repeat(40);
    assert_eq!(
        texts(decision.log(&request, "h:1")),
        format!(
            "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for 'nonsense\\r\\n', my \
             replication IDs are '{}' and '{zeros}')\n",
            ids.id
        )
    );
}

#[test]
fn the_zeros_of_no_second_id_let_nobody_in() {
    let (ids, backlog) = master();
    for byte in [-1, 0, 1, 150] {
        assert!(matches!(ask(RunId::ZERO, byte, &ids, &backlog), Decision::FullResync(_)));
    }
}

#[test]
fn without_a_backlog_nobody_continues() {
    let (ids, mut backlog) = master();
    backlog.deactivate();
    assert!(matches!(ask(ids.id, 301, &ids, &backlog), Decision::FullResync(Refusal::NotHeld { .. })));
}

#[test]
fn snapshots_name_the_stream_only_if_somebody_could_continue() {
    let (ids, mut backlog) = master();
    let saved = |standing, backlog: &Backlog| Saved::of(&ids, backlog, standing);
    let of = |stream_db| Some(Saved { id: ids.id, offset: 300, stream_db });
    assert_eq!(saved(Standing::Master { selected: Some(9) }, &backlog), of(9));
    assert_eq!(saved(Standing::Master { selected: None }, &backlog), of(0));
    assert_eq!(saved(Standing::Replica { stream_db: Some(3) }, &backlog), of(3));
    assert_eq!(saved(Standing::Replica { stream_db: None }, &backlog), None);
    backlog.deactivate();
    assert_eq!(saved(Standing::Master { selected: Some(9) }, &backlog), None);
}

#[test]
fn fields_of_a_snapshot_are_read_whole_or_not_at_all() {
    let name = id(7);
    let parse = |id: &[u8], offset: &[u8], db: &[u8]| Saved::parse(Some(id), Some(offset), Some(db));
    assert_eq!(parse(name.as_bytes(), b"42", b"1"), Some(Saved { id: name, offset: 42, stream_db: 1 }));
    assert_eq!(parse(name.as_bytes(), b"42", b"-1"), None);
    assert_eq!(parse(name.as_bytes(), b"-1", b"0"), None);
    assert_eq!(parse(name.as_bytes(), b"18446744073709551615", b"0"), None);
    assert_eq!(parse(b"short", b"42", b"0"), None);
    assert_eq!(Saved::parse(Some(name.as_bytes()), None, Some(b"0")), None);
}

#[test]
fn a_restarted_master_serves_replicas_that_were_not_ahead_of_its_snapshot() {
    let saved = Saved { id: id(3), offset: 5_000, stream_db: 0 };
    let (mut ids, mut backlog) = (Ids::new(id(4)), Backlog::new(1 << 20));
    backlog.activate();
    backlog.append(b"DEL of a key that expired");
    backlog.rebase(saved.offset);
    ids.resume_as_master(&saved);
    assert_eq!(ask(id(3), 5_001, &ids, &backlog), Decision::Continue { from: 5_000, bytes: 25, by: Match::Second });
    assert!(matches!(ask(id(3), 5_002, &ids, &backlog), Decision::FullResync(Refusal::BeyondSecond { .. })));
    assert!(matches!(ask(id(3), 5_000, &ids, &backlog), Decision::FullResync(Refusal::NotHeld { .. })));
}

#[test]
fn answers_are_spelled_as_the_wire_has_them() {
    assert_eq!(continue_line(id(1), true), format!("+CONTINUE {}\r\n", id(1)));
    assert_eq!(continue_line(id(1), false), "+CONTINUE\r\n");
    assert_eq!(full_resync_line(id(1), 17), format!("+FULLRESYNC {} 17\r\n", id(1)));
}
