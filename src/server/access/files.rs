//! Users in files: `user` lines, `aclfile`.
//!
//! *Duty:* the users of a start; ACL LOAD and SAVE; the `user` lines of CONFIG REWRITE. *Does not know:* what rules mean.
//! *Invariants:* a file is believed as a whole or not at all; it is replaced as a whole or not at all. Users stand in the
//! configuration or in a file of their own, never in both. *Counterpart in C Redis:* `ACLLoadUsersAtStartup`,
//! `ACLLoadFromFile`, `ACLSaveToFile`, `rewriteConfigUserOption`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::acl::user::merge_selectors;
use crate::acl::users::{DEFAULT, read_file};
use crate::acl::{User, UserId, has_spaces};
use crate::call::CmdError;
use crate::server::Server;
use crate::server::apply_config::error_text;
use crate::sys::files::replace_file;

/// The permissions of a new file: there are hashes of passwords in it.
const NEW_FILE_MODE: u32 = 0o600;

const BOTH: &str = "Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is \
                    invalid. This setup is very likely to lead to configuration errors and security holes, please \
                    define either an ACL file or declare users directly in your redis.conf, but not both.";

const NO_FILE: &str = "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via \
                       the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis \
                       configuration file set) in order to store users in the Redis configuration.";

impl Server {
    /// At a start, before anybody can connect.
    pub fn load_users(&mut self) -> Result<(), String> {
        if !self.config.aclfile.is_empty() && !self.config.user.is_empty() {
            return Err(BOTH.to_owned());
        }
        for index in 0..self.config.user.len() {
            self.load_user_line(index)?;
        }
        if self.config.aclfile.is_empty() {
            return Ok(());
        }
        self.read_users().map_err(|errors| {
            format!("Aborting Redis startup because of ACL errors: {}", String::from_utf8_lossy(&errors))
        })
    }

    fn load_user_line(&mut self, index: usize) -> Result<(), String> {
        let grammar = self.acl.grammar(&self.config);
        let words = &self.config.user[index].words;
        let name = &words[0];
        if has_spaces(name) {
            return Err("Critical error while loading ACLs: Spaces not allowed in ACL usernames".to_owned());
        }
        let shown = name.escape_ascii();
        let rules = merge_selectors(&words[1..])
            .map_err(|_| format!("Unmatched parenthesis in the selectors of the user named '{shown}'"))?;
        // What a start has made of `default` counts for nothing if there is a line about it.
        let mut user = User::new(name, grammar);
        if name == DEFAULT {
            user.apply(grammar, b"reset").map_err(|error| error.text().to_owned())?;
        }
        for rule in &rules {
            self.warn_of_first_args(rule);
            user.apply(grammar, rule).map_err(|error| {
                let rule = rule.escape_ascii();
                format!("Error loading ACL rule '{rule}' for the user named '{shown}': {}", error.text())
            })?;
        }
        if !user.enabled {
            log::info!(
                "The user '{shown}' is disabled (there is no 'on' modifier in the user description). Make sure this is \
                 not a configuration error."
            );
        }
        self.acl.users.put(user);
        Ok(())
    }

    /// 7.0.15 warns of rules that allow a command with one first argument.
    pub fn warn_of_first_args(&self, rule: &[u8]) {
        for offender in self.acl.commands.first_arg_rules(rule) {
            log::warn!(
                "Deprecation warning: Allowing a first arg of an otherwise blocked command is a misuse of ACL and may \
                 get disabled in the future (offender: +{})",
                offender.escape_ascii()
            );
        }
    }

    /// Puts the users of the file in place of all there are, or says what is wrong with it.
    fn read_users(&mut self) -> Result<(), Vec<u8>> {
        let name = self.config.aclfile.clone();
        let text = std::fs::read(&name).map_err(|error| {
            format!("Error loading ACLs, opening file '{name}': {}", error_text(&error)).into_bytes()
        })?;
        let grammar = self.acl.grammar(&self.config);
        let users = read_file(&text, &name, grammar)?;
        let fresh = User::default_user(grammar);
        text.split(|byte| byte.is_ascii_whitespace()).for_each(|rule| self.warn_of_first_args(rule));
        self.acl.users.replace(users, fresh);
        Ok(())
    }

    /// ACL LOAD. Whoever is connected as another user than `default` is closed, as in 7.0.15.
    pub fn load_acl_file(&mut self, own: usize) -> Result<(), CmdError> {
        if self.config.aclfile.is_empty() {
            return Err(CmdError::Fixed(NO_FILE));
        }
        self.read_users().map_err(|errors| CmdError::text([b"ERR ", errors.as_slice()].concat()))?;
        self.close_clients_of(|id| id != UserId::DEFAULT, own);
        self.refresh_rights();
        Ok(())
    }

    /// ACL SAVE.
    pub fn save_acl_file(&self) -> Result<(), CmdError> {
        if self.config.aclfile.is_empty() {
            return Err(CmdError::Fixed(NO_FILE));
        }
        let path = Path::new(&self.config.aclfile);
        let mode = std::fs::metadata(path).map_or(NEW_FILE_MODE, |file| file.permissions().mode() & 0o7777);
        let text = self.acl.users.to_text(self.acl.grammar(&self.config));
        replace_file(path, &text, mode).map_err(|error| {
            log::warn!("Saving the ACL file {} failed: {}", self.config.aclfile, error_text(&error));
            CmdError::Fixed(
                "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
            )
        })
    }

    /// The lines that a rewritten configuration has about users: all of them, or none if they have a file of their own.
    pub fn user_lines(&self) -> Vec<Vec<u8>> {
        if !self.config.aclfile.is_empty() {
            return Vec::new();
        }
        let text = self.acl.users.to_text(self.acl.grammar(&self.config));
        text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
    }
}
