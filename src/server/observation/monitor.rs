//! MONITOR: every call, as a line, to those who want to see all.
//!
//! *Duty:* the line, and into whose replies it goes. *Invariant:* a call is shown when it has run (so the commands of
//! a transaction come before its EXEC), save what only an administrator may call; nothing is shown while loading.
//! *Counterpart in C Redis:* `replicationFeedMonitors`, `monitorCommand`.

use std::io::Write;

use super::{Done, redact};
use crate::base::quote::repr;
use crate::call::{Args, Call, Caller, ClientRef, Origin};
use crate::command::spec::{ADMIN, SKIP_MONITOR};
use crate::server::Server;
use crate::server::client::Flags;
use crate::server::gates::Alarm;
use crate::sys::clock::wall_us;

impl Server {
    /// From here on this client hears of every call.
    pub fn start_monitor(&mut self, who: ClientRef) {
        self.clients[who.slot as usize].flags.set(Flags::MONITOR);
        self.observation.monitors.push(who);
        self.refresh_observation();
    }

    /// RESET, or the client goes away.
    pub fn stop_monitor(&mut self, slot: usize) {
        let client = &mut self.clients[slot];
        if !client.flags.has(Flags::MONITOR) {
            return;
        }
        client.flags.clear(Flags::MONITOR);
        let who = client.reference(slot);
        self.observation.monitors.retain(|monitor| *monitor != who);
        self.refresh_observation();
    }

    pub(super) fn feed_monitors(&mut self, done: &Done<'_>) {
        let spec = self.registry.row(done.row).spec;
        if !spec.flags.has(ADMIN.or(SKIP_MONITOR)) {
            self.show_to_monitors(spec.name, done.args, done.caller);
        }
    }

    /// A command that runs a script is shown before what the script does.
    pub fn show_script_to_monitors(&mut self, call: &Call<'_>) {
        if !self.observation.monitors.is_empty() {
            self.show_to_monitors("", call.args, call.caller);
        }
    }

    fn show_to_monitors(&mut self, command: &str, args: Args<'_>, caller: Caller) {
        if self.exec.has_alarm(Alarm::LOADING) {
            return;
        }
        let line = self.monitor_line(command, args, caller);
        let deaf = Flags(Flags::CLOSE_ASAP.0 | Flags::CLOSE_AFTER_REPLY.0 | Flags::REPLY_OFF.0);
        for who in self.observation.monitors.clone() {
            let Some(client) = self.clients.find(who).filter(|c| !c.flags.has(deaf)) else { continue };
            client.reply.raw(&line);
            self.after_output(who.slot as usize);
        }
    }

    fn monitor_line(&mut self, command: &str, args: Args<'_>, caller: Caller) -> Vec<u8> {
        let now = wall_us();
        let mut line = Vec::with_capacity(64 + args.total_len());
        write!(line, "+{}.{:06} ", now.div_euclid(1_000_000), now.rem_euclid(1_000_000)).expect("a Vec takes all");
        let slot = caller.client.slot as usize;
        // SELECT is shown with the database that it chose.
        let db = self.clients.find(caller.client).map_or(caller.db, |client| client.db).0;
        let written = match caller.origin {
            Origin::Script => write!(line, "[{} lua]", caller.db.0),
            _ if self.clients.get(slot).is_none() => write!(line, "[{db} ?:0]"),
            _ if self.clients[slot].stream.is_unix() => write!(line, "[{db} unix:{}]", self.config.unixsocket),
            _ => write!(line, "[{db} {}]", self.peer_name(slot)),
        };
        written.expect("a Vec takes all");
        for arg in redact::shown(command, args) {
            line.push(b' ');
            repr(&mut line, &arg);
        }
        line.extend_from_slice(b"\r\n");
        line
    }
}
