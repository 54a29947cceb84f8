//! [`Reactor`]: mio's `Poll` and the routes behind its tokens.
//!
//! *Duty:* wait, and say which [`Route`] is ready for what. Streams are registered once, for both directions,
//! edge-triggered: there is no `epoll_ctl` per write, and whoever is told "readable" must read until the kernel has
//! no more, or remember that it has not.
//! *Does not know:* what a route is for. *Invariant:* a token is reused only after its route was removed; events
//! of one wait are delivered as a batch, so a route may vanish before its event is looked at: the receiver checks.

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

/// What a token belongs to. The numbers are the owner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Listener(u32),
    Client(u32),
    /// A signal or the end of a child.
    Wake,
    /// A child's reports.
    ChildPipe,
    /// A data set that a child writes for replicas.
    SyncPipe,
    /// The way to the master, until the stream runs.
    Master,
    /// Bytes that another thread has written.
    Appended,
}

/// One route that is ready.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    pub route: Route,
    pub readable: bool,
    pub writable: bool,
    /// The peer will send nothing more: a short read is not the end of reading.
    pub read_closed: bool,
}

pub struct Reactor {
    poll: Poll,
    events: Events,
    routes: Slab<Route>,
}

/// Events taken from the kernel at a time.
const EVENTS: usize = 1024;

impl Reactor {
    pub fn new() -> io::Result<Reactor> {
        Ok(Reactor { poll: Poll::new()?, events: Events::with_capacity(EVENTS), routes: Slab::new() })
    }

    /// Registers a stream for both directions; the token is its name from now on.
    pub fn add(&mut self, source: &mut impl Source, route: Route) -> io::Result<Token> {
        let token = Token(self.routes.insert(route));
        let registered = self.poll.registry().register(source, token, Interest::READABLE | Interest::WRITABLE);
        if let Err(error) = registered {
            self.routes.remove(token.0);
            return Err(error);
        }
        Ok(token)
    }

    /// Registers something that is only read, by its descriptor.
    pub fn add_fd(&mut self, fd: RawFd, route: Route) -> io::Result<Token> {
        let token = Token(self.routes.insert(route));
        if let Err(error) = self.poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE) {
            self.routes.remove(token.0);
            return Err(error);
        }
        Ok(token)
    }

    pub fn remove(&mut self, source: &mut impl Source, token: Token) {
        // The descriptor is closed next, which deregisters it as well: a failure here changes nothing.
        let _ = self.poll.registry().deregister(source);
        self.routes.remove(token.0);
    }

    pub fn remove_fd(&mut self, fd: RawFd, token: Token) {
        let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
        self.routes.remove(token.0);
    }

    /// Waits for events, at most so long; appends what is ready to `ready`.
    pub fn wait(&mut self, timeout: Duration, ready: &mut VecDeque<Ready>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &self.events {
            if let Some(&route) = self.routes.get(event.token().0) {
                ready.push_back(Ready {
                    route,
                    readable: event.is_readable(),
                    writable: event.is_writable(),
                    read_closed: event.is_read_closed() || event.is_error(),
                });
            }
        }
        Ok(())
    }
}
