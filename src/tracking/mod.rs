//! Client-side caching: who must be told when a key changes.
//!
//! *Duty:* two pure tables: [`Keys`], the keys that clients have read, and [`Prefixes`], for clients that want to hear
//! of every key that begins in some way (BCAST).
//! *Does not know:* connections beyond their `ClientRef`, the options of a client, how a message is written or when it is
//! sent (`server/track.rs`). *Counterpart in C Redis:* `tracking.c`.

mod keys;
mod prefixes;

pub use keys::{Forgotten, Keys, TrackerId};
pub use prefixes::{Broadcast, Prefixes};

#[derive(Default)]
pub struct Tracking {
    pub keys: Keys,
    pub prefixes: Prefixes,
    /// Clients that have switched tracking on.
    pub clients: usize,
    /// How often in a row the table of keys stayed too large although some were taken out.
    pub too_large: u32,
    /// Of the touched keys of the unit that runs, how many have been dealt with here.
    pub settled: usize,
}

impl Tracking {
    /// Somebody may have to be told of a change.
    pub fn listens(&self) -> bool {
        self.clients > 0 || !self.keys.is_empty()
    }
}
