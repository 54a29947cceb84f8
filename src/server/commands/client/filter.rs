//! The filters that CLIENT LIST and CLIENT KILL share.
//!
//! *Duty:* read them, and say whether a connection meets them all. A filter may be negated (`NOT-ADDR`), and stand
//! several times. *Does not know:* what happens to those that are meant. *Counterpart in C Redis:* the filters of
//! `clientCommand`; those beyond 7.4's are Valkey's `parseClientFiltersOrReply`.

use super::{Kind, client_id, list};
use crate::acl::UserId;
use crate::base::num;
use crate::call::{Args, CmdError};
use crate::server::Server;
use crate::server::client::Client;

enum Test<'a> {
    Ids(Vec<u64>),
    Kind(Kind),
    Addr(&'a [u8]),
    Laddr(&'a [u8]),
    Ip(&'a [u8]),
    User(UserId),
    /// Seconds.
    MinAge(u64),
    MinIdle(u64),
    Name(&'a [u8]),
    LibName(&'a [u8]),
    LibVer(&'a [u8]),
    Flags(&'a [u8]),
    Db(u32),
}

/// What must be true of a connection.
pub(super) struct Filter<'a> {
    tests: Vec<(Test<'a>, bool)>,
    /// The one that asks is not meant.
    pub skip_caller: bool,
}

/// The words of filters, those that may be negated first.
const WORDS: [&str; 14] = [
    "ID", "TYPE", "ADDR", "LADDR", "IP", "USER", "NAME", "LIB-NAME", "LIB-VER", "FLAGS", "DB", "IDLE", "MAXAGE",
    "SKIPME",
];
const NEGATABLE: usize = 11;

/// The filter that the argument at `i` names, and whether it is negated.
pub(super) fn word(args: Args<'_>, i: usize) -> Option<(&'static str, bool)> {
    let text = args.opt(i)?;
    if let Some(word) = WORDS.iter().find(|word| args.is(i, word)) {
        return Some((*word, false));
    }
    let rest = text.get(4..).filter(|_| text[..4].eq_ignore_ascii_case(b"NOT-"))?;
    let words = WORDS[..NEGATABLE].iter();
    words.clone().find(|word| rest.eq_ignore_ascii_case(word.as_bytes())).map(|word| (*word, true))
}

impl<'a> Filter<'a> {
    pub fn by_address(addr: &'a [u8]) -> Filter<'a> {
        Filter { tests: vec![(Test::Addr(addr), true)], skip_caller: false }
    }

    /// Reads filters to the end of `args`.
    pub fn parse(srv: &Server, args: Args<'a>, from: usize, skip_caller: bool) -> Result<Filter<'a>, CmdError> {
        let mut filter = Filter { tests: Vec::new(), skip_caller };
        let mut at = from;
        while at < args.len() {
            let (word, negated) = word(args, at).ok_or(CmdError::Syntax)?;
            args.opt(at + 1).ok_or(CmdError::Syntax)?;
            if word == "SKIPME" {
                filter.skip_caller = args.is(at + 1, "YES");
                if !filter.skip_caller && !args.is(at + 1, "NO") {
                    return Err(CmdError::Syntax);
                }
                at += 2;
                continue;
            }
            let (test, next) = Test::parse(srv, word, args, at + 1)?;
            filter.tests.push((test, !negated));
            at = next;
        }
        Ok(filter)
    }

    pub fn meets(&self, srv: &Server, client: &Client) -> bool {
        self.tests.iter().all(|(test, wanted)| test.holds(srv, client) == *wanted)
    }
}

impl<'a> Test<'a> {
    /// The test that `word` asks for with what stands at `at`, and where the next word stands.
    fn parse(srv: &Server, word: &str, args: Args<'a>, at: usize) -> Result<(Test<'a>, usize), CmdError> {
        let value = args.get(at);
        let test = match word {
            "ID" => return Test::ids(args, at),
            "TYPE" => Test::Kind(Kind::parse(args, at)?),
            "ADDR" => Test::Addr(value),
            "LADDR" => Test::Laddr(value),
            "IP" => Test::Ip(value),
            "USER" => {
                let no_such = || CmdError::text([b"ERR No such user '", value, b"'"].concat());
                Test::User(srv.acl.users.find(value).ok_or_else(no_such)?)
            }
            "NAME" => Test::Name(value),
            "LIB-NAME" => Test::LibName(value),
            "LIB-VER" => Test::LibVer(value),
            "FLAGS" => Test::Flags(value),
            "DB" => {
                let db = client_id(value, "ERR DB is not an integer or out of range")?;
                Test::Db(u32::try_from(db).map_err(|_| CmdError::Fixed("ERR DB index is out of range"))?)
            }
            "IDLE" => {
                client_id(value, "ERR idle is not an integer or out of range")?;
                Test::MinIdle(positive(value, "ERR idle should be greater than 0")?)
            }
            _ => {
                client_id(value, "ERR maxage is not an integer or out of range")?;
                Test::MinAge(positive(value, "ERR maxage should be greater than 0")?)
            }
        };
        Ok((test, at + 1))
    }

    /// One id or more, as far as there are numbers.
    fn ids(args: Args<'a>, at: usize) -> Result<(Test<'a>, usize), CmdError> {
        let end = (at + 1..args.len()).find(|i| num::parse_i64(args.get(*i)).is_none()).unwrap_or(args.len());
        let ids = (at..end).map(|i| positive(args.get(i), "ERR client-id should be greater than 0"));
        Ok((Test::Ids(ids.collect::<Result<_, _>>()?), end))
    }

    fn holds(&self, srv: &Server, client: &Client) -> bool {
        let names = client.names.as_deref();
        let said = |name: Option<&'_ Vec<u8>>, wanted: &[u8]| name.map_or(b"".as_slice(), |n| n) == wanted;
        match self {
            Test::Ids(ids) => ids.contains(&client.id.0),
            Test::Kind(kind) => Kind::of(client) == *kind,
            Test::Addr(addr) => list::peer(srv, client).as_bytes() == *addr,
            Test::Laddr(addr) => list::local(srv, client).as_bytes() == *addr,
            Test::Ip(ip) => client.stream.peer().is_some_and(|peer| peer.ip().to_string().as_bytes() == *ip),
            Test::User(user) => client.user == Some(*user),
            Test::MinAge(seconds) => list::seconds_since(srv, client.created_ms) >= *seconds,
            Test::MinIdle(seconds) => list::seconds_since(srv, client.last_seen_ms) >= *seconds,
            Test::Name(name) => client.name() == *name,
            Test::LibName(name) => said(names.map(|n| &n.lib_name), name),
            Test::LibVer(version) => said(names.map(|n| &n.lib_ver), version),
            Test::Flags(letters) => {
                let has = list::flag_letters(client);
                letters.iter().all(|letter| has.as_bytes().contains(letter))
            }
            Test::Db(db) => client.db.0 == *db,
        }
    }
}

fn positive(arg: &[u8], refusal: &'static str) -> Result<u64, CmdError> {
    match client_id(arg, refusal)? {
        n @ 1.. => Ok(n as u64),
        _ => Err(CmdError::Fixed(refusal)),
    }
}
