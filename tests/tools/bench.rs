//! A folder of files, and programs that are run in it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

pub const CHECK_DUMP: &str = env!("CARGO_BIN_EXE_redis-check-dump");
pub const CHECK_AOF: &str = env!("CARGO_BIN_EXE_redis-check-aof");
pub const SERVER: &str = env!("CARGO_BIN_EXE_redis-server");

pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("redstart-tools-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub fn with(files: &[(&str, &[u8])]) -> Folder {
        let folder = Folder::new();
        files.iter().for_each(|(name, bytes)| folder.write(name, bytes));
        folder
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.join(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// What was cut off `name`, piece by piece.
    pub fn cut_off(&self, name: &str) -> Vec<Vec<u8>> {
        let kept = format!("{name}.cut-");
        self.names().iter().filter(|name| name.starts_with(&kept)).map(|name| self.read(name)).collect()
    }

    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Runs a program here; `answer` is its standard input.
    pub fn run(&self, program: impl AsRef<Path>, args: &[&str], answer: &str) -> Said {
        let mut child = Command::new(program.as_ref())
            .args(args)
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that has ended without asking does not take it.
        let _ = child.stdin.take().unwrap().write_all(answer.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// The program of 7.0.15 with this name, if the machine has it.
pub fn reference(name: &str) -> Option<PathBuf> {
    let path = Path::new("/usr/bin").join(name);
    let server = Command::new("/usr/bin/redis-server").arg("--version").output().ok()?;
    let fits = path.exists() && String::from_utf8_lossy(&server.stdout).contains("v=7.0.15 ");
    if !fits {
        eprintln!("no {name} of 7.0.15 here: nothing to compare with");
    }
    fits.then_some(path)
}

/// A command as an AOF has it.
pub fn command(args: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        bytes.extend_from_slice(format!("${}\r\n{arg}\r\n", arg.len()).as_bytes());
    }
    bytes
}

pub fn commands(all: &[&[&str]]) -> Vec<u8> {
    all.iter().flat_map(|args| command(args)).collect()
}

/// A snapshot that 7.0.15 wrote.
pub fn snapshot(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rdb").join(name)).unwrap()
}
