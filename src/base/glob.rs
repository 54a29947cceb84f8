//! Glob patterns: `*`, `?`, `[a-z]`, `[^a-z]` and `\x`, with the edges Redis gives them.
//!
//! *Duty:* does a whole text match a pattern. KEYS, SCAN MATCH, PSUBSCRIBE, ACL key and channel patterns and CONFIG
//! GET ask.
//! *Does not know:* what is matched; bytes only, no UTF-8.
//! *Invariants:* time is at most pattern length times text length, whatever the stars; no recursion, no allocation.
//! One star is remembered at a time: when the tail after the *last* star cannot be matched further on, giving an
//! earlier star more text cannot help, because that leaves the tail less to choose from.
//! *Counterpart in C Redis:* `stringmatchlen`.

/// Do `a` and `A` match?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Sensitive,
    Insensitive,
}

/// How many stars with something behind them a pattern has that matches anything.
const STARS_MAX: usize = 1000;

/// Does `pattern` match all of `text`?
///
/// Quirk: a pattern of more than [`STARS_MAX`] stars matches nothing, as Redis gives up so deep.
/// Quirk: an empty text matches only the empty pattern, not `*` (`empty_text_matches_only_the_empty_pattern`).
pub fn matches(pattern: &[u8], text: &[u8], case: Case) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut p, mut t) = (0, 0);
    let (mut retry, mut stars) = (None, 0);
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p = skip_stars(pattern, p);
            if p == pattern.len() {
                return true;
            }
            stars += 1;
            if stars > STARS_MAX {
                return false;
            }
            retry = Some((p, t));
            continue;
        }
        if p < pattern.len() {
            let (hit, len) = match_one(&pattern[p..], text[t], case);
            if hit {
                p += len;
                t += 1;
                continue;
            }
        }
        let Some((after_star, tried)) = retry else {
            return false;
        };
        (p, t) = (after_star, tried + 1);
        retry = Some((p, t));
    }
    skip_stars(pattern, p) == pattern.len()
}

/// Is there nothing in `pattern` but itself to match? Then a lookup can replace the search.
pub fn is_literal(pattern: &[u8]) -> bool {
    !pattern.iter().any(|b| matches!(b, b'*' | b'?' | b'[' | b'\\'))
}

fn skip_stars(pattern: &[u8], from: usize) -> usize {
    from + pattern[from..].iter().take_while(|&&b| b == b'*').count()
}

/// Matches one byte against the element at the head of `pattern` (not empty, not a star); also says how long that
/// element is, which depends on the pattern alone.
#[inline]
fn match_one(pattern: &[u8], byte: u8, case: Case) -> (bool, usize) {
    match pattern {
        [b'?', ..] => (true, 1),
        [b'[', class @ ..] => {
            let (hit, len) = match_class(class, byte, case);
            (hit, len + 1)
        }
        [b'\\', escaped, ..] => (fold(*escaped, case) == fold(byte, case), 2),
        _ => (fold(pattern[0], case) == fold(byte, case), 1),
    }
}

/// Matches a class whose `[` is already gone; the length includes the `]`, which may be missing at the end.
///
/// Quirks, all pinned by `classes_have_odd_corners`: an escaped member is compared with its case; `]` right after
/// `[` closes an empty class; a `-` takes any byte after it as the end of a range, even `]`.
fn match_class(class: &[u8], byte: u8, case: Case) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut hit = false;
    loop {
        match &class[at..] {
            [] => break,
            [b'\\', member, ..] => {
                hit |= *member == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [start, b'-', end, ..] => {
                hit |= in_range(*start, *end, byte, case);
                at += 3;
            }
            [member, ..] => {
                hit |= fold(*member, case) == fold(byte, case);
                at += 1;
            }
        }
    }
    (hit != negated, at)
}

/// Quirk: bytes are ordered as signed, `0x80` lowest, as C's `char` is here; and ends the wrong way round are
/// swapped before their case is folded. (Redis orders bytes above `0x7f` otherwise when it ignores case; that is
/// asked only of names in ASCII, and not followed.)
fn in_range(start: u8, end: u8, byte: u8, case: Case) -> bool {
    let (low, high) = if start as i8 > end as i8 { (end, start) } else { (start, end) };
    let signed = |b| fold(b, case) as i8;
    (signed(low)..=signed(high)).contains(&signed(byte))
}

#[inline]
fn fold(byte: u8, case: Case) -> u8 {
    match case {
        Case::Sensitive => byte,
        Case::Insensitive => byte.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_a_thousand_stars_nothing_matches() {
        let text = b"a".repeat(5_000);
        assert!(matches(&b"*?".repeat(1_000), &text, Case::Sensitive));
        assert!(!matches(&b"*?".repeat(1_001), &text, Case::Sensitive));
    }

    fn exact(pattern: &[u8], text: &[u8]) -> bool {
        matches(pattern, text, Case::Sensitive)
    }

    #[test]
    fn the_documented_forms() {
        for (pattern, yes, no) in [
            (&b"h?llo"[..], &b"hallo"[..], &b"hllo"[..]),
            (b"h*llo", b"hllo", b"hllox"),
            (b"h*llo", b"heeeello", b"heeeell"),
            (b"h[ae]llo", b"hello", b"hillo"),
            (b"h[^e]llo", b"hallo", b"hello"),
            (b"h[a-b]llo", b"hbllo", b"hcllo"),
            (b"h[b-a]llo", b"hallo", b"hcllo"),
            (b"h\\?llo", b"h?llo", b"hello"),
            (b"user:*:name", b"user::name", b"user:name"),
            (b"*a*b*", b"xxaxxbxx", b"xxbxxaxx"),
            (b"a**", b"a", b"ba"),
            (b"*aab", b"aaaab", b"aaaba"),
            (b"*[0-9]?z", b"1z5yz", b"1z5y"),
            (b"", b"", b"a"),
        ] {
            let name = String::from_utf8_lossy(pattern);
            assert!(exact(pattern, yes), "{name}");
            assert!(!exact(pattern, no), "{name}");
        }
    }

    #[test]
    fn empty_text_matches_only_the_empty_pattern() {
        assert!(exact(b"", b""));
        assert!(!exact(b"*", b""));
        assert!(!exact(b"**", b""));
        assert!(!exact(b"?", b""));
    }

    #[test]
    fn classes_have_odd_corners() {
        for (pattern, text, expected) in [
            (&b"[]"[..], &b"]"[..], false),
            (b"[]]", b"]", false),
            (b"[^]", b"x", true),
            (b"[", b"[", false),
            (b"[^", b"x", true),
            (b"[a", b"a", true),
            (b"[ab", b"b", true),
            (b"[a-", b"-", true),
            (b"[a-]", b"_", true),
            (b"[a-]", b"-", false),
            (b"[a-]x", b"_x", false),
            (b"[a\\]]", b"]", true),
            (b"[\\", b"\\", true),
            (b"[\\a-c]", b"b", false),
            (b"[\\a-c]", b"-", true),
            (b"\\", b"\\", true),
            (b"a\\", b"a\\", true),
            (b"[a-\xff]", b"\xff", true),
            (b"[a-\xff]", b"A", true),
            (b"[a-\xff]", b"z", false),
            (b"[\x80-\x90]", b"\x85", true),
        ] {
            assert_eq!(exact(pattern, text), expected, "{}", pattern.escape_ascii());
        }
        assert!(!matches(b"[\\a]", b"A", Case::Insensitive));
        assert!(!matches(b"[Z-a]", b"Z", Case::Insensitive));
        assert!(matches(b"[A-C]\\X?", b"bxZ", Case::Insensitive));
        assert!(matches(b"MaxMemory*", b"maxmemory", Case::Insensitive));
        assert!(!matches(b"MaxMemory*", b"maxmemory", Case::Sensitive));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = b"a*".repeat(STARS_MAX);
        let text = [b"a".repeat(30_000), b"b".to_vec()].concat();
        assert!(exact(&pattern, &text));
        assert!(!exact(&[&pattern[..], b"c"].concat(), &text));
    }

    #[test]
    fn literals_are_recognised() {
        assert!(is_literal(b"user:1]^-"));
        assert!(is_literal(b""));
        for pattern in [&b"a*"[..], b"?", b"[a]", b"\\a"] {
            assert!(!is_literal(pattern));
        }
    }
}
