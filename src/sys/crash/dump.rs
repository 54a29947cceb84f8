//! What the processor and the stack looked like.
//!
//! *Duty:* return addresses, function names, registers and the top of the stack, written as text.
//! *Does not know:* why; the report around it is `crash`'s.
//! *Invariants:* [`addresses`] and [`registers`] allocate nothing and read memory only through the kernel, which
//! refuses instead of faulting; only [`symbols`] needs the heap.
//! *Counterpart in C Redis:* `logStackTrace`, `logRegisters`, `logStackContent`.

use std::ffi::c_void;
use std::fmt::Write as _;

use super::{raw, text};

const MAX_FRAMES: usize = 256;

unsafe extern "C" {
    fn _Unwind_Backtrace(each: extern "C" fn(*mut c_void, *mut c_void) -> i32, argument: *mut c_void) -> i32;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
    /// Where the linker put the first byte of the program: addresses less this are what addr2line takes.
    static __executable_start: u8;
}

struct Frames {
    at: [usize; MAX_FRAMES],
    len: usize,
}

/// Where an address is in the program.
pub(super) fn offset(at: usize) -> usize {
    at.wrapping_sub(&raw const __executable_start as usize)
}

/// Writes the return addresses, the failed instruction's first, and answers how many there are. For a fault the
/// frames above the instruction, which belong to this report, are left out.
pub(super) fn addresses(instruction: Option<usize>) -> usize {
    each_address(instruction, |_| ())
}

/// The same, and hands out each address that was written.
pub(super) fn each_address(instruction: Option<usize>, mut keep: impl FnMut(usize)) -> usize {
    extern "C" fn each(context: *mut c_void, frames: *mut c_void) -> i32 {
        // SAFETY: `frames` is the argument below, `context` the unwinder's own.
        let (frames, at) = unsafe { (&mut *frames.cast::<Frames>(), _Unwind_GetIP(context)) };
        if frames.len == MAX_FRAMES {
            return 5; // _URC_END_OF_STACK: enough
        }
        frames.at[frames.len] = at;
        frames.len += 1;
        0
    }
    let mut frames = Frames { at: [0; MAX_FRAMES], len: 0 };
    // SAFETY: the callback fits the argument, which outlives the call.
    unsafe { _Unwind_Backtrace(each, (&raw mut frames).cast()) };
    let all = &frames.at[..frames.len];
    let found = instruction.and_then(|at| all.iter().position(|&frame| frame == at));
    raw("Addresses (the second is what addr2line -f -e redis-server takes):\n");
    if let (Some(at), None) = (instruction, found) {
        text(format_args!("{at:#018x}\n"));
        keep(at);
    }
    for &at in &all[found.unwrap_or(0)..] {
        text(format_args!("{at:#018x} {:#x}\n", offset(at)));
        keep(at);
    }
    frames.len
}

/// Writes the functions' names, files and lines. A stack as deep as of endless recursion is left to addr2line.
pub(super) fn symbols(depth: usize) {
    if depth == MAX_FRAMES {
        return raw("\nThe stack is too deep to name its functions.\n");
    }
    let trace = std::backtrace::Backtrace::force_capture().to_string();
    raw("\nBacktrace:\n");
    raw(&compact(&trace));
}

/// One line per frame, without those of the report itself and those of the standard library.
fn compact(trace: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in trace.lines() {
        let line = line.trim();
        match line.strip_prefix("at ") {
            Some(place) if place.contains("sys/crash.rs:") || place.contains("sys/crash/dump.rs:") => lines.clear(),
            Some(place) if place.starts_with("/rustc/") => drop(lines.pop()),
            Some(place) => {
                if let Some(frame) = lines.last_mut() {
                    // Writing to a String cannot fail.
                    let _ = write!(frame, " at {place}");
                }
            }
            None => lines.push(line.split_once(": ").map_or(line, |(_, name)| name).to_string()),
        }
    }
    lines.iter().fold(String::new(), |all, line| all + line + "\n")
}

#[cfg(target_arch = "x86_64")]
pub(super) fn instruction_pointer(context: &libc::ucontext_t) -> Option<usize> {
    Some(context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize)
}

#[cfg(target_arch = "aarch64")]
pub(super) fn instruction_pointer(context: &libc::ucontext_t) -> Option<usize> {
    Some(context.uc_mcontext.pc as usize)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn instruction_pointer(_: &libc::ucontext_t) -> Option<usize> {
    None
}

/// Writes the registers as they were at the fault, and 16 words from the stack pointer on.
#[cfg(target_arch = "x86_64")]
pub(super) fn registers(context: &libc::ucontext_t) {
    const NAMES: [(&str, libc::c_int); 19] = [
        ("RAX", libc::REG_RAX),
        ("RBX", libc::REG_RBX),
        ("RCX", libc::REG_RCX),
        ("RDX", libc::REG_RDX),
        ("RDI", libc::REG_RDI),
        ("RSI", libc::REG_RSI),
        ("RBP", libc::REG_RBP),
        ("RSP", libc::REG_RSP),
        ("R8 ", libc::REG_R8),
        ("R9 ", libc::REG_R9),
        ("R10", libc::REG_R10),
        ("R11", libc::REG_R11),
        ("R12", libc::REG_R12),
        ("R13", libc::REG_R13),
        ("R14", libc::REG_R14),
        ("R15", libc::REG_R15),
        ("RIP", libc::REG_RIP),
        ("EFL", libc::REG_EFL),
        ("CSGSFS", libc::REG_CSGSFS),
    ];
    raw("\n------ REGISTERS ------\n");
    for (n, (name, register)) in NAMES.iter().enumerate() {
        let end = if n % 2 == 1 || n + 1 == NAMES.len() { "\n" } else { " " };
        text(format_args!("{name}:{:016x}{end}", context.uc_mcontext.gregs[*register as usize]));
    }
    stack(context.uc_mcontext.gregs[libc::REG_RSP as usize] as usize);
}

#[cfg(target_arch = "aarch64")]
pub(super) fn registers(context: &libc::ucontext_t) {
    raw("\n------ REGISTERS ------\n");
    for (n, value) in context.uc_mcontext.regs.iter().enumerate() {
        text(format_args!("X{n:<2}:{value:016x}\n"));
    }
    text(format_args!("SP :{:016x}\nPC :{:016x}\n", context.uc_mcontext.sp, context.uc_mcontext.pc));
    stack(context.uc_mcontext.sp as usize);
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn registers(_: &libc::ucontext_t) {
    raw("\n------ REGISTERS ------\nRegisters are shown on x86_64 and aarch64 only.\n");
}

fn stack(pointer: usize) {
    let mut words = [0usize; 16];
    let bytes = size_of_val(&words);
    let local = libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: bytes };
    let remote = libc::iovec { iov_base: pointer as *mut c_void, iov_len: bytes };
    // SAFETY: `local` is the array; a bad `remote` makes the kernel refuse, or stop short.
    let read = unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
    let whole = usize::try_from(read).unwrap_or(0) / size_of::<usize>();
    for (n, word) in words[..whole].iter().enumerate().rev() {
        text(format_args!("({:016x}) -> {word:016x}\n", pointer + n * size_of::<usize>()));
    }
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn frames_become_lines_and_the_reports_own_go() {
        let trace = "   0: capture\n             at /rustc/lib.rs:1:2\n   1: on_signal\n\
                     \x20            at ./src/sys/crash.rs:9:9\n\
                     \x20  2: <unknown>\n   3: black_box<usize>\n             at /rustc/1/hint.rs:1:1\n\
                     \x20  4: redstart::server::debug_command\n             at ./src/server/x.rs:3:4\n   5: main\n";
        assert_eq!(compact(trace), "<unknown>\nredstart::server::debug_command at ./src/server/x.rs:3:4\nmain\n");
    }
}
