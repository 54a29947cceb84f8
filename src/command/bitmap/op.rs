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
        summary: "Stores the bitwise AND, OR, XOR or NOT of strings.",
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
}

impl Operation {
    fn of(word: &[u8]) -> Option<Operation> {
        [("and", Operation::And), ("or", Operation::Or), ("xor", Operation::Xor), ("not", Operation::Not)]
            .into_iter()
            .find_map(|(name, operation)| word.eq_ignore_ascii_case(name.as_bytes()).then_some(operation))
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
        }
    }
}

fn bitop(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let operation = Operation::of(call.arg(1)).ok_or(CmdError::Syntax)?;
    if operation == Operation::Not && call.args.len() != 4 {
        return Err(CmdError::Fixed("ERR BITOP NOT must be called with a single source key."));
    }
    let target = call.arg(2);
    let mut result = Vec::new();
    for (i, key) in call.args.from(3).enumerate() {
        let mut digits = [0; num::MAX_DECIMAL_LEN];
        let source = match ks.read(key, call) {
            Some(entry) => bytes_of(entry.view(), &mut digits)?,
            None => b"",
        };
        match i {
            0 => result = source.to_vec(),
            _ => operation.fold(&mut result, source),
        }
    }
    if operation == Operation::Not {
        words::not(&mut result);
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
