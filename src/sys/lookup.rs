//! Questions about a host that may take seconds: its addresses, and whether it answers on a port.
//!
//! *Duty:* ask in a thread that lives no longer than that, and wake the event loop when there is an answer.
//! *Does not know:* what the address is for. *Invariants:* whoever asked never waits; an answer that nobody takes any more
//! is dropped. Signals are blocked in the thread, and it never logs; `bio` is not used, because what stands in its queue
//! would wait for the resolver. *Counterpart in C Redis:* none; there, `anetTcpGenericConnect` waits.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use super::bio::SignalsBlocked;
use super::signals;

/// A question that is under way.
#[derive(Debug)]
pub struct Question<T> {
    answer: Receiver<T>,
}

/// A name that is looked up.
pub type Lookup = Question<io::Result<Vec<SocketAddr>>>;
/// A port that is knocked at.
pub type Probe = Question<bool>;

/// How long a host may take to accept a connection that nobody needs.
const KNOCK: Duration = Duration::from_secs(2);

/// The resolver of libc uses a good part of it.
const STACK: usize = 512 << 10;

impl<T: Send + 'static> Question<T> {
    fn ask(work: impl FnOnce() -> T + Send + 'static) -> io::Result<Question<T>> {
        let (tell, answer) = channel();
        let blocked = SignalsBlocked::now();
        std::thread::Builder::new().name("lookup".to_owned()).stack_size(STACK).spawn(move || {
            // Whoever asked may have lost interest.
            let _ = tell.send(work());
            signals::wake();
        })?;
        drop(blocked);
        Ok(Question { answer })
    }

    /// None: there is no answer yet. Some(None): there never will be one.
    pub fn answer(&self) -> Option<Option<T>> {
        match self.answer.try_recv() {
            Ok(answer) => Some(Some(answer)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(None),
        }
    }
}

impl Lookup {
    /// The addresses of a host.
    pub fn begin(host: &str, port: u16) -> io::Result<Lookup> {
        let host = host.to_owned();
        Question::ask(move || addresses(&host, port))
    }
}

impl Probe {
    /// Whether somebody accepts connections there.
    pub fn begin(host: &str, port: u16) -> io::Result<Probe> {
        let host = host.to_owned();
        Question::ask(move || {
            let known = addresses(&host, port).unwrap_or_default();
            known.iter().any(|address| TcpStream::connect_timeout(address, KNOCK).is_ok())
        })
    }
}

fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((host, port).to_socket_addrs()?.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Instant;

    fn wait_for<T: Send + 'static>(question: Question<T>) -> T {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(answer) = question.answer() {
                return answer.unwrap();
            }
            assert!(Instant::now() < end, "no answer");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn addresses_and_errors_arrive_later() {
        let found = wait_for(Lookup::begin("127.0.0.9", 7).unwrap()).unwrap();
        assert_eq!(found, [(Ipv4Addr::new(127, 0, 0, 9), 7).into()]);
        assert!(wait_for(Lookup::begin("no such name", 7).unwrap()).is_err());
    }

    #[test]
    fn a_port_answers_or_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(wait_for(Probe::begin("127.0.0.1", port).unwrap()));
        drop(listener);
        assert!(!wait_for(Probe::begin("127.0.0.1", port).unwrap()));
    }
}
