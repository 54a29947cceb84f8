//! Text built on the stack: for code that must not allocate.
//!
//! *Duty:* a `fmt::Write` target of fixed size.
//! *Does not know:* what is written; the log's line prefix and the crash report use it.
//! *Invariants:* never allocates; what does not fit is cut off, between two characters.
//! *Counterpart in C Redis:* the `snprintf` buffers of the log and of the signal handlers.

use std::fmt;

pub struct StackText<const CAPACITY: usize> {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl<const CAPACITY: usize> StackText<CAPACITY> {
    pub fn of(text: fmt::Arguments<'_>) -> Self {
        let mut built = StackText { bytes: [0; CAPACITY], len: 0 };
        // The error says that something was cut off, which is what is promised.
        let _ = fmt::write(&mut built, text);
        built
    }

    pub fn as_str(&self) -> &str {
        // Whole strings were put in, but for a last one that may have been cut between two bytes of a character.
        match std::str::from_utf8(&self.bytes[..self.len]) {
            Ok(text) => text,
            Err(cut) => std::str::from_utf8(&self.bytes[..cut.valid_up_to()]).unwrap_or_default(),
        }
    }
}

impl<const CAPACITY: usize> fmt::Write for StackText<CAPACITY> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = CAPACITY - self.len;
        let taken = text.len().min(room);
        self.bytes[self.len..self.len + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.len += taken;
        if taken == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_built_and_cut() {
        assert_eq!(StackText::<16>::of(format_args!("{}-{:03}", "ab", 7)).as_str(), "ab-007");
        assert_eq!(StackText::<4>::of(format_args!("{}", 123456)).as_str(), "1234");
        assert_eq!(StackText::<4>::of(format_args!("abc\u{e9}")).as_str(), "abc");
    }
}
