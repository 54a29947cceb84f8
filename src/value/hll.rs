//! HyperLogLogs: how many different elements were seen, within about one percent, in at most 12 KiB.
//!
//! *Duty:* the bytes of the string that is a HyperLogLog, both forms of it, and what can be done to them. They are the
//! same as Redis' own to the last bit, since clients GET and SET them and files carry them.
//! *Does not know:* keys, commands. *Invariants:* a string that [`encoding`] names may still hold nonsense behind its
//! header; whoever walks over it finds that out and says [`Corrupt`], and reads nothing beyond its end.
//! *Counterpart in C Redis:* the first two thirds of `hyperloglog.c`.
//!
//! ```text
//! bytes 0..4   HYLL
//! byte  4      0: dense, 1: sparse
//! bytes 5..8   not used
//! bytes 8..16  the estimate, little endian; its highest bit says that it is out of date
//! from 16      dense:  16,384 registers of 6 bits, lowest bits first, in 12,288 bytes
//!              sparse: runs of registers, see `sparse`
//! ```
//!
//! An element's hash chooses a register by its low 14 bits; the register keeps the longest run of zeros, plus one, that
//! the other 50 bits of such a hash began with.

mod estimate;
mod sparse;
#[cfg(test)]
mod tests;

pub use estimate::estimate;
pub use sparse::{Run, runs};

pub const HEADER: usize = 16;
pub const REGISTERS: usize = 1 << INDEX_BITS;
pub const DENSE_LEN: usize = HEADER + REGISTERS / 4 * 3;
/// The highest number that a dense register holds; no hash gives it.
pub const REGISTER_MAX: u8 = 63;

const INDEX_BITS: u32 = 14;
const RUN_BITS: u32 = 64 - INDEX_BITS;
const MAGIC: &[u8] = b"HYLL";
const ENCODING_AT: usize = 4;
const ESTIMATE: std::ops::Range<usize> = 8..16;
const STALE: u8 = 0x80;

/// One byte per register.
pub type Registers = [u8; REGISTERS];
/// How many registers have each value.
pub type Histogram = [u32; REGISTER_MAX as usize + 1];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Dense,
    Sparse,
}

/// The string says that it is a HyperLogLog, and is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// The form of a string that looks like a HyperLogLog.
pub fn encoding(hll: &[u8]) -> Option<Encoding> {
    if hll.len() < HEADER || !hll.starts_with(MAGIC) {
        return None;
    }
    match hll[ENCODING_AT] {
        0 if hll.len() == DENSE_LEN => Some(Encoding::Dense),
        1 => Some(Encoding::Sparse),
        _ => None,
    }
}

fn is_dense(hll: &[u8]) -> bool {
    hll[ENCODING_AT] == 0
}

/// A HyperLogLog that has seen nothing.
pub fn empty() -> Vec<u8> {
    let mut hll = vec![0; HEADER];
    hll[..MAGIC.len()].copy_from_slice(MAGIC);
    hll[ENCODING_AT] = 1;
    Run::zeros(REGISTERS).write(&mut hll);
    hll
}

/// The estimate that was kept, unless something changed since.
pub fn kept_estimate(hll: &[u8]) -> Option<u64> {
    let bytes: [u8; 8] = hll[ESTIMATE].try_into().expect("a header has eight bytes of it");
    (bytes[7] & STALE == 0).then_some(u64::from_le_bytes(bytes))
}

pub fn keep_estimate(hll: &mut [u8], estimate: u64) {
    hll[ESTIMATE].copy_from_slice(&estimate.to_le_bytes());
}

pub fn forget_estimate(hll: &mut [u8]) {
    hll[ESTIMATE.end - 1] |= STALE;
}

/// Counts an element in. `true`: a register changed. `sparse_max`: `hll-sparse-max-bytes`.
pub fn add(hll: &mut Vec<u8>, element: &[u8], sparse_max: usize) -> Result<bool, Corrupt> {
    let (index, value) = place_of(element);
    raise(hll, index, value, sparse_max)
}

/// The register that an element's hash chooses, and the value that it gives it.
pub fn place_of(element: &[u8]) -> (usize, u8) {
    let hash = murmur64a(element, 0xadc8_3b19);
    // A bit behind the last of the run ends it at the latest.
    let run = hash >> INDEX_BITS | 1 << RUN_BITS;
    (hash as usize & (REGISTERS - 1), run.trailing_zeros() as u8 + 1)
}

/// Raises a register to `value`, unless it is that high already. `true`: it was lower.
pub fn raise(hll: &mut Vec<u8>, index: usize, value: u8, sparse_max: usize) -> Result<bool, Corrupt> {
    if is_dense(hll) {
        return Ok(raise_dense(&mut hll[HEADER..], index, value));
    }
    match sparse::raise(hll, index, value, sparse_max)? {
        sparse::Raised::No => Ok(false),
        sparse::Raised::Yes => {
            forget_estimate(hll);
            Ok(true)
        }
        sparse::Raised::TooLarge => {
            make_dense(hll)?;
            Ok(raise_dense(&mut hll[HEADER..], index, value))
        }
    }
}

/// Gives a HyperLogLog the dense form. `true`: it had the other.
pub fn make_dense(hll: &mut Vec<u8>) -> Result<bool, Corrupt> {
    if is_dense(hll) {
        return Ok(false);
    }
    let mut registers = [0; REGISTERS];
    merge(&mut registers, hll)?;
    *hll = dense(hll, &registers);
    Ok(true)
}

/// The dense form of `registers`, under the header of another HyperLogLog.
fn dense(header: &[u8], registers: &Registers) -> Vec<u8> {
    let mut hll = Vec::with_capacity(DENSE_LEN);
    hll.extend_from_slice(&header[..HEADER]);
    hll[ENCODING_AT] = 0;
    for four in registers.chunks_exact(4) {
        let packed = four.iter().rev().fold(0u32, |packed, &value| packed << 6 | value as u32);
        hll.extend_from_slice(&packed.to_le_bytes()[..3]);
    }
    hll
}

/// The four registers in three bytes of the dense form.
#[inline]
fn unpack(three: &[u8]) -> [u8; 4] {
    let packed = three[0] as u32 | (three[1] as u32) << 8 | (three[2] as u32) << 16;
    [packed as u8 & 63, (packed >> 6) as u8 & 63, (packed >> 12) as u8 & 63, (packed >> 18) as u8]
}

/// One register of the dense form.
pub fn dense_register(registers: &[u8], index: usize) -> u8 {
    unpack(&registers[index / 4 * 3..][..3])[index % 4]
}

pub fn set_dense_register(registers: &mut [u8], index: usize, value: u8) {
    let three = &mut registers[index / 4 * 3..][..3];
    let shift = index % 4 * 6;
    let packed = three[0] as u32 | (three[1] as u32) << 8 | (three[2] as u32) << 16;
    let packed = packed & !(63 << shift) | (value as u32 & 63) << shift;
    three.copy_from_slice(&packed.to_le_bytes()[..3]);
}

/// [`raise`] for the registers of the dense form, header cut off.
pub fn raise_dense(registers: &mut [u8], index: usize, value: u8) -> bool {
    let lower = dense_register(registers, index) < value;
    if lower {
        set_dense_register(registers, index, value);
    }
    lower
}

/// Raises each of `registers` to what `hll` has in its place.
pub fn merge(registers: &mut Registers, hll: &[u8]) -> Result<(), Corrupt> {
    if is_dense(hll) {
        for (four, three) in registers.chunks_exact_mut(4).zip(hll[HEADER..].chunks_exact(3)) {
            four.iter_mut().zip(unpack(three)).for_each(|(register, value)| *register = (*register).max(value));
        }
        return Ok(());
    }
    sparse::for_each_run(hll, |at, run| {
        let values = &mut registers[at..at + run.len];
        // Written so that a run of zeros, which most of them are, costs nothing.
        if run.value > 0 {
            values.iter_mut().for_each(|register| *register = (*register).max(run.value));
        }
    })
}

/// Gives a HyperLogLog, one of those that `registers` were merged from, all of them. `dense`: in that form.
pub fn store(hll: &mut Vec<u8>, registers: &Registers, dense_form: bool, sparse_max: usize) -> Result<(), Corrupt> {
    if dense_form {
        *hll = dense(hll, registers);
    } else {
        for (index, &value) in registers.iter().enumerate().filter(|(_, value)| **value > 0) {
            raise(hll, index, value, sparse_max)?;
        }
    }
    forget_estimate(hll);
    Ok(())
}

/// How many different elements were counted in, about.
pub fn count(hll: &[u8]) -> Result<u64, Corrupt> {
    let mut histogram = [0; 64];
    if is_dense(hll) {
        // A histogram for each of four registers: equal neighbours need not wait for each other.
        let mut partial = [[0u32; 64]; 4];
        for three in hll[HEADER..].chunks_exact(3) {
            let values = unpack(three);
            partial.iter_mut().zip(values).for_each(|(counts, value)| counts[value as usize] += 1);
        }
        for counts in partial {
            histogram.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    } else {
        sparse::for_each_run(hll, |_, run| histogram[run.value as usize] += run.len as u32)?;
    }
    Ok(estimate(&histogram))
}

/// [`count`] for registers that were merged.
pub fn count_registers(registers: &Registers) -> u64 {
    let mut histogram = [0; 64];
    registers.iter().for_each(|&value| histogram[value as usize & 63] += 1);
    estimate(&histogram)
}

/// MurmurHash2 in its 64-bit form for 64-bit machines (Austin Appleby's MurmurHash64A).
fn murmur64a(bytes: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(M);
    let words = bytes.chunks_exact(8);
    let rest = words.remainder();
    for word in words {
        let k = u64::from_le_bytes(word.try_into().expect("chunks of eight")).wrapping_mul(M);
        hash = (hash ^ (k ^ k >> R).wrapping_mul(M)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(M);
    }
    hash = (hash ^ hash >> R).wrapping_mul(M);
    hash ^ hash >> R
}
