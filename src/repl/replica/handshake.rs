//! The dialogue before the transfer: PING, AUTH, REPLCONF, PSYNC, and what each answer means.
//!
//! *Duty:* line by line, from the answer to PING to the header of the transfer or the beginning of the stream.
//! *Does not know:* payload and stream. *Invariants:* AUTH and all REPLCONF are sent at once, their answers read one by
//! one; a step whose command was not sent is skipped. Empty lines keep the connection alive and mean nothing.
//! An answer may be refused without harm where old masters do not know the command (REPLCONF); for the others it ends
//! the attempt, with the likely cause.
//! *Counterpart in C Redis:* `syncWithMaster`, `slaveTryPartialResynchronization`.

use super::trouble::{Cause, quote};
use super::{Action, MasterLink, Phase, Resume, Retry, Start, State, Took};
use crate::base::ids::RunId;
use crate::base::millis::Millis;
use crate::base::num;
use crate::repl::replica::transfer::{Kind, Transfer};

/// The longest line that is waited for.
const LINE_MAX: usize = 1024;

/// The answer that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Pong,
    Auth,
    Port,
    Ip,
    Capa,
    Psync,
}

impl MasterLink {
    /// One line of the dialogue.
    pub(super) fn on_line_bytes(&mut self, now: Millis, input: &[u8]) -> Took {
        let Some(end) = input.iter().take(LINE_MAX).position(|b| *b == b'\n') else {
            if input.len() < LINE_MAX {
                return Took::Nothing;
            }
            self.warning("Bad protocol from MASTER: a line without an end");
            self.give_up(now, Cause::NotRedis(quote(input)), Retry::Soon);
            return Took::Dropped;
        };
        self.last_io = now;
        let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
        match self.state {
            State::Handshake(step) => self.on_reply(now, step, line),
            State::Header { .. } => self.on_header(now, line),
            _ => {}
        }
        if matches!(self.state, State::Over | State::Waiting { .. } | State::Connecting) {
            return Took::Dropped;
        }
        Took::Own(end + 1)
    }

    fn on_reply(&mut self, now: Millis, step: Step, line: &[u8]) {
        match step {
            Step::Pong => self.on_pong(now, line),
            Step::Auth => match line.first() {
                Some(b'-') => {
                    self.warning(format!("Unable to AUTH to MASTER: {}", quote(line)));
                    self.give_up(now, Cause::WrongPassword(quote(&line[1..])), Retry::Soon);
                }
                _ => self.next_step(Step::Auth),
            },
            Step::Port => self.on_optional(step, "listening-port", line),
            Step::Ip => self.on_optional(step, "ip-address", line),
            Step::Capa => self.on_optional(step, "capa", line),
            Step::Psync if line.is_empty() => {}
            Step::Psync => self.on_psync_reply(now, line),
        }
    }

    /// A master that asks for a password first may still be the right one: AUTH comes next.
    fn on_pong(&mut self, now: Millis, line: &[u8]) {
        const FINE: [&[u8]; 4] = [b"+", b"-NOAUTH", b"-NOPERM", b"-ERR operation not permitted"];
        if !FINE.iter().any(|start| line.starts_with(start)) {
            self.warning(format!("Error reply to PING from master: '{}'", quote(line)));
            return self.give_up(now, cause_of(line), Retry::Soon);
        }
        self.notice("Master replied to PING, replication can continue...");
        if let Some(password) = self.settings.password.clone() {
            match self.settings.user.clone() {
                Some(user) => self.send(&[b"AUTH", &user, &password]),
                None => self.send(&[b"AUTH", &password]),
            }
        }
        let port = self.settings.listening_port.to_string();
        self.send(&[b"REPLCONF", b"listening-port", port.as_bytes()]);
        if let Some(ip) = self.settings.announce_ip.clone() {
            self.send(&[b"REPLCONF", b"ip-address", &ip]);
        }
        self.send(&[b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"]);
        self.sent_auth = self.settings.password.is_some();
        self.sent_ip = self.settings.announce_ip.is_some();
        self.next_step(Step::Pong);
    }

    fn on_optional(&mut self, step: Step, option: &str, line: &[u8]) {
        if line.first() == Some(&b'-') {
            let text = quote(line);
            self.notice(format!("(Non critical) Master does not understand REPLCONF {option}: {text}"));
        }
        self.next_step(step);
    }

    fn next_step(&mut self, done: Step) {
        let next = match done {
            Step::Pong if self.sent_auth => Step::Auth,
            Step::Pong | Step::Auth => Step::Port,
            Step::Port if self.sent_ip => Step::Ip,
            Step::Port | Step::Ip => Step::Capa,
            Step::Capa | Step::Psync => Step::Psync,
        };
        self.state = State::Handshake(next);
        if next == Step::Psync {
            self.send_psync();
        }
    }

    fn send_psync(&mut self) {
        let (id, byte) = match self.resume {
            Some(Resume { id, offset, .. }) => {
                let byte = crate::repl::ids::byte_number(offset);
                self.notice(format!("Trying a partial resynchronization (request {id}:{byte})."));
                (id.as_str().to_string(), byte)
            }
            None => {
                self.notice("Partial resynchronization not possible (no cached master)");
                ("?".to_string(), -1)
            }
        };
        let byte = byte.to_string();
        match self.failover {
            true => self.send(&[b"PSYNC", id.as_bytes(), byte.as_bytes(), b"FAILOVER"]),
            false => self.send(&[b"PSYNC", id.as_bytes(), byte.as_bytes()]),
        }
    }

    fn on_psync_reply(&mut self, now: Millis, line: &[u8]) {
        let accepted = line.starts_with(b"+FULLRESYNC") || line.starts_with(b"+CONTINUE");
        if self.failover {
            self.failover = false;
            if !accepted {
                return self.reject_failover(now, line);
            }
            self.actions.push_back(Action::FailoverAccepted);
        }
        if let Some(rest) = line.strip_prefix(b"+FULLRESYNC") {
            self.on_full_resync(rest);
        } else if let Some(rest) = line.strip_prefix(b"+CONTINUE") {
            self.on_continue(now, rest);
        } else if line.starts_with(b"-NOMASTERLINK") || line.starts_with(b"-LOADING") {
            self.notice(format!("Master is currently unable to PSYNC but should be in the future: {}", quote(line)));
            self.give_up(now, cause_of(line), Retry::Soon);
        } else {
            if line.starts_with(b"-ERR") {
                self.notice(format!("Master does not support PSYNC or is in error state (reply: {})", quote(line)));
            } else {
                self.warning(format!("Unexpected reply to PSYNC from master: {}", quote(line)));
            }
            self.notice("Retrying with SYNC...");
            self.actions.push_back(Action::Send(b"SYNC\r\n".to_vec()));
            self.state = State::Header { id: None, offset: 0 };
        }
    }

    fn reject_failover(&mut self, now: Millis, line: &[u8]) {
        self.warning(format!("The target of the failover does not take over: {}", quote(line)));
        self.leave(now, true);
        self.actions.push_back(Action::FailoverRejected);
    }

    /// ` <id> <offset>`.
    fn on_full_resync(&mut self, rest: &[u8]) {
        let mut words = rest.split(|b| *b == b' ').skip(1);
        let id = words.next().and_then(parse_id);
        let offset = words.next().and_then(num::parse_u64);
        let (id, offset) = match (id, offset) {
            (Some(id), Some(offset)) => {
                self.notice(format!("Full resync from master: {id}:{offset}"));
                (Some(id), offset)
            }
            _ => {
                self.warning("Master replied with wrong +FULLRESYNC syntax.");
                (None, 0)
            }
        };
        self.state = State::Header { id, offset };
    }

    /// Nothing, or ` <id>`.
    fn on_continue(&mut self, now: Millis, rest: &[u8]) {
        let word = rest.split(|b| *b == b' ').nth(1).filter(|word| !word.is_empty());
        let new = word.map(parse_id);
        let (Some(resume), false) = (self.resume, new == Some(None)) else {
            self.warning("Master wants to continue a stream that this replica did not ask for");
            let text = format!("+CONTINUE{}", quote(rest));
            return self.give_up(now, Cause::Nonsense(text), Retry::Soon);
        };
        self.notice("Successful partial resynchronization with master.");
        let new_id = new.flatten().filter(|id| *id != resume.id);
        if let Some(id) = new_id {
            self.warning(format!("Master replication ID changed to {id}"));
        }
        let Resume { id, offset, db } = resume;
        self.go_online(now, Some(new_id.unwrap_or(id)), offset, db);
        self.actions.push_back(Action::Online(Start::Continued { new_id, offset, db }));
        self.notice("MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.");
    }

    fn on_header(&mut self, now: Millis, line: &[u8]) {
        let State::Header { id, offset } = self.state else { return };
        if line.is_empty() {
            return;
        }
        if line[0] == b'-' {
            self.warning(format!("MASTER aborted replication with an error: {}", quote(&line[1..])));
            return self.give_up(now, cause_of(line), Retry::Soon);
        }
        let Some(kind) = Kind::parse(line) else {
            let text = quote(line);
            self.warning(format!(
                "Bad protocol from MASTER, the first byte is not '$' (we received '{text}'), are you sure the host and \
                 port are right?"
            ));
            return self.give_up(now, Cause::NotRedis(text), Retry::Soon);
        };
        self.state = State::Transfer { id, offset, transfer: Box::new(Transfer::new(kind)) };
        self.actions.push_back(Action::BeginTransfer(kind));
        if kind == Kind::Size(0) {
            self.end_of_size();
        }
    }

    fn give_up(&mut self, now: Millis, cause: Cause, retry: Retry) {
        debug_assert!(self.phase() != Phase::Online);
        self.leave(now, true);
        self.fail(now, cause, retry);
    }
}

/// What a refusal most likely means.
fn cause_of(line: &[u8]) -> Cause {
    let Some(error) = line.strip_prefix(b"-") else { return Cause::NotRedis(quote(line)) };
    let code = error.split(|b| *b == b' ').next().unwrap_or(b"");
    match code {
        b"NOAUTH" => Cause::NeedsPassword,
        b"WRONGPASS" => Cause::WrongPassword(quote(error)),
        b"NOPERM" => Cause::NotPermitted(quote(error)),
        b"LOADING" => Cause::Loading,
        b"NOMASTERLINK" => Cause::NoMasterLink,
        _ if error.starts_with(b"ERR operation not permitted") => Cause::NeedsPassword,
        _ => Cause::Refuses(quote(error)),
    }
}

/// Forty hexadecimal digits in either case.
fn parse_id(word: &[u8]) -> Option<RunId> {
    RunId::parse(&word.to_ascii_lowercase())
}
