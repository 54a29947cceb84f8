//! What commands with subcommands have in common: the HELP reply and the refusal of a subcommand there is not.
//!
//! *Does not know:* which subcommands there are; the lines come from the command.
//! *Counterpart in C Redis:* `addReplyHelp`, the unknown-subcommand error of `processCommand`.

use crate::call::{Call, CmdError};

/// Bytes of an unknown subcommand that its error repeats.
const SHOWN: usize = 128;

/// Replies with a head line, `lines`, and the lines of HELP itself. A line is a subcommand with its arguments, or text
/// about it, indented by four blanks.
pub fn reply(call: &mut Call<'_>, lines: &[&str]) {
    let head = format!("{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", container(call));
    call.reply.array(lines.len() + 3);
    call.reply.status(&head);
    lines.iter().for_each(|line| call.reply.status(line));
    call.reply.status("HELP");
    call.reply.status("    Prints this help.");
}

/// The refusal of `argv[1]`.
pub fn unknown_subcommand(call: &Call<'_>) -> CmdError {
    let given = call.args.opt(1).unwrap_or_default();
    let shown = &given[..given.len().min(SHOWN)];
    let container = container(call);
    CmdError::text([b"ERR unknown subcommand '", shown, b"'. Try ", container.as_bytes(), b" HELP."].concat())
}

/// The refusal of `argv[1]` with so many arguments, or of a name that one command with many jobs does not know.
pub fn unknown_or_misused(call: &Call<'_>) -> CmdError {
    let given = call.args.opt(1).unwrap_or_default();
    let shown = &given[..given.len().min(SHOWN)];
    let container = container(call);
    CmdError::text(
        [
            b"ERR unknown subcommand or wrong number of arguments for '",
            shown,
            b"'. Try ",
            container.as_bytes(),
            b" HELP.",
        ]
        .concat(),
    )
}

/// The name by which the command was called, in capitals.
fn container(call: &Call<'_>) -> String {
    String::from_utf8_lossy(call.arg(0)).to_ascii_uppercase()
}
