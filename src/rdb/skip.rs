//! Walking over data of modules, which has no decoder here.
//!
//! *Duty:* find where a value ends, so that a check can go on behind it. *Does not know:* what the value means.
//! *Counterpart in C Redis:* `rdbLoadCheckModuleValue`.
//!
//! ```text
//! 7 module            id (part: sort, data)... 0   sorts: 1 2 integer, 3 f32, 4 f64, 5 text
//! ```

use std::io::Read;

use super::RdbErrorKind as Kind;
use super::format::{kind, module};
use super::source::{Result, Source};

const F64_BYTES: u64 = 8;
const F32_BYTES: u64 = 4;

/// Consumes a value of type `code`; `false` when even that is not known how.
pub(super) fn skip_value<R: Read>(source: &mut Source<R>, code: u8) -> Result<bool> {
    if code != kind::MODULE_2 {
        return Ok(false);
    }
    source.length()?;
    skip_module_data(source)?;
    Ok(true)
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

/// The name of a module's type, which its id spells: nine characters of six bits, then a version of ten.
pub(super) fn module_name(id: u64) -> [u8; 9] {
    const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::array::from_fn(|i| CHARACTERS[(id >> (10 + 6 * (8 - i)) & 63) as usize])
}
