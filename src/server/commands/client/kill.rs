//! CLIENT KILL.
//!
//! *Duty:* end the connections that are meant. *Invariant:* a connection that was ended takes part in
//! nothing from then on (it waits for no key, hears no message), although its slot is freed at the end of the turn;
//! the one that asked still gets its answer. *Counterpart in C Redis:* the KILL branch of `clientCommand`.

use super::filter::Filter;
use super::{OTHERS, row};
use crate::call::{Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::server::Server;
use crate::server::client::Flags as ClientFlags;
use crate::server::commands::ServerCommand;

pub const KILL: ServerCommand = row(
    kill,
    Spec {
        name: "client|kill",
        arity: -3,
        since: "2.4.0",
        complexity: "O(N) where N is the number of client connections",
        summary: "Ends connections.",
        syntax: "<ip:port|<[ID client-id ...]|[TYPE <NORMAL|MASTER|SLAVE|REPLICA|PUBSUB>]|[USER username]|[ADDR ip:port]|[LADDR ip:port]|[SKIPME <YES|NO>]|[MAXAGE maxage]|[NAME name]|[IDLE idle]|[FLAGS flags]|[LIB-NAME lib-name]|[LIB-VER lib-ver]|[DB db]|[IP ip]|[NOT-TYPE <NORMAL|MASTER|SLAVE|REPLICA|PUBSUB>]|[NOT-ID not-client-id ...]|[NOT-USER not-username]|[NOT-ADDR ip:port]|[NOT-LADDR ip:port]|[NOT-NAME not-name]|[NOT-FLAGS not-flags]|[NOT-LIB-NAME not-lib-name]|[NOT-LIB-VER not-lib-ver]|[NOT-DB not-db]|[NOT-IP not-ip]> [<[ID client-id ...]|[TYPE <NORMAL|MASTER|SLAVE|REPLICA|PUBSUB>]|[USER username]|[ADDR ip:port]|[LADDR ip:port]|[SKIPME <YES|NO>]|[MAXAGE maxage]|[NAME name]|[IDLE idle]|[FLAGS flags]|[LIB-NAME lib-name]|[LIB-VER lib-ver]|[DB db]|[IP ip]|[NOT-TYPE <NORMAL|MASTER|SLAVE|REPLICA|PUBSUB>]|[NOT-ID not-client-id ...]|[NOT-USER not-username]|[NOT-ADDR ip:port]|[NOT-LADDR ip:port]|[NOT-NAME not-name]|[NOT-FLAGS not-flags]|[NOT-LIB-NAME not-lib-name]|[NOT-LIB-VER not-lib-ver]|[NOT-DB not-db]|[NOT-IP not-ip]> ...]>",
        history: &[
            ("2.8.12", "Added new filter format."),
            ("2.8.12", "`ID` option."),
            ("3.2.0", "Added `master` type in for `TYPE` option."),
            ("5.0.0", "Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward compatibility."),
            ("6.2.0", "`LADDR` option."),
            ("7.4.0", "`MAXAGE` option."),
            (
                "8.1.0",
                "Options of Valkey: several ids, `NAME`, `IDLE`, `FLAGS`, `DB`, `IP`, `LIB-NAME`, `LIB-VER`, `NOT-...`.",
            ),
        ],
        ..OTHERS
    },
);

fn kill(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let old_form = call.args.len() == 3;
    let filter = if old_form { Filter::by_address(call.arg(2)) } else { Filter::parse(srv, call.args, 2, true)? };
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
