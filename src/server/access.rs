//! [`Access`]: users at work: who a connection is, what it may do, and what follows when that changes.
//!
//! *Duty:* find the keys and channels of a request and ask the user ([`Server::acl_check`]); log refusals; keep each
//! client's flag `RESTRICTED` true. *Does not know:* the language of rules (`acl`), how the commands answer
//! (`commands/acl.rs`).
//! *Invariants:* a client whose user may do everything has no flag set for it, so the short way through `dispatch` never
//! asks; whatever changes a user calls [`Server::refresh_rights`] in the same command. A client without a user is the
//! server itself and may do everything. Nobody is connected as a user who was removed: such clients become strangers and
//! are closed.
//! *Counterpart in C Redis:* the callers of `ACLCheckAllPerm` and `addACLLogEntry`, `ACLFreeUserAndKillClients`.

mod files;

use crate::acl::log::{Context, Reason, Refusal};
use crate::acl::user::may_stay;
use crate::acl::{AccessLog, CmdId, Commands, Denied, Grammar, Heard, Request, Touched, User, UserId, Users};
use crate::call::{Args, CmdError, Lacking};
use crate::config::{AclPubsubDefault, Config};
use crate::server::Server;
use crate::server::client::{Client, Flags};
use crate::server::commands::client::asking;
use crate::server::commands::command_info::found_keys;
use crate::server::registry::{Registry, RowId};

pub struct Access {
    pub commands: Commands,
    pub users: Users,
    pub log: AccessLog,
}

impl Access {
    pub fn new(registry: &Registry) -> Access {
        let commands = Commands::new(registry.rows().map(|(_, row)| row.spec));
        let users = Users::new(Grammar { commands: &commands, all_channels: false });
        Access { commands, users, log: AccessLog::default() }
    }

    /// What rules mean under this configuration.
    pub fn grammar(&self, config: &Config) -> Grammar<'_> {
        let all_channels = config.acl_pubsub_default == AclPubsubDefault::Allchannels;
        Grammar { commands: &self.commands, all_channels }
    }

    /// Whoever connects is in without a word.
    pub fn is_open(&self) -> bool {
        let user = self.users.default_user();
        user.any_password && user.enabled
    }

    pub fn name_of(&self, user: Option<UserId>) -> Option<&[u8]> {
        Some(&self.users.get(user?)?.name)
    }
}

pub fn context_of(flags: Flags) -> Context {
    if flags.has(Flags::MULTI) { Context::Multi } else { Context::TopLevel }
}

/// The refusal of a request to run the command of this full name.
pub fn no_permission(denied: Denied, name: &'static str) -> CmdError {
    CmdError::NoPermission(match denied {
        Denied::Command => Lacking::Command(name),
        Denied::Key(_) => Lacking::Key,
        Denied::Channel(_) => Lacking::Channel,
    })
}

/// Where a command has names of channels.
fn channels<'a>(command: &str, args: Args<'a>) -> Vec<Heard<'a>> {
    let (end, is_pattern) = match command {
        "publish" | "spublish" => (2, false),
        "subscribe" | "ssubscribe" => (args.len(), false),
        "psubscribe" => (args.len(), true),
        _ => return Vec::new(),
    };
    (1..end.min(args.len())).map(|at| Heard { at, name: args.get(at), is_pattern }).collect()
}

impl Server {
    /// Whether `user` may run this request, which names the command of `row`. The one place that is asked by gates,
    /// EXEC, scripts, waits that end, and ACL DRYRUN.
    pub fn acl_check(&self, user: Option<UserId>, row: RowId, args: Args<'_>) -> Result<(), Denied> {
        let Some(user) = user else { return Ok(()) };
        let user = self.acl.users.get(user).ok_or(Denied::Command)?;
        user.check(&self.acl.commands, &self.acl_request(user, row, args))
    }

    /// The request as rights see it. What the user need not be asked for is not looked for.
    fn acl_request<'a>(&self, user: &User, row: RowId, args: Args<'a>) -> Request<'a> {
        let row_of = self.registry.row(row);
        let spec = row_of.spec;
        let first_arg = args.opt(if row_of.container.is_some() { 2 } else { 1 });
        let mut request = Request { command: CmdId(row.0), first_arg, keys: Vec::new(), channels: Vec::new() };
        if user.selectors.iter().any(|selector| !selector.all_keys) {
            let found = found_keys(spec, args).into_iter();
            request.keys = found.map(|(at, flags)| Touched { at, name: args.get(at), flags }).collect();
        }
        if user.selectors.iter().any(|selector| !selector.all_channels) {
            request.channels = channels(spec.name, args);
        }
        request
    }

    /// A request that passed the gates a while ago, in the queue of a transaction, may not run any more; or it is a
    /// SORT that would read keys which the user may not.
    pub(super) fn still_permitted(&mut self, slot: usize, row: RowId, args: Args<'_>) -> Result<(), CmdError> {
        let client = &self.clients[slot];
        if !client.flags.has(Flags::RESTRICTED) {
            return Ok(());
        }
        let Err(denied) = self.acl_check(client.user, row, args) else {
            return self.sort_refusal(slot, row, args).map_or(Ok(()), Err);
        };
        self.log_denied(slot, row, args, Context::Multi);
        let reason = match denied {
            Denied::Command => "no permission to execute the command or subcommand",
            Denied::Key(_) => "no permission to touch the specified keys",
            Denied::Channel(_) => "no permission to access one of the channels used as arguments",
        };
        Err(CmdError::text(format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This \
             command is no longer allowed for the following reason: {reason}"
        )))
    }

    /// BY and GET make SORT read keys that no argument names, so they are for those who may read all. What else is wrong
    /// with the request before that place is for SORT itself to say.
    pub(super) fn sort_refusal(&self, slot: usize, row: RowId, args: Args<'_>) -> Option<CmdError> {
        let client = &self.clients[slot];
        let is_sort = || matches!(self.registry.row(row).spec.name, "sort" | "sort_ro");
        if !client.flags.has(Flags::RESTRICTED) || !is_sort() {
            return None;
        }
        let user = self.acl.users.get(client.user?)?;
        if user.reads_all_keys(&self.acl.commands, &self.acl_request(user, row, args)) {
            return None;
        }
        let mut at = 2;
        while at < args.len() {
            let behind = args.len() - at - 1;
            if args.is(at, "asc") || args.is(at, "desc") || args.is(at, "alpha") {
                at += 1;
            } else if args.is(at, "limit") && behind >= 2 {
                args.int(at + 1).and(args.int(at + 2)).ok()?;
                at += 3;
            } else if args.is(at, "store") && behind >= 1 {
                at += 2;
            } else if args.is(at, "by") && behind >= 1 {
                // A constant, as in BY nosort, is no key.
                if args.get(at + 1).contains(&b'*') {
                    return Some(CmdError::Fixed("ERR BY option of SORT denied due to insufficient ACL permissions."));
                }
                at += 2;
            } else if args.is(at, "get") && behind >= 1 {
                return Some(CmdError::Fixed("ERR GET option of SORT denied due to insufficient ACL permissions."));
            } else {
                return None;
            }
        }
        None
    }

    /// Logs and counts a request that the client's user may not make.
    #[cold]
    pub(super) fn log_denied(&mut self, slot: usize, row: RowId, args: Args<'_>, context: Context) {
        let user = self.clients[slot].user;
        let Err(denied) = self.acl_check(user, row, args) else { return };
        let (reason, object, count) = match denied {
            Denied::Command => {
                let name = self.registry.row(row).spec.name.as_bytes();
                (Reason::Command, name, &mut self.stats.denied_commands)
            }
            Denied::Key(at) => (Reason::Key, args.get(at), &mut self.stats.denied_keys),
            Denied::Channel(at) => (Reason::Channel, args.get(at), &mut self.stats.denied_channels),
        };
        *count += 1;
        let username = self.acl.name_of(user).unwrap_or_default().to_vec();
        self.log_refusal(slot, reason, context, (object.to_vec(), username), args);
    }

    pub(super) fn log_failed_login(&mut self, slot: usize, args: Args<'_>, username: &[u8]) {
        self.stats.auth_failures += 1;
        let context = context_of(self.clients[slot].flags);
        self.log_refusal(slot, Reason::Auth, context, (args.get(0).to_vec(), username.to_vec()), args);
    }

    fn log_refusal(
        &mut self,
        slot: usize,
        reason: Reason,
        context: Context,
        (object, username): (Vec<u8>, Vec<u8>),
        args: Args<'_>,
    ) {
        let client = asking(self, slot, args.total_len()).into_bytes();
        let what = Refusal { reason, context, object, username, client };
        self.acl.log.add(what, self.clock.now(), self.config.acllog_max_len);
    }

    /// From here on the connection is this user's.
    pub(super) fn become_user(&mut self, slot: usize, id: UserId) {
        let restricted = !self.acl.users.get(id).is_some_and(User::is_unrestricted);
        let client = &mut self.clients[slot];
        client.user = Some(id);
        client.flags.set(Flags::AUTHENTICATED);
        set_restricted(client, restricted);
    }

    /// As when the connection began.
    pub(super) fn become_default(&mut self, slot: usize) {
        self.become_user(slot, UserId::DEFAULT);
        if !self.acl.is_open() {
            self.clients[slot].flags.clear(Flags::AUTHENTICATED);
        }
    }

    /// Users have changed: finds out anew who is restricted.
    pub(super) fn refresh_rights(&mut self) {
        let slots: Vec<usize> = self.clients.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let client = &mut self.clients[slot];
            let Some(id) = client.user else { continue };
            set_restricted(client, !self.acl.users.get(id).is_some_and(User::is_unrestricted));
        }
    }

    /// Puts a changed user in place. Who listens to a channel that the user may no longer hear is closed.
    pub(super) fn put_user(&mut self, user: User, own: usize) {
        let before = self.acl.users.by_name(&user.name);
        let left = before.and_then(|before| User::channels_left(before, &user));
        let id = self.acl.users.put(user);
        if let Some(left) = left {
            let stays = |client: &Client| {
                let Some(heard) = &client.subscriptions else { return true };
                let names = heard.channels.iter().chain(&heard.shard_channels).map(|name| (&**name, false));
                may_stay(&left, names.chain(heard.patterns.iter().map(|name| (&**name, true))))
            };
            let gone = self.clients_where(|client| client.user == Some(id) && !stays(client));
            gone.into_iter().for_each(|slot| self.part_with(slot, own));
        }
        self.refresh_rights();
    }

    /// Removes users, with whoever is connected as one of them. How many there were.
    pub(super) fn remove_users<'a>(&mut self, names: impl Iterator<Item = &'a [u8]>, own: usize) -> usize {
        let removed: Vec<UserId> = names.filter_map(|name| self.acl.users.remove(name)).collect();
        self.close_clients_of(|id| removed.contains(&id), own);
        removed.len()
    }

    /// Closes the connections of users who are gone. Until they are, they are strangers.
    fn close_clients_of(&mut self, is_gone: impl Fn(UserId) -> bool, own: usize) {
        for slot in self.clients_where(|client| client.user.is_some_and(&is_gone)) {
            self.become_default(slot);
            self.clients[slot].flags.clear(Flags::AUTHENTICATED);
            self.part_with(slot, own);
        }
    }

    fn clients_where(&self, fits: impl Fn(&Client) -> bool) -> Vec<usize> {
        self.clients.open().filter(|(_, client)| fits(client)).map(|(slot, _)| slot).collect()
    }

    /// Ends a connection; the one whose command runs gets its answer first.
    fn part_with(&mut self, slot: usize, own: usize) {
        if slot == own {
            self.clients[slot].flags.set(Flags::CLOSE_AFTER_REPLY);
        } else {
            self.end_client(slot);
        }
    }
}

fn set_restricted(client: &mut Client, restricted: bool) {
    client.flags.clear(Flags::RESTRICTED);
    if restricted {
        client.flags.set(Flags::RESTRICTED);
    }
}
