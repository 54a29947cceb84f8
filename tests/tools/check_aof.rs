//! redis-check-aof: the same files under 7.0.15's program and ours, then what ours says beyond.

use std::os::unix::fs::PermissionsExt;

use redstart::base::rng::Rng;

use crate::bench::{CHECK_AOF, Folder, Said, command, commands, reference, snapshot};

/// Lines that 7.0.15 does not have.
const OURS: [&str; 4] =
    ["Warning: ", "What is cut off is kept in ", "The bytes that go begin with ", "Checksums of AOF "];

fn without_ours(out: &str) -> String {
    // The question ends without a line feed, and an answer is not echoed.
    let out = out.replace("Continue? [y/N]: ", "Continue? [y/N]: \n");
    let lines = out.lines().filter(|line| !OURS.iter().any(|ours| line.starts_with(ours)));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Runs ours, and where it is there the reference's on copies of the files: they must say and do the same.
fn check(files: &[(&str, &[u8])], args: &[&str], answer: &str) -> (Folder, Said) {
    let folder = Folder::with(files);
    let said = folder.run(CHECK_AOF, args, answer);
    if let Some(real) = reference("redis-check-aof") {
        let copy = Folder::with(files);
        let theirs = copy.run(real, args, answer);
        let out = without_ours(&said.out);
        assert_eq!((said.code, out), (theirs.code, without_ours(&theirs.out)), "{args:?}");
        for (name, _) in files {
            assert_eq!(folder.read(name), copy.read(name), "{name} after {args:?}");
        }
    }
    (folder, said)
}

fn foo_bar() -> Vec<u8> {
    commands(&[&["set", "foo", "hello"], &["set", "bar", "world"]])
}

const MANIFEST: &[u8] = b"file a.1.base.aof seq 1 type b\nfile a.1.incr.aof seq 1 type i\n";

#[test]
fn a_good_file_of_the_old_kind() {
    let (_, said) = check(&[("a.aof", &foo_bar())], &["a.aof"], "");
    let expected = "Start checking Old-Style AOF\n\
                    AOF analyzed: filename=a.aof, size=66, ok_up_to=66, ok_up_to_line=15, diff=0\n\
                    AOF a.aof is valid\n";
    assert_eq!((said.code, said.out.as_str()), (Some(0), expected));
    assert_eq!(check(&[("a.aof", b"")], &["a.aof"], "").1.out, "Start checking Old-Style AOF\nAOF a.aof is empty\n");
    let (_, said) = check(&[("a.aof", &foo_bar())], &["none.aof"], "");
    assert_eq!((said.code, said.out.as_str()), (Some(1), "Cannot open file none.aof: No such file or directory\n"));
}

#[test]
fn damage_of_every_kind_is_told_as_the_reference_tells_it() {
    let multi = commands(&[&["multi"], &["set", "k", "v"]]);
    for (tail, words) in [
        (&b"!!!"[..], "AOF a.aof format error\n"),
        (b"*3\r\n$3\r\nset\r\n$3\r\nfo", "Expected to read 5 bytes, got 2 bytes\n"),
        (b"*3\r\n$3\r\nset\r\n$3\r\nfoobar\r\n", "Expected \\r\\n, got: 6261\n"),
        (b"*3\r\n$x\r\nset\r\n", "Expected \\r\\n, got: 780d\n"),
        (b"*1\r\n:4\r\nping\r\n", "Expected prefix '$', got: ':'\n"),
        (b"*2\r\n", "ok_up_to_line=16, diff=4\n"),
        (&multi, "Reached EOF before reading EXEC for MULTI\n"),
        (b"*1\r\n$4\r\nexec\r\n", "Unexpected EXEC in AOF a.aof\n"),
        (b"*1\r\n$5\r\nmulti\r\n*1\r\n$5\r\nMULTI\r\n", "Unexpected MULTI in AOF a.aof\n"),
        (b"*1\r\n$-5\r\n", "Expected to read string of -5 bytes, which is not in the suitable range\n"),
    ] {
        let bytes = [&foo_bar()[..], tail].concat();
        let (folder, said) = check(&[("a.aof", &bytes)], &["a.aof"], "");
        assert!(said.out.contains(words) && said.out.contains(" ok_up_to=66, "), "{}", said.out);
        assert!(said.out.ends_with("AOF a.aof is not valid. Use the --fix option to try fixing it.\n"));
        assert_eq!((said.code, folder.names()), (Some(1), vec!["a.aof".to_owned()]));
    }
}

#[test]
fn a_fix_asks_cuts_and_keeps_what_it_cut_off() {
    let bytes = [&foo_bar()[..], b"*2\r\n$3\r\nGET"].concat();
    for answer in ["n\n", "", "\n"] {
        let (folder, said) = check(&[("a.aof", &bytes)], &["--fix", "a.aof"], answer);
        assert!(said.out.ends_with("Continue? [y/N]: Aborting...\n"), "{}", said.out);
        assert_eq!((said.code, folder.read("a.aof")), (Some(1), bytes.clone()));
    }
    let (folder, said) = check(&[("a.aof", &bytes)], &["--fix", "a.aof"], "y\n");
    assert!(said.out.contains("This will shrink the AOF a.aof from 77 bytes, with 11 bytes, to 66 bytes\n"));
    assert!(said.out.ends_with("Successfully truncated AOF a.aof\n"), "{}", said.out);
    assert_eq!((said.code, folder.read("a.aof")), (Some(0), foo_bar()));
    assert_eq!(folder.cut_off("a.aof"), [&bytes[66..]]);
    let kept = folder.names().into_iter().find(|name| name.starts_with("a.aof.cut-66-")).unwrap();
    let mode = std::fs::metadata(folder.path().join(kept)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The same again does not write over what is kept.
    folder.write("a.aof", &bytes);
    assert_eq!(folder.run(CHECK_AOF, &["--fix", "a.aof"], "Y").code, Some(0));
    assert_eq!(folder.cut_off("a.aof"), [&bytes[66..], &bytes[66..]]);
}

#[test]
fn an_rdb_in_front_of_the_commands() {
    let rdb = snapshot("strings.rdb");
    let bytes = [&rdb[..], &foo_bar()].concat();
    let (_, said) = check(&[("a.aof", &bytes)], &["a.aof"], "");
    assert!(said.out.contains("\nRDB preamble is OK, proceeding with AOF tail...\nAOF analyzed: "), "{}", said.out);
    assert_eq!(said.code, Some(0));
    let torn = &bytes[..bytes.len() - 1];
    let (folder, said) = check(&[("a.aof", torn)], &["--fix", "a.aof"], "y\n");
    assert_eq!((said.code, folder.read("a.aof").len()), (Some(0), rdb.len() + 33));
    let mut bad = bytes.clone();
    bad[rdb.len() - 4] ^= 1;
    let folder = Folder::with(&[("a.aof", &bad)]);
    let said = folder.run(CHECK_AOF, &["--fix", "a.aof"], "y\n");
    assert!(said.out.contains("RDB CRC error\n") && said.code == Some(1), "{}", said.out);
    assert!(said.out.ends_with("RDB preamble of AOF file is not sane, aborting.\n"));
    assert_eq!(folder.read("a.aof"), bad);
}

#[test]
fn a_manifest_with_its_files() {
    let rdb = snapshot("types.rdb");
    for base in [&foo_bar()[..], &rdb, b""] {
        let files = [("a.manifest", MANIFEST), ("a.1.base.aof", base), ("a.1.incr.aof", &foo_bar())];
        let (_, said) = check(&files, &["a.manifest"], "");
        assert!(said.out.starts_with("Start checking Multi Part AOF\nStart to check BASE AOF ("), "{}", said.out);
        assert!(said.out.ends_with("INCR AOF a.1.incr.aof is valid\nAll AOF files and manifest are valid\n"));
        assert_eq!(said.code, Some(0));
    }
    let torn = &foo_bar()[..60];
    let files = [("a.manifest", MANIFEST), ("a.1.base.aof", torn), ("a.1.incr.aof", &foo_bar())];
    let (folder, said) = check(&files, &["--fix", "a.manifest"], "y\n");
    assert!(said.out.ends_with("Failed to truncate AOF a.1.base.aof because it is not the last file\n"));
    assert_eq!((said.code, folder.read("a.1.base.aof")), (Some(1), torn.to_vec()));
    let files = [("a.manifest", MANIFEST), ("a.1.base.aof", &foo_bar()), ("a.1.incr.aof", torn)];
    let (folder, said) = check(&files, &["--fix", "a.manifest"], "y\n");
    assert!(said.out.contains("Successfully truncated AOF a.1.incr.aof\nAll AOF files and"), "{}", said.out);
    assert_eq!((said.code, folder.read("a.1.incr.aof").len()), (Some(0), 33));
    for missing in ["a.1.base.aof", "a.1.incr.aof"] {
        let files = [("a.manifest", MANIFEST), ("a.1.base.aof", &foo_bar()[..]), ("a.1.incr.aof", &foo_bar())];
        let files: Vec<_> = files.into_iter().filter(|(name, _)| *name != missing).collect();
        let (_, said) = check(&files, &["a.manifest"], "");
        assert!(said.out.contains(&format!("Cannot open file ./{missing}: No such file")), "{}", said.out);
        assert_eq!(said.code, Some(1));
    }
}

#[test]
fn a_bad_manifest_is_told_with_its_line() {
    let folder = Folder::with(&[("a.manifest", b"file a.1.base.aof seq 1 type b\nfile b seq 2 type x\n")]);
    let said = folder.run(CHECK_AOF, &["a.manifest"], "");
    assert!(said.out.contains("at line 2\n>>> 'file b seq 2 type x'\nUnknown AOF file type\n"), "{}", said.out);
    assert_eq!(said.code, Some(1));
}

#[test]
fn a_value_that_looks_like_a_manifest_makes_none() {
    let bytes = command(&["set", "k", "v\nfile a seq 1 type b\n"]);
    let said = Folder::with(&[("a.aof", &bytes)]).run(CHECK_AOF, &["a.aof"], "");
    assert!(said.code == Some(0) && said.out.starts_with("Start checking Old-Style AOF\n"), "{said:?}");
}

fn with_timestamps() -> Vec<u8> {
    let set = |n: u8| command(&["set", &format!("foo{n}"), "bar"]);
    let parts = [b"#TS:1628217470\r\n".to_vec(), set(1), b"#TS:1628217471\r\n".to_vec(), set(2)];
    [parts.concat(), b"#TS:1628217473\r\n".to_vec(), set(3)].concat()
}

#[test]
fn a_file_is_cut_at_a_timestamp() {
    let bytes = with_timestamps();
    let part = (bytes.len()) / 3;
    for (at, len) in [("1628217473", bytes.len()), ("1628217472", 2 * part), ("1628217470", part), ("0", bytes.len())] {
        let args = ["--truncate-to-timestamp", at, "a.aof"];
        let (folder, said) = check(&[("a.aof", &bytes)], &args, "");
        assert_eq!((said.code, folder.read("a.aof").len()), (Some(0), len), "{}", said.out);
        assert_eq!(folder.names().len(), if len < bytes.len() { 2 } else { 1 });
    }
    for (at, words) in
        [("1628217469", "has nothing before timestamp 1628217469, aborting..."), ("12x", "Invalid timestamp")]
    {
        let (_, said) = check(&[("a.aof", &bytes)], &["--truncate-to-timestamp", at, "a.aof"], "");
        assert!(said.out.contains(words) && said.code == Some(1), "{}", said.out);
    }
    let files = [("a.manifest", MANIFEST), ("a.1.base.aof", &bytes[..]), ("a.1.incr.aof", &foo_bar())];
    let (folder, said) = check(&files, &["--truncate-to-timestamp", "1628217471", "a.manifest"], "");
    assert!(said.out.contains("because it is not the last file.\nIf you insist, "), "{}", said.out);
    assert_eq!((said.code, folder.read("a.1.base.aof")), (Some(1), bytes.clone()));
}

#[test]
fn usage_and_version() {
    for args in [&[][..], &["--fix", "a", "b"], &["--repair", "a.aof"], &["--fix", "--fix", "a", "b"]] {
        let said = Folder::new().run(CHECK_AOF, args, "");
        let usage = format!("Usage: {CHECK_AOF} [--fix|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>\n");
        if args != ["--fix", "a", "b"] {
            assert_eq!((said.code, said.out), (Some(1), usage), "{args:?}");
        }
    }
    for option in ["-v", "--version"] {
        let said = Folder::new().run(CHECK_AOF, &[option], "");
        assert!(said.code == Some(0) && said.out.starts_with("redis-check-aof "), "{said:?}");
    }
}

#[test]
fn commands_that_the_server_would_refuse_are_told_with_their_offsets() {
    let bytes = commands(&[
        &["set", "foo", "hello"],
        &["seu", "k", "v"],
        &["set", "k"],
        &["object", "unthinkable", "k"],
        &["time"],
    ]);
    let folder = Folder::with(&[("a.aof", &bytes)]);
    let said = folder.run(CHECK_AOF, &["a.aof"], "");
    for words in [
        "at byte 33: unknown command 'seu'\n",
        "at byte 60: wrong number of arguments for 'set': 1\n",
        "unknown subcommand 'unthinkable' of 'object'\n",
        "'time' is no command that changes data\n",
        "AOF a.aof is whole, but the server would refuse 4 of its commands\n",
    ] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    assert_eq!(said.code, Some(1));
    // There is nothing that a cut could make better.
    assert_eq!(folder.run(CHECK_AOF, &["--fix", "a.aof"], "y").out, said.out);
    assert_eq!(folder.read("a.aof"), bytes);
}

/// Random damage, each time compared with the reference where it is there, and mended.
#[test]
fn random_damage_is_found_as_the_reference_finds_it_and_can_be_mended() {
    let whole =
        [with_timestamps(), commands(&[&["multi"], &["rpush", "list", "a", "b"], &["exec"]]), foo_bar()].concat();
    let mut rng = Rng::new(17);
    for round in 0..150 {
        let mut bytes = whole.clone();
        let at = rng.below(bytes.len() as u64) as usize;
        match round % 3 {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << rng.below(8),
            _ => drop(bytes.splice(at..at, [b'*', rng.below(256) as u8])),
        }
        let folder = Folder::with(&[("a.aof", &bytes)]);
        let out = folder.run(CHECK_AOF, &["a.aof"], "").out;
        // The reference does not look at names, prints what a terminal would obey, and of a line that ends too early
        // what its memory holds behind it.
        let known =
            ["the server would refuse", "got: '\\x", "got: 0000", "annotation"].iter().any(|words| out.contains(words));
        if known || bytes.first() != Some(&b'#') {
            continue;
        }
        let (folder, said) = check(&[("a.aof", &bytes)], &["--fix", "a.aof"], "y");
        assert_eq!(said.code, Some(0), "round {round}: {}", said.out);
        assert_eq!(folder.run(CHECK_AOF, &["a.aof"], "").code, Some(0), "round {round}");
    }
}
