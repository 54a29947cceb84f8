//! [`Histogram`]: how often which duration occurred, to two significant digits, from 1 ns to 1 s.
//!
//! *Duty:* record a value with a shift and an addition, and answer percentiles and cumulative counts from what was
//! recorded. Recorded is whatever unit is at hand; who asks converts the whole first ([`Histogram::in_ns`]), so that
//! no call pays for it. *Does not know:* whose durations these are, and how long a tick is.
//! *Invariants:* values below 256 have a counter each; above, each doubling has 128 counters, so a counter stands for
//! values that differ by less than 1 %. The values reported are those that an HDR histogram of range 1 to 10^9 and two
//! significant digits reports for the same input, because that is what 7.0.15 shows.
//! *Counterpart in C Redis:* `deps/hdr_histogram`, `updateCommandLatencyHistogram`.
//!
//! Memory is taken page by page: a page holds the 128 counters of one doubling, and few doublings occur in practice.

/// Counters of a page.
const PAGE: usize = 128;
/// The first two pages hold 0 to 255, each further one a doubling.
const PAGES: usize = 28;
/// What is counted apart at most: some seconds of the quickest tick there is.
const MOST: u64 = (1 << 34) - 1;
/// A second, in nanoseconds: the range of what is reported, and the pages that it takes.
const GREATEST_NS: u64 = 1_000_000_000;
const PAGES_NS: usize = 24;

type Page = [u64; PAGE];

#[derive(Clone, Debug, Default)]
pub struct Histogram {
    pages: [Option<Box<Page>>; PAGES],
}

/// Where a value is counted.
#[inline]
fn place(value: u64) -> usize {
    let doubling = 56 - (value | 255).leading_zeros() as usize;
    (doubling << 7) + (value >> doubling) as usize
}

/// The least and the greatest value counted at a place.
fn values_at(place: usize) -> (u64, u64) {
    let doubling = (place >> 7).saturating_sub(1);
    let least = ((place - (doubling << 7)) as u64) << doubling;
    (least, least + (1 << doubling) - 1)
}

impl Histogram {
    /// Counts a value; what is out of range counts as the greatest.
    #[inline]
    pub fn record(&mut self, value: u64) {
        self.add(place(value.min(MOST)), 1);
    }

    #[inline]
    fn add(&mut self, place: usize, count: u64) {
        match &mut self.pages[place / PAGE] {
            Some(page) => page[place % PAGE] += count,
            none => first_of_page(none, place % PAGE, count),
        }
    }

    /// The same durations in nanoseconds, each at least 1 and at most a second: what is reported.
    pub fn in_ns(&self, to_ns: impl Fn(u64) -> u64) -> Histogram {
        let mut converted = Histogram::default();
        for (from, count) in self.counted() {
            let (least, greatest) = values_at(from);
            let ns = to_ns(least + (greatest - least) / 2);
            converted.add(place(ns.clamp(1, GREATEST_NS)), count);
        }
        converted
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.counted().map(|(_, count)| count).sum()
    }

    /// The places with a count, in rising order.
    fn counted(&self) -> impl Iterator<Item = (usize, u64)> {
        let pages = self.pages.iter().enumerate().filter_map(|(i, page)| Some((i, page.as_deref()?)));
        let counts = pages.flat_map(|(i, page)| page.iter().enumerate().map(move |(j, n)| (i * PAGE + j, *n)));
        counts.filter(|(_, count)| *count > 0)
    }

    /// The value that `percent` of those recorded do not exceed; 0 when there is none.
    pub fn percentile(&self, percent: f64) -> u64 {
        let rank = (percent.min(100.0) / 100.0 * self.count() as f64 + 0.5) as u64;
        let mut seen = 0;
        for (place, count) in self.counted() {
            seen += count;
            if seen >= rank.max(1) {
                let (least, greatest) = values_at(place);
                return if percent == 0.0 { least } else { greatest };
            }
        }
        0
    }

    /// For each power of two from 1,024 on, as far as there are values: the greatest value counted together with it,
    /// and how many values are that or less. Left out when no value came in since the one before. Of nanoseconds.
    pub fn doublings(&self) -> Vec<(u64, u64)> {
        let total = self.count();
        let (mut found, mut told) = (Vec::new(), 0);
        for power in (10..=30).map(|log2| 1u64 << log2) {
            if told == total {
                break;
            }
            // There is no place for 2^30 itself: the last is the one below.
            let last = place(power).min(PAGES_NS * PAGE - 1);
            let upto = self.counted().take_while(|(place, _)| *place <= last).map(|(_, count)| count).sum();
            if upto > told {
                found.push((values_at(last).1, upto));
                told = upto;
            }
        }
        found
    }
}

#[cold]
fn first_of_page(page: &mut Option<Box<Page>>, at: usize, count: u64) {
    page.insert(Box::new([0; PAGE]))[at] = count;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        values.into_iter().for_each(|value| histogram.record(value));
        histogram.in_ns(|ns| ns)
    }

    #[test]
    fn every_value_lies_within_what_its_place_stands_for() {
        let mut last = 0;
        for value in (1..100_000).chain((0..30).flat_map(|log2| [(1 << log2) - 1, 1 << log2, (1 << log2) + 1])) {
            let (least, greatest) = values_at(place(value));
            assert!((least..=greatest).contains(&value), "{value}");
            assert!(greatest - least <= value / 128, "{value}");
        }
        for place in 0..PAGES * PAGE {
            let (least, greatest) = values_at(place);
            assert!(place == 0 || least == last + 1, "no gaps at {place}");
            last = greatest;
        }
        assert_eq!(last, MOST);
    }

    #[test]
    fn ticks_of_any_rate_come_out_as_nanoseconds() {
        for (ticks_per_ns, ns) in [(1, 300), (2, 41), (3, 5_000), (5, 999_000_000)] {
            let mut ticks = Histogram::default();
            (0..10).for_each(|_| ticks.record(ns * ticks_per_ns));
            let converted = ticks.in_ns(|ticks| ticks / ticks_per_ns);
            assert_eq!((converted.count(), ticks.count()), (10, 10));
            assert!(converted.percentile(50.0).abs_diff(ns) <= ns / 64 + 1, "{ns}");
        }
        // None is too short or too long to be counted.
        let mut ends = Histogram::default();
        [0, u64::MAX].into_iter().for_each(|ticks| ends.record(ticks));
        let ends = ends.in_ns(|ticks| ticks / 4);
        assert_eq!((ends.percentile(0.0), ends.percentile(100.0)), (1, of([1_000_000_000]).percentile(50.0)));
    }

    /// The figures are those of 7.0.15 for calls of 114, 0, 3, 4 and 43 microseconds.
    #[test]
    fn percentiles_are_those_of_an_hdr_histogram() {
        let one = of([114_000]);
        assert_eq!([0.0, 12.5, 50.0, 100.0].map(|p| one.percentile(p)), [113_664, 114_175, 114_175, 114_175]);
        let pings = of([vec![0; 97], vec![2_000], vec![3_000], vec![4_000]].concat());
        assert_eq!([50.0, 98.0, 99.0, 99.9].map(|p| pings.percentile(p)), [1, 2_007, 3_007, 4_015]);
        assert_eq!(of([43_000]).percentile(99.0), 43_007);
        assert_eq!(of([]).percentile(50.0), 0);
        assert_eq!(of([u64::MAX]).percentile(50.0), of([1_000_000_000]).percentile(50.0));
    }

    #[test]
    fn doublings_are_cumulative_and_skip_what_adds_nothing() {
        let histogram = of([0, 5_000, 30_000, 30_000, 60_000].map(|us| us * 1000));
        let expected = [(1_031, 1), (8_454_143, 2), (33_816_575, 4), (67_633_151, 5)];
        assert_eq!(histogram.doublings(), expected);
        // A value just above a power of two is counted with it.
        assert_eq!(of([1_030]).doublings(), [(1_031, 1)]);
        assert_eq!(of([1_032]).doublings(), [(2_063, 1)]);
        assert_eq!(of([999_999_999]).doublings(), [((1 << 30) - 1, 1)]);
        assert!(of([]).doublings().is_empty());
    }
}
