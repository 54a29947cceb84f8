//! The gates: reasons for which a command that exists is not run now.
//!
//! *Duty:* [`GATES`] is the order in which they are asked, and so the documentation of that order. *Invariant:* the
//! short way past all of them (in `dispatch`) is open only while none could refuse: no alarm is raised, and the
//! client is in no special state. *Counterpart in C Redis:* the body of `processCommand`.

use crate::call::{Args, CmdError};
use crate::command::spec::{
    ALLOW_BUSY, DENYOOM, Flags as CommandFlags, LOADING, MAY_REPLICATE, NO_ASYNC_LOADING, NO_AUTH, NO_MULTI, READONLY,
    STALE, Spec, WRITE,
};
use crate::resp::Proto;
use crate::server::Server;
use crate::server::access::no_permission;
use crate::server::client::Flags;
use crate::server::registry::RowId;

/// What a gate looks at.
struct Visitor<'a> {
    srv: &'a Server,
    slot: usize,
    row: RowId,
    spec: &'static Spec,
    /// Those of the row, or of the script that is to run.
    flags: CommandFlags,
    args: Args<'a>,
}

type Gate = fn(&Visitor<'_>) -> Result<(), CmdError>;

const GATES: &[Gate] = &[
    arity,
    authenticated,
    allowed_in_multi,
    permitted,
    memory,
    disk_error,
    replicas_in_reach,
    read_only,
    pubsub_context,
    stale,
    loading,
    async_loading,
    busy,
    onlooker,
];

/// A state of the server in which some commands are refused; each is one bit of `Exec::alarms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm(pub u32);

impl Alarm {
    pub const LOADING: Alarm = Alarm(1 << 0);
    /// `maxmemory` is set.
    pub const MEMORY: Alarm = Alarm(1 << 1);
    /// The last snapshot failed, or the append only file cannot be written.
    pub const DISK_ERROR: Alarm = Alarm(1 << 2);
    /// `min-replicas-to-write` asks for replicas.
    pub const MIN_REPLICAS: Alarm = Alarm(1 << 3);
    /// A replica that only its master changes.
    pub const READ_ONLY: Alarm = Alarm(1 << 4);
    /// A replica without its master, which is not to show what it has.
    pub const STALE: Alarm = Alarm(1 << 5);
    /// A data set is loaded aside, and the one from before is served.
    pub const ASYNC_LOADING: Alarm = Alarm(1 << 6);
    /// CLIENT PAUSE.
    pub const PAUSED: Alarm = Alarm(1 << 8);
    /// All clients together take more than `maxmemory-clients`.
    pub const CLIENT_MEMORY: Alarm = Alarm(1 << 10);
    /// Tracking clients have read more keys than `tracking-table-max-keys`.
    pub const TRACKING: Alarm = Alarm(1 << 9);
    /// A script runs for long, and others are served beside it.
    pub const BUSY: Alarm = Alarm(1 << 11);
}

/// Asks all gates.
pub fn pass(srv: &Server, slot: usize, row: RowId, args: Args<'_>) -> Result<(), CmdError> {
    let visitor = Visitor { srv, slot, row, spec: srv.registry.row(row).spec, flags: srv.flags_of(row, args), args };
    GATES.iter().try_for_each(|gate| gate(&visitor))
}

fn arity(v: &Visitor<'_>) -> Result<(), CmdError> {
    if v.spec.arity_fits(v.args.len()) { Ok(()) } else { Err(CmdError::Arity(v.spec.name.into())) }
}

fn authenticated(v: &Visitor<'_>) -> Result<(), CmdError> {
    let client = &v.srv.clients[v.slot];
    let known = client.flags.has(Flags::AUTHENTICATED) || v.srv.acl.is_open();
    if known || v.flags.has(NO_AUTH) { Ok(()) } else { Err(CmdError::NoAuth) }
}

fn allowed_in_multi(v: &Visitor<'_>) -> Result<(), CmdError> {
    let inside = v.srv.clients[v.slot].flags.has(Flags::MULTI);
    if inside && v.flags.has(NO_MULTI) {
        return Err(CmdError::Fixed("ERR Command not allowed inside a transaction"));
    }
    Ok(())
}

/// Whoever runs the gates logs what is refused here: [`Server::log_denied`].
fn permitted(v: &Visitor<'_>) -> Result<(), CmdError> {
    let client = &v.srv.clients[v.slot];
    if !client.flags.has(Flags::RESTRICTED) {
        return Ok(());
    }
    let checked = v.srv.acl_check(client.user, v.row, v.args);
    checked.map_err(|denied| no_permission(denied, v.spec.name))
}

fn memory(v: &Visitor<'_>) -> Result<(), CmdError> {
    if !v.srv.exec.has_alarm(Alarm::MEMORY) || !v.srv.evict.out_of_memory {
        return Ok(());
    }
    // What waits for EXEC takes memory, whatever it is.
    let takes_memory = match (v.srv.clients[v.slot].flags.has(Flags::MULTI), v.spec.name) {
        (true, "exec") => v.srv.queued_flags(v.slot).has(DENYOOM),
        (true, "discard" | "quit" | "reset") => false,
        (inside, _) => inside || v.flags.has(DENYOOM),
    };
    if takes_memory { Err(CmdError::Oom) } else { Ok(()) }
}

fn disk_error(v: &Visitor<'_>) -> Result<(), CmdError> {
    let writes = v.flags.has(WRITE) || v.spec.name == "ping";
    if writes { writes_reach_disk(v.srv) } else { Ok(()) }
}

/// Whether what is written now would be lost, because files cannot be written.
pub(super) fn writes_reach_disk(srv: &Server) -> Result<(), CmdError> {
    if !srv.exec.has_alarm(Alarm::DISK_ERROR) {
        return Ok(());
    }
    match srv.persistence.aof.error() {
        _ if srv.snapshots_fail() => Err(CmdError::MisconfRdb),
        Some(errno) => Err(CmdError::MisconfAof(errno.desc())),
        None => Ok(()),
    }
}

fn pubsub_context(v: &Visitor<'_>) -> Result<(), CmdError> {
    let client = &v.srv.clients[v.slot];
    if !client.flags.has(Flags::SUBSCRIBED) || client.proto() == Proto::Resp3 {
        return Ok(());
    }
    let allowed = [
        "ping",
        "subscribe",
        "ssubscribe",
        "unsubscribe",
        "sunsubscribe",
        "psubscribe",
        "punsubscribe",
        "quit",
        "reset",
    ];
    if allowed.contains(&v.spec.name) {
        return Ok(());
    }
    Err(CmdError::text(format!(
        "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
        v.spec.name
    )))
}

/// While a script runs for long, for those who are served beside it.
fn busy(v: &Visitor<'_>) -> Result<(), CmdError> {
    match v.srv.busy_with_script() {
        Some(error) if !v.flags.has(ALLOW_BUSY) => Err(error),
        _ => Ok(()),
    }
}

fn loading(v: &Visitor<'_>) -> Result<(), CmdError> {
    if v.srv.exec.has_alarm(Alarm::LOADING) && !v.flags.has(LOADING) { Err(CmdError::Loading) } else { Ok(()) }
}

/// `min-replicas-to-write`: a change that too few would hear of is refused.
fn replicas_in_reach(v: &Visitor<'_>) -> Result<(), CmdError> {
    if !v.srv.exec.has_alarm(Alarm::MIN_REPLICAS) || v.srv.has_enough_replicas() {
        return Ok(());
    }
    let writes = v.flags.has(WRITE) || v.spec.name == "exec" && v.srv.queued_flags(v.slot).has(WRITE);
    if writes { Err(CmdError::Fixed("NOREPLICAS Not enough good replicas to write.")) } else { Ok(()) }
}

fn async_loading(v: &Visitor<'_>) -> Result<(), CmdError> {
    let refused = v.srv.exec.has_alarm(Alarm::ASYNC_LOADING) && v.flags.has(NO_ASYNC_LOADING);
    if refused { Err(CmdError::Loading) } else { Ok(()) }
}

fn read_only(v: &Visitor<'_>) -> Result<(), CmdError> {
    if !v.srv.exec.has_alarm(Alarm::READ_ONLY) {
        return Ok(());
    }
    let writes = v.flags.has(WRITE) || v.spec.name == "exec" && v.srv.queued_flags(v.slot).has(WRITE);
    if writes { Err(CmdError::ReadOnly) } else { Ok(()) }
}

/// `replica-serve-stale-data no`.
fn stale(v: &Visitor<'_>) -> Result<(), CmdError> {
    if !v.srv.exec.has_alarm(Alarm::STALE) {
        return Ok(());
    }
    let fits = v.flags.has(STALE) && (v.spec.name != "exec" || v.srv.queue_fits(v.slot, STALE));
    if fits {
        return Ok(());
    }
    Err(CmdError::Fixed("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."))
}

/// A replica is told what happens and asks nothing. Who monitors only watches, too, and 7.0.15 has the same words for
/// it.
fn onlooker(v: &Visitor<'_>) -> Result<(), CmdError> {
    let about_keys = WRITE.or(READONLY).or(MAY_REPLICATE);
    let touches = || v.flags.has(about_keys) || v.spec.name == "exec" && v.srv.queued_flags(v.slot).has(about_keys);
    if v.srv.clients[v.slot].flags.has(Flags(Flags::MONITOR.0 | Flags::REPLICA.0)) && touches() {
        return Err(CmdError::Fixed("ERR Replica can't interact with the keyspace"));
    }
    Ok(())
}

impl Server {
    /// The flags of all commands that a client has queued, together.
    pub fn queued_flags(&self, slot: usize) -> CommandFlags {
        let queue = self.clients[slot].transaction.iter().flat_map(|t| &t.queue);
        queue.fold(CommandFlags::NONE, |all, (row, argv)| all.or(self.flags_of(*row, Args::of(argv))))
    }

    /// Whether each command that a client has queued has this flag.
    fn queue_fits(&self, slot: usize, flag: CommandFlags) -> bool {
        let mut queue = self.clients[slot].transaction.iter().flat_map(|t| &t.queue);
        queue.all(|(row, argv)| self.flags_of(*row, Args::of(argv)).has(flag))
    }
}
