//! CLIENT KILL.
//!
//! *Duty:* find the connections that are meant, and end them. *Invariant:* a connection that was ended takes part in
//! nothing from then on (it waits for no key, hears no message), although its slot is freed at the end of the turn;
//! the one that asked still gets its answer. *Counterpart in C Redis:* the KILL branch of `clientCommand`.

use super::{Kind, OTHERS, client_id, list, row};
use crate::call::{Args, Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::server::Server;
use crate::server::client::{Client, Flags as ClientFlags};
use crate::server::commands::ServerCommand;
use crate::server::commands::connection::DEFAULT_USER;

pub const KILL: ServerCommand = row(
    kill,
    Spec {
        name: "client|kill",
        arity: -3,
        since: "2.4.0",
        complexity: "O(N) where N is the number of client connections",
        summary: "Ends connections.",
        syntax: "<ip:port|<[ID client-id]|[TYPE <NORMAL|MASTER|SLAVE|REPLICA|PUBSUB>]|[USER username]|[ADDR ip:port]|\
                 [LADDR ip:port]|[SKIPME <YES|NO>]|[MAXAGE maxage]> [<[ID client-id]|[TYPE <NORMAL|MASTER|SLAVE|\
                 REPLICA|PUBSUB>]|[USER username]|[ADDR ip:port]|[LADDR ip:port]|[SKIPME <YES|NO>]|[MAXAGE maxage]> \
                 ...]>",
        history: &[
            ("2.8.12", "Added new filter format."),
            ("2.8.12", "`ID` option."),
            ("3.2.0", "Added `master` type in for `TYPE` option."),
            ("5.0.0", "Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward compatibility."),
            ("6.2.0", "`LADDR` option."),
        ],
        ..OTHERS
    },
);

/// What must be true of a connection to be ended.
struct Filter<'a> {
    id: Option<u64>,
    kind: Option<Kind>,
    addr: Option<&'a [u8]>,
    laddr: Option<&'a [u8]>,
    /// Seconds.
    min_age: Option<u64>,
    skip_caller: bool,
}

impl<'a> Filter<'a> {
    const ANY: Filter<'static> =
        Filter { id: None, kind: None, addr: None, laddr: None, min_age: None, skip_caller: true };

    fn parse(args: Args<'a>) -> Result<Filter<'a>, CmdError> {
        let mut filter = Filter::ANY;
        let mut at = 2;
        while at < args.len() {
            let value = args.opt(at + 1).ok_or(CmdError::Syntax)?;
            if args.is(at, "ID") {
                filter.id = Some(positive(value, "ERR client-id should be greater than 0")?);
            } else if args.is(at, "TYPE") {
                filter.kind = Some(Kind::parse(args, at + 1)?);
            } else if args.is(at, "ADDR") {
                filter.addr = Some(value);
            } else if args.is(at, "LADDR") {
                filter.laddr = Some(value);
            } else if args.is(at, "USER") {
                // All connections are those of the one user there is.
                if value != DEFAULT_USER {
                    return Err(CmdError::text([b"ERR No such user '", value, b"'"].concat()));
                }
            } else if args.is(at, "MAXAGE") {
                client_id(value, "ERR maxage is not an integer or out of range")?;
                filter.min_age = Some(positive(value, "ERR maxage should be greater than 0")?);
            } else if args.is(at, "SKIPME") {
                filter.skip_caller = args.is(at + 1, "YES");
                if !filter.skip_caller && !args.is(at + 1, "NO") {
                    return Err(CmdError::Syntax);
                }
            } else {
                return Err(CmdError::Syntax);
            }
            at += 2;
        }
        Ok(filter)
    }

    fn meets(&self, srv: &Server, client: &Client) -> bool {
        let age = || list::seconds_since(srv, client.created_ms);
        self.id.is_none_or(|id| client.id.0 == id)
            && self.kind.is_none_or(|kind| Kind::of(client) == kind)
            && self.min_age.is_none_or(|seconds| age() >= seconds)
            && self.addr.is_none_or(|a| list::peer(srv, client).as_bytes() == a)
            && self.laddr.is_none_or(|a| list::local(srv, client).as_bytes() == a)
    }
}

fn positive(arg: &[u8], refusal: &'static str) -> Result<u64, CmdError> {
    match client_id(arg, refusal)? {
        n @ 1.. => Ok(n as u64),
        _ => Err(CmdError::Fixed(refusal)),
    }
}

fn kill(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let old_form = call.args.len() == 3;
    let filter = if old_form {
        Filter { addr: Some(call.arg(2)), skip_caller: false, ..Filter::ANY }
    } else {
        Filter::parse(call.args)?
    };
    let own = call.caller.client.slot as usize;
    let meant: Vec<usize> = srv
        .clients
        .open()
        .filter(|(slot, client)| !(filter.skip_caller && *slot == own) && filter.meets(srv, client))
        .map(|(slot, _)| slot)
        .collect();
    match (old_form, meant.len()) {
        (true, 0) => return Err(CmdError::Fixed("ERR No such client")),
        (true, _) => call.reply.ok(),
        (false, count) => call.reply.len_of(count),
    }
    for slot in meant {
        if slot == own {
            srv.clients[slot].flags.set(ClientFlags::CLOSE_AFTER_REPLY);
        } else {
            srv.end_client(slot);
        }
    }
    Ok(())
}

impl Server {
    /// Ends a connection other than the one whose command runs. Its peer hears of it before whoever asked for it does,
    /// so that what is asked there next shows it.
    pub fn end_client(&mut self, slot: usize) {
        self.clients[slot].stream.hang_up();
        self.drop_state(slot);
        self.clients.close_asap(slot);
    }

    /// Takes a connection out of everything that knows it.
    pub fn drop_state(&mut self, slot: usize) {
        self.drop_blocked(slot);
        self.drop_postponed(slot);
        self.drop_ack_wait(slot);
        self.drop_asker(slot);
        self.drop_subscriptions(slot);
        self.drop_tracking(slot);
        self.stop_monitor(slot);
        self.drop_replica(slot);
        self.unwatch(slot);
    }
}
