//! Where the `...STORE` commands put their result.
//!
//! *Counterpart in C Redis:* the ends of `zunionInterDiffGenericCommand` and `zrangeResultFinalizeStore`.

use crate::call::{Call, Event};
use crate::keyspace::{Expire, Keyspace, New, event};
use crate::value::{Typed, Zset};

/// Makes `zset` the value of `key`, which counts as so many changes, or removes the key if there is nothing in it;
/// tells, and answers with the size.
pub(in crate::command) fn store(
    ks: &mut Keyspace,
    call: &mut Call<'_>,
    key: &[u8],
    zset: Zset,
    raised: Event,
    changes: u64,
) {
    call.reply.len_of(zset.len());
    if zset.is_empty() {
        if ks.delete(key, call) {
            call.modified(key, event::DEL, 1);
        }
        return;
    }
    ks.set(key, New::Object(Box::new(zset.into_value())), Expire::Clear, call);
    call.modified(key, raised, changes);
}
