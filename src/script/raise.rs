//! Functions in Rust that a script calls as it calls those of C.
//!
//! *Duty:* [`function`] makes one: its errors are plain strings (or any value) with the position of the caller in
//! front, and the number of its arguments has no limit of ours. [`Given`], the arguments; [`Fail`], the ways to fail.
//! [`native`] does the like for a function in Lua.
//! *Does not know:* what the functions do.
//! *Invariants:* mlua raises an error of a Rust function as userdata, and a Lua function around it would lose the
//! caller's position when a script tail-calls it; so a C closure stands between (`enter`), which owns nothing that
//! must be dropped, because `lua_error` jumps over it. A value that Rust holds takes one of some 8,000 slots, and mlua
//! panics when there is none left: many arguments arrive as one table.
//! *Counterpart in C Redis:* `luaL_error`, `luaL_argerror`, `luaL_checklstring`, `luaL_checknumber` of `lauxlib.c`.
#![allow(unsafe_code)]

use std::os::raw::c_int;

use mlua::{Function, IntoLua, IntoLuaMulti, Lua, MultiValue, Result, Table, Value, ffi};

/// How many arguments arrive one by one. Functions of a fixed number of parameters ignore the rest, as in C.
const DIRECT: c_int = 250;

/// How a function failed.
#[derive(Debug)]
pub enum Fail {
    /// `luaL_error`: the position of the caller, and this.
    Error(Vec<u8>),
    /// What Lua itself raises inside a C function: this, without a position.
    Plain(&'static str),
    /// `luaL_argerror`: which argument, and what is wrong with it.
    Argument(usize, Vec<u8>),
    /// `lua_error`: any value, as it is.
    Raise(Value),
    /// The engine failed.
    Engine(mlua::Error),
}

impl From<mlua::Error> for Fail {
    fn from(error: mlua::Error) -> Fail {
        Fail::Engine(error)
    }
}

/// Shorthand for [`Fail::Error`].
pub fn fail<T>(text: impl Into<Vec<u8>>) -> std::result::Result<T, Fail> {
    Err(Fail::Error(text.into()))
}

/// Shorthand for [`Fail::Argument`].
pub fn bad_argument<T>(at: usize, text: impl Into<Vec<u8>>) -> std::result::Result<T, Fail> {
    Err(Fail::Argument(at, text.into()))
}

/// The type of a value, as Lua calls it.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Boolean(_) => "boolean",
        Value::Integer(_) | Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Table(_) => "table",
        Value::Function(_) => "function",
        Value::Thread(_) => "thread",
        _ => "userdata",
    }
}

/// What a function was called with. Arguments count from 1.
pub struct Given<'a> {
    pub lua: &'a Lua,
    own: Value,
    direct: MultiValue,
    packed: Option<Table>,
    len: usize,
}

impl Given<'_> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value that was bound to the function when it was made.
    pub fn own(&self) -> &Value {
        &self.own
    }

    /// An argument, nil when there is none.
    pub fn get(&self, at: usize) -> Result<Value> {
        match &self.packed {
            Some(table) => table.raw_get(at),
            None => Ok(at.checked_sub(1).and_then(|i| self.direct.get(i)).cloned().unwrap_or(Value::Nil)),
        }
    }

    /// `luaL_typerror`.
    pub fn wrong_type<T>(&self, at: usize, expected: &str) -> std::result::Result<T, Fail> {
        let got = if at > self.len { "no value" } else { type_name(&self.get(at)?) };
        bad_argument(at, format!("{expected} expected, got {got}"))
    }

    /// A number, or a string that spells one.
    pub fn number(&self, at: usize) -> std::result::Result<f64, Fail> {
        match self.get(at)? {
            Value::Integer(i) => Ok(i as f64),
            Value::Number(n) => Ok(n),
            value @ Value::String(_) => match self.lua.coerce_number(value)? {
                Some(n) => Ok(n),
                None => self.wrong_type(at, "number"),
            },
            _ => self.wrong_type(at, "number"),
        }
    }

    /// A number without its fraction, as C converts it.
    pub fn integer(&self, at: usize) -> std::result::Result<i64, Fail> {
        self.number(at).map(truncate)
    }

    /// The same, with a default for nil and for nothing.
    pub fn integer_or(&self, at: usize, default: i64) -> std::result::Result<i64, Fail> {
        if self.get(at)?.is_nil() { Ok(default) } else { self.integer(at) }
    }

    /// A string, or a number as Lua prints it.
    pub fn string(&self, at: usize) -> std::result::Result<mlua::String, Fail> {
        match self.get(at)? {
            Value::String(s) => Ok(s),
            value @ (Value::Integer(_) | Value::Number(_)) => match self.lua.coerce_string(value)? {
                Some(s) => Ok(s),
                None => self.wrong_type(at, "string"),
            },
            _ => self.wrong_type(at, "string"),
        }
    }
}

/// A double as `(long long)d` on x86-64.
pub fn truncate(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}

/// What a function may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A few arguments.
    Few,
    /// As many as the caller has.
    Many,
}

/// The outcome of a function.
pub type Outcome = std::result::Result<MultiValue, Fail>;

/// A function of Lua that runs `body`. `own` is bound to it, and lives as long as Lua knows the function.
pub fn function<F>(lua: &Lua, takes: Takes, own: impl IntoLua, body: F) -> Result<Function>
where
    F: Fn(&Given<'_>) -> Outcome + 'static,
{
    let inner = lua.create_function(move |lua, mut values: MultiValue| {
        let own = values.pop_front().unwrap_or(Value::Nil);
        let packed = match takes {
            Takes::Few => None,
            Takes::Many => values.pop_front().and_then(|v| v.as_table().cloned()),
        };
        let len = match (takes, values.front()) {
            (Takes::Many, Some(Value::Integer(len))) => usize::try_from(*len).unwrap_or(0),
            _ => values.len(),
        };
        let given = Given { lua, own, direct: values, packed, len };
        match body(&given) {
            Ok(mut values) => {
                values.push_front(Value::Boolean(true));
                Ok(values)
            }
            Err(fail) => (false, describe(lua, fail)?).into_lua_multi(lua),
        }
    })?;
    let many = takes == Takes::Many;
    // SAFETY: the closure gets its three values on the stack, and leaves one, the C closure that binds them.
    unsafe { lua.exec_raw((inner, own, many), |state| ffi::lua_pushcclosure(state, enter, 3)) }
}

/// The value to raise. Level 0 is the Rust function, 1 the C closure around it, 2 who called it.
fn describe(lua: &Lua, fail: Fail) -> Result<Value> {
    let text = match fail {
        Fail::Raise(value) => return Ok(value),
        Fail::Engine(error) => return Err(error),
        Fail::Plain(text) => text.as_bytes().to_vec(),
        Fail::Error(text) => [position(lua, 2).as_bytes(), &text].concat(),
        Fail::Argument(at, text) => {
            let mut whole = (position(lua, 2) + &argument(lua, at)).into_bytes();
            whole.extend_from_slice(&text);
            whole.push(b')');
            whole
        }
    };
    Ok(Value::String(lua.create_string(text)?))
}

/// `luaL_where`: the file and line of the function at this level, or nothing.
pub fn position(lua: &Lua, level: usize) -> String {
    let found = lua.inspect_stack(level, |debug| {
        let line = debug.current_line().filter(|line| *line > 0)?;
        Some(format!("{}:{line}: ", debug.source().short_src.unwrap_or_default()))
    });
    found.flatten().unwrap_or_default()
}

/// Which argument is bad, up to the bracket before the reason.
fn argument(lua: &Lua, at: usize) -> String {
    let (name, method) = lua
        .inspect_stack(1, |debug| {
            let names = debug.names();
            let name = names.name.map_or_else(|| "?".to_string(), |name| name.into_owned());
            (name, names.name_what == Some("method"))
        })
        .unwrap_or_else(|| ("?".to_string(), false));
    match (method, at) {
        (true, 1) => format!("calling '{name}' on bad self ("),
        (true, _) => format!("bad argument #{} to '{name}' (", at.wrapping_sub(1) as i64),
        (false, _) => format!("bad argument #{at} to '{name}' ("),
    }
}

/// Calls the function of the first upvalue; raises what it says is an error.
///
/// # Safety
/// For Lua alone to call, as a closure with three upvalues: a function, the value bound to it, and whether the
/// arguments go into a table.
unsafe extern "C-unwind" fn enter(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: a C function has 20 slots of stack beside its arguments, and no more than three are taken. Nothing here
    // has a destructor, so an error may jump over this frame.
    unsafe {
        if ffi::lua_toboolean(state, ffi::lua_upvalueindex(3)) != 0 {
            pack(state);
        } else if ffi::lua_gettop(state) > DIRECT {
            ffi::lua_settop(state, DIRECT);
        }
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_insert(state, 1);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(2));
        ffi::lua_insert(state, 2);
        ffi::lua_call(state, ffi::lua_gettop(state) - 1, ffi::LUA_MULTRET);
        if ffi::lua_toboolean(state, 1) == 0 {
            ffi::lua_settop(state, 2);
            ffi::lua_error(state);
        }
        ffi::lua_gettop(state) - 1
    }
}

/// A function that calls `inner` with its arguments. `inner` returns `false` and the results, `true` and the error to
/// raise, zero and a text to raise with the place of the caller before it, or the number of an argument and what is
/// wrong with it. A function in Rust cannot take very
/// many arguments: `many` is called in its place then, with a table of them and their number.
pub fn native(lua: &Lua, (inner, many): (Function, Option<Function>)) -> Result<Function> {
    // SAFETY: `inner` and `many` are the two values on the stack; the closure takes them and leaves itself, so the
    // stack is one value high, as `exec_raw` wants it for one result.
    unsafe { lua.exec_raw((inner, many), |state| ffi::lua_pushcclosure(state, call_inner, 2)) }
}

/// Puts the arguments into a table, and their number behind it.
///
/// # Safety
/// For a function in C that has its arguments and nothing else on the stack.
unsafe fn pack(state: *mut ffi::lua_State) {
    // SAFETY: a C function has 20 slots of stack beside its arguments, and no more than two are taken.
    unsafe {
        let given = ffi::lua_gettop(state);
        ffi::lua_createtable(state, given, 0);
        ffi::lua_insert(state, 1);
        for at in (1..=given).rev() {
            ffi::lua_rawseti(state, 1, at as _);
        }
        ffi::lua_pushinteger(state, given as _);
    }
}

/// The function in C of [`native`].
///
/// # Safety
/// For Lua alone to call, as a closure with two upvalues: the function to call, and the one for many arguments or nil.
unsafe extern "C-unwind" fn call_inner(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: Lua calls this with its own state and with room for LUA_MINSTACK values. All values here are plain, so
    // an error of the callee, and `lua_error`, may jump over this frame.
    unsafe {
        let mut called = 1;
        if ffi::lua_gettop(state) > DIRECT && ffi::lua_type(state, ffi::lua_upvalueindex(2)) != ffi::LUA_TNIL {
            pack(state);
            called = 2;
        }
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(called));
        ffi::lua_insert(state, 1);
        ffi::lua_call(state, ffi::lua_gettop(state) - 1, ffi::LUA_MULTRET);
        if ffi::lua_type(state, 1) == ffi::LUA_TNUMBER {
            ffi::lua_settop(state, 2);
            let argument = ffi::lua_tointeger(state, 1) as c_int;
            if argument > 0 {
                return ffi::luaL_argerror(state, argument, ffi::lua_tostring(state, 2));
            }
            ffi::luaL_where(state, 1);
            ffi::lua_insert(state, 2);
            ffi::lua_concat(state, 2);
            ffi::lua_error(state);
        }
        if ffi::lua_toboolean(state, 1) != 0 {
            ffi::lua_settop(state, 2);
            ffi::lua_error(state);
        }
        ffi::lua_gettop(state) - 1
    }
}

/// The key and the value after `key` in a table; nil is before the first. None after the last.
pub fn next(lua: &Lua, table: &Table, key: &Value) -> Result<Option<(Value, Value)>> {
    // SAFETY: the closure finds the table and the key, and leaves the next pair or nothing. `exec_raw` catches the error
    // of a key that is not in the table.
    let (key, value): (Value, Value) = unsafe {
        lua.exec_raw((table, key), |state| {
            ffi::lua_next(state, 1);
            ffi::lua_remove(state, 1);
        })?
    };
    Ok(Some((key, value)).filter(|(key, _)| !key.is_nil()))
}

/// `unpack`: that of Lua 5.1.5 counts the results in an `int`, and does not see that it overflows.
pub fn unpack(lua: &Lua) -> Result<Function> {
    // SAFETY: the function is one for Lua to call.
    unsafe { lua.create_c_function(unpack_table) }
}

/// # Safety
/// For Lua alone to call.
unsafe extern "C-unwind" fn unpack_table(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: the results are pushed after `lua_checkstack` made room for them. Nothing here has a destructor, so an
    // error may jump over this frame.
    unsafe {
        ffi::luaL_checktype(state, 1, ffi::LUA_TTABLE);
        let first = ffi::luaL_optinteger(state, 2, 1) as c_int;
        let last = if ffi::lua_type(state, 3) <= ffi::LUA_TNIL {
            ffi::lua_objlen(state, 1) as c_int
        } else {
            ffi::luaL_checkinteger(state, 3) as c_int
        };
        let results = i64::from(last) - i64::from(first) + 1;
        if results <= 0 {
            return 0;
        }
        let results = c_int::try_from(results).unwrap_or(c_int::MAX);
        if results == c_int::MAX || ffi::lua_checkstack(state, results) == 0 {
            return ffi::luaL_error(state, c"too many results to unpack".as_ptr());
        }
        for at in first..=last {
            ffi::lua_rawgeti(state, 1, at as _);
        }
        results
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lua() -> Lua {
        let lua = Lua::new();
        let echo = function(&lua, Takes::Many, Value::Nil, |given| {
            let last = given.get(given.len())?;
            (given.len(), last).into_lua_multi(given.lua).map_err(Fail::from)
        });
        lua.globals().set("echo", echo.unwrap()).unwrap();
        let own = function(&lua, Takes::Few, "bound", |given| Ok(MultiValue::from_iter([given.own().clone()])));
        lua.globals().set("own", own.unwrap()).unwrap();
        let bad = function(&lua, Takes::Few, Value::Nil, |given| {
            given.number(1)?;
            fail("not today")
        });
        lua.globals().set("bad", bad.unwrap()).unwrap();
        let table = function(&lua, Takes::Few, Value::Nil, |given| Err(Fail::Raise(given.get(1)?)));
        lua.globals().set("throw", table.unwrap()).unwrap();
        lua
    }

    fn text(lua: &Lua, code: &str) -> String {
        lua.load(code).set_name("@script").eval::<String>().unwrap()
    }

    #[test]
    fn errors_are_strings_with_the_position_of_the_caller() {
        let lua = lua();
        let wrapped = |body: &str| format!("local ok, e = pcall(function() {body} end) return type(e) .. ' ' .. e");
        assert_eq!(text(&lua, &wrapped("return bad(1)")), "string script:1: not today");
        assert_eq!(text(&lua, &wrapped("\n\nbad(1)")), "string script:3: not today");
        let none = "string script:1: bad argument #1 to 'bad' (number expected, got no value)";
        assert_eq!(text(&lua, &wrapped("return bad()")), none);
        assert_eq!(
            text(&lua, "local ok, e = pcall(bad, {}) return e"),
            "bad argument #1 to '?' (number expected, got table)"
        );
        let method = "local t = {m = bad} local ok, e = pcall(function() t:m() end) return e";
        assert_eq!(text(&lua, method), "script:1: calling 'm' on bad self (number expected, got table)");
    }

    #[test]
    fn any_value_can_be_raised() {
        assert_eq!(text(&lua(), "local ok, e = pcall(throw, {err = 'x'}) return e.err"), "x");
    }

    #[test]
    fn many_arguments_are_no_danger() {
        let lua = lua();
        let many = "local t = {} for i = 1, 7900 do t[i] = 'a' .. i end local n, last = echo(unpack(t)) \
                    return n .. last";
        assert_eq!(text(&lua, many), "7900a7900");
        let more = "local function more(n, ...) if n == 0 then return echo(...) end \
                    return more(n - 1, 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', ...) end \
                    return (more(1500))";
        assert_eq!(text(&lua, more), "15000");
        assert_eq!(text(&lua, "return (own(1, 2, 3))"), "bound");
        assert_eq!(text(&lua, "local t = {} for i = 1, 7900 do t[i] = 'a' end return (own(unpack(t)))"), "bound");
    }
}
