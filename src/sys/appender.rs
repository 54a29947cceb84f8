//! The thread that appends to a file and syncs it while the loop goes on.
//!
//! *Duty:* one group of bytes at a time: write it, sync it when asked to, say how far that came, wake the loop.
//! *Does not know:* what the bytes are, or who waits for them.
//! *Invariants:* groups land in the order in which they were handed over; all signals but those of a crash are blocked
//! in the thread; it never logs; a forked child never talks to it. Apart from the channels and a descriptor that wakes,
//! nothing is shared: the file and the bytes travel with the group, and come back.
//! *Counterpart in C Redis:* none. There the loop itself writes and, under `appendfsync always`, syncs.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::bio::SignalsBlocked;
use super::{clock, crash};

/// Bytes on their way.
#[derive(Debug)]
pub struct Group {
    /// A descriptor of its own, opened to append.
    pub file: File,
    pub bytes: Vec<u8>,
    pub sync: bool,
}

/// What became of a group.
#[derive(Debug)]
pub struct Landed {
    pub file: File,
    pub bytes: Vec<u8>,
    /// Of these, so many are in the file; fewer than all only with an error.
    pub written: usize,
    pub failure: Option<io::Error>,
    /// The sync, if it was asked for and everything was written.
    pub synced: io::Result<()>,
    /// How long the sync took.
    pub sync_ns: u64,
}

#[derive(Debug)]
pub struct Appender {
    groups: Sender<Group>,
    landed: Receiver<Landed>,
    wake: OwnedFd,
}

impl Appender {
    pub fn start() -> io::Result<Appender> {
        let (groups, queue) = channel();
        let (done, landed) = channel();
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let wake = OwnedFd::from(wake);
        let bell = File::from(wake.try_clone()?);
        let blocked = SignalsBlocked::now();
        let work = move || work(&queue, &done, &bell);
        std::thread::Builder::new().name("aof".to_owned()).stack_size(256 << 10).spawn(work)?;
        drop(blocked);
        Ok(Appender { groups, landed, wake })
    }

    /// Becomes readable, edge by edge, whenever a group has landed. It need not be read.
    pub fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Hands a group over; `Err`: the thread is gone.
    pub fn submit(&self, group: Group) -> Result<(), Box<Group>> {
        self.groups.send(group).map_err(|refused| Box::new(refused.0))
    }

    /// The group that has landed, if it has.
    pub fn landed(&self) -> Option<Landed> {
        self.landed.try_recv().ok()
    }

    /// Waits for the group that was handed over. `None`: the thread is gone.
    pub fn wait(&self) -> Option<Landed> {
        self.landed.recv().ok()
    }
}

fn work(queue: &Receiver<Group>, done: &Sender<Landed>, mut bell: &File) {
    crash::use_alternate_stack();
    for Group { mut file, bytes, sync } in queue {
        let (written, failure) = write_whole(&mut file, &bytes);
        let began = clock::monotonic_ns();
        let synced = if sync && failure.is_none() { file.sync_data() } else { Ok(()) };
        let sync_ns = clock::monotonic_ns() - began;
        // If the loop is gone, so is everybody who waited.
        let _ = done.send(Landed { file, bytes, written, failure, synced, sync_ns });
        // A counter that is full has woken the loop.
        let _ = bell.write(&1u64.to_ne_bytes());
    }
}

/// Writes everything, or says how much was written before the error.
pub fn write_whole(file: &mut impl Write, bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Some(io::Error::from_raw_os_error(libc::ENOSPC))),
            Ok(n) => written += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Some(error)),
        }
    }
    (written, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_land_in_order_and_what_travelled_comes_back() {
        let path = std::env::temp_dir().join(format!("redstart-appender-{}", std::process::id()));
        let mut file = File::options().create_new(true).append(true).open(&path).unwrap();
        let appender = Appender::start().unwrap();
        assert!(appender.landed().is_none());
        for (n, sync) in [(1u8, false), (2, true), (3, true)] {
            appender.submit(Group { file, bytes: vec![n; 1000], sync }).unwrap();
            let landed = appender.wait().unwrap();
            assert_eq!((landed.written, landed.bytes.len()), (1000, 1000));
            assert!(landed.failure.is_none() && landed.synced.is_ok());
            file = landed.file;
        }
        let expected: Vec<u8> = [1u8, 2, 3].iter().flat_map(|&n| vec![n; 1000]).collect();
        assert_eq!(std::fs::read(&path).unwrap(), expected);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn an_error_says_how_far_it_came() {
        struct Small(usize);
        impl Write for Small {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if self.0 == 0 {
                    return Err(io::Error::from_raw_os_error(libc::EIO));
                }
                let n = bytes.len().min(self.0);
                self.0 -= n;
                Ok(n)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert!(matches!(write_whole(&mut Small(10), &[0; 10]), (10, None)));
        let (written, failure) = write_whole(&mut Small(7), &[0; 10]);
        assert_eq!((written, failure.unwrap().raw_os_error()), (7, Some(libc::EIO)));
        let readable = File::open("/dev/null").unwrap();
        let appender = Appender::start().unwrap();
        appender.submit(Group { file: readable, bytes: vec![0; 10], sync: true }).unwrap();
        let landed = appender.wait().unwrap();
        assert_eq!((landed.written, landed.failure.unwrap().raw_os_error()), (0, Some(libc::EBADF)));
    }
}
