//! Directives that some Redis release accepted and that have no effect today.
//!
//! *Duty:* the list of them, with the last release that accepted each and what took its place.
//! *Does not know:* whether they are refused; `config-obsolete` decides that when everything has been read.
//! *Counterpart in C Redis:* `deprecated_configs`, which knows three of them.

/// One directive of the past.
#[derive(Debug)]
pub struct Obsolete {
    pub name: &'static str,
    /// The last release series that accepted it.
    pub last_release: &'static str,
    /// What took its place.
    pub instead: &'static str,
}

const fn gone(name: &'static str, last_release: &'static str, instead: &'static str) -> Obsolete {
    Obsolete { name, last_release, instead }
}

const VM: &str = "virtual memory is gone: limit memory with maxmemory and maxmemory-policy";

pub static OBSOLETE: [Obsolete; 17] = [
    gone("glueoutputbuf", "2.4", "replies are always gathered before they are sent"),
    gone("shareobjects", "1.3", "small integers are shared without being asked"),
    gone("shareobjectspoolsize", "1.3", "small integers are shared without being asked"),
    gone("vm-enabled", "2.4", VM),
    gone("vm-max-memory", "2.4", VM),
    gone("vm-max-threads", "2.4", VM),
    gone("vm-page-size", "2.4", VM),
    gone("vm-pages", "2.4", VM),
    gone("vm-swap-file", "2.4", VM),
    gone("really-use-vm", "2.4", VM),
    gone("hash-max-zipmap-entries", "2.4", "use hash-max-listpack-entries"),
    gone("hash-max-zipmap-value", "2.4", "use hash-max-listpack-value"),
    gone("list-max-ziplist-entries", "6.2", "use list-max-listpack-size"),
    gone("list-max-ziplist-value", "6.2", "use list-max-listpack-size"),
    gone("lua-replicate-commands", "6.2", "scripts always replicate by their effects"),
    gone("gopher-enabled", "6.2", "the Gopher protocol is gone"),
    gone("io-threads-do-reads", "7.4", "one thread reads and writes, whatever io-threads says"),
];

/// The obsolete directive called `name`, in any case.
pub fn find(name: &[u8]) -> Option<&'static Obsolete> {
    OBSOLETE.iter().find(|obsolete| obsolete.name.as_bytes().eq_ignore_ascii_case(name))
}

impl Obsolete {
    /// What is said about it.
    pub fn reason(&self) -> String {
        format!("'{}' has no effect: Redis {} was the last release that accepted it", self.name, self.last_release)
    }
}
