//! OBJECT: how a value is kept, and how long ago or how often its key was used.
//!
//! *Duty:* looking does not mark a use, raises no event, but counts as a hit or miss. *Does not know:* encodings; a
//! value tells its own. *Counterpart in C Redis:* `objectCommand`.

use crate::call::{Call, CmdError, CmdResult};
use crate::command::help;
use crate::command::spec::*;
use crate::keyspace::{EntryRef, Keyspace, View};

pub const OBJECT: DataCommand = Command::new(
    |_, call| Err(help::unknown_subcommand(call)),
    Spec {
        name: "object",
        arity: -2,
        group: Group::Generic,
        since: "2.2.3",
        complexity: "That of the subcommand.",
        summary: "Holds the commands that tell how a key's value is kept.",
        ..Spec::BASE
    },
);

const LOOK: Spec = Spec {
    arity: 3,
    flags: READONLY,
    keys: &[KeySpec::one(2, KeyFlags::RO)],
    acl: Categories::KEYSPACE,
    group: Group::Generic,
    since: "2.2.3",
    complexity: "O(1)",
    syntax: "key",
    tips: &["nondeterministic_output"],
    ..Spec::BASE
};

/// The entry of the key asked about; `None` after a null reply.
fn look<'k>(ks: &'k mut Keyspace, call: &mut Call<'_>) -> Option<EntryRef<'k>> {
    let entry = ks.inspect(call.arg(2), call);
    match entry {
        Some(_) => call.fx.counts.hits += 1,
        None => {
            call.fx.counts.misses += 1;
            call.reply.null();
        }
    }
    entry
}

pub const ENCODING: DataCommand = Command::new(
    |ks, call| {
        if let Some(entry) = look(ks, call) {
            call.reply.bulk(entry.encoding().as_bytes());
        }
        Ok(())
    },
    Spec { name: "object|encoding", summary: "Tells in which form a value is kept.", ..LOOK },
);

pub const REFCOUNT: DataCommand = Command::new(
    refcount,
    Spec { name: "object|refcount", summary: "Tells how many references there are to a value.", ..LOOK },
);

/// No value is shared here. Small integers are reported as the reference does, which keeps one object of each and
/// never counts its users.
fn refcount(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let shared = 0..ks.settings.shared_integers;
    if let Some(entry) = look(ks, call) {
        let is_shared = matches!(entry.view(), View::Int(i) if shared.contains(&i));
        call.reply.int(if is_shared { i32::MAX as i64 } else { 1 });
    }
    Ok(())
}

pub const IDLETIME: DataCommand = Command::new(
    idle_time,
    Spec { name: "object|idletime", summary: "Tells how many seconds ago a key was last used.", ..LOOK },
);

fn idle_time(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let clock = ks.access;
    let Some(entry) = look(ks, call) else { return Ok(()) };
    if clock.lfu {
        return Err(CmdError::Fixed(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between \
             policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    call.reply.int(clock.idle_seconds(entry.access()) as i64);
    Ok(())
}

pub const FREQ: DataCommand = Command::new(
    frequency,
    Spec {
        name: "object|freq",
        since: "4.0.0",
        summary: "Tells how often a key was used lately, as a logarithm.",
        ..LOOK
    },
);

fn frequency(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let clock = ks.access;
    let Some(entry) = look(ks, call) else { return Ok(()) };
    if !clock.lfu {
        return Err(CmdError::Fixed(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
             switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    call.reply.int(clock.frequency(entry.access()) as i64);
    Ok(())
}

pub const HELP: DataCommand = Command::new(
    |_, call| {
        help::reply(
            call,
            &[
                "ENCODING <key>",
                "    Tell in which form the value of <key> is kept.",
                "FREQ <key>",
                "    Tell how often <key> was used lately: a number that grows with the",
                "    logarithm of the uses and falls with time.",
                "IDLETIME <key>",
                "    Tell how many seconds ago, about, <key> was last used.",
                "REFCOUNT <key>",
                "    Tell how many references there are to the value of <key>.",
            ],
        );
        Ok(())
    },
    Spec { name: "object|help", acl: Categories::KEYSPACE, since: "6.2.0", ..Spec::HELP },
);
