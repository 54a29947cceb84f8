//! Groups of changes that go to disk while the loop goes on: no reply leaves before what it promises is there.
//!
//! *Duty:* syncs that are slow, fail, or say in a file how far they came (the library of `disk`), and several clients at
//! once, as one alone is served without a second thread. *Does not know:* when a group flies.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::disk::shim;
use crate::harness::{Folder, Reply, Server, bulk, status, wait_until};

const WRITERS: usize = 8;

fn config(fsync: &str) -> String {
    format!("save \"\"\nappendonly yes\nappendfsync {fsync}\nauto-aof-rewrite-percentage 0\naof-checksum no\n")
}

/// A server whose syncs obey the files `refuse` and `log` of its folder and take so long. `None`: no C compiler.
fn start(fsync: &str, slow_ms: &str) -> Option<Server> {
    let folder = Folder::new();
    let library = shim(&folder)?;
    let (refuse, log) = (folder.join("refuse"), folder.join("synced"));
    let env = [
        ("LD_PRELOAD", library.as_str()),
        ("REFUSE_SYNC", refuse.to_str().unwrap()),
        ("SYNC_LOG", log.to_str().unwrap()),
        ("SLOW_SYNC_MS", slow_ms),
    ];
    let Ok(server) = Server::start_or_end(folder, &config(fsync), &env) else { panic!("it did not start") };
    Some(server)
}

/// How many bytes of the increment are certainly on disk: the greatest size with which a sync of it began.
fn synced(log: &Path) -> usize {
    let text = fs::read(log).unwrap_or_default();
    let whole = text.rsplit(|&byte| byte == b'\n').nth(1).unwrap_or_default();
    std::str::from_utf8(whole).unwrap().parse().unwrap_or(0)
}

#[test]
fn no_reply_leaves_before_the_sync_of_what_it_tells() {
    let Some(server) = start("always", "2") else {
        println!("left out: there is no C compiler");
        return;
    };
    let increment = server.folder().join("appendonlydir/appendonly.aof.1.incr.aof");
    let log = server.folder().join("synced");
    // The setting up has been synced as well, with sizes of other files.
    fs::write(&log, "").unwrap();
    let on_disk = |text: &str| {
        let size = synced(&log);
        let bytes = fs::read(&increment).unwrap();
        bytes[..size].windows(text.len()).any(|part| part == text.as_bytes())
    };
    let (stop, told) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|reader| {
                let (mut client, stop, told, on_disk) = (server.client(), &stop, &told, &on_disk);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let Reply::Bulk(value) = client.ask(&["GET", &format!("key:{reader}")]) else { continue };
                        let value = String::from_utf8(value).unwrap();
                        assert!(on_disk(&value), "{value} was read before it was on disk");
                        told.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (mut client, on_disk) = (server.client(), &on_disk);
                scope.spawn(move || {
                    for i in 0..100 {
                        let value = format!("<{writer}-{i}>");
                        assert_eq!(client.ask(&["SET", &format!("key:{writer}"), &value]), status("OK"));
                        assert!(on_disk(&value), "{value} was acknowledged before it was on disk");
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        stop.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    let syncs = fs::read_to_string(&log).unwrap().lines().count();
    println!("{} writes by {WRITERS} clients, {} values read, {syncs} syncs", WRITERS * 100, told.into_inner());
    assert!(syncs < WRITERS * 100, "a sync is for more than one");
}

#[test]
fn a_sync_that_fails_in_flight_refuses_exactly_the_changes() {
    let Some(server) = start("always", "1") else {
        println!("left out: there is no C compiler");
        return;
    };
    let refuse = server.folder().join("refuse");
    let (stop, refused) = (AtomicBool::new(false), AtomicU64::new(0));
    let kept: Vec<BTreeMap<String, String>> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (mut client, stop, refused) = (server.client(), &stop, &refused);
                scope.spawn(move || {
                    let mut kept = BTreeMap::new();
                    for i in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let text = i.to_string();
                        let keys = ["first", "second"].map(|name| format!("{name}:{writer}:{i}"));
                        // In one go, so that a reply that is replaced stands before others and behind them.
                        client.send(&["SET", &keys[0], &text]);
                        client.send(&["ECHO", &text]);
                        client.send(&["SET", &keys[1], &text]);
                        let replies = [client.reply(), client.reply(), client.reply()];
                        assert_eq!(replies[1], bulk(&text), "{replies:?}");
                        for (key, reply) in keys.into_iter().zip([&replies[0], &replies[2]]) {
                            match reply {
                                Reply::Error(text) => {
                                    assert!(text.starts_with("MISCONF Errors writing to the AOF file: "), "{text}");
                                    refused.fetch_add(1, Ordering::Relaxed);
                                }
                                reply => {
                                    assert_eq!(*reply, status("OK"));
                                    kept.insert(key, text.clone());
                                }
                            }
                        }
                    }
                    kept
                })
            })
            .collect();
        let mut client = server.client();
        for _ in 0..2 {
            thread::sleep(Duration::from_millis(200));
            let before = refused.load(Ordering::Relaxed);
            fs::write(&refuse, "").unwrap();
            wait_until("changes to be refused", || refused.load(Ordering::Relaxed) > before + 50);
            fs::remove_file(&refuse).unwrap();
            wait_until("service to resume", || client.ask(&["SET", "probe", "1"]) == status("OK"));
        }
        thread::sleep(Duration::from_millis(200));
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let mut server = server;
    server.signal(Signal::SIGKILL);
    server.wait();
    let Ok(server) = Server::start_or_end(server.into_folder(), &config("always"), &[]) else { panic!("no start") };
    let mut client = server.client();
    let (mut acknowledged, mut lost) = (0, 0);
    for (key, value) in kept.iter().flatten() {
        acknowledged += 1;
        lost += usize::from(client.ask(&["GET", key]) != bulk(value));
    }
    println!("{acknowledged} acknowledged, {} refused, {lost} lost", refused.into_inner());
    assert_eq!(lost, 0);
}

/// With `everysec` a process that is killed while an fsync takes long has lost nothing: the kernel has it all.
#[test]
fn a_kill_during_a_slow_fsync_of_everysec_loses_nothing() {
    let (mut acknowledged, mut lost) = (0, 0);
    for round in 0..3u64 {
        let Some(mut server) = start("everysec", "1500") else {
            println!("left out: there is no C compiler");
            return;
        };
        let log = server.folder().join("synced");
        let stop = AtomicBool::new(false);
        let done: Vec<u64> = thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (mut client, stop) = (server.client(), &stop);
                    scope.spawn(move || {
                        let mut done = 0u64;
                        while !stop.load(Ordering::Relaxed) {
                            let key = format!("key:{writer}:{done}");
                            match client.try_ask(&[&["SET", &key, "value"]]) {
                                Some(reply) => assert_eq!(reply, status("OK")),
                                None => break,
                            }
                            done += 1;
                        }
                        done
                    })
                })
                .collect();
            // In the middle of the second fsync or thereabouts.
            let syncs = || fs::read_to_string(&log).unwrap_or_default().lines().count() as u64;
            let before = syncs();
            wait_until("a slow fsync to end", || syncs() > before);
            thread::sleep(Duration::from_millis(1100 + 150 * round));
            server.signal(Signal::SIGKILL);
            server.wait();
            stop.store(true, Ordering::Relaxed);
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        let started = Server::start_or_end(server.into_folder(), &config("everysec"), &[]);
        let Ok(server) = started else { panic!("no start") };
        let mut client = server.client();
        for (writer, done) in done.into_iter().enumerate() {
            acknowledged += done;
            lost += (0..done).filter(|i| client.ask(&["GET", &format!("key:{writer}:{i}")]) != bulk("value")).count();
        }
    }
    println!("{acknowledged} acknowledged, {lost} lost");
    assert_eq!(lost, 0);
}
