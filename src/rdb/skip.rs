//! Walking over what has no decoder here: sets, hashes, sorted sets, streams, data of modules.
//!
//! *Duty:* find where a value ends, so that a check can go on behind it. *Does not know:* what the value means; what
//! lies inside a packed text is not looked at.
//! *Counterpart in C Redis:* `rdbLoadCheckModuleValue`; the rest has none, as C loads what it checks.
//!
//! ```text
//! 2 20 set, 4 hash    length text...               (20: one listpack; a hash's fields and values alternate)
//! 3 zset              length (text score)...       score: a byte of length and digits, 253 nan, 254 inf, 255 -inf
//! 5 zset              length (text f64)...
//! 7 module            id (part: sort, data)... 0   sorts: 1 2 integer, 3 f32, 4 f64, 5 text
//! 15 19 21 stream     length (id text)...  numbers  groups
//!   group             text numbers  length (id i64 length)...  length consumer...
//!   consumer          text i64  length id...       (21: i64 i64)
//! 9 11 12 13 16 17    text
//! ```

use std::io::Read;

use super::RdbErrorKind as Kind;
use super::format::{kind, module};
use super::source::{Result, Source};

const STREAM_ID_BYTES: u64 = 16;
const TIME_BYTES: u64 = 8;
const F64_BYTES: u64 = 8;
const F32_BYTES: u64 = 4;

/// Consumes a value of type `code`; `false` when even that is not known how.
pub(super) fn skip_value<R: Read>(source: &mut Source<R>, code: u8) -> Result<bool> {
    match code {
        kind::SET => texts(source, 1)?,
        kind::HASH => texts(source, 2)?,
        kind::ZSET => {
            for _ in 0..source.count()? {
                source.skip_text()?;
                skip_printed_score(source)?;
            }
        }
        kind::ZSET_2 => {
            for _ in 0..source.count()? {
                source.skip_text()?;
                source.skip(F64_BYTES)?;
            }
        }
        kind::HASH_ZIPMAP | kind::SET_INTSET | kind::ZSET_ZIPLIST | kind::HASH_ZIPLIST => source.skip_text()?,
        kind::HASH_LISTPACK | kind::ZSET_LISTPACK | kind::SET_LISTPACK => source.skip_text()?,
        kind::MODULE_2 => {
            source.length()?;
            skip_module_data(source)?;
        }
        kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => skip_stream(source, code)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// `per_element` texts for each element counted.
fn texts<R: Read>(source: &mut Source<R>, per_element: u32) -> Result<()> {
    for _ in 0..source.count()? {
        for _ in 0..per_element {
            source.skip_text()?;
        }
    }
    Ok(())
}

fn skip_printed_score<R: Read>(source: &mut Source<R>) -> Result<()> {
    match source.byte()? {
        253..=255 => Ok(()),
        len => source.skip(u64::from(len)),
    }
}

/// Parts up to and including the end mark.
pub(super) fn skip_module_data<R: Read>(source: &mut Source<R>) -> Result<()> {
    loop {
        match source.length()? {
            module::EOF => return Ok(()),
            module::SINT | module::UINT => {
                source.length()?;
            }
            module::FLOAT => source.skip(F32_BYTES)?,
            module::DOUBLE => source.skip(F64_BYTES)?,
            module::STRING => source.skip_text()?,
            _ => return source.fail(Kind::BadModuleData("a part of an unknown sort")),
        }
    }
}

fn numbers<R: Read>(source: &mut Source<R>, count: u32) -> Result<()> {
    for _ in 0..count {
        source.length()?;
    }
    Ok(())
}

fn skip_stream<R: Read>(source: &mut Source<R>, code: u8) -> Result<()> {
    texts(source, 2)?;
    // How many entries, the last id; then the first id, the greatest deleted one, how many entries there ever were.
    numbers(source, if code == kind::STREAM { 3 } else { 8 })?;
    for _ in 0..source.count()? {
        source.skip_text()?;
        // The last id delivered; then how many entries were read.
        numbers(source, if code == kind::STREAM { 2 } else { 3 })?;
        for _ in 0..source.count()? {
            source.skip(STREAM_ID_BYTES + TIME_BYTES)?;
            source.length()?;
        }
        for _ in 0..source.count()? {
            source.skip_text()?;
            source.skip(if code == kind::STREAM_3 { 2 * TIME_BYTES } else { TIME_BYTES })?;
            for _ in 0..source.count()? {
                source.skip(STREAM_ID_BYTES)?;
            }
        }
    }
    Ok(())
}

/// The name of a module's type, which its id spells: nine characters of six bits, then a version of ten.
pub(super) fn module_name(id: u64) -> [u8; 9] {
    const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::array::from_fn(|i| CHARACTERS[(id >> (10 + 6 * (8 - i)) & 63) as usize])
}
