//! Streams: nodes of listpacks, figures, consumer groups.
//!
//! *Does not know:* what a node holds; [`Loading`] checks it all. *Counterpart in C Redis:* the stream branch of
//! `rdbLoadObject`.
//!
//! ```text
//! nodes      length (text of 16 bytes: the first id; text: a listpack)...
//! figures    length: entries; id: the last one
//!            19 21: id: the first one, id: the greatest deleted one, length: how many entries there ever were
//! groups     length (text: name; id: last delivered; 19 21: length: entries read; pending; consumers)...
//! pending    length (16 bytes: id; 8 bytes: delivery time; length: deliveries)...
//! consumers  length (text: name; 8 bytes: seen; 21: 8 bytes: active; length (16 bytes: id)...)...
//!
//! id         two lengths: milliseconds, sequence. Times are milliseconds since 1970, little endian.
//! ```

use std::io::Read;

use crate::base::num::MAX_DECIMAL_LEN;
use crate::rdb::RdbErrorKind as Kind;
use crate::rdb::format::kind;
use crate::rdb::source::{Result, Source};
use crate::value::Stream;
use crate::value::stream::{Figures, Loading, StreamId};

pub(super) fn decode<R: Read>(source: &mut Source<R>, code: u8) -> Result<Stream> {
    let mut loading = Loading::new();
    let mut digits = [0; MAX_DECIMAL_LEN];
    let mut first = Vec::new();
    for _ in 0..source.count()? {
        source.text()?.store(&mut first);
        let Ok(first) = <&[u8; 16]>::try_from(&first[..]) else {
            return source.fail(Kind::BadValue("a stream's node has no id"));
        };
        let fault = loading.node(StreamId::from_bytes(first), source.text()?.bytes(&mut digits));
        fault.or_else(|reason| source.fail(Kind::BadForm { value: "Stream", form: "listpack", reason }))?;
    }
    let length = source.length()?;
    let last_id = id(source)?;
    let added = if code == kind::STREAM {
        None
    } else {
        id(source)?;
        Some((id(source)?, source.length()?))
    };
    let fault = loading.figures(Figures { length, last_id, added });
    checked(source, fault)?;
    for _ in 0..source.count()? {
        group(source, code, &mut loading)?;
    }
    Ok(loading.finish())
}

fn checked<R: Read, T>(source: &Source<R>, result: std::result::Result<T, &'static str>) -> Result<T> {
    result.or_else(|reason| source.fail(Kind::BadValue(reason)))
}

fn id<R: Read>(source: &mut Source<R>) -> Result<StreamId> {
    Ok(StreamId { ms: source.length()?, seq: source.length()? })
}

fn time<R: Read>(source: &mut Source<R>) -> Result<i64> {
    source.array().map(i64::from_le_bytes)
}

fn group<R: Read>(source: &mut Source<R>, code: u8, loading: &mut Loading) -> Result<()> {
    let mut name = Vec::new();
    source.text()?.store(&mut name);
    let last_id = id(source)?;
    // -1, "not known", is stored as the length of all ones.
    let entries_read = if code == kind::STREAM { None } else { Some(source.length()? as i64) };
    let made = loading.group(&name, last_id, entries_read);
    let mut group = checked(source, made)?;
    for _ in 0..source.count()? {
        let id = StreamId::from_bytes(&source.array()?);
        let (delivered, count) = (time(source)?, source.length()?);
        checked(source, group.pending(id, delivered, count))?;
    }
    for _ in 0..source.count()? {
        source.text()?.store(&mut name);
        let seen = time(source)?;
        let active = if code == kind::STREAM_3 { Some(time(source)?) } else { None };
        let consumer = checked(source, group.consumer(&name, seen, active))?;
        for _ in 0..source.count()? {
            let id = StreamId::from_bytes(&source.array()?);
            checked(source, group.owned(consumer, id))?;
        }
    }
    checked(source, group.finish())
}
