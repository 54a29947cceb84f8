//! [`Area`]: what GEOSEARCH looks for, and distances.
//!
//! *Duty:* whether a place is in a circle or a box, how far it is from the middle, and which cells must be looked
//! through. *Invariant:* arithmetic is done in the order of the reference, so that distances are the same to the last
//! digit and cells come in its order, on which the order of unsorted replies depends.
//! *Counterpart in C Redis:* `geohash_helper.c`, `geoWithinShape`.

use super::hash::{Cell, FULL_STEP, Place};

/// The earth as a sphere, metres.
const EARTH_RADIUS: f64 = 6372797.560856;
/// Half the side of the Mercator square, metres.
const MERCATOR_MAX: f64 = 20037726.37;
const DEGREE: f64 = std::f64::consts::PI / 180.0;

fn radians(degrees: f64) -> f64 {
    degrees * DEGREE
}

fn degrees(radians: f64) -> f64 {
    radians / DEGREE
}

/// Metres between two latitudes.
fn latitude_distance(a: f64, b: f64) -> f64 {
    EARTH_RADIUS * (radians(b) - radians(a)).abs()
}

/// Metres between two places, along the great circle.
pub(super) fn distance(a: Place, b: Place) -> f64 {
    let v = ((radians(b.longitude) - radians(a.longitude)) / 2.0).sin();
    if v == 0.0 {
        return latitude_distance(a.latitude, b.latitude);
    }
    let (first, second) = (radians(a.latitude), radians(b.latitude));
    let u = ((second - first) / 2.0).sin();
    let h = u * u + first.cos() * second.cos() * v * v;
    2.0 * EARTH_RADIUS * h.sqrt().asin()
}

/// In the unit of the request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub middle: Place,
    pub shape: Shape,
    /// Metres in a unit.
    pub unit: f64,
}

impl Area {
    /// How far from the middle a place is, if it is within. Opposite ends of the earth may have a distance that is no
    /// number; such a place is within every circle.
    pub fn distance_within(&self, place: Place) -> Option<f64> {
        match self.shape {
            Shape::Circle { radius } => {
                let found = distance(self.middle, place);
                if found > radius * self.unit { None } else { Some(found) }
            }
            Shape::Box { width, height } => {
                let (width, height) = (width * self.unit, height * self.unit);
                if latitude_distance(place.latitude, self.middle.latitude) > height / 2.0 {
                    return None;
                }
                let below = Place { latitude: place.latitude, ..self.middle };
                if distance(place, below) > width / 2.0 { None } else { Some(distance(self.middle, place)) }
            }
        }
    }

    /// The cells that together cover it: the one in the middle, then those of its neighbours that are needed.
    ///
    /// Quirk: neighbours that are the same cell, as happens when an area is as large as the world, are left out only
    /// if one follows the other and neither is the middle one; else places are found twice.
    pub fn cells(&self) -> Vec<Cell> {
        let bounds = self.bounds();
        let mut step = self.step();
        if step > 1 && bounds.reach_beyond(Cell::around(self.middle, step)) {
            step -= 1;
        }
        let middle = Cell::around(self.middle, step);
        let (longitudes, latitudes) = middle.spans();
        let needed = |east: i8, north: i8| {
            step < 2
                || !(north < 0 && latitudes.min < bounds.south
                    || north > 0 && latitudes.max > bounds.north
                    || east < 0 && longitudes.min < bounds.west
                    || east > 0 && longitudes.max > bounds.east)
        };
        let mut cells = vec![middle];
        for (east, north) in [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)] {
            let cell = middle.neighbour(east, north);
            let repeats = cells.len() > 1 && cells.last() == Some(&cell);
            if needed(east, north) && !repeats {
                cells.push(cell);
            }
        }
        cells
    }

    fn bounds(&self) -> Bounds {
        let Place { longitude, latitude } = self.middle;
        let (half_width, half_height) = match self.shape {
            Shape::Circle { radius } => (radius, radius),
            Shape::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let (width, height) = (self.unit * half_width, self.unit * half_height);
        let north_south = degrees(height / EARTH_RADIUS);
        // The side that is nearer to the pole, where a metre is the most degrees; on the equator the northern one.
        let outer = if latitude < 0.0 { latitude - north_south } else { latitude + north_south };
        let east_west = degrees(width / EARTH_RADIUS / radians(outer).cos());
        Bounds {
            west: longitude - east_west,
            south: latitude - north_south,
            east: longitude + east_west,
            north: latitude + north_south,
        }
    }

    /// The step of cells that are about as large as the area.
    fn step(&self) -> u32 {
        let mut range = self.unit
            * match self.shape {
                Shape::Circle { radius } => radius,
                Shape::Box { width, height } => {
                    ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
                }
            };
        if range == 0.0 {
            return FULL_STEP;
        }
        let mut step = 1i32;
        while range < MERCATOR_MAX {
            range *= 2.0;
            step += 1;
        }
        step -= 2;
        // Towards the poles cells become narrow.
        let latitude = self.middle.latitude.abs();
        step -= (latitude > 66.0) as i32 + (latitude > 80.0) as i32;
        step.clamp(1, FULL_STEP as i32) as u32
    }
}

/// Degrees.
struct Bounds {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
}

impl Bounds {
    /// A cell and its neighbours do not cover them.
    fn reach_beyond(&self, cell: Cell) -> bool {
        let spans = |east, north| cell.neighbour(east, north).spans();
        spans(0, 1).1.max < self.north
            || spans(0, -1).1.min > self.south
            || spans(1, 0).0.max < self.east
            || spans(-1, 0).0.min > self.west
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PALERMO: Place = Place { longitude: 13.361389338970184, latitude: 38.1155563954963 };
    const CATANIA: Place = Place { longitude: 15.087267458438873, latitude: 37.50266842333162 };

    #[test]
    fn the_distance_is_that_of_the_reference() {
        assert!((distance(PALERMO, CATANIA) - 166274.1516).abs() < 0.0001);
        assert_eq!(distance(PALERMO, PALERMO), 0.0);
    }

    #[test]
    fn circles_and_boxes_hold_what_is_in_them() {
        let area = |shape| Area { middle: PALERMO, shape, unit: 1000.0 };
        assert!(area(Shape::Circle { radius: 166.0 }).distance_within(CATANIA).is_none());
        assert!(area(Shape::Circle { radius: 167.0 }).distance_within(CATANIA).is_some());
        assert!(area(Shape::Box { width: 306.0, height: 137.0 }).distance_within(CATANIA).is_some());
        assert!(area(Shape::Box { width: 306.0, height: 136.0 }).distance_within(CATANIA).is_none());
        assert!(area(Shape::Box { width: 304.0, height: 137.0 }).distance_within(CATANIA).is_none());
    }

    #[test]
    fn the_cells_cover_the_area() {
        for radius in [0.0, 1.0, 50.0, 500.0, 3000.0, 30000.0] {
            let area = Area { middle: PALERMO, shape: Shape::Circle { radius }, unit: 1000.0 };
            let covers = |place: Place| {
                area.cells().iter().any(|cell| {
                    let (longitudes, latitudes) = cell.spans();
                    longitudes.contains(place.longitude) && latitudes.contains(place.latitude)
                })
            };
            for i in 0..2000u32 {
                let place = Place {
                    longitude: f64::from(i.wrapping_mul(7919) % 3600) / 10.0 - 180.0,
                    latitude: f64::from(i.wrapping_mul(104_729) % 1700) / 10.0 - 85.0,
                };
                assert!(area.distance_within(place).is_none() || covers(place), "{radius} {place:?}");
            }
            assert!(covers(PALERMO));
        }
    }
}
