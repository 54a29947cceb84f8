//! Ranges of a sorted set as commands write them, made into ranks.
//!
//! *Duty:* `(1.5 +inf`, `[a (b`, `0 -1`: their grammar, their errors, and which ranks they mean in a given set.
//! *Counterpart in C Redis:* `zslParseRange`, `zslParseLexRange`, `zzlFirstInRange` and their kin.

use std::ops::Range;

use crate::base::float::parse_f64;
use crate::call::{Args, CmdError};
use crate::value::ZsetRef;

/// What a range is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Rank,
    Score,
    Lex,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Bounds<'a> {
    /// First and last; below zero they count from the end.
    Rank(i64, i64),
    Score(Edge<f64>, Edge<f64>),
    Lex(LexEdge<'a>, LexEdge<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Edge<T> {
    at: T,
    exclusive: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum LexEdge<'a> {
    First,
    Last,
    At(Edge<&'a [u8]>),
}

impl<'a> Bounds<'a> {
    /// Reads the two arguments at `at`; with `swapped` the upper bound stands first.
    pub fn parse(args: Args<'a>, at: usize, by: By, swapped: bool) -> Result<Bounds<'a>, CmdError> {
        let (low, high) = if swapped && by != By::Rank { (at + 1, at) } else { (at, at + 1) };
        let not_float = CmdError::Fixed("ERR min or max is not a float");
        let not_item = CmdError::Fixed("ERR min or max not valid string range item");
        Ok(match by {
            By::Rank => Bounds::Rank(args.int(low)?, args.int(high)?),
            By::Score => match (score_edge(args.get(low)), score_edge(args.get(high))) {
                (Some(low), Some(high)) => Bounds::Score(low, high),
                _ => return Err(not_float),
            },
            By::Lex => match (lex_edge(args.get(low)), lex_edge(args.get(high))) {
                (Some(low), Some(high)) => Bounds::Lex(low, high),
                _ => return Err(not_item),
            },
        })
    }

    /// The ranks that lie within, counted from the lowest score. Ranks of a `reverse` range count from the highest.
    pub fn ranks(&self, zset: ZsetRef<'_>, reverse: bool) -> Range<usize> {
        let len = zset.len();
        let (start, end) = match *self {
            Bounds::Rank(first, last) => {
                let ranks = index_range(first, last, len);
                return if reverse { len - ranks.end..len - ranks.start } else { ranks };
            }
            Bounds::Score(low, high) => {
                let start = zset.count_below(low.at, low.exclusive);
                let end = if start == len { len } else { zset.count_below(high.at, !high.exclusive) };
                (start, end)
            }
            Bounds::Lex(low, high) => (lex_rank(zset, low, false), lex_rank(zset, high, true)),
        };
        start..end.max(start)
    }
}

/// Indices `first..=last` of `len` as a range, those below zero counted from the end.
fn index_range(first: i64, last: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let from_end = |i: i64| if i < 0 { i.saturating_add(len) } else { i };
    let (first, last) = (from_end(first).max(0), from_end(last).min(len - 1));
    if first > last { 0..0 } else { first as usize..last as usize + 1 }
}

/// The members before an edge, counting those at it when it is the upper one and inclusive, or the lower one and not.
fn lex_rank(zset: ZsetRef<'_>, edge: LexEdge<'_>, upper: bool) -> usize {
    match edge {
        LexEdge::First => 0,
        LexEdge::Last => zset.len(),
        LexEdge::At(Edge { at, exclusive }) if exclusive == upper => zset.partition(|member| member < at),
        LexEdge::At(Edge { at, .. }) => zset.partition(|member| member <= at),
    }
}

/// A score as `strtod` reads it, with `(` in front if it is not included.
///
/// Quirks: the text ends at a zero byte; nothing at all is 0; blanks may stand in front; what is too large is
/// infinite.
fn score_edge(text: &[u8]) -> Option<Edge<f64>> {
    let (exclusive, text) = match text {
        [b'(', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let text = text.split(|&b| b == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(Edge { at: 0.0, exclusive });
    }
    let blanks = text.iter().take_while(|&&b| b == b' ' || (9..=13).contains(&b)).count();
    let number = &text[blanks..];
    let at = parse_f64(number).or_else(|| {
        let lax: f64 = std::str::from_utf8(number).ok()?.parse().ok()?;
        (!lax.is_nan()).then_some(lax)
    })?;
    Some(Edge { at, exclusive })
}

/// `-`, `+`, `[text` or `(text`. Quirk: a zero byte behind the sign hides what follows.
fn lex_edge(text: &[u8]) -> Option<LexEdge<'_>> {
    match text {
        [b'-'] | [b'-', 0, ..] => Some(LexEdge::First),
        [b'+'] | [b'+', 0, ..] => Some(LexEdge::Last),
        [b'(', at @ ..] => Some(LexEdge::At(Edge { at, exclusive: true })),
        [b'[', at @ ..] => Some(LexEdge::At(Edge { at, exclusive: false })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash::HashSeed;
    use crate::resp::Argv;
    use crate::value::{Limits, Zset};

    #[test]
    fn score_edges_are_read_as_strtod_reads_them() {
        let at = |text: &[u8]| score_edge(text).map(|edge| (edge.at, edge.exclusive));
        assert_eq!(at(b""), Some((0.0, false)));
        assert_eq!(at(b"("), Some((0.0, true)));
        assert_eq!(at(b" 1.5"), Some((1.5, false)));
        assert_eq!(at(b"(+1e400"), Some((f64::INFINITY, true)));
        assert_eq!(at(b"-inf"), Some((f64::NEG_INFINITY, false)));
        assert_eq!(at(b"0x10"), Some((16.0, false)));
        assert_eq!(at(b"5\0x"), Some((5.0, false)));
        for bad in [&b"nan"[..], b"1 ", b"x", b"((1", b" ", b"1_0", b"( "] {
            assert_eq!(at(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn bounds_become_ranks() {
        let limits = Limits::new(HashSeed::new(1));
        let mut zset = Zset::new();
        for (member, score) in [("a", 1.0), ("b", 2.0), ("c", 2.0), ("d", 3.0)] {
            zset.insert(member.as_bytes(), score, &limits);
        }
        let ranks = |by, reverse, low: &str, high: &str| {
            let argv = Argv::from_args(&[low.as_bytes(), high.as_bytes()]);
            let bounds = Bounds::parse(Args::of(&argv), 0, by, reverse).expect("well formed");
            bounds.ranks(zset.as_ref(), reverse)
        };
        assert_eq!(ranks(By::Score, false, "2", "2"), 1..3);
        assert_eq!(ranks(By::Score, false, "(1", "(3"), 1..3);
        assert_eq!(ranks(By::Score, false, "(2", "2"), 3..3);
        assert_eq!(ranks(By::Score, true, "inf", "2"), 1..4);
        assert_eq!(ranks(By::Score, false, "3", "1"), 3..3);
        assert_eq!(ranks(By::Lex, false, "[b", "(d"), 1..3);
        assert_eq!(ranks(By::Lex, false, "(b", "+"), 2..4);
        assert_eq!(ranks(By::Lex, true, "+", "-"), 0..4);
        assert_eq!(ranks(By::Rank, false, "1", "-2"), 1..3);
        assert_eq!(ranks(By::Rank, true, "0", "0"), 3..4);
        assert_eq!(ranks(By::Rank, false, "-100", "100"), 0..4);
        assert!(ranks(By::Rank, false, "5", "9").is_empty());
    }
}
