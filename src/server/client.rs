//! One connection: its session, and the way of its bytes to commands and back.
//!
//! *Duty:* read what has arrived, have it parsed and dispatched, keep what is left over, write replies.
//! *Does not know:* what commands do. *Counterpart in C Redis:* `client`, `readQueryFromClient`, `writeToClient`.
//!
//! Buffers. All connections share one read buffer: bytes are parsed where the kernel put them, and only the rest of
//! a command that is not whole yet moves to a buffer of the connection's own. Replies gather in a buffer that is
//! borrowed from a pool and goes back when it has been written. So an idle connection owns no buffer at all.

use crate::call::{Args, Caller, ClientId, ClientRef, CmdError, CmdResult, DbId, Effects, Origin};
use crate::config::ClientClass;
use crate::net::stream::Moved;
use crate::net::{Ready, Stream};
use crate::pubsub::Subscriptions;
use crate::resp::request::{self, End};
use crate::resp::{Argv, Batch, Limits, Partial, Proto, ProtocolError, ReplyBuf};
use crate::server::Server;
use crate::server::blocking::Blocked;
use crate::server::dispatch;
use crate::server::registry::RowId;

/// A connection's state, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    pub const AUTHENTICATED: Flags = Flags(1 << 0);
    /// Inside MULTI.
    pub const MULTI: Flags = Flags(1 << 1);
    /// A watched key was touched.
    pub const DIRTY_CAS: Flags = Flags(1 << 2);
    /// A command could not be queued.
    pub const DIRTY_EXEC: Flags = Flags(1 << 3);
    /// Waiting for keys.
    pub const BLOCKED: Flags = Flags(1 << 4);
    /// To be freed in this turn's `before_sleep`.
    pub const CLOSE_ASAP: Flags = Flags(1 << 5);
    /// To be freed when its replies have been written.
    pub const CLOSE_AFTER_REPLY: Flags = Flags(1 << 6);
    /// CLIENT REPLY OFF.
    pub const REPLY_OFF: Flags = Flags(1 << 7);
    /// CLIENT REPLY SKIP was just called: the next command gets no reply.
    pub const REPLY_SKIP_NEXT: Flags = Flags(1 << 8);
    /// The command that runs gets no reply.
    pub const REPLY_SKIP: Flags = Flags(1 << 9);
    pub const NO_EVICT: Flags = Flags(1 << 10);
    pub const NO_TOUCH: Flags = Flags(1 << 11);
    /// Has at least one subscription.
    pub const SUBSCRIBED: Flags = Flags(1 << 12);
    pub const UNIX_SOCKET: Flags = Flags(1 << 13);
    /// Listed among those with replies to write.
    pub const WRITE_PENDING: Flags = Flags(1 << 14);
    /// The kernel had no room; readiness will tell.
    pub const WRITE_BLOCKED: Flags = Flags(1 << 15);
    /// Listed among those whose socket may hold more.
    pub const READ_PENDING: Flags = Flags(1 << 16);
    /// The peer sends nothing more: reading goes on until the end is seen.
    pub const READ_CLOSED: Flags = Flags(1 << 17);
    /// Watches at least one key.
    pub const WATCHING: Flags = Flags(1 << 18);
    /// Sees every call of the others (MONITOR).
    pub const MONITOR: Flags = Flags(1 << 30);

    /// Any of these sends a command through all gates.
    pub const GATED: Flags = Flags(
        Flags::MULTI.0
            | Flags::SUBSCRIBED.0
            | Flags::REPLY_OFF.0
            | Flags::REPLY_SKIP_NEXT.0
            | Flags::REPLY_SKIP.0
            | Flags::MONITOR.0,
    );
    /// Any of these ends the processing of a pipeline.
    pub const STOPPED: Flags = Flags(Flags::BLOCKED.0 | Flags::CLOSE_ASAP.0 | Flags::CLOSE_AFTER_REPLY.0);

    #[inline]
    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    #[inline]
    pub fn set(&mut self, other: Flags) {
        self.0 |= other.0;
    }

    #[inline]
    pub fn clear(&mut self, other: Flags) {
        self.0 &= !other.0;
    }
}

/// The commands that MULTI has queued.
#[derive(Debug, Default)]
pub struct Transaction {
    pub queue: Vec<(RowId, Argv)>,
    /// Bytes of all queued arguments, for CLIENT LIST.
    pub memory: usize,
}

/// What a client said about itself.
#[derive(Debug, Default)]
pub struct Names {
    pub name: Vec<u8>,
    pub lib_name: Vec<u8>,
    pub lib_ver: Vec<u8>,
}

impl Names {
    /// Whether a text can stand in a line of CLIENT LIST, whose fields end at blanks.
    pub fn may_be(text: &[u8]) -> bool {
        text.iter().all(|byte| byte.is_ascii_graphic())
    }
}

pub struct Client {
    pub id: ClientId,
    pub stream: Stream,
    pub token: mio::Token,
    pub flags: Flags,
    pub db: DbId,
    /// Bytes of a command that is not whole yet.
    pub input: Vec<u8>,
    pub partial: Option<Box<Partial>>,
    pub reply: ReplyBuf,
    /// Of `reply`, bytes that have been written already.
    pub sent: usize,
    pub transaction: Option<Box<Transaction>>,
    pub subscriptions: Option<Box<Subscriptions>>,
    pub blocked: Option<Box<Blocked>>,
    pub names: Option<Box<Names>>,
    pub last_row: Option<RowId>,
    /// Monotonic milliseconds.
    pub created_ms: u64,
    pub last_seen_ms: u64,
    /// Monotonic milliseconds since when the soft output limit is exceeded; 0: it is not.
    pub soft_limit_since_ms: u64,
}

impl Client {
    pub fn caller(&self, slot: usize) -> Caller {
        Caller {
            client: self.reference(slot),
            db: self.db,
            origin: Origin::Client,
            no_touch: self.flags.has(Flags::NO_TOUCH),
        }
    }

    pub fn reference(&self, slot: usize) -> ClientRef {
        ClientRef { slot: slot as u32, id: self.id }
    }

    pub fn proto(&self) -> Proto {
        self.reply.proto
    }

    /// Bytes waiting to be written.
    pub fn output_len(&self) -> usize {
        // While a command of its own runs, the replies are elsewhere, and what was sent of them is not.
        self.reply.len().saturating_sub(self.sent)
    }

    pub fn name(&self) -> &[u8] {
        self.names.as_ref().map_or(b"", |n| &n.name)
    }

    /// CLIENT SETNAME; an empty name is none.
    pub fn set_name(&mut self, name: &[u8]) -> CmdResult {
        if !Names::may_be(name) {
            return Err(CmdError::Fixed("ERR Client names cannot contain spaces, newlines or special characters."));
        }
        if !name.is_empty() {
            self.names.get_or_insert_default().name = name.to_vec();
        } else if let Some(names) = &mut self.names {
            names.name.clear();
        }
        Ok(())
    }
}

/// Bytes read from one connection in one go, before others get their turn.
const READ_SIZE: usize = 64 * 1024;
/// Reply buffers larger than this are not kept for reuse.
const POOLED_REPLY_MAX: usize = 64 * 1024;
const POOLED_REPLIES: usize = 128;
/// Bytes of replies kept for a client that has not authenticated and does not read.
const UNREAD_BY_STRANGER_MAX: usize = 17 * 1024;

/// Buffers that pass from connection to connection.
pub struct Buffers {
    read: Vec<u8>,
    batch: Batch,
    replies: Vec<Vec<u8>>,
    fx: Effects,
}

impl Buffers {
    pub fn new() -> Buffers {
        Buffers { read: vec![0; READ_SIZE], batch: Batch::default(), replies: Vec::new(), fx: Effects::default() }
    }
}

impl Default for Buffers {
    fn default() -> Buffers {
        Buffers::new()
    }
}

impl Server {
    /// A connection's socket is ready.
    pub fn client_ready(&mut self, slot: usize, ready: Ready) {
        let Some(client) = self.clients.get_mut(slot) else {
            return;
        };
        if ready.writable && client.flags.has(Flags::WRITE_BLOCKED) {
            client.flags.clear(Flags::WRITE_BLOCKED);
            self.clients.wants_write(slot);
        }
        if ready.read_closed {
            self.clients[slot].flags.set(Flags::READ_CLOSED);
        }
        if ready.readable || ready.read_closed {
            self.read_client(slot);
        }
    }

    /// Reads once and runs what is whole. A connection that may have more is put at the end of the queue.
    pub fn read_client(&mut self, slot: usize) {
        let Some(client) = self.clients.get_mut(slot) else {
            return;
        };
        if client.flags.has(Flags(Flags::CLOSE_ASAP.0 | Flags::CLOSE_AFTER_REPLY.0)) {
            return;
        }
        let mut buffer = std::mem::take(&mut self.exec.buffers.read);
        let got = client.stream.read(&mut buffer);
        self.stats.reads_processed += 1;
        match got {
            Ok(Moved::Bytes(n)) => {
                self.stats.net_input_bytes += n as u64;
                let more = n == buffer.len() || client.flags.has(Flags::READ_CLOSED);
                self.consume(slot, &mut buffer[..n]);
                if more {
                    self.clients.read_again(slot);
                }
            }
            Ok(Moved::WouldBlock) => {}
            Ok(Moved::Closed) => {
                log::debug!("Client closed connection {}", self.clients.describe(slot));
                self.clients.close_asap(slot);
            }
            Err(error) => {
                log::debug!("Reading from client: {error} {}", self.clients.describe(slot));
                self.clients.close_asap(slot);
            }
        }
        self.exec.buffers.read = buffer;
    }

    /// Takes bytes that have arrived: joins them to those that were left over, if any, and runs what is whole.
    fn consume(&mut self, slot: usize, fresh: &mut [u8]) {
        let now_ms = self.clock.mono_us() / 1000;
        let client = &mut self.clients[slot];
        client.last_seen_ms = now_ms;
        if client.flags.has(Flags::BLOCKED) {
            client.input.extend_from_slice(fresh);
        } else if client.input.is_empty() {
            let consumed = self.process(slot, fresh);
            self.clients[slot].input.extend_from_slice(&fresh[consumed..]);
        } else {
            client.input.extend_from_slice(fresh);
            self.process_input(slot);
        }
        self.check_input_limit(slot);
    }

    /// Runs what is whole among the bytes that a connection had left over.
    pub fn process_input(&mut self, slot: usize) {
        let mut input = std::mem::take(&mut self.clients[slot].input);
        let consumed = self.process(slot, &mut input);
        if consumed < input.len() {
            input.drain(..consumed);
            self.clients[slot].input = input;
        }
    }

    /// Parses and dispatches commands until the bytes run out or the client may not go on. Returns how many bytes
    /// have been dealt with.
    fn process(&mut self, slot: usize, buf: &mut [u8]) -> usize {
        let mut batch = std::mem::take(&mut self.exec.buffers.batch);
        let mut fx = std::mem::take(&mut self.exec.buffers.fx);
        let mut partial = self.clients[slot].partial.take();
        let mut reply = self.take_reply(slot);
        self.exec.start_timing();
        self.exec.reading = buf.len();
        let mut at = 0;
        loop {
            let limits = self.request_limits(slot);
            let progress = request::parse(buf, at, &mut partial, limits, &mut batch);
            if batch.len() > 1 {
                dispatch::prefetch(self, slot, buf, &batch);
            }
            at = progress.consumed;
            if let Some(end) = self.run_batch(slot, buf, &batch, &mut reply, &mut fx) {
                // What was parsed ahead is parsed again when the client may go on.
                partial = None;
                at = end;
                break;
            }
            match progress.end {
                End::BatchFull => {}
                End::NeedMore => break,
                End::Error(error) => {
                    self.refuse_protocol(slot, error, &mut reply);
                    at = buf.len();
                    break;
                }
            }
        }
        self.settle_counts(&mut fx);
        self.exec.buffers.batch = batch;
        self.exec.buffers.fx = fx;
        self.clients[slot].partial = partial;
        self.give_reply(slot, reply);
        at
    }

    /// Runs a batch. `Some(end)`: the client may not go on; bytes from `end` on have not been dealt with.
    fn run_batch(
        &mut self,
        slot: usize,
        buf: &[u8],
        batch: &Batch,
        reply: &mut ReplyBuf,
        fx: &mut Effects,
    ) -> Option<usize> {
        for i in 0..batch.len() {
            let command = batch.command(i);
            let args = Args::new(buf, batch.spans(command));
            dispatch::dispatch(self, slot, args, reply, fx);
            let client = &mut self.clients[slot];
            // What the command pushed to its own client follows its reply.
            if !client.reply.is_empty() {
                reply.raw(client.reply.bytes());
                client.reply.truncate(0);
            }
            if client.flags.has(Flags::STOPPED) {
                return Some(command.end as usize);
            }
        }
        None
    }

    /// Takes a client's replies out, to be written to while commands run on its behalf; an empty one stays behind.
    /// [`Server::give_reply`] puts it back.
    pub fn take_reply(&mut self, slot: usize) -> ReplyBuf {
        let client = &mut self.clients[slot];
        let stand_in = ReplyBuf::new(client.reply.proto);
        let mut reply = std::mem::replace(&mut client.reply, stand_in);
        if reply.bytes_mut().capacity() == 0 {
            if let Some(spare) = self.exec.buffers.replies.pop() {
                *reply.bytes_mut() = spare;
            }
        }
        reply
    }

    pub fn give_reply(&mut self, slot: usize, mut reply: ReplyBuf) {
        let client = &mut self.clients[slot];
        reply.raw(client.reply.bytes());
        client.reply = reply;
        self.after_output(slot);
    }

    fn refuse_protocol(&mut self, slot: usize, error: ProtocolError, reply: &mut ReplyBuf) {
        let message = error.message();
        reply.error(&message);
        self.stats.count_error(&message);
        log::debug!("Protocol error ({error:?}) from client: {}", self.clients.describe(slot));
        self.clients[slot].flags.set(Flags::CLOSE_AFTER_REPLY);
    }

    fn request_limits(&self, slot: usize) -> Limits {
        let stranger = !self.clients[slot].flags.has(Flags::AUTHENTICATED) && !self.config.requirepass.is_empty();
        Limits { max_bulk: self.config.proto_max_bulk_len, authenticated: !stranger }
    }

    fn check_input_limit(&mut self, slot: usize) {
        let client = &self.clients[slot];
        if client.input.len() as u64 <= self.config.client_query_buffer_limit {
            return;
        }
        self.stats.query_buffer_limit_disconnections += 1;
        log::warn!("Closing client that reached max query buffer length: {}", self.clients.describe(slot));
        self.clients.close_asap(slot);
    }

    /// Something was added to a client's replies: it is written at the end of the turn, unless the client has
    /// fallen too far behind.
    pub fn after_output(&mut self, slot: usize) {
        let client = &self.clients[slot];
        if client.output_len() == 0 {
            // With CLIENT REPLY OFF there may be no reply to wait for.
            if client.flags.has(Flags::CLOSE_AFTER_REPLY) {
                self.clients.close_asap(slot);
            }
            return;
        }
        self.clients.wants_write(slot);
        self.check_output_limit(slot);
    }

    fn check_output_limit(&mut self, slot: usize) {
        let client = &mut self.clients[slot];
        let class = if client.flags.has(Flags::SUBSCRIBED) { ClientClass::Pubsub } else { ClientClass::Normal };
        let limit = self.config.client_output_buffer_limit[class.index()];
        // A stranger who does not read what it is told must not make us keep it.
        let deaf_stranger = client.flags.has(Flags::WRITE_BLOCKED)
            && !client.flags.has(Flags::AUTHENTICATED)
            && client.output_len() > UNREAD_BY_STRANGER_MAX;
        if limit.hard == 0 && limit.soft == 0 && !deaf_stranger {
            return;
        }
        let (len, now_ms) = (client.output_len() as u64, self.clock.mono_us() / 1000);
        let mut over = deaf_stranger || limit.hard > 0 && len >= limit.hard;
        if limit.soft == 0 || len < limit.soft {
            client.soft_limit_since_ms = 0;
        } else if client.soft_limit_since_ms == 0 {
            client.soft_limit_since_ms = now_ms;
        } else if now_ms - client.soft_limit_since_ms > limit.soft_seconds * 1000 {
            over = true;
        }
        if over && !client.flags.has(Flags::CLOSE_ASAP) {
            self.stats.output_buffer_limit_disconnections += 1;
            let who = self.clients.describe(slot);
            log::warn!("Client {who} scheduled to be closed ASAP for overcoming of output buffer limits.");
            self.clients.close_asap(slot);
        }
    }

    /// Writes what a client is owed, as far as the kernel takes it.
    pub fn write_client(&mut self, slot: usize) {
        let client = &mut self.clients[slot];
        client.flags.clear(Flags::WRITE_PENDING);
        self.stats.writes_processed += 1;
        while client.sent < client.reply.len() && !client.flags.has(Flags::WRITE_BLOCKED) {
            match client.stream.write(&client.reply.bytes()[client.sent..]) {
                Ok(Moved::Bytes(n)) => {
                    client.sent += n;
                    self.stats.net_output_bytes += n as u64;
                }
                Ok(_) => client.flags.set(Flags::WRITE_BLOCKED),
                Err(error) => {
                    log::debug!("Error writing to client: {error} {}", self.clients.describe(slot));
                    self.clients.close_asap(slot);
                    return;
                }
            }
        }
        if client.sent == client.reply.len() {
            let mut bytes = std::mem::take(client.reply.bytes_mut());
            client.sent = 0;
            client.soft_limit_since_ms = 0;
            bytes.clear();
            if bytes.capacity() <= POOLED_REPLY_MAX && self.exec.buffers.replies.len() < POOLED_REPLIES {
                self.exec.buffers.replies.push(bytes);
            }
            if client.flags.has(Flags::CLOSE_AFTER_REPLY) {
                self.clients.close_asap(slot);
            }
        } else if client.sent > client.reply.len() / 2 {
            let sent = std::mem::take(&mut client.sent);
            client.reply.bytes_mut().drain(..sent);
        }
    }
}
