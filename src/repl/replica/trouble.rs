//! [`Trouble`]: why the link to the master is down, in words that say what to do.
//!
//! *Duty:* one cause per failed attempt, the text of INFO's `master_link_error`, and when the log repeats it: at
//! once if the cause is a new one, then at the tenth, hundredth, … attempt.
//! *Does not know:* how the link works. *Invariants:* every text is one line, whatever the other side has sent; a
//! password never stands in it.
//! *Counterpart in C Redis:* none. There, the log says `Connection refused` each second and INFO says `down`.

use super::{Address, LogLine};
use crate::base::millis::Millis;

/// What ended the last attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    Refused,
    /// The system could not even begin: no such name, no route.
    Unreachable(String),
    /// Nothing came for `repl-timeout` seconds.
    Silent {
        phase: Phase,
        secs: i64,
    },
    /// The connection was closed or broke.
    Cut {
        phase: Phase,
        how: String,
    },
    NeedsPassword,
    WrongPassword(String),
    NotPermitted(String),
    NotRedis(String),
    Loading,
    NoMasterLink,
    Refuses(String),
    BadSnapshot(String),
    Nonsense(String),
    /// This server could not store what came.
    Store(String),
}

/// How far the attempt had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Connecting,
    Handshake,
    Transfer,
    Online,
}

impl Cause {
    fn text(&self, at: &Address) -> String {
        match self {
            Cause::Refused => format!(
                "{at} refuses connections: nothing listens on port {} at that host, or a firewall rejects it; check \
                 host and port of replicaof, and bind there",
                at.port
            ),
            Cause::Unreachable(how) => format!("{at} cannot be reached: {how}; check the host of replicaof"),
            Cause::Silent { phase: Phase::Connecting, secs } => {
                format!(
                    "{at} did not accept a connection within {secs} s: the host is down, or a firewall drops packets"
                )
            }
            Cause::Silent { phase: Phase::Handshake, secs } => {
                format!("{at} accepts connections but has not answered for {secs} s: it hangs, or is no redis server")
            }
            Cause::Silent { phase: Phase::Transfer, secs } => format!(
                "nothing of the data set came from {at} for {secs} s; a larger repl-timeout may help if it is slow"
            ),
            Cause::Silent { phase: Phase::Online, secs } => {
                format!("neither data nor PING came from {at} for {secs} s: the network, or the master, stands still")
            }
            Cause::Cut { phase: Phase::Connecting, how } => format!("the connection to {at} failed: {how}"),
            Cause::Cut { phase: Phase::Handshake, how } => format!(
                "{at} closed the connection during the handshake ({how}): it restarts, its maxclients is reached, or \
                 it is no redis server"
            ),
            Cause::Cut { phase: Phase::Transfer, how } => {
                format!("the connection to {at} broke during the transfer of the data set ({how}); its log tells why")
            }
            Cause::Cut { phase: Phase::Online, how } => {
                format!("the connection to {at} was lost ({how}): the master stopped or cut it, or the network broke")
            }
            Cause::NeedsPassword => format!("{at} asks for a password: set masterauth (and masteruser) here"),
            Cause::WrongPassword(reply) => {
                format!("{at} does not accept masterauth (and masteruser) of this server: {reply}")
            }
            Cause::NotPermitted(reply) => {
                format!("the user of this link at {at} needs +ping +replconf +psync +sync: {reply}")
            }
            Cause::NotRedis(reply) => format!("what answers at {at} is no master for this server: {reply}"),
            Cause::Loading => format!("{at} is loading its data set; the link comes up when it is done"),
            Cause::NoMasterLink => {
                format!("{at} is itself a replica and not in sync with its own master, or is handing over its role")
            }
            Cause::Refuses(reply) => format!("{at} refuses to be the master of this server: {reply}"),
            Cause::BadSnapshot(what) => format!("the data set that {at} sent cannot be loaded: {what}"),
            Cause::Nonsense(what) => format!("the stream from {at} makes no sense: {what}"),
            Cause::Store(what) => format!("the data set from {at} cannot be stored here: {what}"),
        }
    }

    /// Whether another attempt at once is likely to meet the same.
    pub fn is_damage(&self) -> bool {
        matches!(self, Cause::BadSnapshot(_) | Cause::Nonsense(_) | Cause::Store(_))
    }
}

/// A reply as text: one line, not too long.
pub fn quote(reply: &[u8]) -> String {
    const LONGEST: usize = 200;
    let shown = reply.get(..LONGEST).unwrap_or(reply);
    let more = if shown.len() < reply.len() { "..." } else { "" };
    format!("{}{more}", String::from_utf8_lossy(shown)).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Attempts that failed in a row.
#[derive(Clone, Debug)]
pub struct Trouble {
    cause: Cause,
    at: Address,
    since: Millis,
    attempts: u64,
    /// A port of the same host where somebody listens, while nobody does on the one that is asked for.
    answers: Option<u16>,
}

/// The port that is meant most often where another one is written.
pub const USUAL_PORT: u16 = 6379;

impl Trouble {
    /// One more failed attempt; the line for the log if there is something new to say.
    pub fn note(trouble: &mut Option<Trouble>, now: Millis, cause: Cause, at: &Address) -> Option<LogLine> {
        let cause = cause.on_one_line();
        let (since, attempts, known) = match trouble.as_ref().filter(|t| t.at == *at) {
            Some(t) => (t.since, t.attempts + 1, std::mem::discriminant(&t.cause) == std::mem::discriminant(&cause)),
            None => (now, 1, false),
        };
        let text = cause.text(at);
        let answers = trouble.as_ref().filter(|t| t.at == *at).and_then(|t| t.answers);
        *trouble = Some(Trouble { cause, at: at.clone(), since, attempts, answers });
        let round = attempts >= 10 && (0..19).any(|power| 10u64.pow(power) == attempts);
        (!known || round).then(|| LogLine::warning(format!("No link to the master: {text} (attempt {attempts}).")))
    }

    /// Whether it is time to find out if the usual port answers: at the third refusal, and now and then.
    pub fn wants_probe(&self) -> bool {
        let round = self.attempts == 3 || (1..19).any(|power| 10u64.pow(power) == self.attempts);
        self.cause == Cause::Refused && self.at.port != USUAL_PORT && round
    }

    /// Somebody listens on another port of that host, or does not.
    pub fn on_probe(&mut self, port: Option<u16>) -> Option<LogLine> {
        let new = port.is_some() && self.answers != port && self.cause == Cause::Refused;
        self.answers = port;
        new.then(|| {
            LogLine::warning(format!("No link to the master: {} (attempt {}).", self.cause_text(), self.attempts))
        })
    }

    fn cause_text(&self) -> String {
        match (&self.cause, self.answers) {
            (Cause::Refused, Some(answers)) => format!(
                "{} refuses connections: nothing listens on {} at that host ({answers} answers); check the port of \
                 replicaof",
                self.at, self.at.port
            ),
            _ => self.cause.text(&self.at),
        }
    }

    /// `master_link_error`.
    pub fn text(&self, now: Millis) -> String {
        let secs = now.since(self.since).max(0) / 1000;
        let times = if self.attempts == 1 { "attempt" } else { "attempts" };
        format!("{}; for {secs} s, {} {times}", self.cause_text(), self.attempts)
    }

    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    pub fn since(&self) -> Millis {
        self.since
    }
}

impl Cause {
    /// Texts from the other side or the system may hold anything.
    fn on_one_line(mut self) -> Cause {
        match &mut self {
            Cause::Unreachable(text)
            | Cause::WrongPassword(text)
            | Cause::NotPermitted(text)
            | Cause::NotRedis(text)
            | Cause::Refuses(text)
            | Cause::BadSnapshot(text)
            | Cause::Nonsense(text)
            | Cause::Store(text)
            | Cause::Cut { how: text, .. } => *text = quote(text.as_bytes()),
            Cause::Refused | Cause::Silent { .. } | Cause::NeedsPassword | Cause::Loading | Cause::NoMasterLink => {}
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_address_cause_and_time() {
        let at = Address::new("10.5.6.195", 6739);
        let mut trouble = None;
        let first = Trouble::note(&mut trouble, Millis(1_000), Cause::Refused, &at).unwrap();
        assert!(
            first.text.contains("10.5.6.195:6739 refuses connections: nothing listens on port 6739"),
            "{}",
            first.text
        );
        let mut said = 0;
        for second in 2..=100 {
            said += u32::from(Trouble::note(&mut trouble, Millis(second * 1_000), Cause::Refused, &at).is_some());
        }
        assert_eq!(said, 2, "at the tenth and the hundredth attempt");
        let text = trouble.as_ref().unwrap().text(Millis(101_000));
        assert!(text.ends_with("; for 100 s, 100 attempts"), "{text}");

        let other = Trouble::note(&mut trouble, Millis(102_000), Cause::NeedsPassword, &at).unwrap();
        assert!(other.text.contains("set masterauth"));
        assert_eq!(trouble.as_ref().unwrap().since(), Millis(1_000), "it is the same outage");

        Trouble::note(&mut trouble, Millis(103_000), Cause::Refused, &Address::new("10.5.6.195", 6379));
        assert_eq!(trouble.unwrap().since(), Millis(103_000), "another master, another outage");
    }

    #[test]
    fn the_usual_port_is_tried_where_another_refuses() {
        let at = Address::new("10.5.6.195", 6739);
        let mut trouble = None;
        let mut probes = Vec::new();
        for attempt in 1..=100 {
            Trouble::note(&mut trouble, Millis(attempt), Cause::Refused, &at);
            if trouble.as_ref().unwrap().wants_probe() {
                probes.push(attempt);
            }
        }
        assert_eq!(probes, [3, 10, 100]);
        let mut trouble = trouble.unwrap();
        assert_eq!(trouble.on_probe(None), None, "nothing to say");
        let line = trouble.on_probe(Some(6379)).unwrap();
        assert!(line.text.contains("nothing listens on 6739 at that host (6379 answers)"), "{}", line.text);
        assert_eq!(trouble.on_probe(Some(6379)), None, "once is enough");
        assert!(trouble.text(Millis(0)).contains("(6379 answers)"));
        let mut usual = None;
        (0..3).for_each(|_| drop(Trouble::note(&mut usual, Millis(0), Cause::Refused, &Address::new("h", USUAL_PORT))));
        assert!(!usual.unwrap().wants_probe());
    }

    #[test]
    fn what_the_other_side_says_stays_on_one_line() {
        let mut trouble = None;
        let reply = format!("HTTP/1.1 400\r\nServer: x\r\n{}", "y".repeat(1_000));
        Trouble::note(&mut trouble, Millis(0), Cause::NotRedis(reply), &Address::new("::1", 80));
        let text = trouble.unwrap().text(Millis(0));
        assert!(text.contains("[::1]:80") && text.contains("HTTP/1.1 400??Server") && text.len() < 400, "{text}");
        assert!(!text.contains(['\r', '\n']));
    }
}
