//! Values on their way between RESP and Lua.
//!
//! *Duty:* a reply as the Lua value that `redis.call` returns; the value that a script returns as a reply.
//! *Does not know:* who asked. *Invariants:* RESP2 has no words for maps, sets and doubles, so a script that did not ask
//! for RESP3 gets arrays and strings; numbers lose their fraction on the way out; an array ends at its first nil; fields
//! are read without metatables.
//! *Counterpart in C Redis:* `redisProtocolToLuaType*`, `luaReplyToRedisReply` of `script_lua.c`.

use mlua::{Lua, Table, Value};

use super::raise::next;
use crate::base::{float, num};
use crate::resp::reply::Deferred;
use crate::resp::{Proto, ReplyBuf};

/// What 7.0.15 can have on the stack of Lua while it writes an answer; what lies deeper becomes an error.
const STACK: usize = 8000;
/// What it wants free there for each value.
const FREE: usize = 4;
/// What is there before the answer.
const USED: usize = 2;

/// One reply as a Lua value.
pub fn to_lua(lua: &Lua, bytes: &[u8]) -> mlua::Result<Value> {
    let mut reader = Reader { lua, bytes };
    reader.value()
}

/// `{err = message}`. One that comes from a command has been counted already.
pub fn error_table(lua: &Lua, message: &[u8], counted: bool) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, 2)?;
    table.raw_set("err", lua.create_string(message)?)?;
    if counted {
        table.raw_set(COUNTED, true)?;
    }
    Ok(Value::Table(table))
}

/// The field of an error that errorstats know already.
const COUNTED: &str = "ignore_error_stats_update";

/// Whether errorstats know this error already.
pub fn is_counted(error: &Table) -> bool {
    matches!(error.raw_get(COUNTED), Ok(Value::Boolean(true)))
}

struct Reader<'a> {
    lua: &'a Lua,
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The next line, without its kind and its end.
    fn line(&mut self) -> &'a [u8] {
        let end = self.bytes.windows(2).position(|pair| pair == b"\r\n").unwrap_or(self.bytes.len());
        let (line, rest) = self.bytes.split_at(end);
        self.bytes = rest.get(2..).unwrap_or_default();
        line.get(1..).unwrap_or_default()
    }

    fn number(&mut self) -> i64 {
        num::parse_i64(self.line()).unwrap_or_default()
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(len.min(self.bytes.len()));
        self.bytes = rest.get(2..).unwrap_or_default();
        taken
    }

    fn value(&mut self) -> mlua::Result<Value> {
        let lua = self.lua;
        match self.bytes.first() {
            Some(b'$') => match self.number() {
                -1 => Ok(Value::Boolean(false)),
                len => Ok(Value::String(lua.create_string(self.take(len as usize))?)),
            },
            Some(b':') => Ok(Value::Integer(self.number())),
            Some(b'+') => self.field("ok"),
            Some(b'-') => {
                let line = self.line();
                error_table(lua, line, true)
            }
            Some(b'*' | b'>') => self.array(),
            _ => self.resp3(),
        }
    }

    /// What only RESP3 has.
    fn resp3(&mut self) -> mlua::Result<Value> {
        let lua = self.lua;
        match self.bytes.first() {
            Some(b'_') => {
                self.line();
                Ok(Value::Nil)
            }
            Some(b'#') => Ok(Value::Boolean(self.line() == b"t")),
            Some(b',') => {
                let value = float::parse_f64(self.line()).unwrap_or(f64::NAN);
                self.wrapped("double", Value::Number(value))
            }
            Some(b'(') => self.field("big_number"),
            Some(b'=') => {
                let len = self.number() as usize;
                let (format, text) = self.take(len).split_at_checked(4).unwrap_or_default();
                let table = lua.create_table_with_capacity(0, 2)?;
                table.raw_set("string", lua.create_string(text)?)?;
                table.raw_set("format", lua.create_string(&format[..format.len().min(3)])?)?;
                self.wrapped("verbatim_string", Value::Table(table))
            }
            Some(b'%') => {
                let pairs = self.number();
                let map = lua.create_table()?;
                for _ in 0..pairs {
                    let (key, value) = (self.value()?, self.value()?);
                    map.raw_set(key, value)?;
                }
                self.wrapped("map", Value::Table(map))
            }
            Some(b'~') => {
                let members = self.number();
                let set = lua.create_table()?;
                for _ in 0..members {
                    set.raw_set(self.value()?, true)?;
                }
                self.wrapped("set", Value::Table(set))
            }
            Some(b'|') => {
                for _ in 0..2 * self.number() {
                    self.value()?;
                }
                self.value()
            }
            _ => Err(mlua::Error::runtime("a command gave no reply")),
        }
    }

    fn array(&mut self) -> mlua::Result<Value> {
        let len = self.number();
        if len < 0 {
            return Ok(Value::Boolean(false));
        }
        let table = self.lua.create_table_with_capacity(len as usize, 0)?;
        for i in 1..=len {
            table.raw_set(i, self.value()?)?;
        }
        Ok(Value::Table(table))
    }

    /// A line as a table of one field.
    fn field(&mut self, name: &str) -> mlua::Result<Value> {
        let text = self.lua.create_string(self.line())?;
        self.wrapped(name, Value::String(text))
    }

    fn wrapped(&self, name: &str, value: Value) -> mlua::Result<Value> {
        let table = self.lua.create_table_with_capacity(0, 1)?;
        table.raw_set(name, value)?;
        Ok(Value::Table(table))
    }
}

/// Writes what a script returned.
pub struct Writer<'a> {
    pub reply: &'a mut ReplyBuf,
    /// What the script asked for with `redis.setresp`.
    pub proto: Proto,
    /// Hears of each error that no command has raised.
    pub on_error: &'a mut dyn FnMut(&[u8]),
}

/// A table whose elements are being written. Of those around it, Lua keeps the values: Rust can hold some 8,000 only.
struct Open {
    table: Table,
    /// Where in a map or set it is.
    key: Value,
    /// The value of that key in a map, which is to be written next.
    value: Option<Value>,
    plan: Plan,
}

/// What there is about such a table outside Lua.
struct Plan {
    kind: Kind,
    mark: Deferred,
    count: usize,
    /// Its depth on Lua's stack in 7.0.15.
    used: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Up to the first nil.
    Array,
    Map,
    Set,
}

impl Open {
    /// The next element, and what 7.0.15 has on Lua's stack below it beside the table.
    fn next(&mut self, lua: &Lua) -> mlua::Result<Option<(Value, usize)>> {
        if let Some(value) = self.value.take() {
            return Ok(Some((value, 3)));
        }
        let found = match self.plan.kind {
            Kind::Array => {
                let value: Value = self.table.raw_get(self.plan.count + 1)?;
                Some((value, 1)).filter(|(value, _)| !value.is_nil())
            }
            kind => next(lua, &self.table, &self.key)?.map(|(key, value)| {
                self.value = (kind == Kind::Map).then_some(value);
                self.key = key.clone();
                (key, if kind == Kind::Map { 4 } else { 3 })
            }),
        };
        self.plan.count += usize::from(found.is_some());
        Ok(found)
    }
}

/// The tables around the one that is being written.
struct Around {
    plans: Vec<Plan>,
    /// Three values for each. There when the first is.
    values: Option<Table>,
}

impl Around {
    fn push(&mut self, lua: &Lua, open: Open) -> mlua::Result<()> {
        let values = match &self.values {
            Some(values) => values,
            None => self.values.insert(lua.create_table()?),
        };
        let at = 3 * self.plans.len();
        values.raw_set(at + 1, open.table)?;
        if open.plan.kind != Kind::Array {
            values.raw_set(at + 2, open.key)?;
            values.raw_set(at + 3, open.value)?;
        }
        self.plans.push(open.plan);
        Ok(())
    }

    fn pop(&mut self) -> mlua::Result<Option<Open>> {
        let (Some(plan), Some(values)) = (self.plans.pop(), &self.values) else { return Ok(None) };
        let at = 3 * self.plans.len();
        let table = values.raw_get(at + 1)?;
        let (key, value) = match plan.kind {
            Kind::Array => (Value::Nil, None),
            _ => (values.raw_get(at + 2)?, values.raw_get::<Option<Value>>(at + 3)?),
        };
        Ok(Some(Open { table, key, value, plan }))
    }
}

impl Writer<'_> {
    /// Writes a value with all that is in it. Tables within tables are kept on a heap of our own: a script may nest
    /// them deeper than our stack is.
    pub fn write(&mut self, lua: &Lua, value: &Value) -> mlua::Result<()> {
        let Some(mut open) = self.begin(value, USED)? else { return Ok(()) };
        let mut around = Around { plans: Vec::new(), values: None };
        loop {
            match open.next(lua)? {
                Some((value, below)) => {
                    if let Some(inner) = self.begin(&value, open.plan.used + below)? {
                        around.push(lua, std::mem::replace(&mut open, inner))?;
                    }
                }
                None => {
                    self.close(open.plan);
                    match around.pop()? {
                        Some(outer) => open = outer,
                        None => return Ok(()),
                    }
                }
            }
        }
    }

    fn close(&mut self, Plan { kind, mark, count, .. }: Plan) {
        match kind {
            Kind::Array => self.reply.close_array(mark, count),
            Kind::Map => self.reply.close_map(mark, count),
            Kind::Set => self.reply.close_set(mark, count),
        }
    }

    /// Writes a value without parts, or opens one with parts.
    fn begin(&mut self, value: &Value, used: usize) -> mlua::Result<Option<Open>> {
        match value {
            _ if used + FREE > STACK => self.error(b"ERR reached lua stack limit", false),
            Value::String(text) => self.reply.bulk(&text.as_bytes()),
            Value::Integer(n) => self.reply.int(*n),
            Value::Number(n) => self.reply.int(truncated(*n)),
            Value::Boolean(value) if self.proto == Proto::Resp3 => self.reply.boolean(*value),
            Value::Boolean(true) => self.reply.int(1),
            Value::Table(table) => return self.table(table, used),
            _ => self.reply.null(),
        }
        Ok(None)
    }

    fn error(&mut self, message: &[u8], counted: bool) {
        self.reply.error(message);
        if !counted {
            (self.on_error)(message);
        }
    }

    fn table(&mut self, table: &Table, used: usize) -> mlua::Result<Option<Open>> {
        if let Value::String(message) = table.raw_get("err")? {
            self.error(&message.as_bytes(), is_counted(table));
            return Ok(None);
        }
        if let Value::String(text) = table.raw_get("ok")? {
            self.reply.status_bytes(&text.as_bytes());
            return Ok(None);
        }
        match table.raw_get("double")? {
            Value::Number(value) => self.reply.double(value),
            Value::Integer(value) => self.reply.double(value as f64),
            _ => return self.large(table, used),
        }
        Ok(None)
    }

    /// What only RESP3 has words for; an array, else.
    fn large(&mut self, table: &Table, used: usize) -> mlua::Result<Option<Open>> {
        if let Value::Table(map) = table.raw_get("map")? {
            return Ok(Some(self.open(map, Kind::Map, used)));
        }
        if let Value::Table(set) = table.raw_get("set")? {
            return Ok(Some(self.open(set, Kind::Set, used)));
        }
        if let Value::String(digits) = table.raw_get("big_number")? {
            let blank = |byte: &u8| if b"\r\n".contains(byte) { b' ' } else { *byte };
            self.reply.big_number(&digits.as_bytes().iter().map(blank).collect::<Vec<u8>>());
            return Ok(None);
        }
        if let Value::Table(verbatim) = table.raw_get("verbatim_string")?
            && let Value::String(text) = verbatim.raw_get("string")?
            && let Value::String(format) = verbatim.raw_get("format")?
        {
            let format = format.to_string_lossy();
            self.reply.verbatim(format.get(..3).unwrap_or("txt"), &text.as_bytes());
            return Ok(None);
        }
        Ok(Some(self.open(table.clone(), Kind::Array, used)))
    }

    fn open(&mut self, table: Table, kind: Kind, used: usize) -> Open {
        let plan = Plan { kind, mark: self.reply.defer(), count: 0, used };
        Open { table, key: Value::Nil, value: None, plan }
    }
}

/// A number without its fraction, as the processor of 7.0.15 converts it: what does not fit is the least integer.
fn truncated(value: f64) -> i64 {
    let fits = value > -9_223_372_036_854_775_808.0 && value < 9_223_372_036_854_775_808.0;
    if fits { value as i64 } else { i64::MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returned(script: &str, proto: Proto) -> String {
        let lua = Lua::new();
        let value: Value = lua.load(script).eval().unwrap();
        let mut reply = ReplyBuf::new(proto);
        let mut errors = 0;
        let mut writer = Writer { reply: &mut reply, proto, on_error: &mut |_| errors += 1 };
        writer.write(&lua, &value).unwrap();
        String::from_utf8(reply.bytes().to_vec()).unwrap()
    }

    #[test]
    fn what_a_script_returns_is_a_reply() {
        let both = |script, resp2: &str, resp3: &str| {
            assert_eq!(returned(script, Proto::Resp2), resp2, "{script}");
            assert_eq!(returned(script, Proto::Resp3), resp3, "{script}");
        };
        both("return 3.99", ":3\r\n", ":3\r\n");
        both("return 1e300", ":-9223372036854775808\r\n", ":-9223372036854775808\r\n");
        both("return {1,'a',nil,2}", "*2\r\n:1\r\n$1\r\na\r\n", "*2\r\n:1\r\n$1\r\na\r\n");
        both("return true", ":1\r\n", "#t\r\n");
        both("return false", "$-1\r\n", "#f\r\n");
        both("return {err='A b\\nc'}", "-A b c\r\n", "-A b c\r\n");
        both("return {ok='fine'}", "+fine\r\n", "+fine\r\n");
        both("return {double=3.5}", "$3\r\n3.5\r\n", ",3.5\r\n");
        both("return {map={a=1}}", "*2\r\n$1\r\na\r\n:1\r\n", "%1\r\n$1\r\na\r\n:1\r\n");
        both("return {set={a=1}}", "*1\r\n$1\r\na\r\n", "~1\r\n$1\r\na\r\n");
        both("return {big_number='12'}", "$2\r\n12\r\n", "(12\r\n");
        both("return {verbatim_string={string='a',format='txt'}}", "$1\r\na\r\n", "=5\r\ntxt:a\r\n");
        both("return function() end", "$-1\r\n", "_\r\n");
    }

    #[test]
    fn a_reply_is_a_value() {
        let lua = Lua::new();
        let shown = |reply: &str, script: &str| {
            lua.globals().set("x", to_lua(&lua, reply.as_bytes()).unwrap()).unwrap();
            lua.load(script).eval::<String>().unwrap()
        };
        assert_eq!(shown("*3\r\n:1\r\n$1\r\na\r\n$-1\r\n", "return x[1]..x[2]..tostring(x[3])"), "1afalse");
        assert_eq!(shown("%1\r\n$1\r\na\r\n,1.5\r\n", "return x.map.a.double"), "1.5");
        assert_eq!(shown("~1\r\n$1\r\na\r\n", "return tostring(x.set.a)"), "true");
        assert_eq!(shown("=5\r\ntxt:a\r\n", "return x.verbatim_string.string..x.verbatim_string.format"), "atxt");
        assert_eq!(shown("-ERR a\r\n", "return x.err"), "ERR a");
        assert_eq!(shown("_\r\n", "return tostring(x)"), "nil");
    }
}
