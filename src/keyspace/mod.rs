//! The keyspace: what an RDB file saves. Typed access to keys, expiry, access times.
//!
//! *Duty:* every lookup and every change of a key goes through here, so that expiry, access bits, hit counts and
//! deadlines are right whoever asks. *Does not know:* clients, files, sockets; what follows from a change is told
//! through [`Effects`](crate::call::Effects).
//! *Invariants:* every change happens inside a [`Call`]. A key that is overdue is never seen; looking at it takes it
//! out, with the `DEL` and the event that belong to it.
//! *Reading order:* `entry` (bytes), `entries` (ownership), `db` (deadlines), this file (rules).
//! *Counterpart in C Redis:* `db.c`, `expire.c`.

pub mod access;
pub mod db;
pub mod entries;
pub mod entry;

pub use access::AccessClock;
pub use db::{Db, Expire, Live, Met, Overdue};
pub use entries::{Entries, EntryMut};
pub use entry::{EntryRef, New, Taken, View};

use crate::base::hash::HashSeed;
use crate::base::millis::Millis;
use crate::base::num;
use crate::base::rng::Rng;
use crate::call::{Call, Class, CmdError, DbId, Effects, Event, Origin};
use crate::value::{Typed, Value};

/// What the keyspace is told of the configuration and of the server's role.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `lazyfree-lazy-user-del`: DEL frees on the background thread.
    pub lazy_user_del: bool,
    /// `lazyfree-lazy-expire`: expired keys are propagated as UNLINK.
    pub lazy_expire: bool,
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
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            lazy_user_del: false,
            lazy_expire: false,
            hide_expired: false,
            freeze_access: false,
            max_string: 512 << 20,
            shared_integers: 10_000,
            cluster: false,
            active_expire: true,
        }
    }
}

pub struct Keyspace {
    pub dbs: Vec<Db>,
    pub access: AccessClock,
    pub settings: Settings,
    pub rng: Rng,
}

/// Values that take more than this many frees, or buffers of more bytes, are freed on the background thread.
const FREE_EFFORT: usize = 64;
const FREE_BYTES: usize = 256 * 1024;

pub mod event {
    //! Events that more than one command family raises.
    use super::{Class, Event};

    pub const DEL: Event = Event::new(Class::GENERIC, "del");
    pub const EXPIRED: Event = Event::new(Class::EXPIRED, "expired");
    pub const EXPIRE: Event = Event::new(Class::GENERIC, "expire");
    pub const PERSIST: Event = Event::new(Class::GENERIC, "persist");
    pub const KEY_MISS: Event = Event::new(Class::KEY_MISS, "keymiss");
    pub const NEW: Event = Event::new(Class::NEW, "new");
}

impl Keyspace {
    pub fn new(databases: usize, seed: u64) -> Keyspace {
        let hash_seed = HashSeed::new(seed);
        Keyspace {
            dbs: (0..databases).map(|_| Db::new(hash_seed.clone())).collect(),
            access: AccessClock::new(),
            settings: Settings::default(),
            rng: Rng::new(seed ^ 0x9e37_79b9_7f4a_7c15),
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
    #[inline]
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
    #[inline]
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

    #[inline]
    fn lookup(&mut self, db: DbId, key: &[u8], call: &mut Call<'_>, mark: bool) -> Option<EntryMut<'_>> {
        let Keyspace { dbs, access, settings, rng } = self;
        let dbs = &mut dbs[db.0 as usize];
        if settings.hide_expired && !obeys(call) {
            return hidden(dbs, key, call.now);
        }
        let now = if obeys(call) { Millis(i64::MIN) } else { call.now };
        match dbs.live(key, now) {
            Live::Absent => None,
            Live::Present(mut entry) => {
                if mark && !settings.freeze_access && !call.caller.no_touch {
                    let old = entry.entry().access();
                    let new = access.used(old, rng);
                    if new != old {
                        entry.set_access(new);
                    }
                }
                Some(entry)
            }
            Live::Expired(taken) => {
                discard(taken, call.fx);
                tell_expired(settings.lazy_expire, db, key, call.fx);
                None
            }
        }
    }

    /// The value of `key` as a `T`, or `WRONGTYPE`.
    pub fn read_typed<T: Typed>(&mut self, key: &[u8], call: &mut Call<'_>) -> Result<Option<&T>, CmdError> {
        match self.read(key, call).map(EntryRef::view) {
            None => Ok(None),
            Some(View::Object(value)) => T::of(value).map(Some).ok_or(CmdError::WrongType),
            Some(_) => Err(CmdError::WrongType),
        }
    }

    /// The value of `key` as a `T` to be changed, or `WRONGTYPE`.
    pub fn write_typed<T: Typed>(
        &mut self,
        key: &[u8],
        call: &mut Call<'_>,
    ) -> Result<Option<Typing<'_, T>>, CmdError> {
        let Some(entry) = self.write(key, call) else {
            return Ok(None);
        };
        match entry.entry().view() {
            View::Object(value) if T::of(value).is_some() => Ok(Some(Typing::new(entry))),
            _ => Err(CmdError::WrongType),
        }
    }

    /// As [`Keyspace::write_typed`]; a key that is not there is made with `T`'s empty value.
    pub fn write_or_create<T: Typed + Default>(
        &mut self,
        key: &[u8],
        call: &mut Call<'_>,
    ) -> Result<Typing<'_, T>, CmdError> {
        if self.write_typed::<T>(key, call)?.is_none() {
            let empty = New::Object(Box::new(T::default().into_value()));
            self.put(key, empty, Expire::Clear, call);
            call.notify(key, event::NEW);
        }
        Ok(self.write_typed::<T>(key, call)?.expect("the key was just made"))
    }

    /// Sets a key's value, making the key if it is not there. The caller raises the events.
    #[inline]
    pub fn put(&mut self, key: &[u8], value: New<'_>, expire: Expire, call: &mut Call<'_>) {
        self.put_in(call.db(), key, value, expire, call);
    }

    pub fn put_in(&mut self, db: DbId, key: &[u8], value: New<'_>, expire: Expire, call: &mut Call<'_>) {
        let access = self.access.fresh();
        if let Some(taken) = self.dbs[db.0 as usize].put(key, value, expire, access, call.now) {
            discard(taken, call.fx);
        }
    }

    /// Sets a key's value as SET does, in one lookup: an overdue key in its place expires first, a key that was not
    /// there raises `new`, and one that was counts a use. The caller raises the event of the change itself.
    #[inline]
    pub fn set(&mut self, key: &[u8], value: New<'_>, expire: Expire, call: &mut Call<'_>) {
        // An overdue key has no deadline to keep.
        let lost = expire == Expire::Keep && self.lookup(call.db(), key, call, false).is_none();
        let expire = if lost { Expire::Clear } else { expire };
        let Keyspace { dbs, access, settings, rng } = self;
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
        match dbs[call.db().0 as usize].set(key, value, expire, bits, call.now) {
            Met::Live(taken) => discard(taken, call.fx),
            Met::Overdue(taken) if obeys(call) => discard(taken, call.fx),
            Met::Nothing => call.notify(key, event::NEW),
            Met::Overdue(taken) => {
                discard(taken, call.fx);
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
        if self.lookup(db, key, call, false).is_none() {
            return false;
        }
        let taken = self.dbs[db.0 as usize].remove(key);
        discard(taken.expect("just looked up"), call.fx);
        true
    }

    /// Deletes a key whose collection has become empty, with its event.
    pub fn drop_if_empty<T: Typed>(&mut self, key: &[u8], is_empty: impl Fn(&T) -> bool, call: &mut Call<'_>) {
        let empty = match self.inspect(key, call).map(EntryRef::view) {
            Some(View::Object(value)) => T::of(value).is_some_and(is_empty),
            _ => false,
        };
        if empty {
            self.delete(key, call);
            call.notify(key, event::DEL);
        }
    }

    /// Sets or clears a key's deadline. The caller raises the events.
    pub fn set_deadline(&mut self, key: &[u8], deadline: Option<Millis>, call: &mut Call<'_>) -> bool {
        self.dbs[call.db().0 as usize].set_deadline(key, deadline, call.now)
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
                Overdue::Value(taken) => discard(taken, fx),
            });
        }
        more
    }

    /// Empties databases; what was in them goes to the background thread. Returns the number of keys removed.
    pub fn flush(&mut self, which: std::ops::Range<usize>, fx: &mut Effects) -> u64 {
        let mut removed = 0;
        for db in &mut self.dbs[which] {
            removed += db.len() as u64;
            fx.garbage.push(Box::new(db.take()));
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

/// The caller repeats what happened elsewhere or before. A key that was there then is there now, overdue or not: its
/// end comes in the same stream.
fn obeys(call: &Call<'_>) -> bool {
    matches!(call.caller.origin, Origin::Master | Origin::Aof)
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

/// Frees what an entry owned: here if that is quick, else on the background thread.
#[inline]
pub fn discard(taken: Taken, fx: &mut Effects) {
    match taken {
        Taken::Plain => {}
        Taken::Buffer(buffer) if buffer.capacity() < FREE_BYTES => drop(buffer),
        Taken::Buffer(buffer) => fx.garbage.push(Box::new(buffer)),
        Taken::Object(object) if object.free_effort() <= FREE_EFFORT => drop(object),
        Taken::Object(object) => fx.garbage.push(object),
    }
}

/// A typed value borrowed for writing.
pub struct Typing<'a, T> {
    entry: EntryMut<'a>,
    kind: std::marker::PhantomData<T>,
}

impl<'a, T: Typed> Typing<'a, T> {
    fn new(entry: EntryMut<'a>) -> Typing<'a, T> {
        Typing { entry, kind: std::marker::PhantomData }
    }
}

impl<T: Typed> std::ops::Deref for Typing<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        match self.entry.entry().view() {
            View::Object(value) => T::of(value).expect("checked when it was borrowed"),
            _ => unreachable!("checked when it was borrowed"),
        }
    }
}

impl<T: Typed> std::ops::DerefMut for Typing<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        let value: &mut Value = self.entry.object_mut().expect("checked when it was borrowed");
        T::of_mut(value).expect("checked when it was borrowed")
    }
}
