//! On which processors a thread may run.
//!
//! *Duty:* read a list like `0,2,4-7` or `0-11:2` (every second one), and bind the calling thread to it.
//! *Does not know:* which threads and children there are, what a list is for.
//! *Invariant:* a list that cannot be read changes nothing. *Counterpart in C Redis:* `setcpuaffinity.c`.

#![allow(unsafe_code)]

use std::io;

/// Processors that the kernel's set has room for.
const PROCESSORS: usize = libc::CPU_SETSIZE as usize;

/// Binds the calling thread, and what it starts from now on. An empty list leaves it as it is.
pub fn bind_thread(list: &str) -> io::Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    let processors = parse(list).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: a set of zeros is an empty set; CPU_SET stays within it, as `parse` gives no number beyond its size;
    // the kernel only reads it.
    let status = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        processors.iter().for_each(|&processor| libc::CPU_SET(processor, &mut set));
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The processors of a list.
fn parse(list: &str) -> Option<Vec<usize>> {
    let number = |text: &str| text.trim().parse::<usize>().ok().filter(|&n| n < PROCESSORS);
    let mut processors = Vec::new();
    for part in list.split(',') {
        let (range, step) = match part.split_once(':') {
            Some((range, step)) => (range, number(step).filter(|&step| step > 0)?),
            None => (part, 1),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(range)?, number(range)?),
        };
        if first > last {
            return None;
        }
        processors.extend((first..=last).step_by(step));
    }
    Some(processors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        assert_eq!(parse("3"), Some(vec![3]));
        assert_eq!(parse("0,2,5-7"), Some(vec![0, 2, 5, 6, 7]));
        assert_eq!(parse("1-8:3, 10"), Some(vec![1, 4, 7, 10]));
        for wrong in ["", "a", "3-1", "0-4:0", "1,", "-1", "1024", "0-2000"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_thread_runs_where_it_was_bound_and_others_do_not_care() {
        let allowed = || {
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
            line.trim().to_owned()
        };
        let before = allowed();
        let first = before.split(['-', ',']).next().unwrap().to_owned();
        let bound = first.clone();
        let inside = std::thread::spawn(move || {
            bind_thread(&bound).unwrap();
            assert!(bind_thread("none").is_err());
            bind_thread("").unwrap();
            allowed()
        });
        assert_eq!(inside.join().unwrap(), first);
        assert_eq!(allowed(), before);
    }
}
