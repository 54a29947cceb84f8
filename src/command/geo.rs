//! Geo commands: places as the scores of a sorted set.
//!
//! *Duty:* the family's table, GEOADD and the commands that look members up; `search` has the others.
//! *Reading order:* `hash` (places as numbers), `area` (distances, what a search covers), `search`.
//! *Counterpart in C Redis:* `geo.c`.

mod area;
mod hash;
mod search;

use self::area::distance;
use self::hash::{LATITUDE, LONGITUDE, Place};
use super::spec::*;
use super::zset::add::{self, add_pairs};
use super::zset::score_arg;
use crate::base::longdouble::LongDouble;
use crate::base::{float, num};
use crate::call::{Args, Call, CmdError, CmdResult};
use crate::keyspace::Keyspace;
use crate::resp::{Argv, Proto, ReplyBuf};
use crate::value::{Zset, ZsetRef};

pub const COMMANDS: &[DataCommand] = &[
    GEOADD,
    GEODIST,
    GEOHASH,
    GEOPOS,
    search::GEORADIUS,
    search::GEORADIUS_RO,
    search::GEORADIUSBYMEMBER,
    search::GEORADIUSBYMEMBER_RO,
    search::GEOSEARCH,
    search::GEOSEARCHSTORE,
];

/// What all rows of the family share.
const BASE: Spec = Spec {
    flags: READONLY,
    keys: &[KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS))],
    acl: Categories::GEO,
    group: Group::Geo,
    since: "3.2.0",
    ..Spec::BASE
};

pub const GEOADD: DataCommand = Command::new(
    geoadd,
    Spec {
        name: "geoadd",
        arity: -5,
        flags: WRITE.or(DENYOOM),
        keys: &[KeySpec::one(1, KeyFlags::RW.or(KeyFlags::UPDATE))],
        complexity: "O(log(N)) for each member, N being the size of the set.",
        summary: "Adds members with their places to a sorted set, making the set if there is none.",
        syntax: "key [<NX|XX>@6.2.0] [CH:change@6.2.0] longitude latitude member [longitude latitude member ...]",
        history: &[("6.2.0", "Options `CH`, `NX` and `XX`.")],
        ..BASE
    },
);

pub const GEODIST: DataCommand = Command::new(
    geodist,
    Spec {
        name: "geodist",
        arity: -4,
        complexity: "O(1)",
        summary: "Tells how far two members are from each other.",
        syntax: "key member1 member2 [<M|KM|FT|MI>]",
        ..BASE
    },
);

pub const GEOHASH: DataCommand = Command::new(
    geohash,
    Spec {
        name: "geohash",
        arity: -2,
        complexity: "O(1) for each member asked for.",
        summary: "Returns members' places as geohash texts.",
        syntax: "key [member [member ...]]",
        ..BASE
    },
);

pub const GEOPOS: DataCommand = Command::new(
    geopos,
    Spec {
        name: "geopos",
        arity: -2,
        complexity: "O(1) for each member asked for.",
        summary: "Returns members' longitudes and latitudes.",
        syntax: "key [member [member ...]]",
        ..BASE
    },
);

/// Reads a longitude and the latitude behind it.
fn place_arg(args: Args<'_>, at: usize) -> Result<Place, CmdError> {
    let (longitude, latitude) = (score_arg(args.get(at))?, score_arg(args.get(at + 1))?);
    if !LONGITUDE.contains(longitude) || !LATITUDE.contains(latitude) {
        let text = format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}");
        return Err(CmdError::text(text));
    }
    Ok(Place { longitude, latitude })
}

/// Metres in a unit.
fn unit_arg(arg: &[u8]) -> Result<f64, CmdError> {
    let units: [(&[u8], f64); 4] = [(b"m", 1.0), (b"km", 1000.0), (b"ft", 0.3048), (b"mi", 1609.34)];
    let unit = units.iter().find(|(name, _)| arg.eq_ignore_ascii_case(name));
    let unknown = CmdError::Fixed("ERR unsupported unit provided. please use M, KM, FT, MI");
    unit.map(|(_, metres)| *metres).ok_or(unknown)
}

/// A distance, with four digits behind the point.
fn reply_distance(reply: &mut ReplyBuf, distance: f64) {
    let mut text = Vec::new();
    float::write_f64_fixed(&mut text, distance, 4);
    reply.bulk(&text);
}

/// Longitude and latitude, with all digits that a long double of the reference shows.
fn reply_place(reply: &mut ReplyBuf, place: Place) {
    reply.array(2);
    let mut text = Vec::new();
    for coordinate in [place.longitude, place.latitude] {
        text.clear();
        LongDouble::from_f64(coordinate).write_human(&mut text);
        match reply.proto {
            Proto::Resp2 => reply.bulk(&text),
            Proto::Resp3 => {
                reply.raw(b",");
                reply.raw(&text);
                reply.raw(b"\r\n");
            }
        }
    }
}

fn place_of(zset: ZsetRef<'_>, member: &[u8]) -> Option<Place> {
    zset.score(member).map(Place::of_score)
}

/// Quirk: goes on as ZADD in all respects: it is replicated as one, and its name stands in the errors that ZADD finds.
fn geoadd(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let args = call.args;
    let mut options = add::Options::default();
    let mut first = 2;
    while first < args.len() {
        let flag = match () {
            _ if args.is(first, "NX") => &mut options.nx,
            _ if args.is(first, "XX") => &mut options.xx,
            _ if args.is(first, "CH") => &mut options.ch,
            _ => break,
        };
        *flag = true;
        first += 1;
    }
    let rest = args.len() - first;
    if !rest.is_multiple_of(3) || rest == 0 || options.nx && options.xx {
        return Err(CmdError::Syntax);
    }
    let mut pairs = Vec::with_capacity(rest / 3);
    for at in (first..args.len()).step_by(3) {
        pairs.push((place_arg(args, at)?.score(), args.get(at + 2)));
    }
    let changed = add_pairs(ks, call, &options, pairs.iter().copied())?;
    if changed && call.wants_ops() {
        let mut zadd = Argv::from_args(&[b"zadd"]);
        args.iter().take(first).skip(1).for_each(|arg| zadd.push(arg));
        for (score, member) in pairs {
            zadd.push(num::format_u64(score as u64, &mut Default::default()));
            zadd.push(member);
        }
        call.replicate_argv(zadd);
    }
    Ok(())
}

fn geodist(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let unit = match call.args.len() {
        4 => 1.0,
        5 => unit_arg(call.arg(4))?,
        _ => return Err(CmdError::Syntax),
    };
    let zset = ks.read_typed::<Zset>(call.arg(1), call)?;
    let place = |at| zset.and_then(|zset| place_of(zset, call.args.get(at)));
    match place(2).zip(place(3)) {
        Some((from, to)) => reply_distance(call.reply, distance(from, to) / unit),
        None => call.reply.null(),
    }
    Ok(())
}

fn geohash(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let zset = ks.read_typed::<Zset>(call.arg(1), call)?;
    let members = call.args.from(2);
    call.reply.array(members.len());
    for member in members {
        match zset.and_then(|zset| place_of(zset, member)) {
            Some(place) => call.reply.bulk(&place.letters()),
            None => call.reply.null(),
        }
    }
    Ok(())
}

fn geopos(ks: &mut Keyspace, call: &mut Call<'_>) -> CmdResult {
    let zset = ks.read_typed::<Zset>(call.arg(1), call)?;
    let members = call.args.from(2);
    call.reply.array(members.len());
    for member in members {
        match zset.and_then(|zset| place_of(zset, member)) {
            Some(place) => reply_place(call.reply, place),
            None => call.reply.null_array(),
        }
    }
    Ok(())
}
