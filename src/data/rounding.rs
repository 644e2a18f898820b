//! Rounds floats to the 256 levels of their channel.

use crate::error::{Error, Result};

/// The largest level, as a byte holds it.
pub(super) const MAX_LEVEL: u32 = 255;

/// Floats rounded to the levels of their channels.
pub(super) struct Rounded {
    /// The levels, in the order of the floats.
    pub images: Vec<u8>,
    /// Of the values between the first level and the last.
    largest_error: f64,
    /// Of the values beyond them.
    largest_clipped: f64,
    clipped: usize,
}

/// Returns scale and offset per channel, so that 0 stands for the least value and 255 for the
/// largest; a channel of one value gets the scale 1.
pub(super) fn levels(values: &[f64], plane: usize, channels: usize) -> (Vec<f64>, Vec<f64>) {
    let mut least = vec![f64::INFINITY; channels];
    let mut largest = vec![f64::NEG_INFINITY; channels];
    for (values, channel) in values.chunks_exact(plane).zip((0..channels).cycle()) {
        for &value in values {
            least[channel] = least[channel].min(value);
            largest[channel] = largest[channel].max(value);
        }
    }
    let step = |(least, largest): (&f64, &f64)| {
        let step = (largest - least) / f64::from(MAX_LEVEL);
        if step > 0.0 { step } else { 1.0 }
    };
    let scale = least.iter().zip(&largest).map(step).collect();
    (scale, least)
}

/// Refuses scales and offsets that no channel can have.
///
/// # Errors
///
/// [`Error::Invalid`] with what to change.
pub(super) fn check_levels(
    place: &str,
    channels: usize,
    scale: &[f64],
    offset: &[f64],
) -> Result<()> {
    if scale.len() != channels || offset.len() != channels {
        return Err(Error::invalid(
            place,
            format!(
                "has {channels} channel(s), the calibration images have {}: give images alike",
                scale.len()
            ),
        ));
    }
    let usable =
        |scale: &f64, offset: &f64| scale.is_normal() && *scale > 0.0 && offset.is_finite();
    if scale.iter().zip(offset).all(|(s, o)| usable(s, o)) {
        return Ok(());
    }
    Err(Error::invalid(
        place,
        "has values that leave the range of numbers: give floats closer to 1",
    ))
}

/// Rounds each value to the nearest level.
pub(super) fn round(values: &[f64], plane: usize, scale: &[f64], offset: &[f64]) -> Rounded {
    let mut rounded = Rounded {
        images: Vec::with_capacity(values.len()),
        largest_error: 0.0,
        largest_clipped: 0.0,
        clipped: 0,
    };
    let levels = scale.iter().zip(offset).cycle();
    for (values, (scale, offset)) in values.chunks_exact(plane).zip(levels) {
        for value in values {
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
    rounded
}

impl Rounded {
    /// Returns what the user should know.
    pub fn note(&self) -> String {
        let mut note = format!(
            "floats were rounded to 256 levels per channel, by at most {:.2e}",
            self.largest_error
        );
        if self.clipped > 0 {
            note += &format!(
                "; {} of {} values lie beyond the calibration images' range and were clipped, \
                 by at most {:.2e}",
                self.clipped,
                self.images.len(),
                self.largest_clipped
            );
        }
        note
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_span_each_channel() {
        let (scale, offset) = levels(&[-1.0, 254.0, 3.0, 3.0, 0.0, 1.0, 3.0, 3.0], 2, 2);
        assert_eq!((scale, offset), (vec![1.0, 1.0], vec![-1.0, 3.0]));
    }

    #[test]
    fn values_go_to_the_nearest_level_and_errors_are_told() {
        let rounded = round(&[0.25, 0.75, -3.0, 200.0], 2, &[0.5, 0.5], &[0.0, 0.0]);
        assert_eq!(rounded.images, [1, 2, 0, 255]);
        assert_eq!(rounded.largest_error, 0.25);
        assert_eq!((rounded.clipped, rounded.largest_clipped), (2, 72.5));
        assert!(rounded.note().contains("at most 2.50e-1; 2 of 4 values"));
    }

    #[test]
    fn levels_beyond_numbers_are_refused() {
        assert!(check_levels("x", 1, &[0.1], &[0.0]).is_ok());
        for (scale, offset) in [
            (0.0, 0.0),
            (-1.0, 0.0),
            (f64::INFINITY, 0.0),
            (1.0, f64::NAN),
        ] {
            assert!(check_levels("x", 1, &[scale], &[offset]).is_err());
        }
    }
}
