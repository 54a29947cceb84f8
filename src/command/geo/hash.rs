//! [`Cell`]: a place on earth as a number, the bits of its longitude and latitude one after the other.
//!
//! *Duty:* places to cells and back, neighbours of cells, and the range of scores that a cell covers in a sorted set.
//! *Does not know:* distances. *Invariant:* arithmetic is done in the order of the reference, so that coordinates are
//! the same to the last digit. *Counterpart in C Redis:* `geohash.c`.
//!
//! Each further step halves a cell in both directions. Bit 2i belongs to the latitude, bit 2i + 1 to the longitude, so
//! all places of a cell have scores that begin with the cell's bits.

/// Steps of a score: 52 bits, which a double holds exactly.
pub(super) const FULL_STEP: u32 = 26;
/// Every other bit, from bit 0 on: those of the latitude.
const LATITUDE_BITS: u64 = 0x5555_5555_5555_5555;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub min: f64,
    pub max: f64,
}

pub(super) const LONGITUDE: Span = Span { min: -180.0, max: 180.0 };
/// What the Mercator projection shows as a square.
pub(super) const LATITUDE: Span = Span { min: -85.05112878, max: 85.05112878 };

impl Span {
    pub fn contains(self, x: f64) -> bool {
        (self.min..=self.max).contains(&x)
    }

    /// Which of 2^`step` parts `x` is in.
    fn part(self, x: f64, step: u32) -> u32 {
        ((x - self.min) / (self.max - self.min) * (1u64 << step) as f64) as u32
    }

    fn of_part(self, part: u32, step: u32) -> Span {
        let (size, parts) = (self.max - self.min, (1u64 << step) as f64);
        let edge = |part: u32| self.min + (f64::from(part) / parts) * size;
        Span { min: edge(part), max: edge(part.wrapping_add(1)) }
    }

    fn middle(self) -> f64 {
        (self.min + self.max) / 2.0
    }
}

/// The bits that a score stands for. What is no score of a place becomes one all the same, by the processor's own
/// conversion, which the reference's compiler makes two of: where a half is out of its range it is the lowest integer.
fn bits_of(score: f64) -> u64 {
    const HALF: f64 = (1u64 << 63) as f64;
    let converted = |score: f64| if score.abs() < HALF { score as i64 as u64 } else { 1 << 63 };
    if score < HALF { converted(score) } else { converted(score - HALF) ^ 1 << 63 }
}

/// A longitude and a latitude.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Place {
    pub longitude: f64,
    pub latitude: f64,
}

impl Place {
    /// The middle of the smallest cell that a score stands for.
    pub fn of_score(score: f64) -> Place {
        let (longitude, latitude) = Cell { bits: bits_of(score), step: FULL_STEP }.spans();
        Place {
            longitude: longitude.middle().clamp(LONGITUDE.min, LONGITUDE.max),
            latitude: latitude.middle().clamp(LATITUDE.min, LATITUDE.max),
        }
    }

    pub fn score(self) -> f64 {
        Cell::around(self, FULL_STEP).bits as f64
    }

    /// The 11 letters by which the rest of the world calls the place. There latitudes go from -90 to 90; the last
    /// letter stands for bits that a score does not have.
    pub fn letters(self) -> [u8; 11] {
        const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let cell = Cell::within(self, Span { min: -90.0, max: 90.0 }, FULL_STEP);
        std::array::from_fn(|i| {
            let five = if i == 10 { 0 } else { cell.bits >> (52 - (i + 1) * 5) & 31 };
            ALPHABET[five as usize]
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    bits: u64,
    step: u32,
}

impl Cell {
    /// The cell of this step that a place is in.
    pub fn around(place: Place, step: u32) -> Cell {
        Cell::within(place, LATITUDE, step)
    }

    fn within(place: Place, latitudes: Span, step: u32) -> Cell {
        let (x, y) = (LONGITUDE.part(place.longitude, step), latitudes.part(place.latitude, step));
        Cell { bits: spread(y) | spread(x) << 1, step }
    }

    /// The longitudes and latitudes of its places.
    pub fn spans(self) -> (Span, Span) {
        let (x, y) = (gather(self.bits >> 1), gather(self.bits));
        (LONGITUDE.of_part(x, self.step), LATITUDE.of_part(y, self.step))
    }

    /// The cell so many to the east and to the north, at most one each; the world is round in both directions.
    pub fn neighbour(self, east: i8, north: i8) -> Cell {
        let inside = u64::MAX >> (64 - 2 * self.step);
        let (latitude, longitude) = (LATITUDE_BITS & inside, !LATITUDE_BITS & inside);
        let moved = |own: u64, between: u64, by: i8| match by {
            // Filling the bits between lets a carry or borrow run through them.
            1 => (self.bits & own | between).wrapping_add(1) & own,
            -1 => (self.bits & own).wrapping_sub(own & own.wrapping_neg()) & own,
            _ => self.bits & own,
        };
        let (x, y) = (moved(longitude, latitude, east), moved(latitude, !latitude, north));
        Cell { bits: x | y, step: self.step }
    }

    /// The scores of its places: from the first to below the second.
    pub fn scores(self) -> (f64, f64) {
        let shift = 52 - 2 * self.step;
        ((self.bits << shift) as f64, ((self.bits + 1) << shift) as f64)
    }
}

/// Puts a zero before each bit.
fn spread(x: u32) -> u64 {
    let mut x = u64::from(x);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, LATITUDE_BITS),
    ] {
        x = (x | x << shift) & mask;
    }
    x
}

/// Takes every other bit away: the reverse of [`spread`].
fn gather(x: u64) -> u32 {
    let mut x = x & LATITUDE_BITS;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        x = (x | x >> shift) & mask;
    }
    x as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_spread_and_gathered() {
        for x in [0, 1, 0xffff_ffff, 0x1234_5678, 1 << 26, 0x8000_0001] {
            assert_eq!(gather(spread(x)), x);
            assert_eq!(gather(spread(x) << 1), 0);
        }
        assert_eq!(spread(0b1011), 0b100_0101);
    }

    #[test]
    fn neighbours_are_where_they_should_be() {
        for step in [1, 2, 5, 26] {
            let parts = 1u64 << step;
            for (x, y) in [(0, 0), (1, 1), (parts - 1, parts - 1), (parts / 2, parts / 2 - 1)] {
                let cell = Cell { bits: spread(y as u32) | spread(x as u32) << 1, step };
                for (east, north) in [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)] {
                    let other = cell.neighbour(east, north);
                    let wrapped = |at: u64, by: i8| at.wrapping_add(by as i64 as u64) % parts;
                    assert_eq!(u64::from(gather(other.bits >> 1)), wrapped(x, east), "{step} {x} {east}");
                    assert_eq!(u64::from(gather(other.bits)), wrapped(y, north), "{step} {y} {north}");
                }
            }
        }
    }

    #[test]
    fn a_score_is_that_of_the_reference() {
        // GEOADD and ZSCORE of 7.0.15.
        let palermo = Place { longitude: 13.361389, latitude: 38.115556 };
        assert_eq!(palermo.score(), 3479099956230698.0);
        assert_eq!(&Place::of_score(palermo.score()).letters(), b"sqc8b49rny0");
    }
}
