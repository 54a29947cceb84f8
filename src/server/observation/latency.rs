//! [`Latency`]: for each kind of event that held the server up, when it did and for how long.
//!
//! *Duty:* the samples: one for each second in which something took too long, the last 160 of each kind.
//! *Does not know:* what is too long ([`super::Server::note_latency`] does), nor how it is shown.
//! *Invariant:* two samples of a kind never have the same second: the longer one stays.
//! *Counterpart in C Redis:* `latencyAddSample`, `struct latencyTimeSeries`.

use std::collections::VecDeque;

pub const COMMAND: &str = "command";
pub const FAST_COMMAND: &str = "fast-command";
/// A command that was served after it had waited.
pub const COMMAND_UNBLOCKING: &str = "command-unblocking";
pub const FORK: &str = "fork";
pub const AOF_WRITE: &str = "aof-write";
pub const AOF_WRITE_ALONE: &str = "aof-write-alone";
pub const AOF_WRITE_ACTIVE_CHILD: &str = "aof-write-active-child";
pub const AOF_WRITE_PENDING_FSYNC: &str = "aof-write-pending-fsync";
pub const AOF_FSYNC_ALWAYS: &str = "aof-fsync-always";
pub const AOF_RENAME: &str = "aof-rename";
/// One slice of active expiry.
pub const EXPIRE_CYCLE: &str = "expire-cycle";
/// One attempt to make room, one key of it, and waiting for the background thread in it.
pub const EVICTION_CYCLE: &str = "eviction-cycle";
pub const EVICTION_DEL: &str = "eviction-del";
pub const EVICTION_LAZYFREE: &str = "eviction-lazyfree";
pub const RDB_UNLINK_TEMP_FILE: &str = "rdb-unlink-temp-file";

/// Samples kept of one kind.
const SAMPLES: usize = 160;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub unix_s: i64,
    pub ms: u64,
}

/// Oldest first.
#[derive(Debug, Default)]
pub struct Series {
    samples: VecDeque<Sample>,
    /// The longest there ever was.
    pub max_ms: u64,
}

#[derive(Debug, Default)]
pub struct Latency {
    /// In the order in which they first happened. There are some twenty kinds.
    events: Vec<(&'static str, Series)>,
}

impl Latency {
    pub fn add(&mut self, event: &'static str, ms: u64, unix_s: i64) {
        let at = self.events.iter().position(|(name, _)| *name == event).unwrap_or_else(|| {
            self.events.push((event, Series::default()));
            self.events.len() - 1
        });
        self.events[at].1.add(Sample { unix_s, ms });
    }

    /// The name is compared as it is written.
    pub fn get(&self, event: &[u8]) -> Option<(&'static str, &Series)> {
        self.iter().find(|(name, _)| name.as_bytes() == event)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, &Series)> {
        self.events.iter().map(|(name, series)| (*name, series))
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Forgets the kinds that `which` names, all without one, in any case. Returns how many.
    pub fn reset<'a>(&mut self, which: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> usize {
        let before = self.events.len();
        let named = |name: &str| which.clone().any(|word| word.eq_ignore_ascii_case(name.as_bytes()));
        self.events.retain(|(name, _)| which.len() > 0 && !named(name));
        before - self.events.len()
    }
}

impl Series {
    fn add(&mut self, sample: Sample) {
        self.max_ms = self.max_ms.max(sample.ms);
        match self.samples.back_mut() {
            Some(last) if last.unix_s == sample.unix_s => last.ms = last.ms.max(sample.ms),
            _ => {
                if self.samples.len() == SAMPLES {
                    self.samples.pop_front();
                }
                self.samples.push_back(sample);
            }
        }
    }

    pub fn samples(&self) -> impl DoubleEndedIterator<Item = Sample> + ExactSizeIterator {
        self.samples.iter().copied()
    }

    pub fn last(&self) -> Option<Sample> {
        self.samples.back().copied()
    }

    pub fn figures(&self, now_s: i64) -> Figures {
        let count = self.samples.len() as u64;
        let of_all = |sum: u64| sum.checked_div(count).unwrap_or(0);
        let average_ms = of_all(self.samples().map(|s| s.ms).sum());
        let oldest = self.samples().map(|s| s.unix_s).min().unwrap_or(now_s);
        Figures {
            count,
            average_ms,
            deviation_ms: of_all(self.samples().map(|s| s.ms.abs_diff(average_ms)).sum()),
            min_ms: self.samples().map(|s| s.ms).min().unwrap_or(0),
            max_ms: self.samples().map(|s| s.ms).max().unwrap_or(0),
            span_s: (now_s - oldest).max(1) as u64,
        }
    }
}

/// What the samples of a kind come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    pub count: u64,
    pub average_ms: u64,
    /// Mean distance from the average.
    pub deviation_ms: u64,
    pub min_ms: u64,
    pub max_ms: u64,
    /// From the oldest sample until now.
    pub span_s: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_one_sample_and_the_oldest_go() {
        let mut latency = Latency::default();
        for (second, ms) in [(1, 5), (1, 9), (1, 7), (2, 3)] {
            latency.add("fork", ms, second);
        }
        let (_, series) = latency.get(b"fork").unwrap();
        assert_eq!(series.samples().map(|s| (s.unix_s, s.ms)).collect::<Vec<_>>(), [(1, 9), (2, 3)]);
        assert_eq!((series.max_ms, series.last().unwrap().ms), (9, 3));
        (3..200).for_each(|second| latency.add("fork", 1, second));
        let (_, series) = latency.get(b"fork").unwrap();
        assert_eq!((series.samples().len(), series.samples().next().unwrap().unix_s, series.max_ms), (160, 40, 9));
    }

    #[test]
    fn figures_are_over_the_samples_that_are_left() {
        let mut latency = Latency::default();
        for (second, ms) in [(10, 5), (11, 30), (12, 2), (13, 17), (15, 60), (16, 11)] {
            latency.add("command", ms, second);
        }
        let figures = latency.get(b"command").unwrap().1.figures(17);
        let expected = Figures { count: 6, average_ms: 20, deviation_ms: 15, min_ms: 2, max_ms: 60, span_s: 7 };
        assert_eq!(figures, expected);
    }

    #[test]
    fn kinds_are_forgotten_by_name_or_together() {
        let mut latency = Latency::default();
        ["fork", "command", "fast-command"].iter().for_each(|event| latency.add(event, 1, 1));
        let words = |words: &'static [&'static str]| words.iter().map(|w| w.as_bytes());
        assert_eq!(latency.reset(words(&["FORK", "nothing"])), 1);
        assert!(latency.get(b"fork").is_none() && latency.get(b"COMMAND").is_none());
        assert_eq!(latency.reset(words(&[])), 2);
        assert!(latency.is_empty());
    }
}
