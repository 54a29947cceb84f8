//! [`Stream`]: a connection, whatever the transport.
//!
//! *Duty:* read, write, and the socket options a server sets. *Does not know:* what the bytes mean.
//! *Counterpart in C Redis:* `connection.c`, the socket halves of `anet.c`.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, RawFd};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use nix::sys::socket::{setsockopt, sockopt};

pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// How a read or a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    Bytes(usize),
    /// The kernel has nothing for us now, or no room.
    WouldBlock,
    /// The other side has closed.
    Closed,
}

impl Stream {
    pub fn read(&mut self, buf: &mut [u8]) -> io::Result<Moved> {
        let result = match self {
            Stream::Tcp(s) => s.read(buf),
            Stream::Unix(s) => s.read(buf),
        };
        match result {
            Ok(0) => Ok(Moved::Closed),
            other => moved(other),
        }
    }

    /// Reads into the room behind what `buf` holds, which the caller has made, until `max` bytes have come or there
    /// are no more. What has come is in `buf`, whatever the end; `Bytes` says that there may be more.
    pub fn read_more(&mut self, buf: &mut Vec<u8>, max: usize) -> io::Result<Moved> {
        let before = buf.len();
        let result = match self {
            Stream::Tcp(s) => s.take(max as u64).read_to_end(buf),
            Stream::Unix(s) => s.take(max as u64).read_to_end(buf),
        };
        match moved(result)? {
            Moved::Bytes(_) if buf.len() - before < max => Ok(Moved::Closed),
            other => Ok(other),
        }
    }

    pub fn write(&mut self, buf: &[u8]) -> io::Result<Moved> {
        moved(match self {
            Stream::Tcp(s) => s.write(buf),
            Stream::Unix(s) => s.write(buf),
        })
    }

    /// Writes pieces in a row, as far as the kernel takes them.
    pub fn write_vectored(&mut self, pieces: &[io::IoSlice<'_>]) -> io::Result<Moved> {
        moved(match self {
            Stream::Tcp(s) => s.write_vectored(pieces),
            Stream::Unix(s) => s.write_vectored(pieces),
        })
    }

    /// Lets the kernel gather small writes, which makes them few and late.
    pub fn allow_delay(&self) {
        if let Stream::Tcp(s) = self {
            // It would save packets; the connection is as good without.
            let _ = s.set_nodelay(false);
        }
    }

    pub fn fd(&self) -> RawFd {
        match self {
            Stream::Tcp(s) => s.as_raw_fd(),
            Stream::Unix(s) => s.as_raw_fd(),
        }
    }

    pub fn is_unix(&self) -> bool {
        matches!(self, Stream::Unix(_))
    }

    /// The other end's address; `None` for a Unix socket or when the peer is gone.
    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(s) => s.peer_addr().ok(),
            Stream::Unix(_) => None,
        }
    }

    pub fn local(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(s) => s.local_addr().ok(),
            Stream::Unix(_) => None,
        }
    }

    /// Options of an accepted connection: no delay, and keep-alive probes after `keepalive` seconds (0: none).
    pub fn set_client_options(&self, keepalive: u32) -> io::Result<()> {
        let Stream::Tcp(s) = self else { return Ok(()) };
        s.set_nodelay(true)?;
        if keepalive > 0 {
            let fd = s.as_fd();
            setsockopt(&fd, sockopt::KeepAlive, &true)?;
            setsockopt(&fd, sockopt::TcpKeepIdle, &keepalive)?;
            setsockopt(&fd, sockopt::TcpKeepInterval, &(keepalive / 3).max(1))?;
            setsockopt(&fd, sockopt::TcpKeepCount, &3)?;
        }
        Ok(())
    }

    /// Ends the connection for its peer at once, although it is closed here later.
    pub fn hang_up(&self) {
        // If it cannot be done, the peer has gone already.
        let _ = match self {
            Stream::Tcp(s) => s.shutdown(Shutdown::Both),
            Stream::Unix(s) => s.shutdown(Shutdown::Both),
        };
    }

    /// Writes a last word to a connection that is refused. What does not fit at once is lost.
    pub fn write_farewell(&mut self, text: &[u8]) {
        // The connection is closed next; there is nobody to tell.
        let _ = self.write(text);
    }
}

/// Whether a connection comes from this machine. No address means a Unix socket, which does.
pub fn is_loopback(address: Option<SocketAddr>) -> bool {
    match address {
        Some(SocketAddr::V4(a)) => a.ip().is_loopback(),
        Some(SocketAddr::V6(a)) => a.ip().is_loopback() || a.ip().to_ipv4_mapped().is_some_and(|ip| ip.is_loopback()),
        None => true,
    }
}

fn moved(result: io::Result<usize>) -> io::Result<Moved> {
    match result {
        Ok(n) => Ok(Moved::Bytes(n)),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(Moved::WouldBlock),
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(Moved::WouldBlock),
        Err(e) => Err(e),
    }
}

impl Source for Stream {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Stream::Tcp(s) => s.register(registry, token, interests),
            Stream::Unix(s) => s.register(registry, token, interests),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Stream::Tcp(s) => s.reregister(registry, token, interests),
            Stream::Unix(s) => s.reregister(registry, token, interests),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Stream::Tcp(s) => s.deregister(registry),
            Stream::Unix(s) => s.deregister(registry),
        }
    }
}
