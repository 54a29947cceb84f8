//! [`Typing`]: a collection borrowed for writing.
//!
//! *Duty:* hide from commands and types where a collection lies. A big one is lent where it is; a small one, which
//! rests as bytes in its entry, is copied out, lent, and copied back when the loan ends.
//! *Invariants:* a key whose collection is empty when the loan ends is gone; a key that was made for the loan appears
//! only then, and only if something is in it. Raising the events is the caller's affair.
//! *Counterpart in C Redis:* `hashTypeLookupWriteOrCreate` and its kin, `dbDelete` of an emptied key.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use super::db::{Place, Spot};
use super::entry::New;
use crate::value::{Rest, Typed, Value};

pub struct Typing<'a, T: Typed> {
    place: Place<'a>,
    /// The value, unless it is lent where it lies.
    held: Option<Value>,
    /// Where the bytes of small collections are changed, one after the other.
    scratch: &'a mut Vec<u8>,
    /// The key that will be made, and its access bits.
    key: &'a [u8],
    access: u32,
    changed: bool,
    kind: PhantomData<T>,
}

impl<'a, T: Typed> Typing<'a, T> {
    /// Lends what is in `place`; `None` if it is of another type.
    #[inline(always)]
    pub(super) fn there(place: Place<'a>, key: &'a [u8], scratch: &'a mut Vec<u8>) -> Option<Typing<'a, T>> {
        let entry = place.entry().expect("the caller found a key");
        let mut held = None;
        match entry.small() {
            Some((form, bytes)) => held = Some(lent_out::<T>(form, bytes, scratch)?),
            None => drop(entry.object().and_then(T::of_owned)?),
        }
        Some(Typing { place, held, scratch, key, access: 0, changed: false, kind: PhantomData })
    }

    /// Lends an empty value for a key that is not there.
    #[inline(always)]
    pub(super) fn new(place: Place<'a>, key: &'a [u8], access: u32, empty: T, scratch: &'a mut Vec<u8>) -> Self {
        Typing { place, held: Some(empty.into_value()), scratch, key, access, changed: true, kind: PhantomData }
    }

    /// The key was not there before.
    pub fn is_new(&self) -> bool {
        self.place.entry().is_none()
    }

    /// Puts a value back that was taken out.
    fn settle(&mut self, value: Value) {
        if !self.changed {
            *self.scratch = value.into_buffer();
        } else if value.is_gone() {
            self.place.take();
            *self.scratch = value.into_buffer();
        } else {
            let fits = value.rest().filter(|(_, bytes)| New::fits(bytes));
            match fits {
                Some((form, bytes)) => self.place.set(self.key, self.access, New::Small(form, bytes)),
                None => return self.place.set(self.key, self.access, New::Object(Box::new(value))),
            }
            *self.scratch = value.into_buffer();
        }
    }
}

/// A copy of a small collection in the scratch buffer, if it is a `T`.
#[inline]
fn lent_out<T: Typed>(form: Rest, bytes: &[u8], scratch: &mut Vec<u8>) -> Option<Value> {
    let mut buffer = std::mem::take(scratch);
    buffer.clear();
    buffer.extend_from_slice(bytes);
    let value = Value::from_rest(form, buffer);
    if T::of_owned(&value).is_none() {
        *scratch = value.into_buffer();
        return None;
    }
    Some(value)
}

impl<T: Typed> Drop for Typing<'_, T> {
    fn drop(&mut self) {
        match self.held.take() {
            Some(value) => self.settle(value),
            None if self.changed => self.place.changed(),
            None => {}
        }
    }
}

impl<T: Typed> Deref for Typing<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        let value = match &self.held {
            Some(value) => value,
            None => self.place.entry().and_then(|e| e.object()).expect("what is not held lies in the entry"),
        };
        T::of_owned(value).expect("checked when it was borrowed")
    }
}

impl<T: Typed> DerefMut for Typing<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.changed = true;
        let value = match (&mut self.held, &mut self.place.spot) {
            (Some(value), _) => value,
            (None, Spot::There(entry)) => entry.object_mut().expect("what is not held lies in the entry"),
            (None, Spot::Free(_) | Spot::Left) => unreachable!("a new value is held"),
        };
        T::of_mut(value).expect("checked when it was borrowed")
    }
}
