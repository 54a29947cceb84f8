//! [`SlowLog`]: the calls that took longest in the recent past, newest first.
//!
//! *Duty:* keep so many entries as `slowlog-max-len` allows, each of bounded size. *Does not know:* when a call is
//! slow; what must not be shown (`redact`).
//! *Invariant:* an id is never used twice, not even after SLOWLOG RESET. *Counterpart in C Redis:* `slowlog.c`.

use std::collections::VecDeque;

/// Arguments kept of one call, the note on how many were left out included.
const ARGS_MAX: usize = 32;
/// Bytes kept of one argument.
const ARG_LEN_MAX: usize = 128;

/// A slow call.
#[derive(Debug)]
pub struct Call {
    pub unix_s: i64,
    pub us: u64,
    pub args: Vec<Vec<u8>>,
    pub peer: String,
    pub name: Vec<u8>,
}

#[derive(Debug)]
pub struct Entry {
    pub id: u64,
    pub call: Call,
}

#[derive(Debug, Default)]
pub struct SlowLog {
    entries: VecDeque<Entry>,
    next_id: u64,
}

impl SlowLog {
    /// Adds a call; the oldest ones go when there are more than `max_len`.
    pub fn push(&mut self, mut call: Call, max_len: u64) {
        shorten(&mut call.args);
        self.entries.push_front(Entry { id: self.next_id, call });
        self.next_id += 1;
        self.trim(max_len);
    }

    pub fn trim(&mut self, max_len: u64) {
        self.entries.truncate(usize::try_from(max_len).unwrap_or(usize::MAX));
    }

    pub fn reset(&mut self) {
        self.entries = VecDeque::new();
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Newest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }
}

/// Cuts off what is too much, and says at the place how much that was.
fn shorten(args: &mut Vec<Vec<u8>>) {
    if args.len() > ARGS_MAX {
        let left_out = args.len() - (ARGS_MAX - 1);
        args.truncate(ARGS_MAX - 1);
        args.push(format!("... ({left_out} more arguments)").into_bytes());
        // A long row of arguments would otherwise stay allocated with the entry.
        args.shrink_to_fit();
    }
    for arg in args.iter_mut().filter(|arg| arg.len() > ARG_LEN_MAX) {
        let left_out = arg.len() - ARG_LEN_MAX;
        arg.truncate(ARG_LEN_MAX);
        arg.extend_from_slice(format!("... ({left_out} more bytes)").as_bytes());
        arg.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(args: Vec<Vec<u8>>) -> Call {
        Call { unix_s: 1, us: 2, args, peer: String::new(), name: Vec::new() }
    }

    #[test]
    fn the_newest_stay_and_ids_go_on_after_a_reset() {
        let mut log = SlowLog::default();
        (0..5).for_each(|_| log.push(call(vec![]), 3));
        assert_eq!(log.iter().map(|e| e.id).collect::<Vec<_>>(), [4, 3, 2]);
        log.reset();
        assert!(log.is_empty());
        log.push(call(vec![]), 3);
        assert_eq!((log.len(), log.iter().next().map(|e| e.id)), (1, Some(5)));
        log.push(call(vec![]), 0);
        assert!(log.is_empty());
    }

    #[test]
    fn long_calls_are_cut_and_say_so() {
        let mut log = SlowLog::default();
        log.push(call((0..33).map(|n| n.to_string().into_bytes()).collect()), 1);
        let args = &log.iter().next().unwrap().call.args;
        assert_eq!(args.len(), 32);
        assert_eq!((&*args[30], &*args[31]), (&b"30"[..], &b"... (2 more arguments)"[..]));
        log.push(call(vec![vec![b'a'; 128], vec![b'b'; 129]]), 1);
        let args = &log.iter().next().unwrap().call.args;
        assert_eq!(args[0], [b'a'; 128]);
        assert_eq!(args[1], [&[b'b'; 128][..], b"... (1 more bytes)"].concat());
    }
}
