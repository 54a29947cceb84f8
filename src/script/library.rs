//! Function libraries: what their first line says, and the registry of those that are loaded.
//!
//! *Duty:* [`Header`], the line `#!lua name=...`; [`Libraries`], which library holds which function, and what stands
//! in the way of one more. *Does not know:* how code runs; a function is known by the number of its callback.
//! *Invariants:* a function's name is in one library only, whatever its case; names of libraries differ by case too.
//! *Counterpart in C Redis:* `functionExtractLibMetaData`, `functionLibInfo`, `libraryJoin` of `functions.c`.

use std::collections::{BTreeMap, HashMap};

use super::cache::ScriptFlags;
use crate::base::quote;

/// What the first line of a library says.
#[derive(Debug, PartialEq, Eq)]
pub struct Header<'a> {
    pub name: String,
    /// The code behind it. It begins with the line's end, so that lines count as they are written.
    pub body: &'a [u8],
}

pub const BAD_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must be at least \
                            one character long";

/// Whether a library or a function may have this name.
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

/// A name as it may stand in an error.
fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

impl Header<'_> {
    pub fn of(code: &[u8]) -> Result<Header<'_>, String> {
        if !code.starts_with(b"#!") {
            return Err("Missing library metadata".to_owned());
        }
        let invalid = || "Invalid library metadata".to_owned();
        let end = code.iter().position(|byte| *byte == b'\n').ok_or_else(invalid)?;
        let (line, body) = code.split_at(end);
        let words = quote::split_args(line).ok_or_else(invalid)?;
        let mut words = words.iter();
        let engine = words.next().map_or(&b""[..], |word| word.get(2..).unwrap_or_default());
        let mut name: Option<&[u8]> = None;
        for word in words {
            match word.split_at_checked(5) {
                Some((key, value)) if key.eq_ignore_ascii_case(b"name=") => {
                    if name.replace(value).is_some() {
                        return Err("Invalid metadata value, name argument was given multiple times".to_owned());
                    }
                }
                _ => return Err(format!("Invalid metadata value given: {}", shown(word))),
            }
        }
        let name = name.ok_or("Library name was not given")?;
        if !is_name(name) {
            return Err(BAD_NAME.to_owned());
        }
        if !engine.eq_ignore_ascii_case(b"lua") {
            return Err(format!("Engine '{}' not found", shown(engine)));
        }
        Ok(Header { name: shown(name), body })
    }
}

/// A function of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    pub name: String,
    pub description: Option<Vec<u8>>,
    pub flags: ScriptFlags,
    /// Under which number the engine has it.
    pub callback: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    pub name: String,
    /// As it was loaded, first line included.
    pub code: Vec<u8>,
    pub functions: Vec<Registered>,
}

/// What a library and a function take beside their texts.
const LIBRARY_OVERHEAD: usize = 112;
const FUNCTION_OVERHEAD: usize = 96;

impl Library {
    fn memory(&self) -> usize {
        let functions = self.functions.iter().map(|function| {
            FUNCTION_OVERHEAD + 2 * function.name.len() + function.description.as_ref().map_or(0, Vec::len)
        });
        LIBRARY_OVERHEAD + 2 * self.name.len() + self.code.len() + functions.sum::<usize>()
    }
}

/// What happens to the libraries that are there when others are restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Flush,
    Append,
    Replace,
}

#[derive(Debug, Default)]
pub struct Libraries {
    list: BTreeMap<String, Library>,
    /// Names of functions in small letters, and the library of each.
    functions: HashMap<String, String>,
    bytes: usize,
}

impl Libraries {
    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = &Library> {
        self.list.values()
    }

    pub fn into_list(self) -> Vec<Library> {
        self.list.into_values().collect()
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn function_count(&self) -> usize {
        self.functions.len()
    }

    /// Bytes of all texts and what belongs to them, outside Lua.
    pub fn memory(&self) -> usize {
        self.bytes
    }

    pub fn contains(&self, library: &str) -> bool {
        self.list.contains_key(library)
    }

    /// The function of this name, in whatever case it is asked for.
    pub fn function(&self, name: &[u8]) -> Option<&Registered> {
        let name = std::str::from_utf8(name).ok()?;
        let library = self.list.get(self.functions.get(&name.to_ascii_lowercase())?)?;
        library.functions.iter().find(|function| function.name.eq_ignore_ascii_case(name))
    }

    /// The function of `library` that another library has already; the one that it would replace does not count.
    pub fn taken<'l>(&self, library: &'l Library) -> Option<&'l str> {
        let other = |function: &&'l Registered| {
            let owner = self.functions.get(&function.name.to_ascii_lowercase());
            owner.is_some_and(|owner| *owner != library.name)
        };
        library.functions.iter().find(other).map(|function| function.name.as_str())
    }

    /// Takes a library in. Nothing may stand in its way.
    pub fn insert(&mut self, library: Library) {
        self.bytes += library.memory();
        for function in &library.functions {
            self.functions.insert(function.name.to_ascii_lowercase(), library.name.clone());
        }
        self.list.insert(library.name.clone(), library);
    }

    pub fn remove(&mut self, name: &str) -> Option<Library> {
        let library = self.list.remove(name)?;
        self.bytes -= library.memory();
        for function in &library.functions {
            self.functions.remove(&function.name.to_ascii_lowercase());
        }
        Some(library)
    }

    /// Takes many libraries in, or none: then the error says what stands in the way, and who called gets `new` back.
    /// Else it gets those that had to go.
    pub fn join(&mut self, new: Vec<Library>, policy: Policy) -> Result<Vec<Library>, (String, Vec<Library>)> {
        if policy == Policy::Flush {
            let gone = std::mem::take(self);
            new.into_iter().for_each(|library| self.insert(library));
            return Ok(gone.list.into_values().collect());
        }
        let clash = new.iter().find(|library| policy == Policy::Append && self.contains(&library.name));
        if let Some(library) = clash {
            return Err((format!("Library {} already exists", library.name), new));
        }
        let gone: Vec<Library> = new.iter().filter_map(|library| self.remove(&library.name)).collect();
        if let Some(function) = new.iter().find_map(|library| self.taken(library)) {
            let text = format!("Function {function} already exists");
            gone.into_iter().for_each(|library| self.insert(library));
            return Err((text, new));
        }
        new.into_iter().for_each(|library| self.insert(library));
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(name: &str, functions: &[&str]) -> Library {
        let function = |name: &&str| Registered {
            name: (*name).to_owned(),
            description: None,
            flags: ScriptFlags::default(),
            callback: 0,
        };
        Library { name: name.to_owned(), code: b"code".to_vec(), functions: functions.iter().map(function).collect() }
    }

    fn names(libraries: &Libraries) -> Vec<&str> {
        libraries.iter().map(|library| library.name.as_str()).collect()
    }

    #[test]
    fn the_first_line() {
        let header = Header::of(b"#!LUA NAME=\"lib\"\nreturn 1").unwrap();
        assert_eq!(header, Header { name: "lib".to_owned(), body: b"\nreturn 1" });
        let refused = [
            ("return 1", "Missing library metadata"),
            ("#!lua name=x", "Invalid library metadata"),
            ("#!lua name='x\n", "Invalid library metadata"),
            ("#!lua\n", "Library name was not given"),
            ("#!lua name=x foo=bar\n", "Invalid metadata value given: foo=bar"),
            ("#!lua name=x name=y\n", "Invalid metadata value, name argument was given multiple times"),
            ("#!lua name=\n", BAD_NAME),
            ("#!lua name=a-b\n", BAD_NAME),
            ("#! name=x\n", "Engine '' not found"),
            ("#!js name=x\n", "Engine 'js' not found"),
        ];
        for (code, error) in refused {
            assert_eq!(Header::of(code.as_bytes()).unwrap_err(), error, "{code}");
        }
    }

    #[test]
    fn functions_are_found_in_any_case() {
        let mut libraries = Libraries::default();
        libraries.insert(library("lib", &["One", "two"]));
        assert_eq!(libraries.function(b"ONE").unwrap().name, "One");
        assert!(libraries.function(b"three").is_none());
        assert!(libraries.function(b"\xff").is_none());
        assert_eq!((libraries.len(), libraries.function_count()), (1, 2));
        assert_eq!(libraries.taken(&library("other", &["ONE"])), Some("ONE"));
        assert_eq!(libraries.taken(&library("lib", &["ONE"])), None);
        assert!(libraries.memory() > 0);
        libraries.remove("lib");
        assert_eq!((libraries.len(), libraries.function_count(), libraries.memory()), (0, 0, 0));
    }

    #[test]
    fn many_come_in_or_none() {
        let mut libraries = Libraries::default();
        libraries.insert(library("a", &["f1"]));
        libraries.insert(library("b", &["f2"]));
        let error = libraries.join(vec![library("c", &["f3"]), library("a", &["f4"])], Policy::Append).unwrap_err();
        assert_eq!((error.0.as_str(), error.1.len()), ("Library a already exists", 2));
        let error = libraries.join(vec![library("a", &["f9", "F2"])], Policy::Replace).unwrap_err();
        assert_eq!(error.0, "Function F2 already exists");
        assert_eq!((names(&libraries), libraries.function_count()), (vec!["a", "b"], 2));
        assert!(libraries.function(b"f1").is_some(), "what had to go is back");
        let gone = libraries.join(vec![library("a", &["f9"])], Policy::Replace).unwrap();
        assert_eq!((gone.len(), libraries.function_count()), (1, 2));
        assert!(libraries.function(b"f1").is_none());
        let gone = libraries.join(vec![library("z", &["f1"])], Policy::Flush).unwrap();
        assert_eq!((gone.len(), names(&libraries)), (2, vec!["z"]));
    }
}
