//! LATENCY GRAPH and LATENCY DOCTOR: samples for people.
//!
//! *Duty:* a graph of characters in the shape that 7.0.15 draws; a report of what was seen and what may be done about
//! it, in our own words and for this server: advice that could not help here is not given.
//! *Counterpart in C Redis:* `latencyCommandGenSparkeline`, `sparkline.c`, `createLatencyReport`.

use std::fmt::Write;

use super::latency::{self, Latency, Series};
use crate::config::Config;

/// Samples beside each other, before the graph goes on below.
const COLUMNS: usize = 80;
const ROWS: u64 = 4;
/// How full a row is, bottom to top; a full one is a bar.
const LEVELS: [char; 3] = ['_', 'o', '#'];
const BAR: char = '|';

pub fn graph(event: &str, series: &Series, now_s: i64) -> String {
    let figures = series.figures(now_s);
    let mut out = format!(
        "{event} - high {} ms, low {} ms (all time high {} ms)\n{}\n",
        figures.max_ms,
        figures.min_ms,
        series.max_ms,
        "-".repeat(COLUMNS)
    );
    let steps = ROWS * LEVELS.len() as u64;
    let range = (figures.max_ms - figures.min_ms).max(1);
    let heights = series.samples().map(|s| ((s.ms - figures.min_ms) * steps / range).min(steps - 1));
    let heights: Vec<u64> = heights.collect();
    let labels: Vec<String> = series.samples().map(|s| age(now_s - s.unix_s)).collect();
    for (i, (heights, labels)) in heights.chunks(COLUMNS).zip(labels.chunks(COLUMNS)).enumerate() {
        if i > 0 {
            out.push('\n');
        }
        bars(heights, &mut out);
        legend(labels, &mut out);
    }
    out
}

fn bars(heights: &[u64], out: &mut String) {
    for floor in (0..ROWS).rev().map(|row| row * LEVELS.len() as u64) {
        out.extend(heights.iter().map(|height| match height.checked_sub(floor) {
            None => ' ',
            Some(level) => LEVELS.get(level as usize).copied().unwrap_or(BAR),
        }));
        out.push('\n');
    }
}

/// Each label stands upright under its bar.
fn legend(labels: &[String], out: &mut String) {
    out.extend(labels.iter().map(|_| ' '));
    out.push('\n');
    for line in 0..labels.iter().map(String::len).max().unwrap_or(0) {
        out.extend(labels.iter().map(|label| label.as_bytes().get(line).map_or(' ', |&b| b as char)));
        out.push('\n');
    }
}

fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// What may be done about a kind of event: the kinds, whether it applies to this configuration, the text.
struct Advice {
    events: &'static [&'static str],
    applies: fn(&Config) -> bool,
    text: &'static str,
}

const fn advice(events: &'static [&'static str], text: &'static str) -> Advice {
    Advice { events, applies: |_| true, text }
}

const ADVICE: &[Advice] = &[
    Advice {
        applies: |config| config.slowlog_log_slower_than < 0,
        ..advice(
            &[latency::COMMAND],
            "The slow log is off, so nothing tells which commands these were. Turn it on with CONFIG SET \
             slowlog-log-slower-than and the threshold in microseconds.",
        )
    },
    Advice {
        applies: |config| config.slowlog_log_slower_than / 1000 > config.latency_monitor_threshold as i64,
        ..advice(
            &[latency::COMMAND],
            "Some of these commands are too fast for the slow log as it is set: lower slowlog-log-slower-than to the \
             latency-monitor-threshold.",
        )
    },
    advice(&[latency::COMMAND], "SLOWLOG GET shows which commands took long, with their arguments and clients."),
    advice(
        &[latency::COMMAND],
        "Commands that walk large collections or all keys (KEYS, SORT, SMEMBERS, LRANGE 0 -1 and the like) take time \
         in proportion to what they walk: ask for less at a time, or use the SCAN family.",
    ),
    advice(
        &[latency::FAST_COMMAND],
        "Commands that do next to nothing took long, so the process did not get the processor. See what else runs on \
         this machine, or on the host if it is virtual; `redis-cli --intrinsic-latency 100` measures how long a \
         process is kept waiting here.",
    ),
    advice(
        &[latency::FORK],
        "A fork copies the page table, which takes time in proportion to the memory in use, and longer on some kinds \
         of virtual machines. Fewer snapshots (see `save`) or smaller instances help.",
    ),
    advice(
        &[latency::RDB_UNLINK_TEMP_FILE, "aof-fstat", "aof-rename", "aof-write", "aof-write-pending-fsync"],
        "The disk is busy or far away. Keep the data files on a local disk that other programs do not use much.",
    ),
    Advice {
        applies: |config| !config.no_appendfsync_on_rewrite,
        ..advice(
            &["aof-write-active-child"],
            "The append only file is flushed while a child writes another file. If some seconds of writes may be lost \
             in a crash, no-appendfsync-on-rewrite avoids that.",
        )
    },
    advice(
        &["aof-fsync-always"],
        "Every write waits for the disk because of `appendfsync always`. `everysec` does not.",
    ),
    advice(
        &["eviction-cycle", "eviction-del"],
        "Keys had to be evicted in great numbers. That follows a lowered maxmemory, or large values that arrive at \
         once; some room below the limit helps.",
    ),
];

/// The report. `huge_pages`: bytes of the process that lie in transparent huge pages.
pub fn doctor(latency: &Latency, config: &Config, huge_pages: u64, now_s: i64) -> String {
    if latency.is_empty() && config.latency_monitor_threshold == 0 {
        return "Latency monitoring is off, so there is nothing to report. CONFIG SET latency-monitor-threshold \
                <milliseconds> turns it on.\n"
            .to_owned();
    }
    let mut advice: Vec<&str> = ADVICE
        .iter()
        .filter(|advice| (advice.applies)(config) && latency.iter().any(|(event, _)| advice.events.contains(&event)))
        .map(|advice| advice.text)
        .collect();
    if huge_pages > 0 {
        advice.push(
            "Memory of this process lies in transparent huge pages. They make forks and the copying of pages that \
             follows slow. Turn them off (echo never > /sys/kernel/mm/transparent_hugepage/enabled) and start the \
             server anew.",
        );
    }
    let mut out = String::new();
    if latency.is_empty() {
        out.push_str("Nothing took as long as the threshold since the monitoring began.\n");
    } else {
        out.push_str("These events took as long as the threshold or longer:\n\n");
    }
    for (number, (event, series)) in latency.iter().enumerate() {
        let figures = series.figures(now_s);
        let period = figures.span_s as f64 / figures.count as f64;
        writeln!(
            out,
            "{}. {event}: {} latency spikes (average {}ms, mean deviation {}ms, period {period:.2} sec). Worst all \
             time event {}ms.",
            number + 1,
            figures.count,
            figures.average_ms,
            figures.deviation_ms,
            series.max_ms
        )
        .expect("a String takes all");
    }
    if !advice.is_empty() {
        out.push_str("\nWhat may help:\n\n");
        advice.iter().for_each(|text| writeln!(out, "- {text}").expect("a String takes all"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Latency {
        let mut latency = Latency::default();
        for (second, ms) in [(10, 5), (11, 30), (12, 2), (13, 17), (15, 60), (16, 11)] {
            latency.add("command", ms, second);
        }
        latency
    }

    /// As 7.0.15 drew it for the same samples.
    #[test]
    fn a_graph_has_a_bar_and_an_age_for_each_sample() {
        let latency = command();
        let text = graph("command", latency.get(b"command").unwrap().1, 17);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "command - high 60 ms, low 2 ms (all time high 60 ms)");
        assert_eq!(lines[1], "-".repeat(80));
        assert_eq!(lines[2..], ["    # ", "    | ", " # _| ", "_|_||o", "      ", "765421", "ssssss"]);
    }

    #[test]
    fn more_samples_than_columns_go_on_below() {
        let mut latency = Latency::default();
        (0..81).for_each(|second| latency.add("fork", 7, second));
        let text = graph("fork", latency.get(b"fork").unwrap().1, 100);
        let widths: Vec<usize> = text.lines().skip(2).map(str::len).collect();
        assert_eq!(widths, [80, 80, 80, 80, 80, 80, 80, 80, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn the_doctor_says_what_was_seen_and_what_helps_here() {
        let mut config = Config::default();
        assert!(doctor(&Latency::default(), &config, 0, 1).contains("monitoring is off"));
        config.latency_monitor_threshold = 1;
        assert!(doctor(&Latency::default(), &config, 0, 1).starts_with("Nothing took"));
        let report = doctor(&command(), &config, 0, 17);
        assert!(report.contains("1. command: 6 latency spikes (average 20ms, mean deviation 15ms, period 1.17 sec)."));
        assert!(report.contains("lower slowlog-log-slower-than") && !report.contains("huge pages"));
        config.slowlog_log_slower_than = 0;
        let report = doctor(&command(), &config, 4096, 17);
        assert!(!report.contains("lower slowlog-log-slower-than") && report.contains("huge pages"));
    }
}
