//! The software watchdog: where the program is, when it has not come back to its loop for too long.
//!
//! *Duty:* an alarm that is set anew by whoever is alive ([`alive`]); when it goes off, the stack goes to the log and
//! life goes on. Once the program is back, the names of the functions on that stack follow. *Does not know:* what takes so long.
//! *Invariant:* the handler takes no lock and no memory: it may have interrupted anything. *Counterpart in C Redis:*
//! `watchdogSignalHandler`, `watchdogScheduleSignal`, `applyWatchdogPeriod`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use super::names::Names;
use super::{Level, dump, handle, line, raw, text};

static ON: AtomicBool = AtomicBool::new(false);

/// Frames whose names are told.
const FRAMES: usize = 64;
/// The last stack that was written, as far as its names have not been told; zeros behind it.
static STACK: [AtomicUsize; FRAMES] = [const { AtomicUsize::new(0) }; FRAMES];

/// The program is alive: the alarm goes off when it was not told so for `period_ms`. 0 switches it off.
pub fn alive(period_ms: u32) {
    if STACK[0].load(SeqCst) != 0 {
        tell_names();
    }
    let on = period_ms > 0;
    if ON.swap(on, SeqCst) != on && on {
        handle(libc::SIGALRM, on_alarm);
    }
    let period = libc::timeval {
        tv_sec: libc::time_t::from(period_ms / 1000),
        tv_usec: libc::suseconds_t::from(period_ms % 1000 * 1000),
    };
    let once = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: period };
    // SAFETY: the timer is valid, and nobody asks for the old one. The only errors are wrong arguments.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &once, std::ptr::null_mut()) };
    if !on {
        // The handler stays: an alarm that is under way would end the process without it.
        handle(libc::SIGALRM, on_alarm);
    }
}

/// Says what was running when the alarm went off.
fn tell_names() {
    let stack = STACK.iter().map(|place| place.swap(0, SeqCst)).take_while(|&at| at != 0);
    let stack: Vec<usize> = stack.collect();
    match Names::of_this_program() {
        Ok(names) => {
            line(Level::Warning, format_args!("The watchdog's timer had expired in, innermost first:"));
            for at in stack {
                let offset = dump::offset(at);
                let name = names.at(offset as u64);
                text(format_args!("{offset:#x} {}\n", name.as_deref().unwrap_or("<not of this program>")));
            }
        }
        Err(error) => line(Level::Warning, format_args!("The functions in it cannot be named: {error}")),
    }
}

extern "C" fn on_alarm(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if !ON.load(SeqCst) {
        return;
    }
    // SAFETY: the address of this thread's errno is always valid.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: the kernel passes valid pointers to a handler installed with SA_SIGINFO.
    let (info, context) = unsafe { (&*info, &*context.cast::<libc::ucontext_t>()) };
    line(Level::Warning, format_args!("--- WATCHDOG TIMER EXPIRED ---"));
    // SAFETY: zero for a timer, else the pid of who sent the signal; the place is there either way.
    match unsafe { info.si_pid() } {
        0 => {
            raw("\n------ STACK TRACE ------\n");
            let mut places = STACK.iter();
            dump::each_address(dump::instruction_pointer(context), |at| {
                if let Some(place) = places.next() {
                    place.store(at, SeqCst);
                }
            });
        }
        pid => line(Level::Warning, format_args!("Received SIGALRM, sent by {pid}: that is not the watchdog's timer")),
    }
    line(Level::Warning, format_args!("--------"));
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}
