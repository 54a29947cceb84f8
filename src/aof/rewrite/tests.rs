//! What 7.0.15 does not know or shows only under load; tests/aof.rs holds the rest against a file of a real one.

use super::*;
use crate::base::hash::HashSeed;
use crate::value::{Hash, Limits, List, Stream, Value};

fn limits() -> Limits {
    Limits::new(HashSeed::new(1))
}

/// The commands, one a line, without lengths.
fn text(aof: &[u8]) -> String {
    let mut reader = crate::aof::Reader::new(aof, 0);
    let mut out = String::new();
    loop {
        match reader.next().unwrap() {
            crate::aof::Chunk::Commands(commands) => {
                for i in 0..commands.len() {
                    let words = (0..).map_while(|k| commands.arg(i, k)).map(|word| word.escape_ascii().to_string());
                    out += &words.collect::<Vec<_>>().join(" ");
                    out += "\n";
                }
            }
            crate::aof::Chunk::Annotation(annotation) => out += &format!("{}\n", annotation.line.escape_ascii()),
            crate::aof::Chunk::End => return out,
        }
    }
}

fn write(key: &[u8], value: &Value, expire: Option<Millis>) -> String {
    let mut writer = Writer::new(Vec::new());
    writer.entry(key, View::Object(value.as_ref()), expire).unwrap();
    text(&writer.finish().unwrap().0)
}

#[test]
fn the_frame() {
    let mut writer = Writer::new(Vec::new());
    writer.timestamp(1_700_000_000).unwrap();
    writer.function(b"#!lua name=l\n").unwrap();
    writer.begin_db(0, 0).unwrap();
    writer.begin_db(12, 2).unwrap();
    writer.entry(b"", View::Int(-7), Some(Millis(1))).unwrap();
    writer.entry(b"k", View::Str(b"a b"), None).unwrap();
    let (aof, bytes) = writer.finish().unwrap();
    assert_eq!(bytes, aof.len() as u64);
    assert!(aof.starts_with(b"#TS:1700000000\r\n*3\r\n$8\r\nFUNCTION\r\n$4\r\nLOAD\r\n$13\r\n"));
    let expected = "#TS:1700000000\nFUNCTION LOAD #!lua name=l\\n\nSELECT 12\nSET  -7\nPEXPIREAT  1\nSET k a b\n";
    assert_eq!(text(&aof), expected);
}

#[test]
fn deadlines_of_fields_follow_their_hash() {
    let mut hash = Hash::default();
    for field in [&b"1"[..], b"two"] {
        hash.set(field, b"v", &limits());
    }
    hash.set_deadline(b"1", Some(Millis(4_102_444_800_123)), limits().seed);
    let written = write(b"h", &Value::Hash(hash), Some(Millis(5)));
    let (values, rest) = written.split_once('\n').unwrap();
    assert!(["HMSET h 1 v two v", "HMSET h two v 1 v"].contains(&values), "{values}");
    assert_eq!(rest, "HPEXPIREAT h 4102444800123 FIELDS 1 1\nPEXPIREAT h 5\n");
}

#[test]
fn a_stream_of_nothing_is_there_again() {
    let written = write(b"s", &Value::Stream(Stream::new()), None);
    assert_eq!(written, "XADD s MAXLEN 0 0-1 x y\nXSETID s 0-0 ENTRIESADDED 0 MAXDELETEDID 0-0\n");
}

#[test]
fn elements_come_in_batches_and_alone_when_they_may_be_huge() {
    let heads = |elements: usize, bytes: usize| {
        let mut out =
            Output { sink: Vec::new(), buf: Vec::with_capacity(BUFFER_BYTES), flushed: 0, number: Vec::new() };
        let mut batches = Batches::new(b"RPUSH", b"k", elements, 1, bytes);
        for _ in 0..elements {
            batches.next(&mut out).unwrap();
            out.bulk(b"e").unwrap();
        }
        out.flush().unwrap();
        text(&out.sink).lines().map(|line| line.split(' ').count() - 2).collect::<Vec<_>>()
    };
    assert_eq!(heads(63, 0), [63]);
    assert_eq!(heads(64, 0), [64]);
    assert_eq!(heads(65, BATCHED_BYTES), [64, 1]);
    assert_eq!(heads(3, BATCHED_BYTES + 1), [1, 1, 1]);
}

/// Texts around the buffer's size, whatever is in the buffer before them.
#[test]
fn large_texts_pass_the_buffer_by() {
    let mut writer = Writer::new(Vec::new());
    let mut expected = String::new();
    for len in [BUFFER_BYTES - 40, 1, BUFFER_BYTES, BUFFER_BYTES - 1, 3 * BUFFER_BYTES, 0, BUFFER_BYTES - 25] {
        let value = "y".repeat(len);
        writer.entry(b"key", View::Str(value.as_bytes()), None).unwrap();
        expected += &format!("SET key {value}\n");
    }
    let (aof, bytes) = writer.finish().unwrap();
    assert_eq!(bytes, aof.len() as u64);
    assert!(text(&aof) == expected);
}

#[test]
fn progress_is_told_every_so_often() {
    let mut writer = Writer::new(Vec::new());
    for _ in 0..3 {
        writer.entry(b"k", View::Int(1), None).unwrap();
    }
    let now = writer.progress();
    assert_eq!((now.keys, now.bytes), (3, 27 * 3));
    assert_eq!(writer.progress_every(4, 1000), None);
    assert_eq!(writer.progress_every(3, 1000), Some(now));
    assert_eq!(writer.progress_every(1, 1), None);
    writer.entry(b"k", View::Int(1), None).unwrap();
    assert_eq!(writer.progress_every(100, 27).map(|p| p.keys), Some(4));
}

#[test]
fn a_sink_that_refuses_is_told() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut writer = Writer::new(Full);
    writer.entry(b"k", View::Int(1), None).unwrap();
    assert_eq!(writer.finish().map(|_| ()).unwrap_err().kind(), io::ErrorKind::StorageFull);
    let mut list = List::new();
    list.push(crate::value::list::End::Right, &vec![b'x'; 2 * BUFFER_BYTES], &limits());
    let refused = Writer::new(Full).entry(b"k", View::Object(Value::List(list).as_ref()), None);
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::StorageFull);
}
