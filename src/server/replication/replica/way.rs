//! The connection to the master before the stream runs.
//!
//! *Duty:* open it, read what comes and have the link say to whom it belongs, write what the link says.
//! *Does not know:* the dialogue. *Invariants:* bytes that the link has not taken stay at the head of [`Input`]; they are
//! worth nothing once the connection is closed. While a data set is loaded nothing is read.
//! *Counterpart in C Redis:* `connectWithMaster`, `syncWithMaster`'s reading and writing.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::Way;
use crate::net::stream::Moved;
use crate::net::{Ready, Route, Stream, connect};
use crate::repl::Took;
use crate::repl::replica::{Address, ConnectError, LoadError, LoadFailure, Lost};
use crate::server::Server;
use crate::server::persistence::reason;
use crate::sys::lookup::{Lookup, Probe};

/// Bytes read at a time, and how often in one turn.
const READ_SIZE: usize = 128 * 1024;
const READS_PER_TURN: usize = 16;

pub(super) struct Conn {
    pub stream: Stream,
    pub token: mio::Token,
    connected: bool,
    /// What the kernel has not taken yet.
    out: Vec<u8>,
}

/// Bytes that have come and that nobody has taken: `bytes[from..held]`.
#[derive(Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    from: usize,
    held: usize,
    /// There may be more to read.
    pub more: bool,
}

impl Input {
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.from..self.held]
    }

    pub fn clear(&mut self) {
        (self.from, self.held, self.more) = (0, 0, false);
    }

    pub fn take(&mut self) -> Vec<u8> {
        let rest = self.rest().to_vec();
        (self.from, self.held) = (0, 0);
        rest
    }

    pub fn put_back(&mut self, rest: &[u8]) {
        self.bytes.truncate(0);
        self.bytes.extend_from_slice(rest);
        (self.from, self.held) = (0, rest.len());
    }

    /// Room for one more reading, behind what is held.
    fn room(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.from..self.held, 0);
        self.held -= self.from;
        self.from = 0;
        self.bytes.resize(self.held + READ_SIZE, 0);
        &mut self.bytes[self.held..]
    }
}

impl Server {
    pub(super) fn connect_to_master(&mut self, address: &Address) {
        let settings = self.link_settings();
        if let Some(follow) = &mut self.replication.follow {
            follow.link.settings = settings;
            follow.input.clear();
        }
        let way = match address.host.parse::<IpAddr>() {
            Ok(ip) => self.open_conn(&[SocketAddr::new(ip, address.port)]),
            Err(_) => Lookup::begin(&address.host, address.port).map(Way::Lookup),
        };
        self.take_way(way);
    }

    fn open_conn(&mut self, addresses: &[SocketAddr]) -> io::Result<Way> {
        let source = self.config.bind_source_addr.parse::<IpAddr>().ok();
        let mut stream = connect::connect(addresses, source)?;
        let token = self.net.add(&mut stream, Route::Master)?;
        Ok(Way::Conn(Conn { stream, token, connected: false, out: Vec::new() }))
    }

    fn take_way(&mut self, way: io::Result<Way>) {
        let now = self.clock.now();
        let Some(follow) = &mut self.replication.follow else { return };
        match way {
            Ok(way) => follow.way = way,
            Err(error) => {
                follow.way = Way::None;
                follow.link.on_connect_failed(now, ConnectError::AtOnce, &reason(&error));
            }
        }
    }

    /// Whether somebody listens at another port of the master's host: that will be seen later.
    pub(super) fn begin_probe(&mut self, address: Address) {
        let Some(follow) = &mut self.replication.follow else { return };
        // Nothing depends on it but what the log says.
        follow.probe = Probe::begin(&address.host, address.port).ok().map(|probe| (address, probe));
    }

    fn look_at_probe(&mut self) {
        let Some(follow) = &mut self.replication.follow else { return };
        let Some(answer) = follow.probe.as_ref().and_then(|(_, probe)| probe.answer()) else { return };
        if let Some((address, _)) = follow.probe.take() {
            follow.link.on_probe(&address, answer == Some(true));
            self.carry_out_link();
        }
    }

    /// Part of each turn: connects once the master's name has been looked up.
    fn look_at_lookup(&mut self) {
        let Some(Way::Lookup(lookup)) = self.replication.follow.as_ref().map(|follow| &follow.way) else { return };
        let Some(found) = lookup.answer() else { return };
        let found = found.unwrap_or_else(|| Err(io::Error::other("the resolver gave no answer")));
        let way = found.and_then(|addresses| self.open_conn(&addresses));
        self.take_way(way);
        self.carry_out_link();
    }

    fn conn(&mut self) -> Option<&mut Conn> {
        match &mut self.replication.follow.as_mut()?.way {
            Way::Conn(conn) => Some(conn),
            _ => None,
        }
    }

    /// Closes whatever connects us with the master. The link knows.
    pub(super) fn close_way(&mut self) {
        let Some(follow) = &mut self.replication.follow else { return };
        follow.input.clear();
        match std::mem::replace(&mut follow.way, Way::None) {
            Way::None | Way::Lookup(_) => {}
            Way::Conn(mut conn) => self.net.remove(&mut conn.stream, conn.token),
            Way::Stream(who) => {
                if self.clients.find(who).is_some() {
                    self.end_client(who.slot as usize);
                }
            }
        }
    }

    /// The connection is gone: the link decides what comes next.
    fn lose_way(&mut self, lost: Lost) {
        self.close_way();
        let now = self.clock.now();
        if let Some(follow) = &mut self.replication.follow {
            follow.link.on_closed(now, lost);
        }
        self.carry_out_link();
    }

    pub(super) fn send_to_master(&mut self, bytes: &[u8]) {
        let Some(follow) = &mut self.replication.follow else { return };
        match &mut follow.way {
            Way::None | Way::Lookup(_) => {}
            Way::Conn(conn) => {
                conn.out.extend_from_slice(bytes);
                conn.flush();
            }
            Way::Stream(who) => {
                let who = *who;
                if let Some(out) = self.clients.find(who).and_then(|client| client.push_buffer()) {
                    out.raw(bytes);
                    self.clients.wants_write(who.slot as usize);
                }
            }
        }
    }

    /// The connection is ready for something.
    pub(in crate::server) fn master_ready(&mut self, ready: Ready) {
        let now = self.clock.now();
        let Some(conn) = self.conn() else { return };
        if !conn.connected {
            match conn.stream.is_connected() {
                Ok(false) => return,
                Ok(true) => conn.connected = true,
                Err(error) => {
                    let refused = error.kind() == std::io::ErrorKind::ConnectionRefused;
                    let kind = if refused { ConnectError::Refused } else { ConnectError::Other };
                    self.close_way();
                    if let Some(follow) = &mut self.replication.follow {
                        follow.link.on_connect_failed(now, kind, &reason(&error));
                    }
                    return self.carry_out_link();
                }
            }
            if let Some(follow) = &mut self.replication.follow {
                follow.link.on_connected(now);
            }
            self.carry_out_link();
        }
        if let Some(conn) = self.conn() {
            if ready.writable {
                conn.flush();
            }
            if ready.readable || ready.read_closed {
                self.read_from_master();
            }
        }
    }

    /// Part of each turn: goes on where the last turn stopped.
    pub(in crate::server) fn go_on_with_master(&mut self) {
        self.look_at_lookup();
        self.look_at_probe();
        let more = self.replication.follow.as_mut().is_some_and(|follow| std::mem::take(&mut follow.input.more));
        if more {
            self.read_from_master();
        }
    }

    fn read_from_master(&mut self) {
        for _ in 0..READS_PER_TURN {
            let loading = self.persistence.loading.is_some();
            let Some(follow) = &mut self.replication.follow else { return };
            let Way::Conn(conn) = &mut follow.way else { return };
            if loading {
                follow.input.more = true;
                return;
            }
            let got = conn.stream.read(follow.input.room());
            match got {
                Ok(Moved::Bytes(n)) => {
                    follow.input.held += n;
                    self.stats.net_repl_input_bytes += n as u64;
                    self.show_input();
                }
                Ok(Moved::WouldBlock) => return,
                Ok(Moved::Closed) => return self.lose_way(Lost::Eof),
                Err(error) => return self.lose_way(Lost::Io(reason(&error))),
            }
        }
        if let Some(follow) = &mut self.replication.follow {
            follow.input.more = true;
        }
    }

    /// Has the link say to whom each piece of what came belongs.
    pub(super) fn show_input(&mut self) {
        loop {
            let now = self.clock.now();
            let Some(follow) = &mut self.replication.follow else { return };
            let took = follow.link.on_bytes(now, follow.input.rest());
            let from = follow.input.from;
            match took {
                Took::Own(n) => follow.input.from += n,
                Took::Payload(n) => {
                    follow.input.from += n;
                    if let Err(text) = self.keep_payload(from, n) {
                        self.transfer_failed(text);
                    }
                }
                Took::Nothing | Took::Hold | Took::Dropped | Took::Stream => {}
            }
            self.carry_out_link();
            match took {
                Took::Own(_) | Took::Payload(_) => {}
                Took::Stream => return self.hand_over_to_stream(),
                Took::Nothing | Took::Hold | Took::Dropped => return,
            }
        }
    }

    fn keep_payload(&mut self, from: usize, len: usize) -> Result<(), String> {
        let Some(follow) = &mut self.replication.follow else { return Ok(()) };
        match &mut follow.receiving {
            Some(receiving) => receiving.take_in(&follow.input.bytes[from..from + len]),
            None => Ok(()),
        }
    }

    /// What came cannot be stored here.
    pub(super) fn transfer_failed(&mut self, text: String) {
        let now = self.clock.now();
        if let Some(follow) = &mut self.replication.follow {
            follow.link.on_transfer_failed(now, LoadError { why: LoadFailure::Store, text, old_data_kept: true });
        }
    }
}

impl Conn {
    /// Writes as far as the kernel takes it. An error shows when the connection is read.
    fn flush(&mut self) {
        while !self.out.is_empty() && self.connected {
            match self.stream.write(&self.out) {
                Ok(Moved::Bytes(n)) => drop(self.out.drain(..n)),
                _ => return,
            }
        }
    }

    pub fn into_parts(self) -> (Stream, mio::Token, Vec<u8>) {
        (self.stream, self.token, self.out)
    }

    /// A connection that was lent out comes back.
    pub fn again(stream: Stream, token: mio::Token, out: Vec<u8>) -> Conn {
        Conn { stream, token, connected: true, out }
    }
}
