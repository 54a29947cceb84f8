//! Functions of the sandbox that raise errors as functions in C do.
//!
//! *Duty:* [`native`] puts a function in C before one in Lua or Rust, which says what to raise instead of raising it.
//! *Does not know:* what the functions do. *Invariants:* the function in C keeps nothing that would have to be dropped,
//! so that Lua's errors, which are jumps, may leave it; it calls nothing of Rust that could panic.
//! *Counterpart in C Redis:* `luaError`, `luaL_error`.
//!
//! mlua raises only objects of its own, which scripts would see. A function in Lua can raise anything, but where a script
//! ends with `return redis.call(...)` it takes the script's place on Lua's stack, and the error could not say where it
//! came about. A function in C has a place of its own there.

#![allow(unsafe_code)]

use mlua::{Function, Lua, ffi};

/// A function that calls `inner` with its arguments. `inner` returns `false` and the results, `true` and the error to
/// raise, or a number and a text to raise with the place of the caller before it.
pub fn native(lua: &Lua, inner: Function) -> mlua::Result<Function> {
    // SAFETY: `inner` is the one value on the stack; the closure takes it and leaves itself, so the stack is one value
    // high, as `exec_raw` wants it for one result.
    unsafe { lua.exec_raw(inner, |state| ffi::lua_pushcclosure(state, call_inner, 1)) }
}

/// The function in C.
unsafe extern "C-unwind" fn call_inner(state: *mut ffi::lua_State) -> std::ffi::c_int {
    // SAFETY: Lua calls this with its own state and with room for LUA_MINSTACK values. All values here are plain, so
    // an error of the callee, and `lua_error`, may jump over this frame.
    unsafe {
        let arguments = ffi::lua_gettop(state);
        ffi::lua_pushvalue(state, ffi::lua_upvalueindex(1));
        ffi::lua_insert(state, 1);
        ffi::lua_call(state, arguments, ffi::LUA_MULTRET);
        if ffi::lua_type(state, 1) == ffi::LUA_TNUMBER {
            ffi::lua_settop(state, 2);
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
