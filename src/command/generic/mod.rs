//! Commands on keys of any type: deleting, moving, expiring, listing and looking at them.
//!
//! *Does not know:* what a value holds beyond [`Value`](crate::value::Value)'s own methods; freeing large values, the
//! stream to replicas and waiting clients are told through the effects.
//! *Reading order:* `keys` (single keys), `relocate` (from one place to another), `expire` and `ttl`, `scan` (the
//! whole keyspace), `object`, `dump`, `sort`. *Counterpart in C Redis:* `db.c`, `expire.c`, the OBJECT half of `object.c`.

mod dump;
mod expire;
mod keys;
mod object;
mod relocate;
mod scan;
pub mod sort;
#[cfg(test)]
mod tests;
mod ttl;

use super::spec::*;
use crate::call::Call;
use crate::keyspace::{EntryRef, Keyspace};

#[rustfmt::skip]
pub const COMMANDS: &[DataCommand] = &[
    relocate::COPY, keys::DBSIZE, keys::DEL, dump::DUMP, keys::EXISTS, expire::EXPIRE, expire::EXPIREAT, ttl::EXPIRETIME,
    scan::KEYS, relocate::MOVE, object::OBJECT, object::ENCODING, object::FREQ, object::HELP, object::IDLETIME,
    object::REFCOUNT, ttl::PERSIST, expire::PEXPIRE, expire::PEXPIREAT, ttl::PEXPIRETIME, ttl::PTTL,
    scan::RANDOMKEY, relocate::RENAME, relocate::RENAMENX, dump::RESTORE, dump::RESTORE_ASKING, scan::SCAN, sort::SORT,
    sort::SORT_RO, relocate::SWAPDB, keys::TOUCH, ttl::TTL, keys::TYPE, keys::UNLINK,
];

/// Whether a lookup counts as a use of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Marked,
    /// The key keeps its access time: the command asks about the key, not for its value.
    Unmarked,
}

/// [`Keyspace::read`] with the choice of marking the use, whatever the connection asked for with CLIENT NO-TOUCH.
fn read<'k>(ks: &'k mut Keyspace, key: &[u8], call: &mut Call<'_>, mark: Use) -> Option<EntryRef<'k>> {
    let asked = std::mem::replace(&mut call.caller.no_touch, mark == Use::Unmarked);
    let entry = ks.read(key, call);
    call.caller.no_touch = asked;
    entry
}
