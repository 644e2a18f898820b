//! The grid of integers that all values of a segment lie on, and the bits of what crosses its ends.

/// Half a turn less the noise margins, in integers of the grid.
pub const HALF_TURN: i64 = 1 << 32;
/// Bits of an uploaded integer, and of the weights that meet uploads: fresh ciphertexts have so
/// little noise that these bits are free.
pub const UPLOAD_BITS: u32 = 8;
/// Widening of each calibrated range at either end, as a fraction of its width: inputs outside the
/// calibration data reach further.
pub const RANGE_MARGIN: f64 = 0.25;
/// The most bits of a value that is looked up as it is.
pub const MOST_IDENTITY_BITS: u32 = 8;

/// Returns a calibrated range, widened by the margin.
pub(super) fn widen((low, high): (f32, f32)) -> (f64, f64) {
    let margin = RANGE_MARGIN * f64::from(high - low);
    (f64::from(low) - margin, f64::from(high) + margin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_widened_by_a_quarter_of_their_width_at_either_end() {
        assert_eq!(widen((-1.0, 3.0)), (-2.0, 4.0));
        assert_eq!(widen((2.0, 2.0)), (2.0, 2.0));
    }
}
