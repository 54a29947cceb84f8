//! `maxmemory`: the limit holds under churn, by every policy, and what cannot be kept is refused.

use crate::harness::{Client, Reply, Server, error, status, wait_until};

const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";

fn number(client: &mut Client, field: &str) -> u64 {
    client.info(field).parse().unwrap_or_else(|_| panic!("INFO has no number {field}"))
}

/// Sets the limit to what is used now and `room` bytes more.
fn limit_to(client: &mut Client, room: u64, policy: &str) -> u64 {
    let limit = number(client, "used_memory") + room;
    let set = ["CONFIG", "SET", "maxmemory", &limit.to_string(), "maxmemory-policy", policy];
    assert_eq!(client.ask(&set), status("OK"));
    limit
}

/// The same row of numbers in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % below
    }
}

/// Writes `count` values of very different sizes; how many were refused for want of memory.
fn churn(client: &mut Client, dice: &mut Dice, count: usize, volatile: bool) -> usize {
    let mut refused = 0;
    for _ in 0..count / 50 {
        for _ in 0..50 {
            let longest = [8, 60, 300, 700, 5_000, 20_000][dice.roll(6) as usize];
            let value = "v".repeat(dice.roll(longest) as usize);
            let key = format!("key:{}", dice.roll(1_000_000));
            match volatile {
                true => client.send(&["SET", &key, &value, "EX", "1000"]),
                false => client.send(&["SET", &key, &value]),
            }
        }
        refused += (0..50).filter(|_| client.reply() == error(OOM)).count();
    }
    refused
}

#[test]
fn the_limit_holds_under_churn_of_mixed_sizes() {
    let server = Server::start();
    let mut client = server.client();
    let limit = limit_to(&mut client, 24 << 20, "allkeys-lru");
    let mut dice = Dice(1);
    let mut fullest = 0;
    for _ in 0..40 {
        assert_eq!(churn(&mut client, &mut dice, 500, false), 0);
        let used = number(&mut client, "used_memory");
        assert!(used as f64 <= limit as f64 * 1.005, "{used} of {limit}");
        fullest = fullest.max(used);
    }
    assert!(number(&mut client, "evicted_keys") > 1000);
    assert!(fullest as f64 > limit as f64 * 0.98, "no more goes than must: {fullest} of {limit}");
    assert_eq!(number(&mut client, "mem_not_counted_for_evict"), 0);
}

#[test]
fn each_policy_keeps_the_limit_and_volatile_ones_keep_the_rest() {
    let server = Server::start();
    let mut client = server.client();
    let policies = ["allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"];
    for (n, policy) in policies.into_iter().enumerate() {
        client.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        client.ask(&["FLUSHALL"]);
        for i in 0..300 {
            client.ask(&["SET", &format!("stays:{i}"), "x"]);
        }
        // What the background thread has yet to free would be counted as used, and raise the limit.
        wait_until("all is freed", || client.info("lazyfree_pending_objects") == "0");
        let limit = limit_to(&mut client, 3 << 20, policy);
        client.ask(&["CONFIG", "RESETSTAT"]);
        assert_eq!(churn(&mut client, &mut Dice(n as u64), 4_000, true), 0, "{policy}");
        assert!(number(&mut client, "evicted_keys") > 100, "{policy}");
        let used = number(&mut client, "used_memory");
        assert!(used < limit + 100_000, "{policy}: {used} of {limit}");
        let kept = client.ask(&["EXISTS", "stays:0", "stays:100", "stays:200", "stays:299"]);
        assert!(policy.starts_with("allkeys") || kept == Reply::Int(4), "{policy}: {kept:?}");
    }
}

#[test]
fn without_a_key_that_may_go_what_needs_memory_is_refused() {
    let server = Server::start();
    let mut client = server.client();
    for policy in ["noeviction", "volatile-lru"] {
        client.ask(&["FLUSHALL"]);
        client.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        wait_until("all is freed", || client.info("lazyfree_pending_objects") == "0");
        limit_to(&mut client, 200_000, policy);
        let value = "v".repeat(1000);
        let refused = (0..300).find(|i| client.ask(&["SET", &format!("k{i}"), &value]) == error(OOM));
        assert!(refused.is_some_and(|i| (150..=200).contains(&i)), "{refused:?}");
        assert_eq!(client.ask(&["GET", "k0"]).text(), value);
        assert!(
            number(&mut client, "current_eviction_exceeded_time")
                <= number(&mut client, "total_eviction_exceeded_time")
        );
        // What a transaction queues takes memory as well, but it can be ended.
        client.ask(&["MULTI"]);
        assert_eq!(client.ask(&["GET", "k0"]), error(OOM));
        assert_eq!(client.ask(&["DISCARD"]), status("OK"));
        for i in 0..60 {
            assert_eq!(client.ask(&["DEL", &format!("k{i}")]), Reply::Int(1));
        }
        assert_eq!(client.ask(&["SET", "k0", &value]), status("OK"));
    }
    assert_eq!(client.info("evicted_keys"), "0");
}

#[test]
fn a_lower_limit_is_reached_without_a_command() {
    let server = Server::with_config("notify-keyspace-events Ee\nmaxmemory-policy allkeys-random\n");
    let (mut client, mut listener) = (server.client(), server.client());
    listener.ask(&["SUBSCRIBE", "__keyevent@0__:evicted"]);
    client.ask(&["SET", "one", "1"]);
    client.ask(&["SELECT", "5"]);
    client.ask(&["SET", "two", "2"]);
    client.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(listener.reply().list()[2].text(), "one");
    wait_until("both keys are gone", || client.ask(&["DBSIZE"]) == Reply::Int(0));
    assert_eq!(client.info("evicted_keys"), "2");
    assert!(server.log().contains("is smaller than the current memory usage"));
}

#[test]
fn memory_on_its_way_is_waited_for_and_not_evicted_twice() {
    let server = Server::with_config("lazyfree-lazy-user-flush yes\n");
    let mut client = server.client();
    let value = "v".repeat(400);
    for base in (0..20_000).step_by(500) {
        (base..base + 500).for_each(|i| client.send(&["SET", &format!("old:{i}"), &value]));
        (0..500).for_each(|_| assert_eq!(client.reply(), status("OK")));
    }
    client.ask(&["SELECT", "1"]);
    (0..100).for_each(|i| assert_eq!(client.ask(&["SET", &format!("new:{i}"), "x"]), status("OK")));
    client.ask(&["SELECT", "0"]);
    // The eight megabytes of database 0 go to the background thread; none of database 1 has to go for them.
    let limit = (number(&mut client, "used_memory") - (6 << 20)).to_string();
    client.send(&["MULTI"]);
    client.send(&["FLUSHDB"]);
    client.send(&["CONFIG", "SET", "maxmemory", &limit, "maxmemory-policy", "allkeys-lru"]);
    client.send(&["EXEC"]);
    (0..4).for_each(|_| drop(client.reply()));
    client.ask(&["SELECT", "1"]);
    assert_eq!(client.ask(&["SET", "after", "x"]), status("OK"));
    assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(101));
    assert_eq!(client.info("evicted_keys"), "0");
    wait_until("all is freed", || client.info("lazyfree_pending_objects") == "0");
    assert_eq!(client.info("lazyfreed_objects"), "20000");
}
