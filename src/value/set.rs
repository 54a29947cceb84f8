//! Sets: members without order.
//!
//! *Duty:* the empty value; the type's commands bring the rest. *Does not know:* keys.
//! *Counterpart in C Redis:* `t_set.c`.

use super::Rest;

/// A set.
#[derive(Clone, Debug, Default)]
pub struct Set {
    bytes: Vec<u8>,
}

/// A set, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct SetRef<'a> {
    bytes: &'a [u8],
}

impl Set {
    pub fn as_ref(&self) -> SetRef<'_> {
        SetRef { bytes: &self.bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn rest(&self) -> Option<(Rest, &[u8])> {
        Some((Rest::Set, &self.bytes))
    }

    pub(super) fn from_rest(_form: Rest, bytes: Vec<u8>) -> Set {
        Set { bytes }
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}

impl<'a> SetRef<'a> {
    pub(super) fn from_rest(_form: Rest, bytes: &'a [u8]) -> SetRef<'a> {
        SetRef { bytes }
    }

    pub fn encoding(self) -> &'static str {
        "hashtable"
    }

    /// Heap bytes.
    pub fn memory(self) -> usize {
        self.bytes.len()
    }

    pub fn free_effort(self) -> usize {
        1
    }
}
