//! What is wrong with a configuration whose every line is good: parameters that contradict one another, the
//! machine, or common sense.
//!
//! *Duty:* the cross-checks that a start logs and `--check-config` prints, each pointing at the line to change.
//! *Does not know:* the machine; the shell looks and hands in [`Facts`].
//! *Invariants:* an error here is something that would damage data or end the start; everything else is a warning
//! or a note. Nothing is said about parameters that were left alone.
//! *Counterpart in C Redis:* none, apart from scattered warnings at startup.

use super::fields::Config;
use super::finding::{Finding, Severity};
use super::parse::Loaded;
use super::values::{AppendFsync, Choice, LogLevel, Origin};

/// Shorter passwords are guessed within reach of a fast network.
const SHORT_PASSWORD: usize = 12;

/// What the shell found out about the machine. `None` and empty are: nothing known, nothing wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub ram_bytes: Option<u64>,
    /// The limit of the control group the server will run in.
    pub cgroup_limit_bytes: Option<u64>,
    /// Why `dir` cannot be used, with the path and the user.
    pub dir_problem: Option<String>,
    /// Why the log file cannot be written.
    pub logfile_problem: Option<String>,
    /// Files that a running instance holds and this one would write.
    pub held_files: Vec<HeldFile>,
}

/// A file of this configuration that another running instance holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldFile {
    pub path: String,
    /// The directive whose change resolves it: `dbfilename`, `dir`, `appenddirname`, `pidfile` …
    pub directive: &'static str,
    pub pid: u32,
    pub port: u16,
}

/// All that is to be said about `loaded`.
pub fn check(loaded: &Loaded, facts: &Facts) -> Vec<Finding> {
    let mut review = Review { loaded, findings: Vec::new() };
    review.files(facts);
    review.exposure();
    review.memory(facts);
    review.persistence();
    review.replication();
    review.process();
    review.findings.sort_by_key(|finding| finding.severity);
    review.findings
}

struct Review<'a> {
    loaded: &'a Loaded,
    findings: Vec<Finding>,
}

impl Review<'_> {
    fn config(&self) -> &Config {
        &self.loaded.config
    }

    fn is_given(&self, name: &str) -> bool {
        self.loaded.origin_of(name).is_some()
    }

    /// Says `reason` where `name` was given, or of the whole if it was not.
    fn say(&mut self, severity: Severity, name: &str, reason: impl Into<String>, suggestion: &str) {
        let nowhere = Origin::default();
        let origin = self.loaded.origin_of(name).unwrap_or(&nowhere);
        let finding = Finding::new(severity, origin, reason).suggesting(Some(suggestion.to_owned()));
        self.findings.push(finding);
    }

    fn warn(&mut self, name: &str, reason: impl Into<String>, suggestion: &str) {
        self.say(Severity::Warning, name, reason, suggestion);
    }

    fn files(&mut self, facts: &Facts) {
        if let Some(problem) = &facts.dir_problem {
            self.say(Severity::Error, "dir", problem, "create the folder or change dir");
        }
        if let Some(problem) = &facts.logfile_problem {
            self.say(Severity::Error, "logfile", problem, "change logfile, or leave it empty for the standard output");
        }
        for held in &facts.held_files {
            let reason = format!("{} is in use by a running server (pid {}, port {})", held.path, held.pid, held.port);
            let suggestion = format!("change {} or dir, so that each server has files of its own", held.directive);
            self.say(Severity::Error, held.directive, reason, &suggestion);
        }
    }

    fn exposure(&mut self) {
        let config = self.config();
        let has_users = !config.user.is_empty() || !config.aclfile.is_empty();
        let is_open = config.requirepass.is_empty() && !has_users && !config.protected_mode;
        if is_open && config.bind.iter().any(|address| is_any_address(address)) {
            let reason = "everyone who reaches this machine can read and change all data: \
                          all addresses are bound, there is no password, and protected-mode is no";
            self.warn(
                "protected-mode",
                reason,
                "set requirepass or users, bind to private addresses, or leave protected-mode on",
            );
        }
        let len = self.config().requirepass.len();
        if (1..SHORT_PASSWORD).contains(&len) {
            let reason = format!("a password of {len} bytes can be guessed");
            self.say(Severity::Note, "requirepass", reason, "redis-cli ACL GENPASS makes a good one");
        }
    }

    fn memory(&mut self, facts: &Facts) {
        let limits =
            [(facts.cgroup_limit_bytes, "the control group's limit"), (facts.ram_bytes, "this machine's memory")];
        let known = limits.into_iter().filter_map(|(bytes, what)| Some((bytes?, what)));
        let maxmemory = self.config().maxmemory;
        if let Some((bytes, what)) = known.min_by_key(|(bytes, _)| *bytes).filter(|(bytes, _)| maxmemory > *bytes) {
            let reason = format!("maxmemory is {maxmemory} bytes, but {what} is {bytes}");
            self.warn(
                "maxmemory",
                reason,
                "leave room for copies while saving: two thirds of the memory is a good start",
            );
        }
    }

    fn persistence(&mut self) {
        let config = self.config();
        if !config.appendonly && config.appendfsync != AppendFsync::No && self.is_given("appendfsync") {
            let reason = format!(
                "appendfsync {} has no effect, because the append only file is off",
                self.config().appendfsync.name()
            );
            self.warn("appendfsync", reason, "set appendonly yes, or remove appendfsync");
        }
    }

    fn replication(&mut self) {
        let config = self.config();
        let is_replicated = config.replicaof.is_some() || config.cluster_enabled;
        if is_replicated && !config.requirepass.is_empty() && config.masterauth.is_empty() {
            let name = if config.cluster_enabled { "cluster-enabled" } else { "replicaof" };
            let reason = "requirepass is set and masterauth is not: \
                          if the master has the same password, this server cannot replicate from it";
            self.warn(name, reason, "set masterauth to the master's password");
        }
    }

    fn process(&mut self) {
        let config = self.config();
        let is_unseen = config.daemonize && config.logfile.is_empty() && !config.syslog_enabled;
        let is_debug = config.loglevel == LogLevel::Debug;
        let [master, replica, child] = config.oom_score_adj_values;
        let is_falling = replica < master || child < replica;
        if is_unseen {
            self.warn("daemonize", "a daemon without logfile or syslog logs nowhere", "set logfile");
        }
        if is_debug {
            self.say(Severity::Note, "loglevel", "loglevel debug is for development: the log grows fast", "use notice");
        }
        if is_falling {
            let reason = "oom-score-adj-values should rise from master to replica to child: \
                          an unprivileged process cannot lower its score";
            self.warn("oom-score-adj-values", reason, "0 200 800 is the default");
        }
    }
}

/// Whether binding to `address` opens the port on every interface.
fn is_any_address(address: &str) -> bool {
    matches!(address.strip_prefix('-').unwrap_or(address), "*" | "0.0.0.0" | "::" | "::*")
}

#[cfg(test)]
mod tests {
    use super::super::parse::{Loader, Mode, parse_lines};
    use super::*;

    fn findings(text: &str, facts: &Facts) -> Vec<Finding> {
        let mut loader = Loader::new(Mode::Server);
        parse_lines(text.as_bytes(), "redis.conf", &mut loader, &mut |_| Ok(Vec::new()));
        let loaded = loader.finish();
        assert_eq!(loaded.findings, []);
        check(&loaded, facts)
    }

    /// Severity, line and first word of the reason of each finding about `text`.
    fn told(text: &str) -> Vec<(Severity, u32, String)> {
        let first_word = |reason: &str| reason.split(' ').next().unwrap().to_owned();
        let findings = findings(text, &Facts::default());
        findings.iter().map(|finding| (finding.severity, finding.line, first_word(&finding.reason))).collect()
    }

    #[test]
    fn defaults_are_beyond_reproach() {
        assert_eq!(told(""), []);
    }

    #[test]
    fn a14_debug_is_noted_once() {
        assert_eq!(told("loglevel debug\n"), [(Severity::Note, 1, "loglevel".to_owned())]);
    }

    #[test]
    fn a19_appendfsync_without_an_append_only_file_is_one_warning() {
        assert_eq!(told("appendonly no\nappendfsync always\n"), [(Severity::Warning, 2, "appendfsync".to_owned())]);
        assert_eq!(told("appendonly yes\nappendfsync always\n"), []);
        assert_eq!(told("appendfsync no\n"), []);
    }

    #[test]
    fn an_open_server_is_warned_about() {
        let open = "protected-mode no\n";
        assert_eq!(told(open), [(Severity::Warning, 1, "everyone".to_owned())]);
        assert_eq!(told(&format!("{open}bind 0.0.0.0\n")).len(), 1);
        assert_eq!(told(&format!("{open}bind 127.0.0.1 -::1\n")), []);
        assert_eq!(told(&format!("{open}requirepass 0123456789abcdef\n")), []);
        assert_eq!(told(&format!("{open}aclfile users.acl\n")), []);
    }

    #[test]
    fn a12_short_passwords_are_noted() {
        assert_eq!(told("requirepass johnny\n"), [(Severity::Note, 1, "a".to_owned())]);
    }

    #[test]
    fn maxmemory_beyond_the_smaller_limit_is_warned_about() {
        let facts = Facts { ram_bytes: Some(8 << 30), cgroup_limit_bytes: Some(1 << 30), ..Facts::default() };
        let found = findings("maxmemory 2gb\n", &facts);
        assert_eq!(found.len(), 1);
        assert!(found[0].reason.contains("control group"), "{}", found[0].reason);
        assert_eq!(findings("maxmemory 1gb\n", &facts), []);
    }

    #[test]
    fn replicas_and_cluster_nodes_with_a_password_need_masterauth() {
        let password = "requirepass 0123456789abcdef\n";
        assert_eq!(
            told(&format!("{password}slaveof 10.5.6.195 6379\n")),
            [(Severity::Warning, 2, "requirepass".to_owned())]
        );
        assert_eq!(told(&format!("{password}cluster-enabled yes\n")).len(), 1);
        assert_eq!(told(&format!("{password}slaveof 10.5.6.195 6379\nmasterauth x\n")), []);
    }

    #[test]
    fn a15_and_b1_files_that_cannot_be_used_are_errors_and_come_first() {
        let held = HeldFile { path: "/var/dump.rdb".to_owned(), directive: "dbfilename", pid: 77, port: 6379 };
        let facts = Facts {
            dir_problem: Some("dir '/nope': No such file or directory (as user redis)".to_owned()),
            held_files: vec![held],
            ..Facts::default()
        };
        let found = findings("loglevel debug\ndbfilename dump.rdb\n", &facts);
        let severities: Vec<Severity> = found.iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Error, Severity::Error, Severity::Note]);
        let line = found[1].to_string();
        let expected = "redis.conf:2: error: /var/dump.rdb is in use by a running server (pid 77, port 6379) \
                        (change dbfilename or dir, so that each server has files of its own)";
        assert_eq!(line, expected);
    }

    #[test]
    fn a_daemon_that_logs_nowhere_is_warned_about() {
        assert_eq!(told("daemonize yes\n").len(), 1);
        assert_eq!(told("daemonize yes\nlogfile redis.log\n"), []);
    }

    #[test]
    fn falling_oom_scores_are_warned_about() {
        assert_eq!(told("oom-score-adj-values 0 -1 5\n").len(), 1);
        assert_eq!(told("oom-score-adj-values 5 5 5\n"), []);
    }
}
