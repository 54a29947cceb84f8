//! HRANDFIELD.
//!
//! *Duty:* fields drawn with equal chances: one, some different ones, or (with a negative count) some that may repeat.
//! *Does not know:* why a table draws fairly; see [`Table::random`](crate::ds::table::Table::random).
//! *Counterpart in C Redis:* `hrandfieldCommand`.

use std::collections::HashSet;

use super::{HASH_SPEC, read, reply_elem};
use crate::base::rng::Rng;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::ds::element::Elem;
use crate::keyspace::Keyspace;
use crate::resp::{Proto, ReplyBuf};
use crate::value::HashRef;

pub const HRANDFIELD: DataCommand = Command::new(
    hrandfield,
    Spec {
        name: "hrandfield",
        arity: -2,
        flags: READONLY,
        keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
        since: "6.2.0",
        complexity: "O(N) for N fields returned.",
        summary: "Returns fields of a hash, drawn at random.",
        syntax: "key [count [WITHVALUES]]",
        tips: &["nondeterministic_output"],
        ..HASH_SPEC
    },
);

/// A table with fewer fields than this times what is asked for is listed whole and drawn from the list.
const LISTED_BELOW: usize = 3;

type Pair<'a> = (Elem<'a>, Elem<'a>);

fn hrandfield(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let count = if call.args.len() > 2 { Some(parse_count(call)?) } else { None };
    let mut rng = ks.rng.clone();
    let hash = read(ks, call)?.filter(|hash| !hash.is_empty());
    match (hash, count) {
        (None, None) => call.reply.null(),
        (None, Some(_)) | (_, Some((0, _))) => call.reply.array(0),
        (Some(hash), None) => match hash.random(&mut rng) {
            Some((field, _)) => reply_elem(call.reply, field),
            None => call.reply.null(),
        },
        (Some(hash), Some((count, with_values))) => {
            let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            let mut out = Out { reply: call.reply, with_values };
            if count < 0 || count == 1 {
                repeatable(hash, wanted, &mut rng, &mut out);
            } else {
                different(hash, wanted, &mut rng, &mut out);
            }
        }
    }
    ks.rng = rng;
    Ok(())
}

fn parse_count(call: &Call<'_>) -> Result<(i64, bool), CmdError> {
    let out_of_range = CmdError::Fixed("ERR value is out of range");
    let count = call.args.int(2)?;
    if count == i64::MIN {
        return Err(CmdError::Text(
            format!("ERR value is out of range, value must between {} and {}", -i64::MAX, i64::MAX).into(),
        ));
    }
    match call.args.len() {
        3 => Ok((count, false)),
        4 if call.args.is(3, "WITHVALUES") && count.unsigned_abs() > i64::MAX as u64 / 2 => Err(out_of_range),
        4 if call.args.is(3, "WITHVALUES") => Ok((count, true)),
        _ => Err(CmdError::Syntax),
    }
}

/// Where drawn fields go.
struct Out<'a> {
    reply: &'a mut ReplyBuf,
    with_values: bool,
}

impl Out<'_> {
    /// Pairs are nested in RESP3 and flat in RESP2.
    fn open(&mut self, fields: usize) {
        let flat = self.with_values && self.reply.proto == Proto::Resp2;
        self.reply.array(if flat { 2 * fields } else { fields });
    }

    fn put(&mut self, (field, value): Pair<'_>) {
        if self.with_values && self.reply.proto == Proto::Resp3 {
            self.reply.array(2);
        }
        reply_elem(self.reply, field);
        if self.with_values {
            reply_elem(self.reply, value);
        }
    }
}

/// `wanted` draws, each from the whole hash.
fn repeatable(hash: HashRef<'_>, wanted: usize, rng: &mut Rng, out: &mut Out<'_>) {
    out.open(wanted);
    if !hash.draws_quickly() && wanted > 1 {
        let all: Vec<Pair<'_>> = hash.iter().collect();
        let mut draws = 0;
        while draws < wanted && !out.reply.is_full() {
            out.put(all[rng.index(all.len())]);
            draws += 1;
        }
        return;
    }
    for _ in 0..wanted {
        if out.reply.is_full() {
            return;
        }
        out.put(hash.random(rng).expect("a hash is never empty"));
    }
}

/// `wanted` different fields, or all there are.
fn different(hash: HashRef<'_>, wanted: usize, rng: &mut Rng, out: &mut Out<'_>) {
    let len = hash.len();
    out.open(wanted.min(len));
    if wanted >= len {
        hash.iter().for_each(|pair| out.put(pair));
    } else if !hash.draws_quickly() || wanted.saturating_mul(LISTED_BELOW) > len {
        // Each pair is taken with the chance (still wanted) : (still to come), which makes all choices equally likely.
        let (mut missing, mut left) = (wanted, len);
        for pair in hash.iter() {
            if rng.index(left) < missing {
                out.put(pair);
                missing -= 1;
            }
            left -= 1;
        }
    } else {
        let mut drawn = HashSet::with_capacity(wanted);
        while drawn.len() < wanted {
            let pair = hash.random(rng).expect("a hash is never empty");
            // A table's fields lie still while it is borrowed, so their addresses tell them apart.
            if drawn.insert(address(pair.0)) {
                out.put(pair);
            }
        }
    }
}

fn address(field: Elem<'_>) -> usize {
    match field {
        Elem::Str(text) => text.as_ptr() as usize,
        Elem::Int(_) => unreachable!("a table keeps fields as texts"),
    }
}
