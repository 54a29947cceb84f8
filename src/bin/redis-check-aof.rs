//! redis-check-aof: is this append only file whole, and where not?

use redstart::server::version::REDIS_VERSION;
use redstart::tools::Tool;

fn main() {
    let argv: Vec<_> = std::env::args_os().collect();
    std::process::exit(Tool::CheckAof.run(&argv, REDIS_VERSION));
}
