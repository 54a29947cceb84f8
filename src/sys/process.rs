//! This process: its limits, its size, the time it has used, its pid file.
//!
//! *Duty:* raises the limit of open files, reads size and processor time, writes and removes the pid file.
//! *Does not know:* how many clients are wanted, or what INFO prints.
//! *Invariants:* limits only go up; the pid file is removed by its owner only.
//! *Counterpart in C Redis:* `adjustOpenFilesLimit`, `createPidFile`, `zmalloc_get_rss`, the `getrusage` calls.

#![allow(unsafe_code)]

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};

/// What became of a wish for open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NofileLimit {
    /// The limit before.
    pub was: u64,
    /// The limit now: at least what was wanted, or the most there is.
    pub got: u64,
    /// Why it is not what was wanted.
    pub refused: Option<Errno>,
}

/// Raises the limit of open files to `want`, as far as the kernel lets it; never lowers it.
pub fn adjust_nofile_limit(want: u64) -> io::Result<NofileLimit> {
    let (was, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if was >= want {
        return Ok(NofileLimit { was, got: was, refused: None });
    }
    let Err(refused) = setrlimit(Resource::RLIMIT_NOFILE, want, hard.max(want)) else {
        return Ok(NofileLimit { was, got: want, refused: None });
    };
    // Without a privilege the hard limit is the end; with it, fs.nr_open is.
    let ceiling = std::fs::read_to_string("/proc/sys/fs/nr_open").ok().and_then(|text| text.trim().parse().ok());
    for limit in [ceiling.unwrap_or(hard), hard].map(|limit| limit.min(want)) {
        if limit > was && setrlimit(Resource::RLIMIT_NOFILE, limit, hard.max(limit)).is_ok() {
            let refused = (limit < want).then_some(refused);
            return Ok(NofileLimit { was, got: limit, refused });
        }
    }
    Ok(NofileLimit { was, got: was, refused: Some(refused) })
}

/// Whether this process may run that program.
pub fn may_execute(program: &Path) -> bool {
    nix::unistd::access(program, nix::unistd::AccessFlags::X_OK).is_ok()
}

/// Replaces this process by a program that is called as `argv` says. Returns only with the reason why not. Every
/// descriptor of ours is closed by the kernel, save the three standard ones.
pub fn become_program(program: &Path, argv: &[OsString]) -> io::Error {
    let mut command = std::process::Command::new(program);
    if let Some((name, arguments)) = argv.split_first() {
        command.arg0(name).args(arguments);
    }
    command.exec()
}

/// Bytes that lie in transparent huge pages. Costs time in proportion to the mapped memory.
pub fn huge_page_bytes() -> u64 {
    let smaps = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = smaps.lines().find_map(|line| line.strip_prefix("AnonHugePages:"));
    let kilobytes = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Resident memory in bytes.
pub fn rss_bytes() -> u64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/statm") else {
        return 0;
    };
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    // SAFETY: sysconf has no preconditions.
    pages * u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Processor time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    pub user_us: u64,
    pub sys_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuOf {
    /// All threads of this process.
    Process,
    /// The calling thread.
    Thread,
    /// Children that have been waited for.
    Children,
}

pub fn cpu_time(of: CpuOf) -> CpuTime {
    let who = match of {
        CpuOf::Process => UsageWho::RUSAGE_SELF,
        CpuOf::Thread => UsageWho::RUSAGE_THREAD,
        CpuOf::Children => UsageWho::RUSAGE_CHILDREN,
    };
    let us = |time: nix::sys::time::TimeVal| time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64;
    getrusage(who).map_or_else(
        |_| CpuTime::default(),
        |usage| CpuTime { user_us: us(usage.user_time()), sys_us: us(usage.system_time()) },
    )
}

/// The user this process acts as: the name, or the number where there is no name.
pub fn user_name() -> String {
    let uid = nix::unistd::geteuid();
    match nix::unistd::User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}

/// Writes this process' id, for scripts. Refuses to write through a link that somebody else may have put there.
pub fn write_pidfile(path: &Path) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}

/// Removes the pid file at the end, unless another server has put its own id there meanwhile.
pub fn remove_pidfile(path: &Path) {
    let ours = std::fs::read_to_string(path).is_ok_and(|text| text.trim() == std::process::id().to_string());
    if ours {
        // A file that cannot be removed does no harm: the next start overwrites it.
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fork::tests::in_child;

    #[test]
    fn the_limit_is_raised_but_never_lowered() {
        let code = in_child(|| {
            setrlimit(Resource::RLIMIT_NOFILE, 500, 1000).unwrap();
            assert_eq!(adjust_nofile_limit(100).unwrap(), NofileLimit { was: 500, got: 500, refused: None });
            assert_eq!(adjust_nofile_limit(800).unwrap(), NofileLimit { was: 500, got: 800, refused: None });
            let _ = nix::unistd::setuid(nix::unistd::Uid::from_raw(65534));
            let most = adjust_nofile_limit(5000).unwrap();
            i32::from(most != NofileLimit { was: 800, got: 1000, refused: Some(Errno::EPERM) })
        });
        assert_eq!(code, 0);
    }

    #[test]
    fn root_is_held_by_the_kernels_ceiling_only() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let code = in_child(|| {
            let result = adjust_nofile_limit(1 << 40).unwrap();
            i32::from(result.got < 1024 || result.refused.is_none())
        });
        assert_eq!(code, 0);
    }

    #[test]
    fn size_and_time_are_plausible() {
        let rss = rss_bytes();
        assert!(rss > 1 << 20 && rss < 1 << 40, "{rss}");
        let before = cpu_time(CpuOf::Thread);
        let start = std::time::Instant::now();
        while start.elapsed().as_millis() < 20 {
            std::hint::black_box(rss_bytes());
        }
        let after = cpu_time(CpuOf::Thread);
        assert!(after.user_us + after.sys_us > before.user_us + before.sys_us);
        let all = cpu_time(CpuOf::Process);
        assert!(all.user_us + all.sys_us >= after.user_us + after.sys_us);
        assert!(!user_name().is_empty());
    }

    #[test]
    fn the_time_of_children_is_told_apart() {
        let before = cpu_time(CpuOf::Children);
        in_child(|| {
            let start = std::time::Instant::now();
            while start.elapsed().as_millis() < 30 {
                std::hint::spin_loop();
            }
            0
        });
        assert!(cpu_time(CpuOf::Children).user_us > before.user_us);
    }

    #[test]
    fn the_pid_file_is_ours_to_remove_only_while_it_is_ours() {
        let path = std::env::temp_dir().join(format!("redstart-pidfile-{}", std::process::id()));
        write_pidfile(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        remove_pidfile(&path);
        assert!(!path.exists());
        std::fs::write(&path, "1\n").unwrap();
        remove_pidfile(&path);
        assert!(path.exists());
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/nonexistent/target", &path).unwrap();
        assert!(write_pidfile(&path).is_err());
        std::fs::remove_file(&path).unwrap();
    }
}
