//! Telling a service manager.
//!
//! *Duty:* messages to systemd over NOTIFY_SOCKET, and the stop that upstart waits for.
//! *Does not know:* the `supervised` directive, nor when what is said.
//! *Counterpart in C Redis:* `redisCommunicateSystemd`, `redisSupervisedUpstart`.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};

use nix::sys::signal::{Signal, raise};

/// Whether systemd has started this process and wants to hear from it.
pub fn is_supervised_systemd() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some_and(|name| !name.is_empty())
}

/// Whether upstart has started this process.
pub fn is_supervised_upstart() -> bool {
    std::env::var_os("UPSTART_JOB").is_some()
}

/// Sends a state such as `READY=1` or `STATUS=...` (several in one go, by lines). False: nobody listens.
pub fn systemd_notify(state: &str) -> io::Result<bool> {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        return Ok(false);
    };
    let name = name.into_vec();
    let address = match name.split_first() {
        Some((b'@', rest)) => SocketAddr::from_abstract_name(rest)?,
        _ => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(&name))?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(state.as_bytes(), &address).map(|_| true)
}

/// Stops this process, which is how upstart is told of readiness; upstart continues it.
pub fn upstart_ready() -> io::Result<()> {
    raise(Signal::SIGSTOP).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fork::tests::in_child;

    /// A child with NOTIFY_SOCKET set sends; the socket was bound here.
    fn heard(name: &str, socket: &UnixDatagram) -> String {
        let code = in_child(|| {
            set_notify_socket(name);
            assert!(is_supervised_systemd());
            i32::from(!systemd_notify("STATUS=Ready to accept connections\nREADY=1\n").unwrap())
        });
        assert_eq!(code, 0);
        let mut buffer = [0; 256];
        socket.set_nonblocking(true).unwrap();
        let len = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..len]).into_owned()
    }

    #[allow(unsafe_code)]
    fn set_notify_socket(name: &str) {
        // SAFETY: called in a child, which has one thread.
        unsafe { std::env::set_var("NOTIFY_SOCKET", name) };
    }

    #[test]
    fn states_arrive_at_a_path_and_at_an_abstract_name() {
        let path = std::env::temp_dir().join(format!("redstart-notify-{}", std::process::id()));
        let socket = UnixDatagram::bind(&path).unwrap();
        let expected = "STATUS=Ready to accept connections\nREADY=1\n";
        assert_eq!(heard(path.to_str().unwrap(), &socket), expected);
        std::fs::remove_file(&path).unwrap();

        let name = format!("redstart-notify-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        assert_eq!(heard(&format!("@{name}"), &socket), expected);
    }

    #[test]
    fn nobody_listening_is_an_error_and_not_being_supervised_is_none() {
        let code = in_child(|| {
            set_notify_socket("/nonexistent/socket");
            assert!(systemd_notify("READY=1").is_err());
            set_notify_socket("");
            assert!(!is_supervised_systemd());
            i32::from(systemd_notify("READY=1").unwrap())
        });
        assert_eq!(code, 0);
    }
}
