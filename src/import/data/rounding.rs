//! Rounds floats to the 256 levels of their grid.

use super::grid::{Grid, Groups, MAX_LEVEL};
use crate::core::error::{Error, Result};
use crate::machine::file;

/// Values that are as close to a level, as a fraction of the way to the next, lie on it.
const EXACT_FRACTION: f64 = 1e-3;

/// Floats rounded to the levels of their grids.
pub(super) struct Rounded {
    /// The levels, in the order of the floats.
    pub images: Vec<u8>,
    /// Of the values between the first level and the last.
    largest_error: f64,
    /// Of the values beyond them.
    largest_clipped: f64,
    /// How many lie beyond them.
    clipped: usize,
}

/// Refuses grids that float32, in which the network runs, does not hold.
///
/// # Errors
///
/// [`Error::Invalid`] with what to change.
pub(super) fn check_grids(place: &str, grids: &[Grid]) -> Result<()> {
    let usable = |grid: &Grid| {
        let scale = grid.scale as f32;
        scale.is_normal() && scale > 0.0 && (grid.offset as f32).is_finite()
    };
    if grids.iter().all(usable) {
        return Ok(());
    }
    Err(Error::invalid(
        place,
        "has values that leave the range of numbers: give floats closer to 1",
    ))
}

/// Rounds each value to the nearest level of its group.
///
/// # Errors
///
/// [`Error::Memory`].
pub(super) fn round(
    place: &str,
    values: &[f32],
    groups: Groups,
    grids: &[Grid],
) -> Result<Rounded> {
    let mut rounded = Rounded {
        images: file::buffer(place, values.len())?,
        largest_error: 0.0,
        largest_clipped: 0.0,
        clipped: 0,
    };
    let planes = values.chunks_exact(groups.plane);
    for (values, Grid { scale, offset }) in planes.zip(grids.iter().cycle()) {
        for &value in values {
            let value = f64::from(value);
            let level = ((value - offset) / scale).round();
            let nearest = level.clamp(0.0, f64::from(MAX_LEVEL));
            let error = (value - (scale * nearest + offset)).abs();
            if level == nearest {
                rounded.largest_error = rounded.largest_error.max(error);
            } else {
                rounded.largest_clipped = rounded.largest_clipped.max(error);
                rounded.clipped += 1;
            }
            rounded.images.push(nearest as u8);
        }
    }
    Ok(rounded)
}

impl Rounded {
    /// Returns what the user should know.
    pub fn notes(&self, grids: &[Grid], is_vector: bool, is_test: bool) -> Vec<String> {
        let (clipped, count) = (self.clipped, self.images.len());
        let mut notes = Vec::new();
        if !is_test {
            let own = grids.iter().any(|grid| *grid != grids[0]);
            let (each, told) = match (own, is_vector) {
                (false, _) => (String::new(), "one scale and one offset".to_owned()),
                (true, true) => (
                    " of each element".to_owned(),
                    format!("{0} scales and {0} offsets", grids.len()),
                ),
                (true, false) => (
                    " of each channel".to_owned(),
                    format!("{0} scales and {0} offsets", grids.len()),
                ),
            };
            let finest = grids
                .iter()
                .map(|grid| grid.scale)
                .fold(f64::INFINITY, f64::min);
            let how = if self.largest_error < EXACT_FRACTION * finest {
                format!("values are kept exactly, on 256 levels{each}")
            } else {
                format!(
                    "values were rounded to 256 levels{each}, by at most {:.2e}",
                    self.largest_error
                )
            };
            notes.push(format!("{how}: the client is told {told} of the input"));
        }
        if clipped > 0 {
            let place = if is_test {
                "test values lie beyond the calibration images' levels"
            } else {
                "calibration values lie beyond the levels, far from all others of their \
                     element or channel"
            };
            notes.push(format!(
                "{clipped} of {count} {place} and were clipped, by at most {:.2e}",
                self.largest_clipped
            ));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_to_the_nearest_level_and_errors_are_told() {
        let grid = Grid {
            scale: 0.5,
            offset: 0.0,
        };
        let groups = Groups { count: 2, plane: 2 };
        let rounded = round("x", &[0.25, 0.75, -3.0, 200.0], groups, &[grid; 2]);
        let rounded = rounded.expect("room");
        assert_eq!(rounded.images, [1, 2, 0, 255]);
        assert_eq!(rounded.largest_error, 0.25);
        assert_eq!((rounded.clipped, rounded.largest_clipped), (2, 72.5));
    }

    #[test]
    fn levels_beyond_numbers_are_refused() {
        let check = |scale, offset| check_grids("x", &[Grid { scale, offset }]);
        assert!(check(0.1, 0.0).is_ok());
        for (scale, offset) in [
            (0.0, 0.0),
            (f64::INFINITY, 0.0),
            (1.0, f64::NAN),
            (1e-60, 0.0),
        ] {
            assert!(check(scale, offset).is_err());
        }
    }
}
