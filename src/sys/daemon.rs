//! Going to the background, with a parent that waits to tell how it went.
//!
//! *Duty:* [`daemonize`] forks once and starts a session. The parent stays until the child calls [`Daemon::ready`]
//! (exit 0) or [`Daemon::failed`] (exit 1 and the reason), or dies (exit 1 and the last lines it wrote), so the status
//! a start script sees is the truth.
//! *Does not know:* what ready means.
//! *Invariants:* until ready the child's output goes to a file in memory, which only the parent reads; afterwards to
//! /dev/null. Called before any thread is started and before locks, pid file and listeners are made.
//! *Counterpart in C Redis:* `daemonize`, whose parent leaves with 0 at once, whatever happens next.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::{ForkResult, Pid, pipe2, setsid};

use crate::sys::fork::{ExitStatus, wait};

/// How much of the child's last words is shown.
const TAIL_LINES: usize = 12;
const TAIL_BYTES: u64 = 8192;

const READY: u8 = b'R';
const FAILED: u8 = b'F';

/// The child's duty to tell its parent. Dropping it untold means: died.
pub struct Daemon {
    parent: File,
}

impl Daemon {
    /// The server serves: the parent exits with 0, and output from now on goes nowhere.
    pub fn ready(mut self) -> io::Result<()> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        redirect_output(&null)?;
        // A parent that was killed while waiting is no reason for a server not to run.
        let _ = self.parent.write_all(&[READY]);
        Ok(())
    }

    /// The start has failed: the parent prints the reason and exits with 1. The caller then exits by itself.
    pub fn failed(mut self, reason: &str) {
        let message = [&[FAILED], reason.as_bytes()].concat();
        // If the parent is gone there is nobody to tell.
        let _ = self.parent.write_all(&message);
    }
}

/// Goes to the background. Only the child returns from this call. `log` is the file whose last lines the parent shows
/// if the child dies without giving a reason.
pub fn daemonize(log: Option<&Path>) -> io::Result<Daemon> {
    let (from_child, to_parent) = pipe2(OFlag::O_CLOEXEC)?;
    let output = memory_file()?;
    let log = log.map(|path| (path.to_path_buf(), std::fs::metadata(path).map_or(0, |meta| meta.len())));
    // SAFETY: there is one thread yet, so the child is a whole copy.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => {
            drop(to_parent);
            std::process::exit(report(child, File::from(from_child), output, log))
        }
        ForkResult::Child => {
            drop(from_child);
            setsid()?;
            let null = File::open("/dev/null")?;
            duplicate(&null, 0)?;
            redirect_output(&output)?;
            Ok(Daemon { parent: to_parent.into() })
        }
    }
}

/// The parent's part: waits, prints what there is to print, answers its exit code.
fn report(child: Pid, mut from_child: File, mut output: File, log: Option<(PathBuf, u64)>) -> i32 {
    let mut message = Vec::new();
    // An error is as good as a child that says nothing.
    let _ = from_child.read_to_end(&mut message);
    let text = match message.split_first() {
        Some((&READY, _)) => return 0,
        Some((&FAILED, reason)) => format!("{}\n", String::from_utf8_lossy(reason)),
        _ => last_words(wait(child), &mut output, log),
    };
    // There is no other place to complain at.
    let _ = io::stderr().write_all(text.as_bytes());
    1
}

fn last_words(status: ExitStatus, output: &mut File, log: Option<(PathBuf, u64)>) -> String {
    let mut text = match status {
        ExitStatus::Code(code) => format!("The server ended while starting, with status {code}.\n"),
        ExitStatus::Signal(signal) => format!("The server was ended by signal {signal} while starting.\n"),
        ExitStatus::Lost => "The server ended while starting.\n".to_string(),
    };
    text += &tail(output, 0);
    if let Some((path, start)) = log {
        let lines = File::open(&path).map(|mut file| tail(&mut file, start)).unwrap_or_default();
        if !lines.is_empty() {
            text += &format!("The last lines of {}:\n{lines}", path.display());
        }
    }
    text
}

/// The last lines of a file, nothing from before `start` (unless the file was replaced by a shorter one).
fn tail(file: &mut File, start: u64) -> String {
    let len = file.metadata().map_or(0, |meta| meta.len());
    let start = if start > len { 0 } else { start };
    let mut bytes = Vec::new();
    let from = start.max(len.saturating_sub(TAIL_BYTES));
    if file.seek(SeekFrom::Start(from)).and_then(|_| file.read_to_end(&mut bytes)).is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].iter().fold(String::new(), |all, line| all + line + "\n")
}

fn memory_file() -> io::Result<File> {
    // SAFETY: the name is a C string; the descriptor is new and nobody else's.
    unsafe {
        match libc::memfd_create(c"redis-server start".as_ptr(), libc::MFD_CLOEXEC) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(File::from(OwnedFd::from_raw_fd(fd))),
        }
    }
}

fn redirect_output(to: &File) -> io::Result<()> {
    duplicate(to, 1)?;
    duplicate(to, 2)
}

fn duplicate(from: &File, to: libc::c_int) -> io::Result<()> {
    // SAFETY: replaces one of the three standard descriptors, which nobody owns.
    if unsafe { libc::dup2(from.as_raw_fd(), to) } < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fork::exit_now;
    use crate::sys::fork::tests::in_child;

    /// Runs `start` as a daemon; answers the waiting parent's exit code and what it printed.
    fn started(name: &str, log: Option<&Path>, start: impl FnOnce(Daemon)) -> (i32, String) {
        let path = std::env::temp_dir().join(format!("redstart-daemon-{name}-{}", std::process::id()));
        let code = in_child(|| {
            redirect_output(&File::create(&path).unwrap()).unwrap();
            start(daemonize(log).unwrap());
            exit_now(0)
        });
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        (code, text)
    }

    fn say(text: &str) {
        // Not by println, which the test harness captures.
        crate::sys::log::log_text(text);
    }

    #[test]
    fn the_parent_waits_until_the_child_is_ready() {
        let before = std::time::Instant::now();
        let result = started("ready", None, |daemon| {
            say("this is not shown\n");
            std::thread::sleep(std::time::Duration::from_millis(200));
            daemon.ready().unwrap();
        });
        assert_eq!(result, (0, String::new()));
        assert!(before.elapsed().as_millis() >= 200);
    }

    #[test]
    fn the_child_leads_a_session_without_the_old_output() {
        let path = std::env::temp_dir().join(format!("redstart-daemon-facts-{}", std::process::id()));
        let (code, _) = started("session", None, |daemon| {
            // SAFETY: plain questions.
            let leads = unsafe { libc::getsid(0) == libc::getpid() };
            let parent_output = std::fs::read_link("/proc/self/fd/1").unwrap();
            let facts = format!("{leads} {}", parent_output.display());
            std::fs::write(&path, facts).unwrap();
            daemon.ready().unwrap();
        });
        let facts = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(code, 0);
        assert!(facts.starts_with("true /memfd:"), "{facts}");
    }

    #[test]
    fn a_reason_is_printed() {
        let result = started("failed", None, |daemon| daemon.failed("Could not bind to port 6379"));
        assert_eq!(result, (1, "Could not bind to port 6379\n".to_string()));
    }

    #[test]
    fn the_last_words_of_a_child_that_died_are_printed() {
        let log = std::env::temp_dir().join(format!("redstart-daemon-log-{}", std::process::id()));
        std::fs::write(&log, "from an earlier run\n").unwrap();
        let (code, text) = started("died", Some(&log), |_daemon| {
            (0..100).for_each(|n| say(&format!("line {n}\n")));
            let mut file = File::options().append(true).open(&log).unwrap();
            file.write_all(b"Bad file format\n").unwrap();
            exit_now(3);
        });
        std::fs::remove_file(&log).unwrap();
        assert_eq!(code, 1);
        assert!(text.starts_with("The server ended while starting, with status 3.\nline 88\n"), "{text}");
        assert!(text.ends_with(&format!("line 99\nThe last lines of {}:\nBad file format\n", log.display())), "{text}");
    }
}
