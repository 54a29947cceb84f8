//! [`Scripts`]: the engine of EVAL and the scripts it knows; what must hold before a script runs.
//!
//! *Duty:* make the engine when the first script comes; run a script for its caller; say what a call of EVAL is to the
//! gates, as that depends on what the script says about itself. *Does not know:* Lua.
//! *Invariants:* the engine is out of [`Scripts`] exactly while it runs, so nobody runs it twice at once; which error a
//! script ends with, it is counted once.
//! *Counterpart in C Redis:* `scriptPrepareForRun`, `evalGetCommandFlags`, `evalGenericCommand`.

use super::Server;
use super::gates::{self, Alarm};
use super::registry::RowId;
use super::session::{Kind, Running, is_obeyed};
use super::version::{REDIS_VERSION, version_number};
use crate::call::{Args, Call, Caller, CmdError, CmdResult, Effects};
use crate::command::spec::{DENYOOM, Flags, MAY_REPLICATE, STALE, WRITE};
use crate::resp::ReplyBuf;
use crate::script::cache::{Cache, Digest, Script, ScriptFlags, digest, parse_digest};
use crate::script::{Host, Outcome, Rights, ScriptEngine};

#[derive(Default)]
pub struct Scripts {
    engine: Option<ScriptEngine>,
    cache: Cache,
}

impl Scripts {
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Bytes of the Lua state.
    pub fn vm_memory(&self) -> usize {
        self.engine.as_ref().map_or(0, ScriptEngine::memory)
    }
}

/// How a script is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// EVAL, EVALSHA.
    AnyCommand,
    /// EVAL_RO, EVALSHA_RO.
    ReadOnly,
}

impl Server {
    /// A new Lua state, with what scripts find in it.
    pub fn new_engine(&mut self) -> Result<ScriptEngine, CmdError> {
        let seed = self.ks.rng.next_u64() as u32;
        ScriptEngine::new((REDIS_VERSION, version_number()), seed, self.config.lua_enable_deprecated_api)
            .map_err(|error| CmdError::text(format!("ERR The Lua interpreter does not start: {error}")))
    }

    /// Compiles a script, if it is not known yet.
    pub fn load_script(&mut self, digest: Digest, text: &[u8]) -> CmdResult {
        if self.scripts.cache.get(&digest).is_some() {
            return Ok(());
        }
        if self.scripts.engine.is_none() {
            self.scripts.engine = Some(self.new_engine()?);
        }
        let Scripts { engine, cache } = &mut self.scripts;
        let Some(engine) = engine else { return Ok(()) };
        cache.add(engine, digest, text).map(|_| ()).map_err(CmdError::Text)
    }

    /// SCRIPT FLUSH: all scripts, and the Lua state with all that they left in it.
    pub fn flush_scripts(&mut self) {
        self.scripts = Scripts::default();
    }

    /// Runs a script that is known, for the caller of EVAL.
    pub fn eval(&mut self, call: &mut Call<'_>, digest: &Digest, keys: usize, way: Way) -> CmdResult {
        if self.hosting.running.is_some() {
            return Err(CmdError::Fixed("ERR A script runs already"));
        }
        let Some(flags) = self.scripts.cache.get(digest).map(|script| script.flags) else {
            return Err(CmdError::Fixed("NOSCRIPT No matching script. Please use EVAL."));
        };
        let rights = self.rights_of_script(flags, way, call.caller)?;
        let scripts = std::mem::take(&mut self.scripts);
        let Scripts { engine: Some(engine), cache } = &scripts else {
            return Err(CmdError::Fixed("NOSCRIPT No matching script. Please use EVAL."));
        };
        let result = match cache.get(digest) {
            Some(script) => self.run_script(call, engine, script, keys, rights),
            None => Ok(()),
        };
        self.scripts = scripts;
        result
    }

    fn run_script(
        &mut self,
        call: &mut Call<'_>,
        engine: &ScriptEngine,
        script: &Script,
        keys: usize,
        rights: Rights,
    ) -> CmdResult {
        let Call { args, caller, reply, fx, .. } = call;
        let running = Running::new(Kind::Script, &script.id);
        let (first, behind) = (3, 3 + keys);
        let given = (args.from(first).take(keys), args.from(behind));
        self.declare_keys(caller.client, args.from(first).take(keys));
        self.host(*caller, fx, rights, running, reply, |host, reply| {
            engine.eval(script.number, &script.id, given, host, reply)
        })
    }

    /// Runs what an engine runs, on behalf of a caller, and turns its end into the end of the command.
    pub fn host(
        &mut self,
        caller: Caller,
        fx: &mut Effects,
        rights: Rights,
        running: Running,
        reply: &mut ReplyBuf,
        run: impl FnOnce(&mut dyn Host, &mut ReplyBuf) -> Outcome,
    ) -> CmdResult {
        let start = reply.len();
        match self.host_script(caller, fx, rights, running, |host| run(host, reply)) {
            Outcome::Answered => match reply.bytes()[start..].strip_prefix(b"-") {
                // An error is an answer like others, but the command counts as one that failed.
                Some(line) => Err(CmdError::Counted(line.strip_suffix(b"\r\n").unwrap_or(line).to_vec())),
                None => Ok(()),
            },
            Outcome::Failed { message, counted: false } => Err(CmdError::Text(message)),
            Outcome::Failed { message, counted: true } => Err(CmdError::Counted(message)),
        }
    }

    /// What a script may do; or why it may not run at all.
    pub fn rights_of_script(&self, flags: Option<ScriptFlags>, way: Way, caller: Caller) -> Result<Rights, CmdError> {
        let stale = self.exec.has_alarm(Alarm::STALE);
        let read_only = way == Way::ReadOnly;
        let Some(flags) = flags else {
            // It says nothing about itself: each of its commands is looked at.
            if stale {
                let text = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
                return Err(CmdError::Fixed(text));
            }
            return Ok(Rights { read_only, ..Rights::default() });
        };
        if stale && !flags.allow_stale {
            return Err(CmdError::Fixed(
                "MASTERDOWN Link with MASTER is down, replica-serve-stale-data is set to 'no' and 'allow-stale' flag \
                 is not set on the script.",
            ));
        }
        let obeyed = is_obeyed(caller.origin);
        if !flags.no_writes {
            if !obeyed {
                self.script_may_write()?;
            }
            if read_only {
                return Err(CmdError::Fixed("ERR Can not execute a script with write flag using *_ro command."));
            }
            if self.exec.has_alarm(Alarm::MIN_REPLICAS) && !self.has_enough_replicas() {
                return Err(CmdError::NoReplicas);
            }
        }
        let any_memory = flags.allow_oom || flags.no_writes;
        if !any_memory && !obeyed && self.exec.has_alarm(Alarm::MEMORY) && self.evict.out_of_memory {
            return Err(CmdError::Fixed(
                "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
            ));
        }
        Ok(Rights { read_only: read_only || flags.no_writes, any_memory })
    }

    fn script_may_write(&self) -> Result<(), CmdError> {
        if self.exec.has_alarm(Alarm::READ_ONLY) {
            return Err(CmdError::Fixed("READONLY Can not run script with write flag on readonly replica."));
        }
        const FLAG: &str = "Writable scripts are blocked. Use 'no-writes' flag for read only scripts.";
        match gates::writes_reach_disk(self) {
            Ok(()) => Ok(()),
            Err(CmdError::MisconfAof(why)) => Err(CmdError::text(format!(
                "MISCONF Redis is configured to persist data to AOF, but it's currently unable to persist to disk. \
                 {FLAG} AOF error: {why}"
            ))),
            Err(_) => Err(CmdError::text(format!(
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
                 {FLAG}"
            ))),
        }
    }

    /// The flags of a command as the gates see them: those of a script that says something about itself are its own.
    pub fn flags_of(&self, row: RowId, args: Args<'_>) -> Flags {
        let spec = self.registry.row(row).spec;
        let script = match spec.name {
            "eval" | "eval_ro" => args.opt(1).map(digest),
            "evalsha" | "evalsha_ro" => args.opt(1).and_then(parse_digest),
            "fcall" | "fcall_ro" => {
                let function = args.opt(1).and_then(|name| self.functions.libraries().function(name));
                return function.map_or(spec.flags, |function| declared(spec.flags, function.flags));
            }
            _ => return spec.flags,
        };
        let flags = match (script, spec.name) {
            (Some(script), "eval" | "eval_ro") => match self.scripts.cache.get(&script) {
                Some(script) => script.flags,
                None => args.opt(1).and_then(ScriptFlags::declared),
            },
            (Some(script), _) => self.scripts.cache.get(&script).and_then(|script| script.flags),
            _ => None,
        };
        flags.map_or(spec.flags, |flags| declared(spec.flags, flags))
    }
}

/// The flags of a command that runs a script which says this about itself.
pub fn declared(of_command: Flags, script: ScriptFlags) -> Flags {
    let mut flags = of_command.without(STALE | DENYOOM | WRITE | MAY_REPLICATE);
    if !script.no_writes {
        flags = flags | WRITE;
    }
    // A script that does not write takes no memory for long.
    if !script.allow_oom && !script.no_writes {
        flags = flags | DENYOOM;
    }
    if script.allow_stale {
        flags = flags | STALE;
    }
    flags
}
