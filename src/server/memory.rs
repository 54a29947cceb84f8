//! [`MemoryReport`]: where the process' memory is, as INFO, MEMORY STATS and MEMORY DOCTOR tell it.
//!
//! *Duty:* the figures from three sides: what was asked of the allocator, what the allocator took from the kernel, what
//! is resident; and of what was asked for, how much is not data. The size of one entry, to the allocator's classes.
//! *Does not know:* how figures are shown. *Invariants:* data and overhead add up to what is used; what an empty server
//! takes is overhead.
//! *Counterpart in C Redis:* `getMemoryOverheadData`, `objectComputeSize`, `getMemoryDoctorReport`.

use super::Server;
use crate::call::DbId;
use crate::ds::blocks::SMALL_MAX;
use crate::keyspace::{Db, EntryRef};
use crate::sys::alloc::{self, AllocatorStats, size_class};
use crate::sys::process;

#[derive(Clone, Debug)]
pub struct MemoryReport {
    pub used: u64,
    pub peak: u64,
    /// Before the first key.
    pub startup: u64,
    pub clients: u64,
    pub overhead: u64,
    pub dataset: u64,
    pub keys: u64,
    /// Databases that have keys: bytes of their table, and of their index of deadlines.
    pub tables: Vec<(DbId, u64, u64)>,
    pub allocator: AllocatorStats,
    pub rss: u64,
}

/// How much more one figure is than another, as a ratio and in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Excess {
    pub ratio: f64,
    pub bytes: i64,
}

impl Excess {
    fn of(more: u64, less: u64) -> Excess {
        Excess { ratio: ratio(more, less), bytes: more as i64 - less as i64 }
    }
}

/// `part / whole`, 0 when there is no whole.
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl MemoryReport {
    /// What grew since the start.
    pub fn grown(&self) -> u64 {
        self.used.saturating_sub(self.startup)
    }

    pub fn dataset_percent(&self) -> f64 {
        (ratio(self.dataset, self.grown().max(1)) * 100.0).min(100.0)
    }

    pub fn peak_percent(&self) -> f64 {
        ratio(self.used, self.peak) * 100.0
    }

    pub fn bytes_per_key(&self) -> u64 {
        self.grown().checked_div(self.keys).unwrap_or(0)
    }

    /// Pages that are not full.
    pub fn allocator_fragmentation(&self) -> Excess {
        Excess::of(self.allocator.active as u64, self.allocator.allocated as u64)
    }

    /// Pages kept for later.
    pub fn allocator_rss(&self) -> Excess {
        Excess::of(self.allocator.resident as u64, self.allocator.active as u64)
    }

    /// The program itself, stacks, what other libraries take.
    pub fn rss_overhead(&self) -> Excess {
        Excess::of(self.rss, self.allocator.resident as u64)
    }

    pub fn fragmentation(&self) -> Excess {
        Excess::of(self.rss, self.used)
    }
}

impl Server {
    pub fn memory_report(&self) -> MemoryReport {
        let used = self.used_memory() as u64;
        let startup = self.stats.startup_memory as u64;
        let clients = self.clients.memory() as u64;
        let with_keys = self.ks.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty());
        let tables = with_keys
            .map(|(i, db)| (DbId(i as u32), db.entries.table().memory_usage() as u64, db.wheel_bytes() as u64));
        // What an empty server's tables take is part of its startup memory.
        let grown_tables = self.table_memory().saturating_sub(self.stats.startup_tables) as u64;
        let overhead = (startup + clients + grown_tables).min(used);
        MemoryReport {
            used,
            peak: used.max(self.stats.peak_memory as u64),
            startup,
            clients,
            overhead,
            dataset: used - overhead,
            keys: self.ks.total_keys() as u64,
            tables: tables.collect(),
            allocator: alloc::allocator_stats(),
            rss: process::rss_bytes(),
        }
    }
}

/// A key's place in the table: a handle of six bytes, with its share of the buckets' room and of their overflow (what a
/// table of 300,000 keys measures).
const PLACE: usize = 10;

/// Bytes that a key takes with its value and everything else about it.
pub fn entry_bytes(db: &Db, entry: EntryRef<'_>) -> usize {
    let block = match entry.block_size() {
        small @ ..=SMALL_MAX => small,
        large => size_class(large),
    };
    let own_buffer = match entry.outside_len() {
        0 => 0,
        len if entry.is_string() => size_class(len),
        len => len,
    };
    let deadline = if entry.expires_at().is_some() { db.wheel_bytes() / db.volatile().max(1) } else { 0 };
    block + own_buffer + PLACE + deadline.min(DEADLINE_MAX)
}

/// A record in the timing wheel with the room around it; few records in a fresh wheel would look larger than that.
const DEADLINE_MAX: usize = 16;

/// Below this there is nothing to judge.
const LITTLE: u64 = 5 << 20;
/// An excess that is not worth a line, whatever the ratio.
const TOLERATED: i64 = 10 << 20;
/// Average memory of a client that is worth a line.
const LARGE_CLIENT: u64 = 200 << 10;

/// MEMORY DOCTOR.
pub fn doctor(report: &MemoryReport, clients: u64) -> String {
    if report.used < LITTLE {
        return "This instance holds little or nothing, so there is nothing to say about its memory.\n".to_owned();
    }
    let exceeds = |excess: Excess, ratio: f64| excess.ratio > ratio && excess.bytes > TOLERATED;
    let findings = [
        (
            ratio(report.peak, report.used) > 1.5,
            "Peak: more than 150 % of what is used now was used once. The allocator may hold memory from that time, \
             and the fragmentation ratio looks worse than it is. MEMORY PURGE gives back what can be given back.",
        ),
        (
            exceeds(report.fragmentation(), 1.4),
            "Fragmentation: the process takes over 1.4 times the memory that is used. Behind that are the causes \
             below, or a peak in the past; a restart begins anew.",
        ),
        (
            exceeds(report.allocator_fragmentation(), 1.1),
            "Allocator fragmentation: over a tenth of the memory in use lies between blocks, as happens when many \
             values of other sizes were there before.",
        ),
        (
            exceeds(report.allocator_rss(), 1.1),
            "Allocator: it keeps pages for later that nothing uses now. MEMORY PURGE gives them back.",
        ),
        (
            exceeds(report.rss_overhead(), 1.1),
            "Process: much of its memory is not the allocator's. Libraries and other allocations of the system are \
             behind that.",
        ),
        (
            report.clients / clients.max(1) > LARGE_CLIENT,
            "Clients: on average they take over 200 kB each, in queries that are not whole or replies that are not \
             read. CLIENT LIST shows who (qbuf, omem); client-output-buffer-limit bounds it.",
        ),
    ];
    let found: Vec<&str> = findings.iter().filter(|(is_so, _)| *is_so).map(|(_, text)| *text).collect();
    if found.is_empty() {
        return "There is nothing remarkable about the memory of this instance.\n".to_owned();
    }
    found.iter().map(|text| format!("* {text}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash::HashSeed;
    use crate::base::millis::Millis;
    use crate::keyspace::{Expire, New};

    fn report() -> MemoryReport {
        MemoryReport {
            used: 100 << 20,
            peak: 100 << 20,
            startup: 1 << 20,
            clients: 1 << 10,
            overhead: 10 << 20,
            dataset: 90 << 20,
            keys: 10,
            tables: Vec::new(),
            allocator: AllocatorStats { allocated: 100 << 20, active: 101 << 20, resident: 102 << 20, retained: 0 },
            rss: 104 << 20,
        }
    }

    #[test]
    fn the_doctor_names_what_is_out_of_proportion() {
        let healthy = report();
        assert!(doctor(&healthy, 1).starts_with("There is nothing remarkable"));
        assert!(doctor(&MemoryReport { used: 1 << 20, ..healthy.clone() }, 1).starts_with("This instance holds"));
        assert!(doctor(&MemoryReport { peak: 151 << 20, ..healthy.clone() }, 1).starts_with("* Peak"));
        assert!(doctor(&MemoryReport { clients: 1 << 20, ..healthy.clone() }, 2).starts_with("* Clients"));
        assert!(doctor(&MemoryReport { clients: 1 << 20, ..healthy.clone() }, 6).starts_with("There"));
        let swollen = doctor(&MemoryReport { rss: 200 << 20, ..healthy }, 1);
        assert!(swollen.contains("* Fragmentation") && swollen.contains("* Process"));
    }

    #[test]
    fn figures_without_a_base_are_zero() {
        let empty = MemoryReport { used: 0, startup: 1, keys: 0, peak: 0, dataset: 0, ..report() };
        assert_eq!((empty.bytes_per_key(), empty.peak_percent(), empty.dataset_percent()), (0, 0.0, 0.0));
        assert_eq!(report().bytes_per_key(), (99 << 20) / 10);
    }

    #[test]
    fn an_entry_is_its_block_its_buffer_and_its_place() {
        let mut db = Db::new(HashSeed::new(1));
        let mut put = |key: &str, len: usize| {
            db.put(key.as_bytes(), New::Bytes(&vec![b'x'; len]), Expire::Clear, 0, Millis(0));
            let entry = db.entries.get(db.entries.hash(key.as_bytes()), key.as_bytes()).unwrap();
            entry_bytes(&db, entry)
        };
        // Head, key length, key, value length, value: 4 + 1 + 1 + 1 + 3, in the smallest block.
        assert_eq!(put("a", 3), 16 + PLACE);
        assert_eq!(put("b", 20), 32 + PLACE);
        // Too large for the arena: 4 + 1 + 1 + 4 + 2000 in a block of the allocator.
        assert_eq!(put("c", 2000), 2048 + PLACE);
        // A buffer of its own behind an entry of 4 + 1 + 1 + 24 bytes.
        assert_eq!(put("d", 10_000), 32 + 10_240 + PLACE);
    }
}
