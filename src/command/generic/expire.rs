//! Setting deadlines: EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT.
//!
//! *Duty:* one command in four spellings: how the time is given, and from when it counts. *Does not know:* how a key
//! is found when its time has come (`keyspace::db`).
//! *Invariant:* what goes to AOF and replicas is absolute: PEXPIREAT, or a deletion when the time has passed.
//! *Counterpart in C Redis:* `expireGenericCommand`.

use crate::base::millis::Millis;
use crate::base::num;
use crate::call::options::ExpireUnit;
use crate::call::{Call, CmdError, CmdResult, Origin};
use crate::command::spec::*;
use crate::keyspace::{EntryRef, Keyspace, Place, discard, event};

const SET_DEADLINE: Spec = Spec {
    arity: -3,
    flags: WRITE.or(FAST),
    keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::UPDATE))],
    acl: Categories::KEYSPACE,
    group: Group::Generic,
    complexity: "O(1)",
    history: &[("7.0.0", "The options `NX`, `XX`, `GT` and `LT`.")],
    ..Spec::BASE
};

pub const EXPIRE: DataCommand = Command::new(
    |ks, call| expire(ks, call, ExpireUnit::Seconds, "expire"),
    Spec {
        name: "expire",
        since: "1.0.0",
        summary: "Lets a key expire in so many seconds.",
        syntax: "key seconds [<NX|XX|GT|LT>@7.0.0]",
        ..SET_DEADLINE
    },
);

pub const PEXPIRE: DataCommand = Command::new(
    |ks, call| expire(ks, call, ExpireUnit::Millis, "pexpire"),
    Spec {
        name: "pexpire",
        since: "2.6.0",
        summary: "Lets a key expire in so many milliseconds.",
        syntax: "key milliseconds [<NX|XX|GT|LT>@7.0.0]",
        ..SET_DEADLINE
    },
);

pub const EXPIREAT: DataCommand = Command::new(
    |ks, call| expire(ks, call, ExpireUnit::UnixSeconds, "expireat"),
    Spec {
        name: "expireat",
        since: "1.2.0",
        summary: "Lets a key expire at a Unix time in seconds.",
        syntax: "key unix-time-seconds [<NX|XX|GT|LT>@7.0.0]",
        ..SET_DEADLINE
    },
);

pub const PEXPIREAT: DataCommand = Command::new(
    |ks, call| expire(ks, call, ExpireUnit::UnixMillis, "pexpireat"),
    Spec {
        name: "pexpireat",
        since: "2.6.0",
        summary: "Lets a key expire at a Unix time in milliseconds.",
        syntax: "key unix-time-milliseconds [<NX|XX|GT|LT>@7.0.0]",
        ..SET_DEADLINE
    },
);

/// On which keys a deadline is set. Without options on all; options add up, as far as they may meet.
#[derive(Clone, Copy, Debug, Default)]
struct Condition {
    /// NX: the key has no deadline yet.
    absent: bool,
    /// XX: it has one.
    present: bool,
    /// GT: it has an earlier one. No deadline is as good as an endless one.
    later: bool,
    /// LT: it has a later one, or none.
    earlier: bool,
}

impl Condition {
    fn parse<'a>(options: impl Iterator<Item = &'a [u8]>) -> Result<Condition, CmdError> {
        let mut condition = Condition::default();
        for option in options {
            let flag = match option.to_ascii_uppercase().as_slice() {
                b"NX" => &mut condition.absent,
                b"XX" => &mut condition.present,
                b"GT" => &mut condition.later,
                b"LT" => &mut condition.earlier,
                _ => return Err(CmdError::text([b"ERR Unsupported option ", option].concat())),
            };
            *flag = true;
        }
        let Condition { absent, present, later, earlier } = condition;
        if absent && (present || later || earlier) {
            return Err(CmdError::Fixed("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if later && earlier {
            return Err(CmdError::Fixed("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(condition)
    }

    fn allows(self, old: Option<Millis>, new: Millis) -> bool {
        !(self.absent && old.is_some()
            || self.present && old.is_none()
            || self.later && old.is_none_or(|old| new <= old)
            || self.earlier && old.is_some_and(|old| new >= old))
    }
}

fn expire(ks: &mut Keyspace, call: &mut Call<'_>, unit: ExpireUnit, name: &'static str) -> CmdResult {
    let condition = Condition::parse(call.args.from(3))?;
    let deadline = unit.deadline(call.args.int(2)?, call.now, true, name)?;
    let key = call.arg(1);
    let (passed, lazy) = (has_passed(deadline, ks, call), ks.settings.lazy_expire);
    let allowed = |place: &Place<'_>| condition.allows(place.entry().and_then(EntryRef::expires_at), deadline);
    let Some(mut place) = ks.write_place(key, call).filter(allowed) else {
        call.reply.int(0);
        return Ok(());
    };
    if !passed {
        place.set_deadline(Some(deadline));
        call.modified(key, event::EXPIRE, 1);
        propagate(call, unit, deadline);
    } else if let Some(taken) = place.take() {
        discard(taken, lazy, call.fx);
        call.modified(key, event::DEL, 1);
        call.replicate_as(&[if lazy { b"UNLINK" } else { b"DEL" }, key]);
    }
    call.reply.int(1);
    Ok(())
}

/// The key can go at once. Not on a replica and not while the AOF is read: there the deletion comes as a command of
/// its own, and until then the key must be there for the commands between.
fn has_passed(deadline: Millis, ks: &Keyspace, call: &Call<'_>) -> bool {
    deadline <= call.now && !ks.settings.hide_expired && call.caller.origin != Origin::Aof
}

/// The same command with an absolute time; its options stay.
fn propagate(call: &mut Call<'_>, unit: ExpireUnit, deadline: Millis) {
    if unit == ExpireUnit::UnixMillis || !call.wants_ops() {
        return;
    }
    let mut digits = [0; 20];
    let mut args = vec![b"PEXPIREAT".as_slice(), call.arg(1), num::format_i64(deadline.0, &mut digits)];
    args.extend(call.args.from(3));
    call.replicate_as(&args);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(options: &[&str], old: Option<i64>, new: i64) -> bool {
        let condition = Condition::parse(options.iter().map(|o| o.as_bytes())).unwrap();
        condition.allows(old.map(Millis), Millis(new))
    }

    #[test]
    fn no_deadline_counts_as_an_endless_one() {
        assert!(!allows(&["gt"], None, i64::MAX));
        assert!(allows(&["lt"], None, i64::MAX));
        assert!(!allows(&["lt", "xx"], None, 5));
        assert!(allows(&["nx"], None, 5) && !allows(&["nx"], Some(9), 5));
    }

    #[test]
    fn an_equal_deadline_is_neither_greater_nor_less() {
        assert!(!allows(&["GT"], Some(5), 5) && !allows(&["LT"], Some(5), 5));
        assert!(allows(&["GT", "XX"], Some(5), 6) && allows(&["LT", "LT"], Some(5), 4));
    }
}
