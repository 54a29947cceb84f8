//! Looks inside: PFDEBUG, PFSELFTEST.
//!
//! *Invariant:* a conversion to the dense form is a change that replicas follow, but no event.
//! *Counterpart in C Redis:* `pfdebugCommand`, `pfselftestCommand`.

use super::{HLL_SPEC, hll_of};
use crate::base::rng::Rng;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::keyspace::{EntryMut, Keyspace};
use crate::value::hll::{self, Corrupt, DENSE_LEN, Encoding, HEADER, REGISTER_MAX, REGISTERS};

pub const PFDEBUG: DataCommand = Command::new(
    pfdebug,
    Spec {
        name: "pfdebug",
        arity: 3,
        flags: WRITE.or(DENYOOM).or(ADMIN),
        keys: &[KeySpec::one(2, KeyFlags::RW.or(KeyFlags::ACCESS))],
        complexity: "N/A",
        summary: "Shows or converts the inner form of a HyperLogLog.",
        syntax: "subcommand key",
        ..HLL_SPEC
    },
);

fn pfdebug(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let (what, key) = (call.arg(1), call.arg(2));
    let Some(mut entry) = ks.write(key, call) else {
        return Err(CmdError::Fixed("ERR The specified key does not exist"));
    };
    let encoding = hll_of(entry.entry().view())?.1;
    let is = |word: &str| what.eq_ignore_ascii_case(word.as_bytes());
    if is("getreg") {
        let converted = make_dense(&mut entry)?;
        call.fx.dirty += converted as u64;
        let bytes = hll_of(entry.entry().view())?.0;
        call.reply.array(REGISTERS);
        (0..REGISTERS).for_each(|i| call.reply.int(hll::dense_register(&bytes[HEADER..], i) as i64));
    } else if is("decode") {
        if encoding != Encoding::Sparse {
            return Err(CmdError::Fixed("ERR HLL encoding is not sparse"));
        }
        let words = hll::runs(hll_of(entry.entry().view())?.0).map(|(_, run)| match run.value {
            0 if run.is_long() => format!("Z:{}", run.len),
            0 => format!("z:{}", run.len),
            value => format!("v:{value},{}", run.len),
        });
        call.reply.bulk(words.collect::<Vec<_>>().join(" ").as_bytes());
    } else if is("encoding") {
        call.reply.status(if encoding == Encoding::Dense { "dense" } else { "sparse" });
    } else if is("todense") {
        let converted = make_dense(&mut entry)?;
        call.fx.dirty += converted as u64;
        call.reply.int(converted as i64);
    } else {
        let name = String::from_utf8_lossy(what);
        return Err(CmdError::text(format!("ERR Unknown PFDEBUG subcommand '{name}'")));
    }
    Ok(())
}

fn make_dense(entry: &mut EntryMut<'_>) -> Result<bool, Corrupt> {
    entry.edit_string(hll::make_dense)
}

pub const PFSELFTEST: DataCommand = Command::new(
    pfselftest,
    Spec {
        name: "pfselftest",
        arity: 1,
        flags: ADMIN,
        complexity: "N/A",
        summary: "Tests the registers and the estimates of HyperLogLogs, which takes seconds.",
        ..HLL_SPEC
    },
);

fn pfselftest(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    test_registers(&mut ks.rng)?;
    test_estimates(&mut ks.rng, ks.settings.limits.hll_sparse_max_bytes)?;
    call.reply.ok();
    Ok(())
}

fn failed(what: String) -> CmdError {
    CmdError::text(format!("ERR TESTFAILED {what}"))
}

/// Each register keeps its value while its neighbours get theirs.
fn test_registers(rng: &mut Rng) -> CmdResult {
    const CYCLES: usize = 1000;
    let mut packed = vec![0; DENSE_LEN - HEADER];
    let mut plain = [0; REGISTERS];
    for _ in 0..CYCLES {
        for (i, value) in plain.iter_mut().enumerate() {
            *value = rng.next_u64() as u8 & REGISTER_MAX;
            hll::set_dense_register(&mut packed, i, *value);
        }
        for (i, &value) in plain.iter().enumerate() {
            let got = hll::dense_register(&packed, i);
            if got != value {
                return Err(failed(format!("Register {i} should be {value} but is {got}")));
            }
        }
    }
    Ok(())
}

/// Estimates at powers of ten are about right, and the same in both forms.
fn test_estimates(rng: &mut Rng, sparse_max: usize) -> CmdResult {
    const LAST: u64 = 10_000_000;
    let relative_error = 1.04 / (REGISTERS as f64).sqrt();
    let (mut dense, mut growing) = (hll::empty(), hll::empty());
    hll::make_dense(&mut dense)?;
    let seed = rng.next_u64();
    let mut checkpoint = 1;
    for n in 1..=LAST {
        let element = (n ^ seed).to_ne_bytes();
        hll::add(&mut dense, &element, sparse_max)?;
        hll::add(&mut growing, &element, sparse_max)?;
        if n < checkpoint {
            continue;
        }
        if n < sparse_max as u64 / 2 && hll::encoding(&growing) != Some(Encoding::Sparse) {
            return Err(failed("sparse encoding not used".into()));
        }
        let estimate = hll::count(&dense)?;
        if hll::count(&growing)? != estimate {
            return Err(failed("dense/sparse disagree".into()));
        }
        // Two of ten elements in one register are not so rare.
        let tolerated = if n == 10 { 1 } else { (relative_error * 6.0 * n as f64).ceil() as u64 };
        let error = n.abs_diff(estimate);
        if error > tolerated {
            return Err(failed(format!("Too big error. card:{n} abserr:{error}")));
        }
        checkpoint *= 10;
    }
    Ok(())
}
