//! The crash report, from children that crash.

use super::*;
use crate::sys::fork::tests::in_child;
use crate::sys::log::LogOptions;

/// Runs something fatal in a child; answers how the child ended and what it logged.
fn report_of(name: &str, enabled: bool, crash: impl FnOnce()) -> (i32, String) {
    let path = std::env::temp_dir().join(format!("redstart-crash-{name}-{}", std::process::id()));
    let code = in_child(|| {
        log::init(LogOptions { file: Some(path.clone()), ..LogOptions::default() }).unwrap();
        install("7.0.15", enabled);
        register_section("INFO OUTPUT", || "# Server\nredis_version:7.0.15".to_string());
        register_section("CONFIG DEBUG OUTPUT", || "lazyfree-lazy-eviction no\n".to_string());
        crash();
        0
    });
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let _ = std::fs::remove_file(&path);
    (code, text)
}

fn assert_in_order(report: &str, parts: &[&str]) {
    let mut rest = report;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is missing, or too early, in\n{report}"));
        rest = &rest[at + part.len()..];
    }
}

#[inline(never)]
fn write_to_a_bad_address() {
    let address = std::hint::black_box(0x10usize);
    // SAFETY: none; the fault is what the test is about, and it happens in a child.
    unsafe { (address as *mut u8).write_volatile(1) };
}

#[test]
fn a_fault_is_reported_and_then_happens() {
    let (code, report) = report_of("segv", true, write_to_a_bad_address);
    assert_eq!(code, 1000 + libc::SIGSEGV, "{report}");
    assert_in_order(
        &report,
        &[
            "\n\n=== REDIS BUG REPORT START: Cut & paste starting from here ===\n",
            " # Redis 7.0.15 crashed by signal: 11, si_code: 1\n",
            " # Accessing address: 0x10\n",
            " # Crashed running the instruction at: 0x",
            "\n------ STACK TRACE ------\n",
            "\n------ REGISTERS ------\n",
            "RAX:",
            ") -> ",
            "\nBacktrace:\n",
            "write_to_a_bad_address",
            "\n------ INFO OUTPUT ------\n# Server\nredis_version:7.0.15\n",
            "\n------ CONFIG DEBUG OUTPUT ------\nlazyfree-lazy-eviction no\n",
            "\n=== REDIS BUG REPORT END. Make sure to include from START to END. ===\n",
        ],
    );
    assert_eq!(report.matches("STACK TRACE").count(), 1);
    assert!(!report.contains("Killed by PID"));
    assert!(!report.contains("on_signal"), "the report's own frames are left out\n{report}");
}

#[test]
fn a_signal_from_a_process_names_it() {
    let (code, report) = report_of("kill", true, || {
        // SAFETY: a plain system call.
        unsafe { libc::kill(libc::getpid(), libc::SIGABRT) };
    });
    assert_eq!(code, 1000 + libc::SIGABRT);
    assert_in_order(&report, &["crashed by signal: 6, si_code: 0\n", " # Killed by PID: ", ", UID: "]);
    assert!(!report.contains("Accessing address"));
}

#[inline(never)]
fn fails_an_assertion(value: u32) {
    assert!(std::hint::black_box(value) == 1, "value is {value}");
}

#[test]
fn a_panic_is_an_assertion_that_failed() {
    let (code, report) = report_of("panic", true, || fails_an_assertion(2));
    assert_eq!(code, 1000 + libc::SIGABRT, "{report}");
    assert_in_order(
        &report,
        &[
            "=== REDIS BUG REPORT START",
            " # === ASSERTION FAILED ===\n",
            "src/sys/crash/tests.rs:",
            " 'value is 2'\n",
            "------ STACK TRACE ------",
            "fails_an_assertion",
            "------ INFO OUTPUT ------",
            "=== REDIS BUG REPORT END.",
        ],
    );
    assert!(!report.contains("crashed by signal"));
}

#[test]
fn without_the_crash_log_a_fault_is_silent_and_a_panic_short() {
    assert_eq!(report_of("off", false, write_to_a_bad_address), (1000 + libc::SIGSEGV, String::new()));
    let (code, report) = report_of("off", false, || fails_an_assertion(3));
    assert_eq!(code, 1000 + libc::SIGABRT);
    assert!(report.contains("'value is 3'") && !report.contains("STACK TRACE") && !report.contains("INFO OUTPUT"));
}

#[test]
fn a_section_that_faults_ends_the_report() {
    let (code, report) = report_of("again", true, || {
        register_section("CLIENT LIST OUTPUT", || {
            write_to_a_bad_address();
            String::new()
        });
        // SAFETY: a plain system call.
        unsafe { libc::kill(libc::getpid(), libc::SIGFPE) };
    });
    assert_eq!(code, 1000 + libc::SIGFPE);
    assert_in_order(
        &report,
        &["CONFIG DEBUG OUTPUT", "CLIENT LIST OUTPUT", "Crashed again, by signal 11", "REPORT END"],
    );
    assert_eq!(report.matches("STACK TRACE").count(), 1);
}

#[test]
fn running_out_of_stack_is_reported() {
    #[allow(unconditional_recursion)]
    fn endless(depth: u64) -> u64 {
        let block = std::hint::black_box([depth; 8]);
        endless(depth + 1) + block[1]
    }
    let (code, report) = report_of("deep", true, || {
        // On a thread whose stack is small, so that it ends soon.
        let run = || {
            use_alternate_stack();
            endless(0)
        };
        std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap();
    });
    assert_eq!(code, 1000 + libc::SIGSEGV);
    assert_in_order(&report, &["crashed by signal: 11", "STACK TRACE", "too deep", "REPORT END"]);
}

#[test]
fn the_pid_file_of_a_daemon_goes_with_it() {
    let path = std::env::temp_dir().join(format!("redstart-crash-{}.pid", std::process::id()));
    std::fs::write(&path, "1\n").unwrap();
    report_of("pidfile", true, || {
        set_pidfile(Some(&path));
        write_to_a_bad_address();
    });
    assert!(!path.exists());
}
