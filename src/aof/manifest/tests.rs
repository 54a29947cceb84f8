//! The manifest's text in both directions, and the steps between two texts.

use super::*;

const FULL: &[u8] = b"file appendonly.aof.2.base.rdb seq 2 type b
file appendonly.aof.1.base.rdb seq 1 type h
file appendonly.aof.1.incr.aof seq 1 type h
file appendonly.aof.2.incr.aof seq 2 type i
file appendonly.aof.4.incr.aof seq 4 type i
";

fn text(manifest: &Manifest) -> String {
    String::from_utf8(manifest.to_text()).unwrap()
}

fn what(text: &[u8]) -> &'static str {
    Manifest::parse(text).unwrap_err().what
}

#[test]
fn a_text_comes_back() {
    let manifest = Manifest::parse(FULL).unwrap();
    assert_eq!(manifest.to_text(), FULL);
    assert_eq!(manifest.base.as_ref().map(|f| f.seq), Some(2));
    assert_eq!((manifest.history.len(), manifest.incr.len()), (2, 2));
    let order: Vec<_> = manifest.to_load().map(|f| (f.seq, f.kind)).collect();
    assert_eq!(order, [(2, FileKind::Base), (2, FileKind::Incr), (4, FileKind::Incr)]);
    assert_eq!(Manifest::parse(&manifest.to_text()), Ok(manifest));
}

#[test]
fn comments_case_order_blanks_and_unknown_words() {
    let written = b"# a comment\n \t TYPE i FILE a.1.incr.aof color red Seq +1x \r\n#\n";
    let manifest = Manifest::parse(written).unwrap();
    assert_eq!(text(&manifest), "file a.1.incr.aof seq 1 type i\n");
    assert_eq!(manifest.base, None);
    // Only the first letter of the type counts, and the last value of a word.
    let manifest = Manifest::parse(b"file x file y seq 2 seq 3 type base\n").unwrap();
    assert_eq!(text(&manifest), "file y seq 3 type b\n");
    assert!(Manifest::parse(b"# nothing but a comment").unwrap().is_empty());
}

#[test]
fn each_way_to_be_wrong_has_the_words_of_the_reference() {
    assert_eq!(what(b""), "Found an empty AOF manifest");
    for invalid in [
        &b"\n"[..],
        b"  \t\r\n",
        b"file a seq 1 type\n",
        b"file a seq 1\n",
        b"file a seq 1 type b extra\n",
        b"file \"a seq 1 type b\n",
        b"file a seq x type b\n",
        b"file a seq 0 type b\n",
        b"file a seq 1 type \"\"\n",
        b"name a seq 1 type b\n",
        b"seq 1 seq 1 type b\n",
    ] {
        assert_eq!(what(invalid), "Invalid AOF manifest file format", "{}", invalid.escape_ascii());
    }
    assert_eq!(what(b"file a/b seq 1 type b\n"), "File can't be a path, just a filename");
    assert_eq!(what(b"file \"a\\\\b\" seq 1 type b\n"), "File can't be a path, just a filename");
    assert_eq!(what(b"file a seq 1 type x\n"), "Unknown AOF file type");
    assert_eq!(what(b"file a seq 1 type b\nfile b seq 2 type b\n"), "Found duplicate base file information");
    for seqs in [("1", "1"), ("2", "1"), ("-1", "1"), ("9223372036854775807", "99999999999999999999")] {
        let lines = format!("file a seq {} type i\nfile b seq {} type i\n", seqs.0, seqs.1);
        assert_eq!(what(lines.as_bytes()), "Found a non-monotonic sequence number", "{lines}");
    }
}

#[test]
fn an_error_shows_its_line_where_the_reference_does() {
    let error = Manifest::parse(b"# c\nfile a seq 1 type b\n  file b seq 2 type q \r\n").unwrap_err();
    assert_eq!((error.line_number, error.line.as_deref()), (3, Some(&b"file b seq 2 type q"[..])));
    let error = Manifest::parse(b"file a seq 1 type b").unwrap_err();
    assert_eq!((error.line_number, error.line), (1, None));
}

#[test]
fn lines_end_at_1024_bytes() {
    let line = |len: usize| {
        let tail = " seq 1 type b\n";
        format!("file {}{tail}", "n".repeat(len - 5 - tail.len())).into_bytes()
    };
    assert!(Manifest::parse(&line(1024)).is_ok());
    let long = "The AOF manifest file contains too long line";
    assert_eq!(what(&line(1025)), long);
    assert_eq!(what(b"file a seq 1 type b"), long);
    assert_eq!(what(b"file a\0 seq 1 type b\n"), long);
    // What is too long for a comment is a line of its own.
    let comment = |tail: &str| format!("#{}{tail}", "c".repeat(1023)).into_bytes();
    assert_eq!(what(&comment("\n")), "Invalid AOF manifest file format");
    assert_eq!(text(&Manifest::parse(&comment("file a seq 1 type b\n")).unwrap()), "file a seq 1 type b\n");
}

#[test]
fn names_with_special_characters_are_quoted() {
    let names: [(&[u8], &str); 5] = [
        (b"a b", r#""a b""#),
        (b"tab\there", r#""tab\there""#),
        (b"it's", r#""it's""#),
        (b"\xc3\xa9\x01\"", r#""\xc3\xa9\x01\"""#),
        (b"#plain-name_1.aof", "#plain-name_1.aof"),
    ];
    for (name, shown) in names {
        let base = Some(File { name: name.to_vec(), seq: 7, kind: FileKind::Base });
        let manifest = Manifest { base, base_seq: 7, ..Manifest::default() };
        assert_eq!(text(&manifest), format!("file {shown} seq 7 type b\n"));
        assert_eq!(Manifest::parse(&manifest.to_text()), Ok(manifest));
    }
}

/// The steps of a server that starts empty, is rewritten twice and switched off in between.
#[test]
fn the_steps_of_a_rewrite() {
    let mut manifest = Manifest::default();
    assert!(manifest.is_empty());
    assert_eq!(manifest.new_base("a.aof", true).name, b"a.aof.1.base.rdb");
    assert_eq!(manifest.new_incr("a.aof").name, b"a.aof.1.incr.aof");
    assert_eq!(manifest.new_incr("a.aof").name, b"a.aof.2.incr.aof");
    assert_eq!(manifest.new_incr("a.aof").name, b"a.aof.3.incr.aof");
    assert_eq!(manifest.new_base("a.aof", false).name, b"a.aof.2.base.aof");
    manifest.retire_incrs(true);
    let after = "file a.aof.2.base.aof seq 2 type b
file a.aof.1.incr.aof seq 1 type h
file a.aof.2.incr.aof seq 2 type h
file a.aof.1.base.rdb seq 1 type h
file a.aof.3.incr.aof seq 3 type i
";
    assert_eq!(text(&manifest), after);
    let gone: Vec<i64> = manifest.take_history().iter().map(|f| f.seq).collect();
    assert_eq!(gone, [1, 2, 1]);
    manifest.retire_incrs(false);
    assert_eq!((manifest.incr.len(), manifest.last_incr()), (0, None));
    manifest.retire_incrs(true);
    assert_eq!(manifest.new_incr("a.aof").seq, 4);
}

#[test]
fn a_single_file_becomes_the_base() {
    let mut manifest = Manifest::default();
    manifest.adopt_single_file("appendonly.aof");
    assert_eq!(text(&manifest), "file appendonly.aof seq 1 type b\n");
    let mut manifest = Manifest::parse(&manifest.to_text()).unwrap();
    assert_eq!(manifest.new_base("appendonly.aof", true).name, b"appendonly.aof.2.base.rdb");
    assert_eq!(manifest.new_incr("appendonly.aof").name, b"appendonly.aof.1.incr.aof");
}

#[test]
fn a_new_name_is_never_one_that_waits_for_its_deletion() {
    let history = b"file a.1.incr.aof seq 1 type h\nfile a.1.base.rdb seq 1 type h\n";
    let mut manifest = Manifest::parse(history).unwrap();
    assert_eq!(manifest.new_incr("a").name, b"a.2.incr.aof");
    assert_eq!(manifest.new_base("a", true).name, b"a.2.base.rdb");
}

#[test]
fn the_names_beside_it() {
    assert_eq!(manifest_name("a.aof"), "a.aof.manifest");
    assert_eq!(temp_manifest_name("a.aof"), "temp-a.aof.manifest");
    assert_eq!(temp_incr_name("a.aof"), "temp-a.aof.incr");
}
