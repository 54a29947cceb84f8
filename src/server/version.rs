//! What this server says it is.
//!
//! *Duty:* the version of Redis whose commands, files and texts are spoken here, which clients gate features on, and
//! our own version. *Counterpart in C Redis:* `version.h`, `release.c`.

use crate::base::crc64;

/// INFO's `redis_version`, HELLO's `version`, the number in `--version` and at the head of the log.
pub const REDIS_VERSION: &str = "7.2.4";

/// INFO's `redstart_version`.
pub const REDSTART_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Who built this, when the packager says so in the environment of the build (a commit, a package revision).
pub const BUILD: &str = match option_env!("REDSTART_BUILD") {
    Some(build) => build,
    None => "",
};

/// INFO's `redis_build_id`, shown in hexadecimal. It depends on the versions and on [`BUILD`] alone, so that the same
/// source gives the same program.
pub fn build_id() -> u64 {
    [REDIS_VERSION, REDSTART_VERSION, BUILD]
        .iter()
        .fold(0, |sum, part| crc64::update(crc64::update(sum, part.as_bytes()), b"\n"))
}
