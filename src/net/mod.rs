//! Sockets and readiness.
//!
//! *Duty:* one mio `Poll`, the map from its tokens to what they belong to, listeners and streams.
//! *Does not know:* Redis: no protocol, no client state, no policy. *Counterpart in C Redis:* `ae.c`, `anet.c`,
//! `connection.c`.

pub mod connect;
pub mod listener;
pub mod reactor;
pub mod stream;

pub use listener::Listener;
pub use reactor::{Reactor, Ready, Route};
pub use stream::Stream;
