//! Pipes between the server and a child, apart from those for reports (`fork`).
//!
//! *Duty:* make them. *Does not know:* what goes through. *Invariant:* no program that is started inherits an end.
//! *Counterpart in C Redis:* `anetPipe`.

use std::fs::File;
use std::io;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

/// A pipe that the server reads without waiting, and a child writes to, waiting for room.
pub fn from_child() -> io::Result<(File, File)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    let reader = File::from(reader);
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((reader, File::from(writer)))
}

/// A pipe on which a child waits until the server closes the other end: (the child's end, the server's).
pub fn to_child() -> io::Result<(File, File)> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    Ok((File::from(reader), File::from(writer)))
}
