//! What the machine and its settings are: memory, limits, kernel switches that hurt.
//!
//! *Duty:* reads /proc, /sys and the control group this process is in, and answers plain values.
//! *Does not know:* whether a value deserves a warning; the texts are the server's.
//! *Counterpart in C Redis:* `syscheck.c`, `linuxMemoryWarnings`, `checkTcpBacklogSettings`.

#![allow(unsafe_code)]

use std::fs::read_to_string;
use std::io;
use std::path::{Path, PathBuf};

/// Settings of the kernel that a server's start looks at; None: not to be found on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelChecks {
    /// vm.overcommit_memory: with 0 or 2 a fork may fail when memory is short.
    pub overcommit_memory: Option<u8>,
    /// The chosen word of transparent_hugepage/enabled: always, madvise or never.
    pub transparent_hugepages: Option<String>,
    /// net.core.somaxconn: larger backlogs are cut to it.
    pub somaxconn: Option<u32>,
    /// The clock source in use: tsc is quick, others may need a system call.
    pub clocksource: Option<String>,
}

pub fn kernel_checks() -> KernelChecks {
    kernel_checks_under(Path::new("/"))
}

fn kernel_checks_under(root: &Path) -> KernelChecks {
    let value = |path: &str| Some(read_to_string(root.join(path)).ok()?.trim().to_string());
    let chosen = |line: String| Some(line.split_once('[')?.1.split_once(']')?.0.to_string());
    KernelChecks {
        overcommit_memory: value("proc/sys/vm/overcommit_memory").and_then(|text| text.parse().ok()),
        transparent_hugepages: value("sys/kernel/mm/transparent_hugepage/enabled").and_then(chosen),
        somaxconn: value("proc/sys/net/core/somaxconn").and_then(|text| text.parse().ok()),
        clocksource: value("sys/devices/system/clocksource/clocksource0/current_clocksource"),
    }
}

/// Switches huge pages off for this process: a fork copies 4 KB per touched key with them off, 2 MB with them on.
pub fn disable_transparent_hugepages() -> io::Result<()> {
    // SAFETY: a prctl of numbers only.
    if unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) } < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Physical memory of the machine in bytes.
pub fn total_ram() -> u64 {
    // SAFETY: sysconf has no preconditions.
    let (pages, size) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    u64::try_from(pages).unwrap_or(0) * u64::try_from(size).unwrap_or(0)
}

/// The memory limit of the control group this process is in, or of one above it; None when there is none, or none
/// below what the machine has.
pub fn cgroup_memory_limit() -> Option<u64> {
    let groups = read_to_string("/proc/self/cgroup").ok()?;
    cgroup_limit(&groups, Path::new("/sys/fs/cgroup")).filter(|&limit| limit < total_ram())
}

/// Lines are `number:controllers:path`; version 2 has no controllers in its line.
fn cgroup_limit(groups: &str, mount: &Path) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?.trim_start_matches('/'));
        if controllers.is_empty() {
            smallest(mount, path, "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            smallest(&mount.join("memory"), path, "memory.limit_in_bytes")
        } else {
            None
        }
    });
    limits.min()
}

/// The smallest limit from a group up to the root. Inside a container the path may be one of the host, which does not
/// exist here; then the root is the container's own group.
fn smallest(root: &Path, group: &str, file: &str) -> Option<u64> {
    let mut folder = PathBuf::from(group);
    let mut found: Option<u64> = None;
    loop {
        // `max` is not a number: no limit.
        let limit = read_to_string(root.join(&folder).join(file)).ok().and_then(|text| text.trim().parse().ok());
        found = [found, limit].into_iter().flatten().min();
        if !folder.pop() {
            return found;
        }
    }
}

/// System, release and machine, as INFO's `os` shows them.
pub fn uname() -> String {
    match nix::sys::utsname::uname() {
        Ok(name) => [name.sysname(), name.release(), name.machine()].map(|part| part.to_string_lossy()).join(" "),
        Err(_) => "Linux".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[(&str, &str)]) -> Tree {
            let root = std::env::temp_dir().join(format!("redstart-kernel-{name}-{}", std::process::id()));
            for (path, text) in files {
                std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
                std::fs::write(root.join(path), text).unwrap();
            }
            Tree(root)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn settings_are_read() {
        let tree = Tree::new(
            "checks",
            &[
                ("proc/sys/vm/overcommit_memory", "1\n"),
                ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
                ("proc/sys/net/core/somaxconn", "4096\n"),
            ],
        );
        let expected = KernelChecks {
            overcommit_memory: Some(1),
            transparent_hugepages: Some("madvise".to_string()),
            somaxconn: Some(4096),
            clocksource: None,
        };
        assert_eq!(kernel_checks_under(&tree.0), expected);
        assert!(kernel_checks().somaxconn.is_some(), "of this machine");
    }

    #[test]
    fn the_smallest_limit_above_a_group_counts() {
        let tree = Tree::new(
            "cgroup",
            &[
                ("system.slice/memory.max", "2000000\n"),
                ("system.slice/redis.service/memory.max", "max\n"),
                ("memory/docker/abc/memory.limit_in_bytes", "1000000\n"),
                ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ],
        );
        assert_eq!(cgroup_limit("0::/system.slice/redis.service\n", &tree.0), Some(2_000_000));
        assert_eq!(cgroup_limit("0::/user.slice\n", &tree.0), None);
        assert_eq!(cgroup_limit("5:cpu:/x\n4:memory,hugetlb:/docker/abc\n", &tree.0), Some(1_000_000));
        assert_eq!(cgroup_limit("4:memory:/unknown/here\n", &tree.0), Some(9_223_372_036_854_771_712));
        assert_eq!(cgroup_limit("nonsense", &tree.0), None);
    }

    #[test]
    fn this_machine_has_memory_and_a_name() {
        assert!(total_ram() > 64 << 20);
        assert!(cgroup_memory_limit().is_none_or(|limit| limit < total_ram()));
        assert!(uname().starts_with("Linux "), "{}", uname());
    }

    #[test]
    fn huge_pages_can_be_switched_off() {
        let code = crate::sys::fork::tests::in_child(|| {
            disable_transparent_hugepages().unwrap();
            let status = read_to_string("/proc/self/status").unwrap();
            i32::from(!status.contains("THP_enabled:\t0"))
        });
        assert_eq!(code, 0);
    }
}
