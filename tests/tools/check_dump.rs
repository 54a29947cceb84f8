//! redis-check-dump, redis-check-rdb.

use std::os::unix::fs::symlink;

use crate::bench::{CHECK_DUMP, Folder, SERVER, reference, snapshot};

const SNAPSHOTS: [&str; 6] = ["types.rdb", "strings.rdb", "strings-plain.rdb", "lists.rdb", "lru.rdb", "lfu.rdb"];

#[test]
fn good_files_are_told_in_the_lines_of_the_reference_and_then_summed_up() {
    let folder = Folder::new();
    let real = reference("redis-check-rdb");
    for name in SNAPSHOTS {
        folder.write(name, &snapshot(name));
        let ours = folder.run(CHECK_DUMP, &[name], "");
        assert_eq!((ours.code, ours.err.as_str()), (Some(0), ""), "{}", ours.out);
        assert!(ours.out.starts_with(&format!("[offset 0] Checking RDB file {name}\n")));
        assert!(ours.out.contains("] \\o/ RDB looks OK! \\o/\n[info] "));
        assert!(ours.out.contains("\n[summary] DB 0: "));
        if let Some(real) = &real {
            let theirs = folder.run(real, &[name], "");
            assert_eq!(theirs.code, Some(0));
            assert!(ours.out.starts_with(&theirs.out), "ours: {}\ntheirs: {}", ours.out, theirs.out);
        }
    }
}

#[test]
fn keys_are_told_one_by_one() {
    let folder = Folder::with(&[("types.rdb", &snapshot("types.rdb"))]);
    let said = folder.run(CHECK_DUMP, &["--keys", "types.rdb"], "");
    let keys: Vec<_> = said.out.lines().filter(|line| line.starts_with("[key] db=0 offset=")).collect();
    assert_eq!(keys.len(), 8);
    let stream = keys.iter().find(|line| line.ends_with(" key=stream")).unwrap();
    assert!(stream.contains(" type=stream stored=stream-v2 elements=2 expire=4102444800000 "), "{stream}");
    assert_eq!(folder.run(CHECK_DUMP, &["types.rdb", "--keys"], ""), said);
}

#[test]
fn a_file_that_was_cut_is_bad_where_the_reference_says_so() {
    let whole = snapshot("types.rdb");
    let folder = Folder::new();
    let real = reference("redis-check-rdb");
    for len in (10..whole.len()).step_by(whole.len() / 40) {
        folder.write("cut.rdb", &whole[..len]);
        let ours = folder.run(CHECK_DUMP, &["cut.rdb"], "");
        assert_eq!(ours.code, Some(1), "cut to {len}: {}", ours.out);
        assert!(ours.out.contains("\n--- RDB ERROR DETECTED ---\n[offset "), "{}", ours.out);
        let Some(real) = &real else { continue };
        let theirs = folder.run(real, &["cut.rdb"], "");
        assert_eq!(theirs.code, Some(1));
        // What stands before the damage, then what was being done, and what was counted.
        let of = |out: &str| {
            let kept = |line: &&str| !line.starts_with("[additional info] ") || line.contains("While doing");
            let after = out.lines().position(|line| line.starts_with("---")).unwrap() + 1;
            let end = out.lines().position(|line| line.ends_with(" already expired")).unwrap() + 1;
            let lines: Vec<_> =
                out.lines().take(end).enumerate().filter(|(i, _)| *i != after).map(|(_, line)| line).collect();
            lines.into_iter().filter(kept).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(of(&ours.out), of(&theirs.out), "cut to {len}");
    }
}

#[test]
fn what_is_no_snapshot_is_exit_code_1() {
    let folder = Folder::with(&[("text", b"something else altogether")]);
    for (args, out, err) in [
        (&["text"][..], "Wrong signature trying to load DB from file", ""),
        (&["none"], "Checking RDB file none", "Cannot open file none: No such file or directory\n"),
        (&["."], "Checking RDB file .", ""),
        (&[], "", "Usage: "),
        (&["--keys"], "", "Usage: "),
        (&["text", "text"], "", "Usage: "),
    ] {
        let said = folder.run(CHECK_DUMP, args, "");
        assert_eq!(said.code, Some(1), "{args:?}: {said:?}");
        assert!(said.out.contains(out) && said.err.starts_with(err), "{args:?}: {said:?}");
    }
    for option in ["-v", "--version"] {
        let version = folder.run(CHECK_DUMP, &[option], "");
        assert!(version.code == Some(0) && version.out.starts_with("redis-check-rdb "), "{version:?}");
    }
}

#[test]
fn the_name_decides_what_the_programs_are() {
    let folder = Folder::with(&[("a.rdb", &snapshot("lists.rdb")), ("bad.rdb", &snapshot("lists.rdb")[..90])]);
    for (program, name) in
        [(CHECK_DUMP, "redis-check-rdb"), (SERVER, "other-redis-check-rdb"), (SERVER, "redis-check-dump")]
    {
        symlink(program, folder.path().join(name)).unwrap();
        let said = folder.run(folder.path().join(name), &["a.rdb"], "");
        assert!(said.code == Some(0) && said.out.contains("RDB looks OK"), "{name}: {said:?}");
        // The last lines of the program that had this name up to 3.0.
        let old = name == "redis-check-dump";
        assert_eq!(said.out.contains("\n==== Processed 13 valid opcodes (in "), old, "{}", said.out);
        assert_eq!(said.out.ends_with("CRC64 checksum is OK\n"), old);
    }
    let said = folder.run(CHECK_DUMP, &["bad.rdb"], "");
    assert!(said.code == Some(1) && said.out.ends_with("Total unprocessable opcodes: 1\n"), "{said:?}");
    symlink(SERVER, folder.path().join("redis-check-aof")).unwrap();
    let said = folder.run(folder.path().join("redis-check-aof"), &[], "");
    assert!(said.code == Some(1) && said.out.contains("[--fix|--truncate-to-timestamp $timestamp]"), "{said:?}");
}
