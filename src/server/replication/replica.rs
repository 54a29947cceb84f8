//! Following a master: the driver of [`MasterLink`].
//!
//! *Duty:* the role of a replica, begun and ended; carry out what the link decides, and show it what comes. `way` is the
//! connection before the stream runs, `receive` the data set, `stream` the commands, `tell` what INFO and ROLE say.
//! *Does not know:* when to connect, what to send, what is tried next: that is the link's. *Invariants:* actions are
//! carried out in their order and all of them, before anything else is shown to the link. There is a connection of one
//! kind at most: the link's own, or, while the stream runs, a client with the flag `MASTER`.
//! *Counterpart in C Redis:* `replicationSetMaster`, `replicationUnsetMaster`, the replica's half of
//! `replicationCron`.

mod disk;
mod own;
mod receive;
mod stream;
mod tell;
mod way;

use crate::base::ids::RunId;
use crate::base::millis::Millis;
use crate::call::ClientRef;
use crate::config::MasterAddr;
use crate::repl::ids::Standing;
use crate::repl::replica::{Address, Lost, Settings};
use crate::repl::{Action, Level, LogLine, MasterLink, Resume, Saved, Start};
use crate::server::Server;
use crate::server::apply_config::set_oom_score;
use crate::server::blocking::Unblock;
use crate::server::client::Flags;
use crate::server::gates::Alarm;
use crate::sys::log::{Role, set_role};
use crate::sys::lookup::{Lookup, Probe};
use disk::OnDisk;
pub use own::OwnKeys;
use receive::Receiving;
use way::{Conn, Input};

/// What a replica keeps of its master.
pub struct Follow {
    pub link: MasterLink,
    way: Way,
    input: Input,
    receiving: Option<Receiving>,
    /// Why the stream's connection goes, if that is known.
    lost: Option<Lost>,
    /// Commands of a transaction that is not closed yet, as they came: no part of the stream that was applied.
    unapplied: Vec<u8>,
    on_disk: OnDisk,
    /// Another port of the master's host that is being tried.
    probe: Option<(Address, Probe)>,
    /// When the log was last told that the disk does not take what the master sends.
    disk_complaint: Option<Millis>,
}

enum Way {
    None,
    /// The master's name is being looked up.
    Lookup(Lookup),
    Conn(Conn),
    Stream(ClientRef),
}

impl std::fmt::Debug for Follow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Follow({}, {})", self.link.address(), self.link.role_state())
    }
}

impl Follow {
    /// Whether the stream comes in. A connection whose end was seen counts no more, although it is freed only at the
    /// end of the turn.
    fn is_up(&self) -> bool {
        self.link.is_online() && self.lost.is_none()
    }

    /// Bytes of the master may be waiting that no event will tell of.
    pub fn has_more_to_read(&self) -> bool {
        self.input.more
    }
}

impl Server {
    /// REPLICAOF host port. `false`: that master is followed already.
    pub fn follow_master(&mut self, master: MasterAddr) -> bool {
        if self.config.replicaof.as_ref() == Some(&master) && self.replication.follow.is_some() {
            return false;
        }
        let now = self.clock.now();
        let address = Address::new(&*master.host, master.port);
        self.config.replicaof = Some(master);
        if let Some(follow) = &mut self.replication.follow {
            follow.link.retarget(address, now);
        } else {
            // As a former master it has a history of its own, which the new master may know.
            let resume = Resume { id: self.replication.ids.id, offset: self.replication.backlog.offset(), db: None };
            self.replication.backlog.activate();
            self.begin_following(address, Some(resume));
            self.unblock_for_new_role();
        }
        self.carry_out_link();
        true
    }

    /// At a start: follows the master of the configuration. What the snapshot told may be continued.
    pub fn follow_configured_master(&mut self) {
        let Some(master) = self.config.replicaof.clone() else { return };
        let resume = self.replication.resume_at_start.take();
        self.begin_following(Address::new(master.host, master.port), resume);
        self.carry_out_link();
    }

    fn begin_following(&mut self, address: Address, resume: Option<Resume>) {
        let link = MasterLink::new(address, self.link_settings(), resume, self.clock.now());
        self.replication.follow = Some(Box::new(Follow {
            link,
            way: Way::None,
            input: Input::default(),
            receiving: None,
            lost: None,
            unapplied: Vec::new(),
            on_disk: OnDisk::default(),
            probe: None,
            disk_complaint: None,
        }));
        self.role_changed();
    }

    /// REPLICAOF NO ONE. `false`: this is a master.
    pub fn stop_following(&mut self) -> bool {
        self.config.replicaof = None;
        let now = self.clock.now();
        let Some(follow) = &mut self.replication.follow else { return false };
        follow.link.stop(now);
        self.carry_out_link();
        self.replication.follow = None;
        let mut bytes = [0; RunId::LEN / 2];
        self.ks.rng.fill(&mut bytes);
        let replication = &mut self.replication;
        let line = replication.ids.shift(RunId::from_bytes(&bytes), replication.backlog.offset());
        replication.feed.restart();
        write_log(&line);
        // They learn of the new id when they come back, and go on where they are.
        self.drop_replicas();
        self.role_changed();
        if self.config.appendonly && !self.persistence.aof.is_on() {
            self.restart_aof();
        }
        true
    }

    /// Brings everything that depends on the role in line with it.
    pub fn role_changed(&mut self) {
        self.replication.replica = self.replication.follow.is_some();
        set_role(if self.replication.replica { Role::Replica } else { Role::Master });
        // A refusal has been logged, and is no reason not to change the role.
        let _ = set_oom_score(self);
        if !self.replication.replica {
            self.replication.own.clear();
        }
        self.refresh_replica_alarms();
        self.refresh_hidden();
        self.refresh_wants();
    }

    /// Raises or ends the alarms of a replica: to be called whenever the link, or a directive about them, changes.
    pub fn refresh_replica_alarms(&mut self) {
        let follow = self.replication.follow.as_ref();
        let read_only = follow.is_some() && self.config.replica_read_only;
        let stale = follow.is_some_and(|follow| !follow.link.is_online()) && !self.config.replica_serve_stale_data;
        self.exec.set_alarm(Alarm::READ_ONLY, read_only);
        self.exec.set_alarm(Alarm::STALE, stale);
    }

    /// Nobody waits for keys where nobody may take them.
    fn unblock_for_new_role(&mut self) {
        let waiting: Vec<ClientRef> =
            self.clients.open().filter(|(_, c)| c.blocked.is_some()).map(|(slot, c)| c.reference(slot)).collect();
        for who in waiting {
            self.unblock(who, Unblock::RoleChanged);
            self.clients[who.slot as usize].flags.set(Flags::CLOSE_AFTER_REPLY);
        }
    }

    /// Part of cron: timeouts, retries, acknowledgements.
    pub(in crate::server) fn replica_cron(&mut self) {
        self.expire_own_keys();
        let now = self.clock.now();
        let Some(follow) = &mut self.replication.follow else { return };
        follow.link.tick(now);
        let newline = follow.link.newline_due(now);
        if newline {
            self.send_to_master(b"\n");
        }
        self.carry_out_link();
    }

    /// What a snapshot taken now tells of the stream.
    pub(in crate::server) fn stands_at(&self) -> Option<Saved> {
        let replication = &self.replication;
        let standing = match &replication.follow {
            Some(follow) => Standing::Replica { stream_db: follow.link.stream_db() },
            None => Standing::Master { selected: replication.feed.selected().map(|db| db.0) },
        };
        Saved::of(&replication.ids, &replication.backlog, standing)
    }

    /// At a start, when the snapshot was loaded: what it told of the stream.
    pub(in crate::server) fn resume_history(&mut self, saved: Option<Saved>) {
        let replication = &mut self.replication;
        let Some(saved) = saved else {
            replication.backlog.deactivate();
            replication.backlog.restart_at(0);
            return;
        };
        if replication.is_replica() {
            replication.ids.adopt(saved.id);
            replication.backlog.restart_at(saved.offset);
            replication.backlog.activate();
            replication.resume_at_start =
                Some(Resume { id: saved.id, offset: saved.offset, db: Some(saved.stream_db) });
        } else {
            replication.ids.resume_as_master(&saved);
            replication.backlog.rebase(saved.offset);
            replication.replicas.restart_ttl(self.clock.now());
        }
        self.refresh_wants();
    }

    fn link_settings(&self) -> Settings {
        let config = &self.config;
        let given = |text: &[u8]| (!text.is_empty()).then(|| text.to_vec());
        Settings {
            user: given(config.masteruser.as_bytes()),
            password: given(&config.masterauth),
            listening_port: match config.replica_announce_port {
                0 => config.port,
                port => port,
            },
            announce_ip: given(config.replica_announce_ip.as_bytes()),
            timeout_secs: config.repl_timeout,
        }
    }

    /// Carries out what the link has decided, until it asks for nothing more.
    fn carry_out_link(&mut self) {
        while let Some(action) = self.replication.follow.as_mut().and_then(|follow| follow.link.take_action()) {
            self.carry_out(action);
        }
        self.refresh_replica_alarms();
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Log(line) => write_log(&line),
            Action::Probe(address) => self.begin_probe(address),
            Action::Connect(address) => self.connect_to_master(&address),
            Action::Send(bytes) => self.send_to_master(&bytes),
            Action::Close => self.close_way(),
            Action::BeginTransfer(kind) => self.begin_transfer(kind),
            Action::AbortTransfer => self.abort_transfer(),
            Action::Load => self.load_received_file(),
            Action::Online(start) => self.go_online(start),
            Action::Offline => self.forget_unapplied(),
            Action::FailoverAccepted => self.failover_answered(true),
            Action::FailoverRejected => self.failover_answered(false),
        }
    }

    fn go_online(&mut self, start: Start) {
        let replication = &mut self.replication;
        match start {
            Start::Continued { new_id, offset, .. } => {
                if let Some(id) = new_id {
                    replication.ids.follow(id, offset);
                    self.drop_replicas();
                }
                let backlog = &mut self.replication.backlog;
                if !backlog.is_active() {
                    backlog.restart_at(offset);
                    backlog.activate();
                }
            }
            Start::Loaded { id, offset, .. } => {
                let mut bytes = [0; RunId::LEN / 2];
                self.ks.rng.fill(&mut bytes);
                self.drop_replicas();
                let replication = &mut self.replication;
                replication.ids.adopt(id.unwrap_or_else(|| RunId::from_bytes(&bytes)));
                replication.backlog.restart_at(offset);
                replication.backlog.activate();
                if self.config.appendonly && !self.persistence.aof.is_on() {
                    self.restart_aof();
                }
            }
        }
        let (Start::Continued { db, .. } | Start::Loaded { db, .. }) = start;
        self.begin_stream(db);
        self.note_applied();
    }

    /// The append only file was stopped for a data set that took the place of what it told.
    fn restart_aof(&mut self) {
        if let Err(error) = self.switch_aof() {
            log::warn!("Failed enabling the AOF after successful master synchronization: {error}");
        }
    }

    /// Ends the connections of all replicas of this server.
    pub(super) fn drop_replicas(&mut self) {
        let all: Vec<usize> =
            self.clients.open().filter(|(_, c)| c.flags.has(Flags::REPLICA)).map(|(slot, _)| slot).collect();
        all.into_iter().for_each(|slot| self.end_client(slot));
    }
}

fn write_log(line: &LogLine) {
    match line.level {
        Level::Debug => log::debug!("{}", line.text),
        Level::Notice => log::info!("{}", line.text),
        Level::Warning => log::warn!("{}", line.text),
    }
}

/// Milliseconds since 1970 as a name for a file, in seconds.
fn seconds(now: Millis) -> i64 {
    now.secs()
}
