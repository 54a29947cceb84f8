//! [`RunId`]: forty hexadecimal digits that name one run of a server.
//!
//! *Duty:* run ids, replication ids and cluster node names share this shape: fixed size, so that it is copied and
//! compared without allocation, and always valid, so that it can be printed anywhere.
//! *Does not know:* which of the three it is.
//! *Invariants:* only `0-9 a-f`.
//! *Counterpart in C Redis:* `CONFIG_RUN_ID_SIZE`, `getRandomHexChars`.

use super::rng::Rng;
use std::fmt;

/// A random 160-bit name in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId([u8; RunId::LEN]);

impl RunId {
    pub const LEN: usize = 40;

    /// Forty zeros: how "none" is written where an id must stand.
    pub const ZERO: RunId = RunId([b'0'; RunId::LEN]);

    /// A new id. Two generators with the same seed give the same one; a server takes [`RunId::from_bytes`].
    pub fn random(rng: &mut Rng) -> RunId {
        let mut bytes = [0; RunId::LEN / 2];
        rng.fill(&mut bytes);
        RunId::from_bytes(&bytes)
    }

    /// The id that spells these bytes.
    pub fn from_bytes(bytes: &[u8; RunId::LEN / 2]) -> RunId {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        RunId(std::array::from_fn(|i| {
            let byte = bytes[i / 2];
            HEX[usize::from(if i % 2 == 0 { byte >> 4 } else { byte & 15 })]
        }))
    }

    /// Forty lower-case hexadecimal digits, nothing else.
    pub fn parse(text: &[u8]) -> Option<RunId> {
        let digits = <[u8; RunId::LEN]>::try_from(text).ok()?;
        digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).then_some(RunId(digits))
    }

    pub fn as_bytes(&self) -> &[u8; RunId::LEN] {
        &self.0
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_spell_their_bytes_and_parse_back() {
        let id = RunId::from_bytes(&std::array::from_fn(|i| (i * 13) as u8));
        assert_eq!(id.to_string(), "000d1a2734414e5b6875828f9ca9b6c3d0ddeaf7");
        assert_eq!(RunId::parse(id.as_bytes()), Some(id));
        assert_eq!(format!("{:.8}", id), "000d1a27");
        assert_eq!(RunId::ZERO, RunId::from_bytes(&[0; 20]));
    }

    #[test]
    fn random_ids_differ_unless_the_seed_is_the_same() {
        let mut rng = Rng::new(5);
        let first = RunId::random(&mut rng);
        assert_ne!(first, RunId::random(&mut rng));
        assert_eq!(first, RunId::random(&mut Rng::new(5)));
    }

    #[test]
    fn other_texts_are_refused() {
        let good = "0123456789abcdef0123456789abcdef01234567";
        assert!(RunId::parse(good.as_bytes()).is_some());
        for bad in ["", "?", &good[1..], &good.to_ascii_uppercase(), &good.replace('a', "g"), &format!("{good}0")] {
            assert_eq!(RunId::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
