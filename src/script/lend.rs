//! [`Lent`]: the host of the run that goes on, where the functions of a Lua state find it.
//!
//! *Duty:* hold a borrow that ends with the run, in a place that lives as long as the Lua state.
//! *Does not know:* Lua, what a host can do. *Invariants:* there is a host exactly while [`Lent::lend`]'s closure runs;
//! it is reached through `&mut Lent` only, so nobody reaches it twice at once.
//! *Counterpart in C Redis:* the `scriptRunCtx` in the registry of the Lua state.
//!
//! Functions of a Lua state outlive each run (to make them for each run would cost more than most scripts), so they
//! cannot capture a borrow of the server. This file is the one place where the compiler is told less than it could know.

#![allow(unsafe_code)]

use std::ptr::NonNull;

use super::Host;

#[derive(Default)]
pub struct Lent {
    host: Option<NonNull<dyn Host>>,
}

/// Takes the host back, however the run ends. `reach` finds the place in which it was put.
struct Return<F: Fn(Option<NonNull<dyn Host>>)>(F);

impl<F: Fn(Option<NonNull<dyn Host>>)> Drop for Return<F> {
    fn drop(&mut self) {
        (self.0)(None);
    }
}

impl Lent {
    /// Runs `run` while the host is in the place that `put` fills.
    pub fn lend<R>(host: &mut dyn Host, put: impl Fn(Lent), run: impl FnOnce() -> R) -> R {
        let host: NonNull<dyn Host + '_> = NonNull::from(host);
        // SAFETY: only the lifetime changes. The pointer is used through `Lent::with` alone, and is taken out of its
        // place before this function, which borrows the host mutably, returns or unwinds.
        let host: NonNull<dyn Host + 'static> = unsafe { std::mem::transmute(host) };
        let put = |host| put(Lent { host });
        put(Some(host));
        let _taken_back = Return(put);
        run()
    }

    /// The host, while a run goes on.
    pub fn with<R>(&mut self, f: impl FnOnce(&mut dyn Host) -> R) -> Option<R> {
        let mut host = self.host?;
        // SAFETY: the pointer comes from a `&mut` that `lend` holds for as long as the pointer is here, and that nobody
        // uses meanwhile. `&mut self` keeps a second reference from being made while `f` has this one.
        Some(f(unsafe { host.as_mut() }))
    }
}
