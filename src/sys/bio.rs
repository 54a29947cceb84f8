//! The background thread: the only other thread that stays.
//!
//! *Duty:* three things that may take the kernel or the allocator long: fsync, closing (the last close of an
//! unlinked file frees its blocks), and dropping large values.
//! *Does not know:* what a value or a file is for. Jobs are owned; nothing is shared but the queue and counters.
//! *Invariants:* one thread, jobs in the order given, whatever their kind; all signals but those of a crash are
//! blocked in it; it never logs (what failed is told by [`Bio::fsync_state`]); it holds no lock across a fork that a
//! child would need: the queue is not used by children, and jemalloc guards itself with `pthread_atfork`.
//! *Counterpart in C Redis:* `bio.c`, which has three threads.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use crate::sys::{affinity, crash};

/// One thing to do.
pub enum Job {
    /// Flush a file to disk. Pass a duplicate of the descriptor; it is closed afterwards. `upto` is the caller's
    /// measure of what the file holds (an offset) and is handed back by [`Bio::fsync_state`].
    Fsync { fd: OwnedFd, upto: u64 },
    /// Close a file, after flushing it when asked to.
    Close { fd: OwnedFd, fsync: bool },
    /// Free memory: how many objects, and how many bytes as far as that is known.
    Drop { what: Box<dyn Send>, objects: usize, bytes: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Fsync,
    Close,
    Drop,
}

/// What the fsyncs of the background thread have come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsyncState {
    /// The `upto` of the last fsync that succeeded.
    pub synced_upto: u64,
    /// The errno of the last fsync that failed since [`Bio::forget_fsync_error`], 0 when none did.
    pub errno: i32,
}

static PENDING: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];
static COMPLETED: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
static PENDING_OBJECTS: AtomicUsize = AtomicUsize::new(0);
static PENDING_BYTES: AtomicUsize = AtomicUsize::new(0);
static DROPPED_OBJECTS: AtomicU64 = AtomicU64::new(0);
static SYNCED_UPTO: AtomicU64 = AtomicU64::new(0);
static FSYNC_ERRNO: AtomicI32 = AtomicI32::new(0);

enum Message {
    Job(Job),
    Reached(SyncSender<()>),
}

/// The least favoured there is.
const BIO_NICE: libc::c_int = 19;

/// The way to hand jobs over. The counters are of the process, as there is one such thread in it.
pub struct Bio {
    queue: Sender<Message>,
}

impl Bio {
    /// Starts the thread. Call it after daemonizing: threads do not survive a fork.
    pub fn start(processors: &str) -> std::io::Result<Bio> {
        let (queue, jobs) = channel();
        let processors = processors.to_owned();
        let blocked = SignalsBlocked::now();
        std::thread::Builder::new()
            .name("bio".to_string())
            .stack_size(256 << 10)
            .spawn(move || work(jobs, &processors))?;
        drop(blocked);
        Ok(Bio { queue })
    }

    /// Hands a job over; it runs after all earlier ones.
    pub fn submit(&self, job: Job) {
        let kind = job.kind();
        PENDING[kind as usize].fetch_add(1, Ordering::Relaxed);
        if let Job::Drop { objects, bytes, .. } = &job {
            PENDING_OBJECTS.fetch_add(*objects, Ordering::Relaxed);
            PENDING_BYTES.fetch_add(*bytes, Ordering::Relaxed);
        }
        // In a forked child there is no thread to take the job. Its memory and descriptors end with the child.
        if let Err(refused) = self.queue.send(Message::Job(job)) {
            PENDING[kind as usize].fetch_sub(1, Ordering::Relaxed);
            drop(refused);
        }
    }

    /// Jobs of a kind that are waiting or running.
    pub fn pending(&self, kind: Kind) -> usize {
        PENDING[kind as usize].load(Ordering::Acquire)
    }

    /// Jobs of a kind done since start.
    pub fn completed(&self, kind: Kind) -> u64 {
        COMPLETED[kind as usize].load(Ordering::Relaxed)
    }

    /// Objects handed over to be freed that are not free yet.
    pub fn pending_objects(&self) -> usize {
        PENDING_OBJECTS.load(Ordering::Acquire)
    }

    /// Bytes that will come free when all that was handed over is.
    pub fn pending_bytes(&self) -> usize {
        PENDING_BYTES.load(Ordering::Acquire)
    }

    /// Objects freed since the start.
    pub fn dropped_objects(&self) -> u64 {
        DROPPED_OBJECTS.load(Ordering::Acquire)
    }

    /// How far the file is on disk, and whether the last attempt failed.
    pub fn fsync_state(&self) -> FsyncState {
        let errno = FSYNC_ERRNO.load(Ordering::Acquire);
        FsyncState { synced_upto: SYNCED_UPTO.load(Ordering::Acquire), errno }
    }

    /// The error has been dealt with.
    pub fn forget_fsync_error(&self) {
        FSYNC_ERRNO.store(0, Ordering::Release);
    }

    /// Waits until everything handed over so far is done. For shutdown, and before an AOF file is replaced.
    pub fn drain(&self) {
        let (reached, wait) = sync_channel(1);
        if self.queue.send(Message::Reached(reached)).is_ok() {
            // An error means that the thread is gone, and with it all there was to wait for.
            let _ = wait.recv();
        }
    }
}

impl Job {
    fn kind(&self) -> Kind {
        match self {
            Job::Fsync { .. } => Kind::Fsync,
            Job::Close { .. } => Kind::Close,
            Job::Drop { .. } => Kind::Drop,
        }
    }

    fn run(self) {
        match self {
            Job::Fsync { fd, upto } => {
                let errno = fsync(&fd);
                if errno == 0 {
                    SYNCED_UPTO.store(upto, Ordering::Release);
                } else {
                    // It stays until somebody has seen it: a later success does not bring back what this one lost.
                    FSYNC_ERRNO.store(errno, Ordering::Release);
                }
            }
            Job::Close { fd, fsync: flush } => {
                let errno = if flush { fsync(&fd) } else { 0 };
                if errno != 0 {
                    FSYNC_ERRNO.store(errno, Ordering::Release);
                }
            }
            Job::Drop { what, objects, bytes } => {
                drop(what);
                PENDING_BYTES.fetch_sub(bytes, Ordering::Release);
                DROPPED_OBJECTS.fetch_add(objects as u64, Ordering::Release);
                PENDING_OBJECTS.fetch_sub(objects, Ordering::Release);
            }
        }
    }
}

fn work(jobs: Receiver<Message>, processors: &str) {
    // If it is refused, the thread runs where it likes; whoever wrote the list hears so from the main thread.
    let _ = affinity::bind_thread(processors);
    // On a core that it shares with the loop, this thread must not take a whole time slice while a client waits.
    // SAFETY: a call with numbers only; on Linux a `who` of 0 is the calling thread. If it is refused, the thread
    // merely competes.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, BIO_NICE) };
    crash::use_alternate_stack();
    for message in jobs {
        match message {
            Message::Job(job) => {
                let kind = job.kind() as usize;
                job.run();
                COMPLETED[kind].fetch_add(1, Ordering::Relaxed);
                PENDING[kind].fetch_sub(1, Ordering::Release);
            }
            // The waiter may have gone; nothing depends on it.
            Message::Reached(waiter) => drop(waiter.send(())),
        }
    }
}

/// Flushes data, and of the metadata what is needed to read them back. Answers the errno, or 0.
fn fsync(fd: &OwnedFd) -> i32 {
    loop {
        // SAFETY: the descriptor is owned, hence open.
        if unsafe { libc::fdatasync(fd.as_raw_fd()) } == 0 {
            return 0;
        }
        match std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO) {
            libc::EINTR => {}
            // A pipe or a device: there is nothing to flush.
            libc::EINVAL | libc::EROFS => return 0,
            errno => return errno,
        }
    }
}

/// All signals but those of a crash are blocked in this thread, and in threads it starts, until the value is dropped.
pub(super) struct SignalsBlocked {
    before: libc::sigset_t,
}

/// A thread that blocked these would end the process without a crash report.
const CRASHES: [libc::c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT];

impl SignalsBlocked {
    pub(super) fn now() -> SignalsBlocked {
        let mut all = std::mem::MaybeUninit::uninit();
        let mut before = std::mem::MaybeUninit::uninit();
        // SAFETY: sigfillset initializes `all`, pthread_sigmask reads it and initializes `before`; with these
        // arguments none of the calls can fail.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            for crash in CRASHES {
                libc::sigdelset(all.as_mut_ptr(), crash);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            SignalsBlocked { before: before.assume_init() }
        }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: `before` is the mask that was in force.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::sync::mpsc;

    // The counters are of the process, so one test asks all the questions.
    #[test]
    fn jobs_run_in_order_and_are_counted() {
        let before = mask_of("thread-self");
        let bio = Bio::start("").unwrap();
        bio.drain();
        assert_eq!(mask_of("thread-self"), before, "the starting thread has its mask back");
        // 1 to 31 but KILL (9) and STOP (19), which cannot be blocked, and the five of a crash.
        let crashes = CRASHES.iter().fold(0u64, |mask, signal| mask | 1 << (signal - 1));
        assert_eq!(mask_of(&bio_task()) & 0x7fff_ffff, 0x7fff_ffff & !(1 << 8 | 1 << 18 | crashes));

        struct Tell(mpsc::Sender<(u32, Option<String>)>, u32);
        impl Drop for Tell {
            fn drop(&mut self) {
                let name = std::thread::current().name().map(str::to_string);
                self.0.send((self.1, name)).unwrap();
            }
        }
        let (tx, rx) = mpsc::channel();
        for n in 0..3 {
            bio.submit(Job::Drop { what: Box::new(Tell(tx.clone(), n)), objects: 2, bytes: 100 });
        }
        bio.drain();
        let seen: Vec<_> = rx.try_iter().collect();
        assert_eq!(seen, [0, 1, 2].map(|n| (n, Some("bio".to_string()))));
        assert_eq!((bio.pending(Kind::Drop), bio.completed(Kind::Drop)), (0, 3));
        assert_eq!((bio.pending_objects(), bio.pending_bytes(), bio.dropped_objects()), (0, 0, 6));

        let path = std::env::temp_dir().join(format!("redstart-bio-{}", std::process::id()));
        let file = std::fs::File::create(&path).unwrap();
        bio.submit(Job::Fsync { fd: file.try_clone().unwrap().into(), upto: 77 });
        bio.drain();
        assert_eq!(bio.fsync_state(), FsyncState { synced_upto: 77, errno: 0 });
        std::fs::remove_file(&path).unwrap();

        let (reader, writer) = nix::unistd::pipe().unwrap();
        bio.submit(Job::Close { fd: writer, fsync: true });
        // Only the close of the last writer ends this read.
        assert_eq!(std::fs::File::from(reader).read(&mut [0]).unwrap(), 0);
        bio.drain();
        assert_eq!(bio.completed(Kind::Close), 1);
        assert_eq!(bio.fsync_state().errno, 0);
    }

    fn bio_task() -> String {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let mut tasks = tasks.map(|task| format!("self/task/{}", task.unwrap().file_name().to_string_lossy()));
        let named = |task: &String| std::fs::read_to_string(format!("/proc/{task}/comm")).is_ok_and(|n| n == "bio\n");
        tasks.find(named).unwrap()
    }

    fn mask_of(task: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{task}/status")).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap()
    }
}
