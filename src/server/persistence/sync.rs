//! The data set that a master sends, into memory.
//!
//! *Duty:* load it from a file or as it comes, into the databases or into spare ones; say why it could not be loaded.
//! *Does not know:* how it came here, what becomes of the data set from before, what follows (`replication::replica`).
//! *Invariants:* as of `load`; keys are taken in whatever their deadline, since their end comes in the stream. A data set
//! that cannot be loaded is no reason to end. *Counterpart in C Redis:* the second half of `readSyncBulkPayload`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::load::{Manner, Stop};
use super::rdb::reason;
use crate::keyspace::Db;
use crate::rdb::{RdbErrorKind, Reader};
use crate::repl::replica::LoadFailure;
use crate::server::Server;
use crate::server::functions::Functions;
use crate::server::gates::Alarm;

/// Where a data set goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Into the databases, which have been emptied.
    Place,
    /// Into spare ones. `serve`: what is in the others is shown meanwhile.
    Spare { serve: bool },
}

/// A data set that was loaded.
pub struct Arrived {
    /// The database that the stream has selected.
    pub stream_db: Option<u32>,
    /// Where it is, if not in place.
    pub spare: Option<Vec<Db>>,
    pub spare_functions: Option<Functions>,
}

/// Why one was not.
pub type NotLoaded = (LoadFailure, String);

const MANNER: Manner = Manner { merge: false, serve: true, keep_expired: true, tell_expired: false };

impl Server {
    /// Loads a data set that was received as a file.
    pub(in crate::server) fn load_received(&mut self, path: &Path) -> Result<Arrived, NotLoaded> {
        let unreadable = |error: io::Error| {
            let text = format!("Failed to open the RDB file {}: {}", path.display(), reason(&error));
            (LoadFailure::Store, text)
        };
        let file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        self.load_arriving(file, Some(size), Some(path), Target::Place).1
    }

    /// Loads a data set from `input`, of `size` bytes if that is known; gives the input back.
    pub(in crate::server) fn load_arriving<R: Read>(
        &mut self,
        input: R,
        size: Option<u64>,
        path: Option<&Path>,
        target: Target,
    ) -> (R, Result<Arrived, NotLoaded>) {
        self.begin_loading(size.unwrap_or(0));
        let mut loader = self.new_loader(MANNER);
        if let Target::Spare { serve } = target {
            loader.spare = Some(self.ks.dbs.iter().map(Db::fresh).collect());
            loader.spare_functions = Some(Functions::default());
            if serve {
                self.persistence.async_loading = true;
                self.exec.set_alarm(Alarm::LOADING, false);
                self.exec.set_alarm(Alarm::ASYNC_LOADING, true);
            }
        }
        let mut reader = Reader::new(input, self.read_options(size));
        let outcome = loader.run(self, &mut reader);
        let result = match outcome {
            Ok(()) => {
                self.end_loading(&loader);
                let (spare, spare_functions) = (loader.spare.take(), loader.spare_functions.take());
                Ok(Arrived { stream_db: loader.stream_db(), spare, spare_functions })
            }
            Err(stop) => {
                if !matches!(stop, Stop::Exit) {
                    self.abandon_loading();
                }
                stop.report(path, &reader);
                Err(why(stop, path.is_some()))
            }
        };
        (reader.into_parts().0, result)
    }
}

fn why(stop: Stop, from_file: bool) -> NotLoaded {
    match stop {
        Stop::Damage(error) => {
            let failure = match &error.kind {
                RdbErrorKind::Io(_) if from_file => LoadFailure::Store,
                RdbErrorKind::Io(_) => LoadFailure::Cut,
                RdbErrorKind::ShortRead if !from_file => LoadFailure::Cut,
                _ => LoadFailure::Damaged,
            };
            let place = format!("{} at byte {}", error.kind, error.offset);
            (failure, format!("Failed trying to load the MASTER synchronization DB: {place}"))
        }
        Stop::Unfit(text) => {
            (LoadFailure::Damaged, format!("Failed trying to load the MASTER synchronization DB: {text}"))
        }
        Stop::Reported | Stop::Exit => (LoadFailure::Cut, "The load of the MASTER's data set was cut short".to_owned()),
    }
}
