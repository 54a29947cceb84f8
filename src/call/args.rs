//! [`Args`]: the borrowed arguments of a command, `argv[0]` included.
//!
//! *Duty:* index, iterate and convert arguments without copying them. `Copy`, so slices of it outlive a `&mut` borrow
//! of the call it came from. *Counterpart in C Redis:* `c->argv`, `c->argc`, `getLongLongFromObjectOrReply`.

use crate::base::num;
use crate::call::CmdError;
use crate::resp::{Argv, Span};

#[derive(Clone, Copy)]
pub struct Args<'a> {
    buf: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    pub fn new(buf: &'a [u8], spans: &'a [Span]) -> Args<'a> {
        Args { buf, spans }
    }

    pub fn of(argv: &'a Argv) -> Args<'a> {
        Args { buf: argv.bytes(), spans: argv.spans() }
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
