//! The folder of the append only file, and its manifest.
//!
//! *Duty:* find out what there is, change the manifest as a whole, move an old single file in, throw out what no manifest
//! names any more. *Does not know:* the manifest's text (`aof::manifest`), or what the files hold.
//! *Invariant:* the manifest on disk is replaced by a whole one, and only after every file that it names is there.
//! *Counterpart in C Redis:* `aofLoadManifestFromDisk`, `persistAofManifest`, `aofUpgradePrepare`, `aofDelHistoryFiles`.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::rdb::{create, reason};
use super::increment::{remove_if_there, seals_path};
use crate::aof::manifest::{self, Manifest, ManifestError};
use crate::server::Server;
use crate::sys::files;

/// A file's name as the manifest has it.
pub(super) fn file_name(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

impl Server {
    /// Where `dir` and `appenddirname` put the append only file.
    pub(super) fn append_folder(&self) -> PathBuf {
        self.data_folder().join(&self.config.appenddirname)
    }

    pub(super) fn append_file(&self, name: &[u8]) -> PathBuf {
        self.persistence.aof.folder.join(file_name(name))
    }

    /// Makes the folder if it is missing.
    pub(super) fn make_append_folder(&mut self) -> Result<(), String> {
        let folder = self.append_folder();
        let made = match std::fs::create_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
            other => other.and_then(|()| files::fsync_dir(files::folder_of(&folder))),
        };
        let dir = &self.config.appenddirname;
        made.map_err(|error| format!("Can't open or create append-only dir {dir}: {}", reason(&error)))?;
        self.persistence.aof.folder = folder;
        Ok(())
    }

    /// Reads the manifest, if there is one.
    pub(in crate::server::persistence) fn read_manifest(&mut self) -> Result<(), String> {
        self.persistence.aof.folder = self.append_folder();
        self.persistence.aof.manifest = Manifest::default();
        let name = manifest::manifest_name(&self.config.appendfilename);
        let path = self.persistence.aof.folder.join(&name);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                log::debug!("The AOF manifest file {name} doesn't exist");
                return Ok(());
            }
            other => other.map_err(|error| {
                format!("Fatal error: can't open the AOF manifest file {name} for reading: {}", reason(&error))
            })?,
        };
        self.persistence.aof.manifest = Manifest::parse(&text).map_err(|error| bad_manifest(&error))?;
        Ok(())
    }

    /// Puts a new manifest in the place of the old one, on disk and here.
    pub(super) fn persist_manifest(&mut self, manifest: Manifest) -> Result<(), String> {
        let folder = &self.persistence.aof.folder;
        let temp = folder.join(manifest::temp_manifest_name(&self.config.appendfilename));
        let target = folder.join(manifest::manifest_name(&self.config.appendfilename));
        let written = create(&temp).and_then(|mut file| {
            file.write_all(&manifest.to_text())?;
            file.sync_all()
        });
        written.and_then(|()| files::rename_durable(&temp, &target)).map_err(|error| {
            let text = format!("Error trying to write the AOF manifest file {}: {}", target.display(), reason(&error));
            log::warn!("{text}");
            text
        })?;
        self.persistence.aof.manifest = manifest;
        Ok(())
    }

    /// An append only file of before 7.0 moves into the folder and becomes its base.
    pub(in crate::server::persistence) fn adopt_single_file(&mut self) -> Result<(), String> {
        let name = self.config.appendfilename.clone();
        let old = self.data_folder().join(&name);
        let aof = &self.persistence.aof;
        let unfinished = aof.manifest.incr.is_empty()
            && aof.manifest.base.as_ref().is_some_and(|base| base.name == name.as_bytes())
            && !aof.folder.join(&name).exists();
        if !old.is_file() || !(aof.manifest.is_empty() || unfinished) {
            return Ok(());
        }
        self.make_append_folder()?;
        let mut manifest = Manifest::default();
        manifest.adopt_single_file(&name);
        self.persist_manifest(manifest)?;
        let dir = self.config.appenddirname.clone();
        files::rename_durable(&old, &self.persistence.aof.folder.join(&name)).map_err(|error| {
            format!("Error trying to move the old AOF file {name} into dir {dir}: {}", reason(&error))
        })?;
        log::info!("Successfully migrated an old-style AOF file ({name}) into the AOF directory ({dir}).");
        Ok(())
    }

    /// Removes what a rewrite has made superfluous, unless `aof-disable-auto-gc` says to keep it.
    pub(in crate::server) fn remove_history(&mut self) {
        if self.config.aof_disable_auto_gc || self.persistence.aof.manifest.history.is_empty() {
            return;
        }
        let mut manifest = self.persistence.aof.manifest.clone();
        let history = manifest.take_history();
        // Named first and removed afterwards, they would be missed at the next start.
        if self.persist_manifest(manifest).is_err() {
            return;
        }
        for file in history {
            log::info!("Removing the history file {} in the background", file.name.escape_ascii());
            let path = self.append_file(&file.name);
            self.remove_in_background(&seals_path(&path));
            self.remove_in_background(&path);
        }
    }

    /// What a rewrite or a change of the manifest left half done.
    pub(super) fn remove_append_leftovers(&mut self) {
        let name = &self.config.appendfilename;
        for temp in [manifest::temp_incr_name(name), manifest::temp_manifest_name(name)] {
            let path = self.persistence.aof.folder.join(temp);
            if path.exists() {
                log::info!("Removed {}, left behind by a rewrite that was cut off", path.display());
            }
            for path in [seals_path(&path), path] {
                if let Err(error) = remove_if_there(&path) {
                    log::warn!("Removing {} failed: {}", path.display(), reason(&error));
                }
            }
        }
    }
}

fn bad_manifest(error: &ManifestError) -> String {
    log::warn!("*** FATAL AOF MANIFEST FILE ERROR ***");
    if let Some(line) = &error.line {
        log::warn!("Reading the manifest file, at line {}", error.line_number);
        log::warn!(">>> '{}'", line.escape_ascii());
    }
    error.what.to_owned()
}
