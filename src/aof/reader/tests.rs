//! Commands with their offsets, files cut at every byte, and bytes that are wrong.

use super::super::sums::{self, Chain, Sealed, Sums};
use super::*;

/// Gives out at most `piece` bytes at a time.
struct Slowly<'a> {
    bytes: &'a [u8],
    piece: usize,
}

impl Read for Slowly<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.piece.min(buf.len());
        self.bytes.read(&mut buf[..n])
    }
}

/// A file, read: its commands as (start, end, words), its annotations, and how it ended.
#[derive(Default)]
struct Seen {
    commands: Vec<(u64, u64, Vec<Vec<u8>>)>,
    annotations: Vec<(u64, Vec<u8>)>,
    error: Option<ReadError>,
    sealed: Option<Sealed>,
}

fn read(mut reader: Reader<impl Read>) -> Seen {
    let mut seen = Seen::default();
    loop {
        match reader.next() {
            Ok(Chunk::Commands(commands)) => {
                assert!(!commands.is_empty() && commands.len() <= 32);
                for i in 0..commands.len() {
                    let words = commands.spans(i).iter().map(|span| span.of(commands.buf()).to_vec()).collect();
                    seen.commands.push((commands.start(i), commands.end(i), words));
                }
            }
            Ok(Chunk::Annotation(annotation)) => seen.annotations.push((annotation.offset, annotation.line.to_vec())),
            Ok(Chunk::End) => break,
            Err(error) => {
                let again = reader.next().err().map(|again| again.to_string());
                assert_eq!(again, Some(error.to_string()), "an error stays");
                seen.error = Some(error);
                break;
            }
        }
    }
    seen.sealed = reader.verifier().map(|v| v.sealed());
    seen
}

fn read_bytes(bytes: &[u8]) -> Seen {
    read(Reader::new(bytes, 0))
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend(format!("${}\r\n", word.len()).into_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Parts that begin with `*` or `#`, and where each begins; the last number is the length.
fn file(parts: &[Vec<u8>]) -> (Vec<u8>, Vec<u64>) {
    let (mut bytes, mut starts) = (Vec::new(), Vec::new());
    for part in parts {
        starts.push(bytes.len() as u64);
        bytes.extend(part);
    }
    starts.push(bytes.len() as u64);
    (bytes, starts)
}

fn sample() -> Vec<Vec<u8>> {
    vec![
        command(&[b"SELECT", b"0"]),
        b"#TS:1700000000\r\n".to_vec(),
        command(&[b"SET", b"key", b"\r\n*3\r\n"]),
        command(&[b"SET", b"", &[b'x'; 300]]),
        command(&[b"MULTI"]),
        b"# anything\n".to_vec(),
        command(&[b"RPUSH", b"list", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9"]),
        command(&[b"EXEC"]),
    ]
}

#[test]
fn commands_and_annotations_have_their_offsets() {
    let parts = sample();
    let (bytes, starts) = file(&parts);
    for piece in [1, 7, bytes.len()] {
        let mut reader = Reader::new(Slowly { bytes: &bytes, piece }, 1000);
        let mut at = 0;
        while at < parts.len() {
            let is_annotation = parts[at][0] == b'#';
            match reader.next().unwrap() {
                Chunk::Commands(commands) => {
                    for i in 0..commands.len() {
                        assert_eq!(commands.start(i), 1000 + starts[at]);
                        assert_eq!(commands.end(i), 1000 + starts[at + 1]);
                        let words: Vec<&[u8]> = (0..).map_while(|k| commands.arg(i, k)).collect();
                        assert_eq!(command(&words), parts[at]);
                        at += 1;
                    }
                }
                Chunk::Annotation(annotation) => {
                    assert!(is_annotation);
                    assert_eq!(annotation.offset, 1000 + starts[at]);
                    assert_eq!(annotation.timestamp(), (at == 1).then_some(1_700_000_000));
                    at += 1;
                }
                Chunk::End => panic!("ended at {at}"),
            }
            assert_eq!(reader.offset(), 1000 + starts[at]);
        }
        assert!(matches!(reader.next(), Ok(Chunk::End)));
        assert_eq!(reader.lines(), [5, 7, 7, 3, 23, 3].iter().sum::<u64>());
    }
}

/// Every cut is a truncation at the last part that is whole, and all before it is given out.
#[test]
fn a_file_cut_at_every_byte() {
    let parts = sample();
    let (bytes, starts) = file(&parts);
    for cut in 0..=bytes.len() {
        let seen = read(Reader::new(Slowly { bytes: &bytes[..cut], piece: 50 }, 0));
        let whole = starts.iter().rposition(|start| *start <= cut as u64).unwrap();
        assert_eq!(seen.commands.len() + seen.annotations.len(), whole, "{cut}");
        match seen.error {
            None => assert_eq!(starts[whole], cut as u64),
            Some(ReadError::Truncated(fault)) => {
                assert_eq!(fault.offset, starts[whole], "{cut}");
                assert!(fault.offset <= fault.at && fault.at <= cut as u64);
                assert_ne!(fault.offset, cut as u64);
            }
            Some(error) => panic!("cut at {cut}: {error}"),
        }
    }
}

#[test]
fn what_is_wrong_is_told_in_the_words_of_the_tool() {
    let good = command(&[b"set", b"foo", b"hello"]);
    let cases: [(&[u8], u64, &str, u64); 13] = [
        (b"!!!", 0, "Expected prefix '*' or '#', got: '!'", 0),
        (b"\0\0\0\0", 0, "Expected prefix '*' or '#', got: '\\u{0}'", 0),
        (b"PING\r\n", 0, "Expected prefix '*' or '#', got: 'P'", 0),
        (b"*0\r\n", 0, "Expected a command, got one without arguments", 0),
        (b"*-1\r\n", 0, "Expected \\r\\n, got: 2d31", 0),
        (b"*x", 0, "Expected \\r\\n, got: 7800", 0),
        (b"*1\n$4\r\nPING\r\n", 0, "Expected \\r\\n, got: 0a24", 0),
        (b"*01\r\n", 0, "Expected \\r\\n, got: 310d", 0),
        (b"*1\r\n:4\r\n", 4, "Expected prefix '$', got: ':'", 1),
        (b"*1\r\n$4\r\nPINGS\r\n", 8, "Expected \\r\\n, got: 530d", 2),
        (b"*2\r\n$4\r\nECHO\r\n$4\rPING\r\n", 14, "Expected \\r\\n, got: 0d50", 3),
        (b"*1\r\n$99999999999\r\n", 4, "The length 99999999999 is not in the suitable range", 1),
        (b"*2147483648\r\n", 0, "The length 2147483648 is not in the suitable range", 0),
    ];
    for (wrong, at, words, lines) in cases {
        let seen = read_bytes(&[&good[..], wrong].concat());
        let Some(ReadError::Format(fault)) = seen.error else { panic!("{}", wrong.escape_ascii()) };
        let offset = good.len() as u64;
        assert_eq!((fault.offset, fault.at, fault.lines), (offset, offset + at, 7 + lines), "{}", wrong.escape_ascii());
        assert_eq!(fault.what.to_string(), words);
        assert_eq!(seen.commands.len(), 1, "what is before it is given out");
    }
    let fault = |bytes: &[u8]| match read_bytes(bytes).error {
        Some(ReadError::Truncated(fault)) => (fault.at, fault.what.to_string(), fault.lines),
        _ => panic!("{}", bytes.escape_ascii()),
    };
    assert_eq!(fault(&good[..good.len() - 1]), (26, "Expected to read 7 bytes, got 6 bytes".into(), 6));
    assert_eq!(fault(b"*3\r"), (0, "Unexpected end of file".into(), 0));
    assert_eq!(fault(b"#TS:17"), (0, "Unexpected end of file".into(), 0));
}

#[test]
fn an_annotation_ends_in_time() {
    let line = |len: usize| [&b"#"[..], &vec![b'a'; len - 2], b"\n"].concat();
    assert_eq!(read_bytes(&line(MAX_ANNOTATION)).annotations.len(), 1);
    let seen = read_bytes(&line(MAX_ANNOTATION + 1));
    assert!(matches!(seen.error, Some(ReadError::Format(Fault { what: What::LongAnnotation, .. }))));
}

/// Any byte anywhere: either the same parts come out, or others of the same shape, or an error; never a panic, and
/// what lies before the byte is always the same.
#[test]
fn any_byte_may_be_any_other() {
    let parts = sample();
    let (bytes, starts) = file(&parts);
    let sound = read_bytes(&bytes);
    for at in (0..bytes.len()).filter(|at| !(100..350).contains(at)) {
        for value in [0, b'\n', b'\r', b'#', b'$', b'*', b'0', b'9', b'z', 255] {
            let mut changed = bytes.clone();
            changed[at] = value;
            let seen = read_bytes(&changed);
            let before = sound.commands.iter().take_while(|(_, end, _)| *end <= at as u64).count();
            assert_eq!(seen.commands[..before], sound.commands[..before]);
            if let Some(ReadError::Truncated(fault) | ReadError::Format(fault)) = seen.error {
                assert!(fault.at as usize <= changed.len() && fault.offset <= fault.at);
                assert!(starts.contains(&fault.offset) || fault.offset > at as u64);
            }
        }
    }
}

/// More than the buffer holds, in commands small and large; and no promise makes it larger than what came.
#[test]
fn large_files_and_large_commands() {
    let mut parts: Vec<Vec<u8>> =
        (0..40_000).map(|i| command(&[b"SET", format!("key:{i}").as_bytes(), b"v"])).collect();
    let large = vec![b'L'; 5 * CHUNK_BYTES + 17];
    parts.insert(20_000, command(&[b"APPEND", b"k", &large, b"tail"]));
    parts.insert(30_000, command(&vec![&b"x"[..]; 300_000]));
    let (bytes, starts) = file(&parts);
    let mut reader = Reader::new(Slowly { bytes: &bytes, piece: 300_000 }, 0);
    let (mut n, mut most) = (0, 0);
    while let Chunk::Commands(commands) = reader.next().unwrap() {
        for i in 0..commands.len() {
            assert_eq!((commands.start(i), commands.end(i)), (starts[n], starts[n + 1]));
            assert!(commands.spans(i).len() < 100 || n == 30_000);
            assert!(n != 20_000 || commands.arg(i, 2) == Some(&large));
            n += 1;
        }
        most = most.max(reader.buf.len());
    }
    assert_eq!((n, most), (parts.len(), 8 * CHUNK_BYTES));
    assert_eq!(reader.buf.len(), CHUNK_BYTES, "it shrinks again");

    let seen = read_bytes(b"*2147483647\r\n$2147483647\r\nabc");
    let Some(ReadError::Truncated(fault)) = seen.error else { panic!() };
    assert_eq!(fault.what, What::ShortArgument { expected: 2_147_483_649, got: 3 });
}

/// Each part is a group with its record.
fn seal(parts: &[Vec<u8>]) -> Sums {
    let (mut chain, mut file) = (Chain::new(), sums::HEADER.to_vec());
    for part in parts {
        chain.update(part);
        file.extend(chain.record());
    }
    Sums::parse(&file).unwrap()
}

/// Nothing that lies in or behind the damage is given out, and the damage is named rather than its consequences.
#[test]
fn each_flipped_bit_is_told_as_damage() {
    let parts = sample();
    let (bytes, starts) = file(&parts);
    let sealed = seal(&parts);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let group = starts.iter().rposition(|start| *start <= (bit / 8) as u64).unwrap();
        let damage = Damage { from: starts[group], to: starts[group + 1] };
        for piece in [3, 100, bytes.len()] {
            let reader = Reader::new(Slowly { bytes: &flipped, piece }, 0);
            let seen = read(reader.verified(Verifier::new(sealed.clone())));
            let told = matches!(seen.error, Some(ReadError::Damaged(told)) if told == damage);
            assert!(told, "bit {bit}: {:?}", seen.error.map(|e| e.to_string()));
            assert!(seen.commands.len() + seen.annotations.len() >= group);
            if piece == bytes.len() {
                assert_eq!(seen.commands.len() + seen.annotations.len(), group, "bit {bit}");
            }
        }
    }
}

#[test]
fn a_file_and_its_sums_part_at_the_tail() {
    let parts = sample();
    let (bytes, starts) = file(&parts);
    let all = seal(&parts);
    let len = bytes.len() as u64;
    let with = |bytes: &[u8], sums: &Sums| read(Reader::new(bytes, 0).verified(Verifier::new(sums.clone())));
    assert_eq!(with(&bytes, &all).sealed, Some(Sealed::Whole));
    assert_eq!(with(&bytes, &seal(&parts[..5])).sealed, Some(Sealed::UpTo(starts[5])));
    // Cut between two commands: without the sums nobody would know.
    let cut = with(&bytes[..starts[6] as usize], &all);
    assert!(cut.error.is_none());
    assert_eq!(cut.sealed, Some(Sealed::Lost { sound: starts[6], written: len }));
    let cut = with(&bytes[..bytes.len() - 3], &all);
    assert!(matches!(cut.error, Some(ReadError::Truncated(fault)) if fault.offset == starts[7]));
    assert_eq!(cut.sealed, Some(Sealed::Lost { sound: starts[7], written: len }));
}

/// Behind a preamble the sums have taken its bytes before.
#[test]
fn a_preamble_is_summed_up_too() {
    let parts = [b"REDIS0011 and so on".to_vec(), command(&[b"PING"])];
    let (bytes, starts) = file(&parts);
    let mut verifier = Verifier::new(seal(&parts));
    verifier.feed(&parts[0]).unwrap();
    let seen = read(Reader::new(&bytes[starts[1] as usize..], starts[1]).verified(verifier));
    assert_eq!(seen.sealed, Some(Sealed::Whole));
    assert_eq!(seen.commands, [(starts[1], starts[2], vec![b"PING".to_vec()])]);
}

#[test]
fn an_io_error_is_passed_on() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let seen = read(Reader::new((&b"*1\r\n$4\r\nPING\r\n*"[..]).chain(Failing), 0));
    assert_eq!((seen.commands.len(), seen.error.unwrap().to_string()), (1, "the disk is gone".into()));
}
