//! Log lines, files, rotation and levels.

use super::*;
use crate::sys::fork::tests::in_child;
use std::path::Path;

fn temp_dir(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("redstart-log-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Each test logs in a child of its own, as the logger belongs to the process; the parent reads the file.
fn logged(name: &str, options: impl FnOnce(LogOptions) -> LogOptions, lines: impl FnOnce(&Path)) -> Vec<String> {
    let dir = temp_dir(name);
    let path = dir.join("redis.log");
    let options = options(LogOptions { file: Some(path.clone()), ..LogOptions::default() });
    let code = in_child(|| {
        set_role(Role::Master);
        init(options).unwrap();
        lines(&path);
        0
    });
    assert_eq!(code, 0);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::remove_dir_all(dir).unwrap();
    text.lines().map(str::to_string).collect()
}

/// Checks the shape of a line and answers `role level text`.
fn parts(line: &str) -> String {
    let (pid, rest) = line.split_once(':').unwrap();
    assert!(pid.parse::<u32>().is_ok(), "{line}");
    let words: Vec<&str> = rest.splitn(7, ' ').collect();
    let [role, day, month, year, time, mark, text] = words[..] else { panic!("{line}") };
    assert!(day.len() == 2 && month.len() == 3 && year.parse::<i32>().unwrap() >= 2024, "{line}");
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(shape, "99:99:99.999");
    format!("{role} {mark} {text}")
}

fn every_level() {
    log::trace!("a {}", 1);
    log::debug!("b");
    log::info!("c");
    log::warn!("d");
    log::error!("e");
}

#[test]
fn lines_have_the_form_of_redis() {
    let lines = logged("form", |o| LogOptions { level: Level::Debug, ..o }, |_| every_level());
    assert_eq!(lines.iter().map(|l| parts(l)).collect::<Vec<_>>(), ["M . a 1", "M - b", "M * c", "M # d", "M # e"]);
}

#[test]
fn the_level_holds_back_and_can_change() {
    let lines = logged(
        "level",
        |o| o,
        |_| {
            every_level();
            set_level(Level::Warning);
            every_level();
            log_raw(Level::Notice, "not seen");
            set_level(Level::Nothing);
            every_level();
            log_raw(Level::Warning, "not seen");
            log_text("not seen");
        },
    );
    assert_eq!(lines.iter().map(|l| parts(l)).collect::<Vec<_>>(), ["M * c", "M # d", "M # e", "M # d", "M # e"]);
}

#[test]
fn roles_and_raw_lines() {
    let lines = logged(
        "roles",
        |o| o,
        |_| {
            set_role(Role::Replica);
            log::info!("one");
            set_role(Role::Sentinel);
            log_raw(Level::Notice, "two");
            set_role(Role::Child);
            log_raw(Level::Warning, "three");
            log_text("bare\n");
        },
    );
    assert_eq!(lines[..3].iter().map(|l| parts(l)).collect::<Vec<_>>(), ["S * one", "X * two", "C # three"]);
    assert_eq!(lines[3], "bare");
}

#[test]
fn other_crates_speak_only_of_trouble() {
    let lines = logged(
        "crates",
        |o| LogOptions { level: Level::Debug, ..o },
        |_| {
            log::trace!(target: "mio::poll", "registering event source");
            log::warn!(target: "mio::poll", "trouble");
        },
    );
    assert_eq!(lines.iter().map(|l| parts(l)).collect::<Vec<_>>(), ["M # trouble"]);
}

#[test]
fn the_file_may_be_renamed_at_any_time() {
    let lines = logged(
        "rename",
        |o| o,
        |path| {
            log::info!("old");
            std::fs::rename(path, path.with_extension("old")).unwrap();
            log::info!("new");
        },
    );
    assert_eq!(lines.iter().map(|l| parts(l)).collect::<Vec<_>>(), ["M * new"]);
}

#[test]
fn a_full_file_is_rotated_but_not_by_a_child() {
    let lines = logged(
        "rotate",
        |o| LogOptions { max_size: 200, ..o },
        |path| {
            for n in 0..10 {
                log::info!("a line of some length, number {n}");
                assert!(std::fs::metadata(path).unwrap().len() <= 200);
            }
            let before = std::fs::read_to_string(path.with_extension("log.1")).unwrap();
            let now = std::fs::read_to_string(path).unwrap();
            // Two or three lines fit, depending on the digits of the process id.
            let numbers: Vec<char> = (before + &now).lines().filter_map(|line| line.chars().last()).collect();
            assert!(numbers.len() >= 3 && "0123456789".ends_with(&String::from_iter(numbers)));
            set_role(Role::Child);
            log_raw(Level::Notice, &"x".repeat(300));
        },
    );
    let last = lines.last().unwrap();
    assert!(lines.len() >= 2 && last.ends_with("xxx"), "the child has appended\n{last}");
}

#[test]
fn the_file_is_readable_by_others_and_writable_by_us_only() {
    use std::os::unix::fs::PermissionsExt;
    logged(
        "mode",
        |o| o,
        |path| {
            log::info!("x");
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o644);
        },
    );
}

#[test]
fn a_bad_file_or_facility_is_told() {
    let missing = LogOptions { file: Some("/nonexistent/redis.log".into()), ..LogOptions::default() };
    assert_eq!(init(missing).unwrap_err().kind(), io::ErrorKind::NotFound);
    let syslog = SyslogOptions { ident: "redis".into(), facility: "local9".into() };
    let error = init(LogOptions { syslog: Some(syslog), ..LogOptions::default() }).unwrap_err();
    assert!(error.to_string().contains("local9"));
}

#[test]
fn dates_are_those_of_the_c_library() {
    for secs in (-3_000_000_000i64..8_000_000_000).step_by(9_999_991) {
        let mut tm = std::mem::MaybeUninit::<libc::tm>::zeroed();
        let mut text = [0u8; 64];
        // SAFETY: all pointers are valid and the buffer's length is given.
        let len = unsafe {
            libc::gmtime_r(&secs, tm.as_mut_ptr());
            libc::strftime(text.as_mut_ptr().cast(), text.len(), c"%d %b %Y %H:%M:%S".as_ptr(), tm.as_ptr())
        };
        assert_eq!(Date::of(secs).to_string().as_bytes(), &text[..len], "{secs}");
    }
}

#[test]
fn the_time_is_local() {
    let code = in_child(|| {
        // SAFETY: one thread in this child.
        unsafe { std::env::set_var("TZ", "XST-5:30") };
        OFFSET_MINUTE.store(i64::MIN, Relaxed);
        // SAFETY: as above.
        unsafe {
            unsafe extern "C" {
                fn tzset();
            }
            tzset();
        }
        i32::from(local_offset(1_700_000_000) != 19_800)
    });
    assert_eq!(code, 0);
}
