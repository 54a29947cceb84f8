//! The wire: requests in ([`request`]) and out ([`encode`]), replies out ([`reply`]).
//!
//! *Does not know:* commands, keys, sockets. Bytes come in as slices and leave as bytes.
//! *Counterpart in C Redis:* the parsing and reply halves of `networking.c`.

pub mod encode;
pub mod reply;
pub mod request;

pub use reply::{Proto, ReplyBuf};
pub use request::{Argv, Batch, Limits, Partial, ProtocolError, Span};
