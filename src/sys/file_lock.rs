//! One server per data file.
//!
//! *Duty:* a lock that stands for a data file (`dump.rdb`, an append-only folder), so that a second server that
//! would write the same one is refused, and is told who has it.
//! *Does not know:* what happens then.
//! *How:* the lock is on a side file, `.dump.rdb.lock` in the same folder, because the data file itself is replaced by
//! rename with each save. The kernel's lock decides, not the contents: whatever a killed server left there counts for
//! nothing. The contents only say who holds it, or one of those who do: whoever could do without the file may hold its
//! lock together with others of the kind ([`Hold::Shared`]), but not together with one that could not.
//! *Invariants:* the folder's real path is taken, so all ways to name it meet; a holder removes the side file while
//! it still has the lock, and whoever gets a lock checks that it is on the file that has the name now. A child gives
//! its copy of the descriptor back at the fork, so the lock ends with the server even if a child still runs.
//! *Counterpart in C Redis:* none for RDB and AOF; `clusterLockConfig` for nodes.conf.

#![allow(unsafe_code)]

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

use crate::sys::files::folder_of;

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockInfo {
    pub pid: i32,
    pub port: u16,
    /// The configuration file; empty when there is none.
    pub config: String,
}

/// How a lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    Alone,
    /// Together with others that hold it so.
    Shared,
}

#[derive(Debug)]
pub enum LockError {
    /// Another process has it. What is known of the holder is missing when it has not written it yet.
    Held { holder: Option<LockInfo>, lock_file: PathBuf },
    /// The lock cannot be tried: no permission, a read-only disk, no such folder.
    Io { error: io::Error, lock_file: PathBuf },
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Held { holder: Some(LockInfo { pid, port, config }), .. } if config.is_empty() => {
                write!(f, "held by process {pid}, port {port}")
            }
            LockError::Held { holder: Some(LockInfo { pid, port, config }), .. } => {
                write!(f, "held by process {pid}, port {port}, configured by {config}")
            }
            LockError::Held { holder: None, .. } => write!(f, "held by another process"),
            LockError::Io { error, lock_file } => write!(f, "{}: {error}", lock_file.display()),
        }
    }
}

impl std::error::Error for LockError {}

/// A held lock. Dropping it removes the side file and gives the lock back.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
    hold: Hold,
}

/// Descriptors that a child must close. A handful: RDB, AOF, nodes.conf.
static HELD: [AtomicI32; 8] = [const { AtomicI32::new(-1) }; 8];

impl FileLock {
    /// Takes the lock of a data file, which need not exist; its folder must.
    pub fn acquire(data_file: &Path, hold: Hold, info: &LockInfo) -> Result<FileLock, LockError> {
        let io_error = |error, lock_file: &Path| LockError::Io { error, lock_file: lock_file.to_path_buf() };
        let path = side_file(data_file).map_err(|error| io_error(error, data_file))?;
        loop {
            let mut file = open(&path).map_err(|error| io_error(error, &path))?;
            match try_lock(&file, hold) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    return Err(LockError::Held { holder: read_info(&mut file), lock_file: path });
                }
                Err(e) => return Err(io_error(e, &path)),
                // The former holder has removed the file between our open and our lock: ours is on a file without a
                // name, while somebody else may be locking a new one.
                Ok(()) if !has_name(&file, &path) => {}
                Ok(()) => {
                    let mut lock = FileLock { file, path, hold };
                    remember(lock.file.as_raw_fd());
                    lock.update(info).map_err(|error| io_error(error, &lock.path))?;
                    return Ok(lock);
                }
            }
        }
    }

    /// Holds the lock in another way from now on.
    pub fn change(&mut self, hold: Hold) -> Result<(), LockError> {
        if hold == self.hold {
            return Ok(());
        }
        if try_lock(&self.file, hold).is_err() {
            // A change that fails has given the lock back. Those who share it let nobody else in meanwhile.
            let _ = try_lock(&self.file, self.hold);
            return Err(LockError::Held { holder: None, lock_file: self.path.clone() });
        }
        self.hold = hold;
        Ok(())
    }

    /// The side file that stands for a data file.
    pub fn path_for(data_file: &Path) -> io::Result<PathBuf> {
        side_file(data_file)
    }

    /// Writes who holds it; for a port or configuration that has changed.
    pub fn update(&mut self, info: &LockInfo) -> io::Result<()> {
        let text = format!("{} {} {}\n", info.pid, info.port, info.config);
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(text.as_bytes())
    }

    /// The side file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // In this order: while the name is there, the lock is. Whoever shares it leaves the name to the others.
        if try_lock(&self.file, Hold::Alone).is_ok() {
            let _ = std::fs::remove_file(&self.path);
        }
        forget(self.file.as_raw_fd());
    }
}

/// Closes a child's copies. A lock is the parent's alone: it ends with the parent, not with the last copy.
pub fn close_in_child() {
    for place in &HELD {
        let fd = place.swap(-1, SeqCst);
        if fd >= 0 {
            // SAFETY: the child's copy of the descriptor is used by nobody: children end without dropping the owner.
            unsafe { libc::close(fd) };
        }
    }
}

fn remember(fd: i32) {
    let free = |place: &&AtomicI32| place.compare_exchange(-1, fd, SeqCst, SeqCst).is_ok();
    HELD.iter().find(free).expect("a server holds three locks at most");
}

fn forget(fd: i32) {
    for place in &HELD {
        let _ = place.compare_exchange(fd, -1, SeqCst, SeqCst);
    }
}

fn side_file(data_file: &Path) -> io::Result<PathBuf> {
    let folder = folder_of(data_file).canonicalize()?;
    let name = data_file.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut side = std::ffi::OsString::from(".");
    side.push(name);
    side.push(".lock");
    Ok(folder.join(side))
}

fn open(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(path)
}

fn try_lock(file: &File, hold: Hold) -> io::Result<()> {
    let kind = match hold {
        Hold::Alone => libc::LOCK_EX,
        Hold::Shared => libc::LOCK_SH,
    };
    // SAFETY: the descriptor is open.
    match unsafe { libc::flock(file.as_raw_fd(), kind | libc::LOCK_NB) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn has_name(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(named)) => (ours.dev(), ours.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

fn read_info(file: &mut File) -> Option<LockInfo> {
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).ok()?;
    let mut fields = text.trim_end_matches('\n').splitn(3, ' ');
    Some(LockInfo {
        pid: fields.next()?.parse().ok()?,
        port: fields.next()?.parse().ok()?,
        config: fields.next()?.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fork::tests::in_child;
    use crate::sys::fork::{fork_child, kill_child, report_pipe, wait};

    fn temp_dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("redstart-lock-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn info(port: u16, config: &str) -> LockInfo {
        LockInfo { pid: std::process::id() as i32, port, config: config.to_string() }
    }

    #[test]
    fn a_second_one_is_refused_and_told_who_has_it() {
        let dir = temp_dir("held");
        let first = info(6379, "/etc/redis/my redis.conf");
        let mut lock = FileLock::acquire(&dir.join("dump.rdb"), Hold::Alone, &first).unwrap();
        assert_eq!(lock.path().metadata().unwrap().mode() & 0o777, 0o600);

        // Another way to write the same folder.
        let other_way = dir.join("..").join(dir.file_name().unwrap()).join("dump.rdb");
        let error = FileLock::acquire(&other_way, Hold::Alone, &info(6380, "")).unwrap_err();
        let pid = std::process::id();
        let text = format!("held by process {pid}, port 6379, configured by /etc/redis/my redis.conf");
        assert_eq!(error.to_string(), text);

        lock.update(&info(7, "")).unwrap();
        let error = FileLock::acquire(&other_way, Hold::Alone, &info(6380, "")).unwrap_err();
        assert_eq!(error.to_string(), format!("held by process {pid}, port 7"));

        let neighbour = FileLock::acquire(&dir.join("dump-6380.rdb"), Hold::Alone, &info(6380, "")).unwrap();
        drop((lock, neighbour));
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0, "nothing stays behind");
        FileLock::acquire(&dir.join("dump.rdb"), Hold::Alone, &first).unwrap();
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn those_who_could_do_without_it_share_it() {
        let dir = temp_dir("shared");
        let data = dir.join("dump.rdb");
        let mut first = FileLock::acquire(&data, Hold::Shared, &info(1, "")).unwrap();
        let second = FileLock::acquire(&data, Hold::Shared, &info(2, "")).unwrap();
        assert!(FileLock::acquire(&data, Hold::Alone, &info(3, "")).is_err());
        assert!(first.change(Hold::Alone).is_err());
        drop(second);
        assert!(first.path().exists(), "it is still held");
        first.change(Hold::Alone).unwrap();
        assert!(FileLock::acquire(&data, Hold::Shared, &info(3, "")).is_err());
        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_killed_holder_holds_nothing_even_if_its_child_lives() {
        let dir = temp_dir("killed");
        let data = dir.join("dump.rdb");
        let (mut grandchild, mut tell) = report_pipe().unwrap();
        let code = in_child(|| {
            let _lock = FileLock::acquire(&data, Hold::Alone, &info(6379, "")).unwrap();
            let saver = fork_child(|| {
                std::thread::sleep(std::time::Duration::from_secs(60));
                0
            });
            let report =
                crate::sys::fork::ChildReport { keys_total: saver.unwrap().as_raw() as u64, ..Default::default() };
            tell.send(&report).unwrap();
            crate::sys::fork::exit_now(9)
        });
        let saver = crate::sys::fork::Pid::from_raw(grandchild.latest().unwrap().keys_total as i32);
        assert_eq!(code, 9);
        assert!(dir.join(".dump.rdb.lock").exists(), "killed without tidying up");
        // The saver closes its copy at its start, which may be a moment away.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let lock = loop {
            match FileLock::acquire(&data, Hold::Alone, &info(6380, "")) {
                Ok(lock) => break lock,
                Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
            }
        };
        kill_child(saver);
        drop(lock);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_saving_child_does_not_give_the_lock_back() {
        let dir = temp_dir("child");
        let data = dir.join("dump.rdb");
        let lock = FileLock::acquire(&data, Hold::Alone, &info(6379, "")).unwrap();
        wait(fork_child(|| 0).unwrap());
        assert!(matches!(FileLock::acquire(&data, Hold::Alone, &info(6380, "")), Err(LockError::Held { .. })));
        drop(lock);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn of_many_that_start_at_once_one_wins_at_a_time() {
        let dir = temp_dir("race");
        let (data, inside) = (dir.join("dump.rdb"), dir.join("inside"));
        let racers: Vec<_> = (0..4)
            .map(|_| {
                fork_child(|| {
                    for _ in 0..300 {
                        let Ok(lock) = FileLock::acquire(&data, Hold::Alone, &info(1, "")) else {
                            continue;
                        };
                        // Two holders at once would meet here.
                        if crate::sys::files::create_new_private(&inside).is_err() {
                            return 1;
                        }
                        std::fs::remove_file(&inside).unwrap();
                        drop(lock);
                    }
                    0
                })
                .unwrap()
            })
            .collect();
        for racer in racers {
            assert_eq!(wait(racer), crate::sys::fork::ExitStatus::Code(0));
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_of_its_own() {
        let error = FileLock::acquire(Path::new("/nonexistent/dump.rdb"), Hold::Alone, &info(1, "")).unwrap_err();
        assert!(matches!(error, LockError::Io { .. }), "{error}");
    }
}
