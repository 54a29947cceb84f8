//! The request parser: whole commands, cut ones, hostile ones.

use super::*;

const LIMITS: Limits = Limits { max_bulk: 512 << 20, authenticated: true };

fn all(input: &[u8], limits: Limits) -> (Vec<Vec<Vec<u8>>>, End, usize) {
    let mut buf = input.to_vec();
    let (mut batch, mut partial, mut from, mut out) = (Batch::default(), None, 0, vec![]);
    loop {
        let progress = parse(&mut buf, from, &mut partial, limits, &mut batch);
        for i in 0..batch.len() {
            let spans = batch.spans(batch.command(i));
            out.push(spans.iter().map(|s| s.of(&buf).to_vec()).collect());
        }
        from = progress.consumed;
        if progress.end != End::BatchFull {
            return (out, progress.end, from);
        }
    }
}

#[test]
fn a_pipeline_of_both_forms_is_cut_in_order() {
    let input = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING \"a b\" 'c'\r\n\r\n*0\r\n*-1\r\nECHO x\n";
    let (commands, end, consumed) = all(input, LIMITS);
    assert_eq!(commands.len(), 3);
    assert_eq!(commands[0], [b"GET".to_vec(), b"k".to_vec()]);
    assert_eq!(commands[1], [b"PING".to_vec(), b"a b".to_vec(), b"c".to_vec()]);
    assert_eq!(commands[2], [b"ECHO".to_vec(), b"x".to_vec()]);
    assert_eq!((end, consumed), (End::NeedMore, input.len()));
}

#[test]
fn a_command_cut_at_every_byte_comes_out_whole() {
    let input = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$12\r\nhello\r\nworld\r\n*1\r\n$4\r\nPING\r\n";
    for cut in 0..input.len() {
        let (mut batch, mut partial) = (Batch::default(), None);
        let mut buf = input[..cut].to_vec();
        let first = parse(&mut buf, 0, &mut partial, LIMITS, &mut batch);
        let mut seen = batch.len();
        assert_eq!(first.end, End::NeedMore);
        // The unparsed rest moves to the front of another buffer, as it does between two reads.
        let mut rest = input[first.consumed..].to_vec();
        let second = parse(&mut rest, 0, &mut partial, LIMITS, &mut batch);
        seen += batch.len();
        assert_eq!((seen, second.end, first.consumed + second.consumed), (2, End::NeedMore, input.len()), "cut {cut}");
        let last = batch.spans(batch.command(batch.len() - 1));
        assert_eq!(last[0].of(&rest), b"PING");
    }
}

#[test]
fn what_is_no_request_is_named() {
    let open = Limits { authenticated: false, ..LIMITS };
    let cases: &[(&[u8], Limits, ProtocolError)] = &[
        (b"*x\r\n", LIMITS, ProtocolError::InvalidCount),
        (b"*2147483648\r\n", LIMITS, ProtocolError::InvalidCount),
        (b"*1\r\nfoo\r\n", LIMITS, ProtocolError::ExpectedDollar(b'f')),
        (b"*1\r\n$-10\r\n", LIMITS, ProtocolError::InvalidBulk),
        (b"*1\r\n$blabla\r\n", LIMITS, ProtocolError::InvalidBulk),
        (b"*1\r\n$2000000000\r\n", LIMITS, ProtocolError::InvalidBulk),
        (b"*11\r\n", open, ProtocolError::UnauthenticatedCount),
        (b"*1\r\n$16385\r\n", open, ProtocolError::UnauthenticatedBulk),
        (b"set \"\"\"test\r\n", LIMITS, ProtocolError::UnbalancedQuotes),
    ];
    for (input, limits, error) in cases {
        assert_eq!(all(input, *limits).1, End::Error(*error), "{}", input.escape_ascii());
    }
}

#[test]
fn endless_headers_end_at_64_kilobytes() {
    let long = |head: &[u8]| [head, &[b'1'; INLINE_MAX + 8]].concat();
    assert_eq!(all(&long(b"*"), LIMITS).1, End::Error(ProtocolError::TooBigCountString));
    assert_eq!(all(&long(b"*1\r\n$"), LIMITS).1, End::Error(ProtocolError::TooBigBulkString));
    assert_eq!(all(&long(b"a"), LIMITS).1, End::Error(ProtocolError::TooBigInline));
}

#[test]
fn a_promise_reserves_nothing() {
    let (mut batch, mut partial) = (Batch::default(), None);
    let mut buf = b"*2000000000\r\n$536870912\r\nabc".to_vec();
    let progress = parse(&mut buf, 0, &mut partial, LIMITS, &mut batch);
    assert_eq!((progress.consumed, progress.end), (0, End::NeedMore));
    assert!(partial.expect("half a command").memory() < 1024);
}

/// A client that blocks at the first command has the rest parsed again, so nothing of it may have been changed.
#[test]
fn what_is_parsed_ahead_can_be_parsed_again() {
    let input = b"BLPOP q 0\r\nSET  a b\r\nECHO \"x y\"\r\nSET c d\r\n";
    let mut buf = input.to_vec();
    let (mut batch, mut partial) = (Batch::default(), None);
    let progress = parse(&mut buf, 0, &mut partial, LIMITS, &mut batch);
    assert_eq!((batch.len(), progress.end, buf.as_slice()), (2, End::BatchFull, input.as_slice()));
    let words: Vec<&[u8]> = batch.spans(batch.command(1)).iter().map(|span| span.of(&buf)).collect();
    assert_eq!(words, [b"SET".as_slice(), b"a", b"b"]);
    let progress = parse(&mut buf, progress.consumed, &mut partial, LIMITS, &mut batch);
    assert_eq!((batch.len(), progress.end, progress.consumed), (2, End::NeedMore, input.len()));
    assert_eq!(batch.spans(batch.command(0))[1].of(&buf), b"x y");
}

/// The parser of logs agrees with that of the wire on everything that is written as it must be, wherever it is cut.
#[test]
fn the_strict_parser_cuts_the_same_commands() {
    let input: &[u8] = b"*3\r\n$3\r\nSET\r\n$0\r\n\r\n$12\r\nhello\r\nworld\r\n*1\r\n$4\r\nPING\r\n*11\r\n$1\r\na\r\n\
        $1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n$1\r\nh\r\n$1\r\ni\r\n$1\r\nj\r\n$1\r\nk\r\n";
    let (expected, _, _) = all(input, LIMITS);
    for cut in 0..=input.len() {
        let (mut batch, mut partial, mut out) = (Batch::default(), None, vec![]);
        let mut from = 0;
        for end in [cut, input.len()] {
            let (consumed, why) = parse_strict(&input[..end], from, &mut partial, &mut batch);
            assert_eq!(why, StrictEnd::NeedMore, "{cut}");
            for i in 0..batch.len() {
                let spans = batch.spans(batch.command(i));
                out.push(spans.iter().map(|s| s.of(input).to_vec()).collect::<Vec<_>>());
            }
            from = consumed;
        }
        assert_eq!((&out, from), (&expected, input.len()), "{cut}");
    }
}

#[test]
fn the_strict_parser_takes_nothing_on_trust() {
    let loose: [&[u8]; 14] = [
        b"PING\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"*+1\r\n",
        b"*01\r\n",
        b"*1\rX",
        b"*1\n",
        b"*\r\n",
        b"*1\r\nPING\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$04\r\nPING\r\n",
        b"*1\r\n$4\r\nPING\n\r",
        b"*1\r\n$4\r\rPING\r\n",
        b"*2147483648\r\n",
    ];
    for bytes in loose {
        let (mut batch, mut partial) = (Batch::default(), None);
        let good = b"*1\r\n$1\r\nx\r\n".len();
        let input = [&b"*1\r\n$1\r\nx\r\n"[..], bytes].concat();
        let end = parse_strict(&input, 0, &mut partial, &mut batch);
        assert_eq!((end, batch.len()), ((good, StrictEnd::NotACommand), 1), "{}", bytes.escape_ascii());
    }
    let (mut batch, mut partial) = (Batch::default(), None);
    let many = b"*1\r\n$1\r\nx\r\n".repeat(BATCH_MAX + 1);
    let (at, end) = parse_strict(&many, 0, &mut partial, &mut batch);
    assert_eq!(
        (at, end, batch.arg_count()),
        (many.len() / (BATCH_MAX + 1) * BATCH_MAX, StrictEnd::BatchFull, BATCH_MAX)
    );
}

#[test]
fn the_short_way_takes_what_the_general_way_takes() {
    let long = format!("*2\r\n$4\r\nECHO\r\n$99\r\n{}\r\n", "x".repeat(99));
    let samples = [
        b"*2\r\n$3\r\nGET\r\n$12\r\nhello\r\nworld\r\n".as_slice(),
        b"*1\r\n$4\r\nPING\r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n",
        long.as_bytes(),
    ];
    let mut taken = 0;
    let mut compare = |text: &[u8]| {
        let (mut short, mut general) = (vec![Span { at: 7, len: 7 }], vec![Span { at: 7, len: 7 }]);
        let end = short_command(text, 0, &mut short);
        match (end, multibulk(text, 0, &mut None, LIMITS, &mut general)) {
            (Some(end), Step::Command { end: other }) => assert_eq!((end, &short), (other, &general)),
            (Some(_), _) => panic!("{}", text.escape_ascii()),
            (None, _) => assert_eq!(short.len(), 1),
        }
        taken += end.is_some() as usize;
    };
    for sample in samples {
        for at in 0..sample.len() {
            compare(&sample[..=at]);
            for byte in 0..=255 {
                let mut other = sample.to_vec();
                other[at] = byte;
                compare(&other);
            }
        }
    }
    assert!(taken > samples.len(), "contents and line feeds may be anything");
}
