//! Several sets: SINTER, SINTERCARD, SUNION, SDIFF and their STORE forms.
//!
//! *Invariants:* all sources are looked up, and found to be sets, before anything is done; a target that is one of
//! the sources is written only when the result is whole. A result begins as a set of integers and becomes what its
//! members ask for. *Counterpart in C Redis:* `sinterGenericCommand`, `sunionDiffGenericCommand`.

use super::{SET_SPEC, drop_set, read_sets, reply_member, reply_set, store};
use crate::base::num;
use crate::call::{Call, Class, CmdError, CmdResult, Event};
use crate::command::spec::*;
use crate::ds::element::Elem;
use crate::keyspace::Keyspace;
use crate::value::set::Wanted;
use crate::value::{Limits, Set, SetRef};

const SOURCES: KeySpec = KeySpec::range(1, -1, 1, KeyFlags::RO.or(KeyFlags::ACCESS));
const STORE_SOURCES: KeySpec = KeySpec::range(2, -1, 1, KeyFlags::RO.or(KeyFlags::ACCESS));
const TARGET: KeySpec = KeySpec::one(1, KeyFlags::OW.or(KeyFlags::UPDATE));

const READ_SPEC: Spec = Spec {
    arity: -2,
    flags: READONLY,
    keys: &[SOURCES],
    syntax: "key [key ...]",
    tips: &["nondeterministic_output_order"],
    complexity: "O(N) where N is the total number of elements in all given sets.",
    ..SET_SPEC
};

const STORE_SPEC: Spec = Spec {
    arity: -3,
    flags: WRITE.or(DENYOOM),
    keys: &[TARGET, STORE_SOURCES],
    syntax: "destination key [key ...]",
    complexity: "O(N) where N is the total number of elements in all given sets.",
    ..SET_SPEC
};

const INTERSECTION: &str =
    "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.";

pub const SINTER: DataCommand = Command::new(
    sinter,
    Spec {
        name: "sinter",
        complexity: INTERSECTION,
        summary: "Returns the members that several sets have in common.",
        ..READ_SPEC
    },
);

fn sinter(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let sets = read_sets(ks, call.args.from(1), call)?;
    let mark = call.reply.defer();
    let mut len = 0;
    intersect(sets, |member| {
        reply_member(call.reply, member);
        len += 1;
        true
    });
    call.reply.close_set(mark, len);
    Ok(())
}

pub const SINTERSTORE: DataCommand = Command::new(
    sinterstore,
    Spec {
        name: "sinterstore",
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::UPDATE)), STORE_SOURCES],
        complexity: INTERSECTION,
        summary: "Stores the members that several sets have in common.",
        ..STORE_SPEC
    },
);

fn sinterstore(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let limits = ks.settings.limits;
    let sets = read_sets(ks, call.args.from(2), call)?;
    let mut result = Set::default();
    intersect(sets, |member| {
        result.insert_elem(member, &limits);
        true
    });
    store(ks, call, call.arg(1), result, Event::new(Class::SET, "sinterstore"));
    Ok(())
}

pub const SINTERCARD: DataCommand = Command::new(
    sintercard,
    Spec {
        name: "sintercard",
        arity: -3,
        flags: READONLY.or(MOVABLEKEYS),
        keys: &[KeySpec::numkeys(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
        since: "7.0.0",
        complexity: INTERSECTION,
        summary: "Tells how many members several sets have in common, up to a limit.",
        syntax: "numkeys key [key ...] [LIMIT limit]",
        ..SET_SPEC
    },
);

fn sintercard(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let args = call.args;
    let count = match num::parse_i64(args.get(1)) {
        Some(count) if count > 0 => count as usize,
        _ => return Err(CmdError::Fixed("ERR numkeys should be greater than 0")),
    };
    if count > args.len() - 2 {
        return Err(CmdError::Fixed("ERR Number of keys can't be greater than number of args"));
    }
    let mut limit = 0;
    for i in (2 + count..args.len()).step_by(2) {
        let value = args.opt(i + 1).filter(|_| args.is(i, "LIMIT")).ok_or(CmdError::Syntax)?;
        limit = match num::parse_i64(value) {
            Some(limit) if limit >= 0 => limit as u64,
            _ => return Err(CmdError::Fixed("ERR LIMIT can't be negative")),
        };
    }
    let sets = read_sets(ks, args.from(2).take(count), call)?;
    let mut found = 0;
    intersect(sets, |_| {
        found += 1;
        found != limit
    });
    call.reply.int(found as i64);
    Ok(())
}

/// Calls `visit` for each member that all sets have, until it says `false`. A missing set has none.
fn intersect<'a>(sets: Vec<Option<SetRef<'a>>>, mut visit: impl FnMut(Elem<'a>) -> bool) {
    let Some(mut sets) = sets.into_iter().collect::<Option<Vec<_>>>() else {
        return;
    };
    // The fewest candidates, and of the others first those that are likely to lack them.
    sets.sort_by_key(|set| set.len());
    let (first, others) = sets.split_first().expect("there is a key at least");
    for member in first.iter() {
        let mut wanted = Wanted::new(member);
        if others.iter().all(|set| wanted.is_in(*set)) && !visit(member) {
            return;
        }
    }
}

pub const SUNION: DataCommand = Command::new(
    |ks, call| collect(ks, call, union),
    Spec { name: "sunion", summary: "Returns the members that any of several sets has.", ..READ_SPEC },
);

pub const SUNIONSTORE: DataCommand = Command::new(
    |ks, call| collect_and_store(ks, call, union, Event::new(Class::SET, "sunionstore")),
    Spec { name: "sunionstore", summary: "Stores the members that any of several sets has.", ..STORE_SPEC },
);

pub const SDIFF: DataCommand = Command::new(
    |ks, call| collect(ks, call, difference),
    Spec { name: "sdiff", summary: "Returns the members of a set that none of several others has.", ..READ_SPEC },
);

pub const SDIFFSTORE: DataCommand = Command::new(
    |ks, call| collect_and_store(ks, call, difference, Event::new(Class::SET, "sdiffstore")),
    Spec { name: "sdiffstore", summary: "Stores the members of a set that none of several others has.", ..STORE_SPEC },
);

/// Makes a set of several; a set that comes twice may be told by its key.
type Combine = fn(&[(&[u8], Option<SetRef<'_>>)], &Limits) -> Set;

fn combined<'a>(
    ks: &'a mut Keyspace,
    call: &mut Call<'_>,
    keys: impl Iterator<Item = &'a [u8]> + Clone,
    combine: Combine,
) -> Result<Set, CmdError> {
    let limits = ks.settings.limits;
    let sets = read_sets(ks, keys.clone(), call)?;
    let sources: Vec<_> = keys.zip(sets).collect();
    Ok(combine(&sources, &limits))
}

fn collect(ks: &mut Keyspace, call: &mut Call<'_>, combine: Combine) -> CmdResult {
    let result = combined(ks, call, call.args.from(1), combine)?;
    reply_set(call.reply, result.as_ref());
    drop_set(result, call);
    Ok(())
}

fn collect_and_store(ks: &mut Keyspace, call: &mut Call<'_>, combine: Combine, stored: Event) -> CmdResult {
    let result = combined(ks, call, call.args.from(2), combine)?;
    store(ks, call, call.arg(1), result, stored);
    Ok(())
}

fn union(sources: &[(&[u8], Option<SetRef<'_>>)], limits: &Limits) -> Set {
    let mut result = Set::default();
    for set in sources.iter().filter_map(|(_, set)| *set) {
        set.iter().for_each(|member| _ = result.insert_elem(member, limits));
    }
    result
}

fn difference(sources: &[(&[u8], Option<SetRef<'_>>)], limits: &Limits) -> Set {
    let mut result = Set::default();
    let (first_key, Some(first)) = sources[0] else {
        return result;
    };
    if sources[1..].iter().any(|(key, _)| *key == first_key) {
        return result;
    }
    let mut others: Vec<SetRef<'_>> = sources[1..].iter().filter_map(|(_, set)| *set).collect();
    let probes = first.len() * (others.len() + 1) / 2;
    let members = first.len() + others.iter().map(|set| set.len()).sum::<usize>();
    if probes <= members {
        // Look each member up in all the others, in the largest first.
        others.sort_by_key(|set| std::cmp::Reverse(set.len()));
        for member in first.iter() {
            let mut wanted = Wanted::new(member);
            if !others.iter().any(|set| wanted.is_in(*set)) {
                result.insert_elem(member, limits);
            }
        }
    } else {
        // Take the members of all the others out of a copy.
        first.iter().for_each(|member| _ = result.insert_elem(member, limits));
        let mut digits = Default::default();
        for member in others.iter().flat_map(|set| set.iter()) {
            result.remove(member.text(&mut digits));
            if result.is_empty() {
                break;
            }
        }
    }
    result
}
