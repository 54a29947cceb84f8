//! COMMAND, COMMAND COUNT, INFO, DOCS, GETKEYS, GETKEYSANDFLAGS, LIST, HELP.
//!
//! *Duty:* the rows, and which commands a request means. *Does not know:* how a row is shown (`describe`).
//! *Counterpart in C Redis:* `commandCommand` and its kin in `server.c`, `getKeysSubcommandImpl`.

mod by_hand;
mod describe;

use super::{ServerCommand, ServerHandler};
use crate::base::glob::{self, Case};
use crate::call::{Args, Call, CmdError, CmdResult};
use crate::command::generic::sort;
use crate::command::spec::*;
use crate::server::Server;
use crate::server::registry::{Registry, Row};

pub const COMMANDS: &[ServerCommand] = &[
    COMMAND,
    COMMAND_COUNT,
    COMMAND_DOCS,
    COMMAND_GETKEYS,
    COMMAND_GETKEYSANDFLAGS,
    COMMAND_HELP,
    COMMAND_INFO,
    COMMAND_LIST,
];

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    Command::new(run, Spec { group: Group::Server, flags: LOADING.or(STALE), acl: Categories::CONNECTION, ..spec })
}

const UNORDERED: &[&str] = &["nondeterministic_output_order"];

pub const COMMAND: ServerCommand = row(
    all,
    Spec {
        name: "command",
        arity: -1,
        since: "2.8.13",
        complexity: "O(N) where N is the total number of Redis commands",
        summary: "Describes all commands.",
        tips: UNORDERED,
        ..Spec::BASE
    },
);

fn all(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    call.reply.array(srv.registry.commands().count());
    for (_, row) in srv.registry.commands() {
        describe::info(&srv.registry, row, call.reply);
    }
    Ok(())
}

pub const COMMAND_COUNT: ServerCommand = row(
    count,
    Spec {
        name: "command|count",
        arity: 2,
        since: "2.8.13",
        complexity: "O(1)",
        summary: "Counts the commands.",
        ..Spec::BASE
    },
);

fn count(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    call.reply.len_of(srv.registry.commands().count());
    Ok(())
}

pub const COMMAND_INFO: ServerCommand = row(
    info,
    Spec {
        name: "command|info",
        arity: -2,
        since: "2.8.13",
        complexity: "O(N) where N is the number of commands to look up",
        summary: "Describes commands as clients need to know them: the named ones, or all.",
        syntax: "[command-name [command-name ...]]",
        tips: UNORDERED,
        history: &[("7.0.0", "Without a name it describes all.")],
        ..Spec::BASE
    },
);

fn info(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if call.args.len() == 2 {
        return all(srv, call);
    }
    call.reply.array(call.args.len() - 2);
    for name in call.args.from(2) {
        match srv.registry.by_full_name(name) {
            Some(id) => describe::info(&srv.registry, srv.registry.row(id), call.reply),
            None => call.reply.null(),
        }
    }
    Ok(())
}

pub const COMMAND_DOCS: ServerCommand = row(
    docs,
    Spec {
        name: "command|docs",
        arity: -2,
        since: "7.0.0",
        complexity: "O(N) where N is the number of commands to look up",
        summary: "Describes commands as people need to know them: the named ones, or all.",
        syntax: "[command-name [command-name ...]]",
        tips: UNORDERED,
        ..Spec::BASE
    },
);

fn docs(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let registry = &srv.registry;
    let wanted: Vec<&Row> = if call.args.len() == 2 {
        registry.commands().map(|(_, row)| row).collect()
    } else {
        let found = call.args.from(2).filter_map(|name| registry.by_full_name(name));
        found.map(|id| registry.row(id)).collect()
    };
    call.reply.map(wanted.len());
    for row in wanted {
        call.reply.bulk(row.spec.name.as_bytes());
        describe::docs(registry, row, call.reply);
    }
    Ok(())
}

pub const COMMAND_LIST: ServerCommand = row(
    list,
    Spec {
        name: "command|list",
        arity: -2,
        since: "7.0.0",
        complexity: "O(N) where N is the total number of Redis commands",
        summary: "Lists the names of all commands and subcommands, or of some.",
        syntax: "[FILTERBY <MODULE module-name|ACLCAT category|PATTERN pattern>:filterby]",
        tips: UNORDERED,
        ..Spec::BASE
    },
);

/// What COMMAND LIST leaves over.
enum Filter<'a> {
    None,
    /// There are no modules, so nothing is of one.
    Module,
    Category(Option<Categories>),
    Pattern(&'a [u8]),
}

impl Filter<'_> {
    fn passes(&self, spec: &Spec) -> bool {
        match self {
            Filter::None => true,
            Filter::Module => false,
            Filter::Category(category) => category.is_some_and(|c| spec.categories().has(c)),
            Filter::Pattern(pattern) => glob::matches(pattern, spec.name.as_bytes(), Case::Insensitive),
        }
    }
}

/// A later filter takes the place of an earlier one, but only the last two words can be one.
fn filter(args: Args<'_>) -> Result<Filter<'_>, CmdError> {
    if args.len() == 2 {
        return Ok(Filter::None);
    }
    if args.len() != 5 || !args.is(2, "filterby") {
        return Err(CmdError::Syntax);
    }
    let value = args.get(4);
    if args.is(3, "module") {
        Ok(Filter::Module)
    } else if args.is(3, "aclcat") {
        let named = |name: &str| name.as_bytes().eq_ignore_ascii_case(value);
        let bit = Categories::NAMES.iter().position(|name| named(name));
        Ok(Filter::Category(bit.map(|bit| Categories(1 << bit))))
    } else if args.is(3, "pattern") {
        Ok(Filter::Pattern(value))
    } else {
        Err(CmdError::Syntax)
    }
}

fn list(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let filter = filter(call.args)?;
    let mark = call.reply.defer();
    let mut found = 0;
    let mut show = |row: &Row| {
        if filter.passes(row.spec) {
            call.reply.bulk(row.spec.name.as_bytes());
            found += 1;
        }
    };
    for (_, row) in srv.registry.commands() {
        show(row);
        row.subcommands.iter().for_each(|id| show(srv.registry.row(*id)));
    }
    call.reply.close_array(mark, found);
    Ok(())
}

pub const COMMAND_GETKEYS: ServerCommand = row(
    |srv, call| keys(&srv.registry, call, |reply, key, _| reply.bulk(key)),
    Spec {
        name: "command|getkeys",
        arity: -4,
        since: "2.8.13",
        complexity: "O(N) where N is the number of arguments to the command",
        summary: "Finds the keys in a command.",
        ..Spec::BASE
    },
);

pub const COMMAND_GETKEYSANDFLAGS: ServerCommand = row(
    |srv, call| {
        keys(&srv.registry, call, |reply, key, flags| {
            reply.array(2);
            reply.bulk(key);
            describe::key_flags(flags, reply);
        })
    },
    Spec {
        name: "command|getkeysandflags",
        arity: -4,
        since: "7.0.0",
        complexity: "O(N) where N is the number of arguments to the command",
        summary: "Finds the keys in a command, and tells what it does with each.",
        ..Spec::BASE
    },
);

type ShowKey = fn(&mut crate::resp::ReplyBuf, &[u8], KeyFlags);

fn keys(registry: &Registry, call: &mut Call<'_>, show: ShowKey) -> CmdResult {
    // The command begins at the third word; the rest is not copied but for this rare request.
    let argv = call.args.from(2).fold(crate::resp::Argv::new(), |mut argv, word| {
        argv.push(word);
        argv
    });
    let args = Args::of(&argv);
    let Ok(id) = registry.lookup(args) else {
        return Err(CmdError::Fixed("ERR Invalid command specified"));
    };
    let spec = registry.row(id).spec;
    if spec.keys.is_empty() {
        return Err(CmdError::Fixed("ERR The command has no key arguments"));
    }
    if !spec.arity_fits(args.len()) {
        return Err(CmdError::Fixed("ERR Invalid number of arguments specified for command"));
    }
    let found = found_keys(spec, args);
    if found.is_empty() && !spec.flags.has(NO_MANDATORY_KEYS) {
        return Err(CmdError::Fixed("ERR Invalid arguments specified for command"));
    }
    call.reply.array(found.len());
    for (at, flags) in found {
        show(call.reply, args.get(at), flags);
    }
    Ok(())
}

/// Where the keys are, with what is done to each; nothing when the arguments are malformed.
pub fn found_keys(spec: &Spec, args: Args<'_>) -> Vec<(usize, KeyFlags)> {
    if let Some(found) = by_hand::keys(spec, args) {
        return found;
    }
    let mut found = Vec::new();
    for keys in spec.keys.iter().filter(|keys| !keys.flags.has(KeyFlags::NOT_KEY)) {
        match keys.positions(args) {
            Some(places) if !places.is_empty() => {
                found.extend(places.into_iter().map(|at| (at, keys.flags)));
            }
            // The word may be left out; and what cannot be known beforehand is left out here.
            _ if !matches!(keys.begin, Begin::Index(_)) => {}
            _ => return Vec::new(),
        }
    }
    if spec.name == "sort" {
        found.extend(sort::store_key(args).map(|at| (at, KeyFlags::OW.or(KeyFlags::UPDATE))));
    }
    found
}

pub const COMMAND_HELP: ServerCommand = row(
    help,
    Spec {
        name: "command|help",
        arity: 2,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Lists the subcommands.",
        ..Spec::BASE
    },
);

fn help(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    crate::command::help::reply(
        call,
        &[
            "(no subcommand)",
            "    Describes all commands.",
            "COUNT",
            "    Counts the commands.",
            "LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
            "    Lists the names of all commands and subcommands, or of some.",
            "INFO [<command-name> ...]",
            "    Describes commands as clients need to know them: the named ones, or all.",
            "DOCS [<command-name> ...]",
            "    Describes commands as people need to know them: the named ones, or all.",
            "GETKEYS <full-command>",
            "    Finds the keys in a command.",
            "GETKEYSANDFLAGS <full-command>",
            "    Finds the keys in a command, and tells what it does with each.",
        ],
    );
    Ok(())
}
