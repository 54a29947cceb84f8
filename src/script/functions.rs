//! [`FunctionEngine`]: the Lua state of function libraries.
//!
//! *Duty:* run the code of a library, which registers its functions; keep them, and call them.
//! *Does not know:* which libraries there are (`library`), the server.
//! *Invariants:* code of libraries finds other globals while it is loaded (`redis.register_function`, `redis.log`, a few
//! constants and nothing else) than its functions find when they are called. All libraries share one table of
//! globals, which nobody can change. Functions are kept in a table of Lua, as mlua can hold few values only.
//! *Counterpart in C Redis:* `function_lua.c`.

use mlua::{ChunkMode, Function, Lua, Table, Value};

use super::api::words;
use super::cache::ScriptFlags;
use super::convert::error_table;
use super::library::{BAD_NAME, Registered, is_name};
use super::raise::{Fail, Given, Takes, function};
use super::sandbox::SOURCE;
use super::{Host, Outcome, ScriptEngine};
use crate::resp::ReplyBuf;

/// A library's name in errors.
const CODE_NAME: &str = "@user_function";

pub struct FunctionEngine {
    engine: ScriptEngine,
    /// The globals of all libraries, of which none is in it.
    environment: Table,
    /// What the globals are while a library is loaded.
    api: Table,
    /// Number → function.
    callbacks: Table,
    next: i64,
}

/// What the library that is being loaded has registered.
#[derive(Default)]
struct Registering {
    open: bool,
    functions: Vec<Registered>,
    next: i64,
}

impl FunctionEngine {
    pub fn new(engine: ScriptEngine) -> mlua::Result<FunctionEngine> {
        let sandbox = engine.sandbox();
        let lua = &sandbox.lua;
        lua.set_app_data(Registering::default());
        let callbacks = lua.create_table()?;
        let environment: Table = sandbox.protect.call(sandbox.globals.clone())?;
        let register = function(lua, Takes::Few, callbacks.clone(), register)?;
        let api = lua.load(include_str!("library.lua")).set_name(SOURCE);
        let api = api.call((sandbox.redis.clone(), register, sandbox.protect.clone()))?;
        Ok(FunctionEngine { environment, api, callbacks, next: 0, engine })
    }

    /// Bytes of the whole Lua state.
    pub fn memory(&self) -> usize {
        self.engine.memory()
    }

    /// Runs the code of a library; what it registered. On an error nothing of it is left.
    pub fn load(&mut self, code: &[u8], host: &mut dyn Host) -> Result<Vec<Registered>, Vec<u8>> {
        let lua = &self.engine.sandbox().lua;
        let chunk = lua.load(code).set_name(CODE_NAME).set_mode(ChunkMode::Text);
        let chunk = chunk.set_environment(self.environment.clone()).into_function();
        let chunk = chunk.map_err(|error| format!("Error compiling function: {}", words(&error)).into_bytes())?;
        let begun = Registering { open: true, functions: Vec::new(), next: self.next };
        lua.set_app_data(begun);
        let globals = |table: &Table| match self.environment.metatable() {
            Some(meta) => meta.raw_set("__index", table.clone()),
            None => Ok(()),
        };
        let loaded = globals(&self.api).map_err(|error| words(&error).into_bytes());
        let loaded = loaded.and_then(|()| self.engine.load(&chunk, host));
        let restored = globals(&self.engine.sandbox().globals);
        let registered = lua.remove_app_data::<Registering>().unwrap_or_default();
        lua.set_app_data(Registering::default());
        self.next = self.next.max(registered.next);
        let loaded = loaded.and_then(|()| restored.map_err(|error| words(&error).into_bytes()));
        match loaded {
            Ok(()) => Ok(registered.functions),
            Err(text) => {
                self.forget(&registered.functions);
                Err([b"Error registering functions: ".as_slice(), &text].concat())
            }
        }
    }

    /// These are not called any more.
    pub fn forget(&mut self, functions: &[Registered]) {
        for function in functions {
            // Setting a field of a table that is there to nil takes no memory, and so cannot fail.
            let _ = self.callbacks.raw_set(function.callback, Value::Nil);
        }
    }

    /// Calls a function with its keys and arguments.
    pub fn call<'a>(
        &self,
        function: &Registered,
        given: (impl ExactSizeIterator<Item = &'a [u8]>, impl ExactSizeIterator<Item = &'a [u8]>),
        host: &mut dyn Host,
        reply: &mut ReplyBuf,
    ) -> Outcome {
        match self.callbacks.raw_get::<Function>(function.callback) {
            Ok(callback) => self.engine.call(&callback, &function.name, given, host, reply),
            Err(error) => Outcome::Failed { message: format!("ERR {}", words(&error)).into_bytes(), counted: false },
        }
    }
}

/// An error as `redis.register_function` raises it.
fn refuse<T>(lua: &Lua, text: &str) -> Result<T, Fail> {
    Err(Fail::Raise(error_table(lua, format!("ERR {text}").as_bytes(), false)?))
}

/// What `redis.register_function` was given.
struct Wish {
    name: Vec<u8>,
    callback: Function,
    description: Option<Vec<u8>>,
    flags: ScriptFlags,
}

fn register(given: &Given<'_>) -> super::raise::Outcome {
    let lua = given.lua;
    let is_open = lua.app_data_ref::<Registering>().is_some_and(|registering| registering.open);
    if !is_open {
        return refuse(lua, "redis.register_function can only be called on FUNCTION LOAD command");
    }
    let wish = match given.len() {
        1 => match given.get(1)? {
            Value::Table(named) => named_arguments(lua, &named)?,
            _ => {
                return refuse(
                    lua,
                    "calling redis.register_function with a single argument is only applicable to Lua table \
                     (representing named arguments).",
                );
            }
        },
        2 => two_arguments(given)?,
        _ => return refuse(lua, "wrong number of arguments to redis.register_function"),
    };
    let Wish { name, callback, description, flags } = wish;
    let name = match String::from_utf8(name) {
        Ok(name) if is_name(name.as_bytes()) => name,
        _ => return refuse(lua, BAD_NAME),
    };
    let number = {
        let Some(mut registering) = lua.app_data_mut::<Registering>() else { return refuse(lua, BAD_NAME) };
        if registering.functions.iter().any(|function| function.name.eq_ignore_ascii_case(&name)) {
            drop(registering);
            return refuse(lua, "Function already exists in the library");
        }
        registering.next += 1;
        let callback = registering.next;
        registering.functions.push(Registered { name, description, flags, callback });
        callback
    };
    if let Value::Table(callbacks) = given.own() {
        callbacks.raw_set(number, callback)?;
    }
    Ok(mlua::MultiValue::new())
}

/// A string, or a number as Lua prints it.
fn text(lua: &Lua, value: &Value) -> mlua::Result<Option<Vec<u8>>> {
    match value {
        Value::String(_) | Value::Integer(_) | Value::Number(_) => {
            Ok(lua.coerce_string(value.clone())?.map(|text| text.as_bytes().to_vec()))
        }
        _ => Ok(None),
    }
}

fn two_arguments(given: &Given<'_>) -> Result<Wish, Fail> {
    let lua = given.lua;
    let Some(name) = text(lua, &given.get(1)?)? else {
        return refuse(lua, "first argument to redis.register_function must be a string");
    };
    match given.get(2)? {
        Value::Function(callback) => Ok(Wish { name, callback, description: None, flags: ScriptFlags::default() }),
        _ => refuse(lua, "second argument to redis.register_function must be a function"),
    }
}

fn named_arguments(lua: &Lua, named: &Table) -> Result<Wish, Fail> {
    let (mut name, mut callback, mut description, mut flags) = (None, None, None, ScriptFlags::default());
    for pair in named.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let key = text(lua, &key)?.unwrap_or_default().to_ascii_lowercase();
        let refused = match (&key[..], value) {
            (b"function_name", value) => match text(lua, &value)? {
                Some(text) => {
                    name = Some(text);
                    continue;
                }
                None => "function_name argument given to redis.register_function must be a string",
            },
            (b"description", value) => match text(lua, &value)? {
                Some(text) => {
                    description = Some(text);
                    continue;
                }
                None => "description argument given to redis.register_function must be a string",
            },
            (b"callback", Value::Function(function)) => {
                callback = Some(function);
                continue;
            }
            (b"callback", _) => "callback argument given to redis.register_function must be a function",
            (b"flags", Value::Table(list)) => match flags_of(&list)? {
                Some(read) => {
                    flags = read;
                    continue;
                }
                None => "unknown flag given",
            },
            (b"flags", _) => "flags argument to redis.register_function must be a table representing function flags",
            _ => "unknown argument given to redis.register_function",
        };
        return refuse(lua, refused);
    }
    let Some(name) = name else {
        return refuse(lua, "redis.register_function must get a function name argument");
    };
    match callback {
        Some(callback) => Ok(Wish { name, callback, description, flags }),
        None => refuse(lua, "redis.register_function must get a callback argument"),
    }
}

/// The flags of a list, up to its first nil. `None`: one is unknown.
fn flags_of(list: &Table) -> mlua::Result<Option<ScriptFlags>> {
    let mut flags = ScriptFlags::default();
    for at in 1.. {
        match list.raw_get(at)? {
            Value::Nil => break,
            Value::String(name) if flags.set(&name.as_bytes()) => {}
            _ => return Ok(None),
        }
    }
    Ok(Some(flags))
}
