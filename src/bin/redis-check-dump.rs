//! redis-check-dump, also installed as redis-check-rdb: is this snapshot whole?

use redstart::server::version::REDIS_VERSION;
use redstart::tools::Tool;

fn main() {
    let argv: Vec<_> = std::env::args_os().collect();
    std::process::exit(Tool::CheckDump.run(&argv, REDIS_VERSION));
}
