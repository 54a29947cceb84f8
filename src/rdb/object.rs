//! Values that are more than a string.
//!
//! *Duty:* every form in which a list was ever stored, from one count and its elements to nodes of listpacks.
//! *Does not know:* keys, items; which encoding the value takes in memory is the value's own affair.
//! *Invariants:* a value that comes out has elements; [`Decoded::Empty`] is what had none.
//! *Counterpart in C Redis:* `rdbLoadObject`.

use std::io::Read;

use super::RdbErrorKind as Kind;
use super::format::{kind, node};
use super::packed;
use super::source::{Result, Source};
use crate::base::hash::HashSeed;
use crate::base::num::MAX_DECIMAL_LEN;
use crate::value::list::End;
use crate::value::{Limits, List, Typed, Value};

pub(super) enum Decoded {
    Value(Value),
    /// A collection without elements, which old versions could leave behind.
    Empty,
    /// No decoder for this type: nothing was consumed.
    Unsupported,
}

pub(super) fn decode<R: Read>(source: &mut Source<R>, code: u8) -> Result<Decoded> {
    let mut list = Growing { list: List::new(), limits: Limits::new(HashSeed::new(0)) };
    match code {
        kind::LIST => elements(source, &mut list)?,
        kind::LIST_ZIPLIST => node(source, &mut list, Form::Ziplist)?,
        kind::LIST_QUICKLIST => {
            for _ in 0..source.count()? {
                node(source, &mut list, Form::Ziplist)?;
            }
        }
        kind::LIST_QUICKLIST_2 => {
            for _ in 0..source.count()? {
                let form = match source.length()? {
                    node::PLAIN => Form::Plain,
                    node::PACKED => Form::Listpack,
                    other => return source.fail(Kind::BadNodeForm(other)),
                };
                node(source, &mut list, form)?;
            }
        }
        _ => return Ok(Decoded::Unsupported),
    }
    Ok(if list.list.is_empty() { Decoded::Empty } else { Decoded::Value(list.list.into_value()) })
}

/// A list that is being read. Into which nodes it is cut is not a matter of what was stored, nor yet of the
/// configuration.
struct Growing {
    list: List,
    limits: Limits,
}

impl Growing {
    fn push(&mut self, element: &[u8]) {
        self.list.push(End::Right, element, &self.limits);
    }
}

fn elements<R: Read>(source: &mut Source<R>, list: &mut Growing) -> Result<()> {
    let mut digits = [0; MAX_DECIMAL_LEN];
    for _ in 0..source.count()? {
        list.push(source.text()?.bytes(&mut digits));
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Form {
    Plain,
    Ziplist,
    Listpack,
}

fn node<R: Read>(source: &mut Source<R>, list: &mut Growing, form: Form) -> Result<()> {
    let mut digits = [0; MAX_DECIMAL_LEN];
    let text = source.text()?;
    let bytes = text.bytes(&mut digits);
    let push = |element: &[u8]| list.push(element);
    let result = match form {
        Form::Plain if bytes.is_empty() => Err("a list node is empty"),
        Form::Plain => {
            list.push(bytes);
            Ok(())
        }
        Form::Ziplist => packed::ziplist(bytes, push),
        Form::Listpack => packed::listpack(bytes, push),
    };
    drop(text);
    result.or_else(|reason| source.fail(Kind::BadPacked(reason)))
}
