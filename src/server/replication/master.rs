//! The master's side: replicas' connections, and what is written to them.
//!
//! *Duty:* carry out what `repl::Replicas` decides: `sync` answers SYNC and PSYNC and starts children, `transfer` sends
//! data sets, `acks` counts who has what (WAIT), `cron` watches the time, `handover` is FAILOVER. This file has the
//! state, the writing of the stream, and the end of a replica.
//! *Does not know:* who may continue, who shares a child, who is too slow. *Invariants:* a replica's client has
//! `Flags::REPLICA`, a [`Link`] and an entry in `Replicas` from SYNC to its end. What it is sent is, in this order: its reply
//! buffer (the answer to PSYNC, newlines, the head of a file), its data set, the stream; the latter two are in no buffer of its
//! own. A command of a replica that answers something ends the connection, as the answer would be taken for the stream.
//! *Counterpart in C Redis:* `replication.c`'s half of the master, `writeToClient` for replicas.

mod acks;
mod cron;
mod handover;
mod sync;
mod transfer;

use std::fs::File;
use std::io::IoSlice;

use crate::call::ClientRef;
use crate::net::stream::{Moved, Stream};
use crate::repl::Backlog;
use crate::repl::master::{Options, Peer, PeerId, PeerState};
use crate::repl::replica::trouble::quote;
use crate::resp::ReplyBuf;
use crate::server::Server;
use crate::server::client::{Client, Flags};
use crate::server::registry::RowId;
use acks::Waiter;
pub(in crate::server) use sync::say;
use transfer::SyncPipe;

/// Pieces of the stream that one write takes, and writes before others get their turn.
const PIECES: usize = 16;
const WRITES_PER_TURN: usize = 4;

/// What this server keeps of its replicas' connections.
#[derive(Debug, Default)]
pub struct Master {
    peers: Vec<ClientRef>,
    /// The offset up to which replicas were told that there is something to write.
    announced: u64,
    /// A replica has told how far it is.
    acked: bool,
    /// Somebody waits for replicas to tell.
    wants_acks: bool,
    waiters: Vec<Waiter>,
    pipe: Option<SyncPipe>,
    /// Monotonic microseconds of the next look at the time.
    next_cron_us: u64,
    /// Where pieces of files are read.
    piece: Vec<u8>,
    /// The snapshot on disk was made for replicas only (`rdb-del-sync-files`).
    file_for_replicas: bool,
}

impl Master {
    fn peer(&self, id: PeerId) -> Option<ClientRef> {
        self.peers.iter().copied().find(|peer| peer.id.0 == id)
    }
}

/// What a connection has told by REPLCONF, and the file that it is being sent.
#[derive(Debug, Default)]
pub struct Link {
    pub options: Options,
    file: Option<Sending>,
}

#[derive(Debug)]
struct Sending {
    file: File,
    at: u64,
    size: u64,
}

impl Client {
    /// Its address as a replica: what it announced, or where it comes from.
    pub fn replica_address(&self) -> (String, i64) {
        let options = self.link.as_ref().map(|link| &link.options);
        let host = options.and_then(|o| o.ip_address.as_ref()).filter(|ip| !ip.is_empty());
        let host = match host {
            Some(ip) => String::from_utf8_lossy(ip).into_owned(),
            None => self.stream.peer().map_or_else(String::new, |address| address.ip().to_string()),
        };
        (host, options.map_or(0, |o| o.listening_port))
    }

    /// Its name in the log.
    fn replica_name(&self) -> String {
        match self.replica_address() {
            (host, _) if host.is_empty() => format!("client id #{}", self.id.0),
            (host, 0) => format!("{host}:<unknown-replica-port>"),
            (host, port) if host.contains(':') => format!("[{host}]:{port}"),
            (host, port) => format!("{host}:{port}"),
        }
    }
}

impl Server {
    /// Part of `before_sleep`: what has been added to the stream goes out, and who waits for replicas is looked after.
    pub fn serve_replicas(&mut self) {
        self.look_at_acks();
        self.look_at_disk();
        let end = self.replication.backlog.offset();
        if self.replication.master.announced == end {
            return;
        }
        self.replication.master.announced = end;
        for at in 0..self.replication.master.peers.len() {
            let peer = self.replication.master.peers[at];
            if self.replication.replicas.get(peer.id.0).is_some_and(|peer| peer.streams_from().is_some()) {
                self.clients.wants_write(peer.slot as usize);
            }
        }
    }

    /// All replicas, with the address that each is to be reached at.
    pub fn replicas(&self) -> impl Iterator<Item = (&Peer, String, i64)> {
        self.replication.replicas.iter().filter_map(|peer| {
            let client = self.clients.get(self.replication.master.peer(peer.id)?.slot as usize)?;
            let (host, port) = client.replica_address();
            Some((peer, host, port))
        })
    }

    /// Writes to a replica what follows its reply buffer.
    pub fn write_replica(&mut self, slot: usize) {
        let client = &self.clients[slot];
        if client.output_len() > 0 || client.flags.has(Flags(Flags::WRITE_BLOCKED.0 | Flags::CLOSE_ASAP.0)) {
            return;
        }
        let id = client.id.0;
        if client.link.as_ref().is_some_and(|link| link.file.is_some()) && !self.send_file(slot) {
            return;
        }
        match self.replication.replicas.get(id).map(|peer| peer.state) {
            Some(PeerState::WaitBgsaveEnd) => self.go_on_with_pipe(slot),
            Some(PeerState::Online) => self.send_stream(slot),
            _ => {}
        }
    }

    fn send_stream(&mut self, slot: usize) {
        let client = &mut self.clients[slot];
        let replication = &mut self.replication;
        let id = client.id.0;
        let Some(cursor) = replication.replicas.get(id).and_then(|peer| peer.streams_from()) else { return };
        for _ in 0..WRITES_PER_TURN {
            let at = replication.backlog.position(cursor);
            if at == replication.backlog.offset() {
                return;
            }
            match write_from(&replication.backlog, at, &mut client.stream) {
                Ok(Moved::Bytes(n)) => {
                    self.stats.net_repl_output_bytes += n as u64;
                    replication.replicas.wrote(id, n as u64, &mut replication.backlog);
                }
                Ok(_) => return client.flags.set(Flags::WRITE_BLOCKED),
                Err(error) => return self.replica_write_failed(slot, &error),
            }
        }
        self.clients.wants_write(slot);
    }

    fn replica_write_failed(&mut self, slot: usize, error: &std::io::Error) {
        log::debug!("Error writing to client: {error} {}", self.clients.describe(slot));
        self.clients.close_asap(slot);
    }

    /// What of the stream is kept for the client, if it is a replica: its output, for limits.
    pub fn stream_kept_for(&self, slot: usize) -> Option<u64> {
        let client = &self.clients[slot];
        if !client.flags.has(Flags::REPLICA) {
            return None;
        }
        let cursor = self.replication.replicas.get(client.id.0).and_then(|peer| peer.cursor());
        Some(cursor.map_or(0, |cursor| self.replication.backlog.output_memory(cursor)))
    }

    /// The stream has grown: whoever is too far behind goes.
    pub(super) fn check_replicas_output(&mut self) {
        for at in 0..self.replication.master.peers.len() {
            self.check_output_limit(self.replication.master.peers[at].slot as usize);
        }
    }

    /// The connection is about to go.
    pub fn drop_replica(&mut self, slot: usize) {
        let client = &mut self.clients[slot];
        if !client.flags.has(Flags::REPLICA) {
            return;
        }
        client.link = None;
        let id = client.id;
        let (now, replication) = (self.clock.now(), &mut self.replication);
        replication.master.peers.retain(|peer| peer.id != id);
        let Some(gone) = replication.replicas.remove(id.0, &mut replication.backlog, now) else { return };
        log::warn!("Connection with replica {} lost.", gone.name);
        replication.master.acked = true;
        if gone.state == PeerState::WaitBgsaveEnd {
            self.child_lost_a_replica(id.0);
        }
    }

    /// A replica's command wrote an answer, which it would take for a part of the stream.
    pub fn refuse_reply_to_replica(&mut self, slot: usize, row: Option<RowId>, before: usize, reply: &mut ReplyBuf) {
        if reply.len() == before {
            return;
        }
        let name = row.map_or("<unknown>", |row| self.registry.row(row).spec.name);
        if let Some(error) = reply.bytes()[before..].strip_prefix(b"-") {
            let text = quote(error.trim_ascii_end());
            self.stats.unexpected_error_replies += 1;
            log::warn!(
                "== CRITICAL == This master is sending an error to its replica: '{text}' after processing the command \
                 '{name}'"
            );
        }
        reply.truncate(before);
        let who = self.clients.describe(slot);
        log::warn!("Replica generated a reply to command '{name}', disconnecting it: {who}");
        self.clients.close_asap(slot);
    }
}

fn write_from(backlog: &Backlog, at: u64, stream: &mut Stream) -> std::io::Result<Moved> {
    let mut pieces = [IoSlice::new(&[]); PIECES];
    let slices = backlog.slices_from(at).expect("what a cursor stands at is held");
    let mut count = 0;
    for (place, slice) in pieces.iter_mut().zip(slices.filter(|slice| !slice.is_empty())) {
        *place = IoSlice::new(slice);
        count += 1;
    }
    stream.write_vectored(&pieces[..count])
}
