//! Replies as transcript lines: rendering, and comparing with lines that say less than everything.
//!
//! *Duty:* the table of replies in FORMAT.md. *Invariants:* [`lines`] takes exactly one reply; bytes left over, or
//! missing ones, are a bug of the command and end the test.

use redstart::base::quote;

/// The lines of the one reply in `bytes`.
pub fn lines(bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let rest = take(bytes, &mut lines);
    assert!(rest.is_empty(), "bytes behind the reply: {:?}", rest.escape_ascii().to_string());
    lines
}

fn take<'a>(bytes: &'a [u8], lines: &mut Vec<String>) -> &'a [u8] {
    let end = bytes.windows(2).position(|w| w == b"\r\n").expect("a reply has a line end");
    let (head, rest) = (&bytes[..end], &bytes[end + 2..]);
    let text = std::str::from_utf8(&head[1..]);
    let count = || text.ok().and_then(|t| t.parse::<i64>().ok()).expect("a reply's header has a number");
    match head[0] {
        b'$' if count() < 0 => lines.push("< _".into()),
        b'*' if count() < 0 => lines.push("< *_".into()),
        kind @ (b'$' | b'=') => {
            let (body, rest) = rest.split_at(count() as usize);
            lines.push(format!("< {} {}", kind as char, repr(body)));
            return rest.strip_prefix(b"\r\n").expect("a bulk string ends in a line end");
        }
        kind @ (b'*' | b'~' | b'>' | b'%' | b'|') => {
            lines.push(format!("< {}{}", kind as char, count()));
            let elements = if matches!(kind, b'%' | b'|') { 2 * count() } else { count() };
            return (0..elements).fold(rest, |rest, _| take(rest, lines));
        }
        _ => lines.push(format!("< {}", String::from_utf8_lossy(head))),
    }
    rest
}

pub fn repr(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    quote::repr(&mut out, bytes);
    String::from_utf8(out).expect("a quoted string is ASCII")
}

struct Node<'a> {
    head: &'a str,
    unordered: bool,
    /// Elements that belong together: one, or key and value.
    step: usize,
    elements: Vec<Node<'a>>,
}

/// Whether `got` is what `expected` describes: `?` is anything, `unordered` leaves the order open.
pub fn matches(expected: &[String], got: &[String]) -> bool {
    if expected.is_empty() || got.is_empty() {
        return expected.len() == got.len();
    }
    let (Some(expected), Some(got)) = (tree(expected), tree(got)) else {
        return false;
    };
    same(&expected, &got)
}

/// The tree of the lines; none when they are too few or too many.
fn tree(lines: &[String]) -> Option<Node<'_>> {
    let mut rest = lines.iter();
    let node = node(&mut rest)?;
    rest.next().is_none().then_some(node)
}

fn node<'a>(rest: &mut std::slice::Iter<'a, String>) -> Option<Node<'a>> {
    let text = rest.next()?.strip_prefix("< ")?;
    let head = text.strip_suffix(" unordered").unwrap_or(text);
    let step = if head.starts_with(['%', '|']) { 2 } else { 1 };
    let count = match head.strip_prefix(['*', '~', '>', '%', '|']) {
        Some(digits) => digits.parse().unwrap_or(0) * step,
        None => 0,
    };
    let elements: Option<Vec<Node<'_>>> = (0..count).map(|_| node(rest)).collect();
    Some(Node { head, unordered: head.len() < text.len(), step, elements: elements? })
}

fn same(expected: &Node<'_>, got: &Node<'_>) -> bool {
    if expected.head == "?" {
        return true;
    }
    if expected.head != got.head || expected.elements.len() != got.elements.len() {
        return false;
    }
    let all_same = |a: &[Node<'_>], b: &[Node<'_>]| a.iter().zip(b).all(|(a, b)| same(a, b));
    if !expected.unordered {
        return all_same(&expected.elements, &got.elements);
    }
    let mut left: Vec<&[Node<'_>]> = got.elements.chunks(got.step).collect();
    expected.elements.chunks(expected.step).all(|wanted| {
        let hit = left.iter().position(|group| all_same(wanted, group));
        hit.map(|at| left.swap_remove(at)).is_some()
    })
}

#[test]
fn open_lines_match_what_they_leave_open() {
    let lines = |text: &str| text.lines().map(|line| format!("< {line}")).collect::<Vec<String>>();
    let holds = |expected: &str, got: &str| matches(&lines(expected), &lines(got));
    assert!(holds("*2\n:1\n:2", "*2\n:1\n:2") && !holds("*2\n:1\n:2", "*2\n:2\n:1"));
    assert!(holds("*2 unordered\n:1\n:2", "*2\n:2\n:1") && !holds("*2 unordered\n:1\n:1", "*2\n:1\n:2"));
    assert!(holds("%1 unordered\n:1\n?", "%1\n:1\n*1\n:5") && !holds("%1\n:1\n?", "%1\n:2\n:3"));
    assert!(!holds("*2\n:1", "*2\n:1\n:2") && !holds("_", "") && holds("", ""));
}

#[test]
fn every_kind_of_reply_has_its_lines() {
    let bytes = b"*7\r\n$-1\r\n*-1\r\n%1\r\n$1\r\na\r\n:1\r\n,3.5\r\n#t\r\n=6\r\ntxt:\r\n\r\n-ERR no\r\n";
    let expected = "*7 _ *_ %1 $ \"a\" :1 ,3.5 #t = \"txt:\\r\\n\" -ERR no";
    let lines: Vec<String> = lines(bytes).iter().map(|line| line[2..].to_string()).collect();
    assert_eq!(lines.join(" "), expected);
}
