//! Files that must not get lost, be read by others, or stay behind.
//!
//! *Duty:* making a new private file, making a rename durable, clearing away what a killed save left.
//! *Does not know:* formats, or which file is which.
//! *Invariants:* a new file is 0600 and never follows or replaces what is there; a name changes hands only by rename,
//! followed by an fsync of the folder.
//! *Counterpart in C Redis:* `fsyncFileDir`, `rdbSave`'s open and rename, `rdbRemoveTempFile`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// Makes a file that did not exist, readable and writable by this user only. A link in its place is refused.
pub fn create_new_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Writes a folder's entries to disk: what makes a new name or a rename survive a power cut.
pub fn fsync_dir(folder: &Path) -> io::Result<()> {
    let folder = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(folder)?;
    match folder.sync_all() {
        // Some file systems cannot do this, and keep entries safe by themselves.
        Err(e) if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::EBADF)) => Ok(()),
        other => other,
    }
}

/// Renames and makes it durable. The file's own contents must have been fsynced before.
pub fn rename_durable(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    fsync_dir(folder_of(to))
}

/// Puts `text` in the place of a file, wholly or not at all: it is written beside it and takes its name when it is on
/// disk. `mode` are the new file's permissions.
pub fn replace_file(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = PathBuf::from(beside);
    // A leftover of an earlier process with our id; another instance has another id.
    let _ = std::fs::remove_file(&beside);
    let mut file = create_new_private(&beside)?;
    let written = file
        .write_all(text)
        .and_then(|()| file.set_permissions(std::fs::Permissions::from_mode(mode)))
        .and_then(|()| file.sync_all())
        .and_then(|()| rename_durable(&beside, path));
    if written.is_err() {
        // The first error is what matters.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// The folder a path names a file in; the current one for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Removes temporary files whose writer is gone, at start, before any is made. `owner` tells the writer's process id
/// from a name, or None for names that are not temporary files; [`temp_file_owner`] knows Redis' names. Files named
/// after this very process are leftovers too: process ids repeat, in containers even with each start.
/// Answers what was removed.
pub fn remove_stale_temp(folder: &Path, owner: impl Fn(&str) -> Option<i32>) -> io::Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let stale = entry.file_name().to_str().and_then(&owner).is_some_and(|pid| !is_alive_elsewhere(pid));
        if stale && !entry.file_type()?.is_dir() && std::fs::remove_file(entry.path()).is_ok() {
            removed.push(entry.path());
        }
    }
    Ok(removed)
}

/// The process that wrote a file of one of these names: `temp-PID.rdb` (a save), `temp-TIME.PID.rdb` (a transfer),
/// `temp-rewriteaof-PID.aof` and `temp-rewriteaof-bg-PID.aof`.
pub fn temp_file_owner(name: &str) -> Option<i32> {
    // Beside a base of commands lie its sums.
    let name = name.strip_suffix(".aof.sum").map_or(name, |stem| &name[..stem.len() + ".aof".len()]);
    let (stem, kind) = name.strip_prefix("temp-")?.rsplit_once('.')?;
    let pid = match kind {
        "rdb" => stem.rsplit('.').next()?,
        "aof" => {
            let rest = stem.strip_prefix("rewriteaof-")?;
            rest.strip_prefix("bg-").unwrap_or(rest)
        }
        _ => return None,
    };
    let transfer_time = stem.rsplit_once('.').map_or("0", |(time, _)| time);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if kind == "rdb" && !digits(transfer_time) || !digits(pid) { None } else { pid.parse().ok() }
}

fn is_alive_elsewhere(pid: i32) -> bool {
    // Numbers below 1 mean groups of processes to kill(2), and nobody's file.
    pid > 0 && pid as u32 != std::process::id() && kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fork::{fork_child, wait};
    use std::os::unix::fs::{MetadataExt, symlink};

    fn temp_dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("redstart-files-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_new_file_is_private_and_new() {
        let dir = temp_dir("private");
        let path = dir.join("a");
        let file = create_new_private(&path).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(create_new_private(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        symlink(dir.join("target"), dir.join("link")).unwrap();
        assert!(create_new_private(&dir.join("link")).is_err());
        assert!(!dir.join("target").exists());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_rename_replaces_and_the_folder_can_be_synced() {
        let dir = temp_dir("rename");
        std::fs::write(dir.join("old"), "old").unwrap();
        std::fs::write(dir.join("new"), "new").unwrap();
        let inode = std::fs::metadata(dir.join("new")).unwrap().ino();
        rename_durable(&dir.join("new"), &dir.join("old")).unwrap();
        assert_eq!(std::fs::metadata(dir.join("old")).unwrap().ino(), inode);
        assert!(rename_durable(&dir.join("new"), &dir.join("old")).is_err());
        assert!(fsync_dir(&dir.join("old")).is_err(), "a file is not a folder");
        assert_eq!(folder_of(Path::new("dump.rdb")), Path::new("."));
        assert_eq!(folder_of(Path::new("/var/dump.rdb")), Path::new("/var"));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_is_replaced_wholly_or_not_at_all() {
        let dir = temp_dir("replace");
        let path = dir.join("a.conf");
        replace_file(&path, b"one", 0o640).unwrap();
        replace_file(&path, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::create_dir(dir.join("folder")).unwrap();
        assert!(replace_file(&dir.join("folder"), b"x", 0o600).is_err());
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 2, "nothing is left beside");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn only_redis_own_names_have_an_owner() {
        assert_eq!(temp_file_owner("temp-123.rdb"), Some(123));
        assert_eq!(temp_file_owner("temp-1700000000.123.rdb"), Some(123));
        assert_eq!(temp_file_owner("temp-rewriteaof-7.aof"), Some(7));
        assert_eq!(temp_file_owner("temp-rewriteaof-bg-7.aof"), Some(7));
        assert_eq!(temp_file_owner("temp-rewriteaof-bg-7.aof.sum"), Some(7));
        for other in ["dump.rdb", "temp-.rdb", "temp-12x.rdb", "temp-x.12.rdb", "temp-7.aof", "temp-1.tmp", "temp-"] {
            assert_eq!(temp_file_owner(other), None, "{other}");
        }
    }

    #[test]
    fn what_a_dead_process_left_goes_and_the_rest_stays() {
        let dir = temp_dir("stale");
        let dead = fork_child(|| 0).unwrap();
        wait(dead);
        let us = std::process::id();
        let stale = [format!("temp-{dead}.rdb"), format!("temp-{us}.rdb")];
        let kept = ["temp-1.rdb".to_string(), "dump.rdb".to_string(), format!("temp-{dead}.txt")];
        for name in stale.iter().chain(&kept) {
            std::fs::write(dir.join(name), "x").unwrap();
        }
        std::fs::create_dir(dir.join(format!("temp-0.{dead}.rdb"))).unwrap();
        let mut removed = remove_stale_temp(&dir, temp_file_owner).unwrap();
        removed.sort();
        let mut expected = stale.map(|name| dir.join(name));
        expected.sort();
        assert_eq!(removed, expected);
        assert!(kept.iter().all(|name| dir.join(name).exists()));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
