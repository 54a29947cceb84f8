//! The types that configuration values have: enumerations, bit sets and small records.
//!
//! *Duty:* a type for every value that is more than a number or a text, with the names Redis gives it.
//! *Does not know:* which directive holds it; that is the table's business.
//! *Invariants:* [`Choice::NAMES`] lists the names in the order in which Redis' error text lists them; where two
//! names mean one value, the first is the one that is printed.
//! *Counterpart in C Redis:* `configEnum`, `struct saveparam`, `clientBufferLimitsConfig`, `NOTIFY_*`.

/// A value out of a closed list of names.
pub trait Choice: Copy + PartialEq + Sized + 'static {
    const NAMES: &'static [(&'static str, Self)];

    /// The value called `name`, in any case.
    fn parse(name: &[u8]) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name))?;
        Some(found.1)
    }

    /// What CONFIG GET prints.
    fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, value)| *value == self);
        found.expect("every value of a choice has a name").0
    }

    /// All names, for an error text; `_value` only says which list is meant.
    fn names_like(_value: Self) -> Vec<&'static str> {
        Self::NAMES.iter().map(|(name, _)| *name).collect()
    }
}

/// One [`Choice`] implementation from its list of names.
macro_rules! choice {
    ($type:ident: $($name:literal => $value:ident),+ $(,)?) => {
        impl Choice for $type {
            const NAMES: &'static [(&'static str, $type)] = &[$(($name, $type::$value)),+];
        }
    };
}

/// `maxmemory-policy`: which keys go when memory is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxmemoryPolicy {
    VolatileLru,
    VolatileLfu,
    VolatileRandom,
    VolatileTtl,
    AllkeysLru,
    AllkeysLfu,
    AllkeysRandom,
    Noeviction,
}
choice!(MaxmemoryPolicy: "volatile-lru" => VolatileLru, "volatile-lfu" => VolatileLfu,
    "volatile-random" => VolatileRandom, "volatile-ttl" => VolatileTtl, "allkeys-lru" => AllkeysLru,
    "allkeys-lfu" => AllkeysLfu, "allkeys-random" => AllkeysRandom, "noeviction" => Noeviction);

impl MaxmemoryPolicy {
    /// Whether the counter of hits is kept instead of the time of the last access.
    pub fn is_lfu(self) -> bool {
        matches!(self, MaxmemoryPolicy::VolatileLfu | MaxmemoryPolicy::AllkeysLfu)
    }

    /// Whether idle time decides.
    pub fn is_lru(self) -> bool {
        matches!(self, MaxmemoryPolicy::VolatileLru | MaxmemoryPolicy::AllkeysLru)
    }
}

/// `loglevel`, from the most to the least talkative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Debug,
    Verbose,
    Notice,
    Warning,
}
choice!(LogLevel: "debug" => Debug, "verbose" => Verbose, "notice" => Notice, "warning" => Warning);

/// `supervised`: which service manager is told about the state of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervised {
    Upstart,
    Systemd,
    Auto,
    No,
}
choice!(Supervised: "upstart" => Upstart, "systemd" => Systemd, "auto" => Auto, "no" => No);

/// `appendfsync`: when the append only file is forced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendFsync {
    Everysec,
    Always,
    No,
}
choice!(AppendFsync: "everysec" => Everysec, "always" => Always, "no" => No);

/// `syslog-facility`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyslogFacility {
    User,
    Local0,
    Local1,
    Local2,
    Local3,
    Local4,
    Local5,
    Local6,
    Local7,
}
choice!(SyslogFacility: "user" => User, "local0" => Local0, "local1" => Local1, "local2" => Local2,
    "local3" => Local3, "local4" => Local4, "local5" => Local5, "local6" => Local6, "local7" => Local7);

/// `repl-diskless-load`: whether a replica reads the master's data set straight from the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplDisklessLoad {
    Disabled,
    OnEmptyDb,
    Swapdb,
}
choice!(ReplDisklessLoad: "disabled" => Disabled, "on-empty-db" => OnEmptyDb, "swapdb" => Swapdb);

/// `tls-auth-clients`: whether clients must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsAuthClients {
    No,
    Yes,
    Optional,
}
choice!(TlsAuthClients: "no" => No, "yes" => Yes, "optional" => Optional);

/// `oom-score-adj`: whether and how the kernel's choice of a victim is steered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OomScoreAdj {
    No,
    Relative,
    Absolute,
}
choice!(OomScoreAdj: "no" => No, "yes" => Relative, "relative" => Relative, "absolute" => Absolute);

/// `acl-pubsub-default`: which channels a new user may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AclPubsubDefault {
    Allchannels,
    Resetchannels,
}
choice!(AclPubsubDefault: "allchannels" => Allchannels, "resetchannels" => Resetchannels);

/// `sanitize-dump-payload`: whose RESTORE payloads and RDB files are checked in depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SanitizeDumpPayload {
    No,
    Yes,
    Clients,
}
choice!(SanitizeDumpPayload: "no" => No, "yes" => Yes, "clients" => Clients);

/// `enable-debug-command` and its kin: who may do something dangerous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtectedAction {
    No,
    Yes,
    Local,
}
choice!(ProtectedAction: "no" => No, "yes" => Yes, "local" => Local);

impl ProtectedAction {
    /// Whether a client may; `local` is a client on this machine.
    pub fn allows(self, client: Locality) -> bool {
        self == ProtectedAction::Yes || (self == ProtectedAction::Local && client == Locality::Local)
    }
}

/// Where a client connects from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locality {
    /// The loopback address or the Unix socket.
    Local,
    Remote,
}

/// `cluster-preferred-endpoint-type`: what a redirection names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterEndpointType {
    Ip,
    Hostname,
    UnknownEndpoint,
}
choice!(ClusterEndpointType: "ip" => Ip, "hostname" => Hostname, "unknown-endpoint" => UnknownEndpoint);

/// `propagation-error-behavior`: what happens when a propagated command fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropagationErrorBehavior {
    Ignore,
    Panic,
    PanicOnReplicas,
}
choice!(PropagationErrorBehavior: "ignore" => Ignore, "panic" => Panic, "panic-on-replicas" => PanicOnReplicas);

/// `config-obsolete`: what happens to a directive that no release uses any more. Ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigObsolete {
    Refuse,
    Warn,
    Silent,
}
choice!(ConfigObsolete: "refuse" => Refuse, "warn" => Warn, "silent" => Silent);

/// One save point: a snapshot after `seconds` when at least `changes` keys have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavePoint {
    pub seconds: u64,
    pub changes: u64,
}

/// One class' row of `client-output-buffer-limit`; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    pub hard: u64,
    pub soft: u64,
    pub soft_seconds: u64,
}

/// The client classes with an output limit; their order is that of [`OutputLimit`] rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientClass {
    Normal,
    Replica,
    Pubsub,
}

impl ClientClass {
    pub const ALL: [ClientClass; 3] = [ClientClass::Normal, ClientClass::Replica, ClientClass::Pubsub];

    /// The index of the class' row.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The name that is printed.
    pub fn name(self) -> &'static str {
        ["normal", "slave", "pubsub"][self.index()]
    }

    /// The class called `name`. `master` is a class too, but has no limit.
    pub fn parse(name: &[u8]) -> Option<ClientClass> {
        if name.eq_ignore_ascii_case(b"replica") {
            return Some(ClientClass::Replica);
        }
        ClientClass::ALL.into_iter().find(|class| class.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// The master that `replicaof` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterAddr {
    pub host: String,
    pub port: u16,
}

/// `notify-keyspace-events`: the classes of event that are published, and on which channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotifyFlags(u16);

impl NotifyFlags {
    pub const NONE: NotifyFlags = NotifyFlags(0);
    pub const KEYSPACE: NotifyFlags = NotifyFlags(1 << 0);
    pub const KEYEVENT: NotifyFlags = NotifyFlags(1 << 1);
    pub const GENERIC: NotifyFlags = NotifyFlags(1 << 2);
    pub const STRING: NotifyFlags = NotifyFlags(1 << 3);
    pub const LIST: NotifyFlags = NotifyFlags(1 << 4);
    pub const SET: NotifyFlags = NotifyFlags(1 << 5);
    pub const HASH: NotifyFlags = NotifyFlags(1 << 6);
    pub const ZSET: NotifyFlags = NotifyFlags(1 << 7);
    pub const EXPIRED: NotifyFlags = NotifyFlags(1 << 8);
    pub const EVICTED: NotifyFlags = NotifyFlags(1 << 9);
    pub const STREAM: NotifyFlags = NotifyFlags(1 << 10);
    /// A lookup that found nothing; not part of [`NotifyFlags::ALL`].
    pub const KEY_MISS: NotifyFlags = NotifyFlags(1 << 11);
    pub const MODULE: NotifyFlags = NotifyFlags(1 << 13);
    /// A key that did not exist before; not part of [`NotifyFlags::ALL`].
    pub const NEW: NotifyFlags = NotifyFlags(1 << 14);
    /// What the letter `A` stands for.
    pub const ALL: NotifyFlags = NotifyFlags(0b0010_0111_1111_1100);

    /// The letters in the order in which they are printed, `A` and its members apart from the rest.
    const MEMBERS: [(u8, NotifyFlags); 11] = [
        (b'g', NotifyFlags::GENERIC),
        (b'$', NotifyFlags::STRING),
        (b'l', NotifyFlags::LIST),
        (b's', NotifyFlags::SET),
        (b'h', NotifyFlags::HASH),
        (b'z', NotifyFlags::ZSET),
        (b'x', NotifyFlags::EXPIRED),
        (b'e', NotifyFlags::EVICTED),
        (b't', NotifyFlags::STREAM),
        (b'd', NotifyFlags::MODULE),
        (b'n', NotifyFlags::NEW),
    ];
    const OTHERS: [(u8, NotifyFlags); 3] =
        [(b'K', NotifyFlags::KEYSPACE), (b'E', NotifyFlags::KEYEVENT), (b'm', NotifyFlags::KEY_MISS)];

    pub fn contains(self, other: NotifyFlags) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn intersects(self, other: NotifyFlags) -> bool {
        self.0 & other.0 != 0
    }

    pub fn with(self, other: NotifyFlags) -> NotifyFlags {
        NotifyFlags(self.0 | other.0)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set that `letters` spell; `None` when one of them names no class.
    pub fn parse(letters: &[u8]) -> Option<NotifyFlags> {
        letters.iter().try_fold(NotifyFlags::NONE, |flags, &letter| {
            if letter == b'A' {
                return Some(flags.with(NotifyFlags::ALL));
            }
            let mut known = NotifyFlags::MEMBERS.iter().chain(&NotifyFlags::OTHERS);
            known.find(|(name, _)| *name == letter).map(|(_, flag)| flags.with(*flag))
        })
    }

    /// The letters that CONFIG GET prints.
    pub fn letters(self) -> String {
        let pick = |&(letter, flag): &(u8, NotifyFlags)| self.contains(flag).then_some(char::from(letter));
        // Quirk: `n` is not printed beside `A`, though `A` does not include it (`new_events_vanish_beside_all`).
        let mut text: String = if self.contains(NotifyFlags::ALL) {
            "A".to_owned()
        } else {
            NotifyFlags::MEMBERS.iter().filter_map(pick).collect()
        };
        text.extend(NotifyFlags::OTHERS.iter().filter_map(pick));
        text
    }
}

/// `shutdown-on-sigint`, `shutdown-on-sigterm`: what SHUTDOWN's options a signal stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownFlags {
    pub save: bool,
    pub nosave: bool,
    pub now: bool,
    pub force: bool,
}

impl ShutdownFlags {
    /// The accepted words in the order in which they are listed and printed.
    pub const NAMES: [&'static str; 5] = ["default", "save", "nosave", "now", "force"];

    /// The union of what `words` say; `None` for no word or an unknown one.
    pub fn parse<W: AsRef<[u8]>>(words: &[W]) -> Option<ShutdownFlags> {
        let mut flags = ShutdownFlags::default();
        for word in words {
            let known = |name: &&str| name.as_bytes().eq_ignore_ascii_case(word.as_ref());
            match *ShutdownFlags::NAMES.iter().find(|name| known(name))? {
                "save" => flags.save = true,
                "nosave" => flags.nosave = true,
                "now" => flags.now = true,
                "force" => flags.force = true,
                _ => {}
            }
        }
        (!words.is_empty()).then_some(flags)
    }

    /// What CONFIG GET prints.
    pub fn text(self) -> String {
        let set = [self.save, self.nosave, self.now, self.force];
        let words: Vec<&str> =
            ShutdownFlags::NAMES[1..].iter().zip(set).filter(|(_, on)| *on).map(|(n, _)| *n).collect();
        if words.is_empty() { ShutdownFlags::NAMES[0].to_owned() } else { words.join(" ") }
    }
}

/// Where a line of configuration stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The file's name, or what [`super::parse`] calls the other sources.
    pub source: String,
    /// Counted from 1; 0 when no line is meant.
    pub line: u32,
    /// The line itself, without surrounding blanks.
    pub text: String,
}

/// A line that configuration can only keep for the part of the server that understands it (`user`,
/// `rename-command`, `loadmodule`, `sentinel`, a module's own parameters): its words after the directive's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLine {
    pub words: Vec<Vec<u8>>,
    pub origin: Origin,
}
