//! Looking ahead in a batch of requests, so that what the processor must fetch from memory is on its way early.
//!
//! *Duty:* find the row and the keys of each request before the first of them runs, ask for the memory of these keys,
//! and keep what was found out on the way, so that it is not found out again. *Does not know:* who sent the requests,
//! or whether they will run.
//! *Invariants:* nothing that is kept grows old while a batch runs: a row keeps its number while the process lives,
//! and all databases hash alike.
//! *Counterpart in C Redis:* none; Valkey's `prefetchCommands`.

use std::num::NonZeroU64;

use crate::call::Args;
use crate::keyspace::Entries;
use crate::resp::Batch;
use crate::server::registry::{Registry, RowId, Run, Unknown};

/// What is known ahead of the requests of one batch.
#[derive(Default)]
pub struct LookAhead {
    found: Vec<Ahead>,
}

/// What is known ahead of one request: nothing, by default.
#[derive(Clone, Copy, Default)]
pub struct Ahead {
    row: Option<RowId>,
    /// Of the argument behind the name, a key.
    key_hash: Option<NonZeroU64>,
}

/// Keys whose memory is asked for at most: the processor does not remember many more misses.
const PREFETCH_MAX: usize = 64;
/// A table with fewer keys fits the cache and gains nothing.
const PREFETCH_MIN_KEYS: usize = 10_000;

impl LookAhead {
    /// Looks at a batch, in place of the one before: first every key's bucket is asked for, then, when those are on
    /// their way, every entry. The misses overlap, so a request that comes alone gains nothing.
    pub fn look(&mut self, registry: &Registry, entries: &Entries, buf: &[u8], batch: &Batch) {
        self.found.clear();
        if batch.len() < 2 || entries.len() < PREFETCH_MIN_KEYS {
            return;
        }
        let mut asked = Asked { hashes: [0; PREFETCH_MAX], count: 0 };
        for i in 0..batch.len() {
            let args = Args::new(buf, batch.spans(batch.command(i)));
            self.found.push(look_at(registry, entries, args, &mut asked));
        }
        asked.hashes[..asked.count].iter().for_each(|hash| entries.prefetch_entry(*hash));
    }

    /// What is known of the request number `i` of the batch.
    #[inline]
    pub fn of(&self, i: usize) -> Ahead {
        self.found.get(i).copied().unwrap_or_default()
    }
}

impl Ahead {
    /// The request's row, and its arguments with what is known of them.
    #[inline]
    pub fn row<'a>(self, registry: &Registry, args: Args<'a>) -> Result<(RowId, Args<'a>), Unknown> {
        match self.row {
            Some(row) => Ok((row, args.with_key_hash(self.key_hash))),
            None => Ok((registry.lookup(args)?, args)),
        }
    }
}

/// Hashes of the keys whose buckets were asked for.
struct Asked {
    hashes: [u64; PREFETCH_MAX],
    count: usize,
}

/// The row of a request and its first key's hash; the buckets of its keys are asked for as long as there is room.
#[inline]
fn look_at(registry: &Registry, entries: &Entries, args: Args<'_>, asked: &mut Asked) -> Ahead {
    let Ok(id) = registry.lookup(args) else {
        return Ahead::default();
    };
    let mut ahead = Ahead { row: Some(id), key_hash: None };
    let row = registry.row(id);
    let (first, last, step) = row.key_range;
    if first == 0 || !matches!(row.run, Run::Data(_)) {
        return ahead;
    }
    let last = if last < 0 { args.len() as i64 + last } else { last };
    let mut at = first;
    while at <= last && asked.count < PREFETCH_MAX {
        let Some(key) = args.opt(at as usize) else { break };
        let hash = entries.hash(key);
        entries.prefetch_bucket(hash);
        asked.hashes[asked.count] = hash;
        asked.count += 1;
        if at == 1 {
            ahead.key_hash = NonZeroU64::new(hash);
        }
        at += step.max(1);
    }
    ahead
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash::HashSeed;
    use crate::keyspace::New;
    use crate::resp::request::{self, Limits};

    fn parsed(text: &mut [u8]) -> Batch {
        let mut batch = Batch::default();
        request::parse(text, 0, &mut None, Limits { max_bulk: 1 << 20, authenticated: true }, &mut batch);
        batch
    }

    #[test]
    fn what_is_kept_is_what_would_be_found_again() {
        let registry = Registry::new();
        let mut entries = Entries::new(HashSeed::new(1));
        for i in 0..PREFETCH_MIN_KEYS {
            let key = i.to_string();
            entries.insert(entries.hash(key.as_bytes()), key.as_bytes(), None, 0, New::Int(1));
        }
        let mut text = b"GET 5\r\nnone 5\r\nPING\r\nOBJECT ENCODING 7\r\nMSET 8 x 9 y\r\nGET\r\n".to_vec();
        let batch = parsed(&mut text);
        let mut ahead = LookAhead::default();
        ahead.look(&registry, &entries, &text, &batch);
        let hashed = |i: usize| {
            let args = Args::new(&text, batch.spans(batch.command(i)));
            let (row, args) = ahead.of(i).row(&registry, args).ok()?;
            assert_eq!(Ok(row), registry.lookup(args), "{i}");
            Some(args.opt(1).and_then(|key| args.hash_of(key)))
        };
        assert_eq!(hashed(0), Some(Some(entries.hash(b"5"))));
        assert_eq!(hashed(1), None, "an unknown command");
        assert_eq!([2, 3, 5].map(hashed), [Some(None); 3], "no key, or not behind the name");
        assert_eq!(hashed(4), Some(Some(entries.hash(b"8"))));
        // The next batch is a single command: nothing of this one is left.
        let mut text = b"GET 6\r\n".to_vec();
        let batch = parsed(&mut text);
        ahead.look(&registry, &entries, &text, &batch);
        assert!(ahead.of(0).row.is_none());
    }
}
