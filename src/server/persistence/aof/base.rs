//! A base that holds commands, for `aof-use-rdb-preamble no`.
//!
//! *Duty:* write the data set with `aof::rewrite`, and the sums beside it. *Does not know:* who writes it, the server at
//! a start or a child. *Counterpart in C Redis:* `rewriteAppendOnlyFileRio`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::super::rdb::{KeyDelay, REPORT_BYTES, REPORT_KEYS, Sink, Snapshot, create};
use super::increment::seals_path;
use crate::aof::Sealing;
use crate::aof::rewrite::Writer;

/// A sum for so many bytes.
const SEAL_EVERY: u64 = 1 << 20;

impl Snapshot<'_> {
    /// Writes the data set as commands into `file`, and if asked to the file of sums for `path`.
    pub(in crate::server::persistence) fn write_commands(
        &self,
        file: File,
        path: &Path,
        seal: bool,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<File> {
        let sink = Sink::new(file, self.sync_every);
        if !seal {
            return Ok(self.put_commands(sink, progress)?.into_file());
        }
        let (sink, sums) = self.put_commands(Sealing::new(sink, SEAL_EVERY), progress)?.finish();
        let mut beside = create(&seals_path(path))?;
        beside.write_all(&sums)?;
        Ok(sink.into_file())
    }

    fn put_commands<W: Write>(&self, sink: W, progress: &mut dyn FnMut(u64)) -> io::Result<W> {
        let mut writer = Writer::new(sink);
        if self.annotate {
            writer.timestamp(self.created.secs())?;
        }
        self.libraries.iter().try_for_each(|library| writer.function(&library.code))?;
        let mut delay = KeyDelay::new(self.key_delay);
        for (id, db) in self.ks.dbs.iter().enumerate() {
            writer.begin_db(id as u64, db.len() as u64)?;
            for entry in db.entries.iter() {
                writer.entry(entry.key(), entry.view(), entry.expires_at())?;
                delay.pause();
                if let Some(done) = writer.progress_every(REPORT_KEYS, REPORT_BYTES) {
                    progress(done.keys);
                }
            }
        }
        progress(writer.progress().keys);
        Ok(writer.finish()?.0)
    }
}
