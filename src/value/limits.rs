//! [`Limits`]: up to where a collection keeps its small form, as the configuration says.
//!
//! *Duty:* the thresholds, in one `Copy` struct that commands read before they borrow a value. Fields are named as the
//! directives. *Counterpart in C Redis:* `server.hash_max_listpack_entries` and its kin.

use crate::base::hash::HashSeed;
use crate::ds::quicklist::Shape;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub hash_max_listpack_entries: usize,
    /// Bytes of the longest field or value.
    pub hash_max_listpack_value: usize,
    pub set_max_intset_entries: usize,
    pub set_max_listpack_entries: usize,
    pub set_max_listpack_value: usize,
    pub zset_max_listpack_entries: usize,
    pub zset_max_listpack_value: usize,
    /// Elements of a node, or, below zero, its bytes: -1 is 4 KiB, each step doubles it, up to -5.
    pub list_max_listpack_size: i32,
    /// Nodes at each end of a list that are never compressed; 0: none is compressed.
    pub list_compress_depth: u32,
    /// List elements of so many bytes have a node of their own. No directive: DEBUG QUICKLIST-PACKED-THRESHOLD.
    pub list_packed_threshold: usize,
    pub stream_node_max_bytes: usize,
    pub stream_node_max_entries: usize,
    pub hll_sparse_max_bytes: usize,
    /// For the hash tables of big collections.
    pub seed: HashSeed,
}

impl Limits {
    /// The defaults of 7.0.15, and of 7.2 where 7.0.15 has no such directive.
    pub fn new(seed: HashSeed) -> Limits {
        Limits {
            hash_max_listpack_entries: 512,
            hash_max_listpack_value: 64,
            set_max_intset_entries: 512,
            set_max_listpack_entries: 128,
            set_max_listpack_value: 64,
            zset_max_listpack_entries: 128,
            zset_max_listpack_value: 64,
            list_max_listpack_size: -2,
            list_compress_depth: 0,
            list_packed_threshold: Shape::ALONE,
            stream_node_max_bytes: 4096,
            stream_node_max_entries: 100,
            hll_sparse_max_bytes: 3000,
            seed,
        }
    }
}
