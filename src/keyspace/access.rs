//! The 24 access bits of an entry: when it was last used (LRU) or how often (LFU).
//!
//! *Duty:* the arithmetic of both clocks. *Does not know:* entries, policies of eviction.
//! *Counterpart in C Redis:* `LRU_CLOCK`, `estimateObjectIdleTime`, `LFULogIncr`, `LFUDecrAndReturn`.
//!
//! LRU: seconds, modulo 2^24 (194 days). LFU: 16 bits of minutes of the last decrement, 8 bits of a counter that
//! grows by one with a probability that falls as it rises, so that 255 stands for millions of uses.

use crate::base::millis::Millis;
use crate::base::rng::Rng;

const CLOCK_MAX: u32 = (1 << 24) - 1;
/// What a new key's counter starts with, so that it is not the first to go.
const LFU_INIT: u32 = 5;

/// Which of the two the bits mean, and the LFU parameters.
#[derive(Clone, Copy, Debug)]
pub struct AccessClock {
    pub lfu: bool,
    /// `lfu-log-factor`
    pub log_factor: u32,
    /// `lfu-decay-time`, minutes.
    pub decay_minutes: u32,
    seconds: u32,
    minutes: u32,
}

impl AccessClock {
    pub fn new() -> AccessClock {
        AccessClock { lfu: false, log_factor: 10, decay_minutes: 1, seconds: 0, minutes: 0 }
    }

    /// Once per turn of the loop.
    pub fn tick(&mut self, now: Millis) {
        self.seconds = (now.secs() as u32) & CLOCK_MAX;
        self.minutes = (now.secs() / 60) as u32 & 0xffff;
    }

    /// The bits of a key that was just made.
    #[inline]
    pub fn fresh(&self) -> u32 {
        if self.lfu { self.minutes << 8 | LFU_INIT } else { self.seconds }
    }

    /// The bits after one more use.
    #[inline]
    pub fn used(&self, bits: u32, rng: &mut Rng) -> u32 {
        if !self.lfu {
            return self.seconds;
        }
        let counter = self.frequency(bits);
        let base = counter.saturating_sub(LFU_INIT) as f64;
        let chance = 1.0 / (base * self.log_factor as f64 + 1.0);
        let grown = counter < 255 && (rng.next_u64() >> 11) as f64 / ((1u64 << 53) as f64) < chance;
        self.minutes << 8 | (counter + grown as u32)
    }

    /// LFU: the counter, decremented for the time that passed.
    pub fn frequency(&self, bits: u32) -> u32 {
        let (last, counter) = (bits >> 8, bits & 0xff);
        let elapsed = (self.minutes.wrapping_sub(last)) & 0xffff;
        let periods = elapsed.checked_div(self.decay_minutes).unwrap_or(0);
        counter.saturating_sub(periods)
    }

    /// LRU: seconds since the last use.
    pub fn idle_seconds(&self, bits: u32) -> u32 {
        self.seconds.wrapping_sub(bits) & CLOCK_MAX
    }

    /// The bits that say "idle for so many seconds", for files and RESTORE.
    pub fn bits_for_idle(&self, seconds: u64) -> u32 {
        self.seconds.wrapping_sub(seconds.min(CLOCK_MAX as u64) as u32) & CLOCK_MAX
    }

    /// The bits that say "used this often", for files and RESTORE.
    pub fn bits_for_frequency(&self, frequency: u8) -> u32 {
        self.minutes << 8 | frequency as u32
    }
}

impl Default for AccessClock {
    fn default() -> AccessClock {
        AccessClock::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_survives_the_wrap_of_the_clock() {
        let mut clock = AccessClock::new();
        clock.tick(Millis(((CLOCK_MAX as i64) - 1) * 1000));
        let bits = clock.fresh();
        clock.tick(Millis((CLOCK_MAX as i64 + 10) * 1000));
        assert_eq!(clock.idle_seconds(bits), 11);
        assert_eq!(clock.idle_seconds(clock.bits_for_idle(1000)), 1000);
    }

    #[test]
    fn the_counter_grows_slowly_and_falls_with_time() {
        let mut clock = AccessClock { lfu: true, ..AccessClock::new() };
        let mut rng = Rng::new(7);
        clock.tick(Millis(0));
        let mut bits = clock.fresh();
        for _ in 0..1000 {
            bits = clock.used(bits, &mut rng);
        }
        assert!((10..60).contains(&clock.frequency(bits)), "{}", clock.frequency(bits));
        clock.tick(Millis(5 * 60_000));
        assert_eq!(clock.frequency(bits), (bits & 0xff) - 5);
    }
}
