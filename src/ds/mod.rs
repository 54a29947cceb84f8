//! Containers: bytes and integers in, bytes and integers out.
//!
//! *Does not know:* Redis, keys, values, the clock. *Invariants:* std only; everything that can grow large works
//! in bounded steps; every container is `Send`, so that freeing a big one can be left to another thread.
//!
//! Start with [`table`], the hash table under the keyspace and the big sets and hashes; [`blocks`] is the arena
//! its entries live in; [`dict`] is both together, for records of bytes; [`ranked`] is the form of big sorted sets;
//! [`wheel`] holds the deadlines. Small collections are packed: [`element`] is what [`pack`] and [`listpack`] are made
//! of, [`intset`] holds integers; [`quicklist`] is a row of runs of elements.

pub mod blocks;
pub mod dict;
pub mod element;
pub mod intset;
pub mod listpack;
pub mod pack;
pub mod quicklist;
pub mod ranked;
pub mod table;
pub mod wheel;
