//! [`Session`]: the server as the host of one run of a script.
//!
//! *Duty:* run the commands of a script on behalf of its caller, through gates of its own; serve others while a script
//! takes long. *Does not know:* the engine, which language it speaks.
//! *Invariants:* all that a script does gathers in the effects of the command that runs it, so it is one unit. A SELECT
//! holds until the script ends. Once a script has written nothing but its own errors stops it, as what it did cannot be
//! undone. While others are served, time stands still for the script, no client is freed, and the caller's own
//! connection is left alone.
//! *Counterpart in C Redis:* `scriptCall`, `scriptPrepareForRun`, `scriptInterrupt`, `processEventsWhileBlocked`.

use super::Server;
use super::client::{Client, Flags as ClientFlags};
use super::gates::{self, Alarm};
use super::registry::{RowId, Unknown};
use crate::acl::Denied;
use crate::acl::log::Context;
use crate::call::effects::{Replicate, Targets};
use crate::call::{Args, Caller, CmdError, Effects, Origin};
use crate::command::spec::{DENYOOM, Flags, MAY_REPLICATE, NOSCRIPT, STALE, WRITE};
use crate::resp::ReplyBuf;
use crate::script::{Host, Rights, Verdict};
use crate::sys::clock::{ticks, ticks_to_ns};

/// What the server knows of scripts while none, or one, runs.
#[derive(Default)]
pub struct Hosting {
    /// The connection whose script runs.
    pub caller: Option<usize>,
    /// DEBUG SET-DISABLE-DENY-SCRIPTS: scripts may call what is not meant for them.
    pub deny_nothing: bool,
    pub running: Option<Running>,
    /// The keys that the script was given, if its client tracks what it reads.
    pub declared: Vec<Vec<u8>>,
}

/// The script that runs, as others see it.
pub struct Running {
    pub kind: Kind,
    /// The digest of a script, the name of a function.
    pub name: String,
    /// When it began, in ticks.
    began: u64,
    /// It takes so long that others are served beside it.
    slow: bool,
    /// A command that writes has been called.
    written: bool,
    /// Comes from a master or the append only file, where what was written is no question.
    obeyed: bool,
    /// Somebody has asked for its end.
    killed: bool,
}

impl Running {
    pub fn new(kind: Kind, name: &str) -> Running {
        let (name, began) = (name.to_owned(), ticks());
        Running { kind, name, began, slow: false, written: false, obeyed: false, killed: false }
    }

    /// How long it has been running.
    pub fn ms(&self) -> u64 {
        ticks_to_ns(ticks().wrapping_sub(self.began)) / 1_000_000
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// EVAL and its kin.
    Script,
    /// FCALL.
    Function,
}

impl Kind {
    /// The refusal of all others while a slow one runs.
    pub fn busy(self) -> CmdError {
        match self {
            Kind::Script => CmdError::Busy,
            Kind::Function => CmdError::Fixed(
                "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.",
            ),
        }
    }
}

/// One run of a script.
struct Session<'a> {
    srv: &'a mut Server,
    caller: Caller,
    fx: &'a mut Effects,
    rights: Rights,
    obeyed: bool,
    /// A command that writes has been called.
    written: bool,
    /// Who hears of what is written; `None`: nobody.
    told: Option<Targets>,
}

type Gate = fn(&Session<'_>, Flags) -> Result<(), CmdError>;

/// Asked in this order, after the name, the number of arguments, and the rights of the caller's user.
const GATES: &[Gate] = &[fresh, may_write, replica, disk_error, replicas_in_reach, memory];

impl Server {
    /// Lends the server to a script of `caller` while `run` runs. What the script did is in `fx`, as one unit.
    pub fn host_script<R>(
        &mut self,
        caller: Caller,
        fx: &mut Effects,
        rights: Rights,
        running: Running,
        run: impl FnOnce(&mut dyn Host) -> R,
    ) -> R {
        let obeyed = is_obeyed(caller.origin);
        // A master or the append only file is no connection.
        self.hosting.caller = self.clients.find(caller.client).map(|_| caller.client.slot as usize);
        self.hosting.running = Some(Running { obeyed, ..running });
        let caller = Caller { origin: Origin::Script, ..caller };
        let told = Some(Targets::ALL);
        let mut session = Session { srv: self, caller, fx, rights, obeyed, written: false, told };
        let result = run(&mut session);
        session.srv.hosting.caller = None;
        session.srv.hosting.running = None;
        // The script is replayed by what it did.
        session.fx.replicate = Replicate::Rewritten;
        result
    }

    /// SCRIPT KILL, FUNCTION KILL: the script that runs ends at its next look at the time.
    pub fn kill_script(&mut self, kind: Kind) -> Result<(), CmdError> {
        let Some(running) = &mut self.hosting.running else {
            return Err(CmdError::Fixed("NOTBUSY No scripts in execution right now."));
        };
        if running.kind != kind {
            return Err(running.kind.busy());
        }
        if running.obeyed {
            return Err(CmdError::Fixed(
                "UNKILLABLE The busy script was sent by a master instance in the context of replication and cannot be \
                 killed.",
            ));
        }
        if running.written {
            return Err(CmdError::Fixed(
                "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait \
                 the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
            ));
        }
        running.killed = true;
        Ok(())
    }

    /// Whether a script runs for so long that others are served beside it, and how they are refused then.
    pub fn busy_with_script(&self) -> Option<CmdError> {
        let running = self.hosting.running.as_ref().filter(|_| self.exec.has_alarm(Alarm::BUSY))?;
        Some(running.kind.busy())
    }
}

/// `redis.log`.
pub fn log_of_script(level: u8, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    match level {
        0 => log::trace!("{text}"),
        1 => log::debug!("{text}"),
        2 => log::info!("{text}"),
        _ => log::warn!("{text}"),
    }
}

/// Whether what comes from there is not asked what it may.
pub fn is_obeyed(origin: Origin) -> bool {
    matches!(origin, Origin::Master | Origin::Aof)
}

impl Host for Session<'_> {
    fn call(&mut self, args: Args<'_>, reply: &mut ReplyBuf) {
        match self.admit(args) {
            Ok(row) => self.run(row, args, reply),
            Err((row, error)) => {
                let message = error.message();
                reply.error(&message);
                self.srv.stats.count_error(&message);
                if let Some(row) = row {
                    self.srv.registry.row_mut(row).stats.rejected += 1;
                }
            }
        }
    }

    fn on_tick(&mut self) -> Verdict {
        let limit = self.srv.config.busy_reply_threshold;
        let Some(running) = &mut self.srv.hosting.running else { return Verdict::GoOn };
        let ms = running.ms();
        if limit == 0 || ms < limit {
            return Verdict::GoOn;
        }
        if !running.slow {
            running.slow = true;
            let command = if running.kind == Kind::Script { "SCRIPT KILL" } else { "FUNCTION KILL" };
            log::warn!(
                "Slow script detected: still in execution after {ms} milliseconds. You can try killing the script \
                 using the {command} command. Script name is: {}.",
                running.name
            );
        }
        self.srv.serve_beside_script();
        let killed = self.srv.hosting.running.as_ref().is_some_and(|running| running.killed);
        if killed {
            log::info!("Lua script killed by user with SCRIPT KILL.");
        }
        if killed || self.srv.turn.exit.is_some() { Verdict::Stop } else { Verdict::GoOn }
    }

    fn log(&mut self, level: u8, text: &[u8]) {
        log_of_script(level, text);
    }

    fn replicate_to(&mut self, aof: bool, replicas: bool) {
        self.told = match (aof, replicas) {
            (true, true) => Some(Targets::ALL),
            (true, false) => Some(Targets::AOF),
            (false, true) => Some(Targets::REPLICAS),
            (false, false) => None,
        };
    }

    fn allows(&mut self, args: Args<'_>) -> Option<bool> {
        let row = self.srv.registry.lookup(args).ok()?;
        let user = self.restricted().and_then(|client| client.user);
        Some(self.srv.acl_check(user, row, args).is_ok())
    }

    fn note_error(&mut self, message: &[u8]) {
        self.srv.stats.count_error(message);
    }
}

impl Session<'_> {
    /// The row of a command that may run; else why not, and the row if there is one.
    fn admit(&mut self, args: Args<'_>) -> Result<RowId, (Option<RowId>, CmdError)> {
        let unknown = CmdError::Fixed("ERR Unknown Redis command called from script");
        let row = match self.srv.registry.lookup(args) {
            Ok(row) => row,
            Err(Unknown::Command | Unknown::Subcommand(_)) => return Err((None, unknown)),
        };
        let spec = self.srv.registry.row(row).spec;
        if !spec.arity_fits(args.len()) {
            let error = CmdError::Fixed("ERR Wrong number of args calling Redis command from script");
            return Err((Some(row), error));
        }
        for_scripts(self, spec.flags).map_err(|error| (Some(row), error))?;
        self.permitted(row, args).map_err(|error| (Some(row), error))?;
        GATES.iter().try_for_each(|gate| gate(self, spec.flags)).map_err(|error| (Some(row), error))?;
        if spec.flags.has(WRITE) && !self.written {
            self.written = true;
            if let Some(running) = &mut self.srv.hosting.running {
                running.written = true;
            }
        }
        Ok(row)
    }

    /// Who runs the script, if it is a client whose user may not do everything.
    fn restricted(&self) -> Option<&Client> {
        let who = self.caller.client;
        let client = self.srv.clients.get(who.slot as usize).filter(|client| client.id == who.id);
        client.filter(|client| client.flags.has(ClientFlags::RESTRICTED))
    }

    /// A script has the rights of whoever runs it.
    fn permitted(&mut self, row: RowId, args: Args<'_>) -> Result<(), CmdError> {
        let Some(client) = self.restricted() else { return Ok(()) };
        let (user, slot) = (client.user, self.caller.client.slot as usize);
        let Err(denied) = self.srv.acl_check(user, row, args) else {
            return self.srv.sort_refusal(slot, row, args).map_or(Ok(()), Err);
        };
        self.srv.log_denied(slot, row, args, Context::Lua);
        Err(CmdError::Fixed(match denied {
            Denied::Command => "ERR The user executing the script can't run this command or subcommand",
            Denied::Key(_) => {
                "ERR The user executing the script can't access at least one of the keys mentioned in the command \
                 arguments"
            }
            Denied::Channel(_) => {
                "ERR The user executing the script can't publish to the channel mentioned in the command"
            }
        }))
    }

    fn run(&mut self, row: RowId, args: Args<'_>, reply: &mut ReplyBuf) {
        // The script's own work is counted with the command that runs it.
        self.srv.exec.start_timing();
        let began = self.srv.exec.last_ticks();
        let who = self.caller.client;
        let told_before = self.fx.ops.len();
        let selected = self.srv.clients.find(who).map(|client| std::mem::replace(&mut client.db, self.caller.db));
        self.srv.call(row, args, self.caller, reply, self.fx);
        // What was selected stays with the script.
        if let (Some(selected), Some(client)) = (selected, self.srv.clients.find(who)) {
            self.caller.db = std::mem::replace(&mut client.db, selected);
            self.srv.settle_tracking(&self.fx.touched, who);
            self.srv.remember_declared_keys(who.slot as usize, row);
        }
        if self.told != Some(Targets::ALL) {
            self.fx.ops.restrict(told_before, self.told);
        }
        self.srv.stats.nested_ticks += self.srv.exec.last_ticks().wrapping_sub(began);
    }
}

fn for_scripts(session: &Session<'_>, flags: Flags) -> Result<(), CmdError> {
    if flags.has(NOSCRIPT) && !session.srv.hosting.deny_nothing {
        return Err(CmdError::Fixed("ERR This Redis command is not allowed from script"));
    }
    Ok(())
}

/// A script that may see stale data may call only what may, too.
fn fresh(session: &Session<'_>, flags: Flags) -> Result<(), CmdError> {
    if session.srv.exec.has_alarm(Alarm::STALE) && !flags.has(STALE) {
        return Err(CmdError::Fixed("ERR Can not execute the command on a stale replica"));
    }
    Ok(())
}

fn may_write(session: &Session<'_>, flags: Flags) -> Result<(), CmdError> {
    if session.rights.read_only && flags.has(WRITE.or(MAY_REPLICATE)) {
        return Err(CmdError::Fixed("ERR Write commands are not allowed from read-only scripts."));
    }
    Ok(())
}

impl Session<'_> {
    /// A command changes data, and may still be refused: once a script has written, nothing of that kind stops it.
    fn may_refuse_write(&self, flags: Flags) -> bool {
        flags.has(WRITE) && !self.written && !self.obeyed
    }
}

fn replica(session: &Session<'_>, flags: Flags) -> Result<(), CmdError> {
    let refused = session.may_refuse_write(flags) && session.srv.exec.has_alarm(Alarm::READ_ONLY);
    if refused { Err(CmdError::ReadOnly) } else { Ok(()) }
}

fn disk_error(session: &Session<'_>, flags: Flags) -> Result<(), CmdError> {
    if session.may_refuse_write(flags) { gates::writes_reach_disk(session.srv) } else { Ok(()) }
}

fn replicas_in_reach(session: &Session<'_>, flags: Flags) -> Result<(), CmdError> {
    let srv = &session.srv;
    let few = srv.exec.has_alarm(Alarm::MIN_REPLICAS) && !srv.has_enough_replicas();
    if few && session.may_refuse_write(flags) { Err(CmdError::NoReplicas) } else { Ok(()) }
}

fn memory(session: &Session<'_>, flags: Flags) -> Result<(), CmdError> {
    let asks = flags.has(DENYOOM) && !session.written && !session.obeyed && !session.rights.any_memory;
    if asks && session.srv.exec.has_alarm(Alarm::MEMORY) && session.srv.evict.out_of_memory {
        return Err(CmdError::Oom);
    }
    Ok(())
}

impl Server {
    /// What has come from others is answered, mostly with BUSY. All that belongs to the unit that runs is put aside
    /// meanwhile.
    fn serve_beside_script(&mut self) {
        let buffers = std::mem::take(&mut self.exec.buffers);
        let (settled, reading) = (std::mem::take(&mut self.tracking.settled), self.exec.reading);
        let frozen = self.clock.freeze();
        self.exec.set_alarm(Alarm::BUSY, true);
        self.serve_events(0);
        self.flush_aof(true);
        self.write_replies();
        self.exec.set_alarm(Alarm::BUSY, false);
        self.clock.thaw(frozen);
        (self.tracking.settled, self.exec.reading) = (settled, reading);
        self.exec.buffers = buffers;
    }
}

#[cfg(test)]
mod tests;
