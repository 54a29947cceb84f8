//! Signals: handlers that note what came, and a descriptor that wakes the event loop.
//!
//! *Duty:* SIGTERM and SIGINT ask for an orderly end, SIGCHLD tells of a child, SIGHUP and SIGPIPE are ignored. A
//! second SIGINT while the server is stopping ends it there and then, with status 1.
//! *Does not know:* what an orderly end is; the loop polls [`wake_fd`] and asks [`take_pending`].
//! *Invariants:* a handler stores atomics, writes to an eventfd and, at most, unlinks a file and leaves: nothing that
//! takes a lock; errno is as it was. A forked child dies of SIGTERM and SIGUSR1 and ignores SIGINT, which a terminal
//! sends to the whole group.
//! *Counterpart in C Redis:* `setupSignalHandlers`, `sigShutdownHandler`, `setupChildSignalHandlers`.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, IntoRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::sys::fork::exit_now;
use crate::sys::path_slot::PathSlot;

static TERMINATE: AtomicI32 = AtomicI32::new(0);
static CHILD: AtomicBool = AtomicBool::new(false);
static STOPPING: AtomicBool = AtomicBool::new(false);
static WAKE_FD: AtomicI32 = AtomicI32::new(-1);
static TEMP_FILE: PathSlot = PathSlot::empty();

/// What has come since the last question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// SIGTERM or SIGINT, the first that came.
    pub terminate: Option<Signal>,
    /// A child has ended: ask [`crate::sys::fork::wait_nohang`].
    pub child: bool,
}

/// Installs the handlers. Once, before the first fork.
pub fn install() -> io::Result<()> {
    if WAKE_FD.load(SeqCst) < 0 {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        // The descriptor lives as long as the process: a handler may write to it at any time.
        WAKE_FD.store(OwnedFd::from(wake).into_raw_fd(), SeqCst);
    }
    let handler = SigHandler::Handler(note);
    set(&[Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD], handler, SaFlags::SA_RESTART | SaFlags::SA_NOCLDSTOP)?;
    set(&[Signal::SIGHUP, Signal::SIGPIPE], SigHandler::SigIgn, SaFlags::empty())
}

fn set(signals: &[Signal], handler: SigHandler, flags: SaFlags) -> io::Result<()> {
    let action = SigAction::new(handler, flags, SigSet::empty());
    for &signal in signals {
        // SAFETY: `note` does async-signal-safe things only; ignoring and defaults need no code at all.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

/// The descriptor that becomes readable when a signal has come. None before [`install`].
pub fn wake_fd() -> Option<BorrowedFd<'static>> {
    let fd = WAKE_FD.load(SeqCst);
    // SAFETY: once stored, the descriptor is never closed.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Makes the descriptor readable; from a handler or from any thread.
pub fn wake() {
    let one = 1u64.to_ne_bytes();
    // SAFETY: eight bytes are what an eventfd takes. A full counter or a missing descriptor is an error nobody needs.
    unsafe { libc::write(WAKE_FD.load(SeqCst), one.as_ptr().cast(), one.len()) };
}

/// What has come; the descriptor is emptied, so that it wakes again.
pub fn take_pending() -> Pending {
    let mut count = [0u8; 8];
    // Emptied first: what comes in between is reported now and wakes once more for nothing.
    // SAFETY: the buffer has the eight bytes that an eventfd gives.
    unsafe { libc::read(WAKE_FD.load(SeqCst), count.as_mut_ptr().cast(), count.len()) };
    let terminate = match TERMINATE.swap(0, SeqCst) {
        0 => None,
        number => Signal::try_from(number).ok(),
    };
    Pending { terminate, child: CHILD.swap(false, SeqCst) }
}

/// Tells whether the server is stopping. The first SIGTERM or SIGINT sets it by itself; the SHUTDOWN command should
/// set it, and a shutdown that was called off should clear it.
pub fn set_stopping(stopping: bool) {
    STOPPING.store(stopping, SeqCst);
}

/// The file that must not stay behind if the process ends in the middle of a foreground save.
pub fn set_temp_file(path: Option<&Path>) {
    match path {
        Some(path) => TEMP_FILE.set(path),
        None => TEMP_FILE.clear(),
    }
}

/// What a child needs: nothing of this file but that it can be told to go.
pub fn reset_in_child() {
    let defaults = [Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGCHLD];
    // sigaction fails for wrong numbers only.
    let _ = set(&defaults, SigHandler::SigDfl, SaFlags::empty());
    let _ = set(&[Signal::SIGINT], SigHandler::SigIgn, SaFlags::empty());
    TEMP_FILE.clear();
}

extern "C" fn note(signal: libc::c_int) {
    // SAFETY: the address of this thread's errno is always valid.
    let errno = unsafe { *libc::__errno_location() };
    if signal == libc::SIGCHLD {
        CHILD.store(true, SeqCst);
    } else if STOPPING.swap(true, SeqCst) && signal == libc::SIGINT {
        TEMP_FILE.unlink();
        exit_now(1);
    } else {
        // The first one counts, until it was asked for.
        let _ = TERMINATE.compare_exchange(0, signal, SeqCst, SeqCst);
    }
    wake();
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fork::tests::in_child;
    use crate::sys::fork::{ExitStatus, fork_child, wait, wait_nohang};
    use nix::sys::signal::{kill, raise};

    /// Signals belong to the process, so each test has its own.
    fn alone(test: impl FnOnce()) {
        let code = in_child(|| {
            install().unwrap();
            test();
            0
        });
        assert_eq!(code, 0);
    }

    fn readable() -> bool {
        let fd = std::os::fd::AsRawFd::as_raw_fd(&wake_fd().unwrap());
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid entry.
        unsafe { libc::poll(&mut poll, 1, 0) == 1 }
    }

    #[test]
    fn a_signal_is_noted_once_and_wakes_the_loop() {
        alone(|| {
            assert!(!readable());
            assert_eq!(take_pending(), Pending::default());
            raise(Signal::SIGTERM).unwrap();
            assert!(readable());
            assert_eq!(take_pending(), Pending { terminate: Some(Signal::SIGTERM), child: false });
            assert!(!readable());
            assert_eq!(take_pending(), Pending::default());
        });
    }

    #[test]
    fn hangup_and_broken_pipes_are_ignored() {
        alone(|| {
            raise(Signal::SIGHUP).unwrap();
            raise(Signal::SIGPIPE).unwrap();
            assert!(!readable());
        });
    }

    #[test]
    fn the_end_of_a_child_is_noted() {
        alone(|| {
            let pid = fork_child(|| 3).unwrap();
            while !readable() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            assert!(take_pending().child);
            assert_eq!(wait_nohang(pid), Some(ExitStatus::Code(3)));
        });
    }

    #[test]
    fn a_second_interrupt_ends_at_once_and_removes_the_temp_file() {
        let path = std::env::temp_dir().join(format!("redstart-temp-{}.rdb", std::process::id()));
        std::fs::write(&path, "half").unwrap();
        let code = in_child(|| {
            install().unwrap();
            set_temp_file(Some(&path));
            raise(Signal::SIGTERM).unwrap();
            raise(Signal::SIGTERM).unwrap();
            assert_eq!(take_pending().terminate, Some(Signal::SIGTERM));
            raise(Signal::SIGINT).unwrap();
            0
        });
        assert_eq!((code, path.exists()), (1, false));
    }

    #[test]
    fn a_stop_that_was_called_off_can_be_asked_for_again() {
        alone(|| {
            raise(Signal::SIGINT).unwrap();
            assert!(take_pending().terminate.is_some());
            set_stopping(false);
            raise(Signal::SIGINT).unwrap();
            assert_eq!(take_pending().terminate, Some(Signal::SIGINT));
        });
    }

    #[test]
    fn children_die_of_what_they_are_sent() {
        alone(|| {
            for (signal, dies) in [(Signal::SIGTERM, true), (Signal::SIGUSR1, true), (Signal::SIGINT, false)] {
                let (mut reports, mut started) = crate::sys::fork::report_pipe().unwrap();
                let pid = fork_child(move || {
                    started.send(&Default::default()).unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(if dies { 60_000 } else { 100 }));
                    0
                })
                .unwrap();
                while reports.latest().is_none() {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                kill(pid, signal).unwrap();
                let expected = if dies { ExitStatus::Signal(signal as i32) } else { ExitStatus::Code(0) };
                assert_eq!(wait(pid), expected);
            }
        });
    }
}
