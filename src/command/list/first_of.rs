//! From the first of several lists that there is: LMPOP, BLMPOP, BLPOP, BRPOP.
//!
//! *Duty:* find the list, pop, and say in the stream what was popped where; the blocking ones wait for any of the
//! lists and, when they run again, take from the one that is ready.
//! *Counterpart in C Redis:* `blockingPopGenericCommand`, `mpopGenericCommand`, `serveClientBlockedOnList`.

use super::{end_arg, pop_into_reply, pop_name, popped, tell_removed};
use crate::base::num;
use crate::call::options::timeout_seconds;
use crate::call::{BlockOn, Call, CmdError, CmdResult, WaitFor};
use crate::command::spec::*;
use crate::keyspace::Keyspace;
use crate::value::List;
use crate::value::list::End;

const BPOP_SPEC: Spec = Spec {
    arity: -3,
    flags: WRITE.or(NOSCRIPT).or(BLOCKING),
    keys: &[KeySpec::range(1, -2, 1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::DELETE))],
    acl: Categories::LIST,
    group: Group::List,
    since: "2.0.0",
    complexity: "O(N) for N keys.",
    syntax: "key [key ...] timeout",
    history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
    ..Spec::BASE
};

pub const BLPOP: DataCommand = Command::new(
    |ks, call| blocking_pop(ks, call, End::Left),
    Spec { name: "blpop", summary: "Takes the first element off a list, waiting for one if need be.", ..BPOP_SPEC },
);

pub const BRPOP: DataCommand = Command::new(
    |ks, call| blocking_pop(ks, call, End::Right),
    Spec { name: "brpop", summary: "Takes the last element off a list, waiting for one if need be.", ..BPOP_SPEC },
);

fn blocking_pop(ks: &mut Keyspace, call: &mut Call<'_>, end: End) -> CmdResult {
    let last = call.args.len() - 1;
    let deadline = timeout_seconds(call.arg(last), call.now)?;
    let keys = call.args.from(1).take(last - 1);
    for key in keys.clone() {
        if !call.may_take(key) {
            continue;
        }
        let Some(mut list) = ks.write_typed::<List>(key, call)? else {
            continue;
        };
        call.reply.array(2);
        call.reply.bulk(key);
        let gone = pop_into_reply(&mut list, end, 1, call.reply);
        drop(list);
        tell_removed(call, key, popped(end), 1, gone);
        call.replicate_as(&[pop_name(end), key]);
        return Ok(());
    }
    call.block_on(BlockOn::new(WaitFor::List, keys, deadline));
    Ok(())
}

const MPOP_SPEC: Spec = Spec {
    acl: Categories::LIST,
    group: Group::List,
    since: "7.0.0",
    complexity: "O(N+M) for N keys and M elements taken.",
    ..Spec::BASE
};

pub const LMPOP: DataCommand = Command::new(
    lmpop,
    Spec {
        name: "lmpop",
        arity: -4,
        flags: WRITE.or(MOVABLEKEYS),
        keys: &[KeySpec::numkeys(1, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::DELETE))],
        summary: "Takes elements off the first list that there is.",
        syntax: "numkeys key [key ...] <LEFT|RIGHT> [COUNT count]",
        ..MPOP_SPEC
    },
);

fn lmpop(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let wish = Wish::parse(call, 1)?;
    if !wish.take(ks, call)? {
        call.reply.null_array();
    }
    Ok(())
}

pub const BLMPOP: DataCommand = Command::new(
    blmpop,
    Spec {
        name: "blmpop",
        arity: -5,
        flags: WRITE.or(BLOCKING).or(MOVABLEKEYS),
        keys: &[KeySpec::numkeys(2, KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::DELETE))],
        summary: "Takes elements off the first list that there is, waiting for one if need be.",
        syntax: "timeout numkeys key [key ...] <LEFT|RIGHT> [COUNT count]",
        ..MPOP_SPEC
    },
);

fn blmpop(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let wish = Wish::parse(call, 2)?;
    let deadline = timeout_seconds(call.arg(1), call.now)?;
    if !wish.take(ks, call)? {
        let keys = call.args.from(wish.first_key).take(wish.keys);
        call.block_on(BlockOn::new(WaitFor::List, keys, deadline));
    }
    Ok(())
}

/// What LMPOP and BLMPOP ask for.
struct Wish {
    first_key: usize,
    keys: usize,
    end: End,
    count: usize,
}

impl Wish {
    /// Reads the arguments from the number of keys on.
    fn parse(call: &Call<'_>, numkeys_at: usize) -> Result<Wish, CmdError> {
        let above_zero = |arg: &[u8], error| match num::parse_i64(arg) {
            Some(n) if n > 0 => Ok(n as usize),
            _ => Err(CmdError::Fixed(error)),
        };
        let keys = above_zero(call.arg(numkeys_at), "ERR numkeys should be greater than 0")?;
        let end_at = keys.saturating_add(numkeys_at + 1);
        if end_at >= call.args.len() {
            return Err(CmdError::Syntax);
        }
        let end = end_arg(call, end_at)?;
        let mut count = None;
        let mut i = end_at + 1;
        while i < call.args.len() {
            match call.args.opt(i + 1) {
                Some(value) if count.is_none() && call.args.is(i, "COUNT") => {
                    count = Some(above_zero(value, "ERR count should be greater than 0")?);
                }
                _ => return Err(CmdError::Syntax),
            }
            i += 2;
        }
        Ok(Wish { first_key: numkeys_at + 1, keys, end, count: count.unwrap_or(1) })
    }

    /// Takes from the first list that there is and answers with key and elements. `false`: there is none.
    fn take(&self, ks: &mut Keyspace, call: &mut Call<'_>) -> Result<bool, CmdError> {
        for key in call.args.from(self.first_key).take(self.keys) {
            if !call.may_take(key) {
                continue;
            }
            let Some(mut list) = ks.write_typed::<List>(key, call)? else {
                continue;
            };
            let count = self.count.min(list.len());
            call.reply.array(2);
            call.reply.bulk(key);
            call.reply.array(count);
            let gone = pop_into_reply(&mut list, self.end, count, call.reply);
            drop(list);
            tell_removed(call, key, popped(self.end), count, gone);
            let mut digits = [0; num::MAX_DECIMAL_LEN];
            call.replicate_as(&[pop_name(self.end), key, num::format_u64(count as u64, &mut digits)]);
            return Ok(true);
        }
        Ok(false)
    }
}
