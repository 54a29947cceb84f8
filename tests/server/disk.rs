//! A disk that is full, and one that fails to sync: clients are told, nothing acknowledged is lost, service resumes.
//!
//! *Duty:* a tmpfs of 1 MB in a mount namespace of its own (needs root and `unshare`), and fsync calls that answer EIO
//! while a file exists (a library made with `cc`, loaded before libc). *Does not know:* how the server finds its way
//! back. Where the means are missing a test says so and passes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Client, Folder, Reply, Server, binary, free_port, status, wait_until};

const VALUE_BYTES: usize = 10_000;

/// A mount namespace with a tmpfs, as long as its first process lives.
struct SmallDisk {
    holder: Child,
    path: PathBuf,
}

impl SmallDisk {
    /// None: this user may not, or the tools are not there.
    fn new(path: PathBuf) -> Option<SmallDisk> {
        fs::create_dir(&path).unwrap();
        let script = format!("mount -t tmpfs -o size=1m none '{}' && echo mounted && exec sleep 600", path.display());
        let command = Command::new("unshare")
            .args(["-m", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut holder = command.ok()?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let disk = SmallDisk { holder, path };
        (line == "mounted\n").then_some(disk)
    }

    /// Something that is run within the namespace.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-m", "-t", &self.holder.id().to_string()]).arg(program);
        command
    }

    fn grow(&self) {
        let mut command = self.command(Path::new("mount"));
        command.args(["-o", "remount,size=8m"]).arg(&self.path);
        assert!(command.status().unwrap().success());
    }

    fn start(&self, log: &Path, fsync: &str) -> OnSmallDisk {
        let port = free_port();
        let out = fs::File::options().create(true).append(true).open(log).unwrap();
        let mut command = self.command(&binary());
        let config =
            ["--appendonly", "yes", "--save", "", "--auto-aof-rewrite-percentage", "0", "--appendfsync", fsync];
        let child = command
            .args(["--port", &port.to_string(), "--dir", self.path.to_str().unwrap()])
            .args(config)
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .spawn()
            .unwrap();
        let mut server = OnSmallDisk { child, port };
        wait_until("the server on the small disk", || {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", fs::read_to_string(log).unwrap());
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
                && Client::connect(port).ask(&["PING"]) == status("PONG")
        });
        server
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

struct OnSmallDisk {
    child: Child,
    port: u16,
}

impl Drop for OnSmallDisk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was acknowledged, and what was refused.
#[derive(Default)]
struct Ledger {
    kept: BTreeMap<String, String>,
    refused: usize,
    next: usize,
}

impl Ledger {
    fn set(&mut self, client: &mut Client, size: usize) -> bool {
        let key = format!("key:{}", self.next);
        let value = format!("{:0size$}", self.next);
        self.next += 1;
        match client.ask(&["SET", &key, &value]) {
            Reply::Error(text) => {
                assert!(text.starts_with("MISCONF Errors writing to the AOF file: "), "{text}");
                self.refused += 1;
                false
            }
            other => {
                assert_eq!(other, status("OK"));
                self.kept.insert(key, value);
                true
            }
        }
    }

    fn lost(&self, client: &mut Client) -> usize {
        self.kept
            .iter()
            .filter(|(key, value)| client.ask(&["GET", key]) != Reply::Bulk(value.as_bytes().into()))
            .count()
    }
}

fn check_aof(mut command: Command, folder: &Path) {
    let said = command.arg(folder.join("appendonlydir/appendonly.aof.manifest")).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success() && text.contains("All AOF files and manifest are valid"), "{text}");
}

const CHECKER: &str = env!("CARGO_BIN_EXE_redis-check-aof");

#[test]
fn a_full_disk_loses_nothing_acknowledged_and_service_resumes() {
    for fsync in ["always", "everysec"] {
        let folder = Folder::new();
        let Some(disk) = SmallDisk::new(folder.join("small")) else {
            println!("left out: no mount namespace can be made here (root and unshare are needed)");
            return;
        };
        let log = folder.join("log");
        let mut ledger = Ledger::default();
        let server = disk.start(&log, fsync);
        let mut client = Client::connect(server.port);
        while ledger.set(&mut client, VALUE_BYTES) {
            assert!(ledger.next < 200, "1 MB takes no 200 values of 10 kB");
        }
        let full_at = ledger.kept.len();
        for _ in 0..20 {
            ledger.set(&mut client, VALUE_BYTES);
        }
        assert_eq!(client.info("aof_last_write_status"), "err");
        assert_eq!(ledger.lost(&mut client), 0, "it can be read meanwhile");
        let server = if fsync == "always" {
            // Even a crash in this state takes nothing away, and the server starts on the full disk.
            kill(Pid::from_raw(server.child.id() as i32), Signal::SIGKILL).unwrap();
            drop(server);
            let server = disk.start(&log, fsync);
            client = Client::connect(server.port);
            assert_eq!(ledger.lost(&mut client), 0, "always, killed while the disk was full");
            while ledger.set(&mut client, VALUE_BYTES) {}
            server
        } else {
            server
        };
        disk.grow();
        wait_until("service to resume", || ledger.set(&mut client, VALUE_BYTES));
        for _ in 0..20 {
            assert!(ledger.set(&mut client, VALUE_BYTES));
        }
        assert_eq!(client.info("aof_last_write_status"), "ok");
        thread::sleep(Duration::from_millis(1200));
        drop(server);
        check_aof(disk.command(Path::new(CHECKER)), &disk.path);
        let server = disk.start(&log, fsync);
        let lost = ledger.lost(&mut Client::connect(server.port));
        let said = fs::read_to_string(&log).unwrap();
        println!(
            "{fsync}: full after {full_at} values of {VALUE_BYTES} bytes, {} refused, {} acknowledged in all, {lost} lost",
            ledger.refused,
            ledger.kept.len()
        );
        assert_eq!(lost, 0, "{said}");
        assert!(!said.contains("damaged") && !said.contains("longer once"), "{said}");
    }
}

const SHIM: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
static int refuses(void) {
    const char *name = getenv("REFUSE_SYNC");
    return name && access(name, F_OK) == 0;
}
static int sync_by(int number, int fd) {
    const char *slow = getenv("SLOW_SYNC_MS"), *log = getenv("SYNC_LOG");
    struct stat before;
    int known = fstat(fd, &before) == 0;
    if (slow) usleep(1000 * atoi(slow));
    if (refuses()) { errno = EIO; return -1; }
    int result = syscall(number, fd);
    if (log && known && result == 0) {
        char line[32];
        int out = open(log, O_WRONLY | O_APPEND | O_CREAT, 0600);
        int len = snprintf(line, sizeof line, "%ld\n", (long) before.st_size);
        if (write(out, line, len) != len) abort();
        close(out);
    }
    return result;
}
int fsync(int fd) { return sync_by(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_by(SYS_fdatasync, fd); }
"#;

/// A library that makes syncing fail while the file REFUSE_SYNC exists, lets it take SLOW_SYNC_MS, and adds to the file
/// SYNC_LOG with what size each sync that succeeded had begun. None: there is no `cc`.
pub fn shim(folder: &Folder) -> Option<String> {
    let source = folder.write("shim.c", SHIM);
    let library = folder.join("shim.so");
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
    made.is_ok_and(|status| status.success()).then(|| library.to_str().unwrap().to_owned())
}

#[test]
fn a_failing_fsync_is_told_and_everything_is_written_anew() {
    for fsync in ["always", "everysec"] {
        let folder = Folder::new();
        let Some(library) = shim(&folder) else {
            println!("left out: there is no C compiler");
            return;
        };
        let refuse = folder.join("refuse");
        let config = format!("save \"\"\nappendonly yes\nappendfsync {fsync}\nauto-aof-rewrite-percentage 0\n");
        let env = [("LD_PRELOAD", library.as_str()), ("REFUSE_SYNC", refuse.to_str().unwrap())];
        let Ok(server) = Server::start_or_end(folder, &config, &env) else { panic!("it did not start") };
        let mut client = server.client();
        let mut ledger = Ledger::default();
        for _ in 0..50 {
            assert!(ledger.set(&mut client, 100));
        }
        fs::write(&refuse, "").unwrap();
        if fsync == "always" {
            assert!(!ledger.set(&mut client, 100), "what is not synced is not acknowledged");
        } else {
            wait_until("everysec to tell", || !ledger.set(&mut client, 100));
        }
        let unsure = ledger.kept.len();
        for _ in 0..20 {
            assert!(!ledger.set(&mut client, 100), "nothing is accepted while syncing fails");
        }
        // A few attempts to write everything anew, which fail as well.
        thread::sleep(Duration::from_millis(2500));
        assert!(!ledger.set(&mut client, 100));
        assert_eq!(client.info("aof_last_write_status"), "err");
        fs::remove_file(&refuse).unwrap();
        wait_until("service to resume", || ledger.set(&mut client, 100));
        assert!(server.log().contains("AOF rewrite finished successfully"), "everything was written anew");
        for _ in 0..20 {
            assert!(ledger.set(&mut client, 100));
        }
        assert_eq!(client.info("aof_last_write_status"), "ok");
        let folder = server.into_folder();
        check_aof(Command::new(CHECKER), folder.path());
        let Ok(server) = Server::start_or_end(folder, &config, &[]) else { panic!("it did not start again") };
        let lost = ledger.lost(&mut server.client());
        println!(
            "{fsync}: {} acknowledged ({unsure} before the failure was told), {} refused, {lost} lost",
            ledger.kept.len(),
            ledger.refused
        );
        assert_eq!(lost, 0);
    }
}
