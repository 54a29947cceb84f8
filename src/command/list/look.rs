//! Looking into a list: LLEN, LRANGE, LINDEX, LPOS.
//!
//! *Counterpart in C Redis:* `llenCommand`, `addListRangeReply`, `lindexCommand`, `lposCommand`.

use std::ops::ControlFlow;

use super::{clip, write_element};
use crate::base::num;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::ds::element::Needle;
use crate::keyspace::Keyspace;
use crate::value::list::End;
use crate::value::{List, ListRef};

const LOOK: Spec = Spec {
    flags: READONLY,
    keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
    acl: Categories::LIST,
    group: Group::List,
    ..Spec::BASE
};

pub const LLEN: DataCommand = Command::new(
    llen,
    Spec {
        name: "llen",
        arity: 2,
        flags: READONLY.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RO)],
        complexity: "O(1)",
        summary: "Tells the length of a list.",
        syntax: "key",
        ..LOOK
    },
);

fn llen(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let len = ks.read_typed::<List>(call.arg(1), call)?.map_or(0, ListRef::len);
    call.reply.len_of(len);
    Ok(())
}

pub const LRANGE: DataCommand = Command::new(
    lrange,
    Spec {
        name: "lrange",
        arity: 4,
        complexity: "O(S+N) for N elements; S is the way to the first of them, from the nearer end and node by node.",
        summary: "Returns a range of a list's elements.",
        syntax: "key start stop",
        ..LOOK
    },
);

fn lrange(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (start, stop) = (call.args.int(2)?, call.args.int(3)?);
    let Some(list) = ks.read_typed::<List>(call.arg(1), call)? else {
        call.reply.array(0);
        return Ok(());
    };
    let (start, count) = clip(start, stop, list.len());
    call.reply.array(count);
    list.range(start, count, End::Right, |elem| write_element(call.reply, elem));
    Ok(())
}

pub const LINDEX: DataCommand = Command::new(
    lindex,
    Spec {
        name: "lindex",
        arity: 3,
        complexity: "O(N) for N elements on the way from the nearer end, node by node; O(1) for the first and the last.",
        summary: "Returns the element at an index of a list.",
        syntax: "key index",
        ..LOOK
    },
);

fn lindex(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let Some(list) = ks.read_typed::<List>(call.arg(1), call)? else {
        call.reply.null();
        return Ok(());
    };
    let index = call.args.int(2)?;
    let (index, count) = clip(index, index, list.len());
    let shown = if count == 1 { list.at(index, |elem| write_element(call.reply, elem)) } else { None };
    if shown.is_none() {
        call.reply.null();
    }
    Ok(())
}

pub const LPOS: DataCommand = Command::new(
    lpos,
    Spec {
        name: "lpos",
        arity: -3,
        since: "6.0.6",
        complexity: "O(N) for N elements that are compared; O(1) if the search ends near the end where it began.",
        summary: "Tells at which indices of a list an element stands.",
        syntax: "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
        ..LOOK
    },
);

/// The options of LPOS.
struct Search {
    /// How many matches are passed over.
    skip: u64,
    from: End,
    /// How many matches are wanted, 0 for all; none: one, answered without an array.
    count: Option<u64>,
    /// How many elements are compared, 0 for all.
    max_len: u64,
}

impl Search {
    fn parse(call: &Call<'_>) -> Result<Search, CmdError> {
        let mut search = Search { skip: 0, from: End::Right, count: None, max_len: 0 };
        let mut i = 3;
        while i < call.args.len() {
            let Some(value) = call.args.opt(i + 1) else { return Err(CmdError::Syntax) };
            let not_negative = |error| match num::parse_i64(value) {
                Some(n) if n >= 0 => Ok(n as u64),
                _ => Err(CmdError::Fixed(error)),
            };
            if call.args.is(i, "RANK") {
                let rank = call.args.int(i + 1)?;
                if rank == 0 {
                    return Err(CmdError::Fixed(
                        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
                         negative to start from the end of the list",
                    ));
                }
                search.from = if rank < 0 { End::Left } else { End::Right };
                search.skip = rank.unsigned_abs() - 1;
            } else if call.args.is(i, "COUNT") {
                search.count = Some(not_negative("ERR COUNT can't be negative")?);
            } else if call.args.is(i, "MAXLEN") {
                search.max_len = not_negative("ERR MAXLEN can't be negative")?;
            } else {
                return Err(CmdError::Syntax);
            }
            i += 2;
        }
        Ok(search)
    }

    /// Tells `found` the index of each match, until it breaks.
    fn run(&self, list: ListRef<'_>, text: &[u8], mut found: impl FnMut(usize) -> ControlFlow<()>) {
        let (needle, len) = (Needle::new(text), list.len());
        let max = if self.max_len == 0 { len as u64 } else { self.max_len.min(len as u64) };
        let (mut seen, mut skip) = (0, self.skip);
        list.walk(if self.from == End::Right { 0 } else { len - 1 }, self.from, |elem| {
            if seen == max {
                return ControlFlow::Break(());
            }
            seen += 1;
            if !needle.is(elem) {
                return ControlFlow::Continue(());
            }
            if skip > 0 {
                skip -= 1;
                return ControlFlow::Continue(());
            }
            let number = seen as usize - 1;
            found(if self.from == End::Right { number } else { len - 1 - number })
        });
    }
}

fn lpos(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let search = Search::parse(call)?;
    let list = ks.read_typed::<List>(call.arg(1), call)?;
    let text = call.arg(2);
    let Some(count) = search.count else {
        let mut first = None;
        if let Some(list) = list {
            search.run(list, text, |index| {
                first = Some(index);
                ControlFlow::Break(())
            });
        }
        match first {
            Some(index) => call.reply.len_of(index),
            None => call.reply.null(),
        }
        return Ok(());
    };
    let mark = call.reply.defer();
    let mut written = 0;
    if let Some(list) = list {
        search.run(list, text, |index| {
            call.reply.len_of(index);
            written += 1;
            if written as u64 == count { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }
    call.reply.close_array(mark, written);
    Ok(())
}
