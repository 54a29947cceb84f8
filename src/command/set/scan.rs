//! SSCAN.
//!
//! *Does not know:* how the cursor keeps its promise; see [`Table::scan`](crate::ds::table::Table::scan).
//! *Invariant:* a small set is handed out whole. *Counterpart in C Redis:* `sscanCommand`.

use super::{READ_KEY, SET_SPEC, reply_member};
use crate::call::{Call, CmdResult};
use crate::command::scanning::{self, Filter};
use crate::command::spec::*;
use crate::keyspace::Keyspace;
use crate::value::Set;

pub const SSCAN: DataCommand = Command::new(
    sscan,
    Spec {
        name: "sscan",
        arity: -3,
        flags: READONLY,
        keys: READ_KEY,
        since: "2.8.0",
        complexity: "O(1) for a call; O(N) for all the calls that visit N members.",
        summary: "Walks through the members of a set, some at each call.",
        syntax: "key cursor [MATCH pattern] [COUNT count]",
        tips: &["nondeterministic_output"],
        ..SET_SPEC
    },
);

fn sscan(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let cursor = scanning::parse_cursor(call.arg(2))?;
    let Some(set) = ks.read_typed::<Set>(call.arg(1), call)? else {
        scanning::reply_nothing(call.reply);
        return Ok(());
    };
    let filter = Filter::parse_of_collection(call, None)?;
    let mut kept = Vec::new();
    let next = filter.walk(cursor, 1, |cursor, visited| {
        set.scan(cursor, |member| {
            *visited += 1;
            if filter.matches_elem(member) {
                kept.push(member);
            }
        })
    });
    scanning::reply_head(call.reply, next, kept.len());
    kept.into_iter().for_each(|member| reply_member(call.reply, member));
    Ok(())
}
