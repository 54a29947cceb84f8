//! Quoting: a line into arguments, and bytes into a quoted string.
//!
//! *Duty:* the one syntax of inline commands, configuration lines and redis-cli input, and its inverse as MONITOR,
//! CONFIG REWRITE and error messages print it.
//! *Does not know:* where the line comes from, comments, or how long a line may be.
//! *Invariants:* splitting what [`repr`] prints gives the same bytes back, for every input.
//! *Counterpart in C Redis:* `sdssplitargs`, `sdscatrepr`.

/// Splits `line` at blanks. Quotes may begin anywhere in an argument and end it. `"…"` takes the escapes
/// `\n \r \t \b \a \xHH`, and `\` before any other byte for that byte; `'…'` takes only `\'`. None if a quote stays
/// open or has text right behind it.
///
/// Quirk: a zero byte ends the line, and leaves an open quote open (`a_zero_byte_ends_the_line`).
pub fn split_args(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let end = line.iter().position(|&b| b == 0).unwrap_or(line.len());
    let mut rest = skip_blanks(&line[..end]);
    let mut args = Vec::new();
    while !rest.is_empty() {
        let mut arg = Vec::new();
        rest = skip_blanks(take_arg(rest, &mut arg)?);
        args.push(arg);
    }
    Some(args)
}

/// Blanks as C's `isspace` has them, the vertical tab included.
fn skip_blanks(line: &[u8]) -> &[u8] {
    let blanks = line.iter().take_while(|&&b| is_blank(b)).count();
    &line[blanks..]
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || (9..=13).contains(&byte)
}

/// Moves one argument from the head of `line` to `arg` and returns what follows.
///
/// Quirk: a vertical tab or form feed separates arguments only at their start.
fn take_arg<'a>(mut line: &'a [u8], arg: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match line {
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Some(line),
            [b'"', quoted @ ..] => return take_double_quoted(quoted, arg),
            [b'\'', quoted @ ..] => return take_single_quoted(quoted, arg),
            [byte, rest @ ..] => {
                arg.push(*byte);
                line = rest;
            }
        }
    }
}

fn take_double_quoted<'a>(mut line: &'a [u8], arg: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, rest) = match line {
            [] => return None,
            [b'"', rest @ ..] => return after_quote(rest),
            [b'\\', b'x', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                (hex_digit(*high) << 4 | hex_digit(*low), rest)
            }
            [b'\\', escaped, rest @ ..] => (unescape(*escaped), rest),
            [byte, rest @ ..] => (*byte, rest),
        };
        arg.push(byte);
        line = rest;
    }
}

fn take_single_quoted<'a>(mut line: &'a [u8], arg: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, rest) = match line {
            [] => return None,
            [b'\'', rest @ ..] => return after_quote(rest),
            [b'\\', b'\'', rest @ ..] => (b'\'', rest),
            [byte, rest @ ..] => (*byte, rest),
        };
        arg.push(byte);
        line = rest;
    }
}

/// Behind a closing quote only a blank or the end may stand.
fn after_quote(line: &[u8]) -> Option<&[u8]> {
    line.first().is_none_or(|&b| is_blank(b)).then_some(line)
}

fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

/// Appends `bytes` in double quotes, with everything but printable ASCII escaped.
pub fn repr(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0x07 => out.extend(b"\\a"),
            0x08 => out.extend(b"\\b"),
            b' '..=b'~' => out.push(byte),
            _ => out.extend([b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
        split_args(line)
    }

    fn args(expected: &[&[u8]]) -> Option<Vec<Vec<u8>>> {
        Some(expected.iter().map(|a| a.to_vec()).collect())
    }

    #[test]
    fn lines_are_split_at_blanks() {
        assert_eq!(split(b""), args(&[]));
        assert_eq!(split(b" \t\r\n"), args(&[]));
        assert_eq!(split(b"  set  k\tv\r\n"), args(&[b"set", b"k", b"v"]));
        assert_eq!(split(b"\x0ba\x0bb \x0cc"), args(&[b"a\x0bb", b"c"]));
        assert_eq!(split(b"a\\nb"), args(&[b"a\\nb"]));
    }

    #[test]
    fn quotes_and_escapes() {
        assert_eq!(split(br#"a "b c" d"#), args(&[b"a", b"b c", b"d"]));
        assert_eq!(split(br#""" ''"#), args(&[b"", b""]));
        assert_eq!(split(br#"pre"fix" it's'"#), args(&[b"prefix", b"its"]));
        assert_eq!(split(br#""\n\r\t\b\a\\\"\q""#), args(&[b"\n\r\t\x08\x07\\\"q"]));
        assert_eq!(split(br#""\x00\xfF\x4g\x""#), args(&[b"\x00\xffx4gx"]));
        assert_eq!(split(br"'\n\'\x41\\ '"), args(&[br"\n'\x41\\ "]));
        assert_eq!(split(b"\"a\"\x0b'b'"), args(&[b"a", b"b"]));
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        let refused: [&[u8]; 8] = [b"\"", b"'", b"a \"b", b"\"a\"b", b"'a'\"b\"", b"\"a\\\"", b"'a\\'", b"ok \"\\"];
        for line in refused {
            assert_eq!(split(line), None, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_zero_byte_ends_the_line() {
        assert_eq!(split(b"a b\0c \""), args(&[b"a", b"b"]));
        assert_eq!(split(b"\"a\"\0b"), args(&[b"a"]));
        assert_eq!(split(b"\"a\0b\""), None);
    }

    #[test]
    fn repr_escapes_and_splits_back() {
        let mut out = Vec::new();
        repr(&mut out, b"a\\\"'\n\r\t\x07\x08\0\x1f ~\x7f\xff");
        assert_eq!(out, br#""a\\\"'\n\r\t\a\b\x00\x1f ~\x7f\xff""#);
        let all: Vec<u8> = (0..=255).collect();
        let mut out = Vec::new();
        repr(&mut out, &all);
        assert_eq!(split(&out), Some(vec![all]));
    }
}
