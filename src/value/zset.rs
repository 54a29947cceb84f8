//! Sorted sets: members in the order of their scores.
//!
//! *Duty:* the empty value; the type's commands bring the rest. *Does not know:* keys.
//! *Counterpart in C Redis:* `t_zset.c`.

use super::Rest;

/// A zset.
#[derive(Clone, Debug, Default)]
pub struct Zset {
    bytes: Vec<u8>,
}

/// A zset, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct ZsetRef<'a> {
    bytes: &'a [u8],
}

impl Zset {
    pub fn as_ref(&self) -> ZsetRef<'_> {
        ZsetRef { bytes: &self.bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn rest(&self) -> Option<(Rest, &[u8])> {
        Some((Rest::Zset, &self.bytes))
    }

    pub(super) fn from_rest(bytes: Vec<u8>) -> Zset {
        Zset { bytes }
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}

impl<'a> ZsetRef<'a> {
    pub(super) fn from_rest(bytes: &'a [u8]) -> ZsetRef<'a> {
        ZsetRef { bytes }
    }

    pub fn encoding(self) -> &'static str {
        "listpack"
    }

    /// Heap bytes.
    pub fn memory(self) -> usize {
        self.bytes.len()
    }

    pub fn free_effort(self) -> usize {
        1
    }
}
