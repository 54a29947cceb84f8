//! The log: Redis' line format, to standard output or a file, and to syslog.
//!
//! *Duty:* the macros of the `log` crate, by way of env_logger, become `pid:R DD Mon YYYY HH:MM:SS.mmm L text`. The
//! same line can be written by [`log_raw`], which takes no lock and allocates nothing: for forked children and for
//! the crash report. Optional rotation by size.
//! *Does not know:* directives; the server maps loglevel, logfile and syslog-* to [`LogOptions`].
//! *Invariants:* a line is one write(2) (of several parts), so lines of parent and child never mix; the file is opened
//! for each line, so anyone may rename it at any time; settings are replaced whole by one pointer store and never
//! freed, so a signal handler always finds valid ones.
//! *Counterpart in C Redis:* `serverLogRaw`, `serverLogFromHandler`.

#![allow(unsafe_code)]

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU8, Ordering::Relaxed};

use crate::sys::stack_text::StackText;
use crate::sys::{clock, syslog};

/// `loglevel`, from the most talkative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// `log::trace!`, shown as `.`
    Debug,
    /// `log::debug!`, shown as `-`
    Verbose,
    /// `log::info!`, shown as `*`
    Notice,
    /// `log::warn!` and `log::error!`, shown as `#`
    Warning,
    /// No lines at all.
    Nothing,
}

/// Who speaks: the letter after the process id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    Master = b'M',
    Replica = b'S',
    Child = b'C',
    Sentinel = b'X',
}

#[derive(Clone, Debug)]
pub struct SyslogOptions {
    pub ident: String,
    /// As `syslog-facility` has it: `local0`, `user`, ...
    pub facility: String,
}

#[derive(Clone, Debug)]
pub struct LogOptions {
    pub level: Level,
    /// None: standard output.
    pub file: Option<PathBuf>,
    pub syslog: Option<SyslogOptions>,
    /// The file is renamed to `<file>.1` before it would grow beyond this; 0: never.
    pub max_size: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions { level: Level::Notice, file: None, syslog: None, max_size: 0 }
    }
}

struct Settings {
    file: Option<PathBuf>,
    rotated: PathBuf,
    max_size: u64,
}

static SETTINGS: AtomicPtr<Settings> = AtomicPtr::new(std::ptr::null_mut());
static LEVEL: AtomicU8 = AtomicU8::new(Level::Notice as u8);
static ROLE: AtomicU8 = AtomicU8::new(Role::Master as u8);
/// Seconds east of UTC, and the minute for which that was asked.
static UTC_OFFSET: AtomicI64 = AtomicI64::new(0);
static OFFSET_MINUTE: AtomicI64 = AtomicI64::new(i64::MIN);

/// Starts logging, or changes where it goes. Fails when the file cannot be opened or the facility is unknown; then
/// the former settings stay.
pub fn init(options: LogOptions) -> io::Result<()> {
    let facility = match &options.syslog {
        Some(wanted) => Some((&wanted.ident, known_facility(&wanted.facility)?)),
        None => None,
    };
    if let Some(path) = &options.file {
        open_append(path)?;
    }
    if let Some((ident, facility)) = facility {
        syslog::open(ident, facility);
    }
    let mut rotated = options.file.clone().unwrap_or_default().into_os_string();
    rotated.push(".1");
    let settings = Settings { file: options.file, rotated: rotated.into(), max_size: options.max_size };
    // Former settings are not freed: a line may be under way with them. There are a few in the life of a process.
    SETTINGS.store(Box::into_raw(Box::new(settings)), Relaxed);
    local_offset(clock::wall_us() / 1_000_000);

    let own_crate = env!("CARGO_CRATE_NAME");
    let installed = env_logger::Builder::new()
        .filter_level(log::LevelFilter::Warn)
        .filter_module(own_crate, log::LevelFilter::Trace)
        .format(|line, record| {
            let level = Level::from(record.level());
            to_syslog(level, record.args());
            writeln!(line, "{}{}", prefix(level, Offset::Ask).as_str(), record.args())
        })
        .write_style(env_logger::WriteStyle::Never)
        .target(env_logger::Target::Pipe(Box::new(Sink)))
        .try_init();
    // The error says that there is a logger already: ours, from an earlier call, which reads the new settings.
    drop(installed);
    set_level(options.level);
    Ok(())
}

fn known_facility(name: &str) -> io::Result<libc::c_int> {
    syslog::facility(name)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("unknown syslog facility '{name}'")))
}

/// Changes the level at run time.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Relaxed);
    log::set_max_level(match level {
        Level::Debug => log::LevelFilter::Trace,
        Level::Verbose => log::LevelFilter::Debug,
        Level::Notice => log::LevelFilter::Info,
        Level::Warning => log::LevelFilter::Warn,
        Level::Nothing => log::LevelFilter::Off,
    });
}

/// Sets the letter that tells who speaks.
pub fn set_role(role: Role) {
    ROLE.store(role as u8, Relaxed);
}

/// Writes one line without a lock, an allocation or a call that is not async-signal-safe (but for syslog, if open).
pub fn log_raw(level: Level, text: &str) {
    if (level as u8) < LEVEL.load(Relaxed) || level == Level::Nothing {
        return;
    }
    let prefix = prefix(level, Offset::AsKnown);
    write_parts(&mut [IoSlice::new(prefix.as_str().as_bytes()), IoSlice::new(text.as_bytes()), IoSlice::new(b"\n")]);
    if !syslog::busy() {
        syslog::write(priority(level), text);
    }
}

/// Writes text as it is, without prefix or line end, at level warning: the body of the crash report.
pub fn log_text(text: &str) {
    if LEVEL.load(Relaxed) > Level::Warning as u8 {
        return;
    }
    write_parts(&mut [IoSlice::new(text.as_bytes())]);
    if !syslog::busy() {
        syslog::write(libc::LOG_WARNING, text);
    }
}

impl From<log::Level> for Level {
    fn from(level: log::Level) -> Level {
        match level {
            log::Level::Trace => Level::Debug,
            log::Level::Debug => Level::Verbose,
            log::Level::Info => Level::Notice,
            log::Level::Warn | log::Level::Error => Level::Warning,
        }
    }
}

impl Level {
    fn mark(self) -> char {
        match self {
            Level::Debug => '.',
            Level::Verbose => '-',
            Level::Notice => '*',
            Level::Warning | Level::Nothing => '#',
        }
    }
}

fn priority(level: Level) -> libc::c_int {
    match level {
        Level::Debug => libc::LOG_DEBUG,
        Level::Verbose => libc::LOG_INFO,
        Level::Notice => libc::LOG_NOTICE,
        Level::Warning | Level::Nothing => libc::LOG_WARNING,
    }
}

fn to_syslog(level: Level, text: &fmt::Arguments<'_>) {
    if syslog::is_open() {
        syslog::write(priority(level), text.as_str().unwrap_or(&text.to_string()));
    }
}

/// Where env_logger writes to. It hands over each line whole.
struct Sink;

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        write_parts(&mut [IoSlice::new(line)]);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes to the file or to standard output. A log that cannot be written is nothing a server should fail of.
fn write_parts(mut parts: &mut [IoSlice<'_>]) {
    let Some(mut file) = open_current(parts.iter().map(|part| part.len() as u64).sum()) else {
        return;
    };
    while !parts.is_empty() {
        match file.write_vectored(parts) {
            Ok(0) => return,
            Ok(written) => IoSlice::advance_slices(&mut parts, written),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// A file that closes itself, or standard output, which stays open.
enum Output {
    File(File),
    Stdout(ManuallyDrop<File>),
}

impl Output {
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Output::File(file) => file.write_vectored(parts),
            Output::Stdout(file) => file.write_vectored(parts),
        }
    }
}

fn open_current(adding: u64) -> Option<Output> {
    // SAFETY: the pointer is null or came from Box::into_raw in `init`, and is never freed or written through.
    let settings = unsafe { SETTINGS.load(Relaxed).as_ref() };
    let Some((settings, path)) = settings.and_then(|s| Some((s, s.file.as_ref()?))) else {
        // SAFETY: descriptor 1 belongs to the process from start to end; ManuallyDrop keeps it open.
        return Some(Output::Stdout(ManuallyDrop::new(unsafe { File::from_raw_fd(1) })));
    };
    let file = open_append(path).ok()?;
    // A child leaves rotation to its parent, so that not both rename.
    if settings.max_size > 0 && ROLE.load(Relaxed) != Role::Child as u8 {
        let size = file.metadata().map_or(0, |meta| meta.len());
        if size > 0 && size + adding > settings.max_size && std::fs::rename(path, &settings.rotated).is_ok() {
            return open_append(path).ok().map(Output::File);
        }
    }
    Some(Output::File(file))
}

fn open_append(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o644).open(path)
}

/// Whether the time zone may be asked again (which takes glibc's lock) or the last answer must do.
#[derive(Clone, Copy, PartialEq)]
enum Offset {
    Ask,
    AsKnown,
}

/// `pid:R DD Mon YYYY HH:MM:SS.mmm L `; the longest possible one has 49 bytes.
type Prefix = StackText<64>;

fn prefix(level: Level, offset: Offset) -> Prefix {
    let us = clock::wall_us();
    let secs = us.div_euclid(1_000_000);
    let offset = if offset == Offset::Ask { local_offset(secs) } else { UTC_OFFSET.load(Relaxed) };
    let (pid, role, date) = (std::process::id(), ROLE.load(Relaxed) as char, Date::of(secs + offset));
    let (ms, mark) = (us.rem_euclid(1_000_000) / 1000, level.mark());
    Prefix::of(format_args!("{pid}:{role} {date}.{ms:03} {mark} "))
}

/// Seconds east of UTC at a time; asks the C library at most once a minute, which is how often zones can change.
fn local_offset(secs: i64) -> i64 {
    let minute = secs.div_euclid(60);
    if OFFSET_MINUTE.swap(minute, Relaxed) != minute {
        let mut tm = std::mem::MaybeUninit::<libc::tm>::zeroed();
        // SAFETY: both pointers are valid; all-zero is a valid `tm`, should the call fail.
        let tm = unsafe {
            libc::localtime_r(&secs, tm.as_mut_ptr());
            tm.assume_init()
        };
        UTC_OFFSET.store(tm.tm_gmtoff, Relaxed);
    }
    UTC_OFFSET.load(Relaxed)
}

/// A time of day and a day of the Gregorian calendar.
struct Date {
    year: i64,
    month: usize,
    day: i64,
    second: i64,
}

impl Date {
    /// Splits seconds since 1970. Counts days from 1 March of the year 0, so that the leap day is a year's last: then
    /// 400 years always have 146,097 days, and the months' lengths 31 30 31 30 31 repeat in groups of 153 days.
    fn of(secs: i64) -> Date {
        const DAYS_TO_1970: i64 = 719_468;
        let days = secs.div_euclid(86_400) + DAYS_TO_1970;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = (month_from_march + 2) % 12;
        Date {
            year: era * 400 + year_of_era + i64::from(month < 2),
            month: month as usize,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            second: secs.rem_euclid(86_400),
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (h, m, s) = (self.second / 3600, self.second / 60 % 60, self.second % 60);
        write!(f, "{:02} {} {} {h:02}:{m:02}:{s:02}", self.day, MONTHS[self.month], self.year)
    }
}

#[cfg(test)]
#[path = "log/tests.rs"]
mod tests;
