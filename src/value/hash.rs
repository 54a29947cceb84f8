//! Hashes: fields with values.
//!
//! *Duty:* the empty value; the type's commands bring the rest. *Does not know:* keys.
//! *Counterpart in C Redis:* `t_hash.c`.

use super::Rest;

/// A hash.
#[derive(Clone, Debug, Default)]
pub struct Hash {
    bytes: Vec<u8>,
}

/// A hash, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct HashRef<'a> {
    bytes: &'a [u8],
}

impl Hash {
    pub fn as_ref(&self) -> HashRef<'_> {
        HashRef { bytes: &self.bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn rest(&self) -> Option<(Rest, &[u8])> {
        Some((Rest::Hash, &self.bytes))
    }

    pub(super) fn from_rest(bytes: Vec<u8>) -> Hash {
        Hash { bytes }
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}

impl<'a> HashRef<'a> {
    pub(super) fn from_rest(bytes: &'a [u8]) -> HashRef<'a> {
        HashRef { bytes }
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
