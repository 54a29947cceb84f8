//! The master's decisions about its replicas, step by step.

use super::*;
use crate::base::rng::Rng;

const DISK: Config = Config { diskless: false, delay_secs: 5, max_replicas: 0 };
const DISKLESS: Config = Config { diskless: true, delay_secs: 5, max_replicas: 0 };

struct Master {
    replicas: Replicas,
    backlog: Backlog,
    ids: Ids,
    now: Millis,
}

fn options() -> Options {
    Options { listening_port: 6380, eof: true, psync2: true, ..Options::default() }
}

impl Master {
    fn new() -> Master {
        let mut ids = Ids::new(RunId::ZERO);
        let mut backlog = Backlog::new(1 << 20);
        let now = Millis(1_000_000);
        let line = begin_history(&mut ids, &mut backlog, RunId::random(&mut Rng::new(1))).unwrap();
        assert!(
            line.text.starts_with(&format!("Replication backlog created, my new replication IDs are '{}'", ids.id))
        );
        assert!(begin_history(&mut ids, &mut backlog, RunId::ZERO).is_none(), "only the first time");
        backlog.append(b"some history");
        Master { replicas: Replicas::new(now), backlog, ids, now }
    }

    fn sync(&mut self, id: PeerId, options: Options, child: Child, config: &Config) -> Placement {
        self.replicas.add_waiting(id, format!("10.0.0.{id}:6380"), options, false, self.now);
        let (placement, lines) = self.replicas.place(id, child, config, &self.ids, &mut self.backlog);
        assert_eq!(lines.len(), 1);
        placement
    }

    fn start(&mut self, job: &Job) -> Vec<(PeerId, String)> {
        self.replicas.started(job, &self.ids, &mut self.backlog)
    }

    fn state(&self, id: PeerId) -> PeerState {
        self.replicas.get(id).unwrap().state
    }

    fn done(&mut self, saved: bool, target: Target) -> Vec<(PeerId, AfterChild)> {
        self.replicas.child_done(saved, target, self.now).into_iter().map(|(id, after, _)| (id, after)).collect()
    }

    fn online(&mut self, id: PeerId) {
        self.replicas.add_continued(
            id,
            "h:1".to_string(),
            options(),
            self.backlog.offset(),
            &mut self.backlog,
            self.now,
        );
    }
}

fn job(target: Target, peers: &[PeerId]) -> Job {
    Job { target, filter: Filter::default(), peers: peers.to_vec() }
}

#[test]
fn a_disk_sync_goes_through_all_states_and_misses_nothing() {
    let mut master = Master::new();
    let placement = master.sync(1, options(), Child::None, &DISK);
    assert_eq!(placement, Placement::Start(job(Target::Disk, &[1])));
    let lines = master.start(&job(Target::Disk, &[1]));
    assert_eq!(lines, [(1, format!("+FULLRESYNC {} 12\r\n", master.ids.id))]);
    assert_eq!(master.state(1), PeerState::WaitBgsaveEnd);
    master.backlog.append(b"meanwhile");
    assert_eq!(master.replicas.get(1).unwrap().streams_from(), None, "not before the file");

    assert_eq!(master.done(true, Target::Disk), [(1, AfterChild::SendFile)]);
    assert_eq!((master.state(1).name(), master.replicas.any_syncing()), ("send_bulk", true));
    let (stays, line) = master.replicas.bulk_sent(1, master.now).unwrap();
    assert!(stays && line.text == "Synchronization with replica 10.0.0.1:6380 succeeded");
    let cursor = master.replicas.get(1).unwrap().streams_from().unwrap();
    assert_eq!((master.backlog.position(cursor), master.backlog.pending(cursor)), (12, 9));
    master.replicas.wrote(1, 9, &mut master.backlog);
    assert_eq!(master.backlog.pending(cursor), 0);
    assert_eq!(master.replicas.bulk_sent(1, master.now), None, "only once");
}

#[test]
fn one_child_serves_all_who_ask_while_it_runs() {
    let mut master = Master::new();
    master.sync(1, options(), Child::None, &DISK);
    master.start(&job(Target::Disk, &[1]));
    master.backlog.append(b"written during the save");
    let line = Some(format!("+FULLRESYNC {} 12\r\n", master.ids.id));
    assert_eq!(master.sync(2, options(), Child::Disk, &DISK), Placement::Joined { offset: 12, line });
    assert_eq!(master.backlog.position(master.replicas.get(2).unwrap().cursor().unwrap()), 12);

    let without_eof = Options { eof: false, ..options() };
    assert_eq!(master.sync(3, without_eof, Child::Disk, &DISK), Placement::Waits);
    let filtered = Options { filter: Filter { exclude_data: true, exclude_functions: false }, ..options() };
    assert_eq!(master.sync(4, filtered.clone(), Child::Disk, &DISK), Placement::Waits);
    assert_eq!(master.done(true, Target::Disk), [(1, AfterChild::SendFile), (2, AfterChild::SendFile)]);

    // Those who could not share it come next, each kind with its own child.
    let next = master.replicas.due(master.now, Child::None, &DISK).unwrap();
    assert_eq!(next, job(Target::Disk, &[3]));
    assert_eq!(master.replicas.due(master.now, Child::Other, &DISK), None);
    master.start(&next);
    let next = master.replicas.due(master.now, Child::None, &DISK).unwrap();
    assert_eq!(next, Job { target: Target::Sockets, filter: filtered.filter, peers: vec![4] });
}

#[test]
fn nobody_joins_a_child_whose_stream_is_not_kept() {
    let mut master = Master::new();
    let rdb_only = Options { rdb_only: true, ..options() };
    master.sync(1, rdb_only.clone(), Child::None, &DISK);
    master.start(&job(Target::Disk, &[1]));
    assert_eq!(master.sync(2, options(), Child::Disk, &DISK), Placement::Waits);
    assert!(matches!(master.sync(3, rdb_only, Child::Disk, &DISK), Placement::Joined { .. }));
    // BGSAVE by a user has no stream at all.
    assert_eq!(Master::new().sync(1, options(), Child::Disk, &DISK), Placement::Waits);
    master.done(true, Target::Disk);
    assert!(!master.replicas.bulk_sent(1, master.now).unwrap().0);
    assert_eq!(master.state(1).name(), "");
}

#[test]
fn a_diskless_sync_waits_for_others_and_for_the_first_ack() {
    let mut master = Master::new();
    assert_eq!(master.sync(1, options(), Child::None, &DISKLESS), Placement::Waits);
    master.now = master.now.plus(3_000);
    assert_eq!(master.sync(2, options(), Child::None, &DISKLESS), Placement::Waits);
    let due = |master: &Master, config: &Config| master.replicas.due(master.now, Child::None, config);
    assert_eq!(due(&master, &DISKLESS), None);
    let two = Config { max_replicas: 2, ..DISKLESS };
    assert_eq!(due(&master, &two), Some(job(Target::Sockets, &[1, 2])), "as many as were waited for");
    master.now = master.now.plus(2_000);
    let both = due(&master, &DISKLESS).unwrap();
    assert_eq!(both, job(Target::Sockets, &[1, 2]));
    master.start(&both);

    assert_eq!(master.sync(3, options(), Child::Sockets, &DISKLESS), Placement::Waits);
    assert_eq!(master.replicas.kept_waiting(Child::Sockets).collect::<Vec<_>>(), [3]);
    assert_eq!(master.replicas.ack(1, acked(0), master.now), Ack::LookAfterChild);
    assert_eq!(master.done(true, Target::Sockets), [(1, AfterChild::Streamed), (2, AfterChild::Streamed)]);
    assert_eq!((master.state(1), master.replicas.get(1).unwrap().streams_from()), (PeerState::Online, None));
    assert_eq!(master.replicas.ack(1, acked(12), master.now), Ack::StartStream);
    assert!(master.replicas.get(1).unwrap().streams_from().is_some());
    assert_eq!(master.replicas.ack(1, acked(12), master.now), Ack::Noted);
    assert_eq!(master.replicas.ack(9, acked(12), master.now), Ack::Unknown);
}

#[test]
fn one_replica_without_eof_brings_all_to_the_disk() {
    let mut master = Master::new();
    master.sync(1, options(), Child::Other, &DISKLESS);
    master.sync(2, Options { eof: false, ..options() }, Child::Other, &DISKLESS);
    master.now = master.now.plus(5_000);
    assert_eq!(master.replicas.due(master.now, Child::None, &DISKLESS), Some(job(Target::Disk, &[1, 2])));
    let no_delay = Config { delay_secs: 0, ..DISKLESS };
    let started = Master::new().sync(1, options(), Child::None, &no_delay);
    assert_eq!(started, Placement::Start(job(Target::Sockets, &[1])));
}

#[test]
fn failures_are_told_to_those_concerned() {
    let mut master = Master::new();
    master.sync(1, options(), Child::None, &DISK);
    assert_eq!(master.replicas.failed_to_start(), (vec![1], "BGSAVE failed, replication can't continue"));
    master.start(&job(Target::Disk, &[1]));
    master.sync(2, options(), Child::Sockets, &DISK);
    assert_eq!(master.done(false, Target::Disk), [(1, AfterChild::Fail)]);
    assert!(!master.replicas.another_waits(1));
    assert!(master.replicas.remove(1, &mut master.backlog, master.now).is_some());
    assert!(master.replicas.remove(1, &mut master.backlog, master.now).is_none());
    assert_eq!(master.backlog.memory().replicas, 0);
}

#[test]
fn what_replicas_have_is_counted_from_their_acks() {
    let mut master = Master::new();
    for id in 1..=3 {
        master.online(id);
    }
    master.sync(4, options(), Child::Other, &DISK);
    master.replicas.ack(1, acked(12), master.now);
    master.replicas.ack(2, acked(10), master.now);
    master.replicas.ack(2, acked(5), master.now);
    master.replicas.ack(4, acked(12), master.now);
    assert_eq!(
        (master.replicas.count_acks(12), master.replicas.count_acks(10), master.replicas.count_acks(0)),
        (1, 2, 3)
    );
    let later = master.now.plus(11_000);
    master.replicas.ack(3, acked(12), later);
    assert_eq!((master.replicas.good(later, 10), master.replicas.good(later, 11)), (1, 3));
    assert!(!master.replicas.all_have(12));
    let report: Vec<String> = master.replicas.lag_report(12, later).into_iter().map(|line| line.text).collect();
    assert_eq!(
        report,
        [
            "Lagging replica h:1 reported offset 2 behind master, lag=11, state=online.",
            "3 of 4 replicas are in sync when shutting down."
        ]
    );
}

#[test]
fn silent_replicas_are_cut_but_not_those_that_cannot_speak() {
    let mut master = Master::new();
    master.online(1);
    master.online(2);
    master.replicas.get_mut(2).unwrap().old_protocol = true;
    master.sync(3, options(), Child::None, &DISK);
    master.start(&job(Target::Sockets, &[3]));
    master.replicas.transfer_write(3, false, master.now);
    let at = |secs: i64, child| {
        let late = master.replicas.timed_out(master.now.plus(secs * 1_000), 60, child);
        late.into_iter().map(|(id, line)| (id, line.text)).collect::<Vec<_>>()
    };
    assert_eq!(at(60, Child::Sockets), []);
    assert_eq!(
        at(61, Child::Sockets),
        [
            (1, "Disconnecting timedout replica (streaming sync): h:1".to_string()),
            (3, "Disconnecting timedout replica (full sync): 10.0.0.3:6380".to_string()),
        ]
    );
    assert_eq!(at(61, Child::Disk).len(), 1, "with a file nobody waits for the slowest");
    let later = master.now.plus(60_000);
    master.replicas.heard(1, later);
    master.replicas.transfer_write(3, true, later);
    assert!(master.replicas.timed_out(later.plus(1_000), 60, Child::Sockets).is_empty());
}

#[test]
fn pings_and_the_end_of_the_backlog_keep_their_periods() {
    let mut master = Master::new();
    assert!(!master.replicas.ping_due(master.now.plus(10_000), 10), "nobody listens");
    master.online(1);
    assert!(master.replicas.ping_due(master.now.plus(20_000), 10));
    assert!(!master.replicas.ping_due(master.now.plus(29_999), 10));

    let (mut ids, id) = (master.ids, master.ids.id);
    let new = RunId::random(&mut Rng::new(5));
    let mut expire = |master: &mut Master, secs: i64, ttl: u64| {
        master.replicas.expire_backlog(master.now.plus(secs * 1_000), ttl, &mut ids, &mut master.backlog, new).is_some()
    };
    assert!(!expire(&mut master, 9_999, 3_600), "there is a replica");
    master.replicas.remove(1, &mut master.backlog, master.now);
    assert!(!expire(&mut master, 3_600, 3_600));
    assert!(!expire(&mut master, 3_601, 0), "0 is for ever");
    assert!(expire(&mut master, 3_601, 3_600));
    assert!(!expire(&mut master, 9_999, 3_600), "once");
    assert!(ids.id == new && ids.id != id && !master.backlog.is_active());
}

#[test]
fn sync_is_refused_in_this_order() {
    let fine = SyncFacts { failing_over: false, cut_off: false, pending_output: false };
    assert_eq!(fine.refusal(&options()), None);
    let filtered = Options { eof: false, filter: Filter { exclude_data: true, exclude_functions: true }, ..options() };
    assert_eq!(fine.refusal(&filtered), Some("ERR Filtered replica requires EOF capability"));
    let pending = SyncFacts { pending_output: true, ..fine };
    assert_eq!(pending.refusal(&filtered), Some("ERR SYNC and PSYNC are invalid with pending output"));
    let cut_off = SyncFacts { cut_off: true, ..pending };
    assert_eq!(cut_off.refusal(&filtered), Some("NOMASTERLINK Can't SYNC while not connected with my master"));
    let failing_over = SyncFacts { failing_over: true, ..cut_off };
    assert_eq!(failing_over.refusal(&filtered), Some("NOMASTERLINK Can't SYNC while failing over"));
}

fn acked(offset: i64) -> Acked {
    Acked { offset, on_disk: None }
}

#[test]
fn what_is_on_a_replicas_disk_counts_apart() {
    let mut master = Master::new();
    master.replicas.add_waiting(1, "one".to_string(), Options::default(), false, master.now);
    master.replicas.get_mut(1).unwrap().state = PeerState::Online;
    master.replicas.ack(1, acked(50), master.now);
    assert_eq!((master.replicas.count_acks(50), master.replicas.count_disk_acks(0)), (1, 0));
    master.replicas.ack(1, Acked { offset: 60, on_disk: Some(40) }, master.now);
    assert_eq!((master.replicas.count_disk_acks(40), master.replicas.count_disk_acks(41)), (1, 0));
    master.replicas.ack(1, Acked { offset: 60, on_disk: Some(30) }, master.now);
    assert_eq!(master.replicas.count_disk_acks(40), 1, "a disk does not forget");
}
