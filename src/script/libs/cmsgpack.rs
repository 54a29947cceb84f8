//! `cmsgpack`: values of Lua as MessagePack and back.
//!
//! *Duty:* pack, unpack, unpack_one, unpack_limit.
//! *Invariants:* tables are packed 16 deep, what is below becomes nil. Unpacking keeps the tables that it fills on a
//! stack of ours: no recursion, and as many as the original could keep on Lua's stack. A length is believed only as
//! far as there are bytes. Binary strings and extensions are refused, as the original does.
//! *Counterpart in C Redis:* `deps/lua/src/lua_cmsgpack.c` (0.4.0).

use mlua::{Lua, MultiValue, Table, Value};

use super::super::raise::{Fail, Given, Outcome, Takes, bad_argument, fail};
use super::{LONGEST, MOST_OBJECTS, STACK, single, table};

const MAX_NESTING: usize = 16;

pub fn open(lua: &Lua) -> mlua::Result<Table> {
    let rows: [super::Row; 4] = [
        ("pack", Takes::Many, pack),
        ("unpack", Takes::Few, |given| unpack(given, 0, 0)),
        ("unpack_one", Takes::Few, |given| {
            let offset = given.integer_or(2, 0)?;
            unpack(given, 1, offset)
        }),
        ("unpack_limit", Takes::Few, |given| {
            let limit = given.integer(2)?;
            let offset = given.integer_or(3, 0)?;
            unpack(given, limit, offset)
        }),
    ];
    let table = table(lua, Value::Nil, &rows)?;
    table.raw_set("_NAME", "cmsgpack")?;
    table.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    table.raw_set("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo")?;
    table.raw_set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    Ok(table)
}

fn pack(given: &Given<'_>) -> Outcome {
    if given.is_empty() {
        return bad_argument(0, "MessagePack pack needs input.");
    }
    if given.len() * 2 > STACK {
        return bad_argument(0, "Too many arguments for MessagePack pack.");
    }
    let mut out = Vec::new();
    for at in 1..=given.len() {
        append(&mut out, &given.get(at)?, 0)?;
    }
    single(Value::String(given.lua.create_string(out)?))
}

fn append(out: &mut Vec<u8>, value: &Value, level: usize) -> Result<(), Fail> {
    if out.len() > LONGEST {
        return fail("MessagePack output is too long");
    }
    match value {
        Value::String(text) => {
            let text = text.as_bytes();
            head(out, text.len(), (0xa0, 32), Some(0xd9), 0xda);
            out.extend_from_slice(&text);
        }
        Value::Boolean(on) => out.push(if *on { 0xc3 } else { 0xc2 }),
        Value::Integer(i) => append_integer(out, *i),
        Value::Number(n) => append_double(out, *n),
        Value::Table(table) if level < MAX_NESTING => append_table(out, table, level)?,
        _ => out.push(0xc0),
    }
    Ok(())
}

/// The type and the length: in one byte, if there are less than `short.1`; with one byte more, two, or four.
fn head(out: &mut Vec<u8>, len: usize, short: (u8, usize), one: Option<u8>, two: u8) {
    match (len, one) {
        _ if len < short.1 => out.push(short.0 | len as u8),
        (0..=0xff, Some(mark)) => out.extend_from_slice(&[mark, len as u8]),
        (0..=0xffff, _) => {
            out.push(two);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(two + 1);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
}

fn append_integer(out: &mut Vec<u8>, n: i64) {
    let (mark, width) = match n {
        -32..=0x7f => {
            out.push(n as u8);
            return;
        }
        0x80..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -0x80..=-33 => (0xd0, 1),
        -0x8000..=-0x81 => (0xd1, 2),
        -0x8000_0000..=-0x8001 => (0xd2, 4),
        _ => (0xd3, 8),
    };
    out.push(mark);
    out.extend_from_slice(&n.to_be_bytes()[8 - width..]);
}

fn append_double(out: &mut Vec<u8>, n: f64) {
    let narrow = n as f32;
    // A whole number that is no integer to mlua: minus zero.
    if n == 0.0 {
        append_integer(out, 0);
    } else if f64::from(narrow) == n {
        out.push(0xca);
        out.extend_from_slice(&narrow.to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&n.to_be_bytes());
    }
}

/// An array if its keys are 1 to n, else a map.
fn append_table(out: &mut Vec<u8>, table: &Table, level: usize) -> Result<(), Fail> {
    let (mut count, mut most, mut is_array) = (0usize, 0i64, true);
    table.for_each(|key: Value, _: Value| {
        count += 1;
        match key {
            Value::Integer(index) if index > 0 => most = most.max(index),
            _ => is_array = false,
        }
        Ok(())
    })?;
    if is_array && most == count as i64 {
        head(out, count, (0x90, 16), None, 0xdc);
        for at in 1..=most {
            append(out, &table.raw_get(at)?, level + 1)?;
        }
        return Ok(());
    }
    head(out, count, (0x80, 16), None, 0xde);
    let mut failed = Ok(());
    table.for_each(|key: Value, value: Value| {
        if failed.is_ok() {
            failed = append(out, &key, level + 1).and_then(|()| append(out, &value, level + 1));
        }
        Ok(())
    })?;
    failed
}

fn unpack(given: &Given<'_>, limit: i64, offset: i64) -> Outcome {
    let text = given.string(1)?;
    let bytes = text.as_bytes();
    let all = limit == 0 && offset == 0;
    if offset < 0 || limit < 0 {
        let (offset, len) = (offset as i32, bytes.len());
        return fail(format!("Invalid request to unpack with offset of {offset} and limit of {len}."));
    }
    if offset as u64 > bytes.len() as u64 {
        let (offset, len) = (offset as i32, bytes.len());
        return fail(format!("Start offset {offset} greater than input length {len}."));
    }
    let mut cursor = Cursor { lua: given.lua, bytes: &bytes, at: offset as usize };
    let mut values = MultiValue::new();
    let (mut count, mut objects) = (0usize, 0usize);
    while cursor.at < bytes.len() && (all || (count as u64) < limit as u64) {
        if count + 2 > STACK || objects > MOST_OBJECTS {
            return overflow(TOO_MANY);
        }
        let value = cursor.value(count + 1)?;
        objects += usize::from(!matches!(value, Value::Integer(_) | Value::Number(_) | Value::Boolean(_)));
        values.push_back(value);
        count += 1;
    }
    if !all {
        let done = cursor.at == bytes.len();
        values.push_front(Value::Integer(if done { -1 } else { cursor.at as i64 }));
    }
    Ok(values)
}

const TOO_MANY: &str = "too many return values at once; use unpack_one or unpack_limit instead.";

/// `luaL_checkstack` failed.
fn overflow<T>(why: &str) -> Result<T, Fail> {
    fail(format!("stack overflow ({why})"))
}

/// A table that is being filled, and how many items it waits for.
enum Open {
    Array { table: Table, next: u64, left: u64 },
    Map { table: Table, key: Option<Value>, left: u64 },
}

/// What a few bytes say: a value, or the beginning of a table.
enum Item {
    Value(Value),
    Array(u64),
    Map(u64),
}

struct Cursor<'a> {
    lua: &'a Lua,
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self, len: u64) -> Result<&[u8], Fail> {
        if len > (self.bytes.len() - self.at) as u64 {
            return fail("Missing bytes in input.");
        }
        let start = self.at;
        self.at += len as usize;
        Ok(&self.bytes[start..self.at])
    }

    /// A number of this many bytes, the highest first.
    fn unsigned(&mut self, width: u64) -> Result<u64, Fail> {
        Ok(self.take(width)?.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
    }

    fn item(&mut self) -> Result<Item, Fail> {
        let mark = self.take(1)?[0];
        let number = |n: f64| Item::Value(Value::Number(n));
        Ok(match mark {
            0..=0x7f => Item::Value(Value::Integer(i64::from(mark))),
            0xe0..=0xff => Item::Value(Value::Integer(i64::from(mark as i8))),
            0x80..=0x8f => Item::Map(u64::from(mark & 15)),
            0x90..=0x9f => Item::Array(u64::from(mark & 15)),
            0xa0..=0xbf => self.text(u64::from(mark & 31))?,
            0xc0 => Item::Value(Value::Nil),
            0xc2 | 0xc3 => Item::Value(Value::Boolean(mark == 0xc3)),
            0xca => number(f64::from(f32::from_bits(self.unsigned(4)? as u32))),
            0xcb => number(f64::from_bits(self.unsigned(8)?)),
            0xcc..=0xcf => number(self.unsigned(1 << (mark - 0xcc))? as f64),
            0xd0..=0xd3 => {
                let width = 1u64 << (mark - 0xd0);
                let shift = 64 - 8 * width;
                number(((self.unsigned(width)? << shift) as i64 >> shift) as f64)
            }
            0xd9..=0xdb => {
                let len = self.unsigned(1 << (mark - 0xd9))?;
                self.text(len)?
            }
            0xdc | 0xdd => Item::Array(self.unsigned(2 << (mark - 0xdc))?),
            0xde | 0xdf => Item::Map(self.unsigned(2 << (mark - 0xde))?),
            _ => return fail("Bad data format in input."),
        })
    }

    fn text(&mut self, len: u64) -> Result<Item, Fail> {
        let lua = self.lua;
        Ok(Item::Value(Value::String(lua.create_string(self.take(len)?)?)))
    }

    /// One value with all that is in it. `used` slots of the stack of the original are taken before it.
    fn value(&mut self, mut used: usize) -> Result<Value, Fail> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            if used + 1 > STACK || open.len() * 2 > STACK {
                return overflow(TOO_MANY);
            }
            let value = match self.item()? {
                Item::Value(value) => value,
                Item::Array(0) | Item::Map(0) => Value::Table(self.lua.create_table()?),
                Item::Array(left) => {
                    if used + 2 > STACK {
                        return overflow("in function mp_decode_to_lua_array");
                    }
                    used += 2;
                    open.push(Open::Array { table: self.lua.create_table()?, next: 1, left });
                    continue;
                }
                Item::Map(left) => {
                    used += 1;
                    open.push(Open::Map { table: self.lua.create_table()?, key: None, left });
                    continue;
                }
            };
            if let Some(done) = store(&mut open, &mut used, value)? {
                return Ok(done);
            }
        }
    }
}

/// Puts the value where it is waited for; what is complete then is the next value. The last one when none waits.
fn store(open: &mut Vec<Open>, used: &mut usize, mut value: Value) -> Result<Option<Value>, Fail> {
    loop {
        match open.last_mut() {
            None => return Ok(Some(value)),
            Some(Open::Array { table, next, left }) => {
                table.raw_set(*next, value)?;
                (*next, *left) = (*next + 1, *left - 1);
                if *left > 0 {
                    return Ok(None);
                }
                value = Value::Table(table.clone());
                *used -= 2;
            }
            Some(Open::Map { table, key, left }) => {
                let Some(name) = key.take() else {
                    *key = Some(value);
                    *used += 1;
                    return Ok(None);
                };
                *used -= 1;
                match name {
                    Value::Nil => return Err(Fail::Plain("table index is nil")),
                    Value::Number(n) if n.is_nan() => return Err(Fail::Plain("table index is NaN")),
                    name => table.raw_set(name, value)?,
                }
                *left -= 1;
                if *left > 0 {
                    return Ok(None);
                }
                value = Value::Table(table.clone());
                *used -= 1;
            }
        }
        open.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(code: &str) -> String {
        let lua = Lua::new();
        lua.globals().set("cmsgpack", open(&lua).unwrap()).unwrap();
        let help = "local function join(...) local r = {...} for i = 1, select('#', ...) do r[i] = tostring(r[i]) end \
                    return table.concat(r, ' ') end \
                    local function hex(s) return (s:gsub('.', function(c) return ('%02x'):format(c:byte()) end)) end \
                    local pack, unpack_, one, limit = cmsgpack.pack, cmsgpack.unpack, cmsgpack.unpack_one, \
                    cmsgpack.unpack_limit ";
        lua.load(format!("{help} return join({code})")).set_name("@user_script").eval().unwrap()
    }

    fn error(code: &str) -> String {
        eval(&format!("select(2, pcall(function() return {code} end))"))
    }

    #[test]
    fn numbers() {
        let code = "hex(pack(1,-1,127,128,255,256,65535,65536,4294967295,4294967296))";
        assert_eq!(eval(code), "01ff7fcc80ccffcd0100cdffffce00010000ceffffffffcf0000000100000000");
        let code = "hex(pack(-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649))";
        assert_eq!(eval(code), "e0d0dfd080d1ff7fd18000d2ffff7fffd280000000d3ffffffff7fffffff");
        let code = "hex(pack(1.5,0.1,1/0,-0.0,2^63,-2^63))";
        assert_eq!(eval(code), "ca3fc00000cb3fb999999999999aca7f80000000ca5f000000d38000000000000000");
    }

    #[test]
    fn tables() {
        let code = "hex(pack(true,false,nil,{},{1,2},{a=1},{['1']=1},{[0]=1},{[1.5]=1}))";
        assert_eq!(eval(code), "c3c2c09092010281a1610181a131018100 01".replace(' ', "") + "81ca3fc0000001");
        let deep = "(function() local t = {} for i = 1, 20 do t = {t} end return hex(pack(t)) end)()";
        assert_eq!(eval(deep), "91".repeat(16) + "c0");
    }

    #[test]
    fn what_is_packed_can_be_unpacked() {
        let code = "unpack_(pack(1, 'two', 3.25, true, nil, ('x'):rep(300):sub(1, 3)))";
        assert_eq!(eval(code), "1 two 3.25 true nil xxx");
        let code = "(function() local t = unpack_(pack({a={1,{b='c'}}, [7]=8})) return t.a[2].b .. t[7] end)()";
        assert_eq!(eval(code), "c8");
        assert_eq!(eval("unpack_('\\211\\255\\255\\255\\255\\255\\255\\255\\254\\208\\128')"), "-2 -128");
    }

    #[test]
    fn pieces_of_a_stream() {
        assert_eq!(eval("one('\\1\\2\\3')"), "1 1");
        assert_eq!(eval("one('\\1\\2\\3', 2)"), "-1 3");
        assert_eq!(eval("one('\\1\\2\\3', 3)"), "-1");
        assert_eq!(eval("limit('\\1\\2\\3', 2)"), "2 1 2");
        assert_eq!(eval("limit('\\1\\2\\3', 0)"), "1 2 3");
        assert_eq!(eval("limit('\\1\\2\\3', 0, 1)"), "1");
        assert_eq!(eval("limit('\\1\\2\\3', 4294967297)"), "-1 1 2 3");
        assert_eq!(eval("one('\\1\\2\\3', 1.7)"), "2 2");
    }

    #[test]
    fn refusals() {
        let at = |text: &str| format!("user_script:1: {text}");
        assert_eq!(error("cmsgpack.pack()"), at("bad argument #0 to 'pack' (MessagePack pack needs input.)"));
        assert_eq!(error("cmsgpack.unpack()"), at("bad argument #1 to 'unpack' (string expected, got no value)"));
        assert_eq!(error("unpack_('\\193')"), at("Bad data format in input."));
        assert_eq!(error("unpack_('\\199\\1\\1\\1')"), at("Bad data format in input."));
        assert_eq!(error("unpack_('\\221\\255\\255\\255\\255\\1')"), at("Missing bytes in input."));
        assert_eq!(error("unpack_('\\219\\255\\255\\255\\255\\1')"), at("Missing bytes in input."));
        assert_eq!(error("one('\\1\\2\\3', 4)"), at("Start offset 4 greater than input length 3."));
        assert_eq!(error("one('\\1', -1)"), at("Invalid request to unpack with offset of -1 and limit of 1."));
        assert_eq!(error("unpack_('\\129\\192\\1')"), "table index is nil");
        assert_eq!(error("unpack_('\\129\\202\\127\\192\\0\\0\\1')"), "table index is NaN");
        let array = at("stack overflow (in function mp_decode_to_lua_array)");
        assert_eq!(error("unpack_(('\\145'):rep(9000))"), array);
        assert_eq!(error("unpack_(('\\145'):rep(3000))"), at("Missing bytes in input."));
        let many = at(&format!("stack overflow ({TOO_MANY})"));
        assert_eq!(error("unpack_(('\\129'):rep(9000))"), many);
        assert_eq!(error("unpack_(('\\1'):rep(9000))"), many);
        assert_eq!(error("unpack_(('\\161a'):rep(7990))"), many);
        assert_eq!(eval("select('#', unpack_(('\\1'):rep(7900)))"), "7900");
        let too_many = at("bad argument #0 to 'pack' (Too many arguments for MessagePack pack.)");
        assert_eq!(error("cmsgpack.pack(unpack({}, 1, 4100))"), too_many);
    }
}
