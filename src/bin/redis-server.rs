//! redis-server: parses nothing itself; the library does.
fn main() {
    std::process::exit(1);
}
