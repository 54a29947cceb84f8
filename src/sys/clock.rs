//! Time: the two readings a loop turn makes, and the tick counter that measures commands.
//!
//! *Duty:* [`Clock`] caches the wall clock and the monotonic clock; the loop refreshes it once per turn and everyone
//! else reads the cache. [`ticks`] costs a few nanoseconds, so that each command can be timed without a clock call.
//! *Does not know:* what is measured.
//! *Invariants:* within a turn time stands still; the monotonic reading never goes back; ticks are the processor's
//! time-stamp counter only where the processor says that it runs at one rate and never stops, else nanoseconds.
//! *Counterpart in C Redis:* `monotonic.c`, `updateCachedTime`.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::base::millis::Millis;

/// Nanoseconds per tick, times 2^32. One tick is one nanosecond until a calibration says otherwise.
static NS_PER_TICK: AtomicU64 = AtomicU64::new(1 << 32);

/// Whether ticks come from the time-stamp counter. Set once, by the first [`Clock::new`].
static TSC: AtomicBool = AtomicBool::new(false);

/// How long the first calibration spins. The error of two readings is some 50 ns, so this gives 1 part in 20,000.
const FIRST_SPIN_NS: u64 = 1_000_000;

/// Calibration is refined each time the span since the start has doubled, until it is this long (1 part in 10^9).
const LONGEST_SPAN_NS: u64 = 64_000_000_000;

/// The cached readings of this loop turn.
pub struct Clock {
    wall: Millis,
    wall_us: i64,
    mono_ns: u64,
    calibration: Calibration,
}

/// Readings that were put aside.
#[derive(Clone, Copy, Debug)]
pub struct Frozen {
    wall_us: i64,
    mono_ns: u64,
}

impl Clock {
    /// Reads both clocks and calibrates the tick counter, which takes a millisecond.
    pub fn new() -> Clock {
        let calibration = Calibration::start();
        let mut clock = Clock { wall: Millis(0), wall_us: 0, mono_ns: 0, calibration };
        clock.refresh();
        clock
    }

    /// Takes the readings that hold until the next call.
    pub fn refresh(&mut self) {
        self.wall_us = wall_us();
        self.wall = Millis(self.wall_us.div_euclid(1000));
        self.mono_ns = monotonic_ns();
        if self.mono_ns >= self.calibration.next_ns {
            self.calibration.refine();
        }
    }

    /// The readings of this turn, to go back to them after another turn within it.
    pub fn freeze(&self) -> Frozen {
        Frozen { wall_us: self.wall_us, mono_ns: self.mono_ns }
    }

    pub fn thaw(&mut self, frozen: Frozen) {
        (self.wall_us, self.mono_ns) = (frozen.wall_us, frozen.mono_ns);
        self.wall = Millis(self.wall_us.div_euclid(1000));
    }

    /// The wall clock as of this turn.
    #[inline]
    pub fn now(&self) -> Millis {
        self.wall
    }

    /// The wall clock as of this turn, in microseconds since 1970 (TIME, SLOWLOG).
    #[inline]
    pub fn now_us(&self) -> i64 {
        self.wall_us
    }

    /// Microseconds of the monotonic clock as of this turn.
    #[inline]
    pub fn mono_us(&self) -> u64 {
        self.mono_ns / 1000
    }

    /// For the line `monotonic clock: ...` at start.
    pub fn description(&self) -> String {
        if TSC.load(Relaxed) {
            let ticks_per_us = (1000u64 << 32) as f64 / NS_PER_TICK.load(Relaxed) as f64;
            format!("X86 TSC @ {ticks_per_us:.0} ticks/us")
        } else {
            "POSIX clock_gettime".to_string()
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Clock::new()
    }
}

/// The monotonic clock, read now.
pub fn monotonic_ns() -> u64 {
    let t = read(libc::CLOCK_MONOTONIC);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

/// The wall clock, read now: microseconds since 1970.
pub fn wall_us() -> i64 {
    let t = read(libc::CLOCK_REALTIME);
    t.tv_sec * 1_000_000 + t.tv_nsec / 1000
}

/// A counter for measuring short spans; only differences mean something, and only by way of [`ticks_to_ns`].
#[inline]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    if TSC.load(Relaxed) {
        return tsc();
    }
    monotonic_ns()
}

/// Converts a difference of two [`ticks`].
#[inline]
pub fn ticks_to_ns(delta: u64) -> u64 {
    ((u128::from(delta) * u128::from(NS_PER_TICK.load(Relaxed))) >> 32) as u64
}

/// So many [`ticks`] take so long; the most there are when that is too long to be counted.
pub fn ns_to_ticks(ns: u64) -> u64 {
    let ticks = (u128::from(ns) << 32) / u128::from(NS_PER_TICK.load(Relaxed).max(1));
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// The pair of readings from which the rate is computed, and when to compute it again.
struct Calibration {
    start_ticks: u64,
    start_ns: u64,
    next_ns: u64,
}

impl Calibration {
    fn start() -> Calibration {
        if !tsc_is_steady() {
            return Calibration { start_ticks: 0, start_ns: 0, next_ns: u64::MAX };
        }
        let (start_ticks, start_ns) = both();
        let mut calibration = Calibration { start_ticks, start_ns, next_ns: start_ns + FIRST_SPIN_NS };
        while monotonic_ns() < calibration.next_ns {
            std::hint::spin_loop();
        }
        calibration.refine();
        TSC.store(true, Relaxed);
        calibration
    }

    fn refine(&mut self) {
        let (ticks, ns) = both();
        let (span_ticks, span_ns) = (ticks.wrapping_sub(self.start_ticks), ns - self.start_ns);
        if span_ticks > 0 {
            let rate = (u128::from(span_ns) << 32) / u128::from(span_ticks);
            NS_PER_TICK.store(rate as u64, Relaxed);
        }
        self.next_ns = if span_ns >= LONGEST_SPAN_NS { u64::MAX } else { ns + span_ns };
    }
}

/// Tick counter and clock at the same moment: of three tries the one with the least time between its two tick
/// readings, so that being scheduled away in the middle does not spoil the pair.
fn both() -> (u64, u64) {
    let mut best = (u64::MAX, 0, 0);
    for _ in 0..3 {
        let before = tsc();
        let ns = monotonic_ns();
        let gap = tsc().wrapping_sub(before);
        if gap < best.0 {
            best = (gap, before.wrapping_add(gap / 2), ns);
        }
    }
    (best.1, best.2)
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn tsc() -> u64 {
    // SAFETY: RDTSC exists on every x86_64 processor; it touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn tsc() -> u64 {
    monotonic_ns()
}

/// CPUID 0x80000007, EDX bit 8: the counter runs at one rate in all power states.
#[cfg(target_arch = "x86_64")]
#[allow(unused_unsafe)]
fn tsc_is_steady() -> bool {
    const LEAF: u32 = 0x8000_0007;
    // SAFETY: CPUID exists on every x86_64 processor; leaf 0x80000000 tells which others do.
    unsafe {
        core::arch::x86_64::__cpuid(0x8000_0000).eax >= LEAF && core::arch::x86_64::__cpuid(LEAF).edx & (1 << 8) != 0
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn tsc_is_steady() -> bool {
    false
}

fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is valid for writing; both clocks used here always exist, so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &mut t) };
    t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stands_still_until_the_next_refresh() {
        let mut clock = Clock::new();
        let (wall, mono) = (clock.now(), clock.mono_us());
        std::thread::sleep(std::time::Duration::from_millis(3));
        assert_eq!((clock.now(), clock.mono_us()), (wall, mono));
        clock.refresh();
        assert!(clock.now().since(wall) >= 2);
        assert!(clock.mono_us() - mono >= 3000);
    }

    #[test]
    fn the_wall_clock_is_the_systems() {
        let system = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!((Clock::new().now().0 - system.as_millis() as i64).abs() < 1000);
    }

    #[test]
    fn ticks_measure_what_the_clock_measures() {
        let mut clock = Clock::new();
        let (ns, t) = (monotonic_ns(), ticks());
        std::thread::sleep(std::time::Duration::from_millis(20));
        let (by_ticks, by_clock) = (ticks_to_ns(ticks() - t), monotonic_ns() - ns);
        assert!(by_ticks.abs_diff(by_clock) < by_clock / 20, "{by_ticks} by ticks, {by_clock} by clock");
        clock.refresh();
        let t = ticks();
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(ticks_to_ns(ticks() - t) >= 4_900_000);
        assert!(ticks_to_ns(ns_to_ticks(1_000_000_000)).abs_diff(1_000_000_000) < 10);
        assert_eq!(ns_to_ticks(0), 0);
    }

    #[test]
    fn calibration_is_cheap() {
        let start = std::time::Instant::now();
        let text = Clock::new().description();
        // Spinning takes one millisecond; the rest of the allowance is for a busy machine.
        assert!(start.elapsed().as_millis() < 100);
        assert!(text.starts_with("X86 TSC @ ") || text == "POSIX clock_gettime", "{text}");
    }
}
