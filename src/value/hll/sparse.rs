//! The sparse form: registers as runs of equal values.
//!
//! *Duty:* walk over the runs, and raise one register among them. *Invariants:* a value above [`VALUE_MAX`] has no
//! place here; a string never grows beyond the limit that the caller gives. What is left behind is what Redis leaves,
//! neighbours that could be one run but are not included: only those near the change are looked at.
//! *Counterpart in C Redis:* `hllSparseSet` and its opcodes.
//!
//! ```text
//! 00llllll            1 to 64 registers are 0
//! 01llllll llllllll   1 to 16,384 registers are 0
//! 1vvvvvll            1 to 4 registers are 1 to 32
//! ```

use super::{Corrupt, HEADER, REGISTERS};

/// The highest value of a run.
const VALUE_MAX: u8 = 32;
/// The longest runs: of zeros in one byte, of a value.
const SHORT_ZEROS_MAX: usize = 64;
const VALUES_MAX: usize = 4;
/// How many runs are looked at after a change, in search of two that can be one.
const MERGE_STEPS: usize = 5;

/// Registers side by side with the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub value: u8,
    pub len: usize,
    /// Bytes that it takes.
    size: usize,
}

impl Run {
    pub fn zeros(len: usize) -> Run {
        Run { value: 0, len, size: if len > SHORT_ZEROS_MAX { 2 } else { 1 } }
    }

    fn of(value: u8, len: usize) -> Run {
        if value == 0 { Run::zeros(len) } else { Run { value, len, size: 1 } }
    }

    /// A run of zeros in two bytes, however few they are.
    pub fn is_long(&self) -> bool {
        self.size == 2
    }

    fn read(bytes: &[u8]) -> Option<Run> {
        let (&first, rest) = bytes.split_first()?;
        let low = (first & 0x3f) as usize;
        Some(match first >> 6 {
            0 => Run { value: 0, len: low + 1, size: 1 },
            // A second byte that was cut off reads as 0.
            1 => Run { value: 0, len: (low << 8 | rest.first().map_or(0, |&b| b as usize)) + 1, size: 2 },
            _ => Run { value: (first >> 2 & 0x1f) + 1, len: (first & 3) as usize + 1, size: 1 },
        })
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        let len = self.len - 1;
        match self.value {
            0 if self.is_long() => out.extend([0x40 | (len >> 8) as u8, len as u8]),
            0 => out.push(len as u8),
            value => out.push(0x80 | (value - 1) << 2 | len as u8),
        }
    }
}

/// The runs of a sparse HyperLogLog, each with the place of its first byte.
pub fn runs(hll: &[u8]) -> impl Iterator<Item = (usize, Run)> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let run = Run::read(hll.get(at..)?)?;
        at += run.size;
        Some((at - run.size, run))
    })
}

/// Calls `visit` for each run with the index of its first register. They must be exactly as many as there are; a run
/// is only visited when it lies within them.
pub(super) fn for_each_run(hll: &[u8], mut visit: impl FnMut(usize, Run)) -> Result<(), Corrupt> {
    let mut index = 0;
    for (_, run) in runs(hll) {
        if index + run.len > REGISTERS {
            return Err(Corrupt);
        }
        visit(index, run);
        index += run.len;
    }
    if index == REGISTERS { Ok(()) } else { Err(Corrupt) }
}

pub(super) enum Raised {
    No,
    Yes,
    /// Only the dense form can hold it.
    TooLarge,
}

/// Raises one register.
pub(super) fn raise(hll: &mut Vec<u8>, index: usize, value: u8, max_bytes: usize) -> Result<Raised, Corrupt> {
    if value > VALUE_MAX {
        return Ok(Raised::TooLarge);
    }
    let (mut first, mut before) = (0, HEADER);
    let covers = |(at, run): (usize, Run)| {
        if index < first + run.len {
            return Some((at, run, first, before));
        }
        first += run.len;
        before = at;
        None
    };
    let (at, run, first, before) = runs(hll).find_map(covers).ok_or(Corrupt)?;
    if run.value >= value {
        return Ok(Raised::No);
    }
    let mut split = Vec::with_capacity(5);
    let (left, right) = (index - first, first + run.len - 1 - index);
    for part in [Run::of(run.value, left), Run::of(value, 1), Run::of(run.value, right)] {
        if part.len > 0 {
            part.write(&mut split);
        }
    }
    let old_end = (at + run.size).min(hll.len());
    if split.len() > run.size && hll.len() + split.len() - run.size > max_bytes {
        return Ok(Raised::TooLarge);
    }
    // A last run whose second byte was missing counts with it, as it does in the reference.
    let len = hll.len() + split.len() - run.size;
    hll.splice(at..old_end, split);
    hll.truncate(len);
    join_neighbours(hll, before);
    Ok(Raised::Yes)
}

/// Makes one run of two with the same value where that fits, among the first few from `at` on.
fn join_neighbours(hll: &mut Vec<u8>, mut at: usize) {
    for _ in 0..MERGE_STEPS {
        let Some(run) = hll.get(at..).and_then(Run::read) else {
            return;
        };
        let next = if run.value == 0 { None } else { Run::read(&hll[at + 1..]) };
        match next {
            Some(next) if next.value == run.value && run.len + next.len <= VALUES_MAX => {
                let mut joined = Vec::with_capacity(1);
                Run::of(run.value, run.len + next.len).write(&mut joined);
                hll.splice(at..at + 2, joined);
            }
            _ => at += run.size,
        }
    }
}
