//! Records there and back, and that no flipped bit goes unseen.

use super::*;

/// An AOF in groups of these lengths, and its sums.
fn sealed(groups: &[usize]) -> (Vec<u8>, Vec<u8>) {
    let (mut aof, mut sums, mut chain) = (Vec::new(), HEADER.to_vec(), Chain::new());
    for (i, len) in groups.iter().enumerate() {
        let group: Vec<u8> = (0..*len).map(|k| (k * 31 + i * 7) as u8).collect();
        chain.update(&group);
        assert_eq!(chain.unrecorded(), *len as u64);
        sums.extend(chain.record());
        assert_eq!(chain.unrecorded(), 0);
        aof.extend(group);
    }
    assert_eq!(chain.offset(), aof.len() as u64);
    (aof, sums)
}

/// Feeds `aof` in pieces of `piece` bytes.
fn verify(aof: &[u8], sums: &[u8], piece: usize) -> Result<Sealed, Damage> {
    let mut verifier = Verifier::new(Sums::parse(sums).unwrap());
    for bytes in aof.chunks(piece) {
        verifier.feed(bytes)?;
    }
    assert_eq!(verifier.offset(), aof.len() as u64);
    Ok(verifier.sealed())
}

#[test]
fn sound_bytes_are_sound_however_they_are_cut() {
    let (aof, sums) = sealed(&[1, 70, 3, 200, 16]);
    for piece in 1..aof.len() + 2 {
        assert_eq!(verify(&aof, &sums, piece), Ok(Sealed::Whole));
    }
    assert_eq!(verify(b"", &HEADER, 1), Ok(Sealed::Whole));
    assert_eq!(verify(b"any", &HEADER, 1), Ok(Sealed::UpTo(0)));
}

/// What is told is the group of the flip, neither less nor more.
#[test]
fn each_flipped_bit_of_the_aof_is_told_with_its_group() {
    let groups = [40, 7, 1, 90, 33];
    let (aof, sums) = sealed(&groups);
    let mut ends = vec![0];
    ends.extend(groups.iter().scan(0, |end, len| {
        *end += *len;
        Some(*end)
    }));
    for bit in 0..aof.len() * 8 {
        let mut flipped = aof.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let group = ends.iter().rposition(|end| *end <= bit / 8).unwrap();
        let told = Damage { from: ends[group] as u64, to: ends[group + 1] as u64 };
        for piece in [1, 13, 1000] {
            assert_eq!(verify(&flipped, &sums, piece), Err(told), "bit {bit}");
        }
    }
}

/// A record that is damaged is seen to be; it neither accuses the AOF nor hides damage before the next record.
#[test]
fn each_flipped_bit_of_a_record_is_known_as_such() {
    let (aof, sums) = sealed(&[40, 7, 21]);
    for bit in RECORD_BYTES * 8..sums.len() * 8 {
        let mut flipped = sums.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let parsed = Sums::parse(&flipped).unwrap();
        assert_eq!((parsed.len(), parsed.damaged()), (3, 1), "bit {bit}");
        let is_last = bit / 8 >= 3 * RECORD_BYTES;
        let sealed = if is_last { Sealed::UpTo(47) } else { Sealed::Whole };
        assert_eq!(verify(&aof, &flipped, 9), Ok(sealed), "bit {bit}");
        for at in 0..47 {
            let mut both = aof.clone();
            both[at] ^= 1;
            assert!(verify(&both, &flipped, 9).is_err(), "bit {bit}, byte {at}");
        }
    }
}

#[test]
fn each_flipped_bit_of_the_header_is_refused() {
    let (_, sums) = sealed(&[4]);
    for bit in 0..RECORD_BYTES * 8 {
        let mut flipped = sums.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Sums::parse(&flipped).is_err(), "bit {bit}");
    }
    let mut newer = HEADER;
    newer[8] = 2;
    assert_eq!(Sums::parse(&newer), Err(SumsError::UnknownVersion(2)));
    assert_eq!(Sums::parse(b"*1\r\n$4\r\nPING\r\n"), Err(SumsError::NoHeader));
}

/// Whatever a crash leaves of the two files, sound bytes are not called damaged.
#[test]
fn both_files_may_end_anywhere() {
    let (aof, sums) = sealed(&[40, 7, 21]);
    for sums_len in 0..=sums.len() {
        let records = (sums_len / RECORD_BYTES).saturating_sub(1);
        let written = [0, 40, 47, 68][records];
        let parsed = Sums::parse(&sums[..sums_len]).unwrap();
        assert_eq!((parsed.len(), parsed.end(), parsed.is_empty()), (records, written, records == 0));
        for aof_len in 0..=aof.len() as u64 {
            let sealed = verify(&aof[..aof_len as usize], &sums[..sums_len], 6).unwrap();
            let sound = [0, 40, 47, 68].into_iter().rfind(|end| *end <= aof_len.min(written)).unwrap();
            let expected = match () {
                _ if aof_len < written => Sealed::Lost { sound, written },
                _ if aof_len > sound => Sealed::UpTo(sound),
                _ => Sealed::Whole,
            };
            assert_eq!(sealed, expected, "{sums_len} bytes of sums, {aof_len} bytes");
        }
    }
}

#[test]
fn zeros_that_a_power_failure_left_are_no_records() {
    assert_eq!(Sums::parse(&[0; 64]).unwrap().len(), 0);
    let (aof, mut sums) = sealed(&[5, 5]);
    sums[2 * RECORD_BYTES..].fill(0);
    assert_eq!(Sums::parse(&sums).unwrap().damaged(), 1);
    assert_eq!(verify(&aof, &sums, 3), Ok(Sealed::UpTo(5)));
}

#[test]
fn records_out_of_order_are_refused() {
    let (_, sums) = sealed(&[5, 5, 5]);
    let record = |i: usize| &sums[(i + 1) * RECORD_BYTES..(i + 2) * RECORD_BYTES];
    for order in [[1, 0], [0, 0]] {
        let file = [&HEADER[..], record(order[0]), record(order[1])].concat();
        let error = Sums::parse(&file).unwrap_err();
        assert_eq!(error, SumsError::OutOfOrder { record: 1 });
        assert_eq!(error.to_string(), "its record at byte 32 ends before the one ahead of it does");
    }
}

#[test]
fn how_much_is_kept_beside_a_file_that_is_cut() {
    let (_, mut sums) = sealed(&[40, 7, 21]);
    let kept = |sums: &[u8], at| Sums::parse(sums).unwrap().bytes_up_to(at);
    for (at, records) in [(0, 0), (39, 0), (40, 1), (46, 1), (47, 2), (67, 2), (68, 3), (u64::MAX, 3)] {
        assert_eq!(kept(&sums, at), (records + 1) * 16, "{at}");
    }
    assert_eq!(kept(&sums[..60], 68), 48);
    sums[3 * RECORD_BYTES + 5] ^= 4;
    assert_eq!(kept(&sums, 68), 48);
    assert_eq!((kept(&[], 68), kept(&sums[..7], 68), kept(&[0; 90], 68)), (0, 0, 0));
}

/// A server that starts again appends to both files.
#[test]
fn a_chain_is_carried_on() {
    let (aof, sums) = sealed(&[40, 7, 21]);
    let mut verifier = Verifier::new(Sums::parse(&sums[..48]).unwrap());
    verifier.feed(&aof).unwrap();
    assert_eq!((verifier.sound(), verifier.sealed(), verifier.is_waiting()), (47, Sealed::UpTo(47), false));
    let mut chain = verifier.chain();
    assert_eq!(chain.unrecorded(), 21);
    assert_eq!(chain.record()[..], sums[48..]);
}

#[test]
fn a_file_that_is_there_is_summed_up() {
    let (aof, _) = sealed(&[100_000, 70_000]);
    for len in [0, 1, 64 * 1024, 65_537, aof.len()] {
        let mut chain = Chain::new();
        chain.update(&aof[..len]);
        assert_eq!(Chain::over(&aof[..], len as u64).unwrap(), chain);
    }
    let error = Chain::over(&aof[..], aof.len() as u64 + 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

/// A sink that takes few bytes at a time gets records for just those.
#[test]
fn a_sealed_sink_has_its_sums_beside_it() {
    struct Few(Vec<u8>);
    impl Write for Few {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(300);
            self.0.extend(&bytes[..taken]);
            Ok(taken)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (aof, _) = sealed(&[10_000]);
    for (every, records) in [(1, 34), (1000, 9), (1 << 20, 1)] {
        let mut sink = Sealing::new(Few(Vec::new()), every);
        sink.write_all(&aof).unwrap();
        let (few, file) = sink.finish();
        assert_eq!(few.0, aof);
        assert_eq!(Sums::parse(&file).unwrap().len(), records);
        assert_eq!(verify(&aof, &file, 7), Ok(Sealed::Whole));
    }
    assert_eq!(Sealing::new(Vec::new(), 1).finish(), (Vec::new(), HEADER.to_vec()));
}

#[test]
fn a_chain_summed_up_anew_carries_on_behind_its_last_record() {
    let (aof, sums) = sealed(&[40, 7, 21]);
    let parsed = Sums::parse(&sums).unwrap();
    for (offset, end) in [(0, 0), (39, 0), (40, 40), (46, 40), (47, 47), (68, 68), (100, 68)] {
        assert_eq!(parsed.end_up_to(offset), end);
        let chain = Chain::over(&aof[..], offset.min(68)).unwrap().recorded_to(end);
        assert_eq!(chain.unrecorded(), offset.min(68) - end);
    }
}
