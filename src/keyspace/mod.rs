//! The keyspace: what an RDB file saves. Typed access to keys, expiry, access times.
//!
//! *Duty:* every lookup and every change of a key goes through here, so that expiry, access bits, hit counts and
//! deadlines are right whoever asks. *Does not know:* clients, files, sockets; what follows from a change is told
//! through [`Effects`](crate::call::Effects).
//! *Invariants:* every change happens inside a [`Call`]. A key that is overdue is never seen; looking at it takes it
//! out, with the `DEL` and the event that belong to it.
//! *Reading order:* `entry` (bytes), `entries` (ownership), `db` (deadlines), this file (rules), `typing` (collections).
//! *Counterpart in C Redis:* `db.c`, `expire.c`.

pub mod access;
pub mod db;
pub mod entries;
pub mod entry;
pub mod evict;
pub mod typing;

pub use access::AccessClock;
pub use db::{Db, Expire, Lapsed, Live, Met, Overdue, Place};
pub use entries::{Entries, EntryMut};
pub use entry::{EntryRef, New, Taken, View};
pub use typing::Typing;

use crate::base::hash::HashSeed;
use crate::base::millis::Millis;
use crate::base::num;
use crate::base::rng::Rng;
use crate::call::{Call, Class, CmdError, DbId, Effects, Event, Garbage, Origin};
use crate::value::{Limits, Typed};

/// What the keyspace is told of the configuration and of the server's role.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `lazyfree-lazy-user-del`: DEL does as UNLINK does.
    pub lazy_user_del: bool,
    /// `lazyfree-lazy-server-del`: values are freed on the background thread when a command replaces them.
    pub lazy_server_del: bool,
    /// `lazyfree-lazy-expire`: the same for expired keys, which are propagated as UNLINK.
    pub lazy_expire: bool,
    /// `rdbcompression`: DUMP compresses long strings.
    pub compress_dumps: bool,
    /// An overdue key is hidden but stays until the master says DEL.
    pub hide_expired: bool,
    /// Access bits stay as they are (a child shares the memory).
    pub freeze_access: bool,
    /// `proto-max-bulk-len`: no string grows beyond it, bytes.
    pub max_string: u64,
    /// Integers below this are reported as shared (OBJECT REFCOUNT), as the reference shares them.
    pub shared_integers: i64,
    /// `cluster-enabled`: there is one database only.
    pub cluster: bool,
    /// `active-expire`: DEBUG SET-ACTIVE-EXPIRE switches it.
    pub active_expire: bool,
    /// Checksums of files and payloads count: DEBUG SET-SKIP-CHECKSUM-VALIDATION switches it.
    pub checksums: bool,
    /// Up to where collections keep their small forms.
    pub limits: Limits,
}

/// How many small integers the reference shares.
pub const SHARED_INTEGERS: i64 = 10_000;

impl Settings {
    fn new(seed: HashSeed) -> Settings {
        Settings {
            lazy_user_del: false,
            lazy_server_del: false,
            lazy_expire: false,
            compress_dumps: true,
            hide_expired: false,
            freeze_access: false,
            max_string: 512 << 20,
            shared_integers: SHARED_INTEGERS,
            cluster: false,
            active_expire: true,
            checksums: true,
            limits: Limits::new(seed),
        }
    }
}

/// How long a key will be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    Gone,
    ForNow,
    ForEver,
}

pub struct Keyspace {
    pub dbs: Vec<Db>,
    pub access: AccessClock,
    pub settings: Settings,
    pub rng: Rng,
    /// See [`typing`].
    scratch: Vec<u8>,
}

/// What takes more than so many frees is freed on the background thread: where lazy freeing is asked for, and where it
/// is not, since nothing may stop the loop for longer than about a millisecond.
const LAZY_EFFORT: usize = 64;
const PROMPT_EFFORT: usize = 16 * 1024;
/// The same for buffers, in bytes.
const LAZY_BYTES: usize = 256 * 1024;
/// Databases with more keys are never freed in the loop.
const PROMPT_KEYS: usize = 4096;
const PROMPT_BYTES: usize = 64 * 1024 * 1024;

pub mod event {
    //! Events that more than one command family raises.
    use super::{Class, Event};

    pub const DEL: Event = Event::new(Class::GENERIC, "del");
    pub const EXPIRED: Event = Event::new(Class::EXPIRED, "expired");
    pub const EXPIRE: Event = Event::new(Class::GENERIC, "expire");
    pub const PERSIST: Event = Event::new(Class::GENERIC, "persist");
    /// Fields of a hash expired.
    pub const FIELD_EXPIRED: Event = Event::new(Class::HASH, "hexpired");
    pub const KEY_MISS: Event = Event::new(Class::KEY_MISS, "keymiss");
    pub const NEW: Event = Event::new(Class::NEW, "new");
}

impl Keyspace {
    pub fn new(databases: usize, seed: u64) -> Keyspace {
        let hash_seed = HashSeed::new(seed);
        Keyspace {
            dbs: (0..databases).map(|_| Db::new(hash_seed)).collect(),
            access: AccessClock::new(),
            settings: Settings::new(hash_seed),
            rng: Rng::new(seed ^ 0x9e37_79b9_7f4a_7c15),
            scratch: Vec::new(),
        }
    }

    #[inline]
    pub fn db(&self, id: DbId) -> &Db {
        &self.dbs[id.0 as usize]
    }

    #[inline]
    pub fn db_mut(&mut self, id: DbId) -> &mut Db {
        &mut self.dbs[id.0 as usize]
    }

    /// Looks a key up to read it: counts the hit or miss, takes an overdue key out, marks the use.
    // One function from here to the bucket: what it finds fits a register, what the steps between hand on does not.
    #[inline(never)]
    pub fn read(&mut self, key: &[u8], call: &mut Call<'_>) -> Option<EntryRef<'_>> {
        match self.lookup(call.db(), key, call, true) {
            Some(entry) => {
                call.fx.counts.hits += 1;
                Some(entry.into_entry())
            }
            None => {
                call.fx.counts.misses += 1;
                call.notify(key, event::KEY_MISS);
                None
            }
        }
    }

    /// Looks a key up to change it: no hit or miss is counted.
    pub fn write(&mut self, key: &[u8], call: &mut Call<'_>) -> Option<EntryMut<'_>> {
        self.lookup(call.db(), key, call, true)
    }

    /// Looks a key up without marking a use or counting anything (OBJECT, TTL, EXISTS on behalf of the server).
    pub fn inspect(&mut self, key: &[u8], call: &mut Call<'_>) -> Option<EntryRef<'_>> {
        self.lookup(call.db(), key, call, false).map(EntryMut::into_entry)
    }

    pub fn inspect_in(&mut self, db: DbId, key: &[u8], call: &mut Call<'_>) -> Option<EntryRef<'_>> {
        self.lookup(db, key, call, false).map(EntryMut::into_entry)
    }

    #[inline(always)]
    fn lookup(&mut self, db: DbId, key: &[u8], call: &mut Call<'_>, mark: bool) -> Option<EntryMut<'_>> {
        let Keyspace { dbs, access, settings, rng, .. } = self;
        let dbs = &mut dbs[db.0 as usize];
        if settings.hide_expired && !obeys(call) {
            return hidden(dbs, key, call.now);
        }
        let now = if obeys(call) { Millis(i64::MIN) } else { call.now };
        match dbs.live(hash_of(dbs, key, call), key, now) {
            Live::Absent => None,
            Live::Present(mut entry) => {
                if mark {
                    mark_use(&mut entry, access, settings, rng, call);
                }
                Some(entry)
            }
            Live::Expired(taken) => {
                discard(taken, settings.lazy_expire, call.fx);
                tell_expired(settings.lazy_expire, db, key, call.fx);
                None
            }
        }
    }

    /// The value of `key` as a `T`, or `WRONGTYPE`.
    #[inline]
    pub fn read_typed<T: Typed>(&mut self, key: &[u8], call: &mut Call<'_>) -> Result<Option<T::Ref<'_>>, CmdError> {
        match self.read(key, call).map(EntryRef::view) {
            None => Ok(None),
            Some(View::Object(value)) => T::of(value).map(Some).ok_or(CmdError::WrongType),
            Some(_) => Err(CmdError::WrongType),
        }
    }

    /// The value of `key` as a `T` to be changed, or `WRONGTYPE`.
    // This and its like are inlined, so that a loan, which is large, is made where it is used.
    #[inline(always)]
    pub fn write_typed<'k, T: Typed>(
        &'k mut self,
        key: &'k [u8],
        call: &mut Call<'_>,
    ) -> Result<Option<Typing<'k, T>>, CmdError> {
        let (place, scratch, _) = self.place(key, call);
        match place.entry() {
            None => Ok(None),
            Some(_) => Typing::there(place, key, scratch).map(Some).ok_or(CmdError::WrongType),
        }
    }

    /// As [`Keyspace::write_typed`]; for a key that is not there `T`'s empty value is lent, and the key is made when
    /// the loan ends, if something is in it then. Raises `new` for such a key.
    #[inline(always)]
    pub fn write_or_create<'k, T: Typed + Default>(
        &'k mut self,
        key: &'k [u8],
        call: &mut Call<'_>,
    ) -> Result<Typing<'k, T>, CmdError> {
        let (place, scratch, access) = self.place(key, call);
        match place.entry() {
            Some(_) => Typing::there(place, key, scratch).ok_or(CmdError::WrongType),
            None => {
                call.notify(key, event::NEW);
                Ok(Typing::new(place, key, access, T::default(), scratch))
            }
        }
    }

    /// The place of `key` in the selected database, with what [`Typing`] needs besides; the bits are for a new key.
    #[inline(always)]
    fn place<'k>(&'k mut self, key: &[u8], call: &mut Call<'_>) -> (Place<'k>, &'k mut Vec<u8>, u32) {
        let Keyspace { dbs, access, settings, rng, scratch } = self;
        let db = call.db();
        let now = if obeys(call) { Millis(i64::MIN) } else { call.now };
        let db = &mut dbs[db.0 as usize];
        let (mut place, taken) = db.place(hash_of(db, key, call), key, now, call.now);
        if let Some(taken) = taken {
            discard(taken, settings.lazy_expire, call.fx);
            // A replica that may be written to forgets an overdue key without a word: its master will say DEL.
            if !settings.hide_expired {
                tell_expired(settings.lazy_expire, call.db(), key, call.fx);
            }
        }
        if let db::Spot::There(entry) = &mut place.spot {
            mark_use(entry, access, settings, rng, call);
        }
        (place, scratch, access.fresh())
    }

    /// Sets a key's value, making the key if it is not there. The caller raises the events.
    #[inline]
    pub fn put(&mut self, key: &[u8], value: New<'_>, expire: Expire, call: &mut Call<'_>) {
        self.put_in(call.db(), key, value, expire, call);
    }

    pub fn put_in(&mut self, db: DbId, key: &[u8], value: New<'_>, expire: Expire, call: &mut Call<'_>) {
        let access = self.access.fresh();
        if let Some(taken) = self.dbs[db.0 as usize].put(key, value, expire, access, call.now) {
            discard(taken, self.settings.lazy_server_del, call.fx);
        }
    }

    /// Sets a key's value as SET does, in one lookup: an overdue key in its place expires first, a key that was not
    /// there raises `new`, and one that was counts a use. The caller raises the event of the change itself.
    #[inline]
    pub fn set(&mut self, key: &[u8], value: New<'_>, expire: Expire, call: &mut Call<'_>) {
        // An overdue key has no deadline to keep.
        let lost = expire == Expire::Keep && self.lookup(call.db(), key, call, false).is_none();
        let expire = if lost { Expire::Clear } else { expire };
        let Keyspace { dbs, access, settings, rng, .. } = self;
        let frozen = settings.freeze_access;
        let bits = |old: Option<u32>| match old {
            Some(bits) if access.lfu => {
                if frozen {
                    bits
                } else {
                    access.used(bits, rng)
                }
            }
            _ => access.fresh(),
        };
        let db = &mut dbs[call.db().0 as usize];
        match db.set(hash_of(db, key, call), key, value, expire, bits, call.now) {
            Met::Live(taken) => discard(taken, settings.lazy_server_del, call.fx),
            Met::Overdue(taken) if obeys(call) => discard(taken, settings.lazy_expire, call.fx),
            Met::Nothing => call.notify(key, event::NEW),
            Met::Overdue(taken) => {
                discard(taken, settings.lazy_expire, call.fx);
                if !settings.hide_expired {
                    tell_expired(settings.lazy_expire, call.db(), key, call.fx);
                }
                call.notify(key, event::NEW);
            }
        }
    }

    /// Takes a key out. `true`: it was there (and not overdue). The caller raises the events.
    pub fn delete(&mut self, key: &[u8], call: &mut Call<'_>) -> bool {
        self.delete_in(call.db(), key, call)
    }

    pub fn delete_in(&mut self, db: DbId, key: &[u8], call: &mut Call<'_>) -> bool {
        self.delete_freeing(db, key, self.settings.lazy_server_del, call)
    }

    /// As [`Keyspace::delete_in`], where another setting says whether the value is freed lazily.
    pub fn delete_freeing(&mut self, db: DbId, key: &[u8], lazy: bool, call: &mut Call<'_>) -> bool {
        let Some(taken) = self.there(db, key, call, false).and_then(|mut place| place.take()) else { return false };
        discard(taken, lazy, call.fx);
        true
    }

    /// Sets or clears a key's deadline. The caller raises the events.
    pub fn set_deadline(&mut self, key: &[u8], deadline: Option<Millis>, call: &mut Call<'_>) -> bool {
        self.dbs[call.db().0 as usize].set_deadline(key, deadline, call.now)
    }

    /// The place of a key that is there, to change its deadline or to take it out: a use, as with [`Keyspace::write`].
    pub fn write_place(&mut self, key: &[u8], call: &mut Call<'_>) -> Option<Place<'_>> {
        self.there(call.db(), key, call, true)
    }

    /// As [`Keyspace::lookup`], with what it takes to change more than the value.
    fn there(&mut self, db: DbId, key: &[u8], call: &mut Call<'_>, mark: bool) -> Option<Place<'_>> {
        let Keyspace { dbs, access, settings, rng, .. } = self;
        let id = db;
        let db = &mut dbs[id.0 as usize];
        let hides = settings.hide_expired && !obeys(call);
        let deadline = if hides || obeys(call) { Millis(i64::MIN) } else { call.now };
        let (mut place, taken) = db.place(hash_of(db, key, call), key, deadline, call.now);
        if let Some(taken) = taken {
            discard(taken, settings.lazy_expire, call.fx);
            tell_expired(settings.lazy_expire, id, key, call.fx);
        }
        let db::Spot::There(entry) = &mut place.spot else { return None };
        if hides && entry.entry().is_expired(call.now) {
            return None;
        }
        if mark {
            mark_use(entry, access, settings, rng, call);
        }
        Some(place)
    }

    /// Takes a key out if its time is over, whoever keeps it.
    pub fn expire_one(&mut self, db: DbId, key: &[u8], now: Millis, fx: &mut Effects) -> Lasting {
        let lazy = self.settings.lazy_expire;
        let db_of = &mut self.dbs[db.0 as usize];
        match db_of.live(db_of.entries.hash(key), key, now) {
            Live::Absent => Lasting::Gone,
            Live::Present(entry) if entry.entry().expires_at().is_some() => Lasting::ForNow,
            Live::Present(_) => Lasting::ForEver,
            Live::Expired(taken) => {
                discard(taken, lazy, fx);
                tell_expired(lazy, db, key, fx);
                Lasting::Gone
            }
        }
    }

    /// Whether active expiry has anything to look at.
    pub fn may_expire(&self) -> bool {
        let any = || self.dbs.iter().any(|db| db.volatile() > 0 || !db.wheel_is_empty());
        self.settings.active_expire && !self.settings.hide_expired && any()
    }

    /// One slice of active expiry over all databases. `true`: there is more to do at once.
    pub fn expire_slice(&mut self, now: Millis, budget: usize, fx: &mut Effects) -> bool {
        if self.settings.hide_expired || !self.settings.active_expire {
            return false;
        }
        let mut more = false;
        for (i, db) in self.dbs.iter_mut().enumerate() {
            if db.volatile() == 0 && db.wheel_is_empty() {
                continue;
            }
            let id = DbId(i as u32);
            more |= db.expire_some(now, budget, |overdue| match overdue {
                Overdue::Key(entry) => tell_expired(self.settings.lazy_expire, id, entry.key(), fx),
                Overdue::Value(taken) => discard(taken, self.settings.lazy_expire, fx),
            });
            more |= db.expire_fields(now, budget, |lapsed| match lapsed {
                Lapsed::Field(key, field) => {
                    fx.counts.expired_fields += 1;
                    fx.also(id, &[b"HDEL", key, field]);
                }
                Lapsed::Hash(key) => {
                    fx.notify(id, event::FIELD_EXPIRED, key);
                    fx.touch(id, key);
                }
                Lapsed::Key(key) => fx.notify(id, event::DEL, key),
                Lapsed::Value(taken) => discard(taken, self.settings.lazy_expire, fx),
            });
        }
        more
    }

    /// The time by which the fields of hashes are overdue for this caller: never for who repeats what happened
    /// elsewhere or before.
    #[inline]
    pub fn field_clock(call: &Call<'_>) -> Millis {
        if obeys(call) { Millis(i64::MIN) } else { call.now }
    }

    /// Empties databases. What was in them goes to the background thread, unless it is little and freeing lazily was
    /// not asked for. Returns the number of keys removed.
    pub fn flush(&mut self, which: std::ops::Range<usize>, lazy: bool, fx: &mut Effects) -> u64 {
        let mut removed = 0;
        for db in self.dbs[which].iter_mut().filter(|db| !db.is_empty() || !db.wheel_is_empty()) {
            let gone = db.take();
            removed += gone.len() as u64;
            if !lazy && gone.len() <= PROMPT_KEYS && !gone.entries.needs_walk() {
                continue;
            }
            let bytes = gone.entries.held_bytes() + gone.wheel_bytes();
            fx.garbage.push(Garbage { objects: gone.len(), bytes, what: Box::new(gone) });
        }
        removed
    }

    pub fn total_keys(&self) -> usize {
        self.dbs.iter().map(Db::len).sum()
    }

    /// Tells all tables to put off growing and shrinking, and keys to keep their access bits, while a child lives.
    pub fn spare_shared_memory(&mut self, spare: bool) {
        self.settings.freeze_access = spare;
        self.dbs.iter_mut().for_each(|db| db.entries.hold_back_resize(spare));
    }

    /// Arena bytes that hold nothing at the moment: to be taken off the allocator's count of used memory.
    pub fn spare_bytes(&self) -> usize {
        self.dbs.iter().map(|db| db.entries.spare_bytes()).sum()
    }
}

/// A string on its way in: an integer if its text is exactly how an integer prints.
#[inline]
pub fn string(bytes: &[u8]) -> New<'_> {
    match bytes.first() {
        Some(b'0'..=b'9' | b'-') if bytes.len() <= 20 => match num::parse_i64(bytes) {
            Some(i) => New::Int(i),
            None => New::Bytes(bytes),
        },
        _ => New::Bytes(bytes),
    }
}

/// The hash of a key, which came with the request perhaps.
#[inline(always)]
fn hash_of(db: &Db, key: &[u8], call: &Call<'_>) -> u64 {
    let hash = call.args.hash_of(key).unwrap_or_else(|| db.entries.hash(key));
    debug_assert_eq!(hash, db.entries.hash(key));
    hash
}

/// The caller repeats what happened elsewhere or before. A key that was there then is there now, overdue or not: its
/// end comes in the same stream.
fn obeys(call: &Call<'_>) -> bool {
    matches!(call.caller.origin, Origin::Master | Origin::Aof)
}

#[inline]
fn mark_use(entry: &mut EntryMut<'_>, clock: &AccessClock, settings: &Settings, rng: &mut Rng, call: &Call<'_>) {
    if settings.freeze_access || call.caller.no_touch {
        return;
    }
    let old = entry.entry().access();
    let new = clock.used(old, rng);
    if new != old {
        entry.set_access(new);
    }
}

fn hidden<'a>(db: &'a mut Db, key: &[u8], now: Millis) -> Option<EntryMut<'a>> {
    let hash = db.entries.hash(key);
    db.entries.get_mut(hash, key).filter(|e| !e.entry().is_expired(now))
}

/// What follows from a key's expiry, whoever found it: the operation, the event, the count.
fn tell_expired(lazy: bool, db: DbId, key: &[u8], fx: &mut Effects) {
    fx.counts.expired += 1;
    fx.also(db, &[if lazy { b"UNLINK".as_slice() } else { b"DEL" }, key]);
    fx.notify(db, event::EXPIRED, key);
    fx.touch_expired(db, key);
}

/// Frees what an entry owned: here if that is quick, else on the background thread. `lazy`: whether the setting that
/// belongs to the occasion asks for the latter where there is a choice.
#[inline]
pub fn discard(taken: Taken, lazy: bool, fx: &mut Effects) {
    if !matches!(taken, Taken::Plain) {
        discard_owned(taken, lazy, fx);
    }
}

fn discard_owned(taken: Taken, lazy: bool, fx: &mut Effects) {
    let (effort, bytes) = if lazy { (LAZY_EFFORT, LAZY_BYTES) } else { (PROMPT_EFFORT, PROMPT_BYTES) };
    match taken {
        Taken::Plain => {}
        Taken::Buffer(buffer) if buffer.capacity() < bytes => drop(buffer),
        Taken::Buffer(buffer) => {
            fx.garbage.push(Garbage { objects: 1, bytes: buffer.capacity(), what: Box::new(buffer) });
        }
        Taken::Object(object) if object.free_effort() <= effort => drop(object),
        Taken::Object(object) => fx.garbage.push(Garbage { objects: 1, bytes: object.memory(), what: object }),
    }
}
