//! [`Cache`]: the scripts that are known, by the SHA-1 of their text; and what a script says about itself in its first
//! line.
//!
//! *Does not know:* how scripts run. *Invariant:* a script's name is the digest of its whole text, first line included.
//! *Counterpart in C Redis:* `lua_scripts` of `eval.c`, `evalExtractShebangFlags`.

use std::collections::HashMap;

use super::ScriptEngine;
use crate::base::sha1;

/// The digest of a script's text.
pub type Digest = [u8; 20];

/// What a script says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScriptFlags {
    pub no_writes: bool,
    pub allow_oom: bool,
    pub allow_stale: bool,
    pub no_cluster: bool,
    pub allow_cross_slot_keys: bool,
}

impl ScriptFlags {
    /// What the first line of a script says, if it is well-formed.
    pub fn declared(text: &[u8]) -> Option<ScriptFlags> {
        shebang(text).ok()?.0
    }

    /// The names of those that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let flags = [
            (self.no_writes, "no-writes"),
            (self.allow_oom, "allow-oom"),
            (self.allow_stale, "allow-stale"),
            (self.no_cluster, "no-cluster"),
            (self.allow_cross_slot_keys, "allow-cross-slot-keys"),
        ];
        flags.into_iter().filter(|flag| flag.0).map(|flag| flag.1)
    }

    /// Sets the flag of this name; `false`: there is none.
    pub fn set(&mut self, name: &[u8]) -> bool {
        let flag = match name {
            b"no-writes" => &mut self.no_writes,
            b"allow-oom" => &mut self.allow_oom,
            b"allow-stale" => &mut self.allow_stale,
            b"no-cluster" => &mut self.no_cluster,
            b"allow-cross-slot-keys" => &mut self.allow_cross_slot_keys,
            _ => return false,
        };
        *flag = true;
        true
    }
}

/// A compiled script.
#[derive(Clone)]
pub struct Script {
    /// Its digest as it is written.
    pub id: String,
    /// Under which number the engine has it.
    pub number: usize,
    /// None: it says nothing about itself, and each of its commands is looked at when it is called.
    pub flags: Option<ScriptFlags>,
}

#[derive(Default)]
pub struct Cache {
    scripts: HashMap<Digest, Script>,
    bytes: usize,
}

/// What a script takes beside its text.
const OVERHEAD: usize = 112;

impl Cache {
    pub fn len(&self) -> usize {
        self.scripts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }

    /// Bytes of all texts and what belongs to them, outside Lua.
    pub fn memory(&self) -> usize {
        self.bytes
    }

    pub fn get(&self, digest: &Digest) -> Option<&Script> {
        self.scripts.get(digest)
    }

    /// Compiles a script and keeps it. The error is a reply.
    pub fn add(&mut self, engine: &ScriptEngine, digest: Digest, text: &[u8]) -> Result<&Script, Vec<u8>> {
        let (flags, code) = shebang(text)?;
        let number = engine
            .compile(code, "@user_script")
            .map_err(|error| format!("ERR Error compiling script (new function): {error}").into_bytes())?;
        self.bytes += text.len() + OVERHEAD;
        Ok(self.scripts.entry(digest).or_insert(Script { id: write_digest(&digest), number, flags }))
    }
}

pub fn digest(text: &[u8]) -> Digest {
    sha1::sha1(text)
}

/// A digest as it is written, in either case.
pub fn parse_digest(text: &[u8]) -> Option<Digest> {
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != 20 || !rest.is_empty() {
        return None;
    }
    let mut digest = [0; 20];
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        let nibble = |digit: u8| (digit as char).to_digit(16);
        *byte = (nibble(*high)? << 4 | nibble(*low)?) as u8;
    }
    Some(digest)
}

/// A digest as scripts are named.
pub fn write_digest(digest: &Digest) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let nibbles = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.map(|nibble| DIGITS[nibble as usize] as char).collect()
}

/// The flags of the first line, if it is one that speaks about the script, and the code: it begins with the line's end,
/// so that lines count as they are written.
fn shebang(text: &[u8]) -> Result<(Option<ScriptFlags>, &[u8]), Vec<u8>> {
    let Some(line) = text.strip_prefix(b"#!") else { return Ok((None, text)) };
    let end = line.iter().position(|byte| *byte == b'\n').ok_or(b"ERR Invalid script shebang".to_vec())?;
    let (line, code) = line.split_at(end);
    let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let engine = if line.starts_with(b" ") { b"" } else { words.next().unwrap_or_default() };
    if engine != b"lua" {
        return Err([b"ERR Unexpected engine in script shebang: #!".as_slice(), engine].concat());
    }
    let mut flags = ScriptFlags::default();
    for word in words {
        let Some(names) = word.strip_prefix(b"flags=") else {
            return Err([b"ERR Unknown lua shebang option: ".as_slice(), word].concat());
        };
        for name in names.split(|byte| *byte == b',') {
            if !names.is_empty() && !flags.set(name) {
                return Err([b"ERR Unexpected flag in script shebang: ".as_slice(), name].concat());
            }
        }
    }
    Ok((Some(flags), code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_tells_what_a_script_may_do() {
        assert_eq!(shebang(b"return 1").unwrap(), (None, b"return 1".as_slice()));
        let (flags, code) = shebang(b"#!lua flags=no-writes,allow-oom\nreturn 1").unwrap();
        let expected = ScriptFlags { no_writes: true, allow_oom: true, ..ScriptFlags::default() };
        assert_eq!((flags, code), (Some(expected), b"\nreturn 1".as_slice()));
        assert_eq!(shebang(b"#!lua\n").unwrap().0, Some(ScriptFlags::default()));
        for bad in ["#!lua", "#!python\n", "#!lua flags=a\n", "#!lua x=1\n"] {
            assert!(shebang(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn any_number_of_scripts_can_be_kept() {
        let engine = ScriptEngine::new(("7.0.15", 0), 1, false).unwrap();
        let mut cache = Cache::default();
        for i in 0..9_000 {
            let text = format!("return {i}");
            cache.add(&engine, digest(text.as_bytes()), text.as_bytes()).unwrap();
        }
        assert_eq!(cache.len(), 9_000);
    }

    #[test]
    fn digests_are_read_in_either_case() {
        let digest = digest(b"return 1");
        let text = write_digest(&digest);
        assert_eq!(text, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        assert_eq!(parse_digest(text.to_ascii_uppercase().as_bytes()), Some(digest));
        assert_eq!(parse_digest(&text.as_bytes()[1..]), None);
        assert_eq!(parse_digest(&[b'g'; 40]), None);
    }
}
