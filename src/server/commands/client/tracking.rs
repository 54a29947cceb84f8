//! CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO.
//!
//! *Duty:* the rows, and which options go together. *Does not know:* what is noted and sent (`server/track.rs`).
//! *Counterpart in C Redis:* the branches of `clientCommand` with these names, `checkPrefixCollisionsOrReply`.

use super::{OWN, caller, row};
use crate::call::{Args, Call, ClientId, ClientRef, CmdError, CmdResult};
use crate::command::spec::*;
use crate::server::Server;
use crate::server::client::{Client, Flags as ClientFlags};
use crate::server::commands::ServerCommand;

pub const TRACKING: ServerCommand = row(
    tracking,
    Spec {
        name: "client|tracking",
        arity: -3,
        since: "6.0.0",
        complexity: "O(1). Some options may introduce additional complexity.",
        summary: "Switches messages about keys that the connection has read and that changed since.",
        syntax: "<ON|OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
        ..OWN
    },
);

/// What the words behind ON or OFF ask for.
struct Wish<'a> {
    options: ClientFlags,
    redirect: Option<ClientRef>,
    prefixes: Vec<&'a [u8]>,
}

fn tracking(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let wish = parse(srv, call.args)?;
    if call.args.is(2, "ON") {
        check(caller(srv, call), &wish)?;
        srv.enable_tracking(call.caller.client.slot as usize, wish.options, wish.redirect, &wish.prefixes);
    } else if call.args.is(2, "OFF") {
        srv.disable_tracking(call.caller.client.slot as usize);
    } else {
        return Err(CmdError::Syntax);
    }
    call.reply.ok();
    Ok(())
}

fn parse<'a>(srv: &Server, args: Args<'a>) -> Result<Wish<'a>, CmdError> {
    let mut wish = Wish { options: ClientFlags::default(), redirect: None, prefixes: Vec::new() };
    let flags = [
        ("BCAST", ClientFlags::TRACKING_BCAST),
        ("OPTIN", ClientFlags::TRACKING_OPTIN),
        ("OPTOUT", ClientFlags::TRACKING_OPTOUT),
        ("NOLOOP", ClientFlags::TRACKING_NOLOOP),
    ];
    let mut at = 3;
    while at < args.len() {
        if let Some((_, flag)) = flags.iter().find(|(word, _)| args.is(at, word)) {
            wish.options.set(*flag);
        } else if args.is(at, "REDIRECT") && at + 1 < args.len() {
            at += 1;
            if wish.redirect.is_some() {
                return Err(CmdError::Fixed("ERR A client can only redirect to a single other client"));
            }
            wish.redirect = redirect(srv, args.int(at)?)?;
        } else if args.is(at, "PREFIX") && at + 1 < args.len() {
            at += 1;
            wish.prefixes.push(args.get(at));
        } else {
            return Err(CmdError::Syntax);
        }
        at += 1;
    }
    Ok(wish)
}

fn redirect(srv: &Server, id: i64) -> Result<Option<ClientRef>, CmdError> {
    let slot = u64::try_from(id).ok().and_then(|id| srv.clients.by_id(ClientId(id)));
    match slot {
        Some(slot) => Ok(Some(srv.clients[slot].reference(slot))),
        None => Err(CmdError::Fixed("ERR The client ID you want redirect to does not exist")),
    }
}

/// Whether the options go together, and with what the client has asked for before.
fn check(client: &Client, wish: &Wish<'_>) -> CmdResult {
    let (old, new) = (client.flags, wish.options);
    let bcast = new.has(ClientFlags::TRACKING_BCAST);
    let (opt_in, opt_out) = (ClientFlags::TRACKING_OPTIN, ClientFlags::TRACKING_OPTOUT);
    let refusal = if !bcast && !wish.prefixes.is_empty() {
        "ERR PREFIX option requires BCAST mode to be enabled"
    } else if old.has(ClientFlags::TRACKING) && old.has(ClientFlags::TRACKING_BCAST) != bcast {
        "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it \
         with a different mode."
    } else if bcast && (new.has(opt_in) || new.has(opt_out)) {
        "ERR OPTIN and OPTOUT are not compatible with BCAST"
    } else if new.has(opt_in) && new.has(opt_out) {
        "ERR You can't specify both OPTIN mode and OPTOUT mode"
    } else if new.has(opt_in) && old.has(opt_out) || new.has(opt_out) && old.has(opt_in) {
        "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it \
         with a different mode."
    } else if bcast {
        return check_prefixes(client, &wish.prefixes);
    } else {
        return Ok(());
    };
    Err(CmdError::Fixed(refusal))
}

/// No prefix of a client may begin another one: it would be told twice.
fn check_prefixes(client: &Client, prefixes: &[&[u8]]) -> CmdResult {
    for (at, prefix) in prefixes.iter().enumerate() {
        let refuse = |what: &str, other: &[u8]| {
            let head = [b"ERR Prefix '", *prefix, b"' overlaps with ", what.as_bytes(), b" '", other, b"'. "].concat();
            Err(CmdError::text([&head, b"Prefixes for a single client must not overlap.".as_slice()].concat()))
        };
        if let Some(other) = client.caching.as_ref().and_then(|caching| caching.overlapping(prefix)) {
            return refuse("an existing prefix", other);
        }
        let overlaps = |other: &&&[u8]| other.starts_with(prefix) || prefix.starts_with(other);
        if let Some(other) = prefixes[at + 1..].iter().find(overlaps) {
            return refuse("another provided prefix", other);
        }
    }
    Ok(())
}

pub const CACHING: ServerCommand = row(
    caching,
    Spec {
        name: "client|caching",
        arity: 3,
        since: "6.0.0",
        summary: "Says whether the keys of the next command are tracked.",
        syntax: "<YES|NO>",
        ..OWN
    },
);

fn caching(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let flags = &mut caller(srv, call).flags;
    if !flags.has(ClientFlags::TRACKING) {
        return Err(CmdError::Fixed(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    }
    if call.args.is(2, "YES") {
        if !flags.has(ClientFlags::TRACKING_OPTIN) {
            return Err(CmdError::Fixed(
                "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
            ));
        }
    } else if !call.args.is(2, "NO") {
        return Err(CmdError::Syntax);
    } else if !flags.has(ClientFlags::TRACKING_OPTOUT) {
        return Err(CmdError::Fixed("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."));
    }
    flags.set(ClientFlags::TRACKING_CACHING);
    call.reply.ok();
    Ok(())
}

pub const GETREDIR: ServerCommand = row(
    |srv, call| {
        let id = redirect_of(caller(srv, call));
        call.reply.int(id);
        Ok(())
    },
    Spec {
        name: "client|getredir",
        arity: 2,
        since: "6.0.0",
        summary: "Tells the id of the connection that gets the messages about changed keys.",
        ..OWN
    },
);

/// The id of who gets a client's messages: 0 is itself, -1 nobody.
pub(super) fn redirect_of(client: &Client) -> i64 {
    match &client.caching {
        Some(caching) if client.flags.has(ClientFlags::TRACKING) => caching.redirect_id() as i64,
        _ => -1,
    }
}

pub const TRACKINGINFO: ServerCommand = row(
    trackinginfo,
    Spec {
        name: "client|trackinginfo",
        arity: 2,
        since: "6.2.0",
        summary: "Tells which messages about changed keys the connection gets.",
        ..OWN
    },
);

fn trackinginfo(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let client = caller(srv, call);
    let flags = client.flags;
    let said = flags.has(ClientFlags::TRACKING_CACHING);
    let opt_in = flags.has(ClientFlags::TRACKING_OPTIN);
    let opt_out = flags.has(ClientFlags::TRACKING_OPTOUT);
    let words = [
        (flags.has(ClientFlags::TRACKING), "on"),
        (!flags.has(ClientFlags::TRACKING), "off"),
        (flags.has(ClientFlags::TRACKING_BCAST), "bcast"),
        (opt_in, "optin"),
        (opt_in && said, "caching-yes"),
        (opt_out, "optout"),
        (opt_out && said, "caching-no"),
        (flags.has(ClientFlags::TRACKING_NOLOOP), "noloop"),
        (flags.has(ClientFlags::TRACKING_BROKEN), "broken_redirect"),
    ];
    let reply = &mut *call.reply;
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(words.iter().filter(|(is_so, _)| *is_so).count());
    words.iter().filter(|(is_so, _)| *is_so).for_each(|(_, word)| reply.bulk(word.as_bytes()));
    reply.bulk(b"redirect");
    reply.int(redirect_of(client));
    reply.bulk(b"prefixes");
    let prefixes = client.caching.iter().flat_map(|caching| &caching.prefixes);
    reply.array(prefixes.clone().count());
    prefixes.for_each(|prefix| reply.bulk(prefix));
    Ok(())
}
