//! The crash report: what a fault or a failed assertion leaves in the log.
//!
//! *Duty:* handlers for SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT and a panic hook, which write the report that Redis
//! users know how to send in: signal, stack, registers, then the sections that the server has registered (INFO,
//! CLIENT LIST, configuration). Then the process ends by the same signal.
//! *Does not know:* what the sections contain.
//! *Invariants:* what needs no memory is written first, so that a damaged heap still leaves a stack; a second fault
//! while reporting, or ten seconds without an end (a lock that the crashed code held), closes the report and ends the
//! process; the handler has a stack of its own, so running out of stack is reported too.
//! *Counterpart in C Redis:* `debug.c`: `sigsegvHandler`, `bugReportStart`, `bugReportEnd`, `_serverAssert`.

#![allow(unsafe_code)]

use std::fmt;
use std::panic::PanicHookInfo;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::SeqCst};

use crate::sys::fork::exit_now;
use crate::sys::log::{self, Level};
use crate::sys::path_slot::PathSlot;
use crate::sys::stack_text::StackText;

mod dump;
mod names;
pub mod watchdog;

const SIGNALS: [libc::c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT];
const STACK_SIZE: usize = 1 << 20;
const SECONDS_TO_REPORT: u32 = 10;
const MAX_SECTIONS: usize = 8;

static VERSION: OnceLock<&'static str> = OnceLock::new();
static SECTIONS: [OnceLock<Section>; MAX_SECTIONS] = [const { OnceLock::new() }; MAX_SECTIONS];
static ENABLED: AtomicBool = AtomicBool::new(false);
static EXITS: AtomicBool = AtomicBool::new(false);
static STARTED: AtomicBool = AtomicBool::new(false);
static FAULTS: AtomicU32 = AtomicU32::new(0);
static FIRST_SIGNAL: AtomicI32 = AtomicI32::new(0);
static PIDFILE: PathSlot = PathSlot::empty();

struct Section {
    title: &'static str,
    text: fn() -> String,
}

/// Installs the panic hook and, unless switched off, the signal handlers. `version` is named in the report.
pub fn install(version: &'static str, crash_log_enabled: bool) {
    // A second call may change the switch only.
    let _ = VERSION.set(version);
    use_alternate_stack();
    std::panic::set_hook(Box::new(on_panic));
    set_enabled(crash_log_enabled);
}

/// `crash-log-enabled`: when off, faults end the process as the kernel does it, and a failed assertion says only where.
pub fn set_enabled(enabled: bool) {
    ENABLED.store(enabled, SeqCst);
    for signal in SIGNALS {
        if enabled {
            handle(signal, on_signal);
        } else {
            reset(signal);
        }
    }
}

/// `use-exit-on-panic`: a failed assertion ends the process by status 1, and not by SIGABRT.
pub fn set_exit_on_panic(exit: bool) {
    EXITS.store(exit, SeqCst);
}

/// Adds a section, printed under `------ title ------` in the order of registration. The function runs in the signal
/// handler, after everything else has been written; if it faults, the report ends there.
pub fn register_section(title: &'static str, text: fn() -> String) {
    let free = SECTIONS.iter().find(|place| place.get().is_none());
    free.and_then(|place| place.set(Section { title, text }).ok()).expect("a fixed, small number of sections");
}

/// The pid file to remove when a daemon crashes; None: leave it.
pub fn set_pidfile(path: Option<&Path>) {
    match path {
        Some(path) => PIDFILE.set(path),
        None => PIDFILE.clear(),
    }
}

/// Writes where nothing may be written, so that all that follows from a fault can be seen (DEBUG SEGFAULT).
#[inline(never)]
pub fn fault() {
    let address = std::hint::black_box(0x10usize);
    // SAFETY: the first page is never mapped, so that nothing is written: the kernel ends the process by SIGSEGV,
    // which is what was asked for.
    unsafe { (address as *mut u8).write_volatile(1) };
}

/// Gives the calling thread a stack on which the report can be made. Its pages cost nothing until used.
pub fn use_alternate_stack() {
    // SAFETY: a new anonymous mapping, which is never unmapped, becomes the alternate stack of this thread.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        let stack = libc::mmap(std::ptr::null_mut(), STACK_SIZE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if stack != libc::MAP_FAILED {
            let stack = libc::stack_t { ss_sp: stack, ss_flags: 0, ss_size: STACK_SIZE };
            libc::sigaltstack(&stack, std::ptr::null_mut());
        }
    }
}

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

fn handle(signal: libc::c_int, handler: Handler) {
    // SAFETY: an all-zero sigaction is valid; the handler has the signature that SA_SIGINFO asks for.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
}

fn reset(signal: libc::c_int) {
    // SAFETY: an all-zero sigaction is the default action.
    unsafe { libc::sigaction(signal, &std::mem::zeroed(), std::ptr::null_mut()) };
}

extern "C" fn on_signal(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    match FAULTS.fetch_add(1, SeqCst) {
        0 => {}
        1 => {
            line(Level::Warning, format_args!("Crashed again, by signal {signal}, while writing this report"));
            give_up();
        }
        _ => die(FIRST_SIGNAL.load(SeqCst)),
    }
    FIRST_SIGNAL.store(signal, SeqCst);
    limit_time();
    start();
    // SAFETY: the kernel passes valid pointers to a handler installed with SA_SIGINFO.
    let (info, context) = unsafe { (&*info, &*context.cast::<libc::ucontext_t>()) };
    let version = VERSION.get().copied().unwrap_or_default();
    let code = info.si_code;
    line(Level::Warning, format_args!("Redis {version} crashed by signal: {signal}, si_code: {code}"));
    // SAFETY: the address belongs to faults, pid and uid to signals that a process has sent.
    let (address, pid, uid) = unsafe { (info.si_addr() as usize, info.si_pid(), info.si_uid()) };
    if signal == libc::SIGSEGV || signal == libc::SIGBUS {
        line(Level::Warning, format_args!("Accessing address: {address:#x}"));
    }
    if code == libc::SI_USER && pid != -1 {
        line(Level::Warning, format_args!("Killed by PID: {pid}, UID: {uid}"));
    }
    let at = dump::instruction_pointer(context);
    if let Some(at) = at {
        line(Level::Warning, format_args!("Crashed running the instruction at: {at:#x}"));
    }
    raw("\n------ STACK TRACE ------\n");
    let depth = dump::addresses(at);
    dump::registers(context);
    dump::symbols(depth);
    sections();
    finish();
    die(signal);
}

fn on_panic(info: &PanicHookInfo<'_>) {
    if FAULTS.fetch_add(1, SeqCst) > 0 {
        line(Level::Warning, format_args!("Failed again while writing this report: {info}"));
        give_up();
    }
    FIRST_SIGNAL.store(libc::SIGABRT, SeqCst);
    limit_time();
    start();
    let text = info.payload().downcast_ref::<&str>().copied();
    let text = text.or_else(|| info.payload().downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    line(Level::Warning, format_args!("=== ASSERTION FAILED ==="));
    match info.location() {
        Some(at) => line(Level::Warning, format_args!("==> {}:{} '{text}'", at.file(), at.line())),
        None => line(Level::Warning, format_args!("==> '{text}'")),
    }
    if ENABLED.load(SeqCst) {
        raw("\n------ STACK TRACE ------\n");
        let depth = dump::addresses(None);
        dump::symbols(depth);
        sections();
    }
    finish();
    if EXITS.load(SeqCst) {
        exit_now(1);
    }
    die(libc::SIGABRT);
}

fn sections() {
    for section in SECTIONS.iter().filter_map(OnceLock::get) {
        text(format_args!("\n------ {} ------\n", section.title));
        let body = (section.text)();
        raw(&body);
        if !body.ends_with('\n') {
            raw("\n");
        }
    }
}

fn start() {
    if !STARTED.swap(true, SeqCst) {
        raw("\n\n=== REDIS BUG REPORT START: Cut & paste starting from here ===\n");
    }
}

fn finish() {
    raw("\n=== REDIS BUG REPORT END. Make sure to include from START to END. ===\n\n");
    raw("       Please open an issue of Redstart with this report and, if you can, the steps before it.\n");
    raw("       If the memory of this machine is in doubt: redis-server --test-memory <megabytes>\n");
    PIDFILE.unlink();
}

/// Ends a report that cannot be completed.
fn give_up() -> ! {
    finish();
    die(FIRST_SIGNAL.load(SeqCst))
}

/// Ends the process by the signal, so that the parent sees the reason and a core is written if wanted.
fn die(signal: libc::c_int) -> ! {
    reset(signal);
    // SAFETY: raise has no preconditions. The signal is sent to this very thread, where it is not blocked, so it
    // arrives before the call returns, unless this is process 1, which the kernel spares; that one leaves by the
    // status a shell would show.
    unsafe { libc::raise(signal) };
    exit_now(128 + signal)
}

fn limit_time() {
    extern "C" fn on_time_out(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
        line(Level::Warning, format_args!("This report could not be completed in {SECONDS_TO_REPORT} seconds"));
        give_up();
    }
    handle(libc::SIGALRM, on_time_out);
    // SAFETY: alarm has no preconditions.
    unsafe { libc::alarm(SECONDS_TO_REPORT) };
}

/// One log line, with its prefix.
fn line(level: Level, text: fmt::Arguments<'_>) {
    log::log_raw(level, StackText::<1024>::of(text).as_str());
}

/// Text without a prefix.
fn text(text: fmt::Arguments<'_>) {
    raw(StackText::<1024>::of(text).as_str());
}

fn raw(text: &str) {
    log::log_text(text);
}

#[cfg(test)]
mod tests;
