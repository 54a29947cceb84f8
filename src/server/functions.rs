//! [`Functions`]: the libraries of functions, and the engine that runs them.
//!
//! *Duty:* load, replace, delete and restore libraries; call a function for its caller; say what a call of FCALL is to
//! the gates. *Does not know:* Lua. *Invariants:* a library is there with all its functions or not at all; what could
//! not be loaded leaves those that were there as they are. The engine is away exactly while it runs a function.
//! *Counterpart in C Redis:* `functions.c`.

use super::Server;
use super::session::{Kind, Running};
use crate::base::glob::{self, Case};
use crate::call::{Args, Call, CmdError, CmdResult};
use crate::resp::{Argv, ReplyBuf};
use crate::script::functions::FunctionEngine;
use crate::script::library::{Header, Libraries, Library, Policy, Registered};
use crate::script::{Host, Verdict};
use crate::server::scripting::Way;
use crate::sys::clock::{ticks, ticks_to_ns};

/// How long the code of a library may run.
const LOAD_TIMEOUT_MS: u64 = 500;

#[derive(Default)]
pub struct Functions {
    engine: Option<FunctionEngine>,
    libraries: Libraries,
    /// The command that runs a function.
    command: Argv,
}

impl Functions {
    pub fn libraries(&self) -> &Libraries {
        &self.libraries
    }

    /// Bytes of the Lua state; what is known of it while it runs: nothing.
    pub fn vm_memory(&self) -> usize {
        self.engine.as_ref().map_or(0, FunctionEngine::memory)
    }

    /// The command that runs the function that runs.
    pub fn command(&self) -> Args<'_> {
        Args::of(&self.command)
    }

    /// Libraries whose name fits the pattern.
    pub fn matching<'a>(&'a self, pattern: Option<&'a [u8]>) -> impl Iterator<Item = &'a Library> {
        let fits = move |library: &&Library| {
            pattern.is_none_or(|p| glob::matches(p, library.name.as_bytes(), Case::Insensitive))
        };
        self.libraries.iter().filter(fits)
    }

    /// Compiles a library and takes it in; its name. `replace`: in the place of one of the same name.
    fn load(&mut self, code: &[u8], replace: bool) -> Result<String, Vec<u8>> {
        let library = self.prepare(code, |libraries, name| replace || !libraries.contains(name))?;
        if let Some(function) = self.libraries.taken(&library) {
            let text = format!("Function {function} already exists");
            self.forget(&library);
            return Err(text.into_bytes());
        }
        if let Some(old) = self.libraries.remove(&library.name) {
            self.forget(&old);
        }
        let name = library.name.clone();
        self.libraries.insert(library);
        Ok(name)
    }

    /// Compiles a library and lets it register its functions.
    fn prepare(&mut self, code: &[u8], fits: impl FnOnce(&Libraries, &str) -> bool) -> Result<Library, Vec<u8>> {
        let Header { name, body } = Header::of(code).map_err(String::into_bytes)?;
        if !fits(&self.libraries, &name) {
            return Err(format!("Library '{name}' already exists").into_bytes());
        }
        let Some(engine) = &mut self.engine else { return Err(b"A function runs already".to_vec()) };
        let functions = engine.load(body, &mut Loading { began: ticks() })?;
        if functions.is_empty() {
            return Err(b"No functions registered".to_vec());
        }
        Ok(Library { name, code: code.to_vec(), functions })
    }

    /// Compiles all these libraries, or none.
    fn prepare_all(&mut self, sources: &[Vec<u8>]) -> Result<Vec<Library>, Vec<u8>> {
        let mut new = Libraries::default();
        for code in sources {
            let library = self.prepare(code, |_, name| !new.contains(name)).and_then(|library| {
                match new.taken(&library).map(|function| format!("Function {function} already exists")) {
                    Some(text) => {
                        self.forget(&library);
                        Err(text.into_bytes())
                    }
                    None => Ok(library),
                }
            });
            match library {
                Ok(library) => new.insert(library),
                Err(text) => {
                    new.iter().for_each(|library| self.forget(library));
                    return Err(text);
                }
            }
        }
        Ok(new.into_list())
    }

    fn restore(&mut self, sources: &[Vec<u8>], policy: Policy) -> Result<(), Vec<u8>> {
        let new = self.prepare_all(sources)?;
        match self.libraries.join(new, policy) {
            Ok(gone) => {
                gone.iter().for_each(|library| self.forget(library));
                Ok(())
            }
            Err((text, refused)) => {
                refused.iter().for_each(|library| self.forget(library));
                Err(text.into_bytes())
            }
        }
    }

    fn forget(&mut self, library: &Library) {
        if let Some(engine) = &mut self.engine {
            engine.forget(&library.functions);
        }
    }
}

/// The host of a library that is being loaded, which runs no command.
struct Loading {
    began: u64,
}

impl Host for Loading {
    fn call(&mut self, _: Args<'_>, reply: &mut ReplyBuf) {
        reply.error(b"ERR redis.call/pcall can only be called inside a script invocation");
    }

    fn on_tick(&mut self) -> Verdict {
        let ms = ticks_to_ns(ticks().wrapping_sub(self.began)) / 1_000_000;
        if ms > LOAD_TIMEOUT_MS { Verdict::Stop } else { Verdict::GoOn }
    }

    fn log(&mut self, level: u8, text: &[u8]) {
        super::session::log_of_script(level, text);
    }

    fn replicate_to(&mut self, _: bool, _: bool) {}

    fn allows(&mut self, _: Args<'_>) -> Option<bool> {
        None
    }

    fn note_error(&mut self, _: &[u8]) {}
}

fn refusal(text: Vec<u8>) -> CmdError {
    CmdError::Text([b"ERR ".as_slice(), &text].concat())
}

impl Server {
    /// The engine, made when the first library comes.
    fn ready_functions(&mut self, functions: &mut Functions) -> Result<(), CmdError> {
        if functions.engine.is_none() {
            let engine = FunctionEngine::new(self.new_engine()?);
            let failed = |error| CmdError::text(format!("ERR The Lua interpreter does not start: {error}"));
            functions.engine = Some(engine.map_err(failed)?);
        }
        Ok(())
    }

    /// Does something to the libraries, with the engine at hand. Not while a function runs.
    fn with_functions<R>(&mut self, act: impl FnOnce(&mut Functions) -> Result<R, Vec<u8>>) -> Result<R, CmdError> {
        if self.hosting.running.is_some() {
            return Err(CmdError::Fixed("ERR A script runs already"));
        }
        let mut functions = std::mem::take(&mut self.functions);
        let result = self.ready_functions(&mut functions).and_then(|()| act(&mut functions).map_err(refusal));
        self.functions = functions;
        result
    }

    pub fn load_library(&mut self, code: &[u8], replace: bool) -> Result<String, CmdError> {
        self.with_functions(|functions| functions.load(code, replace))
    }

    /// FUNCTION RESTORE: all these libraries come in, or none does.
    pub fn restore_libraries(&mut self, sources: &[Vec<u8>], policy: Policy) -> CmdResult {
        self.with_functions(|functions| functions.restore(sources, policy))
    }

    /// A library of a snapshot. `into`: where libraries go that are not to be seen yet.
    pub fn load_saved_library(
        &mut self,
        code: &[u8],
        merge: bool,
        into: Option<&mut Functions>,
    ) -> Result<(), CmdError> {
        match into {
            Some(functions) => {
                self.ready_functions(functions)?;
                functions.load(code, merge).map(|_| ()).map_err(refusal)
            }
            None => self.load_library(code, merge).map(|_| ()),
        }
    }

    /// FUNCTION DELETE: whether there was such a library.
    pub fn delete_library(&mut self, name: &[u8]) -> bool {
        let name = std::str::from_utf8(name).unwrap_or_default();
        let Some(library) = self.functions.libraries.remove(name) else { return false };
        self.functions.forget(&library);
        true
    }

    /// FUNCTION FLUSH, and before another data set comes: all libraries go, and the Lua state with them.
    pub fn flush_functions(&mut self) {
        self.functions = Functions::default();
    }

    /// FCALL and FCALL_RO.
    pub fn call_function(&mut self, call: &mut Call<'_>, way: Way) -> CmdResult {
        let Some(function) = self.functions.libraries.function(call.arg(1)).cloned() else {
            return Err(CmdError::Fixed("ERR Function not found"));
        };
        let keys = key_count(call)?;
        if self.hosting.running.is_some() {
            return Err(CmdError::Fixed("ERR A script runs already"));
        }
        let rights = self.rights_of_script(Some(function.flags), way, call.caller)?;
        let Some(engine) = self.functions.engine.take() else {
            return Err(CmdError::Fixed("ERR Function not found"));
        };
        self.functions.note_command(call.args);
        let result = self.run_function(call, &engine, &function, keys, rights);
        // A data set that came meanwhile has brought its own.
        self.functions.engine.get_or_insert(engine);
        self.functions.command.clear();
        result
    }

    fn run_function(
        &mut self,
        call: &mut Call<'_>,
        engine: &FunctionEngine,
        function: &Registered,
        keys: usize,
        rights: crate::script::Rights,
    ) -> CmdResult {
        let Call { args, caller, reply, fx, .. } = call;
        let running = Running::new(Kind::Function, &function.name);
        let given = (args.from(3).take(keys), args.from(3 + keys));
        self.declare_keys(caller.client, args.from(3).take(keys));
        self.host(*caller, fx, rights, running, reply, |host, reply| engine.call(function, given, host, reply))
    }
}

impl Functions {
    fn note_command(&mut self, args: Args<'_>) {
        self.command.clear();
        args.iter().for_each(|arg| self.command.push(arg));
    }
}

/// How many of the arguments behind the number of keys are keys.
fn key_count(call: &Call<'_>) -> Result<usize, CmdError> {
    let Ok(keys) = call.args.int(2) else { return Err(CmdError::Fixed("ERR Bad number of keys provided")) };
    if keys > call.args.len() as i64 - 3 {
        return Err(CmdError::Fixed("ERR Number of keys can't be greater than number of args"));
    }
    usize::try_from(keys).map_err(|_| CmdError::Fixed("ERR Number of keys can't be negative"))
}
