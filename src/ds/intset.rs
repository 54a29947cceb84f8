//! [`Intset`]: a set of integers as a sorted array of the narrowest width that holds them all.
//!
//! *Duty:* the form of small sets whose members are all integers. *Does not know:* when a set is too large for it, or
//! where its bytes lie: [`IntsetRef`] reads them wherever they are.
//! *Invariants:* ascending, nothing twice. The width only grows. Who has bytes of unknown origin asks
//! [`Intset::validate`] or [`Intset::from_wire`]; on other bytes the methods may panic, but they read no others.
//! *Counterpart in C Redis:* `intset.c`.
//!
//! ```text
//! width u8: 2, 4 or 8   value …                                        in memory
//! width u32   count u32   value …                                      on the wire (RDB files, DUMP)
//! ```

use super::element::make_room;
use crate::base::rng::Rng;

const HEADER: usize = 1;
const WIRE_HEADER: usize = 8;

/// Integers in bytes of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intset {
    bytes: Vec<u8>,
}

impl Default for Intset {
    fn default() -> Intset {
        Intset::new()
    }
}

fn width_of(value: i64) -> usize {
    match value {
        -0x8000..=0x7fff => 2,
        -0x8000_0000..=0x7fff_ffff => 4,
        _ => 8,
    }
}

impl Intset {
    pub fn new() -> Intset {
        Intset { bytes: vec![2] }
    }

    /// Bytes that [`Intset::into_bytes`] gave or [`Intset::validate`] accepts.
    pub fn from_bytes(bytes: Vec<u8>) -> Intset {
        debug_assert!(Intset::validate(&bytes));
        Intset { bytes }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    #[inline]
    pub fn as_ref(&self) -> IntsetRef<'_> {
        IntsetRef { bytes: &self.bytes }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }

    /// The heap bytes it takes.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Adds a value. `false`: it was there.
    pub fn insert(&mut self, value: i64) -> bool {
        let width = width_of(value);
        if width > self.as_ref().width() {
            self.widen(width);
        }
        let width = self.as_ref().width();
        match self.as_ref().search(value) {
            Ok(_) => false,
            Err(index) => {
                let at = HEADER + index * width;
                make_room(&mut self.bytes, at, 0, width);
                self.bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
                true
            }
        }
    }

    /// Removes a value. `false`: it was not there.
    pub fn remove(&mut self, value: i64) -> bool {
        let Ok(index) = self.as_ref().search(value) else { return false };
        self.remove_at(index);
        true
    }

    /// Removes the value with so many smaller ones.
    pub fn remove_at(&mut self, index: usize) {
        let width = self.as_ref().width();
        make_room(&mut self.bytes, HEADER + index * width, width, 0);
    }

    fn widen(&mut self, width: usize) {
        let mut wide = Vec::with_capacity(HEADER + (self.len() + 1) * width);
        wide.push(width as u8);
        for value in self.as_ref().iter() {
            wide.extend_from_slice(&value.to_le_bytes()[..width]);
        }
        self.bytes = wide;
    }

    /// Whether these bytes are a set of integers from end to end.
    pub fn validate(bytes: &[u8]) -> bool {
        let Some((&width, values)) = bytes.split_first() else { return false };
        matches!(width, 2 | 4 | 8)
            && values.len() % usize::from(width) == 0
            && IntsetRef { bytes }.iter().is_sorted_by(|a, b| a < b)
    }

    /// The set that stands in an RDB file or a DUMP payload; none if the bytes are no set.
    pub fn from_wire(wire: &[u8]) -> Option<Intset> {
        let (header, values) = wire.split_first_chunk::<WIRE_HEADER>()?;
        let [a, b, c, d, e, f, g, h] = *header;
        let width = u32::from_le_bytes([a, b, c, d]) as usize;
        let count = u32::from_le_bytes([e, f, g, h]) as usize;
        if !matches!(width, 2 | 4 | 8) || count == 0 || count.checked_mul(width) != Some(values.len()) {
            return None;
        }
        let mut bytes = Vec::with_capacity(HEADER + values.len());
        bytes.push(width as u8);
        bytes.extend_from_slice(values);
        Intset::validate(&bytes).then_some(Intset { bytes })
    }
}

/// The bytes of an [`Intset`], wherever they lie.
#[derive(Clone, Copy, Debug)]
pub struct IntsetRef<'a> {
    bytes: &'a [u8],
}

impl<'a> IntsetRef<'a> {
    /// Bytes that [`Intset::into_bytes`] gave or [`Intset::validate`] accepts.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> IntsetRef<'a> {
        IntsetRef { bytes }
    }

    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    pub fn byte_len(self) -> usize {
        self.bytes.len()
    }

    /// Bytes per value: 2, 4 or 8.
    #[inline]
    pub fn width(self) -> usize {
        usize::from(self.bytes[0])
    }

    #[inline]
    pub fn len(self) -> usize {
        (self.bytes.len() - HEADER) >> self.width().trailing_zeros()
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self.bytes.len() <= HEADER
    }

    pub fn to_intset(self) -> Intset {
        Intset { bytes: self.bytes.to_vec() }
    }

    /// The value with `index` smaller ones.
    #[inline]
    pub fn get(self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| self.value(index))
    }

    #[inline]
    fn value(self, index: usize) -> i64 {
        let values = &self.bytes[HEADER..];
        match self.width() {
            2 => i64::from(i16::from_le_bytes(nth(values, index))),
            4 => i64::from(i32::from_le_bytes(nth(values, index))),
            _ => i64::from_le_bytes(nth(values, index)),
        }
    }

    #[inline]
    pub fn contains(self, value: i64) -> bool {
        width_of(value) <= self.width() && self.search(value).is_ok()
    }

    /// How many values are smaller, and whether this one is there.
    #[inline]
    fn search(self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        // Sets are mostly filled in ascending order: what is beyond the last is found at once.
        if high > 0 && self.value(high - 1) < value {
            return Err(high);
        }
        while low < high {
            let middle = (low + high) / 2;
            let there = self.value(middle);
            if there == value {
                return Ok(middle);
            }
            if there < value {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Err(low)
    }

    /// The values, ascending.
    #[inline]
    pub fn iter(self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator + Clone + use<'a> {
        (0..self.len()).map(move |index| self.value(index))
    }

    /// One of the values, each equally likely.
    pub fn random(self, rng: &mut Rng) -> Option<i64> {
        self.get(rng.index(self.len()))
    }

    /// Appends the form in which RDB files and DUMP payloads hold the set.
    pub fn write_wire(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.width() as u32).to_le_bytes());
        out.extend_from_slice(&(self.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.bytes[HEADER..]);
    }
}

#[inline]
fn nth<const WIDTH: usize>(values: &[u8], index: usize) -> [u8; WIDTH] {
    values[index * WIDTH..][..WIDTH].try_into().expect("a slice of that length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn random_value(rng: &mut Rng) -> i64 {
        match rng.below(12) {
            0 => [i64::MIN, i64::MAX, -32_769, 32_768, -32_768, 32_767, 1 << 31, -(1 << 31) - 1][rng.index(8)],
            1 => rng.next_u64() as i64 >> rng.below(64),
            _ => rng.below(60) as i64 - 30,
        }
    }

    #[test]
    fn random_changes_agree_with_a_tree() {
        let mut rng = Rng::new(3);
        for _ in 0..60 {
            let (mut set, mut model) = (Intset::new(), BTreeSet::new());
            for _ in 0..300 {
                let value = random_value(&mut rng);
                match rng.below(3) {
                    0 => assert_eq!(set.remove(value), model.remove(&value)),
                    _ => assert_eq!(set.insert(value), model.insert(value)),
                }
                let probe = random_value(&mut rng);
                assert_eq!(set.as_ref().contains(probe), model.contains(&probe));
                assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
                assert!(Intset::validate(set.as_ref().bytes()));
                assert!(set.as_ref().iter().eq(model.iter().copied()));
                assert_eq!(set.as_ref().random(&mut rng).is_some_and(|v| model.contains(&v)), !model.is_empty());
            }
            let mut wire = Vec::new();
            set.as_ref().write_wire(&mut wire);
            assert_eq!(Intset::from_wire(&wire), (!set.is_empty()).then_some(set.clone()));
            assert_eq!(set.as_ref().get(set.len()), None);
        }
    }

    #[test]
    fn the_width_is_that_of_the_widest_value() {
        let mut set = Intset::new();
        for (value, width, len) in
            [(5, 2, 3), (-32_768, 2, 5), (32_768, 4, 13), (i64::MIN, 8, 33), (0, 8, 41), (1 << 40, 8, 49)]
        {
            assert!(set.insert(value));
            assert_eq!((set.as_ref().width(), set.as_ref().byte_len()), (width, len));
        }
        assert_eq!(set.as_ref().iter().collect::<Vec<_>>(), [i64::MIN, -32_768, 0, 5, 32_768, 1 << 40]);
        assert_eq!(set.as_ref().iter().next_back(), Some(1 << 40));
    }

    #[test]
    fn hostile_bytes_are_refused() {
        for bytes in [&b""[..], b"\x03", b"\x02\0", b"\x02\x01\0\x01\0", b"\x02\x02\0\x01\0", b"\x04\0\0", b"\0"] {
            assert!(!Intset::validate(bytes), "{}", bytes.escape_ascii());
        }
        for wire in [
            &b""[..],
            b"\x02\0\0\0\0\0\0",
            b"\x02\0\0\0\0\0\0\0",
            b"\x02\0\0\0\x02\0\0\0\x01\0",
            b"\x02\0\0\0\x01\0\0\0\x01\0\x02",
            b"\x02\0\0\0\x02\0\0\0\x02\0\x01\0",
            b"\x03\0\0\0\x01\0\0\0\x02\0\x01",
            b"\x08\0\0\0\xff\xff\xff\xff\x02\0\x01\0\0\0\0\0",
        ] {
            assert_eq!(Intset::from_wire(wire), None, "{}", wire.escape_ascii());
        }
        assert!(Intset::from_wire(b"\x02\0\0\0\x02\0\0\0\xff\xff\x01\0").is_some());
        let mut rng = Rng::new(4);
        for _ in 0..20_000 {
            let mut bytes = vec![0; rng.index(30)];
            rng.fill(&mut bytes);
            if let Some(first) = bytes.first_mut() {
                *first = [2, 4, 8, 3][rng.index(4)];
            }
            if Intset::validate(&bytes) {
                assert_eq!(IntsetRef::new(&bytes).iter().count(), IntsetRef::new(&bytes).len());
            }
        }
    }
}
