//! Lists: elements, a ziplist, or nodes of ziplists or listpacks.
//!
//! *Does not know:* how long a node may be here; elements are pushed one by one, and the list makes its own nodes.
//! *Counterpart in C Redis:* the list branches of `rdbLoadObject`.

use std::io::Read;

use super::{Form, element, packed_text, texts};
use crate::base::num::MAX_DECIMAL_LEN;
use crate::rdb::RdbErrorKind as Kind;
use crate::rdb::format::{kind, node};
use crate::rdb::source::{Result, Source};
use crate::value::list::End;
use crate::value::{Limits, List};

const VALUE: &str = "List";

pub(super) fn decode<R: Read>(source: &mut Source<R>, code: u8, limits: &Limits) -> Result<List> {
    let mut list = List::new();
    let mut push = |element: &[u8]| {
        list.push(End::Right, element, limits);
        Ok(())
    };
    match code {
        kind::LIST => texts(source, VALUE, push)?,
        kind::LIST_ZIPLIST => packed_text(source, Form::Ziplist(VALUE), push)?,
        kind::LIST_QUICKLIST => {
            for _ in 0..source.count()? {
                packed_text(source, Form::Ziplist(VALUE), &mut push)?;
            }
        }
        _ => {
            for _ in 0..source.count()? {
                match source.length()? {
                    node::PLAIN => plain_node(source, &mut push)?,
                    node::PACKED => packed_text(source, Form::Listpack(VALUE), &mut push)?,
                    other => return source.fail(Kind::BadNodeForm(other)),
                }
            }
        }
    }
    Ok(list)
}

fn plain_node<R: Read>(
    source: &mut Source<R>,
    push: &mut impl FnMut(&[u8]) -> std::result::Result<(), &'static str>,
) -> Result<()> {
    let mut digits = [0; MAX_DECIMAL_LEN];
    let text = source.text()?;
    let bytes = text.bytes(&mut digits);
    let result = if bytes.is_empty() { Err("an empty node") } else { push(bytes) };
    drop(text);
    element(source, VALUE, result)
}
