//! Lines for the system log.
//!
//! *Duty:* `openlog` and `syslog` with an identity and a facility, at the four levels a Redis log line has.
//! *Does not know:* the log file; `log` sends it the same text without prefix (syslog adds its own).
//! *Invariants:* only the main thread calls it, so glibc's lock is free in a forked child; the crash report asks
//! [`busy`] first, because the crash may have happened inside.
//! *Counterpart in C Redis:* the `syslog` calls of `serverLogRaw`.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

static OPEN: AtomicBool = AtomicBool::new(false);
static BUSY: AtomicBool = AtomicBool::new(false);

/// The facilities that `syslog-facility` accepts.
const FACILITIES: [(&str, libc::c_int); 9] = [
    ("user", libc::LOG_USER),
    ("local0", libc::LOG_LOCAL0),
    ("local1", libc::LOG_LOCAL1),
    ("local2", libc::LOG_LOCAL2),
    ("local3", libc::LOG_LOCAL3),
    ("local4", libc::LOG_LOCAL4),
    ("local5", libc::LOG_LOCAL5),
    ("local6", libc::LOG_LOCAL6),
    ("local7", libc::LOG_LOCAL7),
];

/// The number of a facility's name, in any case of letters.
pub fn facility(name: &str) -> Option<libc::c_int> {
    FACILITIES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, number)| number)
}

/// Opens the connection to the system log; from now on [`write()`] sends.
pub fn open(ident: &str, facility: libc::c_int) {
    // The C library keeps the pointer for as long as the log is open, that is until exit; the few bytes are given up.
    let ident = CString::new(ident.replace('\0', "")).unwrap_or_default().into_raw();
    // SAFETY: `ident` is a C string that is never freed.
    unsafe { libc::openlog(ident, libc::LOG_PID | libc::LOG_NDELAY | libc::LOG_NOWAIT, facility) };
    OPEN.store(true, Relaxed);
}

pub fn is_open() -> bool {
    OPEN.load(Relaxed)
}

/// Whether a line is being sent at this moment; true in a signal handler means: stay away.
pub fn busy() -> bool {
    BUSY.load(Relaxed)
}

/// Sends one line, unless [`open`] was never called.
pub fn write(priority: libc::c_int, text: &str) {
    if !is_open() {
        return;
    }
    BUSY.store(true, Relaxed);
    let len = libc::c_int::try_from(text.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the format prints `len` bytes of `text` and stops earlier at a zero byte; it takes no other argument.
    unsafe { libc::syslog(priority, c"%.*s".as_ptr(), len, text.as_ptr()) };
    BUSY.store(false, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facility_names_are_those_of_the_directive() {
        assert_eq!(facility("local0"), Some(libc::LOG_LOCAL0));
        assert_eq!(facility("LOCAL7"), Some(libc::LOG_LOCAL7));
        assert_eq!(facility("user"), Some(libc::LOG_USER));
        assert_eq!(facility("daemon"), None);
    }

    #[test]
    fn nothing_is_sent_before_open() {
        // In this process nobody opens it; a line then goes nowhere and leaves no trace of being sent.
        write(libc::LOG_NOTICE, "never seen");
        assert!(!is_open() && !busy());
    }
}
