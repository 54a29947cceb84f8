//! XREAD and XREADGROUP.
//!
//! *Duty:* read what comes after an id, from several streams at once, for a client or as a member of a group; wait for
//! more when there is nothing. *Does not know:* who else waits: a wait that ends runs the command again, for the one
//! key that is ready. *Invariants:* nobody is woken for an empty reply; `$` is made an id before the client waits.
//! *Counterpart in C Redis:* `xreadCommand`, `streamReplyWithRange`, `serveClientsBlockedOnStreamKey`.

use super::{CONSUMER_CREATED, INVALID_ID, consult, id_arg, replicate_pending, reply_entries, reply_entry, reply_id};
use crate::base::millis::Millis;
use crate::base::num;
use crate::call::effects::Replicate;
use crate::call::{BlockOn, Call, CmdError, CmdResult, Origin, WaitFor};
use crate::command::spec::*;
use crate::keyspace::Keyspace;
use crate::resp::reply::Deferred;
use crate::resp::{Argv, Proto};
use crate::value::Stream;
use crate::value::stream::{ConsumerId, Group as ConsumerGroup, Log, StreamId, UNKNOWN};

const READ: Spec = Spec {
    acl: Categories::STREAM,
    group: Group::Stream,
    since: "5.0.0",
    complexity: "O(N) for N entries returned; XADD pays O(M) for M clients that wait.",
    ..Spec::BASE
};

const fn streams_from(from: i16) -> KeySpec {
    KeySpec {
        begin: Begin::Keyword { word: "STREAMS", from },
        find: Find::Range { last: -1, step: 1, limit: 2 },
        flags: KeyFlags::RO.or(KeyFlags::ACCESS),
    }
}

pub const XREAD: DataCommand = Command::new(
    |ks, call| read(ks, call, Kind::Plain),
    Spec {
        name: "xread",
        arity: -4,
        flags: READONLY.or(BLOCKING).or(MOVABLEKEYS),
        keys: &[streams_from(1)],
        summary: "Returns entries of several streams that come after given ids, waiting for some if need be.",
        syntax: "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
        ..READ
    },
);

pub const XREADGROUP: DataCommand = Command::new(
    |ks, call| read(ks, call, Kind::Group),
    Spec {
        name: "xreadgroup",
        arity: -7,
        flags: WRITE.or(BLOCKING).or(MOVABLEKEYS),
        keys: &[streams_from(4)],
        summary: "Returns new entries to a member of a consumer group, or those that are pending with it.",
        syntax: "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]",
        ..READ
    },
);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Group,
}

/// How many entries a client gets that waited and named no COUNT.
const COUNT_AFTER_WAIT: usize = 1000;

/// The options; the streams follow them.
#[derive(Default)]
struct Options<'a> {
    count: usize,
    /// Whether to wait, and until when (`None`: for ever).
    block: Option<Option<Millis>>,
    member: Option<(&'a [u8], &'a [u8])>,
    no_ack: bool,
    /// Where the keys begin, and how many there are.
    keys_at: usize,
    keys: usize,
}

impl<'a> Options<'a> {
    fn parse(call: &Call<'a>, kind: Kind) -> Result<Options<'a>, CmdError> {
        let args = call.args;
        let mut options = Options::default();
        let mut i = 1;
        while i < args.len() && options.keys_at == 0 {
            let more = args.len() - 1 - i;
            if args.is(i, "BLOCK") && more > 0 {
                options.block = Some(block_arg(call, i + 1)?);
                i += 1;
            } else if args.is(i, "COUNT") && more > 0 {
                options.count = args.int(i + 1)?.max(0) as usize;
                i += 1;
            } else if args.is(i, "STREAMS") && more > 0 {
                if !more.is_multiple_of(2) {
                    return Err(CmdError::Fixed(
                        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
                    ));
                }
                (options.keys_at, options.keys) = (i + 1, more / 2);
            } else if args.is(i, "GROUP") && more >= 2 {
                only_for_groups(kind, "GROUP")?;
                options.member = Some((args.get(i + 1), args.get(i + 2)));
                i += 2;
            } else if args.is(i, "NOACK") {
                only_for_groups(kind, "NOACK")?;
                options.no_ack = true;
            } else {
                return Err(CmdError::Syntax);
            }
            i += 1;
        }
        if options.keys_at == 0 {
            return Err(CmdError::Syntax);
        }
        if kind == Kind::Group && options.member.is_none() {
            return Err(CmdError::Fixed("ERR Missing GROUP option for XREADGROUP"));
        }
        Ok(options)
    }
}

fn only_for_groups(kind: Kind, option: &str) -> Result<(), CmdError> {
    if kind == Kind::Group {
        return Ok(());
    }
    let text = format!("ERR The {option} option is only supported by XREADGROUP. You called XREAD instead.");
    Err(CmdError::text(text))
}

/// The milliseconds behind BLOCK, as a deadline; 0 is none.
fn block_arg(call: &Call<'_>, at: usize) -> Result<Option<Millis>, CmdError> {
    if call.caller.origin == Origin::Script {
        let tail = b" command is not allowed with BLOCK option from scripts";
        return Err(CmdError::text([b"ERR ", call.arg(0), tail].concat()));
    }
    match num::parse_i64(call.arg(at)) {
        None => Err(CmdError::Fixed("ERR timeout is not an integer or out of range")),
        Some(..0) => Err(CmdError::Fixed("ERR timeout is negative")),
        Some(0) => Ok(None),
        Some(ms) => Ok(Some(call.now.plus(ms))),
    }
}

/// Whence a stream is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// Behind this id.
    After(StreamId),
    /// `>`: behind what the group has delivered.
    New,
}

fn read(ks: &mut Keyspace, call: &mut Call<'_>, kind: Kind) -> CmdResult {
    let options = Options::parse(call, kind)?;
    if kind == Kind::Group {
        // Whatever changes is told entry by entry.
        call.fx.replicate = Replicate::Rewritten;
    }
    if let Some(key) = call.woken_by {
        return read_woken(ks, call, &options, key);
    }
    let mut from = Vec::with_capacity(options.keys);
    for i in 0..options.keys {
        from.push(starting_point(ks, call, &options, i)?);
    }
    let mark = call.reply.defer();
    let mut served = 0;
    for (i, from) in from.iter().enumerate() {
        let key = call.arg(options.keys_at + i);
        served += usize::from(read_key(ks, call, &options, key, *from, options.count)?);
    }
    if served > 0 {
        close_streams(call, mark, served);
    } else if let Some(deadline) = options.block {
        wait(call, &options, &from, deadline);
    } else {
        call.reply.null_array();
    }
    Ok(())
}

/// The reply to a client whose wait may be over: `key` is ready, and no other key is looked at.
fn read_woken(ks: &mut Keyspace, call: &mut Call<'_>, options: &Options<'_>, key: &[u8]) -> CmdResult {
    let at = (0..options.keys).find(|i| call.arg(options.keys_at + i) == key);
    let from = match at.map(|i| call.arg(options.keys_at + options.keys + i)) {
        Some(b">") | None => From::New,
        Some(id) => From::After(id_arg(id, 0)?),
    };
    if let Some((group, _)) = options.member {
        let stream = ks.write_typed::<Stream>(key, call)?;
        if !stream.is_some_and(|stream| stream.groups().contains_key(group)) {
            return Err(CmdError::Fixed("NOGROUP the consumer group this client was blocked on no longer exists"));
        }
    }
    let count = if options.count == 0 { COUNT_AFTER_WAIT } else { options.count };
    let mark = call.reply.defer();
    if read_key(ks, call, options, key, from, count)? {
        close_streams(call, mark, 1);
    } else {
        wait(call, options, &[], None);
    }
    Ok(())
}

fn close_streams(call: &mut Call<'_>, mark: Deferred, streams: usize) {
    match call.reply.proto {
        Proto::Resp2 => call.reply.close_array(mark, streams),
        Proto::Resp3 => call.reply.close_map(mark, streams),
    }
}

/// Checks key `i` and its id, and makes `$` the id it stands for.
fn starting_point(ks: &mut Keyspace, call: &mut Call<'_>, options: &Options<'_>, i: usize) -> Result<From, CmdError> {
    let key = call.arg(options.keys_at + i);
    let id = call.arg(options.keys_at + options.keys + i);
    let stream = ks.read_typed::<Stream>(key, call)?;
    if let Some((group, _)) = options.member {
        if !stream.is_some_and(|stream| stream.groups().contains_key(group)) {
            let text =
                [b"NOGROUP No such key '", key, b"' or consumer group '", group, b"' in XREADGROUP with GROUP option"];
            return Err(CmdError::text(text.concat()));
        }
    }
    match id {
        b"$" if options.member.is_some() => Err(CmdError::Fixed(
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by \
             specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.",
        )),
        b"$" => Ok(From::After(stream.map_or(StreamId::MIN, |stream| stream.log().last_id()))),
        b">" if options.member.is_none() => Err(CmdError::Fixed(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
        )),
        b">" => Ok(From::New),
        id => match StreamId::parse(id, 0).ok_or(INVALID_ID)? {
            // Quirk: the greatest id is how the reference notes `>`.
            StreamId::MAX if options.member.is_some() => Ok(From::New),
            id => Ok(From::After(id)),
        },
    }
}

/// Replies with one stream and what there is to read in it; `false`, and no reply, if that is nothing.
fn read_key(
    ks: &mut Keyspace,
    call: &mut Call<'_>,
    options: &Options<'_>,
    key: &[u8],
    from: From,
    count: usize,
) -> Result<bool, CmdError> {
    if let Some(member) = options.member {
        return read_as_member(ks, call, Member { key, name: member.0, consumer: member.1, options, count }, from);
    }
    let stream = match call.woken_by {
        Some(_) => ks.write_typed::<Stream>(key, call)?,
        None => consult(ks, key, call)?,
    };
    let (Some(stream), From::After(after)) = (stream, from) else { return Ok(false) };
    let log = stream.log();
    if log.last_entry_id().is_none_or(|last| last <= after) {
        return Ok(false);
    }
    open_stream(call, key);
    let start = after.next().expect("an entry is behind it");
    reply_entries(call.reply, log.range(start, StreamId::MAX), count);
    Ok(true)
}

fn open_stream(call: &mut Call<'_>, key: &[u8]) {
    if call.reply.proto == Proto::Resp2 {
        call.reply.array(2);
    }
    call.reply.bulk(key);
}

/// A read through a group.
struct Member<'a> {
    key: &'a [u8],
    /// The group's name.
    name: &'a [u8],
    consumer: &'a [u8],
    options: &'a Options<'a>,
    count: usize,
}

fn read_as_member(ks: &mut Keyspace, call: &mut Call<'_>, member: Member<'_>, from: From) -> Result<bool, CmdError> {
    let stream = match call.woken_by {
        Some(_) => ks.write_typed::<Stream>(member.key, call)?,
        None => consult(ks, member.key, call)?,
    };
    let Some(mut stream) = stream else { return Ok(false) };
    let (log, groups) = stream.split();
    let Some(group) = groups.get_mut(member.name) else { return Ok(false) };
    if from == From::New && log.last_entry_id().is_none_or(|last| last <= group.last_id) {
        return Ok(false);
    }
    open_stream(call, member.key);
    let consumer = member.join(group, call);
    match from {
        From::New => member.deliver(log, group, consumer, call),
        From::After(id) => member.history(log, group, consumer, id, call),
    }
    call.fx.dirty += 1;
    Ok(true)
}

impl Member<'_> {
    /// The consumer of that name, made if there is none.
    fn join(&self, group: &mut ConsumerGroup, call: &mut Call<'_>) -> ConsumerId {
        if let Some(id) = group.find(self.consumer) {
            group.consumer_mut(id).seen_time = call.now.0;
            return id;
        }
        let id = group.add_consumer(self.consumer, call.now.0).expect("there is none of that name");
        call.fx.dirty += 1;
        call.notify(self.key, CONSUMER_CREATED);
        if self.options.no_ack {
            // Otherwise the XCLAIM of an entry makes the consumer.
            call.replicate_as(&[b"XGROUP", b"CREATECONSUMER", self.key, self.name, self.consumer]);
        }
        id
    }

    /// What the group has not delivered yet.
    fn deliver(&self, log: &Log, group: &mut ConsumerGroup, consumer: ConsumerId, call: &mut Call<'_>) {
        let mark = call.reply.defer();
        let mut sent = 0;
        let start = group.last_id.next().expect("an entry is behind it");
        let limit = if self.count == 0 { usize::MAX } else { self.count };
        for entry in log.range(start, StreamId::MAX).take(limit) {
            advance(log, group, entry.id);
            reply_entry(call.reply, &entry);
            if !self.options.no_ack {
                let pending = group.deliver(entry.id, consumer, call.now.0);
                self.replicate(group, entry.id, pending, call);
            }
            sent += 1;
        }
        call.reply.close_array(mark, sent);
        group.consumer_mut(consumer).active_time = call.now.0;
        if self.options.no_ack && sent > 0 {
            replicate_position(call, self.key, self.name, group);
        }
    }

    fn replicate(
        &self,
        group: &ConsumerGroup,
        id: StreamId,
        pending: crate::value::stream::Pending,
        call: &mut Call<'_>,
    ) {
        if call.wants_ops() {
            replicate_pending(call, self.key, self.name, group, &id.to_text(), pending);
        }
    }

    /// What is pending with the consumer. Of an entry that is deleted only the id is left.
    fn history(
        &self,
        log: &Log,
        group: &mut ConsumerGroup,
        consumer: ConsumerId,
        after: StreamId,
        call: &mut Call<'_>,
    ) {
        let start = after.next().unwrap_or(StreamId::MIN);
        let limit = if self.count == 0 { usize::MAX } else { self.count };
        let ids: Vec<StreamId> = group.consumer(consumer).pending().range(start..).take(limit).copied().collect();
        call.reply.array(ids.len());
        for id in ids {
            match log.range(id, id).next() {
                Some(entry) => {
                    reply_entry(call.reply, &entry);
                    group.deliver_again(id, call.now.0);
                }
                None => {
                    call.reply.array(2);
                    reply_id(call.reply, id);
                    call.reply.null_array();
                }
            }
        }
    }
}

/// Notes that `id` is the last entry delivered, and how many that makes, where it can be known.
fn advance(log: &Log, group: &mut ConsumerGroup, id: StreamId) {
    if group.entries_read != UNKNOWN && !log.has_tombstones_from(id) {
        group.entries_read = group.entries_read.wrapping_add(1);
    } else if log.entries_added() > 0 {
        group.entries_read = log.added_up_to(id).unwrap_or(UNKNOWN);
    }
    group.last_id = id;
}

/// Tells AOF and replicas how far a group is.
pub(super) fn replicate_position(call: &mut Call<'_>, key: &[u8], name: &[u8], group: &ConsumerGroup) {
    let mut read = Vec::new();
    num::write_i64(&mut read, group.entries_read);
    call.replicate_as(&[b"XGROUP", b"SETID", key, name, &group.last_id.to_text(), b"ENTRIESREAD", &read]);
}

/// Waits for the keys. What runs again names the ids that `$` stands for now.
fn wait(call: &mut Call<'_>, options: &Options<'_>, from: &[From], deadline: Option<Millis>) {
    let keys = call.args.from(options.keys_at).take(options.keys);
    let what = if options.member.is_some() { WaitFor::Group } else { WaitFor::Stream };
    let mut on = BlockOn::new(what, keys, deadline);
    let ids_at = options.keys_at + options.keys;
    if call.args.from(ids_at).any(|id| id == b"$") {
        let mut argv = Argv::new();
        for (i, arg) in call.args.iter().enumerate() {
            match i.checked_sub(ids_at).and_then(|i| from.get(i)) {
                Some(From::After(id)) if arg == b"$" => argv.push(&id.to_text()),
                _ => argv.push(arg),
            }
        }
        on = on.rerun_as(argv);
    }
    call.block_on(on);
}
