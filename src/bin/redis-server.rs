//! redis-server. Everything is in the library, the global allocator included (`sys::alloc`). Started under the name
//! of a tool it is that tool.

use redstart::server::{startup, version};

fn main() {
    std::process::exit(match redstart::tools::called() {
        Some((tool, argv)) => tool.run(&argv, version::REDIS_VERSION),
        None => startup::main(),
    });
}
