//! Streams: entries in the order of their ids.
//!
//! *Duty:* the empty value; the type's commands bring the rest. *Does not know:* keys.
//! *Counterpart in C Redis:* `t_stream.c`.

/// A stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {}

impl Stream {
    /// Heap bytes.
    pub fn memory(&self) -> usize {
        0
    }

    pub fn free_effort(&self) -> usize {
        1
    }
}
