//! The process title, as `ps` and `/proc/PID/cmdline` show it.
//!
//! *Duty:* writes a text over the place where the kernel put the arguments and the environment.
//! *Does not know:* proc-title-template; the text comes ready made.
//! *Invariants:* [`init`] runs first in `main`, alone: it moves the environment to the heap, because its old place is
//! about to be overwritten. After [`set`], `std::env::args` reads the title instead of the arguments, so they must
//! have been copied before.
//! *Counterpart in C Redis:* `setproctitle.c`.

#![allow(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// The bytes from the first argument to the end of the environment.
struct Area {
    start: usize,
    len: usize,
}

impl Area {
    /// The arguments stand here. Under an emulator (valgrind) the kernel tells where the emulator's own stand, and
    /// those are nothing that we may write over.
    fn holds(&self, args: &[OsString]) -> bool {
        let mut expected: Vec<u8> = Vec::new();
        for arg in args {
            expected.extend_from_slice(arg.as_bytes());
            expected.push(0);
        }
        // SAFETY: the kernel says that the area is mapped and holds this process' arguments; nobody writes it now.
        let shown = unsafe { std::slice::from_raw_parts(self.start as *const u8, self.len) };
        shown.starts_with(&expected)
    }
}

static AREA: OnceLock<Area> = OnceLock::new();

/// Finds the place, moves the environment out of it, and answers a copy of the arguments. Call it first of all.
pub fn init() -> Vec<OsString> {
    let args: Vec<OsString> = std::env::args_os().collect();
    if let (None, Some(area)) = (AREA.get(), find().filter(|area| area.holds(&args))) {
        move_environment();
        // The place was empty a line ago and there is one thread.
        let _ = AREA.set(area);
    }
    args
}

/// Shows a title; what does not fit is cut off. False when [`init`] was not called or found no place.
pub fn set(title: &str) -> bool {
    let Some(area) = AREA.get() else { return false };
    // SAFETY: the area is this process' own stack memory above `main`, valid and writable for its whole life, found
    // by `find`; nothing refers to it since `init` moved the environment. Other threads do not write it; atomics make
    // it irrelevant whether the kernel, or `std::env::args`, reads it meanwhile.
    let place = unsafe { std::slice::from_raw_parts(area.start as *const AtomicU8, area.len) };
    let text = title.bytes().take(area.len - 1).chain(std::iter::repeat(0));
    for (place, byte) in place.iter().zip(text) {
        place.store(byte, Relaxed);
    }
    true
}

/// Fields 48 to 51 of /proc/self/stat: where arguments and environment begin and end.
fn find() -> Option<Area> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may contain anything; field 3 follows it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<usize>().ok();
    let (arg_start, arg_end, env_start, env_end) = (field(48)?, field(49)?, field(50)?, field(51)?);
    let end = if env_start == arg_end { env_end } else { arg_end };
    (arg_start != 0 && end > arg_start + 1).then_some(Area { start: arg_start, len: end - arg_start })
}

fn move_environment() {
    let variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    // SAFETY: called first in `main`, so no other thread reads the environment. clearenv forgets the old strings;
    // set_var stores copies.
    unsafe {
        libc::clearenv();
        for (name, value) in variables {
            std::env::set_var(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fork::tests::in_child;

    fn cmdline() -> String {
        let bytes = std::fs::read("/proc/self/cmdline").unwrap();
        String::from_utf8(bytes).unwrap().trim_end_matches('\0').to_string()
    }

    #[test]
    fn the_title_is_shown_and_the_environment_survives() {
        let code = in_child(|| {
            let environment: Vec<_> = std::env::vars_os().collect();
            assert!(!set("too early"));
            let args = init();
            assert!(!args.is_empty());
            assert!(set("redis-server 127.0.0.1:6379 [cluster]"));
            assert_eq!(cmdline(), "redis-server 127.0.0.1:6379 [cluster]");
            assert!(set("redis-server *:0"));
            assert_eq!(cmdline(), "redis-server *:0");
            let kept: Vec<_> = std::env::vars_os().collect();
            i32::from(kept.len() != environment.len() || !environment.iter().all(|pair| kept.contains(pair)))
        });
        assert_eq!(code, 0);
    }

    #[test]
    fn a_title_that_is_too_long_is_cut() {
        let code = in_child(|| {
            init();
            set(&"x".repeat(1 << 20));
            let shown = cmdline();
            i32::from(!(shown.len() > 10 && shown.bytes().all(|byte| byte == b'x')))
        });
        assert_eq!(code, 0);
    }
}
