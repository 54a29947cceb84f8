//! A base that holds commands.
use std::fs::File;
use std::io;
use std::path::Path;

use super::super::rdb::Snapshot;

pub(in crate::server::persistence) fn write_commands(
    _snapshot: &Snapshot<'_>,
    _file: File,
    _path: &Path,
    _seal: bool,
    _progress: &mut dyn FnMut(u64),
) -> io::Result<File> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "aof-use-rdb-preamble no is not part of this release yet"))
}
