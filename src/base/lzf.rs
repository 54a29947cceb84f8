//! LZF: the compression of strings in RDB files and of inner list nodes.
//!
//! *Duty:* read every valid stream, refuse every other, write streams that any Redis can read.
//! *Does not know:* when compressing is worth while; the caller says how short the result must be.
//! *Invariants:* decompression neither reads nor writes out of bounds, and reserves at most what the input could
//! expand to. Compression touches `out` only when it succeeds.
//! *Counterpart in C Redis:* `lzf_c.c`, `lzf_d.c`. Our streams may differ from theirs: which repeats are found is
//! the compressor's choice.
//!
//! ```text
//! 000nnnnn <n+1 bytes>           literal run of 1 to 32 bytes
//! nnnooooo oooooooo              copy n+2 bytes (3 to 8) from o+1 bytes back
//! 111ooooo nnnnnnnn oooooooo     copy n+9 bytes (9 to 264) from o+1 bytes back
//! ```

const MAX_LITERAL: usize = 1 << 5;
const MAX_DISTANCE: usize = 1 << 13;
const MIN_MATCH: usize = 3;
const MAX_MATCH: usize = 264;

/// Lengths from here on need a byte of their own.
const LONG_MATCH: usize = 9;

/// Three bytes of input can become 264.
const MAX_EXPANSION: usize = MAX_MATCH / 3;

/// Below this gain an RDB file stores the bytes as they are.
const MIN_GAIN: usize = 4;

/// After this many bytes without a repeat the search begins to skip.
const PATIENCE: usize = 64;

/// Why a stream was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LzfError {
    /// The input ends inside an element.
    Truncated,
    /// A copy reaches back before the beginning.
    BadDistance,
    /// The stream expands to another length than announced.
    WrongLength,
}

impl std::fmt::Display for LzfError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            LzfError::Truncated => "LZF data ends in the middle of an element",
            LzfError::BadDistance => "LZF data refers to bytes before its beginning",
            LzfError::WrongLength => "LZF data does not expand to the announced length",
        })
    }
}

impl std::error::Error for LzfError {}

/// Appends the compressed form of `input` to `out` if that saves at least four bytes, as RDB files ask.
pub fn compress(input: &[u8], out: &mut Vec<u8>) -> bool {
    compress_within(input, input.len().saturating_sub(MIN_GAIN), out)
}

/// Appends the compressed form of `input` to `out` if it has at most `max_len` bytes. Nothing is no compressed form.
pub fn compress_within(input: &[u8], max_len: usize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let limit = start.saturating_add(max_len);
    let mut stream = Stream { input, out, limit, done: 0 };
    // A small table is cleared faster and leaves the cache alone; a large one remembers more of a long input.
    let fits = match input.len() {
        0 => false,
        1..=512 => search::<512>(&mut stream),
        513..=4096 => search::<4096>(&mut stream),
        _ => search::<16384>(&mut stream),
    };
    if !fits {
        out.truncate(start);
    }
    fits
}

/// Finds repeats from left to right, greedily. Each slot of the table holds the place where a group of three bytes
/// was seen last, cut to 16 bits: that is enough to name a place within reach, and a slot that is stale, was never
/// filled or belongs to another group is found out when the bytes are compared.
fn search<const SLOTS: usize>(stream: &mut Stream) -> bool {
    let input = stream.input;
    let mut last_seen = [0u16; SLOTS];
    let (mut at, mut misses) = (0, 0);
    while at + MIN_MATCH <= input.len() {
        let seen = &mut last_seen[slot::<SLOTS>(input, at)];
        let distance = usize::from((at as u16).wrapping_sub(*seen));
        *seen = at as u16;
        let within_reach = (1..=MAX_DISTANCE.min(at)).contains(&distance);
        let len = if within_reach { match_len(input, at - distance, at) } else { 0 };
        if len < MIN_MATCH {
            at += 1 + misses / PATIENCE;
            misses += 1;
            if !stream.may_still_fit(at) {
                return false;
            }
            continue;
        }
        if !(stream.literals(at) && stream.copy(distance, len)) {
            return false;
        }
        at += len;
        misses = 0;
        for inside in at - 2..at {
            if inside + MIN_MATCH <= input.len() {
                last_seen[slot::<SLOTS>(input, inside)] = inside as u16;
            }
        }
    }
    stream.literals(input.len())
}

#[inline]
fn slot<const SLOTS: usize>(input: &[u8], at: usize) -> usize {
    let group = u32::from_le_bytes([input[at], input[at + 1], input[at + 2], 0]);
    (group.wrapping_mul(0x9e37_79b1) >> (u32::BITS - SLOTS.ilog2())) as usize
}

/// How many bytes at `earlier` repeat at `at`, as far as one copy can say.
#[inline]
fn match_len(input: &[u8], earlier: usize, at: usize) -> usize {
    let max = MAX_MATCH.min(input.len() - at);
    let (old, new) = (&input[earlier..earlier + max], &input[at..at + max]);
    let same_words = old.chunks_exact(8).zip(new.chunks_exact(8)).take_while(|(a, b)| a == b).count();
    let len = same_words * 8;
    len + old[len..].iter().zip(&new[len..]).take_while(|(a, b)| a == b).count()
}

/// What is being written.
struct Stream<'a> {
    input: &'a [u8],
    out: &'a mut Vec<u8>,
    /// Where `out` must end at the latest.
    limit: usize,
    /// How much of the input is in `out`.
    done: usize,
}

impl Stream<'_> {
    /// Is there room for everything before `at`, if no repeat is found in it?
    #[inline]
    fn may_still_fit(&self, at: usize) -> bool {
        self.out.len() + (at.min(self.input.len()) - self.done) <= self.limit
    }

    /// Writes what was not repeated, up to `to`.
    fn literals(&mut self, to: usize) -> bool {
        for run in self.input[self.done..to].chunks(MAX_LITERAL) {
            if self.out.len() + 1 + run.len() > self.limit {
                return false;
            }
            self.out.push((run.len() - 1) as u8);
            self.out.extend_from_slice(run);
        }
        self.done = to;
        true
    }

    fn copy(&mut self, distance: usize, len: usize) -> bool {
        let [high, low] = ((distance - 1) as u16).to_be_bytes();
        if len < LONG_MATCH {
            self.out.extend([((len - 2) as u8) << 5 | high, low]);
        } else {
            self.out.extend([7 << 5 | high, (len - LONG_MATCH) as u8, low]);
        }
        self.done += len;
        self.out.len() <= self.limit
    }
}

/// The `expected_len` bytes that `input` stands for.
pub fn decompress(input: &[u8], expected_len: usize) -> Result<Vec<u8>, LzfError> {
    if expected_len > input.len().saturating_mul(MAX_EXPANSION) {
        return Err(LzfError::WrongLength);
    }
    let mut out = Vec::with_capacity(expected_len);
    let mut rest = input;
    while let Some((&control, tail)) = rest.split_first() {
        let high = usize::from(control & 0x1f);
        rest = match (control >> 5, tail) {
            (0, _) => {
                let (run, tail) = tail.split_at_checked(high + 1).ok_or(LzfError::Truncated)?;
                check_room(&out, run.len(), expected_len)?;
                out.extend_from_slice(run);
                tail
            }
            (7, [more, low, tail @ ..]) => {
                let len = usize::from(*more) + LONG_MATCH;
                check_room(&out, len, expected_len)?;
                copy_back(&mut out, (high << 8 | usize::from(*low)) + 1, len)?;
                tail
            }
            (1..7, [low, tail @ ..]) => {
                let len = usize::from(control >> 5) + 2;
                check_room(&out, len, expected_len)?;
                copy_back(&mut out, (high << 8 | usize::from(*low)) + 1, len)?;
                tail
            }
            _ => return Err(LzfError::Truncated),
        };
    }
    if out.len() == expected_len { Ok(out) } else { Err(LzfError::WrongLength) }
}

fn check_room(out: &[u8], len: usize, expected_len: usize) -> Result<(), LzfError> {
    if out.len() + len <= expected_len { Ok(()) } else { Err(LzfError::WrongLength) }
}

/// Appends `len` bytes from `distance` back. They may reach into themselves, which repeats the last `distance`
/// bytes: each round then has a longer piece to copy from.
fn copy_back(out: &mut Vec<u8>, distance: usize, mut len: usize) -> Result<(), LzfError> {
    let from = out.len().checked_sub(distance).ok_or(LzfError::BadDistance)?;
    while len > 0 {
        let piece = len.min(out.len() - from);
        out.extend_from_within(from..from + piece);
        len -= piece;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn round_trip(input: &[u8]) -> Option<usize> {
        let mut out = b"kept".to_vec();
        if !compress(input, &mut out) {
            assert_eq!(out, b"kept");
            return None;
        }
        let stream = out.strip_prefix(b"kept").unwrap();
        assert!(stream.len() + MIN_GAIN <= input.len());
        assert_eq!(decompress(stream, input.len()).as_deref(), Ok(input));
        Some(stream.len())
    }

    #[test]
    fn repeats_shrink_and_come_back() {
        assert_eq!(round_trip(b""), None);
        assert_eq!(round_trip(b"aaaa"), None);
        assert_eq!(round_trip(b"abcdefghijklmnopqrstuvwxyz"), None);
        assert_eq!(round_trip(&[b'a'; 30]), Some(5));
        for len in [5usize, 100, 263, 264, 265, 266, 530, 9000, 100_000] {
            let longest_stream = 2 + 3 * len.div_ceil(MAX_MATCH) + 4;
            assert!(round_trip(&vec![b'a'; len]).is_none_or(|n| n <= longest_stream), "{len}");
        }
        let text = b"{\"name\":\"user:1000\",\"mail\":\"user:1000@example.org\",\"name2\":\"user:1001\"}".repeat(200);
        assert!(round_trip(&text).unwrap() < text.len() / 20);
    }

    #[test]
    fn repeats_are_found_across_the_whole_reach_and_not_beyond() {
        let mut rng = Rng::new(3);
        for (gap, found) in [(8191, true), (8192, true), (8193, false), (65_536, false), (65_537, false)] {
            let mut input = vec![0; gap];
            rng.fill(&mut input);
            input.extend_from_within(..40);
            let mut out = Vec::new();
            let fits = compress_within(&input, usize::MAX, &mut out);
            assert!(fits);
            assert_eq!(decompress(&out, input.len()).as_ref(), Ok(&input));
            let literal_len = |n: usize| n + n.div_ceil(MAX_LITERAL);
            assert_eq!(out.len() < literal_len(input.len()), found, "{gap}");
        }
    }

    #[test]
    fn random_inputs_of_few_letters_come_back() {
        let mut rng = Rng::new(7);
        for round in 0..3000 {
            let letters = 1 + rng.below(if round % 10 == 0 { 255 } else { 4 }) as u8;
            let input: Vec<u8> = (0..rng.below(2000)).map(|_| rng.below(letters.into()) as u8).collect();
            round_trip(&input);
            let mut out = Vec::new();
            if compress_within(&input, usize::MAX, &mut out) {
                let exact = out.len();
                assert!(compress_within(&input, exact, &mut out));
                assert!(!compress_within(&input, exact - 1, &mut out));
                assert_eq!(out.len(), exact * 2);
            }
        }
    }

    /// From DUMP on 7.0.15.
    #[test]
    fn streams_of_the_reference_are_read() {
        let long = [&b"hello world, hello world, hello there world"[..], &[b'x'; 300]].concat();
        for (stream, text) in [
            (&b"\x01aa\xe0\x11\x00\x01aa"[..], &[b'a'; 30][..]),
            (b"\x03abca\xe0\x0c\x02\x01bc", &b"abc".repeat(9)),
            (b"\rhello world, h\xe0\t\x0c\x04there\x80\x1f\x00x\xe0\xff\x00\xe0\x18\x00\x01xx", &long),
        ] {
            assert_eq!(decompress(stream, text.len()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn hostile_streams_are_refused() {
        for (stream, len, error) in [
            (&b""[..], 1, LzfError::WrongLength),
            (b"\x00", 1, LzfError::Truncated),
            (b"\x02ab", 3, LzfError::Truncated),
            (b"\x00a\x20", 4, LzfError::Truncated),
            (b"\x00a\xe0", 10, LzfError::Truncated),
            (b"\x00a\xe0\x00", 10, LzfError::Truncated),
            (b"\x20\x00", 3, LzfError::BadDistance),
            (b"\x00a\x20\x01", 4, LzfError::BadDistance),
            (b"\x00a\x3f\xff", 4, LzfError::BadDistance),
            (b"\x01ab", 1, LzfError::WrongLength),
            (b"\x01ab", 3, LzfError::WrongLength),
            (b"\x00a\x20\x00", 3, LzfError::WrongLength),
            (b"\x00a\xe0\xff\x00", 264, LzfError::WrongLength),
            (b"\x00a\xe0\xff\x00", usize::MAX, LzfError::WrongLength),
        ] {
            assert_eq!(decompress(stream, len), Err(error), "{} {len}", stream.escape_ascii());
        }
        assert_eq!(decompress(b"", 0), Ok(Vec::new()));
        assert_eq!(decompress(b"\x00a\xe0\xff\x00", 265), Ok(vec![b'a'; 265]));
    }

    #[test]
    fn damaged_streams_never_panic() {
        let mut rng = Rng::new(11);
        let mut stream = Vec::new();
        assert!(compress(&b"the quick brown fox, the quick brown dog, ".repeat(20), &mut stream));
        for _ in 0..20_000 {
            let mut damaged = stream.clone();
            for _ in 0..=rng.below(3) {
                let at = rng.index(damaged.len());
                damaged[at] = rng.next_u64() as u8;
            }
            damaged.truncate(rng.index(damaged.len() + 1));
            if let Ok(bytes) = decompress(&damaged, 840) {
                assert_eq!(bytes.len(), 840);
            }
        }
    }
}
