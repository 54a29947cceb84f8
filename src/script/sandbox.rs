//! A new Lua state, and what scripts find in it.
//!
//! *Duty:* open the standard libraries that scripts may have, and run `sandbox.lua`, which takes out what reaches
//! outside and hides the rest behind tables that nobody can change. *Does not know:* hosts, runs.
//! *Invariants:* only text is ever compiled; no function leads to the table of globals itself, to the metatable of
//! strings, or to the tables behind the libraries, so nothing that one script does is there for the next.
//! *Counterpart in C Redis:* `luaLoadLibraries`, `luaSetErrorMetatable`, `luaSetTableProtectionRecursively`.
//!
//! 7.0.15 has a Lua of its own, whose tables can be made read-only. Here the Lua is the common one, so each library is
//! an empty table with a metatable before it: reads fall through, assignments are refused. `pairs`, `next`, `rawget`,
//! `rawset` and `setmetatable` know these tables.

use mlua::{Function, Lua, LuaOptions, StdLib, Table};

use super::{api, libs};

/// The name of `sandbox.lua` as Lua sees it.
pub const SOURCE: &str = "=sandbox";

/// What the sandbox consists of, for whoever runs scripts in it.
pub struct Sandbox {
    pub lua: Lua,
    /// The table of globals itself, which scripts cannot reach.
    pub globals: Table,
    /// Runs a function without arguments: `true` and its result, or `false` and the error as a table.
    pub run: Function,
    /// As `run`, with two arguments.
    pub run_with: Function,
    /// The table `redis` itself.
    pub redis: Table,
    /// Makes the table to show in place of one that nobody may change.
    pub protect: Function,
}

pub fn new(version: (&str, u32), deprecated: bool) -> mlua::Result<Sandbox> {
    let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
    // With `false` mlua would put a `pcall` of its own in place of Lua's, which ends the process where Lua's raises an
    // error: when calls are nested as deep as C allows.
    let lua = Lua::new_with(libraries, LuaOptions::new().catch_rust_panics(true))?;
    let globals = lua.globals();
    let raw = api::raw(&lua, version)?;
    let setup = lua.load(include_str!("sandbox.lua")).set_name(SOURCE);
    let (shown, run, run_with, redis, protect): (Table, Function, Function, Table, Function) =
        setup.call((raw, libs(&lua)?, deprecated))?;
    lua.set_globals(shown)?;
    Ok(Sandbox { lua, globals, run, run_with, redis, protect })
}

/// The libraries in Rust, by the name under which scripts find them.
fn libs(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("cjson", libs::cjson::open(lua)?)?;
    table.raw_set("cmsgpack", libs::cmsgpack::open(lua)?)?;
    table.raw_set("struct", libs::structs::open(lua)?)?;
    table.raw_set("bit", libs::bit::open(lua)?)?;
    Ok(table)
}
