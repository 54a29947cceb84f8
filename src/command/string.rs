//! String commands.
//!
//! *Duty:* the family's table, and what its files share: how a value reads as bytes, the limit of a string's length.
//! *Does not know:* how a string lies in its entry; that a value may be an integer is all that shows of it.
//! *Invariants:* a command either refuses before it has changed or written anything, or it succeeds. GET, SET on an
//! old key and INCR look the key up once.
//! *Reading order:* `get`, `set` (with the options that SET and GETEX share), `range`, `incr`, `multi`, `lcs`.
//! *Counterpart in C Redis:* `t_string.c`.

use super::spec::*;
use crate::base::num::{self, IntBuf};
use crate::call::{Call, Class, CmdError, CmdResult, Event, Origin};
use crate::keyspace::View;
use crate::resp::ReplyBuf;

mod get;
mod incr;
mod lcs;
mod multi;
mod range;
mod set;

pub(super) use range::make_room;

pub const COMMANDS: &[DataCommand] = &[
    range::APPEND,
    incr::DECR,
    incr::DECRBY,
    get::DELIFEQ,
    get::GET,
    get::GETDEL,
    get::GETEX,
    range::GETRANGE,
    set::GETSET,
    incr::INCR,
    incr::INCRBY,
    incr::INCRBYFLOAT,
    lcs::LCS,
    multi::MGET,
    multi::MSET,
    multi::MSETEX,
    multi::MSETNX,
    set::PSETEX,
    set::SET,
    set::SETEX,
    set::SETNX,
    range::SETRANGE,
    range::STRLEN,
    range::SUBSTR,
];

/// What the rows of this family have in common.
const STRING_SPEC: Spec = Spec { acl: Categories::STRING, group: Group::String, complexity: "O(1)", ..Spec::BASE };

/// The event of every command that replaces a string.
pub(super) const SET_EVENT: Event = Event::new(Class::STRING, "set");

/// Replies with a string's bytes; another type is refused, and nothing is written.
#[inline]
fn reply_string(reply: &mut ReplyBuf, value: View<'_>) -> CmdResult {
    match value {
        View::Int(i) => reply.bulk_int(i),
        View::Str(bytes) => reply.bulk(bytes),
        View::Object(_) => return Err(CmdError::WrongType),
    }
    Ok(())
}

/// A string's bytes; those of an integer are printed into `digits`.
pub(super) fn bytes_of<'a>(value: View<'a>, digits: &'a mut IntBuf) -> Result<&'a [u8], CmdError> {
    match value {
        View::Int(i) => Ok(num::format_i64(i, digits)),
        View::Str(bytes) => Ok(bytes),
        View::Object(_) => Err(CmdError::WrongType),
    }
}

fn len_of(value: View<'_>) -> Result<usize, CmdError> {
    match value {
        View::Int(i) => Ok(num::digits10_i64(i)),
        View::Str(bytes) => Ok(bytes.len()),
        View::Object(_) => Err(CmdError::WrongType),
    }
}

/// Refuses a string of `len` and `added` bytes when that is more than `limit`. What the append only file or the
/// master says is obeyed all the same: it was within the limit where it was first said.
fn check_len(len: usize, added: usize, limit: u64, call: &Call<'_>) -> CmdResult {
    let fits = len.checked_add(added).is_some_and(|total| total as u64 <= limit);
    if fits || matches!(call.caller.origin, Origin::Aof | Origin::Master) {
        return Ok(());
    }
    Err(CmdError::Fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)"))
}

#[cfg(test)]
mod tests;
