//! Counting different elements: PFADD, PFCOUNT, PFMERGE.
//!
//! *Invariants:* an estimate is kept in the string until a register changes. To keep one is a change of the data set,
//! though PFCOUNT reads: replicas and the append only file get the same bytes by running it too.
//! *Counterpart in C Redis:* `pfaddCommand`, `pfcountCommand`, `pfmergeCommand`.

use super::{ADDED, HLL_SPEC, hll_of};
use crate::call::{Call, CmdResult};
use crate::command::spec::*;
use crate::keyspace::{Expire, Keyspace, New};
use crate::value::hll::{self, Corrupt, Encoding, REGISTERS};

pub const PFADD: DataCommand = Command::new(
    pfadd,
    Spec {
        name: "pfadd",
        arity: -2,
        flags: WRITE.or(DENYOOM).or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::INSERT))],
        complexity: "O(1) to add every element.",
        summary: "Counts elements into a HyperLogLog, making it if there is none.",
        syntax: "key [element [element ...]]",
        ..HLL_SPEC
    },
);

fn pfadd(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let key = call.arg(1);
    let sparse_max = ks.settings.limits.hll_sparse_max_bytes;
    let elements = call.args.from(2);
    // An element before one that meets nonsense stays counted in: the value is lost anyhow.
    let add_all = |hll: &mut Vec<u8>| -> Result<u64, Corrupt> {
        let mut changes = 0;
        for element in elements {
            changes += hll::add(hll, element, sparse_max)? as u64;
        }
        if changes > 0 {
            hll::forget_estimate(hll);
        }
        Ok(changes)
    };
    let changes = match ks.write(key, call) {
        Some(mut entry) => {
            hll_of(entry.entry().view())?;
            entry.edit_string(add_all)?
        }
        None => {
            let mut hll = hll::empty();
            let changes = add_all(&mut hll)?;
            hll::forget_estimate(&mut hll);
            ks.set(key, New::Owned(hll), Expire::Clear, call);
            1 + changes
        }
    };
    if changes > 0 {
        call.modified(key, ADDED, changes);
    }
    call.reply.int((changes > 0) as i64);
    Ok(())
}

pub const PFCOUNT: DataCommand = Command::new(
    pfcount,
    Spec {
        name: "pfcount",
        arity: -2,
        flags: READONLY.or(MAY_REPLICATE),
        keys: &[KeySpec::range(1, -1, 1, KeyFlags::RW.or(KeyFlags::ACCESS))],
        complexity: "O(1) with a very small average constant time when called with a single key. O(N) with N being the number of keys, and much bigger constant times, when called with multiple keys.",
        summary: "Estimates how many different elements one or several HyperLogLogs have seen together.",
        syntax: "key [key ...]",
        ..HLL_SPEC
    },
);

fn pfcount(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    if call.args.len() > 2 {
        let mut registers = [0; REGISTERS];
        for key in call.args.from(1) {
            if let Some(entry) = ks.read(key, call) {
                hll::merge(&mut registers, hll_of(entry.view())?.0)?;
            }
        }
        call.reply.int(hll::count_registers(&registers) as i64);
        return Ok(());
    }
    let key = call.arg(1);
    let Some(entry) = ks.read(key, call) else {
        call.reply.int(0);
        return Ok(());
    };
    let kept = hll::kept_estimate(hll_of(entry.view())?.0);
    let short = entry.encoding() == "embstr";
    let estimate = match kept {
        Some(estimate) if !short => estimate,
        _ => {
            let mut entry = ks.write(key, call).expect("it was read just now");
            // Whoever counts gets the string a buffer of its own, which OBJECT ENCODING shows, even if nothing changes.
            let counted = entry.edit_string(|bytes| match kept {
                Some(_) => Ok(None),
                None => hll::count(bytes).map(|estimate| {
                    hll::keep_estimate(bytes, estimate);
                    Some(estimate)
                }),
            })?;
            let Some(estimate) = counted else {
                call.reply.int(kept.expect("nothing was counted") as i64);
                return Ok(());
            };
            call.fx.dirty += 1;
            call.fx.touch(call.caller.db, key);
            estimate
        }
    };
    call.reply.int(estimate as i64);
    Ok(())
}

pub const PFMERGE: DataCommand = Command::new(
    pfmerge,
    Spec {
        name: "pfmerge",
        arity: -2,
        flags: WRITE.or(DENYOOM),
        keys: &[
            KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::INSERT)),
            KeySpec::range(2, -1, 1, KeyFlags::RO.or(KeyFlags::ACCESS)),
        ],
        complexity: "O(N) to merge N HyperLogLogs, but with high constant times.",
        summary: "Makes a HyperLogLog that has seen what it and others have seen.",
        syntax: "destkey sourcekey [sourcekey ...]",
        ..HLL_SPEC
    },
);

fn pfmerge(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let sparse_max = ks.settings.limits.hll_sparse_max_bytes;
    let mut registers = [0; REGISTERS];
    let mut dense = false;
    for key in call.args.from(1) {
        if let Some(entry) = ks.read(key, call) {
            let (bytes, encoding) = hll_of(entry.view())?;
            dense |= encoding == Encoding::Dense;
            hll::merge(&mut registers, bytes)?;
        }
    }
    let target = call.arg(1);
    match ks.write(target, call) {
        Some(mut entry) => entry.edit_string(|hll| hll::store(hll, &registers, dense, sparse_max))?,
        None => {
            let mut hll = hll::empty();
            hll::store(&mut hll, &registers, dense, sparse_max)?;
            ks.set(target, New::Owned(hll), Expire::Clear, call);
        }
    }
    call.modified(target, ADDED, 1);
    call.reply.ok();
    Ok(())
}
