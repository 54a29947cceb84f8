//! The names of this program's functions, found in the program's own file.
//!
//! *Duty:* from an address, less where the program begins, to the function that holds it: the symbol table of the ELF
//! file that runs. *Does not know:* stacks. *Invariants:* only what is asked for is read; a file that is not as
//! expected is an error or gives no name, whatever it holds. It needs memory, so it is nothing for a handler.
//! *Counterpart in C Redis:* `backtrace_symbols_fd` of the C library.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const SECTION_BYTES: usize = 64;
const SYMBOL_BYTES: usize = 24;
const SYMBOL_TABLE: u64 = 2;
const FUNCTION: u8 = 2;
const NAME_MAX: usize = 512;

/// What is kept of a function: where it begins and ends, and where in the table of names its own is.
struct Function {
    begin: u64,
    end: u64,
    name: u64,
}

pub(super) struct Names {
    file: File,
    functions: Vec<Function>,
    /// Where in the file the names begin.
    strings: u64,
}

/// A number of `size` bytes, as this architecture has it.
fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let digits = bytes.get(at..at + size).unwrap_or_default();
    digits.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}

fn unexpected() -> io::Error {
    io::Error::other("the program has no table of names")
}

impl Names {
    pub fn of_this_program() -> io::Result<Names> {
        let file = File::open("/proc/self/exe")?;
        let mut header = [0; 64];
        file.read_exact_at(&mut header, 0)?;
        // A file of 64 bits, little end first.
        if header[..6] != *b"\x7fELF\x02\x01" {
            return Err(unexpected());
        }
        let (offset, count) = (number(&header, 0x28, 8), number(&header, 0x3c, 2) as usize);
        let sections = read(&file, offset, count * SECTION_BYTES)?;
        let section = |index: usize| sections.get(index * SECTION_BYTES..(index + 1) * SECTION_BYTES);
        let table = (0..count).filter_map(section).find(|s| number(s, 4, 4) == SYMBOL_TABLE).ok_or_else(unexpected)?;
        let strings = section(number(table, 0x28, 4) as usize).ok_or_else(unexpected)?;
        let size = usize::try_from(number(table, 0x20, 8)).map_err(|_| unexpected())?;
        let symbols = read(&file, number(table, 0x18, 8), size)?;
        let functions = symbols.chunks_exact(SYMBOL_BYTES).filter(|s| s[4] & 0xf == FUNCTION).map(|s| {
            let begin = number(s, 8, 8);
            Function { begin, end: begin.saturating_add(number(s, 16, 8)), name: number(s, 0, 4) }
        });
        Ok(Names { functions: functions.collect(), strings: number(strings, 0x18, 8), file })
    }

    /// The function that holds the instruction so many bytes into the program.
    pub fn at(&self, offset: u64) -> Option<String> {
        let function = self.functions.iter().find(|f| f.begin <= offset && offset < f.end)?;
        let mut bytes = [0; NAME_MAX];
        let read = self.file.read_at(&mut bytes, self.strings + function.name).ok()?;
        let name = bytes[..read].split(|&byte| byte == 0).next()?;
        Some(readable(&String::from_utf8_lossy(name)))
    }
}

fn read(file: &File, offset: u64, size: usize) -> io::Result<Vec<u8>> {
    // No table of a file is larger than the file.
    if size as u64 > file.metadata()?.len() {
        return Err(unexpected());
    }
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// `_ZN4base3numE` as `base::num`; what is spelled in another way stays as it is.
fn readable(name: &str) -> String {
    let parts = || {
        let mut rest = name.strip_prefix("_ZN")?;
        let mut parts = Vec::new();
        while !rest.starts_with('E') {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let (len, after) = (rest[..digits].parse::<usize>().ok()?, &rest[digits..]);
            parts.push(after.get(..len)?);
            rest = &after[len..];
        }
        // The last one is a hash.
        if parts.last().is_some_and(|part| part.len() == 17 && part.starts_with('h')) {
            parts.pop();
        }
        Some(parts.join("::"))
    };
    parts().unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        static __executable_start: u8;
    }

    #[test]
    fn a_function_of_this_program_is_found_by_its_address() {
        let names = Names::of_this_program().unwrap();
        let begin = &raw const __executable_start as u64;
        let here = readable as fn(&str) -> String as usize as u64 - begin;
        let name = names.at(here + 1).unwrap();
        assert!(name.contains("readable"), "{name}");
        assert_eq!(names.at(u64::MAX), None);
    }

    #[test]
    fn names_are_taken_apart() {
        let name = "_ZN8redstart6server12debugCommand17h0123456789abcdefE";
        assert_eq!(readable(name), "redstart::server::debugCommand");
        for strange in ["main", "_ZN", "_ZN9shortE", "_ZNxE", "_RNvC8redstart4main"] {
            assert_eq!(readable(strange), strange);
        }
    }
}
