//! [`Millis`]: the only type for a point in time on the pure side.
//!
//! *Duty:* a Unix time in milliseconds that cannot be mixed up with a duration or a count.
//! *Does not know:* the clock. Time arrives from the shell as `now: Millis`.
//! *Counterpart in C Redis:* `mstime_t`.

/// Milliseconds since 1970-01-01 00:00:00 UTC. Negative values are points before that; commands accept them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

impl Millis {
    /// The point `ms` milliseconds later (earlier when negative), saturating.
    pub fn plus(self, ms: i64) -> Millis {
        Millis(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to `self`; negative when `earlier` is in fact later.
    pub fn since(self, earlier: Millis) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole seconds, rounded down.
    pub fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }
}
