//! CLIENT: what is known of connections, and what can be done to them.
//!
//! *Duty:* the rows and the small subcommands; [`list`] shows connections, [`kill`] ends them ([`filter`] says which), [`pause`] lets them wait,
//! [`tracking`] is about keys that they keep copies of. *Does not know:* what follows from a flag that it sets.
//! *Counterpart in C Redis:* `clientCommand`.

mod filter;
mod kill;
mod list;
mod pause;
mod tracking;

pub use list::asking;

use super::{ServerCommand, ServerHandler};
use crate::base::num;
use crate::call::{Args, Call, ClientId, CmdError, CmdResult};
use crate::command::help::unknown_or_misused;
use crate::command::spec::*;
use crate::server::Server;
use crate::server::blocking::Unblock;
use crate::server::client::{Client, Flags as ClientFlags, Names};

pub const COMMANDS: &[ServerCommand] = &[
    CLIENT,
    tracking::CACHING,
    GETNAME,
    tracking::GETREDIR,
    HELP,
    ID,
    list::INFO,
    kill::KILL,
    list::LIST,
    NO_EVICT,
    NO_TOUCH,
    pause::PAUSE,
    REPLY,
    SETINFO,
    SETNAME,
    tracking::TRACKING,
    tracking::TRACKINGINFO,
    UNBLOCK,
    pause::UNPAUSE,
];

/// About the own connection: for everybody.
const OWN: Spec = Spec { flags: NOSCRIPT.or(LOADING).or(STALE), complexity: "O(1)", ..Spec::BASE };
/// For those who may look at others, or touch them.
const OTHERS: Spec = Spec { flags: ADMIN.or(OWN.flags), ..OWN };

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    Command::new(run, Spec { acl: Categories::CONNECTION, ..container(spec) })
}

const fn container(spec: Spec) -> Spec {
    Spec { group: Group::Connection, ..spec }
}

fn caller<'s>(srv: &'s mut Server, call: &Call<'_>) -> &'s mut Client {
    &mut srv.clients[call.caller.client.slot as usize]
}

pub const CLIENT: ServerCommand = Command::new(
    // Reached only without a subcommand, which the arity forbids.
    |_, _| Err(CmdError::Syntax),
    container(Spec {
        name: "client",
        arity: -2,
        since: "2.4.0",
        complexity: "Depends on subcommand.",
        summary: "A container for commands about connections.",
        ..Spec::BASE
    }),
);

pub const ID: ServerCommand = row(
    |_, call| {
        call.reply.int(call.caller.client.id.0 as i64);
        Ok(())
    },
    Spec { name: "client|id", arity: 2, since: "5.0.0", summary: "Tells the connection's id.", ..OWN },
);

pub const GETNAME: ServerCommand = row(
    |srv, call| {
        match caller(srv, call).name() {
            b"" => call.reply.null(),
            name => call.reply.bulk(name),
        }
        Ok(())
    },
    Spec { name: "client|getname", arity: 2, since: "2.6.9", summary: "Tells the connection's name.", ..OWN },
);

pub const SETNAME: ServerCommand = row(
    |srv, call| {
        caller(srv, call).set_name(call.arg(2))?;
        call.reply.ok();
        Ok(())
    },
    Spec {
        name: "client|setname",
        arity: 3,
        since: "2.6.9",
        summary: "Names the connection.",
        syntax: "connection-name",
        ..OWN
    },
);

pub const SETINFO: ServerCommand = row(
    setinfo,
    Spec {
        name: "client|setinfo",
        arity: 4,
        since: "7.2.0",
        summary: "Tells the server which library speaks.",
        syntax: "<LIB-NAME libname|LIB-VER libver>",
        tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
        ..OWN
    },
);

fn setinfo(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let (option, value) = (call.arg(2), call.arg(3));
    let is_name = call.args.is(2, "LIB-NAME");
    if !is_name && !call.args.is(2, "LIB-VER") {
        return Err(CmdError::text([b"ERR Unrecognized option '", option, b"'"].concat()));
    }
    if !Names::may_be(value) {
        let rest = b" cannot contain spaces, newlines or special characters.";
        return Err(CmdError::text([b"ERR ", option, rest.as_slice()].concat()));
    }
    let names = caller(srv, call).names.get_or_insert_default();
    if is_name {
        names.lib_name = value.to_vec();
    } else {
        names.lib_ver = value.to_vec();
    }
    call.reply.ok();
    Ok(())
}

pub const REPLY: ServerCommand = row(
    reply,
    Spec {
        name: "client|reply",
        arity: 3,
        since: "3.2.0",
        summary: "Says whether the connection wants replies.",
        syntax: "<ON|OFF|SKIP>",
        ..OWN
    },
);

fn reply(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let flags = &mut caller(srv, call).flags;
    if call.args.is(2, "ON") {
        flags.clear(ClientFlags(ClientFlags::REPLY_OFF.0 | ClientFlags::REPLY_SKIP.0));
        call.reply.ok();
    } else if call.args.is(2, "OFF") {
        flags.set(ClientFlags::REPLY_OFF);
    } else if !call.args.is(2, "SKIP") {
        return Err(CmdError::Syntax);
    } else if !flags.has(ClientFlags::REPLY_OFF) {
        flags.set(ClientFlags::REPLY_SKIP_NEXT);
    }
    Ok(())
}

pub const NO_EVICT: ServerCommand = row(
    |srv, call| switch(srv, call, ClientFlags::NO_EVICT),
    Spec {
        name: "client|no-evict",
        arity: 3,
        since: "7.0.0",
        summary: "Keeps the connection when memory for clients runs out.",
        syntax: "<ON|OFF>",
        ..OTHERS
    },
);

pub const NO_TOUCH: ServerCommand = row(
    |srv, call| switch(srv, call, ClientFlags::NO_TOUCH),
    Spec {
        name: "client|no-touch",
        arity: 3,
        since: "7.2.0",
        summary: "Says whether the connection's reading counts as use of keys.",
        syntax: "<ON|OFF>",
        ..OWN
    },
);

fn switch(srv: &mut Server, call: &mut Call<'_>, flag: ClientFlags) -> CmdResult {
    let flags = &mut caller(srv, call).flags;
    if call.args.is(2, "ON") {
        flags.set(flag);
    } else if call.args.is(2, "OFF") {
        flags.clear(flag);
    } else {
        return Err(CmdError::Syntax);
    }
    call.reply.ok();
    Ok(())
}

pub const UNBLOCK: ServerCommand = row(
    unblock,
    Spec {
        name: "client|unblock",
        arity: -3,
        since: "5.0.0",
        complexity: "O(log N) where N is the number of client connections",
        summary: "Ends the wait of a blocked connection.",
        syntax: "client-id [<TIMEOUT|ERROR>]",
        ..OTHERS
    },
);

fn unblock(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let why = match call.args.len() {
        3 => Unblock::Timeout,
        4 if call.args.is(3, "TIMEOUT") => Unblock::Timeout,
        4 if call.args.is(3, "ERROR") => Unblock::Error,
        4 => return Err(CmdError::Fixed("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")),
        _ => return Err(unknown_or_misused(call)),
    };
    let id = call.args.int(2)?;
    let slot = u64::try_from(id).ok().and_then(|id| srv.clients.by_id(ClientId(id)));
    let ended = slot.is_some_and(|slot| srv.unblock(srv.clients[slot].reference(slot), why));
    call.reply.int(ended as i64);
    Ok(())
}

/// What a connection is for, as `TYPE` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    Master,
    Replica,
    PubSub,
}

impl Kind {
    fn parse(args: Args<'_>, i: usize) -> Result<Kind, CmdError> {
        let names = [
            ("normal", Kind::Normal),
            ("slave", Kind::Replica),
            ("replica", Kind::Replica),
            ("pubsub", Kind::PubSub),
            ("master", Kind::Master),
        ];
        match names.into_iter().find(|(name, _)| args.is(i, name)) {
            Some((_, kind)) => Ok(kind),
            None => Err(CmdError::text([b"ERR Unknown client type '", args.get(i), b"'"].concat())),
        }
    }

    fn of(client: &Client) -> Kind {
        if client.flags.has(ClientFlags::MASTER) {
            Kind::Master
        } else if client.flags.has(ClientFlags::REPLICA) {
            Kind::Replica
        } else if client.flags.has(ClientFlags::SUBSCRIBED) {
            Kind::PubSub
        } else {
            Kind::Normal
        }
    }
}

/// A client id among options, with the text that refuses one.
fn client_id(arg: &[u8], refusal: &'static str) -> Result<i64, CmdError> {
    num::parse_i64(arg).ok_or(CmdError::Fixed(refusal))
}

pub const HELP: ServerCommand = row(help, Spec { name: "client|help", since: "5.0.0", ..Spec::HELP });

fn help(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    crate::command::help::reply(
        call,
        &[
            "CACHING (YES|NO)",
            "    Says of the next command whether its keys are tracked, under OPTIN and OPTOUT.",
            "GETREDIR",
            "    Tells who gets the messages about changed keys: an id, 0 for this connection.",
            "GETNAME",
            "    Tells the connection's name.",
            "ID",
            "    Tells the connection's id.",
            "INFO",
            "    Shows this connection, as LIST shows all.",
            "KILL <ip:port>",
            "    Ends the connection that comes from there.",
            "KILL <option> <value> [<option> <value> [...]]",
            "    Ends the connections that meet all options:",
            "    * ID <client-id>: the one with this id.",
            "    * ADDR (<ip:port>|<unixsocket>:0): those that come from there.",
            "    * LADDR (<ip:port>|<unixsocket>:0): those that came to this address of ours.",
            "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB): those that are for this.",
            "    * USER <username>: those of this user.",
            "    * MAXAGE <seconds>: those that are at least so old.",
            "    * IDLE <seconds>: those that said nothing for so long.",
            "    * NAME, LIB-NAME, LIB-VER, FLAGS, DB, IP <value>: those of which LIST shows this.",
            "    * NOT-<option> <value>: those that do not meet the option.",
            "    * SKIPME (YES|NO): spare the one that asks (default: yes).",
            "LIST [<option> <value> [...]]",
            "    Shows connections, one in a line; with options as of KILL, those that meet them.",
            "    ID takes several ids, and spares nobody.",
            "NO-EVICT (ON|OFF)",
            "    Keeps this connection when memory for clients runs out.",
            "NO-TOUCH (ON|OFF)",
            "    Says whether reading leaves the access times of keys alone.",
            "PAUSE <timeout> [WRITE|ALL]",
            "    Lets commands wait for so many milliseconds, all or those that write.",
            "REPLY (ON|OFF|SKIP)",
            "    Says whether this connection wants replies; SKIP means the next one.",
            "SETINFO (LIB-NAME <name>|LIB-VER <version>)",
            "    Tells the server which library speaks.",
            "SETNAME <name>",
            "    Names this connection.",
            "TRACKING (ON|OFF) [REDIRECT <client-id>] [BCAST] [PREFIX <prefix> [...]]",
            "         [OPTIN] [OPTOUT] [NOLOOP]",
            "    Switches messages about keys that this connection has read and that changed.",
            "TRACKINGINFO",
            "    Tells which of these messages this connection gets.",
            "UNBLOCK <client-id> [TIMEOUT|ERROR]",
            "    Ends the wait of a blocked connection.",
            "UNPAUSE",
            "    Ends a pause.",
        ],
    );
    Ok(())
}
