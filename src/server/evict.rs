//! `maxmemory`: keeping used memory below the limit.
//!
//! *Duty:* before a command, and in the turns after one that could not finish in its time, evict keys until memory
//! fits; refuse commands that need memory (through the gate) when nothing can go. *Does not know:* which key goes
//! ([`crate::keyspace::evict`]). *Invariants:* one call takes at most the time that `maxmemory-eviction-tenacity`
//! allows, plus 16 keys; what an eviction brings (DEL or UNLINK, the event `evicted`, watchers) is drained here.
//! *Counterpart in C Redis:* `performEvictions`, `getMaxmemoryState`.
//!
//! # What counts
//! Used memory is the sum of all blocks that the allocator has handed out ([`alloc::used_memory`]: two counters, exact
//! at any instant), less two things:
//!
//! * **Room in the databases' arenas that holds no entry** (`Keyspace::spare_bytes`). An arena takes pages of 16 KiB and
//!   gives them back only when they are empty. Counted as pages, one eviction would free nothing and a long row of
//!   them would free much; so too many would go. Counted as entries, each eviction frees exactly what its entry
//!   took, and a write into a hole takes exactly what it fills. It is also how the reference counts: its allocator
//!   too keeps holes in its pages, and `used_memory` does not see them. The price is the same as there: where sizes
//!   change, holes of one size do not serve another, and resident memory may lie above the limit; it shows as
//!   fragmentation. An arena that lies inside a value (a big hash) counts as a whole: it goes as a whole.
//! * **What replication and the append only file hold in buffers**: they grow by the very DELs that evictions cause
//!   ([`Server::mem_not_counted_for_evict`]).
//!
//! Tables count in full. A table grows by segments of 64 KiB, which can put memory over the limit by so much until the
//! next command.
//!
//! # The background thread
//! What it still has to free is counted too ([`crate::sys::bio::Bio::pending_bytes`]), because it will be free without
//! further evictions: where that is enough, no key goes, and the command waits for the thread, within its time.

use std::time::Duration;

use super::Server;
use super::gates::Alarm;
use super::observation::latency;
use crate::call::{Class, Effects, Event};
use crate::config::MaxmemoryPolicy;
use crate::keyspace::db::Among;
use crate::keyspace::discard;
use crate::keyspace::evict::{Eviction, Policy, Rank};
use crate::sys::alloc;
use crate::sys::clock::{ticks, ticks_to_ns};

const EVICTED: Event = Event::new(Class::EVICTED, "evicted");
/// Keys between two looks at the time.
const KEYS_PER_LOOK: usize = 16;
/// How long to sleep while the background thread frees.
const NAP: Duration = Duration::from_micros(50);

#[derive(Default)]
pub struct Evict {
    eviction: Eviction,
    /// Memory was above the limit when time was up: the next turns go on.
    pub running: bool,
    /// Whether memory was above the limit and nothing could go, when the command that runs began.
    pub out_of_memory: bool,
    /// Monotonic microseconds since when memory is above the limit.
    exceeded_since_us: Option<u64>,
    /// All times before that, together.
    exceeded_us: u64,
}

impl Evict {
    /// Milliseconds above the limit: since the start, and lately.
    pub fn exceeded_ms(&self, now_us: u64) -> (u64, u64) {
        let current = self.exceeded_since_us.map_or(0, |since| now_us.saturating_sub(since));
        ((self.exceeded_us + current) / 1000, current / 1000)
    }

    /// CONFIG RESETSTAT.
    pub fn reset_stats(&mut self) {
        (self.exceeded_since_us, self.exceeded_us) = (None, 0);
    }
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    Fits,
    /// Above the limit, but more can be freed.
    Shrinking,
    /// Above the limit, and nothing can go.
    Short,
}

/// The time one attempt may take, in nanoseconds.
fn time_limit_ns(tenacity: u32) -> u64 {
    match tenacity {
        0..=10 => 50_000 * u64::from(tenacity),
        11..=99 => (500_000.0 * 1.15f64.powi(tenacity as i32 - 10)) as u64,
        _ => u64::MAX,
    }
}

fn policy(configured: MaxmemoryPolicy) -> Option<Policy> {
    let (among, rank) = match configured {
        MaxmemoryPolicy::AllkeysLru => (Among::All, Rank::Lru),
        MaxmemoryPolicy::AllkeysLfu => (Among::All, Rank::Lfu),
        MaxmemoryPolicy::AllkeysRandom => (Among::All, Rank::Random),
        MaxmemoryPolicy::VolatileLru => (Among::Volatile, Rank::Lru),
        MaxmemoryPolicy::VolatileLfu => (Among::Volatile, Rank::Lfu),
        MaxmemoryPolicy::VolatileTtl => (Among::Volatile, Rank::Ttl),
        MaxmemoryPolicy::VolatileRandom => (Among::Volatile, Rank::Random),
        MaxmemoryPolicy::Noeviction => return None,
    };
    Some(Policy { among, rank })
}

fn us_since(began: u64) -> u64 {
    ticks_to_ns(ticks().wrapping_sub(began)) / 1000
}

/// The time of one attempt.
struct Budget {
    start: u64,
    limit_ns: u64,
}

impl Budget {
    fn is_spent(&self) -> bool {
        ticks_to_ns(ticks().wrapping_sub(self.start)) > self.limit_ns
    }
}

impl Server {
    /// What INFO calls used memory: what was asked of the allocator, less the arenas' empty room.
    pub fn used_memory(&self) -> usize {
        alloc::used_memory().saturating_sub(self.ks.spare_bytes())
    }

    /// Of it, what does not count towards `maxmemory`: buffers of replicas and of the append only file.
    pub fn mem_not_counted_for_evict(&self) -> usize {
        self.persistence.aof.buffer_memory() + self.replication.backlog.memory().not_counted as usize
    }

    /// Bytes above the limit.
    fn excess_memory(&self) -> Option<usize> {
        let limit = usize::try_from(self.config.maxmemory).unwrap_or(usize::MAX);
        // Nearly always this is the answer, and it takes two loads.
        if limit == 0 || alloc::used_memory() <= limit {
            return None;
        }
        let used = self.used_memory().saturating_sub(self.mem_not_counted_for_evict());
        used.checked_sub(limit).filter(|excess| *excess > 0)
    }

    /// Nothing but the limit has raised an alarm, and memory is plainly below it: a command may take the short way.
    #[inline]
    pub fn only_memory_alarm_and_fits(&self) -> bool {
        self.exec.alarms == Alarm::MEMORY.0
            && self.evict.exceeded_since_us.is_none()
            && alloc::used_memory() as u64 <= self.config.maxmemory
    }

    /// Before a command: makes room if there is too little, and notes whether that was in vain.
    pub fn make_room(&mut self) {
        if self.config.maxmemory > 0 {
            self.evict.out_of_memory = self.evict_within_time() == Memory::Short;
        }
    }

    /// Part of each turn while memory is above the limit.
    pub(super) fn go_on_evicting(&mut self) {
        if self.evict.running {
            self.evict.running = self.evict_within_time() == Memory::Shrinking;
        }
    }

    fn evict_within_time(&mut self) -> Memory {
        // While a file is loaded, the keys that would go are among those still to come. In a pause data stands still.
        let left_to_master = self.replication.is_replica() && self.config.replica_ignore_maxmemory;
        if self.exec.has_alarm(Alarm::LOADING) || self.pause.is_on() || left_to_master {
            return Memory::Fits;
        }
        let memory = match self.excess_memory() {
            None => Memory::Fits,
            Some(excess) => {
                let began = ticks();
                let memory = self.evict_keys(excess);
                self.note_latency(latency::EVICTION_CYCLE, us_since(began));
                memory
            }
        };
        let now_us = self.clock.mono_us();
        match memory {
            Memory::Fits => {
                let since = self.evict.exceeded_since_us.take();
                self.evict.exceeded_us += since.map_or(0, |since| now_us.saturating_sub(since));
            }
            _ => _ = self.evict.exceeded_since_us.get_or_insert(now_us),
        }
        memory
    }

    #[cold]
    fn evict_keys(&mut self, excess: usize) -> Memory {
        let limit_ns = time_limit_ns(self.config.maxmemory_eviction_tenacity);
        let budget = Budget { start: ticks(), limit_ns };
        let policy = policy(self.config.maxmemory_policy);
        if self.bio.pending_bytes() >= excess {
            let fits = self.await_background(&budget);
            self.note_latency(latency::EVICTION_LAZYFREE, us_since(budget.start));
            if fits {
                return Memory::Fits;
            }
        }
        let Some(policy) = policy else { return Memory::Short };
        // What will come free without an eviction counts as freed already.
        let mut freed = self.bio.pending_bytes() as isize;
        let mut fx = Effects { wants: self.exec.wants, ..Effects::default() };
        let mut evicted = 0;
        let mut memory = Memory::Fits;
        while freed < excess as isize {
            let Some(gain) = self.evict_one(policy, &mut fx) else {
                self.drain_server_side(&mut fx);
                return if self.await_background(&budget) { Memory::Fits } else { Memory::Short };
            };
            freed += gain;
            evicted += 1;
            if evicted % KEYS_PER_LOOK == 0 {
                self.drain_server_side(&mut fx);
                if budget.is_spent() {
                    self.evict.running = true;
                    memory = Memory::Shrinking;
                    break;
                }
            }
        }
        self.drain_server_side(&mut fx);
        memory
    }

    /// Evicts the next key; the bytes that come free, be it at once or by the background thread.
    fn evict_one(&mut self, policy: Policy, fx: &mut Effects) -> Option<isize> {
        let (samples, lazy) = (self.config.maxmemory_samples as usize, self.config.lazyfree_lazy_eviction);
        let ks = &mut self.ks;
        let (db, key) = self.evict.eviction.victim(&ks.dbs, policy, samples, &ks.access, &mut ks.rng)?;
        let (before, garbage) = (self.used_memory(), fx.garbage.len());
        let began = ticks();
        let taken = self.ks.db_mut(db).remove(&key).expect("a victim is there");
        discard(taken, lazy, fx);
        if self.config.latency_monitor_threshold > 0 {
            self.note_latency(latency::EVICTION_DEL, us_since(began));
        }
        let promised: usize = fx.garbage[garbage..].iter().map(|g| g.bytes).sum();
        // Measured before the effects, whose memory is not that of the keys.
        let gain = before as isize - self.used_memory() as isize + promised as isize;
        self.stats.evicted_keys += 1;
        fx.also(db, &[if lazy { b"UNLINK".as_slice() } else { b"DEL" }, &key]);
        fx.notify(db, EVICTED, &key);
        fx.touch(db, &key);
        self.evict.eviction.recycle(key);
        Some(gain)
    }

    /// Waits, within the budget, while the background thread frees. `true`: memory fits now.
    fn await_background(&self, budget: &Budget) -> bool {
        loop {
            if self.excess_memory().is_none() {
                return true;
            }
            if self.bio.pending_bytes() == 0 || budget.is_spent() {
                return false;
            }
            std::thread::sleep(NAP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenacity_rises_gently_and_then_steeply() {
        assert_eq!([0, 1, 10].map(time_limit_ns), [0, 50_000, 500_000]);
        assert_eq!(time_limit_ns(11), 575_000);
        let minutes = time_limit_ns(99) / 1_000_000_000 / 60;
        assert_eq!((minutes, time_limit_ns(100)), (2, u64::MAX));
    }

    #[test]
    fn every_policy_but_one_evicts() {
        use crate::config::Choice;
        for configured in MaxmemoryPolicy::NAMES.iter().map(|(_, value)| *value) {
            let name = configured.name();
            let Some(policy) = policy(configured) else {
                assert_eq!(name, "noeviction");
                continue;
            };
            assert_eq!(policy.among == Among::Volatile, name.starts_with("volatile-"));
            let rank = format!("{:?}", policy.rank).to_ascii_lowercase();
            assert!(name.ends_with(&rank), "{name} {rank}");
        }
    }
}
