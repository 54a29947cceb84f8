//! The runbook's row A2: the install script puts everything in place, twice without harm.

use crate::harness::{Folder, Server, binary, status};
use std::path::Path;
use std::process::Command;

/// Runs the script with the programs of this build; what it printed.
fn install(prefix: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/install.sh");
    let bin = binary();
    let output = Command::new(script).arg(prefix).env("BIN_DIR", bin.parent().unwrap()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn a2_what_was_installed_runs_and_a_second_time_changes_nothing() {
    let folder = Folder::new();
    let prefix = folder.join("prefix").to_str().unwrap().to_string();
    let first = install(&prefix);
    for name in ["bin/redis-server", "etc/redis.conf", "lib/systemd/system/redstart.service"] {
        assert!(folder.join(&format!("prefix/{name}")).is_file(), "{name}");
        assert!(first.contains(&format!("wrote  {prefix}/{name}")), "{first}");
    }
    let link = std::fs::read_link(folder.join("prefix/bin/redis-check-rdb")).unwrap();
    assert_eq!(link, Path::new("redis-check-dump"));
    let second = install(&prefix);
    assert!(!second.contains("wrote") && !second.contains("made"), "{second}");

    let conf = format!("{prefix}/etc/redis.conf");
    let server = Server::with_args(folder, |port| vec![conf.clone(), "--port".to_string(), port.to_string()]);
    assert_eq!(server.client().config("dir"), format!("{prefix}/var"));
    assert_eq!(server.client().ask(&["SAVE"]), status("OK"));
}

#[test]
fn a2_a_changed_configuration_is_kept() {
    let folder = Folder::new();
    let prefix = folder.join("prefix").to_str().unwrap().to_string();
    install(&prefix);
    let mine = folder.read("prefix/etc/redis.conf") + "maxclients 77\n";
    folder.write("prefix/etc/redis.conf", &mine);
    assert!(install(&prefix).contains("kept"));
    assert_eq!(folder.read("prefix/etc/redis.conf"), mine);
    assert!(folder.join("prefix/etc/redis.conf.new").is_file());
}
