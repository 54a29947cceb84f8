//! Sorted set commands.
//!
//! *Duty:* the table of the family, its events, and how members and scores are written in replies. The commands
//! stand in the files below. *Does not know:* which form a set has; see [`crate::value::zset`].
//! *Counterpart in C Redis:* `t_zset.c`.

pub(super) mod add;
mod bounds;
mod combine;
mod lookup;
mod pop;
mod random;
mod range;
mod remove;
pub(super) mod store;

use super::spec::*;
use crate::base::{float, num};
use crate::call::{Call, Class, CmdError, Event};
use crate::ds::element::{Elem, TextBuf};
use crate::resp::{Proto, ReplyBuf};

pub const COMMANDS: &[DataCommand] = &[
    pop::BZMPOP,
    pop::BZPOPMAX,
    pop::BZPOPMIN,
    add::ZADD,
    lookup::ZCARD,
    range::ZCOUNT,
    combine::ZDIFF,
    combine::ZDIFFSTORE,
    add::ZINCRBY,
    combine::ZINTER,
    combine::ZINTERCARD,
    combine::ZINTERSTORE,
    range::ZLEXCOUNT,
    pop::ZMPOP,
    lookup::ZMSCORE,
    pop::ZPOPMAX,
    pop::ZPOPMIN,
    random::ZRANDMEMBER,
    range::ZRANGE,
    range::ZRANGEBYLEX,
    range::ZRANGEBYSCORE,
    range::ZRANGESTORE,
    lookup::ZRANK,
    remove::ZREM,
    remove::ZREMRANGEBYLEX,
    remove::ZREMRANGEBYRANK,
    remove::ZREMRANGEBYSCORE,
    range::ZREVRANGE,
    range::ZREVRANGEBYLEX,
    range::ZREVRANGEBYSCORE,
    lookup::ZREVRANK,
    lookup::ZSCAN,
    lookup::ZSCORE,
    combine::ZUNION,
    combine::ZUNIONSTORE,
];

/// What all rows of the family share.
const BASE: Spec = Spec { acl: Categories::SORTEDSET, group: Group::SortedSet, ..Spec::BASE };

pub(super) const fn event(name: &'static str) -> Event {
    Event::new(Class::ZSET, name)
}

/// A member as a bulk string.
#[inline]
pub(super) fn bulk(reply: &mut ReplyBuf, member: Elem<'_>) {
    match member {
        Elem::Str(text) => reply.bulk(text),
        Elem::Int(value) => reply.bulk_int(value),
    }
}

/// Members, or members with scores: an array of pairs in RESP3, all in one array in RESP2. The head of the array.
fn pairs_head(reply: &mut ReplyBuf, members: usize, with_scores: bool) {
    let flat = with_scores && reply.proto == Proto::Resp2;
    reply.array(if flat { 2 * members } else { members });
}

/// One of those that [`pairs_head`] announced.
#[inline]
fn pair(reply: &mut ReplyBuf, member: Elem<'_>, score: f64, with_scores: bool) {
    if with_scores && reply.proto == Proto::Resp3 {
        reply.array(2);
    }
    bulk(reply, member);
    if with_scores {
        reply.double(score);
    }
}

/// A member's text.
#[inline]
pub(super) fn text<'b, 'a: 'b>(member: Elem<'a>, buf: &'b mut TextBuf) -> &'b [u8] {
    member.text(buf)
}

pub(super) fn score_arg(arg: &[u8]) -> Result<f64, CmdError> {
    float::parse_f64(arg).ok_or(CmdError::NotFloat)
}

/// An integer of at least `least`; everything else is refused with `otherwise`.
pub(super) fn int_from(call: &Call<'_>, at: usize, least: i64, otherwise: &'static str) -> Result<i64, CmdError> {
    num::parse_i64(call.arg(at)).filter(|&n| n >= least).ok_or(CmdError::Fixed(otherwise))
}
