//! The libraries that Redis gives its scripts: cjson, cmsgpack, struct and bit.
//!
//! *Duty:* the same functions, results, formats of numbers and texts of errors as the C libraries of 7.0.15.
//! *Does not know:* commands, replies, the server. Each library is a table that [`open`](cjson::open) makes.
//! *Invariants:* what a script hands in is of unknown origin: lengths, depths and numbers of results are bounded, and
//! what is beyond is an error of the script. No library calls back into Lua.
//! *Counterpart in C Redis:* `lua_cjson.c`, `lua_cmsgpack.c`, `lua_struct.c`, `lua_bit.c`, `fpconv.c`, `strbuf.c`.

pub mod bit;
pub mod cjson;
mod cjson_read;
pub mod cmsgpack;
mod number;
pub mod structs;

use mlua::{IntoLuaMulti, Lua, MultiValue, Table, Value};

use super::raise::{Fail, Given, Outcome, Takes, function};

/// How long what a library makes may become, in bytes: as long as a value of Redis.
const LONGEST: usize = 512 * 1024 * 1024;

/// The slots of the stack of a C function of Lua 5.1; a function that returns more values than that fails.
const STACK: usize = 8000;

/// How many of the values that a function returns may be other than numbers and booleans: mlua has few places more.
const MOST_OBJECTS: usize = 7000;

/// A function of a library, and whether it takes any number of arguments.
type Row = (&'static str, Takes, fn(&Given<'_>) -> Outcome);

fn table(lua: &Lua, own: Value, rows: &[Row]) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for (name, takes, body) in rows {
        table.raw_set(*name, function(lua, *takes, own.clone(), *body)?)?;
    }
    Ok(table)
}

fn reply(given: &Given<'_>, values: impl IntoLuaMulti) -> Outcome {
    values.into_lua_multi(given.lua).map_err(Fail::from)
}

fn single(value: Value) -> Outcome {
    Ok(MultiValue::from_iter([value]))
}
