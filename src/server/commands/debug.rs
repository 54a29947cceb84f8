//! DEBUG: what tests and bug hunters ask for, and nobody else should.
//!
//! *Duty:* the table of what there is ([`SUBCOMMANDS`]), and the short ones; [`look`] and [`digest`] have those that
//! look at data, [`knobs`] those that turn something, [`harm`] those that try the process.
//! *Does not know:* subcommands of parts that are not built; they are refused as unknown.
//! *Invariant:* nothing is done for a client that `enable-debug-command` keeps out. DEBUG is one command and not a
//! container, as in 7.0: its subcommands have no rows. *Counterpart in C Redis:* `debugCommand`.

mod digest;
mod harm;
mod knobs;
mod look;

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ServerCommand, ServerHandler};
use crate::base::glob::{self, Case};
use crate::base::{float, num, units};
use crate::call::{Call, CmdError, CmdResult};
use crate::command::help::unknown_or_misused;
use crate::command::spec::*;
use crate::config::Locality;
use crate::ds::quicklist::Shape;
use crate::keyspace::{Expire, New, event};
use crate::net::stream::is_loopback;
use crate::resp::Proto;
use crate::server::Server;
use crate::sys::crash;

pub const COMMANDS: &[ServerCommand] = &[DEBUG];

pub const DEBUG: ServerCommand = Command::new(
    debugCommand,
    Spec {
        name: "debug",
        arity: -2,
        flags: ADMIN.or(NOSCRIPT).or(LOADING).or(STALE),
        group: Group::Server,
        complexity: "Depends on subcommand.",
        summary: "Looks into the server, or harms it, for tests.",
        ..Spec::BASE
    },
);

struct Subcommand {
    name: &'static str,
    /// How many arguments there may be, DEBUG and the name included.
    arguments: RangeInclusive<usize>,
    run: ServerHandler,
    /// Usage, and what it does.
    help: &'static [&'static str],
}

const fn sub(
    name: &'static str,
    arguments: RangeInclusive<usize>,
    run: ServerHandler,
    help: &'static [&'static str],
) -> Subcommand {
    Subcommand { name, arguments, run, help }
}

#[rustfmt::skip]
const SUBCOMMANDS: &[Subcommand] = &[
    sub("ASSERT", 2..=2, knobs::assert, &[
        "ASSERT",
        "    Ends the server as a failed assertion does.",
    ]),
    sub("CHANGE-REPL-ID", 2..=2, knobs::change_replid, &[
        "CHANGE-REPL-ID",
        "    Gives the data set another replication id, so that no replica can go on with it.",
    ]),
    sub("CLIENT-EVICTION", 2..=2, harm::client_classes, &[
        "CLIENT-EVICTION",
        "    Shows how many clients of each size there are, and what they take.",
    ]),
    sub("CONFIG-REWRITE-FORCE-ALL", 2..=2, rewrite_all, &[
        "CONFIG-REWRITE-FORCE-ALL",
        "    As CONFIG REWRITE, parameters at their defaults included.",
    ]),
    sub("CRASH-AND-RECOVER", 2..=usize::MAX, harm::crash_and_recover, &[
        "CRASH-AND-RECOVER [<milliseconds>]",
        "    Drops everything and starts the program again, after so long.",
    ]),
    sub("DIGEST", 2..=2, digest::digest, &[
        "DIGEST",
        "    Shows a number that is the same for two servers that hold the same data.",
    ]),
    sub("DIGEST-VALUE", 2..=usize::MAX, digest::digest_value, &[
        "DIGEST-VALUE <key> [<key> ...]",
        "    Shows such a number for the value of each key.",
    ]),
    sub("ERROR", 3..=3, error, &[
        "ERROR <string>",
        "    Answers with this error.",
    ]),
    sub("HTSTATS", 3..=3, look::table_figures, &[
        "HTSTATS <dbid>",
        "    Shows how full the tables of a database are.",
    ]),
    sub("HTSTATS-KEY", 3..=3, look::value_table_figures, &[
        "HTSTATS-KEY <key>",
        "    Shows how full the table of a value is.",
    ]),
    sub("LEAK", 3..=3, harm::leak, &[
        "LEAK <string>",
        "    Copies a string and forgets where the copy is.",
    ]),
    sub("LISTPACK", 3..=3, look::listpack, &[
        "LISTPACK <key>",
        "    Prints the elements of a packed hash or sorted set.",
    ]),
    sub("LOG", 3..=3, log, &[
        "LOG <message>",
        "    Writes a line to the log.",
    ]),
    sub("MALLCTL", 3..=4, knobs::mallctl, &[
        "MALLCTL <key> [<val>]",
        "    Shows or sets a number of the allocator.",
    ]),
    sub("MALLCTL-STR", 3..=4, knobs::mallctl_text, &[
        "MALLCTL-STR <key> [VOID]",
        "    Shows a text of the allocator, or carries an order out.",
    ]),
    sub("OBJECT", 3..=3, look::object, &[
        "OBJECT <key>",
        "    Shows where and how the value of <key> is kept.",
    ]),
    sub("OOM", 2..=usize::MAX, harm::out_of_memory, &[
        "OOM",
        "    Ends the server as a want of memory does.",
    ]),
    sub("PANIC", 2..=usize::MAX, panic, &[
        "PANIC",
        "    Ends the server as a failed assertion does.",
    ]),
    sub("PAUSE-CRON", 3..=3, knobs::pause_cron, &[
        "PAUSE-CRON <0|1>",
        "    With 1, nothing is done that is done now and then.",
    ]),
    sub("POPULATE", 3..=5, populate, &[
        "POPULATE <count> [<prefix>] [<size>]",
        "    Makes <count> strings named <prefix>:<number>, of <size> bytes. Replicas",
        "    are not told.",
    ]),
    sub("PROTOCOL", 3..=3, protocol, &[
        "PROTOCOL <type>",
        "    Answers with a value of this type of the protocol: string, integer,",
        "    double, bignum, null, array, set, map, attrib, push, verbatim, true, false.",
    ]),
    sub("QUICKLIST", 3..=4, look::quicklist, &[
        "QUICKLIST <key> [<0|1>]",
        "    Prints the nodes of a list, with 1 their elements as well.",
    ]),
    sub("QUICKLIST-PACKED-THRESHOLD", 3..=3, set_packed_threshold, &[
        "QUICKLIST-PACKED-THRESHOLD <size>",
        "    List elements of so many bytes have a node of their own, in lists that",
        "    become long from now on. 0 is the default of 1gb.",
    ]),
    sub("AOF-FLUSH-SLEEP", 3..=3, knobs::aof_flush_sleep, &[
        "AOF-FLUSH-SLEEP <microseconds>",
        "    The server sleeps so long before each write to the append only file.",
    ]),
    sub("LOADAOF", 2..=2, load_aof, &[
        "LOADAOF",
        "    Writes what is left to the append only file, empties the server and loads it.",
    ]),
    sub("RELOAD", 2..=usize::MAX, reload, &[
        "RELOAD [option ...]",
        "    Saves the data, empties the server and loads what was saved. NOSAVE and",
        "    NOFLUSH leave a step out; keys of the file replace those that are there",
        "    (which MERGE asks for as well).",
    ]),
    sub("REPLYBUFFER", 4..=4, knobs::reply_buffer, &[
        "REPLYBUFFER PEAK-RESET-TIME <NEVER|RESET|milliseconds>",
        "    Is checked and changes nothing: buffers return to a pool when they are written.",
        "REPLYBUFFER RESIZING <0|1>",
        "    With 0, connections keep their reply buffers.",
    ]),
    sub("RESTART", 2..=usize::MAX, harm::restart, &[
        "RESTART [<milliseconds>]",
        "    Saves what is to be saved, rewrites the configuration file and starts the",
        "    program again, after so long.",
    ]),
    sub("SDSLEN", 3..=3, look::string_lengths, &[
        "SDSLEN <key>",
        "    Shows how much room a string and its key have.",
    ]),
    sub("SEGFAULT", 2..=usize::MAX, segfault, &[
        "SEGFAULT",
        "    Ends the server as a bad access to memory does.",
    ]),
    sub("SET-ACTIVE-EXPIRE", 3..=3, set_active_expire, &[
        "SET-ACTIVE-EXPIRE <0|1>",
        "    With 0, keys expire only when somebody looks at them.",
    ]),
    sub("SET-DISABLE-DENY-SCRIPTS", 3..=3, harm::allow_noscript, &[
        "SET-DISABLE-DENY-SCRIPTS <0|1>",
        "    With 1, scripts may call commands that are not meant for them.",
    ]),
    sub("SET-SKIP-CHECKSUM-VALIDATION", 3..=3, knobs::skip_checksums, &[
        "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
        "    With 1, wrong checksums of files and payloads do not matter.",
    ]),
    sub("SLEEP", 3..=3, sleep, &[
        "SLEEP <seconds>",
        "    Stops the server for so long.",
    ]),
    sub("STRUCTSIZE", 2..=2, knobs::sizes, &[
        "STRUCTSIZE",
        "    Shows how large some structures are.",
    ]),
    sub("STRINGMATCH-LEN", 4..=4, match_pattern, &[
        "STRINGMATCH-LEN <pattern> <string>",
        "    Tells whether a pattern matches.",
    ]),
    sub("STRINGMATCH-TEST", 2..=2, harm::try_patterns, &[
        "STRINGMATCH-TEST",
        "    Matches random patterns against random strings.",
    ]),
];

const REFUSAL: &str = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run \
                       it from a local connection, otherwise you need to set this option in the configuration file, \
                       and then restart the server.";

/// It bears the name that it has in Redis, because stack traces are searched for it.
#[allow(non_snake_case)]
fn debugCommand(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if !srv.config.enable_debug_command.allows(locality(srv, call)) {
        return Err(CmdError::Fixed(REFUSAL));
    }
    if call.args.len() == 2 && call.args.is(1, "HELP") {
        let lines: Vec<&str> = SUBCOMMANDS.iter().flat_map(|s| s.help).copied().collect();
        crate::command::help::reply(call, &lines);
        return Ok(());
    }
    let meant = |s: &&Subcommand| call.args.is(1, s.name) && s.arguments.contains(&call.args.len());
    match SUBCOMMANDS.iter().find(meant) {
        Some(subcommand) => (subcommand.run)(srv, call),
        None => Err(unknown_or_misused(call)),
    }
}

fn locality(srv: &Server, call: &Call<'_>) -> Locality {
    let stream = &srv.clients[call.caller.client.slot as usize].stream;
    let peer = stream.peer();
    if stream.is_unix() || (peer.is_some() && is_loopback(peer)) { Locality::Local } else { Locality::Remote }
}

fn error(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    call.reply.error(call.args.get(2));
    Ok(())
}

fn log(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    log::warn!("DEBUG LOG: {}", String::from_utf8_lossy(call.arg(2)));
    call.reply.ok();
    Ok(())
}

fn panic(srv: &mut Server, _: &mut Call<'_>) -> CmdResult {
    panic!("DEBUG PANIC called at Unix time {}", srv.clock.now().secs());
}

fn segfault(_: &mut Server, _: &mut Call<'_>) -> CmdResult {
    crash::fault();
    Err(CmdError::Fixed("ERR the fault was survived"))
}

fn rewrite_all(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    srv.rewrite_config(true)?;
    call.reply.ok();
    Ok(())
}

fn set_active_expire(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    srv.ks.settings.active_expire = num::parse_i64(call.arg(2)).is_some_and(|n| n != 0);
    call.reply.ok();
    Ok(())
}

fn set_packed_threshold(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    const MAX: u64 = (1 << 32) - (1 << 20);
    let size = units::parse_memory(call.arg(2)).filter(|size| *size <= MAX);
    srv.ks.settings.limits.list_packed_threshold = match size {
        Some(0) => Shape::ALONE,
        Some(size) => size as usize,
        None => {
            return Err(CmdError::Fixed("ERR argument must be a memory value bigger than 1 and smaller than 4gb"));
        }
    };
    call.reply.ok();
    Ok(())
}

fn reload(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let (mut save, mut flush, mut merge) = (true, true, false);
    for option in call.args.from(2) {
        match option.to_ascii_uppercase().as_slice() {
            b"NOSAVE" => save = false,
            b"NOFLUSH" => flush = false,
            b"MERGE" => merge = true,
            _ => {
                return Err(CmdError::Fixed("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options."));
            }
        }
    }
    srv.debug_reload(save, flush, merge)?;
    call.reply.ok();
    Ok(())
}

fn load_aof(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    srv.debug_load_aof()?;
    call.reply.ok();
    Ok(())
}

fn sleep(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let seconds = float::parse_f64(call.arg(2)).unwrap_or_default();
    if let Ok(time) = Duration::try_from_secs_f64(seconds) {
        std::thread::sleep(time);
    }
    // Who comes next in this turn must not live in the past. For a script, time stands still.
    if srv.hosting.running.is_none() {
        srv.clock.refresh();
        srv.ks.access.tick(srv.clock.now());
    }
    call.reply.ok();
    Ok(())
}

fn match_pattern(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let found = glob::matches(call.arg(2), call.arg(3), Case::Sensitive);
    call.reply.int(found as i64);
    Ok(())
}

/// Room made at once for POPULATE, at most; beyond it tables grow as ever.
const POPULATE_RESERVE_MAX: usize = 1 << 26;

fn populate(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let count = positive(call.arg(2))?;
    let prefix = call.args.opt(3).unwrap_or(b"key");
    let size = match call.args.opt(4) {
        None => 0,
        Some(size) => positive(size)?,
    };
    if size as u64 > srv.ks.settings.max_string {
        return Err(CmdError::Fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)"));
    }
    let db = call.db();
    srv.ks.db_mut(db).entries.reserve(count.min(POPULATE_RESERVE_MAX));
    for i in 0..count {
        let key = [prefix, format!(":{i}").as_bytes()].concat();
        if srv.ks.write(&key, call).is_some() {
            continue;
        }
        let mut value = format!("value:{i}").into_bytes();
        if size > 0 {
            value.resize(size, 0);
        }
        srv.ks.put(&key, New::Bytes(&value), Expire::Clear, call);
        call.notify(&key, event::NEW);
        call.fx.touch(db, &key);
    }
    call.reply.ok();
    Ok(())
}

fn positive(arg: &[u8]) -> Result<usize, CmdError> {
    let n = num::parse_i64(arg).and_then(|n| usize::try_from(n).ok());
    n.ok_or(CmdError::Fixed("ERR value is out of range, must be positive"))
}

#[allow(clippy::approx_constant, reason = "the value that tests expect, not pi")]
const PROTOCOL_DOUBLE: f64 = 3.141;

fn protocol(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let name = call.arg(2).to_ascii_lowercase();
    let reply = &mut *call.reply;
    match name.as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.int(12345),
        b"double" => reply.double(PROTOCOL_DOUBLE),
        b"bignum" => reply.big_number(b"1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" | b"set" => {
            if name == b"set" {
                reply.set(3);
            } else {
                reply.array(3);
            }
            (0..3).for_each(|i| reply.int(i));
        }
        b"map" => {
            reply.map(3);
            for i in 0..3 {
                reply.int(i);
                reply.boolean(i == 1);
            }
        }
        b"attrib" => {
            if reply.proto == Proto::Resp3 {
                reply.attribute(1);
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.int(90);
            }
            // An attribute belongs to a reply: here it is.
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" if reply.proto == Proto::Resp2 => {
            return Err(CmdError::Fixed("ERR RESP2 is not supported by this command"));
        }
        b"push" => {
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.int(42);
            // A push answers nothing, so an answer follows.
            reply.bulk(b"Some real reply following the push reply");
        }
        b"true" | b"false" => reply.boolean(name == b"true"),
        b"verbatim" => reply.verbatim("txt", b"This is a verbatim\nstring"),
        _ => {
            return Err(CmdError::Fixed(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}
