//! The functions of the table `redis`, as far as they are in Rust.
//!
//! *Duty:* take Lua's arguments, ask the host, give back a value, or what went wrong: `sandbox.lua` raises it.
//! *Does not know:* which run it belongs to; the host of the moment is in [`Run`]. *Invariant:* no error of mlua leaves
//! a function here but for want of memory, as a script would see it as an object and not as a text.
//! *Counterpart in C Redis:* `luaRedisGenericCommand` and the other functions of `luaRegisterRedisAPI`.

use mlua::{Function, Lua, MultiValue, Table, Value};

use super::cache::{digest, write_digest};
use super::convert::{error_table, to_lua};
use super::lend::Lent;
use super::raise::{native, unpack};
use super::sandbox::SOURCE;
use crate::base::{float, num};
use crate::call::Args;
use crate::resp::{Argv, Proto, ReplyBuf};

/// What the functions of one Lua state share.
#[derive(Default)]
pub struct Run {
    pub lent: Lent,
    /// The protocol of replies to commands, see `redis.setresp`.
    pub proto: Proto,
    /// The run is to end.
    pub stopped: bool,
    /// State of `math.random`: 48 bits.
    pub random: u64,
    /// Runs since the last step of the collector.
    pub since_collected: u32,
    argv: Argv,
    reply: ReplyBuf,
}

/// Memory for a command and its reply beyond this is not kept.
const KEPT: usize = 64 * 1024;
const NO_ARGUMENT: &str = "ERR Please specify at least one argument for this redis lib call";
const NO_HOST: &str = "ERR redis.call/pcall can only be called inside a script invocation";
const RANDOM_MAX: f64 = i32::MAX as f64;

/// What a script handed over. A value that Rust holds takes one of some 8,000 places: many arguments stay in a table.
enum Given {
    Few(MultiValue),
    /// The table, and how many there are.
    Many(Table, usize),
}

impl Given {
    fn len(&self) -> usize {
        match self {
            Given::Few(values) => values.len(),
            Given::Many(_, len) => *len,
        }
    }

    /// Nil when there is none.
    fn get(&self, at: usize) -> mlua::Result<Value> {
        match self {
            Given::Few(values) => Ok(values.get(at).cloned().unwrap_or(Value::Nil)),
            Given::Many(table, _) => table.raw_get(at + 1),
        }
    }

    /// Pushes the arguments from `from` on. `false`: one of them is neither a string nor a number, and left out.
    fn push_to(&self, argv: &mut Argv, from: usize) -> mlua::Result<bool> {
        let mut all = true;
        match self {
            Given::Few(values) => values.iter().skip(from).for_each(|value| all &= push_argument(argv, value)),
            Given::Many(table, len) => {
                for at in from..*len {
                    all &= push_argument(argv, &table.raw_get(at + 1)?);
                }
            }
        }
        Ok(all)
    }
}

/// A function: whether what it returns is an error to raise, and the value.
type Body = fn(&Lua, &Given) -> mlua::Result<(bool, Value)>;

/// The functions, for `sandbox.lua`.
pub fn raw(lua: &Lua, version: (&str, u32)) -> mlua::Result<Table> {
    let raw = lua.create_table()?;
    raw.set("native", lua.create_function(|lua, inner: Function| native(lua, (inner, None)))?)?;
    raw.set("unpack", unpack(lua)?)?;
    let shown: [(&str, Body); 9] = [
        ("call", call),
        ("pcall", |lua, args| call(lua, args).map(|(_, value)| (false, value))),
        ("error_reply", |lua, args| single_field(lua, "err", args)),
        ("status_reply", |lua, args| single_field(lua, "ok", args)),
        ("sha1hex", sha1hex),
        ("log", log),
        ("setresp", setresp),
        ("set_repl", set_repl),
        ("acl_check_cmd", acl_check_cmd),
    ];
    for (name, body) in shown {
        let few = lua.create_function(move |lua, args: MultiValue| body(lua, &Given::Few(args)))?;
        let many = lua.create_function(move |lua, (table, len)| body(lua, &Given::Many(table, len)))?;
        raw.set(name, native(lua, (few, Some(many)))?)?;
    }
    raw.set("random", lua.create_function(|lua, ()| with(lua, |run| run.next_random()))?)?;
    raw.set("randomseed", lua.create_function(|lua, seed: f64| with(lua, |run| run.seed(seed as i64 as i32 as u32)))?)?;
    raw.set("message", lua.create_function(|_, error: Value| Ok(message(&error)))?)?;
    raw.set("where", lua.create_function(|lua, ()| Ok(place_of_error(lua)))?)?;
    raw.set("constants", constants(lua, version)?)?;
    Ok(raw)
}

fn constants(lua: &Lua, (version, number): (&str, u32)) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("REDIS_VERSION", version)?;
    table.set("REDIS_VERSION_NUM", number)?;
    for (level, name) in ["LOG_DEBUG", "LOG_VERBOSE", "LOG_NOTICE", "LOG_WARNING"].into_iter().enumerate() {
        table.set(name, level)?;
    }
    for (name, bits) in [("REPL_NONE", 0), ("REPL_AOF", 1), ("REPL_SLAVE", 2), ("REPL_REPLICA", 2), ("REPL_ALL", 3)] {
        table.set(name, bits)?;
    }
    Ok(table)
}

fn with<R>(lua: &Lua, f: impl FnOnce(&mut Run) -> R) -> mlua::Result<R> {
    let mut run = lua
        .try_app_data_mut::<Run>()
        .ok()
        .flatten()
        .ok_or_else(|| mlua::Error::runtime("a Lua state without its run"))?;
    Ok(f(&mut run))
}

impl Run {
    pub fn seed(&mut self, seed: u32) {
        self.random = u64::from(seed) << 16 | 0x330e;
    }

    /// From 0 to 1, by the generator of `lrand48`, so that a seed gives the numbers that it gives in 7.0.15.
    fn next_random(&mut self) -> f64 {
        self.random = self.random.wrapping_mul(0x5_deec_e66d).wrapping_add(0xb) & ((1 << 48) - 1);
        let number = (self.random >> 17) as f64;
        (number % RANDOM_MAX) / RANDOM_MAX
    }

    /// Takes a command's arguments. `false`: one of them is neither a string nor a number.
    fn take(&mut self, args: &Given) -> mlua::Result<bool> {
        self.argv.clear();
        args.push_to(&mut self.argv, 0)
    }

    fn forget_large(&mut self) {
        if self.argv.memory() > KEPT {
            self.argv = Argv::new();
        }
        if self.reply.capacity() > KEPT {
            self.reply = ReplyBuf::default();
        }
    }
}

fn push_argument(argv: &mut Argv, arg: &Value) -> bool {
    match arg {
        Value::String(text) => argv.push(&text.as_bytes()),
        Value::Integer(n) if n.unsigned_abs() < 100_000_000_000_000_000 => {
            argv.push(num::format_i64(*n, &mut [0; num::MAX_DECIMAL_LEN]));
        }
        Value::Integer(n) => push_double(argv, *n as f64),
        Value::Number(n) => push_double(argv, *n),
        _ => return false,
    }
    true
}

fn push_double(argv: &mut Argv, value: f64) {
    let mut text = Vec::with_capacity(24);
    float::write_f64(&mut text, value);
    argv.push(&text);
}

/// What is wrong with the arguments, as an error to raise.
fn wrong(lua: &Lua, text: &str) -> mlua::Result<(bool, Value)> {
    Ok((true, error_table(lua, text.as_bytes(), false)?))
}

/// `redis.call` and `redis.pcall`: whether the reply is an error, and the reply.
fn call(lua: &Lua, args: &Given) -> mlua::Result<(bool, Value)> {
    if args.len() == 0 {
        return wrong(lua, NO_ARGUMENT);
    }
    let mut run = lua
        .try_app_data_mut::<Run>()
        .ok()
        .flatten()
        .ok_or_else(|| mlua::Error::runtime("a Lua state without its run"))?;
    let run = &mut *run;
    if !run.take(args)? {
        return wrong(lua, "ERR Lua redis lib command arguments must be strings or integers");
    }
    run.reply.truncate(0);
    run.reply.proto = run.proto;
    let (argv, reply) = (&run.argv, &mut run.reply);
    if run.lent.with(|host| host.call(Args::of(argv), reply)).is_none() {
        return wrong(lua, NO_HOST);
    }
    let failed = run.reply.bytes().first() == Some(&b'-');
    let value = to_lua(lua, run.reply.bytes())?;
    run.forget_large();
    Ok((failed, value))
}

/// `redis.error_reply` and `redis.status_reply`.
fn single_field(lua: &Lua, field: &str, args: &Given) -> mlua::Result<(bool, Value)> {
    let text = match (args.len(), args.get(0)?) {
        (1, Value::String(text)) => text,
        _ => return Ok((false, error_table(lua, b"ERR wrong number or type of arguments", false)?)),
    };
    if field == "err" {
        return Ok((false, error_table(lua, &error_text(&text.as_bytes()), false)?));
    }
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(field, text)?;
    Ok((false, Value::Table(table)))
}

/// An error without its dash and line end, and with `ERR` in front if it is one word.
fn error_text(text: &[u8]) -> Vec<u8> {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let end = text.iter().rposition(|byte| !b"\r\n".contains(byte)).map_or(0, |last| last + 1);
    let text = &text[..end];
    if text.contains(&b' ') { text.to_vec() } else { [b"ERR ".as_slice(), text].concat() }
}

fn sha1hex(lua: &Lua, args: &Given) -> mlua::Result<(bool, Value)> {
    if args.len() != 1 {
        return wrong(lua, "ERR wrong number of arguments");
    }
    let mut argv = Argv::new();
    // What is no text counts as an empty one.
    let text = if push_argument(&mut argv, &args.get(0)?) { Args::of(&argv).get(0) } else { b"" };
    Ok((false, Value::String(lua.create_string(write_digest(&digest(text)))?)))
}

/// A number, or a text that is one.
fn number(lua: &Lua, value: &Value) -> Option<f64> {
    match value {
        Value::Integer(_) | Value::Number(_) => lua.coerce_number(value.clone()).ok().flatten(),
        Value::String(_) => lua.coerce_number(value.clone()).ok().flatten(),
        _ => None,
    }
}

fn log(lua: &Lua, args: &Given) -> mlua::Result<(bool, Value)> {
    if args.len() < 2 {
        return wrong(lua, "ERR redis.log() requires two arguments or more.");
    }
    let Some(level) = number(lua, &args.get(0)?) else {
        return wrong(lua, "ERR First argument must be a number (log level).");
    };
    if !(0.0..4.0).contains(&level) {
        return wrong(lua, "ERR Invalid debug level.");
    }
    let mut words = Argv::new();
    args.push_to(&mut words, 1)?;
    let text: Vec<&[u8]> = Args::of(&words).iter().collect();
    with(lua, |run| run.lent.with(|host| host.log(level as u8, &text.join(b" ".as_slice()))))?;
    Ok((false, Value::Nil))
}

fn setresp(lua: &Lua, args: &Given) -> mlua::Result<(bool, Value)> {
    if args.len() != 1 {
        return wrong(lua, "ERR redis.setresp() requires one argument.");
    }
    let proto = match number(lua, &args.get(0)?) {
        Some(2.0) => Proto::Resp2,
        Some(3.0) => Proto::Resp3,
        _ => return wrong(lua, "ERR RESP version must be 2 or 3."),
    };
    with(lua, |run| run.proto = proto)?;
    Ok((false, Value::Nil))
}

fn set_repl(lua: &Lua, args: &Given) -> mlua::Result<(bool, Value)> {
    if args.len() != 1 {
        return wrong(lua, "ERR redis.set_repl() requires two arguments.");
    }
    let bits = number(lua, &args.get(0)?).unwrap_or_default() as i64;
    if !(0..4).contains(&bits) {
        let text = "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.";
        return wrong(lua, text);
    }
    with(lua, |run| run.lent.with(|host| host.replicate_to(bits & 1 != 0, bits & 2 != 0)))?;
    Ok((false, Value::Nil))
}

fn acl_check_cmd(lua: &Lua, args: &Given) -> mlua::Result<(bool, Value)> {
    if args.len() == 0 {
        return wrong(lua, NO_ARGUMENT);
    }
    let answer: mlua::Result<Result<bool, &str>> = with(lua, |run| {
        if !run.take(args)? {
            return Ok(Err("ERR redis.acl_check_cmd() require string or integer arguments"));
        }
        let argv = &run.argv;
        let allowed = run.lent.with(|host| host.allows(Args::of(argv))).ok_or(NO_HOST);
        Ok(allowed.and_then(|allowed| allowed.ok_or("ERR Invalid command passed to redis.acl_check_cmd()")))
    })?;
    match answer? {
        Ok(allowed) => Ok((false, Value::Boolean(allowed))),
        Err(text) => wrong(lua, text),
    }
}

/// The words of an error that a function in Rust has raised; nothing for what is none.
fn message(error: &Value) -> Option<String> {
    match error {
        Value::Error(error) => Some(words(error)),
        _ => None,
    }
}

/// The words of an error, without mlua's frame around them.
pub fn words(error: &mlua::Error) -> String {
    match error {
        mlua::Error::CallbackError { cause, .. } | mlua::Error::WithContext { cause, .. } => words(cause),
        mlua::Error::RuntimeError(text) | mlua::Error::SyntaxError { message: text, .. } => text.clone(),
        mlua::Error::MemoryError(_) => "not enough memory".to_owned(),
        mlua::Error::BadArgument { to, pos, cause, .. } => {
            format!("bad argument #{pos} to '{}' ({})", to.as_deref().unwrap_or("?"), words(cause))
        }
        other => other.to_string(),
    }
}

/// Where the error came about that is being handled, as 7.0.15 looks for it: the source and the line of the function that
/// raised it, or of its caller if it is in C.
fn place_of_error(lua: &Lua) -> (Option<String>, i64) {
    let look = |level| {
        lua.inspect_stack(level, |frame| {
            let source = frame.source();
            let line = frame.current_line().map_or(-1, |line| line as i64);
            (source.what == "C", source.source.map(|text| text.into_owned()), line)
        })
    };
    let of_sandbox = |frame: &Option<Frame>| matches!(frame, Some((_, Some(source), _)) if source == SOURCE);
    // The handler asks, which is in the sandbox itself.
    let mut level = 0;
    while level < HANDLER_WITHIN && !of_sandbox(&look(level)) {
        level += 1;
    }
    level += 1;
    let mut found = look(level);
    if matches!(found, Some((true, ..))) {
        level += 1;
        found = look(level);
    }
    // The functions of the sandbox stand for functions in C.
    while of_sandbox(&found) {
        level += 1;
        found = look(level);
    }
    found.map_or((None, -1), |(_, source, line)| (source, line))
}

/// Whether it is in C, the source, the line.
type Frame = (bool, Option<String>, i64);

/// The handler is one of so many innermost frames.
const HANDLER_WITHIN: usize = 4;
