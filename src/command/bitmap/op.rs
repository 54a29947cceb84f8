//! Bitwise combinations of whole strings: BITOP.
//!
//! *Invariants:* the result is as long as the longest source, shorter ones read as if zero bytes followed; an empty
//! result is no key. Sources are folded into the result one after the other, so none but the first is copied.
//! *Counterpart in C Redis:* `bitopCommand`.

use super::{BITMAP_SPEC, words};
use crate::base::num;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::command::string::{SET_EVENT, bytes_of};
use crate::keyspace::{Expire, Keyspace, New, event};

pub const BITOP: DataCommand = Command::new(
    bitop,
    Spec {
        name: "bitop",
        arity: -4,
        flags: WRITE.or(DENYOOM),
        keys: &[
            KeySpec::one(2, KeyFlags::OW.or(KeyFlags::UPDATE)),
            KeySpec::range(3, -1, 1, KeyFlags::RO.or(KeyFlags::ACCESS)),
        ],
        since: "2.6.0",
        complexity: "O(N)",
        summary: "Stores a bitwise combination of strings.",
        history: &[("8.2.0", "Added `DIFF`, `DIFF1`, `ANDOR` and `ONE`.")],
        syntax: "operation destkey key [key ...]",
        ..BITMAP_SPEC
    },
);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
    /// In the first source and in no other.
    Diff,
    /// In another source and not in the first.
    Diff1,
    /// In the first source and in another.
    AndOr,
    /// In exactly one source.
    One,
}

const OPERATIONS: [(&str, Operation); 8] = [
    ("and", Operation::And),
    ("or", Operation::Or),
    ("xor", Operation::Xor),
    ("not", Operation::Not),
    ("diff", Operation::Diff),
    ("diff1", Operation::Diff1),
    ("andor", Operation::AndOr),
    ("one", Operation::One),
];

impl Operation {
    fn of(word: &[u8]) -> Option<Operation> {
        let mut all = OPERATIONS.into_iter();
        all.find_map(|(name, operation)| word.eq_ignore_ascii_case(name.as_bytes()).then_some(operation))
    }

    /// Whether what stands in the first source counts otherwise than what stands in the others.
    fn sets_first_apart(self) -> bool {
        matches!(self, Operation::Diff | Operation::Diff1 | Operation::AndOr)
    }

    /// Whether so many sources do.
    fn check_sources(self, count: usize) -> CmdResult {
        let few = |text| if count < 2 { Err(CmdError::Fixed(text)) } else { Ok(()) };
        match self {
            Operation::Not if count != 1 => {
                Err(CmdError::Fixed("ERR BITOP NOT must be called with a single source key."))
            }
            Operation::Diff => few("ERR BITOP DIFF must be called with at least two source keys."),
            Operation::Diff1 => few("ERR BITOP DIFF1 must be called with at least two source keys."),
            Operation::AndOr => few("ERR BITOP ANDOR must be called with at least two source keys."),
            _ => Ok(()),
        }
    }

    /// Combines the first source with what all others have together.
    fn combine_with_first(self, others: &mut Vec<u8>, first: &[u8]) {
        if others.len() < first.len() {
            others.resize(first.len(), 0);
        }
        let common = first.len();
        match self {
            Operation::Diff => {
                words::not(&mut others[..common]);
                words::and(&mut others[..common], first);
                others[common..].fill(0);
            }
            Operation::AndOr => {
                words::and(&mut others[..common], first);
                others[common..].fill(0);
            }
            _ => words::and_not(&mut others[..common], first),
        }
    }

    /// Combines `result`, which is what all sources before make, with one more.
    fn fold(self, result: &mut Vec<u8>, source: &[u8]) {
        let common = result.len().min(source.len());
        if result.len() < source.len() {
            // What lies beyond the sources before is combined with zeros.
            match self {
                Operation::And => result.resize(source.len(), 0),
                _ => result.extend_from_slice(&source[common..]),
            }
        }
        match self {
            Operation::And => {
                words::and(&mut result[..common], source);
                result[common..].fill(0);
            }
            Operation::Or => words::or(&mut result[..common], source),
            Operation::Xor => words::xor(&mut result[..common], source),
            Operation::Not => unreachable!("NOT has one source"),
            _ => unreachable!("those that set the first source apart, and ONE, are folded as OR"),
        }
    }
}

/// The bits of exactly one of some sources.
#[derive(Default)]
struct Once {
    any: Vec<u8>,
    twice: Vec<u8>,
}

impl Once {
    fn add(&mut self, source: &[u8]) {
        let len = self.any.len().max(source.len());
        self.twice.resize(len, 0);
        let mut again = self.any.clone();
        again.truncate(source.len());
        words::and(&mut again, source);
        words::or(&mut self.twice[..again.len()], &again);
        Operation::Or.fold(&mut self.any, source);
    }

    fn into_bits(mut self) -> Vec<u8> {
        words::and_not(&mut self.any, &self.twice);
        self.any
    }
}

fn bitop(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let operation = Operation::of(call.arg(1)).ok_or(CmdError::Syntax)?;
    operation.check_sources(call.args.len() - 3)?;
    let target = call.arg(2);
    let (mut result, mut first, mut once) = (Vec::new(), Vec::new(), Once::default());
    let folded = if operation.sets_first_apart() { Operation::Or } else { operation };
    for (i, key) in call.args.from(3).enumerate() {
        let mut digits = [0; num::MAX_DECIMAL_LEN];
        let source = match ks.read(key, call) {
            Some(entry) => bytes_of(entry.view(), &mut digits)?,
            None => b"",
        };
        match i {
            _ if operation == Operation::One => once.add(source),
            0 if operation.sets_first_apart() => first = source.to_vec(),
            0 => result = source.to_vec(),
            _ => folded.fold(&mut result, source),
        }
    }
    match operation {
        Operation::Not => words::not(&mut result),
        Operation::One => result = once.into_bits(),
        _ if operation.sets_first_apart() => operation.combine_with_first(&mut result, &first),
        _ => {}
    }
    call.reply.len_of(result.len());
    if !result.is_empty() {
        ks.set(target, New::Owned(result), Expire::Clear, call);
        call.modified(target, SET_EVENT, 1);
    } else if ks.delete(target, call) {
        call.modified(target, event::DEL, 1);
    }
    Ok(())
}
