//! HyperLogLog commands.
//!
//! *Duty:* the family's table, and what makes a string a HyperLogLog for it. *Does not know:* registers and how they
//! are packed; that is `value::hll`. *Invariant:* to the rest of the server a HyperLogLog is a string like any other.
//! *Reading order:* `count` (PFADD, PFCOUNT, PFMERGE), `debug`. *Counterpart in C Redis:* the last third of
//! `hyperloglog.c`.

use super::spec::*;
use crate::call::{Class, CmdError, Event};
use crate::keyspace::View;
use crate::value::hll::{self, Corrupt, Encoding};

mod count;
mod debug;

pub const COMMANDS: &[DataCommand] = &[count::PFADD, count::PFCOUNT, debug::PFDEBUG, count::PFMERGE, debug::PFSELFTEST];

/// What the rows of this family have in common.
const HLL_SPEC: Spec = Spec { acl: Categories::HYPERLOGLOG, group: Group::HyperLogLog, since: "2.8.9", ..Spec::BASE };

/// The event of every change, PFMERGE's too.
const ADDED: Event = Event::new(Class::STRING, "pfadd");

const CORRUPT: CmdError = CmdError::Fixed("INVALIDOBJ Corrupted HLL object detected");

impl From<Corrupt> for CmdError {
    fn from(_: Corrupt) -> CmdError {
        CORRUPT
    }
}

/// The bytes of a value that looks like a HyperLogLog.
fn hll_of(value: View<'_>) -> Result<(&[u8], Encoding), CmdError> {
    const INVALID: CmdError = CmdError::Fixed("WRONGTYPE Key is not a valid HyperLogLog string value.");
    match value {
        View::Str(bytes) => hll::encoding(bytes).map(|encoding| (bytes, encoding)).ok_or(INVALID),
        View::Int(_) => Err(INVALID),
        View::Object(_) => Err(CmdError::WrongType),
    }
}
