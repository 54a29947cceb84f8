//! Connections that this server makes.
//!
//! *Duty:* begin a connection without waiting for it, from a given address if one is asked for, and tell how it went.
//! *Does not know:* names: an address is an address. *Counterpart in C Redis:* `anetTcpNonBlockBestEffortBindConnect`.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, connect as connect_fd, setsockopt, socket,
    sockopt,
};

use crate::net::Stream;

/// Begins a connection to the first address that allows it. With a `source`, connections come from there where that
/// is possible.
pub fn connect(addresses: &[SocketAddr], source: Option<IpAddr>) -> io::Result<Stream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        let bound = source.filter(|ip| ip.is_ipv4() == address.is_ipv4()).map(|ip| connect_from(*address, ip));
        match bound.unwrap_or_else(|| begin(*address)).or_else(|_| begin(*address)) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn begin(address: SocketAddr) -> io::Result<Stream> {
    mio::net::TcpStream::connect(address).map(Stream::Tcp)
}

fn connect_from(address: SocketAddr, source: IpAddr) -> io::Result<Stream> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    match SocketAddr::new(source, 0) {
        SocketAddr::V4(a) => bind(fd.as_raw_fd(), &SockaddrIn::from(a))?,
        SocketAddr::V6(a) => bind(fd.as_raw_fd(), &SockaddrIn6::from(a))?,
    }
    let begun = match address {
        SocketAddr::V4(a) => connect_fd(fd.as_raw_fd(), &SockaddrIn::from(a)),
        SocketAddr::V6(a) => connect_fd(fd.as_raw_fd(), &SockaddrIn6::from(a)),
    };
    match begun {
        Ok(()) | Err(Errno::EINPROGRESS) => {
            let stream = std::net::TcpStream::from(fd);
            Ok(Stream::Tcp(mio::net::TcpStream::from_std(stream)))
        }
        Err(errno) => Err(errno.into()),
    }
}

impl Stream {
    /// Whether a connection that was begun is there; an error if it will never be.
    pub fn is_connected(&self) -> io::Result<bool> {
        let Stream::Tcp(stream) = self else { return Ok(true) };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }
}
