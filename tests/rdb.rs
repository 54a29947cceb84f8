//! RDB files of a real 7.0.15, in tests/data/rdb (`make.sh` there made them): what they hold is known from the
//! commands that filled the server, and must come out of the reader.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use redstart::base::millis::Millis;
use redstart::rdb::{
    Checksum, Item, Note, Passed, ReadOptions, Reader, Trailing, VERSION, ValueOwned, check, type_name,
};
use redstart::value::stream::StreamId;
use redstart::value::{Stream, Value, ValueRef};

#[derive(Debug, PartialEq)]
enum Content {
    Int(i64),
    Str(Vec<u8>),
    List(Vec<Vec<u8>>),
    /// The encoding, and what is in it as text.
    Rows(&'static str, Vec<Vec<u8>>),
}

#[derive(Debug, PartialEq)]
struct Found {
    content: Content,
    expire: Option<i64>,
    idle: Option<u64>,
    frequency: Option<u8>,
}

#[derive(Debug, Default)]
struct File {
    entries: BTreeMap<(u64, Vec<u8>), Found>,
    aux: BTreeMap<Vec<u8>, Vec<u8>>,
    sizes: Vec<(u64, u64, u64)>,
    functions: Vec<Vec<u8>>,
    checksum: Option<Checksum>,
}

fn data(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/rdb").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn content(value: ValueOwned) -> Content {
    match value {
        ValueOwned::Int(value) => Content::Int(value),
        ValueOwned::Bytes(bytes) => Content::Str(bytes),
        ValueOwned::Object(value) => match value.as_ref() {
            Value::List(list) => {
                let mut elements = Vec::new();
                list.as_ref().for_each(|element| elements.push(element.to_vec()));
                Content::List(elements)
            }
            other => Content::Rows(other.as_ref().encoding(), rows(other.as_ref())),
        },
    }
}

/// A line for each element, sets and hashes in the order of their bytes.
fn rows(value: ValueRef<'_>) -> Vec<Vec<u8>> {
    let pair = |left: Vec<u8>, right: Vec<u8>| [left, right].join(&b' ');
    match value {
        ValueRef::Set(set) => {
            let mut rows: Vec<_> = set.iter().map(|member| member.to_vec()).collect();
            rows.sort();
            rows
        }
        ValueRef::Hash(hash) => {
            let mut rows: Vec<_> = hash.iter().map(|(field, value)| pair(field.to_vec(), value.to_vec())).collect();
            rows.sort();
            rows
        }
        ValueRef::Zset(zset) => {
            zset.iter().map(|(member, score)| pair(format!("{score}").into_bytes(), member.to_vec())).collect()
        }
        ValueRef::Stream(stream) => stream_rows(stream),
        ValueRef::List(_) => unreachable!("lists have a content of their own"),
    }
}

fn stream_rows(stream: &Stream) -> Vec<Vec<u8>> {
    let id = |id: StreamId| String::from_utf8(id.to_text()).unwrap();
    let log = stream.log();
    let mut rows = Vec::new();
    for entry in log.range(StreamId::MIN, StreamId::MAX) {
        let mut row = entry.id.to_text();
        for (field, value) in entry.pairs() {
            row = [row, field.to_vec(), value.to_vec()].join(&b' ');
        }
        rows.push(row);
    }
    let (last, deleted) = (id(log.last_id()), id(log.max_deleted_id()));
    rows.push(format!("last {last} added {} deleted {deleted}", log.entries_added()).into_bytes());
    for (name, group) in stream.groups() {
        let name = String::from_utf8_lossy(name);
        rows.push(format!("group {name} {} read {}", id(group.last_id), group.entries_read).into_bytes());
        for consumer in group.consumers() {
            let pending: Vec<_> = consumer.pending().iter().map(|pending| id(*pending)).collect();
            let name = String::from_utf8_lossy(consumer.name());
            rows.push(format!("consumer {name} [{}]", pending.join(" ")).into_bytes());
        }
    }
    rows
}

fn read(name: &str) -> File {
    let bytes = data(name);
    let options = ReadOptions { limit: Some(bytes.len() as u64), trailing: Trailing::Refuse, ..ReadOptions::default() };
    let mut reader = Reader::new(&bytes[..], options);
    assert_eq!(reader.header().unwrap(), VERSION);
    let (mut file, mut db) = (File::default(), 0);
    loop {
        match reader.next_item().unwrap_or_else(|error| panic!("{name}: {error}")) {
            Item::Aux { name, value } => {
                file.aux.insert(name.to_vec(), value.to_vec());
            }
            Item::SelectDb(id) => db = id,
            Item::ResizeDb { keys, expires } => file.sizes.push((db, keys, expires)),
            Item::Function(source) => file.functions.push(source.to_vec()),
            Item::Entry(entry) => {
                let key = (db, entry.key.to_vec());
                let found = Found {
                    content: content(entry.value.into_owned()),
                    expire: entry.expire.map(|at| at.0),
                    idle: entry.idle,
                    frequency: entry.frequency,
                };
                assert!(file.entries.insert(key, found).is_none());
            }
            Item::Eof(checksum) => {
                file.checksum = Some(checksum);
                assert_eq!(reader.offset(), bytes.len() as u64);
                return file;
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

fn lasting(content: Content) -> Found {
    Found { content, expire: None, idle: None, frequency: None }
}

/// What strings.commands makes.
fn strings() -> BTreeMap<(u64, Vec<u8>), Found> {
    let mut entries = BTreeMap::new();
    let mut put = |key: &[u8], found| assert!(entries.insert((0, key.to_vec()), found).is_none());
    let ints: [(&str, i64); 10] = [
        ("int:zero", 0),
        ("int:8bit-min", -128),
        ("int:8bit-max", 127),
        ("int:16bit-min", -32_768),
        ("int:16bit-max", 32_767),
        ("int:32bit-min", -2_147_483_648),
        ("int:32bit-max", 2_147_483_647),
        ("int:wide", 2_147_483_648),
        ("int:64bit-min", i64::MIN),
        ("int:64bit-max", i64::MAX),
    ];
    for (key, value) in ints {
        put(key.as_bytes(), lasting(Content::Int(value)));
    }
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut state: u64 = 1;
    let random: Vec<u8> = (0..5000)
        .map(|_| {
            state = state * 16_807 % 2_147_483_647;
            (state / 65_536) as u8
        })
        .collect();
    let texts: [(&[u8], &[u8]); 12] = [
        (b"notint:zeros", b"007"),
        (b"notint:plus", b"+7"),
        (b"notint:wide", b"9223372036854775808"),
        (b"empty", b""),
        (b"12345", b"the key is an integer"),
        (b"", b"the key is empty"),
        (b"\x00\xff binary \r\n key", b"\x00\x01\x02\xfe\xff"),
        (b"len:63", b"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"),
        (b"every-byte", &every_byte),
        (b"repeated", &b"abcdefgh".repeat(2000)),
        (b"random", &random),
        (&b"long key ".repeat(50), b"v"),
    ];
    for (key, value) in texts {
        put(key, lasting(Content::Str(value.to_vec())));
    }
    let expiring = |at, content| Found { expire: Some(at), ..lasting(content) };
    put(b"expires:late", expiring(4_102_444_800_123, Content::Str(b"soon".to_vec())));
    put(b"expires:int", expiring(4_102_444_800_000, Content::Int(42)));
    entries.insert((3, b"other-db".to_vec()), lasting(Content::Str(b"yes".to_vec())));
    entries
}

#[test]
fn strings_of_every_form() {
    let file = read("strings.rdb");
    assert_eq!(file.entries, strings());
    assert_eq!(file.sizes, [(0, 24, 2), (3, 1, 0)]);
    assert_eq!(file.checksum, Some(Checksum::Verified));
    assert_eq!(file.aux[&b"redis-ver"[..]], b"7.0.15");
    assert_eq!(file.aux[&b"redis-bits"[..]], b"64");
    assert_eq!(file.aux[&b"aof-base"[..]], b"0");
    assert_eq!(file.functions.len(), 1);
    assert!(file.functions[0].starts_with(b"#!lua name=mylib\n"));
}

#[test]
fn the_same_without_compression_and_checksum() {
    let file = read("strings-plain.rdb");
    assert_eq!(file.entries, strings());
    assert_eq!(file.checksum, Some(Checksum::NotWritten));
}

#[test]
fn lists_of_listpacks_and_plain_nodes() {
    let text = |text: &str| text.as_bytes().to_vec();
    let list = |elements: Vec<Vec<u8>>| lasting(Content::List(elements));
    let ints = "0 127 128 -1 -4096 4095 4096 -32768 32767 -8388608 8388607 -2147483648 2147483647 \
                -9223372036854775808 9223372036854775807 9223372036854775808";
    let expected = BTreeMap::from([
        ((0, text("small")), Found { expire: Some(4_102_444_800_123), ..list(["a", "b", "c", ""].map(text).into()) }),
        ((0, text("ints")), list(ints.split(' ').map(text).collect())),
        ((0, text("nodes")), list((1..=1000).map(|i| text(&format!("element number {i}"))).collect())),
        (
            (0, text("sizes")),
            list([("x", 63), ("y", 64), ("z", 4095), ("w", 4096)].map(|(s, n)| text(&s.repeat(n))).into()),
        ),
        ((0, text("plain")), list(["before", &"p".repeat(200), "after"].map(text).into())),
    ]);
    assert_eq!(read("lists.rdb").entries, expected);
}

#[test]
fn access_times_of_both_policies() {
    let lru = read("lru.rdb");
    let idle: Vec<_> = lru.entries.iter().map(|((_, key), found)| (&key[..], found.idle, found.frequency)).collect();
    let expected: [(&[u8], _, _); 4] =
        [(b"both", Some(0), None), (b"list", Some(0), None), (b"often", Some(0), None), (b"seldom", Some(1000), None)];
    assert_eq!(idle, expected);

    let lfu = read("lfu.rdb");
    let used: Vec<_> = lfu.entries.iter().map(|((_, key), found)| (&key[..], found.idle, found.frequency)).collect();
    let expected: [(&[u8], _, _); 4] =
        [(b"both", None, Some(5)), (b"list", None, Some(5)), (b"often", None, Some(200)), (b"seldom", None, Some(5))];
    assert_eq!(used, expected);
    assert_eq!(lfu.entries[&(0, b"both".to_vec())].expire, Some(4_102_444_800_123));
}

#[test]
fn every_type_and_encoding() {
    let text = |text: &str| text.as_bytes().to_vec();
    let rows = |encoding, rows: &[&str]| Content::Rows(encoding, rows.iter().map(|row| text(row)).collect());
    let (long, member) = ("f ".to_string() + &"v".repeat(100), "1.5 ".to_string() + &"m".repeat(100));
    let expiring = |at, content| Found { expire: Some(at), ..lasting(content) };
    let stream =
        ["1-1 f v", "2-1 f w", "last 2-1 added 2 deleted 0-0", "group group 1-1 read 1", "consumer consumer [1-1]"];
    let expected = BTreeMap::from([
        ((0, text("string")), lasting(Content::Str(text("s")))),
        ((0, text("set:intset")), lasting(rows("intset", &["1", "2", "300000"]))),
        ((0, text("set:table")), expiring(4_102_444_800_123, rows("hashtable", &["a", "b", "c"]))),
        ((0, text("hash:listpack")), lasting(rows("listpack", &["f 1", "g two"]))),
        ((0, text("hash:table")), lasting(rows("hashtable", &[&long]))),
        ((0, text("zset:listpack")), lasting(rows("listpack", &["1 one", "2.5 two"]))),
        ((0, text("zset:table")), lasting(rows("skiplist", &["-inf low", &member]))),
        ((0, text("stream")), expiring(4_102_444_800_000, rows("stream", &stream))),
    ]);
    assert_eq!(read("types.rdb").entries, expected);
}

#[test]
fn a_check_passes_every_type_and_counts() {
    let now = Millis(1_700_000_000_000);
    for (name, keys, expires) in [("types.rdb", 8, 2), ("strings.rdb", 25, 2), ("lists.rdb", 5, 1), ("lru.rdb", 4, 1)] {
        let bytes = data(name);
        let options = ReadOptions { limit: Some(bytes.len() as u64), ..ReadOptions::default() };
        let mut notes = Vec::new();
        let checked = check(&bytes[..], options, now, |offset, passed| {
            if let Passed::Note(note) = passed {
                notes.push((offset, note));
            }
        })
        .unwrap();
        assert_eq!((checked.keys, checked.expires, checked.already_expired), (keys, expires, 0), "{name}");
        assert_eq!(notes.last(), Some(&(bytes.len() as u64, Note::Checksum(Checksum::Verified))), "{name}");
        // The offset at which 7.0.15's own tool reports its first field.
        let first = (27, Note::Aux { name: b"redis-ver".to_vec(), value: b"7.0.15".to_vec() });
        assert_eq!(notes[0], first, "{name}");
    }
}

#[test]
fn a_check_tells_of_each_key_where_it_is_and_what() {
    let bytes = data("types.rdb");
    let mut keys = Vec::new();
    let options = ReadOptions { limit: Some(bytes.len() as u64), ..ReadOptions::default() };
    check(&bytes[..], options, Millis(0), |_, passed| {
        if let Passed::Key(key) = passed {
            let name = String::from_utf8_lossy(key.name).into_owned();
            keys.push((name, key.of, key.elements, key.expire.is_some(), key.offset, key.bytes));
        }
    })
    .unwrap();
    let stream = keys.iter().find(|key| key.0 == "stream").unwrap();
    assert_eq!((stream.1, stream.2, stream.3), ("stream", 2, true));
    for (name, of, elements, _, offset, size) in &keys {
        let span = &bytes[*offset as usize..(*offset + *size) as usize];
        assert!(span.windows(name.len()).any(|w| w == name.as_bytes()), "{name}: {of}, {elements}");
    }
    // Databases come in order here, and nothing stands between the keys of one.
    assert!(keys.windows(2).all(|pair| pair[0].4 + pair[0].5 <= pair[1].4));
}

#[test]
fn a_check_says_where_it_stopped() {
    let mut bytes = data("lists.rdb");
    // The header of the first listpack: its key and type are known by then.
    let at = bytes.windows(4).position(|w| w == b"ints").unwrap() + 4;
    bytes[at + 2..].fill(0xff);
    let failure = check(&bytes[..], ReadOptions::default(), Millis(0), |_, _| {}).unwrap_err();
    assert_eq!(failure.doing.name(), "read-object-value");
    assert_eq!(failure.key.as_deref(), Some(&b"ints"[..]));
    assert_eq!(failure.code.and_then(type_name), Some("quicklist-v2"));
    assert!(failure.error.offset as usize >= at, "{}", failure.error);
}

#[test]
fn every_cut_of_a_real_file_is_an_error() {
    for name in ["strings.rdb", "lists.rdb", "types.rdb", "lfu.rdb"] {
        let bytes = data(name);
        for len in 0..bytes.len() {
            for limit in [None, Some(len as u64)] {
                let options = ReadOptions { limit, ..ReadOptions::default() };
                assert!(check(&bytes[..len], options, Millis(0), |_, _| {}).is_err(), "{name} cut to {len}");
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_a_real_file_is_an_error() {
    for name in ["strings.rdb", "types.rdb", "lfu.rdb"] {
        let mut bytes = data(name);
        let limit = Some(bytes.len() as u64);
        let options = ReadOptions { limit, trailing: Trailing::Refuse, ..ReadOptions::default() };
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&bytes[..], options, Millis(0), |_, _| {}).is_err(), "{name}, bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
