//! redis-check-aof and the checksums beside a file.

use redstart::aof::sums::{Chain, HEADER};

use crate::bench::{CHECK_AOF, Folder, command};

/// A file of three groups of two commands, sealed.
fn sealed() -> (Folder, Vec<u8>, Vec<usize>) {
    let (mut bytes, mut records, mut chain, mut ends) = (Vec::new(), HEADER.to_vec(), Chain::new(), Vec::new());
    for n in 0..3 {
        let group =
            [command(&["set", &format!("key:{n}"), "value"]), command(&["incr", &format!("count:{n}")])].concat();
        chain.update(&group);
        records.extend_from_slice(&chain.record());
        bytes.extend_from_slice(&group);
        ends.push(bytes.len());
    }
    let folder = Folder::with(&[("a.aof", &bytes), ("a.aof.sum", &records)]);
    (folder, bytes, ends)
}

#[test]
fn what_is_as_it_was_written_is_said_so() {
    let (folder, bytes, _) = sealed();
    let said = folder.run(CHECK_AOF, &["a.aof"], "");
    assert!(said.code == Some(0) && said.out.contains("Checksums of AOF a.aof are right\n"), "{said:?}");
    let more = command(&["set", "behind", "it"]);
    folder.write("a.aof", &[&bytes[..], &more].concat());
    let said = folder.run(CHECK_AOF, &["a.aof"], "");
    assert!(said.out.contains(&format!("its last {} bytes have none yet\n", more.len())), "{}", said.out);
    assert_eq!(said.code, Some(0));
}

/// A bit that still makes a command: 7.0.15 finds such a file valid.
#[test]
fn a_flipped_bit_in_a_value_is_told_with_range_and_command_and_mended() {
    let (folder, mut bytes, ends) = sealed();
    let at = bytes.windows(5).rposition(|w| w == b"key:1").unwrap() + 4;
    bytes[at] ^= 2;
    folder.write("a.aof", &bytes);
    let said = folder.run(CHECK_AOF, &["a.aof"], "");
    let range = format!("bytes {} to {} are not those that were written", ends[0], ends[1]);
    let there = format!("  byte {}: set key:3 ...\n", ends[0]);
    assert!(said.out.contains(&range) && said.out.contains(&there), "{}", said.out);
    assert!(said.out.contains(&format!(" ok_up_to={}, ok_up_to_line=13, ", ends[0])), "{}", said.out);
    assert!(said.code == Some(1) && said.out.ends_with("Use the --fix option to try fixing it.\n"));

    assert_eq!(folder.run(CHECK_AOF, &["--fix", "a.aof"], "n").code, Some(1));
    assert_eq!(folder.read("a.aof"), bytes);
    let said = folder.run(CHECK_AOF, &["--fix", "a.aof"], "y");
    assert!(said.out.contains("The bytes that go begin with 4 commands that can be read\n"), "{}", said.out);
    assert_eq!((said.code, folder.read("a.aof")), (Some(0), bytes[..ends[0]].to_vec()));
    assert_eq!(folder.cut_off("a.aof"), [&bytes[ends[0]..]]);
    let said = folder.run(CHECK_AOF, &["a.aof"], "");
    assert!(said.code == Some(0) && said.out.contains("Checksums of AOF a.aof are right\n"), "{said:?}");
}

#[test]
fn no_flipped_bit_goes_unseen() {
    let (folder, bytes, ends) = sealed();
    for bit in (0..bytes.len() * 8).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        folder.write("a.aof", &damaged);
        let said = folder.run(CHECK_AOF, &["a.aof"], "");
        assert_eq!(said.code, Some(1), "bit {bit}: {}", said.out);
        // A broken command may be told at its own offset, but nothing behind the damage is held to be good.
        let group = ends.iter().position(|end| bit / 8 < *end).unwrap();
        let good = if group == 0 { 0 } else { ends[group - 1] };
        let manifest = damaged.starts_with(b"REDIS") || damaged.starts_with(b"file");
        assert!(manifest || said.out.contains(&format!(" ok_up_to={good}, ")), "bit {bit}: {}", said.out);
    }
}

#[test]
fn a_torn_tail_is_cut_and_the_records_with_it() {
    let (folder, bytes, ends) = sealed();
    folder.write("a.aof", &bytes[..bytes.len() - 3]);
    let said = folder.run(CHECK_AOF, &["--fix", "a.aof"], "y");
    assert_eq!(said.code, Some(0), "{}", said.out);
    let kept = folder.read("a.aof");
    assert!(kept.len() > ends[1] && kept.len() < ends[2]);
    let said = folder.run(CHECK_AOF, &["a.aof"], "");
    assert!(said.code == Some(0) && said.out.contains("are right\n"), "{said:?}");
}

#[test]
fn bytes_that_were_lost_at_the_end_are_told_although_every_command_is_whole() {
    let (folder, bytes, ends) = sealed();
    for len in [ends[1], 0] {
        folder.write("a.aof", &bytes[..len]);
        let said = folder.run(CHECK_AOF, &["a.aof"], "");
        let words = format!("written up to byte {}: {} bytes are lost at its end\n", ends[2], ends[2] - len);
        assert!(said.code == Some(1) && said.out.contains(&words), "{said:?}");
    }
    folder.write("a.aof", &bytes[..ends[1]]);
    let said = folder.run(CHECK_AOF, &["--fix", "a.aof"], "y");
    assert!(said.code == Some(0) && said.out.ends_with("Successfully sealed AOF a.aof anew\n"), "{said:?}");
    assert_eq!((folder.read("a.aof").len(), folder.run(CHECK_AOF, &["a.aof"], "").code), (ends[1], Some(0)));
}

#[test]
fn a_file_beside_that_holds_no_checksums_is_told_and_replaced() {
    let (folder, bytes, _) = sealed();
    folder.write("a.aof.sum", b"something that is no file of checksums");
    let said = folder.run(CHECK_AOF, &["a.aof"], "");
    assert!(said.code == Some(1) && said.out.contains("a.aof.sum is no file of checksums: "), "{said:?}");
    assert_eq!(folder.run(CHECK_AOF, &["--fix", "a.aof"], "y").code, Some(0));
    let said = folder.run(CHECK_AOF, &["a.aof"], "");
    assert!(said.code == Some(0) && said.out.contains("are right\n"), "{said:?}");
    assert_eq!(folder.read("a.aof"), bytes);
}
