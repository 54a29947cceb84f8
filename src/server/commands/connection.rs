//! PING, ECHO, HELLO, AUTH, SELECT, QUIT, RESET: what a connection says about itself.
//!
//! *Duty:* the session's protocol, identity and database; [`Server::authenticate`] is the one place where a password is
//! asked for. *Invariant:* a change of protocol reaches the reply that is being written and the client's own buffer,
//! which stands in empty while its replies are taken out. *Counterpart in C Redis:* `helloCommand`, `resetCommand`,
//! `authCommand`, `selectCommand`.

use super::{ServerCommand, ServerHandler};
use crate::acl::users::DEFAULT;
use crate::base::num;
use crate::call::{Call, CmdError, CmdResult, DbId};
use crate::command::spec::*;
use crate::resp::Proto;
use crate::server::Server;
use crate::server::client::Flags as ClientFlags;
use crate::server::version::REDIS_VERSION;

pub const COMMANDS: &[ServerCommand] = &[AUTH, ECHO, HELLO, PING, QUIT, RESET, SELECT];

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    Command::new(run, Spec { acl: Categories::CONNECTION, group: Group::Connection, complexity: "O(1)", ..spec })
}

/// Commands by which a stranger may begin.
const GREETING: Flags = NOSCRIPT.or(LOADING).or(STALE).or(FAST).or(NO_AUTH).or(ALLOW_BUSY);

pub const PING: ServerCommand = row(
    ping,
    Spec {
        name: "ping",
        arity: -1,
        flags: FAST,
        summary: "Answers PONG, or the message.",
        syntax: "[message]",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        ..Spec::BASE
    },
);

fn ping(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if call.args.len() > 2 {
        return Err(CmdError::Arity("ping".into()));
    }
    let message = call.args.opt(1);
    let listens = srv.clients[call.caller.client.slot as usize].flags.has(ClientFlags::SUBSCRIBED);
    if listens && call.reply.proto == Proto::Resp2 {
        // Who listens in RESP2 takes everything for a message: the answer has the form of one.
        call.reply.array(2);
        call.reply.bulk(b"pong");
        call.reply.bulk(message.unwrap_or_default());
        return Ok(());
    }
    match message {
        Some(message) => call.reply.bulk(message),
        None => call.reply.raw(b"+PONG\r\n"),
    }
    Ok(())
}

pub const ECHO: ServerCommand = row(
    echo,
    Spec {
        name: "echo",
        arity: 2,
        flags: LOADING.or(STALE).or(FAST),
        summary: "Answers the message.",
        syntax: "message",
        ..Spec::BASE
    },
);

fn echo(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    call.reply.bulk(call.args.get(1));
    Ok(())
}

pub const AUTH: ServerCommand = row(
    auth,
    Spec {
        name: "auth",
        arity: -2,
        flags: GREETING,
        complexity: "O(N) where N is the length of the password",
        summary: "Shows who is calling.",
        syntax: "[username]@6.0.0 password",
        history: &[("6.0.0", "Added ACL style (username and password).")],
        ..Spec::BASE
    },
);

const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default user. Are you \
                           sure your configuration is correct?";

fn auth(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    match call.args.len() {
        2 if srv.acl.users.default_user().any_password => return Err(CmdError::Fixed(NO_PASSWORD)),
        2 => srv.authenticate(call, DEFAULT, call.arg(1))?,
        3 => srv.authenticate(call, call.arg(1), call.arg(2))?,
        _ => return Err(CmdError::Syntax),
    }
    call.reply.ok();
    Ok(())
}

impl Server {
    /// Lets a client in as `user` if the password is right. 7.0.15 logs a refusal under the name that was given.
    pub fn authenticate(&mut self, call: &Call<'_>, user: &[u8], password: &[u8]) -> CmdResult {
        let slot = call.caller.client.slot as usize;
        let Some(id) = self.acl.users.authenticate(user, password) else {
            self.log_failed_login(slot, call.args, user);
            return Err(CmdError::WrongPass);
        };
        self.become_user(slot, id);
        Ok(())
    }

    fn is_authenticated(&self, slot: usize) -> bool {
        self.acl.is_open() || self.clients[slot].flags.has(ClientFlags::AUTHENTICATED)
    }
}

pub const HELLO: ServerCommand = row(
    hello,
    Spec {
        name: "hello",
        arity: -1,
        flags: GREETING,
        since: "6.0.0",
        summary: "Chooses the protocol, and tells who answers.",
        syntax: "[protover [AUTH username password] [SETNAME clientname]]:arguments",
        history: &[("6.2.0", "Without arguments it tells who answers and changes nothing.")],
        ..Spec::BASE
    },
);

const STRANGER: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH \
                        <user> <pass> option can be used to authenticate the client and select the RESP protocol \
                        version at the same time";

fn hello(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let slot = call.caller.client.slot as usize;
    let proto = match call.args.opt(1) {
        None => None,
        Some(version) => Some(protocol(version)?),
    };
    let mut at = 2;
    while let Some(option) = call.args.opt(at) {
        let rest = call.args.len() - at - 1;
        if call.args.is(at, "AUTH") && rest >= 2 {
            srv.authenticate(call, call.arg(at + 1), call.arg(at + 2))?;
            at += 3;
        } else if call.args.is(at, "SETNAME") && rest >= 1 {
            srv.clients[slot].set_name(call.arg(at + 1))?;
            at += 2;
        } else {
            return Err(CmdError::text([b"ERR Syntax error in HELLO option '", option, b"'"].concat()));
        }
    }
    if !srv.is_authenticated(slot) {
        return Err(CmdError::Fixed(STRANGER));
    }
    if let Some(proto) = proto {
        speak(srv, call, proto);
    }
    introduce(srv, call);
    Ok(())
}

fn protocol(version: &[u8]) -> Result<Proto, CmdError> {
    match num::parse_i64(version) {
        Some(2) => Ok(Proto::Resp2),
        Some(3) => Ok(Proto::Resp3),
        Some(_) => Err(CmdError::Fixed("NOPROTO unsupported protocol version")),
        None => Err(CmdError::Fixed("ERR Protocol version is not an integer or out of range")),
    }
}

/// From here on, to this client, in this protocol.
fn speak(srv: &mut Server, call: &mut Call<'_>, proto: Proto) {
    call.reply.proto = proto;
    srv.clients[call.caller.client.slot as usize].reply.proto = proto;
}

fn introduce(srv: &Server, call: &mut Call<'_>) {
    let id = srv.clients[call.caller.client.slot as usize].id;
    let version = match call.reply.proto {
        Proto::Resp2 => 2,
        Proto::Resp3 => 3,
    };
    let reply = &mut *call.reply;
    reply.map(7);
    for (name, value) in [("server", "redis"), ("version", REDIS_VERSION)] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.int(version);
    reply.bulk(b"id");
    reply.int(id.0 as i64);
    let role = if srv.replication.is_replica() { "replica" } else { "master" };
    for (name, value) in [("mode", "standalone"), ("role", role)] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
}

pub const SELECT: ServerCommand = row(
    select,
    Spec {
        name: "select",
        arity: 2,
        flags: LOADING.or(STALE).or(FAST),
        summary: "Chooses the database.",
        syntax: "index",
        ..Spec::BASE
    },
);

fn select(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let Ok(index) = i32::try_from(call.args.int(1)?) else {
        return Err(CmdError::Fixed("ERR value is out of range, value must between -2147483648 and 2147483647"));
    };
    match u32::try_from(index) {
        Ok(index) if (index as usize) < srv.ks.dbs.len() => {
            srv.clients[call.caller.client.slot as usize].db = DbId(index);
            call.reply.ok();
            Ok(())
        }
        _ => Err(CmdError::DbIndexOutOfRange),
    }
}

pub const QUIT: ServerCommand =
    row(quit, Spec { name: "quit", arity: -1, flags: GREETING, summary: "Closes the connection.", ..Spec::BASE });

fn quit(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    call.reply.ok();
    srv.clients[call.caller.client.slot as usize].flags.set(ClientFlags::CLOSE_AFTER_REPLY);
    Ok(())
}

pub const RESET: ServerCommand = row(
    reset,
    Spec {
        name: "reset",
        arity: 1,
        flags: GREETING,
        since: "6.2.0",
        summary: "Makes the connection as it was when it began.",
        ..Spec::BASE
    },
);

fn reset(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let slot = call.caller.client.slot as usize;
    srv.discard_transaction(slot);
    srv.drop_subscriptions(slot);
    srv.stop_monitor(slot);
    srv.disable_tracking(slot);
    speak(srv, call, Proto::Resp2);
    let client = &mut srv.clients[slot];
    client.db = DbId(0);
    // The library behind the connection is still the same one: only the name goes.
    client.set_name(b"")?;
    client.flags.clear(ClientFlags(
        ClientFlags::REPLY_OFF.0 | ClientFlags::REPLY_SKIP_NEXT.0 | ClientFlags::NO_TOUCH.0 | ClientFlags::NO_EVICT.0,
    ));
    srv.become_default(slot);
    call.reply.status("RESET");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_two_protocols() {
        assert_eq!((protocol(b"2"), protocol(b"3")), (Ok(Proto::Resp2), Ok(Proto::Resp3)));
        assert!(protocol(b"4").is_err() && protocol(b"two").is_err());
    }
}
