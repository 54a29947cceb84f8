//! Signals: handlers that only note what came, and a descriptor that wakes the event loop.

/// Puts signals back to what a child needs.
pub fn reset_in_child() {}
