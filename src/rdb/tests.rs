//! Round trips, damage and hostile lengths, all in memory. Files of a real server are in tests/rdb.rs.

use std::io::{self, Read};

use super::*;
use crate::base::crc64;
use crate::base::hash::HashSeed;
use crate::base::millis::Millis;
use crate::base::rng::Rng;
use crate::ds::listpack::Listpack;
use crate::value::list::End;
use crate::value::{Hash, Limits, List, Typed, Value};

/// What went in or came out, for comparing.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Db(u64),
    Size(u64, u64),
    Aux(Vec<u8>, Vec<u8>),
    Function(Vec<u8>),
    Entry(Vec<u8>, SeenValue, Option<Millis>, Option<Access>),
    Empty(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq)]
enum SeenValue {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Vec<u8>>),
    /// What damage can make of a type byte.
    Other(&'static str),
}

impl SeenValue {
    fn of(value: ValueOwned) -> SeenValue {
        match value {
            ValueOwned::Int(value) => SeenValue::Int(value),
            ValueOwned::Bytes(bytes) => SeenValue::Bytes(bytes),
            ValueOwned::Object(value) => {
                let mut elements = Vec::new();
                let Some(list) = List::of((*value).as_ref()) else {
                    return SeenValue::Other((*value).as_ref().type_name());
                };
                list.for_each(|element| elements.push(element.to_vec()));
                SeenValue::List(elements)
            }
        }
    }

    fn to_value(&self) -> ValueOwned {
        match self {
            SeenValue::Int(value) => ValueOwned::Int(*value),
            SeenValue::Bytes(bytes) => ValueOwned::Bytes(bytes.clone()),
            SeenValue::List(elements) => {
                let mut list = List::new();
                let limits = Limits::new(HashSeed::new(0));
                elements.iter().for_each(|element| list.push(End::Right, element, &limits));
                ValueOwned::Object(Box::new(list.into_value()))
            }
            SeenValue::Other(name) => unreachable!("no {name} is written here"),
        }
    }
}

fn parse(payload: &[u8]) -> Result<ValueOwned, PayloadError> {
    parse_payload(payload, &Limits::new(HashSeed::new(7)), true)
}

fn write(items: &[Seen], options: WriteOptions) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), options);
    let mut db = 0;
    for item in items {
        match item {
            Seen::Db(id) => db = *id,
            Seen::Size(keys, expires) => writer.begin_db(db, *keys, *expires).unwrap(),
            Seen::Aux(name, value) => writer.aux(name, value).unwrap(),
            Seen::Function(source) => writer.function(source).unwrap(),
            Seen::Entry(key, value, expire, access) => {
                writer.entry(key, value.to_value().as_ref(), *expire, *access).unwrap();
            }
            Seen::Empty(_) => unreachable!("nobody writes what is empty"),
        }
    }
    let position = writer.progress().bytes;
    let (bytes, count) = writer.finish().unwrap();
    assert_eq!((count, position + 9), (bytes.len() as u64, bytes.len() as u64));
    bytes
}

fn see(item: Item<'_>) -> Result<Seen, Checksum> {
    Ok(match item {
        Item::SelectDb(id) => Seen::Db(id),
        Item::ResizeDb { keys, expires } => Seen::Size(keys, expires),
        Item::Aux { name, value } => Seen::Aux(name.to_vec(), value.to_vec()),
        Item::Function(source) => Seen::Function(source.to_vec()),
        Item::Entry(Entry { key, value, expire, idle, frequency }) => {
            let access = idle.map(Access::Idle).or(frequency.map(Access::Frequency));
            assert!(matches!(&value, Loaded::Owned(v) if v.len() > OWNED_FROM) || !matches!(value, Loaded::Owned(_)));
            Seen::Entry(key.to_vec(), SeenValue::of(value.into_owned()), expire, access)
        }
        Item::EmptyKey { key } => Seen::Empty(key.to_vec()),
        Item::Eof(checksum) => return Err(checksum),
        other => panic!("{other:?}"),
    })
}

fn read_from(input: impl Read, options: ReadOptions) -> Result<(Vec<Seen>, Checksum), RdbError> {
    let mut reader = Reader::new(input, options);
    let mut items = Vec::new();
    loop {
        match see(reader.next_item()?) {
            Ok(item) => items.push(item),
            Err(checksum) => return Ok((items, checksum)),
        }
    }
}

fn read(bytes: &[u8]) -> Result<(Vec<Seen>, Checksum), RdbError> {
    read_from(bytes, whole(bytes))
}

fn whole(bytes: &[u8]) -> ReadOptions {
    ReadOptions { limit: Some(bytes.len() as u64), trailing: Trailing::Refuse, ..ReadOptions::default() }
}

fn random_bytes(rng: &mut Rng) -> Vec<u8> {
    let len = match rng.below(20) {
        0 => rng.index(40_000),
        1..=4 => rng.index(300),
        _ => rng.index(30),
    };
    match rng.below(3) {
        0 => (0..len).map(|_| rng.next_u64() as u8).collect(),
        1 => (0..len).map(|_| b'a' + rng.below(3) as u8).collect(),
        _ => vec![b'z'; len],
    }
}

fn random_value(rng: &mut Rng) -> SeenValue {
    match rng.below(4) {
        0 => SeenValue::Int(rng.next_u64() as i64 >> rng.below(64)),
        1 => {
            let elements = (0..=rng.index(20)).map(|_| match rng.below(3) {
                0 => (rng.next_u64() as i64 >> rng.below(64)).to_string().into_bytes(),
                _ => random_bytes(rng),
            });
            SeenValue::List(elements.collect())
        }
        _ => {
            let bytes = random_bytes(rng);
            let int = crate::base::num::parse_i64(&bytes);
            int.map_or(SeenValue::Bytes(bytes), SeenValue::Int)
        }
    }
}

fn random_items(rng: &mut Rng, entries: usize) -> Vec<Seen> {
    let mut items = vec![Seen::Aux(b"name".to_vec(), random_bytes(rng)), Seen::Function(random_bytes(rng))];
    for db in [0, 1, 70_000] {
        items.extend([Seen::Db(db), Seen::Size(entries as u64, 0)]);
        for _ in 0..entries {
            let expire = (rng.below(3) == 0).then(|| Millis(rng.next_u64() as i64));
            let access = match rng.below(3) {
                0 => Some(Access::Idle(rng.next_u64() >> rng.below(64))),
                1 => Some(Access::Frequency(rng.next_u64() as u8)),
                _ => None,
            };
            items.push(Seen::Entry(random_bytes(rng), random_value(rng), expire, access));
        }
    }
    items
}

#[test]
fn whatever_is_written_comes_back() {
    for seed in 0..40 {
        let mut rng = Rng::new(seed);
        let items = random_items(&mut rng, 60);
        for (compress, checksum) in [(true, true), (true, false), (false, true), (false, false)] {
            let options = WriteOptions { compress, checksum, version: 9 + rng.below(4) as u32 };
            let (seen, sum) = read(&write(&items, options)).unwrap();
            assert_eq!(seen, items, "seed {seed}");
            assert_eq!(sum, if checksum { Checksum::Verified } else { Checksum::NotWritten });
        }
    }
}

#[test]
fn texts_larger_than_the_buffers_pass_them_by() {
    let mut rng = Rng::new(2);
    for len in [output::BUFFER_BYTES - 1, output::BUFFER_BYTES, source::BUFFER_BYTES + 1, 3_000_000] {
        let random: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
        let entry = |key: &[u8], value| Seen::Entry(key.to_vec(), value, None, None);
        let items = [
            entry(b"before", SeenValue::Int(1)),
            entry(b"random", SeenValue::Bytes(random.clone())),
            entry(b"between", SeenValue::Int(2)),
            entry(b"repeated", SeenValue::Bytes(b"repeated".repeat(len / 8))),
            entry(&random, SeenValue::List(vec![random.clone(), b"after".to_vec()])),
        ];
        let bytes = write(&items, WriteOptions::default());
        for options in [whole(&bytes), ReadOptions::default()] {
            assert_eq!(read_from(&bytes[..], options).unwrap(), (items.to_vec(), Checksum::Verified), "{len}");
        }
    }
}

#[test]
fn random_texts_do_not_end_compression_for_good() {
    let mut rng = Rng::new(4);
    let entry = |value| Seen::Entry(b"k".to_vec(), SeenValue::Bytes(value), None, None);
    let mut items: Vec<_> = (0..500).map(|_| entry((0..100).map(|_| rng.next_u64() as u8).collect())).collect();
    let random = write(&items, WriteOptions::default()).len();
    items.extend((0..100).map(|_| entry(vec![b'x'; 500])));
    let both = write(&items, WriteOptions::default()).len();
    assert!(both < random + 8 * 510 + 92 * 30, "{random} {both}");
}

/// An input that gives few bytes at a time, is interrupted, and ends where it ends.
struct Trickle<'a>(&'a [u8], Rng);

impl Read for Trickle<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.1.below(4) == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = (1 + self.1.index(700)).min(self.0.len()).min(buf.len());
        buf[..len].copy_from_slice(&self.0[..len]);
        self.0 = &self.0[len..];
        Ok(len)
    }
}

#[test]
fn the_size_of_reads_and_a_known_limit_make_no_difference() {
    for seed in 0..10 {
        let items = random_items(&mut Rng::new(seed), 60);
        let bytes = write(&items, WriteOptions::default());
        for options in [whole(&bytes), ReadOptions::default()] {
            let (seen, sum) = read_from(Trickle(&bytes, Rng::new(seed)), options).unwrap();
            assert_eq!((seen, sum), (items.clone(), Checksum::Verified), "seed {seed}");
        }
    }
}

#[test]
fn a_limit_keeps_off_what_follows_and_without_one_it_is_given_back() {
    let mut bytes = write(&random_items(&mut Rng::new(1), 3), WriteOptions::default());
    let len = bytes.len();
    bytes.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");

    let mut input = &bytes[..];
    read_from(&mut input, ReadOptions { limit: Some(len as u64), ..ReadOptions::default() }).unwrap();
    assert_eq!(input, b"*1\r\n$4\r\nPING\r\n");

    let mut reader = Reader::new(&bytes[..], ReadOptions::default());
    while !matches!(reader.next_item().unwrap(), Item::Eof(_)) {}
    assert!(matches!(reader.next_item().unwrap(), Item::Eof(Checksum::Verified)));
    assert_eq!(reader.offset(), len as u64);
    let (rest, read_ahead) = reader.into_parts();
    assert_eq!([&read_ahead[..], rest].concat(), b"*1\r\n$4\r\nPING\r\n");

    let error = read(&bytes).unwrap_err();
    assert!(matches!(error.kind, RdbErrorKind::TrailingBytes(14)), "{error}");
}

fn small_file(checksum: bool) -> Vec<u8> {
    let entry = |key: &[u8], value| Seen::Entry(key.to_vec(), value, None, None);
    let items = [
        Seen::Aux(b"redis-ver".to_vec(), b"7.0.15".to_vec()),
        Seen::Function(b"#!lua name=x".to_vec()),
        Seen::Db(0),
        Seen::Size(6, 1),
        entry(b"int", SeenValue::Int(1 << 40)),
        entry(b"short", SeenValue::Int(-7)),
        entry(b"packed", SeenValue::Bytes(b"abc".repeat(100))),
        entry(b"list", SeenValue::List(vec![b"a".to_vec(), b"300".to_vec(), vec![b'x'; 70]])),
        Seen::Entry(b"late".to_vec(), SeenValue::Bytes(vec![0, 255]), Some(Millis(1 << 41)), Some(Access::Idle(9000))),
        Seen::Entry(b"used".to_vec(), SeenValue::Bytes(b"v".to_vec()), None, Some(Access::Frequency(3))),
    ];
    write(&items, WriteOptions { checksum, ..WriteOptions::default() })
}

#[test]
fn every_cut_is_an_error() {
    for checksum in [true, false] {
        let bytes = small_file(checksum);
        for len in 0..bytes.len() {
            read(&bytes[..len]).unwrap_err();
            let error = read_from(&bytes[..len], ReadOptions::default()).unwrap_err();
            assert!(matches!(error.kind, RdbErrorKind::ShortRead), "{len}: {error}");
            assert!(error.offset <= len as u64);
        }
    }
}

#[test]
fn every_flipped_bit_is_seen_by_the_checksum_and_harmless_without() {
    for checksum in [true, false] {
        let mut bytes = small_file(checksum);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let result = read(&bytes);
            assert!(!checksum || result.is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        read(&bytes).unwrap();
    }
}

#[test]
fn random_damage_is_an_error_or_data() {
    let mut rng = Rng::new(5);
    let mut survived = 0;
    for _ in 0..20_000 {
        let mut bytes = small_file(false);
        for _ in 0..=rng.below(4) {
            let at = 9 + rng.index(bytes.len() - 9);
            bytes[at] = rng.next_u64() as u8;
        }
        let options = ReadOptions { unsupported: Unsupported::Skip, checksum: false, ..whole(&bytes) };
        survived += u32::from(check(&bytes[..], options, Millis(0), |_, _| {}).is_ok());
    }
    assert!((1..20_000).contains(&survived));
}

fn file_of(items: &[u8]) -> Vec<u8> {
    [b"REDIS0010", items, b"\xff", &[0; 8]].concat()
}

/// A file whose only entry claims more than there is must be refused at once, whether or not its size is known.
#[test]
fn promised_lengths_reserve_nothing() {
    let huge = b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff";
    for head in [&b"\x00"[..], b"\x00\x01k", b"\x01\x01k", b"\x0e\x01k", b"\x12\x01k", b"\x12\x01k\x01\x01", b"\xfa"] {
        let bytes = file_of(&[head, huge].concat());
        let error = read(&bytes).unwrap_err();
        assert!(matches!(error.kind, RdbErrorKind::LengthTooLarge { len: 0x7fff_ffff_ffff_ffff, .. }), "{error}");
        let result = read_from(&bytes[..], ReadOptions::default());
        assert!(result.is_err(), "{}", head.escape_ascii());
    }
    // LZF: a few bytes that claim to become many.
    let bytes = file_of(&[b"\x00\x01k\xc3\x04", &huge[..], b"\x00aaa"].concat());
    let error = read(&bytes).unwrap_err();
    assert!(matches!(error.kind, RdbErrorKind::BadCompression(_)), "{error}");
}

#[test]
fn announced_sizes_are_cut_to_what_can_come() {
    let bytes = file_of(b"\xfb\x80\xff\xff\xff\xff\x80\xff\xff\xff\xff");
    let (items, _) = read(&bytes).unwrap();
    assert_eq!(items, [Seen::Size(3, 0)]);
    let (items, _) = read_from(&bytes[..], ReadOptions::default()).unwrap();
    let [Seen::Size(keys, expires)] = items[..] else { panic!("{items:?}") };
    assert!(keys <= 1 << 20 && expires <= keys);
}

#[test]
fn each_kind_of_damage_is_named() {
    let cases: [(&[u8], &str); 13] = [
        (b"", "the data ends too early (at byte 0)"),
        (b"REDAS0010", "this is no RDB file: it begins with 'REDAS0010' (at byte 9)"),
        (b"REDIS0013", "RDB format version 13 cannot be read by this server (at byte 9)"),
        (b"REDIS0000", "RDB format version 0 cannot be read by this server (at byte 9)"),
        (b"REDIS0010\xf1", "byte 241 stands where an entry or an opcode must begin (at byte 10)"),
        (b"REDIS0010\x08\x01k", "byte 8 stands where an entry or an opcode must begin (at byte 10)"),
        (b"REDIS0010\x06\x01k", "key 'k' is of type 6 (module-value-v1), which this server cannot load (at byte 12)"),
        (
            b"REDIS0010\x02\x01k\x02\x01a\x01a",
            "Set value integrity check failed: a value with dup elements (at byte 17)",
        ),
        (b"REDIS0010\x00\xa0", "a length begins with the unknown form 0xa0 (at byte 11)"),
        (b"REDIS0010\xfe\xc0", "a length begins with the unknown form 0xc0 (at byte 11)"),
        (b"REDIS0010\x00\xc5", "a string begins with the unknown form 5 (at byte 11)"),
        (b"REDIS0010\x12\x01k\x01\x03", "a list node is of the unknown form 3 (at byte 14)"),
        (
            b"REDIS0010\xff\x01\x02\x03\x04\x05\x06\x07\x08",
            "wrong checksum: the data sums up to eb7ea789fe37fda9, stored is 0807060504030201 (at byte 18)",
        ),
    ];
    for (bytes, text) in cases {
        assert_eq!(read(bytes).unwrap_err().to_string(), text);
    }
    let reader = Reader::new(&b""[..], ReadOptions::default());
    assert_eq!(reader.duplicate_key(3, b"a\n").to_string(), r"key 'a\n' is there twice in DB 3 (at byte 0)");
}

#[test]
fn older_and_foreign_versions_are_read() {
    // Version 3: seconds, no checksum.
    let bytes = b"REDIS0003\xfe\x00\xfd\x80\x00\x00\x00\x00\x01k\x01v\xff";
    let (items, sum) = read(bytes).unwrap();
    let entry = Seen::Entry(b"k".to_vec(), SeenValue::Bytes(b"v".to_vec()), Some(Millis(128_000)), None);
    assert_eq!((items, sum), (vec![Seen::Db(0), entry], Checksum::NotInThisVersion));
    // Valkey, with the size of a cluster slot.
    let bytes = b"VALKEY080\xf4\x01\x02\x03\xff\0\0\0\0\0\0\0\0";
    assert_eq!(read(bytes).unwrap().0, []);
    assert_eq!(Reader::new(&bytes[..], ReadOptions::default()).header().unwrap(), VALKEY_VERSION);
    // A library as 7.0-rc1 wrote it is refused, as 7.0.15 does.
    let refused = read(&file_of(b"\xf6\x02ab\x03LUA\x01\x04desc\x04code")).unwrap_err();
    assert!(matches!(refused.kind, RdbErrorKind::PreReleaseFunction), "{refused}");
}

#[test]
fn what_stands_before_an_empty_key_is_not_the_next_ones() {
    let (items, _) = read(&file_of(b"\xf9\x09\x01\x01e\x00\x00\x01k\x01v")).unwrap();
    let entry = Seen::Entry(b"k".to_vec(), SeenValue::Bytes(b"v".to_vec()), None, None);
    assert_eq!(items, [Seen::Empty(b"e".to_vec()), entry]);
}

#[test]
fn data_of_a_module_is_walked_over() {
    // The id of "ABCDEFGH-" in its first version; one part of each sort.
    let id = (0..9).fold(0u64, |id, i| id << 6 | if i == 8 { 62 } else { i }) << 10 | 1;
    let parts = b"\x02\x01\x01\x05\x02\x05\x031234\x0412345678\x05\x03abc\x00";
    let bytes = file_of(&[b"\xf7\x81", &id.to_be_bytes()[..], parts].concat());
    let mut reader = Reader::new(&bytes[..], whole(&bytes));
    assert!(matches!(reader.next_item().unwrap(), Item::ModuleAux { module } if &module == b"ABCDEFGH-"));
    assert!(matches!(reader.next_item().unwrap(), Item::Eof(Checksum::NotWritten)));
}

#[test]
fn progress_is_due_when_asked_for() {
    let mut writer = Writer::new(io::sink(), WriteOptions { compress: false, ..WriteOptions::default() });
    let mut reports = Vec::new();
    for i in 0..100 {
        let len = if i == 50 { 300_000 } else { 10 };
        writer.entry(b"key", View::Str(&vec![b'v'; len]), None, None).unwrap();
        reports.extend(writer.progress_every(40, 100_000).map(|progress| progress.keys));
    }
    assert_eq!(reports, [40, 51, 91]);
}

#[test]
fn an_error_of_the_sink_or_the_input_is_passed_on() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut writer = Writer::new(Full, WriteOptions::default());
    writer.entry(b"key", View::Int(1), None, None).unwrap();
    assert_eq!(writer.finish().map(|_| ()).unwrap_err().kind(), io::ErrorKind::StorageFull);

    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let input = (&b"REDIS0010"[..]).chain(Broken);
    let error = read_from(input, ReadOptions::default()).unwrap_err();
    assert!(matches!(&error.kind, RdbErrorKind::Io(e) if e.kind() == io::ErrorKind::ConnectionReset), "{error}");
}

fn payload(body: &[u8], version: u16) -> Vec<u8> {
    let mut payload = [body, &version.to_le_bytes()].concat();
    payload.extend(crc64::update(0, &payload).to_le_bytes());
    payload
}

/// What DUMP of 7.0.15 answered.
#[test]
fn payloads_of_a_real_server() {
    let list = SeenValue::List(vec![b"a".to_vec(), b"300".to_vec(), b"".to_vec()]);
    let cases: [(&[u8], SeenValue); 4] = [
        (b"\x00\x05hello\x0a\x00cr\xdfve4 \n", SeenValue::Bytes(b"hello".to_vec())),
        (b"\x00\xc1\xc7\xcf\n\x00g\xed\xa26\xb4\xdb&\xd0", SeenValue::Int(-12_345)),
        (b"\x00\xc3\n@\xc8\x02aba\xe0\xba\x01\x01ab\n\x00$\xa6\xe8Ap\xc0\xc6\x8c", SeenValue::Bytes(b"ab".repeat(100))),
        (
            b"\x12\x01\x02\x0f\x0f\x00\x00\x00\x03\x00\x81a\x02\xc1,\x02\x80\x01\xff\n\x00\x8b\xd8J\x84\x88p\xc3\xe8",
            list,
        ),
    ];
    for (bytes, value) in &cases {
        assert_eq!(SeenValue::of(parse(bytes).unwrap()), *value);
    }
    for (bytes, value) in &cases[..2] {
        assert_eq!(dump_payload(value.to_value().as_ref(), true), *bytes);
    }
}

#[test]
fn payloads_come_back_and_damage_is_told_apart() {
    let mut rng = Rng::new(9);
    for _ in 0..500 {
        let value = random_value(&mut rng);
        let bytes = dump_payload(value.to_value().as_ref(), rng.below(2) == 0);
        assert_eq!(SeenValue::of(parse(&bytes).unwrap()), value);
        let mut damaged = bytes.clone();
        damaged[rng.index(bytes.len())] ^= 1 << rng.below(8);
        assert!(matches!(parse(&damaged), Err(PayloadError::VersionOrChecksum)));
        let cut = &bytes[..rng.index(bytes.len())];
        assert!(matches!(parse(cut), Err(PayloadError::VersionOrChecksum)));
    }
    assert!(matches!(parse(&payload(b"\x00\x01v", 13)), Err(PayloadError::VersionOrChecksum)));
    parse(&payload(b"\x00\x01v", 6)).unwrap();
    for (body, text) in [
        (&b""[..], "Bad data format: the data ends too early (at byte 0)"),
        (b"\x00\x02v", "Bad data format: the data ends too early (at byte 2)"),
        (b"\x01\x00", "Bad data format: a collection has no elements (at byte 2)"),
        (b"\x00\x01vx", "Bad data format: 1 bytes follow the end of the data (at byte 3)"),
        (
            b"\x06\x01a",
            "Bad data format: key '' is of type 6 (module-value-v1), which this server cannot load (at byte 1)",
        ),
    ] {
        assert_eq!(parse(&payload(body, 10)).unwrap_err().to_string(), text);
    }
}

/// The payload that stalls servers which size a table by the promised count.
#[test]
fn a_payload_that_promises_billions_is_answered_at_once() {
    for code in [1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25] {
        let body = [&[code], &b"\x81\x00\x00\x00\x0f\xff\xff\xff\xff"[..]].concat();
        assert!(matches!(parse(&payload(&body, 10)), Err(PayloadError::BadData(_))));
    }
}

/// A field of [`expiring`]: name, value, deadline.
type ExpiringField = (Vec<u8>, Vec<u8>, Option<Millis>);

fn expiring(fields: usize) -> (Value, Vec<ExpiringField>) {
    let limits = Limits::new(HashSeed::new(7));
    let (mut hash, mut expected) = (Hash::default(), Vec::new());
    for n in 0..fields as i64 {
        let (field, value) = (format!("f{n}").into_bytes(), n.to_string().into_bytes());
        hash.set(&field, &value, &limits);
        let at = (n % 3 != 1).then_some(Millis(1_700_000_000_000 + n * n));
        at.map(|at| hash.set_deadline(&field, Some(at), limits.seed));
        expected.push((field, value, at));
    }
    expected.sort();
    (hash.into_value(), expected)
}

fn expiring_fields(value: &ValueOwned) -> Vec<ExpiringField> {
    let ValueOwned::Object(value) = value else { panic!("a hash is an object") };
    let hash = Hash::of((**value).as_ref()).unwrap();
    let mut fields: Vec<_> = hash.iter().map(|(f, v)| (f.to_vec(), v.to_vec(), hash.deadline(&f.to_vec()))).collect();
    fields.sort();
    fields
}

#[test]
fn deadlines_of_fields_come_back() {
    for fields in [1, 20, 1_000] {
        let (value, expected) = expiring(fields);
        let payload = dump_payload(View::Object(value.as_ref()), true);
        assert_eq!(payload[0], 24);
        assert_eq!(expiring_fields(&parse(&payload).unwrap()), expected);
    }
}

#[test]
fn small_hashes_of_others_with_deadlines_are_read() {
    let first = 1_700_000_000_000i64;
    let body = |elements: &[&str]| {
        let mut listpack = Listpack::new();
        elements.iter().for_each(|element| listpack.push(element.as_bytes()));
        let bytes = listpack.into_bytes();
        [&[25], &first.to_le_bytes()[..], &[bytes.len() as u8], &bytes].concat()
    };
    let read = |elements: &[&str]| parse(&payload(&body(elements), 10));
    let at = first.to_string();
    let expected = vec![(b"a".to_vec(), b"1".to_vec(), Some(Millis(first))), (b"b".to_vec(), b"2".to_vec(), None)];
    assert_eq!(expiring_fields(&read(&["a", "1", &at, "b", "2", "0"]).unwrap()), expected);
    for damaged in [&["a", "1"][..], &["a", "1", "x"], &["a", "1", "-1"], &["a", "1", "0", "a", "2", "0"]] {
        assert!(matches!(read(damaged), Err(PayloadError::BadData(_))), "{damaged:?}");
    }
    let beyond = [&[24], &i64::MAX.to_le_bytes()[..], &[1, 2, 1, b'f', 1, b'v']].concat();
    assert!(matches!(parse(&payload(&beyond, 10)), Err(PayloadError::BadData(_))), "later than time goes");
}

#[test]
fn absolute_deadlines_of_fields_are_read_as_the_files_signature_says() {
    let at = 1_700_000_000_000i64;
    let expected = vec![(b"a".to_vec(), b"1".to_vec(), Some(Millis(at))), (b"b".to_vec(), b"2".to_vec(), None)];
    let mut listpack = Listpack::new();
    ["a", "1", &at.to_string(), "b", "2", "0"].iter().for_each(|element| listpack.push(element.as_bytes()));
    let listpack = listpack.into_bytes();
    let redis = [&b"\x16\x01h\x02\x81"[..], &at.to_be_bytes(), b"\x01a\x011\x00\x01b\x012"].concat();
    let redis_packed = [&b"\x17\x01h"[..], &[listpack.len() as u8], &listpack].concat();
    let (at, none) = (at.to_le_bytes(), (-1i64).to_le_bytes());
    let valkey = [&b"\x16\x01h\x02\x01a\x011"[..], &at, b"\x01b\x012", &none].concat();
    let file = |signature: &[u8], entry: &[u8]| [signature, entry, b"\xff\0\0\0\0\0\0\0\0"].concat();
    for bytes in [file(b"REDIS0012", &redis), file(b"REDIS0012", &redis_packed), file(b"VALKEY080", &valkey)] {
        let mut reader = Reader::new(&bytes[..], whole(&bytes));
        let Item::Entry(entry) = reader.next_item().unwrap() else { panic!("an entry comes first") };
        assert_eq!(expiring_fields(&entry.value.into_owned()), expected);
        assert!(matches!(reader.next_item().unwrap(), Item::Eof(Checksum::NotWritten)));
    }
    for (signature, entry) in [(b"REDIS0012", &valkey), (b"VALKEY080", &redis), (b"VALKEY080", &redis_packed)] {
        assert!(read(&file(signature, entry)).is_err());
    }
    // Payloads tell by their version: their bodies are the entries without the key.
    let body = |entry: &[u8]| [&entry[..1], &entry[3..]].concat();
    for (entry, version) in [(&redis, 12), (&redis_packed, 12), (&valkey, 80)] {
        assert_eq!(expiring_fields(&parse(&payload(&body(entry), version)).unwrap()), expected);
    }
    for (entry, version) in [(&redis, 80), (&valkey, 12), (&valkey, 79), (&valkey, 81)] {
        assert!(parse(&payload(&body(entry), version)).is_err(), "{version}");
    }
    let newer = read(b"VALKEY081\xff\0\0\0\0\0\0\0\0").unwrap_err();
    assert!(matches!(newer.kind, RdbErrorKind::UnsupportedVersion(81)));
}

/// As in 7.0.15: only the number of elements of a listpack is held against the limits.
#[test]
fn what_was_packed_stays_packed_whatever_the_length_of_its_elements() {
    let wide = Limits::new(HashSeed::new(7));
    let narrow = Limits { zset_max_listpack_value: 2, hash_max_listpack_value: 2, ..wide };
    let mut zset = crate::value::Zset::new();
    zset.insert(b"member", 1.0, &wide);
    let mut hash = Hash::default();
    hash.set(b"field", b"value", &wide);
    for value in [zset.into_value(), hash.into_value()] {
        let payload = dump_payload(View::Object(value.as_ref()), true);
        let Ok(ValueOwned::Object(back)) = parse_payload(&payload, &narrow, true) else { panic!("it is a collection") };
        assert_eq!((*back).as_ref().encoding(), "listpack");
    }
}
