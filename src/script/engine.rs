//! [`ScriptEngine`]: a Lua state that runs scripts.
//!
//! *Duty:* compile, run with keys and arguments, write the answer or say what went wrong and where; look up from the
//! script now and then, so that others are served beside a slow one. *Does not know:* which scripts there are (`cache`),
//! the server. *Invariants:* one run at a time; between two runs nothing of the first is left but what the script put
//! into tables that it keeps alive itself. *Counterpart in C Redis:* `luaCallFunction`, `luaMaskCountHook`.

use mlua::{ChunkMode, Function, HookTriggers, Lua, Table, Value, VmState};

use super::api::{self, Run};
use super::convert::{Writer, is_counted};
use super::lend::Lent;
use super::sandbox::{self, Sandbox};
use super::{Host, Verdict};
use crate::resp::{Proto, ReplyBuf};

/// Instructions between two looks at the time.
const TICK: u32 = 100_000;
/// Runs between two steps of the collector, and the size of a step.
const RUNS_TO_COLLECT: u32 = 50;
const COLLECT_KB: i32 = 50;
const STOPPED: &str = "Script killed by user with SCRIPT KILL...";

pub struct ScriptEngine {
    sandbox: Sandbox,
    /// The compiled scripts, by number: mlua itself can hold some 8,000 values at a time.
    scripts: Table,
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer has been written.
    Answered,
    /// The error to answer with.
    Failed {
        message: Vec<u8>,
        /// A command raised it, so it has been counted.
        counted: bool,
    },
}

impl ScriptEngine {
    /// `version`: what scripts find as `redis.REDIS_VERSION`, and as a number. `deprecated`: they find `getfenv`,
    /// `setfenv` and `newproxy` too, with which they can get at one another.
    pub fn new(version: (&str, u32), seed: u32, deprecated: bool) -> mlua::Result<ScriptEngine> {
        let sandbox = sandbox::new(version, deprecated)?;
        let scripts = sandbox.lua.create_table()?;
        let engine = ScriptEngine { sandbox, scripts };
        let mut run = Run::default();
        run.seed(seed);
        engine.sandbox.lua.set_app_data(run);
        watch(&engine.sandbox.lua, TICK)?;
        Ok(engine)
    }

    /// For who adds to what scripts find: the sandbox's parts.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Bytes of the whole Lua state.
    pub fn memory(&self) -> usize {
        self.sandbox.lua.used_memory()
    }

    /// Compiles a text and keeps it, under a number; `name` is that of `source` in errors, behind its `@`. What is wrong
    /// with it, else.
    pub fn compile(&self, text: &[u8], name: &str) -> Result<usize, String> {
        let chunk = self.sandbox.lua.load(text).set_name(name).set_mode(ChunkMode::Text);
        let kept = chunk.into_function().and_then(|script| self.scripts.raw_push(script));
        kept.map(|()| self.scripts.raw_len()).map_err(|error| api::words(&error))
    }

    /// Runs a compiled script, which finds its keys and arguments as globals. `id` names it in errors.
    pub fn eval<'a>(
        &self,
        script: usize,
        id: &str,
        (keys, args): (impl ExactSizeIterator<Item = &'a [u8]>, impl ExactSizeIterator<Item = &'a [u8]>),
        host: &mut dyn Host,
        reply: &mut ReplyBuf,
    ) -> Outcome {
        let ready = self.strings(keys).and_then(|keys| {
            self.sandbox.globals.raw_set("KEYS", keys)?;
            self.sandbox.globals.raw_set("ARGV", self.strings(args)?)
        });
        if let Err(error) = ready {
            return failed(error);
        }
        match self.scripts.raw_get::<Function>(script) {
            Ok(script) => self.lend(id, host, reply, || self.sandbox.run.call(&script)),
            Err(error) => failed(error),
        }
    }

    /// Calls a function that a script left behind with its keys and arguments. `id` names it in errors.
    pub fn call<'a>(
        &self,
        function: &Function,
        id: &str,
        (keys, args): (impl ExactSizeIterator<Item = &'a [u8]>, impl ExactSizeIterator<Item = &'a [u8]>),
        host: &mut dyn Host,
        reply: &mut ReplyBuf,
    ) -> Outcome {
        match self.strings(keys).and_then(|keys| Ok((keys, self.strings(args)?))) {
            Ok((keys, args)) => self.lend(id, host, reply, || self.sandbox.run_with.call((function, keys, args))),
            Err(error) => failed(error),
        }
    }

    fn strings<'a>(&self, texts: impl ExactSizeIterator<Item = &'a [u8]>) -> mlua::Result<Table> {
        let lua = &self.sandbox.lua;
        let table = lua.create_table_with_capacity(texts.len(), 0)?;
        for text in texts {
            table.raw_push(lua.create_string(text)?)?;
        }
        Ok(table)
    }

    fn lend(
        &self,
        id: &str,
        host: &mut dyn Host,
        reply: &mut ReplyBuf,
        run: impl FnOnce() -> mlua::Result<(bool, Value)>,
    ) -> Outcome {
        let (ended, proto, _) = self.run_lent(host, run);
        match ended {
            Ok((true, value)) => {
                let mut writer = Writer { reply, proto, on_error: &mut |message| host.note_error(message) };
                match writer.write(&self.sandbox.lua, &value) {
                    Ok(()) => Outcome::Answered,
                    Err(error) => failed(error),
                }
            }
            Ok((false, error)) => raised(&error, id),
            Err(error) => failed(error),
        }
    }
}

impl ScriptEngine {
    /// Runs the code of a library; what went wrong, as a text.
    pub fn load(&self, code: &Function, host: &mut dyn Host) -> Result<(), Vec<u8>> {
        let (ended, _, stopped) = self.run_lent(host, || self.sandbox.run.call::<(bool, Value)>(code));
        if stopped {
            return Err(b"ERR FUNCTION LOAD timeout".to_vec());
        }
        match ended {
            Ok((true, _)) => Ok(()),
            Ok((false, error)) => Err(reason(&error)),
            Err(error) => Err(format!("ERR {}", api::words(&error)).into_bytes()),
        }
    }

    /// Lends the host while `run` runs. How that ended, the protocol that was asked for, and whether the host said stop.
    fn run_lent(
        &self,
        host: &mut dyn Host,
        run: impl FnOnce() -> mlua::Result<(bool, Value)>,
    ) -> (mlua::Result<(bool, Value)>, Proto, bool) {
        let lua = &self.sandbox.lua;
        let put = |lent| {
            if let Some(mut run) = lua.app_data_mut::<Run>() {
                run.lent = lent;
            }
        };
        if let Some(mut run) = lua.app_data_mut::<Run>() {
            (run.proto, run.stopped) = (Proto::Resp2, false);
            run.since_collected += 1;
        }
        let ended = Lent::lend(host, put, run);
        self.collect();
        let (proto, stopped) = lua.app_data_ref::<Run>().map_or((Proto::Resp2, false), |run| (run.proto, run.stopped));
        if stopped && let Err(error) = watch(lua, TICK) {
            return (Err(error), proto, stopped);
        }
        (ended, proto, stopped)
    }
}

impl ScriptEngine {
    /// Frees a little of what runs have left, after many of them: short ones alone would let Lua wait for long.
    fn collect(&self) {
        let lua = &self.sandbox.lua;
        let due = lua.app_data_mut::<Run>().is_some_and(|mut run| {
            let due = run.since_collected >= RUNS_TO_COLLECT;
            run.since_collected = if due { 0 } else { run.since_collected };
            due
        });
        if due {
            // It fails only if a finalizer does, which is not for the run that has ended.
            let _ = lua.gc_step_kbytes(COLLECT_KB);
        }
    }
}

/// The words of an error that the handler of the sandbox has made a table of.
fn reason(error: &Value) -> Vec<u8> {
    let text = match error {
        Value::Table(error) => error.raw_get::<Value>("err").unwrap_or(Value::Nil),
        other => other.clone(),
    };
    match text {
        Value::String(text) => text.as_bytes().to_vec(),
        _ => b"ERR unknown error".to_vec(),
    }
}

/// Looks up from the script each `count` instructions.
fn watch(lua: &Lua, count: u32) -> mlua::Result<()> {
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(count), |lua, _| tick(lua))
}

fn tick(lua: &Lua) -> mlua::Result<VmState> {
    let go_on = match lua.try_app_data_mut::<Run>() {
        Ok(Some(mut run)) => {
            run.stopped = run.stopped || run.lent.with(|host| host.on_tick()) == Some(Verdict::Stop);
            !run.stopped
        }
        _ => true,
    };
    if go_on {
        return Ok(VmState::Continue);
    }
    // Whatever catches this error meets the next one at once, until nobody is left to catch it.
    watch(lua, 1)?;
    Err(mlua::Error::runtime(STOPPED))
}

/// For want of memory, or of stack: what mlua itself raises.
fn failed(error: mlua::Error) -> Outcome {
    Outcome::Failed { message: format!("ERR {}", api::words(&error)).into_bytes(), counted: false }
}

/// The error that a script ended with, and where it did.
fn raised(error: &Value, id: &str) -> Outcome {
    let Value::Table(error) = error else {
        let text = error.to_string().unwrap_or_default();
        return Outcome::Failed {
            message: format!("ERR Error running script {id}, {text}").into_bytes(),
            counted: false,
        };
    };
    let field = |name: &str| match error.raw_get(name) {
        Ok(Value::String(text)) => Some(text.as_bytes().to_vec()),
        Ok(number @ (Value::Integer(_) | Value::Number(_))) => number.to_string().ok().map(String::into_bytes),
        _ => None,
    };
    let mut message = field("err").unwrap_or_else(|| b"ERR unknown error".to_vec());
    message.extend_from_slice(format!(" script: {id}").as_bytes());
    if let (Some(source), Some(line)) = (field("source"), field("line")) {
        message.extend_from_slice(b", on ");
        message.extend_from_slice(&source);
        message.push(b':');
        message.extend_from_slice(&line);
        message.push(b'.');
    }
    Outcome::Failed { message, counted: is_counted(error) }
}
