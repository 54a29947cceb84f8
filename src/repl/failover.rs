//! [`Failover`]: FAILOVER, by which a master hands its role to a replica without losing a write.
//!
//! *Duty:* the request and its errors, the wait until a replica has everything, and the change of roles: writes are
//! paused, the chosen replica catches up, this server becomes its replica and asks it with `PSYNC … FAILOVER` to be
//! the master. If it refuses, this server is the master again.
//! *Does not know:* how writes are paused or how a link works. *Invariants:* writes are paused exactly from the
//! start to the end of a failover: each path ends with one `ResumeWrites`.
//! *Counterpart in C Redis:* `failoverCommand`, `updateFailoverStatus`, `abortFailover`.

use std::collections::VecDeque;

use super::LogLine;
use super::replica::Address;
use crate::base::millis::Millis;
use crate::base::num;

/// What the driver must do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailoverAction {
    /// As CLIENT PAUSE WRITE, without an end; expiry, eviction and PINGs in the stream stand still as well.
    PauseWrites,
    ResumeWrites,
    /// REPLICAOF this address, with `MasterLink::failover` set.
    Follow(Address),
    /// REPLICAOF NO ONE: the target did not take over.
    StayMaster,
    Log(LogLine),
}

/// The arguments of FAILOVER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The port as it was given, whatever it is: only a replica's can match.
    pub target: Option<(String, i64)>,
    pub timeout_ms: i64,
    pub force: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Abort,
    Start(Wish),
}

impl Command {
    /// Takes the arguments behind `FAILOVER`. The error is without its `ERR `.
    pub fn parse(args: &[&[u8]]) -> Result<Command, &'static str> {
        if let [only] = args
            && only.eq_ignore_ascii_case(b"abort")
        {
            return Ok(Command::Abort);
        }
        let (mut wish, mut rest) = (Wish::default(), args);
        while let [word, after @ ..] = rest {
            rest = match (word.to_ascii_lowercase().as_slice(), after) {
                (b"timeout", [ms, rest @ ..]) if wish.timeout_ms == 0 => {
                    wish.timeout_ms = integer(ms)?;
                    if wish.timeout_ms <= 0 {
                        return Err("FAILOVER timeout must be greater than 0");
                    }
                    rest
                }
                (b"to", [host, port, rest @ ..]) if wish.target.is_none() => {
                    let port = integer(port)?;
                    wish.target = Some((String::from_utf8_lossy(host).into_owned(), port));
                    rest
                }
                (b"force", rest) if !wish.force => {
                    wish.force = true;
                    rest
                }
                _ => return Err("syntax error"),
            };
        }
        Ok(Command::Start(wish))
    }
}

fn integer(text: &[u8]) -> Result<i64, &'static str> {
    num::parse_i64(text).ok_or("value is not an integer or out of range")
}

/// A replica as a possible target: the address it announced, or the one it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub host: String,
    pub port: i64,
    pub online: bool,
    pub ack_offset: u64,
}

/// What is asked of the server.
#[derive(Clone, Copy, Debug)]
pub struct FailoverFacts<'a> {
    pub now: Millis,
    pub is_replica: bool,
    /// `master_repl_offset`.
    pub offset: u64,
    pub replicas: &'a [Candidate],
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    WaitForSync { target: Option<(String, i64)>, deadline: Option<Millis>, force: bool },
    InProgress { target: Address },
}

#[derive(Debug)]
pub struct Failover {
    phase: Phase,
    actions: VecDeque<FailoverAction>,
}

impl Default for Failover {
    fn default() -> Failover {
        Failover { phase: Phase::Idle, actions: VecDeque::new() }
    }
}

impl Failover {
    pub fn take_action(&mut self) -> Option<FailoverAction> {
        self.actions.pop_front()
    }

    pub fn is_active(&self) -> bool {
        self.phase != Phase::Idle
    }

    /// `master_failover_state`.
    pub fn state_name(&self) -> &'static str {
        match self.phase {
            Phase::Idle => "no-failover",
            Phase::WaitForSync { .. } => "waiting-for-sync",
            Phase::InProgress { .. } => "failover-in-progress",
        }
    }

    /// Whether the stream must stand still, so that the offsets can meet: then no PING is put into it.
    pub fn holds_stream(&self) -> bool {
        matches!(self.phase, Phase::WaitForSync { deadline: Some(_), .. })
    }

    /// FAILOVER. The error is without its `ERR `.
    pub fn start(&mut self, wish: Wish, facts: &FailoverFacts<'_>) -> Result<(), &'static str> {
        if self.is_active() {
            return Err("FAILOVER already in progress.");
        }
        if facts.is_replica {
            return Err("FAILOVER is not valid when server is a replica.");
        }
        if facts.replicas.is_empty() {
            return Err("FAILOVER requires connected replicas.");
        }
        if wish.force && (wish.timeout_ms == 0 || wish.target.is_none()) {
            return Err("FAILOVER with force option requires both a timeout and target HOST and IP.");
        }
        match &wish.target {
            Some(target) => {
                let replica = find(facts.replicas, target).ok_or("FAILOVER target HOST and PORT is not a replica.")?;
                if !replica.online {
                    return Err("FAILOVER target replica is not online.");
                }
                self.notice(format!("FAILOVER requested to {}:{}.", target.0, target.1));
            }
            None => self.notice("FAILOVER requested to any replica."),
        }
        let deadline = (wish.timeout_ms > 0).then(|| facts.now.plus(wish.timeout_ms));
        self.phase = Phase::WaitForSync { target: wish.target, deadline, force: wish.force };
        self.actions.push_back(FailoverAction::PauseWrites);
        Ok(())
    }

    /// FAILOVER ABORT. The error is without its `ERR `.
    pub fn abort(&mut self) -> Result<(), &'static str> {
        if !self.is_active() {
            return Err("No failover in progress.");
        }
        self.give_up("Failover manually aborted");
        Ok(())
    }

    /// The target answered PSYNC (`Action::FailoverAccepted`, `Action::FailoverRejected`).
    pub fn on_answer(&mut self, accepted: bool) {
        match self.phase {
            Phase::InProgress { .. } if accepted => self.end(),
            Phase::InProgress { .. } => self.give_up("Failover target rejected psync request"),
            _ => {}
        }
    }

    /// PSYNC could not even be written to the target.
    pub fn on_write_error(&mut self) {
        if matches!(self.phase, Phase::InProgress { .. }) {
            self.give_up("Write error to failover target");
        }
    }

    /// Asked each second, and whenever a replica has acknowledged.
    pub fn tick(&mut self, facts: &FailoverFacts<'_>) {
        let Phase::WaitForSync { target, deadline, force } = self.phase.clone() else { return };
        if deadline.is_some_and(|deadline| deadline <= facts.now) {
            return match target.and_then(address) {
                Some(target) if force => {
                    self.notice(format!("FAILOVER to {target} time out exceeded, failing over."));
                    self.go(target);
                }
                _ => self.give_up("Replica never caught up before timeout"),
            };
        }
        let has_all = |replica: &&Candidate| replica.online && replica.ack_offset == facts.offset;
        let chosen = match &target {
            Some(target) => find(facts.replicas, target).filter(has_all),
            None => facts.replicas.iter().find(has_all),
        };
        if let Some(target) = chosen.and_then(|replica| address((replica.host.clone(), replica.port))) {
            self.notice(format!("Failover target {target} is synced, failing over."));
            self.go(target);
        }
    }

    fn go(&mut self, target: Address) {
        self.phase = Phase::InProgress { target: target.clone() };
        self.actions.push_back(FailoverAction::Follow(target));
    }

    fn give_up(&mut self, why: &str) {
        let target = match &self.phase {
            Phase::WaitForSync { target: Some((host, port)), .. } => format!("{host}:{port}"),
            Phase::InProgress { target } => target.to_string(),
            _ => "any replica".to_string(),
        };
        self.notice(format!("FAILOVER to {target} aborted: {why}"));
        if matches!(self.phase, Phase::InProgress { .. }) {
            self.actions.push_back(FailoverAction::StayMaster);
        }
        self.end();
    }

    fn end(&mut self) {
        self.phase = Phase::Idle;
        self.actions.push_back(FailoverAction::ResumeWrites);
    }

    fn notice(&mut self, text: impl Into<String>) {
        self.actions.push_back(FailoverAction::Log(LogLine::notice(text)));
    }
}

fn find<'a>(replicas: &'a [Candidate], target: &(String, i64)) -> Option<&'a Candidate> {
    replicas.iter().find(|replica| replica.host.eq_ignore_ascii_case(&target.0) && replica.port == target.1)
}

/// None if nobody can listen on this port.
fn address((host, port): (String, i64)) -> Option<Address> {
    Some(Address::new(host, u16::try_from(port).ok()?))
}

#[cfg(test)]
mod tests;
