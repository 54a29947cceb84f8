//! A path that a signal handler can unlink.
//!
//! *Duty:* keeps one path in a fixed static place, as the zero-terminated bytes that unlink(2) takes.
//! *Does not know:* what the file is: the temporary file of a foreground save, or the pid file.
//! *Invariants:* written by the main thread only; the first byte is stored last and cleared first, so a handler that
//! interrupts a change finds no path rather than half of one.
//! *Counterpart in C Redis:* `rdbRemoveTempFile(pid, from_signal)`, which formats the name inside the handler.

#![allow(unsafe_code)]

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering::Release, compiler_fence};

const CAPACITY: usize = 4096;

pub struct PathSlot([AtomicU8; CAPACITY]);

impl PathSlot {
    pub const fn empty() -> PathSlot {
        PathSlot([const { AtomicU8::new(0) }; CAPACITY])
    }

    /// Takes a path; one that is too long for the kernel or relative to a folder that may change is the caller's
    /// mistake and simply will not be found. Too long for the slot: nothing is kept.
    pub fn set(&self, path: &Path) {
        self.clear();
        let bytes = path.as_os_str().as_bytes();
        if bytes.is_empty() || bytes.len() >= CAPACITY {
            return;
        }
        compiler_fence(Release);
        for (place, byte) in self.0.iter().zip(bytes.iter().chain(&[0])).skip(1) {
            place.store(*byte, Release);
        }
        compiler_fence(Release);
        self.0[0].store(bytes[0], Release);
    }

    pub fn clear(&self) {
        self.0[0].store(0, Release);
    }

    /// Unlinks the file, if a path is set. Async-signal-safe. Answers whether a file went.
    pub fn unlink(&self) -> bool {
        // SAFETY: the bytes are zero-terminated: by `set`, or by the zeros they started as.
        !self.is_empty() && unsafe { libc::unlink(self.0.as_ptr().cast()) } == 0
    }

    fn is_empty(&self) -> bool {
        self.0[0].load(std::sync::atomic::Ordering::Acquire) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_path_set_is_unlinked() {
        let base = std::env::temp_dir().join(format!("redstart-slot-{}", std::process::id()));
        let (long, short) = (base.with_extension("much-longer"), base.with_extension("s"));
        std::fs::write(&long, "").unwrap();
        std::fs::write(&short, "").unwrap();
        let slot = PathSlot::empty();
        assert!(!slot.unlink());
        slot.set(&long);
        slot.set(&short);
        assert!(slot.unlink());
        assert!(long.exists() && !short.exists());
        slot.set(&long);
        slot.clear();
        assert!(!slot.unlink());
        std::fs::remove_file(&long).unwrap();
    }

    #[test]
    fn a_path_that_does_not_fit_is_not_kept() {
        let slot = PathSlot::empty();
        slot.set(Path::new(&"x".repeat(CAPACITY)));
        assert!(slot.is_empty());
    }
}
