//! Sorted sets: members in the order of their scores.
//!
//! *Duty:* one type over both forms, a [`Pack`] of members and scores in order while it is small, a [`Ranked`] beyond
//! that; the rules of `zset-max-listpack-*`. *Does not know:* keys, bounds as commands write them.
//! *Invariants:* in a pack each member is followed by its score, an integer or the text that [`parse_f64`] reads back
//! exactly; pairs are sorted by score, then by the member's bytes. Scores are no NaN.
//! *Counterpart in C Redis:* `zsetAdd`, `zsetDel`, `zsetRank` and their kin in `t_zset.c`.

#[cfg(test)]
mod tests;

use std::iter::Rev;
use std::ops::Range;

use super::{Limits, Rest};
use crate::base::float::{parse_f64, write_f64};
use crate::base::rng::Rng;
use crate::ds::element::{Elem, Pos, TextBuf};
use crate::ds::pack::{self, Pack, PackRef};
use crate::ds::ranked::{self, Ranked};

/// A pack stays below this size whatever the thresholds are.
const PACK_BYTES_MAX: usize = 1 << 30;
/// Whole scores up to this are kept as integers, which ZSCAN shows. -0 becomes 0 with it, as in the reference.
const INT_MAX: f64 = (1u64 << 62) as f64;

/// A sorted set.
#[derive(Clone, Debug)]
pub enum Zset {
    Packed(Pack),
    Ranked(Box<Ranked>),
}

/// A sorted set, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum ZsetRef<'a> {
    Packed(PackRef<'a>),
    Ranked(&'a Ranked),
}

impl Default for Zset {
    fn default() -> Zset {
        Zset::new()
    }
}

impl Zset {
    pub fn new() -> Zset {
        Zset::Packed(Pack::new())
    }

    /// An empty one in the form that so many members, the longest of so many bytes, will have.
    pub fn sized(members: usize, longest: usize, limits: &Limits) -> Zset {
        if members <= limits.zset_max_listpack_entries && longest <= limits.zset_max_listpack_value {
            return Zset::new();
        }
        Zset::ranked(members, limits)
    }

    /// An empty one in the big form, with room for so many members.
    pub fn ranked(members: usize, limits: &Limits) -> Zset {
        let mut ranked = Ranked::new(limits.seed);
        ranked.reserve(members);
        Zset::Ranked(Box::new(ranked))
    }

    /// Takes the small form, if the limits allow it.
    pub fn pack_if_small(&mut self, limits: &Limits) {
        let Zset::Ranked(ranked) = self else { return };
        let fits = ranked.len() <= limits.zset_max_listpack_entries
            && ranked.iter().all(|(member, _)| member.len() <= limits.zset_max_listpack_value);
        if !fits {
            return;
        }
        let mut packed = Zset::new();
        ranked.iter().for_each(|(member, score)| packed.add(member, score, limits));
        *self = packed;
    }

    #[inline]
    pub fn as_ref(&self) -> ZsetRef<'_> {
        match self {
            Zset::Packed(pack) => ZsetRef::Packed(pack.as_ref()),
            Zset::Ranked(ranked) => ZsetRef::Ranked(ranked),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    pub(super) fn rest(&self) -> Option<(Rest, &[u8])> {
        match self {
            Zset::Packed(pack) => Some((Rest::Zset, pack.as_ref().bytes())),
            Zset::Ranked(_) => None,
        }
    }

    pub(super) fn from_rest(bytes: Vec<u8>) -> Zset {
        Zset::Packed(Pack::from_bytes(bytes))
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        match self {
            Zset::Packed(pack) => pack.into_bytes(),
            Zset::Ranked(_) => Vec::new(),
        }
    }

    /// Sets the score of a member to what `decide` makes of the present one (`None`: not a member); leaves all as it
    /// is when `decide` gives `None`. Returns what `decide` was given and gave.
    pub fn update(
        &mut self,
        member: &[u8],
        limits: &Limits,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> (Option<f64>, Option<f64>) {
        let pack = match self {
            Zset::Ranked(ranked) => return ranked.update(member, decide),
            Zset::Packed(pack) => pack,
        };
        let found = pack.as_ref().find(member, 2);
        let old = found.map(|at| score_behind(pack.as_ref(), at));
        let new = decide(old);
        match (found, new) {
            (_, None) => {}
            (Some(_), Some(score)) if old.is_some_and(|old| old.to_bits() == score.to_bits()) => {}
            (Some(at), Some(score)) => {
                pack.remove(at, 2);
                insert_in_pack(pack, member, score);
            }
            (None, Some(score)) => self.add(member, score, limits),
        }
        (old, new)
    }

    /// Gives a member this score. Returns the one it had.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &Limits) -> Option<f64> {
        self.update(member, limits, |_| Some(score)).0
    }

    /// Adds a member that is not in it.
    fn add(&mut self, member: &[u8], score: f64, limits: &Limits) {
        if let Zset::Packed(pack) = self {
            if pack.len() / 2 < limits.zset_max_listpack_entries
                && member.len() <= limits.zset_max_listpack_value
                && pack.as_ref().byte_len() + member.len() < PACK_BYTES_MAX
            {
                return insert_in_pack(pack, member, score);
            }
            self.rank_all(limits);
        }
        let Zset::Ranked(ranked) = self else { unreachable!("just made so") };
        ranked.insert(member, score);
    }

    /// Takes the big form.
    pub fn rank_all(&mut self, limits: &Limits) {
        if let Zset::Packed(pack) = self {
            let mut ranked = Box::new(Ranked::new(limits.seed));
            for (member, score) in ZsetRef::Packed(pack.as_ref()).iter() {
                ranked.insert(member.text(&mut TextBuf::default()), score);
            }
            *self = Zset::Ranked(ranked);
        }
    }

    /// Takes a member out. Returns its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match self {
            Zset::Ranked(ranked) => ranked.remove(member),
            Zset::Packed(pack) => {
                let at = pack.as_ref().find(member, 2)?;
                let score = score_behind(pack.as_ref(), at);
                pack.remove(at, 2);
                Some(score)
            }
        }
    }

    /// Takes the members of these ranks out, each shown to `removed` first, the lowest first.
    pub fn remove_range(&mut self, ranks: Range<usize>, mut removed: impl FnMut(Elem<'_>, f64)) {
        match self {
            Zset::Ranked(ranked) => ranked.remove_range(ranks, |member, score| removed(Elem::Str(member), score)),
            Zset::Packed(pack) => {
                let count = ranks.len();
                let items = ZsetRef::Packed(pack.as_ref()).range(ranks.clone(), false);
                items.for_each(|(member, score)| removed(member, score));
                if let Some(at) = pack.as_ref().nth(2 * ranks.start) {
                    pack.remove(at, 2 * count);
                }
            }
        }
    }
}

/// The score of the member at `at`.
fn score_behind(pack: PackRef<'_>, at: Pos) -> f64 {
    score_of(pack.get(pack.next(at).expect("a member is followed by its score")))
}

fn score_of(elem: Elem<'_>) -> f64 {
    match elem {
        Elem::Int(score) => score as f64,
        Elem::Str(text) => parse_f64(text).unwrap_or(0.0),
    }
}

fn insert_in_pack(pack: &mut Pack, member: &[u8], score: f64) {
    let at = place_in_pack(pack.as_ref(), member, score);
    let mut text = Vec::new();
    let whole = score as i64;
    let elem = if score.abs() <= INT_MAX && whole as f64 == score {
        Elem::Int(whole)
    } else {
        write_f64(&mut text, score);
        Elem::parse(&text)
    };
    pack.insert_pair(at, [Elem::parse(member), elem]);
}

/// Where a member of this score belongs.
fn place_in_pack(pack: PackRef<'_>, member: &[u8], score: f64) -> Pos {
    let mut elements = pack.iter();
    while let (Some((at, other)), Some((_, other_score))) = (elements.next(), elements.next()) {
        let other_score = score_of(other_score);
        if other_score > score || other_score == score && other.text(&mut TextBuf::default()) > member {
            return at;
        }
    }
    pack.end()
}

impl<'a> ZsetRef<'a> {
    pub(super) fn from_rest(bytes: &'a [u8]) -> ZsetRef<'a> {
        ZsetRef::Packed(PackRef::new(bytes))
    }

    #[inline]
    pub fn len(self) -> usize {
        match self {
            ZsetRef::Packed(pack) => pack.len() / 2,
            ZsetRef::Ranked(ranked) => ranked.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        match self {
            ZsetRef::Packed(pack) => pack.is_empty(),
            ZsetRef::Ranked(ranked) => ranked.is_empty(),
        }
    }

    pub fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            ZsetRef::Packed(pack) => pack.find(member, 2).map(|at| score_behind(pack, at)),
            ZsetRef::Ranked(ranked) => ranked.score(member),
        }
    }

    /// The rank of a member, counted from the lowest score, and its score.
    pub fn rank(self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            ZsetRef::Ranked(ranked) => ranked.rank(member),
            ZsetRef::Packed(pack) => {
                let at = pack.find(member, 2)?;
                let rank = pack.iter().take_while(|(other, _)| *other < at).count() / 2;
                Some((rank, score_behind(pack, at)))
            }
        }
    }

    /// How many members have a score below `bound`, or at most `bound` if `inclusive`.
    pub fn count_below(self, bound: f64, inclusive: bool) -> usize {
        match self {
            ZsetRef::Ranked(ranked) => ranked.count_below(bound, inclusive),
            ZsetRef::Packed(pack) => {
                let scores = pack.iter().skip(1).step_by(2).map(|(_, elem)| score_of(elem));
                scores.take_while(|&score| if inclusive { score <= bound } else { score < bound }).count()
            }
        }
    }

    /// How many members, from the first on, `below` holds for. Whether it holds for a later one is not asked.
    pub fn partition(self, mut below: impl FnMut(&[u8]) -> bool) -> usize {
        match self {
            ZsetRef::Ranked(ranked) => ranked.partition(|_, member| below(member)),
            ZsetRef::Packed(pack) => {
                let members = pack.iter().step_by(2);
                members.take_while(|(_, member)| below(member.text(&mut TextBuf::default()))).count()
            }
        }
    }

    /// The members of these ranks, from the highest down if `reverse`.
    pub fn range(self, ranks: Range<usize>, reverse: bool) -> Items<'a> {
        let end = ranks.end.min(self.len());
        let ranks = ranks.start.min(end)..end;
        match self {
            ZsetRef::Ranked(ranked) if reverse => Items::Back(ranked.range(ranks).rev()),
            ZsetRef::Ranked(ranked) => Items::Ranked(ranked.range(ranks)),
            ZsetRef::Packed(pack) => {
                let at = pack.nth(2 * ranks.start).unwrap_or(pack.end());
                let forward = Items::Packed(pack.iter_from(at), ranks.len());
                if !reverse {
                    return forward;
                }
                let listed: Vec<_> = forward.collect();
                Items::Listed(listed.into_iter().rev())
            }
        }
    }

    pub fn iter(self) -> Items<'a> {
        self.range(0..self.len(), false)
    }

    pub fn random(self, rng: &mut Rng) -> Option<(Elem<'a>, f64)> {
        let rank = rng.index(self.len());
        self.range(rank..rank + 1, false).next()
    }

    /// One step of ZSCAN; a small set is handed out whole.
    pub fn scan(self, cursor: u64, mut visit: impl FnMut(Elem<'a>, f64)) -> u64 {
        match self {
            ZsetRef::Ranked(ranked) => ranked.scan(cursor, |member, score| visit(Elem::Str(member), score)),
            ZsetRef::Packed(_) => {
                self.iter().for_each(|(member, score)| visit(member, score));
                0
            }
        }
    }

    pub fn encoding(self) -> &'static str {
        match self {
            ZsetRef::Packed(_) => "listpack",
            ZsetRef::Ranked(_) => "skiplist",
        }
    }

    /// Heap bytes.
    pub fn memory(self) -> usize {
        match self {
            ZsetRef::Packed(pack) => pack.byte_len(),
            ZsetRef::Ranked(ranked) => size_of::<Ranked>() + ranked.memory(),
        }
    }

    pub fn free_effort(self) -> usize {
        match self {
            ZsetRef::Packed(_) => 1,
            ZsetRef::Ranked(ranked) => ranked.free_effort(),
        }
    }
}

/// Members with their scores; see [`ZsetRef::range`].
#[derive(Clone)]
pub enum Items<'a> {
    /// Elements, and how many pairs of them are still wanted.
    Packed(pack::Iter<'a>, usize),
    Listed(Rev<std::vec::IntoIter<(Elem<'a>, f64)>>),
    Ranked(ranked::Iter<'a>),
    Back(Rev<ranked::Iter<'a>>),
}

impl<'a> Iterator for Items<'a> {
    type Item = (Elem<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<(Elem<'a>, f64)> {
        let (member, score) = match self {
            Items::Ranked(items) => items.next()?,
            Items::Back(items) => items.next()?,
            Items::Listed(items) => return items.next(),
            Items::Packed(_, 0) => return None,
            Items::Packed(elements, left) => {
                *left -= 1;
                let ((_, member), (_, score)) = (elements.next()?, elements.next()?);
                return Some((member, score_of(score)));
            }
        };
        Some((Elem::Str(member), score))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self {
            Items::Packed(_, left) => *left,
            Items::Listed(items) => items.len(),
            Items::Ranked(items) => items.len(),
            Items::Back(items) => items.len(),
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for Items<'_> {}
