//! When the next group of changes goes to disk (`appendfsync always`).
//!
//! *Duty:* say whether a group takes off at once or waits for the clients whose replies were let go, by trying both.
//! *Does not know:* the clock, the file, who the clients are.
//!
//! While one group is being synced the next one gathers. Taking off as soon as the disk is free ([`Manner::Apart`]) keeps
//! disk and clients busy side by side, but each group holds only those that were not in the one before. Waiting until
//! those are back too ([`Manner::Together`]) makes fewer and larger groups, which is better where the disk is slow, or
//! where few processors share the work of syncing and of everything else: by up to a factor of two either way. What
//! decides cannot be known beforehand, so both are measured again and again, as replies per second, and the better one
//! is kept. Where neither is plainly better, as with clients that take their time, nobody is made to wait.
//! *Counterpart in C Redis:* none.

/// Averages move by this part towards what was seen last.
const SHARE: u64 = 4;
/// Groups by which a manner is judged.
const WINDOW: u32 = 32;
/// The other manner has one window in so many.
const TRIAL_EVERY: u32 = 12;
/// Waiting must bring so much more, in percent.
const PLAINLY: u64 = 104;
/// A group waits for so many syncs' time at most, and not for longer than this.
const WAIT_SYNCS: u64 = 4;
const WAIT_NS: u64 = 10_000_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Manner {
    #[default]
    Apart,
    Together,
}

#[derive(Debug, Default)]
pub(super) struct Pace {
    manner: Manner,
    /// Replies per second of each manner, in its last window; 0: not tried yet.
    rates: [u64; 2],
    /// The window: since when, how many groups and clients so far.
    since: u64,
    groups: u32,
    clients: u64,
    windows: u32,
    /// Averages, in nanoseconds.
    sync_ns: u64,
    return_ns: u64,
    /// When replies were let go last.
    released_at: u64,
    /// So many clients must wait for all to be back, nearly; 0: they were, or nobody asks.
    expected: usize,
    /// Clients that write, as far as the last group shows: those that were in it, and those that waited behind it.
    crowd: usize,
}

fn average(old: u64, new: u64) -> u64 {
    if old == 0 { new } else { old - old / SHARE + new / SHARE }
}

impl Pace {
    /// A group of so many clients has been let go, after a sync that took so long; others wait already.
    pub fn released(&mut self, now: u64, sync_ns: u64, clients: usize, waiting: usize) {
        if self.expected != 0 {
            // Not all were back within a whole round.
            self.returned(now);
        }
        self.sync_ns = average(self.sync_ns, sync_ns);
        self.released_at = now;
        self.crowd = clients + waiting;
        // One in ten may have other things to do.
        self.expected = self.crowd - clients / 10;
        self.clients += clients as u64;
        self.groups += 1;
        if self.groups >= WINDOW {
            self.judge(now);
        }
    }

    fn judge(&mut self, now: u64) {
        let elapsed = (now - self.since).max(1);
        self.rates[self.manner as usize] = (self.clients * 1_000_000_000 / elapsed).max(1);
        self.windows += 1;
        let [apart, together] = self.rates;
        let (better, other) = match together * 100 > apart * PLAINLY {
            true => (Manner::Together, Manner::Apart),
            false => (Manner::Apart, Manner::Together),
        };
        let untried = self.rates[other as usize] == 0;
        self.manner = if untried || self.windows.is_multiple_of(TRIAL_EVERY) { other } else { better };
        (self.since, self.groups, self.clients) = (now, 0, 0);
    }

    pub fn crowd(&self) -> usize {
        self.crowd
    }

    /// So many clients wait now. Answers whether the group should wait for more.
    pub fn gathers(&mut self, now: u64, waiting: usize) -> bool {
        self.look(now, waiting);
        if self.expected == 0 || self.manner == Manner::Apart {
            return false;
        }
        if now < self.deadline() {
            return true;
        }
        // Waited for in vain: they take longer, nobody knows how long.
        self.return_ns = average(self.return_ns, 2 * (now - self.released_at));
        self.expected = 0;
        false
    }

    /// So many clients wait now, those of the group under way included.
    pub fn look(&mut self, now: u64, waiting: usize) {
        if self.expected != 0 && waiting >= self.expected {
            self.returned(now);
        }
    }

    /// Until when a group that gathers waits.
    pub fn deadline(&self) -> u64 {
        self.released_at + (self.return_ns + self.return_ns / 2).min(self.sync_ns * WAIT_SYNCS).min(WAIT_NS)
    }

    fn returned(&mut self, now: u64) {
        self.return_ns = average(self.return_ns, now - self.released_at);
        self.expected = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Clients that come back one after another, and syncs that slow them down by so much each: replies per second.
    fn run(clients: usize, back_ns: u64, sync_ns: u64, sync_work_ns: u64) -> u64 {
        let mut pace = Pace::default();
        let mut commands = 0;
        // Moments at which those who are away come back; a client is away, waits, or is in the group under way.
        let each = back_ns / clients as u64;
        let mut busy_until = 0u64;
        let mut away: Vec<u64> = (1..=clients as u64).map(|n| n * each).collect();
        let (mut waiting, mut flight): (usize, Option<(u64, usize)>) = (0, None);
        for now in (0..4 * SECOND).step_by(5000) {
            if let Some((lands, size)) = flight
                && now >= lands
            {
                flight = None;
                pace.released(now, sync_ns, size, waiting);
                commands += if now > SECOND { size as u64 } else { 0 };
                // One processor brings them all back, one after another.
                busy_until = busy_until.max(now) + sync_work_ns;
                away.extend((1..=size as u64).map(|n| busy_until + n * each));
                busy_until += size as u64 * each;
            }
            waiting += away.iter().filter(|&&at| at <= now).count();
            away.retain(|&at| at > now);
            pace.look(now, waiting + flight.map_or(0, |(_, size)| size));
            if flight.is_none() && waiting > 0 && !pace.gathers(now, waiting) {
                flight = Some((now + sync_ns, std::mem::take(&mut waiting)));
            }
        }
        commands / 3
    }

    #[test]
    fn a_slow_disk_gets_whole_groups_and_a_fast_one_is_kept_busy() {
        // The disk takes 4 ms, 50 clients are back within 0.8 ms: 10,400 a second are possible, 6,250 with two halves.
        let slow = run(50, 800_000, 4_000_000, 0);
        assert!(slow > 9_300, "{slow}");
        // The disk takes 0.3 ms: not waiting for one another makes 62,500, taking turns 45,000.
        let fast = run(50, 800_000, 300_000, 0);
        assert!(fast > 55_000, "{fast}");
        // It takes 0.2 ms and as much of the processor: large groups again, although clients take longer than the disk.
        let (shared, all) = (run(50, 800_000, 200_000, 300_000), 50 * SECOND / 1_300_000);
        assert!(shared * 100 > all * 92, "{shared} of {all}");
    }

    #[test]
    fn one_client_never_waits_for_itself() {
        let alone = run(1, 50_000, 1_000_000, 0);
        assert!(alone > 930, "{alone}");
    }

    #[test]
    fn nobody_waits_where_it_brings_nothing() {
        let mut pace = Pace::default();
        let (mut now, mut waited) = (0, 0);
        for group in 0..1000 {
            now += 1_000_000;
            pace.released(now, 100_000, 10, 0);
            // Two of ten are back soon; the next group comes when it comes.
            if pace.gathers(now + 50_000, 2) {
                waited += 1;
                assert!(pace.deadline() <= now + 400_000);
                assert!(!pace.gathers(now + 400_000, 2), "group {group}");
            }
        }
        assert!(waited < 1000 / 10, "{waited}: while it is tried, and no more");
    }
}
