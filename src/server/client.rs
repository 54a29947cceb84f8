//! One connection: its session, and the way of its bytes to commands and back.
//!
//! *Duty:* read what has arrived, have it parsed and dispatched, keep what is left over, write replies.
//! *Does not know:* what commands do. *Counterpart in C Redis:* `client`, `readQueryFromClient`, `writeToClient`.
//!
//! Buffers. All connections share one read buffer: bytes are parsed where the kernel put them, and only the rest of
//! a command that is not whole yet moves to a buffer of the connection's own; a large bulk is read straight into that.
//! Replies gather in a buffer that is borrowed from a pool and goes back when it has been written. So an idle connection
//! owns no buffer at all. A new one has buffers of its own for its first seconds ([`Fresh`]).

mod fresh;
mod limits;
mod memory;
mod upkeep;

pub use fresh::Fresh;
pub use limits::FIXED_OUTPUT;
pub use memory::Memory;
pub use upkeep::Upkeep;

use crate::acl::UserId;
use crate::call::{Args, Caller, ClientId, ClientRef, CmdError, CmdResult, DbId, Effects, Origin};
use crate::net::stream::Moved;
use crate::net::{Ready, Stream};
use crate::pubsub::Subscriptions;
use crate::repl::replica::Lost;
use crate::resp::request::{self, End};
use crate::resp::{Argv, Batch, Partial, Proto, ProtocolError, ReplyBuf};
use crate::server::Server;
use crate::server::blocking::Blocked;
use crate::server::dispatch;
use crate::server::look_ahead::{Ahead, LookAhead};
use crate::server::registry::RowId;
use crate::server::replication::master::Link;
use crate::server::track::Caching;

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
    /// Follows this server: it is owed a data set, then the stream, and nothing else.
    pub const REPLICA: Flags = Flags(1 << 19);
    /// Stands for the master of this replica: what it says is done, and never answered.
    pub const MASTER: Flags = Flags(1 << 20);
    /// Watches at least one key.
    pub const WATCHING: Flags = Flags(1 << 18);
    /// Sees every call of the others (MONITOR).
    pub const MONITOR: Flags = Flags(1 << 30);

    /// Its user may not do everything: each command is checked.
    pub const RESTRICTED: Flags = Flags(1 << 21);
    /// Its command waits for the end of a pause; `BLOCKED` is set too.
    pub const POSTPONED: Flags = Flags(1 << 22);
    /// CLIENT TRACKING ON, and its options.
    pub const TRACKING: Flags = Flags(1 << 23);
    pub const TRACKING_BCAST: Flags = Flags(1 << 24);
    pub const TRACKING_OPTIN: Flags = Flags(1 << 25);
    pub const TRACKING_OPTOUT: Flags = Flags(1 << 26);
    pub const TRACKING_NOLOOP: Flags = Flags(1 << 27);
    /// CLIENT CACHING was just called: it is about the next command.
    pub const TRACKING_CACHING: Flags = Flags(1 << 28);
    /// The connection that was to get the messages is gone.
    pub const TRACKING_BROKEN: Flags = Flags(1 << 29);

    /// Any of these sends a command through all gates.
    pub const GATED: Flags = Flags(
        Flags::MULTI.0
            | Flags::SUBSCRIBED.0
            | Flags::REPLY_OFF.0
            | Flags::REPLY_SKIP_NEXT.0
            | Flags::REPLY_SKIP.0
            | Flags::MONITOR.0
            | Flags::REPLICA.0
            | Flags::RESTRICTED.0
            | Flags::TRACKING.0,
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
    /// Who is calling; none is the server itself: the stream of a master.
    pub user: Option<UserId>,
    /// Bytes of a command that is not whole yet.
    pub input: Vec<u8>,
    pub partial: Option<Box<Partial>>,
    /// Where a new connection's bytes are read to.
    pub fresh: Option<Fresh>,
    pub reply: ReplyBuf,
    /// Of `reply`, bytes that have been written already.
    pub sent: usize,
    pub transaction: Option<Box<Transaction>>,
    pub subscriptions: Option<Box<Subscriptions>>,
    pub blocked: Option<Box<Blocked>>,
    pub names: Option<Box<Names>>,
    pub caching: Option<Box<Caching>>,
    /// What it said about itself as a replica, and what it is being sent.
    pub link: Option<Box<Link>>,
    /// The stream's offset behind its last change: what WAIT waits for.
    pub written: u64,
    /// The command that waits for the end of a pause.
    pub postponed: Option<Box<Argv>>,
    /// Bytes that this client was last counted with.
    pub counted: usize,
    /// The most that `input` held since it was last looked after.
    pub input_peak: u32,
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
            origin: if self.flags.has(Flags::MASTER) { Origin::Master } else { Origin::Client },
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

    /// Where a message goes that is no reply; `None`: nothing may follow what was written.
    pub fn push_buffer(&mut self) -> Option<&mut ReplyBuf> {
        let closing = Flags(Flags::CLOSE_ASAP.0 | Flags::CLOSE_AFTER_REPLY.0);
        (!self.flags.has(closing)).then_some(&mut self.reply)
    }

    pub fn name(&self) -> &[u8] {
        self.names.as_ref().map_or(b"", |n| &n.name)
    }

    /// Makes room for `more` bytes of input: at least as much as there is already, but not more than the command that
    /// is being read wants in all.
    fn make_room(&mut self, more: usize) {
        let (len, capacity) = (self.input.len(), self.input.capacity());
        let needed = len + more;
        if needed > capacity {
            let wanted = self.partial.as_ref().map_or(0, |partial| partial.wanted());
            let target = needed.max(2 * capacity);
            self.input.reserve_exact(if wanted >= needed { target.min(wanted) } else { target } - len);
        }
    }

    /// Adds bytes that cannot be dealt with yet.
    fn keep_input(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.input.extend_from_slice(bytes);
        self.input_peak = self.input_peak.max(self.input.len() as u32);
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
/// A bulk of which at least this much is missing is read straight into the connection's own buffer.
const BIG_REST: usize = 32 * 1024;
/// Bytes of such a bulk that one event reads.
const BIG_READ_MAX: usize = 4 << 20;
/// A connection's own buffer up to this size is kept for the next large command, until the connection is looked after.
const KEPT_INPUT_MAX: usize = 1 << 20;
const KEPT_INPUT_MIN: usize = 32 * 1024;

/// Buffers that pass from connection to connection.
pub struct Buffers {
    read: Vec<u8>,
    pub(super) batch: Batch,
    pub(super) ahead: LookAhead,
    replies: Vec<Vec<u8>>,
    /// DEBUG REPLYBUFFER RESIZING 0: none goes to the pool.
    pub replies_stay: bool,
    /// Boxed, so that it is taken and given back by its address; `None` while it is out.
    pub(super) fx: Option<Box<Effects>>,
}

impl Buffers {
    pub fn new() -> Buffers {
        Buffers {
            read: vec![0; READ_SIZE],
            batch: Batch::default(),
            ahead: LookAhead::default(),
            replies: Vec::new(),
            replies_stay: false,
            fx: None,
        }
    }

    /// Takes an emptied reply buffer into the pool, if it is worth it.
    #[inline]
    fn keep_reply(&mut self, bytes: Vec<u8>) {
        if bytes.capacity() <= POOLED_REPLY_MAX && self.replies.len() < POOLED_REPLIES {
            self.replies.push(bytes);
        }
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
        // Served beside its own script: what it sends comes after that.
        if self.hosting.caller == Some(slot) {
            return self.clients.read_again(slot);
        }
        if client.partial.is_some() && self.wants_big_read(slot) {
            return self.read_big(slot);
        }
        let client = &mut self.clients[slot];
        let mut buffer = match &mut client.fresh {
            None => std::mem::take(&mut self.exec.buffers.read),
            Some(fresh) => fresh.take(),
        };
        let got = client.stream.read(&mut buffer);
        self.stats.reads_processed += 1;
        match got {
            Ok(Moved::Bytes(n)) => {
                self.stats.net_input_bytes += n as u64;
                let more = n == buffer.len() || client.flags.has(Flags::READ_CLOSED);
                self.consume(slot, &mut buffer[..n]);
                // A short read may have opened a closed TCP window: the rest of a large bulk is there at once. But a
                // mere promise of one reserves nothing.
                if (more || n >= BIG_REST) && self.wants_big_read(slot) {
                    self.read_big(slot);
                } else if more {
                    self.clients.read_again(slot);
                }
            }
            Ok(Moved::WouldBlock) => {}
            Ok(Moved::Closed) => {
                log::debug!("Client closed connection {}", self.clients.describe(slot));
                self.stream_broke(slot, Lost::Eof);
                self.clients.close_asap(slot);
            }
            Err(error) => {
                log::debug!("Reading from client: {error} {}", self.clients.describe(slot));
                self.stream_broke(slot, Lost::Io(error.to_string()));
                self.clients.close_asap(slot);
            }
        }
        match &mut self.clients[slot].fresh {
            None => self.exec.buffers.read = buffer,
            Some(fresh) => fresh.give_back(buffer),
        }
    }

    /// Takes bytes that have arrived: joins them to those that were left over, if any, and runs what is whole.
    fn consume(&mut self, slot: usize, fresh: &mut [u8]) {
        let now_ms = self.clock.mono_us() / 1000;
        let client = &mut self.clients[slot];
        client.last_seen_ms = now_ms;
        if client.flags.has(Flags::MASTER) {
            self.stream_arrived(fresh.len());
        }
        let client = &mut self.clients[slot];
        if client.flags.has(Flags::BLOCKED) {
            client.input.extend_from_slice(fresh);
        } else if client.input.is_empty() {
            let consumed = self.process(slot, fresh);
            if consumed < fresh.len() {
                self.clients[slot].keep_input(&fresh[consumed..]);
            }
        } else {
            client.keep_input(fresh);
            self.process_input(slot);
        }
        self.check_input_limit(slot);
    }

    /// Most of a large bulk is missing, and nothing stands in the way of reading on.
    fn wants_big_read(&self, slot: usize) -> bool {
        let client = &self.clients[slot];
        let wanted = client.partial.as_ref().map_or(0, |partial| partial.wanted());
        wanted >= client.input.len() + BIG_REST && !client.flags.has(Flags::STOPPED)
    }

    /// Reads the rest of a large bulk into the connection's own buffer, all of it that is there: whoever asks for this
    /// client's memory later in the turn finds what was sent before the question. The buffer grows with what arrives:
    /// a promise alone reserves nothing.
    fn read_big(&mut self, slot: usize) {
        let mut left = BIG_READ_MAX;
        let mut ended = Ok(Moved::Bytes(0));
        while left > 0 && matches!(ended, Ok(Moved::Bytes(_))) {
            let client = &mut self.clients[slot];
            let before = client.input.len();
            let missing = client.partial.as_ref().map_or(0, |partial| partial.wanted()).saturating_sub(before);
            if missing == 0 {
                break;
            }
            client.make_room(missing.min(READ_SIZE));
            let room = (client.input.capacity() - before).min(missing).min(left);
            ended = client.stream.read_more(&mut client.input, room);
            let got = client.input.len() - before;
            client.input_peak = client.input_peak.max(client.input.len() as u32);
            left = left.saturating_sub(got.max(1));
            self.stats.net_input_bytes += got as u64;
            if self.clients[slot].flags.has(Flags::MASTER) {
                self.stream_arrived(got);
            }
        }
        self.stats.reads_processed += 1;
        let client = &mut self.clients[slot];
        client.last_seen_ms = self.clock.mono_us() / 1000;
        if client.partial.as_ref().is_some_and(|partial| partial.wanted() <= client.input.len()) {
            self.process_input(slot);
        }
        match ended {
            Ok(Moved::Closed) => {
                self.stream_broke(slot, Lost::Eof);
                self.clients.close_asap(slot);
            }
            Err(error) => {
                log::debug!("Reading from client: {error} {}", self.clients.describe(slot));
                self.stream_broke(slot, Lost::Io(error.to_string()));
                self.clients.close_asap(slot);
            }
            // What is left, and what is behind the command, comes the usual way.
            Ok(Moved::Bytes(_)) => self.clients.read_again(slot),
            Ok(Moved::WouldBlock) => {}
        }
        self.check_input_limit(slot);
    }

    /// Runs what is whole among the bytes that a connection had left over.
    pub fn process_input(&mut self, slot: usize) {
        // Counted while it is here: if that is too much, the command does not run.
        self.memory_changed(slot);
        let mut input = std::mem::take(&mut self.clients[slot].input);
        let consumed = self.process(slot, &mut input);
        input.drain(..consumed);
        let sends_big_commands = (KEPT_INPUT_MIN..=KEPT_INPUT_MAX).contains(&input.capacity());
        if !input.is_empty() || sends_big_commands {
            self.clients[slot].input = input;
        }
    }

    /// Dispatches a command that had been parked whole, and then what the client has sent behind it.
    pub(super) fn run_parked(&mut self, slot: usize, argv: &Argv) {
        let mut fx = self.exec.buffers.fx.take().unwrap_or_default();
        let mut reply = self.take_reply(slot);
        self.exec.start_timing();
        dispatch::dispatch(self, slot, Ahead::default(), Args::of(argv), &mut reply, &mut fx);
        self.settle_counts(&mut fx);
        self.exec.buffers.fx = Some(fx);
        self.give_reply(slot, reply);
        let client = &self.clients[slot];
        if !client.flags.has(Flags::STOPPED) && !client.input.is_empty() {
            self.process_input(slot);
        }
    }

    /// Parses and dispatches commands until the bytes run out or the client may not go on. Returns how many bytes
    /// have been dealt with.
    fn process(&mut self, slot: usize, buf: &mut [u8]) -> usize {
        if self.clients[slot].flags.has(Flags::MASTER) {
            return self.process_stream(slot, buf);
        }
        let mut batch = std::mem::take(&mut self.exec.buffers.batch);
        let mut ahead = std::mem::take(&mut self.exec.buffers.ahead);
        let mut fx = self.exec.buffers.fx.take().unwrap_or_default();
        let mut partial = self.clients[slot].partial.take();
        let mut reply = self.take_reply(slot);
        self.exec.start_timing();
        self.exec.reading = buf.len();
        let mut at = 0;
        loop {
            let limits = self.request_limits(slot);
            let progress = request::parse(buf, at, &mut partial, limits, &mut batch);
            ahead.look(&self.registry, &self.ks.db(self.clients[slot].db).entries, buf, &batch);
            at = progress.consumed;
            if let Some(end) = self.run_batch(slot, buf, &batch, &ahead, &mut reply, &mut fx) {
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
        self.exec.buffers.ahead = ahead;
        self.exec.buffers.fx = Some(fx);
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
        ahead: &LookAhead,
        reply: &mut ReplyBuf,
        fx: &mut Effects,
    ) -> Option<usize> {
        for i in 0..batch.len() {
            let command = batch.command(i);
            let args = Args::new(buf, batch.spans(command));
            dispatch::dispatch(self, slot, ahead.of(i), args, reply, fx);
            // What the command pushed to its own client follows its reply.
            self.own_messages(slot, reply);
            let client = &self.clients[slot];
            if client.flags.has(Flags::STOPPED) || reply.is_full() {
                return Some(command.end as usize);
            }
        }
        None
    }

    /// While a client's replies are taken out: adds to them what was pushed to the client meanwhile.
    #[inline]
    pub fn own_messages(&mut self, slot: usize, reply: &mut ReplyBuf) {
        let pushed = &mut self.clients[slot].reply;
        if !pushed.is_empty() {
            reply.raw(pushed.bytes());
            pushed.truncate(0);
        }
    }

    /// Takes a client's replies out, to be written to while commands run on its behalf; an empty one stays behind.
    /// [`Server::give_reply`] puts it back.
    pub fn take_reply(&mut self, slot: usize) -> ReplyBuf {
        let limit = self.reply_limit(slot);
        let client = &mut self.clients[slot];
        let stand_in = ReplyBuf::new(client.reply.proto);
        let mut reply = std::mem::replace(&mut client.reply, stand_in);
        reply.limit = limit;
        if reply.bytes_mut().capacity() == 0
            && let Some(spare) = self.exec.buffers.replies.pop()
        {
            *reply.bytes_mut() = spare;
        }
        reply
    }

    pub fn give_reply(&mut self, slot: usize, mut reply: ReplyBuf) {
        let client = &mut self.clients[slot];
        reply.raw(client.reply.bytes());
        client.reply = reply;
        self.after_output(slot);
        self.memory_changed(slot);
    }

    fn refuse_protocol(&mut self, slot: usize, error: ProtocolError, reply: &mut ReplyBuf) {
        let message = error.message();
        reply.error(&message);
        self.stats.count_error(&message);
        log::debug!("Protocol error ({error:?}) from client: {}", self.clients.describe(slot));
        self.clients[slot].flags.set(Flags::CLOSE_AFTER_REPLY);
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
        self.memory_changed(slot);
    }

    /// Writes what a client is owed, as far as the kernel takes it.
    pub fn write_client(&mut self, slot: usize) {
        self.write_client_upto(slot, usize::MAX);
    }

    /// The same, for the replies up to `end`: what stands behind them must wait, and stays where it stands.
    pub fn write_client_upto(&mut self, slot: usize, end: usize) {
        let client = &mut self.clients[slot];
        client.flags.clear(Flags::WRITE_PENDING);
        self.stats.writes_processed += 1;
        let upto = end.min(client.reply.len());
        while client.sent < upto && !client.flags.has(Flags::WRITE_BLOCKED) {
            match client.stream.write(&client.reply.bytes()[client.sent..upto]) {
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
            if self.exec.buffers.replies_stay {
                *client.reply.bytes_mut() = bytes;
            } else if client.fresh.is_some() {
                bytes.shrink_to(FIXED_OUTPUT);
                *client.reply.bytes_mut() = bytes;
            } else {
                self.exec.buffers.keep_reply(bytes);
            }
            if client.flags.has(Flags::CLOSE_AFTER_REPLY) {
                self.clients.close_asap(slot);
            }
        } else if upto < client.reply.len() {
            if client.sent == upto {
                client.flags.set(Flags::WRITE_PENDING);
            }
        } else if client.sent > client.reply.len() / 2 {
            let sent = std::mem::take(&mut client.sent);
            client.reply.bytes_mut().drain(..sent);
        }
        if self.clients[slot].flags.has(Flags::REPLICA) {
            self.write_replica(slot);
        }
        self.memory_changed(slot);
    }
}
