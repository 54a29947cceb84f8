//! A base in AOF format of a real 7.0.15 beside the snapshot of the same data, in tests/data/aof (`make.sh` there made
//! them): what is written for the snapshot must be that base, as far as 7.0.15 itself has an order.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use redstart::aof::{Chunk, Reader, rewrite};
use redstart::rdb::{self, Item, ReadOptions};

type Command = Vec<Vec<u8>>;

fn data(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/aof").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn commands(aof: &[u8]) -> Vec<Command> {
    let (mut reader, mut commands) = (Reader::new(aof, 0), Vec::new());
    loop {
        match reader.next().unwrap() {
            Chunk::Commands(some) => commands.extend((0..some.len()).map(|i| {
                let words = some.spans(i).iter().map(|span| span.of(some.buf()).to_vec());
                words.collect::<Command>()
            })),
            Chunk::Annotation(annotation) => panic!("{annotation:?}"),
            Chunk::End => return commands,
        }
    }
}

/// The commands of each key in their order, under its database; those without a key under none.
fn by_key(commands: Vec<Command>) -> BTreeMap<(Vec<u8>, Vec<u8>), Vec<Command>> {
    let (mut keys, mut db) = (BTreeMap::<_, Vec<_>>::new(), Vec::new());
    for command in commands {
        let key = match &command[0][..] {
            b"SELECT" => {
                db.clone_from(&command[1]);
                Vec::new()
            }
            b"FUNCTION" => Vec::new(),
            b"XGROUP" => command[2].clone(),
            _ => command[1].clone(),
        };
        keys.entry((db.clone(), key)).or_default().push(command);
    }
    keys
}

/// Puts the elements of a hash table into an order: they stay in batches of the lengths they had.
fn order(commands: &mut [Command]) {
    let width = match &commands[0][0][..] {
        b"SADD" => 1,
        b"HMSET" | b"ZADD" => 2,
        _ => return,
    };
    let name = commands[0][0].clone();
    let batches: Vec<&mut Command> = commands.iter_mut().filter(|command| command[0] == name).collect();
    let all = batches.iter().flat_map(|command| command[2..].chunks(width).map(<[_]>::to_vec));
    let mut all: Vec<Vec<Vec<u8>>> = all.collect();
    all.sort();
    let mut sorted = all.into_iter().flatten();
    for batch in batches {
        batch[2..].fill_with(|| sorted.next().unwrap());
    }
}

fn rewritten(snapshot: &[u8]) -> Vec<u8> {
    let mut reader = rdb::Reader::new(snapshot, ReadOptions::default());
    let mut writer = rewrite::Writer::new(Vec::new());
    let mut db = 0;
    loop {
        match reader.next_item().unwrap() {
            Item::Eof(_) => return writer.finish().unwrap().0,
            Item::SelectDb(id) => db = id,
            Item::ResizeDb { keys, .. } => writer.begin_db(db, keys).unwrap(),
            Item::Function(source) => writer.function(source).unwrap(),
            Item::Entry(entry) => {
                let (key, expire) = (entry.key.to_vec(), entry.expire);
                writer.entry(&key, entry.value.into_owned().as_ref(), expire).unwrap();
            }
            _ => {}
        }
    }
}

#[test]
fn a_base_is_what_a_real_server_writes() {
    let (theirs, ours) = (data("base.aof"), rewritten(&data("base.rdb")));
    assert_eq!(ours.len(), theirs.len());
    let (mut theirs, mut ours) = (by_key(commands(&theirs)), by_key(commands(&ours)));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (key, theirs) in &mut theirs {
        let ours = ours.get_mut(key).unwrap();
        // The small forms of hashes and sorted sets have an order, as have integers: it must be the same.
        let is_ordered = [&b"short"[..], b"ints", b"100", b"scores"].iter().any(|tail| key.1.ends_with(tail));
        if !is_ordered {
            order(theirs);
            order(ours);
        }
        for (i, (ours, theirs)) in ours.iter().zip(&*theirs).enumerate() {
            let shown = |command: &Command| command.iter().map(|word| word.escape_ascii().to_string() + " ").collect();
            let (ours, theirs): (String, String) = (shown(ours), shown(theirs));
            assert_eq!(ours, theirs, "command {i} of {}", key.1.escape_ascii());
        }
        assert_eq!(ours.len(), theirs.len());
    }
}
