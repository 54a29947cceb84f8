//! Cut and flipped files: what is lost is told, and nothing damaged is read as truth.
//!
//! *Duty:* the last increment cut at every byte of its last records, and single bits flipped in the base (a snapshot,
//! and commands) and in increments; a start on each, held against what was written. *Does not know:* the formats.
//! A few places by default; all of them with REDSTART_DAMAGE=all.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Client, Folder, Reply, Server, status, wait_until};

const ON: &str = "save \"\"\nappendonly yes\nappendfsync always\nauto-aof-rewrite-percentage 0\n\
                  enable-debug-command local\n";

fn all() -> bool {
    std::env::var_os("REDSTART_DAMAGE").is_some_and(|text| text == "all")
}

/// The files of the append only file, by name.
fn files(folder: &Folder) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder.join("appendonlydir")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.map(|path| (path.clone(), fs::read(&path).unwrap())).collect();
    files.sort();
    files
}

/// Makes the folder what it was.
fn restore(folder: &Folder, files: &[(PathBuf, Vec<u8>)]) {
    fs::remove_dir_all(folder.join("appendonlydir")).unwrap();
    fs::create_dir(folder.join("appendonlydir")).unwrap();
    files.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
}

fn ends_with(path: &Path, end: &str) -> bool {
    path.to_str().unwrap().ends_with(end)
}

fn find<'a>(files: &'a [(PathBuf, Vec<u8>)], end: &str) -> &'a (PathBuf, Vec<u8>) {
    files.iter().rfind(|(path, _)| ends_with(path, end)).unwrap()
}

fn keys(client: &mut Client) -> BTreeSet<String> {
    client.ask(&["KEYS", "*"]).list().iter().map(Reply::text).collect()
}

/// What the last increment holds: where a unit of it ends, and the keys that are there from then on.
struct Written {
    folder: Folder,
    ends: Vec<(usize, BTreeSet<String>)>,
}

/// A base, and an increment whose last units are short commands and a transaction.
fn write_units() -> Written {
    let mut server = Server::with_config(ON);
    let mut client = server.client();
    client.ask(&["SET", "base", "1"]);
    client.ask(&["BGREWRITEAOF"]);
    wait_until("the rewrite", || server.log().contains("AOF rewrite finished successfully"));
    // With this comes the SELECT that an increment begins with.
    client.ask(&["SET", "begun", "1"]);
    let units: [&[&[&str]]; 7] = [
        &[&["SET", "first", "a\r\nb"]],
        &[&["RPUSH", "list", "1", "", "three"]],
        &[&["MULTI"], &["SET", "all", "1"], &["SADD", "or", "2"], &["HSET", "none", "f", "v"], &["EXEC"]],
        &[&["ZADD", "zset", "1.5", "m"]],
        &[&["XADD", "stream", "1-1", "f", "v"]],
        &[&["MULTI"], &["INCR", "one"], &["INCR", "two"], &["EXEC"]],
        &[&["SET", "last", "z"]],
    ];
    let mut ends = Vec::new();
    for unit in units {
        let before = find(&files(&server.folder), ".incr.aof").1.len();
        ends.push((before, keys(&mut client)));
        unit.iter().for_each(|request| assert!(!matches!(client.ask(request), Reply::Error(_)), "{request:?}"));
    }
    ends.push((find(&files(&server.folder), ".incr.aof").1.len(), keys(&mut client)));
    server.stop();
    Written { folder: server.into_folder(), ends }
}

#[test]
fn a_cut_at_any_byte_leaves_exactly_the_whole_commands() {
    let Written { mut folder, ends } = write_units();
    let whole = files(&folder);
    let (path, bytes) = find(&whole, ".incr.aof").clone();
    let (mut starts, mut refusals) = (0, 0);
    let step = if all() { 1 } else { (bytes.len() - ends[0].0) / 12 };
    for cut in (ends[0].0..bytes.len()).step_by(step) {
        let (end, expected) = ends.iter().rfind(|(end, _)| *end <= cut).unwrap();
        // Without sums a file that ends with a whole command is a whole file.
        for sums in [true, false] {
            restore(&folder, &whole);
            if !sums {
                whole.iter().filter(|(path, _)| ends_with(path, ".sum")).for_each(|(p, _)| fs::remove_file(p).unwrap());
            }
            fs::write(&path, &bytes[..cut]).unwrap();
            if sums || *end != cut {
                let before = files(&folder);
                let refused = Server::start_or_end(folder, &format!("{ON}aof-load-truncated no\n"), &[]);
                let Err((back, ended)) = refused else { panic!("cut at {cut}, sums {sums}: not refused") };
                assert_eq!(ended.code, Some(1));
                assert!(ended.output.contains("Unexpected end of file"), "cut at {cut}: {}", ended.output);
                folder = back;
                assert_eq!(files(&folder), before, "cut at {cut}: it was not touched");
                refusals += 1;
            }
            let Ok(server) = Server::start_or_end(folder, ON, &[]) else { panic!("cut at {cut}, sums {sums}") };
            let mut client = server.client();
            assert_eq!(keys(&mut client), *expected, "cut at {cut}, sums {sums}");
            assert_eq!(client.ask(&["SET", "after", "1"]), status("OK"));
            folder = server.into_folder();
            assert_eq!(find(&files(&folder), ".incr.aof").1[..*end], bytes[..*end]);
            let kept = files(&folder).into_iter().find(|(path, _)| path.to_str().unwrap().contains(".cut-"));
            assert_eq!(kept.map_or(0, |(_, tail)| tail.len()), cut - end, "what was cut off is kept");
            // And what was appended behind the cut is as good as the rest.
            let again = Server::start_or_end(folder, &format!("{ON}aof-load-truncated no\n"), &[]);
            let Ok(server) = again else { panic!("the second start after a cut at {cut}") };
            assert_eq!(keys(&mut server.client()).len(), expected.len() + 1);
            folder = server.into_folder();
            starts += 2;
        }
    }
    println!("{starts} starts on cut files, {refusals} refusals: all as they should be");
}

#[test]
fn a_cut_in_the_checksums_harms_nobody() {
    let Written { mut folder, ends } = write_units();
    let whole = files(&folder);
    let (path, bytes) = find(&whole, ".incr.aof.sum").clone();
    let cuts: Vec<usize> = if all() { (0..bytes.len()).collect() } else { vec![0, 1, 16, 24, 32, bytes.len() - 1] };
    for cut in cuts {
        restore(&folder, &whole);
        fs::write(&path, &bytes[..cut]).unwrap();
        for start in 0..3 {
            let started = Server::start_or_end(folder, &format!("{ON}aof-load-truncated no\n"), &[]);
            let Ok(server) = started else { panic!("start {start} after a cut at {cut}") };
            let mut client = server.client();
            assert_eq!(keys(&mut client).len(), ends.last().unwrap().1.len() + usize::from(start > 0));
            assert_eq!(client.ask(&["SET", "after", "1"]), status("OK"));
            folder = server.into_folder();
        }
        // The records made anew are good ones: a flipped bit is told.
        let increment = find(&files(&folder), ".incr.aof").clone();
        let mut flipped = increment.1.clone();
        flipped[ends[0].0 + 3] ^= 1;
        fs::write(&increment.0, flipped).unwrap();
        let Err((back, ended)) = Server::start_or_end(folder, ON, &[]) else { panic!("cut at {cut}: not told") };
        assert!(ended.output.contains("is damaged: bytes"), "cut at {cut}: {}", ended.output);
        folder = back;
    }
}

/// A base and an increment with values of every type, and the digest of it all.
fn write_all_types(preamble: &str) -> (Folder, String) {
    let mut server = Server::with_config(&format!("{ON}aof-use-rdb-preamble {preamble}\n"));
    let mut client = server.client();
    for part in ["base", "increment"] {
        for i in 0..20 {
            let (key, text) = (|kind: &str| format!("{part}:{kind}:{}", i % 4), format!("value {i}"));
            let requests: [&[&str]; 8] = [
                &["SET", &key("string"), &text],
                &["SET", &key("until"), &text, "PXAT", "4000000000000"],
                &["RPUSH", &key("list"), &text],
                &["HSET", &key("hash"), &text, &i.to_string()],
                &["SADD", &key("set"), &text],
                &["ZADD", &key("zset"), &i.to_string(), &text],
                &["XADD", &key("stream"), &format!("{}-1", i + 1), "f", &text],
                &["INCRBY", &key("counter"), &i.to_string()],
            ];
            requests.iter().for_each(|request| assert!(!matches!(client.ask(request), Reply::Error(_))));
        }
        if part == "base" {
            client.ask(&["BGREWRITEAOF"]);
            wait_until("the rewrite", || server.log().contains("AOF rewrite finished successfully"));
        }
    }
    let digest = client.ask(&["DEBUG", "DIGEST"]).text();
    server.stop();
    (server.into_folder(), digest)
}

#[test]
fn no_flipped_bit_in_any_file_is_read_as_truth() {
    let flips = if all() { 200 } else { 32 };
    let mut lines = Vec::new();
    for (preamble, base) in [("yes", ".base.rdb"), ("no", ".base.aof")] {
        let (mut folder, digest) = write_all_types(preamble);
        let whole = files(&folder);
        for end in [base, ".incr.aof"] {
            let (path, bytes) = find(&whole, end).clone();
            let (mut told, mut harmless, mut silent) = (0, 0, 0);
            for n in 0..flips / 4 {
                // Spread over the file, and over the bits of a byte.
                let (at, bit) = (n * bytes.len() / (flips / 4), n * 5 % 8);
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                restore(&folder, &whole);
                fs::write(&path, &flipped).unwrap();
                match Server::start_or_end(folder, ON, &[]) {
                    Err((back, ended)) => {
                        assert_eq!(ended.code, Some(1), "bit {bit} of byte {at} of {end}: {}", ended.output);
                        folder = back;
                        assert_eq!(fs::read(&path).unwrap(), flipped, "it was not touched");
                        told += 1;
                    }
                    Ok(server) => {
                        match server.client().ask(&["DEBUG", "DIGEST"]).text() == digest {
                            true => harmless += 1,
                            false => silent += 1,
                        }
                        folder = server.into_folder();
                    }
                }
            }
            lines.push(format!("{end}, preamble {preamble}: {told} told, {harmless} harmless, {silent} silent"));
            assert_eq!(silent, 0, "{lines:#?}");
        }
    }
    println!("{}", lines.join("\n"));
}
