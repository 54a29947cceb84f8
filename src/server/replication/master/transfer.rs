//! Data sets on their way to replicas.
//!
//! *Duty:* a file in pieces, behind a line with its length; or what a child writes to a pipe, to all replicas that
//! share the child at the same pace. *Does not know:* what is in it. *Invariants:* of the pipe no more than a piece is
//! held, and the next one is read when all replicas have the one before; so the slowest sets the pace, and the others'
//! sockets keep no more than theirs. The child lives until its last byte has been passed on.
//! *Counterpart in C Redis:* `sendBulkToSlave`, `rdbPipeReadHandler`, `rdbPipeWriteHandler`.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use super::Sending;
use super::sync::say;
use crate::base::ids::RunId;
use crate::net::Route;
use crate::net::stream::Moved;
use crate::repl::master::{Job, PeerId};
use crate::server::Server;
use crate::server::client::Flags;
use crate::sys::pipe;

const PIECE: usize = 64 << 10;
/// Pieces of a file that one replica is sent before others get their turn; the same for the pipe.
const PIECES_PER_TURN: usize = 16;

/// The pipe from the child that writes for replicas.
#[derive(Debug)]
pub struct SyncPipe {
    reader: File,
    token: mio::Token,
    /// Closed when the child may go.
    child_waits_on: Option<File>,
    /// Who is sent what comes, and how much of the present piece each has.
    peers: Vec<(PeerId, usize)>,
    piece: Vec<u8>,
}

impl Server {
    /// The snapshot is there: its head is sent, its bytes follow.
    pub(super) fn begin_file(&mut self, id: PeerId) {
        let path = self.snapshot_path();
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (size, file) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                log::warn!("SYNC failed. Can't open/stat DB after BGSAVE: {error}");
                return self.close_peer(id);
            }
        };
        let Some(peer) = self.replication.master.peer(id) else { return };
        if let Some(client) = self.clients.find(peer) {
            client.link.get_or_insert_default().file = Some(Sending { file, at: 0, size });
        }
        self.tell(id, format!("${size}\r\n").as_bytes());
    }

    /// Sends of a file what the kernel takes. True: all of it is sent, and the stream may follow.
    pub(super) fn send_file(&mut self, slot: usize) -> bool {
        let mut piece = std::mem::take(&mut self.replication.master.piece);
        piece.resize(PIECE, 0);
        let done = self.send_pieces(slot, &mut piece);
        self.replication.master.piece = if done { Vec::new() } else { piece };
        if !done {
            return false;
        }
        let client = &mut self.clients[slot];
        let id = client.id.0;
        client.link.get_or_insert_default().file = None;
        let Some((stays, line)) = self.replication.replicas.bulk_sent(id, self.clock.now()) else { return false };
        say(line);
        if !stays {
            self.clients.close_asap(slot);
        }
        stays
    }

    fn send_pieces(&mut self, slot: usize, piece: &mut [u8]) -> bool {
        for _ in 0..PIECES_PER_TURN {
            let client = &mut self.clients[slot];
            let Some(sending) = client.link.as_mut().and_then(|link| link.file.as_mut()) else { return false };
            if sending.at == sending.size {
                return true;
            }
            let want = (sending.size - sending.at).min(piece.len() as u64) as usize;
            let got = match sending.file.read_at(&mut piece[..want], sending.at) {
                Ok(0) => Err(std::io::Error::from(ErrorKind::UnexpectedEof)),
                other => other,
            };
            let got = match got {
                Ok(got) => got,
                Err(error) => {
                    log::warn!("Read error sending DB to replica: {error}");
                    self.clients.close_asap(slot);
                    return false;
                }
            };
            match client.stream.write(&piece[..got]) {
                Ok(Moved::Bytes(n)) => {
                    sending.at += n as u64;
                    self.stats.net_repl_output_bytes += n as u64;
                }
                Ok(_) => {
                    client.flags.set(Flags::WRITE_BLOCKED);
                    return false;
                }
                Err(error) => {
                    log::warn!("Write error sending DB to replica: {error}");
                    self.clients.close_asap(slot);
                    return false;
                }
            }
        }
        self.clients.wants_write(slot);
        false
    }

    /// Starts a child that writes to a pipe for the replicas of `job`.
    pub(super) fn start_transfer(&mut self, job: &Job) -> Result<(), String> {
        let text = |error: std::io::Error| error.to_string();
        let (reader, writer) = pipe::from_child().map_err(text)?;
        let (childs_wait, child_waits_on) = pipe::to_child().map_err(text)?;
        let token = self.net.add_fd(reader.as_raw_fd(), Route::SyncPipe).map_err(text)?;
        let mark = RunId::random(&mut self.ks.rng);
        let ours = [reader.as_raw_fd(), child_waits_on.as_raw_fd()];
        if let Err(error) = self.bgsave_to_pipe((writer, childs_wait), ours, mark, job.filter) {
            self.net.remove_fd(reader.as_raw_fd(), token);
            return Err(error);
        }
        let peers = job.peers.iter().map(|id| (*id, 0)).collect();
        let child_waits_on = Some(child_waits_on);
        self.replication.master.pipe = Some(SyncPipe { reader, token, child_waits_on, peers, piece: Vec::new() });
        Ok(())
    }

    /// The pipe has something, or a replica has got all of the piece before.
    pub fn pump_sync_pipe(&mut self) {
        for _ in 0..PIECES_PER_TURN {
            let Some(pipe) = &mut self.replication.master.pipe else { return };
            let done = |(_, sent): &(PeerId, usize)| *sent == pipe.piece.len();
            if pipe.child_waits_on.is_none() || !pipe.peers.iter().all(done) {
                return;
            }
            pipe.piece.resize(PIECE, 0);
            let got = pipe.reader.read(&mut pipe.piece);
            pipe.piece.truncate(*got.as_ref().unwrap_or(&0));
            // Nothing read, nothing owed.
            pipe.peers.iter_mut().for_each(|(_, sent)| *sent = 0);
            match got {
                Ok(0) => return self.pipe_is_dry(),
                Ok(_) => self.pass_piece_on(),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return,
                Err(error) => {
                    log::warn!("Diskless rdb transfer, read error sending DB to replicas: {error}");
                    return self.stop_save_child();
                }
            }
        }
        // Others get their turn; the writing of this one goes on with the pipe.
        let first = self.replication.master.pipe.as_ref().and_then(|pipe| pipe.peers.first().copied());
        if let Some(peer) = first.and_then(|(id, _)| self.replication.master.peer(id)) {
            self.clients.wants_write(peer.slot as usize);
        }
    }

    fn pass_piece_on(&mut self) {
        let peers: Vec<PeerId> = match &self.replication.master.pipe {
            Some(pipe) => pipe.peers.iter().map(|(id, _)| *id).collect(),
            None => return,
        };
        for id in peers {
            if let Some(peer) = self.replication.master.peer(id) {
                self.send_piece(peer.slot as usize);
            }
        }
    }

    /// Everything has been passed on: the child may go, and its end brings its replicas online.
    fn pipe_is_dry(&mut self) {
        let Some(pipe) = &mut self.replication.master.pipe else { return };
        log::warn!("Diskless rdb transfer, done reading from pipe, {} replicas still up.", pipe.peers.len());
        pipe.child_waits_on = None;
    }

    /// Writing to a replica whose data set comes through the pipe is possible again.
    pub(super) fn go_on_with_pipe(&mut self, slot: usize) {
        self.send_piece(slot);
        self.pump_sync_pipe();
    }

    /// Sends a replica what it lacks of the present piece.
    fn send_piece(&mut self, slot: usize) {
        let client = &mut self.clients[slot];
        let id = client.id.0;
        let Some(pipe) = &mut self.replication.master.pipe else { return };
        let Some((_, sent)) = pipe.peers.iter_mut().find(|(peer, _)| *peer == id) else { return };
        // What is in front of the data set goes first; the end of that comes here again.
        let busy = client.output_len() > 0 || client.flags.has(Flags(Flags::WRITE_BLOCKED.0 | Flags::CLOSE_ASAP.0));
        if busy || *sent == pipe.piece.len() {
            return;
        }
        let before = *sent;
        while *sent < pipe.piece.len() {
            match client.stream.write(&pipe.piece[*sent..]) {
                Ok(Moved::Bytes(n)) => {
                    *sent += n;
                    self.stats.net_repl_output_bytes += n as u64;
                }
                Ok(_) => {
                    client.flags.set(Flags::WRITE_BLOCKED);
                    break;
                }
                Err(error) => {
                    log::warn!("Diskless rdb transfer, write error sending DB to replica: {error}");
                    return self.clients.close_asap(slot);
                }
            }
        }
        let complete = *sent == pipe.piece.len();
        if complete || *sent > before || before == 0 {
            self.replication.replicas.transfer_write(id, complete, self.clock.now());
        }
    }

    /// A replica of the pipe has gone.
    pub(super) fn leave_pipe(&mut self, id: PeerId) {
        let Some(pipe) = &mut self.replication.master.pipe else { return };
        pipe.peers.retain(|(peer, _)| *peer != id);
        if !pipe.peers.is_empty() {
            return self.pump_sync_pipe();
        }
        if pipe.child_waits_on.is_some() {
            log::warn!("Diskless rdb transfer, last replica dropped, killing fork child.");
            self.stop_save_child();
        }
    }

    /// The child is gone, and with it the pipe.
    pub(super) fn end_pipe(&mut self) {
        if let Some(pipe) = self.replication.master.pipe.take() {
            self.net.remove_fd(pipe.reader.as_raw_fd(), pipe.token);
        }
    }
}
