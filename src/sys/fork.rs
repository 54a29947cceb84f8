//! Forking a child that saves, and hearing from it.
//!
//! *Duty:* the only `fork` of the program; how a child reports (a pipe of fixed records), what its copies cost
//! (dirty private pages), how it ended and how to end it.
//! *Does not know:* what children do: `server` passes a closure, which sees the memory as it was at the fork.
//! *Invariants:* a child leaves by `_exit` only, never by unwinding or by `exit` (no destructor, no atexit, no
//! flushing of the parent's buffers); only the main thread forks, so a child has the state of a thread that held no
//! lock. jemalloc and glibc put their own locks right through `pthread_atfork`. Children log by `log::log_raw`.
//! *Counterpart in C Redis:* `redisFork`, `childinfo.c`, `zmalloc_get_private_dirty`, `checkChildrenDone`.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
pub use nix::unistd::Pid;
use nix::unistd::pipe2;

use crate::sys::{file_lock, log, signals};

/// Forks. The child runs `work` and exits with what it returns; the parent gets the child's id.
pub fn fork_child(work: impl FnOnce() -> i32) -> io::Result<Pid> {
    // SAFETY: the caller is the main thread and the other one, bio, owns no lock that the child uses: its queue is
    // not touched by children and the allocator's locks are handled at the fork by the allocator.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => Ok(child),
        nix::unistd::ForkResult::Child => {
            let never_unwind = ExitOnDrop;
            log::set_role(log::Role::Child);
            signals::reset_in_child();
            file_lock::close_in_child();
            let status = work();
            std::mem::forget(never_unwind);
            exit_now(status)
        }
    }
}

/// Ends the process here: no destructors, no atexit handlers.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(status) }
}

struct ExitOnDrop;

impl Drop for ExitOnDrop {
    fn drop(&mut self) {
        exit_now(134);
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    Code(i32),
    Signal(i32),
    /// There is no such child (any more): somebody else has waited for it.
    Lost,
}

/// Whether the child has ended, without waiting. Once it has told, the id may belong to another process.
pub fn wait_nohang(pid: Pid) -> Option<ExitStatus> {
    wait_with(pid, Some(WaitPidFlag::WNOHANG))
}

/// Waits for the child's end.
pub fn wait(pid: Pid) -> ExitStatus {
    wait_with(pid, None).unwrap_or(ExitStatus::Lost)
}

fn wait_with(pid: Pid, flags: Option<WaitPidFlag>) -> Option<ExitStatus> {
    loop {
        match waitpid(pid, flags) {
            Ok(WaitStatus::Exited(_, code)) => return Some(ExitStatus::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Some(ExitStatus::Signal(signal as i32)),
            Ok(_) if flags.is_some() => return None,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Some(ExitStatus::Lost),
        }
    }
}

/// Asks a child to stop at once. It ends by SIGUSR1, which tells it from a child that crashed.
pub fn kill_child(pid: Pid) {
    // The only error is that it has gone already.
    let _ = kill(pid, Signal::SIGUSR1);
}

/// What a child tells while it works and when it is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChildReport {
    /// Bytes of memory that exist twice because of the child.
    pub cow_bytes: u64,
    pub keys_processed: u64,
    pub keys_total: u64,
    /// The child has nothing more to do.
    pub finished: bool,
}

const REPORT_SIZE: usize = 32;

impl ChildReport {
    fn encode(&self) -> [u8; REPORT_SIZE] {
        let words = [self.cow_bytes, self.keys_processed, self.keys_total, u64::from(self.finished)];
        let mut bytes = [0; REPORT_SIZE];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8; REPORT_SIZE]) -> ChildReport {
        let word = |n: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[n * 8..n * 8 + 8]);
            u64::from_ne_bytes(word)
        };
        ChildReport { cow_bytes: word(0), keys_processed: word(1), keys_total: word(2), finished: word(3) != 0 }
    }
}

/// The child's end. Reports are small enough for the kernel to take each whole or not at all.
pub struct ReportWriter(File);

impl ReportWriter {
    /// Sends a report; when the parent has fallen behind it is dropped, except the last one, which waits.
    pub fn send(&mut self, report: &ChildReport) -> io::Result<()> {
        loop {
            match self.0.write(&report.encode()) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && report.finished => {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map(|_| ()),
            }
        }
    }
}

/// The parent's end, non-blocking.
pub struct ReportReader(File);

impl ReportReader {
    /// Reads what has come and answers the newest report.
    pub fn latest(&mut self) -> Option<ChildReport> {
        let (mut newest, mut bytes) = (None, [0; REPORT_SIZE]);
        // Whole records only: each was one write below PIPE_BUF. The end of the pipe and errors end the loop.
        while let Ok(REPORT_SIZE) = self.0.read(&mut bytes) {
            newest = Some(ChildReport::decode(&bytes));
        }
        newest
    }

    /// To wait for reports in the event loop.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A pipe for reports. Drop the reader in the child and the writer in the parent.
pub fn report_pipe() -> io::Result<(ReportReader, ReportWriter)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    Ok((ReportReader(reader.into()), ReportWriter(writer.into())))
}

/// Bytes of this process that are private and dirty: in a child, what copy-on-write has copied so far (and what the
/// child has allocated itself). Costs time in proportion to the mapped memory: some 10 ms per GB.
pub fn private_dirty_bytes() -> u64 {
    std::fs::read_to_string("/proc/self/smaps_rollup")
        .or_else(|_| std::fs::read_to_string("/proc/self/smaps"))
        .map_or(0, |text| sum_private_dirty(&text))
}

fn sum_private_dirty(smaps: &str) -> u64 {
    let kilobytes = smaps
        .lines()
        .filter_map(|line| line.strip_prefix("Private_Dirty:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kilobytes.sum::<u64>() * 1024
}

/// This process' oom_score_adj; 0 when it cannot be read.
pub fn oom_score_adj() -> i32 {
    let text = std::fs::read_to_string("/proc/self/oom_score_adj");
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Sets it (-1000 to 1000). Lowering it needs a privilege.
pub fn set_oom_score_adj(value: i32) -> io::Result<()> {
    std::fs::write("/proc/self/oom_score_adj", value.to_string())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Runs something in a forked child, so that it may change what belongs to the process: log, signals, title.
    /// Answers the exit code, or 1000 and the signal. The harness has threads, any of which may have held a lock of
    /// the standard library at the fork (a test that fails does, while it prints); hence the limit.
    pub fn in_child(work: impl FnOnce() -> i32) -> i32 {
        let pid = fork_child(work).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            match wait_nohang(pid) {
                Some(ExitStatus::Code(code)) => return code,
                Some(ExitStatus::Signal(signal)) => return 1000 + signal,
                Some(ExitStatus::Lost) => panic!("nobody else waits for this child"),
                None if std::time::Instant::now() > deadline => kill(pid, Signal::SIGKILL).unwrap(),
                None => std::thread::sleep(std::time::Duration::from_millis(1)),
            }
        }
    }

    #[test]
    fn the_exit_code_arrives() {
        assert_eq!(in_child(|| 0), 0);
        assert_eq!(in_child(|| 77), 77);
    }

    #[test]
    fn a_child_sees_a_copy() {
        let mut value = 1;
        let code = in_child(|| {
            value += 41;
            value
        });
        assert_eq!((code, value), (42, 1));
    }

    #[test]
    fn a_panic_in_a_child_ends_it_there() {
        let code = in_child(|| {
            std::panic::set_hook(Box::new(|_| ()));
            panic!("not to be seen by the harness")
        });
        assert_eq!(code, 134);
    }

    #[test]
    fn waiting_does_not_hang_and_a_killed_child_is_told_from_a_crashed_one() {
        let pid = fork_child(|| {
            std::thread::sleep(std::time::Duration::from_secs(60));
            0
        })
        .unwrap();
        assert_eq!(wait_nohang(pid), None);
        kill_child(pid);
        assert_eq!(wait(pid), ExitStatus::Signal(libc::SIGUSR1));
        assert_eq!(wait_nohang(pid), Some(ExitStatus::Lost));
    }

    #[test]
    fn reports_travel_and_the_newest_wins() {
        let (mut reader, mut writer) = report_pipe().unwrap();
        assert_eq!(reader.latest(), None);
        let code = in_child(|| {
            for n in 1..=3 {
                let report = ChildReport { cow_bytes: n << 40, keys_processed: n, keys_total: 3, finished: n == 3 };
                if writer.send(&report).is_err() {
                    return 1;
                }
            }
            0
        });
        assert_eq!(code, 0);
        let report = ChildReport { cow_bytes: 3 << 40, keys_processed: 3, keys_total: 3, finished: true };
        assert_eq!(reader.latest(), Some(report));
        assert_eq!(reader.latest(), None);
    }

    #[test]
    fn a_parent_that_does_not_read_does_not_stop_the_child() {
        let (mut reader, mut writer) = report_pipe().unwrap();
        for n in 0..10_000 {
            writer.send(&ChildReport { keys_processed: n, ..ChildReport::default() }).unwrap();
        }
        // A pipe holds 64 KB, which are 2,048 reports; the later ones were dropped.
        assert!(reader.latest().unwrap().keys_processed < 10_000);
    }

    #[test]
    fn copied_pages_are_counted() {
        let mut block = vec![1u8; 8 << 20];
        let (mut reader, mut writer) = report_pipe().unwrap();
        in_child(|| {
            let before = private_dirty_bytes();
            for page in block.chunks_mut(4096) {
                page[0] = 2;
            }
            std::hint::black_box(&block);
            let copied = private_dirty_bytes() - before;
            let report = ChildReport { cow_bytes: copied, finished: true, ..ChildReport::default() };
            i32::from(writer.send(&report).is_err())
        });
        let copied = reader.latest().unwrap().cow_bytes;
        assert!(copied >= 7 << 20, "{copied}");
    }

    #[test]
    fn smaps_of_old_kernels_are_summed() {
        let smaps = "00400000-0048a000 r-xp\nPrivate_Clean: 8 kB\nPrivate_Dirty:     12 kB\n\
                     7f00-7f01 rw-p\nPrivate_Dirty:        4 kB\nSwap: 0 kB\n";
        assert_eq!(sum_private_dirty(smaps), 16 * 1024);
    }

    #[test]
    fn oom_score_adj_can_be_raised() {
        let code = in_child(|| {
            let raised = oom_score_adj() + 10;
            i32::from(set_oom_score_adj(raised).is_err() || oom_score_adj() != raised)
        });
        assert_eq!(code, 0);
    }
}
