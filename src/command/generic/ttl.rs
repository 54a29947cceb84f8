//! Asking for deadlines and taking them away: TTL, PTTL, EXPIRETIME, PEXPIRETIME, PERSIST.
//!
//! *Does not know:* how deadlines are set (`expire`) or kept. *Counterpart in C Redis:* `ttlGenericCommand`,
//! `persistCommand`.

use super::{Use, read};
use crate::base::millis::Millis;
use crate::call::{Call, CmdResult};
use crate::command::spec::*;
use crate::keyspace::{EntryRef, Keyspace, Place, event};

const ASK: Spec = Spec {
    arity: 2,
    flags: READONLY.or(FAST),
    keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
    acl: Categories::KEYSPACE,
    group: Group::Generic,
    complexity: "O(1)",
    syntax: "key",
    ..Spec::BASE
};

/// The answers that count down.
const ASK_REST: Spec =
    Spec { tips: &["nondeterministic_output"], history: &[("2.8.0", "Answers -2 when there is no such key.")], ..ASK };

pub const TTL: DataCommand = Command::new(
    |ks, call| answer(ks, call, |at, now| seconds(rest(at, now))),
    Spec { name: "ttl", since: "1.0.0", summary: "Tells in how many seconds a key expires.", ..ASK_REST },
);

pub const PTTL: DataCommand = Command::new(
    |ks, call| answer(ks, call, rest),
    Spec { name: "pttl", since: "2.6.0", summary: "Tells in how many milliseconds a key expires.", ..ASK_REST },
);

pub const EXPIRETIME: DataCommand = Command::new(
    |ks, call| answer(ks, call, |at, _| seconds(at.0.max(0))),
    Spec { name: "expiretime", since: "7.0.0", summary: "Tells when a key expires, in seconds of Unix time.", ..ASK },
);

pub const PEXPIRETIME: DataCommand = Command::new(
    |ks, call| answer(ks, call, |at, _| at.0.max(0)),
    Spec {
        name: "pexpiretime",
        since: "7.0.0",
        summary: "Tells when a key expires, in milliseconds of Unix time.",
        ..ASK
    },
);

/// Milliseconds left; an overdue key that a replica still holds has none.
fn rest(at: Millis, now: Millis) -> i64 {
    at.since(now).max(0)
}

/// Rounded to the nearest second, halves up.
fn seconds(ms: i64) -> i64 {
    ms / 1000 + (ms % 1000 >= 500) as i64
}

/// -2: no such key; -1: it does not expire; else what `tell` makes of deadline and present time.
fn answer(ks: &mut Keyspace, call: &mut Call<'_>, tell: fn(Millis, Millis) -> i64) -> CmdResult {
    let number = match read(ks, call.arg(1), call, Use::Unmarked).map(EntryRef::expires_at) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => tell(at, call.now),
    };
    call.reply.int(number);
    Ok(())
}

pub const PERSIST: DataCommand = Command::new(
    persist,
    Spec {
        name: "persist",
        arity: 2,
        flags: WRITE.or(FAST),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::UPDATE))],
        acl: Categories::KEYSPACE,
        group: Group::Generic,
        since: "2.2.0",
        complexity: "O(1)",
        summary: "Takes a key's deadline away, so that it stays.",
        syntax: "key",
        ..Spec::BASE
    },
);

fn persist(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let key = call.arg(1);
    let volatile = |place: &Place<'_>| place.entry().and_then(EntryRef::expires_at).is_some();
    let expires = ks.write_place(key, call).filter(volatile).is_some_and(|mut place| place.set_deadline(None));
    if expires {
        call.modified(key, event::PERSIST, 1);
    }
    call.reply.int(expires as i64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_and_never_negative() {
        assert_eq!((seconds(499), seconds(500), seconds(1499), seconds(i64::MAX)), (0, 1, 1, i64::MAX / 1000 + 1));
        assert_eq!(rest(Millis(5), Millis(9)), 0);
        assert_eq!(rest(Millis(9), Millis(5)), 4);
    }
}
