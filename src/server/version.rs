//! Who we are: the release of Redis whose behaviour clients may count on, and our own.

use crate::base::crc64;

/// Clients gate features on this.
pub const REDIS_VERSION: &str = "7.2.4";
pub const REDSTART_VERSION: &str = env!("CARGO_PKG_VERSION");

/// INFO's `redis_build_id`, shown in hexadecimal. It follows from the versions, and from what the packager puts into
/// the variable of the build's environment, so that the same source gives the same program.
pub fn build_id() -> u64 {
    let build = option_env!("REDSTART_BUILD").unwrap_or_default();
    crc64::update(0, format!("{REDIS_VERSION} {REDSTART_VERSION} {build}").as_bytes())
}

/// What `--version` prints.
pub fn line() -> String {
    format!(
        "Redis server v={REDIS_VERSION} sha=00000000:0 malloc={} bits={} build=redstart-{REDSTART_VERSION}\n",
        crate::sys::alloc::allocator_name(),
        usize::BITS
    )
}
