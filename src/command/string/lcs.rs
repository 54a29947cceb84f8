//! LCS: the longest common subsequence of two strings.
//!
//! *Duty:* the subsequence itself, its length, or where its runs lie in both strings.
//! *Method:* the table of lengths for all pairs of prefixes, which costs four bytes per pair and is refused when
//! that is more than `proto-max-bulk-len`. A walk from the table's last cell back to its edge meets the bytes of one
//! longest subsequence in reverse; neighbouring ones are gathered into runs. LEN alone keeps one row of the table.
//! *Counterpart in C Redis:* `lcsCommand`. Of several longest subsequences it finds the same one, run by run.

use super::{STRING_SPEC, bytes_of};
use crate::base::num;
use crate::call::{Args, Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::keyspace::Keyspace;
use crate::resp::ReplyBuf;

pub const LCS: DataCommand = Command::new(
    lcs,
    Spec {
        name: "lcs",
        arity: -3,
        flags: READONLY,
        keys: &[KeySpec::range(1, 1, 1, KeyFlags::RO.or(KeyFlags::ACCESS))],
        since: "7.0.0",
        complexity: "O(N*M) with N and M the lengths of the two strings.",
        summary: "Finds the longest common subsequence of two strings.",
        syntax: "key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]",
        ..STRING_SPEC
    },
);

fn lcs(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let a = string_of(ks, call, 1);
    let b = string_of(ks, call, 2);
    let (a, b) = (a?, b?);
    let options = Options::parse(call.args)?;
    check_size(a.len(), b.len(), ks.settings.max_string)?;
    if options.len {
        call.reply.len_of(length(&a, &b));
        return Ok(());
    }
    let table = Table::new(&a, &b)?;
    if options.idx {
        reply_runs(call.reply, &runs(&table, &a, &b), table.length(), &options);
    } else {
        let mut common: Vec<u8> = table.walk(&a, &b).map(|(i, _)| a[i]).collect();
        common.reverse();
        call.reply.bulk(&common);
    }
    Ok(())
}

/// The string that argument `i` names; a missing key is an empty one.
fn string_of(ks: &mut Keyspace, call: &mut Call<'_>, i: usize) -> Result<Vec<u8>, CmdError> {
    let mut digits = [0; num::MAX_DECIMAL_LEN];
    match ks.read(call.arg(i), call) {
        None => Ok(Vec::new()),
        Some(entry) => bytes_of(entry.view(), &mut digits)
            .map(<[u8]>::to_vec)
            .map_err(|_| CmdError::Fixed("ERR The specified keys must contain string values")),
    }
}

#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    with_len: bool,
    min_len: i64,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Options, CmdError> {
        let mut options = Options::default();
        let mut i = 3;
        while i < args.len() {
            match i {
                _ if args.is(i, "IDX") => options.idx = true,
                _ if args.is(i, "LEN") => options.len = true,
                _ if args.is(i, "WITHMATCHLEN") => options.with_len = true,
                _ if args.is(i, "MINMATCHLEN") && i + 1 < args.len() => {
                    i += 1;
                    options.min_len = args.int(i)?;
                }
                _ => return Err(CmdError::Syntax),
            }
            i += 1;
        }
        if options.len && options.idx {
            return Err(CmdError::Fixed("ERR If you want both the length and indexes, please just use IDX."));
        }
        Ok(options)
    }
}

/// Refuses strings whose table would be too large. LEN needs no table, but is refused alike.
fn check_size(a: usize, b: usize, limit: u64) -> CmdResult {
    const LONGEST: usize = u32::MAX as usize - 2;
    if a > LONGEST || b > LONGEST {
        return Err(CmdError::Fixed("ERR String too long for LCS"));
    }
    let bytes = (a as u128 + 1) * (b as u128 + 1) * size_of::<u32>() as u128;
    if bytes > u128::from(limit) {
        return Err(CmdError::Fixed("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"));
    }
    Ok(())
}

/// Writes the row of `byte`, whose cells are the lengths for the prefixes of `b`, from the row above it.
fn fill_row(byte: u8, b: &[u8], above: &[u32], row: &mut [u32]) {
    row[0] = 0;
    for (j, &other) in b.iter().enumerate() {
        row[j + 1] = if byte == other { above[j] + 1 } else { above[j + 1].max(row[j]) };
    }
}

/// The length of the longest common subsequence.
fn length(a: &[u8], b: &[u8]) -> usize {
    let mut above = vec![0; b.len() + 1];
    let mut row = above.clone();
    for &byte in a {
        fill_row(byte, b, &above, &mut row);
        std::mem::swap(&mut above, &mut row);
    }
    above[b.len()] as usize
}

/// Cell (i, j) is the length for the first `i` bytes of one string and the first `j` of the other.
struct Table {
    cells: Vec<u32>,
    width: usize,
}

impl Table {
    fn new(a: &[u8], b: &[u8]) -> Result<Table, CmdError> {
        let width = b.len() + 1;
        let len = (a.len() + 1) * width;
        let mut cells = Vec::new();
        cells
            .try_reserve_exact(len)
            .map_err(|_| CmdError::Fixed("ERR Insufficient memory, failed allocating transient memory for LCS"))?;
        cells.resize(len, 0);
        for (i, &byte) in a.iter().enumerate() {
            let (above, below) = cells.split_at_mut((i + 1) * width);
            fill_row(byte, b, &above[i * width..], &mut below[..width]);
        }
        Ok(Table { cells, width })
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.width + j]
    }

    fn length(&self) -> usize {
        self.cells.last().map_or(0, |&len| len as usize)
    }

    /// The index pairs of the common bytes, last pair first.
    fn walk<'a>(&'a self, a: &'a [u8], b: &'a [u8]) -> impl Iterator<Item = (usize, usize)> + 'a {
        let (mut i, mut j) = (a.len(), b.len());
        std::iter::from_fn(move || {
            while i > 0 && j > 0 {
                if a[i - 1] == b[j - 1] {
                    (i, j) = (i - 1, j - 1);
                    return Some((i, j));
                }
                if self.at(i - 1, j) > self.at(i, j - 1) {
                    i -= 1;
                } else {
                    j -= 1;
                }
            }
            None
        })
    }
}

/// Common bytes that are neighbours in both strings.
struct Run {
    a: usize,
    b: usize,
    len: usize,
}

/// The runs, last one first.
fn runs(table: &Table, a: &[u8], b: &[u8]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (i, j) in table.walk(a, b) {
        match runs.last_mut() {
            Some(run) if (run.a, run.b) == (i + 1, j + 1) => *run = Run { a: i, b: j, len: run.len + 1 },
            _ => runs.push(Run { a: i, b: j, len: 1 }),
        }
    }
    runs
}

fn reply_runs(reply: &mut ReplyBuf, runs: &[Run], length: usize, options: &Options) {
    let told: Vec<&Run> = runs.iter().filter(|run| run.len as i64 >= options.min_len).collect();
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(told.len());
    for run in told {
        reply.array(2 + usize::from(options.with_len));
        for start in [run.a, run.b] {
            reply.array(2);
            reply.len_of(start);
            reply.len_of(start + run.len - 1);
        }
        if options.with_len {
            reply.len_of(run.len);
        }
    }
    reply.bulk(b"len");
    reply.len_of(length);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    /// The length by definition, for short strings.
    fn by_definition(a: &[u8], b: &[u8]) -> usize {
        match (a.split_last(), b.split_last()) {
            (Some((x, a)), Some((y, b))) if x == y => by_definition(a, b) + 1,
            (Some((_, shorter)), Some((_, other))) => by_definition(shorter, b).max(by_definition(a, other)),
            _ => 0,
        }
    }

    #[test]
    fn the_runs_spell_one_longest_common_subsequence() {
        let mut rng = Rng::new(3);
        for _ in 0..500 {
            let mut text = || -> Vec<u8> {
                let len = rng.index(9);
                (0..len).map(|_| b"abc"[rng.index(3)]).collect()
            };
            let (a, b) = (text(), text());
            let table = Table::new(&a, &b).unwrap();
            let wanted = by_definition(&a, &b);
            assert_eq!((table.length(), length(&a, &b)), (wanted, wanted));
            let runs = runs(&table, &a, &b);
            assert_eq!(runs.iter().map(|run| run.len).sum::<usize>(), wanted);
            for run in &runs {
                assert_eq!(a[run.a..run.a + run.len], b[run.b..run.b + run.len]);
            }
            let descends = |w: &[Run]| w[1].a + w[1].len <= w[0].a && w[1].b + w[1].len <= w[0].b;
            assert!(runs.windows(2).all(descends));
        }
    }
}
