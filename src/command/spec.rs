//! [`Spec`]: a command's row. Everything that is known of a command without running it stands here, beside its
//! handler; COMMAND, ACL categories, key extraction and the gates are derived from it.
//!
//! *Does not know:* what runs the command: [`Command`] is generic over the handler's type, so this layer needs no
//! server. *Counterpart in C Redis:* `struct redisCommand` and `commands/*.json`.

use crate::call::{Args, Call, CmdResult};
use crate::keyspace::Keyspace;

/// A command that needs nothing but the keyspace.
pub type DataHandler = fn(&mut Keyspace, &mut Call<'_>) -> CmdResult;
pub type DataCommand = Command<DataHandler>;

#[derive(Clone, Copy)]
pub struct Command<H> {
    pub spec: Spec,
    pub run: H,
}

impl<H> Command<H> {
    pub const fn new(run: H, spec: Spec) -> Command<H> {
        Command { spec, run }
    }
}

/// Command flags, as COMMAND names them (see [`Flags::NAMES`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u32);

impl std::ops::BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        self.or(other)
    }
}

macro_rules! flags {
    ($($bit:expr, $name:ident, $text:expr;)*) => {
        $(pub const $name: Flags = Flags(1 << $bit);)*
        impl Flags {
            /// Each flag with its name on the wire, in the order in which COMMAND lists them.
            pub const NAMES: &'static [(Flags, &'static str)] = &[$(($name, $text)),*];
        }
    };
}

flags! {
    0, WRITE, "write";
    1, READONLY, "readonly";
    2, DENYOOM, "denyoom";
    3, ADMIN, "admin";
    4, PUBSUB, "pubsub";
    5, NOSCRIPT, "noscript";
    6, BLOCKING, "blocking";
    7, LOADING, "loading";
    8, STALE, "stale";
    9, SKIP_MONITOR, "skip_monitor";
    10, SKIP_SLOWLOG, "skip_slowlog";
    11, ASKING, "asking";
    12, FAST, "fast";
    13, NO_AUTH, "no_auth";
    14, MAY_REPLICATE, "may_replicate";
    19, NO_MANDATORY_KEYS, "no_mandatory_keys";
    15, NO_ASYNC_LOADING, "no_async_loading";
    16, NO_MULTI, "no_multi";
    18, MOVABLEKEYS, "movablekeys";
    17, ALLOW_BUSY, "allow_busy";
}

/// Finds keys that no argument names, and may meet overdue ones among them. Their removals are no transaction. COMMAND
/// does not show this flag.
pub const TOUCHES_ARBITRARY_KEYS: Flags = Flags(1 << 20);

impl Flags {
    pub const NONE: Flags = Flags(0);

    pub const fn or(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    #[inline]
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }
}

/// The group of the manual, as COMMAND DOCS names it; it also decides an ACL category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Generic,
    String,
    List,
    Set,
    SortedSet,
    Hash,
    PubSub,
    Transactions,
    Connection,
    Server,
    Scripting,
    HyperLogLog,
    Cluster,
    Sentinel,
    Geo,
    Stream,
    Bitmap,
}

impl Group {
    pub fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::PubSub => "pubsub",
            Group::Transactions => "transactions",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Scripting => "scripting",
            Group::HyperLogLog => "hyperloglog",
            Group::Cluster => "cluster",
            Group::Sentinel => "sentinel",
            Group::Geo => "geo",
            Group::Stream => "stream",
            Group::Bitmap => "bitmap",
        }
    }
}

/// What a command does with the keys of one key specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFlags(pub u16);

impl std::ops::BitOr for KeyFlags {
    type Output = KeyFlags;
    fn bitor(self, other: KeyFlags) -> KeyFlags {
        self.or(other)
    }
}

impl KeyFlags {
    pub const RO: KeyFlags = KeyFlags(1 << 0);
    pub const RW: KeyFlags = KeyFlags(1 << 1);
    pub const OW: KeyFlags = KeyFlags(1 << 2);
    pub const RM: KeyFlags = KeyFlags(1 << 3);
    pub const ACCESS: KeyFlags = KeyFlags(1 << 4);
    pub const UPDATE: KeyFlags = KeyFlags(1 << 5);
    pub const INSERT: KeyFlags = KeyFlags(1 << 6);
    pub const DELETE: KeyFlags = KeyFlags(1 << 7);
    pub const NOT_KEY: KeyFlags = KeyFlags(1 << 8);
    pub const INCOMPLETE: KeyFlags = KeyFlags(1 << 9);
    pub const VARIABLE: KeyFlags = KeyFlags(1 << 10);

    pub const NAMES: &'static [(KeyFlags, &'static str)] = &[
        (KeyFlags::RO, "RO"),
        (KeyFlags::RW, "RW"),
        (KeyFlags::OW, "OW"),
        (KeyFlags::RM, "RM"),
        (KeyFlags::ACCESS, "access"),
        (KeyFlags::UPDATE, "update"),
        (KeyFlags::INSERT, "insert"),
        (KeyFlags::DELETE, "delete"),
        (KeyFlags::NOT_KEY, "not_key"),
        (KeyFlags::INCOMPLETE, "incomplete"),
        (KeyFlags::VARIABLE, "variable_flags"),
    ];

    pub const fn or(self, other: KeyFlags) -> KeyFlags {
        KeyFlags(self.0 | other.0)
    }

    pub const fn has(self, other: KeyFlags) -> bool {
        self.0 & other.0 != 0
    }
}

/// Where the keys begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    Index(i16),
    /// Behind this word, looked for from argument `from` on (backwards when negative).
    Keyword {
        word: &'static str,
        from: i16,
    },
    Unknown,
}

/// How the keys go on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// Up to `last` (relative to the first key; negative: from the end), every `step`th; with a negative `last`,
    /// `limit` of 2 or more takes only that fraction of the rest.
    Range {
        last: i16,
        step: i16,
        limit: i16,
    },
    /// Argument `count_at` (relative) holds the number of keys, which start at `first` (relative).
    KeyNum {
        count_at: i16,
        first: i16,
        step: i16,
    },
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpec {
    pub begin: Begin,
    pub find: Find,
    pub flags: KeyFlags,
}

impl KeySpec {
    /// One key at argument `index`.
    pub const fn one(index: i16, flags: KeyFlags) -> KeySpec {
        KeySpec::range(index, 0, 1, flags)
    }

    /// Keys from argument `index` to `last` (relative, or from the end when negative).
    pub const fn range(index: i16, last: i16, step: i16, flags: KeyFlags) -> KeySpec {
        KeySpec { begin: Begin::Index(index), find: Find::Range { last, step, limit: 0 }, flags }
    }

    /// A count at argument `index`, the keys behind it.
    pub const fn numkeys(index: i16, flags: KeyFlags) -> KeySpec {
        KeySpec { begin: Begin::Index(index), find: Find::KeyNum { count_at: 0, first: 1, step: 1 }, flags }
    }

    pub const fn unknown(flags: KeyFlags) -> KeySpec {
        KeySpec { begin: Begin::Unknown, find: Find::Unknown, flags }
    }

    /// The argument indices of this specification's keys; `None` when they cannot be known or the arguments are
    /// malformed.
    pub fn positions(&self, args: Args<'_>) -> Option<Vec<usize>> {
        let argc = args.len() as i64;
        let begin = match self.begin {
            Begin::Index(i) => i as i64,
            Begin::Keyword { word, from } => 1 + keyword_position(args, word, from)?,
            Begin::Unknown => return None,
        };
        if begin < 1 || begin >= argc {
            return None;
        }
        let (first, last, step) = match self.find {
            Find::Range { last, step, limit } => (begin, range_end(begin, last, limit, argc), step as i64),
            Find::KeyNum { count_at, first, step } => {
                let at = begin + count_at as i64;
                let count = crate::base::num::parse_i64(args.opt(at as usize)?)?;
                let first = begin + first as i64;
                // No count can exceed the arguments there are; checked before it is multiplied.
                if count < 0 || count > argc {
                    return None;
                }
                (first, first + (count - 1) * step as i64, step as i64)
            }
            Find::Unknown => return None,
        };
        if last >= argc || step <= 0 {
            return None;
        }
        Some((first..=last).step_by(step as usize).map(|i| i as usize).collect())
    }
}

fn keyword_position(args: Args<'_>, word: &str, from: i16) -> Option<i64> {
    let argc = args.len() as i64;
    if from >= 0 {
        (from as i64..argc).find(|&i| args.is(i as usize, word))
    } else {
        (1..=argc + from as i64).rev().find(|&i| args.is(i as usize, word))
    }
}

fn range_end(begin: i64, last: i16, limit: i16, argc: i64) -> i64 {
    match (last, limit) {
        (0.., _) => begin + last as i64,
        (_, 0 | 1) => argc + last as i64,
        _ => begin + (argc - begin) / limit as i64 + last as i64,
    }
}

/// Extra ACL categories: those that do not follow from flags and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Categories(pub u32);

impl Categories {
    pub const NONE: Categories = Categories(0);
    pub const KEYSPACE: Categories = Categories(1 << 0);
    pub const READ: Categories = Categories(1 << 1);
    pub const WRITE: Categories = Categories(1 << 2);
    pub const SET: Categories = Categories(1 << 3);
    pub const SORTEDSET: Categories = Categories(1 << 4);
    pub const LIST: Categories = Categories(1 << 5);
    pub const HASH: Categories = Categories(1 << 6);
    pub const STRING: Categories = Categories(1 << 7);
    pub const BITMAP: Categories = Categories(1 << 8);
    pub const HYPERLOGLOG: Categories = Categories(1 << 9);
    pub const GEO: Categories = Categories(1 << 10);
    pub const STREAM: Categories = Categories(1 << 11);
    pub const PUBSUB: Categories = Categories(1 << 12);
    pub const ADMIN: Categories = Categories(1 << 13);
    pub const FAST: Categories = Categories(1 << 14);
    pub const SLOW: Categories = Categories(1 << 15);
    pub const BLOCKING: Categories = Categories(1 << 16);
    pub const DANGEROUS: Categories = Categories(1 << 17);
    pub const CONNECTION: Categories = Categories(1 << 18);
    pub const TRANSACTION: Categories = Categories(1 << 19);
    pub const SCRIPTING: Categories = Categories(1 << 20);

    /// In the order of the bits.
    pub const NAMES: [&'static str; 21] = [
        "keyspace",
        "read",
        "write",
        "set",
        "sortedset",
        "list",
        "hash",
        "string",
        "bitmap",
        "hyperloglog",
        "geo",
        "stream",
        "pubsub",
        "admin",
        "fast",
        "slow",
        "blocking",
        "dangerous",
        "connection",
        "transaction",
        "scripting",
    ];

    pub const fn or(self, other: Categories) -> Categories {
        Categories(self.0 | other.0)
    }

    pub const fn has(self, other: Categories) -> bool {
        self.0 & other.0 != 0
    }

    /// The names of the set bits.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        (0..21).filter(move |bit| self.0 & (1 << bit) != 0).map(|bit| Categories::NAMES[bit])
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Lower case; a subcommand is `container|name`.
    pub name: &'static str,
    /// Arguments, the name included; negative: at least that many.
    pub arity: i16,
    pub flags: Flags,
    pub keys: &'static [KeySpec],
    /// ACL categories beyond those that follow from flags and group.
    pub acl: Categories,
    pub group: Group,
    pub since: &'static str,
    pub complexity: &'static str,
    pub summary: &'static str,
    /// The arguments as the manual writes them; the argument tree of COMMAND DOCS is parsed from it.
    pub syntax: &'static str,
    /// Hints for clients, `request_policy:all_nodes` and the like.
    pub tips: &'static [&'static str],
    /// Releases that changed it, with what they changed.
    pub history: &'static [(&'static str, &'static str)],
    /// Since when it is deprecated, and what to call instead.
    pub deprecated: Option<(&'static str, &'static str)>,
}

impl Spec {
    pub const BASE: Spec = Spec {
        name: "",
        arity: 0,
        flags: Flags::NONE,
        keys: &[],
        acl: Categories::NONE,
        group: Group::Generic,
        since: "1.0.0",
        complexity: "",
        summary: "",
        syntax: "",
        tips: &[],
        history: &[],
        deprecated: None,
    };

    /// A container's HELP, less its name and since when.
    pub const HELP: Spec = Spec {
        arity: 2,
        flags: LOADING.or(STALE),
        complexity: "O(1)",
        summary: "Lists the subcommands.",
        ..Spec::BASE
    };

    /// The name without its container: `set` of `config|set`.
    pub fn short_name(&self) -> &'static str {
        self.name.rsplit('|').next().unwrap_or(self.name)
    }

    #[inline]
    pub fn arity_fits(&self, argc: usize) -> bool {
        if self.arity >= 0 { argc == self.arity as usize } else { argc >= self.arity.unsigned_abs() as usize }
    }

    /// All ACL categories: what flags and group imply, and the row's own.
    pub fn categories(&self) -> Categories {
        let mut set = self.acl;
        let implied = [
            (WRITE, Categories::WRITE),
            (READONLY, if self.group == Group::Scripting { Categories::NONE } else { Categories::READ }),
            (ADMIN, Categories::ADMIN.or(Categories::DANGEROUS)),
            (PUBSUB, Categories::PUBSUB),
            (FAST, Categories::FAST),
            (BLOCKING, Categories::BLOCKING),
        ];
        for (flag, category) in implied {
            if self.flags.has(flag) {
                set = set.or(category);
            }
        }
        if !set.has(Categories::FAST) {
            set = set.or(Categories::SLOW);
        }
        set
    }

    /// The legacy triple of COMMAND: first key, last key, step; zeros when there is none. `shard_channels`: they count
    /// as keys, as COMMAND has it.
    pub fn key_range(&self, shard_channels: bool) -> (i64, i64, i64) {
        let spans = self.keys.iter().filter(|k| shard_channels || !k.flags.has(KeyFlags::NOT_KEY));
        let mut range: Option<(i64, i64, i64)> = None;
        for key in spans {
            let (Begin::Index(first), Find::Range { last, step, .. }) = (key.begin, key.find) else {
                continue;
            };
            let (first, last, step) = (first as i64, last as i64, step as i64);
            let last = if last < 0 { last } else { first + last };
            range = Some(match range {
                None => (first, last, step),
                // Keys side by side read as one range, as SMOVE's two and BITOP's target and sources do.
                Some((f, l, s)) if l >= 0 && first == l + 1 => (f, last, s),
                Some(r) => r,
            });
        }
        range.unwrap_or((0, 0, 0))
    }
}
