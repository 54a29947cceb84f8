//! FAILOVER, on the server that hands its role over and on the one that takes it.
//!
//! *Duty:* tell `repl::Failover` what it asks for, and carry out what it says. *Does not know:* when to go and when to
//! give up. *Counterpart in C Redis:* `failoverCommand`, `updateFailoverStatus`, the head of `syncCommand`.

use super::sync::say;
use crate::base::millis::Millis;
use crate::call::{Call, CmdError, CmdResult};
use crate::config::MasterAddr;
use crate::repl::failover::{Candidate, Command, FailoverAction, FailoverFacts};
use crate::repl::master::PeerState;
use crate::repl::replica::Address;
use crate::server::Server;
use crate::server::pause::{Sake, Scope};

impl Server {
    /// FAILOVER.
    pub fn failover(&mut self, call: &mut Call<'_>) -> CmdResult {
        let refused = |text: &str| CmdError::text(format!("ERR {text}"));
        if self.config.cluster_enabled {
            return Err(refused("FAILOVER not allowed in cluster mode."));
        }
        let args: Vec<&[u8]> = call.args.from(1).collect();
        let candidates = self.candidates();
        let facts = self.failover_facts(&candidates);
        let done = match Command::parse(&args).map_err(refused)? {
            Command::Abort => self.replication.failover.abort(),
            Command::Start(wish) => self.replication.failover.start(wish, &facts),
        };
        done.map_err(refused)?;
        self.obey_failover();
        call.reply.ok();
        // The chosen one may have everything already.
        self.replication.master.acked = true;
        Ok(())
    }

    fn candidates(&self) -> Vec<Candidate> {
        let peers = self.replication.replicas.iter();
        peers
            .filter_map(|peer| {
                let client = self.clients.get(self.replication.master.peer(peer.id)?.slot as usize)?;
                let (host, port) = client.replica_address();
                Some(Candidate { host, port, online: peer.state == PeerState::Online, ack_offset: peer.ack_offset })
            })
            .collect()
    }

    fn failover_facts<'a>(&self, replicas: &'a [Candidate]) -> FailoverFacts<'a> {
        FailoverFacts {
            now: self.clock.now(),
            is_replica: self.replication.is_replica(),
            offset: self.replication.backlog.offset(),
            replicas,
        }
    }

    /// Looks whether a failover can go on, or is overdue.
    pub(super) fn tick_failover(&mut self) {
        if self.replication.failover.is_active() {
            let candidates = self.candidates();
            let facts = self.failover_facts(&candidates);
            self.replication.failover.tick(&facts);
            self.obey_failover();
        }
    }

    /// The chosen one takes over, or does not.
    pub fn failover_answered(&mut self, accepted: bool) {
        self.replication.failover.on_answer(accepted);
        self.obey_failover();
    }

    /// Does what the failover asks for. To be called whenever it was told something.
    pub fn obey_failover(&mut self) {
        while let Some(action) = self.replication.failover.take_action() {
            match action {
                FailoverAction::PauseWrites => self.pause_clients(Sake::Failover, Scope::Writes, Millis(i64::MAX)),
                FailoverAction::ResumeWrites => self.unpause_clients(Sake::Failover),
                FailoverAction::Follow(target) => self.hand_over_to(&target),
                FailoverAction::StayMaster => {
                    self.stop_following();
                }
                FailoverAction::Log(line) => say(line),
            }
        }
    }

    /// Becomes a replica of `target`, which is asked to take over.
    fn hand_over_to(&mut self, target: &Address) {
        self.follow_master(MasterAddr { host: target.host.clone(), port: target.port });
        if let Some(follow) = &mut self.replication.follow {
            follow.link.failover = true;
        }
    }

    /// `PSYNC … FAILOVER`: our master asks us to take over.
    pub(super) fn asked_to_take_over(&mut self, call: &Call<'_>) -> CmdResult {
        let id = call.arg(1);
        log::warn!("Failover request received for replid {}.", id.escape_ascii());
        if !self.replication.is_replica() {
            return Err(CmdError::Fixed("ERR PSYNC FAILOVER can't be sent to a master."));
        }
        if !id.eq_ignore_ascii_case(self.replication.ids.id.as_bytes()) {
            return Err(CmdError::Fixed("ERR PSYNC FAILOVER replid must match my replid."));
        }
        self.stop_following();
        let who = self.clients.describe(call.caller.client.slot as usize);
        log::info!("MASTER MODE enabled (failover request from '{who}')");
        Ok(())
    }
}
