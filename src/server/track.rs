//! Client-side caching: the options of each client, and the invalidation messages.
//!
//! *Duty:* note what tracking clients read, tell them what changed, in the way each asked for: a push in RESP3, a
//! message of `__redis__:invalidate` to the connection that a RESP2 client redirects to.
//! *Does not know:* the tables (`tracking`). *Invariants:* a tracking client carries `Flags::TRACKING`, which is one of
//! `Flags::GATED`: what it reads is noted on the gated way through `dispatch`, so nobody else pays. What a command
//! invalidates for its own client follows its reply; what is invalidated before it runs (eviction, a table that is too
//! large) comes before the reply. BCAST messages are gathered and leave at the bottom of the turn.
//! *Counterpart in C Redis:* `trackingRememberKeys`, `trackingInvalidateKey`, `sendTrackingMessage`.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::Server;
use super::client::Flags;
use super::commands::command_info::found_keys;
use super::gates::Alarm;
use super::registry::RowId;
use crate::call::{Args, ClientId, ClientRef, Touched};
use crate::command::spec::READONLY;
use crate::resp::{Proto, ReplyBuf};
use crate::sys::bio::Job;
use crate::tracking::{Broadcast, TrackerId};

/// What a client that tracks, or has tracked, keeps beside its flags.
#[derive(Debug, Default)]
pub struct Caching {
    /// Who gets the messages instead.
    pub redirect: Option<ClientRef>,
    pub prefixes: BTreeSet<Box<[u8]>>,
    /// Where it stands in the table of keys, once it has read one.
    tracker: Option<TrackerId>,
}

impl Caching {
    /// A prefix of the client that begins with `prefix`, or the other way round. As no two of a client's own do, only
    /// the neighbours can.
    pub fn overlapping(&self, prefix: &[u8]) -> Option<&[u8]> {
        let before = self.prefixes.range::<[u8], _>((Bound::Unbounded, Bound::Included(prefix))).next_back();
        let after = self.prefixes.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded)).next();
        let shorter = before.filter(|other| prefix.starts_with(other));
        shorter.or(after.filter(|other| other.starts_with(prefix))).map(|other| &**other)
    }

    /// Bytes of the prefixes, here and in the table.
    pub fn memory(&self) -> usize {
        size_of::<Caching>() + self.prefixes.len() * PREFIX_BYTES
    }

    /// The id that CLIENT GETREDIR tells.
    pub fn redirect_id(&self) -> u64 {
        self.redirect.map_or(0, |to| to.id.0)
    }
}

/// All flags that belong to tracking.
const OPTIONS: Flags = Flags(
    Flags::TRACKING_BROKEN.0
        | Flags::TRACKING_BCAST.0
        | Flags::TRACKING_OPTIN.0
        | Flags::TRACKING_OPTOUT.0
        | Flags::TRACKING_NOLOOP.0,
);
/// What a prefix of some length takes, roughly: counting must not depend on how many there are.
const PREFIX_BYTES: usize = 64;
/// What a remembered key takes, roughly.
const KEY_BYTES: usize = 96;
/// Keys given up in one go while the table is too large; more each time that was not enough.
const TRIM_STEPS: u32 = 100;
/// Keys that a client which goes away is taken out of, in one turn.
const LEAVE_STEPS: usize = 500;

impl Server {
    /// CLIENT TRACKING ON, its options checked.
    pub fn enable_tracking(&mut self, slot: usize, options: Flags, redirect: Option<ClientRef>, prefixes: &[&[u8]]) {
        let client = &mut self.clients[slot];
        if !client.flags.has(Flags::TRACKING) {
            self.tracking.clients += 1;
        }
        let who = client.reference(slot);
        client.flags.clear(OPTIONS);
        client.flags.set(Flags(options.0 | Flags::TRACKING.0));
        let caching = client.caching.get_or_insert_default();
        caching.redirect = redirect;
        if options.has(Flags::TRACKING_BCAST) {
            let all: &[&[u8]] = &[b""];
            for prefix in if prefixes.is_empty() { all } else { prefixes } {
                self.tracking.prefixes.add(prefix, who);
                caching.prefixes.insert((*prefix).into());
            }
        }
        self.refresh_wants();
    }

    /// CLIENT TRACKING OFF. What the client has read stays in the table: it counts again if tracking comes back.
    pub fn disable_tracking(&mut self, slot: usize) {
        let client = &mut self.clients[slot];
        let who = client.reference(slot);
        if let Some(caching) = &mut client.caching {
            for prefix in std::mem::take(&mut caching.prefixes) {
                self.tracking.prefixes.remove(&prefix, who);
            }
        }
        if client.flags.has(Flags::TRACKING) {
            self.tracking.clients -= 1;
            client.flags.clear(Flags(OPTIONS.0 | Flags::TRACKING.0 | Flags::TRACKING_CACHING.0));
            self.refresh_wants();
        }
    }

    /// Takes a client that goes away out of all tables.
    pub fn drop_tracking(&mut self, slot: usize) {
        if self.clients[slot].caching.is_none() {
            return;
        }
        self.disable_tracking(slot);
        let tracker = self.clients[slot].caching.take().and_then(|caching| caching.tracker);
        if let Some(tracker) = tracker {
            self.tracking.keys.dismiss(tracker);
            self.forget_leavers();
        }
    }

    /// A slice of the work that clients which went away have left in the table of keys. `true`: there is more.
    pub(super) fn forget_leavers(&mut self) -> bool {
        let more = self.tracking.keys.forget_leavers(LEAVE_STEPS);
        if !more {
            self.refresh_wants();
        }
        more
    }

    /// A tracking client has run a command: notes the keys if it read them. Of scripts, the commands in them count.
    pub fn remember_keys(&mut self, slot: usize, row: RowId, args: Args<'_>) {
        let spec = self.registry.row(row).spec;
        let script = matches!(spec.name, "eval_ro" | "evalsha_ro" | "fcall_ro");
        if spec.flags.has(READONLY) && !script && self.clients[slot].flags.has(Flags::TRACKING) {
            self.remember(slot, found_keys(spec, args).into_iter().map(|(at, _)| args.get(at)));
        }
    }

    /// A command in a script of this client has read something: all keys count that the script was given.
    pub fn remember_declared_keys(&mut self, slot: usize, row: RowId) {
        let reads = self.registry.row(row).spec.flags.has(READONLY);
        if reads && self.clients[slot].flags.has(Flags::TRACKING) {
            let keys = std::mem::take(&mut self.hosting.declared);
            self.remember(slot, keys.iter().map(Vec::as_slice));
            self.hosting.declared = keys;
        }
    }

    fn remember<'a>(&mut self, slot: usize, keys: impl Iterator<Item = &'a [u8]>) {
        let client = &mut self.clients[slot];
        let flags = client.flags;
        let said = flags.has(Flags::TRACKING_CACHING);
        let out = flags.has(Flags::TRACKING_OPTIN) && !said || flags.has(Flags::TRACKING_OPTOUT) && said;
        if out || flags.has(Flags::TRACKING_BCAST) {
            return;
        }
        let who = client.reference(slot);
        let caching = client.caching.get_or_insert_default();
        for key in keys {
            let tracker = *caching.tracker.get_or_insert_with(|| self.tracking.keys.enlist(who));
            self.tracking.keys.remember(tracker, key);
        }
        self.refresh_tracking_alarm();
    }

    /// The keys that a script is given, as long as it may have to remember them.
    pub fn declare_keys<'a>(&mut self, who: ClientRef, keys: impl Iterator<Item = &'a [u8]>) {
        let tracks = self.clients.find(who).is_some_and(|client| client.flags.has(Flags::TRACKING));
        self.hosting.declared = if tracks { keys.map(<[u8]>::to_vec).collect() } else { Vec::new() };
    }

    /// Keys changed, by `by` or by the server itself.
    pub(super) fn invalidate(&mut self, touched: &[Touched], by: Option<ClientRef>) {
        if !self.tracking.listens() {
            return;
        }
        for key in touched {
            if !self.tracking.prefixes.is_empty() {
                let by = by.filter(|_| !key.expired);
                self.tracking.prefixes.note(&key.key, by.map(|by| by.id));
            }
            self.invalidate_key(&key.key, by);
        }
    }

    /// Tells those who have read a key. A client that changed it itself and wants no echo is spared.
    fn invalidate_key(&mut self, key: &[u8], by: Option<ClientRef>) {
        let readers = self.tracking.keys.forget(key);
        if readers.is_empty() {
            return;
        }
        let mut payload = ReplyBuf::default();
        payload.array(1);
        payload.bulk(key);
        for who in readers {
            let Some(client) = self.clients.find(who) else { continue };
            let wants = client.flags.has(Flags::TRACKING) && !client.flags.has(Flags::TRACKING_BCAST);
            let own = by == Some(who) && client.flags.has(Flags::TRACKING_NOLOOP);
            if wants && !own {
                self.send_invalidation(who, payload.bytes());
            }
        }
    }

    /// Within a transaction: what the last command changed is dealt with before the next one reads.
    pub(super) fn settle_tracking(&mut self, touched: &[Touched], by: ClientRef) {
        if self.tracking.listens() {
            self.invalidate(&touched[self.tracking.settled..], Some(by));
            self.tracking.settled = touched.len();
        }
    }

    /// A database was emptied: what anybody has read is void.
    pub fn invalidate_everything(&mut self) {
        if self.tracking.clients > 0 {
            let all = self.clients.iter().filter(|(_, c)| c.flags.has(Flags::TRACKING));
            let all: Vec<(ClientRef, Proto)> = all.map(|(slot, c)| (c.reference(slot), c.proto())).collect();
            for (who, proto) in all {
                // The form is that of who tracks, even if somebody else gets it.
                let mut payload = ReplyBuf::new(proto);
                payload.null();
                self.send_invalidation(who, payload.bytes());
            }
        }
        if !self.tracking.keys.is_empty() {
            let objects = self.tracking.keys.len();
            let what = Box::new(self.tracking.keys.clear());
            self.bio.submit(Job::Drop { what, objects, bytes: objects * KEY_BYTES });
            self.refresh_wants();
        }
        self.refresh_tracking_alarm();
    }

    /// Sends the changed keys that have gathered for BCAST clients.
    pub(super) fn broadcast_invalidations(&mut self) {
        for Broadcast { clients, keys } in self.tracking.prefixes.take_pending() {
            let everything = keys_message(keys.keys());
            for who in clients {
                let Some(client) = self.clients.find(who) else { continue };
                if !client.flags.has(Flags::TRACKING_NOLOOP) {
                    self.send_invalidation(who, everything.bytes());
                    continue;
                }
                let own: Option<ClientId> = Some(who.id);
                let others = keys.iter().filter(|(_, by)| **by != own).map(|(key, _)| key);
                if others.clone().next().is_some() {
                    self.send_invalidation(who, keys_message(others).bytes());
                }
            }
        }
    }

    /// Writes a message to a tracking client, or to whom it redirects.
    fn send_invalidation(&mut self, who: ClientRef, payload: &[u8]) {
        let Some(client) = self.clients.find(who) else { return };
        let redirect = client.caching.as_ref().and_then(|caching| caching.redirect);
        let to = redirect.unwrap_or(who);
        let Some(target) = self.clients.find(to) else {
            return self.tell_broken_redirect(who, to.id);
        };
        let listens = redirect.is_some() && target.flags.has(Flags::SUBSCRIBED);
        let Some(out) = target.push_buffer() else { return };
        match out.proto {
            Proto::Resp3 => {
                out.push(2);
                out.bulk(b"invalidate");
            }
            Proto::Resp2 if listens => {
                out.push(3);
                out.bulk(b"message");
                out.bulk(b"__redis__:invalidate");
            }
            // RESP2 has no place for it.
            Proto::Resp2 => return,
        }
        out.raw(payload);
        self.after_output(to.slot as usize);
    }

    fn tell_broken_redirect(&mut self, who: ClientRef, gone: ClientId) {
        let Some(client) = self.clients.find(who) else { return };
        client.flags.set(Flags::TRACKING_BROKEN);
        let Some(out) = client.push_buffer().filter(|out| out.proto == Proto::Resp3) else { return };
        out.push(2);
        out.bulk(b"tracking-redir-broken");
        out.int(gone.0 as i64);
        self.after_output(who.slot as usize);
    }

    /// Raised while the table of keys is larger than `tracking-table-max-keys`: then keys are given up before each
    /// command.
    pub(super) fn refresh_tracking_alarm(&mut self) {
        let limit = self.config.tracking_table_max_keys;
        let too_large = limit > 0 && self.tracking.keys.len() as u64 > limit;
        self.exec.set_alarm(Alarm::TRACKING, too_large && self.tracking.clients > 0);
        if !too_large {
            self.tracking.too_large = 0;
        }
    }

    /// Gives keys up, as if they had changed, until the table has the size it may have or the effort is spent.
    pub(super) fn trim_tracking(&mut self) {
        for _ in 0..TRIM_STEPS * (self.tracking.too_large + 1) {
            let Some(key) = self.tracking.keys.candidate() else { break };
            self.invalidate_key(&key, None);
            if self.tracking.keys.len() as u64 <= self.config.tracking_table_max_keys {
                break;
            }
        }
        self.tracking.too_large += 1;
        self.refresh_tracking_alarm();
    }
}

fn keys_message<'a>(keys: impl Iterator<Item = &'a Box<[u8]>> + Clone) -> ReplyBuf {
    let mut message = ReplyBuf::default();
    message.array(keys.clone().count());
    keys.for_each(|key| message.bulk(key));
    message
}
