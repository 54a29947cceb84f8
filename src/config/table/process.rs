//! Directives of the process: daemon, log, title, signals, the kernel's view of it.
//!
//! *Duty:* the rows of the parameters that startup, the logger, the signal handlers and the cron read.
//! *Does not know:* how words are read and printed (`directive`, `special`), and what a change entails.
//! *Invariants:* the bounds lie within the field's type; flags are those of 7.0.15 (`table/tests.rs`).
//! *Counterpart in C Redis:* the same rows of `static_configs[]`; `config-obsolete` and `logfile-max-size` are ours.

use super::{checks, special};
use crate::config::directive::{Directive, Flags, Kind};
use crate::config::number::Form;
use crate::config::values::Choice;

pub(super) const ROWS: &[Directive] = &[
    yes_no!("daemonize", daemonize).immutable(),
    choice!("supervised", supervised).immutable(),
    text!("pidfile", pidfile).immutable(),
    choice!("loglevel", loglevel),
    text!("logfile", logfile).immutable(),
    number!("logfile-max-size", logfile_max_size, 0, u64::MAX, Form::Memory),
    yes_no!("syslog-enabled", syslog_enabled).immutable(),
    text!("syslog-ident", syslog_ident).immutable(),
    choice!("syslog-facility", syslog_facility).immutable(),
    yes_no!("crash-log-enabled", crash_log_enabled),
    yes_no!("crash-memcheck-enabled", crash_memcheck_enabled),
    yes_no!("use-exit-on-panic", use_exit_on_panic).flags(Flags::HIDDEN),
    number!("databases", databases, 1, i32::MAX).immutable(),
    yes_no!("always-show-logo", always_show_logo).immutable(),
    yes_no!("set-proc-title", set_proc_title).immutable(),
    text!("proc-title-template", proc_title_template).check(checks::proc_title_template),
    text!("ignore-warnings", ignore_warnings),
    special::HZ,
    yes_no!("dynamic-hz", dynamic_hz),
    yes_no!("activerehashing", activerehashing),
    number!("watchdog-period", watchdog_period, 0, i32::MAX).flags(Flags::HIDDEN),
    number!("shutdown-timeout", shutdown_timeout, 0, i32::MAX),
    special::SHUTDOWN_ON_SIGINT,
    special::SHUTDOWN_ON_SIGTERM,
    choice!("oom-score-adj", oom_score_adj),
    special::OOM_SCORE_ADJ_VALUES,
    yes_no!("disable-thp", disable_thp).immutable(),
    yes_no!("jemalloc-bg-thread", jemalloc_bg_thread),
    text!("server_cpulist", server_cpulist).immutable(),
    text!("bio_cpulist", bio_cpulist).immutable(),
    text!("aof_rewrite_cpulist", aof_rewrite_cpulist).immutable(),
    text!("bgsave_cpulist", bgsave_cpulist).immutable(),
    choice!("config-obsolete", config_obsolete),
];
