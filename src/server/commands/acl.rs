//! ACL: users shown, changed, kept in files; [`log`] has the log of refusals.
//!
//! *Duty:* the rows, and the answers. *Does not know:* what a rule means (`acl`), what follows from a change (`access`).
//! *Counterpart in C Redis:* `aclCommand`.

mod log;

use std::fs::File;
use std::io::Read;

use super::{ServerCommand, ServerHandler};
use crate::acl::selector::Selector;
use crate::acl::user::merge_selectors;
use crate::acl::users::DEFAULT;
use crate::acl::{Commands, Denied, has_spaces};
use crate::call::{Args, Call, CmdError, CmdResult};
use crate::command::help::{self, unknown_or_misused};
use crate::command::spec::*;
use crate::resp::{Argv, ReplyBuf};
use crate::server::Server;

pub const COMMANDS: &[ServerCommand] =
    &[ACL, CAT, DELUSER, DRYRUN, GENPASS, GETUSER, HELP, LIST, LOAD, log::LOG, SAVE, SETUSER, USERS, WHOAMI];

const fn row(run: ServerHandler, spec: Spec) -> ServerCommand {
    Command::new(run, Spec { group: Group::Server, ..spec })
}

/// For everybody.
const OPEN: Spec = Spec { flags: NOSCRIPT.or(LOADING).or(STALE), since: "6.0.0", ..Spec::BASE };
/// For those who manage users.
const MANAGE: Spec = Spec { flags: ADMIN.or(OPEN.flags), ..OPEN };
const ON_ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

pub const ACL: ServerCommand = row(
    |_, _| Err(CmdError::Syntax),
    Spec {
        name: "acl",
        arity: -2,
        flags: Flags::NONE,
        complexity: "Depends on subcommand.",
        summary: "A container for commands about users and their rights.",
        ..OPEN
    },
);

pub const CAT: ServerCommand = row(
    cat,
    Spec {
        name: "acl|cat",
        arity: -2,
        complexity: "O(1) since the categories and commands are a fixed set.",
        summary: "Lists the categories of commands, or the commands of one.",
        syntax: "[categoryname]",
        ..OPEN
    },
);

fn cat(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    match call.args.len() {
        2 => {
            call.reply.array(Categories::NAMES.len());
            Categories::NAMES.iter().for_each(|name| call.reply.bulk(name.as_bytes()));
        }
        3 => {
            let name = call.arg(2);
            let unknown = || CmdError::text([b"ERR Unknown category '", name, b"'"].concat());
            let category = Commands::category(name).ok_or_else(unknown)?;
            let commands = &srv.acl.commands;
            let found: Vec<_> = commands.in_order().filter(|id| commands.is_in(*id, category)).collect();
            call.reply.array(found.len());
            found.iter().for_each(|id| call.reply.bulk(commands.spec(*id).name.as_bytes()));
        }
        _ => return Err(unknown_or_misused(call)),
    }
    Ok(())
}

pub const DELUSER: ServerCommand = row(
    deluser,
    Spec {
        name: "acl|deluser",
        arity: -3,
        complexity: "O(1) amortized time considering the typical user.",
        summary: "Removes users, and closes their connections.",
        syntax: "username [username ...]",
        tips: ON_ALL_NODES,
        ..MANAGE
    },
);

fn deluser(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    if call.args.from(2).any(|name| name == DEFAULT) {
        return Err(CmdError::Fixed("ERR The 'default' user cannot be removed"));
    }
    let removed = srv.remove_users(call.args.from(2), call.caller.client.slot as usize);
    call.reply.len_of(removed);
    Ok(())
}

pub const DRYRUN: ServerCommand = row(
    dryrun,
    Spec {
        name: "acl|dryrun",
        arity: -4,
        since: "7.0.0",
        complexity: "O(1).",
        summary: "Tells whether a user may run a command, without running it.",
        syntax: "username command [(arg) [(arg) ...]]",
        ..MANAGE
    },
);

fn dryrun(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let name = call.arg(2);
    let no_user = || CmdError::text([b"ERR User '", name, b"' not found"].concat());
    let user = srv.acl.users.find(name).ok_or_else(no_user)?;
    // The command begins at the fourth word; the rest is not copied but for this rare request.
    let argv = call.args.from(3).fold(Argv::new(), |mut argv, word| {
        argv.push(word);
        argv
    });
    let args = Args::of(&argv);
    let no_command = |_| CmdError::text([b"ERR Command '", args.get(0), b"' not found"].concat());
    let row = srv.registry.lookup(args).map_err(no_command)?;
    let spec = srv.registry.row(row).spec;
    if !spec.arity_fits(args.len()) {
        return Err(CmdError::Arity(spec.name.into()));
    }
    let (verb, what, kind): (&str, &[u8], &str) = match srv.acl_check(Some(user), row, args) {
        Ok(()) => {
            call.reply.ok();
            return Ok(());
        }
        Err(Denied::Command) => ("run", spec.name.as_bytes(), "command"),
        Err(Denied::Key(at)) => ("access", args.get(at), "key"),
        Err(Denied::Channel(at)) => ("access", args.get(at), "channel"),
    };
    let head = format!("This user has no permissions to {verb} the '");
    call.reply.bulk(&[head.as_bytes(), what, b"' ", kind.as_bytes()].concat());
    Ok(())
}

pub const GENPASS: ServerCommand = row(
    genpass,
    Spec {
        name: "acl|genpass",
        arity: -2,
        complexity: "O(1)",
        summary: "Makes a password that nobody can guess.",
        syntax: "[bits]",
        ..OPEN
    },
);

const PASSWORD_BITS: i64 = 256;
const PASSWORD_BITS_MAX: i64 = 4096;

fn genpass(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let bits = match call.args.len() {
        2 => PASSWORD_BITS,
        3 => call.args.int(2)?,
        _ => return Err(unknown_or_misused(call)),
    };
    if !(1..=PASSWORD_BITS_MAX).contains(&bits) {
        return Err(CmdError::Fixed(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        ));
    }
    let mut bytes = vec![0; (bits as usize).div_ceil(8)];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| CmdError::text(format!("ERR The kernel gives no random bytes: {error}")))?;
    let mut digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.truncate((bits as usize).div_ceil(4));
    call.reply.bulk(digits.as_bytes());
    Ok(())
}

pub const GETUSER: ServerCommand = row(
    getuser,
    Spec {
        name: "acl|getuser",
        arity: 3,
        complexity: "O(N). Where N is the number of password, command and pattern rules that the user has.",
        summary: "Shows a user.",
        syntax: "username",
        history: &[("6.2.0", "Shows channels."), ("7.0.0", "Shows selectors, and rights as rules.")],
        ..MANAGE
    },
);

fn getuser(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let Some(user) = srv.acl.users.by_name(call.arg(2)) else {
        call.reply.null();
        return Ok(());
    };
    let (commands, reply) = (&srv.acl.commands, &mut *call.reply);
    reply.map(6);
    reply.bulk(b"flags");
    let flags = user.flags();
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"passwords");
    reply.array(user.passwords.len());
    user.passwords.iter().for_each(|digits| reply.bulk(digits));
    show_selector(&user.selectors[0], commands, reply);
    reply.bulk(b"selectors");
    reply.array(user.selectors.len() - 1);
    for selector in &user.selectors[1..] {
        reply.map(3);
        show_selector(selector, commands, reply);
    }
    Ok(())
}

fn show_selector(selector: &Selector, commands: &Commands, reply: &mut ReplyBuf) {
    let parts = [
        ("commands", selector.describe_commands(commands)),
        ("keys", selector.describe_keys()),
        ("channels", selector.describe_channels()),
    ];
    for (name, text) in parts {
        reply.bulk(name.as_bytes());
        reply.bulk(&text);
    }
}

pub const LIST: ServerCommand = row(
    list,
    Spec {
        name: "acl|list",
        arity: 2,
        complexity: "O(N). Where N is the number of configured users.",
        summary: "Shows all users as the lines that would make them.",
        ..MANAGE
    },
);

fn list(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let text = srv.acl.users.to_text(srv.acl.grammar(&srv.config));
    let lines = text.strip_suffix(b"\n").unwrap_or(&text).split(|byte| *byte == b'\n');
    call.reply.array(srv.acl.users.iter().len());
    lines.for_each(|line| call.reply.bulk(line));
    Ok(())
}

pub const LOAD: ServerCommand = row(
    load,
    Spec {
        name: "acl|load",
        arity: 2,
        complexity: "O(N). Where N is the number of configured users.",
        summary: "Reads the file of users again: all of it or, if there is an error, nothing.",
        ..MANAGE
    },
);

fn load(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    srv.load_acl_file(call.caller.client.slot as usize)?;
    call.reply.ok();
    Ok(())
}

pub const SAVE: ServerCommand = row(
    save,
    Spec {
        name: "acl|save",
        arity: 2,
        complexity: "O(N). Where N is the number of configured users.",
        summary: "Writes all users to the file of users.",
        tips: ON_ALL_NODES,
        ..MANAGE
    },
);

fn save(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    srv.save_acl_file()?;
    call.reply.ok();
    Ok(())
}

pub const SETUSER: ServerCommand = row(
    setuser,
    Spec {
        name: "acl|setuser",
        arity: -3,
        complexity: "O(N). Where N is the number of rules provided.",
        summary: "Makes or changes a user: by all rules that are given or, if one is refused, not at all.",
        syntax: "username [(rule) [(rule) ...]]",
        tips: ON_ALL_NODES,
        history: &[("6.2.0", "Rules about channels."), ("7.0.0", "Selectors, and rights to read or to write keys.")],
        ..MANAGE
    },
);

fn setuser(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let name = call.arg(2);
    if has_spaces(name) {
        return Err(CmdError::Fixed("ERR Usernames can't contain spaces or null characters"));
    }
    let words: Vec<&[u8]> = call.args.from(3).collect();
    let rules = merge_selectors(&words).map_err(|start| {
        CmdError::text([b"ERR Unmatched parenthesis in acl selector starting at '", words[start], b"'."].concat())
    })?;
    let changed = srv.acl.users.changed(name, &rules, srv.acl.grammar(&srv.config)).map_err(|(index, error)| {
        let head = b"ERR Error in ACL SETUSER modifier '".as_slice();
        CmdError::text([head, &rules[index], b"': ", error.text().as_bytes()].concat())
    })?;
    rules.iter().for_each(|rule| srv.warn_of_first_args(rule));
    srv.put_user(changed, call.caller.client.slot as usize);
    call.reply.ok();
    Ok(())
}

pub const USERS: ServerCommand = row(
    users,
    Spec {
        name: "acl|users",
        arity: 2,
        complexity: "O(N). Where N is the number of configured users.",
        summary: "Lists the names of all users.",
        ..MANAGE
    },
);

fn users(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let users = srv.acl.users.iter();
    call.reply.array(users.len());
    users.for_each(|user| call.reply.bulk(&user.name));
    Ok(())
}

pub const WHOAMI: ServerCommand = row(
    whoami,
    Spec {
        name: "acl|whoami",
        arity: 2,
        complexity: "O(1)",
        summary: "Tells the name of the user of this connection.",
        ..OPEN
    },
);

fn whoami(srv: &mut Server, call: &mut Call<'_>) -> CmdResult {
    let user = srv.clients.find(call.caller.client).and_then(|client| client.user);
    match srv.acl.name_of(user) {
        Some(name) => call.reply.bulk(name),
        None => call.reply.null(),
    }
    Ok(())
}

pub const HELP: ServerCommand = row(show_help, Spec { name: "acl|help", since: "6.0.0", ..Spec::HELP });

fn show_help(_: &mut Server, call: &mut Call<'_>) -> CmdResult {
    help::reply(
        call,
        &[
            "CAT [<category>]",
            "    Lists the categories of commands, or the commands of one.",
            "DELUSER <username> [<username> ...]",
            "    Removes users, and closes their connections.",
            "DRYRUN <username> <command> [<arg> ...]",
            "    Tells whether a user may run a command, without running it.",
            "GETUSER <username>",
            "    Shows a user.",
            "GENPASS [<bits>]",
            "    Makes a password that nobody can guess, of 256 bits unless told otherwise.",
            "LIST",
            "    Shows all users as the lines that would make them.",
            "LOAD",
            "    Reads the file of users again: all of it or, if there is an error, nothing.",
            "LOG [<count> | RESET]",
            "    Shows what was refused lately, or forgets it.",
            "SAVE",
            "    Writes all users to the file of users.",
            "SETUSER <username> <rule> [<rule> ...]",
            "    Makes or changes a user.",
            "USERS",
            "    Lists the names of all users.",
            "WHOAMI",
            "    Tells the name of the user of this connection.",
        ],
    );
    Ok(())
}
