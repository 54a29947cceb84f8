//! Values that are more than a string, on their way in.
//!
//! *Duty:* every form in which a collection was ever stored, from one count and its elements to streams of listpacks.
//! *Does not know:* keys, items; which encoding the value takes in memory is the value's own affair, by the limits.
//! *Invariants:* a value that comes out has elements, or is a stream; [`Decoded::Empty`] is what had none. Nothing is
//! reserved for elements that have not come, and an element that is there twice is damage.
//! *Counterpart in C Redis:* `rdbLoadObject`.

mod hash;
mod list;
mod set;
mod stream;
mod zset;

use std::io::Read;

use super::RdbErrorKind as Kind;
use super::format::{Dialect, kind};
use super::packed;
use super::source::{Result, Source};
use crate::base::num::MAX_DECIMAL_LEN;
use crate::value::{Limits, Typed, Value};

pub(super) enum Decoded {
    Value(Value),
    /// A collection without elements, which old versions could leave behind.
    Empty,
    /// No decoder for this type: nothing was consumed.
    Unsupported,
}

impl Decoded {
    fn of<T: Typed>(value: T) -> Decoded {
        let value = value.into_value();
        if value.is_gone() { Decoded::Empty } else { Decoded::Value(value) }
    }
}

pub(super) fn decode<R: Read>(source: &mut Source<R>, code: u8, dialect: Dialect, limits: &Limits) -> Result<Decoded> {
    if dialect == Dialect::Valkey && code > kind::STREAM_3 {
        return Ok(match code {
            kind::HASH_EXPIRING_ABSOLUTE => Decoded::of(hash::decode_valkey(source, limits)?),
            _ => Decoded::Unsupported,
        });
    }
    Ok(match code {
        kind::LIST | kind::LIST_ZIPLIST | kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => {
            Decoded::of(list::decode(source, code, limits)?)
        }
        kind::SET | kind::SET_INTSET | kind::SET_LISTPACK => Decoded::of(set::decode(source, code, limits)?),
        kind::HASH | kind::HASH_ZIPMAP | kind::HASH_ZIPLIST | kind::HASH_LISTPACK => {
            Decoded::of(hash::decode(source, code, limits)?)
        }
        kind::HASH_EXPIRING
        | kind::HASH_EXPIRING_LISTPACK
        | kind::HASH_EXPIRING_ABSOLUTE
        | kind::HASH_EXPIRING_ABSOLUTE_LISTPACK => Decoded::of(hash::decode_expiring(source, code, limits)?),
        kind::ZSET | kind::ZSET_2 | kind::ZSET_ZIPLIST | kind::ZSET_LISTPACK => {
            Decoded::of(zset::decode(source, code, limits)?)
        }
        kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => Decoded::of(stream::decode(source, code)?),
        _ => return Ok(Decoded::Unsupported),
    })
}

/// The forms of a text that holds many elements, with the type of the value.
#[derive(Clone, Copy)]
enum Form {
    Ziplist(&'static str),
    Listpack(&'static str),
    Zipmap,
}

impl Form {
    /// The type and the form as messages name them.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Form::Ziplist(value) => (value, "ziplist"),
            Form::Listpack(value) => (value, "listpack"),
            Form::Zipmap => ("Hash", "Zipmap"),
        }
    }
}

/// What is wrong with an element that is there twice.
const TWICE: &str = "dup elements";

/// Reads a text of elements and hands them to `each`, integers as decimal text; `each` may find fault with one.
fn packed_text<R: Read>(
    source: &mut Source<R>,
    form: Form,
    mut each: impl FnMut(&[u8]) -> packed::Checked<()>,
) -> Result<()> {
    let mut digits = [0; MAX_DECIMAL_LEN];
    let text = source.text()?;
    let bytes = text.bytes(&mut digits);
    let mut fault = Ok(());
    let note = |element: &[u8]| {
        if fault.is_ok() {
            fault = each(element);
        }
    };
    let result = match form {
        Form::Ziplist(_) => packed::ziplist(bytes, note),
        Form::Listpack(_) => packed::listpack(bytes, note),
        Form::Zipmap => packed::zipmap(bytes, note),
    };
    drop(text);
    let (value, form) = form.names();
    result.or_else(|reason| source.fail(Kind::BadForm { value, form, reason }))?;
    fault.or_else(|reason| source.fail(Kind::BadElements { value, form, reason }))
}

/// As [`packed_text`] for elements that come in pairs.
fn packed_pairs<R: Read>(
    source: &mut Source<R>,
    form: Form,
    mut each: impl FnMut(&[u8], &[u8]) -> packed::Checked<()>,
) -> Result<()> {
    let mut first: Option<Vec<u8>> = None;
    packed_text(source, form, |element| match first.take() {
        None => {
            first = Some(element.to_vec());
            Ok(())
        }
        Some(first) => each(&first, element),
    })?;
    match first {
        None => Ok(()),
        Some(_) => {
            let ((value, form), reason) = (form.names(), "the last of its pairs has one element");
            source.fail(Kind::BadForm { value, form, reason })
        }
    }
}

/// Reads so many texts as the count before them says and hands each to `each`.
fn texts<R: Read>(
    source: &mut Source<R>,
    value: &'static str,
    mut each: impl FnMut(&[u8]) -> packed::Checked<()>,
) -> Result<()> {
    let mut digits = [0; MAX_DECIMAL_LEN];
    for _ in 0..source.count()? {
        let fault = each(source.text()?.bytes(&mut digits));
        element(source, value, fault)?;
    }
    Ok(())
}

/// The error for an element of a value that is stored as one element after the other.
fn element<R: Read>(source: &Source<R>, value: &'static str, fault: packed::Checked<()>) -> Result<()> {
    fault.or_else(|reason| source.fail(Kind::BadElements { value, form: "value", reason }))
}
