//! The files of a start: the configuration, the working folder, the locks.
//!
//! *Duty:* read what `config::parse` asks for, say all that is wrong with it, and make sure that no other running
//! instance writes the same files. *Counterpart in C Redis:* `loadServerConfig`.

use std::fs;
use std::io::{IsTerminal, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Refusal, Source, users};
use crate::base::glob::{self, Case};
use crate::config::arguments::CommandLine;
use crate::config::parse::{self, Include, Loader, Mode};
use crate::config::{Config, Finding, check, finding, fix, repair};
use crate::server::version::REDIS_VERSION;
use crate::sys::file_lock::{FileLock, Hold, LockError, LockInfo};
use crate::sys::files::replace_file;
use crate::sys::{kernel, process};

/// Reads all sources of a configuration. The text of a refusal is what belongs on standard error.
pub fn load(line: &CommandLine) -> Result<Source, Refusal> {
    let mut loader = Loader::new(Mode::Server);
    let mut file = None;
    let mut name = String::new();
    if let Some(path) = &line.file {
        name = String::from_utf8_lossy(path).into_owned();
        let text = fs::read(&name).map_err(|error| missing(&name, &error.to_string()))?;
        file = fs::canonicalize(&name).ok();
        parse::parse_lines(&text, &name, &mut loader, &mut read_include);
    }
    if line.stdin {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text).map_err(|e| format!("Can't read standard input: {e}"))?;
        parse::parse_lines(&text, parse::STDIN, &mut loader, &mut read_include);
    }
    parse::parse_lines(&line.options, parse::ARGUMENTS, &mut loader, &mut read_include);
    let mut loaded = loader.finish();
    users::judge(&mut loaded);
    if finding::is_fatal(&loaded.findings) {
        return Err(finding::fatal_text(&loaded.findings, &name, REDIS_VERSION));
    }
    Ok(Source { loaded, file })
}

/// The message for a main file that cannot be read, with the nearest name that exists.
fn missing(name: &str, error: &str) -> Refusal {
    let path = Path::new(name);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names: Vec<String> = fs::read_dir(folder)
        .map(|dir| dir.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    let wanted = path.file_name().unwrap_or_default().to_string_lossy();
    let near = repair::nearest(wanted.as_bytes(), names.iter().map(String::as_str));
    let hint = near.map_or_else(String::new, |n| format!("\nDid you mean '{}'?", folder.join(n).display()));
    format!("\n*** FATAL CONFIG FILE ERROR (Redis {REDIS_VERSION}) ***\nCan't open config file '{name}': {error}{hint}")
}

fn read_include(include: Include<'_>) -> Result<Vec<(String, Vec<u8>)>, String> {
    let path = Path::new(include.dir).join(include.pattern);
    let paths = if include.pattern.contains(['*', '?', '[']) { expand(&path) } else { vec![path] };
    let read = |p: PathBuf| match fs::read(&p) {
        Ok(text) => Ok((p.display().to_string(), text)),
        Err(error) => Err(format!("Can't open config file '{}': {error}", p.display())),
    };
    paths.into_iter().map(read).collect()
}

/// All paths that match a pattern, in order of their names.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let text = part.as_os_str().to_string_lossy();
        if !text.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|p| p.push(part));
            continue;
        }
        let matching = |folder: &PathBuf| -> Vec<PathBuf> {
            let open = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let names = fs::read_dir(open).into_iter().flatten().flatten().map(|e| e.file_name());
            let wanted = |n: &std::ffi::OsString| {
                let name = n.to_string_lossy();
                let hidden = name.starts_with('.') && !text.starts_with('.');
                !hidden && glob::matches(text.as_bytes(), name.as_bytes(), Case::Sensitive)
            };
            names.filter(wanted).map(|n| folder.join(n)).collect()
        };
        found = found.iter().flat_map(matching).collect();
    }
    found.retain(|p| p.exists());
    found.sort();
    found
}

/// `--check-config`: prints all findings, writes the corrected file if asked; the exit code.
pub fn check_config(file: &str, repair: bool) -> i32 {
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{}", missing(file, &error.to_string()));
            return 1;
        }
    };
    let text = if repair {
        let (fixed, changes) = fix::fix(&text, file);
        changes.iter().for_each(|f| println!("{f}"));
        if fixed != text {
            if let Err(error) = replace(file, &fixed) {
                eprintln!("Can't write '{file}': {error}");
                return 1;
            }
            println!("{file}: corrected; the old lines are kept as comments.");
        }
        fixed
    } else {
        text
    };
    let mut loader = Loader::new(Mode::Server);
    parse::parse_lines(&text, file, &mut loader, &mut read_include);
    let mut loaded = loader.finish();
    users::judge(&mut loaded);
    let mut findings: Vec<Finding> = loaded.findings.clone();
    findings.extend(check::check(&loaded, &facts(&loaded.config)));
    findings.iter().for_each(|f| println!("{f}"));
    let bad = finding::is_fatal(&findings);
    println!("{file}: {}", if bad { "not usable" } else { "usable" });
    bad as i32
}

/// Puts a corrected text in the place of a file that keeps its permissions.
fn replace(file: &str, text: &[u8]) -> std::io::Result<()> {
    let mode = fs::metadata(file)?.permissions().mode();
    replace_file(Path::new(file), text, mode & 0o7777)
}

fn facts(config: &Config) -> check::Facts {
    let folder = if config.dir.is_empty() { Path::new(".") } else { Path::new(&config.dir) };
    let dir_problem = match fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => None,
        Ok(_) => Some(format!("'{}' is not a folder", folder.display())),
        Err(e) => Some(format!("'{}', as user {}: {e}", folder.display(), process::user_name())),
    };
    check::Facts {
        ram_bytes: Some(kernel::total_ram()).filter(|n| *n > 0),
        cgroup_limit_bytes: kernel::cgroup_memory_limit(),
        dir_problem,
        logfile_problem: None,
        held_files: Vec::new(),
    }
}

/// Makes `dir` the working folder, and an absolute path.
pub fn enter_dir(config: &mut Config) -> Result<(), Refusal> {
    if !config.dir.is_empty() {
        std::env::set_current_dir(&config.dir)
            .map_err(|error| format!("Can't chdir to '{}': {error} (as user {})", config.dir, process::user_name()))?;
    }
    let here = std::env::current_dir().map_err(|e| format!("Can't tell the working folder: {e}"))?;
    config.dir = here.to_string_lossy().into_owned();
    Ok(())
}

/// Locks every file that this instance would write, so that a second one cannot overwrite it. Of `held`, what is still
/// needed stays, and the rest goes when all that is new is had: a refusal leaves everything as it was.
pub fn lock_data(config: &Config, file: Option<&Path>, held: &mut Vec<FileLock>) -> Result<(), Refusal> {
    let dir = Path::new(&config.dir);
    let mut wanted = Vec::new();
    if config.file_lock && config.appendonly {
        let folder = dir.join(&config.appenddirname);
        // Whoever cannot make it cannot lock in it either, and hears why then.
        let _ = std::fs::create_dir(&folder);
        wanted.push((folder, config.appendfilename.as_str(), "appendfilename", Hold::Alone));
    }
    if config.file_lock && !config.save.is_empty() {
        // With an append only file the snapshot is not what the next start loads.
        let hold = if config.appendonly { Hold::Shared } else { Hold::Alone };
        wanted.push((dir.to_owned(), config.dbfilename.as_str(), "dbfilename", hold));
    }
    let info = LockInfo {
        pid: std::process::id() as i32,
        port: config.port,
        config: file.map(|f| f.display().to_string()).unwrap_or_default(),
    };
    let (mut fresh, mut kept) = (Vec::new(), Vec::new());
    for (folder, name, directive, hold) in wanted {
        let data = folder.join(name);
        let side = FileLock::path_for(&data).map_err(|error| format!("Can't lock {}: {error}", data.display()))?;
        if let Some(lock) = held.iter_mut().find(|lock| lock.path() == side) {
            lock.change(hold).map_err(|error| refusal(config, &data, (name, directive), file, &error))?;
            kept.push(side);
        } else {
            let lock = FileLock::acquire(&data, hold, &info);
            fresh.push(lock.map_err(|error| refusal(config, &data, (name, directive), file, &error))?);
        }
    }
    held.retain(|lock| kept.iter().any(|side| lock.path() == side));
    for lock in held.iter_mut() {
        lock.update(&info).map_err(|error| format!("Can't write {}: {error}", lock.path().display()))?;
    }
    held.append(&mut fresh);
    Ok(())
}

/// Why a data file cannot be had: names who holds it and what to change.
fn refusal(
    config: &Config,
    data: &Path,
    (name, directive): (&str, &str),
    file: Option<&Path>,
    error: &LockError,
) -> Refusal {
    match error {
        LockError::Held { .. } => format!(
            "Another running instance writes {} ({error}). Change '{directive} {name}' or 'dir {}' in {} so that each \
             instance has its own files, or set 'file-lock no' if they may overwrite each other.",
            data.display(),
            config.dir,
            file.map_or_else(|| "the arguments".to_owned(), |f| f.display().to_string()),
        ),
        LockError::Io { .. } => format!("Can't lock {}: {error}", data.display()),
    }
}

/// Whether standard output is a terminal, where a person looks.
pub fn on_terminal() -> bool {
    std::io::stdout().is_terminal()
}
