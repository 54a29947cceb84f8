//! redis-server. Everything is in the library, the global allocator included (`sys::alloc`).

fn main() {
    std::process::exit(redstart::server::startup::main());
}
