//! The software watchdog: where the program is, when it has not come back to its loop for too long.
//!
//! *Duty:* an alarm that is set anew by whoever is alive ([`alive`]); when it goes off, the stack goes to the log and
//! life goes on. *Does not know:* what takes so long.
//! *Invariant:* the handler takes no lock and no memory: it may have interrupted anything. *Counterpart in C Redis:*
//! `watchdogSignalHandler`, `watchdogScheduleSignal`, `applyWatchdogPeriod`.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::{Level, dump, handle, line, raw};

static ON: AtomicBool = AtomicBool::new(false);

/// The program is alive: the alarm goes off when it was not told so for `period_ms`. 0 switches it off.
pub fn alive(period_ms: u32) {
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
            dump::addresses(dump::instruction_pointer(context));
        }
        pid => line(Level::Warning, format_args!("Received SIGALRM, sent by {pid}: that is not the watchdog's timer")),
    }
    line(Level::Warning, format_args!("--------"));
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}
