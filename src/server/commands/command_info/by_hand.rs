//! Keys that a row cannot describe: where they are depends on the meaning of the other arguments.
//!
//! *Duty:* SORT, SORT_RO, MIGRATE (where), BITFIELD and SET (what is done to the key). All others follow from the
//! specifications of their rows. *Counterpart in C Redis:* the `getkeys_proc` functions of `db.c`.

use crate::call::Args;
use crate::command::spec::{KeyFlags, Spec};

type Found = Vec<(usize, KeyFlags)>;

const READ: KeyFlags = KeyFlags::RO.or(KeyFlags::ACCESS);
const OVERWRITE: KeyFlags = KeyFlags::OW.or(KeyFlags::UPDATE);
const CHANGE: KeyFlags = KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::UPDATE);
const REMOVE: KeyFlags = KeyFlags::RW.or(KeyFlags::ACCESS).or(KeyFlags::DELETE);

/// `None`: the row says it all.
pub fn keys(spec: &Spec, args: Args<'_>) -> Option<Found> {
    match spec.name {
        "bitfield" => Some(vec![(1, if only_reads(args) { READ } else { CHANGE })]),
        "migrate" => Some(migrate(args)),
        "set" => {
            let answers = (3..args.len()).any(|at| args.is(at, "get"));
            Some(vec![(1, if answers { CHANGE } else { OVERWRITE })])
        }
        "sort" => Some(sort(args)),
        "sort_ro" => Some(vec![(1, READ)]),
        _ => None,
    }
}

/// Whether BITFIELD has nothing but GETs. What cannot be read may be a write.
fn only_reads(args: Args<'_>) -> bool {
    let mut at = 2;
    while at < args.len() {
        let behind = args.len() - at - 1;
        if args.is(at, "get") && behind >= 2 {
            at += 3;
        } else if args.is(at, "overflow") && behind >= 1 {
            at += 2;
        } else {
            return false;
        }
    }
    true
}

/// The key to sort, and the one behind the last STORE.
fn sort(args: Args<'_>) -> Found {
    let (mut at, mut target) = (2, None);
    while at < args.len() {
        if args.is(at, "limit") {
            at += 2;
        } else if args.is(at, "get") || args.is(at, "by") {
            at += 1;
        } else if args.is(at, "store") && at + 1 < args.len() {
            target = Some(at + 1);
        }
        at += 1;
    }
    std::iter::once((1, READ)).chain(target.map(|at| (at, OVERWRITE))).collect()
}

/// The one key, or those behind KEYS if the one is empty. Both together are an error of the request, so there is none.
fn migrate(args: Args<'_>) -> Found {
    let mut at = 6;
    while at < args.len() {
        if args.is(at, "keys") {
            let behind = if args.get(3).is_empty() { at + 1..args.len() } else { 0..0 };
            return behind.map(|at| (at, REMOVE)).collect();
        }
        at += if args.is(at, "auth2") {
            3
        } else if args.is(at, "auth") {
            2
        } else {
            1
        };
    }
    vec![(3, REMOVE)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Argv;

    /// The keys of a line, each with the first letters of its flags.
    fn found(line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(|word| if word == "''" { b"" } else { word.as_bytes() }).collect();
        let argv = Argv::from_args(&words);
        let name: &'static str = Box::leak(String::from_utf8_lossy(words[0]).into_owned().into_boxed_str());
        let keys = keys(&Spec { name, ..Spec::BASE }, Args::of(&argv)).expect("done by hand");
        let name_of = |flags: KeyFlags| match flags {
            READ => "read",
            OVERWRITE => "overwrite",
            CHANGE => "change",
            _ => "remove",
        };
        let shown = keys.iter().map(|(at, flags)| format!("{at}:{}", name_of(*flags)));
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn keys_are_where_7_0_15_finds_them() {
        let cases = [
            ("set k v", "1:overwrite"),
            ("set k v ex 10 GET", "1:change"),
            ("bitfield k", "1:read"),
            ("bitfield k get u8 0 overflow sat get u4 1", "1:read"),
            ("bitfield k get u8 0 set u8 0 1", "1:change"),
            ("bitfield k get u8", "1:change"),
            ("sort k", "1:read"),
            ("sort k by store get store store a limit 1 2 STORE b", "1:read 12:overwrite"),
            ("sort k by nosort store", "1:read"),
            ("sort_ro k by nosort", "1:read"),
            ("migrate h 1 k 0 10", "3:remove"),
            ("migrate h 1 k 0 10 copy auth keys", "3:remove"),
            ("migrate h 1 '' 0 10 replace auth2 u p KEYS a b", "11:remove 12:remove"),
            ("migrate h 1 k 0 10 keys a b", ""),
        ];
        for (line, expected) in cases {
            assert_eq!(found(line), expected, "{line}");
        }
    }
}
