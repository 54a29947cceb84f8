//! [`Args`]: the borrowed arguments of a command, `argv[0]` included.
//!
//! *Duty:* index, iterate and convert arguments without copying them, and carry the hash of a key that was computed
//! ahead. `Copy`, so slices of it outlive a `&mut` borrow of the call it came from.
//! *Counterpart in C Redis:* `c->argv`, `c->argc`, `getLongLongFromObjectOrReply`.

use std::num::NonZeroU64;

use crate::base::num;
use crate::call::CmdError;
use crate::resp::{Argv, Span};

#[derive(Clone, Copy)]
pub struct Args<'a> {
    buf: &'a [u8],
    spans: &'a [Span],
    /// The hash of the argument behind the name, if it is a key whose memory was asked for ahead.
    key_hash: Option<NonZeroU64>,
}

impl<'a> Args<'a> {
    pub fn new(buf: &'a [u8], spans: &'a [Span]) -> Args<'a> {
        Args { buf, spans, key_hash: None }
    }

    pub fn of(argv: &'a Argv) -> Args<'a> {
        Args::new(argv.bytes(), argv.spans())
    }

    /// The first eight bytes of the command's name as a number, zeros behind a shorter one.
    #[inline]
    pub fn name_word(self) -> u64 {
        let name = self.spans[0];
        // What stands behind the name is read with it and masked out.
        match self.buf[name.at as usize..].first_chunk() {
            Some(bytes) if name.len < 8 => u64::from_le_bytes(*bytes) & ((1 << (8 * name.len)) - 1),
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => word_of(name.of(self.buf)),
        }
    }

    /// The same arguments, with the hash of the one behind the name, which is a key.
    #[inline]
    pub fn with_key_hash(self, key_hash: Option<NonZeroU64>) -> Args<'a> {
        Args { key_hash, ..self }
    }

    /// The hash of `key` if it came with the request: if `key` is that argument, the very same bytes and not equal ones.
    #[inline]
    pub fn hash_of(self, key: &[u8]) -> Option<u64> {
        self.key_hash.filter(|_| std::ptr::eq(key, self.get(1))).map(NonZeroU64::get)
    }

    #[inline]
    pub fn len(self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(self) -> bool {
        self.spans.is_empty()
    }

    /// The argument at `i`; arity has been checked, so commands index without fear up to their minimum.
    #[inline]
    pub fn get(self, i: usize) -> &'a [u8] {
        self.spans[i].of(self.buf)
    }

    pub fn opt(self, i: usize) -> Option<&'a [u8]> {
        self.spans.get(i).map(|s| s.of(self.buf))
    }

    /// All arguments from index `i` on; empty when there are fewer.
    pub fn from(self, i: usize) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone {
        self.spans[i.min(self.spans.len())..].iter().map(move |s| s.of(self.buf))
    }

    pub fn iter(self) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone {
        self.from(0)
    }

    /// `argv[i]` equals `word`, whatever the case.
    #[inline]
    pub fn is(self, i: usize, word: &str) -> bool {
        self.opt(i).is_some_and(|a| a.eq_ignore_ascii_case(word.as_bytes()))
    }

    pub fn int(self, i: usize) -> Result<i64, CmdError> {
        num::parse_i64(self.get(i)).ok_or(CmdError::NotInteger)
    }

    /// The bytes of all arguments, for accounting.
    pub fn total_len(self) -> usize {
        self.spans.iter().map(|s| s.len as usize).sum()
    }

    pub fn to_argv(self) -> Argv {
        let mut argv = Argv::new();
        self.iter().for_each(|a| argv.push(a));
        argv
    }
}

/// Up to eight first bytes of a text as a number.
pub fn word_of(text: &[u8]) -> u64 {
    text.iter().take(8).rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_name_is_the_same_wherever_it_stands() {
        for name in [b"".as_slice(), b"g", b"get", b"exists", b"getrange", b"zremrangebyscore"] {
            for behind in [b"".as_slice(), b"x", b"some more bytes"] {
                let mut argv = Argv::from_args(&[name]);
                assert_eq!(Args::of(&argv).name_word(), word_of(name));
                argv.push(behind);
                assert_eq!(Args::of(&argv).name_word(), word_of(name));
            }
        }
    }

    #[test]
    fn only_the_very_argument_has_the_hash_that_came_along() {
        let argv = Argv::from_args(&[b"COPY", b"key", b"key"]);
        let args = Args::of(&argv);
        assert_eq!(args.hash_of(args.get(1)), None);
        let args = args.with_key_hash(NonZeroU64::new(7));
        assert_eq!(args.hash_of(args.get(1)), Some(7));
        assert_eq!([args.get(0), args.get(2), b"key"].map(|other| args.hash_of(other)), [None; 3]);
        assert_eq!(args.hash_of(&args.get(1)[..2]), None);
    }
}
