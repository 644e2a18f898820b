//! Rectified linear unit. The client runs it in float; the server looks it up, clipped and
//! quantised in one step.

use crate::linear_map::Row;

/// `max(0, x)`, on the server rounded to `2^bits` levels from 0 to `clip`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Relu {
    /// Bits of the server's output, 1..=8.
    pub bits: u32,
    /// The largest value that the server's output represents.
    pub clip: f64,
}

impl Relu {
    /// Returns the float outputs.
    pub fn run_float(mut input: Vec<Row<f32>>) -> Vec<Row<f32>> {
        for value in input.iter_mut().flat_map(|row| row.iter_mut()) {
            *value = value.max(0.0);
        }
        input
    }

    /// Returns the largest integer of the server's output.
    pub fn largest(&self) -> i64 {
        (1 << self.bits) - 1
    }

    /// Returns the real value of one step of the server's output.
    pub fn scale(&self) -> f64 {
        self.clip / self.largest() as f64
    }

    /// Returns the server's integer output for the real input `x`: `real = scale · integer`.
    pub fn quantised(&self, x: f64) -> i64 {
        ((x / self.scale()).round() as i64).clamp(0, self.largest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_clips_and_rounds() {
        let relu = Relu { bits: 4, clip: 3.0 };
        for (x, expected) in [
            (-1.0, 0),
            (0.0, 0),
            (0.09, 0),
            (0.11, 1),
            (1.5, 8),
            (2.95, 15),
            (9.0, 15),
        ] {
            assert_eq!(relu.quantised(x), expected, "at {x}");
        }
        assert!((relu.scale() * relu.largest() as f64 - relu.clip).abs() < 1e-12);
    }
}
