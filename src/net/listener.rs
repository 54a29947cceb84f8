//! [`Listener`]: a listening TCP or Unix socket.
//!
//! *Duty:* create, bind and listen with the options that Redis sets (`SO_REUSEADDR`, IPv6 only for IPv6 addresses,
//! the configured backlog), and accept. *Does not know:* who may connect. *Counterpart in C Redis:* `anetTcpServer`,
//! `anetUnixServer`, `anetTcpAccept`.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;

use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, UnixAddr, bind, listen, setsockopt, socket,
    sockopt,
};

use crate::net::Stream;

pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Listens on `address:port`. `*` means all IPv4 addresses, `::*` all IPv6 ones; a name is resolved.
    pub fn tcp(address: &str, port: u16, backlog: u32) -> io::Result<Listener> {
        let address = resolve(address, port)?;
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let fd = open(family)?;
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
        if address.is_ipv6() {
            setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
        }
        match address {
            SocketAddr::V4(a) => bind(fd.as_raw_fd(), &SockaddrIn::from(a))?,
            SocketAddr::V6(a) => bind(fd.as_raw_fd(), &SockaddrIn6::from(a))?,
        }
        listen(&fd, clamp_backlog(backlog)?)?;
        Ok(Listener::Tcp(TcpListener::from_std(std::net::TcpListener::from(fd))))
    }

    /// Listens on a Unix socket, replacing a stale file of that name. `permissions` of 0 leave them to the umask.
    pub fn unix(path: &str, permissions: u32, backlog: u32) -> io::Result<Listener> {
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let fd = open(AddressFamily::Unix)?;
        bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
        listen(&fd, clamp_backlog(backlog)?)?;
        if permissions != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(permissions))?;
        }
        Ok(Listener::Unix(UnixListener::from_std(std::os::unix::net::UnixListener::from(fd))))
    }

    /// The next waiting connection; `None` when there is none.
    pub fn accept(&self) -> io::Result<Option<Stream>> {
        let accepted = match self {
            Listener::Tcp(l) => l.accept().map(|(s, _)| Stream::Tcp(s)),
            Listener::Unix(l) => l.accept().map(|(s, _)| Stream::Unix(s)),
        };
        match accepted {
            Ok(stream) => Ok(Some(stream)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub fn is_unix(&self) -> bool {
        matches!(self, Listener::Unix(_))
    }

    pub fn local_port(&self) -> Option<u16> {
        match self {
            Listener::Tcp(l) => l.local_addr().ok().map(|a| a.port()),
            Listener::Unix(_) => None,
        }
    }
}

fn open(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?)
}

fn clamp_backlog(backlog: u32) -> io::Result<Backlog> {
    Ok(Backlog::new(backlog.min(i32::MAX as u32) as i32)?)
}

fn resolve(address: &str, port: u16) -> io::Result<SocketAddr> {
    match address {
        "*" => Ok(SocketAddr::from(([0, 0, 0, 0], port))),
        "::*" => Ok(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)),
        name => (name, port)
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
    }
}

impl Source for Listener {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Listener::Tcp(l) => l.register(registry, token, interests),
            Listener::Unix(l) => l.register(registry, token, interests),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Listener::Tcp(l) => l.reregister(registry, token, interests),
            Listener::Unix(l) => l.reregister(registry, token, interests),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Listener::Tcp(l) => l.deregister(registry),
            Listener::Unix(l) => l.deregister(registry),
        }
    }
}
