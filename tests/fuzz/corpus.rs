//! Inputs to begin with: bodies of payloads of every type and form, old ones included, and whole files.
//!
//! *Duty:* what the code under test writes itself, and what it does not write any more but must read, put together
//! here byte by byte. *Invariant:* each is accepted as it is.

use std::fs;
use std::path::PathBuf;

use redstart::base::hash::HashSeed;
use redstart::base::millis::Millis;
use redstart::base::{lzf, num};
use redstart::ds::listpack::Listpack;
use redstart::rdb::{View, dump_payload};
use redstart::value::list::End;
use redstart::value::stream::{Group, Pending, StreamId};
use redstart::value::{Hash, Limits, List, Set, Stream, Typed, Value, Zset};

/// Version and checksum behind a payload's body.
pub const FOOTER: usize = 10;

/// The limits under which values are made and read: the usual ones, and such that nothing is packed.
pub fn limits() -> [Limits; 2] {
    let usual = Limits { stream_node_max_entries: 10, ..Limits::new(HashSeed::new(1)) };
    let tight = Limits {
        hash_max_listpack_entries: 1,
        set_max_intset_entries: 1,
        set_max_listpack_entries: 1,
        zset_max_listpack_entries: 1,
        list_max_listpack_size: 2,
        list_compress_depth: 1,
        stream_node_max_entries: 2,
        ..usual
    };
    [usual, tight]
}

/// Payloads without their footer: a byte of type, and the value.
pub fn bodies() -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    for limits in limits() {
        for value in values(&limits) {
            for compress in [true, false] {
                bodies.push(dump_payload(View::Object(value.as_ref()), compress));
            }
        }
    }
    let strings: [&[u8]; 4] = [b"", b"a string", &[b'x'; 5000], &[0xff; 70]];
    bodies.extend(strings.map(|string| dump_payload(View::Str(string), true)));
    bodies.extend([0, -1, 300, i64::MAX].map(|int| dump_payload(View::Int(int), true)));
    bodies.iter_mut().for_each(|body| body.truncate(body.len() - FOOTER));
    bodies.extend(old_bodies());
    bodies.sort();
    bodies.dedup();
    bodies
}

fn values(limits: &Limits) -> Vec<Value> {
    let mut values = Vec::new();
    for count in [1, 5, 200] {
        let texts: Vec<Vec<u8>> = (0..count).map(element).collect();
        let (mut list, mut set, mut hash, mut zset) = (List::new(), Set::default(), Hash::default(), Zset::new());
        let (mut ints, mut timed) = (Set::default(), Hash::default());
        for (i, text) in texts.iter().enumerate() {
            list.push(End::Right, text, limits);
            set.insert(text, limits);
            hash.set(text, &element(count + i), limits);
            zset.insert(text, [0.5, -0.0, i as f64, f64::INFINITY][i % 4], limits);
            ints.insert(num::format_i64((i as i64) << (count / 4), &mut [0; 20]), limits);
            timed.set(text, b"value", limits);
            if i % 2 == 0 {
                timed.set_deadline(text, Some(Millis(4_102_444_800_000 + i as i64)), limits.seed);
            }
        }
        values.extend([list.into_value(), set.into_value(), hash.into_value(), zset.into_value()]);
        values.extend([ints.into_value(), timed.into_value(), stream(count as u64, limits).into_value()]);
    }
    let mut list = List::new();
    let apart = Limits { list_packed_threshold: 100, ..*limits };
    [&b"short"[..], &[b'x'; 6000], b"", &[7; 101]].iter().for_each(|text| list.push(End::Right, text, &apart));
    values.push(list.into_value());
    values
}

/// The n-th of some different texts: integers of every width, short texts, longer ones.
fn element(n: usize) -> Vec<u8> {
    match n % 4 {
        0 => num::format_i64((n as i64 - 50) << (n % 60), &mut [0; 20]).to_vec(),
        1 => format!("text {n}").into_bytes(),
        2 => n.to_string().into_bytes(),
        _ => vec![n as u8; 10 + n],
    }
}

fn stream(entries: u64, limits: &Limits) -> Stream {
    let mut stream = Stream::new();
    for n in 1..=entries {
        let fields: &[&[u8]] = if n % 5 == 0 { &[b"f", b"1", b"other", b"two"] } else { &[b"f", b"value"] };
        assert!(stream.log_mut().append(StreamId { ms: 1000 + n / 3, seq: n }, fields.iter().copied(), limits));
    }
    let ids: Vec<StreamId> = stream.log().range(StreamId::MIN, StreamId::MAX).map(|entry| entry.id).collect();
    if entries > 1 {
        stream.log_mut().delete(ids[1]);
    }
    let mut group = Group::new(ids[ids.len() / 2], entries as i64 / 2);
    let consumer = group.add_consumer(b"alice", 5).expect("there is none");
    group.add_consumer(b"bob", 6).expect("there is none");
    for id in ids.iter().take(3) {
        group.set_pending(*id, Pending { delivery_time: 1_700_000_000_000, delivery_count: 1, consumer });
    }
    stream.groups_mut().insert(b"group".as_slice().into(), group);
    stream
}

/// Forms that are only read.
fn old_bodies() -> Vec<Vec<u8>> {
    let elements: Vec<Vec<u8>> = (0..30).map(element).collect();
    let elements: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
    let scored: &[&[u8]] = &[b"member", b"1.5", b"other", b"3", b"7", b"inf"];
    let (zipped, zipped_scores) = (ziplist(&elements), ziplist(scored));
    let node = Listpack::from_elements(&elements);
    let plain = [&[1][..], &text(b"plain"), &[2], &text(&node)].concat();
    vec![
        [&[1, 30][..], &elements.iter().flat_map(|e| text(e)).collect::<Vec<u8>>()].concat(),
        [&[3, 2, 1, b'a', 3, b'1', b'.', b'5', 1, b'b', 254][..]].concat(),
        [&[9][..], &text(&zipmap(&elements))].concat(),
        [&[10][..], &text(&zipped)].concat(),
        [&[10][..], &compressed(&ziplist(&[b"again and again".as_slice(); 20]))].concat(),
        [&[12][..], &text(&zipped_scores)].concat(),
        [&[13][..], &text(&zipped)].concat(),
        [&[14, 2][..], &text(&zipped), &text(&zipped_scores)].concat(),
        [&[18, 2][..], &plain].concat(),
        [&[20][..], &text(&node)].concat(),
        [&[25][..], &[0; 8], &text(&Listpack::from_elements(&[b"f", b"v", b"0", b"g", b"w", b"9"]))].concat(),
        old_stream(15),
        old_stream(19),
        old_stream(21),
    ]
}

trait FromElements {
    fn from_elements(elements: &[&[u8]]) -> Vec<u8>;
}

impl FromElements for Listpack {
    fn from_elements(elements: &[&[u8]]) -> Vec<u8> {
        let mut listpack = Listpack::new();
        elements.iter().for_each(|element| listpack.push(element));
        listpack.into_bytes()
    }
}

fn text(bytes: &[u8]) -> Vec<u8> {
    let len = match bytes.len() {
        len @ 0..64 => vec![len as u8],
        len @ 64..16384 => vec![0x40 | (len >> 8) as u8, len as u8],
        len => [&[0x80], &(len as u32).to_be_bytes()[..]].concat(),
    };
    [&len, bytes].concat()
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    assert!(lzf::compress(bytes, &mut packed));
    assert!(packed.len() < 64 && bytes.len() < 16384);
    [&[0xc3, packed.len() as u8, 0x40 | (bytes.len() >> 8) as u8, bytes.len() as u8], &packed[..]].concat()
}

fn ziplist(elements: &[&[u8]]) -> Vec<u8> {
    let (mut out, mut last, mut before) = (vec![0; 10], 10, 0);
    for element in elements {
        last = out.len();
        match before {
            0..254 => out.push(before as u8),
            _ => out.extend([&[0xfe], &(before as u32).to_le_bytes()[..]].concat()),
        }
        match (num::parse_i64(element), element.len()) {
            (Some(int @ 0..=12), _) => out.push(0xf1 + int as u8),
            (Some(int @ -128..=127), _) => out.extend([0xfe, int as u8]),
            (Some(int), _) => out.extend([&[0xe0], &int.to_le_bytes()[..]].concat()),
            (None, len @ 0..64) => out.extend([&[len as u8], *element].concat()),
            (None, len) => out.extend([&[0x40 | (len >> 8) as u8, len as u8], *element].concat()),
        }
        before = out.len() - last;
    }
    out.push(0xff);
    let len = out.len() as u32;
    out[..4].copy_from_slice(&len.to_le_bytes());
    out[4..8].copy_from_slice(&(last as u32).to_le_bytes());
    out[8..10].copy_from_slice(&(elements.len() as u16).to_le_bytes());
    out
}

fn zipmap(elements: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![elements.len() as u8 / 2];
    for pair in elements.chunks(2) {
        out.extend([&[pair[0].len() as u8], pair[0], &[pair[1].len() as u8, 2], pair[1], b"??"].concat());
    }
    out.push(0xff);
    out
}

/// One node of two entries, a group, a consumer with one of them.
fn old_stream(code: u8) -> Vec<u8> {
    let mut node = Vec::<&[u8]>::new();
    node.extend([&b"2"[..], b"0", b"1", b"field", b"0"]);
    node.extend([&b"2"[..], b"0", b"0", b"value", b"4"]);
    node.extend([&b"0"[..], b"5", b"1", b"2", b"a", b"1", b"b", b"2", b"8"]);
    let first = StreamId { ms: 7, seq: 1 }.to_bytes();
    let node = Listpack::from_elements(&node);
    let mut out = [&[code, 1, 16][..], &first, &text(&node), &[2, 12, 2]].concat();
    if code != 15 {
        out.extend([7, 1, 0, 0, 2]);
    }
    out.extend([1, 1, b'g', 7, 1]);
    if code != 15 {
        out.push(1);
    }
    out.extend([&[1][..], &first, &[9; 8], &[1], &[1, 1, b'c'], &[9; 8]].concat());
    if code == 21 {
        out.extend([9; 8]);
    }
    out.extend([&[1][..], &first].concat());
    out
}

/// Whole files: those of tests/data, and one with an entry for each body.
pub fn files(bodies: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/rdb");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(&folder).expect("the folder is there").flatten().map(|e| e.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "rdb"));
    paths.sort();
    let mut files: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).expect("it is listed")).collect();
    let mut file = b"REDIS0011\xfa\x09redis-ver\x067.0.15\xfe\x00\xfb\x10\x02".to_vec();
    for (i, body) in bodies.iter().enumerate().filter(|(_, body)| body.len() < 2000) {
        if i % 3 == 0 {
            file.extend([&[0xfc], &4_102_444_800_000i64.to_le_bytes()[..], &[0xf8, 5, 0xf9, 7]].concat());
        }
        file.extend([&body[..1], &text(format!("key:{i}").as_bytes()), &body[1..]].concat());
    }
    file.extend([0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    files.push(file);
    files
}
