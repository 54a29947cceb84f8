//! [`World`]: a keyspace, a clock and one connection's state; runs a request and tells what followed.
//!
//! *Duty:* for a data command what the server does for it: arity, the handler, its own propagation; and the few
//! server commands that transcripts need to say what they mean (SELECT, CONFIG SET of settings of the keyspace).
//! *Invariants:* a command that refuses has written and changed nothing; one that is only read changes nothing.

use std::collections::BTreeMap;

use redstart::base::millis::Millis;
use redstart::base::{quote, units};
use redstart::call::effects::{Replicate, Targets};
use redstart::call::{Args, Call, Caller, Class, CmdError, DbId, Effects, Wants};
use redstart::command::FAMILIES;
use redstart::command::spec::{DataCommand, MAY_REPLICATE, READONLY};
use redstart::keyspace::Keyspace;
use redstart::resp::{Argv, Proto, ReplyBuf};

use crate::reply;

/// Where the clock of a block begins.
const START: Millis = Millis(1000);
const EXPIRE_BUDGET: usize = 100;

pub struct World {
    ks: Keyspace,
    now: Millis,
    db: DbId,
    proto: Proto,
    commands: BTreeMap<&'static str, &'static DataCommand>,
}

/// Transcript lines.
#[derive(Default)]
pub struct Outcome {
    pub reply: Vec<String>,
    pub effects: Vec<String>,
}

impl World {
    pub fn new(resp3: bool) -> World {
        let rows = FAMILIES.iter().copied().flatten();
        let mut world = World {
            ks: Keyspace::new(16, 1),
            now: START,
            db: DbId(0),
            proto: if resp3 { Proto::Resp3 } else { Proto::Resp2 },
            commands: rows.map(|command| (command.spec.name, command)).collect(),
        };
        world.ks.access.tick(START);
        world
    }

    pub fn advance(&mut self, ms: i64) -> Outcome {
        self.now = self.now.plus(ms);
        self.ks.access.tick(self.now);
        Outcome::default()
    }

    pub fn expire(&mut self) -> Outcome {
        let mut fx = all_effects();
        while self.ks.expire_slice(self.now, EXPIRE_BUDGET, &mut fx) {}
        Outcome { reply: Vec::new(), effects: effect_lines(&fx) }
    }

    pub fn request(&mut self, line: &str) -> Outcome {
        let words = quote::split_args(line.as_bytes()).unwrap_or_else(|| panic!("unbalanced quotes: {line}"));
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        if let Some(reply) = self.server_command(&words) {
            return Outcome { reply: vec![format!("< {reply}")], effects: Vec::new() };
        }
        let argv = Argv::from_args(&words);
        let mut reply = ReplyBuf::new(self.proto);
        let mut fx = all_effects();
        match self.run(Args::of(&argv), &mut reply, &mut fx) {
            Ok(()) if fx.block.is_some() => assert!(reply.is_empty(), "{line}: replied, and blocks"),
            Ok(()) => {}
            Err(error) => {
                assert!(reply.is_empty() && fx.dirty == 0, "{line}: did something, then refused");
                reply.error(&error.message());
            }
        }
        if fx.dirty > 0 && fx.replicate == Replicate::Verbatim {
            fx.ops.push(self.db, Targets::ALL, Args::of(&argv).iter());
        }
        let reply = if fx.block.is_some() { Vec::new() } else { reply::lines(reply.bytes()) };
        Outcome { reply, effects: effect_lines(&fx) }
    }

    fn run(&mut self, args: Args<'_>, reply: &mut ReplyBuf, fx: &mut Effects) -> Result<(), CmdError> {
        let name = String::from_utf8_lossy(args.get(0)).to_ascii_lowercase();
        let sub = args.opt(1).map(|sub| String::from_utf8_lossy(sub).to_ascii_lowercase());
        let sub = sub.and_then(|sub| self.commands.get(format!("{name}|{sub}").as_str()));
        let command =
            *sub.or_else(|| self.commands.get(name.as_str())).unwrap_or_else(|| panic!("{name} is no data command"));
        if !command.spec.arity_fits(args.len()) {
            return Err(CmdError::Arity(command.spec.name.into()));
        }
        let caller = Caller { db: self.db, ..Caller::default() };
        let mut call = Call { args, caller, now: self.now, woken_by: None, reply, fx };
        let result = (command.run)(&mut self.ks, &mut call);
        let silent = fx.dirty == 0 && fx.replicate == Replicate::Verbatim;
        let flags = command.spec.flags;
        assert!(silent || !flags.has(READONLY) || flags.has(MAY_REPLICATE), "{name} is read-only and changes the data");
        result
    }

    fn server_command(&mut self, words: &[&[u8]]) -> Option<&'static str> {
        let words: Vec<&str> = words.iter().map(|word| std::str::from_utf8(word).unwrap_or("")).collect();
        match words[..] {
            [name, db] if name.eq_ignore_ascii_case("select") => {
                self.db = DbId(db.parse().unwrap_or_else(|_| panic!("SELECT {db}")));
                Some("+OK")
            }
            [name, set, directive, value] if name.eq_ignore_ascii_case("config") && set.eq_ignore_ascii_case("set") => {
                self.configure(directive, value);
                Some("+OK")
            }
            _ => None,
        }
    }

    fn configure(&mut self, directive: &str, value: &str) {
        let settings = &mut self.ks.settings;
        match directive {
            "proto-max-bulk-len" => settings.max_string = units::parse_memory(value.as_bytes()).expect("a size"),
            "lazyfree-lazy-user-del" => settings.lazy_user_del = value == "yes",
            "lazyfree-lazy-expire" => settings.lazy_expire = value == "yes",
            "maxmemory-policy" => self.ks.access.lfu = value.ends_with("lfu"),
            "list-max-listpack-size" => settings.limits.list_max_listpack_size = value.parse().expect("a number"),
            "zset-max-listpack-entries" => settings.limits.zset_max_listpack_entries = value.parse().expect("a number"),
            _ => panic!("the world has no {directive}"),
        }
    }
}

/// Effects of which all are recorded.
fn all_effects() -> Effects {
    let wants = Wants { ops: true, touched: true, events: Class(u16::MAX) };
    Effects { wants, ..Effects::default() }
}

/// Operations, then events, then what the caller waits for, each in order.
fn effect_lines(fx: &Effects) -> Vec<String> {
    let mut lines = Vec::new();
    for op in fx.ops.iter() {
        lines.push(format!("~ {}op{}", in_db(op.db), words(op.args().into_iter())));
    }
    for notice in &fx.events {
        lines.push(format!(
            "~ {}event {}{}",
            in_db(notice.db),
            notice.event.name,
            words(std::iter::once(&*notice.key))
        ));
    }
    if let Some(block) = &fx.block {
        let until = block.deadline.map_or("forever".to_string(), |at| format!("until {}", at.0));
        lines.push(format!("~ wait{} {until}", words(block.keys.iter().map(|key| &**key))));
    }
    lines
}

/// Nothing for database 0, of which nearly all lines are.
fn in_db(db: DbId) -> String {
    if db.0 == 0 { String::new() } else { format!("db{} ", db.0) }
}

/// Each word with a blank before it; quoted when it would not read back as one.
fn words<'a>(args: impl Iterator<Item = &'a [u8]>) -> String {
    let mut out = String::new();
    for arg in args {
        let is_plain = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\');
        out.push(' ');
        if !arg.is_empty() && arg.iter().all(is_plain) {
            out += &String::from_utf8_lossy(arg);
        } else {
            out += &reply::repr(arg);
        }
    }
    out
}
