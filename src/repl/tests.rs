//! Replication in a simulated world: lost links at every point, changes of ids, the backlog's edges, promotions.
//!
//! *Duty:* that every replica has, at every offset of every history, exactly what the master had there (the world
//! checks it after each frame), that all agree when the trouble is over, and that a full sync happens only where the
//! rules ask for one (the tests here count).

mod node;
mod world;

use super::failover::Wish;
use super::ids::{self, Decision, Request};
use world::World;

/// A master and replicas in sync with it, some history written.
fn in_sync(replicas: usize, backlog_size: u64, seed: u64) -> World {
    let mut world = World::new(replicas + 1, backlog_size, seed);
    for at in 1..=replicas {
        world.replicaof(at, 0);
    }
    for _ in 0..20 {
        world.write(0);
        world.run(50);
    }
    world.settle(0, "the beginning");
    world
}

fn syncs(world: &World) -> (u32, u32) {
    (world.nodes.iter().map(|n| n.full).sum(), world.nodes.iter().map(|n| n.partial).sum())
}

#[test]
fn replicas_that_are_left_alone_sync_once() {
    for seed in 0..10 {
        let world = in_sync(3, 1 << 20, seed);
        assert_eq!(syncs(&world), (3, 0), "seed {seed}");
    }
}

/// The link is cut after every single byte, in either direction, from the first PING to the running stream.
#[test]
fn a_link_that_is_lost_at_any_point_costs_at_most_the_sync_it_interrupted() {
    let scene = |cut_after: Option<u64>| {
        let mut world = World::new(2, 1 << 20, 7);
        world.cut_after = cut_after;
        world.replicaof(1, 0);
        for _ in 0..40 {
            world.write(0);
            world.run(50);
        }
        world
    };
    let bytes = scene(None).delivered;
    assert!(bytes > 2_000, "{bytes}");
    let (mut again, mut continued) = (0, 0);
    for cut_after in (1..bytes).step_by(3).chain(1..400) {
        let mut world = scene(Some(cut_after));
        world.settle(0, &format!("cut after {cut_after}"));
        assert_eq!(world.cut_after, None, "the cut happened");
        match syncs(&world) {
            (1, 0) => {}
            (2, 0) => again += 1,
            (1, 1) => continued += 1,
            other => panic!("cut after {cut_after}: {other:?} syncs"),
        }
        let was_online = world.nodes[1].log.iter().position(|line| line.contains("Finished with success"));
        let lost = world.nodes[1].log.iter().position(|line| line.contains("Connection with master lost"));
        if let (Some(online), Some(lost)) = (was_online, lost) {
            assert!(online > lost || syncs(&world) == (1, 1), "cut after {cut_after}: a stream was not continued");
        }
    }
    assert!(again > 100 && continued > 100, "{again} syncs again, {continued} continuations");
}

#[test]
fn a_loss_continues_exactly_as_far_as_the_backlog_reaches() {
    for seed in 0..30 {
        let mut world = in_sync(1, 16 << 10, seed);
        let conn = world.conn_of(1);
        world.swallow(conn);
        let offset = world.nodes[1].backlog.offset();
        let writes = 100 + world.rng.below(1_600);
        for _ in 0..writes {
            world.write(0);
        }
        world.cut(conn);
        world.run(100);
        let reaches = world.nodes[0].backlog.first() <= offset;
        world.settle(0, "after the loss");
        assert_eq!(syncs(&world), if reaches { (1, 1) } else { (2, 0) }, "seed {seed}, {writes} writes");
    }
}

#[test]
fn silence_is_noticed_by_both_ends() {
    let mut world = in_sync(1, 1 << 20, 3);
    let conn = world.conn_of(1);
    world.swallow(conn);
    world.write(0);
    world.run(i64::from(world::TIMEOUT_SECS) * 1_000 + 3_000);
    world.settle(0, "after the silence");
    assert_eq!(syncs(&world), (1, 1));
    assert!(world.nodes[1].log.iter().any(|line| line.contains("MASTER timeout: no data nor PING received")));
}

#[test]
fn a_promoted_replica_is_followed_without_a_full_sync() {
    for seed in 0..30 {
        let mut world = in_sync(3, 1 << 20, seed);
        // One that follows another replica learns the new id through it.
        world.replicaof(3, 1);
        world.settle(0, "the chain");
        let before = syncs(&world).0;
        world.crash(0);
        world.promote(1);
        world.replicaof(2, 1);
        for _ in 0..10 {
            world.write(1);
            world.run(30);
        }
        world.restart(0, Some(1));
        world.settle(1, "after the promotion");
        // The old master has no snapshot, so it comes back empty; the others continue.
        assert_eq!(syncs(&world).0, before + 1, "seed {seed}");
    }
}

#[test]
fn an_old_master_that_wrote_on_is_synced_anew_and_one_that_did_not_continues() {
    for (seed, writes_on) in (0..20).flat_map(|seed| [(seed, false), (seed, true)]) {
        let mut world = in_sync(2, 1 << 20, seed);
        world.promote(1);
        world.replicaof(2, 1);
        if writes_on {
            // On both sides, under different ids.
            (0..5).for_each(|_| world.write(0));
            (0..5).for_each(|_| world.write(1));
        }
        let before = syncs(&world).0;
        let ahead = world.nodes[0].backlog.offset() > i64_to_offset(world.nodes[1].ids.second_offset());
        world.replicaof(0, 1);
        world.settle(1, "the old master follows");
        assert_eq!(syncs(&world).0 - before, u32::from(ahead), "seed {seed} writes_on {writes_on}");
        assert!(!writes_on || ahead);
    }
}

fn i64_to_offset(byte: i64) -> u64 {
    u64::try_from(byte - 1).unwrap()
}

#[test]
fn a_replica_that_is_ahead_of_the_promoted_one_is_synced_anew() {
    let mut world = in_sync(2, 1 << 20, 5);
    let conn = world.conn_of(1);
    world.swallow(conn);
    for _ in 0..10 {
        world.write(0);
        world.run(20);
    }
    assert!(world.nodes[2].backlog.offset() > world.nodes[1].backlog.offset());
    world.crash(0);
    world.promote(1);
    world.replicaof(2, 1);
    world.run(2_000);
    world.restart(0, Some(1));
    world.settle(1, "after the promotion");
    assert!(world.nodes[1].log.iter().any(|line| line.contains("Requested offset for second ID was")));
    assert_eq!(world.nodes[1].full, 2);
}

#[test]
fn a_restart_continues_from_the_snapshot() {
    for seed in 0..20 {
        let mut world = in_sync(2, 1 << 20, seed);
        // A replica restarts.
        world.save(1);
        world.crash(1);
        (0..5).for_each(|_| world.write(0));
        world.run(500);
        world.restart(1, Some(0));
        world.settle(0, "the replica is back");
        assert_eq!(syncs(&world).0, 2, "seed {seed}");

        // The master restarts; nothing was written since its snapshot.
        world.save(0);
        world.crash(0);
        world.run(500);
        world.restart(0, None);
        (0..5).for_each(|_| world.write(0));
        world.settle(0, "the master is back");
        assert_eq!(syncs(&world).0, 2, "seed {seed}");

        // It restarts from an old snapshot: what it lost, the replicas have, and must give up.
        world.save(0);
        (0..5).for_each(|_| world.write(0));
        world.settle(0, "more writes");
        world.crash(0);
        world.run(500);
        world.restart(0, None);
        world.settle(0, "the master is back with less");
        assert_eq!(syncs(&world).0, 4, "seed {seed}");
    }
}

#[test]
fn failover_goes_there_and_back_without_a_full_sync() {
    for seed in 0..20 {
        let mut world = in_sync(2, 1 << 20, seed);
        for (from, to) in [(0, 1), (1, 2), (2, 0)] {
            for _ in 0..10 {
                world.write(from);
                world.run(10);
            }
            let wish = Wish { target: Some(("sim".to_string(), to as i64)), timeout_ms: 60_000, force: false };
            world.failover(from, wish).unwrap();
            assert!(world.nodes[from].paused);
            for _ in 0..300 {
                world.write(from);
                world.write(to);
                world.run(20);
            }
            assert!(world.nodes[to].is_master() && !world.nodes[from].is_master(), "seed {seed}");
            assert!(!world.nodes[from].paused && !world.nodes[from].failover.is_active());
            let third = 3 - from - to;
            world.replicaof(third, to);
            world.settle(to, "after the failover");
        }
        assert_eq!(syncs(&world).0, 2, "seed {seed}");
    }
}

#[test]
fn a_failover_whose_target_has_moved_on_is_rolled_back() {
    let mut world = in_sync(2, 1 << 20, 9);
    let wish = Wish { target: Some(("sim".to_string(), 1)), timeout_ms: 300, force: true };
    let conn = world.conn_of(1);
    world.swallow(conn);
    world.write(0);
    world.failover(0, wish).unwrap();
    // The target becomes a master by other means before it is asked.
    world.promote(1);
    world.run(3_000);
    assert!(world.nodes[0].is_master() && !world.nodes[0].paused);
    assert!(world.nodes[0].log.iter().any(|line| line.contains("aborted: Failover target rejected psync request")));
    world.replicaof(1, 0);
    world.settle(0, "the roles are as before");
}

#[test]
fn damaged_data_sets_are_fetched_again_until_one_is_whole() {
    for seed in 0..10 {
        let mut world = World::new(3, 1 << 20, seed);
        world.damage_one_in = 2;
        world.replicaof(1, 0);
        world.replicaof(2, 0);
        for _ in 0..100 {
            world.write(0);
            world.run(200);
        }
        world.damage_one_in = 0;
        world.settle(0, "whole at last");
    }
}

/// Everything at once. Every frame is checked by the world; at the end all must agree.
#[test]
fn whatever_happens_nobody_has_a_wrong_data_set_and_all_agree_in_the_end() {
    for seed in 0..30 {
        let mut world = in_sync(3, 16 << 10, seed);
        world.damage_one_in = 40;
        for _ in 0..600 {
            let (at, other) = (world.rng.index(4), world.rng.index(4));
            let conns = world.conns();
            match world.rng.below(60) {
                0 if !conns.is_empty() => world.cut(conns[at % conns.len()]),
                1 if !conns.is_empty() => world.swallow(conns[at % conns.len()]),
                2 if world.nodes[at].alive => world.crash(at),
                3 | 4 if !world.nodes[at].alive => {
                    let master = (at != other && world.rng.below(3) > 0).then_some(other);
                    world.restart(at, master);
                }
                5 if world.nodes[at].alive && at != other => world.replicaof(at, other),
                6 if world.nodes[at].alive => world.promote(at),
                7 | 8 if world.nodes[at].alive => world.save(at),
                9 if world.nodes[at].alive => _ = world.failover(at, Wish { timeout_ms: 2_000, ..Wish::default() }),
                10 => world.nodes[at].backlog.resize(16 << world.rng.below(8)),
                _ => {}
            }
            for _ in 0..world.rng.below(8) {
                let at = world.rng.index(4);
                world.write(at);
            }
            world.run(100);
        }
        world.damage_one_in = 0;
        for at in 0..4 {
            if !world.nodes[at].alive {
                world.restart(at, (at != 0).then_some(0));
            }
            _ = world.nodes[at].failover.abort();
        }
        world.run(100);
        world.promote(0);
        // A chain: two follow the master, one follows a replica.
        world.replicaof(1, 0);
        world.replicaof(2, 0);
        world.replicaof(3, 1);
        world.write(0);
        world.settle(0, &format!("seed {seed}"));
    }
}

/// The decision against every request near the edges of a real history.
#[test]
fn only_requests_inside_the_history_are_continued() {
    let mut world = in_sync(1, 16 << 10, 2);
    world.promote(1);
    (0..50).for_each(|_| world.write(1));
    let node = &world.nodes[1];
    let shared = i64_to_offset(node.ids.second_offset());
    for (id, end) in [(node.ids.id, node.backlog.offset()), (node.ids.second_id(), shared)] {
        for offset in (0..node.backlog.offset() + 50).step_by(1) {
            let request = Request { id: id.as_bytes(), byte: offset as i64 + 1 };
            let continued = matches!(ids::decide(&request, &node.ids, &node.backlog), Decision::Continue { .. });
            assert_eq!(continued, (node.backlog.first()..=end).contains(&offset), "{offset}");
        }
    }
}
