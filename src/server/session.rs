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
use super::gates::{self, Alarm};
use super::registry::{RowId, Unknown};
use crate::call::effects::Replicate;
use crate::call::{Args, Caller, CmdError, Effects, Origin};
use crate::command::spec::{DENYOOM, Flags, MAY_REPLICATE, NOSCRIPT, WRITE};
use crate::resp::{Argv, Proto, ReplyBuf};
use crate::script::{Host, Rights, Verdict};

/// What the server knows of scripts while none, or one, runs.
#[derive(Default)]
pub struct Hosting {
    /// The connection whose script runs.
    pub caller: Option<usize>,
    /// DEBUG SET-DISABLE-DENY-SCRIPTS: scripts may call what is not meant for them.
    pub deny_nothing: bool,
}

/// One run of a script.
struct Session<'a> {
    srv: &'a mut Server,
    caller: Caller,
    fx: &'a mut Effects,
    rights: Rights,
    /// Comes from a master or the append only file, where what was written is no question.
    obeyed: bool,
    /// A command that writes has been called.
    written: bool,
}

type Gate = fn(&Session<'_>, Flags) -> Result<(), CmdError>;

/// Asked in this order, after the name and the number of arguments.
const GATES: &[Gate] = &[for_scripts, may_write, disk_error, memory];

impl Server {
    /// Lends the server to a script of `caller` while `run` runs. What the script did is in `fx`, as one unit.
    pub fn host_script<R>(
        &mut self,
        caller: Caller,
        fx: &mut Effects,
        rights: Rights,
        run: impl FnOnce(&mut dyn Host) -> R,
    ) -> R {
        let obeyed = matches!(caller.origin, Origin::Master | Origin::Aof);
        // A master or the append only file is no connection.
        self.hosting.caller = self.clients.find(caller.client).map(|_| caller.client.slot as usize);
        let caller = Caller { origin: Origin::Script, ..caller };
        let mut session = Session { srv: self, caller, fx, rights, obeyed, written: false };
        let result = run(&mut session);
        session.srv.hosting.caller = None;
        // The script is replayed by what it did.
        session.fx.replicate = Replicate::Rewritten;
        result
    }
}

impl Host for Session<'_> {
    fn call(&mut self, argv: &Argv, proto: Proto) -> ReplyBuf {
        let mut reply = ReplyBuf::new(proto);
        let args = Args::of(argv);
        match self.admit(args) {
            Ok(row) => self.run(row, args, &mut reply),
            Err((row, error)) => {
                let message = error.message();
                reply.error(&message);
                self.srv.stats.count_error(&message);
                if let Some(row) = row {
                    self.srv.registry.row_mut(row).stats.rejected += 1;
                }
            }
        }
        reply
    }

    fn on_slow(&mut self) -> Verdict {
        self.srv.serve_beside_script();
        if self.srv.turn.exit.is_some() { Verdict::Stop } else { Verdict::GoOn }
    }
}

impl Session<'_> {
    /// The row of a command that may run; else why not, and the row if there is one.
    fn admit(&mut self, args: Args<'_>) -> Result<RowId, (Option<RowId>, CmdError)> {
        let unknown = CmdError::Fixed("ERR Unknown Redis command called from script");
        if args.is_empty() {
            return Err((None, CmdError::Fixed("ERR Please specify at least one argument for this redis.call")));
        }
        let row = match self.srv.registry.lookup(args) {
            Ok(row) => row,
            Err(Unknown::Command | Unknown::Subcommand(_)) => return Err((None, unknown)),
        };
        let spec = self.srv.registry.row(row).spec;
        if !spec.arity_fits(args.len()) {
            let error = CmdError::Fixed("ERR Wrong number of args calling Redis command from script");
            return Err((Some(row), error));
        }
        GATES.iter().try_for_each(|gate| gate(self, spec.flags)).map_err(|error| (Some(row), error))?;
        self.written |= spec.flags.has(WRITE);
        Ok(row)
    }

    fn run(&mut self, row: RowId, args: Args<'_>, reply: &mut ReplyBuf) {
        // The script's own work is counted with the command that runs it.
        self.srv.exec.start_timing();
        let began = self.srv.exec.last_ticks();
        let who = self.caller.client;
        let selected = self.srv.clients.find(who).map(|client| std::mem::replace(&mut client.db, self.caller.db));
        self.srv.call(row, args, self.caller, reply, self.fx);
        // What was selected stays with the script.
        if let (Some(selected), Some(client)) = (selected, self.srv.clients.find(who)) {
            self.caller.db = std::mem::replace(&mut client.db, selected);
            self.srv.settle_tracking(&self.fx.touched, who);
            self.srv.remember_keys(who.slot as usize, row, args);
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

fn may_write(session: &Session<'_>, flags: Flags) -> Result<(), CmdError> {
    if session.rights.read_only && flags.has(WRITE.or(MAY_REPLICATE)) {
        return Err(CmdError::Fixed("ERR Write commands are not allowed from read-only scripts."));
    }
    Ok(())
}

fn disk_error(session: &Session<'_>, flags: Flags) -> Result<(), CmdError> {
    if session.written || !flags.has(WRITE) { Ok(()) } else { gates::writes_reach_disk(session.srv) }
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
