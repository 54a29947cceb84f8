//! GEOSEARCH, GEOSEARCHSTORE, and GEORADIUS with its kin, which they replace.
//!
//! *Duty:* one request, one search, for all of them; what an old form lacks or adds is said by its [`Form`].
//! *Counterpart in C Redis:* `georadiusGeneric`.

use super::area::{Area, Shape};
use super::hash::Place;
use super::{BASE, place_arg, place_of, reply_distance, reply_place, unit_arg};
use crate::base::float;
use crate::call::{Args, Call, CmdError, CmdResult};
use crate::command::spec::*;
use crate::command::zset::store::store;
use crate::command::zset::{bulk, event, text};
use crate::ds::element::{Elem, TextBuf};
use crate::keyspace::Keyspace;
use crate::resp::ReplyBuf;
use crate::value::{Limits, Zset, ZsetRef};

const COMPLEXITY: &str = "O(N+log(M)) with N members in the cells around the area and M in the area.";

/// The keys of a form that may store: what is read, and what STORE or STOREDIST names from argument `from` on.
const fn keys_and_store(from: i16) -> [KeySpec; 3] {
    const fn named(word: &'static str, from: i16) -> KeySpec {
        KeySpec {
            begin: Begin::Keyword { word, from },
            find: Find::Range { last: 0, step: 1, limit: 0 },
            flags: KeyFlags::OW.or(KeyFlags::UPDATE),
        }
    }
    [KeySpec::one(1, KeyFlags::RO.or(KeyFlags::ACCESS)), named("STORE", from), named("STOREDIST", from)]
}

pub const GEORADIUS: DataCommand = Command::new(
    |ks, call| search(ks, call, Form::AROUND_PLACE),
    Spec {
        name: "georadius",
        arity: -6,
        flags: WRITE.or(DENYOOM).or(MOVABLEKEYS),
        keys: &const { keys_and_store(6) },
        complexity: COMPLEXITY,
        summary: "Finds or stores the members within a distance of a place.",
        syntax: "key longitude latitude radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] [(COUNT count [ANY@6.2.0]):count] [<ASC|DESC>] [STORE key:key#1] [STOREDIST key:key#2]",
        history: &[("6.2.0", "Option `ANY`."), ("7.0.0", "Units in capital letters.")],
        deprecated: Some(("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument")),
        ..BASE
    },
);

pub const GEORADIUS_RO: DataCommand = Command::new(
    |ks, call| search(ks, call, Form { may_store: false, ..Form::AROUND_PLACE }),
    Spec {
        name: "georadius_ro",
        arity: -6,
        since: "3.2.10",
        complexity: COMPLEXITY,
        summary: "Finds the members within a distance of a place.",
        syntax: "key longitude latitude radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] [(COUNT count [ANY@6.2.0]):count] [<ASC|DESC>]",
        history: &[("6.2.0", "Option `ANY`.")],
        deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument")),
        ..BASE
    },
);

pub const GEORADIUSBYMEMBER: DataCommand = Command::new(
    |ks, call| search(ks, call, Form::AROUND_MEMBER),
    Spec {
        name: "georadiusbymember",
        arity: -5,
        flags: WRITE.or(DENYOOM).or(MOVABLEKEYS),
        keys: &const { keys_and_store(5) },
        complexity: COMPLEXITY,
        summary: "Finds or stores the members within a distance of another member.",
        syntax: "key member radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] [(COUNT count [ANY]):count] [<ASC|DESC>] [STORE key:key#1] [STOREDIST key:key#2]",
        history: &[("7.0.0", "Units in capital letters.")],
        deprecated: Some(("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments")),
        ..BASE
    },
);

pub const GEORADIUSBYMEMBER_RO: DataCommand = Command::new(
    |ks, call| search(ks, call, Form { may_store: false, ..Form::AROUND_MEMBER }),
    Spec {
        name: "georadiusbymember_ro",
        arity: -5,
        since: "3.2.10",
        complexity: COMPLEXITY,
        summary: "Finds the members within a distance of another member.",
        syntax: "key member radius <M|KM|FT|MI> [WITHCOORD] [WITHDIST] [WITHHASH] [(COUNT count [ANY]):count] [<ASC|DESC>]",
        deprecated: Some(("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments")),
        ..BASE
    },
);

pub const GEOSEARCH: DataCommand = Command::new(
    |ks, call| search(ks, call, Form::SEARCH),
    Spec {
        name: "geosearch",
        arity: -7,
        since: "6.2.0",
        complexity: COMPLEXITY,
        summary: "Finds the members in a circle or a box.",
        syntax: "key <FROMMEMBER member|FROMLONLAT longitude latitude>:from <(BYRADIUS radius <M|KM|FT|MI>):circle|(BYBOX width height <M|KM|FT|MI>):box>:by [<ASC|DESC>] [(COUNT count [ANY]):count] [WITHCOORD] [WITHDIST] [WITHHASH]",
        history: &[("7.0.0", "Units in capital letters.")],
        ..BASE
    },
);

pub const GEOSEARCHSTORE: DataCommand = Command::new(
    |ks, call| search(ks, call, Form::SEARCH_AND_STORE),
    Spec {
        name: "geosearchstore",
        arity: -8,
        flags: WRITE.or(DENYOOM),
        keys: &[KeySpec::one(1, KeyFlags::OW.or(KeyFlags::UPDATE)), KeySpec::one(2, KeyFlags::RO.or(KeyFlags::ACCESS))],
        since: "6.2.0",
        complexity: COMPLEXITY,
        summary: "Stores the members in a circle or a box as a new sorted set.",
        syntax: "destination source <FROMMEMBER member|FROMLONLAT longitude latitude>:from <(BYRADIUS radius <M|KM|FT|MI>):circle|(BYBOX width height <M|KM|FT|MI>):box>:by [<ASC|DESC>] [(COUNT count [ANY]):count] [STOREDIST]",
        history: &[("7.0.0", "Units in capital letters.")],
        ..BASE
    },
);

/// What a command's name says of its arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Form {
    /// Where the key stands that is searched.
    source: usize,
    start: Start,
    /// STORE and STOREDIST name a key.
    may_store: bool,
}

/// What follows the key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// longitude latitude radius unit
    Place,
    /// member radius unit
    Member,
    /// Everything is said by options.
    Options,
}

impl Form {
    const AROUND_PLACE: Form = Form { source: 1, start: Start::Place, may_store: true };
    const AROUND_MEMBER: Form = Form { source: 1, start: Start::Member, may_store: true };
    const SEARCH: Form = Form { source: 1, start: Start::Options, may_store: false };
    const SEARCH_AND_STORE: Form = Form { source: 2, start: Start::Options, may_store: false };

    fn is_search(self) -> bool {
        self.start == Start::Options
    }

    fn stores_always(self) -> bool {
        self.source == 2
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    No,
    Ascending,
    Descending,
}

/// A request.
struct Query<'a> {
    middle: Option<Place>,
    shape: Option<Shape>,
    unit: f64,
    with_distance: bool,
    with_hash: bool,
    with_place: bool,
    sort: Sort,
    /// 0: all.
    count: usize,
    any: bool,
    store_at: Option<&'a [u8]>,
    store_distance: bool,
}

/// A member that was found.
struct Found<'a> {
    member: Elem<'a>,
    place: Place,
    /// Metres.
    distance: f64,
    score: f64,
}

fn search(ks: &mut Keyspace, call: &mut Call<'_>, form: Form) -> CmdResult {
    let limits = ks.settings.limits;
    let zset = ks.read_typed::<Zset>(call.arg(form.source), call)?;
    let query = Query::parse(call.args, form, zset)?;
    let found = match zset.zip(query.area()) {
        Some((zset, area)) => query.run(zset, area),
        None => Vec::new(),
    };
    let Some(key) = query.store_at else {
        query.reply(call.reply, &found);
        return Ok(());
    };
    let result = query.result(&found, &limits);
    let (name, changes) = (if form.is_search() { "geosearchstore" } else { "georadiusstore" }, found.len() as u64);
    store(ks, call, key, result, event(name), changes);
    Ok(())
}

fn float_arg(arg: &[u8], otherwise: &'static str) -> Result<f64, CmdError> {
    float::parse_f64(arg).ok_or(CmdError::Fixed(otherwise))
}

fn member_place(zset: ZsetRef<'_>, member: &[u8]) -> Result<Place, CmdError> {
    place_of(zset, member).ok_or(CmdError::Fixed("ERR could not decode requested zset member"))
}

impl<'a> Query<'a> {
    /// Quirk: without a key a member's place and, in the old forms, the radius behind it are not read, so that mistakes
    /// in them go unnoticed.
    fn parse(args: Args<'a>, form: Form, zset: Option<ZsetRef<'_>>) -> Result<Query<'a>, CmdError> {
        let mut query = Query {
            middle: None,
            shape: None,
            unit: 1.0,
            with_distance: false,
            with_hash: false,
            with_place: false,
            sort: Sort::No,
            count: 0,
            any: false,
            store_at: form.stores_always().then(|| args.get(1)),
            store_distance: false,
        };
        let options_at = match form.start {
            Start::Place => {
                query.middle = Some(place_arg(args, 2)?);
                query.circle(args, 4)?;
                6
            }
            Start::Member => {
                if let Some(zset) = zset {
                    query.middle = Some(member_place(zset, args.get(2))?);
                    query.circle(args, 3)?;
                }
                5
            }
            Start::Options => form.source + 1,
        };
        let mut from = None;
        let mut at = options_at;
        while at < args.len() {
            at = match query.common_option(args, at)? {
                Some(next) => next,
                None if form.is_search() => query.search_option(args, at, form, zset, &mut from)?,
                None if form.may_store => query.store_option(args, at)?,
                None => return Err(CmdError::Syntax),
            };
        }
        query.check(args, form, from)?;
        Ok(query)
    }

    /// Reads a radius and its unit.
    fn circle(&mut self, args: Args<'a>, at: usize) -> Result<(), CmdError> {
        let radius = float_arg(args.get(at), "ERR need numeric radius")?;
        if radius < 0.0 {
            return Err(CmdError::Fixed("ERR radius cannot be negative"));
        }
        self.unit = unit_arg(args.get(at + 1))?;
        self.shape = Some(Shape::Circle { radius });
        Ok(())
    }

    /// Reads a width, a height and their unit.
    fn rectangle(&mut self, args: Args<'a>, at: usize) -> Result<(), CmdError> {
        let width = float_arg(args.get(at), "ERR need numeric width")?;
        let height = float_arg(args.get(at + 1), "ERR need numeric height")?;
        if height < 0.0 || width < 0.0 {
            return Err(CmdError::Fixed("ERR height or width cannot be negative"));
        }
        self.unit = unit_arg(args.get(at + 2))?;
        self.shape = Some(Shape::Box { width, height });
        Ok(())
    }

    /// Reads an option that all forms have. Returns where the next one stands.
    fn common_option(&mut self, args: Args<'a>, at: usize) -> Result<Option<usize>, CmdError> {
        match () {
            _ if args.is(at, "WITHDIST") => self.with_distance = true,
            _ if args.is(at, "WITHHASH") => self.with_hash = true,
            _ if args.is(at, "WITHCOORD") => self.with_place = true,
            _ if args.is(at, "ANY") => self.any = true,
            _ if args.is(at, "ASC") => self.sort = Sort::Ascending,
            _ if args.is(at, "DESC") => self.sort = Sort::Descending,
            _ if args.is(at, "COUNT") && at + 1 < args.len() => {
                self.count = match args.int(at + 1)? {
                    count if count > 0 => count as usize,
                    _ => return Err(CmdError::Fixed("ERR COUNT must be > 0")),
                };
                return Ok(Some(at + 2));
            }
            _ => return Ok(None),
        }
        Ok(Some(at + 1))
    }

    fn store_option(&mut self, args: Args<'a>, at: usize) -> Result<usize, CmdError> {
        let distance = args.is(at, "STOREDIST");
        if at + 1 == args.len() || !distance && !args.is(at, "STORE") {
            return Err(CmdError::Syntax);
        }
        (self.store_at, self.store_distance) = (Some(args.get(at + 1)), distance);
        Ok(at + 2)
    }

    fn search_option(
        &mut self,
        args: Args<'a>,
        at: usize,
        form: Form,
        zset: Option<ZsetRef<'_>>,
        from: &mut Option<From>,
    ) -> Result<usize, CmdError> {
        let behind = args.len() - at - 1;
        if form.stores_always() && args.is(at, "STOREDIST") {
            self.store_distance = true;
            return Ok(at + 1);
        }
        if args.is(at, "FROMMEMBER") && behind >= 1 && *from != Some(From::Place) {
            *from = Some(From::Member);
            if let Some(zset) = zset {
                self.middle = Some(member_place(zset, args.get(at + 1))?);
            }
            return Ok(at + 2);
        }
        if args.is(at, "FROMLONLAT") && behind >= 2 && *from != Some(From::Member) {
            self.middle = Some(place_arg(args, at + 1)?);
            *from = Some(From::Place);
            return Ok(at + 3);
        }
        if args.is(at, "BYRADIUS") && behind >= 2 && !matches!(self.shape, Some(Shape::Box { .. })) {
            self.circle(args, at + 1)?;
            return Ok(at + 3);
        }
        if args.is(at, "BYBOX") && behind >= 3 && !matches!(self.shape, Some(Shape::Circle { .. })) {
            self.rectangle(args, at + 1)?;
            return Ok(at + 4);
        }
        Err(CmdError::Syntax)
    }

    /// What must not stand together, and what must not be missing.
    fn check(&self, args: Args<'a>, form: Form, from: Option<From>) -> Result<(), CmdError> {
        if self.store_at.is_some() && (self.with_distance || self.with_hash || self.with_place) {
            let who = if form.is_search() { "GEOSEARCHSTORE" } else { "STORE option in GEORADIUS" };
            let text = format!("ERR {who} is not compatible with WITHDIST, WITHHASH and WITHCOORD options");
            return Err(CmdError::text(text));
        }
        let missing = match form.is_search() {
            true if from.is_none() => Some("FROMMEMBER or FROMLONLAT"),
            true if self.shape.is_none() => Some("BYRADIUS and BYBOX"),
            _ => None,
        };
        if let Some(missing) = missing {
            let name = String::from_utf8_lossy(args.get(0));
            let text = format!("ERR exactly one of {missing} can be specified for {name}");
            return Err(CmdError::text(text));
        }
        if self.any && self.count == 0 {
            return Err(CmdError::Fixed("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    fn area(&self) -> Option<Area> {
        let (middle, shape) = self.middle.zip(self.shape)?;
        Some(Area { middle, shape, unit: self.unit })
    }

    /// Looks through the cells of the area; sorts, and cuts to the count.
    fn run<'z>(&self, zset: ZsetRef<'z>, area: Area) -> Vec<Found<'z>> {
        let enough = if self.any { self.count } else { usize::MAX };
        let mut found = Vec::new();
        for cell in area.cells() {
            let (low, high) = cell.scores();
            let start = zset.count_below(low, false);
            for (member, score) in zset.range(start..zset.count_below(high, false).max(start), false) {
                if found.len() >= enough {
                    break;
                }
                let place = Place::of_score(score);
                if let Some(distance) = area.distance_within(place) {
                    found.push(Found { member, place, distance, score });
                }
            }
        }
        // The nearest ones are meant by a count, unless any will do.
        let sort = if self.count > 0 && !self.any && self.sort == Sort::No { Sort::Ascending } else { self.sort };
        match sort {
            Sort::No => {}
            Sort::Ascending => found.sort_by(|a, b| a.distance.total_cmp(&b.distance)),
            Sort::Descending => found.sort_by(|a, b| b.distance.total_cmp(&a.distance)),
        }
        if self.count > 0 {
            found.truncate(self.count);
        }
        found
    }

    fn reply(&self, reply: &mut ReplyBuf, found: &[Found<'_>]) {
        let extras = self.with_distance as usize + self.with_hash as usize + self.with_place as usize;
        reply.array(found.len());
        for found in found {
            if extras > 0 {
                reply.array(extras + 1);
            }
            bulk(reply, found.member);
            if self.with_distance {
                reply_distance(reply, found.distance / self.unit);
            }
            if self.with_hash {
                reply.int(found.score as i64);
            }
            if self.with_place {
                reply_place(reply, found.place);
            }
        }
    }

    fn result(&self, found: &[Found<'_>], limits: &Limits) -> Zset {
        let mut result = Zset::sized(found.len(), 0, limits);
        for found in found {
            let score = if self.store_distance { found.distance / self.unit } else { found.score };
            result.insert(text(found.member, &mut TextBuf::default()), score, limits);
        }
        result
    }
}

/// Which of the two options gave the middle.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Member,
    Place,
}
