//! A link that can be cut, slowed down and silenced: a TCP proxy inside the test.
//!
//! *Duty:* forward what comes on a port of its own to a port that may change, in the way that is asked for at the time.
//! *Does not know:* what the bytes mean, who is at either end. *Invariants:* bytes that were forwarded are in order and
//! whole up to the end of a connection; a connection that was cut is closed on both sides.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// How a link behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Open = 0,
    /// Nothing passes, nothing is refused.
    Silent = 1,
    /// Some 200 KB a second.
    Slow = 2,
    /// Whatever connects is closed at once.
    Closed = 3,
}

const PIECE: usize = 16 * 1024;
const SLOW_PIECE: usize = 2 * 1024;
const STEP: Duration = Duration::from_millis(10);

#[derive(Default)]
struct State {
    target: AtomicU16,
    mode: AtomicU8,
    /// Connections of an earlier epoch are closed.
    epoch: AtomicU64,
    over: AtomicBool,
}

impl State {
    fn is(&self, mode: Mode) -> bool {
        self.mode.load(Ordering::SeqCst) == mode as u8
    }
}

/// Ends with its last owner: the threads see it and go.
pub struct Proxy {
    state: Arc<State>,
    pub port: u16,
}

impl Proxy {
    pub fn to(target: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        state.target.store(target, Ordering::SeqCst);
        let shared = Arc::clone(&state);
        thread::spawn(move || accept(&listener, &shared));
        Proxy { state, port }
    }

    pub fn aim(&self, target: u16) {
        self.state.target.store(target, Ordering::SeqCst);
    }

    pub fn set(&self, mode: Mode) {
        self.state.mode.store(mode as u8, Ordering::SeqCst);
        if mode == Mode::Closed {
            self.cut();
        }
    }

    /// Closes what is connected; who comes again is served.
    pub fn cut(&self) {
        self.state.epoch.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        self.cut();
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    while !state.over.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((near, _)) if !state.is(Mode::Closed) => {
                let epoch = state.epoch.load(Ordering::SeqCst);
                let Ok(far) = TcpStream::connect(("127.0.0.1", state.target.load(Ordering::SeqCst))) else { continue };
                for (from, to) in [(near.try_clone(), far.try_clone()), (far.try_clone(), near.try_clone())] {
                    let (from, to, state) = (from.unwrap(), to.unwrap(), Arc::clone(state));
                    thread::spawn(move || forward(from, to, &state, epoch));
                }
            }
            _ => thread::sleep(STEP),
        }
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, state: &State, epoch: u64) {
    let mut piece = [0; PIECE];
    from.set_read_timeout(Some(STEP)).unwrap();
    to.set_nodelay(true).unwrap();
    while state.epoch.load(Ordering::SeqCst) == epoch {
        if state.is(Mode::Silent) {
            thread::sleep(STEP);
            continue;
        }
        let slow = state.is(Mode::Slow);
        if slow {
            thread::sleep(STEP);
        }
        match from.read(&mut piece[..if slow { SLOW_PIECE } else { PIECE }]) {
            Ok(0) => break,
            Ok(n) if to.write_all(&piece[..n]).is_err() => break,
            Ok(_) => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
            Err(_) => break,
        }
    }
    // One of them may be closed already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn a_proxy_forwards_is_silent_and_cuts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::to(listener.local_addr().unwrap().port());
    let mut near = TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
    near.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut bytes = [0; 4];
    near.write_all(b"ping").unwrap();
    far.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"ping");
    proxy.set(Mode::Slow);
    far.write_all(b"pong").unwrap();
    near.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"pong");
    proxy.set(Mode::Closed);
    assert!(matches!(near.read(&mut bytes), Ok(0) | Err(_)), "the near end is closed");
    assert!(matches!(far.read(&mut bytes), Ok(0) | Err(_)), "so is the far end");
    let mut refused = TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
    refused.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert!(matches!(refused.read(&mut bytes), Ok(0) | Err(_)), "who comes is closed at once");
}
