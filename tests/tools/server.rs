//! redis-check-aof beside the server: what one calls good, the other loads, and the other way round.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use redstart::aof::sums::{Chain, HEADER};
use redstart::base::rng::Rng;

use crate::bench::{CHECK_AOF, Folder, Said, command, commands, snapshot};

const MANIFEST: &str = "appendonlydir/appendonly.aof.manifest";
const BASE: &str = "appendonlydir/appendonly.aof.1.base.aof";
const INCR: &str = "appendonlydir/appendonly.aof.1.incr.aof";

fn increment() -> Vec<u8> {
    let mut all = commands(&[&["SELECT", "0"], &["SET", "key", "value"], &["RPUSH", "list", "a", "b", "c"]]);
    all.extend_from_slice(b"#TS:1700000000\r\n");
    all.extend(commands(&[&["MULTI"], &["HSET", "hash", "f", "v"], &["XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"]]));
    all.extend(commands(&[&["EXEC"], &["ZADD", "zset", "1", "m"], &["DEL", "key"]]));
    all
}

/// A data folder with an AOF.
fn data(base: &[u8], incr: &[u8]) -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("appendonlydir")).unwrap();
    let lines = "file appendonly.aof.1.base.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n";
    folder.write(MANIFEST, lines.as_bytes());
    folder.write(BASE, base);
    folder.write(INCR, incr);
    folder
}

/// Does a server start on it? The server is ended at once.
fn loads(folder: &Folder) -> bool {
    let args = ["--port", "0", "--unixsocket", "s", "--appendonly", "yes", "--aof-load-truncated", "no", "--save", ""];
    let mut server = Command::new(crate::bench::SERVER)
        .args(args)
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
    let ready = log.any(|line| line.contains("Ready to accept connections"));
    let _ = server.kill();
    let code = server.wait().unwrap().code();
    assert!(ready || code == Some(1), "a start that fails is exit code 1, not {code:?}");
    ready
}

fn checked(folder: &Folder) -> Said {
    folder.run(CHECK_AOF, &[MANIFEST], "")
}

#[test]
fn what_the_tool_calls_good_the_server_loads_and_nothing_else() {
    let whole = increment();
    assert!(loads(&data(&command(&["SET", "a", "b"]), &whole)) && loads(&data(&snapshot("lists.rdb"), &whole)));
    let mut rng = Rng::new(23);
    let (mut good, mut bad) = (0, 0);
    for round in 0..60 {
        let mut bytes = whole.clone();
        let at = rng.index(bytes.len());
        match round % 4 {
            0 => bytes.truncate(at),
            _ => bytes[at] ^= 1 << rng.below(8),
        }
        let folder = data(&snapshot("lists.rdb"), &bytes);
        let said = checked(&folder);
        let loaded = loads(&folder);
        assert_eq!(said.code == Some(0), loaded, "round {round}, byte {at}: {}", said.out);
        if loaded { good += 1 } else { bad += 1 }
    }
    assert!(good > 5 && bad > 5, "{good} good and {bad} bad files prove nothing");
}

#[test]
fn a_file_that_the_server_refuses_for_its_checksums_is_mended_and_loads() {
    let mut bytes = increment();
    let folder = data(b"", &bytes);
    let mut chain = Chain::new();
    let mut records = HEADER.to_vec();
    let half = bytes.windows(4).position(|w| w == b"#TS:").unwrap();
    for group in [&bytes[..half], &bytes[half..]] {
        chain.update(group);
        records.extend_from_slice(&chain.record());
    }
    let sums = format!("{INCR}.sum");
    folder.write(&sums, &records);
    assert!(checked(&folder).code == Some(0) && loads(&folder));
    folder.write(&sums, &records);
    let at = bytes.windows(4).position(|w| w == b"hash").unwrap();
    bytes[at] ^= 1;
    folder.write(INCR, &bytes);
    assert!(checked(&folder).code == Some(1) && !loads(&folder));
    let said = folder.run(CHECK_AOF, &["--fix", MANIFEST], "y\n");
    assert!(said.code == Some(0) && said.out.contains("Successfully truncated AOF"), "{}", said.out);
    assert_eq!(folder.read(INCR), bytes[..half]);
    assert!(checked(&folder).code == Some(0) && loads(&folder));
}
