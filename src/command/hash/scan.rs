//! HSCAN.
//!
//! *Does not know:* how the cursor keeps its promise; see [`Table::scan`](crate::ds::table::Table::scan).
//! *Invariant:* a small hash is handed out whole, and only fields are matched with the pattern.
//! *Counterpart in C Redis:* `hscanCommand`.

use super::{HASH_SPEC, read, reply_elem};
use crate::call::{Call, CmdResult};
use crate::command::scanning::{self, Filter};
use crate::command::spec::*;
use crate::keyspace::Keyspace;

pub const HSCAN: DataCommand = Command::new(
    hscan,
    Spec {
        name: "hscan",
        arity: -3,
        flags: READONLY,
        keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
        since: "2.8.0",
        complexity: "O(1) for a call; O(N) for all the calls that visit N fields.",
        summary: "Walks through the fields of a hash, some at each call.",
        syntax: "key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
        tips: &["nondeterministic_output"],
        ..HASH_SPEC
    },
);

fn hscan(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let cursor = scanning::parse_cursor(call.arg(2))?;
    let Some(hash) = read(ks, call)? else {
        scanning::reply_nothing(call.reply);
        return Ok(());
    };
    let filter = Filter::parse_of_collection(call, Some("NOVALUES"))?;
    let mut kept = Vec::new();
    let next = filter.walk(cursor, 2, |cursor, visited| {
        hash.scan(cursor, |field, value| {
            *visited += 1;
            if filter.matches_elem(field) {
                kept.push((field, value));
            }
        })
    });
    scanning::reply_head(call.reply, next, if filter.names_only { 1 } else { 2 } * kept.len());
    for (field, value) in kept {
        reply_elem(call.reply, field);
        if !filter.names_only {
            reply_elem(call.reply, value);
        }
    }
    Ok(())
}
