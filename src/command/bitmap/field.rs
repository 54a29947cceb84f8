//! Integers of any width at any bit of a string: BITFIELD, BITFIELD_RO.
//!
//! *Invariants:* the whole request is parsed before the key is looked at; a string that is written to is made long
//! enough for all of the operations before the first of them runs, even when that one then fails.
//! *Counterpart in C Redis:* `bitfieldGeneric`.

use super::{BITMAP_SPEC, BITS_SET, bit_offset};
use crate::base::num;
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::command::string::{bytes_of, make_room};
use crate::keyspace::{Expire, Keyspace, New};
use crate::resp::ReplyBuf;

const FIELD_SPEC: Spec = Spec { arity: -2, complexity: "O(1) for each subcommand specified", ..BITMAP_SPEC };

pub const BITFIELD: DataCommand = Command::new(
    |ks, call| bitfield(ks, call, false),
    Spec {
        name: "bitfield",
        flags: WRITE.or(DENYOOM),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::UPDATE).or(KeyFlags::VARIABLE))],
        since: "3.2.0",
        summary: "Reads, sets and increments integers of any width that lie at given bits of a string.",
        syntax: "key [<GET encoding offset|([OVERFLOW <WRAP|SAT|FAIL>] \
                 <SET encoding offset value:integer|INCRBY encoding offset increment>:write_operation):write>:operation ...]",
        ..FIELD_SPEC
    },
);

pub const BITFIELD_RO: DataCommand = Command::new(
    |ks, call| bitfield(ks, call, true),
    Spec {
        name: "bitfield_ro",
        flags: READONLY.or(FAST),
        since: "6.0.0",
        summary: "Reads integers of any width that lie at given bits of a string.",
        syntax: "key [GET encoding offset [GET encoding offset ...]]",
        ..FIELD_SPEC
    },
);

/// What happens to a result that the field is too narrow for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Get,
    Set(i64),
    IncrBy(i64),
}

/// Where an integer lies, and how it reads.
#[derive(Clone, Copy)]
struct Field {
    signed: bool,
    /// 1 to 64, unsigned 1 to 63.
    width: u32,
    offset: u64,
}

struct Operation {
    field: Field,
    action: Action,
    overflow: Overflow,
}

fn bitfield(ks: &mut Keyspace, call: &mut Call<'_>, read_only: bool) -> CmdResult {
    let operations = parse(call, ks.settings.max_string)?;
    let key = call.arg(1);
    let writes = operations.iter().filter(|operation| operation.action != Action::Get);
    let Some(len) = writes.map(|operation| operation.field.end_byte()).max() else {
        let mut digits = [0; num::MAX_DECIMAL_LEN];
        let bytes = match ks.read(key, call) {
            Some(entry) => bytes_of(entry.view(), &mut digits)?,
            None => b"",
        };
        call.reply.array(operations.len());
        operations.iter().for_each(|operation| call.reply.int(operation.field.get(bytes)));
        return Ok(());
    };
    if read_only {
        return Err(CmdError::Fixed("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    let (changes, grown) = match ks.write(key, call) {
        Some(mut entry) if entry.entry().is_string() => entry.edit_string(|bytes| {
            let grown = bytes.len() < len;
            if grown {
                make_room(bytes, len);
                bytes.resize(len, 0);
            }
            (run(&operations, bytes, call.reply), grown)
        }),
        Some(_) => return Err(CmdError::WrongType),
        None => {
            let mut bytes = vec![0; len];
            let changes = run(&operations, &mut bytes, call.reply);
            ks.set(key, New::Owned(bytes), Expire::Clear, call);
            (changes, true)
        }
    };
    if changes.written > 0 && (grown || changes.different > 0) {
        call.modified(key, BITS_SET, if grown { changes.written } else { changes.different });
    } else if grown {
        // All operations failed, but the string became longer. The reference tells nobody; the file and the replicas
        // must have the same string all the same.
        call.fx.dirty += 1;
    }
    Ok(())
}

fn parse(call: &Call<'_>, limit: u64) -> Result<Vec<Operation>, CmdError> {
    let args = call.args;
    let mut operations = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut i = 2;
    while i < args.len() {
        let operands = args.len() - i - 1;
        let takes = |word: &str, count: usize| operands >= count && args.is(i, word);
        if takes("overflow", 1) {
            overflow = match args.get(i + 1) {
                word if word.eq_ignore_ascii_case(b"wrap") => Overflow::Wrap,
                word if word.eq_ignore_ascii_case(b"sat") => Overflow::Saturate,
                word if word.eq_ignore_ascii_case(b"fail") => Overflow::Fail,
                _ => return Err(CmdError::Fixed("ERR Invalid OVERFLOW type specified")),
            };
            i += 2;
            continue;
        }
        let action: fn(i64) -> Action = match () {
            () if takes("get", 2) => |_| Action::Get,
            () if takes("set", 3) => Action::Set,
            () if takes("incrby", 3) => Action::IncrBy,
            () => return Err(CmdError::Syntax),
        };
        let (signed, width) = encoding(args.get(i + 1))?;
        let field = Field { signed, width, offset: bit_offset(args.get(i + 2), Some(width), limit, call)? };
        let is_get = action(0) == Action::Get;
        let operand = if is_get { 0 } else { args.int(i + 3)? };
        operations.push(Operation { field, action: action(operand), overflow });
        i += if is_get { 3 } else { 4 };
    }
    Ok(operations)
}

/// Reads `i16`, `u8` and the like: signed?, width.
fn encoding(arg: &[u8]) -> Result<(bool, u32), CmdError> {
    let bad = CmdError::Fixed(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
    );
    let (signed, digits) = match arg.split_first() {
        Some((b'i', digits)) => (true, digits),
        Some((b'u', digits)) => (false, digits),
        _ => return Err(bad),
    };
    // The reference reads it as a C string.
    let digits = digits.split(|&b| b == 0).next().unwrap_or(digits);
    match num::parse_i64(digits) {
        Some(width) if (1..=if signed { 64 } else { 63 }).contains(&width) => Ok((signed, width as u32)),
        _ => Err(bad),
    }
}

/// How many fields were written, and how many of them have another value than before.
#[derive(Default)]
struct Changes {
    written: u64,
    different: u64,
}

fn run(operations: &[Operation], bytes: &mut [u8], reply: &mut ReplyBuf) -> Changes {
    let mut changes = Changes::default();
    reply.array(operations.len());
    for Operation { field, action, overflow } in operations {
        let old = field.get(bytes);
        let new = match *action {
            Action::Get => {
                reply.int(old);
                continue;
            }
            Action::Set(value) => field.fitted(value, 0, *overflow),
            Action::IncrBy(increment) => field.fitted(old, increment, *overflow),
        };
        let Some(new) = new else {
            reply.null();
            continue;
        };
        reply.int(if matches!(action, Action::Set(_)) { old } else { new });
        field.set(bytes, new);
        changes.written += 1;
        changes.different += (old != new) as u64;
    }
    changes
}

impl Field {
    /// The byte behind its last bit.
    fn end_byte(self) -> usize {
        ((self.offset + self.width as u64 - 1) >> 3) as usize + 1
    }

    /// The up to nine bytes that it touches, as one number, and how far its last bit is from that number's end.
    fn window(self, bytes: &[u8]) -> (u128, u32) {
        let first = (self.offset >> 3) as usize;
        let end = self.end_byte();
        let number = (first..end).fold(0, |number, at| number << 8 | bytes.get(at).copied().unwrap_or(0) as u128);
        (number, (end as u64 * 8 - self.offset) as u32 - self.width)
    }

    fn mask(self) -> u64 {
        u64::MAX >> (64 - self.width)
    }

    /// The lowest `width` bits of `bits`, as the field's kind of integer.
    fn extended(self, bits: u64) -> i64 {
        let spare = 64 - self.width;
        if self.signed { (bits << spare) as i64 >> spare } else { (bits & self.mask()) as i64 }
    }

    /// Its value; what lies beyond the end reads as zeros.
    fn get(self, bytes: &[u8]) -> i64 {
        let (number, shift) = self.window(bytes);
        self.extended((number >> shift) as u64)
    }

    /// Writes it; `bytes` is long enough.
    fn set(self, bytes: &mut [u8], value: i64) {
        let (number, shift) = self.window(bytes);
        let mask = (self.mask() as u128) << shift;
        let mut number = number & !mask | (value as u64 as u128) << shift & mask;
        for at in ((self.offset >> 3) as usize..self.end_byte()).rev() {
            bytes[at] = number as u8;
            number >>= 8;
        }
    }

    /// `value + increment` as the field can hold it; `None` when it cannot and must not pretend to.
    fn fitted(self, value: i64, increment: i64, overflow: Overflow) -> Option<i64> {
        let Some(nearest) = self.overflown(value, increment) else {
            return Some(value.wrapping_add(increment));
        };
        match overflow {
            Overflow::Wrap => Some(self.extended(value.wrapping_add(increment) as u64)),
            Overflow::Saturate => Some(nearest),
            Overflow::Fail => None,
        }
    }

    /// The field's end that `value + increment` is beyond, if it is.
    ///
    /// Quirk: to set a signed field to a value so far below its range that the distance from the highest value
    /// overflows counts as too high. A negative value for an unsigned field is read as a huge one.
    fn overflown(self, value: i64, increment: i64) -> Option<i64> {
        if !self.signed {
            let max = self.mask() as i64;
            if value < 0 || value > max || increment > max - value {
                return Some(max);
            }
            return (increment < 0 && increment < -value).then_some(0);
        }
        let (max, min) = ((self.mask() >> 1) as i64, !((self.mask() >> 1) as i64));
        let narrow = self.width < 64;
        let (up, down) = (max.wrapping_sub(value), min.wrapping_sub(value));
        if value > max || increment > up && (narrow || value >= 0 && increment > 0) {
            return Some(max);
        }
        (value < min || increment < down && (narrow || value < 0 && increment < 0)).then_some(min)
    }
}
