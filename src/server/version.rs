//! Who we are: the release of Redis whose behaviour clients may count on, and our own.

/// Clients gate features on this.
pub const REDIS_VERSION: &str = "7.4.0";
/// [`REDIS_VERSION`] as scripts find it, a byte for each part.
pub fn version_number() -> u32 {
    REDIS_VERSION.split('.').fold(0, |number, part| number << 8 | part.parse().unwrap_or(0))
}

pub const REDSTART_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What `--version` prints.
pub fn line() -> String {
    format!(
        "Redis server v={REDIS_VERSION} sha=00000000:0 malloc={} bits={} build=redstart-{REDSTART_VERSION}\n",
        crate::sys::alloc::allocator_name(),
        usize::BITS
    )
}
