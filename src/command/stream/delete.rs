//! XDELEX and XACKDEL: deleting entries with an eye on the groups that refer to them.
//!
//! *Duty:* their common form, and what AOF and replicas hear: XDEL and XACK, which every release knows.
//! *Does not know:* what a reference is (`value/stream/refs`). *Counterpart in C Redis:* `xdelexCommand`,
//! `xackdelCommand` of 8.2.

use super::{id_arg, stream_event};
use crate::base::num;
use crate::call::effects::Replicate;
use crate::call::{Args, Call, CmdError, CmdResult, Event};
use crate::command::spec::*;
use crate::keyspace::Keyspace;
use crate::resp::Argv;
use crate::value::Stream;
use crate::value::stream::{Deletion, Refs, StreamId};

const DELETED: Event = stream_event("xdel");

const DELETING: Spec = Spec {
    flags: WRITE.or(FAST),
    keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::DELETE))],
    acl: Categories::STREAM,
    group: Group::Stream,
    since: "8.2.0",
    complexity: "O(log N) for each id and group.",
    ..Spec::BASE
};

pub const XDELEX: DataCommand = Command::new(
    |ks, call| delete(ks, call, None),
    Spec {
        name: "xdelex",
        arity: -5,
        summary: "Deletes entries of a stream, and says what becomes of those that groups refer to.",
        syntax: "key [<KEEPREF|DELREF|ACKED>] IDS numids id [id ...]",
        ..DELETING
    },
);

pub const XACKDEL: DataCommand = Command::new(
    |ks, call| delete(ks, call, Some(call.arg(2))),
    Spec {
        name: "xackdel",
        arity: -6,
        summary: "Takes entries off those that are pending in a group, and deletes them.",
        syntax: "key group [<KEEPREF|DELREF|ACKED>] IDS numids id [id ...]",
        ..DELETING
    },
);

/// The word at `i` that says what becomes of references.
pub(super) fn refs_word(args: Args<'_>, i: usize) -> Option<Refs> {
    let words = [("KEEPREF", Refs::Keep), ("DELREF", Refs::Drop), ("ACKED", Refs::Acked)];
    words.into_iter().find_map(|(word, refs)| args.is(i, word).then_some(refs))
}

/// The options from argument `i` on.
fn options(call: &Call<'_>, i: usize) -> Result<(Refs, Vec<StreamId>), CmdError> {
    let word = refs_word(call.args, i);
    let i = i + usize::from(word.is_some());
    if !call.args.is(i, "IDS") || call.args.len() < i + 3 {
        return Err(CmdError::Syntax);
    }
    let count = num::parse_i64(call.arg(i + 1)).filter(|count| *count > 0);
    let count = count.ok_or(CmdError::Fixed("ERR Number of IDs must be a positive integer"))?;
    if count != (call.args.len() - i - 2) as i64 {
        return Err(CmdError::Fixed("ERR The `numids` parameter must match the number of arguments"));
    }
    let ids = call.args.from(i + 2).map(|text| id_arg(text, 0)).collect::<Result<Vec<_>, _>>()?;
    Ok((word.unwrap_or_default(), ids))
}

/// XDELEX, and with a group XACKDEL: for each id -1 if there is none, 1 if it was deleted, 2 if it had to stay.
fn delete(ks: &mut Keyspace, call: &mut Call<'_>, group: Option<&[u8]>) -> CmdResult {
    let key = call.arg(1);
    let (refs, ids) = options(call, if group.is_some() { 3 } else { 2 })?;
    let found = ks.write_typed::<Stream>(key, call)?;
    let found = found.filter(|stream| group.is_none_or(|group| stream.groups().contains_key(group)));
    call.reply.array(ids.len());
    let Some(mut stream) = found else {
        ids.iter().for_each(|_| call.reply.int(-1));
        return Ok(());
    };
    let mut told = Told::default();
    for id in ids {
        if let Some(group) = group {
            let pending = stream.groups_mut().get_mut(group).and_then(|group| group.acknowledge(id));
            if pending.is_none() {
                call.reply.int(-1);
                continue;
            }
            told.acknowledged.push((group.into(), id));
        }
        if refs == Refs::Drop {
            let holders = stream.groups().iter().filter(|(_, group)| group.pending().contains_key(&id));
            told.acknowledged.extend(holders.map(|(name, _)| (name.clone(), id)));
        }
        match stream.delete(id, refs) {
            Deletion::Done => {
                told.deleted.push(id);
                call.reply.int(1);
            }
            Deletion::Referenced => call.reply.int(2),
            // What is pending and gone already is done with.
            Deletion::Missing => call.reply.int(if group.is_some() { 1 } else { -1 }),
        }
    }
    drop(stream);
    told.tell(key, call);
    Ok(())
}

/// What was done.
#[derive(Default)]
struct Told {
    acknowledged: Vec<(Box<[u8]>, StreamId)>,
    deleted: Vec<StreamId>,
}

impl Told {
    fn tell(&self, key: &[u8], call: &mut Call<'_>) {
        call.fx.replicate = Replicate::Rewritten;
        call.fx.dirty += self.acknowledged.len() as u64;
        if call.wants_ops() {
            for (group, id) in &self.acknowledged {
                call.replicate_as(&[b"XACK", key, group, &id.to_text()]);
            }
        }
        if self.deleted.is_empty() {
            return;
        }
        call.modified(key, DELETED, self.deleted.len() as u64);
        let mut argv = Argv::new();
        argv.push(b"XDEL");
        argv.push(key);
        self.deleted.iter().for_each(|id| argv.push(&id.to_text()));
        call.replicate_argv(argv);
    }
}
