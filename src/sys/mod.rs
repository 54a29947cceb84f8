//! Placeholder header; replaced by the first slice.
